#include "config.h"

#include "mysql/plan.h"

#include "mysql/plan_priv.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define MEMORY_MAX (16u << 20)                  /* bytes of one plan */
#define NAME_CAP   (6u * TEMPLATE_NAME_LEN_MAX) /* bytes of a name, escaped for JSON */

/* What a table is bound with. */
struct binder {
    struct plan *plan;
    const struct column *columns;
    struct plan_problems *problems;
    const struct rule *rule; /* the one at hand, for problems */
    bool has_memory;
};

static void *
take(struct binder *binder, size_t len)
{
    void *at = pool_take(&binder->plan->pool, len);
    if (at == NULL) {
        binder->has_memory = false;
    }
    return at;
}

static struct bytes
copy(struct binder *binder, struct bytes bytes)
{
    char *at = pool_copy(&binder->plan->pool, bytes.at, bytes.len);
    if (at == NULL) {
        binder->has_memory = false;
        return (struct bytes){ NULL, 0 };
    }
    return (struct bytes){ (const uint8_t *)at, bytes.len };
}

static void
add_problem(struct binder *binder, struct bytes column, const char *what, const char *instead)
{
    struct plan_problems *problems = binder->problems;
    if (problems == NULL) {
        return;
    }
    if (problems->count < PLAN_PROBLEMS_MAX) {
        struct plan_problem *problem = &problems->at[problems->count];
        problem->rule = binder->rule;
        snprintf(problem->text, sizeof(problem->text),
                 "line %u: no column '%.*s' is known of %.*s.%.*s, which %s needs: %s",
                 binder->rule->line, (int)(column.len < 64 ? column.len : 64),
                 (const char *)column.at,
                 (int)(binder->plan->database.len < 64 ? binder->plan->database.len : 64),
                 (const char *)binder->plan->database.at,
                 (int)(binder->plan->table.len < 64 ? binder->plan->table.len : 64),
                 (const char *)binder->plan->table.at, what, instead);
    }
    problems->count++;
}

static uint16_t
use_column(struct plan *plan, size_t column)
{
    if (plan->slots[column] == ROW_SKIP) {
        assert(plan->slot_count < ROW_SKIP);
        plan->slots[column] = (uint16_t)plan->slot_count++;
    }
    return plan->slots[column];
}

/** The slot of the column of that name; ASCII letters count the same in both cases, as in SQL. */
static uint16_t
find_slot(struct binder *binder, struct bytes name, const char *what, const char *instead)
{
    struct plan *plan = binder->plan;
    for (size_t i = 0; i < plan->column_count; i++) {
        struct bytes other = binder->columns[i].name;
        if (other.len == name.len && name.len > 0 &&
            strncasecmp((const char *)other.at, (const char *)name.at, name.len) == 0) {
            return use_column(plan, i);
        }
    }
    add_problem(binder, name, what, instead);
    return TEMPLATE_NO_SLOT;
}

static const uint16_t *
bind_names(struct binder *binder, const struct bytes *names, uint32_t count, const char *what,
           const char *instead)
{
    uint16_t *slots = take(binder, count * sizeof(*slots));
    for (uint32_t i = 0; slots != NULL && i < count; i++) {
        slots[i] = find_slot(binder, names[i], what, instead);
    }
    return slots;
}

static const uint16_t *
bind_parts(struct binder *binder, const struct template *template, const char *what,
           const char *instead)
{
    uint16_t *slots = take(binder, template->part_count * sizeof(*slots));
    for (uint32_t i = 0; slots != NULL && i < template->part_count; i++) {
        const struct template_part *part = &template->parts[i];
        slots[i] = part->kind == TEMPLATE_COLUMN ? find_slot(binder, part->text, what, instead)
                                                 : TEMPLATE_NO_SLOT;
    }
    return slots;
}

/** A name as it stands in a JSON object: "name": */
static struct bytes
json_name(struct binder *binder, struct bytes name)
{
    char text[NAME_CAP + 8];
    struct writer out = writer(text, sizeof(text));
    size_t len = name.len < TEMPLATE_NAME_LEN_MAX ? name.len : TEMPLATE_NAME_LEN_MAX;
    writer_put_char(&out, '"');
    writer_put_json_text(&out, name.at, len);
    writer_put_text(&out, "\":");
    return copy(binder, (struct bytes){ (const uint8_t *)text, out.len });
}

static void
bind_json(struct binder *binder, struct plan_rule *rule, const char *instead)
{
    const struct template *value = &rule->rule->value;
    bool is_all = value->form == TEMPLATE_JSON_ALL;
    size_t count = is_all ? binder->plan->column_count : value->part_count;
    uint16_t *slots = take(binder, count * sizeof(*slots));
    struct bytes *names = take(binder, count * sizeof(*names));
    if (slots == NULL || names == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct column *column = &binder->columns[i];
        if (is_all && column->is_invisible) {
            continue;
        }
        struct bytes name = is_all ? column->name : value->parts[i].text;
        uint16_t slot = TEMPLATE_NO_SLOT;
        if (name.len == 0) {
            add_problem(binder, (struct bytes){ (const uint8_t *)"*", 1 }, "the value", instead);
        } else {
            slot = is_all ? use_column(binder->plan, i)
                          : find_slot(binder, name, "the value", instead);
        }
        slots[rule->value_count] = slot;
        names[rule->value_count++] = json_name(binder, name);
    }
    rule->value_slots = slots;
    rule->names = names;
}

