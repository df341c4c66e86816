/* The hook without a server to follow, and what it prints of recorded logs. */
#include "mysql/hook.h"

#include "mysql/hook_tool.h"
#include "mysql/schema.h"
#include "unit/mysql/logs.h"

#ifdef HAVE_HOOK

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define NOW 1700000000

/* Nobody listens there: a unix socket that is not. */
static const char nobody[] =
    "source = { hosts = (\"/nonexistent/larder.sock\"); user = \"u\"; grace_ms = 0; timeout_ms = 100;"
    " heartbeat_ms = 10; %s };"
    "tables = ( { name = \"shop.users\"; rules = ("
    " { on = \"any\"; delete = \"user:{id}\"; },"
    " { on = \"any\"; stale = \"list:{id}\"; } ); } );";

static struct rules *rules;
static struct cache *cache;
static struct cache_thread *thread;
static struct hook *hook;

static struct rules *
rules_of(const char *text)
{
    char error[RULES_ERROR_MAX];
    struct rules *read = NULL;
    ck_assert_msg(rules_parse("test", (struct bytes){ (const uint8_t *)text, strlen(text) }, &read,
                              error, sizeof(error)),
                  "%s", error);
    return read;
}

static void
open_hook(const char *settings)
{
    char text[1024];
    char error[HOOK_ERROR_CAP];
    struct cache_options options = {
        .memory_limit = 8u << 20, .item_size_max = 1u << 20, .hash_seed = 1, .now = NOW
    };
    snprintf(text, sizeof(text), nobody, settings);
    rules = rules_of(text);
    cache = cache_create(&options);
    ck_assert_ptr_nonnull(cache);
    thread = cache_thread_open(cache);
    ck_assert_ptr_nonnull(thread);
    struct hook_options how = { .rules = rules, .cache = cache, .item_size_max = 1u << 20 };
    ck_assert_int_eq(hook_open(&how, &hook, error), HOOK_OK);
}

static void
close_hook(void)
{
    hook_close(hook);
    cache_thread_close(cache, thread);
    cache_destroy(cache);
    rules_destroy(rules);
}

static enum cache_result
store(const char *key)
{
    return cache_set(cache, thread, key, (uint32_t)strlen(key), "x", 1, 0, CACHE_NEVER, NULL);
}

/** The value of a figure. */
struct figure {
    const char *name;
    char value[64];
    unsigned count; /* of all figures */
};

static void
take(void *arg, const char *name, const char *value)
{
    struct figure *figure = arg;
    figure->count++;
    if (strcmp(name, figure->name) == 0) {
        snprintf(figure->value, sizeof(figure->value), "%s", value);
    }
}

static const char *
figure_of(const char *name)
{
    static struct figure figure;
    figure = (struct figure){ .name = name };
    hook_stats(hook, take, &figure);
    return figure.value;
}

