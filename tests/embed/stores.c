/* A C host: all ways to store and change an item, and who is told to make it anew. */
#include "larder.h"

#include "embed/cache.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LONG_VALUE (200u * 1024) /* bytes; longer than any chunk */

static struct larder_store
wish(const char *key, const char *value)
{
    struct larder_store store;
    memset(&store, 0, sizeof(store));
    store.version = LARDER_STORE_VERSION;
    store.key = key;
    store.key_len = strlen(key);
    store.value = value;
    store.value_len = strlen(value);
    return store;
}

static char fetched[64];

static struct larder_fetch
ask(const char *key)
{
    struct larder_fetch fetch;
    memset(&fetch, 0, sizeof(fetch));
    fetch.version = LARDER_FETCH_VERSION;
    fetch.key = key;
    fetch.key_len = strlen(key);
    fetch.buf = fetched;
    fetch.buf_cap = sizeof(fetched);
    return fetch;
}

static void
replace_append_prepend_need_an_item(void)
{
    struct larder *cache = open_cache(8u << 20);
    CHECK(larder_replace(cache, "a", 1, "1", 1, 0) == LARDER_MISS);
    CHECK(larder_append(cache, "a", 1, "1", 1) == LARDER_MISS);
    CHECK(larder_prepend(cache, "a", 1, "1", 1) == LARDER_MISS);
    CHECK(has(cache, "a", "<miss>"));
    CHECK(set(cache, "a", "b") == LARDER_OK);
    CHECK(larder_append(cache, "a", 1, "cd", 2) == LARDER_OK);
    CHECK(larder_prepend(cache, "a", 1, "a", 1) == LARDER_OK);
    CHECK(has(cache, "a", "abcd"));
    CHECK(larder_append(cache, "a", 1, NULL, 0) == LARDER_OK);
    CHECK(has(cache, "a", "abcd"));
    CHECK(larder_replace(cache, "a", 1, "new", 3, 0) == LARDER_OK);
    CHECK(has(cache, "a", "new"));
    CHECK(larder_replace(cache, "", 0, "new", 3, 0) == LARDER_BAD_KEY);
    CHECK(larder_append(cache, "", 0, "new", 3) == LARDER_BAD_KEY);
    CHECK(larder_prepend(cache, "", 0, "new", 3) == LARDER_BAD_KEY);
    CHECK(larder_replace(cache, "a", 1, NULL, 3, 0) == LARDER_BAD_OPTION);
    larder_close(&cache);
}

static void
long_values_grow_at_both_ends(void)
{
    struct larder *cache = open_cache(32u << 20);
    uint8_t *value = malloc(LONG_VALUE + 2);
    uint8_t *got = malloc(LONG_VALUE + 2);
    CHECK(value != NULL && got != NULL);
    fill(value, LONG_VALUE + 2, 7);
    size_t len = 0;
    CHECK(larder_set(cache, "long", 4, value + 1, LONG_VALUE, 0) == LARDER_OK);
    CHECK(larder_append(cache, "long", 4, value + 1 + LONG_VALUE, 1) == LARDER_OK);
    CHECK(larder_prepend(cache, "long", 4, value, 1) == LARDER_OK);
    CHECK(larder_get(cache, "long", 4, got, LONG_VALUE + 2, &len) == LARDER_OK);
    CHECK(len == LONG_VALUE + 2 && memcmp(got, value, len) == 0);
    larder_close(&cache);

    struct larder_options options = LARDER_OPTIONS_INIT;
    options.item_size_max = 2048;
    cache = open_with(&options);
    CHECK(larder_set(cache, "a", 1, value, 1500, 0) == LARDER_OK);
    CHECK(larder_append(cache, "a", 1, value, 1500) == LARDER_TOO_LARGE);
    CHECK(larder_replace(cache, "a", 1, value, 3000, 0) == LARDER_TOO_LARGE);
    CHECK(larder_get(cache, "a", 1, got, LONG_VALUE, &len) == LARDER_OK && len == 1500);
    free(value);
    free(got);
    larder_close(&cache);
}

