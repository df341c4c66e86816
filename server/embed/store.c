/* Storing and changing. */
#include "config.h"

#include "embed/larder_priv.h"

#include "base/assert.h"

#include <stdio.h>

#define VIVIFY_TRIES_MAX 16u /* of creating a number that others create and delete meanwhile */
#define NUMBER_CAP       24u /* bytes of a decimal number, NUL included */

/* -- storing ----------------------------------------------------------------------------------- */

/** What CACHE_NOT_STORED means to a store of this kind.  Of add it is the key that is there; a hook
 * that refuses says the same there. */
static enum larder_result
not_stored(enum cache_store_mode mode)
{
    switch (mode) {
    case CACHE_ADD:
        return LARDER_EXISTS;
    case CACHE_REPLACE:
    case CACHE_APPEND:
    case CACHE_PREPEND:
        return LARDER_MISS;
    case CACHE_SET:
    case CACHE_CAS:
        break;
    }
    return LARDER_REFUSED;
}

/** Fills and commits an item. */
static enum cache_result
store_in_steps(struct call *call, struct larder_store *wish, enum cache_store_mode mode)
{
    struct cache_store store;
    /* A length that no item has, but no such sum with the key's that it wraps. */
    uint64_t value_len =
        wish->value_len <= CACHE_ITEM_SIZE_LIMIT ? wish->value_len : CACHE_ITEM_SIZE_LIMIT + 1u;
    enum cache_result result =
        cache_store_begin(call->cache, call->thread, wish->key, (uint32_t)wish->key_len, value_len,
                          wish->flags, expires_at(call, wish->ttl_s), &store);
    if (result == CACHE_OK && wish->value_len > 0) {
        result = cache_store_write(call->cache, call->thread, &store, wish->value, wish->value_len);
    }
    if (result == CACHE_OK) {
        store.late_is_stale = mode == CACHE_CAS && wish->late_is_stale;
        store.vivify = wish->vivify != 0;
        result =
            cache_store_commit(call->cache, call->thread, &store, mode, wish->cas, &wish->cas_new);
        wish->value_len_new = store.value_len_out;
    }
    return result;
}

/** A store in place of what is there has failed: what the host wanted replaced must not be read
 * any more. */
static __attribute__((noinline)) void
drop_old(struct call *call, const void *key, uint32_t key_len)
{
    enum cache_result deleted = cache_delete(call->cache, call->thread, key, key_len, 0);
    assert(deleted == CACHE_OK || deleted == CACHE_MISS);
}

/** Stores what is checked. */
static enum larder_result
store_good(struct larder *cache, struct larder_store *wish, enum cache_store_mode mode)
{
    struct call call = call_begin(cache);
    enum cache_result result;
    if (mode == CACHE_SET && wish->value_len <= CACHE_COPY_MAX) {
        result = cache_set(call.cache, call.thread, wish->key, (uint32_t)wish->key_len, wish->value,
                           (uint32_t)wish->value_len, wish->flags, expires_at(&call, wish->ttl_s),
                           &wish->cas_new);
        wish->value_len_new = wish->value_len;
    } else {
        result = store_in_steps(&call, wish, mode);
    }
    if (mode == CACHE_SET && (result == CACHE_TOO_LARGE || result == CACHE_NO_MEMORY)) {
        drop_old(&call, wish->key, (uint32_t)wish->key_len);
    }
    call_end(&call);
    return result_of(result, not_stored(mode));
}

static enum larder_result
store_checked(struct larder *cache, struct larder_store *wish, enum cache_store_mode mode)
{
    if (!call_good(cache, wish->key, wish->key_len)) {
        return call_bad(cache);
    }
    if (!bytes_good(wish->value, wish->value_len)) {
        return LARDER_BAD_OPTION;
    }
    return store_good(cache, wish, mode);
}

/** The engine's mode for what the host wishes; false when there is no such mode. */
static bool
mode_of(const struct larder_store *wish, enum cache_store_mode *mode)
{
    switch (wish->mode) {
    case LARDER_STORE_SET:
        *mode = wish->cas != 0 ? CACHE_CAS : CACHE_SET;
        return true;
    case LARDER_STORE_ADD:
        *mode = CACHE_ADD;
        return wish->cas == 0;
    case LARDER_STORE_REPLACE:
        *mode = wish->cas != 0 ? CACHE_CAS : CACHE_REPLACE;
        return true;
    case LARDER_STORE_APPEND:
        *mode = CACHE_APPEND;
        return true;
    case LARDER_STORE_PREPEND:
        *mode = CACHE_PREPEND;
        return true;
    }
    return false;
}

