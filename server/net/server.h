/* Serves a cache over TCP, UDP and unix sockets. */
#ifndef LARDER_NET_SERVER_H
#define LARDER_NET_SERVER_H

#include "net/tls.h"
#include "session/session.h"

#include <stdbool.h>
#include <stdint.h>

struct server;

enum server_result {
    SERVER_OK,
    SERVER_CANNOT_LISTEN, /* an address of the settings */
    SERVER_NO_RESOURCES,  /* memory, descriptors, threads */
};

#define SERVER_ERROR_CAP 512u /* bytes of a text with what went wrong, NUL included */

/**
 * Binds the sockets that the settings name; nobody can connect yet, no thread is started.
 *
 * settings   borrowed until server_destroy()
 * tls        NULL without -Z; set to NULL: the server's, also when it fails
 * out        the caller's to destroy, on SERVER_OK
 * error      out, SERVER_ERROR_CAP bytes; lines for the operator
 */
__attribute__((warn_unused_result)) enum server_result
server_create(struct settings *settings, struct tls **tls, struct server **out, char *error);

/** Who may log in; borrowed until server_destroy(). */
struct server_logins {
    struct credentials *credentials; /* -Y: text sessions; NULL for none */
    struct sasl_service *sasl;       /* -S: binary sessions; NULL for none */
    /** SIGHUP: loads the files of users again, and logs how that went.  The main thread. */
    void (*load_again)(void *arg);
    void *arg;
};

/** Serves only clients that have logged in.  Between server_create() and server_start(). */
void server_ask_for_login(struct server *server, const struct server_logins *logins);

/**
 * Serves on a socket that is bound already, and listens if it is a stream socket.  Between
 * server_create() and server_start().  It speaks as the sockets of -p and -U do.
 *
 * fd      the server's; also when it fails, and then closed or not
 * error   out, SERVER_ERROR_CAP bytes; a line for the operator
 */
__attribute__((warn_unused_result)) enum server_result server_adopt(struct server *server, int fd,
                                                                    char *error);

/** What a server tells of its life, on the main thread. */
enum server_event {
    SERVER_EVENT_TICK,      /* once a second: the main loop runs */
    SERVER_EVENT_RELOADING, /* SIGHUP */
    SERVER_EVENT_RELOADED,
    SERVER_EVENT_STOPPING, /* accepts no more, and is about to close its connections */
};

/** Before server_start(). */
typedef void server_event_fn(void *arg, enum server_event event);
void server_on_event(struct server *server, server_event_fn *told, void *arg);

/** Before server_start(): what each worker's thread calls first, for filters of system calls and
 * the like. */
typedef void server_thread_fn(void);
void server_on_worker(struct server *server, server_thread_fn *begin);
/** Before server_start(): what -o metrics answers with; without it nobody is answered.  Borrowed
 * until server_destroy(). */
struct metrics_source;
void server_on_metrics(struct server *server, const struct metrics_source *source);

/**
 * Starts the workers, the clock and the cache's background work; fills in stats->workers.  Then
 * listens.
 *
 * cache, stats   borrowed until server_destroy()
 * signals        whether SIGTERM, SIGINT (stop), SIGUSR1 (graceful stop) and SIGHUP are this
 * server's: for at most one server of a process.  They may be blocked until then: they are let
 * through
 */
__attribute__((warn_unused_result)) enum server_result server_start(struct server *server,
                                                                    struct cache *cache,
                                                                    struct server_stats *stats,
                                                                    bool signals, char *error);

/** Serves on the calling thread until a stop is asked for; connections are closed when it returns.
 * Whether the stop was a graceful one. */
bool server_run(struct server *server);

/** Makes server_run() return: at once, or when the workers have finished what they have received.
 * Any thread. */
void server_stop(struct server *server, bool graceful);

/**
 * Loads the certificates of -Z again, for connections from now on.
 *
 * error   TLS_ERROR_CAP bytes of the caller's
 * Returns NULL, or why not: `error`, or a constant.  Any thread, after server_start(); it reads files.
 */
const char *server_refresh_certs(struct server *server, char *error);

/** Ports of the sockets: calls `visit` for each TCP socket, then for each address of UDP.
 * transport: "TCP", "UDP".  After server_create(). */
typedef void server_port_fn(void *arg, const char *transport, int family, unsigned port);
void server_ports(const struct server *server, server_port_fn *visit, void *arg);

/** After server_run(), or in place of server_start() or server_run(). */
void server_destroy(struct server *server);

#endif
