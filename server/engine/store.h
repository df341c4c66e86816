/* What store.c and change.c share: how a filled item takes its place. */
#ifndef LARDER_ENGINE_STORE_H
#define LARDER_ENGINE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/cache.h"
#include "engine/find.h"

uint64_t store_next_cas(struct cache *cache);
/** Looks a key up in its locked bucket; `living` tells whether it is there for a client. */
struct found store_find_living(struct cache *cache, struct bucket *head, uint64_t hash,
                               const void *key, uint32_t key_len, bool *living);
/** Puts a filled item into its locked bucket, in place of `old` if there is one.  Returns what the
 * caller is to free by store_finish() once the bucket is unlocked; store->ref itself when, without
 * evictions, there is no place for it. */
uint32_t store_publish(struct cache *cache, struct cache_store *store, struct bucket *head,
                       const struct found *old, uint64_t *cas_out);
void store_finish(struct cache *cache, struct cache_thread *thread, const struct cache_store *store,
                  uint32_t gone);

#endif
