#include "proto/binary.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support/guard.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

#define EXT4  "\0\0\1\2"
#define EXT8  "\x12\x34\x56\x78\0\0\1\2"
#define EXT20 "\0\0\0\0\0\0\0\5\x80\0\0\0\0\0\0\7\xff\xff\xff\xff"

#define PACKET_LEN_MAX (BINARY_HEADER_LEN + 512u)

static size_t
put_header(uint8_t *at, unsigned opcode, size_t key_len, size_t extras_len, size_t body_len)
{
    /* Data type and vbucket hold what nobody looks at. */
    const uint8_t header[BINARY_HEADER_LEN] = { 0x80,
                                                (uint8_t)opcode,
                                                (uint8_t)(key_len >> 8),
                                                (uint8_t)key_len,
                                                (uint8_t)extras_len,
                                                7,
                                                8,
                                                9,
                                                (uint8_t)(body_len >> 24),
                                                (uint8_t)(body_len >> 16),
                                                (uint8_t)(body_len >> 8),
                                                (uint8_t)body_len,
                                                0xde,
                                                0xad,
                                                0xbe,
                                                0xef,
                                                1,
                                                2,
                                                3,
                                                4,
                                                5,
                                                6,
                                                7,
                                                8 };
    memcpy(at, header, sizeof header);
    return sizeof header;
}

/** Parses bytes at the end of readable memory; what was not taken follows `*taken`. */
static enum parse_status
parse_bytes(const uint8_t *bytes, size_t len, struct binary_request *out, size_t *taken)
{
    const uint8_t *copy = guard_copy(bytes, len);
    struct cursor cur = { copy, copy + len };
    memset(out, 0x5a, sizeof *out);
    enum parse_status status = binary_parse(&cur, out);
    ck_assert_ptr_eq(cur.end, copy + len);
    *taken = (size_t)(cur.at - copy);
    return status;
}

static void
check_echo(const struct binary_request *got, unsigned opcode)
{
    ck_assert_uint_eq(got->echo.opcode, opcode);
    ck_assert_mem_eq(&got->echo.opaque, "\xde\xad\xbe\xef", 4);
    ck_assert_uint_eq(got->cas, 0x0102030405060708u);
}

static const struct {
    unsigned opcode;
    enum binary_op op;
    bool quiet;
    const char *extras;
    size_t extras_len;
    const char *key;
    size_t value_len;
} packets[] = {
    { 0x00, BINARY_GET, false, "", 0, "key", 0 },
    { 0x01, BINARY_SET, false, EXT8, 8, "key", 5 },
    { 0x01, BINARY_SET, false, EXT8, 8, "key", 0 },
    { 0x02, BINARY_ADD, false, EXT8, 8, "key", 5 },
    { 0x03, BINARY_REPLACE, false, EXT8, 8, "key", 5 },
    { 0x04, BINARY_DELETE, false, "", 0, "key", 0 },
    { 0x05, BINARY_INCR, false, EXT20, 20, "key", 0 },
    { 0x06, BINARY_DECR, false, EXT20, 20, "key", 0 },
    { 0x07, BINARY_QUIT, false, "", 0, "", 0 },
    { 0x08, BINARY_FLUSH, false, "", 0, "", 0 },
    { 0x08, BINARY_FLUSH, false, EXT4, 4, "", 0 },
    { 0x09, BINARY_GET, true, "", 0, "key", 0 },
    { 0x0a, BINARY_NOOP, false, "", 0, "", 0 },
    { 0x0b, BINARY_VERSION, false, "", 0, "", 0 },
    { 0x0c, BINARY_GETK, false, "", 0, "key", 0 },
    { 0x0d, BINARY_GETK, true, "", 0, "key", 0 },
    { 0x0e, BINARY_APPEND, false, "", 0, "key", 5 },
    { 0x0e, BINARY_APPEND, false, "", 0, "key", 0 },
    { 0x0f, BINARY_PREPEND, false, "", 0, "key", 5 },
    { 0x10, BINARY_STAT, false, "", 0, "", 0 },
    { 0x10, BINARY_STAT, false, "", 0, "detail on", 0 },
    { 0x11, BINARY_SET, true, EXT8, 8, "key", 5 },
    { 0x12, BINARY_ADD, true, EXT8, 8, "key", 5 },
    { 0x13, BINARY_REPLACE, true, EXT8, 8, "key", 5 },
    { 0x14, BINARY_DELETE, true, "", 0, "key", 0 },
    { 0x15, BINARY_INCR, true, EXT20, 20, "key", 0 },
    { 0x16, BINARY_DECR, true, EXT20, 20, "key", 0 },
    { 0x17, BINARY_QUIT, true, "", 0, "", 0 },
    { 0x18, BINARY_FLUSH, true, "", 0, "", 0 },
    { 0x18, BINARY_FLUSH, true, EXT4, 4, "", 0 },
    { 0x19, BINARY_APPEND, true, "", 0, "key", 5 },
    { 0x1a, BINARY_PREPEND, true, "", 0, "key", 5 },
    { 0x1c, BINARY_TOUCH, false, EXT4, 4, "key", 0 },
    { 0x1d, BINARY_GAT, false, EXT4, 4, "key", 0 },
    { 0x1e, BINARY_GAT, true, EXT4, 4, "key", 0 },
    { 0x20, BINARY_SASL_LIST, false, "", 0, "", 0 },
    { 0x21, BINARY_SASL_AUTH, false, "", 0, "PLAIN", 5 },
    { 0x22, BINARY_SASL_STEP, false, "", 0, "PLAIN", 5 },
    { 0x23, BINARY_GATK, false, EXT4, 4, "key", 0 },
    { 0x24, BINARY_GATK, true, EXT4, 4, "key", 0 },
};

