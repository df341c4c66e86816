#include "config.h"

#include "engine/cache.h"

#include "base/assert.h"
#include "engine/cache_priv.h"
#include "engine/large.h"
#include "engine/memory_file.h"
#include "engine/restart.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_MEMBARRIER
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define CACHE_MAGIC      0x6c617264u
#define MEMORY_LIMIT_MIN ((uint64_t)1 << 20) /* bytes */
#define PAGES_MIN        4u   /* pages that a lowered limit leaves beside the index */
#define MAINTAIN_CHUNKS  256u /* of a page on the move, emptied in one slice */

/* -- what the index asks of items -------------------------------------------------------------- */

uint64_t
cache_item_hash(const struct cache *cache, const struct item *item, uint32_t shape)
{
#ifdef RACE_CHECKED
    uint8_t key[SHAPE_KEY_MAX];
    race_copy_out(key, item_key(item, shape, cache->cas_size), shape_key_len(shape));
    return hash_bytes(key, shape_key_len(shape), cache->options.hash_seed);
#else
    return hash_bytes(item_key(item, shape, cache->cas_size), shape_key_len(shape),
                      cache->options.hash_seed);
#endif
}

static uint64_t
hash_of_ref(void *arg, uint32_t ref)
{
    const struct cache *cache = arg;
    const struct item *item = cache_item(cache, ref);
    return cache_item_hash(cache, item, item_shape(item));
}

uint32_t
cache_item_value_len(const struct cache *cache, const struct item *item, uint32_t shape)
{
    if (!(shape & SHAPE_LARGE)) {
        return shape_value_len(shape);
    }
    /* relaxed: set before the item is visible */
    return atomic_load_explicit(&large_of(item, shape, cache->cas_size)->value_len,
                                memory_order_relaxed);
}

uint64_t
cache_item_size(const struct cache *cache, const struct item *item, uint32_t shape)
{
    return (uint64_t)item_key_offset(shape, cache->cas_size) + shape_key_len(shape) +
           cache_item_value_len(cache, item, shape);
}

uint8_t
cache_item_class(const struct cache *cache, uint32_t shape)
{
    if (shape & SHAPE_LARGE) {
        return (uint8_t)cache->classes;
    }
    return cache_class_of(cache, item_key_offset(shape, cache->cas_size) + shape_key_len(shape) +
                                     shape_value_len(shape));
}

bool
cache_unlink(struct cache *cache, uint64_t hash, uint32_t ref)
{
    struct bucket *bucket = table_lock(&cache->table, hash);
    struct table_place place;
    bool found = table_find_ref(&cache->table, bucket, ref, &place);
    if (found) {
        bucket_change_begin(bucket);
        table_remove(&cache->table, &place);
        bucket_change_end(bucket);
    }
    bucket_unlock(bucket);
    return found;
}

bool
cache_free_item(struct cache *cache, uint32_t ref, uint8_t held_class)
{
    struct item *item = cache_item(cache, ref);
    uint32_t shape = item_shape(item);
    assert(shape_key_len(shape) > 0);
    slab_item_gone(cache, cache_item_class(cache, shape), cache_item_size(cache, item, shape),
                   held_class);
    if (!(shape & SHAPE_LARGE)) {
        slab_free(cache, ref, held_class);
        return true;
    }
    /* Readers that still send it find the lengths in the expiry's place: see cache_unpin(). */
    item_set_expire_s(item, shape);
    /* release: pairs with the acquire in cache_unpin(). */
    atomic_store_explicit(&item->shape, SHAPE_HELD, memory_order_release);
    if (!large_unpin(cache, item, shape)) {
        return false;
    }
    large_free(cache, ref, shape, held_class);
    return true;
}

bool
cache_is_void(struct cache *cache, const struct item *item, uint32_t shape)
{
    uint64_t high = atomic_load_explicit(&cache->prefixes.cas_high,
                                         memory_order_relaxed); /* relaxed: as the caller's look */
    uint64_t cas = cache->cas_size > 0 ? item_cas(item) : UINT64_MAX;
    if (cas > high) {
        return false;
    }
    uint8_t key[SHAPE_KEY_MAX];
    race_copy_out(key, item_key(item, shape, cache->cas_size), shape_key_len(shape));
    return prefixes_cover(&cache->prefixes, cas, key, shape_key_len(shape));
}

bool
cache_is_bypassed(struct cache *cache, const void *key, uint32_t key_len)
{
    /* relaxed: a switch */
    return atomic_load_explicit(&cache->prefixes.cas_high, memory_order_relaxed) == UINT64_MAX &&
           prefixes_bypass(&cache->prefixes, key, key_len);
}

/* -- create, destroy --------------------------------------------------------------------------- */

/** Whether the kernel orders readers for us (membarrier), so that they need no fence of their own.
 */
static bool
register_membarrier(void)
{
#if defined(HAVE_MEMBARRIER) && !defined(RACE_CHECKED)
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
#else
    return false;
#endif
}

struct cache *
cache_create(const struct cache_options *options)
{
    return options->memory_file != NULL ? restart_create(options) : cache_build(options, NULL);
}

