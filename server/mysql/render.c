#include "config.h"

#include "mysql/render.h"

#include "mysql/json.h"
#include "mysql/render_priv.h"

#define SECONDS_PER_DAY 86400u
#define DAYS_PER_ERA    146097u /* 400 years */
#define UUID_LEN        16u
#define INET4_LEN       4u

/* -- numbers ---------------------------------------------------------------------------------- */

/** Takes a group of up to nine digits, the most significant byte first; `flip` is ff or 0. */
static uint32_t
take_digits(const uint8_t **at, unsigned digits, uint8_t flip, bool is_first)
{
    static const uint8_t width[10] = { 0, 1, 1, 2, 2, 3, 3, 4, 4, 4 };
    uint32_t number = 0;
    for (unsigned i = 0; i < width[digits]; i++) {
        uint8_t byte = (*at)[i] ^ flip;
        number = number << 8 | (i == 0 && is_first ? byte ^ 0x80u : byte);
    }
    *at += width[digits];
    return number;
}

/*
 * Digits in groups of nine, four bytes each, from the point on to both sides; what is left over in
 * as many bytes as it needs.  The top bit is turned over; of a negative number all bits are.
 */
void
render_decimal(const struct column *column, const uint8_t *at, struct writer *out)
{
    bool is_negative = (at[0] & 0x80) == 0;
    uint8_t flip = is_negative ? 0xff : 0;
    unsigned whole = column->precision - column->decimals;
    bool is_first = true;
    bool has_digits = false;
    if (is_negative) {
        writer_put_char(out, '-');
    }
    for (unsigned left = whole; left > 0;) {
        unsigned digits = left % 9 != 0 ? left % 9 : 9;
        uint32_t number = take_digits(&at, digits, flip, is_first);
        if (has_digits || number > 0) {
            writer_put_number(out, number, has_digits ? digits : 1);
            has_digits = true;
        }
        is_first = false;
        left -= digits;
    }
    if (!has_digits) {
        writer_put_char(out, '0');
    }
    if (column->decimals > 0) {
        writer_put_char(out, '.');
    }
    for (unsigned left = column->decimals; left > 0;) {
        unsigned digits = left > 9 ? 9 : left;
        writer_put_number(out, take_digits(&at, digits, flip, is_first), digits);
        is_first = false;
        left -= digits;
    }
}

/* -- times ------------------------------------------------------------------------------------ */

static void
put_fraction(struct writer *out, uint32_t micro, unsigned decimals)
{
    if (decimals == 0) {
        return;
    }
    for (unsigned i = decimals; i < 6; i++) {
        micro /= 10;
    }
    writer_put_char(out, '.');
    writer_put_number(out, micro, decimals);
}

static void
put_date(struct writer *out, const struct value_time *time)
{
    writer_put_number(out, time->year, 4);
    writer_put_char(out, '-');
    writer_put_number(out, time->month, 2);
    writer_put_char(out, '-');
    writer_put_number(out, time->day, 2);
}

static void
put_clock(struct writer *out, const struct value_time *time, unsigned decimals)
{
    writer_put_number(out, time->hour, 2);
    writer_put_char(out, ':');
    writer_put_number(out, time->minute, 2);
    writer_put_char(out, ':');
    writer_put_number(out, time->second, 2);
    put_fraction(out, time->micro, decimals);
}

static void
put_time(struct writer *out, const struct value_time *time, unsigned decimals)
{
    if (time->is_negative) {
        writer_put_char(out, '-');
    }
    put_clock(out, time, decimals);
}

static void
put_datetime(struct writer *out, const struct value_time *time, unsigned decimals)
{
    put_date(out, time);
    writer_put_char(out, ' ');
    put_clock(out, time, decimals);
}

/**
 * The date of a day since 1970: eras of 400 years that begin in March, so that the day that is not
 * always there comes last.
 */
static void
date_of_day(uint32_t day, struct value_time *out)
{
    uint32_t shifted = day + 719468; /* days from 0000-03-01 */
    uint32_t era = shifted / DAYS_PER_ERA;
    uint32_t in_era = shifted % DAYS_PER_ERA;
    uint32_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    uint32_t in_year = in_era - (365 * year + year / 4 - year / 100);
    uint32_t month = (5 * in_year + 2) / 153; /* from March */
    out->day = (uint8_t)(in_year - (153 * month + 2) / 5 + 1);
    out->month = (uint8_t)(month < 10 ? month + 3 : month - 9);
    out->year = (uint16_t)(year + era * 400 + (out->month <= 2 ? 1 : 0));
}

