#include "mysql/row.h"

#include "unit/mysql/logs.h"

/** One image as "text,text,...". */
static void
print_image(const struct value *values, size_t count, char *out, size_t cap)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        len +=
            (size_t)snprintf(out + len, cap - len, "%s%s", i > 0 ? "," : "", text_of(&values[i]));
        ck_assert_uint_lt(len, cap);
    }
}

struct change {
    enum event_rows_op op;
    const char *before;
    const char *after;
};

/** Compares all rows of a log with what is expected of them. */
static void
check_changes(const char *log, const struct change *changes, size_t count)
{
    static struct value before[LOG_COLUMNS], after[LOG_COLUMNS];
    char text[1024];
    size_t next = 0;
    struct log_walk walk;
    log_open(&walk, log);
    while (log_next(&walk)) {
        if (walk.event.kind != EVENT_ROWS) {
            continue;
        }
        struct row_walk row;
        ck_assert(row_walk_begin(&row, &walk.event.rows, walk.columns, walk.column_count, NULL));
        while (row_next(&row, before, after) == ROW_NEXT) {
            ck_assert_uint_lt(next, count);
            ck_assert_int_eq(walk.event.rows.op, changes[next].op);
            if (walk.event.rows.before != NULL) {
                print_image(before, walk.column_count, text, sizeof(text));
                ck_assert_str_eq(text, changes[next].before);
            }
            if (walk.event.rows.after != NULL) {
                print_image(after, walk.column_count, text, sizeof(text));
                ck_assert_str_eq(text, changes[next].after);
            }
            next++;
        }
        ck_assert_uint_eq(bytes_left(&row.cur), 0);
    }
    ck_assert_uint_eq(next, count);
}

/* FULL, MINIMAL and NOBLOB, as images.sql makes them. */
static const struct change image_changes[] = {
    { EVENT_ROWS_WRITE, "", "1,10,one,text one,blob one" },
    { EVENT_ROWS_WRITE, "", "2,20,two,text two,blob two" },
    { EVENT_ROWS_WRITE, "", "3,30,NULL,NULL,NULL" },
    { EVENT_ROWS_UPDATE, "1,10,one,text one,blob one", "1,11,one,text one,blob one" },
    { EVENT_ROWS_UPDATE, "2,20,two,text two,blob two", "2,21,two,text two,blob two" },
    { EVENT_ROWS_DELETE, "3,30,NULL,NULL,NULL", "" },
    { EVENT_ROWS_WRITE, "", "4,40,absent,absent,absent" },
    { EVENT_ROWS_UPDATE, "1,absent,absent,absent,absent", "absent,12,absent,absent,absent" },
    { EVENT_ROWS_UPDATE, "1,absent,absent,absent,absent", "absent,absent,more,absent,NULL" },
    { EVENT_ROWS_DELETE, "2,absent,absent,absent,absent", "" },
    { EVENT_ROWS_WRITE, "", "5,50,NULL,text five,absent" },
    { EVENT_ROWS_UPDATE, "1,12,more,absent,absent", "1,13,more,absent,absent" },
    { EVENT_ROWS_UPDATE, "1,13,more,absent,absent", "1,13,more,changed,absent" },
    { EVENT_ROWS_DELETE, "1,13,more,absent,absent", "" },
};

START_TEST(images_hold_what_their_kind_says)
{
    static const char *const logs[] = { "mariadb/images.bin", "mysql/images.bin" };
    check_changes(logs[_i], image_changes, COUNT(image_changes));
}
END_TEST

static const struct change small_changes[] = {
    { EVENT_ROWS_WRITE, "", "1,one" },
    { EVENT_ROWS_WRITE, "", "2,two" },
    { EVENT_ROWS_UPDATE, "2,two", "2,zwei" },
    { EVENT_ROWS_DELETE, "1,one", "" },
};

START_TEST(a_checksum_changes_nothing)
{
    static const char *const logs[] = { "mariadb/small.bin", "mariadb/checksum_none.bin",
                                        "mysql/small.bin", "mysql/checksum_none.bin" };
    check_changes(logs[_i], small_changes, COUNT(small_changes));
}
END_TEST

START_TEST(packed_rows_are_rows)
{
    char one[300], two[300], drei[300];
    struct change changes[4] = { { EVENT_ROWS_WRITE, "", one },
                                 { EVENT_ROWS_WRITE, "", two },
                                 { EVENT_ROWS_UPDATE, two, drei },
                                 { EVENT_ROWS_DELETE, one, "" } };
    strcpy(one, "1,");
    strcpy(two, "2,");
    strcpy(drei, "2,");
    for (unsigned i = 0; i < 70; i++) {
        strcat(one, "one ");
        strcat(two, "two ");
        strcat(drei, "drei");
    }
    check_changes(packed_logs[_i], changes, COUNT(changes));
}
END_TEST

static const char pj[] =
    "{\"a\": \"long enough text to be worth it\", \"b\": %d, \"c\": [1, 2, 3]}";

