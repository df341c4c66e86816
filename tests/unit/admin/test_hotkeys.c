/* What `stats hotkeys` tells, with a clock of the test's own. */
#include "admin/hotkeys.h"

#include "base/rng.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000)
#define START  (1000 * SECOND) /* a slice begins here */

static _Atomic uint64_t now_us;

static uint64_t
read_now(void)
{
    return atomic_load_explicit(&now_us, memory_order_relaxed); /* relaxed: a single number */
}

static void
set_now(uint64_t us)
{
    atomic_store_explicit(&now_us, us, memory_order_relaxed); /* relaxed: as above */
}

static struct hotkeys *
open_hotkeys(unsigned one_in)
{
    set_now(START);
    struct hotkeys_options options = { read_now, 1, one_in };
    struct hotkeys *hotkeys = hotkeys_create(&options);
    ck_assert_ptr_nonnull(hotkeys);
    return hotkeys;
}

/* -- reports ----------------------------------------------------------------------------------- */

struct report {
    unsigned count;
    char names[256][32];
    char values[256][800];
};

/** stat_emit_fn */
static void
keep_stat(void *arg, const char *name, const char *value)
{
    struct report *report = arg;
    ck_assert_uint_lt(report->count, 256);
    ck_assert_ptr_null(strpbrk(name, " \t\r\n"));
    ck_assert_ptr_null(strpbrk(value, " \t\r\n"));
    strcpy(report->names[report->count], name);
    strcpy(report->values[report->count++], value);
}

static struct report *
ask(struct hotkeys *hotkeys)
{
    static struct report report;
    report.count = 0;
    ck_assert(hotkeys_report(hotkeys, keep_stat, &report));
    return &report;
}

/** The value of a name; NULL for none. */
static const char *
told(const struct report *report, const char *name)
{
    for (unsigned i = 0; i < report->count; i++) {
        if (strcmp(report->names[i], name) == 0) {
            return report->values[i];
        }
    }
    return NULL;
}

static double
number(const struct report *report, const char *name)
{
    const char *value = told(report, name);
    ck_assert_msg(value != NULL, "%s is not told", name);
    return strtod(value, NULL);
}

static bool
is_on(const struct hotkeys *hotkeys)
{
    return atomic_load_explicit(hotkeys_switch(hotkeys), memory_order_relaxed); /* relaxed: alone */
}

static void
note(struct hotkeys_source *source, const char *key, unsigned times, uint64_t sent)
{
    for (unsigned i = 0; i < times; i++) {
        (void)hotkeys_begin_run(source);
        hotkeys_note(source, key, strlen(key), sent);
    }
}

/* -- tests ------------------------------------------------------------------------------------- */

START_TEST(nothing_is_counted_until_somebody_asks)
{
    struct hotkeys *hotkeys = open_hotkeys(1);
    struct hotkeys_source *source = hotkeys_source_open(hotkeys);
    ck_assert(!is_on(hotkeys));
    note(source, "early", 5, 1);

    const struct report *report = ask(hotkeys);
    ck_assert(is_on(hotkeys));
    ck_assert_str_eq(told(report, "seconds"), "0.0");
    ck_assert_str_eq(told(report, "sampled"), "0");
    ck_assert_str_eq(told(report, "requests_per_s"), "0");
    ck_assert_ptr_null(told(report, "requests:1:key"));
    ck_assert_ptr_null(told(report, "bytes:1:key"));
    hotkeys_source_close(hotkeys, &source);
    hotkeys_destroy(hotkeys);
}
END_TEST

