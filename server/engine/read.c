/* Looking keys up: without a lock, in batches. */
#include "config.h"

#include "base/assert.h"
#include "engine/cache_priv.h"
#include "engine/find.h"
#include "engine/large.h"

#define OPTIMISTIC_TRIES_MAX 4u /* then the bucket is locked from find to hit */

void
cache_prefetch(const struct cache *cache, struct cache_read *reads, unsigned n)
{
    assert(n <= CACHE_BATCH_MAX);
    for (unsigned i = 0; i < n; i++) {
        reads[i].hash = hash_bytes(reads[i].key, reads[i].key_len, cache->options.hash_seed);
        reads[i].tries = 0;
        __builtin_prefetch(table_bucket(&cache->table, reads[i].hash));
    }
    if (n == 1) {
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        const struct bucket *bucket = table_bucket(&cache->table, reads[i].hash);
        unsigned matches = bucket_match(bucket, table_tag(reads[i].hash));
        if (matches != 0) {
            __builtin_prefetch(
                cache_item(cache, bucket_ref(bucket, (unsigned)__builtin_ctz(matches))));
        }
    }
}

/** Frees an item that a reader found dead, if it is still there. */
static void
drop_dead(struct cache *cache, uint64_t hash, uint32_t ref)
{
    struct bucket *bucket = table_lock(&cache->table, hash);
    struct table_place place;
    bool dead = false;
    if (table_find_ref(&cache->table, bucket, ref, &place)) {
        const struct item *item = cache_item(cache, ref);
        dead = cache_is_dead(cache, item, item_shape(item), cache_now_s(cache));
        if (dead) {
            bucket_change_begin(bucket);
            table_remove(&cache->table, &place);
            bucket_change_end(bucket);
        }
    }
    bucket_unlock(bucket);
    if (dead) {
        cache_free_item(cache, ref, 0);
    }
}

/** Takes what the caller is told from the item's header; good only if the bucket stays as it is. */
static void
take_header(const struct cache *cache, struct cache_read *read, const struct item *item,
            uint32_t shape)
{
    read->access = item_access(item);
    read->value_len = shape_value_len(shape);
    read->client_flags = item_client_flags(item, shape, cache->cas_size);
    read->cas = cache->cas_size > 0 ? item_cas(item) : 0;
    read->expires_at = cache_expires_at(cache, item_expire_s(item));
    read->idle_s = access_idle_s(read->access, cache_now_s(cache));
    read->fetched = (read->access & ACCESS_FETCHED) != 0;
    read->stale = (shape & SHAPE_STALE) != 0;
    read->claimed = (shape & SHAPE_WIN) != 0;
    read->binary_key = (shape & SHAPE_BINARY_KEY) != 0;
    read->value_at = item_key_offset(shape, cache->cas_size) + shape_key_len(shape);
    read->class_id = shape & SHAPE_LARGE ? (uint8_t)cache->classes
                                         : cache_class_of(cache, read->value_at + read->value_len);
    read->pin = NULL;
}

/** Pins a long item, if the bucket still names it. */
static bool
pin(struct cache *cache, struct cache_read *read)
{
    uint32_t ref = (uint32_t)read->ref;
    struct item *item = cache_item(cache, ref);
    struct bucket *bucket = table_lock(&cache->table, read->hash);
    struct table_place place;
    uint32_t shape = item_shape(item);
    bool found = table_find_ref(&cache->table, bucket, ref, &place) && (shape & SHAPE_LARGE) &&
                 shape_key_len(shape) == read->key_len &&
                 race_equal(item_key(item, shape, cache->cas_size), read->key, read->key_len);
    if (found) {
        large_pin(cache, item, shape);
        take_header(cache, read, item, shape);
        read->value_len = cache_item_value_len(cache, item, shape);
        read->pin = (struct cache_pin *)(void *)item;
    }
    bucket_unlock(bucket);
    return found;
}

/** Counts a miss, and lets go of the bucket if this read holds it. */
static enum cache_result
miss(struct cache_thread *thread, struct cache_read *read, struct bucket *bucket,
     enum cache_absence absence)
{
    read->absence = (uint8_t)absence;
    if (read->locked) {
        read->locked = false;
        bucket_unlock(bucket);
    }
    metric_add(&thread->counters.get_misses, 1);
    return CACHE_MISS;
}

