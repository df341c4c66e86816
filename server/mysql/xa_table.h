/*
 * XA transactions that are prepared: what they will do to keys once they commit.
 *
 * Bounded: a transaction that does not fit, or comes when too many are waiting, is kept as one that
 * voids all keys of the rules.  One that is not known at all does the same, by whoever asks.
 */
#ifndef LARDER_MYSQL_XA_TABLE_H
#define LARDER_MYSQL_XA_TABLE_H

#include "mysql/event.h"

#define XA_TRANSACTIONS_MAX 1024u
#define XA_BYTES_MAX        (4u << 20) /* of all operations that are kept */

struct xa_id {
    int32_t format;
    uint8_t gtrid_len;
    uint8_t bqual_len;
    uint8_t gtrid[EVENT_XID_LEN_MAX];
    uint8_t bqual[EVENT_XID_LEN_MAX];
};

/** False: longer than any server makes them. */
bool xa_id_of_event(const struct event_xa_id *event, struct xa_id *out);

struct xa_entry;

/** Operations, one behind the other, each with its length in front of it. */
struct xa_operations {
    uint8_t *bytes;
    size_t len;
    size_t cap;
    bool is_cut; /* not all of them: void everything */
};

struct xa_table {
    struct xa_entry *entries; /* in order of preparation */
    unsigned count;
    size_t bytes; /* of all operations */
};

void xa_table_init(struct xa_table *table);
void xa_table_fini(struct xa_table *table);

/** Adds an operation to those of a transaction that is not prepared yet. */
void xa_add(const struct xa_table *table, struct xa_operations *operations, const void *bytes,
            size_t len);
/** The next one; NULL at the end.  `*at` begins at 0. */
const void *xa_next(const struct xa_operations *operations, size_t *at);
void xa_operations_fini(struct xa_operations *operations);

/** It is prepared: the table takes the operations over.  One of the same id is replaced. */
void xa_prepare(struct xa_table *table, const struct xa_id *id, struct xa_operations *operations);
/** It is committed or rolled back.  False: not known. */
bool xa_take(struct xa_table *table, const struct xa_id *id, struct xa_operations *out);

#endif
