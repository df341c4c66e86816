#include "base/ring.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define CAP 16u

static struct ring
ring_of(size_t cap)
{
    struct ring ring;
    ck_assert(ring_init(&ring, cap));
    return ring;
}

START_TEST(ring_shows_nothing_before_it_is_published)
{
    struct ring ring = ring_of(CAP);
    ck_assert_uint_eq(ring_room(&ring), CAP);
    ck_assert_uint_eq(ring_filled(&ring), 0);
    ring_put(&ring, 0, "abc", 3);
    ck_assert_uint_eq(ring_filled(&ring), 0);
    ring_put(&ring, 3, "de", 2);
    ring_publish(&ring, 5);
    ck_assert_uint_eq(ring_filled(&ring), 5);
    ck_assert_uint_eq(ring_room(&ring), CAP - 5);
    char got[6] = "";
    ring_get(&ring, 0, got, 5);
    ck_assert_str_eq(got, "abcde");
    ring_get(&ring, 3, got, 2);
    got[2] = '\0';
    ck_assert_str_eq(got, "de");
    ring_drop(&ring, 5);
    ck_assert_uint_eq(ring_room(&ring), CAP);
    ring_fini(&ring);
}
END_TEST

START_TEST(ring_takes_just_what_it_has_room_for)
{
    struct ring ring = ring_of(CAP);
    char all[CAP];
    char got[CAP];
    memset(all, 'x', sizeof(all));
    ring_put(&ring, 0, all, CAP);
    ring_publish(&ring, CAP);
    ck_assert_uint_eq(ring_room(&ring), 0);
    ck_assert_uint_eq(ring_filled(&ring), CAP);
    ring_get(&ring, 0, got, CAP);
    ck_assert_mem_eq(got, all, CAP);
    ring_drop(&ring, 1);
    ck_assert_uint_eq(ring_room(&ring), 1);
    ring_fini(&ring);
}
END_TEST

/* Every length at every place, in a ring whose size is no power of two. */
START_TEST(ring_goes_around_its_end)
{
    struct ring ring = ring_of(13);
    uint8_t next = 0;
    uint8_t expected = 0;
    for (unsigned round = 0; round < 1000; round++) {
        uint8_t bytes[13];
        size_t len = round % 14;
        for (size_t i = 0; i < len; i++) {
            bytes[i] = next++;
        }
        ck_assert_uint_ge(ring_room(&ring), len);
        ring_put(&ring, 0, bytes, len);
        ring_publish(&ring, len);
        ring_get(&ring, 0, bytes, len);
        for (size_t i = 0; i < len; i++) {
            ck_assert_uint_eq(bytes[i], expected);
            expected++;
        }
        ring_drop(&ring, len);
    }
    ring_fini(&ring);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ring");
    TCase *tcase = tcase_create("ring");
    tcase_add_test(tcase, ring_shows_nothing_before_it_is_published);
    tcase_add_test(tcase, ring_takes_just_what_it_has_room_for);
    tcase_add_test(tcase, ring_goes_around_its_end);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
