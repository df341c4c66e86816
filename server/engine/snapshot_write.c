/* Writing a snapshot: a walk over all items (scan.c), each of which is then read as a client reads
 * it.  Nothing is written between cache_enter() and cache_leave(), as page moves wait for that: a
 * step's short items are copied into the block, its long ones are pinned and written behind it. */
#include "config.h"

#include "base/assert.h"
#include "base/hash.h"
#include "engine/cache_priv.h"
#include "engine/snapshot.h"
#include "engine/snapshot_priv.h"

#include <stdlib.h>
#include <string.h>

#define STEP_BYTES_MAX (CACHE_SCAN_ITEMS * (SNAPSHOT_RECORD_HEAD + CACHE_KEY_MAX + CACHE_COPY_MAX))
#define PACE_STEPS     1024u /* of the walk after which others have their turn, also without items */
#define CLOCK_COARSE_S 2     /* the cache's clock may differ so much from the system's, unset */
_Static_assert(STEP_BYTES_MAX <= SNAPSHOT_PAYLOAD_MAX / 2 + 32 * 1024, "blocks are half full");
_Static_assert(CACHE_SCAN_ITEMS <= CACHE_BATCH_MAX, "a step is one batch of reads");

/** What one step of the walk has named. */
struct batch {
    unsigned count;
    uint8_t key[CACHE_SCAN_ITEMS][CACHE_KEY_MAX];
    struct cache_read reads[CACHE_SCAN_ITEMS];
    unsigned pinned_count;
    struct cache_read *pinned[CACHE_SCAN_ITEMS]; /* each owns a pin */
};

struct writer {
    struct cache *cache;
    struct cache_thread *thread;
    const struct snapshot_sink *sink;
    const struct snapshot_options *options;
    struct snapshot_figures *figures;
    uint8_t *block;   /* SNAPSHOT_BLOCK_MAX */
    uint32_t len;     /* of its payload */
    uint32_t records; /* that begin in it */
    uint64_t records_len;
    uint64_t checksum; /* the last one written */
    int64_t skew_s;    /* from the cache's clock to the system's */
    struct batch batch;
};

/* -- blocks ------------------------------------------------------------------------------------ */

static uint8_t *
payload(const struct writer *writer)
{
    return writer->block + SNAPSHOT_BLOCK_HEAD;
}

static uint32_t
room(const struct writer *writer)
{
    return SNAPSHOT_PAYLOAD_MAX - writer->len;
}

static enum snapshot_result
put_block(struct writer *writer, uint32_t kind)
{
    uint32_t len = SNAPSHOT_BLOCK_HEAD + writer->len;
    le_put_u32(writer->block, kind);
    le_put_u32(writer->block + 4, writer->len);
    le_put_u32(writer->block + 8, writer->records);
    le_put_u32(writer->block + 12, 0);
    writer->checksum = hash_bytes(writer->block, len, writer->checksum);
    le_put_u64(writer->block + len, writer->checksum);
    len += SNAPSHOT_CHECKSUM;
    if (!writer->sink->write(writer->sink->arg, writer->block, len)) {
        return SNAPSHOT_CANNOT_WRITE;
    }
    writer->figures->bytes += len;
    writer->len = 0;
    writer->records = 0;
    return SNAPSHOT_OK;
}

/** Lets others have their turn. */
static enum snapshot_result
pace(const struct writer *writer)
{
    const struct snapshot_options *options = writer->options;
    bool go_on = options->pace == NULL || options->pace(options->pace_arg, writer->figures);
    return go_on ? SNAPSHOT_OK : SNAPSHOT_STOPPED;
}

/** Writes what the block holds. */
static enum snapshot_result
flush(struct writer *writer)
{
    if (writer->len > 0) {
        enum snapshot_result result = put_block(writer, SNAPSHOT_KIND_ITEM);
        if (result != SNAPSHOT_OK) {
            return result;
        }
    }
    return pace(writer);
}

/** The time, and the ids that have been given. */
static void
put_now(const struct writer *writer, uint8_t *at)
{
    le_put_u64(at, (uint64_t)(cache_now(writer->cache) + writer->skew_s));
    /* relaxed: what was given to an item that we have read is seen */
    le_put_u64(at + 8, atomic_load_explicit(&writer->cache->cas_last, memory_order_relaxed));
}

