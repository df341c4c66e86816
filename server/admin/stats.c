/* stats, stats settings, stats larder, stats reset.  Names and order are the original's
 * (contract 1.8), so that each tool finds what it knows.  Where the original counts something that
 * our engine has no counterpart of, the value is 0:
 *
 *     lru_maintainer_juggles, moves_to_cold, moves_to_warm, moves_within_lru, lru_bumps_dropped,
 *     lrutail_reflocked
 *                     there are no lists to move items between
 *     slab_reassign_chunk_rescues, _inline_reclaim, _busy_items, _busy_deletes, _busy_nomem,
 *     _last_busy_status
 *                     a page move does not get stuck on busy items
 *     unexpected_napi_ids, round_robin_fallback
 *                     -N is not supported
 *     malloc_fails    no allocation stands behind a request
 */
#include "config.h"

#include "admin/stats.h"
#include "admin/stats_priv.h"

#include "admin/prefix.h"
#include "admin/snapshots.h"
#include "admin/watch.h"
#include "base/assert.h"
#include "engine/stats.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown" /* a build without configure */
#endif

/* jemalloc's, when it is linked in. */
extern int mallctl(const char *name, void *old, size_t *old_len, void *fresh, size_t fresh_len)
    __attribute__((weak));

/* -- pairs ------------------------------------------------------------------------------------- */

void
stats_put(const struct stats_out *out, const char *name, const char *value)
{
    char full[128];
    snprintf(full, sizeof(full), "%s%s", out->prefix, name);
    out->emit(out->arg, full, value);
}

void
stats_put_u64(const struct stats_out *out, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    stats_put(out, name, text);
}

void
stats_put_format(const struct stats_out *out, const char *name, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    stats_put(out, name, text);
}

void
stats_put_bool(const struct stats_out *out, const char *name, bool value)
{
    stats_put(out, name, value ? "yes" : "no");
}

/* -- sums -------------------------------------------------------------------------------------- */

#define AT(member)  (offsetof(struct worker_stats, member) / sizeof(struct metric))
#define FIRST_LEVEL AT(response_bytes)
_Static_assert(sizeof(struct worker_stats) % sizeof(struct metric) == 0, "nothing but metrics");

/** The workers' sums, by position; counters less what they were at the last reset. */
static void
sum_workers(const struct server_stats *stats, bool from_reset, uint64_t sums[WORKER_STATS_COUNT])
{
    assert(stats->workers_count <= STATS_WORKERS_MAX);
    memset(sums, 0, WORKER_STATS_COUNT * sizeof(sums[0]));
    for (unsigned i = 0; i < stats->workers_count; i++) {
        const struct metric *metrics = &stats->workers[i]->cmd_get;
        for (size_t j = 0; j < WORKER_STATS_COUNT; j++) {
            sums[j] += metric_get(&metrics[j]);
        }
    }
    for (size_t j = 0; from_reset && j < FIRST_LEVEL; j++) {
        sums[j] -= metric_get(&stats->worker_base[j]);
    }
}

void
stats_reset(struct server_stats *stats)
{
    uint64_t sums[WORKER_STATS_COUNT];
    sum_workers(stats, false, sums);
    for (size_t j = 0; j < FIRST_LEVEL; j++) {
        metric_set(&stats->worker_base[j], sums[j]);
    }
    metric_set(&stats->total_connections_base, metric_get(&stats->total_connections));
    metric_set(&stats->rejected_connections_base, metric_get(&stats->rejected_connections));
    metric_set(&stats->listen_disabled_num_base, metric_get(&stats->listen_disabled_num));
    metric_set(&stats->time_in_listen_disabled_us_base,
               metric_get(&stats->time_in_listen_disabled_us));
    metric_set(&stats->dumps_base, metric_get(&stats->dumps));
    cache_stats_reset(stats->cache);
    prefix_stats_clear(stats->prefixes);
}

static uint64_t
since(const struct metric *metric, const struct metric *base)
{
    return metric_get(metric) - metric_get(base);
}

/* -- stats ------------------------------------------------------------------------------------- */

