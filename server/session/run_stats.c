/* stats, of the text and of the binary protocol.  Out of the hot path: replies of any length are
 * built in the heap, and leave before the next command runs. */
#include "config.h"

#include "session/session_priv.h"

#include "admin/follower.h"
#include "engine/stats.h"
#include "proto/binary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define REPLY_FIRST_CAP   4096u
#define CACHEDUMP_LEN_MAX (2u * 1024 * 1024) /* bytes of reply */
#define CACHEDUMP_IDS_MIN 64u                /* ids below are always legal */

/** A reply in the making. */
struct reply {
    uint8_t *bytes; /* heap */
    size_t len;
    size_t cap;
    size_t len_max; /* more is not taken */
    bool failed;    /* no memory */
};

/** False when it does not go in; then nothing of it has. */
static bool
reply_add(struct reply *reply, const void *bytes, size_t len)
{
    if (reply->failed || len > reply->len_max - reply->len) {
        return false;
    }
    if (len > reply->cap - reply->len) {
        size_t cap = reply->cap > 0 ? reply->cap : REPLY_FIRST_CAP;
        while (cap - reply->len < len) {
            cap *= 2;
        }
        uint8_t *grown = realloc(reply->bytes, cap);
        if (grown == NULL) {
            reply->failed = true;
            return false;
        }
        reply->bytes = grown;
        reply->cap = cap;
    }
    memcpy(reply->bytes + reply->len, bytes, len);
    reply->len += len;
    return true;
}

static void
reply_add_text(struct reply *reply, const char *text)
{
    (void)reply_add(reply, text, strlen(text));
}

/** Sends a reply that has not failed, and gives its memory back. */
static enum step
reply_send(struct session_worker *worker, struct reply *reply)
{
    assert(!reply->failed);
    struct tx *tx = &worker->tx;
    if (reply->len + TX_RESERVE <= tx->cap - tx->end) {
        tx_put(worker, reply->bytes, reply->len);
        free(reply->bytes);
        return STEP_ON;
    }
    tx_put_long(worker, NULL, reply->bytes, reply->len);
    return STEP_SEND; /* so that a client that does not read holds one long reply at most */
}

/** Adds END, and sends. */
static enum step
reply_end(struct session *session, struct reply *reply)
{
    reply->len_max = SIZE_MAX;
    reply_add_text(reply, "END\r\n");
    if (reply->failed) {
        free(reply->bytes);
        TX_PUT(session->worker, "SERVER_ERROR out of memory writing stats\r\n");
        return STEP_ON;
    }
    return reply_send(session->worker, reply);
}

/** stat_emit_fn */
static void
reply_add_stat(void *arg, const char *name, const char *value)
{
    struct reply *reply = arg;
    reply_add_text(reply, "STAT ");
    reply_add_text(reply, name);
    reply_add_text(reply, " ");
    reply_add_text(reply, value);
    reply_add_text(reply, "\r\n");
}

/* -- stats ------------------------------------------------------------------------------------- */

/** prefix_visit_fn */
static void
reply_add_prefix(void *arg, const struct prefix_counts *counts)
{
    struct reply *reply = arg;
    char text[128];
    snprintf(text, sizeof(text),
             " get %" PRIu64 " hit %" PRIu64 " set %" PRIu64 " del %" PRIu64 "\r\n", counts->gets,
             counts->hits, counts->sets, counts->deletes);
    reply_add_text(reply, "PREFIX ");
    (void)reply_add(reply, counts->prefix, counts->prefix_len);
    reply_add_text(reply, text);
}

static void
detail_switch(struct session_worker *worker, bool on)
{
    /* relaxed: a switch; when exactly other workers see it does not matter */
    atomic_store_explicit(&worker->settings->detail_enabled, on, memory_order_relaxed);
    session_read_switches(worker);
}

static enum step
stats_detail(struct session *session, const struct request *request)
{
    struct session_worker *worker = session->worker;
    const struct span *word = request->args_count > 1 ? &request->args[1] : NULL;
    if (worker->settings->dump_disabled) {
        TX_PUT(worker, "CLIENT_ERROR stats detail not allowed\r\n");
    } else if (word != NULL && (span_equals(*word, "on") || span_equals(*word, "off"))) {
        detail_switch(worker, span_equals(*word, "on"));
        TX_PUT(worker, "OK\r\n");
    } else if (word != NULL && span_equals(*word, "dump")) {
        struct reply reply = { .len_max = SIZE_MAX };
        prefix_stats_visit(worker->server_stats->prefixes, reply_add_prefix, &reply);
        return reply_end(session, &reply);
    } else {
        TX_PUT(worker, "CLIENT_ERROR usage: stats detail on|off|dump\r\n");
    }
    return STEP_ON;
}

