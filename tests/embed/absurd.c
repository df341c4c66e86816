/* A C host that makes every mistake: NULL, nothing, and more than there can be, for every call.
 * Each is answered, and the cache is as it was. */
#include "larder.h"

#include "embed/cache.h"

#include <stdint.h>
#include <string.h>

static char error[LARDER_ERROR_CAP];
static struct larder *cache;
static uint64_t number;
static size_t len;
static char buf[64];
static char long_key[LARDER_KEY_LEN_MAX + 1];

/* Each call that has a key: what it answers to this cache and key. */
static int
all_answer(struct larder *to, const void *key, size_t key_len, enum larder_result wanted)
{
    struct larder_view view;
    struct larder_get get;
    struct larder_fetch fetch;
    struct larder_store store;
    memset(&get, 0, sizeof(get));
    memset(&fetch, 0, sizeof(fetch));
    memset(&store, 0, sizeof(store));
    fetch.version = LARDER_FETCH_VERSION;
    store.version = LARDER_STORE_VERSION;
    get.key = fetch.key = store.key = key;
    get.key_len = fetch.key_len = store.key_len = key_len;
    larder_get_batch(to, &get, 1);
    const enum larder_result answers[] = {
        larder_get(to, key, key_len, buf, sizeof(buf), &len),
        larder_get_cas(to, key, key_len, buf, sizeof(buf), &len, &number),
        larder_get_and_touch(to, key, key_len, 1, buf, sizeof(buf), &len),
        get.result,
        larder_get_view(to, key, key_len, &view),
        larder_fetch(to, &fetch),
        larder_set(to, key, key_len, "v", 1, 0),
        larder_add(to, key, key_len, "v", 1, 0),
        larder_replace(to, key, key_len, "v", 1, 0),
        larder_append(to, key, key_len, "v", 1),
        larder_prepend(to, key, key_len, "v", 1),
        larder_cas(to, key, key_len, "v", 1, 0, 1),
        larder_store(to, &store),
        larder_incr(to, key, key_len, 1, &number),
        larder_decr(to, key, key_len, 1, &number),
        larder_incr_or_add(to, key, key_len, 1, 1, 0, &number),
        larder_decr_or_add(to, key, key_len, 1, 1, 0, &number),
        larder_touch(to, key, key_len, 1),
        larder_delete(to, key, key_len),
        larder_delete_cas(to, key, key_len, 1),
        larder_mark_stale(to, key, key_len, 1),
    };
    int same = 1;
    for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        if (answers[i] != wanted) {
            printf("call %u: %s, not %s\n", i, larder_result_text(answers[i]),
                   larder_result_text(wanted));
            same = 0;
        }
    }
    return same;
}

static void
no_cache(void)
{
    struct larder_view view;
    struct larder_stats stats = { .version = LARDER_STATS_VERSION };
    struct larder_item items[LARDER_SCAN_ITEMS];
    struct larder_server *server = NULL;
    struct larder_hook *hook = NULL;
    struct larder_piece piece;
    memset(&view, 0, sizeof(view));
    CHECK(all_answer(NULL, "key", 3, LARDER_BAD_OPTION));
    CHECK(larder_view_pieces(NULL, &view, 0, &piece, 1) == 0);
    larder_release(NULL, &view);
    larder_flush(NULL);
    CHECK(larder_flush_prefix(NULL, "a", 1) == LARDER_BAD_OPTION);
    CHECK(larder_stats(NULL, &stats) == LARDER_BAD_OPTION);
    CHECK(larder_stats_visit(NULL, NULL, NULL) == LARDER_BAD_OPTION);
    CHECK(larder_stat(NULL, "curr_items", &number) == LARDER_BAD_OPTION);
    CHECK(larder_scan(NULL, &number, items, LARDER_SCAN_ITEMS, &len) == LARDER_BAD_OPTION);
    CHECK(larder_set_memory_limit(NULL, 64u << 20) == LARDER_BAD_OPTION);
    CHECK(larder_maintain(NULL) == 0);
    CHECK(larder_save(NULL, "/tmp/x", NULL, error, sizeof(error)) == LARDER_BAD_OPTION);
    CHECK(larder_load(NULL, "/tmp/x", NULL, error, sizeof(error)) == LARDER_BAD_OPTION);
    CHECK(larder_serve(NULL, NULL, &server, error, sizeof(error)) == LARDER_BAD_OPTION);
    CHECK(larder_hook_mysql(NULL, "/tmp/x", NULL, NULL, &hook, error, sizeof(error)) ==
          LARDER_BAD_OPTION);
    CHECK(larder_close(NULL) == LARDER_OK);
    CHECK(server == NULL && hook == NULL);
}

