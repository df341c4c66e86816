#include "config.h"

#include "mysql/event.h"

#include "base/assert.h"
#include "mysql/crc32.h"
#include "mysql/event_priv.h"

#define FORMAT_VERSION   4u  /* of the log, since MySQL 5.0 */
#define FORMAT_FIXED_LEN 57u /* bytes: version of log and server, time, length of headers */
#define FORMAT_TAIL_LEN  (1u + EVENT_CHECKSUM_LEN)

static const char *const type_names[EVENT_TYPES_MAX + 1] = {
    [TYPE_START_V3] = "START_V3",
    [TYPE_QUERY] = "QUERY",
    [TYPE_STOP] = "STOP",
    [TYPE_ROTATE] = "ROTATE",
    [TYPE_INTVAR] = "INTVAR",
    [TYPE_LOAD] = "LOAD",
    [TYPE_SLAVE] = "SLAVE",
    [TYPE_CREATE_FILE] = "CREATE_FILE",
    [TYPE_APPEND_BLOCK] = "APPEND_BLOCK",
    [TYPE_EXEC_LOAD] = "EXEC_LOAD",
    [TYPE_DELETE_FILE] = "DELETE_FILE",
    [TYPE_NEW_LOAD] = "NEW_LOAD",
    [TYPE_RAND] = "RAND",
    [TYPE_USER_VAR] = "USER_VAR",
    [TYPE_FORMAT_DESCRIPTION] = "FORMAT_DESCRIPTION",
    [TYPE_XID] = "XID",
    [TYPE_BEGIN_LOAD_QUERY] = "BEGIN_LOAD_QUERY",
    [TYPE_EXECUTE_LOAD_QUERY] = "EXECUTE_LOAD_QUERY",
    [TYPE_TABLE_MAP] = "TABLE_MAP",
    [TYPE_WRITE_ROWS_V0] = "WRITE_ROWS_V0",
    [TYPE_UPDATE_ROWS_V0] = "UPDATE_ROWS_V0",
    [TYPE_DELETE_ROWS_V0] = "DELETE_ROWS_V0",
    [TYPE_WRITE_ROWS_V1] = "WRITE_ROWS_V1",
    [TYPE_UPDATE_ROWS_V1] = "UPDATE_ROWS_V1",
    [TYPE_DELETE_ROWS_V1] = "DELETE_ROWS_V1",
    [TYPE_INCIDENT] = "INCIDENT",
    [TYPE_HEARTBEAT] = "HEARTBEAT",
    [TYPE_IGNORABLE] = "IGNORABLE",
    [TYPE_ROWS_QUERY] = "ROWS_QUERY",
    [TYPE_WRITE_ROWS_V2] = "WRITE_ROWS",
    [TYPE_UPDATE_ROWS_V2] = "UPDATE_ROWS",
    [TYPE_DELETE_ROWS_V2] = "DELETE_ROWS",
    [TYPE_GTID] = "GTID",
    [TYPE_ANONYMOUS_GTID] = "ANONYMOUS_GTID",
    [TYPE_PREVIOUS_GTIDS] = "PREVIOUS_GTIDS",
    [TYPE_TRANSACTION_CONTEXT] = "TRANSACTION_CONTEXT",
    [TYPE_VIEW_CHANGE] = "VIEW_CHANGE",
    [TYPE_XA_PREPARE] = "XA_PREPARE",
    [TYPE_PARTIAL_UPDATE_ROWS] = "PARTIAL_UPDATE_ROWS",
    [TYPE_TRANSACTION_PAYLOAD] = "TRANSACTION_PAYLOAD",
    [TYPE_HEARTBEAT_V2] = "HEARTBEAT_V2",
    [TYPE_GTID_TAGGED] = "GTID_TAGGED",
    [TYPE_ANNOTATE_ROWS] = "ANNOTATE_ROWS",
    [TYPE_BINLOG_CHECKPOINT] = "BINLOG_CHECKPOINT",
    [TYPE_GTID_MARIADB] = "GTID",
    [TYPE_GTID_LIST] = "GTID_LIST",
    [TYPE_START_ENCRYPTION] = "START_ENCRYPTION",
    [TYPE_QUERY_COMPRESSED] = "QUERY_COMPRESSED",
    [TYPE_WRITE_ROWS_COMPRESSED_V1] = "WRITE_ROWS_COMPRESSED_V1",
    [TYPE_UPDATE_ROWS_COMPRESSED_V1] = "UPDATE_ROWS_COMPRESSED_V1",
    [TYPE_DELETE_ROWS_COMPRESSED_V1] = "DELETE_ROWS_COMPRESSED_V1",
    [TYPE_WRITE_ROWS_COMPRESSED] = "WRITE_ROWS_COMPRESSED",
    [TYPE_UPDATE_ROWS_COMPRESSED] = "UPDATE_ROWS_COMPRESSED",
    [TYPE_DELETE_ROWS_COMPRESSED] = "DELETE_ROWS_COMPRESSED",
};