START_TEST(keys_come_in_the_order_of_requests_and_of_bytes)
{
    struct hotkeys *hotkeys = open_hotkeys(1);
    struct hotkeys_source *one = hotkeys_source_open(hotkeys);
    struct hotkeys_source *other = hotkeys_source_open(hotkeys);
    (void)ask(hotkeys);
    note(one, "often", 30, 10);
    note(other, "often", 30, 10);
    note(other, "large", 20, 1000);
    note(one, "never\x01there", 10, 0);
    set_now(START + 2 * SECOND);

    const struct report *report = ask(hotkeys);
    ck_assert_str_eq(told(report, "seconds"), "2.0");
    ck_assert_str_eq(told(report, "one_in"), "1");
    ck_assert_str_eq(told(report, "sampled"), "90");
    ck_assert_str_eq(told(report, "requests_per_s"), "45");
    ck_assert_str_eq(told(report, "bytes_per_s"), "10300");
    ck_assert_str_eq(told(report, "requests:1:key"), "often");
    ck_assert_str_eq(told(report, "requests:1:per_s"), "30");
    ck_assert_str_eq(told(report, "requests:1:error"), "0");
    ck_assert_str_eq(told(report, "requests:2:key"), "large");
    ck_assert_str_eq(told(report, "requests:2:per_s"), "10");
    ck_assert_str_eq(told(report, "requests:3:key"), "never%01there");
    ck_assert_ptr_null(told(report, "requests:4:key"));
    ck_assert_str_eq(told(report, "bytes:1:key"), "large");
    ck_assert_str_eq(told(report, "bytes:1:per_s"), "10000");
    ck_assert_str_eq(told(report, "bytes:2:key"), "often");
    ck_assert_str_eq(told(report, "bytes:2:per_s"), "300");
    ck_assert_ptr_null(told(report, "bytes:3:key"));
    hotkeys_source_close(hotkeys, &one);
    hotkeys_source_close(hotkeys, &other);
    hotkeys_destroy(hotkeys);
}
END_TEST

START_TEST(what_is_older_than_the_window_is_forgotten)
{
    struct hotkeys *hotkeys = open_hotkeys(1);
    struct hotkeys_source *source = hotkeys_source_open(hotkeys);
    (void)ask(hotkeys);
    note(source, "old", 100, 1);
    set_now(START + 4 * SECOND);
    note(source, "new", 12, 1);
    set_now(START + 12 * SECOND - 1); /* the last moment of the third slice */
    const struct report *report = ask(hotkeys);
    ck_assert_str_eq(told(report, "seconds"), "12.0");
    ck_assert_str_eq(told(report, "requests:1:key"), "old");

    set_now(START + 12 * SECOND);
    report = ask(hotkeys);
    ck_assert_str_eq(told(report, "seconds"), "8.0");
    ck_assert_str_eq(told(report, "requests:1:key"), "new");
    ck_assert_str_eq(told(report, "requests:1:per_s"), "2");
    ck_assert_ptr_null(told(report, "requests:2:key"));

    /* The slice of "old" is used again. */
    note(source, "next", 6, 1);
    report = ask(hotkeys);
    ck_assert_str_eq(told(report, "sampled"), "18");
    ck_assert_str_eq(told(report, "requests:2:key"), "next");
    set_now(START + 100 * SECOND);
    ck_assert_str_eq(told(ask(hotkeys), "sampled"), "0");
    hotkeys_source_close(hotkeys, &source);
    hotkeys_destroy(hotkeys);
}
END_TEST

START_TEST(counting_ends_when_nobody_asks_any_more)
{
    struct hotkeys *hotkeys = open_hotkeys(1);
    struct hotkeys_source *source = hotkeys_source_open(hotkeys);
    hotkeys_tick(hotkeys);
    ck_assert(!is_on(hotkeys));
    (void)ask(hotkeys);
    set_now(START + HOTKEYS_KEEP_US);
    hotkeys_tick(hotkeys);
    ck_assert(is_on(hotkeys));
    (void)ask(hotkeys);
    set_now(START + 2 * (uint64_t)HOTKEYS_KEEP_US);
    hotkeys_tick(hotkeys);
    ck_assert(is_on(hotkeys)); /* the second question counts as well */
    set_now(START + 2 * (uint64_t)HOTKEYS_KEEP_US + 1);
    hotkeys_tick(hotkeys);
    ck_assert(!is_on(hotkeys));
    note(source, "late", 5, 1); /* by a thread that has not seen it yet */
    ck_assert_str_eq(told(ask(hotkeys), "sampled"), "0");
    ck_assert(is_on(hotkeys));
    note(source, "again", 5, 1);
    ck_assert_str_eq(told(ask(hotkeys), "sampled"), "5");
    hotkeys_source_close(hotkeys, &source);
    hotkeys_destroy(hotkeys);
}
END_TEST

