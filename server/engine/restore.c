/* Storing an item as it once was. */
#include "config.h"

#include "base/assert.h"
#include "engine/cache_priv.h"
#include "engine/snapshot.h"
#include "engine/store.h"

void
cache_raise_cas(struct cache *cache, uint64_t cas)
{
    /* seq_cst: see flush_at_last_id() in prefixes.c */
    uint64_t last = atomic_load_explicit(&cache->cas_last, memory_order_seq_cst);
    while (last < cas &&
           !atomic_compare_exchange_weak_explicit(&cache->cas_last, &last, cas,
                                                  memory_order_seq_cst, memory_order_seq_cst)) {
    }
}

enum cache_result
cache_restore_begin(struct cache *cache, struct cache_thread *thread,
                    const struct snapshot_item *item, struct cache_store *store)
{
    uint32_t flags = item->client_flags != 0 ? SHAPE_CLIENT_FLAGS : 0;
    uint64_t size =
        (uint64_t)item_key_offset(flags, cache->cas_size) + item->key_len + item->value_len;
    if (size > cache->options.item_size_max) {
        return CACHE_TOO_LARGE; /* before it is counted as a client's */
    }
    enum cache_result result =
        cache_store_begin(cache, thread, item->key, item->key_len, item->value_len,
                          item->client_flags, item->expires_at, store);
    if (result != CACHE_OK) {
        return result;
    }
    metric_sub(&thread->counters.of_class[store->class_id].set_cmds, 1); /* no command */
    store->cas_new = item->cas;
    store->binary_key = item->binary_key;
    /* Not as `claimed`: that is an item which brings nothing yet, and passes the hold-off. */
    store->marks = (item->stale ? SHAPE_STALE : 0) | (item->claimed ? SHAPE_WIN : 0);
    return CACHE_OK;
}

/** Sets time and uses of the item that was just stored, if it still is the same. */
static void
restore_access(struct cache *cache, const struct snapshot_item *past, uint64_t hash, uint64_t cas)
{
    bool living;
    struct bucket *head = table_lock(&cache->table, hash);
    struct found found = store_find_living(cache, head, hash, past->key, past->key_len, &living);
    if (living) {
        struct item *item = cache_item(cache, found.ref);
        int64_t idle_s = cache_now(cache) - past->used_at;
        idle_s = idle_s > 0 ? idle_s : 0;
        idle_s = idle_s < ACCESS_TIME_MASK ? idle_s : ACCESS_TIME_MASK;
        uint32_t access = access_at(0, cache_now_s(cache) - (uint32_t)idle_s) |
                          (past->fetched ? ACCESS_FETCHED : 0) | past->uses * ACCESS_USE_ONE;
        if (cache->cas_size == 0 || item_cas(item) == cas) {
            item_set_access(item, access);
        }
    }
    bucket_unlock(head);
}

enum cache_result
cache_restore_commit(struct cache *cache, struct cache_thread *thread,
                     const struct snapshot_item *item, struct cache_store *store)
{
    assert(item->uses <= ACCESS_USES_MASK / ACCESS_USE_ONE);
    uint64_t hash = store->hash;
    uint64_t cas = 0;
    enum cache_result result = cache_store_commit(cache, thread, store, CACHE_ADD, 0, &cas);
    if (result == CACHE_OK) {
        restore_access(cache, item, hash, cas);
    }
    return result;
}
