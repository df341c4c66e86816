/* Where a binary request's bytes go, readers that do not read, memory that runs out; what each
 * opcode answers is tested by tests/wire/binary.t. */
#include "config.h"

#include "unit/session/harness.h"

#include "proto/binary.h"

#define HEAD 24u

/** A request's header and key, big-endian; returns the place behind it. */
static uint8_t *
put_request(uint8_t *at, uint8_t opcode, const char *key, size_t extras_len, size_t value_len)
{
    size_t key_len = strlen(key);
    size_t body_len = extras_len + key_len + value_len;
    memset(at, 0, HEAD + extras_len);
    at[0] = BINARY_MAGIC;
    at[1] = opcode;
    at[3] = (uint8_t)key_len;
    at[4] = (uint8_t)extras_len;
    for (unsigned i = 0; i < 4; i++) {
        at[8 + i] = (uint8_t)(body_len >> (24 - 8 * i));
    }
    memcpy(at + HEAD + extras_len, key, key_len);
    return at + HEAD + extras_len + key_len;
}

static unsigned
status_at(const struct harness *h, size_t at)
{
    ck_assert_uint_le(at + HEAD, h->out_len);
    return (unsigned)(uint8_t)h->out[at + 6] << 8 | (uint8_t)h->out[at + 7];
}

static size_t
body_len_at(const struct harness *h, size_t at)
{
    size_t len = 0;
    for (unsigned i = 0; i < 4; i++) {
        len = len << 8 | (uint8_t)h->out[at + 8 + i];
    }
    return len;
}

/** Each length around the sizes at which the way of receiving changes, in pieces of several sizes.
 */
START_TEST(binary_store_keeps_each_byte_whatever_the_pieces)
{
    static const size_t lens[] = { 0,     1,     4095,  16383, 16384,  16385,
                                   65503, 65536, 65537, 70000, 300000, 1000000 };
    static const size_t steps[] = { 977, 16384, 65536, 2000000 };
    struct harness h;
    harness_open(&h);
    uint8_t *input = malloc(1100000);
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        for (size_t j = 0; j < sizeof(steps) / sizeof(steps[0]); j++) {
            uint8_t *value = put_request(input, 0x01, "a", 8, lens[i]);
            for (size_t k = 0; k < lens[i]; k++) {
                value[k] = (uint8_t)(k * 7 + k / 251);
            }
            size_t len = (size_t)(put_request(value + lens[i], 0x00, "a", 0, 0) - input);
            h.out_len = 0;
            for (size_t at = 0; at < len; at += steps[j]) {
                size_t n = len - at < steps[j] ? len - at : steps[j];
                ck_assert_int_eq(harness_feed_bytes(&h, h.session, input + at, n), SESSION_READ);
                session_pause(h.session);
            }
            ck_assert_uint_eq(h.out_len, HEAD + HEAD + 4 + lens[i]);
            ck_assert_uint_eq(status_at(&h, 0), 0);
            ck_assert_uint_eq(body_len_at(&h, HEAD), 4 + lens[i]);
            ck_assert_int_eq(memcmp(h.out + HEAD + HEAD + 4, value, lens[i]), 0);
        }
    }
    free(input);
    harness_close(&h);
}
END_TEST

/** A client sends gets and takes some bytes only now and then. */
START_TEST(binary_gets_wait_for_a_reader_and_hold_little)
{
    enum { GETS = 160, LEN = 100000 }; /* RX_SHORT_LEN holds the gets */
    struct harness h;
    harness_open(&h);
    uint8_t *input = malloc(LEN + 100); /* the gets, too */
    uint8_t *value = put_request(input, 0x11, "a", 8, LEN);
    memset(value, 'v', LEN);
    ck_assert_int_eq(harness_feed_bytes(&h, h.session, input, (size_t)(value + LEN - input)),
                     SESSION_READ);
    uint8_t *at = input;
    for (unsigned i = 0; i < GETS; i++) {
        at = put_request(at, i % 2 == 0 ? 0x00 : 0x0d, "a", 0, 0);
    }
    size_t len = (size_t)(at - input);
    ck_assert_uint_eq(harness_receive(h.session, input, len), len);
    enum session_next next;
    size_t expected = GETS / 2 * (HEAD + 4 + LEN + HEAD + 4 + 1 + (size_t)LEN);
    size_t taken = 0;
    do {
        next = session_run(h.session);
        if (harness_take(&h, h.session, 70001) == 0) {
            ck_assert_int_eq(next, SESSION_READ);
        }
        taken += h.out_len;
        h.out_len = 0;
        session_pause(h.session);
    } while (next != SESSION_READ);
    taken += harness_take(&h, h.session, SIZE_MAX);
    ck_assert_uint_eq(taken, expected);
    free(input);
    harness_close(&h);
}
END_TEST

