/* Pages move to the class where they save most misses.
 *
 * Each class has a gain, what one more page would bring, and a loss (gain.h).  When a class evicts,
 * and its gain exceeds 1.25 times the least loss of all, it gets a page from there (or what
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

void rebalance_init(struct cache *cache);
void rebalance_fini(struct cache *cache);

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
