/* A keyed hash whose outputs tell nothing to those who do not know the key: for secrets, where
 * base/hash.h is for speed. */
#ifndef LARDER_BASE_SIPHASH_H
#define LARDER_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY_LEN    16u /* bytes */
#define SIPHASH_DIGEST_LEN 16u /* bytes */

/**
 * SipHash-2-4 with 128 bits of output.
 *
 * Source: Aumasson, Bernstein: SipHash, a fast short-input PRF (2012), and its 128-bit variant.
 */
void siphash128(const uint8_t key[SIPHASH_KEY_LEN], const void *bytes, size_t len,
                uint8_t digest[SIPHASH_DIGEST_LEN]);

#endif
