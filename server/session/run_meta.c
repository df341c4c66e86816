/* The meta commands line by line, and those that write: ms, md, ma.  run_meta_read.c has the
 * others. */
#include "config.h"

#include "session/meta_priv.h"

static void
put_error(struct session_worker *worker, enum request_error error)
{
    struct span text = text_error_reply(error);
    tx_put(worker, text.at, text.len);
}

/** The id that the item must have, 0 for any.  No item has the id 0 that C0 asks for, and none the
 * one that stands for it here.  (To ma, and ms that appends or prepends, C0 is no condition.) */
static uint64_t
wanted_cas(const struct meta_request *request)
{
    if (!meta_has(request, 'C')) {
        return 0;
    }
    return request->cas != 0 ? request->cas : UINT64_MAX;
}

/** The id that the item gets, 0 for the next one. */
static uint64_t
chosen_cas(const struct meta_request *request)
{
    return meta_has(request, 'E') ? request->cas_new : 0;
}

/* -- ms ---------------------------------------------------------------------------------------- */

static enum cache_store_mode
store_mode(const struct meta_request *request)
{
    switch ((enum meta_mode)request->mode) {
    case META_MODE_SET:
    case META_MODE_REPLACE:
        if (meta_has(request, 'C')) {
            return CACHE_CAS;
        }
        return request->mode == META_MODE_SET ? CACHE_SET : CACHE_REPLACE;
    case META_MODE_ADD:
        return CACHE_ADD;
    case META_MODE_APPEND:
        return CACHE_APPEND;
    case META_MODE_PREPEND:
        return CACHE_PREPEND;
    case META_MODE_INCR:
    case META_MODE_DECR:
        break;
    }
    assert(false && "a mode of ma");
    return CACHE_SET;
}

static void
store_reply(struct session_worker *worker, const struct meta_request *request,
            enum cache_result result, uint64_t cas, uint32_t value_len)
{
    enum meta_result head = META_NS;
    switch (result) {
    case CACHE_OK:
        if (meta_has(request, 'q')) {
            return;
        }
        head = META_HD;
        break;
    case CACHE_NOT_STORED:
        break;
    case CACHE_EXISTS:
        head = META_EX;
        break;
    case CACHE_MISS:
        head = META_NF;
        break;
    case CACHE_TOO_LARGE:
        TX_PUT(worker, "SERVER_ERROR object too large for cache\r\n");
        return;
    case CACHE_NO_MEMORY:
        TX_PUT(worker, "SERVER_ERROR out of memory storing object\r\n");
        return;
    case CACHE_NOT_NUMBER:
        assert(false && "no answer to a store");
        return;
    }
    struct reply_item item = { .cas = result == CACHE_OK ? cas : 0,
                               .value_len = result == CACHE_OK ? value_len : request->value_len,
                               .client_flags = request->client_flags,
                               .ttl_s = REPLY_TTL_NONE,
                               .key_binary = meta_has(request, 'b') };
    meta_put_head(worker, request, head, &item);
}

enum step
meta_store_finish(struct session *session, const struct meta_request *request,
                  struct cache_store *store, const uint8_t *line_end)
{
    struct session_worker *worker = session->worker;
    metric_add(&worker->stats.cmd_set, 1);
    if (line_end[0] != '\r' || line_end[1] != '\n') {
        cache_store_abort(worker->cache, worker->thread, store);
        TX_PUT(worker, "CLIENT_ERROR bad data chunk\r\n");
        return STEP_ON;
    }
    uint64_t cas = 0;
    enum cache_store_mode mode = store_mode(request);
    uint64_t wanted = mode == CACHE_CAS        ? wanted_cas(request)
                      : meta_has(request, 'C') ? request->cas
                                               : 0;
    enum cache_result result = store_commit(worker, store, mode, wanted, &cas);
    store_reply(worker, request, result, cas, store->value_len_out);
    return STEP_ON;
}