/** Waits until a figure is so; Check's own time bounds it. */
static void
wait_for(const char *name, const char *value)
{
    struct timespec pause = { .tv_nsec = 1000000 };
    while (strcmp(figure_of(name), value) != 0) {
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
}

/** Whoever starts without its database serves everything but what the rules are about. */
START_TEST(without_a_server_keys_of_the_rules_are_bypassed)
{
    open_hook("");
    wait_for("hook_degraded", "1");
    ck_assert_int_eq(store("elsewhere"), CACHE_OK);
    ck_assert_int_eq(store("user:1"), CACHE_NOT_STORED);
    ck_assert_int_eq(store("list:1"), CACHE_NOT_STORED);
    ck_assert_str_eq(figure_of("hook_source"), "-");
    ck_assert_str_eq(figure_of("hook_gtid_applied"), "");
    ck_assert_str_eq(figure_of("hook_rule_1_line_1_keys"), "0");
    close_hook();
}
END_TEST

START_TEST(without_a_server_keys_may_be_kept)
{
    open_hook("on_disconnect = \"keep\";");
    ck_assert_int_eq(store("user:1"), CACHE_OK);
    ck_assert_int_eq(store("elsewhere"), CACHE_OK);
    close_hook();
}
END_TEST

START_TEST(a_pause_is_a_state_until_it_is_over)
{
    open_hook("");
    hook_pause(hook);
    wait_for("hook_state", "paused");
    ck_assert_str_eq(hook_state_name(hook), "paused");
    hook_resume(hook);
    struct timespec pause = { .tv_nsec = 1000000 };
    while (strcmp(hook_state_name(hook), "paused") == 0) {
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    close_hook();
}
END_TEST

static void
tell(void *arg, bool reached)
{
    /* release: pairs with the test's acquire */
    atomic_store_explicit((_Atomic int *)arg, reached ? 1 : -1, memory_order_release);
}

static int
told(_Atomic int *answer)
{
    return atomic_load_explicit(answer, memory_order_acquire);
}

static enum hook_wait_result
wait_gtid(const char *gtid, uint32_t timeout_ms, _Atomic int *answer, uint64_t *ticket)
{
    return hook_wait(hook, gtid, strlen(gtid), timeout_ms, tell, answer, ticket);
}

START_TEST(a_wait_ends_with_its_time_or_with_the_hook)
{
    _Atomic int answers[3] = { 0, 0, 0 };
    uint64_t tickets[3];
    open_hook("");
    ck_assert_int_eq(wait_gtid("nonsense", 10, &answers[0], &tickets[0]), HOOK_WAIT_BAD);
    ck_assert_int_eq(wait_gtid("", 10, &answers[0], &tickets[0]), HOOK_WAIT_BAD);
    ck_assert_int_eq(wait_gtid("0-1-5", 1, &answers[0], &tickets[0]), HOOK_WAIT_WAITING);
    ck_assert_int_eq(wait_gtid("0-1-5", 3600000, &answers[1], &tickets[1]), HOOK_WAIT_WAITING);
    ck_assert_int_eq(wait_gtid("0-1-5", 3600000, &answers[2], &tickets[2]), HOOK_WAIT_WAITING);
    struct timespec pause = { .tv_nsec = 1000000 };
    while (told(&answers[0]) == 0) {
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    ck_assert_int_eq(told(&answers[0]), -1);
    hook_wait_cancel(hook, tickets[2]);
    ck_assert_int_eq(told(&answers[1]), 0);
    close_hook();
    ck_assert_int_eq(told(&answers[1]), -1);
    ck_assert_int_eq(told(&answers[2]), 0);
}
END_TEST

START_TEST(as_many_wait_as_are_allowed)
{
    _Atomic int answer = 0;
    uint64_t ticket;
    open_hook("");
    for (unsigned i = 0; i < 1024; i++) {
        ck_assert_int_eq(wait_gtid("0-1-5", 3600000, &answer, &ticket), HOOK_WAIT_WAITING);
    }
    ck_assert_int_eq(wait_gtid("0-1-5", 3600000, &answer, &ticket), HOOK_WAIT_FULL);
    hook_wait_cancel(hook, ticket);
    ck_assert_int_eq(wait_gtid("0-1-5", 3600000, &answer, &ticket), HOOK_WAIT_WAITING);
    close_hook();
}
END_TEST

/* -- tools ------------------------------------------------------------------------------------- */

/** What a tool prints, in the heap. */
static char *
printed_of(const struct rules *of, char *const *files, int count, bool check, bool *good)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(out);
    *good = check ? hook_check(of, out) : hook_print(of, files, count, out);
    ck_assert_int_eq(fclose(out), 0);
    return text;
}

static const char all_tables[] =
    "source = { hosts = (\"/nonexistent/larder.sock\"); user = \"u\"; };"
    "tables = ( { match = \".*\"; table = \".*\"; rules = ("
    " { on = \"any\"; delete = \"k:{id}\"; }, { on = \"insert\"; set = \"v:{id}\"; value = \"{id}\"; },"
    " { on = \"delete\"; stale = \"s:{id}\"; ttl = 5; } ); } );";

START_TEST(a_recorded_log_is_printed_by_transaction)
{
    char path[] = FIXTURES "mariadb/small.bin";
    char other[] = FIXTURES "mysql/small.bin";
    char *const files[] = { path, other };
    bool good = false;
    rules = rules_of(all_tables);
    char *text = printed_of(rules, files, 2, false, &good);
    ck_assert_msg(good, "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "small.bin:"));
    ck_assert_ptr_nonnull(strstr(text, "    delete k:2\n"));
    ck_assert_ptr_nonnull(strstr(text, "    stale s:1\n"));
    ck_assert_ptr_nonnull(strstr(text, "v:1"));
    free(text);
    rules_destroy(rules);
}
END_TEST

START_TEST(a_file_that_is_no_log_is_told)
{
    char missing[] = "/nonexistent/bin.000001";
    char empty[] = "/dev/null";
    char other[] = FIXTURES "mariadb/types.tsv";
    char *const files[] = { missing, empty, other };
    rules = rules_of(all_tables);
    for (unsigned i = 0; i < 3; i++) {
        bool good = true;
        char *text = printed_of(rules, &files[i], 1, false, &good);
        ck_assert(!good);
        ck_assert_msg(strncmp(text, files[i], strlen(files[i])) == 0 ||
                          strstr(text, "types.tsv") != NULL,
                      "%s", text);
        free(text);
    }
    rules_destroy(rules);
}
END_TEST

START_TEST(a_host_that_does_not_answer_is_a_problem)
{
    rules = rules_of(all_tables);
    for (int check = 0; check <= 1; check++) {
        bool good = true;
        char *text = printed_of(rules, NULL, 0, check != 0, &good);
        ck_assert(!good);
        ck_assert_msg(strstr(text, "/nonexistent/larder.sock") != NULL, "%s", text);
        free(text);
    }
    rules_destroy(rules);
}
END_TEST

/* -- columns that the server tells of ---------------------------------------------------------- */

#define NAMED(text)                                            \
    {                                                          \
        .at = (const uint8_t *)(text), .len = sizeof(text) - 1 \
    }

START_TEST(what_the_log_lacks_is_filled_in_where_it_fits)
{
    struct schema_column told[2] = {
        { .name = "id", .log_type = COLUMN_LONG, .is_unsigned = true, .meaning = COLUMN_AS_LOGGED },
        { .name = "u", .log_type = 0, .meaning = COLUMN_AS_UUID, .collation = 63 },
    };
    const struct schema_table table = { .columns = told, .count = 2 };
    struct column logged[2] = {
        { .type = COLUMN_LONG, .collation = COLLATION_UNKNOWN },
        { .type = COLUMN_STRING, .collation = COLLATION_UNKNOWN },
    };
    ck_assert(schema_complete(&table, logged, 2));
    ck_assert_uint_eq(logged[0].name.len, 2);
    ck_assert(logged[0].is_signed_known && logged[0].is_unsigned);
    ck_assert(!logged[1].is_signed_known);
    ck_assert_int_eq(logged[1].meaning, COLUMN_AS_UUID);
    ck_assert_uint_eq(logged[1].collation, 63);
    ck_assert(schema_complete(&table, logged, 2)); /* with the names that it has now */

    ck_assert(!schema_complete(&table, logged, 1)); /* a column was dropped */
    struct column of_another_type = { .type = COLUMN_VARCHAR };
    ck_assert(!schema_complete(&(struct schema_table){ .columns = told, .count = 1 },
                               &of_another_type, 1));
    struct column renamed = { .type = COLUMN_LONG, .name = NAMED("number") };
    ck_assert(!schema_complete(&(struct schema_table){ .columns = told, .count = 1 }, &renamed, 1));
    ck_assert_uint_eq(renamed.name.len, 6);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("hook");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, without_a_server_keys_of_the_rules_are_bypassed);
    tcase_add_test(tcase, without_a_server_keys_may_be_kept);
    tcase_add_test(tcase, a_pause_is_a_state_until_it_is_over);
    tcase_add_test(tcase, a_wait_ends_with_its_time_or_with_the_hook);
    tcase_add_test(tcase, as_many_wait_as_are_allowed);
    tcase_add_test(tcase, a_recorded_log_is_printed_by_transaction);
    tcase_add_test(tcase, a_file_that_is_no_log_is_told);
    tcase_add_test(tcase, a_host_that_does_not_answer_is_a_problem);
    tcase_add_test(tcase, what_the_log_lacks_is_filled_in_where_it_fits);
    Suite *suite = suite_create("mysql/hook");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#else

int
main(void)
{
    puts("skipped: built without the MySQL hook");
    puts("0 passed, 0 failed, 1 skipped");
    return EXIT_SUCCESS;
}

#endif
