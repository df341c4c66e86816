/* What an observer of changes gets: calls out of the engine, for what no caller has asked for.
 *
 * An observer is given with struct cache_options.  It says in `wants` what it wants to be told now;
 * while that is nothing, an eviction pays one load and one predictable branch for it.
 *
 * Calls come from whatever thread does the work, also under the engine's locks: the observer copies
 * what it is told, takes no lock of a rank below LOCK_RANK_OBSERVER, and calls nothing of the
 * cache.
 */
#ifndef LARDER_ENGINE_HOOK_H
#define LARDER_ENGINE_HOOK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/cache.h"

/** Bits of cache_observer.wants. */
enum cache_wants {
    CACHE_WANTS_EVICTED = 1,
    CACHE_WANTS_MOVES = 2,
    CACHE_WANTS_SWEEPS = 4,
    CACHE_WANTS_DEAD = 8,
};

/** An item that went for room, or whose memory came back because it was dead. */
struct cache_evicted {
    const void *key; /* borrowed for the call */
    uint8_t key_len;
    uint8_t class_id;
    bool fetched; /* read at least once */
    uint32_t value_len;
    uint32_t idle_s;    /* since its last use */
    int64_t expires_at; /* unix seconds, CACHE_NEVER for none */
    int64_t now;        /* unix seconds */
};

enum cache_move_state {
    CACHE_MOVE_BEGINS,
    CACHE_MOVE_DONE,
    CACHE_MOVE_ABANDONED, /* something on the page cannot go now */
};

/** A step of the page mover. */
struct cache_move {
    uint8_t from; /* class ids; 0 for the pool of free pages, and for the index */
    uint8_t to;
    enum cache_move_state state;
};

/** One class has been searched for dead items. */
struct cache_sweep {
    uint8_t class_id;
    uint32_t elapsed_s;
    uint64_t examined; /* chunks */
    uint64_t reclaimed;
};

/** Locking key:  (a) atomic; others constant while the cache lives. */
struct cache_observer {
    void *arg;
    _Atomic uint32_t wants; /* (a) relaxed: when exactly a change is seen does not matter */
    void (*evicted)(void *arg, const struct cache_evicted *item);
    /** Not of a dead item that is replaced or deleted first.  why: CACHE_EXPIRED, CACHE_FLUSHED. */
    void (*died)(void *arg, const struct cache_evicted *item, enum cache_absence why);
    void (*moved)(void *arg, const struct cache_move *move);
    void (*swept)(void *arg, const struct cache_sweep *sweep);
};

#endif
