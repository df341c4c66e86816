/* Readers without a lock against everything that changes what they read.
 *
 * Many threads on one cache: writers overwrite, delete, append to and count up a few hot keys, and
 * store others that drive evictions, splits of the index and page moves; one thread maintains, lets
 * time pass and moves the memory limit.  Every value tells by itself whether it is whole, and which
 * key it belongs to; readers check each byte of each.
 *
 * At the end: the threads did overlap (reads were taken back, pages moved, items were evicted, the
 * index grew), nothing was refused, the structures are whole, and no chunk is left over.
 *
 * Built with LARDER_BREAK_BUCKET_ORDER, where a reader believes all it sees, it must fail:
 * must_fail.sh.
 *
 * environment: STRESS_SECONDS (5), STRESS_SEED (1), STRESS_MB (3)
 */
#include "config.h"

#include "base/clock.h"
#include "base/race.h"
#include "base/rng.h"
#include "engine/cache.h"
#include "engine/stats.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READERS           4u
#define WRITERS           3u
#define PLAIN_KEYS        6u
#define BLOCK_KEYS        2u
#define NUMBER_KEYS       2u
#define HOT_KEYS          (PLAIN_KEYS + BLOCK_KEYS + NUMBER_KEYS)
#define OTHER_KEYS        60000u
#define FILL_KEYS_MAX     10000000u
#define VALUE_MAX         (96u << 10) /* bytes */
#define BLOCKS_MAX        4000u       /* a longer list is begun anew */
#define NUMBER_STEP       7u          /* numbers are 3 modulo this */
#define NUMBER_REST       3u
#define CHECK_SECONDS_MIN 4u /* from here on a release build must have seen reads taken back */

struct plain_head {
    uint32_t key;
    uint32_t version;
    uint32_t len;
};

struct block {
    uint32_t serial;
    uint32_t mixed;
};

struct shared {
    struct cache *cache;
    uint64_t memory_limit;
    uint64_t seed;
    atomic_bool stop;
    _Atomic uint64_t failures;
    _Atomic uint64_t reads;
    _Atomic uint64_t taken_back; /* reads that a change overtook */
    _Atomic uint64_t pinned;
    _Atomic uint64_t stores;
    _Atomic uint64_t refused;
    _Atomic uint64_t over_limit;
};

struct worker {
    struct shared *shared;
    struct cache_thread *thread;
    struct rng rng;
    uint8_t *bytes; /* VALUE_MAX */
    pthread_t id;
};

static void
fail(struct shared *shared, const char *what, uint32_t key)
{
    /* relaxed: a count, read after the threads have ended */
    if (atomic_fetch_add_explicit(&shared->failures, 1, memory_order_relaxed) < 5) {
        printf("hot key %u: %s\n", key, what);
    }
}

static void
count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed); /* relaxed: as fail() */
}

static bool
stopped(const struct shared *shared)
{
    return atomic_load_explicit(&shared->stop, memory_order_relaxed); /* relaxed: soon is enough */
}

static uint32_t
mix(uint32_t key, uint32_t number)
{
    uint64_t word = ((uint64_t)key << 32 | number) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(word >> 32) ^ (uint32_t)word;
}

static uint32_t
hot_key(uint32_t number, char *text)
{
    return (uint32_t)sprintf(text, "hot:%u", number);
}

/* -- values that tell whether they are whole
 * ------------------------------------------------------------ */

static void
make_plain(uint8_t *bytes, uint32_t key, uint32_t version, uint32_t len)
{
    struct plain_head head = { key, version, len };
    memcpy(bytes, &head, sizeof(head));
    for (uint32_t at = sizeof(head); at < len; at += 4) {
        uint32_t word = mix(key ^ version, at);
        memcpy(bytes + at, &word, len - at < 4 ? len - at : 4);
    }
}

