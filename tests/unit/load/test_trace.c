/* Traces: lines, objects, and what is wrong with a line. */
#include "config.h"

#include "bench/load/trace.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct trace trace;
static char error[TRACE_ERROR_CAP];

static void
empty(void)
{
    trace = (struct trace){ .requests = NULL };
}

static void
release(void)
{
    trace_fini(&trace);
}

static void
add(const char *line)
{
    if (!trace_add_line(&trace, line, strlen(line), error)) {
        ck_abort_msg("%s", error);
    }
}

START_TEST(a_line_is_a_request)
{
    add("ab 1");
    add("ab\t20  100 30 set\r\n");
    add("c - - - delete\n");
    add("ab 1 0 0 get\n");
    add("# ab\n");
    add(" \n");
    ck_assert_uint_eq(trace.requests_count, 4);
    ck_assert_uint_eq(trace.objects_count, 2);
    const struct trace_request *requests = trace.requests;
    ck_assert(requests[0].object == 0 && requests[0].ttl == 0);
    ck_assert(requests[0].value_len == TRACE_LEN_ABSENT && requests[0].op == TRACE_GET);
    ck_assert(requests[1].object == 0 && requests[1].ttl == 30);
    ck_assert(requests[1].value_len == 100 && requests[1].op == TRACE_SET);
    ck_assert(requests[2].object == 1 && requests[2].value_len == TRACE_LEN_ABSENT);
    ck_assert_uint_eq(requests[2].op, TRACE_DELETE);
    /* A value of no bytes is one. */
    ck_assert_uint_eq(requests[3].value_len, 0);
    /* The first line counts; a key is not shorter than its word. */
    ck_assert_uint_eq(trace.objects[0].key_len, 2);
    ck_assert_uint_eq(trace.objects[1].key_len, 0);
}
END_TEST

START_TEST(many_objects_keep_their_numbers)
{
    char line[32];
    unsigned wrong = 0; /* an assertion for each would take long */
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 20000; i++) {
            snprintf(line, sizeof(line), "object%u", i);
            add(line);
            wrong += trace.requests[trace.requests_count - 1].object != i;
        }
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(trace.objects_count, 20000);
}
END_TEST

static const char *const bad[] = {
    "ab x", "ab -5", "ab 251", "ab 1 2x", "ab 1 99999999999", "ab 1 2 -3", "ab 1 2 3 add"
};

START_TEST(a_line_that_is_none_is_refused)
{
    ck_assert(!trace_add_line(&trace, bad[_i], strlen(bad[_i]), error));
    ck_assert_str_ne(error, "");
}
END_TEST

START_TEST(a_key_is_as_long_as_the_protocol_allows)
{
    char key[252];
    memset(key, 'k', sizeof(key));
    ck_assert(trace_add_line(&trace, key, 250, error));
    ck_assert(!trace_add_line(&trace, key, 251, error));
}
END_TEST

START_TEST(a_file_s_error_names_the_line)
{
    char name[] = "/tmp/larder-trace-XXXXXX";
    int fd = mkstemp(name);
    ck_assert_int_ge(fd, 0);
    ck_assert(dprintf(fd, "a\nb 1 2\nc nine\n") > 0);
    close(fd);
    bool good = trace_load(&trace, name, error);
    unlink(name);
    ck_assert(!good);
    ck_assert_ptr_nonnull(strstr(error, ":3: "));
    ck_assert(!trace_load(&trace, "/no/such", error));
    ck_assert_ptr_nonnull(strstr(error, "/no/such"));
    ck_assert(!trace_load(&trace, "/dev/null", error));
    ck_assert_ptr_nonnull(strstr(error, "no request"));
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int
main(void)
{
    Suite *suite = suite_create("trace");
    TCase *tcase = tcase_create("trace");
    tcase_add_checked_fixture(tcase, empty, release);
    tcase_add_test(tcase, a_line_is_a_request);
    tcase_add_test(tcase, many_objects_keep_their_numbers);
    tcase_add_loop_test(tcase, a_line_that_is_none_is_refused, 0, COUNT(bad));
    tcase_add_test(tcase, a_key_is_as_long_as_the_protocol_allows);
    tcase_add_test(tcase, a_file_s_error_names_the_line);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
