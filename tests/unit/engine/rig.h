/* What the engine's unit tests share: a cache with one thread, and whole commands on it. */
#ifndef LARDER_TESTS_UNIT_ENGINE_RIG_H
#define LARDER_TESTS_UNIT_ENGINE_RIG_H

#include "base/rng.h"
#include "engine/cache.h"
#include "engine/cache_priv.h"
#include "engine/stats.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RIG_NOW       1700000000 /* unix second that a rig's clock starts at */
#define RIG_VALUE_MAX (4u << 20) /* bytes; the longest value that rig_get() takes */
#define RIG_MB        ((uint64_t)1 << 20)
/* What index and queues may take past the limit for a moment: OVERFLOW_SLACK and SEGMENT_SLACK. */
#define RIG_SLACK ((uint64_t)(256u + 64u) << 10)
/* Slices of cache_maintain() after which it must have said that there is no more to do. */
#define RIG_SLICES_MAX 200000u

/* As ck_assert(), for what is called a million times: Check notes each of its own in a file. */
#define rig_must(expr)                         \
    do {                                       \
        if (!(expr)) {                         \
            ck_abort_msg("not so: %s", #expr); \
        }                                      \
    } while (0)

struct rig {
    struct cache *cache;
    struct cache_thread *thread;
    uint8_t *buf; /* RIG_VALUE_MAX bytes: the value that rig_get() found last */
};

/** What one get told. */
struct got {
    enum cache_result result;
    bool pinned;
    struct cache_read read; /* its pin has been given back */
};

static inline struct cache_options
rig_options(uint64_t memory_limit)
{
    return (struct cache_options){
        .memory_limit = memory_limit,
        .item_size_max = 1u << 20,
        .hash_seed = 42,
        .now = RIG_NOW,
    };
}

static inline void
rig_open(struct rig *rig, const struct cache_options *options)
{
    rig->cache = cache_create(options);
    ck_assert_ptr_nonnull(rig->cache);
    rig->thread = cache_thread_open(rig->cache);
    ck_assert_ptr_nonnull(rig->thread);
    rig->buf = malloc(RIG_VALUE_MAX);
    ck_assert_ptr_nonnull(rig->buf);
}

static inline void
rig_close(struct rig *rig)
{
    cache_check(rig->cache);
    cache_thread_close(rig->cache, rig->thread);
    cache_destroy(rig->cache);
    free(rig->buf);
}

/** The bytes of a value that can be told from any other's. */
static inline void
rig_fill(uint8_t *bytes, size_t len, uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed);
    for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
        uint64_t word = rng_next(&rng);
        memcpy(bytes + at, &word, len - at < sizeof(word) ? len - at : sizeof(word));
    }
}

static inline bool
rig_is_filled(const uint8_t *bytes, size_t len, uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed);
    for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
        uint64_t word = rng_next(&rng);
        if (memcmp(bytes + at, &word, len - at < sizeof(word) ? len - at : sizeof(word)) != 0) {
            return false;
        }
    }
    return true;
}

/** Writes the bytes of a pinned value to `to`. */
static inline void
rig_copy_pin(struct rig *rig, const struct cache_pin *pin, size_t len, uint8_t *to)
{
    size_t at = 0;
    while (at < len) {
        struct cache_piece pieces[5];
        unsigned count = cache_pin_pieces(rig->cache, pin, at, pieces, 5);
        rig_must(count > 0);
        for (unsigned i = 0; i < count; i++) {
            rig_must(pieces[i].len > 0);
            rig_must(at + pieces[i].len <= len);
            memcpy(to + at, pieces[i].at, pieces[i].len);
            at += pieces[i].len;
        }
    }
}

