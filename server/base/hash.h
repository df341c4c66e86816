/* The hash of keys: XXH3 with a seed of the cache's own, so that nobody outside can choose
 * collisions. */
#ifndef LARDER_BASE_HASH_H
#define LARDER_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/assert.h" /* again: xxhash.h includes the C library's */

static inline uint64_t
hash_bytes(const void *bytes, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, len, seed);
}

#endif
