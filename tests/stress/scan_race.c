/* Walks over all items while others store, delete, overwrite and expire them, the index grows and
 * pages move.
 *
 * A set of stable keys is there all the time: each walk must meet each of them exactly once, and
 * whole: its client flags and value length say its number.  Around them keys come in waves, that
 * make the index grow, and go again; each wave is a cache of its own, as an index does not shrink.
 *
 * environment: STRESS_SECONDS (5), STRESS_SEED (1)
 *
 * Seen to fail with LARDER_BREAK_BUCKET_ORDER (engine/bucket.h): keys are missed and seen twice.
 */
#include "config.h"

#include "base/clock.h"
#include "base/rng.h"
#include "engine/cache.h"
#include "engine/cache_priv.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCANNERS     2u
#define WRITERS      2u
#define THREADS      (SCANNERS + WRITERS + 1)
#define STABLE_KEYS  3000u
#define WAVE_KEYS    60000u /* of each writer */
#define MEMORY_LIMIT ((uint64_t)32 << 20)
#define NOW          1700000000
#define WAVE_US      1000000u

struct worker {
    unsigned number;
    struct cache_thread *thread;
    struct rng rng;
    pthread_t id;
    uint8_t times[STABLE_KEYS]; /* a scanner's: in this walk */
};

static struct cache *cache;
static atomic_bool stop;
static _Atomic uint64_t walks;
static _Atomic uint64_t grown_walks; /* in which the index grew */
static _Atomic uint64_t missed;
static _Atomic uint64_t repeated;
static _Atomic uint64_t torn;

static bool
stopped(void)
{
    return atomic_load_explicit(&stop, memory_order_relaxed); /* relaxed: soon is enough */
}

static void
count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(
        counter, n, memory_order_relaxed); /* relaxed: read after the threads have ended */
}

static uint64_t
figure(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter,
                                memory_order_relaxed); /* relaxed: the threads have ended */
}

static uint32_t
stable_len(unsigned number)
{
    return number % 100 == 0 ? 20000 + number : number % 300;
}

static bool
store(struct worker *worker, const char *key, uint32_t len, uint32_t flags, int64_t expires_at)
{
    static const uint8_t value[20000 + STABLE_KEYS];
    struct cache_store store;
    cache_enter(worker->thread);
    bool stored = cache_store_begin(cache, worker->thread, key, (uint32_t)strlen(key), len, flags,
                                    expires_at, &store) == CACHE_OK &&
                  cache_store_write(cache, worker->thread, &store, value, len) == CACHE_OK &&
                  cache_store_commit(cache, worker->thread, &store, CACHE_SET, 0, NULL) == CACHE_OK;
    cache_leave(worker->thread);
    return stored;
}

static bool
store_stable(struct worker *worker, unsigned number)
{
    char key[24];
    sprintf(key, "stable:%u", number);
    return store(worker, key, stable_len(number), number + 1, CACHE_NEVER);
}

static bool
visit(void *arg, const struct cache_item_info *info)
{
    struct worker *worker = arg;
    char key[CACHE_KEY_MAX + 1];
    memcpy(key, info->key, info->key_len);
    key[info->key_len] = '\0';
    unsigned number;
    char rest;
    if (sscanf(key, "stable:%u%c", &number, &rest) == 1 && number < STABLE_KEYS) {
        worker->times[number]++;
        if (info->client_flags != number + 1 || info->value_len != stable_len(number)) {
            count(&torn, 1);
        }
    } else if (strncmp(key, "wave:", 5) != 0) {
        count(&torn, 1);
    }
    return true;
}

static void *
run_scanner(void *arg)
{
    struct worker *worker = arg;
    while (!stopped()) {
        struct cache_scan scan = { 0 };
        memset(worker->times, 0, sizeof(worker->times));
        uint32_t buckets = table_count(&cache->table);
        bool more = true;
        while (more) {
            cache_enter(worker->thread);
            more = cache_scan(cache, worker->thread, &scan, visit, worker,
                              1 + (unsigned)rng_below(&worker->rng, 30));
            cache_leave(worker->thread);
            if (rng_below(&worker->rng, 8) == 0) {
                sched_yield();
            }
        }
        for (unsigned i = 0; i < STABLE_KEYS; i++) {
            count(&missed, worker->times[i] == 0);
            count(&repeated, worker->times[i] > 1);
        }
        count(&walks, 1);
        count(&grown_walks, table_count(&cache->table) != buckets);
    }
    return NULL;
}

