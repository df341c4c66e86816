/* A worker: one thread, one loop, the connections dealt to it. */
#include "config.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/net_priv.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SWEEP_SLICE \
    512u /* connections looked at for -o idle_timeout between two passes of the loop */
#define FINISH_US \
    2000000u /* a graceful stop waits at most so long for clients to take their replies */
#define FINISH_PAUSE_MS 20 /* and looks at them so often */
#define ARRAY_CAP_FIRST 64u

/** Makes room for one more element; false when there is no memory. */
static bool
array_grow(void **array, unsigned len, unsigned *cap, size_t element_size)
{
    if (len < *cap) {
        return true;
    }
    unsigned grown = *cap == 0 ? ARRAY_CAP_FIRST : *cap * 2;
    void *at = realloc(*array, (size_t)grown * element_size);
    if (at == NULL) {
        return false;
    }
    *array = at;
    *cap = grown;
    return true;
}

/* -- from other threads ------------------------------------------------------------------------ */

void
worker_give(struct worker *worker, int fd, unsigned listener)
{
    lock_acquire(&worker->lock);
    bool first = worker->arrivals_len == 0;
    void *array = worker->arrivals;
    bool fits =
        array_grow(&array, worker->arrivals_len, &worker->arrivals_cap, sizeof(*worker->arrivals));
    worker->arrivals = array;
    if (fits) {
        worker->arrivals[worker->arrivals_len++] =
            (struct arrival){ .fd = fd, .listener = (uint8_t)listener };
    }
    lock_release(&worker->lock);
    if (!fits) {
        log_line("out of memory for a connection");
        close(fd);
        server_connection_closed(worker->server);
    } else if (first) {
        wake_post(&worker->wake);
    }
}

void
worker_order(struct worker *worker, enum worker_order order)
{
    lock_acquire(&worker->lock);
    worker->orders |= (unsigned)order;
    lock_release(&worker->lock);
    wake_post(&worker->wake);
}

/* -- the worker's thread ----------------------------------------------------------------------- */

bool
worker_list(struct worker *worker, struct conn *conn)
{
    lock_acquire(&worker->lock);
    void *array = worker->conns;
    bool fits = array_grow(&array, worker->conns_len, &worker->conns_cap, sizeof(struct conn *));
    worker->conns = array;
    if (fits) {
        conn->index = worker->conns_len;
        worker->conns[worker->conns_len++] = conn;
    }
    lock_release(&worker->lock);
    return fits;
}

void
worker_unlist(struct worker *worker, struct conn *conn)
{
    assert(conn->index < worker->conns_len && worker->conns[conn->index] == conn);
    lock_acquire(&worker->lock);
    struct conn *last = worker->conns[--worker->conns_len];
    worker->conns[conn->index] = last;
    last->index = conn->index;
    lock_release(&worker->lock);
}

bool
worker_queue(struct worker *worker, struct conn *conn)
{
    void *array = worker->queue;
    bool fits = array_grow(&array, worker->queue_len, &worker->queue_cap, sizeof(struct conn *));
    worker->queue = array;
    if (fits) {
        worker->queue[worker->queue_len++] = conn;
    }
    return fits;
}

/** One turn for each connection that is queued now, and for UDP; those that queue up again wait for
 * the next pass. */
static void
worker_run_queue(struct worker *worker)
{
    unsigned turns = worker->queue_len;
    for (unsigned i = 0; i < turns; i++) {
        struct conn *conn = worker->queue[i];
        worker->queue[i] = NULL;
        conn_run(conn);
    }
    worker->queue_len -= turns;
    if (worker->queue_len > 0) {
        memmove(worker->queue, worker->queue + turns,
                (size_t)worker->queue_len * sizeof(struct conn *));
    }
    if (udp_is_busy(worker->udp)) {
        udp_run(worker->udp);
    }
}

/** A slice of the search for idle connections, from the end on: a closed one's place is taken by a
 * later one. */
static void
worker_sweep(struct worker *worker)
{
    uint32_t now = server_seconds(worker->server);
    uint32_t timeout = worker->server->settings->idle_timeout_s;
    if (worker->sweep_at > worker->conns_len) {
        worker->sweep_at = worker->conns_len;
    }
    for (unsigned i = 0; i < SWEEP_SLICE && worker->sweep_at > 0; i++) {
        struct conn *conn = worker->conns[--worker->sweep_at];
        /* relaxed: written by this thread */
        uint32_t active_at = atomic_load_explicit(&conn->active_at, memory_order_relaxed);
        if (now - active_at > timeout && conn_phase_get(conn) != CONN_QUEUED &&
            !session_watches(conn->session)) {
            metric_add(&worker->stats->idle_kicks, 1);
            conn_close(conn, WATCH_REASON_IDLE);
        }
    }
    worker->sweeping = worker->sweep_at > 0;
}

