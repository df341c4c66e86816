#include "proto/binary.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support/guard.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))
#define BYTES(text)  (text), sizeof(text) - 1

static struct span
span_of(const char *text)
{
    return (struct span){ (const uint8_t *)text, strlen(text) };
}

/** An echo whose opaque is the bytes "abcd" on the wire. */
static struct binary_echo
echo_of(unsigned opcode)
{
    struct binary_echo echo = { .opcode = (uint8_t)opcode };
    memcpy(&echo.opaque, "abcd", 4);
    return echo;
}

static void
check_bytes(const uint8_t *at, const uint8_t *behind, const char *want, size_t want_len)
{
    ck_assert_uint_eq((size_t)(behind - at), want_len);
    ck_assert_mem_eq(at, want, want_len);
}

#define NO_CAS "\0\0\0\0\0\0\0\0"
#define CAS    "\1\2\3\4\5\6\7\x8"
#define CAS_ID 0x0102030405060708u

START_TEST(write_ok_is_a_bare_header)
{
    uint8_t *room = guard_room(BINARY_OK_MAX);
    uint8_t *behind = binary_write_ok(room, echo_of(0x11), CAS_ID);
    check_bytes(room, behind, BYTES("\x81\x11\0\0\0\0\0\0\0\0\0\0abcd" CAS));
}
END_TEST

START_TEST(write_header_places_every_field)
{
    uint8_t *room = guard_room(BINARY_HEADER_LEN);
    uint8_t *behind = binary_write_header(room, echo_of(0xfe), BINARY_STATUS_AUTH_CONTINUE, 0x0102,
                                          0x03, 0x04050607, CAS_ID);
    check_bytes(room, behind, BYTES("\x81\xfe\1\2\3\0\0\x21\4\5\6\7abcd" CAS));
}
END_TEST

START_TEST(write_value_head_has_flags_and_a_key_perhaps)
{
    const char with[] = "\x81\x0c\0\3\4\0\0\0\0\0\0\x0c"
                        "abcd" CAS "\x12\x34\x56\x78key";
    uint8_t *room = guard_room(sizeof with - 1);
    uint8_t *behind =
        binary_write_value_head(room, echo_of(0x0c), span_of("key"), 0x12345678, 5, CAS_ID);
    check_bytes(room, behind, BYTES(with));

    const char without[] = "\x81\0\0\0\4\0\0\0\0\1\0\4"
                           "abcd" NO_CAS "\0\0\0\5";
    room = guard_room(sizeof without - 1);
    behind = binary_write_value_head(room, echo_of(0), (struct span){ NULL, 0 }, 5, 65536, 0);
    check_bytes(room, behind, BYTES(without));
}
END_TEST

START_TEST(write_value_head_at_its_longest_fills_the_room_named)
{
    char key[KEY_LEN_MAX + 1];
    memset(key, 'k', KEY_LEN_MAX);
    key[KEY_LEN_MAX] = '\0';
    uint8_t *room = guard_room(BINARY_VALUE_HEAD_MAX);
    uint8_t *behind =
        binary_write_value_head(room, echo_of(0x0c), span_of(key), 0, 1u << 30, CAS_ID);
    ck_assert_ptr_eq(behind, room + BINARY_VALUE_HEAD_MAX);

    room = guard_room(BINARY_HEADER_LEN + KEY_LEN_MAX);
    behind = binary_write_key_miss(room, echo_of(0x0c), span_of(key));
    ck_assert_ptr_eq(behind, room + BINARY_HEADER_LEN + KEY_LEN_MAX);
}
END_TEST

START_TEST(write_number_is_eight_bytes_big_endian)
{
    uint8_t *room = guard_room(BINARY_NUMBER_MAX);
    uint8_t *behind = binary_write_number(room, echo_of(5), 0xf1f2f3f4f5f6f7f8u, CAS_ID);
    check_bytes(room, behind,
                BYTES("\x81\5\0\0\0\0\0\0\0\0\0\x8"
                      "abcd" CAS "\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8"));
}
END_TEST

