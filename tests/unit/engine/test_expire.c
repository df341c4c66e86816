/* What goes for age: expiry, flushes, and the sweep that takes their memory back. */
#include "unit/engine/rig.h"

#include <pthread.h>

static struct rig rig;
static char key[32];

static void
set_up(void)
{
    struct cache_options options = rig_options(4 * RIG_MB);
    rig_open(&rig, &options);
}

static void
tear_down(void)
{
    rig_close(&rig);
}

static enum cache_result
set_until(const char *text, size_t len, int64_t expires_at)
{
    rig_fill(rig.buf, len, 1);
    return rig_store(&rig, CACHE_SET, text, rig.buf, len, 0, expires_at, 0, NULL);
}

static bool
is_there(const char *text)
{
    return rig_peek(&rig, text).result == CACHE_OK;
}

START_TEST(an_item_is_a_miss_from_its_second_on)
{
    ck_assert_int_eq(set_until("key", 10, RIG_NOW + 5), CACHE_OK);
    ck_assert_int_eq(rig_get(&rig, "key").read.expires_at, RIG_NOW + 5);
    cache_set_now(rig.cache, RIG_NOW + 4);
    ck_assert(is_there("key"));
    cache_set_now(rig.cache, RIG_NOW + 5);
    ck_assert(!is_there("key"));
    const struct cache_stats *stats = rig_stats(&rig);
    ck_assert_uint_eq(stats->get_misses, 1);
    ck_assert_uint_eq(stats->get_expired, 1);
    ck_assert_uint_eq(stats->items, 0); /* a reader that finds it dead takes it out */
}
END_TEST

static const int64_t pasts[] = { RIG_NOW, RIG_NOW - 1, RIG_NOW - 100000, 1, -1, INT64_MIN };

START_TEST(a_time_not_after_now_makes_an_item_that_is_a_miss_at_once)
{
    ck_assert_int_eq(rig_set(&rig, "key", "value"), CACHE_OK);
    ck_assert_int_eq(set_until("key", 10, pasts[_i]), CACHE_OK);
    ck_assert(!is_there("key"));
    ck_assert_int_eq(rig_set(&rig, "key", "value"), CACHE_OK);
    ck_assert_int_eq(cache_touch(rig.cache, rig.thread, "key", 3, pasts[_i]), CACHE_OK);
    ck_assert(!is_there("key"));
}
END_TEST

START_TEST(a_time_beyond_the_clock_is_kept_as_late_as_can_be)
{
    ck_assert_int_eq(set_until("key", 10, INT64_MAX), CACHE_OK);
    struct got got = rig_peek(&rig, "key");
    ck_assert_int_eq(got.result, CACHE_OK);
    ck_assert_int_gt(got.read.expires_at, RIG_NOW + 4000000000);
}
END_TEST

START_TEST(the_clock_does_not_go_back)
{
    cache_set_now(rig.cache, RIG_NOW + 10);
    cache_set_now(rig.cache, RIG_NOW + 5);
    ck_assert_int_eq(cache_now(rig.cache), RIG_NOW + 10);
}
END_TEST

/** Fills about half the memory: short and long items, all expiring at once. */
static unsigned
fill_half(int64_t expires_at)
{
    unsigned number = 0;
    while (rig_stats(&rig)->bytes < 2 * RIG_MB) {
        size_t len = number % 50 == 0 ? 30000 : 100 + number % 1000;
        ck_assert_int_eq(set_until(rig_key(key, "n", number++), len, expires_at), CACHE_OK);
    }
    return number;
}

