#include "admin/credentials.h"

#include "admin/auth_file.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define USERS   1000u
#define RELOADS 200u

static char folder[] = "/tmp/credentials.XXXXXX";
static char path[64];
static char error[CREDENTIALS_ERROR_CAP];

static void
set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/users", folder);
    error[0] = '\0';
}

static void
tear_down(void)
{
    (void)unlink(path);
    (void)rmdir(folder);
}

/** As an editor does it: the new file takes the old one's place at once. */
static void
write_file(const char *text)
{
    char fresh[80];
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    FILE *file = fopen(fresh, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, strlen(text), file), strlen(text));
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(rename(fresh, path), 0);
}

static struct credentials *
load(const char *text)
{
    struct credentials *credentials = NULL;
    write_file(text);
    ck_assert_int_eq(credentials_create(path, &credentials, error), CREDENTIALS_OK);
    return credentials;
}

static bool
check(struct credentials *credentials, const char *user, const char *password)
{
    return credentials_check(credentials, user, strlen(user), password, strlen(password));
}

START_TEST(the_right_password_opens)
{
    struct credentials *credentials = load("ann:secret\nbob:a b:c\nann:other\n");
    ck_assert_uint_eq(credentials_count(credentials), 3);
    ck_assert(check(credentials, "ann", "secret"));
    ck_assert(check(credentials, "ann", "other"));
    ck_assert(check(credentials, "bob", "a b:c"));
    ck_assert(!check(credentials, "ann", "secre"));
    ck_assert(!check(credentials, "ann", "secret "));
    ck_assert(!check(credentials, "anns", "ecret"));
    ck_assert(!check(credentials, "an", "nsecret"));
    ck_assert(!check(credentials, "bob", "secret"));
    ck_assert(!check(credentials, "carl", "secret"));
    credentials_destroy(credentials);
}
END_TEST

START_TEST(nobody_without_name_or_password_gets_in)
{
    struct credentials *credentials = load(":\na:\n:b\n");
    ck_assert(!check(credentials, "", ""));
    ck_assert(!check(credentials, "a", ""));
    ck_assert(!check(credentials, "", "b"));
    credentials_destroy(credentials);
    credentials = load("");
    ck_assert(!check(credentials, "a", "b"));
    credentials_destroy(credentials);
}
END_TEST

START_TEST(the_longest_line_counts_and_longer_logins_do_not)
{
    char text[AUTH_FILE_LINE_MAX + 2];
    memset(text, 'x', AUTH_FILE_LINE_MAX);
    text[100] = ':';
    strcpy(text + AUTH_FILE_LINE_MAX, "\n");
    struct credentials *credentials = load(text);
    size_t password_len = AUTH_FILE_LINE_MAX - 101;
    ck_assert(credentials_check(credentials, text, 100, text + 101, password_len));
    ck_assert(!credentials_check(credentials, text, 100, text + 101, password_len - 1));
    char *longer = malloc(1000);
    memset(longer, 'x', 1000);
    ck_assert(!credentials_check(credentials, longer, 100, longer, password_len + 1));
    ck_assert(!credentials_check(credentials, longer, 101, longer, password_len));
    ck_assert(!credentials_check(credentials, longer, 1000, longer, 1));
    ck_assert(!credentials_check(credentials, longer, 1, longer, 1000));
    free(longer);
    credentials_destroy(credentials);
}
END_TEST

START_TEST(many_users_all_get_in)
{
    char *text = malloc(USERS * 32);
    size_t used = 0;
    for (unsigned i = 0; i < USERS; i++) {
        used += (size_t)snprintf(text + used, 32, "user%u:pass%u\n", i, i * 7);
    }
    struct credentials *credentials = load(text);
    free(text);
    ck_assert_uint_eq(credentials_count(credentials), USERS);
    for (unsigned i = 0; i < USERS; i++) {
        char user[32];
        char password[32];
        snprintf(user, sizeof(user), "user%u", i);
        snprintf(password, sizeof(password), "pass%u", i * 7);
        ck_assert(check(credentials, user, password));
        snprintf(password, sizeof(password), "pass%u", i * 7 + 1);
        ck_assert(!check(credentials, user, password));
    }
    credentials_destroy(credentials);
}
END_TEST

