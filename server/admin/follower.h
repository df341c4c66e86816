/* What follows the source of truth behind the cache, as those see it who give it orders and show
 * its figures.  main.c puts the MySQL hook behind it. */
#ifndef LARDER_ADMIN_FOLLOWER_H
#define LARDER_ADMIN_FOLLOWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum follower_wait {
    FOLLOWER_REACHED,
    FOLLOWER_WAITING, /* the callback will tell */
    FOLLOWER_BAD,     /* not what a transaction is called there */
    FOLLOWER_FULL,    /* too many wait */
};

/** Any thread, with locks of it held: may take a worker's, and must not call the follower. */
typedef void follower_tell_fn(void *arg, bool reached);

/** All functions: any thread. */
struct follower {
    void *arg;
    const char *(*state)(void *arg);
    void (*pause)(void *arg);
    void (*resume)(void *arg);
    void (*stats)(void *arg, void (*emit)(void *emit_arg, const char *name, const char *value),
                  void *emit_arg);
    /** Waits until a transaction has been applied to the cache. */
    enum follower_wait (*wait)(void *arg, const char *name, size_t name_len, uint32_t timeout_ms,
                               follower_tell_fn *tell, void *tell_arg, uint64_t *ticket);
    /** When it returns, the callback has run or will never run. */
    void (*wait_cancel)(void *arg, uint64_t ticket);
};

#endif
