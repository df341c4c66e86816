/* get, gets, gat, gats.
 *
 * Keys of consecutive get lines gather in the worker's batch, so that the engine can fetch their
 * buckets and items side by side; answers go straight into the send buffer.  A get line may be
 * answered in pieces: when the batch is full, when the send buffer is, or because the line is
 * longer than the receive buffer.  Then the session is in GET_LINE, and the input stands at the
 * first key not yet answered.
 *
 * A key above KEY_LEN_MAX turns the whole reply into one error line.  That holds for all lines that
 * fit the receive buffer (SESSION_RX_SIZE): the reply so far is taken back, or, when the send
 * buffer is full and a part must leave, the rest of the line is looked through first.  The keys of
 * a longer line are answered as they arrive, so that its memory stays bounded; if some of its reply
 * has left when the bad key comes, the error line ends the reply.
 */
#include "config.h"

#include "session/session_priv.h"

/** The line's reply ends here with an error; what was built of it is taken back, if it is still
 * there. */
static enum step
read_line_bad(struct session *session)
{
    struct session_worker *worker = session->worker;
    if (session->line_mark) {
        tx_rewind(worker, worker->line_tx_end, worker->line_longs_end);
    }
    struct span text = text_error_reply(REQUEST_ERR_FORMAT);
    tx_put(worker, text.at, text.len);
    return STEP_ON;
}

/** Whether a key of the list is too long. */
static bool
keys_have_bad(struct span keys)
{
    struct span key;
    enum parse_status status;
    do {
        status = text_next_key(&keys, &key);
    } while (status == PARSE_DONE);
    return status == PARSE_BAD;
}

/** The bytes [at, lf) less a CR at their end. */
static struct span
line_keys(const uint8_t *at, const uint8_t *lf)
{
    if (lf > at && lf[-1] == '\r') {
        lf--;
    }
    return (struct span){ at, (size_t)(lf - at) };
}

/**
 * No room for the answer to batch entry `i`: sets the input back to its key, to go on there when
 * the output has left. If a key further on in the line is bad, nothing of its values needs to
 * leave: it is answered here and now.
 */
static enum step
read_blocked(struct session *session, unsigned i)
{
    struct session_worker *worker = session->worker;
    struct read_batch *batch = &worker->batch;
    const uint8_t *at = batch->reads[i].key;
    const uint8_t *end = worker->rx + worker->rx_end;
    const uint8_t *lf = memchr(at, '\n', (size_t)(end - at));
    batch->count = 0;
    if (session->state == SESSION_COMMAND) {
        session->line_op = (batch->marks[i] & READ_CAS) != 0 ? REQUEST_GETS : REQUEST_GET;
    }
    session->line_keys = true;
    worker->rx_at = (uint32_t)(at - worker->rx);
    session_become(session, SESSION_GET_LINE);
    session->line_left = lf != NULL ? (uint32_t)(lf + 1 - at) : 0;
    if (lf != NULL && session->line_mark && keys_have_bad(line_keys(at, lf))) {
        worker->rx_at = (uint32_t)(lf + 1 - worker->rx);
        session_become(session, SESSION_COMMAND);
        read_line_bad(session);
    }
    return STEP_SEND;
}

