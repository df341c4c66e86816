/* Histograms: bucket bounds, resolution, quantiles. */
#include "config.h"

#include "bench/load/histogram.h"

#include <check.h>
#include <stdlib.h>

static struct histogram histogram, other;

static void
empty_both(void)
{
    histogram = other = (struct histogram){ .count = 0 };
}

START_TEST(each_bucket_begins_behind_the_one_before)
{
    unsigned wrong = 0; /* an assertion for each would take long */
    for (unsigned i = 1; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t first = histogram_bucket_top(i - 1) + 1;
        wrong += histogram_bucket(first - 1) != i - 1;
        wrong += histogram_bucket(first) != i;
        wrong += histogram_bucket(histogram_bucket_top(i)) != i;
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(histogram_bucket_top(HISTOGRAM_BUCKETS - 1),
                      (1ull << HISTOGRAM_BITS_MAX) - 1);
}
END_TEST

START_TEST(a_bucket_is_not_wider_than_a_hundredth)
{
    unsigned wide = 0;
    for (unsigned i = HISTOGRAM_FINE; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t first = histogram_bucket_top(i - 1) + 1;
        wide += (histogram_bucket_top(i) - first) * 100 > first;
    }
    ck_assert_uint_eq(wide, 0);
}
END_TEST

START_TEST(what_is_too_long_counts_in_the_last_bucket)
{
    ck_assert_uint_eq(histogram_bucket(1ull << HISTOGRAM_BITS_MAX), HISTOGRAM_BUCKETS - 1);
    ck_assert_uint_eq(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
    histogram_add(&histogram, UINT64_MAX);
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), UINT64_MAX);
}
END_TEST

START_TEST(quantiles_of_known_numbers)
{
    for (uint64_t i = 1; i <= 100000; i++) {
        histogram_add(&histogram, i * 1000);
    }
    static const double shares[] = { 0.001, 0.5, 0.9, 0.99, 0.999 };
    for (unsigned i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        double right = shares[i] * 100000 * 1000;
        double found = (double)histogram_quantile(&histogram, shares[i]);
        ck_assert_double_ge(found, right);
        ck_assert_double_le(found, right * 1.01);
    }
    ck_assert_uint_eq(histogram_quantile(&histogram, 1.0), 100000 * 1000);
    ck_assert_double_eq_tol(histogram_mean(&histogram), 50000500.0, 0.001);
}
END_TEST

START_TEST(an_empty_one_is_zero)
{
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.99), 0);
    ck_assert_double_eq(histogram_mean(&histogram), 0.0);
}
END_TEST

START_TEST(merged_is_as_if_one_had_counted_all)
{
    for (uint64_t i = 0; i < 1000; i++) {
        histogram_add(&histogram, i * 7);
        histogram_add(&other, i * 1000003);
    }
    histogram_merge(&histogram, &other);
    ck_assert_uint_eq(histogram.count, 2000);
    ck_assert_uint_eq(histogram.max, 999 * 1000003);
    ck_assert_uint_eq(histogram.sum, 999 * 1000 / 2 * 7 + 999ull * 1000 / 2 * 1000003);
    ck_assert_uint_le(histogram_quantile(&histogram, 0.5), 999 * 1000003 / 100);
    ck_assert_uint_eq(histogram_quantile(&histogram, 1.0), 999 * 1000003);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("histogram");
    TCase *tcase = tcase_create("histogram");
    tcase_add_checked_fixture(tcase, empty_both, NULL);
    tcase_add_test(tcase, each_bucket_begins_behind_the_one_before);
    tcase_add_test(tcase, a_bucket_is_not_wider_than_a_hundredth);
    tcase_add_test(tcase, what_is_too_long_counts_in_the_last_bucket);
    tcase_add_test(tcase, quantiles_of_known_numbers);
    tcase_add_test(tcase, an_empty_one_is_zero);
    tcase_add_test(tcase, merged_is_as_if_one_had_counted_all);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
