/* A C host that opens and closes caches all day: nothing of them stays.
 *
 *     build/release/tests/embed/open_close-shared [CACHES]
 */
#include "larder.h"

#include "embed/calls.h"
#include "embed/resident.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef __SANITIZE_ADDRESS__
#define CACHES 10000u
#else
#define CACHES 1000u
#endif
#define TOGETHER 3u   /* of them are open at a time */
#define ITEMS    20u  /* of each cache */
#define WARM_UP  500u /* caches, after which the heap has what it needs */
/* Bytes that resident memory may grow by in all, as the heap finds other places for its blocks:
 * however many caches there are.  What a cache has of its heap is several KiB. */
#define GROWTH_MAX (768u * 1024)

static unsigned caches = CACHES;

static void
open_and_fill(struct larder **cache)
{
    struct larder_options options = LARDER_OPTIONS_INIT;
    options.memory_limit = 1u << 20;
    enum larder_result result = larder_open(&options, cache);
    if (result != LARDER_OK) {
        printf("larder_open: %s\n", larder_result_text(result));
        exit(1);
    }
    char value[1000];
    memset(value, 'v', sizeof(value));
    for (unsigned i = 0; i < ITEMS; i++) {
        uint32_t key = i;
        CHECK(larder_set(*cache, &key, sizeof(key), value, sizeof(value), 0) == LARDER_OK);
    }
}

/* Opens and closes `count` caches, some at a time. */
static void
open_and_close(unsigned count)
{
    struct larder *open[TOGETHER] = { NULL };
    for (unsigned i = 0; i < count; i++) {
        struct larder **cache = &open[i % TOGETHER];
        if (*cache != NULL) {
            larder_close(cache);
            CHECK(*cache == NULL);
        }
        open_and_fill(cache);
    }
    for (unsigned i = 0; i < TOGETHER; i++) {
        if (open[i] != NULL) {
            larder_close(&open[i]);
        }
    }
}

static void
memory_comes_back(void)
{
    open_and_close(WARM_UP);
    size_t before = resident_bytes();
    open_and_close(caches);
    size_t after = resident_bytes();
    printf("%u caches: resident memory %zu KiB before, %zu KiB after\n", caches, before / 1024,
           after / 1024);
#ifndef __SANITIZE_ADDRESS__ /* whose heap holds back what was freed */
    CHECK(after < before + GROWTH_MAX);
#endif
}

/* In a thread that ends while the cache is open, and in one that never closes what it used. */
static void *
use_and_end(void *arg)
{
    struct larder *cache = arg;
    uint64_t value = 0;
    CHECK(larder_set(cache, "n", 1, "1", 1, 0) == LARDER_OK);
    CHECK(larder_incr(cache, "n", 1, 1, &value) == LARDER_OK);
    open_and_close(2);
    return NULL;
}

static void
threads_leave_nothing_behind(void)
{
    for (unsigned i = 0; i < caches / 20; i++) {
        struct larder *cache;
        open_and_fill(&cache);
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, use_and_end, cache) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        larder_close(&cache);
    }
}

int
main(int argc, char **argv)
{
    if (argc > 1) {
        caches = (unsigned)strtoul(argv[1], NULL, 10);
    }
    RUN(memory_comes_back);
    RUN(threads_leave_nothing_behind);
    return tests_end();
}
