/* The cache: keys and values within a hard memory limit.  No sockets, no wire formats, no global
 * state.
 *
 * Threads: every call that takes a struct cache_thread may run on any number of threads at once,
 * each with its own cache_thread.  A get takes no lock.
 *
 * Life of a read, in batches:
 *
 *     cache_enter(thread);
 *     cache_prefetch(cache, reads, n);       hash, and fetch buckets and items into the processor's cache
 *     for each read: again:
 *         switch (cache_find(cache, thread, &read)) {
 *         case CACHE_OK:                     read holds a snapshot of the item's header
 *             write the reply's head, then cache_copy(cache, &read, dst);
 *             if (!cache_hit(cache, thread, &read)) { take back what was written; goto again; }
 *         case CACHE_MISS: ...               final
 *         }
 *     cache_leave(thread);
 *
 * A value longer than CACHE_COPY_MAX is not copied: cache_find() pins it (read.pin is not NULL),
 * cache_hit() is always true for it, and its bytes are sent from where they lie until
 * cache_unpin().
 */
#ifndef LARDER_ENGINE_CACHE_H
#define LARDER_ENGINE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_KEY_MAX         250u   /* bytes */
#define CACHE_COPY_MAX        16384u /* bytes; no value that is copied rather than pinned is longer */
#define CACHE_BATCH_MAX       32u    /* reads that cache_prefetch() takes at once */
#define CACHE_THREADS_MAX     1024u /* struct cache_thread per cache */
#define CACHE_SCAN_ITEMS      32u   /* that one step of cache_scan() visits at most */
#define CACHE_ITEM_SIZE_MIN   1024u /* bytes; smallest item_size_max: any key's item fits */
#define CACHE_ITEM_SIZE_LIMIT (1024u * 1024 * 1024) /* bytes; largest item_size_max */
#define CACHE_NEVER           0                     /* expiry: never */
#define CACHE_PREFIXES_MAX    256u /* prefixes that are flushed and not yet swept, or bypassed */
#define CACHE_SIZE_STEP       32u  /* bytes: cache_visit_sizes() */

struct cache;
struct cache_observer;
struct cache_thread;
struct cache_pin;

enum cache_result {
    CACHE_OK,
    CACHE_MISS,       /* no such key */
    CACHE_EXISTS,     /* a CAS id that is not the item's */
    CACHE_NOT_STORED, /* add of a key that is there; replace, append, prepend of one that is not */
    CACHE_TOO_LARGE,  /* above item_size_max */
    CACHE_NO_MEMORY,  /* nothing to evict, or -M */
    CACHE_NOT_NUMBER, /* incr, decr of a value that is no decimal number */
};

/** What the page mover makes as many as it can of. */
enum cache_evict_for {
    CACHE_EVICT_FOR_OBJECTS, /* hits */
    CACHE_EVICT_FOR_BYTES,   /* bytes of hits */
};

struct cache_options {
    uint64_t memory_limit;  /* bytes of item pages and index together, hard; at least 1 MiB */
    /* bytes: header, key and value; CACHE_ITEM_SIZE_MIN to CACHE_ITEM_SIZE_LIMIT */
    uint32_t item_size_max;
    double growth_factor;   /* between size classes, above 1; 0 for the default table */
    uint32_t
        chunk_min;     /* bytes of key and value that the smallest class holds; 0 for the default */
    bool cas_disabled; /* items carry no CAS id, 8 bytes less each; ids read as 0 */
    bool evictions_disabled; /* stores fail instead of evicting */
    enum cache_evict_for evict_for;
    bool large_pages; /* ask for huge pages, and take all of the memory now */
    /* Rising, in bytes, in place of growth_factor and chunk_min; those above the largest class are
     * left out.  NULL for none.  Borrowed for the call. */
    const uint32_t *chunk_sizes;
    unsigned chunk_sizes_len;        /* below CACHE_CLASSES_MAX */
    bool track_sizes;                /* count items by size: cache_visit_sizes() */
    uint64_t hash_seed;              /* random */
    int64_t now;                     /* unix time in seconds */
    struct cache_observer *observer; /* engine/hook.h; borrowed; NULL for none */
    /* Path of a file that the items lie in, for cache_save(); beside it <path>.meta.  NULL for none.
     * Borrowed for the call. */
    const char *memory_file;
    struct cache_start *start; /* out: what was found there; NULL without memory_file */
};

