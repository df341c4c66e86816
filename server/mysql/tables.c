#include "config.h"

#include "mysql/tables.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define CHANGE_WAIT_S "0.5"

struct tables {
    const struct rules *rules;
    const struct rules_host *host; /* NULL: nobody to ask */
    struct link link;
    bool is_open;
    bool was_refused; /* it has been said */
    bool graph_read;
    uint64_t bound;
    struct schema_graph graph;
    struct table *at[TABLES_MAX];
};

struct tables *
tables_create(const struct rules *rules)
{
    struct tables *tables = calloc(1, sizeof(*tables));
    if (tables != NULL) {
        tables->rules = rules;
        link_init(&tables->link);
    }
    return tables;
}

static void
table_free(struct table *table)
{
    if (table != NULL) {
        plan_destroy(table->plan);
        schema_table_free(&table->schema);
        free(table->columns);
        free(table->names);
        free(table->copy);
        free(table);
    }
}

void
tables_forget_all(struct tables *tables)
{
    for (unsigned i = 0; i < TABLES_MAX; i++) {
        table_free(tables->at[i]);
        tables->at[i] = NULL;
    }
}

void
tables_destroy(struct tables *tables)
{
    if (tables != NULL) {
        tables_forget_all(tables);
        schema_graph_clear(&tables->graph);
        link_close(&tables->link);
        link_fini(&tables->link);
        free(tables);
    }
}

void
tables_begin(struct tables *tables, const struct rules_host *host)
{
    tables_forget_all(tables);
    link_close(&tables->link);
    tables->is_open = false;
    tables->graph_read = false;
    tables->host = host;
}

void
tables_stop(struct tables *tables)
{
    link_stop(&tables->link);
}

static bool
can_ask(struct tables *tables)
{
    if (tables->host == NULL || tables->is_open) {
        return tables->is_open;
    }
    tables->is_open = link_open(&tables->link, &tables->rules->source, tables->host) == LINK_OK;
    if (!tables->is_open && !tables->was_refused) {
        tables->was_refused = true;
        log_line("hook: no connection to ask for columns: %s", tables->link.error);
    }
    return tables->is_open;
}

static enum schema_result
ask_columns(struct tables *tables, struct bytes database, struct bytes name,
            struct schema_table *out)
{
    enum schema_result result = SCHEMA_LOST;
    /* Once more: the connection may have ended since the last question. */
    for (unsigned tries = 0; tries < 2 && result == SCHEMA_LOST && can_ask(tables); tries++) {
        result = schema_read_table(&tables->link, database, name, out);
        if (result == SCHEMA_LOST) {
            link_close(&tables->link);
            tables->is_open = false;
        }
    }
    return result;
}

/* -- binding ----------------------------------------------------------------------------------- */

static uint64_t
map_hash(const struct event_table_map *map)
{
    uint64_t hash =
        hash_bytes(map->types, map->column_count, schema_name_hash(map->database, map->table));
    hash = hash_bytes(map->metadata.at, map->metadata.len, hash);
    return hash_bytes(map->metadata_optional.at, map->metadata_optional.len, hash);
}

static const uint8_t *
copy_piece(uint8_t **at, const uint8_t *from, size_t len)
{
    uint8_t *to = *at;
    if (len > 0) {
        memcpy(to, from, len);
    }
    *at += len;
    return to;
}

/** A map whose bytes are the table's own. */
static bool
copy_map(struct table *table, const struct event_table_map *map, struct event_table_map *out)
{
    size_t bits = bytes_of_bits(map->column_count);
    size_t len = map->column_count + map->metadata.len + bits + map->metadata_optional.len;
    table->copy = malloc(len + 1);
    table->names = malloc(map->database.len + map->table.len + 2);
    if (table->copy == NULL || table->names == NULL) {
        return false;
    }
    uint8_t *at = table->copy;
    *out = *map;
    out->types = copy_piece(&at, map->types, map->column_count);
    out->metadata.at = copy_piece(&at, map->metadata.at, map->metadata.len);
    out->nullable = copy_piece(&at, map->nullable, bits);
    out->metadata_optional.at =
        copy_piece(&at, map->metadata_optional.at, map->metadata_optional.len);
    at = (uint8_t *)table->names;
    table->database =
        (struct bytes){ copy_piece(&at, map->database.at, map->database.len), map->database.len };
    *at++ = '\0';
    table->name = (struct bytes){ copy_piece(&at, map->table.at, map->table.len), map->table.len };
    *at = '\0';
    out->database = table->database;
    out->table = table->name;
    return true;
}