START_TEST(maintaining_alone_brings_the_memory_of_expired_items_back)
{
    unsigned count = fill_half(RIG_NOW + 10);
    rig_settle_long(&rig, 200);
    ck_assert_uint_eq(rig_stats(&rig)->items, count);
    cache_set_now(rig.cache, RIG_NOW + 10);
    rig_settle_long(&rig, 200);
    cache_check(rig.cache);
    const struct cache_stats *stats = rig_stats(&rig);
    ck_assert_uint_eq(stats->items, 0);
    ck_assert_uint_eq(stats->bytes, 0);
    ck_assert_uint_eq(stats->sum.used_chunks, 0);
    ck_assert_uint_eq(stats->sum.swept, count);
    ck_assert_uint_eq(stats->sum.expired_unfetched, count);
    ck_assert_uint_eq(stats->sum.evicted, 0);
    /* At most a page or two stay with each class: the others are for whoever needs them. */
    ck_assert_uint_gt(stats->pages_free * stats->page_size, RIG_MB);
}
END_TEST

START_TEST(a_flush_brings_all_memory_back)
{
    unsigned count = fill_half(CACHE_NEVER);
    cache_flush(rig.cache, 0);
    ck_assert(!is_there(rig_key(key, "n", 0)));
    ck_assert_uint_eq(rig_stats(&rig)->get_flushed, 1);
    rig_settle_long(&rig, 200);
    cache_check(rig.cache);
    ck_assert_uint_eq(rig_stats(&rig)->items, 0);
    ck_assert_uint_eq(rig_stats(&rig)->sum.used_chunks, 0);
    ck_assert_uint_eq(rig_stats(&rig)->sum.swept, count - 1);
}
END_TEST

START_TEST(expired_items_go_before_living_ones)
{
    /* Few enough pages that a store looks at all of them. */
    struct rig other;
    struct cache_options options = rig_options(1 * RIG_MB);
    rig_open(&other, &options);
    memset(other.buf, 'x', 4000);
    unsigned count = 0;
    for (; rig_stats(&other)->sum.evicted == 0; count++) {
        int64_t expires_at = count % 2 == 0 ? RIG_NOW + 10 : CACHE_NEVER;
        ck_assert_int_eq(rig_store(&other, CACHE_SET, rig_key(key, "n", count), other.buf, 3900, 0,
                                   expires_at, 0, NULL),
                         CACHE_OK);
    }
    cache_set_now(other.cache, RIG_NOW + 10);
    uint64_t evicted = rig_stats(&other)->sum.evicted;
    for (unsigned i = 0; i < count / 2 - 8; i++) {
        ck_assert_int_eq(
            rig_store(&other, CACHE_SET, rig_key(key, "m", i), other.buf, 3900, 0, 0, 0, NULL),
            CACHE_OK);
    }
    const struct cache_stats *stats = rig_stats(&other);
    ck_assert_uint_ge(stats->sum.reclaimed, count / 2 - 10);
    ck_assert_uint_le(stats->sum.evicted - evicted, count / 20);
    rig_close(&other);
}
END_TEST

START_TEST(what_is_stored_after_a_flush_lives)
{
    ck_assert_int_eq(rig_set(&rig, "before", "1"), CACHE_OK);
    cache_flush(rig.cache, RIG_NOW);
    ck_assert_int_eq(rig_set(&rig, "after", "2"), CACHE_OK);
    ck_assert(!is_there("before"));
    ck_assert(is_there("after"));
    ck_assert_int_eq(rig_store(&rig, CACHE_REPLACE, "before", "x", 1, 0, 0, 0, NULL),
                     CACHE_NOT_STORED);
    ck_assert_int_eq(rig_store(&rig, CACHE_ADD, "after", "x", 1, 0, 0, 0, NULL), CACHE_NOT_STORED);
}
END_TEST

START_TEST(a_store_that_a_flush_passes_over_lives_when_it_is_committed)
{
    struct cache_store store;
    ck_assert_int_eq(cache_store_begin(rig.cache, rig.thread, "key", 3, 2, 0, 0, &store), CACHE_OK);
    cache_flush(rig.cache, 0);
    ck_assert_int_eq(cache_store_write(rig.cache, rig.thread, &store, "ab", 2), CACHE_OK);
    ck_assert_int_eq(cache_store_commit(rig.cache, rig.thread, &store, CACHE_SET, 0, NULL),
                     CACHE_OK);
    ck_assert(is_there("key"));
}
END_TEST

