/* What a connection sends next. */
#include "config.h"

#include "bench/load/worker_priv.h"

#include "bench/load/random.h"

#include <assert.h>

/* -- trace ------------------------------------------------------------------------------------- */

static bool
trace_has_more(const struct conn *conn)
{
    return conn->trace_next < conn->worker->workload->first[conn->number + 1];
}

/**
 * Whether the next request's object is not on its way: its requests are run one after the other, as
 * a get's miss brings a set, which the next get must find.
 */
static bool
trace_ready(const struct conn *conn)
{
    if (!trace_has_more(conn)) {
        return false;
    }
    const struct workload *workload = conn->worker->workload;
    const struct trace_request *requests = workload->trace.requests;
    uint32_t object = requests[workload->places[conn->trace_next]].object;
    unsigned cap = conn->worker->options->pipeline;
    for (uint32_t i = 0; i < conn->count; i++) {
        if (requests[conn->numbers[(conn->head + i) % cap]].object == object) {
            return false;
        }
    }
    return true;
}

static void
trace_take(struct conn *conn, struct plan *plan)
{
    const struct workload *workload = conn->worker->workload;
    uint64_t number = workload->places[conn->trace_next++];
    plan->keys = 1;
    plan->numbers[0] = number;
    switch ((enum trace_op)workload->trace.requests[number].op) {
    case TRACE_GET:
        plan->op = LOAD_GET;
        return;
    case TRACE_SET:
        plan->op = LOAD_SET;
        return;
    case TRACE_DELETE:
        plan->op = LOAD_DELETE;
        return;
    }
    __builtin_unreachable();
}

/* -- all --------------------------------------------------------------------------------------- */

bool
plan_ready(const struct conn *conn)
{
    const struct worker *worker = conn->worker;
    switch (worker->phase) {
    case PHASE_FILL:
        return conn->fill_next < worker->options->keys.count;
    case PHASE_RUN:
        return conn->refill_count > 0 || !workload_is_trace(worker->workload) || trace_ready(conn);
    case PHASE_DRAIN:
        return false;
    }
    __builtin_unreachable();
}

static void
take_refill(struct conn *conn, struct plan *plan)
{
    const struct options *options = conn->worker->options;
    plan->op = LOAD_SET;
    plan->keys = 1;
    plan->numbers[0] = conn->refills[conn->refill_head];
    conn->refill_head = (conn->refill_head + 1) % (options->pipeline * options->keys_per_get);
    conn->refill_count--;
    conn->worker->refills--;
}

static void
take_draw(struct worker *worker, struct plan *plan)
{
    const struct options *options = worker->options;
    bool set = options->set_share > 0.0 &&
               random_fraction(random_next(&worker->draws.random)) < options->set_share;
    plan->op = set ? LOAD_SET : LOAD_GET;
    plan->keys = set ? 1 : options->keys_per_get;
    for (unsigned i = 0; i < plan->keys; i++) {
        plan->numbers[i] = keys_draw(&options->keys, &worker->draws);
    }
}

void
plan_next(struct conn *conn, struct plan *plan)
{
    struct worker *worker = conn->worker;
    assert(plan_ready(conn));
    if (worker->phase == PHASE_FILL) {
        plan->op = LOAD_SET;
        plan->keys = 1;
        plan->numbers[0] = conn->fill_next;
        conn->fill_next += worker->options->connections;
    } else if (conn->refill_count > 0) {
        take_refill(conn, plan);
    } else if (workload_is_trace(worker->workload)) {
        trace_take(conn, plan);
    } else {
        take_draw(worker, plan);
    }
}

bool
plan_finished(const struct worker *worker)
{
    if (worker->in_flight > 0 || (worker->phase == PHASE_RUN && worker->refills > 0) ||
        (worker->phase == PHASE_RUN && !workload_is_trace(worker->workload))) {
        return false;
    }
    for (unsigned i = 0; i < worker->conns_count; i++) {
        const struct conn *conn = &worker->conns[i];
        if (conn->state == CONN_READY && plan_ready(conn)) {
            return false;
        }
    }
    return true;
}
