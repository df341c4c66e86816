/* set, add, replace, append, prepend, cas: from the command line to the reply behind the data
 * block. */
#include "config.h"

#include "session/session_priv.h"

#include <stdlib.h>

static enum cache_store_mode
store_mode(enum request_op op)
{
    switch (op) {
    case REQUEST_SET:
        return CACHE_SET;
    case REQUEST_ADD:
        return CACHE_ADD;
    case REQUEST_REPLACE:
        return CACHE_REPLACE;
    case REQUEST_APPEND:
        return CACHE_APPEND;
    case REQUEST_PREPEND:
        return CACHE_PREPEND;
    case REQUEST_CAS:
        return CACHE_CAS;
    case REQUEST_GET:
    case REQUEST_GETS:
    case REQUEST_GAT:
    case REQUEST_GATS:
    case REQUEST_DELETE:
    case REQUEST_INCR:
    case REQUEST_DECR:
    case REQUEST_TOUCH:
    case REQUEST_QUIT:
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
    case REQUEST_HOOK:
    case REQUEST_UNKNOWN_HTTP:
    case REQUEST_ERROR:
        break;
    }
    assert(false && "a storage command");
    return CACHE_SET;
}

void
store_drop(struct session *session)
{
    if (session->upload != NULL) {
        cache_store_abort(session->worker->cache, session->worker->thread, &session->upload->store);
        free(session->upload);
        session->upload = NULL;
    }
}

struct upload *
upload_begin(struct session *session, struct cache_store *store, enum cache_store_mode mode,
             struct span key, enum upload_kind kind)
{
    assert(session->upload == NULL && key.len <= KEY_LEN_MAX);
    struct upload *upload = malloc(sizeof(*upload));
    if (upload == NULL) {
        cache_store_abort(session->worker->cache, session->worker->thread, store);
        return NULL;
    }
    upload->store = *store;
    upload->mode = (uint8_t)mode;
    upload->cas = 0;
    upload->noreply = false;
    upload->value_left = store->value_len;
    memcpy(upload->key, key.at, key.len);
    upload->key_len = (uint8_t)key.len;
    upload->kind = (uint8_t)kind;
    session->upload = upload;
    session->long_values = store->value_len >= RX_LONG_MIN;
    session_become(session, upload->value_left > 0 ? SESSION_VALUE : SESSION_VALUE_END);
    return upload;
}

void
store_unlink_old(struct session_worker *worker, const void *key, size_t key_len)
{
    note_lookup(worker, key, key_len);
    enum cache_result result =
        cache_delete(worker->cache, worker->thread, key, (uint32_t)key_len, 0);
    assert(result == CACHE_OK || result == CACHE_MISS);
    /* The engine has counted a delete. */
    metric_add(result == CACHE_OK ? &worker->stats.unlink_hits : &worker->stats.unlink_misses, 1);
}

/** `grows`: an append or prepend was asked for, and it is their sum for which there is no room. */
static void
store_reply(struct session_worker *worker, enum cache_result result, bool grows)
{
    switch (result) {
    case CACHE_OK:
        TX_PUT(worker, "STORED\r\n");
        break;
    case CACHE_NOT_STORED:
        TX_PUT(worker, "NOT_STORED\r\n");
        break;
    case CACHE_EXISTS:
        TX_PUT(worker, "EXISTS\r\n");
        break;
    case CACHE_MISS:
        TX_PUT(worker, "NOT_FOUND\r\n");
        break;
    case CACHE_TOO_LARGE:
        if (grows) {
            TX_PUT(worker, "NOT_STORED\r\n");
        } else {
            TX_PUT(worker, "SERVER_ERROR object too large for cache\r\n");
        }
        break;
    case CACHE_NO_MEMORY:
        if (grows) {
            TX_PUT(worker, "NOT_STORED\r\n");
        } else {
            TX_PUT(worker, "SERVER_ERROR out of memory storing object\r\n");
        }
        break;
    case CACHE_NOT_NUMBER:
        assert(false && "no answer to a store");
        break;
    }
}

