/* stats items, stats slabs, stats sizes: our size classes under the names that tools know.
 *
 *     number_hot         the small queue: items not yet proven
 *     number_warm        0
 *     number_cold        the main queue
 *     number_temp        0; temporary items are not kept apart
 *     age_hot, age_warm  0; the queues have no order of use
 *     age                idle seconds of the item evicted last, or that the hand met last
 *     crawler_reclaimed  dead items whose memory cache_maintain() took back
 *     hits_to_cold       all hits of the class; they are not counted by queue, the others are 0
 *     delete_hits        with the old values that a failed set took with it
 *     free_chunks_end, tailrepairs, lrutail_reflocked, moves_*
 *                        0; no such thing
 */
#include "config.h"

#include "admin/stats.h"
#include "admin/stats_priv.h"

#include "base/assert.h"
#include "engine/stats.h"

#include <inttypes.h>
#include <stdio.h>

static void
items_of_class(const struct settings *settings, const struct stats_out *out,
               const struct cache_class_stats *class)
{
    stats_put_u64(out, "number", class->items);
    stats_put_u64(out, "number_hot", class->items_small);
    stats_put_u64(out, "number_warm", 0);
    stats_put_u64(out, "number_cold",
                  class->items > class->items_small ? class->items - class->items_small : 0);
    if (settings->temp_lru) {
        stats_put_u64(out, "number_temp", 0);
    }
    stats_put_u64(out, "age_hot", 0);
    stats_put_u64(out, "age_warm", 0);
    stats_put_u64(out, "age", class->age_s);
    stats_put_u64(out, "mem_requested", class->mem_requested);
    stats_put_u64(out, "evicted", class->evicted);
    stats_put_u64(out, "evicted_nonzero", class->evicted_nonzero);
    stats_put_u64(out, "evicted_time", class->evicted_age_s);
    stats_put_u64(out, "outofmemory", class->outofmemory);
    stats_put_u64(out, "tailrepairs", 0);
    stats_put_u64(out, "reclaimed", class->reclaimed);
    stats_put_u64(out, "expired_unfetched", class->expired_unfetched);
    stats_put_u64(out, "evicted_unfetched", class->evicted_unfetched);
    if (settings->lru_segmented) {
        stats_put_u64(out, "evicted_active", class->evicted_active);
    }
    stats_put_u64(out, "crawler_reclaimed", class->swept);
    stats_put_u64(out, "crawler_items_checked", 0);
    stats_put_u64(out, "lrutail_reflocked", 0);
    if (settings->lru_maintainer) {
        stats_put_u64(out, "moves_to_cold", 0);
        stats_put_u64(out, "moves_to_warm", 0);
        stats_put_u64(out, "moves_within_lru", 0);
        stats_put_u64(out, "direct_reclaims", class->evicted);
        stats_put_u64(out, "hits_to_hot", 0);
        stats_put_u64(out, "hits_to_warm", 0);
        stats_put_u64(out, "hits_to_cold", class->get_hits);
        stats_put_u64(out, "hits_to_temp", 0);
    }
}

void
stats_items(struct server_stats *stats, stat_emit_fn *emit, void *arg)
{
    struct cache_stats cache;
    cache_stats_read(stats->cache, &cache);
    assert(cache.classes <= CACHE_CLASSES_MAX);
    for (unsigned id = 1; id <= cache.classes; id++) {
        if (cache.of_class[id].items > 0) {
            char prefix[24];
            snprintf(prefix, sizeof(prefix), "items:%u:", id);
            struct stats_out out = { emit, arg, prefix };
            items_of_class(stats->settings, &out, &cache.of_class[id]);
        }
    }
}

static void
slabs_of_class(const struct stats_out *out, const struct cache_class_stats *class)
{
    stats_put_u64(out, "chunk_size", class->chunk_size);
    stats_put_u64(out, "chunks_per_page", class->chunks_per_page);
    stats_put_u64(out, "total_pages", class->pages);
    stats_put_u64(out, "total_chunks", class->pages * class->chunks_per_page);
    stats_put_u64(out, "used_chunks", class->used_chunks);
    stats_put_u64(out, "free_chunks", class->free_chunks);
    stats_put_u64(out, "free_chunks_end", 0);
    stats_put_u64(out, "get_hits", class->get_hits);
    stats_put_u64(out, "cmd_set", class->set_cmds);
    stats_put_u64(out, "delete_hits", class->delete_hits);
    stats_put_u64(out, "incr_hits", class->incr_hits);
    stats_put_u64(out, "decr_hits", class->decr_hits);
    stats_put_u64(out, "cas_hits", class->cas_hits);
    stats_put_u64(out, "cas_badval", class->cas_badval);
    stats_put_u64(out, "touch_hits", class->touch_hits);
}

void
stats_slabs(struct server_stats *stats, stat_emit_fn *emit, void *arg)
{
    struct cache_stats cache;
    cache_stats_read(stats->cache, &cache);
    assert(cache.classes <= CACHE_CLASSES_MAX);
    unsigned active = 0;
    for (unsigned id = 1; id <= cache.classes; id++) {
        if (cache.of_class[id].pages > 0) {
            char prefix[16];
            snprintf(prefix, sizeof(prefix), "%u:", id);
            struct stats_out out = { emit, arg, prefix };
            slabs_of_class(&out, &cache.of_class[id]);
            active++;
        }
    }
    struct stats_out out = { emit, arg, "" };
    stats_put_u64(&out, "active_slabs", active);
    stats_put_u64(&out, "total_malloced", cache.pages_bytes);
}

/** cache_size_fn */
static void
put_size(void *arg, uint64_t size, uint64_t items)
{
    char name[24];
    snprintf(name, sizeof(name), "%" PRIu64, size);
    stats_put_u64(arg, name, items);
}

void
stats_sizes(struct server_stats *stats, stat_emit_fn *emit, void *arg)
{
    struct stats_out out = { emit, arg, "" };
    if (!cache_visit_sizes(stats->cache, put_size, &out)) {
        stats_put(&out, "sizes_status", "disabled");
    }
}
