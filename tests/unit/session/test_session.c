/* Buffers, back-pressure and turns; what sessions say is tested by tests/wire. */
#include "config.h"

#include "unit/session/harness.h"

#include <malloc.h>

static uint64_t
level(const struct metric *metric)
{
    return metric_get(metric);
}

START_TEST(session_reads_until_a_command_is_whole)
{
    struct harness h;
    harness_open(&h);
    ck_assert_int_eq(harness_feed(&h, "vers"), SESSION_READ);
    ck_assert(!session_tx_pending(h.session));
    ck_assert_str_eq(harness_ask(&h, "ion\r\nm"), "VERSION 1.6.45\r\n");
    ck_assert_str_eq(harness_ask(&h, "n\r\n"), "MN\r\n");
    harness_close(&h);
}
END_TEST

START_TEST(session_tx_is_empty_without_output)
{
    struct harness h;
    harness_open(&h);
    struct iovec iov[SESSION_IOV_MAX];
    ck_assert_uint_eq(session_tx(h.session, iov, SESSION_IOV_MAX), 0);
    ck_assert_uint_eq(harness_receive(h.session, "mn\r\n", 4), 4);
    ck_assert_int_eq(session_run(h.session), SESSION_READ);
    ck_assert_uint_eq(session_tx(h.session, iov, 0), 0);
    ck_assert_uint_eq(session_tx(h.session, iov, 1), 1);
    ck_assert_uint_eq(iov[0].iov_len, 4);
    session_tx_done(h.session, 0);
    session_tx_done(h.session, 4);
    ck_assert_uint_eq(session_tx(h.session, iov, SESSION_IOV_MAX), 0);
    harness_close(&h);
}
END_TEST

START_TEST(session_gives_others_a_turn_after_reqs_per_event)
{
    struct harness h;
    memset(&h, 0, sizeof(h));
    settings_init(&h.settings);
    h.settings.reqs_per_event = 3;
    harness_start(&h);
    const char *seven = "mn\r\nget a b c\r\nmn\r\nget a\r\nget a\r\nget a\r\nget a\r\n";
    (void)harness_receive(h.session, seven, strlen(seven));
    ck_assert_int_eq(session_run(h.session), SESSION_AGAIN);
    (void)harness_take(&h, h.session, SIZE_MAX);
    ck_assert_str_eq(h.out, "MN\r\nEND\r\nMN\r\n");
    ck_assert_int_eq(session_run(h.session), SESSION_AGAIN);
    (void)harness_take(&h, h.session, SIZE_MAX);
    ck_assert_int_eq(session_run(h.session), SESSION_READ);
    (void)harness_take(&h, h.session, SIZE_MAX);
    ck_assert_str_eq(h.out, "MN\r\nEND\r\nMN\r\nEND\r\nEND\r\nEND\r\nEND\r\n");
    ck_assert_uint_eq(level(&session_worker_stats(h.worker)->conn_yields), 2);
    harness_close(&h);
}
END_TEST

START_TEST(session_does_not_yield_when_its_input_ends_with_the_budget)
{
    struct harness h;
    memset(&h, 0, sizeof(h));
    settings_init(&h.settings);
    h.settings.reqs_per_event = 2;
    harness_start(&h);
    (void)harness_receive(h.session, "mn\r\nget a\r\n", 11);
    ck_assert_int_eq(session_run(h.session), SESSION_READ);
    ck_assert_uint_eq(level(&session_worker_stats(h.worker)->conn_yields), 0);
    harness_close(&h);
}
END_TEST

