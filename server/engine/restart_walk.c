/* Restoring: walks all pages of a stopped cache, checks what is there, and makes what is not: the
 * index, the queues, what is known of pages and classes.  Writes to no page. */
#include "config.h"

#include "engine/restart.h"

#include "base/assert.h"
#include "base/hash.h"
#include "engine/cache_priv.h"
#include "engine/find.h"
#include "engine/large.h"

#include <stdarg.h>
#include <stdio.h>

#define BATCH 32u /* items whose buckets are fetched before the first of them is entered */

struct batch_entry {
    uint32_t ref;
    uint32_t shape;
    uint64_t hash;
};

struct walk {
    struct cache *cache;
    const struct restart_meta *meta;
    char *why;
    uint64_t items;
    uint64_t pieces;        /* chunks that are one */
    uint64_t pieces_linked; /* in the chains of items */
    /* of the page that is walked */
    uint32_t number;
    struct restart_page page;
    struct size_class *class;
    struct slab_restored found;
    uint32_t free_chunks;
    /* items that are not in the index yet */
    unsigned batch_len;
    struct batch_entry batch[BATCH];
};

/** What is wrong; false, for the caller to return. */
__attribute__((format(printf, 2, 3))) static bool
refuse(struct walk *walk, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = snprintf(walk->why, CACHE_START_TEXT_MAX, "page %u: ", walk->number);
    vsnprintf(walk->why + len, CACHE_START_TEXT_MAX - (size_t)len, format, args);
    va_end(args);
    return false;
}

uint64_t
restart_page_check(const uint8_t *bytes, size_t len)
{
    return hash_bytes(bytes, len, 0);
}

/* -- the index --------------------------------------------------------------------------------- */

static bool
enter_one(struct walk *walk, const struct batch_entry *entry)
{
    struct cache *cache = walk->cache;
    const struct item *item = cache_item(cache, entry->ref);
    struct bucket *head = table_lock(&cache->table, entry->hash);
    uint16_t tag = table_tag(entry->hash);
    const uint8_t *key = item_key(item, entry->shape, cache->cas_size);
    bool is_there = find_key(cache, head, tag, key, shape_key_len(entry->shape)).ref != 0;
    bool entered = false;
    if (!is_there) {
        bucket_change_begin(head);
        entered = table_insert(&cache->table, head, tag, entry->ref);
        bucket_change_end(head);
    }
    bucket_unlock(head);
    if (is_there) {
        return refuse(walk, "a key is there twice");
    }
    return entered || refuse(walk, "no memory for the index");
}

static bool
enter_batch(struct walk *walk)
{
    bool entered = true;
    for (unsigned i = 0; i < walk->batch_len && entered; i++) {
        entered = enter_one(walk, &walk->batch[i]);
    }
    walk->batch_len = 0;
    return entered;
}

/** Enters an item into the index, soon. */
static bool
enter(struct walk *walk, uint32_t ref, const struct item *item, uint32_t shape)
{
    uint64_t hash = cache_item_hash(walk->cache, item, shape);
    __builtin_prefetch(table_bucket(&walk->cache->table, hash), 1);
    walk->batch[walk->batch_len++] = (struct batch_entry){ ref, shape, hash };
    if (shape & SHAPE_SMALL) {
        evict_note_restored(walk->cache, walk->class, ref, hash);
    }
    return walk->batch_len < BATCH || enter_batch(walk);
}

/* -- items ------------------------------------------------------------------------------------- */

/** The class of a chunk that a ref names; 0 when it names none that has been used. */
static uint8_t
class_of_chunk(const struct walk *walk, uint32_t ref)
{
    const struct cache *cache = walk->cache;
    uint32_t number = pages_page_of(&cache->pages, ref);
    if (number == 0 || number >= walk->meta->page_count) {
        return 0;
    }
    struct restart_page page = restart_meta_page(walk->meta, number);
    if (page.class_id == 0 || page.class_id > cache->classes) {
        return 0;
    }
    uint32_t offset =
        (uint32_t)(((size_t)ref << cache->pages.ref_shift) & (pages_page_size(&cache->pages) - 1));
    const struct size_class *class = &cache->size_class[page.class_id];
    uint32_t chunk = offset / class->chunk_size;
    bool is_chunk =
        offset % class->chunk_size == 0 && chunk < page.fresh && chunk < class->per_page;
    return is_chunk ? page.class_id : 0;
}

