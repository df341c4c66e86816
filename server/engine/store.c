/* Storing: a new item is filled before anyone can see it, then takes its place in the index. */
#include "config.h"

#include "base/assert.h"
#include "engine/cache_priv.h"
#include "engine/find.h"
#include "engine/large.h"
#include "engine/store.h"

#define REWRITE_TRIES_MAX 64u   /* of a value that others keep changing */
#define OVERWRITE_MAX     2048u /* bytes of value written while its bucket's readers wait */

/* -- filling ----------------------------------------------------------------------------------- */

/** cache_store_begin() with the key's hash. */
static enum cache_result
begin_hashed(struct cache *cache, struct cache_thread *thread, uint64_t hash, const void *key,
             uint32_t key_len, uint64_t value_len, uint32_t client_flags, int64_t expires_at,
             struct cache_store *store)
{
    assert(key_len >= 1 && key_len <= CACHE_KEY_MAX);
    uint32_t flags = client_flags != 0 ? SHAPE_CLIENT_FLAGS : 0;
    uint32_t key_offset = item_key_offset(flags, cache->cas_size);
    uint32_t value_offset = key_offset + key_len; /* below the least item_size_max that there is */
    if (value_len > cache->options.item_size_max - value_offset) {
        metric_add(&thread->counters.store_too_large, 1);
        return CACHE_TOO_LARGE;
    }
    uint64_t size = value_offset + value_len;
    bool large = size > cache->chunk_max;
    uint8_t class_id = large ? (uint8_t)cache->classes : cache_class_of(cache, (uint32_t)size);
    metric_add(&thread->counters.of_class[class_id].set_cmds, 1);
    struct slab_grant grant = slab_alloc(cache, thread, class_id, hash, size);
    if (grant.ref == 0) {
        metric_add(&thread->counters.store_no_memory, 1);
        return CACHE_NO_MEMORY;
    }
    struct item *item = cache_item(cache, grant.ref);
    if (client_flags != 0) {
        /* relaxed: nobody can see the item yet, but for late readers, see item.h */
        atomic_store_explicit(&item->cas[cache->cas_size / sizeof(uint32_t)], client_flags,
                              memory_order_relaxed);
    }
    race_copy_in((uint8_t *)item + key_offset, key, key_len);
    *store = (struct cache_store){ .ref = grant.ref,
                                   .hash = hash,
                                   .value_len = (uint32_t)value_len,
                                   .client_flags = client_flags,
                                   .expire_s = cache_expire_s(cache, expires_at),
                                   .key_len = (uint8_t)key_len,
                                   .small = grant.small,
                                   .large = large,
                                   .class_id = class_id };
    if (large) {
        large_begin(cache, store, item, shape_make(key_len, 0, 0, flags | SHAPE_LARGE));
    } else {
        store->at = (uint8_t *)item + value_offset;
        store->room = (uint32_t)value_len;
    }
    return CACHE_OK;
}

enum cache_result
cache_store_begin(struct cache *cache, struct cache_thread *thread, const void *key,
                  uint32_t key_len, uint64_t value_len, uint32_t client_flags, int64_t expires_at,
                  struct cache_store *store)
{
    uint64_t hash = hash_bytes(key, key_len, cache->options.hash_seed);
    __builtin_prefetch(table_bucket(&cache->table, hash));
    return begin_hashed(cache, thread, hash, key, key_len, value_len, client_flags, expires_at,
                        store);
}

void
cache_store_reserve(struct cache *cache, struct cache_thread *thread, struct cache_store *store,
                    uint64_t missing_max)
{
    while (store->missing > missing_max && large_extend(cache, thread, store)) {
    }
}

unsigned
cache_store_spaces(const struct cache *cache, const struct cache_store *store,
                   struct cache_space *spaces, unsigned max)
{
    assert(store->room > 0);
    return large_spaces(cache, store, spaces, max);
}

enum cache_result
cache_store_filled(struct cache *cache, struct cache_thread *thread, struct cache_store *store,
                   size_t len)
{
    for (;;) {
        size_t part = len < store->room ? len : store->room;
        store->at += part;
        store->room -= part;
        len -= part;
        bool at_end = store->filling == store->last;
        if (store->room > 0 || (at_end && store->missing == 0)) {
            assert(len == 0);
            return CACHE_OK;
        }
        if (at_end && !large_extend(cache, thread, store)) {
            metric_add(&thread->counters.store_no_memory, 1);
            cache_store_abort(cache, thread, store);
            return CACHE_NO_MEMORY;
        }
        large_step(cache, store);
    }
}