const char *
event_type_name(uint8_t type)
{
    return type_names[type] != NULL ? type_names[type] : "unknown";
}

void
event_format_init(struct event_format *format, enum event_checksum checksum)
{
    *format = (struct event_format){ .checksum = (uint8_t)checksum };
}

static enum event_result
bad(struct event *out, const char *reason)
{
    if (out->reason == NULL) {
        out->reason = reason;
    }
    return EVENT_BAD;
}

static enum event_result
ignore(struct event *out, enum event_kind kind, const char *reason)
{
    out->kind = kind;
    out->reason = reason;
    return EVENT_IGNORABLE;
}

static enum event_result
widen(struct event *out, enum event_kind kind, const char *reason)
{
    out->kind = kind;
    out->reason = reason;
    return EVENT_WIDEN;
}

static enum event_result
whole(struct event *out, enum event_kind kind, bool is_whole)
{
    out->kind = kind;
    return is_whole ? EVENT_PARSED : bad(out, "the body does not have the form of its type");
}

/**
 * Whether a server of this version appends the kind of checksum, and a checksum, to its format
 * description.  Versions are compared as the servers themselves do.
 */
static bool
knows_checksums(const char *version, bool mariadb)
{
    unsigned parts[3] = { 0 };
    const char *at = version;
    for (unsigned i = 0; i < 3; i++) {
        for (; *at >= '0' && *at <= '9' && parts[i] < 1000; at++) {
            parts[i] = parts[i] * 10 + (unsigned)(*at - '0');
        }
        if (*at != '.') {
            break;
        }
        at++;
    }
    unsigned number = parts[0] * 10000 + parts[1] * 100 + parts[2];
    return number >= (mariadb ? 50300u : 50601u);
}

/** The checksum of a format description: over an event that is not marked as being written. */
static bool
format_checksum_matches(struct bytes bytes)
{
    uint8_t header[EVENT_HEADER_LEN];
    memcpy(header, bytes.at, sizeof(header));
    header[17] = (uint8_t)(header[17] & ~EVENT_FLAG_IN_USE);
    size_t len = bytes.len - EVENT_CHECKSUM_LEN;
    uint32_t crc = crc32_add(0, header, sizeof(header));
    crc = crc32_add(crc, bytes.at + sizeof(header), len - sizeof(header));
    return crc == le_get_u32(bytes.at + len);
}

/*
 *     offset size
 *          0    2 version of the log: 4
 *          2   50 version of the server
 *         52    4 time of creation
 *         56    1 length of headers: 19
 *         57    n length of the fixed part of each type's body, from type 1 on
 *         -5    1 kind of checksum, and
 *         -4    4 a checksum, from MySQL 5.6.1 and MariaDB 5.3 on
 */
