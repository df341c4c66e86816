#include "proto/base64.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support/guard.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static const struct {
    const char *bytes;
    const char *text;
} pairs[] = {
    { "", "" },
    { "f", "Zg==" },
    { "fo", "Zm8=" },
    { "foo", "Zm9v" },
    { "foob", "Zm9vYg==" },
    { "fooba", "Zm9vYmE=" },
    { "foobar", "Zm9vYmFy" },
    { "\xfb\xff\xbf", "+/+/" },
    { "\xff\xff\xff", "////" },
};

START_TEST(encode_writes_padded_groups)
{
    size_t len = strlen(pairs[_i].bytes);
    const uint8_t *bytes = guard_copy(pairs[_i].bytes, len);
    uint8_t *room = guard_room(BASE64_LEN(len));

    uint8_t *behind = base64_encode(room, bytes, len);

    ck_assert_uint_eq((size_t)(behind - room), strlen(pairs[_i].text));
    ck_assert_mem_eq(room, pairs[_i].text, strlen(pairs[_i].text));
}
END_TEST

/* What comes out, or NULL for a text that is refused. */
static const struct {
    const char *text;
    const char *bytes;
} texts[] = {
    { "", NULL },
    { "Z", NULL },
    { "Zg", NULL },
    { "Zg=", NULL },
    { "Zg==", "f" },
    { "Zm8=", "fo" },
    { "Zm9v", "foo" },
    { "Zm9vYmFy", "foobar" },
    { "+/+/", "\xfb\xff\xbf" },
    /* bits that fill no byte are dropped */
    { "ZR==", "e" },
    { "Zm9=", "fo" },
    /* too much padding */
    { "Z===", NULL },
    { "====", NULL },
    { "Zm9v====", NULL },
    { "Zm9v===v", NULL },
    /* a group with padding is the last, wherever its padding stands */
    { "Zm8=Zm8=", "fo" },
    { "Zg==Zm9v", "f" },
    { "=a2V", "\x01\xad" },
    /* other bytes are passed over */
    { "Zm:9v", "foo" },
    { "Z m 9\tv", "foo" },
    { "Zm9v!!!!", "foo" },
    { "\xff"
      "Zm9v\x80",
      "foo" },
    { "!!!!", NULL },
    { "-_-_", NULL },
    { "Zm-9", NULL },
    { "@[`{", NULL },
};

START_TEST(decode_is_as_lax_as_the_original)
{
    size_t len = strlen(texts[_i].text);
    const uint8_t *text = guard_copy(texts[_i].text, len);
    uint8_t *room = guard_room(len / 4 * 3);

    size_t got = base64_decode(room, text, len);

    if (texts[_i].bytes == NULL) {
        ck_assert_uint_eq(got, 0);
    } else {
        ck_assert_uint_eq(got, strlen(texts[_i].bytes));
        ck_assert_mem_eq(room, texts[_i].bytes, got);
    }
}
END_TEST

/* All byte values, at every length of a key. */
START_TEST(decode_turns_encode_back)
{
    uint8_t bytes[256];
    uint8_t text[BASE64_LEN(sizeof bytes)];
    uint8_t back[BASE64_LEN(sizeof bytes) / 4 * 3];
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 7 + 3);
    }
    for (size_t len = 1; len <= sizeof bytes; len++) {
        size_t text_len = (size_t)(base64_encode(text, bytes, len) - text);
        ck_assert_uint_eq(text_len, BASE64_LEN(len));
        ck_assert_uint_eq(base64_decode(back, text, text_len), len);
        ck_assert_mem_eq(back, bytes, len);
    }
}
END_TEST

static Suite *
base64_suite(void)
{
    Suite *suite = suite_create("base64");
    TCase *tcase = tcase_create("base64");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_loop_test(tcase, encode_writes_padded_groups, 0, COUNT(pairs));
    tcase_add_loop_test(tcase, decode_is_as_lax_as_the_original, 0, COUNT(texts));
    tcase_add_test(tcase, decode_turns_encode_back);
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    SRunner *runner = srunner_create(base64_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