struct cache *
cache_build(const struct cache_options *options, const struct pages_file *file)
{
    assert(options->memory_limit >= MEMORY_LIMIT_MIN);
    assert(options->item_size_max >= CACHE_ITEM_SIZE_MIN &&
           options->item_size_max <= CACHE_ITEM_SIZE_LIMIT);
    struct cache *cache = aligned_alloc(CACHE_LINE, sizeof(*cache));
    if (cache == NULL) {
        return NULL;
    }
    memset(cache, 0, sizeof(*cache));
    cache->magic = CACHE_MAGIC;
    cache->options = *options;
    cache->options.memory_file = NULL; /* the caller's, as `start` */
    cache->options.start = NULL;
    cache->cas_size = options->cas_disabled ? 0 : 8;
    cache->clock_base = options->now - CLOCK_START_S;
    cache->membarrier = register_membarrier();
    atomic_init(&cache->now_s, CLOCK_START_S);
    atomic_init(&cache->epoch, 1);
    atomic_init(&cache->cas_last, 1); /* the first id given is 2, as clients have seen it */
    if (!pages_init(&cache->pages, options->memory_limit, options->large_pages, file)) {
        goto fail_pages;
    }
    if (!slab_classes_init(cache)) {
        errno = ENOMEM;
        goto fail_classes;
    }
    if (!table_init(&cache->table, &cache->pages, hash_of_ref, cache)) {
        goto fail_classes;
    }
    if (!ghosts_init(&cache->ghosts, &cache->pages, options->memory_limit)) {
        goto fail_ghosts;
    }
    if (!prefixes_init(&cache->prefixes)) {
        errno = ENOMEM;
        goto fail_prefixes;
    }
    if (options->track_sizes) {
        cache->sizes = sizes_create(options->item_size_max);
        if (cache->sizes == NULL) {
            errno = ENOMEM;
            goto fail_sizes;
        }
    }
    rebalance_init(cache);
    expire_init(cache);
    lock_init(&cache->threads_lock, LOCK_RANK_THREADS);
    lock_init(&cache->stats_lock, LOCK_RANK_STATS);
    return cache;

fail_sizes:
    prefixes_fini(&cache->prefixes);
fail_prefixes:
    ghosts_fini(&cache->ghosts);
fail_ghosts:
    table_fini(&cache->table);
fail_classes:
    free(cache->size_class);
    free(cache->class_by_size);
    pages_fini(&cache->pages);
fail_pages:
    free(cache);
    return NULL;
}

void
cache_destroy(struct cache *cache)
{
    assert(cache->magic == CACHE_MAGIC);
    while (cache->threads != NULL) {
        struct cache_thread *thread = cache->threads;
        assert(!thread->open);
        cache->threads = thread->next;
        free(thread);
    }
    lock_fini(&cache->threads_lock);
    lock_fini(&cache->stats_lock);
    free(cache->stats_base);
    sizes_destroy(cache->sizes);
    expire_fini(cache);
    rebalance_fini(cache);
    holdoff_fini(&cache->holdoff);
    prefixes_fini(&cache->prefixes);
    ghosts_fini(&cache->ghosts);
    table_fini(&cache->table);
    slab_classes_fini(cache);
    pages_fini(&cache->pages);
    memory_file_close(cache->file);
    cache->magic = 0;
    free(cache);
}

/* -- threads ----------------------------------------------------------------------------------- */

struct cache_thread *
cache_thread_open(struct cache *cache)
{
    lock_acquire(&cache->threads_lock);
    struct cache_thread *thread = cache->threads;
    while (thread != NULL && thread->open) {
        thread = thread->next;
    }
    if (thread == NULL && cache->threads_count < CACHE_THREADS_MAX) {
        thread = aligned_alloc(CACHE_LINE, sizeof(*thread));
        if (thread != NULL) {
            memset(thread, 0, sizeof(*thread));
            thread->cache = cache;
            thread->fences = !cache->membarrier;
            thread->next = cache->threads;
            cache->threads = thread;
            cache->threads_count++;
        }
    }
    if (thread != NULL) {
        thread->open = true;
    }
    lock_release(&cache->threads_lock);
    return thread;
}

void
cache_thread_close(struct cache *cache, struct cache_thread *thread)
{
    lock_acquire(&cache->threads_lock);
    assert(thread->open &&
           atomic_load_explicit(&thread->active, memory_order_relaxed) == 0); /* relaxed: ours */
    thread->open = false;
    lock_release(&cache->threads_lock);
}

void
cache_enter(struct cache_thread *thread)
{
    /* acquire: who enters in a new epoch sees what left the index before it began (rebalance.c). */
    uint64_t epoch = atomic_load_explicit(&thread->cache->epoch, memory_order_acquire);
    atomic_store_explicit(&thread->active, epoch,
                          memory_order_relaxed); /* relaxed: ordered by the fence below */
    /* seq_cst: pairs with cache_fence_readers(); either it sees us, or we see what it has taken
     * out.  With membarrier the kernel runs the fence on this processor when it is needed, and here
     * the compiler must only not move the reads up. */
    if (thread->fences) {
        atomic_thread_fence(memory_order_seq_cst);
    } else {
        atomic_signal_fence(memory_order_seq_cst);
    }
}

