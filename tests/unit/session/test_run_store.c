/* Where a value's bytes go, and memory that runs out; what set answers is tested by tests/wire. */
#include "config.h"

#include "engine/stats.h"
#include "session/session_priv.h"
#include "unit/session/harness.h"

#if defined(__SANITIZE_THREAD__)
#define DIRECT false
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DIRECT false
#endif
#endif
#ifndef DIRECT
#define DIRECT true
#endif

static uint64_t
used_chunks(const struct harness *h)
{
    struct cache_stats stats;
    cache_stats_read(h->cache, &stats);
    return stats.sum.used_chunks;
}

/** Where the session's next bytes go; `buffer` tells which pieces are the worker's buffer. */
static unsigned
list_spaces(struct harness *h, const char *buffer, struct iovec *iov, bool *in_buffer)
{
    unsigned pieces = harness_spaces(h->session, SESSION_RX_SIZE, iov);
    for (unsigned i = 0; i < pieces; i++) {
        const char *at = iov[i].iov_base;
        in_buffer[i] = at >= buffer && at < buffer + SESSION_RX_SIZE;
    }
    return pieces;
}

static size_t
len_of(const struct iovec *iov, unsigned pieces)
{
    size_t len = 0;
    for (unsigned i = 0; i < pieces; i++) {
        len += iov[i].iov_len;
    }
    return len;
}

START_TEST(store_receives_a_long_value_into_its_item)
{
    struct harness h;
    harness_open(&h);
    struct iovec iov[SESSION_RX_PIECES];
    bool in_buffer[SESSION_RX_PIECES];
    const char *buffer = session_rx_space(h.session).at;
    (void)harness_feed(&h, "set a 0 0 300000\r\nxxxxx");

    char bytes[1000];
    memset(bytes, 'x', sizeof(bytes));
    session_rx_done(
        h.session, 0 + harness_receive(h.session, bytes, 0)); /* nothing is received now and then */
    for (size_t left = 300000 - 5; left > 0;) {
        unsigned pieces = list_spaces(&h, buffer, iov, in_buffer);
        bool item = DIRECT && left >= RX_ITEM_MIN;
        ck_assert(in_buffer[0] == !item);
        if (item && in_buffer[pieces - 1]) { /* what is behind the value comes with its end */
            ck_assert_uint_eq(len_of(iov, pieces - 1), left);
            if (left % 3000 == 2995) {
                ck_assert_uint_eq(harness_spaces(h.session, 100, iov), pieces);
                ck_assert_uint_eq(iov[pieces - 1].iov_len, 100);
            }
        } else if (item) { /* memory is taken as the value comes */
            ck_assert_uint_ge(len_of(iov, pieces), left < RX_ITEM_AHEAD ? left : RX_ITEM_AHEAD);
            ck_assert_uint_lt(len_of(iov, pieces), RX_ITEM_AHEAD + 65536);
        }
        size_t n = left < sizeof(bytes) ? left : sizeof(bytes);
        ck_assert_int_eq(harness_feed_bytes(&h, h.session, bytes, n), SESSION_READ);
        session_pause(h.session);
        left -= n;
    }
    ck_assert_str_eq(harness_ask(&h, "\r\n"), "STORED\r\n");
    char *expected = harness_value("a", 300000, 'x');
    ck_assert_str_eq(harness_ask(&h, "get a\r\n"), expected);
    free(expected);
    harness_close(&h);
}
END_TEST

/** Sets `a` to `len` bytes, its line by itself. */
static void
set_in_parts(struct harness *h, size_t len)
{
    char *input = malloc(len + 100);
    size_t head = (size_t)sprintf(input, "set a 0 0 %zu noreply\r\n", len);
    memset(input + head, 'x', len);
    memcpy(input + head + len, "\r\n", 2);
    (void)harness_feed_bytes(h, h->session, input, head);
    (void)harness_feed_bytes(h, h->session, input + head, len + 2);
    free(input);
}

START_TEST(store_expects_another_long_value_after_one)
{
    struct harness h;
    harness_open(&h);
    set_in_parts(&h, RX_LONG_MIN - 1);
    ck_assert_uint_eq(session_rx_space(h.session).len, SESSION_RX_SIZE);
    set_in_parts(&h, RX_LONG_MIN);
    ck_assert_uint_eq(session_rx_space(h.session).len, RX_SHORT_LEN);
    (void)harness_ask(&h, "get a\r\n"); /* says nothing about stores */
    ck_assert_uint_eq(session_rx_space(h.session).len, RX_SHORT_LEN);

    /* Many commands at once are no long value. */
    char mns[RX_SHORT_LEN + 1] = "";
    for (size_t at = 0; at + 4 <= RX_SHORT_LEN; at += 4) {
        memcpy(mns + at, "mn\r\n", 5);
    }
    (void)harness_ask(&h, mns);
    ck_assert_uint_eq(session_rx_space(h.session).len, SESSION_RX_SIZE);
    harness_close(&h);
}
END_TEST