static void
general_process(const struct server_stats *stats, const struct stats_out *out)
{
    int64_t now = cache_now(stats->cache);
    stats_put_format(out, "pid", "%ld", (long)getpid());
    stats_put_u64(out, "uptime", now > stats->started_at ? (uint64_t)(now - stats->started_at) : 0);
    stats_put_format(out, "time", "%" PRId64, now);
    stats_put(out, "version", SERVER_COMPAT_VERSION);
    stats_put(out, "libevent", event_get_version());
    stats_put_u64(out, "pointer_size", 8 * sizeof(void *));
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) {
        memset(&usage, 0, sizeof(usage));
    }
    stats_put_format(out, "rusage_user", "%ld.%06ld", (long)usage.ru_utime.tv_sec,
                     (long)usage.ru_utime.tv_usec);
    stats_put_format(out, "rusage_system", "%ld.%06ld", (long)usage.ru_stime.tv_sec,
                     (long)usage.ru_stime.tv_usec);
}

static void
general_connections(const struct server_stats *stats, const struct stats_out *out,
                    const uint64_t *sums)
{
    uint64_t connections = metric_get(&stats->curr_connections);
    stats_put_u64(out, "max_connections", stats->settings->conns_max);
    stats_put_u64(out, "curr_connections", connections);
    stats_put_u64(out, "total_connections",
                  since(&stats->total_connections, &stats->total_connections_base));
    if (stats->settings->maxconns_fast) {
        stats_put_u64(out, "rejected_connections",
                      since(&stats->rejected_connections, &stats->rejected_connections_base));
    }
    stats_put_u64(out, "connection_structures",
                  connections); /* ours live no longer than the connection */
    /* Instead of response objects: output kept aside for clients that do not read. */
    stats_put_u64(out, "response_obj_oom", sums[AT(response_oom)]);
    stats_put_u64(out, "response_obj_count", sums[AT(response_buffers)]);
    stats_put_u64(out, "response_obj_bytes", sums[AT(response_bytes)]);
    stats_put_u64(out, "read_buf_count", sums[AT(read_buffers)]);
    stats_put_u64(out, "read_buf_bytes", sums[AT(read_bytes)]);
    stats_put_u64(out, "read_buf_bytes_free", sums[AT(read_bytes_free)]);
    stats_put_u64(out, "read_buf_oom", sums[AT(read_oom)]);
    stats_put_u64(out, "reserved_fds", metric_get(&stats->reserved_fds));
}

/** What the engine counted, less what the session used it for on its own behalf.  A reset between
 * the two must not wrap. */
static uint64_t
less(uint64_t counted, uint64_t own)
{
    return counted > own ? counted - own : 0;
}

static void
general_commands(const struct stats_out *out, const struct cache_stats *cache, const uint64_t *sums)
{
    stats_put_u64(out, "cmd_get", sums[AT(cmd_get)]);
    stats_put_u64(out, "cmd_set", sums[AT(cmd_set)]);
    stats_put_u64(out, "cmd_flush", sums[AT(cmd_flush)]);
    stats_put_u64(out, "cmd_touch", sums[AT(cmd_touch)]);
    stats_put_u64(out, "cmd_meta", sums[AT(cmd_meta)]);
    stats_put_u64(out, "get_hits", cache->sum.get_hits);
    stats_put_u64(out, "get_misses", cache->get_misses);
    stats_put_u64(out, "get_expired", cache->get_expired);
    stats_put_u64(out, "get_flushed", cache->get_flushed);
    stats_put_u64(out, "delete_misses", less(cache->delete_misses, sums[AT(unlink_misses)]));
    stats_put_u64(out, "delete_hits", less(cache->sum.delete_hits, sums[AT(unlink_hits)]));
    stats_put_u64(out, "incr_misses", less(cache->incr_misses, sums[AT(incr_created)]));
    stats_put_u64(out, "incr_hits", cache->sum.incr_hits);
    stats_put_u64(out, "decr_misses", less(cache->decr_misses, sums[AT(decr_created)]));
    stats_put_u64(out, "decr_hits", cache->sum.decr_hits);
    stats_put_u64(out, "cas_misses", cache->cas_misses);
    stats_put_u64(out, "cas_hits", cache->sum.cas_hits);
    stats_put_u64(out, "cas_badval", cache->sum.cas_badval);
    stats_put_u64(out, "touch_hits", cache->sum.touch_hits);
    stats_put_u64(out, "touch_misses", cache->touch_misses);
    stats_put_u64(out, "store_too_large", cache->store_too_large);
    stats_put_u64(out, "store_no_memory", cache->store_no_memory);
    stats_put_u64(out, "auth_cmds", sums[AT(auth_cmds)]);
    stats_put_u64(out, "auth_errors", sums[AT(auth_errors)]);
}

