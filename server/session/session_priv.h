/* What the files of session/ share: the session, the worker's buffers, and the steps of the state
 * machine. */
#ifndef LARDER_SESSION_SESSION_PRIV_H
#define LARDER_SESSION_SESSION_PRIV_H

#include "admin/hotkeys.h"
#include "admin/prefix.h"
#include "base/assert.h"
#include "base/metric.h"
#include "proto/binary.h"
#include "proto/meta.h"
#include "proto/text.h"
#include "session/sasl.h"
#include "session/session.h"

#include <stdatomic.h>
#include <string.h>

/**
 * Where a session stands.
 *
 *     state      waits for                        may go to
 *
 *     COMMAND    a command line, or a binary      all
 *                request less its value
 *     DUMP       room for more lines of a dump    COMMAND, CLOSED
 *     GET_LINE   the rest of a get's key list     COMMAND, SKIP_LINE, CLOSED
 *     VALUE      a data block                     VALUE_END, CLOSED; without memory for the rest
 *                                                 COMMAND, SWALLOW
 *     VALUE_END  the CR LF behind it, if any      COMMAND, CLOSED
 *     SWALLOW    the end of a refused data block  COMMAND, CLOSED
 *     SKIP_LINE  the LF of a refused line         COMMAND, CLOSED
 *     LOGIN      a login (-Y, -S)                 COMMAND, CLOSED
 *     WATCH      lines of the log to send         CLOSED
 *     HOOK_WAIT  a transaction to be applied      COMMAND, CLOSED
 *     SNAPSHOT_WAIT  a snapshot to be whole       COMMAND, CLOSED
 *     FLUSH_WAIT     a sweep after many flushes   COMMAND, CLOSED
 *     CLOSED     nothing                          -
 *
 * A session begins in LOGIN when the server asks for one, else in COMMAND.  With -S it goes back
 * there to log in anew.
 */
enum session_state {
    SESSION_COMMAND,
    SESSION_DUMP,
    SESSION_GET_LINE,
    SESSION_VALUE,
    SESSION_VALUE_END,
    SESSION_SWALLOW,
    SESSION_SKIP_LINE,
    SESSION_LOGIN,
    SESSION_WATCH,
    SESSION_HOOK_WAIT,
    SESSION_SNAPSHOT_WAIT,
    SESSION_FLUSH_WAIT,
    SESSION_CLOSED,
};

/** Fixed by the first byte, unless -B says it. */
enum session_protocol {
    SESSION_PROTOCOL_UNKNOWN,
    SESSION_PROTOCOL_TEXT,
    SESSION_PROTOCOL_BINARY,
};

/** What a state's function tells the loop of session_run(). */
enum step {
    STEP_ON,    /* go on in the session's state */
    STEP_READ,  /* input is used up */
    STEP_AGAIN, /* the budget of requests is */
    STEP_SEND,  /* the send buffer is full */
    STEP_CLOSE,
};

#define TX_LONGS_MAX      32u            /* pinned values and long replies in one queue */
#define TX_LONG_BYTES_MAX (1024u * 1024) /* behind so many bytes of them no value is pinned */
#define TX_RESERVE        1024u          /* bytes at the buffer's end for short replies alone */
#define RX_ITEM_MIN       1024u /* bytes of a value to come that are received into its item */
#define RX_ITEM_AHEAD     (256u * 1024) /* bytes of it for which there is memory before they come */
#define RX_LONG_MIN       (32u * 1024) /* length of a value after which another as long is expected */
#define RX_SHORT_LEN      4096u        /* bytes that the buffer then takes at once */
#define RX_SWAP_MIN       (8u * 1024) /* bytes left at which the buffer itself is kept aside */

/* A command runs only when its reply and the END lines of a batch of misses fit the reserve. */
_Static_assert(CACHE_BATCH_MAX * 5 + 256 <= TX_RESERVE, "short replies always fit");

/* Bytes in which any value that is copied finds room. */
#define TX_VALUE_ROOM (TEXT_VALUE_HEAD_MAX + CACHE_COPY_MAX + 2 + TX_RESERVE)
_Static_assert(TX_VALUE_ROOM <= SESSION_TX_SIZE, "a copied value fits");

