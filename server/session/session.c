#include "config.h"

#include "session/session.h"
#include "session/session_priv.h"

#include <stdlib.h>

/* Under ThreadSanitizer values never arrive in the item directly: other threads may still read the memory's
 * former bytes, with atomic loads whose answer they then throw away, and the sanitizer takes the kernel's write
 * for a plain one.  cache_store_write() writes with atomic stores. */
#if defined(__SANITIZE_THREAD__)
#define RX_DIRECT 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RX_DIRECT 0
#endif
#endif
#ifndef RX_DIRECT
#define RX_DIRECT 1
#endif

#define EXPTIME_RELATIVE_MAX (60 * 60 * 24 * 30) /* seconds; larger times are absolute */

/** What session_state_name() answers. */
enum session_shown {
    SHOWN_NEW,
    SHOWN_READ,
    SHOWN_PARSE,
    SHOWN_NREAD,
    SHOWN_SWALLOW,
    SHOWN_WRITE,
    SHOWN_CLOSING,
};

static const char *const shown_names[] = {
    [SHOWN_NEW] = "conn_new_cmd",
    [SHOWN_READ] = "conn_read",
    [SHOWN_PARSE] = "conn_parse_cmd",
    [SHOWN_NREAD] = "conn_nread",
    [SHOWN_SWALLOW] = "conn_swallow",
    [SHOWN_WRITE] = "conn_mwrite",
    [SHOWN_CLOSING] = "conn_closing",
};

/* -- workers ------------------------------------------------------------------------------------------- */

struct session_worker *
session_worker_create(struct cache *cache, struct settings *settings, struct server_stats *server_stats,
                      const struct session_host *host)
{
    assert(cache != NULL && settings != NULL && server_stats != NULL);
    struct session_worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL) {
        return NULL;
    }
    worker->rx = malloc(SESSION_RX_SIZE);
    worker->tx.buf = malloc(SESSION_TX_SIZE);
    worker->thread = cache_thread_open(cache);
    if (worker->rx == NULL || worker->tx.buf == NULL || worker->thread == NULL) {
        goto fail;
    }
    worker->cache = cache;
    worker->settings = settings;
    worker->server_stats = server_stats;
    worker->host = host;
    worker->tx.cap = SESSION_TX_SIZE;
    worker->tx.longs = worker->longs;
    metric_set(&worker->stats.read_buffers, 1);
    metric_set(&worker->stats.read_bytes, SESSION_RX_SIZE);
    return worker;

fail:
    if (worker->thread != NULL) {
        cache_thread_close(cache, worker->thread);
    }
    free(worker->tx.buf);
    free(worker->rx);
    free(worker);
    return NULL;
}

void
session_worker_destroy(struct session_worker *worker)
{
    assert(worker->current == NULL);
    cache_thread_close(worker->cache, worker->thread);
    free(worker->rx_spare);
    free(worker->tx.buf);
    free(worker->rx);
    free(worker);
}

struct cache_thread *
session_worker_cache_thread(struct session_worker *worker)
{
    return worker->thread;
}

struct worker_stats *
session_worker_stats(struct session_worker *worker)
{
    return &worker->stats;
}

/** A level counter that goes down; it counts modulo 2^64. */
static void
level_sub(struct metric *metric, uint64_t n)
{
    metric_add(metric, (uint64_t)0 - n);
}

/* -- output -------------------------------------------------------------------------------------------- */

static bool
tx_empty(const struct tx *tx)
{
    return tx->at == tx->end && tx->longs_at == tx->longs_end;
}

void
tx_put_long(struct session_worker *worker, struct cache_pin *pin, uint8_t *bytes, uint64_t len)
{
    struct tx *tx = &worker->tx;
    assert(tx->longs_end < TX_LONGS_MAX);
    assert((pin == NULL) != (bytes == NULL));
    tx->longs[tx->longs_end++] = (struct tx_long){ .at = tx->end, .pin = pin, .bytes = bytes, .len = len };
    tx->long_bytes += len;
}

static void
tx_long_release(struct session_worker *worker, struct tx_long *item)
{
    if (item->pin != NULL) {
        cache_unpin(worker->cache, worker->thread, &item->pin);
    }
    free(item->bytes);
    item->bytes = NULL;
}

