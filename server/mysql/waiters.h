/*
 * Who waits until a transaction is applied: `hook wait`.
 *
 * Threads: any.  A callback runs with the waiters' lock held: it may take locks of a higher rank,
 * and must not call back.
 */
#ifndef LARDER_MYSQL_WAITERS_H
#define LARDER_MYSQL_WAITERS_H

#include "base/lock.h"
#include "mysql/gtid.h"

#define WAITERS_MAX 1024u

enum waiters_result {
    WAITERS_WAITING,
    WAITERS_FULL, /* WAITERS_MAX wait already, or no memory */
};

/** reached   false: the time is over, or the hook has stopped */
typedef void waiters_fn(void *arg, bool reached);

struct waiter;

struct waiters {
    struct lock lock;
    unsigned count; /* locking key: lock, as the next two */
    uint64_t next_ticket;
    struct waiter *at;     /* WAITERS_MAX */
    _Atomic unsigned hint; /* = count; relaxed: read without the lock to save it */
};

/** False without memory. */
bool waiters_init(struct waiters *waiters);
/** All are told that it was not reached. */
void waiters_fini(struct waiters *waiters);

/**
 * target   becomes the waiters' on success
 * ticket   out, for waiters_cancel(); never 0
 */
enum waiters_result waiters_add(struct waiters *waiters, struct gtid_set *target, uint64_t until_us,
                                waiters_fn *tell, void *arg, uint64_t *ticket)
    __attribute__((warn_unused_result));
/** When it returns, the callback has run or will never run. */
void waiters_cancel(struct waiters *waiters, uint64_t ticket);

/** Tells those whose target is part of `applied`. */
void waiters_reach(struct waiters *waiters, const struct gtid_set *applied);
/** Tells those whose time is over. */
void waiters_expire(struct waiters *waiters, uint64_t now_us);

#endif
