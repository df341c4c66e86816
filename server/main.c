/* Wires the parts together: command line, process, cache, server. */
#include "config.h"

#include "admin/hotkeys.h"
#include "admin/metrics.h"
#include "admin/prefix.h"
#include "admin/snapshots.h"
#include "admin/stats.h"
#include "admin/tune.h"
#include "admin/watch.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "engine/cache.h"
#include "hook_setup.h"
#include "load_setup.h"
#include "logins.h"
#include "net/metrics_server.h"
#include "net/server.h"
#include "options.h"
#include "process.h"
#include "sandbox.h"
#include "service.h"
#include "snapshot_dir.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* As memory is used: the address space that the cache reserves is many times the limit. */
#ifdef MCL_ONFAULT
#define LOCK_ALL (MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)
#else
#define LOCK_ALL (MCL_CURRENT | MCL_FUTURE)
#endif

#ifdef HAVE_JEMALLOC
/* The heap holds connections, buffers of half commands and tables, none of them on the hot path:
 * few arenas, no large pieces kept back per thread, and what a burst needed goes back soon.
 * 10,000 idle connections on four workers take 415 bytes each with this, 450 without; after a burst
 * of 8 KB each 720, without 1100. */
extern const char *malloc_conf;
__attribute__((visibility("default"))) const char *malloc_conf =
    "narenas:2,tcache_max:1024,dirty_decay_ms:1000";
#endif

_Static_assert(TLS_ERROR_CAP <= SERVER_ERROR_CAP, "one buffer takes either");

static struct cache *
create_cache(const struct settings *settings, struct watch *watch, struct cache_start *start)
{
    struct cache_options options = {
        /* relaxed: no other thread runs yet */
        .memory_limit = atomic_load_explicit(&settings->memory_limit, memory_order_relaxed),
        .item_size_max = settings->item_size_max,
        .growth_factor = settings->growth_factor,
        .chunk_min = settings->chunk_min,
        .chunk_sizes = settings->slab_sizes,
        .chunk_sizes_len = settings->slab_sizes_len,
        .cas_disabled = settings->cas_disabled,
        .evictions_disabled = settings->evictions_disabled,
        .evict_for = settings->evict_for_bytes ? CACHE_EVICT_FOR_BYTES : CACHE_EVICT_FOR_OBJECTS,
        .large_pages = settings->large_pages,
        .track_sizes = settings->track_sizes,
        .hash_seed = rng_system(),
        .now = clock_unix_s(),
        .observer = watch != NULL ? watch_observer(watch) : NULL,
        .memory_file = settings->memory_file,
        .start = start,
    };
    return cache_create(&options);
}

/** Why there is no cache; the exit code. */
static int
tell_no_cache(const struct settings *settings, const struct cache_start *start)
{
    if (start->kind == CACHE_START_REFUSED) {
        log_line("-e: %s", start->text);
        return OPTIONS_EXIT_MEMORY_FILE;
    }
    /* relaxed: no other thread runs yet */
    log_line(
        "no memory for a cache of %llu bytes (-m): %s",
        (unsigned long long)atomic_load_explicit(&settings->memory_limit, memory_order_relaxed),
        strerror(errno));
    return OPTIONS_EXIT_BAD;
}

/** Keeps the items for the next start; the exit code. */
static int
save_cache(struct cache *cache, int code)
{
    char text[CACHE_START_TEXT_MAX];
    bool saved = cache_save(cache, text);
    log_line("-e: %s", text);
    return saved || code != 0 ? code : OPTIONS_EXIT_OS;
}

/** NULL with -W, and without memory. */
static struct watch *
create_watch(const struct settings *settings)
{
    struct watch_options options = { .source_size = settings->worker_logbuf_size,
                                     .watcher_size = settings->watcher_logbuf_size,
                                     .now_us = clock_unix_us };
    return settings->watch_disabled ? NULL : watch_create(&options);
}

static struct hotkeys *
create_hotkeys(void)
{
    struct hotkeys_options options = { clock_monotonic_us, rng_system(), HOTKEYS_ONE_IN };
    return hotkeys_create(&options);
}

/** Limits and user, and what that user must be able to; 0 or the exit code. */
static int
prepare_process(const struct settings *settings)
{
    int code = settings->coredumps ? process_allow_coredumps() : 0;
    if (code == 0) {
        code = process_allow_descriptors(settings);
    }
    if (code == 0) {
        code = process_switch_user(settings);
    }
    if (code == 0 && settings->large_pages) {
        code = process_check_large_pages();
    }
    return code != 0 ? code : snapshot_dir_check(settings);
}

/** Who is told of the server's events. */
struct event_targets {
    struct service *service;
    struct hotkeys *hotkeys;
};

/** server_event_fn */
static void
tell_targets(void *arg, enum server_event event)
{
    const struct event_targets *targets = arg;
    service_event(targets->service, event);
    if (event == SERVER_EVENT_TICK) {
        hotkeys_tick(targets->hotkeys);
    }
}