/** Two sessions of a worker, each with half a command, in turns. */
START_TEST(session_pause_keeps_half_commands_apart)
{
    struct harness h;
    harness_open(&h);
    struct session *other = session_create(h.worker);
    const char *mine = "set a 0 0 5\r\nhello\r\nget a\r\n";
    const char *others = "set b 0 0 5\r\nworld\r\nget b\r\n";
    for (size_t i = 0; mine[i] != '\0'; i++) {
        (void)harness_feed_bytes(&h, h.session, mine + i, 1);
        session_pause(h.session);
        (void)harness_feed_bytes(&h, other, others + i, 1);
        session_pause(other);
    }
    ck_assert_str_eq(
        h.out,
        "STORED\r\nSTORED\r\nVALUE a 0 5\r\nhello\r\nEND\r\nVALUE b 0 5\r\nworld\r\nEND\r\n");
    struct worker_stats *stats = session_worker_stats(h.worker);
    ck_assert_uint_eq(level(&stats->read_bytes), SESSION_RX_SIZE);
    ck_assert_uint_eq(level(&stats->read_buffers), 1);
    session_destroy(other);
    harness_close(&h);
}
END_TEST

START_TEST(session_owns_no_buffer_while_idle)
{
    struct harness h;
    harness_open(&h);
    struct worker_stats *stats = session_worker_stats(h.worker);
    harness_set(&h, h.session, "a", 100, 'x');
    session_pause(h.session);
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < 100; i++) {
        (void)harness_feed(&h, "get a\r\nget ");
        session_pause(h.session);
        ck_assert_uint_eq(level(&stats->read_buffers), 2);
        ck_assert_uint_eq(level(&stats->read_bytes), SESSION_RX_SIZE + 4);
        (void)harness_feed(&h, "a\r\n");
        session_pause(h.session);
    }
    ck_assert_uint_eq(level(&stats->read_buffers), 1);
    ck_assert_uint_eq(level(&stats->response_buffers), 0);
    if (before > 0) {                                           /* not under a sanitizer's heap */
        ck_assert_uint_lt(mallinfo2().uordblks, before + 1024); /* Check itself takes some */
    }
    harness_close(&h);
}
END_TEST

/** 64 KiB of commands wait for their turns: the buffer goes with the session, is not copied, and
 * comes back. */
START_TEST(session_pause_keeps_a_whole_buffer_of_commands)
{
    struct harness h;
    harness_open(&h);
    struct session *other = session_create(h.worker);
    size_t lines = SESSION_RX_SIZE / 4;
    char *input = malloc(SESSION_RX_SIZE);
    for (size_t i = 0; i < lines; i++) {
        memcpy(input + 4 * i, "mn\r\n", 4);
    }
    ck_assert_uint_eq(harness_receive(h.session, input, SESSION_RX_SIZE), SESSION_RX_SIZE);
    enum session_next next;
    size_t rounds = 0;
    do {
        next = session_run(h.session);
        (void)harness_take(&h, h.session, SIZE_MAX);
        session_pause(h.session);
        (void)harness_feed_bytes(&h, other, "version\r\n", 9);
        h.out_len -= strlen("VERSION 1.6.45\r\n");
        session_pause(other);
        rounds++;
    } while (next == SESSION_AGAIN);
    ck_assert_int_eq(next, SESSION_READ);
    ck_assert_uint_eq(rounds, (lines + 19) / 20);
    ck_assert_uint_eq(h.out_len, 4 * lines);
    ck_assert_uint_eq(level(&session_worker_stats(h.worker)->read_buffers), 1);
    free(input);
    session_destroy(other);
    harness_close(&h);
}
END_TEST

