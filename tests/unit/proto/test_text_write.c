#include "proto/text.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/guard.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

/** Compares `at` up to `behind` with a text; the room must have been as long as that. */
static void
check_bytes(const uint8_t *at, const uint8_t *behind, const char *text)
{
    ck_assert_uint_eq((size_t)(behind - at), strlen(text));
    ck_assert_mem_eq(at, text, strlen(text));
}

/* Every count of digits, its first and its last number, written into room for just that many. */
START_TEST(write_u64_writes_every_length_of_number)
{
    uint64_t power = 1;
    for (int digits = 1; digits < _i; digits++) {
        power *= 10;
    }
    uint64_t last = _i == 20 ? UINT64_MAX : power * 10 - 1;
    const uint64_t numbers[] = { _i == 1 ? 0 : power, power + 1, power + power / 3, last - 1,
                                 last };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, "%" PRIu64, numbers[i]);
        uint8_t *room = guard_room((size_t)len);
        check_bytes(room, text_write_u64(room, numbers[i]), text);

        len = snprintf(text, sizeof text, "%" PRIu64 "\r\n", numbers[i]);
        ck_assert_uint_le((size_t)len, TEXT_NUMBER_MAX);
        room = guard_room((size_t)len);
        check_bytes(room, text_write_number(room, numbers[i]), text);
    }
}
END_TEST

START_TEST(write_u64_writes_all_numbers_of_up_to_five_digits)
{
    for (uint64_t number = 0; number < 100000; number++) {
        char text[32];
        uint8_t room[20];
        (void)snprintf(text, sizeof text, "%" PRIu64, number);
        check_bytes(room, text_write_u64(room, number), text);
    }
}
END_TEST

static const struct {
    const char *key;
    uint32_t flags;
    uint64_t value_len;
    uint64_t cas;
    const char *text;
    const char *text_cas;
} head_cases[] = {
    { "k", 0, 0, 0, "VALUE k 0 0\r\n", "VALUE k 0 0 0\r\n" },
    { "key", 5, 100, 2, "VALUE key 5 100\r\n", "VALUE key 5 100 2\r\n" },
    { "a\tb\x80", 16, 1048576, 123456789, "VALUE a\tb\x80 16 1048576\r\n",
      "VALUE a\tb\x80 16 1048576 123456789\r\n" },
    { "k", UINT32_MAX, UINT32_MAX, UINT64_MAX, "VALUE k 4294967295 4294967295\r\n",
      "VALUE k 4294967295 4294967295 18446744073709551615\r\n" },
};

START_TEST(write_value_head_writes_the_line_and_no_byte_more)
{
    const char *key = head_cases[_i].key;
    uint8_t *room = guard_room(strlen(head_cases[_i].text));
    uint8_t *behind = text_write_value_head(room, key, strlen(key), head_cases[_i].flags,
                                            head_cases[_i].value_len);
    check_bytes(room, behind, head_cases[_i].text);

    room = guard_room(strlen(head_cases[_i].text_cas));
    behind = text_write_value_head_cas(room, key, strlen(key), head_cases[_i].flags,
                                       head_cases[_i].value_len, head_cases[_i].cas);
    check_bytes(room, behind, head_cases[_i].text_cas);
}
END_TEST

START_TEST(write_value_head_at_its_longest_fills_the_room_named)
{
    char key[KEY_LEN_MAX];
    memset(key, 'k', sizeof key);
    uint8_t *room = guard_room(TEXT_VALUE_HEAD_MAX);
    uint8_t *behind =
        text_write_value_head_cas(room, key, sizeof key, UINT32_MAX, UINT32_MAX, UINT64_MAX);
    ck_assert_ptr_eq(behind, room + TEXT_VALUE_HEAD_MAX);
}
END_TEST

static const struct {
    enum request_error error;
    const char *text;
} error_cases[] = {
    { REQUEST_ERR_UNKNOWN, "ERROR\r\n" },
    { REQUEST_ERR_FORMAT, "CLIENT_ERROR bad command line format\r\n" },
    { REQUEST_ERR_EXPTIME, "CLIENT_ERROR invalid exptime argument\r\n" },
    { REQUEST_ERR_DELTA, "CLIENT_ERROR invalid numeric delta argument\r\n" },
    { REQUEST_ERR_DELETE,
      "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n" },
    { REQUEST_ERR_META_OPTIONS, "CLIENT_ERROR options flags are too long\r\n" },
    { REQUEST_ERR_META_DUPLICATE, "CLIENT_ERROR duplicate flag\r\n" },
    { REQUEST_ERR_META_FLAG, "CLIENT_ERROR invalid flag\r\n" },
    { REQUEST_ERR_META_TOKEN, "CLIENT_ERROR bad token in command line format\r\n" },
    { REQUEST_ERR_META_DELTA, "CLIENT_ERROR invalid numeric delta value\r\n" },
    { REQUEST_ERR_META_INITIAL, "CLIENT_ERROR invalid numeric initial value\r\n" },
    { REQUEST_ERR_META_KEY, "CLIENT_ERROR error decoding key\r\n" },
    { REQUEST_ERR_META_OPAQUE, "CLIENT_ERROR opaque token too long\r\n" },
    { REQUEST_ERR_META_MS_MODE, "CLIENT_ERROR invalid mode for ms M token\r\n" },
    { REQUEST_ERR_META_MA_MODE, "CLIENT_ERROR invalid mode for ma M token\r\n" },
    { REQUEST_ERR_META_MA, "CLIENT_ERROR invalid or duplicate flag\r\n" },
};

START_TEST(error_reply_is_the_whole_line)
{
    struct span reply = text_error_reply(error_cases[_i].error);
    check_bytes(reply.at, reply.at + reply.len, error_cases[_i].text);
}
END_TEST

static Suite *
text_write_suite(void)
{
    Suite *suite = suite_create("text_write");
    TCase *tcase = tcase_create("text_write");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_loop_test(tcase, write_u64_writes_every_length_of_number, 1, 20 + 1);
    tcase_add_test(tcase, write_u64_writes_all_numbers_of_up_to_five_digits);
    tcase_add_loop_test(tcase, write_value_head_writes_the_line_and_no_byte_more, 0,
                        COUNT(head_cases));
    tcase_add_test(tcase, write_value_head_at_its_longest_fills_the_room_named);
    tcase_add_loop_test(tcase, error_reply_is_the_whole_line, 0, COUNT(error_cases));
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    SRunner *runner = srunner_create(text_write_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
