#include "config.h"

#include "mysql/rules.h"

#include "mysql/rules_priv.h"

#include "base/assert.h"

static bool
begins_with(const struct rules_prefix *prefix, const struct rules_prefix *with)
{
    return prefix->len >= with->len && memcmp(prefix->text, with->text, with->len) == 0;
}

/** Adds a prefix, unless one covers it; those that it covers go.  Past the room, all keys. */
static bool
add(struct rules_prefixes *list, const struct rules_prefix *prefix)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        if (begins_with(prefix, &list->at[i])) {
            assert(kept == i);
            return true;
        }
        if (!begins_with(&list->at[i], prefix)) {
            if (kept != i) {
                list->at[kept] = list->at[i];
            }
            kept++;
        }
    }
    if (kept == RULES_PREFIXES_MAX) {
        list->at[0].len = 0;
        list->count = 1;
        return false;
    }
    list->at[kept] = *prefix;
    list->count = kept + 1;
    return true;
}

/** Adds what the keys of a block begin with.  A name that is not given (at == NULL) is any. */
static bool
add_block(const struct rules_table *block, struct bytes database, struct bytes table,
          struct rules_prefixes *out)
{
    bool fits = true;
    if (block->database.at != NULL) {
        database = block->database;
        table = block->table;
    }
    for (uint32_t i = 0; i < block->rule_count; i++) {
        struct rules_prefix prefix;
        struct writer text = writer(prefix.text, sizeof(prefix.text));
        template_put_prefix(&block->rules[i].key, database, table, &text);
        prefix.len = (uint32_t)text.len;
        fits &= add(out, &prefix);
    }
    return fits;
}

static bool
list_all(const struct rules *rules, struct rules_prefixes *out)
{
    const struct bytes any = { NULL, 0 };
    bool fits = true;
    out->count = 0;
    for (uint32_t i = 0; i < rules->table_count; i++) {
        fits &= add_block(&rules->tables[i], any, any, out);
    }
    return fits;
}

bool
rules_prefixes_fit(const struct rules *rules)
{
    struct rules_prefixes list;
    return list_all(rules, &list);
}

void
rules_list_prefixes(const struct rules *rules, struct rules_prefixes *out)
{
    (void)list_all(rules, out);
}

void
rules_list_table_prefixes(const struct rules *rules, struct bytes database, struct bytes table,
                          struct rules_prefixes *out)
{
    out->count = 0;
    for (uint32_t i = 0; i < rules->table_count; i++) {
        if (rules_table_matches(&rules->tables[i], database, table)) {
            (void)add_block(&rules->tables[i], database, table, out);
        }
    }
}

void
rules_list_database_prefixes(const struct rules *rules, struct bytes database,
                             struct rules_prefixes *out)
{
    const struct bytes any = { NULL, 0 };
    out->count = 0;
    for (uint32_t i = 0; i < rules->table_count; i++) {
        const struct rules_table *block = &rules->tables[i];
        bool is_in = block->database.at != NULL
                         ? block->database.len == database.len &&
                               memcmp(block->database.at, database.at, database.len) == 0
                         : rules_pattern_matches(block->database_pattern, database);
        if (is_in) {
            (void)add_block(block, database, any, out);
        }
    }
}