START_TEST(session_stops_running_while_its_client_does_not_read)
{
    struct harness h;
    harness_open(&h);
    struct worker_stats *stats = session_worker_stats(h.worker);
    harness_set(&h, h.session, "a", 10000, 'x');
    char input[6000];
    size_t len = 0;
    while (len + 7 <= sizeof(input)) {
        memcpy(input + len, "get a\r\n", 7);
        len += 7;
    }
    (void)harness_receive(h.session, input, len);
    ck_assert_int_eq(session_run(h.session), SESSION_SEND);
    session_pause(h.session);
    ck_assert_uint_eq(level(&stats->response_buffers), 1);
    ck_assert_uint_le(level(&stats->response_bytes), SESSION_TX_SIZE);
    ck_assert_uint_le(level(&stats->read_bytes), 2 * SESSION_RX_SIZE);
    uint64_t gets = metric_get(&stats->cmd_get);
    ck_assert_int_eq(session_run(h.session), SESSION_SEND);
    ck_assert_uint_eq(metric_get(&stats->cmd_get), gets);
    ck_assert(session_tx_pending(h.session));
    ck_assert_str_eq(session_state_name(h.session), "conn_mwrite");

    /* A little is taken, and the session pauses again. */
    size_t taken = harness_take(&h, h.session, 1000);
    session_pause(h.session);
    ck_assert_int_eq(session_run(h.session), SESSION_SEND);
    enum session_next next = SESSION_SEND;
    while (next != SESSION_READ) {
        taken += harness_take(&h, h.session, SIZE_MAX);
        next = session_run(h.session);
    }
    taken += harness_take(&h, h.session, SIZE_MAX);
    ck_assert_uint_eq(taken, len / 7 * (10000 + strlen("VALUE a 0 10000\r\n\r\nEND\r\n")));
    ck_assert_uint_eq(level(&stats->response_buffers), 0);
    ck_assert_uint_eq(level(&stats->response_bytes), 0);
    harness_close(&h);
}
END_TEST

START_TEST(session_bounds_what_a_client_that_does_not_read_pins)
{
    struct harness h;
    harness_open(&h);
    harness_set(&h, h.session, "a", 900000, 'x');
    harness_set(&h, h.session, "b", 20000, 'y');
    const char *gets = "get a a a a a a\r\nget b\r\n";
    (void)harness_receive(h.session, gets, strlen(gets));
    ck_assert_int_eq(session_run(h.session), SESSION_SEND);
    session_pause(h.session);

    /* The items are deleted meanwhile, and arrive intact all the same. */
    struct session *other = session_create(h.worker);
    (void)harness_feed_bytes(&h, other, "delete a noreply\r\n", 18);
    harness_set(&h, other, "c", 900000, 'z');
    session_pause(other);
    size_t first = harness_take(&h, h.session, SIZE_MAX);
    ck_assert_uint_lt(first, 2u * 1000 * 1000);
    char *expected = harness_value("a", 900000, 'x');
    size_t one = strlen(expected) - strlen("END\r\n");
    ck_assert_uint_eq(first, 2 * one);
    ck_assert_int_eq(memcmp(h.out, expected, one), 0);
    ck_assert_int_eq(memcmp(h.out + one, expected, one), 0);
    free(expected);
    ck_assert_int_eq(session_run(h.session), SESSION_READ); /* the other a's are misses now */
    (void)harness_take(&h, h.session, SIZE_MAX);
    ck_assert_str_eq(h.out + h.out_len - 12, "yyyyy\r\nEND\r\n");
    session_destroy(other);
    harness_close(&h);
}
END_TEST

START_TEST(session_destroy_gives_back_pins_stores_and_buffers)
{
    struct harness h;
    harness_open(&h);
    harness_set(&h, h.session, "a", 500000, 'x');
    session_pause(h.session);
    for (unsigned i = 0; i < 200; i++) { /* leaked, they would fill the cache */
        struct session *one = session_create(h.worker);
        (void)harness_receive(one, "get a\r\nset b 0 0 500000\r\nhalf", 29);
        ck_assert_int_eq(session_run(one), SESSION_READ);
        if ((i & 1) != 0) {
            (void)harness_take(&h, one, 100);
            session_pause(one);
        }
        session_destroy(one);
    }
    char *expected = harness_value("a", 500000, 'x');
    ck_assert_str_eq(harness_ask(&h, "get a\r\n"), expected);
    free(expected);
    struct worker_stats *stats = session_worker_stats(h.worker);
    ck_assert_uint_eq(level(&stats->response_buffers), 0);
    ck_assert_uint_eq(level(&stats->read_buffers), 1);
    harness_close(&h);
}
END_TEST

