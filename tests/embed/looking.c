/* A C host: figures by name, the walk over all items, what goes without being asked to, and the
 * limit at run time. */
#include "larder.h"

#include "embed/cache.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAIT_S 10u /* for a lifetime of a second to be over */

/* -- figures ----------------------------------------------------------------------------------- */

struct seen {
    unsigned names;
    uint64_t curr_items;
    uint64_t get_hits;
    struct larder *cache;
    unsigned differ;
};

static void
see(void *arg, const char *name, uint64_t value)
{
    struct seen *seen = arg;
    uint64_t alone = 0;
    seen->names++;
    if (strcmp(name, "curr_items") == 0) {
        seen->curr_items = value;
    }
    if (strcmp(name, "get_hits") == 0) {
        seen->get_hits = value;
    }
    /* The library may be called from here. */
    seen->differ += larder_stat(seen->cache, name, &alone) != LARDER_OK || alone != value;
}

static void
figures_have_names(void)
{
    struct larder *cache = open_cache(16u << 20);
    for (unsigned i = 0; i < 100; i++) {
        CHECK(larder_set(cache, &i, sizeof(i), "0123456789", 10, 0) == LARDER_OK);
    }
    CHECK(has(cache, "none", "<miss>"));
    unsigned key = 5;
    size_t len = 0;
    CHECK(larder_get(cache, &key, sizeof(key), NULL, 0, &len) == LARDER_TOO_LARGE);
    struct seen seen = { .cache = cache };
    CHECK(larder_stats_visit(cache, see, &seen) == LARDER_OK);
    CHECK(seen.names >= 30 && seen.differ == 0);
    CHECK(seen.curr_items == 100 && seen.get_hits == 1);
    uint64_t value = 7;
    CHECK(larder_stat(cache, "get_misses", &value) == LARDER_OK && value == 1);
    CHECK(larder_stat(cache, "limit_maxbytes", &value) == LARDER_OK && value == 16u << 20);
    CHECK(larder_stat(cache, "no_such_figure", &value) == LARDER_MISS);
    CHECK(larder_stat(cache, NULL, &value) == LARDER_BAD_OPTION);
    CHECK(larder_stat(cache, "bytes", NULL) == LARDER_BAD_OPTION);
    larder_close(&cache);
}

/* -- the walk ---------------------------------------------------------------------------------- */

#define KEYS 20000u

static void
scan_tells_each_item_once(void)
{
    struct larder *cache = open_cache(64u << 20);
    unsigned char *told = calloc(KEYS, 1);
    struct larder_item *items = malloc(100 * sizeof(*items));
    CHECK(told != NULL && items != NULL);
    for (unsigned i = 0; i < KEYS; i++) {
        char key[16];
        int len = snprintf(key, sizeof(key), "key-%u", i);
        CHECK(larder_set(cache, key, (size_t)len, key, (size_t)len, i % 2 ? 1000 : 0) == LARDER_OK);
    }
    uint64_t cursor = 0;
    size_t count = 0;
    unsigned wrong = 0, calls = 0, total = 0;
    do {
        CHECK(larder_scan(cache, &cursor, items, 100, &count) == LARDER_OK && count <= 100);
        for (size_t i = 0; i < count; i++) {
            unsigned number = (unsigned)strtoul((const char *)items[i].key + 4, NULL, 10);
            wrong += number >= KEYS || items[i].key_len != strlen((const char *)items[i].key) ||
                     items[i].value_len != items[i].key_len || told[number]++ > 0;
            wrong +=
                number % 2 ? items[i].ttl_s <= 900 || items[i].ttl_s > 1000 : items[i].ttl_s != -1;
            wrong += items[i].size < 2u * items[i].key_len || items[i].cas == 0 ||
                     items[i].fetched || items[i].flags != 0 || items[i].idle_s > 60;
        }
        total += (unsigned)count;
        calls++;
        /* Stores in the middle of the walk make the index grow; no key is missed by that. */
        for (unsigned i = 0; i < 20; i++) {
            char key[24];
            int len = snprintf(key, sizeof(key), "key-%u", calls * 20 + i);
            CHECK(calls > KEYS / 20 - 2 ||
                  larder_set(cache, key, (size_t)len, key, (size_t)len,
                             (calls * 20 + i) % 2 ? 1000 : 0) == LARDER_OK);
        }
    } while (cursor != 0);
    CHECK(wrong == 0);
    CHECK(total == KEYS);
    CHECK(larder_scan(cache, &cursor, items, LARDER_SCAN_ITEMS - 1, &count) == LARDER_BAD_OPTION);
    CHECK(larder_scan(cache, NULL, items, 100, &count) == LARDER_BAD_OPTION);
    CHECK(larder_scan(cache, &cursor, NULL, 100, &count) == LARDER_BAD_OPTION);
    larder_flush(cache);
    unsigned left = 0;
    do {
        CHECK(larder_scan(cache, &cursor, items, LARDER_SCAN_ITEMS, &count) == LARDER_OK);
        left += (unsigned)count;
    } while (cursor != 0);
    CHECK(left == 0);
    free(items);
    free(told);
    larder_close(&cache);
}

/* -- what goes --------------------------------------------------------------------------------- */

struct gone {
    unsigned by_reason[3];
    unsigned wrong;
    char last_key[LARDER_KEY_LEN_MAX + 1];
    size_t last_value_len;
};

static void
note_gone(void *arg, const struct larder_gone *item)
{
    struct gone *gone = arg;
    if (item->reason > LARDER_GONE_FLUSHED || item->key_len < 1 ||
        item->key_len > LARDER_KEY_LEN_MAX) {
        gone->wrong++;
        return;
    }
    gone->by_reason[item->reason]++;
    memcpy(gone->last_key, item->key, item->key_len);
    gone->last_key[item->key_len] = '\0';
    gone->last_value_len = item->value_len;
}

