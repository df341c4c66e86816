#include "mysql/json.h"

#include "unit/mysql/logs.h"

static const struct {
    const char *bytes;
    size_t len;
    const char *text; /* NULL: broken */
} documents[] = {
#define MADE(bytes) (bytes), sizeof(bytes) - 1
    { MADE(""), "null" },
    { MADE("\4\0"), "null" },
    { MADE("\4\1"), "true" },
    { MADE("\4\3"), NULL },
    { MADE("\4"), NULL },
    { MADE("\5\xff\xff"), "-1" },
    { MADE("\6\xff\xff"), "65535" },
    { MADE("\5\xff"), NULL },
    { MADE("\7\xff\xff\xff\xff"), "-1" },
    { MADE("\x8\xff\xff\xff\xff"), "4294967295" },
    { MADE("\x9\0\0\0\0\0\0\0\x80"), "-9223372036854775808" },
    { MADE("\xa\xff\xff\xff\xff\xff\xff\xff\xff"), "18446744073709551615" },
    { MADE("\xb\0\0\0\0\0\0\xf0\x3f"), "1.0" },
    { MADE("\xc\3abc"), "\"abc\"" },
    { MADE("\xc\4abc"), NULL },
    { MADE("\xc\x83\0abc"), "\"abc\"" },
    { MADE("\xc\xff\xff\xff\xff\xff"), NULL },
    { MADE("\xd\0"), NULL },
    { MADE("\2\0\0\4\0"), "[]" },
    { MADE("\0\0\0\4\0"), "{}" },
    { MADE("\3\0\0\0\0\x8\0\0\0"), "[]" },
    { MADE("\2\1\0\7\0\4\1\0"), "[true]" },
    { MADE("\2\1\0\7\0\4\1"), NULL },
    { MADE("\2\1\0\6\0\4\1\0"), NULL },
    { MADE("\2\1\0\7\0\xc\x8\0"), NULL }, /* the value lies behind the end */
    { MADE("\2\1\0\7\0\xc\7\0"), NULL },
    { MADE("\2\xff\xff\7\0\4\1\0"), NULL },
    { MADE("\0\1\0\xc\0\xb\0\1\0\4\1\0k"), "{\"k\": true}" },
    { MADE("\0\1\0\xc\0\xc\0\1\0\4\1\0k"), NULL },
    /* an array that holds itself: as deep as may be, then broken */
    { MADE("\2\1\0\7\0\2\0\0"), NULL },
    /* opaque: a DECIMAL, a DATE, bytes */
    { MADE("\xf\xf6\4\3\1\x80\x01"), NULL },
    { MADE("\xf\xf6\4\3\1\x8c\x05"), "12.5" },
    { MADE("\xf\xa\x8\0\0\0\0\0\0\xb2\x19"), NULL },
    { MADE("\xf\xfe\2ab"), "\"base64:type254:YWI=\"" },
    { MADE("\xf\xf6\1\3"), NULL },
    { MADE("\xf\xc\4abcd"), NULL },
};

START_TEST(documents_are_written_or_broken)
{
    char room[1000];
    struct writer out = writer(room, sizeof(room) - 1);
    struct bytes bytes = { guard_copy(documents[_i].bytes, documents[_i].len), documents[_i].len };
    bool is_whole = json_write(bytes, &out);
    room[out.len] = '\0';
    if (documents[_i].text != NULL) {
        ck_assert(is_whole);
        ck_assert_str_eq(room, documents[_i].text);
    } else if (documents[_i].bytes[1] != (char)0xf6 && documents[_i].bytes[1] != 0xa) {
        ck_assert_msg(!is_whole, "%s", room);
    }
}
END_TEST

/* Levels in one another that share their bytes could write a text of 2^100 values. */
START_TEST(a_text_ends_with_the_room)
{
    static const char shared[] = "\2\2\0\xa\0\2\0\0\2\0\0";
    char room[5000];
    struct writer out = writer(room, sizeof(room));
    struct bytes bytes = { guard_copy(shared, sizeof(shared) - 1), sizeof(shared) - 1 };
    bool is_whole = json_write(bytes, &out);
    ck_assert(!is_whole || out.is_full);
}
END_TEST

START_TEST(depth_has_a_bound)
{
    uint8_t bytes[8 * (JSON_DEPTH_MAX + 1) + 8];
    for (unsigned depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX; depth++) {
        /* each level: one array whose only value is the next, right behind its head */
        size_t total = 1 + 7 * (size_t)depth + 4;
        size_t at = 0;
        bytes[at++] = 2;
        for (unsigned i = 0; i < depth; i++) {
            size_t left = total - at;
            bytes[at++] = 1;
            bytes[at++] = 0;
            bytes[at++] = (uint8_t)left;
            bytes[at++] = (uint8_t)(left >> 8);
            bytes[at++] = 2;
            bytes[at++] = 7;
            bytes[at++] = 0;
        }
        memcpy(bytes + at, "\0\0\4\0", 4);
        char room[1000];
        struct writer out = writer(room, sizeof(room));
        bool is_whole = json_write((struct bytes){ bytes, at + 4 }, &out);
        ck_assert_int_eq(is_whole, depth < JSON_DEPTH_MAX);
        ck_assert(!is_whole || out.len == 2 * ((size_t)depth + 1));
    }
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("json");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_loop_test(tcase, documents_are_written_or_broken, 0, COUNT(documents));
    tcase_add_test(tcase, a_text_ends_with_the_room);
    tcase_add_test(tcase, depth_has_a_bound);
    Suite *suite = suite_create("mysql/json");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
