#include "admin/watch_event.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "ts=1700000000.000042 gid=7 type="

static const struct {
    struct watch_event event;
    const char *text;
    const char *line;
} lines[] = {
    { { .type = WATCH_ITEM_GET, .status = WATCH_NOT_FOUND, .fd = 23 },
      "a",
      "item_get key=a status=not_found clsid=0 cfd=23 size=0\n" },
    { { .type = WATCH_ITEM_GET,
        .status = WATCH_FOUND,
        .class_id = 5,
        .fd = 23,
        .item = { .value_len = 1000 } },
      "foo",
      "item_get key=foo status=found clsid=5 cfd=23 size=1000\n" },
    { { .type = WATCH_ITEM_GET, .status = WATCH_FLUSHED, .fd = 1 },
      "k",
      "item_get key=k status=flushed clsid=0 cfd=1 size=0\n" },
    { { .type = WATCH_ITEM_GET, .status = WATCH_EXPIRED, .fd = -1 },
      "k",
      "item_get key=k status=expired clsid=0 cfd=-1 size=0\n" },
    { { .type = WATCH_ITEM_STORE,
        .status = WATCH_STORED,
        .class_id = 1,
        .fd = 9,
        .item = { .command = WATCH_CMD_SET, .value_len = 3 } },
      "k",
      "item_store key=k status=stored cmd=set ttl=0 clsid=1 cfd=9 size=3\n" },
    { { .type = WATCH_ITEM_STORE,
        .status = WATCH_NOT_STORED,
        .class_id = 1,
        .fd = 9,
        .item = { .command = WATCH_CMD_ADD, .value_len = 3, .ttl_s = 100 } },
      "k",
      "item_store key=k status=not_stored cmd=add ttl=100 clsid=1 cfd=9 size=3\n" },
    { { .type = WATCH_ITEM_STORE,
        .status = WATCH_NOT_STORED,
        .item = { .command = WATCH_CMD_REPLACE, .ttl_s = -1 } },
      "k",
      "item_store key=k status=not_stored cmd=replace ttl=-1 clsid=0 cfd=0 size=0\n" },
    { { .type = WATCH_ITEM_STORE,
        .status = WATCH_NOT_STORED,
        .item = { .command = WATCH_CMD_APPEND } },
      "k",
      "item_store key=k status=not_stored cmd=append ttl=0 clsid=0 cfd=0 size=0\n" },
    { { .type = WATCH_ITEM_STORE,
        .status = WATCH_NO_MEMORY,
        .item = { .command = WATCH_CMD_PREPEND } },
      "k",
      "item_store key=k status=no_memory cmd=prepend ttl=0 clsid=0 cfd=0 size=0\n" },
    { { .type = WATCH_ITEM_STORE, .status = WATCH_EXISTS, .item = { .command = WATCH_CMD_CAS } },
      "k",
      "item_store key=k status=exists cmd=cas ttl=0 clsid=0 cfd=0 size=0\n" },
    { { .type = WATCH_ITEM_STORE, .status = WATCH_NOT_FOUND, .item = { .command = WATCH_CMD_CAS } },
      "k",
      "item_store key=k status=not_found cmd=cas ttl=0 clsid=0 cfd=0 size=0\n" },
    { { .type = WATCH_ITEM_STORE,
        .status = WATCH_TOO_LARGE,
        .item = { .command = WATCH_CMD_SET, .value_len = UINT32_MAX } },
      "k",
      "item_store key=k status=too_large cmd=set ttl=0 clsid=0 cfd=0 size=4294967295\n" },
    { { .type = WATCH_EVICTION,
        .class_id = 6,
        .item = { .fetched = true, .ttl_s = -1, .idle_s = 4, .value_len = 200 } },
      "k",
      "eviction key=k fetch=yes ttl=-1 la=4 clsid=6 size=200\n" },
    { { .type = WATCH_EVICTION, .class_id = 6, .item = { .ttl_s = 500, .value_len = 200 } },
      "k",
      "eviction key=k fetch=no ttl=500 la=0 clsid=6 size=200\n" },
    { { .type = WATCH_DELETED,
        .class_id = 2,
        .item = { .command = WATCH_CMD_DELETE, .value_len = 8 } },
      "k",
      "deleted key=k cmd=delete clsid=2 size=8\n" },
    { { .type = WATCH_DELETED, .class_id = 2, .item = { .command = WATCH_CMD_MD } },
      "k",
      "deleted key=k cmd=md clsid=2 size=0\n" },
    { { .type = WATCH_CONN_NEW, .fd = 23, .conn = { .port = 65535, .transport = WATCH_TCP } },
      "fe80::1%eth0",
      "conn_new rip=fe80::1%eth0 rport=65535 transport=tcp cfd=23\n" },
    { { .type = WATCH_CONN_NEW, .fd = 23, .conn = { .transport = WATCH_LOCAL } },
      "unix",
      "conn_new rip=unix rport=0 transport=local cfd=23\n" },
    { { .type = WATCH_CONN_NEW, .fd = 23, .conn = { .transport = WATCH_UDP } },
      "1.2.3.4",
      "conn_new rip=1.2.3.4 rport=0 transport=udp cfd=23\n" },
    { { .type = WATCH_CONN_CLOSE,
        .status = WATCH_REASON_ERROR,
        .fd = 23,
        .conn = { .port = 1, .transport = WATCH_TCP } },
      "1.2.3.4",
      "conn_close rip=1.2.3.4 rport=1 transport=tcp reason=error cfd=23\n" },
    { { .type = WATCH_CONN_CLOSE,
        .status = WATCH_REASON_NORMAL,
        .fd = 23,
        .conn = { .port = 1, .transport = WATCH_TCP } },
      "1.2.3.4",
      "conn_close rip=1.2.3.4 rport=1 transport=tcp reason=normal cfd=23\n" },
    { { .type = WATCH_CONN_CLOSE,
        .status = WATCH_REASON_IDLE,
        .fd = 23,
        .conn = { .port = 1, .transport = WATCH_TCP } },
      "1.2.3.4",
      "conn_close rip=1.2.3.4 rport=1 transport=tcp reason=idle_timeout cfd=23\n" },
    { { .type = WATCH_CONN_CLOSE,
        .status = WATCH_REASON_SHUTDOWN,
        .fd = 23,
        .conn = { .port = 1, .transport = WATCH_TCP } },
      "1.2.3.4",
      "conn_close rip=1.2.3.4 rport=1 transport=tcp reason=shutdown cfd=23\n" },
    { { .type = WATCH_CONN_ERROR, .fd = 23 },
      "Connection\nreset by peer",
      "connerr fd=23 msg=Connection reset by peer\n" },
    { { .type = WATCH_CONN_TLS_ERROR, .fd = 23 },
      "wrong version number",
      "conntlserr fd=23 msg=wrong version number\n" },
    { { .type = WATCH_SLAB_MOVE, .class_id = 3, .to_class_id = 9 },
      "",
      "slab_move src=3 dst=9 state=start\n" },
    { { .type = WATCH_SLAB_MOVE, .status = WATCH_MOVE_DONE, .class_id = 3, .to_class_id = 0 },
      "",
      "slab_move src=3 dst=0 state=done\n" },
    { { .type = WATCH_SLAB_MOVE, .status = WATCH_MOVE_ABANDONED, .class_id = 3, .to_class_id = 9 },
      "",
      "slab_move src=3 dst=9 state=abandoned\n" },
    { { .type = WATCH_LRU_CRAWLER,
        .class_id = 3,
        .sweep = { .elapsed_s = 2, .examined = 1000, .reclaimed = 7 } },
      "",
      "lru_crawler crawler=3 lru=all low_mark=0 next_reclaims=0 since_run=0 next_run=0 elapsed=2 "
      "examined=1000 reclaimed=7\n" },
};