static void
host_is_told_of_evictions(void)
{
    struct gone gone = { .wrong = 0 };
    struct larder_options options = LARDER_OPTIONS_INIT;
    options.memory_limit = 2u << 20;
    options.gone = note_gone;
    options.gone_arg = &gone;
    struct larder *cache = open_with(&options);
    char value[1000] = { 0 };
    for (unsigned i = 0; i < 5000; i++) {
        CHECK(larder_set(cache, &i, sizeof(i), value, sizeof(value), 0) == LARDER_OK);
    }
    struct larder_stats stats = { .version = LARDER_STATS_VERSION };
    CHECK(larder_stats(cache, &stats) == LARDER_OK);
    CHECK(gone.wrong == 0 && gone.by_reason[LARDER_GONE_EVICTED] == stats.evictions);
    CHECK(stats.evictions > 2000 && gone.last_value_len == sizeof(value));
    CHECK(stats.items + gone.by_reason[LARDER_GONE_EVICTED] == 5000);
    CHECK(gone.by_reason[LARDER_GONE_EXPIRED] == 0 && gone.by_reason[LARDER_GONE_FLUSHED] == 0);

    unsigned evicted = gone.by_reason[LARDER_GONE_EVICTED];
    unsigned last = 4999;
    CHECK(larder_delete(cache, &last, sizeof(last)) == LARDER_OK);
    CHECK(gone.by_reason[LARDER_GONE_EVICTED] == evicted && gone.by_reason[1] == 0);
    larder_close(&cache);
    CHECK(gone.by_reason[LARDER_GONE_EVICTED] == evicted);
}

static void
host_is_told_of_the_dead(void)
{
    struct gone gone = { .wrong = 0 };
    struct larder_options options = LARDER_OPTIONS_INIT;
    options.memory_limit = 16u << 20;
    options.gone = note_gone;
    options.gone_arg = &gone;
    struct larder *cache = open_with(&options);
    char key[24];
    CHECK(set(cache, "flushed", "123") == LARDER_OK);
    larder_flush(cache);
    CHECK(gone.by_reason[LARDER_GONE_FLUSHED] == 0); /* until its memory comes back */
    CHECK(has(cache, "flushed", "<miss>"));
    CHECK(gone.by_reason[LARDER_GONE_FLUSHED] == 1 && strcmp(gone.last_key, "flushed") == 0);
    CHECK(gone.last_value_len == 3);
    for (unsigned i = 0; i < 500; i++) {
        int len = snprintf(key, sizeof(key), "user:%u", i);
        CHECK(larder_set(cache, key, (size_t)len, "1", 1, i < 300 ? 1 : 0) == LARDER_OK);
    }
    struct timespec start, now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &start) == 0);
    do {
        (void)larder_maintain(cache);
        CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    } while (gone.by_reason[LARDER_GONE_EXPIRED] < 300 &&
             now.tv_sec - start.tv_sec < (time_t)WAIT_S);
    CHECK(gone.by_reason[LARDER_GONE_EXPIRED] == 300);
    CHECK(larder_flush_prefix(cache, "user:", 5) == LARDER_OK);
    do {
        (void)larder_maintain(cache);
        CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    } while (gone.by_reason[LARDER_GONE_FLUSHED] < 201 &&
             now.tv_sec - start.tv_sec < 2 * (time_t)WAIT_S);
    CHECK(gone.by_reason[LARDER_GONE_FLUSHED] == 201);
    CHECK(gone.wrong == 0 && gone.by_reason[LARDER_GONE_EVICTED] == 0);
    larder_close(&cache);
}

/* -- the limit --------------------------------------------------------------------------------- */

static void
limit_changes_while_the_cache_is_open(void)
{
    struct larder *cache = open_cache(16u << 20);
    char value[4000] = { 0 };
    struct larder_stats stats = { .version = LARDER_STATS_VERSION };
    for (unsigned i = 0; i < 10000; i++) {
        CHECK(larder_set(cache, &i, sizeof(i), value, sizeof(value), 0) == LARDER_OK);
    }
    CHECK(larder_set_memory_limit(cache, 1000) == LARDER_BAD_OPTION);
    CHECK(larder_set_memory_limit(cache, UINT64_MAX) == LARDER_BAD_OPTION);
    CHECK(larder_set_memory_limit(cache, 8u << 20) == LARDER_OK);
    time_t end = time(NULL) + (time_t)WAIT_S;
    do {
        (void)larder_maintain(cache);
        CHECK(larder_stats(cache, &stats) == LARDER_OK);
    } while (stats.memory_used > stats.memory_limit && time(NULL) < end);
    CHECK(stats.memory_limit == 8u << 20 && stats.memory_used <= stats.memory_limit);
    uint64_t few = stats.items;
    CHECK(larder_set_memory_limit(cache, 64u << 20) == LARDER_OK);
    for (unsigned i = 0; i < 10000; i++) {
        CHECK(larder_set(cache, &i, sizeof(i), value, sizeof(value), 0) == LARDER_OK);
    }
    CHECK(larder_stats(cache, &stats) == LARDER_OK);
    CHECK(stats.items == 10000 && few < 2100);
    larder_close(&cache);
}

int
main(void)
{
    RUN(figures_have_names);
    RUN(scan_tells_each_item_once);
    RUN(host_is_told_of_evictions);
    RUN(host_is_told_of_the_dead);
    RUN(limit_changes_while_the_cache_is_open);
    return tests_end();
}
