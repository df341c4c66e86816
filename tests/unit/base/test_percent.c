#include "base/percent.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(percent_leaves_what_is_unreserved)
{
    static const char plain[] = "ABCXYZabcxyz0189-._~";
    char out[sizeof(plain) * PERCENT_GROWTH];
    char *end = percent_encode(out, plain, sizeof(plain) - 1);
    ck_assert_uint_eq((size_t)(end - out), sizeof(plain) - 1);
    ck_assert_int_eq(memcmp(out, plain, sizeof(plain) - 1), 0);
}
END_TEST

/* Every byte comes back by the rule of RFC 3986, and none is a blank or a control byte. */
START_TEST(percent_encodes_every_byte)
{
    for (unsigned c = 0; c < 256; c++) {
        uint8_t byte = (uint8_t)c;
        char out[PERCENT_GROWTH + 1];
        char *end = percent_encode(out, &byte, 1);
        *end = '\0';
        if (end - out == 1) {
            ck_assert_int_eq((uint8_t)out[0], byte);
            ck_assert_ptr_nonnull(strchr("-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "abcdefghijklmnopqrstuvwxyz",
                                         out[0]));
            continue;
        }
        char expected[4];
        snprintf(expected, sizeof(expected), "%%%02X", c);
        ck_assert_str_eq(out, expected);
    }
}
END_TEST

START_TEST(percent_of_nothing_is_nothing)
{
    char out[1];
    ck_assert_ptr_eq(percent_encode(out, "", 0), out);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("percent");
    TCase *tcase = tcase_create("percent");
    tcase_add_test(tcase, percent_leaves_what_is_unreserved);
    tcase_add_test(tcase, percent_encodes_every_byte);
    tcase_add_test(tcase, percent_of_nothing_is_nothing);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
