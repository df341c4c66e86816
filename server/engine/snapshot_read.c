/* Reading a snapshot.  A block is taken in whole, and nothing of it is stored unless its checksum
 * is right.  Behind a bad block nothing is stored; the others are only looked at, to tell which of
 * them are bad. */
#include "config.h"

#include "base/assert.h"
#include "base/hash.h"
#include "engine/cache_priv.h"
#include "engine/snapshot.h"
#include "engine/snapshot_priv.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAD_BLOCKS_NAMED 8u /* of which the text tells the offsets */

struct block {
    uint64_t at; /* offset in the file */
    uint32_t kind;
    uint32_t len; /* of the payload */
    uint32_t records;
    const uint8_t *payload;
};

struct reader {
    struct cache *cache;
    struct cache_thread *thread;
    const struct snapshot_source *source;
    const struct snapshot_options *options;
    struct snapshot_figures *figures;
    char *error; /* SNAPSHOT_ERROR_CAP */
    size_t error_len;
    uint8_t *bytes;    /* SNAPSHOT_BLOCK_MAX: a block */
    uint64_t checksum; /* the last one in the file */
    uint64_t records;
    uint64_t records_len;
    /* the record whose value goes on in the next block */
    uint32_t value_left; /* 0: there is none */
    bool storing;        /* it goes into `store`, else nowhere */
    uint8_t key[CACHE_KEY_MAX];
    struct snapshot_item item;
    struct cache_store store;
};

/* -- what is wrong ----------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void
complain(struct reader *reader, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = SNAPSHOT_ERROR_CAP - reader->error_len;
    int len = vsnprintf(reader->error + reader->error_len, room, format, args);
    va_end(args);
    if (len > 0) {
        reader->error_len += (size_t)len < room ? (size_t)len : room - 1;
    }
}

/** Notes a block whose checksum is wrong. */
static void
note_bad_block(struct reader *reader, uint64_t at)
{
    uint64_t number = ++reader->figures->bad_blocks;
    if (number <= BAD_BLOCKS_NAMED) {
        complain(reader,
                 number == 1 ? "wrong checksum in the block at byte %" PRIu64 : ", %" PRIu64, at);
    }
}

/** The file makes no sense from here on. */
static enum snapshot_result
damaged_at(struct reader *reader, const char *what, uint64_t at)
{
    complain(reader, "%s%s at byte %" PRIu64, reader->error_len > 0 ? "; " : "", what, at);
    return SNAPSHOT_DAMAGED;
}

/* -- bytes ------------------------------------------------------------------------------------- */

/** Reads what there is of `len` bytes. */
static enum snapshot_result
take(struct reader *reader, uint8_t *bytes, size_t len, size_t *got)
{
    if (!reader->source->read(reader->source->arg, bytes, len, got)) {
        return SNAPSHOT_CANNOT_READ;
    }
    assert(*got <= len);
    reader->figures->bytes += *got;
    return SNAPSHOT_OK;
}

static enum snapshot_result
take_file_head(struct reader *reader)
{
    size_t got;
    uint8_t *head = reader->bytes;
    enum snapshot_result result = take(reader, head, SNAPSHOT_HEAD, &got);
    if (result != SNAPSHOT_OK) {
        return result;
    }
    size_t magic_len = got < SNAPSHOT_MAGIC_LEN ? got : SNAPSHOT_MAGIC_LEN;
    if (memcmp(head, SNAPSHOT_MAGIC, magic_len) != 0) {
        return SNAPSHOT_FOREIGN;
    }
    if (got < 12) {
        return damaged_at(reader, "cut off", got);
    }
    uint32_t version = le_get_u32(head + 8);
    if (version != SNAPSHOT_VERSION) {
        complain(reader, "version %" PRIu32 " of the format; this larder reads version %u", version,
                 SNAPSHOT_VERSION);
        return SNAPSHOT_BAD_VERSION;
    }
    if (got < SNAPSHOT_HEAD) {
        return damaged_at(reader, "cut off", got);
    }
    size_t len = SNAPSHOT_HEAD - SNAPSHOT_CHECKSUM;
    reader->checksum = le_get_u64(head + len);
    if (hash_bytes(head, len, 0) != reader->checksum) {
        return damaged_at(reader, "wrong checksum of the head", 0);
    }
    uint64_t cas = le_get_u64(head + 24);
    if (cas >= SNAPSHOT_CAS_END) {
        return damaged_at(reader, "no CAS id", 24);
    }
    cache_raise_cas(reader->cache, cas);
    return SNAPSHOT_OK;
}

