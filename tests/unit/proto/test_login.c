#include "proto/login.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support/guard.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static const struct {
    const char *line;
    enum login_line kind;
    uint32_t bytes;
} lines[] = {
    { "set x 0 0 10\r\n", LOGIN_HEAD, 10 },
    { "set x 0 0 10\n", LOGIN_HEAD, 10 },
    { "set x 0 0 0\r\n", LOGIN_HEAD, 0 },
    { "set x 0 0 007\r\n", LOGIN_HEAD, 7 },
    { "set x any thing 10\r\n", LOGIN_HEAD, 10 },
    { "set x 0 0 10 noreply\r\n", LOGIN_HEAD, 10 },
    { "set x 0 0 10 more words here\r\n", LOGIN_HEAD, 10 },
    { "   set   x  0  0   10  \r\n", LOGIN_HEAD, 10 },
    { "set x 0 0 16384\r\n", LOGIN_HEAD, 16384 },
    { "set x 0 0 2147483645\r\n", LOGIN_HEAD, 2147483645 },
    { "set x 0 0 2147483646\r\n", LOGIN_OTHER, 0 },
    { "set x 0 0 99999999999999\r\n", LOGIN_OTHER, 0 },
    { "set x 0 0 -1\r\n", LOGIN_OTHER, 0 },
    { "set x 0 0 +1\r\n", LOGIN_OTHER, 0 },
    { "set x 0 0 1x\r\n", LOGIN_OTHER, 0 },
    { "set x 0 0 10\r\r\n", LOGIN_OTHER, 0 },
    { "set x 0 0\r\n", LOGIN_OTHER, 0 },
    { "set x 0 0 \r\n", LOGIN_OTHER, 0 },
    { "set   \r\n", LOGIN_OTHER, 0 },
    { "      \r\n", LOGIN_OTHER, 0 },
    { "SET x 0 0 10\r\n", LOGIN_OTHER, 0 },
    { "sets x 0 0 10\r\n", LOGIN_OTHER, 0 },
    { "add x 0 0 10\r\n", LOGIN_OTHER, 0 },
    { "get x\r\n", LOGIN_OTHER, 0 },
    { "quit\r\n", LOGIN_OTHER, 0 },
    { "abcde\n", LOGIN_OTHER, 0 },
    { "quit\n", LOGIN_SHORT, 0 },
    { "set\r\n", LOGIN_SHORT, 0 },
    { "mn\r\n", LOGIN_SHORT, 0 },
    { "\r\n", LOGIN_SHORT, 0 },
    { "\n", LOGIN_SHORT, 0 },
};

START_TEST(a_line_is_the_head_of_a_login_or_not)
{
    size_t len = strlen(lines[_i].line);
    const uint8_t *bytes = guard_copy(lines[_i].line, len);
    struct cursor cur = { bytes, bytes + len };
    struct login login;
    ck_assert_int_eq(login_parse(&cur, &login), PARSE_DONE);
    ck_assert_int_eq(login.line, lines[_i].kind);
    ck_assert_uint_eq(login.bytes, lines[_i].bytes);
    ck_assert_ptr_eq(cur.at, bytes + len);
}
END_TEST

START_TEST(no_prefix_of_a_line_is_one)
{
    for (size_t len = 0; len < strlen(lines[_i].line); len++) {
        const uint8_t *bytes = guard_copy(lines[_i].line, len);
        struct cursor cur = { bytes, bytes + len };
        struct login login;
        ck_assert_int_eq(login_parse(&cur, &login), PARSE_MORE);
        ck_assert_ptr_eq(cur.at, bytes);
    }
    guard_free_all();
}
END_TEST

START_TEST(a_line_ends_at_its_own_line_end)
{
    const char *text = "set x 0 0 3\r\na b\r\nget x\r\n";
    struct cursor cur = { (const uint8_t *)text, (const uint8_t *)text + strlen(text) };
    struct login login;
    ck_assert_int_eq(login_parse(&cur, &login), PARSE_DONE);
    ck_assert_uint_eq(login.bytes, 3);
    ck_assert_ptr_eq(cur.at, text + 13);
}
END_TEST

static const struct {
    const char *token;
    const char *user; /* NULL: refused */
    const char *password;
} tokens[] = {
    { "ann secret", "ann", "secret" },
    { "a b", "a", "b" },
    { "ann two words", "ann", "two words" },
    { "ann  secret", "ann", " secret" },
    { "ann secret ", "ann", "secret " },
    { "ann:x secret", "ann:x", "secret" },
    { "", NULL, NULL },
    { " ", NULL, NULL },
    { "ann", NULL, NULL },
    { "ann ", NULL, NULL },
    { " secret", NULL, NULL },
};

START_TEST(the_first_space_splits)
{
    size_t len = strlen(tokens[_i].token);
    struct span token = { guard_copy(tokens[_i].token, len), len };
    struct span user = { NULL, 0 };
    struct span password = { NULL, 0 };
    enum parse_status status = login_split(token, &user, &password);
    ck_assert_int_eq(status, tokens[_i].user != NULL ? PARSE_DONE : PARSE_BAD);
    if (status == PARSE_DONE) {
        ck_assert(span_equals(user, tokens[_i].user));
        ck_assert(span_equals(password, tokens[_i].password));
    }
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("login");
    tcase_add_loop_test(tcase, a_line_is_the_head_of_a_login_or_not, 0, COUNT(lines));
    tcase_add_loop_test(tcase, no_prefix_of_a_line_is_one, 0, COUNT(lines));
    tcase_add_test(tcase, a_line_ends_at_its_own_line_end);
    tcase_add_loop_test(tcase, the_first_space_splits, 0, COUNT(tokens));

    Suite *suite = suite_create("proto/login");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
