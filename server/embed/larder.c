/* larder.h onto the engine: opening and closing, and what stands around each call.
 *
 * The engine wants one struct cache_thread per thread.  A host's threads come and go and know
 * nothing of it, so each has a slot number (thread_slot.h) that indexes a table in each cache,
 * filled at the thread's first call.  Past THREAD_SLOTS threads the rest share a few, each under a
 * lock.  No thread is started here.
 */
#include "config.h"

#include "embed/larder_priv.h"

#include "base/assert.h"
#include "base/rng.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_LIMIT_MIN  (1024u * 1024) /* bytes */
#define ITEM_SIZE_MIN     1024u          /* bytes */
#define GROWTH_FACTOR_MAX 16.0
#define CHUNK_MIN_MAX     (512u * 1024)  /* bytes */
#define CHUNK_SIZE_MIN    48u            /* bytes: a header, and some of a key */
#define CHUNK_SIZE_MAX    (1024u * 1024) /* bytes */
#define CHUNK_SIZE_STEP   8u             /* bytes */

_Static_assert(LARDER_KEY_LEN_MAX == CACHE_KEY_MAX,
               "what is checked here is what the engine takes");
_Static_assert(THREAD_SLOTS + SHARED_THREADS <= CACHE_THREADS_MAX, "each of ours can be opened");

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

const char *
larder_version(void)
{
    return PACKAGE_VERSION;
}

enum larder_result
result_of(enum cache_result result, enum larder_result not_stored)
{
    switch (result) {
    case CACHE_OK:
        return LARDER_OK;
    case CACHE_MISS:
        return LARDER_MISS;
    case CACHE_EXISTS:
        return LARDER_EXISTS;
    case CACHE_NOT_STORED:
        return not_stored;
    case CACHE_TOO_LARGE:
        return LARDER_TOO_LARGE;
    case CACHE_NO_MEMORY:
        return LARDER_NO_MEMORY;
    case CACHE_NOT_NUMBER:
        return LARDER_NOT_NUMBER;
    }
    assert_failed("an engine's result that is in no list", __FILE__, __LINE__);
}

/* -- opening ----------------------------------------------------------------------------------- */

static const struct larder_options options_default = LARDER_OPTIONS_INIT;

/** Bytes of a structure of a version; 0 for one that there is not. */
static size_t
options_size(uint32_t version)
{
    switch (version) {
    case 1:
        return offsetof(struct larder_options, evict_for);
    case LARDER_OPTIONS_VERSION:
        return sizeof(struct larder_options);
    default:
        return 0;
    }
}

enum larder_result
larder_options_init(struct larder_options *options, uint32_t version)
{
    size_t size = options_size(version);
    if (options == NULL || size == 0) {
        return LARDER_BAD_OPTION;
    }
    memcpy(options, &options_default, size);
    options->version = version;
    return LARDER_OK;
}

/** Takes the host's options over, which may be of an older version; false for one that there is
 * not. */
static bool
take_options(const struct larder_options *given, struct larder_options *taken)
{
    *taken = options_default;
    size_t size = given != NULL ? options_size(given->version) : 0;
    if (size > 0) {
        memcpy(taken, given, size);
    }
    return given == NULL || size > 0;
}

static bool
chunk_sizes_good(const struct larder_options *options)
{
    uint32_t before = CHUNK_SIZE_MIN - CHUNK_SIZE_STEP;
    if (options->chunk_sizes_len > LARDER_CHUNK_SIZES_MAX ||
        (options->chunk_sizes_len > 0 && options->chunk_sizes == NULL)) {
        return false;
    }
    for (uint32_t i = 0; i < options->chunk_sizes_len; i++) {
        if (options->chunk_sizes[i] < before + CHUNK_SIZE_STEP ||
            options->chunk_sizes[i] > CHUNK_SIZE_MAX) {
            return false;
        }
        before = options->chunk_sizes[i];
    }
    return true;
}

static bool
options_good(const struct larder_options *options)
{
    bool evict_for_good = options->evict_for == LARDER_EVICT_FOR_OBJECTS ||
                          options->evict_for == LARDER_EVICT_FOR_BYTES;
    return evict_for_good && options->chunk_min <= CHUNK_MIN_MAX && chunk_sizes_good(options) &&
           options->item_size_max >= ITEM_SIZE_MIN &&
           options->item_size_max <= CACHE_ITEM_SIZE_LIMIT &&
           options->memory_limit >= MEMORY_LIMIT_MIN && options->memory_limit <= SIZE_MAX / 2 &&
           (options->growth_factor == 0.0 ||
            (options->growth_factor > 1.0 && options->growth_factor <= GROWTH_FACTOR_MAX));
}

static void
tell_gone(const struct larder *cache, const struct cache_evicted *item,
          enum larder_gone_reason reason)
{
    struct larder_gone gone = { .key = item->key,
                                .key_len = item->key_len,
                                .value_len = item->value_len,
                                .reason = reason,
                                .idle_s = item->idle_s,
                                .fetched = item->fetched };
    cache->gone(cache->gone_arg, &gone);
}

/** cache_observer.evicted() */
static void
on_evicted(void *arg, const struct cache_evicted *item)
{
    tell_gone(arg, item, LARDER_GONE_EVICTED);
}

