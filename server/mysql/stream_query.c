/* Statements in the log: what begins and ends transactions, XA, and changes of definitions. */
#include "config.h"

#include "mysql/stream_priv.h"

#include "base/assert.h"
#include "base/log.h"

#include <string.h>
#include <strings.h>

/* -- XA ---------------------------------------------------------------------------------------- */

static void
commit_xa(struct stream *stream, const struct xa_id *id)
{
    struct xa_operations kept;
    if (xa_take(&stream->xa, id, &kept)) {
        stream_apply_kept(stream, &kept);
    } else {
        stream_widen_all(stream, "an XA transaction that was prepared before the log was read");
    }
    stream_end_transaction(stream);
}

static void
rollback_xa(struct stream *stream, const struct xa_id *id)
{
    struct xa_operations kept;
    if (xa_take(&stream->xa, id, &kept)) {
        xa_operations_fini(&kept);
    }
    stream_end_transaction(stream);
}

static void
keep_prepared(struct stream *stream, const struct xa_id *id)
{
    stream_end_statement(stream);
    xa_prepare(&stream->xa, id, &stream->txn.kept);
    stream->txn.is_xa = false;
    stream_end_transaction(stream);
}

void
stream_xa_prepare(struct stream *stream, const struct event_xa_prepare *prepare)
{
    struct xa_id id;
    stream_ensure_transaction(stream);
    if (prepare->one_phase) {
        stream_end_transaction(stream);
    } else if (xa_id_of_event(&prepare->xa, &id)) {
        keep_prepared(stream, &id);
    } else {
        stream_widen_all(stream, "an XA identifier that is too long");
        stream_end_transaction(stream);
    }
}

static void
take_xa(struct stream *stream, const struct ddl_xa *xa)
{
    struct xa_id id = { .format = xa->format,
                        .gtrid_len = xa->gtrid_len,
                        .bqual_len = xa->bqual_len };
    memcpy(id.gtrid, xa->gtrid, xa->gtrid_len);
    memcpy(id.bqual, xa->bqual, xa->bqual_len);
    stream_ensure_transaction(stream);
    switch (xa->op) {
    case DDL_XA_START:
        stream->txn.in_block = true;
        stream->txn.is_xa = true;
        stream->txn.xa = id;
        stream->txn.xa_known = true;
        return;
    case DDL_XA_END:
        return;
    case DDL_XA_PREPARE:
        keep_prepared(stream, &id);
        return;
    case DDL_XA_COMMIT:
        if (xa->one_phase) {
            stream_end_transaction(stream);
        } else {
            commit_xa(stream, &id);
        }
        return;
    case DDL_XA_ROLLBACK:
        rollback_xa(stream, &id);
        return;
    }
}

/* -- definitions ------------------------------------------------------------------------------- */

/** The first word of a statement, behind comments. */
static bool
begins_with(struct bytes text, const char *word)
{
    size_t i = 0;
    while (i < text.len) {
        if (text.at[i] == ' ' || (text.at[i] >= '\t' && text.at[i] <= '\r')) {
            i++;
        } else if (i + 1 < text.len && text.at[i] == '/' && text.at[i + 1] == '*') {
            i += 2;
            while (i + 1 < text.len && !(text.at[i] == '*' && text.at[i + 1] == '/')) {
                i++;
            }
            i += 2;
        } else {
            break;
        }
    }
    size_t len = strlen(word);
    return i < text.len && text.len - i >= len &&
           strncasecmp((const char *)text.at + i, word, len) == 0;
}

static struct bytes
plain_name(struct bytes name, struct bytes default_database, char *out, size_t cap)
{
    struct writer writer_of_name = writer(out, cap);
    ddl_name_write(name, default_database, &writer_of_name);
    return (struct bytes){ (const uint8_t *)out, writer_of_name.is_full ? 0 : writer_of_name.len };
}

