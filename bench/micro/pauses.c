/* The longest piece of work that one call does, in processor time of the calling thread.
 *
 *     build/release/bench/micro/pauses [--items N]
 *
 * What a request waits for inside the cache is its own call, and at worst one slice of background
 * work under a lock that it needs.  Both are measured here in processor time, which other load on
 * the machine hardly lengthens: bench/stall shows the waits from outside.  But on a virtual machine
 * it grows while another one has the processor: a longest near that of `nothing` is not ours.
 *
 *     nothing empty calls, for some seconds before the others and again behind them
 *     grow    N new items: the index grows from nothing, pages come fresh from the kernel
 *     evict   new items in a full cache
 *     move    values of another size: pages go to another class
 *     limit   the limit falls by half; stores go on between slices
 *     expire  N items expire in the same second; gets go on between slices
 */
#include "config.h"

#include "engine/cache.h"
#include "engine/stats.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEY_LEN       16u
#define VALUE_LEN     10u
#define VALUE_LEN_MAX 1000u
#define ITEM_BYTES    64u /* of the limit for one item, index included: none is evicted */
#define NOW           1700000000
#define TTL_S         1000
#define SECONDS_MAX   60u
#define SLICES_MAX    10000000u
#define NOTHING_NS    3000000000u
#define BUCKETS       64u

/** Spans in ns, by their highest two bits. */
struct spans {
    uint64_t count[BUCKETS * 2];
    uint64_t all;
    uint64_t longest;
};

struct bench {
    struct cache *cache;
    struct cache_thread *thread;
    uint64_t stored;
    struct spans calls;
    struct spans slices;
};

static uint64_t
cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
spans_add(struct spans *spans, uint64_t ns)
{
    unsigned high = ns < 2 ? 0 : 63 - (unsigned)__builtin_clzll(ns);
    spans->count[high * 2 + (high > 0 ? ns >> (high - 1) & 1 : 0)]++;
    spans->all++;
    spans->longest = ns > spans->longest ? ns : spans->longest;
}

/** An upper bound of so many thousandths of the spans, in us. */
static double
spans_at(const struct spans *spans, double part)
{
    uint64_t below = 0;
    for (unsigned i = 0; i < BUCKETS * 2; i++) {
        below += spans->count[i];
        if ((double)below >= part * (double)spans->all) {
            double bound = (double)((uint64_t)1 << i / 2) * (i % 2 ? 2.0 : 1.5);
            return (bound < (double)spans->longest ? bound : (double)spans->longest) / 1000;
        }
    }
    return 0;
}

static _Noreturn void
die(const char *what)
{
    fprintf(stderr, "pauses: %s\n", what);
    exit(1);
}

static void
make_key(char key[KEY_LEN + 1], uint64_t number)
{
    snprintf(key, KEY_LEN + 1, "%016llx", (unsigned long long)number);
}

static void
set(struct bench *bench, uint32_t value_len, int64_t expires_at)
{
    static const uint8_t value[VALUE_LEN_MAX];
    char key[KEY_LEN + 1];
    uint64_t cas;
    make_key(key, bench->stored++);
    uint64_t from = cpu_ns();
    cache_enter(bench->thread);
    enum cache_result result =
        cache_set(bench->cache, bench->thread, key, KEY_LEN, value, value_len, 0, expires_at, &cas);
    cache_leave(bench->thread);
    spans_add(&bench->calls, cpu_ns() - from);
    if (result != CACHE_OK) {
        die("a store was refused");
    }
}

static void
get(struct bench *bench, uint64_t number)
{
    static uint8_t value[CACHE_COPY_MAX];
    char key[KEY_LEN + 1];
    make_key(key, number);
    struct cache_read read = { .key = key, .key_len = KEY_LEN };
    uint64_t from = cpu_ns();
    cache_enter(bench->thread);
    if (cache_find_one(bench->cache, bench->thread, &read) == CACHE_OK) {
        cache_copy(bench->cache, &read, value);
        (void)cache_hit(bench->cache, bench->thread, &read);
    }
    cache_leave(bench->thread);
    spans_add(&bench->calls, cpu_ns() - from);
}

/** Whether there is more to do. */
static bool
slice(struct bench *bench)
{
    uint64_t from = cpu_ns();
    bool more = cache_maintain(bench->cache, bench->thread);
    spans_add(&bench->slices, cpu_ns() - from);
    return more;
}

static void
print_spans(const struct spans *spans, const char *what)
{
    if (spans->all > 0) {
        printf("%6s %9llu%9.1f%9.1f%9.1f%9.1f", what, (unsigned long long)spans->all,
               spans_at(spans, 0.5), spans_at(spans, 0.99), spans_at(spans, 0.999),
               (double)spans->longest / 1000);
    }
}

