/* Snapshots in files: whole under their name, or not at all. */
#include "unit/engine/rig.h"

#include "engine/snapshot.h"
#include "engine/snapshot_priv.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rig from;
static struct rig to;
static char folder[64];
static char path[96];
static struct snapshot_figures figures;
static char error[SNAPSHOT_ERROR_CAP];
static char key[32];

static void
set_up(void)
{
    struct cache_options options = rig_options(64 * RIG_MB);
    rig_open(&from, &options);
    rig_open(&to, &options);
    strcpy(folder, "/tmp/larder-snapshot-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/items", folder);
    ck_assert_int_eq(rig_set(&from, "key", "value"), CACHE_OK);
}

static void
remove_folder(void)
{
    char name[512];
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        snprintf(name, sizeof(name), "%s/%s", folder, entry->d_name);
        (void)unlink(name);
        (void)rmdir(name);
    }
    closedir(dir);
    ck_assert_int_eq(rmdir(folder), 0);
}

static void
tear_down(void)
{
    rig_close(&from);
    rig_close(&to);
    remove_folder();
}

static enum snapshot_result
save(const char *where)
{
    struct snapshot_options options = { .now = 0 };
    return snapshot_save(from.cache, from.thread, where, &options, &figures, error);
}

static enum snapshot_result
load(const char *where)
{
    struct snapshot_options options = { .now = 0 };
    return snapshot_load(to.cache, to.thread, where, &options, &figures, error);
}

