#include "config.h"

#include "base/siphash.h"

#include <string.h>

#define ROUNDS_PER_WORD 2u
#define ROUNDS_AT_END   4u

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t
rotate_left(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static inline uint64_t
load_le(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline void
store_le(uint8_t *at, uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    memcpy(at, &word, sizeof(word));
}

static void
sip_rounds(struct sip *sip, unsigned rounds)
{
    for (; rounds > 0; rounds--) {
        sip->v0 += sip->v1;
        sip->v2 += sip->v3;
        sip->v1 = rotate_left(sip->v1, 13) ^ sip->v0;
        sip->v3 = rotate_left(sip->v3, 16) ^ sip->v2;
        sip->v0 = rotate_left(sip->v0, 32);
        sip->v2 += sip->v1;
        sip->v0 += sip->v3;
        sip->v1 = rotate_left(sip->v1, 17) ^ sip->v2;
        sip->v3 = rotate_left(sip->v3, 21) ^ sip->v0;
        sip->v2 = rotate_left(sip->v2, 32);
    }
}

static void
sip_word(struct sip *sip, uint64_t word)
{
    sip->v3 ^= word;
    sip_rounds(sip, ROUNDS_PER_WORD);
    sip->v0 ^= word;
}

void
siphash128(const uint8_t key[SIPHASH_KEY_LEN], const void *bytes, size_t len,
           uint8_t digest[SIPHASH_DIGEST_LEN])
{
    uint64_t k0 = load_le(key);
    uint64_t k1 = load_le(key + 8);
    struct sip sip = {
        .v0 = k0 ^ UINT64_C(0x736f6d6570736575),
        .v1 = k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee, /* 0xee: 128 bits of output */
        .v2 = k0 ^ UINT64_C(0x6c7967656e657261),
        .v3 = k1 ^ UINT64_C(0x7465646279746573),
    };
    const uint8_t *at = bytes;
    size_t left = len;
    for (; left >= 8; left -= 8, at += 8) {
        sip_word(&sip, load_le(at));
    }
    uint8_t last[8] = { 0 };
    if (left > 0) { /* else `bytes` may be NULL */
        memcpy(last, at, left);
    }
    last[7] = (uint8_t)len;
    sip_word(&sip, load_le(last));

    sip.v2 ^= 0xee;
    sip_rounds(&sip, ROUNDS_AT_END);
    store_le(digest, sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3);
    sip.v1 ^= 0xdd;
    sip_rounds(&sip, ROUNDS_AT_END);
    store_le(digest + 8, sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3);
}
