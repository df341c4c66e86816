/* Finding a key in a chain of buckets: for readers without a lock and for writers with it. */
#ifndef LARDER_ENGINE_FIND_H
#define LARDER_ENGINE_FIND_H

#include <stdint.h>

#include "engine/cache_priv.h"

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

/** The slots of a bucket whose tag is `tag`: one bit each.  Empty slots may be among them. */
static inline unsigned
bucket_match(const struct bucket *bucket, uint16_t tag)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t pattern = tag * 0x0001000100010001u;
    uint64_t words[3];
    /* The tags lie at bytes 4 to 23; relaxed: see bucket_read_valid(). */
    words[0] = __atomic_load_n((const uint32_t *)(const void *)&bucket->tag[0], __ATOMIC_RELAXED);
    words[1] = __atomic_load_n((const uint64_t *)(const void *)&bucket->tag[2], __ATOMIC_RELAXED);
    words[2] = __atomic_load_n((const uint64_t *)(const void *)&bucket->tag[6], __ATOMIC_RELAXED);
    return (match_four(words[0], pattern) & 3u) | match_four(words[1], pattern) << 2 |
           match_four(words[2], pattern) << 6;
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

#endif
