/* larder: the cache as a library.  The only public header.  C and C++; man page larder(3).
 *
 * liblarder has all calls but those that serve or follow a database, and needs the C library alone;
 * those are in liblarder-serve (pkg-config larder-serve), which needs what the server needs.
 *
 * Every call may be made from any thread at any time between larder_open() and larder_close(),
 * where nothing else is said.  A get takes no lock.  Several caches can live in one process.
 *
 * The library starts no thread unless it is asked to serve or to follow a database, writes to no
 * standard stream, leaves signals and the locale alone, and does not end the process: what a host
 * may get wrong is answered with a result; so is a NULL where something has to be, with
 * LARDER_BAD_OPTION or LARDER_BAD_KEY, and calls that answer nothing do nothing then.  Its heap is
 * the host's malloc().
 *
 * Structures that may grow begin with a version.  The caller says with it which one was compiled
 * in; LARDER_X_INIT, or larder_x_init() where macros cannot be had, fills in the defaults.  All
 * results are ints in the ABI, all text is NUL-terminated, all lengths are bytes.
 *
 * fork():  the child has a copy of each cache.  It may use it as its own if no other thread was
 * in a call of the library when it forked, and no view, server or hook is open; otherwise it may
 * do nothing with it but exec() or _exit().  Neither sees what the other does then.
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

#define LARDER_KEY_LEN_MAX   250u   /* bytes */
#define LARDER_VIEWS_MAX     65536u /* of long values, of one cache at a time */
#define LARDER_SCAN_ITEMS    32u    /* room that larder_scan() needs */
#define LARDER_ERROR_CAP     1024u  /* bytes that hold any error text, NUL included */
#define LARDER_CHUNK_SIZES_MAX 63u
#define LARDER_SERVE_THREADS 64u    /* the most that larder_serve() starts as workers */

/* Every answer a call can give, with its text. */
#define LARDER_RESULTS(X)                                                  \
    X(LARDER_OK, "ok")                                                     \
    X(LARDER_MISS, "no such key")                                          \
    X(LARDER_EXISTS, "the key is there already, or has another CAS id")    \
    X(LARDER_NOT_NUMBER, "the value is no decimal number below 2^64")      \
    X(LARDER_TOO_LARGE, "larger than the buffer or than the largest item") \
    X(LARDER_NO_MEMORY, "no memory, and nothing may be evicted")           \
    X(LARDER_BAD_KEY, "a key has 1 to 250 bytes")                          \
    X(LARDER_BAD_OPTION, "an option or an argument is out of its range")   \
    X(LARDER_SYSTEM, "the system refused; errno tells why")                \
    X(LARDER_REFUSED, "keys like this are not cached now")                 \
    X(LARDER_BUSY, "a view, a server or a hook of the cache is open")      \
    X(LARDER_BAD_FILE, "no saved cache, or a damaged one")                 \
    X(LARDER_TIMEOUT, "the time is over")                                  \
    X(LARDER_NOT_BUILT, "this build of the library cannot do it")

enum larder_result {
#define LARDER_RESULT_ENUM(name, text) name,
    LARDER_RESULTS(LARDER_RESULT_ENUM)
#undef LARDER_RESULT_ENUM
};

/** The text of a result; static storage. */
LARDER_API const char *larder_result_text(enum larder_result result);

/** The library's version, such as "1.0.0"; static storage. */
LARDER_API const char *larder_version(void);

/** An open cache.  Opaque. */
struct larder;

/* -- opening ----------------------------------------------------------------------------------- */

/** Why an item has gone. */
enum larder_gone_reason {
    LARDER_GONE_EVICTED, /* for room */
    LARDER_GONE_EXPIRED, /* its time was over */
    LARDER_GONE_FLUSHED, /* a flush had passed over it */
};

/** An item that has gone without anyone asking for that. */
struct larder_gone {
    const void *key; /* borrowed for the call */
    size_t key_len;
    size_t value_len;
    enum larder_gone_reason reason;
    uint32_t idle_s; /* since its last use, seconds */
    int fetched;     /* read at least once */
};

