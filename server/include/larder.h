/* larder: the cache as a library.  The only public header.  C and C++.
 *
 * Every call may be made from any thread at any time between larder_open() and larder_close().  A
 * get takes no lock.  Several caches can live in one process.
 */
#ifndef LARDER_H
#define LARDER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LARDER_API      __attribute__((visibility("default"), warn_unused_result))
#define LARDER_API_VOID __attribute__((visibility("default")))
#else
#define LARDER_API
#define LARDER_API_VOID
#endif

#define LARDER_KEY_LEN_MAX 250u /* bytes */

/* Every answer a call can give, with its text. */
#define LARDER_RESULTS(X)                                                  \
    X(LARDER_OK, "ok")                                                     \
    X(LARDER_MISS, "no such key")                                          \
    X(LARDER_EXISTS, "the key is there already, or has another CAS id")    \
    X(LARDER_NOT_NUMBER, "the value is no decimal number below 2^64")      \
    X(LARDER_TOO_LARGE, "larger than the buffer or than the largest item") \
    X(LARDER_NO_MEMORY, "no memory, and nothing may be evicted")           \
    X(LARDER_BAD_KEY, "a key has 1 to 250 bytes")                          \
    X(LARDER_BAD_OPTION, "an option is out of its range")                  \
    X(LARDER_SYSTEM, "the system refused; errno tells why")

enum larder_result {
#define LARDER_RESULT_ENUM(name, text) name,
    LARDER_RESULTS(LARDER_RESULT_ENUM)
#undef LARDER_RESULT_ENUM
};

/** The text of a result; static storage. */
LARDER_API const char *larder_result_text(enum larder_result result);

/** An open cache.  Opaque. */
struct larder;

/** Fill with LARDER_OPTIONS_INIT, then change what is to differ. */
struct larder_options {
    uint32_t version;       /* LARDER_OPTIONS_VERSION */
    uint32_t item_size_max; /* bytes of key, value and header; 1024 to 1 GiB */
    uint64_t memory_limit;  /* bytes; at least 1 MiB; hard, index included */
    double growth_factor;   /* between size classes, above 1 up to 16; 0 for the default */
    int evictions_disabled; /* stores fail with LARDER_NO_MEMORY instead of evicting */
    int cas_disabled;       /* 8 bytes less per item */
};

#define LARDER_OPTIONS_VERSION 1u
#define LARDER_OPTIONS_INIT                                                   \
    {                                                                         \
        LARDER_OPTIONS_VERSION, 1024u * 1024u, 64u * 1024u * 1024u, 0.0, 0, 0 \
    }

/**
 * Opens a cache in this process's memory.
 *
 * options   borrowed for the call; NULL for the defaults
 * cache     out, the caller's until larder_close(); set on LARDER_OK only
 *
 * Errors:  LARDER_BAD_OPTION; LARDER_SYSTEM.
 */
LARDER_API enum larder_result larder_open(const struct larder_options *options,
                                          struct larder **cache);

/** Closes it; `*cache` becomes NULL.  No other call may be under way. */
LARDER_API_VOID void larder_close(struct larder **cache);

/**
 * Copies the value under `key` into `buf`.
 *
 * key, key_len   borrowed for the call; 1 to LARDER_KEY_LEN_MAX bytes
 * buf, buf_cap   the caller's; written up to `buf_cap` bytes
 * value_len      out, bytes; set on LARDER_OK and on LARDER_TOO_LARGE (then: the room needed)
 *
 * Errors:  LARDER_MISS; LARDER_BAD_KEY; LARDER_TOO_LARGE.  On an error what `buf` holds is
 * undefined. Threads: any.  Takes no lock on a hit of a value up to 16 KiB.
 */
LARDER_API enum larder_result larder_get(struct larder *cache, const void *key, size_t key_len,
                                         void *buf, size_t buf_cap, size_t *value_len);

/**
 * As larder_get(); `cas` is set on LARDER_OK to the id of this state of the item, for larder_cas().
 */
LARDER_API enum larder_result larder_get_cas(struct larder *cache, const void *key, size_t key_len,
                                             void *buf, size_t buf_cap, size_t *value_len,
                                             uint64_t *cas);