START_TEST(write_key_miss_has_the_key_as_its_body)
{
    const char want[] = "\x81\x0c\0\3\0\0\0\1\0\0\0\3"
                        "abcd" NO_CAS "key";
    uint8_t *room = guard_room(sizeof want - 1);
    check_bytes(room, binary_write_key_miss(room, echo_of(0x0c), span_of("key")), BYTES(want));
}
END_TEST

START_TEST(write_text_has_neither_key_nor_extras)
{
    const char want[] = "\x81\x0b\0\0\0\0\0\0\0\0\0\6"
                        "abcd" NO_CAS "1.6.45";
    uint8_t *room = guard_room(sizeof want - 1);
    uint8_t *behind = binary_write_text(room, echo_of(0x0b), BINARY_STATUS_OK, span_of("1.6.45"));
    check_bytes(room, behind, BYTES(want));
}
END_TEST

static const struct {
    enum binary_status status;
    uint8_t byte;
    const char *text;
} statuses[] = {
    { BINARY_STATUS_OK, 0x00, "" },
    { BINARY_STATUS_NOT_FOUND, 0x01, "Not found" },
    { BINARY_STATUS_EXISTS, 0x02, "Data exists for key." },
    { BINARY_STATUS_TOO_LARGE, 0x03, "Too large." },
    { BINARY_STATUS_INVALID, 0x04, "Invalid arguments" },
    { BINARY_STATUS_NOT_STORED, 0x05, "Not stored." },
    { BINARY_STATUS_NOT_NUMBER, 0x06, "Non-numeric server-side value for incr or decr" },
    { BINARY_STATUS_AUTH_ERROR, 0x20, "Auth failure." },
    { BINARY_STATUS_AUTH_CONTINUE, 0x21, "" },
    { BINARY_STATUS_UNKNOWN, 0x81, "Unknown command" },
    { BINARY_STATUS_NO_MEMORY, 0x82, "Out of memory" },
};

START_TEST(write_error_has_status_and_text)
{
    size_t text_len = strlen(statuses[_i].text);
    ck_assert_uint_le(BINARY_HEADER_LEN + text_len, BINARY_ERROR_MAX);
    uint8_t *room = guard_room(BINARY_HEADER_LEN + text_len);
    uint8_t *behind = binary_write_error(room, echo_of(1), statuses[_i].status);

    ck_assert_ptr_eq(behind, room + BINARY_HEADER_LEN + text_len);
    ck_assert_mem_eq(room, "\x81\1\0\0\0\0\0", 7);
    ck_assert_uint_eq(room[7], statuses[_i].byte);
    ck_assert_mem_eq(room + 8, "\0\0\0", 3);
    ck_assert_uint_eq(room[11], text_len);
    ck_assert_mem_eq(room + 12, "abcd" NO_CAS, 12);
    ck_assert_mem_eq(room + BINARY_HEADER_LEN, statuses[_i].text, text_len);
}
END_TEST

static Suite *
binary_write_suite(void)
{
    Suite *suite = suite_create("binary_write");
    TCase *tcase = tcase_create("binary_write");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_test(tcase, write_ok_is_a_bare_header);
    tcase_add_test(tcase, write_header_places_every_field);
    tcase_add_test(tcase, write_value_head_has_flags_and_a_key_perhaps);
    tcase_add_test(tcase, write_value_head_at_its_longest_fills_the_room_named);
    tcase_add_test(tcase, write_number_is_eight_bytes_big_endian);
    tcase_add_test(tcase, write_key_miss_has_the_key_as_its_body);
    tcase_add_test(tcase, write_text_has_neither_key_nor_extras);
    tcase_add_loop_test(tcase, write_error_has_status_and_text, 0, COUNT(statuses));
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    SRunner *runner = srunner_create(binary_write_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
