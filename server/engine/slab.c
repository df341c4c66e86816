#include "config.h"

#include "engine/slab.h"

#include "base/assert.h"
#include "engine/cache_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_MIN \
    24u /* bytes of the smallest class, rounded from a header and a key of some bytes */
#define CHUNK_STEP              8u   /* bytes: sizes are multiples */
#define FACTOR_DEFAULT          1.08 /* between classes */
#define CLASS_BY_SIZE_LEN       (ITEM_SHORT_MAX / CHUNK_STEP + 2)
#define STEALS_MAX              4u   /* pages that one store may fetch from other classes */
#define STEAL_FAILURES_MAX      2u   /* tries to fetch one that end without */
#define EVICTIONS_PER_STORE_MAX 64u
#define ITEMS_REPORT            16 /* change of a class's items that is told to the cache at once */

/* -- size classes ------------------------------------------------------------------------------ */

/** The next chunk size: as far as the factor goes, then up to where one chunk less would fit a
 * page. */
static uint32_t
next_chunk_size(uint32_t size, double factor, uint32_t page_size, uint32_t step)
{
    double wanted = floor((double)size * factor);
    uint32_t next = wanted >= page_size ? page_size : (uint32_t)wanted;
    next = next / step * step;
    if (next < size + step) {
        next = size + step;
    }
    uint32_t per_page = page_size / next;
    if (per_page < SLAB_CHUNKS_PER_PAGE_MIN) {
        return page_size / SLAB_CHUNKS_PER_PAGE_MIN;
    }
    return page_size / per_page / step * step;
}

/** The next of the sizes that were given, rounded up to a step; behind the last of them the largest
 * class. */
static uint32_t
next_given_size(const struct cache *cache, uint32_t size, uint32_t step)
{
    const struct cache_options *options = &cache->options;
    for (unsigned i = 0; i < options->chunk_sizes_len; i++) {
        uint32_t given = options->chunk_sizes[i];
        if (given > size && given <= cache->chunk_max) {
            return (given + step - 1) / step * step;
        }
    }
    return cache->chunk_max;
}

static uint32_t
first_chunk_size(const struct cache *cache, uint32_t step)
{
    uint32_t header = (uint32_t)sizeof(struct item) + cache->cas_size;
    uint32_t size = cache->options.chunk_min > 0 ? cache->options.chunk_min + header : CHUNK_MIN;
    size = (size + step - 1) / step * step;
    return size < cache->chunk_max ? size : cache->chunk_max;
}

bool
slab_classes_init(struct cache *cache)
{
    uint32_t page_size = (uint32_t)pages_page_size(&cache->pages);
    uint32_t step =
        CHUNK_STEP > (1u << cache->pages.ref_shift) ? CHUNK_STEP : 1u << cache->pages.ref_shift;
    double factor =
        cache->options.growth_factor > 1.0 ? cache->options.growth_factor : FACTOR_DEFAULT;
    cache->chunk_max = page_size / SLAB_CHUNKS_PER_PAGE_MIN;
    cache->size_class = calloc(CACHE_CLASSES_MAX + 1, sizeof(struct size_class));
    cache->class_by_size = malloc(CLASS_BY_SIZE_LEN);
    if (cache->size_class == NULL || cache->class_by_size == NULL) {
        return false;
    }
    _Static_assert(ITEM_VALUE_MAX + 1 >= PAGES_PAGE_SIZE_MAX / SLAB_CHUNKS_PER_PAGE_MIN,
                   "class_by_size knows all sizes of chunks");
    bool given = cache->options.chunk_sizes_len > 0;
    assert(cache->options.chunk_sizes_len < CACHE_CLASSES_MAX);
    uint32_t size = given ? next_given_size(cache, 0, step) : first_chunk_size(cache, step);
    uint32_t covered = 0; /* sizes up to this have a class */
    for (unsigned id = 1; covered < cache->chunk_max; id++) {
        if (id == CACHE_CLASSES_MAX) {
            size = cache->chunk_max;
        }
        struct size_class *class = &cache->size_class[id];
        class->id = (uint8_t)id;
        class->chunk_size = size;
        class->per_page = page_size / size;
        class->inverse = (uint32_t)(((uint64_t)1 << 32) / size + 1);
        lock_init(&class->lock,
                  size == cache->chunk_max ? LOCK_RANK_CLASS_LARGEST : LOCK_RANK_CLASS);
        uint32_t first = covered / CHUNK_STEP + (covered > 0);
        memset(cache->class_by_size + first, (int)id, CLASS_BY_SIZE_LEN - first);
        covered = size;
        cache->classes = id;
        size = given ? next_given_size(cache, size, step)
                     : next_chunk_size(size, factor, page_size, step);
    }
    cache->options.chunk_sizes = NULL; /* the caller's */
    return true;
}

