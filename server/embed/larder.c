/* larder.h onto the engine.
 *
 * The engine wants one struct cache_thread per thread.  A host's threads come and go and know
 * nothing of it, so each has a slot number (thread_slot.h) that indexes a table in each cache,
 * filled at the thread's first call.  Past THREAD_SLOTS threads the rest share a few, each under a
 * lock.  No thread is started here.
 */
#include "config.h"

#include "larder.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/rng.h"
#include "embed/thread_slot.h"
#include "engine/cache.h"
#include "engine/stats.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SHARED_THREADS    4u             /* for the threads that have no slot */
#define MEMORY_LIMIT_MIN  (1024u * 1024) /* bytes */
#define ITEM_SIZE_MIN     1024u          /* bytes */
#define GROWTH_FACTOR_MAX 16.0
#define PIECES            16u /* of a long value, copied before more are asked for */

_Static_assert(LARDER_KEY_LEN_MAX == CACHE_KEY_MAX,
               "what is checked here is what the engine takes");
_Static_assert(THREAD_SLOTS + SHARED_THREADS <= CACHE_THREADS_MAX, "each of ours can be opened");

/* A cache_thread of several threads. */
struct shared_thread {
    struct lock
        lock; /* rank LOCK_RANK_SERVER: the outermost, taken around whole calls of the engine */
    struct cache_thread *thread;
};

/**
 * Locking key:  (c) constant after larder_open()    (a) atomic    (o) the slot's owner's alone;
 * handed over by thread_slot()    (k) written under clock_lock    (l) used under its own lock
 */
struct larder {
    struct cache *cache;     /* (c) */
    int64_t unix_base_s;     /* (c) unix time at the coarse clock's zero */
    _Atomic uint32_t second; /* (a) (k) the coarse clock, as the engine was told */
    struct lock clock_lock;  /* only ever tried, never waited for */
    struct cache_thread *of_slot[THREAD_SLOTS];  /* (o) NULL until first used */
    struct shared_thread shared[SHARED_THREADS]; /* (l) */
};

/* One call under way. */
struct call {
    struct cache *cache;
    struct cache_thread *thread;
    struct lock *lock; /* held; NULL when the thread has a slot */
};

const char *
larder_result_text(enum larder_result result)
{
    switch (result) {
#define RESULT_TEXT(name, text) \
    case name:                  \
        return text;
        LARDER_RESULTS(RESULT_TEXT)
#undef RESULT_TEXT
    }
    return "unknown result"; /* a host's stray number is no mistake of ours */
}

/* -- opening ----------------------------------------------------------------------------------- */

static bool
options_good(const struct larder_options *options)
{
    return options->version == LARDER_OPTIONS_VERSION && options->item_size_max >= ITEM_SIZE_MIN &&
           options->item_size_max <= CACHE_ITEM_SIZE_LIMIT &&
           options->memory_limit >= MEMORY_LIMIT_MIN && options->memory_limit <= SIZE_MAX / 2 &&
           (options->growth_factor == 0.0 ||
            (options->growth_factor > 1.0 && options->growth_factor <= GROWTH_FACTOR_MAX));
}

/** Closes whatever has been opened of `cache`, which may be half made. */
static void
close_parts(struct larder *cache)
{
    if (cache->cache != NULL) {
        for (unsigned i = 0; i < THREAD_SLOTS; i++) {
            if (cache->of_slot[i] != NULL) {
                cache_thread_close(cache->cache, cache->of_slot[i]);
            }
        }
        for (unsigned i = 0; i < SHARED_THREADS; i++) {
            if (cache->shared[i].thread != NULL) {
                cache_thread_close(cache->cache, cache->shared[i].thread);
            }
        }
        cache_destroy(cache->cache);
    }
    for (unsigned i = 0; i < SHARED_THREADS; i++) {
        lock_fini(&cache->shared[i].lock);
    }
    lock_fini(&cache->clock_lock);
    free(cache);
}

