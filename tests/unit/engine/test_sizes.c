/* The counts by size are what the items are, whichever way they came and went. */
#include "unit/engine/rig.h"

static struct rig rig;
static char key[32];

struct sum {
    uint64_t items;
    uint64_t sizes;
    uint64_t last;
    uint64_t of_96;
};

static void
take(void *arg, uint64_t size, uint64_t items)
{
    struct sum *sum = arg;
    rig_must(size % CACHE_SIZE_STEP == 0 && size > sum->last && items > 0);
    sum->last = size;
    sum->sizes++;
    sum->items += items;
    sum->of_96 += size == 96 ? items : 0;
}

static struct sum
sum_up(void)
{
    struct sum sum = { 0 };
    ck_assert(cache_visit_sizes(rig.cache, take, &sum));
    return sum;
}

static void
set_up(void)
{
    struct cache_options options = rig_options(2 * RIG_MB);
    options.track_sizes = true;
    rig_open(&rig, &options);
}

static void
tear_down(void)
{
    rig_close(&rig);
}

START_TEST(items_are_counted_by_size)
{
    /* 20 bytes of header, a key of 1: a value of 43 makes 64, one more is of the next step. */
    ck_assert_int_eq(rig_set_filled(&rig, "a", 43, 1), CACHE_OK);
    ck_assert_uint_eq(sum_up().of_96, 0);
    ck_assert_uint_eq(sum_up().last, 64);
    ck_assert_int_eq(rig_set_filled(&rig, "b", 44, 1), CACHE_OK);
    ck_assert_int_eq(rig_set_filled(&rig, "c", 75, 1), CACHE_OK);
    ck_assert_uint_eq(sum_up().of_96, 2);
    ck_assert_int_eq(rig_delete(&rig, "b"), CACHE_OK);
    ck_assert_uint_eq(sum_up().of_96, 1);
    ck_assert_int_eq(rig_set_filled(&rig, "c", 1000, 1), CACHE_OK);
    ck_assert_uint_eq(sum_up().of_96, 0);
    ck_assert_uint_eq(sum_up().items, 2);
    ck_assert_int_eq(rig_set_filled(&rig, "a", 300000, 1), CACHE_OK);
    ck_assert_uint_eq(sum_up().last, (300021 + 31) / 32 * 32);
}
END_TEST

START_TEST(no_item_is_left_when_all_have_gone)
{
    for (unsigned i = 0; i < 20000; i++) { /* more than there is room for */
        ck_assert_int_eq(rig_set_filled(&rig, rig_key(key, "n", i % 9000), i % 700, i), CACHE_OK);
        if (i % 5 == 0) {
            (void)rig_store(&rig, CACHE_APPEND, key, "abcdefgh", 8, 0, 0, 0, NULL);
        }
        if (i % 7 == 0) {
            (void)rig_delete(&rig, key);
        }
    }
    ck_assert_uint_eq(sum_up().items, rig_stats(&rig)->items);
    ck_assert_uint_gt(sum_up().sizes, 10);
    cache_flush(rig.cache, RIG_NOW);
    rig_settle_long(&rig, 50);
    ck_assert_uint_eq(rig_stats(&rig)->items, 0);
    ck_assert_uint_eq(sum_up().items, 0);
}
END_TEST

START_TEST(without_the_option_there_are_no_counts)
{
    rig_close(&rig);
    struct cache_options options = rig_options(2 * RIG_MB);
    rig_open(&rig, &options);
    struct sum sum = { 0 };
    ck_assert_int_eq(rig_set(&rig, "a", "b"), CACHE_OK);
    ck_assert(!cache_visit_sizes(rig.cache, take, &sum));
    ck_assert_uint_eq(sum.items, 0);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("sizes");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, items_are_counted_by_size);
    tcase_add_test(tcase, no_item_is_left_when_all_have_gone);
    tcase_add_test(tcase, without_the_option_there_are_no_counts);
    return rig_run("engine/sizes", tcase);
}