/** What a cache with a memory file begins with. */
enum cache_start_kind {
    CACHE_START_NEW,     /* nothing: there was no file, or an empty one */
    CACHE_START_WARM,    /* the items of cache_save() */
    CACHE_START_CLEAN,   /* nothing: the file is ours, but its items are of no use; text says why */
    CACHE_START_REFUSED, /* no cache: the file is not what it should be, and stays as it is */
};

#define CACHE_START_TEXT_MAX 512u /* bytes, NUL included */

struct cache_start {
    enum cache_start_kind kind;
    uint64_t items;                  /* with CACHE_START_WARM */
    int64_t saved_ns;                /* the same: when, unix nanoseconds */
    char text[CACHE_START_TEXT_MAX]; /* for the log; empty with CACHE_START_NEW */
};

/**
 * With a memory file whose items were saved under options that fit, the cache has these items: their
 * CAS ids, times to live, marks and uses too.  The time until now counts as if the cache had lived.
 * The limit may be another one.
 *
 * Errors: NULL when the kernel has no address space or memory to give; errno tells why.  NULL with
 * start->kind CACHE_START_REFUSED.
 */
struct cache *cache_create(const struct cache_options *options);
/**
 * Leaves the items to the next cache_create() with the same memory_file.  The last call before
 * cache_destroy(): all threads have been closed, all pins and stores given back.
 *
 * text   CACHE_START_TEXT_MAX bytes; what was saved, or why it could not be
 *
 * Errors: false when the files can't be written: then the next start is a clean one.
 */
bool cache_save(struct cache *cache, char *text);
/** All threads have been closed, all pins and stores given back. */
void cache_destroy(struct cache *cache);

/** One per thread that calls; NULL past CACHE_THREADS_MAX. */
struct cache_thread *cache_thread_open(struct cache *cache);
/** Its counters stay in the cache's sums. */
void cache_thread_close(struct cache *cache, struct cache_thread *thread);

/** Tells the cache the time, unix seconds.  Any thread; about once a second. */
void cache_set_now(struct cache *cache, int64_t now);
/** The last time told. */
int64_t cache_now(const struct cache *cache);

/* -- reading ----------------------------------------------------------------------------------- */

enum cache_read_mode {
    CACHE_READ_HIT,   /* counts as a use: access time, eviction counter, fetched mark */
    CACHE_READ_QUIET, /* leaves no trace on the item */
    CACHE_READ_USE,   /* a use, but no get of a client's: neither its hit nor its miss is counted */
    CACHE_READ_PEEK,  /* neither a use nor a get */
};

struct cache_read {
    /* in */
    const void *key;
    uint32_t key_len; /* 1 .. CACHE_KEY_MAX */
    enum cache_read_mode mode;

    /* out of cache_find(), on CACHE_OK; what the item was before this read */
    uint32_t value_len; /* bytes; at most CACHE_COPY_MAX unless pinned, whatever other threads do */
    uint32_t client_flags;
    uint64_t cas;          /* 0 when disabled */
    uint8_t class_id;      /* 1 .. CACHE_CLASSES_MAX */
    bool marked;           /* any of stale, claimed and binary_key */
    struct cache_pin *pin; /* not NULL for a long value: the caller owns one pin */
    uint8_t absence;       /* enum cache_absence; out of cache_find(), on CACHE_MISS alone */

