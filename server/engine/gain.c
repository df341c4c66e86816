#include "config.h"

#include "engine/gain.h"

#include "engine/cache_priv.h"

#define DECAY         200u  /* a look takes one in so many off each gain */
#define PAGES_FEW     20u   /* up to so many pages, the last twentieth is less than one */
#define PAGES_PER_HIT 16u   /* a class that is read less than that has no hits to lose */
#define GAIN_ONE      1024u /* one hit, in fixed point */
#define BYTES_UNIT    256u  /* that weigh as one, when bytes are what counts */

static void
set_gain(struct size_class *class, uint64_t gain)
{
    /* relaxed: an estimate; a lost step is none */
    atomic_store_explicit(&class->gain.more, gain, memory_order_relaxed);
}

uint64_t
gain_of(const struct size_class *class)
{
    return atomic_load_explicit(&class->gain.more, memory_order_relaxed); /* relaxed: as above */
}

/** So many hits on items of `size` bytes. */
static uint64_t
weigh(const struct cache *cache, uint64_t hits, uint64_t size)
{
    switch (cache->options.evict_for) {
    case CACHE_EVICT_FOR_OBJECTS:
        return hits * GAIN_ONE;
    case CACHE_EVICT_FOR_BYTES:
        return hits * size * (GAIN_ONE / BYTES_UNIT);
    }
    return 0; /* not reached */
}

void
gain_note_ghost(const struct cache *cache, struct size_class *class, uint64_t size)
{
    uint64_t hit = weigh(cache, 1, size);
    if (class->pages_count > PAGES_FEW) {
        hit = hit * PAGES_FEW / class->pages_count;
    }
    set_gain(class, gain_of(class) + hit);
}

uint64_t
gain_of_one(const struct cache *cache, const struct size_class *class)
{
    return weigh(cache, 1, class->chunk_size);
}

bool
gain_is_none(const struct cache *cache, const struct size_class *class, uint32_t pages)
{
    uint64_t one = gain_of_one(cache, class);
    return gain_of(class) < one && class->gain.served < one * (1 + pages / PAGES_PER_HIT);
}

uint64_t
gain_loss(const struct size_class *class, uint32_t pages)
{
    uint64_t gain = gain_of(class);
    uint64_t per_page = class->gain.served / pages;
    return per_page > gain ? gain + (per_page - gain) / pages : gain;
}

/** The class's hits since it was last looked at here. */
static uint64_t
new_hits(struct cache *cache, struct size_class *class)
{
    uint64_t hits = 0;
    lock_acquire(&cache->threads_lock);
    for (struct cache_thread *thread = cache->threads; thread != NULL; thread = thread->next) {
        hits += metric_get(&thread->counters.of_class[class->id].get_hits);
    }
    lock_release(&cache->threads_lock);
    uint64_t seen = class->gain.hits_seen;
    class->gain.hits_seen = hits;
    return hits - seen;
}

/** The mean size of its items; `*turns` is evict_turns(). */
static uint64_t
mean_size(struct size_class *class, uint64_t *turns)
{
    lock_acquire(&class->lock);
    uint64_t mean = class->items > 0 ? slab_bytes(class) / class->items : class->chunk_size;
    *turns = evict_turns(class);
    lock_release(&class->lock);
    return mean;
}

void
gain_note_page_left(struct size_class *class)
{
    class->gain.turns_seen += EVICT_TURN / (class->pages_count + 1);
}

void
gain_look(struct cache *cache)
{
    for (unsigned id = 1; id <= cache->classes; id++) {
        uint64_t gain = gain_of(&cache->size_class[id]);
        set_gain(&cache->size_class[id], gain - gain / DECAY);
    }
    /* One class at a time: with many threads, their counters are what costs most here. */
    struct size_class *class = &cache->size_class[cache->mover.look++ % cache->classes + 1];
    struct gain *gain = &class->gain;
    uint64_t turns;
    uint64_t size = mean_size(class, &turns);
    uint64_t hits = weigh(cache, new_hits(cache, class), size);
    gain->served = (gain->served + hits) * DECAY / (DECAY + cache->classes);
    uint64_t turned = turns > gain->turns_seen ? turns - gain->turns_seen : 0;
    gain->turnover = (gain->turnover + turned) * DECAY / (DECAY + cache->classes);
    gain->turns_seen = turns;
}
