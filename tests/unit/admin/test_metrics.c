#include "config.h"

#include "admin/follower.h"
#include "admin/metrics.h"
#include "admin/metrics_priv.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct metrics *metrics;
static char *page;

static void
setup(void)
{
    page = NULL;
    metrics = metrics_create();
    ck_assert_ptr_nonnull(metrics);
}

static void
teardown(void)
{
    free(page);
}

/** Ends the page; it is a string then. */
static const char *
finish(void)
{
    size_t len = 0;
    char *bytes = metrics_finish(&metrics, &len);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_ptr_null(metrics);
    page = malloc(len + 1);
    ck_assert_ptr_nonnull(page);
    memcpy(page, bytes, len);
    page[len] = '\0';
    free(bytes);
    ck_assert_uint_eq(strlen(page), len);
    return page;
}

/** Whether the page has that whole line. */
static bool
has_line(const char *line)
{
    char wanted[512];
    snprintf(wanted, sizeof(wanted), "\n%s\n", line);
    return strstr(page, wanted) != NULL;
}

START_TEST(a_page_of_nothing_is_empty)
{
    ck_assert_str_eq(finish(), "");
}
END_TEST

START_TEST(a_number_is_a_sample_below_its_help_and_type)
{
    metrics_take(metrics, METRICS_GENERAL, "curr_items", "12");
    ck_assert_str_eq(finish(), "# HELP memcached_current_items Items that are stored.\n"
                               "# TYPE memcached_current_items gauge\n"
                               "memcached_current_items 12\n");
}
END_TEST

START_TEST(samples_of_one_metric_stand_together_under_one_head)
{
    metrics_take(metrics, METRICS_GENERAL, "touch_misses", "4");
    metrics_take(metrics, METRICS_GENERAL, "curr_items", "12");
    metrics_take(metrics, METRICS_GENERAL, "get_misses", "2");
    ck_assert_str_eq(finish(),
                     "# HELP memcached_commands_total Commands on items by command and outcome.\n"
                     "# TYPE memcached_commands_total counter\n"
                     "memcached_commands_total{command=\"get\",status=\"miss\"} 2\n"
                     "memcached_commands_total{command=\"touch\",status=\"miss\"} 4\n"
                     "# HELP memcached_current_items Items that are stored.\n"
                     "# TYPE memcached_current_items gauge\n"
                     "memcached_current_items 12\n");
}
END_TEST

START_TEST(cas_is_taken_off_set)
{
    metrics_take(metrics, METRICS_GENERAL, "cmd_set", "10");
    metrics_take(metrics, METRICS_GENERAL, "cas_misses", "1");
    metrics_take(metrics, METRICS_GENERAL, "cas_hits", "2");
    metrics_take(metrics, METRICS_GENERAL, "cas_badval", "3");
    metrics_take(metrics, METRICS_SLABS, "7:cmd_set", "5");
    metrics_take(metrics, METRICS_SLABS, "7:cas_hits", "1");
    metrics_take(metrics, METRICS_SLABS, "7:cas_badval", "1");
    metrics_take(metrics, METRICS_SLABS, "8:cmd_set",
                 "1"); /* a reset came between: never below 0 */
    metrics_take(metrics, METRICS_SLABS, "8:cas_hits", "2");
    finish();
    ck_assert(has_line("memcached_commands_total{command=\"set\",status=\"hit\"} 4"));
    ck_assert(has_line("memcached_commands_total{command=\"cas\",status=\"badval\"} 3"));
    ck_assert(
        has_line("memcached_slab_commands_total{slab=\"7\",command=\"set\",status=\"hit\"} 3"));
    ck_assert(
        has_line("memcached_slab_commands_total{slab=\"8\",command=\"set\",status=\"hit\"} 0"));
}
END_TEST

START_TEST(classes_are_labels)
{
    metrics_take(metrics, METRICS_ITEMS, "items:3:number", "5");
    metrics_take(metrics, METRICS_ITEMS, "items:12:number", "6");
    metrics_take(metrics, METRICS_ITEMS, "items:12:hits_to_cold", "7");
    metrics_take(metrics, METRICS_SLABS, "12:chunk_size", "96");
    metrics_take(metrics, METRICS_SLABS, "total_malloced", "65536");
    metrics_take(metrics, METRICS_ITEMS, "items:99999:number", "6"); /* no class of ours */
    metrics_take(metrics, METRICS_ITEMS, "items:3", "6");
    finish();
    ck_assert(has_line("memcached_slab_current_items{slab=\"3\"} 5\n"
                       "memcached_slab_current_items{slab=\"12\"} 6"));
    ck_assert(has_line("memcached_slab_lru_hits_total{slab=\"12\",lru=\"cold\"} 7"));
    ck_assert(has_line("memcached_slab_chunk_size_bytes{slab=\"12\"} 96"));
    ck_assert(has_line("memcached_malloced_bytes 65536"));
    ck_assert_ptr_null(strstr(page, "99999"));
}
END_TEST