/** -X shows no keys. */
static bool
hotkeys_allowed(const struct session_worker *worker)
{
    return !worker->settings->dump_disabled && worker->server_stats->hotkeys != NULL;
}

static enum step
stats_hotkeys(struct session *session)
{
    struct session_worker *worker = session->worker;
    struct reply reply = { .len_max = SIZE_MAX };
    if (!hotkeys_allowed(worker)) {
        TX_PUT(worker, "CLIENT_ERROR stats hotkeys not allowed\r\n");
        return STEP_ON;
    }
    if (!hotkeys_report(worker->server_stats->hotkeys, reply_add_stat, &reply)) {
        reply.failed = true;
    }
    return reply_end(session, &reply);
}

/** cache_visit_fn */
static bool
reply_add_item(void *arg, const struct cache_item_info *item)
{
    static const char head[] = "ITEM ";
    uint8_t line[CACHE_KEY_MAX + 80];
    size_t len = sizeof(head) - 1;
    memcpy(line, head, len);
    memcpy(line + len, item->key, item->key_len);
    for (uint32_t i = 0; i < item->key_len; i++) {
        if (line[len + i] <= ' ' || line[len + i] == 0x7f) {
            return true; /* only a binary key has such bytes, and it would break the line */
        }
    }
    len += item->key_len;
    int n = snprintf((char *)line + len, sizeof(line) - len, " [%" PRIu32 " b; %" PRId64 " s]\r\n",
                     item->value_len, item->expires_at);
    assert(n > 0 && (size_t)n < sizeof(line) - len);
    return reply_add(arg, line, len + (size_t)n);
}

static enum step
stats_cachedump(struct session *session, const struct request *request)
{
    struct session_worker *worker = session->worker;
    uint64_t id;
    uint64_t limit;
    if (worker->settings->dump_disabled) {
        TX_PUT(worker, "CLIENT_ERROR stats cachedump not allowed\r\n");
        return STEP_ON;
    }
    if (request->args_count < 3) {
        TX_PUT(worker, "CLIENT_ERROR bad command line\r\n");
        return STEP_ON;
    }
    if (!word_number(&request->args[1], UINT32_MAX, &id) ||
        !word_number(&request->args[2], UINT32_MAX, &limit)) {
        TX_PUT(worker, "CLIENT_ERROR bad command line format\r\n");
        return STEP_ON;
    }
    struct cache_stats stats;
    cache_stats_read(worker->cache, &stats);
    bool ours = id >= 1 && id <= stats.classes;
    if (id >= CACHEDUMP_IDS_MIN && !ours) { /* we may have more classes than the original's 63 */
        TX_PUT(worker, "CLIENT_ERROR Illegal slab id\r\n");
        return STEP_ON;
    }
    struct reply reply = { .len_max = CACHEDUMP_LEN_MAX };
    if (ours) {
        cache_visit_class(worker->cache, (unsigned)id, limit > 0 ? limit : UINT64_MAX,
                          reply_add_item, &reply);
    }
    return reply_end(session, &reply);
}

/** Emits the statistics of a group, "" for the general ones.  False: there is none of that name. */
static bool
stats_group(struct session_worker *worker, const struct span *word, stat_emit_fn *emit, void *arg)
{
    struct server_stats *stats = worker->server_stats;
    if (word->len == 0) {
        stats_general(stats, emit, arg);
    } else if (span_equals(*word, "settings")) {
        stats_settings(stats, emit, arg);
    } else if (span_equals(*word, "items")) {
        stats_items(stats, emit, arg);
    } else if (span_equals(*word, "slabs")) {
        stats_slabs(stats, emit, arg);
    } else if (span_equals(*word, "sizes")) {
        stats_sizes(stats, emit, arg);
    } else if (span_equals(*word, "larder")) {
        stats_larder(stats, emit, arg);
    } else if (span_equals(*word, "hook")) {
        if (stats->follower != NULL) {
            stats->follower->stats(stats->follower->arg, emit, arg);
        }
    } else {
        return false;
    }
    return true;
}

