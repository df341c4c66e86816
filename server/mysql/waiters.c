#include "config.h"

#include "mysql/waiters.h"

#include "base/assert.h"

#include <stdlib.h>

struct waiter {
    uint64_t ticket;
    uint64_t until_us;
    struct gtid_set target;
    waiters_fn *tell;
    void *arg;
};

bool
waiters_init(struct waiters *waiters)
{
    *waiters = (struct waiters){ .next_ticket = 1 };
    lock_init(&waiters->lock, LOCK_RANK_HOOK_WAIT);
    waiters->at = calloc(WAITERS_MAX, sizeof(waiters->at[0]));
    return waiters->at != NULL;
}

static void
set_count(struct waiters *waiters, unsigned count)
{
    waiters->count = count;
    atomic_store_explicit(&waiters->hint, count, memory_order_relaxed); /* relaxed: see hint */
}

/** Takes one off the list; the last takes its place. */
static void
drop(struct waiters *waiters, unsigned i)
{
    gtid_set_fini(&waiters->at[i].target);
    waiters->at[i] = waiters->at[waiters->count - 1];
    set_count(waiters, waiters->count - 1);
}

void
waiters_fini(struct waiters *waiters)
{
    if (waiters->at != NULL) {
        lock_acquire(&waiters->lock);
        while (waiters->count > 0) {
            struct waiter *last = &waiters->at[waiters->count - 1];
            last->tell(last->arg, false);
            drop(waiters, waiters->count - 1);
        }
        lock_release(&waiters->lock);
        free(waiters->at);
        waiters->at = NULL;
    }
    lock_fini(&waiters->lock);
}

enum waiters_result
waiters_add(struct waiters *waiters, struct gtid_set *target, uint64_t until_us, waiters_fn *tell,
            void *arg, uint64_t *ticket)
{
    enum waiters_result result = WAITERS_FULL;
    lock_acquire(&waiters->lock);
    if (waiters->count < WAITERS_MAX) {
        waiters->at[waiters->count] = (struct waiter){
            .ticket = waiters->next_ticket,
            .until_us = until_us,
            .target = *target,
            .tell = tell,
            .arg = arg,
        };
        gtid_set_init(target);
        *ticket = waiters->next_ticket++;
        set_count(waiters, waiters->count + 1);
        result = WAITERS_WAITING;
    }
    lock_release(&waiters->lock);
    return result;
}

void
waiters_cancel(struct waiters *waiters, uint64_t ticket)
{
    lock_acquire(&waiters->lock);
    for (unsigned i = 0; i < waiters->count; i++) {
        if (waiters->at[i].ticket == ticket) {
            drop(waiters, i);
            break;
        }
    }
    lock_release(&waiters->lock);
}

void
waiters_reach(struct waiters *waiters, const struct gtid_set *applied)
{
    lock_acquire(&waiters->lock);
    for (unsigned i = waiters->count; i > 0; i--) {
        struct waiter *waiter = &waiters->at[i - 1];
        if (gtid_set_contains_set(applied, &waiter->target)) {
            waiter->tell(waiter->arg, true);
            drop(waiters, i - 1);
        }
    }
    lock_release(&waiters->lock);
}

void
waiters_expire(struct waiters *waiters, uint64_t now_us)
{
    lock_acquire(&waiters->lock);
    for (unsigned i = waiters->count; i > 0; i--) {
        struct waiter *waiter = &waiters->at[i - 1];
        if (waiter->until_us <= now_us) {
            waiter->tell(waiter->arg, false);
            drop(waiters, i - 1);
        }
    }
    lock_release(&waiters->lock);
}
