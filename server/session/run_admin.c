/* flush_all, verbosity, cache_memlimit, shutdown, refresh_certs, version.  Out of the hot path. */
#include "config.h"

#include "session/session_priv.h"

#define REFRESH_ERROR_MAX 250u /* bytes of an error text; the rest is cut */
#define MEMLIMIT_MB_MIN   8u
#define MEMLIMIT_MB_MAX   1000000000u
#define VERBOSITY_MAX     2

bool
word_number(const struct span *word, uint64_t max, uint64_t *out)
{
    uint64_t value;
    if (parse_word_u64(*word, &value) != PARSE_DONE || value > max) {
        return false;
    }
    *out = value;
    return true;
}

unsigned
args_count(const struct request *request)
{
    unsigned count = request->args_count;
    if (request->noreply && count > 0 && span_equals(request->args[count - 1], "noreply")) {
        count--;
    }
    return count;
}

bool
admin_flush(struct session_worker *worker, int64_t exptime)
{
    metric_add(&worker->stats.cmd_flush, 1);
    if (worker->settings->flush_disabled) {
        return false;
    }
    /* At once, as for 0, also for a negative delay. */
    int64_t at = exptime > 0 ? session_expires_at(worker, exptime) : cache_now(worker->cache);
    cache_flush(worker->cache, at);
    return true;
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
    bool graceful = count == 1 && span_equals(request->args[0], "graceful");
    if (count > 0 && !graceful) {
        return "CLIENT_ERROR invalid shutdown mode\r\n";
    }
    worker->end = SESSION_END_SHUTDOWN;
    if (worker->host != NULL && worker->host->shutdown != NULL) {
        worker->host->shutdown(worker->host->arg, graceful);
    }
    return NULL;
}

/** Puts the answer itself: an error's text comes without its line end, and may be long. */
static void
run_refresh_certs(struct session_worker *worker, const struct request *request)
{
    const char *error = "Error TLS not enabled";
    if (worker->host != NULL && worker->host->refresh_certs != NULL) {
        error = worker->host->refresh_certs(worker->host->arg);
    }
    if (request->noreply) {
        return;
    }
    if (error == NULL) {
        TX_PUT(worker, "OK\r\n");
        return;
    }
    size_t len = strlen(error);
    tx_put(worker, error, len < REFRESH_ERROR_MAX ? len : REFRESH_ERROR_MAX);
    TX_PUT(worker, "\r\n");
}

enum step
admin_run(struct session *session, const struct request *request)
{
    struct session_worker *worker = session->worker;
    const char *text;
    /* They may go over much of the cache: what comes next has to wait for others' turns. */
    if (request->op == REQUEST_STATS || request->op == REQUEST_LARDER ||
        request->op == REQUEST_FLUSH_ALL) {
        worker->budget = 0;
    }
    if (request->op == REQUEST_STATS) {
        return stats_run(session, request);
    }
    if (request->op == REQUEST_LARDER) {
        return larder_run(session, request);
    }
    if (request->op == REQUEST_HOOK) {
        return hook_run(session, request);
    }
    if (request->op == REQUEST_REFRESH_CERTS) {
        run_refresh_certs(worker, request);
        return STEP_ON;
    }
    if (request->op == REQUEST_LRU_CRAWLER) {
        text = crawler_run(session, request);
    } else if (request->op == REQUEST_FLUSH_ALL) {
        if (flush_must_wait(session, CACHE_FLUSH_ALL)) {
            return STEP_ON;
        }
        text = admin_flush(worker, request->exptime) ? "OK\r\n"
                                                     : "CLIENT_ERROR flush_all not allowed\r\n";
    } else if (request->op == REQUEST_VERBOSITY) {
        text = run_verbosity(worker, request);
    } else if (request->op == REQUEST_CACHE_MEMLIMIT) {
        text = run_cache_memlimit(worker, request);
    } else if (request->op == REQUEST_SHUTDOWN) {
        text = run_shutdown(worker, request);
    } else if (request->op == REQUEST_SLABS) {
        text = tune_slabs(worker, request);
    } else if (request->op == REQUEST_LRU) {
        text = tune_lru(worker, request);
    } else if (request->op == REQUEST_WATCH) {
        text = watch_begin(session, request);
    } else {
        assert(request->op == REQUEST_VERSION);
        text = "VERSION " SERVER_COMPAT_VERSION "\r\n";
    }
    if (text == NULL) {
        return STEP_CLOSE;
    }
    if (!request->noreply) {
        tx_put(worker, text, strlen(text));
    }
    return STEP_ON;
}
