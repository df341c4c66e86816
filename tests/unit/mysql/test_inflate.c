#include "config.h"

#include "mysql/inflate.h"

#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#include "unit/mysql/logs.h"

static struct inflater *
make(void)
{
    struct inflater *inflater = inflater_create(INFLATE_ROOM_MIN);
    ck_assert_ptr_nonnull(inflater);
    return inflater;
}

#ifdef HAVE_ZLIB
static const struct {
    const char *bytes;
    size_t len;
    enum inflate_result result;
} texts[] = {
#define MADE(bytes) (bytes), sizeof(bytes) - 1
    /* zlib's stored block of "abc" */
    { MADE("\x81\3\x78\x01\x01\3\0\xfc\xff"
           "abc\x02\x4d\x01\x27"),
      INFLATE_DONE },
    { MADE("\x84\0\0\0\3\x78\x01\x01\3\0\xfc\xff"
           "abc\x02\x4d\x01\x27"),
      INFLATE_DONE },
    { MADE("\x81\2\x78\x01\x01\3\0\xfc\xff"
           "abc\x02\x4d\x01\x27"),
      INFLATE_BAD },
    { MADE("\x81\4\x78\x01\x01\3\0\xfc\xff"
           "abc\x02\x4d\x01\x27"),
      INFLATE_BAD },
    { MADE("\x81\3\x78\x01\x01\3\0\xfc\xff"
           "abc\x02\x4d\x01\x28"),
      INFLATE_BAD },
    { MADE("\x81\3\x78\x01\x01\3\0\xfc\xff"
           "abc"),
      INFLATE_BAD },
    { MADE("\x91\3\x78\x01\x01\3\0\xfc\xff"
           "abc\x02\x4d\x01\x27"),
      INFLATE_WIDEN },
    { MADE("\x01\3\x78\x01\x01"), INFLATE_BAD },
    { MADE("\x80\3\x78\x01\x01"), INFLATE_BAD },
    { MADE("\x85\0\0\0\0\3\x78"), INFLATE_BAD },
    { MADE("\x83\x01\x00"), INFLATE_BAD },
    { MADE("\x83\x01\x00\x01\x78\x01"), INFLATE_WIDEN }, /* 64 KiB and a byte */
    { MADE(""), INFLATE_BAD },
};

START_TEST(packed_texts)
{
    struct inflater *inflater = make();
    const char *reason = NULL;
    struct event event = { .kind = EVENT_QUERY };
    event.query = (struct event_query){ .packed = true };
    event.query.text = (struct bytes){ guard_copy(texts[_i].bytes, texts[_i].len), texts[_i].len };
    ck_assert_int_eq(inflate_event(inflater, &event, &reason), texts[_i].result);
    ck_assert_int_eq(event.query.packed, texts[_i].result != INFLATE_DONE);
    if (texts[_i].result == INFLATE_DONE) {
        ck_assert(bytes_equal(event.query.text, "abc"));
    } else {
        ck_assert_ptr_nonnull(reason);
    }
    inflater_destroy(&inflater);
    ck_assert_ptr_null(inflater);
}
END_TEST

START_TEST(a_packed_statement_is_its_text)
{
    struct log_walk walk;
    log_open(&walk, "mariadb/compressed.bin");
    log_find(&walk, EVENT_QUERY);
    ck_assert(!walk.event.query.packed);
    ck_assert_mem_eq(walk.event.query.text.at, "CREATE TABLE packed", 19);
    ck_assert_uint_gt(walk.event.query.text.len, 200);
    ck_assert_uint_eq(walk.event.type, 165);
    log_close(&walk);
}
END_TEST
#endif

/** The number of events until the end; `*end` is how it ends. */
static unsigned
count_events(struct inflater *inflater, const struct event_payload *payload,
             enum inflate_result *end)
{
    const char *reason = NULL;
    struct bytes bytes;
    unsigned events = 0;
    *end = inflate_payload(inflater, payload, &reason);
    while (*end == INFLATE_DONE &&
           (*end = inflate_payload_next(inflater, &bytes, &reason)) == INFLATE_DONE) {
        ck_assert_uint_lt(events++, 100);
    }
    ck_assert(*end == INFLATE_END || reason != NULL);
    return events;
}

START_TEST(a_transaction_may_be_plain)
{
    struct inflater *inflater = make();
    enum inflate_result end;
    static const char events[] = "\1\0\0\0\3\1\0\0\0\x13\0\0\0\0\0\0\0\0\0"
                                 "\1\0\0\0\3\1\0\0\0\x14\0\0\0\0\0\0\0\0\0x";
    struct event_payload payload = { .packing = EVENT_PACKED_NOT, .plain_len = 39 };
    for (size_t len = 0; len < sizeof(events); len++) {
        payload.packed = (struct bytes){ guard_copy(events, len), len };
        ck_assert_uint_eq(count_events(inflater, &payload, &end), len / 19 < 2 ? len / 19
                                                                  : len == 39  ? 2
                                                                               : 1);
        ck_assert_int_eq(end, len == 0 || len == 19 || len == 39 ? INFLATE_END : INFLATE_BAD);
    }
    inflater_destroy(&inflater);
}
END_TEST