enum larder_result
larder_open(const struct larder_options *options, struct larder **out)
{
    assert(out != NULL);
    static const struct larder_options defaults = LARDER_OPTIONS_INIT;
    if (options == NULL) {
        options = &defaults;
    }
    if (!options_good(options)) {
        return LARDER_BAD_OPTION;
    }
    if (!thread_slot_setup()) {
        return LARDER_SYSTEM;
    }
    struct larder *cache = calloc(1, sizeof(*cache));
    if (cache == NULL) {
        return LARDER_SYSTEM;
    }
    lock_init(&cache->clock_lock, LOCK_RANK_SERVER);
    for (unsigned i = 0; i < SHARED_THREADS; i++) {
        lock_init(&cache->shared[i].lock, LOCK_RANK_SERVER);
    }

    uint32_t second = clock_coarse_s();
    int64_t now = clock_unix_s();
    cache->unix_base_s = now - (int64_t)second;
    atomic_init(&cache->second, second);

    struct cache_options engine = {
        .memory_limit = options->memory_limit,
        .item_size_max = options->item_size_max,
        .growth_factor = options->growth_factor,
        .cas_disabled = options->cas_disabled != 0,
        .evictions_disabled = options->evictions_disabled != 0,
        .hash_seed = rng_system(),
        .now = now,
    };
    cache->cache = cache_create(&engine);
    if (cache->cache == NULL) {
        goto fail;
    }
    /* Opened now, so that a later call always finds one, whatever the heap says then. */
    for (unsigned i = 0; i < SHARED_THREADS; i++) {
        cache->shared[i].thread = cache_thread_open(cache->cache);
        if (cache->shared[i].thread == NULL) {
            errno = ENOMEM;
            goto fail;
        }
    }
    *out = cache;
    return LARDER_OK;

fail:;
    int error = errno;
    close_parts(cache);
    errno = error;
    return LARDER_SYSTEM;
}

void
larder_close(struct larder **cache)
{
    assert(cache != NULL && *cache != NULL);
    close_parts(*cache);
    *cache = NULL;
}

/* -- around each call -------------------------------------------------------------------------- */

/** Tells the engine a new second.  Nobody waits: while one thread does it, others go on with the
 * old one. */
static __attribute__((noinline)) void
tell_time(struct larder *cache)
{
    if (!lock_try_acquire(&cache->clock_lock)) {
        return;
    }
    /* Read again under the lock: the engine's time never goes back. */
    uint32_t second = clock_coarse_s();
    /* relaxed, here and in call_take(): a single number; who reads an old one comes here once too
     * often. */
    if (second != atomic_load_explicit(&cache->second, memory_order_relaxed)) {
        cache_set_now(cache->cache, cache->unix_base_s + (int64_t)second);
        atomic_store_explicit(&cache->second, second, memory_order_relaxed);
    }
    lock_release(&cache->clock_lock);
}

static __attribute__((noinline)) struct call
take_first_or_shared(struct larder *cache, unsigned slot)
{
    if (slot != THREAD_SLOT_NONE) {
        struct cache_thread *thread = cache_thread_open(cache->cache);
        if (thread != NULL) {
            cache->of_slot[slot] = thread;
            return (struct call){ cache->cache, thread, NULL };
        }
    }
    /* Which one does not matter; threads are spread by where their stacks lie. */
    struct call here;
    uint64_t mixed = (uint64_t)(uintptr_t)&here * 0x9e3779b97f4a7c15u;
    struct shared_thread *shared = &cache->shared[(mixed >> 32) % SHARED_THREADS];
    lock_acquire(&shared->lock);
    here = (struct call){ cache->cache, shared->thread, &shared->lock };
    return here;
}

/** Finds the calling thread's cache_thread. */
static inline struct call
call_take(struct larder *cache)
{
    if (__builtin_expect(
            clock_coarse_s() != atomic_load_explicit(&cache->second, memory_order_relaxed), 0)) {
        tell_time(cache);
    }
    unsigned slot = thread_slot();
    struct call call = { cache->cache, NULL, NULL };
    if (__builtin_expect(slot != THREAD_SLOT_NONE, 1)) {
        call.thread = cache->of_slot[slot];
    }
    if (__builtin_expect(call.thread == NULL, 0)) {
        call = take_first_or_shared(cache, slot);
    }
    return call;
}

