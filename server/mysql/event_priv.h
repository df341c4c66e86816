/* Types of events by number, and what the files of the event parser call of one another. */
#ifndef LARDER_MYSQL_EVENT_PRIV_H
#define LARDER_MYSQL_EVENT_PRIV_H

#include "mysql/event.h"

/* As the protocol numbers them; from 160 on MariaDB's own. */
enum event_type {
    TYPE_UNKNOWN = 0,
    TYPE_START_V3 = 1,
    TYPE_QUERY = 2,
    TYPE_STOP = 3,
    TYPE_ROTATE = 4,
    TYPE_INTVAR = 5,
    TYPE_LOAD = 6,
    TYPE_SLAVE = 7,
    TYPE_CREATE_FILE = 8,
    TYPE_APPEND_BLOCK = 9,
    TYPE_EXEC_LOAD = 10,
    TYPE_DELETE_FILE = 11,
    TYPE_NEW_LOAD = 12,
    TYPE_RAND = 13,
    TYPE_USER_VAR = 14,
    TYPE_FORMAT_DESCRIPTION = 15,
    TYPE_XID = 16,
    TYPE_BEGIN_LOAD_QUERY = 17,
    TYPE_EXECUTE_LOAD_QUERY = 18,
    TYPE_TABLE_MAP = 19,
    TYPE_WRITE_ROWS_V0 = 20,
    TYPE_UPDATE_ROWS_V0 = 21,
    TYPE_DELETE_ROWS_V0 = 22,
    TYPE_WRITE_ROWS_V1 = 23,
    TYPE_UPDATE_ROWS_V1 = 24,
    TYPE_DELETE_ROWS_V1 = 25,
    TYPE_INCIDENT = 26,
    TYPE_HEARTBEAT = 27,
    TYPE_IGNORABLE = 28,
    TYPE_ROWS_QUERY = 29,
    TYPE_WRITE_ROWS_V2 = 30,
    TYPE_UPDATE_ROWS_V2 = 31,
    TYPE_DELETE_ROWS_V2 = 32,
    TYPE_GTID = 33,
    TYPE_ANONYMOUS_GTID = 34,
    TYPE_PREVIOUS_GTIDS = 35,
    TYPE_TRANSACTION_CONTEXT = 36,
    TYPE_VIEW_CHANGE = 37,
    TYPE_XA_PREPARE = 38,
    TYPE_PARTIAL_UPDATE_ROWS = 39,
    TYPE_TRANSACTION_PAYLOAD = 40,
    TYPE_HEARTBEAT_V2 = 41,
    TYPE_GTID_TAGGED = 42,
    TYPE_ANNOTATE_ROWS = 160,
    TYPE_BINLOG_CHECKPOINT = 161,
    TYPE_GTID_MARIADB = 162,
    TYPE_GTID_LIST = 163,
    TYPE_START_ENCRYPTION = 164,
    TYPE_QUERY_COMPRESSED = 165,
    TYPE_WRITE_ROWS_COMPRESSED_V1 = 166,
    TYPE_UPDATE_ROWS_COMPRESSED_V1 = 167,
    TYPE_DELETE_ROWS_COMPRESSED_V1 = 168,
    TYPE_WRITE_ROWS_COMPRESSED = 169,
    TYPE_UPDATE_ROWS_COMPRESSED = 170,
    TYPE_DELETE_ROWS_COMPRESSED = 171,
};

/* Each takes the body of an event, fills its part of `out`, and answers whether the body is whole;
 * `out->reason` may say more. */
bool event_parse_query(struct bytes body, struct event *out);
bool event_parse_load_query(struct bytes body, struct event *out);
bool event_parse_gtid(struct bytes body, struct event *out);
bool event_parse_gtid_tagged(struct bytes body, struct event *out);
bool event_parse_gtid_mariadb(struct bytes body, struct event *out);
bool event_parse_xa_prepare(struct bytes body, struct event *out);
bool event_parse_table_map(const struct event_format *format, struct bytes body, struct event *out);
bool event_parse_rows(const struct event_format *format, struct bytes body, struct event *out);
bool event_parse_payload(struct bytes body, struct event *out);

#endif