static void
general_traffic(const struct server_stats *stats, const struct stats_out *out,
                const struct cache_stats *cache, const uint64_t *sums)
{
    if (stats->settings->idle_timeout_s > 0) {
        stats_put_u64(out, "idle_kicks", sums[AT(idle_kicks)]);
    }
    stats_put_u64(out, "bytes_read", sums[AT(bytes_read)]);
    stats_put_u64(out, "bytes_written", sums[AT(bytes_written)]);
    stats_put_u64(out, "limit_maxbytes", cache->memory_limit);
    stats_put_u64(out, "accepting_conns", metric_get(&stats->accepting_conns));
    stats_put_u64(out, "listen_disabled_num",
                  since(&stats->listen_disabled_num, &stats->listen_disabled_num_base));
    stats_put_u64(
        out, "time_in_listen_disabled_us",
        since(&stats->time_in_listen_disabled_us, &stats->time_in_listen_disabled_us_base));
    stats_put_u64(out, "threads", stats->settings->threads);
    stats_put_u64(out, "conn_yields", sums[AT(conn_yields)]);
}

static uint64_t
log2_of(uint64_t n)
{
    return n == 0 ? 0 : 63 - (uint64_t)__builtin_clzll(n);
}

static void
general_tls(const struct server_stats *stats, const struct stats_out *out, const uint64_t *sums)
{
    if (stats->settings->ssl_session_cache) {
        stats_put_u64(out, "ssl_new_sessions", sums[AT(ssl_new_sessions)]);
    }
    stats_put_u64(out, "ssl_handshake_errors", sums[AT(ssl_handshake_errors)]);
    stats_put_u64(out, "ssl_proto_errors", sums[AT(ssl_proto_errors)]);
    stats_put_u64(out, "time_since_server_cert_refresh",
                  less((uint64_t)cache_now(stats->cache), metric_get(&stats->certs_loaded_at)));
}

static void
general_engine(const struct server_stats *stats, const struct stats_out *out,
               const struct cache_stats *cache, const uint64_t *sums)
{
    const struct settings *settings = stats->settings;
    stats_put_u64(out, "hash_power_level", log2_of(cache->index_buckets));
    stats_put_u64(out, "hash_bytes", cache->index_bytes);
    stats_put_u64(out, "hash_is_expanding", cache->index_growing);
    if (settings->slab_reassign) {
        stats_put_u64(out, "slab_reassign_rescues", cache->items_rescued);
        stats_put_u64(out, "slab_reassign_chunk_rescues", 0);
        stats_put_u64(out, "slab_reassign_inline_reclaim", 0);
        stats_put_u64(out, "slab_reassign_busy_items", 0);
        stats_put_u64(out, "slab_reassign_busy_deletes", 0);
        stats_put_u64(out, "slab_reassign_busy_nomem", 0);
        stats_put_u64(out, "slab_reassign_last_busy_status", 0);
        stats_put_u64(out, "slab_reassign_running", cache->page_moving);
        stats_put_u64(out, "slabs_moved", cache->pages_moved);
    }
    if (settings->lru_crawler) {
        /* relaxed: a figure */
        bool dumping = atomic_load_explicit(&stats->dumping, memory_order_relaxed);
        stats_put_u64(out, "lru_crawler_running", cache->sweeping || dumping);
        stats_put_u64(out, "lru_crawler_starts",
                      cache->sweeps + since(&stats->dumps, &stats->dumps_base));
    }
    if (settings->lru_maintainer) {
        stats_put_u64(out, "lru_maintainer_juggles", 0);
    }
    stats_put_u64(out, "malloc_fails", 0);
    struct watch_counters watch = watch_count(stats->watch);
    stats_put_u64(out, "log_worker_dropped", watch.dropped);
    stats_put_u64(out, "log_worker_written", watch.written);
    stats_put_u64(out, "log_watcher_skipped", watch.skipped);
    stats_put_u64(out, "log_watcher_sent", watch.sent);
    stats_put_u64(out, "log_watchers", watch.watchers);
    if (settings->ssl_enabled) {
        general_tls(stats, out, sums);
    }
    stats_put_u64(out, "unexpected_napi_ids", metric_get(&stats->unexpected_napi_ids));
    stats_put_u64(out, "round_robin_fallback", metric_get(&stats->round_robin_fallback));
}

