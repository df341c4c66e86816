/* What the files of the stream share. */
#ifndef LARDER_MYSQL_STREAM_PRIV_H
#define LARDER_MYSQL_STREAM_PRIV_H

#include "mysql/ddl.h"
#include "mysql/stream.h"

#define STREAM_SQL_NAME_CAP 1024u /* bytes of a database's or table's name without quotes */

/** A table map of the statement that is being read. */
struct stream_map {
    uint64_t id;
    bool has_rows;
};

/** The transaction that is being read. */
struct stream_transaction {
    bool is_open;
    bool in_block;  /* ends with COMMIT and the like, not behind its first statement */
    bool has_begun; /* the sink knows of it */
    bool has_gtid;
    bool is_xa;    /* what it does is kept until it commits */
    bool xa_known; /* `xa` is its identifier; else it has none that could be kept */
    bool all_widened;
    struct record_point point;
    struct xa_id xa;
    struct xa_operations kept;
    unsigned widened_count; /* prefixes that it has voided already, as hashes */
    uint64_t widened[RULES_PREFIXES_MAX];
    unsigned changed_count; /* tables with updated or deleted rows, by schema_name_hash() */
    uint64_t changed[STREAM_CHANGED_MAX];
};

struct stream {
    const struct rules *rules;
    struct stream_sink sink;
    struct tables *tables;
    struct inflater *inflater;
    struct plan_scratch *scratch;
    struct value *values[2]; /* of the images of a row */
    struct record_op *op;    /* room for the longest */
    size_t value_max;
    struct xa_table xa;
    struct event_format format;
    struct rules_prefixes all;   /* of all rules */
    struct rules_prefixes named; /* of what a statement names */
    struct ddl ddl;
    struct stream_counts counts;
    bool native_cascades;
    bool is_stopped; /* by the sink */
    bool has_ops;    /* since the last flush of the sink */
    bool file_told;  /* the sink knows received.file */
    uint32_t space;
    uint64_t now_us;
    struct metric time_s; /* unix second of the newest event */
    uint64_t said_us;     /* when the last voiding was logged */
    const char *said;     /* and why it was done */
    struct stream_transaction txn;
    unsigned map_count;
    struct stream_map maps[STREAM_MAPS_MAX];
    struct lock lock;         /* of the next */
    struct position received; /* the stream writes, with the lock; others read with it */
    uint64_t offset;          /* behind the last event, which may be within a transaction */
};

/** Hands an operation on, or keeps it: stream->op, filled.  `reason`: of a voiding, or NULL. */
void stream_put_op(struct stream *stream, const char *reason);
void stream_widen_prefixes(struct stream *stream, const struct rules_prefixes *prefixes,
                           const char *reason);
void stream_widen_all(struct stream *stream, const char *reason);

/** Begins one without a GTID, unless one is open. */
void stream_ensure_transaction(struct stream *stream);
void stream_end_transaction(struct stream *stream);

/** Does what was kept for an XA transaction. */
void stream_apply_kept(struct stream *stream, struct xa_operations *kept);

/** A QUERY event that is not packed any more. */
void stream_query(struct stream *stream, const struct event_query *query);
void stream_xa_prepare(struct stream *stream, const struct event_xa_prepare *prepare);

void stream_table_map(struct stream *stream, const struct event_table_map *map);
void stream_rows(struct stream *stream, struct event *event);
/** A statement is over: what table maps without rows mean. */
void stream_end_statement(struct stream *stream);

#endif
