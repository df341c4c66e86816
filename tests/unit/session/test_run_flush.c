/* flush_all and larder flush_prefix when too many are not swept yet: who flushes waits, and nobody
 * else does. */
#include "config.h"

#include "unit/session/harness.h"

#define FLUSHES_MAX         16u      /* of all: more cannot be unswept */
#define MAINTAIN_MAX        1000000u /* slices until a sweep has come around */
#define BINARY_FLUSH_OK_LEN 24u

struct rig {
    struct harness harness;
    struct cache_thread *thread;
    bool none_begins; /* the host has no room for one more that waits */
};

static bool
hook_wait_begun(void *arg)
{
    return !((struct rig *)arg)->none_begins;
}

static void
rig_open(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    settings_init(&rig->harness.settings);
    rig->harness.host = (struct session_host){ .arg = rig, .hook_wait_begun = hook_wait_begun };
    harness_start(&rig->harness);
    rig->thread = cache_thread_open(rig->harness.cache);
    ck_assert_ptr_nonnull(rig->thread);
}

static void
rig_close(struct rig *rig)
{
    cache_thread_close(rig->harness.cache, rig->thread);
    harness_close(&rig->harness);
}

static void
rig_sweep(struct rig *rig)
{
    struct cache *cache = rig->harness.cache;
    for (unsigned i = 0;
         cache_flush_waits(cache, CACHE_FLUSH_ALL) || cache_flush_waits(cache, CACHE_FLUSH_PREFIX);
         i++) {
        ck_assert_uint_lt(i, MAINTAIN_MAX);
        (void)cache_maintain(cache, rig->thread);
    }
}

/** As many flushes of all as can be unswept. */
static void
flush_all_places(struct rig *rig)
{
    for (unsigned i = 0; !cache_flush_waits(rig->harness.cache, CACHE_FLUSH_ALL); i++) {
        ck_assert_uint_lt(i, FLUSHES_MAX);
        ck_assert_str_eq(harness_ask(&rig->harness, "flush_all\r\n"), "OK\r\n");
    }
}

static void
flush_all_prefixes(struct rig *rig)
{
    char line[64];
    for (unsigned i = 0; i < CACHE_PREFIXES_MAX; i++) {
        ck_assert(!cache_flush_waits(rig->harness.cache, CACHE_FLUSH_PREFIX));
        snprintf(line, sizeof(line), "larder flush_prefix p%u:\r\n", i);
        ck_assert_str_eq(harness_ask(&rig->harness, line), "OK\r\n");
    }
    ck_assert(cache_flush_waits(rig->harness.cache, CACHE_FLUSH_PREFIX));
}

static uint32_t
waiting(struct rig *rig)
{
    return atomic_load_explicit(&rig->harness.stats.flushes_waiting, memory_order_relaxed);
}

START_TEST(one_flush_too_many_waits_for_the_sweep_and_what_is_behind_it_waits_too)
{
    static const char *const flushes[] = { "flush_all\r\n", "larder flush_prefix new:\r\n" };
    for (unsigned i = 0; i < 2; i++) {
        struct rig rig;
        rig_open(&rig);
        harness_set(&rig.harness, rig.harness.session, "new:a", 5, 'x');
        i == 0 ? flush_all_places(&rig) : flush_all_prefixes(&rig);
        harness_set(&rig.harness, rig.harness.session, "new:a", 5, 'y');
        char lines[100];
        snprintf(lines, sizeof(lines), "get new:a\r\n%sget new:a\r\n", flushes[i]);
        ck_assert_str_eq(harness_ask(&rig.harness, lines), "VALUE new:a 0 5\r\nyyyyy\r\nEND\r\n");
        ck_assert(session_waits(rig.harness.session));
        ck_assert_uint_eq(waiting(&rig), 1);
        ck_assert_str_eq(harness_run_again(&rig.harness, rig.harness.session),
                         ""); /* woken for another's sake */
        uint64_t flushed = metric_get(&session_worker_stats(rig.harness.worker)->cmd_flush);
        rig_sweep(&rig);
        ck_assert_str_eq(harness_run_again(&rig.harness, rig.harness.session), "OK\r\nEND\r\n");
        ck_assert(!session_waits(rig.harness.session));
        ck_assert_uint_eq(waiting(&rig), 0);
        ck_assert_uint_eq(metric_get(&session_worker_stats(rig.harness.worker)->cmd_flush),
                          flushed + 1);
        rig_close(&rig);
    }
}
END_TEST

