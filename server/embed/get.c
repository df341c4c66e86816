/* Reading: gets by copy, alone and in batches, views that copy nothing, and larder_fetch(). */
#include "config.h"

#include "embed/larder_priv.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIECES           16u /* of a long value, copied before more are asked for */
#define VIVIFY_TRIES_MAX 16u /* of creating an item that others create and delete meanwhile */

void
copy_pinned(const struct cache *cache, const struct cache_pin *pin, size_t value_len, uint8_t *buf)
{
    size_t at = 0;
    while (at < value_len) {
        struct cache_piece pieces[PIECES];
        unsigned count = cache_pin_pieces(cache, pin, at, pieces, PIECES);
        assert(count >= 1 && count <= PIECES);
        for (unsigned i = 0; i < count; i++) {
            assert(pieces[i].len <= value_len - at);
            memcpy(buf + at, pieces[i].at, pieces[i].len);
            at += pieces[i].len;
        }
    }
}

/* -- by copy ----------------------------------------------------------------------------------- */

/** As read_value(), for every kind of value. */
static __attribute__((noinline)) enum larder_result
read_any_value(struct cache *cache, struct cache_thread *thread, struct cache_read *read,
               enum cache_result result, uint8_t *buf, size_t buf_cap)
{
    while (result == CACHE_OK) {
        bool fits = read->value_len <= buf_cap;
        if (read->pin != NULL) {
            bool whole = cache_hit(cache, thread, read);
            assert(whole);
            if (fits) {
                copy_pinned(cache, read->pin, read->value_len, buf);
            }
            cache_unpin(cache, thread, &read->pin);
            return fits ? LARDER_OK : LARDER_TOO_LARGE;
        }
        if (fits && read->value_len > 0) {
            cache_copy(cache, read, buf);
        }
        if (cache_hit(cache, thread, read)) {
            return fits ? LARDER_OK : LARDER_TOO_LARGE;
        }
        result = cache_find(cache, thread, read);
    }
    assert(result == CACHE_MISS);
    return LARDER_MISS;
}

/**
 * Reads one value; `result` is what a first cache_find() said.
 *
 * Tries again for as long as writers change this very item under the copy.  Each try that fails
 * means that a store of another thread has succeeded, so the threads together always get on.
 */
static inline enum larder_result
read_value(const struct call *call, struct cache_read *read, enum cache_result result, uint8_t *buf,
           size_t buf_cap)
{
    /* Short, and undisturbed: nearly every hit. */
    if (__builtin_expect(result == CACHE_OK && read->pin == NULL && read->value_len <= buf_cap,
                         1)) {
        if (read->value_len > 0) {
            cache_copy(call->cache, read, buf);
        }
        if (__builtin_expect(cache_hit(call->cache, call->thread, read), 1)) {
            return LARDER_OK;
        }
        result = cache_find(call->cache, call->thread, read);
    }
    return read_any_value(call->cache, call->thread, read, result, buf, buf_cap);
}

/** The body of larder_get() and larder_get_cas(). */
static inline enum larder_result
get_one(struct larder *cache, const void *key, size_t key_len, void *buf, size_t buf_cap,
        size_t *value_len, uint64_t *cas)
{
    if (!call_good(cache, key, key_len)) {
        return call_bad(cache);
    }
    if (!bytes_good(buf, buf_cap)) {
        return LARDER_BAD_OPTION;
    }
    struct cache_read read;
    read.key = key;
    read.key_len = (uint32_t)key_len;
    read.mode = CACHE_READ_HIT;

    struct call call = call_begin(cache);
    enum cache_result found = cache_find_one(call.cache, call.thread, &read);
    enum larder_result result = read_value(&call, &read, found, buf, buf_cap);
    call_end(&call);

    if (result != LARDER_MISS) {
        if (value_len != NULL) {
            *value_len = read.value_len;
        }
        if (cas != NULL) {
            *cas = read.cas;
        }
    }
    return result;
}

enum larder_result
larder_get_cas(struct larder *cache, const void *key, size_t key_len, void *buf, size_t buf_cap,
               size_t *value_len, uint64_t *cas)
{
    return get_one(cache, key, key_len, buf, buf_cap, value_len, cas);
}

