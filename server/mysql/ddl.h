/*
 * What a QUERY event does to the rows of tables, as far as a look at its words tells.
 *
 * The text is cut into words, names and strings, never parsed by a grammar: the servers' grammars
 * grow with every version.  What is not understood widens: to the database, or to everything.
 */
#ifndef LARDER_MYSQL_DDL_H
#define LARDER_MYSQL_DDL_H

#include "mysql/event.h"
#include "mysql/writer.h"

#define DDL_NAMES_MAX 32u        /* tables named in one statement; more widen to their database */
#define DDL_TEXT_MAX  (1u << 20) /* bytes of a statement that are looked at */

enum ddl_kind {
    DDL_BEGIN,
    DDL_COMMIT,
    DDL_ROLLBACK,
    DDL_SAVEPOINT, /* also ROLLBACK TO, RELEASE */
    DDL_XA,        /* `xa` is set */
    DDL_HARMLESS,  /* changes no row, nor a column of a table */
    DDL_TABLES,    /* changes the tables of `names`, or all of a database: see `scope` */
    DDL_ROWS,      /* INSERT and the like, in statement format: by triggers any row may change */
    DDL_UNSURE,    /* not understood */
};

enum ddl_xa_op {
    DDL_XA_START,
    DDL_XA_END,
    DDL_XA_PREPARE,
    DDL_XA_COMMIT,
    DDL_XA_ROLLBACK,
};

struct ddl_xa {
    enum ddl_xa_op op;
    bool one_phase; /* COMMIT ONE PHASE */
    int32_t format;
    uint8_t gtrid_len;
    uint8_t bqual_len;
    uint8_t gtrid[EVENT_XID_LEN_MAX];
    uint8_t bqual[EVENT_XID_LEN_MAX];
};

/** Of DDL_TABLES, DDL_ROWS and DDL_UNSURE: what may have changed. */
enum ddl_scope {
    DDL_SCOPE_NAMES,
    DDL_SCOPE_DATABASE, /* every table of `database` */
    DDL_SCOPE_ALL,
};

/** A name as it stands in the text, with its quotes; see ddl_name_write(). */
struct ddl_name {
    struct bytes database; /* empty: the event's default database */
    struct bytes table;
};

struct ddl {
    enum ddl_kind kind;
    enum ddl_scope scope;
    bool rows_change; /* rows appear or go without events of their own: TRUNCATE, DROP, RENAME, ...
                       */
    size_t name_count;
    struct ddl_name names[DDL_NAMES_MAX];
    struct bytes database; /* as in struct ddl_name; empty: the default database */
    struct ddl_xa xa;
};

/** Looks at a statement that is not packed (any more). */
void ddl_parse(const struct event_query *query, struct ddl *out);

/** Writes a name without quotes.  An empty one is the default database. */
void ddl_name_write(struct bytes name, struct bytes default_database, struct writer *out);

#endif
