/* Which item goes for room: S3-FIFO within a size class.
 *
 * A new item enters the small queue, which holds about a tenth of the class.  At its end it goes,
 * unless it has been used: then it stays as an item of the main queue.  The main queue is no list:
 * it is the class's chunks in the order of their pages, with a hand that goes round; an item that
 * has been used since the hand came by is passed over, and its count of uses (0 .. 3) lowered.  So
 * neither a hit nor an item's place costs a pointer.
 *
 * An evicted key is remembered by a fingerprint (ghosts).  A key that comes back soon enters the
 * main queue at once, and tells the page mover that its class is short of memory.
 *
 * Source: Yang, Zhang, Qiu, Yue, Vinayak: FIFO queues are all you need for cache eviction (SOSP
 * 2023).  Different here: one use promotes, the main queue is a clock over chunks, and both queues'
 * evictions leave ghosts.
 */
#ifndef LARDER_ENGINE_EVICT_H
#define LARDER_ENGINE_EVICT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct cache;
struct item;
struct cache_thread;
struct size_class;
struct queue_segment;
struct pages;

/** The small queue and the main queue's hand.  All under the class's lock. */
struct evict_queue {
    struct queue_segment *head; /* oldest */
    struct queue_segment *tail;
    uint64_t length;    /* entries, those of items that are gone included */
    uint32_t head_at;   /* first entry in `head` */
    uint32_t tail_at;   /* first unused entry in `tail` */
    uint64_t segments;  /* for the budget and the check */
    uint32_t hand_page; /* index in class.pages */
    uint32_t hand_chunk;
    uint32_t epoch_evictions; /* evictions in this epoch */
    uint32_t epoch;           /* grows by 1 with each 40th of the class that is evicted */
};

#define GHOST_GROUP 16u /* entries: a cache line */

/** Fingerprints of evicted keys.  No lock: a lost entry costs a hint. */
struct ghosts {
    _Atomic uint32_t *entry; /* groups of GHOST_GROUP */
    uint64_t groups;         /* power of two */
    uint64_t bytes;
    _Atomic uint64_t hits;
};

bool ghosts_init(struct ghosts *ghosts, struct pages *pages, uint64_t memory_limit);
void ghosts_fini(struct ghosts *ghosts);

enum ghost_age {
    GHOST_NONE,
    GHOST_FAR,  /* evicted within the class's last nine tenths */
    GHOST_NEAR, /* within its last twentieth, or last page */
};
/** Where a key's fingerprint is, if anywhere. */
static inline _Atomic uint32_t *
ghosts_group(const struct ghosts *ghosts, uint64_t hash)
{
    return &ghosts->entry[(hash >> 8 & (ghosts->groups - 1)) * GHOST_GROUP];
}
/** Brings what ghosts_take() will look at near. */
static inline void
ghosts_prefetch(const struct ghosts *ghosts, uint64_t hash)
{
    __builtin_prefetch(ghosts_group(ghosts, hash), 1);
}
/** Whether a key was evicted from this class not long ago; forgets it.  Class's lock held. */
enum ghost_age ghosts_take(struct cache *cache, struct size_class *class, uint64_t hash);

/** Notes a new item, not yet visible, at the young end of the small queue.  False when there is no
 * memory for the note. */
bool evict_note_new(struct cache *cache, struct size_class *class, uint32_t ref, uint64_t hash);
/** Notes an item of the small queue that was there before the cache stopped. */
void evict_note_restored(struct cache *cache, struct size_class *class, uint32_t ref,
                         uint64_t hash);
/** Frees at least one chunk of the class, if anything in it can be evicted.  Class's lock held;
 * bounded. */
bool evict_one(struct cache *cache, struct size_class *class);
/** Evicts this item, whose chunk lies in the class; false when it has gone or is pinned.  Class's
 * lock held. */
bool evict_item(struct cache *cache, struct size_class *class, uint32_t ref);

/** Counts an item of the class that the caller has taken out of the index for room.  Class's lock
 * held. */
void evict_note_gone(struct cache *cache, struct size_class *class, uint32_t ref);
/** Tells the observer, if it wants to know, of a dead item that is out of the index and about to be
 * freed. */
void evict_tell_dead(struct cache *cache, const struct item *item, uint32_t shape);

#define EVICT_TURN ((uint64_t)40 << 16) /* as many evictions as the class has chunks */
/** How often the class has been evicted, in parts of EVICT_TURN.  Class's lock held. */
uint64_t evict_turns(const struct size_class *class);

void evict_queue_fini(struct cache *cache, struct size_class *class);
void evict_check(struct cache *cache, struct size_class *class);

#endif