START_TEST(store_takes_the_commands_behind_a_value_with_its_end)
{
    struct harness h;
    harness_open(&h);
    static const char behind[] = "\r\nget a\r\nset b 0 0 1\r\nb\r\nget b\r\n";
    static const char bad_end[] = "yyget a\r\n";
    char *input = malloc(40000 + sizeof(behind));
    memset(input, 'x', 40000);
    for (size_t first = 1; first < 39999; first = first * 3 + 1) {
        memcpy(input + 40000, behind, sizeof(behind) - 1);
        (void)harness_feed(&h, "set a 0 0 40000\r\n");
        h.out_len = 0;
        ck_assert_int_eq(harness_feed_bytes(&h, h.session, input, first), SESSION_READ);
        ck_assert_int_eq(
            harness_feed_bytes(&h, h.session, input + first, 40000 - first + sizeof(behind) - 1),
            SESSION_READ);
        char *value = harness_value("a", 40000, 'x');
        char *expected = malloc(strlen(value) + 100);
        sprintf(expected, "STORED\r\n%sSTORED\r\nVALUE b 0 1\r\nb\r\nEND\r\n", value);
        ck_assert_str_eq(h.out, expected);
        free(expected);

        memcpy(input + 40000, bad_end, sizeof(bad_end) - 1);
        (void)harness_feed(&h, "set a 0 0 40000\r\n");
        h.out_len = 0;
        ck_assert_int_eq(harness_feed_bytes(&h, h.session, input, first), SESSION_READ);
        ck_assert_int_eq(
            harness_feed_bytes(&h, h.session, input + first, 40000 - first + sizeof(bad_end) - 1),
            SESSION_READ);
        expected = malloc(strlen(value) + 100);
        sprintf(expected, "CLIENT_ERROR bad data chunk\r\n%s", value);
        ck_assert_str_eq(h.out, expected);
        free(expected);
        free(value);
    }
    free(input);
    harness_close(&h);
}
END_TEST

/** The client is gone in the middle, or the session is made new: all its memory comes back. */
START_TEST(store_gives_up_what_was_taken_ahead)
{
    struct harness h;
    harness_open(&h);
    uint64_t before = used_chunks(&h);
    for (unsigned i = 0; i < 3; i++) {
        struct session *session = session_create(h.worker);
        static const char line[] = "set a 0 0 1000000\r\nxxx";
        (void)harness_feed_bytes(&h, session, line, sizeof(line) - 1);
        ck_assert_uint_gt(used_chunks(&h), before);
        struct iovec iov[SESSION_RX_PIECES];
        if (i > 0) {
            (void)harness_spaces(session, SESSION_RX_SIZE, iov);
        }
        if (i > 1) {
            memset(iov[0].iov_base, 'x', iov[0].iov_len);
            session_rx_done(session, iov[0].iov_len);
        }
        session_destroy(session);
        ck_assert_uint_eq(used_chunks(&h), before);
    }
    harness_close(&h);
}
END_TEST

/** Each length around the sizes at which the way of receiving changes, in pieces of several sizes.
 */
START_TEST(store_keeps_each_byte_whatever_the_pieces)
{
    static const size_t lens[] = { 0,     1,     2,     4095,  4096,   16383,  16384,
                                   16385, 65513, 65536, 65537, 200000, 1000000 };
    static const size_t steps[] = { 977, 16384, 65536, 2000000 };
    struct harness h;
    harness_open(&h);
    char *input = malloc(1100000);
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        for (size_t j = 0; j < sizeof(steps) / sizeof(steps[0]); j++) {
            size_t head = (size_t)sprintf(input, "set a 0 0 %zu\r\n", lens[i]);
            for (size_t k = 0; k < lens[i]; k++) {
                input[head + k] = (char)('a' + (k * 7 + k / 251) % 26);
            }
            memcpy(input + head + lens[i], "\r\n", 2);
            size_t len = head + lens[i] + 2;
            h.out_len = 0;
            for (size_t at = 0; at < len; at += steps[j]) {
                size_t n = len - at < steps[j] ? len - at : steps[j];
                ck_assert_int_eq(harness_feed_bytes(&h, h.session, input + at, n), SESSION_READ);
            }
            ck_assert_str_eq(h.out, "STORED\r\n");
            const char *out = harness_ask(&h, "get a\r\n");
            ck_assert_int_eq(memcmp(strchr(out, '\n') + 1, input + head, lens[i] + 2), 0);
            ck_assert_str_eq(out + h.out_len - 5, "END\r\n");
        }
    }
    free(input);
    harness_close(&h);
}
END_TEST