/* What a build cannot unpack it says so about, and the log goes on. */
START_TEST(without_the_library_it_widens)
{
    struct inflater *inflater = make();
    const char *reason = NULL;
    struct event event = { .kind = EVENT_QUERY };
    event.query = (struct event_query){ .packed = true, .text = SPAN("\x81\x01\x78") };
    struct event_payload payload = { .packing = EVENT_PACKED_ZSTD };
#ifdef HAVE_ZLIB
    ck_assert_int_eq(inflate_event(inflater, &event, &reason), INFLATE_BAD);
#else
    ck_assert_int_eq(inflate_event(inflater, &event, &reason), INFLATE_WIDEN);
#endif
#ifdef HAVE_ZSTD
    ck_assert_int_eq(inflate_payload(inflater, &payload, &reason), INFLATE_DONE);
#else
    ck_assert_int_eq(inflate_payload(inflater, &payload, &reason), INFLATE_WIDEN);
#endif
    inflater_destroy(&inflater);
}
END_TEST

#ifdef HAVE_ZSTD
/** The first packed transaction of the recorded log. */
static struct event_payload
find_payload(void)
{
    const char *reason;
    struct binlog_file file;
    struct event event;
    enum event_result result;
    ck_assert_int_eq(binlog_file_begin(&file, read_fixture("mysql/compressed.bin"), &reason),
                     BINLOG_FILE_EVENT);
    do {
        ck_assert_int_eq(binlog_file_next(&file, &event, &result, &reason), BINLOG_FILE_EVENT);
    } while (event.kind != EVENT_PAYLOAD);
    return event.payload;
}

START_TEST(a_packed_transaction_is_its_events)
{
    struct inflater *inflater = make();
    struct event_payload payload = find_payload();
    enum inflate_result end;
    for (unsigned round = 0; round < 2; round++) { /* and the inflater can be used again */
        ck_assert_uint_eq(count_events(inflater, &payload, &end), 5);
        ck_assert_int_eq(end, INFLATE_END);
    }
    inflater_destroy(&inflater);
}
END_TEST

START_TEST(a_cut_transaction_is_bad)
{
    struct inflater *inflater = make();
    struct event_payload payload = find_payload();
    size_t len = payload.packed.len;
    enum inflate_result end;
    for (size_t cut = 0; cut < len; cut++) {
        payload.packed.len = cut;
        payload.packed.at = guard_copy(payload.packed.at, cut);
        (void)count_events(inflater, &payload, &end);
        ck_assert_int_eq(end, INFLATE_BAD);
        payload = find_payload();
        if (cut % 16 == 15) {
            guard_free_all();
            payload = find_payload();
        }
    }
    payload.plain_len--;
    (void)count_events(inflater, &payload, &end);
    ck_assert_int_eq(end, INFLATE_BAD);
    payload.plain_len += 2;
    (void)count_events(inflater, &payload, &end);
    ck_assert_int_eq(end, INFLATE_BAD);
    payload.packing = 1;
    (void)count_events(inflater, &payload, &end);
    ck_assert_int_eq(end, INFLATE_WIDEN);
    inflater_destroy(&inflater);
}
END_TEST

/* More than the room holds, event by event; and one event that it does not hold. */
START_TEST(a_transaction_may_be_longer_than_the_room)
{
    enum { EVENTS = 40, LEN = 5000 };
    static uint8_t plain[EVENTS * LEN + INFLATE_ROOM_MIN + 100], packed[sizeof(plain) * 2];
    struct inflater *inflater = make();
    enum inflate_result end;
    for (unsigned i = 0; i < EVENTS; i++) {
        uint8_t *event = plain + (size_t)i * LEN;
        event[9] = (uint8_t)LEN;
        event[10] = LEN >> 8;
    }
    uint8_t *last = plain + (size_t)EVENTS * LEN;
    uint32_t last_len = INFLATE_ROOM_MIN + 1;
    last[9] = (uint8_t)last_len;
    last[10] = (uint8_t)(last_len >> 8);
    last[11] = (uint8_t)(last_len >> 16);
    for (unsigned with_last = 0; with_last < 2; with_last++) {
        struct event_payload payload = { .packing = EVENT_PACKED_ZSTD };
        payload.plain_len = (size_t)EVENTS * LEN + with_last * last_len;
        size_t len = ZSTD_compress(packed, sizeof(packed), plain, payload.plain_len, 3);
        ck_assert(!ZSTD_isError(len));
        payload.packed = (struct bytes){ packed, len };
        ck_assert_uint_eq(count_events(inflater, &payload, &end), EVENTS);
        ck_assert_int_eq(end, with_last ? INFLATE_WIDEN : INFLATE_END);
    }
    inflater_destroy(&inflater);
}
END_TEST
#endif

int
main(void)
{
    TCase *tcase = tcase_create("inflate");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
#ifdef HAVE_ZLIB
    tcase_add_loop_test(tcase, packed_texts, 0, COUNT(texts));
    tcase_add_test(tcase, a_packed_statement_is_its_text);
#endif
    tcase_add_test(tcase, a_transaction_may_be_plain);
    tcase_add_test(tcase, without_the_library_it_widens);
#ifdef HAVE_ZSTD
    tcase_add_test(tcase, a_packed_transaction_is_its_events);
    tcase_add_test(tcase, a_cut_transaction_is_bad);
    tcase_add_test(tcase, a_transaction_may_be_longer_than_the_room);
#endif
    Suite *suite = suite_create("mysql/inflate");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
