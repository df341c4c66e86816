#include "config.h"

#include "mysql/value.h"

#include "base/assert.h"

#define TIME_ZERO     0x800000u       /* of three bytes: what stands for 00:00:00 */
#define DATETIME_ZERO 0x8000000000ull /* of five bytes */

static void
unreadable(struct value *out, const char *reason)
{
    out->kind = VALUE_UNREADABLE;
    out->reason = reason;
}

/** A number whose sign nobody told is readable as long as it is the same either way. */
static void
decode_integer(const struct column *column, struct bytes bytes, struct value *out)
{
    unsigned shift = 64 - 8 * (unsigned)bytes.len;
    uint64_t bits = bytes_number(bytes.at, bytes.len);
    int64_t number = (int64_t)(bits << shift) >> shift;
    if (!column->is_signed_known && number < 0) {
        unreadable(out, "a number whose sign the log does not tell (binlog_row_metadata)");
    } else if (column->is_unsigned) {
        out->kind = VALUE_UINT;
        out->unsigned_number = bits;
    } else {
        out->kind = VALUE_INT;
        out->number = number;
    }
}

/** The fraction behind a temporal, in 1 to 3 bytes, as microseconds. */
static uint32_t
fraction(const struct column *column, const uint8_t *at)
{
    size_t len = (column->decimals + 1u) / 2;
    uint32_t number = (uint32_t)bytes_number_be(at, len);
    return len == 1 ? number * 10000 : len == 2 ? number * 100 : number;
}

/** Three bytes: year (15 bits), month (4), day (5). */
static void
decode_date(struct bytes bytes, struct value *out)
{
    uint32_t bits = le_get_u24(bytes.at);
    out->kind = VALUE_DATE;
    out->time = (struct value_time){
        .year = (uint16_t)(bits >> 9),
        .month = (uint8_t)(bits >> 5 & 15),
        .day = (uint8_t)(bits & 31),
    };
}

/**
 * Three bytes, the highest first: sign, a bit unused, hour (10 bits), minute (6), second (6); then
 * the fraction.  A negative time is the two's complement of all of it.
 */
static void
decode_time(struct bytes bytes, struct value *out)
{
    unsigned fraction_bits = 8 * (unsigned)(bytes.len - 3);
    int64_t all = (int64_t)bytes_number_be(bytes.at, bytes.len);
    all -= (int64_t)TIME_ZERO << fraction_bits;
    bool is_negative = all < 0;
    uint64_t size = (uint64_t)(is_negative ? -all : all);
    uint64_t whole = size >> fraction_bits;
    uint32_t rest = (uint32_t)(size & ((1ull << fraction_bits) - 1));
    unsigned scale = bytes.len == 4 ? 10000 : bytes.len == 5 ? 100 : 1;
    out->kind = VALUE_TIME;
    out->time = (struct value_time){
        .is_negative = is_negative,
        .hour = whole >> 12 & 1023,
        .minute = whole >> 6 & 63,
        .second = whole & 63,
        .micro = rest * scale,
    };
}

/**
 * Five bytes, the highest first: sign, year * 13 + month (17 bits), day (5), hour (5), minute (6),
 * second (6); then the fraction.
 */
static void
decode_datetime(const struct column *column, struct bytes bytes, struct value *out)
{
    uint64_t bits = bytes_number_be(bytes.at, 5) - DATETIME_ZERO;
    uint32_t year_month = bits >> 22 & 0x1ffff;
    out->kind = VALUE_DATETIME;
    out->time = (struct value_time){
        .year = (uint16_t)(year_month / 13),
        .month = (uint8_t)(year_month % 13),
        .day = bits >> 17 & 31,
        .hour = bits >> 12 & 31,
        .minute = bits >> 6 & 63,
        .second = bits & 63,
        .micro = fraction(column, bytes.at + 5),
    };
}

/** As a decimal number: hhmmss, three bytes with a sign. */
static void
decode_time_old(struct bytes bytes, struct value *out)
{
    int32_t number = (int32_t)(le_get_u24(bytes.at) << 8) >> 8;
    uint32_t size = (uint32_t)(number < 0 ? -number : number);
    out->kind = VALUE_TIME;
    out->time = (struct value_time){
        .is_negative = number < 0,
        .hour = (uint16_t)(size / 10000),
        .minute = (uint8_t)(size / 100 % 100),
        .second = (uint8_t)(size % 100),
    };
}