/** What a server is made of: by start_steps, in their order.  end_parts() ends it. */
struct parts {
    struct settings *settings;
    struct service *service;
    struct server *server;     /* bound to its addresses */
    struct server_stats stats; /* the cache, and those that watch and count */
    struct cache_start start;  /* what the cache began with */
    struct hook_setup hook;
    struct metrics_source metrics;
    struct event_targets targets;
    bool keeps_items; /* for the next start */
    bool is_to_stop;  /* a signal has come during the start */
};

/* -- steps of the start: 0, or the exit code after having told the operator why ----------------- */

/** After the fork of -d, which takes locks away.  Without them a server goes on. */
static int
lock_memory(struct parts *parts)
{
    if (parts->settings->lock_memory && mlockall(LOCK_ALL) != 0) {
        log_line("warning: -k invalid, mlockall() failed: %s", strerror(errno));
    }
    return 0;
}

static int
make_cache(struct parts *parts)
{
    struct server_stats *stats = &parts->stats;
    stats->settings = parts->settings;
    stats->watch = create_watch(parts->settings);
    stats->cache = create_cache(parts->settings, stats->watch, &parts->start);
    if (stats->cache == NULL) {
        return tell_no_cache(parts->settings, &parts->start);
    }
    if (parts->start.text[0] != '\0') {
        log_line("-e: %s", parts->start.text);
    }
    /* Items that were saved are saved again also when this start comes to nothing. */
    parts->keeps_items = parts->start.kind == CACHE_START_WARM;
    tune_apply(parts->settings, stats->cache);
    return 0;
}

static int
make_figures(struct parts *parts)
{
    struct server_stats *stats = &parts->stats;
    stats->started_at = clock_unix_s();
    stats->prefixes = prefix_stats_create(parts->settings->prefix_delimiter);
    stats->hotkeys = create_hotkeys();
    stats->snapshots = snapshots_create(parts->settings->snapshot_dir);
    if (stats->prefixes == NULL || stats->hotkeys == NULL || stats->snapshots == NULL) {
        log_line("out of memory");
        return OPTIONS_EXIT_BAD;
    }
    return 0;
}

static int
load_items(struct parts *parts)
{
    return load_setup_run(parts->stats.cache, parts->settings, parts->keeps_items,
                          parts->stats.snapshots, parts->service, &parts->is_to_stop);
}

/** -o drop_privileges, which leaves new sockets to those who still need them. */
static int
restrict_process(struct parts *parts)
{
    if (!parts->settings->drop_privileges) {
        return 0;
    }
    if (!sandbox_process()) {
        return OPTIONS_EXIT_OS;
    }
    if (!parts->settings->relaxed_privileges) {
        server_on_worker(parts->server, sandbox_worker_or_exit);
        parts->metrics.begin = sandbox_acceptor_or_exit;
    }
    return 0;
}

/** Its threads alone may open sockets from then on. */
static int
start_hook(struct parts *parts)
{
    if (parts->settings->mysql_hook != NULL) {
        int code =
            hook_setup_start(&parts->hook, parts->stats.cache, parts->settings, &parts->start);
        if (code != 0) {
            return code;
        }
        parts->stats.follower = &parts->hook.follower;
    }
    return parts->settings->drop_privileges && !sandbox_sockets() ? OPTIONS_EXIT_OS : 0;
}

/** Workers, and whoever else serves: clients are answered when it returns. */
static int
start_serving(struct parts *parts)
{
    char error[SERVER_ERROR_CAP] = "";
    parts->metrics.page = metrics_page;
    parts->metrics.content_type = METRICS_CONTENT_TYPE;
    server_on_metrics(parts->server, &parts->metrics);
    parts->targets = (struct event_targets){ parts->service, parts->stats.hotkeys };
    server_on_event(parts->server, tell_targets, &parts->targets);
    enum server_result result =
        server_start(parts->server, parts->stats.cache, &parts->stats, true, error);
    if (result != SERVER_OK) {
        log_line("%s", error);
        return result == SERVER_CANNOT_LISTEN ? OPTIONS_EXIT_OS : OPTIONS_EXIT_BAD;
    }
    return 0;
}

static int (*const start_steps[])(struct parts *) = {
    lock_memory, make_cache, make_figures, load_items, restrict_process, start_hook, start_serving,
};
#define START_STEPS (sizeof(start_steps) / sizeof(start_steps[0]))

/* -- serving, and the end ---------------------------------------------------------------------- */