/* Texts of the original, with the line. */
static const struct {
    const char *text;
    const char *why;
} bad_files[] = {
    { "nobody\n", "] has a malformed entry. Should be 'user:password': line 1" },
    { "a:b\nc:d\n\n", "] has a malformed entry. Should be 'user:password': line 3" },
};

START_TEST(a_bad_line_is_named_and_not_shown)
{
    struct credentials *credentials = NULL;
    write_file(bad_files[_i].text);
    ck_assert_int_eq(credentials_create(path, &credentials, error), CREDENTIALS_MALFORMED);
    ck_assert_ptr_null(credentials);
    ck_assert_ptr_nonnull(strstr(error, bad_files[_i].why));
    ck_assert_ptr_nonnull(strstr(error, path));
    ck_assert_ptr_null(strstr(error, "nobody"));
}
END_TEST

START_TEST(what_cannot_be_read_is_named)
{
    struct credentials *credentials = NULL;
    char want[300];
    snprintf(want, sizeof(want),
             "Could not open authfile [%s] for reading, error No such file or directory", path);
    ck_assert_int_eq(credentials_create(path, &credentials, error), CREDENTIALS_UNREADABLE);
    ck_assert_str_eq(error, want);
    ck_assert_int_eq(credentials_create(folder, &credentials, error), CREDENTIALS_UNREADABLE);
    ck_assert_ptr_nonnull(strstr(error, "Is a directory"));
}
END_TEST