void
tx_rewind(struct session_worker *worker, uint32_t end, uint32_t longs_end)
{
    struct tx *tx = &worker->tx;
    assert(end >= tx->at && end <= tx->end);
    assert(longs_end >= tx->longs_at && longs_end <= tx->longs_end);
    while (tx->longs_end > longs_end) {
        tx->longs_end--;
        tx->long_bytes -= tx->longs[tx->longs_end].len;
        tx_long_release(worker, &tx->longs[tx->longs_end]);
    }
    tx->end = end;
}

static void
tx_clear(struct session_worker *worker, struct tx *tx)
{
    while (tx->longs_at < tx->longs_end) {
        tx_long_release(worker, &tx->longs[tx->longs_at++]);
    }
    tx->at = tx->end = 0;
    tx->longs_at = tx->longs_end = 0;
    tx->long_bytes = 0;
}

/** The queue that holds this session's output, or NULL. */
static struct tx *
tx_of(const struct session *session)
{
    if (session->tx_own != NULL) {
        return session->tx_own;
    }
    struct session_worker *worker = session->worker;
    return worker->current == session ? &worker->tx : NULL;
}

static void
tx_own_free(struct session *session)
{
    struct session_worker *worker = session->worker;
    struct tx *own = session->tx_own;
    session->tx_own = NULL;
    tx_clear(worker, own);
    level_sub(&worker->stats.response_bytes, own->cap);
    level_sub(&worker->stats.response_buffers, 1);
    free(own);
}

/** Moves what was not sent to memory of the session's own.  False when there is none. */
static bool
tx_keep_aside(struct session *session)
{
    struct session_worker *worker = session->worker;
    struct tx *tx = &worker->tx;
    assert(session->tx_own == NULL);
    uint32_t len = tx->end - tx->at;
    uint32_t longs = tx->longs_end - tx->longs_at;
    struct tx *own = malloc(sizeof(*own) + longs * sizeof(struct tx_long) + len);
    if (own == NULL) {
        metric_add(&worker->stats.response_oom, 1);
        tx_clear(worker, tx);
        return false;
    }
    own->longs = (struct tx_long *)(own + 1);
    own->buf = (uint8_t *)(own->longs + longs);
    own->cap = own->end = len;
    own->at = 0;
    own->longs_at = 0;
    own->longs_end = longs;
    own->long_bytes = tx->long_bytes;
    memcpy(own->buf, tx->buf + tx->at, len);
    for (uint32_t i = 0; i < longs; i++) {
        own->longs[i] = tx->longs[tx->longs_at + i];
        own->longs[i].at -= tx->at;
    }
    tx->longs_at = tx->longs_end; /* they have a new owner */
    tx_clear(worker, tx);
    session->tx_own = own;
    metric_add(&worker->stats.response_bytes, len);
    metric_add(&worker->stats.response_buffers, 1);
    return true;
}

bool
session_tx_pending(const struct session *session)
{
    const struct tx *tx = tx_of(session);
    return tx != NULL && !tx_empty(tx);
}

/** The bytes of a queue with long pieces between. */
static unsigned
tx_list(struct session_worker *worker, const struct tx *tx, struct iovec *iov, unsigned max)
{
    unsigned count = 0;
    uint32_t at = tx->at;
    for (uint32_t i = tx->longs_at; i < tx->longs_end; i++) {
        const struct tx_long *item = &tx->longs[i];
        if (item->at > at) {
            iov[count++] = (struct iovec){ tx->buf + at, item->at - at };
            at = item->at;
        }
        if (count == max) {
            return count;
        }
        if (item->bytes != NULL) {
            iov[count++] = (struct iovec){ item->bytes + item->sent, item->len - item->sent };
        } else {
            struct cache_piece pieces[SESSION_IOV_MAX];
            unsigned n = cache_pin_pieces(worker->cache, item->pin, item->sent, pieces, max - count);
            uint64_t listed = 0;
            for (unsigned j = 0; j < n; j++) {
                iov[count++] = (struct iovec){ (void *)(uintptr_t)pieces[j].at, pieces[j].len };
                listed += pieces[j].len;
            }
            if (listed < item->len - item->sent) {
                return count; /* more pieces than fit: what is behind them must wait */
            }
        }
        if (count == max) {
            return count;
        }
    }
    if (tx->end > at) {
        iov[count++] = (struct iovec){ tx->buf + at, tx->end - at };
    }
    return count;
}

