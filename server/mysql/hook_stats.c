/* The hook's figures. */
#include "config.h"

#include "mysql/hook_priv.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define VALUE_CAP    64u
#define BEHIND_MIN_S 2 /* the log's times are whole seconds */

struct out {
    hook_emit_fn *emit;
    void *arg;
};

static void
put(const struct out *out, const char *name, uint64_t value)
{
    char text[VALUE_CAP];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    out->emit(out->arg, name, text);
}

uint64_t
hook_lag_us(struct hook *hook)
{
    uint64_t now_us = clock_monotonic_us();
    uint64_t second = now_us / 1000000;
    uint64_t lag_us = 0;
    for (unsigned i = 0; i < HOOK_LAG_SLOTS; i++) {
        if (second - metric_get(&hook->lag_second[i]) < HOOK_LAG_SLOTS &&
            metric_get(&hook->lag_us[i]) > lag_us) {
            lag_us = metric_get(&hook->lag_us[i]);
        }
    }
    uint64_t progress_us = atomic_load_explicit(&hook->progress_us, memory_order_relaxed);
    if (queue_used(hook->queue) > 0 && now_us > progress_us && now_us - progress_us > lag_us) {
        lag_us = now_us - progress_us; /* what waits now has waited longer */
    }
    return lag_us;
}

/** Positions can be long: they go out by themselves. */
static void
put_positions(struct hook *hook, const struct out *out)
{
    struct position position;
    position_init(&position);
    for (unsigned i = 0; i < 2; i++) {
        bool copied = i == 0 && stream_received(hook->stream, &position);
        if (i == 1) {
            lock_acquire(&hook->lock_position);
            copied = position_copy(&position, &hook->applied);
            lock_release(&hook->lock_position);
        }
        size_t cap = 1024 + position.gtids.count * 2 * GTID_TEXT_MAX;
        char *text = copied ? malloc(cap) : NULL;
        if (text != NULL) {
            struct writer writer_of_text = writer(text, cap - 1);
            if (position.by_gtid) {
                gtid_set_write(&position.gtids, &writer_of_text);
            } else if (position.is_known) {
                writer_put_text(&writer_of_text, position.file);
                writer_put_char(&writer_of_text, ':');
                writer_put_number(&writer_of_text, position.offset, 1);
            }
            text[writer_of_text.len] = '\0';
            out->emit(out->arg, i == 0 ? "hook_gtid_received" : "hook_gtid_applied", text);
            free(text);
        }
    }
    position_fini(&position);
}

static void
put_connection(struct hook *hook, const struct out *out)
{
    hook_acquire(hook);
    enum hook_state state = hook->state;
    char source[RULES_ERROR_MAX];
    snprintf(source, sizeof(source), "%s", hook->source_name);
    hook_release(hook);
    out->emit(out->arg, "hook_state", hook_state_text(state));
    out->emit(out->arg, "hook_source", source[0] != '\0' ? source : "-");
    put(out, "hook_degraded", atomic_load_explicit(&hook->policy_on, memory_order_relaxed));
    put_positions(hook, out);
    put(out, "hook_lag_us", hook_lag_us(hook));
    uint32_t event_s = stream_time(hook->stream);
    int64_t behind_s =
        event_s != 0 && state == HOOK_CATCHING_UP ? (int64_t)time(NULL) - event_s : 0;
    put(out, "hook_behind_s", behind_s >= BEHIND_MIN_S ? (uint64_t)behind_s : 0);
    uint64_t p50_us;
    uint64_t p99_us;
    fence_times(hook->fence, &p50_us, &p99_us);
    put(out, "hook_fence_us_p50", p50_us);
    put(out, "hook_fence_us_p99", p99_us);
    put(out, "hook_fence_timeouts", fence_timeouts(hook->fence));
    put(out, "hook_reconnects", metric_get(&hook->reconnects));
    put(out, "hook_duplicate_ids", metric_get(&hook->duplicates));
    put(out, "hook_gaps", metric_get(&hook->gaps));
    put(out, "hook_save_errors", metric_get(&hook->save_errors));
    uint64_t heard_us = atomic_load_explicit(&hook->heard_us, memory_order_relaxed);
    put(out, "hook_heartbeat_age_ms", (clock_monotonic_us() - heard_us) / 1000);
}

static uint64_t
both(const struct metric *arrival, const struct metric *visible)
{
    return metric_get(arrival) + metric_get(visible);
}

static void
put_work(struct hook *hook, const struct out *out)
{
    const struct stream_counts *counts = stream_counts(hook->stream);
    const struct record_counts *arrival = &hook->arrival.counts;
    const struct record_counts *visible = &hook->visible.counts;
    uint64_t shortened;
    uint64_t refused;
    cache_holdoff_stats(hook->cache, &shortened, &refused);
    put(out, "hook_events", metric_get(&counts->events));
    put(out, "hook_transactions", metric_get(&counts->transactions));
    put(out, "hook_rows", metric_get(&counts->rows));
    put(out, "hook_rows_matched", metric_get(&counts->rows_matched));
    put(out, "hook_keys_invalid", metric_get(&counts->keys_invalid));
    put(out, "hook_deletes", both(&arrival->deletes, &visible->deletes));
    put(out, "hook_delete_hits", both(&arrival->delete_hits, &visible->delete_hits));
    put(out, "hook_stale_marks", both(&arrival->stale_marks, &visible->stale_marks));
    put(out, "hook_sets", both(&arrival->sets, &visible->sets));
    put(out, "hook_sets_downgraded", both(&arrival->sets_downgraded, &visible->sets_downgraded));
    put(out, "hook_holdoff_shortened", shortened);
    put(out, "hook_holdoff_refused", refused);
    put(out, "hook_token_voided", both(&arrival->token_voided, &visible->token_voided));
    put(out, "hook_epoch_bumps", both(&arrival->epoch_bumps, &visible->epoch_bumps));
    put(out, "hook_ddl", metric_get(&counts->ddl));
    put(out, "hook_stmt_dml", metric_get(&counts->stmt_dml));
    put(out, "hook_cascade", metric_get(&counts->cascade));
    put(out, "hook_incidents", metric_get(&counts->incidents));
    put(out, "hook_unknown_events", metric_get(&counts->unknown_events));
    put(out, "hook_decode_errors", metric_get(&counts->decode_errors));
    put(out, "hook_crc_errors", metric_get(&counts->crc_errors));
    /* done before added: never below 0 */
    uint64_t done = metric_get(&hook->queue_keys_done);
    uint64_t added = metric_get(&hook->queue_keys);
    put(out, "hook_queue_keys", added > done ? added - done : 0);
    put(out, "hook_queue_bytes", queue_used(hook->queue));
}

void
hook_stats(struct hook *hook, hook_emit_fn *emit, void *arg)
{
    struct out out = { emit, arg };
    put_connection(hook, &out);
    put_work(hook, &out);
    for (uint32_t t = 0; t < hook->rules->table_count; t++) {
        for (uint32_t i = 0; i < hook->rules->tables[t].rule_count; i++) {
            const struct rule *rule = &hook->rules->tables[t].rules[i];
            char name[VALUE_CAP];
            snprintf(name, sizeof(name), "hook_rule_%u_line_%u_keys", rule->index, rule->line);
            put(&out, name, metric_get(&hook->arrival.rule_ops[rule->index]));
        }
    }
}