static void
store_takes_every_mode(void)
{
    struct larder *cache = open_cache(8u << 20);
    struct larder_store store = wish("a", "1");
    CHECK(larder_store(cache, &store) == LARDER_OK && store.cas_new != 0);
    CHECK(store.value_len_new == 1);
    uint64_t first = store.cas_new;

    store = wish("a", "2");
    store.mode = LARDER_STORE_ADD;
    CHECK(larder_store(cache, &store) == LARDER_EXISTS);
    store.cas = 5;
    CHECK(larder_store(cache, &store) == LARDER_BAD_OPTION);
    store = wish("b", "2");
    store.mode = LARDER_STORE_ADD;
    CHECK(larder_store(cache, &store) == LARDER_OK);

    store = wish("c", "3");
    store.mode = LARDER_STORE_REPLACE;
    CHECK(larder_store(cache, &store) == LARDER_MISS);
    store.key = "a";
    store.cas = first + 1000;
    CHECK(larder_store(cache, &store) == LARDER_EXISTS);
    store.cas = first;
    CHECK(larder_store(cache, &store) == LARDER_OK && store.cas_new != first);
    CHECK(has(cache, "a", "3"));

    store = wish("a", "4");
    store.mode = LARDER_STORE_APPEND;
    store.cas = first;
    CHECK(larder_store(cache, &store) == LARDER_EXISTS);
    store.cas = 0;
    CHECK(larder_store(cache, &store) == LARDER_OK && store.value_len_new == 2);
    store.mode = LARDER_STORE_PREPEND;
    CHECK(larder_store(cache, &store) == LARDER_OK && store.value_len_new == 3);
    CHECK(has(cache, "a", "434"));
    store.key = "d";
    CHECK(larder_store(cache, &store) == LARDER_MISS);
    store.vivify = 1;
    CHECK(larder_store(cache, &store) == LARDER_OK);
    CHECK(has(cache, "d", "4"));

    store = wish("a", "5");
    store.version = LARDER_STORE_VERSION + 1;
    CHECK(larder_store(cache, &store) == LARDER_BAD_OPTION);
    store = wish("a", "5");
    store.mode = (enum larder_store_mode)77;
    CHECK(larder_store(cache, &store) == LARDER_BAD_OPTION);
    CHECK(larder_store(cache, NULL) == LARDER_BAD_OPTION);
    store = wish("", "5");
    CHECK(larder_store(cache, &store) == LARDER_BAD_KEY);
    CHECK(has(cache, "a", "434"));
    larder_close(&cache);
}

static void
flags_come_back(void)
{
    struct larder *cache = open_cache(8u << 20);
    struct larder_store store = wish("a", "1");
    store.flags = 0xdeadbeefu;
    CHECK(larder_store(cache, &store) == LARDER_OK);
    CHECK(larder_append(cache, "a", 1, "2", 1) == LARDER_OK);
    struct larder_fetch fetch = ask("a");
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && fetch.flags == 0xdeadbeefu);
    char buf[4];
    struct larder_get one;
    memset(&one, 0, sizeof(one));
    one.key = "a";
    one.key_len = 1;
    one.buf = buf;
    one.buf_cap = sizeof(buf);
    larder_get_batch(cache, &one, 1);
    CHECK(one.result == LARDER_OK && one.flags == 0xdeadbeefu);
    CHECK(set(cache, "a", "1") == LARDER_OK);
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && fetch.flags == 0);
    larder_close(&cache);
}

static void
fetch_tells_what_is_known(void)
{
    struct larder *cache = open_cache(8u << 20);
    struct larder_fetch fetch = ask("a");
    CHECK(larder_fetch(cache, &fetch) == LARDER_MISS && !fetch.won && fetch.cas == 0);
    CHECK(larder_set(cache, "a", 1, "12345", 5, 100) == LARDER_OK);
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK);
    CHECK(fetch.value_len == 5 && memcmp(fetched, "12345", 5) == 0);
    CHECK(fetch.ttl_s > 90 && fetch.ttl_s <= 100 && fetch.idle_s < 10);
    CHECK(!fetch.fetched && !fetch.stale && !fetch.won && !fetch.taken && fetch.cas != 0);
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && fetch.fetched);
    fetch.buf_cap = 4;
    CHECK(larder_fetch(cache, &fetch) == LARDER_TOO_LARGE && fetch.value_len == 5);
    fetch.touch = 1;
    fetch.touch_ttl_s = 1000;
    CHECK(larder_fetch(cache, &fetch) == LARDER_TOO_LARGE && fetch.ttl_s <= 100);
    fetch.touch_ttl_s = 0;
    CHECK(larder_fetch(cache, &fetch) == LARDER_TOO_LARGE && fetch.ttl_s > 900);
    fetch.touch = 0;
    CHECK(larder_fetch(cache, &fetch) == LARDER_TOO_LARGE && fetch.ttl_s == -1);

    CHECK(set(cache, "quiet", "1") == LARDER_OK);
    fetch = ask("quiet");
    fetch.quiet = 1;
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && !fetch.fetched);
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && !fetch.fetched);

    fetch.version = LARDER_FETCH_VERSION + 1;
    CHECK(larder_fetch(cache, &fetch) == LARDER_BAD_OPTION);
    CHECK(larder_fetch(cache, NULL) == LARDER_BAD_OPTION);
    fetch = ask("");
    CHECK(larder_fetch(cache, &fetch) == LARDER_BAD_KEY);
    fetch = ask("a");
    fetch.buf = NULL;
    CHECK(larder_fetch(cache, &fetch) == LARDER_BAD_OPTION);
    larder_close(&cache);
}

