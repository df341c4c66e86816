#include "config.h"

#include "admin/prefix.h"
#include "admin/stats.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1700000000

static struct settings settings;
static struct server_stats stats;
static struct worker_stats workers[2];
static struct cache_thread *thread;

static void
open_cache(bool track_sizes)
{
    settings_init(&settings);
    memset(&stats, 0, sizeof(stats));
    memset(workers, 0, sizeof(workers));
    struct cache_options options = {
        .memory_limit = 64u << 20,
        .item_size_max = 1u << 20,
        .track_sizes = track_sizes,
        .hash_seed = 1,
        .now = NOW,
    };
    stats.cache = cache_create(&options);
    stats.settings = &settings;
    stats.prefixes = prefix_stats_create(':');
    stats.started_at = NOW - 10;
    stats.workers[0] = &workers[0];
    stats.workers[1] = &workers[1];
    stats.workers_count = 2;
    thread = cache_thread_open(stats.cache);
}

static void
setup(void)
{
    open_cache(false);
}

static void
teardown(void)
{
    cache_thread_close(stats.cache, thread);
    prefix_stats_destroy(stats.prefixes);
    cache_destroy(stats.cache);
}

/* What was emitted: the value of `wanted`, and the number of pairs. */
struct taken {
    const char *wanted;
    char value[256];
    unsigned count;
};

static void
take(void *arg, const char *name, const char *value)
{
    struct taken *taken = arg;
    taken->count++;
    if (strcmp(name, taken->wanted) == 0) {
        strncpy(taken->value, value, sizeof(taken->value) - 1);
    }
}

static const char *
value_of(void (*print)(struct server_stats *, stat_emit_fn *, void *), const char *name)
{
    static struct taken taken;
    taken = (struct taken){ .wanted = name };
    print(&stats, take, &taken);
    return taken.value;
}

static unsigned
count_of(void (*print)(struct server_stats *, stat_emit_fn *, void *))
{
    struct taken taken = { .wanted = "" };
    print(&stats, take, &taken);
    return taken.count;
}

static void
store(const char *key, size_t len)
{
    struct cache_store item;
    char value[4096] = { 0 };
    ck_assert_int_eq(cache_store_begin(stats.cache, thread, key, (uint32_t)strlen(key), len, 0,
                                       CACHE_NEVER, &item),
                     CACHE_OK);
    ck_assert_int_eq(cache_store_write(stats.cache, thread, &item, value, len), CACHE_OK);
    ck_assert_int_eq(cache_store_commit(stats.cache, thread, &item, CACHE_SET, 0, NULL), CACHE_OK);
}

/** Source: contract 1.8, the number that memcached's own tests look for. */
START_TEST(stats_general_prints_84_names_with_the_options_of_the_contract)
{
    settings.item_size_max = 1024;
    settings.slab_chunk_max = 1024;
    settings.lru_crawler = false;
    settings.lru_maintainer = false;
    settings.lru_segmented = false;
    ck_assert_uint_eq(count_of(stats_general), 84);
}
END_TEST

START_TEST(stats_general_sums_workers)
{
    metric_add(&workers[0].cmd_get, 3);
    metric_add(&workers[1].cmd_get, 4);
    metric_add(&workers[1].bytes_read, 100);
    metric_add(&workers[0].read_buffers, 2);
    metric_add(&workers[1].read_buffers, 3);
    ck_assert_str_eq(value_of(stats_general, "cmd_get"), "7");
    ck_assert_str_eq(value_of(stats_general, "bytes_read"), "100");
    ck_assert_str_eq(value_of(stats_general, "read_buf_count"), "5");
    ck_assert_str_eq(value_of(stats_general, "uptime"), "10");
    ck_assert_str_eq(value_of(stats_general, "time"), "1700000000");
    ck_assert_str_eq(value_of(stats_general, "version"), "1.6.45");
    ck_assert_str_eq(value_of(stats_general, "pointer_size"), sizeof(void *) == 8 ? "64" : "32");
}
END_TEST

START_TEST(stats_reset_clears_counters_and_keeps_levels)
{
    metric_add(&workers[0].cmd_get, 3);
    metric_add(&workers[1].conn_yields, 4);
    metric_add(&workers[0].read_buffers, 2);
    metric_add_shared(&stats.total_connections, 9);
    metric_add_shared(&stats.curr_connections, 5);
    metric_add_shared(&stats.rejected_connections, 1);
    prefix_count_set(stats.prefixes, "a:b", 3);
    store("a", 10);
    stats_reset(&stats);
    ck_assert_str_eq(value_of(stats_general, "cmd_get"), "0");
    ck_assert_str_eq(value_of(stats_general, "conn_yields"), "0");
    ck_assert_str_eq(value_of(stats_general, "read_buf_count"), "2");
    ck_assert_str_eq(value_of(stats_general, "total_connections"), "0");
    ck_assert_str_eq(value_of(stats_general, "curr_connections"), "5");
    ck_assert_str_eq(value_of(stats_general, "rejected_connections"), "0");
    ck_assert_str_eq(value_of(stats_general, "curr_items"), "1");
    ck_assert_str_eq(value_of(stats_general, "total_items"), "0");
    ck_assert_str_eq(value_of(stats_general, "uptime"), "10");
    metric_add(&workers[0].cmd_get, 2);
    ck_assert_str_eq(value_of(stats_general, "cmd_get"), "2");
}
END_TEST

