/* One socket to the server, plain or TLS.  Nothing here blocks but the look-up of the name. */
#ifndef LARDER_BENCH_LOAD_LINK_H
#define LARDER_BENCH_LOAD_LINK_H

#include "bench/load/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct ssl_ctx_st;
struct ssl_st;

#define LINK_ERROR_CAP 256u /* bytes of a text with what went wrong, NUL included */

/** Where links go.  Constant once made; any thread. */
struct link_target {
    struct sockaddr_storage address;
    socklen_t address_len;
    struct ssl_ctx_st *tls; /* NULL: plain */
};

struct link {
    int fd;
    struct ssl_st *tls; /* NULL: plain */
};

enum link_step {
    LINK_DONE,
    LINK_WANT_READ,  /* again when the socket is readable */
    LINK_WANT_WRITE, /* again when it is writable */
    LINK_CLOSED,     /* ended, or failed: link_error() */
};

/** Looks the address up and loads the certificates.  False with `error` set, LINK_ERROR_CAP bytes.
 */
bool link_target_init(struct link_target *target, const struct options *options, char *error);
void link_target_fini(struct link_target *target);

/** Begins to connect; link_advance() goes on until it answers LINK_DONE. */
enum link_step link_open(struct link *link, const struct link_target *target);
enum link_step link_advance(struct link *link);
void link_close(struct link *link);
/** Why link_open() or link_advance() failed. */
void link_error(const struct link *link, char *error);

/** At least one byte, on LINK_DONE. */
enum link_step link_read(struct link *link, uint8_t *bytes, size_t cap, size_t *len);
enum link_step link_write(struct link *link, const uint8_t *bytes, size_t len, size_t *written);

#endif
