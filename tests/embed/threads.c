/* A C host with many threads: more than have a slot, short-lived ones, several caches at once. */
#include "larder.h"

#include "embed/calls.h"
#include "embed/resident.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MANY 400u /* more than there are slots of their own */
#define THREADS_FEW  8u
#if defined(__SANITIZE_THREAD__) /* which starts a thread in a millisecond */
#define THREADS_SHORT 600u       /* one after the other */
#else
#define THREADS_SHORT 4000u
#endif
#define CACHES  3u
#define KEYS    300u
#define LEN_MAX 40000u /* bytes; some values are longer than what a get copies without a pin */

struct host {
    struct larder *caches[CACHES];
    unsigned calls;
    pthread_barrier_t start;
    _Atomic uint64_t gets;
    _Atomic uint64_t wrong;
    _Atomic uint64_t refused;
};

/* A value tells its key and length, and is filled from a seed that stands in it: any mix of two is
 * seen. */
struct stamp {
    uint32_t key;
    uint32_t len;
    uint64_t seed;
};

static uint64_t
mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdu;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

static size_t
make_value(uint8_t *value, uint32_t key, uint64_t seed)
{
    size_t len = sizeof(struct stamp) + (seed % 16 == 0 ? mix(seed) % LEN_MAX : mix(seed) % 200);
    struct stamp stamp = { key, (uint32_t)len, seed };
    memcpy(value, &stamp, sizeof(stamp));
    for (size_t i = sizeof(stamp); i < len; i++) {
        value[i] = (uint8_t)(mix(seed + i / 8) >> (i % 8 * 8));
    }
    return len;
}

static int
value_right(const uint8_t *value, size_t len, uint32_t key)
{
    struct stamp stamp;
    if (len < sizeof(stamp)) {
        return 0;
    }
    memcpy(&stamp, value, sizeof(stamp));
    if (stamp.key != key || stamp.len != len) {
        return 0;
    }
    for (size_t i = sizeof(stamp); i < len; i++) {
        if (value[i] != (uint8_t)(mix(stamp.seed + i / 8) >> (i % 8 * 8))) {
            return 0;
        }
    }
    return 1;
}

struct worker {
    struct host *host;
    uint64_t seed;
};

static void
one_call(struct host *host, uint64_t random, uint8_t *value, uint8_t *got)
{
    unsigned which = (unsigned)(random % CACHES);
    struct larder *cache = host->caches[which];
    /* Keys of different caches differ in nothing but the cache: the value tells. */
    uint32_t number = (uint32_t)(random / CACHES % KEYS);
    uint32_t stamp = number * CACHES + which;
    enum larder_result result;
    size_t len = 0;
    switch (random >> 40 & 15) {
    case 0:
    case 1:
    case 2:
        len = make_value(value, stamp, random);
        result = larder_set(cache, &number, sizeof(number), value, len, 0);
        if (result != LARDER_OK) {
            atomic_fetch_add_explicit(&host->refused, 1, memory_order_relaxed);
        }
        break;
    case 3:
        result = larder_delete(cache, &number, sizeof(number));
        if (result != LARDER_OK && result != LARDER_MISS) {
            atomic_fetch_add_explicit(&host->wrong, 1, memory_order_relaxed);
        }
        break;
    case 4:
        (void)larder_maintain(cache);
        break;
    case 5: {
        struct larder_get gets[4];
        memset(gets, 0, sizeof(gets));
        uint32_t numbers[4];
        for (unsigned i = 0; i < 4; i++) {
            numbers[i] = (uint32_t)(mix(random + i) % KEYS);
            gets[i].key = &numbers[i];
            gets[i].key_len = sizeof(numbers[i]);
            gets[i].buf = got + i * (LEN_MAX + sizeof(struct stamp));
            gets[i].buf_cap = LEN_MAX + sizeof(struct stamp);
        }
        larder_get_batch(cache, gets, 4);
        for (unsigned i = 0; i < 4; i++) {
            if (gets[i].result == LARDER_OK
                    ? !value_right(gets[i].buf, gets[i].value_len, numbers[i] * CACHES + which)
                    : gets[i].result != LARDER_MISS) {
                atomic_fetch_add_explicit(&host->wrong, 1, memory_order_relaxed);
            }
        }
        atomic_fetch_add_explicit(&host->gets, 4, memory_order_relaxed);
        break;
    }
    default:
        result =
            larder_get(cache, &number, sizeof(number), got, LEN_MAX + sizeof(struct stamp), &len);
        if (result == LARDER_OK ? !value_right(got, len, stamp) : result != LARDER_MISS) {
            atomic_fetch_add_explicit(&host->wrong, 1, memory_order_relaxed);
        }
        atomic_fetch_add_explicit(&host->gets, 1, memory_order_relaxed);
        break;
    }
}