/** 0 is what a TIMESTAMP has that is no time at all. */
static void
put_timestamp(struct writer *out, uint32_t seconds, uint32_t micro, unsigned decimals)
{
    struct value_time time = { .micro = micro };
    if (seconds != 0) {
        uint32_t in_day = seconds % SECONDS_PER_DAY;
        date_of_day(seconds / SECONDS_PER_DAY, &time);
        time.hour = (uint16_t)(in_day / 3600);
        time.minute = (uint8_t)(in_day / 60 % 60);
        time.second = (uint8_t)(in_day % 60);
    }
    put_datetime(out, &time, decimals);
}

void
render_packed_temporal(uint8_t type, int64_t packed, struct writer *out)
{
    bool is_negative = packed < 0;
    uint64_t size = is_negative ? 0 - (uint64_t)packed : (uint64_t)packed;
    uint64_t whole = size >> 24;
    struct value_time time = { .micro = size & 0xffffff };
    if (type == COLUMN_TIME_OLD) {
        time.is_negative = is_negative;
        time.hour = whole >> 12 & 1023;
        time.minute = whole >> 6 & 63;
        time.second = whole & 63;
        put_time(out, &time, 6);
        return;
    }
    uint32_t year_month = whole >> 22 & 0x1ffff;
    time.year = (uint16_t)(year_month / 13);
    time.month = (uint8_t)(year_month % 13);
    time.day = whole >> 17 & 31;
    time.hour = whole >> 12 & 31;
    time.minute = whole >> 6 & 63;
    time.second = whole & 63;
    if (type == COLUMN_DATE) {
        put_date(out, &time);
    } else {
        put_datetime(out, &time, 6);
    }
}

/* -- texts and bytes -------------------------------------------------------------------------- */

struct sink {
    struct writer *out;
    bool is_json;
};

static void
put_piece(void *context, const uint8_t *text, size_t len)
{
    struct sink *sink = context;
    if (sink->is_json) {
        writer_put_json_text(sink->out, text, len);
    } else {
        writer_put(sink->out, text, len);
    }
}

static enum render_result
put_text(struct writer *out, struct charsets *charsets, unsigned collation, struct bytes text,
         bool is_json, const char **reason)
{
    struct sink sink = { out, is_json };
    switch (charset_convert(charsets, collation, text, put_piece, &sink)) {
    case CHARSET_DONE:
        return RENDER_DONE;
    case CHARSET_UNKNOWN:
        break;
    }
    *reason = "a text whose character set cannot be converted";
    return RENDER_WIDEN;
}

/** The name of an ENUM's or SET's value, from 0 on. */
static bool
find_name(const struct column *column, uint64_t index, struct bytes *out)
{
    struct bytes_cursor cur = bytes_cursor(column->values);
    uint64_t count;
    if (!bytes_take_packed(&cur, &count) || index >= count) {
        return false;
    }
    for (uint64_t i = 0; i <= index; i++) {
        if (!bytes_take_packed_text(&cur, out)) {
            return false;
        }
    }
    return true;
}

static enum render_result
put_choice(struct writer *out, struct charsets *charsets, const struct column *column,
           uint64_t index, bool is_json, const char **reason)
{
    struct bytes name;
    if (column->collation == COLLATION_UNKNOWN || !find_name(column, index, &name)) {
        *reason = "an ENUM or SET whose names the log does not tell (binlog_row_metadata)";
        return RENDER_WIDEN;
    }
    return put_text(out, charsets, column->collation, name, is_json, reason);
}

static enum render_result
put_enum(struct writer *out, struct charsets *charsets, const struct value *value, bool is_json,
         const char **reason)
{
    if (value->unsigned_number == 0) {
        return RENDER_DONE; /* what an INSERT IGNORE of a wrong name leaves: '' */
    }
    return put_choice(out, charsets, value->column, value->unsigned_number - 1, is_json, reason);
}

static enum render_result
put_set(struct writer *out, struct charsets *charsets, const struct value *value, bool is_json,
        const char **reason)
{
    bool has_one = false;
    for (uint64_t bits = value->unsigned_number; bits != 0; bits &= bits - 1) {
        if (has_one) {
            writer_put_char(out, ',');
        }
        has_one = true;
        enum render_result result = put_choice(out, charsets, value->column,
                                               (unsigned)__builtin_ctzll(bits), is_json, reason);
        if (result != RENDER_DONE) {
            return result;
        }
    }
    return RENDER_DONE;
}

