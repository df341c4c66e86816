#include "config.h"

#include "engine/expire.h"

#include "base/assert.h"
#include "engine/cache_priv.h"

#include <sched.h>

#define RECLAIM_PAGES_MAX   16u      /* pages that one store looks at for expired items */
#define SWEEP_SLICE_CHUNKS  2048u    /* chunks looked at in one slice */
#define SWEEP_SECOND_CHUNKS 4000000u /* and in one second: some hundredths of a core */
#define SWEEP_FROM_END \
    UINT32_MAX /* in place of a number of pages: none of the class has been looked at */
#define GENERATIONS_URGENT \
    (ITEM_GENERATIONS / 2) /* unswept, at which also a sweep that is off goes on */
#define GENERATIONS_UNSWEPT_MAX \
    (ITEM_GENERATIONS - 2u)      /* then a flush sweeps by itself: an item has 4 bits of its own */
#define SWEEP_SLICE_PAGES 512u   /* pages looked at in one slice, if their time has not come */
#define CHANGE_WAITS_MAX  10000u /* yields until a change under way is over */
#define DEAD_AHEAD        16u /* dead items whose buckets are fetched before the first is freed */

void
expire_init(struct cache *cache)
{
    lock_init(&cache->sweeper.lock, LOCK_RANK_SWEEPER);
    cache->sweeper.class_id = 1;
    cache->sweeper.pages_ahead = SWEEP_FROM_END;
}

void
expire_fini(struct cache *cache)
{
    lock_fini(&cache->sweeper.lock);
}

static void
count_round(struct sweeper *sweeper)
{
    atomic_fetch_add_explicit(&sweeper->rounds, 1, memory_order_relaxed); /* relaxed: a figure */
}

static void
lower(_Atomic uint32_t *expire_min, uint32_t expire_s)
{
    uint32_t before =
        atomic_load_explicit(expire_min, memory_order_relaxed); /* relaxed: one number */
    while (expire_s < before && !atomic_compare_exchange_weak_explicit(
                                    expire_min, &before, expire_s, memory_order_relaxed,
                                    memory_order_relaxed)) { /* relaxed: as above */
    }
}

void
expire_note(struct cache *cache, uint32_t ref, uint32_t expire_s)
{
    if (expire_s != 0) {
        lower(&cache->pages.page[pages_page_of(&cache->pages, ref)].expire_min, expire_s);
    }
}

static uint32_t
sweep_stamp(const struct cache *cache)
{
    /* relaxed: a number that only grows */
    return atomic_load_explicit(&cache->sweep_stamp, memory_order_relaxed);
}

static uint32_t
generation_swept(const struct cache *cache)
{
    /* relaxed: a number that only grows */
    return atomic_load_explicit(&cache->generation_swept, memory_order_relaxed);
}

/** No item of a generation before this is left.  Sweeper's lock held. */
static void
set_generation_swept(struct cache *cache, uint32_t generation)
{
    if ((int32_t)(generation - generation_swept(cache)) > 0) { /* a flush may have swept further */
        atomic_store_explicit(&cache->generation_swept, generation,
                              memory_order_relaxed); /* relaxed: as generation_swept() */
    }
}

/** Whether something on a page may be dead. */
static bool
page_is_due(const struct cache *cache, const struct page *page, uint32_t now_s)
{
    return atomic_load_explicit(&page->expire_min, memory_order_relaxed) <=
               now_s || /* relaxed: one number */
           page->swept_stamp != sweep_stamp(cache);
}

/** Dead items of a page, whose buckets are on their way from memory: each would be waited for,
 * under the class's lock.  While that is held none of their chunks can become another item's, and
 * what is dead stays dead. */
struct dead_batch {
    uint32_t count;
    uint32_t ref[DEAD_AHEAD];
    uint64_t hash[DEAD_AHEAD];
};

static void
note_dead(struct cache *cache, struct dead_batch *dead, uint32_t ref, uint64_t hash)
{
    __builtin_prefetch(table_bucket(&cache->table, hash), 1);
    dead->ref[dead->count] = ref;
    dead->hash[dead->count++] = hash;
}

