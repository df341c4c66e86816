/* stats, flush_all, verbosity, cache_memlimit, shutdown, version, mn.  Out of the hot path: replies
 * of any length are built in the heap, and leave before the next command runs. */
#include "config.h"

#include "session/session_priv.h"

#include "engine/stats.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define REPLY_FIRST_CAP   4096u
#define CACHEDUMP_LEN_MAX (2u * 1024 * 1024) /* bytes of reply */
#define CACHEDUMP_IDS_MIN 64u                /* ids below are always legal */
#define MEMLIMIT_MB_MIN   8u
#define MEMLIMIT_MB_MAX   1000000000u
#define VERBOSITY_MAX     2

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

/** Adds END, and sends. */
static enum step
reply_end(struct session *session, struct reply *reply)
{
    struct session_worker *worker = session->worker;
    reply->len_max = SIZE_MAX;
    reply_add_text(reply, "END\r\n");
    if (reply->failed) {
        free(reply->bytes);
        TX_PUT(worker, "SERVER_ERROR out of memory writing stats\r\n");
        return STEP_ON;
    }
    struct tx *tx = &worker->tx;
    if (reply->len + TX_RESERVE <= tx->cap - tx->end) {
        tx_put(worker, reply->bytes, reply->len);
        free(reply->bytes);
        return STEP_ON;
    }
    tx_put_long(worker, NULL, reply->bytes, reply->len);
    return STEP_SEND; /* so that a client that does not read holds one long reply at most */
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

static bool
word_is(const struct span *word, const char *text)
{
    return word->len == strlen(text) && memcmp(word->at, text, word->len) == 0;
}

/** Digits alone, up to `max`. */
static bool
word_number(const struct span *word, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < word->len; i++) {
        unsigned digit = (unsigned)word->at[i] - '0';
        if (digit > 9 || value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return word->len > 0;
}

/** The words of a command less a `noreply` at their end. */
static unsigned
args_count(const struct request *request)
{
    unsigned count = request->args_count;
    if (request->noreply && count > 0 && word_is(&request->args[count - 1], "noreply")) {
        count--;
    }
    return count;
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

static enum step
stats_detail(struct session *session, const struct request *request)
{
    struct session_worker *worker = session->worker;
    const struct span *word = request->args_count > 1 ? &request->args[1] : NULL;
    if (worker->settings->dump_disabled) {
        TX_PUT(worker, "CLIENT_ERROR stats detail not allowed\r\n");
    } else if (word != NULL && (word_is(word, "on") || word_is(word, "off"))) {
        worker->detail = word_is(word, "on");
        /* relaxed: a switch; when exactly other workers see it does not matter */
        atomic_store_explicit(&worker->settings->detail_enabled, worker->detail,
                              memory_order_relaxed);
        TX_PUT(worker, "OK\r\n");
    } else if (word != NULL && word_is(word, "dump")) {
        struct reply reply = { .len_max = SIZE_MAX };
        prefix_stats_visit(worker->server_stats->prefixes, reply_add_prefix, &reply);
        return reply_end(session, &reply);
    } else {
        TX_PUT(worker, "CLIENT_ERROR usage: stats detail on|off|dump\r\n");
    }
    return STEP_ON;
}

/** cache_visit_fn */
static bool
reply_add_item(void *arg, const struct cache_item_info *item)
{
    uint8_t line[CACHE_KEY_MAX + 80];
    size_t len = 0;
    for (const char *p = "ITEM "; *p != '\0'; p++) {
        line[len++] = (uint8_t)*p;
    }
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

static enum step
run_stats(struct session *session, const struct request *request)
{
    struct session_worker *worker = session->worker;
    struct server_stats *stats = worker->server_stats;
    struct reply reply = { .len_max = SIZE_MAX };
    const struct span *word = &request->args[0];
    if (request->args_count == 0) {
        stats_general(stats, reply_add_stat, &reply);
    } else if (word_is(word, "settings")) {
        stats_settings(stats, reply_add_stat, &reply);
    } else if (word_is(word, "items")) {
        stats_items(stats, reply_add_stat, &reply);
    } else if (word_is(word, "slabs")) {
        stats_slabs(stats, reply_add_stat, &reply);
    } else if (word_is(word, "sizes")) {
        stats_sizes(stats, reply_add_stat, &reply);
    } else if (word_is(word, "larder")) {
        stats_larder(stats, reply_add_stat, &reply);
    } else if (word_is(word, "conns")) {
        if (worker->host != NULL && worker->host->stats_conns != NULL) {
            worker->host->stats_conns(worker->host->arg, reply_add_stat, &reply);
        }
    } else if (word_is(word, "detail")) {
        return stats_detail(session, request);
    } else if (word_is(word, "cachedump")) {
        return stats_cachedump(session, request);
    } else if (word_is(word, "reset")) {
        stats_reset(stats);
        TX_PUT(worker, "RESET\r\n");
        return STEP_ON;
    } else {
        TX_PUT(worker, "ERROR\r\n");
        return STEP_ON;
    }
    return reply_end(session, &reply);
}

/* -- the others -------------------------------------------------------------------------------- */

static const char *
run_flush_all(struct session_worker *worker, const struct request *request)
{
    metric_add(&worker->stats.cmd_flush, 1);
    if (worker->settings->flush_disabled) {
        return "CLIENT_ERROR flush_all not allowed\r\n";
    }
    /* At once, as for 0, also for a negative delay. */
    int64_t at = request->exptime > 0 ? session_expires_at(worker, request->exptime)
                                      : cache_now(worker->cache);
    cache_flush(worker->cache, worker->thread, at);
    return "OK\r\n";
}

static const char *
run_verbosity(struct session_worker *worker, const struct request *request)
{
    uint64_t level;
    if (args_count(request) == 0 || !word_number(&request->args[0], UINT64_MAX, &level)) {
        return "CLIENT_ERROR bad command line format\r\n";
    }
    /* relaxed: a switch */
    atomic_store_explicit(&worker->settings->verbosity,
                          level < VERBOSITY_MAX ? (int)level : VERBOSITY_MAX, memory_order_relaxed);
    return "OK\r\n";
}

static const char *
run_cache_memlimit(struct session_worker *worker, const struct request *request)
{
    uint64_t limit_mb;
    if (args_count(request) == 0 || !word_number(&request->args[0], UINT64_MAX, &limit_mb)) {
        return "ERROR\r\n";
    }
    if (limit_mb < MEMLIMIT_MB_MIN) {
        return "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n";
    }
    if (limit_mb > MEMLIMIT_MB_MAX) {
        return "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n";
    }
    /* With -L all memory was taken at start. */
    uint64_t limit = limit_mb * 1024 * 1024;
    if (worker->settings->large_pages || !cache_set_memory_limit(worker->cache, limit)) {
        return "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n";
    }
    /* relaxed: for display */
    atomic_store_explicit(&worker->settings->memory_limit, limit, memory_order_relaxed);
    return "OK\r\n";
}

/** NULL when the server is to stop. */
static const char *
run_shutdown(struct session_worker *worker, const struct request *request)
{
    unsigned count = args_count(request);
    if (!worker->settings->shutdown_enabled) {
        return "SERVER_ERROR: shutdown not enabled\r\n";
    }
    bool graceful = count == 1 && word_is(&request->args[0], "graceful");
    if (count > 0 && !graceful) {
        return "CLIENT_ERROR invalid shutdown mode\r\n";
    }
    if (worker->host != NULL && worker->host->shutdown != NULL) {
        worker->host->shutdown(worker->host->arg, graceful);
    }
    return NULL;
}

enum step
admin_run(struct session *session, const struct request *request)
{
    struct session_worker *worker = session->worker;
    const char *text;
    if (request->op == REQUEST_STATS) {
        return run_stats(session, request);
    }
    if (request->op == REQUEST_FLUSH_ALL) {
        text = run_flush_all(worker, request);
    } else if (request->op == REQUEST_VERBOSITY) {
        text = run_verbosity(worker, request);
    } else if (request->op == REQUEST_CACHE_MEMLIMIT) {
        text = run_cache_memlimit(worker, request);
    } else if (request->op == REQUEST_SHUTDOWN) {
        text = run_shutdown(worker, request);
    } else if (request->op == REQUEST_VERSION) {
        text = "VERSION " SERVER_COMPAT_VERSION "\r\n";
    } else {
        assert(request->op == REQUEST_MN);
        text = "MN\r\n"; /* all replies of a run leave together: nothing needs to be forced */
    }
    if (text == NULL) {
        return STEP_CLOSE;
    }
    if (!request->noreply) {
        tx_put(worker, text, strlen(text));
    }
    return STEP_ON;
}