unsigned
session_tx(struct session *session, struct iovec *iov, unsigned max)
{
    struct tx *tx = tx_of(session);
    if (tx == NULL || tx_empty(tx) || max == 0) {
        return 0;
    }
    if (tx->longs_at == tx->longs_end) { /* as mostly */
        iov[0] = (struct iovec){ tx->buf + tx->at, tx->end - tx->at };
        return 1;
    }
    return tx_list(session->worker, tx, iov, max < SESSION_IOV_MAX ? max : SESSION_IOV_MAX);
}
void
session_tx_done(struct session *session, size_t sent)
{
    if (sent == 0) {
        return;
    }
    struct session_worker *worker = session->worker;
    struct tx *tx = tx_of(session);
    assert(tx != NULL);
    metric_add(&worker->stats.bytes_written, sent);
    session->line_mark = false;
    if (tx == &worker->tx && tx->longs_at == tx->longs_end && sent == tx->end - tx->at) { /* as mostly */
        tx->at = tx->end = 0;
        tx->longs_at = tx->longs_end = 0;
        return;
    }

    while (sent > 0) {
        struct tx_long *item = tx->longs_at < tx->longs_end ? &tx->longs[tx->longs_at] : NULL;
        uint32_t until = item != NULL ? item->at : tx->end;
        if (until > tx->at) {
            size_t n = until - tx->at < sent ? until - tx->at : sent;
            tx->at += (uint32_t)n;
            sent -= n;
            continue;
        }
        assert(item != NULL); /* more was sent than there was */
        uint64_t n = item->len - item->sent < sent ? item->len - item->sent : sent;
        item->sent += n;
        tx->long_bytes -= n;
        sent -= n;
        if (item->sent == item->len) {
            tx_long_release(worker, item);
            tx->longs_at++;
        }
    }
    if (tx_empty(tx)) {
        if (tx == session->tx_own) {
            tx_own_free(session);
        } else {
            tx_clear(worker, tx);
        }
    }
}

/* -- input --------------------------------------------------------------------------------------------- */

static void
rx_own_free(struct session *session)
{
    struct worker_stats *stats = &session->worker->stats;
    level_sub(&stats->read_bytes, session->rx_own_cap);
    level_sub(&stats->read_buffers, 1);
    free(session->rx_own);
    session->rx_own = NULL;
}

/** Takes the worker's buffers, and puts what was kept aside of the input back into them. */
static void
session_attach(struct session *session)
{
    struct session_worker *worker = session->worker;
    if (worker->current == session) {
        return;
    }
    assert(worker->current == NULL);
    assert(worker->rx_at == worker->rx_end && tx_empty(&worker->tx));
    worker->current = session;
    worker->rx_at = worker->rx_end = 0;
    worker->line_tx_end = worker->line_longs_end = 0; /* of a line whose reply is empty so far */
    if (session->rx_own == NULL) {
        return;
    }
    if (session->rx_own_cap == SESSION_RX_SIZE) {
        uint8_t *own = session->rx_own;
        if (worker->rx_spare == NULL) {
            worker->rx_spare = worker->rx;
            metric_add(&worker->stats.read_bytes_free, SESSION_RX_SIZE);
        } else {
            free(worker->rx);
        }
        worker->rx = own;
        worker->rx_at = session->rx_own_at;
        worker->rx_end = session->rx_own_end;
        session->rx_own = NULL;
        level_sub(&worker->stats.read_bytes, SESSION_RX_SIZE);
        level_sub(&worker->stats.read_buffers, 1);
        return;
    }
    worker->rx_end = session->rx_own_end;
    memcpy(worker->rx, session->rx_own, session->rx_own_end);
    rx_own_free(session);
}

