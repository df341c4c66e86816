/* Which sockets of a worker are ready: epoll, and a call per socket.
 *
 * The main thread's listeners, timers and signals are libevent's.  A worker has sockets alone, and
 * its loop runs once per request: there libevent took 275 instructions of a lone get's 1,626.
 *
 * Level-triggered: what is not done away with is told again.
 *
 * Threads: a poll and its sources are one thread's.
 */
#ifndef LARDER_NET_POLL_H
#define LARDER_NET_POLL_H

#include <stdbool.h>

#define POLL_BATCH   128u /* sources that one poll_wait() tells of at most; the others come next */
#define POLL_FOREVER (-1) /* milliseconds */

struct poll_source;

/** It is ready, or broken: reading or writing tells.  The call may remove this source, and free
 * what it lies in, but no other: that one's call may be the next. */
typedef void poll_ready_fn(struct poll_source *source);

/** First member of whoever waits for a socket. */
struct poll_source {
    poll_ready_fn *ready;
};

enum poll_for {
    POLL_READ,
    POLL_WRITE,
};

struct poll {
    int fd;
};

/** false: out of descriptors or memory; errno tells, and poll_close() may be called. */
__attribute__((warn_unused_result)) bool poll_open(struct poll *poll);
void poll_close(struct poll *poll);

/** Waits for input, or for room in the socket.  false: the kernel has no memory for it. */
__attribute__((warn_unused_result)) bool poll_add(struct poll *poll, int fd, enum poll_for what,
                                                  struct poll_source *source);
/** Waits for that instead. */
__attribute__((warn_unused_result)) bool poll_change(struct poll *poll, int fd, enum poll_for what,
                                                     struct poll_source *source);
/** Before the descriptor is closed: a process that a host has forked may hold it open. */
void poll_remove(struct poll *poll, int fd);

/** Calls those that are ready; waits until one is, or the time has passed.  Returns how many. */
unsigned poll_wait(struct poll *poll, int timeout_ms);

#endif
