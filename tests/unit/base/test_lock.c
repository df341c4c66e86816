#include "base/lock.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#define THREADS 4u
#define ROUNDS  20000u

static struct lock library, threads, class_a, class_b, pages;

static void
set_up(void)
{
    lock_init(&library, LOCK_RANK_LIBRARY);
    lock_init(&threads, LOCK_RANK_THREADS);
    lock_init(&class_a, LOCK_RANK_CLASS);
    lock_init(&class_b, LOCK_RANK_CLASS);
    lock_init(&pages, LOCK_RANK_PAGES);
}

static void
tear_down(void)
{
    lock_fini(&library);
    lock_fini(&threads);
    lock_fini(&class_a);
    lock_fini(&class_b);
    lock_fini(&pages);
}

START_TEST(locks_are_taken_in_rising_order)
{
    lock_acquire(&library);
    lock_acquire(&threads);
    lock_acquire(&class_a);
    lock_acquire(&pages);
    lock_release(&pages);
    lock_release(&class_a);
    lock_release(&threads);
    lock_release(&library);
}
END_TEST

START_TEST(locks_are_released_in_any_order)
{
    lock_acquire(&library);
    lock_acquire(&class_a);
    lock_release(&library);
    lock_acquire(&pages);
    lock_release(&class_a);
    lock_release(&pages);
    lock_acquire(&library);
    lock_release(&library);
}
END_TEST

static void *
try_class_a(void *arg)
{
    bool *got = arg;
    *got = lock_try_acquire(&class_a);
    if (*got) {
        lock_release(&class_a);
    }
    return NULL;
}

static bool
another_thread_gets_class_a(void)
{
    bool got = false;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, try_class_a, &got), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    return got;
}

START_TEST(a_try_fails_while_another_thread_holds_the_lock)
{
    ck_assert(another_thread_gets_class_a());
    lock_acquire(&class_a);
    ck_assert(!another_thread_gets_class_a());
    lock_release(&class_a);
    ck_assert(another_thread_gets_class_a());
}
END_TEST

START_TEST(a_try_is_allowed_in_any_order)
{
    lock_acquire(&pages);
    ck_assert(lock_try_acquire(&class_a));
    lock_release(&class_a);
    lock_release(&pages);
}
END_TEST

static uint64_t counted; /* under class_a */

static void *
count(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        lock_acquire(&class_a);
        counted++;
        lock_release(&class_a);
    }
    return NULL;
}

START_TEST(one_thread_at_a_time_holds_a_lock)
{
    pthread_t ids[THREADS];
    counted = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&ids[i], NULL, count, NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(ids[i], NULL), 0);
    }
    ck_assert_uint_eq(counted, (uint64_t)THREADS * ROUNDS);
}
END_TEST

#ifdef LARDER_DEBUG

START_TEST(a_falling_order_stops_a_debug_build)
{
    lock_acquire(&pages);
    lock_acquire(&class_a);
}
END_TEST

START_TEST(two_locks_of_one_rank_stop_a_debug_build)
{
    lock_acquire(&class_a);
    lock_acquire(&class_b);
}
END_TEST

START_TEST(releasing_what_is_not_held_stops_a_debug_build)
{
    lock_release(&class_a);
}
END_TEST

START_TEST(noted_locks_keep_the_order_too)
{
    lock_note_acquired(LOCK_RANK_BUCKET);
    lock_note_acquired(LOCK_RANK_BUCKET);
    lock_note_released(LOCK_RANK_BUCKET);
    lock_note_released(LOCK_RANK_BUCKET);
    lock_acquire(&class_a);
    lock_note_acquired(LOCK_RANK_BUCKET);
    lock_note_released(LOCK_RANK_BUCKET);
    lock_release(&class_a);
}
END_TEST

START_TEST(a_noted_lock_before_a_lower_rank_stops_a_debug_build)
{
    lock_note_acquired(LOCK_RANK_BUCKET);
    lock_acquire(&class_a);
}
END_TEST

#endif

int
main(void)
{
    TCase *tcase = tcase_create("lock");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, locks_are_taken_in_rising_order);
    tcase_add_test(tcase, locks_are_released_in_any_order);
    tcase_add_test(tcase, a_try_fails_while_another_thread_holds_the_lock);
    tcase_add_test(tcase, a_try_is_allowed_in_any_order);
    tcase_add_test(tcase, one_thread_at_a_time_holds_a_lock);
#ifdef LARDER_DEBUG
    tcase_add_test_raise_signal(tcase, a_falling_order_stops_a_debug_build, SIGABRT);
    tcase_add_test_raise_signal(tcase, two_locks_of_one_rank_stop_a_debug_build, SIGABRT);
    tcase_add_test_raise_signal(tcase, releasing_what_is_not_held_stops_a_debug_build, SIGABRT);
    tcase_add_test(tcase, noted_locks_keep_the_order_too);
    tcase_add_test_raise_signal(tcase, a_noted_lock_before_a_lower_rank_stops_a_debug_build,
                                SIGABRT);
#endif

    Suite *suite = suite_create("base/lock");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
