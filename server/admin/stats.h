/* Statistics as name-value pairs, and the counters above the engine that feed them. */
#ifndef LARDER_ADMIN_STATS_H
#define LARDER_ADMIN_STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "admin/settings.h"
#include "base/metric.h"
#include "engine/cache.h"

struct prefix_stats;
struct follower;
struct hotkeys;
struct snapshots;
struct watch;

/** What `version` and STAT version say: the server that ours stands in for.  Our own is STAT
 * larder_version. */
#define SERVER_COMPAT_VERSION "1.6.45"

/**
 * One worker's counters; written by its thread alone, and by session/ all but auth_* and
 * idle_kicks and ssl_* and udp_*: net/ does not add to bytes_read, bytes_written and conn_yields
 * again, but for the frames and turns of datagrams, of which sessions do not know.  All
 * members are struct metric: stats.c sums them by position.
 */
struct worker_stats {
    struct metric cmd_get;
    struct metric cmd_set;
    struct metric cmd_flush;
    struct metric cmd_touch;
    struct metric cmd_meta;
    struct metric auth_cmds;
    struct metric auth_errors;
    struct metric bytes_read;
    struct metric bytes_written;
    struct metric conn_yields;
    struct metric idle_kicks;
    struct metric ssl_new_sessions; /* handshakes that did not resume an earlier session */
    struct metric ssl_handshake_errors;
    struct metric ssl_proto_errors; /* streams that broke after their handshake */
    struct metric unlink_hits;      /* old values gone with a failed set; counted as delete_hits */
    struct metric unlink_misses;    /* delete_misses for the same reason */
    struct metric incr_created;     /* numbers created; the engine counts incr_misses */
    struct metric decr_created;     /* decr_misses for the same reason */
    struct metric read_oom;         /* sessions lost: no memory for a half command */
    struct metric response_oom;     /* sessions lost: no memory for output that was not taken */
    struct metric response_bytes;   /* level: kept aside for slow readers; the first level */
    struct metric response_buffers; /* level: sessions with such bytes */
    struct metric read_bytes;       /* level: receive buffers, and what is kept aside of them */
    struct metric read_buffers;     /* level: their number */
    struct metric read_bytes_free;  /* level: such buffers in stock */
    struct metric udp_requests_dropped; /* datagrams that are no request; by net/ */
    struct metric udp_replies_lost;     /* not sent, or not to their end; by net/ */
};
#define WORKER_STATS_COUNT (sizeof(struct worker_stats) / sizeof(struct metric))

/** The process's counters and the list of its workers'.  Filled by main and net before traffic. */
#define STATS_WORKERS_MAX 1024u
struct server_stats {
    struct cache *cache;
    struct settings *settings;
    struct prefix_stats *prefixes;   /* stats detail, admin/prefix.h; NULL counts nothing */
    struct watch *watch;             /* admin/watch.h; NULL: nobody can watch */
    struct hotkeys *hotkeys;         /* admin/hotkeys.h; NULL: keys are never counted */
    const struct follower *follower; /* admin/follower.h; NULL: there is none */
    struct snapshots *snapshots;     /* admin/snapshots.h; NULL: none can be taken */
    int64_t started_at;              /* unix seconds */
    unsigned workers_count;
    struct worker_stats *workers[STATS_WORKERS_MAX];
    struct metric curr_connections; /* shared: metric_add_shared() */
    struct metric total_connections;
    struct metric rejected_connections;
    struct metric listen_disabled_num;
    struct metric time_in_listen_disabled_us;
    struct metric accepting_conns; /* 1 or 0 */
    struct metric reserved_fds;
    struct metric certs_loaded_at; /* unix seconds; of -Z */
    /* -N; written by the thread that accepts */
    struct metric unexpected_napi_ids;
    struct metric round_robin_fallback; /* connections without an id */
    struct metric dumps;                /* begun, of lru_crawler metadump and mgdump; shared */
    _Atomic bool dumping;               /* one is under way: others are told to come again */
    /* Sessions that wait to flush until earlier flushes are swept, see cache_flush_waits(): while
     * there are any, their workers are woken when it may be their turn. */
    _Atomic uint32_t flushes_waiting;
    /* What the counters stood at when `stats reset` came last: each has one writer, and that is
     * not the one that resets. */
    struct metric worker_base[WORKER_STATS_COUNT];
    struct metric total_connections_base;
    struct metric rejected_connections_base;
    struct metric listen_disabled_num_base;
    struct metric time_in_listen_disabled_us_base;
    struct metric dumps_base;
};

/** Takes one pair; strings are borrowed for the call. */
typedef void stat_emit_fn(void *arg, const char *name, const char *value);

void stats_general(struct server_stats *stats, stat_emit_fn *emit, void *arg);
void stats_settings(struct server_stats *stats, stat_emit_fn *emit, void *arg);
void stats_items(struct server_stats *stats, stat_emit_fn *emit, void *arg);
void stats_slabs(struct server_stats *stats, stat_emit_fn *emit, void *arg);
void stats_sizes(struct server_stats *stats, stat_emit_fn *emit, void *arg);
/** Our own figures: larder_version, allocator, memory by use ... */
void stats_larder(struct server_stats *stats, stat_emit_fn *emit, void *arg);
void stats_reset(struct server_stats *stats);

#endif
