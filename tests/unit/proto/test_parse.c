#include "proto/parse.h"

#include <check.h>
#include <stdlib.h>

#include "support/guard.h"

/* A string with its length, so that it may hold NUL. */
#define BYTES(text)  (text), sizeof(text) - 1
#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static struct span
guard_word(const char *bytes, size_t len)
{
    return (struct span){ guard_copy(bytes, len), len };
}

static const struct {
    const char *bytes;
    size_t len;
    int token_len; /* -1: none found */
} token_cases[] = {
    { BYTES(""), -1 },
    { BYTES("a"), -1 },
    { BYTES(" "), 0 },
    { BYTES("a "), 1 },
    { BYTES("a\n"), 1 },
    { BYTES("a\r"), 1 },
    { BYTES("a\tb "), 1 },
    { BYTES("a\0b "), 1 },
    { BYTES("abcdefg"), -1 },
    { BYTES("abcdefg "), 7 },
    { BYTES("abcdefgh"), -1 },
    { BYTES("abcdefgh "), 8 },
    { BYTES("abcdefgh x"), 8 },
    { BYTES("abcdefghijklmno "), 15 },
    { BYTES("abcdefghijklmnopq\r\n"), 17 },
    { BYTES("a b c d "), 1 },
    { BYTES("!!!!!! !"), 6 },
    { BYTES("!\x1f!\x1f!!!!"), 1 },
    { BYTES("\x7f\x80\x81\xa0\xa1\xff ~"), 6 },
    { BYTES("\xa0\xa0\xa0\xa0\xa0\xa0\xa0\xa0\xa0\x20"), 9 },
};

START_TEST(quick_token_ends_at_the_first_space_or_control_byte)
{
    size_t len = token_cases[_i].len;
    const uint8_t *bytes = guard_copy(token_cases[_i].bytes, len);

    const uint8_t *behind = parse_quick_token(bytes, bytes + len);
    if (token_cases[_i].token_len < 0) {
        ck_assert_ptr_null(behind);
    } else {
        ck_assert_ptr_eq(behind, bytes + token_cases[_i].token_len);
    }
}
END_TEST

/* Eight bytes are looked at together: a byte must be judged the same wherever it lies among them.
 */
START_TEST(quick_token_judges_each_byte_value_in_each_place)
{
    for (unsigned place = 0; place < 24; place++) {
        for (unsigned other = 0x21; other < 0x100; other += 0x15) {
            uint8_t bytes[24];
            memset(bytes, (int)other, sizeof bytes);
            bytes[place] = (uint8_t)_i;
            const uint8_t *copy = guard_copy(bytes, sizeof bytes);

            const uint8_t *behind = parse_quick_token(copy, copy + sizeof bytes);
            if (_i <= ' ') {
                ck_assert_ptr_eq(behind, copy + place);
            } else {
                ck_assert_ptr_null(behind);
            }
            guard_free_all();
        }
    }
}
END_TEST

static const struct {
    const char *bytes;
    size_t digits_max;
    int len; /* -1: not taken */
    uint64_t value;
} quick_number_cases[] = {
    { "", 18, -1, 0 },
    { "5", 18, -1, 0 },
    { " ", 18, -1, 0 },
    { "x", 18, -1, 0 },
    { "-1 ", 18, -1, 0 },
    { "+1 ", 18, -1, 0 },
    { "0 ", 18, 1, 0 },
    { "5\r", 18, 1, 5 },
    { "5x", 18, 1, 5 },
    { "007 ", 18, 3, 7 },
    { "99/ ", 18, 2, 99 },
    { "99: ", 18, 2, 99 },
    { "12345678901 ", 11, 11, 12345678901 },
    { "123456789012 ", 11, -1, 0 },
    { "999999999999999999 ", 18, 18, 999999999999999999 },
    { "1000000000000000000 ", 18, -1, 0 },
};

