#include "config.h"

#include "mysql/json.h"

#include "mysql/render_priv.h"

enum json_type {
    JSON_OBJECT_SMALL = 0, /* small: offsets and counts of two bytes; large: of four */
    JSON_OBJECT_LARGE = 1,
    JSON_ARRAY_SMALL = 2,
    JSON_ARRAY_LARGE = 3,
    JSON_LITERAL = 4,
    JSON_INT16 = 5,
    JSON_UINT16 = 6,
    JSON_INT32 = 7,
    JSON_UINT32 = 8,
    JSON_INT64 = 9,
    JSON_UINT64 = 10,
    JSON_DOUBLE = 11,
    JSON_STRING = 12,
    JSON_OPAQUE = 15, /* a value of a column's type */
};

/* An array or object that is being written.
 *
 *     count, length of all; per key an offset and its length (2); per value its type (1) and its
 *     offset, or the value itself where it fits; keys; values
 */
struct level {
    struct bytes all;
    bool is_object;
    bool is_large;
    uint32_t count;
    uint32_t next;
};

static inline uint32_t
offset_len(const struct level *level)
{
    return level->is_large ? 4 : 2;
}

static inline uint32_t
read_offset(const struct level *level, size_t at)
{
    return level->is_large ? le_get_u32(level->all.at + at) : le_get_u16(level->all.at + at);
}

/** A number in groups of seven bits, the lowest first. */
static bool
take_length(struct bytes_cursor *cur, size_t *out)
{
    uint64_t len = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte;
        if (!bytes_take_u8(cur, &byte)) {
            return false;
        }
        len |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = (size_t)len;
            return len <= UINT32_MAX;
        }
    }
    return false;
}

static bool
open_level(struct bytes bytes, uint8_t type, struct level *out)
{
    *out = (struct level){
        .is_object = type == JSON_OBJECT_SMALL || type == JSON_OBJECT_LARGE,
        .is_large = type == JSON_OBJECT_LARGE || type == JSON_ARRAY_LARGE,
        .all = bytes,
    };
    uint64_t head = 2ull * offset_len(out);
    if (bytes.len < head) {
        return false;
    }
    out->count = read_offset(out, 0);
    uint32_t len = read_offset(out, offset_len(out));
    uint64_t key_entry = out->is_object ? offset_len(out) + 2u : 0;
    uint64_t value_entry = 1u + offset_len(out);
    if (len > bytes.len || head + out->count * (key_entry + value_entry) > len) {
        return false;
    }
    out->all.len = len;
    return true;
}

static void
write_string(struct writer *out, struct bytes text)
{
    writer_put_char(out, '"');
    writer_put_json_text(out, text.at, text.len);
    writer_put_char(out, '"');
}

static bool
write_key(const struct level *level, struct writer *out)
{
    size_t entry = 2u * offset_len(level) + (size_t)level->next * (offset_len(level) + 2u);
    size_t at = read_offset(level, entry);
    size_t len = le_get_u16(level->all.at + entry + offset_len(level));
    if (at > level->all.len || len > level->all.len - at) {
        return false;
    }
    write_string(out, (struct bytes){ level->all.at + at, len });
    writer_put_text(out, ": ");
    return true;
}

/** The type of the column, a length, and the value as a row in memory has it. */
static bool
write_opaque(struct bytes bytes, struct writer *out)
{
    struct bytes_cursor cur = bytes_cursor(bytes);
    struct bytes value;
    uint8_t type;
    size_t len;
    if (!bytes_take_u8(&cur, &type) || !take_length(&cur, &len) || !bytes_take(&cur, len, &value)) {
        return false;
    }
    if (type == COLUMN_DECIMAL) {
        struct column column = { .type = COLUMN_DECIMAL };
        if (value.len < 2) {
            return false;
        }
        column.precision = value.at[0];
        column.decimals = value.at[1];
        column.width = column_decimal_width(column.precision, column.decimals);
        if (column.width == 0 || column.width != value.len - 2) {
            return false;
        }
        render_decimal(&column, value.at + 2, out);
        return true;
    }
    bool is_temporal = type == COLUMN_DATE || type == COLUMN_TIME_OLD ||
                       type == COLUMN_DATETIME_OLD || type == COLUMN_TIMESTAMP_OLD;
    writer_put_char(out, '"');
    if (is_temporal) {
        if (value.len != 8) {
            return false;
        }
        render_packed_temporal(type, (int64_t)le_get_u64(value.at), out);
    } else {
        writer_put_text(out, "base64:type");
        writer_put_number(out, type, 1);
        writer_put_char(out, ':');
        writer_put_base64(out, value.at, value.len);
    }
    writer_put_char(out, '"');
    return true;
}