/** Pieces that iov cannot hold come later, in order. */
START_TEST(session_tx_goes_on_where_a_short_list_ended)
{
    struct harness h;
    harness_open(&h);
    harness_set(&h, h.session, "a", 700000, 'x');
    (void)harness_receive(h.session, "get a\r\nmn\r\n", 11);
    ck_assert_int_eq(session_run(h.session), SESSION_READ);
    struct iovec iov;
    while (session_tx(h.session, &iov, 1) == 1) {
        memcpy(h.out + h.out_len, iov.iov_base, iov.iov_len);
        h.out_len += iov.iov_len;
        session_tx_done(h.session, iov.iov_len);
    }
    h.out[h.out_len] = '\0';
    char *expected = harness_value("a", 700000, 'x');
    ck_assert_uint_eq(h.out_len, strlen(expected) + 4);
    ck_assert_int_eq(memcmp(h.out, expected, strlen(expected)), 0);
    ck_assert_str_eq(h.out + h.out_len - 4, "MN\r\n");
    free(expected);
    harness_close(&h);
}
END_TEST

START_TEST(session_closes_for_good)
{
    struct harness h;
    harness_open(&h);
    ck_assert_int_eq(harness_feed(&h, "mn\r\nquit\r\nmn\r\n"), SESSION_CLOSE);
    ck_assert_str_eq(h.out, "MN\r\n");
    ck_assert_int_eq(session_run(h.session), SESSION_CLOSE);
    ck_assert_str_eq(session_state_name(h.session), "conn_closing");
    session_pause(h.session);
    ck_assert_int_eq(session_run(h.session), SESSION_CLOSE);
    harness_close(&h);
}
END_TEST

START_TEST(session_state_names_are_the_originals)
{
    struct harness h;
    harness_open(&h);
    ck_assert_str_eq(session_state_name(h.session), "conn_new_cmd");
    (void)harness_feed(&h, "mn\r\n");
    ck_assert_str_eq(session_state_name(h.session), "conn_read");
    (void)harness_feed(&h, "set a 0 0 5\r\nab");
    ck_assert_str_eq(session_state_name(h.session), "conn_nread");
    (void)harness_feed(&h, "cde\r\nset a 0 0 5000000\r\nab");
    ck_assert_str_eq(session_state_name(h.session), "conn_swallow");
    harness_close(&h);
}
END_TEST

START_TEST(session_counts_bytes_both_ways)
{
    struct harness h;
    harness_open(&h);
    (void)harness_feed(&h, "mn\r\nversion\r\n");
    struct worker_stats *stats = session_worker_stats(h.worker);
    ck_assert_uint_eq(metric_get(&stats->bytes_read), 13);
    ck_assert_uint_eq(metric_get(&stats->bytes_written), 20);
    harness_close(&h);
}
END_TEST

START_TEST(session_takes_binary_for_no_text)
{
    struct harness h;
    harness_open(&h);
    ck_assert_int_eq(harness_feed(&h, "\x80get a\r\n"), SESSION_READ); /* half a header */
    ck_assert_uint_eq(h.out_len, 0);
    harness_close(&h);
}
END_TEST

START_TEST(session_with_forced_binary_closes_on_text)
{
    struct harness h;
    memset(&h, 0, sizeof(h));
    settings_init(&h.settings);
    h.settings.protocol = PROTOCOL_BINARY;
    harness_start(&h);
    ck_assert_int_eq(harness_feed(&h, "version\r\n"), SESSION_CLOSE);
    ck_assert_uint_eq(h.out_len, 0);
    harness_close(&h);
}
END_TEST

