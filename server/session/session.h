/* One client's conversation, without a descriptor: bytes in, bytes out.
 *
 * The caller (net/, a test, a host of the library) owns the descriptor and moves the bytes:
 *
 *     struct session_space space = session_rx_space(session);
 *     if (space.at != NULL)
 *         n = recv(fd, space.at, space.len);
 *     else                                        straight into the item of a long value
 *         n = recvmsg(fd, iov, session_rx_item(session, max, iov));
 *     session_rx_done(session, n);                n > 0
 *     loop:
 *         enum session_next next = session_run(session);
 *         n_iov = session_tx(session, iov, max);  all replies that are ready
 *         n = sendmsg(fd, iov, n_iov);
 *         session_tx_done(session, n);            lets go of what was sent
 *         ... again while session_tx_pending(): replies can have more pieces than one list
 *         act on `next`
 *
 * Bytes are received after SESSION_READ alone, and each session_rx_done() is followed by
 * session_run().
 *
 * Buffers belong to the session_worker, which all sessions of one thread share: a session that
 * waits for input and has no half command and no unsent reply owns no memory besides its struct.
 * When another session of the same worker takes them, what is left in them moves to buffers of the
 * session's own: session_pause().
 *
 * A client that does not read its replies holds at most: SESSION_TX_SIZE of copied output,
 * SESSION_RX_SIZE of input, and either pinned values of 1 MiB and one value more, or one long reply
 * of stats.
 *
 * A session of datagrams (UDP) lives for one of them, and is then made new by session_reset(). Each
 * session_run() of it runs one command at most, so that what session_tx() lists is the reply to
 * that command; of one larger than the send buffer, its next part.  It answers SESSION_AGAIN as
 * long as there are more.
 *
 * The session counts bytes_read, bytes_written, conn_yields and all cmd_* in its worker's struct
 * worker_stats; the caller does not.
 *
 * Threads: a session and its worker belong to one thread.
 */
#ifndef LARDER_SESSION_SESSION_H
#define LARDER_SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "admin/settings.h"
#include "admin/snapshots.h"
#include "admin/stats.h"
#include "admin/watch.h"
#include "engine/cache.h"

#define SESSION_RX_SIZE   65536u  /* bytes of the worker's receive buffer */
#define SESSION_TX_SIZE   131072u /* bytes of the worker's send buffer */
#define SESSION_RX_PIECES 20u     /* pieces that session_rx_item() gives at most */
#define SESSION_IOV_MAX   64u     /* pieces that session_tx() gives at most */

struct credentials;
struct sasl_service;
struct session;
struct session_worker;

enum session_next {
    SESSION_READ,  /* all input is used up: receive more (once the output is out) */
    SESSION_AGAIN, /* more commands are waiting: send, let others have their turn (-R), and run
                      again */
    SESSION_SEND,  /* the output must leave before anything else can go on; then run again */
    SESSION_CLOSE, /* send what is there, then close */
};

/** What a session may ask of its host.  Any of these may be NULL. */
struct session_host {
    void *arg;
    /** `shutdown` command: graceful or at once. */
    void (*shutdown)(void *arg, bool graceful);
    /** `stats conns`: emits the lines of all connections. */
    void (*stats_conns)(void *arg, stat_emit_fn *emit, void *emit_arg);
    /** `refresh_certs`: loads the certificates of -Z again.  NULL for done, or why not: a line
     * without its end, borrowed until the next call of this session_worker. */
    const char *(*refresh_certs)(void *arg);
    /** -Y, -S: who may log in.  With any of them a session of a protocol that has none is closed.
     */
    struct credentials *credentials; /* text */
    struct sasl_service *sasl;       /* binary */
    /** The descriptor of the connection whose session runs now, for the log of `watch`. */
    int (*running_fd)(void *arg);
    /** The session that runs now has become a watcher: it is run when watch_wake() was called, as
     * if after SESSION_SEND, until it is destroyed.  False: that cannot be done. */
    bool (*watch_begun)(void *arg);
    /** Any thread: there are lines for a watcher of this worker. */
    void (*watch_wake)(void *arg);
    /** The session that runs now waits for a transaction, a snapshot or the sweep: the same with
     * hook_wait_wake(), while session_waits(). */
    bool (*hook_wait_begun)(void *arg);
    /** Any thread, with LOCK_RANK_HOOK_WAIT or LOCK_RANK_SNAPSHOT held: the wait of a session of
     * this worker is over. */
    void (*hook_wait_wake)(void *arg);
};

