/* Entries stay where they are; two things lead to them: a table by hash (open addressing, linear
 * probing), and a heap whose root is the entry with the smallest count. */
#include "config.h"

#include "base/sketch.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define NOWHERE UINT16_MAX

struct sketch {
    unsigned cap;
    unsigned count;
    uint64_t total;
    uint32_t table_mask; /* its size, a power of two, less one; at least half of it stays free */
    uint16_t *table;     /* entry, or NOWHERE */
    uint16_t *heap;      /* entry */
    struct sketch_entry *entries;
};

static uint32_t
table_size(unsigned cap)
{
    uint32_t size = 2;
    while (size < 2 * cap) {
        size *= 2;
    }
    return size;
}

struct sketch *
sketch_create(unsigned cap)
{
    assert(cap >= 1 && cap <= SKETCH_CAP_MAX);
    struct sketch *sketch = calloc(1, sizeof(*sketch));
    if (sketch == NULL) {
        return NULL;
    }
    uint32_t size = table_size(cap);
    sketch->cap = cap;
    sketch->table_mask = size - 1;
    sketch->table = malloc(size * sizeof(sketch->table[0]));
    sketch->heap = malloc(cap * sizeof(sketch->heap[0]));
    sketch->entries = malloc(cap * sizeof(sketch->entries[0]));
    if (sketch->table == NULL || sketch->heap == NULL || sketch->entries == NULL) {
        sketch_destroy(sketch);
        return NULL;
    }
    sketch_clear(sketch);
    return sketch;
}

void
sketch_destroy(struct sketch *sketch)
{
    if (sketch != NULL) {
        free(sketch->entries);
        free(sketch->heap);
        free(sketch->table);
        free(sketch);
    }
}

void
sketch_clear(struct sketch *sketch)
{
    memset(sketch->table, 0xff, (sketch->table_mask + 1) * sizeof(sketch->table[0]));
    sketch->count = 0;
    sketch->total = 0;
}

/* -- the table --------------------------------------------------------------------------------- */

/** Where the hash stands in the table, or the free place where it would. */
static uint32_t
table_find(const struct sketch *sketch, uint64_t hash)
{
    uint32_t at = (uint32_t)hash & sketch->table_mask;
    while (sketch->table[at] != NOWHERE && sketch->entries[sketch->table[at]].hash != hash) {
        at = (at + 1) & sketch->table_mask;
    }
    return at;
}

/** Frees a place, and moves those behind it up that could not be found any more. */
static void
table_remove(struct sketch *sketch, uint32_t at)
{
    uint32_t mask = sketch->table_mask;
    uint32_t hole = at;
    for (uint32_t next = (at + 1) & mask; sketch->table[next] != NOWHERE;
         next = (next + 1) & mask) {
        uint32_t home = (uint32_t)sketch->entries[sketch->table[next]].hash & mask;
        if (((next - home) & mask) >= ((next - hole) & mask)) {
            sketch->table[hole] = sketch->table[next];
            hole = next;
        }
    }
    sketch->table[hole] = NOWHERE;
}

/* -- the heap ---------------------------------------------------------------------------------- */

static void
heap_place(struct sketch *sketch, unsigned at, uint16_t entry)
{
    sketch->heap[at] = entry;
    sketch->entries[entry].heap_at = (uint16_t)at;
}

static uint64_t
heap_count(const struct sketch *sketch, unsigned at)
{
    return sketch->entries[sketch->heap[at]].count;
}

/** The entry's count has grown. */
static void
heap_sink(struct sketch *sketch, uint16_t entry)
{
    uint64_t count = sketch->entries[entry].count;
    unsigned at = sketch->entries[entry].heap_at;
    for (unsigned child = 2 * at + 1; child < sketch->count; child = 2 * at + 1) {
        if (child + 1 < sketch->count &&
            heap_count(sketch, child + 1) < heap_count(sketch, child)) {
            child++;
        }
        if (heap_count(sketch, child) >= count) {
            break;
        }
        heap_place(sketch, at, sketch->heap[child]);
        at = child;
    }
    heap_place(sketch, at, entry);
}

/** The entry is new, at the heap's end. */
static void
heap_rise(struct sketch *sketch, uint16_t entry)
{
    uint64_t count = sketch->entries[entry].count;
    unsigned at = sketch->entries[entry].heap_at;
    while (at > 0 && heap_count(sketch, (at - 1) / 2) > count) {
        heap_place(sketch, at, sketch->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_place(sketch, at, entry);
}

/* -- adding ------------------------------------------------------------------------------------ */

/** Gives a new key an entry: a free one, or the one with the smallest count. */
static uint16_t
take_entry(struct sketch *sketch, uint64_t hash, uint32_t table_at)
{
    uint16_t index;
    if (sketch->count < sketch->cap) {
        index = (uint16_t)sketch->count++;
        struct sketch_entry *entry = &sketch->entries[index];
        entry->count = 0;
        entry->hash = hash;
        heap_place(sketch, index, index);
        heap_rise(sketch, index); /* with a count of 0, to the root */
        sketch->table[table_at] = index;
        return index;
    }
    index = sketch->heap[0];
    table_remove(sketch, table_find(sketch, sketch->entries[index].hash));
    sketch->entries[index].hash = hash;
    sketch->table[table_find(sketch, hash)] = index; /* places may have moved */
    return index;
}

void
sketch_add(struct sketch *sketch, uint64_t hash, const void *key, size_t key_len, uint64_t weight)
{
    assert(key_len >= 1 && key_len <= SKETCH_KEY_MAX && weight > 0);
    uint32_t at = table_find(sketch, hash);
    uint16_t index = sketch->table[at];
    if (index == NOWHERE) {
        index = take_entry(sketch, hash, at);
        struct sketch_entry *entry = &sketch->entries[index];
        entry->error = entry->count;
        entry->hits = 0;
        entry->key_len = (uint8_t)key_len;
        memcpy(entry->key, key, key_len);
    }
    sketch->entries[index].count += weight;
    sketch->entries[index].hits++;
    sketch->total += weight;
    heap_sink(sketch, index);
}

/* -- reading ----------------------------------------------------------------------------------- */

uint64_t
sketch_total(const struct sketch *sketch)
{
    return sketch->total;
}

uint64_t
sketch_floor(const struct sketch *sketch)
{
    return sketch->count < sketch->cap ? 0 : heap_count(sketch, 0);
}

unsigned
sketch_count(const struct sketch *sketch)
{
    return sketch->count;
}

const struct sketch_entry *
sketch_at(const struct sketch *sketch, unsigned i)
{
    assert(i < sketch->count);
    return &sketch->entries[i];
}

void
sketch_check(const struct sketch *sketch)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < sketch->count; i++) {
        const struct sketch_entry *entry = &sketch->entries[i];
        assert(sketch->heap[entry->heap_at] == i);
        assert(entry->heap_at == 0 ||
               heap_count(sketch, (entry->heap_at - 1u) / 2) <= entry->count);
        assert(sketch->table[table_find(sketch, entry->hash)] == i);
        assert(entry->error < entry->count && entry->hits > 0);
        total += entry->count;
    }
    assert(total == sketch->total); /* what a key takes over leaves nothing behind */
    unsigned used = 0;
    for (uint32_t at = 0; at <= sketch->table_mask; at++) {
        used += sketch->table[at] != NOWHERE;
    }
    assert(used == sketch->count);
}