enum larder_result
larder_get(struct larder *cache, const void *key, size_t key_len, void *buf, size_t buf_cap,
           size_t *value_len)
{
    return get_one(cache, key, key_len, buf, buf_cap, value_len, NULL);
}

enum larder_result
larder_get_and_touch(struct larder *cache, const void *key, size_t key_len, uint32_t ttl_s,
                     void *buf, size_t buf_cap, size_t *value_len)
{
    struct larder_fetch fetch = { .version = LARDER_FETCH_VERSION,
                                  .touch = 1,
                                  .touch_ttl_s = ttl_s,
                                  .key = key,
                                  .key_len = key_len,
                                  .buf = buf,
                                  .buf_cap = buf_cap };
    enum larder_result result = larder_fetch(cache, &fetch);
    if ((result == LARDER_OK || result == LARDER_TOO_LARGE) && value_len != NULL) {
        *value_len = fetch.value_len;
    }
    return result;
}

/** A batch of at most CACHE_BATCH_MAX good keys; `gets[i]` belongs to `reads[i]`. */
static void
get_group(struct larder *cache, struct cache_read *reads, struct larder_get **gets, unsigned count)
{
    struct call call = call_begin(cache);
    cache_prefetch(call.cache, reads, count);
    for (unsigned i = 0; i < count; i++) {
        struct larder_get *get = gets[i];
        enum cache_result found = cache_find(call.cache, call.thread, &reads[i]);
        get->result = read_value(&call, &reads[i], found, get->buf, get->buf_cap);
        if (get->result != LARDER_MISS) {
            get->value_len = reads[i].value_len;
            get->cas = reads[i].cas;
            get->flags = reads[i].client_flags;
        }
    }
    call_end(&call);
}

void
larder_get_batch(struct larder *cache, struct larder_get *gets, size_t count)
{
    struct cache_read reads[CACHE_BATCH_MAX];
    struct larder_get *of_read[CACHE_BATCH_MAX];
    size_t next = gets != NULL ? 0 : count;
    while (next < count) {
        unsigned grouped = 0;
        while (next < count && grouped < CACHE_BATCH_MAX) {
            struct larder_get *get = &gets[next++];
            if (!call_good(cache, get->key, get->key_len)) {
                get->result = call_bad(cache);
                continue;
            }
            if (!bytes_good(get->buf, get->buf_cap)) {
                get->result = LARDER_BAD_OPTION;
                continue;
            }
            reads[grouped].key = get->key;
            reads[grouped].key_len = (uint32_t)get->key_len;
            reads[grouped].mode = CACHE_READ_HIT;
            of_read[grouped] = get;
            grouped++;
        }
        if (grouped > 0) {
            get_group(cache, reads, of_read, grouped);
        }
    }
}

/* -- without a copy ---------------------------------------------------------------------------- */

/** Takes one of the places for views; false when there is none. */
static bool
take_view_place(struct larder *cache)
{
    /* relaxed: only a number; who closes the cache reads it after all releases */
    if (atomic_fetch_add_explicit(&cache->views, 1, memory_order_relaxed) < LARDER_VIEWS_MAX) {
        return true;
    }
    atomic_fetch_sub_explicit(&cache->views, 1, memory_order_relaxed);
    return false;
}

static void
give_view_place(struct larder *cache)
{
    /* release: pairs with larder_close() */
    atomic_fetch_sub_explicit(&cache->views, 1, memory_order_release);
}

/** A pinned value becomes a view, or is let go. */
static enum larder_result
view_pinned(struct larder *cache, struct call *call, struct cache_read *read,
            struct larder_view *view)
{
    bool whole = cache_hit(call->cache, call->thread, read);
    assert(whole);
    if (!take_view_place(cache)) {
        cache_unpin(call->cache, call->thread, &read->pin);
        return LARDER_NO_MEMORY;
    }
    struct cache_piece pieces[2];
    unsigned count = cache_pin_pieces(call->cache, read->pin, 0, pieces, 2);
    view->value = count == 1 ? pieces[0].at : NULL;
    view->pin = read->pin;
    return LARDER_OK;
}

/** Room in the heap for a value that is not pinned.  False when there is none. */
static bool
view_block(struct larder_view *view, size_t *block_cap, size_t value_len)
{
    if (view->block != NULL && value_len <= *block_cap) {
        return true;
    }
    free(view->block);
    *block_cap = value_len > 0 ? value_len : 1;
    view->block = malloc(*block_cap);
    return view->block != NULL;
}

