/* What settings say arrives in the engine. */
#include "config.h"

#include "admin/tune.h"

#include "engine/cache_priv.h"

#include <check.h>
#include <stdlib.h>

static struct cache *cache;
static struct settings settings;

static void
setup(void)
{
    struct cache_options options = {
        .memory_limit = 4u << 20, .item_size_max = 1u << 20, .hash_seed = 1, .now = 1700000000
    };
    cache = cache_create(&options);
    ck_assert_ptr_nonnull(cache);
    settings_init(&settings);
}

static void
teardown(void)
{
    cache_destroy(cache);
}

static uint32_t
mode(void)
{
    return atomic_load_explicit(&cache->mover.mode, memory_order_relaxed); /* one thread */
}

static uint32_t
thousandths(void)
{
    return atomic_load_explicit(&cache->mover.thousandths, memory_order_relaxed); /* one thread */
}

START_TEST(defaults_are_what_the_engine_has_by_itself)
{
    ck_assert_uint_eq(mode(), CACHE_MOVER_NORMAL);
    ck_assert_uint_eq(thousandths(), 800);
    tune_apply(&settings, cache);
    ck_assert_uint_eq(mode(), CACHE_MOVER_NORMAL);
    ck_assert_uint_eq(thousandths(), 800);
    /* relaxed: one thread */
    ck_assert(!atomic_load_explicit(&cache->sweeper.disabled, memory_order_relaxed));
    ck_assert_uint_eq(atomic_load_explicit(&cache->sweeper.class_chunks_max, memory_order_relaxed),
                      0);
}
END_TEST

START_TEST(the_mover_follows_automove_and_reassign)
{
    settings_set(&settings, slab_automove, 2);
    tune_apply(&settings, cache);
    ck_assert_uint_eq(mode(), CACHE_MOVER_EAGER);
    settings_set(&settings, slab_automove, 0);
    tune_apply(&settings, cache);
    ck_assert_uint_eq(mode(), CACHE_MOVER_OFF);
    settings_set(&settings, slab_automove, 1);
    settings.slab_reassign = false;
    tune_apply(&settings, cache);
    ck_assert_uint_eq(mode(), CACHE_MOVER_OFF);
}
END_TEST

static const struct {
    double ratio;
    uint32_t thousandths;
} ratios[] = { { 0.5, 500 }, { 1, 1000 },    { 7, 1000 }, { 0.999, 999 },
               { 0, 1 },     { 0.00001, 1 }, { -3, 1 },   { 1e300, 1000 } };

START_TEST(any_ratio_becomes_a_part_of_one)
{
    settings_set(&settings, slab_automove_ratio, ratios[_i].ratio);
    tune_apply(&settings, cache);
    ck_assert_uint_eq(thousandths(), ratios[_i].thousandths);
}
END_TEST

START_TEST(the_sweep_follows_the_crawler)
{
    settings_set(&settings, lru_crawler, false);
    settings_set(&settings, lru_crawler_tocrawl, 77);
    tune_apply(&settings, cache);
    /* relaxed: one thread */
    ck_assert(atomic_load_explicit(&cache->sweeper.disabled, memory_order_relaxed));
    ck_assert_uint_eq(atomic_load_explicit(&cache->sweeper.class_chunks_max, memory_order_relaxed),
                      77);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tune");
    TCase *tcase = tcase_create("tune");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, defaults_are_what_the_engine_has_by_itself);
    tcase_add_test(tcase, the_mover_follows_automove_and_reassign);
    tcase_add_loop_test(tcase, any_ratio_becomes_a_part_of_one, 0,
                        sizeof(ratios) / sizeof(ratios[0]));
    tcase_add_test(tcase, the_sweep_follows_the_crawler);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
