/* A C host: every call, its answers and its errors, one cache and several. */
#include "larder.h"

#include "embed/cache.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LONG_VALUE (300u * 1024) /* bytes; longer than any chunk, so that it comes in pieces */
#define WAIT_S     10u           /* for a lifetime of a second to be over */

static void
results_have_texts(void)
{
    CHECK(strcmp(larder_result_text(LARDER_OK), "ok") == 0);
    CHECK(strcmp(larder_result_text(LARDER_MISS), "no such key") == 0);
#define HAS_TEXT(name, text) CHECK(strcmp(larder_result_text(name), text) == 0);
    LARDER_RESULTS(HAS_TEXT)
#undef HAS_TEXT
    CHECK(larder_result_text((enum larder_result)1000) != NULL);
    CHECK(larder_version()[0] >= '0' && larder_version()[0] <= '9');
}

static void
open_refuses_options_out_of_range(void)
{
    struct larder *cache = NULL;
    struct larder_options good = LARDER_OPTIONS_INIT;
    struct larder_options options = good;

    options.version = LARDER_OPTIONS_VERSION + 1;
    CHECK(larder_open(&options, &cache) == LARDER_BAD_OPTION);
    options = good;
    options.memory_limit = 1024 * 1024 - 1;
    CHECK(larder_open(&options, &cache) == LARDER_BAD_OPTION);
    options = good;
    options.memory_limit = UINT64_MAX;
    CHECK(larder_open(&options, &cache) == LARDER_BAD_OPTION);
    options = good;
    options.item_size_max = 1023;
    CHECK(larder_open(&options, &cache) == LARDER_BAD_OPTION);
    options = good;
    options.item_size_max = 1024u * 1024 * 1024 + 1;
    CHECK(larder_open(&options, &cache) == LARDER_BAD_OPTION);
    options = good;
    options.growth_factor = 1.0;
    CHECK(larder_open(&options, &cache) == LARDER_BAD_OPTION);
    options = good;
    options.growth_factor = -2.0;
    CHECK(larder_open(&options, &cache) == LARDER_BAD_OPTION);
    options = good;
    options.growth_factor = 17.0;
    CHECK(larder_open(&options, &cache) == LARDER_BAD_OPTION);
    CHECK(larder_open(&good, NULL) == LARDER_BAD_OPTION);
    CHECK(cache == NULL);

    memset(&options, 0xa5, sizeof(options));
    CHECK(larder_options_init(&options, LARDER_OPTIONS_VERSION + 1) == LARDER_BAD_OPTION);
    CHECK(larder_options_init(NULL, LARDER_OPTIONS_VERSION) == LARDER_BAD_OPTION);
    CHECK(larder_options_init(&options, LARDER_OPTIONS_VERSION) == LARDER_OK);
    CHECK(options.version == good.version && options.memory_limit == good.memory_limit &&
          options.item_size_max == good.item_size_max && options.growth_factor == 0.0 &&
          !options.evictions_disabled && !options.cas_disabled && options.gone == NULL);
    options.memory_limit = 1024 * 1024;
    options.item_size_max = 1024;
    options.growth_factor = 1.25;
    CHECK(larder_open(&options, &cache) == LARDER_OK);
    CHECK(set(cache, "a", "1") == LARDER_OK);
    CHECK(strcmp(get(cache, "a"), "1") == 0);
    CHECK(larder_close(&cache) == LARDER_OK);
    CHECK(cache == NULL);
    CHECK(larder_close(&cache) == LARDER_OK);
    CHECK(larder_close(NULL) == LARDER_OK);
}

