/* Snapshots: all items of a cache in one file, written while others use the cache, and read back.
 *
 * The file, all numbers little endian:
 *
 *     offset  size  meaning
 *     0       8     8c 'l' 'a' 'r' 'd' 'e' 'r' 0a
 *     8       4     version of the format: 1.  What follows may be another way in other versions
 *     12      4     0
 *     16      8     when it was begun, unix seconds
 *     24      8     the highest CAS id given until then; below 2^63
 *     32      8     checksum of bytes 0 to 31, its seed 0
 *     40            blocks
 *
 *     a block:
 *     0       4     "ITEM", or "DONE" for the last one
 *     4       4     bytes of payload, n; at most 1 MiB
 *     8       4     records that begin in it; 0 in DONE
 *     12      4     0
 *     16      n     payload
 *     16 + n  8     checksum of all before in the block
 *
 *     A checksum is XXH3 of 64 bits, its seed the checksum that stands before it in the file.  So a
 *     block that is missing, is there twice, or belongs to another file shows as well.
 *
 *     The payloads of all ITEM blocks, one behind the other, are records.  A record's head and key
 *     lie within one block, its value may go on in the blocks behind.
 *
 *     a record:
 *     0       8     CAS id; 0 for none
 *     8       8     when it expires, unix seconds; 0 for never
 *     16      8     when it was used last, unix seconds
 *     24      4     client flags
 *     28      4     bytes of value, v; at most 1 GiB
 *     32      1     bytes of key, k; 1 to 250
 *     33      1     marks: 1 stale; 2 someone has been told to make it anew; 4 the key came as
 *                   base64; 8 read since it was stored
 *     34      1     uses that the eviction has counted: 0 to 3
 *     35      1     0
 *     36      k     key
 *     36 + k  v     value
 *
 *     payload of DONE, behind which the file ends:
 *     0       8     records
 *     8       8     bytes of all records
 *     16      8     when it was ended, unix seconds
 *     24      8     the highest CAS id given until then; below 2^63
 *
 * Every item that is in the cache from the beginning to the end is in the file once, as it was at
 * some moment in between; of what is stored, changed or removed meanwhile, some is as it was before
 * and some as it was after.
 */
#ifndef LARDER_ENGINE_SNAPSHOT_H
#define LARDER_ENGINE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/cache.h"

#define SNAPSHOT_PATH_MAX    1000u          /* bytes */
#define SNAPSHOT_ERROR_CAP   800u           /* bytes of an error's text, with the NUL */
#define SNAPSHOT_PAYLOAD_MAX (1024u * 1024) /* bytes of a block */

/** Results, and what each says where nothing closer is known. */
#define SNAPSHOT_RESULTS(X)                                                   \
    X(SNAPSHOT_OK, "ok")                                                      \
    X(SNAPSHOT_STOPPED, "stopped")                                            \
    X(SNAPSHOT_NO_MEMORY, "out of memory")                                    \
    X(SNAPSHOT_BAD_PATH, "not an absolute path of a file")                    \
    X(SNAPSHOT_BUSY, "another snapshot of that name is being written")        \
    X(SNAPSHOT_NO_FILE, "there is no such file")                              \
    X(SNAPSHOT_CANNOT_READ, "cannot be read")                                 \
    X(SNAPSHOT_CANNOT_WRITE, "cannot be written")                             \
    X(SNAPSHOT_FOREIGN, "is not a snapshot of larder")                        \
    X(SNAPSHOT_BAD_VERSION, "is a snapshot of another version of the format") \
    X(SNAPSHOT_DAMAGED, "is damaged")

enum snapshot_result {
#define SNAPSHOT_RESULT_NAME(name, text) name,
    SNAPSHOT_RESULTS(SNAPSHOT_RESULT_NAME)
#undef SNAPSHOT_RESULT_NAME
};
const char *snapshot_result_text(enum snapshot_result result);

/** What a snapshot has come to, or has come to so far. */
struct snapshot_figures {
    uint64_t items; /* written, or read and stored */
    uint64_t bytes; /* of the file */
    /* reading: items that were left out */
    uint64_t expired;    /* meanwhile */
    uint64_t too_large;  /* for item_size_max */
    uint64_t no_room;    /* without evictions */
    uint64_t kept;       /* the cache has an item of that key, or was told not to store it */
    uint64_t bad_blocks; /* on SNAPSHOT_DAMAGED: whose checksum is wrong */
};

/** Called now and then, and never between cache_enter() and cache_leave(): it may take its time.
 * False: stop. */
typedef bool snapshot_pace_fn(void *arg, const struct snapshot_figures *so_far);