/**
 * Is told of items that go for room, and of those whose memory comes back because their time was
 * over or a flush passed over them (when that happens: at a read, a store or larder_maintain(), not
 * when their time is over).  Not of what is deleted or replaced.
 *
 * Called from whatever thread does the work, under locks of the cache: it copies what it needs,
 * is quick, must not call the library, and must not wait for a thread that is in a call of it.
 */
typedef void larder_gone_fn(void *arg, const struct larder_gone *gone);

/** What as many as can be are made of, by which sizes of items get the memory. */
enum larder_evict_for {
    LARDER_EVICT_FOR_OBJECTS, /* hits */
    LARDER_EVICT_FOR_BYTES,   /* bytes of hits: large items stay longer */
};

/** Fill with LARDER_OPTIONS_INIT or larder_options_init(), then change what is to differ.  A caller
 * that was compiled with version 1 goes on: what that did not have is as the defaults are. */
struct larder_options {
    uint32_t version;       /* LARDER_OPTIONS_VERSION */
    uint32_t item_size_max; /* bytes of key, value and header; 1024 to 1 GiB */
    uint64_t memory_limit;  /* bytes; at least 1 MiB; hard, index included */
    double growth_factor;   /* between size classes, above 1 up to 16; 0 for the default */
    int evictions_disabled; /* stores fail with LARDER_NO_MEMORY instead of evicting */
    int cas_disabled;       /* 8 bytes less per item; no CAS ids, no larder_flush_prefix() */
    larder_gone_fn *gone;   /* NULL, which costs nothing */
    void *gone_arg;         /* passed to gone() */
    /* since version 2 */
    enum larder_evict_for evict_for;
    int large_pages;    /* takes all of the memory now, in huge pages where the kernel gives them */
    uint32_t chunk_min; /* bytes of key and value that the smallest size class holds, up to 512 KiB;
                           0 for the default */
    uint32_t chunk_sizes_len; /* at most LARDER_CHUNK_SIZES_MAX; 0 for none */
    /* Bytes of an item that each size class holds, rising by 8 at least, from 48 on, in place of
     * growth_factor and chunk_min; borrowed for the call.  Larger items than the last have a class
     * of a quarter page, or come in several pieces. */
    const uint32_t *chunk_sizes;
};

#define LARDER_OPTIONS_VERSION 2u
#define LARDER_OPTIONS_INIT                                                                \
    {                                                                                      \
        LARDER_OPTIONS_VERSION, 1024u * 1024u, 64u * 1024u * 1024u, 0.0, 0, 0, NULL, NULL, \
            LARDER_EVICT_FOR_OBJECTS, 0, 0, 0, NULL                                        \
    }

/** Fills in the defaults of a structure of this version: LARDER_OPTIONS_VERSION, or 1 with the
 * members of then.  Errors: LARDER_BAD_OPTION for one that this library does not know. */
LARDER_API enum larder_result larder_options_init(struct larder_options *options, uint32_t version);

/**
 * Opens a cache in this process's memory.
 *
 * options   borrowed for the call; NULL for the defaults
 * cache     out, the caller's until larder_close(); set on LARDER_OK only
 *
 * Errors:  LARDER_BAD_OPTION; LARDER_SYSTEM: no memory, or with `large_pages` not so much.
 */
LARDER_API enum larder_result larder_open(const struct larder_options *options,
                                          struct larder **cache);

/**
 * Closes it; `*cache` becomes NULL.  No other call may be under way.  A NULL is left alone.
 *
 * Errors:  LARDER_BUSY: a view of a long value, a server or a hook is open; nothing is closed.
 */
LARDER_API_VOID enum larder_result larder_close(struct larder **cache);

/* -- reading ----------------------------------------------------------------------------------- */

/**
 * Copies the value under `key` into `buf`.
 *
 * key, key_len   borrowed for the call; 1 to LARDER_KEY_LEN_MAX bytes
 * buf, buf_cap   the caller's; written up to `buf_cap` bytes; NULL with 0
 * value_len      out, bytes; set on LARDER_OK and on LARDER_TOO_LARGE (then: the room needed); may
 *                be NULL
 *
 * Errors:  LARDER_MISS; LARDER_BAD_KEY; LARDER_TOO_LARGE; LARDER_BAD_OPTION: `buf` is NULL.  On an
 * error what `buf` holds is undefined.
 * Threads: any.  Takes no lock on a hit of a value up to 16 KiB.
 */
