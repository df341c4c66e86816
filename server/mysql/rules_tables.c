#include "config.h"

#ifdef HAVE_HOOK

#include "mysql/rules_priv.h"

#include <libconfig.h>
#include <stdio.h>
#include <strings.h>

/* What one block of `tables` is read with. */
struct block_reader {
    struct rules_reader *reader;
    struct rules_table *table;
    struct rule *rules;
};

/* -- on --------------------------------------------------------------------------------------- */

static bool
fail_on(struct rules_reader *reader, unsigned line, const char *text)
{
    return rules_fail(reader, line,
                      "on is \"%.80s\"; it must be \"any\", or some of "
                      "\"insert,update,delete\", or \"update(column,...)\" in place of \"update\"",
                      text);
}

/** Takes "a,b" of update(a,b). */
static bool
read_columns(struct rules_reader *reader, unsigned line, struct bytes list, struct rule_events *on)
{
    struct bytes columns[RULES_COLUMNS_MAX];
    uint32_t count = 0;
    for (bool is_last = false; !is_last; count++) {
        const uint8_t *comma = list.len == 0 ? NULL : memchr(list.at, ',', list.len);
        is_last = comma == NULL;
        size_t len = is_last ? list.len : (size_t)(comma - list.at);
        struct bytes name = bytes_trim((struct bytes){ list.at, len });
        if (name.len == 0 || name.len > TEMPLATE_NAME_LEN_MAX) {
            return rules_fail(reader, line,
                              "update(...) in on takes names of columns: "
                              "\"update(email,name)\"");
        }
        if (count == RULES_COLUMNS_MAX) {
            return rules_fail(reader, line, "more than %u columns in update(...)",
                              RULES_COLUMNS_MAX);
        }
        for (uint32_t i = 0; i < count; i++) {
            if (columns[i].len == name.len &&
                strncasecmp((const char *)columns[i].at, (const char *)name.at, name.len) == 0) {
                return rules_fail(reader, line, "'%.*s' twice in update(...)", (int)name.len,
                                  (const char *)name.at);
            }
        }
        if (!rules_copy(reader, name.at, name.len, &columns[count])) {
            return false;
        }
        if (!is_last) {
            list.at += len + 1;
            list.len -= len + 1;
        }
    }
    struct bytes *kept = rules_take(reader, count * sizeof(*kept));
    if (kept == NULL) {
        return false;
    }
    memcpy(kept, columns, count * sizeof(*kept));
    on->columns = kept;
    on->column_count = count;
    return true;
}

/** Takes one word of `on`, and marks what it names; false also if that was named before. */
static bool
mark_event(struct bytes word, struct rule_events *on)
{
    bool *mark = bytes_equal(word, "insert")   ? &on->has_insert
                 : bytes_equal(word, "update") ? &on->has_update
                 : bytes_equal(word, "delete") ? &on->has_delete
                                               : NULL;
    if (mark == NULL || *mark) {
        return false;
    }
    *mark = true;
    return true;
}

static bool
read_on(struct rules_reader *reader, const config_setting_t *group, struct rule_events *on)
{
    const char *text = NULL;
    unsigned line = config_setting_source_line(group);
    if (!rules_take_text(reader, group, "on", &text, &line)) {
        return false;
    }
    if (text == NULL) {
        return rules_fail(reader, line, "on is missing in a rule: on = \"any\"");
    }
    struct bytes left = { (const uint8_t *)text, strlen(text) };
    if (bytes_equal(bytes_trim(left), "any")) {
        *on = (struct rule_events){ .has_insert = true, .has_update = true, .has_delete = true };
        return true;
    }
    for (bool is_last = false; !is_last;) {
        size_t len = 0;
        while (len < left.len && left.at[len] != ',' && left.at[len] != '(') {
            len++;
        }
        struct bytes word = bytes_trim((struct bytes){ left.at, len });
        if (!mark_event(word, on)) {
            return fail_on(reader, line, text);
        }
        if (len < left.len && left.at[len] == '(') {
            const uint8_t *end = memchr(left.at, ')', left.len);
            if (!bytes_equal(word, "update") || end == NULL) {
                return fail_on(reader, line, text);
            }
            struct bytes list = { left.at + len + 1, (size_t)(end - left.at) - len - 1 };
            if (!read_columns(reader, line, list, on)) {
                return false;
            }
            len = (size_t)(end - left.at) + 1;
            while (len < left.len && left.at[len] == ' ') {
                len++;
            }
        }
        is_last = len == left.len;
        if (!is_last && left.at[len] != ',') {
            return fail_on(reader, line, text);
        }
        left.at += len + !is_last;
        left.len -= len + !is_last;
    }
    return true;
}

/* -- a rule ----------------------------------------------------------------------------------- */