START_TEST(a_source_that_comes_later_counts_too)
{
    struct hotkeys *hotkeys = open_hotkeys(1);
    (void)ask(hotkeys);
    struct hotkeys_source *source = hotkeys_source_open(hotkeys);
    note(source, "a", 3, 1);
    set_now(START + SECOND);
    ck_assert_str_eq(told(ask(hotkeys), "requests:1:per_s"), "3");
    hotkeys_source_close(hotkeys, &source);
    ck_assert_ptr_null(told(ask(hotkeys), "requests:1:key"));
    hotkeys_destroy(hotkeys);
}
END_TEST

/* 10 keys, each a hundredth of the requests and in turn with the rank, among 5000 others: those
 * come out on top, their rates within the errors that are told. */
START_TEST(the_hot_ones_are_found_among_many)
{
    struct hotkeys *hotkeys = open_hotkeys(1);
    struct hotkeys_source *sources[3];
    for (unsigned i = 0; i < 3; i++) {
        sources[i] = hotkeys_source_open(hotkeys);
    }
    (void)ask(hotkeys);
    struct rng rng;
    rng_init(&rng, 3);
    unsigned counts[10] = { 0 };
    for (unsigned n = 0; n < 60000; n++) {
        char key[16];
        uint64_t chance = rng_below(&rng, 1000);
        unsigned hot = 0;
        for (uint64_t below = 0; hot < 10 && chance >= (below += 14 + 2 * (9 - hot)); hot++) {
        }
        if (hot < 10) {
            counts[hot]++;
            snprintf(key, sizeof(key), "hot%u", hot);
        } else {
            snprintf(key, sizeof(key), "k%u", (unsigned)rng_below(&rng, 5000));
        }
        set_now(START + n * 10 * SECOND / 60000);
        note(sources[rng_below(&rng, 3)], key, 1, 100);
    }
    set_now(START + 10 * SECOND);
    const struct report *report = ask(hotkeys);
    bool seen[10] = { false };
    for (unsigned i = 1; i <= 10; i++) {
        char name[32];
        snprintf(name, sizeof(name), "requests:%u:key", i);
        unsigned hot = 10;
        ck_assert_int_eq(sscanf(told(report, name), "hot%u", &hot), 1);
        ck_assert_uint_lt(hot, 10);
        ck_assert(!seen[hot]);
        seen[hot] = true;
        snprintf(name, sizeof(name), "requests:%u:per_s", i);
        double rate = number(report, name);
        snprintf(name, sizeof(name), "requests:%u:error", i);
        double error = number(report, name) + 1; /* rounded */
        ck_assert_double_le(rate - error, counts[hot] / 10.0);
        ck_assert_double_ge(rate + error, counts[hot] / 10.0);
        snprintf(name, sizeof(name), "bytes:%u:key", i);
        ck_assert_int_eq(strncmp(told(report, name), "hot", 3), 0);
    }
    ck_assert_ptr_nonnull(told(report, "requests:32:key"));
    ck_assert_ptr_null(told(report, "requests:33:key"));
    for (unsigned i = 0; i < 3; i++) {
        hotkeys_source_close(hotkeys, &sources[i]);
    }
    hotkeys_destroy(hotkeys);
}
END_TEST

/* With one run in 16 counted, figures are those of all runs, within the error told; twice it, for
 * one time in twenty it may be more. */