/** The shape of a piece, as large_extend() makes it: whole, and in the class of its length unless
 * it is as long as one can be. */
static bool
is_piece(const struct cache *cache, uint32_t shape, uint8_t class_id)
{
    uint32_t used = shape_piece_len(shape);
    return shape == (SHAPE_PIECE | used << 8) && used > 0 &&
           used <= cache->chunk_max - sizeof(struct piece) &&
           cache_class_of(cache, used + (uint32_t)sizeof(struct piece)) == class_id;
}

/** Follows the chain of a long item.  Each step takes bytes off what is left, so it ends; and as no
 * piece has two successors, it has met none twice. */
static bool
follow_chain(struct walk *walk, uint32_t ref, const struct item *item, uint32_t shape)
{
    const struct cache *cache = walk->cache;
    const struct large *large = large_of(item, shape, cache->cas_size);
    uint32_t room =
        cache->chunk_max - large_offset(shape, cache->cas_size) - (uint32_t)sizeof(struct large);
    /* relaxed, all loads: no other thread */
    uint32_t left = atomic_load_explicit(&large->value_len, memory_order_relaxed);
    left -= left < room ? left : room;
    uint32_t next = atomic_load_explicit(&large->next, memory_order_relaxed);
    while (next != 0 && left > 0) {
        uint8_t class_id = class_of_chunk(walk, next);
        if (class_id == 0) {
            return refuse(walk, "a long item goes on where no chunk is");
        }
        const struct piece *piece = (const struct piece *)(const void *)cache_item(cache, next);
        uint32_t piece_shape = atomic_load_explicit(&piece->shape, memory_order_relaxed);
        uint32_t used = shape_piece_len(piece_shape);
        if (!is_piece(cache, piece_shape, class_id) || used > left ||
            (used < left && used != cache->chunk_max - sizeof(struct piece)) ||
            atomic_load_explicit(&piece->owner, memory_order_relaxed) != ref) {
            return refuse(walk, "a piece of a long item is none");
        }
        left -= used;
        walk->pieces_linked++;
        next = atomic_load_explicit(&piece->next, memory_order_relaxed);
    }
    return (next == 0 && left == 0) || refuse(walk, "a long item is not as long as it says");
}

/** Whether an item fits its chunk and its class. */
static bool
fits(const struct walk *walk, uint32_t shape)
{
    const struct cache *cache = walk->cache;
    uint32_t key_end = item_key_offset(shape, cache->cas_size) + shape_key_len(shape);
    if (shape_key_len(shape) > CACHE_KEY_MAX ||
        shape_generation(shape) != (walk->meta->generation & (ITEM_GENERATIONS - 1))) {
        return false;
    }
    if (shape & SHAPE_LARGE) {
        return walk->class->id == cache->classes && shape_value_len(shape) == 0 &&
               large_offset(shape, cache->cas_size) + sizeof(struct large) <= cache->chunk_max;
    }
    uint32_t size = key_end + shape_value_len(shape);
    return size <= walk->class->chunk_size && cache_class_of(cache, size) == walk->class->id;
}

/** A visible item. */
static bool
take_item(struct walk *walk, uint32_t ref, const struct item *item, uint32_t shape)
{
    struct cache *cache = walk->cache;
    if (!fits(walk, shape)) {
        return refuse(walk, "an item does not fit its chunk");
    }
    if (shape & SHAPE_LARGE) {
        if (large_pins(cache, item, shape) != 1) {
            return refuse(walk, "a long item is pinned");
        }
        if (!follow_chain(walk, ref, item, shape)) {
            return false;
        }
    }
    uint64_t size = cache_item_size(cache, item, shape);
    uint32_t expire_s = item_expire_s(item);
    if (expire_s != 0 && expire_s < walk->found.expire_min) {
        walk->found.expire_min = expire_s;
    }
    walk->found.items++;
    walk->found.bytes += size;
    walk->items++;
    if (cache->sizes != NULL) {
        sizes_add(cache->sizes, size, 1);
    }
    return enter(walk, ref, item, shape);
}