static void
say_problems(const struct table *table, const struct plan_problems *problems)
{
    for (uint32_t i = 0; i < problems->count && i < PLAN_PROBLEMS_MAX; i++) {
        log_line("hook: %.*s.%.*s: %s", (int)table->database.len, (const char *)table->database.at,
                 (int)table->name.len, (const char *)table->name.at, problems->at[i].text);
    }
}

/** False without memory. */
static bool
bind_table(struct tables *tables, struct table *table, const struct event_table_map *map)
{
    struct event_table_map own;
    table->column_count = map->column_count;
    table->columns = calloc(map->column_count + 1, sizeof(table->columns[0]));
    if (table->columns == NULL || !copy_map(table, map, &own)) {
        return false;
    }
    switch (columns_parse(&own, table->columns, map->column_count)) {
    case COLUMNS_PARSED:
        break;
    case COLUMNS_UNKNOWN_TYPE:
        table->unreadable = "a column of a type that is not known here";
        return true;
    case COLUMNS_NO_ROOM:
    case COLUMNS_BAD:
        table->unreadable = "the table map does not have its form";
        return true;
    }
    table->names_logged = true;
    for (uint32_t i = 0; i < map->column_count; i++) {
        table->names_logged = table->names_logged && table->columns[i].name.len > 0;
    }
    if (ask_columns(tables, table->database, table->name, &table->schema) == SCHEMA_FOUND) {
        table->schema_known = schema_complete(&table->schema, table->columns, map->column_count);
    }
    struct plan_problems problems;
    switch (plan_bind(tables->rules, table->database, table->name, table->columns,
                      table->column_count, &table->plan, &problems)) {
    case PLAN_BOUND:
        say_problems(table, &problems);
        return true;
    case PLAN_NO_RULES:
        return true;
    case PLAN_NO_MEMORY:
        break;
    }
    return false;
}

static struct table **
place(struct tables *tables, uint64_t id)
{
    return &tables->at[id & (TABLES_MAX - 1)];
}

const struct table *
tables_find(const struct tables *tables, uint64_t id)
{
    const struct table *table = tables->at[id & (TABLES_MAX - 1)];
    return table != NULL && table->id == id ? table : NULL;
}

const struct table *
tables_map(struct tables *tables, const struct event_table_map *map)
{
    uint64_t hash = map_hash(map);
    struct table **at = place(tables, map->id);
    if (*at != NULL && (*at)->id == map->id && (*at)->map_hash == hash) {
        return *at;
    }
    table_free(*at);
    *at = calloc(1, sizeof(**at));
    struct table *table = *at;
    if (table == NULL) {
        return NULL;
    }
    table->id = map->id;
    table->map_hash = hash;
    table->name_hash = schema_name_hash(map->database, map->table);
    table->bound_at = ++tables->bound;
    if (rules_match(tables->rules, map->database, map->table) && !bind_table(tables, table, map)) {
        table_free(table);
        *at = NULL;
        return NULL;
    }
    return table;
}

/* -- definitions that change ------------------------------------------------------------------- */

/** The table of this name as it was bound last; NULL if it has not been. */
static struct table *
newest(const struct tables *tables, uint64_t name_hash)
{
    struct table *found = NULL;
    for (unsigned i = 0; i < TABLES_MAX; i++) {
        struct table *table = tables->at[i];
        if (table != NULL && table->name_hash == name_hash &&
            (found == NULL || table->bound_at > found->bound_at)) {
            found = table;
        }
    }
    return found;
}

void
tables_forget(struct tables *tables, struct bytes database, struct bytes name)
{
    uint64_t name_hash = schema_name_hash(database, name);
    for (unsigned i = 0; i < TABLES_MAX; i++) {
        if (tables->at[i] != NULL && tables->at[i]->name_hash == name_hash) {
            table_free(tables->at[i]);
            tables->at[i] = NULL;
        }
    }
}