    /* out of cache_read_more() */
    bool fetched;       /* read before */
    bool stale;         /* marked so by cache_mark_stale() or a store that came late */
    bool claimed;       /* someone has been told to make it anew: cache_claim() */
    bool binary_key;    /* as struct cache_store */
    uint32_t idle_s;    /* since the last use */
    int64_t expires_at; /* unix seconds, CACHE_NEVER for none */

    /* the engine's */
    uint64_t hash;
    void *item;
    uint32_t ref;
    uint32_t word;
    uint32_t shape;
    uint32_t access;
    uint32_t value_at;
    uint8_t tries;
    uint8_t slot;
    bool locked;
    void *bucket;
};

/** Why a key is a miss. */
enum cache_absence {
    CACHE_NOT_THERE,
    CACHE_EXPIRED,
    CACHE_FLUSHED,
};

/** Between these two the thread may read.  Short: one run of a session.  Not nested. */
void cache_enter(struct cache_thread *thread);
void cache_leave(struct cache_thread *thread);

/** Hashes the keys, and brings their buckets and items near.  Optional before cache_find(); n up to
 * CACHE_BATCH_MAX. */
void cache_prefetch(const struct cache *cache, struct cache_read *reads, unsigned n);
/** Looks one key up that cache_prefetch() has seen.  CACHE_OK or CACHE_MISS.  Counts misses. */
enum cache_result cache_find(struct cache *cache, struct cache_thread *thread,
                             struct cache_read *read);
/** Looks one key up; the same as cache_prefetch() of one and cache_find(). */
enum cache_result cache_find_one(struct cache *cache, struct cache_thread *thread,
                                 struct cache_read *read);
/** What stands under a key, for who watches: no hit and no miss, and no trace on the item. */
struct cache_glimpse {
    enum cache_absence absence; /* on CACHE_MISS; the others on CACHE_OK */
    uint8_t class_id;
    uint32_t value_len;
    int64_t expires_at; /* unix seconds, CACHE_NEVER for none */
};
/** CACHE_OK or CACHE_MISS.  Takes the bucket's lock: not for the hot path. */
enum cache_result cache_peek(struct cache *cache, const void *key, uint32_t key_len,
                             struct cache_glimpse *out);
/** Fills in what few ask for.  Between cache_find() and cache_hit(). */
void cache_read_more(const struct cache *cache, struct cache_read *read);
/** Copies the value_len bytes of a value that is not pinned.  What came is good only if cache_hit()
 * says so. */
void cache_copy(const struct cache *cache, const struct cache_read *read, void *dst);
/** Whether all that was read since cache_find() belongs to one living item; then counts the hit. To
 * be called after each CACHE_OK, before anything else is asked of the cache: a read that others
 * kept disturbing holds its bucket until then. */
bool cache_hit(struct cache *cache, struct cache_thread *thread, struct cache_read *read);

/**
 * Who is to make an item anew: the first to ask wins, until it is stored again.  Between
 * cache_find() and cache_hit(), and void unless the hit is good.
 *
 * due   there is a reason to ask besides a stale mark, such as a short time to live
 */
enum cache_claim {
    CACHE_CLAIM_NONE, /* no reason, and nobody has asked before */
    CACHE_CLAIM_WON,
    CACHE_CLAIM_TAKEN, /* someone else has won */
};
enum cache_claim cache_claim(struct cache *cache, const struct cache_read *read, bool due);

/** The pinned value as pieces in order; returns their number, at most `max`, from byte `from` on.
 */
struct cache_piece {
    const void *at;
    size_t len;
};
unsigned cache_pin_pieces(const struct cache *cache, const struct cache_pin *pin, size_t from,
                          struct cache_piece *pieces, unsigned max);
/** Any thread; `*pin` becomes NULL. */
void cache_unpin(struct cache *cache, struct cache_thread *thread, struct cache_pin **pin);

/* -- storing ----------------------------------------------------------------------------------- */

