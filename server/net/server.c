/* The server: listeners, clock, signals and the cache's background work around the workers. */
#include "config.h"

#include "net/server.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/metrics_server.h"
#include "net/net_priv.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAINTAIN_PERIOD_MS      10   /* between two looks of the cache at its background work */
#define MAINTAIN_PERIOD_IDLE_MS 50   /* when it has had nothing pressing to do for long */
#define MAINTAIN_IDLE_AFTER     200u /* calls without pressing work that count as long */
#define MAINTAIN_PAUSE_US \
    300u                           /* between two slices of pressing work, or lru_crawler_sleep if \
                                      that is more: the workers go first */
#define DESCRIPTORS_PER_WORKER 3u  /* loop and wake-up, one spare */
#define DESCRIPTORS_OF_PROCESS 10u /* standard streams, main loop, signals, files for a moment */

static int
verbosity(const struct server *server)
{
    return atomic_load_explicit(&server->settings->verbosity,
                                memory_order_relaxed); /* relaxed: one number */
}

static void
tell(const struct server *server, enum server_event event)
{
    if (server->told != NULL) {
        server->told(server->told_arg, event);
    }
}

/* -- accepting --------------------------------------------------------------------------------- */

/** Sockets of UDP count as connections, as memcached counts them, but take no client's place. */
static uint64_t
udp_places(const struct server *server)
{
    return (uint64_t)server->udp.len * server->settings->threads;
}

bool
server_has_room(const struct server *server)
{
    return metric_get(&server->stats->curr_connections) <
           server->settings->conns_max + udp_places(server);
}

/** The worker of a new connection: one after the other, or with -N by where it came in. */
static struct worker *
choose_worker(struct server *server, int fd)
{
    if (server->settings->napi_ids > 0) {
        unsigned chosen = 0;
        switch (napi_choose(&server->napi, napi_id_of(fd), &chosen)) {
        case NAPI_WORKER:
            assert(chosen < server->workers_len);
            return &server->workers[chosen];
        case NAPI_NONE:
            metric_add(&server->stats->round_robin_fallback, 1);
            break;
        case NAPI_UNEXPECTED:
            metric_add(&server->stats->unexpected_napi_ids, 1);
            break;
        }
    }
    struct worker *worker = &server->workers[server->worker_next];
    server->worker_next = (server->worker_next + 1) % server->workers_len;
    return worker;
}

void
server_take(struct server *server, int fd, unsigned listener)
{
    metric_add_shared(&server->stats->curr_connections, 1);
    metric_add_shared(&server->stats->total_connections, 1);
    worker_give(choose_worker(server, fd), fd, listener);
}

void
server_reject(struct server *server, int fd, unsigned listener)
{
    static const char text[] = "ERROR Too many open connections\r\n";
    char unread[512];
    metric_add_shared(&server->stats->rejected_connections, 1);
    ssize_t rc;
    if (server->listeners.at[listener]->tls == TLS_MODE_OFF) { /* others could not read it */
        rc = send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)rc;
    }
    /* With unread input a close resets the connection, and the client may lose the text. */
    (void)shutdown(fd, SHUT_WR);
    rc = recv(fd, unread, sizeof(unread), MSG_DONTWAIT);
    (void)rc;
    close(fd);
}

static void
server_resume_accepting(struct server *server)
{
    /* acq_rel: pairs with server_connection_closed() */
    if (atomic_exchange_explicit(&server->paused, 0, memory_order_acq_rel) == 0) {
        return;
    }
    metric_add_shared(&server->stats->time_in_listen_disabled_us,
                      clock_monotonic_us() - server->paused_us);
    metric_set(&server->stats->accepting_conns, 1);
    for (unsigned i = 0; i < server->listeners.len; i++) {
        listener_resume(server->listeners.at[i]);
    }
}

void
server_pause_accepting(struct server *server, int error)
{
    for (unsigned i = 0; i < server->listeners.len; i++) {
        listener_pause(server->listeners.at[i]);
    }
    if (verbosity(server) > 0) {
        log_line("%s", error != 0 ? strerror(error) : "Too many open connections");
    }
    metric_add_shared(&server->stats->listen_disabled_num, 1);
    metric_set(&server->stats->accepting_conns, 0);
    server->paused_us = clock_monotonic_us();
    /* acq_rel: either a connection that closes sees the pause, or its end is seen here. */
    (void)atomic_exchange_explicit(&server->paused, 1, memory_order_acq_rel);
    if (error == 0 && server_has_room(server)) {
        server_resume_accepting(server);
    }
}