enum larder_result
larder_store(struct larder *cache, struct larder_store *store)
{
    enum cache_store_mode mode;
    if (store == NULL || store->version != LARDER_STORE_VERSION || !mode_of(store, &mode)) {
        return LARDER_BAD_OPTION;
    }
    return store_checked(cache, store, mode);
}

/** A store without a CAS id or flags. */
static enum larder_result
store_plain(struct larder *cache, enum cache_store_mode mode, const void *key, size_t key_len,
            const void *value, size_t value_len, uint32_t ttl_s)
{
    struct larder_store wish = {
        .key = key, .key_len = key_len, .value = value, .value_len = value_len, .ttl_s = ttl_s
    };
    return store_checked(cache, &wish, mode);
}

enum larder_result
larder_set(struct larder *cache, const void *key, size_t key_len, const void *value,
           size_t value_len, uint32_t ttl_s)
{
    bool short_one = call_good(cache, key, key_len) && value_len <= CACHE_COPY_MAX && value != NULL;
    if (__builtin_expect(!short_one, 0)) {
        return store_plain(cache, CACHE_SET, key, key_len, value, value_len, ttl_s);
    }
    /* Nearly every store: without a struct for it. */
    uint64_t cas;
    struct call call = call_begin(cache);
    enum cache_result result = cache_set(call.cache, call.thread, key, (uint32_t)key_len, value,
                                         (uint32_t)value_len, 0, expires_at(&call, ttl_s), &cas);
    if (__builtin_expect(result == CACHE_TOO_LARGE || result == CACHE_NO_MEMORY, 0)) {
        drop_old(&call, key, (uint32_t)key_len);
    }
    call_end(&call);
    return __builtin_expect(result == CACHE_OK, 1) ? LARDER_OK : result_of(result, LARDER_REFUSED);
}

enum larder_result
larder_add(struct larder *cache, const void *key, size_t key_len, const void *value,
           size_t value_len, uint32_t ttl_s)
{
    return store_plain(cache, CACHE_ADD, key, key_len, value, value_len, ttl_s);
}

enum larder_result
larder_replace(struct larder *cache, const void *key, size_t key_len, const void *value,
               size_t value_len, uint32_t ttl_s)
{
    return store_plain(cache, CACHE_REPLACE, key, key_len, value, value_len, ttl_s);
}

enum larder_result
larder_append(struct larder *cache, const void *key, size_t key_len, const void *value,
              size_t value_len)
{
    return store_plain(cache, CACHE_APPEND, key, key_len, value, value_len, 0);
}

enum larder_result
larder_prepend(struct larder *cache, const void *key, size_t key_len, const void *value,
               size_t value_len)
{
    return store_plain(cache, CACHE_PREPEND, key, key_len, value, value_len, 0);
}

enum larder_result
larder_cas(struct larder *cache, const void *key, size_t key_len, const void *value,
           size_t value_len, uint32_t ttl_s, uint64_t cas)
{
    struct larder_store wish = { .key = key,
                                 .key_len = key_len,
                                 .value = value,
                                 .value_len = value_len,
                                 .ttl_s = ttl_s,
                                 .cas = cas };
    return store_checked(cache, &wish, CACHE_CAS);
}

/* -- numbers ----------------------------------------------------------------------------------- */

/** One of incr and decr, and what is stored without an item. */
struct count {
    uint64_t delta;
    uint64_t initial;
    uint32_t ttl_s;
    bool decrement;
    bool create;
};

/** Creates the number of a key that is missing.  CACHE_NOT_STORED when it is there after all. */
static enum cache_result
create_number(struct call *call, const void *key, uint32_t key_len, const struct count *count)
{
    char digits[NUMBER_CAP];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count->initial);
    assert(len > 0 && (size_t)len < sizeof(digits));
    struct larder_store wish = { .key = key,
                                 .key_len = key_len,
                                 .value = digits,
                                 .value_len = (size_t)len,
                                 .ttl_s = count->ttl_s };
    return store_in_steps(call, &wish, CACHE_ADD);
}

