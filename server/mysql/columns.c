#include "config.h"

#include "mysql/columns.h"

#define PRECISION_MAX 65u /* digits of a DECIMAL */
#define DECIMALS_MAX  38u /* digits of its fraction; MySQL has 30 */
#define FRACTION_MAX  6u  /* digits of a second's fraction */
#define BIT_MAX       64u
#define SET_WIDTH_MAX 8u /* bytes */

/* Bytes that a DECIMAL's digits beyond whole groups of nine take. */
static const uint8_t digits_width[9] = { 0, 1, 1, 2, 2, 3, 3, 4, 4 };

uint32_t
column_decimal_width(unsigned precision, unsigned decimals)
{
    if (precision == 0 || precision > PRECISION_MAX || decimals > DECIMALS_MAX ||
        decimals > precision) {
        return 0;
    }
    unsigned whole = precision - decimals;
    return whole / 9 * 4 + digits_width[whole % 9] + decimals / 9 * 4 + digits_width[decimals % 9];
}

bool
column_is_text(const struct column *column)
{
    switch (column->type) {
    case COLUMN_STRING:
    case COLUMN_VAR_STRING:
    case COLUMN_VARCHAR:
    case COLUMN_BLOB:
    case COLUMN_TINY_BLOB:
    case COLUMN_MEDIUM_BLOB:
    case COLUMN_LONG_BLOB:
    case COLUMN_BLOB_COMPRESSED:
    case COLUMN_VARCHAR_COMPRESSED:
        return true;
    default:
        return false;
    }
}

/** Both families take a YEAR for a number: what MariaDB's own mariadb-binlog prints is wrong. */
static bool
is_number(const struct column *column)
{
    switch (column->type) {
    case COLUMN_TINY:
    case COLUMN_SHORT:
    case COLUMN_INT24:
    case COLUMN_LONG:
    case COLUMN_LONGLONG:
    case COLUMN_DECIMAL:
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
    case COLUMN_YEAR:
        return true;
    default:
        return false;
    }
}

static bool
is_named_choice(const struct column *column)
{
    return column->type == COLUMN_ENUM || column->type == COLUMN_SET;
}

static enum columns_result
fixed(struct column *column, uint32_t width)
{
    column->width = width;
    return width > 0 ? COLUMNS_PARSED : COLUMNS_BAD;
}

static enum columns_result
take_temporal(struct bytes_cursor *meta, uint32_t width, struct column *column)
{
    if (!bytes_take_u8(meta, &column->decimals) || column->decimals > FRACTION_MAX) {
        return COLUMNS_BAD;
    }
    return fixed(column, width + (column->decimals + 1u) / 2);
}

static enum columns_result
take_bit(struct bytes_cursor *meta, struct column *column)
{
    uint8_t bits, bytes;
    if (!bytes_take_u8(meta, &bits) || !bytes_take_u8(meta, &bytes) || bits > 7 ||
        bytes * 8u + bits > BIT_MAX) {
        return COLUMNS_BAD;
    }
    column->precision = (uint8_t)(bytes * 8u + bits);
    return fixed(column, bytes + (bits > 0 ? 1u : 0u));
}

static enum columns_result
take_decimal(struct bytes_cursor *meta, struct column *column)
{
    if (!bytes_take_u8(meta, &column->precision) || !bytes_take_u8(meta, &column->decimals)) {
        return COLUMNS_BAD;
    }
    return fixed(column, column_decimal_width(column->precision, column->decimals));
}

static enum columns_result
take_varchar(struct bytes_cursor *meta, struct column *column)
{
    uint16_t width;
    if (!bytes_take_u16(meta, &width)) {
        return COLUMNS_BAD;
    }
    column->width = width;
    column->prefix = width > 255 ? 2 : 1;
    return COLUMNS_PARSED;
}

static enum columns_result
take_blob(struct bytes_cursor *meta, struct column *column)
{
    if (!bytes_take_u8(meta, &column->prefix) || column->prefix < 1 || column->prefix > 4) {
        return COLUMNS_BAD;
    }
    return COLUMNS_PARSED;
}

/**
 * CHAR, BINARY, ENUM and SET.  The first byte is the real type; of a CHAR of more than 255 bytes it
 * also holds, turned over, bits 8 and 9 of the length.
 */
static enum columns_result
take_string(struct bytes_cursor *meta, struct column *column)
{
    uint8_t type, width;
    if (!bytes_take_u8(meta, &type) || !bytes_take_u8(meta, &width)) {
        return COLUMNS_BAD;
    }
    column->width = width;
    if ((type & 0x30) != 0x30) {
        column->width |= (uint32_t)((type & 0x30) ^ 0x30) << 4;
        type |= 0x30;
    }
    column->type = type;
    if (type == COLUMN_ENUM || type == COLUMN_SET) {
        return width <= (type == COLUMN_ENUM ? 2 : SET_WIDTH_MAX) ? fixed(column, width)
                                                                  : COLUMNS_BAD;
    }
    column->prefix = column->width > 255 ? 2 : 1;
    return type == COLUMN_STRING || type == COLUMN_VAR_STRING ? COLUMNS_PARSED : COLUMNS_BAD;
}