/** The request's line will be gone when the value is whole.  False without memory. */
static bool
keep_request(struct upload *upload, const struct meta_request *request)
{
    if (upload == NULL) {
        return false;
    }
    upload->meta.request = *request;
    upload->meta.request.key.at = upload->key;
    if (meta_has(request, 'O')) {
        memcpy(upload->meta.opaque, request->opaque.at, request->opaque.len);
        upload->meta.request.opaque.at = upload->meta.opaque;
    }
    return true;
}

/** Whether an ms is a set and no more. */
static bool
ms_is_plain(const struct meta_request *request)
{
    return store_mode(request) == CACHE_SET && !meta_has(request, 'b') && !meta_has(request, 'E') &&
           !meta_has(request, 'I');
}

/** There is no room for the item. */
static enum step
ms_refused(struct session *session, const struct meta_request *request, enum cache_store_mode mode,
           enum cache_result result)
{
    struct session_worker *worker = session->worker;
    note_store_refused(worker, request->key.at, request->key.len, mode, result, request->value_len);
    if (mode == CACHE_SET) {
        store_unlink_old(worker, request->key.at, request->key.len);
    }
    store_reply(worker, request, result, 0, 0);
    return session_swallow(session, (uint64_t)request->value_len + 2);
}

static enum step
set_at_once(struct session *session, const struct meta_request *request)
{
    struct session_worker *worker = session->worker;
    uint64_t cas = 0;
    enum cache_result result =
        set_received(worker, request->key, request->value_len, request->client_flags,
                     session_expires_at(worker, request->exptime), &cas);
    if (result == CACHE_TOO_LARGE || result == CACHE_NO_MEMORY) {
        return ms_refused(session, request, CACHE_SET, result);
    }
    worker->rx_at += request->value_len + 2;
    metric_add(&worker->stats.cmd_set, 1);
    store_reply(worker, request, result, cas, request->value_len);
    return STEP_ON;
}

static enum step
run_ms(struct session *session, const struct meta_request *request)
{
    struct session_worker *worker = session->worker;
    enum cache_store_mode mode = store_mode(request);
    bool joins = mode == CACHE_APPEND || mode == CACHE_PREPEND;
    bool vivifies = joins && meta_has(request, 'N');
    int64_t exptime = vivifies ? request->vivify_exptime : request->exptime;
    if (ms_is_plain(request) && set_is_plain(worker, request->value_len)) {
        return set_at_once(session, request);
    }
    note_request(worker, request->key.at, request->key.len, 0);
    struct cache_store new_store;
    struct cache_store *store = &new_store;
    enum cache_result result = cache_store_begin(
        worker->cache, worker->thread, request->key.at, (uint32_t)request->key.len,
        request->value_len, request->client_flags, session_expires_at(worker, exptime), store);
    uint32_t there = worker->rx_end - worker->rx_at;
    bool whole = there >= (uint64_t)request->value_len + 2;
    if (result == CACHE_OK) {
        store->binary_key = meta_has(request, 'b');
        store->cas_new = chosen_cas(request);
        store->late_is_stale = meta_has(request, 'I');
        store->vivify = vivifies;
        if (!whole &&
            !keep_request(upload_begin(session, store, mode, request->key, UPLOAD_META), request)) {
            result = CACHE_NO_MEMORY;
        }
    }
    if (result != CACHE_OK) {
        return ms_refused(session, request, mode, result);
    }
    if (!whole) {
        return STEP_ON;
    }
    const uint8_t *value = worker->rx + worker->rx_at;
    result = cache_store_write(worker->cache, worker->thread, store, value, request->value_len);
    worker->rx_at += request->value_len + 2;
    if (result != CACHE_OK) {
        note_store_refused(worker, request->key.at, request->key.len, mode, result,
                           request->value_len);
        if (mode == CACHE_SET) {
            store_unlink_old(worker, request->key.at, request->key.len);
        }
        TX_PUT(worker, "SERVER_ERROR Out of memory during read\r\n");
        return STEP_ON;
    }
    return meta_store_finish(session, request, store, value + request->value_len);
}

/* -- md, ma ------------------------------------------------------------------------------------ */

