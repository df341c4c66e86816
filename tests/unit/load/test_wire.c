/* Requests as bytes, and heads of replies: whole, cut at every place, and wrong. */
#include "config.h"

#include "bench/load/wire.h"
#include "support/guard.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define KEY(text) ((struct span){ (const uint8_t *)(text), sizeof(text) - 1 })

/* -- requests ---------------------------------------------------------------------------------- */

static void
expect_bytes(const uint8_t *from, const uint8_t *to, const char *bytes, size_t len)
{
    ck_assert_uint_eq((size_t)(to - from), len);
    ck_assert_mem_eq(from, bytes, len);
}

#define EXPECT(from, to, bytes) expect_bytes(from, to, bytes, sizeof(bytes) - 1)

static uint8_t *
write_get(enum wire_protocol protocol, uint8_t *at, bool more)
{
    at = wire_get_begin(protocol, at);
    at = wire_get_key(protocol, at, KEY("ab"), more);
    if (more) {
        at = wire_get_key(protocol, at, KEY("c"), more);
    }
    return wire_get_end(protocol, at, more);
}

START_TEST(gets_are_written_in_each_protocol)
{
    uint8_t out[256];
    EXPECT(out, write_get(WIRE_TEXT, out, false), "get ab\r\n");
    EXPECT(out, write_get(WIRE_TEXT, out, true), "get ab c\r\n");
    EXPECT(out, write_get(WIRE_META, out, false), "mg ab v\r\n");
    EXPECT(out, write_get(WIRE_META, out, true), "mg ab k q v\r\nmg c k q v\r\nmn\r\n");
    EXPECT(out, write_get(WIRE_BINARY, out, false),
           "\x80\0\0\2\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0"
           "ab");
    EXPECT(out, write_get(WIRE_BINARY, out, true),
           "\x80\x0d\0\2\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0"
           "ab"
           "\x80\x0d\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0"
           "c"
           "\x80\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
}
END_TEST

static uint8_t *
write_set(enum wire_protocol protocol, uint8_t *at, uint32_t ttl)
{
    at = wire_set_head(protocol, at, KEY("ab"), 3, ttl);
    memcpy(at, "xyz", 3);
    return wire_set_tail(protocol, at + 3);
}

START_TEST(stores_and_deletes_are_written_in_each_protocol)
{
    uint8_t out[256];
    EXPECT(out, write_set(WIRE_TEXT, out, 60), "set ab 0 60 3\r\nxyz\r\n");
    EXPECT(out, write_set(WIRE_META, out, 0), "ms ab 3\r\nxyz\r\n");
    EXPECT(out, write_set(WIRE_META, out, 60), "ms ab 3 T60\r\nxyz\r\n");
    EXPECT(out, write_set(WIRE_BINARY, out, 258),
           "\x80\1\0\2\x08\0\0\0\0\0\0\x0d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\2"
           "abxyz");
    EXPECT(out, wire_delete(WIRE_TEXT, out, KEY("ab")), "delete ab\r\n");
    EXPECT(out, wire_delete(WIRE_META, out, KEY("ab")), "md ab\r\n");
    EXPECT(out, wire_delete(WIRE_BINARY, out, KEY("ab")),
           "\x80\4\0\2\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0"
           "ab");
}
END_TEST

/* -- replies ----------------------------------------------------------------------------------- */

#define BYTES(text) text, sizeof(text) - 1

static const struct {
    enum wire_protocol protocol;
    const char *bytes;
    size_t len;
    enum wire_kind kind;
    uint32_t value_len;
    const char *key;
    const char *text;
} good[] = {
    { WIRE_TEXT, BYTES("VALUE ab 0 3\r\n"), WIRE_VALUE, 3, "ab", "" },
    { WIRE_TEXT, BYTES("VALUE ab 4294967295 0 77\r\n"), WIRE_VALUE, 0, "ab", "" },
    { WIRE_TEXT, BYTES("END\r\n"), WIRE_END, 0, "", "" },
    { WIRE_TEXT, BYTES("STORED\r\n"), WIRE_DONE, 0, "", "" },
    { WIRE_TEXT, BYTES("DELETED\r\n"), WIRE_DONE, 0, "", "" },
    { WIRE_TEXT, BYTES("NOT_FOUND\r\n"), WIRE_MISS, 0, "", "" },
    { WIRE_TEXT, BYTES("NOT_STORED\r\n"), WIRE_REFUSED, 0, "", "" },
    { WIRE_TEXT, BYTES("ERROR\r\n"), WIRE_ERROR, 0, "", "ERROR" },
    { WIRE_TEXT, BYTES("SERVER_ERROR out of memory\r\n"), WIRE_ERROR, 0, "",
      "SERVER_ERROR out of memory" },
    { WIRE_META, BYTES("VA 3\r\n"), WIRE_VALUE, 3, "", "" },
    { WIRE_META, BYTES("VA 3 f0 kab W\r\n"), WIRE_VALUE, 3, "ab", "" },
    { WIRE_META, BYTES("EN\r\n"), WIRE_MISS, 0, "", "" },
    { WIRE_META, BYTES("HD\r\n"), WIRE_DONE, 0, "", "" },
    { WIRE_META, BYTES("NF\r\n"), WIRE_MISS, 0, "", "" },
    { WIRE_META, BYTES("NS\r\n"), WIRE_REFUSED, 0, "", "" },
    { WIRE_META, BYTES("MN\r\n"), WIRE_END, 0, "", "" },
    { WIRE_META, BYTES("CLIENT_ERROR bad\r\n"), WIRE_ERROR, 0, "", "CLIENT_ERROR bad" },
    { WIRE_BINARY, BYTES("\x81\0\0\0\4\0\0\0\0\0\0\7\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0"), WIRE_VALUE,
      3, "", "" },
    { WIRE_BINARY,
      BYTES("\x81\x0d\0\2\4\0\0\0\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0"
            "ab"),
      WIRE_VALUE, 0, "ab", "" },
    { WIRE_BINARY, BYTES("\x81\0\0\0\0\0\0\1\0\0\0\x09\0\0\0\0\0\0\0\0\0\0\0\0Not found"),
      WIRE_MISS, 0, "", "" },
    { WIRE_BINARY, BYTES("\x81\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"), WIRE_DONE, 0, "",
      "" },
    { WIRE_BINARY, BYTES("\x81\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), WIRE_END, 0, "",
      "" },
    { WIRE_BINARY, BYTES("\x81\1\0\0\0\0\0\5\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0not"), WIRE_REFUSED, 0,
      "", "" },
    { WIRE_BINARY, BYTES("\x81\1\0\0\0\0\0\3\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0big"), WIRE_ERROR, 0,
      "", "big" },
};

static void
expect_span(struct span span, const char *text)
{
    ck_assert_uint_eq(span.len, strlen(text));
    ck_assert(span.len == 0 || memcmp(span.at, text, span.len) == 0);
}

START_TEST(a_head_is_known_when_it_is_whole_and_not_before)
{
    struct wire_head head;
    for (size_t len = 0; len < good[_i].len; len++) {
        const uint8_t *bytes = guard_copy(good[_i].bytes, len);
        struct cursor cur = { bytes, bytes + len };
        ck_assert_int_eq(wire_parse(good[_i].protocol, &cur, &head), PARSE_MORE);
        ck_assert_ptr_eq(cur.at, bytes);
    }
    const uint8_t *bytes = guard_copy(good[_i].bytes, good[_i].len);
    struct cursor cur = { bytes, bytes + good[_i].len };
    ck_assert_int_eq(wire_parse(good[_i].protocol, &cur, &head), PARSE_DONE);
    ck_assert_ptr_eq(cur.at, cur.end);
    ck_assert_int_eq(head.kind, good[_i].kind);
    ck_assert_uint_eq(head.value_len, good[_i].value_len);
    expect_span(head.key, good[_i].key);
    expect_span(head.text, good[_i].text);
}
END_TEST

static const struct {
    enum wire_protocol protocol;
    const char *bytes;
    size_t len;
} bad[] = {
    { WIRE_TEXT, BYTES("\r\n") },
    { WIRE_TEXT, BYTES("END\n") },
    { WIRE_TEXT, BYTES("END \r\n") },
    { WIRE_TEXT, BYTES("VALUE ab 0\r\n") },
    { WIRE_TEXT, BYTES("VALUE ab 0 -1\r\n") },
    { WIRE_TEXT, BYTES("VALUE  0 3\r\n") },
    { WIRE_TEXT, BYTES("ERRORS\r\n") },
    { WIRE_TEXT, BYTES("HD\r\n") },
    { WIRE_META, BYTES("STORED\r\n") },
    { WIRE_META, BYTES("VA \r\n") },
    { WIRE_META, BYTES("VA x\r\n") },
    { WIRE_BINARY, BYTES("\x80") },
    { WIRE_BINARY, BYTES("\x81\0\0\2\4\0\0\0\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0\1") },
    { WIRE_BINARY, BYTES("\x81\0\0\0\0\0\0\1\0\0\2\1\0\0\0\0\0\0\0\0\0\0\0\1") },
};

START_TEST(what_is_no_head_is_refused)
{
    struct wire_head head;
    const uint8_t *bytes = guard_copy(bad[_i].bytes, bad[_i].len);
    struct cursor cur = { bytes, bytes + bad[_i].len };
    ck_assert_int_eq(wire_parse(bad[_i].protocol, &cur, &head), PARSE_BAD);
}
END_TEST

START_TEST(a_line_that_does_not_end_is_refused)
{
    uint8_t line[WIRE_HEAD_MAX];
    memset(line, 'a', sizeof(line));
    struct wire_head head;
    struct cursor cur = { line, line + sizeof(line) - 1 };
    ck_assert_int_eq(wire_parse(WIRE_TEXT, &cur, &head), PARSE_MORE);
    cur.end++;
    ck_assert_int_eq(wire_parse(WIRE_TEXT, &cur, &head), PARSE_BAD);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int
main(void)
{
    Suite *suite = suite_create("wire");
    TCase *tcase = tcase_create("wire");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_test(tcase, gets_are_written_in_each_protocol);
    tcase_add_test(tcase, stores_and_deletes_are_written_in_each_protocol);
    tcase_add_loop_test(tcase, a_head_is_known_when_it_is_whole_and_not_before, 0, COUNT(good));
    tcase_add_loop_test(tcase, what_is_no_head_is_refused, 0, COUNT(bad));
    tcase_add_test(tcase, a_line_that_does_not_end_is_refused);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