static inline void
call_release(struct call *call)
{
    if (call->lock != NULL) {
        lock_release(call->lock);
    }
}

/** The same, and inside the engine until call_end(). */
static inline struct call
call_begin(struct larder *cache)
{
    struct call call = call_take(cache);
    cache_enter(call.thread);
    return call;
}

static inline void
call_end(struct call *call)
{
    cache_leave(call->thread);
    call_release(call);
}

static inline bool
key_good(const void *key, size_t key_len)
{
    return key != NULL && key_len >= 1 && key_len <= LARDER_KEY_LEN_MAX;
}

static int64_t
expires_at(const struct call *call, uint32_t ttl_s)
{
    return ttl_s == 0 ? CACHE_NEVER : cache_now(call->cache) + (int64_t)ttl_s;
}

/** What the engine says, in the host's words. */
static enum larder_result
result_of(enum cache_result result)
{
    switch (result) {
    case CACHE_OK:
        return LARDER_OK;
    case CACHE_MISS:
        return LARDER_MISS;
    case CACHE_EXISTS:
    case CACHE_NOT_STORED: /* of CACHE_ADD, the one mode of ours that answers it */
        return LARDER_EXISTS;
    case CACHE_TOO_LARGE:
        return LARDER_TOO_LARGE;
    case CACHE_NO_MEMORY:
        return LARDER_NO_MEMORY;
    case CACHE_NOT_NUMBER:
        return LARDER_NOT_NUMBER;
    }
    assert_failed("an engine's result that is in no list", __FILE__, __LINE__);
}

/* -- reading ----------------------------------------------------------------------------------- */

/** Copies a pinned value, which nothing can change, and lets go of it. */
static void
copy_pinned(struct call *call, struct cache_read *read, uint8_t *buf)
{
    size_t at = 0;
    while (at < read->value_len) {
        struct cache_piece pieces[PIECES];
        unsigned count = cache_pin_pieces(call->cache, read->pin, at, pieces, PIECES);
        assert(count >= 1 && count <= PIECES);
        for (unsigned i = 0; i < count; i++) {
            assert(pieces[i].len <= read->value_len - at);
            memcpy(buf + at, pieces[i].at, pieces[i].len);
            at += pieces[i].len;
        }
    }
}

/**
 * Reads one value; `result` is what a first cache_find() said.
 *
 * Tries again for as long as writers change this very item under the copy.  Each try that fails
 * means that a store of another thread has succeeded, so the threads together always get on.
 */
static enum larder_result
read_value(struct call *call, struct cache_read *read, enum cache_result result, uint8_t *buf,
           size_t buf_cap)
{
    while (result == CACHE_OK) {
        bool fits = read->value_len <= buf_cap;
        if (read->pin != NULL) {
            bool whole = cache_hit(call->cache, call->thread, read);
            assert(whole);
            if (fits) {
                copy_pinned(call, read, buf);
            }
            cache_unpin(call->cache, call->thread, &read->pin);
            return fits ? LARDER_OK : LARDER_TOO_LARGE;
        }
        if (fits && read->value_len > 0) {
            cache_copy(call->cache, read, buf);
        }
        if (cache_hit(call->cache, call->thread, read)) {
            return fits ? LARDER_OK : LARDER_TOO_LARGE;
        }
        result = cache_find(call->cache, call->thread, read);
    }
    assert(result == CACHE_MISS);
    return LARDER_MISS;
}

