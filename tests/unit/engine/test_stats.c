/* The figures, their reset, and the visit of a class's items. */
#include "unit/engine/rig.h"

#include <pthread.h>

static struct rig rig;
static char key[32];

static void
set_up(void)
{
    struct cache_options options = rig_options(1 * RIG_MB);
    rig_open(&rig, &options);
}

static void
tear_down(void)
{
    rig_close(&rig);
}

START_TEST(levels_follow_what_is_stored_and_deleted)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < 100; i++) {
        rig_key(key, "n", i);
        ck_assert_int_eq(rig_set_filled(&rig, key, i * 10, i), CACHE_OK);
        bytes += 20 + strlen(key) + i * 10;
        const struct cache_stats *stats = rig_stats(&rig);
        ck_assert_uint_eq(stats->items, i + 1);
        ck_assert_uint_eq(stats->bytes, bytes);
        ck_assert_uint_eq(stats->items_total, i + 1);
        ck_assert_uint_eq(stats->sum.set_cmds, i + 1);
        ck_assert_uint_eq(stats->sum.used_chunks, i + 1);
    }
    for (unsigned i = 0; i < 100; i++) {
        rig_key(key, "n", i);
        ck_assert_int_eq(rig_delete(&rig, key), CACHE_OK);
        bytes -= 20 + strlen(key) + i * 10;
        ck_assert_uint_eq(rig_stats(&rig)->bytes, bytes);
        ck_assert_uint_eq(rig_stats(&rig)->items, 99 - i);
    }
    ck_assert_uint_eq(rig_stats(&rig)->sum.delete_hits, 100);
}
END_TEST

START_TEST(the_sums_are_those_of_the_classes)
{
    for (unsigned i = 0; i < 3000; i++) {
        ck_assert_int_eq(rig_set_filled(&rig, rig_key(key, "n", i), i, i), CACHE_OK);
        rig_get(&rig, rig_key(key, "n", i / 2));
    }
    const struct cache_stats *stats = rig_stats(&rig);
    uint64_t items = 0;
    uint64_t hits = 0;
    uint64_t evicted = 0;
    uint64_t pages = 0;
    for (unsigned id = 1; id <= stats->classes; id++) {
        const struct cache_class_stats *class = &stats->of_class[id];
        items += class->items;
        hits += class->get_hits;
        evicted += class->evicted;
        pages += class->pages;
        ck_assert_uint_ge(class->used_chunks, class->items);
        ck_assert_uint_le(class->items_small, class->items);
    }
    ck_assert_uint_eq(items, stats->items);
    ck_assert_uint_eq(hits, stats->sum.get_hits);
    ck_assert_uint_eq(evicted, stats->sum.evicted);
    ck_assert_uint_eq(pages * stats->page_size, stats->pages_bytes);
    ck_assert_uint_eq(hits + stats->get_misses, 3000);
    ck_assert_uint_eq(stats->items + evicted, 3000);
}
END_TEST

START_TEST(a_reset_sets_counters_back_and_leaves_levels)
{
    for (unsigned i = 0; i < 5000; i++) {
        ck_assert_int_eq(rig_set_filled(&rig, rig_key(key, "n", i), 500, i), CACHE_OK);
        rig_get(&rig, rig_key(key, "n", i + 1));
    }
    uint64_t items = rig_stats(&rig)->items;
    uint64_t used = rig_stats(&rig)->memory_used;
    for (unsigned round = 1; round <= 3; round++) {
        cache_stats_reset(rig.cache);
        const struct cache_stats *stats = rig_stats(&rig);
        ck_assert_uint_eq(stats->items, items);
        ck_assert_uint_eq(stats->memory_used, used);
        ck_assert_uint_eq(stats->get_misses, 0);
        ck_assert_uint_eq(stats->sum.evicted, 0);
        ck_assert_uint_eq(stats->sum.set_cmds, 0);
        ck_assert_uint_eq(stats->items_total, 0);
        for (unsigned i = 0; i < round; i++) {
            rig_get(&rig, "missing");
        }
        ck_assert_uint_eq(rig_stats(&rig)->get_misses, round);
    }
}
END_TEST

START_TEST(a_closed_threads_counters_stay_in_the_sums)
{
    struct cache_thread *other = cache_thread_open(rig.cache);
    struct cache_read read = { .key = "key", .key_len = 3 };
    cache_enter(other);
    ck_assert_int_eq(cache_find_one(rig.cache, other, &read), CACHE_MISS);
    cache_leave(other);
    cache_thread_close(rig.cache, other);
    ck_assert_uint_eq(rig_stats(&rig)->get_misses, 1);
    other = cache_thread_open(rig.cache);
    ck_assert_uint_eq(rig_stats(&rig)->get_misses, 1);
    cache_thread_close(rig.cache, other);
}
END_TEST

#define READS       3000u
#define NOT_A_COUNT (UINT64_MAX / 2)

static void *
miss_often(void *arg)
{
    const _Atomic bool *stop = arg;
    struct cache_thread *thread = cache_thread_open(rig.cache);
    while (!atomic_load_explicit(stop, memory_order_relaxed)) { /* relaxed: a switch */
        struct cache_read read = { .key = "key", .key_len = 3 };
        cache_enter(thread);
        (void)cache_find_one(rig.cache, thread, &read);
        cache_leave(thread);
    }
    cache_thread_close(rig.cache, thread);
    return NULL;
}

static void *
reset_often(void *arg)
{
    const _Atomic bool *stop = arg;
    while (!atomic_load_explicit(stop, memory_order_relaxed)) { /* relaxed: a switch */
        cache_stats_reset(rig.cache);
    }
    return NULL;
}

