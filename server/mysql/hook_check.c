/* --hook-check: what of the rules will not work with this server. */
#include "config.h"

#include "mysql/hook_tool.h"

#include "base/assert.h"
#include "mysql/plan.h"
#include "mysql/schema.h"
#include "mysql/source.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TABLES_SHOWN_MAX 1000u /* of those that patterns match */
#define TEXT_CAP         128u

struct check {
    const struct rules *rules;
    const struct rules_host *host;
    FILE *out;
    bool failed;
    struct source source;
    struct schema_graph graph;
    unsigned tables;
};

enum finding {
    FINDING_OK,
    FINDING_NOTE,
    FINDING_PROBLEM,
};

__attribute__((format(printf, 3, 4))) static void
say(struct check *check, enum finding finding, const char *format, ...)
{
    static const char *const words[] = { "ok     ", "note   ", "problem" };
    va_list args;
    fprintf(check->out, "%s  ", words[finding]);
    va_start(args, format);
    vfprintf(check->out, format, args);
    va_end(args);
    fputc('\n', check->out);
    check->failed = check->failed || finding == FINDING_PROBLEM;
}

/* -- the server -------------------------------------------------------------------------------- */

static bool
ask(struct check *check, const char *variable, char *out)
{
    char sql[TEXT_CAP];
    snprintf(sql, sizeof(sql), "SELECT @@global.%s", variable);
    return link_query_text(&check->source.link, sql, out, TEXT_CAP) == LINK_OK;
}

static void
check_format(struct check *check)
{
    char text[TEXT_CAP];
    if (!ask(check, "binlog_format", text) || strcmp(text, "ROW") == 0) {
        say(check, FINDING_OK, "binlog_format is ROW");
    } else {
        say(check, FINDING_PROBLEM,
            "binlog_format is %s: a change that is logged as a statement voids all keys; set it to"
            " ROW",
            text);
    }
    if (ask(check, "binlog_row_image", text)) {
        bool is_full = strncmp(text, "FULL", 4) == 0;
        say(check, is_full ? FINDING_OK : FINDING_NOTE,
            is_full ? "binlog_row_image is %s"
                    : "binlog_row_image is %s: a key of a column that is not logged widens to its"
                      " prefix, and a set without all its columns becomes a delete; FULL avoids it",
            text);
    }
    if (ask(check, "binlog_row_metadata", text)) {
        bool is_full = strcmp(text, "FULL") == 0;
        say(check, is_full ? FINDING_OK : FINDING_NOTE,
            is_full ? "binlog_row_metadata is %s"
                    : "binlog_row_metadata is %s: names of columns are asked of the server, and"
                      " every ALTER of a table with rules voids its keys; FULL avoids it",
            text);
    }
    if (check->source.link.is_mariadb) {
        say(check, FINDING_OK, "MariaDB: has GTIDs");
    } else if (check->source.by_gtid) {
        say(check, FINDING_OK, "gtid_mode is ON");
    } else {
        say(check, FINDING_PROBLEM,
            "gtid_mode is not ON: the second invalidation comes after a time, not when the"
            " transaction is visible, and a failover voids all keys");
    }
}

static void
check_grants(struct check *check)
{
    struct bytes event;
    if (check->source.current.file[0] == '\0') {
        say(check, FINDING_NOTE,
            "%s is not granted: a start takes longer, until the log's end is found out",
            check->source.link.is_mariadb ? "BINLOG MONITOR" : "REPLICATION CLIENT");
    }
    if (source_begin(&check->source, &check->rules->source, &check->source.current,
                     source_choose_server_id()) == SOURCE_OK &&
        source_next(&check->source, &event) == SOURCE_OK) {
        say(check, FINDING_OK, "the log can be read");
    } else {
        say(check, FINDING_PROBLEM,
            "the log cannot be read: %s (the user needs REPLICATION SLAVE on *.*)",
            check->source.link.error);
    }
}

/* -- tables ------------------------------------------------------------------------------------ */