static void
general_items(const struct server_stats *stats, const struct stats_out *out,
              const struct cache_stats *cache)
{
    const struct settings *settings = stats->settings;
    stats_put_u64(out, "bytes", cache->bytes);
    stats_put_u64(out, "curr_items", cache->items);
    stats_put_u64(out, "total_items", cache->items_total);
    stats_put_u64(out, "slab_global_page_pool", cache->pages_free);
    stats_put_u64(out, "expired_unfetched", cache->sum.expired_unfetched);
    stats_put_u64(out, "evicted_unfetched", cache->sum.evicted_unfetched);
    if (settings->lru_segmented) {
        stats_put_u64(out, "evicted_active", cache->sum.evicted_active);
    }
    stats_put_u64(out, "evictions", cache->sum.evicted);
    stats_put_u64(out, "reclaimed", cache->sum.reclaimed);
    stats_put_u64(out, "crawler_reclaimed", cache->sum.swept);
    stats_put_u64(out, "crawler_items_checked", cache->chunks_checked);
    stats_put_u64(out, "lrutail_reflocked", 0);
    if (settings->lru_maintainer) {
        stats_put_u64(out, "moves_to_cold", 0);
        stats_put_u64(out, "moves_to_warm", 0);
        stats_put_u64(out, "moves_within_lru", 0);
        stats_put_u64(out, "direct_reclaims",
                      cache->sum.evicted); /* each by the store that wanted the room */
        stats_put_u64(out, "lru_bumps_dropped", 0);
    }
}

void
stats_general(struct server_stats *stats, stat_emit_fn *emit, void *arg)
{
    struct stats_out out = { emit, arg, "" };
    uint64_t sums[WORKER_STATS_COUNT];
    struct cache_stats cache;
    sum_workers(stats, true, sums);
    cache_stats_read(stats->cache, &cache);

    general_process(stats, &out);
    general_connections(stats, &out, sums);
    general_commands(&out, &cache, sums);
    general_traffic(stats, &out, &cache, sums);
    general_engine(stats, &out, &cache, sums);
    general_items(stats, &out, &cache);
}

/* -- stats settings ---------------------------------------------------------------------------- */

/** The addresses of -l, joined by commas; "NULL" for none. */
static void
put_addresses(const struct settings *settings, const struct stats_out *out)
{
    char text[1024] = "NULL";
    size_t len = 0;
    for (unsigned i = 0; i < settings->listen_count; i++) {
        size_t n = strlen(settings->listen[i]);
        if (len + n + 2 > sizeof(text)) {
            break;
        }
        if (i > 0) {
            text[len++] = ',';
        }
        memcpy(text + len, settings->listen[i], n + 1);
        len += n;
    }
    stats_put(out, "inter", text);
}

static const char *
protocol_name(enum settings_protocol protocol)
{
    switch (protocol) {
    case PROTOCOL_AUTO:
        return "auto-negotiate";
    case PROTOCOL_ASCII:
        return "ascii";
    case PROTOCOL_BINARY:
        return "binary";
    }
    return "auto-negotiate"; /* not reached */
}

static void
settings_server(const struct settings *settings, const struct stats_out *out)
{
    /* relaxed: single values, ordered with nothing */
    stats_put_u64(out, "maxbytes",
                  atomic_load_explicit(&settings->memory_limit, memory_order_relaxed));
    stats_put_u64(out, "maxconns", settings->conns_max);
    stats_put_format(out, "tcpport", "%d", settings->port);
    stats_put_format(out, "udpport", "%d", settings->udp_port);
    put_addresses(settings, out);
    stats_put_format(out, "verbosity", "%d",
                     atomic_load_explicit(&settings->verbosity, memory_order_relaxed));
    stats_put_u64(out, "oldest", 0); /* flush times are the engine's */
    stats_put(out, "evictions", settings->evictions_disabled ? "off" : "on");
    stats_put(out, "domain_socket", settings->unix_path != NULL ? settings->unix_path : "NULL");
    stats_put_format(out, "umask", "%o", settings->unix_mask);
    stats_put_bool(out, "shutdown_command", settings->shutdown_enabled);
    /* The original's defaults stand for our finer table, which no single factor describes. */
    stats_put_format(out, "growth_factor", "%.2f",
                     settings->growth_factor > 0 ? settings->growth_factor : 1.25);
    stats_put_u64(out, "chunk_size", settings->chunk_min > 0 ? settings->chunk_min : 48);
    stats_put_u64(out, "num_threads", settings->threads);
    stats_put_u64(out, "num_threads_per_udp", settings->threads);
    stats_put_format(out, "stat_key_prefix", "%c", settings->prefix_delimiter);
    stats_put_bool(out, "detail_enabled",
                   atomic_load_explicit(&settings->detail_enabled, memory_order_relaxed));
    stats_put_u64(out, "reqs_per_event", settings->reqs_per_event);
    stats_put_bool(out, "cas_enabled", !settings->cas_disabled);
    stats_put_format(out, "tcp_backlog", "%d", settings->backlog);
    stats_put(out, "binding_protocol", protocol_name(settings->protocol));
    stats_put_bool(out, "auth_enabled_sasl", settings->sasl_enabled);
    stats_put(out, "auth_enabled_ascii", settings->auth_file != NULL ? settings->auth_file : "no");
    stats_put_u64(out, "item_size_max", settings->item_size_max);
    stats_put_bool(out, "maxconns_fast", settings->maxconns_fast);
}