/** Whether it puts the copy that a tool has made in the place of a table: the rows are the same. */
static bool
swaps_copy(const struct stream *stream, const struct event_query *query)
{
    char name[STREAM_SQL_NAME_CAP];
    if (!begins_with(query->text, "RENAME")) {
        return false;
    }
    for (size_t i = 0; i < stream->ddl.name_count; i++) {
        struct bytes table =
            plain_name(stream->ddl.names[i].table, (struct bytes){ NULL, 0 }, name, sizeof(name));
        if (rules_is_online_ddl(stream->rules, table)) {
            return true;
        }
    }
    return false;
}

static void
change_table(struct stream *stream, struct bytes database, struct bytes table, bool rows_change)
{
    if (!rows_change) {
        if (tables_altered(stream->tables, database, table, &stream->txn.point.gtid)) {
            rules_list_table_prefixes(stream->rules, database, table, &stream->named);
            stream_widen_prefixes(stream, &stream->named, "a column of a rule has changed");
        }
        return;
    }
    tables_forget(stream->tables, database, table);
    rules_list_table_prefixes(stream->rules, database, table, &stream->named);
    stream_widen_prefixes(stream, &stream->named, "a table was emptied, dropped or renamed");
}

static void
change_tables(struct stream *stream, const struct event_query *query)
{
    char database_name[STREAM_SQL_NAME_CAP];
    char table_name[STREAM_SQL_NAME_CAP];
    const struct ddl *ddl = &stream->ddl;
    bool rows_change = ddl->rows_change && !swaps_copy(stream, query);
    switch (ddl->scope) {
    case DDL_SCOPE_NAMES:
        for (size_t i = 0; i < ddl->name_count; i++) {
            struct bytes database = plain_name(ddl->names[i].database, query->database,
                                               database_name, sizeof(database_name));
            struct bytes table = plain_name(ddl->names[i].table, (struct bytes){ NULL, 0 },
                                            table_name, sizeof(table_name));
            change_table(stream, database, table, rows_change);
        }
        return;
    case DDL_SCOPE_DATABASE:
        tables_forget_all(stream->tables);
        rules_list_database_prefixes(
            stream->rules,
            plain_name(ddl->database, query->database, database_name, sizeof(database_name)),
            &stream->named);
        stream_widen_prefixes(stream, &stream->named, "a statement about a whole database");
        return;
    case DDL_SCOPE_ALL:
        tables_forget_all(stream->tables);
        stream_widen_all(stream, "a statement that may be about any table");
        return;
    }
}

/** Behind a statement that stands alone its transaction is over. */
static void
end_if_alone(struct stream *stream)
{
    if (!stream->txn.in_block) {
        stream_end_transaction(stream);
    }
}

void
stream_query(struct stream *stream, const struct event_query *query)
{
    struct ddl *ddl = &stream->ddl;
    ddl_parse(query, ddl);
    switch (ddl->kind) {
    case DDL_BEGIN:
        stream_ensure_transaction(stream);
        stream->txn.in_block = true;
        return;
    case DDL_COMMIT:
    case DDL_ROLLBACK: /* what is logged in front of it happened all the same */
        stream_end_transaction(stream);
        return;
    case DDL_SAVEPOINT:
        return;
    case DDL_XA:
        take_xa(stream, &ddl->xa);
        return;
    case DDL_HARMLESS:
        end_if_alone(stream);
        return;
    case DDL_TABLES:
        metric_add(&stream->counts.ddl, 1);
        stream_ensure_transaction(stream);
        change_tables(stream, query);
        tables_graph_changed(stream->tables);
        if (begins_with(query->text, "CREATE") && query->text.len > 17 &&
            memmem(query->text.at, query->text.len, "START TRANSACTION", 17) != NULL) {
            stream->txn.in_block = true; /* MySQL's CREATE TABLE ... SELECT: rows follow */
        }
        end_if_alone(stream);
        return;
    case DDL_ROWS:
        metric_add(&stream->counts.stmt_dml, 1);
        stream_widen_all(stream, "a change that is logged as a statement (binlog_format)");
        end_if_alone(stream);
        return;
    case DDL_UNSURE:
        metric_add(&stream->counts.ddl, 1);
        stream_ensure_transaction(stream);
        change_tables(stream, query);
        tables_graph_changed(stream->tables);
        end_if_alone(stream);
        return;
    }
}
