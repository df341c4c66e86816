/* The server: starts and stops what it consists of. */
#include "config.h"

#include "net/server.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/metrics_server.h"
#include "net/net_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DESCRIPTORS_PER_WORKER 3u  /* loop and wake-up, one spare */
#define DESCRIPTORS_OF_PROCESS 10u /* standard streams, main loop, signals, files for a moment */

enum server_result
server_create(struct settings *settings, struct tls **tls, struct server **out, char *error)
{
    *out = NULL;
    struct tls *owned = *tls;
    *tls = NULL;
    assert((owned != NULL) == settings->ssl_enabled);
    struct server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        tls_destroy(owned);
        snprintf(error, SERVER_ERROR_CAP, "out of memory");
        return SERVER_NO_RESOURCES;
    }
    server->settings = settings;
    server->napi.max = settings->napi_ids;
    server->tls = owned;
    enum server_result result = server_bind(server, error);
    if (result == SERVER_OK && settings->metrics != NULL) {
        server->metrics =
            metrics_server_open(settings->metrics, settings->unix_mask, error, SERVER_ERROR_CAP);
        result = server->metrics != NULL ? SERVER_OK : SERVER_CANNOT_LISTEN;
    }
    if (result != SERVER_OK) {
        server_destroy(server);
        return result;
    }
    *out = server;
    return SERVER_OK;
}

void
server_ask_for_login(struct server *server, const struct server_logins *logins)
{
    assert(server->workers == NULL);
    server->logins = *logins;
}

const char *
server_refresh_certs(struct server *server, char *error)
{
    if (server->tls == NULL) {
        return "Error TLS not enabled";
    }
    if (tls_reload(server->tls, error) != TLS_OK) {
        return error;
    }
    metric_set(&server->stats->certs_loaded_at, (uint64_t)cache_now(server->cache));
    return NULL;
}

static bool
start_workers(struct server *server)
{
    server->workers = calloc(server->settings->threads, sizeof(*server->workers));
    if (server->workers == NULL) {
        return false;
    }
    for (unsigned i = 0; i < server->settings->threads; i++) {
        server->workers_len =
            i + 1; /* counted also when it is half open: server_destroy() closes it */
        if (!worker_open(&server->workers[i], server)) {
            return false;
        }
        server->stats->workers[i] = server->workers[i].stats;
    }
    server->stats->workers_count = server->workers_len;
    for (unsigned i = 0; i < server->workers_len; i++) {
        if (!worker_start(&server->workers[i])) {
            return false;
        }
    }
    return true;
}

void
server_on_worker(struct server *server, server_thread_fn *begin)
{
    assert(server->workers == NULL);
    server->worker_begin = begin;
}

void
server_on_metrics(struct server *server, const struct metrics_source *source)
{
    assert(server->workers == NULL);
    server->metrics_source = source;
}

void
server_on_event(struct server *server, server_event_fn *told, void *arg)
{
    assert(server->workers == NULL);
    server->told = told;
    server->told_arg = arg;
}