/** Frees them, but for those that someone else was faster with; returns how many. */
static uint32_t
free_dead(struct cache *cache, struct size_class *class, struct dead_batch *dead)
{
    uint32_t freed = 0;
    for (uint32_t i = 0; i < dead->count; i++) {
        if (cache_unlink(cache, dead->hash[i], dead->ref[i])) {
            const struct item *item = cache_item(cache, dead->ref[i]);
            class->expired_unfetched += !(item_access(item) & ACCESS_FETCHED);
            evict_tell_dead(cache, item, item_shape(item));
            cache_free_item(cache, dead->ref[i], class->id);
            freed++;
        }
    }
    dead->count = 0;
    return freed;
}

/** Frees all the dead on one page, and sets its time anew; returns how many.  Class's lock held. */
static uint32_t
reclaim_page(struct cache *cache, struct size_class *class, uint32_t number)
{
    struct page *page = &cache->pages.page[number];
    uint32_t now_s = cache_now_s(cache);
    uint32_t stamp = sweep_stamp(cache);
    uint32_t chunks = slab_page_chunks(cache, number);
    uint32_t expire_min = UINT32_MAX;
    uint32_t freed = 0;
    struct dead_batch dead = { 0 };
    /* Up first, then down to what is found: so a time that a store notes meanwhile stays.  Of a store
     * that sets its item's time and looks at the page's in these very moments, each side may see the
     * other's old one; without a fence in every such store this is let be: the item goes with the
     * page's next time, or to the hand. */
    atomic_store_explicit(&page->expire_min, UINT32_MAX,
                          memory_order_relaxed); /* relaxed: one number */
    for (uint32_t chunk = 0; chunk < chunks; chunk++) {
        uint32_t ref = slab_chunk_ref(cache, class, number, chunk);
        struct item *item = cache_item(cache, ref);
        uint32_t shape = item_shape(item);
        if (shape_key_len(shape) == 0) {
            continue;
        }
        uint32_t expire_s = item_expire_s(item);
        if (cache_is_dead(cache, item, shape, now_s)) {
            note_dead(cache, &dead, ref, cache_item_hash(cache, item, shape));
            if (dead.count == DEAD_AHEAD) {
                freed += free_dead(cache, class, &dead);
            }
        } else if (expire_s != 0 && expire_s < expire_min) {
            expire_min = expire_s;
        }
    }
    freed += free_dead(cache, class, &dead);
    page->swept_stamp = stamp;
    lower(&page->expire_min, expire_min);
    return freed;
}

bool
expire_reclaim(struct cache *cache, struct size_class *class)
{
    uint32_t now_s = cache_now_s(cache);
    for (uint32_t looks = 0; looks < RECLAIM_PAGES_MAX && looks < class->pages_count; looks++) {
        if (class->expire_cursor >= class->pages_count) {
            class->expire_cursor = 0;
        }
        uint32_t page = class->pages[class->expire_cursor++];
        if (page_is_due(cache, &cache->pages.page[page], now_s)) {
            uint32_t freed = reclaim_page(cache, class, page);
            class->reclaimed += freed;
            if (freed > 0 && class->free_chunks > 0) {
                return true;
            }
        }
    }
    return false;
}

/* -- the sweep --------------------------------------------------------------------------------- */

/** Whether a page is empty, and its class has room without it. */
static bool
page_is_spare(const struct size_class *class, const struct page *page)
{
    return page->free_count == class->per_page && class->free_chunks > class->per_page &&
           !page->kept;
}

