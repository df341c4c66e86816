#include "config.h"

#include "mysql/row.h"

#define OPTION_PARTIAL_JSON 1u

static uint32_t
count_bits(const uint8_t *bits, uint32_t count)
{
    uint32_t set = 0;
    for (uint32_t i = 0; i < count; i++) {
        set += bytes_bit(bits, i);
    }
    return set;
}

bool
row_walk_begin(struct row_walk *walk, const struct event_rows *rows, const struct column *columns,
               size_t column_count, const uint16_t *slots)
{
    if (rows->column_count != column_count || rows->packed) {
        return false;
    }
    *walk = (struct row_walk){
        .cur = bytes_cursor(rows->rows),
        .columns = columns,
        .column_count = rows->column_count,
        .before = rows->before,
        .after = rows->after,
        .partial_json = rows->partial_json,
        .slots = slots,
    };
    if (walk->before != NULL) {
        walk->before_count = count_bits(walk->before, walk->column_count);
    }
    if (walk->after != NULL) {
        walk->after_count = count_bits(walk->after, walk->column_count);
    }
    for (uint32_t i = 0; i < walk->column_count; i++) {
        walk->json_count += columns[i].type == COLUMN_JSON;
    }
    return true;
}

/** Which JSON columns of the table hold a change, bits; NULL if none does. */
static bool
take_partial_json(struct row_walk *walk, const uint8_t **out)
{
    uint64_t options;
    struct bytes bits;
    *out = NULL;
    if (!bytes_take_packed(&walk->cur, &options) ||
        (options & ~(uint64_t)OPTION_PARTIAL_JSON) != 0) {
        return false;
    }
    if ((options & OPTION_PARTIAL_JSON) != 0) {
        if (!bytes_take(&walk->cur, bytes_of_bits(walk->json_count), &bits)) {
            return false;
        }
        *out = bits.at;
    }
    return true;
}

static bool
take_image(struct row_walk *walk, const uint8_t *image, uint32_t image_count,
           const uint8_t *partial_json, struct value *values)
{
    struct bytes nulls;
    if (!bytes_take(&walk->cur, bytes_of_bits(image_count), &nulls)) {
        return false;
    }
    struct bytes_cursor cur = walk->cur;
    uint32_t in_image = 0;
    uint32_t json = 0;
    for (uint32_t i = 0; i < walk->column_count; i++) {
        const struct column *column = &walk->columns[i];
        uint32_t slot = walk->slots == NULL ? i : walk->slots[i];
        struct value *value = slot == ROW_SKIP ? NULL : &values[slot];
        bool is_partial = false;
        if (column->type == COLUMN_JSON) {
            is_partial = partial_json != NULL && bytes_bit(partial_json, json);
            json++;
        }
        if (!bytes_bit(image, i)) {
            if (value != NULL) {
                value->kind = VALUE_ABSENT;
                value->column = column;
            }
            continue;
        }
        bool is_null = bytes_bit(nulls.at, in_image++);
        struct bytes bytes;
        if (is_null) {
            if (value != NULL) {
                value->kind = VALUE_NULL;
                value->column = column;
            }
            continue;
        }
        if (!value_take_bytes(column, &cur, &bytes)) {
            return false;
        }
        if (value != NULL) {
            value_decode(column, bytes, value);
            if (is_partial) {
                value->kind = VALUE_UNREADABLE;
                value->reason = "a JSON value of which only the change is logged";
            }
        }
    }
    walk->cur = cur;
    return true;
}

enum row_result
row_next(struct row_walk *walk, struct value *before, struct value *after)
{
    const uint8_t *start = walk->cur.at;
    if (start == walk->cur.end) {
        return ROW_END;
    }
    const uint8_t *partial_json = NULL;
    if (walk->before != NULL && !take_image(walk, walk->before, walk->before_count, NULL, before)) {
        return ROW_BAD;
    }
    if (walk->partial_json && !take_partial_json(walk, &partial_json)) {
        return ROW_BAD;
    }
    if (walk->after != NULL &&
        !take_image(walk, walk->after, walk->after_count, partial_json, after)) {
        return ROW_BAD;
    }
    return walk->cur.at == start ? ROW_BAD : ROW_NEXT; /* a row of no bytes would never end */
}