LARDER_API enum larder_result larder_get(struct larder *cache, const void *key, size_t key_len,
                                         void *buf, size_t buf_cap, size_t *value_len);

/**
 * As larder_get(); `cas` is set on LARDER_OK to the id of this state of the item, for larder_cas().
 */
LARDER_API enum larder_result larder_get_cas(struct larder *cache, const void *key, size_t key_len,
                                             void *buf, size_t buf_cap, size_t *value_len,
                                             uint64_t *cas);

/** As larder_get(), and gives the item `ttl_s` seconds from now, 0 for no end; also when it answers
 * LARDER_TOO_LARGE. */
LARDER_API enum larder_result larder_get_and_touch(struct larder *cache, const void *key,
                                                   size_t key_len, uint32_t ttl_s, void *buf,
                                                   size_t buf_cap, size_t *value_len);

/** One key of larder_get_batch(); members as the parameters of larder_get_cas(). */
struct larder_get {
    const void *key;
    size_t key_len;
    void *buf;
    size_t buf_cap;
    size_t value_len;          /* out */
    uint64_t cas;              /* out; 0 with cas_disabled */
    enum larder_result result; /* out, as larder_get() answers */
    uint32_t flags;            /* out; the client flags of larder_store() */
};

/** Gets `count` keys at once: memory latencies overlap, which is up to three times faster than one
 * by one. */
LARDER_API_VOID void larder_get_batch(struct larder *cache, struct larder_get *gets, size_t count);

/**
 * A value that stays as it is until larder_release(), whatever is stored under its key.  Filled by
 * larder_get_view(); its members are read only.
 */
struct larder_view {
    const void *value; /* the value, in one piece; NULL if it lies in several */
    size_t value_len;
    uint64_t cas; /* 0 with cas_disabled */
    uint32_t flags;
    uint32_t unused;
    void *block; /* the library's */
    void *pin;   /* the library's */
};

/** A part of a value; as a struct iovec, so that an array of them goes to writev(). */
struct larder_piece {
    const void *at;
    size_t len;
};

/**
 * Gets a value without copying it: a long one is held where it lies in the cache, in pieces, and
 * larder_view_pieces() tells where.  A short one, which a store may overwrite at any moment, is
 * copied to a block of the heap.  Long is above 16 KiB (8 KiB in caches below 24 MB, 4 KiB below
 * 8 MB).
 *
 * What is held keeps its memory, within the cache's limit, until it is released, also when it is
 * deleted, evicted or replaced meanwhile: hold views briefly.  LARDER_VIEWS_MAX can be held.
 *
 * view   the caller's; filled on LARDER_OK, and then to be given to larder_release() once
 *
 * Errors:  LARDER_MISS; LARDER_BAD_KEY; LARDER_SYSTEM: no heap; LARDER_NO_MEMORY: too many views.
 */
LARDER_API enum larder_result larder_get_view(struct larder *cache, const void *key, size_t key_len,
                                              struct larder_view *view);

/**
 * The value from byte `from` on as pieces in order.  Returns their number, at most `max`; 0 at the
 * value's end.  The pieces are good until larder_release().
 */
LARDER_API size_t larder_view_pieces(struct larder *cache, const struct larder_view *view,
                                     size_t from, struct larder_piece *pieces, size_t max);

/** Lets go of a view, which is empty then.  Any thread. */
LARDER_API_VOID void larder_release(struct larder *cache, struct larder_view *view);

/**
 * What larder_fetch() is to do besides getting, and what it found.  Zeroed but for the version and
 * key and buf, it does as larder_get_cas().
 */