static void
defaults_serve(void)
{
    struct larder *cache = NULL;
    CHECK(larder_open(NULL, &cache) == LARDER_OK);
    CHECK(strcmp(get(cache, "a"), "<miss>") == 0);
    CHECK(set(cache, "a", "first") == LARDER_OK);
    CHECK(strcmp(get(cache, "a"), "first") == 0);
    CHECK(set(cache, "a", "") == LARDER_OK);
    CHECK(strcmp(get(cache, "a"), "") == 0);
    CHECK(larder_set(cache, "a", 1, NULL, 0, 0) == LARDER_OK);
    CHECK(larder_get(cache, "a", 1, NULL, 0, NULL) == LARDER_OK);
    CHECK(larder_delete(cache, "a", 1) == LARDER_OK);
    CHECK(larder_delete(cache, "a", 1) == LARDER_MISS);
    CHECK(strcmp(get(cache, "a"), "<miss>") == 0);
    larder_close(&cache);
}

static void
keys_have_1_to_250_bytes(void)
{
    struct larder *cache = open_cache(8u << 20);
    char key[LARDER_KEY_LEN_MAX + 1];
    char buf[8];
    size_t len = 0;
    uint64_t number = 0;
    memset(key, 'k', sizeof(key));

    CHECK(larder_set(cache, key, LARDER_KEY_LEN_MAX, "v", 1, 0) == LARDER_OK);
    CHECK(larder_get(cache, key, LARDER_KEY_LEN_MAX, buf, sizeof(buf), &len) == LARDER_OK &&
          len == 1);
    CHECK(larder_set(cache, "\0\n ", 3, "w", 1, 0) == LARDER_OK);
    CHECK(larder_get(cache, "\0\n ", 3, buf, sizeof(buf), &len) == LARDER_OK && buf[0] == 'w');

    size_t bad[] = { 0, LARDER_KEY_LEN_MAX + 1, SIZE_MAX };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK(larder_set(cache, key, bad[i], "v", 1, 0) == LARDER_BAD_KEY);
        CHECK(larder_add(cache, key, bad[i], "v", 1, 0) == LARDER_BAD_KEY);
        CHECK(larder_cas(cache, key, bad[i], "v", 1, 0, 1) == LARDER_BAD_KEY);
        CHECK(larder_get(cache, key, bad[i], buf, sizeof(buf), &len) == LARDER_BAD_KEY);
        CHECK(larder_delete(cache, key, bad[i]) == LARDER_BAD_KEY);
        CHECK(larder_incr(cache, key, bad[i], 1, &number) == LARDER_BAD_KEY);
        CHECK(larder_decr(cache, key, bad[i], 1, &number) == LARDER_BAD_KEY);
        CHECK(larder_touch(cache, key, bad[i], 1) == LARDER_BAD_KEY);
    }
    CHECK(larder_get(cache, NULL, 1, buf, sizeof(buf), &len) == LARDER_BAD_KEY);
    CHECK(larder_get(cache, "a", 1, NULL, 1, &len) == LARDER_BAD_OPTION);
    CHECK(larder_set(cache, "a", 1, NULL, 1, 0) == LARDER_BAD_OPTION);
    larder_close(&cache);
}

static void
get_tells_the_room_needed(void)
{
    struct larder *cache = open_cache(8u << 20);
    char buf[5];
    size_t len = 0;
    CHECK(set(cache, "a", "12345") == LARDER_OK);
    CHECK(larder_get(cache, "a", 1, buf, 5, &len) == LARDER_OK && len == 5);
    len = 0;
    CHECK(larder_get(cache, "a", 1, buf, 4, &len) == LARDER_TOO_LARGE && len == 5);
    len = 0;
    CHECK(larder_get(cache, "a", 1, NULL, 0, &len) == LARDER_TOO_LARGE && len == 5);
    len = 77;
    CHECK(larder_get(cache, "b", 1, buf, 5, &len) == LARDER_MISS && len == 77);
    larder_close(&cache);
}