static const struct schema_column *
find_column(const struct schema_table *schema, const char *name)
{
    for (uint32_t i = 0; i < schema->count; i++) {
        if (strcmp(schema->columns[i].name, name) == 0) {
            return &schema->columns[i];
        }
    }
    return NULL;
}

/** Whether a value has all columns, whichever they are: json(*). */
static bool
takes_all_columns(const struct rules *rules, const struct table *table)
{
    for (uint32_t i = 0; i < rules->table_count; i++) {
        const struct rules_table *block = &rules->tables[i];
        if (!rules_table_matches(block, table->database, table->name)) {
            continue;
        }
        for (uint32_t k = 0; k < block->rule_count; k++) {
            if (block->rules[k].action == RULE_SET &&
                block->rules[k].value.form == TEMPLATE_JSON_ALL) {
                return true;
            }
        }
    }
    return false;
}

static bool
concerns_rules(const struct rules *rules, const struct table *table, const struct schema_table *now)
{
    for (uint32_t i = 0; i < table->schema.count; i++) {
        if (!plan_needs_column(table->plan, i)) {
            continue;
        }
        const struct schema_column *was = &table->schema.columns[i];
        const struct schema_column *is = find_column(now, was->name);
        if (is == NULL || is->type_hash != was->type_hash) {
            return true;
        }
    }
    return now->count != table->schema.count && takes_all_columns(rules, table);
}

/**
 * Whether the server tells of the table as it is after the change.  MySQL logs a change before it
 * is in its dictionary; MariaDB has the definition in place, and keeps it locked, when it logs.
 */
static bool
shows_change(struct tables *tables, const struct gtid *gtid)
{
    char sql[GTID_TEXT_MAX + 64];
    char answer[16];
    if (!can_ask(tables)) {
        return false;
    }
    if (tables->link.is_mariadb) {
        return true;
    }
    if (gtid->family != GTID_MYSQL) {
        return false;
    }
    struct writer out = writer(sql, sizeof(sql) - 1);
    writer_put_text(&out, "SELECT WAIT_FOR_EXECUTED_GTID_SET('");
    gtid_write(gtid, &out);
    writer_put_text(&out, "', " CHANGE_WAIT_S ")");
    sql[out.len] = '\0';
    return !out.is_full && link_query_text(&tables->link, sql, answer, sizeof(answer)) == LINK_OK &&
           strcmp(answer, "0") == 0;
}

bool
tables_altered(struct tables *tables, struct bytes database, struct bytes name,
               const struct gtid *gtid)
{
    if (!rules_match(tables->rules, database, name)) {
        return false;
    }
    const struct table *table = newest(tables, schema_name_hash(database, name));
    struct schema_table now;
    bool changed = true;
    /* Names from the server alone, not from the log, may have been those of after the change all
     * along. */
    if (table != NULL && table->plan != NULL && table->names_logged && table->schema_known &&
        shows_change(tables, gtid) && ask_columns(tables, database, name, &now) == SCHEMA_FOUND) {
        changed = concerns_rules(tables->rules, table, &now);
        schema_table_free(&now);
    }
    /* If not, it stays known as it was: it has a new number, and is bound anew, all the same. */
    if (changed) {
        tables_forget(tables, database, name);
    }
    return changed;
}

/* -- foreign keys ------------------------------------------------------------------------------ */

void
tables_graph_changed(struct tables *tables)
{
    tables->graph_read = false;
}

static const struct schema_graph *
read_graph(struct tables *tables)
{
    if (!tables->graph_read) {
        tables->graph.is_known = false;
        if (can_ask(tables)) {
            schema_read_graph(&tables->link, &tables->graph);
            tables->graph_read = tables->graph.is_known;
        }
    }
    return &tables->graph;
}

bool
tables_may_cascade(struct tables *tables, uint64_t child, const uint64_t *changed,
                   unsigned changed_count)
{
    return cascade_may_reach(read_graph(tables), child, changed, changed_count);
}

bool
tables_children(struct tables *tables, uint64_t parent, bool is_delete, cascade_child_fn *child,
                void *arg)
{
    return cascade_children(read_graph(tables), parent, is_delete, child, arg);
}
