/* Little-endian numbers in bytes, as binary logs and snapshots have them.  Any alignment; compilers
 * make one load or store of each. */
#ifndef LARDER_BASE_LE_H
#define LARDER_BASE_LE_H

#include <stdint.h>

static inline uint16_t
le_get_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t
le_get_u24(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16;
}

static inline uint32_t
le_get_u32(const uint8_t *at)
{
    return le_get_u24(at) | (uint32_t)at[3] << 24;
}

static inline uint64_t
le_get_u64(const uint8_t *at)
{
    return le_get_u32(at) | (uint64_t)le_get_u32(at + 4) << 32;
}

static inline void
le_put_u32(uint8_t *at, uint32_t number)
{
    for (unsigned i = 0; i < 4; i++) {
        at[i] = (uint8_t)(number >> 8 * i);
    }
}

static inline void
le_put_u64(uint8_t *at, uint64_t number)
{
    for (unsigned i = 0; i < 8; i++) {
        at[i] = (uint8_t)(number >> 8 * i);
    }
}

#endif