START_TEST(parse_takes_a_request_up_to_its_value)
{
    uint8_t bytes[PACKET_LEN_MAX];
    size_t key_len = strlen(packets[_i].key);
    size_t extras_len = packets[_i].extras_len;
    size_t value_len = packets[_i].value_len;
    size_t len = put_header(bytes, packets[_i].opcode, key_len, extras_len,
                            key_len + extras_len + value_len);
    memcpy(bytes + len, packets[_i].extras, extras_len);
    len += extras_len;
    memcpy(bytes + len, packets[_i].key, key_len);
    len += key_len;
    memset(bytes + len, 'v', value_len);
    struct binary_request got;
    size_t taken;

    for (size_t cut = 0; cut < len; cut++) {
        ck_assert_int_eq(parse_bytes(bytes, cut, &got, &taken), PARSE_MORE);
        ck_assert_uint_eq(taken, 0);
    }
    for (size_t there = 0; there <= value_len; there++) {
        ck_assert_int_eq(parse_bytes(bytes, len + there, &got, &taken), PARSE_DONE);
        ck_assert_uint_eq(taken, len);
        ck_assert_int_eq(got.op, packets[_i].op);
        ck_assert_int_eq(got.quiet, packets[_i].quiet);
        ck_assert_uint_eq(got.value_len, value_len);
        check_echo(&got, packets[_i].opcode);
        ck_assert_uint_eq(got.key.len, key_len);
        ck_assert_mem_eq(got.key.at, packets[_i].key, key_len);
    }
    if (extras_len == 0) {
        ck_assert_uint_eq(got.exptime, 0);
    } else if (extras_len == 20) {
        ck_assert_uint_eq(got.delta, 5);
        ck_assert_uint_eq(got.initial, 0x8000000000000007u);
        ck_assert_uint_eq(got.exptime, BINARY_NO_CREATE);
    } else {
        ck_assert_uint_eq(got.exptime, 0x0102);
        ck_assert(extras_len == 4 || got.flags == 0x12345678);
    }
}
END_TEST