enum cache_result
cache_store_write(struct cache *cache, struct cache_thread *thread, struct cache_store *store,
                  const void *bytes, size_t len)
{
    const uint8_t *from = bytes;
    while (len > 0) {
        assert(store->room > 0);
        size_t part = len < store->room ? len : store->room;
        race_copy_in(store->at, from, part);
        enum cache_result result = cache_store_filled(cache, thread, store, part);
        if (result != CACHE_OK) {
            return result;
        }
        from += part;
        len -= part;
    }
    return CACHE_OK;
}

/** The store's shape as a visible item of a generation. */
static uint32_t
store_shape(const struct cache_store *store, uint32_t generation)
{
    uint32_t flags = (store->client_flags != 0 ? SHAPE_CLIENT_FLAGS : 0) |
                     (store->small ? SHAPE_SMALL : 0) | (store->large ? SHAPE_LARGE : 0) |
                     (store->binary_key ? SHAPE_BINARY_KEY : 0) | (store->claimed ? SHAPE_WIN : 0) |
                     store->marks;
    return shape_make(store->key_len, store->large ? 0 : store->value_len, generation, flags);
}

void
cache_store_abort(struct cache *cache, struct cache_thread *thread, struct cache_store *store)
{
    (void)thread;
    uint32_t ref = store->ref;
    uint32_t shape = store_shape(store, 0);
    uint64_t size =
        (uint64_t)item_key_offset(shape, cache->cas_size) + store->key_len + store->value_len;
    slab_item_gone(cache, store->class_id, size, 0);
    if (store->large) {
        large_free(cache, ref, shape, 0);
    } else {
        slab_free(cache, ref, 0);
    }
    store->ref = 0;
}

/* -- taking the place in the index ------------------------------------------------------------- */

static uint64_t
next_cas(struct cache *cache)
{
    /* seq_cst: see flush_at_last_id() in prefixes.c; otherwise it need only be unique. */
    return atomic_fetch_add_explicit(&cache->cas_last, 1, memory_order_seq_cst) + 1;
}

void
store_change_begin(struct cache_thread *thread)
{
    /* relaxed: ours */
    uint32_t changes = atomic_load_explicit(&thread->changes, memory_order_relaxed);
    assert(changes % 2 == 0);
    /* seq_cst: before the look at `cas_high`; see wait_for_changes() in expire.c. */
    atomic_store_explicit(&thread->changes, changes + 1, memory_order_seq_cst);
}

void
store_change_end(struct cache_thread *thread)
{
    /* relaxed: ours */
    uint32_t changes = atomic_load_explicit(&thread->changes, memory_order_relaxed);
    assert(changes % 2 == 1);
    /* release: pairs with wait_for_changes(); the item is visible. */
    atomic_store_explicit(&thread->changes, changes + 1, memory_order_release);
}

uint64_t
store_cas_for_change(struct cache *cache, const struct found *old, uint64_t wanted)
{
    if (cache->cas_size == 0) {
        return CAS_NONE;
    }
    RACE_POINT();
#ifdef LARDER_BREAK_PREFIX_ORDER
    /* For the stress test that must fail: see tests/stress/prefix_race.c. */
    return wanted != 0 ? wanted : next_cas(cache);
#endif
    if (wanted != 0) {
        prefixes_note_explicit(&cache->prefixes, wanted);
    }
    uint64_t cas = wanted != 0 ? wanted : next_cas(cache);
    /* seq_cst: after the id was taken; see flush_at_last_id(). */
    bool flushed = atomic_load_explicit(&cache->prefixes.cas_high, memory_order_seq_cst) != 0 &&
                   cache_is_void(cache, cache_item(cache, old->ref), old->shape);
    return flushed ? 0 : cas;
}

/** No overflow bucket is to be had: the item takes the slot of another of its bucket.  Returns what
 * it displaced. */
static uint32_t
displace(struct bucket *head, uint16_t tag, uint32_t ref)
{
    uint32_t displaced = bucket_ref(head, 0);
    bucket_set(head, 0, tag, ref);
    return displaced;
}