static enum columns_result
take_column(struct bytes_cursor *meta, struct column *column)
{
    switch (column->type) {
    case COLUMN_TINY:
    case COLUMN_YEAR:
        return fixed(column, 1);
    case COLUMN_SHORT:
        return fixed(column, 2);
    case COLUMN_INT24:
    case COLUMN_DATE:
    case COLUMN_NEWDATE:
    case COLUMN_TIME_OLD:
        return fixed(column, 3);
    case COLUMN_LONG:
    case COLUMN_TIMESTAMP_OLD:
        return fixed(column, 4);
    case COLUMN_LONGLONG:
    case COLUMN_DATETIME_OLD:
        return fixed(column, 8);
    case COLUMN_FLOAT:
        return bytes_skip(meta, 1) ? fixed(column, 4) : COLUMNS_BAD;
    case COLUMN_DOUBLE:
        return bytes_skip(meta, 1) ? fixed(column, 8) : COLUMNS_BAD;
    case COLUMN_NULL:
        return COLUMNS_PARSED;
    case COLUMN_TIMESTAMP:
        return take_temporal(meta, 4, column);
    case COLUMN_DATETIME:
        return take_temporal(meta, 5, column);
    case COLUMN_TIME:
        return take_temporal(meta, 3, column);
    case COLUMN_BIT:
        return take_bit(meta, column);
    case COLUMN_DECIMAL:
        return take_decimal(meta, column);
    case COLUMN_VARCHAR:
    case COLUMN_VARCHAR_COMPRESSED:
        return take_varchar(meta, column);
    case COLUMN_BLOB:
    case COLUMN_TINY_BLOB:
    case COLUMN_MEDIUM_BLOB:
    case COLUMN_LONG_BLOB:
    case COLUMN_BLOB_COMPRESSED:
    case COLUMN_GEOMETRY:
    case COLUMN_JSON:
    case COLUMN_VECTOR:
        return take_blob(meta, column);
    case COLUMN_ENUM:
    case COLUMN_SET:
    case COLUMN_VAR_STRING:
    case COLUMN_STRING:
        return take_string(meta, column);
    default:
        return COLUMNS_UNKNOWN_TYPE;
    }
}

/* -- optional metadata: fields of a type, a packed length and a value each -------------------- */

enum field {
    FIELD_SIGNEDNESS = 1,
    FIELD_DEFAULT_CHARSET = 2,
    FIELD_COLUMN_CHARSET = 3,
    FIELD_COLUMN_NAME = 4,
    FIELD_SET_VALUES = 5,
    FIELD_ENUM_VALUES = 6,
    FIELD_GEOMETRY_TYPE = 7,
    FIELD_PRIMARY_KEY = 8,
    FIELD_PRIMARY_KEY_PREFIX = 9,
    FIELD_ENUM_SET_DEFAULT_CHARSET = 10,
    FIELD_ENUM_SET_COLUMN_CHARSET = 11,
    FIELD_VISIBILITY = 12,
};

typedef bool column_test(const struct column *column);

/** The next column from `*i` on that the test holds for; NULL if there is none. */
static struct column *
next_column(struct column *columns, size_t count, column_test *test, size_t *i)
{
    while (*i < count) {
        struct column *column = &columns[(*i)++];
        if (test == NULL || test(column)) {
            return column;
        }
    }
    return NULL;
}

static bool
is_enum(const struct column *column)
{
    return column->type == COLUMN_ENUM;
}

static bool
is_set(const struct column *column)
{
    return column->type == COLUMN_SET;
}

/** One bit per number, the highest of a byte first. */
static bool
take_signs(struct bytes value, struct column *columns, size_t count)
{
    size_t i = 0;
    size_t bit = 0;
    for (struct column *column; (column = next_column(columns, count, is_number, &i)) != NULL;
         bit++) {
        if (bit / 8 >= value.len) {
            return false;
        }
        column->is_signed_known = true;
        column->is_unsigned = (value.at[bit / 8] >> (7 - bit % 8) & 1) != 0;
    }
    return true;
}

/** The collation of most columns, then pairs of a number among those of the kind and its own. */
static bool
take_default_collation(struct bytes value, column_test *test, struct column *columns, size_t count)
{
    struct bytes_cursor cur = bytes_cursor(value);
    uint64_t usual;
    if (!bytes_take_packed(&cur, &usual) || usual > UINT16_MAX) {
        return false;
    }
    uint64_t other_index = UINT64_MAX;
    uint64_t other = 0;
    uint64_t index = 0;
    size_t i = 0;
    bool is_pair_taken = true;
    for (struct column *column; (column = next_column(columns, count, test, &i)) != NULL; index++) {
        if (is_pair_taken && bytes_left(&cur) > 0) {
            if (!bytes_take_packed(&cur, &other_index) || !bytes_take_packed(&cur, &other) ||
                other_index < index || other > UINT16_MAX) {
                return false;
            }
            is_pair_taken = false;
        }
        is_pair_taken = is_pair_taken || other_index == index;
        column->collation = (uint16_t)(other_index == index ? other : usual);
    }
    return is_pair_taken && bytes_left(&cur) == 0;
}

