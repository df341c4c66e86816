#include "config.h"

#include "mysql/schema.h"

#include "base/assert.h"
#include "base/hash.h"
#include "mysql/charset.h"
#include "mysql/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SQL_CAP        2048u
#define VALUES_LEN_MAX (1u << 20) /* bytes of all names of ENUMs and SETs of a table */
#define COLLATIONS_MAX 2304u      /* ids that are looked through for a character set */
#define ROW_COLUMNS    6u

/* -- columns ----------------------------------------------------------------------------------- */

struct type_name {
    const char *name; /* as DATA_TYPE has it */
    uint8_t type;
    uint8_t other; /* the log may have this one too; 0: none */
};

static const struct type_name type_names[] = {
    { "tinyint", COLUMN_TINY, 0 },
    { "smallint", COLUMN_SHORT, 0 },
    { "mediumint", COLUMN_INT24, 0 },
    { "int", COLUMN_LONG, 0 },
    { "bigint", COLUMN_LONGLONG, 0 },
    { "decimal", COLUMN_DECIMAL, 0 },
    { "float", COLUMN_FLOAT, 0 },
    { "double", COLUMN_DOUBLE, 0 },
    { "bit", COLUMN_BIT, 0 },
    { "year", COLUMN_YEAR, 0 },
    { "date", COLUMN_DATE, COLUMN_NEWDATE },
    { "time", COLUMN_TIME, COLUMN_TIME_OLD },
    { "datetime", COLUMN_DATETIME, COLUMN_DATETIME_OLD },
    { "timestamp", COLUMN_TIMESTAMP, COLUMN_TIMESTAMP_OLD },
    { "char", COLUMN_STRING, 0 },
    { "binary", COLUMN_STRING, 0 },
    { "varchar", COLUMN_VARCHAR, COLUMN_VARCHAR_COMPRESSED },
    { "varbinary", COLUMN_VARCHAR, COLUMN_VARCHAR_COMPRESSED },
    { "tinytext", COLUMN_BLOB, COLUMN_BLOB_COMPRESSED },
    { "text", COLUMN_BLOB, COLUMN_BLOB_COMPRESSED },
    { "mediumtext", COLUMN_BLOB, COLUMN_BLOB_COMPRESSED },
    { "longtext", COLUMN_BLOB, COLUMN_BLOB_COMPRESSED },
    { "tinyblob", COLUMN_BLOB, COLUMN_BLOB_COMPRESSED },
    { "blob", COLUMN_BLOB, COLUMN_BLOB_COMPRESSED },
    { "mediumblob", COLUMN_BLOB, COLUMN_BLOB_COMPRESSED },
    { "longblob", COLUMN_BLOB, COLUMN_BLOB_COMPRESSED },
    { "enum", COLUMN_ENUM, 0 },
    { "set", COLUMN_SET, 0 },
    { "json", COLUMN_JSON, 0 },
    { "vector", COLUMN_VECTOR, COLUMN_VARCHAR },
    { "uuid", COLUMN_STRING, 0 },
    { "inet6", COLUMN_STRING, 0 },
    { "inet4", COLUMN_STRING, 0 },
};

static const struct type_name *
find_type(struct bytes name)
{
    for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++) {
        if (bytes_equal(name, type_names[i].name)) {
            return &type_names[i];
        }
    }
    return NULL;
}

/** Any collation of a character set, which is all that matters for its bytes. */
static uint16_t
find_collation(struct bytes charset)
{
    for (unsigned id = 1; id < COLLATIONS_MAX; id++) {
        const char *name = charset_name(id);
        if (name != NULL && bytes_equal(charset, name)) {
            return (uint16_t)id;
        }
    }
    return COLLATION_UNKNOWN;
}

struct reading {
    struct schema_table *table;
    uint32_t cap;
    size_t values_len;
    bool failed;
};

/** Names of an ENUM as MySQL packs them.  What is not ASCII is left out: see schema_complete(). */
static void
take_values(struct reading *reading, struct schema_column *column, struct bytes type)
{
    size_t count = 0;
    uint8_t *out = reading->table->values + reading->values_len;
    size_t room = VALUES_LEN_MAX - reading->values_len;
    size_t at = 3; /* behind the count */
    size_t i = 0;
    while (i < type.len && type.at[i] != '\'') {
        i++;
    }
    while (i < type.len && type.at[i] == '\'') {
        size_t len_at = at;
        at += 3;
        for (i++; i < type.len; i++) {
            if (type.at[i] == '\'' && (i + 1 == type.len || type.at[i + 1] != '\'')) {
                break;
            }
            i += type.at[i] == '\''; /* it is doubled */
            if (at + 4 > room || type.at[i] >= 0x80) {
                return;
            }
            out[at++] = type.at[i];
        }
        if (len_at + 3 > room) {
            return;
        }
        size_t len = at - len_at - 3;
        out[len_at] = 0xfc;
        out[len_at + 1] = (uint8_t)len;
        out[len_at + 2] = (uint8_t)(len >> 8);
        count++;
        i += 2; /* quote and comma */
    }
    out[0] = 0xfc;
    out[1] = (uint8_t)count;
    out[2] = (uint8_t)(count >> 8);
    column->values = (struct bytes){ out, at };
    reading->values_len += at;
}

