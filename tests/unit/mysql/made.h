/*
 * Rows that no server made: columns a, b, c, ... and values written as
 *
 *     12 -3          INT                  'text'      TEXT, utf8mb4
 *     u12            UINT                 b'text'     BINARY
 *     f1.5 d1.5      FLOAT, DOUBLE        n-12.50     DECIMAL(10,2)
 *     y2024          YEAR                 t2024-12-31 23:59:59    DATETIME
 *     e1             ENUM('draft','sent') NULL
 *     -              not in the image     !           unreadable
 *
 * with | between them.
 */
#ifndef LARDER_TESTS_UNIT_MYSQL_MADE_H
#define LARDER_TESTS_UNIT_MYSQL_MADE_H

#include "mysql/row.h"
#include "support/guard.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define MADE_COLUMNS   8u
#define COLLATION_UTF8 45u /* utf8mb4_general_ci */
#define MADE_TEXT_CAP  1024u
#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))

static inline struct bytes
made_bytes(const char *text)
{
    return (struct bytes){ (const uint8_t *)text, text == NULL ? 0 : strlen(text) };
}

/** What values point to: by kind, since values of one column may differ in it here. */
static struct column made_text = { .type = COLUMN_VARCHAR,
                                   .prefix = 1,
                                   .collation = COLLATION_UTF8 };
static struct column made_binary = { .type = COLUMN_VARCHAR,
                                     .prefix = 1,
                                     .collation = COLLATION_BINARY };
static struct column made_number = { .type = COLUMN_LONGLONG, .width = 8 };
static struct column made_decimal = {
    .type = COLUMN_DECIMAL, .width = 5, .precision = 10, .decimals = 2
};
static struct column made_datetime = { .type = COLUMN_DATETIME };
static struct column made_enum = { .type = COLUMN_ENUM,
                                   .width = 1,
                                   .collation = COLLATION_UTF8,
                                   .values = { (const uint8_t *)"\2\5draft\4sent", 12 } };

static inline void
make_decimal(const char *text, struct value *out)
{
    double number = strtod(text, NULL);
    uint64_t cents = (uint64_t)((number < 0 ? -number : number) * 100 + 0.5);
    uint8_t *bytes = malloc(5);
    uint64_t whole = cents / 100 | 0x80000000u;
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(whole >> (24 - 8 * i));
    }
    bytes[4] = (uint8_t)(cents % 100);
    for (int i = 0; i < 5 && number < 0; i++) {
        bytes[i] = (uint8_t)~bytes[i];
    }
    *out = (struct value){ .kind = VALUE_DECIMAL, .column = &made_decimal };
    out->bytes.at = guard_copy((const char *)bytes, 5);
    out->bytes.len = 5;
    free(bytes);
}

static inline void
make_text(const char *text, size_t len, struct value *out)
{
    bool is_binary = *text == 'b';
    text += is_binary ? 2 : 1;
    len -= is_binary ? 3 : 2;
    *out = (struct value){ .kind = is_binary ? VALUE_BINARY : VALUE_TEXT,
                           .column = is_binary ? &made_binary : &made_text };
    out->bytes.at = guard_copy(text, len);
    out->bytes.len = len;
}

static inline void
make_datetime(const char *text, struct value *out)
{
    unsigned part[6] = { 0 };
    int count = sscanf(text, "%u-%u-%u %u:%u:%u", &part[0], &part[1], &part[2], &part[3], &part[4],
                       &part[5]);
    ck_assert_int_eq(count, 6);
    *out = (struct value){ .kind = VALUE_DATETIME, .column = &made_datetime };
    out->time = (struct value_time){ .year = (uint16_t)part[0],
                                     .month = (uint8_t)part[1],
                                     .day = (uint8_t)part[2],
                                     .hour = (uint16_t)part[3],
                                     .minute = (uint8_t)part[4],
                                     .second = (uint8_t)part[5] };
}

static inline void
make_value(const char *text, size_t len, struct value *out)
{
    char copy[MADE_TEXT_CAP];
    ck_assert_uint_lt(len, sizeof(copy));
    memcpy(copy, text, len);
    copy[len] = 0;
    *out = (struct value){ .kind = VALUE_NULL, .column = &made_number };
    switch (copy[0]) {
    case '\'':
    case 'b':
        make_text(copy, len, out);
        return;
    case 'N':
        return;
    case '!':
        out->kind = VALUE_UNREADABLE;
        out->reason = "made unreadable";
        return;
    case 'u':
        out->kind = VALUE_UINT;
        out->unsigned_number = strtoull(copy + 1, NULL, 10);
        return;
    case 'y':
        out->kind = VALUE_YEAR;
        out->unsigned_number = strtoull(copy + 1, NULL, 10);
        return;
    case 'e':
        out->kind = VALUE_ENUM;
        out->column = &made_enum;
        out->unsigned_number = strtoull(copy + 1, NULL, 10);
        return;
    case 'f':
        out->kind = VALUE_FLOAT;
        out->single = strtof(copy + 1, NULL);
        return;
    case 'd':
        out->kind = VALUE_DOUBLE;
        out->real = strtod(copy + 1, NULL);
        return;
    case 'n':
        make_decimal(copy + 1, out);
        return;
    case 't':
        make_datetime(copy + 1, out);
        return;
    case '-':
        if (len == 1) {
            out->kind = VALUE_ABSENT;
            return;
        }
        break;
    default:
        break;
    }
    out->kind = VALUE_INT;
    out->number = strtoll(copy, NULL, 10);
}

/** Makes an image; NULL stays NULL. */
static inline const struct value *
make_image(const char *text, struct value *out)
{
    if (text == NULL) {
        return NULL;
    }
    for (size_t i = 0; *text != 0; i++) {
        size_t len = strcspn(text, "|");
        ck_assert_uint_lt(i, MADE_COLUMNS);
        make_value(text, len, &out[i]);
        text += len + (text[len] == '|');
    }
    return out;
}

/** The slot of column "a", "b", ...; names in capitals are the same. */
static inline uint16_t
made_slot(struct bytes name)
{
    uint16_t slot = name.len == 1 ? (uint16_t)((name.at[0] | 0x20) - 'a') : UINT16_MAX;
    return slot < MADE_COLUMNS ? slot : UINT16_MAX;
}

#endif
