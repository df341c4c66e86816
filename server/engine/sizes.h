/* How many items there are of each size, in steps of 32 bytes: -o track_sizes.
 *
 * Counted as items come and go, rather than when someone asks: a walk over all items would stop the
 * thread that asks for seconds, and the binary protocol asks too.  A cache without it pays for one
 * comparison per store, under the class's lock that it holds anyway.
 */
#ifndef LARDER_ENGINE_SIZES_H
#define LARDER_ENGINE_SIZES_H

#include <stdatomic.h>
#include <stdint.h>

#include "engine/cache.h"

#define SIZES_GROUP 1024u /* counts in a group; one without items is passed over at once */

/** Locking key: (a) atomic; others constant. */
struct sizes {
    uint32_t groups;
    _Atomic uint32_t *group; /* (a) items in each group of counts */
    _Atomic uint32_t
        *count; /* (a) items of up to i * CACHE_SIZE_STEP bytes, and more than one step less */
};

/** NULL without memory.  Memory is taken as sizes are met: at most an eighth of item_size_max. */
struct sizes *sizes_create(uint32_t item_size_max);
void sizes_destroy(struct sizes *sizes);

/** change: 1 or -1. */
static inline void
sizes_add(struct sizes *sizes, uint64_t size, int change)
{
    uint64_t step = (size + CACHE_SIZE_STEP - 1) / CACHE_SIZE_STEP;
    uint64_t last = (uint64_t)sizes->groups * SIZES_GROUP - 1;
    step = step < last ? step : last;
    /* relaxed: figures */
    atomic_fetch_add_explicit(&sizes->count[step], (uint32_t)change, memory_order_relaxed);
    atomic_fetch_add_explicit(&sizes->group[step / SIZES_GROUP], (uint32_t)change,
                              memory_order_relaxed);
}

#endif
