/* Finding a key in a chain of buckets: for readers without a lock and for writers with it. */
#ifndef LARDER_ENGINE_FIND_H
#define LARDER_ENGINE_FIND_H

#include <stdint.h>

#include "engine/cache_priv.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#ifndef __SSE2__
/** Where four tags of 16 bits equal the pattern: one bit each, lowest first. */
static inline unsigned
match_four(uint64_t tags, uint64_t pattern)
{
    const uint64_t low = 0x7fff7fff7fff7fffu;
    uint64_t differ = tags ^ pattern;
    uint64_t equal =
        ~(((differ & low) + low) | differ | low) >> 15; /* bit 0 of each 16 where all are zero */
    return (unsigned)(equal * 0x0001000200040008u >> 48) & 0xfu;
}
#endif

/** The slots of a bucket whose tag is `tag`: one bit each.  Empty slots may be among them. */
static inline unsigned
bucket_match(const struct bucket *bucket, uint16_t tag)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    /* The tags lie at bytes 4 to 23; relaxed: see bucket_read_valid(). */
    uint32_t first =
        __atomic_load_n((const uint32_t *)(const void *)&bucket->tag[0], __ATOMIC_RELAXED);
    uint64_t low =
        __atomic_load_n((const uint64_t *)(const void *)&bucket->tag[2], __ATOMIC_RELAXED);
    uint64_t high =
        __atomic_load_n((const uint64_t *)(const void *)&bucket->tag[6], __ATOMIC_RELAXED);
#ifdef __SSE2__
    __m128i pattern = _mm_set1_epi16((short)tag);
    __m128i upper = _mm_cmpeq_epi16(_mm_set_epi64x((long long)high, (long long)low), pattern);
    __m128i lower = _mm_cmpeq_epi16(_mm_cvtsi32_si128((int)first), pattern);
    /* Words of all ones become bytes of them, a bit of which is taken each. */
    unsigned eight = (unsigned)_mm_movemask_epi8(_mm_packs_epi16(upper, lower));
    return (eight & 0xffu) << 2 | (eight >> 8 & 3u);
#else
    uint64_t pattern = tag * 0x0001000100010001u;
    return (match_four(first, pattern) & 3u) | match_four(low, pattern) << 2 |
           match_four(high, pattern) << 6;
#endif
#else
    unsigned matches = 0;
    for (unsigned slot = 0; slot < BUCKET_SLOTS; slot++) {
        matches |= (unsigned)(bucket_tag(bucket, slot) == tag) << slot;
    }
    return matches;
#endif
}

struct found {
    uint32_t ref; /* 0 for none */
    uint32_t shape;
    struct bucket *bucket;
    unsigned slot;
};

/**
 * Looks for a key in a chain.  Without the lock what it answers is good only if the head's version
 * has not changed; the walk is bounded, whatever it meets.
 */
static inline struct found
find_key(const struct cache *cache, struct bucket *head, uint16_t tag, const void *key,
         uint32_t key_len)
{
    struct bucket *bucket = head;
    for (unsigned length = 0; bucket != NULL && length < TABLE_CHAIN_MAX; length++) {
        unsigned matches =
            bucket_match(bucket, tag) & ((1u << bucket_slots(bucket_word(bucket))) - 1);
        for (; matches != 0; matches &= matches - 1) {
            unsigned slot = (unsigned)__builtin_ctz(matches);
            uint32_t ref = bucket_ref(bucket, slot);
            RACE_POINT();
            const struct item *item = cache_item(cache, ref);
            uint32_t shape = item_shape(item);
            if (ref != 0 && shape_key_len(shape) == key_len &&
                race_equal(item_key(item, shape, cache->cas_size), key, key_len)) {
                return (struct found){ ref, shape, bucket, slot };
            }
        }
        bucket = table_next(&cache->table, bucket);
    }
    return (struct found){ 0 };
}

/** The first slot of the head whose tag this is; BUCKET_SLOTS for none.  A hint. */
static inline unsigned
find_slot(const struct bucket *head, uint16_t tag)
{
    unsigned matches = bucket_match(head, tag);
    return matches != 0 ? (unsigned)__builtin_ctz(matches) : BUCKET_SLOTS;
}

/** Looks for a key in one slot of the head, where nearly all that is there is found.  ref 0: not
 * there, look with find_key(). */
static inline struct found
find_key_at(const struct cache *cache, struct bucket *head, unsigned slot, const void *key,
            uint32_t key_len)
{
    if (slot >= bucket_slots(bucket_word(head))) {
        return (struct found){ 0 }; /* none, or the link */
    }
    uint32_t ref = bucket_ref(head, slot);
    RACE_POINT();
    const struct item *item = cache_item(cache, ref);
    uint32_t shape = item_shape(item);
    if (ref != 0 && shape_key_len(shape) == key_len &&
        race_equal(item_key(item, shape, cache->cas_size), key, key_len)) {
        return (struct found){ ref, shape, head, slot };
    }
    return (struct found){ 0 };
}

#endif
