/*
 * Events of a binary log, as MySQL (5.1 to 9) and MariaDB write them: bytes in, struct out.
 *
 *     offset size
 *          0    4 time, seconds
 *          4    1 type
 *          5    4 server id
 *          9    4 length of the whole event
 *         13    4 position of the next event; 0 in made-up ones, and in transactions of
 * MariaDB 11.4 17    2 flags 19      body, which the type gives its form -4    4 CRC-32 of all that
 * precedes, where the format says so
 *
 * All that an event holds is borrowed from the bytes given.  No allocation, no I/O, no state: what
 * carries over from one event to the next is the struct event_format, which the caller keeps.
 */
#ifndef LARDER_MYSQL_EVENT_H
#define LARDER_MYSQL_EVENT_H

#include "mysql/bytes.h"

#define EVENT_HEADER_LEN   19u           /* bytes */
#define EVENT_CHECKSUM_LEN 4u            /* bytes */
#define EVENT_LEN_MAX      (1024u << 20) /* bytes; max_allowed_packet goes no further */
#define EVENT_COLUMNS_MAX  4096u         /* of a table, in both families */
#define EVENT_TYPES_MAX    255u
#define EVENT_VERSION_LEN  50u  /* bytes of the server's version, padded by NULs */
#define EVENT_NAME_LEN_MAX 512u /* bytes of the name of a log file */
#define EVENT_XID_LEN_MAX  64u  /* bytes of each half of an XA identifier */
#define EVENT_TAG_LEN_MAX  32u  /* bytes of the tag of a GTID */

/* Flags of the header. */
#define EVENT_FLAG_IN_USE     0x1u  /* of a format description: the log was not closed */
#define EVENT_FLAG_ARTIFICIAL 0x20u /* made up for this reader; stands in no log */
#define EVENT_FLAG_IGNORABLE  0x80u /* who does not know the type may go on */

enum event_result {
    EVENT_PARSED,
    EVENT_IGNORABLE, /* says nothing about rows */
    EVENT_WIDEN,     /* rows may have changed that cannot be told: widen, for `reason` */
    EVENT_MORE,      /* the bytes end before the event does */
    EVENT_BAD,       /* broken, for `reason`; what follows in the log cannot be trusted */
};

enum event_checksum {
    EVENT_CHECKSUM_NONE = 0,
    EVENT_CHECKSUM_CRC32 = 1,
};

/** What the last format description said of the events that follow it. */
struct event_format {
    uint8_t checksum; /* enum event_checksum */
    bool mariadb;
    uint8_t type_count;
    char version[EVENT_VERSION_LEN + 1];          /* of the server */
    uint8_t post_header_len[EVENT_TYPES_MAX + 1]; /* bytes, by type */
};

enum event_kind {
    EVENT_FORMAT,
    EVENT_ROTATE,
    EVENT_STOP,
    EVENT_GTID,         /* MySQL's, with or without a tag */
    EVENT_ANONYMOUS,    /* begins a transaction without one */
    EVENT_GTID_MARIADB, /* begins a group */
    EVENT_PREVIOUS_GTIDS,
    EVENT_GTID_LIST, /* MariaDB's previous GTIDs */
    EVENT_QUERY,
    EVENT_XID, /* commits */
    EVENT_XA_PREPARE,
    EVENT_TABLE_MAP,
    EVENT_ROWS,
    EVENT_PAYLOAD,   /* a transaction, packed */
    EVENT_STATEMENT, /* the text that caused the rows that follow */
    EVENT_HEARTBEAT,
    EVENT_INCIDENT,
    EVENT_LOAD,       /* LOAD DATA in statement format; `query` is set if it has a text */
    EVENT_CONTEXT,    /* variables of a statement in statement format */
    EVENT_ENCRYPTION, /* what follows in this file is encrypted */
    EVENT_OTHER,
};

struct event_rotate {
    uint64_t pos;
    struct bytes name; /* of the next log */
};

/** The identifier of an XA transaction. */
struct event_xa_id {
    int32_t format;
    struct bytes gtrid;
    struct bytes bqual;
};

struct event_gtid {
    uint8_t uuid[16];
    struct bytes tag;
    uint64_t number;
    uint64_t transaction_len; /* bytes of the whole transaction; 0 if not told */
};

