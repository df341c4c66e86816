#include "config.h"

#include "mysql/hook_priv.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* -- orders ------------------------------------------------------------------------------------ */

void
hook_acquire(struct hook *hook)
{
    lock_note_acquired(LOCK_RANK_HOOK);
    (void)pthread_mutex_lock(&hook->mutex);
}

void
hook_release(struct hook *hook)
{
    lock_note_released(LOCK_RANK_HOOK);
    (void)pthread_mutex_unlock(&hook->mutex);
}

void
hook_become(struct hook *hook, enum hook_state state)
{
    assert(hook_state_may(hook->state, state));
    if (state == HOOK_STREAMING || state == HOOK_PAUSED) {
        log_line("hook: %s", hook_state_text(state));
    }
    hook->state = state;
    (void)pthread_cond_broadcast(&hook->changed);
}

bool
hook_is_stopping(struct hook *hook)
{
    hook_acquire(hook);
    bool stopping = hook->stopping;
    hook_release(hook);
    return stopping;
}

static struct timespec
in_ms(uint32_t ms)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

bool
hook_sleep(struct hook *hook, uint32_t ms)
{
    struct timespec until = in_ms(ms);
    int waited = 0;
    hook_acquire(hook);
    while (!hook->stopping && !hook->paused && waited == 0) {
        waited = pthread_cond_timedwait(&hook->changed, &hook->mutex, &until);
    }
    bool on = !hook->stopping && !hook->paused;
    hook_release(hook);
    return on;
}

void
hook_tick(struct hook *hook)
{
    struct timespec until = in_ms(HOOK_TICK_MS);
    int waited = 0;
    hook_acquire(hook);
    while (!hook->stopping && waited == 0) {
        waited = pthread_cond_timedwait(&hook->changed, &hook->mutex, &until);
    }
    hook_release(hook);
}

static void
set_paused(struct hook *hook, bool paused)
{
    hook_acquire(hook);
    hook->paused = paused;
    (void)pthread_cond_broadcast(&hook->changed);
    hook_release(hook);
    if (paused) {
        link_break(&hook->source.link);
    }
}

void
hook_pause(struct hook *hook)
{
    set_paused(hook, true);
}

void
hook_resume(struct hook *hook)
{
    set_paused(hook, false);
}

const char *
hook_state_name(struct hook *hook)
{
    hook_acquire(hook);
    enum hook_state state = hook->state;
    hook_release(hook);
    return hook_state_text(state);
}

/* -- waiting for a transaction ----------------------------------------------------------------- */

enum hook_wait_result
hook_wait(struct hook *hook, const char *gtid, size_t gtid_len, uint32_t timeout_ms,
          hook_wait_fn *tell, void *arg, uint64_t *ticket)
{
    struct gtid_set target;
    enum hook_wait_result result = HOOK_WAIT_BAD;
    gtid_set_init(&target);
    if (gtid_set_parse(&target, (struct bytes){ (const uint8_t *)gtid, gtid_len }) != GTID_DONE ||
        target.family == GTID_NONE) {
        goto done;
    }
    lock_acquire(&hook->lock_position);
    enum gtid_family ours = hook->applied.gtids.family;
    bool reached = gtid_set_contains_set(&hook->applied.gtids, &target);
    lock_release(&hook->lock_position);
    if (ours != GTID_NONE && ours != target.family) {
        goto done;
    }
    if (reached) {
        result = HOOK_WAIT_REACHED;
    } else {
        /* The applier looks once more every IDLE_MS: between our look and the list it may pass. */
        uint64_t until_us = clock_monotonic_us() + (uint64_t)timeout_ms * 1000;
        result =
            waiters_add(&hook->waiters, &target, until_us, tell, arg, ticket) == WAITERS_WAITING
                ? HOOK_WAIT_WAITING
                : HOOK_WAIT_FULL;
    }

done:
    gtid_set_fini(&target);
    return result;
}

void
hook_wait_cancel(struct hook *hook, uint64_t ticket)
{
    waiters_cancel(&hook->waiters, ticket);
}

/* -- opening and closing ----------------------------------------------------------------------- */

static bool
open_actor(struct hook *hook, struct record_actor *actor)
{
    actor->cache = hook->cache;
    actor->thread = cache_thread_open(hook->cache);
    return actor->thread != NULL;
}

static void
close_thread(struct hook *hook, struct cache_thread **thread)
{
    if (*thread != NULL) {
        cache_thread_close(hook->cache, *thread);
        *thread = NULL;
    }
}

static void
free_hook(struct hook *hook)
{
    waiters_fini(&hook->waiters);
    close_thread(hook, &hook->arrival.thread);
    close_thread(hook, &hook->visible.thread);
    stream_destroy(hook->stream);
    fence_destroy(hook->fence);
    queue_destroy(hook->queue);
    source_fini(&hook->source);
    position_fini(&hook->applied);
    position_fini(&hook->reset);
    position_fini(&hook->from);
    free(hook->arrival.rule_ops);
    lock_fini(&hook->lock_position);
    (void)pthread_mutex_destroy(&hook->mutex);
    (void)pthread_cond_destroy(&hook->changed);
    free(hook);
    link_library_close();
}

