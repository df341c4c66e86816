/* What a page is worth to a size class, in hits: the page mover's scales.
 *
 * Gain: what one more page would bring.  Hits on what the class evicted within its last twentieth
 * (ghosts), scaled to a page.
 *
 * Loss: what the page that it would give takes away.  A class with many pages loses about what one
 * more would bring.  One with few loses more, as its hits do not grow in step with its pages; and
 * one that has not evicted yet has no ghosts at all.  So the loss is between the gain and the
 * class's hits per page: the nearer to these, the fewer its pages, and all its hits with the last.
 *
 * Turnover: how much of the class was evicted lately.  The items of one with little of it are old.
 * Where nothing is read, that is all there is to go by.
 *
 * All decay with the bytes that the cache evicts, counted in looks of the mover: no clock is
 * involved.  A hit weighs the same whatever its item's size, or as much as its bytes
 * (cache_options.evict_for).
 */
#ifndef LARDER_ENGINE_GAIN_H
#define LARDER_ENGINE_GAIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct cache;
struct size_class;

/** Locking key:  (m) the mover's lock  (a) atomic: an estimate, a lost step is none. */
struct gain {
    _Atomic uint64_t more; /* (a) what one more page would bring */
    uint64_t served;       /* (m) the class's hits, weighed and decayed as `more` is */
    uint64_t hits_seen;    /* (m) of the class, when they were last looked at */
    uint64_t turnover;     /* (m) decayed as `served` is */
    uint64_t turns_seen;   /* (m) evict_turns(), less pages that have left, as `hits_seen` */
};

/** Adds a ghost's hit, of an item of `size` bytes.  Class's lock held. */
void gain_note_ghost(const struct cache *cache, struct size_class *class, uint64_t size);
uint64_t gain_of(const struct size_class *class);
/** What one hit on an item of the class weighs. */
uint64_t gain_of_one(const struct cache *cache, const struct size_class *class);
/** For a class of so many pages, at least one.  Mover's lock held. */
uint64_t gain_loss(const struct size_class *class, uint32_t pages);
/** Whether hardly anything of a class of so many pages has been read or missed lately.  Mover's lock
 * held. */
bool gain_is_none(const struct cache *cache, const struct size_class *class, uint32_t pages);
/** What was evicted with a page that leaves is no turnover.  Mover's and class's lock held. */
void gain_note_page_left(struct size_class *class);
/** A look of the mover: decays all gains, and brings one class's hits up to date.  Mover's lock
 * held, no class's. */
void gain_look(struct cache *cache);

#endif