/* Headers alone: each is answered before anything of its body is there. */
static const struct {
    unsigned opcode;
    size_t key_len;
    size_t extras_len;
    size_t body_len;
    enum binary_op op;
    enum binary_status status;
} bad_headers[] = {
    /* parts longer than the body */
    { 0x00, 4, 0, 2, BINARY_ERROR, BINARY_STATUS_UNKNOWN },
    { 0x01, 4, 8, 11, BINARY_ERROR, BINARY_STATUS_UNKNOWN },
    { 0x40, 4, 0, 2, BINARY_ERROR, BINARY_STATUS_UNKNOWN },
    { 0x00, 65535, 255, 65789, BINARY_ERROR, BINARY_STATUS_UNKNOWN },
    /* bodies and keys too long, whatever the opcode */
    { 0x01, 3, 8, (1u << 30) + 1, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x01, 3, 8, UINT32_MAX, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x40, 0, 0, (1u << 30) + 1, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x00, 251, 0, 251, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x40, 251, 0, 251, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x10, 251, 0, 251, BINARY_ERROR, BINARY_STATUS_INVALID },
    /* unknown opcodes */
    { 0x1b, 0, 4, 4, BINARY_UNKNOWN, 0 },
    { 0x1f, 0, 0, 0, BINARY_UNKNOWN, 0 },
    { 0x25, 0, 0, 0, BINARY_UNKNOWN, 0 },
    { 0x30, 1, 0, 1, BINARY_UNKNOWN, 0 },
    { 0x40, 3, 7, 1u << 30, BINARY_UNKNOWN, 0 },
    { 0xff, 250, 255, 505, BINARY_UNKNOWN, 0 },
    /* lengths that the opcode does not allow: extras, key, value */
    { 0x00, 3, 4, 7, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x00, 0, 0, 0, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x00, 3, 0, 4, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x01, 3, 0, 3, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x01, 3, 4, 9, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x01, 0, 8, 9, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x11, 3, 9, 13, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x04, 3, 4, 7, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x04, 3, 0, 4, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x05, 3, 0, 3, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x05, 3, 20, 24, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x05, 0, 20, 20, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x07, 1, 0, 1, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x08, 0, 8, 8, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x08, 1, 0, 1, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x08, 0, 0, 1, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x0a, 0, 1, 1, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x0b, 1, 0, 1, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x0e, 3, 4, 8, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x0e, 0, 0, 1, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x10, 5, 4, 9, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x10, 5, 0, 7, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x1c, 3, 0, 3, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x1c, 0, 4, 4, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x1d, 3, 4, 9, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x20, 1, 0, 1, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x21, 0, 0, 0, BINARY_ERROR, BINARY_STATUS_INVALID },
    { 0x22, 5, 2, 7, BINARY_ERROR, BINARY_STATUS_INVALID },
};

START_TEST(parse_judges_a_header_without_its_body)
{
    uint8_t bytes[PACKET_LEN_MAX];
    size_t body_len = bad_headers[_i].body_len;
    put_header(bytes, bad_headers[_i].opcode, bad_headers[_i].key_len, bad_headers[_i].extras_len,
               body_len);
    struct binary_request got;
    size_t taken;

    for (size_t cut = 0; cut < BINARY_HEADER_LEN; cut++) {
        ck_assert_int_eq(parse_bytes(bytes, cut, &got, &taken), PARSE_MORE);
    }
    ck_assert_int_eq(parse_bytes(bytes, BINARY_HEADER_LEN, &got, &taken), PARSE_DONE);
    ck_assert_uint_eq(taken, BINARY_HEADER_LEN);
    ck_assert_int_eq(got.op, bad_headers[_i].op);
    ck_assert(!got.quiet);
    check_echo(&got, bad_headers[_i].opcode);
    if (got.op == BINARY_ERROR) {
        ck_assert_int_eq(got.error, bad_headers[_i].status);
        ck_assert_uint_eq(got.value_len, 0);
    } else {
        ck_assert_uint_eq(got.value_len, body_len);
    }
}
END_TEST

START_TEST(parse_takes_the_longest_key_and_body)
{
    uint8_t bytes[PACKET_LEN_MAX];
    size_t len = put_header(bytes, 0x01, KEY_LEN_MAX, 8, 1u << 30);
    memset(bytes + len, 'k', 8 + KEY_LEN_MAX);
    struct binary_request got;
    size_t taken;
    ck_assert_int_eq(parse_bytes(bytes, len + 8 + KEY_LEN_MAX, &got, &taken), PARSE_DONE);
    ck_assert_int_eq(got.op, BINARY_SET);
    ck_assert_uint_eq(got.key.len, KEY_LEN_MAX);
    ck_assert_uint_eq(got.value_len, (1u << 30) - 8 - KEY_LEN_MAX);
}
END_TEST

START_TEST(parse_closes_on_a_wrong_magic)
{
    uint8_t bytes[PACKET_LEN_MAX];
    put_header(bytes, 0x0a, 0, 0, 0);
    bytes[0] = (uint8_t)_i;
    struct binary_request got;
    size_t taken;
    ck_assert_int_eq(parse_bytes(bytes, BINARY_HEADER_LEN, &got, &taken), PARSE_DONE);
    ck_assert_int_eq(got.op, _i == 0x80 ? BINARY_NOOP : BINARY_CLOSE);
}
END_TEST

static Suite *
binary_parse_suite(void)
{
    Suite *suite = suite_create("binary_parse");
    TCase *tcase = tcase_create("binary_parse");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_loop_test(tcase, parse_takes_a_request_up_to_its_value, 0, COUNT(packets));
    tcase_add_loop_test(tcase, parse_judges_a_header_without_its_body, 0, COUNT(bad_headers));
    tcase_add_test(tcase, parse_takes_the_longest_key_and_body);
    tcase_add_loop_test(tcase, parse_closes_on_a_wrong_magic, 0, 256);
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    SRunner *runner = srunner_create(binary_parse_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
