#include "mysql/gtid.h"

#include "unit/mysql/logs.h"

#define U1 "11111111-2222-3333-4444-555555555555"
#define U2 "7b8a2321-e697-11f1-8d3d-02fc00000001"

static enum gtid_result
parse(struct gtid_set *set, const char *text)
{
    size_t len = strlen(text);
    return gtid_set_parse(set, (struct bytes){ guard_copy(text, len), len });
}

static const char *
print(const struct gtid_set *set)
{
    static char room[4096];
    struct writer out = writer(room, sizeof(room) - 1);
    gtid_set_write(set, &out);
    room[out.len] = '\0';
    ck_assert(!out.is_full);
    return room;
}

static const struct {
    const char *text;
    const char *printed; /* NULL: refused */
    enum gtid_result result;
} sets[] = {
    { "", "", GTID_DONE },
    { " \n", "", GTID_DONE },
    { "0-1-100", "0-1-100", GTID_DONE },
    { "5-2-7,0-1-100", "0-1-100,5-2-7", GTID_DONE },
    { "0-1-100,0-2-99", "0-1-100", GTID_DONE },
    { "0-1-100,0-2-101", "0-2-101", GTID_DONE },
    { "4294967295-4294967295-18446744073709551615", "4294967295-4294967295-18446744073709551615",
      GTID_DONE },
    { "4294967296-1-1", NULL, GTID_BAD },
    { "0-1-18446744073709551616", NULL, GTID_BAD },
    { "0-1", NULL, GTID_BAD },
    { "0-1-", NULL, GTID_BAD },
    { "0-1-1;", NULL, GTID_BAD },
    { U1 ":1", U1 ":1", GTID_DONE },
    { U1 ":1-5:7-9:6", U1 ":1-9", GTID_DONE },
    { U1 ":7-9:1-5", U1 ":1-5:7-9", GTID_DONE },
    { U1 ":1-5,\n" U1 ":3-8", U1 ":1-8", GTID_DONE },
    { U1 ":1-3:5-7:9-11:2-10", U1 ":1-11", GTID_DONE },
    { U2 ":1 , " U1 ":2", U1 ":2," U2 ":1", GTID_DONE },
    { "7B8A2321E69711F18D3D02FC00000001:1", U2 ":1", GTID_DONE },
    { U1 ":1-3:tag_a:5:tag_b:1-2:4", U1 ":1-3:tag_a:5:tag_b:1-2:4", GTID_DONE },
    { U1 ":TAG:1," U1 ":4", U1 ":4:tag:1", GTID_DONE },
    { U1 ":_1:9223372036854775806", U1 ":_1:9223372036854775806", GTID_DONE },
    { U1 ":1-9223372036854775807", NULL, GTID_BAD },
    { U1 ":0", NULL, GTID_BAD },
    { U1 ":5-3", NULL, GTID_BAD },
    { U1 ":", NULL, GTID_BAD },
    { U1, NULL, GTID_BAD },
    { U1 ":tag", NULL, GTID_BAD },
    { U1 ":1:tag", NULL, GTID_BAD },
    { U1 ":t123456789012345678901234567890123:1", NULL, GTID_BAD },
    { "11111111-2222:1", NULL, GTID_BAD },
    { U1 ":1,0-1-1", NULL, GTID_MIXED },
    { "0-1-1," U1 ":1", NULL, GTID_MIXED },
    { U1 ":1 2", NULL, GTID_BAD },
};

START_TEST(sets_are_parsed_and_printed)
{
    struct gtid_set set;
    gtid_set_init(&set);
    ck_assert_int_eq(parse(&set, sets[_i].text), sets[_i].result);
    if (sets[_i].printed != NULL) {
        ck_assert_str_eq(print(&set), sets[_i].printed);
        struct gtid_set again;
        gtid_set_init(&again);
        ck_assert_int_eq(parse(&again, print(&set)), GTID_DONE);
        ck_assert(gtid_set_contains_set(&set, &again) && gtid_set_contains_set(&again, &set));
        gtid_set_fini(&again);
    }
    gtid_set_fini(&set);
}
END_TEST

