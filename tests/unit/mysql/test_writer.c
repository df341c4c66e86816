#include "mysql/writer.h"

#include <check.h>
#include <stdlib.h>

#include "mysql/crc32.h"
#include "support/guard.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static const struct {
    double number;
    bool is_float;
    const char *text;
} reals[] = {
    { 0.0, false, "0" },
    { -0.0, false, "-0" },
    { 1.0, false, "1" },
    { -1.5, false, "-1.5" },
    { 0.1, false, "0.1" },
    { 1e14, false, "100000000000000" },
    { 1e15, false, "1e15" },
    { 123456789012345.6, false, "123456789012345.6" },
    { 1e-5, false, "0.00001" },
    { 1.25e-16, false, "1.25e-16" },
    { 1.7976931348623157e308, false, "1.7976931348623157e308" },
    { 5e-324, false, "5e-324" },
    { 16777217, true, "16777200" },
    { 3.14159274, true, "3.14159" },
    { 1e10, true, "10000000000" },
};

START_TEST(reals_are_printed_as_the_servers_do)
{
    char room[64];
    struct writer out = writer(room, sizeof(room) - 1);
    writer_put_real(&out, reals[_i].number, reals[_i].is_float);
    room[out.len] = '\0';
    ck_assert_str_eq(room, reals[_i].text);
}
END_TEST

START_TEST(a_full_writer_keeps_to_its_room)
{
    struct writer out = writer((char *)guard_room(3), 3);
    writer_put_text(&out, "abc");
    ck_assert(!out.is_full);
    writer_put_char(&out, 'd');
    ck_assert(out.is_full);
    ck_assert_uint_eq(out.len, 3);
    out = writer((char *)guard_room(3), 3);
    writer_put_text(&out, "abcd");
    writer_put_text(&out, "a");
    ck_assert(out.is_full);
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(numbers_hex_and_base64)
{
    char room[200];
    struct writer out = writer(room, sizeof(room) - 1);
    writer_put_number(&out, UINT64_MAX, 1);
    writer_put_char(&out, ' ');
    writer_put_signed(&out, INT64_MIN);
    writer_put_char(&out, ' ');
    writer_put_number(&out, 7, 3);
    writer_put_char(&out, ' ');
    writer_put_hex(&out, (const uint8_t *)"\x0f\xa0", 2);
    writer_put_char(&out, ' ');
    writer_put_base64(&out, (const uint8_t *)"\xff", 1);
    writer_put_base64(&out, (const uint8_t *)"ab", 2);
    writer_put_base64(&out, (const uint8_t *)"abc", 3);
    room[out.len] = '\0';
    ck_assert_str_eq(room, "18446744073709551615 -9223372036854775808 007 0fa0 /w==YWI=YWJj");
}
END_TEST

START_TEST(json_text_is_escaped)
{
    char room[100];
    struct writer out = writer(room, sizeof(room) - 1);
    writer_put_json_text(&out, (const uint8_t *)"a\"b\\c\n\x1f\x7fä/", 11);
    room[out.len] = '\0';
    ck_assert_str_eq(room, "a\\\"b\\\\c\\n\\u001f\x7fä/");
}
END_TEST

/* The check value that every description of the polynomial names; and any cut adds up. */
START_TEST(crc32_is_the_usual_one)
{
    ck_assert_uint_eq(crc32_add(0, "123456789", 9), 0xcbf43926);
    uint8_t bytes[100];
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 37);
    }
    uint32_t all = crc32_add(0, bytes, sizeof(bytes));
    for (unsigned i = 0; i <= sizeof(bytes); i++) {
        ck_assert_uint_eq(crc32_add(crc32_add(0, bytes, i), bytes + i, sizeof(bytes) - i), all);
    }
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("writer");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_loop_test(tcase, reals_are_printed_as_the_servers_do, 0, COUNT(reals));
    tcase_add_test(tcase, a_full_writer_keeps_to_its_room);
    tcase_add_test(tcase, numbers_hex_and_base64);
    tcase_add_test(tcase, json_text_is_escaped);
    tcase_add_test(tcase, crc32_is_the_usual_one);
    Suite *suite = suite_create("mysql/writer");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
