/* The fence, as far as no server is needed: times, and what becomes of it without one. */
#include "config.h"

#include "mysql/fence.h"

#include "base/clock.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_HOOK

static const struct rules_host host = { .name = "/nonexistent/larder.sock" };
static struct rules_source settings;
static struct fence *fence;
static struct position base;

static void
setup(void)
{
    settings = (struct rules_source){
        .hosts = &host, .host_count = 1, .user = "u", .password = "", .timeout_ms = 50
    };
    position_init(&base);
    ck_assert(link_library_open());
    fence = NULL;
}

static void
open_fence(enum rules_fence kind, uint32_t delay_ms)
{
    settings.fence = kind;
    settings.fence_delay_ms = delay_ms;
    fence = fence_create(&settings);
    ck_assert_ptr_nonnull(fence);
    fence_begin(fence);
}

static void
teardown(void)
{
    fence_destroy(fence);
    position_fini(&base);
    link_library_close();
}

static void
set_space(uint32_t space, bool is_mariadb)
{
    base.is_mariadb = is_mariadb;
    fence_set_space(fence, space, &host, "1", &base);
}

static struct record_point
point_of(uint32_t space)
{
    return (struct record_point){
        .space = space, .file_number = 1, .offset = 1000, .arrived_us = clock_monotonic_us()
    };
}

START_TEST(on_arrival_nothing_is_waited_for)
{
    open_fence(RULES_FENCE_ARRIVAL, 0);
    struct record_point point = point_of(1);
    ck_assert(fence_add(fence, &point));
    ck_assert_int_eq(fence_wait(fence), FENCE_PASSED);
    fence_stop(fence);
    ck_assert_int_eq(fence_wait(fence), FENCE_PASSED);
}
END_TEST

START_TEST(a_delay_counts_from_the_arrival_of_the_last)
{
    open_fence(RULES_FENCE_DELAY, 20);
    struct record_point first = point_of(1);
    struct record_point early = { .space = 1, .arrived_us = 1 };
    ck_assert(fence_add(fence, &first));
    ck_assert(fence_add(fence, &early));
    enum fence_result result = FENCE_NOT_YET;
    while (result == FENCE_NOT_YET) {
        result = fence_wait(fence);
    }
    ck_assert_int_eq(result, FENCE_PASSED);
    ck_assert_uint_ge(clock_monotonic_us(), first.arrived_us + 20 * 1000);
    fence_begin(fence);
    ck_assert(fence_add(fence, &early)); /* its time is over */
    ck_assert_int_eq(fence_wait(fence), FENCE_PASSED);
}
END_TEST

START_TEST(a_long_delay_is_waited_for_in_slices)
{
    open_fence(RULES_FENCE_DELAY, 3600000);
    struct record_point point = point_of(1);
    ck_assert(fence_add(fence, &point));
    ck_assert_int_eq(fence_wait(fence), FENCE_NOT_YET);
    fence_stop(fence);
    ck_assert_int_eq(fence_wait(fence), FENCE_STOPPED);
}
END_TEST

/** MySQL without GTIDs has a time in place of them. */
START_TEST(without_a_gtid_mysql_is_given_a_time)
{
    open_fence(RULES_FENCE_VISIBLE, 0);
    set_space(1, false);
    struct record_point point = point_of(1);
    ck_assert(fence_add(fence, &point));
    fence_stop(fence);
    ck_assert_int_eq(fence_wait(fence), FENCE_STOPPED);
}
END_TEST

START_TEST(nothing_to_wait_for_has_passed)
{
    open_fence(RULES_FENCE_VISIBLE, 0);
    ck_assert_int_eq(fence_wait(fence), FENCE_PASSED);
    uint64_t p50_us;
    uint64_t p99_us;
    fence_times(fence, &p50_us, &p99_us);
    ck_assert_uint_eq(p50_us + p99_us, 0);
}
END_TEST

/** What cannot be asked is not taken for visible, and is told when it takes long. */
START_TEST(without_a_server_nothing_passes)
{
    open_fence(RULES_FENCE_VISIBLE, 0);
    for (int mariadb = 0; mariadb <= 1; mariadb++) {
        set_space(1 + (uint32_t)mariadb, mariadb != 0);
        fence_begin(fence);
        struct record_point point = point_of(1 + (uint32_t)mariadb);
        if (mariadb == 0) {
            point.gtid = (struct gtid){ .family = GTID_MYSQL, .number = 5 };
        }
        ck_assert(fence_add(fence, &point));
        uint64_t timeouts = fence_timeouts(fence);
        while (fence_timeouts(fence) == timeouts) {
            ck_assert_int_eq(fence_wait(fence), FENCE_LOST);
        }
        ck_assert_int_eq(fence_wait(fence), FENCE_LOST);
        ck_assert_uint_eq(fence_timeouts(fence), timeouts + 1); /* once for each fence */
    }
    fence_stop(fence);
    ck_assert_int_eq(fence_wait(fence), FENCE_STOPPED);
}
END_TEST

/** As many as one question takes; the caller waits for these first. */
START_TEST(a_question_takes_so_many_gtids)
{
    open_fence(RULES_FENCE_VISIBLE, 0);
    set_space(1, false);
    struct record_point point = point_of(1);
    unsigned added = 0;
    for (uint64_t number = 1; number <= 300; number++) {
        point.gtid = (struct gtid){ .family = GTID_MYSQL, .number = number };
        if (!fence_add(fence, &point)) {
            break;
        }
        added++;
    }
    ck_assert_uint_eq(added, 256);
    /* Another space: what was asked for is part of its base, and there is room again. */
    set_space(2, false);
    point.space = 2;
    ck_assert(fence_add(fence, &point));
}
END_TEST

static void *
stop_fence(void *arg)
{
    fence_stop(arg);
    return NULL;
}

START_TEST(another_thread_ends_a_wait)
{
    open_fence(RULES_FENCE_DELAY, 3600000);
    struct record_point point = point_of(1);
    pthread_t thread;
    ck_assert(fence_add(fence, &point));
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_fence, fence), 0);
    enum fence_result result = FENCE_NOT_YET;
    while (result == FENCE_NOT_YET) {
        result = fence_wait(fence);
    }
    ck_assert_int_eq(result, FENCE_STOPPED);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("fence");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, on_arrival_nothing_is_waited_for);
    tcase_add_test(tcase, a_delay_counts_from_the_arrival_of_the_last);
    tcase_add_test(tcase, a_long_delay_is_waited_for_in_slices);
    tcase_add_test(tcase, without_a_gtid_mysql_is_given_a_time);
    tcase_add_test(tcase, nothing_to_wait_for_has_passed);
    tcase_add_test(tcase, without_a_server_nothing_passes);
    tcase_add_test(tcase, a_question_takes_so_many_gtids);
    tcase_add_test(tcase, another_thread_ends_a_wait);
    Suite *suite = suite_create("mysql/fence");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#else

int
main(void)
{
    puts("skipped: built without the MySQL hook");
    puts("0 passed, 0 failed, 1 skipped");
    return EXIT_SUCCESS;
}

#endif