START_TEST(stats_general_leaves_out_what_is_off)
{
    ck_assert_str_eq(value_of(stats_general, "idle_kicks"), "");
    ck_assert_str_eq(value_of(stats_general, "rejected_connections"), "0");
    ck_assert_str_eq(value_of(stats_general, "slabs_moved"), "0");
    settings.idle_timeout_s = 5;
    settings.maxconns_fast = false;
    settings.slab_reassign = false;
    ck_assert_str_eq(value_of(stats_general, "idle_kicks"), "0");
    ck_assert_str_eq(value_of(stats_general, "rejected_connections"), "");
    ck_assert_str_eq(value_of(stats_general, "slabs_moved"), "");
}
END_TEST

START_TEST(stats_settings_shows_what_was_set)
{
    settings.port = 1234;
    settings.unix_path = "/tmp/x";
    settings.unix_mask = 0777;
    settings.listen[0] = "127.0.0.1";
    settings.listen[1] = "[::1]:5";
    settings.listen_count = 2;
    settings.growth_factor = 1.5;
    settings.chunk_min = 96;
    settings.evictions_disabled = true;
    settings.protocol = PROTOCOL_ASCII;
    ck_assert_str_eq(value_of(stats_settings, "tcpport"), "1234");
    ck_assert_str_eq(value_of(stats_settings, "domain_socket"), "/tmp/x");
    ck_assert_str_eq(value_of(stats_settings, "umask"), "777");
    ck_assert_str_eq(value_of(stats_settings, "inter"), "127.0.0.1,[::1]:5");
    ck_assert_str_eq(value_of(stats_settings, "growth_factor"), "1.50");
    ck_assert_str_eq(value_of(stats_settings, "chunk_size"), "96");
    ck_assert_str_eq(value_of(stats_settings, "evictions"), "off");
    ck_assert_str_eq(value_of(stats_settings, "binding_protocol"), "ascii");
    settings.protocol = PROTOCOL_BINARY;
    ck_assert_str_eq(value_of(stats_settings, "binding_protocol"), "binary");
}
END_TEST

START_TEST(stats_settings_joins_no_more_addresses_than_fit)
{
    static char long_address[600];
    memset(long_address, 'a', sizeof(long_address) - 1);
    settings.listen[0] = settings.listen[1] = long_address;
    settings.listen_count = 2;
    ck_assert_uint_gt(strlen(value_of(stats_settings, "inter")), 0);
}
END_TEST

START_TEST(stats_items_and_slabs_list_classes_in_use)
{
    ck_assert_uint_eq(count_of(stats_items), 0);
    ck_assert_uint_eq(count_of(stats_slabs), 2);
    store("a", 10);
    store("b", 10);
    store("c", 3000);
    ck_assert_str_eq(value_of(stats_slabs, "active_slabs"), "2");
    ck_assert_uint_eq(count_of(stats_slabs), 2 * 15 + 2);
    ck_assert_uint_eq(count_of(stats_items), 2 * 28);
    settings.temp_lru = true;
    ck_assert_uint_eq(count_of(stats_items), 2 * 29);
}
END_TEST

START_TEST(stats_sizes_counts_items_in_steps_of_32)
{
    ck_assert_str_eq(value_of(stats_sizes, "sizes_status"), "disabled");
    teardown();
    open_cache(true);
    ck_assert_uint_eq(count_of(stats_sizes), 0);
    store("a", 100);
    store("b", 100);
    store("c", 3000);
    ck_assert_uint_eq(count_of(stats_sizes), 2);
}
END_TEST

START_TEST(stats_larder_names_version_and_allocator)
{
    ck_assert_uint_gt(strlen(value_of(stats_larder, "larder_version")), 0);
    ck_assert_uint_gt(strlen(value_of(stats_larder, "allocator")), 0);
    ck_assert_str_eq(value_of(stats_larder, "memory_limit"), "67108864");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stats");
    TCase *tcase = tcase_create("stats");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, stats_general_prints_84_names_with_the_options_of_the_contract);
    tcase_add_test(tcase, stats_general_sums_workers);
    tcase_add_test(tcase, stats_reset_clears_counters_and_keeps_levels);
    tcase_add_test(tcase, stats_general_leaves_out_what_is_off);
    tcase_add_test(tcase, stats_settings_shows_what_was_set);
    tcase_add_test(tcase, stats_settings_joins_no_more_addresses_than_fit);
    tcase_add_test(tcase, stats_items_and_slabs_list_classes_in_use);
    tcase_add_test(tcase, stats_sizes_counts_items_in_steps_of_32);
    tcase_add_test(tcase, stats_larder_names_version_and_allocator);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
