/* A C host with caches of different options: each does as it is told, also when it was compiled
 * with an older version of the structure. */
#include "larder.h"

#include "embed/cache.h"
#include "embed/resident.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Long loops of one thread say nothing to ThreadSanitizer. */
#if defined(__SANITIZE_THREAD__)
#define STORES_MAX 2000u
#define GETS       1u
#else
#define STORES_MAX 30000u
#define GETS       60000u
#endif

/* struct larder_options as version 1 had it. */
struct options_1 {
    uint32_t version;
    uint32_t item_size_max;
    uint64_t memory_limit;
    double growth_factor;
    int evictions_disabled;
    int cas_disabled;
    larder_gone_fn *gone;
    void *gone_arg;
};

static void
version_1_is_what_a_newer_one_begins_with(void)
{
    /* Behind the structure lies what is not the library's. */
    struct {
        struct options_1 options;
        unsigned char behind[sizeof(struct larder_options)];
    } host;
    memset(&host, 0xa5, sizeof(host));
    struct larder_options *seen = (struct larder_options *)(void *)&host.options;
    CHECK(offsetof(struct larder_options, evict_for) == sizeof(struct options_1));
    CHECK(offsetof(struct larder_options, gone_arg) == offsetof(struct options_1, gone_arg));
    CHECK(larder_options_init(seen, 1) == LARDER_OK);
    CHECK(host.options.version == 1 && host.options.memory_limit == 64u << 20);
    for (unsigned i = 0; i < sizeof(host.behind); i++) {
        CHECK(host.behind[i] == 0xa5);
    }
    struct larder *cache = NULL;
    host.options.memory_limit = 2u << 20;
    host.options.item_size_max = 2048;
    CHECK(larder_open(seen, &cache) == LARDER_OK);
    char value[4096] = { 0 };
    CHECK(larder_set(cache, "a", 1, value, 2049, 0) == LARDER_TOO_LARGE);
    CHECK(set(cache, "a", "1") == LARDER_OK && has(cache, "a", "1"));
    CHECK(larder_close(&cache) == LARDER_OK);

    host.options.version = 0;
    CHECK(larder_open(seen, &cache) == LARDER_BAD_OPTION);
    host.options.version = LARDER_OPTIONS_VERSION; /* then what lies behind is read, and is bad */
    CHECK(larder_open(seen, &cache) == LARDER_BAD_OPTION);
    CHECK(larder_options_init(seen, 0) == LARDER_BAD_OPTION);
    CHECK(cache == NULL);
}

static void
options_out_of_range_are_refused(void)
{
    const struct larder_options good = LARDER_OPTIONS_INIT;
    struct larder_options options;
    struct larder *cache = NULL;
    uint32_t sizes[LARDER_CHUNK_SIZES_MAX + 1];
    for (unsigned i = 0; i <= LARDER_CHUNK_SIZES_MAX; i++) {
        sizes[i] = 48 + 8 * i;
    }
#define REFUSED(change)                                        \
    options = good;                                            \
    options.chunk_sizes = sizes;                               \
    change;                                                    \
    CHECK(larder_open(&options, &cache) == LARDER_BAD_OPTION); \
    CHECK(cache == NULL)
    REFUSED(options.evict_for = (enum larder_evict_for)2);
    REFUSED(options.chunk_min = 512u * 1024 + 1);
    REFUSED(options.chunk_min = UINT32_MAX);
    REFUSED(options.chunk_sizes_len = LARDER_CHUNK_SIZES_MAX + 1);
    REFUSED(options.chunk_sizes_len = UINT32_MAX);
    REFUSED(options.chunk_sizes_len = 1; options.chunk_sizes = NULL);
    REFUSED(options.chunk_sizes_len = 3; sizes[0] = 47);
    sizes[0] = 48;
    REFUSED(options.chunk_sizes_len = 3; sizes[2] = sizes[1] + 7);
    REFUSED(options.chunk_sizes_len = 3; sizes[2] = sizes[1]);
    REFUSED(options.chunk_sizes_len = 3; sizes[2] = 1024u * 1024 + 1);
    REFUSED(options.growth_factor = 0.0 / 0.0);
    REFUSED(options.growth_factor = 1e300);
    REFUSED(options.item_size_max = UINT32_MAX);
    REFUSED(options.item_size_max = 0);
    REFUSED(options.memory_limit = 0);
#undef REFUSED
    options = good;
    sizes[2] = 64;
    options.chunk_sizes = sizes;
    options.chunk_sizes_len = LARDER_CHUNK_SIZES_MAX;
    options.chunk_min = 512u * 1024;
    CHECK(larder_open(&options, &cache) == LARDER_OK);
    CHECK(larder_close(&cache) == LARDER_OK);
}

/* Items of a few bytes that a cache of 1 MiB holds. */
static uint64_t
items_that_fit(struct larder_options *options)
{
    options->memory_limit = 1u << 20;
    struct larder *cache = open_with(options);
    for (uint32_t i = 0; i < STORES_MAX; i++) {
        CHECK(larder_set(cache, &i, sizeof(i), "v", 1, 0) == LARDER_OK);
    }
    struct larder_stats stats = { .version = LARDER_STATS_VERSION };
    CHECK(larder_stats(cache, &stats) == LARDER_OK);
    CHECK(larder_close(&cache) == LARDER_OK);
    return stats.items;
}