/* Lengths on both sides of what is copied, pinned, and cut into chunks. */
static void
values_of_all_lengths_come_back(void)
{
    struct larder *cache = open_cache(32u << 20);
    static const size_t lens[] = { 0,     1,     7,      8,          63,     64,    65,
                                   1000,  4096,  16383,  16384,      16385,  20000, 65535,
                                   65536, 65537, 100000, LONG_VALUE, 1000000 };
    uint8_t *value = malloc(1000000);
    uint8_t *got = malloc(1000000 + 1);
    CHECK(value != NULL && got != NULL);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
            char key[32];
            int key_len = snprintf(key, sizeof(key), "length-%zu", lens[i]);
            fill(value, lens[i], round * 100 + i);
            CHECK(larder_set(cache, key, (size_t)key_len, value, lens[i], 0) == LARDER_OK);
            got[lens[i]] = 0xa5;
            size_t len = 1;
            CHECK(larder_get(cache, key, (size_t)key_len, got, lens[i], &len) == LARDER_OK);
            CHECK(len == lens[i] && memcmp(got, value, len) == 0);
            CHECK(got[lens[i]] == 0xa5);
            if (lens[i] > 0) {
                CHECK(larder_get(cache, key, (size_t)key_len, got, lens[i] - 1, &len) ==
                      LARDER_TOO_LARGE);
                CHECK(len == lens[i]);
            }
        }
    }
    free(value);
    free(got);
    larder_close(&cache);
}

static void
value_too_large_takes_the_old_one_away(void)
{
    struct larder_options options = LARDER_OPTIONS_INIT;
    options.item_size_max = 2048;
    struct larder *cache = NULL;
    CHECK(larder_open(&options, &cache) == LARDER_OK);
    char value[4096] = { 0 };
    CHECK(set(cache, "a", "old") == LARDER_OK);
    CHECK(larder_add(cache, "a", 1, value, sizeof(value), 0) == LARDER_TOO_LARGE);
    CHECK(strcmp(get(cache, "a"), "old") == 0);
    CHECK(larder_set(cache, "a", 1, value, sizeof(value), 0) == LARDER_TOO_LARGE);
    CHECK(strcmp(get(cache, "a"), "<miss>") == 0);
    CHECK(larder_set(cache, "a", 1, value, SIZE_MAX / 2, 0) == LARDER_TOO_LARGE);
    larder_close(&cache);
}

static void
memory_runs_out_only_without_evictions(void)
{
    struct larder_options options = LARDER_OPTIONS_INIT;
    options.memory_limit = 2u << 20;
    options.evictions_disabled = 1;
    struct larder *cache = NULL;
    CHECK(larder_open(&options, &cache) == LARDER_OK);
    char value[1000] = { 0 };
    enum larder_result result = LARDER_OK;
    unsigned stored = 0;
    for (; stored < 10000 && result == LARDER_OK; stored++) {
        result = larder_set(cache, &stored, sizeof(stored), value, sizeof(value), 0);
    }
    CHECK(result == LARDER_NO_MEMORY);
    CHECK(stored > 500 && stored < 2200);
    unsigned first = 0;
    size_t len = 0;
    CHECK(larder_get(cache, &first, sizeof(first), value, sizeof(value), &len) == LARDER_OK);
    /* A store that fails leaves no old value behind. */
    CHECK(larder_set(cache, &first, sizeof(first), value, sizeof(value), 0) == LARDER_OK ||
          larder_get(cache, &first, sizeof(first), value, sizeof(value), &len) == LARDER_MISS);
    larder_close(&cache);

    cache = open_cache(2u << 20);
    for (unsigned i = 0; i < 10000; i++) {
        CHECK(larder_set(cache, &i, sizeof(i), value, sizeof(value), 0) == LARDER_OK);
    }
    struct larder_stats stats = { .version = LARDER_STATS_VERSION };
    CHECK(larder_stats(cache, &stats) == LARDER_OK);
    CHECK(stats.evictions > 5000);
    CHECK(stats.items > 500 && stats.items + stats.evictions <= 10000);
    CHECK(stats.memory_used <= stats.memory_limit);
    larder_close(&cache);
}

