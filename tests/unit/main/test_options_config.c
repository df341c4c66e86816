/* --config: options from a file, which of both counts, and what is said about a wrong line. */
#include "config.h"

#include "options.h"

#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 16

static char path[] = "/tmp/larder-config-XXXXXX";

/** Writes the file, and parses `words` behind --config of it; @ in `words` is its path. */
static enum options_result
parse(const char *file, const char *words, struct settings *settings, struct options_report *report)
{
    static char text[512];
    static char *argv[WORDS_MAX + 1];
    int argc = 0;
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(fputs(file, out) < 0, 0);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_int_lt(snprintf(text, sizeof(text), "larder %s", words), (int)sizeof(text));
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        ck_assert_int_lt(argc, WORDS_MAX);
        argv[argc++] = strcmp(word, "@") == 0 ? path : word;
    }
    argv[argc] = NULL;
    return options_parse(argc, argv, settings, report);
}

static void
open_path(void)
{
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
}

static void
remove_path(void)
{
    (void)unlink(path);
}

START_TEST(options_of_a_file_arrive_in_settings)
{
    struct settings s;
    struct options_report report;
    const char *file =
        "# memcached default config file\n-d\nlogfile /var/log/memcached.log\n# -vv\n"
        "-v\n-m 100\n\n-p 1234   # the port\n-u nobody\n-l 127.0.0.1,::1\n"
        "-o idle_timeout=7,no_modern\n--pidfile='/run/a b'\n-D \\#\n-h\n-c 77 -t 3\n";
    ck_assert_msg(parse(file, "--config @", &s, &report) == OPTIONS_RUN, "%s", report.error);
    ck_assert_str_eq(report.warnings, "");
    ck_assert(!s.daemonize && !s.lru_maintainer);
    ck_assert_int_eq(atomic_load_explicit(&s.verbosity, memory_order_relaxed), 1);
    ck_assert_uint_eq(atomic_load_explicit(&s.memory_limit, memory_order_relaxed), 100u << 20);
    ck_assert_int_eq(s.port, 1234);
    ck_assert_str_eq(s.user, "nobody");
    ck_assert_str_eq(s.listen_text, "127.0.0.1,::1");
    ck_assert_uint_eq(s.idle_timeout_s, 7);
    ck_assert_str_eq(s.pid_file, "/run/a b");
    ck_assert_int_eq(s.prefix_delimiter, '#');
    ck_assert_uint_eq(s.conns_max, 77);
    ck_assert_uint_eq(s.threads, 3);
    options_free(&s);
}
END_TEST

/* Wherever --config stands. */
static const char *const orders[] = {
    "--config @ -m 200 -l ::1 -o idle_timeout=9 -v -d",
    "-m 200 -l ::1 -o idle_timeout=9 -v -d --config @",
};

START_TEST(command_line_wins_over_the_file)
{
    struct settings s;
    struct options_report report;
    const char *file =
        "-m 100\n-p 1234\n-l 127.0.0.1\n-l 127.0.0.2\n-o idle_timeout=7,track_sizes\n-v\n";
    ck_assert_msg(parse(file, orders[_i], &s, &report) == OPTIONS_RUN, "%s", report.error);
    ck_assert_uint_eq(atomic_load_explicit(&s.memory_limit, memory_order_relaxed), 200u << 20);
    ck_assert_int_eq(s.port, 1234);
    ck_assert_str_eq(s.listen_text, "::1");
    ck_assert_uint_eq(s.idle_timeout_s, 9);
    ck_assert(s.track_sizes && s.daemonize);
    ck_assert_int_eq(atomic_load_explicit(&s.verbosity, memory_order_relaxed), 2);
    options_free(&s);
}
END_TEST

