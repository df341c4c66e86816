/* Socket addresses as text, and the addresses of the command line (-l) taken apart. */
#ifndef LARDER_NET_ADDRESS_H
#define LARDER_NET_ADDRESS_H

#include "net/tls.h"
#include "session/session.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define ADDRESS_TEXT_CAP 160u /* bytes, NUL included; a unix path is the longest */

/**
 * Writes "tcp:1.2.3.4:5", "tcp6:[::1]:5" or "unix:/path", NUL-terminated.
 *
 * fallback   what stands for a unix socket without a name (every client's); borrowed
 */
void address_format(const struct sockaddr *address, socklen_t len, const char *fallback, char *buf,
                    size_t cap);

/** The same of a datagram socket: "udp:1.2.3.4:5" or "udp6:[::1]:5". */
void address_format_udp(const struct sockaddr *address, socklen_t len, char *buf, size_t cap);

/** Of an IPv4 or IPv6 address, in the machine's byte order; 0 of others. */
unsigned address_port(const struct sockaddr *address);
void address_set_port(struct sockaddr *address, unsigned port);
/** Whether it stands for all addresses of the machine. */
bool address_is_any(const struct sockaddr *address);

#define LISTEN_HOST_CAP 256u /* bytes, NUL included */
#define LISTEN_TAG_MAX  8u   /* bytes */

/** One element of -l: [notls:|btls:|mtls:|proto[...]:|tag[...]:]... host[:port] */
struct listen_spec {
    char host[LISTEN_HOST_CAP]; /* empty for any address */
    int port;                   /* -1 when not given; 0 is ephemeral */
    enum settings_protocol protocol;
    bool protocol_given;
    enum tls_mode tls;            /* TLS_MODE_DEFAULT when not given: plain without -Z */
    char tag[LISTEN_TAG_MAX + 1]; /* empty for none */
};

enum listen_spec_result {
    LISTEN_SPEC_OK,
    LISTEN_SPEC_BAD,       /* a text that makes no address; `error` says why */
    LISTEN_SPEC_NOT_BUILT, /* what it asks for is not in this build; `error` says what */
};

/**
 * Takes one element of -l apart.
 *
 * error, error_cap   out, a line for the operator when the result is not LISTEN_SPEC_OK
 */
__attribute__((warn_unused_result)) enum listen_spec_result
listen_spec_parse(const char *text, enum settings_protocol protocol_default,
                  struct listen_spec *out, char *error, size_t error_cap);

#endif