/** Why a session is closed. */
enum session_end {
    SESSION_END_ERROR, /* what it has received makes no sense, or the connection broke */
    SESSION_END_NORMAL,
    SESSION_END_SHUTDOWN, /* by its `shutdown` */
};

struct session_worker *session_worker_create(struct cache *cache, struct settings *settings,
                                             struct server_stats *server_stats,
                                             const struct session_host *host);
void session_worker_destroy(struct session_worker *worker);
struct worker_stats *session_worker_stats(struct session_worker *worker);
/** The log's writer of the worker's thread; NULL when nobody can watch. */
struct watch_source *session_worker_watch_source(struct session_worker *worker);

struct session *session_create(struct session_worker *worker);
/** NULL without memory. */
struct session *session_create_datagram(struct session_worker *worker);
/** Before anything is received: the protocol of the listener, in place of -B. */
void session_speak(struct session *session, enum settings_protocol protocol);
/** As if it had just been created, and told what to speak: input, output, pins and unfinished
 * stores are dropped. */
void session_reset(struct session *session);
/** Gives back pins and unfinished stores. */
void session_destroy(struct session *session);

struct session_space {
    void *at;
    size_t len; /* at least 1 */
};
/** Where the next received bytes go: in the worker's buffer, or, when `at` is NULL, to the places
 * that session_rx_item() lists.  Valid until session_rx_done() or session_pause(). */
struct session_space session_rx_space(struct session *session);
/**
 * Lists the places in the item of a long value, and behind them one in the buffer for what follows
 * the value.
 *
 * buffer_max   bytes for that one at most; at least 1
 * iov          out, SESSION_RX_PIECES of them
 *
 * Returns the number of pieces, at least 1; none of them is empty.
 */
unsigned session_rx_item(struct session *session, size_t buffer_max, struct iovec *iov);
/** So many bytes have come, in the order of the places. */
void session_rx_done(struct session *session, size_t received);

/** Runs complete commands: at most settings.reqs_per_event of them, at most what fits the send
 * buffer. */
enum session_next session_run(struct session *session);

/** Lists the bytes to send; returns the number of pieces, 0 when there is nothing. */
unsigned session_tx(struct session *session, struct iovec *iov, unsigned max);
void session_tx_done(struct session *session, size_t sent);
/** After SESSION_CLOSE, once: why. */
enum session_end session_end(struct session *session);
/** Whether the session waits for `hook wait`, `larder snapshot`, or to flush. */
bool session_waits(const struct session *session);
/** Whether the session has become a watcher, or waits: no client is expected to speak. */
bool session_watches(const struct session *session);
/** Whether there is something to send. */
bool session_tx_pending(const struct session *session);
/** How much; bytes. */
uint64_t session_tx_len(const struct session *session);
/** Drops what is to be sent. */
void session_tx_drop(struct session *session);
/** Whether a command has begun and waits for more input: its data block, the rest of its keys, or a
 * login. */
bool session_in_command(const struct session *session);

/**
 * Leaves the worker's buffers to another session; what is half received or not yet sent is kept
 * aside.  Without memory for that, or past -o read_buf_mem_limit, the session is closed: nothing is
 * pending then, and its next run answers SESSION_CLOSE.
 *
 * Need not be called: session_rx_space() and session_run() of another session do so.
 */
void session_pause(struct session *session);

/**
 * For stats conns and the idle timeout's log: conn_new_cmd, conn_read, conn_parse_cmd, conn_nread,
 * conn_swallow, conn_mwrite, conn_watch, conn_closing.
 *
 * Threads: any, while the session lives.
 */
const char *session_state_name(const struct session *session);

#endif
