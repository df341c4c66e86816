/* Reading lines in pieces; what get answers is tested by tests/wire. */
#include "config.h"

#include "unit/session/harness.h"

#define KEYS 18700u

/** A get line of many keys, received in pieces of `step`: the session keeps no more than its buffer
 * of it. */
static void
long_line(size_t step)
{
    struct harness h;
    harness_open(&h);
    harness_set(&h, h.session, "key-1", 3, 'v');
    char *line = malloc(KEYS * 7 + 16);
    size_t len = (size_t)sprintf(line, "get");
    for (unsigned i = 0; i < KEYS; i++) {
        len += (size_t)sprintf(line + len, i % 100 == 0 ? " key-1" : " miss%u", i % 10);
    }
    len += (size_t)sprintf(line + len, "\r\n");
    ck_assert_uint_gt(len, 110000);
    struct worker_stats *stats = session_worker_stats(h.worker);
    for (size_t at = 0; at < len; at += step) {
        size_t n = len - at < step ? len - at : step;
        ck_assert_int_eq(harness_feed_bytes(&h, h.session, line + at, n), SESSION_READ);
        session_pause(h.session);
        ck_assert_uint_le(metric_get(&stats->read_bytes), 2 * SESSION_RX_SIZE);
    }
    size_t one = strlen("VALUE key-1 0 3\r\nvvv\r\n");
    ck_assert_uint_eq(h.out_len, KEYS / 100 * one + strlen("END\r\n"));
    ck_assert_uint_eq(metric_get(&stats->cmd_get), KEYS);
    ck_assert_str_eq(harness_ask(&h, "mn\r\n"), "MN\r\n");
    free(line);
    harness_close(&h);
}

START_TEST(read_streams_a_line_longer_than_the_buffer)
{
    long_line(SIZE_MAX);
    long_line(65536);
    long_line(16384);
    long_line(1448);
}
END_TEST

/** Of a line that does not fit the buffer only what has not left is taken back. */
START_TEST(read_ends_a_streamed_line_at_a_bad_key)
{
    struct harness h;
    harness_open(&h);
    harness_set(&h, h.session, "a", 1, 'v');
    size_t len = 200000;
    char *line = malloc(len + 400);
    memcpy(line, "get a ", 6);
    for (size_t i = 6; i < len; i += 2) {
        memcpy(line + i, "b ", 2);
    }
    memset(line + len, 'k', 251);
    memcpy(line + len + 251, " a\r\nmn\r\n", 8);
    h.out_len = 0;
    ck_assert_int_eq(harness_feed_bytes(&h, h.session, line, len + 259), SESSION_READ);
    ck_assert_str_eq(h.out, "VALUE a 0 1\r\nv\r\nCLIENT_ERROR bad command line format\r\nMN\r\n");
    free(line);
    harness_close(&h);
}
END_TEST

/** A paused session's line must not mistake another session's output for its own. */
START_TEST(read_takes_back_nothing_of_another_session)
{
    struct harness h;
    harness_open(&h);
    harness_set(&h, h.session, "a", 10000, 'v');
    struct session *other = session_create(h.worker);
    size_t len = SESSION_RX_SIZE;
    char *line = malloc(len);
    memset(line, ' ', len);
    memcpy(line, "get b c d", 9); /* misses: the line has no output yet when it pauses */
    session_pause(h.session);
    ck_assert_int_eq(harness_feed_bytes(&h, h.session, line, len), SESSION_READ);
    session_pause(h.session);
    (void)harness_feed_bytes(&h, other, "get a a a\r\nget a\r\n", 18);
    session_pause(other);
    h.out_len = 0;
    memset(line, 'k', 300);
    memcpy(line + 300, "\r\nmn\r\n", 6);
    ck_assert_int_eq(harness_feed_bytes(&h, h.session, line, 306), SESSION_READ);
    ck_assert_str_eq(h.out, "CLIENT_ERROR bad command line format\r\nMN\r\n");
    free(line);
    session_destroy(other);
    harness_close(&h);
}
END_TEST

START_TEST(read_counts_keys_once_when_the_send_buffer_is_full)
{
    struct harness h;
    harness_open(&h);
    harness_set(&h, h.session, "a", 16000, 'v');
    char line[1024];
    size_t len = (size_t)sprintf(line, "get");
    for (unsigned i = 0; i < 100; i++) {
        len += (size_t)sprintf(line + len, i % 2 == 0 ? " a" : " b");
    }
    len += (size_t)sprintf(line + len, "\r\n");
    (void)harness_feed_bytes(&h, h.session, line, len);
    ck_assert_uint_eq(metric_get(&session_worker_stats(h.worker)->cmd_get), 100);
    harness_ask(&h, "stats\r\n");
    ck_assert_ptr_nonnull(strstr(h.out, "STAT cmd_get 100\r\n"));
    ck_assert_ptr_nonnull(strstr(h.out, "STAT get_hits 50\r\n"));
    ck_assert_ptr_nonnull(strstr(h.out, "STAT get_misses 50\r\n"));
    harness_close(&h);
}
END_TEST

START_TEST(read_counts_gat_as_touch_once)
{
    struct harness h;
    harness_open(&h);
    harness_set(&h, h.session, "a", 16000, 'v');
    char line[1024];
    size_t len = (size_t)sprintf(line, "gat 0");
    for (unsigned i = 0; i < 100; i++) {
        len += (size_t)sprintf(line + len, i % 2 == 0 ? " a" : " b");
    }
    len += (size_t)sprintf(line + len, "\r\n");
    (void)harness_feed_bytes(&h, h.session, line, len);
    harness_ask(&h, "gat -1 b\r\ngat -1 a\r\nstats\r\n");
    ck_assert_ptr_nonnull(strstr(h.out, "STAT cmd_get 0\r\n"));
    ck_assert_ptr_nonnull(strstr(h.out, "STAT cmd_touch 102\r\n"));
    ck_assert_ptr_nonnull(strstr(h.out, "STAT get_hits 0\r\n"));
    ck_assert_ptr_nonnull(strstr(h.out, "STAT get_misses 0\r\n"));
    ck_assert_ptr_nonnull(strstr(h.out, "STAT touch_hits 51\r\n"));
    ck_assert_ptr_nonnull(strstr(h.out, "STAT touch_misses 51\r\n"));
    harness_close(&h);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        read_streams_a_line_longer_than_the_buffer,
        read_ends_a_streamed_line_at_a_bad_key,
        read_takes_back_nothing_of_another_session,
        read_counts_keys_once_when_the_send_buffer_is_full,
        read_counts_gat_as_touch_once,
    };
    return harness_main("run_read", tests, sizeof(tests) / sizeof(tests[0]));
}
