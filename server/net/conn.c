/* One connection: moves bytes between its socket and its session.
 *
 * A turn costs one receive and one send.  It ends with a receive that did not fill its space: the
 * loop is level-triggered and calls again if there is more after all, so that no receive is spent
 * on learning that there is nothing.  While output is stuck the client is not read.
 *
 * Bytes go through the socket itself, or through a TLS stream on it.  A stream holds received bytes
 * of its own, of which the loop knows nothing: a turn that leaves some behind gets another.
 */
#include "config.h"

#include "base/assert.h"
#include "base/log.h"
#include "net/call.h"
#include "net/net_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVES_PER_TURN 8u  /* a turn takes at most so many full buffers */
#define SENDS_PER_TURN    16u /* and fills the socket at most so often */

/* What queued connections hold in input that has been received and not yet run: when many of them
 * wait, each takes less from its socket, so that together they hold about QUEUE_INPUT_MAX, or
 * RECEIVE_MIN each. */
#define QUEUE_INPUT_MAX (256u * 1024) /* bytes */
#define RECEIVE_MIN     512u          /* bytes */

/** How a turn ended. */
enum turn {
    TURN_READ,  /* waits for input */
    TURN_WRITE, /* waits for room in the socket */
    TURN_QUEUE, /* has more to do when others have had their turn */
    TURN_CLOSE,
};

enum sent {
    SENT_ALL,  /* nothing is left */
    SENT_MORE, /* there may be more pieces */
    SENT_PART, /* the socket is full */
    SENT_FAILED,
};

static struct tls_stream *
conn_stream(const struct conn *conn)
{
    assert(conn->tls);
    return &((struct conn_tls *)(uintptr_t)conn)->stream;
}

/** The stream broke, or was refused. */
static void
conn_tls_failed(const struct conn *conn, struct metric *counter)
{
    metric_add(counter, 1);
    conn_log_error(conn, WATCH_CONN_TLS_ERROR, tls_error());
    /* relaxed: a single number */
    if (atomic_load_explicit(&conn->worker->server->settings->verbosity, memory_order_relaxed) >
        0) {
        log_line("<%d TLS: %s", conn->fd, tls_error());
    }
}

/** One record, or as many as the worker's buffer for them holds. */
static enum sent
conn_send_tls(struct conn *conn, const struct iovec *iov, unsigned pieces, size_t total)
{
    struct worker *worker = conn->worker;
    size_t sent = 0;
    switch (tls_send(conn_stream(conn), iov, pieces, worker->tls_buf,
                     worker->server->settings->ssl_wbuf_size, &sent)) {
    case TLS_DONE:
        session_tx_done(conn->session, sent);
        return sent == total && pieces < SESSION_IOV_MAX ? SENT_ALL : SENT_MORE;
    case TLS_WANTS_WRITE:
        return SENT_PART;
    case TLS_WANTS_READ: /* only a new handshake would, and there is none */
    case TLS_ERROR:
        conn_tls_failed(conn, &worker->stats->ssl_proto_errors);
        return SENT_FAILED;
    case TLS_END:
        break;
    }
    return SENT_FAILED;
}

/** A send that has failed; errno tells why. */
__attribute__((noinline, cold)) static enum sent
conn_send_failed(const struct conn *conn)
{
    /* ENOBUFS, ENOMEM: for the moment; the socket says when there is room. */
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM) {
        return SENT_PART;
    }
    conn_log_error(conn, WATCH_CONN_ERROR, strerror(errno));
    return SENT_FAILED;
}

/** Several pieces, or through TLS. */
static enum sent
conn_send_pieces(struct conn *conn, struct iovec *iov, unsigned pieces)
{
    size_t total = 0;
    for (unsigned i = 0; i < pieces; i++) {
        total += iov[i].iov_len;
    }
    if (conn->tls) {
        return conn_send_tls(conn, iov, pieces, total);
    }
    struct msghdr message = { .msg_iov = iov, .msg_iovlen = pieces };
    ssize_t sent;
    do {
        sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return conn_send_failed(conn);
    }
    session_tx_done(conn->session, (size_t)sent);
    if ((size_t)sent < total) {
        return SENT_PART;
    }
    return pieces < SESSION_IOV_MAX ? SENT_ALL : SENT_MORE;
}

