/*
 * What goes from the thread that reads the log to the one that applies it: operations on keys, each
 * behind the transaction that they belong to.
 *
 *     RECORD_BEGIN     what must be visible before what follows is done for good
 *     operations       any number
 *     RECORD_END       the transaction is whole: its position counts as applied
 *
 * A transaction that is longer than the queue is applied in parts, so no record depends on the END.
 */
#ifndef LARDER_MYSQL_RECORD_H
#define LARDER_MYSQL_RECORD_H

#include "base/metric.h"
#include "engine/cache.h"
#include "mysql/gtid.h"
#include "mysql/rules.h"

#define RECORD_VALUE_MAX (1u << 20) /* bytes; a longer value is not written through */

enum record_kind {
    RECORD_BEGIN = 1,
    RECORD_DELETE,
    RECORD_STALE,
    RECORD_SET,
    RECORD_FLUSH, /* all keys with the prefix */
    RECORD_END,
    RECORD_CAUGHT_UP, /* all is received that the server had when the stream began */
};

/** A place in the log that can be waited for. */
struct record_point {
    uint32_t space; /* counts connections: what file and offset belong to */
    struct gtid gtid;
    uint64_t file_number; /* 0: not known */
    uint64_t offset;
    uint64_t arrived_us; /* monotonic */
};

struct record_op {
    uint8_t kind;    /* enum record_kind */
    uint8_t key_len; /* FLUSH: of the prefix, 0 for all keys */
    bool if_exists;
    bool is_downgraded;
    uint32_t rule; /* RECORD_NO_RULE: of none alone */
    uint32_t ttl_s;
    uint32_t value_len;
    uint8_t bytes[]; /* key, value */
};

#define RECORD_NO_RULE UINT32_MAX

struct record_begin {
    uint8_t kind;
    struct record_point point;
};

struct record_end {
    uint8_t kind;
    bool has_gtid;
    struct record_point point;
    uint64_t end_offset;  /* behind the transaction */
    uint32_t reset_space; /* not 0: all is void, and the position is that space's beginning */
    uint16_t file_len;    /* the name of a log follows, that is in use from here on; 0: none */
    char file[];
};

/** CAUGHT_UP. */
struct record_note {
    uint8_t kind;
    uint32_t space;
};

static inline size_t
record_op_size(const struct record_op *op)
{
    return sizeof(*op) + op->key_len + op->value_len;
}

/** What one thread counts; any thread reads. */
struct record_counts {
    struct metric deletes;
    struct metric delete_hits;
    struct metric stale_marks;
    struct metric sets;
    struct metric sets_downgraded; /* no memory, or too large: deleted in place of stored */
    struct metric token_voided;
    struct metric epoch_bumps;
};

/** One thread's hands on the cache. */
struct record_actor {
    struct cache *cache;
    struct cache_thread *thread;
    struct record_counts counts;
    struct metric *rule_ops; /* one per rule; may be NULL */
};

/** When the log tells of a change: nothing that is stored now survives record_apply_visible(). */
void record_apply_arrival(struct record_actor *actor, const struct record_op *op);
/** When the change is visible to whoever asks the server. */
void record_apply_visible(struct record_actor *actor, const struct record_op *op);
/** Voids all keys with a prefix; where the cache has no room for that, all keys. */
void record_flush_prefix(struct record_actor *actor, const void *prefix, uint32_t len);

#endif
