/* What a call costs when more threads make it, in processor time of the calling thread.
 *
 *     build/release/bench/micro/threads [--threads N]... [--seconds S] [--items N]
 *
 * Processor time and not the clock: a thread that waits for a processor costs nothing here, one
 * that waits for a cache line or spins for a lock does.  So rows with more threads than processors
 * still say what the threads do to each other.  "one more" is the row's time by that of one thread.
 *
 *     nothing        some sums in registers: what the machine itself takes from threads side by side
 *     get            a random item of many
 *     get hot        all threads the same item
 *     set            a random item of many, of another thread's now and then
 *     set hot        all threads the same item: they wait for its bucket
 *     get, 1 sets    random items; the first thread stores, the others read
 *     hot, 1 sets    the same, but those who read read one item, which nobody stores
 */
#include "config.h"

#include "base/rng.h"
#include "engine/cache.h"

#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEY_LEN     16u
#define VALUE_LEN   100u
#define ROUND       256u /* operations between two looks at whether the time is over */
#define THREADS_MAX 64u
#define LIST_MAX    8u /* --threads */
#define ROUNDS_MIN  16u
#define SUMS        32u /* of an operation that is nothing */

enum workload {
    NOTHING,
    GET,
    GET_HOT,
    SET,
    SET_HOT,
    GET_ONE_SETS,
    HOT_ONE_SETS,
    WORKLOADS,
};

static const char *const names[WORKLOADS] = {
    [NOTHING] = "nothing",          [GET] = "get",
    [GET_HOT] = "get hot",          [SET] = "set",
    [SET_HOT] = "set hot",          [GET_ONE_SETS] = "get, 1 sets",
    [HOT_ONE_SETS] = "hot, 1 sets",
};

struct bench {
    struct cache *cache;
    enum workload workload;
    uint64_t items;
    pthread_barrier_t barrier;
    atomic_bool stop;
};

struct worker {
    struct bench *bench;
    pthread_t id;
    unsigned number;
    uint64_t operations;
    uint64_t cpu_ns;
    uint64_t wrong;
};

static uint64_t
cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
make_key(char key[KEY_LEN], uint64_t number)
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < KEY_LEN; i++) {
        key[i] = digits[number >> (i * 4) & 15];
    }
}

static bool
get(struct cache *cache, struct cache_thread *thread, const char *key)
{
    static _Thread_local uint8_t value[CACHE_COPY_MAX];
    struct cache_read read = { .key = key, .key_len = KEY_LEN };
    bool whole = false;
    cache_enter(thread);
    for (bool again = true; again;) {
        again = false;
        if (cache_find_one(cache, thread, &read) == CACHE_OK) {
            cache_copy(cache, &read, value);
            whole = cache_hit(cache, thread, &read);
            again = !whole;
        }
    }
    cache_leave(thread);
    return whole;
}

static bool
set(struct cache *cache, struct cache_thread *thread, const char *key)
{
    static const uint8_t value[VALUE_LEN];
    uint64_t cas;
    cache_enter(thread);
    enum cache_result result =
        cache_set(cache, thread, key, KEY_LEN, value, VALUE_LEN, 0, CACHE_NEVER, &cas);
    cache_leave(thread);
    return result == CACHE_OK;
}

static bool
add_up(struct rng *rng)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < SUMS; i++) {
        sum += rng_next(rng);
    }
    return sum != 0;
}

/** Whether only the first thread stores. */
static bool
one_sets(enum workload workload)
{
    return workload == GET_ONE_SETS || workload == HOT_ONE_SETS;
}

/** So many operations; returns how many went wrong. */
static uint64_t
run_round(struct worker *worker, struct cache_thread *thread, struct rng *rng)
{
    struct bench *bench = worker->bench;
    enum workload workload = bench->workload;
    bool stores =
        workload == SET || workload == SET_HOT || (one_sets(workload) && worker->number == 0);
    bool hot = workload == GET_HOT || workload == SET_HOT || (workload == HOT_ONE_SETS && !stores);
    uint64_t wrong = 0;
    for (unsigned i = 0; i < ROUND; i++) {
        char key[KEY_LEN];
        if (workload == NOTHING) {
            wrong += !add_up(rng);
            continue;
        }
        /* Key 0 is the hot one. */
        make_key(key, hot ? 0 : 1 + rng_below(rng, bench->items - 1));
        wrong += !(stores ? set(bench->cache, thread, key) : get(bench->cache, thread, key));
    }
    return wrong;
}