/** cache_observer.died() */
static void
on_died(void *arg, const struct cache_evicted *item, enum cache_absence why)
{
    tell_gone(arg, item, why == CACHE_EXPIRED ? LARDER_GONE_EXPIRED : LARDER_GONE_FLUSHED);
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

/** All of an open cache that is not the engine's.  NULL without heap. */
static struct larder *
make_shell(const struct larder_options *options)
{
    struct larder *cache = calloc(1, sizeof(*cache));
    if (cache == NULL) {
        return NULL;
    }
    cache->build = PACKAGE_VERSION;
    lock_init(&cache->clock_lock, LOCK_RANK_LIBRARY);
    for (unsigned i = 0; i < SHARED_THREADS; i++) {
        lock_init(&cache->shared[i].lock, LOCK_RANK_LIBRARY);
    }
    cache->item_size_max = options->item_size_max;
    cache->cas_disabled = options->cas_disabled != 0;
    cache->evictions_disabled = options->evictions_disabled != 0;
    atomic_init(&cache->memory_limit, options->memory_limit);
    cache->gone = options->gone;
    cache->gone_arg = options->gone_arg;
    cache->observer =
        (struct cache_observer){ .arg = cache, .evicted = on_evicted, .died = on_died };
    atomic_init(&cache->observer.wants, CACHE_WANTS_EVICTED | CACHE_WANTS_DEAD);
    return cache;
}

enum larder_result
larder_open(const struct larder_options *given, struct larder **out)
{
    struct larder_options options;
    if (out == NULL || !take_options(given, &options) || !options_good(&options)) {
        return LARDER_BAD_OPTION;
    }
    if (!thread_slot_setup()) {
        return LARDER_SYSTEM;
    }
    struct larder *cache = make_shell(&options);
    if (cache == NULL) {
        return LARDER_SYSTEM;
    }
    uint32_t second = clock_coarse_s();
    int64_t now = clock_unix_s();
    cache->unix_base_s = now - (int64_t)second;
    atomic_init(&cache->second, second);

    struct cache_options engine = {
        .memory_limit = options.memory_limit,
        .item_size_max = options.item_size_max,
        .growth_factor = options.growth_factor,
        .chunk_min = options.chunk_min,
        .chunk_sizes = options.chunk_sizes,
        .chunk_sizes_len = options.chunk_sizes_len,
        .evict_for = options.evict_for == LARDER_EVICT_FOR_BYTES ? CACHE_EVICT_FOR_BYTES
                                                                 : CACHE_EVICT_FOR_OBJECTS,
        .large_pages = options.large_pages != 0,
        .cas_disabled = cache->cas_disabled,
        .evictions_disabled = cache->evictions_disabled,
        .hash_seed = rng_system(),
        .now = now,
        .observer = cache->gone != NULL ? &cache->observer : NULL,
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

enum larder_result
larder_close(struct larder **cache)
{
    if (cache == NULL || *cache == NULL) {
        return LARDER_OK;
    }
    /* acquire: pairs with larder_release(), larder_server_stop() and larder_hook_stop() */
    if (atomic_load_explicit(&(*cache)->views, memory_order_acquire) > 0 ||
        atomic_load_explicit(&(*cache)->users, memory_order_acquire) > 0) {
        return LARDER_BUSY;
    }
    close_parts(*cache);
    *cache = NULL;
    return LARDER_OK;
}

/* -- around each call -------------------------------------------------------------------------- */

void
call_tell_time(struct larder *cache)
{
    if (!lock_try_acquire(&cache->clock_lock)) {
        return;
    }
    /* Read again under the lock: the engine's time never goes back. */
    uint32_t second = clock_coarse_s();
    /* relaxed: a single number; who reads an old one comes here once too often. */
    if (second != atomic_load_explicit(&cache->second, memory_order_relaxed)) {
        cache_set_now(cache->cache, cache->unix_base_s + (int64_t)second);
        atomic_store_explicit(&cache->second, second, memory_order_relaxed);
    }
    lock_release(&cache->clock_lock);
}

struct call
call_take_first_or_shared(struct larder *cache, unsigned slot)
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

/* -- running ----------------------------------------------------------------------------------- */

void
larder_flush(struct larder *cache)
{
    if (cache == NULL) {
        return;
    }
    struct call call = call_begin(cache);
    cache_flush(call.cache, cache_now(call.cache));
    call_end(&call);
}

enum larder_result
larder_flush_prefix(struct larder *cache, const void *prefix, size_t prefix_len)
{
    if (prefix_len > LARDER_KEY_LEN_MAX || !bytes_good(prefix, prefix_len)) {
        return LARDER_BAD_KEY;
    }
    if (cache == NULL || cache->cas_disabled) {
        return LARDER_BAD_OPTION;
    }
    struct call call = call_take(cache);
    bool flushed = cache_flush_prefix(call.cache, prefix, (uint32_t)prefix_len);
    call_release(&call);
    return flushed ? LARDER_OK : LARDER_NO_MEMORY;
}

enum larder_result
larder_set_memory_limit(struct larder *cache, uint64_t memory_limit)
{
    if (cache == NULL || !cache_set_memory_limit(cache->cache, memory_limit)) {
        return LARDER_BAD_OPTION;
    }
    atomic_store_explicit(&cache->memory_limit, memory_limit,
                          memory_order_relaxed); /* relaxed: a figure */
    return LARDER_OK;
}

int
larder_maintain(struct larder *cache)
{
    if (cache == NULL) {
        return 0;
    }
    struct call call = call_take(cache);
    bool more = cache_maintain(call.cache, call.thread);
    call_release(&call);
    return more;
}