START_TEST(a_flush_to_come_waits_for_its_second)
{
    ck_assert_int_eq(rig_set(&rig, "key", "1"), CACHE_OK);
    cache_flush(rig.cache, RIG_NOW + 10);
    cache_set_now(rig.cache, RIG_NOW + 9);
    ck_assert(is_there("key"));
    ck_assert_int_eq(rig_set(&rig, "late", "1"), CACHE_OK);
    cache_set_now(rig.cache, RIG_NOW + 10);
    ck_assert(!is_there("key"));
    ck_assert(!is_there("late"));
    ck_assert_int_eq(rig_set(&rig, "key", "1"), CACHE_OK);
    cache_set_now(rig.cache, RIG_NOW + 11);
    ck_assert(is_there("key"));
}
END_TEST

START_TEST(a_later_flush_replaces_one_that_is_still_to_come)
{
    ck_assert_int_eq(rig_set(&rig, "key", "1"), CACHE_OK);
    cache_flush(rig.cache, RIG_NOW + 10);
    cache_flush(rig.cache, RIG_NOW + 20);
    cache_set_now(rig.cache, RIG_NOW + 15);
    ck_assert(is_there("key"));
    cache_set_now(rig.cache, RIG_NOW + 20);
    ck_assert(!is_there("key"));
    cache_flush(rig.cache, RIG_NOW + 30);
    cache_flush(rig.cache, 0);
    ck_assert_int_eq(rig_set(&rig, "key", "1"), CACHE_OK);
    cache_set_now(rig.cache, RIG_NOW + 40);
    ck_assert(is_there("key"));
}
END_TEST

/* Items carry the number of flushes modulo 16: nothing of an old one may come alive again. */
START_TEST(more_flushes_than_generations_bring_nothing_back)
{
    for (unsigned flushes = 0; flushes < 5 * ITEM_GENERATIONS; flushes++) {
        for (unsigned i = 0; i < 300; i++) {
            rig_key(key, "f", flushes * 1000 + i);
            ck_assert_int_eq(set_until(key, 1000, CACHE_NEVER), CACHE_OK);
        }
        cache_flush(rig.cache, 0);
        if (_i == 1) {
            cache_maintain(rig.cache, rig.thread);
        } else if (_i == 2) {
            rig_settle(&rig);
        }
        for (unsigned before = 0; before <= flushes; before++) {
            for (unsigned i = 0; i < 300; i += 37) {
                ck_assert(!is_there(rig_key(key, "f", before * 1000 + i)));
            }
        }
        cache_check(rig.cache);
    }
}
END_TEST

#define FLUSHERS      4u
#define FLUSHES_EACH  5000u
#define UNSWEPT_LIMIT (ITEM_GENERATIONS - 2u)

static void *
flush_often(void *arg)
{
    struct cache *cache = arg;
    uintptr_t most = 0;
    for (unsigned i = 0; i < FLUSHES_EACH; i++) {
        cache_flush(cache, 0);
        /* In this order, as both only grow.  relaxed: numbers */
        uint32_t generation = cache_generation(cache);
        uint32_t swept = atomic_load_explicit(&cache->generation_swept, memory_order_relaxed);
        uint32_t unswept = generation - swept;
        most = unswept > most && unswept < UINT32_MAX / 2 ? unswept : most;
    }
    return (void *)most;
}

