/* Answers datagrams.
 *
 * A worker receives up to UDP_BATCH of them at once, and answers them in turns: a turn sends at
 * most SENDS_PER_TURN datagrams and runs at most -R commands of one datagram, then connections have
 * theirs.  What is left, of the batch, of a datagram and of a reply, is kept for the next turn, and
 * nothing is received meanwhile: the socket's own queue is the bound.
 */
#include "config.h"

#include "base/assert.h"
#include "base/log.h"
#include "net/net_priv.h"
#include "session/datagram.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define UDP_BATCH      16u  /* datagrams received at once */
#define SENDS_PER_TURN 256u /* datagrams; about 350 KB of replies */

#if !defined(HAVE_RECVMMSG) && !defined(HAVE_SENDMMSG)
struct mmsghdr {
    struct msghdr msg_hdr;
    unsigned msg_len;
};
#endif

/** Where a datagram came to, as the system tells it, and takes it for where a reply comes from. */
union control {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/** Datagrams of one socket. */
struct batch {
    struct mmsghdr messages[UDP_BATCH];
    struct iovec spaces[UDP_BATCH];
    struct sockaddr_storage peers[UDP_BATCH];
    union control controls[UDP_BATCH];
    uint8_t bytes[UDP_BATCH][DATAGRAM_REQUEST_MAX];
};

/** Locking key: the worker's thread. */
struct udp {
    struct worker *worker;
    struct session *session; /* of the datagram that is being answered */
    struct udp_socket *sockets;
    unsigned sockets_len;

    struct udp_socket *socket; /* of the batch; NULL when there is none: not busy */
    unsigned at;               /* the datagram that is being answered, or is next */
    unsigned len;
    bool open;                   /* that one has been begun */
    enum session_next next;      /* of its session's last run */
    struct datagram_reply reply; /* what is being sent */
    struct batch *batch;
    struct datagram_cut cut;
};

/* -- the system's calls ------------------------------------------------------------------------ */

/** Fills the batch; the number of datagrams, 0 when there are none. */
static unsigned
receive(struct udp *udp, int fd)
{
    struct batch *batch = udp->batch;
    for (unsigned i = 0; i < UDP_BATCH; i++) {
        batch->spaces[i] = (struct iovec){ batch->bytes[i], DATAGRAM_REQUEST_MAX };
        batch->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &batch->peers[i],
            .msg_namelen = sizeof(batch->peers[i]),
            .msg_iov = &batch->spaces[i],
            .msg_iovlen = 1,
            .msg_control = batch->controls[i].bytes,
            .msg_controllen = sizeof(batch->controls[i].bytes),
        };
    }
#ifdef HAVE_RECVMMSG
    int received = recvmmsg(fd, batch->messages, UDP_BATCH, MSG_DONTWAIT, NULL);
    return received > 0 ? (unsigned)received : 0; /* of an error the loop tells again */
#else
    unsigned received = 0;
    while (received < UDP_BATCH) {
        ssize_t len = recvmsg(fd, &batch->messages[received].msg_hdr, MSG_DONTWAIT);
        if (len < 0) {
            break;
        }
        batch->messages[received++].msg_len = (unsigned)len;
    }
    return received;
#endif
}

/** Sends the cut datagrams in order; returns how many have gone out. */
static unsigned
send_cut(struct udp *udp)
{
    const struct msghdr *request = &udp->batch->messages[udp->at].msg_hdr;
    struct datagram_cut *cut = &udp->cut;
    struct mmsghdr messages[DATAGRAM_CUTS_MAX];
    for (unsigned i = 0; i < cut->len; i++) {
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = request->msg_name,
            .msg_namelen = request->msg_namelen,
            .msg_iov = &cut->pieces[cut->pieces_at[i]],
            .msg_iovlen = cut->pieces_at[i + 1] - cut->pieces_at[i],
            .msg_control = request->msg_controllen > 0 ? request->msg_control : NULL,
            .msg_controllen = request->msg_controllen,
        };
    }
#ifdef HAVE_SENDMMSG
    int sent = sendmmsg(udp->socket->fd, messages, cut->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent > 0 ? (unsigned)sent : 0;
#else
    unsigned sent = 0;
    while (sent < cut->len &&
           sendmsg(udp->socket->fd, &messages[sent].msg_hdr, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
        sent++;
    }
    return sent;
#endif
}

/** Makes what was received with a datagram fit to be sent with its reply: the source is the address
 * that it came to, but the way back is the routing table's. */
static void
turn_control(struct msghdr *message)
{
    size_t used = 0;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
#ifdef IP_PKTINFO
        if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(at), sizeof(info));
            info.ipi_ifindex = 0;
            memcpy(CMSG_DATA(at), &info, sizeof(info));
            used = CMSG_SPACE(sizeof(info));
        }
#endif
#ifdef IPV6_PKTINFO
        if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(at), sizeof(info));
            if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) {
                info.ipi6_ifindex = 0;
            }
            memcpy(CMSG_DATA(at), &info, sizeof(info));
            used = CMSG_SPACE(sizeof(info));
        }
#endif
    }
    message->msg_controllen = used; /* one of them, and it is the first: no other was asked for */
}

/* -- one datagram ------------------------------------------------------------------------------ */

/** Begins the next datagram's conversation; false when it is none. */
static bool
begin(struct udp *udp)
{
    struct mmsghdr *message = &udp->batch->messages[udp->at];
    session_speak(udp->session, (enum settings_protocol)udp->socket->address->protocol);
    if (!datagram_receive(udp->session, udp->batch->bytes[udp->at], message->msg_len,
                          &udp->reply)) {
        return false;
    }
    turn_control(&message->msg_hdr);
    udp->next = SESSION_AGAIN;
    udp->open = true;
    return true;
}

