/* Sockets that someone else has opened and bound for this server. */
#include "config.h"

#include "base/assert.h"
#include "net/net_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/** What a socket is. */
struct socket_kind {
    int family; /* AF_INET ... */
    int type;   /* SOCK_STREAM ... */
    int listens;
};

/** false: errno tells why, ENOTSOCK among others. */
static bool
look_at(int fd, struct socket_kind *kind)
{
    struct sockaddr_storage bound = { 0 };
    socklen_t bound_len = sizeof(bound);
    socklen_t type_len = sizeof(kind->type);
    socklen_t listens_len = sizeof(kind->listens);
    kind->listens = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind->type, &type_len) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &bound_len) != 0) {
        return false;
    }
    kind->family = bound.ss_family;
    /* Datagram sockets may not know it. */
    (void)getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &kind->listens, &listens_len);
    return true;
}

/** As our own sockets are; false with errno. */
static bool
set_flags(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
           fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

/** Why the server cannot have it; NULL if it can. */
static const char *
refuse(const struct settings *settings, const struct socket_kind *kind)
{
    bool internet = kind->family == AF_INET || kind->family == AF_INET6;
    if (!internet && kind->family != AF_UNIX) {
        return "neither an internet socket nor a unix socket";
    }
    if (kind->type == SOCK_STREAM) {
        return kind->listens != 0 ? NULL
                                  : "a stream socket that does not listen: one that does is right"
                                    " (of a socket unit with Accept=no)";
    }
    if (kind->type != SOCK_DGRAM || !internet) {
        return "a listening stream socket, or a datagram socket of UDP, is right";
    }
    if (settings->auth_file != NULL || settings->sasl_enabled) {
        return "a datagram socket, on which nobody can log in (-Y, -S)";
    }
    return NULL;
}

enum server_result
server_adopt(struct server *server, int fd, char *error)
{
    assert(server->workers == NULL);
    const struct settings *settings = server->settings;
    struct socket_kind kind;
    if (!look_at(fd, &kind) || !set_flags(fd)) {
        snprintf(error, SERVER_ERROR_CAP, "%s", strerror(errno));
        return SERVER_CANNOT_LISTEN;
    }
    const char *why = refuse(settings, &kind);
    if (why != NULL) {
        snprintf(error, SERVER_ERROR_CAP, "%s", why);
        return SERVER_CANNOT_LISTEN;
    }
    if (kind.type == SOCK_DGRAM) {
        struct udp_wish wish = { .host = "",
                                 .workers = settings->threads,
                                 .protocol = (uint8_t)settings->protocol,
                                 .mark = settings->sock_cookie_id };
        if (!udp_adopt(&server->udp, fd, &wish)) {
            goto fail;
        }
        return SERVER_OK;
    }
    struct listener *listener =
        listener_adopt(&server->listeners, fd, kind.family, settings->sock_cookie_id);
    if (listener == NULL) {
        goto fail;
    }
    listener->protocol = (uint8_t)settings->protocol;
    bool tls = server->tls != NULL && kind.family != AF_UNIX;
    listener->tls = tls ? TLS_MODE_DEFAULT : TLS_MODE_OFF;
    return SERVER_OK;

fail:
    snprintf(error, SERVER_ERROR_CAP, "%s", strerror(errno));
    return SERVER_NO_RESOURCES;
}
