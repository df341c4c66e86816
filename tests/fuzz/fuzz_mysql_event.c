/*
 * A binary log: events, packed events and transactions, table maps, rows, and all values as text
 * and as JSON.  (The inputs at hand are logs without checksums: a changed one with them ends at
 * once.)
 */
#include <assert.h>
#include <stdlib.h>

#include "mysql/binlog_file.h"
#include "mysql/ddl.h"
#include "mysql/gtid.h"
#include "mysql/inflate.h"
#include "mysql/render.h"
#include "mysql/row.h"

#define COLUMNS_MAX 128u
#define TEXT_CAP    2048u /* bytes of a value's text that are wanted */
#define ROWS_MAX    64u   /* of one event: more of the same finds nothing new */
#define EVENTS_MAX  256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct state {
    struct inflater *inflater;
    struct charsets charsets;
    struct column columns[COLUMNS_MAX];
    size_t column_count;
    struct value before[COLUMNS_MAX];
    struct value after[COLUMNS_MAX];
};

static void
render_all(struct state *state, const struct value *values)
{
    char *room = malloc(TEXT_CAP); /* of the heap: AddressSanitizer sees one byte too many */
    assert(room != NULL);
    for (size_t i = 0; i < state->column_count; i++) {
        const char *reason = NULL;
        struct writer out = writer(room, TEXT_CAP);
        enum render_result result = render_text(&values[i], &state->charsets, &out, &reason);
        assert(out.len <= TEXT_CAP && (result == RENDER_WIDEN) == (reason != NULL));
        assert(result != RENDER_FULL || out.is_full);
        out = writer(room, TEXT_CAP);
        reason = NULL;
        result = render_json(&values[i], &state->charsets, &out, &reason);
        assert(out.len <= TEXT_CAP && (result == RENDER_WIDEN) == (reason != NULL));
        assert(result != RENDER_NULL);
    }
    free(room);
}

static void
take_rows(struct state *state, const struct event_rows *rows)
{
    struct row_walk walk;
    if (state->column_count == 0 ||
        !row_walk_begin(&walk, rows, state->columns, state->column_count, NULL)) {
        return;
    }
    enum row_result result = ROW_NEXT;
    for (unsigned i = 0; i < ROWS_MAX && result == ROW_NEXT; i++) {
        result = row_next(&walk, state->before, state->after);
        if (result == ROW_NEXT && rows->before != NULL) {
            render_all(state, state->before);
        }
        if (result == ROW_NEXT && rows->after != NULL) {
            render_all(state, state->after);
        }
    }
    assert(result != ROW_END || bytes_left(&walk.cur) == 0);
}

static void
take_table_map(struct state *state, const struct event_table_map *map)
{
    enum columns_result result = columns_parse(map, state->columns, COLUMNS_MAX);
    state->column_count = result == COLUMNS_PARSED ? map->column_count : 0;
    /* Meanings that nobody told: the third column of each table. */
    if (state->column_count > 2 && column_is_text(&state->columns[2])) {
        state->columns[2].meaning = (uint8_t)(COLUMN_AS_UUID + map->column_count % 3);
    }
}

static void
take_event(struct state *state, struct event *event)
{
    static struct ddl ddl;
    struct gtid_set set;
    struct gtid gtid;
    switch (event->kind) {
    case EVENT_TABLE_MAP:
        take_table_map(state, &event->table_map);
        return;
    case EVENT_ROWS:
        take_rows(state, &event->rows);
        return;
    case EVENT_QUERY:
        if (!event->query.packed) {
            ddl_parse(&event->query, &ddl);
        }
        return;
    case EVENT_GTID:
    case EVENT_GTID_MARIADB:
        (void)!gtid_of_event(event, &gtid);
        return;
    case EVENT_PREVIOUS_GTIDS:
    case EVENT_GTID_LIST:
        gtid_set_init(&set);
        (void)!gtid_set_add_event(&set, event);
        gtid_set_fini(&set);
        return;
    case EVENT_FORMAT:
    case EVENT_ROTATE:
    case EVENT_STOP:
    case EVENT_ANONYMOUS:
    case EVENT_XID:
    case EVENT_XA_PREPARE:
    case EVENT_PAYLOAD:
    case EVENT_STATEMENT:
    case EVENT_HEARTBEAT:
    case EVENT_INCIDENT:
    case EVENT_LOAD:
    case EVENT_CONTEXT:
    case EVENT_ENCRYPTION:
    case EVENT_OTHER:
        return;
    }
}

static void
take_payload(struct state *state, const struct event_format *format,
             const struct event_payload *payload)
{
    const char *reason = NULL;
    struct bytes bytes;
    struct event event;
    struct event_format plain = *format;
    plain.checksum = EVENT_CHECKSUM_NONE;
    if (inflate_payload(state->inflater, payload, &reason) != INFLATE_DONE) {
        return;
    }
    enum inflate_result result = INFLATE_DONE;
    for (unsigned i = 0; i < EVENTS_MAX; i++) {
        result = inflate_payload_next(state->inflater, &bytes, &reason);
        if (result != INFLATE_DONE) {
            break;
        }
        if (event_parse(&plain, bytes, &event) != EVENT_PARSED) {
            continue;
        }
        take_event(state, &event);
        if (event.kind == EVENT_TABLE_MAP) { /* names and values lie in the inflater's room */
            for (size_t c = 0; c < state->column_count; c++) {
                state->columns[c].values = (struct bytes){ NULL, 0 };
            }
        }
    }
    assert(result == INFLATE_DONE || result == INFLATE_END || reason != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct state state;
    if (state.inflater == NULL) {
        state.inflater = inflater_create(INFLATE_ROOM_MIN);
        assert(state.inflater != NULL);
    }
    state.column_count = 0;
    const char *reason = NULL;
    struct binlog_file file;
    struct event event;
    enum event_result parsed;
    enum binlog_file_result result = binlog_file_begin(&file, (struct bytes){ data, len }, &reason);
    while (result == BINLOG_FILE_EVENT) {
        result = binlog_file_next(&file, &event, &parsed, &reason);
        if (result != BINLOG_FILE_EVENT || parsed != EVENT_PARSED) {
            continue;
        }
        if (event.kind == EVENT_PAYLOAD) {
            take_payload(&state, &file.format, &event.payload);
            state.column_count = 0;
        } else if (inflate_event(state.inflater, &event, &reason) == INFLATE_DONE) {
            take_event(&state, &event);
        }
    }
    assert(result == BINLOG_FILE_END || reason != NULL);
    return 0;
}