static struct hook *
make_hook(const struct hook_options *options)
{
    struct hook *hook = calloc(1, sizeof(*hook));
    if (hook == NULL) {
        return NULL;
    }
    hook->rules = options->rules;
    hook->cache = options->cache;
    hook->distrusts_items = options->distrusts_items;
    rules_list_prefixes(hook->rules, &hook->prefixes);
    retry_init(&hook->retry, hook->rules->source.host_count);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&hook->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&hook->mutex, NULL);
    lock_init(&hook->lock_position, LOCK_RANK_HOOK_POSITION);
    position_init(&hook->applied);
    position_init(&hook->reset);
    position_init(&hook->from);
    source_init(&hook->source);
    uint64_t value_max = options->item_size_max / 2;
    struct stream_sink sink = hook_sink;
    sink.arg = hook;
    bool made = waiters_init(&hook->waiters);
    hook->queue = queue_create(HOOK_QUEUE_CAP);
    hook->fence = fence_create(&hook->rules->source);
    hook->stream = stream_create(
        hook->rules, value_max < RECORD_VALUE_MAX ? (size_t)value_max : RECORD_VALUE_MAX, &sink);
    hook->arrival.rule_ops = calloc(hook->rules->rule_count, sizeof(struct metric));
    made = open_actor(hook, &hook->arrival) && open_actor(hook, &hook->visible) && made;
    if (!made || hook->queue == NULL || hook->fence == NULL || hook->stream == NULL ||
        hook->arrival.rule_ops == NULL) {
        free_hook(hook);
        return NULL;
    }
    uint64_t now_us = clock_monotonic_us();
    atomic_init(&hook->heard_us, now_us);
    atomic_init(&hook->progress_us, now_us);
    return hook;
}

/** The threads get no signals: those are the server's. */
static bool
start_threads(struct hook *hook)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    static void *(*const mains[])(void *) = { hook_reader_main, hook_applier_main,
                                              hook_guard_main };
    pthread_t *const threads[] = { &hook->reader, &hook->applier, &hook->guard };
    while (hook->threads < 3 &&
           thread_start(threads[hook->threads], mains[hook->threads], hook) == 0) {
        hook->threads++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return hook->threads == 3;
}

/** Until the cache may be filled: what is stored from here on will be voided when it changes. */
static void
wait_for_start(struct hook *hook)
{
    const struct rules_source *source = &hook->rules->source;
    struct timespec until = in_ms(source->timeout_ms * 2);
    int waited = 0;
    hook_acquire(hook);
    while (hook->state != HOOK_STREAMING && !hook->all_tried && waited == 0) {
        waited = pthread_cond_timedwait(&hook->changed, &hook->mutex, &until);
    }
    if (hook->state != HOOK_STREAMING) {
        hook->all_tried = true; /* the guard's sign that nobody can be followed */
    }
    hook_release(hook);
}

enum hook_result
hook_open(const struct hook_options *options, struct hook **out, char *error)
{
    const struct rules_source *source = &options->rules->source;
    struct cache_holdoff_options holdoff = {
        .cells = HOOK_HOLDOFF_CELLS,
        .seconds = (source->holdoff_ms + 999) / 1000,
        .refuse = source->holdoff_mode == RULES_HOLDOFF_REFUSE,
    };
    *out = NULL;
#ifndef HAVE_HOOK
    snprintf(error, HOOK_ERROR_CAP, "mysql_hook: this larder is built without libmariadb");
    return HOOK_NOT_BUILT;
#endif
    if (!link_library_open()) {
        snprintf(error, HOOK_ERROR_CAP, "mysql_hook: libmariadb does not start");
        return HOOK_NO_RESOURCES;
    }
    struct hook *hook = make_hook(options);
    if (hook == NULL || !cache_holdoff_open(options->cache, &holdoff)) {
        if (hook != NULL) {
            free_hook(hook);
        }
        snprintf(error, HOOK_ERROR_CAP, "mysql_hook: out of memory");
        return HOOK_NO_RESOURCES;
    }
    if (!start_threads(hook)) {
        hook_close(hook);
        snprintf(error, HOOK_ERROR_CAP, "mysql_hook: no threads");
        return HOOK_NO_RESOURCES;
    }
    wait_for_start(hook);
    *out = hook;
    return HOOK_OK;
}

void
hook_close(struct hook *hook)
{
    hook_acquire(hook);
    hook->stopping = true;
    (void)pthread_cond_broadcast(&hook->changed);
    hook_release(hook);
    link_stop(&hook->source.link);
    stream_stop(hook->stream);
    fence_stop(hook->fence);
    queue_stop(hook->queue);
    pthread_t threads[] = { hook->reader, hook->applier, hook->guard };
    for (unsigned i = 0; i < hook->threads; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    uint64_t version = UINT64_MAX;
    hook_save(hook, &version);
    free_hook(hook);
}
