/* One thread: connects, fills, runs, drains. */
#include "config.h"

#include "bench/load/worker_priv.h"

#include "bench/load/random.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX          256
#define WAIT_MS_MAX         50   /* between two looks at the clock and at load->stop */
#define CONNECTING_MAX      128u /* handshakes at a time */
#define CONNECT_SECONDS_MAX 60.0
#define SECOND_NS           1e9

int64_t
worker_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void
worker_note_fault(struct worker *worker, const char *text, struct span detail)
{
    if (worker->fault_text[0] == '\0') {
        snprintf(worker->fault_text, FAULT_TEXT_CAP, "%s%s%.*s", text, detail.len > 0 ? " " : "",
                 (int)(detail.len < 100 ? detail.len : 100), (const char *)detail.at);
    }
}

void
worker_watch(struct conn *conn, bool wants_write)
{
    if (conn->wants_write == wants_write) {
        return;
    }
    conn->wants_write = wants_write;
    struct epoll_event event = { .events = EPOLLIN | (wants_write ? EPOLLOUT : 0u),
                                 .data.ptr = conn };
    (void)epoll_ctl(conn->worker->epoll_fd, EPOLL_CTL_MOD, conn->link.fd, &event);
}

static bool
is_stopped(const struct worker *worker)
{
    /* relaxed: it guards no data */
    return atomic_load_explicit(&worker->load->stop, memory_order_relaxed);
}

/** For the progress line. */
static void
show(struct worker *worker)
{
    struct load_shown *shown = &worker->shown;
    const struct load_faults *faults = &worker->faults;
    /* relaxed: numbers for the eye, each for itself */
    atomic_store_explicit(&shown->requests, worker->requests, memory_order_relaxed);
    atomic_store_explicit(&shown->hits, worker->stats.hits, memory_order_relaxed);
    atomic_store_explicit(&shown->misses, worker->stats.misses, memory_order_relaxed);
    atomic_store_explicit(&shown->faults,
                          faults->wrong + faults->foreign + faults->broken + faults->lost,
                          memory_order_relaxed);
    atomic_store_explicit(&shown->ready, worker->ready, memory_order_relaxed);
}

/* -- connecting -------------------------------------------------------------------------------- */

/** Tells why this run cannot be. */
static void
fail_to_connect(struct worker *worker, const char *why)
{
    struct span reason = { (const uint8_t *)why, strlen(why) };
    worker_note_fault(worker, "cannot connect:", reason);
    /* relaxed: read behind the barrier */
    atomic_store_explicit(&worker->load->failed, true, memory_order_relaxed);
}

/** Goes on from what the link said; false if it cannot. */
static bool
connect_step(struct conn *conn, enum link_step step)
{
    char error[LINK_ERROR_CAP];
    switch (step) {
    case LINK_DONE:
        conn->state = CONN_READY;
        conn->worker->ready++;
        worker_watch(conn, false);
        return true;
    case LINK_WANT_READ:
        worker_watch(conn, false);
        return true;
    case LINK_WANT_WRITE:
        worker_watch(conn, true);
        return true;
    case LINK_CLOSED:
        link_error(&conn->link, error);
        fail_to_connect(conn->worker, error);
        return false;
    }
    __builtin_unreachable();
}

enum opened {
    OPENED,
    OPENED_LATER, /* the server's queue is full (unix sockets say so): try again */
    OPENED_NOT,
};

static enum opened
open_conn(struct conn *conn)
{
    struct worker *worker = conn->worker;
    enum link_step step = link_open(&conn->link, worker->load->target);
    if (step == LINK_CLOSED && errno == EAGAIN) {
        link_close(&conn->link);
        return OPENED_LATER;
    }
    conn->state = CONN_CONNECTING;
    if (step != LINK_CLOSED) {
        struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.ptr = conn };
        conn->wants_write = true;
        if (epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, conn->link.fd, &event) != 0) {
            step = LINK_CLOSED;
        }
    }
    return connect_step(conn, step) ? OPENED : OPENED_NOT;
}