/** The data block is whole: CR LF behind it makes the item visible. */
static enum step
store_finish(struct session *session, struct cache_store *store, enum cache_store_mode mode,
             uint64_t cas, bool noreply, const uint8_t *line_end)
{
    struct session_worker *worker = session->worker;
    metric_add(&worker->stats.cmd_set, 1);
    if (__builtin_expect(line_end[0] != '\r' || line_end[1] != '\n', 0)) {
        cache_store_abort(worker->cache, worker->thread, store);
        if (!noreply) {
            TX_PUT(worker, "CLIENT_ERROR bad data chunk\r\n");
        }
        return STEP_ON;
    }
    enum cache_result result = store_commit(worker, store, mode, cas, NULL);
    if (__builtin_expect(result == CACHE_OK && !noreply, 1)) {
        TX_PUT(worker, "STORED\r\n");
    } else if (!noreply) {
        store_reply(worker, result, mode == CACHE_APPEND || mode == CACHE_PREPEND);
    }
    return STEP_ON;
}

/** Bytes that follow a value. */
static uint32_t
upload_end_len(const struct upload *upload)
{
    return upload->kind == UPLOAD_BINARY ? 0 : 2;
}

/** Memory ran out half-way: the rest of the block, from rx_at on, is thrown away. */
static enum step
store_ran_out(struct session *session)
{
    struct session_worker *worker = session->worker;
    struct upload *upload = session->upload;
    uint64_t left = upload->value_left + upload_end_len(upload);
    note_store_refused(worker, upload->key, upload->key_len, (enum cache_store_mode)upload->mode,
                       CACHE_NO_MEMORY, upload->store.value_len);
    if (upload->mode == CACHE_SET) {
        store_unlink_old(worker, upload->key, upload->key_len);
    }
    if (upload->kind == UPLOAD_BINARY) {
        binary_put_text(worker, upload->echo, BINARY_STATUS_NO_MEMORY, "Out of memory during read");
    } else if (!upload->noreply) {
        TX_PUT(worker, "SERVER_ERROR Out of memory during read\r\n");
    }
    session->upload = NULL; /* the engine has the store back already */
    free(upload);
    return session_swallow(session, left);
}

/** There is no room for the item. */
static void
store_refused(struct session_worker *worker, const struct request *request,
              enum cache_store_mode mode, enum cache_result result)
{
    note_store_refused(worker, request->key.at, request->key.len, mode, result, request->value_len);
    if (mode == CACHE_SET) {
        store_unlink_old(worker, request->key.at, request->key.len);
    }
    if (!request->noreply) {
        store_reply(worker, result, false);
    }
}

static enum step
set_at_once(struct session *session, const struct request *request, int64_t expires_at)
{
    struct session_worker *worker = session->worker;
    uint64_t cas;
    enum cache_result result =
        set_received(worker, request->key, request->value_len, request->flags, expires_at, &cas);
    worker->rx_at += request->value_len + 2;
    if (__builtin_expect(result == CACHE_TOO_LARGE || result == CACHE_NO_MEMORY, 0)) {
        store_refused(worker, request, CACHE_SET, result);
        return STEP_ON;
    }
    metric_add(&worker->stats.cmd_set, 1);
    if (__builtin_expect(result == CACHE_OK && !request->noreply, 1)) {
        TX_PUT(worker, "STORED\r\n");
    } else if (!request->noreply) {
        store_reply(worker, result, false);
    }
    return STEP_ON;
}

