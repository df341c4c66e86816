/* The walk over all items: each once, whatever happens to the index and the pages meanwhile. */
#include "unit/engine/rig.h"

#define KEYS_MAX 30000u

static struct rig rig;
static char key[32];

/* What a walk has met: how often each "key:<number>", and how many items in all. */
struct seen {
    unsigned all;
    unsigned others;
    unsigned stop_after; /* 0 for never */
    uint8_t times[KEYS_MAX];
    struct cache_item_info last;
    char last_key[CACHE_KEY_MAX + 1];
};
static struct seen seen;

static void
set_up(void)
{
    struct cache_options options = rig_options(16 * RIG_MB);
    rig_open(&rig, &options);
    memset(&seen, 0, sizeof(seen));
}

static void
tear_down(void)
{
    rig_close(&rig);
}

static bool
see(void *arg, const struct cache_item_info *info)
{
    struct seen *to = arg;
    rig_must(info->key_len >= 1 && info->key_len <= CACHE_KEY_MAX);
    to->all++;
    to->last = *info;
    memcpy(to->last_key, info->key, info->key_len);
    to->last_key[info->key_len] = '\0';
    unsigned number;
    if (sscanf(to->last_key, "key:%u", &number) == 1 && number < KEYS_MAX) {
        to->times[number]++;
    } else {
        to->others++;
    }
    return to->all != to->stop_after;
}

static bool
scan(struct cache_scan *at, unsigned steps)
{
    cache_enter(rig.thread);
    bool more = cache_scan(rig.cache, rig.thread, at, see, &seen, steps);
    cache_leave(rig.thread);
    return more;
}

static void
scan_to_end(struct cache_scan *at)
{
    unsigned steps = 0;
    while (scan(at, 1)) {
        rig_must(steps++ < 1000000);
    }
    ck_assert_uint_eq(at->at, 0);
}

/** Stores key:<from> and so on. */
static void
store(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        rig_must(rig_set(&rig, rig_key(key, "key", i), "value") == CACHE_OK);
    }
}

static void
check_each_once(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        rig_must(seen.times[i] == 1);
    }
}

START_TEST(an_empty_cache_has_nothing_to_visit)
{
    struct cache_scan at = { 0 };
    scan_to_end(&at);
    ck_assert_uint_eq(seen.all, 0);
}
END_TEST

START_TEST(each_item_is_visited_once)
{
    store(0, 20000);
    struct cache_scan at = { 0 };
    scan_to_end(&at);
    ck_assert_uint_eq(seen.all, 20000);
    check_each_once(0, 20000);
}
END_TEST

START_TEST(growth_in_the_middle_neither_hides_nor_repeats_an_item)
{
    store(0, 1000);
    uint32_t before = table_count(&rig.cache->table);
    struct cache_scan at = { 0 };
    unsigned next = 1000;
    while (scan(&at, 3)) {
        unsigned more = next + 600 < KEYS_MAX ? next + 600 : KEYS_MAX;
        store(next, more);
        next = more;
    }
    ck_assert_uint_gt(table_count(&rig.cache->table), before * 8);
    check_each_once(0, 1000);
    for (unsigned i = 1000; i < next; i++) {
        rig_must(seen.times[i] <= 1);
    }
}
END_TEST

START_TEST(a_chain_longer_than_a_step_is_visited_in_parts)
{
    uint32_t bucket_max = rig.cache->table.bucket_max;
    rig.cache->table.bucket_max = table_count(&rig.cache->table); /* it cannot grow */
    store(0, 10000);
    ck_assert_uint_gt(10000 / table_count(&rig.cache->table), 2 * CACHE_SCAN_ITEMS);
    struct cache_scan at = { 0 };
    unsigned steps = 0;
    bool more = true;
    while (more) {
        unsigned before = seen.all;
        more = scan(&at, 1);
        rig_must(seen.all - before <= CACHE_SCAN_ITEMS);
        if (steps++ == 100) { /* the rest goes on in a table that splits the chains */
            rig.cache->table.bucket_max = bucket_max;
            store(10000, 10500);
        }
    }
    check_each_once(0, 10000);
    ck_assert_uint_gt(table_count(&rig.cache->table), 200);
}
END_TEST

START_TEST(a_place_in_a_finer_index_is_good_in_a_coarser_one)
{
    /* As a cursor that a client kept over a restart: the places are those of hashes. */
    store(0, 20000);
    struct cache_scan at = { 0 };
    (void)scan(&at, 777);
    unsigned first = seen.all;
    rig_close(&rig);
    struct cache_options options = rig_options(16 * RIG_MB);
    rig_open(&rig, &options);
    rig.cache->table.bucket_max = table_count(&rig.cache->table);
    store(0, 20000);
    scan_to_end(&at);
    check_each_once(0, 20000);
    ck_assert_uint_gt(first, 0);
}
END_TEST