static void
bind_rule(struct binder *binder, const struct rule *rule, struct plan_rule *out)
{
    char prefix[TEMPLATE_KEY_MAX];
    struct plan *plan = binder->plan;
    struct writer text = writer(prefix, sizeof(prefix));
    binder->rule = rule;
    template_put_prefix(&rule->key, plan->database, plan->table, &text);
    *out = (struct plan_rule){
        .rule = rule,
        .prefix = copy(binder, (struct bytes){ (const uint8_t *)prefix, text.len }),
        .key_slots = bind_parts(binder, &rule->key, "a key",
                                "all keys that begin like it are voided at each change"),
        .update_slots = bind_names(binder, rule->on.columns, rule->on.column_count, "update(...)",
                                   "each update counts as one of it"),
    };
    for (uint32_t i = 0; i < rule->key.part_count; i++) {
        const struct template_part *part = &rule->key.parts[i];
        out->is_per_image |= part->kind == TEMPLATE_COLUMN && part->image == TEMPLATE_EITHER;
    }
    if (rule->action == RULE_SET) {
        const char *instead = "the key is deleted in place of being set";
        if (rule->value.form == TEMPLATE_TEXT) {
            out->value_slots = bind_parts(binder, &rule->value, "the value", instead);
        } else {
            bind_json(binder, out, instead);
        }
    }
}

static void
bind_block(struct binder *binder, const struct rules_table *block, struct plan_block *out)
{
    binder->rule = &block->rules[0];
    out->where = block->where;
    if (block->where != NULL) {
        out->where_slots = bind_names(binder, block->where->columns, block->where->column_count,
                                      "where", "each row counts as one that may be meant");
    }
    out->rules = take(binder, block->rule_count * sizeof(*out->rules));
    out->rule_count = block->rule_count;
    for (uint32_t i = 0; out->rules != NULL && i < block->rule_count; i++) {
        bind_rule(binder, &block->rules[i], &out->rules[i]);
    }
}

enum plan_bind_result
plan_bind(const struct rules *rules, struct bytes database, struct bytes table,
          const struct column *columns, size_t column_count, struct plan **out,
          struct plan_problems *problems)
{
    assert(column_count <= EVENT_COLUMNS_MAX);
    uint32_t block_count = 0;
    if (problems != NULL) {
        problems->count = 0;
    }
    for (uint32_t i = 0; i < rules->table_count; i++) {
        block_count += rules_table_matches(&rules->tables[i], database, table);
    }
    if (block_count == 0) {
        return PLAN_NO_RULES;
    }
    struct plan *plan = calloc(1, sizeof(*plan));
    if (plan == NULL) {
        return PLAN_NO_MEMORY;
    }
    struct binder binder = {
        .plan = plan, .columns = columns, .problems = problems, .has_memory = true
    };
    pool_init(&plan->pool, MEMORY_MAX);
    plan->database = copy(&binder, database);
    plan->table = copy(&binder, table);
    plan->column_count = column_count;
    plan->slots = take(&binder, column_count * sizeof(*plan->slots));
    plan->blocks = take(&binder, block_count * sizeof(*plan->blocks));
    if (!binder.has_memory) {
        plan_destroy(plan);
        return PLAN_NO_MEMORY;
    }
    for (size_t i = 0; i < column_count; i++) {
        plan->slots[i] = ROW_SKIP;
    }
    for (uint32_t i = 0; i < rules->table_count; i++) {
        if (rules_table_matches(&rules->tables[i], database, table)) {
            bind_block(&binder, &rules->tables[i], &plan->blocks[plan->block_count++]);
        }
    }
    rules_list_table_prefixes(rules, database, table, &plan->prefixes);
    if (!binder.has_memory) {
        plan_destroy(plan);
        return PLAN_NO_MEMORY;
    }
    *out = plan;
    return PLAN_BOUND;
}

void
plan_destroy(struct plan *plan)
{
    if (plan != NULL) {
        pool_fini(&plan->pool);
        free(plan);
    }
}

const uint16_t *
plan_slots(const struct plan *plan)
{
    return plan->slots;
}

uint32_t
plan_slot_count(const struct plan *plan)
{
    return plan->slot_count;
}

bool
plan_needs_column(const struct plan *plan, size_t column)
{
    return column < plan->column_count && plan->slots[column] != ROW_SKIP;
}

const struct rules_prefixes *
plan_prefixes(const struct plan *plan)
{
    return &plan->prefixes;
}