START_TEST(switches_and_texts_become_numbers_and_labels)
{
    metrics_take(metrics, METRICS_SETTINGS, "lru_crawler", "yes");
    metrics_take(metrics, METRICS_SETTINGS, "lru_maintainer_thread", "no");
    metrics_take(metrics, METRICS_GENERAL, "version", "1.6.45");
    metrics_take(metrics, METRICS_LARDER, "allocator", "a \"b\\c\"\nd");
    metrics_take(metrics, METRICS_HOOK, "hook_source", "-");
    finish();
    ck_assert(has_line("memcached_lru_crawler_enabled 1"));
    ck_assert(has_line("memcached_lru_crawler_maintainer_thread 0"));
    ck_assert(has_line("memcached_version{version=\"1.6.45\"} 1"));
    ck_assert(has_line("larder_allocator{allocator=\"a \\\"b\\\\c\\\"\\nd\"} 1"));
    ck_assert_ptr_null(strstr(page, "hook_source"));
}
END_TEST

START_TEST(a_text_as_long_as_can_be_ends_with_its_quote)
{
    char text[4096];
    memset(text, '"', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    metrics_take(metrics, METRICS_HOOK, "hook_source", text);
    finish();
    ck_assert_ptr_nonnull(strstr(page, "\\\"\"} 1\n"));
    ck_assert_uint_lt(strlen(page), 1300);
}
END_TEST

START_TEST(what_is_no_number_or_no_metric_adds_nothing)
{
    static const char *const wrong[] = {
        "",    "-",   ".5",  "5.",     "1e3",
        "0x1", "1 2", "nan", "(null)", "123456789012345678901234567890123"
    };
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        metrics_take(metrics, METRICS_GENERAL, "curr_items", wrong[i]);
    }
    metrics_take(metrics, METRICS_GENERAL, "libevent", "2.1.12-stable");
    metrics_take(metrics, METRICS_GENERAL, "unknown", "1");
    metrics_take(metrics, METRICS_SETTINGS, "curr_items", "1"); /* of another group */
    ck_assert_str_eq(finish(), "");
}
END_TEST

static const struct {
    const char *value;
    const char *lines; /* behind the name; NULL for none */
} positions[] = {
    { "", NULL },
    { "0-1-42", "{domain=\"0\"} 42\n" },
    { "0-1-42,7-3-18446744073709551615", "{domain=\"0\"} 42\n"
                                         "hook_gtid_applied{domain=\"7\"} 18446744073709551615\n" },
    { "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5",
      "{server=\"3e11fa47-71ca-11e1-9e33-c80aa9429562\"} 5\n" },
    { "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7-9:11",
      "{server=\"3e11fa47-71ca-11e1-9e33-c80aa9429562\"} 11\n" },
    { "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:app:3:_b:1-2,4e11fa47-71ca-11e1-9e33-c80aa9429562:8",
      "{server=\"3e11fa47-71ca-11e1-9e33-c80aa9429562\"} 5\n"
      "hook_gtid_applied{server=\"3e11fa47-71ca-11e1-9e33-c80aa9429562\",tag=\"app\"} 3\n"
      "hook_gtid_applied{server=\"3e11fa47-71ca-11e1-9e33-c80aa9429562\",tag=\"_b\"} 2\n"
      "hook_gtid_applied{server=\"4e11fa47-71ca-11e1-9e33-c80aa9429562\"} 8\n" },
    { "mysql-bin.000001:1234", "{file=\"mysql-bin.000001\"} 1234\n" },
    { "nonsense", NULL },
};

START_TEST(a_position_is_a_number_per_source)
{
    char wanted[512] = "";
    metrics_take(metrics, METRICS_HOOK, "hook_gtid_applied", positions[_i].value);
    finish();
    if (positions[_i].lines == NULL) {
        ck_assert_str_eq(page, "");
        return;
    }
    snprintf(wanted, sizeof(wanted), " gauge\nhook_gtid_applied%s", positions[_i].lines);
    const char *at = strstr(page, " gauge\n");
    ck_assert_ptr_nonnull(at);
    ck_assert_str_eq(at, wanted);
}
END_TEST

START_TEST(of_a_long_position_the_first_parts_are_told)
{
    char value[2048] = "";
    size_t len = 0;
    for (unsigned i = 0; i < 100; i++) {
        len += (size_t)snprintf(value + len, sizeof(value) - len, "%s%u-1-5", i > 0 ? "," : "", i);
    }
    metrics_take(metrics, METRICS_HOOK, "hook_gtid_received", value);
    finish();
    ck_assert(has_line("hook_gtid_received{domain=\"63\"} 5"));
    ck_assert_ptr_null(strstr(page, "domain=\"64\""));
}
END_TEST