static void
check_plain(struct shared *shared, uint32_t key, const uint8_t *bytes, uint32_t len)
{
    struct plain_head head;
    if (len < sizeof(head)) {
        fail(shared, "too short", key);
        return;
    }
    memcpy(&head, bytes, sizeof(head));
    if (head.key != key || head.len != len) {
        fail(shared, "another key's value, or another length", key);
        return;
    }
    for (uint32_t at = sizeof(head); at < len; at += 4) {
        uint32_t word = mix(key ^ head.version, at);
        if (memcmp(bytes + at, &word, len - at < 4 ? len - at : 4) != 0) {
            fail(shared, "bytes of two values", key);
            return;
        }
    }
}

static void
check_blocks(struct shared *shared, uint32_t key, const uint8_t *bytes, uint32_t len)
{
    if (len % sizeof(struct block) != 0) {
        fail(shared, "half a block", key);
        return;
    }
    for (uint32_t at = 0; at < len; at += (uint32_t)sizeof(struct block)) {
        struct block block;
        memcpy(&block, bytes + at, sizeof(block));
        if (block.mixed != mix(key, block.serial)) {
            fail(shared, "a broken block", key);
            return;
        }
    }
}

static void
check_number(struct shared *shared, uint32_t key, const uint8_t *bytes, uint32_t len)
{
    uint64_t number = 0;
    uint32_t at = 0;
    while (at < len && bytes[at] >= '0' && bytes[at] <= '9') {
        number = number * 10 + (uint64_t)(bytes[at++] - '0');
    }
    bool blanks = at > 0;
    for (; at < len; at++) {
        blanks = blanks && bytes[at] == ' ';
    }
    if (!blanks || number % NUMBER_STEP != NUMBER_REST) {
        fail(shared, "a broken number", key);
    }
}

static void
check_value(struct shared *shared, uint32_t key, const uint8_t *bytes, uint32_t len)
{
    if (key < PLAIN_KEYS) {
        check_plain(shared, key, bytes, len);
    } else if (key < PLAIN_KEYS + BLOCK_KEYS) {
        check_blocks(shared, key, bytes, len);
    } else {
        check_number(shared, key, bytes, len);
    }
}

/* -- readers
 * ------------------------------------------------------------------------------------------- */

static void
copy_pin(struct worker *worker, const struct cache_read *read)
{
    size_t at = 0;
    while (at < read->value_len) {
        struct cache_piece pieces[4];
        unsigned n = cache_pin_pieces(worker->shared->cache, read->pin, at, pieces, 4);
        for (unsigned i = 0; i < n; i++) {
            memcpy(worker->bytes + at, pieces[i].at, pieces[i].len);
            at += pieces[i].len;
        }
    }
}

/** Reads one key that has been prefetched; a long value's pin stays with the caller. */
static void
read_one(struct worker *worker, struct cache_read *read, uint32_t key)
{
    struct shared *shared = worker->shared;
    for (;;) {
        if (cache_find(shared->cache, worker->thread, read) != CACHE_OK) {
            return;
        }
        if (read->value_len > VALUE_MAX) {
            if (cache_hit(shared->cache, worker->thread, read)) {
                fail(shared, "too long", key);
                return;
            }
            count(&shared->taken_back);
            continue;
        }
        if (rng_below(&worker->rng, 32) == 0) {
            sched_yield(); /* the time in which what was found may go */
        }
        if (read->pin != NULL) {
            count(&shared->pinned);
            copy_pin(worker, read);
        } else {
            cache_copy(shared->cache, read, worker->bytes);
        }
        if (cache_hit(shared->cache, worker->thread, read)) {
            count(&shared->reads);
            check_value(shared, key, worker->bytes, read->value_len);
            return;
        }
        count(&shared->taken_back);
    }
}