START_TEST(partial_json_is_not_taken_for_the_value)
{
    char b2[200], b3[200], full[2][400];
    const char *k = "{\"x\": \"another long text that stays the same\"}";
    snprintf(b2, sizeof(b2), pj, 2);
    snprintf(b3, sizeof(b3), pj, 3);
    snprintf(full[0], sizeof(full[0]), "1,%s,5,%s,[]", b2, k);
    snprintf(full[1], sizeof(full[1]), "1,%s,6,%s,[]", b3, k);
    /* An unchanged JSON column of a full image is a change of nothing, or whole. */
    static struct value before[LOG_COLUMNS], values[LOG_COLUMNS];
    struct log_walk walk;
    struct row_walk row;
    char text[1024];
    log_open(&walk, "mysql/partial_json.bin");
    log_find(&walk, EVENT_ROWS);
    const struct {
        const char *before;
        const char *j, *n, *k, *l; /* after; NULL: not compared */
    } expected[] = {
        { full[0], "widen", "6", NULL, NULL },
        { full[1], NULL, "7", "widen", NULL },
        { "1,absent,absent,absent,absent", "absent", "8", "{\"z\": 1}", "absent" },
        { "1,absent,absent,absent,absent", "widen", "9", "absent", "[1]" },
        { "1,absent,absent,absent,absent", "absent", "10", "absent", "absent" },
        { "1,absent,absent,absent,absent", "absent", "11", "absent",
          "[\"a long text in an array\", 1, 2, 3]" },
        { "1,absent,absent,absent,absent", "absent", "12", "absent", "widen" },
    };
    for (int i = 0; i < COUNT(expected); i++) {
        log_find(&walk, EVENT_ROWS);
        ck_assert(walk.event.rows.partial_json);
        ck_assert(row_walk_begin(&row, &walk.event.rows, walk.columns, walk.column_count, NULL));
        ck_assert_int_eq(row_next(&row, before, values), ROW_NEXT);
        print_image(before, 5, text, sizeof(text));
        ck_assert_str_eq(text, expected[i].before);
        const char *const after_texts[] = { NULL, expected[i].j, expected[i].n, expected[i].k,
                                            expected[i].l };
        for (int c = 1; c < 5; c++) {
            if (after_texts[c] != NULL) {
                ck_assert_str_eq(text_of(&values[c]), after_texts[c]);
            }
        }
        ck_assert_int_eq(row_next(&row, before, values), ROW_END);
    }
    log_close(&walk);
}
END_TEST

START_TEST(only_the_columns_asked_for_are_given)
{
    struct log_walk walk;
    struct row_walk row;
    struct value value = { .kind = VALUE_UNREADABLE };
    uint16_t slots[LOG_COLUMNS];
    for (size_t i = 0; i < LOG_COLUMNS; i++) {
        slots[i] = ROW_SKIP;
    }
    slots[58] = 0; /* the last one: all others are stepped over */
    log_open(&walk, "mysql/types.bin");
    log_find(&walk, EVENT_ROWS);
    ck_assert_uint_eq(walk.column_count, 59);
    ck_assert(row_walk_begin(&row, &walk.event.rows, walk.columns, walk.column_count, slots));
    ck_assert_int_eq(row_next(&row, NULL, &value), ROW_NEXT);
    ck_assert_int_eq(value.kind, VALUE_GEOMETRY);
    ck_assert_uint_eq(value.bytes.len, 25);
    log_close(&walk);
}
END_TEST

START_TEST(a_walk_wants_its_own_columns)
{
    struct log_walk walk;
    struct row_walk row;
    log_open(&walk, "mysql/small.bin");
    log_find(&walk, EVENT_ROWS);
    ck_assert(!row_walk_begin(&row, &walk.event.rows, walk.columns, 1, NULL));
    walk.event.rows.packed = true;
    ck_assert(!row_walk_begin(&row, &walk.event.rows, walk.columns, 2, NULL));
    log_close(&walk);
}
END_TEST

/* Cut off anywhere a row is bad, and nothing is read behind the cut. */
START_TEST(cut_rows_are_bad)
{
    static struct value before[LOG_COLUMNS], after[LOG_COLUMNS];
    struct log_walk walk;
    log_open(&walk, all_logs[_i]);
    while (log_next(&walk)) {
        if (walk.event.kind != EVENT_ROWS) {
            continue;
        }
        struct event_rows rows = walk.event.rows;
        size_t len = rows.rows.len < 700 ? rows.rows.len : 700;
        uint8_t *end = guard_room(len) + len;
        for (size_t cut = 0; cut < len; cut++) {
            memcpy(end - cut, walk.event.rows.rows.at, cut);
            rows.rows = (struct bytes){ end - cut, cut };
            struct row_walk row;
            ck_assert(row_walk_begin(&row, &rows, walk.columns, walk.column_count, NULL));
            enum row_result result;
            unsigned taken = 0;
            while ((result = row_next(&row, before, after)) == ROW_NEXT) {
                ck_assert_uint_lt(taken++, 100);
            }
            ck_assert(result == ROW_BAD || bytes_left(&row.cur) == 0);
        }
    }
}
END_TEST

START_TEST(a_row_of_no_bytes_does_not_go_on_for_ever)
{
    static const uint8_t none[] = { 0 };
    struct column column = { .type = COLUMN_LONG, .width = 4 };
    struct event_rows rows = {
        .op = EVENT_ROWS_WRITE, .column_count = 1, .after = none, .rows = { none, 1 }
    };
    struct row_walk row;
    struct value value;
    ck_assert(row_walk_begin(&row, &rows, &column, 1, NULL));
    ck_assert_int_eq(row_next(&row, NULL, &value), ROW_BAD);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("row");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_loop_test(tcase, images_hold_what_their_kind_says, 0, 2);
    tcase_add_loop_test(tcase, a_checksum_changes_nothing, 0, 4);
    tcase_add_loop_test(tcase, packed_rows_are_rows, 0, COUNT(packed_logs) - 1);
    tcase_add_test(tcase, partial_json_is_not_taken_for_the_value);
    tcase_add_test(tcase, only_the_columns_asked_for_are_given);
    tcase_add_test(tcase, a_walk_wants_its_own_columns);
    tcase_add_loop_test(tcase, cut_rows_are_bad, 0, COUNT(all_logs));
    tcase_add_test(tcase, a_row_of_no_bytes_does_not_go_on_for_ever);
    Suite *suite = suite_create("mysql/row");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
