#include "config.h"

#include "engine/sizes.h"

#include "engine/cache_priv.h"

#include <stdlib.h>

struct sizes *
sizes_create(uint32_t item_size_max)
{
    /* Of the kernel's zero pages, until one is counted in. */
    uint32_t groups = item_size_max / CACHE_SIZE_STEP / SIZES_GROUP + 1;
    struct sizes *sizes = malloc(sizeof(*sizes));
    if (sizes == NULL) {
        return NULL;
    }
    sizes->groups = groups;
    sizes->group = calloc(groups, sizeof(sizes->group[0]));
    sizes->count = calloc((size_t)groups * SIZES_GROUP, sizeof(sizes->count[0]));
    if (sizes->group == NULL || sizes->count == NULL) {
        sizes_destroy(sizes);
        return NULL;
    }
    return sizes;
}

void
sizes_destroy(struct sizes *sizes)
{
    if (sizes != NULL) {
        free((void *)sizes->group);
        free((void *)sizes->count);
        free(sizes);
    }
}

bool
cache_visit_sizes(const struct cache *cache, cache_size_fn *visit, void *arg)
{
    const struct sizes *sizes = cache->sizes;
    if (sizes == NULL) {
        return false;
    }
    for (uint32_t group = 0; group < sizes->groups; group++) {
        /* relaxed, both: figures */
        if (atomic_load_explicit(&sizes->group[group], memory_order_relaxed) == 0) {
            continue;
        }
        for (uint32_t i = 0; i < SIZES_GROUP; i++) {
            uint64_t step = (uint64_t)group * SIZES_GROUP + i;
            uint32_t items = atomic_load_explicit(&sizes->count[step], memory_order_relaxed);
            if (items != 0) {
                visit(arg, step * CACHE_SIZE_STEP, items);
            }
        }
    }
    return true;
}