START_TEST(session_speaks_what_its_listener_says)
{
    struct harness h;
    harness_open(&h);
    session_speak(h.session, PROTOCOL_BINARY);
    ck_assert_int_eq(harness_feed(&h, "mn\r\n"), SESSION_CLOSE);
    ck_assert_uint_eq(h.out_len, 0);
    struct session *other = session_create(h.worker);
    session_destroy(h.session);
    h.session = other;
    session_speak(h.session, PROTOCOL_ASCII);
    ck_assert_int_eq(harness_feed(&h, "\x80x\r\n"), SESSION_READ); /* a command of text */
    ck_assert_str_eq(h.out, "ERROR\r\n");
    harness_close(&h);
    /* -B is what others speak. */
    memset(&h, 0, sizeof(h));
    settings_init(&h.settings);
    h.settings.protocol = PROTOCOL_BINARY;
    harness_start(&h);
    session_speak(h.session, PROTOCOL_AUTO);
    ck_assert_int_eq(harness_feed(&h, "mn\r\n"), SESSION_READ);
    ck_assert_str_eq(h.out, "MN\r\n");
    harness_close(&h);
}
END_TEST

START_TEST(session_past_the_limit_of_buffers_is_told_and_closed)
{
    struct harness h;
    memset(&h, 0, sizeof(h));
    settings_init(&h.settings);
    h.settings.read_buf_mem_limit = 1024 * 1024; /* four workers: 256 KiB each */
    harness_start(&h);
    struct worker_stats *stats = session_worker_stats(h.worker);
    enum { HALF = 60000, FIT = 256 * 1024 / HALF };
    struct session *waiting[FIT];
    char half[HALF];
    memset(half, 'x', sizeof(half));
    memcpy(half, "get ", 4); /* a key list may be as long */
    for (unsigned i = 0; i < FIT; i++) {
        waiting[i] = session_create(h.worker);
        ck_assert_int_eq(harness_feed_bytes(&h, waiting[i], half, sizeof(half)), SESSION_READ);
        session_pause(waiting[i]);
    }
    ck_assert_uint_eq(level(&stats->read_oom), 0);
    ck_assert_uint_eq(level(&stats->read_bytes), SESSION_RX_SIZE + FIT * HALF);
    ck_assert_int_eq(harness_feed_bytes(&h, h.session, half, sizeof(half)), SESSION_READ);
    session_pause(h.session);
    ck_assert_uint_eq(level(&stats->read_oom), 1);
    ck_assert_uint_eq(level(&stats->read_bytes), SESSION_RX_SIZE + FIT * HALF);
    ck_assert_str_eq(session_state_name(h.session), "conn_closing");
    h.out_len = 0;
    ck_assert_int_eq(harness_feed(&h, "y\r\n"), SESSION_CLOSE);
    ck_assert_str_eq(h.out, "SERVER_ERROR out of memory reading request\r\n");
    session_pause(h.session);
    for (unsigned i = 0; i < FIT; i++) {
        session_destroy(waiting[i]);
    }
    ck_assert_uint_eq(level(&stats->read_bytes), SESSION_RX_SIZE);
    harness_close(&h);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        session_reads_until_a_command_is_whole,
        session_tx_is_empty_without_output,
        session_gives_others_a_turn_after_reqs_per_event,
        session_does_not_yield_when_its_input_ends_with_the_budget,
        session_pause_keeps_half_commands_apart,
        session_owns_no_buffer_while_idle,
        session_pause_keeps_a_whole_buffer_of_commands,
        session_stops_running_while_its_client_does_not_read,
        session_bounds_what_a_client_that_does_not_read_pins,
        session_destroy_gives_back_pins_stores_and_buffers,
        session_tx_goes_on_where_a_short_list_ended,
        session_closes_for_good,
        session_state_names_are_the_originals,
        session_counts_bytes_both_ways,
        session_takes_binary_for_no_text,
        session_with_forced_binary_closes_on_text,
        session_speaks_what_its_listener_says,
        session_past_the_limit_of_buffers_is_told_and_closed,
    };
    return harness_main("session", tests, sizeof(tests) / sizeof(tests[0]));
}