static void
batch_answers_each_key_by_itself(void)
{
    struct larder *cache = open_cache(32u << 20);
    enum { COUNT = 100 }; /* more than the engine takes at once */
    static uint8_t bufs[COUNT][64];
    static uint8_t long_value[LONG_VALUE], long_buf[LONG_VALUE];
    char keys[COUNT][16];
    struct larder_get gets[COUNT];
    memset(gets, 0, sizeof(gets));
    fill(long_value, sizeof(long_value), 3);
    for (unsigned i = 0; i < COUNT; i++) {
        gets[i].key = keys[i];
        gets[i].key_len = (size_t)snprintf(keys[i], sizeof(keys[i]), "key-%u", i);
        gets[i].buf = bufs[i];
        gets[i].buf_cap = sizeof(bufs[i]);
        if (i % 3 != 0) {
            CHECK(larder_set(cache, keys[i], gets[i].key_len, keys[i], gets[i].key_len, 0) ==
                  LARDER_OK);
        }
    }
    gets[10].key_len = 0;
    gets[11].buf_cap = 2;
    gets[13].key = "long";
    gets[13].key_len = 4;
    gets[13].buf = long_buf;
    gets[13].buf_cap = sizeof(long_buf);
    CHECK(larder_set(cache, "long", 4, long_value, sizeof(long_value), 0) == LARDER_OK);
    gets[14] = gets[13];
    gets[14].buf_cap = 100;

    larder_get_batch(cache, gets, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        if (i == 10) {
            CHECK(gets[i].result == LARDER_BAD_KEY);
        } else if (i == 11) {
            CHECK(gets[i].result == LARDER_TOO_LARGE && gets[i].value_len == 6);
        } else if (i == 13) {
            CHECK(gets[i].result == LARDER_OK && gets[i].value_len == sizeof(long_value));
            CHECK(memcmp(long_buf, long_value, sizeof(long_value)) == 0);
        } else if (i == 14) {
            CHECK(gets[i].result == LARDER_TOO_LARGE && gets[i].value_len == sizeof(long_value));
        } else if (i % 3 == 0) {
            CHECK(gets[i].result == LARDER_MISS);
        } else {
            CHECK(gets[i].result == LARDER_OK && gets[i].value_len == gets[i].key_len);
            CHECK(memcmp(bufs[i], keys[i], gets[i].key_len) == 0);
            CHECK(gets[i].cas != 0);
        }
    }
    for (unsigned i = 0; i < COUNT; i++) {
        gets[i].key_len = 0;
    }
    larder_get_batch(cache, gets, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK(gets[i].result == LARDER_BAD_KEY);
    }
    larder_get_batch(cache, NULL, 0);
    larder_close(&cache);
}

static void
add_and_cas_store_only_then(void)
{
    struct larder *cache = open_cache(8u << 20);
    char buf[16];
    size_t len = 0;
    uint64_t cas = 0, later = 0;
    CHECK(larder_add(cache, "a", 1, "1", 1, 0) == LARDER_OK);
    CHECK(larder_add(cache, "a", 1, "2", 1, 0) == LARDER_EXISTS);
    CHECK(strcmp(get(cache, "a"), "1") == 0);
    CHECK(larder_get_cas(cache, "a", 1, buf, sizeof(buf), &len, &cas) == LARDER_OK && cas != 0);
    CHECK(larder_cas(cache, "a", 1, "3", 1, 0, cas) == LARDER_OK);
    CHECK(larder_cas(cache, "a", 1, "4", 1, 0, cas) == LARDER_EXISTS);
    CHECK(strcmp(get(cache, "a"), "3") == 0);
    CHECK(larder_get_cas(cache, "a", 1, buf, sizeof(buf), &len, &later) == LARDER_OK &&
          later != cas);
    CHECK(larder_delete(cache, "a", 1) == LARDER_OK);
    CHECK(larder_cas(cache, "a", 1, "5", 1, 0, later) == LARDER_MISS);
    CHECK(larder_add(cache, "a", 1, "6", 1, 0) == LARDER_OK);
    larder_close(&cache);

    struct larder_options options = LARDER_OPTIONS_INIT;
    options.cas_disabled = 1;
    CHECK(larder_open(&options, &cache) == LARDER_OK);
    CHECK(set(cache, "a", "1") == LARDER_OK);
    CHECK(larder_get_cas(cache, "a", 1, buf, sizeof(buf), &len, &cas) == LARDER_OK && cas == 0);
    CHECK(larder_cas(cache, "a", 1, "2", 1, 0, 1) == LARDER_EXISTS);
    larder_close(&cache);
}