/* Each used to count the generations by itself: sixteen of them later an item is alive again. */
START_TEST(flushes_at_once_leave_no_more_generations_unswept_than_one_by_one)
{
    pthread_t threads[FLUSHERS];
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_int_eq(set_until(rig_key(key, "n", i), 1000, CACHE_NEVER), CACHE_OK);
    }
    for (unsigned i = 0; i < FLUSHERS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, flush_often, rig.cache), 0);
    }
    for (unsigned i = 0; i < FLUSHERS; i++) {
        void *most;
        ck_assert_int_eq(pthread_join(threads[i], &most), 0);
        ck_assert_uint_gt((uintptr_t)most, 1);
        ck_assert_uint_le((uintptr_t)most, UNSWEPT_LIMIT);
    }
    ck_assert_uint_eq(cache_generation(rig.cache), FLUSHERS * FLUSHES_EACH);
    ck_assert_uint_eq(rig_stats(&rig)->items, 0);
}
END_TEST

/* The sweep gives empty pages away, and the last page of the class takes the place: it was passed
 * over. */
START_TEST(a_round_of_the_sweep_passes_no_page_over)
{
    for (unsigned i = 0; i < 2000; i++) {
        ck_assert_int_eq(set_until(rig_key(key, "n", i), 1000, CACHE_NEVER), CACHE_OK);
    }
    rig_settle(&rig);
    cache_flush(rig.cache, 0);
    rig.cache->sweeper.generation = cache_generation(rig.cache); /* as if a round began just now */
    uint32_t swept = 0;
    do {
        cache_maintain(rig.cache, rig.thread);
        swept = atomic_load_explicit(&rig.cache->generation_swept,
                                     memory_order_relaxed); /* relaxed: one thread */
    } while (swept != cache_generation(rig.cache));
    ck_assert_uint_eq(rig_stats(&rig)->items, 0);
}
END_TEST

START_TEST(the_sweep_ends_when_there_is_nothing_to_do)
{
    fill_half(CACHE_NEVER);
    rig_settle(&rig);
    rig_settle(&rig);
    uint64_t checked = rig_stats(&rig)->chunks_checked;
    rig_settle_long(&rig, 100);
    ck_assert_uint_eq(rig_stats(&rig)->chunks_checked, checked);
}
END_TEST

START_TEST(a_pinned_item_that_expires_is_readable_until_it_is_unpinned)
{
    ck_assert_int_eq(set_until("key", 50000, RIG_NOW + 1), CACHE_OK);
    struct cache_read read = { .key = "key", .key_len = 3 };
    cache_enter(rig.thread);
    ck_assert_int_eq(cache_find_one(rig.cache, rig.thread, &read), CACHE_OK);
    ck_assert(cache_hit(rig.cache, rig.thread, &read));
    cache_leave(rig.thread);
    ck_assert_ptr_nonnull(read.pin);
    cache_set_now(rig.cache, RIG_NOW + 1);
    rig_settle(&rig);
    ck_assert(!is_there("key"));
    ck_assert_uint_gt(rig_stats(&rig)->sum.used_chunks, 0);
    rig_copy_pin(&rig, read.pin, 50000, rig.buf);
    ck_assert(rig_is_filled(rig.buf, 50000, 1));
    cache_unpin(rig.cache, rig.thread, &read.pin);
    ck_assert_uint_eq(rig_stats(&rig)->sum.used_chunks, 0);
}
END_TEST

/** Stores items of two sizes that expire in a second. */
static void
store_mortal(unsigned count)
{
    char name[32];
    for (unsigned i = 0; i < count; i++) {
        rig_fill(rig.buf, 400, i);
        rig_must(rig_store(&rig, CACHE_SET, rig_key(name, "long", i), rig.buf, 400, 0, RIG_NOW + 1,
                           0, NULL) == CACHE_OK);
        rig_must(rig_store(&rig, CACHE_SET, rig_key(name, "short", i), "v", 1, 0, RIG_NOW + 1, 0,
                           NULL) == CACHE_OK);
    }
}

