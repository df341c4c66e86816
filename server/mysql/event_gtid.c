/* What begins and ends transactions: GTIDs of both families, XA PREPARE, packed transactions. */
#include "config.h"

#include "mysql/event_priv.h"

#define UUID_LEN          16u
#define TIMESTAMPS_TYPE   2u           /* of logical clocks: the one that there is */
#define SHORT_TIME_LEN    7u           /* bytes */
#define ORIGINAL_FOLLOWS  (1ull << 55) /* bit of the first time */
#define COMMIT_ID_FOLLOWS 2u           /* flag of MariaDB's */

/*
 *     offset size
 *          0    1 flags
 *          1   16 uuid
 *         17    8 number
 *         25    1 2: a logical clock follows (MySQL 5.7)
 *         26   16 last committed, sequence number
 *         42    7 time of commit; the top bit: the original time follows (MySQL 8.0)
 *          .    7 that one
 *          .  1-9 packed: bytes of the whole transaction
 */
bool
event_parse_gtid(struct bytes body, struct event *out)
{
    struct event_gtid *gtid = &out->gtid;
    struct bytes_cursor cur = bytes_cursor(body);
    struct bytes uuid;
    *gtid = (struct event_gtid){ .number = 0 };
    if (!bytes_skip(&cur, 1) || !bytes_take(&cur, UUID_LEN, &uuid) ||
        !bytes_take_u64(&cur, &gtid->number)) {
        return false;
    }
    memcpy(gtid->uuid, uuid.at, UUID_LEN);
    uint8_t clock;
    uint64_t time;
    if (bytes_take_u8(&cur, &clock) && clock == TIMESTAMPS_TYPE && bytes_skip(&cur, 16) &&
        bytes_take_number(&cur, SHORT_TIME_LEN, &time) &&
        ((time & ORIGINAL_FOLLOWS) == 0 || bytes_skip(&cur, SHORT_TIME_LEN))) {
        (void)bytes_take_packed(&cur, &gtid->transaction_len);
    }
    return true;
}

/** A signed number of the serialization library: the sign is the lowest bit. */
static bool
take_signed(struct bytes_cursor *cur, uint64_t *out)
{
    uint64_t packed;
    if (!bytes_take_varint(cur, &packed) || (packed & 1) != 0) {
        return false; /* none of those here can be negative */
    }
    *out = packed >> 1;
    return true;
}

/** Takes one field of a tagged GTID. */
static bool
take_field(struct bytes_cursor *cur, uint64_t field, struct event_gtid *gtid)
{
    enum {
        FIELD_FLAGS,
        FIELD_UUID,
        FIELD_NUMBER,
        FIELD_TAG,
        FIELD_LAST_COMMITTED,
        FIELD_SEQUENCE,
        FIELD_TIME,
        FIELD_TIME_ORIGINAL,
        FIELD_TRANSACTION_LEN,
    };
    uint64_t number;
    switch (field) {
    case FIELD_UUID:
        for (unsigned i = 0; i < UUID_LEN; i++) {
            if (!bytes_take_varint(cur, &number) || number > UINT8_MAX) {
                return false;
            }
            gtid->uuid[i] = (uint8_t)number;
        }
        return true;
    case FIELD_NUMBER:
        return take_signed(cur, &gtid->number);
    case FIELD_TAG:
        return bytes_take_varint(cur, &number) && number <= EVENT_TAG_LEN_MAX &&
               bytes_take(cur, (size_t)number, &gtid->tag);
    case FIELD_TRANSACTION_LEN:
        return bytes_take_varint(cur, &gtid->transaction_len);
    default: /* FIELD_FLAGS and so on, and those to come: a number each */
        return bytes_take_varint(cur, &number);
    }
}

/**
 * A message of MySQL's serialization library: version, length, the last field that must be known;
 * then the number and value of each field, those left out that have their default.
 */
bool
event_parse_gtid_tagged(struct bytes body, struct event *out)
{
    struct event_gtid *gtid = &out->gtid;
    struct bytes_cursor cur = bytes_cursor(body);
    uint64_t version, len, last_needed;
    *gtid = (struct event_gtid){ .number = 0 };
    if (!bytes_take_varint(&cur, &version) || !bytes_take_varint(&cur, &len) || len > body.len ||
        !bytes_take_varint(&cur, &last_needed)) {
        return false;
    }
    if (version != 1) {
        out->reason = "a tagged GTID in a format to come";
        return false;
    }
    if (body.at + len < cur.at) {
        return false;
    }
    cur.end = body.at + len;
    uint64_t previous = 0;
    bool has_uuid = false;
    while (bytes_left(&cur) > 0) {
        uint64_t field;
        if (!bytes_take_varint(&cur, &field) || (field <= previous && field != 0)) {
            return false;
        }
        if (!take_field(&cur, field, gtid)) {
            return false;
        }
        has_uuid = has_uuid || field == 1;
        previous = field;
    }
    return has_uuid && gtid->number > 0;
}

