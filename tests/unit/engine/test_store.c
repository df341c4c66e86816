/* Storing: every mode, and sizes at their bounds. */
#include "unit/engine/rig.h"

#include "engine/store.h"

#include <signal.h>

#define ITEM_MAX 2000u /* item_size_max of the rig */

static struct rig rig;

static void
set_up(void)
{
    struct cache_options options = rig_options(1 * RIG_MB);
    options.item_size_max = ITEM_MAX;
    rig_open(&rig, &options);
}

static void
tear_down(void)
{
    rig_close(&rig);
}

static bool
value_is(const char *key, const char *value)
{
    struct got got = rig_get(&rig, key);
    return got.result == CACHE_OK && got.read.value_len == strlen(value) &&
           memcmp(rig.buf, value, strlen(value)) == 0;
}

static enum cache_result
store(enum cache_store_mode mode, const char *key, const char *value, uint64_t cas,
      uint64_t *cas_out)
{
    return rig_store(&rig, mode, key, value, strlen(value), 3, CACHE_NEVER, cas, cas_out);
}

START_TEST(add_stores_what_is_not_there_and_replace_what_is)
{
    ck_assert_int_eq(store(CACHE_REPLACE, "key", "1", 0, NULL), CACHE_NOT_STORED);
    ck_assert_int_eq(store(CACHE_ADD, "key", "2", 0, NULL), CACHE_OK);
    ck_assert_int_eq(store(CACHE_ADD, "key", "3", 0, NULL), CACHE_NOT_STORED);
    ck_assert(value_is("key", "2"));
    ck_assert_int_eq(store(CACHE_REPLACE, "key", "4", 0, NULL), CACHE_OK);
    ck_assert(value_is("key", "4"));
}
END_TEST

START_TEST(cas_stores_over_the_id_that_it_names_alone)
{
    uint64_t first = 0;
    uint64_t second = 0;
    ck_assert_int_eq(store(CACHE_CAS, "key", "0", 1, NULL), CACHE_MISS);
    ck_assert_int_eq(store(CACHE_SET, "key", "1", 0, &first), CACHE_OK);
    ck_assert_uint_eq(rig_get(&rig, "key").read.cas, first);
    ck_assert_int_eq(store(CACHE_CAS, "key", "2", first + 1, NULL), CACHE_EXISTS);
    ck_assert_int_eq(store(CACHE_CAS, "key", "2", 0, NULL), CACHE_EXISTS);
    ck_assert_int_eq(store(CACHE_CAS, "key", "2", first, &second), CACHE_OK);
    ck_assert_uint_gt(second, first);
    ck_assert_int_eq(store(CACHE_CAS, "key", "3", first, NULL), CACHE_EXISTS);
    ck_assert(value_is("key", "2"));
    const struct cache_stats *stats = rig_stats(&rig);
    ck_assert_uint_eq(stats->cas_misses, 1);
    ck_assert_uint_eq(stats->sum.cas_hits, 1);
    ck_assert_uint_eq(stats->sum.cas_badval, 3);
}
END_TEST

/** As store(), with what may be set between begin and commit. */
static enum cache_result
store_as(const struct cache_store *as, enum cache_store_mode mode, const char *value,
         int64_t expires_at, uint64_t cas, uint64_t *cas_out)
{
    struct cache_store new_store;
    ck_assert_int_eq(cache_store_begin(rig.cache, rig.thread, "key", 3, strlen(value), 3,
                                       expires_at, &new_store),
                     CACHE_OK);
    ck_assert_int_eq(cache_store_write(rig.cache, rig.thread, &new_store, value, strlen(value)),
                     CACHE_OK);
    new_store.cas_new = as->cas_new;
    new_store.binary_key = as->binary_key;
    new_store.claimed = as->claimed;
    new_store.fetched = as->fetched;
    new_store.vivify = as->vivify;
    new_store.late_is_stale = as->late_is_stale;
    return cache_store_commit(rig.cache, rig.thread, &new_store, mode, cas, cas_out);
}

