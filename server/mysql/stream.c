#include "config.h"

#include "mysql/stream_priv.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define SAY_EVERY_US 1000000u /* between two messages about voidings */

struct stream *
stream_create(const struct rules *rules, size_t value_max, const struct stream_sink *sink)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        return NULL;
    }
    stream->rules = rules;
    stream->sink = *sink;
    stream->value_max = value_max;
    lock_init(&stream->lock, LOCK_RANK_HOOK_POSITION);
    position_init(&stream->received);
    xa_table_init(&stream->xa);
    event_format_init(&stream->format, EVENT_CHECKSUM_NONE);
    rules_list_prefixes(rules, &stream->all);
    stream->tables = tables_create(rules);
    stream->inflater = inflater_create(INFLATE_ROOM_DEFAULT);
    stream->scratch = plan_scratch_create(value_max);
    stream->op = malloc(sizeof(*stream->op) + UINT8_MAX + value_max);
    for (unsigned i = 0; i < 2; i++) {
        stream->values[i] = calloc(EVENT_COLUMNS_MAX, sizeof(struct value));
    }
    if (stream->tables == NULL || stream->inflater == NULL || stream->scratch == NULL ||
        stream->op == NULL || stream->values[0] == NULL || stream->values[1] == NULL) {
        stream_destroy(stream);
        return NULL;
    }
    return stream;
}

void
stream_destroy(struct stream *stream)
{
    if (stream == NULL) {
        return;
    }
    xa_operations_fini(&stream->txn.kept);
    xa_table_fini(&stream->xa);
    tables_destroy(stream->tables);
    if (stream->inflater != NULL) {
        inflater_destroy(&stream->inflater);
    }
    if (stream->scratch != NULL) {
        plan_scratch_destroy(stream->scratch);
    }
    free(stream->op);
    free(stream->values[0]);
    free(stream->values[1]);
    position_fini(&stream->received);
    lock_fini(&stream->lock);
    free(stream);
}

void
stream_begin(struct stream *stream, uint32_t space, const struct rules_host *host,
             enum event_checksum checksum, const struct position *position)
{
    xa_operations_fini(&stream->txn.kept);
    stream->txn = (struct stream_transaction){ .is_open = false };
    stream->map_count = 0;
    stream->space = space;
    stream->is_stopped = false;
    stream->file_told = false;
    event_format_init(&stream->format, checksum);
    tables_begin(stream->tables, host);
    if (position != NULL) {
        lock_acquire(&stream->lock);
        if (!position_copy(&stream->received, position)) {
            log_line("hook: out of memory for the position");
        }
        lock_release(&stream->lock);
    }
    stream->offset = stream->received.offset;
}

void
stream_set_native_cascades(struct stream *stream, bool native)
{
    stream->native_cascades = native;
}

void
stream_stop(struct stream *stream)
{
    tables_stop(stream->tables);
}

const char *
stream_file(const struct stream *stream)
{
    return stream->received.file;
}

const struct stream_counts *
stream_counts(const struct stream *stream)
{
    return &stream->counts;
}

uint32_t
stream_time(const struct stream *stream)
{
    return (uint32_t)metric_get(&stream->time_s);
}

bool
stream_received(struct stream *stream, struct position *out)
{
    lock_acquire(&stream->lock);
    bool copied = position_copy(out, &stream->received);
    lock_release(&stream->lock);
    return copied;
}

bool
stream_reaches(struct stream *stream, const struct position *target)
{
    lock_acquire(&stream->lock);
    bool reaches = position_reaches(&stream->received, target);
    lock_release(&stream->lock);
    return reaches;
}

/* -- operations -------------------------------------------------------------------------------- */

static void
begin_in_sink(struct stream *stream)
{
    if (!stream->txn.has_begun) {
        stream->txn.has_begun = true;
        if (!stream->sink.begin(stream->sink.arg, &stream->txn.point)) {
            stream->is_stopped = true;
        }
    }
}