static enum event_result
parse_format(struct bytes bytes, struct event *out)
{
    struct event_format *format = &out->format;
    out->kind = EVENT_FORMAT;
    *format = (struct event_format){ .checksum = EVENT_CHECKSUM_NONE };
    if (bytes.len < EVENT_HEADER_LEN + FORMAT_FIXED_LEN) {
        return bad(out, "the format description is too short");
    }
    const uint8_t *body = bytes.at + EVENT_HEADER_LEN;
    size_t types = bytes.len - EVENT_HEADER_LEN - FORMAT_FIXED_LEN;
    if (le_get_u16(body) != FORMAT_VERSION || body[56] != EVENT_HEADER_LEN) {
        return bad(out, "the log is of a version before MySQL 5.0, or of one to come");
    }
    memcpy(format->version, body + 2, EVENT_VERSION_LEN);
    format->mariadb = strstr(format->version, "MariaDB") != NULL;
    if (knows_checksums(format->version, format->mariadb)) {
        if (types < FORMAT_TAIL_LEN) {
            return bad(out, "the format description is too short");
        }
        types -= FORMAT_TAIL_LEN;
        format->checksum = body[FORMAT_FIXED_LEN + types];
        if (format->checksum > EVENT_CHECKSUM_CRC32) {
            return bad(out, "the kind of checksum is not known");
        }
        if (format->checksum == EVENT_CHECKSUM_CRC32 && !format_checksum_matches(bytes)) {
            return bad(out, "the checksum does not match");
        }
    }
    if (types > EVENT_TYPES_MAX) {
        return bad(out, "the format description has too many types");
    }
    format->type_count = (uint8_t)types;
    memcpy(format->post_header_len + 1, body + FORMAT_FIXED_LEN, types);
    return EVENT_PARSED;
}

static bool
parse_rotate(struct bytes body, struct event *out)
{
    struct bytes_cursor cur = bytes_cursor(body);
    if (!bytes_take_u64(&cur, &out->rotate.pos)) {
        return false;
    }
    out->rotate.name = bytes_rest(&cur);
    return out->rotate.name.len > 0 && out->rotate.name.len <= EVENT_NAME_LEN_MAX;
}

/**
 * The position stands in the header.  MariaDB, beyond 4 GiB, puts 0 there and eight bytes before
 * the name.
 */
static bool
parse_heartbeat(const struct event_format *format, struct bytes body, struct event *out)
{
    struct bytes_cursor cur = bytes_cursor(body);
    out->heartbeat.pos = out->next_pos;
    if (format->mariadb && out->next_pos == 0 && !bytes_take_u64(&cur, &out->heartbeat.pos)) {
        return false;
    }
    out->heartbeat.name = bytes_rest(&cur);
    return out->heartbeat.name.len <= EVENT_NAME_LEN_MAX;
}

/** Fields of a type, a length and a value each; type 0 ends them. */
static bool
parse_heartbeat_v2(struct bytes body, struct event *out)
{
    enum {
        FIELD_END,
        FIELD_NAME,
        FIELD_POS,
    };
    struct bytes_cursor cur = bytes_cursor(body);
    out->heartbeat = (struct event_heartbeat){ .pos = out->next_pos };
    while (bytes_left(&cur) > 0) {
        uint64_t field;
        struct bytes value;
        if (!bytes_take_packed(&cur, &field)) {
            return false;
        }
        if (field == FIELD_END) {
            return true;
        }
        if (!bytes_take_packed_text(&cur, &value)) {
            return false;
        }
        if (field == FIELD_NAME) {
            out->heartbeat.name = value;
        } else if (field == FIELD_POS) {
            struct bytes_cursor number = bytes_cursor(value);
            if (!bytes_take_packed(&number, &out->heartbeat.pos)) {
                return false;
            }
        }
    }
    return true;
}