/** A piece of output that does not lie in the buffer, but goes out between two of its bytes. */
struct tx_long {
    uint32_t at;           /* offset in the buffer before which it goes out */
    struct cache_pin *pin; /* a value, or: */
    uint8_t *bytes;        /* a reply in the heap; owned */
    uint64_t len;
    uint64_t sent;
};

/** Where the next received bytes go. */
enum rx_way {
    RX_BUFFER,
    RX_SHORT, /* the buffer, RX_SHORT_LEN bytes: so that of a long value little is copied */
    RX_ITEM,  /* a value's item, and behind it the buffer as above */
};

/** Output in order.  Either the worker's, or what a paused session could not send (then buffer and
 * longs lie behind). */
struct tx {
    uint8_t *buf;
    uint32_t cap;
    uint32_t at;  /* sent up to here */
    uint32_t end; /* filled up to here */
    uint32_t longs_at;
    uint32_t longs_end;
    uint64_t long_bytes; /* in longs[longs_at .. longs_end], less what was sent */
    struct tx_long *longs;
};

/** How the key of a read stands in its line. */
enum {
    READ_FIRST = 1, /* the first of its line */
    READ_LAST = 2,  /* the last: "END" follows */
    READ_CAS = 4,   /* gets, gats */
};

/** Keys of one or several get lines, decoded and not yet looked up.  They point into the receive
 * buffer. */
struct read_batch {
    unsigned count;
    uint8_t marks[CACHE_BATCH_MAX];
    struct cache_read reads[CACHE_BATCH_MAX];
};

/** mg lines that only read, decoded and not yet looked up. */
struct meta_batch {
    unsigned count;
    uint32_t line_at[CACHE_BATCH_MAX]; /* where each line begins in the receive buffer */
    struct meta_request requests[CACHE_BATCH_MAX];
    struct cache_read reads[CACHE_BATCH_MAX];
};

/** Binary gets, decoded and not yet looked up. */
struct binary_batch {
    unsigned count;
    uint8_t marks[CACHE_BATCH_MAX];       /* BINARY_HIT_ */
    uint32_t request_at[CACHE_BATCH_MAX]; /* where each begins in the receive buffer */
    struct binary_echo echo[CACHE_BATCH_MAX];
    struct cache_read reads[CACHE_BATCH_MAX];
};

/** Locking key: one thread's; settings and server_stats as their headers say. */
struct session_worker {
    struct cache *cache;
    struct cache_thread *thread;
    struct settings *settings;
    struct server_stats *server_stats;
    const struct session_host *host;
    struct session *current; /* whose bytes the buffers hold */

    uint8_t *rx; /* SESSION_RX_SIZE */
    uint32_t rx_at;
    uint32_t rx_end;
    uint32_t command_at;  /* in rx: where the command begins that is run, if it is no get */
    uint32_t item_filled; /* bytes received into the item of the pending store, not yet told to the
                             engine */
    uint8_t rx_way;       /* enum rx_way: where session_rx_space() has said */
    bool detail;          /* settings.detail_enabled as of this run */
    uint8_t end;          /* enum session_end of the session that closes */
    uint32_t noted;       /* not 0: note_read() is told of reads: detail, or bits of `watching` */
    uint32_t watching;    /* bits of enum watch_class that somebody watches, as of this run, and
                               NOTE_HOTKEYS */
    const _Atomic uint32_t *watch_classes; /* where they stand now */
    struct watch_source *watch_source;     /* NULL when nobody can watch */
    const _Atomic bool *hotkeys_on;
    struct hotkeys_source *hotkeys; /* NULL when keys are never counted */
    uint32_t hotkeys_gap;           /* runs to the next one that is counted */
    uint8_t *rx_spare;              /* NULL, or another buffer for rx */
    unsigned budget;                /* commands that may still run before others' turn */
    uint64_t aside_max; /* bytes that its sessions may keep aside; see session_may_keep() */

    /* The reply of the get line that is being answered begins here; see read_line_bad(). */
    uint32_t line_tx_end;
    uint32_t line_longs_end;

