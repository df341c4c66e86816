/* Shared by stats.c and stats_engine.c: pairs of a name and a formatted value. */
#ifndef LARDER_ADMIN_STATS_PRIV_H
#define LARDER_ADMIN_STATS_PRIV_H

#include "admin/stats.h"

#include <stdbool.h>

/** Where pairs go. */
struct stats_out {
    stat_emit_fn *emit;
    void *arg;
    const char *prefix; /* put before each name */
};

void stats_put(const struct stats_out *out, const char *name, const char *value);
void stats_put_u64(const struct stats_out *out, const char *name, uint64_t value);
/** At most 255 bytes of value. */
void stats_put_format(const struct stats_out *out, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** "yes" or "no" */
void stats_put_bool(const struct stats_out *out, const char *name, bool value);

#endif
