#include "config.h"

#include "admin/settings.h"

#include <string.h>

void
settings_init(struct settings *settings)
{
    memset(settings, 0, sizeof(*settings));
    settings->port = 11211;
    settings->unix_mask = 0700;
    settings->backlog = 1024;
    settings->protocol = PROTOCOL_AUTO;
    settings->conns_max = 1024;
    settings->maxconns_fast = true;

    settings->ssl_keyformat = SSL_KEY_PEM;
    settings->ssl_wbuf_size = 16 * 1024;
    settings->ssl_min_version = SSL_MIN_TLS_1_2;

    settings->threads = 4;
    settings->reqs_per_event = 20;

    /* relaxed, here and below: no other thread runs yet */
    atomic_store_explicit(&settings->memory_limit, UINT64_C(64) * 1024 * 1024,
                          memory_order_relaxed);
    settings->item_size_max = 1024 * 1024;

    settings->prefix_delimiter = ':';
    atomic_store_explicit(&settings->detail_enabled, false, memory_order_relaxed);
    atomic_store_explicit(&settings->verbosity, 0, memory_order_relaxed);

    settings->hash_algorithm = "murmur3"; /* of the original; ours is XXH3, whatever this says */
    settings->slab_reassign = true;
    settings_set(settings, slab_automove, 1);
    settings_set(settings, slab_automove_ratio, 0.8);
    settings_set(settings, slab_automove_window, 10);
    settings_set(settings, slab_automove_freeratio, 0.01);
    settings->slab_chunk_max = 512 * 1024;
    settings_set(settings, lru_crawler, true);
    settings_set(settings, lru_crawler_sleep, 100);
    settings->lru_maintainer = true;
    settings_set(settings, lru_segmented, true);
    settings_set(settings, hot_lru_pct, 20);
    settings_set(settings, warm_lru_pct, 40);
    settings_set(settings, hot_max_factor, 0.2);
    settings_set(settings, warm_max_factor, 2.0);
    settings_set(settings, temporary_ttl, 61);
    settings->watcher_logbuf_size = 256 * 1024;
    settings->worker_logbuf_size = 64 * 1024;
}