START_TEST(quick_number_takes_plain_digits_up_to_a_count)
{
    size_t len = strlen(quick_number_cases[_i].bytes);
    const uint8_t *bytes = guard_copy(quick_number_cases[_i].bytes, len);
    uint64_t value = 0;

    const uint8_t *behind =
        parse_quick_number(bytes, bytes + len, quick_number_cases[_i].digits_max, &value);
    if (quick_number_cases[_i].len < 0) {
        ck_assert_ptr_null(behind);
    } else {
        ck_assert_ptr_eq(behind, bytes + quick_number_cases[_i].len);
        ck_assert_uint_eq(value, quick_number_cases[_i].value);
    }
}
END_TEST

#define UNTOUCHED 77

static const struct {
    const char *bytes;
    size_t len;
    enum parse_status status;
    uint64_t value;
} u64_cases[] = {
    { BYTES(""), PARSE_BAD, UNTOUCHED },
    { BYTES("0"), PARSE_DONE, 0 },
    { BYTES("10"), PARSE_DONE, 10 },
    { BYTES("007"), PARSE_DONE, 7 },
    { BYTES("9223372036854775808"), PARSE_DONE, 9223372036854775808u },
    { BYTES("18446744073709551615"), PARSE_DONE, UINT64_MAX },
    { BYTES("18446744073709551616"), PARSE_BAD, UNTOUCHED },
    { BYTES("18446744073709551620"), PARSE_BAD, UNTOUCHED },
    { BYTES("99999999999999999999"), PARSE_BAD, UNTOUCHED },
    { BYTES("184467440737095516150"), PARSE_BAD, UNTOUCHED },
    { BYTES("0000000000000000000005"), PARSE_DONE, 5 },
    { BYTES("00000000000000000000005"), PARSE_BAD, UNTOUCHED },
    { BYTES("+1"), PARSE_BAD, UNTOUCHED },
    { BYTES("-1"), PARSE_BAD, UNTOUCHED },
    { BYTES("1x"), PARSE_BAD, UNTOUCHED },
    { BYTES("x"), PARSE_BAD, UNTOUCHED },
    { BYTES("0x10"), PARSE_BAD, UNTOUCHED },
    { BYTES("1\r"), PARSE_BAD, UNTOUCHED },
    { BYTES("\t1"), PARSE_BAD, UNTOUCHED },
    { BYTES("1\0"), PARSE_BAD, UNTOUCHED },
    { BYTES("/"), PARSE_BAD, UNTOUCHED },
    { BYTES(":"), PARSE_BAD, UNTOUCHED },
};

START_TEST(word_u64_takes_only_whole_numbers_in_range)
{
    uint64_t value = UNTOUCHED;
    enum parse_status status =
        parse_word_u64(guard_word(u64_cases[_i].bytes, u64_cases[_i].len), &value);
    ck_assert_int_eq(status, u64_cases[_i].status);
    ck_assert_uint_eq(value, u64_cases[_i].value);
}
END_TEST

static const struct {
    const char *bytes;
    enum parse_status status;
    uint32_t value;
} value_len_cases[] = {
    { "", PARSE_BAD, UNTOUCHED },
    { "0", PARSE_DONE, 0 },
    { "1048576", PARSE_DONE, 1048576 },
    { "2147483645", PARSE_DONE, VALUE_LEN_LIMIT },
    { "2147483646", PARSE_BAD, UNTOUCHED },
    { "2147483647", PARSE_BAD, UNTOUCHED },
    { "4294967295", PARSE_BAD, UNTOUCHED },
    { "4294967296", PARSE_BAD, UNTOUCHED },
    { "18446744073709551617", PARSE_BAD, UNTOUCHED },
    { "-1", PARSE_BAD, UNTOUCHED },
    { "+2", PARSE_BAD, UNTOUCHED },
    { "2x", PARSE_BAD, UNTOUCHED },
    { "00000000002", PARSE_DONE, 2 },
    { "000000000002", PARSE_BAD, UNTOUCHED },
};

START_TEST(word_value_len_takes_lengths_up_to_the_limit)
{
    uint32_t value = UNTOUCHED;
    const char *bytes = value_len_cases[_i].bytes;
    enum parse_status status = parse_word_value_len(guard_word(bytes, strlen(bytes)), &value);
    ck_assert_int_eq(status, value_len_cases[_i].status);
    ck_assert_uint_eq(value, value_len_cases[_i].value);
}
END_TEST

