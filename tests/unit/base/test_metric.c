#include "base/metric.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#define THREADS 4u
#define ROUNDS  50000u

START_TEST(metric_counts_and_is_set)
{
    struct metric metric = { 0 };
    ck_assert_uint_eq(metric_get(&metric), 0);
    metric_add(&metric, 5);
    metric_add(&metric, UINT64_C(1) << 40);
    ck_assert_uint_eq(metric_get(&metric), (UINT64_C(1) << 40) + 5);
    metric_add_shared(&metric, 2);
    ck_assert_uint_eq(metric_get(&metric), (UINT64_C(1) << 40) + 7);
    metric_set(&metric, 3);
    ck_assert_uint_eq(metric_get(&metric), 3);
    metric_add(&metric, UINT64_C(1) << 40);
    metric_sub(&metric, 2);
    metric_sub(&metric, UINT64_C(1) << 40);
    ck_assert_uint_eq(metric_get(&metric), 1);
}
END_TEST

static struct metric shared;
static struct metric of_one;

static void *
add_shared(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        metric_add_shared(&shared, 1);
    }
    return NULL;
}

static void *
add_alone(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        metric_add(&of_one, 1);
    }
    return NULL;
}

START_TEST(metric_add_shared_loses_nothing_between_threads)
{
    pthread_t ids[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&ids[i], NULL, add_shared, NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(ids[i], NULL), 0);
    }
    ck_assert_uint_eq(metric_get(&shared), (uint64_t)THREADS * ROUNDS);
}
END_TEST

START_TEST(metric_is_read_by_others_while_its_thread_writes)
{
    pthread_t writer;
    ck_assert_int_eq(pthread_create(&writer, NULL, add_alone, NULL), 0);
    uint64_t last = 0;
    while (last < ROUNDS) {
        uint64_t now = metric_get(&of_one);
        ck_assert_uint_ge(now, last);
        last = now;
    }
    ck_assert_int_eq(pthread_join(writer, NULL), 0);
    ck_assert_uint_eq(metric_get(&of_one), ROUNDS);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("metric");
    tcase_add_test(tcase, metric_counts_and_is_set);
    tcase_add_test(tcase, metric_add_shared_loses_nothing_between_threads);
    tcase_add_test(tcase, metric_is_read_by_others_while_its_thread_writes);

    Suite *suite = suite_create("base/metric");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
