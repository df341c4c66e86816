/* Following a MySQL or MariaDB server from within a host.  A part of liblarder-serve. */
#include "config.h"

#include "embed/larder_priv.h"
#include "embed/report.h"

#include "base/assert.h"
#include "mysql/hook.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(RULES_ERROR_MAX <= LARDER_ERROR_CAP && HOOK_ERROR_CAP <= LARDER_ERROR_CAP,
               "any text fits");

struct larder_hook {
    struct larder *cache;
    struct rules *rules;
    struct hook *hook;
    struct report report;
};

/** Loads the rules and starts the hook.  The caller frees `hook` when it fails. */
static enum larder_result
start(struct larder_hook *hook, const char *rules_file, const struct report_text *error)
{
    char why[LARDER_ERROR_CAP] = "";
    if (hook->cache->cas_disabled) {
        report_put(error, "a hook cannot be had with cas_disabled: what is void is told by its CAS"
                          " id");
        return LARDER_BAD_OPTION;
    }
    errno = 0;
    if (!rules_load(rules_file, &hook->rules, why, sizeof(why))) {
        report_put(error, "%s", why);
        return errno == ENOMEM ? LARDER_SYSTEM : LARDER_BAD_OPTION;
    }
    if (hook->rules->warning[0] != '\0') {
        log_line("%s", hook->rules->warning);
    }
    /* acq_rel: of two threads one opens the hold-off, which is there once for a cache */
    if (atomic_exchange_explicit(&hook->cache->hooked, true, memory_order_acq_rel)) {
        report_put(error, "a cache has one hook, once in its life");
        return LARDER_BUSY;
    }
    struct hook_options options = { .rules = hook->rules,
                                    .cache = hook->cache->cache,
                                    .item_size_max = hook->cache->item_size_max };
    switch (hook_open(&options, &hook->hook, why)) {
    case HOOK_OK:
        return LARDER_OK;
    case HOOK_NO_RESOURCES:
        errno = ENOMEM;
        report_put(error, "%s", why);
        return LARDER_SYSTEM;
    case HOOK_NOT_BUILT:
        break;
    }
    report_put(error, "%s", why);
    return LARDER_NOT_BUILT;
}

enum larder_result
larder_hook_mysql(struct larder *cache, const char *rules_file, larder_log_fn *log, void *log_arg,
                  struct larder_hook **out, char *error, size_t error_cap)
{
    struct report_text text;
    if (!report_open(&text, error, error_cap) || cache == NULL || rules_file == NULL ||
        out == NULL) {
        return LARDER_BAD_OPTION;
    }
    if (!larder_same_build(cache, PACKAGE_VERSION)) {
        report_put(&text, "liblarder is of version %s, liblarder-serve of " PACKAGE_VERSION,
                   cache->build);
        return LARDER_NOT_BUILT;
    }
#ifndef HAVE_HOOK
    report_put(&text,
               "this build of larder has no MySQL hook, which needs libmariadb and libconfig");
    return LARDER_NOT_BUILT;
#endif
    struct larder_hook *hook = calloc(1, sizeof(*hook));
    if (hook == NULL) {
        report_end(&text, LARDER_SYSTEM);
        return LARDER_SYSTEM;
    }
    hook->cache = cache;
    report_init(&hook->report, log, log_arg);
    const struct log_sink *before = log_set_sink(&hook->report.sink);
    enum larder_result result = start(hook, rules_file, &text);
    (void)log_set_sink(before);
    if (result != LARDER_OK) {
        int saved = errno;
        if (hook->rules != NULL) {
            rules_destroy(hook->rules);
        }
        free(hook);
        errno = saved;
        report_end(&text, result);
        return result;
    }
    /* relaxed: one thread at a time closes the cache */
    atomic_fetch_add_explicit(&cache->users, 1, memory_order_relaxed);
    *out = hook;
    return LARDER_OK;
}

const char *
larder_hook_state(struct larder_hook *hook)
{
    return hook != NULL ? hook_state_name(hook->hook) : "stopped";
}

void
larder_hook_stats_visit(struct larder_hook *hook, larder_hook_stat_fn *visit, void *arg)
{
    if (hook != NULL && visit != NULL) {
        hook_stats(hook->hook, visit, arg);
    }
}

void
larder_hook_pause(struct larder_hook *hook)
{
    if (hook != NULL) {
        hook_pause(hook->hook);
    }
}

void
larder_hook_resume(struct larder_hook *hook)
{
    if (hook != NULL) {
        hook_resume(hook->hook);
    }
}

/* -- waiting ----------------------------------------------------------------------------------- */

/** Locking key: mutex. */
struct wait {
    pthread_mutex_t mutex;
    pthread_cond_t told_one;
    bool told;
    bool reached;
};

/** hook_wait_fn */
static void
tell(void *arg, bool reached)
{
    struct wait *wait = arg;
    (void)pthread_mutex_lock(&wait->mutex);
    wait->told = true;
    wait->reached = reached;
    (void)pthread_cond_signal(&wait->told_one);
    (void)pthread_mutex_unlock(&wait->mutex);
}

/** Waits to be told; the hook tells when the time is over, too. */
static void
wait_until_told(struct wait *wait)
{
    (void)pthread_mutex_lock(&wait->mutex);
    while (!wait->told) {
        (void)pthread_cond_wait(&wait->told_one, &wait->mutex);
    }
    (void)pthread_mutex_unlock(&wait->mutex);
}

enum larder_result
larder_hook_wait(struct larder_hook *hook, const char *gtid, uint32_t timeout_ms)
{
    struct wait wait = { .mutex = PTHREAD_MUTEX_INITIALIZER, .told_one = PTHREAD_COND_INITIALIZER };
    uint64_t ticket = 0;
    if (hook == NULL || gtid == NULL) {
        return LARDER_BAD_OPTION;
    }
    switch (hook_wait(hook->hook, gtid, strlen(gtid), timeout_ms, tell, &wait, &ticket)) {
    case HOOK_WAIT_REACHED:
        return LARDER_OK;
    case HOOK_WAIT_BAD:
        return LARDER_BAD_OPTION;
    case HOOK_WAIT_FULL:
        return LARDER_NO_MEMORY;
    case HOOK_WAIT_WAITING:
        break;
    }
    if (timeout_ms > 0) {
        wait_until_told(&wait);
    }
    hook_wait_cancel(hook->hook, ticket); /* behind it, nobody is in tell() */
    (void)pthread_cond_destroy(&wait.told_one);
    (void)pthread_mutex_destroy(&wait.mutex);
    return wait.reached ? LARDER_OK : LARDER_TIMEOUT;
}

void
larder_hook_stop(struct larder_hook **out)
{
    if (out == NULL || *out == NULL) {
        return;
    }
    struct larder_hook *hook = *out;
    struct larder *cache = hook->cache;
    const struct log_sink *before = log_set_sink(&hook->report.sink);
    hook_close(hook->hook);
    (void)log_set_sink(before);
    rules_destroy(hook->rules);
    free(hook);
    *out = NULL;
    /* release: pairs with larder_close() */
    atomic_fetch_sub_explicit(&cache->users, 1, memory_order_release);
}