START_TEST(an_item_gets_the_id_that_its_store_names)
{
    struct cache_store as = { .cas_new = 1000 };
    uint64_t cas = 0;
    ck_assert_int_eq(store_as(&as, CACHE_ADD, "1", 0, 0, &cas), CACHE_OK);
    ck_assert_uint_eq(cas, 1000);
    ck_assert_uint_eq(rig_peek(&rig, "key").read.cas, 1000);
    as.cas_new = 7; /* may be lower */
    ck_assert_int_eq(store_as(&as, CACHE_CAS, "2", 0, 999, &cas), CACHE_EXISTS);
    ck_assert_int_eq(store_as(&as, CACHE_CAS, "2", 0, 1000, &cas), CACHE_OK);
    ck_assert_uint_eq(rig_peek(&rig, "key").read.cas, 7);
    as.cas_new = UINT64_MAX;
    ck_assert_int_eq(store_as(&as, CACHE_APPEND, "3", 0, 7, &cas), CACHE_OK);
    ck_assert_uint_eq(cas, UINT64_MAX);
    ck_assert(value_is("key", "23"));
    /* The cache's own ids go on where they were. */
    uint64_t next = 0;
    ck_assert_int_eq(store(CACHE_SET, "key", "4", 0, &next), CACHE_OK);
    ck_assert_uint_lt(next, 1000);
}
END_TEST

START_TEST(a_late_store_keeps_the_expiry_and_is_stale)
{
    struct cache_store late = { .late_is_stale = true };
    uint64_t first = 0;
    uint64_t second = 0;
    ck_assert_int_eq(store_as(&late, CACHE_CAS, "0", 0, 1, NULL), CACHE_MISS);
    ck_assert_int_eq(store(CACHE_SET, "key", "1", 0, &first), CACHE_OK);
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "key", "2", 1, 0, RIG_NOW + 50, 0, &second),
                     CACHE_OK);
    ck_assert_int_eq(store_as(&late, CACHE_CAS, "3", RIG_NOW + 99, second + 1, NULL), CACHE_EXISTS);
    ck_assert_int_eq(store_as(&late, CACHE_CAS, "4", RIG_NOW + 99, first, &second), CACHE_OK);
    struct got got = rig_get(&rig, "key");
    ck_assert(got.read.stale && !got.read.claimed);
    ck_assert_int_eq(got.read.expires_at, RIG_NOW + 50);
    ck_assert_int_eq(rig.buf[0], '4');
    /* In time: as any other. */
    ck_assert_int_eq(store_as(&late, CACHE_CAS, "5", RIG_NOW + 99, second, NULL), CACHE_OK);
    got = rig_get(&rig, "key");
    ck_assert(!got.read.stale);
    ck_assert_int_eq(got.read.expires_at, RIG_NOW + 99);
    ck_assert_uint_eq(rig_stats(&rig)->sum.cas_hits, 2);
    ck_assert_uint_eq(rig_stats(&rig)->sum.cas_badval, 1);
}
END_TEST

/* Who has won the item goes on being known. */
START_TEST(a_late_store_keeps_the_claim)
{
    struct cache_store late = { .late_is_stale = true, .cas_new = 20 };
    struct cache_store claimed = { .claimed = true, .cas_new = 10 };
    ck_assert_int_eq(store_as(&claimed, CACHE_ADD, "1", 0, 0, NULL), CACHE_OK);
    ck_assert_int_eq(store_as(&late, CACHE_CAS, "2", 0, 9, NULL), CACHE_OK);
    struct got got = rig_get(&rig, "key");
    ck_assert(got.read.stale && got.read.claimed);
    ck_assert_int_eq(store_as(&late, CACHE_CAS, "3", 0, 20, NULL), CACHE_OK);
    got = rig_get(&rig, "key");
    ck_assert(!got.read.stale && !got.read.claimed);
}
END_TEST