START_TEST(what_is_sampled_stands_for_all)
{
    struct hotkeys *hotkeys = open_hotkeys(16);
    struct hotkeys_source *source = hotkeys_source_open(hotkeys);
    (void)ask(hotkeys);
    unsigned counted = 0;
    unsigned gap = 1;
    for (unsigned run = 0; run < 160000; run++) {
        if (--gap == 0) {
            gap = hotkeys_begin_run(source);
            ck_assert_uint_ge(gap, 1);
            ck_assert_uint_le(gap, 31);
            hotkeys_note(source, run % 4 == 0 ? "a" : "b", 1, 50);
            counted++;
        }
    }
    ck_assert_uint_ge(counted, 9500);
    ck_assert_uint_le(counted, 10500);
    set_now(START + 10 * SECOND);
    const struct report *report = ask(hotkeys);
    ck_assert_str_eq(told(report, "one_in"), "16");
    ck_assert_str_eq(told(report, "requests:1:key"), "b");
    double error = number(report, "requests:1:error");
    ck_assert_double_gt(error, 50);
    ck_assert_double_lt(error, 600);
    double off = number(report, "requests:1:per_s") - 12000;
    ck_assert_double_le(off < 0 ? -off : off, 2 * error);
    off = number(report, "bytes:2:per_s") - 200000;
    ck_assert_double_le(off < 0 ? -off : off, 2 * number(report, "bytes:2:error"));
    hotkeys_source_close(hotkeys, &source);
    hotkeys_destroy(hotkeys);
}
END_TEST

/* -- threads ----------------------------------------------------------------------------------- */

struct counting {
    struct hotkeys *hotkeys;
    _Atomic bool stop;
    _Atomic unsigned notes;
};

static void *
count_on(void *arg)
{
    struct counting *counting = arg;
    struct hotkeys_source *source = hotkeys_source_open(counting->hotkeys);
    struct rng rng;
    rng_init(&rng, 9);
    /* relaxed: a flag and a number, ordered with nothing */
    while (!atomic_load_explicit(&counting->stop, memory_order_relaxed)) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", (unsigned)rng_below(&rng, 2000));
        note(source, key, 1, 7);
        atomic_fetch_add_explicit(&counting->notes, 1,
                                  memory_order_relaxed); /* relaxed: as above */
    }
    hotkeys_source_close(counting->hotkeys, &source);
    return NULL;
}

START_TEST(threads_count_while_others_ask_and_turn_it_off)
{
    struct counting counting = { .hotkeys = open_hotkeys(1) };
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count_on, &counting), 0);
    }
    unsigned told_some = 0;
    for (unsigned round = 0; round < 200 || told_some == 0; round++) {
        ck_assert_uint_lt(round, 1000000);
        told_some += number(ask(counting.hotkeys), "sampled") > 0;
        set_now(read_now() + (round % 7 == 0 ? HOTKEYS_KEEP_US + 1 : SECOND));
        hotkeys_tick(counting.hotkeys);
    }
    atomic_store_explicit(&counting.stop, true, memory_order_relaxed); /* relaxed: as above */
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    ck_assert_uint_gt(atomic_load_explicit(&counting.notes, memory_order_relaxed), 0);
    hotkeys_destroy(counting.hotkeys);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("hotkeys");
    TCase *tcase = tcase_create("hotkeys");
    tcase_add_test(tcase, nothing_is_counted_until_somebody_asks);
    tcase_add_test(tcase, keys_come_in_the_order_of_requests_and_of_bytes);
    tcase_add_test(tcase, what_is_older_than_the_window_is_forgotten);
    tcase_add_test(tcase, counting_ends_when_nobody_asks_any_more);
    tcase_add_test(tcase, a_source_that_comes_later_counts_too);
    tcase_add_test(tcase, the_hot_ones_are_found_among_many);
    tcase_add_test(tcase, what_is_sampled_stands_for_all);
    tcase_add_test(tcase, threads_count_while_others_ask_and_turn_it_off);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
