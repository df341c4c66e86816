/* Items longer than one chunk: a head with the key, and a chain of pieces.
 *
 *     in the head, behind the key, at the next multiple of 4:
 *     0   4   value length
 *     4   4   pins: 1 for being in the index, and 1 for each reader
 *     8   4   ref of the first piece; 0 for none
 *     12  4   unused
 *     16      the value's first bytes, to the chunk's end
 *
 *     a piece:
 *     0   4   not used: a stray store of a late reader may land here, see item.h
 *     4   4   shape: SHAPE_PIECE and the bytes used
 *     8   4   ref of the next piece; 0 for none
 *     12  4   ref of the head
 *     16      bytes of the value
 *
 * Heads, and all pieces but the last, are chunks of the largest class.  A pinned item stays where
 * it is.
 */
#ifndef LARDER_ENGINE_LARGE_H
#define LARDER_ENGINE_LARGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/cache.h"
#include "engine/item.h"

struct large {
    _Atomic uint32_t value_len;
    _Atomic uint32_t pins;
    _Atomic uint32_t next;
    uint32_t unused;
};

struct piece {
    _Atomic uint32_t access;
    _Atomic uint32_t shape;
    _Atomic uint32_t next;
    _Atomic uint32_t owner;
};

static inline uint32_t
large_offset(uint32_t shape, uint32_t cas_size)
{
    return (item_key_offset(shape, cas_size) + shape_key_len(shape) + 3u) & ~3u;
}

static inline struct large *
large_of(const struct item *head, uint32_t shape, uint32_t cas_size)
{
    return (struct large *)(void *)((uint8_t *)head + large_offset(shape, cas_size));
}

/** Bytes of the value in a piece, by its shape. */
static inline uint32_t
shape_piece_len(uint32_t shape)
{
    return shape >> 8 & 0xffffu;
}

/** The shape of a pinned head: in its place while it is visible, in the expiry's once it is not. */
static inline uint32_t
large_shape(const struct item *head)
{
    uint32_t shape =
        atomic_load_explicit(&head->shape, memory_order_acquire); /* pairs with cache_free_item() */
    return shape == SHAPE_HELD ? item_expire_s(head) : shape;
}

/** Sets up the head of a new item; its key is in place. */
void large_begin(struct cache *cache, struct cache_store *store, struct item *head, uint32_t shape);
/** Takes memory for one more piece, behind the last.  Errors: false without memory. */
bool large_extend(struct cache *cache, struct cache_thread *thread, struct cache_store *store);
/** The store's piece is full: steps to the next one, which memory has been taken for. */
void large_step(const struct cache *cache, struct cache_store *store);
/** As cache_store_spaces(). */
unsigned large_spaces(const struct cache *cache, const struct cache_store *store,
                      struct cache_space *spaces, unsigned max);
/** Adds a reader's pin.  Bucket's lock held. */
void large_pin(const struct cache *cache, struct item *head, uint32_t shape);
/** Takes a pin, or the index's, away; whether it was the last. */
bool large_unpin(const struct cache *cache, struct item *head, uint32_t shape);
/** Frees head and pieces.  held_class: as cache_free_item(). */
void large_free(struct cache *cache, uint32_t ref, uint32_t shape, uint8_t held_class);
/** Moves a head or a piece to another chunk of its class.  The head's bucket is locked, and it is
 * visible. */
void large_move_head(struct cache *cache, uint32_t from, uint32_t to, uint32_t shape);
void large_move_piece(struct cache *cache, uint32_t head, uint32_t from, uint32_t to);
/** The value of a pinned item, or of one that is not visible yet, from byte `from` on as pieces in
 * order; returns their number, at most `max`. */
unsigned large_pieces(const struct cache *cache, const struct item *head, uint32_t shape,
                      size_t from, struct cache_piece *pieces, unsigned max);
/** The head that a piece belongs to.  Lock of the piece's class held. */
uint32_t large_owner(const struct cache *cache, uint32_t piece);
/** Pins now, the index's included. */
uint32_t large_pins(const struct cache *cache, const struct item *head, uint32_t shape);
/** Asserts that the chain is whole, and returns its pieces' number. */
uint32_t large_check(const struct cache *cache, uint32_t ref, uint32_t shape);

#endif
