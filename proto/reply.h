/* What replies tell of one item.  Which fields count, the writer says; the others may hold
 * anything. */
#ifndef LARDER_PROTO_REPLY_H
#define LARDER_PROTO_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#define REPLY_TTL_NONE (-1) /* the item never expires */

struct reply_item {
    uint64_t cas;
    int64_t ttl_s;   /* seconds left, or REPLY_TTL_NONE */
    uint64_t idle_s; /* seconds since the last use before this one */
    uint32_t client_flags;
    uint32_t value_len;
    bool fetched; /* used before this request */
    bool
        key_binary; /* the key is told in base64: as request flag `b` has it, or as it was stored */
    bool won;       /* W: this client is to write the item anew */
    bool sent;      /* Z: another client has been told so before */
    bool stale;     /* X */
};

#endif