#define EVENT_GTID_STANDALONE   1u /* no COMMIT will follow */
#define EVENT_GTID_DDL          32u
#define EVENT_GTID_XA_PREPARED  64u  /* the group ends with XA PREPARE of `xa` */
#define EVENT_GTID_XA_COMPLETED 128u /* the group is the XA COMMIT or ROLLBACK of `xa` */

struct event_gtid_mariadb {
    uint32_t domain;
    uint32_t server;
    uint64_t sequence;
    uint8_t flags;         /* EVENT_GTID_* */
    struct event_xa_id xa; /* with the last two flags */
};

#define EVENT_SQL_ANSI_QUOTES          0x4u      /* "x" is a name */
#define EVENT_SQL_NO_BACKSLASH_ESCAPES 0x100000u /* \ is a plain byte */

struct event_query {
    uint32_t thread;
    uint16_t error;
    uint64_t sql_mode;  /* EVENT_SQL_* and others */
    uint16_t collation; /* of `text`; 0: not told */
    struct bytes database;
    struct bytes text;
    bool packed; /* `text` is compressed: inflate_event() */
};

struct event_xa_prepare {
    bool one_phase; /* commits at once */
    struct event_xa_id xa;
};

struct event_table_map {
    uint64_t id;
    uint32_t column_count;
    struct bytes database;
    struct bytes table;
    const uint8_t *types;           /* one byte per column */
    struct bytes metadata;          /* lengths and the like, as each type wants */
    const uint8_t *nullable;        /* bits */
    struct bytes metadata_optional; /* names, signedness, ...; may be empty.  See columns.h */
};

enum event_rows_op {
    EVENT_ROWS_WRITE,
    EVENT_ROWS_UPDATE,
    EVENT_ROWS_DELETE,
};

#define EVENT_ROWS_STATEMENT_END 1u        /* table ids end here */
#define EVENT_ROWS_DUMMY_TABLE   0xffffffu /* rows of no table: only ends a statement */

struct event_rows {
    enum event_rows_op op;
    bool partial_json; /* see row.h */
    bool packed;       /* `rows` is compressed: inflate_event() */
    uint16_t flags;    /* EVENT_ROWS_STATEMENT_END and others */
    uint64_t table_id;
    uint32_t column_count;
    const uint8_t *before; /* which columns the images hold, bits; NULL: no such image */
    const uint8_t *after;
    struct bytes rows;
};

#define EVENT_PACKED_ZSTD 0u
#define EVENT_PACKED_NOT  255u

struct event_payload {
    uint64_t packing;   /* EVENT_PACKED_*, or one to come */
    uint64_t plain_len; /* bytes, as told */
    struct bytes packed;
};

struct event_heartbeat {
    struct bytes name; /* of the log */
    uint64_t pos;
};

struct event_incident {
    uint16_t number;
    struct bytes message;
};

struct event {
    enum event_kind kind;
    uint8_t type;
    uint16_t flags; /* EVENT_FLAG_* */
    uint32_t time;  /* seconds */
    uint32_t server;
    uint32_t len; /* bytes that the whole event takes */
    uint32_t next_pos;
    const char *reason; /* static text; NULL if parsed */
    union {
        struct event_format format;
        struct event_rotate rotate;
        struct event_gtid gtid;
        struct event_gtid_mariadb gtid_mariadb;
        struct bytes gtids; /* PREVIOUS_GTIDS, GTID_LIST: for gtid.h */
        struct event_query query;
        uint64_t xid;
        struct event_xa_prepare xa_prepare;
        struct event_table_map table_map;
        struct event_rows rows;
        struct event_payload payload;
        struct bytes statement;
        struct event_heartbeat heartbeat;
        struct event_incident incident;
    };
};

/**
 * The format before the first format description: that of a server of today, with the checksum that
 * was agreed on (of a file: none).
 */
void event_format_init(struct event_format *format, enum event_checksum checksum);

/**
 * Parses the event that begins at `bytes`.  What lies behind it, after `out->len` bytes, is not
 * looked at.  On EVENT_FORMAT the caller makes `out->format` its format.
 *
 * `out` is set to what the header tells even if the rest is not as it should be, except on
 * EVENT_MORE with less than a header.
 */
enum event_result event_parse(const struct event_format *format, struct bytes bytes,
                              struct event *out) __attribute__((warn_unused_result));

/** The name of an event's type, for messages. */
const char *event_type_name(uint8_t type);

#endif