static bool
parse_incident(struct bytes body, struct event *out)
{
    struct bytes_cursor cur = bytes_cursor(body);
    return bytes_take_u16(&cur, &out->incident.number) &&
           bytes_take_short_text(&cur, &out->incident.message);
}

static bool
parse_xid(struct bytes body, struct event *out)
{
    struct bytes_cursor cur = bytes_cursor(body);
    return bytes_take_u64(&cur, &out->xid);
}

static bool
parse_statement(struct bytes body, size_t skipped, struct event *out)
{
    if (body.len < skipped) {
        return false;
    }
    out->statement = (struct bytes){ body.at + skipped, body.len - skipped };
    return true;
}

/** Types that no server of today writes, or that stand for what cannot be told row by row. */
static enum event_result
parse_unusual(struct bytes body, struct event *out)
{
    switch (out->type) {
    case TYPE_INTVAR:
    case TYPE_RAND:
    case TYPE_USER_VAR:
        return ignore(out, EVENT_CONTEXT, "variables of the statement that follows");
    case TYPE_EXECUTE_LOAD_QUERY:
        if (!event_parse_load_query(body, out)) {
            return bad(out, "the body does not have the form of its type");
        }
        return widen(out, EVENT_LOAD, "LOAD DATA in statement format");
    case TYPE_LOAD:
    case TYPE_CREATE_FILE:
    case TYPE_APPEND_BLOCK:
    case TYPE_EXEC_LOAD:
    case TYPE_DELETE_FILE:
    case TYPE_NEW_LOAD:
    case TYPE_BEGIN_LOAD_QUERY:
        out->query = (struct event_query){ 0 };
        return widen(out, EVENT_LOAD, "LOAD DATA in statement format");
    case TYPE_WRITE_ROWS_V0:
    case TYPE_UPDATE_ROWS_V0:
    case TYPE_DELETE_ROWS_V0:
        return widen(out, EVENT_OTHER, "rows in a format from before MySQL 5.1");
    case TYPE_START_V3:
        return bad(out, "the log is of a version before MySQL 5.0, or of one to come");
    case TYPE_START_ENCRYPTION:
        return ignore(out, EVENT_ENCRYPTION, "what follows in the file is encrypted");
    case TYPE_SLAVE:
    case TYPE_IGNORABLE:
    case TYPE_TRANSACTION_CONTEXT:
    case TYPE_VIEW_CHANGE:
    case TYPE_BINLOG_CHECKPOINT:
        return ignore(out, EVENT_OTHER, "nothing about rows");
    default:
        if ((out->flags & EVENT_FLAG_IGNORABLE) != 0) {
            return ignore(out, EVENT_OTHER, "an unknown type that may be ignored");
        }
        return widen(out, EVENT_OTHER, "an unknown type");
    }
}