/** A new item that nobody can see yet.  Belongs to the caller from begin to commit or abort. */
struct cache_store {
    uint8_t *at; /* where the next bytes of the value go */
    size_t room; /* bytes there in one piece; 0 when the value is whole */
    /* may be set between begin and commit */
    uint64_t cas_new;   /* the id that the item gets; 0 for the next one */
    bool binary_key;    /* the key came as base64, and is to be shown so */
    bool claimed;       /* as after cache_claim(): its first reader is being told to fill it */
    bool fetched;       /* counts as read from the start: who creates it has been given it */
    bool vivify;        /* CACHE_APPEND, CACHE_PREPEND: without an item, this becomes it */
    bool late_is_stale; /* CACHE_CAS with an id below the item's: store, keep the expiry, mark stale
                         */
    bool by_observer;   /* of the source of truth itself: no hold-off, no bypass */
    /* out of commit */
    uint32_t value_len_out; /* bytes of the item's value now */
    /* the engine's */
    uint32_t marks;
    uint32_t ref;
    uint32_t filling; /* the piece of `at`; 0 for the head */
    uint32_t last;    /* the last one that memory was taken for; 0 for the head */
    uint64_t hash;
    uint32_t value_len;
    uint32_t missing; /* bytes behind the last piece */
    uint32_t client_flags;
    uint32_t expire_s;
    uint8_t key_len;
    uint8_t class_id;
    bool small;
    bool large;
    bool displaced; /* another key had to leave its bucket for it */
    bool keeps;     /* contents of the item whose place it takes: a flush of that one is its own */
};

enum cache_store_mode {
    CACHE_SET,
    CACHE_ADD,
    CACHE_REPLACE,
    CACHE_APPEND,
    CACHE_PREPEND,
    CACHE_CAS, /* set only if the item's CAS id is `cas` */
};

/**
 * Takes memory for an item and writes its key; the caller fills the value in, piece after piece:
 * write up to store->room bytes to store->at, then cache_store_filled().  Evicts for room.
 *
 * expires_at   unix seconds; CACHE_NEVER; a time not after now makes an item that is a miss at once
 *
 * Errors: CACHE_TOO_LARGE, CACHE_NO_MEMORY: `store` owns nothing.
 */
enum cache_result cache_store_begin(struct cache *cache, struct cache_thread *thread,
                                    const void *key, uint32_t key_len, uint64_t value_len,
                                    uint32_t client_flags, int64_t expires_at,
                                    struct cache_store *store);
/**
 * Takes memory ahead for all of the value but its last `missing_max` bytes, as far as there is any:
 * else that is done piece by piece, when the one before is full.
 */
void cache_store_reserve(struct cache *cache, struct cache_thread *thread,
                         struct cache_store *store, uint64_t missing_max);
/** A place for bytes. */
struct cache_space {
    uint8_t *at;
    size_t len;
};
/** Lists where the next bytes go, from store->at on, as far as memory has been taken; returns the
 * number of places, 1 to `max`. */
unsigned cache_store_spaces(const struct cache *cache, const struct cache_store *store,
                            struct cache_space *spaces, unsigned max);
/**
 * `len` bytes have been written to store->at, and to the places behind it; moves on, to the next
 * piece when this one is full.
 *
 * Errors: CACHE_NO_MEMORY in the middle of a long value; the store is then as after
 * cache_store_abort().
 */
enum cache_result cache_store_filled(struct cache *cache, struct cache_thread *thread,
                                     struct cache_store *store, size_t len);
/**
 * Makes a whole item visible.  The store is used up, whatever the answer.
 *
 * cas       CACHE_CAS, and (unless 0) CACHE_APPEND and CACHE_PREPEND: the id that the item must have
 * cas_out   the new id, may be NULL; set on CACHE_OK
 *
 * Errors: CACHE_NOT_STORED, CACHE_EXISTS, CACHE_MISS (CACHE_CAS of a missing key), CACHE_TOO_LARGE
 * and CACHE_NO_MEMORY (append, prepend).
 */