#ifdef HAVE_TLS
static void
settings_tls(const struct settings *settings, const struct stats_out *out)
{
    static const char *const versions[] = { "tlsv1.0", "tlsv1.1", "tlsv1.2", "tlsv1.3" };
    assert(settings->ssl_min_version < sizeof(versions) / sizeof(versions[0]));
    stats_put_bool(out, "ssl_enabled", settings->ssl_enabled);
    stats_put(out, "ssl_chain_cert",
              settings->ssl_chain_cert != NULL ? settings->ssl_chain_cert : "NULL");
    stats_put(out, "ssl_key", settings->ssl_key != NULL ? settings->ssl_key : "NULL");
    stats_put_u64(out, "ssl_verify_mode", settings_ssl_verify_flags(settings));
    stats_put_u64(out, "ssl_keyformat", settings->ssl_keyformat);
    stats_put(out, "ssl_ciphers", settings->ssl_ciphers != NULL ? settings->ssl_ciphers : "NULL");
    stats_put(out, "ssl_ca_cert", settings->ssl_ca_cert != NULL ? settings->ssl_ca_cert : "NULL");
    stats_put_u64(out, "ssl_wbuf_size", settings->ssl_wbuf_size);
    stats_put_bool(out, "ssl_session_cache", settings->ssl_session_cache);
    stats_put_bool(out, "ssl_kernel_tls", settings->ssl_kernel_tls);
    stats_put(out, "ssl_min_version", versions[settings->ssl_min_version]);
}
#endif

static void
settings_engine(const struct settings *settings, const struct stats_out *out)
{
    stats_put_u64(out, "hashpower_init", settings->hashpower_init);
    stats_put_bool(out, "slab_reassign", settings->slab_reassign);
    stats_put_format(out, "slab_automove", "%d", settings_get(settings, slab_automove));
    stats_put_format(out, "slab_automove_ratio", "%.2f",
                     settings_get(settings, slab_automove_ratio));
    stats_put_u64(out, "slab_automove_window", settings_get(settings, slab_automove_window));
    stats_put_u64(out, "slab_chunk_max", settings->slab_chunk_max);
    stats_put_bool(out, "lru_crawler", settings_get(settings, lru_crawler));
    stats_put_u64(out, "lru_crawler_sleep", settings_get(settings, lru_crawler_sleep));
    stats_put_u64(out, "lru_crawler_tocrawl", settings_get(settings, lru_crawler_tocrawl));
    stats_put_u64(out, "tail_repair_time", settings->tail_repair_time);
    stats_put_bool(out, "flush_enabled", !settings->flush_disabled);
    stats_put_bool(out, "dump_enabled", !settings->dump_disabled);
    stats_put(out, "hash_algorithm", settings->hash_algorithm);
    stats_put_bool(out, "lru_maintainer_thread", settings->lru_maintainer);
    stats_put_bool(out, "lru_segmented", settings_get(settings, lru_segmented));
    stats_put_u64(out, "hot_lru_pct", settings_get(settings, hot_lru_pct));
    stats_put_u64(out, "warm_lru_pct", settings_get(settings, warm_lru_pct));
    stats_put_format(out, "hot_max_factor", "%.2f", settings_get(settings, hot_max_factor));
    stats_put_format(out, "warm_max_factor", "%.2f", settings_get(settings, warm_max_factor));
    stats_put_bool(out, "temp_lru", settings_get(settings, temp_lru));
    stats_put_u64(out, "temporary_ttl", settings_get(settings, temporary_ttl));
    stats_put_u64(out, "idle_timeout", settings->idle_timeout_s);
    stats_put_u64(out, "watcher_logbuf_size", settings->watcher_logbuf_size);
    stats_put_u64(out, "worker_logbuf_size", settings->worker_logbuf_size);
    stats_put_u64(out, "read_buf_mem_limit", settings->read_buf_mem_limit);
    stats_put_bool(out, "track_sizes", settings->track_sizes);
    stats_put_bool(out, "inline_ascii_response", false);
#ifdef HAVE_SECCOMP
    stats_put_bool(out, "drop_privileges", settings->drop_privileges);
#endif
    stats_put_format(out, "slab_automove_freeratio", "%.3f", settings->slab_automove_freeratio);
#ifdef HAVE_TLS
    settings_tls(settings, out);
#endif
    if (settings->napi_ids > 0) {
        stats_put_u64(out, "num_napi_ids", settings->napi_ids);
    } else {
        stats_put(out, "num_napi_ids", "(null)"); /* as the original prints an unset one */
    }
    stats_put(out, "memory_file", settings->memory_file != NULL ? settings->memory_file : "(null)");
    stats_put_u64(out, "client_flags_size", sizeof(uint32_t));
    stats_put(out, "evict_for", settings->evict_for_bytes ? "bytes" : "objects"); /* ours */
}