static bool
take_xa_parts(struct bytes_cursor *cur, uint32_t gtrid_len, uint32_t bqual_len,
              struct event_xa_id *out)
{
    return gtrid_len <= EVENT_XID_LEN_MAX && bqual_len <= EVENT_XID_LEN_MAX &&
           bytes_take(cur, gtrid_len, &out->gtrid) && bytes_take(cur, bqual_len, &out->bqual);
}

/*
 *     offset size
 *          0    8 sequence number
 *          8    4 domain
 *         12    1 flags
 *         13    8 by a flag: id of a group commit
 *          .      by two flags: an XA identifier: format (4), lengths (1, 1), both halves
 *          .      what does not matter here; without the two before it at least 6 bytes, 0
 */
bool
event_parse_gtid_mariadb(struct bytes body, struct event *out)
{
    struct event_gtid_mariadb *gtid = &out->gtid_mariadb;
    struct bytes_cursor cur = bytes_cursor(body);
    *gtid = (struct event_gtid_mariadb){ .server = out->server };
    if (!bytes_take_u64(&cur, &gtid->sequence) || !bytes_take_u32(&cur, &gtid->domain) ||
        !bytes_take_u8(&cur, &gtid->flags) ||
        ((gtid->flags & COMMIT_ID_FOLLOWS) != 0 && !bytes_skip(&cur, 8))) {
        return false;
    }
    if ((gtid->flags & (EVENT_GTID_XA_PREPARED | EVENT_GTID_XA_COMPLETED)) == 0) {
        return true;
    }
    uint32_t format;
    uint8_t gtrid_len, bqual_len;
    if (!bytes_take_u32(&cur, &format) || !bytes_take_u8(&cur, &gtrid_len) ||
        !bytes_take_u8(&cur, &bqual_len)) {
        return false;
    }
    gtid->xa.format = (int32_t)format;
    return take_xa_parts(&cur, gtrid_len, bqual_len, &gtid->xa);
}

bool
event_parse_xa_prepare(struct bytes body, struct event *out)
{
    struct event_xa_prepare *prepare = &out->xa_prepare;
    struct bytes_cursor cur = bytes_cursor(body);
    uint8_t one_phase;
    uint32_t format, gtrid_len, bqual_len;
    if (!bytes_take_u8(&cur, &one_phase) || !bytes_take_u32(&cur, &format) ||
        !bytes_take_u32(&cur, &gtrid_len) || !bytes_take_u32(&cur, &bqual_len)) {
        return false;
    }
    prepare->one_phase = one_phase != 0;
    prepare->xa = (struct event_xa_id){ .format = (int32_t)format };
    return take_xa_parts(&cur, gtrid_len, bqual_len, &prepare->xa);
}

/** Fields of a type, a length and a value each; type 0 ends them, and the packed events follow. */
bool
event_parse_payload(struct bytes body, struct event *out)
{
    enum {
        FIELD_END,
        FIELD_LEN,
        FIELD_PACKING,
        FIELD_PLAIN_LEN,
    };
    struct event_payload *payload = &out->payload;
    struct bytes_cursor cur = bytes_cursor(body);
    uint64_t packed_len = UINT64_MAX;
    payload->packing = UINT64_MAX;
    payload->plain_len = 0;
    for (;;) {
        uint64_t field;
        struct bytes value;
        if (!bytes_take_packed(&cur, &field)) {
            return false;
        }
        if (field == FIELD_END) {
            break;
        }
        if (!bytes_take_packed_text(&cur, &value)) {
            return false;
        }
        struct bytes_cursor number = bytes_cursor(value);
        uint64_t *into = field == FIELD_LEN         ? &packed_len
                         : field == FIELD_PACKING   ? &payload->packing
                         : field == FIELD_PLAIN_LEN ? &payload->plain_len
                                                    : NULL;
        if (into != NULL && !bytes_take_packed(&number, into)) {
            return false;
        }
    }
    return packed_len <= bytes_left(&cur) && bytes_take(&cur, (size_t)packed_len, &payload->packed);
}