static enum larder_result
arith(struct larder *cache, const void *key, size_t key_len, const struct count *count,
      uint64_t *value)
{
    if (!call_good(cache, key, key_len)) {
        return call_bad(cache);
    }
    struct call call = call_begin(cache);
    uint64_t number = 0;
    enum cache_result result = CACHE_NOT_STORED;
    for (unsigned tries = 0; result == CACHE_NOT_STORED && tries < VIVIFY_TRIES_MAX; tries++) {
        result = cache_arith(call.cache, call.thread, key, (uint32_t)key_len, count->decrement,
                             count->delta, 0, &number, NULL);
        if (result == CACHE_MISS && count->create) {
            number = count->initial;
            result = create_number(&call, key, (uint32_t)key_len, count);
        }
    }
    call_end(&call);
    if (__builtin_expect(result == CACHE_OK, 1)) {
        if (value != NULL) {
            *value = number;
        }
        return LARDER_OK;
    }
    /* What has grown past the largest item has found no room. */
    return result == CACHE_TOO_LARGE ? LARDER_NO_MEMORY : result_of(result, LARDER_EXISTS);
}

enum larder_result
larder_incr(struct larder *cache, const void *key, size_t key_len, uint64_t delta, uint64_t *value)
{
    struct count count = { .delta = delta };
    return arith(cache, key, key_len, &count, value);
}

enum larder_result
larder_decr(struct larder *cache, const void *key, size_t key_len, uint64_t delta, uint64_t *value)
{
    struct count count = { .delta = delta, .decrement = true };
    return arith(cache, key, key_len, &count, value);
}

enum larder_result
larder_incr_or_add(struct larder *cache, const void *key, size_t key_len, uint64_t delta,
                   uint64_t initial, uint32_t ttl_s, uint64_t *value)
{
    struct count count = { .delta = delta, .initial = initial, .ttl_s = ttl_s, .create = true };
    return arith(cache, key, key_len, &count, value);
}

enum larder_result
larder_decr_or_add(struct larder *cache, const void *key, size_t key_len, uint64_t delta,
                   uint64_t initial, uint32_t ttl_s, uint64_t *value)
{
    struct count count = {
        .delta = delta, .initial = initial, .ttl_s = ttl_s, .decrement = true, .create = true
    };
    return arith(cache, key, key_len, &count, value);
}

/* -- changing ---------------------------------------------------------------------------------- */

enum larder_result
larder_touch(struct larder *cache, const void *key, size_t key_len, uint32_t ttl_s)
{
    if (!call_good(cache, key, key_len)) {
        return call_bad(cache);
    }
    struct call call = call_begin(cache);
    enum cache_result result =
        cache_touch(call.cache, call.thread, key, (uint32_t)key_len, expires_at(&call, ttl_s));
    call_end(&call);
    return result_of(result, LARDER_MISS);
}

static enum larder_result
delete_if(struct larder *cache, const void *key, size_t key_len, uint64_t cas)
{
    if (!call_good(cache, key, key_len)) {
        return call_bad(cache);
    }
    struct call call = call_begin(cache);
    enum cache_result result = cache_delete(call.cache, call.thread, key, (uint32_t)key_len, cas);
    call_end(&call);
    return result_of(result, LARDER_MISS);
}

enum larder_result
larder_delete(struct larder *cache, const void *key, size_t key_len)
{
    return delete_if(cache, key, key_len, 0);
}

enum larder_result
larder_delete_cas(struct larder *cache, const void *key, size_t key_len, uint64_t cas)
{
    /* No item has the id 0, and none the one that stands for it here. */
    return delete_if(cache, key, key_len, cas != 0 ? cas : UINT64_MAX);
}

enum larder_result
larder_mark_stale(struct larder *cache, const void *key, size_t key_len, uint32_t ttl_s)
{
    if (!call_good(cache, key, key_len)) {
        return call_bad(cache);
    }
    struct call call = call_begin(cache);
    struct cache_invalidation how = { .stale = true,
                                      .set_expiry = ttl_s != 0,
                                      .expires_at = expires_at(&call, ttl_s) };
    enum cache_result result =
        cache_invalidate(call.cache, call.thread, key, (uint32_t)key_len, &how);
    call_end(&call);
    return result_of(result, LARDER_MISS);
}
