/* The applier: waits until what the queue holds is visible, then does it for good. */
#include "config.h"

#include "mysql/hook_priv.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define IDLE_MS     100u
#define RELEASE_MAX 256u /* records that are done before the producer gets their room */

static void
note_lag(struct hook *hook, uint64_t arrived_us, uint64_t now_us)
{
    uint64_t second = now_us / 1000000;
    unsigned slot = (unsigned)(second % HOOK_LAG_SLOTS);
    uint64_t lag_us = now_us - arrived_us;
    if (metric_get(&hook->lag_second[slot]) != second) {
        metric_set(&hook->lag_us[slot], lag_us);
        metric_set(&hook->lag_second[slot], second);
    } else if (metric_get(&hook->lag_us[slot]) < lag_us) {
        metric_set(&hook->lag_us[slot], lag_us);
    }
}

static void
take_reset(struct hook *hook, const struct record_end *end)
{
    if (hook->reset_space == end->reset_space && !position_copy(&hook->applied, &hook->reset)) {
        log_line("hook: out of memory for the position");
    }
}

/** A transaction is done: it counts as applied. */
static void
end_transaction(struct hook *hook, const struct record_end *end)
{
    lock_acquire(&hook->lock_position);
    if (end->reset_space != 0) {
        take_reset(hook, end);
    } else {
        struct position *applied = &hook->applied;
        if (end->file_len > 0) {
            position_set_file(applied, (struct bytes){ (const uint8_t *)end->file, end->file_len },
                              0);
        }
        applied->offset = end->end_offset;
        if (end->has_gtid && gtid_set_add(&applied->gtids, &end->point.gtid) != GTID_DONE) {
            log_line("hook: the applied GTIDs are too many, or not of one family");
        }
    }
    hook->applied_version++;
    lock_release(&hook->lock_position);
    note_lag(hook, end->point.arrived_us, clock_monotonic_us());
}

static void
now_streaming(struct hook *hook, uint32_t space)
{
    hook_acquire(hook);
    /* relaxed: a newer connection is set before its state is, under the mutex */
    if (hook->state == HOOK_CATCHING_UP &&
        atomic_load_explicit(&hook->space_now, memory_order_relaxed) == space) {
        hook_become(hook, HOOK_STREAMING);
    }
    hook_release(hook);
}

/**
 * Gathers what is to be waited for; the end of what that covers.
 *
 * A CAUGHT_UP stands for all that the server had when the connection began, as something from
 * before this space does.
 */
static uint64_t
gather(struct hook *hook, uint64_t begin, uint64_t end)
{
    uint64_t at = begin;
    size_t len;
    fence_begin(hook->fence);
    for (;;) {
        uint64_t before = at;
        const uint8_t *record = queue_next(hook->queue, &at, end, &len);
        if (record == NULL) {
            return end;
        }
        if (*record == RECORD_BEGIN) {
            const struct record_begin *begun = (const void *)record;
            if (!fence_add(hook->fence, &begun->point)) {
                return before;
            }
        } else if (*record == RECORD_CAUGHT_UP) {
            struct record_point all = { .space = 0, .arrived_us = clock_monotonic_us() };
            if (!fence_add(hook->fence, &all)) {
                return before;
            }
        }
    }
}

static void
apply_record(struct hook *hook, const uint8_t *record)
{
    switch ((enum record_kind) * record) {
    case RECORD_DELETE:
    case RECORD_STALE:
    case RECORD_SET:
    case RECORD_FLUSH:
        record_apply_visible(&hook->visible, (const void *)record);
        metric_add(&hook->queue_keys_done, 1);
        return;
    case RECORD_END:
        end_transaction(hook, (const void *)record);
        return;
    case RECORD_CAUGHT_UP: {
        const struct record_note *note = (const void *)record;
        now_streaming(hook, note->space);
        return;
    }
    case RECORD_BEGIN:
        return;
    }
    assert(false && "no such record");
}

static void
apply_until(struct hook *hook, uint64_t begin, uint64_t end)
{
    uint64_t at = begin;
    size_t len;
    unsigned done = 0;
    const uint8_t *record;
    while ((record = queue_next(hook->queue, &at, end, &len)) != NULL) {
        apply_record(hook, record);
        if (++done % RELEASE_MAX == 0) {
            queue_release(hook->queue, at);
            atomic_store_explicit(&hook->progress_us, clock_monotonic_us(), memory_order_relaxed);
        }
    }
    queue_release(hook->queue, end);
}

static void
tell_waiters(struct hook *hook)
{
    /* relaxed: one who comes later looks at `applied` himself */
    if (atomic_load_explicit(&hook->waiters.hint, memory_order_relaxed) == 0) {
        return;
    }
    struct position applied;
    position_init(&applied);
    lock_acquire(&hook->lock_position);
    bool copied = position_copy(&applied, &hook->applied);
    lock_release(&hook->lock_position);
    if (copied) {
        waiters_reach(&hook->waiters, &applied.gtids);
    }
    position_fini(&applied);
}

/** Waits for the fence; false once it was stopped. */
static bool
pass_fence(struct hook *hook)
{
    for (;;) {
        switch (fence_wait(hook->fence)) {
        case FENCE_PASSED:
            return true;
        case FENCE_NOT_YET:
        case FENCE_LOST:
            break;
        case FENCE_STOPPED:
            return false;
        }
    }
}

void *
hook_applier_main(void *arg)
{
    struct hook *hook = arg;
    uint64_t at = queue_begin(hook->queue);
    uint64_t end = at;
    for (;;) {
        if (at == end) {
            /* relaxed: for the guard */
            atomic_store_explicit(&hook->progress_us, clock_monotonic_us(), memory_order_relaxed);
            enum queue_result waited = queue_wait(hook->queue, &end, IDLE_MS);
            if (waited == QUEUE_STOPPED) {
                return NULL;
            }
            if (waited == QUEUE_TIMEOUT) {
                tell_waiters(hook);
                continue;
            }
        }
        uint64_t covered = gather(hook, at, end);
        if (!pass_fence(hook)) {
            return NULL;
        }
        apply_until(hook, at, covered);
        at = covered;
        atomic_store_explicit(&hook->progress_us, clock_monotonic_us(), memory_order_relaxed);
        tell_waiters(hook);
    }
}
