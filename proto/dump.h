/* The lines of `lru_crawler metadump` and `mgdump`. */
#ifndef LARDER_PROTO_DUMP_H
#define LARDER_PROTO_DUMP_H

#include "request.h"

/** One item, as a dump tells of it. */
struct dump_item {
    struct span key; /* percent-encoded for metadump, as it is for mgdump */
    bool binary_key; /* is told as base64 by mgdump */
    bool fetched;
    unsigned class_id;
    int64_t expires_at; /* unix seconds; 0 for never */
    int64_t used_at;    /* unix seconds */
    uint64_t cas;
    uint64_t size; /* bytes */
    uint32_t flags;
};

/* Writers put bytes at `at` and return the place behind them; each needs room for this many. */
#define DUMP_LINE_MAX (3u * KEY_LEN_MAX + 192u) /* bytes */

/**
 * "key=<percent-encoded> exp=<unix or -1> la=<unix> cas=<n> fetch=<yes|no> cls=<n> size=<n>
 * flags=<n> \n"
 *
 * Source: contract 1.5.
 */
uint8_t *dump_write_meta(uint8_t *at, const struct dump_item *item);
/** "mg <key>\r\n", or "mg <base64> b\r\n" */
uint8_t *dump_write_mg(uint8_t *at, const struct dump_item *item);

#endif
