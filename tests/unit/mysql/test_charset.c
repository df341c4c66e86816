#include "mysql/charset.h"

#include "mysql/writer.h"
#include "unit/mysql/logs.h"

static void
append(void *context, const uint8_t *text, size_t len)
{
    writer_put(context, text, len);
}

static const struct {
    unsigned collation;
    const char *bytes;
    size_t len;
    const char *text; /* NULL: unknown */
} texts[] = {
#define MADE(bytes) (bytes), sizeof(bytes) - 1
    { 8, MADE("a\xe4\x80\x9d\xff"), "aä€\xc2\x9dÿ" },
    { 11, MADE("ascii"), "ascii" },
    { 33, MADE("\xc3\xa4"), "ä" },
    { 45, MADE("\xf0\x9f\x98\x80"), "😀" },
    { 255, MADE("\xf0\x9f\x98\x80"), "😀" },
    { 309, MADE("x"), "x" },
    { 2054, MADE("x"), "x" },    /* MariaDB's uca1400 */
    { 1032, MADE("\xe4"), "ä" }, /* latin1_swedish_nopad_ci */
    { 63, MADE("\xe4\0x"), "\xe4" },
    { 35, MADE("\x04\x36"), "ж" },
    { 35, MADE("\xd8\x3d\xde\x00"), NULL },
    { 54, MADE("\xd8\x3d\xde\x00\0a"), "😀a" },
    { 54, MADE("\xde\x00\xd8\x3d"), NULL },
    { 54, MADE("\xd8\x3d"), NULL },
    { 54, MADE("\0"), NULL },
    { 54, MADE("\xd8\x3d\0a"), NULL },
    { 56, MADE("\x3d\xd8\x00\xde"), "😀" },
    { 60, MADE("\x00\x01\xf6\x00"), "😀" },
    { 60, MADE("\x00\x11\x00\x00"), NULL },
    { 60, MADE("\x00\x00\xd8\x00"), NULL },
    { 60, MADE("\x00\x00\x00"), NULL },
    { 7, MADE("\xd0\xd2\xc9\xd7\xc5\xd4"), "привет" },
    { 51, MADE("\xef\xf0\xe8\xe2\xe5\xf2"), "привет" },
    { 28, MADE("\xc4\xe3\xba\xc3"), "你好" },
    { 95, MADE("\x83\x65\x83\x58\x83\x67"), "テスト" },
    { 13, MADE("\x83\x65\x83\x58\x83\x67"), "テスト" },
    { 13, MADE("\x81\x60"), NULL }, /* iconv and the servers differ */
    { 22, MADE("\x95"), NULL },
    { 28, MADE("\xc4"), NULL },
    { 1, MADE("x"), NULL }, /* big5 */
    { 0, MADE("x"), NULL },
    { 100, MADE("x"), NULL },
    { 5000, MADE("x"), NULL },
    { 65535, MADE("x"), NULL },
};

START_TEST(texts_become_utf8_or_are_unknown)
{
    struct charsets charsets;
    char room[100];
    charsets_init(&charsets);
    for (unsigned round = 0; round < 2; round++) { /* the second finds the converter open */
        struct writer out = writer(room, sizeof(room) - 1);
        struct bytes bytes = { guard_copy(texts[_i].bytes, texts[_i].len), texts[_i].len };
        enum charset_result result =
            charset_convert(&charsets, texts[_i].collation, bytes, append, &out);
        room[out.len] = '\0';
        ck_assert_int_eq(result, texts[_i].text == NULL ? CHARSET_UNKNOWN : CHARSET_DONE);
        if (texts[_i].text != NULL) {
            ck_assert_str_eq(room, texts[_i].text);
        }
    }
    charsets_fini(&charsets);
}
END_TEST

/* Longer than the pieces in which it is handed on. */
START_TEST(long_texts_come_in_pieces)
{
    static const unsigned collations[] = { 8, 7, 54 };
    struct charsets charsets;
    charsets_init(&charsets);
    for (int i = 0; i < COUNT(collations); i++) {
        uint8_t bytes[2000];
        char room[4000];
        struct writer out = writer(room, sizeof(room));
        for (size_t b = 0; b < sizeof(bytes); b++) {
            bytes[b] = collations[i] == 54 ? (b % 2 == 0 ? 4 : 0x36) : 0xe4;
        }
        ck_assert_int_eq(charset_convert(&charsets, collations[i],
                                         (struct bytes){ bytes, sizeof(bytes) }, append, &out),
                         CHARSET_DONE);
        ck_assert_uint_eq(out.len, collations[i] == 54 ? 2000 : 4000);
        for (size_t b = 2; b < out.len; b++) {
            ck_assert_int_eq(room[b], room[b - 2]);
        }
    }
    charsets_fini(&charsets);
}
END_TEST

START_TEST(collations_name_their_character_set)
{
    ck_assert_str_eq(charset_name(8), "latin1");
    ck_assert_str_eq(charset_name(255), "utf8mb4");
    ck_assert_str_eq(charset_name(63), "binary");
    ck_assert_str_eq(charset_name(250), "gb18030");
    ck_assert_ptr_null(charset_name(0));
    ck_assert_ptr_null(charset_name(17));
    ck_assert_ptr_null(charset_name(40000));
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("charset");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_loop_test(tcase, texts_become_utf8_or_are_unknown, 0, COUNT(texts));
    tcase_add_test(tcase, long_texts_come_in_pieces);
    tcase_add_test(tcase, collations_name_their_character_set);
    Suite *suite = suite_create("mysql/charset");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