void
slab_classes_fini(struct cache *cache)
{
    for (unsigned id = 1; id <= cache->classes; id++) {
        struct size_class *class = &cache->size_class[id];
        evict_queue_fini(cache, class);
        lock_fini(&class->lock);
        free(class->pages);
    }
    free(cache->size_class);
    free(cache->class_by_size);
}

/* -- pages and chunks -------------------------------------------------------------------------- */

uint32_t
slab_chunk_ref(const struct cache *cache, const struct size_class *class, uint32_t page,
               uint32_t chunk)
{
    return pages_ref(&cache->pages, page, (size_t)chunk * class->chunk_size);
}

static uint32_t
chunk_number(const struct cache *cache, const struct size_class *class, uint32_t ref)
{
    size_t offset = ((size_t)ref << cache->pages.ref_shift) & (pages_page_size(&cache->pages) - 1);
    return (uint32_t)((uint64_t)offset * class->inverse >> 32);
}

static enum page_state
state_of(const struct page *page)
{
    return (enum page_state)atomic_load_explicit(
        &page->state, memory_order_relaxed); /* relaxed: under the lock */
}

static void
set_state(struct page *page, enum page_state state)
{
    atomic_store_explicit(&page->state, (uint8_t)state,
                          memory_order_relaxed); /* relaxed: as state_of() */
}

static void
set_class(struct page *page, uint8_t class_id)
{
    atomic_store_explicit(&page->class_id, class_id,
                          memory_order_relaxed); /* relaxed: as page_class() */
}

uint32_t
slab_page_chunks(const struct cache *cache, uint32_t page)
{
    return cache->pages.page[page].fresh;
}

static void
partial_push(struct cache *cache, struct size_class *class, uint32_t number)
{
    struct page *page = &cache->pages.page[number];
    page->next = class->partial;
    page->prev = PAGE_NONE;
    if (class->partial != PAGE_NONE) {
        cache->pages.page[class->partial].prev = number;
    }
    class->partial = number;
}

static void
partial_remove(struct cache *cache, struct size_class *class, uint32_t number)
{
    struct page *page = &cache->pages.page[number];
    if (page->next != PAGE_NONE) {
        cache->pages.page[page->next].prev = page->prev;
    }
    if (page->prev != PAGE_NONE) {
        cache->pages.page[page->prev].next = page->next;
    } else {
        assert(class->partial == number);
        class->partial = page->next;
    }
}

/* A free chunk holds the number of the next free one of its page, plus 1, where an item's expiry
 * is. */

uint32_t
slab_take_free(struct cache *cache, struct size_class *class)
{
    uint32_t number = class->partial;
    if (number == PAGE_NONE) {
        return 0;
    }
    struct page *page = &cache->pages.page[number];
    uint32_t chunk;
    if (page->free_head != 0) {
        chunk = page->free_head - 1u;
        page->free_head =
            (uint16_t)item_expire_s(cache_item(cache, slab_chunk_ref(cache, class, number, chunk)));
    } else {
        assert(page->fresh < class->per_page);
        chunk = page->fresh++;
    }
    page->free_count--;
    if (page->free_count == 0) {
        partial_remove(cache, class, number);
    }
    class->free_chunks--;
    class->used_chunks++;
    uint32_t ref = slab_chunk_ref(cache, class, number, chunk);
    /* release: whoever sees this chunk's new bytes without a lock also sees the change of the
     * bucket that let go of the old ones.  Pairs with the acquire fence of bucket_read_valid(). */
    atomic_thread_fence(memory_order_release);
    item_set_shape(cache_item(cache, ref), SHAPE_HELD);
    return ref;
}

