#include "config.h"

#include "session/session.h"
#include "session/session_priv.h"

#include <stdlib.h>

#define EXPTIME_RELATIVE_MAX (60 * 60 * 24 * 30) /* seconds; larger times are absolute */

static const char *const shown_names[] = {
    [SHOWN_NEW] = "conn_new_cmd",     [SHOWN_READ] = "conn_read",
    [SHOWN_PARSE] = "conn_parse_cmd", [SHOWN_NREAD] = "conn_nread",
    [SHOWN_SWALLOW] = "conn_swallow", [SHOWN_WRITE] = "conn_mwrite",
    [SHOWN_CLOSING] = "conn_closing", [SHOWN_WATCH] = "conn_watch",
};

/* -- sessions ---------------------------------------------------------------------------------- */

const char *
session_state_name(const struct session *session)
{
    return shown_names[atomic_load_explicit(&session->shown,
                                            memory_order_relaxed)]; /* relaxed: see the field */
}

void
session_speak(struct session *session, enum settings_protocol protocol)
{
    assert(session->state == SESSION_COMMAND || session->state == SESSION_LOGIN);
    session->speaks = (uint8_t)protocol;
    switch (protocol) {
    case PROTOCOL_AUTO:
        session->protocol = SESSION_PROTOCOL_UNKNOWN;
        break;
    case PROTOCOL_ASCII:
        session->protocol = SESSION_PROTOCOL_TEXT;
        break;
    case PROTOCOL_BINARY:
        session->protocol = SESSION_PROTOCOL_BINARY; /* a wrong magic closes it */
        break;
    }
}

static void
session_init(struct session *session, struct session_worker *worker, bool datagram,
             enum settings_protocol speaks)
{
    memset(session, 0, sizeof(*session));
    session->worker = worker;
    session->state = login_is_asked(worker) ? SESSION_LOGIN : SESSION_COMMAND;
    session_speak(session, speaks);
    session->next = SESSION_READ;
    session->datagram = datagram;
    session_show(session, SHOWN_NEW);
}

struct session *
session_create(struct session_worker *worker)
{
    struct session *session = malloc(sizeof(*session));
    if (session != NULL) {
        session_init(session, worker, false, worker->settings->protocol);
    }
    return session;
}

struct session *
session_create_datagram(struct session_worker *worker)
{
    struct session *session = malloc(sizeof(*session));
    if (session != NULL) {
        session_init(session, worker, true, worker->settings->protocol);
    }
    return session;
}

/** Gives back all that it owns. */
static void
session_fini(struct session *session)
{
    struct session_worker *worker = session->worker;
    if (worker->current == session) {
        tx_clear(worker, &worker->tx);
        worker->rx_at = worker->rx_end = 0;
        worker->rx_way = RX_BUFFER;
        worker->item_filled = 0;
        worker->current = NULL;
    }
    session_drop_work(session);
    if (session->tx_own != NULL) {
        tx_own_free(session);
    }
    if (session->rx_own != NULL) {
        rx_own_free(session);
    }
}

void
session_reset(struct session *session)
{
    session_fini(session);
    session_init(session, session->worker, session->datagram,
                 (enum settings_protocol)session->speaks);
}

void
session_destroy(struct session *session)
{
    session_fini(session);
    free(session);
}

bool
session_in_command(const struct session *session)
{
    return session->state != SESSION_COMMAND && session->state != SESSION_CLOSED;
}

void
session_drop_work(struct session *session)
{
    if (session->state == SESSION_DUMP) {
        dump_drop(session);
    } else {
        store_drop(session);
    }
    sasl_drop(session);
    watch_drop(session);
    hook_drop(session);
    snapshot_drop(session);
    flush_drop(session);
}

