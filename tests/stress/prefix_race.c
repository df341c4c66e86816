/* Nothing that was made of a flushed value survives: cache_flush_prefix() against threads that
 * change what is there.
 *
 * The main thread sets some keys and flushes their prefix; the others only incr, append to, swap
 * (CAS) and mark stale what they find.  So after the flush no key may be there, however long one
 * looks.
 *
 * environment: STRESS_SECONDS (5), STRESS_SEED (1)
 */
#include "config.h"

#include "base/clock.h"
#include "base/race.h"
#include "base/rng.h"
#include "engine/cache.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHANGERS 2u
#define KEYS     4u
#define LOOKS    8u /* at each key after a flush */
#define CHURNED  5u /* other prefixes */

struct changer {
    struct cache_thread *thread;
    struct rng rng;
    uint64_t done; /* changes that found their item */
    pthread_t id;
};

static struct cache *cache;
static atomic_bool stop;
static uint64_t flushes;
static uint64_t found_before; /* keys there right before a flush */
static uint64_t survivors;

static bool
stopped(void)
{
    return atomic_load_explicit(&stop, memory_order_relaxed); /* relaxed: soon is enough */
}

static uint32_t
key_of(unsigned number, char key[8])
{
    return (uint32_t)sprintf(key, "p:%u", number % KEYS);
}

/** Whether the key is there; its id then. */
static bool
look(struct cache_thread *thread, const char *key, uint32_t key_len, uint64_t *cas)
{
    struct cache_read read = { .key = key, .key_len = key_len };
    cache_enter(thread);
    enum cache_result result = cache_find_one(cache, thread, &read);
    while (result == CACHE_OK && !cache_hit(cache, thread, &read)) {
        result = cache_find(cache, thread, &read);
    }
    cache_leave(thread);
    *cas = read.cas;
    return result == CACHE_OK;
}

static enum cache_result
store(struct cache_thread *thread, enum cache_store_mode mode, const char *key, uint32_t key_len,
      uint64_t cas)
{
    struct cache_store fresh;
    enum cache_result result =
        cache_store_begin(cache, thread, key, key_len, 1, 0, CACHE_NEVER, &fresh);
    if (result == CACHE_OK) {
        result = cache_store_write(cache, thread, &fresh, "1", 1);
    }
    return result == CACHE_OK ? cache_store_commit(cache, thread, &fresh, mode, cas, NULL) : result;
}

static enum cache_result
change(struct changer *changer)
{
    char key[8];
    uint32_t key_len = key_of((unsigned)rng_below(&changer->rng, KEYS), key);
    struct cache_thread *thread = changer->thread;
    struct cache_invalidation mark = { .stale = true };
    uint64_t number;
    switch (rng_below(&changer->rng, 5)) {
    case 0:
        return cache_arith(cache, thread, key, key_len, false, 1, 0, &number, NULL);
    case 1:
        return cache_arith(cache, thread, key, key_len, false, 100000, 0, &number, NULL);
    case 2:
        return store(thread, CACHE_APPEND, key, key_len, 0);
    case 3:
        return look(thread, key, key_len, &number) ? store(thread, CACHE_CAS, key, key_len, number)
                                                   : CACHE_MISS;
    default:
        return cache_invalidate(cache, thread, key, key_len, &mark);
    }
}

static void *
run_changer(void *arg)
{
    struct changer *changer = arg;
    while (!stopped()) {
        changer->done += change(changer) == CACHE_OK;
    }
    return NULL;
}

/** Flushes other prefixes and sweeps, so that notes come, go and move to other places of their list
 * while the changers and the flusher look through it. */
static void *
run_churner(void *arg)
{
    struct changer *churner = arg;
    for (unsigned i = 0; !stopped(); i++) {
        char prefix[] = { (char)('q' + i % CHURNED), ':' };
        churner->done += cache_flush_prefix(cache, prefix, sizeof(prefix));
        (void)cache_maintain(cache, churner->thread);
    }
    return NULL;
}

static void
run_flusher(struct cache_thread *thread, struct rng *rng, uint64_t until_us)
{
    char key[8];
    uint64_t cas;
    while (clock_monotonic_us() < until_us && survivors == 0) {
        for (unsigned i = 0; i < KEYS; i++) {
            (void)store(thread, CACHE_SET, key, key_of(i, key), 0);
        }
        for (uint64_t spins = rng_below(rng, 2000); spins > 0; spins--) {
            cpu_relax();
        }
        found_before += look(thread, "p:0", 3, &cas);
        if (!cache_flush_prefix(cache, "p:", 2)) {
            printf("a flush was refused\n");
            exit(1);
        }
        flushes++;
        for (unsigned i = 0; i < KEYS * LOOKS; i++) {
            survivors += look(thread, key, key_of(i, key), &cas);
            if (i == KEYS) {
                sched_yield();
            }
        }
        (void)cache_maintain(cache, thread);
    }
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
    struct cache_options options = {
        .memory_limit = 4u << 20, .item_size_max = 1u << 20, .hash_seed = seed, .now = 1700000000
    };
    cache = cache_create(&options);
    if (cache == NULL) {
        return 1;
    }
    struct changer changers[CHANGERS];
    for (unsigned i = 0; i < CHANGERS; i++) {
        changers[i] = (struct changer){ .thread = cache_thread_open(cache) };
        rng_init(&changers[i].rng, seed * 100 + i);
        if (pthread_create(&changers[i].id, NULL, run_changer, &changers[i]) != 0) {
            return 1;
        }
    }
    struct changer churner = { .thread = cache_thread_open(cache) };
    if (pthread_create(&churner.id, NULL, run_churner, &churner) != 0) {
        return 1;
    }
    struct cache_thread *thread = cache_thread_open(cache);
    struct rng rng;
    rng_init(&rng, seed);
    run_flusher(thread, &rng, clock_monotonic_us() + number_from("STRESS_SECONDS", 5) * 1000000);
    atomic_store_explicit(&stop, true, memory_order_relaxed); /* relaxed: soon is enough */
    uint64_t done = 0;
    for (unsigned i = 0; i < CHANGERS; i++) {
        (void)pthread_join(changers[i].id, NULL);
        done += changers[i].done;
        cache_thread_close(cache, changers[i].thread);
    }
    (void)pthread_join(churner.id, NULL);
    cache_thread_close(cache, churner.thread);
    cache_thread_close(cache, thread);
    cache_check(cache);
    cache_destroy(cache);

    printf("%llu flushes, %llu keys there before them, %llu changes, %llu other flushes\n",
           (unsigned long long)flushes, (unsigned long long)found_before, (unsigned long long)done,
           (unsigned long long)churner.done);
    unsigned failed = 0;
    if (survivors > 0) {
        printf("not so: nothing survives a flush\n");
        failed++;
    }
    if (flushes < 5 || found_before == 0 || done == 0 || churner.done == 0) {
        printf("not so: the threads met\n");
        failed++;
    }
    printf("%u passed, %u failed\n", 2 - failed, failed);
    return failed > 0;
}