/** Moves what was received and not yet used to memory of the session's own.  False when there is none. */
static bool
rx_keep_aside(struct session *session)
{
    struct session_worker *worker = session->worker;
    uint32_t len = worker->rx_end - worker->rx_at;
    assert(session->rx_own == NULL && len > 0);
    uint8_t *fresh = NULL;
    if (len >= RX_SWAP_MIN && session->next != SESSION_READ) {
        /* Whole commands are waiting, and will be run at once: the buffer itself changes hands. */
        fresh = worker->rx_spare != NULL ? worker->rx_spare : malloc(SESSION_RX_SIZE);
        if (worker->rx_spare != NULL) {
            worker->rx_spare = NULL;
            level_sub(&worker->stats.read_bytes_free, SESSION_RX_SIZE);
        }
    }
    if (fresh != NULL) {
        session->rx_own = worker->rx;
        session->rx_own_at = worker->rx_at;
        session->rx_own_end = worker->rx_end;
        session->rx_own_cap = SESSION_RX_SIZE;
        worker->rx = fresh;
    } else {
        session->rx_own = malloc(len);
        if (session->rx_own == NULL) {
            metric_add(&worker->stats.read_oom, 1);
            return false;
        }
        memcpy(session->rx_own, worker->rx + worker->rx_at, len);
        session->rx_own_at = 0;
        session->rx_own_end = len;
        session->rx_own_cap = len;
    }
    metric_add(&worker->stats.read_bytes, session->rx_own_cap);
    metric_add(&worker->stats.read_buffers, 1);
    return true;
}

struct session_space
session_rx_space(struct session *session)
{
    session_attach(session);
    struct session_worker *worker = session->worker;
    assert(worker->direct_filled == 0);
    worker->direct = false;
    if (worker->rx_at == worker->rx_end) {
        worker->rx_at = worker->rx_end = 0;
        if (RX_DIRECT && session->state == SESSION_VALUE && session->value_left >= RX_DIRECT_MIN &&
            session->store.room >= RX_DIRECT_ROOM) {
            worker->direct = true;
            return (struct session_space){ session->store.at, session->store.room };
        }
    } else if (worker->rx_at > 0 && worker->rx_end + SESSION_RX_SIZE / 2 > SESSION_RX_SIZE) {
        memmove(worker->rx, worker->rx + worker->rx_at, worker->rx_end - worker->rx_at);
        worker->rx_end -= worker->rx_at;
        worker->rx_at = 0;
    }
    assert(worker->rx_end < SESSION_RX_SIZE); /* else the session has not been run until SESSION_READ */
    return (struct session_space){ worker->rx + worker->rx_end, SESSION_RX_SIZE - worker->rx_end };
}

void
session_rx_done(struct session *session, size_t received)
{
    struct session_worker *worker = session->worker;
    assert(worker->current == session);
    metric_add(&worker->stats.bytes_read, received);
    if (worker->direct) {
        assert(received <= session->store.room);
        worker->direct = false;
        worker->direct_filled = (uint32_t)received;
        return;
    }
    assert(received <= SESSION_RX_SIZE - worker->rx_end);
    worker->rx_end += (uint32_t)received;
}

/* -- sessions ------------------------------------------------------------------------------------------ */

static void
session_show(struct session *session, enum session_shown shown)
{
    atomic_store_explicit(&session->shown, (uint8_t)shown, memory_order_relaxed); /* relaxed: see the field */
}

const char *
session_state_name(const struct session *session)
{
    return shown_names[atomic_load_explicit(&session->shown, memory_order_relaxed)]; /* relaxed: see the field */
}

struct session *
session_create(struct session_worker *worker)
{
    struct session *session = calloc(1, sizeof(*session));
    if (session == NULL) {
        return NULL;
    }
    session->worker = worker;
    session->state = SESSION_COMMAND;
    session->protocol = SESSION_PROTOCOL_UNKNOWN;
    session->next = SESSION_READ;
    session_show(session, SHOWN_NEW);
    return session;
}

void
session_destroy(struct session *session)
{
    struct session_worker *worker = session->worker;
    if (worker->current == session) {
        tx_clear(worker, &worker->tx);
        worker->rx_at = worker->rx_end = 0;
        worker->direct = false;
        worker->direct_filled = 0;
        worker->current = NULL;
    }
    store_drop(session);
    if (session->tx_own != NULL) {
        tx_own_free(session);
    }
    if (session->rx_own != NULL) {
        rx_own_free(session);
    }
    free(session);
}

