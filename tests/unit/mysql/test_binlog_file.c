#include "mysql/binlog_file.h"

#include <unistd.h>

#include "unit/mysql/logs.h"

static enum binlog_file_result
begin(const char *bytes, size_t len)
{
    const char *reason = NULL;
    struct binlog_file file;
    enum binlog_file_result result =
        binlog_file_begin(&file, (struct bytes){ guard_copy(bytes, len), len }, &reason);
    ck_assert((result == BINLOG_FILE_EVENT) == (reason == NULL));
    return result;
}

START_TEST(a_log_begins_with_its_mark)
{
    ck_assert_int_eq(begin("\xfe"
                           "bin",
                           4),
                     BINLOG_FILE_EVENT);
    ck_assert_int_eq(begin("\xfd"
                           "bin",
                           4),
                     BINLOG_FILE_ENCRYPTED);
    ck_assert_int_eq(begin("\xfe"
                           "bix",
                           4),
                     BINLOG_FILE_BAD);
    ck_assert_int_eq(begin("\xfe"
                           "bi",
                           3),
                     BINLOG_FILE_CUT);
    ck_assert_int_eq(begin("", 0), BINLOG_FILE_CUT);
}
END_TEST

START_TEST(every_recorded_log_is_read_to_its_end)
{
    struct log_walk walk;
    unsigned events = 0;
    log_open(&walk, all_logs[_i]);
    while (log_next(&walk)) {
        bool is_load = walk.event.kind == EVENT_LOAD;
        ck_assert_msg(walk.result != EVENT_WIDEN || is_load, "%s", walk.event.reason);
        events++;
    }
    ck_assert_uint_gt(events, 5);
    ck_assert_uint_eq(walk.file.pos, walk.file.file.len);
}
END_TEST

START_TEST(a_log_begins_with_its_format)
{
    const char *reason;
    struct binlog_file file;
    struct event event;
    enum event_result result;
    struct bytes whole = read_fixture("mariadb/checksum_none.bin");
    size_t first_len = le_get_u32(whole.at + 4 + 9);
    uint8_t *bytes = guard_room(whole.len - first_len);
    memcpy(bytes, whole.at, 4);
    memcpy(bytes + 4, whole.at + 4 + first_len, whole.len - first_len - 4);
    ck_assert_int_eq(
        binlog_file_begin(&file, (struct bytes){ bytes, whole.len - first_len }, &reason),
        BINLOG_FILE_EVENT);
    ck_assert_int_eq(binlog_file_next(&file, &event, &result, &reason), BINLOG_FILE_BAD);
}
END_TEST

START_TEST(a_cut_log_says_so_after_its_last_whole_event)
{
    const char *reason;
    struct binlog_file file;
    struct event event;
    enum event_result result;
    struct bytes whole = read_fixture("mysql/small.bin");
    whole.len--;
    ck_assert_int_eq(binlog_file_begin(&file, whole, &reason), BINLOG_FILE_EVENT);
    enum binlog_file_result next;
    unsigned events = 0;
    while ((next = binlog_file_next(&file, &event, &result, &reason)) == BINLOG_FILE_EVENT) {
        events++;
    }
    ck_assert_int_eq(next, BINLOG_FILE_CUT);
    ck_assert_uint_eq(events, 22);
}
END_TEST

/* -- logs of other servers and broken ones, from the package mariadb-test-data ---------------- */

#define OTHERS "/usr/share/mysql/mysql-test/"

