#include "base/race.h"

#include "support/guard.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#define LEN_MAX 40u /* bytes: some words of eight, and any rest */

/* Both sides end at an unreadable page. */
START_TEST(race_equal_sees_each_byte_and_no_more)
{
    uint8_t bytes[LEN_MAX];
    for (unsigned i = 0; i < LEN_MAX; i++) {
        bytes[i] = (uint8_t)(i * 7 + 1);
    }
    for (size_t len = 0; len <= LEN_MAX; len++) {
        uint8_t *left = guard_copy(bytes, len);
        const uint8_t *right = guard_copy(bytes, len);
        ck_assert(race_equal(left, right, len));
        for (size_t i = 0; i < len; i++) {
            left[i] ^= 0x80;
            ck_assert(!race_equal(left, right, len));
            left[i] ^= 0x80;
        }
    }
    guard_free_all();
}
END_TEST

START_TEST(race_copies_are_whole_and_no_longer)
{
    uint8_t bytes[LEN_MAX];
    for (unsigned i = 0; i < LEN_MAX; i++) {
        bytes[i] = (uint8_t)(i * 5 + 3);
    }
    for (size_t len = 0; len <= LEN_MAX; len++) {
        uint8_t *in = guard_room(len);
        uint8_t *out = guard_room(len);
        race_copy_in(in, bytes, len);
        race_copy_out(out, in, len);
        ck_assert(len == 0 || memcmp(out, bytes, len) == 0);
    }
    guard_free_all();
}
END_TEST

#ifdef LARDER_DEBUG

#define CALLS 200000u

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
    tcase_add_test(tcase, race_equal_sees_each_byte_and_no_more);
    tcase_add_test(tcase, race_copies_are_whole_and_no_longer);
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
