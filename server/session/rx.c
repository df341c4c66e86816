/* What a session has received: where it goes, and what is kept of it while other sessions run. */
#include "config.h"

#include "session/session_priv.h"

#include <stdlib.h>

/* Under ThreadSanitizer values never arrive in the item directly: other threads may still read the
 * memory's former bytes, with atomic loads whose answer they then throw away, and the sanitizer
 * takes the kernel's write for a plain one.  cache_store_write() writes with atomic stores. */
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

void
rx_own_free(struct session *session)
{
    struct worker_stats *stats = &session->worker->stats;
    metric_sub(&stats->read_bytes, session->rx_own_cap);
    metric_sub(&stats->read_buffers, 1);
    if (session->state == SESSION_LOGIN) { /* half a password may be in it */
        explicit_bzero(session->rx_own + session->rx_own_at,
                       session->rx_own_end - session->rx_own_at);
    }
    free(session->rx_own);
    session->rx_own = NULL;
}

void
session_attach_slow(struct session *session)
{
    struct session_worker *worker = session->worker;
    if (worker->current != NULL) {
        session_pause(worker->current);
    }
    assert(worker->rx_at == worker->rx_end && tx_empty(&worker->tx));
    worker->current = session;
    worker->rx_at = worker->rx_end = 0;
    worker->line_tx_end = worker->line_longs_end = 0; /* as in session_attach() */
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
        metric_sub(&worker->stats.read_bytes, SESSION_RX_SIZE);
        metric_sub(&worker->stats.read_buffers, 1);
        return;
    }
    worker->rx_end = session->rx_own_end;
    memcpy(worker->rx, session->rx_own, session->rx_own_end);
    rx_own_free(session);
}

/** Moves what was received and not yet used to memory of the session's own.  False when there is
 * none. */
static bool
rx_keep_aside(struct session *session)
{
    struct session_worker *worker = session->worker;
    uint32_t len = worker->rx_end - worker->rx_at;
    assert(session->rx_own == NULL && len > 0);
    uint8_t *fresh = NULL;
    if (!session_may_keep(worker, len)) {
        metric_add(&worker->stats.read_oom, 1);
        return false;
    }
    if (len >= RX_SWAP_MIN && session->next != SESSION_READ &&
        session_may_keep(worker, SESSION_RX_SIZE)) {
        /* Whole commands are waiting, and will be run at once: the buffer itself changes hands. */
        fresh = worker->rx_spare != NULL ? worker->rx_spare : malloc(SESSION_RX_SIZE);
        if (worker->rx_spare != NULL) {
            worker->rx_spare = NULL;
            metric_sub(&worker->stats.read_bytes_free, SESSION_RX_SIZE);
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

/** VALUE, or a long one is expected; the buffer is empty. */
__attribute__((noinline)) static struct session_space
rx_space_for_value(struct session *session)
{
    struct session_worker *worker = session->worker;
    bool rest_is_long =
        session->state == SESSION_VALUE && session->upload->value_left >= RX_ITEM_MIN;
    if (RX_DIRECT && rest_is_long) {
        worker->rx_way = RX_ITEM;
        return (struct session_space){ NULL, session->upload->value_left };
    }
    if (rest_is_long || !session->long_values) {
        return (struct session_space){ worker->rx, SESSION_RX_SIZE };
    }
    worker->rx_way = RX_SHORT;
    return (struct session_space){ worker->rx, RX_SHORT_LEN };
}

struct session_space
session_rx_space(struct session *session)
{
    session_attach(session);
    struct session_worker *worker = session->worker;
    assert(worker->item_filled == 0);
    worker->rx_way = RX_BUFFER;
    if (worker->rx_at == worker->rx_end) {
        worker->rx_at = worker->rx_end = 0;
        if (__builtin_expect((session->state == SESSION_VALUE) | session->long_values, 0)) {
            return rx_space_for_value(session);
        }
    } else if (worker->rx_at > 0 && worker->rx_end + SESSION_RX_SIZE / 2 > SESSION_RX_SIZE) {
        memmove(worker->rx, worker->rx + worker->rx_at, worker->rx_end - worker->rx_at);
        worker->rx_end -= worker->rx_at;
        worker->rx_at = 0;
    }
    assert(worker->rx_end <
           SESSION_RX_SIZE); /* else the session has not been run until SESSION_READ */
    return (struct session_space){ worker->rx + worker->rx_end, SESSION_RX_SIZE - worker->rx_end };
}

unsigned
session_rx_item(struct session *session, size_t buffer_max, struct iovec *iov)
{
    struct session_worker *worker = session->worker;
    assert(worker->current == session && worker->rx_way == RX_ITEM && worker->rx_end == 0);
    const struct upload *upload = session->upload;
    struct cache_space spaces[SESSION_RX_PIECES - 1];
    unsigned count =
        cache_store_spaces(worker->cache, &upload->store, spaces, SESSION_RX_PIECES - 1);
    size_t total = 0;
    for (unsigned i = 0; i < count; i++) {
        iov[i] = (struct iovec){ spaces[i].at, spaces[i].len };
        total += spaces[i].len;
    }
    if (total == upload->value_left) {
        assert(buffer_max > 0);
        iov[count++] =
            (struct iovec){ worker->rx, buffer_max < RX_SHORT_LEN ? buffer_max : RX_SHORT_LEN };
    }
    return count;
}

/** What did not just come to the buffer; returns the bytes that did. */
static size_t
rx_done_otherwise(struct session *session, size_t received)
{
    struct session_worker *worker = session->worker;
    if (worker->rx_way == RX_SHORT) {
        /* Is it a long value again after all, that store says so anew. */
        session->long_values = received < RX_SHORT_LEN;
        return received;
    }
    uint32_t left = session->upload->value_left;
    worker->item_filled = received < left ? (uint32_t)received : left;
    return received - worker->item_filled;
}

void
session_rx_done(struct session *session, size_t received)
{
    struct session_worker *worker = session->worker;
    assert(worker->current == session);
    metric_add(&worker->stats.bytes_read, received);
    if (__builtin_expect(worker->rx_way != RX_BUFFER, 0)) {
        received = rx_done_otherwise(session, received);
        worker->rx_way = RX_BUFFER;
    }
    assert(received <= SESSION_RX_SIZE - worker->rx_end);
    worker->rx_end += (uint32_t)received;
}

void
session_pause(struct session *session)
{
    struct session_worker *worker = session->worker;
    if (worker->current != session) {
        return;
    }
    assert(worker->item_filled == 0); /* else session_run() was left out after session_rx_done() */
    bool kept = true;
    if (!tx_empty(&worker->tx)) {
        kept = tx_keep_aside(session);
    }
    if (worker->rx_at != worker->rx_end && session->state != SESSION_CLOSED && kept) {
        kept = rx_keep_aside(session);
        session->lost = !kept;
    }
    worker->rx_at = worker->rx_end = 0;
    worker->rx_way = RX_BUFFER;
    worker->current = NULL;
    if (!kept) {
        /* No memory for a half command or reply: this conversation cannot go on.  The next run says
         * so. */
        session_drop_work(session);
        session_become(session, SESSION_CLOSED);
        session_show(session, SHOWN_CLOSING);
    } else if (session->tx_own != NULL) {
        session_show(session, SHOWN_WRITE);
    }
}
