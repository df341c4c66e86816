/* Pages move to the class where they save most misses.
 *
 * Each class has a gain: hits on what it evicted within its last twentieth (ghosts), scaled to one
 * more page, and decaying with the bytes that the cache evicts: no clock is involved.  When a class
 * evicts, and its gain exceeds 1.25 times the least gain of all, it gets a page from there (or what
 * cache_set_mover() makes of that).
 */
#ifndef LARDER_ENGINE_REBALANCE_H
#define LARDER_ENGINE_REBALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/cache.h"
#include "engine/page_move.h"

struct cache;
struct cache_thread;
struct size_class;

#define GAIN_ONE 1024u /* one hit per page, in the fixed point of size_class.gain */

void rebalance_init(struct cache *cache);
void rebalance_fini(struct cache *cache);

/** Adds a ghost's hit to the class's gain.  Class's lock held. */
void rebalance_note_ghost(struct size_class *class);
/** After a store that evicted `bytes` from a class: looks at the gains now and then, and does a
 * slice of a move. No lock held. */
void rebalance_note_evicted(struct cache *cache, struct cache_thread *thread, uint8_t class_id,
                            uint64_t bytes);
/** Gets a page for a class that has nothing to evict, now, from wherever it is missed least.  No
 * lock held; the class's lock is held after a true. */
bool rebalance_steal(struct cache *cache, struct cache_thread *thread, uint8_t class_id);
/** A slice of a move; starts one when the limit or the index wants a page.  Whether there is more
 * to do at once. */
bool rebalance_run(struct cache *cache, struct cache_thread *thread, unsigned chunks);
/** Takes an empty page out of its class.  Class's lock held; false when a move is under way. */
bool rebalance_release_page(struct cache *cache, struct cache_thread *thread,
                            struct size_class *class, uint32_t page);

#endif