static void
write_file(const char *name, const char *text, size_t len)
{
    FILE *file = fopen(name, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
}

/** Names in the folder. */
static unsigned
count_files(void)
{
    unsigned count = 0;
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

START_TEST(a_file_is_written_and_read)
{
    struct stat stats;
    ck_assert_int_eq(save(path), SNAPSHOT_OK);
    ck_assert_str_eq(error, "");
    ck_assert_uint_eq(figures.items, 1);
    ck_assert_int_eq(stat(path, &stats), 0);
    ck_assert_uint_eq((uint64_t)stats.st_size, figures.bytes);
    ck_assert_uint_eq(stats.st_mode & 07777, 0600);
    ck_assert_uint_eq(count_files(), 1);
    ck_assert_int_eq(load(path), SNAPSHOT_OK);
    ck_assert_uint_eq(figures.items, 1);
    ck_assert_uint_eq(figures.bytes, (uint64_t)stats.st_size);
    ck_assert_int_eq(rig_peek(&to, "key").result, CACHE_OK);
}
END_TEST

START_TEST(an_older_snapshot_is_replaced_and_an_empty_file_too)
{
    write_file(path, "", 0);
    ck_assert_int_eq(save(path), SNAPSHOT_OK);
    ck_assert_int_eq(rig_set(&from, "more", "value"), CACHE_OK);
    ck_assert_int_eq(save(path), SNAPSHOT_OK);
    ck_assert_int_eq(load(path), SNAPSHOT_OK);
    ck_assert_uint_eq(figures.items, 2);
}
END_TEST

START_TEST(nothing_else_is_replaced)
{
    char other[128];
    write_file(path, "precious\n", 9);
    ck_assert_int_eq(save(path), SNAPSHOT_FOREIGN);
    ck_assert_ptr_nonnull(strstr(error, path));
    ck_assert_ptr_nonnull(strstr(error, "is there, is not a snapshot of larder"));
    ck_assert_int_eq(unlink(path), 0);

    snprintf(other, sizeof(other), "%s/other", folder);
    ck_assert_int_eq(save(other), SNAPSHOT_OK);
    ck_assert_int_eq(symlink(other, path), 0);
    ck_assert_int_eq(save(path), SNAPSHOT_CANNOT_WRITE);
    ck_assert_int_eq(unlink(path), 0);

    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(save(path), SNAPSHOT_FOREIGN);
    ck_assert_int_eq(rmdir(path), 0);

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(save(path), SNAPSHOT_FOREIGN);
    ck_assert_uint_eq(count_files(), 2); /* and no temporary one */
}
END_TEST

START_TEST(only_absolute_paths_of_files_are_taken)
{
    char longest[SNAPSHOT_PATH_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    longest[0] = '/';
    longest[sizeof(longest) - 1] = '\0';
    static const char *const bad[] = { "",  "items",     "./items",  "/tmp/",
                                       "/", "/tmp/a\nb", "/tmp/\x7f" };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(save(bad[i]), SNAPSHOT_BAD_PATH);
        ck_assert_int_eq(load(bad[i]), SNAPSHOT_BAD_PATH);
    }
    ck_assert_int_eq(save(longest), SNAPSHOT_BAD_PATH);
    longest[SNAPSHOT_PATH_MAX] = '\0';
    ck_assert_int_eq(save(longest), SNAPSHOT_CANNOT_WRITE); /* a name that no file system takes */
    ck_assert_ptr_nonnull(strstr(error, "too long"));
}
END_TEST

START_TEST(what_is_not_there_is_named)
{
    char missing[128];
    snprintf(missing, sizeof(missing), "%s/none/items", folder);
    ck_assert_int_eq(save(missing), SNAPSHOT_CANNOT_WRITE);
    ck_assert_ptr_nonnull(strstr(error, missing));
    ck_assert_ptr_nonnull(strstr(error, "No such file or directory"));
    ck_assert_int_eq(load(path), SNAPSHOT_NO_FILE);
    ck_assert_ptr_nonnull(strstr(error, path));
    ck_assert_int_eq(load(folder), SNAPSHOT_CANNOT_READ);
}
END_TEST

START_TEST(foreign_and_damaged_files_are_told_apart)
{
    write_file(path, "not a snapshot", 14);
    ck_assert_int_eq(load(path), SNAPSHOT_FOREIGN);
    ck_assert_ptr_nonnull(strstr(error, "/items: is not a snapshot of larder"));
    write_file(path, SNAPSHOT_MAGIC "\1\0\0\0", 12);
    ck_assert_int_eq(load(path), SNAPSHOT_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error, "/items: is damaged: cut off at byte 12"));
    write_file(path, SNAPSHOT_MAGIC "\7\0\0\0", 12);
    ck_assert_int_eq(load(path), SNAPSHOT_BAD_VERSION);
    ck_assert_ptr_nonnull(strstr(error, "version 7"));
}
END_TEST

START_TEST(a_full_disk_leaves_the_older_file_whole)
{
    struct rlimit old;
    ck_assert_int_eq(save(path), SNAPSHOT_OK);
    for (unsigned i = 0; i < 5000; i++) {
        rig_must(rig_set_filled(&from, rig_key(key, "key", i), 1000, i) == CACHE_OK);
    }
    (void)signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit limit = { .rlim_cur = 3 << 20, .rlim_max = old.rlim_max };
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    enum snapshot_result result = save(path);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    ck_assert_int_eq(result, SNAPSHOT_CANNOT_WRITE);
    ck_assert_ptr_nonnull(strstr(error, "File too large"));
    ck_assert_ptr_nonnull(strstr(error, path));
    ck_assert_uint_eq(count_files(), 1);
    ck_assert_int_eq(load(path), SNAPSHOT_OK);
    ck_assert_uint_eq(figures.items, 1);
}
END_TEST

/** snapshot_pace_fn */
static bool
pace_never(void *arg, const struct snapshot_figures *so_far)
{
    (void)arg;
    (void)so_far;
    return false;
}

START_TEST(one_that_is_stopped_leaves_nothing)
{
    ck_assert_int_eq(save(path), SNAPSHOT_OK);
    struct snapshot_options options = { .pace = pace_never };
    ck_assert_int_eq(snapshot_save(from.cache, from.thread, path, &options, &figures, error),
                     SNAPSHOT_STOPPED);
    ck_assert_ptr_nonnull(strstr(error, "/items: stopped"));
    ck_assert_uint_eq(count_files(), 1);
    ck_assert_int_eq(load(path), SNAPSHOT_OK);
}
END_TEST

START_TEST(leftovers_of_the_dead_go_and_those_of_the_living_stay)
{
    char dead[128];
    char living[128];
    char other[128];
    snprintf(dead, sizeof(dead), "%s.tmp-%ld", path, (long)getpid()); /* as in a container */
    snprintf(living, sizeof(living), "%s.tmp-1", path);
    snprintf(other, sizeof(other), "%s.tmp-1x", path);
    write_file(dead, SNAPSHOT_MAGIC "half", SNAPSHOT_MAGIC_LEN + 4);
    write_file(living, SNAPSHOT_MAGIC, 4);
    write_file(other, "mine", 4);
    int fd = open(living, O_RDONLY);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    ck_assert_int_eq(save(path), SNAPSHOT_OK);
    ck_assert_int_ne(access(dead, F_OK), 0);
    ck_assert_int_eq(access(living, F_OK), 0);
    ck_assert_int_eq(access(other, F_OK), 0);
    close(fd);
    ck_assert_int_eq(save(path), SNAPSHOT_OK);
    ck_assert_uint_eq(count_files(), 2);
}
END_TEST

/* A client chooses the name: with that of another's file it must not remove what lies beside it. */
START_TEST(only_a_snapshot_is_taken_for_a_leftover)
{
    static const struct {
        const char *bytes;
        size_t len;
        bool goes;
    } rows[] = {
        { "", 0, true },
        { SNAPSHOT_MAGIC, 3, true },
        { SNAPSHOT_MAGIC "more", SNAPSHOT_MAGIC_LEN + 4, true },
        { "precious", 8, false },
        { "x", 1, false },
        { "\x8clarder?", 8, false },
        { "\0\0\0\0\0\0\0\0", 8, false },
    };
    char tmp[128];
    snprintf(tmp, sizeof(tmp), "%s.tmp-1", path);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        write_file(tmp, rows[i].bytes, rows[i].len);
        ck_assert_int_eq(save(path), SNAPSHOT_OK);
        ck_assert_msg((access(tmp, F_OK) != 0) == rows[i].goes, "row %zu", i);
    }
    ck_assert_int_eq(unlink(tmp), 0);
    ck_assert_int_eq(mkfifo(tmp, 0600), 0);
    ck_assert_int_eq(save(path), SNAPSHOT_OK);
    ck_assert_int_eq(access(tmp, F_OK), 0);
}
END_TEST