#define CAN(state) (1u << (state))
static const uint16_t session_ways[] = {
    [SESSION_COMMAND] = CAN(SESSION_GET_LINE) | CAN(SESSION_VALUE) | CAN(SESSION_VALUE_END) |
                        CAN(SESSION_SWALLOW) | CAN(SESSION_SKIP_LINE) | CAN(SESSION_LOGIN) |
                        CAN(SESSION_WATCH) | CAN(SESSION_HOOK_WAIT) | CAN(SESSION_SNAPSHOT_WAIT) |
                        CAN(SESSION_FLUSH_WAIT) | CAN(SESSION_DUMP) | CAN(SESSION_CLOSED),
    [SESSION_DUMP] = CAN(SESSION_COMMAND) | CAN(SESSION_CLOSED),
    [SESSION_GET_LINE] = CAN(SESSION_COMMAND) | CAN(SESSION_SKIP_LINE) | CAN(SESSION_CLOSED),
    [SESSION_VALUE] =
        CAN(SESSION_VALUE_END) | CAN(SESSION_SWALLOW) | CAN(SESSION_COMMAND) | CAN(SESSION_CLOSED),
    [SESSION_VALUE_END] = CAN(SESSION_COMMAND) | CAN(SESSION_CLOSED),
    [SESSION_SWALLOW] = CAN(SESSION_COMMAND) | CAN(SESSION_CLOSED),
    [SESSION_SKIP_LINE] = CAN(SESSION_COMMAND) | CAN(SESSION_CLOSED),
    [SESSION_LOGIN] = CAN(SESSION_COMMAND) | CAN(SESSION_CLOSED),
    [SESSION_WATCH] = CAN(SESSION_CLOSED),
    [SESSION_HOOK_WAIT] = CAN(SESSION_COMMAND) | CAN(SESSION_CLOSED),
    [SESSION_SNAPSHOT_WAIT] = CAN(SESSION_COMMAND) | CAN(SESSION_CLOSED),
    [SESSION_FLUSH_WAIT] = CAN(SESSION_COMMAND) | CAN(SESSION_CLOSED),
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

/* -- running ----------------------------------------------------------------------------------- */

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

/** Whether the answer goes on for as long as the client listens, or as the cache is large, or comes
 * late.  Such commands are not run for a datagram, and not answered, as with memcached. */
static bool
answers_with_a_stream(const struct request *request)
{
    return request->op == REQUEST_WATCH ||
           (request->op == REQUEST_HOOK && request->args_count > 0 &&
            span_equals(request->args[0], "wait")) ||
           (request->op == REQUEST_LARDER && request->args_count > 0 &&
            span_equals(request->args[0], "snapshot")) ||
           (request->op == REQUEST_LRU_CRAWLER && request->args_count > 0 &&
            (span_equals(request->args[0], "metadump") || span_equals(request->args[0], "mgdump")));
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
    case REQUEST_VERSION:
    case REQUEST_STATS:
    case REQUEST_FLUSH_ALL:
    case REQUEST_VERBOSITY:
    case REQUEST_CACHE_MEMLIMIT:
    case REQUEST_SHUTDOWN:
    case REQUEST_REFRESH_CERTS:
    case REQUEST_SLABS:
    case REQUEST_LRU:
    case REQUEST_LRU_CRAWLER:
    case REQUEST_WATCH:
    case REQUEST_LARDER:
    case REQUEST_HOOK: {
        if (session->datagram && answers_with_a_stream(request)) {
            return STEP_CLOSE;
        }
        /* They may take long or wait for others, who may wait for readers. */
        cache_leave(worker->thread);
        enum step step = admin_run(session, request);
        cache_enter(worker->thread);
        return step;
    }
    case REQUEST_QUIT:
        worker->end = SESSION_END_NORMAL;
        return STEP_CLOSE;
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

/** Looks up what has gathered: at most one of the two batches holds anything. */
static enum step
batches_run(struct session *session)
{
    enum step step = read_batch_run(session);
    return step != STEP_ON ? step : meta_batch_run(session);
}

/** Runs a line for which meta_is_command() holds; the gets before it come first. */
static inline enum step
run_meta_line(struct session *session, struct cursor *cur)
{
    enum step step = read_batch_run(session);
    if (step != STEP_ON) {
        return step;
    }
    step = meta_line(session, cur);
    if (step != STEP_READ) {
        return step;
    }
    step = meta_batch_run(session);
    return step != STEP_ON ? step : line_incomplete(session);
}

/** COMMAND: runs command lines.  Keys of get lines gather in the batch until another command or the
 * end comes. */
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
            step = batches_run(session);
            if (step != STEP_ON) {
                return step;
            }
            return worker->budget == 0 ? STEP_AGAIN : STEP_SEND;
        }
        if (*cur.at == 'm' && meta_is_command(cur.at, (size_t)(cur.end - cur.at))) {
            step = run_meta_line(session, &cur);
            if (step != STEP_ON || session->state != SESSION_COMMAND) {
                return step;
            }
            cur.at = worker->rx + worker->rx_at;
            continue;
        }
        step = meta_batch_run(session);
        if (step != STEP_ON) {
            return step;
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
            worker->command_at = worker->rx_at;
            worker->rx_at = (uint32_t)(cur.at - worker->rx);
            step = run_request(session, request);
        }
        if (step != STEP_ON || session->state != SESSION_COMMAND) {
            return step;
        }
        cur.at = worker->rx + worker->rx_at;
    }
    enum step step = batches_run(session);
    return step != STEP_ON ? step : STEP_READ;
}

