/* A page that a reader may stand on is not used again: the epochs, and the kernel's membarrier,
 * under load.
 *
 * Readers find an item, stand still within their section, and then look whether the item's page has
 * gone to another class meanwhile.  Writers store sizes that shift, and one thread lowers and
 * raises the limit, so that pages keep moving.
 *
 * environment: STRESS_SECONDS (5), STRESS_SEED (1)
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

#define READERS      3u
#define WRITERS      2u
#define THREADS      (READERS + WRITERS + 1)
#define KEYS         4000u
#define MEMORY_LIMIT ((uint64_t)2 << 20)
#define LONGER_MAX   15u /* times STRESS_SECONDS, until a page has left under a reader's feet */

struct worker {
    struct cache_thread *thread;
    struct rng rng;
    pthread_t id;
};

static struct cache *cache;
static atomic_bool stop;
static _Atomic uint64_t sections; /* that found an item */
static _Atomic uint64_t left;     /* of these, in which its page left its class */
static _Atomic uint64_t reused;   /* of these, in which it entered another */

static bool
stopped(void)
{
    return atomic_load_explicit(&stop, memory_order_relaxed); /* relaxed: soon is enough */
}

static void
count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(
        counter, 1, memory_order_relaxed); /* relaxed: read after the threads have ended */
}

/** Whether a page is in a class; under its lock. */
static bool
has_page(struct size_class *class, uint32_t page)
{
    bool found = false;
    lock_acquire(&class->lock);
    for (uint32_t i = 0; i < class->pages_count && !found; i++) {
        found = class->pages[i] == page;
    }
    lock_release(&class->lock);
    return found;
}

static void *
run_reader(void *arg)
{
    struct worker *worker = arg;
    while (!stopped()) {
        char key[24];
        struct cache_read read = { .key = key };
        read.key_len = (uint32_t)sprintf(key, "key:%u", (unsigned)rng_below(&worker->rng, KEYS));
        cache_enter(worker->thread);
        if (cache_find_one(cache, worker->thread, &read) == CACHE_OK) {
            if (read.pin != NULL || read.locked) {
                (void)cache_hit(cache, worker->thread, &read);
                if (read.pin != NULL) {
                    cache_unpin(cache, worker->thread, &read.pin);
                }
            } else {
                uint32_t page = pages_page_of(&cache->pages, (uint32_t)read.ref);
                for (unsigned i = (unsigned)rng_below(&worker->rng, 40); i > 0; i--) {
                    sched_yield();
                }
                count(&sections);
                if (!cache_hit(cache, worker->thread, &read) &&
                    !has_page(&cache->size_class[read.class_id], page)) {
                    count(&left);
                    for (unsigned id = 1; id <= cache->classes; id++) {
                        if (id != read.class_id && has_page(&cache->size_class[id], page)) {
                            count(&reused);
                        }
                    }
                }
            }
        }
        cache_leave(worker->thread);
    }
    return NULL;
}

static void *
run_writer(void *arg)
{
    struct worker *worker = arg;
    static const uint8_t value[20000];
    for (uint64_t round = 0; !stopped(); round++) {
        char key[24];
        uint32_t key_len =
            (uint32_t)sprintf(key, "key:%u", (unsigned)rng_below(&worker->rng, KEYS));
        size_t len = rng_below(&worker->rng, UINT64_C(64) << (round / 256 % 9));
        struct cache_store store;
        cache_enter(worker->thread);
        if (cache_store_begin(cache, worker->thread, key, key_len, len, 0, CACHE_NEVER, &store) ==
                CACHE_OK &&
            cache_store_write(cache, worker->thread, &store, value, len) == CACHE_OK) {
            (void)!cache_store_commit(cache, worker->thread, &store, CACHE_SET, 0, NULL);
        }
        cache_leave(worker->thread);
        cache_maintain(cache, worker->thread);
    }
    return NULL;
}

static void *
run_maintainer(void *arg)
{
    struct worker *worker = arg;
    for (uint64_t round = 0; !stopped(); round++) {
        cache_maintain(cache, worker->thread);
        if (round % 32 == 0) {
            (void)cache_set_memory_limit(cache, MEMORY_LIMIT / 2 +
                                                    rng_below(&worker->rng, MEMORY_LIMIT / 2));
        }
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

/** Whether a page has left its class while a reader stood still: on a busy machine that takes a
 * while. */
static bool
has_met(void)
{
    return atomic_load_explicit(&left, memory_order_relaxed) > 0; /* relaxed: soon is enough */
}

int
main(void)
{
    static struct worker workers[THREADS];
    uint64_t seed = setting("STRESS_SEED", 1);
    struct cache_options options = { .memory_limit = MEMORY_LIMIT,
                                     .item_size_max = 1u << 20,
                                     .hash_seed = seed,
                                     .now = 1700000000 };
    cache = cache_create(&options);
    if (cache == NULL) {
        perror("cache_create");
        return EXIT_FAILURE;
    }
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].thread = cache_thread_open(cache);
        rng_init(&workers[i].rng, seed * 100 + i);
        void *(*run)(void *) = i < READERS             ? run_reader
                               : i < READERS + WRITERS ? run_writer
                                                       : run_maintainer;
        if (workers[i].thread == NULL ||
            pthread_create(&workers[i].id, NULL, run, &workers[i]) != 0) {
            printf("no thread\n");
            return EXIT_FAILURE;
        }
    }
    struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
    uint64_t start = clock_monotonic_us();
    uint64_t least = setting("STRESS_SECONDS", 5) * 1000000;
    for (uint64_t ran = 0; ran < least || (ran < least * LONGER_MAX && !has_met());
         ran = clock_monotonic_us() - start) {
        nanosleep(&pause, NULL);
    }
    atomic_store_explicit(&stop, true, memory_order_relaxed); /* relaxed: the joins order */
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].id, NULL);
    }
    cache_check(cache);
    /* relaxed: the threads have ended */
    uint64_t left_count = atomic_load_explicit(&left, memory_order_relaxed);
    uint64_t reused_count = atomic_load_explicit(&reused, memory_order_relaxed);
    uint64_t moved = atomic_load_explicit(&cache->mover.moved, memory_order_relaxed);
    printf("sections %llu, page left %llu, used again %llu, pages moved %llu\n",
           (unsigned long long)atomic_load_explicit(&sections, memory_order_relaxed),
           (unsigned long long)left_count, (unsigned long long)reused_count,
           (unsigned long long)moved);
    unsigned failed =
        (reused_count > 0 ? 1u : 0u) + (left_count == 0 ? 1u : 0u) + (moved == 0 ? 1u : 0u);
    printf("%u passed, %u failed\n", 3 - failed, failed);
    for (unsigned i = 0; i < THREADS; i++) {
        cache_thread_close(cache, workers[i].thread);
    }
    cache_destroy(cache);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
