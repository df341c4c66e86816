/* Commands on an item that is there: delete, incr and decr, touch. */
#include "config.h"

#include "base/assert.h"
#include "engine/cache_priv.h"
#include "engine/find.h"
#include "engine/store.h"

#define NUMBER_LEN_MAX    20u /* digits of 2^64 - 1 */
#define NUMBER_FIELD_MAX  64u /* bytes of a value in which its number must end */
#define REWRITE_TRIES_MAX 64u

enum cache_result
cache_delete(struct cache *cache, struct cache_thread *thread, const void *key, uint32_t key_len,
             uint64_t cas)
{
    assert(key_len >= 1 && key_len <= CACHE_KEY_MAX);
    uint64_t hash = hash_bytes(key, key_len, cache->options.hash_seed);
    bool living;
    struct bucket *head = table_lock(&cache->table, hash);
    struct found found = store_find_living(cache, head, hash, key, key_len, &living);
    enum cache_result result = living ? CACHE_OK : CACHE_MISS;
    if (living && cas != 0 &&
        (cache->cas_size == 0 || item_cas(cache_item(cache, found.ref)) != cas)) {
        result = CACHE_EXISTS;
    }
    bool remove = found.ref != 0 && result != CACHE_EXISTS;
    if (remove) {
        struct table_place place = { head, found.bucket, found.slot };
        bucket_change_begin(head);
        table_remove(&cache->table, &place);
        bucket_change_end(head);
    }
    bucket_unlock(head);
    if (result == CACHE_OK) {
        metric_add(&thread->counters.of_class[cache_item_class(cache, found.shape)].delete_hits, 1);
    } else if (result == CACHE_MISS) {
        metric_add(&thread->counters.delete_misses, 1);
    }
    if (remove) {
        cache_free_item(cache, found.ref, 0);
    }
    return result;
}

enum cache_result
cache_void(struct cache *cache, struct cache_thread *thread, const void *key, uint32_t key_len,
           bool *was_claimed)
{
    assert(key_len >= 1 && key_len <= CACHE_KEY_MAX);
    (void)thread;
    uint64_t hash = hash_bytes(key, key_len, cache->options.hash_seed);
    struct bucket *head = table_lock(&cache->table, hash);
    holdoff_note(&cache->holdoff, hash, cache_now_s(cache));
    struct found found = find_key(cache, head, table_tag(hash), key, key_len);
    if (found.ref != 0) {
        struct table_place place = { head, found.bucket, found.slot };
        bucket_change_begin(head);
        table_remove(&cache->table, &place);
        bucket_change_end(head);
    }
    bucket_unlock(head);
    *was_claimed = found.ref != 0 && (found.shape & SHAPE_WIN) != 0;
    if (found.ref == 0) {
        return CACHE_MISS;
    }
    cache_free_item(cache, found.ref, 0);
    return CACHE_OK;
}

enum cache_result
cache_touch(struct cache *cache, struct cache_thread *thread, const void *key, uint32_t key_len,
            int64_t expires_at)
{
    return cache_touch_as(cache, thread, key, key_len, expires_at, CACHE_READ_HIT);
}

enum cache_result
cache_touch_as(struct cache *cache, struct cache_thread *thread, const void *key, uint32_t key_len,
               int64_t expires_at, enum cache_read_mode mode)
{
    assert(key_len >= 1 && key_len <= CACHE_KEY_MAX);
    uint64_t hash = hash_bytes(key, key_len, cache->options.hash_seed);
    uint32_t expire_s = cache_expire_s(cache, expires_at);
    bool living;
    struct bucket *head = table_lock(&cache->table, hash);
    struct found found = store_find_living(cache, head, hash, key, key_len, &living);
    if (living) {
        struct item *item = cache_item(cache, found.ref);
        if (__builtin_expect(cache->holdoff.cell != NULL, 0)) {
            expire_s = store_held_expiry(cache, hash, item_expire_s(item), expire_s);
        }
        item_set_expire_s(item, expire_s);
        if (mode == CACHE_READ_HIT) {
            item_set_access(item, access_used(item_access(item), cache_now_s(cache)));
        }
        expire_note(cache, found.ref, expire_s);
    }
    bucket_unlock(head);
    if (!living) {
        metric_add(&thread->counters.touch_misses, 1);
        return CACHE_MISS;
    }
    metric_add(&thread->counters.of_class[cache_item_class(cache, found.shape)].touch_hits, 1);
    return CACHE_OK;
}

