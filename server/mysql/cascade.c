#include "config.h"

#include "mysql/cascade.h"

#include "base/assert.h"

#include <string.h>

#define CHAIN_MAX 64u /* tables between a change and where it leads by foreign keys */

bool
cascade_is_native(bool is_mariadb, const char *setting)
{
    return !is_mariadb && (setting == NULL || strcmp(setting, "0") != 0);
}

static bool
is_among(uint64_t name, const uint64_t *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (names[i] == name) {
            return true;
        }
    }
    return false;
}

bool
cascade_may_reach(const struct schema_graph *graph, uint64_t child, const uint64_t *changed,
                  unsigned changed_count)
{
    uint64_t chain[CHAIN_MAX] = { child };
    unsigned chain_count = 1;
    if (!graph->is_known) {
        return true;
    }
    for (unsigned at = 0; at < chain_count; at++) {
        if (!schema_graph_shows(graph, chain[at])) {
            return true;
        }
        for (uint32_t i = 0; i < graph->count; i++) {
            const struct schema_foreign_key *key = &graph->keys[i];
            if (key->child != chain[at] || is_among(key->parent, chain + 1, chain_count - 1)) {
                continue;
            }
            if (is_among(key->parent, changed, changed_count) || chain_count == CHAIN_MAX) {
                return true;
            }
            chain[chain_count++] = key->parent;
        }
    }
    return false;
}

/** Whether a change of `changed` acts by `key`; `is_first`: the change is logged, and what it is is
 * known. */
static bool
acts(const struct schema_graph *graph, const struct schema_foreign_key *key, uint64_t changed,
     bool is_first, bool is_delete)
{
    if (key->parent == changed) {
        return !is_first || (is_delete ? key->on_delete : key->on_update);
    }
    /* Keys of its parent are not shown: it may be this table's child. */
    return is_first && !schema_graph_shows(graph, key->parent);
}

bool
cascade_children(const struct schema_graph *graph, uint64_t parent, bool is_delete,
                 cascade_child_fn *child, void *arg)
{
    uint64_t chain[CHAIN_MAX] = { parent };
    unsigned chain_count = 1;
    if (!graph->is_known) {
        return false;
    }
    for (unsigned at = 0; at < chain_count; at++) {
        for (uint32_t i = 0; i < graph->count; i++) {
            const struct schema_foreign_key *key = &graph->keys[i];
            if (!acts(graph, key, chain[at], at == 0, is_delete) ||
                is_among(key->child, chain + 1, chain_count - 1)) {
                continue;
            }
            if (chain_count == CHAIN_MAX || key->child_names == NULL) {
                return false;
            }
            chain[chain_count++] = key->child;
            const char *name = key->child_names + strlen(key->child_names) + 1;
            child(arg,
                  (struct bytes){ (const uint8_t *)key->child_names, strlen(key->child_names) },
                  (struct bytes){ (const uint8_t *)name, strlen(name) });
        }
    }
    return true;
}
