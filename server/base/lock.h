/* Mutexes with a rank.  A thread takes them in rising order only; LARDER_DEBUG builds stop on a
 * wrong one. The list of all ranks stands here and, with what each protects, in server/DESIGN.md.
 *
 * A store takes two: so a lock that is free is taken and given back inline, by one atomic
 * instruction each (a pthread mutex spends 90 instructions).  Who finds it held looks again some
 * times, then sleeps in the kernel (futex) until the holder wakes one sleeper.
 *
 *     word   0   free
 *            1   held
 *            2   held, and someone may sleep: whoever releases it makes a call to wake
 */
#ifndef LARDER_BASE_LOCK_H
#define LARDER_BASE_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum lock_rank {
    LOCK_RANK_LIBRARY = 10,       /* embed: a thread of the cache that several share; the clock */
    LOCK_RANK_TLS_RELOAD = 12,    /* net: one reload of certificates at a time */
    LOCK_RANK_TLS = 14,           /* net: the certificates in use */
    LOCK_RANK_HOOK = 15,          /* mysql: orders to the hook, its state */
    LOCK_RANK_HOOK_WAIT = 16,     /* mysql: who waits for a transaction */
    LOCK_RANK_SNAPSHOT = 17,      /* admin: who has asked for a snapshot, how far it is */
    LOCK_RANK_WATCH = 18,         /* admin: the watchers of the log, and who writes it */
    LOCK_RANK_WORKER = 20,        /* net: a worker's mailbox, and the list of its connections */
    LOCK_RANK_LOGINS = 22,        /* admin: who may log in */
    LOCK_RANK_HOTKEYS = 23,       /* admin: who counts keys, and since when */
    LOCK_RANK_HOTKEYS_SOURCE = 24, /* admin: what one thread has counted of keys */
    LOCK_RANK_PREFIX = 25,        /* admin: per-prefix statistics */
    LOCK_RANK_HOOK_POSITION = 27, /* mysql: what was received, what was applied */
    LOCK_RANK_HOOK_SPACE = 28,    /* mysql: which server the fence asks */
    LOCK_RANK_HOOK_LINK = 29,     /* mysql: the descriptor of a connection to a server */
    LOCK_RANK_HOOK_SLEEP = 30,    /* mysql: a thread that sleeps until it is stopped */
    LOCK_RANK_HOOK_QUEUE = 31,    /* mysql: the ends of the queue */
    LOCK_RANK_HOOK_TIMES = 32,    /* mysql: figures */
    LOCK_RANK_STATS = 35,         /* engine: where the counters were at the last reset */
    LOCK_RANK_MOVER = 40,         /* engine: one page move at a time */
    LOCK_RANK_SWEEPER = 45,       /* engine: one sweep for dead items at a time */
    LOCK_RANK_THREADS = 47,       /* engine: the list of threads of a cache */
    LOCK_RANK_GROW = 50,          /* engine: one split of the index at a time */
    LOCK_RANK_CLASS_LARGEST =
        59, /* engine: the largest size class; long items' last pieces lie in others */
    LOCK_RANK_CLASS = 60,    /* engine: one size class: chunks, queues */
    LOCK_RANK_BUCKET = 70,   /* engine: the bit in a bucket's word; not a struct lock */
    LOCK_RANK_PREFIXES = 72, /* engine: flushed and bypassed prefixes */
    LOCK_RANK_OVERFLOW = 75, /* engine: the index's overflow buckets */
    LOCK_RANK_PAGES = 80,    /* engine: the page pool */
    LOCK_RANK_OBSERVER = 85, /* admin: log entries of threads that have no ring of their own */
};

/** For locks that are no struct lock (a bit in a word): keeps the order checked in debug builds. */
#ifdef LARDER_DEBUG
void lock_note_acquired(enum lock_rank rank);
/** A try never waits, so it cannot close a circle of waiting threads: any order will do. */
void lock_note_tried(enum lock_rank rank);
void lock_note_released(enum lock_rank rank);
#else
static inline void
lock_note_acquired(enum lock_rank rank)
{
    (void)rank;
}
static inline void
lock_note_tried(enum lock_rank rank)
{
    (void)rank;
}
static inline void
lock_note_released(enum lock_rank rank)
{
    (void)rank;
}
#endif

#define LOCK_FREE    0u
#define LOCK_HELD    1u
#define LOCK_AWAITED 2u

struct lock {
    _Atomic uint32_t word;
    enum lock_rank rank;
};

void lock_init(struct lock *lock, enum lock_rank rank);
void lock_fini(struct lock *lock);

/** The slow halves of lock_acquire() and lock_release(). */
void lock_wait(struct lock *lock);
void lock_wake(struct lock *lock);

/** Whether the lock was free and is now the caller's. */
static inline bool
lock_try_acquire(struct lock *lock)
{
    uint32_t word = LOCK_FREE;
    /* acquire: pairs with lock_release(). */
    if (!atomic_compare_exchange_strong_explicit(&lock->word, &word, LOCK_HELD,
                                                 memory_order_acquire, memory_order_relaxed)) {
        return false;
    }
    lock_note_tried(lock->rank);
    return true;
}

static inline void
lock_acquire(struct lock *lock)
{
    lock_note_acquired(lock->rank);
    uint32_t word = LOCK_FREE;
    /* acquire: pairs with lock_release(). */
    if (__builtin_expect(!atomic_compare_exchange_strong_explicit(&lock->word, &word, LOCK_HELD,
                                                                  memory_order_acquire,
                                                                  memory_order_relaxed),
                         0)) {
        lock_wait(lock);
    }
}

static inline void
lock_release(struct lock *lock)
{
    lock_note_released(lock->rank);
    /* release: pairs with lock_acquire(), lock_try_acquire() and lock_wait(). */
    uint32_t word = atomic_exchange_explicit(&lock->word, LOCK_FREE, memory_order_release);
    if (__builtin_expect(word != LOCK_HELD, 0)) {
        lock_wake(lock);
    }
}

#endif