static void
chunks_have_the_sizes_asked_for(void)
{
    static const uint32_t sizes[] = { 1000, 2000 };
    struct larder_options options = LARDER_OPTIONS_INIT;
    uint64_t by_default = items_that_fit(&options);
    options.chunk_sizes = sizes;
    options.chunk_sizes_len = 2;
    uint64_t of_1000 = items_that_fit(&options);
    options.chunk_sizes_len = 0;
    options.chunk_min = 1000;
    uint64_t above_1000 = items_that_fit(&options);
    CHECK(by_default > STORES_MAX / 3);
    CHECK(of_1000 > 600 && of_1000 < 1050);
    CHECK(above_1000 > 600 && above_1000 < 1050);
}

struct hits {
    unsigned small, large;
};

/* Small and large items, each kind asked for as often, and more of them than fit. */
static struct hits
share_out(enum larder_evict_for evict_for)
{
    struct larder_options options = LARDER_OPTIONS_INIT;
    options.memory_limit = 2u << 20;
    options.evict_for = evict_for;
    struct larder *cache = open_with(&options);
    struct hits hits = { 0, 0 };
    uint64_t random = 1;
    static char value[1800];
    for (unsigned i = 0; i < GETS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        int large = (int)(random >> 63);
        uint32_t key = (uint32_t)(random >> 33) % (large ? 2000 : 20000) * 2 + (uint32_t)large;
        if (larder_get(cache, &key, sizeof(key), value, sizeof(value), NULL) == LARDER_OK) {
            *(large ? &hits.large : &hits.small) += 1;
        } else {
            CHECK(larder_set(cache, &key, sizeof(key), value, large ? sizeof(value) : 100, 0) ==
                  LARDER_OK);
        }
    }
    CHECK(larder_close(&cache) == LARDER_OK);
    return hits;
}

static void
evictions_are_for_objects_or_for_bytes(void)
{
    struct hits objects = share_out(LARDER_EVICT_FOR_OBJECTS);
    struct hits bytes = share_out(LARDER_EVICT_FOR_BYTES);
    CHECK(GETS == 1 || objects.small > 2 * bytes.small);
    CHECK(GETS == 1 || bytes.large > objects.large);
}

static void
large_pages_take_the_memory_at_once(void)
{
    struct larder_options options = LARDER_OPTIONS_INIT;
    options.memory_limit = 48u << 20;
    size_t before = resident_bytes();
    struct larder *cache = open_with(&options);
    CHECK(resident_bytes() < before + (24u << 20));
    CHECK(larder_close(&cache) == LARDER_OK);
    options.large_pages = 1;
    before = resident_bytes();
    cache = open_with(&options);
    CHECK(resident_bytes() > before + (40u << 20));
    CHECK(set(cache, "a", "1") == LARDER_OK && has(cache, "a", "1"));
    CHECK(larder_close(&cache) == LARDER_OK);
    CHECK(resident_bytes() < before + (24u << 20));
}

static void
nine_caches_are_each_as_they_are_told(void)
{
    struct larder *caches[9];
    static char value[10000];
    for (unsigned i = 0; i < 9; i++) {
        struct larder_options options = LARDER_OPTIONS_INIT;
        options.memory_limit = (uint64_t)(1 + i) << 20;
        options.item_size_max = 1024 * (1 + i);
        options.cas_disabled = (int)(i % 2);
        options.evictions_disabled = (int)(i / 2 % 2);
        options.growth_factor = i % 3 == 0 ? 0.0 : 1.0 + i / 8.0;
        caches[i] = open_with(&options);
    }
    for (unsigned i = 0; i < 9; i++) {
        uint64_t cas = 7;
        CHECK(larder_set(caches[i], "a", 1, value, 1024 * (1 + i), 0) == LARDER_TOO_LARGE);
        CHECK(larder_set(caches[i], "a", 1, value, 1024 * (1 + i) - 40, 0) == LARDER_OK);
        CHECK(larder_get_cas(caches[i], "a", 1, value, sizeof(value), NULL, &cas) == LARDER_OK);
        CHECK((cas == 0) == (i % 2 == 1));
        enum larder_result result = LARDER_OK;
        for (uint32_t key = 0; key < 12000 * (1 + i) && result == LARDER_OK; key += 8) {
            result = larder_set(caches[i], &key, sizeof(key), value, 900, 0);
        }
        CHECK(result == (i / 2 % 2 == 1 ? LARDER_NO_MEMORY : LARDER_OK));
        struct larder_stats stats = { .version = LARDER_STATS_VERSION };
        CHECK(larder_stats(caches[i], &stats) == LARDER_OK);
        CHECK(stats.memory_limit == (uint64_t)(1 + i) << 20);
        CHECK((stats.evictions == 0) == (i / 2 % 2 == 1));
    }
    for (unsigned i = 0; i < 9; i++) {
        CHECK(larder_close(&caches[(i * 4) % 9]) == LARDER_OK);
    }
}

int
main(void)
{
    RUN(version_1_is_what_a_newer_one_begins_with);
    RUN(options_out_of_range_are_refused);
    RUN(chunks_have_the_sizes_asked_for);
    RUN(evictions_are_for_objects_or_for_bytes);
    RUN(large_pages_take_the_memory_at_once);
    RUN(nine_caches_are_each_as_they_are_told);
    return tests_end();
}