/** As a decimal number: yyyymmddhhmmss. */
static void
decode_datetime_old(struct bytes bytes, struct value *out)
{
    uint64_t number = le_get_u64(bytes.at);
    uint64_t date = number / 1000000;
    uint32_t time = (uint32_t)(number % 1000000);
    if (date > 99999999) {
        unreadable(out, "a DATETIME that cannot be");
        return;
    }
    out->kind = VALUE_DATETIME;
    out->time = (struct value_time){
        .year = (uint16_t)(date / 10000),
        .month = (uint8_t)(date / 100 % 100),
        .day = (uint8_t)(date % 100),
        .hour = (uint16_t)(time / 10000),
        .minute = (uint8_t)(time / 100 % 100),
        .second = (uint8_t)(time % 100),
    };
}

static void
decode_text(const struct column *column, struct bytes bytes, struct value *out)
{
    if (column->meaning != COLUMN_AS_LOGGED || column->collation == COLLATION_BINARY) {
        out->kind = VALUE_BINARY;
    } else if (column->collation == COLLATION_UNKNOWN) {
        unreadable(out, "a text whose character set the log does not tell (binlog_row_metadata)");
        return;
    } else {
        out->kind = VALUE_TEXT;
    }
    out->bytes = bytes;
}

static void
decode_bytes(enum value_kind kind, struct bytes bytes, struct value *out)
{
    out->kind = kind;
    out->bytes = bytes;
}

static void
decode_bits(enum value_kind kind, uint64_t bits, struct value *out)
{
    out->kind = kind;
    out->unsigned_number = bits;
}

void
value_decode(const struct column *column, struct bytes bytes, struct value *out)
{
    assert(column->prefix > 0 || bytes.len == column->width);
    out->column = column;
    switch ((enum column_type)column->type) {
    case COLUMN_TINY:
    case COLUMN_SHORT:
    case COLUMN_INT24:
    case COLUMN_LONG:
    case COLUMN_LONGLONG:
        decode_integer(column, bytes, out);
        return;
    case COLUMN_FLOAT: {
        uint32_t bits = le_get_u32(bytes.at);
        out->kind = VALUE_FLOAT;
        memcpy(&out->single, &bits, sizeof(bits));
        return;
    }
    case COLUMN_DOUBLE: {
        uint64_t bits = le_get_u64(bytes.at);
        out->kind = VALUE_DOUBLE;
        memcpy(&out->real, &bits, sizeof(bits));
        return;
    }
    case COLUMN_DECIMAL:
        decode_bytes(VALUE_DECIMAL, bytes, out);
        return;
    case COLUMN_YEAR:
        decode_bits(VALUE_YEAR, bytes.at[0] == 0 ? 0 : 1900u + bytes.at[0], out);
        return;
    case COLUMN_DATE:
    case COLUMN_NEWDATE:
        decode_date(bytes, out);
        return;
    case COLUMN_TIME:
        decode_time(bytes, out);
        return;
    case COLUMN_DATETIME:
        decode_datetime(column, bytes, out);
        return;
    case COLUMN_TIMESTAMP:
        out->kind = VALUE_TIMESTAMP;
        out->timestamp.seconds = (uint32_t)bytes_number_be(bytes.at, 4);
        out->timestamp.micro = fraction(column, bytes.at + 4);
        return;
    case COLUMN_TIME_OLD:
        decode_time_old(bytes, out);
        return;
    case COLUMN_DATETIME_OLD:
        decode_datetime_old(bytes, out);
        return;
    case COLUMN_TIMESTAMP_OLD:
        out->kind = VALUE_TIMESTAMP;
        out->timestamp.seconds = le_get_u32(bytes.at);
        out->timestamp.micro = 0;
        return;
    case COLUMN_ENUM:
        decode_bits(VALUE_ENUM, bytes_number(bytes.at, bytes.len), out);
        return;
    case COLUMN_SET:
        decode_bits(VALUE_SET, bytes_number(bytes.at, bytes.len), out);
        return;
    case COLUMN_BIT:
        decode_bits(VALUE_BIT, bytes_number_be(bytes.at, bytes.len), out);
        return;
    case COLUMN_STRING:
    case COLUMN_VAR_STRING:
    case COLUMN_VARCHAR:
    case COLUMN_BLOB:
    case COLUMN_TINY_BLOB:
    case COLUMN_MEDIUM_BLOB:
    case COLUMN_LONG_BLOB:
        decode_text(column, bytes, out);
        return;
    case COLUMN_JSON:
        decode_bytes(VALUE_JSON, bytes, out);
        return;
    case COLUMN_GEOMETRY:
        decode_bytes(VALUE_GEOMETRY, bytes, out);
        return;
    case COLUMN_VECTOR:
        decode_bytes(VALUE_VECTOR, bytes, out);
        return;
    case COLUMN_BLOB_COMPRESSED:
    case COLUMN_VARCHAR_COMPRESSED:
        unreadable(out, "a compressed column");
        return;
    case COLUMN_NULL:
        out->kind = VALUE_NULL;
        return;
    }
    unreadable(out, "a type that is not known");
}
