/* Configuration files cut into words: what counts as one, what is refused, and where. */
#include "config.h"

#include "config_file.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** What is left of a text: each line's number and words in brackets, and the error's line. */
struct cut {
    char text[1024];
    enum config_result result;
    unsigned line;
};

/** Cuts a copy of `len` bytes, which lies at the end of its heap block. */
static void
cut(const char *bytes, size_t len, struct cut *out)
{
    char *copy = malloc(len + 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, len);
    copy[len] = 'x';
    struct config_cursor cursor = { copy, copy + len, 0 };
    struct config_line line;
    size_t used = 0;
    out->text[0] = '\0';
    while ((out->result = config_next(&cursor, &line)) == CONFIG_LINE) {
        ck_assert_uint_ge(line.count, 1);
        used += (size_t)snprintf(out->text + used, sizeof(out->text) - used, "%u:", cursor.line);
        for (unsigned i = 0; i < line.count; i++) {
            used +=
                (size_t)snprintf(out->text + used, sizeof(out->text) - used, "[%s]", line.words[i]);
        }
        used += (size_t)snprintf(out->text + used, sizeof(out->text) - used, "\n");
        ck_assert_uint_lt(used, sizeof(out->text));
    }
    out->line = cursor.line;
    free(copy);
}

static const struct {
    const char *bytes;
    const char *words;
} good[] = {
    { "", "" },
    { "\n\n  \n\t\r\n", "" },
    { "# a comment", "" },
    { "  # a comment\n#\n", "" },
    { "-m 64", "1:[-m][64]\n" },
    { "-m 64\n", "1:[-m][64]\n" },
    { "\n# memory\n-m\t64 \r\n-M\r\n", "3:[-m][64]\n4:[-M]\n" },
    { "-l 127.0.0.1,::1 # here alone\n-v", "1:[-l][127.0.0.1,::1]\n2:[-v]\n" },
    { "-m 64#x\n-p 1", "1:[-m][64]\n2:[-p][1]\n" },
    { "-m 64 #", "1:[-m][64]\n" },
    { "-D \\#\n-D '#' #", "1:[-D][#]\n2:[-D][#]\n" },
    { "-s \"/run/a b\"", "1:[-s][/run/a b]\n" },
    { "-s /run/a\\ b\\\\", "1:[-s][/run/a b\\]\n" },
    { "-s '/run/a\\b'\"c\\\"d\"e", "1:[-s][/run/a\\bc\"de]\n" },
    { "-u \"\"\n''", "1:[-u][]\n2:[]\n" },
    { "-u '' x", "1:[-u][][x]\n" },
    { "-P \"a#b'c\"", "1:[-P][a#b'c]\n" },
    { "--unix-socket='a b'", "1:[--unix-socket=a b]\n" },
    { "-m 64 -p 1 stray", "1:[-m][64][-p][1][stray]\n" },
    { "-s \303\244\377", "1:[-s][\303\244\377]\n" },
};

START_TEST(text_is_cut_into_lines_and_words)
{
    struct cut got;
    cut(good[_i].bytes, strlen(good[_i].bytes), &got);
    ck_assert_int_eq(got.result, CONFIG_END);
    ck_assert_str_eq(got.text, good[_i].words);
}
END_TEST

static const struct {
    const char *bytes;
    size_t len;
    enum config_result result;
    unsigned line;
} bad[] = {
    { "-s \"x\n-m 64\n", 12, CONFIG_OPEN_QUOTE, 1 },
    { "-m 64\n\n-s 'x", 12, CONFIG_OPEN_QUOTE, 3 },
    { "-s 'x\\'", 7, CONFIG_LINE, 0 }, /* in '' a backslash protects nothing: closed */
    { "-s \"x\\\"", 7, CONFIG_OPEN_QUOTE, 1 },
    { "-s x\\", 5, CONFIG_OPEN_BACKSLASH, 1 },
    { "-v\n-s x\\\n-v", 11, CONFIG_OPEN_BACKSLASH, 2 },
    { "-s x\\\r\n", 7, CONFIG_OPEN_BACKSLASH, 1 },
    { "-m 6\0004", 6, CONFIG_BAD_BYTE, 1 },
    { "-m \\\0", 5, CONFIG_BAD_BYTE, 1 },
    { "\0", 1, CONFIG_BAD_BYTE, 1 },
};

START_TEST(bad_line_is_named_with_what_would_be_right)
{
    struct cut got;
    cut(bad[_i].bytes, bad[_i].len, &got);
    if (bad[_i].result == CONFIG_LINE) {
        ck_assert_int_eq(got.result, CONFIG_END);
        return;
    }
    ck_assert_int_eq(got.result, bad[_i].result);
    ck_assert_uint_eq(got.line, bad[_i].line);
    ck_assert_uint_gt(strlen(config_error(got.result)), 10);
}
END_TEST

START_TEST(line_holds_so_many_words_and_no_more)
{
    char text[CONFIG_WORDS_MAX * 2 + 3];
    for (unsigned i = 0; i <= CONFIG_WORDS_MAX; i++) {
        memcpy(text + (size_t)i * 2, "x ", 2);
    }
    struct cut got;
    cut(text, (size_t)CONFIG_WORDS_MAX * 2, &got);
    ck_assert_int_eq(got.result, CONFIG_END);
    cut(text, (size_t)CONFIG_WORDS_MAX * 2 + 1, &got);
    ck_assert_int_eq(got.result, CONFIG_TOO_MANY_WORDS);
}
END_TEST

/* A file that was cut off gives the whole lines before the cut as the whole file does. */
START_TEST(prefix_gives_the_same_lines_before_its_end)
{
    const char *bytes = good[_i].bytes;
    struct cut whole;
    cut(bytes, strlen(bytes), &whole);
    for (size_t len = 0; len < strlen(bytes); len++) {
        struct cut part;
        cut(bytes, len, &part);
        const char *last_line = strrchr(part.text, '\n');
        size_t sure = 0; /* all lines but the last one, which may be half of one */
        for (const char *at = part.text; last_line != NULL && at < last_line; at++) {
            sure = *at == '\n' ? (size_t)(at + 1 - part.text) : sure;
        }
        ck_assert_msg(strncmp(part.text, whole.text, sure) == 0, "%zu bytes: %s", len, part.text);
        ck_assert(part.result == CONFIG_END || part.result == CONFIG_OPEN_QUOTE ||
                  part.result == CONFIG_OPEN_BACKSLASH);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("config_file");
    TCase *tcase = tcase_create("config_file");
    suite_add_tcase(suite, tcase);
    int goods = (int)(sizeof(good) / sizeof(good[0]));
    tcase_add_loop_test(tcase, text_is_cut_into_lines_and_words, 0, goods);
    tcase_add_loop_test(tcase, bad_line_is_named_with_what_would_be_right, 0,
                        (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_test(tcase, line_holds_so_many_words_and_no_more);
    tcase_add_loop_test(tcase, prefix_gives_the_same_lines_before_its_end, 0, goods);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
