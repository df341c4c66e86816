/* Looking at a cache: figures as a struct and by name, and the walk over all items. */
#include "config.h"

#include "embed/larder_priv.h"

#include "base/assert.h"
#include "engine/stats.h"

#include <stdlib.h>
#include <string.h>

/* -- figures ----------------------------------------------------------------------------------- */

/** The engine's figures, to be freed: some 25 KiB, too much for the stacks that some hosts give
 * their threads.  NULL without heap. */
static struct cache_stats *
read_stats(struct larder *cache)
{
    struct cache_stats *stats = malloc(sizeof(*stats));
    if (stats != NULL) {
        cache_stats_read(cache->cache, stats);
    }
    return stats;
}

static uint64_t
views_held(const struct larder *cache)
{
    return atomic_load_explicit(&cache->views, memory_order_relaxed); /* relaxed: a figure */
}

enum larder_result
larder_stats(struct larder *cache, struct larder_stats *stats)
{
    if (cache == NULL || stats == NULL || stats->version != LARDER_STATS_VERSION) {
        return LARDER_BAD_OPTION;
    }
    struct cache_stats *engine = read_stats(cache);
    if (engine == NULL) {
        return LARDER_SYSTEM;
    }
    stats->items = engine->items;
    stats->bytes = engine->bytes;
    stats->memory_used = engine->memory_used;
    stats->memory_limit = engine->memory_limit;
    stats->index_bytes = engine->index_bytes;
    stats->get_hits = engine->sum.get_hits;
    stats->get_misses = engine->get_misses;
    stats->stores = engine->items_total;
    stats->evictions = engine->sum.evicted;
    stats->expired = engine->sum.reclaimed + engine->sum.swept;
    stats->views = views_held(cache);
    free(engine);
    return LARDER_OK;
}

/** Where a named figure lies. */
struct named {
    const char *name;
    size_t offset; /* of a uint64_t in struct cache_stats */
};

#define NAMED(name, member)                        \
    {                                              \
        name, offsetof(struct cache_stats, member) \
    }
static const struct named names[] = {
    NAMED("curr_items", items),
    NAMED("total_items", items_total),
    NAMED("bytes", bytes),
    NAMED("limit_maxbytes", memory_limit),
    NAMED("memory_used", memory_used),
    NAMED("hash_bytes", index_bytes),
    NAMED("pages_bytes", pages_bytes),
    NAMED("slab_global_page_pool", pages_free),
    NAMED("slabs_moved", pages_moved),
    NAMED("slab_reassign_rescues", items_rescued),
    NAMED("get_hits", sum.get_hits),
    NAMED("get_misses", get_misses),
    NAMED("get_expired", get_expired),
    NAMED("get_flushed", get_flushed),
    NAMED("cmd_set", sum.set_cmds),
    NAMED("delete_hits", sum.delete_hits),
    NAMED("delete_misses", delete_misses),
    NAMED("incr_hits", sum.incr_hits),
    NAMED("incr_misses", incr_misses),
    NAMED("decr_hits", sum.decr_hits),
    NAMED("decr_misses", decr_misses),
    NAMED("cas_hits", sum.cas_hits),
    NAMED("cas_misses", cas_misses),
    NAMED("cas_badval", sum.cas_badval),
    NAMED("touch_hits", sum.touch_hits),
    NAMED("touch_misses", touch_misses),
    NAMED("store_too_large", store_too_large),
    NAMED("store_no_memory", store_no_memory),
    NAMED("evictions", sum.evicted),
    NAMED("evicted_unfetched", sum.evicted_unfetched),
    NAMED("evicted_active", sum.evicted_active),
    NAMED("expired_unfetched", sum.expired_unfetched),
    NAMED("reclaimed", sum.reclaimed),
    NAMED("crawler_reclaimed", sum.swept),
    NAMED("crawler_items_checked", chunks_checked),
    NAMED("ghost_hits", ghost_hits),
};
#undef NAMED
#define NAMES_COUNT (sizeof(names) / sizeof(names[0]))
#define VIEWS_NAME  "views"

static uint64_t
figure(const struct cache_stats *stats, const struct named *named)
{
    uint64_t value;
    memcpy(&value, (const uint8_t *)stats + named->offset, sizeof(value));
    return value;
}

enum larder_result
larder_stats_visit(struct larder *cache, larder_stat_fn *visit, void *arg)
{
    if (cache == NULL || visit == NULL) {
        return LARDER_BAD_OPTION;
    }
    struct cache_stats *stats = read_stats(cache);
    if (stats == NULL) {
        return LARDER_SYSTEM;
    }
    for (size_t i = 0; i < NAMES_COUNT; i++) {
        visit(arg, names[i].name, figure(stats, &names[i]));
    }
    visit(arg, VIEWS_NAME, views_held(cache));
    free(stats);
    return LARDER_OK;
}

enum larder_result
larder_stat(struct larder *cache, const char *name, uint64_t *value)
{
    if (cache == NULL || name == NULL || value == NULL) {
        return LARDER_BAD_OPTION;
    }
    if (strcmp(name, VIEWS_NAME) == 0) {
        *value = views_held(cache);
        return LARDER_OK;
    }
    size_t at = 0;
    while (at < NAMES_COUNT && strcmp(name, names[at].name) != 0) {
        at++;
    }
    if (at == NAMES_COUNT) {
        return LARDER_MISS;
    }
    struct cache_stats *stats = read_stats(cache);
    if (stats == NULL) {
        return LARDER_SYSTEM;
    }
    *value = figure(stats, &names[at]);
    free(stats);
    return LARDER_OK;
}

/* -- walking over all items -------------------------------------------------------------------- */

#define SCAN_STEPS_MAX 512u /* places of the index that one call looks at */

_Static_assert(LARDER_SCAN_ITEMS == CACHE_SCAN_ITEMS, "a step of the engine's fits");

/** Where the next item is described. */
struct scan_out {
    const struct call *call;
    struct larder_item *items;
    size_t len;
};

/** cache_visit_fn */
static bool
scan_visit(void *arg, const struct cache_item_info *info)
{
    struct scan_out *out = arg;
    struct larder_item *item = &out->items[out->len++];
    int64_t now = cache_now(out->call->cache);
    item->cas = info->cas;
    item->value_len = info->value_len;
    item->size = info->item_size;
    item->ttl_s = ttl_left(out->call, info->expires_at);
    item->idle_s = now > info->used_at ? (uint32_t)(now - info->used_at) : 0;
    item->flags = info->client_flags;
    item->fetched = info->fetched;
    item->key_len = info->key_len;
    assert(info->key_len <= LARDER_KEY_LEN_MAX);
    memcpy(item->key, info->key, info->key_len);
    item->key[info->key_len] = '\0';
    return true;
}

enum larder_result
larder_scan(struct larder *cache, uint64_t *cursor, struct larder_item *items, size_t items_max,
            size_t *items_len)
{
    if (cache == NULL || cursor == NULL || items == NULL || items_len == NULL ||
        items_max < LARDER_SCAN_ITEMS) {
        return LARDER_BAD_OPTION;
    }
    struct cache_scan walk = { .at = *cursor };
    bool more = true;
    struct call call = call_begin(cache);
    struct scan_out out = { .call = &call, .items = items };
    for (unsigned steps = 0;
         more && steps < SCAN_STEPS_MAX && items_max - out.len >= CACHE_SCAN_ITEMS; steps++) {
        more = cache_scan(call.cache, call.thread, &walk, scan_visit, &out, 1);
    }
    call_end(&call);
    *cursor = more ? walk.at : 0;
    *items_len = out.len;
    return LARDER_OK;
}