/** Sweeps one page of the class, or gives it back if it is empty.  Class's lock held. */
static void
sweep_page(struct cache *cache, struct cache_thread *thread, struct size_class *class,
           uint32_t number)
{
    struct page *page = &cache->pages.page[number];
    uint32_t chunks = slab_page_chunks(cache, number);
    struct sweeper *sweeper = &cache->sweeper;
    uint32_t reclaimed = reclaim_page(cache, class, number);
    class->swept += reclaimed;
    metric_add_shared(&sweeper->checked, chunks);
    if (sweeper->class_examined == 0) {
        sweeper->class_began_s = cache_now_s(cache);
    }
    sweeper->class_examined += chunks;
    sweeper->class_reclaimed += reclaimed;
    if (page_is_spare(class, page)) {
        rebalance_release_page(cache, thread, class, number);
    }
}

/** Flushes of a prefix before this cache second no longer hold stores off. */
static uint32_t
holdoff_begin(const struct cache *cache)
{
    uint32_t now_s = cache_now_s(cache);
    uint32_t span_s = holdoff_span_s(&cache->holdoff);
    return span_s == 0 ? UINT32_MAX : now_s > span_s ? now_s - span_s : 0;
}

/**
 * Waits until the changes that were under way are over (store_change_begin()).  False: some is not.
 *
 * The stamp of a flush is read before.  A change that did not see that flush looked at `cas_high`
 * before the flush set it, and had begun before that: all seq_cst, so its count is odd here or has
 * gone on.
 */
static bool
wait_for_changes(struct cache *cache)
{
    bool over = true;
    lock_acquire(&cache->threads_lock);
    for (struct cache_thread *thread = cache->threads; thread != NULL; thread = thread->next) {
        uint32_t changes = atomic_load_explicit(&thread->changes, memory_order_seq_cst);
        unsigned waits = changes % 2 == 1 ? CHANGE_WAITS_MAX : 0;
        /* acquire: pairs with store_change_end() */
        while (waits > 0 &&
               atomic_load_explicit(&thread->changes, memory_order_acquire) == changes) {
            sched_yield();
            waits--;
            over = over && waits > 0;
        }
    }
    lock_release(&cache->threads_lock);
    return over;
}

/** The flushes that a sweep from here on brings to their end; false: of prefixes none. */
static bool
take_stamp(struct cache *cache, uint32_t *stamp)
{
    /* acquire: pairs with flush_at_last_id() in prefixes.c */
    *stamp = atomic_load_explicit(&cache->sweep_stamp, memory_order_acquire);
    /* relaxed: a flush that shows in the stamp shows here */
    return atomic_load_explicit(&cache->prefixes.count, memory_order_relaxed) == 0 ||
           wait_for_changes(cache);
}

/** Begins a round; what was flushed before it is gone when it has ended. */
static void
begin_round(struct cache *cache, bool on_request)
{
    struct sweeper *sweeper = &cache->sweeper;
    sweeper->class_id = 1;
    sweeper->pages_ahead = SWEEP_FROM_END;
    sweeper->generation = cache_generation(cache);
    sweeper->cut = !take_stamp(cache, &sweeper->stamp);
    sweeper->class_chunks = 0;
    sweeper->on_request = on_request;
    sweeper->counted = on_request;
    if (on_request) {
        count_round(sweeper);
    }
}

/** A round is over. */
static void
finish_round(struct cache *cache)
{
    struct sweeper *sweeper = &cache->sweeper;
    if (sweeper->on_request) {
        /* relaxed: a hint for those who ask */
        atomic_store_explicit(&sweeper->asked, false, memory_order_relaxed);
    } else if (!sweeper->cut) {
        set_generation_swept(cache, sweeper->generation);
        prefixes_retire(&cache->prefixes, sweeper->stamp, holdoff_begin(cache));
    }
    begin_round(cache, false);
}

/** Looks at pages of the sweeper's class until one had to be swept; returns the chunks swept.
 * Class's lock held. */
