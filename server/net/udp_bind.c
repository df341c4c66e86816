/* The sockets of -U. */
#include "config.h"

#include "base/assert.h"
#include "base/log.h"
#include "net/udp.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Asked for; the system's own bound may be lower.  A reply that does not fit is lost. */
#define SEND_BUFFER_SIZE (4 * 1024 * 1024) /* bytes */

/** What cannot be set is an optimisation that is missing, no reason not to serve. */
static void
set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

/** false: the system has no such thing, or refuses. */
static bool
share_port(int fd)
{
#ifdef SO_REUSEPORT
    int on = 1;
    return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0;
#else
    (void)fd;
    return false;
#endif
}

static int
open_socket(const struct sockaddr *address, uint32_t mark)
{
    int fd = socket(address->sa_family, SOCK_DGRAM, 0);
    if (fd < 0) {
        return -1;
    }
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    set_option(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_SIZE);
    if (address->sa_family == AF_INET6) {
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    if (address_is_any(address)) {
        /* Each datagram tells by which of the machine's addresses it came: the reply's source. */
#ifdef IP_PKTINFO
        if (address->sa_family == AF_INET) {
            set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
        }
#endif
#ifdef IPV6_RECVPKTINFO
        if (address->sa_family == AF_INET6) {
            set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
        }
#endif
    }
#ifdef SO_MARK
    if (mark != 0) {
        set_option(fd, SOL_SOCKET, SO_MARK, (int)mark);
    }
#else
    (void)mark;
#endif
    return fd;
}

static void
address_close(struct udp_address *address)
{
    for (unsigned i = 0; i < address->fds_len; i++) {
        close(address->fds[i]);
    }
    free(address->fds);
    free(address);
}

/** Closes the socket; errno stays. */
static void
drop_socket(int fd)
{
    int saved = errno;
    close(fd);
    errno = saved;
}

/** The sockets of the workers but the first, bound to where that one is. */
static bool
open_others(struct udp_address *address, const struct sockaddr *bound, socklen_t len,
            const struct udp_wish *wish, const char **call)
{
    /* Only now: so the first one has found the port free of others that would share it. */
    bool shares = wish->workers > 1 && share_port(address->fds[0]);
    while (address->fds_len < wish->workers) {
        int fd = -1;
        if (shares) {
            *call = "socket()";
            fd = open_socket(bound, wish->mark);
            if (fd < 0) {
                return false;
            }
            if (!share_port(fd) || bind(fd, bound, len) != 0) {
                drop_socket(fd);
                fd = -1;
                shares = false;
            }
        }
        if (fd < 0) {
            *call = "fcntl()";
            fd = fcntl(address->fds[0], F_DUPFD_CLOEXEC, 0);
            if (fd < 0) {
                return false;
            }
        }
        address->fds[address->fds_len++] = fd;
    }
    return true;
}

/** Adds the sockets of one address.  NULL with errno and the name of the call. */
static struct udp_address *
open_address(struct udp_set *set, const struct sockaddr *asked, socklen_t len,
             const struct udp_wish *wish, const char **call)
{
    *call = "-U";
    errno = ENOSPC;
    if (set->len == UDP_ADDRESSES_MAX) {
        return NULL;
    }
    struct udp_address *address = calloc(1, sizeof(*address));
    if (address == NULL) {
        return NULL;
    }
    address->family = asked->sa_family;
    address->protocol = wish->protocol;
    address->fds = calloc(wish->workers, sizeof(int));
    if (address->fds == NULL) {
        goto fail;
    }
    *call = "socket()";
    int fd = open_socket(asked, wish->mark);
    if (fd < 0) {
        goto fail;
    }
    address->fds[address->fds_len++] = fd;
    *call = "bind()";
    struct sockaddr_storage bound = { 0 };
    socklen_t bound_len = sizeof(bound);
    if (bind(fd, asked, len) != 0 || getsockname(fd, (struct sockaddr *)&bound, &bound_len) != 0 ||
        !open_others(address, (struct sockaddr *)&bound, bound_len, wish, call)) {
        goto fail;
    }
    address->port = address_port((struct sockaddr *)&bound);
    address_format_udp((struct sockaddr *)&bound, bound_len, address->text, sizeof(address->text));
    set->at[set->len++] = address;
    return address;

fail:;
    int saved = errno;
    address_close(address);
    errno = saved;
    return NULL;
}

/** Whether an address of `set`, from number `from` on, is this one: names may resolve to one
 * twice. */
static bool
is_bound(const struct udp_set *set, unsigned from, struct sockaddr *asked, socklen_t len)
{
    char text[ADDRESS_TEXT_CAP];
    for (unsigned i = from; i < set->len; i++) {
        unsigned port = address_port(asked);
        if (port == 0) {
            address_set_port(asked, set->at[i]->port);
        }
        address_format_udp(asked, len, text, sizeof(text));
        address_set_port(asked, port);
        if (strcmp(text, set->at[i]->text) == 0) {
            return true;
        }
    }
    return false;
}

bool
udp_bind(struct udp_set *set, const struct udp_wish *wish, char *error, size_t error_cap)
{
    assert(wish->workers > 0);
    struct addrinfo hints = { .ai_flags = AI_PASSIVE,
                              .ai_family = AF_UNSPEC,
                              .ai_socktype = SOCK_DGRAM };
    struct addrinfo *found = NULL;
    char service[8];
    snprintf(service, sizeof(service), "%u", wish->port);
    int rc = getaddrinfo(wish->host[0] != '\0' ? wish->host : NULL, service, &hints, &found);
    if (rc != 0) {
        snprintf(error, error_cap, "getaddrinfo(): %s",
                 rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
        return false;
    }
    unsigned first = set->len;
    unsigned chosen = 0; /* port 0: what the system chose first, tried for the others */
    bool failed = false;
    snprintf(error, error_cap, "no address that this machine can listen on");
    for (struct addrinfo *ai = found; ai != NULL && !failed; ai = ai->ai_next) {
        if (is_bound(set, first, ai->ai_addr, ai->ai_addrlen)) {
            continue;
        }
        const char *call = "";
        const struct udp_address *address = NULL;
        if (chosen != 0) {
            address_set_port(ai->ai_addr, chosen);
            address = open_address(set, ai->ai_addr, ai->ai_addrlen, wish, &call);
            address_set_port(ai->ai_addr, 0);
        }
        if (address == NULL) {
            address = open_address(set, ai->ai_addr, ai->ai_addrlen, wish, &call);
        }
        if (address == NULL) {
            /* A name of which this machine has not all addresses: enough if one of them works. */
            failed = errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL;
            snprintf(error, error_cap, "%s: %s", call, strerror(errno));
        } else if (wish->port == 0) {
            chosen = address->port;
        }
    }
    freeaddrinfo(found);
    return !failed && set->len > first;
}

void
udp_set_close(struct udp_set *set)
{
    while (set->len > 0) {
        address_close(set->at[--set->len]);
    }
}
