/* What the tests of snapshots share: caches with all kinds of items, and a file in memory. */
#ifndef LARDER_TESTS_UNIT_ENGINE_SNAPSHOT_RIG_H
#define LARDER_TESTS_UNIT_ENGINE_SNAPSHOT_RIG_H

#include "unit/engine/rig.h"

#include "engine/snapshot.h"
#include "engine/snapshot_priv.h"

#define NO_LIMIT SIZE_MAX

/** A file in the heap.  `limit`: a write that would pass it fails, as on a full disk. */
struct memory_file {
    uint8_t *bytes;
    size_t len;
    size_t cap;
    size_t at; /* of the next read */
    size_t limit;
};

static inline bool
memory_write(void *arg, const void *bytes, size_t len)
{
    struct memory_file *file = arg;
    if (len > file->limit - file->len) {
        return false;
    }
    if (file->len + len > file->cap) {
        file->cap = (file->len + len) * 2;
        file->bytes = realloc(file->bytes, file->cap);
        rig_must(file->bytes != NULL);
    }
    memcpy(file->bytes + file->len, bytes, len);
    file->len += len;
    return true;
}

static inline bool
memory_read(void *arg, void *bytes, size_t len, size_t *got)
{
    struct memory_file *file = arg;
    *got = len < file->len - file->at ? len : file->len - file->at;
    memcpy(bytes, file->bytes + file->at, *got);
    file->at += *got;
    return true;
}

static inline void
memory_fini(struct memory_file *file)
{
    free(file->bytes);
    *file = (struct memory_file){ .limit = NO_LIMIT };
}

/** Writes a snapshot of the rig's cache to an empty file. */
static inline enum snapshot_result
write_to(struct rig *rig, struct memory_file *file, struct snapshot_figures *figures)
{
    struct snapshot_options options = { .now = 0 };
    struct snapshot_sink sink = { .write = memory_write, .arg = file };
    return snapshot_write(rig->cache, rig->thread, &sink, &options, figures);
}

/** Reads a file from its beginning into the rig's cache. */
static inline enum snapshot_result
read_from(struct rig *rig, struct memory_file *file, struct snapshot_figures *figures, char *error)
{
    struct snapshot_options options = { .now = 0 };
    struct snapshot_source source = { .read = memory_read, .arg = file };
    file->at = 0;
    return snapshot_read(rig->cache, rig->thread, &source, &options, figures, error);
}

/** Makes the checksums right again, in a file that was changed on purpose. */
static inline void
seal(struct memory_file *file)
{
    uint64_t checksum = hash_bytes(file->bytes, SNAPSHOT_HEAD - SNAPSHOT_CHECKSUM, 0);
    snapshot_put_u64(file->bytes + SNAPSHOT_HEAD - SNAPSHOT_CHECKSUM, checksum);
    for (size_t at = SNAPSHOT_HEAD; at + SNAPSHOT_BLOCK_HEAD + SNAPSHOT_CHECKSUM <= file->len;) {
        size_t len = SNAPSHOT_BLOCK_HEAD + snapshot_get_u32(file->bytes + at + 4);
        if (len + SNAPSHOT_CHECKSUM > file->len - at) {
            return;
        }
        checksum = hash_bytes(file->bytes + at, len, checksum);
        snapshot_put_u64(file->bytes + at + len, checksum);
        at += len + SNAPSHOT_CHECKSUM;
    }
}

#endif