START_TEST(append_and_prepend_create_where_they_may)
{
    struct cache_store vivify = { .vivify = true, .cas_new = 5, .binary_key = true };
    ck_assert_int_eq(store(CACHE_APPEND, "key", "1", 0, NULL), CACHE_NOT_STORED);
    enum cache_store_mode mode = _i == 0 ? CACHE_APPEND : CACHE_PREPEND;
    ck_assert_int_eq(store_as(&vivify, mode, "1", RIG_NOW + 9, 0, NULL), CACHE_OK);
    struct got got = rig_get(&rig, "key");
    ck_assert(got.read.binary_key);
    ck_assert_uint_eq(got.read.cas, 5);
    ck_assert_uint_eq(got.read.client_flags, 3);
    ck_assert_int_eq(got.read.expires_at, RIG_NOW + 9);
    ck_assert_int_eq(store_as(&vivify, mode, "2", RIG_NOW + 99, 6, NULL), CACHE_EXISTS);
    ck_assert_int_eq(store_as(&vivify, mode, "2", RIG_NOW + 99, 5, NULL), CACHE_OK);
    got = rig_get(&rig, "key");
    ck_assert_int_eq(got.read.expires_at, RIG_NOW + 9);
    ck_assert(value_is("key", _i == 0 ? "12" : "21"));
}
END_TEST

START_TEST(an_item_may_count_as_read_from_the_start)
{
    struct cache_store fetched = { .fetched = true };
    ck_assert_int_eq(store_as(&fetched, CACHE_SET, "1", 0, 0, NULL), CACHE_OK);
    ck_assert(rig_peek(&rig, "key").read.fetched);
    ck_assert_int_eq(store(CACHE_SET, "key", "2", 0, NULL), CACHE_OK);
    ck_assert(!rig_peek(&rig, "key").read.fetched);
}
END_TEST

START_TEST(append_and_prepend_keep_flags_and_expiry)
{
    ck_assert_int_eq(store(CACHE_APPEND, "key", "x", 0, NULL), CACHE_NOT_STORED);
    ck_assert_int_eq(store(CACHE_PREPEND, "key", "x", 0, NULL), CACHE_NOT_STORED);
    uint64_t first = 0;
    uint64_t second = 0;
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "key", "b", 1, 77, RIG_NOW + 50, 0, &first),
                     CACHE_OK);
    ck_assert_int_eq(store(CACHE_APPEND, "key", "c", 0, &second), CACHE_OK);
    ck_assert_uint_gt(second, first);
    ck_assert_int_eq(store(CACHE_PREPEND, "key", "a", first, NULL), CACHE_EXISTS);
    ck_assert_int_eq(store(CACHE_PREPEND, "key", "a", second, NULL), CACHE_OK);
    ck_assert_int_eq(store(CACHE_APPEND, "key", "", 0, NULL), CACHE_OK);
    ck_assert(value_is("key", "abc"));
    struct got got = rig_get(&rig, "key");
    ck_assert_uint_eq(got.read.client_flags, 77);
    ck_assert_int_eq(got.read.expires_at, RIG_NOW + 50);
    ck_assert_uint_eq(rig_stats(&rig)->items, 1);
}
END_TEST