static void
get_and_touch_gives_a_new_time(void)
{
    struct larder *cache = open_cache(8u << 20);
    char buf[8];
    size_t len = 0;
    CHECK(larder_get_and_touch(cache, "a", 1, 50, buf, sizeof(buf), &len) == LARDER_MISS);
    CHECK(set(cache, "a", "123") == LARDER_OK);
    CHECK(larder_get_and_touch(cache, "a", 1, 50, buf, sizeof(buf), &len) == LARDER_OK);
    CHECK(len == 3 && memcmp(buf, "123", 3) == 0);
    struct larder_fetch fetch = ask("a");
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && fetch.ttl_s > 40 && fetch.ttl_s <= 50);
    CHECK(larder_get_and_touch(cache, "a", 1, 0, buf, 2, &len) == LARDER_TOO_LARGE && len == 3);
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && fetch.ttl_s == -1);
    CHECK(larder_get_and_touch(cache, "", 0, 0, buf, 2, &len) == LARDER_BAD_KEY);
    uint64_t hits = 0;
    CHECK(larder_stat(cache, "touch_hits", &hits) == LARDER_OK && hits == 2);
    larder_close(&cache);
}

/* Of those who miss one makes the item. */
static void
one_wins_a_missing_item(void)
{
    struct larder *cache = open_cache(8u << 20);
    struct larder_fetch first = ask("a");
    first.vivify = 1;
    first.vivify_ttl_s = 30;
    CHECK(larder_fetch(cache, &first) == LARDER_MISS && first.won && first.cas != 0);
    struct larder_fetch second = first;
    CHECK(larder_fetch(cache, &second) == LARDER_OK);
    CHECK(!second.won && second.taken && second.value_len == 0 && second.ttl_s <= 30);

    struct larder_store store = wish("a", "made");
    store.cas = first.cas;
    CHECK(larder_store(cache, &store) == LARDER_OK);
    CHECK(larder_fetch(cache, &second) == LARDER_OK);
    CHECK(!second.won && !second.taken && second.value_len == 4);
    larder_close(&cache);

    struct larder_options options = LARDER_OPTIONS_INIT;
    options.memory_limit = 1u << 20;
    options.evictions_disabled = 1;
    cache = open_with(&options);
    char value[1000] = { 0 };
    for (unsigned i = 0; larder_set(cache, &i, sizeof(i), value, sizeof(value), 0) == LARDER_OK;
         i++) {
    }
    char key[16];
    enum larder_result result = LARDER_MISS;
    for (unsigned i = 0; i < 100000 && result == LARDER_MISS; i++) {
        int len = snprintf(key, sizeof(key), "v%u", i);
        first = ask(key);
        first.key_len = (size_t)len;
        first.vivify = 1;
        result = larder_fetch(cache, &first);
    }
    CHECK(result == LARDER_NO_MEMORY);
    larder_close(&cache);
}

static void
one_wins_an_item_that_ends_soon_or_is_stale(void)
{
    struct larder *cache = open_cache(8u << 20);
    CHECK(larder_set(cache, "a", 1, "1", 1, 20) == LARDER_OK);
    struct larder_fetch fetch = ask("a");
    fetch.recache_s = 5;
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && !fetch.won && !fetch.taken);
    fetch.recache_s = 60;
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && fetch.won && !fetch.taken);
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && !fetch.won && fetch.taken);

    CHECK(set(cache, "a", "2") == LARDER_OK);
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && !fetch.won && !fetch.taken); /* no end */
    uint64_t before = fetch.cas;
    CHECK(larder_mark_stale(cache, "a", 1, 30) == LARDER_OK);
    CHECK(larder_mark_stale(cache, "missing", 7, 30) == LARDER_MISS);
    CHECK(larder_mark_stale(cache, "", 0, 30) == LARDER_BAD_KEY);
    CHECK(has(cache, "a", "2"));
    fetch.recache_s = 0;
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && fetch.stale && fetch.won);
    CHECK(fetch.ttl_s > 20 && fetch.ttl_s <= 30 && fetch.cas > before);
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && fetch.stale && !fetch.won && fetch.taken);

    /* Who read before it was marked comes late: stored, and still stale. */
    struct larder_store store = wish("a", "late");
    store.cas = before;
    CHECK(larder_store(cache, &store) == LARDER_EXISTS);
    store.late_is_stale = 1;
    CHECK(larder_store(cache, &store) == LARDER_OK);
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && fetch.stale && fetch.value_len == 4);
    store = wish("a", "new");
    store.cas = fetch.cas;
    CHECK(larder_store(cache, &store) == LARDER_OK);
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && !fetch.stale && fetch.ttl_s == -1);

    CHECK(larder_set(cache, "b", 1, "1", 1, 50) == LARDER_OK);
    CHECK(larder_mark_stale(cache, "b", 1, 0) == LARDER_OK);
    fetch = ask("b");
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && fetch.stale && fetch.ttl_s > 40);
    larder_close(&cache);
}

