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
        struct cache_read *read = &reads[i];
        read->hash = hash_bytes(read->key, read->key_len, cache->options.hash_seed);
        read->tries = 0;
        read->bucket = table_bucket(&cache->table, read->hash);
        __builtin_prefetch(read->bucket);
    }
    for (unsigned i = 0; i < n; i++) {
        struct cache_read *read = &reads[i];
        const struct bucket *bucket = read->bucket;
        read->slot = (uint8_t)find_slot(bucket, table_tag(read->hash));
        if (read->slot < BUCKET_SLOTS) {
            __builtin_prefetch(cache_item(cache, bucket_ref(bucket, read->slot)));
        } else {
            __builtin_prefetch(table_next(&cache->table, bucket)); /* NULL does no harm */
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
        const struct item *item = cache_item(cache, ref);
        evict_tell_dead(cache, item, item_shape(item));
        cache_free_item(cache, ref, 0);
    }
}

/** Takes what the caller is told from the item's header; good only if the bucket stays as it is. */
static inline __attribute__((always_inline)) void
take_header(const struct cache *cache, struct cache_read *read, const struct item *item,
            uint32_t shape)
{
    read->shape = shape;
    read->access = item_access(item);
    read->value_len = shape_value_len(shape);
    read->client_flags = item_client_flags(item, shape, cache->cas_size);
    read->cas = cache->cas_size > 0 ? item_cas(item) : 0;
    read->marked = (shape & (SHAPE_STALE | SHAPE_WIN | SHAPE_BINARY_KEY)) != 0;
    read->value_at = item_key_offset(shape, cache->cas_size) + shape_key_len(shape);
    read->class_id = shape & SHAPE_LARGE ? (uint8_t)cache->classes
                                         : cache_class_of(cache, read->value_at + read->value_len);
    read->pin = NULL;
}

void
cache_read_more(const struct cache *cache, struct cache_read *read)
{
    const struct item *item = read->item;
    read->expires_at = cache_expires_at(cache, item_expire_s(item));
    read->idle_s = access_idle_s(read->access, cache_now_s(cache));
    read->fetched = (read->access & ACCESS_FETCHED) != 0;
    read->stale = (read->shape & SHAPE_STALE) != 0;
    read->claimed = (read->shape & SHAPE_WIN) != 0;
    read->binary_key = (read->shape & SHAPE_BINARY_KEY) != 0;
}

/** Pins a long item, if the bucket still names it: always, if this read holds it.  Lets go of the
 * bucket: what is pinned stays. */
static bool
pin(struct cache *cache, struct cache_read *read)
{
    uint32_t ref = read->ref;
    struct item *item = read->item;
    struct bucket *bucket = read->locked ? read->bucket : table_lock(&cache->table, read->hash);
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
    read->locked = false;
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
    if (read->mode == CACHE_READ_HIT || read->mode == CACHE_READ_QUIET) {
        metric_add(&thread->counters.get_misses, 1);
    }
    return CACHE_MISS;
}

/** What a look at the index came to. */
enum look {
    LOOK_FOUND,
    LOOK_MISS,
    LOOK_AGAIN, /* the item or its bucket has changed meanwhile */
};

/** A dead item is a miss, and goes; unless what was seen was an item in the middle of a change. */
static enum look
look_at_dead(struct cache *cache, struct cache_thread *thread, struct cache_read *read,
             uint32_t ref, uint32_t shape)
{
    if (!read->locked && !bucket_read_valid(read->bucket, read->word)) {
        return LOOK_AGAIN;
    }
    enum cache_absence absence = cache_absence_of(cache, cache_item(cache, ref), shape);
    (void)miss(thread, read, read->bucket, absence);
    metric_add(absence == CACHE_EXPIRED ? &thread->counters.get_expired
                                        : &thread->counters.get_flushed,
               1);
    drop_dead(cache, read->hash, ref);
    return LOOK_MISS;
}

/** What is not a short item in the prime of its life, or may not be. */
static __attribute__((noinline)) enum look
look_closer(struct cache *cache, struct cache_thread *thread, struct cache_read *read, uint32_t ref,
            uint32_t shape)
{
    const struct item *item = cache_item(cache, ref);
    if (cache_is_dead(cache, item, shape, cache_now_s(cache))) {
        return look_at_dead(cache, thread, read, ref, shape);
    }
    if (cache_has_prefixes(cache) && cache_is_bypassed(cache, read->key, read->key_len)) {
        (void)miss(thread, read, read->bucket, CACHE_NOT_THERE);
        return LOOK_MISS;
    }
    read->ref = ref;
    read->item = cache_item(cache, ref);
    if ((shape & SHAPE_LARGE) == 0) {
        take_header(cache, read, item, shape);
        return LOOK_FOUND;
    }
    return pin(cache, read) ? LOOK_FOUND : LOOK_AGAIN;
}

/** An item with the key has been found. */
static inline __attribute__((always_inline)) enum look
look_at_found(struct cache *cache, struct cache_thread *thread, struct cache_read *read,
              uint32_t ref, uint32_t shape)
{
    struct item *item = cache_item(cache, ref);
    if (__builtin_expect((shape & SHAPE_LARGE) != 0 || cache_is_flushed(cache, shape) ||
                             cache_is_expired(item_expire_s(item), cache_now_s(cache)) ||
                             cache_has_prefixes(cache),
                         0)) {
        return look_closer(cache, thread, read, ref, shape);
    }
    read->ref = ref;
    read->item = item;
    take_header(cache, read, item, shape);
    return LOOK_FOUND;
}