struct larder_fetch {
    uint32_t version; /* LARDER_FETCH_VERSION */
    /* in */
    int touch; /* gives the item touch_ttl_s seconds from now, 0 for no end */
    uint32_t touch_ttl_s;
    int vivify;            /* without an item, makes an empty one of vivify_ttl_s seconds: */
    uint32_t vivify_ttl_s; /* the caller has won, others are told that it is taken; 0 for no end */
    uint32_t recache_s;    /* a hit wins when it has less than so many seconds left; 0 for never */
    int quiet;             /* no use of the item: leaves no trace on it */
    const void *key;
    size_t key_len;
    void *buf; /* as in larder_get() */
    size_t buf_cap;
    /* out; on LARDER_OK and LARDER_TOO_LARGE, and on LARDER_MISS `won` and `cas` */
    size_t value_len;
    uint64_t cas;    /* the token for larder_store(), if it is won; 0 with cas_disabled */
    uint32_t flags;  /* the client flags */
    int64_t ttl_s;   /* seconds left before this call; -1 for no end */
    uint32_t idle_s; /* since its last use */
    int fetched;     /* read before */
    int stale;       /* marked so by larder_mark_stale(), or stored late */
    int won;         /* this caller, and no other, is to make the item anew */
    int taken;       /* somebody else has been told so, and has not stored it yet */
};
#define LARDER_FETCH_VERSION 1u

/**
 * Gets a value with all that is known about it; see struct larder_fetch.
 *
 * So that of many who miss a key only one makes it: each calls with `vivify`; the one that has
 * `won` stores with larder_store() and the `cas` that it got, the others wait or do without.  So
 * that nobody ever misses: with `recache_s`, or by larder_mark_stale(), one of those that hit has
 * `won`, while the others are served what is there.
 *
 * Errors:  LARDER_MISS, also when it is `won`; LARDER_BAD_KEY; LARDER_TOO_LARGE: touched and won
 * nevertheless; LARDER_NO_MEMORY: for the empty item; LARDER_BAD_OPTION: the version.
 */
LARDER_API enum larder_result larder_fetch(struct larder *cache, struct larder_fetch *fetch);

/* -- storing ----------------------------------------------------------------------------------- */

/**
 * Stores a copy of `value` under `key`, in place of what is there.
 *
 * value, value_len   borrowed for the call; binary safe, may be empty
 * ttl_s              seconds to live; 0 for no end.  The cache counts whole seconds: an item is a
 * miss up to one second before its time is over, and not later
 *
 * Errors:  LARDER_BAD_KEY; LARDER_TOO_LARGE, LARDER_NO_MEMORY: the old value is gone, so that
 * nothing stale is read; LARDER_REFUSED: the same, by a hook; LARDER_BAD_OPTION: `value` is NULL
 * and `value_len` is not 0.
 */
LARDER_API enum larder_result larder_set(struct larder *cache, const void *key, size_t key_len,
                                         const void *value, size_t value_len, uint32_t ttl_s);

/**
 * As larder_set(), if nothing is stored under `key`.
 *
 * Errors:  LARDER_EXISTS; LARDER_BAD_KEY; LARDER_TOO_LARGE, LARDER_NO_MEMORY, LARDER_BAD_OPTION:
 * what is there stays.
 */
LARDER_API enum larder_result larder_add(struct larder *cache, const void *key, size_t key_len,
                                         const void *value, size_t value_len, uint32_t ttl_s);

/**
 * As larder_set(), if something is stored under `key`.
 *
 * Errors:  LARDER_MISS; LARDER_BAD_KEY; LARDER_TOO_LARGE, LARDER_NO_MEMORY, LARDER_BAD_OPTION: what
 * is there stays.
 */
LARDER_API enum larder_result larder_replace(struct larder *cache, const void *key, size_t key_len,
                                             const void *value, size_t value_len, uint32_t ttl_s);

/**
 * Puts `value` behind, or before, the value that is stored under `key`, whose time to live and
 * flags stay.
 *
 * Errors:  as larder_replace(); LARDER_TOO_LARGE: for the two together.
 */
LARDER_API enum larder_result larder_append(struct larder *cache, const void *key, size_t key_len,
                                            const void *value, size_t value_len);
LARDER_API enum larder_result larder_prepend(struct larder *cache, const void *key, size_t key_len,
                                             const void *value, size_t value_len);