static void
hand_on(struct stream *stream, const struct record_op *op, const char *reason)
{
    begin_in_sink(stream);
    if (!stream->is_stopped && !stream->sink.op(stream->sink.arg, op, reason)) {
        stream->is_stopped = true;
    }
    stream->has_ops = true;
}

void
stream_put_op(struct stream *stream, const char *reason)
{
    const struct record_op *op = stream->op;
    stream_ensure_transaction(stream);
    if (stream->txn.is_xa) {
        xa_add(&stream->xa, &stream->txn.kept, op, record_op_size(op));
    } else {
        hand_on(stream, op, reason);
    }
}

/** The same reason once per second at most: a log full of such events must not fill another. */
static void
say(struct stream *stream, const struct rules_prefixes *prefixes, const char *reason)
{
    if (stream->now_us - stream->said_us >= SAY_EVERY_US || stream->said != reason) {
        stream->said_us = stream->now_us;
        stream->said = reason;
        log_line("hook: voids all keys with %u prefix%s (first: \"%.*s\"): %s", prefixes->count,
                 prefixes->count == 1 ? "" : "es", (int)prefixes->at[0].len, prefixes->at[0].text,
                 reason);
    }
}

void
stream_widen_prefixes(struct stream *stream, const struct rules_prefixes *prefixes,
                      const char *reason)
{
    stream_ensure_transaction(stream);
    struct stream_transaction *txn = &stream->txn;
    bool is_new = false;
    for (uint32_t i = 0; i < prefixes->count && !txn->all_widened; i++) {
        const struct rules_prefix *prefix = &prefixes->at[i];
        uint64_t hash = hash_bytes(prefix->text, prefix->len, 0);
        bool known = false;
        for (unsigned k = 0; k < txn->widened_count && !known; k++) {
            known = txn->widened[k] == hash;
        }
        if (known) {
            continue;
        }
        if (txn->widened_count < RULES_PREFIXES_MAX) {
            txn->widened[txn->widened_count++] = hash;
        }
        *stream->op = (struct record_op){ .kind = RECORD_FLUSH,
                                          .key_len = (uint8_t)prefix->len,
                                          .rule = RECORD_NO_RULE };
        memcpy(stream->op->bytes, prefix->text, prefix->len);
        stream_put_op(stream, reason);
        is_new = true;
    }
    if (is_new) {
        say(stream, prefixes, reason);
    }
}

void
stream_widen_all(struct stream *stream, const char *reason)
{
    stream_widen_prefixes(stream, &stream->all, reason);
    stream->txn.all_widened = true;
}

void
stream_apply_kept(struct stream *stream, struct xa_operations *kept)
{
    const struct record_op *op;
    size_t at = 0;
    stream->txn.is_xa = false;
    if (kept->is_cut) {
        stream_widen_all(stream, "an XA transaction with more keys than are kept");
    }
    while (!stream->is_stopped && (op = xa_next(kept, &at)) != NULL) {
        hand_on(stream, op, NULL);
    }
    xa_operations_fini(kept);
}

/* -- transactions ------------------------------------------------------------------------------ */

static void
begin_transaction(struct stream *stream)
{
    struct stream_transaction *txn = &stream->txn;
    xa_operations_fini(&txn->kept);
    *txn = (struct stream_transaction){
        .is_open = true,
        .point = { .space = stream->space,
                   .file_number = position_file_number(stream->received.file),
                   .offset = stream->offset,
                   .arrived_us = stream->now_us },
    };
}

void
stream_ensure_transaction(struct stream *stream)
{
    if (!stream->txn.is_open) {
        begin_transaction(stream);
    }
}