START_TEST(append_and_prepend_grow_an_item_over_every_class)
{
    struct rig other;
    struct cache_options options = rig_options(8 * RIG_MB);
    rig_open(&other, &options);
    static uint8_t expected[200000];
    rig_fill(expected, sizeof(expected), 1);
    size_t from = sizeof(expected) / 2;
    size_t to = from;
    ck_assert_int_eq(rig_store(&other, CACHE_SET, "key", "", 0, 5, 0, 0, NULL), CACHE_OK);
    for (size_t part = 1; to - from + 2 * part <= sizeof(expected); part = part * 3 / 2 + 1) {
        ck_assert_int_eq(rig_store(&other, CACHE_APPEND, "key", expected + to, part, 0, 0, 0, NULL),
                         CACHE_OK);
        to += part;
        ck_assert_int_eq(
            rig_store(&other, CACHE_PREPEND, "key", expected + from - part, part, 0, 0, 0, NULL),
            CACHE_OK);
        from -= part;
        struct got got = rig_get(&other, "key");
        ck_assert_uint_eq(got.read.value_len, to - from);
        ck_assert_int_eq(memcmp(other.buf, expected + from, to - from), 0);
        ck_assert_uint_eq(got.read.client_flags, 5);
        cache_check(other.cache);
        ck_assert_uint_eq(rig_stats(&other)->items, 1);
    }
    rig_close(&other);
}
END_TEST

START_TEST(an_item_may_be_as_large_as_the_option_says_and_no_larger)
{
    size_t largest = ITEM_MAX - 20 - 3;
    memset(rig.buf, 'v', ITEM_MAX);
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "key", rig.buf, largest, 0, 0, 0, NULL), CACHE_OK);
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "key", rig.buf, largest + 1, 0, 0, 0, NULL),
                     CACHE_TOO_LARGE);
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "key", rig.buf, largest - 4, 1, 0, 0, NULL),
                     CACHE_OK);
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "key", rig.buf, largest - 3, 1, 0, 0, NULL),
                     CACHE_TOO_LARGE);
    ck_assert_uint_eq(rig_get(&rig, "key").read.value_len, largest - 4);
    ck_assert_int_eq(store(CACHE_APPEND, "key", "x", 0, NULL), CACHE_TOO_LARGE);
    ck_assert_int_eq(store(CACHE_PREPEND, "key", "x", 0, NULL), CACHE_TOO_LARGE);
    ck_assert_uint_eq(rig_get(&rig, "key").read.value_len, largest - 4);
    struct cache_store begun;
    ck_assert_int_eq(
        cache_store_begin(rig.cache, rig.thread, "k", 1, UINT64_MAX - 1000, 0, 0, &begun),
        CACHE_TOO_LARGE);
    ck_assert_int_eq(
        cache_store_begin(rig.cache, rig.thread, "k", 1, UINT64_C(1) << 32, 0, 0, &begun),
        CACHE_TOO_LARGE);
    ck_assert_uint_eq(rig_stats(&rig)->store_too_large, 6);
    ck_assert_uint_eq(rig_stats(&rig)->items, 1);
}
END_TEST

START_TEST(a_length_that_no_memory_has_is_too_large)
{
    static const uint64_t lengths[] = { UINT32_MAX, (uint64_t)1 << 32, INT64_MAX, UINT64_MAX - 3,
                                        UINT64_MAX };
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct cache_store open;
        ck_assert_int_eq(
            cache_store_begin(rig.cache, rig.thread, "key", 3, lengths[i], 0, CACHE_NEVER, &open),
            CACHE_TOO_LARGE);
    }
}
END_TEST

/* A flush between the look at the old item and the new one's place: what is made of it is void, too. */
START_TEST(what_keeps_contents_is_flushed_with_them)
{
    for (unsigned keeps = 0; keeps < 2; keeps++) {
        struct cache *cache = rig.cache;
        struct cache_store made;
        bool living;
        ck_assert_int_eq(store(CACHE_SET, "key", "old", 0, NULL), CACHE_OK);
        ck_assert_int_eq(cache_store_begin(cache, rig.thread, "key", 3, 3, 0, CACHE_NEVER, &made),
                         CACHE_OK);
        ck_assert_int_eq(cache_store_write(cache, rig.thread, &made, "new", 3), CACHE_OK);
        struct bucket *head = table_lock(&cache->table, made.hash);
        struct found old = store_find_living(cache, head, made.hash, "key", 3, &living);
        ck_assert(living);
        /* as cache_flush() on another thread; relaxed: one thread */
        atomic_fetch_add_explicit(&cache->generation, 1, memory_order_relaxed);
        made.keeps = keeps == 1;
        uint32_t gone = store_publish(cache, &made, head, &old, NULL);
        bucket_unlock(head);
        store_finish(cache, rig.thread, &made, gone);
        ck_assert_int_eq(rig_peek(&rig, "key").result, keeps == 1 ? CACHE_MISS : CACHE_OK);
    }
}
END_TEST