uint32_t
store_publish(struct cache *cache, struct cache_store *store, struct bucket *head,
              const struct found *old, uint64_t *cas_out)
{
    uint32_t ref = store->ref;
    struct item *item = cache_item(cache, ref);
    uint32_t now_s = cache_now_s(cache);
    uint32_t access = (now_s & ACCESS_TIME_MASK) | (store->fetched ? ACCESS_FETCHED : 0);
    if (old->ref != 0 && !(old->shape & SHAPE_SMALL) &&
        !cache_is_dead(cache, cache_item(cache, old->ref), old->shape, now_s)) {
        /* A key of the main queue stays there, with the uses that it has. */
        store->small = false;
        access |= item_access(cache_item(cache, old->ref)) & ACCESS_USES_MASK;
    }
    uint64_t cas = 0;
    if (cache->cas_size > 0) {
        if (store->cas_new != 0) {
            prefixes_note_explicit(&cache->prefixes, store->cas_new);
        }
        cas = store->cas_new != 0 ? store->cas_new : next_cas(cache);
        item_set_cas(item, cas);
    }
    store->value_len_out = store->value_len;
    if (cas_out != NULL) {
        *cas_out = cas;
    }
    item_set_access(item, access);
    item_set_expire_s(item, store->expire_s);
    uint16_t tag = table_tag(store->hash);
    uint32_t gone = old->ref;
    bucket_change_begin(head);
    uint32_t generation = store->keeps ? shape_generation(old->shape) : cache_generation(cache);
    item_set_shape(item, store_shape(store, generation));
    if (old->ref != 0) {
        bucket_set(old->bucket, old->slot, tag, ref);
    } else if (!table_insert(&cache->table, head, tag, ref)) {
        if (cache->options.evictions_disabled) {
            item_set_shape(item, SHAPE_HELD);
            gone = ref; /* it has no place */
        } else {
            gone = displace(head, tag, ref);
            store->displaced = true;
        }
    }
    bucket_change_end(head);
    return gone;
}

/** Counts a displaced item, which is out of the index and not yet freed, as an evicted one. */
static void
count_displaced(struct cache *cache, uint32_t ref)
{
    struct size_class *class =
        &cache->size_class[cache_item_class(cache, item_shape(cache_item(cache, ref)))];
    lock_acquire(&class->lock);
    evict_note_gone(cache, class, ref);
    lock_release(&class->lock);
}

void
store_finish(struct cache *cache, struct cache_thread *thread, const struct cache_store *store,
             uint32_t gone)
{
    metric_add(&thread->counters.items_total, 1);
    expire_note(cache, store->ref, store->expire_s);
    if (gone != 0 && store->displaced) {
        count_displaced(cache, gone);
    }
    if (gone != 0) {
        cache_free_item(cache, gone, 0);
        return;
    }
    /* relaxed: a hint */
    table_grow(&cache->table, atomic_load_explicit(&cache->items_hint, memory_order_relaxed));
}

struct found
store_find_living(struct cache *cache, struct bucket *head, uint64_t hash, const void *key,
                  uint32_t key_len, bool *living)
{
    struct found found = find_key(cache, head, table_tag(hash), key, key_len);
    *living = found.ref != 0 &&
              !cache_is_dead(cache, cache_item(cache, found.ref), found.shape, cache_now_s(cache));
    return found;
}

static const void *
store_key(const struct cache *cache, const struct cache_store *store)
{
    uint32_t flags = store->client_flags != 0 ? SHAPE_CLIENT_FLAGS : 0;
    return item_key(cache_item(cache, store->ref), flags, cache->cas_size);
}

const void *
cache_store_key(const struct cache *cache, const struct cache_store *store, int64_t *expires_at)
{
    *expires_at = cache_expires_at(cache, store->expire_s);
    return store_key(cache, store);
}

