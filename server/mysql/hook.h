/*
 * The hook: follows a MySQL or MariaDB server and voids what its changes make wrong in the cache.
 *
 * Three threads:
 *
 *     reader    reads the log, decodes, voids on arrival; blocks when the queue is full
 *     applier   waits until what arrived is visible, then voids again or stores
 *     guard     watches the two: silence of the server, the grace time, who waits, the state file
 */
#ifndef LARDER_MYSQL_HOOK_H
#define LARDER_MYSQL_HOOK_H

#include "engine/cache.h"
#include "mysql/rules.h"

#define HOOK_ERROR_CAP 512u /* bytes of an error text, NUL included */

struct hook;

enum hook_result {
    HOOK_OK,
    HOOK_NO_RESOURCES, /* memory, threads */
    HOOK_NOT_BUILT,    /* without libmariadb */
};

struct hook_options {
    const struct rules *rules; /* borrowed until hook_close() */
    struct cache *cache;       /* the same; no other thread uses it yet */
    uint64_t item_size_max;    /* bytes; a longer value is not written through */
    bool distrusts_items;      /* the cache has items that the saved position may know nothing of */
};

/**
 * Opens the cache's hold-off, starts the threads, and waits until what the server has now is known,
 * or it is clear that no host can be reached: then keys of the rules are bypassed until one can.
 */
enum hook_result hook_open(const struct hook_options *options, struct hook **out, char *error)
    __attribute__((warn_unused_result));
/** Saves the position, ends the threads.  Who waits is told that the time is over. */
void hook_close(struct hook *hook);

/** connecting, catching-up, streaming, disconnected, paused, stopped */
const char *hook_state_name(struct hook *hook);

/** Stops following; after the grace time the keys of the rules are treated as without a server. */
void hook_pause(struct hook *hook);
void hook_resume(struct hook *hook);

enum hook_wait_result {
    HOOK_WAIT_REACHED,
    HOOK_WAIT_WAITING, /* the callback will tell */
    HOOK_WAIT_BAD,     /* no GTID, or one of another family of servers */
    HOOK_WAIT_FULL,    /* too many wait */
};
/** As waiters_fn: any thread; may take locks above LOCK_RANK_HOOK_WAIT, must not call the hook. */
typedef void hook_wait_fn(void *arg, bool reached);
/** Waits until a transaction, or a set of them, has been applied. */
enum hook_wait_result hook_wait(struct hook *hook, const char *gtid, size_t gtid_len,
                                uint32_t timeout_ms, hook_wait_fn *tell, void *arg,
                                uint64_t *ticket) __attribute__((warn_unused_result));
void hook_wait_cancel(struct hook *hook, uint64_t ticket);

/** Takes one figure. */
typedef void hook_emit_fn(void *arg, const char *name, const char *value);
void hook_stats(struct hook *hook, hook_emit_fn *emit, void *arg);

#endif