/** Reads a block; its checksum may be wrong, which is noted. */
static enum snapshot_result
take_block(struct reader *reader, struct block *block)
{
    size_t got;
    uint8_t *head = reader->bytes;
    block->at = reader->figures->bytes;
    enum snapshot_result result = take(reader, head, SNAPSHOT_BLOCK_HEAD, &got);
    if (result != SNAPSHOT_OK) {
        return result;
    }
    if (got < SNAPSHOT_BLOCK_HEAD) {
        return damaged_at(reader, "cut off", reader->figures->bytes);
    }
    block->kind = le_get_u32(head);
    block->len = le_get_u32(head + 4);
    block->records = le_get_u32(head + 8);
    block->payload = head + SNAPSHOT_BLOCK_HEAD;
    if ((block->kind != SNAPSHOT_KIND_ITEM && block->kind != SNAPSHOT_KIND_DONE) ||
        block->len > SNAPSHOT_PAYLOAD_MAX) {
        reader->figures->bad_blocks++;
        return damaged_at(reader, "no block", block->at);
    }
    size_t behind = (size_t)block->len + SNAPSHOT_CHECKSUM;
    result = take(reader, head + SNAPSHOT_BLOCK_HEAD, behind, &got);
    if (result != SNAPSHOT_OK) {
        return result;
    }
    if (got < behind) {
        return damaged_at(reader, "cut off", reader->figures->bytes);
    }
    uint64_t seed = reader->checksum;
    reader->checksum = le_get_u64(block->payload + block->len);
    if (hash_bytes(head, SNAPSHOT_BLOCK_HEAD + block->len, seed) != reader->checksum) {
        note_bad_block(reader, block->at);
    }
    return SNAPSHOT_OK;
}

/* -- records ----------------------------------------------------------------------------------- */

/** Counts an item that was refused. */
static void
count_refused(struct reader *reader, enum cache_result why)
{
    switch (why) {
    case CACHE_TOO_LARGE:
        reader->figures->too_large++;
        break;
    case CACHE_NO_MEMORY:
        reader->figures->no_room++;
        break;
    case CACHE_OK:
    case CACHE_MISS:
    case CACHE_EXISTS:
    case CACHE_NOT_STORED:
    case CACHE_NOT_NUMBER:
        reader->figures->kept++;
        break;
    }
}

/** Reads a record's head and key; false when they make no sense. */
static bool
parse_record(struct reader *reader, const uint8_t *at, size_t len)
{
    if (len < SNAPSHOT_RECORD_HEAD) {
        return false;
    }
    struct snapshot_item *item = &reader->item;
    unsigned marks = at[33];
    *item = (struct snapshot_item){
        .key = reader->key,
        .key_len = at[32],
        .value_len = le_get_u32(at + 28),
        .client_flags = le_get_u32(at + 24),
        .expires_at = (int64_t)le_get_u64(at + 8),
        .used_at = (int64_t)le_get_u64(at + 16),
        .cas = le_get_u64(at),
        .uses = at[34],
        .stale = (marks & SNAPSHOT_STALE) != 0,
        .claimed = (marks & SNAPSHOT_CLAIMED) != 0,
        .binary_key = (marks & SNAPSHOT_BINARY_KEY) != 0,
        .fetched = (marks & SNAPSHOT_FETCHED) != 0,
    };
    bool good = item->key_len >= 1 && item->key_len <= CACHE_KEY_MAX &&
                item->key_len <= len - SNAPSHOT_RECORD_HEAD &&
                item->value_len <= CACHE_ITEM_SIZE_LIMIT && item->expires_at >= 0 &&
                item->used_at >= 0 && item->uses <= SNAPSHOT_USES_MAX &&
                (marks & ~(unsigned)SNAPSHOT_MARKS) == 0 && at[35] == 0;
    if (good) {
        memcpy(reader->key, at + SNAPSHOT_RECORD_HEAD, item->key_len);
    }
    return good;
}

/** The value is whole. */
static void
end_record(struct reader *reader)
{
    if (!reader->storing) {
        return;
    }
    reader->storing = false;
    enum cache_result result =
        cache_restore_commit(reader->cache, reader->thread, &reader->item, &reader->store);
    if (result == CACHE_OK) {
        reader->figures->items++;
    } else {
        count_refused(reader, result);
    }
}

static void
begin_record(struct reader *reader)
{
    const struct snapshot_item *item = &reader->item;
    reader->records++;
    reader->records_len += (uint64_t)SNAPSHOT_RECORD_HEAD + item->key_len + item->value_len;
    reader->value_left = item->value_len;
    reader->storing = false;
    if (item->expires_at != CACHE_NEVER && item->expires_at <= cache_now(reader->cache)) {
        reader->figures->expired++;
        return;
    }
    enum cache_result result =
        cache_restore_begin(reader->cache, reader->thread, item, &reader->store);
    reader->storing = result == CACHE_OK;
    if (result != CACHE_OK) {
        count_refused(reader, result);
    }
}