static void *
run_reader(void *arg)
{
    struct worker *worker = arg;
    struct shared *shared = worker->shared;
    while (!stopped(shared)) {
        char text[CACHE_BATCH_MAX][16];
        uint32_t key[CACHE_BATCH_MAX];
        struct cache_read reads[CACHE_BATCH_MAX];
        memset(reads, 0, sizeof(reads));
        unsigned n = 1 + (unsigned)rng_below(&worker->rng, CACHE_BATCH_MAX);
        for (unsigned i = 0; i < n; i++) {
            key[i] = (uint32_t)rng_below(&worker->rng, HOT_KEYS);
            reads[i].key = text[i];
            reads[i].key_len = hot_key(key[i], text[i]);
            reads[i].mode = rng_below(&worker->rng, 2) == 0 ? CACHE_READ_HIT : CACHE_READ_QUIET;
        }
        cache_enter(worker->thread);
        cache_prefetch(shared->cache, reads, n);
        unsigned held = n;
        for (unsigned i = 0; i < n; i++) {
            read_one(worker, &reads[i], key[i]);
            if (reads[i].pin != NULL && held == n) {
                held = i;
            } else if (reads[i].pin != NULL) {
                cache_unpin(shared->cache, worker->thread, &reads[i].pin);
            }
        }
        cache_leave(worker->thread);
        /* A pinned value outlives the section, and what happens to its key. */
        if (held < n) {
            copy_pin(worker, &reads[held]);
            check_value(shared, key[held], worker->bytes, reads[held].value_len);
            cache_unpin(shared->cache, worker->thread, &reads[held].pin);
        }
    }
    return NULL;
}

/* -- writers
 * ------------------------------------------------------------------------------------------- */

static enum cache_result
store(struct worker *worker, const char *key, uint32_t key_len, uint32_t value_len,
      enum cache_store_mode mode)
{
    struct shared *shared = worker->shared;
    struct cache_store begun;
    uint32_t flags = rng_below(&worker->rng, 3) == 0 ? 5u : 0u;
    int64_t expires_at =
        rng_below(&worker->rng, 8) == 0 ? cache_now(shared->cache) + 1 : CACHE_NEVER;
    if (mode == CACHE_SET && rng_below(&worker->rng, 2) == 0) {
        uint64_t cas;
        count(&shared->stores);
        return cache_set(shared->cache, worker->thread, key, key_len, worker->bytes, value_len,
                         flags, expires_at, &cas);
    }
    enum cache_result result = cache_store_begin(shared->cache, worker->thread, key, key_len,
                                                 value_len, flags, expires_at, &begun);
    if (result == CACHE_OK) {
        result = cache_store_write(shared->cache, worker->thread, &begun, worker->bytes, value_len);
    }
    if (result == CACHE_OK && rng_below(&worker->rng, 64) == 0) {
        cache_store_abort(shared->cache, worker->thread, &begun);
        return CACHE_OK;
    }
    if (result == CACHE_OK) {
        result = cache_store_commit(shared->cache, worker->thread, &begun, mode, 0, NULL);
    }
    count(&shared->stores);
    if (result == CACHE_NO_MEMORY) {
        count(&shared->refused);
    }
    return result;
}

static uint32_t
draw_len(struct worker *worker)
{
    switch (rng_below(&worker->rng, 16)) {
    case 0:
        return (uint32_t)sizeof(struct plain_head) +
               (uint32_t)rng_below(&worker->rng, VALUE_MAX - sizeof(struct plain_head));
    case 1:
    case 2:
        return (uint32_t)sizeof(struct plain_head) + (uint32_t)rng_below(&worker->rng, 8192);
    case 3:
    case 4:
        return 3500; /* of one class: chunks are used again soon, and a copy takes long enough to be
                        overtaken */
    case 5:
    case 6:
        return 2000; /* the same, and short enough to be written over its like: cache_set() */
    default:
        return (uint32_t)sizeof(struct plain_head) + (uint32_t)rng_below(&worker->rng, 200);
    }
}

