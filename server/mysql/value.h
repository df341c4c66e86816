/*
 * One value of a row: found and told apart, not yet rendered.
 *
 * Texts, BLOBs and the like are borrowed from the event.  See render.h for texts.
 */
#ifndef LARDER_MYSQL_VALUE_H
#define LARDER_MYSQL_VALUE_H

#include "mysql/columns.h"

enum value_kind {
    VALUE_ABSENT, /* the row's image does not hold the column */
    VALUE_NULL,
    VALUE_INT,
    VALUE_UINT,
    VALUE_DECIMAL,
    VALUE_FLOAT,
    VALUE_DOUBLE,
    VALUE_YEAR,
    VALUE_DATE,
    VALUE_TIME,
    VALUE_DATETIME,
    VALUE_TIMESTAMP,
    VALUE_TEXT,
    VALUE_BINARY,
    VALUE_ENUM,
    VALUE_SET,
    VALUE_BIT,
    VALUE_JSON,
    VALUE_GEOMETRY,
    VALUE_VECTOR,
    VALUE_UNREADABLE, /* there, and cannot be told: widen, for `reason` */
};

struct value_time {
    bool is_negative; /* TIME */
    uint16_t year;
    uint8_t month;
    uint8_t day;
    uint16_t hour;
    uint8_t minute;
    uint8_t second;
    uint32_t micro; /* seconds / 10^6 */
};

struct value {
    enum value_kind kind;
    const struct column *column;
    union {
        int64_t number;           /* INT */
        uint64_t unsigned_number; /* UINT, YEAR, ENUM (from 1 on; 0: ''), SET and BIT (bits) */
        float single;
        double real;
        struct value_time time; /* DATE, TIME, DATETIME */
        struct {
            uint32_t seconds; /* since 1970, UTC */
            uint32_t micro;
        } timestamp;
        struct bytes
            bytes; /* TEXT; BINARY, without NULs at its end; DECIMAL, JSON, ... as logged */
        const char *reason; /* static text */
    };
};

/** The bytes that the column's next value takes, which is not NULL; false if they are not there. */
static inline bool
value_take_bytes(const struct column *column, struct bytes_cursor *cur, struct bytes *out)
{
    size_t left = bytes_left(cur);
    size_t prefix = column->prefix;
    if (prefix == 0) {
        return bytes_take(cur, column->width, out);
    }
    if (left < prefix) {
        return false;
    }
    size_t len = prefix == 1   ? cur->at[0]
                 : prefix == 2 ? le_get_u16(cur->at)
                 : prefix == 3 ? le_get_u24(cur->at)
                               : le_get_u32(cur->at);
    if (left - prefix < len) {
        return false;
    }
    *out = (struct bytes){ cur->at + prefix, len };
    cur->at += prefix + len;
    return true;
}

/** Tells what the bytes of a column's value mean. */
void value_decode(const struct column *column, struct bytes bytes, struct value *out);

#endif
