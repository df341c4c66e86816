/* The thread that writes a snapshot: it starts for one and ends with it.  The main thread starts
 * it, not the worker whose client has asked: so it stands outside of the workers' filters of system
 * calls (sandbox.c), and has the main thread's place among the processors.
 *
 * It goes behind the workers: with a lower priority, so that one of them that has work gets the
 * processor at once; and after each slice of work it sleeps as long as that has taken.  The
 * priority is not the lowest: while it reads a long item it takes a bucket's lock for some
 * instructions, and who has to wait for that must not wait until nobody else has work.
 */
#include "config.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/net_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define NICENESS     10    /* above the process's */
#define SLICE_US     200u  /* of work, after which it sleeps */
#define SLEEP_MAX_US 2000u /* also when the disk has been slow */

/* One snapshot's. */
struct job {
    struct snapshots *snapshots;
    uint64_t awake_us; /* monotonic: when it slept last */
};

/** snapshot_pace_fn */
static bool
pace(void *arg, const struct snapshot_figures *so_far)
{
    struct job *job = arg;
    uint64_t worked_us = clock_monotonic_us() - job->awake_us;
    if (worked_us < SLICE_US) {
        return true;
    }
    if (!snapshots_progress(job->snapshots, so_far)) {
        return false;
    }
    uint64_t sleep_us = worked_us < SLEEP_MAX_US ? worked_us : SLEEP_MAX_US;
    struct timespec sleep = { .tv_sec = 0, .tv_nsec = (long)sleep_us * 1000 };
    (void)nanosleep(&sleep, NULL);
    job->awake_us = clock_monotonic_us();
    return true;
}

static void
go_behind_others(void)
{
#ifdef __linux__
    /* Of this thread alone, other than POSIX has it. */
    errno = 0;
    int niceness = getpriority(PRIO_PROCESS, 0);
    if (errno == 0) {
        (void)setpriority(PRIO_PROCESS, 0, niceness + NICENESS);
    }
#endif
}

static void *
snapshot_thread_main(void *arg)
{
    struct server *server = arg;
    struct job job = { .snapshots = server->stats->snapshots, .awake_us = clock_monotonic_us() };
    struct snapshot_options options = { .now = clock_unix_s(), .pace = pace, .pace_arg = &job };
    struct snapshot_figures figures = { 0 };
    const char *path = snapshots_path(job.snapshots);
    char error[SNAPSHOT_ERROR_CAP] = "no thread of the cache is left for a snapshot";
    enum snapshot_result result = SNAPSHOT_NO_MEMORY;
    uint64_t began_us = job.awake_us;
    go_behind_others();
    struct cache_thread *thread = cache_thread_open(server->cache);
    if (thread != NULL) {
        result = snapshot_save(server->cache, thread, path, &options, &figures, error);
        cache_thread_close(server->cache, thread);
    }
    snapshots_end(job.snapshots, result, &figures, error, clock_unix_s(),
                  clock_monotonic_us() - began_us);
    return NULL;
}

/** Waits for the end of a thread that has no snapshot to write any more, or is about to have none.
 */
static void
join(struct server *server)
{
    if (server->snapshot_thread_open) {
        int rc = pthread_join(server->snapshot_thread, NULL);
        assert(rc == 0);
        server->snapshot_thread_open = false;
    }
}

void
snapshot_thread_start_if_asked(struct server *server)
{
    struct snapshots *snapshots = server->stats->snapshots;
    /* It has begun before its thread has: the main loop is woken for other reasons, too. */
    if (snapshots == NULL || !snapshots_begin(snapshots)) {
        return;
    }
    join(server);
    /* It inherits the mask: signals are the main thread's. */
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    int rc = pthread_sigmask(SIG_SETMASK, &all, &old);
    assert(rc == 0);
    int error = thread_start(&server->snapshot_thread, snapshot_thread_main, server);
    rc = pthread_sigmask(SIG_SETMASK, &old, NULL);
    assert(rc == 0);
    server->snapshot_thread_open = error == 0;
    if (error != 0) {
        char text[SNAPSHOT_ERROR_CAP];
        struct snapshot_figures none = { 0 };
        snprintf(text, sizeof(text), "no thread can be started for a snapshot: %s",
                 strerror(error));
        snapshots_end(snapshots, SNAPSHOT_NO_MEMORY, &none, text, clock_unix_s(), 0);
    }
}

static void
post_wake(void *arg)
{
    struct server *server = arg;
    wake_post(&server->wake);
}

void
snapshot_thread_serve(struct server *server)
{
    if (server->stats->snapshots != NULL) {
        snapshots_serve(server->stats->snapshots, post_wake, server);
    }
}

void
snapshot_thread_refuse(struct server *server)
{
    if (server->stats != NULL && server->stats->snapshots != NULL) {
        snapshots_serve(server->stats->snapshots, NULL, NULL);
    }
}

void
snapshot_thread_join(struct server *server)
{
    snapshot_thread_refuse(server);
    join(server);
}