/**
 * As larder_set(), if the item is still in the state that larder_get_cas() gave the id `cas` of.
 *
 * Errors:  LARDER_EXISTS: it has changed, or cas_disabled; LARDER_MISS: it is gone; LARDER_BAD_KEY;
 *          LARDER_TOO_LARGE, LARDER_NO_MEMORY, LARDER_BAD_OPTION: what is there stays.
 */
LARDER_API enum larder_result larder_cas(struct larder *cache, const void *key, size_t key_len,
                                         const void *value, size_t value_len, uint32_t ttl_s,
                                         uint64_t cas);

enum larder_store_mode {
    LARDER_STORE_SET,     /* as larder_set(); with `cas` as larder_cas() */
    LARDER_STORE_ADD,     /* as larder_add() */
    LARDER_STORE_REPLACE, /* as larder_replace(); with `cas` as larder_cas() */
    LARDER_STORE_APPEND,  /* as larder_append(); `flags` and `ttl_s` are those of the item there */
    LARDER_STORE_PREPEND, /* as larder_prepend(), likewise */
};

/** What larder_store() is to do.  Zeroed but for version, key and value it is a larder_set(). */
struct larder_store {
    uint32_t version; /* LARDER_STORE_VERSION */
    /* in */
    enum larder_store_mode mode;
    const void *key;
    size_t key_len;
    const void *value;
    size_t value_len;
    uint32_t ttl_s;    /* as in larder_set() */
    uint32_t flags;    /* client flags, kept with the item; 4 bytes each unless 0 */
    uint64_t cas;      /* the id that the item must have; 0 for any, and in LARDER_STORE_ADD */
    int late_is_stale; /* with `cas` of an older state: stores all the same, marked stale */
    int vivify;        /* append, prepend: without an item, this becomes it */
    /* out, on LARDER_OK */
    uint64_t cas_new;     /* the id that the item has now; 0 with cas_disabled */
    size_t value_len_new; /* of the whole value */
};
#define LARDER_STORE_VERSION 1u

/** Stores in any of the ways that there are.  Errors: those of the call that the mode names, and
 * LARDER_BAD_OPTION for an unknown version or mode. */
LARDER_API enum larder_result larder_store(struct larder *cache, struct larder_store *store);

/* -- changing ---------------------------------------------------------------------------------- */

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

/**
 * The same; without an item they store the number `initial`, for `ttl_s` seconds, 0 for no end.
 *
 * Errors:  LARDER_NOT_NUMBER; LARDER_BAD_KEY; LARDER_NO_MEMORY; LARDER_REFUSED; LARDER_EXISTS:
 * others kept storing and deleting it meanwhile.
 */
LARDER_API enum larder_result larder_incr_or_add(struct larder *cache, const void *key,
                                                 size_t key_len, uint64_t delta, uint64_t initial,
                                                 uint32_t ttl_s, uint64_t *value);
LARDER_API enum larder_result larder_decr_or_add(struct larder *cache, const void *key,
                                                 size_t key_len, uint64_t delta, uint64_t initial,
                                                 uint32_t ttl_s, uint64_t *value);

/** Gives an item `ttl_s` seconds from now, 0 for no end.  Errors: LARDER_MISS; LARDER_BAD_KEY. */
LARDER_API enum larder_result larder_touch(struct larder *cache, const void *key, size_t key_len,
                                           uint32_t ttl_s);

/** Errors: LARDER_MISS; LARDER_BAD_KEY. */
LARDER_API enum larder_result larder_delete(struct larder *cache, const void *key, size_t key_len);

/** As larder_delete(), if the item has the id `cas`.  Errors: LARDER_EXISTS: it has another, or
 * cas_disabled; LARDER_MISS; LARDER_BAD_KEY. */
LARDER_API enum larder_result larder_delete_cas(struct larder *cache, const void *key,
                                                size_t key_len, uint64_t cas);

/**
 * Marks an item stale: it is still served, larder_fetch() says that it is stale, and tells one
 * caller to make it anew.
 *
 * ttl_s   seconds that it may still be served; 0: as long as it would have been
 *
 * Errors:  LARDER_MISS; LARDER_BAD_KEY; LARDER_NO_MEMORY.
 */
