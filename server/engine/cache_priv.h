/* What the files of the engine share: struct cache and struct cache_thread. */
#ifndef LARDER_ENGINE_CACHE_PRIV_H
#define LARDER_ENGINE_CACHE_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/lock.h"
#include "base/metric.h"
#include "engine/cache.h"
#include "engine/evict.h"
#include "engine/expire.h"
#include "engine/holdoff.h"
#include "engine/hook.h"
#include "engine/item.h"
#include "engine/pages.h"
#include "engine/prefixes.h"
#include "engine/rebalance.h"
#include "engine/sizes.h"
#include "engine/slab.h"
#include "engine/stats.h"
#include "engine/table.h"

#define CLOCK_START_S 2u /* cache second at create: 0 means never, and 1 is the past */

/* Counters of one thread for one class. */
struct class_counters {
    struct metric get_hits;
    struct metric set_cmds;
    struct metric delete_hits;
    struct metric incr_hits;
    struct metric decr_hits;
    struct metric cas_hits;
    struct metric cas_badval;
    struct metric touch_hits;
};

struct thread_counters {
    struct metric get_misses;
    struct metric get_expired;
    struct metric get_flushed;
    struct metric delete_misses;
    struct metric incr_misses;
    struct metric decr_misses;
    struct metric cas_misses;
    struct metric touch_misses;
    struct metric store_too_large;
    struct metric store_no_memory;
    struct metric items_total;
    struct class_counters of_class[CACHE_CLASSES_MAX + 1];
};

/** Locking key:  (t) cache.threads_lock  (a) atomic; others belong to the one thread that uses it.
 */
struct cache_thread {
    _Atomic uint64_t active;  /* (a) 0 outside cache_enter(), else the epoch that it entered in */
    _Atomic uint32_t changes; /* (a) odd from store_change_begin() to store_change_end() */
    bool fences; /* constant: cache_enter() must order itself, the kernel's membarrier is not there
                  */
    struct cache *cache;
    struct cache_thread *next; /* (t) */
    bool open;                 /* (t) */
    _Alignas(CACHE_LINE) struct thread_counters counters;
};

/** Locking key:  (a) atomic  (t) threads_lock  (s) stats_lock; others constant, or locked by
 * themselves. */
struct cache {
    uint32_t magic;
    struct cache_options options;
    uint32_t cas_size;           /* bytes in each item: 8, or 0 */
    bool membarrier;             /* the kernel orders readers: cache_fence_readers() */
    int64_t clock_base;          /* unix second of cache second 0 */
    _Atomic uint32_t now_s;      /* (a) cache second */
    _Atomic uint32_t generation; /* (a) flushes so far; items carry it modulo ITEM_GENERATIONS; as
                                    generation_swept */
    _Atomic uint32_t generation_swept; /* (a) no item of a generation before this is left; written
                                          under the sweeper's lock */
    _Atomic uint32_t sweep_stamp;      /* (a) flushes of all or of a prefix so far; of a prefix with
                                          release: pairs with take_stamp() in expire.c */
    _Atomic uint32_t flush_at_s;       /* (a) cache second of the flush to come; 0 for none */
    _Atomic uint64_t epoch;            /* (a) grows when pages wait for readers to leave */
    struct pages pages;
    struct table table;
    struct prefixes prefixes;
    struct holdoff holdoff;
    struct ghosts ghosts;
    struct mover mover;
    struct sweeper sweeper;
    unsigned classes;              /* ids 1 .. classes */
    uint32_t chunk_max;            /* bytes of the largest class */
    uint8_t *class_by_size;        /* class id by item bytes / 8, rounded up; the last class for all
                                      that no chunk holds, up to ITEM_SHORT_MAX */
    struct size_class *size_class; /* [1 .. classes] */
    struct sizes *sizes;           /* NULL unless track_sizes */
    struct memory_file *file;      /* NULL without options.memory_file; owned */
    struct lock stats_lock;
    struct cache_stats *stats_base; /* (s) the counters at the last reset; NULL for none */
    struct lock threads_lock;
    struct cache_thread *threads; /* (t) */
    unsigned threads_count;       /* (t) */
    /* What stores write lies apart from what reads look at. */
    _Alignas(CACHE_LINE) _Atomic uint64_t cas_last; /* (a) the last id given */
    _Atomic uint64_t items_hint;                    /* (a) items, some few per class behind */
};

static inline uint32_t
cache_now_s(const struct cache *cache)
{
    return atomic_load_explicit(&cache->now_s,
                                memory_order_relaxed); /* relaxed: a number that only grows */
}

static inline uint32_t
cache_generation(const struct cache *cache)
{
    return atomic_load_explicit(&cache->generation,
                                memory_order_relaxed); /* relaxed: a number that only grows */
}

