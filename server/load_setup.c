#include "config.h"

#include "load_setup.h"

#include "base/clock.h"
#include "base/log.h"
#include "options.h"
#include "process.h"

#include <inttypes.h>

#define TELL_US 1000000u /* between two words to the service manager */

struct load {
    const struct service *service;
    uint64_t told_us; /* monotonic */
};

/** snapshot_pace_fn */
static bool
pace(void *arg, const struct snapshot_figures *so_far)
{
    struct load *load = arg;
    uint64_t now_us = clock_monotonic_us();
    if (now_us - load->told_us >= TELL_US) {
        load->told_us = now_us;
        service_starting(load->service, so_far->items);
    }
    return !process_is_to_stop();
}

static void
tell_result(const char *path, const struct snapshot_figures *figures, uint64_t took_us)
{
    log_line("-o load: %.300s: %" PRIu64 " items in %" PRIu64 " ms; left out: %" PRIu64
             " expired, %" PRIu64 " above -I, %" PRIu64 " without room",
             path, figures->items, took_us / 1000, figures->expired, figures->too_large,
             figures->no_room);
}

/** What forbids to load at all; 0 for nothing. */
static int
check_settings(const struct settings *settings)
{
    if (settings->load_file != NULL && settings->load_if_there != NULL) {
        log_line("-o load and -o load_if_there: one of them is right");
        return OPTIONS_EXIT_USAGE;
    }
    if (settings->mysql_hook != NULL) {
        log_line("-o load cannot be had with -o mysql_hook: nobody knows what has changed at the"
                 " source since the snapshot was written");
        return OPTIONS_EXIT_USAGE;
    }
    return 0;
}

int
load_setup_run(struct cache *cache, const struct settings *settings, bool warm,
               struct snapshots *snapshots, const struct service *service, bool *stopped)
{
    *stopped = false;
    const char *path = settings->load_file != NULL ? settings->load_file : settings->load_if_there;
    if (path == NULL) {
        return 0;
    }
    int code = check_settings(settings);
    if (code != 0) {
        return code;
    }
    if (warm) {
        log_line("-o load: %.300s is not read: -e has brought the items back as they were last",
                 path);
        return 0;
    }
    struct cache_thread *thread = cache_thread_open(cache);
    if (thread == NULL) {
        log_line("-o load: out of memory");
        return OPTIONS_EXIT_BAD;
    }
    uint64_t began_us = clock_monotonic_us();
    struct load load = { .service = service, .told_us = began_us };
    struct snapshot_options options = { .pace = pace, .pace_arg = &load };
    struct snapshot_figures figures;
    char error[SNAPSHOT_ERROR_CAP];
    enum snapshot_result result = snapshot_load(cache, thread, path, &options, &figures, error);
    uint64_t took_us = clock_monotonic_us() - began_us;
    cache_thread_close(cache, thread);
    if (result == SNAPSHOT_STOPPED) {
        *stopped = true;
        return 0;
    }
    if (result == SNAPSHOT_NO_FILE && path == settings->load_if_there) {
        return 0;
    }
    if (result != SNAPSHOT_OK) {
        log_line("-o load: %s", error);
        return OPTIONS_EXIT_BAD;
    }
    snapshots_note_load(snapshots, path, &figures, took_us);
    tell_result(path, &figures, took_us);
    return 0;
}