/** Opens those that are due, not too many at a time; false if one cannot be. */
static bool
open_due(struct worker *worker, unsigned *opened, double elapsed_s)
{
    const struct options *options = worker->options;
    while (*opened < worker->conns_count && *opened - worker->ready < CONNECTING_MAX) {
        struct conn *conn = &worker->conns[*opened];
        double due_s = options->ramp_s * conn->number / options->connections;
        if (due_s > elapsed_s) {
            return true;
        }
        switch (open_conn(conn)) {
        case OPENED:
            ++*opened;
            break;
        case OPENED_LATER:
            return true;
        case OPENED_NOT:
            return false;
        }
    }
    return true;
}

static void
connect_all(struct worker *worker)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t start = worker_now_ns();
    unsigned opened = 0;
    while (worker->ready < worker->conns_count && !is_stopped(worker)) {
        double elapsed_s = (double)(worker_now_ns() - start) / SECOND_NS;
        if (elapsed_s > worker->options->ramp_s + CONNECT_SECONDS_MAX) {
            fail_to_connect(worker, "the server does not answer");
            return;
        }
        if (!open_due(worker, &opened, elapsed_s)) {
            return;
        }
        int count = epoll_wait(worker->epoll_fd, events, EVENTS_MAX,
                               worker->ready < worker->conns_count ? 1 : 0);
        for (int i = 0; i < count; i++) {
            struct conn *conn = events[i].data.ptr;
            if (conn != NULL && conn->state == CONN_CONNECTING &&
                !connect_step(conn, link_advance(&conn->link))) {
                return;
            }
        }
        show(worker);
    }
}

/* -- open loop --------------------------------------------------------------------------------- */

/** Puts a connection that could send into the ring of those. */
static void
offer(struct conn *conn)
{
    struct worker *worker = conn->worker;
    if (!conn->listed && conn_has_room(conn) && plan_ready(conn)) {
        conn->listed = true;
        worker->free[(worker->free_head + worker->free_count++) % worker->conns_count] = conn;
    }
}

static double
distance_ns(struct worker *worker)
{
    const struct options *options = worker->options;
    double mean = SECOND_NS * options->threads / options->rate;
    return options->even ? mean : -mean * log(random_fraction(random_next(&worker->draws.random)));
}

/** Sends what is due, as far as connections are free. */
static void
send_due(struct worker *worker, int64_t now_ns)
{
    /* Those that come back at the end of the ring get their next turn after a look at replies. */
    unsigned turns = worker->free_count;
    while (turns-- > 0 && worker->due_ns <= (double)now_ns) {
        struct conn *conn = worker->free[worker->free_head];
        worker->free_head = (worker->free_head + 1) % worker->conns_count;
        worker->free_count--;
        conn->listed = false;
        if (conn_has_room(conn) && plan_ready(conn)) {
            conn_add(conn, (int64_t)worker->due_ns);
            conn_flush(conn);
            worker->due_ns += distance_ns(worker);
            offer(conn);
        }
    }
}

