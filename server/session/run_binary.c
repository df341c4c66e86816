/* The binary protocol.
 *
 * Consecutive gets gather in the worker's binary batch, as those of the text protocol do in theirs.
 * All others run one by one.  Requests whose lengths are wrong are answered, and end the
 * connection: where the next one begins nobody knows.  Errors are sent to quiet requests, too.
 */
#include "config.h"

#include "session/session_priv.h"

/* Bytes in which any hit whose value is copied finds room, and any miss. */
#define BINARY_VALUE_ROOM (BINARY_VALUE_HEAD_MAX + CACHE_COPY_MAX + TX_RESERVE)
_Static_assert(BINARY_VALUE_ROOM <= SESSION_TX_SIZE, "a copied value fits");
_Static_assert(BINARY_VALUE_HEAD_MAX <= TX_RESERVE && BINARY_ERROR_MAX <= TX_RESERVE,
               "replies without a value fit the reserve");
_Static_assert(BINARY_REQUEST_MAX < SESSION_RX_SIZE / 2, "a request less its value is received");

/** How a get, gat or touch is answered. */
enum {
    BINARY_HIT_KEY = 1,      /* with the key, a miss too */
    BINARY_HIT_NO_VALUE = 2, /* touch */
    BINARY_HIT_QUIET = 4,    /* no answer to a miss */
};

/* -- replies ----------------------------------------------------------------------------------- */

void
binary_put_error(struct session_worker *worker, struct binary_echo echo, enum binary_status status)
{
    uint8_t bytes[BINARY_ERROR_MAX];
    tx_put(worker, bytes, (size_t)(binary_write_error(bytes, echo, status) - bytes));
}

void
binary_put_text(struct session_worker *worker, struct binary_echo echo, enum binary_status status,
                const char *text)
{
    uint8_t bytes[BINARY_HEADER_LEN + 200];
    struct span span = { (const uint8_t *)text, strlen(text) };
    assert(span.len <= 200);
    tx_put(worker, bytes, (size_t)(binary_write_text(bytes, echo, status, span) - bytes));
}

void
binary_put_ok(struct session_worker *worker, struct binary_echo echo, uint64_t cas)
{
    uint8_t bytes[BINARY_OK_MAX];
    tx_put(worker, bytes, (size_t)(binary_write_ok(bytes, echo, cas) - bytes));
}

/* -- get, gat, touch --------------------------------------------------------------------------- */

static unsigned
hit_marks(const struct binary_request *request)
{
    bool key = request->op == BINARY_GETK || request->op == BINARY_GATK;
    return (key ? (unsigned)BINARY_HIT_KEY : 0) |
           (request->op == BINARY_TOUCH ? (unsigned)BINARY_HIT_NO_VALUE : 0) |
           (request->quiet ? (unsigned)BINARY_HIT_QUIET : 0);
}

/** Writes the reply of a hit at the end of the output.  False when there is none (any more). */
static bool
answer_hit(struct session_worker *worker, struct binary_echo echo, unsigned marks,
           struct cache_read *read, enum cache_result found)
{
    struct tx *tx = &worker->tx;
    struct span key = { read->key, (marks & BINARY_HIT_KEY) != 0 ? read->key_len : 0 };
    bool value = (marks & BINARY_HIT_NO_VALUE) == 0;
    for (; found == CACHE_OK; found = cache_find(worker->cache, worker->thread, read)) {
        uint8_t *at = binary_write_value_head(tx->buf + tx->end, echo, key, read->client_flags,
                                              value ? read->value_len : 0, read->cas);
        if (value && read->pin == NULL) {
            cache_copy(worker->cache, read, at);
            at += read->value_len;
        }
        if (!cache_hit(worker->cache, worker->thread, read)) {
            continue; /* it changed meanwhile: what was written is void */
        }
        tx->end = (uint32_t)(at - tx->buf);
        if (read->pin != NULL && value) {
            tx_put_long(worker, read->pin, NULL, read->value_len);
        } else if (read->pin != NULL) {
            cache_unpin(worker->cache, worker->thread, &read->pin);
        }
        return true;
    }
    return false;
}

static void
answer_miss(struct session_worker *worker, struct binary_echo echo, unsigned marks, struct span key)
{
    if ((marks & BINARY_HIT_QUIET) != 0) {
        return;
    }
    if ((marks & BINARY_HIT_KEY) == 0) {
        binary_put_error(worker, echo, BINARY_STATUS_NOT_FOUND);
        return;
    }
    uint8_t *at = worker->tx.buf + worker->tx.end;
    worker->tx.end = (uint32_t)(binary_write_key_miss(at, echo, key) - worker->tx.buf);
}