START_TEST(two_of_one_name_do_not_meet)
{
    char tmp[128];
    snprintf(tmp, sizeof(tmp), "%s.tmp-%ld", path, (long)getpid());
    write_file(tmp, SNAPSHOT_MAGIC, 4);
    int fd = open(tmp, O_RDONLY);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    ck_assert_int_eq(save(path), SNAPSHOT_BUSY);
    ck_assert_ptr_nonnull(strstr(error, "another snapshot of that name"));
    close(fd);
    ck_assert_int_eq(save(path), SNAPSHOT_OK);
}
END_TEST

/** snapshot_pace_fn: another process takes the temporary file's name for its own. */
static bool
pace_thief(void *arg, const struct snapshot_figures *so_far)
{
    (void)so_far;
    const char *tmp = arg;
    ck_assert_int_eq(unlink(tmp), 0);
    write_file(tmp, "theirs", 6);
    return true;
}

START_TEST(a_temporary_file_of_another_never_gets_the_name)
{
    char tmp[128];
    snprintf(tmp, sizeof(tmp), "%s.tmp-%ld", path, (long)getpid());
    struct snapshot_options options = { .pace = pace_thief, .pace_arg = tmp };
    ck_assert_int_eq(snapshot_save(from.cache, from.thread, path, &options, &figures, error),
                     SNAPSHOT_BUSY);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(access(tmp, F_OK), 0); /* nor is it removed */
}
END_TEST

START_TEST(every_result_has_a_text)
{
    for (unsigned i = SNAPSHOT_OK; i <= SNAPSHOT_DAMAGED; i++) {
        ck_assert_uint_gt(strlen(snapshot_result_text((enum snapshot_result)i)), 1);
    }
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("snapshot_file");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_file_is_written_and_read);
    tcase_add_test(tcase, an_older_snapshot_is_replaced_and_an_empty_file_too);
    tcase_add_test(tcase, nothing_else_is_replaced);
    tcase_add_test(tcase, only_absolute_paths_of_files_are_taken);
    tcase_add_test(tcase, what_is_not_there_is_named);
    tcase_add_test(tcase, foreign_and_damaged_files_are_told_apart);
    tcase_add_test(tcase, a_full_disk_leaves_the_older_file_whole);
    tcase_add_test(tcase, one_that_is_stopped_leaves_nothing);
    tcase_add_test(tcase, leftovers_of_the_dead_go_and_those_of_the_living_stay);
    tcase_add_test(tcase, only_a_snapshot_is_taken_for_a_leftover);
    tcase_add_test(tcase, two_of_one_name_do_not_meet);
    tcase_add_test(tcase, a_temporary_file_of_another_never_gets_the_name);
    tcase_add_test(tcase, every_result_has_a_text);
    return rig_run("engine/snapshot_file", tcase);
}
