#include "base/log.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_LEN 1024u /* bytes of a line, with its end */

/* What log_line() writes to stderr lands here. */
static int read_end;

static void
set_up(void)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
    close(ends[1]);
    read_end = ends[0];
}

static void
tear_down(void)
{
    close(read_end);
}

static size_t
receive(char *buf, size_t buf_cap)
{
    ssize_t got = read(read_end, buf, buf_cap);
    ck_assert_int_ge(got, 0);
    return (size_t)got;
}

START_TEST(log_line_writes_the_text_and_a_line_end)
{
    log_line("%s is %d", "answer", 42);
    char buf[64];
    ck_assert_uint_eq(receive(buf, sizeof(buf)), 13);
    ck_assert_mem_eq(buf, "answer is 42\n", 13);
}
END_TEST

START_TEST(log_line_of_an_empty_text_is_an_empty_line)
{
    log_line("%s", "");
    char buf[64];
    ck_assert_uint_eq(receive(buf, sizeof(buf)), 1);
    ck_assert_int_eq(buf[0], '\n');
}
END_TEST

/* Around the longest text that fits, LINE_MAX_LEN - 2: one byte is the line end, one the C
 * string's. */
static const struct {
    size_t text_len;
    size_t line_len;
} long_cases[] = {
    { LINE_MAX_LEN - 3, LINE_MAX_LEN - 2 }, { LINE_MAX_LEN - 2, LINE_MAX_LEN - 1 },
    { LINE_MAX_LEN - 1, LINE_MAX_LEN - 1 }, { LINE_MAX_LEN, LINE_MAX_LEN - 1 },
    { 3 * LINE_MAX_LEN, LINE_MAX_LEN - 1 },
};

START_TEST(log_line_cuts_what_is_too_long)
{
    char text[3 * LINE_MAX_LEN + 1];
    memset(text, 'x', long_cases[_i].text_len);
    text[long_cases[_i].text_len] = '\0';

    log_line("%s", text);
    char buf[4 * LINE_MAX_LEN];
    size_t got = receive(buf, sizeof(buf));
    ck_assert_uint_eq(got, long_cases[_i].line_len);
    ck_assert_mem_eq(buf, text, got - 1);
    ck_assert_int_eq(buf[got - 1], '\n');
}
END_TEST

START_TEST(log_line_without_stderr_does_nothing)
{
    close(STDERR_FILENO);
    log_line("nobody hears this");
}
END_TEST

static void
keep_line(void *arg, const char *text)
{
    snprintf(arg, LINE_MAX_LEN, "%s", text);
}

static void *
log_in_thread(void *arg)
{
    log_line("from %s", (const char *)arg);
    return NULL;
}

START_TEST(log_line_goes_where_the_thread_and_its_children_want_it)
{
    char kept[LINE_MAX_LEN] = "";
    struct log_sink sink = { keep_line, kept };
    char below[] = "below", beside[] = "beside";
    pthread_t thread;
    ck_assert_ptr_null(log_set_sink(&sink));
    log_line("number %d", 5);
    ck_assert_str_eq(kept, "number 5");
    ck_assert_int_eq(thread_start(&thread, log_in_thread, below), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_str_eq(kept, "from below");

    /* Threads that nobody told keep to stderr. */
    ck_assert_int_eq(pthread_create(&thread, NULL, log_in_thread, beside), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_ptr_eq(log_set_sink(NULL), &sink);
    log_line("here");
    ck_assert_str_eq(kept, "from below");
    char buf[64];
    ck_assert_uint_eq(receive(buf, sizeof(buf)), 17);
    ck_assert_mem_eq(buf, "from beside\nhere\n", 17);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("log");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, log_line_writes_the_text_and_a_line_end);
    tcase_add_test(tcase, log_line_of_an_empty_text_is_an_empty_line);
    tcase_add_loop_test(tcase, log_line_cuts_what_is_too_long, 0,
                        (int)(sizeof(long_cases) / sizeof(long_cases[0])));
    tcase_add_test(tcase, log_line_without_stderr_does_nothing);
    tcase_add_test(tcase, log_line_goes_where_the_thread_and_its_children_want_it);

    Suite *suite = suite_create("base/log");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
