/* What the files of net/ share: the server, its workers, their connections.
 *
 * Threads: the main thread accepts, keeps time and gets the signals; a worker runs the connections
 * dealt to it; one thread does the cache's background work, one comes with a snapshot and goes with
 * it.  The main thread's loop is libevent's, a worker's net/poll.h.  Every loop is one thread's:
 * threads reach each other through a mailbox under a lock, and a descriptor that wakes the loop.
 */
#ifndef LARDER_NET_NET_PRIV_H
#define LARDER_NET_NET_PRIV_H

#include "base/lock.h"
#include "net/listener.h"
#include "net/napi.h"
#include "net/poll.h"
#include "net/server.h"
#include "net/tls.h"
#include "net/udp.h"
#include "net/wake.h"
#include "session/session.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Where a connection stands, seen from the loop.
 *
 *     phase     waits for                     may go to
 *     READING   input (level-triggered)       QUEUED, WRITING
 *     QUEUED    its next turn                 READING, WRITING
 *     WRITING   room in the socket's buffer   READING, QUEUED
 */
enum conn_phase {
    CONN_READING,
    CONN_QUEUED,
    CONN_WRITING,
};

struct worker;

/**
 * One client.  Small: most of them are idle.
 *
 * Locking key: the worker's thread, but for (r) written by it and read by any that holds
 * worker->lock, relaxed.
 */
struct conn {
    struct poll_source source; /* read interest, registered once; write interest while output is
                                  stuck */
    struct session *session;
    struct worker *worker;
    int fd;                     /* (r) constant */
    uint32_t index;             /* in worker->conns */
    _Atomic uint32_t active_at; /* (r) server_seconds() of the last turn */
    _Atomic uint8_t phase;      /* (r) enum conn_phase */
    uint8_t listener;           /* number of the socket it came in by; constant */
    uint8_t next;        /* enum session_next of the last run: what to do once its output is out */
    bool tls : 1;        /* constant; the connection is a struct conn_tls */
    bool peer_known : 1; /* constant; a struct conn_peer stands behind the struct: conn_log.c */
};
_Static_assert(offsetof(struct conn, source) == 0, "a source's connection is where it is");
_Static_assert(sizeof(struct conn) <= 48, "an idle connection is small");
_Static_assert(LISTENERS_MAX <= 256, "conn.listener holds a listener's number");

/** A client that speaks TLS.  Apart, as plain connections do not pay for it. */
struct conn_tls {
    struct conn conn;
    struct tls_stream stream;
};

/** Who a client is: told to those who watch connections, also when the socket knows it no more. */
struct conn_peer {
    char address[48]; /* without port; "unix" for a unix socket */
    uint16_t port;
    uint8_t transport; /* enum watch_transport */
};

/** A socket on its way to its worker. */
struct arrival {
    int fd;
    uint8_t listener;
};

#define WORKER_WAITERS_MAX 256u /* connections of a worker that wait, see waiters */

enum worker_order {
    WORKER_STOP = 1,   /* close all connections and end */
    WORKER_FINISH = 2, /* run what has been received, send what is to be sent, and end */
    WORKER_SWEEP = 4,  /* look for connections that were idle too long */
    WORKER_WATCH = 8,  /* run the watchers: there are lines of the log for them */
    WORKER_HOOK = 16,  /* run who waits for a transaction, a snapshot or the sweep: some wait is over */
};

/** Locking key: the worker's thread, but for (l) worker->lock; conns and conns_len are written by
 * the thread under the lock, so that the thread reads them without it. */
struct worker {
    struct server *server;
    struct lock lock;
    struct wake wake;
    struct arrival *arrivals; /* (l) */
    unsigned arrivals_len;    /* (l) */
    unsigned arrivals_cap;    /* (l) */
    unsigned orders;          /* (l) bits of enum worker_order */

    struct conn **conns; /* (l) */
    unsigned conns_len;  /* (l) */
    unsigned conns_cap;

    pthread_t thread;
    bool thread_open;
    struct poll poll;
    struct poll_source wake_source;
    bool woken; /* there may be arrivals or orders */
    struct session_host host;
    struct session_worker *session_worker;
    struct worker_stats *stats;

    void *tls_buf; /* settings.ssl_wbuf_size bytes, in which a record's pieces are joined; NULL
                      without -Z */
    char tls_error[TLS_ERROR_CAP]; /* the answer to refresh_certs */
    struct tls_holders tls_holders;