static void *
work(void *arg)
{
    struct worker *worker = arg;
    struct bench *bench = worker->bench;
    struct cache_thread *thread = cache_thread_open(bench->cache);
    struct rng rng;
    rng_init(&rng, worker->number + 1);
    (void)pthread_barrier_wait(&bench->barrier);
    uint64_t from = cpu_ns();
    /* relaxed: a signal to end, seen soon enough */
    while (worker->operations < (uint64_t)ROUNDS_MIN * ROUND ||
           !atomic_load_explicit(&bench->stop, memory_order_relaxed)) {
        worker->wrong += run_round(worker, thread, &rng);
        worker->operations += ROUND;
    }
    worker->cpu_ns = cpu_ns() - from;
    cache_thread_close(bench->cache, thread);
    return NULL;
}

static _Noreturn void
die(const char *what)
{
    fprintf(stderr, "threads: %s\n", what);
    exit(1);
}

/** Processor time of one operation in ns, over all threads that do what the row is about. */
static double
measure(struct bench *bench, unsigned threads, double seconds)
{
    static struct worker workers[THREADS_MAX];
    atomic_store_explicit(&bench->stop, false, memory_order_relaxed); /* relaxed: no thread yet */
    (void)pthread_barrier_init(&bench->barrier, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (struct worker){ .bench = bench, .number = i };
        if (pthread_create(&workers[i].id, NULL, work, &workers[i]) != 0) {
            die("cannot start so many threads");
        }
    }
    (void)pthread_barrier_wait(&bench->barrier);
    struct timespec pause = { .tv_sec = (time_t)seconds,
                              .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };
    (void)nanosleep(&pause, NULL);
    atomic_store_explicit(&bench->stop, true, memory_order_relaxed); /* relaxed: as in work() */
    double ns = 0;
    double operations = 0;
    for (unsigned i = 0; i < threads; i++) {
        (void)pthread_join(workers[i].id, NULL);
        if (workers[i].wrong > 0) {
            die("an operation did not end as it should");
        }
        if (!one_sets(bench->workload) || i > 0 || threads == 1) {
            ns += (double)workers[i].cpu_ns;
            operations += (double)workers[i].operations;
        }
    }
    (void)pthread_barrier_destroy(&bench->barrier);
    return ns / operations;
}

static void
fill(struct bench *bench)
{
    struct cache_thread *thread = cache_thread_open(bench->cache);
    for (uint64_t i = 0; i < bench->items; i++) {
        char key[KEY_LEN];
        make_key(key, i);
        if (!set(bench->cache, thread, key)) {
            die("the cache does not hold all items");
        }
    }
    cache_thread_close(bench->cache, thread);
}

static double
number_of(const char *text, double min, double max)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end != '\0' || number < min || number > max) {
        die("usage: threads [--threads N]... [--seconds S] [--items N]");
    }
    return number;
}

int
main(int argc, char **argv)
{
    static const struct option known[] = { { "threads", required_argument, NULL, 't' },
                                           { "seconds", required_argument, NULL, 's' },
                                           { "items", required_argument, NULL, 'i' },
                                           { NULL, 0, NULL, 0 } };
    unsigned threads[LIST_MAX] = { 1, 2, 4, 8 };
    unsigned given = 0;
    double seconds = 0.5;
    struct bench bench = { .items = 1000000 };
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 't' && given < LIST_MAX) {
            threads[given++] = (unsigned)number_of(optarg, 1, THREADS_MAX);
        } else if (c == 's') {
            seconds = number_of(optarg, 0.01, 60);
        } else if (c == 'i') {
            bench.items = (uint64_t)number_of(optarg, 2, 1e8);
        } else {
            (void)number_of("", 1, 1);
        }
    }
    unsigned count = given > 0 ? given : 4;
    bench.cache = cache_create(&(struct cache_options){
        .memory_limit = (bench.items * (KEY_LEN + VALUE_LEN + 64)) + ((uint64_t)64 << 20),
        .item_size_max = 1 << 20,
        .hash_seed = 1,
        .now = 1700000000 });
    if (bench.cache == NULL) {
        die("no memory");
    }
    fill(&bench);
    printf("%-14s%10s%24s%12s\n", "", "threads", "processor time", "one more");
    for (unsigned workload = 0; workload < WORKLOADS; workload++) {
        bench.workload = (enum workload)workload;
        double one = 0;
        for (unsigned i = 0; i < count; i++) {
            double ns = measure(&bench, threads[i], seconds);
            one = i == 0 ? ns : one;
            printf("%-14s%10u%18.1f ns/op%12.2f\n", names[workload], threads[i], ns, ns / one);
        }
    }
    cache_destroy(bench.cache);
    return 0;
}
