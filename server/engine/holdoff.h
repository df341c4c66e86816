/* The hold-off: for some seconds after a key was voided, a plain store of it may bring what was
 * read before.
 *
 * A table of fixed size tells for each key's hash when a key there was voided last; two keys that
 * share a cell are both held off.  A plain store (set, add, replace) within the hold-off is kept
 * with its time to live cut to it, or refused; and for twice as long a touch can't lengthen a life.
 * A store against a CAS id is not held off: the id proves that nothing was voided since.
 */
#ifndef LARDER_ENGINE_HOLDOFF_H
#define LARDER_ENGINE_HOLDOFF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/metric.h"
#include "engine/cache.h"

/** Locking key:  (b) the lock of the key's bucket; atomic, since keys of other buckets share a
 * cell.  Others constant while threads run. */
struct holdoff {
    _Atomic uint32_t *cell; /* (b) cache second of the last voiding; NULL: no hold-off */
    uint32_t mask;          /* cells less 1 */
    uint32_t seconds;
    bool refuse;
    struct metric shortened; /* shared */
    struct metric refused;   /* shared */
};

void holdoff_fini(struct holdoff *holdoff);

/** Seconds after which a voided key's cell means nothing any more; 0 without a hold-off. */
static inline uint32_t
holdoff_span_s(const struct holdoff *holdoff)
{
    return holdoff->cell != NULL ? 2 * holdoff->seconds + 1 : 0;
}

/** A key is being voided: from this second on it is held off. */
static inline void
holdoff_note(struct holdoff *holdoff, uint64_t hash, uint32_t now_s)
{
    if (holdoff->cell != NULL) {
        /* relaxed: a store of this key sees it by its bucket's lock */
        atomic_store_explicit(&holdoff->cell[(hash >> 16) & holdoff->mask], now_s,
                              memory_order_relaxed);
    }
}

/** Cache second from which on the key is held off; 0 for none. */
static inline uint32_t
holdoff_since(const struct holdoff *holdoff, uint64_t hash)
{
    /* relaxed: as holdoff_note() */
    return atomic_load_explicit(&holdoff->cell[(hash >> 16) & holdoff->mask], memory_order_relaxed);
}

/** Whether what was voided at `since` is still held off, for `span_s` seconds.  It may lie ahead of
 * `now_s`: another thread has seen the next second first. */
static inline bool
holdoff_holds(uint32_t since, uint32_t now_s, uint32_t span_s)
{
    return since != 0 && (since >= now_s || now_s - since <= span_s);
}

#endif
