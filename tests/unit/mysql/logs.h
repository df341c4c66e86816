/* The recorded logs of tests/fixtures/binlog, read as the hook does. */
#ifndef LARDER_TESTS_UNIT_MYSQL_LOGS_H
#define LARDER_TESTS_UNIT_MYSQL_LOGS_H

#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "mysql/binlog_file.h"
#include "mysql/inflate.h"
#include "mysql/render.h"
#include "mysql/row.h"
#include "support/guard.h"

#define COUNT(table)  ((int)(sizeof(table) / sizeof((table)[0])))
#define FIXTURES      "tests/fixtures/binlog/"
#define FILE_LEN_MAX  (4u << 20)
#define LOG_COLUMNS   64u
#define SPAN(literal) ((struct bytes){ (const uint8_t *)(literal), sizeof(literal) - 1 })

/* All that were recorded. */
static const char *const all_logs[] = {
    "mariadb/types.bin",
    "mariadb/metadata_full.bin",
    "mariadb/metadata_minimal.bin",
    "mariadb/metadata_none.bin",
    "mariadb/images.bin",
    "mariadb/xa.bin",
    "mariadb/ddl.bin",
    "mariadb/statement.bin",
    "mariadb/small.bin",
    "mariadb/checksum_none.bin",
    "mariadb/own_types.bin",
    "mariadb/old_temporals.bin",
    "mysql/types.bin",
    "mysql/metadata_full.bin",
    "mysql/metadata_minimal.bin",
    "mysql/images.bin",
    "mysql/xa.bin",
    "mysql/ddl.bin",
    "mysql/statement.bin",
    "mysql/small.bin",
    "mysql/checksum_none.bin",
    "mysql/json.bin",
    "mysql/partial_json.bin",
    "mysql/vector.bin",
    "mysql/tagged.bin",
    "mysql/after_tagged.bin",
    "mysql/anonymous.bin",
#ifdef HAVE_ZLIB
    "mariadb/compressed.bin",
#endif
#ifdef HAVE_ZSTD
    "mysql/compressed.bin",
#endif
};

/* Those with packed rows that this build can unpack. */
static const char *const packed_logs[] = {
#ifdef HAVE_ZLIB
    "mariadb/compressed.bin",
#endif
#ifdef HAVE_ZSTD
    "mysql/compressed.bin",
#endif
    NULL,
};

/** A file, before an unreadable page. */
static inline struct bytes
read_file(const char *path)
{
    static uint8_t room[FILE_LEN_MAX];
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s cannot be read", path);
    size_t len = fread(room, 1, sizeof(room), file);
    ck_assert_uint_lt(len, sizeof(room));
    fclose(file);
    return (struct bytes){ guard_copy(room, len), len };
}

static inline struct bytes
read_fixture(const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s%s", FIXTURES, name);
    return read_file(path);
}

/* A log that is walked over, packed transactions unpacked, the last table map at hand. */
struct log_walk {
    struct binlog_file file;
    struct inflater *inflater;
    bool in_payload;
    struct event event;
    enum event_result result;
    struct column columns[LOG_COLUMNS];
    size_t column_count; /* 0: no table map yet */
};

static inline void
log_open(struct log_walk *walk, const char *name)
{
    const char *reason = NULL;
    memset(walk, 0, sizeof(*walk));
    walk->inflater = inflater_create(INFLATE_ROOM_MIN);
    ck_assert_ptr_nonnull(walk->inflater);
    ck_assert_int_eq(binlog_file_begin(&walk->file, read_fixture(name), &reason),
                     BINLOG_FILE_EVENT);
}

static inline bool
log_next_packed(struct log_walk *walk)
{
    struct bytes bytes;
    const char *reason = NULL;
    struct event_format plain = walk->file.format;
    plain.checksum = EVENT_CHECKSUM_NONE;
    enum inflate_result result = inflate_payload_next(walk->inflater, &bytes, &reason);
    walk->in_payload = result == INFLATE_DONE;
    if (result == INFLATE_END) {
        return false;
    }
    ck_assert_msg(result == INFLATE_DONE, "%s", reason);
    walk->result = event_parse(&plain, bytes, &walk->event);
    return true;
}

/** The next event; false at the log's end. */
static inline bool
log_next(struct log_walk *walk)
{
    const char *reason = NULL;
    if (!walk->in_payload || !log_next_packed(walk)) {
        enum binlog_file_result result =
            binlog_file_next(&walk->file, &walk->event, &walk->result, &reason);
        if (result == BINLOG_FILE_END) {
            inflater_destroy(&walk->inflater);
            return false;
        }
        ck_assert_msg(result == BINLOG_FILE_EVENT, "%s", reason);
    }
    if (walk->event.kind == EVENT_PAYLOAD) {
        ck_assert_int_eq(inflate_payload(walk->inflater, &walk->event.payload, &reason),
                         INFLATE_DONE);
        walk->in_payload = true;
    } else if (!walk->in_payload) {
        ck_assert_int_eq(inflate_event(walk->inflater, &walk->event, &reason), INFLATE_DONE);
    }
    if (walk->event.kind == EVENT_TABLE_MAP) {
        ck_assert_int_eq(columns_parse(&walk->event.table_map, walk->columns, LOG_COLUMNS),
                         COLUMNS_PARSED);
        walk->column_count = walk->event.table_map.column_count;
        if (walk->in_payload) { /* the inflater's room is used again: nothing here looks at names */
            for (size_t i = 0; i < walk->column_count; i++) {
                walk->columns[i].name = (struct bytes){ NULL, 0 };
                walk->columns[i].values = (struct bytes){ NULL, 0 };
            }
        }
    }
    return true;
}

/** The next event of a kind. */
static inline void
log_find(struct log_walk *walk, enum event_kind kind)
{
    do {
        ck_assert_msg(log_next(walk), "the log has no (further) event of the kind %d", (int)kind);
    } while (walk->event.kind != kind);
}

static inline void
log_close(struct log_walk *walk)
{
    inflater_destroy(&walk->inflater);
}

/** The value as text in a static buffer: NULL, "absent" and "widen" for what has none. */
static inline const char *
text_of(const struct value *value)
{
    static char room[1u << 17];
    static struct charsets charsets;
    const char *reason = "";
    struct writer out = writer(room, sizeof(room) - 1);
    enum render_result result = render_text(value, &charsets, &out, &reason);
    room[out.len] = '\0';
    switch (result) {
    case RENDER_DONE:
        return room;
    case RENDER_NULL:
        return "NULL";
    case RENDER_ABSENT:
        return "absent";
    case RENDER_WIDEN:
        return "widen";
    case RENDER_FULL:
        break;
    }
    return "full";
}

/** As text_of(), as JSON. */
static inline const char *
json_of(const struct value *value)
{
    static char room[1u << 17];
    static struct charsets charsets;
    const char *reason = "";
    struct writer out = writer(room, sizeof(room) - 1);
    enum render_result result = render_json(value, &charsets, &out, &reason);
    room[out.len] = '\0';
    return result == RENDER_DONE ? room : "not done";
}

#endif