/** The protocol is chosen by the first byte, for the connection's whole life, unless -B or the
 * listener says it. */
static enum step
choose_protocol(struct session *session)
{
    const struct session_worker *worker = session->worker;
    if (worker->rx_at == worker->rx_end) {
        return STEP_READ;
    }
    session->protocol =
        worker->rx[worker->rx_at] == BINARY_MAGIC ? SESSION_PROTOCOL_BINARY : SESSION_PROTOCOL_TEXT;
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
            step = session->protocol == SESSION_PROTOCOL_BINARY ? binary_run(session)
                                                                : commands_run(session);
            break;
        case SESSION_DUMP:
            step = dump_run(session);
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
        case SESSION_LOGIN:
            step = login_run(session);
            break;
        case SESSION_WATCH:
            step = watch_run(session);
            break;
        case SESSION_HOOK_WAIT:
            step = hook_wait_run(session);
            break;
        case SESSION_SNAPSHOT_WAIT:
            step = snapshot_wait_run(session);
            break;
        case SESSION_FLUSH_WAIT:
            step = flush_wait_run(session);
            break;
        case SESSION_CLOSED:
            break;
        }
        if (step != STEP_ON) {
            return step;
        }
    }
}

/** What is shown of a session between two runs, by its state. */
static const uint8_t shown_while_waiting[] = {
    [SESSION_COMMAND] = SHOWN_READ,        [SESSION_GET_LINE] = SHOWN_READ,
    [SESSION_LOGIN] = SHOWN_READ,          [SESSION_DUMP] = SHOWN_WRITE,
    [SESSION_VALUE] = SHOWN_NREAD,         [SESSION_VALUE_END] = SHOWN_NREAD,
    [SESSION_SWALLOW] = SHOWN_SWALLOW,     [SESSION_SKIP_LINE] = SHOWN_SWALLOW,
    [SESSION_WATCH] = SHOWN_WATCH,         [SESSION_HOOK_WAIT] = SHOWN_WATCH,
    [SESSION_SNAPSHOT_WAIT] = SHOWN_WATCH, [SESSION_FLUSH_WAIT] = SHOWN_WATCH,
    [SESSION_CLOSED] = SHOWN_CLOSING,
};

/** A closed session whose client goes on: it is told once why nothing more is answered. */
static enum session_next
run_closed(struct session *session)
{
    if (session->lost) {
        session->lost = false;
        session_attach(session);
        if (session->protocol == SESSION_PROTOCOL_TEXT) {
            TX_PUT(session->worker, "SERVER_ERROR out of memory reading request\r\n");
        }
    }
    return SESSION_CLOSE;
}

enum session_end
session_end(struct session *session)
{
    enum session_end end = (enum session_end)session->worker->end;
    session->worker->end = SESSION_END_ERROR;
    return end;
}

bool
session_watches(const struct session *session)
{
    return session->state == SESSION_WATCH || session_waits(session);
}

bool
session_waits(const struct session *session)
{
    return session->state == SESSION_HOOK_WAIT || session->state == SESSION_SNAPSHOT_WAIT ||
           session->state == SESSION_FLUSH_WAIT;
}

enum session_next
session_run(struct session *session)
{
    if (session->state == SESSION_CLOSED) {
        return run_closed(session);
    }
    if (session->tx_own != NULL) {
        return SESSION_SEND; /* a client that does not read its replies gets no more of them */
    }
    session_attach(session);
    struct session_worker *worker = session->worker;
    session_show(session, SHOWN_PARSE);
    /* A datagram's command, or the rest of one: each reply leaves by itself. */
    worker->budget =
        session->datagram ? session->state == SESSION_COMMAND : worker->settings->reqs_per_event;
    session_read_switches(worker);

    cache_enter(worker->thread);
    enum step step = run_states(session);
    cache_leave(worker->thread);

    assert(worker->batch.count == 0 && worker->meta.count == 0 && worker->binary.count == 0);
    enum session_next next = SESSION_CLOSE;
    switch (step) {
    case STEP_ON:
    case STEP_READ:
        next = SESSION_READ;
        break;
    case STEP_AGAIN:
        /* A dump yields after each slice, which is no sign of too many requests. */
        metric_add(&worker->stats.conn_yields,
                   session->datagram || session->state == SESSION_DUMP ? 0 : 1);
        next = SESSION_AGAIN;
        break;
    case STEP_SEND:
        next = SESSION_SEND;
        break;
    case STEP_CLOSE:
        sasl_drop(session);
        session_become(session, SESSION_CLOSED);
        break;
    }
    session->next = (uint8_t)next;
    session_show(session, (enum session_shown)shown_while_waiting[session->state]);
    return next;
}