enum step
read_batch_answer(struct session *session)
{
    struct session_worker *worker = session->worker;
    struct read_batch *batch = &worker->batch;
    unsigned count = batch->count;
    struct cache *cache = worker->cache;
    struct cache_thread *thread = worker->thread;
    struct tx *tx = &worker->tx;
    if (count > 1) {
        cache_prefetch(cache, batch->reads, count);
    }
    uint8_t *at = tx->buf + tx->end;
    const uint8_t *limit =
        tx->buf + tx->cap - TX_VALUE_ROOM; /* behind it no value begins, but misses' END lines do */
    for (unsigned i = 0; i < count; i++) {
        struct cache_read *read = &batch->reads[i];
        unsigned marks = batch->marks[i];
        if ((marks & READ_FIRST) != 0) {
            worker->line_tx_end = (uint32_t)(at - tx->buf);
            worker->line_longs_end = tx->longs_end;
            session->line_mark = true;
        }
        /* Before the look-up, for what has been found must be read to its end. */
        if (__builtin_expect(at > limit || !tx_takes_long(tx), 0)) {
            tx->end = (uint32_t)(at - tx->buf);
            metric_add(&worker->stats.cmd_get, i);
            return read_blocked(session, i);
        }
        enum cache_result found = read_find(worker, read, count);
        while (found == CACHE_OK) {
            uint8_t *p =
                (marks & READ_CAS) != 0
                    ? text_write_value_head_cas(at, read->key, read->key_len, read->client_flags,
                                                read->value_len, read->cas)
                    : text_write_value_head(at, read->key, read->key_len, read->client_flags,
                                            read->value_len);
            if (read->pin == NULL) {
                cache_copy(cache, read, p);
                p += read->value_len;
            }
            if (!cache_hit(cache, thread, read)) {
                /* The item changed meanwhile: what was written above `at` is void. */
                found = cache_find(cache, thread, read);
                continue;
            }
            if (read->pin != NULL) {
                tx->end = (uint32_t)(p - tx->buf);
                tx_put_long(worker, read->pin, NULL, read->value_len);
            }
            *p++ = '\r';
            *p++ = '\n';
            at = p;
            break;
        }
        if (__builtin_expect(worker->noted, 0)) {
            note_read(worker, read, found == CACHE_OK);
        }
        if ((marks & READ_LAST) != 0) {
            memcpy(at, "END\r\n", 5);
            at += 5;
        }
    }
    tx->end = (uint32_t)(at - tx->buf);
    metric_add(&worker->stats.cmd_get, count);
    batch->count = 0;
    return STEP_ON;
}

/** read_answer_fn; `arg` is the session. */
static bool
read_answer(void *arg, struct cache_read *read)
{
    struct session *session = arg;
    struct session_worker *worker = session->worker;
    struct tx *tx = &worker->tx;
    enum cache_result found = CACHE_OK;
    while (found == CACHE_OK) {
        uint8_t *at = tx->buf + tx->end;
        uint8_t *p = session->line_op == REQUEST_GATS
                         ? text_write_value_head_cas(at, read->key, read->key_len,
                                                     read->client_flags, read->value_len, read->cas)
                         : text_write_value_head(at, read->key, read->key_len, read->client_flags,
                                                 read->value_len);
        if (read->pin == NULL) {
            cache_copy(worker->cache, read, p);
            p += read->value_len;
        }
        if (cache_hit(worker->cache, worker->thread, read)) {
            tx->end = (uint32_t)(p - tx->buf);
            if (read->pin != NULL) {
                tx_put_long(worker, read->pin, NULL, read->value_len);
            }
            TX_PUT(worker, "\r\n");
            return true;
        }
        found = cache_find(worker->cache, worker->thread, read);
    }
    return false;
}

/**
 * gat: the key is touched, then read; no batch, for it writes anyway.  Only when the touch ends
 * the item's life it comes last, as the value is still answered.  Counts as touch alone.
 */
bool
read_and_touch(struct session_worker *worker, struct span key, int64_t expires_at,
               read_answer_fn *answer, void *arg)
{
    metric_add(&worker->stats.cmd_touch, 1);
    note_lookup(worker, key.at, key.len);
    struct cache_read *read = &worker->batch.reads[0];
    read->key = key.at;
    read->key_len = (uint32_t)key.len;
    read->mode = CACHE_READ_PEEK;
    bool hit = false;
    bool last = expires_at != CACHE_NEVER && expires_at <= cache_now(worker->cache);
    for (unsigned i = 0; i < 2; i++) {
        enum cache_result found;
        if ((i == 0) == last) {
            found = cache_find_one(worker->cache, worker->thread, read);
            hit = found == CACHE_OK && answer(arg, read);
        } else {
            found =
                cache_touch(worker->cache, worker->thread, key.at, (uint32_t)key.len, expires_at);
        }
        if (found != CACHE_OK && !last) {
            break;
        }
    }
    if (__builtin_expect(worker->detail, 0)) {
        prefix_count_get(worker->server_stats->prefixes, key.at, key.len, hit);
    }
    return hit;
}

static enum step
read_touched(struct session *session, struct span key)
{
    struct tx *tx = &session->worker->tx;
    if (tx->cap - tx->end < TX_VALUE_ROOM || !tx_takes_long(tx)) {
        return STEP_SEND; /* before the touch, which is not to count twice */
    }
    bool hit = read_and_touch(session->worker, key, session->expires_at, read_answer, session);
    note_request(session->worker, key.at, key.len,
                 hit ? session->worker->batch.reads[0].value_len : 0);
    return STEP_ON;
}

