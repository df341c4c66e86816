/* What the files of embed/ share: an open cache, and what stands around each call. */
#ifndef LARDER_EMBED_LARDER_PRIV_H
#define LARDER_EMBED_LARDER_PRIV_H

#include "larder.h"

#include "base/clock.h"
#include "base/lock.h"
#include "embed/thread_slot.h"
#include "engine/cache.h"
#include "engine/hook.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SHARED_THREADS 4u /* for the threads that have no slot */

/* A cache_thread of several threads. */
struct shared_thread {
    struct lock
        lock; /* rank LOCK_RANK_LIBRARY: the outermost, taken around whole calls of the engine */
    struct cache_thread *thread;
};

/**
 * Locking key:  (c) constant after larder_open()    (a) atomic    (o) the slot's owner's alone;
 * handed over by thread_slot()    (k) written under clock_lock    (l) used under its own lock
 */
struct larder {
    const char *build;       /* (c) larder_version() of who opened it: see larder_same_build() */
    struct cache *cache;     /* (c) */
    int64_t unix_base_s;     /* (c) unix time at the coarse clock's zero */
    _Atomic uint32_t second; /* (a) (k) the coarse clock, as the engine was told */
    struct lock clock_lock;  /* only ever tried, never waited for */
    uint32_t item_size_max;  /* (c) bytes */
    bool cas_disabled;       /* (c) */
    bool evictions_disabled; /* (c) */
    _Atomic uint64_t memory_limit;               /* (a) bytes, as the host last said */
    _Atomic bool hooked;                         /* (a) there is or was a hook */
    _Atomic uint32_t views;                      /* (a) values that are held */
    _Atomic uint32_t users;                      /* (a) servers and hooks that are open */
    larder_gone_fn *gone;                        /* (c) NULL for none */
    void *gone_arg;                              /* (c) */
    struct cache_observer observer;              /* (c) but for what locks itself */
    struct cache_thread *of_slot[THREAD_SLOTS];  /* (o) NULL until first used */
    struct shared_thread shared[SHARED_THREADS]; /* (l) */
};

/** Whether liblarder-serve, of version `build`, may use what liblarder has opened: they share
 * nothing but its layout. */
static inline bool
larder_same_build(const struct larder *cache, const char *build)
{
    return strcmp(cache->build, build) == 0;
}

/* One call under way. */
struct call {
    struct cache *cache;
    struct cache_thread *thread;
    struct lock *lock; /* held; NULL when the thread has a slot */
};

/** Tells the engine a new second.  Nobody waits: while one thread does it, others go on with the
 * old one. */
void call_tell_time(struct larder *cache);
/** A thread's first call in this cache, or one without a slot of its own. */
struct call call_take_first_or_shared(struct larder *cache, unsigned slot);

/** Finds the calling thread's cache_thread. */
static inline struct call
call_take(struct larder *cache)
{
    /* relaxed: a single number; who reads an old one tells the time once too often */
    if (__builtin_expect(
            clock_coarse_s() != atomic_load_explicit(&cache->second, memory_order_relaxed), 0)) {
        call_tell_time(cache);
    }
    unsigned slot = thread_slot();
    struct call call = { cache->cache, NULL, NULL };
    if (__builtin_expect(slot != THREAD_SLOT_NONE, 1)) {
        call.thread = cache->of_slot[slot];
    }
    if (__builtin_expect(call.thread == NULL, 0)) {
        call = call_take_first_or_shared(cache, slot);
    }
    return call;
}

static inline void
call_release(struct call *call)
{
    if (call->lock != NULL) {
        lock_release(call->lock);
    }
}

/** The same, and inside the engine until call_end(). */
static inline struct call
call_begin(struct larder *cache)
{
    struct call call = call_take(cache);
    cache_enter(call.thread);
    return call;
}

static inline void
call_end(struct call *call)
{
    cache_leave(call->thread);
    call_release(call);
}

static inline bool
key_good(const void *key, size_t key_len)
{
    return key != NULL && key_len >= 1 && key_len <= LARDER_KEY_LEN_MAX;
}

/** The cache and the key of a call. */
static inline bool
call_good(const struct larder *cache, const void *key, size_t key_len)
{
    return cache != NULL && key_good(key, key_len);
}

/** What a call that is not good is answered with. */
static inline enum larder_result
call_bad(const struct larder *cache)
{
    return cache == NULL ? LARDER_BAD_OPTION : LARDER_BAD_KEY;
}

/** Whether a buffer of the host's is one. */
static inline bool
bytes_good(const void *at, size_t len)
{
    return at != NULL || len == 0;
}

static inline int64_t
expires_at(const struct call *call, uint32_t ttl_s)
{
    return ttl_s == 0 ? CACHE_NEVER : cache_now(call->cache) + (int64_t)ttl_s;
}

/** Seconds left; -1 for no end. */
static inline int64_t
ttl_left(const struct call *call, int64_t at)
{
    int64_t now = cache_now(call->cache);
    return at == CACHE_NEVER ? -1 : at > now ? at - now : 0;
}

/** What the engine says, in the host's words.  not_stored: for CACHE_NOT_STORED, which is another
 * thing to each kind of store. */
enum larder_result result_of(enum cache_result result, enum larder_result not_stored);

/** Copies a pinned value, which nothing can change. */
void copy_pinned(const struct cache *cache, const struct cache_pin *pin, size_t value_len,
                 uint8_t *buf);

#endif
