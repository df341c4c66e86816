#include "config.h"

#include "admin/tune.h"

#define AUTOMOVE_OFF   0
#define AUTOMOVE_EAGER 2

/** slab_automove_ratio as the engine takes it: a part of one, whatever the command said. */
static uint32_t
thousandths(double ratio)
{
    return ratio >= 1 ? 1000 : ratio <= 0.001 ? 1 : (uint32_t)(ratio * 1000 + 0.5);
}

void
tune_apply(const struct settings *settings, struct cache *cache)
{
    int automove = settings->slab_reassign ? settings_get(settings, slab_automove) : AUTOMOVE_OFF;
    enum cache_mover_mode mode = automove == AUTOMOVE_OFF     ? CACHE_MOVER_OFF
                                 : automove == AUTOMOVE_EAGER ? CACHE_MOVER_EAGER
                                                              : CACHE_MOVER_NORMAL;
    cache_set_mover(cache, mode, thousandths(settings_get(settings, slab_automove_ratio)));
    cache_set_sweep(cache, settings_get(settings, lru_crawler),
                    settings_get(settings, lru_crawler_tocrawl));
}
