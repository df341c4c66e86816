/* A host in strict C99, and as c11.c in strict C11: the header's structures and initialisers
 * without any extension. */
#include "larder.h"

#include "embed/calls.h"

#include <string.h>

static struct larder *cache;

static void
a_cache_is_opened_with_either_initialiser(void)
{
    struct larder_options options = LARDER_OPTIONS_INIT;
    CHECK(larder_open(&options, &cache) == LARDER_OK);
    CHECK(larder_close(&cache) == LARDER_OK);
    CHECK(larder_options_init(&options, LARDER_OPTIONS_VERSION) == LARDER_OK);
    options.memory_limit = 4u << 20;
    CHECK(larder_open(&options, &cache) == LARDER_OK);
}

static void
values_go_in_and_out(void)
{
    char buf[8];
    struct larder_store store = {
        .version = LARDER_STORE_VERSION, .key = "a", .key_len = 1, .value = "12", .value_len = 2
    };
    struct larder_fetch fetch = { .version = LARDER_FETCH_VERSION,
                                  .key = "a",
                                  .key_len = 1,
                                  .buf = buf,
                                  .buf_cap = sizeof(buf) };
    struct larder_get one = { .key = "a", .key_len = 1, .buf = buf, .buf_cap = sizeof(buf) };
    struct larder_view view;
    struct larder_item items[LARDER_SCAN_ITEMS];
    struct larder_stats stats = { .version = LARDER_STATS_VERSION };
    uint64_t cursor = 0;
    size_t count = 0, total = 0;
    CHECK(larder_store(cache, &store) == LARDER_OK);
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && fetch.cas == store.cas_new);
    larder_get_batch(cache, &one, 1);
    CHECK(one.result == LARDER_OK && one.value_len == 2 && memcmp(buf, "12", 2) == 0);
    CHECK(larder_get_view(cache, "a", 1, &view) == LARDER_OK && view.value_len == 2);
    larder_release(cache, &view);
    do {
        CHECK(larder_scan(cache, &cursor, items, LARDER_SCAN_ITEMS, &count) == LARDER_OK);
        total += count;
    } while (cursor != 0);
    CHECK(total == 1 && strcmp((const char *)items[0].key, "a") == 0);
    CHECK(larder_stats(cache, &stats) == LARDER_OK && stats.items == 1);
}

static void
it_is_served_and_closed(void)
{
    struct larder_serve_options options = LARDER_SERVE_OPTIONS_INIT;
    struct larder_server *server = NULL;
    options.threads = 1;
    CHECK(larder_serve(cache, &options, &server, NULL, 0) == LARDER_OK);
    CHECK(larder_server_port(server) > 0);
    larder_server_stop(&server, 0);
    CHECK(larder_close(&cache) == LARDER_OK);
}

int
main(void)
{
    RUN(a_cache_is_opened_with_either_initialiser);
    RUN(values_go_in_and_out);
    RUN(it_is_served_and_closed);
    return tests_end();
}