    struct tx tx;
    struct tx_long longs[TX_LONGS_MAX];
    struct worker_stats stats;
    struct request request;
    struct read_batch batch;
    struct meta_batch meta;
    struct binary_batch binary;
};

/** Which request an upload belongs to. */
enum upload_kind {
    UPLOAD_TEXT,
    UPLOAD_META,
    UPLOAD_BINARY, /* nothing stands behind its value */
};

/** A store whose data block has not come whole with its line. */
struct upload {
    struct cache_store store;
    uint64_t cas;        /* as cache_store_commit() wants it */
    uint32_t value_left; /* bytes of the block to come */
    uint8_t mode;        /* enum cache_store_mode */
    uint8_t key_len;
    uint8_t kind; /* enum upload_kind */
    bool noreply; /* text; binary: no reply to success */
    uint8_t key[KEY_LEN_MAX];
    union {
        struct {
            struct meta_request request; /* its spans lie in `key` and `opaque` */
            uint8_t opaque[META_OPAQUE_MAX];
        } meta;
        struct binary_echo echo; /* UPLOAD_BINARY */
    };
};

struct session {
    struct session_worker *worker;
    uint8_t state;    /* enum session_state; set by session_become() alone */
    uint8_t protocol; /* enum session_protocol */
    _Atomic uint8_t
        shown;    /* enum session_shown, for other threads; relaxed, ordered with nothing */
    uint8_t next; /* enum session_next of the last run */

    /* input kept aside; rx_own is NULL when there is none */
    uint32_t rx_own_at;
    uint32_t rx_own_end;
    uint32_t rx_own_cap;
    uint32_t scanned; /* bytes of the line begun that are known to have no LF */
    bool datagram;    /* constant: one command per run, and none whose answer is a stream */
    bool lost;        /* CLOSED: input was dropped, as no memory was left to keep it */
    uint8_t speaks;   /* enum settings_protocol; constant */
    bool long_values; /* the last value was long, and since then no receive was: RX_SHORT */
    uint8_t *rx_own;
    struct tx *tx_own; /* output kept aside, or NULL */

    /* GET_LINE, SKIP_LINE */
    uint32_t line_left; /* bytes to the LF and with it; 0 when it has not been received */
    uint8_t line_op;    /* enum request_op */
    bool line_keys;     /* a key has been seen */
    bool line_mark;     /* nothing of the line's reply has been sent yet */
    bool line_silent;   /* SKIP_LINE: the line has had its reply */
    union {
        int64_t expires_at;         /* GET_LINE: of a gat */
        struct sasl_exchange *sasl; /* LOGIN: of the binary protocol, while one lasts, or NULL.
                                       Owned; sasl_drop() before that state is left */
    };

    /* owned, both */
    union {
        struct upload *upload; /* VALUE, VALUE_END; else NULL, but for: */
        struct dump *dump;     /* DUMP */
    };
    union {
        uint64_t swallow_left;               /* SWALLOW, LOGIN */
        struct watcher *watcher;             /* WATCH; owned */
        struct hook_wait *hook_wait;         /* HOOK_WAIT; owned */
        struct snapshot_wait *snapshot_wait; /* SNAPSHOT_WAIT; owned */
        uint8_t flush_kind;                  /* FLUSH_WAIT: enum cache_flush_kind */
    };
};
_Static_assert(sizeof(struct session) <= 112, "an idle connection is small");

/** Whether `len` bytes more may be kept aside: -o read_buf_mem_limit, of which each worker has its
 * share. */
static inline bool
session_may_keep(const struct session_worker *worker, uint64_t len)
{
    uint64_t held =
        metric_get(&worker->stats.read_bytes) + metric_get(&worker->stats.response_bytes);
    return held + len <= worker->aside_max;
}

/** What session_state_name() answers. */
enum session_shown {
    SHOWN_NEW,
    SHOWN_READ,
    SHOWN_PARSE,
    SHOWN_NREAD,
    SHOWN_SWALLOW,
    SHOWN_WRITE,
    SHOWN_CLOSING,
    SHOWN_WATCH,
};

static inline void
session_show(struct session *session, enum session_shown shown)
{
    atomic_store_explicit(&session->shown, (uint8_t)shown,
                          memory_order_relaxed); /* relaxed: see the field */
}