enum cache_result
cache_peek(struct cache *cache, const void *key, uint32_t key_len, struct cache_glimpse *out)
{
    uint64_t hash = hash_bytes(key, key_len, cache->options.hash_seed);
    bool living;
    struct bucket *head = table_lock(&cache->table, hash);
    struct found found = store_find_living(cache, head, hash, key, key_len, &living);
    *out = (struct cache_glimpse){ .absence = CACHE_NOT_THERE };
    if (living) {
        const struct item *item = cache_item(cache, found.ref);
        out->class_id = cache_item_class(cache, found.shape);
        out->value_len = cache_item_value_len(cache, item, found.shape);
        out->expires_at = cache_expires_at(cache, item_expire_s(item));
    } else if (found.ref != 0) {
        out->absence = cache_absence_of(cache, cache_item(cache, found.ref), found.shape);
    }
    bucket_unlock(head);
    return living ? CACHE_OK : CACHE_MISS;
}

/* -- stale marks and tombstones ---------------------------------------------------------------- */

/** Marks an item stale where it lies; its bucket is locked.  CACHE_MISS when it was flushed
 * meanwhile. */
static enum cache_result
mark_stale(struct cache *cache, struct bucket *head, const struct found *found,
           const struct cache_invalidation *how)
{
    struct item *item = cache_item(cache, found->ref);
    uint64_t cas = store_cas_for_change(cache, found, how->cas_new);
    if (cas == 0) {
        return CACHE_MISS;
    }
    bucket_change_begin(head);
    item_drop_flags(item, SHAPE_WIN);
    item_add_flags(item, SHAPE_STALE);
    if (cache->cas_size > 0) {
        item_set_cas(item, cas);
    }
    if (how->set_expiry) {
        item_set_expire_s(item, cache_expire_s(cache, how->expires_at));
    }
    bucket_change_end(head);
    expire_note(cache, found->ref, item_expire_s(item));
    return CACHE_OK;
}

/** What the empty item in place of this one carries. */
static void
prepare_tombstone(const struct cache *cache, struct cache_store *store, const struct found *found,
                  const struct cache_invalidation *how)
{
    const struct item *item = cache_item(cache, found->ref);
    store->marks = how->stale ? SHAPE_STALE : found->shape & (SHAPE_STALE | SHAPE_WIN);
    store->binary_key = (found->shape & SHAPE_BINARY_KEY) != 0;
    store->cas_new = how->cas_new;
    if (how->cas_new == 0 && !how->stale && cache->cas_size > 0) {
        store->cas_new = item_cas(item);
    }
}

enum cache_result
cache_invalidate(struct cache *cache, struct cache_thread *thread, const void *key,
                 uint32_t key_len, const struct cache_invalidation *how)
{
    assert(key_len >= 1 && key_len <= CACHE_KEY_MAX && (how->stale || how->drop_value));
    uint64_t hash = hash_bytes(key, key_len, cache->options.hash_seed);
    struct cache_store store;
    if (how->drop_value) {
        enum cache_result begun =
            cache_store_begin(cache, thread, key, key_len, 0, 0,
                              how->set_expiry ? how->expires_at : CACHE_NEVER, &store);
        if (begun != CACHE_OK) {
            return begun;
        }
    }
    bool living;
    uint32_t gone = 0;
    struct bucket *head = table_lock(&cache->table, hash);
    if (how->by_observer) {
        holdoff_note(&cache->holdoff, hash, cache_now_s(cache));
    }
    struct found found = store_find_living(cache, head, hash, key, key_len, &living);
    enum cache_result result = living ? CACHE_OK : CACHE_MISS;
    if (living && how->cas != 0 &&
        (cache->cas_size == 0 || item_cas(cache_item(cache, found.ref)) != how->cas)) {
        result = CACHE_EXISTS;
    }
    if (result == CACHE_OK && how->drop_value) {
        prepare_tombstone(cache, &store, &found, how);
        gone = store_publish(cache, &store, head, &found, NULL);
    } else if (result == CACHE_OK) {
        result = mark_stale(cache, head, &found, how);
    }
    bucket_unlock(head);
    if (how->drop_value && result == CACHE_OK) {
        store_finish(cache, thread, &store, gone);
    } else if (how->drop_value) {
        cache_store_abort(cache, thread, &store);
    }
    if (how->by_observer) {
        return result;
    }
    if (result == CACHE_OK) {
        metric_add(&thread->counters.of_class[cache_item_class(cache, found.shape)].delete_hits, 1);
    } else {
        metric_add(&thread->counters.delete_misses, 1);
    }
    return result;
}

/* -- incr and decr ----------------------------------------------------------------------------- */