static enum snapshot_result
put_head(struct writer *writer)
{
    uint8_t head[SNAPSHOT_HEAD];
    memcpy(head, SNAPSHOT_MAGIC, SNAPSHOT_MAGIC_LEN);
    le_put_u32(head + 8, SNAPSHOT_VERSION);
    le_put_u32(head + 12, 0);
    put_now(writer, head + 16);
    writer->checksum = hash_bytes(head, SNAPSHOT_HEAD - SNAPSHOT_CHECKSUM, 0);
    le_put_u64(head + SNAPSHOT_HEAD - SNAPSHOT_CHECKSUM, writer->checksum);
    if (!writer->sink->write(writer->sink->arg, head, sizeof(head))) {
        return SNAPSHOT_CANNOT_WRITE;
    }
    writer->figures->bytes += sizeof(head);
    return SNAPSHOT_OK;
}

static enum snapshot_result
put_done(struct writer *writer)
{
    assert(writer->len == 0);
    uint8_t *at = payload(writer);
    le_put_u64(at, writer->figures->items);
    le_put_u64(at + 8, writer->records_len);
    put_now(writer, at + 16);
    writer->len = SNAPSHOT_DONE;
    return put_block(writer, SNAPSHOT_KIND_DONE);
}

/* -- items ------------------------------------------------------------------------------------- */

/** When an item expires, by the system's clock: at the latest when a flush that is to come passes.
 */
static int64_t
expires_at(const struct writer *writer, const struct cache_read *read)
{
    /* relaxed: one number */
    uint32_t flush_s = atomic_load_explicit(&writer->cache->flush_at_s, memory_order_relaxed);
    int64_t flush_at = cache_expires_at(writer->cache, flush_s);
    int64_t at = read->expires_at;
    if (flush_at != CACHE_NEVER && (at == CACHE_NEVER || at > flush_at)) {
        at = flush_at;
    }
    return at == CACHE_NEVER ? at : at + writer->skew_s;
}

/** Puts a record's head and key behind what is there. */
static void
put_record(struct writer *writer, const struct cache_read *read)
{
    uint8_t *at = payload(writer) + writer->len;
    uint64_t uses = (read->access & ACCESS_USES_MASK) / ACCESS_USE_ONE;
    int64_t used_at = cache_now(writer->cache) - read->idle_s + writer->skew_s;
    le_put_u64(at, read->cas);
    le_put_u64(at + 8, (uint64_t)expires_at(writer, read));
    le_put_u64(at + 16, (uint64_t)used_at);
    le_put_u32(at + 24, read->client_flags);
    le_put_u32(at + 28, read->value_len);
    at[32] = (uint8_t)read->key_len;
    at[33] = (uint8_t)((read->stale ? SNAPSHOT_STALE : 0) | (read->claimed ? SNAPSHOT_CLAIMED : 0) |
                       (read->binary_key ? SNAPSHOT_BINARY_KEY : 0) |
                       (read->fetched ? SNAPSHOT_FETCHED : 0));
    at[34] = (uint8_t)uses;
    at[35] = 0;
    memcpy(at + SNAPSHOT_RECORD_HEAD, read->key, read->key_len);
    writer->len += SNAPSHOT_RECORD_HEAD + read->key_len;
}

/** A record has been begun for good. */
static void
count_record(struct writer *writer, const struct cache_read *read)
{
    writer->records++;
    writer->figures->items++;
    writer->records_len += (uint64_t)SNAPSHOT_RECORD_HEAD + read->key_len + read->value_len;
}

/** cache_visit_fn: notes a key. */
static bool
note_key(void *arg, const struct cache_item_info *info)
{
    struct batch *batch = arg;
    assert(batch->count < CACHE_SCAN_ITEMS);
    memcpy(batch->key[batch->count], info->key, info->key_len);
    batch->reads[batch->count] = (struct cache_read){
        .key = batch->key[batch->count],
        .key_len = info->key_len,
        .mode = CACHE_READ_PEEK,
    };
    batch->count++;
    return true;
}

/** Copies an item into the block, or pins it.  One that has gone meanwhile is left out. */
static void
take_item(struct writer *writer, struct cache_read *read)
{
    struct cache *cache = writer->cache;
    while (cache_find(cache, writer->thread, read) == CACHE_OK) {
        cache_read_more(cache, read);
        if (read->pin != NULL) {
            (void)cache_hit(cache, writer->thread, read); /* always is one */
            writer->batch.pinned[writer->batch.pinned_count++] = read;
            return;
        }
        uint32_t len_before = writer->len;
        assert(room(writer) >= SNAPSHOT_RECORD_HEAD + read->key_len + read->value_len);
        put_record(writer, read);
        cache_copy(cache, read, payload(writer) + writer->len);
        writer->len += read->value_len;
        if (cache_hit(cache, writer->thread, read)) {
            count_record(writer, read);
            return;
        }
        writer->len = len_before;
    }
}

