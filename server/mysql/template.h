/*
 * Templates of keys and values: texts with the columns of a row in them.
 *
 *     text            stands for itself; {{ and }} are the braces
 *     {col}           the column, of each image of the row
 *     {old.col}       of the image before the change; without one there is no key
 *     {new.col}       of the image after it
 *     {@db} {@table}  the names of the row's database and table
 *     {col|f|f...}    filters, from left to right: hex, lower, upper (ASCII letters; other bytes
 * stay as they are), urlenc (all but A-Z a-z 0-9 - . _ ~), md5 (32 hexadecimal digits), null:x (x
 * in place of NULL; filters before it leave NULL alone)
 *
 * A value may also be json(col,...) or json(*): an object, its members in the order named, or in
 * the table's order without invisible columns.
 *
 * A template is compiled once, and bound to the columns of a table by plan.h, as slots.
 */
#ifndef LARDER_MYSQL_TEMPLATE_H
#define LARDER_MYSQL_TEMPLATE_H

#include "mysql/bytes.h"
#include "mysql/pool.h"
#include "mysql/render.h"

#define TEMPLATE_LEN_MAX      1024u /* bytes of its text */
#define TEMPLATE_PARTS_MAX    32u
#define TEMPLATE_FILTERS_MAX  8u     /* of one part */
#define TEMPLATE_NAME_LEN_MAX 256u   /* bytes of a column's name: 64 characters */
#define TEMPLATE_KEY_MAX      250u   /* bytes; no longer key can be in the cache */
#define TEMPLATE_TEXT_MAX     65536u /* bytes of one column that filters can take */

enum template_part_kind {
    TEMPLATE_LITERAL,
    TEMPLATE_DATABASE,
    TEMPLATE_TABLE,
    TEMPLATE_COLUMN,
};

enum template_image {
    TEMPLATE_EITHER, /* {col}: whichever image is being rendered */
    TEMPLATE_OLD,
    TEMPLATE_NEW,
};

enum template_filter {
    TEMPLATE_HEX,
    TEMPLATE_LOWER,
    TEMPLATE_UPPER,
    TEMPLATE_URLENC,
    TEMPLATE_MD5,
    TEMPLATE_NULL,
};

struct template_part {
    enum template_part_kind kind;
    enum template_image image; /* COLUMN */
    struct bytes text;         /* LITERAL: itself; COLUMN: its name */
    struct bytes null_text;    /* what null:x puts in */
    uint8_t filter_count;
    uint8_t filters[TEMPLATE_FILTERS_MAX]; /* enum template_filter */
};

enum template_form {
    TEMPLATE_TEXT,     /* the parts, one after the other */
    TEMPLATE_JSON,     /* json(col,...): the parts are COLUMN, without filters */
    TEMPLATE_JSON_ALL, /* json(*): no parts */
};

struct template
{
    struct bytes source; /* as written */
    enum template_form form;
    uint32_t part_count;
    const struct template_part *parts;
};

/** What a template is for, and thereby what may stand in it. */
enum template_use {
    TEMPLATE_FOR_KEY,       /* at least one column; no blank or control byte */
    TEMPLATE_FOR_STORE_KEY, /* of what is stored: no {old.col} either */
    TEMPLATE_FOR_VALUE,     /* JSON, blanks; no {old.col} */
};

/**
 * Compiles a template.  `out` lives as long as the pool.
 *
 * error   out on false: what is wrong and what would be right
 */
bool template_compile(struct bytes text, enum template_use use, struct pool *pool,
                      struct template *out, char *error, size_t error_cap)
    __attribute__((warn_unused_result));

/**
 * Writes the literal text that all keys of the template begin with: up to the first column.  {@db}
 * and {@table} are literal where `database` and `table` are given (at != NULL).
 */
void template_put_prefix(const struct template *template, struct bytes database, struct bytes table,
                         struct writer *out);

/** Room that rendering needs besides its output.  One thread at a time. */
struct template_scratch {
    struct charsets charsets;
    void *md5; /* opened when first needed */
    char text[2][TEMPLATE_TEXT_MAX];
};

void template_scratch_init(struct template_scratch *scratch);
void template_scratch_fini(struct template_scratch *scratch);

/** A row as a template sees it. */
struct template_row {
    struct bytes database;
    struct bytes table;
    const uint16_t *slots; /* for each part that is a COLUMN where its value is; TEMPLATE_NO_SLOT */
    const struct value *before; /* by slot; NULL: no such image */
    const struct value *after;
    bool from_after; /* {col} is of the image after the change */
};

#define TEMPLATE_NO_SLOT UINT16_MAX

enum template_result {
    TEMPLATE_DONE,
    TEMPLATE_IS_NULL,  /* a column is NULL: there is no such key */
    TEMPLATE_NO_IMAGE, /* the row has no such image */
    TEMPLATE_FULL,     /* longer than the room */
    TEMPLATE_WIDEN,    /* cannot be told, for `*reason` */
};

/**
 * Writes the text for one row, TEMPLATE_TEXT alone.  A column that the image after the change does
 * not hold is as it was before.
 */
enum template_result template_render(const struct template *template,
                                     const struct template_row *row,
                                     struct template_scratch *scratch, struct writer *out,
                                     const char **reason) __attribute__((warn_unused_result));

/**
 * The value of a column in an image, which a change leaves out if it did not change: that of the
 * image before it, then.  NULL if neither holds it.
 */
static inline const struct value *
template_find_value(const struct value *before, const struct value *after, uint16_t slot,
                    bool from_after)
{
    const struct value *value = NULL;
    if (slot == TEMPLATE_NO_SLOT) {
        return NULL;
    }
    if (from_after && after != NULL) {
        value = &after[slot];
    }
    if (before != NULL && (value == NULL || value->kind == VALUE_ABSENT)) {
        value = &before[slot];
    }
    return value == NULL || value->kind == VALUE_ABSENT ? NULL : value;
}

#endif
