/*
 * Snapshots: the input is a file; and its bytes are the records of another one, cut into blocks
 * where the input says and with checksums that are right, so that what lies behind them is reached.
 * What is taken is written again and read by another cache: the same items, and the cache is whole.
 */
#include "base/hash.h"
#include "engine/cache.h"
#include "engine/snapshot.h"
#include "engine/snapshot_priv.h"
#include "engine/stats.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX  (1u << 20)
#define BLOCK_MIN 64u /* bytes of payload, but for the last */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct file {
    uint8_t *bytes;
    size_t len;
    size_t at;
};

static bool
file_read(void *arg, void *bytes, size_t len, size_t *got)
{
    struct file *file = arg;
    *got = len < file->len - file->at ? len : file->len - file->at;
    memcpy(bytes, file->bytes + file->at, *got);
    file->at += *got;
    return true;
}

static bool
file_write(void *arg, const void *bytes, size_t len)
{
    struct file *file = arg;
    if (len > FILE_MAX - file->len) {
        return false;
    }
    memcpy(file->bytes + file->len, bytes, len);
    file->len += len;
    return true;
}

static uint64_t
put_checksum(struct file *file, size_t from, uint64_t seed)
{
    uint64_t checksum = hash_bytes(file->bytes + from, file->len - from, seed);
    le_put_u64(file->bytes + file->len, checksum);
    file->len += SNAPSHOT_CHECKSUM;
    return checksum;
}

static uint64_t
put_block(struct file *file, uint32_t kind, const uint8_t *payload, uint32_t len, uint32_t records,
          uint64_t seed)
{
    size_t from = file->len;
    uint8_t *head = file->bytes + from;
    le_put_u32(head, kind);
    le_put_u32(head + 4, len);
    le_put_u32(head + 8, records);
    le_put_u32(head + 12, 0);
    memcpy(head + SNAPSHOT_BLOCK_HEAD, payload, len);
    file->len += SNAPSHOT_BLOCK_HEAD + len;
    return put_checksum(file, from, seed);
}

/** Builds a file around records: each block takes as many bytes as the one before it ends with
 * says.
 */
static void
build(struct file *file, const uint8_t *data, size_t len)
{
    uint8_t done[SNAPSHOT_DONE] = { 0 };
    memset(file->bytes, 0, SNAPSHOT_HEAD);
    memcpy(file->bytes, SNAPSHOT_MAGIC, SNAPSHOT_MAGIC_LEN);
    le_put_u32(file->bytes + 8, SNAPSHOT_VERSION);
    file->len = SNAPSHOT_HEAD - SNAPSHOT_CHECKSUM;
    uint64_t seed = put_checksum(file, 0, 0);
    uint64_t records_len = 0;
    uint64_t records = 0;
    size_t at = 0;
    size_t begun = 0; /* where the next record begins */
    while (at < len) {
        uint32_t part = BLOCK_MIN + data[at] * 4u;
        part = part < len - at ? part : (uint32_t)(len - at);
        uint32_t in_block = 0;
        while (begun >= at && begun < at + part) {
            in_block++;
            if (len - begun < SNAPSHOT_RECORD_HEAD) {
                break;
            }
            begun += (size_t)SNAPSHOT_RECORD_HEAD + data[begun + 32] +
                     le_get_u32(data + begun + 28);
        }
        records += in_block;
        seed = put_block(file, SNAPSHOT_KIND_ITEM, data + at, part, in_block, seed);
        records_len += part;
        at += part;
    }
    le_put_u64(done, records);
    le_put_u64(done + 8, records_len);
    seed = put_block(file, SNAPSHOT_KIND_DONE, done, SNAPSHOT_DONE, 0, seed);
    (void)seed;
}

struct side {
    struct cache *cache;
    struct cache_thread *thread;
};

static struct side
side_open(void)
{
    struct cache_options options = {
        .memory_limit = 4u << 20,
        .item_size_max = 1u << 20,
        .hash_seed = 1,
        .now = 1700000000,
    };
    struct side side = { .cache = cache_create(&options) };
    assert(side.cache != NULL);
    side.thread = cache_thread_open(side.cache);
    assert(side.thread != NULL);
    return side;
}

static void
side_close(struct side *side)
{
    cache_check(side->cache);
    cache_thread_close(side->cache, side->thread);
    cache_destroy(side->cache);
}

static enum snapshot_result
read_file(struct side *side, struct file *file, struct snapshot_figures *figures)
{
    static char error[SNAPSHOT_ERROR_CAP];
    struct snapshot_options options = { .now = 0 };
    struct snapshot_source source = { .read = file_read, .arg = file };
    file->at = 0;
    return snapshot_read(side->cache, side->thread, &source, &options, figures, error);
}

/** Reads a file; what it held is written and read again. */
static void
check_file(struct file *file, struct file *again)
{
    struct snapshot_figures figures;
    struct side side = side_open();
    enum snapshot_result result = read_file(&side, file, &figures);
    struct cache_stats stats;
    cache_stats_read(side.cache, &stats);
    assert(stats.items <= figures.items);
    if (result == SNAPSHOT_OK && stats.sum.evicted == 0) {
        assert(stats.items == figures.items);
        struct snapshot_options options = { .now = 0 };
        struct snapshot_sink sink = { .write = file_write, .arg = again };
        struct snapshot_figures second;
        struct side other = side_open();
        again->len = 0;
        if (snapshot_write(side.cache, side.thread, &sink, &options, &second) == SNAPSHOT_OK) {
            assert(second.items == figures.items);
            result = read_file(&other, again, &second);
            assert(result == SNAPSHOT_OK && second.items == figures.items);
        }
        side_close(&other);
    }
    side_close(&side);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len > FILE_MAX / 4) {
        return 0;
    }
    struct file file = { .bytes = malloc(FILE_MAX), .len = len };
    struct file again = { .bytes = malloc(FILE_MAX) };
    assert(file.bytes != NULL && again.bytes != NULL);
    memcpy(file.bytes, data, len);
    check_file(&file, &again);
    build(&file, data, len);
    check_file(&file, &again);
    free(file.bytes);
    free(again.bytes);
    return 0;
}