/** Takes what a block holds of the value that is begun; returns its bytes. */
static size_t
take_value(struct reader *reader, const uint8_t *at, size_t len)
{
    size_t part = len < reader->value_left ? len : reader->value_left;
    if (reader->storing && part > 0) {
        enum cache_result result =
            cache_store_write(reader->cache, reader->thread, &reader->store, at, part);
        if (result != CACHE_OK) {
            reader->storing = false;
            count_refused(reader, result);
        }
    }
    reader->value_left -= (uint32_t)part;
    if (reader->value_left == 0) {
        end_record(reader);
    }
    return part;
}

static enum snapshot_result
store_block(struct reader *reader, const struct block *block)
{
    size_t at = reader->value_left > 0 ? take_value(reader, block->payload, block->len) : 0;
    uint32_t records = 0;
    while (at < block->len) {
        if (!parse_record(reader, block->payload + at, block->len - at)) {
            return damaged_at(reader, "no record", block->at + SNAPSHOT_BLOCK_HEAD + at);
        }
        records++;
        at += SNAPSHOT_RECORD_HEAD + reader->item.key_len;
        begin_record(reader);
        at += take_value(reader, block->payload + at, block->len - at);
    }
    if (records != block->records) {
        return damaged_at(reader, "wrong number of records in the block", block->at);
    }
    return SNAPSHOT_OK;
}

/* -- the whole --------------------------------------------------------------------------------- */

/** The last block: whether what came before it is all that was written, and nothing comes behind.
 */
static enum snapshot_result
take_done(struct reader *reader, const struct block *block)
{
    const uint8_t *at = block->payload;
    size_t got;
    if (block->len != SNAPSHOT_DONE || block->records != 0 || reader->value_left > 0 ||
        le_get_u64(at) != reader->records || le_get_u64(at + 8) != reader->records_len ||
        le_get_u64(at + 24) >= SNAPSHOT_CAS_END) {
        return damaged_at(reader, "wrong sums in the block", block->at);
    }
    cache_raise_cas(reader->cache, le_get_u64(at + 24));
    uint64_t end = reader->figures->bytes;
    enum snapshot_result result = take(reader, reader->bytes, 1, &got);
    if (result == SNAPSHOT_OK && got > 0) {
        result = damaged_at(reader, "more bytes behind the end,", end);
    }
    return result;
}

/** Looks for further bad blocks behind one, as far as there are blocks. */
static enum snapshot_result
survey(struct reader *reader)
{
    struct block block = { .kind = SNAPSHOT_KIND_ITEM };
    enum snapshot_result result = SNAPSHOT_OK;
    while (result == SNAPSHOT_OK && block.kind == SNAPSHOT_KIND_ITEM) {
        result = take_block(reader, &block);
    }
    if (reader->figures->bad_blocks > BAD_BLOCKS_NAMED) {
        complain(reader, " and more, %" PRIu64 " in all", reader->figures->bad_blocks);
    }
    return SNAPSHOT_DAMAGED;
}

static enum snapshot_result
read_blocks(struct reader *reader)
{
    const struct snapshot_options *options = reader->options;
    for (;;) {
        struct block block;
        enum snapshot_result result = take_block(reader, &block);
        if (result != SNAPSHOT_OK) {
            return result;
        }
        if (reader->figures->bad_blocks > 0) {
            return survey(reader);
        }
        if (block.kind == SNAPSHOT_KIND_DONE) {
            return take_done(reader, &block);
        }
        result = store_block(reader, &block);
        if (result != SNAPSHOT_OK) {
            return result;
        }
        if (options->pace != NULL && !options->pace(options->pace_arg, reader->figures)) {
            return SNAPSHOT_STOPPED;
        }
    }
}

enum snapshot_result
snapshot_read(struct cache *cache, struct cache_thread *thread,
              const struct snapshot_source *source, const struct snapshot_options *options,
              struct snapshot_figures *figures, char *error)
{
    *figures = (struct snapshot_figures){ 0 };
    error[0] = '\0';
    struct reader *reader = malloc(sizeof(*reader));
    uint8_t *bytes = malloc(SNAPSHOT_BLOCK_MAX);
    enum snapshot_result result = SNAPSHOT_NO_MEMORY;
    if (reader == NULL || bytes == NULL) {
        goto done;
    }
    memset(reader, 0, sizeof(*reader));
    reader->cache = cache;
    reader->thread = thread;
    reader->source = source;
    reader->options = options;
    reader->figures = figures;
    reader->error = error;
    reader->bytes = bytes;
    result = take_file_head(reader);
    if (result == SNAPSHOT_OK) {
        result = read_blocks(reader);
    }
    if (reader->storing) {
        cache_store_abort(cache, thread, &reader->store);
    }

done:
    free(bytes);
    free(reader);
    return result;
}