static bool
compile_template(struct rules_reader *reader, unsigned line, const char *name, const char *text,
                 enum template_use use, struct template *out)
{
    char error[RULES_ERROR_MAX];
    struct bytes bytes = { (const uint8_t *)text, strlen(text) };
    return template_compile(bytes, use, &reader->rules->pool, out, error, sizeof(error)) ||
           rules_fail(reader, line, "%s: %s", name, error);
}

/** delete, stale or set: exactly one of them. */
static bool
read_action(struct rules_reader *reader, const config_setting_t *group, struct rule *rule)
{
    static const char *const names[] = {
        [RULE_DELETE] = "delete", [RULE_STALE] = "stale", [RULE_SET] = "set"
    };
    const char *key = NULL;
    unsigned key_line = 0;
    for (unsigned i = 0; i < 3; i++) {
        const char *text = NULL;
        unsigned line = 0;
        if (!rules_take_text(reader, group, names[i], &text, &line)) {
            return false;
        }
        if (text == NULL) {
            continue;
        }
        if (key != NULL) {
            return rules_fail(reader, line, "%s and %s in one rule; one does one thing",
                              names[rule->action], names[i]);
        }
        key = text;
        key_line = line;
        rule->action = (enum rule_action)i;
    }
    if (key == NULL) {
        return rules_fail(reader, rule->line,
                          "a rule without delete, stale or set; delete = \"key:{id}\" is one");
    }
    return compile_template(reader, key_line, names[rule->action], key,
                            rule->action == RULE_SET ? TEMPLATE_FOR_STORE_KEY : TEMPLATE_FOR_KEY,
                            &rule->key);
}

/** What only some actions have: value, ttl, if_exists. */
static bool
read_details(struct rules_reader *reader, const config_setting_t *group, struct rule *rule)
{
    const char *value = NULL;
    unsigned line = rule->line;
    bool has_if_exists = config_setting_get_member(group, "if_exists") != NULL;
    bool has_ttl = config_setting_get_member(group, "ttl") != NULL;
    if (!rules_take_text(reader, group, "value", &value, &line) ||
        !rules_take_number(reader, group, "ttl", rule->action == RULE_SET ? 0 : 1, RULES_TTL_MAX_S,
                           &rule->ttl_s) ||
        !rules_take_flag(reader, group, "if_exists", &rule->if_exists)) {
        return false;
    }
    if (rule->action == RULE_DELETE && has_ttl) {
        return rules_fail(reader, rule->line, "ttl with delete; it goes with stale and set");
    }
    if (rule->action != RULE_SET) {
        if (value != NULL || has_if_exists) {
            return rules_fail(reader, rule->line, "%s without set",
                              value != NULL ? "value" : "if_exists");
        }
        return true;
    }
    if (value == NULL) {
        return rules_fail(reader, rule->line, "set without value: value = \"json(*)\"");
    }
    if (!rule->on.has_insert && !rule->on.has_update) {
        return rules_fail(reader, rule->line,
                          "set with on = \"delete\": there is nothing to store then");
    }
    return compile_template(reader, line, "value", value, TEMPLATE_FOR_VALUE, &rule->value);
}

/** Two rules that name the same key for the same change: which one counts? */
static bool
check_overlap(struct block_reader *block, const struct rule *rule)
{
    for (const struct rule *other = block->rules; other < rule; other++) {
        bool overlap = (rule->on.has_insert && other->on.has_insert) ||
                       (rule->on.has_update && other->on.has_update) ||
                       (rule->on.has_delete && other->on.has_delete);
        bool is_same = rule->key.source.len == other->key.source.len &&
                       memcmp(rule->key.source.at, other->key.source.at, rule->key.source.len) == 0;
        if (overlap && is_same) {
            return rules_fail(block->reader, rule->line,
                              "the same key as in the rule of line %u, for the same change; "
                              "one rule must do",
                              other->line);
        }
    }
    return true;
}

static bool
read_rule(struct block_reader *block, const config_setting_t *group, struct rule *rule)
{
    static const char *const known[] = {
        "on", "delete", "stale", "set", "ttl", "if_exists", "value"
    };
    struct rules_reader *reader = block->reader;
    rule->line = config_setting_source_line(group);
    if (reader->rules->rule_count == RULES_MAX) {
        return rules_fail(reader, rule->line, "more than %u rules", RULES_MAX);
    }
    rule->index = reader->rules->rule_count++;
    return rules_know(reader, group, "a rule", known, sizeof(known) / sizeof(known[0])) &&
           read_on(reader, group, &rule->on) && read_action(reader, group, rule) &&
           read_details(reader, group, rule) && check_overlap(block, rule);
}

/* -- a table ---------------------------------------------------------------------------------- */

