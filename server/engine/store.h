/* What store.c and change.c share: how a filled item takes its place. */
#ifndef LARDER_ENGINE_STORE_H
#define LARDER_ENGINE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/cache.h"
#include "engine/find.h"

#define CAS_NONE UINT64_MAX /* in place of an id, in a cache without them */

/**
 * The id for an item that keeps contents of `old`, or that counts on old's id: `wanted`, or the
 * next one if that is 0.  Returns 0 when a flush has voided the old item since it was found living:
 * then the change is not to be made.  Its bucket is locked.
 */
uint64_t store_cas_for_change(struct cache *cache, const struct found *old, uint64_t wanted);
/**
 * Around store_cas_for_change() and the store_publish() of a new item with its id.  Such an item may
 * be void by a flush, and lie where the sweep has passed already: so the sweep does not take the
 * flush for done while a change that did not see it is under way.  A change in place needs none: the
 * sweep that finds the old item waits for its bucket.
 */
void store_change_begin(struct cache_thread *thread);
void store_change_end(struct cache_thread *thread);
/** Looks a key up in its locked bucket; `living` tells whether it is there for a client. */
struct found store_find_living(struct cache *cache, struct bucket *head, uint64_t hash,
                               const void *key, uint32_t key_len, bool *living);
/** Puts a filled item into its locked bucket, in place of `old` if there is one.  Returns what the
 * caller is to free by store_finish() once the bucket is unlocked; store->ref itself when, without
 * evictions, there is no place for it. */
uint32_t store_publish(struct cache *cache, struct cache_store *store, struct bucket *head,
                       const struct found *old, uint64_t *cas_out);
/** With a hold-off: the expiry for contents that come from an item with `old_s`.  Not later, while
 * that item's life may have been cut. */
uint32_t store_held_expiry(const struct cache *cache, uint64_t hash, uint32_t old_s,
                           uint32_t new_s);
void store_finish(struct cache *cache, struct cache_thread *thread, const struct cache_store *store,
                  uint32_t gone);

#endif