static void
write_blocks(struct worker *worker, uint32_t key, const char *text, uint32_t text_len)
{
    struct block block = { .serial = (uint32_t)rng_next(&worker->rng) };
    block.mixed = mix(key, block.serial);
    memcpy(worker->bytes, &block, sizeof(block));
    enum cache_store_mode mode = rng_below(&worker->rng, 2) == 0 ? CACHE_APPEND : CACHE_PREPEND;
    if (rng_below(&worker->rng, BLOCKS_MAX) == 0) {
        mode = CACHE_SET;
    }
    if (store(worker, text, text_len, sizeof(block), mode) == CACHE_NOT_STORED) {
        store(worker, text, text_len, sizeof(block), CACHE_ADD);
    }
}

static void
write_number(struct worker *worker, const char *text, uint32_t text_len)
{
    struct cache *cache = worker->shared->cache;
    uint64_t delta = NUMBER_STEP * rng_below(&worker->rng, 1000);
    uint64_t value;
    enum cache_result result =
        cache_arith(cache, worker->thread, text, text_len, false, delta, 0, &value, NULL);
    if (result == CACHE_MISS || rng_below(&worker->rng, 500) == 0) {
        worker->bytes[0] = '0' + NUMBER_REST;
        store(worker, text, text_len, 1, CACHE_SET);
    } else if (result == CACHE_OK && value % NUMBER_STEP != NUMBER_REST) {
        fail(worker->shared, "a broken sum", 0);
    }
}

static void
write_hot(struct worker *worker)
{
    struct cache *cache = worker->shared->cache;
    uint32_t key = (uint32_t)rng_below(&worker->rng, HOT_KEYS);
    char text[16];
    uint32_t text_len = hot_key(key, text);
    uint64_t what = rng_below(&worker->rng, 32);
    if (what == 0) {
        (void)!cache_delete(cache, worker->thread, text, text_len, 0);
    } else if (what == 1) {
        int64_t expires_at = rng_below(&worker->rng, 2) == 0 ? CACHE_NEVER : cache_now(cache) + 1;
        (void)!cache_touch(cache, worker->thread, text, text_len, expires_at);
    } else if (key < PLAIN_KEYS) {
        uint32_t len = draw_len(worker);
        make_plain(worker->bytes, key, (uint32_t)rng_next(&worker->rng), len);
        store(worker, text, text_len, len, CACHE_SET);
    } else if (key < PLAIN_KEYS + BLOCK_KEYS) {
        write_blocks(worker, key, text, text_len);
    } else {
        write_number(worker, text, text_len);
    }
}

/** Stores other keys, of sizes that shift: so the index grows, pages move, and what is hot is
 * evicted too. */
static void
write_others(struct worker *worker, uint64_t round)
{
    uint32_t typical = 8u << (round / 512 % 10);
    for (unsigned i = 0; i < 8; i++) {
        char text[24];
        uint32_t number = (uint32_t)rng_below(&worker->rng, OTHER_KEYS);
        uint32_t text_len = (uint32_t)sprintf(text, "other:%u", number);
        uint32_t len = (uint32_t)rng_below(&worker->rng, typical + 1);
        if (rng_below(&worker->rng, 16) == 0) {
            (void)!cache_delete(worker->shared->cache, worker->thread, text, text_len, 0);
        } else {
            store(worker, text, text_len, len, CACHE_SET);
        }
    }
}

static void *
run_writer(void *arg)
{
    struct worker *worker = arg;
    for (uint64_t round = 0; !stopped(worker->shared); round++) {
        /* As a session does: stores come from within a section. */
        cache_enter(worker->thread);
        write_hot(worker);
        write_hot(worker);
        if (round % 4 == 0) {
            write_others(worker, round);
        }
        cache_leave(worker->thread);
    }
    return NULL;
}

/* -- maintenance
 * --------------------------------------------------------------------------------------- */

