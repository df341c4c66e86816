/* Pages cut into chunks of one size, by size class.
 *
 * All calls but slab_classes_init/fini() and slab_alloc()/slab_free() need the class's lock.
 */
#ifndef LARDER_ENGINE_SLAB_H
#define LARDER_ENGINE_SLAB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "engine/cache.h"
#include "engine/evict.h"
#include "engine/gain.h"

#define SLAB_CHUNKS_PER_PAGE_MIN 4u /* in the largest class */

/** Locking key:  (k) lock  (a) atomic  others constant. */
struct size_class {
    struct lock lock;
    uint8_t id;
    uint32_t chunk_size;      /* bytes */
    uint32_t per_page;        /* chunks in a page */
    uint32_t inverse;         /* 2^32 / chunk_size, rounded up: division by a product */
    uint32_t *pages;          /* (k) its pages */
    uint32_t pages_count;     /* (k) */
    uint32_t pages_cap;       /* (k) */
    uint32_t partial;         /* (k) first page with free chunks; PAGE_NONE for none */
    uint64_t used_chunks;     /* (k) */
    uint64_t free_chunks;     /* (k) in pages that are not draining */
    uint64_t items;           /* (k) those being filled included */
    uint64_t bytes;           /* (k) of these items, modulo 2^64: slab_bytes() */
    int32_t items_unreported; /* (k) change since cache.items_hint was told */
    struct evict_queue queue; /* (k) */
    struct gain gain;
    uint32_t expire_cursor;   /* (k) index in pages of where to look for expired items next */
    /* figures */
    uint32_t evicted_age_s;     /* (k) */
    uint32_t age_s;             /* (k) */
    uint64_t evicted;           /* (k) */
    uint64_t evicted_nonzero;   /* (k) */
    uint64_t evicted_unfetched; /* (k) */
    uint64_t evicted_active;    /* (k) */
    uint64_t expired_unfetched; /* (k) */
    uint64_t reclaimed;         /* (k) */
    uint64_t swept;             /* (k) */
    uint64_t outofmemory;       /* (k) */
};

/** Bytes of the class's items.  The count may be behind what a set in place has changed, and for a
 * moment below 0.  Class's lock held. */
static inline uint64_t
slab_bytes(const struct size_class *class)
{
    return class->bytes <= INT64_MAX ? class->bytes : 0;
}

/** Errors: false when there is no heap for the tables. */
bool slab_classes_init(struct cache *cache);
void slab_classes_fini(struct cache *cache);

/** A chunk that slab_alloc() gives. */
struct slab_grant {
    uint32_t ref; /* 0 when no memory can be had */
    bool small;   /* it is noted in the small queue */
};

/**
 * Takes a chunk for a new item, evicting for it when need be.  Its shape is SHAPE_HELD.  An item
 * whose key was evicted not long ago belongs to the main queue at once, any other to the small one.
 *
 * hash, size   the item's, for the queue and the figures
 */
struct slab_grant slab_alloc(struct cache *cache, struct cache_thread *thread, uint8_t class_id,
                             uint64_t hash, uint64_t size);
/** Takes a chunk for a piece of a long item.  0 when no memory can be had. */
uint32_t slab_alloc_piece(struct cache *cache, struct cache_thread *thread, uint8_t class_id);
/** Gives a chunk back.  held_class: as cache_free_item(). */
void slab_free(struct cache *cache, uint32_t ref, uint8_t held_class);
/** An item has another size now, in the same class. */
void slab_item_resized(struct cache *cache, uint8_t class_id, uint64_t from, uint64_t to);
/** Counts an item out of its class.  held_class: as cache_free_item(). */
void slab_item_gone(struct cache *cache, uint8_t class_id, uint64_t size, uint8_t held_class);

/** A free chunk with shape SHAPE_HELD, or 0. */
uint32_t slab_take_free(struct cache *cache, struct size_class *class);
void slab_put_free(struct cache *cache, struct size_class *class, uint32_t ref);
/** Gives a class an unused page; false when there is no heap for its list. */
bool slab_add_page(struct cache *cache, struct size_class *class, uint32_t page);
/** What a page of a stopped cache holds. */
struct slab_restored {
    uint32_t fresh;     /* chunks from this one on have never been used */
    uint32_t free_head; /* first free chunk + 1; 0 for none */
    uint32_t free_len;  /* chunks in the list that begins there */
    uint64_t items;
    uint64_t bytes; /* of these */
    uint32_t expire_min;
};
/** Gives a class a page with its chunks as they are; false when there is no heap for its list. */
bool slab_restore_page(struct cache *cache, struct size_class *class, uint32_t page,
                       const struct slab_restored *restored);
/** Takes a page whose chunks are all free out of its class. */
void slab_remove_page(struct cache *cache, struct size_class *class, uint32_t page);
/** From here on no chunk of the page is given out; and back. */
void slab_begin_draining(struct cache *cache, struct size_class *class, uint32_t page);
void slab_end_draining(struct cache *cache, struct size_class *class, uint32_t page);

uint32_t slab_chunk_ref(const struct cache *cache, const struct size_class *class, uint32_t page,
                        uint32_t chunk);
/** Chunks of a page that have been used at least once. */
uint32_t slab_page_chunks(const struct cache *cache, uint32_t page);

void slab_check(struct cache *cache);

#endif
