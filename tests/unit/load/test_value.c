/* Values: the right ones pass in pieces of any length, and every change is found. */
#include "config.h"

#include "bench/load/value.h"
#include "support/guard.h"

#include <check.h>
#include <stdlib.h>

#define HASH  0x0123456789abcdefu
#define OTHER 0x1123456789abcdeeu

static enum value_verdict
judge(uint64_t hash, const uint8_t *value, uint32_t len, uint32_t piece)
{
    struct value_check check;
    value_check_begin(&check, hash, len);
    for (uint32_t at = 0; at < len; at += piece) {
        value_check_bytes(&check, value + at, len - at < piece ? len - at : piece);
    }
    return check.verdict;
}

static const uint32_t lens[] = { 0, 1, 15, 16, 17, 100, 4093, 4094, 4110, 20000 };

START_TEST(a_value_is_right_in_pieces_of_any_length)
{
    uint32_t len = lens[_i];
    uint8_t *value = guard_room(len);
    value_write(value, HASH, 42, len);
    for (uint32_t piece = 1; piece < 40; piece++) {
        ck_assert_int_eq(judge(HASH, value, len, piece), VALUE_RIGHT);
    }
    ck_assert_int_eq(judge(HASH, value, len, len + 1), VALUE_RIGHT);
}
END_TEST

START_TEST(a_change_of_any_byte_is_found)
{
    uint32_t len = lens[_i] < 5000 ? lens[_i] : 4200;
    uint8_t *value = guard_room(len);
    value_write(value, HASH, 42, len);
    uint32_t missed = 0; /* an assertion for each would take long */
    for (uint32_t i = 0; i < len; i++) {
        value[i] ^= 1;
        missed += judge(HASH, value, len, 1000) == VALUE_RIGHT;
        value[i] ^= 1;
    }
    ck_assert_uint_eq(missed, 0);
}
END_TEST

START_TEST(another_keys_value_is_foreign)
{
    uint8_t value[64];
    value_write(value, OTHER, 42, sizeof(value));
    ck_assert_int_eq(judge(HASH, value, sizeof(value), 64), VALUE_FOREIGN);
    value_write(value, OTHER, 42, 8);
    ck_assert_int_eq(judge(HASH, value, 8, 64), VALUE_WRONG);
}
END_TEST

START_TEST(a_value_cut_short_or_of_two_versions_is_wrong)
{
    uint8_t value[64], later[64];
    value_write(value, HASH, 42, sizeof(value));
    ck_assert_int_eq(judge(HASH, value, 63, 64), VALUE_WRONG);
    ck_assert_int_eq(judge(HASH, value, 10, 64), VALUE_WRONG);
    value_write(later, HASH, 43, sizeof(later));
    for (unsigned i = 32; i < sizeof(value); i++) {
        value[i] = later[i];
    }
    ck_assert_int_eq(judge(HASH, value, sizeof(value), 64), VALUE_WRONG);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int
main(void)
{
    value_prepare();
    Suite *suite = suite_create("value");
    TCase *tcase = tcase_create("value");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_loop_test(tcase, a_value_is_right_in_pieces_of_any_length, 0, COUNT(lens));
    tcase_add_loop_test(tcase, a_change_of_any_byte_is_found, 0, COUNT(lens));
    tcase_add_test(tcase, another_keys_value_is_foreign);
    tcase_add_test(tcase, a_value_cut_short_or_of_two_versions_is_wrong);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
