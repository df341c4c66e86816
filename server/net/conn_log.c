/* connevents of `watch`.
 *
 * A connection that opens while somebody watches connections remembers who its client is, behind
 * its struct: a socket that was reset does not tell any more.  Others are asked for when they
 * close.
 */
#include "config.h"

#include "base/assert.h"
#include "net/net_priv.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static bool
is_watched(const struct server *server)
{
    /* relaxed: a switch; when exactly it is seen does not matter */
    return server->stats->watch != NULL &&
           (atomic_load_explicit(watch_classes(server->stats->watch), memory_order_relaxed) &
            WATCH_CONNEVENTS) != 0;
}

bool
conn_log_wanted(const struct worker *worker)
{
    return is_watched(worker->server);
}

static size_t
peer_offset(bool tls)
{
    return tls ? sizeof(struct conn_tls) : sizeof(struct conn);
}

size_t
conn_log_size(bool tls, bool wanted)
{
    return peer_offset(tls) + (wanted ? sizeof(struct conn_peer) : 0);
}

static void
ask_peer(int fd, struct conn_peer *peer)
{
    struct sockaddr_storage address = { 0 };
    socklen_t len = sizeof(address);
    *peer = (struct conn_peer){ .address = "unknown", .transport = WATCH_TCP };
    if (getpeername(fd, (struct sockaddr *)&address, &len) != 0) {
        return;
    }
    if (address.ss_family == AF_UNIX) {
        *peer = (struct conn_peer){ .address = "unix", .transport = WATCH_LOCAL };
    } else if (address.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&address;
        (void)inet_ntop(AF_INET, &in->sin_addr, peer->address, sizeof(peer->address));
        peer->port = ntohs(in->sin_port);
    } else if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)&address;
        (void)inet_ntop(AF_INET6, &in->sin6_addr, peer->address, sizeof(peer->address));
        peer->port = ntohs(in->sin6_port);
    }
}

static void
note(const struct conn *conn, struct watch_event *event, const char *text)
{
    size_t len = strlen(text);
    event->text_len = (uint8_t)(len < WATCH_TEXT_MAX ? len : WATCH_TEXT_MAX);
    event->fd = conn->fd;
    watch_note(session_worker_watch_source(conn->worker->session_worker), event, text);
}

static void
note_peer(const struct conn *conn, enum watch_type type, enum watch_reason reason,
          const struct conn_peer *peer)
{
    struct watch_event event = { .type = (uint8_t)type,
                                 .status = (uint8_t)reason,
                                 .conn = { .port = peer->port, .transport = peer->transport } };
    note(conn, &event, peer->address);
}

void
conn_log_new(struct conn *conn)
{
    assert(conn->peer_known);
    struct conn_peer *peer = (struct conn_peer *)(void *)((char *)conn + peer_offset(conn->tls));
    ask_peer(conn->fd, peer);
    note_peer(conn, WATCH_CONN_NEW, WATCH_REASON_NORMAL, peer);
}

void
conn_log_close(const struct conn *conn, enum watch_reason reason)
{
    if (!is_watched(conn->worker->server)) {
        return;
    }
    struct conn_peer peer;
    if (conn->peer_known) {
        memcpy(&peer, (const char *)conn + peer_offset(conn->tls), sizeof(peer));
    } else {
        ask_peer(conn->fd, &peer);
    }
    note_peer(conn, WATCH_CONN_CLOSE, reason, &peer);
}

void
conn_log_error(const struct conn *conn, enum watch_type type, const char *text)
{
    if (is_watched(conn->worker->server)) {
        struct watch_event event = { .type = (uint8_t)type };
        note(conn, &event, text);
    }
}

void
server_log_error(struct server *server, int fd, const char *text)
{
    if (is_watched(server)) {
        size_t len = strlen(text);
        struct watch_event event = { .type = WATCH_CONN_ERROR,
                                     .text_len =
                                         (uint8_t)(len < WATCH_TEXT_MAX ? len : WATCH_TEXT_MAX),
                                     .fd = fd };
        watch_note_shared(server->stats->watch, &event, text);
    }
}