void
slab_put_free(struct cache *cache, struct size_class *class, uint32_t ref)
{
    uint32_t number = pages_page_of(&cache->pages, ref);
    struct page *page = &cache->pages.page[number];
    assert(page_class(page) == class->id);
    struct item *item = cache_item(cache, ref);
    assert(item_shape(item) != SHAPE_FREE);
    item_set_shape(item, SHAPE_FREE);
    item_set_expire_s(item, page->free_head);
    page->free_head = (uint16_t)(chunk_number(cache, class, ref) + 1);
    page->free_count++;
    class->used_chunks--;
    if (state_of(page) == PAGE_DRAINING) {
        return;
    }
    class->free_chunks++;
    if (page->free_count == 1) {
        partial_push(cache, class, number);
    }
}

bool
slab_add_page(struct cache *cache, struct size_class *class, uint32_t number)
{
    if (class->pages_count == class->pages_cap) {
        uint32_t cap = class->pages_cap > 0 ? class->pages_cap * 2 : 4;
        uint32_t *pages = realloc(class->pages, cap * sizeof(*pages));
        if (pages == NULL) {
            return false;
        }
        class->pages = pages;
        class->pages_cap = cap;
    }
    struct page *page = &cache->pages.page[number];
    assert(page_class(page) == 0);
    set_class(page, class->id);
    page->position = class->pages_count;
    page->free_head = 0;
    page->fresh = 0;
    page->kept = false;
    page->free_count = (uint16_t) class->per_page;
    /* relaxed: a number that only grows */
    page->swept_stamp = atomic_load_explicit(&cache->sweep_stamp, memory_order_relaxed);
    set_state(page, PAGE_IN_CLASS);
    atomic_store_explicit(&page->expire_min, UINT32_MAX,
                          memory_order_relaxed); /* relaxed: nobody else knows the page */
    class->pages[class->pages_count++] = number;
    class->free_chunks += class->per_page;
    partial_push(cache, class, number);
    return true;
}

bool
slab_restore_page(struct cache *cache, struct size_class *class, uint32_t number,
                  const struct slab_restored *restored)
{
    assert(restored->fresh <= class->per_page && restored->free_len <= restored->fresh);
    if (!slab_add_page(cache, class, number)) {
        return false;
    }
    struct page *page = &cache->pages.page[number];
    uint32_t used = restored->fresh - restored->free_len;
    page->fresh = (uint16_t)restored->fresh;
    page->free_head = (uint16_t)restored->free_head;
    page->free_count = (uint16_t)(class->per_page - used);
    /* relaxed: no other thread yet */
    atomic_store_explicit(&page->expire_min, restored->expire_min, memory_order_relaxed);
    if (page->free_count == 0) {
        partial_remove(cache, class, number);
    }
    class->free_chunks -= used;
    class->used_chunks += used;
    class->items += restored->items;
    class->bytes += restored->bytes;
    return true;
}

void
slab_remove_page(struct cache *cache, struct size_class *class, uint32_t number)
{
    struct page *page = &cache->pages.page[number];
    assert(page_class(page) == class->id && page->free_count == class->per_page);
    if (state_of(page) == PAGE_IN_CLASS) {
        slab_begin_draining(cache, class, number);
    }
    uint32_t last = class->pages[--class->pages_count];
    class->pages[page->position] = last;
    cache->pages.page[last].position = page->position;
    set_class(page, 0);
    set_state(page, PAGE_FREE);
}

void
slab_begin_draining(struct cache *cache, struct size_class *class, uint32_t number)
{
    struct page *page = &cache->pages.page[number];
    assert(state_of(page) == PAGE_IN_CLASS);
    if (page->free_count > 0) {
        partial_remove(cache, class, number);
        class->free_chunks -= page->free_count;
    }
    set_state(page, PAGE_DRAINING);
}

