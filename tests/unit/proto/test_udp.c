#include "proto/udp.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support/guard.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))
#define BYTES(text)  (text), sizeof(text) - 1

static const struct {
    const char *bytes;
    size_t len;
    bool taken;
    uint16_t request_id;
} datagrams[] = {
    { BYTES("\x12\x34\0\0\0\1\0\0get k\r\n"), true, 0x1234 },
    { BYTES("\xff\xff\0\0\0\1\0\0x"), true, 0xffff },
    /* sequence and reserved are the client's business */
    { BYTES("\0\0\xff\xff\0\1\xff\xffx"), true, 0 },
    /* parts of a longer request */
    { BYTES("\0\1\0\0\0\2\0\0get k\r\n"), false, 0 },
    { BYTES("\0\1\0\1\0\2\0\0get k\r\n"), false, 0 },
    { BYTES("\0\1\0\0\1\1\0\0get k\r\n"), false, 0 },
    { BYTES("\0\1\0\0\0\0\0\0get k\r\n"), false, 0 },
    /* nothing in it */
    { BYTES(""), false, 0 },
    { BYTES("\0\1\0\0\0\1\0"), false, 0 },
    { BYTES("\0\1\0\0\0\1\0\0"), false, 0 },
};

START_TEST(parse_frame_takes_whole_requests_alone)
{
    size_t len = datagrams[_i].len;
    const uint8_t *copy = guard_copy(datagrams[_i].bytes, len);
    struct cursor cur = { copy, copy + len };
    uint16_t request_id = 0x5a5a;

    enum parse_status status = udp_parse_frame(&cur, &request_id);

    ck_assert_int_eq(status, datagrams[_i].taken ? PARSE_DONE : PARSE_BAD);
    ck_assert_uint_eq(request_id, datagrams[_i].taken ? datagrams[_i].request_id : 0x5a5a);
    ck_assert_ptr_eq(cur.at, copy + (datagrams[_i].taken ? UDP_FRAME_LEN : 0));
    ck_assert_ptr_eq(cur.end, copy + len);
}
END_TEST

START_TEST(write_frame_is_big_endian)
{
    uint8_t *room = guard_room(UDP_FRAME_LEN);
    ck_assert_ptr_eq(udp_write_frame(room, 0x1234, 0x0102, 0xfffe), room + UDP_FRAME_LEN);
    ck_assert_mem_eq(room, "\x12\x34\x01\x02\xff\xfe\0\0", UDP_FRAME_LEN);
}
END_TEST

START_TEST(count_datagrams_rounds_up)
{
    ck_assert_uint_eq(udp_count_datagrams(0), 0);
    ck_assert_uint_eq(udp_count_datagrams(1), 1);
    ck_assert_uint_eq(udp_count_datagrams(1392), 1);
    ck_assert_uint_eq(udp_count_datagrams(1393), 2);
    ck_assert_uint_eq(udp_count_datagrams(2 * 1392), 2);
    ck_assert_uint_eq(udp_count_datagrams((size_t)1392 * UDP_DATAGRAMS_MAX), UDP_DATAGRAMS_MAX);
    ck_assert_uint_eq(udp_count_datagrams((size_t)1392 * UDP_DATAGRAMS_MAX + 1),
                      UDP_DATAGRAMS_MAX + 1);
}
END_TEST

static Suite *
udp_suite(void)
{
    Suite *suite = suite_create("udp");
    TCase *tcase = tcase_create("udp");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_loop_test(tcase, parse_frame_takes_whole_requests_alone, 0, COUNT(datagrams));
    tcase_add_test(tcase, write_frame_is_big_endian);
    tcase_add_test(tcase, count_datagrams_rounds_up);
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    SRunner *runner = srunner_create(udp_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