/** Whether any answer to a get has room. */
static bool
value_has_room(const struct tx *tx)
{
    return tx->cap - tx->end >= BINARY_VALUE_ROOM && tx_takes_long(tx);
}

/** Looks up what is in the batch.  STEP_ON, or STEP_SEND with the input set back to the first
 * request not answered. */
static enum step
batch_run(struct session_worker *worker)
{
    struct binary_batch *batch = &worker->binary;
    unsigned count = batch->count;
    if (count == 0) {
        return STEP_ON;
    }
    batch->count = 0;
    if (count > 1) {
        cache_prefetch(worker->cache, batch->reads, count);
    }
    for (unsigned i = 0; i < count; i++) {
        struct cache_read *read = &batch->reads[i];
        /* Before the look-up, for what has been found must be read to its end. */
        if (!value_has_room(&worker->tx)) {
            metric_add(&worker->stats.cmd_get, i);
            worker->rx_at = batch->request_at[i];
            return STEP_SEND;
        }
        enum cache_result found = read_find(worker, read, count);
        bool hit = answer_hit(worker, batch->echo[i], batch->marks[i], read, found);
        if (!hit) {
            answer_miss(worker, batch->echo[i], batch->marks[i],
                        (struct span){ read->key, read->key_len });
        }
        if (__builtin_expect(worker->noted, 0)) {
            note_read(worker, read, hit);
        }
    }
    metric_add(&worker->stats.cmd_get, count);
    return STEP_ON;
}

/** Adds a get that begins at rx_at. */
static void
batch_add(struct session_worker *worker, const struct binary_request *request)
{
    struct binary_batch *batch = &worker->binary;
    assert(batch->count < CACHE_BATCH_MAX);
    unsigned i = batch->count++;
    batch->request_at[i] = worker->rx_at;
    batch->marks[i] = (uint8_t)hit_marks(request);
    batch->echo[i] = request->echo;
    batch->reads[i].key = request->key.at;
    batch->reads[i].key_len = (uint32_t)request->key.len;
    batch->reads[i].mode = CACHE_READ_HIT;
}

struct touch {
    struct session_worker *worker;
    struct binary_echo echo;
    unsigned marks;
};

/** read_answer_fn; `arg` is a struct touch. */
static bool
touch_answer(void *arg, struct cache_read *read)
{
    const struct touch *touch = arg;
    return answer_hit(touch->worker, touch->echo, touch->marks, read, CACHE_OK);
}

static void
run_touch(struct session_worker *worker, const struct binary_request *request)
{
    struct touch touch = { worker, request->echo, hit_marks(request) };
    int64_t expires_at = session_expires_at(worker, request->exptime);
    bool hit = read_and_touch(worker, request->key, expires_at, touch_answer, &touch);
    bool sent = hit && (touch.marks & BINARY_HIT_NO_VALUE) == 0;
    note_request(worker, request->key.at, request->key.len,
                 sent ? worker->batch.reads[0].value_len : 0);
    if (!hit) {
        answer_miss(worker, request->echo, touch.marks, request->key);
    }
}

/* -- set, add, replace, append, prepend -------------------------------------------------------- */

/** A CAS id turns a set, add or replace into a cas. */
static enum cache_store_mode
store_mode(const struct binary_request *request)
{
    if (request->op == BINARY_APPEND) {
        return CACHE_APPEND;
    }
    if (request->op == BINARY_PREPEND) {
        return CACHE_PREPEND;
    }
    if (request->cas != 0) {
        return CACHE_CAS;
    }
    if (request->op == BINARY_ADD) {
        return CACHE_ADD;
    }
    return request->op == BINARY_REPLACE ? CACHE_REPLACE : CACHE_SET;
}

/** Counts a store, and answers it. */
static enum step
answer_store(struct session_worker *worker, enum cache_store_mode mode, enum cache_result result,
             uint64_t cas_new, struct binary_echo echo, bool quiet)
{
    metric_add(&worker->stats.cmd_set, 1);
    enum binary_status status = BINARY_STATUS_NOT_STORED;
    switch (result) {
    case CACHE_OK:
        if (!quiet) {
            binary_put_ok(worker, echo, cas_new);
        }
        return STEP_ON;
    case CACHE_EXISTS:
        status = BINARY_STATUS_EXISTS;
        break;
    case CACHE_MISS:
        status = BINARY_STATUS_NOT_FOUND;
        break;
    case CACHE_NOT_STORED:
        if (mode == CACHE_ADD) {
            status = BINARY_STATUS_EXISTS;
        } else if (mode == CACHE_REPLACE) {
            status = BINARY_STATUS_NOT_FOUND;
        }
        break;
    case CACHE_TOO_LARGE: /* the sum of an append */
    case CACHE_NO_MEMORY:
        break;
    case CACHE_NOT_NUMBER:
        assert(false && "no answer to a store");
        break;
    }
    binary_put_error(worker, echo, status);
    return STEP_ON;
}