static bool
take_chunk(struct walk *walk, uint32_t ref)
{
    const struct item *item = cache_item(walk->cache, ref);
    uint32_t shape = item_shape(item);
    if (shape_key_len(shape) > 0) {
        return take_item(walk, ref, item, shape);
    }
    if (shape == SHAPE_FREE) {
        walk->free_chunks++;
        return true;
    }
    if (is_piece(walk->cache, shape, walk->class->id)) {
        walk->pieces++;
        return true;
    }
    return refuse(walk, "a chunk is neither free nor an item");
}

/* -- pages ------------------------------------------------------------------------------------- */

/** Counts the list of free chunks, which must be all that there are. */
static bool
take_free_list(struct walk *walk)
{
    struct cache *cache = walk->cache;
    uint32_t listed = 0;
    for (uint32_t chunk = walk->page.free_head; chunk != 0; listed++) {
        if (listed == walk->free_chunks || chunk > walk->page.fresh) {
            return refuse(walk, "the list of free chunks is broken");
        }
        const struct item *item =
            cache_item(cache, slab_chunk_ref(cache, walk->class, walk->number, chunk - 1));
        if (item_shape(item) != SHAPE_FREE) {
            return refuse(walk, "a chunk in the list of free ones is not free");
        }
        chunk = item_expire_s(item);
    }
    walk->found.free_head = walk->page.free_head;
    walk->found.free_len = listed;
    return listed == walk->free_chunks || refuse(walk, "the list of free chunks is too short");
}

static bool
take_page(struct walk *walk)
{
    struct cache *cache = walk->cache;
    if (walk->page.class_id > cache->classes) {
        return refuse(walk, "there is no class %u", walk->page.class_id);
    }
    walk->class = &cache->size_class[walk->page.class_id];
    if (walk->page.fresh > walk->class->per_page) {
        return refuse(walk, "it cannot have %u chunks", walk->page.fresh);
    }
    const uint8_t *bytes = pages_at(&cache->pages, pages_ref(&cache->pages, walk->number, 0));
    size_t len = (size_t)walk->page.fresh * walk->class->chunk_size;
    if (restart_page_check(bytes, len) != walk->page.check) {
        return refuse(walk, "its contents are not what was saved");
    }
    walk->found = (struct slab_restored){ .fresh = walk->page.fresh, .expire_min = UINT32_MAX };
    walk->free_chunks = 0;
    for (uint32_t chunk = 0; chunk < walk->page.fresh; chunk++) {
        if (!take_chunk(walk, slab_chunk_ref(cache, walk->class, walk->number, chunk))) {
            return false;
        }
    }
    if (!take_free_list(walk)) {
        return false;
    }
    pages_restore_taken(&cache->pages);
    return slab_restore_page(cache, walk->class, walk->number, &walk->found) ||
           refuse(walk, "out of memory");
}

bool
restart_fill(struct cache *cache, const struct restart_meta *meta, char *why)
{
    struct walk walk = { .cache = cache, .meta = meta, .why = why };
    assert(meta->classes == cache->classes && meta->page_count <= cache->pages.page_max);
    pages_restore_begin(&cache->pages, (uint32_t)meta->page_count);
    for (walk.number = 1; walk.number < meta->page_count; walk.number++) {
        walk.page = restart_meta_page(meta, walk.number);
        if (walk.page.class_id != 0 && !take_page(&walk)) {
            return false;
        }
    }
    if (!enter_batch(&walk)) {
        return false;
    }
    if (walk.pieces != walk.pieces_linked || walk.items != meta->items) {
        snprintf(why, CACHE_START_TEXT_MAX, "there are not as many items as were saved");
        return false;
    }
    pages_restore_end(&cache->pages);
    /* relaxed: no other thread yet */
    atomic_store_explicit(&cache->items_hint, walk.items, memory_order_relaxed);
    return true;
}