/** An upload begins while there is room, and others fill it meanwhile. */
static void
run_out(bool noreply)
{
    struct harness h;
    memset(&h, 0, sizeof(h));
    settings_init(&h.settings);
    h.settings.evictions_disabled = true;
    atomic_store_explicit(&h.settings.memory_limit, 4u * 1024 * 1024, memory_order_relaxed);
    harness_start(&h);
    struct session *other = session_create(h.worker);
    (void)harness_feed_bytes(&h, other, "set a 0 0 3 noreply\r\nold\r\n", 26);
    session_pause(other);

    size_t len = 1000000;
    char *bytes = malloc(len + 2);
    memset(bytes, 'x', len);
    memcpy(bytes + len, "\r\n", 2);
    (void)harness_feed(&h, noreply ? "set a 0 0 1000000 noreply\r\n" : "set a 0 0 1000000\r\n");
    (void)harness_feed_bytes(&h, h.session, bytes, 1000);
    session_pause(h.session);
    char key[16];
    for (unsigned i = 0; i < 4000; i++) {
        sprintf(key, "k%u", i);
        harness_set(&h, other, key, 1000, 'y');
    }
    session_pause(other);
    h.out_len = 0;
    h.out[0] = '\0';
    ck_assert_int_eq(harness_feed_bytes(&h, h.session, bytes + 1000, len - 1000 + 2), SESSION_READ);
    ck_assert_str_eq(h.out, noreply ? "" : "SERVER_ERROR Out of memory during read\r\n");
    ck_assert_str_eq(harness_ask(&h, "get a\r\nmn\r\n"), "END\r\nMN\r\n");
    free(bytes);
    session_destroy(other);
    harness_close(&h);
}

START_TEST(store_swallows_the_rest_when_memory_runs_out_half_way)
{
    run_out(false);
    run_out(true);
}
END_TEST

START_TEST(store_is_invisible_until_its_end)
{
    struct harness h;
    harness_open(&h);
    struct session *other = session_create(h.worker);
    (void)harness_feed(&h, "set a 0 0 3\r\nold\r\nset a 0 0 3\r\nnew\r");
    session_pause(h.session);
    h.out_len = 0;
    (void)harness_feed_bytes(&h, other, "get a\r\n", 7);
    session_pause(other);
    ck_assert_str_eq(h.out, "VALUE a 0 3\r\nold\r\nEND\r\n");
    ck_assert_str_eq(harness_ask(&h, "\nget a\r\n"), "STORED\r\nVALUE a 0 3\r\nnew\r\nEND\r\n");
    session_destroy(other);
    harness_close(&h);
}
END_TEST

START_TEST(store_of_append_does_not_use_the_id_of_an_earlier_cas)
{
    struct harness h;
    harness_open(&h);
    (void)harness_ask(&h, "set a 0 0 1\r\nx\r\ncas a 0 0 1 99\r\ny\r\n"
                          "append a 0 0 1\r\nz\r\nprepend a 0 0 1\r\nw\r\nget a\r\n");
    ck_assert_str_eq(h.out,
                     "STORED\r\nEXISTS\r\nSTORED\r\nSTORED\r\nVALUE a 0 3\r\nwxz\r\nEND\r\n");
    harness_close(&h);
}
END_TEST

/** -M: each of the text protocol's commands that needs room says so, and changes nothing but set.
 */
START_TEST(text_says_that_memory_has_run_out)
{
    static const struct {
        const char *ask;
        const char *answer;
    } rows[] = {
        { "add new 0 0 3\r\nabc\r\nmn\r\n", "SERVER_ERROR out of memory storing object\r\nMN\r\n" },
        { "replace old 0 0 3 noreply\r\nabc\r\nget old\r\n", "VALUE old 0 1\r\nx\r\nEND\r\n" },
        { "append old 0 0 3\r\nabc\r\nget old\r\n",
          "SERVER_ERROR out of memory storing object\r\nVALUE old 0 1\r\nx\r\nEND\r\n" },
        { "incr n 1\r\nget n\r\n", "SERVER_ERROR out of memory\r\nVALUE n 0 1\r\n9\r\nEND\r\n" },
        { "decr n 1\r\n", "8\r\n" }, /* in place */
        { "set old 0 0 3\r\nabc\r\nget old\r\n",
          "SERVER_ERROR out of memory storing object\r\nEND\r\n" },
    };
    struct harness h;
    harness_open_small(&h);
    ck_assert_str_eq(harness_ask(&h, "set n 0 0 1\r\n9\r\nset old 0 0 1\r\nx\r\n"),
                     "STORED\r\nSTORED\r\n");
    harness_fill(&h);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_str_eq(harness_ask(&h, rows[i].ask), rows[i].answer);
    }
    harness_close(&h);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        store_receives_a_long_value_into_its_item,
        store_expects_another_long_value_after_one,
        store_takes_the_commands_behind_a_value_with_its_end,
        store_gives_up_what_was_taken_ahead,
        store_keeps_each_byte_whatever_the_pieces,
        store_swallows_the_rest_when_memory_runs_out_half_way,
        store_is_invisible_until_its_end,
        store_of_append_does_not_use_the_id_of_an_earlier_cas,
        text_says_that_memory_has_run_out,
    };
    return harness_main("run_store", tests, sizeof(tests) / sizeof(tests[0]));
}
