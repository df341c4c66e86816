/* TLS for connections: certificates as files name them, and one encrypted stream per socket.
 *
 * The certificates of a server are loaded into a context, which a reload replaces as a whole: a
 * stream keeps the one that it began with.  Nothing here blocks on a socket.
 *
 * A build without OpenSSL (HAVE_TLS is not defined) has tls_create(), which fails, and no streams.
 */
#ifndef LARDER_NET_TLS_H
#define LARDER_NET_TLS_H

#include "session/session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct tls;
struct ssl_st;

#define TLS_ERROR_CAP 512u /* bytes of a text with what went wrong, NUL included */

/** Which sockets speak TLS, and what they ask of a client's certificate. */
enum tls_mode {
    TLS_MODE_OFF,     /* plain bytes */
    TLS_MODE_DEFAULT, /* as -o ssl_verify_mode says */
    TLS_MODE_BASIC,   /* btls: none */
    TLS_MODE_MUTUAL,  /* mtls: one that ssl_ca_cert vouches for */
};

enum tls_result {
    TLS_OK,
    TLS_FAILED, /* `error` says which file or value, and why */
};

/**
 * Loads what the settings name.
 *
 * settings   borrowed until tls_destroy()
 * out        the caller's to destroy, on TLS_OK
 * error      out, TLS_ERROR_CAP bytes: a line as memcached words it; one with what would be right
 */
__attribute__((warn_unused_result)) enum tls_result tls_create(const struct settings *settings,
                                                               struct tls **out, char *error);
/** Streams that are still open keep what they need. */
void tls_destroy(struct tls *tls);

/**
 * Loads the files again, for streams that are opened from now on.  What is in use stays when that
 * fails.
 *
 * error    out, TLS_ERROR_CAP bytes: one line, without its end
 *
 * Threads: any; it reads files.
 */
__attribute__((warn_unused_result)) enum tls_result tls_reload(struct tls *tls, char *error);

/** How a step of a stream ended. */
enum tls_step {
    TLS_DONE,
    TLS_WANTS_READ,  /* goes on when the socket has input */
    TLS_WANTS_WRITE, /* goes on when the socket has room */
    TLS_END,         /* the client has closed */
    TLS_ERROR,       /* the client broke the protocol, or was refused: tls_error() */
};

/** A stream: one thread's. */
struct tls_stream {
    struct ssl_st *ssl;
    bool open;       /* the handshake is done */
    bool resumed;    /* by a session of an earlier connection */
    bool drained;    /* nothing that OpenSSL has received can be read before more comes */
    bool write_held; /* a record waits for room in the socket */
    bool broken;     /* nothing can be sent any more */
    uint8_t end;     /* TLS_DONE, or how the input ended: enum tls_step */
    uint8_t place;   /* in a struct tls_holders, from 1 on; 0 for none */
    bool used;       /* has had a turn since the hand passed it there */
};

/** Begins a stream on an accepted socket, which stays the caller's.  false: no memory. */
__attribute__((warn_unused_result)) bool tls_stream_open(struct tls *tls, enum tls_mode mode,
                                                         int fd, struct tls_stream *stream);
/** Tells the client that the stream ends here, as far as the socket takes it. */
void tls_stream_close(struct tls_stream *stream);

/** Until it answers TLS_DONE; then the stream is open. */
enum tls_step tls_handshake(struct tls_stream *stream);

/**
 * Receives into the pieces, none of which is empty, in order.
 *
 * got   out; at least 1 on TLS_DONE, else 0
 */
enum tls_step tls_receive(struct tls_stream *stream, const struct iovec *iov, unsigned pieces,
                          size_t *got);

/** Whether tls_receive() has something to tell without more input on the socket. */
bool tls_holds_input(const struct tls_stream *stream);

/**
 * Sends the first of these bytes: at most `cap`, in records of at most 16 KiB.  After
 * TLS_WANTS_WRITE it must be called again with the same bytes, wherever they lie then.
 *
 * buf, cap   where pieces are joined; the thread's
 * sent       out; bytes on TLS_DONE, else 0
 */
enum tls_step tls_send(struct tls_stream *stream, const struct iovec *iov, unsigned pieces,
                       void *buf, size_t cap, size_t *sent);

/** Whether the stream holds its buffers, 33 KiB, between its turns. */
void tls_stream_hold(struct tls_stream *stream, bool hold);

#define TLS_HOLDERS_MAX 64u /* streams of a worker that hold their buffers */

/** Which streams do: of those that are busy, as many as there is room for.  One thread's; begins as
 * zeros. */
struct tls_holders {
    struct tls_stream *at[TLS_HOLDERS_MAX];
    unsigned hand;
};

/** A stream has its turn: gives it a place when that of the stream under the hand is not in use. */
void tls_holders_turn(struct tls_holders *holders, struct tls_stream *stream);
/** Before tls_stream_close(). */
void tls_holders_leave(struct tls_holders *holders, struct tls_stream *stream);

/** The reason of the thread's last TLS_ERROR, for the log.  Borrowed until its next step. */
const char *tls_error(void);

#endif
