/* Datagrams (UDP) for a session: the frame before each, and replies cut to their size without being
 * copied.
 *
 *     datagram_receive(session, bytes, len, &reply)          one request: input for the session
 *     loop:
 *         next = session_run(session)                        one command
 *         datagram_begin(session, &reply)                    its reply, if any
 *         while (session_tx_pending(session))
 *             n = session_tx(session, list, SESSION_IOV_MAX)
 *             datagram_cut(&cut, &reply, list, n, max)
 *             ... send cut.len datagrams ...
 *             datagram_sent(session, &reply, &cut, sent)
 *     session_reset(session)
 *
 * Source: contract 1.10.
 */
#ifndef LARDER_SESSION_DATAGRAM_H
#define LARDER_SESSION_DATAGRAM_H

#include "proto/udp.h"
#include "session/session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define DATAGRAM_REQUEST_MAX 65535u /* bytes, frame included; what UDP can carry */
#define DATAGRAM_CUTS_MAX    16u    /* made in one go */
/* Each has a frame, and each may end within a piece. */
#define DATAGRAM_PIECES_MAX (SESSION_IOV_MAX + 2 * DATAGRAM_CUTS_MAX)

/** A reply, and how far it has gone out. */
struct datagram_reply {
    uint16_t request_id;
    uint16_t sequence; /* of the next datagram */
    uint16_t total;    /* of datagrams; 0 when no reply is under way */
    uint64_t left;     /* bytes to be sent */
};

struct datagram_cut {
    unsigned len;                              /* datagrams */
    unsigned pieces_at[DATAGRAM_CUTS_MAX + 1]; /* where the pieces of each begin, and the end */
    size_t payload_len[DATAGRAM_CUTS_MAX];     /* bytes of the reply in each */
    struct iovec pieces[DATAGRAM_PIECES_MAX];  /* they point into `frames` and the session's list */
    uint8_t frames[DATAGRAM_CUTS_MAX][UDP_FRAME_LEN];
};

/**
 * Takes what a datagram brought as the input of a session that is new, or reset.
 *
 * reply   out
 * Returns false for one that is not to be answered; the session is untouched then.
 */
bool datagram_receive(struct session *session, const uint8_t *bytes, size_t len,
                      struct datagram_reply *reply);

/** What the session has to send becomes a reply, numbered from 0.  false: it is too long for that.
 */
bool datagram_begin(const struct session *session, struct datagram_reply *reply);

/**
 * Makes the reply's next datagrams, at most `max`: full ones, and the last one when the list goes
 * to the reply's end.
 *
 * list, list_len   the reply's bytes from here on, as session_tx() lists them
 */
void datagram_cut(struct datagram_cut *cut, const struct datagram_reply *reply,
                  const struct iovec *list, unsigned list_len, unsigned max);

/** The first `sent` of them have gone out. */
void datagram_sent(struct session *session, struct datagram_reply *reply,
                   const struct datagram_cut *cut, unsigned sent);

#endif
