#include "config.h"

#include "base/lock.h"

#include "base/assert.h"
#include "base/race.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPINS_MAX 100u /* looks at a held lock before the thread sleeps: some microseconds */

#ifdef LARDER_DEBUG

#define LOCKS_HELD_MAX 8u

static _Thread_local enum lock_rank held[LOCKS_HELD_MAX];
static _Thread_local unsigned held_count;

static void
note_acquired(enum lock_rank rank, bool ordered)
{
    assert(held_count < LOCKS_HELD_MAX);
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
lock_note_tried(enum lock_rank rank)
{
    note_acquired(rank, false);
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

#endif

void
lock_init(struct lock *lock, enum lock_rank rank)
{
    atomic_init(&lock->word, LOCK_FREE);
    lock->rank = rank;
}

void
lock_fini(struct lock *lock)
{
    /* relaxed: nobody else knows the lock any more */
    assert(atomic_load_explicit(&lock->word, memory_order_relaxed) == LOCK_FREE);
}

static long
futex(_Atomic uint32_t *word, int operation, uint32_t value)
{
    return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

void
lock_wait(struct lock *lock)
{
    for (unsigned spins = 0; spins < SPINS_MAX; spins++) {
        cpu_relax();
        /* relaxed: a look; the exchange below orders */
        if (atomic_load_explicit(&lock->word, memory_order_relaxed) == LOCK_FREE) {
            break;
        }
    }
    /* AWAITED also when nobody else waits: one needless wake-up, but none is ever left out.
     * acquire: pairs with lock_release(). */
    while (atomic_exchange_explicit(&lock->word, LOCK_AWAITED, memory_order_acquire) != LOCK_FREE) {
        long rc = futex(&lock->word, FUTEX_WAIT, LOCK_AWAITED);
        assert(rc == 0 || errno == EAGAIN || errno == EINTR);
        (void)rc;
    }
}

void
lock_wake(struct lock *lock)
{
    (void)futex(&lock->word, FUTEX_WAKE, 1);
}