/** Takes the items of one step; whether there is more. */
static bool
take_step(struct writer *writer, struct cache_scan *scan)
{
    struct batch *batch = &writer->batch;
    batch->count = 0;
    batch->pinned_count = 0;
    cache_enter(writer->thread);
    bool more = cache_scan(writer->cache, writer->thread, scan, note_key, batch, 1);
    cache_prefetch(writer->cache, batch->reads, batch->count);
    for (unsigned i = 0; i < batch->count; i++) {
        take_item(writer, &batch->reads[i]);
    }
    cache_leave(writer->thread);
    return more;
}

/** Writes a long item from where it lies. */
static enum snapshot_result
put_pinned(struct writer *writer, const struct cache_read *read)
{
    enum snapshot_result result = SNAPSHOT_OK;
    if (room(writer) < SNAPSHOT_RECORD_HEAD + read->key_len) {
        result = flush(writer);
        if (result != SNAPSHOT_OK) {
            return result;
        }
    }
    put_record(writer, read);
    count_record(writer, read);
    for (size_t at = 0; at < read->value_len;) {
        struct cache_piece piece;
        unsigned pieces = cache_pin_pieces(writer->cache, read->pin, at, &piece, 1);
        assert(pieces == 1);
        size_t part = piece.len < room(writer) ? piece.len : room(writer);
        memcpy(payload(writer) + writer->len, piece.at, part);
        writer->len += (uint32_t)part;
        at += part;
        if (room(writer) == 0) {
            result = flush(writer);
            if (result != SNAPSHOT_OK) {
                return result;
            }
        }
    }
    return SNAPSHOT_OK;
}

/** Writes the long items of a step, and gives their pins back. */
static enum snapshot_result
put_all_pinned(struct writer *writer)
{
    enum snapshot_result result = SNAPSHOT_OK;
    for (unsigned i = 0; i < writer->batch.pinned_count; i++) {
        struct cache_read *read = writer->batch.pinned[i];
        if (result == SNAPSHOT_OK) {
            result = put_pinned(writer, read);
        }
        cache_unpin(writer->cache, writer->thread, &read->pin);
    }
    return result;
}

static enum snapshot_result
put_items(struct writer *writer)
{
    struct cache_scan scan = { 0 };
    enum snapshot_result result = SNAPSHOT_OK;
    bool more = true;
    for (uint64_t steps = 1; more && result == SNAPSHOT_OK; steps++) {
        if (room(writer) < STEP_BYTES_MAX) {
            result = flush(writer);
        } else if (steps % PACE_STEPS == 0) {
            result = pace(writer);
        }
        if (result == SNAPSHOT_OK) {
            more = take_step(writer, &scan);
            result = put_all_pinned(writer);
        }
    }
    return result == SNAPSHOT_OK ? flush(writer) : result;
}

enum snapshot_result
snapshot_write(struct cache *cache, struct cache_thread *thread, const struct snapshot_sink *sink,
               const struct snapshot_options *options, struct snapshot_figures *figures)
{
    *figures = (struct snapshot_figures){ 0 };
    struct writer *writer = malloc(sizeof(*writer));
    uint8_t *block = malloc(SNAPSHOT_BLOCK_MAX);
    enum snapshot_result result = SNAPSHOT_NO_MEMORY;
    if (writer == NULL || block == NULL) {
        goto done;
    }
    memset(writer, 0, sizeof(*writer));
    writer->cache = cache;
    writer->thread = thread;
    writer->sink = sink;
    writer->options = options;
    writer->figures = figures;
    writer->block = block;
    int64_t skew_s = options->now != 0 ? options->now - cache_now(cache) : 0;
    writer->skew_s = skew_s < -CLOCK_COARSE_S || skew_s > CLOCK_COARSE_S ? skew_s : 0;
    result = put_head(writer);
    if (result == SNAPSHOT_OK) {
        result = put_items(writer);
    }
    if (result == SNAPSHOT_OK) {
        result = put_done(writer);
    }

done:
    free(block);
    free(writer);
    return result;
}