void
slab_end_draining(struct cache *cache, struct size_class *class, uint32_t number)
{
    struct page *page = &cache->pages.page[number];
    assert(state_of(page) == PAGE_DRAINING);
    set_state(page, PAGE_IN_CLASS);
    if (page->free_count > 0) {
        partial_push(cache, class, number);
        class->free_chunks += page->free_count;
    }
}

/* -- giving out -------------------------------------------------------------------------------- */

static void
count_items(struct cache *cache, struct size_class *class, int change, uint64_t size)
{
    class->items += (uint64_t)(int64_t)change;
    class->bytes += (uint64_t)((int64_t)change * (int64_t)size);
    if (__builtin_expect(cache->sizes != NULL, 0)) {
        sizes_add(cache->sizes, size, change);
    }
    class->items_unreported += change;
    if (class->items_unreported >= ITEMS_REPORT || class->items_unreported <= -ITEMS_REPORT) {
        /* relaxed: a hint for the index's growth */
        atomic_fetch_add_explicit(&cache->items_hint, (uint64_t)(int64_t) class->items_unreported,
                                  memory_order_relaxed);
        class->items_unreported = 0;
    }
}

/** A chunk of the class from what is free, from a new page, or by evicting; 0 for none.  Class's
 * lock held. */
static uint32_t
take_or_evict(struct cache *cache, struct size_class *class, uint64_t *evicted)
{
    for (unsigned tries = 0; tries < EVICTIONS_PER_STORE_MAX; tries++) {
        uint32_t ref = slab_take_free(cache, class);
        if (ref != 0) {
            return ref;
        }
        uint32_t page = pages_may_take(&cache->pages) ? pages_take(&cache->pages) : PAGE_NONE;
        if (page != PAGE_NONE) {
            if (!slab_add_page(cache, class, page)) {
                pages_give(&cache->pages, page);
                return 0;
            }
            continue;
        }
        if (expire_reclaim(cache, class)) {
            continue;
        }
        if (cache->options.evictions_disabled || !evict_one(cache, class)) {
            return 0;
        }
        *evicted += class->chunk_size;
    }
    return 0;
}

/** As take_or_evict(), and fetches pages from other classes.  Returns with the class's lock held,
 * if it gives a chunk. */
static uint32_t
alloc_locked(struct cache *cache, struct cache_thread *thread, struct size_class *class,
             uint64_t *evicted)
{
    unsigned failures = 0;
    lock_acquire(&class->lock);
    for (unsigned steals = 0;; steals++) {
        uint32_t ref = take_or_evict(cache, class, evicted);
        if (ref != 0) {
            return ref;
        }
        if (cache->options.evictions_disabled || steals == STEALS_MAX ||
            failures == STEAL_FAILURES_MAX) {
            class->outofmemory++;
            lock_release(&class->lock);
            return 0;
        }
        lock_release(&class->lock);
        if (!rebalance_steal(cache, thread, class->id)) {
            /* Nobody else has a page to give: but what was being filled or moved here may have come
             * free meanwhile. */
            failures++;
            lock_acquire(&class->lock);
        }
    }
}

struct slab_grant
slab_alloc(struct cache *cache, struct cache_thread *thread, uint8_t class_id, uint64_t hash,
           uint64_t size)
{
    struct size_class *class = &cache->size_class[class_id];
    ghosts_prefetch(&cache->ghosts, hash);
    uint64_t evicted = 0;
    struct slab_grant grant = { .ref = alloc_locked(cache, thread, class, &evicted) };
    if (grant.ref == 0) {
        return grant;
    }
    enum ghost_age ghost = ghosts_take(cache, class, hash);
    if (ghost == GHOST_NEAR) {
        gain_note_ghost(cache, class, size);
    }
    grant.small = ghost == GHOST_NONE && evict_note_new(cache, class, grant.ref, hash);
    count_items(cache, class, 1, size);
    lock_release(&class->lock);
    if (evicted > 0) {
        rebalance_note_evicted(cache, thread, class_id, evicted);
    }
    return grant;
}