/** Whether the mode lets the store take place; counts what cas commands come to. */
static enum cache_result
may_store(struct cache *cache, struct cache_thread *thread, struct cache_store *store,
          enum cache_store_mode mode, const struct found *old, bool living, uint64_t cas)
{
    switch (mode) {
    case CACHE_SET:
        return CACHE_OK;
    case CACHE_ADD:
        if (living) {
            struct item *item = cache_item(cache, old->ref);
            item_set_access(item, access_at(item_access(item), cache_now_s(cache)));
        }
        return living ? CACHE_NOT_STORED : CACHE_OK;
    case CACHE_REPLACE:
        return living ? CACHE_OK : CACHE_NOT_STORED;
    case CACHE_CAS:
        if (!living) {
            metric_add(&thread->counters.cas_misses, 1);
            return CACHE_MISS;
        }
        struct class_counters *counters =
            &thread->counters.of_class[cache_item_class(cache, old->shape)];
        struct item *item = cache_item(cache, old->ref);
        if (cache->cas_size > 0 && store->late_is_stale && cas < item_cas(item)) {
            store->marks = SHAPE_STALE | (old->shape & SHAPE_WIN);
            store->expire_s = item_expire_s(item);
        } else if (cache->cas_size == 0 || item_cas(item) != cas) {
            metric_add(&counters->cas_badval, 1);
            return CACHE_EXISTS;
        }
        metric_add(&counters->cas_hits, 1);
        return CACHE_OK;
    case CACHE_APPEND:
    case CACHE_PREPEND:
        break;
    }
    assert(false && "append and prepend go through commit_joined()");
    return CACHE_NOT_STORED;
}

/* -- append and prepend ------------------------------------------------------------------------ */

/** The value that is to be lengthened, held so that it can be read in peace. */
struct base {
    uint32_t ref;
    const struct bucket *head;
    uint32_t word; /* of that bucket, when it was taken */
    uint32_t client_flags;
    uint32_t value_len;
    struct cache_pin *pin;         /* a long one */
    uint8_t bytes[CACHE_COPY_MAX]; /* a short one, copied */
};

static enum cache_result
take_base(struct cache *cache, const struct cache_store *store, uint64_t cas, struct base *base)
{
    bool living;
    struct bucket *head = table_lock(&cache->table, store->hash);
    struct found found = store_find_living(cache, head, store->hash, store_key(cache, store),
                                           store->key_len, &living);
    enum cache_result result = CACHE_OK;
    if (!living) {
        result = CACHE_NOT_STORED;
    } else {
        struct item *item = cache_item(cache, found.ref);
        if (cas != 0 && (cache->cas_size == 0 || item_cas(item) != cas)) {
            result = CACHE_EXISTS;
        } else {
            base->ref = found.ref;
            base->head = head;
            base->word = bucket_word(head);
            base->client_flags = item_client_flags(item, found.shape, cache->cas_size);
            base->value_len = cache_item_value_len(cache, item, found.shape);
            base->pin = NULL;
            if (found.shape & SHAPE_LARGE) {
                large_pin(cache, item, found.shape);
                base->pin = (struct cache_pin *)(void *)item;
            } else {
                race_copy_out(base->bytes,
                              item_key(item, found.shape, cache->cas_size) + store->key_len,
                              base->value_len);
            }
        }
    }
    bucket_unlock(head);
    return result;
}

/** Writes the value of a long item that stays as it is: pinned, or not visible yet. */
static enum cache_result
write_long(struct cache *cache, struct cache_thread *thread, struct cache_store *joined,
           const struct item *head, uint32_t shape, uint32_t len)
{
    struct cache_piece piece;
    for (size_t at = 0; at < len; at += piece.len) {
        unsigned pieces = large_pieces(cache, head, shape, at, &piece, 1);
        assert(pieces == 1);
        enum cache_result result = cache_store_write(cache, thread, joined, piece.at, piece.len);
        if (result != CACHE_OK) {
            return result;
        }
    }
    return CACHE_OK;
}

static enum cache_result
write_base(struct cache *cache, struct cache_thread *thread, struct cache_store *joined,
           const struct base *base)
{
    if (base->pin == NULL) {
        return cache_store_write(cache, thread, joined, base->bytes, base->value_len);
    }
    const struct item *head = (const struct item *)(const void *)base->pin;
    return write_long(cache, thread, joined, head, large_shape(head), base->value_len);
}

/** Writes the bytes that the request brought. */
static enum cache_result
write_added(struct cache *cache, struct cache_thread *thread, struct cache_store *joined,
            const struct cache_store *store)
{
    uint32_t shape = store_shape(store, 0);
    const struct item *item = cache_item(cache, store->ref);
    if (store->large) {
        return write_long(cache, thread, joined, item, shape, store->value_len);
    }
    return cache_store_write(cache, thread, joined,
                             item_key(item, shape, cache->cas_size) + store->key_len,
                             store->value_len);
}