/* What was read before a reset, less what stood at the reset, is below 0. */
START_TEST(no_counter_is_told_as_less_than_nothing_while_others_reset)
{
    static _Atomic bool stop;
    static struct cache_stats stats;
    pthread_t threads[2];
    atomic_store_explicit(&stop, false, memory_order_relaxed); /* relaxed: no other thread yet */
    ck_assert_int_eq(pthread_create(&threads[0], NULL, miss_often, &stop), 0);
    ck_assert_int_eq(pthread_create(&threads[1], NULL, reset_often, &stop), 0);
    uint64_t most = 0;
    /* As often, and until the others have had a turn: else the test ends by its time limit. */
    for (unsigned i = 0; i < READS || most == 0; i++) {
        cache_stats_read(rig.cache, &stats);
        most = stats.get_misses > most ? stats.get_misses : most;
    }
    atomic_store_explicit(&stop, true, memory_order_relaxed); /* relaxed: joined below */
    ck_assert_int_eq(pthread_join(threads[0], NULL), 0);
    ck_assert_int_eq(pthread_join(threads[1], NULL), 0);
    ck_assert_uint_lt(most, NOT_A_COUNT);
}
END_TEST

struct visit {
    uint64_t count;
    uint64_t stop_at;
    bool seen[1000];
};

static bool
note_visit(void *arg, const struct cache_item_info *item)
{
    struct visit *visit = arg;
    char text[32];
    ck_assert_uint_lt(item->key_len, sizeof(text));
    memcpy(text, item->key, item->key_len);
    text[item->key_len] = '\0';
    unsigned number;
    ck_assert_int_eq(sscanf(text, "n:%u", &number), 1);
    ck_assert_uint_lt(number, 1000);
    ck_assert(!visit->seen[number]);
    visit->seen[number] = true;
    ck_assert_uint_eq(item->value_len, number % 3 == 0 ? 9000 : 50);
    ck_assert_uint_eq(item->item_size, 20 + item->key_len + item->value_len);
    ck_assert_int_eq(item->expires_at, number % 2 == 0 ? CACHE_NEVER : RIG_NOW + 10);
    return ++visit->count != visit->stop_at;
}

/** Visits all classes. */
static struct visit *
visit_all(uint64_t limit, uint64_t stop_at)
{
    static struct visit visit;
    visit = (struct visit){ .stop_at = stop_at };
    for (unsigned id = 1; id <= rig_stats(&rig)->classes; id++) {
        cache_visit_class(rig.cache, id, limit, note_visit, &visit);
    }
    return &visit;
}

START_TEST(a_visit_shows_each_living_item_once)
{
    for (unsigned i = 0; i < 60; i++) {
        size_t len = i % 3 == 0 ? 9000 : 50;
        rig_fill(rig.buf, len, i);
        ck_assert_int_eq(rig_store(&rig, CACHE_SET, rig_key(key, "n", i), rig.buf, len, 0,
                                   i % 2 == 0 ? CACHE_NEVER : RIG_NOW + 10, 0, NULL),
                         CACHE_OK);
    }
    struct cache_store open;
    ck_assert_int_eq(cache_store_begin(rig.cache, rig.thread, "open", 4, 50, 0, 0, &open),
                     CACHE_OK);
    ck_assert_uint_eq(visit_all(UINT64_MAX, 0)->count, 60);
    ck_assert_uint_eq(visit_all(0, 0)->count, 0);
    uint8_t classes[2] = { rig_peek(&rig, "n:0").read.class_id,
                           rig_peek(&rig, "n:1").read.class_id };
    ck_assert_uint_ne(classes[0], classes[1]);
    static struct visit visit;
    cache_visit_class(rig.cache, classes[0], 7, note_visit, &visit);
    ck_assert_uint_eq(visit.count, 7);
    visit = (struct visit){ .stop_at = 3 };
    cache_visit_class(rig.cache, classes[0], 7, note_visit, &visit);
    ck_assert_uint_eq(visit.count, 3);
    cache_set_now(rig.cache, RIG_NOW + 10);
    ck_assert_uint_eq(visit_all(UINT64_MAX, 0)->count, 30);
    cache_store_abort(rig.cache, rig.thread, &open);
}
END_TEST

START_TEST(what_is_evicted_is_told_apart)
{
    for (unsigned i = 0; i < 6000; i++) {
        rig_fill(rig.buf, 300, i);
        ck_assert_int_eq(rig_store(&rig, CACHE_SET, rig_key(key, "n", i), rig.buf, 300, 0,
                                   i % 2 == 0 ? 0 : RIG_NOW + 99, 0, NULL),
                         CACHE_OK);
    }
    const struct cache_stats *stats = rig_stats(&rig);
    ck_assert_uint_gt(stats->sum.evicted, 3000);
    ck_assert_uint_ge(stats->sum.evicted_nonzero, stats->sum.evicted / 2 - 1);
    ck_assert_uint_le(stats->sum.evicted_nonzero, stats->sum.evicted / 2 + 1);
    ck_assert_uint_eq(stats->sum.evicted_unfetched, stats->sum.evicted);
    ck_assert_uint_eq(stats->sum.evicted_active, 0);
    ck_assert_uint_eq(stats->sum.reclaimed + stats->sum.swept, 0);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("stats");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, levels_follow_what_is_stored_and_deleted);
    tcase_add_test(tcase, the_sums_are_those_of_the_classes);
    tcase_add_test(tcase, a_reset_sets_counters_back_and_leaves_levels);
    tcase_add_test(tcase, no_counter_is_told_as_less_than_nothing_while_others_reset);
    tcase_add_test(tcase, a_closed_threads_counters_stay_in_the_sums);
    tcase_add_test(tcase, a_visit_shows_each_living_item_once);
    tcase_add_test(tcase, what_is_evicted_is_told_apart);
    return rig_run("engine/stats", tcase);
}
