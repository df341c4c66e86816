/*
 * The fence: waits until transactions whose events are here already are visible to whoever asks
 * the server.  Until then a reader of the database may still fill the cache with what was before.
 *
 *     MySQL           WAIT_FOR_EXECUTED_GTID_SET()
 *     MariaDB         a consistent snapshot tells up to where in the log it sees; the same on a
 *                     replica, as it writes a log of its own
 *     without GTIDs   (MySQL) a time, counted from when the events arrived
 *
 * One question to the server serves all transactions that arrived until then, and there is at most
 * one per millisecond.
 *
 * A connection to a server is a space: files and offsets mean something within it alone.  What
 * arrived in an older space is visible once everything is that the server had when the newest one
 * began.
 *
 * Threads: one; fence_set_space() and fence_stop() any.
 */
#ifndef LARDER_MYSQL_FENCE_H
#define LARDER_MYSQL_FENCE_H

#include "mysql/record.h"
#include "mysql/source.h"

#define FENCE_DELAY_DEFAULT_MS 200u
#define FENCE_SLICE_MS         250u /* the longest single wait for a server's answer */
#define FENCE_POLL_MAX_MS      8u
#define FENCE_PASSED_MAX       512u /* of the last fences, for the figures */

struct fence;

enum fence_result {
    FENCE_PASSED,
    FENCE_NOT_YET, /* after FENCE_SLICE_MS */
    FENCE_LOST,    /* no connection; after a pause */
    FENCE_STOPPED,
};

/** settings   borrowed.  NULL without memory. */
struct fence *fence_create(const struct rules_source *settings);
void fence_destroy(struct fence *fence);

/**
 * A connection has begun: asks the same server from now on.
 *
 * base   what the server had then
 */
void fence_set_space(struct fence *fence, uint32_t space, const struct rules_host *host,
                     const char *identity, const struct position *base);

/** Begins a new set of transactions to wait for. */
void fence_begin(struct fence *fence);
/** Adds one.  False: the set is full; wait for it first. */
bool fence_add(struct fence *fence, const struct record_point *point);
/** Waits a while for all of them. */
enum fence_result fence_wait(struct fence *fence) __attribute__((warn_unused_result));

void fence_stop(struct fence *fence);

/** Microseconds of the last fences: the median, and what 99 of 100 stayed below. */
void fence_times(struct fence *fence, uint64_t *p50_us, uint64_t *p99_us);
/** Fences that took longer than timeout_ms. */
uint64_t fence_timeouts(const struct fence *fence);

#endif