/** An upload begins while there is room, and others fill it meanwhile. */
START_TEST(binary_store_swallows_the_rest_when_memory_runs_out_half_way)
{
    struct harness h;
    memset(&h, 0, sizeof(h));
    settings_init(&h.settings);
    h.settings.evictions_disabled = true;
    atomic_store_explicit(&h.settings.memory_limit, 4u * 1024 * 1024, memory_order_relaxed);
    harness_start(&h);
    size_t len = 1000000;
    uint8_t *input = malloc(len + 200);
    uint8_t *value = put_request(input, 0x11, "a", 8, len);
    memset(value, 'x', len);
    uint8_t *end = put_request(value + len, 0x00, "a", 0, 0);
    size_t first = (size_t)(value - input) + 1000;
    ck_assert_int_eq(harness_feed_bytes(&h, h.session, input, first), SESSION_READ);
    session_pause(h.session);
    struct session *other = session_create(h.worker);
    char key[16];
    for (unsigned i = 0; i < 4000; i++) {
        sprintf(key, "k%u", i);
        harness_set(&h, other, key, 1000, 'y');
    }
    session_pause(other);
    h.out_len = 0;
    ck_assert_int_eq(
        harness_feed_bytes(&h, h.session, input + first, (size_t)(end - input) - first),
        SESSION_READ);
    const char text[] = "Out of memory during read";
    ck_assert_uint_eq(status_at(&h, 0), BINARY_STATUS_NO_MEMORY);
    ck_assert_uint_eq(body_len_at(&h, 0), sizeof(text) - 1);
    ck_assert_int_eq(memcmp(h.out + HEAD, text, sizeof(text) - 1), 0);
    ck_assert_uint_eq(status_at(&h, HEAD + sizeof(text) - 1), BINARY_STATUS_NOT_FOUND);
    free(input);
    session_destroy(other);
    harness_close(&h);
}
END_TEST

START_TEST(binary_store_half_received_is_given_back)
{
    struct harness h;
    harness_open(&h);
    uint8_t input[200];
    size_t len = (size_t)(put_request(input, 0x01, "a", 8, 500000) - input);
    ck_assert_int_eq(harness_feed_bytes(&h, h.session, input, len), SESSION_READ);
    ck_assert_str_eq(session_state_name(h.session), "conn_nread");
    session_pause(h.session);
    harness_close(&h); /* cache_check() misses nothing */
}
END_TEST

/** Every prefix of a request waits; its last byte answers. */
START_TEST(binary_request_waits_for_its_last_byte)
{
    struct harness h;
    harness_open(&h);
    uint8_t input[200];
    uint8_t *value = put_request(input, 0x01, "key", 8, 5);
    memcpy(value, "value", 5);
    size_t len = (size_t)(value + 5 - input);
    for (size_t i = 0; i < len; i++) {
        ck_assert_uint_eq(h.out_len, 0);
        ck_assert_int_eq(harness_feed_bytes(&h, h.session, input + i, 1), SESSION_READ);
        session_pause(h.session);
    }
    ck_assert_uint_eq(h.out_len, HEAD);
    ck_assert_uint_eq(status_at(&h, 0), 0);
    harness_close(&h);
}
END_TEST

START_TEST(binary_request_counts_against_the_budget)
{
    struct harness h;
    memset(&h, 0, sizeof(h));
    settings_init(&h.settings);
    h.settings.reqs_per_event = 3;
    harness_start(&h);
    uint8_t input[300];
    uint8_t *at = input;
    for (unsigned i = 0; i < 7; i++) {
        at = put_request(at, i % 2 == 0 ? 0x00 : 0x0a, i % 2 == 0 ? "a" : "", 0, 0);
    }
    (void)harness_receive(h.session, input, (size_t)(at - input));
    ck_assert_int_eq(session_run(h.session), SESSION_AGAIN);
    ck_assert_int_eq(session_run(h.session), SESSION_AGAIN);
    ck_assert_int_eq(session_run(h.session), SESSION_READ);
    (void)harness_take(&h, h.session, SIZE_MAX);
    ck_assert_uint_eq(h.out_len, 7 * HEAD + 4 * strlen("Not found"));
    ck_assert_uint_eq(metric_get(&session_worker_stats(h.worker)->conn_yields), 2);
    harness_close(&h);
}
END_TEST

START_TEST(binary_wrong_magic_closes_at_its_first_byte)
{
    struct harness h;
    memset(&h, 0, sizeof(h));
    settings_init(&h.settings);
    h.settings.protocol = PROTOCOL_BINARY;
    harness_start(&h);
    ck_assert_int_eq(harness_feed(&h, "g"), SESSION_CLOSE);
    ck_assert_uint_eq(h.out_len, 0);
    harness_close(&h);
}
END_TEST