/* A round that ends after a few chunks of each class (lru_crawler_tocrawl) ends no flush, but the
 * next one comes further. */
START_TEST(a_bound_of_the_sweep_does_not_let_it_wait_for_ever)
{
    struct rig rig;
    char key[16];
    rig_open(&rig);
    cache_set_sweep(rig.harness.cache, true, 1);
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(key, sizeof(key), "p0:%u", i);
        harness_set(&rig.harness, rig.harness.session, key, 100, 'x');
    }
    flush_all_places(&rig);
    ck_assert_str_eq(harness_ask(&rig.harness, "flush_all\r\n"), "");
    rig_sweep(&rig);
    ck_assert_str_eq(harness_run_again(&rig.harness, rig.harness.session), "OK\r\n");
    rig_close(&rig);
}
END_TEST

START_TEST(noreply_and_binary_flushes_wait_as_well)
{
    static const uint8_t flush[24] = { 0x80, 0x08 };
    struct rig rig;
    rig_open(&rig);
    flush_all_places(&rig);
    ck_assert_str_eq(harness_ask(&rig.harness, "flush_all noreply\r\n"), "");
    ck_assert(session_waits(rig.harness.session));
    struct session *binary = session_create(rig.harness.worker);
    rig.harness.out_len = 0;
    ck_assert_int_eq(harness_feed_bytes(&rig.harness, binary, flush, sizeof(flush)), SESSION_READ);
    ck_assert_uint_eq(rig.harness.out_len, 0);
    ck_assert(session_waits(binary));
    ck_assert_uint_eq(waiting(&rig), 2);
    rig_sweep(&rig);
    ck_assert_str_eq(harness_run_again(&rig.harness, rig.harness.session), "");
    ck_assert(!session_waits(rig.harness.session));
    ck_assert_int_eq(harness_run_on(&rig.harness, binary), SESSION_READ);
    ck_assert_uint_eq(rig.harness.out_len, BINARY_FLUSH_OK_LEN);
    ck_assert_uint_eq(waiting(&rig), 0);
    session_destroy(binary);
    rig_close(&rig);
}
END_TEST

START_TEST(a_client_that_leaves_or_sends_more_than_is_kept_waits_no_longer)
{
    struct rig rig;
    rig_open(&rig);
    flush_all_places(&rig);
    struct session *other = session_create(rig.harness.worker);
    (void)harness_feed_bytes(&rig.harness, other, "flush_all\r\n", 11);
    ck_assert(session_waits(other));
    session_destroy(other);
    ck_assert_uint_eq(waiting(&rig), 0);

    (void)harness_feed(&rig.harness, "flush_all\r\n");
    ck_assert_uint_eq(waiting(&rig), 1);
    harness_flood(&rig.harness);
    ck_assert_uint_eq(waiting(&rig), 0);
    rig_close(&rig);
}
END_TEST

START_TEST(who_cannot_wait_or_may_not_flush_is_answered_at_once)
{
    struct rig rig;
    rig_open(&rig);
    flush_all_places(&rig);
    rig.harness.settings.flush_disabled = true;
    ck_assert_str_eq(harness_ask(&rig.harness, "flush_all\r\n"),
                     "CLIENT_ERROR flush_all not allowed\r\n");
    rig.harness.settings.flush_disabled = false;
    rig.none_begins = true;
    ck_assert_str_eq(harness_ask(&rig.harness, "flush_all\r\n"), "OK\r\n");
    ck_assert(!session_waits(rig.harness.session));
    ck_assert_uint_eq(waiting(&rig), 0);
    rig_close(&rig);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        one_flush_too_many_waits_for_the_sweep_and_what_is_behind_it_waits_too,
        a_bound_of_the_sweep_does_not_let_it_wait_for_ever,
        noreply_and_binary_flushes_wait_as_well,
        a_client_that_leaves_or_sends_more_than_is_kept_waits_no_longer,
        who_cannot_wait_or_may_not_flush_is_answered_at_once,
    };
    return harness_main("run_flush", tests, sizeof(tests) / sizeof(tests[0]));
}