START_TEST(items_on_pages_that_move_are_not_missed)
{
    store(0, 20000);
    for (unsigned i = 0; i < 20000; i += 2) { /* room to move to */
        rig_must(rig_delete(&rig, rig_key(key, "key", i)) == CACHE_OK);
    }
    struct cache_scan at = { 0 };
    while (scan(&at, 250)) {
        (void)cache_move_page(rig.cache, CACHE_MOVE_ANY, CACHE_MOVE_POOL);
        rig_settle(&rig);
    }
    ck_assert_uint_gt(rig_stats(&rig)->pages_moved, 2);
    ck_assert_uint_gt(rig_stats(&rig)->items_rescued, 1000);
    ck_assert_uint_eq(rig_stats(&rig)->sum.evicted, 0);
    for (unsigned i = 1; i < 20000; i += 2) {
        rig_must(seen.times[i] == 1);
    }
}
END_TEST

START_TEST(an_item_is_described_whole)
{
    uint64_t cas;
    cache_set_now(rig.cache, RIG_NOW + 10);
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "one", "12345", 5, 77, RIG_NOW + 500, 0, &cas),
                     CACHE_OK);
    cache_set_now(rig.cache, RIG_NOW + 30);
    struct cache_scan at = { 0 };
    scan_to_end(&at);
    ck_assert_str_eq(seen.last_key, "one");
    ck_assert_uint_eq(seen.last.key_len, 3);
    ck_assert_uint_eq(seen.last.value_len, 5);
    ck_assert_uint_eq(seen.last.item_size, 20 + 4 + 3 + 5);
    ck_assert_uint_eq(seen.last.client_flags, 77);
    ck_assert_uint_eq(seen.last.cas, cas);
    ck_assert_int_eq(seen.last.expires_at, RIG_NOW + 500);
    ck_assert_int_eq(seen.last.used_at, RIG_NOW + 10);
    ck_assert(!seen.last.fetched && !seen.last.binary_key);
    ck_assert_uint_eq(seen.last.class_id, rig_peek(&rig, "one").read.class_id);
    (void)rig_get(&rig, "one");
    scan_to_end(&at);
    ck_assert_int_eq(seen.last.used_at, RIG_NOW + 30);
    ck_assert(seen.last.fetched);
    ck_assert_uint_eq(seen.all, 2);
}
END_TEST

START_TEST(a_long_item_is_described_whole)
{
    ck_assert_int_eq(rig_set_filled(&rig, "long", 500000, 1), CACHE_OK);
    struct cache_scan at = { 0 };
    scan_to_end(&at);
    ck_assert_uint_eq(seen.all, 1);
    ck_assert_uint_eq(seen.last.value_len, 500000);
    ck_assert_uint_eq(seen.last.class_id, cache_classes(rig.cache));
}
END_TEST

START_TEST(the_dead_are_not_visited)
{
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "old", "1", 1, 0, RIG_NOW + 5, 0, NULL), CACHE_OK);
    store(0, 3);
    cache_set_now(rig.cache, RIG_NOW + 5);
    struct cache_scan at = { 0 };
    scan_to_end(&at);
    ck_assert_uint_eq(seen.all, 3);
    ck_assert_uint_eq(seen.others, 0);
    cache_flush(rig.cache, RIG_NOW + 5);
    store(7, 8);
    scan_to_end(&at);
    ck_assert_uint_eq(seen.all, 4);
    ck_assert_uint_eq(seen.times[7], 1);
}
END_TEST

START_TEST(a_visitor_that_wants_no_more_gets_no_more)
{
    store(0, 100);
    seen.stop_after = 5;
    struct cache_scan at = { 0 };
    ck_assert(!scan(&at, 1000));
    ck_assert_uint_eq(seen.all, 5);
}
END_TEST

START_TEST(a_call_takes_no_more_steps_than_it_may)
{
    store(0, 20000);
    struct cache_scan at = { 0 };
    ck_assert(scan(&at, 0));
    ck_assert_uint_eq(seen.all, 0);
    ck_assert(scan(&at, 4));
    ck_assert_uint_gt(seen.all, 0);
    ck_assert_uint_le(seen.all, 4 * CACHE_SCAN_ITEMS);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("scan");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, an_empty_cache_has_nothing_to_visit);
    tcase_add_test(tcase, each_item_is_visited_once);
    tcase_add_test(tcase, growth_in_the_middle_neither_hides_nor_repeats_an_item);
    tcase_add_test(tcase, a_chain_longer_than_a_step_is_visited_in_parts);
    tcase_add_test(tcase, a_place_in_a_finer_index_is_good_in_a_coarser_one);
    tcase_add_test(tcase, items_on_pages_that_move_are_not_missed);
    tcase_add_test(tcase, an_item_is_described_whole);
    tcase_add_test(tcase, a_long_item_is_described_whole);
    tcase_add_test(tcase, the_dead_are_not_visited);
    tcase_add_test(tcase, a_visitor_that_wants_no_more_gets_no_more);
    tcase_add_test(tcase, a_call_takes_no_more_steps_than_it_may);
    return rig_run("engine/scan", tcase);
}