static void
write_double(uint64_t bits, struct writer *out)
{
    double number;
    memcpy(&number, &bits, sizeof(number));
    size_t start = out->len;
    writer_put_real(out, number, false);
    if (!out->is_full && memchr(out->at + start, '.', out->len - start) == NULL &&
        memchr(out->at + start, 'e', out->len - start) == NULL) {
        writer_put_text(out, ".0");
    }
}

/** Writes a value that is neither array nor object. */
static bool
write_scalar(uint8_t type, struct bytes bytes, struct writer *out)
{
    static const char *const literals[] = { "null", "true", "false" };
    struct bytes_cursor cur = bytes_cursor(bytes);
    uint64_t bits;
    size_t len;
    struct bytes text;
    switch (type) {
    case JSON_LITERAL:
        if (bytes.len < 1 || bytes.at[0] > 2) {
            return false;
        }
        writer_put_text(out, literals[bytes.at[0]]);
        return true;
    case JSON_INT16:
    case JSON_UINT16:
        if (!bytes_take_number(&cur, 2, &bits)) {
            return false;
        }
        writer_put_signed(out, type == JSON_INT16 ? (int16_t)bits : (int64_t)bits);
        return true;
    case JSON_INT32:
    case JSON_UINT32:
        if (!bytes_take_number(&cur, 4, &bits)) {
            return false;
        }
        writer_put_signed(out, type == JSON_INT32 ? (int32_t)bits : (int64_t)bits);
        return true;
    case JSON_INT64:
    case JSON_UINT64:
    case JSON_DOUBLE:
        if (!bytes_take_number(&cur, 8, &bits)) {
            return false;
        }
        if (type == JSON_INT64) {
            writer_put_signed(out, (int64_t)bits);
        } else if (type == JSON_UINT64) {
            writer_put_number(out, bits, 1);
        } else {
            write_double(bits, out);
        }
        return true;
    case JSON_STRING:
        if (!take_length(&cur, &len) || !bytes_take(&cur, len, &text)) {
            return false;
        }
        write_string(out, text);
        return true;
    case JSON_OPAQUE:
        return write_opaque(bytes, out);
    default:
        return false;
    }
}

/** The type and the bytes of a level's next value: in its entry, or where that points to. */
static bool
find_value(const struct level *level, uint8_t *type, struct bytes *out)
{
    size_t key_entry = level->is_object ? offset_len(level) + 2u : 0;
    size_t entry = 2u * offset_len(level) + (size_t)level->count * key_entry +
                   (size_t)level->next * (1u + offset_len(level));
    *type = level->all.at[entry];
    bool is_inside = *type == JSON_LITERAL || *type == JSON_INT16 || *type == JSON_UINT16 ||
                     (level->is_large && (*type == JSON_INT32 || *type == JSON_UINT32));
    size_t at = is_inside ? entry + 1 : read_offset(level, entry + 1);
    if (at > level->all.len) {
        return false;
    }
    *out = (struct bytes){ level->all.at + at, level->all.len - at };
    return true;
}

bool
json_write(struct bytes binary, struct writer *out)
{
    struct level levels[JSON_DEPTH_MAX];
    size_t depth = 0;
    if (binary.len == 0) {
        writer_put_text(out, "null"); /* what an INSERT IGNORE of no value leaves */
        return true;
    }
    uint8_t type = binary.at[0];
    struct bytes value = { binary.at + 1, binary.len - 1 };
    for (;;) {
        if (type <= JSON_ARRAY_LARGE) {
            if (depth == JSON_DEPTH_MAX || !open_level(value, type, &levels[depth])) {
                return false;
            }
            writer_put_char(out, levels[depth].is_object ? '{' : '[');
            depth++;
        } else if (!write_scalar(type, value, out)) {
            return false;
        }
        while (depth > 0 && levels[depth - 1].next == levels[depth - 1].count) {
            depth--;
            writer_put_char(out, levels[depth].is_object ? '}' : ']');
        }
        if (depth == 0 || out->is_full) {
            return true; /* full: broken offsets can make a text that has no end */
        }
        struct level *level = &levels[depth - 1];
        if (level->next > 0) {
            writer_put_text(out, ", ");
        }
        if ((level->is_object && !write_key(level, out)) || !find_value(level, &type, &value)) {
            return false;
        }
        level->next++;
    }
}
