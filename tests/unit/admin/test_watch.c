#include "admin/watch.h"

#include "engine/cache.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUT_CAP (1024u * 1024)

static uint64_t now_us;
static unsigned drains_asked;
static unsigned wakes;
static char out[OUT_CAP];

static uint64_t
fake_now(void)
{
    return now_us++;
}

static void
ask_drain(void *arg)
{
    (void)arg;
    drains_asked++;
}

static void
count_wake(void *arg)
{
    (*(unsigned *)arg)++;
}

static struct watch *
create(size_t source_size, size_t watcher_size)
{
    now_us = UINT64_C(5000000);
    drains_asked = 0;
    wakes = 0;
    struct watch_options options = { source_size, watcher_size, fake_now };
    struct watch *watch = watch_create(&options);
    ck_assert_ptr_nonnull(watch);
    watch_set_wake(watch, ask_drain, NULL);
    return watch;
}

static struct watcher *
open_watcher(struct watch *watch, uint32_t classes)
{
    struct watcher *watcher;
    ck_assert_int_eq(watch_open(watch, classes, count_wake, &wakes, &watcher), WATCH_OK);
    return watcher;
}

static void
note_get(struct watch_source *source, const char *key)
{
    struct watch_event event = { .type = WATCH_ITEM_GET, .text_len = (uint8_t)strlen(key) };
    watch_note(source, &event, key);
}

static void
note_delete(struct watch_source *source, const char *key)
{
    struct watch_event event = { .type = WATCH_DELETED, .text_len = (uint8_t)strlen(key) };
    watch_note(source, &event, key);
}

/** All that a watcher has. */
static const char *
taken(struct watcher *watcher)
{
    size_t len = 0;
    size_t part;
    while ((part = watcher_take(watcher, out + len, 100)) > 0) {
        len += part;
        ck_assert_uint_lt(len, OUT_CAP - 100);
    }
    out[len] = '\0';
    return out;
}

static uint32_t
classes_now(const struct watch *watch)
{
    return atomic_load_explicit(watch_classes(watch), memory_order_relaxed);
}

START_TEST(classes_are_told_to_writers_while_somebody_watches_them)
{
    struct watch *watch = create(4096, 65536);
    struct cache_observer *observer = watch_observer(watch);
    ck_assert_uint_eq(classes_now(watch), 0);
    ck_assert_int_eq(watch_drain(watch), WATCH_IDLE);
    struct watcher *first = open_watcher(watch, WATCH_FETCHERS | WATCH_EVICTIONS);
    struct watcher *second = open_watcher(watch, WATCH_FETCHERS | WATCH_SYSEVENTS | WATCH_SILENT);
    ck_assert_uint_eq(drains_asked, 2);
    ck_assert_int_eq(watch_drain(watch), WATCH_QUIET);
    ck_assert_uint_eq(classes_now(watch), WATCH_FETCHERS | WATCH_EVICTIONS | WATCH_SYSEVENTS);
    ck_assert_uint_eq(atomic_load_explicit(&observer->wants, memory_order_relaxed),
                      CACHE_WANTS_EVICTED | CACHE_WANTS_MOVES | CACHE_WANTS_SWEEPS);
    watch_close(watch, &first);
    ck_assert_ptr_null(first);
    ck_assert_uint_eq(classes_now(watch), WATCH_FETCHERS | WATCH_SYSEVENTS);
    watch_close(watch, &second);
    ck_assert_uint_eq(classes_now(watch), 0);
    ck_assert_uint_eq(atomic_load_explicit(&observer->wants, memory_order_relaxed), 0);
    ck_assert_int_eq(watch_drain(watch), WATCH_IDLE);
    watch_destroy(watch);
}
END_TEST

START_TEST(each_watcher_gets_its_classes)
{
    struct watch *watch = create(4096, 65536);
    struct watch_source *source = watch_source_open(watch);
    struct watcher *gets = open_watcher(watch, WATCH_FETCHERS);
    struct watcher *both = open_watcher(watch, WATCH_FETCHERS | WATCH_DELETIONS);
    note_get(source, "a");
    note_delete(source, "b");
    ck_assert_int_eq(watch_drain(watch), WATCH_BUSY);
    ck_assert_uint_eq(wakes, 2);
    ck_assert_str_eq(taken(gets), "ts=5.000000 gid=1 type=item_get key=a status=not_found clsid=0 "
                                  "cfd=0 size=0\n");
    ck_assert_str_eq(taken(both),
                     "ts=5.000000 gid=1 type=item_get key=a status=not_found clsid=0 cfd=0 size=0\n"
                     "ts=5.000001 gid=2 type=deleted key=b cmd=set clsid=0 size=0\n");
    struct watch_counters count = watch_count(watch);
    ck_assert_uint_eq(count.written, 2);
    ck_assert_uint_eq(count.sent, 3);
    ck_assert_uint_eq(count.watchers, 2);
    ck_assert_uint_eq(count.dropped, 0);
    ck_assert_uint_eq(count.skipped, 0);
    watch_close(watch, &gets);
    watch_close(watch, &both);
    watch_source_close(watch, &source);
    ck_assert_uint_eq(watch_count(watch).written, 2);
    ck_assert_uint_eq(watch_count(watch).watchers, 0);
    watch_destroy(watch);
}
END_TEST