static bool
is_blank(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/** Reads a stored number: blanks, perhaps a plus, digits; what follows a blank or a NUL behind them
 * does not matter.  False for anything else, above 2^64 - 1, and when the bytes end within the
 * number and are not the whole value. */
static bool
read_number(const uint8_t *bytes, uint32_t len, bool whole, uint64_t *number)
{
    uint32_t at = 0;
    while (at < len && is_blank(bytes[at])) {
        at++;
    }
    if (at < len && bytes[at] == '+') {
        at++;
    }
    uint32_t first = at;
    uint64_t value = 0;
    for (; at < len && bytes[at] >= '0' && bytes[at] <= '9'; at++) {
        uint64_t digit = (uint64_t)(bytes[at] - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *number = value;
    return at > first && (at == len ? whole : is_blank(bytes[at]) || bytes[at] == '\0');
}

/** Writes decimal digits; returns how many. */
static uint32_t
write_number(uint8_t *bytes, uint64_t number)
{
    uint8_t reversed[NUMBER_LEN_MAX];
    uint32_t len = 0;
    do {
        reversed[len++] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    for (uint32_t i = 0; i < len; i++) {
        bytes[i] = reversed[len - 1 - i];
    }
    return len;
}

/** The change that a request asks for. */
struct arith {
    const void *key;
    uint32_t key_len;
    uint64_t hash;
    bool decrement;
    uint64_t delta;
    uint64_t cas;
    uint64_t cas_wanted; /* 0 for the next one */
    uint64_t value;      /* out */
    uint64_t cas_new;    /* out */
};

/** Computes the new number from the item's value; CACHE_OK, CACHE_EXISTS or CACHE_NOT_NUMBER.  Its
 * bucket is locked. */
static enum cache_result
compute(const struct cache *cache, const struct found *found, struct arith *arith)
{
    const struct item *item = cache_item(cache, found->ref);
    uint32_t len = shape_value_len(found->shape);
    uint8_t bytes[NUMBER_FIELD_MAX];
    bool large = (found->shape & SHAPE_LARGE) != 0;
    if (len == 0 && !large) { /* told before a wrong CAS id, as the original does */
        return CACHE_NOT_NUMBER;
    }
    if (arith->cas != 0 && (cache->cas_size == 0 || item_cas(item) != arith->cas)) {
        return CACHE_EXISTS;
    }
    if (large) {
        return CACHE_NOT_NUMBER;
    }
    bool whole = len <= sizeof(bytes);
    len = whole ? len : (uint32_t)sizeof(bytes);
    race_copy_out(bytes, item_key(item, found->shape, cache->cas_size) + arith->key_len, len);
    uint64_t number;
    if (!read_number(bytes, len, whole, &number)) {
        return CACHE_NOT_NUMBER;
    }
    if (arith->decrement) {
        arith->value = number > arith->delta ? number - arith->delta : 0;
    } else {
        arith->value = number + arith->delta;
    }
    return CACHE_OK;
}

/** Writes the number over the old one, blanks behind it.  Its bucket is locked.  CACHE_MISS when
 * the item was flushed meanwhile. */
static enum cache_result
rewrite_in_place(struct cache *cache, struct bucket *head, const struct found *found,
                 struct arith *arith, const uint8_t *digits, uint32_t digits_len)
{
    struct item *item = cache_item(cache, found->ref);
    uint64_t cas = store_cas_for_change(cache, found, arith->cas_wanted);
    if (cas == 0) {
        return CACHE_MISS;
    }
    uint32_t left = shape_value_len(found->shape) - digits_len;
    uint8_t *at = item_key(item, found->shape, cache->cas_size) + arith->key_len;
    uint8_t blanks[NUMBER_FIELD_MAX];
    memset(blanks, ' ', sizeof(blanks));
    bucket_change_begin(head);
    race_copy_in(at, digits, digits_len);
    at += digits_len;
    while (left > 0) {
        uint32_t part = left < sizeof(blanks) ? left : (uint32_t)sizeof(blanks);
        race_copy_in(at, blanks, part);
        at += part;
        left -= part;
    }
    if (cache->cas_size > 0) {
        arith->cas_new = cas;
        item_set_cas(item, cas);
    }
    item_set_access(item, access_at(item_access(item), cache_now_s(cache)));
    bucket_change_end(head);
    return CACHE_OK;
}

/** What one look at the item came to. */
enum arith_step {
    ARITH_DONE,   /* `result` is the answer */
    ARITH_LONGER, /* the number needs a longer item: arith.value tells how it was */
};

static enum arith_step
try_in_place(struct cache *cache, struct arith *arith, struct found *found, uint32_t *client_flags,
             enum cache_result *result)
{
    bool living;
    enum arith_step step = ARITH_DONE;
    struct bucket *head = table_lock(&cache->table, arith->hash);
    *found = store_find_living(cache, head, arith->hash, arith->key, arith->key_len, &living);
    *result = living ? compute(cache, found, arith) : CACHE_MISS;
    if (*result == CACHE_OK) {
        uint8_t digits[NUMBER_LEN_MAX];
        uint32_t len = write_number(digits, arith->value);
        if (len <= shape_value_len(found->shape)) {
            *result = rewrite_in_place(cache, head, found, arith, digits, len);
        } else {
            *client_flags =
                item_client_flags(cache_item(cache, found->ref), found->shape, cache->cas_size);
            step = ARITH_LONGER;
        }
    }
    bucket_unlock(head);
    return step;
}

/** Stores the number as a new item.  False when the old one has changed meanwhile. */
static bool
try_longer(struct cache *cache, struct cache_thread *thread, struct arith *arith,
           const struct found *found, uint32_t client_flags, enum cache_result *result)
{
    uint8_t digits[NUMBER_LEN_MAX];
    uint64_t value = arith->value;
    uint32_t len = write_number(digits, value);
    struct cache_store store;
    *result = cache_store_begin(cache, thread, arith->key, arith->key_len, len, client_flags,
                                CACHE_NEVER, &store);
    if (*result != CACHE_OK) {
        return true;
    }
    *result = cache_store_write(cache, thread, &store, digits, len);
    assert(*result == CACHE_OK); /* it fits one chunk */
    bool living;
    struct bucket *head = table_lock(&cache->table, arith->hash);
    struct found old =
        store_find_living(cache, head, arith->hash, arith->key, arith->key_len, &living);
    bool same = living && old.ref == found->ref && compute(cache, &old, arith) == CACHE_OK &&
                arith->value == value;
    uint32_t gone = 0;
    store_change_begin(thread);
    if (same) {
        store.cas_new = store_cas_for_change(cache, &old, arith->cas_wanted);
        same = store.cas_new != 0;
    }
    if (same) {
        store.expire_s = item_expire_s(cache_item(cache, old.ref));
        store.binary_key = (old.shape & SHAPE_BINARY_KEY) != 0;
        store.keeps = true;
        gone = store_publish(cache, &store, head, &old, &arith->cas_new);
    }
    store_change_end(thread);
    bucket_unlock(head);
    if (same) {
        store_finish(cache, thread, &store, gone);
    } else {
        cache_store_abort(cache, thread, &store);
    }
    return same;
}

static void
count_arith(struct cache *cache, struct cache_thread *thread, const struct arith *arith,
            enum cache_result result, uint32_t shape)
{
    struct thread_counters *counters = &thread->counters;
    if (result == CACHE_MISS) {
        metric_add(arith->decrement ? &counters->decr_misses : &counters->incr_misses, 1);
    } else if (result == CACHE_OK) {
        struct class_counters *of_class = &counters->of_class[cache_item_class(cache, shape)];
        metric_add(arith->decrement ? &of_class->decr_hits : &of_class->incr_hits, 1);
    }
}

enum cache_result
cache_arith(struct cache *cache, struct cache_thread *thread, const void *key, uint32_t key_len,
            bool decrement, uint64_t delta, uint64_t cas, uint64_t *value_out, uint64_t *cas_out)
{
    return cache_arith_as(cache, thread, key, key_len, decrement, delta, cas, 0, value_out,
                          cas_out);
}

enum cache_result
cache_arith_as(struct cache *cache, struct cache_thread *thread, const void *key, uint32_t key_len,
               bool decrement, uint64_t delta, uint64_t cas, uint64_t cas_new, uint64_t *value_out,
               uint64_t *cas_out)
{
    assert(key_len >= 1 && key_len <= CACHE_KEY_MAX);
    struct arith arith = { .key = key,
                           .key_len = key_len,
                           .hash = hash_bytes(key, key_len, cache->options.hash_seed),
                           .decrement = decrement,
                           .delta = delta,
                           .cas = cas,
                           .cas_wanted = cas_new };
    struct found found = { 0 };
    enum cache_result result = CACHE_NO_MEMORY;
    bool settled = false;
    for (unsigned tries = 0; !settled && tries < REWRITE_TRIES_MAX; tries++) {
        uint32_t client_flags = 0;
        settled = try_in_place(cache, &arith, &found, &client_flags, &result) == ARITH_DONE ||
                  try_longer(cache, thread, &arith, &found, client_flags, &result);
    }
    if (!settled) {
        result = CACHE_NO_MEMORY;
    }
    count_arith(cache, thread, &arith, result, found.shape);
    *value_out = arith.value;
    if (cas_out != NULL) {
        *cas_out = arith.cas_new;
    }
    return result;
}
