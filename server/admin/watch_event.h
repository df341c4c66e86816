/* What the log of `watch` tells: one event, and its line. */
#ifndef LARDER_ADMIN_WATCH_EVENT_H
#define LARDER_ADMIN_WATCH_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The classes that a client asks for by name, as bits. */
enum watch_class {
    WATCH_EVICTIONS = 1u << 0,
    WATCH_FETCHERS = 1u << 1,
    WATCH_MUTATIONS = 1u << 2,
    WATCH_SYSEVENTS = 1u << 3,
    WATCH_CONNEVENTS = 1u << 4,
    WATCH_DELETIONS = 1u << 5,
    WATCH_SILENT = 1u << 6, /* rawcmds, proxyreqs ...: known, and nothing is ever told */
};

/** The class of a name; 0 for an unknown one. */
uint32_t watch_class_named(const void *name, size_t len);

enum watch_type {
    WATCH_ITEM_GET,
    WATCH_ITEM_STORE,
    WATCH_EVICTION,
    WATCH_DELETED,
    WATCH_CONN_NEW,
    WATCH_CONN_CLOSE,
    WATCH_CONN_ERROR,
    WATCH_CONN_TLS_ERROR,
    WATCH_SLAB_MOVE,
    WATCH_LRU_CRAWLER,
};

/** The class whose watchers are told. */
uint32_t watch_class_of(enum watch_type type);

/** Of item_get and item_store. */
enum watch_status {
    WATCH_NOT_FOUND,
    WATCH_FOUND,
    WATCH_FLUSHED,
    WATCH_EXPIRED,
    WATCH_NOT_STORED,
    WATCH_STORED,
    WATCH_EXISTS,
    WATCH_TOO_LARGE,
    WATCH_NO_MEMORY,
};

/** Of item_store and deleted. */
enum watch_command {
    WATCH_CMD_SET,
    WATCH_CMD_ADD,
    WATCH_CMD_REPLACE,
    WATCH_CMD_APPEND,
    WATCH_CMD_PREPEND,
    WATCH_CMD_CAS,
    WATCH_CMD_DELETE,
    WATCH_CMD_MD,
};

enum watch_transport {
    WATCH_LOCAL,
    WATCH_TCP,
    WATCH_UDP,
};

/** Why a connection was closed. */
enum watch_reason {
    WATCH_REASON_ERROR,
    WATCH_REASON_NORMAL,
    WATCH_REASON_IDLE,
    WATCH_REASON_SHUTDOWN,
};

enum watch_move {
    WATCH_MOVE_BEGINS,
    WATCH_MOVE_DONE,
    WATCH_MOVE_ABANDONED,
};

#define WATCH_TEXT_MAX 250u /* bytes of a key, address or message */
#define WATCH_LINE_MAX \
    (3 * WATCH_TEXT_MAX + 256) /* bytes of a line; a key's bytes may take three */

/** One event; its text (key, address or message) stands apart. */
struct watch_event {
    uint64_t number; /* gid: 1, 2, 3 ... in the order in which they happened */
    uint64_t at_us;  /* unix time */
    uint8_t type;    /* enum watch_type */
    uint8_t text_len;
    uint8_t class_id; /* of items, slab moves (source) and sweeps */
    uint8_t status;   /* enum watch_status, watch_reason, or watch_move */
    int32_t fd;       /* the connection's, or the broken socket's */
    union {
        struct {
            uint8_t command; /* enum watch_command */
            bool fetched;
            uint32_t value_len;
            uint32_t idle_s;
            int64_t ttl_s; /* 0 never (item_store), negative: expired; eviction: negative never */
        } item;
        struct {
            uint16_t port;
            uint8_t transport; /* enum watch_transport */
        } conn;
        uint8_t to_class_id; /* slab_move */
        struct {
            uint32_t elapsed_s;
            uint64_t examined;
            uint64_t reclaimed;
        } sweep;
    };
};

/** Writes the line with its LF, up to WATCH_LINE_MAX bytes; returns its length. */
size_t watch_write_line(char *line, const struct watch_event *event, const void *text);
/** "skipped=<n>", up to WATCH_LINE_MAX bytes. */
size_t watch_write_skipped(char *line, uint64_t skipped);

#endif