/** Beside the bits of enum watch_class: `stats hotkeys` counts the requests of this run. */
#define NOTE_HOTKEYS (1u << 31)

/** What is observed from here on. */
static inline void
session_read_switches(struct session_worker *worker)
{
    /* relaxed: switches; when exactly they are seen does not matter */
    worker->detail = atomic_load_explicit(&worker->settings->detail_enabled, memory_order_relaxed);
    worker->watching = atomic_load_explicit(worker->watch_classes, memory_order_relaxed);
    if (__builtin_expect(atomic_load_explicit(worker->hotkeys_on, memory_order_relaxed), 0)) {
        if (--worker->hotkeys_gap == 0) {
            worker->hotkeys_gap = hotkeys_begin_run(worker->hotkeys);
            worker->watching |= NOTE_HOTKEYS;
        }
    }
    worker->noted = (uint32_t)worker->detail | (worker->watching & (WATCH_FETCHERS | NOTE_HOTKEYS));
}

void session_become(struct session *session, enum session_state state);
/** Unix seconds of a time as on the wire: 0 never, negative long past, up to 30 days relative, else
 * absolute. */
int64_t session_expires_at(const struct session_worker *worker, int64_t exptime);

/* -- output ------------------------------------------------------------------------------------ */

static inline bool
tx_empty(const struct tx *tx)
{
    return tx->at == tx->end && tx->longs_at == tx->longs_end;
}

/** Whether a command may run: its short reply fits, and it can start a long one. */
static inline bool
tx_has_room(const struct tx *tx)
{
    return tx->end + TX_RESERVE <= tx->cap && tx->longs_end < TX_LONGS_MAX;
}

/** Whether one more long value may be pinned. */
static inline bool
tx_takes_long(const struct tx *tx)
{
    return tx->longs_end < TX_LONGS_MAX && tx->long_bytes < TX_LONG_BYTES_MAX;
}

/** At most 256 bytes; the reserve is there for them. */
static inline void
tx_put(struct session_worker *worker, const void *bytes, size_t len)
{
    assert(len <= worker->tx.cap - worker->tx.end);
    memcpy(worker->tx.buf + worker->tx.end, bytes, len);
    worker->tx.end += (uint32_t)len;
}

/** A string literal. */
#define TX_PUT(worker, text) tx_put((worker), (text), sizeof(text) - 1)

/** Adds a value or heap bytes behind what is there, and takes its ownership. */
void tx_put_long(struct session_worker *worker, struct cache_pin *pin, uint8_t *bytes,
                 uint64_t len);
/** Takes back what was written behind these marks. */
void tx_rewind(struct session_worker *worker, uint32_t end, uint32_t longs_end);

/** Lets go of all output. */
void tx_clear(struct session_worker *worker, struct tx *tx);
/** Moves what was not sent to memory of the session's own.  False when there is none. */
bool tx_keep_aside(struct session *session);
void tx_own_free(struct session *session);

/* -- input ------------------------------------------------------------------------------------- */

/** As session_attach(), from a session that has left something in the buffers, or to one that has
 * kept something aside. */
void session_attach_slow(struct session *session);
/** Takes the worker's buffers, and puts what was kept aside of the input back into them. */
static inline void
session_attach(struct session *session)
{
    struct session_worker *worker = session->worker;
    if (worker->current == session) {
        return;
    }
    if (worker->rx_at != worker->rx_end || !tx_empty(&worker->tx) || session->rx_own != NULL) {
        session_attach_slow(session);
        return;
    }
    assert(worker->item_filled == 0);
    worker->rx_way = RX_BUFFER;
    worker->current = session;
    worker->rx_at = worker->rx_end = 0;
    worker->line_tx_end = worker->line_longs_end = 0; /* of a line whose reply is empty so far */
}
void rx_own_free(struct session *session);
/** Swallows the next `len` bytes of input. */
enum step session_swallow(struct session *session, uint64_t len);

/* -- commands: the worker's rx_at stands behind the line --------------------------------------- */

/** Decodes a get or gets line into the batch; runs it when it is full. */
enum step read_get(struct session *session, const struct request *request);
enum step read_gat(struct session *session, const struct request *request);
/** The same as read_get() for a line of one key, as nearly all are.  False: not known to be such a
 * line, or no room for it. */
