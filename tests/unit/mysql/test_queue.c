#include "mysql/queue.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CAP   4096u
#define COUNT 50000u

/** A record of a length and bytes that its number tells. */
static size_t
len_of(uint64_t number)
{
    return 8 + number * 7919 % 600;
}

static void
put(struct queue *queue, uint64_t number)
{
    size_t len = len_of(number);
    uint8_t *at = queue_reserve(queue, len);
    ck_assert_ptr_nonnull(at);
    ck_assert_uint_eq((uintptr_t)at % 8, 0);
    memcpy(at, &number, 8);
    memset(at + 8, (int)(number & 255), len - 8);
}

static void
take(struct queue *queue, uint64_t *at, uint64_t end, uint64_t number)
{
    size_t len;
    const uint8_t *record = queue_next(queue, at, end, &len);
    ck_assert_ptr_nonnull(record);
    ck_assert_uint_eq(len, len_of(number));
    ck_assert_mem_eq(record, &number, 8);
    bool same = true;
    for (size_t i = 8; i < len; i++) {
        same = same && record[i] == (number & 255);
    }
    ck_assert(same);
}

START_TEST(queue_gives_out_what_was_published_and_no_more)
{
    struct queue *queue = queue_create(CAP);
    uint64_t at = queue_begin(queue);
    uint64_t end = at;
    put(queue, 0);
    ck_assert_int_eq(queue_wait(queue, &end, 0), QUEUE_TIMEOUT);
    put(queue, 1);
    queue_publish(queue);
    ck_assert_int_eq(queue_wait(queue, &end, 1000), QUEUE_MORE);
    ck_assert_uint_gt(queue_used(queue), 0);
    take(queue, &at, end, 0);
    take(queue, &at, end, 1);
    size_t len;
    ck_assert_ptr_null(queue_next(queue, &at, end, &len));
    queue_release(queue, at);
    ck_assert_uint_eq(queue_used(queue), 0);
    queue_destroy(queue);
}
END_TEST

START_TEST(queue_takes_the_longest_record_at_every_place)
{
    struct queue *queue = queue_create(CAP);
    uint64_t at = queue_begin(queue);
    uint64_t end = at;
    size_t len;
    for (unsigned i = 0; i < 1000; i++) {
        void *small = queue_reserve(queue, 1 + i % 97);
        ck_assert_ptr_nonnull(small);
        queue_publish(queue);
        ck_assert_int_eq(queue_wait(queue, &end, 1000), QUEUE_MORE);
        while (queue_next(queue, &at, end, &len) != NULL) {
        }
        queue_release(queue, at);
        uint8_t *large = queue_reserve(queue, queue_record_max(queue));
        ck_assert_ptr_nonnull(large);
        memset(large, (int)i, queue_record_max(queue));
        queue_publish(queue);
        ck_assert_int_eq(queue_wait(queue, &end, 1000), QUEUE_MORE);
        const uint8_t *record = queue_next(queue, &at, end, &len);
        ck_assert_uint_eq(len, queue_record_max(queue));
        ck_assert_uint_eq(record[len - 1], i & 255);
        queue_release(queue, at);
    }
    queue_destroy(queue);
}
END_TEST

static void *
produce(void *arg)
{
    for (uint64_t i = 0; i < COUNT; i++) {
        put(arg, i);
        if (i % 13 == 0) {
            queue_publish(arg);
        }
    }
    queue_publish(arg);
    return NULL;
}

START_TEST(queue_keeps_the_order_between_threads_and_holds_the_producer_back)
{
    struct queue *queue = queue_create(CAP);
    pthread_t producer;
    ck_assert_int_eq(pthread_create(&producer, NULL, produce, queue), 0);
    uint64_t at = queue_begin(queue);
    uint64_t end = at;
    uint64_t next = 0;
    while (next < COUNT) {
        ck_assert_int_eq(queue_wait(queue, &end, 10000), QUEUE_MORE);
        ck_assert_uint_le(queue_used(queue), CAP);
        while (at != end) {
            take(queue, &at, end, next++);
            if (next % 5 == 0) {
                queue_release(queue, at);
            }
        }
        queue_release(queue, at);
    }
    (void)pthread_join(producer, NULL);
    queue_destroy(queue);
}
END_TEST

static void *
stop(void *arg)
{
    queue_stop(arg);
    return NULL;
}

START_TEST(queue_stop_wakes_a_producer_that_waits_for_room)
{
    struct queue *queue = queue_create(CAP);
    pthread_t stopper;
    ck_assert_ptr_nonnull(queue_reserve(queue, queue_record_max(queue)));
    ck_assert_ptr_nonnull(queue_reserve(queue, queue_record_max(queue) - 16));
    ck_assert_int_eq(pthread_create(&stopper, NULL, stop, queue), 0);
    ck_assert_ptr_null(queue_reserve(queue, queue_record_max(queue)));
    (void)pthread_join(stopper, NULL);
    uint64_t end = queue_begin(queue);
    ck_assert_int_eq(queue_wait(queue, &end, 1000), QUEUE_MORE);
    ck_assert_int_eq(queue_wait(queue, &end, 1000), QUEUE_STOPPED);
    queue_destroy(queue);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("queue");
    tcase_add_test(tcase, queue_gives_out_what_was_published_and_no_more);
    tcase_add_test(tcase, queue_takes_the_longest_record_at_every_place);
    tcase_add_test(tcase, queue_keeps_the_order_between_threads_and_holds_the_producer_back);
    tcase_add_test(tcase, queue_stop_wakes_a_producer_that_waits_for_room);
    Suite *suite = suite_create("mysql/queue");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