static const struct {
    const char *file;
    const char *words;
    int exit_code;
    unsigned line; /* 0: no line is to blame */
    const char *error;
} bad[] = {
    { "-m 64\n\n-p 70000\n", "--config @", 64, 3, "ERROR: Invalid port number 70000." },
    { "-m 64\nmemory 64\n", "--config @", 1, 2, "\"memory\" is no option" },
    { "-o nosuch\n", "--config @", 1, 1, "Illegal suboption \"nosuch\"" },
    { "# x\n-Q\n", "--config @", 1, 2, "invalid option -- 'Q'" },
    { "-m\n64\n", "--config @", 1, 1, "option requires an argument -- 'm'" },
    { "-v\n--config /x\n", "--config @", 1, 2, "a file cannot name another one" },
    { "-V\n", "--config @", 1, 1, "-V belongs on the command line" },
    { "-v\n-s \"/run\n", "--config @", 1, 2, "a quote is not closed" },
    { "-v\n-s /run\\\n", "--config @", 1, 2, "a backslash at the end" },
    { "-t 4\n-c 2\n", "--config @", 1, 0, "Maxconns setting is too low" },
    { "", "--config /nonexistent/x", 1, 0,
      "--config /nonexistent/x: cannot be read: No such file" },
    { "", "--config /tmp", 1, 0, "--config /tmp: cannot be read: it is a directory" },
    { "", "--config @ --config @", 1, 0, "--config is given twice" },
    { "", "--config", 1, 0, "option '--config' requires an argument" },
};

START_TEST(wrong_line_is_named)
{
    struct settings s;
    struct options_report report;
    char place[64] = "";
    ck_assert_msg(parse(bad[_i].file, bad[_i].words, &s, &report) == OPTIONS_BAD, "taken: %s",
                  bad[_i].file);
    if (bad[_i].line > 0) {
        snprintf(place, sizeof(place), "%s:%u: ", path, bad[_i].line);
    }
    ck_assert_msg(strncmp(report.error, place, strlen(place)) == 0, "said \"%s\"", report.error);
    ck_assert_msg(bad[_i].line > 0 || strstr(report.error, path) == NULL ||
                      strstr(bad[_i].words, "@") != NULL,
                  "said \"%s\"", report.error);
    ck_assert_msg(strstr(report.error, bad[_i].error) != NULL, "said \"%s\"", report.error);
    ck_assert_int_eq(report.exit_code, bad[_i].exit_code);
    options_free(&s);
}
END_TEST

START_TEST(file_of_any_length_is_refused)
{
    struct settings s;
    struct options_report report;
    size_t len = 256u * 1024;
    char *file = malloc(len + 2);
    ck_assert_ptr_nonnull(file);
    memset(file, '\n', len + 1);
    file[len + 1] = '\0';
    ck_assert_int_eq(parse(file, "--config @", &s, &report), OPTIONS_BAD);
    ck_assert_msg(strstr(report.error, "it is longer than 256 KiB") != NULL, "%s", report.error);
    options_free(&s);
    file[len] = '\0';
    ck_assert_int_eq(parse(file, "--config @", &s, &report), OPTIONS_RUN);
    options_free(&s);
    free(file);
}
END_TEST

START_TEST(warning_names_the_line)
{
    struct settings s;
    struct options_report report;
    ck_assert_int_eq(parse("\n-m 64 stray\n", "--config @", &s, &report), OPTIONS_RUN);
    char wanted[128];
    snprintf(wanted, sizeof(wanted), "%s:2: WARNING: \"stray\" is no option", path);
    ck_assert_msg(strstr(report.warnings, wanted) != NULL, "%s", report.warnings);
    options_free(&s);
}
END_TEST

START_TEST(help_is_printed_whatever_stands_in_the_file)
{
    struct settings s;
    struct options_report report;
    ck_assert_int_eq(parse("-Q\n", "-h --config @", &s, &report), OPTIONS_HELP);
    options_free(&s);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("options_config");
    TCase *tcase = tcase_create("options_config");
    suite_add_tcase(suite, tcase);
    tcase_add_unchecked_fixture(tcase, open_path, remove_path);
    tcase_add_test(tcase, options_of_a_file_arrive_in_settings);
    tcase_add_loop_test(tcase, command_line_wins_over_the_file, 0,
                        (int)(sizeof(orders) / sizeof(orders[0])));
    tcase_add_loop_test(tcase, wrong_line_is_named, 0, (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_test(tcase, file_of_any_length_is_refused);
    tcase_add_test(tcase, warning_names_the_line);
    tcase_add_test(tcase, help_is_printed_whatever_stands_in_the_file);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