LARDER_API enum larder_result larder_mark_stale(struct larder *cache, const void *key,
                                                size_t key_len, uint32_t ttl_s);

/** Makes all that is stored a miss, at once.  Its memory comes back as stores and larder_maintain()
 * need it; 14 flushes that it has not come back from are the most: one more looks at all items
 * before it returns. */
LARDER_API_VOID void larder_flush(struct larder *cache);

/**
 * Makes all that is stored under keys that begin with `prefix` a miss, at once.
 *
 * prefix, prefix_len   0 to LARDER_KEY_LEN_MAX bytes
 *
 * The same holds for 256 prefixes.
 *
 * Errors:  LARDER_BAD_KEY; LARDER_BAD_OPTION: cas_disabled; LARDER_NO_MEMORY: 256 prefixes are held
 * by a hook.
 */
LARDER_API enum larder_result larder_flush_prefix(struct larder *cache, const void *prefix,
                                                  size_t prefix_len);

/* -- looking at it ----------------------------------------------------------------------------- */

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
    uint64_t views;   /* of long values, held now */
};
#define LARDER_STATS_VERSION 1u

/** Errors: LARDER_BAD_OPTION for an unknown version; LARDER_SYSTEM. */
LARDER_API enum larder_result larder_stats(struct larder *cache, struct larder_stats *stats);

/** Takes one figure; `name` is borrowed for the call. */
typedef void larder_stat_fn(void *arg, const char *name, uint64_t value);
/** Tells all figures by name; memcached's names where it has such a figure (curr_items, get_hits,
 * evictions, limit_maxbytes ...).  `visit` may call the library.  Errors: LARDER_SYSTEM. */
LARDER_API enum larder_result larder_stats_visit(struct larder *cache, larder_stat_fn *visit,
                                                 void *arg);
/** One figure by its name.  Errors: LARDER_MISS: no such name; LARDER_SYSTEM. */
LARDER_API enum larder_result larder_stat(struct larder *cache, const char *name, uint64_t *value);

/** An item that larder_scan() met. */
struct larder_item {
    uint64_t cas; /* 0 with cas_disabled */
    size_t value_len;
    size_t size;     /* bytes: header, key, value */
    int64_t ttl_s;   /* seconds left; -1 for no end */
    uint32_t idle_s; /* since its last use, or store */
    uint32_t flags;
    int fetched; /* read since it was stored */
    uint32_t key_len;
    unsigned char key[LARDER_KEY_LEN_MAX + 2]; /* key_len bytes; a NUL behind them */
};

/**
 * Goes through all items, some with each call.  Every item that is there from the first call to the
 * last is told once; one that is stored or removed meanwhile may be told or not.
 *
 * cursor      in and out; 0 to begin, and 0 again when all have been told.  A plain number: it may
 *             be kept for as long as the cache is open
 * items       out, the caller's
 * items_max   LARDER_SCAN_ITEMS at least
 * items_len   out; may be 0 with more to come
 *
 * Errors:  LARDER_BAD_OPTION: `items_max`.
 */
LARDER_API enum larder_result larder_scan(struct larder *cache, uint64_t *cursor,
                                          struct larder_item *items, size_t items_max,
                                          size_t *items_len);

/* -- running ----------------------------------------------------------------------------------- */

/**
 * Raises or lowers the limit, bytes.  A lower one takes effect in steps, with larder_maintain().
 *
 * Errors:  LARDER_BAD_OPTION: less than 1 MiB, or than what the index takes; or above the largest
 * one that the cache can have: 32 GiB, or what it was opened with if that is more.
 */
LARDER_API enum larder_result larder_set_memory_limit(struct larder *cache, uint64_t memory_limit);

/** Does a slice (about 100 us) of the work that stores leave: expired memory, page moves. Optional;
 * returns whether there is more at once. */
LARDER_API_VOID int larder_maintain(struct larder *cache);

