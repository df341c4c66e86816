/* What the sessions of one thread share: buffers, a cache_thread, counters, a source of log events.
 */
#include "config.h"

#include "session/session.h"
#include "session/session_priv.h"

#include <stdlib.h>

/** A worker's share of -o read_buf_mem_limit, with its own receive buffer: enough at least for one
 * client's half command and replies. */
static uint64_t
aside_max(const struct settings *settings)
{
    if (settings->read_buf_mem_limit == 0) {
        return UINT64_MAX;
    }
    uint64_t share = settings->read_buf_mem_limit / settings->threads;
    uint64_t least = SESSION_RX_SIZE + SESSION_TX_SIZE;
    return SESSION_RX_SIZE + (share > least ? share : least);
}

struct session_worker *
session_worker_create(struct cache *cache, struct settings *settings,
                      struct server_stats *server_stats, const struct session_host *host)
{
    assert(cache != NULL && settings != NULL && server_stats != NULL);
    struct session_worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL) {
        return NULL;
    }
    worker->rx = malloc(SESSION_RX_SIZE);
    worker->tx.buf = malloc(SESSION_TX_SIZE);
    worker->thread = cache_thread_open(cache);
    if (worker->rx == NULL || worker->tx.buf == NULL || worker->thread == NULL) {
        goto fail;
    }
    static const _Atomic uint32_t nothing;
    worker->watch_classes = &nothing;
    if (server_stats->watch != NULL) {
        worker->watch_source = watch_source_open(server_stats->watch);
        if (worker->watch_source == NULL) {
            goto fail;
        }
        worker->watch_classes = watch_classes(server_stats->watch);
    }
    static const _Atomic bool off;
    worker->hotkeys_on = &off;
    if (server_stats->hotkeys != NULL) {
        worker->hotkeys = hotkeys_source_open(server_stats->hotkeys);
        if (worker->hotkeys == NULL) {
            goto fail;
        }
        worker->hotkeys_on = hotkeys_switch(server_stats->hotkeys);
        worker->hotkeys_gap = 1;
    }
    worker->cache = cache;
    worker->settings = settings;
    worker->aside_max = aside_max(settings);
    worker->server_stats = server_stats;
    worker->host = host;
    worker->tx.cap = SESSION_TX_SIZE;
    worker->tx.longs = worker->longs;
    metric_set(&worker->stats.read_buffers, 1);
    metric_set(&worker->stats.read_bytes, SESSION_RX_SIZE);
    return worker;

fail:
    if (worker->hotkeys != NULL) {
        hotkeys_source_close(server_stats->hotkeys, &worker->hotkeys);
    }
    if (worker->watch_source != NULL) {
        watch_source_close(server_stats->watch, &worker->watch_source);
    }
    if (worker->thread != NULL) {
        cache_thread_close(cache, worker->thread);
    }
    free(worker->tx.buf);
    free(worker->rx);
    free(worker);
    return NULL;
}

void
session_worker_destroy(struct session_worker *worker)
{
    assert(worker->current == NULL);
    if (worker->hotkeys != NULL) {
        hotkeys_source_close(worker->server_stats->hotkeys, &worker->hotkeys);
    }
    if (worker->watch_source != NULL) {
        watch_source_close(worker->server_stats->watch, &worker->watch_source);
    }
    cache_thread_close(worker->cache, worker->thread);
    free(worker->rx_spare);
    free(worker->tx.buf);
    free(worker->rx);
    free(worker);
}

struct watch_source *
session_worker_watch_source(struct session_worker *worker)
{
    return worker->watch_source;
}

struct worker_stats *
session_worker_stats(struct session_worker *worker)
{
    return &worker->stats;
}