enum cache_result cache_store_commit(struct cache *cache, struct cache_thread *thread,
                                     struct cache_store *store, enum cache_store_mode mode,
                                     uint64_t cas, uint64_t *cas_out);
void cache_store_abort(struct cache *cache, struct cache_thread *thread, struct cache_store *store);
/** The key of a store, store->key_len bytes; and when its item expires, as in cache_store_begin().
 * The key's bytes are good until commit or abort. */
const void *cache_store_key(const struct cache *cache, const struct cache_store *store,
                            int64_t *expires_at);
/** Copies `len` bytes to where the store wants them.  In place of writing to store->at for what is
 * in memory already. */
enum cache_result cache_store_write(struct cache *cache, struct cache_thread *thread,
                                    struct cache_store *store, const void *bytes, size_t len);

/**
 * Stores a value that is whole: as cache_store_begin(), _write() and _commit() with CACHE_SET, and
 * much cheaper over an item of about the same size, which is written where the old one lies.
 *
 * cas_out   set on CACHE_OK
 *
 * Errors: CACHE_TOO_LARGE, CACHE_NO_MEMORY; CACHE_NOT_STORED where voiding forbids it.
 */
enum cache_result cache_set(struct cache *cache, struct cache_thread *thread, const void *key,
                            uint32_t key_len, const void *value, uint32_t value_len,
                            uint32_t client_flags, int64_t expires_at, uint64_t *cas_out);

/** cas: 0, or the id that the item must have (else CACHE_EXISTS). */
enum cache_result cache_delete(struct cache *cache, struct cache_thread *thread, const void *key,
                               uint32_t key_len, uint64_t cas);

/** How cache_invalidate() leaves an item. */
struct cache_invalidation {
    uint64_t cas;     /* 0, or the id that the item must have */
    uint64_t cas_new; /* the id that it gets; 0 for the next one, or, with drop_value alone, the one
                         it has */
    bool stale;       /* readers are told, and one of them to make it anew */
    bool drop_value;  /* the value becomes empty, the client flags 0, the expiry never unless set
                         here */
    bool set_expiry;
    int64_t expires_at; /* as in cache_store_begin() */
    bool by_observer;   /* begins the key's hold-off, and counts in no command's figures */
};
/** Leaves an item in place, but marked stale or emptied.  Errors: CACHE_MISS, CACHE_EXISTS,
 * CACHE_NO_MEMORY. */
enum cache_result cache_invalidate(struct cache *cache, struct cache_thread *thread,
                                   const void *key, uint32_t key_len,
                                   const struct cache_invalidation *how);

/** Adds, wrapping at 2^64, or with `decrement` takes away, not below 0.  cas as in cache_delete().
 */
enum cache_result cache_arith(struct cache *cache, struct cache_thread *thread, const void *key,
                              uint32_t key_len, bool decrement, uint64_t delta, uint64_t cas,
                              uint64_t *value_out, uint64_t *cas_out);
/** The same, and gives the item the CAS id `cas_new` unless that is 0. */
enum cache_result cache_arith_as(struct cache *cache, struct cache_thread *thread, const void *key,
                                 uint32_t key_len, bool decrement, uint64_t delta, uint64_t cas,
                                 uint64_t cas_new, uint64_t *value_out, uint64_t *cas_out);

/** Sets the expiry (as in cache_store_begin()), and counts as a use. */
enum cache_result cache_touch(struct cache *cache, struct cache_thread *thread, const void *key,
                              uint32_t key_len, int64_t expires_at);
/** The same; with CACHE_READ_QUIET it is no use. */
enum cache_result cache_touch_as(struct cache *cache, struct cache_thread *thread, const void *key,
                                 uint32_t key_len, int64_t expires_at, enum cache_read_mode mode);

