/* The sockets that a server listens on. */
#ifndef LARDER_NET_LISTENER_H
#define LARDER_NET_LISTENER_H

#include "net/address.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LISTENERS_MAX     128u /* sockets; an address may give two or more */
#define ACCEPTS_PER_EVENT 64u  /* connections taken from one socket in a row */

struct server;

/** Locking key: the main thread's, constant while workers run. */
struct listener {
    struct event event;
    struct server *server;
    int fd;
    uint16_t number;  /* in the server's table */
    int family;       /* AF_INET ... */
    unsigned port;    /* 0 for unix sockets */
    bool armed;       /* the event is pending */
    uint8_t tls;      /* enum tls_mode; never TLS_MODE_DEFAULT without -Z */
    uint8_t protocol; /* enum settings_protocol */
    bool adopted;     /* it listens already */
    bool unix_bound;  /* the file `host` was made by us, as this inode */
    dev_t unix_dev;
    ino_t unix_inode;
    char host[LISTEN_HOST_CAP];  /* as asked for */
    char text[ADDRESS_TEXT_CAP]; /* tcp:127.0.0.1:11211 */
};

/** A table that grows while the command line is worked through. */
struct listener_set {
    struct listener *at[LISTENERS_MAX];
    unsigned len;
};

enum listen_result {
    LISTEN_OK,
    LISTEN_FAILED, /* `error` says which call and why */
};

/**
 * Opens the sockets of one address: all that its name resolves to.  Bound, and not yet listening.
 *
 * host    empty for any address, v4 and v6
 * port    0 for one that the system chooses; the same for v4 and v6 where that is possible
 * mark    SO_MARK of the sockets, 0 for none
 */
__attribute__((warn_unused_result)) enum listen_result
listener_open_tcp(struct listener_set *set, const char *host, unsigned port, uint32_t mark,
                  char *error, size_t error_cap);
/**
 * A socket file left behind by an earlier process is replaced; any other file is not.
 *
 * mask    access bits of the file, such as 0700
 */
__attribute__((warn_unused_result)) enum listen_result
listener_open_unix(struct listener_set *set, const char *path, unsigned mask, char *error,
                   size_t error_cap);

/**
 * Adds a socket that listens already.  Takes `fd`, also when it fails.
 *
 * mark    SO_MARK of the socket, 0 for none
 *
 * Returns NULL with errno for no memory, or for more than LISTENERS_MAX.
 */
__attribute__((warn_unused_result)) struct listener *
listener_adopt(struct listener_set *set, int fd, int family, uint32_t mark);

/** Listens: clients can connect, and the loop accepts them.  false: errno tells why. */
__attribute__((warn_unused_result)) bool listener_arm(struct listener *listener,
                                                      struct server *server,
                                                      struct event_base *base, int backlog);
/** Stops and goes on accepting; the socket stays open. */
void listener_pause(struct listener *listener);
void listener_resume(struct listener *listener);

/** Closes all; removes the socket file if it is still ours. */
void listener_set_close(struct listener_set *set);

#endif
