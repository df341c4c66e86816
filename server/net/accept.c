/* Accepting, as far as it is the whole server's: which worker gets a connection, and when there is no
 * room for more. */
#include "config.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/net_priv.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

uint64_t
server_udp_places(const struct server *server)
{
    return (uint64_t)server->udp.len * server->settings->threads;
}

bool
server_has_room(const struct server *server)
{
    return metric_get(&server->stats->curr_connections) <
           server->settings->conns_max + server_udp_places(server);
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

void
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
    if (server_verbosity(server) > 0) {
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