static const struct {
    const char *bytes;
    size_t len;
    enum parse_status strict;
    enum parse_status lax;
    int64_t value; /* of those that say PARSE_DONE */
} exptime_cases[] = {
    { BYTES(""), PARSE_BAD, PARSE_BAD, 0 },
    { BYTES("-"), PARSE_BAD, PARSE_BAD, 0 },
    { BYTES("+"), PARSE_BAD, PARSE_BAD, 0 },
    { BYTES("x"), PARSE_BAD, PARSE_BAD, 0 },
    { BYTES("0"), PARSE_DONE, PARSE_DONE, 0 },
    { BYTES("-0"), PARSE_DONE, PARSE_DONE, 0 },
    { BYTES("-1"), PARSE_DONE, PARSE_DONE, -1 },
    { BYTES("3600"), PARSE_DONE, PARSE_DONE, 3600 },
    { BYTES("2147483648"), PARSE_DONE, PARSE_DONE, 2147483648 },
    { BYTES("4102444800"), PARSE_DONE, PARSE_DONE, 4102444800 },
    { BYTES("9223372036854775807"), PARSE_DONE, PARSE_DONE, INT64_MAX },
    { BYTES("9223372036854775808"), PARSE_DONE, PARSE_DONE, INT64_MAX },
    { BYTES("18446744073709551617"), PARSE_DONE, PARSE_DONE, INT64_MAX },
    { BYTES("9999999999999999999999"), PARSE_DONE, PARSE_DONE, INT64_MAX },
    { BYTES("99999999999999999999999"), PARSE_BAD, PARSE_DONE, INT64_MAX },
    { BYTES("-9223372036854775807"), PARSE_DONE, PARSE_DONE, -INT64_MAX },
    { BYTES("-9223372036854775808"), PARSE_DONE, PARSE_DONE, INT64_MIN },
    { BYTES("-9223372036854775809"), PARSE_DONE, PARSE_DONE, INT64_MIN },
    { BYTES("-99999999999999999999"), PARSE_DONE, PARSE_DONE, INT64_MIN },
    { BYTES("-999999999999999999999"), PARSE_DONE, PARSE_DONE, INT64_MIN },
    { BYTES("-9999999999999999999999"), PARSE_BAD, PARSE_DONE, INT64_MIN },
    { BYTES("+5"), PARSE_BAD, PARSE_DONE, 5 },
    { BYTES("--5"), PARSE_BAD, PARSE_BAD, 0 },
    { BYTES("+-5"), PARSE_BAD, PARSE_BAD, 0 },
    { BYTES("5x"), PARSE_BAD, PARSE_BAD, 0 },
    { BYTES("0x10"), PARSE_BAD, PARSE_BAD, 0 },
    { BYTES("5\0"), PARSE_BAD, PARSE_BAD, 0 },
    { BYTES("\t5"), PARSE_BAD, PARSE_DONE, 5 },
    { BYTES("\v\f\r-5"), PARSE_BAD, PARSE_DONE, -5 },
    { BYTES("-\t5"), PARSE_BAD, PARSE_BAD, 0 },
    { BYTES("\t"), PARSE_BAD, PARSE_BAD, 0 },
    { BYTES("5\tx"), PARSE_BAD, PARSE_DONE, 5 },
    { BYTES("5\r"), PARSE_BAD, PARSE_DONE, 5 },
};

START_TEST(word_exptime_takes_a_minus_and_clamps)
{
    struct span word = guard_word(exptime_cases[_i].bytes, exptime_cases[_i].len);
    int64_t value = UNTOUCHED;
    ck_assert_int_eq(parse_word_exptime(word, &value), exptime_cases[_i].strict);
    bool done = exptime_cases[_i].strict == PARSE_DONE;
    ck_assert_int_eq(value, done ? exptime_cases[_i].value : UNTOUCHED);
}
END_TEST

