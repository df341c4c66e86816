/* Which file a client means that asks for a snapshot, and who is told of its end. */
#include "config.h"

#include "admin/snapshots.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char long_name[SNAPSHOT_PATH_MAX + 2];

static void
wake(void *arg)
{
    ++*(unsigned *)arg;
}

/* `path`: where it is written; NULL: refused as `answer` says. */
static const struct {
    const char *dir;
    const char *name;
    const char *path;
    enum snapshots_answer answer;
} rows[] = {
    { NULL, "/a", "/a", SNAPSHOTS_ASKED },
    { NULL, "/var/../x", "/var/../x", SNAPSHOTS_ASKED },
    { NULL, "", NULL, SNAPSHOTS_BAD_PATH },
    { NULL, "a", NULL, SNAPSHOTS_BAD_PATH },
    { NULL, "/", NULL, SNAPSHOTS_BAD_PATH },
    { NULL, "/a/", NULL, SNAPSHOTS_BAD_PATH },
    { NULL, "/a\n", NULL, SNAPSHOTS_BAD_PATH },
    { "/dir", "a", "/dir/a", SNAPSHOTS_ASKED },
    { "/dir", "...", "/dir/...", SNAPSHOTS_ASKED },
    { "/dir", ".a", "/dir/.a", SNAPSHOTS_ASKED },
    { "/dir", "/dir/a", "/dir/a", SNAPSHOTS_ASKED },
    { "/dir///", "a", "/dir/a", SNAPSHOTS_ASKED },
    { "/dir/", "/dir/a", "/dir/a", SNAPSHOTS_ASKED },
    { "/", "a", "/a", SNAPSHOTS_ASKED },
    { "//", "/a", "/a", SNAPSHOTS_ASKED },
    { "/", "/dir/a", NULL, SNAPSHOTS_BAD_NAME },
    { "/dir", "", NULL, SNAPSHOTS_BAD_NAME },
    { "/dir", ".", NULL, SNAPSHOTS_BAD_NAME },
    { "/dir", "..", NULL, SNAPSHOTS_BAD_NAME },
    { "/dir", "/dir", NULL, SNAPSHOTS_BAD_NAME },
    { "/dir", "/dir/", NULL, SNAPSHOTS_BAD_NAME },
    { "/dir", "/dir/..", NULL, SNAPSHOTS_BAD_NAME },
    { "/dir", "/dir//a", NULL, SNAPSHOTS_BAD_NAME },
    { "/dir", "/dir/a/b", NULL, SNAPSHOTS_BAD_NAME },
    { "/dir", "/dira", NULL, SNAPSHOTS_BAD_NAME },
    { "/dir", "/a", NULL, SNAPSHOTS_BAD_NAME },
    { "/dir", "a/b", NULL, SNAPSHOTS_BAD_NAME },
    { "/dir", "a b", NULL, SNAPSHOTS_BAD_NAME },
    { "/dir", "a\x7f", NULL, SNAPSHOTS_BAD_NAME },
    { "/dir", long_name, NULL, SNAPSHOTS_BAD_NAME },
    { NULL, long_name, NULL, SNAPSHOTS_BAD_PATH },
};

START_TEST(a_name_stands_for_a_file_of_the_folder_alone)
{
    memset(long_name, 'a', SNAPSHOT_PATH_MAX + 1);
    unsigned woken = 0;
    struct snapshots *snapshots = snapshots_create(rows[_i].dir);
    ck_assert_ptr_nonnull(snapshots);
    snapshots_serve(snapshots, wake, &woken);
    enum snapshots_answer answer =
        snapshots_ask(snapshots, rows[_i].name, strlen(rows[_i].name), NULL, NULL);
    ck_assert_int_eq(answer, rows[_i].answer);
    ck_assert_int_eq(snapshots_begin(snapshots), rows[_i].path != NULL);
    ck_assert_uint_eq(woken, rows[_i].path != NULL);
    if (rows[_i].path != NULL) {
        struct snapshot_figures none = { 0 };
        ck_assert_str_eq(snapshots_path(snapshots), rows[_i].path);
        snapshots_end(snapshots, SNAPSHOT_OK, &none, "", 0, 0);
    }
    snapshots_destroy(snapshots);
}
END_TEST

START_TEST(the_longest_folder_has_room_for_the_longest_name)
{
    char dir[SNAPSHOTS_DIR_MAX + 1] = "/";
    char name[256] = "";
    memset(dir + 1, 'd', SNAPSHOTS_DIR_MAX - 1);
    memset(name, 'n', 255);
    struct snapshots *snapshots = snapshots_create(dir);
    ck_assert_ptr_nonnull(snapshots);
    unsigned woken = 0;
    snapshots_serve(snapshots, wake, &woken);
    ck_assert_int_eq(snapshots_ask(snapshots, name, 256, NULL, NULL), SNAPSHOTS_BAD_NAME);
    ck_assert_int_eq(snapshots_ask(snapshots, name, 255, NULL, NULL), SNAPSHOTS_ASKED);
    ck_assert_int_eq(snapshots_ask(snapshots, name, 255, NULL, NULL), SNAPSHOTS_BUSY);
    snapshots_serve(snapshots, NULL, NULL);
    ck_assert_int_eq(snapshots_ask(snapshots, "a", 1, NULL, NULL), SNAPSHOTS_NOBODY);
    snapshots_destroy(snapshots);
}
END_TEST

static char told[SNAPSHOT_ERROR_CAP];

/** snapshots_tell_fn */
static void
tell(void *arg, const char *error)
{
    ++*(unsigned *)arg;
    strcpy(told, error);
}

START_TEST(who_waits_is_told_once_and_not_behind_forget)
{
    struct snapshot_figures none = { 0 };
    unsigned woken = 0;
    unsigned told_times = 0;
    struct snapshots *snapshots = snapshots_create(NULL);
    ck_assert_ptr_nonnull(snapshots);
    snapshots_serve(snapshots, wake, &woken);
    for (unsigned round = 0; round < 2; round++) {
        ck_assert_int_eq(snapshots_ask(snapshots, "/a", 2, tell, &told_times), SNAPSHOTS_ASKED);
        ck_assert(snapshots_begin(snapshots));
        ck_assert(!snapshots_begin(snapshots)); /* a main loop that is woken once more */
        if (round == 1) {
            snapshots_forget(snapshots, &told_times);
        }
        snapshots_end(snapshots, SNAPSHOT_CANNOT_WRITE, &none, "/a: why", 0, 0);
        ck_assert_uint_eq(told_times, 1);
        ck_assert_str_eq(told, "/a: why");
    }
    snapshots_destroy(snapshots);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("snapshots");
    tcase_add_loop_test(tcase, a_name_stands_for_a_file_of_the_folder_alone, 0,
                        sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tcase, the_longest_folder_has_room_for_the_longest_name);
    tcase_add_test(tcase, who_waits_is_told_once_and_not_behind_forget);
    Suite *suite = suite_create("admin/snapshots");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