struct snapshot_options {
    /* Unix seconds by the system's clock when it begins; 0: the cache's clock is right.  Times in
     * the file are by this clock, the cache's own does not follow when it is set. */
    int64_t now;
    snapshot_pace_fn *pace; /* NULL for none */
    void *pace_arg;
};

/* -- files ------------------------------------------------------------------------------------- */

/**
 * Writes all items to a file.  It appears whole under its name, or not at all: what is under that
 * name is replaced when all is on the disk, and never unless it is a snapshot itself.
 *
 * path      absolute; its folder is there.  Until the end it is written as PATH.tmp-PID, mode 0600;
 *           such files of processes that have died are removed
 * figures   out, also on errors
 * error     SNAPSHOT_ERROR_CAP bytes; unless the result is SNAPSHOT_OK, one line that names the
 *           file and the reason
 *
 * Threads: any; `thread` is the caller's, who is not between cache_enter() and cache_leave().  It
 *          may wait for the disk.
 */
__attribute__((warn_unused_result)) enum snapshot_result
snapshot_save(struct cache *cache, struct cache_thread *thread, const char *path,
              const struct snapshot_options *options, struct snapshot_figures *figures,
              char *error);

/**
 * Stores all items of a file that have not expired, with their CAS ids, times and marks, but not
 * over items that the cache has: those are newer.  More than the memory limit holds are evicted as
 * usual, those without use first.  The file is not changed.
 *
 * Parameters and threads as snapshot_save(); options->now does not matter.  On SNAPSHOT_DAMAGED and
 * SNAPSHOT_STOPPED the items before the first bad block, or before the stop, are in the cache; the
 * text names the offsets of bad blocks.
 */
__attribute__((warn_unused_result)) enum snapshot_result
snapshot_load(struct cache *cache, struct cache_thread *thread, const char *path,
              const struct snapshot_options *options, struct snapshot_figures *figures,
              char *error);

/* -- streams ----------------------------------------------------------------------------------- */

/** Takes all bytes.  False: it cannot, and the snapshot ends with SNAPSHOT_CANNOT_WRITE. */
struct snapshot_sink {
    bool (*write)(void *arg, const void *bytes, size_t len);
    void *arg;
};
/** Gives `len` bytes, or fewer at the end alone.  False: it cannot, and the result is
 * SNAPSHOT_CANNOT_READ. */
struct snapshot_source {
    bool (*read)(void *arg, void *bytes, size_t len, size_t *got);
    void *arg;
};

/** As snapshot_save() to anywhere. */
__attribute__((warn_unused_result)) enum snapshot_result
snapshot_write(struct cache *cache, struct cache_thread *thread, const struct snapshot_sink *sink,
               const struct snapshot_options *options, struct snapshot_figures *figures);
/** As snapshot_load() from anywhere.  `error` tells on SNAPSHOT_BAD_VERSION and SNAPSHOT_DAMAGED
 * what is wrong, else it is empty. */
__attribute__((warn_unused_result)) enum snapshot_result
snapshot_read(struct cache *cache, struct cache_thread *thread,
              const struct snapshot_source *source, const struct snapshot_options *options,
              struct snapshot_figures *figures, char *error);

/* -- one item ---------------------------------------------------------------------------------- */

/** An item as it once was. */
struct snapshot_item {
    const void *key;
    uint32_t key_len;
    uint32_t value_len;
    uint32_t client_flags;
    int64_t expires_at; /* unix seconds, CACHE_NEVER for none */
    int64_t used_at;    /* unix seconds */
    uint64_t cas;       /* 0: it gets the next id */
    uint8_t uses;       /* 0 .. 3 */
    bool stale;
    bool claimed;
    bool binary_key;
    bool fetched;
};

/**
 * Begins to store an item as it once was; the caller fills its value in, as after
 * cache_store_begin(), and ends with cache_restore_commit() or cache_store_abort().  Counts in no
 * command's figures.
 *
 * Errors: CACHE_TOO_LARGE, CACHE_NO_MEMORY: `store` owns nothing.
 */
enum cache_result cache_restore_begin(struct cache *cache, struct cache_thread *thread,
                                      const struct snapshot_item *item, struct cache_store *store);
/**
 * Makes it visible, unless the cache has an item of that key.
 *
 * Errors: CACHE_NOT_STORED: there is one, or what observes the source of truth has voided the key;
 * CACHE_NO_MEMORY.
 */
enum cache_result cache_restore_commit(struct cache *cache, struct cache_thread *thread,
                                       const struct snapshot_item *item, struct cache_store *store);
/** No id up to this one is given out from now on. */
void cache_raise_cas(struct cache *cache, uint64_t cas);

#endif