START_TEST(a_key_may_be_as_long_as_250_bytes)
{
    char key[CACHE_KEY_MAX + 1];
    memset(key, 'k', CACHE_KEY_MAX);
    key[CACHE_KEY_MAX] = '\0';
    ck_assert_int_eq(store(CACHE_SET, key, "value", 0, NULL), CACHE_OK);
    ck_assert(value_is(key, "value"));
}
END_TEST

START_TEST(a_longer_key_is_our_mistake)
{
    char key[CACHE_KEY_MAX + 1] = { 'k' };
    struct cache_store begun;
    (void)!cache_store_begin(rig.cache, rig.thread, key, CACHE_KEY_MAX + 1, 1, 0, 0, &begun);
}
END_TEST

START_TEST(an_empty_key_is_our_mistake)
{
    struct cache_store begun;
    (void)!cache_store_begin(rig.cache, rig.thread, "", 0, 1, 0, 0, &begun);
}
END_TEST

START_TEST(committing_half_a_value_is_our_mistake)
{
    struct cache_store begun;
    ck_assert_int_eq(cache_store_begin(rig.cache, rig.thread, "k", 1, 10, 0, 0, &begun), CACHE_OK);
    ck_assert_int_eq(cache_store_write(rig.cache, rig.thread, &begun, "012345678", 9), CACHE_OK);
    (void)!cache_store_commit(rig.cache, rig.thread, &begun, CACHE_SET, 0, NULL);
}
END_TEST

START_TEST(nobody_sees_a_store_before_its_commit)
{
    ck_assert_int_eq(store(CACHE_SET, "key", "old", 0, NULL), CACHE_OK);
    struct cache_store begun[3];
    for (unsigned i = 0; i < 3; i++) {
        char value = (char)('a' + i);
        ck_assert_int_eq(cache_store_begin(rig.cache, rig.thread, "key", 3, 1, 0, 0, &begun[i]),
                         CACHE_OK);
        ck_assert_int_eq(cache_store_write(rig.cache, rig.thread, &begun[i], &value, 1), CACHE_OK);
        ck_assert(value_is("key", "old"));
    }
    ck_assert_int_eq(cache_store_commit(rig.cache, rig.thread, &begun[1], CACHE_SET, 0, NULL),
                     CACHE_OK);
    ck_assert(value_is("key", "b"));
    cache_store_abort(rig.cache, rig.thread, &begun[0]);
    ck_assert(value_is("key", "b"));
    ck_assert_int_eq(cache_store_commit(rig.cache, rig.thread, &begun[2], CACHE_ADD, 0, NULL),
                     CACHE_NOT_STORED);
    ck_assert(value_is("key", "b"));
    ck_assert_uint_eq(rig_stats(&rig)->items, 1);
    ck_assert_uint_eq(rig_stats(&rig)->sum.used_chunks, 1);
}
END_TEST

