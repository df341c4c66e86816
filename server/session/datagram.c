#include "config.h"

#include "session/datagram.h"

#include "session/session_priv.h"

_Static_assert(DATAGRAM_REQUEST_MAX < SESSION_RX_SIZE, "a request fits the receive buffer");

/** An answer of another server: to answer it would begin a conversation without an end between two
 * servers, for which a forged sender's address is enough. */
static bool
is_error_reply(const struct cursor *cur)
{
    static const char text[] = "ERROR\r\n";
    size_t len = sizeof(text) - 1;
    return (size_t)(cur->end - cur->at) == len && memcmp(cur->at, text, len) == 0;
}

bool
datagram_receive(struct session *session, const uint8_t *bytes, size_t len,
                 struct datagram_reply *reply)
{
    struct worker_stats *stats = &session->worker->stats;
    struct cursor cur = { bytes, bytes + len };
    assert(session->datagram && len <= DATAGRAM_REQUEST_MAX);
    *reply = (struct datagram_reply){ 0 };
    if (udp_parse_frame(&cur, &reply->request_id) != PARSE_DONE || is_error_reply(&cur)) {
        metric_add(&stats->bytes_read, len);
        metric_add(&stats->udp_requests_dropped, 1);
        return false;
    }
    metric_add(&stats->bytes_read, UDP_FRAME_LEN);
    len -= UDP_FRAME_LEN;
    struct session_space space = session_rx_space(session);
    assert(space.at != NULL && len <= space.len);
    memcpy(space.at, cur.at, len);
    session_rx_done(session, len);
    return true;
}

bool
datagram_begin(const struct session *session, struct datagram_reply *reply)
{
    reply->left = session_tx_len(session);
    size_t total = udp_count_datagrams(reply->left);
    reply->sequence = 0;
    reply->total = total <= UDP_DATAGRAMS_MAX ? (uint16_t)total : 0;
    return total <= UDP_DATAGRAMS_MAX;
}

/** The list that is cut, and the place in it. */
struct place {
    const struct iovec *at;
    const struct iovec *end;
    size_t used; /* bytes of the piece `at` */
};

/** Takes the next `len` bytes; false when there are not as many. */
static bool
take(struct place *from, size_t len, struct datagram_cut *cut, unsigned *pieces)
{
    while (len > 0 && from->at < from->end) {
        size_t there = from->at->iov_len - from->used;
        size_t n = there < len ? there : len;
        if (n > 0) {
            assert(*pieces < DATAGRAM_PIECES_MAX);
            cut->pieces[(*pieces)++] =
                (struct iovec){ (uint8_t *)from->at->iov_base + from->used, n };
        }
        from->used += n;
        len -= n;
        if (from->used == from->at->iov_len) {
            from->at++;
            from->used = 0;
        }
    }
    return len == 0;
}

void
datagram_cut(struct datagram_cut *cut, const struct datagram_reply *reply, const struct iovec *list,
             unsigned list_len, unsigned max)
{
    assert(list_len <= SESSION_IOV_MAX);
    struct place from = { list, list + list_len, 0 };
    uint64_t left = reply->left;
    unsigned pieces = 0;
    cut->len = 0;
    cut->pieces_at[0] = 0;
    max = max < DATAGRAM_CUTS_MAX ? max : DATAGRAM_CUTS_MAX;
    while (cut->len < max && left > 0) {
        unsigned i = cut->len;
        size_t len = left < UDP_PAYLOAD_MAX ? (size_t)left : UDP_PAYLOAD_MAX;
        (void)udp_write_frame(cut->frames[i], reply->request_id, (uint16_t)(reply->sequence + i),
                              reply->total);
        cut->pieces[pieces++] = (struct iovec){ cut->frames[i], UDP_FRAME_LEN };
        if (!take(&from, len, cut, &pieces)) {
            return; /* its other bytes are listed when these have gone */
        }
        left -= len;
        cut->payload_len[i] = len;
        cut->pieces_at[++cut->len] = pieces;
    }
}

void
datagram_sent(struct session *session, struct datagram_reply *reply, const struct datagram_cut *cut,
              unsigned sent)
{
    assert(sent <= cut->len);
    size_t len = 0;
    for (unsigned i = 0; i < sent; i++) {
        len += cut->payload_len[i];
    }
    assert(len <= reply->left);
    session_tx_done(session, len);
    metric_add(&session->worker->stats.bytes_written, (uint64_t)sent * UDP_FRAME_LEN);
    reply->left -= len;
    reply->sequence = (uint16_t)(reply->sequence + sent);
    if (reply->left == 0) {
        reply->total = 0;
    }
}