static void
numbers_begin_where_asked(void)
{
    struct larder *cache = open_cache(8u << 20);
    uint64_t value = 0;
    CHECK(larder_incr_or_add(cache, "n", 1, 5, 100, 60, &value) == LARDER_OK && value == 100);
    CHECK(larder_incr_or_add(cache, "n", 1, 5, 100, 60, &value) == LARDER_OK && value == 105);
    CHECK(has(cache, "n", "105"));
    struct larder_fetch fetch = ask("n");
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && fetch.ttl_s > 50 && fetch.ttl_s <= 60);
    CHECK(larder_decr_or_add(cache, "m", 1, 5, UINT64_MAX, 0, &value) == LARDER_OK &&
          value == UINT64_MAX);
    CHECK(has(cache, "m", "18446744073709551615"));
    CHECK(larder_decr_or_add(cache, "m", 1, 5, 0, 0, &value) == LARDER_OK &&
          value == UINT64_MAX - 5);
    CHECK(set(cache, "t", "text") == LARDER_OK);
    CHECK(larder_incr_or_add(cache, "t", 1, 5, 0, 0, &value) == LARDER_NOT_NUMBER);
    CHECK(larder_incr_or_add(cache, "", 0, 5, 0, 0, &value) == LARDER_BAD_KEY);
    larder_close(&cache);
}

static void
delete_cas_takes_one_state_only(void)
{
    struct larder *cache = open_cache(8u << 20);
    struct larder_store store = wish("a", "1");
    CHECK(larder_store(cache, &store) == LARDER_OK);
    CHECK(larder_delete_cas(cache, "a", 1, store.cas_new + 1) == LARDER_EXISTS);
    CHECK(larder_delete_cas(cache, "a", 1, 0) == LARDER_EXISTS);
    CHECK(larder_delete_cas(cache, "a", 1, store.cas_new) == LARDER_OK);
    CHECK(larder_delete_cas(cache, "a", 1, store.cas_new) == LARDER_MISS);
    CHECK(larder_delete_cas(cache, "", 0, 1) == LARDER_BAD_KEY);
    larder_close(&cache);
    struct larder_options options = LARDER_OPTIONS_INIT;
    options.cas_disabled = 1;
    cache = open_with(&options);
    CHECK(set(cache, "a", "1") == LARDER_OK);
    CHECK(larder_delete_cas(cache, "a", 1, 1) == LARDER_EXISTS);
    CHECK(larder_flush_prefix(cache, "a", 1) == LARDER_BAD_OPTION);
    larder_close(&cache);
}

static void
flush_prefix_takes_those_keys(void)
{
    struct larder *cache = open_cache(8u << 20);
    CHECK(set(cache, "user:1", "1") == LARDER_OK);
    CHECK(set(cache, "user:2", "2") == LARDER_OK);
    CHECK(set(cache, "order:1", "3") == LARDER_OK);
    CHECK(larder_flush_prefix(cache, "user:", 5) == LARDER_OK);
    CHECK(has(cache, "user:1", "<miss>") && has(cache, "user:2", "<miss>"));
    CHECK(has(cache, "order:1", "3"));
    CHECK(set(cache, "user:1", "4") == LARDER_OK);
    CHECK(has(cache, "user:1", "4"));
    CHECK(larder_flush_prefix(cache, NULL, 0) == LARDER_OK);
    CHECK(has(cache, "order:1", "<miss>"));
    char prefix[LARDER_KEY_LEN_MAX + 1] = { 0 };
    CHECK(larder_flush_prefix(cache, prefix, sizeof(prefix)) == LARDER_BAD_KEY);
    CHECK(larder_flush_prefix(cache, NULL, 1) == LARDER_BAD_KEY);
    larder_close(&cache);
}

int
main(void)
{
    RUN(replace_append_prepend_need_an_item);
    RUN(long_values_grow_at_both_ends);
    RUN(store_takes_every_mode);
    RUN(flags_come_back);
    RUN(fetch_tells_what_is_known);
    RUN(get_and_touch_gives_a_new_time);
    RUN(one_wins_a_missing_item);
    RUN(one_wins_an_item_that_ends_soon_or_is_stale);
    RUN(numbers_begin_where_asked);
    RUN(delete_cas_takes_one_state_only);
    RUN(flush_prefix_takes_those_keys);
    return tests_end();
}
