#include "admin/auth_file.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/guard.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))
#define LONG_50      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define LONG_250     LONG_50 LONG_50 LONG_50 LONG_50 LONG_50

/* What a file says: "user=password" of each entry, split by commas, and how it ends. */
static const struct {
    const char *file;
    const char *entries;
    enum auth_file_result end;
    unsigned line;
} files[] = {
    { "", "", AUTH_FILE_END, 0 },
    { "a:b\n", "a=b", AUTH_FILE_END, 1 },
    { "a:b", "a=b", AUTH_FILE_END, 1 },
    { "a:b\nc:d\n", "a=b,c=d", AUTH_FILE_END, 2 },
    { "a:b\nc:d", "a=b,c=d", AUTH_FILE_END, 2 },
    { "a:b\r\nc:d\r\n", "a=b,c=d", AUTH_FILE_END, 2 },
    { "a:b\r", "a=b\r", AUTH_FILE_END, 1 },
    { "a:b\r\r\n", "a=b\r", AUTH_FILE_END, 1 },
    { "a:b:c\n", "a=b:c", AUTH_FILE_END, 1 },
    { "a b:c d\n", "a b=c d", AUTH_FILE_END, 1 },
    { " a: b \n", " a= b ", AUTH_FILE_END, 1 },
    { "#a:b\n", "#a=b", AUTH_FILE_END, 1 },
    { ":b\na:\n:\n", "=b,a=,=", AUTH_FILE_END, 3 },
    { "a:b\na:c\n", "a=b,a=c", AUTH_FILE_END, 2 },
    { "a:" LONG_250 "xxx\n", "a=" LONG_250 "xxx", AUTH_FILE_END, 1 },
    { "a:" LONG_250 "xxx\r\nb:c\n", "a=" LONG_250 "xxx,b=c", AUTH_FILE_END, 2 },
    { "a:" LONG_250 "xxxx\n", "", AUTH_FILE_LINE_TOO_LONG, 1 },
    { "a:b\nc:" LONG_250 "xxxx", "a=b", AUTH_FILE_LINE_TOO_LONG, 2 },
    { "b:c\n" LONG_250 LONG_250 "\n", "b=c", AUTH_FILE_LINE_TOO_LONG, 2 },
    { "a\n", "", AUTH_FILE_NO_COLON, 1 },
    { "a", "", AUTH_FILE_NO_COLON, 1 },
    { "\n", "", AUTH_FILE_NO_COLON, 1 },
    { "\r\n", "", AUTH_FILE_NO_COLON, 1 },
    { "a:b\n\nc:d\n", "a=b", AUTH_FILE_NO_COLON, 2 },
    { "a:b\nc:d\ne\n", "a=b,c=d", AUTH_FILE_NO_COLON, 3 },
};

static enum auth_file_result
read_all(const char *bytes, size_t len, char *entries, size_t cap, unsigned *line)
{
    const uint8_t *copy = guard_copy(bytes, len);
    struct auth_file_reader reader;
    struct auth_entry entry;
    auth_file_open(&reader, copy, len);
    size_t used = 0;
    entries[0] = '\0';
    for (;;) {
        enum auth_file_result result = auth_file_next(&reader, &entry);
        if (result != AUTH_FILE_ENTRY) {
            *line = reader.line;
            return result;
        }
        used += (size_t)snprintf(entries + used, cap - used, "%s%.*s=%.*s", used > 0 ? "," : "",
                                 (int)entry.user_len, (const char *)entry.user,
                                 (int)entry.password_len, (const char *)entry.password);
        ck_assert_uint_lt(used, cap);
    }
}

START_TEST(a_file_gives_its_entries_and_names_the_bad_line)
{
    char entries[1000];
    unsigned line = 99;
    enum auth_file_result end =
        read_all(files[_i].file, strlen(files[_i].file), entries, sizeof(entries), &line);
    ck_assert_str_eq(entries, files[_i].entries);
    ck_assert_int_eq(end, files[_i].end);
    ck_assert_uint_eq(line, files[_i].line);
}
END_TEST

/* A file that is cut off anywhere gives a beginning of what the whole one gives. */
START_TEST(every_prefix_of_a_file_is_one)
{
    char whole[1000];
    char part[1000];
    unsigned line = 0;
    size_t len = strlen(files[_i].file);
    (void)read_all(files[_i].file, len, whole, sizeof(whole), &line);
    for (size_t prefix = 0; prefix < len; prefix++) {
        unsigned line_of_part = 0;
        enum auth_file_result end =
            read_all(files[_i].file, prefix, part, sizeof(part), &line_of_part);
        ck_assert_uint_le(line_of_part, line);
        bool cut_cr = prefix > 0 && files[_i].file[prefix - 1] == '\r'; /* its LF is missing */
        if (end != AUTH_FILE_END && files[_i].end == AUTH_FILE_END && !cut_cr) {
            ck_assert_int_eq(end, AUTH_FILE_NO_COLON); /* the user is cut off */
        }
        char *cr = strrchr(part, '\r');
        if (cr != NULL && cr[1] == '\0') {
            *cr = '\0';
        }
        if (files[_i].end == AUTH_FILE_END) {
            ck_assert_mem_eq(part, whole, strlen(part));
        }
    }
    guard_free_all();
}
END_TEST

START_TEST(nul_is_a_byte_like_others)
{
    char entries[64];
    unsigned line = 0;
    const uint8_t *copy = guard_copy("a\0b:c\0d\n", 8);
    struct auth_file_reader reader;
    struct auth_entry entry;
    auth_file_open(&reader, copy, 8);
    ck_assert_int_eq(auth_file_next(&reader, &entry), AUTH_FILE_ENTRY);
    ck_assert_uint_eq(entry.user_len, 3);
    ck_assert_uint_eq(entry.password_len, 3);
    ck_assert_int_eq(read_all("\0\n", 2, entries, sizeof(entries), &line), AUTH_FILE_NO_COLON);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("auth_file");
    tcase_add_loop_test(tcase, a_file_gives_its_entries_and_names_the_bad_line, 0, COUNT(files));
    tcase_add_loop_test(tcase, every_prefix_of_a_file_is_one, 0, COUNT(files));
    tcase_add_test(tcase, nul_is_a_byte_like_others);

    Suite *suite = suite_create("admin/auth_file");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
