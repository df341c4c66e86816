/*
 * The page /metrics: statistics as Prometheus reads them.
 *
 * Pairs of `stats`, `stats settings`, `stats items`, `stats slabs` become what memcached_exporter
 * makes of them, so that its dashboards and alerts work unchanged; those of `stats hook` keep their
 * names, those of `stats larder` begin with larder_.
 *
 * Source: contract 5.4; Prometheus' text format 0.0.4.
 */
#ifndef LARDER_ADMIN_METRICS_H
#define LARDER_ADMIN_METRICS_H

#include "admin/stats.h"

#include <stddef.h>

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/** Where a pair comes from. */
enum metrics_group {
    METRICS_GENERAL,
    METRICS_SETTINGS,
    METRICS_ITEMS,
    METRICS_SLABS,
    METRICS_LARDER,
    METRICS_HOOK,
};

/** A page in the making. */
struct metrics;

/** NULL without memory. */
struct metrics *metrics_create(void);
/** Takes one pair of `stats`.  One that is no metric, or no number where there should be one, adds
 * nothing. */
void metrics_take(struct metrics *metrics, enum metrics_group group, const char *name,
                  const char *value);
/**
 * The page, in the heap; the caller's to free().  Ends `metrics`.
 *
 * Returns NULL without memory.
 */
char *metrics_finish(struct metrics **metrics, size_t *len);

/**
 * The page as of now, in the heap; the caller's to free().
 *
 * Returns NULL without memory.  Threads: any.
 */
char *metrics_page(struct server_stats *stats, size_t *len);

#endif