static void *
work(void *arg)
{
    struct worker *worker = arg;
    uint8_t *value = malloc(LEN_MAX + sizeof(struct stamp));
    uint8_t *got = malloc(4 * (LEN_MAX + sizeof(struct stamp)));
    pthread_barrier_wait(&worker->host->start);
    if (value == NULL || got == NULL) {
        atomic_fetch_add_explicit(&worker->host->wrong, 1, memory_order_relaxed);
    } else {
        for (unsigned i = 0; i < worker->host->calls; i++) {
            one_call(worker->host, mix(worker->seed + i), value, got);
        }
    }
    free(value);
    free(got);
    return NULL;
}

/* All threads run at the same time; each makes `calls` calls. */
static void
run_host(struct host *host, unsigned threads, unsigned calls)
{
    static struct worker workers[THREADS_MANY];
    static pthread_t ids[THREADS_MANY];
    host->calls = calls;
    CHECK(pthread_barrier_init(&host->start, NULL, threads) == 0);
    for (unsigned i = 0; i < threads; i++) {
        workers[i].host = host;
        workers[i].seed = mix(i + 1);
        int rc = pthread_create(&ids[i], NULL, work, &workers[i]);
        if (rc != 0) {
            printf("pthread_create: %s\n", strerror(rc));
            exit(1);
        }
    }
    for (unsigned i = 0; i < threads; i++) {
        CHECK(pthread_join(ids[i], NULL) == 0);
    }
    CHECK(pthread_barrier_destroy(&host->start) == 0);
}

static void
open_caches(struct host *host)
{
    memset(host, 0, sizeof(*host));
    for (unsigned i = 0; i < CACHES; i++) {
        struct larder_options options = LARDER_OPTIONS_INIT;
        options.memory_limit = (uint64_t)(4 + 4 * i) << 20;
        enum larder_result result = larder_open(&options, &host->caches[i]);
        if (result != LARDER_OK) {
            printf("larder_open: %s\n", larder_result_text(result));
            exit(1);
        }
    }
}

static void
close_caches(struct host *host)
{
    uint64_t gets = atomic_load_explicit(&host->gets, memory_order_relaxed);
    CHECK(atomic_load_explicit(&host->wrong, memory_order_relaxed) == 0);
    CHECK(atomic_load_explicit(&host->refused, memory_order_relaxed) == 0);
    uint64_t counted = 0;
    for (unsigned i = 0; i < CACHES; i++) {
        struct larder_stats stats;
        memset(&stats, 0, sizeof(stats));
        stats.version = LARDER_STATS_VERSION;
        CHECK(larder_stats(host->caches[i], &stats) == LARDER_OK);
        CHECK(stats.items <= KEYS && stats.memory_used <= stats.memory_limit);
        CHECK(stats.get_hits > 0 && stats.stores > 0);
        counted += stats.get_hits + stats.get_misses;
        larder_close(&host->caches[i]);
    }
    /* Counters are kept per thread without a locked instruction: two threads at one set of them
     * would lose some. */
    CHECK(counted == gets);
}

static void
few_threads_see_whole_values(void)
{
    struct host host;
    open_caches(&host);
    run_host(&host, THREADS_FEW, 20000);
    close_caches(&host);
}

