#include "base/hash.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_LEN_MAX                                                            \
    300u /* bytes; XXH3 takes other ways up to 16, 128 and 240 bytes, and above \
          */

START_TEST(hash_of_nothing_is_the_published_one)
{
    /* xxHash's specification, XXH3_64bits of the empty input. */
    ck_assert_uint_eq(hash_bytes("", 0, 0), UINT64_C(0x2d06800538d394c2));
}
END_TEST

START_TEST(hash_changes_with_the_seed_at_every_length)
{
    char text[TEXT_LEN_MAX];
    memset(text, 'k', sizeof(text));
    for (size_t len = 0; len <= sizeof(text); len++) {
        ck_assert_uint_eq(hash_bytes(text, len, 1), hash_bytes(text, len, 1));
        ck_assert_uint_ne(hash_bytes(text, len, 1), hash_bytes(text, len, 2));
    }
}
END_TEST

START_TEST(hash_changes_with_every_byte)
{
    char text[TEXT_LEN_MAX];
    memset(text, 'k', sizeof(text));
    uint64_t before = hash_bytes(text, sizeof(text), 1);
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = 'l';
        ck_assert_uint_ne(hash_bytes(text, sizeof(text), 1), before);
        text[i] = 'k';
    }
    ck_assert_uint_eq(hash_bytes(text, sizeof(text), 1), before);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("hash");
    tcase_add_test(tcase, hash_of_nothing_is_the_published_one);
    tcase_add_test(tcase, hash_changes_with_the_seed_at_every_length);
    tcase_add_test(tcase, hash_changes_with_every_byte);

    Suite *suite = suite_create("base/hash");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