static uint32_t
sweep_one(struct cache *cache, struct cache_thread *thread, struct size_class *class,
          uint32_t *pages)
{
    struct sweeper *sweeper = &cache->sweeper;
    uint32_t now_s = cache_now_s(cache);
    /* From the end on: the last page takes the place of one that leaves, and then has been looked
     * at already. */
    if (sweeper->pages_ahead > class->pages_count) {
        sweeper->pages_ahead = class->pages_count;
    }
    while (sweeper->pages_ahead > 0 && *pages < SWEEP_SLICE_PAGES) {
        uint32_t number = class->pages[--sweeper->pages_ahead];
        struct page *page = &cache->pages.page[number];
        (*pages)++;
        if (page_is_due(cache, page, now_s) || page_is_spare(class, page)) {
            uint32_t chunks = slab_page_chunks(cache, number);
            sweep_page(cache, thread, class, number);
            if (!sweeper->counted) {
                sweeper->counted = true;
                count_round(sweeper);
            }
            return chunks + 1;
        }
    }
    return 0;
}

/** The same with its lock taken, unless the round has nothing to do with this class or has looked at
 * enough of it. */
static uint32_t
sweep_class(struct cache *cache, struct cache_thread *thread, uint32_t *pages)
{
    struct sweeper *sweeper = &cache->sweeper;
    if (sweeper->on_request && !cache_class_set_has(&sweeper->classes, sweeper->class_id)) {
        sweeper->pages_ahead = 0;
        return 0;
    }
    /* relaxed: a setting */
    uint32_t max = atomic_load_explicit(&sweeper->class_chunks_max, memory_order_relaxed);
    if (max != 0 && sweeper->class_chunks >= max) {
        sweeper->cut = sweeper->cut || sweeper->pages_ahead > 0;
        sweeper->pages_ahead = 0;
        return 0;
    }
    struct size_class *class = &cache->size_class[sweeper->class_id];
    lock_acquire(&class->lock);
    uint32_t chunks = sweep_one(cache, thread, class, pages);
    lock_release(&class->lock);
    sweeper->class_chunks += chunks;
    return chunks;
}

/** The sweep goes on to the next class: tells the observer what it did in this one, if anything. */
static void
leave_class(struct cache *cache)
{
    struct sweeper *sweeper = &cache->sweeper;
    if (sweeper->class_examined > 0 &&
        __builtin_expect(cache_is_observed(cache, CACHE_WANTS_SWEEPS), 0)) {
        struct cache_sweep sweep = { .class_id = sweeper->class_id,
                                     .elapsed_s = cache_now_s(cache) - sweeper->class_began_s,
                                     .examined = sweeper->class_examined,
                                     .reclaimed = sweeper->class_reclaimed };
        cache->options.observer->swept(cache->options.observer->arg, &sweep);
    }
    sweeper->class_examined = 0;
    sweeper->class_reclaimed = 0;
    sweeper->pages_ahead = SWEEP_FROM_END;
    sweeper->class_chunks = 0;
}

static bool
generations_wait(const struct cache *cache)
{
    return cache_generation(cache) - generation_swept(cache) >= GENERATIONS_UNSWEPT_MAX;
}

static bool
flushes_wait(struct cache *cache)
{
    return generations_wait(cache) || prefixes_wait_for_sweep(&cache->prefixes);
}

static bool
sweep_slice(struct cache *cache, struct cache_thread *thread)
{
    struct sweeper *sweeper = &cache->sweeper;
    uint32_t now_s = cache_now_s(cache);
    if (sweeper->second != now_s) {
        sweeper->second = now_s;
        sweeper->chunks = 0;
    }
    /* relaxed: set under the lock */
    if (!sweeper->on_request && atomic_load_explicit(&sweeper->asked, memory_order_relaxed)) {
        begin_round(cache, true);
    }
    uint32_t chunks = 0;
    uint32_t pages = 0;
    while (chunks < SWEEP_SLICE_CHUNKS && pages < SWEEP_SLICE_PAGES) {
        chunks += sweep_class(cache, thread, &pages);
        if (sweeper->pages_ahead == 0) {
            leave_class(cache);
            if (sweeper->class_id++ == cache->classes) {
                finish_round(cache);
                break;
            }
        }
    }
    if (sweeper->on_request) {
        return true;
    }
    sweeper->chunks += chunks;
    /* A round that found nothing ends the work until time has passed or someone has flushed. */
    return (chunks > 0 || sweeper->class_id > 1 || sweeper->pages_ahead != SWEEP_FROM_END) &&
           (sweeper->chunks < SWEEP_SECOND_CHUNKS || flushes_wait(cache));
}

