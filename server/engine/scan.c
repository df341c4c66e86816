/* A walk over all items that stops nobody.
 *
 * Its order is that of the hashes with their bits reversed, lowest bit first.  A bucket holds the
 * hashes that share some low bits, so in that order it is one interval; and a split cuts an
 * interval in two, of which the walk has then passed neither, one or both, but never a part.  One
 * number says how far it has come, whatever the index looks like when it goes on: no item that
 * stays is missed, and none is visited twice.  Page moves change where an item lies, not its hash.
 *
 *     hash ...10  |  hash ...01       buckets  0   2   1   3     reversed: 00  01  10  11
 *
 * One step copies what it tells of a chain's items, without a lock, and then looks at the bucket's
 * version and width again, as a read does (read.c); if others keep changing it, it locks the
 * bucket. A chain too long for one step is cut by its items' own places in the order.
 */
#include "config.h"

#include "base/assert.h"
#include "engine/cache_priv.h"
#include "engine/large.h"

#define OPTIMISTIC_TRIES_MAX 4u /* then the bucket is locked while its items are copied */
#define CHAIN_ITEMS_MAX      (TABLE_CHAIN_MAX * BUCKET_SLOTS)

/* What one step has copied. */
struct batch {
    unsigned count;
    struct cache_item_info info[CACHE_SCAN_ITEMS];
    uint8_t key[CACHE_SCAN_ITEMS][CACHE_KEY_MAX];
};

bool
cache_describe(struct cache *cache, uint32_t ref, struct cache_item_info *info, uint8_t *key)
{
    const struct item *item = cache_item(cache, ref);
    uint32_t shape = item_shape(item);
    uint32_t key_len = shape_key_len(shape);
    uint32_t now_s = cache_now_s(cache);
    if (key_len == 0 || key_len > CACHE_KEY_MAX || cache_is_dead(cache, item, shape, now_s)) {
        return false;
    }
    uint32_t access = item_access(item);
    race_copy_out(key, item_key(item, shape, cache->cas_size), key_len);
    uint32_t value_len = cache_item_value_len(cache, item, shape);
    uint32_t size = item_key_offset(shape, cache->cas_size) + key_len + value_len;
    *info = (struct cache_item_info){
        .key = key,
        .key_len = key_len,
        .value_len = value_len,
        .item_size = size,
        .client_flags = item_client_flags(item, shape, cache->cas_size),
        .expires_at = cache_expires_at(cache, item_expire_s(item)),
        .used_at = cache->clock_base + now_s - access_idle_s(access, now_s),
        .cas = cache->cas_size > 0 ? item_cas(item) : 0,
        .class_id = shape & SHAPE_LARGE ? (uint8_t)cache->classes : cache_class_of(cache, size),
        .fetched = (access & ACCESS_FETCHED) != 0,
        .binary_key = (shape & SHAPE_BINARY_KEY) != 0,
    };
    return true;
}

static uint64_t
reverse_bits(uint64_t bits)
{
    bits = (bits >> 1 & 0x5555555555555555u) | (bits & 0x5555555555555555u) << 1;
    bits = (bits >> 2 & 0x3333333333333333u) | (bits & 0x3333333333333333u) << 2;
    bits = (bits >> 4 & 0x0f0f0f0f0f0f0f0fu) | (bits & 0x0f0f0f0f0f0f0f0fu) << 4;
    return __builtin_bswap64(bits);
}

/** The place behind a bucket's interval; 0 behind the last. */
static uint64_t
interval_end(uint64_t at, unsigned width)
{
    return (at | UINT64_MAX >> width) + 1;
}

/** Adds a living item to the batch. */
static void
batch_add(struct cache *cache, struct batch *batch, uint32_t ref)
{
    assert(batch->count < CACHE_SCAN_ITEMS);
    if (cache_describe(cache, ref, &batch->info[batch->count], batch->key[batch->count])) {
        batch->count++;
    }
}

/** The refs of a chain, at most `max`; what they are without a lock is good only if the head's
 * version has not changed. */
static unsigned
chain_refs(const struct cache *cache, const struct bucket *head, uint32_t *refs, unsigned max)
{
    unsigned count = 0;
    const struct bucket *bucket = head;
    for (unsigned length = 0; bucket != NULL && length < TABLE_CHAIN_MAX; length++) {
        unsigned slots = bucket_slots(bucket_word(bucket));
        for (unsigned slot = 0; slot < slots && count < max; slot++) {
            refs[count] = bucket_ref(bucket, slot);
            if (refs[count] != 0) {
                __builtin_prefetch(cache_item(cache, refs[count]));
                count++;
            }
        }
        bucket = table_next(&cache->table, bucket);
    }
    return count;
}