START_TEST(each_event_has_its_line)
{
    struct watch_event event = lines[_i].event;
    event.number = 7;
    event.at_us = UINT64_C(1700000000) * 1000000 + 42;
    event.text_len = (uint8_t)strlen(lines[_i].text);
    char line[WATCH_LINE_MAX];
    size_t len = watch_write_line(line, &event, lines[_i].text);
    ck_assert_uint_eq(len, strlen(PREFIX) + strlen(lines[_i].line));
    ck_assert(memcmp(line, PREFIX, strlen(PREFIX)) == 0);
    line[len] = '\0';
    ck_assert_str_eq(line + strlen(PREFIX), lines[_i].line);
}
END_TEST

START_TEST(a_key_keeps_only_unreserved_bytes)
{
    uint8_t key[WATCH_TEXT_MAX];
    for (unsigned byte = 0; byte < 256; byte++) {
        key[0] = (uint8_t)byte;
        struct watch_event event = { .type = WATCH_DELETED, .text_len = 1 };
        char line[WATCH_LINE_MAX];
        size_t len = watch_write_line(line, &event, key);
        line[len] = '\0';
        char expected[32];
        bool plain = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~",
                            (int)byte) != NULL &&
                     byte != 0;
        snprintf(expected, sizeof(expected), plain ? "key=%c " : "key=%%%02X ", byte);
        ck_assert_msg(strstr(line, expected) != NULL, "byte %u: %s", byte, line);
    }
    memset(key, '#', sizeof(key));
    struct watch_event event = {
        .number = UINT64_MAX,
        .at_us = UINT64_MAX,
        .type = WATCH_ITEM_STORE,
        .status = WATCH_NOT_STORED,
        .text_len = WATCH_TEXT_MAX,
        .class_id = 255,
        .fd = INT32_MIN,
        .item = { .command = WATCH_CMD_PREPEND, .value_len = UINT32_MAX, .ttl_s = INT64_MIN }
    };
    char line[WATCH_LINE_MAX + 1];
    size_t len = watch_write_line(line, &event, key);
    ck_assert_uint_le(len, WATCH_LINE_MAX);
    line[len] = '\0';
    const char *at = strstr(line, "key=");
    ck_assert_ptr_nonnull(at);
    ck_assert_uint_eq(strspn(at + 4, "%23"), 3 * WATCH_TEXT_MAX);
    ck_assert_int_eq(line[len - 1], '\n');
}
END_TEST

