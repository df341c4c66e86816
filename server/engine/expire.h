/* Which item goes for age: expired items, and those that a flush has passed over.
 *
 * Nothing is kept per item.  Each page knows a time before which nothing in it expires; a sweep
 * looks at the pages whose time has come, and a store that would have to evict looks for such a
 * page in its class first.
 */
#ifndef LARDER_ENGINE_EXPIRE_H
#define LARDER_ENGINE_EXPIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "base/metric.h"
#include "engine/cache.h"

struct cache;
struct cache_thread;
struct size_class;

/** Where the sweep is.  One sweeper at a time, under the lock; (a) atomic, for others too. */
struct sweeper {
    struct lock lock;
    _Atomic bool disabled;             /* (a) no rounds but those on request */
    _Atomic bool asked;                /* (a) a round on request is due, or under way */
    _Atomic uint32_t class_chunks_max; /* (a) looked at in one round; 0 for no bound */
    _Atomic uint64_t rounds;           /* (a) that found a page due, or were on request */
    struct cache_class_set classes;    /* of the round on request */
    bool on_request;                   /* this round is */
    bool counted;                      /* this round is among `rounds` */
    bool cut; /* this round may leave something: it was kept from a page by class_chunks_max, or a
                 change was not over when it began */
    uint32_t class_chunks; /* looked at of this class in this round */
    uint8_t class_id;
    uint32_t
        pages_ahead; /* of the class's pages, those before this index are still to be looked at */
    uint32_t generation; /* that this round began in */
    uint32_t stamp;      /* the same: cache.sweep_stamp */
    uint32_t second;     /* cache second that `chunks` counts in */
    uint32_t chunks;     /* looked at in it */
    /* of this class, in this round */
    uint32_t class_began_s;
    uint64_t class_examined; /* chunks */
    uint64_t class_reclaimed;
    struct metric checked; /* chunks */
};

void expire_init(struct cache *cache);
void expire_fini(struct cache *cache);

/** Lowers the page's time for an item that is stored in it. */
void expire_note(struct cache *cache, uint32_t ref, uint32_t expire_s);
/** Frees dead items of the class, if some page's time has come.  Class's lock held; bounded.
 * Whether it freed any. */
bool expire_reclaim(struct cache *cache, struct size_class *class);
/** A slice of the sweep; whether there is more to do at once. */
bool expire_sweep(struct cache *cache, struct cache_thread *thread);
/** Sweeps all that the flushes so far have left, at once.  No lock held. */
void expire_sweep_all(struct cache *cache);
/** A flush: all items of the generations before are dead.  Sweeps when too many of them are unswept,
 * else leaves that to the sweep.  No lock held. */
void expire_begin_generation(struct cache *cache);

#endif