static void
numbers_count_up_and_down(void)
{
    struct larder *cache = open_cache(8u << 20);
    uint64_t value = 0;
    CHECK(larder_incr(cache, "n", 1, 1, &value) == LARDER_MISS);
    CHECK(set(cache, "n", "9") == LARDER_OK);
    CHECK(larder_incr(cache, "n", 1, 1, &value) == LARDER_OK && value == 10);
    CHECK(strcmp(get(cache, "n"), "10") == 0);
    CHECK(larder_decr(cache, "n", 1, 7, NULL) == LARDER_OK);
    CHECK(larder_decr(cache, "n", 1, 7, &value) == LARDER_OK && value == 0);
    CHECK(set(cache, "n", "18446744073709551615") == LARDER_OK);
    CHECK(larder_incr(cache, "n", 1, 2, &value) == LARDER_OK && value == 1);
    CHECK(set(cache, "n", "abc") == LARDER_OK);
    value = 7;
    CHECK(larder_incr(cache, "n", 1, 2, &value) == LARDER_NOT_NUMBER && value == 7);
    larder_close(&cache);
}

static void
flush_takes_everything_and_nothing_later(void)
{
    struct larder *cache = open_cache(8u << 20);
    CHECK(set(cache, "a", "1") == LARDER_OK);
    CHECK(set(cache, "b", "2") == LARDER_OK);
    larder_flush(cache);
    CHECK(set(cache, "b", "3") == LARDER_OK);
    CHECK(strcmp(get(cache, "a"), "<miss>") == 0);
    CHECK(strcmp(get(cache, "b"), "3") == 0);
    larder_close(&cache);
}

/* Waits for what happens, within bounds: a lifetime is counted in whole seconds of the clock. */
static void
items_live_for_their_time(void)
{
    struct larder *cache = open_cache(8u << 20);
    struct timespec start, now;
    CHECK(larder_set(cache, "short", 5, "1", 1, 1) == LARDER_OK);
    CHECK(larder_set(cache, "long", 4, "2", 1, 1000) == LARDER_OK);
    CHECK(larder_set(cache, "longest", 7, "4", 1, UINT32_MAX) == LARDER_OK);
    CHECK(larder_set(cache, "touched", 7, "3", 1, 1000) == LARDER_OK);
    CHECK(larder_touch(cache, "touched", 7, 1) == LARDER_OK);
    CHECK(larder_touch(cache, "missing", 7, 1) == LARDER_MISS);
    CHECK(clock_gettime(CLOCK_MONOTONIC, &start) == 0);
    do {
        CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    } while ((strcmp(get(cache, "short"), "<miss>") != 0 ||
              strcmp(get(cache, "touched"), "<miss>") != 0) &&
             now.tv_sec - start.tv_sec < (time_t)WAIT_S);
    CHECK(now.tv_sec - start.tv_sec <= 3);
    CHECK(strcmp(get(cache, "short"), "<miss>") == 0);
    CHECK(strcmp(get(cache, "touched"), "<miss>") == 0);
    CHECK(strcmp(get(cache, "long"), "2") == 0);
    CHECK(strcmp(get(cache, "longest"), "4") == 0);
    CHECK(larder_touch(cache, "long", 4, 0) == LARDER_OK);
    CHECK(strcmp(get(cache, "long"), "2") == 0);
    while (larder_maintain(cache)) {
    }
    larder_close(&cache);
}

