/* Statistics by key prefix, for `stats detail`.  Only keys that contain the delimiter have one.
 *
 * Threads: any; one lock, LOCK_RANK_PREFIX.  Nobody calls in here while settings.detail_enabled is
 * off, so that it then costs nothing.
 */
#ifndef LARDER_ADMIN_PREFIX_H
#define LARDER_ADMIN_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PREFIXES_MAX 65536u /* keys with further prefixes are not counted */

struct prefix_stats;

/** NULL without memory.  The table itself is allocated by the first key. */
struct prefix_stats *prefix_stats_create(char delimiter);
/** May be NULL. */
void prefix_stats_destroy(struct prefix_stats *prefixes);

/* `prefixes` may be NULL: nothing is counted. */
void prefix_count_get(struct prefix_stats *prefixes, const void *key, size_t key_len, bool hit);
void prefix_count_set(struct prefix_stats *prefixes, const void *key, size_t key_len);
void prefix_count_delete(struct prefix_stats *prefixes, const void *key, size_t key_len);
void prefix_stats_clear(struct prefix_stats *prefixes);

struct prefix_counts {
    const void *prefix; /* borrowed for the call */
    size_t prefix_len;  /* bytes; may be 0 */
    uint64_t gets;
    uint64_t hits;
    uint64_t sets;
    uint64_t deletes;
};
typedef void prefix_visit_fn(void *arg, const struct prefix_counts *counts);
/** Calls `visit` for each prefix, in no order, under the lock. */
void prefix_stats_visit(struct prefix_stats *prefixes, prefix_visit_fn *visit, void *arg);

#endif
