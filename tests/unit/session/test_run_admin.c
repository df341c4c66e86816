/* Long replies, and what goes to the host; short ones are tested by tests/wire. */
#include "config.h"

#include "unit/session/harness.h"

static int stopped; /* 1 at once, 2 gracefully */

static void
on_shutdown(void *arg, bool graceful)
{
    ck_assert_ptr_eq(arg, &stopped);
    stopped = graceful ? 2 : 1;
}

/** stats of more connections than the send buffer holds. */
static void
on_stats_conns(void *arg, stat_emit_fn *emit, void *emit_arg)
{
    (void)arg;
    for (unsigned i = 0; i < 20000; i++) {
        char name[32];
        sprintf(name, "%u:addr", i);
        emit(emit_arg, name, "tcp:127.0.0.1:11211");
    }
}

START_TEST(admin_shutdown_tells_the_host)
{
    struct harness h;
    memset(&h, 0, sizeof(h));
    settings_init(&h.settings);
    h.settings.shutdown_enabled = true;
    h.host.arg = &stopped;
    h.host.shutdown = on_shutdown;
    harness_start(&h);
    stopped = 0;
    ck_assert_int_eq(harness_feed(&h, "shutdown later\r\n"), SESSION_READ);
    ck_assert_int_eq(stopped, 0);
    ck_assert_int_eq(harness_feed(&h, "shutdown graceful\r\n"), SESSION_CLOSE);
    ck_assert_int_eq(stopped, 2);
    struct session *other = session_create(h.worker);
    session_pause(h.session);
    ck_assert_int_eq(harness_feed_bytes(&h, other, "shutdown\r\n", 10), SESSION_CLOSE);
    ck_assert_int_eq(stopped, 1);
    session_destroy(other);
    harness_close(&h);
}
END_TEST

START_TEST(admin_shutdown_is_off_by_default)
{
    struct harness h;
    memset(&h, 0, sizeof(h));
    settings_init(&h.settings);
    h.host.arg = &stopped;
    h.host.shutdown = on_shutdown;
    harness_start(&h);
    stopped = 0;
    ck_assert_int_eq(harness_feed(&h, "shutdown\r\n"), SESSION_READ);
    ck_assert_int_eq(stopped, 0);
    harness_close(&h);
}
END_TEST

START_TEST(admin_reply_longer_than_the_send_buffer_arrives_whole)
{
    struct harness h;
    memset(&h, 0, sizeof(h));
    settings_init(&h.settings);
    h.host.stats_conns = on_stats_conns;
    harness_start(&h);
    const char *ask = "mn\r\nstats conns\r\nstats conns\r\nmn\r\n";
    (void)harness_receive(h.session, ask, strlen(ask));
    ck_assert_int_eq(session_run(h.session),
                     SESSION_SEND); /* not a second one before the first has left */
    (void)harness_take(&h, h.session, 10000);
    session_pause(h.session);
    ck_assert_int_eq(session_run(h.session), SESSION_SEND);
    (void)harness_take(&h, h.session, SIZE_MAX);
    size_t one = h.out_len - 4;
    ck_assert_uint_gt(one, SESSION_TX_SIZE);
    ck_assert_int_eq(session_run(h.session), SESSION_SEND);
    (void)harness_take(&h, h.session, SIZE_MAX);
    ck_assert_int_eq(session_run(h.session), SESSION_READ);
    (void)harness_take(&h, h.session, SIZE_MAX);
    ck_assert_uint_eq(h.out_len, 2 * one + 8);
    ck_assert_int_eq(memcmp(h.out + 4, h.out + 4 + one, one), 0);
    ck_assert_int_eq(memcmp(h.out, "MN\r\nSTAT 0:addr tcp:", 20), 0);
    ck_assert_str_eq(h.out + h.out_len - 9, "END\r\nMN\r\n");
    harness_close(&h);
}
END_TEST