/**
 * Makes all items a miss that were last written at or before `at`, unix seconds; from that time on.
 * A time not after now: at once, and what is stored from here on lives.  A later call replaces one
 * that is still to come.
 */
void cache_flush(struct cache *cache, int64_t at);

/* -- voiding: what an observer of the source of truth does -------------------------------- */

/**
 * Makes all items a miss whose key begins with `prefix` and that were stored before.  Their memory
 * comes back with the sweep of cache_maintain().  An id that a client chooses (cas_new) counts as
 * old until then if it is not above all ids before.
 *
 * prefix_len   0 .. CACHE_KEY_MAX bytes; 0 for all keys
 *
 * Errors:  false with cas_disabled, and when CACHE_PREFIXES_MAX prefixes are in use.
 * Threads: any; not between cache_enter() and cache_leave().
 */
bool cache_flush_prefix(struct cache *cache, const void *prefix, uint32_t prefix_len);

enum cache_flush_kind { CACHE_FLUSH_ALL, CACHE_FLUSH_PREFIX };
/**
 * Whether so many flushes have not been swept yet that one more, cache_flush() or
 * cache_flush_prefix(), sweeps all of the cache before it returns.  Who cannot wait for that comes
 * again later: cache_maintain() sweeps at full speed then.  A hint: others may flush meanwhile.
 */
bool cache_flush_waits(struct cache *cache, enum cache_flush_kind kind);

/**
 * From now on keys with this prefix are a miss and are not stored (CACHE_NOT_STORED; what was there
 * goes), until the same with `bypassed` false.  Items that nobody tries to store stay.
 *
 * Errors: false when CACHE_PREFIXES_MAX prefixes are in use.
 */
bool cache_bypass_prefix(struct cache *cache, const void *prefix, uint32_t prefix_len,
                         bool bypassed);

/** How stores are treated that may bring an old value: see engine/holdoff.h. */
struct cache_holdoff_options {
    uint32_t cells;   /* a power of two; 4 bytes each, in the heap */
    uint32_t seconds; /* at least 1 */
    bool refuse; /* such stores are CACHE_NOT_STORED, instead of living for `seconds` at most */
};
/** Once, before other threads use the cache.  Errors: false without memory. */
bool cache_holdoff_open(struct cache *cache, const struct cache_holdoff_options *options);
void cache_holdoff_stats(const struct cache *cache, uint64_t *shortened, uint64_t *refused);

/** Deletes a key and begins its hold-off; counts in no command's figures.  CACHE_OK or CACHE_MISS.
 *
 * was_claimed   out: someone had been told to make the item anew, and can't any more
 */
enum cache_result cache_void(struct cache *cache, struct cache_thread *thread, const void *key,
                             uint32_t key_len, bool *was_claimed);

/* -- walking over all items ------------------------------------------------------------------- */

/** A living item as a visitor sees it; borrowed for the visit. */
struct cache_item_info {
    const void *key;
    uint32_t key_len;
    uint32_t value_len;
    uint32_t item_size; /* bytes: header, key, value */
    uint32_t client_flags;
    int64_t expires_at; /* unix seconds, CACHE_NEVER for none */
    int64_t used_at;    /* unix seconds: last read, or store */
    uint64_t cas;       /* 0 when disabled */
    uint8_t class_id;
    bool fetched;    /* read since it was stored */
    bool binary_key; /* as struct cache_store */
};
/** False: no more is wanted. */
typedef bool cache_visit_fn(void *arg, const struct cache_item_info *item);

/**
 * Where a walk over all items stands.  A plain value: it may be kept, copied, sent to a client and
 * taken up again at any time, also when the index has grown meanwhile.  {0} is the beginning.
 */
struct cache_scan {
    uint64_t at; /* all items whose hash, its bits reversed, is below have been visited */
};