/** Fills the view's value; as read_value(). */
static enum larder_result
view_value(struct larder *cache, struct call *call, struct cache_read *read,
           struct larder_view *view)
{
    size_t block_cap = 0;
    enum cache_result result = cache_find_one(call->cache, call->thread, read);
    while (result == CACHE_OK) {
        if (read->pin != NULL) {
            return view_pinned(cache, call, read, view);
        }
        bool room = view_block(view, &block_cap, read->value_len);
        if (room && read->value_len > 0) {
            cache_copy(call->cache, read, view->block);
        }
        if (cache_hit(call->cache, call->thread, read)) {
            view->value = view->block;
            return room ? LARDER_OK : LARDER_SYSTEM;
        }
        result = cache_find(call->cache, call->thread, read);
    }
    return LARDER_MISS;
}

enum larder_result
larder_get_view(struct larder *cache, const void *key, size_t key_len, struct larder_view *view)
{
    if (!call_good(cache, key, key_len)) {
        return call_bad(cache);
    }
    if (view == NULL) {
        return LARDER_BAD_OPTION;
    }
    *view = (struct larder_view){ 0 };
    struct cache_read read;
    read.key = key;
    read.key_len = (uint32_t)key_len;
    read.mode = CACHE_READ_HIT;

    struct call call = call_begin(cache);
    enum larder_result result = view_value(cache, &call, &read, view);
    call_end(&call);
    if (result == LARDER_OK) {
        view->value_len = read.value_len;
        view->cas = read.cas;
        view->flags = read.client_flags;
        if (view->pin != NULL) {
            free(view->block); /* of a try before, when the value was a short one */
            view->block = NULL;
        }
    } else {
        free(view->block);
        *view = (struct larder_view){ 0 };
    }
    return result;
}

size_t
larder_view_pieces(struct larder *cache, const struct larder_view *view, size_t from,
                   struct larder_piece *pieces, size_t max)
{
    if (cache == NULL || view == NULL || pieces == NULL || from >= view->value_len) {
        return 0;
    }
    if (view->pin == NULL && max > 0) {
        pieces[0] =
            (struct larder_piece){ (const uint8_t *)view->block + from, view->value_len - from };
        return 1;
    }
    size_t count = 0;
    while (count < max && from < view->value_len) {
        struct cache_piece some[PIECES];
        unsigned wanted = max - count < PIECES ? (unsigned)(max - count) : PIECES;
        unsigned got = cache_pin_pieces(cache->cache, view->pin, from, some, wanted);
        assert(got >= 1 && got <= wanted);
        for (unsigned i = 0; i < got; i++) {
            pieces[count++] = (struct larder_piece){ some[i].at, some[i].len };
            from += some[i].len;
        }
    }
    return count;
}

void
larder_release(struct larder *cache, struct larder_view *view)
{
    if (cache == NULL || view == NULL) {
        return;
    }
    free(view->block);
    if (view->pin != NULL) {
        struct cache_pin *pin = view->pin;
        struct call call = call_take(cache);
        cache_unpin(call.cache, call.thread, &pin);
        call_release(&call);
        give_view_place(cache);
    }
    *view = (struct larder_view){ 0 };
}

/* -- with all that is known -------------------------------------------------------------------- */

/** Finds out who is to make the item anew, and fills in what was found; between cache_find() and
 * cache_hit(). */
static void
fill_fetch(const struct call *call, struct cache_read *read, struct larder_fetch *fetch,
           enum cache_claim *claim)
{
    cache_read_more(call->cache, read);
    fetch->ttl_s = ttl_left(call, read->expires_at);
    bool due = fetch->ttl_s >= 0 && fetch->ttl_s < fetch->recache_s;
    if (*claim != CACHE_CLAIM_WON) { /* asked once, however often the read is tried */
        *claim = cache_claim(call->cache, read, due);
    }
    fetch->won = *claim == CACHE_CLAIM_WON;
    fetch->taken = *claim == CACHE_CLAIM_TAKEN;
    fetch->value_len = read->value_len;
    fetch->cas = read->cas;
    fetch->flags = read->client_flags;
    fetch->idle_s = read->idle_s;
    fetch->fetched = read->fetched;
    fetch->stale = read->stale;
}

