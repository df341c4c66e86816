#include "mysql/position.h"
#include "mysql/state_file.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define U1 "11111111-2222-3333-4444-555555555555"

static const char *const texts[] = {
    "mysql gtid " U1 ":1-5:7",    "mysql gtid ", "mariadb gtid 0-1-100,5-2-7", "mariadb gtid ",
    "mysql file bin.000012:4711",
};
static const char *const bad[] = {
    "",
    "mysql",
    "mysql gtid",
    "mysql gtid 0-1-1",
    "mariadb gtid " U1 ":1",
    "mariadb file a.1:4",
    "mysql file :4",
    "mysql file a.1:",
    "mysql file a.1:x",
    "oracle gtid 1",
    "mysql file a.1:123456789012345678901",
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct bytes
bytes_of(const char *text)
{
    return (struct bytes){ (const uint8_t *)text, strlen(text) };
}

START_TEST(positions_are_read_as_they_are_written)
{
    struct position position;
    position_init(&position);
    for (size_t i = 0; i < COUNT(texts); i++) {
        char room[512];
        struct writer out = writer(room, sizeof(room));
        ck_assert(position_parse(&position, bytes_of(texts[i])));
        position_write(&position, &out);
        ck_assert_uint_eq(out.len, strlen(texts[i]));
        ck_assert_mem_eq(room, texts[i], out.len);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        ck_assert_msg(!position_parse(&position, bytes_of(bad[i])), "%s", bad[i]);
        ck_assert(!position.is_known);
    }
    position_fini(&position);
}
END_TEST

static const struct {
    const char *at;
    const char *target;
    bool reaches;
} pairs[] = {
    { "mysql file bin.000002:4", "mysql file bin.000001:9000", true },
    { "mysql file bin.000002:4", "mysql file bin.000002:4", true },
    { "mysql file bin.000002:4", "mysql file bin.000002:5", false },
    { "mysql file bin.999999:4", "mysql file bin.1000000:4", false },
    { "mysql gtid " U1 ":1-5", "mysql gtid " U1 ":1-5", true },
    { "mysql gtid " U1 ":1-5", "mysql gtid " U1 ":6", false },
    { "mariadb gtid 0-1-9", "mariadb gtid 0-2-9", true },
    { "mariadb gtid 0-1-9", "mariadb gtid 0-1-8,1-1-1", false },
    { "mysql gtid " U1 ":1-5", "mysql file bin.000001:4", false },
};

START_TEST(a_position_reaches_what_is_not_behind_it)
{
    struct position at;
    struct position target;
    position_init(&at);
    position_init(&target);
    ck_assert(!position_reaches(&at, &target));
    ck_assert(position_parse(&at, bytes_of(pairs[_i].at)));
    ck_assert(!position_reaches(&at, &target));
    ck_assert(position_parse(&target, bytes_of(pairs[_i].target)));
    ck_assert_int_eq(position_reaches(&at, &target), pairs[_i].reaches);
    position_fini(&at);
    position_fini(&target);
}
END_TEST

START_TEST(file_numbers_order_logs)
{
    ck_assert_uint_eq(position_file_number("bin.000012"), 12);
    ck_assert_uint_eq(position_file_number("a.b.7"), 7);
    ck_assert_uint_eq(position_file_number("nothing"), 0);
    ck_assert_uint_eq(position_file_number("a.x1"), 0);
    ck_assert_uint_eq(position_file_number("a.99999999999999999999"), 0);
}
END_TEST

/** Every cut and every changed byte of a state file is found out. */
START_TEST(state_file_takes_back_what_it_wrote_and_nothing_else)
{
    char folder[] = "/tmp/larder-state-XXXXXX";
    char path[64];
    struct position position;
    struct position again;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/state", folder);
    position_init(&position);
    position_init(&again);
    ck_assert_int_eq(state_file_read(path, &again), STATE_FILE_NONE);
    ck_assert(position_parse(&position, bytes_of(texts[0])));
    ck_assert_int_eq(state_file_write(path, &position), STATE_FILE_OK);
    ck_assert_int_eq(state_file_read(path, &again), STATE_FILE_OK);
    ck_assert(position_reaches(&again, &position) && position_reaches(&position, &again));

    char bytes[256];
    FILE *file = fopen(path, "r");
    size_t len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    for (size_t i = 0; i < 2 * len; i++) {
        char changed[256];
        memcpy(changed, bytes, len);
        changed[i % len] ^= 1;
        file = fopen(path, "w");
        ck_assert_uint_eq(fwrite(changed, 1, i < len ? len : i - len, file),
                          i < len ? len : i - len);
        fclose(file);
        ck_assert_int_eq(state_file_read(path, &again), STATE_FILE_BROKEN);
    }
    (void)unlink(path);
    ck_assert_int_eq(state_file_write("/nonexistent/state", &position), STATE_FILE_FAILED);
    ck_assert_int_eq(errno, ENOENT);
    (void)rmdir(folder);
    position_fini(&position);
    position_fini(&again);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("position");
    tcase_add_test(tcase, positions_are_read_as_they_are_written);
    tcase_add_loop_test(tcase, a_position_reaches_what_is_not_behind_it, 0, COUNT(pairs));
    tcase_add_test(tcase, file_numbers_order_logs);
    tcase_add_test(tcase, state_file_takes_back_what_it_wrote_and_nothing_else);
    Suite *suite = suite_create("mysql/position");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
