/* A key that is there is never a miss while the index grows: a read that looked its bucket up before a split looks
 * once more.
 *
 * One thread fills a cache that evicts nothing, so that the index splits all the time; others read keys that
 * it has told of.
 *
 * Built with LARDER_BREAK_SPLIT_ORDER (engine/read.c) it must fail: see must_fail.sh.
 *
 * environment: STRESS_SECONDS (5), STRESS_SEED (1)
 */
#include "config.h"

#include "base/clock.h"
#include "base/rng.h"
#include "engine/cache.h"
#include "engine/stats.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define READERS      3u
#define KEYS         60000u /* in one filling: 6,700 splits */
#define KEY_CAP      16u
#define MEMORY_LIMIT ((uint64_t)64 << 20)

struct reader {
    struct cache_thread *thread;
    struct rng rng;
    pthread_t id;
    uint64_t hits;
    uint64_t misses;
};

static struct cache *cache;
static _Atomic uint32_t told; /* keys 0 .. told - 1 are there; release: pairs with run_reader() */
static _Atomic bool full;

static uint32_t
key_of(uint32_t number, char *key)
{
    return (uint32_t)snprintf(key, KEY_CAP, "k%u", (unsigned)number);
}

static void *
run_reader(void *arg)
{
    struct reader *reader = arg;
    char key[KEY_CAP];
    while (!atomic_load_explicit(&full, memory_order_relaxed)) { /* relaxed: soon is enough */
        /* acquire: pairs with fill() */
        uint32_t there = atomic_load_explicit(&told, memory_order_acquire);
        if (there == 0) {
            continue;
        }
        struct cache_read read = { .key = key, .mode = CACHE_READ_PEEK };
        read.key_len = key_of((uint32_t)rng_below(&reader->rng, there), key);
        cache_enter(reader->thread);
        enum cache_result result = cache_find_one(cache, reader->thread, &read);
        while (result == CACHE_OK && !cache_hit(cache, reader->thread, &read)) {
            result = cache_find(cache, reader->thread, &read);
        }
        cache_leave(reader->thread);
        reader->hits += result == CACHE_OK;
        reader->misses += result != CACHE_OK;
    }
    return NULL;
}

static void
fill(struct cache_thread *thread)
{
    char key[KEY_CAP];
    for (uint32_t i = 0; i < KEYS; i++) {
        uint64_t cas;
        uint32_t key_len = key_of(i, key);
        if (cache_set(cache, thread, key, key_len, "v", 1, 0, CACHE_NEVER, &cas) != CACHE_OK) {
            printf("a store was refused\n");
            exit(1);
        }
        /* release: pairs with run_reader() */
        atomic_store_explicit(&told, i + 1, memory_order_release);
    }
}

/** Fills a cache of its own; the splits that it took. */
static uint64_t
run_round(uint64_t seed, uint64_t *hits, uint64_t *misses)
{
    static struct cache_stats stats;
    struct cache_options options = { .memory_limit = MEMORY_LIMIT,
                                     .item_size_max = 1u << 20,
                                     .evictions_disabled = true,
                                     .hash_seed = seed,
                                     .now = 1700000000 };
    cache = cache_create(&options);
    if (cache == NULL) {
        exit(1);
    }
    cache_stats_read(cache, &stats);
    uint64_t buckets = stats.index_buckets;
    atomic_store_explicit(&told, 0, memory_order_relaxed); /* relaxed, both: no other thread */
    atomic_store_explicit(&full, false, memory_order_relaxed);
    struct reader readers[READERS];
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){ .thread = cache_thread_open(cache) };
        rng_init(&readers[i].rng, seed * 100 + i);
        if (pthread_create(&readers[i].id, NULL, run_reader, &readers[i]) != 0) {
            exit(1);
        }
    }
    struct cache_thread *thread = cache_thread_open(cache);
    fill(thread);
    atomic_store_explicit(&full, true, memory_order_relaxed); /* relaxed: joined below */
    for (unsigned i = 0; i < READERS; i++) {
        (void)pthread_join(readers[i].id, NULL);
        *hits += readers[i].hits;
        *misses += readers[i].misses;
        cache_thread_close(cache, readers[i].thread);
    }
    cache_thread_close(cache, thread);
    cache_check(cache);
    cache_stats_read(cache, &stats);
    cache_destroy(cache);
    return stats.index_buckets - buckets;
}

static uint64_t
number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

int
main(void)
{
    uint64_t seed = number_from("STRESS_SEED", 1);
    uint64_t until_us = clock_monotonic_us() + number_from("STRESS_SECONDS", 5) * 1000000;
    uint64_t splits = 0;
    uint64_t hits = 0;
    uint64_t misses = 0;
    do {
        splits += run_round(seed++, &hits, &misses);
    } while (clock_monotonic_us() < until_us && misses == 0);
    printf("%llu splits, %llu keys found, %llu not\n", (unsigned long long)splits,
           (unsigned long long)hits, (unsigned long long)misses);
    unsigned failed = 0;
    if (misses > 0) {
        printf("not so: a key that is there is found\n");
        failed++;
    }
    if (splits < KEYS / 10 || hits < KEYS / 10) {
        printf("not so: the threads met\n");
        failed++;
    }
    printf("%u passed, %u failed\n", 2 - failed, failed);
    return failed > 0;
}