static inline bool
read_get_one(struct session_worker *worker, const struct request *request)
{
    struct read_batch *batch = &worker->batch;
    if (!request->keys_one || batch->count >= CACHE_BATCH_MAX - 1) {
        return false;
    }
    struct cache_read *read = &batch->reads[batch->count];
    read->key = request->keys.at;
    read->key_len = (uint32_t)request->keys.len;
    read->mode = CACHE_READ_HIT;
    batch->marks[batch->count++] =
        request->op == REQUEST_GET ? READ_FIRST | READ_LAST : READ_FIRST | READ_LAST | READ_CAS;
    return true;
}
enum step read_batch_answer(struct session *session);
/** Looks up what is in the batch.  STEP_ON, or STEP_SEND with the input set back to the first key
 * not answered. */
static inline enum step
read_batch_run(struct session *session)
{
    /* Often there is nothing: asked inline, as it is asked before every command that is no get. */
    return session->worker->batch.count == 0 ? STEP_ON : read_batch_answer(session);
}
/** Looks up one of `count` keys of a batch; if it is not alone, cache_prefetch() has seen them. */
static inline enum cache_result
read_find(struct session_worker *worker, struct cache_read *read, unsigned count)
{
    return count == 1 ? cache_find_one(worker->cache, worker->thread, read)
                      : cache_find(worker->cache, worker->thread, read);
}
/** Answers a hit at the end of the output.  False when the item has vanished meanwhile. */
typedef bool read_answer_fn(void *arg, struct cache_read *read);
/** Touches a key and reads it; returns whether `answer` did.  Output has room for any answer. */
bool read_and_touch(struct session_worker *worker, struct span key, int64_t expires_at,
                    read_answer_fn *answer, void *arg);
/** GET_LINE. */
enum step read_line_run(struct session *session);
/** A line that fills the whole receive buffer and has no LF: begins to answer it key by key. */
enum step read_line_stream(struct session *session);

/** set, add, replace, append, prepend, cas. */
enum step store_begin(struct session *session, const struct request *request);
/** VALUE. */
enum step store_value_run(struct session *session);
/** VALUE_END. */
enum step store_end_run(struct session *session);
/** Gives back an unfinished store, or dump. */
void session_drop_work(struct session *session);
void store_drop(struct session *session);
/** A store has begun whose data block is not whole yet: takes it over.  The caller sets `cas`,
 * `noreply` and what `kind` asks for.  NULL without memory: the store is aborted. */
struct upload *upload_begin(struct session *session, struct cache_store *store,
                            enum cache_store_mode mode, struct span key, enum upload_kind kind);
/** A `set` that fails takes the older value with it: what the client meant to replace must not be
 * read any more. */
void store_unlink_old(struct session_worker *worker, const void *key, size_t key_len);

/** One line for which meta_is_command() holds, at rx_at; steps `cur` on.  STEP_READ when it has no
 * LF. */
enum step meta_line(struct session *session, struct cursor *cur);
enum step meta_batch_answer(struct session *session);
/** Looks up what is in the meta batch.  As read_batch_run(). */
static inline enum step
meta_batch_run(struct session *session)
{
    /* Mostly there is nothing: asked inline, as it is asked for every get. */
    return session->worker->meta.count == 0 ? STEP_ON : meta_batch_answer(session);
}
/** The reply to an ms, when its data block is whole; `line_end` is what stands behind it. */
enum step meta_store_finish(struct session *session, const struct meta_request *request,
                            struct cache_store *store, const uint8_t *line_end);

/** COMMAND of the binary protocol: runs requests.  Gets gather in a batch, as in the other
 * protocols. */
enum step binary_run(struct session *session);
/** Commits a store whose value is whole, and replies. */
enum step binary_store_finish(struct session *session, struct cache_store *store,
                              enum cache_store_mode mode, uint64_t cas, struct binary_echo echo,
                              bool quiet);
/** An error with its default text. */
void binary_put_error(struct session_worker *worker, struct binary_echo echo,
                      enum binary_status status);