START_TEST(cas_ids_are_unique_and_grow)
{
    uint64_t last = 0;
    uint64_t value;
    for (unsigned i = 0; i < 3000; i++) {
        char key[32];
        uint64_t cas = 0;
        rig_key(key, "n", i % 7);
        if (i % 3 == 0 || i < 7) {
            ck_assert_int_eq(store(CACHE_SET, key, "1", 0, &cas), CACHE_OK);
        } else if (i % 3 == 1) {
            ck_assert_int_eq(cache_arith(rig.cache, rig.thread, key, (uint32_t)strlen(key), false,
                                         1, 0, &value, &cas),
                             CACHE_OK);
        } else {
            ck_assert_int_eq(store(CACHE_APPEND, key, " ", 0, &cas), CACHE_OK);
        }
        ck_assert_uint_gt(cas, last);
        last = cas;
        ck_assert_int_eq(
            cache_touch(rig.cache, rig.thread, key, (uint32_t)strlen(key), RIG_NOW + 5), CACHE_OK);
        ck_assert_uint_eq(rig_get(&rig, key).read.cas,
                          cas); /* neither a touch nor a read changes it */
        if (i % 50 == 49) {
            for (unsigned k = 0; k < 7; k++) {
                ck_assert_int_eq(store(CACHE_SET, rig_key(key, "n", k), "1", 0, &last), CACHE_OK);
            }
        }
    }
}
END_TEST

/* An item that had to leave because the index had no room for both was in no count. */
START_TEST(an_item_that_leaves_for_want_of_an_index_slot_counts_as_evicted)
{
    static struct cache_store open[800];
    char key[32];
    for (unsigned i = 0; i < 800; i++) { /* chunks, and nothing in the index */
        ck_assert_int_eq(cache_store_begin(rig.cache, rig.thread, "n:1000", 6, 1, 0, 0, &open[i]),
                         CACHE_OK);
    }
    for (unsigned i = 0; i < 800; i++) {
        cache_store_abort(rig.cache, rig.thread, &open[i]);
    }
    const struct cache_stats *stats = rig_stats(&rig);
    uint64_t rest = stats->memory_limit + RIG_SLACK - stats->memory_used;
    ck_assert(pages_charge(&rig.cache->pages, rest, RIG_SLACK));
    for (unsigned i = 0; i < 800; i++) {
        ck_assert_int_eq(rig_set(&rig, rig_key(key, "n", 1000 + i), "v"), CACHE_OK);
        ck_assert_int_eq(rig_get(&rig, key).result, CACHE_OK);
        stats = rig_stats(&rig);
        ck_assert_uint_eq(stats->items + stats->sum.evicted, i + 1);
        cache_check(rig.cache);
    }
    ck_assert_uint_gt(stats->sum.evicted, 0);
    pages_uncharge(&rig.cache->pages, rest);
}
END_TEST

START_TEST(several_caches_do_not_know_of_each_other)
{
    struct rig rigs[5];
    char key[32];
    for (unsigned i = 0; i < 5; i++) {
        struct cache_options options = rig_options((1 + 3 * (uint64_t)i) * RIG_MB);
        options.hash_seed = i * 12345;
        options.cas_disabled = i % 2 == 1;
        options.now = RIG_NOW + (int64_t)i * 1000000;
        rig_open(&rigs[i], &options);
    }
    for (unsigned n = 0; n < 1000; n++) {
        for (unsigned i = 0; i < 5; i++) {
            ck_assert_int_eq(rig_set_filled(&rigs[i], rig_key(key, "n", n), 100 + i, n * 5 + i),
                             CACHE_OK);
        }
    }
    cache_flush(rigs[2].cache, 0);
    for (unsigned n = 0; n < 1000; n++) {
        for (unsigned i = 0; i < 5; i++) {
            ck_assert_int_eq(rig_holds_filled(&rigs[i], rig_key(key, "n", n), 100 + i, n * 5 + i),
                             i != 2);
        }
    }
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_int_eq(cache_now(rigs[i].cache), RIG_NOW + (int64_t)i * 1000000);
        rig_close(&rigs[i]);
    }
}
END_TEST

