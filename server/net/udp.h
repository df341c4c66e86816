/* UDP (-U): sockets, and the datagrams that a worker answers.
 *
 * Each address has a socket per worker, all with the same port (SO_REUSEPORT): the kernel gives
 * every datagram to one of them, chosen by the client's address and port.  So each is answered
 * once, what one client sends is run in the order in which it comes, and no worker is woken for
 * another's datagram.  Where sockets cannot share a port, the workers share one socket.
 *
 * A datagram is a conversation of its own: a session that is made new for each, and runs one
 * command at a time.  A reply leaves as one set of datagrams, at once, or not at all: whoever is
 * slow, absent or forged costs nothing but the sends.
 */
#ifndef LARDER_NET_UDP_H
#define LARDER_NET_UDP_H

#include "net/address.h"
#include "net/poll.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UDP_ADDRESSES_MAX 128u /* a name may give two or more */

struct worker;
struct udp;

/** One address, and its sockets.  Constant while workers run. */
struct udp_address {
    int family; /* AF_INET, AF_INET6 */
    unsigned port;
    int *fds;                    /* one for each worker */
    unsigned fds_len;            /* as many are open */
    uint8_t protocol;            /* enum settings_protocol: what its conversations speak */
    char text[ADDRESS_TEXT_CAP]; /* udp:127.0.0.1:11211 */
};

struct udp_set {
    struct udp_address *at[UDP_ADDRESSES_MAX];
    unsigned len;
};

/** What -U asks for. */
struct udp_wish {
    const char *host; /* empty for any address, v4 and v6 */
    unsigned port;    /* 0 for one that the system chooses; the same for v4 and v6 if possible */
    unsigned workers;
    uint8_t protocol; /* enum settings_protocol */
    uint32_t mark;    /* SO_MARK of the sockets, 0 for none */
};

/**
 * Binds the sockets of all addresses that a name resolves to.  A port that another process has is
 * refused, also when that would share it.
 *
 * Returns false with the call that failed, and why, in `error`.
 */
__attribute__((warn_unused_result)) bool udp_bind(struct udp_set *set, const struct udp_wish *wish,
                                                  char *error, size_t error_cap);
/** Adds a socket that is bound already, which the workers then share; wish->host and wish->port do
 * not count.  Takes `fd`, also when it fails: false with errno. */
__attribute__((warn_unused_result)) bool udp_adopt(struct udp_set *set, int fd,
                                                   const struct udp_wish *wish);
void udp_set_close(struct udp_set *set);

/** A worker's socket of one address. */
struct udp_socket {
    struct poll_source source;
    struct udp *udp;
    const struct udp_address *address;
    int fd;
    _Atomic uint32_t active_at; /* server_seconds() of the last datagram; relaxed */
    _Atomic bool running;       /* a datagram of it is being answered; relaxed */
};
_Static_assert(offsetof(struct udp_socket, source) == 0, "a source's socket is where it is");

/** What a worker does about UDP: *out, or NULL there when the server has no UDP.  Before the
 * worker's thread starts.  false: out of memory. */
__attribute__((warn_unused_result)) bool udp_open(struct worker *worker, struct udp **out);
/** After the worker's thread has ended; NULL is none. */
void udp_close(struct udp *udp);
/** Whether datagrams have been received and not yet answered: then udp_run() is to be called. */
bool udp_is_busy(const struct udp *udp);
/** A turn of theirs.  The worker's thread. */
void udp_run(struct udp *udp);
/** The socket whose datagram is being answered; -1 for none. */
int udp_running_fd(const struct udp *udp);
/** The sockets, constant. */
const struct udp_socket *udp_sockets(const struct udp *udp, unsigned *len);

#endif