void
server_connection_closed(struct server *server)
{
    metric_add_shared(&server->stats->curr_connections, UINT64_MAX);
    /* acq_rel, and a write of the value itself: pairs with server_pause_accepting() */
    if (atomic_fetch_or_explicit(&server->paused, 0, memory_order_acq_rel) != 0) {
        wake_post(&server->wake);
    }
}

/* -- the main loop ----------------------------------------------------------------------------- */

/** Time since the start, from the clock that never jumps; sets what others read. */
static void
server_read_clock(struct server *server)
{
    uint64_t elapsed_us = clock_monotonic_us() - server->started_us;
    uint32_t now_s = (uint32_t)(elapsed_us / 1000000u);
    atomic_store_explicit(&server->now_s, now_s,
                          memory_order_relaxed); /* relaxed: a single number */
    cache_set_now(server->cache, server->started_unix_s + (int64_t)now_s);
}

/** Sets the timer to the next full second. */
static void
server_set_tick(struct server *server)
{
    uint64_t elapsed_us = clock_monotonic_us() - server->started_us;
    struct timeval wait = { .tv_sec = 0,
                            .tv_usec = (suseconds_t)(1000000u - elapsed_us % 1000000u) };
    if (wait.tv_usec >= 1000000) {
        wait.tv_sec = 1;
        wait.tv_usec = 0;
    }
    if (event_add(&server->tick_event, &wait) != 0) {
        log_line("cannot set the clock's timer");
    }
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct server *server = arg;
    server_read_clock(server);
    if (server->settings->idle_timeout_s > 0) {
        for (unsigned i = 0; i < server->workers_len; i++) {
            worker_order(&server->workers[i], WORKER_SWEEP);
        }
    }
    if (server_has_room(server)) {
        server_resume_accepting(
            server); /* descriptors may have come back that were not connections' */
    }
    tell(server, SERVER_EVENT_TICK);
    server_set_tick(server);
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct server *server = arg;
    wake_clear(&server->wake);
    /* relaxed: ordered by wake_post() and wake_clear() */
    if (atomic_load_explicit(&server->stop, memory_order_relaxed) != SERVER_RUNS) {
        (void)event_base_loopbreak(server->base);
        return;
    }
    snapshot_thread_start_if_asked(server);
    if (server_has_room(server)) {
        server_resume_accepting(server);
    }
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

/** SIGHUP */
static void
server_load_again(struct server *server)
{
    char buf[TLS_ERROR_CAP];
    if (server->logins.load_again != NULL) {
        server->logins.load_again(server->logins.arg);
    } else if (server->tls == NULL) {
        log_line("SIGHUP: nothing to load again");
    }
    if (server->tls == NULL) {
        return;
    }
    const char *error = server_refresh_certs(server, buf);
    if (error == NULL) {
        log_line("SIGHUP: certificates are loaded again");
    } else {
        log_line("SIGHUP: the certificates in use stay: %s", error);
    }
}

static void
on_signal(evutil_socket_t signal_number, short what, void *arg)
{
    (void)what;
    struct server *server = arg;
    if (signal_number == SIGHUP) {
        tell(server, SERVER_EVENT_RELOADING);
        server_load_again(server);
        tell(server, SERVER_EVENT_RELOADED);
        return;
    }
    server_stop(server, signal_number == SIGUSR1);
}

/* -- the cache's background work --------------------------------------------------------------- */

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
        if (cache_maintain(server->cache, thread)) {
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

static bool
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

static void
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

/* -- starting and stopping --------------------------------------------------------------------- */

/** The sockets of one element of -l, or of no -l at all. */
static enum server_result
open_address(struct server *server, const char *element, char *error)
{
    const struct settings *settings = server->settings;
    struct listen_spec spec = { .port = -1,
                                .protocol = settings->protocol,
                                .tls = TLS_MODE_DEFAULT };
    char why[SERVER_ERROR_CAP / 2];
    if (element != NULL &&
        listen_spec_parse(element, settings->protocol, &spec, why, sizeof(why)) != LISTEN_SPEC_OK) {
        snprintf(error, SERVER_ERROR_CAP, "%s\nfailed to listen on one of interface(s) %.200s", why,
                 element);
        return SERVER_CANNOT_LISTEN;
    }
    unsigned port = spec.port >= 0       ? (unsigned)spec.port
                    : settings->port > 0 ? (unsigned)settings->port
                                         : 0;
    unsigned first = server->listeners.len;
    if (listener_open_tcp(&server->listeners, spec.host, port, settings->sock_cookie_id, why,
                          sizeof(why)) == LISTEN_OK) {
        for (unsigned i = first; i < server->listeners.len; i++) {
            server->listeners.at[i]->tls = (uint8_t)(server->tls != NULL ? spec.tls : TLS_MODE_OFF);
            server->listeners.at[i]->protocol = (uint8_t)spec.protocol;
        }
        return SERVER_OK;
    }
    if (element != NULL) {
        char of_port[32] = "";
        if (spec.port < 0 && port > 0) { /* which the address does not name */
            snprintf(of_port, sizeof(of_port), ", TCP port %u", port);
        }
        snprintf(error, SERVER_ERROR_CAP, "%s\nfailed to listen on one of interface(s) %.160s%s",
                 why, element, of_port);
    } else {
        snprintf(error, SERVER_ERROR_CAP, "%s\nfailed to listen on TCP port %u", why, port);
    }
    return SERVER_CANNOT_LISTEN;
}

static enum server_result
open_listeners(struct server *server, char *error)
{
    const struct settings *settings = server->settings;
    char why[SERVER_ERROR_CAP / 2];
    if (settings->unix_path != NULL &&
        listener_open_unix(&server->listeners, settings->unix_path, settings->unix_mask, why,
                           sizeof(why)) != LISTEN_OK) {
        snprintf(error, SERVER_ERROR_CAP, "%s\nfailed to listen on UNIX socket: %.200s", why,
                 settings->unix_path);
        return SERVER_CANNOT_LISTEN;
    }
    for (unsigned i = 0; i < server->listeners.len; i++) {
        server->listeners.at[i]->protocol = (uint8_t)settings->protocol;
    }
    if (settings->port == 0) {
        return SERVER_OK;
    }
    enum server_result result =
        settings->listen_count == 0 ? open_address(server, NULL, error) : SERVER_OK;
    for (unsigned i = 0; i < settings->listen_count && result == SERVER_OK; i++) {
        result = open_address(server, settings->listen[i], error);
    }
    return result;
}

/** The sockets of -U for one element of -l, or for no -l at all. */
static enum server_result
open_udp_address(struct server *server, const char *element, char *error)
{
    const struct settings *settings = server->settings;
    struct listen_spec spec = { .port = -1, .protocol = settings->protocol };
    char why[SERVER_ERROR_CAP / 2] = "";
    unsigned port = settings->udp_port > 0 ? (unsigned)settings->udp_port : 0;
    if (element == NULL ||
        listen_spec_parse(element, settings->protocol, &spec, why, sizeof(why)) == LISTEN_SPEC_OK) {
        struct udp_wish wish = {
            .host = spec.host,
            .port = spec.port >= 0 ? (unsigned)spec.port : port,
            .workers = settings->threads,
            .protocol = (uint8_t)spec.protocol,
            .mark = settings->sock_cookie_id,
        };
        if (udp_bind(&server->udp, &wish, why, sizeof(why))) {
            return SERVER_OK;
        }
    }
    if (element != NULL) {
        snprintf(error, SERVER_ERROR_CAP,
                 "%s\nfailed to listen on one of interface(s) %.200s (UDP, -U)", why, element);
    } else {
        snprintf(error, SERVER_ERROR_CAP, "%s\nfailed to listen on UDP port %u", why, port);
    }
    return SERVER_CANNOT_LISTEN;
}

static enum server_result
open_udp(struct server *server, char *error)
{
    const struct settings *settings = server->settings;
    if (settings->udp_port == 0) {
        return SERVER_OK;
    }
    enum server_result result =
        settings->listen_count == 0 ? open_udp_address(server, NULL, error) : SERVER_OK;
    for (unsigned i = 0; i < settings->listen_count && result == SERVER_OK; i++) {
        result = open_udp_address(server, settings->listen[i], error);
    }
    return result;
}

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
    enum server_result result = open_listeners(server, error);
    if (result == SERVER_OK) {
        result = open_udp(server, error);
    }
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

static bool
set_signals(struct server *server)
{
    static const int numbers[SERVER_SIGNALS] = { SIGTERM, SIGINT, SIGUSR1, SIGHUP };
    for (unsigned i = 0; i < SERVER_SIGNALS; i++) {
        if (event_assign(&server->signal_events[i], server->base, numbers[i],
                         EV_SIGNAL | EV_PERSIST, on_signal, server) != 0 ||
            event_add(&server->signal_events[i], NULL) != 0) {
            return false;
        }
        server->signals_set = true;
    }
    /* The caller may have held them back until now. */
    sigset_t ours;
    sigemptyset(&ours);
    for (unsigned i = 0; i < SERVER_SIGNALS; i++) {
        sigaddset(&ours, numbers[i]);
    }
    return pthread_sigmask(SIG_UNBLOCK, &ours, NULL) == 0;
}

static enum server_result
start_listeners(struct server *server, char *error)
{
    for (unsigned i = 0; i < server->listeners.len; i++) {
        struct listener *listener = server->listeners.at[i];
        if (!listener_arm(listener, server, server->base, server->settings->backlog)) {
            snprintf(error, SERVER_ERROR_CAP, "listen(): %s\nfailed to listen on %.200s",
                     strerror(errno), listener->text);
            return SERVER_CANNOT_LISTEN;
        }
        if (verbosity(server) > 1) {
            log_line("<%d server listening on %s", listener->fd, listener->text);
        }
    }
    for (unsigned i = 0; i < server->udp.len && verbosity(server) > 1; i++) {
        log_line("<%d server listening (udp) on %s", server->udp.at[i]->fds[0],
                 server->udp.at[i]->text);
    }
    return SERVER_OK;
}

static bool
start_loop(struct server *server, bool signals)
{
    struct event_config *config = event_config_new();
    if (config == NULL) {
        return false;
    }
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_NO_CACHE_TIME);
    server->base = event_base_new_with_config(config);
    event_config_free(config);
    if (server->base == NULL ||
        event_assign(&server->wake_event, server->base, server->wake.read_fd, EV_READ | EV_PERSIST,
                     on_wake, server) != 0 ||
        event_add(&server->wake_event, NULL) != 0 ||
        event_assign(&server->tick_event, server->base, -1, 0, on_tick, server) != 0 ||
        (signals && !set_signals(server))) {
        return false;
    }
    server_set_tick(server);
    return true;
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
    server_read_clock(server);
    metric_set(&stats->accepting_conns, 1);
    metric_set(&stats->certs_loaded_at, (uint64_t)server->started_unix_s);
    metric_add_shared(&stats->curr_connections, udp_places(server));
    metric_add_shared(&stats->total_connections, udp_places(server));
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
        started = start_loop(server, signals);
        saved = errno;
    }
    if (!started) {
        snprintf(error, SERVER_ERROR_CAP, "cannot start %u worker threads (-t): %s",
                 server->settings->threads, strerror(saved));
        return SERVER_NO_RESOURCES;
    }
    snapshot_thread_serve(server);
    /* Last: whoever can connect is served, and can be told to stop by the signals. */
    return start_listeners(server, error);
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
    } else if (verbosity(server) > 0) {
        log_line("Exiting normally");
    }
    for (unsigned i = 0; i < server->listeners.len; i++) {
        listener_pause(server->listeners.at[i]);
    }
    tell(server, SERVER_EVENT_STOPPING);
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
server_ports(const struct server *server, server_port_fn *visit, void *arg)
{
    for (unsigned i = 0; i < server->listeners.len; i++) {
        if (server->listeners.at[i]->port != 0) {
            visit(arg, "TCP", server->listeners.at[i]->family, server->listeners.at[i]->port);
        }
    }
    for (unsigned i = 0; i < server->udp.len; i++) {
        visit(arg, "UDP", server->udp.at[i]->family, server->udp.at[i]->port);
    }
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
    if (server->signals_set) {
        for (unsigned i = 0; i < SERVER_SIGNALS; i++) {
            if (event_initialized(&server->signal_events[i])) {
                (void)event_del(&server->signal_events[i]);
            }
        }
    }
    if (server->base != NULL) {
        event_base_free(server->base);
    }
    if (server->wake_open) {
        wake_close(&server->wake);
    }
    tls_destroy(server->tls);
    free(server);
}
