/*
 * Which tables change by foreign keys when others do: what the log does not say, from the graph of
 * the keys that the server has shown.  Pure.
 *
 * Keys of a table that this user may not see are not in the graph: whatever hangs on such a table
 * counts as changed.
 */
#ifndef LARDER_MYSQL_CASCADE_H
#define LARDER_MYSQL_CASCADE_H

#include "mysql/schema.h"

/**
 * Whether MySQL changes rows by foreign keys without logging them: all before 9.6, and that one
 * where it is set so.
 *
 * setting   @@global.innodb_native_foreign_keys; NULL: the server has it not, or did not answer
 */
bool cascade_is_native(bool is_mariadb, const char *setting);

/** Whether `child` may have changed by foreign keys, when the tables `changed` have. */
bool cascade_may_reach(const struct schema_graph *graph, uint64_t child, const uint64_t *changed,
                       unsigned changed_count);

/** Takes a table that a change of its parent changes too. */
typedef void cascade_child_fn(void *arg, struct bytes database, struct bytes name);
/** All tables that an update or a delete of rows of `parent` may change.  False: not known. */
bool cascade_children(const struct schema_graph *graph, uint64_t parent, bool is_delete,
                      cascade_child_fn *child, void *arg) __attribute__((warn_unused_result));

#endif