static void
no_server_and_no_hook(void)
{
    CHECK(larder_server_port(NULL) == 0);
    CHECK(larder_server_reload_certificates(NULL, error, sizeof(error)) == LARDER_BAD_OPTION);
    larder_server_stop(NULL, 1);
    CHECK(strcmp(larder_hook_state(NULL), "stopped") == 0);
    CHECK(larder_hook_wait(NULL, "0-1-1", 0) == LARDER_BAD_OPTION);
    larder_hook_stats_visit(NULL, NULL, NULL);
    larder_hook_pause(NULL);
    larder_hook_resume(NULL);
    larder_hook_stop(NULL);
}

static void
bad_keys(void)
{
    CHECK(all_answer(cache, NULL, 3, LARDER_BAD_KEY));
    CHECK(all_answer(cache, "key", 0, LARDER_BAD_KEY));
    CHECK(all_answer(cache, long_key, sizeof(long_key), LARDER_BAD_KEY));
    CHECK(all_answer(cache, long_key, SIZE_MAX, LARDER_BAD_KEY));
    CHECK(larder_flush_prefix(cache, NULL, 1) == LARDER_BAD_KEY);
    CHECK(larder_flush_prefix(cache, long_key, sizeof(long_key)) == LARDER_BAD_KEY);
}

static void
no_place_for_answers(void)
{
    CHECK(larder_get(cache, "key", 3, NULL, 1, &len) == LARDER_BAD_OPTION);
    CHECK(larder_get(cache, "key", 3, NULL, 0, NULL) == LARDER_TOO_LARGE);
    CHECK(larder_get(cache, "key", 3, buf, sizeof(buf), NULL) == LARDER_OK);
    CHECK(larder_get_cas(cache, "key", 3, buf, sizeof(buf), NULL, NULL) == LARDER_OK);
    CHECK(larder_get_and_touch(cache, "key", 3, UINT32_MAX, buf, sizeof(buf), NULL) == LARDER_OK);
    CHECK(larder_get_and_touch(cache, "key", 3, 0, NULL, 1, NULL) == LARDER_BAD_OPTION);
    CHECK(larder_get_view(cache, "key", 3, NULL) == LARDER_BAD_OPTION);
    CHECK(larder_fetch(cache, NULL) == LARDER_BAD_OPTION);
    CHECK(larder_store(cache, NULL) == LARDER_BAD_OPTION);
    CHECK(larder_stats(cache, NULL) == LARDER_BAD_OPTION);
    CHECK(larder_stats_visit(cache, NULL, NULL) == LARDER_BAD_OPTION);
    CHECK(larder_stat(cache, NULL, &number) == LARDER_BAD_OPTION);
    CHECK(larder_stat(cache, "curr_items", NULL) == LARDER_BAD_OPTION);
    CHECK(larder_stat(cache, "", &number) == LARDER_MISS);
    CHECK(larder_incr(cache, "n", 1, UINT64_MAX, NULL) == LARDER_OK);
    larder_get_batch(cache, NULL, 7);
    larder_get_batch(cache, NULL, 0);
    CHECK(larder_open(NULL, NULL) == LARDER_BAD_OPTION);
    CHECK(larder_options_init(NULL, LARDER_OPTIONS_VERSION) == LARDER_BAD_OPTION);
    CHECK(larder_serve_options_init(NULL, LARDER_SERVE_OPTIONS_VERSION) == LARDER_BAD_OPTION);
    CHECK(larder_serve(cache, NULL, NULL, error, sizeof(error)) == LARDER_BAD_OPTION);
    CHECK(larder_hook_mysql(cache, "/tmp/x", NULL, NULL, NULL, NULL, 0) == LARDER_BAD_OPTION);
    CHECK(larder_save(cache, "/tmp/x", NULL, NULL, 1) == LARDER_BAD_OPTION);
    CHECK(larder_load(cache, "/tmp/x", NULL, NULL, 1) == LARDER_BAD_OPTION);
    CHECK(strcmp(larder_result_text((enum larder_result) - 1), "unknown result") == 0);
}