void
stream_end_transaction(struct stream *stream)
{
    struct stream_transaction *txn = &stream->txn;
    if (!txn->is_open) {
        return;
    }
    stream_end_statement(stream);
    if (txn->is_xa) { /* committed without having been prepared */
        stream_apply_kept(stream, &txn->kept);
    }
    bool has_gtid = txn->has_gtid;
    lock_acquire(&stream->lock);
    stream->received.offset = stream->offset;
    if (has_gtid && gtid_set_add(&stream->received.gtids, &txn->point.gtid) != GTID_DONE) {
        log_line("hook: the received GTIDs are too many, or not of one family");
    }
    lock_release(&stream->lock);
    if (!stream->is_stopped &&
        !stream->sink.end(stream->sink.arg, &txn->point, stream->offset,
                          stream->file_told ? NULL : stream->received.file)) {
        stream->is_stopped = true;
    }
    stream->file_told = true;
    metric_add(&stream->counts.transactions, 1);
    xa_operations_fini(&txn->kept);
    txn->is_open = false;
}

bool
stream_void_all(struct stream *stream, const struct record_point *point, const char *reason)
{
    stream_end_transaction(stream);
    begin_transaction(stream);
    stream->txn.point = *point;
    stream_widen_all(stream, reason);
    stream_end_transaction(stream);
    stream->sink.flush(stream->sink.arg);
    stream->has_ops = false;
    return !stream->is_stopped;
}

/* -- events ------------------------------------------------------------------------------------ */

static void
begin_with_gtid(struct stream *stream, const struct event *event)
{
    stream_end_transaction(stream);
    begin_transaction(stream);
    struct stream_transaction *txn = &stream->txn;
    if (event->kind == EVENT_ANONYMOUS) {
        return;
    }
    txn->has_gtid = gtid_of_event(event, &txn->point.gtid) == GTID_DONE;
    if (event->kind == EVENT_GTID_MARIADB) {
        txn->in_block = (event->gtid_mariadb.flags & EVENT_GTID_STANDALONE) == 0;
        if ((event->gtid_mariadb.flags & EVENT_GTID_XA_PREPARED) != 0) {
            txn->is_xa = true;
            txn->xa_known = xa_id_of_event(&event->gtid_mariadb.xa, &txn->xa);
        }
    }
}

static void
take_rotate(struct stream *stream, const struct event *event)
{
    lock_acquire(&stream->lock);
    position_set_file(&stream->received, event->rotate.name, event->rotate.pos);
    lock_release(&stream->lock);
    stream->offset = event->rotate.pos;
    stream->file_told = false;
}

/** Where the log stands behind this event. */
static void
move_on(struct stream *stream, const struct event *event)
{
    if ((event->flags & EVENT_FLAG_ARTIFICIAL) != 0 || event->kind == EVENT_ROTATE ||
        event->kind == EVENT_HEARTBEAT) {
        return;
    }
    if (event->next_pos == 0) {
        /* MariaDB 11.4 within a transaction; and the format when the log is not read from its
         * start. */
        if (event->kind != EVENT_FORMAT && event->kind != EVENT_GTID_LIST) {
            stream->offset += event->len;
        }
        return;
    }
    uint64_t offset = (stream->offset & ~(uint64_t)UINT32_MAX) | event->next_pos;
    if (offset < stream->offset && stream->offset - offset > UINT32_MAX / 2) {
        offset += (uint64_t)1 << 32; /* the log's numbers have 32 bits */
    }
    stream->offset = offset;
}

static enum stream_result take_event(struct stream *stream, struct event *event,
                                     enum event_result result, bool is_packed);

/** A transaction that MySQL has packed into one event. */
static enum stream_result
take_payload(struct stream *stream, const struct event_payload *payload)
{
    const char *reason = NULL;
    enum inflate_result result = inflate_payload(stream->inflater, payload, &reason);
    struct event_format format = stream->format;
    format.checksum = EVENT_CHECKSUM_NONE;
    while (result == INFLATE_DONE) {
        struct bytes bytes;
        struct event event;
        result = inflate_payload_next(stream->inflater, &bytes, &reason);
        if (result != INFLATE_DONE) {
            break;
        }
        enum event_result parsed = event_parse(&format, bytes, &event);
        if (parsed == EVENT_MORE || parsed == EVENT_BAD) {
            reason = event.reason;
            result = INFLATE_BAD;
            break;
        }
        enum stream_result took = take_event(stream, &event, parsed, true);
        if (took != STREAM_ON) {
            return took;
        }
    }
    if (result != INFLATE_END) {
        /* The event itself is whole, so the log can be followed. */
        metric_add(&stream->counts.decode_errors, 1);
        stream_widen_all(stream, reason != NULL ? reason : "a packed transaction is broken");
        stream_end_transaction(stream);
    }
    return STREAM_ON;
}

