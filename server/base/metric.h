/* Counters with one writing thread and any number of readers: no locked instruction to count. */
#ifndef LARDER_BASE_METRIC_H
#define LARDER_BASE_METRIC_H

#include <stdatomic.h>
#include <stdint.h>

struct metric {
    _Atomic uint64_t value;
};

/** Adds; only the counter's one writer may call it. */
static inline void
metric_add(struct metric *metric, uint64_t n)
{
    /* relaxed: a single number, ordered with nothing; one writer, so load and store need not be one
     * step. */
    uint64_t value = atomic_load_explicit(&metric->value, memory_order_relaxed);
    atomic_store_explicit(&metric->value, value + n, memory_order_relaxed);
}

/** Takes away from a level; only its one writer may call it. */
static inline void
metric_sub(struct metric *metric, uint64_t n)
{
    metric_add(metric, (uint64_t)0 - n); /* modulo 2^64 */
}

/** Adds; any thread may call it. */
static inline void
metric_add_shared(struct metric *metric, uint64_t n)
{
    atomic_fetch_add_explicit(&metric->value, n, memory_order_relaxed); /* relaxed: as above */
}

static inline uint64_t
metric_get(const struct metric *metric)
{
    return atomic_load_explicit(&metric->value, memory_order_relaxed); /* relaxed: as above */
}

static inline void
metric_set(struct metric *metric, uint64_t value)
{
    atomic_store_explicit(&metric->value, value, memory_order_relaxed); /* relaxed: as above */
}

#endif