void
stats_settings(struct server_stats *stats, stat_emit_fn *emit, void *arg)
{
    struct stats_out out = { emit, arg, "" };
    settings_server(stats->settings, &out);
    settings_engine(stats->settings, &out);
}

/* -- stats larder ------------------------------------------------------------------------------ */

static void
put_allocator(const struct stats_out *out)
{
    const char *version = NULL;
    size_t len = sizeof(version);
    if (mallctl != NULL && mallctl("version", &version, &len, NULL, 0) == 0) {
        stats_put_format(out, "allocator", "jemalloc %s", version);
    } else {
        stats_put(out, "allocator", "malloc");
    }
}

void
stats_larder(struct server_stats *stats, stat_emit_fn *emit, void *arg)
{
    struct stats_out out = { emit, arg, "" };
    struct cache_stats cache;
    uint64_t sums[WORKER_STATS_COUNT];
    cache_stats_read(stats->cache, &cache);
    sum_workers(stats, true, sums);

    stats_put(&out, "larder_version", PACKAGE_VERSION);
    put_allocator(&out);
    stats_put_u64(&out, "memory_limit", cache.memory_limit);
    stats_put_u64(&out, "memory_used", cache.memory_used);
    stats_put_u64(&out, "page_size", cache.page_size);
    stats_put_u64(&out, "pages_bytes", cache.pages_bytes);
    stats_put_u64(&out, "pages_free", cache.pages_free);
    stats_put_u64(&out, "pages_moved", cache.pages_moved);
    if (stats->settings->memory_file != NULL) {
        stats_put_u64(&out, "memory_file_refusals", cache.file_refusals);
    }
    stats_put_u64(&out, "index_bytes", cache.index_bytes);
    stats_put_u64(&out, "index_buckets", cache.index_buckets);
    stats_put_u64(&out, "item_bytes", cache.bytes);
    stats_put_u64(&out, "items_small_queue", cache.sum.items_small);
    stats_put_u64(&out, "items_rescued", cache.items_rescued);
    stats_put_u64(&out, "ghost_hits", cache.ghost_hits);
    stats_put_u64(&out, "swept", cache.sum.swept);
    stats_put_u64(&out, "chunks_checked", cache.chunks_checked);
    stats_put_u64(&out, "receive_bytes", sums[AT(read_bytes)] + sums[AT(read_bytes_free)]);
    stats_put_u64(&out, "unsent_bytes", sums[AT(response_bytes)]);
    stats_put_u64(&out, "udp_requests_dropped", sums[AT(udp_requests_dropped)]);
    stats_put_u64(&out, "udp_replies_lost", sums[AT(udp_replies_lost)]);
    if (stats->snapshots != NULL) {
        snapshots_emit(stats->snapshots, emit, arg);
    }
}
