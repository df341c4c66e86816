/* The guard: looks at the other two now and then, and keeps time. */
#include "config.h"

#include "mysql/hook_priv.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>

/** Half-open connections are silent: a server that lives sends heartbeats. */
static void
break_silence(struct hook *hook, uint64_t now_us)
{
    uint64_t timeout_us = (uint64_t)hook->rules->source.timeout_ms * 1000;
    /* relaxed: single values; a look that comes too early sees them at the next tick */
    uint64_t since_us = atomic_load_explicit(&hook->read_since_us, memory_order_relaxed);
    if (since_us != 0 && now_us > since_us && now_us - since_us > timeout_us) {
        link_break(&hook->source.link);
    }
}

/** Whether the cache is as fresh as promised. */
static bool
is_healthy(struct hook *hook, uint64_t now_us)
{
    hook_acquire(hook);
    enum hook_state state = hook->state;
    hook_release(hook);
    uint64_t progress_us = atomic_load_explicit(&hook->progress_us, memory_order_relaxed);
    uint64_t grace_us = (uint64_t)hook->rules->source.grace_ms * 1000;
    bool is_stuck =
        now_us > progress_us && now_us - progress_us > grace_us + 1000 * HOOK_TICK_MS * 4;
    return state == HOOK_STREAMING && !is_stuck;
}

static void
set_bypass(struct hook *hook, bool on)
{
    for (uint32_t i = 0; i < hook->prefixes.count; i++) {
        const struct rules_prefix *prefix = &hook->prefixes.at[i];
        if (!cache_bypass_prefix(hook->cache, prefix->text, prefix->len, on)) {
            log_line("hook: too many prefixes to bypass: flushes in place of it");
            cache_flush(hook->cache, cache_now(hook->cache));
            return;
        }
    }
}

static void
set_policy(struct hook *hook, bool on)
{
    static const char *const what[] = { "are bypassed", "are kept, and may be stale",
                                        "have been flushed" };
    enum rules_on_disconnect policy = hook->rules->source.on_disconnect;
    /* relaxed: for display */
    atomic_store_explicit(&hook->policy_on, on, memory_order_relaxed);
    switch (policy) {
    case RULES_DISCONNECT_BYPASS:
        set_bypass(hook, on);
        break;
    case RULES_DISCONNECT_KEEP:
        break;
    case RULES_DISCONNECT_FLUSH:
        for (uint32_t i = 0; on && i < hook->prefixes.count; i++) {
            const struct rules_prefix *prefix = &hook->prefixes.at[i];
            if (!cache_flush_prefix(hook->cache, prefix->text, prefix->len)) {
                cache_flush(hook->cache, cache_now(hook->cache));
            }
        }
        break;
    }
    if (on) {
        log_line("hook: no changes are seen: the keys of the rules %s", what[policy]);
    } else {
        log_line("hook: all changes are seen again");
    }
}

void
hook_save(struct hook *hook, uint64_t *version)
{
    const char *path = hook->rules->source.state_file;
    struct position applied;
    if (path == NULL) {
        return;
    }
    position_init(&applied);
    lock_acquire(&hook->lock_position);
    bool changed = hook->applied_version != *version && hook->applied.is_known;
    uint64_t now = hook->applied_version;
    changed = changed && position_copy(&applied, &hook->applied);
    lock_release(&hook->lock_position);
    if (changed) {
        if (state_file_write(path, &applied) == STATE_FILE_OK) {
            *version = now;
            metric_set(&hook->save_failing, 0);
        } else {
            if (metric_get(&hook->save_failing) == 0) {
                log_line("hook: %s: the position cannot be saved: %s", path, strerror(errno));
            }
            metric_set(&hook->save_failing, 1);
            metric_add(&hook->save_errors, 1);
        }
    }
    position_fini(&applied);
}

void *
hook_guard_main(void *arg)
{
    struct hook *hook = arg;
    uint64_t saved_us = clock_monotonic_us();
    /* When it was last.  Seen between two looks alone it counts from the start: the grace time runs
     * in any case. */
    uint64_t healthy_us = saved_us;
    bool seen_healthy = false;
    uint64_t saved_version = 0;
    bool policy_on = false;
    for (;;) {
        hook_acquire(hook);
        bool stopping = hook->stopping;
        bool must_break = hook->paused && hook->state != HOOK_PAUSED;
        bool all_tried = hook->all_tried;
        hook_release(hook);
        if (stopping) {
            hook_save(hook, &saved_version);
            return NULL;
        }
        uint64_t now_us = clock_monotonic_us();
        if (must_break) {
            link_break(&hook->source.link);
        }
        break_silence(hook, now_us);
        waiters_expire(&hook->waiters, now_us);
        if (is_healthy(hook, now_us)) {
            healthy_us = now_us;
            seen_healthy = true;
            if (policy_on) {
                policy_on = false;
                set_policy(hook, false);
            }
        } else if (!policy_on &&
                   ((!seen_healthy && all_tried) ||
                    now_us - healthy_us > (uint64_t)hook->rules->source.grace_ms * 1000)) {
            policy_on = true;
            set_policy(hook, true);
        }
        if (now_us - saved_us >= HOOK_SAVE_US) {
            saved_us = now_us;
            hook_save(hook, &saved_version);
        }
        hook_tick(hook);
    }
}