enum step
binary_store_finish(struct session *session, struct cache_store *store, enum cache_store_mode mode,
                    uint64_t cas, struct binary_echo echo, bool quiet)
{
    uint64_t cas_new = 0;
    enum cache_result result = store_commit(session->worker, store, mode, cas, &cas_new);
    return answer_store(session->worker, mode, result, cas_new, echo, quiet);
}

/** No room for the item: throws its value away, and with a set the item that is there. */
static enum step
store_refuse(struct session *session, const struct binary_request *request,
             enum cache_result result)
{
    struct session_worker *worker = session->worker;
    note_store_refused(worker, request->key.at, request->key.len, store_mode(request), result,
                       request->value_len);
    if (request->op == BINARY_SET) {
        store_unlink_old(worker, request->key.at, request->key.len);
    }
    if (result == CACHE_TOO_LARGE) {
        binary_put_error(worker, request->echo, BINARY_STATUS_TOO_LARGE);
    } else {
        binary_put_text(worker, request->echo, BINARY_STATUS_NO_MEMORY,
                        "Out of memory allocating item");
    }
    return session_swallow(session, request->value_len);
}

/** A set whose value has come with it. */
static enum step
set_at_once(struct session *session, const struct binary_request *request)
{
    struct session_worker *worker = session->worker;
    uint64_t cas = 0;
    enum cache_result result =
        set_received(worker, request->key, request->value_len, request->flags,
                     session_expires_at(worker, request->exptime), &cas);
    if (result == CACHE_TOO_LARGE || result == CACHE_NO_MEMORY) {
        return store_refuse(session, request, result);
    }
    worker->rx_at += request->value_len;
    return answer_store(worker, CACHE_SET, result, cas, request->echo, request->quiet);
}

static enum step
run_store(struct session *session, const struct binary_request *request)
{
    struct session_worker *worker = session->worker;
    enum cache_store_mode mode = store_mode(request);
    bool joins = mode == CACHE_APPEND || mode == CACHE_PREPEND; /* it has no extras */
    if (__builtin_expect(worker->detail, 0)) {
        prefix_count_set(worker->server_stats->prefixes, request->key.at, request->key.len);
    }
    if (mode == CACHE_SET && worker->rx_end - worker->rx_at >= request->value_len &&
        !stores_are_noted(worker)) {
        return set_at_once(session, request);
    }
    note_request(worker, request->key.at, request->key.len, 0);
    struct cache_store store;
    enum cache_result result = cache_store_begin(
        worker->cache, worker->thread, request->key.at, (uint32_t)request->key.len,
        request->value_len, joins ? 0 : request->flags,
        joins ? CACHE_NEVER : session_expires_at(worker, request->exptime), &store);
    if (result != CACHE_OK) {
        return store_refuse(session, request, result);
    }
    if (worker->rx_end - worker->rx_at < request->value_len || store.room < request->value_len) {
        struct upload *upload = upload_begin(session, &store, mode, request->key, UPLOAD_BINARY);
        if (upload == NULL) {
            return store_refuse(session, request, CACHE_NO_MEMORY);
        }
        upload->cas = request->cas;
        upload->noreply = request->quiet;
        upload->echo = request->echo;
        return STEP_ON;
    }
    if (request->value_len > 0) {
        result = cache_store_write(worker->cache, worker->thread, &store,
                                   worker->rx + worker->rx_at, request->value_len);
        assert(result == CACHE_OK); /* it fits one chunk */
        worker->rx_at += request->value_len;
    }
    return binary_store_finish(session, &store, mode, request->cas, request->echo, request->quiet);
}

/* -- the others -------------------------------------------------------------------------------- */

/** stat and flush, which may take long or wait for others, who may wait for readers. */
static enum step
run_admin(struct session *session, const struct binary_request *request)
{
    struct session_worker *worker = session->worker;
    enum step step = STEP_ON;
    cache_leave(worker->thread);
    if (request->op == BINARY_STAT) {
        step = stats_run_binary(session, request);
    } else if (flush_must_wait(session, CACHE_FLUSH_ALL)) {
        step = STEP_ON; /* the request comes again */
    } else if (!admin_flush(worker, request->exptime)) {
        binary_put_error(worker, request->echo, BINARY_STATUS_AUTH_ERROR);
    } else if (!request->quiet) {
        binary_put_ok(worker, request->echo, 0);
    }
    cache_enter(worker->thread);
    return step;
}