START_TEST(threads_end_at_their_bound_and_are_used_again)
{
    static struct cache_thread *threads[CACHE_THREADS_MAX];
    for (unsigned i = 1; i < CACHE_THREADS_MAX; i++) { /* the rig has one */
        threads[i] = cache_thread_open(rig.cache);
        ck_assert_ptr_nonnull(threads[i]);
    }
    ck_assert_ptr_null(cache_thread_open(rig.cache));
    cache_thread_close(rig.cache, threads[500]);
    ck_assert_ptr_eq(cache_thread_open(rig.cache), threads[500]);
    for (unsigned i = 1; i < CACHE_THREADS_MAX; i++) {
        cache_thread_close(rig.cache, threads[i]);
    }
}
END_TEST

/* -- set, all at once -------------------------------------------------------------------------- */

static enum cache_result
set_whole(const char *key, const char *value, uint32_t flags, int64_t expires_at, uint64_t *cas)
{
    return cache_set(rig.cache, rig.thread, key, (uint32_t)strlen(key), value,
                     (uint32_t)strlen(value), flags, expires_at, cas);
}

START_TEST(a_set_over_an_item_of_its_size_takes_no_memory)
{
    uint64_t first = 0;
    uint64_t second = 0;
    ck_assert_int_eq(set_whole("key", "one", 0, RIG_NOW + 100, &first), CACHE_OK);
    uint64_t ref = rig_peek(&rig, "key").read.ref;
    ck_assert_int_eq(set_whole("key", "two!", 0, CACHE_NEVER, &second), CACHE_OK);
    struct got got = rig_peek(&rig, "key");
    ck_assert_uint_eq(got.read.ref, ref);
    ck_assert_uint_eq(got.read.value_len, 4);
    ck_assert(memcmp(rig.buf, "two!", 4) == 0);
    ck_assert_uint_eq(got.read.cas, second);
    ck_assert_uint_gt(second, first);
    ck_assert_int_eq(got.read.expires_at, CACHE_NEVER);
    const struct cache_stats *stats = rig_stats(&rig);
    ck_assert_uint_eq(stats->items, 1);
    ck_assert_uint_eq(stats->items_total, 2);
}
END_TEST

START_TEST(a_set_over_an_item_forgets_what_it_was)
{
    uint64_t cas;
    struct cache_invalidation mark = { .stale = true };
    ck_assert_int_eq(set_whole("key", "one", 5, CACHE_NEVER, &cas), CACHE_OK);
    ck_assert(rig_get(&rig, "key").result == CACHE_OK);
    ck_assert_int_eq(cache_invalidate(rig.cache, rig.thread, "key", 3, &mark), CACHE_OK);
    ck_assert_int_eq(set_whole("key", "two", 6, CACHE_NEVER, &cas), CACHE_OK);
    struct got got = rig_peek(&rig, "key");
    ck_assert_uint_eq(got.read.client_flags, 6);
    ck_assert(!got.read.stale && !got.read.claimed && !got.read.fetched && !got.read.binary_key);
}
END_TEST

START_TEST(a_set_that_does_not_fit_the_old_place_gets_another)
{
    static const char *const values[] = { "", "0123456789012345678901234567890123456789", "x",
                                          "y" };
    static const uint32_t flags[] = { 0, 0, 7, 0 };
    uint64_t cas;
    ck_assert_int_eq(set_whole("key", "one", 0, CACHE_NEVER, &cas), CACHE_OK);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(set_whole("key", values[i], flags[i], CACHE_NEVER, &cas), CACHE_OK);
        struct got got = rig_peek(&rig, "key");
        ck_assert_uint_eq(got.read.value_len, strlen(values[i]));
        ck_assert(memcmp(rig.buf, values[i], strlen(values[i])) == 0);
        ck_assert_uint_eq(got.read.client_flags, flags[i]);
        ck_assert_uint_eq(rig_stats(&rig)->items, 1);
    }
}
END_TEST

