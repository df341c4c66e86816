/* The numbers of the format that snapshot.h describes, for who writes it and who reads it. */
#ifndef LARDER_ENGINE_SNAPSHOT_PRIV_H
#define LARDER_ENGINE_SNAPSHOT_PRIV_H

#include "base/le.h"
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

#endif