START_TEST(a_file_at_the_bound_is_taken_and_one_past_it_is_not)
{
    char *text = malloc(AUTH_FILE_LEN_MAX + 2);
    for (size_t i = 0; i < AUTH_FILE_LEN_MAX; i += 64) {
        memset(text + i, 'x', 64);
        text[i + 8] = ':';
        text[i + 63] = '\n';
    }
    text[AUTH_FILE_LEN_MAX] = '\0';
    struct credentials *credentials = load(text);
    ck_assert_uint_eq(credentials_count(credentials), AUTH_FILE_LEN_MAX / 64);
    strcpy(text + AUTH_FILE_LEN_MAX, "\n");
    write_file(text);
    ck_assert_int_eq(credentials_reload(credentials, error), CREDENTIALS_UNREADABLE);
    ck_assert_ptr_nonnull(strstr(error, "has more than 4194304 bytes"));
    ck_assert(
        check(credentials, "xxxxxxxx", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
    credentials_destroy(credentials);
    free(text);
}
END_TEST

START_TEST(a_reload_takes_the_new_file_and_a_bad_one_changes_nothing)
{
    struct credentials *credentials = load("a:b\nc:d\n");
    write_file("c:d\ne:f\n");
    ck_assert_int_eq(credentials_reload(credentials, error), CREDENTIALS_OK);
    ck_assert(!check(credentials, "a", "b"));
    ck_assert(check(credentials, "c", "d") && check(credentials, "e", "f"));

    write_file("a:b\noops\n");
    ck_assert_int_eq(credentials_reload(credentials, error), CREDENTIALS_MALFORMED);
    ck_assert_ptr_nonnull(strstr(error, "line 2"));
    ck_assert(!check(credentials, "a", "b") && check(credentials, "e", "f"));

    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(credentials_reload(credentials, error), CREDENTIALS_UNREADABLE);
    ck_assert(check(credentials, "e", "f"));

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(credentials_reload(credentials, error), CREDENTIALS_UNREADABLE);
    ck_assert_ptr_nonnull(strstr(error, "it is no regular file"));
    ck_assert(check(credentials, "e", "f"));
    ck_assert_int_eq(unlink(path), 0);

    write_file("");
    ck_assert_int_eq(credentials_reload(credentials, error), CREDENTIALS_OK);
    ck_assert(!check(credentials, "e", "f"));
    credentials_destroy(credentials);
}
END_TEST

/* A daemon goes to / after the file was named; and links are followed anew each time. */
START_TEST(a_relative_name_is_kept_when_the_folder_changes)
{
    struct credentials *credentials = NULL;
    char target[80];
    char *before = getcwd(NULL, 0);
    snprintf(target, sizeof(target), "%s.2", path);
    write_file("a:b\n");
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(symlink("users", "link"), 0);
    ck_assert_int_eq(credentials_create("link", &credentials, error), CREDENTIALS_OK);
    ck_assert_str_eq(credentials_name(credentials), "link");
    ck_assert_int_eq(rename(path, target), 0);
    write_file("c:d\n");
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(credentials_reload(credentials, error), CREDENTIALS_OK);
    ck_assert(check(credentials, "c", "d"));
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(unlink("link") | symlink(target, "link") | chdir("/"), 0);
    ck_assert_int_eq(credentials_reload(credentials, error), CREDENTIALS_OK);
    ck_assert(check(credentials, "a", "b"));
    credentials_destroy(credentials);
    ck_assert_int_eq(chdir(folder) | unlink("link") | unlink(target) | chdir(before), 0);
    free(before);
}
END_TEST

struct checker {
    struct credentials *credentials;
    _Atomic bool stop;
    _Atomic unsigned checks;
};

static void *
checker_main(void *arg)
{
    struct checker *checker = arg;
    /* relaxed: a flag and a count */
    while (!atomic_load_explicit(&checker->stop, memory_order_relaxed)) {
        bool always = check(checker->credentials, "always", "there");
        bool never = check(checker->credentials, "never", "there");
        if (!always || never) {
            return (void *)1;
        }
        (void)atomic_fetch_add_explicit(&checker->checks, 1, memory_order_relaxed);
    }
    return NULL;
}

START_TEST(logins_go_on_while_the_file_is_loaded)
{
    struct checker checker = { .credentials = load("always:there\n") };
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, checker_main, &checker), 0);
    }
    for (unsigned i = 0; i < RELOADS; i++) {
        unsigned before = atomic_load_explicit(&checker.checks, memory_order_relaxed);
        write_file(i % 2 == 0 ? "a:b\nalways:there\n" : "always:there\n");
        ck_assert_int_eq(credentials_reload(checker.credentials, error), CREDENTIALS_OK);
        while (atomic_load_explicit(&checker.checks, memory_order_relaxed) == before) {
            sched_yield(); /* they did overlap */
        }
    }
    atomic_store_explicit(&checker.stop, true, memory_order_relaxed);
    for (unsigned i = 0; i < 2; i++) {
        void *wrong = NULL;
        ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
        ck_assert_ptr_null(wrong);
    }
    credentials_destroy(checker.credentials);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("credentials");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, the_right_password_opens);
    tcase_add_test(tcase, nobody_without_name_or_password_gets_in);
    tcase_add_test(tcase, the_longest_line_counts_and_longer_logins_do_not);
    tcase_add_test(tcase, many_users_all_get_in);
    tcase_add_loop_test(tcase, a_bad_line_is_named_and_not_shown, 0,
                        (int)(sizeof(bad_files) / sizeof(bad_files[0])));
    tcase_add_test(tcase, what_cannot_be_read_is_named);
    tcase_add_test(tcase, a_file_at_the_bound_is_taken_and_one_past_it_is_not);
    tcase_add_test(tcase, a_reload_takes_the_new_file_and_a_bad_one_changes_nothing);
    tcase_add_test(tcase, a_relative_name_is_kept_when_the_folder_changes);
    tcase_add_test(tcase, logins_go_on_while_the_file_is_loaded);

    Suite *suite = suite_create("admin/credentials");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