/** One try: CACHE_MISS when the item has changed meanwhile. */
static enum cache_result
join_once(struct cache *cache, struct cache_thread *thread, struct cache_store *store, bool prepend,
          struct base *base, uint64_t *cas_out)
{
    struct cache_store joined;
    enum cache_result result = cache_store_begin(
        cache, thread, store_key(cache, store), store->key_len,
        (uint64_t)base->value_len + store->value_len, base->client_flags, CACHE_NEVER, &joined);
    if (result != CACHE_OK) {
        return result;
    }
    joined.cas_new = store->cas_new;
    result = prepend ? write_added(cache, thread, &joined, store)
                     : write_base(cache, thread, &joined, base);
    if (result == CACHE_OK) {
        result = prepend ? write_base(cache, thread, &joined, base)
                         : write_added(cache, thread, &joined, store);
    }
    if (result != CACHE_OK) {
        return result;
    }
    bool living;
    struct bucket *head = table_lock(&cache->table, store->hash);
    struct found old = store_find_living(cache, head, store->hash, store_key(cache, store),
                                         store->key_len, &living);
    bool same = living && old.ref == base->ref &&
                (base->pin != NULL ||
                 (head == base->head && ((bucket_word(head) ^ base->word) & ~BUCKET_LOCKED) == 0));
    uint32_t gone = 0;
    store_change_begin(thread);
    if (same) {
        joined.cas_new = store_cas_for_change(cache, &old, joined.cas_new);
        same = joined.cas_new != 0;
    }
    if (same) {
        joined.expire_s = item_expire_s(cache_item(cache, old.ref));
        joined.binary_key = (old.shape & SHAPE_BINARY_KEY) != 0;
        joined.keeps = true;
        gone = store_publish(cache, &joined, head, &old, cas_out);
        store->value_len_out = joined.value_len_out;
    }
    store_change_end(thread);
    bucket_unlock(head);
    if (!same) {
        cache_store_abort(cache, thread, &joined);
        return CACHE_MISS;
    }
    store_finish(cache, thread, &joined, gone);
    return CACHE_OK;
}

static enum cache_result
commit_joined(struct cache *cache, struct cache_thread *thread, struct cache_store *store,
              bool prepend, uint64_t cas, uint64_t *cas_out)
{
    struct base base;
    enum cache_result result = CACHE_MISS;
    for (unsigned tries = 0; result == CACHE_MISS && tries < REWRITE_TRIES_MAX; tries++) {
        result = take_base(cache, store, cas, &base);
        if (result != CACHE_OK) {
            break;
        }
        result = join_once(cache, thread, store, prepend, &base, cas_out);
        if (base.pin != NULL) {
            cache_unpin(cache, thread, &base.pin);
        }
    }
    if (result == CACHE_NOT_STORED && store->vivify) {
        return cache_store_commit(cache, thread, store, CACHE_ADD, 0, cas_out);
    }
    cache_store_abort(cache, thread, store);
    return result == CACHE_MISS ? CACHE_NO_MEMORY : result;
}

uint32_t
store_held_expiry(const struct cache *cache, uint64_t hash, uint32_t old_s, uint32_t new_s)
{
    bool held = holdoff_holds(holdoff_since(&cache->holdoff, hash), cache_now_s(cache),
                              holdoff_span_s(&cache->holdoff));
    return held && old_s != 0 && (new_s == 0 || new_s > old_s) ? old_s : new_s;
}

/**
 * A plain store of a key that was voided a moment ago may bring an old value: it lives for the
 * hold-off at most, or is refused.  A store against an id may bring what was made of such a value,
 * unless the id was given for making the item anew.  Its bucket is locked.
 */
