#include "config.h"

#include "net/listener.h"

#include "base/assert.h"
#include "base/log.h"
#include "net/net_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/** A socket that is closed on exec and does not block; -1 with errno. */
static int
open_socket(int family)
{
#if defined(SOCK_NONBLOCK) && defined(SOCK_CLOEXEC)
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
#else
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd >= 0) {
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return fd;
#endif
}

static void
set_flag(int fd, int level, int name)
{
    int on = 1;
    /* What cannot be set is an optimisation that is missing, no reason not to serve. */
    (void)setsockopt(fd, level, name, &on, sizeof(on));
}

/** Accepted sockets inherit these: no call per connection. */
static void
set_tcp_options(int fd, int family, uint32_t mark)
{
    set_flag(fd, SOL_SOCKET, SO_REUSEADDR);
    set_flag(fd, SOL_SOCKET, SO_KEEPALIVE);
    set_flag(fd, IPPROTO_TCP, TCP_NODELAY);
    if (family == AF_INET6) {
        set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    }
#ifdef SO_MARK
    if (mark != 0 && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) != 0) {
        log_line("-o sock_cookie_id=%u: cannot mark the socket: %s", (unsigned)mark,
                 strerror(errno));
    }
#else
    (void)mark;
#endif
}

/** Adds a listening socket to the set, with its address as the system tells it.  Takes `fd`, also
 * when it fails. */
static struct listener *
listener_create(struct listener_set *set, int fd, int family, const char *host)
{
    if (set->len >= LISTENERS_MAX) {
        close(fd);
        errno = ENOSPC;
        return NULL;
    }
    struct listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL) {
        close(fd);
        errno = ENOMEM;
        return NULL;
    }
    struct sockaddr_storage bound = { 0 };
    socklen_t bound_len = sizeof(bound);
    (void)getsockname(fd, (struct sockaddr *)&bound, &bound_len);
    listener->fd = fd;
    listener->family = family;
    listener->port = address_port((struct sockaddr *)&bound);
    listener->number = (uint16_t)set->len;
    snprintf(listener->host, sizeof(listener->host), "%s", host);
    address_format((struct sockaddr *)&bound, bound_len, "", listener->text,
                   sizeof(listener->text));
    set->at[set->len++] = listener;
    return listener;
}

/** Whether a socket of `set`, from number `from` on, has this address already: names may resolve to
 * one twice. */
static bool
is_bound(const struct listener_set *set, unsigned from, struct sockaddr *address, socklen_t len)
{
    char text[ADDRESS_TEXT_CAP];
    for (unsigned i = from; i < set->len; i++) {
        unsigned asked_port = address_port(address);
        if (asked_port == 0) {
            address_set_port(address, set->at[i]->port);
        }
        address_format(address, len, "", text, sizeof(text));
        address_set_port(address, asked_port);
        if (strcmp(text, set->at[i]->text) == 0) {
            return true;
        }
    }
    return false;
}

