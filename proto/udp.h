/*
 * The frame before each datagram, big-endian:
 *
 *     offset  size  meaning
 *     0       2     request id, chosen by the client, given back in each datagram of the reply
 *     2       2     sequence number, 0 to total - 1
 *     4       2     total of datagrams in this message
 *     6       2     reserved, 0
 */
#ifndef LARDER_PROTO_UDP_H
#define LARDER_PROTO_UDP_H

#include "parse.h"

#define UDP_FRAME_LEN     8u                                 /* bytes */
#define UDP_PAYLOAD_MAX   (UDP_DATAGRAM_MAX - UDP_FRAME_LEN) /* bytes of reply per datagram */
#define UDP_DATAGRAMS_MAX 65535u                             /* of one reply */

/**
 * Parses a request's frame, and steps behind it, to the commands.
 *
 * PARSE_DONE  `request_id` is set, and the cursor not at its end
 * PARSE_BAD   to be dropped without a reply: too short, no command in it, or a part of a longer
 *             request.  Nothing moved
 * Never answers PARSE_MORE: a datagram is all there is.  Sequence and reserved are not looked at.
 *
 * cur   the whole datagram
 *
 * Source: contract 1.10.
 */
enum parse_status udp_parse_frame(struct cursor *cur, uint16_t *request_id) PARSE_MUST_CHECK;

/** How many datagrams a reply of so many bytes takes; 0 for none.  Above UDP_DATAGRAMS_MAX it
 * cannot be sent. */
static inline size_t
udp_count_datagrams(size_t reply_len)
{
    return reply_len / UDP_PAYLOAD_MAX + (reply_len % UDP_PAYLOAD_MAX > 0);
}

/** Writes the frame of a reply's datagram, UDP_FRAME_LEN bytes; returns the place behind it. */
uint8_t *udp_write_frame(uint8_t *at, uint16_t request_id, uint16_t sequence, uint16_t total);

#endif