static void
drop_reply(struct udp *udp)
{
    session_tx_drop(udp->session);
    udp->reply.total = 0;
    metric_add(&udp->worker->stats->udp_replies_lost, 1);
}

/** Sends the reply that is there; false when the turn has no sends left. */
static bool
send_reply(struct udp *udp, unsigned *sends_left)
{
    while (session_tx_pending(udp->session)) {
        if (udp->reply.total == 0 && !datagram_begin(udp->session, &udp->reply)) {
            drop_reply(udp);
            return true;
        }
        if (*sends_left == 0) {
            return false;
        }
        struct iovec list[SESSION_IOV_MAX];
        unsigned list_len = session_tx(udp->session, list, SESSION_IOV_MAX);
        datagram_cut(&udp->cut, &udp->reply, list, list_len, *sends_left);
        assert(udp->cut.len > 0); /* so many pieces hold more than a datagram */
        unsigned sent = send_cut(udp);
        if (sent == 0) {
            /* The system's buffer is full, or the sender has no address that can be reached: the
             * rest would be worth nothing, and is not waited for. */
            drop_reply(udp);
            return true;
        }
        datagram_sent(udp->session, &udp->reply, &udp->cut, sent);
        *sends_left -= sent;
    }
    return true;
}

/** Answers the datagram at `at`, or goes on with it; false when others must have their turn. */
static bool
answer(struct udp *udp, unsigned *sends_left)
{
    if (!udp->open && !begin(udp)) {
        return true;
    }
    unsigned commands = udp->worker->server->settings->reqs_per_event;
    while (send_reply(udp, sends_left)) {
        if (udp->next == SESSION_READ || udp->next == SESSION_CLOSE) {
            session_reset(udp->session);
            udp->open = false;
            return true;
        }
        if (commands == 0) {
            metric_add(&udp->worker->stats->conn_yields, 1);
            return false;
        }
        commands--;
        udp->next = session_run(udp->session);
        if (udp->next == SESSION_READ && session_in_command(udp->session)) {
            session_tx_drop(udp->session); /* refused by its line alone, but it is not whole */
        }
    }
    return false;
}

/* -- turns ------------------------------------------------------------------------------------- */

void
udp_run(struct udp *udp)
{
    struct worker *worker = udp->worker;
    assert(udp->socket != NULL && worker->running == NULL);
    /* relaxed: single values */
    atomic_store_explicit(&udp->socket->active_at, server_seconds(worker->server),
                          memory_order_relaxed);
    atomic_store_explicit(&udp->socket->running, true, memory_order_relaxed);
    unsigned sends_left = SENDS_PER_TURN;
    bool done = true;
    while (done && udp->at < udp->len) {
        done = answer(udp, &sends_left);
        udp->at += done;
    }
    atomic_store_explicit(&udp->socket->running, false, memory_order_relaxed);
    if (done) {
        udp->socket = NULL; /* else the next turn comes with the run queue's */
    }
}

static void
on_datagram(struct poll_source *source)
{
    struct udp_socket *socket = (struct udp_socket *)source;
    struct udp *udp = socket->udp;
    if (udp->socket != NULL) {
        return; /* the loop tells again */
    }
    udp->len = receive(udp, socket->fd);
    udp->at = 0;
    if (udp->len > 0) {
        udp->socket = socket;
        udp_run(udp);
    }
}

bool
udp_is_busy(const struct udp *udp)
{
    return udp != NULL && udp->socket != NULL;
}

int
udp_running_fd(const struct udp *udp)
{
    return udp != NULL && udp->socket != NULL ? udp->socket->fd : -1;
}

const struct udp_socket *
udp_sockets(const struct udp *udp, unsigned *len)
{
    *len = udp != NULL ? udp->sockets_len : 0;
    return udp != NULL ? udp->sockets : NULL;
}

/* -- opening and closing ----------------------------------------------------------------------- */

static bool
open_sockets(struct udp *udp, unsigned number)
{
    struct worker *worker = udp->worker;
    const struct udp_set *set = &worker->server->udp;
    for (unsigned i = 0; i < set->len; i++) {
        struct udp_socket *socket = &udp->sockets[i];
        socket->udp = udp;
        socket->address = set->at[i];
        socket->fd = set->at[i]->fds[number];
        socket->source.ready = on_datagram;
        if (!poll_add(&worker->poll, socket->fd, POLL_READ, &socket->source)) {
            return false;
        }
        udp->sockets_len++;
    }
    return true;
}

bool
udp_open(struct worker *worker, struct udp **out)
{
    struct server *server = worker->server;
    *out = NULL;
    if (server->udp.len == 0) {
        return true;
    }
    struct udp *udp = calloc(1, sizeof(*udp));
    if (udp == NULL) {
        return false;
    }
    *out = udp;
    udp->worker = worker;
    udp->session = session_create_datagram(worker->session_worker);
    udp->batch = malloc(sizeof(*udp->batch));
    udp->sockets = calloc(server->udp.len, sizeof(*udp->sockets));
    return udp->session != NULL && udp->batch != NULL && udp->sockets != NULL &&
           open_sockets(udp, (unsigned)(worker - server->workers));
}

void
udp_close(struct udp *udp)
{
    if (udp == NULL) {
        return;
    }
    for (unsigned i = 0; i < udp->sockets_len; i++) {
        poll_remove(&udp->worker->poll, udp->sockets[i].fd);
    }
    if (udp->session != NULL) {
        session_destroy(udp->session);
    }
    free(udp->sockets);
    free(udp->batch);
    free(udp);
}