START_TEST(classes_are_whole_words)
{
    ck_assert_uint_eq(watch_class_named("fetchers", 8), WATCH_FETCHERS);
    ck_assert_uint_eq(watch_class_named("mutations", 9), WATCH_MUTATIONS);
    ck_assert_uint_eq(watch_class_named("evictions", 9), WATCH_EVICTIONS);
    ck_assert_uint_eq(watch_class_named("deletions", 9), WATCH_DELETIONS);
    ck_assert_uint_eq(watch_class_named("connevents", 10), WATCH_CONNEVENTS);
    ck_assert_uint_eq(watch_class_named("sysevents", 9), WATCH_SYSEVENTS);
    ck_assert_uint_eq(watch_class_named("rawcmds", 7), WATCH_SILENT);
    ck_assert_uint_eq(watch_class_named("proxyreqs", 9), WATCH_SILENT);
    ck_assert_uint_eq(watch_class_named("proxyevents", 11), WATCH_SILENT);
    ck_assert_uint_eq(watch_class_named("proxyuser", 9), WATCH_SILENT);
    ck_assert_uint_eq(watch_class_named("fetchers", 7), 0);
    ck_assert_uint_eq(watch_class_named("Fetchers", 8), 0);
    ck_assert_uint_eq(watch_class_named("all", 3), 0);
    ck_assert_uint_eq(watch_class_named("", 0), 0);
}
END_TEST

START_TEST(skipped_lines_are_told)
{
    char line[WATCH_LINE_MAX + 1];
    size_t len = watch_write_skipped(line, 90451);
    line[len] = '\0';
    ck_assert_str_eq(line, "skipped=90451\n");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("watch_event");
    TCase *tcase = tcase_create("watch_event");
    tcase_add_loop_test(tcase, each_event_has_its_line, 0, sizeof(lines) / sizeof(lines[0]));
    tcase_add_test(tcase, a_key_keeps_only_unreserved_bytes);
    tcase_add_test(tcase, classes_are_whole_words);
    tcase_add_test(tcase, skipped_lines_are_told);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
