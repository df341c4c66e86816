/* Pages move to the class where they save most misses.
 *
 * Each class has a gain: hits on what it evicted within its last twentieth (ghosts), scaled to one
 * more page, and decaying with the bytes that the cache evicts: no clock is involved.  When a class
 * evicts, and its gain exceeds 1.25 times the least gain of all, it gets a page from there (or what
 * cache_set_mover() makes of that).
 *
 * A move is done in slices by the threads that store and by cache_maintain().  Its steps:
 *
 *     IDLE -> DRAIN      a page is chosen; no chunk of it is given out any more
 *     DRAIN -> DRAIN     some chunks of it are emptied: used items move, others go
 *     DRAIN -> IDLE      something on it cannot move now (being filled, or sent): the page stays
 *     DRAIN -> WAIT      it is empty and out of its class
 *     WAIT -> IDLE       no reader that could still be on it is left: it enters its new class, the
 * pool, or the index
 */
#ifndef LARDER_ENGINE_REBALANCE_H
#define LARDER_ENGINE_REBALANCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "engine/cache.h"

struct cache;
struct cache_thread;
struct size_class;

#define GAIN_ONE 1024u /* one hit per page, in the fixed point of size_class.gain */

enum mover_state {
    MOVER_IDLE,
    MOVER_DRAIN,
    MOVER_WAIT,
};

#define MOVER_TO_POOL  0u /* in place of a class id */
#define MOVER_TO_INDEX 255u

/** Locking key:  (m) lock  (a) atomic. */
struct mover {
    struct lock lock;
    _Atomic uint32_t state;       /* (a) enum mover_state; written under (m) */
    uint32_t page;                /* (m) */
    uint32_t chunk;               /* (m) the next one to empty */
    uint8_t from;                 /* (m) class ids */
    uint8_t to;                   /* (m) or MOVER_TO_... */
    uint64_t epoch;               /* (m) readers that entered before it may still be on the page */
    uint32_t cursor;              /* (m) spreads the choice of pages */
    bool on_request;              /* (m) the move under way is the one that was asked for */
    uint8_t asked_from;           /* (m) class ids of a move that was asked for */
    uint8_t asked_to;             /* (m) */
    uint8_t asked_tries;          /* (m) pages that may still be tried for it */
    _Atomic bool asked;           /* (a) a move was asked for, and is not done; written under (m) */
    _Atomic uint32_t mode;        /* (a) enum cache_mover_mode */
    _Atomic uint32_t thousandths; /* (a) of the gain, that the loss must be below; at least 1 */
    _Atomic uint64_t since;       /* (a) bytes evicted since the last look at the gains */
    _Atomic uint64_t moved;       /* (a) pages */
    _Atomic uint64_t rescued;     /* (a) items */
    _Atomic uint64_t abandoned;   /* (a) moves */
};

void rebalance_init(struct cache *cache);
void rebalance_fini(struct cache *cache);

/** Adds a ghost's hit to the class's gain.  Class's lock held. */
void rebalance_note_ghost(struct size_class *class);
/** After a store that evicted `bytes` from a class: looks at the gains now and then, and does a
 * slice of a move. No lock held. */
void rebalance_note_evicted(struct cache *cache, struct cache_thread *thread, uint8_t class_id,
                            uint64_t bytes);
/** Gets a page for a class that has nothing to evict, now, from wherever it is missed least.  No
 * lock held; the class's lock is held after a true. */
bool rebalance_steal(struct cache *cache, struct cache_thread *thread, uint8_t class_id);
/** A slice of a move; starts one when the limit or the index wants a page.  Whether there is more
 * to do at once. */
bool rebalance_run(struct cache *cache, struct cache_thread *thread, unsigned chunks);
/** Takes an empty page out of its class.  Class's lock held; false when a move is under way. */
bool rebalance_release_page(struct cache *cache, struct cache_thread *thread,
                            struct size_class *class, uint32_t page);

#endif
