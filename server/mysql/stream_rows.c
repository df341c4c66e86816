/* Table maps and rows; and the changes by foreign keys, which have no rows in the log. */
#include "config.h"

#include "mysql/stream_priv.h"

#include "base/assert.h"

#include <string.h>

void
stream_table_map(struct stream *stream, const struct event_table_map *map)
{
    stream_ensure_transaction(stream);
    const struct table *table = tables_map(stream->tables, map);
    if (table == NULL) {
        stream_widen_all(stream, "out of memory for a table");
        return;
    }
    if (stream->map_count < STREAM_MAPS_MAX) {
        stream->maps[stream->map_count++] = (struct stream_map){ .id = map->id };
    } else if (table->plan != NULL) {
        stream_widen_prefixes(stream, plan_prefixes(table->plan), "a statement of many tables");
    }
}

/** cascade_child_fn */
static void
widen_child(void *arg, struct bytes database, struct bytes name)
{
    struct stream *stream = arg;
    rules_list_table_prefixes(stream->rules, database, name, &stream->named);
    if (stream->named.count > 0) {
        metric_add(&stream->counts.cascade, 1);
        stream_widen_prefixes(stream, &stream->named, "a foreign key, which MySQL does not log");
    }
}

static void
note_rows(struct stream *stream, const struct table *table, enum event_rows_op op)
{
    struct stream_transaction *txn = &stream->txn;
    /* A table that a foreign key changes, too, is mapped once more: the second map stays without. */
    for (unsigned i = 0; i < stream->map_count; i++) {
        if (stream->maps[i].id == table->id) {
            stream->maps[i].has_rows = true;
            break;
        }
    }
    if (op == EVENT_ROWS_WRITE) {
        return; /* no foreign key acts on an insert; REPLACE is logged as delete or update */
    }
    if (stream->native_cascades && !tables_children(stream->tables, table->name_hash,
                                                    op == EVENT_ROWS_DELETE, widen_child, stream)) {
        stream_widen_all(stream, "foreign keys that are not known");
    }
    for (unsigned i = 0; i < txn->changed_count; i++) {
        if (txn->changed[i] == table->name_hash) {
            return;
        }
    }
    if (txn->changed_count < STREAM_CHANGED_MAX) {
        txn->changed[txn->changed_count++] = table->name_hash;
    }
}

void
stream_end_statement(struct stream *stream)
{
    struct stream_transaction *txn = &stream->txn;
    /* MySQL 9.6 maps such tables too, and logs their rows if there are any. */
    for (unsigned i = 0; i < stream->map_count && stream->format.mariadb; i++) {
        const struct table *table =
            stream->maps[i].has_rows ? NULL : tables_find(stream->tables, stream->maps[i].id);
        if (table == NULL || table->plan == NULL) {
            continue;
        }
        if (txn->changed_count == STREAM_CHANGED_MAX ||
            tables_may_cascade(stream->tables, table->name_hash, txn->changed,
                               txn->changed_count)) {
            metric_add(&stream->counts.cascade, 1);
            stream_widen_prefixes(stream, plan_prefixes(table->plan),
                                  "a foreign key changes rows without a word in the log");
        }
    }
    stream->map_count = 0;
}

/* -- rows -------------------------------------------------------------------------------------- */

/** plan_sink */
static void
take_op(void *arg, const struct plan_op *op)
{
    struct stream *stream = arg;
    if (op->kind == PLAN_WIDEN) {
        stream->named.count = 1;
        stream->named.at[0].len = (uint32_t)op->key.len;
        memcpy(stream->named.at[0].text, op->key.at, op->key.len);
        stream_widen_prefixes(stream, &stream->named, op->reason);
        return;
    }
    uint8_t kind = RECORD_DELETE;
    if (op->kind == PLAN_STALE) {
        kind = RECORD_STALE;
    } else if (op->kind == PLAN_SET) {
        kind = RECORD_SET;
    }
    size_t value_len = op->kind == PLAN_SET ? op->value.len : 0;
    assert(op->key.len <= UINT8_MAX && value_len <= stream->value_max);
    *stream->op = (struct record_op){
        .kind = kind,
        .key_len = (uint8_t)op->key.len,
        .if_exists = op->if_exists,
        .is_downgraded = op->is_downgraded,
        .rule = op->rule->index,
        .ttl_s = op->ttl_s,
        .value_len = (uint32_t)value_len,
    };
    memcpy(stream->op->bytes, op->key.at, op->key.len);
    if (value_len > 0) {
        memcpy(stream->op->bytes + op->key.len, op->value.at, value_len);
    }
    stream_put_op(stream, op->is_downgraded ? op->reason : NULL);
}

static void
count_rows(struct stream *stream)
{
    const struct plan_counts *sums = plan_scratch_counts(stream->scratch);
    metric_set(&stream->counts.rows_matched, sums->rows_matched);
    metric_set(&stream->counts.keys_invalid, sums->keys_invalid);
}

static void
run_rows(struct stream *stream, const struct table *table, const struct event_rows *rows)
{
    struct row_walk walk;
    if (!row_walk_begin(&walk, rows, table->columns, table->column_count,
                        plan_slots(table->plan))) {
        metric_add(&stream->counts.decode_errors, 1);
        stream_widen_prefixes(stream, plan_prefixes(table->plan),
                              "rows that do not belong to the table as it was told");
        return;
    }
    uint64_t count = 0;
    enum row_result result;
    while ((result = row_next(&walk, stream->values[0], stream->values[1])) == ROW_NEXT &&
           !stream->is_stopped) {
        plan_run(table->plan, rows->op, rows->op == EVENT_ROWS_WRITE ? NULL : stream->values[0],
                 rows->op == EVENT_ROWS_DELETE ? NULL : stream->values[1], stream->scratch, take_op,
                 stream);
        count++;
    }
    metric_add(&stream->counts.rows, count);
    count_rows(stream);
    if (result == ROW_BAD) {
        metric_add(&stream->counts.decode_errors, 1);
        stream_widen_prefixes(stream, plan_prefixes(table->plan), "a row that cannot be read");
    } else if (count == 0) {
        /* An insert of nothing but defaults, with a minimal image: nobody can tell its keys. */
        stream_widen_prefixes(stream, plan_prefixes(table->plan), "rows without any column");
    }
}

void
stream_rows(struct stream *stream, struct event *event)
{
    const struct event_rows *rows = &event->rows;
    const char *reason = NULL;
    stream_ensure_transaction(stream);
    if (rows->table_id != EVENT_ROWS_DUMMY_TABLE) {
        const struct table *table = tables_find(stream->tables, rows->table_id);
        if (table == NULL) {
            metric_add(&stream->counts.decode_errors, 1);
            stream_widen_all(stream, "rows of a table that was not told");
        } else {
            note_rows(stream, table, rows->op);
            if (table->unreadable != NULL) {
                rules_list_table_prefixes(stream->rules, table->database, table->name,
                                          &stream->named);
                stream_widen_prefixes(stream, &stream->named, table->unreadable);
            } else if (table->plan != NULL) {
                enum inflate_result unpacked =
                    rows->packed ? inflate_event(stream->inflater, event, &reason) : INFLATE_DONE;
                if (unpacked == INFLATE_DONE) {
                    run_rows(stream, table, rows);
                } else {
                    metric_add(&stream->counts.decode_errors, 1);
                    stream_widen_prefixes(stream, plan_prefixes(table->plan), reason);
                }
            }
        }
    }
    if ((rows->flags & EVENT_ROWS_STATEMENT_END) != 0) {
        stream_end_statement(stream);
    }
}