enum step
store_begin(struct session *session, const struct request *request)
{
    struct session_worker *worker = session->worker;
    enum cache_store_mode mode = store_mode(request->op);
    if (__builtin_expect(worker->detail, 0)) {
        prefix_count_set(worker->server_stats->prefixes, request->key.at, request->key.len);
    }
    int64_t expires_at =
        request->exptime == 0 ? CACHE_NEVER : session_expires_at(worker, request->exptime);
    if (mode == CACHE_SET && set_is_plain(worker, request->value_len)) {
        return set_at_once(session, request, expires_at);
    }
    note_request(worker, request->key.at, request->key.len, 0);
    uint64_t cas = mode == CACHE_CAS ? request->cas : 0; /* the request's is not set else */
    struct cache_store new_store;
    struct cache_store *store = &new_store;
    enum cache_result result = cache_store_begin(worker->cache, worker->thread, request->key.at,
                                                 (uint32_t)request->key.len, request->value_len,
                                                 request->flags, expires_at, store);
    if (__builtin_expect(result != CACHE_OK, 0)) {
        store_refused(worker, request, mode, result);
        return session_swallow(session, (uint64_t)request->value_len + 2);
    }

    uint32_t there = worker->rx_end - worker->rx_at;
    const uint8_t *value = worker->rx + worker->rx_at;
    if (there >= (uint64_t)request->value_len + 2 && store->room >= request->value_len) {
        /* As mostly: the block has come with its line, and takes one chunk. */
        worker->rx_at += request->value_len + 2;
        if (request->value_len > 0) {
            result =
                cache_store_write(worker->cache, worker->thread, store, value, request->value_len);
            assert(result == CACHE_OK);
        }
        return store_finish(session, store, mode, cas, request->noreply,
                            value + request->value_len);
    }

    struct upload *upload = upload_begin(session, store, mode, request->key, UPLOAD_TEXT);
    if (upload == NULL) {
        if (!request->noreply) {
            store_reply(worker, CACHE_NO_MEMORY, false);
        }
        return session_swallow(session, (uint64_t)request->value_len + 2);
    }
    upload->cas = cas;
    upload->noreply = request->noreply;
    return STEP_ON;
}

enum step
store_value_run(struct session *session)
{
    struct session_worker *worker = session->worker;
    struct upload *upload = session->upload;
    enum cache_result result;
    if (worker->item_filled > 0) {
        uint32_t filled = worker->item_filled;
        worker->item_filled = 0;
        assert(filled <= upload->value_left);
        upload->value_left -= filled;
        result = cache_store_filled(worker->cache, worker->thread, &upload->store, filled);
        if (result != CACHE_OK) {
            return store_ran_out(session);
        }
    }
    uint32_t there = worker->rx_end - worker->rx_at;
    uint32_t n = there < upload->value_left ? there : upload->value_left;
    if (n > 0) {
        result = cache_store_write(worker->cache, worker->thread, &upload->store,
                                   worker->rx + worker->rx_at, n);
        if (result != CACHE_OK) {
            return store_ran_out(session);
        }
        worker->rx_at += n;
        upload->value_left -= n;
    }
    if (upload->value_left > 0) {
        uint32_t later =
            upload->value_left > RX_ITEM_AHEAD ? upload->value_left - RX_ITEM_AHEAD : 0;
        cache_store_reserve(worker->cache, worker->thread, &upload->store, later);
        return STEP_READ;
    }
    session_become(session, SESSION_VALUE_END);
    return STEP_ON;
}

enum step
store_end_run(struct session *session)
{
    struct session_worker *worker = session->worker;
    struct upload *upload = session->upload;
    uint32_t end_len = upload_end_len(upload);
    if (worker->rx_end - worker->rx_at < end_len) {
        return STEP_READ;
    }
    const uint8_t *line_end = worker->rx + worker->rx_at;
    worker->rx_at += end_len;
    session->upload = NULL;
    session_become(session, SESSION_COMMAND);
    struct cache_store *store = &upload->store;
    enum cache_store_mode mode = (enum cache_store_mode)upload->mode;
    enum step step = STEP_CLOSE;
    switch ((enum upload_kind)upload->kind) {
    case UPLOAD_TEXT:
        step = store_finish(session, store, mode, upload->cas, upload->noreply, line_end);
        break;
    case UPLOAD_META:
        step = meta_store_finish(session, &upload->meta.request, store, line_end);
        break;
    case UPLOAD_BINARY:
        step =
            binary_store_finish(session, store, mode, upload->cas, upload->echo, upload->noreply);
        break;
    }
    free(upload);
    return step;
}