/** A bound socket; -1 with errno and the name of the call. */
static int
bind_tcp(struct sockaddr *address, socklen_t len, uint32_t mark, const char **call)
{
    *call = "socket()";
    int fd = open_socket(address->sa_family);
    if (fd < 0) {
        return -1;
    }
    set_tcp_options(fd, address->sa_family, mark);
    *call = "bind()";
    if (bind(fd, address, len) == 0) {
        return fd;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

enum listen_result
listener_open_tcp(struct listener_set *set, const char *host, unsigned port, uint32_t mark,
                  char *error, size_t error_cap)
{
    struct addrinfo hints = { .ai_flags = AI_PASSIVE,
                              .ai_family = AF_UNSPEC,
                              .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    int rc = getaddrinfo(host[0] != '\0' ? host : NULL, service, &hints, &found);
    if (rc != 0) {
        snprintf(error, error_cap, "getaddrinfo(): %s",
                 rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
        return LISTEN_FAILED;
    }
    unsigned first = set->len;
    unsigned chosen =
        0; /* port 0: what the system chose for the first address, tried for the others */
    enum listen_result result = LISTEN_OK;
    char soft_error[128] = "no address that this machine can listen on";
    for (struct addrinfo *ai = found; ai != NULL; ai = ai->ai_next) {
        if (is_bound(set, first, ai->ai_addr, ai->ai_addrlen)) {
            continue;
        }
        const char *call = "";
        int fd = -1;
        if (port == 0 && chosen != 0) {
            address_set_port(ai->ai_addr, chosen);
            fd = bind_tcp(ai->ai_addr, ai->ai_addrlen, mark, &call);
            address_set_port(ai->ai_addr, 0);
        }
        if (fd < 0) {
            fd = bind_tcp(ai->ai_addr, ai->ai_addrlen, mark, &call);
        }
        if (fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
            /* A name of which this machine has not all addresses: enough if one of them works. */
            snprintf(soft_error, sizeof(soft_error), "%s: %s", call, strerror(errno));
            continue;
        }
        const struct listener *listener =
            fd >= 0 ? listener_create(set, fd, ai->ai_family, host) : NULL;
        if (listener == NULL) {
            snprintf(error, error_cap, "%s: %s", call, strerror(errno));
            result = LISTEN_FAILED;
            break;
        }
        chosen = listener->port;
    }
    freeaddrinfo(found);
    if (result == LISTEN_OK && set->len == first) {
        snprintf(error, error_cap, "%s", soft_error);
        result = LISTEN_FAILED;
    }
    return result;
}

enum listen_result
listener_open_unix(struct listener_set *set, const char *path, unsigned mask, char *error,
                   size_t error_cap)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(address.sun_path)) {
        snprintf(error, error_cap, "the path is longer than %zu bytes",
                 sizeof(address.sun_path) - 1);
        errno = ENAMETOOLONG;
        return LISTEN_FAILED;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    struct stat before;
    if (lstat(path, &before) == 0 && S_ISSOCK(before.st_mode)) {
        (void)unlink(path);
    }
    int fd = open_socket(AF_UNIX);
    if (fd < 0) {
        snprintf(error, error_cap, "socket(): %s", strerror(errno));
        return LISTEN_FAILED;
    }
    /* The mask by chmod(), as the process's umask is not ours alone.  Before listen() nobody can
     * connect. */
    int rc = bind(fd, (struct sockaddr *)&address, sizeof(address));
    const char *call = rc == 0 ? "chmod()" : "bind()";
    if (rc != 0 || chmod(path, (mode_t)(mask & 0777u)) != 0) {
        int saved = errno;
        snprintf(error, error_cap, "%s: %s", call, strerror(saved));
        if (rc == 0) {
            (void)unlink(path);
        }
        close(fd);
        errno = saved;
        return LISTEN_FAILED;
    }
    struct listener *listener = listener_create(set, fd, AF_UNIX, path);
    if (listener == NULL) {
        snprintf(error, error_cap, "%s", strerror(errno));
        (void)unlink(path);
        return LISTEN_FAILED;
    }
    struct stat after;
    if (lstat(path, &after) == 0) {
        listener->unix_bound = true;
        listener->unix_dev = after.st_dev;
        listener->unix_inode = after.st_ino;
    }
    return LISTEN_OK;
}

struct listener *
listener_adopt(struct listener_set *set, int fd, int family, uint32_t mark)
{
    if (family != AF_UNIX) {
        set_tcp_options(fd, family, mark); /* those of addresses alone come too late, and fail */
    }
    struct listener *listener = listener_create(set, fd, family, "");
    if (listener != NULL) {
        listener->adopted = true;
        if (family == AF_UNIX) { /* named by its path, which is not ours to remove */
            snprintf(listener->host, sizeof(listener->host), "%s",
                     listener->text + sizeof("unix:") - 1);
        }
    }
    return listener;
}

static int
accept_socket(int fd)
{
#ifdef HAVE_ACCEPT4
    return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
    int client = accept(fd, NULL, NULL);
    if (client >= 0) {
        (void)fcntl(client, F_SETFL, O_NONBLOCK);
        (void)fcntl(client, F_SETFD, FD_CLOEXEC);
    }
    return client;
#endif
}

enum accept_step {
    ACCEPT_ON,
    ACCEPT_DONE,   /* nobody waits */
    ACCEPT_PAUSED, /* no room: the server stopped its listeners */
};

/** What an error of accept() asks for. */
static enum accept_step
accept_failed(struct server *server, int fd, int error)
{
    if (error == EAGAIN || error == EWOULDBLOCK) {
        return ACCEPT_DONE;
    }
    if (error == EINTR || error == ECONNABORTED || error == EPROTO) {
        return ACCEPT_ON; /* that client is gone; bounded by ACCEPTS_PER_EVENT */
    }
    /* EMFILE, ENFILE, ENOMEM ...: the client stays in the backlog and the socket stays readable, so
     * trying again at once would spin. */
    server_log_error(server, fd, strerror(error));
    server_pause_accepting(server, error);
    return ACCEPT_PAUSED;
}

static enum accept_step
accept_one(struct listener *listener)
{
    struct server *server = listener->server;
    bool room = server_has_room(server);
    if (!room && !server->settings->maxconns_fast) {
        server_pause_accepting(server, 0);
        return ACCEPT_PAUSED;
    }
    int fd = accept_socket(listener->fd);
    if (fd < 0) {
        return accept_failed(server, listener->fd, errno);
    }
    if (room) {
        server_take(server, fd, listener->number);
    } else {
        server_reject(server, fd, listener->number);
    }
    return ACCEPT_ON;
}

static void
on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct listener *listener = arg;
    for (unsigned i = 0; i < ACCEPTS_PER_EVENT; i++) {
        if (accept_one(listener) != ACCEPT_ON) {
            return;
        }
    }
}

bool
listener_arm(struct listener *listener, struct server *server, struct event_base *base, int backlog)
{
    listener->server = server;
    if (!listener->adopted && listen(listener->fd, backlog) != 0) {
        return false;
    }
    errno = ENOMEM;
    if (event_assign(&listener->event, base, listener->fd, EV_READ | EV_PERSIST, on_acceptable,
                     listener) != 0 ||
        event_add(&listener->event, NULL) != 0) {
        return false;
    }
    listener->armed = true;
    return true;
}

void
listener_pause(struct listener *listener)
{
    if (listener->armed) {
        (void)event_del(&listener->event);
        listener->armed = false;
    }
}

void
listener_resume(struct listener *listener)
{
    if (!listener->armed) {
        listener->armed = event_add(&listener->event, NULL) == 0;
    }
}

void
listener_set_close(struct listener_set *set)
{
    for (unsigned i = 0; i < set->len; i++) {
        struct listener *listener = set->at[i];
        listener_pause(listener);
        struct stat now;
        if (listener->unix_bound && lstat(listener->host, &now) == 0 &&
            now.st_dev == listener->unix_dev && now.st_ino == listener->unix_inode) {
            (void)unlink(listener->host);
        }
        close(listener->fd);
        free(listener);
        set->at[i] = NULL;
    }
    set->len = 0;
}
