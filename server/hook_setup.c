#include "config.h"

#include "hook_setup.h"

#include "base/log.h"
#include "mysql/hook.h"
#include "mysql/hook_tool.h"
#include "options.h"

#include <string.h>
#include <sys/stat.h>

static const char *
follower_state(void *arg)
{
    return hook_state_name(arg);
}

static void
follower_pause(void *arg)
{
    hook_pause(arg);
}

static void
follower_resume(void *arg)
{
    hook_resume(arg);
}

static void
follower_stats(void *arg, void (*emit)(void *, const char *, const char *), void *emit_arg)
{
    hook_stats(arg, emit, emit_arg);
}

static enum follower_wait
follower_wait(void *arg, const char *name, size_t name_len, uint32_t timeout_ms,
              follower_tell_fn *tell, void *tell_arg, uint64_t *ticket)
{
    switch (hook_wait(arg, name, name_len, timeout_ms, tell, tell_arg, ticket)) {
    case HOOK_WAIT_REACHED:
        return FOLLOWER_REACHED;
    case HOOK_WAIT_WAITING:
        return FOLLOWER_WAITING;
    case HOOK_WAIT_BAD:
        return FOLLOWER_BAD;
    case HOOK_WAIT_FULL:
        break;
    }
    return FOLLOWER_FULL;
}

static void
follower_wait_cancel(void *arg, uint64_t ticket)
{
    hook_wait_cancel(arg, ticket);
}

/** Whether a file was written after a time, unix nanoseconds, or is not there. */
static bool
is_newer(const char *path, int64_t than_ns)
{
    struct stat now;
    return stat(path, &now) != 0 ||
           (int64_t)now.st_mtim.tv_sec * 1000000000 + now.st_mtim.tv_nsec > than_ns;
}

/** Whether the cache began with items that may have missed a change: without a position of when
 * they were saved or before, or under other rules. */
static bool
may_be_stale(const struct cache_start *start, const struct rules *rules, const char *rules_path)
{
    const char *state_file = rules->source.state_file;
    return start->kind == CACHE_START_WARM && start->items > 0 &&
           (state_file == NULL || is_newer(state_file, start->saved_ns) ||
            is_newer(rules_path, start->saved_ns));
}

int
hook_setup_start(struct hook_setup *setup, struct cache *cache, const struct settings *settings,
                 const struct cache_start *start)
{
    char error[RULES_ERROR_MAX > HOOK_ERROR_CAP ? RULES_ERROR_MAX : HOOK_ERROR_CAP];
#ifndef HAVE_HOOK
    log_line("-o mysql_hook: this build of larder has no MySQL hook, which needs libmariadb and"
             " libconfig");
    return OPTIONS_EXIT_USAGE;
#endif
    if (settings->cas_disabled) {
        log_line("-o mysql_hook cannot be had with -C: what is void is told by its CAS id");
        return OPTIONS_EXIT_USAGE;
    }
    if (!rules_load(settings->mysql_hook, &setup->rules, error, sizeof(error))) {
        log_line("-o mysql_hook: %s", error);
        return OPTIONS_EXIT_USAGE;
    }
    if (setup->rules->warning[0] != '\0') {
        log_line("-o mysql_hook: %s", setup->rules->warning);
    }
    struct hook_options options = {
        .rules = setup->rules,
        .cache = cache,
        .item_size_max = settings->item_size_max,
        .distrusts_items = may_be_stale(start, setup->rules, settings->mysql_hook),
    };
    switch (hook_open(&options, &setup->hook, error)) {
    case HOOK_OK:
        break;
    case HOOK_NO_RESOURCES:
        log_line("%s", error);
        return OPTIONS_EXIT_OS;
    case HOOK_NOT_BUILT:
        log_line("%s", error);
        return OPTIONS_EXIT_USAGE;
    }
    setup->follower = (struct follower){
        .arg = setup->hook,
        .state = follower_state,
        .pause = follower_pause,
        .resume = follower_resume,
        .stats = follower_stats,
        .wait = follower_wait,
        .wait_cancel = follower_wait_cancel,
    };
    return 0;
}

void
hook_setup_end(struct hook_setup *setup)
{
    if (setup->hook != NULL) {
        hook_close(setup->hook);
        setup->hook = NULL;
    }
    if (setup->rules != NULL) {
        rules_destroy(setup->rules);
        setup->rules = NULL;
    }
}

/* -- tools ------------------------------------------------------------------------------------- */

static bool
is_check(const char *word)
{
    return strcmp(word, "--hook-check") == 0;
}

static bool
is_print(const char *word)
{
    return strcmp(word, "--hook-print") == 0;
}

bool
hook_setup_is_tool(int argc, char *const *argv)
{
    return argc >= 2 && (is_check(argv[1]) || is_print(argv[1]));
}

int
hook_setup_run_tool(int argc, char *const *argv)
{
    char error[RULES_ERROR_MAX];
    struct rules *rules = NULL;
#ifndef HAVE_HOOK
    log_line("%s: this build of larder has no MySQL hook, which needs libmariadb and libconfig",
             argv[1]);
    return OPTIONS_EXIT_USAGE;
#endif
    if (argc < 3 || (is_check(argv[1]) && argc > 3)) {
        log_line("usage: larder --hook-check FILE, or larder --hook-print FILE [LOG...]");
        return OPTIONS_EXIT_USAGE;
    }
    if (!rules_load(argv[2], &rules, error, sizeof(error))) {
        log_line("%s", error);
        return OPTIONS_EXIT_BAD;
    }
    if (rules->warning[0] != '\0') {
        log_line("%s", rules->warning);
    }
    bool good = is_check(argv[1]) ? hook_check(rules, stdout)
                                  : hook_print(rules, argv + 3, argc - 3, stdout);
    rules_destroy(rules);
    return good ? 0 : OPTIONS_EXIT_BAD;
}