static void *
run_maintainer(void *arg)
{
    struct worker *worker = arg;
    struct shared *shared = worker->shared;
    static struct cache_stats stats;
    int64_t now = cache_now(shared->cache);
    const uint64_t slack = (uint64_t)320
                           << 10; /* of index and queues: OVERFLOW_SLACK, SEGMENT_SLACK */
    for (uint64_t round = 0; !stopped(shared); round++) {
        cache_maintain(shared->cache, worker->thread);
        if (round % 64 == 0) {
            cache_set_now(shared->cache, ++now);
        }
        if (round % 512 == 0) {
            uint64_t limit = shared->memory_limit / 4 * 3 +
                             rng_below(&worker->rng, shared->memory_limit / 4 + 1);
            if (!cache_set_memory_limit(shared->cache, limit)) {
                fail(shared, "the limit is refused", 0);
            }
        }
        if (round % 128 == 0) {
            cache_stats_read(shared->cache, &stats);
            if (stats.memory_used > shared->memory_limit + slack) {
                count(&shared->over_limit);
            }
        }
        if (round % 4096 == 4095 && rng_below(&worker->rng, 4) == 0) {
            cache_flush(shared->cache, 0);
        }
        sched_yield();
    }
    return NULL;
}

/* -- running
 * ------------------------------------------------------------------------------------------- */

static uint64_t
setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    uint64_t value = text != NULL ? strtoull(text, NULL, 10) : 0;
    return value > 0 ? value : otherwise;
}

static unsigned passed, failed;

static void
expect(bool ok, const char *what)
{
    if (ok) {
        passed++;
    } else {
        failed++;
        printf("not so: %s\n", what);
    }
}

static bool
ignore_item(void *arg, const struct cache_item_info *item)
{
    (void)item;
    ++*(uint64_t *)arg;
    return true;
}

/** One long value to begin with, which is read and pinned from the start. */
static void
store_first(struct worker *worker)
{
    char text[16];
    uint32_t text_len = hot_key(0, text);
    make_plain(worker->bytes, 0, 1, VALUE_MAX);
    struct cache_store begun;
    if (cache_store_begin(worker->shared->cache, worker->thread, text, text_len, VALUE_MAX, 0,
                          CACHE_NEVER, &begun) == CACHE_OK &&
        cache_store_write(worker->shared->cache, worker->thread, &begun, worker->bytes,
                          VALUE_MAX) == CACHE_OK) {
        (void)!cache_store_commit(worker->shared->cache, worker->thread, &begun, CACHE_SET, 0,
                                  NULL);
    }
}

/** Stores until something has been evicted: what the threads store from then on needs room. */
static void
fill_up(struct worker *worker)
{
    static struct cache_stats stats;
    for (unsigned number = 0; number < FILL_KEYS_MAX && stats.sum.evicted == 0; number++) {
        char text[24];
        uint32_t text_len = (uint32_t)sprintf(text, "fill:%u", number);
        store(worker, text, text_len, 300, CACHE_SET);
        if (number % 64 == 0) {
            cache_stats_read(worker->shared->cache, &stats);
        }
    }
}

/** After all threads have ended: whole, and empty once everything is dead. */
static void
check_end(struct shared *shared, struct cache_thread *thread)
{
    static struct cache_stats stats;
    cache_check(shared->cache);
    cache_stats_read(shared->cache, &stats);
    uint64_t visited = 0;
    for (unsigned id = 1; id <= stats.classes; id++) {
        cache_visit_class(shared->cache, id, UINT64_MAX, ignore_item, &visited);
    }
    expect(visited <= stats.items, "no more items are visited than are counted");
    cache_flush(shared->cache, 0);
    for (unsigned i = 0; i < 64; i++) {
        while (cache_maintain(shared->cache, thread)) {
        }
    }
    cache_check(shared->cache);
    cache_stats_read(shared->cache, &stats);
    expect(stats.items == 0 && stats.bytes == 0, "no item is left after a flush and a sweep");
    expect(stats.sum.used_chunks == 0, "no chunk is left over");
}