/** Of the text protocol alone.  Source: contract 1.9, the table of opcodes. */
static enum step
stats_conns(struct session *session)
{
    struct session_worker *worker = session->worker;
    struct reply reply = { .len_max = SIZE_MAX };
    if (worker->host != NULL && worker->host->stats_conns != NULL) {
        worker->host->stats_conns(worker->host->arg, reply_add_stat, &reply);
    }
    return reply_end(session, &reply);
}

enum step
stats_run(struct session *session, const struct request *request)
{
    struct session_worker *worker = session->worker;
    struct reply reply = { .len_max = SIZE_MAX };
    struct span word = request->args_count > 0 ? request->args[0] : (struct span){ NULL, 0 };
    if (stats_group(worker, &word, reply_add_stat, &reply)) {
        return reply_end(session, &reply);
    }
    if (span_equals(word, "conns")) {
        return stats_conns(session);
    }
    if (span_equals(word, "detail")) {
        return stats_detail(session, request);
    }
    if (span_equals(word, "hotkeys")) {
        return stats_hotkeys(session);
    }
    if (span_equals(word, "cachedump")) {
        return stats_cachedump(session, request);
    }
    if (span_equals(word, "reset")) {
        stats_reset(worker->server_stats);
        TX_PUT(worker, "RESET\r\n");
    } else {
        TX_PUT(worker, "ERROR\r\n");
    }
    return STEP_ON;
}

/* -- binary ------------------------------------------------------------------------------------ */

/** Packets in the making. */
struct packets {
    struct reply reply;
    struct binary_echo echo;
};

static void
packets_add(struct packets *packets, const char *name, const void *value, size_t value_len)
{
    uint8_t head[BINARY_HEADER_LEN];
    size_t name_len = strlen(name);
    (void)binary_write_header(head, packets->echo, BINARY_STATUS_OK, name_len, 0,
                              name_len + value_len, 0);
    (void)reply_add(&packets->reply, head, sizeof(head));
    reply_add_text(&packets->reply, name);
    if (value_len > 0) {
        (void)reply_add(&packets->reply, value, value_len);
    }
}

/** stat_emit_fn */
static void
packets_add_stat(void *arg, const char *name, const char *value)
{
    packets_add(arg, name, value, strlen(value));
}

/** "detail dump": all of the text protocol's reply is one value. */
static void
packets_add_prefixes(struct session_worker *worker, struct packets *packets)
{
    struct reply text = { .len_max = UINT32_MAX / 2 };
    prefix_stats_visit(worker->server_stats->prefixes, reply_add_prefix, &text);
    reply_add_text(&text, "END\r\n");
    packets_add(packets, "detailed", text.bytes, text.len);
    packets->reply.failed = packets->reply.failed || text.failed;
    free(text.bytes);
}

/** What no group is named by.  False: nothing else is, either. */
static bool
packets_command(struct session_worker *worker, const struct span *word, struct packets *packets)
{
    if (span_equals(*word, "reset")) {
        stats_reset(worker->server_stats);
        return true;
    }
    if (worker->settings->dump_disabled) {
        return false;
    }
    if (span_equals(*word, "detail on") || span_equals(*word, "detail off")) {
        detail_switch(worker, span_equals(*word, "detail on"));
        return true;
    }
    if (span_equals(*word, "hotkeys") && hotkeys_allowed(worker)) {
        if (!hotkeys_report(worker->server_stats->hotkeys, packets_add_stat, packets)) {
            packets->reply.failed = true;
        }
        return true;
    }
    if (span_equals(*word, "detail dump")) {
        packets_add_prefixes(worker, packets);
        return true;
    }
    return false;
}

enum step
stats_run_binary(struct session *session, const struct binary_request *request)
{
    struct session_worker *worker = session->worker;
    struct packets packets = { .reply = { .len_max = SIZE_MAX }, .echo = request->echo };
    if (!stats_group(worker, &request->key, packets_add_stat, &packets) &&
        !packets_command(worker, &request->key, &packets)) {
        binary_put_error(worker, request->echo, BINARY_STATUS_NOT_FOUND);
        return STEP_ON;
    }
    packets_add(&packets, "", NULL, 0);
    if (packets.reply.failed) {
        free(packets.reply.bytes);
        binary_put_text(worker, request->echo, BINARY_STATUS_NO_MEMORY,
                        "Out of memory generating stats");
        return STEP_ON;
    }
    return reply_send(worker, &packets.reply);
}