START_TEST(a_sweep_on_request_is_of_its_classes)
{
    cache_set_sweep(rig.cache, false, 0);
    store_mortal(200);
    uint8_t class_id = rig_peek(&rig, "long:0").read.class_id;
    cache_set_now(rig.cache, RIG_NOW + 1);
    rig_settle_long(&rig, 10);
    ck_assert_uint_eq(rig_stats(&rig)->items, 400); /* it is switched off */
    ck_assert_uint_eq(rig_stats(&rig)->sweeps, 0);

    struct cache_class_set classes = { { 0 } };
    cache_class_set_add(&classes, class_id);
    ck_assert(cache_sweep_now(rig.cache, &classes));
    ck_assert(rig_stats(&rig)->sweeping);
    ck_assert(!cache_sweep_now(rig.cache, &classes)); /* one at a time */
    rig_settle(&rig);
    ck_assert(!rig_stats(&rig)->sweeping);
    ck_assert_uint_eq(rig_stats(&rig)->items, 200);
    ck_assert_uint_eq(rig_stats(&rig)->of_class[class_id].items, 0);
    ck_assert_uint_eq(rig_stats(&rig)->sum.swept, 200);
    ck_assert_uint_ge(rig_stats(&rig)->chunks_checked, 200);
    ck_assert_uint_eq(rig_stats(&rig)->sweeps, 1);

    ck_assert(!is_there("short:0")); /* a miss all the same, and gone with it */
    ck_assert_uint_eq(rig_stats(&rig)->items, 199);
    cache_set_sweep(rig.cache, true, 0);
    rig_settle_long(&rig, 10);
    ck_assert_uint_eq(rig_stats(&rig)->items, 0);
    ck_assert_uint_gt(rig_stats(&rig)->sweeps, 1);
}
END_TEST

START_TEST(a_bounded_round_leaves_the_rest_to_the_next)
{
    cache_set_sweep(rig.cache, false, 1); /* one page of each class, then */
    store_mortal(3000);
    cache_set_now(rig.cache, RIG_NOW + 1);
    struct cache_class_set classes = { { UINT64_MAX, UINT64_MAX } };
    unsigned rounds = 0;
    for (; rig_stats(&rig)->items > 0; rounds++) {
        ck_assert_uint_lt(rounds, 200);
        ck_assert(cache_sweep_now(rig.cache, &classes));
        rig_settle(&rig);
    }
    ck_assert_uint_gt(rounds, 3);
}
END_TEST

START_TEST(a_bounded_round_does_not_say_that_all_was_swept)
{
    cache_set_sweep(rig.cache, true, 1);
    char name[32];
    for (unsigned flushes = 0; flushes < 40; flushes++) {
        for (unsigned i = 0; i < 3000; i++) {
            rig_must(rig_set(&rig, rig_key(name, "k", i), "v") == CACHE_OK);
        }
        cache_flush(rig.cache, RIG_NOW);
        cache_maintain(rig.cache, rig.thread);
        rig_must(!is_there("k:0") && !is_there("k:2999"));
    }
    rig_settle_long(&rig, 100);
    ck_assert_uint_eq(rig_stats(&rig)->items, 0);
}
END_TEST

START_TEST(a_sweep_that_is_off_goes_on_before_the_generations_run_out)
{
    cache_set_sweep(rig.cache, false, 0);
    char name[32];
    uint64_t most = 0;
    for (unsigned flush = 0; flush < 40; flush++) {
        for (unsigned i = 0; i < 100; i++) {
            rig_must(rig_set(&rig, rig_key(name, "k", flush * 100 + i), "v") == CACHE_OK);
        }
        cache_flush(rig.cache, RIG_NOW);
        rig_settle(&rig);
        most = rig_stats(&rig)->items > most ? rig_stats(&rig)->items : most;
        /* Nothing was left to the flush itself. */
        rig_must(cache_generation(rig.cache) -
                     atomic_load_explicit(&rig.cache->generation_swept, memory_order_relaxed) <=
                 ITEM_GENERATIONS / 2);
    }
    ck_assert_uint_ge(most, 500); /* otherwise it is off */
    ck_assert_uint_le(most, 100 * ITEM_GENERATIONS / 2);
}
END_TEST