/** "db.table" */
static bool
read_name(struct block_reader *block, unsigned line, const char *name)
{
    struct rules_reader *reader = block->reader;
    const char *dot = strchr(name, '.');
    size_t len = strlen(name);
    size_t database_len = dot == NULL ? 0 : (size_t)(dot - name);
    size_t table_len = dot == NULL ? 0 : len - database_len - 1;
    if (database_len == 0 || table_len == 0 || strchr(dot + 1, '.') != NULL ||
        database_len > TEMPLATE_NAME_LEN_MAX || table_len > TEMPLATE_NAME_LEN_MAX) {
        return rules_fail(reader, line,
                          "name is \"%.80s\"; it must be \"database.table\" (match and table take "
                          "patterns)",
                          name);
    }
    return rules_copy(reader, name, database_len, &block->table->database) &&
           rules_copy(reader, dot + 1, table_len, &block->table->table);
}

static bool
read_names(struct block_reader *block, const config_setting_t *group)
{
    struct rules_reader *reader = block->reader;
    const char *name = NULL;
    const char *match = NULL;
    const char *table = NULL;
    unsigned line = block->table->line;
    unsigned match_line = line;
    unsigned table_line = line;
    if (!rules_take_text(reader, group, "name", &name, &line) ||
        !rules_take_text(reader, group, "match", &match, &match_line) ||
        !rules_take_text(reader, group, "table", &table, &table_line)) {
        return false;
    }
    if (name != NULL && (match != NULL || table != NULL)) {
        return rules_fail(reader, line, "name together with match or table; one way must do");
    }
    if (name != NULL) {
        return read_name(block, line, name);
    }
    if (match == NULL || table == NULL) {
        return rules_fail(reader, block->table->line,
                          "a table needs name = \"database.table\", or match (a pattern for the "
                          "database) and table (one for the table)");
    }
    return rules_take_pattern(reader, match_line, "match", match,
                              &block->table->database_pattern) &&
           rules_take_pattern(reader, table_line, "table", table, &block->table->table_pattern);
}

static bool
read_where(struct block_reader *block, const config_setting_t *group)
{
    struct rules_reader *reader = block->reader;
    char error[RULES_ERROR_MAX];
    const char *text = NULL;
    unsigned line = 0;
    if (!rules_take_text(reader, group, "where", &text, &line)) {
        return false;
    }
    if (text == NULL) {
        return true;
    }
    struct where *where = rules_take(reader, sizeof(*where));
    if (where == NULL) {
        return false;
    }
    struct bytes bytes = { (const uint8_t *)text, strlen(text) };
    if (!where_compile(bytes, &reader->rules->pool, where, error, sizeof(error))) {
        return rules_fail(reader, line, "%s", error);
    }
    block->table->where = where;
    return true;
}

static bool
read_table(struct rules_reader *reader, const config_setting_t *group, struct rules_table *table)
{
    static const char *const known[] = { "name", "match", "table", "where", "rules" };
    struct block_reader block = { .reader = reader, .table = table };
    table->line = config_setting_source_line(group);
    if (!rules_know(reader, group, "a table", known, sizeof(known) / sizeof(known[0])) ||
        !read_names(&block, group) || !read_where(&block, group)) {
        return false;
    }
    const config_setting_t *list = config_setting_get_member(group, "rules");
    if (list == NULL || !config_setting_is_list(list) || config_setting_length(list) == 0) {
        return rules_fail(reader, list == NULL ? table->line : config_setting_source_line(list),
                          "a table needs rules = ( { on = \"any\"; delete = \"key:{id}\"; } )");
    }
    uint32_t count = (uint32_t)config_setting_length(list);
    block.rules = count > RULES_MAX ? NULL : rules_take(reader, count * sizeof(*block.rules));
    if (block.rules == NULL) {
        return count <= RULES_MAX ? false
                                  : rules_fail(reader, config_setting_source_line(list),
                                               "more than %u rules", RULES_MAX);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!read_rule(&block, config_setting_get_elem(list, i), &block.rules[i])) {
            return false;
        }
    }
    table->rules = block.rules;
    table->rule_count = count;
    return true;
}

bool
rules_read_tables(struct rules_reader *reader, const config_setting_t *list)
{
    unsigned line = config_setting_source_line(list);
    int count = config_setting_is_list(list) ? config_setting_length(list) : 0;
    if (count < 1 || count > (int)RULES_TABLES_MAX) {
        return rules_fail(
            reader, line,
            "tables must be a list of 1 to %u groups: ( { name = \"db.table\"; ... } )",
            RULES_TABLES_MAX);
    }
    struct rules_table *tables = rules_take(reader, (size_t)count * sizeof(*tables));
    if (tables == NULL) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (!read_table(reader, config_setting_get_elem(list, (unsigned)i), &tables[i])) {
            return false;
        }
    }
    reader->rules->tables = tables;
    reader->rules->table_count = (uint32_t)count;
    return true;
}

#endif