static void
run_md(struct session_worker *worker, const struct meta_request *request)
{
    uint64_t cas = worker->settings->cas_disabled && request->cas == 0
                       ? 0
                       : wanted_cas(request); /* -C: all have 0 */
    enum cache_result result;
    note_request(worker, request->key.at, request->key.len, 0);
    if (meta_has(request, 'I') || meta_has(request, 'x')) {
        note_lookup(worker, request->key.at, request->key.len);
        struct cache_invalidation how = { .cas = cas,
                                          .cas_new = chosen_cas(request),
                                          .stale = meta_has(request, 'I'),
                                          .drop_value = meta_has(request, 'x'),
                                          .set_expiry = meta_has(request, 'T') };
        if (how.set_expiry) {
            how.expires_at = session_expires_at(worker, request->exptime);
        }
        result = cache_invalidate(worker->cache, worker->thread, request->key.at,
                                  (uint32_t)request->key.len, &how);
    } else {
        result = delete_noted(worker, request->key.at, request->key.len, cas, true);
    }
    if (result == CACHE_NO_MEMORY || result == CACHE_TOO_LARGE) {
        TX_PUT(worker, "SERVER_ERROR out of memory\r\n");
    } else if (result != CACHE_OK || !meta_has(request, 'q')) {
        struct reply_item item = { .key_binary = meta_has(request, 'b') };
        meta_put_head(worker, request,
                      result == CACHE_OK       ? META_HD
                      : result == CACHE_EXISTS ? META_EX
                                               : META_NF,
                      &item);
    }
}

/** Creates the number of a key that is missing.  CACHE_NOT_STORED when it is there after all. */
static enum cache_result
create_number(struct session_worker *worker, const struct meta_request *request, int64_t expires_at,
              uint64_t *cas)
{
    uint8_t digits[TEXT_NUMBER_MAX];
    size_t len = (size_t)(text_write_u64(digits, request->initial) - digits);
    struct cache_store store;
    enum cache_result result =
        cache_store_begin(worker->cache, worker->thread, request->key.at,
                          (uint32_t)request->key.len, len, 0, expires_at, &store);
    if (result != CACHE_OK) {
        return CACHE_NO_MEMORY;
    }
    store.binary_key = meta_has(request, 'b');
    store.cas_new = chosen_cas(request);
    result = cache_store_write(worker->cache, worker->thread, &store, digits, len);
    assert(result == CACHE_OK); /* it fits one chunk */
    return store_commit(worker, &store, CACHE_ADD, 0, cas);
}

/** Touches a number that was there if T asks for it, and answers; item->ttl_s is told of one that was
 * created. */
static void
answer_ma(struct session_worker *worker, const struct meta_request *request, uint64_t number,
          bool created, struct reply_item *item)
{
    if (!created) {
        bool told = meta_has(request, 't') && !meta_has(request, 'q');
        if (told && request->ttl_before_touch) {
            item->ttl_s = meta_ttl_of_key(worker, request);
        }
        if (meta_has(request, 'T')) {
            enum cache_result touched = cache_touch_as(
                worker->cache, worker->thread, request->key.at, (uint32_t)request->key.len,
                session_expires_at(worker, request->exptime), CACHE_READ_QUIET);
            assert(touched == CACHE_OK || touched == CACHE_MISS);
        }
        if (told && !request->ttl_before_touch) {
            item->ttl_s = meta_ttl_of_key(worker, request);
        }
    }
    if (meta_has(request, 'q')) {
        return;
    }
    if (!meta_has(request, 'v')) {
        meta_put_head(worker, request, META_HD, item);
        return;
    }
    uint8_t *at = worker->tx.buf + worker->tx.end;
    worker->tx.end = (uint32_t)(meta_write_number(at, request, number, item) - worker->tx.buf);
}

