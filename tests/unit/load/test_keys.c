/* Distributions of keys: what the draws come to, against the formula of each. */
#include "config.h"

#include "bench/load/keys.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#define KEYS  1000u
#define DRAWS 100000u

static uint32_t counts[KEYS];

/** Draws by a distribution of `count` keys, each of which must be one. */
static void
draw_all(const char *text, uint64_t count)
{
    struct keys keys;
    struct keys_state state = { .random = 7 };
    ck_assert(keys_parse(&keys, text, count));
    for (unsigned i = 0; i < KEYS; i++) {
        counts[i] = 0;
    }
    unsigned beyond = 0; /* an assertion for each would take long */
    for (unsigned i = 0; i < DRAWS; i++) {
        uint64_t number = keys_draw(&keys, &state);
        beyond += number >= count;
        if (number < KEYS) {
            counts[number]++;
        }
    }
    ck_assert_uint_eq(beyond, 0);
}

/** Six standard deviations of a count: with a fixed seed this is no chance, but tells of errors. */
static void
expect_count(unsigned key, double probability)
{
    double mean = DRAWS * probability;
    ck_assert_double_eq_tol((double)counts[key], mean, 6.0 * sqrt(mean) + 1.0);
}

static const struct {
    const char *text;
    double exponent;
} zipfs[] = {
    { "zipf:0.5", 0.5 }, { "zipf:0.99", 0.99 }, { "zipf:1", 1.0 },
    { "zipf:1.2", 1.2 }, { "zipf:3", 3.0 },
};

START_TEST(zipf_draws_each_key_as_often_as_its_rank_says)
{
    draw_all(zipfs[_i].text, KEYS);
    double sum = 0.0;
    for (unsigned i = 0; i < KEYS; i++) {
        sum += pow(i + 1.0, -zipfs[_i].exponent);
    }
    for (unsigned i = 0; i < KEYS; i++) {
        expect_count(i, pow(i + 1.0, -zipfs[_i].exponent) / sum);
    }
}
END_TEST

START_TEST(zipf_over_many_keys_and_over_one)
{
    draw_all("zipf:0.99", 100000000000u);
    ck_assert_uint_gt(counts[0], counts[9]);
    draw_all("zipf:0.99", 1);
    ck_assert_uint_eq(counts[0], DRAWS);
}
END_TEST

START_TEST(uniform_draws_all_alike)
{
    draw_all("uniform", KEYS);
    for (unsigned i = 0; i < KEYS; i++) {
        expect_count(i, 1.0 / KEYS);
    }
}
END_TEST

START_TEST(gauss_is_a_bell_around_the_middle)
{
    draw_all("gauss:100", KEYS);
    for (unsigned i = 0; i < KEYS; i++) {
        double distance = ((double)i + 0.5 - KEYS / 2.0) / 100.0;
        expect_count(i, exp(-distance * distance / 2.0) / (100.0 * sqrt(2.0 * M_PI)));
    }
    draw_all("gauss", KEYS);
    ck_assert_uint_gt(counts[KEYS / 2], counts[KEYS / 4]);
}
END_TEST

START_TEST(sequential_begins_again_behind_the_last)
{
    struct keys keys;
    struct keys_state state = { .sequence = 1 };
    ck_assert(keys_parse(&keys, "sequential", 3));
    for (unsigned i = 1; i < 9; i++) {
        ck_assert_uint_eq(keys_draw(&keys, &state), i % 3);
    }
}
END_TEST

static const char *const bad[] = { "",           "zipf",     "zipf:",    "zipf:0",
                                   "zipf:11",    "zipf:1x",  "gauss:",   "gauss:0",
                                   "gauss:1001", "gaussian", "zipf:nan", "Uniform" };

START_TEST(other_names_are_refused)
{
    struct keys keys;
    ck_assert(!keys_parse(&keys, bad[_i], KEYS));
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int
main(void)
{
    Suite *suite = suite_create("keys");
    TCase *tcase = tcase_create("keys");
    tcase_add_loop_test(tcase, zipf_draws_each_key_as_often_as_its_rank_says, 0, COUNT(zipfs));
    tcase_add_test(tcase, zipf_over_many_keys_and_over_one);
    tcase_add_test(tcase, uniform_draws_all_alike);
    tcase_add_test(tcase, gauss_is_a_bell_around_the_middle);
    tcase_add_test(tcase, sequential_begins_again_behind_the_last);
    tcase_add_loop_test(tcase, other_names_are_refused, 0, COUNT(bad));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
