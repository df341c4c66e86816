/*
 * The tables that the log speaks of, by the number that it gives them, each with its rules bound to
 * its columns.
 *
 * A cache of fixed size: two tables that share a place take turns.  What a table is, is asked of
 * the server when it is bound; when the server does not tell, the rules are bound to what the log
 * has, and widen where that is too little.
 *
 * Threads: one; tables_stop() any.
 */
#ifndef LARDER_MYSQL_TABLES_H
#define LARDER_MYSQL_TABLES_H

#include "mysql/cascade.h"
#include "mysql/gtid.h"
#include "mysql/plan.h"
#include "mysql/schema.h"

#define TABLES_MAX 4096u /* a power of two */

struct table {
    uint64_t id;
    uint64_t map_hash; /* of all that the table map says */
    uint64_t name_hash;
    uint64_t bound_at;      /* counts bindings: the highest is the table as it is now */
    struct plan *plan;      /* NULL: no rules for it, or its rows cannot be read */
    const char *unreadable; /* why; NULL: they can */
    struct column *columns;
    uint32_t column_count;
    char *names; /* database and table, each with a NUL; NULL: no rules for it */
    struct bytes database;
    struct bytes name;
    uint8_t *copy;     /* of the map, which the columns point into */
    bool names_logged; /* else the names are those of the time when the server was asked */
    bool schema_known;
    struct schema_table schema;
};

struct tables;

/** NULL without memory. */
struct tables *tables_create(const struct rules *rules);
void tables_destroy(struct tables *tables);

/** A new connection: numbers may mean other tables; what is asked is asked there. */
void tables_begin(struct tables *tables, const struct rules_host *host);

/** Takes a table map.  NULL without memory. */
const struct table *tables_map(struct tables *tables, const struct event_table_map *map);
/** NULL: no map of this number has come. */
const struct table *tables_find(const struct tables *tables, uint64_t id);

/** The table has gone, or its rows are others now. */
void tables_forget(struct tables *tables, struct bytes database, struct bytes name);
/** All tables. */
void tables_forget_all(struct tables *tables);
/**
 * Its definition has changed, by the transaction `gtid` (of family GTID_NONE if it has none):
 * whether that concerns a column of its rules, or may.
 */
bool tables_altered(struct tables *tables, struct bytes database, struct bytes name,
                    const struct gtid *gtid);

/** Whether a table map of this table without rows may mean changes that are not logged. */
bool tables_may_cascade(struct tables *tables, uint64_t child, const uint64_t *changed,
                        unsigned changed_count);
/** All tables that an update or a delete of `parent` changes by foreign keys.  False: not known. */
bool tables_children(struct tables *tables, uint64_t parent, bool is_delete,
                     cascade_child_fn *child, void *arg);
/** Foreign keys may have changed. */
void tables_graph_changed(struct tables *tables);

void tables_stop(struct tables *tables);

#endif