/** Wakes epoll when the next request is due. */
static void
arm_timer(struct worker *worker)
{
    int64_t due = (int64_t)worker->due_ns;
    struct itimerspec at = { .it_value = { .tv_sec = due / 1000000000,
                                           .tv_nsec = due % 1000000000 } };
    (void)timerfd_settime(worker->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/** Requests that were due until `end_ns` and never sent. */
static uint64_t
count_unsent(const struct worker *worker, int64_t end_ns)
{
    const struct options *options = worker->options;
    double late_ns = (double)end_ns - worker->due_ns;
    return late_ns < 0.0 ? 0
                         : 1 + (uint64_t)(late_ns * options->rate / (SECOND_NS * options->threads));
}

/* -- phases ------------------------------------------------------------------------------------ */

static bool
is_open_loop(const struct worker *worker)
{
    return worker->options->rate > 0.0 && worker->phase == PHASE_RUN;
}

/** More to send on this connection, after its replies or at a phase's beginning. */
static void
go_on(struct conn *conn, int64_t now_ns)
{
    if (is_open_loop(conn->worker)) {
        conn_refill(conn, now_ns);
        offer(conn);
    } else {
        conn_pump(conn, now_ns);
    }
}

static void
handle_event(const struct epoll_event *event)
{
    struct conn *conn = event->data.ptr;
    if (conn == NULL) {
        return; /* the timer */
    }
    if (conn->state == CONN_READY && event->events & EPOLLOUT) {
        conn_resume(conn);
    }
    if (conn->state == CONN_READY && event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        conn_receive(conn);
    }
    go_on(conn, worker_now_ns());
}

/** Waits for events and handles them. */
static void
turn(struct worker *worker)
{
    struct epoll_event events[EVENTS_MAX];
    int wait_ms = WAIT_MS_MAX;
    if (is_open_loop(worker)) {
        int64_t now = worker_now_ns();
        send_due(worker, now);
        if (worker->free_count > 0) {
            wait_ms = worker->due_ns <= (double)now ? 0 : WAIT_MS_MAX;
            if (wait_ms > 0) {
                arm_timer(worker);
            }
        }
    }
    int count = epoll_wait(worker->epoll_fd, events, EVENTS_MAX, wait_ms);
    for (int i = 0; i < count; i++) {
        handle_event(&events[i]);
    }
    show(worker);
}

/** Runs a phase until `end_ns`, or it has nothing more to send, or nobody answers. */
static void
run_phase(struct worker *worker, enum phase phase, int64_t end_ns)
{
    int64_t silence_ns = (int64_t)(worker->options->timeout_s * SECOND_NS);
    worker->phase = phase;
    worker->last_reply_ns = worker_now_ns();
    worker->free_head = worker->free_count = 0;
    for (unsigned i = 0; i < worker->conns_count; i++) {
        worker->conns[i].listed = false;
        go_on(&worker->conns[i], worker_now_ns());
    }
    for (;;) {
        int64_t now = worker_now_ns();
        if (now >= end_ns || is_stopped(worker) || worker->ready == 0 ||
            (worker->in_flight == 0 && plan_finished(worker))) {
            return;
        }
        if (worker->in_flight == 0) {
            worker->last_reply_ns = now;
        } else if (now - worker->last_reply_ns > silence_ns) {
            worker_note_fault(worker, "the server has stopped answering", NO_DETAIL);
            return;
        }
        turn(worker);
    }
}

/** Takes the replies that are still to come; what does not come is a fault. */
static void
drain(struct worker *worker)
{
    run_phase(worker, PHASE_DRAIN,
              worker_now_ns() + (int64_t)(worker->options->timeout_s * SECOND_NS));
    if (worker->in_flight == 0) {
        return;
    }
    worker_note_fault(worker, "requests without an answer", NO_DETAIL);
    for (unsigned i = 0; i < worker->conns_count; i++) {
        if (worker->conns[i].count > 0) {
            conn_close(&worker->conns[i]);
        }
    }
}

static void
fill(struct worker *worker)
{
    const struct options *options = worker->options;
    run_phase(worker, PHASE_FILL, worker_now_ns() + (int64_t)(options->fill_s * SECOND_NS));
    for (unsigned i = 0; i < worker->conns_count; i++) {
        const struct conn *conn = &worker->conns[i];
        if (conn->fill_next < options->keys.count) {
            worker->faults.unfilled +=
                (options->keys.count - conn->fill_next - 1) / options->connections + 1;
        }
    }
    if (worker->faults.unfilled > 0 && !is_stopped(worker)) {
        worker_note_fault(worker, "--fill needs more time: --fill=SECONDS", NO_DETAIL);
    }
    drain(worker);
}

static void
measure(struct worker *worker)
{
    const struct options *options = worker->options;
    worker->draws.sequence = options->keys.count / options->threads * worker->number;
    int64_t start = worker_now_ns();
    worker->due_ns = (double)start;
    worker->due_ns += distance_ns(worker);
    if (options->warm_up_s > 0.0) {
        start += (int64_t)(options->warm_up_s * SECOND_NS);
        run_phase(worker, PHASE_RUN, start);
    }
    memset(&worker->stats, 0, sizeof(worker->stats));
    worker->stats.from_ns = worker->stats.to_ns = worker_now_ns();
    int64_t end = start + (int64_t)(options->seconds * SECOND_NS);
    run_phase(worker, PHASE_RUN, end);
    int64_t now = worker_now_ns();
    if (options->rate > 0.0 && !plan_finished(worker)) {
        worker->stats.unsent = count_unsent(worker, now < end ? now : end);
    }
    drain(worker);
}

void *
worker_run(void *argument)
{
    struct worker *worker = argument;
    struct load *load = worker->load;
    connect_all(worker);
    pthread_barrier_wait(&load->barrier);
    /* relaxed: ordered by the barrier */
    if (!atomic_load_explicit(&load->failed, memory_order_relaxed)) {
        if (worker->options->fill_s > 0.0) {
            fill(worker);
            pthread_barrier_wait(&load->barrier);
        }
        atomic_store_explicit(&worker->shown.running, true, memory_order_relaxed);
        measure(worker);
    }
    uint64_t one = 1;
    if (write(load->ended_fd, &one, sizeof(one)) != (ssize_t)sizeof(one)) {
        /* An eventfd takes 2^64 - 2 of them. */
        abort();
    }
    return NULL;
}

/* -- life -------------------------------------------------------------------------------------- */

/** Bytes of the longest request. */
static size_t
longest_request(const struct options *options)
{
    size_t get = (size_t)options->keys_per_get * (KEY_LEN_MAX + WIRE_REQUEST_EXTRA);
    size_t set = (size_t)options->value_max + KEY_LEN_MAX;
    return (get > set ? get : set) + WIRE_REQUEST_EXTRA;
}

static bool
make_conns(struct worker *worker)
{
    const struct options *options = worker->options;
    unsigned count = options->connections / options->threads +
                     (worker->number < options->connections % options->threads ? 1u : 0u);
    worker->conns = calloc(count, sizeof(worker->conns[0]));
    worker->free = calloc(count, sizeof(struct conn *));
    if (worker->conns == NULL || worker->free == NULL) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        worker->conns_count++;
        if (!conn_init(&worker->conns[i], worker, i * options->threads + worker->number)) {
            return false;
        }
    }
    return true;
}

struct worker *
worker_create(struct load *load, unsigned number)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL) {
        return NULL;
    }
    worker->load = load;
    worker->options = load->options;
    worker->workload = load->workload;
    worker->number = number;
    worker->draws.random = random_mix(load->options->seed + number * 0x9e3779b97f4a7c15u);
    worker->version = (uint16_t)random_mix(worker->draws.random);
    worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    worker->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    worker->in = malloc(WIRE_HEAD_MAX + IN_LEN);
    worker->out = malloc(OUT_LEN + longest_request(load->options));
    /* Edge: an expiry that nobody reads wakes once. */
    struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.ptr = NULL };
    if (worker->epoll_fd < 0 || worker->timer_fd < 0 || worker->in == NULL || worker->out == NULL ||
        !make_conns(worker) ||
        epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->timer_fd, &event) != 0) {
        worker_destroy(worker);
        return NULL;
    }
    return worker;
}

void
worker_destroy(struct worker *worker)
{
    if (worker == NULL) {
        return;
    }
    for (unsigned i = 0; i < worker->conns_count; i++) {
        conn_fini(&worker->conns[i]);
    }
    if (worker->epoll_fd >= 0) {
        close(worker->epoll_fd);
    }
    if (worker->timer_fd >= 0) {
        close(worker->timer_fd);
    }
    free(worker->conns);
    free(worker->free);
    free(worker->in);
    free(worker->out);
    free(worker);
}

const struct load_shown *
worker_shown(const struct worker *worker)
{
    return &worker->shown;
}

const struct load_stats *
worker_stats(const struct worker *worker)
{
    return &worker->stats;
}

const struct load_faults *
worker_faults(const struct worker *worker)
{
    return &worker->faults;
}

const char *
worker_fault_text(const struct worker *worker)
{
    return worker->fault_text;
}

const char *
worker_error_text(const struct worker *worker)
{
    return worker->error_text;
}
