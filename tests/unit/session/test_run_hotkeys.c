/* Which requests `stats hotkeys` counts, with every run of the session counted. */
#include "unit/session/harness.h"

#include "admin/hotkeys.h"
#include "proto/binary.h"

static uint64_t now_us;

static uint64_t
read_now(void)
{
    return now_us;
}

struct rig {
    struct harness harness;
    struct hotkeys *hotkeys;
};

static void
rig_open(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    now_us = UINT64_C(1000000000);
    struct hotkeys_options options = { read_now, 1, 1 };
    settings_init(&rig->harness.settings);
    rig->hotkeys = hotkeys_create(&options);
    rig->harness.stats.hotkeys = rig->hotkeys;
    harness_start(&rig->harness);
    ck_assert_ptr_nonnull(strstr(harness_ask(&rig->harness, "stats hotkeys\r\n"), "\r\nEND\r\n"));
}

static void
rig_close(struct rig *rig)
{
    harness_close(&rig->harness);
    hotkeys_destroy(rig->hotkeys);
}

/** One command of each kind, asked of a server that holds "n" as a number and "v" as "value". */
struct counted {
    const char *text;
    const char *reply;
    const char *key;
    unsigned requests;
    unsigned bytes;
};

static const struct counted counted_requests[] = {
    { "get v\r\n", "VALUE v 0 5\r\nvalue\r\nEND\r\n", "v", 1, 5 },
    { "gets v\r\n", "VALUE v 0 5 3\r\nvalue\r\nEND\r\n", "v", 1, 5 },
    { "get none\r\n", "END\r\n", "none", 1, 0 },
    { "get v\r\nget v v\r\n",
      "VALUE v 0 5\r\nvalue\r\nEND\r\nVALUE v 0 5\r\nvalue\r\nVALUE v 0 5\r\nvalue\r\nEND\r\n", "v",
      3, 15 },
    { "gat 0 v\r\n", "VALUE v 0 5\r\nvalue\r\nEND\r\n", "v", 1, 5 },
    { "gat 0 none\r\n", "END\r\n", "none", 1, 0 },
    { "touch v 0\r\n", "TOUCHED\r\n", "v", 1, 0 },
    { "set v 0 0 3\r\nnew\r\n", "STORED\r\n", "v", 1, 0 },
    { "add v 0 0 3\r\nnew\r\n", "NOT_STORED\r\n", "v", 1, 0 },
    { "append v 0 0 1\r\n!\r\n", "STORED\r\n", "v", 1, 0 },
    { "cas v 0 0 1 77\r\n!\r\n", "EXISTS\r\n", "v", 1, 0 },
    { "incr n 1\r\n", "8\r\n", "n", 1, 0 },
    { "delete v\r\n", "DELETED\r\n", "v", 1, 0 },
    { "mg v v\r\n", "VA 5\r\nvalue\r\n", "v", 1, 5 },
    { "mg v s\r\n", "HD s5\r\n", "v", 1, 0 },
    { "mg v v\r\nmg v v\r\n", "VA 5\r\nvalue\r\nVA 5\r\nvalue\r\n", "v", 2, 10 },
    { "mg v v T100\r\n", "VA 5\r\nvalue\r\n", "v", 1, 5 },
    { "mg none v\r\n", "EN\r\n", "none", 1, 0 },
    { "mg none v N30\r\n", "VA 0 W\r\n\r\n", "none", 1, 0 },
    { "mg bm9uZQ== b v\r\n", "EN\r\n", "none", 1, 0 },
    { "me none\r\n", "EN\r\n", "none", 1, 0 },
    { "ms v 3\r\nnew\r\n", "HD\r\n", "v", 1, 0 },
    { "ms v 3 MA\r\nnew\r\n", "HD\r\n", "v", 1, 0 },
    { "ma n\r\n", "HD\r\n", "n", 1, 0 },
    { "ma none N0 J5\r\n", "HD\r\n", "none", 1, 0 },
    { "md v\r\n", "HD\r\n", "v", 1, 0 },
    { "md v I\r\n", "HD\r\n", "v", 1, 0 },
};

/** Whether what `stats hotkeys` says of the first key is this. */
static void
expect_counted(struct rig *rig, const char *what, const struct counted *counted)
{
    now_us += 1000000; /* rates are of one second */
    const char *stats = harness_ask(&rig->harness, "stats hotkeys\r\n");
    char text[200];
    snprintf(text, sizeof(text),
             "STAT requests:1:key %s\r\nSTAT requests:1:per_s %u\r\nSTAT requests:1:error 0\r\n",
             counted->key, counted->requests);
    ck_assert_msg(strstr(stats, text) != NULL, "after %s: %s", what, stats);
    ck_assert_msg(strstr(stats, "requests:2") == NULL, "after %s: %s", what, stats);
    snprintf(text, sizeof(text), "STAT bytes:1:key %s\r\nSTAT bytes:1:per_s %u\r\n", counted->key,
             counted->bytes);
    ck_assert_msg((strstr(stats, text) != NULL) == (counted->bytes > 0), "after %s: %s", what,
                  stats);
}

START_TEST(each_request_counts_once)
{
    const struct counted *counted = &counted_requests[_i];
    struct rig rig;
    rig_open(&rig);
    /* What comes before is forgotten. */
    (void)harness_ask(&rig.harness, "set n 0 0 1\r\n7\r\nset v 0 0 5\r\nvalue\r\n");
    now_us += (uint64_t)HOTKEYS_KEEP_US + 1;
    hotkeys_tick(rig.hotkeys);
    (void)harness_ask(&rig.harness, "stats hotkeys\r\n");

    ck_assert_str_eq(harness_ask(&rig.harness, counted->text), counted->reply);
    expect_counted(&rig, counted->text, counted);
    rig_close(&rig);
}
END_TEST