static void
bad_paths(void)
{
    static char path[70000];
    memset(path, 'x', sizeof(path) - 1);
    path[0] = '/';
    const char *paths[] = { NULL, "", path };
    for (unsigned i = 0; i < 3; i++) {
        CHECK(larder_save(cache, paths[i], &number, error, sizeof(error)) == LARDER_BAD_OPTION);
        CHECK(error[0] != '\0');
        CHECK(larder_load(cache, paths[i], &number, error, sizeof(error)) == LARDER_BAD_OPTION);
        CHECK(error[0] != '\0');
        struct larder_hook *hook = NULL;
        enum larder_result result =
            larder_hook_mysql(cache, paths[i], NULL, NULL, &hook, error, sizeof(error));
        CHECK(result == LARDER_BAD_OPTION || result == LARDER_NOT_BUILT);
    }
    CHECK(larder_save(cache, "/", &number, error, sizeof(error)) != LARDER_OK);
    CHECK(larder_load(cache, "/", &number, error, sizeof(error)) != LARDER_OK);
    CHECK(larder_save(cache, "/proc/self/mem/x", &number, error, 1) == LARDER_SYSTEM);
    CHECK(error[0] == '\0');
}

static void
bad_values_and_lengths(void)
{
    struct larder_store store;
    memset(&store, 0, sizeof(store));
    store.version = LARDER_STORE_VERSION;
    store.key = "key";
    store.key_len = 3;
    CHECK(larder_set(cache, "key", 3, NULL, 1, 0) == LARDER_BAD_OPTION);
    CHECK(larder_add(cache, "new", 3, NULL, SIZE_MAX, 0) == LARDER_BAD_OPTION);
    CHECK(larder_append(cache, "key", 3, NULL, 1) == LARDER_BAD_OPTION);
    CHECK(larder_cas(cache, "key", 3, NULL, 1, 0, 1) == LARDER_BAD_OPTION);
    /* Lengths that no memory has: not a byte is read. */
    const size_t lengths[] = { SIZE_MAX, SIZE_MAX - 300, SIZE_MAX / 2, (size_t)UINT32_MAX,
                               (size_t)UINT32_MAX - 40 };
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        CHECK(larder_add(cache, "new", 3, "v", lengths[i], 0) == LARDER_TOO_LARGE);
        CHECK(larder_append(cache, "key", 3, "v", lengths[i]) == LARDER_TOO_LARGE);
        CHECK(larder_prepend(cache, "key", 3, "v", lengths[i]) == LARDER_TOO_LARGE);
        store.value = "v";
        store.value_len = lengths[i];
        store.mode = LARDER_STORE_REPLACE;
        CHECK(larder_store(cache, &store) == LARDER_TOO_LARGE);
    }
    CHECK(has(cache, "key", "value"));
    CHECK(larder_set(cache, "other", 5, "v", SIZE_MAX, 0) == LARDER_TOO_LARGE);
    store.value_len = 1;
    store.mode = (enum larder_store_mode)77;
    CHECK(larder_store(cache, &store) == LARDER_BAD_OPTION);
    store.mode = LARDER_STORE_ADD;
    store.cas = 1;
    CHECK(larder_store(cache, &store) == LARDER_BAD_OPTION);
    store.version = LARDER_STORE_VERSION + 1;
    CHECK(larder_store(cache, &store) == LARDER_BAD_OPTION);
    store.version = 0;
    CHECK(larder_store(cache, &store) == LARDER_BAD_OPTION);

    struct larder_fetch fetch;
    memset(&fetch, 0xff, sizeof(fetch));
    CHECK(larder_fetch(cache, &fetch) == LARDER_BAD_OPTION);
    fetch.version = LARDER_FETCH_VERSION;
    fetch.key = "key";
    fetch.key_len = 3;
    fetch.buf = NULL;
    CHECK(larder_fetch(cache, &fetch) == LARDER_BAD_OPTION);
    fetch.buf = buf; /* and everything else is asked for, for ever */
    fetch.buf_cap = sizeof(buf);
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && fetch.value_len == 5);
    CHECK(larder_delete_cas(cache, "key", 3, UINT64_MAX) == LARDER_EXISTS);
    CHECK(larder_delete_cas(cache, "key", 3, 0) == LARDER_EXISTS);
    CHECK(larder_cas(cache, "key", 3, "v", 1, 0, UINT64_MAX) == LARDER_EXISTS);
    CHECK(larder_mark_stale(cache, "key", 3, UINT32_MAX) == LARDER_OK);
    CHECK(set(cache, "key", "value") == LARDER_OK);
}