static void
tell(struct bench *bench, const char *event, const char *call)
{
    printf("%-8s", event);
    print_spans(&bench->calls, call);
    print_spans(&bench->slices, "slice");
    printf("\n");
    memset(&bench->calls, 0, sizeof(bench->calls));
    memset(&bench->slices, 0, sizeof(bench->slices));
}

static void
measure_nothing(void)
{
    static struct bench bench;
    for (uint64_t begin = cpu_ns(), from = begin; from - begin < NOTHING_NS;) {
        uint64_t to = cpu_ns();
        spans_add(&bench.calls, to - from);
        from = to;
    }
    tell(&bench, "nothing", "call");
}

static void
open_cache(struct bench *bench, uint64_t items)
{
    memset(bench, 0, sizeof(*bench));
    bench->cache =
        cache_create(&(struct cache_options){ .memory_limit = items * ITEM_BYTES + (4u << 20),
                                              .item_size_max = 1 << 20,
                                              .hash_seed = 1,
                                              .now = NOW });
    if (bench->cache == NULL) {
        die("no memory");
    }
    bench->thread = cache_thread_open(bench->cache);
}

static void
close_cache(struct bench *bench)
{
    cache_thread_close(bench->cache, bench->thread);
    cache_destroy(bench->cache);
}

static void
measure_stores(uint64_t items)
{
    static struct bench bench;
    open_cache(&bench, items);
    while (bench.stored < items) {
        set(&bench, VALUE_LEN, CACHE_NEVER);
    }
    tell(&bench, "grow", "set");

    static struct cache_stats stats;
    for (bool full = false; !full; full = stats.sum.evicted > 0) {
        set(&bench, VALUE_LEN, CACHE_NEVER);
        if (bench.stored % 1000 == 0) {
            cache_stats_read(bench.cache, &stats);
        }
    }
    memset(&bench.calls, 0, sizeof(bench.calls));
    for (uint64_t i = 0; i < items / 4; i++) {
        set(&bench, VALUE_LEN, CACHE_NEVER);
    }
    tell(&bench, "evict", "set");

    /* Large ones come back now and then, so that their class is worth pages. */
    for (uint64_t i = 0; i < items / 8; i++) {
        uint64_t next = bench.stored;
        if (i % 2 == 1 && next > items / 100) {
            bench.stored = next - items / 100;
        }
        set(&bench, VALUE_LEN_MAX, CACHE_NEVER);
        bench.stored = next + 1;
    }
    tell(&bench, "move", "set");

    uint64_t limit = (items * ITEM_BYTES + (4u << 20)) / 2;
    if (!cache_set_memory_limit(bench.cache, limit)) {
        die("the limit cannot be halved");
    }
    bool over = true;
    for (unsigned slices = 0; over && slices < SLICES_MAX; slices++) {
        (void)slice(&bench);
        set(&bench, VALUE_LEN, CACHE_NEVER);
        if (slices % 1000 == 0) {
            cache_stats_read(bench.cache, &stats);
            over = stats.memory_used > limit;
        }
    }
    tell(&bench, "limit", "set");
    close_cache(&bench);
}

static void
measure_expiry(uint64_t items)
{
    static struct bench bench;
    open_cache(&bench, items);
    while (bench.stored < items) {
        set(&bench, VALUE_LEN, NOW + TTL_S);
    }
    memset(&bench.calls, 0, sizeof(bench.calls));
    unsigned slices = 0;
    /* The sweep has a bound for each second. */
    for (unsigned second = 0; second < SECONDS_MAX; second++) {
        cache_set_now(bench.cache, NOW + TTL_S + second);
        for (bool more = true; more && slices < SLICES_MAX; slices++) {
            more = slice(&bench);
            get(&bench, slices % items);
        }
    }
    static struct cache_stats stats;
    cache_stats_read(bench.cache, &stats);
    if (stats.items > 0) {
        die("expired items are left");
    }
    tell(&bench, "expire", "get");
    close_cache(&bench);
}

int
main(int argc, char **argv)
{
    static const struct option known[] = { { "items", required_argument, NULL, 'i' },
                                           { NULL, 0, NULL, 0 } };
    uint64_t items = 1000000;
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        char *end = NULL;
        items = c == 'i' ? strtoull(optarg, &end, 10) : 0;
        if (items < 100000 || items > 1000000000 || *end != '\0') {
            die("usage: pauses [--items N], from 100000 on");
        }
    }
    printf("%-8s%6s %9s%9s%9s%9s%9s   microseconds of the processor\n", "", "", "calls", "p50",
           "p99", "p99.9", "longest");
    measure_nothing();
    measure_stores(items);
    measure_expiry(items);
    measure_nothing();
    return 0;
}