    struct udp *udp; /* NULL without -U */

    struct conn *running;                /* has its turn right now */
    struct conn *watchers[WATCHERS_MAX]; /* connections that watch the log */
    unsigned watchers_len;
    struct conn *waiters[WORKER_WAITERS_MAX]; /* connections in `hook wait` or `larder snapshot`;
                                                 some may be out of it, or were refused */
    unsigned waiters_len;
    uint8_t close_reason; /* enum watch_reason of the turn that ends with a close */
    struct conn **queue;  /* connections in phase QUEUED, in order */
    unsigned queue_len;
    unsigned queue_cap;
    bool stopping;
    bool finishing;
    bool sweeping;
    unsigned sweep_at; /* conns[0 .. sweep_at - 1] are still to be looked at */
};

enum server_stop {
    SERVER_RUNS,
    SERVER_STOPS,    /* at once */
    SERVER_FINISHES, /* gracefully */
};

#define SERVER_SIGNALS 4u

/** Locking key: the main thread's, but for (a) atomic and what is constant while workers run. */
struct server {
    struct settings *settings;
    struct cache *cache;
    struct server_stats *stats;
    struct tls *tls;             /* NULL without -Z; it locks itself */
    struct server_logins logins; /* all NULL without -Y and -S; constant */
    struct listener_set listeners;
    struct udp_set udp;
    struct metrics_server *metrics; /* NULL without -o metrics */
    const struct metrics_source *metrics_source;
    struct worker *workers;
    unsigned workers_len;
    unsigned worker_next;
    struct napi_table napi;         /* -N */
    server_thread_fn *worker_begin; /* NULL for none */
    server_event_fn *told;          /* NULL for none; constant */
    void *told_arg;

    struct event_base *base;
    struct wake wake;
    bool wake_open;
    struct event wake_event;
    struct event tick_event;
    struct event signal_events[SERVER_SIGNALS];
    bool signals_set;
    int64_t started_unix_s;
    uint64_t started_us;    /* monotonic */
    _Atomic uint32_t now_s; /* (a) seconds since the start; relaxed */
    _Atomic uint8_t
        stop; /* (a) enum server_stop; never goes down; relaxed: wake_post() orders it */
    _Atomic uint8_t paused; /* (a) 1 or 0, see server_pause_accepting() */
    uint64_t paused_us;     /* monotonic time of the pause */

    pthread_t maintainer;
    bool maintainer_open;
    struct wake maintainer_wake;
    bool maintainer_wake_open;
    _Atomic bool maintainer_stop; /* (a) relaxed: maintainer_wake orders it */

    pthread_t log_thread;
    bool log_thread_open;
    struct wake log_wake;
    bool log_wake_open;
    _Atomic bool log_stop; /* (a) relaxed: log_wake orders it */

    pthread_t snapshot_thread; /* of the last snapshot */
    bool snapshot_thread_open;
};

/* -- server.c: any thread ---------------------------------------------------------------------- */

static inline int
server_verbosity(const struct server *server)
{
    return atomic_load_explicit(&server->settings->verbosity,
                                memory_order_relaxed); /* relaxed: one number */
}
static inline void
server_tell(const struct server *server, enum server_event event)
{
    if (server->told != NULL) {
        server->told(server->told_arg, event);
    }
}
/** Seconds since the start, as of the last tick. */
static inline uint32_t
server_seconds(const struct server *server)
{
    return atomic_load_explicit(&server->now_s,
                                memory_order_relaxed); /* relaxed: a single number */
}

/* -- accept.c: the main thread ----------------------------------------------------------------- */

bool server_has_room(const struct server *server);
/** Sockets of UDP count as connections, as memcached counts them, but take no client's place. */
uint64_t server_udp_places(const struct server *server);
/** Gives an accepted socket to the next worker. */
void server_take(struct server *server, int fd, unsigned listener);
/** Tells the client that there is no room, and closes. */
void server_reject(struct server *server, int fd, unsigned listener);
/** Stops listening until a connection closes, or a second has passed.  error: of accept(), 0 when
 * -c is reached. */
void server_pause_accepting(struct server *server, int error);
/** Goes on, if it was paused. */
void server_resume_accepting(struct server *server);
/** One connection is gone: counts it, and accepting goes on if it was paused.  Any thread. */
void server_connection_closed(struct server *server);

/* -- server_sockets.c: the main thread --------------------------------------------------------- */

