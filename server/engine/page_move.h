/* Pages move from a class to another one, to the pool or to the index.
 *
 * A move is done in slices by the threads that store and by cache_maintain(); rebalance.h says when
 * one begins.  Its steps:
 *
 *     IDLE -> DRAIN      a page is chosen; no chunk of it is given out any more
 *     DRAIN -> DRAIN     some chunks of it are emptied: used items move, others go
 *     DRAIN -> WAIT      it is empty and out of its class, and leaves
 *     DRAIN -> IDLE      something on it cannot move now (being filled, or sent): the page stays
 *     WAIT -> DRAIN      the limit wants more: another page is chosen while those wait that leave
 *     WAIT -> IDLE       no reader that could still be on a leaving page is left: each enters its
 *                        new class, the pool, or the index
 *
 * One page at a time is emptied.  Of those that are empty up to MOVER_LEAVING_MAX wait for readers.
 */
#ifndef LARDER_ENGINE_PAGE_MOVE_H
#define LARDER_ENGINE_PAGE_MOVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"

struct cache;
struct cache_thread;
struct size_class;

enum mover_state {
    MOVER_IDLE,
    MOVER_DRAIN,
    MOVER_WAIT,
};

#define MOVER_TO_POOL  0u /* in place of a class id */
#define MOVER_TO_INDEX 255u

#define MOVER_LEAVING_MAX 32u /* pages that wait for readers */

/** A page that is out of its class, and may not be used again yet. */
struct leaving_page {
    uint64_t epoch; /* readers that entered before it may still be on the page */
    uint32_t page;
    uint8_t from; /* class ids */
    uint8_t to;   /* or MOVER_TO_... */
    bool on_request;
};

/** Locking key:  (m) lock  (a) atomic. */
struct mover {
    struct lock lock;
    _Atomic uint32_t state; /* (a) enum mover_state; written under (m) */
    uint32_t page;          /* (m) that is emptied */
    uint32_t chunk;         /* (m) the next one to empty */
    uint8_t from;           /* (m) class ids */
    uint8_t to;             /* (m) or MOVER_TO_... */
    uint32_t cursor;        /* (m) spreads the choice of pages */
    unsigned look;          /* (m) whose hits gain_look() takes next */
    bool on_request;        /* (m) the page that is emptied is the one that was asked for */
    unsigned leaving_count; /* (m) */
    struct leaving_page leaving[MOVER_LEAVING_MAX]; /* (m) in the order of their epochs */
    uint8_t asked_from;                             /* (m) class ids of a move that was asked for */
    uint8_t asked_to;                               /* (m) */
    uint8_t asked_tries;                            /* (m) pages that may still be tried for it */
    _Atomic bool asked;           /* (a) a move was asked for, and is not done; written under (m) */
    _Atomic uint32_t mode;        /* (a) enum cache_mover_mode */
    _Atomic uint32_t thousandths; /* (a) of the gain, that the loss must be below; at least 1 */
    _Atomic uint64_t since;       /* (a) bytes evicted since the last look at the gains */
    _Atomic uint64_t moved;       /* (a) pages */
    _Atomic uint64_t rescued;     /* (a) items */
    _Atomic uint64_t abandoned;   /* (a) moves */
};

static inline void
mover_count(_Atomic uint64_t *figure)
{
    atomic_fetch_add_explicit(figure, 1, memory_order_relaxed); /* relaxed: a figure */
}

/** A hint, or exact under the mover's lock. */
enum mover_state page_move_state(const struct mover *mover);

/* Mover's lock held. */

/** Whether a page may be chosen besides those that leave: for the pool, which takes any number. */
bool page_move_has_room(const struct mover *mover);
/** Begins a move of a page of `from` to a class or MOVER_TO_...; false when it has none.  IDLE, or
 * with room; no class's lock held. */
bool page_move_begin(struct cache *cache, uint8_t from, uint8_t to);
/** Moves an empty page to the pool.  With room; class's lock held. */
void page_move_begin_empty(struct cache *cache, struct size_class *class, uint32_t page);
/** Lets the pages go on that no reader can be on any more.  No class's lock held. */
void page_move_deliver(struct cache *cache, const struct cache_thread *thread);
/** A step of the moves under way, if there are any: empties up to `chunks` chunks, or else looks
 * whether the readers have left.  No class's lock held. */
void page_move_step(struct cache *cache, const struct cache_thread *thread, unsigned chunks);

#endif