/**
 * Copies a whole chain without a lock, and moves `at` behind it.  False when others were changing
 * it, or it is longer than a batch, or the walk stands in the middle of it: it is to be locked.
 */
static bool
take_unlocked(struct cache *cache, uint64_t *at, struct batch *batch)
{
    uint64_t hash = reverse_bits(*at);
    uint32_t count = table_count(&cache->table);
    unsigned width = table_width_of(hash, count);
    if ((*at & UINT64_MAX >> width) != 0) {
        return false;
    }
    const struct bucket *bucket = &cache->table.bucket[table_slot_of(hash, count)];
    uint32_t refs[CACHE_SCAN_ITEMS + 1];
    uint32_t word = bucket_read_begin(bucket);
    unsigned refs_count = chain_refs(cache, bucket, refs, CACHE_SCAN_ITEMS + 1);
    if (refs_count > CACHE_SCAN_ITEMS) {
        return false;
    }
    RACE_POINT();
    batch->count = 0;
    for (unsigned i = 0; i < refs_count; i++) {
        batch_add(cache, batch, refs[i]);
    }
    /* A split that ended before bucket_read_begin() shows in the count, a later one in the word. */
    if (!bucket_read_valid(bucket, word) ||
        table_width_of(hash, table_count(&cache->table)) != width) {
        return false;
    }
    *at = interval_end(*at, width);
    return true;
}

/* Items of a chain by their places in the walk's order: the first ones from some place on. */
struct selection {
    unsigned count;
    uint64_t place[CACHE_SCAN_ITEMS + 1];
    uint32_t ref[CACHE_SCAN_ITEMS + 1];
};

/** Keeps the places in order, and CACHE_SCAN_ITEMS + 1 of them at most. */
static void
selection_add(struct selection *selection, uint64_t place, uint32_t ref)
{
    unsigned i = selection->count;
    if (i > CACHE_SCAN_ITEMS) {
        if (place >= selection->place[CACHE_SCAN_ITEMS]) {
            return;
        }
        i = CACHE_SCAN_ITEMS;
    } else {
        selection->count++;
    }
    for (; i > 0 && selection->place[i - 1] > place; i--) {
        selection->place[i] = selection->place[i - 1];
        selection->ref[i] = selection->ref[i - 1];
    }
    selection->place[i] = place;
    selection->ref[i] = ref;
}

/** Copies the next items of a chain under its lock, and moves `at` behind them. */
static void
take_locked(struct cache *cache, uint64_t *at, struct batch *batch)
{
    struct selection selection;
    selection.count = 0;
    uint32_t refs[CHAIN_ITEMS_MAX];
    uint64_t hash = reverse_bits(*at);
    struct bucket *bucket = table_lock(&cache->table, hash);
    /* The bucket's own width cannot change while it is locked. */
    unsigned width = table_width_of(hash, table_count(&cache->table));
    unsigned refs_count = chain_refs(cache, bucket, refs, CHAIN_ITEMS_MAX);
    for (unsigned i = 0; i < refs_count; i++) {
        const struct item *item = cache_item(cache, refs[i]);
        uint64_t place = reverse_bits(cache_item_hash(cache, item, item_shape(item)));
        if (place >= *at) {
            selection_add(&selection, place, refs[i]);
        }
    }
    batch->count = 0;
    for (unsigned i = 0; i < selection.count && i < CACHE_SCAN_ITEMS; i++) {
        batch_add(cache, batch, selection.ref[i]);
    }
    bucket_unlock(bucket);
    if (selection.count <= CACHE_SCAN_ITEMS) {
        *at = interval_end(*at, width);
        return;
    }
    /* From the first one that is left on; always further, though no batch full of equal hashes is
     * to be met. */
    uint64_t next = selection.place[CACHE_SCAN_ITEMS];
    *at = next > *at ? next : *at + 1;
}

bool
cache_scan(struct cache *cache, struct cache_thread *thread, struct cache_scan *scan,
           cache_visit_fn *visit, void *arg, unsigned steps)
{
    /* relaxed: ours */
    assert(atomic_load_explicit(&thread->active, memory_order_relaxed) != 0);
    struct batch batch;
    for (; steps > 0; steps--) {
        unsigned tries = 0;
        while (!take_unlocked(cache, &scan->at, &batch)) {
            if (++tries == OPTIMISTIC_TRIES_MAX) {
                take_locked(cache, &scan->at, &batch);
                break;
            }
        }
        __builtin_prefetch(table_bucket(&cache->table, reverse_bits(scan->at)));
        for (unsigned i = 0; i < batch.count; i++) {
            if (!visit(arg, &batch.info[i])) {
                return false;
            }
        }
        if (scan->at == 0) {
            return false;
        }
    }
    return true;
}