/**
 * Writes all living items to a file, which takes the place of `path` when it is whole and on the
 * disk; other calls go on meanwhile.  What is at `path` is replaced only if it is such a file.
 *
 * path    its folder is there; the file is written beside it under another name until the end
 * items   out, how many were written; may be NULL
 * error   out, a text for the operator, cut to error_cap bytes (LARDER_ERROR_CAP is enough); NULL
 *         with 0
 *
 * Errors:  LARDER_SYSTEM; LARDER_BAD_OPTION: the path; LARDER_BAD_FILE: what is at `path` is
 * another kind of file; LARDER_BUSY: it is being written already.
 */
LARDER_API enum larder_result larder_save(struct larder *cache, const char *path, uint64_t *items,
                                          char *error, size_t error_cap);

/**
 * Stores the items of a file that larder_save(), or a larder server, wrote, for the time that they
 * have left and with their CAS ids; but not over items that are there already.
 *
 * items   out, how many were stored; may be NULL
 * error   as in larder_save()
 *
 * Errors:  LARDER_BAD_FILE: another kind of file, or a damaged one, and what came before the damage is
 * stored; LARDER_SYSTEM: there is none (ENOENT), or it cannot be read; LARDER_BAD_OPTION: the path.
 */
LARDER_API enum larder_result larder_load(struct larder *cache, const char *path, uint64_t *items,
                                          char *error, size_t error_cap);

/* -- serving: liblarder-serve ------------------------------------------------------------------ */

/** Takes one line for the operator, without a line end; any thread of the library's own. */
typedef void larder_log_fn(void *arg, const char *line);

/** Fill with LARDER_SERVE_OPTIONS_INIT or larder_serve_options_init(). */
struct larder_serve_options {
    uint32_t version;        /* LARDER_SERVE_OPTIONS_VERSION */
    int port;                /* TCP; 0: one that the system chooses; -1: none */
    /* Addresses, separated by commas: host[:port], * for any host; before it may stand notls:, btls:
     * (no certificates of clients), mtls:, proto[ascii]: and the like, as in larder(1).  NULL for all.
     */
    const char *listen;
    const char *unix_path;   /* of a unix socket, in place of one that is there; NULL for none */
    uint32_t unix_mask;      /* its access mask, as 0700 */
    uint32_t threads;        /* workers, 1 to LARDER_SERVE_THREADS */
    uint32_t conns_max;      /* connections, at least 1; the host sees to its descriptors */
    uint32_t idle_timeout_s; /* closes connections that are idle for so long; 0 for never */
    int flush_disabled;      /* refuses flush_all to clients */
    int dump_disabled;       /* refuses lists of keys to clients */
    const char *tls_cert;    /* PEM file with the chain of certificates; NULL: no TLS */
    const char *tls_key;     /* file of the key; NULL: it is in tls_cert */
    const char *tls_ca;      /* PEM file to verify clients by; NULL: they are not asked */
    larder_log_fn *log;      /* NULL: what would be logged is dropped */
    void *log_arg;
};
#define LARDER_SERVE_OPTIONS_VERSION 1u
#define LARDER_SERVE_OPTIONS_INIT                                                               \
    {                                                                                           \
        LARDER_SERVE_OPTIONS_VERSION, 0, "127.0.0.1", NULL, 0700, 4, 1024, 0, 0, 0, NULL, NULL, \
            NULL, NULL, NULL                                                                    \
    }

/** Fills in the defaults; as larder_options_init(). */
LARDER_API enum larder_result larder_serve_options_init(struct larder_serve_options *options,
                                                        uint32_t version);

/** Listeners and their threads.  Opaque. */
struct larder_server;

/**
 * Serves the cache to clients of the memcached protocols (classic, meta and binary), by threads of
 * its own that block all signals: one that accepts, `threads` workers, and one that does the work
 * of larder_maintain().  When it returns clients can connect.  Several servers may serve one cache.
 * The loop of its first thread is libevent's, which says on the standard error what it lacks memory
 * for, unless the host has called event_set_log_callback().
 *
 * options   borrowed for the call; NULL for the defaults: 127.0.0.1, a port that the system chooses
 * server    out, the caller's until larder_server_stop(); set on LARDER_OK only
 * error     as in larder_save()
 *
 * Errors:  LARDER_BAD_OPTION; LARDER_SYSTEM: an address is in use, a file cannot be read or is no
 * certificate, ...; LARDER_NOT_BUILT: TLS, or another version of liblarder.
 */