/** Whether the key still belongs to the bucket that was looked up for it.  A split that ended before
 * bucket_read_begin() shows here, a later one in the word. */
static inline bool
is_its_bucket(const struct cache *cache, const struct cache_read *read, const struct bucket *bucket)
{
#ifdef LARDER_BREAK_SPLIT_ORDER
    /* For the stress test that must fail: see tests/stress/split_race.c. */
    (void)cache;
    (void)read;
    (void)bucket;
    return true;
#else
    return bucket == table_bucket(&cache->table, read->hash);
#endif
}

/** All of the chain; after some tries under the bucket's lock. */
static __attribute__((noinline)) enum cache_result
find_in_chain(struct cache *cache, struct cache_thread *thread, struct cache_read *read)
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
            RACE_POINT();
            word = bucket_read_begin(bucket);
        }
        read->bucket = bucket;
        read->word = word;
        struct found found = find_key(cache, bucket, tag, read->key, read->key_len);
        if (found.ref == 0) {
            if (read->locked ||
                (bucket_read_valid(bucket, word) && is_its_bucket(cache, read, bucket))) {
                return miss(thread, read, bucket, CACHE_NOT_THERE);
            }
            continue;
        }
        switch (look_at_found(cache, thread, read, found.ref, found.shape)) {
        case LOOK_FOUND:
            return CACHE_OK;
        case LOOK_MISS:
            return CACHE_MISS;
        case LOOK_AGAIN:
            break;
        }
    }
}

/** The first look: in the slot of the head where the key was seen, or should be. */
static inline __attribute__((always_inline)) enum cache_result
find_first(struct cache *cache, struct cache_thread *thread, struct cache_read *read,
           struct bucket *head, unsigned slot, uint32_t word)
{
    read->locked = false;
    read->word = word;
    struct found found = find_key_at(cache, head, slot, read->key, read->key_len);
    if (__builtin_expect(found.ref != 0, 1)) {
        read->tries = 1;
        enum look look = look_at_found(cache, thread, read, found.ref, found.shape);
        if (__builtin_expect(look != LOOK_AGAIN, 1)) {
            return look == LOOK_FOUND ? CACHE_OK : CACHE_MISS;
        }
    }
    return find_in_chain(cache, thread, read);
}

enum cache_result
cache_find(struct cache *cache, struct cache_thread *thread, struct cache_read *read)
{
    if (__builtin_expect(read->tries != 0, 0)) {
        return find_in_chain(cache, thread, read);
    }
    /* What is there now is looked at anew. */
    struct bucket *head = read->bucket;
    return find_first(cache, thread, read, head, read->slot, bucket_read_begin(head));
}

enum cache_result
cache_find_one(struct cache *cache, struct cache_thread *thread, struct cache_read *read)
{
    uint64_t hash = hash_bytes(read->key, read->key_len, cache->options.hash_seed);
    struct bucket *head = table_bucket(&cache->table, hash);
    read->hash = hash;
    read->tries = 0;
    read->bucket = head;
    uint32_t word = bucket_read_begin(head);
    return find_first(cache, thread, read, head, find_slot(head, table_tag(hash)), word);
}

void
cache_copy(const struct cache *cache, const struct cache_read *read, void *dst)
{
    (void)cache;
    race_copy_out(dst, (const uint8_t *)read->item + read->value_at, read->value_len);
}

/** Marks a use.  Uses are counted up to three, and the time is set once a second: so a hot item's
 * line is written seldom. */
static void
mark_use(const struct cache *cache, const struct cache_read *read)
{
    uint32_t now_s = cache_now_s(cache);
    if (read->access == ((now_s & ACCESS_TIME_MASK) | ACCESS_USES_MASK | ACCESS_FETCHED)) {
        return; /* as hot as can be */
    }
    /* By now this may be another item's access word; that costs nothing but a wrong mark. */
    item_set_access(read->item, access_used(read->access, now_s));
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
    enum cache_read_mode mode = read->mode;
    if (mode == CACHE_READ_HIT || mode == CACHE_READ_USE) {
        mark_use(cache, read);
    }
    if (mode == CACHE_READ_HIT || mode == CACHE_READ_QUIET) {
        metric_add(&thread->counters.of_class[read->class_id].get_hits, 1);
    }
    return true;
}

enum cache_claim
cache_claim(struct cache *cache, const struct cache_read *read, bool due)
{
    if ((read->shape & SHAPE_WIN) != 0) {
        return CACHE_CLAIM_TAKEN;
    }
    if (!due && (read->shape & SHAPE_STALE) == 0) {
        return CACHE_CLAIM_NONE;
    }
    enum cache_claim claim = CACHE_CLAIM_TAKEN;
    /* A read that was overtaken too often holds the lock until its cache_hit(). */
    struct bucket *bucket = read->locked ? read->bucket : table_lock(&cache->table, read->hash);
    struct table_place place;
    bool changed = read->pin == NULL && !read->locked &&
                   ((bucket_word(bucket) ^ read->word) & ~BUCKET_LOCKED) != 0;
    if (changed) {
        claim = CACHE_CLAIM_NONE; /* at this place may be another item by now; the hit fails */
    } else if (table_find_ref(&cache->table, bucket, read->ref, &place)) {
        /* Under the lock: of several readers one sees it unset. */
        struct item *item = read->item;
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
