/* TABLE_MAP, and the rows events that refer to it. */
#include "config.h"

#include "mysql/event_priv.h"

#define OLD_POST_HEADER_LEN 6u /* bytes: the table's id has four of them (MySQL 5.1 before 5.1.4) \
                                */

static bool
take_table_id(const struct event_format *format, uint8_t type, struct bytes_cursor *cur,
              uint64_t *out)
{
    bool is_old =
        type <= format->type_count && format->post_header_len[type] == OLD_POST_HEADER_LEN;
    return bytes_take_number(cur, is_old ? 4 : 6, out);
}

static bool
take_column_count(struct bytes_cursor *cur, uint32_t *out)
{
    uint64_t count;
    if (!bytes_take_packed(cur, &count) || count == 0 || count > EVENT_COLUMNS_MAX) {
        return false;
    }
    *out = (uint32_t)count;
    return true;
}

static bool
take_name(struct bytes_cursor *cur, struct bytes *out)
{
    return bytes_take_packed_text(cur, out) && bytes_skip(cur, 1); /* and a NUL */
}

/*
 *     offset size
 *          0    6 id
 *          6    2 flags
 *          .      database, table: each a length, the name, a NUL
 *          .      packed: number of columns; a type each
 *          .      packed: length of the metadata; metadata
 *          .      bits: which columns may be NULL
 *          .      optional metadata
 */
bool
event_parse_table_map(const struct event_format *format, struct bytes body, struct event *out)
{
    struct event_table_map *map = &out->table_map;
    struct bytes_cursor cur = bytes_cursor(body);
    struct bytes types, nullable;
    if (!take_table_id(format, out->type, &cur, &map->id) || !bytes_skip(&cur, 2) ||
        !take_name(&cur, &map->database) || !take_name(&cur, &map->table) ||
        !take_column_count(&cur, &map->column_count) ||
        !bytes_take(&cur, map->column_count, &types) ||
        !bytes_take_packed_text(&cur, &map->metadata) ||
        !bytes_take(&cur, bytes_of_bits(map->column_count), &nullable)) {
        return false;
    }
    map->types = types.at;
    map->nullable = nullable.at;
    map->metadata_optional = bytes_rest(&cur);
    return true;
}

/** What a rows event's type says about it. */
struct rows_type {
    enum event_rows_op op;
    bool extra; /* data of any length before the rows: version 2 */
    bool packed;
    bool partial_json;
};

static struct rows_type
rows_type(uint8_t type)
{
    switch (type) {
    case TYPE_WRITE_ROWS_V1:
        return (struct rows_type){ .op = EVENT_ROWS_WRITE };
    case TYPE_UPDATE_ROWS_V1:
        return (struct rows_type){ .op = EVENT_ROWS_UPDATE };
    case TYPE_DELETE_ROWS_V1:
        return (struct rows_type){ .op = EVENT_ROWS_DELETE };
    case TYPE_WRITE_ROWS_V2:
        return (struct rows_type){ .op = EVENT_ROWS_WRITE, .extra = true };
    case TYPE_UPDATE_ROWS_V2:
        return (struct rows_type){ .op = EVENT_ROWS_UPDATE, .extra = true };
    case TYPE_PARTIAL_UPDATE_ROWS:
        return (struct rows_type){ .op = EVENT_ROWS_UPDATE, .extra = true, .partial_json = true };
    case TYPE_WRITE_ROWS_COMPRESSED_V1:
        return (struct rows_type){ .op = EVENT_ROWS_WRITE, .packed = true };
    case TYPE_UPDATE_ROWS_COMPRESSED_V1:
        return (struct rows_type){ .op = EVENT_ROWS_UPDATE, .packed = true };
    case TYPE_DELETE_ROWS_COMPRESSED_V1:
        return (struct rows_type){ .op = EVENT_ROWS_DELETE, .packed = true };
    case TYPE_WRITE_ROWS_COMPRESSED:
        return (struct rows_type){ .op = EVENT_ROWS_WRITE, .extra = true, .packed = true };
    case TYPE_UPDATE_ROWS_COMPRESSED:
        return (struct rows_type){ .op = EVENT_ROWS_UPDATE, .extra = true, .packed = true };
    case TYPE_DELETE_ROWS_COMPRESSED:
        return (struct rows_type){ .op = EVENT_ROWS_DELETE, .extra = true, .packed = true };
    default:
        return (struct rows_type){ .op = EVENT_ROWS_DELETE, .extra = true };
    }
}

/** The length of the extra data counts its own two bytes. */
static bool
skip_extra(struct bytes_cursor *cur)
{
    uint16_t len;
    return bytes_take_u16(cur, &len) && len >= 2 && bytes_skip(cur, len - 2u);
}

/*
 *     offset size
 *          0    6 id of the table
 *          6    2 flags
 *          8      version 2: length of extra data (2), extra data
 *          .      packed: number of columns
 *          .      bits: which columns the images hold; updates: before, then after
 *          .      rows
 */
bool
event_parse_rows(const struct event_format *format, struct bytes body, struct event *out)
{
    struct event_rows *rows = &out->rows;
    struct rows_type type = rows_type(out->type);
    struct bytes_cursor cur = bytes_cursor(body);
    *rows = (struct event_rows){
        .op = type.op,
        .packed = type.packed,
        .partial_json = type.partial_json,
    };
    if (!take_table_id(format, out->type, &cur, &rows->table_id) ||
        !bytes_take_u16(&cur, &rows->flags) || (type.extra && !skip_extra(&cur))) {
        return false;
    }
    if (rows->table_id == EVENT_ROWS_DUMMY_TABLE) {
        rows->rows = (struct bytes){ cur.end, 0 };
        rows->packed = false;
        return true;
    }
    if (!take_column_count(&cur, &rows->column_count)) {
        return false;
    }
    size_t bitmap_len = bytes_of_bits(rows->column_count);
    struct bytes bitmap;
    if (type.op != EVENT_ROWS_WRITE) {
        if (!bytes_take(&cur, bitmap_len, &bitmap)) {
            return false;
        }
        rows->before = bitmap.at;
    }
    if (type.op != EVENT_ROWS_DELETE) {
        if (!bytes_take(&cur, bitmap_len, &bitmap)) {
            return false;
        }
        rows->after = bitmap.at;
    }
    rows->rows = bytes_rest(&cur);
    return true;
}