START_TEST(what_was_before_a_watcher_is_not_for_it)
{
    struct watch *watch = create(4096, 65536);
    struct watch_source *source = watch_source_open(watch);
    struct watcher *first = open_watcher(watch, WATCH_FETCHERS);
    note_get(source, "early");
    struct watcher *second = open_watcher(watch, WATCH_FETCHERS);
    note_get(source, "late");
    (void)watch_drain(watch);
    ck_assert_ptr_nonnull(strstr(taken(first), "early"));
    ck_assert_ptr_null(strstr(taken(second), "early"));
    watch_close(watch, &first);
    watch_close(watch, &second);
    /* And what comes while nobody watches is nobody's. */
    note_get(source, "nobody");
    first = open_watcher(watch, WATCH_FETCHERS);
    (void)watch_drain(watch);
    ck_assert_str_eq(taken(first), "");
    watch_close(watch, &first);
    watch_source_close(watch, &source);
    watch_destroy(watch);
}
END_TEST

START_TEST(events_of_several_writers_come_in_order)
{
    struct watch *watch = create(65536, 65536);
    struct watch_source *sources[3];
    struct watcher *watcher = open_watcher(watch, WATCH_FETCHERS | WATCH_SYSEVENTS);
    for (unsigned i = 0; i < 3; i++) {
        sources[i] = watch_source_open(watch);
    }
    for (unsigned i = 0; i < 300; i++) {
        if (i % 4 == 3) {
            struct watch_event event = { .type = WATCH_SLAB_MOVE };
            watch_note_shared(watch, &event, "");
        } else {
            note_get(sources[(i * 7) % 3], "k");
        }
    }
    (void)watch_drain(watch);
    const char *at = taken(watcher);
    for (unsigned i = 1; i <= 300; i++) {
        char expected[32];
        snprintf(expected, sizeof(expected), " gid=%u type=", i);
        const char *gid = strstr(at, " gid=");
        ck_assert_ptr_nonnull(gid);
        ck_assert(memcmp(gid, expected, strlen(expected)) == 0);
        at = gid + 1;
    }
    ck_assert_ptr_null(strstr(at, " gid="));
    watch_close(watch, &watcher);
    for (unsigned i = 0; i < 3; i++) {
        watch_source_close(watch, &sources[i]);
    }
    watch_destroy(watch);
}
END_TEST

START_TEST(a_full_ring_drops_and_counts)
{
    struct watch *watch = create(0, 65536); /* raised to the least */
    struct watch_source *source = watch_source_open(watch);
    struct watcher *watcher = open_watcher(watch, WATCH_FETCHERS);
    drains_asked = 0;
    for (unsigned i = 0; i < 1000; i++) {
        note_get(source, "key");
    }
    ck_assert_uint_eq(drains_asked, 0); /* the thread does not rest: it comes by itself */
    struct watch_counters count = watch_count(watch);
    uint64_t fit = WATCH_SOURCE_SIZE_MIN / (sizeof(struct watch_event) + 3);
    ck_assert_uint_eq(count.written, fit);
    ck_assert_uint_eq(count.dropped, 1000 - fit);
    (void)watch_drain(watch);
    watch_rest(watch);
    for (unsigned i = 0; i < 1000; i++) {
        note_get(source, "key");
    }
    ck_assert_uint_eq(drains_asked, 1); /* half full, once */
    (void)watch_drain(watch);
    ck_assert_uint_eq(watch_count(watch).sent, 2 * fit);
    watch_close(watch, &watcher);
    watch_source_close(watch, &source);
    watch_destroy(watch);
}
END_TEST

START_TEST(a_slow_watcher_is_told_what_it_missed)
{
    struct watch *watch = create(65536, 0); /* raised to the least */
    struct watch_source *source = watch_source_open(watch);
    struct watcher *watcher = open_watcher(watch, WATCH_FETCHERS);
    for (unsigned i = 0; i < 500; i++) {
        note_get(source, "key");
    }
    (void)watch_drain(watch);
    ck_assert_uint_eq(wakes, 1);
    struct watch_counters count = watch_count(watch);
    ck_assert_uint_eq(count.sent + count.skipped, 500);
    ck_assert_uint_gt(count.skipped, 0);
    ck_assert_uint_gt(count.sent, 30);
    /* A little room is not enough: or each second line would tell of skipped ones. */
    char some[200];
    ck_assert_uint_eq(watcher_take(watcher, some, sizeof(some)), sizeof(some));
    note_get(source, "more");
    (void)watch_drain(watch);
    ck_assert_uint_eq(watch_count(watch).skipped, count.skipped + 1);
    ck_assert_ptr_null(strstr(taken(watcher), "skipped"));
    /* With room it is told at once, also when nothing happens any more. */
    (void)watch_drain(watch);
    char expected[64];
    snprintf(expected, sizeof(expected), "skipped=%" PRIu64 "\n", count.skipped + 1);
    ck_assert_str_eq(taken(watcher), expected);
    note_get(source, "last");
    (void)watch_drain(watch);
    ck_assert_ptr_nonnull(strstr(taken(watcher), "key=last"));
    watch_close(watch, &watcher);
    watch_source_close(watch, &source);
    watch_destroy(watch);
}
END_TEST