enum server_result
server_start(struct server *server, struct cache *cache, struct server_stats *stats, bool signals,
             char *error)
{
    assert(server->base == NULL && server->settings->threads >= 1 &&
           server->settings->threads <= STATS_WORKERS_MAX);
    server->cache = cache;
    server->stats = stats;
    server->started_us = clock_monotonic_us();
    server->started_unix_s = clock_unix_s();
    main_loop_read_clock(server);
    metric_set(&stats->accepting_conns, 1);
    metric_set(&stats->certs_loaded_at, (uint64_t)server->started_unix_s);
    metric_add_shared(&stats->curr_connections, server_udp_places(server));
    metric_add_shared(&stats->total_connections, server_udp_places(server));
    metric_set(&stats->reserved_fds,
               DESCRIPTORS_OF_PROCESS +
                   DESCRIPTORS_PER_WORKER * (uint64_t)server->settings->threads);

    /* The threads inherit the mask: signals are the main thread's. */
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    int rc = pthread_sigmask(SIG_SETMASK, &all, &old);
    assert(rc == 0);
    errno = ENOMEM;
    server->wake_open = wake_open(&server->wake);
    bool started = server->wake_open && start_workers(server) && maintainer_start(server) &&
                   log_thread_start(server) &&
                   (server->metrics == NULL || server->metrics_source == NULL ||
                    metrics_server_start(server->metrics, server->metrics_source, stats));
    int saved = errno;
    rc = pthread_sigmask(SIG_SETMASK, &old, NULL);
    assert(rc == 0);
    if (started) {
        errno = ENOMEM;
        started = main_loop_open(server, signals);
        saved = errno;
    }
    if (!started) {
        snprintf(error, SERVER_ERROR_CAP, "cannot start %u worker threads (-t): %s",
                 server->settings->threads, strerror(saved));
        return SERVER_NO_RESOURCES;
    }
    snapshot_thread_serve(server);
    /* Last: whoever can connect is served, and can be told to stop by the signals. */
    return server_listen(server, error);
}

void
server_stop(struct server *server, bool graceful)
{
    uint8_t none = SERVER_RUNS;
    uint8_t wish = graceful ? SERVER_FINISHES : SERVER_STOPS;
    /* relaxed: ordered by wake_post().  The first wish counts. */
    (void)atomic_compare_exchange_strong_explicit(&server->stop, &none, wish, memory_order_relaxed,
                                                  memory_order_relaxed);
    wake_post(&server->wake);
}

/** Ends the workers' threads; progress goes to stderr. */
static void
stop_workers(struct server *server, enum worker_order order, bool progress)
{
    if (progress) {
        log_line("asking workers to stop");
    }
    for (unsigned i = 0; i < server->workers_len; i++) {
        if (server->workers[i].thread_open) {
            worker_order(&server->workers[i], order);
        }
    }
    if (progress) {
        log_line("closing connections");
    }
    for (unsigned i = 0; i < server->workers_len; i++) {
        worker_join(&server->workers[i]);
    }
    if (progress) {
        log_line("all workers stopped");
    }
}

bool
server_run(struct server *server)
{
    uint8_t stop = SERVER_RUNS;
    while (stop == SERVER_RUNS) {
        (void)event_base_loop(server->base, 0);
        stop =
            atomic_load_explicit(&server->stop, memory_order_relaxed); /* relaxed: see on_wake() */
    }
    bool graceful = stop == SERVER_FINISHES;
    if (graceful) {
        log_line("Gracefully stopping");
    } else if (server_verbosity(server) > 0) {
        log_line("Exiting normally");
    }
    for (unsigned i = 0; i < server->listeners.len; i++) {
        listener_pause(server->listeners.at[i]);
    }
    server_tell(server, SERVER_EVENT_STOPPING);
    snapshot_thread_refuse(server);
    stop_workers(server, graceful ? WORKER_FINISH : WORKER_STOP, graceful);
    maintainer_join(server);
    log_thread_join(server);
    snapshot_thread_join(server);
    if (server->metrics != NULL) {
        metrics_server_stop(server->metrics);
    }
    if (graceful) {
        log_line("all background threads stopped");
    }
    return graceful;
}

void
server_destroy(struct server *server)
{
    stop_workers(server, WORKER_STOP, false);
    maintainer_join(server);
    log_thread_join(server);
    snapshot_thread_join(server);
    metrics_server_close(server->metrics);
    for (unsigned i = 0; i < server->workers_len; i++) {
        worker_close(&server->workers[i]);
    }
    free(server->workers);
    if (server->stats != NULL) {
        server->stats->workers_count = 0;
    }
    listener_set_close(&server->listeners);
    udp_set_close(&server->udp);
    main_loop_close(server);
    if (server->wake_open) {
        wake_close(&server->wake);
    }
    tls_destroy(server->tls);
    free(server);
}