/** A column as a log with names would tell it. */
static struct column
as_logged(const struct schema_column *told)
{
    return (struct column){
        .type = told->log_type,
        .collation = told->collation,
        .meaning = told->meaning,
        .is_signed_known = true,
        .is_unsigned = told->is_unsigned,
        .is_invisible = told->is_invisible,
        .name = { (const uint8_t *)told->name, strlen(told->name) },
        .values = told->values,
    };
}

/** charset_sink */
static void
nothing(void *context, const uint8_t *text, size_t len)
{
    (void)context;
    (void)text;
    (void)len;
}

static void
check_charset(struct check *check, const char *name, const struct schema_column *column)
{
    struct charsets charsets;
    if (column->collation == COLLATION_BINARY) {
        return;
    }
    charsets_init(&charsets);
    if (column->collation == COLLATION_UNKNOWN ||
        charset_convert(&charsets, column->collation, (struct bytes){ (const uint8_t *)"", 0 },
                        nothing, NULL) != CHARSET_DONE) {
        say(check, FINDING_PROBLEM,
            "%s: column %s has a character set that is not known here: its keys widen", name,
            column->name);
    }
    charsets_fini(&charsets);
}

static void
check_cascades(struct check *check, const char *name, uint64_t hash)
{
    if (!check->graph.is_known || !schema_graph_shows(&check->graph, hash)) {
        say(check, FINDING_NOTE,
            "%s: its foreign keys cannot be seen: taken as one that others change", name);
        return;
    }
    for (uint32_t i = 0; i < check->graph.count; i++) {
        if (check->graph.keys[i].child == hash) {
            bool is_shown = schema_graph_shows(&check->graph, check->graph.keys[i].parent);
            say(check, FINDING_NOTE,
                "%s: a foreign key changes it without rows in the log (MariaDB, MySQL before 9.6):"
                " all its keys are voided then%s",
                name,
                is_shown ? ""
                         : ", and with any change, as its parent cannot be seen: grant SELECT");
            return;
        }
    }
}

static void
check_bound(struct check *check, const char *name, struct bytes database, struct bytes table,
            const struct schema_table *schema)
{
    struct plan *plan = NULL;
    struct plan_problems problems = { .count = 0 };
    struct column *columns = calloc(schema->count, sizeof(*columns));
    if (columns == NULL) {
        return;
    }
    for (uint32_t i = 0; i < schema->count; i++) {
        columns[i] = as_logged(&schema->columns[i]);
    }
    if (plan_bind(check->rules, database, table, columns, schema->count, &plan, &problems) ==
        PLAN_BOUND) {
        for (uint32_t i = 0; i < problems.count && i < PLAN_PROBLEMS_MAX; i++) {
            say(check, FINDING_PROBLEM, "%s: %s", name, problems.at[i].text);
        }
        for (uint32_t i = 0; i < schema->count; i++) {
            if (plan_needs_column(plan, i)) {
                check_charset(check, name, &schema->columns[i]);
            }
        }
        if (problems.count == 0) {
            say(check, FINDING_OK, "%s: has the columns of its rules", name);
        }
    }
    plan_destroy(plan);
    free(columns);
}

static void
check_table(struct check *check, struct link *link, struct bytes database, struct bytes table)
{
    char name[2 * SCHEMA_NAME_CAP];
    struct schema_table schema;
    snprintf(name, sizeof(name), "%.*s.%.*s", (int)database.len, (const char *)database.at,
             (int)table.len, (const char *)table.at);
    if (schema_read_table(link, database, table, &schema) != SCHEMA_FOUND) {
        say(check, FINDING_PROBLEM,
            "%s: is not there, or the user has no grant on it (SELECT lets its columns be seen)",
            name);
        return;
    }
    check_bound(check, name, database, table, &schema);
    check_cascades(check, name, schema_name_hash(database, table));
    schema_table_free(&schema);
}

struct names {
    const struct rules *rules;
    unsigned count;
    struct bytes at[TABLES_SHOWN_MAX][2];
};