/** Whether there is to be no sweep: it is switched off, and neither on request, nor for a prefix
 * that was flushed, nor needed before the generations run out, when a flush would have to do all of
 * it. */
static bool
is_off(const struct cache *cache)
{
    const struct sweeper *sweeper = &cache->sweeper;
    /* relaxed, all: when exactly they are seen does not matter */
    return atomic_load_explicit(&sweeper->disabled, memory_order_relaxed) &&
           !atomic_load_explicit(&sweeper->asked, memory_order_relaxed) &&
           atomic_load_explicit(&cache->prefixes.count, memory_order_relaxed) == 0 &&
           cache_generation(cache) - generation_swept(cache) < GENERATIONS_URGENT;
}

bool
cache_flush_waits(struct cache *cache, enum cache_flush_kind kind)
{
    return kind == CACHE_FLUSH_ALL ? generations_wait(cache)
                                   : prefixes_wait_for_sweep(&cache->prefixes);
}

bool
expire_sweep(struct cache *cache, struct cache_thread *thread)
{
    struct sweeper *sweeper = &cache->sweeper;
    if (is_off(cache)) {
        return false;
    }
    if (!lock_try_acquire(&sweeper->lock)) {
        return false;
    }
    bool more = sweep_slice(cache, thread);
    lock_release(&sweeper->lock);
    return more;
}

void
cache_set_sweep(struct cache *cache, bool enabled, uint32_t class_chunks_max)
{
    /* relaxed, both: settings */
    atomic_store_explicit(&cache->sweeper.disabled, !enabled, memory_order_relaxed);
    atomic_store_explicit(&cache->sweeper.class_chunks_max, class_chunks_max, memory_order_relaxed);
}

bool
cache_sweep_now(struct cache *cache, const struct cache_class_set *classes)
{
    struct sweeper *sweeper = &cache->sweeper;
    lock_acquire(&sweeper->lock);
    /* relaxed: set under the lock */
    bool idle = !atomic_load_explicit(&sweeper->asked, memory_order_relaxed);
    if (idle) {
        sweeper->classes = *classes;
        atomic_store_explicit(&sweeper->asked, true, memory_order_relaxed);
    }
    lock_release(&sweeper->lock);
    return idle;
}

/** Sweeps all that the flushes so far have left.  Sweeper's lock held. */
static void
sweep_all(struct cache *cache)
{
    uint32_t generation = cache_generation(cache);
    uint32_t stamp;
    bool counts = take_stamp(cache, &stamp);
    for (unsigned id = 1; id <= cache->classes; id++) {
        struct size_class *class = &cache->size_class[id];
        for (uint32_t ahead = SWEEP_FROM_END; ahead > 0;) {
            lock_acquire(&class->lock);
            ahead = ahead < class->pages_count ? ahead : class->pages_count;
            if (ahead > 0) {
                class->swept += reclaim_page(cache, class, class->pages[--ahead]);
            }
            lock_release(&class->lock);
        }
    }
    set_generation_swept(cache, generation);
    if (counts) {
        prefixes_retire(&cache->prefixes, stamp, holdoff_begin(cache));
    }
}

void
expire_sweep_all(struct cache *cache)
{
    lock_acquire(&cache->sweeper.lock);
    sweep_all(cache);
    lock_release(&cache->sweeper.lock);
}

void
expire_begin_generation(struct cache *cache)
{
    /* Under the lock: of several flushes at once each counts those before it. */
    lock_acquire(&cache->sweeper.lock);
    if (generations_wait(cache)) {
        sweep_all(cache);
    }
    RACE_POINT();
    /* relaxed: numbers that only grow */
    atomic_fetch_add_explicit(&cache->generation, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&cache->sweep_stamp, 1, memory_order_relaxed);
    lock_release(&cache->sweeper.lock);
}
