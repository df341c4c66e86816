#include "base/siphash.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Key 00 01 .. 0f, input 00 01 .. of the length; made with OpenSSL's SIPHASH, size 16.  The first
 * is also the first of the reference implementation. */
static const struct {
    size_t len;
    const char *digest;
} cases[] = {
    { 0, "a3817f04ba25a8e66df67214c7550293" },  { 1, "da87c1d86b99af44347659119b22fc45" },
    { 7, "a1f1ebbed8dbc153c0b84aa61ff08239" },  { 8, "3b62a9ba6258f5610f83e264f31497b4" },
    { 15, "5493e99933b0a8117e08ec0f97cfc3d9" }, { 16, "6ee2a4ca67b054bbfd3315bf85230577" },
    { 63, "5150d1772f50834a503e069a973fbd7c" }, { 255, "1c9bb67528165f8e468248e3799b0eab" },
};

START_TEST(siphash_gives_the_digests_of_others)
{
    uint8_t bytes[256];
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)i;
    }
    uint8_t digest[SIPHASH_DIGEST_LEN];
    siphash128(bytes, cases[_i].len > 0 ? bytes : NULL, cases[_i].len, digest);
    char hex[2 * SIPHASH_DIGEST_LEN + 1];
    for (unsigned i = 0; i < SIPHASH_DIGEST_LEN; i++) {
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    ck_assert_str_eq(hex, cases[_i].digest);
}
END_TEST

START_TEST(siphash_changes_with_the_key)
{
    uint8_t key[SIPHASH_KEY_LEN] = { 0 };
    uint8_t first[SIPHASH_DIGEST_LEN];
    siphash128(key, "secret", 6, first);
    for (unsigned i = 0; i < sizeof(key); i++) {
        key[i] = 1;
        uint8_t other[SIPHASH_DIGEST_LEN];
        siphash128(key, "secret", 6, other);
        ck_assert_mem_ne(other, first, sizeof(first));
        key[i] = 0;
    }
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("siphash");
    tcase_add_loop_test(tcase, siphash_gives_the_digests_of_others, 0,
                        (int)(sizeof(cases) / sizeof(cases[0])));
    tcase_add_test(tcase, siphash_changes_with_the_key);

    Suite *suite = suite_create("base/siphash");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
