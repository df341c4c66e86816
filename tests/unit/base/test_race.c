#include "base/race.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#define CALLS 200000u

START_TEST(cpu_relax_and_a_race_point_change_nothing_else)
{
    unsigned calls = 0;
    for (unsigned i = 0; i < CALLS; i++) {
        cpu_relax();
        RACE_POINT();
        calls++;
    }
    ck_assert_uint_eq(calls, CALLS);
}
END_TEST

#ifdef LARDER_DEBUG

static atomic_bool stop;
static _Atomic unsigned long turns;

static void *
take_turns(void *arg)
{
    (void)arg;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&turns, 1, memory_order_relaxed);
        sched_yield();
    }
    return NULL;
}

/* On one processor it is a yield that lets the other thread in within a millisecond. */
START_TEST(race_points_let_other_threads_in)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);

    pthread_t other;
    ck_assert_int_eq(pthread_create(&other, NULL, take_turns, NULL), 0);
    while (atomic_load_explicit(&turns, memory_order_relaxed) == 0) {
        sched_yield();
    }
    unsigned long before = atomic_load_explicit(&turns, memory_order_relaxed);
    for (unsigned i = 0; i < CALLS; i++) {
        RACE_POINT();
    }
    unsigned long after = atomic_load_explicit(&turns, memory_order_relaxed);
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    ck_assert_int_eq(pthread_join(other, NULL), 0);
    ck_assert_uint_gt(after, before);
}
END_TEST

#endif

int
main(void)
{
    TCase *tcase = tcase_create("race");
    tcase_add_test(tcase, cpu_relax_and_a_race_point_change_nothing_else);
#ifdef LARDER_DEBUG
    tcase_add_test(tcase, race_points_let_other_threads_in);
#endif

    Suite *suite = suite_create("base/race");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