/** From the first client to the last. */
static void
serve_clients(struct parts *parts, int ready_fd)
{
    const struct settings *settings = parts->settings;
    bool pid_written = settings->pid_file != NULL && process_write_pid(settings->pid_file);
    process_write_ports(parts->server);
    service_ready(parts->service, settings, settings->daemonize);
    /* relaxed: one number */
    process_tell_ready(ready_fd,
                       atomic_load_explicit(&settings->verbosity, memory_order_relaxed) > 0);
    process_forget_start();
    bool graceful = server_run(parts->server);
    parts->keeps_items = graceful && settings->memory_file != NULL;
    if (pid_written) {
        process_remove_pid(settings->pid_file);
    }
}

/** Clients go first, then who changes the cache, then the cache, and last who watches it.  Takes
 * the exit code so far, and returns it. */
static int
end_parts(struct parts *parts, int code)
{
    struct server_stats *stats = &parts->stats;
    server_destroy(parts->server);
    hook_setup_end(&parts->hook);
    hotkeys_destroy(stats->hotkeys);
    snapshots_destroy(stats->snapshots);
    prefix_stats_destroy(stats->prefixes);
    if (stats->cache != NULL) {
        code = parts->keeps_items ? save_cache(stats->cache, code) : code;
        cache_destroy(stats->cache);
    }
    watch_destroy(stats->watch);
    return code;
}

/** Serves until the end; returns the exit code. */
static int
serve(struct settings *settings, struct service *service, struct server *server, int ready_fd)
{
    static struct parts parts; /* all zero: nothing is there yet */
    int code = 0;
    parts.settings = settings;
    parts.service = service;
    parts.server = server;
    process_hold_stop_signals();
    for (size_t i = 0; i < START_STEPS && code == 0 && !parts.is_to_stop; i++) {
        code = start_steps[i](&parts);
    }
    if (code == 0 && !parts.is_to_stop) {
        serve_clients(&parts, ready_fd);
    }
    return end_parts(&parts, code);
}

/* -- before the server ------------------------------------------------------------------------- */

/** As memcached does it: paths of a daemon start at the root. */
static int
leave_folder(const struct settings *settings)
{
    if (settings->daemonize && !settings->coredumps && chdir("/") != 0) {
        log_line("failed to chdir to /: %s", strerror(errno));
        return OPTIONS_EXIT_OS;
    }
    return 0;
}

static void
warn_unreachable(const struct settings *settings)
{
    if (settings->port == 0 && settings->unix_path == NULL && settings->udp_port == 0 &&
        settings->sockets_handed_over == 0) {
        log_line("WARNING: -p 0, no -U and no -s: nobody can reach this server");
    }
}

/** From the files of keys and passwords to the end; returns the exit code. */
static int
run(struct settings *settings, struct service *service, struct logins *logins)
{
    char error[SERVER_ERROR_CAP] = "";
    int ready_fd = -1;
    /* Before anything is given up: keys are often root's alone. */
    struct tls *tls = NULL;
    if (settings->ssl_enabled && tls_create(settings, &tls, error) != TLS_OK) {
        log_line("%s", error);
        return OPTIONS_EXIT_USAGE;
    }
    int code = prepare_process(settings);
    if (code == 0) {
        code = leave_folder(settings);
    }
    if (code != 0) {
        tls_destroy(tls);
        return code;
    }
    struct server *server = NULL;
    if (server_create(settings, &tls, &server, error) != SERVER_OK) {
        log_line("%s", error);
        return OPTIONS_EXIT_OS;
    }
    struct server_logins asked = logins_of_server(logins);
    server_ask_for_login(server, &asked);
    warn_unreachable(settings);
    code = service_hand_over(service, server);
    if (code == 0 && settings->daemonize) {
        code = process_daemonize(&ready_fd);
    }
    if (code != 0) {
        server_destroy(server);
        return code;
    }
    return serve(settings, service, server, ready_fd);
}

static int
start(struct settings *settings)
{
    struct service service;
    struct logins logins;
    process_ignore_signals();
    int code = service_open(&service);
    if (code != 0) {
        return code;
    }
    options_listen_beside(settings, service.sockets_len);
    code = logins_open(&logins, settings);
    if (code == 0) {
        code = run(settings, &service, &logins);
        logins_close(&logins);
    }
    service_close(&service);
    return code;
}

int
main(int argc, char **argv)
{
    static struct settings settings;
    static struct options_report report;
    if (hook_setup_is_tool(argc, argv)) {
        return hook_setup_run_tool(argc, argv);
    }
    enum options_result result = options_parse(argc, argv, &settings, &report);
    int code = 0;
    switch (result) {
    case OPTIONS_HELP:
        options_print_help(stdout);
        break;
    case OPTIONS_VERSION:
        options_print_version(stdout);
        break;
    case OPTIONS_LICENSE:
        options_print_license(stdout);
        break;
    case OPTIONS_BAD:
        log_line("%s", report.error);
        code = report.exit_code;
        break;
    case OPTIONS_RUN:
        if (report.warnings[0] != '\0') {
            log_line("%s", report.warnings);
        }
        code = start(&settings);
        break;
    }
    options_free(&settings);
    return code;
}