static bool
has_word(struct bytes text, const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i + len <= text.len; i++) {
        if (strncasecmp((const char *)text.at + i, word, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool
room_for_column(struct reading *reading)
{
    struct schema_table *table = reading->table;
    if (table->count < reading->cap) {
        return true;
    }
    if (reading->cap == EVENT_COLUMNS_MAX) {
        return false;
    }
    uint32_t cap = reading->cap > 0 ? reading->cap * 2 : 32;
    struct schema_column *grown = realloc(table->columns, cap * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    table->columns = grown;
    reading->cap = cap;
    return true;
}

/** link_row_fn: name, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, EXTRA, COLLATION_NAME */
static void
take_column(void *arg, const struct bytes *values, unsigned count)
{
    struct reading *reading = arg;
    if (reading->failed || count < ROW_COLUMNS || values[0].len >= SCHEMA_NAME_CAP ||
        !room_for_column(reading)) {
        reading->failed = true;
        return;
    }
    struct schema_column *column = &reading->table->columns[reading->table->count++];
    *column = (struct schema_column){ .meaning = COLUMN_AS_LOGGED };
    memcpy(column->name, values[0].at, values[0].len);
    const struct type_name *type = find_type(values[1]);
    column->log_type = type != NULL ? type->type : 0;
    column->is_unsigned = has_word(values[2], "unsigned");
    column->is_invisible = has_word(values[4], "invisible");
    if (bytes_equal(values[1], "uuid")) {
        column->meaning = COLUMN_AS_UUID;
    } else if (bytes_equal(values[1], "inet6")) {
        column->meaning = COLUMN_AS_INET6;
    } else if (bytes_equal(values[1], "inet4")) {
        column->meaning = COLUMN_AS_INET4;
    }
    column->collation =
        values[3].at != NULL ? find_collation(values[3]) : (uint16_t)COLLATION_BINARY;
    if (bytes_equal(values[1], "enum") || bytes_equal(values[1], "set")) {
        take_values(reading, column, values[2]);
    }
    column->type_hash =
        hash_bytes(values[2].at, values[2].len, 1) ^ hash_bytes(values[5].at, values[5].len, 2);
}

/** Writes the names into SQL.  False: longer than any name. */
static bool
put_names(struct link *link, struct bytes database, struct bytes table, char *out, size_t cap,
          const char *format)
{
    char quoted[2][2 * SCHEMA_NAME_CAP + 3];
    if (!link_quote(link, database, quoted[0], sizeof(quoted[0])) ||
        !link_quote(link, table, quoted[1], sizeof(quoted[1]))) {
        return false;
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int len = snprintf(out, cap, format, quoted[0], quoted[1]);
#pragma GCC diagnostic pop
    return len > 0 && (size_t)len < cap;
}

enum schema_result
schema_read_table(struct link *link, struct bytes database, struct bytes table,
                  struct schema_table *out)
{
    char sql[SQL_CAP];
    *out = (struct schema_table){ .count = 0 };
    struct reading reading = { .table = out };
    if (!put_names(link, database, table, sql, sizeof(sql),
                   "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, EXTRA,"
                   " COLLATION_NAME FROM INFORMATION_SCHEMA.COLUMNS"
                   " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION")) {
        return SCHEMA_NONE;
    }
    out->values = malloc(VALUES_LEN_MAX);
    if (out->values == NULL) {
        return SCHEMA_LOST;
    }
    enum link_result result = link_query(link, sql, take_column, &reading);
    if (result == LINK_OK && !reading.failed && out->count > 0) {
        return SCHEMA_FOUND;
    }
    schema_table_free(out);
    return result == LINK_LOST || result == LINK_TOO_LONG ? SCHEMA_LOST : SCHEMA_NONE;
}

void
schema_table_free(struct schema_table *table)
{
    free(table->columns);
    free(table->values);
    *table = (struct schema_table){ .count = 0 };
}

static bool
types_agree(const struct schema_column *told, const struct column *logged)
{
    for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++) {
        if (type_names[i].type == told->log_type &&
            (type_names[i].type == logged->type || type_names[i].other == logged->type)) {
            return true;
        }
    }
    return told->log_type == 0;
}

bool
schema_complete(const struct schema_table *table, struct column *columns, uint32_t count)
{
    if (table->count != count) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct schema_column *told = &table->columns[i];
        if (!types_agree(told, &columns[i]) ||
            (columns[i].name.len > 0 && !bytes_equal(columns[i].name, told->name))) {
            return false;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct schema_column *told = &table->columns[i];
        struct column *column = &columns[i];
        if (column->name.len == 0) {
            column->name = (struct bytes){ (const uint8_t *)told->name, strlen(told->name) };
            column->is_invisible = told->is_invisible;
        }
        if (!column->is_signed_known) {
            column->is_signed_known = told->log_type != 0;
            column->is_unsigned = told->is_unsigned;
        }
        if (column->collation == COLLATION_UNKNOWN) {
            column->collation = told->collation;
        }
        if (column->values.len == 0) {
            column->values = told->values;
        }
        column->meaning = told->meaning;
    }
    return true;
}

/* -- foreign keys ------------------------------------------------------------------------------ */

uint64_t
schema_name_hash(struct bytes database, struct bytes table)
{
    return hash_bytes(table.at, table.len, hash_bytes(database.at, database.len, 0));
}

static bool
changes_children(struct bytes rule)
{
    return !bytes_equal(rule, "RESTRICT") && !bytes_equal(rule, "NO ACTION");
}

/** Notes that the table's keys can be seen.  False: no room. */
static bool
note_visible(struct schema_graph *graph, uint64_t table)
{
    for (uint32_t i = graph->visible_count; i > 0; i--) {
        if (graph->visible[i - 1] == table) {
            return true;
        }
    }
    if (graph->visible_count == SCHEMA_FOREIGN_KEYS_MAX) {
        return false;
    }
    graph->visible[graph->visible_count++] = table;
    return true;
}

/** link_row_fn: child's database and table, parent's (NULL: another kind of key), UPDATE_RULE,
 * DELETE_RULE (NULL: not shown to this user) */
static void
take_foreign_key(void *arg, const struct bytes *values, unsigned count)
{
    struct schema_graph *graph = arg;
    if (count < ROW_COLUMNS || !graph->is_known) {
        return;
    }
    if (!note_visible(graph, schema_name_hash(values[0], values[1]))) {
        graph->is_known = false;
        return;
    }
    if (values[3].at == NULL) {
        return;
    }
    struct schema_foreign_key key = {
        .child = schema_name_hash(values[0], values[1]),
        .parent = schema_name_hash(values[2], values[3]),
        .on_update = changes_children(values[4]),
        .on_delete = changes_children(values[5]),
    };
    if (!key.on_update && !key.on_delete) {
        return;
    }
    if (graph->count == SCHEMA_FOREIGN_KEYS_MAX) {
        graph->is_known = false;
        return;
    }
    key.child_names = malloc(values[0].len + values[1].len + 2);
    if (key.child_names != NULL) {
        struct writer out = writer(key.child_names, values[0].len + values[1].len + 2);
        writer_put(&out, values[0].at, values[0].len);
        writer_put_char(&out, '\0');
        writer_put(&out, values[1].at, values[1].len);
        writer_put_char(&out, '\0');
    }
    graph->keys[graph->count++] = key;
}

void
schema_graph_clear(struct schema_graph *graph)
{
    for (uint32_t i = 0; i < graph->count; i++) {
        free(graph->keys[i].child_names);
    }
    graph->count = 0;
    graph->visible_count = 0;
    graph->is_known = false;
}

bool
schema_graph_shows(const struct schema_graph *graph, uint64_t table)
{
    for (uint32_t i = 0; i < graph->visible_count; i++) {
        if (graph->visible[i] == table) {
            return true;
        }
    }
    return false;
}

void
schema_read_graph(struct link *link, struct schema_graph *out)
{
    schema_graph_clear(out);
    out->is_known = true;
    enum link_result result = link_query(
        link,
        "SELECT k.TABLE_SCHEMA, k.TABLE_NAME, k.REFERENCED_TABLE_SCHEMA, k.REFERENCED_TABLE_NAME,"
        " r.UPDATE_RULE, r.DELETE_RULE FROM INFORMATION_SCHEMA.KEY_COLUMN_USAGE k"
        " LEFT JOIN INFORMATION_SCHEMA.REFERENTIAL_CONSTRAINTS r"
        " ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME"
        " AND r.TABLE_NAME = k.TABLE_NAME"
        " WHERE k.TABLE_SCHEMA NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')",
        take_foreign_key, out);
    out->is_known = out->is_known && result == LINK_OK;
}