/** What the keys of a line came to. */
enum keys_end {
    KEYS_DONE, /* no more keys */
    KEYS_FULL, /* the batch is full, and more keys follow */
    KEYS_BAD,
};

/** Adds keys to the batch.  `marks` are those of the first one. */
static inline enum keys_end
keys_decode(struct session_worker *worker, struct span *keys, unsigned marks)
{
    struct read_batch *batch = &worker->batch;
    unsigned count = batch->count;
    enum keys_end end = KEYS_FULL;
    while (count < CACHE_BATCH_MAX) {
        struct span key;
        enum parse_status status = text_next_key(keys, &key);
        if (__builtin_expect(status != PARSE_DONE, 0)) {
            end = status == PARSE_BAD ? KEYS_BAD : KEYS_DONE;
            break;
        }
        struct cache_read *read = &batch->reads[count];
        read->key = key.at;
        read->key_len = (uint32_t)key.len;
        read->mode = CACHE_READ_HIT;
        batch->marks[count++] = (uint8_t)marks;
        marks &= ~(unsigned)READ_FIRST;
        if (keys->len == 0) {
            end = KEYS_DONE;
            break;
        }
    }
    batch->count = count;
    return end;
}

enum step
read_get(struct session *session, const struct request *request)
{
    struct session_worker *worker = session->worker;
    struct read_batch *batch = &worker->batch;
    struct span keys = request->keys;
    unsigned first = batch->count;
    assert(first < CACHE_BATCH_MAX);
    unsigned marks = READ_FIRST | (request->op == REQUEST_GETS ? (unsigned)READ_CAS : 0);

    enum keys_end end = keys_decode(worker, &keys, marks);
    if (__builtin_expect(end == KEYS_DONE && batch->count > first, 1)) {
        batch->marks[batch->count - 1] |= READ_LAST;
        return batch->count == CACHE_BATCH_MAX ? read_batch_run(session) : STEP_ON;
    }
    if (end != KEYS_FULL) {
        /* A bad key, or none.  The lines before this one have their answers first; if those do not
         * fit, the input is set back, and this line comes again. */
        batch->count = first;
        enum step step = read_batch_run(session);
        if (step == STEP_ON) {
            session->line_mark = false;
            read_line_bad(session);
        }
        return step;
    }

    /* The rest of the line is the state GET_LINE's. */
    uint32_t line_end = worker->rx_at;
    enum step step = read_batch_run(session);
    if (step != STEP_ON) {
        return step;
    }
    session->line_op = (uint8_t)request->op;
    session->line_keys = true;
    worker->rx_at = (uint32_t)(keys.at - worker->rx);
    session->line_left = line_end - worker->rx_at;
    session_become(session, SESSION_GET_LINE);
    return STEP_ON;
}

enum step
read_gat(struct session *session, const struct request *request)
{
    struct session_worker *worker = session->worker;
    uint32_t line_end = worker->rx_at;
    assert(request->keys.at != NULL);
    session->expires_at = session_expires_at(worker, request->exptime);
    session->line_op = (uint8_t)request->op;
    session->line_keys = false;
    session->line_mark = true;
    worker->line_tx_end = worker->tx.end;
    worker->line_longs_end = worker->tx.longs_end;
    worker->rx_at = (uint32_t)(request->keys.at - worker->rx);
    session->line_left = line_end - worker->rx_at;
    session_become(session, SESSION_GET_LINE);
    return STEP_ON;
}

/** The line's end has been seen and all its keys answered. */
static enum step
read_line_end(struct session *session)
{
    struct session_worker *worker = session->worker;
    worker->rx_at += session->line_left;
    session_become(session, SESSION_COMMAND);
    if (session->line_keys) {
        TX_PUT(worker, "END\r\n");
    } else {
        read_line_bad(session);
    }
    return STEP_ON;
}

/** gat and gats.  The whole line is there: only get and gets lines may be longer than the buffer.
 */
