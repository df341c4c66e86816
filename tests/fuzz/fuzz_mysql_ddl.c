/* A statement.  The first byte chooses SQL mode, character set and default database. */
#include "mysql/ddl.h"

#include <assert.h>
#include <stdlib.h>

#define NAME_CAP 256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/** A name lies in the text, and is not longer without its quotes. */
static void
check_name(struct bytes name, const struct event_query *query)
{
    char room[NAME_CAP];
    struct writer out = writer(room, sizeof(room));
    if (name.len == 0) {
        return;
    }
    assert(name.at >= query->text.at && name.at + name.len <= query->text.at + query->text.len);
    ddl_name_write(name, query->database, &out);
    assert(out.is_full || out.len <= name.len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct ddl ddl;
    if (len == 0) {
        return 0;
    }
    struct event_query query = {
        .text = { data + 1, len - 1 },
        .sql_mode = ((data[0] & 1) != 0 ? EVENT_SQL_ANSI_QUOTES : 0) |
                    ((data[0] & 2) != 0 ? EVENT_SQL_NO_BACKSLASH_ESCAPES : 0),
        .collation = (data[0] & 4) != 0 ? 28 : 45,
        .database = { (const uint8_t *)"shop", (data[0] & 8) != 0 ? 4 : 0 },
    };
    ddl_parse(&query, &ddl);
    assert(ddl.name_count <= DDL_NAMES_MAX);
    assert(ddl.kind != DDL_UNSURE || ddl.scope != DDL_SCOPE_NAMES);
    assert(ddl.kind != DDL_TABLES || ddl.scope != DDL_SCOPE_NAMES || ddl.name_count > 0);
    for (size_t i = 0; ddl.kind == DDL_TABLES && i < ddl.name_count; i++) {
        check_name(ddl.names[i].database, &query);
        check_name(ddl.names[i].table, &query);
    }
    check_name(ddl.database, &query);
    return 0;
}
