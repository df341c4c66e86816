/*
 * What the log does not tell about tables, asked of the server: names of columns where the log's
 * metadata has none, MariaDB's own types, and which foreign keys change rows of other tables
 * without an event of their own.
 *
 * Answers are those of now, the log is of then: who uses them compares, and voids where they do not
 * fit.
 */
#ifndef LARDER_MYSQL_SCHEMA_H
#define LARDER_MYSQL_SCHEMA_H

#include "mysql/columns.h"
#include "mysql/link.h"

#define SCHEMA_FOREIGN_KEYS_MAX 4096u
#define SCHEMA_NAME_CAP         257u /* bytes of a name, NUL included: 64 characters */

struct schema_column {
    char name[SCHEMA_NAME_CAP];
    uint64_t type_hash; /* of all that tells the type: the same means the same type */
    uint8_t log_type;   /* enum column_type that the log gives such a column; 0: not known */
    bool is_unsigned;
    bool is_invisible;
    uint8_t meaning;     /* enum column_meaning */
    uint16_t collation;  /* one of the column's character set; COLLATION_UNKNOWN */
    struct bytes values; /* ENUM, SET: as in struct column */
};

struct schema_table {
    struct schema_column *columns;
    uint32_t count;
    uint8_t *values; /* what the columns' `values` point into */
};

enum schema_result {
    SCHEMA_FOUND,
    SCHEMA_NONE, /* no such table, or none that this user may see */
    SCHEMA_LOST, /* no connection, no memory */
};

/** out   schema_table_free() it on SCHEMA_FOUND */
enum schema_result schema_read_table(struct link *link, struct bytes database, struct bytes table,
                                     struct schema_table *out) __attribute__((warn_unused_result));
void schema_table_free(struct schema_table *table);

/** Fills in what the log did not tell.  False: these are not the columns that the log is about. */
bool schema_complete(const struct schema_table *table, struct column *columns, uint32_t count);

/** A foreign key by which a change of the parent changes rows of the child. */
struct schema_foreign_key {
    uint64_t parent; /* schema_name_hash() */
    uint64_t child;
    bool on_update;
    bool on_delete;
    char *child_names; /* database and table, each with a NUL; NULL: no memory for them */
};

struct schema_graph {
    bool is_known; /* else: any table may be a child of any */
    uint32_t visible_count;
    uint64_t visible[SCHEMA_FOREIGN_KEYS_MAX]; /* tables whose keys this user may see */
    uint32_t count;
    struct schema_foreign_key keys[SCHEMA_FOREIGN_KEYS_MAX];
};

uint64_t schema_name_hash(struct bytes database, struct bytes table);
void schema_read_graph(struct link *link, struct schema_graph *out);
/** Whether a table's foreign keys are all there; without a grant on it they are not. */
bool schema_graph_shows(const struct schema_graph *graph, uint64_t table);
void schema_graph_clear(struct schema_graph *graph);

#endif