/** A whole get; the value is in rig->buf. */
static inline struct got
rig_get_bytes(struct rig *rig, const void *key, uint32_t key_len, enum cache_read_mode mode)
{
    struct got got = { .read = { .key = key, .key_len = key_len, .mode = mode } };
    cache_enter(rig->thread);
    got.result = cache_find_one(rig->cache, rig->thread, &got.read);
    if (got.result == CACHE_OK) {
        rig_must(got.read.value_len <= RIG_VALUE_MAX);
        got.pinned = got.read.pin != NULL;
        if (got.pinned) {
            rig_copy_pin(rig, got.read.pin, got.read.value_len, rig->buf);
        } else {
            rig_must(got.read.value_len <= CACHE_COPY_MAX);
            cache_copy(rig->cache, &got.read, rig->buf);
        }
        cache_read_more(rig->cache, &got.read);
        rig_must(cache_hit(rig->cache, rig->thread, &got.read)); /* no other thread writes */
        if (got.pinned) {
            cache_unpin(rig->cache, rig->thread, &got.read.pin);
            rig_must(got.read.pin == NULL);
        }
    } else {
        rig_must(got.result == CACHE_MISS);
    }
    cache_leave(rig->thread);
    return got;
}

static inline struct got
rig_get(struct rig *rig, const char *key)
{
    return rig_get_bytes(rig, key, (uint32_t)strlen(key), CACHE_READ_HIT);
}

static inline struct got
rig_peek(struct rig *rig, const char *key)
{
    return rig_get_bytes(rig, key, (uint32_t)strlen(key), CACHE_READ_QUIET);
}

/** Begins, writes and commits. */
static inline enum cache_result
rig_store(struct rig *rig, enum cache_store_mode mode, const char *key, const void *value,
          size_t len, uint32_t flags, int64_t expires_at, uint64_t cas, uint64_t *cas_out)
{
    struct cache_store store;
    enum cache_result result = cache_store_begin(
        rig->cache, rig->thread, key, (uint32_t)strlen(key), len, flags, expires_at, &store);
    if (result == CACHE_OK) {
        result = cache_store_write(rig->cache, rig->thread, &store, value, len);
    }
    if (result == CACHE_OK) {
        result = cache_store_commit(rig->cache, rig->thread, &store, mode, cas, cas_out);
    }
    return result;
}

static inline enum cache_result
rig_set(struct rig *rig, const char *key, const char *value)
{
    return rig_store(rig, CACHE_SET, key, value, strlen(value), 0, CACHE_NEVER, 0, NULL);
}

/** Sets a value of `len` bytes that rig_is_filled() knows by its seed. */
static inline enum cache_result
rig_set_filled(struct rig *rig, const char *key, size_t len, uint64_t seed)
{
    rig_must(len <= RIG_VALUE_MAX);
    rig_fill(rig->buf, len, seed);
    return rig_store(rig, CACHE_SET, key, rig->buf, len, 0, CACHE_NEVER, 0, NULL);
}

/** Whether a key is there with exactly the value that rig_set_filled() gave it. */
static inline bool
rig_holds_filled(struct rig *rig, const char *key, size_t len, uint64_t seed)
{
    struct got got = rig_peek(rig, key);
    return got.result == CACHE_OK && got.read.value_len == len &&
           rig_is_filled(rig->buf, len, seed);
}

static inline enum cache_result
rig_delete(struct rig *rig, const char *key)
{
    return cache_delete(rig->cache, rig->thread, key, (uint32_t)strlen(key), 0);
}

/** Maintains until there is nothing to do at once; it must come to an end. */
static inline void
rig_settle(struct rig *rig)
{
    unsigned slices = 0;
    while (cache_maintain(rig->cache, rig->thread)) {
        rig_must(slices++ < RIG_SLICES_MAX);
    }
}

/** The same, a number of times over: a page that leaves needs more than one call. */
static inline void
rig_settle_long(struct rig *rig, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        rig_settle(rig);
    }
}

/** The figures; static, for they are large. */
static inline const struct cache_stats *
rig_stats(struct rig *rig)
{
    static struct cache_stats stats;
    cache_stats_read(rig->cache, &stats);
    return &stats;
}

/** The number of an index's or a loop's key, as text. */
static inline const char *
rig_key(char key[32], const char *prefix, uint64_t number)
{
    snprintf(key, 32, "%s:%llu", prefix, (unsigned long long)number);
    return key;
}

/** Runs a suite of one case. */
static inline int
rig_run(const char *name, TCase *tcase)
{
    Suite *suite = suite_create(name);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