void
session_pause(struct session *session)
{
    struct session_worker *worker = session->worker;
    if (worker->current != session) {
        return;
    }
    assert(worker->direct_filled == 0); /* else session_run() was left out after session_rx_done() */
    bool kept = true;
    if (!tx_empty(&worker->tx)) {
        kept = tx_keep_aside(session);
    }
    if (worker->rx_at != worker->rx_end && session->state != SESSION_CLOSED && kept) {
        kept = rx_keep_aside(session);
    }
    worker->rx_at = worker->rx_end = 0;
    worker->direct = false;
    worker->current = NULL;
    if (!kept) {
        /* No memory for a half command or reply: this conversation cannot go on.  The next run says so. */
        store_drop(session);
        session_become(session, SESSION_CLOSED);
        session_show(session, SHOWN_CLOSING);
    } else if (session->tx_own != NULL) {
        session_show(session, SHOWN_WRITE);
    }
}

#define CAN(state) (1u << (state))
static const uint8_t session_ways[] = {
    [SESSION_COMMAND] = CAN(SESSION_GET_LINE) | CAN(SESSION_VALUE) | CAN(SESSION_VALUE_END) | CAN(SESSION_SWALLOW) |
                        CAN(SESSION_SKIP_LINE) | CAN(SESSION_CLOSED),
    [SESSION_GET_LINE] = CAN(SESSION_COMMAND) | CAN(SESSION_SKIP_LINE) | CAN(SESSION_CLOSED),
    [SESSION_VALUE] = CAN(SESSION_VALUE_END) | CAN(SESSION_SWALLOW) | CAN(SESSION_COMMAND) | CAN(SESSION_CLOSED),
    [SESSION_VALUE_END] = CAN(SESSION_COMMAND) | CAN(SESSION_CLOSED),
    [SESSION_SWALLOW] = CAN(SESSION_COMMAND) | CAN(SESSION_CLOSED),
    [SESSION_SKIP_LINE] = CAN(SESSION_COMMAND) | CAN(SESSION_CLOSED),
    [SESSION_CLOSED] = 0,
};

void
session_become(struct session *session, enum session_state state)
{
    if (session->state != (uint8_t)state) {
        assert((session_ways[session->state] & CAN(state)) != 0);
        session->state = (uint8_t)state;
    }
}

int64_t
session_expires_at(const struct session_worker *worker, int64_t exptime)
{
    if (exptime == 0) {
        return CACHE_NEVER;
    }
    if (exptime < 0) {
        return 1; /* a second of 1970: not after any now */
    }
    if (exptime <= EXPTIME_RELATIVE_MAX) {
        return cache_now(worker->cache) + exptime;
    }
    return exptime;
}

/* -- running ------------------------------------------------------------------------------------------- */

enum step
session_swallow(struct session *session, uint64_t len)
{
    struct session_worker *worker = session->worker;
    uint32_t there = worker->rx_end - worker->rx_at;
    if (len <= there) { /* as mostly: the refused block has come with its line */
        worker->rx_at += (uint32_t)len;
        session_become(session, SESSION_COMMAND);
        return STEP_ON;
    }
    worker->rx_at = worker->rx_end;
    session->swallow_left = len - there;
    session_become(session, SESSION_SWALLOW);
    return STEP_READ;
}

/** SKIP_LINE: drops input to the LF; then answers, unless the line has had its reply. */
static enum step
skip_line_run(struct session *session)
{
    struct session_worker *worker = session->worker;
    const uint8_t *at = worker->rx + worker->rx_at;
    const uint8_t *lf = memchr(at, '\n', worker->rx_end - worker->rx_at);
    if (lf == NULL) {
        worker->rx_at = worker->rx_end;
        return STEP_READ;
    }
    worker->rx_at += (uint32_t)(lf + 1 - at);
    session_become(session, SESSION_COMMAND);
    if (!session->line_silent) {
        TX_PUT(worker, "ERROR\r\n");
    }
    return STEP_ON;
}