/** A packet of the binary protocol; extras and value may be empty. */
static size_t
put_packet(uint8_t *at, uint8_t op, const char *extras, uint8_t extras_len, const char *key,
           const char *value)
{
    size_t key_len = strlen(key);
    size_t body = extras_len + key_len + strlen(value);
    memset(at, 0, BINARY_HEADER_LEN);
    at[0] = 0x80;
    at[1] = op;
    at[3] = (uint8_t)key_len;
    at[4] = extras_len;
    at[11] = (uint8_t)body;
    at += BINARY_HEADER_LEN;
    memcpy(at, extras, extras_len);
    memcpy(at + extras_len, key, key_len);
    memcpy(at + extras_len + key_len, value, strlen(value));
    return BINARY_HEADER_LEN + body;
}

static const struct {
    uint8_t op;
    uint8_t extras_len;
    const char *extras;
    const char *value;
    unsigned bytes;
} binary_requests[] = {
    { 0x00, 0, "", "", 5 },                                        /* get */
    { 0x0d, 0, "", "", 5 },                                        /* getkq */
    { 0x01, 8, "\0\0\0\0\0\0\0\0", "new", 0 },                     /* set */
    { 0x02, 8, "\0\0\0\0\0\0\0\0", "new", 0 },                     /* add */
    { 0x04, 0, "", "", 0 },                                        /* delete */
    { 0x0e, 0, "", "new", 0 },                                     /* append */
    { 0x1c, 4, "\0\0\0\0", "", 0 },                                /* touch */
    { 0x1d, 4, "\0\0\0\0", "", 5 },                                /* gat */
    { 0x05, 20, "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0", "", 0 }, /* incr */
};

START_TEST(each_binary_request_counts_once)
{
    struct rig rig;
    rig_open(&rig);
    (void)harness_ask(&rig.harness, "set v 0 0 5\r\nvalue\r\n");
    now_us += (uint64_t)HOTKEYS_KEEP_US + 1;
    hotkeys_tick(rig.hotkeys);
    (void)harness_ask(&rig.harness, "stats hotkeys\r\n");
    session_pause(rig.harness.session);

    struct session *binary = session_create(rig.harness.worker);
    uint8_t packet[200];
    size_t len = put_packet(packet, binary_requests[_i].op, binary_requests[_i].extras,
                            binary_requests[_i].extras_len, "v", binary_requests[_i].value);
    (void)harness_feed_bytes(&rig.harness, binary, packet, len);
    session_pause(binary);
    struct counted counted = { .key = "v", .requests = 1, .bytes = binary_requests[_i].bytes };
    expect_counted(&rig, "a packet", &counted);

    /* The binary protocol tells the same pairs. */
    session_pause(rig.harness.session);
    len = put_packet(packet, 0x10, "", 0, "hotkeys", "");
    rig.harness.out_len = 0;
    (void)harness_feed_bytes(&rig.harness, binary, packet, len);
    ck_assert_ptr_nonnull(memmem(rig.harness.out, rig.harness.out_len, "requests:1:keyv", 15));
    ck_assert_int_eq((uint8_t)rig.harness.out[rig.harness.out_len - BINARY_HEADER_LEN], 0x81);
    session_destroy(binary);
    rig_close(&rig);
}
END_TEST

START_TEST(a_store_that_comes_in_pieces_counts_once)
{
    struct rig rig;
    rig_open(&rig);
    ck_assert_str_eq(harness_ask(&rig.harness, "set v 0 0 5\r\nva"), "");
    ck_assert_str_eq(harness_ask(&rig.harness, "lue\r\n"), "STORED\r\n");
    struct counted counted = { .key = "v", .requests = 1 };
    expect_counted(&rig, "a set in pieces", &counted);
    rig_close(&rig);
}
END_TEST

START_TEST(keys_are_not_shown_with_dumps_disabled)
{
    struct rig rig;
    rig_open(&rig);
    rig.harness.settings.dump_disabled = true;
    ck_assert_str_eq(harness_ask(&rig.harness, "stats hotkeys\r\n"),
                     "CLIENT_ERROR stats hotkeys not allowed\r\n");
    session_pause(rig.harness.session);
    struct session *binary = session_create(rig.harness.worker);
    uint8_t packet[64];
    size_t len = put_packet(packet, 0x10, "", 0, "hotkeys", "");
    rig.harness.out_len = 0;
    (void)harness_feed_bytes(&rig.harness, binary, packet, len);
    ck_assert_int_eq(rig.harness.out[7], 1); /* not found */
    session_destroy(binary);
    rig_close(&rig);
}
END_TEST

START_TEST(without_counters_there_is_nothing_to_tell)
{
    struct harness harness;
    harness_open(&harness);
    ck_assert_str_eq(harness_ask(&harness, "stats hotkeys\r\nget a\r\n"),
                     "CLIENT_ERROR stats hotkeys not allowed\r\nEND\r\n");
    harness_close(&harness);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("run_hotkeys");
    TCase *tcase = tcase_create("run_hotkeys");
    tcase_add_loop_test(tcase, each_request_counts_once, 0,
                        sizeof(counted_requests) / sizeof(counted_requests[0]));
    tcase_add_loop_test(tcase, each_binary_request_counts_once, 0,
                        sizeof(binary_requests) / sizeof(binary_requests[0]));
    tcase_add_test(tcase, a_store_that_comes_in_pieces_counts_once);
    tcase_add_test(tcase, keys_are_not_shown_with_dumps_disabled);
    tcase_add_test(tcase, without_counters_there_is_nothing_to_tell);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