/** link_row_fn */
static void
take_name(void *arg, const struct bytes *values, unsigned count)
{
    struct names *names = arg;
    if (count < 2 || names->count == TABLES_SHOWN_MAX ||
        !rules_match(names->rules, values[0], values[1])) {
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        char *copy = malloc(values[i].len + 1);
        if (copy == NULL) {
            return;
        }
        memcpy(copy, values[i].at, values[i].len);
        names->at[names->count][i] = (struct bytes){ (const uint8_t *)copy, values[i].len };
    }
    names->count++;
}

static bool
is_for_any(const struct rules_table *block, const struct names *names)
{
    for (unsigned i = 0; i < names->count; i++) {
        if (rules_table_matches(block, names->at[i][0], names->at[i][1])) {
            return true;
        }
    }
    return false;
}

/** A block of rules whose tables, if there are any, have not been checked. */
static void
check_block(struct check *check, struct link *link, const struct rules_table *block,
            const struct names *names)
{
    if (is_for_any(block, names)) {
        return;
    }
    if (block->database.at != NULL && block->table.at != NULL) {
        check_table(check, link, block->database, block->table);
    } else if (names->count < TABLES_SHOWN_MAX) {
        say(check, FINDING_NOTE,
            "line %u: no table matches: none is there yet, or the user has no grant on it",
            block->line);
    }
}

static void
check_tables(struct check *check)
{
    struct names *names = calloc(1, sizeof(*names));
    struct link link;
    link_init(&link);
    if (names == NULL || link_open(&link, &check->rules->source, check->host) != LINK_OK) {
        say(check, FINDING_PROBLEM, "a second connection: %s", link.error);
        goto done;
    }
    names->rules = check->rules;
    schema_read_graph(&link, &check->graph);
    if (link_query(&link,
                   "SELECT TABLE_SCHEMA, TABLE_NAME FROM INFORMATION_SCHEMA.TABLES"
                   " WHERE TABLE_TYPE = 'BASE TABLE'",
                   take_name, names) != LINK_OK) {
        say(check, FINDING_PROBLEM, "the list of tables: %s", link.error);
        goto done;
    }
    for (unsigned i = 0; i < names->count; i++) {
        check_table(check, &link, names->at[i][0], names->at[i][1]);
    }
    for (uint32_t i = 0; i < check->rules->table_count; i++) {
        check_block(check, &link, &check->rules->tables[i], names);
    }

done:
    for (unsigned i = 0; names != NULL && i < names->count; i++) {
        free((void *)(uintptr_t)names->at[i][0].at);
        free((void *)(uintptr_t)names->at[i][1].at);
    }
    free(names);
    schema_graph_clear(&check->graph);
    link_close(&link);
    link_fini(&link);
}

static void
check_host(struct check *check)
{
    fprintf(check->out, "%s", check->host->name);
    if (check->host->port != 0) {
        fprintf(check->out, ":%u", check->host->port);
    }
    fputs("\n", check->out);
    if (source_open(&check->source, &check->rules->source, check->host) != SOURCE_OK) {
        say(check, FINDING_PROBLEM, "%s", check->source.link.error);
        return;
    }
    say(check, FINDING_OK, "%s %u.%u.%u", check->source.link.is_mariadb ? "MariaDB" : "MySQL",
        check->source.link.version / 10000, check->source.link.version / 100 % 100,
        check->source.link.version % 100);
    check_format(check);
    check_tables(check);
    check_grants(check);
    source_close(&check->source);
}

bool
hook_check(const struct rules *rules, FILE *out)
{
    struct check *check = calloc(1, sizeof(*check));
    if (check == NULL || !link_library_open()) {
        fputs("problem  out of memory, or built without libmariadb\n", out);
        free(check);
        return false;
    }
    check->rules = rules;
    check->out = out;
    source_init(&check->source);
    for (uint32_t i = 0; i < rules->source.host_count; i++) {
        check->host = &rules->source.hosts[i];
        check_host(check);
    }
    bool passed = !check->failed;
    source_fini(&check->source);
    free(check);
    link_library_close();
    return passed;
}