/** Runs one command that is neither get nor gets. */
static enum step
run_request(struct session *session, const struct request *request)
{
    struct session_worker *worker = session->worker;
    switch (request->op) {
    case REQUEST_GET:
    case REQUEST_GETS:
        return read_get(session, request);
    case REQUEST_GAT:
    case REQUEST_GATS:
        return read_gat(session, request);
    case REQUEST_SET:
    case REQUEST_ADD:
    case REQUEST_REPLACE:
    case REQUEST_APPEND:
    case REQUEST_PREPEND:
    case REQUEST_CAS:
        return store_begin(session, request);
    case REQUEST_DELETE:
        arith_delete(session, request);
        return STEP_ON;
    case REQUEST_INCR:
    case REQUEST_DECR:
        arith_incr_decr(session, request);
        return STEP_ON;
    case REQUEST_TOUCH:
        arith_touch(session, request);
        return STEP_ON;
    case REQUEST_MN:
    case REQUEST_VERSION:
    case REQUEST_STATS:
    case REQUEST_FLUSH_ALL:
    case REQUEST_VERBOSITY:
    case REQUEST_CACHE_MEMLIMIT:
    case REQUEST_SHUTDOWN: {
        /* They may take long or wait for others, who may wait for readers. */
        cache_leave(worker->thread);
        enum step step = admin_run(session, request);
        cache_enter(worker->thread);
        return step;
    }
    case REQUEST_QUIT:
    case REQUEST_UNKNOWN_HTTP:
        return STEP_CLOSE;
    case REQUEST_ERROR:
        if (!request->noreply) {
            struct span text = text_error_reply(request->error);
            tx_put(worker, text.at, text.len);
        }
        return request->swallow > 0 ? session_swallow(session, request->swallow) : STEP_ON;
    }
    return STEP_CLOSE; /* not reached: the switch lists every value */
}

/** No LF in what is left: waits for it, or sees that the line is too long. */
static enum step
line_incomplete(struct session *session)
{
    struct session_worker *worker = session->worker;
    const uint8_t *at = worker->rx + worker->rx_at;
    uint32_t len = worker->rx_end - worker->rx_at;
    if (len > LINE_LEN_MAX && text_line_too_long(at, len)) {
        return STEP_CLOSE;
    }
    if (len == SESSION_RX_SIZE) {
        session->scanned = 0;
        return read_line_stream(session);
    }
    session->scanned = len;
    return STEP_READ;
}

/** COMMAND: runs command lines.  Keys of get lines gather in the batch until another command or the end comes. */
static enum step
commands_run(struct session *session)
{
    struct session_worker *worker = session->worker;
    struct request *request = &worker->request;
    if (session->scanned > 0) {
        /* The rest of a line, of which `scanned` bytes have been searched. */
        uint32_t len = worker->rx_end - worker->rx_at;
        assert(session->scanned <= len);
        const uint8_t *from = worker->rx + worker->rx_at + session->scanned;
        if (memchr(from, '\n', len - session->scanned) == NULL) {
            return line_incomplete(session);
        }
        session->scanned = 0;
    }

    struct cursor cur = { worker->rx + worker->rx_at, worker->rx + worker->rx_end };
    while (cur.at < cur.end) {
        enum step step;
        if (worker->budget == 0 || !tx_has_room(&worker->tx)) {
            step = read_batch_run(session);
            if (step != STEP_ON) {
                return step;
            }
            return worker->budget == 0 ? STEP_AGAIN : STEP_SEND;
        }
        if (text_parse(&cur, request) != PARSE_DONE) {
            step = read_batch_run(session);
            return step != STEP_ON ? step : line_incomplete(session);
        }
        if (request->op <= REQUEST_GETS) {
            worker->budget--;
            worker->rx_at = (uint32_t)(cur.at - worker->rx);
            if (read_get_one(worker, request)) {
                continue;
            }
            step = read_get(session, request);
        } else {
            /* Before rx_at moves: the batch may set it back, and then this line comes again. */
            step = read_batch_run(session);
            if (step != STEP_ON) {
                return step;
            }
            if (!tx_has_room(&worker->tx)) {
                return STEP_SEND;
            }
            worker->budget--;
            worker->rx_at = (uint32_t)(cur.at - worker->rx);
            step = run_request(session, request);
        }
        if (step != STEP_ON || session->state != SESSION_COMMAND) {
            return step;
        }
        cur.at = worker->rx + worker->rx_at;
    }
    enum step step = read_batch_run(session);
    return step != STEP_ON ? step : STEP_READ;
}

