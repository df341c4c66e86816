/* How an item lies in a chunk.
 *
 *     offset  size  meaning
 *     0       4     access: when last used, how often since the hand came by; readers write it
 *                   without a lock
 *     4       4     shape: lengths and flags, see below
 *     8       4     expire_s: cache second from which on it is dead; 0 for never
 *     12      8     CAS id, low half first; not there in a cache without CAS ids
 *     20|12   4     client flags; only with SHAPE_CLIENT_FLAGS
 *     ..            key
 *     ..            value; in a long item (SHAPE_LARGE) struct large instead, see large.h
 *
 *     access     bits  meaning
 *                0-23  cache second of the last use, modulo 2^24 (194 days)
 *                24-25 uses since the hand came by, at most 3
 *                26    read at least once
 *
 *     shape      bits  meaning
 *                0-7   key length; 0: this chunk is no visible item, and then the whole word is
 *                      SHAPE_FREE, SHAPE_HELD (being filled, or pinned and no longer visible), or
 *                      SHAPE_PIECE with the bytes used from bit 8 on (a part of a long item)
 *                8-21  value length
 *                22-25 generation: which flush it came after, modulo 16
 *                26-31 flags
 *
 * Every word is an atomic, since late readers look at chunks that have become something else; what
 * they read is good only if the version of the bucket that led them there has not changed
 * (bucket.h).  A stray store of a late reader touches `access` alone, and a page changes its class
 * only when no reader can still be on it (rebalance.c): so it hits the access word of another item
 * at worst.
 */
#ifndef LARDER_ENGINE_ITEM_H
#define LARDER_ENGINE_ITEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/race.h"

#define ITEM_VALUE_BITS  14u
#define ITEM_VALUE_MAX   ((1u << ITEM_VALUE_BITS) - 1) /* bytes in one chunk; longer is a chain */
#define ITEM_GENERATIONS 16u

#define SHAPE_KEY_MAX      0xffu /* bytes of key that a shape can tell of; CACHE_KEY_MAX is less */
#define SHAPE_FREE         0u
#define SHAPE_LARGE        (1u << 26) /* the value is a chain of chunks */
#define SHAPE_CLIENT_FLAGS (1u << 27) /* client flags that are not 0 lie before the key */
#define SHAPE_STALE        (1u << 28) /* marked stale (meta protocol) */
#define SHAPE_WIN          (1u << 29) /* someone has been told to refresh it */
#define SHAPE_BINARY_KEY   (1u << 30) /* the key came as base64 */
#define SHAPE_SMALL        (1u << 31) /* in the small queue */
#define SHAPE_HELD         SHAPE_WIN
#define SHAPE_PIECE        SHAPE_LARGE

#define ACCESS_TIME_MASK 0x00ffffffu
#define ACCESS_USE_ONE   (1u << 24)
#define ACCESS_USES_MASK (3u << 24)
#define ACCESS_FETCHED   (1u << 26)

struct item {
    _Atomic uint32_t access;
    _Atomic uint32_t shape;
    _Atomic uint32_t expire_s;
    _Atomic uint32_t cas[]; /* two, or none */
};

/* relaxed, all of these: ordered by the bucket's version or by a lock. */

static inline uint32_t
item_shape(const struct item *item)
{
    return atomic_load_explicit(&item->shape, memory_order_relaxed);
}

static inline void
item_set_shape(struct item *item, uint32_t shape)
{
    atomic_store_explicit(&item->shape, shape, memory_order_relaxed);
}

static inline void
item_add_flags(struct item *item, uint32_t flags)
{
    atomic_fetch_or_explicit(&item->shape, flags, memory_order_relaxed);
}

static inline void
item_drop_flags(struct item *item, uint32_t flags)
{
    atomic_fetch_and_explicit(&item->shape, ~flags, memory_order_relaxed);
}

static inline uint32_t
item_access(const struct item *item)
{
    return atomic_load_explicit(&item->access, memory_order_relaxed);
}

static inline void
item_set_access(struct item *item, uint32_t access)
{
    atomic_store_explicit(&item->access, access, memory_order_relaxed);
}

static inline uint32_t
item_expire_s(const struct item *item)
{
    return atomic_load_explicit(&item->expire_s, memory_order_relaxed);
}

static inline void
item_set_expire_s(struct item *item, uint32_t expire_s)
{
    atomic_store_explicit(&item->expire_s, expire_s, memory_order_relaxed);
}

static inline uint64_t
item_cas(const struct item *item)
{
    uint64_t low = atomic_load_explicit(&item->cas[0], memory_order_relaxed);
    uint64_t high = atomic_load_explicit(&item->cas[1], memory_order_relaxed);
    return high << 32 | low;
}

static inline void
item_set_cas(struct item *item, uint64_t cas)
{
    atomic_store_explicit(&item->cas[0], (uint32_t)cas, memory_order_relaxed);
    atomic_store_explicit(&item->cas[1], (uint32_t)(cas >> 32), memory_order_relaxed);
}

static inline uint32_t
shape_key_len(uint32_t shape)
{
    return shape & SHAPE_KEY_MAX;
}

static inline uint32_t
shape_value_len(uint32_t shape)
{
    return shape >> 8 & ITEM_VALUE_MAX;
}

static inline uint32_t
shape_generation(uint32_t shape)
{
    return shape >> 22 & (ITEM_GENERATIONS - 1);
}

static inline uint32_t
shape_make(uint32_t key_len, uint32_t value_len, uint32_t generation, uint32_t flags)
{
    return key_len | value_len << 8 | (generation & (ITEM_GENERATIONS - 1)) << 22 | flags;
}

/* Bytes of a short item at most, as far as its shape tells: more than a chunk has, for a reader
 * without a lock may take any word for a shape. */
#define ITEM_SHORT_MAX \
    ((uint32_t)sizeof(struct item) + 8u + 4u + SHAPE_KEY_MAX + ITEM_VALUE_MAX) /* CAS id, flags */

/** Bytes before the key; `cas_size` is 8 or 0, the cache's. */
static inline uint32_t
item_key_offset(uint32_t shape, uint32_t cas_size)
{
    return (uint32_t)sizeof(struct item) + cas_size + (shape & SHAPE_CLIENT_FLAGS ? 4u : 0u);
}

static inline uint8_t *
item_key(const struct item *item, uint32_t shape, uint32_t cas_size)
{
    return (uint8_t *)item + item_key_offset(shape, cas_size);
}

static inline uint32_t
item_client_flags(const struct item *item, uint32_t shape, uint32_t cas_size)
{
    if (!(shape & SHAPE_CLIENT_FLAGS)) {
        return 0;
    }
    return atomic_load_explicit(&item->cas[cas_size / sizeof(uint32_t)], memory_order_relaxed);
}

/** An access word with the time set anew. */
static inline uint32_t
access_at(uint32_t access, uint32_t now_s)
{
    return (access & ~ACCESS_TIME_MASK) | (now_s & ACCESS_TIME_MASK);
}

/** An access word after a use: at most three are counted until the hand comes by. */
static inline uint32_t
access_used(uint32_t access, uint32_t now_s)
{
    access |= ACCESS_FETCHED;
    if ((access & ACCESS_USES_MASK) != ACCESS_USES_MASK) {
        access += ACCESS_USE_ONE;
    }
    return access_at(access, now_s);
}

static inline uint32_t
access_idle_s(uint32_t access, uint32_t now_s)
{
    return (now_s - access) & ACCESS_TIME_MASK;
}

#endif
