#include "base/clock.h"

#include <check.h>
#include <stdlib.h>
#include <time.h>

#define LOOKS 100000u

START_TEST(clock_unix_s_is_the_time_of_the_system)
{
    int64_t before = (int64_t)time(NULL);
    int64_t now = clock_unix_s();
    int64_t after = (int64_t)time(NULL);
    /* time() may read a coarser clock that is behind by a tick. */
    ck_assert_int_ge(now, before);
    ck_assert_int_le(now, after + 1);
}
END_TEST

START_TEST(clock_monotonic_us_never_goes_back_and_goes_on)
{
    uint64_t first = clock_monotonic_us();
    uint64_t last = first;
    for (unsigned i = 0; i < LOOKS; i++) {
        uint64_t now = clock_monotonic_us();
        ck_assert_uint_ge(now, last);
        last = now;
    }
    ck_assert_uint_gt(last, first);
}
END_TEST

START_TEST(clock_coarse_s_follows_the_fine_clock)
{
    uint64_t before_s = clock_monotonic_us() / 1000000u;
    uint64_t now_s = clock_coarse_s();
    uint64_t after_s = clock_monotonic_us() / 1000000u;
    ck_assert_uint_ge(now_s + 1, before_s);
    ck_assert_uint_le(now_s, after_s);
}
END_TEST

START_TEST(clock_unix_us_is_the_same_time_in_microseconds)
{
    int64_t before = clock_unix_s();
    uint64_t us = clock_unix_us();
    int64_t after = clock_unix_s();
    ck_assert_int_le(before, (int64_t)(us / 1000000u));
    ck_assert_int_ge(after, (int64_t)(us / 1000000u));
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("clock");
    tcase_add_test(tcase, clock_unix_s_is_the_time_of_the_system);
    tcase_add_test(tcase, clock_unix_us_is_the_same_time_in_microseconds);
    tcase_add_test(tcase, clock_monotonic_us_never_goes_back_and_goes_on);
    tcase_add_test(tcase, clock_coarse_s_follows_the_fine_clock);

    Suite *suite = suite_create("base/clock");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
