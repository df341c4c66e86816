#include "config.h"

#include "mysql/xa_table.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define OPERATIONS_FIRST_CAP 1024u
#define LEN_SIZE             8u /* keeps what follows aligned */

struct xa_entry {
    struct xa_id id;
    struct xa_operations operations;
};

bool
xa_id_of_event(const struct event_xa_id *event, struct xa_id *out)
{
    if (event->gtrid.len > EVENT_XID_LEN_MAX || event->bqual.len > EVENT_XID_LEN_MAX) {
        return false;
    }
    *out = (struct xa_id){
        .format = event->format,
        .gtrid_len = (uint8_t)event->gtrid.len,
        .bqual_len = (uint8_t)event->bqual.len,
    };
    if (event->gtrid.len > 0) {
        memcpy(out->gtrid, event->gtrid.at, event->gtrid.len);
    }
    if (event->bqual.len > 0) {
        memcpy(out->bqual, event->bqual.at, event->bqual.len);
    }
    return true;
}

void
xa_table_init(struct xa_table *table)
{
    *table = (struct xa_table){ .count = 0 };
}

void
xa_table_fini(struct xa_table *table)
{
    for (unsigned i = 0; i < table->count; i++) {
        xa_operations_fini(&table->entries[i].operations);
    }
    free(table->entries);
    *table = (struct xa_table){ .count = 0 };
}

void
xa_operations_fini(struct xa_operations *operations)
{
    free(operations->bytes);
    *operations = (struct xa_operations){ .len = 0 };
}

/** Gives the bytes up: it voids everything anyway. */
static void
cut(struct xa_operations *operations)
{
    xa_operations_fini(operations);
    operations->is_cut = true;
}

void
xa_add(const struct xa_table *table, struct xa_operations *operations, const void *bytes,
       size_t len)
{
    if (operations->is_cut) {
        return;
    }
    size_t need = LEN_SIZE + ((len + LEN_SIZE - 1) & ~(size_t)(LEN_SIZE - 1));
    if (table->bytes + operations->len + need > XA_BYTES_MAX) {
        cut(operations);
        return;
    }
    if (operations->cap - operations->len < need) {
        size_t cap = operations->cap > 0 ? operations->cap : OPERATIONS_FIRST_CAP;
        while (cap - operations->len < need) {
            cap *= 2;
        }
        uint8_t *grown = realloc(operations->bytes, cap);
        if (grown == NULL) {
            cut(operations);
            return;
        }
        operations->bytes = grown;
        operations->cap = cap;
    }
    uint64_t stored = need;
    memcpy(operations->bytes + operations->len, &stored, sizeof(stored));
    memcpy(operations->bytes + operations->len + LEN_SIZE, bytes, len);
    operations->len += need;
}

const void *
xa_next(const struct xa_operations *operations, size_t *at)
{
    if (*at == operations->len) {
        return NULL;
    }
    uint64_t len;
    memcpy(&len, operations->bytes + *at, sizeof(len));
    const void *bytes = operations->bytes + *at + LEN_SIZE;
    *at += len;
    return bytes;
}

static bool
same(const struct xa_id *a, const struct xa_id *b)
{
    return a->format == b->format && a->gtrid_len == b->gtrid_len && a->bqual_len == b->bqual_len &&
           memcmp(a->gtrid, b->gtrid, a->gtrid_len) == 0 &&
           memcmp(a->bqual, b->bqual, a->bqual_len) == 0;
}

bool
xa_take(struct xa_table *table, const struct xa_id *id, struct xa_operations *out)
{
    for (unsigned i = 0; i < table->count; i++) {
        if (same(&table->entries[i].id, id)) {
            *out = table->entries[i].operations;
            table->bytes -= out->len;
            table->count--;
            memmove(&table->entries[i], &table->entries[i + 1],
                    (table->count - i) * sizeof(table->entries[0]));
            return true;
        }
    }
    *out = (struct xa_operations){ .len = 0 };
    return false;
}

void
xa_prepare(struct xa_table *table, const struct xa_id *id, struct xa_operations *operations)
{
    struct xa_operations old;
    if (xa_take(table, id, &old)) {
        xa_operations_fini(&old);
    }
    if (table->entries == NULL) {
        table->entries = calloc(XA_TRANSACTIONS_MAX, sizeof(table->entries[0]));
    }
    if (table->entries == NULL || table->count == XA_TRANSACTIONS_MAX) {
        xa_operations_fini(operations); /* its commit will be one of an unknown id */
        return;
    }
    table->entries[table->count++] = (struct xa_entry){ *id, *operations };
    table->bytes += operations->len;
    *operations = (struct xa_operations){ .len = 0 };
}
