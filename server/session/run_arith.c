/* incr, decr, delete, touch. */
#include "config.h"

#include "session/session_priv.h"

void
arith_incr_decr(struct session *session, const struct request *request)
{
    struct session_worker *worker = session->worker;
    uint64_t value = 0;
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
    enum cache_result result =
        cache_delete(worker->cache, worker->thread, request->key.at, (uint32_t)request->key.len, 0);
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