/** Sends what there is, if anything. */
static enum sent
conn_send(struct conn *conn)
{
    struct iovec iov[SESSION_IOV_MAX];
    unsigned pieces = session_tx(conn->session, iov, SESSION_IOV_MAX);
    assert(pieces <= SESSION_IOV_MAX);
    if (__builtin_expect(pieces != 1 || conn->tls, 0)) {
        return pieces == 0 ? SENT_ALL : conn_send_pieces(conn, iov, pieces);
    }
    ssize_t sent;
    do {
        sent = call_send(conn->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return conn_send_failed(conn);
    }
    session_tx_done(conn->session, (size_t)sent);
    return (size_t)sent == iov[0].iov_len ? SENT_ALL : SENT_PART;
}

enum received {
    RECEIVED_PART, /* less than there was space for: the socket is drained */
    RECEIVED_FULL,
    RECEIVED_NONE,
    RECEIVED_BLOCKED, /* an answer of TLS must leave first */
    RECEIVED_END,     /* the client has closed */
    RECEIVED_BROKEN,
};

/** How much of the buffer's space to fill from the socket: all, or less when many connections wait
 * with input. */
static size_t
receive_limit(const struct conn *conn, size_t space)
{
    unsigned waiting = conn->worker->queue_len;
    if (waiting < QUEUE_INPUT_MAX / SESSION_RX_SIZE) {
        return space;
    }
    size_t share = QUEUE_INPUT_MAX / waiting;
    share = share > RECEIVE_MIN ? share : RECEIVE_MIN;
    return share < space ? share : space;
}

static enum received
conn_receive_tls(struct conn *conn, const struct iovec *iov, unsigned pieces, size_t total)
{
    struct tls_stream *stream = conn_stream(conn);
    size_t got = 0;
    switch (tls_receive(stream, iov, pieces, &got)) {
    case TLS_DONE:
        session_rx_done(conn->session, got);
        return got == total || tls_holds_input(stream) ? RECEIVED_FULL : RECEIVED_PART;
    case TLS_WANTS_READ:
        return RECEIVED_NONE;
    case TLS_WANTS_WRITE:
        return RECEIVED_BLOCKED;
    case TLS_ERROR:
        conn_tls_failed(conn, &conn->worker->stats->ssl_proto_errors);
        return RECEIVED_BROKEN;
    case TLS_END:
        break;
    }
    return RECEIVED_END;
}

/** Nothing came: recv()'s answer, 0 or less, and errno tell why. */
__attribute__((noinline, cold)) static enum received
conn_received_nothing(const struct conn *conn, ssize_t got)
{
    if (got == 0) {
        return RECEIVED_END;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return RECEIVED_NONE;
    }
    conn_log_error(conn, WATCH_CONN_ERROR, strerror(errno));
    return RECEIVED_BROKEN;
}

/** To several places, or through TLS. */
__attribute__((noinline)) static enum received
conn_receive_pieces(struct conn *conn, struct session_space space)
{
    struct iovec iov[SESSION_RX_PIECES];
    unsigned pieces = 1;
    if (space.at != NULL) {
        iov[0] = (struct iovec){ space.at, space.len };
    } else {
        pieces = session_rx_item(conn->session, receive_limit(conn, SESSION_RX_SIZE), iov);
    }
    size_t total = 0;
    for (unsigned i = 0; i < pieces; i++) {
        total += iov[i].iov_len;
    }
    if (conn->tls) {
        return conn_receive_tls(conn, iov, pieces, total);
    }
    struct msghdr message = { .msg_iov = iov, .msg_iovlen = pieces };
    ssize_t got;
    do {
        got = recvmsg(conn->fd, &message, 0);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        return conn_received_nothing(conn, got);
    }
    session_rx_done(conn->session, (size_t)got);
    return (size_t)got == total ? RECEIVED_FULL : RECEIVED_PART;
}

static enum received
conn_receive(struct conn *conn)
{
    struct session_space space = session_rx_space(conn->session);
    assert(space.len > 0);
    space.len = receive_limit(conn, space.len);
    if (__builtin_expect(conn->tls || space.at == NULL, 0)) {
        return conn_receive_pieces(conn, space);
    }
    ssize_t got;
    do {
        got = call_recv(conn->fd, space.at, space.len);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        return conn_received_nothing(conn, got);
    }
    session_rx_done(conn->session, (size_t)got);
    return (size_t)got == space.len ? RECEIVED_FULL : RECEIVED_PART;
}

/** Whether there is input of which the loop does not tell. */
static bool
conn_holds_input(const struct conn *conn)
{
    return conn->tls && conn_stream(conn)->open && tls_holds_input(conn_stream(conn));
}

/** A step of the handshake; TURN_QUEUE when it is done. */
static enum turn
conn_handshake(struct conn *conn)
{
    struct worker_stats *stats = conn->worker->stats;
    struct tls_stream *stream = conn_stream(conn);
    switch (tls_handshake(stream)) {
    case TLS_DONE:
        metric_add(&stats->ssl_new_sessions, stream->resumed ? 0 : 1);
        return TURN_QUEUE;
    case TLS_WANTS_READ:
        return TURN_READ;
    case TLS_WANTS_WRITE:
        return TURN_WRITE;
    case TLS_END:
    case TLS_ERROR:
        break;
    }
    conn_tls_failed(conn, &stats->ssl_handshake_errors);
    return TURN_CLOSE;
}

/** Why a session that asked for it is closed. */
__attribute__((noinline, cold)) static enum watch_reason
close_reason(const struct conn *conn)
{
    switch (session_end(conn->session)) {
    case SESSION_END_NORMAL:
        return WATCH_REASON_NORMAL;
    case SESSION_END_SHUTDOWN:
        return WATCH_REASON_SHUTDOWN;
    case SESSION_END_ERROR:
        break;
    }
    return WATCH_REASON_ERROR;
}

/** TURN_CLOSE, for another reason than an error. */
__attribute__((noinline, cold)) static enum turn
turn_close(struct conn *conn, enum watch_reason reason)
{
    conn->worker->close_reason = (uint8_t)reason;
    return TURN_CLOSE;
}

/**
 * Does what there is to do, within the bounds of a turn.
 *
 * readable   the socket may hold input
 * pending    there may be output of an earlier turn
 */
static enum turn
conn_turn(struct conn *conn, bool readable, bool pending)
{
    enum session_next next = (enum session_next)conn->next;
    unsigned receives = 0;
    unsigned sends = 0;
    bool ran = false;
    for (;;) {
        while (pending) {
            if (sends++ == SENDS_PER_TURN) {
                conn->next = (uint8_t)next;
                return TURN_QUEUE;
            }
            switch (conn_send(conn)) {
            case SENT_ALL:
                pending = false;
                break;
            case SENT_MORE:
                break;
            case SENT_PART:
                conn->next = (uint8_t)next;
                return TURN_WRITE;
            case SENT_FAILED:
                return TURN_CLOSE;
            }
        }
        switch (next) {
        case SESSION_READ: {
            if (!readable || receives++ == RECEIVES_PER_TURN) {
                conn->next = SESSION_READ;
                return conn_holds_input(conn) ? TURN_QUEUE : TURN_READ;
            }
            enum received received = conn_receive(conn);
            if (received == RECEIVED_END || received == RECEIVED_BROKEN) {
                return turn_close(conn, received == RECEIVED_END ? WATCH_REASON_NORMAL
                                                                 : WATCH_REASON_ERROR);
            }
            if (received == RECEIVED_BLOCKED) {
                conn->next = SESSION_READ;
                return TURN_WRITE;
            }
            readable = received == RECEIVED_FULL;
            if (received == RECEIVED_NONE) {
                continue;
            }
            break;
        }
        case SESSION_AGAIN:
            if (ran) {
                conn->next = SESSION_AGAIN;
                return TURN_QUEUE;
            }
            break;
        case SESSION_SEND:
            break;
        case SESSION_CLOSE:
            return turn_close(conn, close_reason(conn));
        }
        next = session_run(conn->session);
        ran = true;
        pending = true;
    }
}

/** Waits for `what` instead.  false: the kernel has no memory for it. */
static bool
conn_watch(struct conn *conn, enum poll_for what)
{
    return poll_change(&conn->worker->poll, conn->fd, what, &conn->source);
}

/** The one place that sets the phase.  false: the connection cannot go on. */
static bool
conn_enter(struct conn *conn, enum conn_phase phase)
{
    enum conn_phase old = conn_phase_get(conn);
    if (phase == old) {
        return true;
    }
    atomic_store_explicit(&conn->phase, (uint8_t)phase,
                          memory_order_relaxed); /* relaxed: see conn_phase_get() */
    if (phase == CONN_WRITING) {
        return conn_watch(conn, POLL_WRITE);
    }
    return old != CONN_WRITING || conn_watch(conn, POLL_READ);
}

static void
conn_take_turn(struct conn *conn, bool readable, bool pending)
{
    struct worker *worker = conn->worker;
    /* relaxed: a single number */
    atomic_store_explicit(&conn->active_at, server_seconds(worker->server), memory_order_relaxed);
    worker->running = conn;
    worker->close_reason = WATCH_REASON_ERROR;
    enum turn turn = TURN_QUEUE;
    if (__builtin_expect(conn->tls, 0)) {
        if (conn_stream(conn)->open) {
            tls_holders_turn(&worker->tls_holders, conn_stream(conn));
        } else {
            turn = conn_handshake(conn);
            readable = false; /* the loop tells of what comes behind it */
        }
    }
    if (turn == TURN_QUEUE) {
        turn = conn_turn(conn, readable || conn_holds_input(conn), pending);
    }
    worker->running = NULL;
    bool alive = false;
    switch (turn) {
    case TURN_READ:
        alive = conn_enter(conn, CONN_READING);
        break;
    case TURN_WRITE:
        alive = conn_enter(conn, CONN_WRITING);
        break;
    case TURN_QUEUE:
        alive = worker_queue(worker, conn) && conn_enter(conn, CONN_QUEUED);
        break;
    case TURN_CLOSE:
        break;
    }
    if (!alive) {
        conn_close(conn, (enum watch_reason)worker->close_reason);
    }
}

static void
on_ready(struct poll_source *source)
{
    struct conn *conn = (struct conn *)source;
    switch (conn_phase_get(conn)) {
    case CONN_READING:
        conn_take_turn(conn, true, false);
        break;
    case CONN_WRITING:
        conn_take_turn(conn, false, true);
        break;
    case CONN_QUEUED:
        break; /* its turn comes */
    }
}

void
conn_run(struct conn *conn)
{
    assert(conn_phase_get(conn) == CONN_QUEUED);
    /* The interest stayed what it is for reading; the turn decides where to go from here. */
    atomic_store_explicit(&conn->phase, CONN_READING,
                          memory_order_relaxed); /* relaxed: see conn_phase_get() */
    conn_take_turn(conn, false, true);
}

void
conn_wake_watcher(struct conn *conn)
{
    /* Else it takes lines when its output is out, or its turn comes. */
    if (conn_phase_get(conn) == CONN_READING) {
        conn->next = SESSION_SEND;
        conn_take_turn(conn, false, true);
    }
}

void
conn_open(struct worker *worker, int fd, unsigned listener)
{
    struct server *server = worker->server;
    enum tls_mode mode = (enum tls_mode)server->listeners.at[listener]->tls;
    bool tls = mode != TLS_MODE_OFF;
    bool logged = conn_log_wanted(worker);
    struct conn *conn = malloc(conn_log_size(tls, logged));
    struct session *session = NULL;
    if (conn == NULL) {
        goto fail;
    }
    conn->tls = false;
    conn->peer_known = logged;
    if (tls) {
        conn->tls = tls_stream_open(server->tls, mode, fd, &((struct conn_tls *)conn)->stream);
        if (!conn->tls) {
            goto fail;
        }
    }
    session = session_create(worker->session_worker);
    if (session == NULL) {
        goto fail;
    }
    session_speak(session, (enum settings_protocol)server->listeners.at[listener]->protocol);
    conn->session = session;
    conn->worker = worker;
    conn->fd = fd;
    conn->listener = (uint8_t)listener;
    conn->next = SESSION_READ;
    atomic_init(&conn->phase, CONN_READING);
    atomic_init(&conn->active_at, server_seconds(worker->server));
    conn->source.ready = on_ready;
    if (!poll_add(&worker->poll, fd, POLL_READ, &conn->source)) {
        goto fail;
    }
    if (!worker_list(worker, conn)) {
        poll_remove(&worker->poll, fd);
        goto fail;
    }
    /* relaxed: a single number */
    if (atomic_load_explicit(&worker->server->settings->verbosity, memory_order_relaxed) > 1) {
        log_line("<%d new client connection", fd);
    }
    if (logged) {
        conn_log_new(conn);
    }
    return;

fail:
    log_line("out of memory for a connection");
    if (session != NULL) {
        session_destroy(session);
    }
    if (conn != NULL && conn->tls) {
        tls_stream_close(conn_stream(conn));
    }
    free(conn);
    close(fd);
    server_connection_closed(worker->server);
}

/** Strikes it off its worker's lists of those that are woken, where it is on one. */
static void
conn_unwatch(struct worker *worker, const struct conn *conn)
{
    for (unsigned i = 0; i < worker->watchers_len; i++) {
        if (worker->watchers[i] == conn) {
            worker->watchers[i] = worker->watchers[--worker->watchers_len];
            return;
        }
    }
    for (unsigned i = 0; i < worker->waiters_len; i++) {
        if (worker->waiters[i] == conn) {
            worker->waiters[i] = worker->waiters[--worker->waiters_len];
            return;
        }
    }
}

void
conn_close(struct conn *conn, enum watch_reason reason)
{
    struct worker *worker = conn->worker;
    assert(conn_phase_get(conn) != CONN_QUEUED || worker->queue_len == 0);
    int fd = conn->fd;
    /* relaxed: a single number */
    if (atomic_load_explicit(&worker->server->settings->verbosity, memory_order_relaxed) > 1) {
        log_line("<%d connection closed.", fd);
    }
    conn_log_close(conn, reason);
    conn_unwatch(worker, conn);
    worker_unlist(worker, conn);
    poll_remove(&worker->poll, fd);
    session_destroy(conn->session);
    if (conn->tls) {
        tls_holders_leave(&worker->tls_holders, conn_stream(conn));
        tls_stream_close(conn_stream(conn));
    }
    close(fd);
    free(conn);
    server_connection_closed(worker->server);
}