enum cache_result
cache_find(struct cache *cache, struct cache_thread *thread, struct cache_read *read)
{
    uint16_t tag = table_tag(read->hash);
    for (;;) {
        struct bucket *bucket;
        uint32_t word = 0;
        read->locked = read->tries++ >= OPTIMISTIC_TRIES_MAX;
        if (read->locked) {
            bucket = table_lock(&cache->table, read->hash);
        } else {
            bucket = table_bucket(&cache->table, read->hash);
            word = bucket_read_begin(bucket);
        }
        read->bucket = bucket;
        read->word = word;
        struct found found = find_key(cache, bucket, tag, read->key, read->key_len);
        if (found.ref == 0) {
            if (read->locked || (bucket_read_valid(bucket, word) &&
                                 bucket == table_bucket(&cache->table, read->hash))) {
                return miss(thread, read, bucket, CACHE_NOT_THERE);
            }
            continue;
        }
        const struct item *item = cache_item(cache, found.ref);
        uint32_t now_s = cache_now_s(cache);
        bool flushed = cache_is_flushed(cache, found.shape);
        if (__builtin_expect(flushed || cache_is_expired(item_expire_s(item), now_s), 0)) {
            if (!read->locked && !bucket_read_valid(bucket, word)) {
                continue;
            }
            enum cache_result result =
                miss(thread, read, bucket, flushed ? CACHE_FLUSHED : CACHE_EXPIRED);
            metric_add(flushed ? &thread->counters.get_flushed : &thread->counters.get_expired, 1);
            drop_dead(cache, read->hash, found.ref);
            return result;
        }
        read->ref = found.ref;
        if (__builtin_expect((found.shape & SHAPE_LARGE) != 0, 0)) {
            if (read->locked) {
                read->locked = false;
                bucket_unlock(bucket);
            }
            if (pin(cache, read)) {
                return CACHE_OK;
            }
            continue;
        }
        take_header(cache, read, item, found.shape);
        return CACHE_OK;
    }
}

enum cache_result
cache_find_one(struct cache *cache, struct cache_thread *thread, struct cache_read *read)
{
    cache_prefetch(cache, read, 1);
    return cache_find(cache, thread, read);
}

void
cache_copy(const struct cache *cache, const struct cache_read *read, void *dst)
{
    race_copy_out(dst, (const uint8_t *)cache_item(cache, (uint32_t)read->ref) + read->value_at,
                  read->value_len);
}

/** Marks a use: at most three are counted until the hand comes by, and the time is set once a
 * second, so that a hot item's line is written seldom. */
static void
mark_use(const struct cache *cache, const struct cache_read *read)
{
    uint32_t access = read->access | ACCESS_FETCHED;
    if ((access & ACCESS_USES_MASK) != ACCESS_USES_MASK) {
        access += ACCESS_USE_ONE;
    }
    access = access_at(access, cache_now_s(cache));
    if (access != read->access) {
        /* By now this may be another item's access word; that costs nothing but a wrong mark. */
        item_set_access(cache_item(cache, (uint32_t)read->ref), access);
    }
}

bool
cache_hit(struct cache *cache, struct cache_thread *thread, struct cache_read *read)
{
    if (read->locked) {
        read->locked = false;
        bucket_unlock(read->bucket);
    } else if (read->pin == NULL && !bucket_read_valid(read->bucket, read->word)) {
        return false;
    }
    if (read->mode == CACHE_READ_HIT) {
        mark_use(cache, read);
    }
    metric_add(&thread->counters.of_class[read->class_id].get_hits, 1);
    return true;
}

enum cache_claim
cache_claim(struct cache *cache, const struct cache_read *read, bool due)
{
    if (read->claimed) {
        return CACHE_CLAIM_TAKEN;
    }
    if (!due && !read->stale) {
        return CACHE_CLAIM_NONE;
    }
    enum cache_claim claim = CACHE_CLAIM_TAKEN;
    /* A read that was overtaken too often holds the lock until its cache_hit(). */
    struct bucket *bucket = read->locked ? read->bucket : table_lock(&cache->table, read->hash);
    struct table_place place;
    uint32_t ref = (uint32_t)read->ref;
    bool changed = read->pin == NULL && !read->locked &&
                   ((bucket_word(bucket) ^ read->word) & ~BUCKET_LOCKED) != 0;
    if (changed) {
        claim = CACHE_CLAIM_NONE; /* at this place may be another item by now; the hit fails */
    } else if (table_find_ref(&cache->table, bucket, ref, &place)) {
        /* Under the lock: of several readers one sees it unset. */
        struct item *item = cache_item(cache, ref);
        if (!(item_shape(item) & SHAPE_WIN)) {
            item_add_flags(item, SHAPE_WIN);
            claim = CACHE_CLAIM_WON;
        }
    }
    if (!read->locked) {
        bucket_unlock(bucket);
    }
    return claim;
}

unsigned
cache_pin_pieces(const struct cache *cache, const struct cache_pin *pin, size_t from,
                 struct cache_piece *pieces, unsigned max)
{
    const struct item *head = (const struct item *)(const void *)pin;
    return large_pieces(cache, head, large_shape(head), from, pieces, max);
}

void
cache_unpin(struct cache *cache, struct cache_thread *thread, struct cache_pin **pin)
{
    (void)thread;
    struct item *head = (struct item *)(void *)*pin;
    *pin = NULL;
    uint32_t shape = large_shape(head);
    if (large_unpin(cache, head, shape)) {
        uint64_t offset = (uint64_t)((uint8_t *)head - cache->pages.base);
        large_free(cache, (uint32_t)(offset >> cache->pages.ref_shift), shape, 0);
    }
}
