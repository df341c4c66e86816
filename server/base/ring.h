/* A bounded queue of bytes from one thread to one other, without a lock.
 *
 * The writer puts bytes behind what is there and publishes them, as a whole: the reader sees all of
 * what was put before a publish, or nothing of it.  Positions only grow; a byte's place is its
 * position modulo the size.
 *
 * What pairs: ring_publish() (release) with ring_filled() (acquire): the bytes are there when their
 * number is.  ring_drop() (release) with ring_room() (acquire): bytes have been copied out before
 * others are written over them.
 */
#ifndef LARDER_BASE_RING_H
#define LARDER_BASE_RING_H

#include "base/race.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For the stress test that must fail: see tests/stress/log_ring.c and must_fail.sh. */
#ifdef LARDER_BREAK_RING_ORDER
#define RING_ACQUIRE memory_order_relaxed
#define RING_RELEASE memory_order_relaxed
#else
#define RING_ACQUIRE memory_order_acquire
#define RING_RELEASE memory_order_release
#endif

/** Locking key:  (w) written by the writer  (r) written by the reader; others constant. */
struct ring {
    uint8_t *bytes;
    size_t cap;
    _Alignas(CACHE_LINE) _Atomic uint64_t head; /* (r) read up to here */
    _Alignas(CACHE_LINE) _Atomic uint64_t tail; /* (w) written up to here */
};

/** cap   bytes, at least 1.  Errors: false without memory. */
__attribute__((warn_unused_result)) bool ring_init(struct ring *ring, size_t cap);
void ring_fini(struct ring *ring);

/* -- the writer -------------------------------------------------------------------------------- */

/** Bytes that may be put. */
static inline size_t
ring_room(const struct ring *ring)
{
    /* relaxed: the writer's own.  acquire: pairs with ring_drop() */
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    return ring->cap - (size_t)(tail - atomic_load_explicit(&ring->head, RING_ACQUIRE));
}
/** Writes bytes `at` bytes behind what has been published; within ring_room(). */
void ring_put(struct ring *ring, size_t at, const void *bytes, size_t len);
/** Shows the reader the first `len` bytes that were put. */
static inline void
ring_publish(struct ring *ring, size_t len)
{
    RACE_POINT();
    /* relaxed: the writer's own.  release: pairs with ring_filled() */
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    atomic_store_explicit(&ring->tail, tail + len, RING_RELEASE);
}

/* -- the reader -------------------------------------------------------------------------------- */

/** Bytes that may be got. */
static inline size_t
ring_filled(const struct ring *ring)
{
    /* relaxed: the reader's own.  acquire: pairs with ring_publish() */
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    return (size_t)(atomic_load_explicit(&ring->tail, RING_ACQUIRE) - head);
}
/** Copies bytes from `at` bytes behind the oldest one; within ring_filled(). */
void ring_get(const struct ring *ring, size_t at, void *dst, size_t len);
/** Gives the place of the oldest `len` bytes back. */
static inline void
ring_drop(struct ring *ring, size_t len)
{
    RACE_POINT();
    /* relaxed: the reader's own.  release: pairs with ring_room() */
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    atomic_store_explicit(&ring->head, head + len, RING_RELEASE);
}

#endif
