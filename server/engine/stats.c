#include "config.h"

#include "engine/stats.h"

#include "base/assert.h"
#include "engine/cache_priv.h"

#include <stdlib.h>
#include <string.h>

#define VISIT_CHUNKS 256u /* looked at while the class's lock is held once */

/* Counters by member name: those of struct thread_counters and struct class_counters, which are
 * sums over threads ... */
#define THREAD_SUMS(X) \
    X(get_misses)      \
    X(get_expired)     \
    X(get_flushed)     \
    X(delete_misses)   \
    X(incr_misses)     \
    X(decr_misses)     \
    X(cas_misses)      \
    X(touch_misses)    \
    X(store_too_large) \
    X(store_no_memory) \
    X(items_total)

#define THREAD_CLASS_SUMS(X) \
    X(get_hits)              \
    X(set_cmds)              \
    X(delete_hits)           \
    X(incr_hits)             \
    X(decr_hits)             \
    X(cas_hits)              \
    X(cas_badval)            \
    X(touch_hits)

/* ... and all that stats reset sets back. */
#define CLASS_COUNTERS(X) \
    THREAD_CLASS_SUMS(X)  \
    X(evicted)            \
    X(evicted_nonzero)    \
    X(evicted_unfetched)  \
    X(evicted_active)     \
    X(expired_unfetched)  \
    X(reclaimed)          \
    X(swept)              \
    X(outofmemory)

#define CACHE_COUNTERS(X) \
    THREAD_SUMS(X)        \
    X(pages_moved)        \
    X(sweeps)             \
    X(items_rescued)      \
    X(ghost_hits)         \
    X(chunks_checked)

static void
read_class(struct size_class *class, struct cache_class_stats *out)
{
    lock_acquire(&class->lock);
    out->chunk_size = class->chunk_size;
    out->chunks_per_page = class->per_page;
    out->pages = class->pages_count;
    out->used_chunks = class->used_chunks;
    out->free_chunks = class->free_chunks;
    out->items = class->items;
    out->items_small = class->queue.length < class->items ? class->queue.length : class->items;
    out->mem_requested = slab_bytes(class);
    out->age_s = class->age_s;
    out->evicted_age_s = class->evicted_age_s;
    out->evicted = class->evicted;
    out->evicted_nonzero = class->evicted_nonzero;
    out->evicted_unfetched = class->evicted_unfetched;
    out->evicted_active = class->evicted_active;
    out->expired_unfetched = class->expired_unfetched;
    out->reclaimed = class->reclaimed;
    out->swept = class->swept;
    out->outofmemory = class->outofmemory;
    lock_release(&class->lock);
}

static void
read_threads(struct cache *cache, struct cache_stats *out)
{
    lock_acquire(&cache->threads_lock);
    for (struct cache_thread *thread = cache->threads; thread != NULL; thread = thread->next) {
        const struct thread_counters *counters = &thread->counters;
#define ADD(name) out->name += metric_get(&counters->name);
        THREAD_SUMS(ADD)
#undef ADD
        for (unsigned id = 1; id <= cache->classes; id++) {
#define ADD(name) out->of_class[id].name += metric_get(&counters->of_class[id].name);
            THREAD_CLASS_SUMS(ADD)
#undef ADD
        }
    }
    lock_release(&cache->threads_lock);
}

static uint64_t
load(const _Atomic uint64_t *figure)
{
    return atomic_load_explicit(figure, memory_order_relaxed); /* relaxed: a figure */
}

