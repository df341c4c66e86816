/*
 * -o metrics: answers GET /metrics over HTTP, on a thread of its own, so that no scrape, however
 * slow or frequent, holds a worker or the main loop up.
 *
 * evhttp speaks the protocol.  It bounds neither how many connections there are nor how long one
 * lives; this does.
 */
#ifndef LARDER_NET_METRICS_SERVER_H
#define LARDER_NET_METRICS_SERVER_H

#include "net/address.h"
#include "session/session.h"

#include <stdbool.h>
#include <stddef.h>

#define METRICS_ERROR_CAP 512u /* bytes of an error text, NUL included */
#define METRICS_CONNS_MAX 16u  /* connections at once; others wait in the backlog */
#define METRICS_CONN_S    6u   /* seconds that one may live */
#define METRICS_IDLE_S    3    /* seconds without a byte either way */

/** Where it listens. */
struct metrics_address {
    char path[LISTEN_HOST_CAP]; /* of a unix socket; empty for TCP */
    char host[LISTEN_HOST_CAP]; /* empty for any address */
    unsigned port;
};

/** Takes PORT (of 127.0.0.1), HOST:PORT, [ADDRESS]:PORT or a /PATH.  false: `error` says what is
 * wrong. */
__attribute__((warn_unused_result)) bool
metrics_address_parse(const char *text, struct metrics_address *out, char *error, size_t error_cap);

/** What it answers with. */
struct metrics_source {
    /** The page as of now, in the heap; NULL without memory.  Called by its thread. */
    char *(*page)(struct server_stats *stats, size_t *len);
    const char *content_type;
    /** What its thread calls first, for filters of system calls; NULL for nothing. */
    void (*begin)(void);
};

struct metrics_server;

/** Binds its sockets, and answers nobody yet.  NULL: `error` says why. */
__attribute__((warn_unused_result)) struct metrics_server *
metrics_server_open(const char *address, unsigned unix_mask, char *error, size_t error_cap);
/**
 * Starts its thread, with all signals blocked as the caller's are.
 *
 * source          borrowed for the call; its text for the thread's life
 * stats           borrowed until metrics_server_stop()
 *
 * false: errno tells why.
 */
__attribute__((warn_unused_result)) bool metrics_server_start(struct metrics_server *metrics,
                                                              const struct metrics_source *source,
                                                              struct server_stats *stats);
/** Ends the thread; what is half sent stays so.  The sockets stay until metrics_server_close(). */
void metrics_server_stop(struct metrics_server *metrics);
/** NULL is nothing to close. */
void metrics_server_close(struct metrics_server *metrics);

#endif