START_TEST(admin_cachedump_is_bounded)
{
    struct harness h;
    harness_open(&h);
    char key[260];
    for (unsigned i = 0; i < 12000; i++) {
        memset(key, 'k', 240);
        sprintf(key + 240, "%05u", i);
        harness_set(&h, h.session, key, 1, 'v');
    }
    harness_ask(&h, "stats slabs\r\n");
    int class = atoi(strstr(h.out, "STAT ") + 5);
    char ask[64];
    snprintf(ask, sizeof(ask), "stats cachedump %d 0\r\n", class);
    harness_ask(&h, ask);
    ck_assert_uint_le(h.out_len, 2u * 1024 * 1024 + 5);
    ck_assert_uint_gt(h.out_len, 2u * 1024 * 1024 - 300);
    ck_assert_str_eq(h.out + h.out_len - 7, "\r\nEND\r\n");
    snprintf(ask, sizeof(ask), "stats cachedump %d 7\r\n", class);
    harness_ask(&h, ask);
    unsigned lines = 0;
    for (const char *p = h.out; (p = strstr(p, "ITEM ")) != NULL; p++) {
        lines++;
    }
    ck_assert_uint_eq(lines, 7);
    harness_close(&h);
}
END_TEST

START_TEST(admin_cachedump_leaves_out_binary_keys)
{
    struct harness h;
    harness_open(&h);
    (void)harness_ask(&h, "set a\tbcd 0 0 1\r\nx\r\nset \x7f\x01xyz 0 0 1\r\nx\r\n"
                          "set plain 0 0 1\r\nx\r\nstats slabs\r\n");
    char ask[64];
    snprintf(ask, sizeof(ask), "stats cachedump %d 0\r\n", atoi(strstr(h.out, "STAT ") + 5));
    ck_assert_str_eq(harness_ask(&h, ask), "ITEM plain [1 b; 0 s]\r\nEND\r\n");
    harness_close(&h);
}
END_TEST

START_TEST(admin_verbosity_is_capped_at_2)
{
    struct harness h;
    harness_open(&h);
    (void)harness_ask(&h, "verbosity 99\r\n");
    ck_assert_int_eq(atomic_load_explicit(&h.settings.verbosity, memory_order_relaxed), 2);
    (void)harness_ask(&h, "verbosity 1\r\n");
    ck_assert_int_eq(atomic_load_explicit(&h.settings.verbosity, memory_order_relaxed), 1);
    harness_close(&h);
}
END_TEST

START_TEST(admin_cache_memlimit_reaches_cache_and_settings)
{
    struct harness h;
    harness_open(&h);
    ck_assert_str_eq(harness_ask(&h, "cache_memlimit 32\r\n"), "OK\r\n");
    ck_assert_uint_eq(atomic_load_explicit(&h.settings.memory_limit, memory_order_relaxed),
                      32u << 20);
    harness_ask(&h, "stats\r\n");
    ck_assert_ptr_nonnull(strstr(h.out, "STAT limit_maxbytes 33554432\r\n"));
    harness_close(&h);
}
END_TEST

START_TEST(admin_cache_memlimit_is_fixed_with_large_pages)
{
    struct harness h;
    harness_open(&h);
    h.settings.large_pages = true;
    ck_assert_str_eq(harness_ask(&h, "cache_memlimit 32\r\n"),
                     "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n");
    harness_close(&h);
}
END_TEST

/* Pipelines of scans by twenty clients held everybody else up for 0.4 s. */
START_TEST(what_may_go_over_all_of_the_cache_ends_its_turn)
{
    static const char *const lines[] = { "larder scan 0\r\n", "larder flush_prefix a\r\n",
                                         "flush_all\r\n", "stats\r\n" };
    struct harness h;
    harness_open(&h);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        size_t len = strlen(lines[i]);
        for (unsigned left = 2; left > 0; left--) {
            ck_assert_uint_eq(harness_receive(h.session, lines[i], len), len);
        }
        for (unsigned left = 2; left > 0; left--) {
            ck_assert_int_eq(session_run(h.session), left > 1 ? SESSION_AGAIN : SESSION_READ);
            ck_assert_uint_gt(harness_take(&h, h.session, SIZE_MAX), 0);
        }
    }
    harness_close(&h);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        admin_shutdown_tells_the_host,
        admin_shutdown_is_off_by_default,
        admin_reply_longer_than_the_send_buffer_arrives_whole,
        admin_cachedump_is_bounded,
        admin_cachedump_leaves_out_binary_keys,
        admin_verbosity_is_capped_at_2,
        admin_cache_memlimit_reaches_cache_and_settings,
        admin_cache_memlimit_is_fixed_with_large_pages,
        what_may_go_over_all_of_the_cache_ends_its_turn,
    };
    return harness_main("run_admin", tests, sizeof(tests) / sizeof(tests[0]));
}