static enum step
read_line_gat(struct session *session, struct span keys)
{
    struct session_worker *worker = session->worker;
    uint32_t line_end = worker->rx_at + session->line_left;
    if (!session->line_keys && keys_have_bad(keys)) {
        worker->rx_at = line_end;
        session_become(session, SESSION_COMMAND);
        return read_line_bad(session); /* before any key is touched */
    }
    struct span key;
    while (text_next_key(&keys, &key) == PARSE_DONE) {
        if (read_touched(session, key) != STEP_ON) {
            worker->rx_at = (uint32_t)(key.at - worker->rx);
            session->line_left = line_end - worker->rx_at;
            return STEP_SEND;
        }
        session->line_keys = true;
    }
    worker->rx_at = line_end;
    session->line_left = 0;
    return read_line_end(session);
}

/** The LF has not come: what stands before the last space are whole keys. */
static enum step
read_line_tail(struct session *session, const uint8_t *at, const uint8_t *end)
{
    struct session_worker *worker = session->worker;
    assert(worker->batch.count == 0);
    while (at < end && *at == ' ') {
        at++;
    }
    worker->rx_at = (uint32_t)(at - worker->rx);
    size_t len = (size_t)(end - at);
    if (len > KEY_LEN_MAX + 1 || (len == KEY_LEN_MAX + 1 && end[-1] != '\r')) {
        session->line_silent = true;
        session_become(session, SESSION_SKIP_LINE);
        return read_line_bad(session);
    }
    return STEP_READ;
}

enum step
read_line_run(struct session *session)
{
    struct session_worker *worker = session->worker;
    const uint8_t *at = worker->rx + worker->rx_at;
    const uint8_t *end = worker->rx + worker->rx_end;
    const uint8_t *lf =
        session->line_left > 0 ? at + session->line_left - 1 : memchr(at, '\n', (size_t)(end - at));
    struct span keys;
    if (lf != NULL) {
        session->line_left = (uint32_t)(lf + 1 - at);
        keys = line_keys(at, lf);
        if (session->line_op == REQUEST_GAT || session->line_op == REQUEST_GATS) {
            return read_line_gat(session, keys);
        }
    } else {
        const uint8_t *space = end;
        while (space > at && space[-1] != ' ') {
            space--;
        }
        keys = (struct span){ at, (size_t)(space - at) };
    }

    unsigned marks = session->line_op == REQUEST_GETS ? READ_CAS : 0;
    enum keys_end ended;
    do {
        ended = keys_decode(worker, &keys, marks);
        if (ended == KEYS_BAD) {
            worker->batch.count = 0;
            if (lf != NULL) {
                worker->rx_at = (uint32_t)(lf + 1 - worker->rx);
                session_become(session, SESSION_COMMAND);
            } else {
                worker->rx_at = (uint32_t)(keys.at - worker->rx);
                session->line_silent = true;
                session_become(session, SESSION_SKIP_LINE);
            }
            return read_line_bad(session);
        }
        session->line_keys = session->line_keys || worker->batch.count > 0;
        enum step step = read_batch_run(session);
        if (step != STEP_ON) {
            return step;
        }
        worker->rx_at = (uint32_t)(keys.at - worker->rx);
        session->line_left = lf != NULL ? (uint32_t)(lf + 1 - keys.at) : 0;
        if (!tx_has_room(&worker->tx)) {
            return STEP_SEND;
        }
    } while (ended == KEYS_FULL);

    if (lf == NULL) {
        return read_line_tail(session, keys.at + keys.len, end);
    }
    worker->rx_at = (uint32_t)(lf + 1 - worker->rx);
    session->line_left = 0;
    return read_line_end(session);
}

enum step
read_line_stream(struct session *session)
{
    struct session_worker *worker = session->worker;
    const uint8_t *at = worker->rx + worker->rx_at;
    assert(worker->rx_end - worker->rx_at == SESSION_RX_SIZE);
    if (*at == ' ') {
        /* A command name that is empty: ERROR, when the line is over. */
        worker->rx_at = worker->rx_end;
        session->line_silent = false;
        session_become(session, SESSION_SKIP_LINE);
        return STEP_ON;
    }
    bool gets = at[3] == 's'; /* text_line_too_long() has seen that it is "get " or "gets " */
    worker->rx_at += gets ? 5 : 4;
    session->line_op = gets ? REQUEST_GETS : REQUEST_GET;
    session->line_left = 0;
    session->line_keys = false;
    session->line_mark = true;
    worker->line_tx_end = worker->tx.end;
    worker->line_longs_end = worker->tx.longs_end;
    session_become(session, SESSION_GET_LINE);
    return STEP_ON;
}