static bool
take_collations(struct bytes value, column_test *test, struct column *columns, size_t count)
{
    struct bytes_cursor cur = bytes_cursor(value);
    size_t i = 0;
    for (struct column *column; (column = next_column(columns, count, test, &i)) != NULL;) {
        uint64_t collation;
        if (!bytes_take_packed(&cur, &collation) || collation > UINT16_MAX) {
            return false;
        }
        column->collation = (uint16_t)collation;
    }
    return true;
}

static bool
take_names(struct bytes value, struct column *columns, size_t count)
{
    struct bytes_cursor cur = bytes_cursor(value);
    for (size_t i = 0; i < count; i++) {
        if (!bytes_take_packed_text(&cur, &columns[i].name)) {
            return false;
        }
    }
    return true;
}

/** For each column of the kind a packed number of names, and these. */
static bool
take_values(struct bytes value, column_test *test, struct column *columns, size_t count)
{
    struct bytes_cursor cur = bytes_cursor(value);
    size_t i = 0;
    for (struct column *column; (column = next_column(columns, count, test, &i)) != NULL;) {
        const uint8_t *start = cur.at;
        uint64_t names;
        if (!bytes_take_packed(&cur, &names)) {
            return false;
        }
        for (uint64_t n = 0; n < names; n++) {
            struct bytes name;
            if (!bytes_take_packed_text(&cur, &name)) {
                return false; /* each takes a byte: the loop ends with the bytes */
            }
        }
        column->values = (struct bytes){ start, (size_t)(cur.at - start) };
    }
    return true;
}

static bool
take_primary_key(struct bytes value, bool with_prefix, struct column *columns, size_t count)
{
    struct bytes_cursor cur = bytes_cursor(value);
    while (bytes_left(&cur) > 0) {
        uint64_t index, prefix;
        if (!bytes_take_packed(&cur, &index) || index >= count ||
            (with_prefix && !bytes_take_packed(&cur, &prefix))) {
            return false;
        }
        columns[index].in_primary_key = true;
    }
    return true;
}

static bool
take_visibility(struct bytes value, struct column *columns, size_t count)
{
    if (value.len < bytes_of_bits(count)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        columns[i].is_invisible = (value.at[i / 8] >> (7 - i % 8) & 1) == 0;
    }
    return true;
}

static bool
take_field(uint8_t field, struct bytes value, struct column *columns, size_t count)
{
    switch (field) {
    case FIELD_SIGNEDNESS:
        return take_signs(value, columns, count);
    case FIELD_DEFAULT_CHARSET:
        return take_default_collation(value, column_is_text, columns, count);
    case FIELD_COLUMN_CHARSET:
        return take_collations(value, column_is_text, columns, count);
    case FIELD_COLUMN_NAME:
        return take_names(value, columns, count);
    case FIELD_SET_VALUES:
        return take_values(value, is_set, columns, count);
    case FIELD_ENUM_VALUES:
        return take_values(value, is_enum, columns, count);
    case FIELD_PRIMARY_KEY:
        return take_primary_key(value, false, columns, count);
    case FIELD_PRIMARY_KEY_PREFIX:
        return take_primary_key(value, true, columns, count);
    case FIELD_ENUM_SET_DEFAULT_CHARSET:
        return take_default_collation(value, is_named_choice, columns, count);
    case FIELD_ENUM_SET_COLUMN_CHARSET:
        return take_collations(value, is_named_choice, columns, count);
    case FIELD_VISIBILITY:
        return take_visibility(value, columns, count);
    default: /* FIELD_GEOMETRY_TYPE, and those to come */
        return true;
    }
}

enum columns_result
columns_parse(const struct event_table_map *map, struct column *columns, size_t columns_max)
{
    size_t count = map->column_count;
    if (count > columns_max) {
        return COLUMNS_NO_ROOM;
    }
    struct bytes_cursor meta = bytes_cursor(map->metadata);
    for (size_t i = 0; i < count; i++) {
        columns[i] = (struct column){
            .type = map->types[i],
            .is_nullable = bytes_bit(map->nullable, i),
        };
        enum columns_result result = take_column(&meta, &columns[i]);
        if (result != COLUMNS_PARSED) {
            return result;
        }
    }
    struct bytes_cursor cur = bytes_cursor(map->metadata_optional);
    uint8_t field;
    while (bytes_take_u8(&cur, &field)) {
        struct bytes value;
        if (!bytes_take_packed_text(&cur, &value) || !take_field(field, value, columns, count)) {
            return COLUMNS_BAD;
        }
    }
    return COLUMNS_PARSED;
}