static void
take_query(struct stream *stream, struct event *event)
{
    const char *reason = NULL;
    if (event->query.packed && inflate_event(stream->inflater, event, &reason) != INFLATE_DONE) {
        metric_add(&stream->counts.decode_errors, 1);
        stream_widen_all(stream, reason);
        return;
    }
    stream_query(stream, &event->query);
}

static enum stream_result
take_event(struct stream *stream, struct event *event, enum event_result result, bool is_packed)
{
    if (!is_packed) {
        move_on(stream, event);
    }
    if (result == EVENT_WIDEN) {
        if (event->kind == EVENT_INCIDENT) {
            metric_add(&stream->counts.incidents, 1);
        } else if (event->kind == EVENT_LOAD) {
            metric_add(&stream->counts.stmt_dml, 1);
        } else {
            metric_add(&stream->counts.unknown_events, 1);
        }
        stream_widen_all(stream, event->reason);
        return STREAM_ON;
    }
    switch (event->kind) {
    case EVENT_FORMAT:
        stream->format = event->format;
        break;
    case EVENT_ROTATE:
        take_rotate(stream, event);
        break;
    case EVENT_GTID:
    case EVENT_ANONYMOUS:
    case EVENT_GTID_MARIADB:
        begin_with_gtid(stream, event);
        break;
    case EVENT_QUERY:
        take_query(stream, event);
        break;
    case EVENT_XID:
        stream_end_transaction(stream);
        break;
    case EVENT_XA_PREPARE:
        stream_xa_prepare(stream, &event->xa_prepare);
        break;
    case EVENT_TABLE_MAP:
        stream_table_map(stream, &event->table_map);
        break;
    case EVENT_ROWS:
        stream_rows(stream, event);
        break;
    case EVENT_PAYLOAD:
        return take_payload(stream, &event->payload);
    case EVENT_LOAD:
    case EVENT_INCIDENT:
    case EVENT_STOP:
    case EVENT_PREVIOUS_GTIDS:
    case EVENT_GTID_LIST:
    case EVENT_STATEMENT:
    case EVENT_HEARTBEAT:
    case EVENT_CONTEXT:
    case EVENT_ENCRYPTION:
    case EVENT_OTHER:
        break;
    }
    return STREAM_ON;
}

enum stream_result
stream_event(struct stream *stream, struct bytes bytes, uint64_t now_us)
{
    struct event event;
    stream->now_us = now_us;
    metric_add(&stream->counts.events, 1);
    enum event_result result = event_parse(&stream->format, bytes, &event);
    if (result == EVENT_MORE || result == EVENT_BAD) {
        bool is_crc = result == EVENT_BAD && strstr(event.reason, "checksum") != NULL;
        const char *reason = result == EVENT_BAD ? event.reason : "it is cut off";
        metric_add(is_crc ? &stream->counts.crc_errors : &stream->counts.decode_errors, 1);
        const char *type = bytes.len < EVENT_HEADER_LEN ? "cut off" : event_type_name(event.type);
        log_line("hook: an event (%s) of %zu bytes behind %s:%llu cannot be read: %s", type,
                 bytes.len, stream->received.file, (unsigned long long)stream->offset, reason);
        return STREAM_BAD;
    }
    if (event.time != 0) {
        metric_set(&stream->time_s, event.time);
    }
    enum stream_result took = take_event(stream, &event, result, false);
    if (stream->has_ops) {
        stream->sink.flush(stream->sink.arg);
        stream->has_ops = false;
    }
    return stream->is_stopped ? STREAM_STOPPED : took;
}
