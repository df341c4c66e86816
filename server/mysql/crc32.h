/* The checksum of events: CRC-32 as in zlib and IEEE 802.3. */
#ifndef LARDER_MYSQL_CRC32_H
#define LARDER_MYSQL_CRC32_H

#include <stddef.h>
#include <stdint.h>

/** Goes on from the checksum `crc` of what came before; 0 to begin. */
uint32_t crc32_add(uint32_t crc, const void *bytes, size_t len);

#endif