static enum event_result
parse_body(const struct event_format *format, struct bytes body, struct event *out)
{
    switch (out->type) {
    case TYPE_QUERY:
    case TYPE_QUERY_COMPRESSED:
        return whole(out, EVENT_QUERY, event_parse_query(body, out));
    case TYPE_ROTATE:
        return whole(out, EVENT_ROTATE, parse_rotate(body, out));
    case TYPE_STOP:
        return whole(out, EVENT_STOP, true);
    case TYPE_XID:
        return whole(out, EVENT_XID, parse_xid(body, out));
    case TYPE_XA_PREPARE:
        return whole(out, EVENT_XA_PREPARE, event_parse_xa_prepare(body, out));
    case TYPE_TABLE_MAP:
        return whole(out, EVENT_TABLE_MAP, event_parse_table_map(format, body, out));
    case TYPE_WRITE_ROWS_V1:
    case TYPE_UPDATE_ROWS_V1:
    case TYPE_DELETE_ROWS_V1:
    case TYPE_WRITE_ROWS_V2:
    case TYPE_UPDATE_ROWS_V2:
    case TYPE_DELETE_ROWS_V2:
    case TYPE_PARTIAL_UPDATE_ROWS:
    case TYPE_WRITE_ROWS_COMPRESSED_V1:
    case TYPE_UPDATE_ROWS_COMPRESSED_V1:
    case TYPE_DELETE_ROWS_COMPRESSED_V1:
    case TYPE_WRITE_ROWS_COMPRESSED:
    case TYPE_UPDATE_ROWS_COMPRESSED:
    case TYPE_DELETE_ROWS_COMPRESSED:
        return whole(out, EVENT_ROWS, event_parse_rows(format, body, out));
    case TYPE_GTID:
        return whole(out, EVENT_GTID, event_parse_gtid(body, out));
    case TYPE_ANONYMOUS_GTID:
        return whole(out, EVENT_ANONYMOUS, event_parse_gtid(body, out));
    case TYPE_GTID_TAGGED:
        return whole(out, EVENT_GTID, event_parse_gtid_tagged(body, out));
    case TYPE_GTID_MARIADB:
        return whole(out, EVENT_GTID_MARIADB, event_parse_gtid_mariadb(body, out));
    case TYPE_PREVIOUS_GTIDS:
        out->gtids = body;
        return whole(out, EVENT_PREVIOUS_GTIDS, true);
    case TYPE_GTID_LIST:
        out->gtids = body;
        return whole(out, EVENT_GTID_LIST, true);
    case TYPE_TRANSACTION_PAYLOAD:
        return whole(out, EVENT_PAYLOAD, event_parse_payload(body, out));
    case TYPE_ROWS_QUERY: /* one byte of a length that is cut off at 255 */
        return whole(out, EVENT_STATEMENT, parse_statement(body, 1, out));
    case TYPE_ANNOTATE_ROWS:
        return whole(out, EVENT_STATEMENT, parse_statement(body, 0, out));
    case TYPE_HEARTBEAT:
        return whole(out, EVENT_HEARTBEAT, parse_heartbeat(format, body, out));
    case TYPE_HEARTBEAT_V2:
        return whole(out, EVENT_HEARTBEAT, parse_heartbeat_v2(body, out));
    case TYPE_INCIDENT:
        if (!parse_incident(body, out)) {
            return bad(out, "the body does not have the form of its type");
        }
        return widen(out, EVENT_INCIDENT, "the primary lost events");
    default:
        return parse_unusual(body, out);
    }
}

enum event_result
event_parse(const struct event_format *format, struct bytes bytes, struct event *out)
{
    if (bytes.len < EVENT_HEADER_LEN) {
        return EVENT_MORE;
    }
    const uint8_t *at = bytes.at;
    out->kind = EVENT_OTHER;
    out->time = le_get_u32(at);
    out->type = at[4];
    out->server = le_get_u32(at + 5);
    out->len = le_get_u32(at + 9);
    out->next_pos = le_get_u32(at + 13);
    out->flags = le_get_u16(at + 17);
    out->reason = NULL;
    if (out->len < EVENT_HEADER_LEN || out->len > EVENT_LEN_MAX) {
        return bad(out, "the length cannot be");
    }
    if (out->len > bytes.len) {
        return EVENT_MORE;
    }
    bytes.len = out->len;
    if (out->type == TYPE_FORMAT_DESCRIPTION) {
        return parse_format(bytes, out);
    }

    struct bytes body = { at + EVENT_HEADER_LEN, bytes.len - EVENT_HEADER_LEN };
    if (format->checksum == EVENT_CHECKSUM_CRC32) {
        if (body.len < EVENT_CHECKSUM_LEN) {
            return bad(out, "too short for its checksum");
        }
        body.len -= EVENT_CHECKSUM_LEN;
        if (crc32_add(0, at, EVENT_HEADER_LEN + body.len) != le_get_u32(body.at + body.len)) {
            return bad(out, "the checksum does not match");
        }
    }
    return parse_body(format, body, out);
}
