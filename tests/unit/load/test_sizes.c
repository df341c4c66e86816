/* Distributions of sizes. */
#include "config.h"

#include "bench/load/random.h"
#include "bench/load/sizes.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DRAWS 100000u
#define MAX   1000000u

static char error[SIZES_ERROR_CAP];

static int
compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/** Sorted draws, by the hashes of as many keys. */
static const uint32_t *
draw_all(const char *text)
{
    static uint32_t draws[DRAWS];
    struct sizes sizes;
    ck_assert_msg(sizes_parse(&sizes, SIZES_OF_VALUES, text, 0, MAX, error), "%s", error);
    unsigned differ = 0; /* an assertion for each would take long */
    for (unsigned i = 0; i < DRAWS; i++) {
        draws[i] = sizes_draw(&sizes, random_mix(i));
        differ += draws[i] != sizes_draw(&sizes, random_mix(i));
    }
    ck_assert_uint_eq(differ, 0);
    qsort(draws, DRAWS, sizeof(draws[0]), compare);
    sizes_fini(&sizes);
    return draws;
}

START_TEST(fixed_and_range)
{
    const uint32_t *draws = draw_all("100");
    ck_assert(draws[0] == 100 && draws[DRAWS - 1] == 100);
    draws = draw_all("0");
    ck_assert_uint_eq(draws[DRAWS - 1], 0);
    draws = draw_all("10-19");
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_uint_eq(draws[DRAWS / 10 * i + DRAWS / 20], 10 + i);
    }
    ck_assert(draws[0] == 10 && draws[DRAWS - 1] == 19);
}
END_TEST

START_TEST(a_mixture_has_its_sizes_alone)
{
    const uint32_t *draws = draw_all("0x1,7x2,5000x1");
    ck_assert_uint_eq(draws[DRAWS / 4 - 1000], 0);
    ck_assert_uint_eq(draws[DRAWS / 4 + 1000], 7);
    ck_assert_uint_eq(draws[DRAWS / 4 * 3 - 1000], 7);
    ck_assert_uint_eq(draws[DRAWS / 4 * 3 + 1000], 5000);
}
END_TEST

START_TEST(log_normal_has_its_median_and_spread)
{
    const uint32_t *draws = draw_all("ln:1000:0.5");
    ck_assert_double_eq_tol(draws[DRAWS / 2], 1000.0, 20.0);
    /* One deviation: 15.87 % lie below. */
    ck_assert_double_eq_tol(draws[(unsigned)(DRAWS * 0.158655)], 1000.0 * exp(-0.5), 15.0);
    ck_assert_double_eq_tol(draws[(unsigned)(DRAWS * 0.998650)], 1000.0 * exp(1.5), 350.0);
}
END_TEST

START_TEST(etc_values_follow_the_published_formula)
{
    const uint32_t *draws = draw_all("etc");
    double median = 214.476 * (pow(0.5, -0.348238) - 1.0) / 0.348238;
    ck_assert_double_eq_tol(draws[DRAWS / 2], median, 5.0);
    ck_assert_uint_le(draws[DRAWS - 1], MAX);
}
END_TEST

START_TEST(a_file_is_a_histogram)
{
    char name[] = "/tmp/larder-sizes-XXXXXX";
    int fd = mkstemp(name);
    ck_assert_int_ge(fd, 0);
    ck_assert(dprintf(fd, "# sizes\n10 1\n20\t1\n1000 2\n") > 0);
    close(fd);
    char text[64];
    snprintf(text, sizeof(text), "@%s", name);
    const uint32_t *draws = draw_all(text);
    unlink(name);
    ck_assert_uint_eq(draws[0], 1);
    ck_assert_uint_le(draws[DRAWS / 4 - 1000], 10);
    ck_assert_uint_ge(draws[DRAWS / 4 + 1000], 11);
    ck_assert_double_eq_tol(draws[DRAWS / 4 * 3], 510.0, 20.0);
    ck_assert_uint_eq(draws[DRAWS - 1], 1000);
}
END_TEST

static const char *const bad[] = { "",        "x",         "1x",        "5-",        "9-5",
                                   "-5",      "1-2-3",     "1.5",       "1e9",       "12kb",
                                   "0x0",     "ln:",       "ln:5",      "@/no/such", "ln:0:1",
                                   "1000001", "1-1000001", "1000001x1", "ETC" };

START_TEST(other_texts_are_refused_with_a_reason)
{
    struct sizes sizes;
    ck_assert_msg(!sizes_parse(&sizes, SIZES_OF_VALUES, bad[_i], 0, MAX, error), "%s", bad[_i]);
    ck_assert_str_ne(error, "");
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int
main(void)
{
    Suite *suite = suite_create("sizes");
    TCase *tcase = tcase_create("sizes");
    tcase_add_test(tcase, fixed_and_range);
    tcase_add_test(tcase, a_mixture_has_its_sizes_alone);
    tcase_add_test(tcase, log_normal_has_its_median_and_spread);
    tcase_add_test(tcase, etc_values_follow_the_published_formula);
    tcase_add_test(tcase, a_file_is_a_histogram);
    tcase_add_loop_test(tcase, other_texts_are_refused_with_a_reason, 0, COUNT(bad));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
