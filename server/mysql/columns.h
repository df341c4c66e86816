/*
 * The columns of a table, as its TABLE_MAP event describes them: what is needed to find a column's
 * value in a row, and to know what it means.
 *
 * How much an event tells depends on the server's binlog_row_metadata.  FULL has all that is here;
 * MySQL's MINIMAL has signs and character sets, no names; MariaDB's NO_LOG has neither.  What is
 * not told the caller may fill in from INFORMATION_SCHEMA, column by column; what stays unknown
 * makes only those values unreadable that depend on it.
 */
#ifndef LARDER_MYSQL_COLUMNS_H
#define LARDER_MYSQL_COLUMNS_H

#include "mysql/event.h"

#define COLLATION_UNKNOWN 0u
#define COLLATION_BINARY  63u /* bytes, no text */

/* As the protocol numbers them. */
enum column_type {
    COLUMN_TINY = 1,
    COLUMN_SHORT = 2,
    COLUMN_LONG = 3,
    COLUMN_FLOAT = 4,
    COLUMN_DOUBLE = 5,
    COLUMN_NULL = 6,
    COLUMN_TIMESTAMP_OLD = 7, /* OLD: as before MySQL 5.6, without fractions */
    COLUMN_LONGLONG = 8,
    COLUMN_INT24 = 9,
    COLUMN_DATE = 10,
    COLUMN_TIME_OLD = 11,
    COLUMN_DATETIME_OLD = 12,
    COLUMN_YEAR = 13,
    COLUMN_NEWDATE = 14,
    COLUMN_VARCHAR = 15,
    COLUMN_BIT = 16,
    COLUMN_TIMESTAMP = 17,
    COLUMN_DATETIME = 18,
    COLUMN_TIME = 19,
    COLUMN_BLOB_COMPRESSED = 140, /* MariaDB's, as the next */
    COLUMN_VARCHAR_COMPRESSED = 141,
    COLUMN_VECTOR = 242,
    COLUMN_JSON = 245,
    COLUMN_DECIMAL = 246,
    COLUMN_ENUM = 247,
    COLUMN_SET = 248,
    COLUMN_TINY_BLOB = 249,
    COLUMN_MEDIUM_BLOB = 250,
    COLUMN_LONG_BLOB = 251,
    COLUMN_BLOB = 252,
    COLUMN_VAR_STRING = 253,
    COLUMN_STRING = 254,
    COLUMN_GEOMETRY = 255,
};

/** What a binary column stands for.  No log tells: MariaDB's own types look like BINARY there. */
enum column_meaning {
    COLUMN_AS_LOGGED,
    COLUMN_AS_UUID,  /* BINARY(16) */
    COLUMN_AS_INET6, /* BINARY(16) */
    COLUMN_AS_INET4, /* BINARY(4) */
};

struct column {
    uint8_t type;       /* enum column_type */
    uint8_t prefix;     /* bytes of the length before each value; 0: `width` bytes each */
    uint8_t precision;  /* DECIMAL: digits; BIT: bits */
    uint8_t decimals;   /* digits of a fraction: DECIMAL and temporals */
    uint32_t width;     /* bytes; of CHAR and BINARY the longest value */
    uint16_t collation; /* of text, ENUM, SET */
    uint8_t meaning;    /* enum column_meaning; from the caller */
    bool is_nullable;
    bool is_invisible;
    bool is_signed_known;
    bool is_unsigned;
    bool in_primary_key;
    struct bytes name;   /* empty: not told */
    struct bytes values; /* ENUM, SET: packed number of names, packed names; empty: not told */
};

enum columns_result {
    COLUMNS_PARSED,
    COLUMNS_UNKNOWN_TYPE, /* rows of this table cannot be walked over: widen to the table */
    COLUMNS_NO_ROOM,
    COLUMNS_BAD,
};

/**
 * Describes the columns of a table.  What they point to is borrowed from the event's bytes.
 *
 * columns, columns_max   the caller's; `map->column_count` of them are written
 *
 * Source: rows_event.h of MySQL, "Table_map_event"; INFORMATION_SCHEMA of the recorded logs.
 */
enum columns_result columns_parse(const struct event_table_map *map, struct column *columns,
                                  size_t columns_max) __attribute__((warn_unused_result));

/** Whether the type is text (or bytes) of any length, with a collation. */
bool column_is_text(const struct column *column);

/** The bytes that a DECIMAL takes; 0 if there is no such DECIMAL. */
uint32_t column_decimal_width(unsigned precision, unsigned decimals);

#endif