/**
 * Visits the items of up to `steps` places of the index, at most CACHE_SCAN_ITEMS each, and moves
 * the walk on.  Returns whether there is more.  Takes no lock (but the bucket's where others keep
 * changing it), and never calls `visit` with one held.
 *
 * Every item that is there from the beginning of the walk to its end is visited once, however the
 * index grows and whichever pages move; one that is stored meanwhile at most once per store.
 *
 * Threads: between cache_enter() and cache_leave().
 */
bool cache_scan(struct cache *cache, struct cache_thread *thread, struct cache_scan *scan,
                cache_visit_fn *visit, void *arg, unsigned steps);

/** Takes a multiple of CACHE_SIZE_STEP, and how many items are so large, less the step at most. */
typedef void cache_size_fn(void *arg, uint64_t size, uint64_t items);
/** Visits all sizes that there are items of, in order.  False: cache_options.track_sizes is off. */
bool cache_visit_sizes(const struct cache *cache, cache_size_fn *visit, void *arg);

/* -- running ----------------------------------------------------------------------------------- */

/**
 * A slice of the background work: expired and flushed items, pages on the move, pages above a
 * lowered limit. Bounded to about 100 us.  Returns whether there is more to do at once.  The server
 * calls it from a thread of its own, every 10 ms and while it says true; stores do the part that
 * cannot wait.
 */
bool cache_maintain(struct cache *cache, struct cache_thread *thread);

/** Ids of size classes. */
struct cache_class_set {
    uint64_t bits[2];
};

static inline void
cache_class_set_add(struct cache_class_set *set, unsigned id)
{
    set->bits[id / 64] |= (uint64_t)1 << (id % 64);
}

static inline bool
cache_class_set_has(const struct cache_class_set *set, unsigned id)
{
    return (set->bits[id / 64] >> (id % 64) & 1) != 0;
}

/** The number of size classes: ids run from 1 to it. */
unsigned cache_classes(const struct cache *cache);

/**
 * Whether cache_maintain() looks for dead items by itself, and at how many chunks of one class in
 * one round at most, 0 for all.  Without it they go when someone asks for their key, or for room.
 */
void cache_set_sweep(struct cache *cache, bool enabled, uint32_t class_chunks_max);
/** Has cache_maintain() free all dead items of these classes as fast as it can.  False: it is still
 * at it. */
bool cache_sweep_now(struct cache *cache, const struct cache_class_set *classes);

/** When a page moves to another class for the misses that it saves there. */
enum cache_mover_mode {
    CACHE_MOVER_OFF,    /* only where memory is not to be had otherwise */
    CACHE_MOVER_NORMAL, /* when what is lost is less than so many thousandths of what is gained */
    CACHE_MOVER_EAGER,  /* when it is less at all */
};
void cache_set_mover(struct cache *cache, enum cache_mover_mode mode, uint32_t thousandths);

enum cache_move_result {
    CACHE_MOVE_OK, /* cache_maintain() will do it */
    CACHE_MOVE_BUSY,
    CACHE_MOVE_BAD_CLASS,
    CACHE_MOVE_NO_SPARE, /* the class has no more than one page */
    CACHE_MOVE_SAME,
};

#define CACHE_MOVE_ANY  (-1) /* from: the class that loses least by it */
#define CACHE_MOVE_POOL 0    /* to, from: the pages that no class has */

/** Moves a page from one class to another.  Living items on it move to other pages of their class
 * where there is room. */
enum cache_move_result cache_move_page(struct cache *cache, int from, int to);

/**
 * Raises or lowers the limit, bytes.  Lowering takes effect within some calls of cache_maintain().
 *
 * Errors: false for less than 1 MiB, for less than what the index takes and four pages (it does not
 * shrink), and for more than the address space that was reserved at create.
 */
bool cache_set_memory_limit(struct cache *cache, uint64_t memory_limit);

/** Walks every structure and asserts what must hold.  No other thread may be inside.  For tests. */
void cache_check(struct cache *cache);

#endif