/** From the end on: one that is closed has its place taken by the last. */
static void
worker_run_watchers(struct worker *worker)
{
    for (unsigned i = worker->watchers_len; i > 0; i--) {
        conn_wake_watcher(worker->watchers[i - 1]);
    }
}

/** Strikes those off who wait no more, or were refused when they asked. */
static void
worker_drop_waiters(struct worker *worker)
{
    for (unsigned i = worker->waiters_len; i > 0; i--) {
        if (!session_waits(worker->waiters[i - 1]->session)) {
            worker->waiters[i - 1] = worker->waiters[--worker->waiters_len];
        }
    }
}

/** From the end on, as worker_run_watchers(). */
static void
worker_run_waiters(struct worker *worker)
{
    for (unsigned i = worker->waiters_len; i > 0; i--) {
        conn_wake_watcher(worker->waiters[i - 1]);
    }
    worker_drop_waiters(worker);
}

static void
on_wake(struct poll_source *source)
{
    struct worker *worker =
        (struct worker *)((uint8_t *)source - offsetof(struct worker, wake_source));
    worker->woken = true; /* orders close connections: not before poll_wait() has returned */
}

/** Empties the mailbox. */
static void
worker_take_orders(struct worker *worker)
{
    worker->woken = false;
    wake_clear(&worker->wake);
    lock_acquire(&worker->lock);
    unsigned orders = worker->orders;
    worker->orders = 0;
    struct arrival *arrivals = worker->arrivals;
    unsigned arrivals_len = worker->arrivals_len;
    worker->arrivals = NULL;
    worker->arrivals_len = 0;
    worker->arrivals_cap = 0;
    lock_release(&worker->lock);

    for (unsigned i = 0; i < arrivals_len; i++) {
        conn_open(worker, arrivals[i].fd, arrivals[i].listener);
    }
    free(arrivals);
    if ((orders & WORKER_SWEEP) != 0) {
        worker->sweeping = true;
        worker->sweep_at = worker->conns_len;
    }
    if ((orders & WORKER_WATCH) != 0) {
        worker_run_watchers(worker);
    }
    if ((orders & WORKER_HOOK) != 0) {
        worker_run_waiters(worker);
    }
    worker->finishing = worker->finishing || (orders & WORKER_FINISH) != 0;
    worker->stopping = worker->stopping || (orders & WORKER_STOP) != 0;
}

/** What is ready, the mailbox, and a turn for those that are queued.  Returns how many were ready.
 */
static unsigned
worker_pass(struct worker *worker, int timeout_ms)
{
    unsigned ready = poll_wait(&worker->poll, timeout_ms);
    if (__builtin_expect(worker->woken, 0)) {
        worker_take_orders(worker);
    }
    worker_run_queue(worker);
    return ready;
}

/** Closes all connections but those whose output is still under way. */
static void
worker_close_done(struct worker *worker)
{
    for (unsigned i = worker->conns_len; i > 0; i--) {
        struct conn *conn = worker->conns[i - 1];
        if (conn_phase_get(conn) == CONN_READING) {
            conn_close(conn, WATCH_REASON_SHUTDOWN);
        }
    }
}

/** Runs what the clients have sent so far, and sends the replies, as long as the clients take them.
 */
static void
worker_finish(struct worker *worker)
{
    uint64_t until = clock_monotonic_us() + FINISH_US;
    unsigned ready;
    do {
        ready = worker_pass(worker, 0);
    } while ((ready == POLL_BATCH || worker->queue_len > 0 || udp_is_busy(worker->udp)) &&
             clock_monotonic_us() < until);
    worker_close_done(worker);
    while (worker->conns_len > 0 && !worker->stopping && clock_monotonic_us() < until) {
        (void)worker_pass(worker, FINISH_PAUSE_MS);
        worker_close_done(worker);
    }
}

static void *
worker_main(void *arg)
{
    struct worker *worker = arg;
    if (worker->server->worker_begin != NULL) {
        worker->server->worker_begin();
    }
    while (!worker->stopping && !worker->finishing) {
        bool busy = worker->queue_len > 0 || worker->sweeping || udp_is_busy(worker->udp);
        (void)worker_pass(worker, busy ? 0 : POLL_FOREVER);
        if (worker->sweeping) {
            worker_sweep(worker);
        }
    }
    if (worker->finishing) {
        worker_finish(worker);
    }
    for (unsigned i = 0; i < worker->queue_len; i++) {
        atomic_store_explicit(&worker->queue[i]->phase, CONN_READING,
                              memory_order_relaxed); /* relaxed: one byte */
    }
    worker->queue_len = 0;
    while (worker->conns_len > 0) {
        conn_close(worker->conns[worker->conns_len - 1], WATCH_REASON_SHUTDOWN);
    }
    return NULL;
}

