/* The numbers of the format that snapshot.h describes, for who writes it and who reads it. */
#ifndef LARDER_ENGINE_SNAPSHOT_PRIV_H
#define LARDER_ENGINE_SNAPSHOT_PRIV_H

#include <stdint.h>

#include "engine/snapshot.h"

#define SNAPSHOT_MAGIC     "\x8clarder\n"
#define SNAPSHOT_MAGIC_LEN 8u
#define SNAPSHOT_VERSION   1u

#define SNAPSHOT_HEAD        40u /* bytes of the file's head, with its checksum */
#define SNAPSHOT_BLOCK_HEAD  16u
#define SNAPSHOT_CHECKSUM    8u
#define SNAPSHOT_RECORD_HEAD 36u
#define SNAPSHOT_DONE        32u /* bytes of its payload */
#define SNAPSHOT_BLOCK_MAX   (SNAPSHOT_BLOCK_HEAD + SNAPSHOT_PAYLOAD_MAX + SNAPSHOT_CHECKSUM)

#define SNAPSHOT_CAS_END ((uint64_t)1 << 63) /* no cache gives out so many */

/* Read as numbers. */
#define SNAPSHOT_KIND_ITEM 0x4d455449u
#define SNAPSHOT_KIND_DONE 0x454e4f44u

enum snapshot_marks {
    SNAPSHOT_STALE = 1,
    SNAPSHOT_CLAIMED = 2,
    SNAPSHOT_BINARY_KEY = 4,
    SNAPSHOT_FETCHED = 8,
    SNAPSHOT_MARKS = 15,
};
#define SNAPSHOT_USES_MAX 3u

static inline uint32_t
snapshot_get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t
snapshot_get_u64(const uint8_t *at)
{
    return (uint64_t)snapshot_get_u32(at + 4) << 32 | snapshot_get_u32(at);
}

static inline void
snapshot_put_u32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> 8 * i);
    }
}

static inline void
snapshot_put_u64(uint8_t *at, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        at[i] = (uint8_t)(value >> 8 * i);
    }
}

#endif