static enum cache_result
hold_off(struct cache *cache, struct cache_store *store, enum cache_store_mode mode,
         const struct found *old)
{
    struct holdoff *holdoff = &cache->holdoff;
    if (store->by_observer || store->claimed) {
        return CACHE_OK; /* an empty item that is about to be made brings nothing */
    }
    if (mode == CACHE_CAS) {
        if (!(old->shape & SHAPE_WIN)) {
            store->expire_s = store_held_expiry(
                cache, store->hash, item_expire_s(cache_item(cache, old->ref)), store->expire_s);
        }
        return CACHE_OK;
    }
    uint32_t now_s = cache_now_s(cache);
    uint32_t since = holdoff_since(holdoff, store->hash);
    /* relaxed: a hint; there is none as a rule */
    if (atomic_load_explicit(&cache->prefixes.count, memory_order_relaxed) > 0) {
        uint32_t flushed =
            prefixes_held_s(&cache->prefixes, store_key(cache, store), store->key_len);
        since = flushed > since ? flushed : since;
    }
    if (!holdoff_holds(since, now_s, holdoff->seconds)) {
        return CACHE_OK;
    }
    if (holdoff->refuse) {
        metric_add_shared(&holdoff->refused, 1);
        return CACHE_NOT_STORED;
    }
    uint32_t expire_s = now_s + holdoff->seconds;
    if (store->expire_s == 0 || store->expire_s > expire_s) {
        store->expire_s = expire_s;
        metric_add_shared(&holdoff->shortened, 1);
    }
    return CACHE_OK;
}

/** A bypassed key is not stored, and what is there goes: the client meant to replace it. */
static enum cache_result
refuse_bypassed(struct cache *cache, struct cache_thread *thread, struct cache_store *store)
{
    bool was_claimed;
    (void)cache_void(cache, thread, store_key(cache, store), store->key_len, &was_claimed);
    cache_store_abort(cache, thread, store);
    return CACHE_NOT_STORED;
}

enum cache_result
cache_store_commit(struct cache *cache, struct cache_thread *thread, struct cache_store *store,
                   enum cache_store_mode mode, uint64_t cas, uint64_t *cas_out)
{
    assert(store->room == 0 && store->missing == 0);
    if (cache_has_prefixes(cache) && !store->by_observer &&
        cache_is_bypassed(cache, store_key(cache, store), store->key_len)) {
        return refuse_bypassed(cache, thread, store);
    }
    if (mode == CACHE_APPEND || mode == CACHE_PREPEND) {
        return commit_joined(cache, thread, store, mode == CACHE_PREPEND, cas, cas_out);
    }
    bool living;
    struct bucket *head = table_lock(&cache->table, store->hash);
    struct found old = store_find_living(cache, head, store->hash, store_key(cache, store),
                                         store->key_len, &living);
    enum cache_result result = may_store(cache, thread, store, mode, &old, living, cas);
    uint32_t gone = 0;
    if (mode == CACHE_CAS) {
        store_change_begin(thread);
    }
    if (result == CACHE_OK && mode == CACHE_CAS) {
        store->cas_new = store_cas_for_change(cache, &old, store->cas_new);
        result = store->cas_new != 0 ? CACHE_OK : CACHE_MISS;
    }
    if (result == CACHE_OK && __builtin_expect(cache->holdoff.cell != NULL, 0)) {
        result = hold_off(cache, store, mode, &old);
    }
    if (result == CACHE_OK) {
        gone = store_publish(cache, store, head, &old, cas_out);
    }
    if (mode == CACHE_CAS) {
        store_change_end(thread);
    }
    bucket_unlock(head);
    if (gone == store->ref) {
        metric_add(&thread->counters.store_no_memory, 1);
        result = CACHE_NO_MEMORY;
    }
    if (result != CACHE_OK) {
        cache_store_abort(cache, thread, store);
        return result;
    }
    store_finish(cache, thread, store, gone);
    return CACHE_OK;
}

/* -- set, all at once -------------------------------------------------------------------------- */

/** What overwrite() writes. */
struct overwrite {
    const void *value;
    uint32_t value_len;
    uint32_t client_flags;
    uint32_t expire_s;
    uint8_t class_id;
    uint64_t cas; /* out */
};