static const struct {
    const char *set;
    const char *gtid;
    bool is_in;
} members[] = {
    { "", "0-1-1", false },
    { "0-1-5", "0-1-5", true },
    { "0-1-5", "0-2-4", true },
    { "0-1-5", "0-1-6", false },
    { "0-1-5", "1-1-1", false },
    { "0-1-5", U1 ":1", false },
    { U1 ":2-4:7", U1 ":1", false },
    { U1 ":2-4:7", U1 ":2", true },
    { U1 ":2-4:7", U1 ":4", true },
    { U1 ":2-4:7", U1 ":5", false },
    { U1 ":2-4:7", U1 ":7", true },
    { U1 ":2-4:7", U1 ":8", false },
    { U1 ":2-4:7", U2 ":2", false },
    { U1 ":2-4:t:7", U1 ":t:2", false },
    { U1 ":2-4:t:7", U1 ":t:7", true },
    { U1 ":2-4:t:7", U1 ":7", false },
    { U1 ":t:7", U1 ":tt:7", false },
};

START_TEST(a_set_knows_its_members)
{
    struct gtid_set set;
    struct gtid gtid;
    gtid_set_init(&set);
    ck_assert_int_eq(parse(&set, members[_i].set), GTID_DONE);
    const char *text = members[_i].gtid;
    ck_assert_int_eq(gtid_parse((struct bytes){ (const uint8_t *)text, strlen(text) }, &gtid),
                     GTID_DONE);
    ck_assert_int_eq(gtid_set_contains(&set, &gtid), members[_i].is_in);
    char room[GTID_TEXT_MAX];
    struct writer out = writer(room, sizeof(room) - 1);
    gtid_write(&gtid, &out);
    room[out.len] = '\0';
    ck_assert_str_eq(room, text);
    gtid_set_fini(&set);
}
END_TEST

static const char *const not_gtids[] = {
    "", "0-1", "0-1-1 ", U1, U1 ":0", U1 ":1-2", U1 ":t", U1 ":t:", U1 ":1x", "x",
};

START_TEST(one_gtid_is_no_set)
{
    struct gtid gtid;
    size_t len = strlen(not_gtids[_i]);
    ck_assert_int_eq(gtid_parse((struct bytes){ guard_copy(not_gtids[_i], len), len }, &gtid),
                     GTID_BAD);
}
END_TEST

/* Numbers in an order that makes intervals, joins them and fills every gap. */
START_TEST(added_in_any_order_they_become_one_interval)
{
    struct gtid_set set;
    struct gtid gtid;
    gtid_set_init(&set);
    ck_assert_int_eq(gtid_parse(SPAN(U1 ":1"), &gtid), GTID_DONE);
    for (uint64_t i = 0; i < 1009; i++) {
        gtid.number = i * 383 % 1009 + 1;
        ck_assert(!gtid_set_contains(&set, &gtid));
        ck_assert_int_eq(gtid_set_add(&set, &gtid), GTID_DONE);
        ck_assert(gtid_set_contains(&set, &gtid));
        ck_assert_int_eq(gtid_set_add(&set, &gtid), GTID_DONE);
    }
    ck_assert_str_eq(print(&set), U1 ":1-1009");
    gtid_set_clear(&set);
    ck_assert_str_eq(print(&set), "");
    gtid_set_fini(&set);
}
END_TEST

START_TEST(a_set_has_a_bound)
{
    struct gtid_set set;
    struct gtid gtid;
    gtid_set_init(&set);
    ck_assert_int_eq(gtid_parse(SPAN(U1 ":1"), &gtid), GTID_DONE);
    for (uint64_t i = 0; i < GTID_ENTRIES_MAX; i++) {
        gtid.number = 2 * i + 1;
        ck_assert_int_eq(gtid_set_add(&set, &gtid), GTID_DONE);
    }
    gtid.number += 2;
    ck_assert_int_eq(gtid_set_add(&set, &gtid), GTID_FULL);
    gtid.number -= 1;
    ck_assert_int_eq(gtid_set_add(&set, &gtid), GTID_DONE); /* makes one longer */
    ck_assert_uint_eq(set.count, GTID_ENTRIES_MAX);
    gtid_set_fini(&set);
}
END_TEST