static void
bad_numbers(void)
{
    struct larder_item items[LARDER_SCAN_ITEMS];
    struct larder_view view;
    struct larder_piece piece;
    CHECK(larder_set_memory_limit(cache, 0) == LARDER_BAD_OPTION);
    CHECK(larder_set_memory_limit(cache, UINT64_MAX) == LARDER_BAD_OPTION);
    CHECK(larder_set_memory_limit(cache, (1u << 20) - 1) == LARDER_BAD_OPTION);
    number = 0;
    CHECK(larder_scan(cache, NULL, items, LARDER_SCAN_ITEMS, &len) == LARDER_BAD_OPTION);
    CHECK(larder_scan(cache, &number, NULL, LARDER_SCAN_ITEMS, &len) == LARDER_BAD_OPTION);
    CHECK(larder_scan(cache, &number, items, LARDER_SCAN_ITEMS, NULL) == LARDER_BAD_OPTION);
    CHECK(larder_scan(cache, &number, items, LARDER_SCAN_ITEMS - 1, &len) == LARDER_BAD_OPTION);
    CHECK(larder_scan(cache, &number, items, 0, &len) == LARDER_BAD_OPTION);
    number = UINT64_MAX; /* a cursor that no call has given */
    for (unsigned i = 0; i < 1000 && number != 0; i++) {
        CHECK(larder_scan(cache, &number, items, LARDER_SCAN_ITEMS, &len) == LARDER_OK);
    }
    CHECK(number == 0);
    CHECK(larder_get_view(cache, "key", 3, &view) == LARDER_OK);
    CHECK(larder_view_pieces(cache, &view, SIZE_MAX, &piece, 1) == 0);
    CHECK(larder_view_pieces(cache, &view, 0, &piece, 0) == 0);
    CHECK(larder_view_pieces(cache, &view, 0, NULL, 1) == 0);
    CHECK(larder_view_pieces(cache, NULL, 0, &piece, 1) == 0);
    CHECK(larder_view_pieces(cache, &view, 4, &piece, SIZE_MAX) == 1 && piece.len == 1);
    larder_release(cache, &view);
    larder_release(cache, &view); /* which is empty now */
    larder_release(cache, NULL);
    struct larder_stats stats = { .version = UINT32_MAX };
    CHECK(larder_stats(cache, &stats) == LARDER_BAD_OPTION);
}

int
main(void)
{
    memset(long_key, 'k', sizeof(long_key));
    cache = open_cache(8u << 20);
    CHECK(set(cache, "key", "value") == LARDER_OK && set(cache, "n", "1") == LARDER_OK);
    RUN(no_cache);
    RUN(no_server_and_no_hook);
    RUN(bad_keys);
    RUN(no_place_for_answers);
    RUN(bad_paths);
    RUN(bad_values_and_lengths);
    RUN(bad_numbers);
    test_good = has(cache, "key", "value") && larder_close(&cache) == LARDER_OK;
    tests_passed += (unsigned)test_good;
    tests_failed += (unsigned)!test_good;
    return tests_end();
}
