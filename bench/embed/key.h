/* The keys of benchmarks that call the library: as long as many real ones, made in a few
 * instructions. */
#ifndef LARDER_BENCH_EMBED_KEY_H
#define LARDER_BENCH_EMBED_KEY_H

#include <stdint.h>
#include <string.h>

#define KEY_LETTERS 16u /* bytes of every key */

/** The key of a number: a letter, 'a' to 'p', for each four bits, so that every protocol takes
 * it. */
static inline void
key_make(uint8_t key[KEY_LETTERS], uint64_t number)
{
    uint64_t half[2] = { number & 0xffffffffu, number >> 32 };
    for (unsigned i = 0; i < 2; i++) {
        uint64_t x = half[i];
        x = (x | x << 16) & 0x0000ffff0000ffffu;
        x = (x | x << 8) & 0x00ff00ff00ff00ffu;
        x = (x | x << 4) & 0x0f0f0f0f0f0f0f0fu;
        x += 0x6161616161616161u;
        memcpy(key + 8 * i, &x, sizeof(x));
    }
}

#endif