/** Success without a body. */
void binary_put_ok(struct session_worker *worker, struct binary_echo echo, uint64_t cas);
/** A body of text; at most 200 bytes. */
void binary_put_text(struct session_worker *worker, struct binary_echo echo,
                     enum binary_status status, const char *text);

/** Whether sessions begin with a login. */
bool login_is_asked(const struct session_worker *worker);
/** LOGIN. */
enum step login_run(struct session *session);
/** LOGIN: drops what is left of a refused data block.  False: more of it is to come. */
bool login_swallow(struct session *session);
/** LOGIN of the binary protocol. */
enum step sasl_run(struct session *session);
/** The answer to a request for the list of mechanisms. */
void sasl_put_mechanisms(struct session_worker *worker, struct binary_echo echo);
/** Ends an exchange that is under way, if any.  Any state. */
void sasl_drop(struct session *session);

void arith_incr_decr(struct session *session, const struct request *request);
void arith_delete(struct session *session, const struct request *request);
void arith_binary_delete(struct session_worker *worker, const struct binary_request *request);
void arith_binary_incr_decr(struct session_worker *worker, const struct binary_request *request);
void arith_touch(struct session *session, const struct request *request);

/* -- watch ------------------------------------------------------------------------------------- */

/** The answer to `watch`; after "OK" the session is in WATCH. */
const char *watch_begin(struct session *session, const struct request *request);
/** WATCH: drops input, and moves lines of the log to the output. */
enum step watch_run(struct session *session);
/** Ends a watcher, if the session is one. */
void watch_drop(struct session *session);

/** A read has been answered: to be called when worker->noted. */
void note_read(struct session_worker *worker, const struct cache_read *read, bool hit);
/** The same for mg, which `stats detail` does not count. */
void note_fetch(struct session_worker *worker, const struct cache_read *read, bool hit);
void note_lookup_watched(struct session_worker *worker, const void *key, size_t key_len);
void note_store_refused_watched(struct session_worker *worker, const void *key, size_t key_len,
                                enum cache_store_mode mode, enum cache_result result,
                                uint64_t value_len);
enum cache_result store_commit_watched(struct session_worker *worker, struct cache_store *store,
                                       enum cache_store_mode mode, uint64_t cas, uint64_t *cas_out);
enum cache_result delete_watched(struct session_worker *worker, const void *key, size_t key_len,
                                 uint64_t cas, bool meta);

/** Counts a request for a key, `sent` bytes of whose value are in the reply.  Gets are counted by
 * note_read(). */
static inline void
note_request(struct session_worker *worker, const void *key, size_t key_len, uint64_t sent)
{
    if (__builtin_expect((worker->watching & NOTE_HOTKEYS) != 0, 0)) {
        hotkeys_note(worker->hotkeys, key, key_len, sent);
    }
}

/** Notes what stands under a key, before a command that is no plain get. */
static inline void
note_lookup(struct session_worker *worker, const void *key, size_t key_len)
{
    if (__builtin_expect((worker->watching & WATCH_FETCHERS) != 0, 0)) {
        note_lookup_watched(worker, key, key_len);
    }
}

/** Notes a store that found no room. */
static inline void
note_store_refused(struct session_worker *worker, const void *key, size_t key_len,
                   enum cache_store_mode mode, enum cache_result result, uint64_t value_len)
{
    if (__builtin_expect((worker->watching & WATCH_MUTATIONS) != 0, 0)) {
        note_store_refused_watched(worker, key, key_len, mode, result, value_len);
    }
}

/** Whether somebody watches stores, or the look-ups that they begin with, or counts them. */
static inline bool
stores_are_noted(const struct session_worker *worker)
{
    return __builtin_expect(
        (worker->watching & (WATCH_FETCHERS | WATCH_MUTATIONS | NOTE_HOTKEYS)) != 0, 0);
}

/** Whether a data block of so many bytes stands at rx_at whole, its CR LF behind it, and nobody is
 * told of stores: then cache_set() serves. */
static inline bool
set_is_plain(const struct session_worker *worker, uint32_t value_len)
{
    if ((uint64_t)value_len + 2 > worker->rx_end - worker->rx_at) {
        return false;
    }
    const uint8_t *end = worker->rx + worker->rx_at + value_len;
    return end[0] == '\r' && end[1] == '\n' && !stores_are_noted(worker);
}