int
main(void)
{
    static struct shared shared;
    static struct worker workers[READERS + WRITERS + 1];
    uint64_t seconds = setting("STRESS_SECONDS", 5);
    shared.seed = setting("STRESS_SEED", 1);
    shared.memory_limit = setting("STRESS_MB", 3) << 20;
    struct cache_options options = { .memory_limit = shared.memory_limit,
                                     .item_size_max = 1u << 20,
                                     .hash_seed = shared.seed,
                                     .cas_disabled = shared.seed % 2 == 0,
                                     .now = 1700000000 };
    shared.cache = cache_create(&options);
    if (shared.cache == NULL) {
        perror("cache_create");
        return EXIT_FAILURE;
    }
    for (unsigned i = 0; i < READERS + WRITERS + 1; i++) {
        struct worker *worker = &workers[i];
        worker->shared = &shared;
        worker->thread = cache_thread_open(shared.cache);
        worker->bytes = malloc(VALUE_MAX);
        rng_init(&worker->rng, shared.seed * 100 + i);
        if (i == 0 && worker->thread != NULL && worker->bytes != NULL) {
            fill_up(worker);
            store_first(worker);
        }
        void *(*run)(void *) = i < READERS             ? run_reader
                               : i < READERS + WRITERS ? run_writer
                                                       : run_maintainer;
        if (worker->thread == NULL || worker->bytes == NULL ||
            pthread_create(&worker->id, NULL, run, worker) != 0) {
            printf("no thread\n");
            return EXIT_FAILURE;
        }
    }
    struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
    for (uint64_t end = clock_monotonic_us() + seconds * 1000000; clock_monotonic_us() < end;) {
        nanosleep(&pause, NULL);
    }
    atomic_store_explicit(&shared.stop, true, memory_order_relaxed); /* relaxed: the joins order */
    for (unsigned i = 0; i < READERS + WRITERS + 1; i++) {
        pthread_join(workers[i].id, NULL);
    }

    static struct cache_stats stats;
    cache_stats_read(shared.cache, &stats);
    /* relaxed, all of these: the threads have ended */
    uint64_t reads = atomic_load_explicit(&shared.reads, memory_order_relaxed);
    uint64_t taken_back = atomic_load_explicit(&shared.taken_back, memory_order_relaxed);
    uint64_t pinned = atomic_load_explicit(&shared.pinned, memory_order_relaxed);
    uint64_t refused = atomic_load_explicit(&shared.refused, memory_order_relaxed);
    printf(
        "reads %llu, taken back %llu, pinned %llu, stores %llu, refused %llu, evicted %llu, pages moved %llu, rescued "
        "%llu, buckets %llu\n",
        (unsigned long long)reads, (unsigned long long)taken_back, (unsigned long long)pinned,
        (unsigned long long)atomic_load_explicit(&shared.stores, memory_order_relaxed),
        (unsigned long long)refused, (unsigned long long)stats.sum.evicted,
        (unsigned long long)stats.pages_moved, (unsigned long long)stats.items_rescued,
        (unsigned long long)stats.index_buckets);
    expect(atomic_load_explicit(&shared.failures, memory_order_relaxed) == 0,
           "every value that was read is whole");
    expect(atomic_load_explicit(&shared.over_limit, memory_order_relaxed) == 0,
           "the memory limit holds");
    expect(refused == 0, "nothing is refused");
    expect(reads > 0 && pinned > 0, "values were read, copied and pinned");
    expect(stats.sum.evicted > 0, "items were evicted");
    expect(stats.index_buckets > 64, "the index grew");
    expect(stats.pages_moved > 0, "pages moved");
    bool must_overlap = seconds >= CHECK_SECONDS_MIN;
#ifdef LARDER_DEBUG
    must_overlap = true;
#endif
    expect(taken_back > 0 || !must_overlap, "the threads overlapped: reads were taken back");
    check_end(&shared, workers[0].thread);
    for (unsigned i = 0; i < READERS + WRITERS + 1; i++) {
        cache_thread_close(shared.cache, workers[i].thread);
        free(workers[i].bytes);
    }
    cache_destroy(shared.cache);
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