/** The protocol is chosen by the first byte, for the connection's whole life; -B can force it. */
static enum step
choose_protocol(struct session *session)
{
    struct session_worker *worker = session->worker;
    if (worker->rx_at == worker->rx_end) {
        return STEP_READ;
    }
    bool binary = worker->rx[worker->rx_at] == 0x80;
    switch (worker->settings->protocol) {
    case PROTOCOL_AUTO:
        break;
    case PROTOCOL_ASCII:
        binary = false;
        break;
    case PROTOCOL_BINARY:
        binary = true; /* with a wrong magic it closes, too */
        break;
    }
    if (binary) {
        return STEP_CLOSE; /* the binary protocol comes with issue 3; until then it is refused by closing */
    }
    session->protocol = SESSION_PROTOCOL_TEXT;
    return STEP_ON;
}

static enum step
run_states(struct session *session)
{
    struct session_worker *worker = session->worker;
    if (session->protocol == SESSION_PROTOCOL_UNKNOWN) {
        enum step step = choose_protocol(session);
        if (step != STEP_ON) {
            return step;
        }
    }
    for (;;) {
        enum step step = STEP_CLOSE;
        switch ((enum session_state)session->state) {
        case SESSION_COMMAND:
            step = commands_run(session);
            break;
        case SESSION_GET_LINE:
            step = tx_has_room(&worker->tx) ? read_line_run(session) : STEP_SEND;
            break;
        case SESSION_VALUE:
            step = store_value_run(session);
            break;
        case SESSION_VALUE_END:
            step = store_end_run(session);
            break;
        case SESSION_SWALLOW:
            step = session_swallow(session, session->swallow_left);
            break;
        case SESSION_SKIP_LINE:
            step = skip_line_run(session);
            break;
        case SESSION_CLOSED:
            break;
        }
        if (step != STEP_ON) {
            return step;
        }
    }
}

static enum session_shown
shown_while_waiting(const struct session *session)
{
    switch ((enum session_state)session->state) {
    case SESSION_COMMAND:
    case SESSION_GET_LINE:
        return SHOWN_READ;
    case SESSION_VALUE:
    case SESSION_VALUE_END:
        return SHOWN_NREAD;
    case SESSION_SWALLOW:
    case SESSION_SKIP_LINE:
        return SHOWN_SWALLOW;
    case SESSION_CLOSED:
        return SHOWN_CLOSING;
    }
    return SHOWN_CLOSING; /* not reached */
}

enum session_next
session_run(struct session *session)
{
    if (session->state == SESSION_CLOSED) {
        return SESSION_CLOSE;
    }
    if (session->tx_own != NULL) {
        return SESSION_SEND; /* a client that does not read its replies gets no more of them */
    }
    session_attach(session);
    struct session_worker *worker = session->worker;
    session_show(session, SHOWN_PARSE);
    worker->budget = worker->settings->reqs_per_event;
    /* relaxed: a switch; when exactly it is seen does not matter */
    worker->detail = atomic_load_explicit(&worker->settings->detail_enabled, memory_order_relaxed);

    cache_enter(worker->thread);
    enum step step = run_states(session);
    cache_leave(worker->thread);

    assert(worker->batch.count == 0);
    enum session_next next = SESSION_CLOSE;
    switch (step) {
    case STEP_ON:
    case STEP_READ:
        next = SESSION_READ;
        break;
    case STEP_AGAIN:
        metric_add(&worker->stats.conn_yields, 1);
        next = SESSION_AGAIN;
        break;
    case STEP_SEND:
        next = SESSION_SEND;
        break;
    case STEP_CLOSE:
        session_become(session, SESSION_CLOSED);
        break;
    }
    session->next = (uint8_t)next;
    session_show(session, shown_while_waiting(session));
    return next;
}
