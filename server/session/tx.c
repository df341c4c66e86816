/* What a session has to send: replies in a buffer, and pinned values and long replies between them.
 */
#include "config.h"

#include "session/session_priv.h"

#include <stdlib.h>

void
tx_put_long(struct session_worker *worker, struct cache_pin *pin, uint8_t *bytes, uint64_t len)
{
    struct tx *tx = &worker->tx;
    assert(tx->longs_end < TX_LONGS_MAX);
    assert((pin == NULL) != (bytes == NULL));
    tx->longs[tx->longs_end++] =
        (struct tx_long){ .at = tx->end, .pin = pin, .bytes = bytes, .len = len };
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

void
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

void
tx_own_free(struct session *session)
{
    struct session_worker *worker = session->worker;
    struct tx *own = session->tx_own;
    session->tx_own = NULL;
    tx_clear(worker, own);
    metric_sub(&worker->stats.response_bytes, own->cap);
    metric_sub(&worker->stats.response_buffers, 1);
    free(own);
}

bool
tx_keep_aside(struct session *session)
{
    struct session_worker *worker = session->worker;
    struct tx *tx = &worker->tx;
    assert(session->tx_own == NULL);
    uint32_t len = tx->end - tx->at;
    uint32_t longs = tx->longs_end - tx->longs_at;
    struct tx *own = session_may_keep(worker, len)
                         ? malloc(sizeof(*own) + longs * sizeof(struct tx_long) + len)
                         : NULL;
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
            unsigned n =
                cache_pin_pieces(worker->cache, item->pin, item->sent, pieces, max - count);
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

uint64_t
session_tx_len(const struct session *session)
{
    const struct tx *tx = tx_of(session);
    return tx != NULL ? tx->end - tx->at + tx->long_bytes : 0;
}

void
session_tx_drop(struct session *session)
{
    session->line_mark = false; /* as if it had been sent: nothing of it can be taken back */
    if (session->tx_own != NULL) {
        tx_own_free(session);
    } else if (session->worker->current == session) {
        tx_clear(session->worker, &session->worker->tx);
    }
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
    if (tx == &worker->tx && tx->longs_at == tx->longs_end &&
        sent == tx->end - tx->at) { /* as mostly */
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
