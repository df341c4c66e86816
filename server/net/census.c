/* `stats conns`: lists the connections of all workers, the listeners, and the sockets of UDP.
 *
 * Asked for on one worker about the connections of all.  Nothing is kept for it on the hot path:
 * addresses are asked from the kernel, and the worker's list is locked in slices, while no
 * connection of it can be closed.
 */
#include "config.h"

#include "net/net_priv.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define CENSUS_SLICE     64u /* connections asked about under one hold of the worker's lock */
#define CENSUS_CAP_FIRST 64u /* lines */

struct census_line {
    int fd;
    const struct listener *listener;
    bool is_listener; /* or a socket of UDP: `listener` is NULL then */
    const char *state;
    uint32_t idle_s;
    char address[ADDRESS_TEXT_CAP];
};

struct census {
    struct census_line *lines;
    size_t len;
    size_t cap;
    bool cut; /* no memory for more: the list is a shorter one */
};

/** A new line; NULL without memory. */
static struct census_line *
census_add(struct census *census)
{
    if (census->len == census->cap) {
        size_t grown = census->cap == 0 ? CENSUS_CAP_FIRST : census->cap * 2;
        struct census_line *at = realloc(census->lines, grown * sizeof(*at));
        if (at == NULL) {
            census->cut = true;
            return NULL;
        }
        census->lines = at;
        census->cap = grown;
    }
    struct census_line *line = &census->lines[census->len++];
    *line = (struct census_line){ .fd = -1 };
    return line;
}

/** The caller holds the worker's lock. */
static const char *
conn_state(const struct conn *conn, const struct conn *asking)
{
    if (conn == asking) {
        return "conn_parse_cmd";
    }
    switch (conn_phase_get(conn)) {
    case CONN_WRITING:
        return "conn_mwrite";
    case CONN_QUEUED:
    case CONN_READING:
        break;
    }
    return session_state_name(conn->session);
}

static void
census_worker(struct census *census, struct worker *worker, const struct conn *asking)
{
    const struct server *server = worker->server;
    unsigned at = 0;
    bool more = true;
    while (more) {
        lock_acquire(&worker->lock);
        for (unsigned i = 0; i < CENSUS_SLICE && at < worker->conns_len; i++, at++) {
            const struct conn *conn = worker->conns[at];
            struct census_line *line = census_add(census);
            if (line == NULL) {
                break;
            }
            struct sockaddr_storage peer = { 0 };
            socklen_t peer_len = sizeof(peer);
            line->fd = conn->fd;
            line->listener = server->listeners.at[conn->listener];
            line->state = conn_state(conn, asking);
            /* relaxed: a single number */
            line->idle_s = server_seconds(server) -
                           atomic_load_explicit(&conn->active_at, memory_order_relaxed);
            if (getpeername(line->fd, (struct sockaddr *)&peer, &peer_len) == 0) {
                address_format((struct sockaddr *)&peer, peer_len, line->listener->host,
                               line->address, sizeof(line->address));
            } else {
                snprintf(line->address, sizeof(line->address), "gone");
            }
        }
        more = at < worker->conns_len && !census->cut;
        lock_release(&worker->lock);
    }
}

/** The worker's sockets are there as long as its thread. */
static void
census_udp(struct census *census, const struct worker *worker)
{
    unsigned sockets_len;
    const struct udp_socket *sockets = udp_sockets(worker->udp, &sockets_len);
    for (unsigned i = 0; i < sockets_len; i++) {
        struct census_line *line = census_add(census);
        if (line == NULL) {
            return;
        }
        /* relaxed: single values */
        bool running = atomic_load_explicit(&sockets[i].running, memory_order_relaxed);
        line->fd = sockets[i].fd;
        line->is_listener = true;
        line->state = running ? "conn_parse_cmd" : "conn_read";
        line->idle_s = server_seconds(worker->server) -
                       atomic_load_explicit(&sockets[i].active_at, memory_order_relaxed);
        memcpy(line->address, sockets[i].address->text, sizeof(line->address));
    }
}

static int
compare_lines(const void *left, const void *right)
{
    int a = ((const struct census_line *)left)->fd;
    int b = ((const struct census_line *)right)->fd;
    return (a > b) - (a < b);
}

static void
emit_line(const struct census_line *line, stat_emit_fn *emit, void *emit_arg)
{
    char name[48];
    char number[16];
    if (line->is_listener && line->listener == NULL) {
        snprintf(name, sizeof(name), "%d:UDP", line->fd);
        emit(emit_arg, name, "UDP");
    }
    snprintf(name, sizeof(name), "%d:addr", line->fd);
    emit(emit_arg, name, line->address);
    if (!line->is_listener) {
        snprintf(name, sizeof(name), "%d:listen_addr", line->fd);
        emit(emit_arg, name, line->listener->text);
    }
    snprintf(name, sizeof(name), "%d:state", line->fd);
    emit(emit_arg, name, line->state);
    snprintf(name, sizeof(name), "%d:secs_since_last_cmd", line->fd);
    snprintf(number, sizeof(number), "%u", (unsigned)line->idle_s);
    emit(emit_arg, name, number);
}

void
census_emit(void *arg, stat_emit_fn *emit, void *emit_arg)
{
    struct worker *self = arg;
    struct server *server = self->server;
    struct census census = { 0 };
    for (unsigned i = 0; i < server->listeners.len; i++) {
        struct census_line *line = census_add(&census);
        if (line != NULL) {
            line->fd = server->listeners.at[i]->fd;
            line->is_listener = true;
            line->listener = server->listeners.at[i];
            line->state = "conn_listening";
            line->idle_s = server_seconds(server);
            memcpy(line->address, line->listener->text, sizeof(line->address));
        }
    }
    for (unsigned i = 0; i < server->workers_len; i++) {
        census_udp(&census, &server->workers[i]);
        census_worker(&census, &server->workers[i], self->running);
    }
    if (census.len > 0) {
        qsort(census.lines, census.len, sizeof(*census.lines), compare_lines);
    }
    for (size_t i = 0; i < census.len; i++) {
        emit_line(&census.lines[i], emit, emit_arg);
    }
    free(census.lines);
}
