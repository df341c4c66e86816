/* The engine's figures as a snapshot: sums over threads, each a relaxed read. */
#ifndef LARDER_ENGINE_STATS_H
#define LARDER_ENGINE_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/cache.h"

#define CACHE_CLASSES_MAX 127u /* class ids run from 1 to this at most */

/* Counters of one size class. */
struct cache_class_stats {
    uint32_t chunk_size; /* bytes */
    uint32_t chunks_per_page;
    uint64_t pages;
    uint64_t used_chunks; /* items and pieces of long items */
    uint64_t free_chunks;
    uint64_t items;
    uint64_t items_small;   /* in the small queue: new, not yet proven */
    uint64_t mem_requested; /* bytes of items: header, key, value */
    uint32_t age_s;         /* idle time of the item evicted last, or that the hand met last */
    uint32_t evicted_age_s; /* seconds between last use and eviction, of the last item evicted */
    uint64_t evicted;
    uint64_t evicted_nonzero; /* of these: with an expiry */
    uint64_t evicted_unfetched;
    uint64_t evicted_active; /* of these: read twice or more */
    uint64_t expired_unfetched;
    uint64_t reclaimed; /* expired or flushed items whose memory was taken back for a store */
    uint64_t swept;     /* the same, by cache_maintain() */
    uint64_t outofmemory;
    uint64_t get_hits;
    uint64_t set_cmds; /* stores that were begun, by the class of the item */
    uint64_t delete_hits;
    uint64_t incr_hits;
    uint64_t decr_hits;
    uint64_t cas_hits;
    uint64_t cas_badval;
    uint64_t touch_hits;
};

struct cache_stats {
    uint64_t memory_limit; /* bytes */
    uint64_t memory_used;  /* bytes of the limit that are taken: pages, index, queues */
    uint64_t pages_bytes;  /* bytes in item pages */
    uint64_t index_bytes;
    uint32_t page_size;  /* bytes */
    uint64_t pages_free; /* in the global pool */
    uint64_t pages_moved;
    uint64_t file_refusals; /* times that the memory file could not grow */
    uint64_t items_rescued; /* moved to another page rather than evicted */
    bool page_moving;
    uint64_t bytes; /* of living items: header, key, value */
    uint64_t items;
    uint64_t items_total; /* ever stored */
    uint64_t index_buckets;
    bool index_growing;
    uint64_t get_misses;  /* all of them: */
    uint64_t get_expired; /* of these, the item was there and had expired */
    uint64_t get_flushed;
    uint64_t delete_misses;
    uint64_t incr_misses;
    uint64_t decr_misses;
    uint64_t cas_misses;
    uint64_t touch_misses;
    uint64_t store_too_large;
    uint64_t store_no_memory;
    uint64_t ghost_hits;
    uint64_t chunks_checked;      /* by cache_maintain() */
    uint64_t sweeps;              /* rounds of it that had something to look at */
    bool sweeping;                /* one on request is due or under way */
    struct cache_class_stats sum; /* over the classes; chunk_size and ages are 0 */
    unsigned classes;             /* class ids 1 .. classes */
    struct cache_class_stats of_class[CACHE_CLASSES_MAX + 1];
};

/** Any thread.  Takes each class's lock once, briefly. */
void cache_stats_read(struct cache *cache, struct cache_stats *out);
/** Sets the counters (not what is a level: items, bytes, pages) back to 0. */
void cache_stats_reset(struct cache *cache);

/**
 * Calls `visit` for up to `limit` living items of a class, in no order, oldest pages first.  The
 * key is borrowed for the call.  Takes the class's lock in slices.  Stops when `visit` says false.
 * For stats cachedump.
 */
void cache_visit_class(struct cache *cache, unsigned class_id, uint64_t limit,
                       cache_visit_fn *visit, void *arg);

#endif