enum larder_result
larder_get_cas(struct larder *cache, const void *key, size_t key_len, void *buf, size_t buf_cap,
               size_t *value_len, uint64_t *cas)
{
    assert(buf != NULL || buf_cap == 0);
    if (!key_good(key, key_len)) {
        return LARDER_BAD_KEY;
    }
    struct cache_read read;
    read.key = key;
    read.key_len = (uint32_t)key_len;
    read.mode = CACHE_READ_HIT;

    struct call call = call_begin(cache);
    enum cache_result found = cache_find_one(call.cache, call.thread, &read);
    enum larder_result result = read_value(&call, &read, found, buf, buf_cap);
    call_end(&call);

    if (result != LARDER_MISS) {
        if (value_len != NULL) {
            *value_len = read.value_len;
        }
        if (cas != NULL) {
            *cas = read.cas;
        }
    }
    return result;
}

enum larder_result
larder_get(struct larder *cache, const void *key, size_t key_len, void *buf, size_t buf_cap,
           size_t *value_len)
{
    return larder_get_cas(cache, key, key_len, buf, buf_cap, value_len, NULL);
}

/** A batch of at most CACHE_BATCH_MAX good keys; `gets[i]` belongs to `reads[i]`. */
static void
get_group(struct larder *cache, struct cache_read *reads, struct larder_get **gets, unsigned count)
{
    struct call call = call_begin(cache);
    cache_prefetch(call.cache, reads, count);
    for (unsigned i = 0; i < count; i++) {
        struct larder_get *get = gets[i];
        enum cache_result found = cache_find(call.cache, call.thread, &reads[i]);
        get->result = read_value(&call, &reads[i], found, get->buf, get->buf_cap);
        if (get->result != LARDER_MISS) {
            get->value_len = reads[i].value_len;
            get->cas = reads[i].cas;
        }
    }
    call_end(&call);
}

void
larder_get_batch(struct larder *cache, struct larder_get *gets, size_t count)
{
    assert(gets != NULL || count == 0);
    struct cache_read reads[CACHE_BATCH_MAX];
    struct larder_get *of_read[CACHE_BATCH_MAX];
    size_t next = 0;
    while (next < count) {
        unsigned grouped = 0;
        while (next < count && grouped < CACHE_BATCH_MAX) {
            struct larder_get *get = &gets[next++];
            assert(get->buf != NULL || get->buf_cap == 0);
            if (!key_good(get->key, get->key_len)) {
                get->result = LARDER_BAD_KEY;
                continue;
            }
            reads[grouped].key = get->key;
            reads[grouped].key_len = (uint32_t)get->key_len;
            reads[grouped].mode = CACHE_READ_HIT;
            of_read[grouped] = get;
            grouped++;
        }
        if (grouped > 0) {
            get_group(cache, reads, of_read, grouped);
        }
    }
}

/* -- storing ----------------------------------------------------------------------------------- */

static enum cache_result
store_value(struct call *call, const void *key, uint32_t key_len, const void *value,
            size_t value_len, uint32_t ttl_s, enum cache_store_mode mode, uint64_t cas)
{
    struct cache_store store;
    enum cache_result result = cache_store_begin(call->cache, call->thread, key, key_len, value_len,
                                                 0, expires_at(call, ttl_s), &store);
    if (result == CACHE_OK && value_len > 0) {
        result = cache_store_write(call->cache, call->thread, &store, value, value_len);
    }
    if (result == CACHE_OK) {
        result = cache_store_commit(call->cache, call->thread, &store, mode, cas, NULL);
    }
    return result;
}

static enum larder_result
store(struct larder *cache, const void *key, size_t key_len, const void *value, size_t value_len,
      uint32_t ttl_s, enum cache_store_mode mode, uint64_t cas)
{
    assert(value != NULL || value_len == 0);
    if (!key_good(key, key_len)) {
        return LARDER_BAD_KEY;
    }
    struct call call = call_begin(cache);
    enum cache_result result =
        store_value(&call, key, (uint32_t)key_len, value, value_len, ttl_s, mode, cas);
    if (mode == CACHE_SET && (result == CACHE_TOO_LARGE || result == CACHE_NO_MEMORY)) {
        /* What the host wanted replaced must not be read any more. */
        enum cache_result deleted =
            cache_delete(call.cache, call.thread, key, (uint32_t)key_len, 0);
        assert(deleted == CACHE_OK || deleted == CACHE_MISS);
    }
    call_end(&call);
    return result_of(result);
}

