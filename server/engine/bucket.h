/* One cache line of the index: ten items, found by 16 bits of their hash.
 *
 *     word       bits  meaning
 *                0     locked: one writer at a time
 *                1     chained: the last slot names an overflow bucket instead of an item
 *                2     a writer is changing slots, or items that they name
 *                3-31  version: grows with each change, modulo 2^29.  A reader that slept through
 *                      a multiple of so many changes of one bucket would not notice
 *
 * Reading takes no lock.  bucket_read_begin() takes the word, bucket_read_valid() says whether it
 * is still the same: then no slot of this bucket and its chain, and no item that they name, has
 * changed in between.  Only the first bucket of a chain counts versions; the others only use their
 * chained bit.
 *
 * What pairs: a writer makes the word odd (bit 2), release fence, then changes; a reader loads,
 * acquire fence, then loads the word again.  If the reader saw any of the change, it sees the odd
 * word, or a later one.  A chunk that is freed and filled again was unlinked before that with a
 * change of the word, and the release fence of the thread that takes it (slab_take_free()) stands
 * between: a reader that saw bytes of the new item sees the changed word.
 */
#ifndef LARDER_ENGINE_BUCKET_H
#define LARDER_ENGINE_BUCKET_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/lock.h"
#include "base/race.h"

#define BUCKET_SLOTS    10u
#define BUCKET_LOCKED   1u
#define BUCKET_CHAINED  2u
#define BUCKET_CHANGING 4u
#define BUCKET_SPINS    64u /* looks at a busy bucket before the processor is given away */

/** Locking key:  (a) atomic; read without a lock, written under the locked bit of the chain's first
 * bucket. */
struct bucket {
    _Atomic uint32_t word;              /* (a) */
    _Atomic uint16_t tag[BUCKET_SLOTS]; /* (a) */
    _Atomic uint32_t ref[BUCKET_SLOTS]; /* (a) 0 for none */
};
_Static_assert(sizeof(struct bucket) == CACHE_LINE, "a lookup touches one line");

static inline uint32_t
bucket_word(const struct bucket *bucket)
{
    return atomic_load_explicit(&bucket->word,
                                memory_order_relaxed); /* relaxed: under the lock, or a hint */
}

static inline uint32_t
bucket_ref(const struct bucket *bucket, unsigned slot)
{
    return atomic_load_explicit(&bucket->ref[slot],
                                memory_order_relaxed); /* relaxed: see the fences above */
}

static inline uint16_t
bucket_tag(const struct bucket *bucket, unsigned slot)
{
    return atomic_load_explicit(&bucket->tag[slot],
                                memory_order_relaxed); /* relaxed: as bucket_ref() */
}

/** Under the lock, between bucket_change_begin() and _end(). */
static inline void
bucket_set(struct bucket *bucket, unsigned slot, uint16_t tag, uint32_t ref)
{
    atomic_store_explicit(&bucket->tag[slot], tag,
                          memory_order_relaxed); /* relaxed: as bucket_ref() */
    atomic_store_explicit(&bucket->ref[slot], ref,
                          memory_order_relaxed); /* relaxed: as bucket_ref() */
}

/** Slots that hold items: one less where the last names the next bucket. */
static inline unsigned
bucket_slots(uint32_t word)
{
    return word & BUCKET_CHAINED ? BUCKET_SLOTS - 1 : BUCKET_SLOTS;
}

/** Waits out a change; the word is even and what it guards is at least as new. */
static inline uint32_t
bucket_read_begin(const struct bucket *bucket)
{
    for (unsigned spins = 0;; spins++) {
        /* acquire: pairs with bucket_change_end(). */
        uint32_t word = atomic_load_explicit(&bucket->word, memory_order_acquire);
        if (!(word & BUCKET_CHANGING)) {
            return word;
        }
        if (spins < BUCKET_SPINS) {
            cpu_relax();
        } else {
            sched_yield();
        }
    }
}

static inline bool
bucket_read_valid(const struct bucket *bucket, uint32_t word)
{
    RACE_POINT();
#ifdef LARDER_BREAK_BUCKET_ORDER
    /* For the stress test that must fail: see tests/stress/read_race.c. */
    (void)bucket;
    (void)word;
    return true;
#else
    /* acquire: the loads before stay before; pairs with the release fence of the writer whose bytes
     * they saw. */
    atomic_thread_fence(memory_order_acquire);
    uint32_t after = atomic_load_explicit(&bucket->word, memory_order_relaxed);
    return ((after ^ word) & ~BUCKET_LOCKED) == 0;
#endif
}

static inline void
bucket_lock(struct bucket *bucket)
{
    for (unsigned spins = 0;; spins++) {
        uint32_t word = bucket_word(bucket);
        /* acquire: pairs with bucket_unlock(). */
        if (!(word & BUCKET_LOCKED) &&
            atomic_compare_exchange_weak_explicit(&bucket->word, &word, word | BUCKET_LOCKED,
                                                  memory_order_acquire, memory_order_relaxed)) {
            lock_note_acquired(LOCK_RANK_BUCKET);
            return;
        }
        if (spins < BUCKET_SPINS) {
            cpu_relax();
        } else {
            sched_yield();
        }
    }
}

static inline void
bucket_unlock(struct bucket *bucket)
{
    lock_note_released(LOCK_RANK_BUCKET);
    uint32_t word = bucket_word(bucket);
    debug_assert((word & (BUCKET_LOCKED | BUCKET_CHANGING)) == BUCKET_LOCKED);
    /* release: pairs with bucket_lock() and bucket_read_begin(). */
    atomic_store_explicit(&bucket->word, word & ~BUCKET_LOCKED, memory_order_release);
}

/** Under the lock: readers from here on wait, those under way will notice. */
static inline void
bucket_change_begin(struct bucket *bucket)
{
    uint32_t word = bucket_word(bucket);
    debug_assert((word & (BUCKET_LOCKED | BUCKET_CHANGING)) == BUCKET_LOCKED);
    atomic_store_explicit(&bucket->word, word + BUCKET_CHANGING,
                          memory_order_relaxed); /* relaxed: the fence below */
    /* release: the changes that follow stay behind; pairs with the acquire fence of
     * bucket_read_valid(). */
    atomic_thread_fence(memory_order_release);
    RACE_POINT();
}

/** Under the lock: the change is whole. */
static inline void
bucket_change_end(struct bucket *bucket)
{
    RACE_POINT();
    uint32_t word = bucket_word(bucket);
    debug_assert(word & BUCKET_CHANGING);
    /* release: pairs with bucket_read_begin(). */
    atomic_store_explicit(&bucket->word, word + BUCKET_CHANGING, memory_order_release);
}

#endif