static void
more_threads_than_slots_see_whole_values(void)
{
    struct host host;
    open_caches(&host);
    run_host(&host, THREADS_MANY, 300);
    close_caches(&host);
}

struct holders {
    struct host *host;
    pthread_barrier_t have;
    pthread_barrier_t go;
};

/* Calls once, which takes a slot, and keeps it. */
static void *
hold_slot(void *arg)
{
    struct holders *holders = arg;
    char buf[1];
    size_t len = 0;
    (void)!larder_get(holders->host->caches[0], "none", 4, buf, sizeof(buf), &len);
    atomic_fetch_add_explicit(&holders->host->gets, 1, memory_order_relaxed);
    pthread_barrier_wait(&holders->have);
    pthread_barrier_wait(&holders->go);
    return NULL;
}

static void
threads_without_a_slot_take_turns(void)
{
    struct host host;
    static struct holders holders;
    static pthread_t ids[THREADS_MANY];
    open_caches(&host);
    holders.host = &host;
    CHECK(pthread_barrier_init(&holders.have, NULL, THREADS_MANY + 1) == 0);
    CHECK(pthread_barrier_init(&holders.go, NULL, THREADS_MANY + 1) == 0);
    for (unsigned i = 0; i < THREADS_MANY; i++) {
        int rc = pthread_create(&ids[i], NULL, hold_slot, &holders);
        if (rc != 0) {
            printf("pthread_create: %s\n", strerror(rc));
            exit(1);
        }
    }
    pthread_barrier_wait(&holders.have);
    run_host(&host, THREADS_FEW, 10000);
    pthread_barrier_wait(&holders.go);
    for (unsigned i = 0; i < THREADS_MANY; i++) {
        CHECK(pthread_join(ids[i], NULL) == 0);
    }
    CHECK(pthread_barrier_destroy(&holders.have) == 0);
    CHECK(pthread_barrier_destroy(&holders.go) == 0);
    close_caches(&host);
}

static void
threads_come_and_go(void)
{
    struct host host;
    open_caches(&host);
    for (unsigned round = 0; round < 60; round++) {
        run_host(&host, THREADS_FEW, 50);
    }
    close_caches(&host);
}

/* One call in each of two caches, and the end. */
static void *
call_and_end(void *arg)
{
    struct host *host = arg;
    uint32_t number = 1;
    for (unsigned i = 0; i < 2; i++) {
        (void)!larder_get(host->caches[i], &number, sizeof(number), NULL, 0, NULL);
    }
    atomic_fetch_add_explicit(&host->gets, 2, memory_order_relaxed);
    return NULL;
}

/* A slot that stays with a thread that has gone would cost each cache its counters, tens of KiB. */
static void
thousands_of_threads_leave_no_slot_behind(void)
{
    struct host host;
    size_t before = 0;
    open_caches(&host);
    for (unsigned i = 0; i < THREADS_SHORT; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, call_and_end, &host) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        if (i == 10) {
            before = resident_bytes();
        }
    }
    size_t grown = resident_bytes() - before;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CHECK(grown < (1u << 20) || grown > SIZE_MAX / 2);
#else
    (void)grown;
#endif
    struct larder_stats stats;
    uint64_t counted = 0;
    memset(&stats, 0, sizeof(stats));
    stats.version = LARDER_STATS_VERSION;
    for (unsigned i = 0; i < CACHES; i++) {
        CHECK(larder_stats(host.caches[i], &stats) == LARDER_OK);
        counted += stats.get_misses;
        larder_close(&host.caches[i]);
    }
    CHECK(counted == 2 * (uint64_t)THREADS_SHORT &&
          counted == atomic_load_explicit(&host.gets, memory_order_relaxed));
}

int
main(void)
{
    RUN(thousands_of_threads_leave_no_slot_behind); /* while slots are free */
    RUN(few_threads_see_whole_values);
    RUN(more_threads_than_slots_see_whole_values);
    RUN(threads_without_a_slot_take_turns);
    RUN(threads_come_and_go);
    return tests_end();
}
