/* Lines of the log.  Texts and the order of fields are the original's (contract 1.6), but for the
 * microseconds, which it does not fill up with zeros: "1.14465" for 14465 us. */
#include "config.h"

#include "admin/watch_event.h"

#include "base/assert.h"
#include "base/percent.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

uint32_t
watch_class_named(const void *name, size_t len)
{
    static const struct {
        const char *name;
        uint32_t class;
    } classes[] = {
        { "evictions", WATCH_EVICTIONS },   { "fetchers", WATCH_FETCHERS },
        { "mutations", WATCH_MUTATIONS },   { "sysevents", WATCH_SYSEVENTS },
        { "connevents", WATCH_CONNEVENTS }, { "deletions", WATCH_DELETIONS },
        { "rawcmds", WATCH_SILENT },        { "proxyreqs", WATCH_SILENT },
        { "proxyevents", WATCH_SILENT },    { "proxyuser", WATCH_SILENT },
    };
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strlen(classes[i].name) == len && memcmp(classes[i].name, name, len) == 0) {
            return classes[i].class;
        }
    }
    return 0;
}

uint32_t
watch_class_of(enum watch_type type)
{
    switch (type) {
    case WATCH_ITEM_GET:
        return WATCH_FETCHERS;
    case WATCH_ITEM_STORE:
        return WATCH_MUTATIONS;
    case WATCH_EVICTION:
        return WATCH_EVICTIONS;
    case WATCH_DELETED:
        return WATCH_DELETIONS;
    case WATCH_CONN_NEW:
    case WATCH_CONN_CLOSE:
    case WATCH_CONN_ERROR:
    case WATCH_CONN_TLS_ERROR:
        return WATCH_CONNEVENTS;
    case WATCH_SLAB_MOVE:
    case WATCH_LRU_CRAWLER:
        return WATCH_SYSEVENTS;
    }
    assert(false && "a type of event");
    return 0;
}

static const char *
status_name(enum watch_status status)
{
    static const char *const names[] = {
        [WATCH_NOT_FOUND] = "not_found",   [WATCH_FOUND] = "found",
        [WATCH_FLUSHED] = "flushed",       [WATCH_EXPIRED] = "expired",
        [WATCH_NOT_STORED] = "not_stored", [WATCH_STORED] = "stored",
        [WATCH_EXISTS] = "exists",         [WATCH_TOO_LARGE] = "too_large",
        [WATCH_NO_MEMORY] = "no_memory",
    };
    assert(status < sizeof(names) / sizeof(names[0]));
    return names[status];
}

static const char *
command_name(enum watch_command command)
{
    static const char *const names[] = {
        [WATCH_CMD_SET] = "set",         [WATCH_CMD_ADD] = "add",
        [WATCH_CMD_REPLACE] = "replace", [WATCH_CMD_APPEND] = "append",
        [WATCH_CMD_PREPEND] = "prepend", [WATCH_CMD_CAS] = "cas",
        [WATCH_CMD_DELETE] = "delete",   [WATCH_CMD_MD] = "md",
    };
    assert(command < sizeof(names) / sizeof(names[0]));
    return names[command];
}

static const char *
transport_name(enum watch_transport transport)
{
    static const char *const names[] = {
        [WATCH_LOCAL] = "local",
        [WATCH_TCP] = "tcp",
        [WATCH_UDP] = "udp",
    };
    assert(transport < sizeof(names) / sizeof(names[0]));
    return names[transport];
}

static const char *
reason_name(enum watch_reason reason)
{
    static const char *const names[] = {
        [WATCH_REASON_ERROR] = "error",
        [WATCH_REASON_NORMAL] = "normal",
        [WATCH_REASON_IDLE] = "idle_timeout",
        [WATCH_REASON_SHUTDOWN] = "shutdown",
    };
    assert(reason < sizeof(names) / sizeof(names[0]));
    return names[reason];
}

static const char *
move_name(enum watch_move move)
{
    static const char *const names[] = {
        [WATCH_MOVE_BEGINS] = "start",
        [WATCH_MOVE_DONE] = "done",
        [WATCH_MOVE_ABANDONED] = "abandoned",
    };
    assert(move < sizeof(names) / sizeof(names[0]));
    return names[move];
}

/** A message stands in its line as it is, less what would end the line. */
static void
copy_message(char *out, const uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = text[i] < ' ' || text[i] == 0x7f ? ' ' : (char)text[i];
    }
    out[len] = '\0';
}

/* -- one line of each type, behind "type=" ------------------------------------------------------ */

/** word   what the event's text looks like in its line.  Returns the length. */
typedef int write_fn(char *at, size_t room, const struct watch_event *event, const char *word);

static int
write_item_get(char *at, size_t room, const struct watch_event *event, const char *word)
{
    return snprintf(at, room, "item_get key=%s status=%s clsid=%u cfd=%d size=%" PRIu32 "\n", word,
                    status_name(event->status), (unsigned)event->class_id, event->fd,
                    event->item.value_len);
}