/* -- opening and closing ----------------------------------------------------------------------- */

static void
host_shutdown(void *arg, bool graceful)
{
    struct worker *worker = arg;
    server_stop(worker->server, graceful);
}

static const char *
host_refresh_certs(void *arg)
{
    struct worker *worker = arg;
    return server_refresh_certs(worker->server, worker->tls_error);
}

static int
host_running_fd(void *arg)
{
    const struct worker *worker = arg;
    return worker->running != NULL ? worker->running->fd : udp_running_fd(worker->udp);
}

/** Only a connection can watch: there is nowhere else to send lines to. */
static bool
host_watch_begun(void *arg)
{
    struct worker *worker = arg;
    if (worker->running == NULL) {
        return false;
    }
    assert(worker->watchers_len < WATCHERS_MAX);
    worker->watchers[worker->watchers_len++] = worker->running;
    return true;
}

static void
host_watch_wake(void *arg)
{
    worker_order(arg, WORKER_WATCH);
}

/** As above: a datagram has nobody who would wait for its answer. */
static bool
host_hook_wait_begun(void *arg)
{
    struct worker *worker = arg;
    for (unsigned i = worker->waiters_len; i > 0; i--) {
        struct conn *conn = worker->waiters[i - 1];
        if (conn == worker->running) {
            return true; /* once more, before it was struck off */
        }
        /* Who was answered at once after all is still here. */
        if (!session_waits(conn->session)) {
            worker->waiters[i - 1] = worker->waiters[--worker->waiters_len];
        }
    }
    if (worker->waiters_len == WORKER_WAITERS_MAX) {
        worker_drop_waiters(worker);
    }
    if (worker->running == NULL || worker->waiters_len == WORKER_WAITERS_MAX) {
        return false;
    }
    worker->waiters[worker->waiters_len++] = worker->running;
    return true;
}

static void
host_hook_wait_wake(void *arg)
{
    worker_order(arg, WORKER_HOOK);
}

bool
worker_open(struct worker *worker, struct server *server)
{
    *worker = (struct worker){
        .server = server,
        .wake = { .read_fd = -1, .write_fd = -1 },
        .poll = { .fd = -1 },
        .wake_source = { .ready = on_wake },
        .host = { .arg = worker,
                  .shutdown = host_shutdown,
                  .stats_conns = census_emit,
                  .refresh_certs = host_refresh_certs,
                  .credentials = server->logins.credentials,
                  .sasl = server->logins.sasl,
                  .running_fd = host_running_fd,
                  .watch_begun = host_watch_begun,
                  .watch_wake = host_watch_wake,
                  .hook_wait_begun = host_hook_wait_begun,
                  .hook_wait_wake = host_hook_wait_wake },
    };
    lock_init(&worker->lock, LOCK_RANK_WORKER);
    if (!wake_open(&worker->wake) || !poll_open(&worker->poll)) {
        return false;
    }
    errno = ENOMEM;
    if (server->tls != NULL) {
        worker->tls_buf = malloc(server->settings->ssl_wbuf_size);
        if (worker->tls_buf == NULL) {
            return false;
        }
    }
    worker->session_worker =
        session_worker_create(server->cache, server->settings, server->stats, &worker->host);
    if (worker->session_worker == NULL) {
        return false;
    }
    worker->stats = session_worker_stats(worker->session_worker);
    return poll_add(&worker->poll, worker->wake.read_fd, POLL_READ, &worker->wake_source) &&
           udp_open(worker, &worker->udp);
}

bool
worker_start(struct worker *worker)
{
    int rc = thread_start(&worker->thread, worker_main, worker);
    errno = rc;
    worker->thread_open = rc == 0;
    return worker->thread_open;
}

void
worker_join(struct worker *worker)
{
    if (worker->thread_open) {
        int rc = pthread_join(worker->thread, NULL);
        assert(rc == 0);
        worker->thread_open = false;
    }
}

void
worker_close(struct worker *worker)
{
    assert(!worker->thread_open && worker->conns_len == 0);
    for (unsigned i = 0; i < worker->arrivals_len; i++) {
        close(worker->arrivals[i].fd); /* came after the worker's end */
        server_connection_closed(worker->server);
    }
    free(worker->arrivals);
    free(worker->conns);
    free(worker->queue);
    free(worker->tls_buf);
    udp_close(worker->udp);
    if (worker->session_worker != NULL) {
        session_worker_destroy(worker->session_worker);
    }
    poll_close(&worker->poll);
    wake_close(&worker->wake);
    lock_fini(&worker->lock);
}