/** One key of larder_get_batch(); members as the parameters of larder_get_cas(). */
struct larder_get {
    const void *key;
    size_t key_len;
    void *buf;
    size_t buf_cap;
    size_t value_len;          /* out */
    uint64_t cas;              /* out; 0 with cas_disabled */
    enum larder_result result; /* out, as larder_get() answers */
};

/** Gets `count` keys at once: memory latencies overlap, which is up to three times faster than one
 * by one. */
LARDER_API_VOID void larder_get_batch(struct larder *cache, struct larder_get *gets, size_t count);

/**
 * Stores a copy of `value` under `key`, in place of what is there.
 *
 * value, value_len   borrowed for the call; binary safe, may be empty
 * ttl_s              seconds to live; 0 for no end.  The cache counts whole seconds: an item is a
 * miss up to one second before its time is over, and not later
 *
 * Errors:  LARDER_BAD_KEY; LARDER_TOO_LARGE, LARDER_NO_MEMORY: the old value is gone, so that
 * nothing stale is read.
 */
LARDER_API enum larder_result larder_set(struct larder *cache, const void *key, size_t key_len,
                                         const void *value, size_t value_len, uint32_t ttl_s);

/**
 * As larder_set(), if nothing is stored under `key`.
 *
 * Errors:  LARDER_EXISTS; LARDER_BAD_KEY; LARDER_TOO_LARGE, LARDER_NO_MEMORY: what is there stays.
 */
LARDER_API enum larder_result larder_add(struct larder *cache, const void *key, size_t key_len,
                                         const void *value, size_t value_len, uint32_t ttl_s);

/**
 * As larder_set(), if the item is still in the state that larder_get_cas() gave the id `cas` of.
 *
 * Errors:  LARDER_EXISTS: it has changed, or cas_disabled; LARDER_MISS: it is gone; LARDER_BAD_KEY;
 *          LARDER_TOO_LARGE, LARDER_NO_MEMORY: what is there stays.
 */
LARDER_API enum larder_result larder_cas(struct larder *cache, const void *key, size_t key_len,
                                         const void *value, size_t value_len, uint32_t ttl_s,
                                         uint64_t cas);

/**
 * Adds `delta` to a value that is a decimal number, wrapping at 2^64; larder_decr() takes it away,
 * not below 0.
 *
 * value   out, the new number; may be NULL.  The stored text may be padded with spaces on the right
 *
 * Errors:  LARDER_MISS; LARDER_NOT_NUMBER; LARDER_BAD_KEY; LARDER_NO_MEMORY.
 */
LARDER_API enum larder_result larder_incr(struct larder *cache, const void *key, size_t key_len,
                                          uint64_t delta, uint64_t *value);
LARDER_API enum larder_result larder_decr(struct larder *cache, const void *key, size_t key_len,
                                          uint64_t delta, uint64_t *value);

/** Gives an item `ttl_s` seconds from now, 0 for no end.  Errors: LARDER_MISS; LARDER_BAD_KEY. */
LARDER_API enum larder_result larder_touch(struct larder *cache, const void *key, size_t key_len,
                                           uint32_t ttl_s);

/** Makes all that is stored a miss, at once.  Its memory comes back as stores and larder_maintain()
 * need it. */
LARDER_API_VOID void larder_flush(struct larder *cache);

/** Errors: LARDER_MISS; LARDER_BAD_KEY. */
LARDER_API enum larder_result larder_delete(struct larder *cache, const void *key, size_t key_len);

/** What larder_stats() fills.  `version` is the caller's, in. */
struct larder_stats {
    uint32_t version; /* LARDER_STATS_VERSION */
    uint64_t items;
    uint64_t bytes;        /* of living items: header, key, value */
    uint64_t memory_used;  /* bytes of the limit that are taken, index included */
    uint64_t memory_limit; /* bytes */
    uint64_t index_bytes;
    uint64_t get_hits;
    uint64_t get_misses;
    uint64_t stores;
    uint64_t evictions;
    uint64_t expired; /* items whose memory came back because their time was over */
};
#define LARDER_STATS_VERSION 1u

/** Errors: LARDER_BAD_OPTION for an unknown version. */
LARDER_API enum larder_result larder_stats(struct larder *cache, struct larder_stats *stats);

/** Does a slice (about 100 us) of the work that stores leave: expired memory, page moves. Optional;
 * returns whether there is more at once. */
LARDER_API_VOID int larder_maintain(struct larder *cache);

#ifdef __cplusplus
}
#endif

#endif
