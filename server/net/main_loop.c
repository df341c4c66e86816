/* The main thread's loop: the clock, what other threads ask for, signals. */
#include "config.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/net_priv.h"

#include <signal.h>

void
main_loop_read_clock(struct server *server)
{
    uint64_t elapsed_us = clock_monotonic_us() - server->started_us;
    uint32_t now_s = (uint32_t)(elapsed_us / 1000000u);
    atomic_store_explicit(&server->now_s, now_s,
                          memory_order_relaxed); /* relaxed: a single number */
    cache_set_now(server->cache, server->started_unix_s + (int64_t)now_s);
}

/** Sets the timer to the next full second. */
static void
set_tick(struct server *server)
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
    main_loop_read_clock(server);
    if (server->settings->idle_timeout_s > 0) {
        for (unsigned i = 0; i < server->workers_len; i++) {
            worker_order(&server->workers[i], WORKER_SWEEP);
        }
    }
    if (server_has_room(server)) {
        server_resume_accepting(
            server); /* descriptors may have come back that were not connections' */
    }
    server_tell(server, SERVER_EVENT_TICK);
    set_tick(server);
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

/** SIGHUP */
static void
load_again(struct server *server)
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
        server_tell(server, SERVER_EVENT_RELOADING);
        load_again(server);
        server_tell(server, SERVER_EVENT_RELOADED);
        return;
    }
    server_stop(server, signal_number == SIGUSR1);
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

bool
main_loop_open(struct server *server, bool signals)
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
    set_tick(server);
    return true;
}

void
main_loop_close(struct server *server)
{
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
}