static void
stats_count_what_was_done(void)
{
    struct larder *cache = open_cache(16u << 20);
    struct larder_stats stats = { .version = LARDER_STATS_VERSION + 1 };
    CHECK(larder_stats(cache, &stats) == LARDER_BAD_OPTION);
    stats.version = LARDER_STATS_VERSION;
    CHECK(larder_stats(cache, &stats) == LARDER_OK);
    CHECK(stats.items == 0 && stats.get_hits == 0 && stats.get_misses == 0 && stats.stores == 0);
    CHECK(stats.memory_limit == 16u << 20);
    for (unsigned i = 0; i < 100; i++) {
        CHECK(larder_set(cache, &i, sizeof(i), "0123456789", 10, 0) == LARDER_OK);
    }
    char buf[16];
    size_t len = 0;
    for (unsigned i = 0; i < 150; i++) {
        CHECK(larder_get(cache, &i, sizeof(i), buf, sizeof(buf), &len) ==
              (i < 100 ? LARDER_OK : LARDER_MISS));
    }
    for (unsigned i = 0; i < 10; i++) {
        CHECK(larder_delete(cache, &i, sizeof(i)) == LARDER_OK);
    }
    CHECK(larder_stats(cache, &stats) == LARDER_OK);
    CHECK(stats.items == 90);
    CHECK(stats.get_hits == 100);
    CHECK(stats.get_misses == 50);
    CHECK(stats.stores == 100);
    CHECK(stats.evictions == 0);
    CHECK(stats.bytes >= 90 * 14 && stats.bytes < 90 * 100);
    CHECK(stats.index_bytes > 0 && stats.memory_used >= stats.index_bytes);
    CHECK(stats.memory_used <= stats.memory_limit);
    larder_close(&cache);
}

static void
caches_of_one_process_are_apart(void)
{
    enum { COUNT = 5 };
    struct larder *caches[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        caches[i] = open_cache((uint64_t)(i + 2) << 20);
        char value[2] = { (char)('0' + i), '\0' };
        CHECK(set(caches[i], "a", value) == LARDER_OK);
        CHECK(set(caches[i], value, "own") == LARDER_OK);
    }
    larder_close(&caches[2]);
    larder_flush(caches[3]);
    for (unsigned i = 0; i < COUNT; i++) {
        if (i == 2) {
            continue;
        }
        char value[2] = { (char)('0' + i), '\0' };
        CHECK(strcmp(get(caches[i], "a"), i == 3 ? "<miss>" : value) == 0);
        CHECK(strcmp(get(caches[i], "2"), "<miss>") == 0);
        struct larder_stats stats = { .version = LARDER_STATS_VERSION };
        CHECK(larder_stats(caches[i], &stats) == LARDER_OK);
        CHECK(stats.memory_limit == (uint64_t)(i + 2) << 20 && stats.stores == 2);
        larder_close(&caches[i]);
    }
    /* Addresses come again; what was kept for the closed ones must not. */
    for (unsigned i = 0; i < 50; i++) {
        struct larder *cache = open_cache(1u << 20);
        CHECK(strcmp(get(cache, "a"), "<miss>") == 0);
        CHECK(set(cache, "a", "1") == LARDER_OK);
        larder_close(&cache);
    }
}

int
main(void)
{
    RUN(results_have_texts);
    RUN(open_refuses_options_out_of_range);
    RUN(defaults_serve);
    RUN(keys_have_1_to_250_bytes);
    RUN(get_tells_the_room_needed);
    RUN(values_of_all_lengths_come_back);
    RUN(value_too_large_takes_the_old_one_away);
    RUN(memory_runs_out_only_without_evictions);
    RUN(batch_answers_each_key_by_itself);
    RUN(add_and_cas_store_only_then);
    RUN(numbers_count_up_and_down);
    RUN(flush_takes_everything_and_nothing_later);
    RUN(items_live_for_their_time);
    RUN(stats_count_what_was_done);
    RUN(caches_of_one_process_are_apart);
    return tests_end();
}