START_TEST(merged_sets_hold_both)
{
    struct gtid_set a, b;
    gtid_set_init(&a);
    gtid_set_init(&b);
    ck_assert_int_eq(parse(&a, U1 ":1-5:tag:3"), GTID_DONE);
    ck_assert_int_eq(parse(&b, U1 ":4-9:tag:4," U2 ":1"), GTID_DONE);
    ck_assert(!gtid_set_contains_set(&a, &b));
    ck_assert_int_eq(gtid_set_merge(&a, &b), GTID_DONE);
    ck_assert_str_eq(print(&a), U1 ":1-9:tag:3-4," U2 ":1");
    ck_assert(gtid_set_contains_set(&a, &b));
    gtid_set_fini(&a);
    gtid_set_fini(&b);
}
END_TEST

static const struct {
    const char *log;
    enum event_kind kind;
    const char *printed; /* NULL: its end is not the same in each recording */
    size_t entries;
} previous[] = {
    { "mariadb/small.bin", EVENT_GTID_LIST, NULL, 1 },
    { "mysql/small.bin", EVENT_PREVIOUS_GTIDS, NULL, 1 },
    { "mysql/after_tagged.bin", EVENT_PREVIOUS_GTIDS, NULL, 5 },
};

/* What the servers wrote comes out of the encoder byte for byte. */
START_TEST(logs_begin_with_a_set)
{
    struct gtid_set set;
    struct log_walk walk;
    gtid_set_init(&set);
    log_open(&walk, previous[_i].log);
    log_find(&walk, previous[_i].kind);
    ck_assert_int_eq(gtid_set_add_event(&set, &walk.event), GTID_DONE);
    ck_assert_uint_eq(set.count, previous[_i].entries);
    if (previous[_i].kind == EVENT_PREVIOUS_GTIDS) {
        char room[1000];
        struct writer out = writer(room, sizeof(room));
        gtid_set_encode(&set, &out);
        ck_assert_uint_eq(out.len, walk.event.gtids.len);
        ck_assert_mem_eq(room, walk.event.gtids.at, out.len);
    }
    if (_i == 2) {
        struct gtid gtid;
        ck_assert_int_eq(gtid_parse(SPAN(U1 ":other:9223372036854775806"), &gtid), GTID_DONE);
        ck_assert(gtid_set_contains(&set, &gtid));
        ck_assert_int_eq(gtid_parse(SPAN(U1 ":8"), &gtid), GTID_DONE);
        ck_assert(!gtid_set_contains(&set, &gtid));
    }
    /* cut off anywhere it is bad */
    for (size_t len = 0; len < walk.event.gtids.len; len++) {
        struct event event = walk.event;
        event.gtids = (struct bytes){ guard_copy(walk.event.gtids.at, len), len };
        gtid_set_clear(&set);
        ck_assert_int_eq(gtid_set_add_event(&set, &event), GTID_BAD);
    }
    gtid_set_fini(&set);
    log_close(&walk);
}
END_TEST

START_TEST(events_have_their_gtid)
{
    struct log_walk walk;
    struct gtid gtid;
    log_open(&walk, "mysql/tagged.bin");
    log_find(&walk, EVENT_GTID);
    log_find(&walk, EVENT_GTID);
    ck_assert_int_eq(gtid_of_event(&walk.event, &gtid), GTID_DONE);
    ck_assert_uint_eq(gtid.number, 1);
    ck_assert_uint_eq(gtid.tag_len, 5);
    log_find(&walk, EVENT_QUERY);
    ck_assert_int_eq(gtid_of_event(&walk.event, &gtid), GTID_BAD);
    log_close(&walk);
    log_open(&walk, "mariadb/small.bin");
    log_find(&walk, EVENT_GTID_MARIADB);
    ck_assert_int_eq(gtid_of_event(&walk.event, &gtid), GTID_DONE);
    ck_assert_int_eq(gtid.family, GTID_MARIADB);
    ck_assert_uint_eq(gtid.server, 11);
    log_close(&walk);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("gtid");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_loop_test(tcase, sets_are_parsed_and_printed, 0, COUNT(sets));
    tcase_add_loop_test(tcase, a_set_knows_its_members, 0, COUNT(members));
    tcase_add_loop_test(tcase, one_gtid_is_no_set, 0, COUNT(not_gtids));
    tcase_add_test(tcase, added_in_any_order_they_become_one_interval);
    tcase_add_test(tcase, a_set_has_a_bound);
    tcase_add_test(tcase, merged_sets_hold_both);
    tcase_add_loop_test(tcase, logs_begin_with_a_set, 0, COUNT(previous));
    tcase_add_test(tcase, events_have_their_gtid);
    Suite *suite = suite_create("mysql/gtid");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
