/* What the server was told to be: from the command line, in part changed at run time. */
#ifndef LARDER_ADMIN_SETTINGS_H
#define LARDER_ADMIN_SETTINGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LISTEN_ADDRESSES_MAX 64u
#define SLAB_SIZES_MAX       63u /* memcached's bound */

enum settings_protocol {
    PROTOCOL_AUTO,
    PROTOCOL_ASCII,
    PROTOCOL_BINARY,
};

/** The numbers are memcached's. */
enum settings_key_format {
    SSL_KEY_PEM = 1,
    SSL_KEY_DER = 2,
};

#define SSL_MIN_TLS_1_2 2u /* of ssl_min_version */

/** Constant after start, but for the _Atomic members.  Strings are owned by options.c and live as
 * long as the process. */
struct settings {
    /* listening */
    int port;              /* -p; 0 off, -1 ephemeral */
    int udp_port;          /* -U; 0 off, -1 ephemeral */
    const char *unix_path; /* -s, NULL for none */
    unsigned unix_mask;    /* -a, access mask */
    bool tcp_asked;  /* -p or -l stands on the command line itself, not in the file of --config */
    bool udp_asked;  /* -U likewise */
    bool unix_asked; /* -s likewise */
    unsigned sockets_handed_over;             /* by the service manager */
    const char *listen[LISTEN_ADDRESSES_MAX]; /* -l, one host[:port] each */
    unsigned listen_count;
    int backlog;                     /* -b */
    enum settings_protocol protocol; /* -B */
    unsigned conns_max;              /* -c */
    bool maxconns_fast;
    unsigned idle_timeout_s; /* 0 off */
    const char *listen_text; /* -l as given, several joined by commas: "inter" of stats settings;
                                NULL for none */
    uint32_t sock_cookie_id; /* -o sock_cookie_id: SO_MARK of the listening sockets; 0 off */
    unsigned napi_ids;       /* -N; 0 off */
    const char *metrics;     /* -o metrics: address of the page; NULL for none */

    /* logins */
    const char *auth_file; /* -Y; NULL for none */
    bool sasl_enabled;     /* -S */

    /* TLS; shown by stats settings also without -Z */
    bool ssl_enabled;           /* -Z */
    const char *ssl_chain_cert; /* PEM file; never NULL with -Z */
    const char *ssl_key;        /* file; NULL: the key stands in ssl_chain_cert */
    enum settings_key_format ssl_keyformat;
    unsigned ssl_verify_mode; /* 0 no client certificate, 1 request, 2 require, 3 once */
    const char *ssl_ciphers;  /* NULL: OpenSSL's choice */
    const char *ssl_ca_cert;  /* PEM file; NULL for none */
    uint32_t ssl_wbuf_size;   /* bytes, per worker */
    bool ssl_session_cache;
    bool ssl_kernel_tls;
    unsigned ssl_min_version; /* 0 .. 3: TLS 1.0 .. 1.3 */

    /* process */
    char *config_text;    /* --config: the file's text, into which strings point; NULL for none */
    bool drop_privileges; /* -o drop_privileges */
    bool relaxed_privileges; /* -o relaxed_privileges */
    bool daemonize;          /* -d */
    bool coredumps;          /* -r */
    const char *user;        /* -u */
    const char *pid_file;    /* -P */
    bool lock_memory;        /* -k */
    unsigned threads;        /* -t */
    unsigned reqs_per_event; /* -R */

    /* cache */
    _Atomic uint64_t memory_limit;       /* -m, bytes */
    bool evictions_disabled;             /* -M */
    double growth_factor;                /* -f; 0 default table */
    uint32_t chunk_min;                  /* -n; 0 default */
    uint32_t slab_sizes[SLAB_SIZES_MAX]; /* -o slab_sizes, bytes, rising; in place of -f and -n */
    unsigned slab_sizes_len;             /* 0 for none */
    const char *mysql_hook;              /* -o mysql_hook: file of rules; NULL for none */
    const char *load_file;               /* -o load: a snapshot; NULL for none */
    const char *load_if_there;           /* -o load_if_there: the same, and it may be missing */
    const char *snapshot_dir;            /* -o snapshot_dir; NULL: snapshots go anywhere */
    const char *memory_file;             /* -e; NULL for none */
    uint32_t item_size_max;              /* -I, bytes */
    bool cas_disabled;                   /* -C */
    bool evict_for_bytes;                /* -o evict_for */
    bool large_pages;                    /* -L */

    /* commands */
    bool shutdown_enabled; /* -A */
    bool flush_disabled;   /* -F */
    bool dump_disabled;    /* -X */
    bool watch_disabled;   /* -W */
    char prefix_delimiter; /* -D */
    _Atomic bool detail_enabled;
    _Atomic int verbosity; /* -v; 0 .. 2 by command */

    /* accepted and shown by stats settings; what they mean here stands in the manual page */
    unsigned hashpower_init;
    const char *hash_algorithm;
    bool slab_reassign;
    _Atomic int slab_automove; /* 0 .. 2 */
    _Atomic double slab_automove_ratio;
    _Atomic unsigned slab_automove_window;
    _Atomic double slab_automove_freeratio;
    uint32_t slab_chunk_max; /* bytes */
    _Atomic bool lru_crawler;
    _Atomic unsigned lru_crawler_sleep; /* us */
    _Atomic unsigned lru_crawler_tocrawl;
    unsigned tail_repair_time;
    bool lru_maintainer;
    _Atomic bool lru_segmented;
    _Atomic unsigned hot_lru_pct;
    _Atomic unsigned warm_lru_pct;
    _Atomic double hot_max_factor;
    _Atomic double warm_max_factor;
    _Atomic bool temp_lru;
    _Atomic unsigned temporary_ttl;
    unsigned watcher_logbuf_size; /* bytes */
    unsigned worker_logbuf_size;  /* bytes */
    unsigned read_buf_mem_limit;  /* bytes */
    bool track_sizes;
};

/* One of the members that change at run time; relaxed: ordered with nothing. */
#define settings_get(settings, member) \
    atomic_load_explicit(&(settings)->member, memory_order_relaxed)
#define settings_set(settings, member, value) \
    atomic_store_explicit(&(settings)->member, (value), memory_order_relaxed)

/** memcached's defaults. */
void settings_init(struct settings *settings);

/** ssl_verify_mode as OpenSSL has it, and as `stats settings` shows it: 1 a client's certificate is
 * asked for and verified, 2 there must be one, 4 it is not asked for again. */
static inline unsigned
settings_ssl_verify_flags(const struct settings *settings)
{
    static const unsigned flags[] = { 0, 1, 1 | 2, 1 | 2 | 4 };
    return settings->ssl_verify_mode < sizeof(flags) / sizeof(flags[0])
               ? flags[settings->ssl_verify_mode]
               : flags[2];
}

#endif
