/* One socket to the server. */
#include "config.h"

#include "bench/load/link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#ifdef HAVE_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

/* -- where to ---------------------------------------------------------------------------------- */

static bool
use_path(struct link_target *target, const char *path, char *error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(address.sun_path)) {
        snprintf(error, LINK_ERROR_CAP, "-s: a path of %zu bytes is right at most",
                 sizeof(address.sun_path) - 1);
        return false;
    }
    memcpy(address.sun_path, path, strlen(path));
    memcpy(&target->address, &address, sizeof(address));
    target->address_len = sizeof(address);
    return true;
}

static bool
use_name(struct link_target *target, const char *text, char *error)
{
    const char *colon = strrchr(text, ':');
    size_t host_len = colon == NULL ? 0 : (size_t)(colon - text);
    char host[256];
    if (host_len == 0 || host_len >= sizeof(host) || colon[1] == '\0') {
        snprintf(error, LINK_ERROR_CAP,
                 "-s: HOST:PORT, [V6]:PORT or a path with a / is right, not \"%.100s\"", text);
        return false;
    }
    bool brackets = text[0] == '[' && text[host_len - 1] == ']';
    memcpy(host, text + brackets, host_len - 2u * brackets);
    host[host_len - 2u * brackets] = '\0';
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    int code = getaddrinfo(host, colon + 1, &hints, &found);
    if (code != 0) {
        snprintf(error, LINK_ERROR_CAP, "-s %.100s: %s", text, gai_strerror(code));
        return false;
    }
    memcpy(&target->address, found->ai_addr, found->ai_addrlen);
    target->address_len = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

#ifdef HAVE_TLS
static bool
load_certificates(struct link_target *target, const struct options *options, char *error)
{
    const char *bad = NULL;
    target->tls = SSL_CTX_new(TLS_client_method());
    if (target->tls == NULL) {
        bad = "OpenSSL";
    } else if (options->tls_ca != NULL &&
               SSL_CTX_load_verify_locations(target->tls, options->tls_ca, NULL) != 1) {
        bad = options->tls_ca;
    } else if (options->tls_cert != NULL &&
               (SSL_CTX_use_certificate_chain_file(target->tls, options->tls_cert) != 1 ||
                SSL_CTX_use_PrivateKey_file(target->tls, options->tls_cert, SSL_FILETYPE_PEM) !=
                    1)) {
        bad = options->tls_cert;
    }
    if (bad != NULL) {
        snprintf(error, LINK_ERROR_CAP, "--tls: cannot use %.100s: %s", bad,
                 ERR_reason_error_string(ERR_peek_error()));
        return false;
    }
    SSL_CTX_set_verify(target->tls, options->tls_ca != NULL ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                       NULL);
    /* What is left of a write may go on from another buffer, and idle buffers are given back. */
    SSL_CTX_set_mode(target->tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
    return true;
}
#endif

bool
link_target_init(struct link_target *target, const struct options *options, char *error)
{
    *target = (struct link_target){ .tls = NULL };
    bool good = strchr(options->address, '/') != NULL ? use_path(target, options->address, error)
                                                      : use_name(target, options->address, error);
#ifdef HAVE_TLS
    if (good && options->tls && !load_certificates(target, options, error)) {
        link_target_fini(target);
        return false;
    }
#endif
    return good;
}

void
link_target_fini(struct link_target *target)
{
#ifdef HAVE_TLS
    SSL_CTX_free(target->tls);
    target->tls = NULL;
#else
    (void)target;
#endif
}

/* -- TLS --------------------------------------------------------------------------------------- */

#ifdef HAVE_TLS
static enum link_step
tls_step(struct link *link, int code)
{
    if (code > 0) {
        return LINK_DONE;
    }
    switch (SSL_get_error(link->tls, code)) {
    case SSL_ERROR_WANT_READ:
        return LINK_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return LINK_WANT_WRITE;
    default: /* of OpenSSL's codes, the others end the stream */
        return LINK_CLOSED;
    }
}
#endif

/* -- one link ---------------------------------------------------------------------------------- */

enum link_step
link_open(struct link *link, const struct link_target *target)
{
    int on = 1;
    *link = (struct link){ .fd = -1 };
    link->fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd < 0) {
        return LINK_CLOSED;
    }
    if (target->address.ss_family != AF_UNIX) {
        (void)setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
#ifdef HAVE_TLS
    if (target->tls != NULL) {
        ERR_clear_error();
        link->tls = SSL_new(target->tls);
        if (link->tls == NULL || SSL_set_fd(link->tls, link->fd) != 1) {
            return LINK_CLOSED;
        }
        SSL_set_connect_state(link->tls);
    }
#endif
    if (connect(link->fd, (const struct sockaddr *)&target->address, target->address_len) != 0) {
        return errno == EINPROGRESS ? LINK_WANT_WRITE : LINK_CLOSED;
    }
    return link_advance(link);
}

enum link_step
link_advance(struct link *link)
{
    int code = 0;
    socklen_t len = sizeof(code);
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &code, &len) != 0) {
        return LINK_CLOSED;
    }
    if (code != 0) {
        errno = code;
        return LINK_CLOSED;
    }
#ifdef HAVE_TLS
    if (link->tls != NULL) {
        errno = 0;
        ERR_clear_error();
        return tls_step(link, SSL_do_handshake(link->tls));
    }
#endif
    return LINK_DONE;
}

void
link_error(const struct link *link, char *error)
{
    const char *why = errno != 0 ? strerror(errno) : "the server closed the connection";
#ifdef HAVE_TLS
    unsigned long code = ERR_peek_error();
    if (link->tls != NULL && code != 0 && ERR_reason_error_string(code) != NULL) {
        why = ERR_reason_error_string(code);
    }
#endif
    (void)link;
    snprintf(error, LINK_ERROR_CAP, "%s", why);
}

void
link_close(struct link *link)
{
#ifdef HAVE_TLS
    SSL_free(link->tls);
    link->tls = NULL;
#endif
    if (link->fd >= 0) {
        close(link->fd);
    }
    link->fd = -1;
}

enum link_step
link_read(struct link *link, uint8_t *bytes, size_t cap, size_t *len)
{
#ifdef HAVE_TLS
    if (link->tls != NULL) {
        ERR_clear_error();
        return tls_step(link, SSL_read_ex(link->tls, bytes, cap, len));
    }
#endif
    ssize_t got = recv(link->fd, bytes, cap, 0);
    if (got > 0) {
        *len = (size_t)got;
        return LINK_DONE;
    }
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? LINK_WANT_READ : LINK_CLOSED;
}

enum link_step
link_write(struct link *link, const uint8_t *bytes, size_t len, size_t *written)
{
#ifdef HAVE_TLS
    if (link->tls != NULL) {
        ERR_clear_error();
        return tls_step(link, SSL_write_ex(link->tls, bytes, len, written));
    }
#endif
    ssize_t put = send(link->fd, bytes, len, MSG_NOSIGNAL);
    if (put >= 0) {
        *written = (size_t)put;
        return LINK_DONE;
    }
    return errno == EAGAIN || errno == EINTR ? LINK_WANT_WRITE : LINK_CLOSED;
}