static int
write_item_store(char *at, size_t room, const struct watch_event *event, const char *word)
{
    return snprintf(at, room,
                    "item_store key=%s status=%s cmd=%s ttl=%" PRId64
                    " clsid=%u cfd=%d size=%" PRIu32 "\n",
                    word, status_name(event->status), command_name(event->item.command),
                    event->item.ttl_s, (unsigned)event->class_id, event->fd, event->item.value_len);
}

static int
write_eviction(char *at, size_t room, const struct watch_event *event, const char *word)
{
    return snprintf(at, room,
                    "eviction key=%s fetch=%s ttl=%" PRId64 " la=%" PRIu32 " clsid=%u size=%" PRIu32
                    "\n",
                    word, event->item.fetched ? "yes" : "no", event->item.ttl_s, event->item.idle_s,
                    (unsigned)event->class_id, event->item.value_len);
}

static int
write_deleted(char *at, size_t room, const struct watch_event *event, const char *word)
{
    return snprintf(at, room, "deleted key=%s cmd=%s clsid=%u size=%" PRIu32 "\n", word,
                    command_name(event->item.command), (unsigned)event->class_id,
                    event->item.value_len);
}

static int
write_conn_new(char *at, size_t room, const struct watch_event *event, const char *word)
{
    return snprintf(at, room, "conn_new rip=%s rport=%u transport=%s cfd=%d\n", word,
                    (unsigned)event->conn.port, transport_name(event->conn.transport), event->fd);
}

static int
write_conn_close(char *at, size_t room, const struct watch_event *event, const char *word)
{
    return snprintf(at, room, "conn_close rip=%s rport=%u transport=%s reason=%s cfd=%d\n", word,
                    (unsigned)event->conn.port, transport_name(event->conn.transport),
                    reason_name(event->status), event->fd);
}

static int
write_conn_error(char *at, size_t room, const struct watch_event *event, const char *word)
{
    return snprintf(at, room, "connerr fd=%d msg=%s\n", event->fd, word);
}

static int
write_conn_tls_error(char *at, size_t room, const struct watch_event *event, const char *word)
{
    return snprintf(at, room, "conntlserr fd=%d msg=%s\n", event->fd, word);
}

static int
write_slab_move(char *at, size_t room, const struct watch_event *event, const char *word)
{
    (void)word;
    return snprintf(at, room, "slab_move src=%u dst=%u state=%s\n", (unsigned)event->class_id,
                    (unsigned)event->to_class_id, move_name(event->status));
}

/** We have no lists: what the original tells of them is 0. */
static int
write_lru_crawler(char *at, size_t room, const struct watch_event *event, const char *word)
{
    (void)word;
    return snprintf(at, room,
                    "lru_crawler crawler=%u lru=all low_mark=0 next_reclaims=0 since_run=0"
                    " next_run=0 elapsed=%" PRIu32 " examined=%" PRIu64 " reclaimed=%" PRIu64 "\n",
                    (unsigned)event->class_id, event->sweep.elapsed_s, event->sweep.examined,
                    event->sweep.reclaimed);
}

/** How the text of a type stands in its line: addresses and messages as they are, keys encoded. */
static const struct {
    write_fn *write;
    bool is_plain;
} line_forms[] = {
    [WATCH_ITEM_GET] = { write_item_get, false },
    [WATCH_ITEM_STORE] = { write_item_store, false },
    [WATCH_EVICTION] = { write_eviction, false },
    [WATCH_DELETED] = { write_deleted, false },
    [WATCH_CONN_NEW] = { write_conn_new, true },
    [WATCH_CONN_CLOSE] = { write_conn_close, true },
    [WATCH_CONN_ERROR] = { write_conn_error, true },
    [WATCH_CONN_TLS_ERROR] = { write_conn_tls_error, true },
    [WATCH_SLAB_MOVE] = { write_slab_move, false },
    [WATCH_LRU_CRAWLER] = { write_lru_crawler, false },
};

size_t
watch_write_line(char *line, const struct watch_event *event, const void *text)
{
    char word[PERCENT_GROWTH * WATCH_TEXT_MAX + 1];
    assert(event->text_len <= WATCH_TEXT_MAX);
    assert(event->type < sizeof(line_forms) / sizeof(line_forms[0]));
    if (line_forms[event->type].is_plain) {
        copy_message(word, text, event->text_len);
    } else {
        *percent_encode(word, text, event->text_len) = '\0';
    }
    int head = snprintf(line, WATCH_LINE_MAX,
                        "ts=%" PRIu64 ".%06u gid=%" PRIu64 " type=", event->at_us / 1000000u,
                        (unsigned)(event->at_us % 1000000u), event->number);
    size_t room = WATCH_LINE_MAX - (size_t)head;
    int len = line_forms[event->type].write(line + head, room, event, word);
    assert(len > 0 && (size_t)len < room);
    return (size_t)head + (size_t)len;
}

size_t
watch_write_skipped(char *line, uint64_t skipped)
{
    return (size_t)snprintf(line, WATCH_LINE_MAX, "skipped=%" PRIu64 "\n", skipped);
}
