/*
 * Events of a log, one after the other, to operations on keys.
 *
 * What each event does is in the table of section "What happens when" of DESIGN.md.  Whatever
 * cannot be read widens: to the keys of a table's rules, or to those of all.
 *
 * Threads: one; stream_received() any.
 */
#ifndef LARDER_MYSQL_STREAM_H
#define LARDER_MYSQL_STREAM_H

#include "base/lock.h"
#include "base/metric.h"
#include "mysql/inflate.h"
#include "mysql/position.h"
#include "mysql/record.h"
#include "mysql/tables.h"
#include "mysql/xa_table.h"

#define STREAM_MAPS_MAX    64u /* table maps of one statement; more count as having led to changes */
#define STREAM_CHANGED_MAX 64u /* tables with changed rows of one transaction */

/** Takes what comes out; false: stop. */
struct stream_sink {
    void *arg;
    /** In front of the first operation of a transaction. */
    bool (*begin)(void *arg, const struct record_point *point);
    bool (*op)(void *arg, const struct record_op *op, const char *reason);
    /** After each event that had operations. */
    void (*flush)(void *arg);
    /** The transaction is whole.  file: NULL if it is the one of before. */
    bool (*end)(void *arg, const struct record_point *point, uint64_t end_offset, const char *file);
};

/** Written by the stream's thread. */
struct stream_counts {
    struct metric events;
    struct metric rows;
    struct metric rows_matched;
    struct metric ddl;
    struct metric stmt_dml;
    struct metric cascade;
    struct metric unknown_events;
    struct metric decode_errors;
    struct metric crc_errors;
    struct metric incidents;
    struct metric transactions;
    struct metric keys_invalid;
};

enum stream_result {
    STREAM_ON,
    STREAM_BAD,     /* an event that cannot be trusted: begin anew, and void everything */
    STREAM_STOPPED, /* by the sink */
};

struct stream;

/**
 * value_max   bytes of the longest value that may be stored
 * NULL without memory.
 */
struct stream *stream_create(const struct rules *rules, size_t value_max,
                             const struct stream_sink *sink);
void stream_destroy(struct stream *stream);

/**
 * A connection begins, or a file.
 *
 * host       NULL: no server to ask
 * position   where it begins; borrowed for the call.  NULL: what was received stays
 */
void stream_begin(struct stream *stream, uint32_t space, const struct rules_host *host,
                  enum event_checksum checksum, const struct position *position);

/** Whether changes by foreign keys have no table map either: MySQL before 9.6. */
void stream_set_native_cascades(struct stream *stream, bool native);

enum stream_result stream_event(struct stream *stream, struct bytes bytes, uint64_t now_us)
    __attribute__((warn_unused_result));

/** Voids the keys of all rules, as a transaction of its own. */
bool stream_void_all(struct stream *stream, const struct record_point *point, const char *reason);

/** The whole transactions that have been received.  Copies; false without memory. */
bool stream_received(struct stream *stream, struct position *out);
/** Whether they include `target`. */
bool stream_reaches(struct stream *stream, const struct position *target);

/** The name of the log that the last event was of.  The thread of stream_event() alone. */
const char *stream_file(const struct stream *stream);

const struct stream_counts *stream_counts(const struct stream *stream);
/** Unix second of the newest event. */
uint32_t stream_time(const struct stream *stream);
/** Wakes whoever asks the server for columns.  Any thread. */
void stream_stop(struct stream *stream);

#endif