/** Writes a new value where the old one lies; its bucket is locked. */
static void
overwrite_at(struct cache *cache, struct bucket *head, const struct found *found,
             struct overwrite *with)
{
    struct item *item = cache_item(cache, found->ref);
    uint32_t key_len = shape_key_len(found->shape);
    uint32_t flags = found->shape & (SHAPE_SMALL | SHAPE_CLIENT_FLAGS);
    uint32_t access = item_access(item) & ACCESS_USES_MASK;
    if ((flags & SHAPE_SMALL) && access != ACCESS_USES_MASK) {
        access += ACCESS_USE_ONE; /* it keeps its place in the small queue, and so its age */
    }
    bucket_change_begin(head);
    /* An eviction may take SHAPE_SMALL away in this moment (class's lock), and have it back by this.
     * Then the item is a small one without a note, as others that evict_one() knows. */
    item_set_shape(item, shape_make(key_len, with->value_len, cache_generation(cache), flags));
    item_set_access(item, access_at(access, cache_now_s(cache)));
    item_set_expire_s(item, with->expire_s);
    if (cache->cas_size > 0) {
        with->cas = next_cas(cache);
        item_set_cas(item, with->cas);
    }
    if (flags & SHAPE_CLIENT_FLAGS) {
        /* relaxed: as all of an item, see item.h */
        atomic_store_explicit(&item->cas[cache->cas_size / sizeof(uint32_t)], with->client_flags,
                              memory_order_relaxed);
    }
    if (with->value_len > 0) {
        race_copy_in(item_key(item, flags, cache->cas_size) + key_len, with->value,
                     with->value_len);
    }
    bucket_change_end(head);
}

/** A set over an item that lives and has a chunk of the same size: no memory is taken or given
 * back, and no class's lock.  False: not so. */
static bool
overwrite(struct cache *cache, uint64_t hash, const void *key, uint32_t key_len,
          struct overwrite *with)
{
    uint16_t tag = table_tag(hash);
    const struct bucket *hint = table_bucket(&cache->table, hash);
    if (bucket_match(hint, tag) == 0 && !(bucket_word(hint) & BUCKET_CHAINED)) {
        return false; /* as most new keys; a look without the lock is enough for a no */
    }
    bool living;
    struct bucket *head = table_lock(&cache->table, hash);
    struct found found = store_find_living(cache, head, hash, key, key_len, &living);
    uint32_t old_len = shape_value_len(found.shape);
    bool fits = living && !(found.shape & SHAPE_LARGE) &&
                ((found.shape & SHAPE_CLIENT_FLAGS) != 0) == (with->client_flags != 0) &&
                cache_item_class(cache, found.shape) == with->class_id;
    if (fits) {
        overwrite_at(cache, head, &found, with);
    }
    bucket_unlock(head);
    if (!fits) {
        return false;
    }
    expire_note(cache, found.ref, with->expire_s);
    if (old_len != with->value_len) {
        uint32_t head_len = item_key_offset(found.shape, cache->cas_size) + key_len;
        slab_item_resized(cache, with->class_id, head_len + old_len, head_len + with->value_len);
    }
    return true;
}

enum cache_result
cache_set(struct cache *cache, struct cache_thread *thread, const void *key, uint32_t key_len,
          const void *value, uint32_t value_len, uint32_t client_flags, int64_t expires_at,
          uint64_t *cas_out)
{
    uint64_t hash = hash_bytes(key, key_len, cache->options.hash_seed);
    uint32_t size = item_key_offset(client_flags != 0 ? SHAPE_CLIENT_FLAGS : 0, cache->cas_size) +
                    key_len + value_len;
    if (value_len <= OVERWRITE_MAX && size <= cache->chunk_max && cache->holdoff.cell == NULL &&
        !cache_has_prefixes(cache)) {
        struct overwrite with = { .value = value,
                                  .value_len = value_len,
                                  .client_flags = client_flags,
                                  .expire_s = cache_expire_s(cache, expires_at),
                                  .class_id = cache_class_of(cache, size) };
        if (overwrite(cache, hash, key, key_len, &with)) {
            metric_add(&thread->counters.of_class[with.class_id].set_cmds, 1);
            metric_add(&thread->counters.items_total, 1);
            *cas_out = with.cas;
            return CACHE_OK;
        }
    }
    struct cache_store store;
    enum cache_result result = begin_hashed(cache, thread, hash, key, key_len, value_len,
                                            client_flags, expires_at, &store);
    if (result == CACHE_OK) {
        result = cache_store_write(cache, thread, &store, value, value_len);
    }
    return result == CACHE_OK ? cache_store_commit(cache, thread, &store, CACHE_SET, 0, cas_out)
                              : result;
}