static void *
run_writer(void *arg)
{
    struct worker *worker = arg;
    for (unsigned next = 0; !stopped(); next = (next + 1) % WAVE_KEYS) {
        char key[24];
        sprintf(key, "wave:%u:%u", worker->number, next);
        int64_t expires_at = next % 3 == 0 ? NOW + 1 : CACHE_NEVER;
        (void)store(worker, key, (uint32_t)rng_below(&worker->rng, 120), 0, expires_at);
        if (next % 4 == 0) {
            (void)store_stable(worker, (unsigned)rng_below(&worker->rng, STABLE_KEYS));
        }
        if (next % 2 == 0) { /* chunks come free: room for what lies on a page that moves */
            sprintf(key, "wave:%u:%u", worker->number, (unsigned)rng_below(&worker->rng, next + 1));
            cache_enter(worker->thread);
            (void)!cache_delete(cache, worker->thread, key, (uint32_t)strlen(key), 0);
            cache_leave(worker->thread);
        }
    }
    return NULL;
}

static void *
run_maintainer(void *arg)
{
    struct worker *worker = arg;
    for (uint64_t round = 0; !stopped(); round++) {
        (void)cache_move_page(cache, CACHE_MOVE_ANY, CACHE_MOVE_POOL);
        cache_maintain(cache, worker->thread);
        sched_yield();
    }
    return NULL;
}

static uint64_t
setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    uint64_t value = text != NULL ? strtoull(text, NULL, 10) : 0;
    return value > 0 ? value : otherwise;
}

/** A cache of its own for some time; what went wrong is counted.  False: it could not begin. */
static bool
run_wave(uint64_t seed, uint64_t us, uint64_t *moved)
{
    static struct worker workers[THREADS];
    struct cache_options options = { .memory_limit = MEMORY_LIMIT,
                                     .item_size_max = 1u << 20,
                                     .evictions_disabled = true,
                                     .hash_seed = seed,
                                     .now = NOW };
    cache = cache_create(&options);
    if (cache == NULL) {
        return false;
    }
    atomic_store_explicit(&stop, false, memory_order_relaxed); /* relaxed: no thread runs */
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].number = i;
        workers[i].thread = cache_thread_open(cache);
        rng_init(&workers[i].rng, seed * 100 + i);
    }
    for (unsigned i = 0; i < STABLE_KEYS; i++) {
        if (!store_stable(&workers[0], i)) {
            return false;
        }
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *(*run)(void *) = i < SCANNERS             ? run_scanner
                               : i < SCANNERS + WRITERS ? run_writer
                                                        : run_maintainer;
        if (pthread_create(&workers[i].id, NULL, run, &workers[i]) != 0) {
            return false;
        }
    }
    struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };
    uint64_t start = clock_monotonic_us();
    while (clock_monotonic_us() - start < us) {
        nanosleep(&pause, NULL);
        if (clock_monotonic_us() - start > us / 2) {
            cache_set_now(cache, NOW + 1); /* a third of the wave expires */
        }
    }
    atomic_store_explicit(&stop, true, memory_order_relaxed); /* relaxed: the joins order */
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].id, NULL);
        cache_thread_close(cache, workers[i].thread);
    }
    cache_check(cache);
    *moved += figure(&cache->mover.rescued);
    cache_destroy(cache);
    return true;
}

int
main(void)
{
    uint64_t seed = setting("STRESS_SEED", 1);
    uint64_t moved = 0;
    uint64_t end = clock_monotonic_us() + setting("STRESS_SECONDS", 5) * 1000000;
    do {
        if (!run_wave(seed++, WAVE_US, &moved)) {
            printf("a wave could not begin\n0 passed, 1 failed\n");
            return EXIT_FAILURE;
        }
    } while (clock_monotonic_us() < end);
    printf(
        "walks %llu, of these %llu while the index grew; items moved %llu; keys missed %llu, seen "
        "twice %llu, torn %llu\n",
        (unsigned long long)figure(&walks), (unsigned long long)figure(&grown_walks),
        (unsigned long long)moved, (unsigned long long)figure(&missed),
        (unsigned long long)figure(&repeated), (unsigned long long)figure(&torn));
    unsigned failed = 0;
    failed += figure(&missed) > 0;
    failed += figure(&repeated) > 0;
    failed += figure(&torn) > 0;
    failed += figure(&grown_walks) == 0;
    failed += moved == 0;
    printf("%u passed, %u failed\n", 5 - failed, failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