START_TEST(word_exptime_lax_takes_what_strtol_takes)
{
    struct span word = guard_word(exptime_cases[_i].bytes, exptime_cases[_i].len);
    int64_t value = UNTOUCHED;
    ck_assert_int_eq(parse_word_exptime_lax(word, &value), exptime_cases[_i].lax);
    bool done = exptime_cases[_i].lax == PARSE_DONE;
    ck_assert_int_eq(value, done ? exptime_cases[_i].value : UNTOUCHED);
}
END_TEST

static const struct {
    const char *bytes;
    enum parse_status status;
    uint32_t value;
} flags_cases[] = {
    { "", PARSE_BAD, UNTOUCHED },
    { "0", PARSE_DONE, 0 },
    { "+5", PARSE_DONE, 5 },
    { "-0", PARSE_DONE, 0 },
    { "-1", PARSE_BAD, UNTOUCHED },
    { "-4294967297", PARSE_BAD, UNTOUCHED },
    { "2147483648", PARSE_DONE, 2147483648 },
    { "4294967295", PARSE_DONE, UINT32_MAX },
    { "4294967296", PARSE_DONE, 0 },
    { "4294967297", PARSE_DONE, 1 },
    { "9223372036854775808", PARSE_DONE, 0 },
    { "18446744073709551615", PARSE_DONE, UINT32_MAX },
    { "18446744073709551616", PARSE_BAD, UNTOUCHED },
    { "-9223372036854775808", PARSE_BAD, UNTOUCHED },
    { "-18446744073709551615", PARSE_DONE, 1 },
    { "-18446744073709551616", PARSE_BAD, UNTOUCHED },
    { "00000000000000000000000000000005", PARSE_DONE, 5 },
    { "0x10", PARSE_BAD, UNTOUCHED },
    { "+", PARSE_BAD, UNTOUCHED },
    { "+-5", PARSE_BAD, UNTOUCHED },
    { "abc", PARSE_BAD, UNTOUCHED },
    { "\t5", PARSE_DONE, 5 },
    { "5\t", PARSE_DONE, 5 },
    { "5\tx", PARSE_DONE, 5 },
};

START_TEST(word_flags_lax_wraps_and_refuses_negatives)
{
    uint32_t value = UNTOUCHED;
    const char *bytes = flags_cases[_i].bytes;
    enum parse_status status = parse_word_flags_lax(guard_word(bytes, strlen(bytes)), &value);
    ck_assert_int_eq(status, flags_cases[_i].status);
    ck_assert_uint_eq(value, flags_cases[_i].value);
}
END_TEST

START_TEST(span_equals_compares_length_and_bytes)
{
    struct span word = guard_word("noreply", 7);
    ck_assert(span_equals(word, "noreply"));
    ck_assert(!span_equals(word, "noreplyx"));
    ck_assert(!span_equals(word, "norepl"));
    ck_assert(!span_equals(word, "norepLy"));
    ck_assert(!span_equals(word, ""));
    ck_assert(span_equals(guard_word("", 0), ""));
}
END_TEST

static Suite *
parse_suite(void)
{
    Suite *suite = suite_create("parse");
    TCase *tcase = tcase_create("steps");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_loop_test(tcase, quick_token_ends_at_the_first_space_or_control_byte, 0,
                        COUNT(token_cases));
    tcase_add_loop_test(tcase, quick_token_judges_each_byte_value_in_each_place, 0, 256);
    tcase_add_loop_test(tcase, quick_number_takes_plain_digits_up_to_a_count, 0,
                        COUNT(quick_number_cases));
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("words");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_loop_test(tcase, word_u64_takes_only_whole_numbers_in_range, 0, COUNT(u64_cases));
    tcase_add_loop_test(tcase, word_value_len_takes_lengths_up_to_the_limit, 0,
                        COUNT(value_len_cases));
    tcase_add_loop_test(tcase, word_exptime_takes_a_minus_and_clamps, 0, COUNT(exptime_cases));
    tcase_add_loop_test(tcase, word_exptime_lax_takes_what_strtol_takes, 0, COUNT(exptime_cases));
    tcase_add_loop_test(tcase, word_flags_lax_wraps_and_refuses_negatives, 0, COUNT(flags_cases));
    tcase_add_test(tcase, span_equals_compares_length_and_bytes);
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    SRunner *runner = srunner_create(parse_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
