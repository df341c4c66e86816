#include "config.h"

#include "embed/thread_slot.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#define MORE_THREADS 20u /* than there are slots */
#define ROUNDS       50u

struct crowd {
    pthread_barrier_t all_have;
    pthread_barrier_t all_may_go;
    _Atomic uint32_t times_given[THREAD_SLOTS];
    _Atomic uint32_t without;
};

static void *
take_and_hold(void *arg)
{
    struct crowd *crowd = arg;
    unsigned slot = thread_slot();
    if (slot == THREAD_SLOT_NONE) {
        atomic_fetch_add_explicit(&crowd->without, 1, memory_order_relaxed);
    } else {
        atomic_fetch_add_explicit(&crowd->times_given[slot], 1, memory_order_relaxed);
    }
    pthread_barrier_wait(&crowd->all_have);
    pthread_barrier_wait(&crowd->all_may_go);
    /* Stays the same, and who has none gets none while all are held. */
    return (void *)(uintptr_t)(thread_slot() == slot || slot == THREAD_SLOT_NONE);
}

START_TEST(slot_stays_with_its_thread)
{
    ck_assert(thread_slot_setup());
    unsigned slot = thread_slot();
    ck_assert_uint_lt(slot, THREAD_SLOTS);
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_uint_eq(thread_slot(), slot);
    }
}
END_TEST

START_TEST(slots_are_given_once_each_and_no_more_than_there_are)
{
    ck_assert(thread_slot_setup());
    unsigned before = thread_slots_taken();
    unsigned count = THREAD_SLOTS - before + MORE_THREADS;
    static struct crowd crowd;
    pthread_t *threads = calloc(count, sizeof(*threads));
    ck_assert_ptr_nonnull(threads);
    ck_assert_int_eq(pthread_barrier_init(&crowd.all_have, NULL, count + 1), 0);
    ck_assert_int_eq(pthread_barrier_init(&crowd.all_may_go, NULL, count + 1), 0);
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_hold, &crowd), 0);
    }
    pthread_barrier_wait(&crowd.all_have);
    ck_assert_uint_eq(thread_slots_taken(), THREAD_SLOTS);
    ck_assert_uint_eq(atomic_load_explicit(&crowd.without, memory_order_relaxed), MORE_THREADS);
    for (unsigned i = 0; i < THREAD_SLOTS; i++) {
        ck_assert_uint_le(atomic_load_explicit(&crowd.times_given[i], memory_order_relaxed), 1);
    }
    pthread_barrier_wait(&crowd.all_may_go);
    for (unsigned i = 0; i < count; i++) {
        void *same = NULL;
        ck_assert_int_eq(pthread_join(threads[i], &same), 0);
        ck_assert_ptr_nonnull(same);
    }
    ck_assert_uint_eq(thread_slots_taken(), before);
    free(threads);
}
END_TEST

/* Plain, not atomic: the hand-over of a slot must order these accesses; ThreadSanitizer looks on.
 */
static unsigned uses[THREAD_SLOTS];

static void *
use_slot(void *arg)
{
    (void)arg;
    unsigned slot = thread_slot();
    if (slot != THREAD_SLOT_NONE) {
        uses[slot]++;
    }
    return NULL;
}

START_TEST(slot_is_handed_over_in_order)
{
    ck_assert(thread_slot_setup());
    unsigned before = thread_slots_taken();
    for (unsigned round = 0; round < ROUNDS; round++) {
        pthread_t threads[8];
        for (unsigned i = 0; i < 8; i++) {
            ck_assert_int_eq(pthread_create(&threads[i], NULL, use_slot, NULL), 0);
        }
        for (unsigned i = 0; i < 8; i++) {
            ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        }
    }
    unsigned sum = 0;
    for (unsigned i = 0; i < THREAD_SLOTS; i++) {
        sum += uses[i];
    }
    ck_assert_uint_eq(sum, ROUNDS * 8);
    ck_assert_uint_eq(thread_slots_taken(), before);
}
END_TEST

static pthread_key_t late_key;
static _Atomic unsigned late_slot;

static void
call_again(void *value)
{
    (void)value;
    atomic_store_explicit(&late_slot, thread_slot(), memory_order_relaxed);
}

static void *
call_from_destructor(void *arg)
{
    (void)arg;
    (void)thread_slot();
    pthread_setspecific(late_key, "set");
    return NULL;
}

START_TEST(slot_taken_again_while_the_thread_ends_is_given_back_too)
{
    ck_assert(thread_slot_setup());
    unsigned before = thread_slots_taken();
    ck_assert_int_eq(pthread_key_create(&late_key, call_again), 0);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, call_from_destructor, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_lt(atomic_load_explicit(&late_slot, memory_order_relaxed), THREAD_SLOTS);
    ck_assert_uint_eq(thread_slots_taken(), before);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("thread_slot");
    TCase *tcase = tcase_create("thread_slot");
    tcase_add_test(tcase, slot_stays_with_its_thread);
    tcase_add_test(tcase, slots_are_given_once_each_and_no_more_than_there_are);
    tcase_add_test(tcase, slot_is_handed_over_in_order);
    tcase_add_test(tcase, slot_taken_again_while_the_thread_ends_is_given_back_too);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