/** A client that has logged in asks again who it may be: until it is told, it is nobody. */
static enum step
run_sasl(struct session *session, const struct binary_request *request)
{
    struct session_worker *worker = session->worker;
    if (request->op == BINARY_SASL_LIST) {
        sasl_put_mechanisms(worker, request->echo);
        return STEP_ON;
    }
    worker->rx_at = worker->command_at; /* the request comes again */
    session->sasl = NULL;
    session_become(session, SESSION_LOGIN);
    return STEP_ON;
}

/** Runs one request that is no get; rx_at stands behind its key. */
static enum step
run_request(struct session *session, const struct binary_request *request)
{
    struct session_worker *worker = session->worker;
    switch (request->op) {
    case BINARY_SET:
    case BINARY_ADD:
    case BINARY_REPLACE:
    case BINARY_APPEND:
    case BINARY_PREPEND:
        return run_store(session, request);
    case BINARY_DELETE:
        arith_binary_delete(worker, request);
        return STEP_ON;
    case BINARY_INCR:
    case BINARY_DECR:
        arith_binary_incr_decr(worker, request);
        return STEP_ON;
    case BINARY_TOUCH:
    case BINARY_GAT:
    case BINARY_GATK:
        run_touch(worker, request);
        return STEP_ON;
    case BINARY_STAT:
    case BINARY_FLUSH:
        worker->budget = 0; /* as in admin_run() */
        return run_admin(session, request);
    case BINARY_NOOP: /* all replies of a run leave together: nothing needs to be forced */
        binary_put_ok(worker, request->echo, 0);
        return STEP_ON;
    case BINARY_VERSION:
        binary_put_text(worker, request->echo, BINARY_STATUS_OK, SERVER_COMPAT_VERSION);
        return STEP_ON;
    case BINARY_QUIT:
        if (!request->quiet) {
            binary_put_ok(worker, request->echo, 0);
        }
        worker->end = SESSION_END_NORMAL;
        return STEP_CLOSE;
    case BINARY_SASL_LIST:
    case BINARY_SASL_AUTH:
    case BINARY_SASL_STEP:
        if (login_is_asked(worker)) {
            return run_sasl(session, request);
        }
        binary_put_error(worker, request->echo, BINARY_STATUS_UNKNOWN);
        return session_swallow(session, request->value_len);
    case BINARY_UNKNOWN:
        binary_put_error(worker, request->echo, BINARY_STATUS_UNKNOWN);
        return session_swallow(session, request->value_len);
    case BINARY_ERROR:
        binary_put_error(worker, request->echo, request->error);
        return STEP_CLOSE;
    case BINARY_CLOSE:
    case BINARY_GET: /* not reached */
    case BINARY_GETK:
        return STEP_CLOSE;
    }
    return STEP_CLOSE; /* not reached: the switch lists every value */
}

/** A request that is no get; `end` is where it ends, less its value.  The gets before it come
 * first: they may set the input back, and then it comes again. */
static enum step
run_alone(struct session *session, const struct binary_request *request, const uint8_t *end)
{
    struct session_worker *worker = session->worker;
    enum step step = batch_run(worker);
    if (step != STEP_ON) {
        return step;
    }
    bool reads =
        request->op == BINARY_TOUCH || request->op == BINARY_GAT || request->op == BINARY_GATK;
    if (!tx_has_room(&worker->tx) || (reads && !value_has_room(&worker->tx))) {
        return STEP_SEND;
    }
    worker->budget--;
    worker->command_at = worker->rx_at;
    worker->rx_at = (uint32_t)(end - worker->rx);
    return run_request(session, request);
}

enum step
binary_run(struct session *session)
{
    struct session_worker *worker = session->worker;
    for (;;) {
        if (worker->budget == 0 || !tx_has_room(&worker->tx)) {
            enum step step = batch_run(worker);
            if (step != STEP_ON) {
                return step;
            }
            return worker->budget == 0 ? STEP_AGAIN : STEP_SEND;
        }
        struct cursor cur = { worker->rx + worker->rx_at, worker->rx + worker->rx_end };
        struct binary_request request;
        bool magic = cur.at == cur.end || *cur.at == BINARY_MAGIC;
        if (magic && binary_parse(&cur, &request) == PARSE_MORE) {
            enum step step = batch_run(worker);
            return step != STEP_ON ? step : STEP_READ;
        }
        if (!magic) {
            request.op = BINARY_CLOSE; /* at once, without waiting for a whole header */
        }
        enum step step = STEP_ON;
        if (request.op == BINARY_GET || request.op == BINARY_GETK) {
            worker->budget--;
            batch_add(worker, &request);
            worker->rx_at = (uint32_t)(cur.at - worker->rx);
            if (worker->binary.count == CACHE_BATCH_MAX) {
                step = batch_run(worker);
            }
        } else {
            step = run_alone(session, &request, cur.at);
        }
        if (step != STEP_ON || session->state != SESSION_COMMAND) {
            return step;
        }
    }
}