/** All figures since the cache was created. */
static void
read_all(struct cache *cache, struct cache_stats *out)
{
    memset(out, 0, sizeof(*out));
    out->classes = cache->classes;
    out->memory_limit = load(&cache->pages.limit);
    out->memory_used = load(&cache->pages.used);
    out->page_size = (uint32_t)pages_page_size(&cache->pages);
    pages_count(&cache->pages, &out->pages_free, &out->pages_bytes);
    out->index_bytes = table_bytes(&cache->table);
    out->index_buckets = table_count(&cache->table);
    out->index_growing = table_is_growing(&cache->table, load(&cache->items_hint));
    out->pages_moved = load(&cache->mover.moved);
    out->file_refusals = load(&cache->pages.file_refusals);
    out->items_rescued = load(&cache->mover.rescued);
    /* relaxed, these: figures */
    out->page_moving =
        atomic_load_explicit(&cache->mover.state, memory_order_relaxed) != MOVER_IDLE ||
        atomic_load_explicit(&cache->mover.asked, memory_order_relaxed);
    out->sweeping = atomic_load_explicit(&cache->sweeper.asked, memory_order_relaxed);
    out->sweeps = load(&cache->sweeper.rounds);
    out->ghost_hits = load(&cache->ghosts.hits);
    out->chunks_checked = metric_get(&cache->sweeper.checked);
    read_threads(cache, out);
    for (unsigned id = 1; id <= cache->classes; id++) {
        read_class(&cache->size_class[id], &out->of_class[id]);
    }
}

void
cache_stats_read(struct cache *cache, struct cache_stats *out)
{
    /* Read under the lock: the last reset was before it, so no counter is below its base. */
    lock_acquire(&cache->stats_lock);
    read_all(cache, out);
    const struct cache_stats *base = cache->stats_base;
    if (base != NULL) {
#define TAKE_AWAY(name) out->name -= base->name;
        CACHE_COUNTERS(TAKE_AWAY)
#undef TAKE_AWAY
        for (unsigned id = 1; id <= out->classes; id++) {
#define TAKE_AWAY(name) out->of_class[id].name -= base->of_class[id].name;
            CLASS_COUNTERS(TAKE_AWAY)
#undef TAKE_AWAY
        }
    }
    lock_release(&cache->stats_lock);
    for (unsigned id = 1; id <= out->classes; id++) {
        const struct cache_class_stats *class = &out->of_class[id];
        struct cache_class_stats *sum = &out->sum;
        sum->pages += class->pages;
        sum->used_chunks += class->used_chunks;
        sum->free_chunks += class->free_chunks;
        sum->items += class->items;
        sum->items_small += class->items_small;
        sum->mem_requested += class->mem_requested;
#define ADD(name) sum->name += class->name;
        CLASS_COUNTERS(ADD)
#undef ADD
    }
    out->items = out->sum.items;
    out->bytes = out->sum.mem_requested;
}

void
cache_stats_reset(struct cache *cache)
{
    struct cache_stats *base = malloc(sizeof(*base));
    if (base == NULL) {
        return; /* the counters go on; nothing else is to be done about it */
    }
    lock_acquire(&cache->stats_lock);
    read_all(cache, base);
    struct cache_stats *before = cache->stats_base;
    cache->stats_base = base;
    lock_release(&cache->stats_lock);
    free(before);
}

/* -- visiting ---------------------------------------------------------------------------------- */

void
cache_visit_class(struct cache *cache, unsigned class_id, uint64_t limit, cache_visit_fn *visit,
                  void *arg)
{
    assert(class_id >= 1 && class_id <= cache->classes);
    struct size_class *class = &cache->size_class[class_id];
    uint32_t page = 0;
    uint32_t chunk = 0;
    uint64_t visited = 0;
    bool more = true;
    while (more && visited < limit) {
        lock_acquire(&class->lock);
        for (uint32_t looks = 0; looks < VISIT_CHUNKS && more && visited < limit; looks++) {
            if (page >= class->pages_count) {
                more = false;
                break;
            }
            if (chunk >= slab_page_chunks(cache, class->pages[page])) {
                page++;
                chunk = 0;
                continue;
            }
            uint32_t ref = slab_chunk_ref(cache, class, class->pages[page], chunk++);
            struct cache_item_info info;
            uint8_t key[CACHE_KEY_MAX];
            if (cache_describe(cache, ref, &info, key)) {
                more = visit(arg, &info);
                visited++;
            }
        }
        lock_release(&class->lock);
    }
}
