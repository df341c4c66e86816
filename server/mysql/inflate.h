/*
 * Packed events: MariaDB packs single ones with zlib (log_bin_compress), MySQL whole transactions
 * with zstd (binlog_transaction_compression).
 *
 * All memory is taken when the inflater is made, and by the libraries up to a bound of theirs: a
 * transaction of any length goes through one buffer, event by event.  Without the library, or for
 * an event longer than the buffer, the answer is INFLATE_WIDEN.
 */
#ifndef LARDER_MYSQL_INFLATE_H
#define LARDER_MYSQL_INFLATE_H

#include "mysql/event.h"

#define INFLATE_ROOM_MIN       (64u << 10) /* bytes */
#define INFLATE_ROOM_DEFAULT   (4u << 20)  /* bytes: the longest packed event that can be read */
#define INFLATE_WINDOW_LOG_MAX 23          /* zstd keeps 2 to this power of bytes at most */

struct inflater;

enum inflate_result {
    INFLATE_DONE,
    INFLATE_END,   /* the transaction has no further event */
    INFLATE_WIDEN, /* cannot be read, for `*reason`; the log goes on behind it */
    INFLATE_BAD,   /* broken, for `*reason` */
};

/** Makes an inflater for events of up to `room` bytes.  NULL: no memory. */
struct inflater *inflater_create(size_t room);
void inflater_destroy(struct inflater **inflater);

/**
 * Unpacks the text of a query or the rows of a rows event where `packed` says so; then they lie in
 * the inflater, until its next call.
 */
enum inflate_result inflate_event(struct inflater *inflater, struct event *event,
                                  const char **reason) __attribute__((warn_unused_result));

/** Begins with a packed transaction, whose bytes must stay until its end. */
enum inflate_result inflate_payload(struct inflater *inflater, const struct event_payload *payload,
                                    const char **reason) __attribute__((warn_unused_result));

/**
 * Gives the next event of the transaction, to be parsed with a format without a checksum.  It lies
 * in the inflater, until its next call.
 */
enum inflate_result inflate_payload_next(struct inflater *inflater, struct bytes *event,
                                         const char **reason) __attribute__((warn_unused_result));

#endif