static const struct {
    const char *path;
    enum binlog_file_result end;
    size_t pos; /* where it ends */
    unsigned events;
    unsigned rows;
} others[] = {
    { "std_data/mdev35643_mysql_80_binlog.000001", BINLOG_FILE_END, 4438, 40, 6 },
    { "std_data/mdev6020-mysql-bin.000001", BINLOG_FILE_END, 516117, 7754, 8006 },
    { "std_data/mdev29078-mysql-bin.000001", BINLOG_FILE_END, 920, 12, 0 },
    { "std_data/binlog_savepoint.000001", BINLOG_FILE_END, 1014, 12, 0 },
    { "std_data/binlog_transaction.000001", BINLOG_FILE_END, 1670, 20, 0 },
    { "std_data/bug33029-slave-relay-bin.000001", BINLOG_FILE_END, 3933, 43, 0 },
    { "suite/binlog/std_data/ver_trunk_row_v2.001", BINLOG_FILE_END, 151722, 40, 5 },
    { "suite/binlog/std_data/ver_5_1_23.001", BINLOG_FILE_END, 150402, 24, 5 },
    { "suite/binlog/std_data/write-full-row.binlog", BINLOG_FILE_END, 571, 9, 1 },
    { "suite/binlog/std_data/update-partial-row.binlog", BINLOG_FILE_END, 606, 10, 1 },
    { "suite/binlog/std_data/invalid_row_v2_tag.001", BINLOG_FILE_BAD, 256, 1, 0 },
    { "suite/binlog/std_data/binlog_old_version_4_1.000001", BINLOG_FILE_BAD, 4, 0, 0 },
    { "std_data/bug11747416_32228_binlog.000001", BINLOG_FILE_CUT, 316, 4, 0 },
    { "std_data/binlog_before_20574.bin", BINLOG_FILE_ENCRYPTED, 296, 2, 0 },
    { "std_data/corrupt-relay-bin.000624", BINLOG_FILE_BAD, 91204, 872, 0 },
    { "std_data/master-bin.000001", BINLOG_FILE_BAD, 4, 0, 0 },
};

/** The rows of an event whose table map was the last. */
static unsigned
count_rows(const struct event *event, const struct column *columns, size_t column_count)
{
    static struct value before[LOG_COLUMNS], after[LOG_COLUMNS];
    struct row_walk row;
    unsigned rows = 0;
    if (!row_walk_begin(&row, &event->rows, columns, column_count, NULL)) {
        return 0;
    }
    enum row_result result;
    while ((result = row_next(&row, before, after)) == ROW_NEXT) {
        rows++;
    }
    ck_assert_int_eq(result, ROW_END);
    return rows;
}

START_TEST(logs_of_others_are_read_as_far_as_they_are_whole)
{
    char path[256];
    const char *reason = NULL;
    struct binlog_file file;
    struct event event;
    enum event_result parsed;
    static struct column columns[LOG_COLUMNS];
    size_t column_count = 0;
    snprintf(path, sizeof(path), "%s%s", OTHERS, others[_i].path);
    if (access(path, R_OK) != 0) {
        return; /* main() tells that they were skipped */
    }
    enum binlog_file_result result = binlog_file_begin(&file, read_file(path), &reason);
    unsigned events = 0, rows = 0;
    while (result == BINLOG_FILE_EVENT &&
           (result = binlog_file_next(&file, &event, &parsed, &reason)) == BINLOG_FILE_EVENT) {
        events++;
        if (event.kind == EVENT_TABLE_MAP) {
            ck_assert_int_eq(columns_parse(&event.table_map, columns, LOG_COLUMNS), COLUMNS_PARSED);
            column_count = event.table_map.column_count;
        } else if (event.kind == EVENT_ROWS) {
            rows += count_rows(&event, columns, column_count);
        }
    }
    ck_assert_int_eq(result, others[_i].end);
    ck_assert_uint_eq(file.pos, others[_i].pos);
    ck_assert_uint_eq(events, others[_i].events);
    ck_assert_uint_eq(rows, others[_i].rows);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("binlog_file");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_test(tcase, a_log_begins_with_its_mark);
    tcase_add_loop_test(tcase, every_recorded_log_is_read_to_its_end, 0, COUNT(all_logs));
    tcase_add_test(tcase, a_log_begins_with_its_format);
    tcase_add_test(tcase, a_cut_log_says_so_after_its_last_whole_event);
    bool has_others = access(OTHERS, R_OK) == 0;
    if (has_others) {
        tcase_add_loop_test(tcase, logs_of_others_are_read_as_far_as_they_are_whole, 0,
                            COUNT(others));
    }
    Suite *suite = suite_create("mysql/binlog_file");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (!has_others) {
        printf("0 passed, 0 failed, %d skipped: mariadb-test-data is not installed\n",
               COUNT(others));
    }
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