static void
put_uuid(struct writer *out, const uint8_t *at)
{
    static const uint8_t groups[] = { 4, 2, 2, 2, 6 };
    for (size_t i = 0; i < sizeof(groups); i++) {
        if (i > 0) {
            writer_put_char(out, '-');
        }
        writer_put_hex(out, at, groups[i]);
        at += groups[i];
    }
}

static void
put_inet4(struct writer *out, const uint8_t *at)
{
    for (unsigned i = 0; i < INET4_LEN; i++) {
        if (i > 0) {
            writer_put_char(out, '.');
        }
        writer_put_number(out, at[i], 1);
    }
}

/** As MariaDB prints it: the longest run of two or more zero groups shortened, the first of equals.
 */
static void
put_inet6(struct writer *out, const uint8_t *at)
{
    unsigned groups[8];
    unsigned gap = 8;
    unsigned gap_len = 1;
    for (unsigned i = 0; i < 8; i++) {
        groups[i] = (unsigned)bytes_number_be(at + 2 * i, 2);
    }
    for (unsigned i = 0; i < 8; i++) {
        unsigned len = 0;
        while (i + len < 8 && groups[i + len] == 0) {
            len++;
        }
        if (len > gap_len) {
            gap = i;
            gap_len = len;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        if (i == gap) {
            writer_put_text(out, "::");
            i += gap_len - 1;
            continue;
        }
        if (i > 0 && i != gap + gap_len) {
            writer_put_char(out, ':');
        }
        bool is_inet4 = gap == 0 && (gap_len == 6 || (gap_len == 5 && groups[5] == 0xffff));
        if (i == 6 && is_inet4) {
            put_inet4(out, at + 12);
            return;
        }
        char hex[4];
        unsigned used = 0;
        for (unsigned rest = groups[i]; rest > 0 || used == 0; rest >>= 4) {
            hex[sizeof(hex) - ++used] = "0123456789abcdef"[rest & 15];
        }
        writer_put(out, hex + sizeof(hex) - used, used);
    }
}

/** Bytes whose meaning someone told us: they come without the NULs at their end. */
static enum render_result
put_meaning(struct writer *out, const struct value *value, const char **reason)
{
    uint8_t padded[UUID_LEN] = { 0 };
    size_t len = value->column->meaning == COLUMN_AS_INET4 ? INET4_LEN : sizeof(padded);
    if (value->bytes.len > len) {
        *reason = "a value that is longer than its type";
        return RENDER_WIDEN;
    }
    if (value->bytes.len > 0) {
        memcpy(padded, value->bytes.at, value->bytes.len);
    }
    switch ((enum column_meaning)value->column->meaning) {
    case COLUMN_AS_UUID:
        put_uuid(out, padded);
        break;
    case COLUMN_AS_INET6:
        put_inet6(out, padded);
        break;
    case COLUMN_AS_INET4:
        put_inet4(out, padded);
        break;
    case COLUMN_AS_LOGGED:
        break;
    }
    return RENDER_DONE;
}

/** BINARY(n) is logged without the NULs at its end, and has them. */
static void
put_binary(struct writer *out, const struct value *value)
{
    static const uint8_t zeros[64] = { 0 };
    writer_put(out, value->bytes.at, value->bytes.len);
    if (value->column->type != COLUMN_STRING) {
        return;
    }
    for (size_t len = value->bytes.len; len < value->column->width;) {
        size_t piece = value->column->width - len;
        piece = piece < sizeof(zeros) ? piece : sizeof(zeros);
        writer_put(out, zeros, piece);
        len += piece;
    }
}

static void
put_binary_json(struct writer *out, const struct value *value)
{
    uint8_t padded[1024]; /* BINARY has at most 255 bytes; a column may claim 1023 */
    if (value->kind != VALUE_BINARY || value->column->type != COLUMN_STRING ||
        value->bytes.len >= value->column->width) {
        writer_put_base64(out, value->bytes.at, value->bytes.len);
        return;
    }
    size_t width = value->column->width < sizeof(padded) ? value->column->width : sizeof(padded);
    memset(padded, 0, width);
    if (value->bytes.len > 0) {
        memcpy(padded, value->bytes.at, value->bytes.len);
    }
    writer_put_base64(out, padded, width);
}

static enum render_result
put_vector_json(struct writer *out, struct bytes bytes, const char **reason)
{
    if (bytes.len % 4 != 0) {
        *reason = "a VECTOR that is no run of floats";
        return RENDER_WIDEN;
    }
    writer_put_char(out, '[');
    for (size_t i = 0; i < bytes.len; i += 4) {
        uint32_t bits = le_get_u32(bytes.at + i);
        float number;
        memcpy(&number, &bits, sizeof(bits));
        if (i > 0) {
            writer_put_text(out, ", ");
        }
        writer_put_real(out, (double)number, true);
    }
    writer_put_char(out, ']');
    return RENDER_DONE;
}

/* -- values ----------------------------------------------------------------------------------- */

/** What stands between the quotes, or all of it where there are none. */
static enum render_result
put_value(const struct value *value, struct charsets *charsets, bool is_json, struct writer *out,
          const char **reason)
{
    const struct column *column = value->column;
    switch (value->kind) {
    case VALUE_ABSENT:
        return RENDER_ABSENT;
    case VALUE_NULL:
        return RENDER_NULL;
    case VALUE_UNREADABLE:
        *reason = value->reason;
        return RENDER_WIDEN;
    case VALUE_INT:
        writer_put_signed(out, value->number);
        return RENDER_DONE;
    case VALUE_UINT:
    case VALUE_BIT:
        writer_put_number(out, value->unsigned_number, 1);
        return RENDER_DONE;
    case VALUE_YEAR:
        writer_put_number(out, value->unsigned_number, is_json ? 1 : 4);
        return RENDER_DONE;
    case VALUE_DECIMAL:
        render_decimal(column, value->bytes.at, out);
        return RENDER_DONE;
    case VALUE_FLOAT:
        writer_put_real(out, (double)value->single, true);
        return RENDER_DONE;
    case VALUE_DOUBLE:
        writer_put_real(out, value->real, false);
        return RENDER_DONE;
    case VALUE_DATE:
        put_date(out, &value->time);
        return RENDER_DONE;
    case VALUE_TIME:
        put_time(out, &value->time, column->decimals);
        return RENDER_DONE;
    case VALUE_DATETIME:
        put_datetime(out, &value->time, column->decimals);
        return RENDER_DONE;
    case VALUE_TIMESTAMP:
        put_timestamp(out, value->timestamp.seconds, value->timestamp.micro, column->decimals);
        return RENDER_DONE;
    case VALUE_TEXT:
        return put_text(out, charsets, column->collation, value->bytes, is_json, reason);
    case VALUE_ENUM:
        return put_enum(out, charsets, value, is_json, reason);
    case VALUE_SET:
        return put_set(out, charsets, value, is_json, reason);
    case VALUE_BINARY:
    case VALUE_GEOMETRY:
        if (column->meaning != COLUMN_AS_LOGGED) {
            return put_meaning(out, value, reason);
        }
        if (is_json) {
            put_binary_json(out, value);
        } else {
            put_binary(out, value);
        }
        return RENDER_DONE;
    case VALUE_VECTOR:
        if (is_json) {
            return put_vector_json(out, value->bytes, reason);
        }
        put_binary(out, value);
        return RENDER_DONE;
    case VALUE_JSON:
        if (!json_write(value->bytes, out)) {
            *reason = "a JSON value that is broken";
            return RENDER_WIDEN;
        }
        return RENDER_DONE;
    }
    return RENDER_ABSENT;
}

static bool
is_quoted(enum value_kind kind)
{
    switch (kind) {
    case VALUE_ABSENT:
    case VALUE_NULL:
    case VALUE_UNREADABLE:
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_DECIMAL:
    case VALUE_FLOAT:
    case VALUE_DOUBLE:
    case VALUE_YEAR:
    case VALUE_BIT:
    case VALUE_JSON:
    case VALUE_VECTOR:
        return false;
    case VALUE_DATE:
    case VALUE_TIME:
    case VALUE_DATETIME:
    case VALUE_TIMESTAMP:
    case VALUE_TEXT:
    case VALUE_BINARY:
    case VALUE_ENUM:
    case VALUE_SET:
    case VALUE_GEOMETRY:
        return true;
    }
    return false;
}

static enum render_result
finish(enum render_result result, const struct writer *out)
{
    return result == RENDER_DONE && out->is_full ? RENDER_FULL : result;
}

enum render_result
render_text(const struct value *value, struct charsets *charsets, struct writer *out,
            const char **reason)
{
    return finish(put_value(value, charsets, false, out, reason), out);
}

enum render_result
render_json(const struct value *value, struct charsets *charsets, struct writer *out,
            const char **reason)
{
    if (value->kind == VALUE_NULL) {
        writer_put_text(out, "null");
        return finish(RENDER_DONE, out);
    }
    bool quoted = is_quoted(value->kind);
    if (quoted) {
        writer_put_char(out, '"');
    }
    enum render_result result = put_value(value, charsets, true, out, reason);
    if (quoted && result == RENDER_DONE) {
        writer_put_char(out, '"');
    }
    return finish(result, out);
}