static inline struct item *
cache_item(const struct cache *cache, uint32_t ref)
{
    return (struct item *)(void *)pages_at(&cache->pages, ref);
}

static inline uint8_t
cache_class_of(const struct cache *cache, uint32_t size)
{
    return cache->class_by_size[(size + 7) / 8];
}

/** Whether an observer wants to be told of this now. */
static inline bool
cache_is_observed(const struct cache *cache, enum cache_wants what)
{
    struct cache_observer *observer = cache->options.observer;
    /* relaxed: a switch, see hook.h */
    return observer != NULL &&
           (atomic_load_explicit(&observer->wants, memory_order_relaxed) & what) != 0;
}

/** Whether a flush of all has passed over an item. */
static inline bool
cache_is_flushed(const struct cache *cache, uint32_t shape)
{
    return shape_generation(shape) != (cache_generation(cache) & (ITEM_GENERATIONS - 1));
}

static inline bool
cache_is_expired(uint32_t expire_s, uint32_t now_s)
{
    return expire_s != 0 && expire_s <= now_s;
}

/** Whether some prefix is flushed or bypassed: what follows need not be asked else. */
static inline bool
cache_has_prefixes(const struct cache *cache)
{
    /* relaxed: a flush is seen in time; where it must be, store_cas_for_change() looks again */
    return __builtin_expect(
        atomic_load_explicit(&cache->prefixes.cas_high, memory_order_relaxed) != 0, 0);
}

/** Whether a flush of its prefix has passed over an item. */
bool cache_is_void(struct cache *cache, const struct item *item, uint32_t shape);
/** Whether its key is not to be read nor stored. */
bool cache_is_bypassed(struct cache *cache, const void *key, uint32_t key_len);

/** Whether an item's time is over, or a flush has passed over it. */
static inline bool
cache_is_dead(struct cache *cache, const struct item *item, uint32_t shape, uint32_t now_s)
{
    return cache_is_expired(item_expire_s(item), now_s) || cache_is_flushed(cache, shape) ||
           (cache_has_prefixes(cache) && cache_is_void(cache, item, shape));
}

/** Bytes of an item: header, key and value, a long one's pieces included. */
uint64_t cache_item_size(const struct cache *cache, const struct item *item, uint32_t shape);
/** Its class; a long one's is the largest. */
uint8_t cache_item_class(const struct cache *cache, uint32_t shape);
/** Bytes of the value, a long one's whole. */
uint32_t cache_item_value_len(const struct cache *cache, const struct item *item, uint32_t shape);
uint64_t cache_item_hash(const struct cache *cache, const struct item *item, uint32_t shape);

/** Why a dead item is. */
static inline enum cache_absence
cache_absence_of(const struct cache *cache, const struct item *item, uint32_t shape)
{
    bool expired = !cache_is_flushed(cache, shape) &&
                   cache_is_expired(item_expire_s(item), cache_now_s(cache));
    return expired ? CACHE_EXPIRED : CACHE_FLUSHED;
}

/**
 * An item as its visitor sees it, its key copied to `key` (CACHE_KEY_MAX bytes).  False when the
 * chunk holds no living one.  Without a lock what it says is good only if the bucket has not
 * changed.
 */
bool cache_describe(struct cache *cache, uint32_t ref, struct cache_item_info *info, uint8_t *key);

/**
 * Takes an item out of the index, if the bucket of its hash still names this ref.  The caller then
 * owns it, and calls cache_free_item().  May be called with a class's lock held.
 */
bool cache_unlink(struct cache *cache, uint64_t hash, uint32_t ref);
/** Gives an unlinked item's chunks back.  `held_class`: id of the class whose lock the caller
 * holds, 0 for none. False for a long item that is pinned: its chunks come back with the last pin.
 */
bool cache_free_item(struct cache *cache, uint32_t ref, uint8_t held_class);

/** cache_create() for one that lies in a file, or NULL, whose items are not looked at. */
struct cache *cache_build(const struct cache_options *options, const struct pages_file *file);
/** Begins a new generation if one is due: cache_flush() with a time to come. */
void cache_flush_if_due(struct cache *cache);

/** Unix seconds or CACHE_NEVER to a cache second, and back. */
uint32_t cache_expire_s(const struct cache *cache, int64_t expires_at);
static inline int64_t
cache_expires_at(const struct cache *cache, uint32_t expire_s)
{
    return expire_s == 0 ? CACHE_NEVER : cache->clock_base + expire_s;
}

/** Leaves as cache_leave(), if the thread has entered; cache_step_in() undoes it.  For a wait in
 * the middle of a store. */
uint64_t cache_step_out(struct cache_thread *thread);
void cache_step_in(struct cache_thread *thread, uint64_t active);
/** After this, each thread's cache_enter() from before is seen, or that thread sees what we have
 * written. */
void cache_fence_readers(struct cache *cache);

#endif
