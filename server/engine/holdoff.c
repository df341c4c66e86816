#include "config.h"

#include "engine/holdoff.h"

#include "base/assert.h"
#include "engine/cache_priv.h"

#include <stdlib.h>

bool
cache_holdoff_open(struct cache *cache, const struct cache_holdoff_options *options)
{
    struct holdoff *holdoff = &cache->holdoff;
    assert(holdoff->cell == NULL && options->seconds > 0);
    assert(options->cells > 0 && (options->cells & (options->cells - 1)) == 0);
    holdoff->cell = calloc(options->cells, sizeof(*holdoff->cell));
    if (holdoff->cell == NULL) {
        return false;
    }
    holdoff->mask = options->cells - 1;
    holdoff->seconds = options->seconds;
    holdoff->refuse = options->refuse;
    return true;
}

void
cache_holdoff_stats(const struct cache *cache, uint64_t *shortened, uint64_t *refused)
{
    *shortened = metric_get(&cache->holdoff.shortened);
    *refused = metric_get(&cache->holdoff.refused);
}

void
holdoff_fini(struct holdoff *holdoff)
{
    free(holdoff->cell);
    holdoff->cell = NULL;
}