/** Sets a key to the value that stands at rx_at, whole: for all protocols the way of a `set` whose
 * block has come with it. */
static inline enum cache_result
set_received(struct session_worker *worker, struct span key, uint32_t value_len, uint32_t flags,
             int64_t expires_at, uint64_t *cas)
{
    return cache_set(worker->cache, worker->thread, key.at, (uint32_t)key.len,
                     worker->rx + worker->rx_at, value_len, flags, expires_at, cas);
}

/** cache_store_commit(), noted. */
static inline enum cache_result
store_commit(struct session_worker *worker, struct cache_store *store, enum cache_store_mode mode,
             uint64_t cas, uint64_t *cas_out)
{
    if (__builtin_expect((worker->watching & (WATCH_FETCHERS | WATCH_MUTATIONS)) != 0, 0)) {
        return store_commit_watched(worker, store, mode, cas, cas_out);
    }
    return cache_store_commit(worker->cache, worker->thread, store, mode, cas, cas_out);
}

/** cache_delete(), noted.  meta: by md. */
static inline enum cache_result
delete_noted(struct session_worker *worker, const void *key, size_t key_len, uint64_t cas,
             bool meta)
{
    if (__builtin_expect((worker->watching & (WATCH_FETCHERS | WATCH_DELETIONS)) != 0, 0)) {
        return delete_watched(worker, key, key_len, cas, meta);
    }
    return cache_delete(worker->cache, worker->thread, key, (uint32_t)key_len, cas);
}

/* -- admin ------------------------------------------------------------------------------------- */

/** stats, flush_all, verbosity, cache_memlimit, shutdown, version, mn. */
enum step admin_run(struct session *session, const struct request *request);
/** Flushes at a time as on the wire.  False: that is not allowed (-F). */
bool admin_flush(struct session_worker *worker, int64_t exptime);
/** The words of a command less a `noreply` at their end. */
unsigned args_count(const struct request *request);
/* These answer a line to send, or NULL for none.  Out of the hot path. */
const char *tune_slabs(struct session_worker *worker, const struct request *request);
const char *tune_lru(struct session_worker *worker, const struct request *request);
const char *tune_crawler(struct session_worker *worker, const struct request *request);
/** lru_crawler; a dump begins with its OK. */
const char *crawler_run(struct session *session, const struct request *request);
/** DUMP. */
enum step dump_run(struct session *session);
/** Ends a dump in the middle. */
void dump_drop(struct session *session);
/** Commands of our own: flush_prefix, scan, snapshot. */
enum step larder_run(struct session *session, const struct request *request);
enum step stats_run(struct session *session, const struct request *request);
/** hook; puts the answer itself, if there is one yet. */
enum step hook_run(struct session *session, const struct request *request);
/** Whether more can be received behind a command that waits: what follows it, and the command itself
 * if it comes again, stay in the buffer. */
static inline bool
rx_has_room(const struct session_worker *worker)
{
    return worker->rx_end - worker->rx_at < SESSION_RX_SIZE;
}

/** HOOK_WAIT. */
enum step hook_wait_run(struct session *session);
/** Ends a wait, if the session is in one. */
void hook_drop(struct session *session);
/** larder snapshot. */
enum step snapshot_run(struct session *session, const struct request *request, unsigned count);
/** SNAPSHOT_WAIT. */
enum step snapshot_wait_run(struct session *session);
/** Ends a wait, if the session is in one; the snapshot goes on. */
void snapshot_drop(struct session *session);
/** Whether the command, a flush, is not run now: the session waits, and the command comes again. */
bool flush_must_wait(struct session *session, enum cache_flush_kind kind);
/** FLUSH_WAIT. */
enum step flush_wait_run(struct session *session);
/** Ends a wait, if the session is in one. */
void flush_drop(struct session *session);
enum step stats_run_binary(struct session *session, const struct binary_request *request);
/** A number of digits alone, up to `max`; else false, with `out` as it was. */
bool word_number(const struct span *word, uint64_t max, uint64_t *out);

#endif
