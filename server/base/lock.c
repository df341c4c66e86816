#include "config.h"

#include "base/lock.h"

#include "base/assert.h"

#ifdef LARDER_DEBUG

#define LOCKS_HELD_MAX 8u

static _Thread_local enum lock_rank held[LOCKS_HELD_MAX];
static _Thread_local unsigned held_count;

static void
note_acquired(enum lock_rank rank, bool ordered)
{
    assert(held_count < LOCKS_HELD_MAX);
    /* A try never waits, so it cannot close a circle of waiting threads: any order will do. */
    assert(!ordered || held_count == 0 || held[held_count - 1] < rank ||
           (held[held_count - 1] == rank && rank == LOCK_RANK_BUCKET));
    held[held_count++] = rank;
}

void
lock_note_acquired(enum lock_rank rank)
{
    note_acquired(rank, true);
}

void
lock_note_released(enum lock_rank rank)
{
    for (unsigned i = held_count; i > 0; i--) {
        if (held[i - 1] == rank) {
            for (unsigned k = i; k < held_count; k++) {
                held[k - 1] = held[k];
            }
            held_count--;
            return;
        }
    }
    assert(false && "a lock is released by a thread that does not hold it");
}

#else

static void
note_acquired(enum lock_rank rank, bool ordered)
{
    (void)rank;
    (void)ordered;
}

#endif

void
lock_init(struct lock *lock, enum lock_rank rank)
{
    int rc = pthread_mutex_init(&lock->mutex, NULL);
    assert(rc == 0);
    lock->rank = rank;
}

void
lock_fini(struct lock *lock)
{
    int rc = pthread_mutex_destroy(&lock->mutex);
    assert(rc == 0);
}

void
lock_acquire(struct lock *lock)
{
    note_acquired(lock->rank, true);
    int rc = pthread_mutex_lock(&lock->mutex);
    assert(rc == 0);
}

bool
lock_try_acquire(struct lock *lock)
{
    if (pthread_mutex_trylock(&lock->mutex) != 0) {
        return false;
    }
    note_acquired(lock->rank, false);
    return true;
}

void
lock_release(struct lock *lock)
{
    lock_note_released(lock->rank);
    int rc = pthread_mutex_unlock(&lock->mutex);
    assert(rc == 0);
}