enum larder_result
larder_set(struct larder *cache, const void *key, size_t key_len, const void *value,
           size_t value_len, uint32_t ttl_s)
{
    return store(cache, key, key_len, value, value_len, ttl_s, CACHE_SET, 0);
}

enum larder_result
larder_add(struct larder *cache, const void *key, size_t key_len, const void *value,
           size_t value_len, uint32_t ttl_s)
{
    return store(cache, key, key_len, value, value_len, ttl_s, CACHE_ADD, 0);
}

enum larder_result
larder_cas(struct larder *cache, const void *key, size_t key_len, const void *value,
           size_t value_len, uint32_t ttl_s, uint64_t cas)
{
    return store(cache, key, key_len, value, value_len, ttl_s, CACHE_CAS, cas);
}

static enum larder_result
arith(struct larder *cache, const void *key, size_t key_len, bool decrement, uint64_t delta,
      uint64_t *value)
{
    if (!key_good(key, key_len)) {
        return LARDER_BAD_KEY;
    }
    struct call call = call_begin(cache);
    uint64_t number = 0;
    enum cache_result result = cache_arith(call.cache, call.thread, key, (uint32_t)key_len,
                                           decrement, delta, 0, &number, NULL);
    call_end(&call);
    if (result == CACHE_OK && value != NULL) {
        *value = number;
    }
    return result_of(result);
}

enum larder_result
larder_incr(struct larder *cache, const void *key, size_t key_len, uint64_t delta, uint64_t *value)
{
    return arith(cache, key, key_len, false, delta, value);
}

enum larder_result
larder_decr(struct larder *cache, const void *key, size_t key_len, uint64_t delta, uint64_t *value)
{
    return arith(cache, key, key_len, true, delta, value);
}

enum larder_result
larder_touch(struct larder *cache, const void *key, size_t key_len, uint32_t ttl_s)
{
    if (!key_good(key, key_len)) {
        return LARDER_BAD_KEY;
    }
    struct call call = call_begin(cache);
    enum cache_result result =
        cache_touch(call.cache, call.thread, key, (uint32_t)key_len, expires_at(&call, ttl_s));
    call_end(&call);
    return result_of(result);
}

enum larder_result
larder_delete(struct larder *cache, const void *key, size_t key_len)
{
    if (!key_good(key, key_len)) {
        return LARDER_BAD_KEY;
    }
    struct call call = call_begin(cache);
    enum cache_result result = cache_delete(call.cache, call.thread, key, (uint32_t)key_len, 0);
    call_end(&call);
    return result_of(result);
}

void
larder_flush(struct larder *cache)
{
    struct call call = call_begin(cache);
    cache_flush(call.cache, call.thread, cache_now(call.cache));
    call_end(&call);
}

/* -- running ----------------------------------------------------------------------------------- */

enum larder_result
larder_stats(struct larder *cache, struct larder_stats *stats)
{
    assert(stats != NULL);
    if (stats->version != LARDER_STATS_VERSION) {
        return LARDER_BAD_OPTION;
    }
    /* Some 25 KiB: too much for the stacks that some hosts give their threads. */
    struct cache_stats *engine = malloc(sizeof(*engine));
    if (engine == NULL) {
        return LARDER_SYSTEM;
    }
    cache_stats_read(cache->cache, engine);
    stats->items = engine->items;
    stats->bytes = engine->bytes;
    stats->memory_used = engine->memory_used;
    stats->memory_limit = engine->memory_limit;
    stats->index_bytes = engine->index_bytes;
    stats->get_hits = engine->sum.get_hits;
    stats->get_misses = engine->get_misses;
    stats->stores = engine->items_total;
    stats->evictions = engine->sum.evicted;
    stats->expired = engine->sum.reclaimed + engine->sum.swept;
    free(engine);
    return LARDER_OK;
}

int
larder_maintain(struct larder *cache)
{
    struct call call = call_take(cache);
    bool more = cache_maintain(call.cache, call.thread);
    call_release(&call);
    return more;
}
