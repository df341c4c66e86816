/* The thread that gives the log of `watch` out: drains the rings of those who write it into the
 * buffers of those who watch it.  It sleeps while nobody watches.
 */
#include "config.h"

#include "base/assert.h"
#include "base/log.h"
#include "net/net_priv.h"

#include <errno.h>
#include <poll.h>

#define DRAIN_PAUSE_MIN_MS 1  /* after events: many make a larger batch */
#define DRAIN_PAUSE_MAX_MS 50 /* when nothing happens; a ring that fills ends the pause */

static void *
log_thread_main(void *arg)
{
    struct server *server = arg;
    struct watch *watch = server->stats->watch;
    struct pollfd wait = { .fd = server->log_wake.read_fd, .events = POLLIN };
    int pause_ms = DRAIN_PAUSE_MIN_MS;
    /* relaxed: ordered by the wake-up */
    while (!atomic_load_explicit(&server->log_stop, memory_order_relaxed)) {
        int wait_ms = -1;
        switch (watch_drain(watch)) {
        case WATCH_IDLE:
            pause_ms = DRAIN_PAUSE_MIN_MS;
            break;
        case WATCH_QUIET:
            wait_ms = pause_ms;
            pause_ms = pause_ms * 2 < DRAIN_PAUSE_MAX_MS ? pause_ms * 2 : DRAIN_PAUSE_MAX_MS;
            break;
        case WATCH_BUSY:
            pause_ms = DRAIN_PAUSE_MIN_MS;
            wait_ms = pause_ms;
            break;
        }
        watch_rest(watch);
        if (poll(&wait, 1, wait_ms) > 0) {
            wake_clear(&server->log_wake);
        }
    }
    return NULL;
}

static void
post_wake(void *arg)
{
    struct server *server = arg;
    wake_post(&server->log_wake);
}

bool
log_thread_start(struct server *server)
{
    if (server->stats->watch == NULL) {
        return true;
    }
    if (!wake_open(&server->log_wake)) {
        return false;
    }
    server->log_wake_open = true;
    watch_set_wake(server->stats->watch, post_wake, server);
    int rc = thread_start(&server->log_thread, log_thread_main, server);
    errno = rc;
    server->log_thread_open = rc == 0;
    return server->log_thread_open;
}

void
log_thread_join(struct server *server)
{
    if (server->log_thread_open) {
        /* relaxed: ordered by the wake-up */
        atomic_store_explicit(&server->log_stop, true, memory_order_relaxed);
        wake_post(&server->log_wake);
        int rc = pthread_join(server->log_thread, NULL);
        assert(rc == 0);
        server->log_thread_open = false;
    }
    if (server->log_wake_open) {
        watch_set_wake(server->stats->watch, NULL, NULL);
        wake_close(&server->log_wake);
        server->log_wake_open = false;
    }
}