START_TEST(a_set_over_a_dead_item_stores_a_new_one)
{
    uint64_t cas;
    ck_assert_int_eq(set_whole("key", "one", 0, RIG_NOW + 1, &cas), CACHE_OK);
    cache_set_now(rig.cache, RIG_NOW + 2);
    ck_assert_int_eq(set_whole("key", "two", 0, CACHE_NEVER, &cas), CACHE_OK);
    ck_assert_int_eq(rig_peek(&rig, "key").result, CACHE_OK);
}
END_TEST

START_TEST(a_set_over_a_long_item_stores_a_new_one)
{
    uint64_t cas;
    struct cache_options options = rig_options(16 * RIG_MB);
    struct rig roomy;
    rig_open(&roomy, &options);
    ck_assert_int_eq(rig_set_filled(&roomy, "key", 100000, 1), CACHE_OK);
    ck_assert_int_eq(
        cache_set(roomy.cache, roomy.thread, "key", 3, "three", 5, 0, CACHE_NEVER, &cas), CACHE_OK);
    ck_assert_uint_eq(rig_peek(&roomy, "key").read.value_len, 5);
    rig_fill(roomy.buf, 100000, 2);
    ck_assert_int_eq(
        cache_set(roomy.cache, roomy.thread, "key", 3, roomy.buf, 100000, 0, CACHE_NEVER, &cas),
        CACHE_OK);
    ck_assert(rig_holds_filled(&roomy, "key", 100000, 2));
    ck_assert_int_eq(
        cache_set(roomy.cache, roomy.thread, "key", 3, roomy.buf, 3 << 20, 0, CACHE_NEVER, &cas),
        CACHE_TOO_LARGE);
    rig_close(&roomy);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("store");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, add_stores_what_is_not_there_and_replace_what_is);
    tcase_add_test(tcase, cas_stores_over_the_id_that_it_names_alone);
    tcase_add_test(tcase, an_item_gets_the_id_that_its_store_names);
    tcase_add_test(tcase, a_late_store_keeps_the_expiry_and_is_stale);
    tcase_add_test(tcase, a_late_store_keeps_the_claim);
    tcase_add_loop_test(tcase, append_and_prepend_create_where_they_may, 0, 2);
    tcase_add_test(tcase, an_item_may_count_as_read_from_the_start);
    tcase_add_test(tcase, append_and_prepend_keep_flags_and_expiry);
    tcase_add_test(tcase, append_and_prepend_grow_an_item_over_every_class);
    tcase_add_test(tcase, an_item_may_be_as_large_as_the_option_says_and_no_larger);
    tcase_add_test(tcase, a_length_that_no_memory_has_is_too_large);
    tcase_add_test(tcase, what_keeps_contents_is_flushed_with_them);
    tcase_add_test(tcase, a_key_may_be_as_long_as_250_bytes);
    tcase_add_test_raise_signal(tcase, a_longer_key_is_our_mistake, SIGABRT);
    tcase_add_test_raise_signal(tcase, an_empty_key_is_our_mistake, SIGABRT);
    tcase_add_test_raise_signal(tcase, committing_half_a_value_is_our_mistake, SIGABRT);
    tcase_add_test(tcase, nobody_sees_a_store_before_its_commit);
    tcase_add_test(tcase, cas_ids_are_unique_and_grow);
    tcase_add_test(tcase, an_item_that_leaves_for_want_of_an_index_slot_counts_as_evicted);
    tcase_add_test(tcase, several_caches_do_not_know_of_each_other);
    tcase_add_test(tcase, threads_end_at_their_bound_and_are_used_again);
    tcase_add_test(tcase, a_set_over_an_item_of_its_size_takes_no_memory);
    tcase_add_test(tcase, a_set_over_an_item_forgets_what_it_was);
    tcase_add_test(tcase, a_set_that_does_not_fit_the_old_place_gets_another);
    tcase_add_test(tcase, a_set_over_a_dead_item_stores_a_new_one);
    tcase_add_test(tcase, a_set_over_a_long_item_stores_a_new_one);
    return rig_run("engine/store", tcase);
}