static void
run_ma(struct session_worker *worker, const struct meta_request *request)
{
    uint64_t number = 0;
    uint64_t cas = 0;
    bool created = false;
    struct reply_item item = { .ttl_s = REPLY_TTL_NONE, .key_binary = meta_has(request, 'b') };
    enum cache_result result = CACHE_NOT_STORED;
    note_lookup(worker, request->key.at, request->key.len);
    note_request(worker, request->key.at, request->key.len, 0);
    for (unsigned tries = 0; result == CACHE_NOT_STORED && tries < VIVIFY_TRIES_MAX; tries++) {
        result = cache_arith_as(worker->cache, worker->thread, request->key.at,
                                (uint32_t)request->key.len, request->mode == META_MODE_DECR,
                                request->delta, meta_has(request, 'C') ? request->cas : 0,
                                chosen_cas(request), &number, &cas);
        if (result == CACHE_MISS && meta_has(request, 'N')) {
            int64_t told;
            int64_t expires_at = meta_vivify_expires_at(worker, request, &told);
            number = request->initial;
            result = create_number(worker, request, expires_at, &cas);
            created = result == CACHE_OK;
            item.ttl_s = meta_ttl_left(worker, told);
        }
    }
    item.cas = cas;
    switch (result) {
    case CACHE_OK:
        answer_ma(worker, request, number, created, &item);
        return;
    case CACHE_MISS:
        meta_put_head(worker, request, META_NF, &item);
        return;
    case CACHE_EXISTS:
        meta_put_head(worker, request, META_EX, &item);
        return;
    case CACHE_NOT_STORED:
        meta_put_head(worker, request, META_NS, &item);
        return;
    case CACHE_NOT_NUMBER:
        TX_PUT(worker, "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
        return;
    case CACHE_TOO_LARGE:
    case CACHE_NO_MEMORY:
        TX_PUT(worker, "SERVER_ERROR out of memory\r\n");
        return;
    }
}

/* -- lines ------------------------------------------------------------------------------------- */

/** Whether an mg only reads: then it may wait for others. */
static bool
only_reads(const struct meta_request *request)
{
    return (request->flags & (META_FLAG('N') | META_FLAG('R') | META_FLAG('T'))) == 0;
}

enum step
meta_line(struct session *session, struct cursor *cur)
{
    struct session_worker *worker = session->worker;
    struct meta_batch *batch = &worker->meta;
    unsigned i = batch->count;
    struct meta_request *request = &batch->requests[i];
    uint32_t line_at = worker->rx_at;
    if (meta_parse(cur, request) != PARSE_DONE) {
        return STEP_READ;
    }
    if (request->op == META_MG && only_reads(request)) {
        worker->budget--;
        worker->rx_at = (uint32_t)(cur->at - worker->rx);
        meta_prepare_read(request, &batch->reads[i]);
        batch->line_at[i] = line_at;
        batch->count++;
        return batch->count == CACHE_BATCH_MAX ? meta_batch_run(session) : STEP_ON;
    }
    if (i > 0) {
        /* Those before this line come first; then it is read again, into the batch's first place.
         */
        cur->at = worker->rx + line_at;
        return meta_batch_run(session);
    }
    if (worker->tx.cap - worker->tx.end < META_VALUE_ROOM || !tx_takes_long(&worker->tx)) {
        cur->at = worker->rx + line_at;
        return STEP_SEND;
    }
    worker->budget--;
    worker->rx_at = (uint32_t)(cur->at - worker->rx);
    switch (request->op) {
    case META_MG:
        meta_run_mg(worker, request);
        return STEP_ON;
    case META_MS:
        return run_ms(session, request);
    case META_MD:
        run_md(worker, request);
        return STEP_ON;
    case META_MA:
        run_ma(worker, request);
        return STEP_ON;
    case META_MN:
        TX_PUT(worker,
               "MN\r\n"); /* all replies of a run leave together: nothing needs to be forced */
        return STEP_ON;
    case META_ME:
        meta_run_me(worker, request);
        return STEP_ON;
    case META_ERROR:
        put_error(worker, request->error);
        return request->swallow > 0 ? session_swallow(session, request->swallow) : STEP_ON;
    }
    return STEP_CLOSE; /* not reached: the switch lists every value */
}