uint32_t
slab_alloc_piece(struct cache *cache, struct cache_thread *thread, uint8_t class_id)
{
    struct size_class *class = &cache->size_class[class_id];
    uint64_t evicted = 0;
    uint32_t ref = alloc_locked(cache, thread, class, &evicted);
    if (ref == 0) {
        return 0;
    }
    lock_release(&class->lock);
    if (evicted > 0) {
        rebalance_note_evicted(cache, thread, class_id, evicted);
    }
    return ref;
}

void
slab_free(struct cache *cache, uint32_t ref, uint8_t held_class)
{
    /* The page stays in its class while a chunk of it is in use: ours. */
    uint8_t class_id = page_class(&cache->pages.page[pages_page_of(&cache->pages, ref)]);
    struct size_class *class = &cache->size_class[class_id];
    if (held_class == class_id) {
        slab_put_free(cache, class, ref);
        return;
    }
    assert(held_class == 0 || held_class == cache->classes);
    lock_acquire(&class->lock);
    slab_put_free(cache, class, ref);
    lock_release(&class->lock);
}

void
slab_item_resized(struct cache *cache, uint8_t class_id, uint64_t from, uint64_t to)
{
    struct size_class *class = &cache->size_class[class_id];
    lock_acquire(&class->lock);
    count_items(cache, class, -1, from);
    count_items(cache, class, 1, to);
    lock_release(&class->lock);
}

void
slab_item_gone(struct cache *cache, uint8_t class_id, uint64_t size, uint8_t held_class)
{
    struct size_class *class = &cache->size_class[class_id];
    if (held_class == class_id) {
        count_items(cache, class, -1, size);
        return;
    }
    assert(held_class == 0);
    lock_acquire(&class->lock);
    count_items(cache, class, -1, size);
    lock_release(&class->lock);
}

/* -- check ------------------------------------------------------------------------------------- */

static void
check_class(struct cache *cache, struct size_class *class)
{
    uint64_t used = 0;
    uint64_t unused = 0;
    uint64_t items = 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < class->pages_count; i++) {
        uint32_t number = class->pages[i];
        struct page *page = &cache->pages.page[number];
        assert(page_class(page) == class->id && page->position == i);
        assert(page->fresh <= class->per_page);
        uint32_t free_chunks = class->per_page - page->fresh;
        for (uint32_t chunk = 0; chunk < page->fresh; chunk++) {
            struct item *item = cache_item(cache, slab_chunk_ref(cache, class, number, chunk));
            uint32_t shape = item_shape(item);
            if (shape == SHAPE_FREE) {
                free_chunks++;
                continue;
            }
            used++;
            if (shape_key_len(shape) > 0) {
                items++;
                bytes += cache_item_size(cache, item, shape);
            }
        }
        assert(free_chunks == page->free_count);
        if (state_of(page) != PAGE_DRAINING) {
            unused += free_chunks;
        }
        uint32_t listed = 0;
        for (uint32_t chunk = page->free_head; chunk != 0; listed++) {
            assert(listed <= class->per_page);
            chunk =
                item_expire_s(cache_item(cache, slab_chunk_ref(cache, class, number, chunk - 1)));
        }
        assert(listed + class->per_page - page->fresh == free_chunks);
    }
    assert(used == class->used_chunks && unused == class->free_chunks);
    assert(items <= class->items &&
           bytes <= class->bytes); /* stores that are being filled are counted already */
    uint32_t previous = PAGE_NONE;
    uint64_t partial = 0;
    for (uint32_t number = class->partial; number != PAGE_NONE;
         number = cache->pages.page[number].next) {
        struct page *page = &cache->pages.page[number];
        assert(page->prev == previous && page_class(page) == class->id && page->free_count > 0);
        partial += page->free_count;
        previous = number;
    }
    assert(partial == class->free_chunks);
    evict_check(cache, class);
}

void
slab_check(struct cache *cache)
{
    for (unsigned id = 1; id <= cache->classes; id++) {
        struct size_class *class = &cache->size_class[id];
        lock_acquire(&class->lock);
        check_class(cache, class);
        lock_release(&class->lock);
    }
}