/** Binds the sockets of the settings.  error: SERVER_ERROR_CAP bytes. */
__attribute__((warn_unused_result)) enum server_result server_bind(struct server *server,
                                                                   char *error);
/** From here on clients can connect. */
__attribute__((warn_unused_result)) enum server_result server_listen(struct server *server,
                                                                     char *error);

/* -- main_loop.c: the main thread -------------------------------------------------------------- */

/** false: no memory or descriptors. */
__attribute__((warn_unused_result)) bool main_loop_open(struct server *server, bool signals);
void main_loop_close(struct server *server);
/** Time since the start, from the clock that never jumps; sets what others read. */
void main_loop_read_clock(struct server *server);

/* -- maintainer.c: the main thread ------------------------------------------------------------- */

/** Starts the thread of the cache's background work. */
__attribute__((warn_unused_result)) bool maintainer_start(struct server *server);
void maintainer_join(struct server *server);

/* -- worker.c ---------------------------------------------------------------------------------- */

/** false: out of descriptors or memory; errno tells. */
__attribute__((warn_unused_result)) bool worker_open(struct worker *worker, struct server *server);
/** Its thread; false with errno. */
__attribute__((warn_unused_result)) bool worker_start(struct worker *worker);
/** Waits for the thread's end (after an order to stop). */
void worker_join(struct worker *worker);
/** After worker_join(). */
void worker_close(struct worker *worker);
/** Any thread. */
void worker_give(struct worker *worker, int fd, unsigned listener);
void worker_order(struct worker *worker, enum worker_order order);
/** Puts a connection at the end of the run queue.  false: out of memory.  The worker's thread. */
__attribute__((warn_unused_result)) bool worker_queue(struct worker *worker, struct conn *conn);
/** Lists a new connection, or strikes it off.  The worker's thread. */
__attribute__((warn_unused_result)) bool worker_list(struct worker *worker, struct conn *conn);
void worker_unlist(struct worker *worker, struct conn *conn);

/* -- conn.c: the worker's thread --------------------------------------------------------------- */

/** Takes the socket over, also when it fails (out of memory: it is closed). */
void conn_open(struct worker *worker, int fd, unsigned listener);
void conn_close(struct conn *conn, enum watch_reason reason);
/** There are lines of the log for this watcher; it may be gone afterwards. */
void conn_wake_watcher(struct conn *conn);
/** Gives a connection from the run queue its turn; it may be gone afterwards. */
void conn_run(struct conn *conn);

static inline enum conn_phase
conn_phase_get(const struct conn *conn)
{
    /* relaxed: a single byte, ordered with nothing */
    return (enum conn_phase)atomic_load_explicit(&conn->phase, memory_order_relaxed);
}

/* -- conn_log.c: what watchers of connections are told ------------------------------------------
 */

/** Whether a connection that opens now is to be told of. */
bool conn_log_wanted(const struct worker *worker);
/** Bytes to allocate for a connection: its struct, and who the client is if that is wanted. */
size_t conn_log_size(bool tls, bool wanted);
/** A connection is open, its `peer_known` set as wanted. */
void conn_log_new(struct conn *conn);
void conn_log_close(const struct conn *conn, enum watch_reason reason);
/** Its socket or its TLS stream broke; `text` tells why. */
__attribute__((cold)) void conn_log_error(const struct conn *conn, enum watch_type type,
                                          const char *text);
/** accept() failed on a listener.  The main thread. */
void server_log_error(struct server *server, int fd, const char *text);

/* -- log_thread.c ------------------------------------------------------------------------------ */

/** Starts the thread that gives the log out to its watchers; none without a watch in the
 * statistics. */
__attribute__((warn_unused_result)) bool log_thread_start(struct server *server);
void log_thread_join(struct server *server);

/* -- snapshot_thread.c: the main thread -------------------------------------------------------- */

/** From here on snapshots can be asked for. */
void snapshot_thread_serve(struct server *server);
/** No more: the one that is being written ends soon. */
void snapshot_thread_refuse(struct server *server);
/** Starts the thread, if a snapshot has been asked for. */
void snapshot_thread_start_if_asked(struct server *server);
/** Refuses, and waits for the thread's end. */
void snapshot_thread_join(struct server *server);

/* -- census.c ---------------------------------------------------------------------------------- */

/** `stats conns`; session_host.stats_conns of a worker (arg). */
void census_emit(void *arg, stat_emit_fn *emit, void *emit_arg);

#endif
