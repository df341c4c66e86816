/*
 * Row filters: what stands behind WHERE, of the simple kind.
 *
 *     condition:  test | ( condition ) | NOT condition | condition AND condition | condition OR
 * condition test:       column = != <> < <= > >= literal | column [NOT] IN ( literal, ... ) |
 * column IS [NOT] NULL column:     letters, digits, _ and $, or anything in `backquotes` literal:
 * 12, -1.5, 'text' ('' and \' and \\ within), TRUE, FALSE
 *
 * Compiled to a program for a stack machine.  What it computes is the set of results that SQL could
 * come to: one of true, false and NULL where the values are known, all three where one is not.
 *
 *     numbers     compare exactly, with a literal that is a number, or a text that is one; FLOAT
 *                 and DOUBLE as doubles
 *     dates       DATE, DATETIME and TIMESTAMP (in UTC) compare with '2024-12-31' and
 *                 '2024-12-31 23:59:59.999999'
 *     texts       are equal if their UTF-8 is.  Which others are equal is a matter of the
 * collation, which is not known here: texts that differ in nothing but letter case, spaces at the
 * end, and bytes above 7f, may be equal.  Which comes first is known of bytes alone. ENUM, SET   as
 * their text, or, with a number, as theirs
 *
 * Everything else cannot be told.
 */
#ifndef LARDER_MYSQL_WHERE_H
#define LARDER_MYSQL_WHERE_H

#include "mysql/bytes.h"
#include "mysql/pool.h"
#include "mysql/template.h"

#define WHERE_LEN_MAX      4096u /* bytes of its text */
#define WHERE_STEPS_MAX    128u  /* tests and connectives */
#define WHERE_COLUMNS_MAX  32u
#define WHERE_LITERALS_MAX 256u
#define WHERE_DEPTH_MAX    32u /* parentheses, NOTs, and operands that wait */

enum where_step_kind {
    WHERE_EQUAL, /* tests of a column: push */
    WHERE_NOT_EQUAL,
    WHERE_LESS,
    WHERE_LESS_EQUAL,
    WHERE_MORE,
    WHERE_MORE_EQUAL,
    WHERE_IN,
    WHERE_IS_NULL,
    WHERE_NOT, /* takes one, pushes one */
    WHERE_AND, /* takes two, pushes one */
    WHERE_OR,
};

struct where_literal {
    bool is_quoted;
    bool is_number;  /* also a quoted one whose text is one */
    bool is_integer; /* `integer` is its value */
    int64_t integer;
    double real;
    struct bytes text; /* of a quoted one: without quotes */
};

struct where_step {
    uint8_t kind; /* enum where_step_kind */
    uint8_t column;
    uint16_t literal; /* the first */
    uint16_t literal_count;
};

struct where {
    struct bytes source; /* as written */
    uint32_t step_count;
    uint32_t column_count;
    const struct where_step *steps;
    const struct where_literal *literals;
    const struct bytes *columns; /* names */
};

enum where_result {
    WHERE_YES,
    WHERE_NO,
    WHERE_UNKNOWN, /* a value is not in the image, or its comparison cannot be told */
};

/** Compiles a filter.  `out` lives as long as the pool.  `error`: as template_compile() does. */
bool where_compile(struct bytes text, struct pool *pool, struct where *out, char *error,
                   size_t error_cap) __attribute__((warn_unused_result));

/**
 * Whether one image of a row satisfies the filter.
 *
 * slots        for each of the filter's columns where its value is; TEMPLATE_NO_SLOT: not known
 * from_after   the image after the change, else the one before
 */
enum where_result where_eval(const struct where *where, const uint16_t *slots,
                             const struct value *before, const struct value *after, bool from_after,
                             struct template_scratch *scratch) __attribute__((warn_unused_result));

#endif
