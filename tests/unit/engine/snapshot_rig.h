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
    le_put_u64(file->bytes + SNAPSHOT_HEAD - SNAPSHOT_CHECKSUM, checksum);
    for (size_t at = SNAPSHOT_HEAD; at + SNAPSHOT_BLOCK_HEAD + SNAPSHOT_CHECKSUM <= file->len;) {
        size_t len = SNAPSHOT_BLOCK_HEAD + le_get_u32(file->bytes + at + 4);
        if (len + SNAPSHOT_CHECKSUM > file->len - at) {
            return;
        }
        checksum = hash_bytes(file->bytes + at, len, checksum);
        le_put_u64(file->bytes + at + len, checksum);
        at += len + SNAPSHOT_CHECKSUM;
    }
}

/* -- two caches and a file: static, of each program that uses them -------------------------------
 */

#define LONG_LEN   ((1u << 20) - 200u) /* bytes of a value of nearly -I's default */
#define LONGER_LEN (3u << 20)          /* bytes of a value of several blocks */

static struct rig from;
static struct rig to;
static struct memory_file file;
static struct snapshot_figures figures;
static char error[SNAPSHOT_ERROR_CAP];
static char key[32];

static inline struct cache_options
options_of(uint64_t memory_limit)
{
    struct cache_options options = rig_options(memory_limit);
    options.item_size_max = 4u << 20;
    return options;
}

static inline void
set_up(void)
{
    struct cache_options options = options_of(64 * RIG_MB);
    file = (struct memory_file){ .limit = NO_LIMIT };
    rig_open(&from, &options);
    options.hash_seed = 4711; /* another process has another one */
    rig_open(&to, &options);
}

static inline void
tear_down(void)
{
    rig_close(&from);
    rig_close(&to);
    memory_fini(&file);
}

/** Opens `to` anew. */
static inline void
reopen(const struct cache_options *options)
{
    rig_close(&to);
    rig_open(&to, options);
}

static inline void
must_write(void)
{
    ck_assert_int_eq(write_to(&from, &file, &figures), SNAPSHOT_OK);
    ck_assert_uint_eq(figures.bytes, file.len);
}

static inline void
must_read(void)
{
    enum snapshot_result result = read_from(&to, &file, &figures, error);
    ck_assert_str_eq(error, "");
    ck_assert_int_eq(result, SNAPSHOT_OK);
    ck_assert_uint_eq(figures.bytes, file.len);
}

static inline struct got
peek(struct rig *rig, const char *name)
{
    return rig_get_bytes(rig, name, (uint32_t)strlen(name), CACHE_READ_PEEK);
}

static inline void
store_flagged(const char *name, const char *value, uint32_t flags, int64_t expires_at)
{
    ck_assert_int_eq(
        rig_store(&from, CACHE_SET, name, value, strlen(value), flags, expires_at, 0, NULL),
        CACHE_OK);
}

static inline void
fill(unsigned count, size_t len)
{
    for (unsigned i = 0; i < count; i++) {
        rig_must(rig_set_filled(&from, rig_key(key, "key", i), len, i) == CACHE_OK);
    }
}

static inline unsigned
count_whole(unsigned count, size_t len)
{
    unsigned whole = 0;
    for (unsigned i = 0; i < count; i++) {
        struct got got = peek(&to, rig_key(key, "key", i));
        rig_must(got.result == CACHE_MISS || rig_holds_filled(&to, key, len, i));
        whole += got.result == CACHE_OK;
    }
    return whole;
}

#endif