LARDER_API enum larder_result larder_serve(struct larder *cache,
                                           const struct larder_serve_options *options,
                                           struct larder_server **server, char *error,
                                           size_t error_cap);

/** The TCP port of the first socket; 0 without one. */
LARDER_API int larder_server_port(const struct larder_server *server);

/**
 * Loads tls_cert, tls_key and tls_ca again, for connections from now on; clients can have it done
 * by `refresh_certs`.  When it fails, what was loaded before stays in use.
 *
 * error   as in larder_save()
 *
 * Errors:  LARDER_BAD_OPTION: started without tls_cert; LARDER_SYSTEM: as larder_serve().
 */
LARDER_API enum larder_result larder_server_reload_certificates(struct larder_server *server,
                                                                char *error, size_t error_cap);

/**
 * Closes listeners and connections, and ends the threads; `*server` becomes NULL.
 *
 * graceful   commands that have been received are run, and their answers sent, first
 */
LARDER_API_VOID void larder_server_stop(struct larder_server **server, int graceful);

/* -- following a database: liblarder-serve ------------------------------------------------------
 */

/** What follows a MySQL or MariaDB server.  Opaque. */
struct larder_hook;

/**
 * Follows a MySQL or MariaDB server by threads of its own, and voids in the cache what its changes
 * make wrong, by the rules of a file: see larder-hook(5).  Returns when what the server has now is
 * known, or it is clear that it cannot be reached: then, as after a lost connection, grace_ms and
 * on_disconnect of the rules say what becomes of their keys until it can.  One hook for a cache,
 * once in its life.
 *
 * rules_file   path
 * log          as in struct larder_serve_options; NULL for none
 * hook         out, the caller's until larder_hook_stop(); set on LARDER_OK only
 * error        as in larder_serve()
 *
 * Errors:  LARDER_BAD_OPTION: the rules, or cas_disabled; LARDER_BUSY: there is or was a hook;
 * LARDER_SYSTEM; LARDER_NOT_BUILT.
 * Threads: no other call of this cache is under way.
 */
LARDER_API enum larder_result larder_hook_mysql(struct larder *cache, const char *rules_file,
                                                larder_log_fn *log, void *log_arg,
                                                struct larder_hook **hook, char *error,
                                                size_t error_cap);

/** connecting, catching-up, streaming, disconnected, paused or stopped; static storage. */
LARDER_API const char *larder_hook_state(struct larder_hook *hook);

/**
 * Waits until a transaction, or a set of them, has been applied to the cache.
 *
 * gtid         as the server writes it
 * timeout_ms   0: does not wait, and tells
 *
 * Errors:  LARDER_TIMEOUT; LARDER_BAD_OPTION: no GTID; LARDER_NO_MEMORY: too many wait.
 */
LARDER_API enum larder_result larder_hook_wait(struct larder_hook *hook, const char *gtid,
                                               uint32_t timeout_ms);

/** Takes one figure; both texts are borrowed for the call. */
typedef void larder_hook_stat_fn(void *arg, const char *name, const char *value);
/** Tells all figures by name, those of `stats hook`: hook_state, hook_gtid_applied, hook_rows
 * ...; see larder-hook(5).  `visit` may call the library, but not larder_hook_stop(). */
LARDER_API_VOID void larder_hook_stats_visit(struct larder_hook *hook, larder_hook_stat_fn *visit,
                                             void *arg);

/** Lets go of the database, until larder_hook_resume(); after grace_ms the rules' on_disconnect
 * says what becomes of their keys.  Both return before it is done: larder_hook_state() tells. */
LARDER_API_VOID void larder_hook_pause(struct larder_hook *hook);
LARDER_API_VOID void larder_hook_resume(struct larder_hook *hook);

/** Saves how far it came and ends the threads; `*hook` becomes NULL.  The cache serves on, and
 * nobody voids what gets wrong from here: flush it, or close it. */
LARDER_API_VOID void larder_hook_stop(struct larder_hook **hook);

#ifdef __cplusplus
}
#endif

#endif