START_TEST(the_hook_has_states_and_rules)
{
    metrics_take(metrics, METRICS_HOOK, "hook_state", "streaming");
    metrics_take(metrics, METRICS_HOOK, "hook_lag_us", "150");
    metrics_take(metrics, METRICS_HOOK, "hook_rule_0_line_7_keys", "3");
    metrics_take(metrics, METRICS_HOOK, "hook_rule_1_line_8_keys", "4");
    metrics_take(metrics, METRICS_HOOK, "hook_rule_x_line_8_keys", "4");
    metrics_take(metrics, METRICS_HOOK, "hook_rule_1_line_8_keys_more", "4");
    finish();
    ck_assert(has_line("hook_state{state=\"connecting\"} 0\n"
                       "hook_state{state=\"catching-up\"} 0\n"
                       "hook_state{state=\"streaming\"} 1\n"
                       "hook_state{state=\"disconnected\"} 0\n"
                       "hook_state{state=\"paused\"} 0\n"
                       "hook_state{state=\"stopped\"} 0"));
    ck_assert(has_line("hook_lag_us 150"));
    ck_assert(has_line("# TYPE hook_rule_keys counter\n"
                       "hook_rule_keys{rule=\"0\",line=\"7\"} 3\n"
                       "hook_rule_keys{rule=\"1\",line=\"8\"} 4"));
    ck_assert_ptr_null(strstr(page, "more"));
}
END_TEST

START_TEST(the_table_names_each_metric_once_and_with_a_help_text)
{
    ck_assert_ptr_nonnull(metrics_rows[0].metric);
    for (unsigned i = 0; i < metrics_rows_count; i++) {
        const struct metrics_row *row = &metrics_rows[i];
        ck_assert_ptr_nonnull(row->stat);
        if (row->metric == NULL) {
            ck_assert_ptr_nonnull(row->labels);
            continue;
        }
        size_t len = strlen(row->metric);
        ck_assert_uint_eq(strspn(row->metric, "abcdefghijklmnopqrstuvwxyz_0123456789"), len);
        ck_assert_ptr_nonnull(row->help);
        ck_assert_ptr_null(strpbrk(row->help, "\\\n"));
        for (unsigned j = 0; j < i; j++) {
            ck_assert(metrics_rows[j].metric == NULL ||
                      strcmp(metrics_rows[j].metric, row->metric) != 0);
        }
    }
}
END_TEST

static void
follow(void *arg, void (*emit)(void *, const char *, const char *), void *emit_arg)
{
    ck_assert_ptr_null(arg);
    emit(emit_arg, "hook_rows", "21");
}

START_TEST(a_server_s_page_has_all_groups)
{
    static struct settings settings;
    static struct server_stats stats;
    static const struct follower follower = { .stats = follow };
    settings_init(&settings);
    struct cache_options options = {
        .memory_limit = 64u << 20, .item_size_max = 1u << 20, .hash_seed = 1, .now = 1700000000
    };
    stats.cache = cache_create(&options);
    ck_assert_ptr_nonnull(stats.cache);
    stats.settings = &settings;
    stats.follower = &follower;
    struct cache_thread *thread = cache_thread_open(stats.cache);
    struct cache_store item;
    ck_assert_int_eq(cache_store_begin(stats.cache, thread, "a", 1, 1, 0, CACHE_NEVER, &item),
                     CACHE_OK);
    ck_assert_int_eq(cache_store_write(stats.cache, thread, &item, "x", 1), CACHE_OK);
    ck_assert_int_eq(cache_store_commit(stats.cache, thread, &item, CACHE_SET, 0, NULL), CACHE_OK);

    free(metrics_finish(&metrics, &(size_t){ 0 }));
    size_t len = 0;
    char *bytes = metrics_page(&stats, &len);
    ck_assert_ptr_nonnull(bytes);
    page = realloc(bytes, len + 1);
    ck_assert_ptr_nonnull(page);
    page[len] = '\0';
    ck_assert(has_line("memcached_up 1"));
    ck_assert(has_line("memcached_current_items 1"));
    ck_assert(has_line("memcached_max_connections 1024"));
    ck_assert_ptr_nonnull(strstr(page, "\nmemcached_slab_current_items{slab=\"1\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(page, "\nmemcached_slab_current_pages{slab=\"1\"} 1\n"));
    ck_assert(has_line("larder_memory_limit_bytes 67108864"));
    ck_assert(has_line("hook_rows 21"));
    cache_thread_close(stats.cache, thread);
    cache_destroy(stats.cache);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *tcase = tcase_create("metrics");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_page_of_nothing_is_empty);
    tcase_add_test(tcase, a_number_is_a_sample_below_its_help_and_type);
    tcase_add_test(tcase, samples_of_one_metric_stand_together_under_one_head);
    tcase_add_test(tcase, cas_is_taken_off_set);
    tcase_add_test(tcase, classes_are_labels);
    tcase_add_test(tcase, switches_and_texts_become_numbers_and_labels);
    tcase_add_test(tcase, a_text_as_long_as_can_be_ends_with_its_quote);
    tcase_add_test(tcase, what_is_no_number_or_no_metric_adds_nothing);
    tcase_add_loop_test(tcase, a_position_is_a_number_per_source, 0,
                        sizeof(positions) / sizeof(positions[0]));
    tcase_add_test(tcase, of_a_long_position_the_first_parts_are_told);
    tcase_add_test(tcase, the_hook_has_states_and_rules);
    tcase_add_test(tcase, the_table_names_each_metric_once_and_with_a_help_text);
    tcase_add_test(tcase, a_server_s_page_has_all_groups);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
