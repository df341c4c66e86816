/* The thread that does the cache's background work. */
#include "config.h"

#include "base/assert.h"
#include "base/log.h"
#include "net/net_priv.h"

#include <errno.h>
#include <poll.h>

#define MAINTAIN_PERIOD_MS      10   /* between two looks of the cache at its background work */
#define MAINTAIN_PERIOD_IDLE_MS 50   /* when it has had nothing pressing to do for long */
#define MAINTAIN_IDLE_AFTER     200u /* calls without pressing work that count as long */
#define MAINTAIN_PAUSE_US \
    300u /* between two slices of pressing work, or lru_crawler_sleep if \
                                      that is more: the workers go first */

/** Flushes that wait for the sweep are tried again when it has come around. */
static void
wake_flushes(struct server *server)
{
    /* relaxed: a number, looked at with every call */
    if (atomic_load_explicit(&server->stats->flushes_waiting, memory_order_relaxed) == 0 ||
        (cache_flush_waits(server->cache, CACHE_FLUSH_ALL) &&
         cache_flush_waits(server->cache, CACHE_FLUSH_PREFIX))) {
        return;
    }
    for (unsigned i = 0; i < server->workers_len; i++) {
        worker_order(&server->workers[i], WORKER_HOOK);
    }
}

static void *
maintainer_main(void *arg)
{
    struct server *server = arg;
    struct cache_thread *thread = cache_thread_open(server->cache);
    if (thread == NULL) {
        log_line("no thread of the cache is left for its background work");
        return NULL;
    }
    struct pollfd wait = { .fd = server->maintainer_wake.read_fd, .events = POLLIN };
    unsigned quiet = 0;
    /* relaxed: ordered by the wake-up */
    while (!atomic_load_explicit(&server->maintainer_stop, memory_order_relaxed)) {
        bool pressing = cache_maintain(server->cache, thread);
        wake_flushes(server);
        if (pressing) {
            quiet = 0;
            unsigned sleep_us = settings_get(server->settings, lru_crawler_sleep);
            sleep_us = sleep_us > MAINTAIN_PAUSE_US ? sleep_us : MAINTAIN_PAUSE_US;
            struct timespec pause = { .tv_sec = sleep_us / 1000000,
                                      .tv_nsec = (long)(sleep_us % 1000000) * 1000 };
            (void)ppoll(&wait, 1, &pause, NULL);
            continue;
        }
        quiet++;
        (void)poll(&wait, 1,
                   quiet > MAINTAIN_IDLE_AFTER ? MAINTAIN_PERIOD_IDLE_MS : MAINTAIN_PERIOD_MS);
    }
    cache_thread_close(server->cache, thread);
    return NULL;
}

bool
maintainer_start(struct server *server)
{
    if (!wake_open(&server->maintainer_wake)) {
        return false;
    }
    server->maintainer_wake_open = true;
    int rc = thread_start(&server->maintainer, maintainer_main, server);
    errno = rc;
    server->maintainer_open = rc == 0;
    return server->maintainer_open;
}

void
maintainer_join(struct server *server)
{
    if (server->maintainer_open) {
        /* relaxed: ordered by the wake-up */
        atomic_store_explicit(&server->maintainer_stop, true, memory_order_relaxed);
        wake_post(&server->maintainer_wake);
        int rc = pthread_join(server->maintainer, NULL);
        assert(rc == 0);
        server->maintainer_open = false;
    }
    if (server->maintainer_wake_open) {
        wake_close(&server->maintainer_wake);
        server->maintainer_wake_open = false;
    }
}