START_TEST(a_watcher_is_woken_once_until_it_has_taken_all)
{
    struct watch *watch = create(65536, 65536);
    struct watch_source *source = watch_source_open(watch);
    struct watcher *watcher = open_watcher(watch, WATCH_FETCHERS);
    (void)watch_drain(watch);
    ck_assert_uint_eq(wakes, 0);
    for (unsigned i = 0; i < 3; i++) {
        note_get(source, "key");
        (void)watch_drain(watch);
        ck_assert_uint_eq(wakes, 1);
    }
    char part[10];
    ck_assert_uint_eq(watcher_take(watcher, part, sizeof(part)), 10);
    note_get(source, "key");
    (void)watch_drain(watch);
    ck_assert_uint_eq(wakes, 1);
    (void)taken(watcher);
    note_get(source, "key");
    (void)watch_drain(watch);
    ck_assert_uint_eq(wakes, 2);
    watch_close(watch, &watcher);
    watch_source_close(watch, &source);
    watch_destroy(watch);
}
END_TEST

START_TEST(so_many_watchers_and_no_more)
{
    struct watch *watch = create(4096, 4096);
    struct watcher *watchers[WATCHERS_MAX];
    struct watcher *refused;
    for (unsigned i = 0; i < WATCHERS_MAX; i++) {
        watchers[i] = open_watcher(watch, WATCH_FETCHERS);
    }
    ck_assert_int_eq(watch_open(watch, WATCH_FETCHERS, count_wake, &wakes, &refused),
                     WATCH_TOO_MANY);
    ck_assert_ptr_null(refused);
    watch_close(watch, &watchers[3]);
    watchers[3] = open_watcher(watch, WATCH_FETCHERS);
    for (unsigned i = 0; i < WATCHERS_MAX; i++) {
        watch_close(watch, &watchers[i]);
    }
    watch_destroy(watch);
}
END_TEST

START_TEST(evictions_of_a_cache_are_told)
{
    struct watch *watch = create(1 << 20, 1 << 20);
    struct cache_options options = { .memory_limit = 1 << 20,
                                     .item_size_max = 4096,
                                     .hash_seed = 1,
                                     .now = 1700000000,
                                     .observer = watch_observer(watch) };
    struct cache *cache = cache_create(&options);
    ck_assert_ptr_nonnull(cache);
    struct cache_thread *thread = cache_thread_open(cache);
    struct watcher *watcher = NULL;
    uint64_t before = 0;
    char value[900] = { 0 };
    for (unsigned i = 0; i < 3000; i++) {
        char key[16];
        int len = snprintf(key, sizeof(key), "key%u", i);
        struct cache_store store;
        cache_enter(thread);
        ck_assert_int_eq(cache_store_begin(cache, thread, key, (uint32_t)len, sizeof(value), 0,
                                           1700000100, &store),
                         CACHE_OK);
        ck_assert_int_eq(cache_store_write(cache, thread, &store, value, sizeof(value)), CACHE_OK);
        ck_assert_int_eq(cache_store_commit(cache, thread, &store, CACHE_SET, 0, NULL), CACHE_OK);
        cache_leave(thread);
        if (i == 2000) {
            before = watch_count(watch).written;
            watcher = open_watcher(watch, WATCH_EVICTIONS);
        }
    }
    ck_assert_uint_eq(before, 0); /* there were evictions, and nobody was told */
    (void)watch_drain(watch);
    const char *lines = taken(watcher);
    ck_assert_ptr_nonnull(strstr(lines, " type=eviction key=key"));
    ck_assert_ptr_nonnull(strstr(lines, " fetch=no ttl=100 la=0 clsid="));
    ck_assert_ptr_nonnull(strstr(lines, " size=900\n"));
    uint64_t told = watch_count(watch).written;
    ck_assert_uint_gt(told, 900);
    ck_assert_uint_lt(told, 1100);
    watch_close(watch, &watcher);
    cache_thread_close(cache, thread);
    cache_destroy(cache);
    watch_destroy(watch);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("watch");
    TCase *tcase = tcase_create("watch");
    tcase_add_test(tcase, classes_are_told_to_writers_while_somebody_watches_them);
    tcase_add_test(tcase, each_watcher_gets_its_classes);
    tcase_add_test(tcase, what_was_before_a_watcher_is_not_for_it);
    tcase_add_test(tcase, events_of_several_writers_come_in_order);
    tcase_add_test(tcase, a_full_ring_drops_and_counts);
    tcase_add_test(tcase, a_slow_watcher_is_told_what_it_missed);
    tcase_add_test(tcase, a_watcher_is_woken_once_until_it_has_taken_all);
    tcase_add_test(tcase, so_many_watchers_and_no_more);
    tcase_add_test(tcase, evictions_of_a_cache_are_told);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
