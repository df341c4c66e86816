/* incr, decr, delete, touch; the binary protocol's too, but for touch. */
#include "config.h"

#include "session/session_priv.h"

#define CREATE_TRIES_MAX 16u /* of creating a number that others create and delete meanwhile */

void
arith_incr_decr(struct session *session, const struct request *request)
{
    struct session_worker *worker = session->worker;
    uint64_t value = 0;
    note_lookup(worker, request->key.at, request->key.len);
    note_request(worker, request->key.at, request->key.len, 0);
    enum cache_result result =
        cache_arith(worker->cache, worker->thread, request->key.at, (uint32_t)request->key.len,
                    request->op == REQUEST_DECR, request->delta, 0, &value, NULL);
    if (request->noreply) {
        return;
    }
    switch (result) {
    case CACHE_OK: {
        uint8_t text[TEXT_NUMBER_MAX];
        tx_put(worker, text, (size_t)(text_write_number(text, value) - text));
        return;
    }
    case CACHE_MISS:
        TX_PUT(worker, "NOT_FOUND\r\n");
        return;
    case CACHE_NOT_NUMBER:
        TX_PUT(worker, "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
        return;
    case CACHE_TOO_LARGE:
    case CACHE_NO_MEMORY:
        TX_PUT(worker, "SERVER_ERROR out of memory\r\n");
        return;
    case CACHE_EXISTS: /* not without a CAS id */
    case CACHE_NOT_STORED:
        break;
    }
    assert(false && "no answer to incr or decr");
}

void
arith_delete(struct session *session, const struct request *request)
{
    struct session_worker *worker = session->worker;
    note_request(worker, request->key.at, request->key.len, 0);
    enum cache_result result = delete_noted(worker, request->key.at, request->key.len, 0, false);
    if (__builtin_expect(worker->detail, 0)) {
        prefix_count_delete(worker->server_stats->prefixes, request->key.at, request->key.len);
    }
    assert(result == CACHE_OK || result == CACHE_MISS);
    if (request->noreply) {
        return;
    }
    if (result == CACHE_OK) {
        TX_PUT(worker, "DELETED\r\n");
    } else {
        TX_PUT(worker, "NOT_FOUND\r\n");
    }
}

void
arith_touch(struct session *session, const struct request *request)
{
    struct session_worker *worker = session->worker;
    metric_add(&worker->stats.cmd_touch, 1);
    note_lookup(worker, request->key.at, request->key.len);
    note_request(worker, request->key.at, request->key.len, 0);
    enum cache_result result =
        cache_touch(worker->cache, worker->thread, request->key.at, (uint32_t)request->key.len,
                    session_expires_at(worker, request->exptime));
    assert(result == CACHE_OK || result == CACHE_MISS);
    if (request->noreply) {
        return;
    }
    if (result == CACHE_OK) {
        TX_PUT(worker, "TOUCHED\r\n");
    } else {
        TX_PUT(worker, "NOT_FOUND\r\n");
    }
}

/* -- binary ------------------------------------------------------------------------------------ */

void
arith_binary_delete(struct session_worker *worker, const struct binary_request *request)
{
    note_request(worker, request->key.at, request->key.len, 0);
    enum cache_result result =
        delete_noted(worker, request->key.at, request->key.len, request->cas, false);
    if (__builtin_expect(worker->detail, 0)) {
        prefix_count_delete(worker->server_stats->prefixes, request->key.at, request->key.len);
    }
    if (result == CACHE_MISS) {
        binary_put_error(worker, request->echo, BINARY_STATUS_NOT_FOUND);
    } else if (result == CACHE_EXISTS) {
        binary_put_error(worker, request->echo, BINARY_STATUS_EXISTS);
    } else if (!request->quiet) {
        assert(result == CACHE_OK);
        binary_put_ok(worker, request->echo, 0);
    }
}

/** Creates the number of a key that is missing.  CACHE_NOT_STORED when it is there after all. */
static enum cache_result
create_number(struct session_worker *worker, const struct binary_request *request, uint64_t *cas)
{
    uint8_t digits[TEXT_NUMBER_MAX];
    size_t len = (size_t)(text_write_u64(digits, request->initial) - digits);
    struct cache_store store;
    enum cache_result result = cache_store_begin(
        worker->cache, worker->thread, request->key.at, (uint32_t)request->key.len, len, 0,
        session_expires_at(worker, request->exptime), &store);
    if (result != CACHE_OK) {
        return CACHE_TOO_LARGE;
    }
    result = cache_store_write(worker->cache, worker->thread, &store, digits, len);
    assert(result == CACHE_OK); /* it fits one chunk */
    return store_commit(worker, &store, CACHE_ADD, 0, cas);
}

void
arith_binary_incr_decr(struct session_worker *worker, const struct binary_request *request)
{
    uint64_t number = 0;
    uint64_t cas = 0;
    enum cache_result result = CACHE_NOT_STORED;
    bool creates = false;
    note_lookup(worker, request->key.at, request->key.len);
    note_request(worker, request->key.at, request->key.len, 0);
    for (unsigned tries = 0; result == CACHE_NOT_STORED && tries < CREATE_TRIES_MAX; tries++) {
        result =
            cache_arith(worker->cache, worker->thread, request->key.at, (uint32_t)request->key.len,
                        request->op == BINARY_DECR, request->delta, request->cas, &number, &cas);
        creates = result == CACHE_MISS && request->exptime != BINARY_NO_CREATE;
        if (creates) {
            metric_add(request->op == BINARY_DECR ? &worker->stats.decr_created
                                                  : &worker->stats.incr_created,
                       1);
            number = request->initial;
            result = create_number(worker, request, &cas);
        }
    }
    switch (result) {
    case CACHE_OK:
        if (!request->quiet) {
            uint8_t bytes[BINARY_NUMBER_MAX];
            uint8_t *end = binary_write_number(bytes, request->echo, number, cas);
            tx_put(worker, bytes, (size_t)(end - bytes));
        }
        return;
    case CACHE_MISS:
        binary_put_error(worker, request->echo, BINARY_STATUS_NOT_FOUND);
        return;
    case CACHE_EXISTS:
        binary_put_error(worker, request->echo, BINARY_STATUS_EXISTS);
        return;
    case CACHE_NOT_STORED:
        binary_put_error(worker, request->echo, BINARY_STATUS_NOT_STORED);
        return;
    case CACHE_NOT_NUMBER:
        binary_put_error(worker, request->echo, BINARY_STATUS_NOT_NUMBER);
        return;
    case CACHE_TOO_LARGE:
    case CACHE_NO_MEMORY:
        binary_put_text(worker, request->echo, BINARY_STATUS_NO_MEMORY,
                        creates ? "Out of memory allocating new item"
                                : "Out of memory incrementing value");
        return;
    }
}