/** -M: nothing is evicted, and each request says that there is no room, once, also a quiet one. */
START_TEST(binary_says_that_memory_has_run_out)
{
    struct harness h;
    harness_open_small(&h);
    ck_assert_str_eq(harness_ask(&h, "set n 0 0 1\r\n9\r\nset old 0 0 1\r\nx\r\n"),
                     "STORED\r\nSTORED\r\n");
    harness_fill(&h);
    session_pause(h.session);
    struct session *session = session_create(h.worker);
    uint8_t input[400];
    uint8_t *at = input;
    static const uint8_t opcodes[] = { 0x02, 0x13, 0x0e };
    for (unsigned i = 0; i < 3; i++) { /* addq of a new key, replaceq, append */
        at = put_request(at, opcodes[i], i == 0 ? "new" : "old", i == 2 ? 0 : 8, 3);
        memcpy(at, "abc", 3);
        at += 3;
    }
    at = put_request(at, 0x15, "new", 20, 0); /* an incr that creates */
    uint8_t *extras = put_request(at, 0x05, "n", 20, 0) - 1 - 20;
    extras[0] = 1; /* delta, the highest byte: the number becomes longer */
    at = extras + 21;
    at = put_request(at, 0x11, "old", 8, 3);
    memcpy(at, "abc", 3);
    at = put_request(at + 3, 0x00, "old", 0, 0);
    h.out_len = 0;
    ck_assert_int_eq(harness_feed_bytes(&h, session, input, (size_t)(at - input)), SESSION_READ);
    static const struct {
        unsigned status;
        const char *text;
    } rows[] = {
        { BINARY_STATUS_NO_MEMORY, "Out of memory allocating item" },
        { BINARY_STATUS_NO_MEMORY, "Out of memory allocating item" },
        { BINARY_STATUS_NO_MEMORY, "Out of memory allocating item" },
        { BINARY_STATUS_NO_MEMORY, "Out of memory allocating new item" },
        { BINARY_STATUS_NO_MEMORY, "Out of memory incrementing value" },
        { BINARY_STATUS_NO_MEMORY, "Out of memory allocating item" },
        { BINARY_STATUS_NOT_FOUND, "Not found" }, /* the set took the old item with it */
    };
    size_t reply = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_uint_eq(status_at(&h, reply), rows[i].status);
        ck_assert_uint_eq(body_len_at(&h, reply), strlen(rows[i].text));
        ck_assert_int_eq(memcmp(h.out + reply + HEAD, rows[i].text, strlen(rows[i].text)), 0);
        reply += HEAD + strlen(rows[i].text);
    }
    ck_assert_uint_eq(reply, h.out_len);
    session_destroy(session);
    harness_close(&h);
}
END_TEST

/** Gets and gats in turn, more than the send buffer holds: each is answered and counted once. */
START_TEST(binary_gets_between_others_wait_for_room)
{
    enum { ROUNDS = 60, LEN = 12000 };
    struct harness h;
    harness_open(&h);
    struct session *session = session_create(h.worker);
    harness_set(&h, h.session, "a", LEN, 'x');
    session_pause(h.session);
    uint8_t input[ROUNDS * 100];
    uint8_t *at = input;
    for (unsigned i = 0; i < ROUNDS; i++) {
        at = put_request(at, 0x00, "a", 0, 0);
        at =
            put_request(at, i % 2 == 0 ? 0x1d : 0x0a, i % 2 == 0 ? "a" : "", i % 2 == 0 ? 4 : 0, 0);
    }
    size_t len = (size_t)(at - input);
    ck_assert_uint_eq(harness_receive(session, input, len), len);
    size_t taken = 0;
    enum session_next next;
    do {
        next = session_run(session);
        taken += harness_take(&h, session, 5003);
        h.out_len = 0;
    } while (next != SESSION_READ);
    taken += harness_take(&h, session, SIZE_MAX);
    ck_assert_uint_eq(taken, ROUNDS * (HEAD + 4 + LEN) + ROUNDS / 2 * (HEAD + 4 + LEN + HEAD));
    ck_assert_uint_eq(metric_get(&session_worker_stats(h.worker)->cmd_get), ROUNDS);
    ck_assert_uint_eq(metric_get(&session_worker_stats(h.worker)->cmd_touch), ROUNDS / 2);
    session_destroy(session);
    harness_close(&h);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        binary_store_keeps_each_byte_whatever_the_pieces,
        binary_gets_wait_for_a_reader_and_hold_little,
        binary_store_swallows_the_rest_when_memory_runs_out_half_way,
        binary_store_half_received_is_given_back,
        binary_request_waits_for_its_last_byte,
        binary_request_counts_against_the_budget,
        binary_wrong_magic_closes_at_its_first_byte,
        binary_says_that_memory_has_run_out,
        binary_gets_between_others_wait_for_room,
    };
    return harness_main("run_binary", tests, sizeof(tests) / sizeof(tests[0]));
}