/** A full cache gets new keys, every second one for two seconds, the others for ever. */
START_TEST(live_items_do_not_go_for_those_that_expire_soon)
{
    uint64_t stored = 0;
    while (rig_stats(&rig)->sum.evicted == 0) {
        rig_must(rig_set(&rig, rig_key(key, "k", stored++), "a value") == CACHE_OK);
    }
    uint64_t places = rig_stats(&rig)->items;
    /* A third of the cache in two seconds: the small queue alone holds no item so long. */
    uint64_t per_second = places / 6;
    uint64_t before = 0;
    uint64_t counted = 0;
    for (unsigned second = 1; second <= 20; second++) {
        cache_set_now(rig.cache, RIG_NOW + second);
        rig_settle(&rig);
        if (second == 5) { /* as many expire as are stored from here on */
            before = rig_stats(&rig)->sum.evicted;
            counted = 0;
        }
        for (uint64_t i = 0; i < per_second; i++, counted++) {
            int64_t expires_at = i % 2 ? RIG_NOW + second + 2 : CACHE_NEVER;
            rig_must(rig_store(&rig, CACHE_SET, rig_key(key, "k", stored++), "a value", 7, 0,
                               expires_at, 0, NULL) == CACHE_OK);
        }
    }
    /* Who knows all that comes evicts one for each that lives for ever. */
    uint64_t needed = counted / 2;
    uint64_t evicted = rig_stats(&rig)->sum.evicted - before;
    ck_assert_uint_le(evicted, needed + needed / 20);
    ck_assert_uint_ge(evicted, needed - needed / 20); /* the oracle holds no less */
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("expire");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, an_item_is_a_miss_from_its_second_on);
    tcase_add_loop_test(tcase, a_time_not_after_now_makes_an_item_that_is_a_miss_at_once, 0,
                        sizeof(pasts) / sizeof(pasts[0]));
    tcase_add_test(tcase, a_time_beyond_the_clock_is_kept_as_late_as_can_be);
    tcase_add_test(tcase, the_clock_does_not_go_back);
    tcase_add_test(tcase, maintaining_alone_brings_the_memory_of_expired_items_back);
    tcase_add_test(tcase, a_flush_brings_all_memory_back);
    tcase_add_test(tcase, expired_items_go_before_living_ones);
    tcase_add_test(tcase, what_is_stored_after_a_flush_lives);
    tcase_add_test(tcase, a_store_that_a_flush_passes_over_lives_when_it_is_committed);
    tcase_add_test(tcase, a_flush_to_come_waits_for_its_second);
    tcase_add_test(tcase, a_later_flush_replaces_one_that_is_still_to_come);
    tcase_add_loop_test(tcase, more_flushes_than_generations_bring_nothing_back, 0, 3);
    tcase_add_test(tcase, flushes_at_once_leave_no_more_generations_unswept_than_one_by_one);
    tcase_add_test(tcase, a_round_of_the_sweep_passes_no_page_over);
    tcase_add_test(tcase, the_sweep_ends_when_there_is_nothing_to_do);
    tcase_add_test(tcase, a_pinned_item_that_expires_is_readable_until_it_is_unpinned);
    tcase_add_test(tcase, a_sweep_on_request_is_of_its_classes);
    tcase_add_test(tcase, a_bounded_round_leaves_the_rest_to_the_next);
    tcase_add_test(tcase, a_bounded_round_does_not_say_that_all_was_swept);
    tcase_add_test(tcase, a_sweep_that_is_off_goes_on_before_the_generations_run_out);
    tcase_add_test(tcase, live_items_do_not_go_for_those_that_expire_soon);
    return rig_run("engine/expire", tcase);
}