/** Looks the key up; LARDER_OK, LARDER_TOO_LARGE or LARDER_MISS. */
static enum larder_result
fetch_hit(struct call *call, struct cache_read *read, struct larder_fetch *fetch)
{
    enum cache_claim claim = CACHE_CLAIM_NONE;
    enum cache_result found = cache_find_one(call->cache, call->thread, read);
    for (; found == CACHE_OK; found = cache_find(call->cache, call->thread, read)) {
        fill_fetch(call, read, fetch, &claim);
        bool fits = read->value_len <= fetch->buf_cap;
        if (read->pin == NULL && fits && read->value_len > 0) {
            cache_copy(call->cache, read, fetch->buf);
        }
        if (!cache_hit(call->cache, call->thread, read)) {
            continue; /* it changed meanwhile: what was filled in is void */
        }
        if (read->pin != NULL) {
            if (fits) {
                copy_pinned(call->cache, read->pin, read->value_len, fetch->buf);
            }
            cache_unpin(call->cache, call->thread, &read->pin);
        }
        return fits ? LARDER_OK : LARDER_TOO_LARGE;
    }
    fetch->won = 0;
    fetch->taken = 0;
    fetch->cas = 0;
    return LARDER_MISS;
}

/** Creates an empty item for a key that is missing.  CACHE_NOT_STORED when it is there after all.
 */
static enum cache_result
vivify(struct call *call, struct larder_fetch *fetch)
{
    struct cache_store store;
    enum cache_result result =
        cache_store_begin(call->cache, call->thread, fetch->key, (uint32_t)fetch->key_len, 0, 0,
                          expires_at(call, fetch->vivify_ttl_s), &store);
    if (result == CACHE_OK) {
        store.claimed = true;
        store.fetched = fetch->quiet == 0;
        result = cache_store_commit(call->cache, call->thread, &store, CACHE_ADD, 0, &fetch->cas);
    }
    return result;
}

/** Gets, and creates what is missing if that is wished. */
static enum larder_result
fetch_or_vivify(struct call *call, struct cache_read *read, struct larder_fetch *fetch)
{
    for (unsigned tries = 0; tries < VIVIFY_TRIES_MAX; tries++) {
        enum larder_result result = fetch_hit(call, read, fetch);
        if (result != LARDER_MISS || !fetch->vivify) {
            return result;
        }
        enum cache_result made = vivify(call, fetch);
        if (made == CACHE_OK) {
            fetch->won = 1;
            return LARDER_MISS;
        }
        if (made != CACHE_NOT_STORED) {
            return LARDER_NO_MEMORY;
        }
        /* The miss has been counted. */
        read->mode = fetch->quiet ? CACHE_READ_PEEK : CACHE_READ_USE;
    }
    return LARDER_MISS;
}

enum larder_result
larder_fetch(struct larder *cache, struct larder_fetch *fetch)
{
    if (fetch == NULL || fetch->version != LARDER_FETCH_VERSION) {
        return LARDER_BAD_OPTION;
    }
    if (!call_good(cache, fetch->key, fetch->key_len)) {
        return call_bad(cache);
    }
    if (!bytes_good(fetch->buf, fetch->buf_cap)) {
        return LARDER_BAD_OPTION;
    }
    fetch->won = 0;
    fetch->taken = 0;
    fetch->cas = 0;
    struct cache_read read;
    read.key = fetch->key;
    read.key_len = (uint32_t)fetch->key_len;
    read.mode = fetch->touch
                    ? fetch->quiet ? CACHE_READ_PEEK : CACHE_READ_USE /* counts as a touch */
                : fetch->quiet ? CACHE_READ_QUIET
                               : CACHE_READ_HIT;
    struct call call = call_begin(cache);
    enum larder_result result = fetch_or_vivify(&call, &read, fetch);
    if (fetch->touch && !(result == LARDER_MISS && fetch->won) && result != LARDER_NO_MEMORY) {
        enum cache_result touched =
            cache_touch_as(call.cache, call.thread, fetch->key, (uint32_t)fetch->key_len,
                           expires_at(&call, fetch->touch_ttl_s), CACHE_READ_QUIET);
        assert(touched == CACHE_OK || touched == CACHE_MISS);
    }
    call_end(&call);
    return result;
}