void
cache_leave(struct cache_thread *thread)
{
    /* release: pairs with readers_left(); our reads, and stores to access words, are done. */
    atomic_store_explicit(&thread->active, 0, memory_order_release);
}

uint64_t
cache_step_out(struct cache_thread *thread)
{
    uint64_t active =
        atomic_load_explicit(&thread->active, memory_order_relaxed); /* relaxed: ours */
    if (active != 0) {
        cache_leave(thread);
    }
    return active;
}

void
cache_step_in(struct cache_thread *thread, uint64_t active)
{
    if (active != 0) {
        cache_enter(thread);
    }
}

void
cache_fence_readers(struct cache *cache)
{
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in cache_enter() */
#ifdef HAVE_MEMBARRIER
    if (cache->membarrier) {
        long rc = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
        assert(rc == 0);
    }
#else
    (void)cache;
#endif
}

/* -- time -------------------------------------------------------------------------------------- */

/** One thread gets to do it. */
void
cache_flush_if_due(struct cache *cache)
{
    uint32_t at_s =
        atomic_load_explicit(&cache->flush_at_s, memory_order_relaxed); /* relaxed: one number */
    if (at_s != 0 && at_s <= cache_now_s(cache) &&
        atomic_compare_exchange_strong_explicit(&cache->flush_at_s, &at_s, 0, memory_order_relaxed,
                                                memory_order_relaxed)) { /* relaxed: as above */
        expire_begin_generation(cache);
    }
}

void
cache_set_now(struct cache *cache, int64_t now)
{
    int64_t now_s = now - cache->clock_base;
    uint32_t before = cache_now_s(cache);
    if (now_s > (int64_t)before && now_s < UINT32_MAX) {
        atomic_store_explicit(&cache->now_s, (uint32_t)now_s,
                              memory_order_relaxed); /* relaxed: as cache_now_s() */
        cache_flush_if_due(cache);
        pages_retry_file(&cache->pages);
    }
}

int64_t
cache_now(const struct cache *cache)
{
    return cache->clock_base + cache_now_s(cache);
}

uint32_t
cache_expire_s(const struct cache *cache, int64_t expires_at)
{
    if (expires_at == CACHE_NEVER) {
        return 0;
    }
    if (expires_at < 0) {
        return 1;
    }
    int64_t expire_s = expires_at - cache->clock_base;
    if (expire_s < 1) {
        return 1;
    }
    return expire_s < UINT32_MAX ? (uint32_t)expire_s : UINT32_MAX;
}

void
cache_flush(struct cache *cache, int64_t at)
{
    if (at <= cache_now(cache)) {
        atomic_store_explicit(&cache->flush_at_s, 0,
                              memory_order_relaxed); /* relaxed: one number */
        expire_begin_generation(cache);
        return;
    }
    uint32_t at_s = cache_expire_s(cache, at);
    atomic_store_explicit(&cache->flush_at_s, at_s, memory_order_relaxed); /* relaxed: one number */
}

/* -- running ----------------------------------------------------------------------------------- */

bool
cache_maintain(struct cache *cache, struct cache_thread *thread)
{
    bool moving = rebalance_run(cache, thread, MAINTAIN_CHUNKS);
    bool sweeping = expire_sweep(cache, thread);
    return moving || sweeping;
}

unsigned
cache_classes(const struct cache *cache)
{
    return cache->classes;
}

bool
cache_set_memory_limit(struct cache *cache, uint64_t memory_limit)
{
    uint64_t least = table_bytes(&cache->table) + cache->ghosts.bytes +
                     PAGES_MIN * pages_page_size(&cache->pages);
    if (memory_limit < MEMORY_LIMIT_MIN || memory_limit < least ||
        memory_limit > pages_limit_max(&cache->pages)) {
        return false;
    }
    pages_set_limit(&cache->pages, memory_limit);
    return true;
}

void
cache_check(struct cache *cache)
{
    assert(cache->magic == CACHE_MAGIC);
    pages_check(&cache->pages);
    slab_check(cache);
    uint64_t indexed = table_check(&cache->table);
    uint64_t visible = 0;
    for (unsigned id = 1; id <= cache->classes; id++) {
        struct size_class *class = &cache->size_class[id];
        for (uint32_t i = 0; i < class->pages_count; i++) {
            uint32_t chunks = slab_page_chunks(cache, class->pages[i]);
            for (uint32_t chunk = 0; chunk < chunks; chunk++) {
                uint32_t ref = slab_chunk_ref(cache, class, class->pages[i], chunk);
                uint32_t shape = item_shape(cache_item(cache, ref));
                if (shape_key_len(shape) == 0) {
                    continue;
                }
                visible++;
                assert(cache_item_class(cache, shape) == id);
                if (shape & SHAPE_LARGE) {
                    large_check(cache, ref, shape);
                }
            }
        }
    }
    assert(visible == indexed);
}
