/* What one call of the library costs, and which share of that nobody can save.
 *
 *     build/release/bench/micro/library [--full] [--json] [--items N]... [--threads N]... [--value
 * N] [--seconds S]
 *
 * Each row is ns per operation and thread, the median of SLICES slices.  Beside it stands the
 * floor: a plain loop that makes the same keys and touches the same amount of memory in the same
 * random pattern.
 *
 *     get hit, batch   one random line of an index, then one random item, whose value is copied out
 *     get miss         the line
 *     set over         the line, and a random item, written
 *     set new          the line, and the next item, written, in memory that is fresh from the
 * kernel set evict        two lines (one is the victim's) and a random item: its header read, then
 * written
 */
#include "larder.h"

#include "bench/embed/key.h"
#include "bench/load/random.h"

#include <getopt.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define KEY_LEN       KEY_LETTERS
#define HEADER_LEN    20u  /* bytes of an item besides key and value, for the floor */
#define LINE_LEN      64u  /* bytes of the index that one lookup touches */
#define LINE_ITEMS    6u   /* items that share a line */
#define BATCH         16u  /* keys of one larder_get_batch() */
#define CHUNK         240u /* operations between two looks at the clock; a multiple of BATCH */
#define SLICES        5u
#define VALUE_LEN_MAX 16384u /* bytes */
#define THREADS_MAX   64u
#define LIST_MAX      8u /* --items, --threads */
#define ROWS_MAX      512u
#define FILLS_MAX     64u         /* of a small cache, for one figure */
#define ITEM_EXTRA    64u         /* bytes of the limit per item, besides key and value */
#define SPARE         (32u << 20) /* bytes of the limit besides the items */

enum operation {
    GET_HIT,
    GET_MISS,
    GET_BATCH,
    SET_OVER,
    SET_NEW,
    SET_EVICT,
    OPERATIONS,
};

static const char *const operation_names[OPERATIONS] = {
    [GET_HIT] = "get hit",   [GET_MISS] = "get miss", [GET_BATCH] = "get batch of 16",
    [SET_OVER] = "set over", [SET_NEW] = "set new",   [SET_EVICT] = "set evict",
};

struct options {
    uint64_t items[LIST_MAX];
    unsigned items_count;
    unsigned threads[LIST_MAX];
    unsigned threads_count;
    size_t value_len;
    double seconds; /* of one row */
    bool json;
};

/* The memory that the floor touches. */
struct floor {
    uint8_t *lines;
    uint64_t line_count;
    uint8_t *items;
    size_t item_len;
    size_t lines_size;
    size_t items_size;
};

struct bench {
    const struct options *options;
    uint64_t items;
    unsigned threads;
    enum operation operation;
    bool of_floor;
    struct larder *cache;
    struct floor floor;
    pthread_barrier_t barrier;
    _Atomic uint64_t next_new; /* the first key that nobody has stored yet */
    _Atomic uint64_t wrong;    /* answers that are not what the row is about */
    double slice_s;
};

struct worker {
    struct bench *bench;
    uint64_t random;
    uint64_t operations[SLICES];
    double seconds[SLICES];
};

struct row {
    enum operation operation;
    uint64_t items;
    unsigned threads;
    double ns, ns_min, ns_max;
    double floor_ns;
};

static struct row rows[ROWS_MAX];
static unsigned row_count;

static _Noreturn void __attribute__((format(printf, 1, 2))) die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static double
now_s(void)
{
    struct timespec ts;
    if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0) {
        die("no monotonic clock");
    }
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/** The compiler is to believe that somebody looks at these bytes. */
static inline void
use(const void *bytes)
{
    __asm__ volatile("" : : "r"(bytes) : "memory");
}

/* -- the floor
 * --------------------------------------------------------------------------------------- */

static void *
map_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        die("no memory for the floor: %zu bytes", size);
    }
    return memory;
}

static void
floor_open(struct floor *floor, uint64_t items, size_t value_len, bool touched)
{
    floor->line_count = items / LINE_ITEMS + 1;
    floor->lines_size = floor->line_count * LINE_LEN;
    floor->item_len = (HEADER_LEN + KEY_LEN + value_len + 7) / 8 * 8;
    floor->items_size = items * floor->item_len;
    floor->lines = map_memory(floor->lines_size);
    floor->items = map_memory(floor->items_size);
    if (touched) {
        memset(floor->lines, 0, floor->lines_size);
        memset(floor->items, 0, floor->items_size);
    }
}

static void
floor_close(struct floor *floor)
{
    munmap(floor->lines, floor->lines_size);
    munmap(floor->items, floor->items_size);
    memset(floor, 0, sizeof(*floor));
}

static inline uint64_t *
floor_line(const struct floor *floor, const uint8_t key[KEY_LEN])
{
    uint64_t words[2];
    memcpy(words, key, sizeof(words));
    uint64_t hash = random_mix(words[0] + 31 * words[1]);
    return (uint64_t *)(void *)(floor->lines +
                                (size_t)((unsigned __int128)hash * floor->line_count >> 64) *
                                    LINE_LEN);
}

/** Where item `number` lies; lines hold nothing but zeroes, so that their bytes take part without
 * changing it. */
static inline uint8_t *
floor_item(const struct floor *floor, uint64_t number, uint64_t line_word)
{
    return floor->items + (number + line_word) * floor->item_len;
}

static inline void
floor_write_item(uint8_t *item, const uint8_t key[KEY_LEN], const uint8_t *value, size_t value_len)
{
    memset(item, 0, HEADER_LEN);
    memcpy(item + HEADER_LEN, key, KEY_LEN);
    memcpy(item + HEADER_LEN + KEY_LEN, value, value_len);
}

static void
floor_batch(struct worker *worker, uint8_t *value)
{
    const struct floor *floor = &worker->bench->floor;
    size_t value_len = worker->bench->options->value_len;
    uint8_t keys[BATCH][KEY_LEN];
    uint64_t numbers[BATCH];
    uint64_t *lines[BATCH];
    uint8_t *items[BATCH];
    for (unsigned i = 0; i < BATCH; i++) {
        numbers[i] = random_below(&worker->random, worker->bench->items);
        key_make(keys[i], numbers[i]);
        lines[i] = floor_line(floor, keys[i]);
        __builtin_prefetch(lines[i]);
    }
    for (unsigned i = 0; i < BATCH; i++) {
        items[i] = floor_item(floor, numbers[i], lines[i][0]);
        for (size_t at = 0; at < floor->item_len && at < 4 * LINE_LEN; at += LINE_LEN) {
            __builtin_prefetch(items[i] + at);
        }
    }
    for (unsigned i = 0; i < BATCH; i++) {
        memcpy(value, items[i] + HEADER_LEN + KEY_LEN, value_len);
        use(value);
    }
}

/** CHUNK operations of the floor. */
static void
floor_chunk(struct worker *worker, uint8_t *value)
{
    struct bench *bench = worker->bench;
    const struct floor *floor = &bench->floor;
    size_t value_len = bench->options->value_len;
    uint8_t key[KEY_LEN];
    uint64_t first = bench->operation == SET_NEW
                         ? atomic_fetch_add_explicit(&bench->next_new, CHUNK, memory_order_relaxed)
                         : 0;
    for (unsigned i = 0; i < CHUNK; i++) {
        uint64_t number =
            bench->operation == SET_NEW ? first + i : random_below(&worker->random, bench->items);
        if (number >= bench->items) {
            return;
        }
        key_make(key, number);
        uint64_t *line = floor_line(floor, key);
        switch (bench->operation) {
        case GET_HIT:
            memcpy(value, floor_item(floor, number, line[0]) + HEADER_LEN + KEY_LEN, value_len);
            use(value);
            break;
        case GET_MISS:
            use((void *)(uintptr_t)line[0]);
            break;
        case GET_BATCH:
            floor_batch(worker, value);
            i += BATCH - 1;
            break;
        case SET_OVER:
        case SET_NEW:
            line[1] += number;
            floor_write_item(floor_item(floor, number, line[0]), key, value, value_len);
            break;
        case SET_EVICT: {
            uint8_t *item = floor_item(floor, number, line[0]);
            uint8_t victim[KEY_LEN];
            memcpy(victim, item + HEADER_LEN, KEY_LEN);
            floor_line(floor, victim)[2] += number;
            line[1] += number;
            floor_write_item(item, key, value, value_len);
            break;
        }
        case OPERATIONS:
            break;
        }
    }
}

/* -- the library
 * ------------------------------------------------------------------------------------- */

static inline void
expect(struct bench *bench, bool right)
{
    if (__builtin_expect(!right, 0)) {
        atomic_fetch_add_explicit(&bench->wrong, 1, memory_order_relaxed);
    }
}

static void
library_batch(struct worker *worker, uint8_t *values)
{
    struct bench *bench = worker->bench;
    size_t value_len = bench->options->value_len;
    uint8_t keys[BATCH][KEY_LEN];
    struct larder_get gets[BATCH];
    for (unsigned i = 0; i < BATCH; i++) {
        key_make(keys[i], random_below(&worker->random, bench->items));
        gets[i].key = keys[i];
        gets[i].key_len = KEY_LEN;
        gets[i].buf = values; /* one for all, as in the floor */
        gets[i].buf_cap = value_len;
    }
    larder_get_batch(bench->cache, gets, BATCH);
    for (unsigned i = 0; i < BATCH; i++) {
        expect(bench, gets[i].result == LARDER_OK && gets[i].value_len == value_len);
    }
}

/** CHUNK operations of the library. */
static void
library_chunk(struct worker *worker, uint8_t *value)
{
    struct bench *bench = worker->bench;
    size_t value_len = bench->options->value_len;
    bool fresh = bench->operation == SET_NEW || bench->operation == SET_EVICT;
    uint64_t first =
        fresh ? atomic_fetch_add_explicit(&bench->next_new, CHUNK, memory_order_relaxed) : 0;
    uint8_t key[KEY_LEN];
    size_t len = 0;
    for (unsigned i = 0; i < CHUNK; i++) {
        uint64_t number = fresh ? first + i : random_below(&worker->random, bench->items);
        if (bench->operation == SET_NEW && number >= bench->items) {
            return;
        }
        key_make(key, bench->operation == GET_MISS ? ~number : number);
        switch (bench->operation) {
        case GET_HIT:
            expect(bench,
                   larder_get(bench->cache, key, KEY_LEN, value, value_len, &len) == LARDER_OK);
            use(value);
            break;
        case GET_MISS:
            expect(bench,
                   larder_get(bench->cache, key, KEY_LEN, value, value_len, &len) == LARDER_MISS);
            break;
        case GET_BATCH:
            library_batch(worker, value);
            i += BATCH - 1;
            break;
        case SET_OVER:
        case SET_NEW:
        case SET_EVICT:
            expect(bench, larder_set(bench->cache, key, KEY_LEN, value, value_len, 0) == LARDER_OK);
            break;
        case OPERATIONS:
            break;
        }
    }
}

/* -- running
 * ----------------------------------------------------------------------------------------- */

/** Whether all new keys are stored: a fill has an end, the other rows have a time. */
static bool
filled(struct bench *bench)
{
    return atomic_load_explicit(&bench->next_new, memory_order_relaxed) >= bench->items;
}

static void *
work(void *arg)
{
    struct worker *worker = arg;
    struct bench *bench = worker->bench;
    bool fill = bench->operation == SET_NEW;
    uint8_t *value = aligned_alloc(LINE_LEN, VALUE_LEN_MAX);
    if (value == NULL) {
        die("no memory for a value");
    }
    memset(value, 'v', VALUE_LEN_MAX);
    for (unsigned slice = 0; slice < (fill ? 1 : SLICES); slice++) {
        pthread_barrier_wait(&bench->barrier);
        double start = now_s();
        double end = start;
        uint64_t operations = 0;
        while (fill ? !filled(bench) : end - start < bench->slice_s) {
            if (bench->of_floor) {
                floor_chunk(worker, value);
            } else {
                library_chunk(worker, value);
            }
            operations += CHUNK;
            end = now_s();
        }
        worker->operations[slice] = operations;
        worker->seconds[slice] = end - start;
    }
    free(value);
    return NULL;
}

static void
run_workers(struct bench *bench, struct worker workers[])
{
    pthread_t ids[THREADS_MAX];
    if (pthread_barrier_init(&bench->barrier, NULL, bench->threads) != 0) {
        die("no barrier");
    }
    for (unsigned i = 0; i < bench->threads; i++) {
        memset(&workers[i], 0, sizeof(workers[i]));
        workers[i].bench = bench;
        workers[i].random = random_mix(i + 1 + 1000 * (uint64_t)bench->operation);
        if (pthread_create(&ids[i], NULL, work, &workers[i]) != 0) {
            die("no thread");
        }
    }
    for (unsigned i = 0; i < bench->threads; i++) {
        pthread_join(ids[i], NULL);
    }
    pthread_barrier_destroy(&bench->barrier);
}

static int
by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/** Sorts the samples, and gives the median. */
static double
median(double *samples, unsigned count)
{
    qsort(samples, count, sizeof(samples[0]), by_size);
    return count % 2 == 1 ? samples[count / 2] : (samples[count / 2 - 1] + samples[count / 2]) / 2;
}

/** One row of all threads; ns per operation in each slice. */
static void
run_slices(struct bench *bench, enum operation operation, unsigned threads, double ns[SLICES])
{
    static struct worker workers[THREADS_MAX];
    bench->operation = operation;
    bench->threads = threads;
    bench->slice_s = bench->options->seconds / SLICES;
    run_workers(bench, workers);
    for (unsigned slice = 0; slice < SLICES; slice++) {
        double seconds = 0;
        uint64_t operations = 0;
        for (unsigned i = 0; i < threads; i++) {
            seconds += workers[i].seconds[slice];
            operations += workers[i].operations[slice];
        }
        ns[slice] = seconds * 1e9 / (double)operations;
    }
}

/** Fills what is empty; ns per item. */
static double
run_fill(struct bench *bench, unsigned threads)
{
    static struct worker workers[THREADS_MAX];
    bench->operation = SET_NEW;
    bench->threads = threads;
    atomic_store_explicit(&bench->next_new, 0, memory_order_relaxed);
    run_workers(bench, workers);
    double seconds = 0;
    for (unsigned i = 0; i < threads; i++) {
        seconds += workers[i].seconds[0];
    }
    return seconds * 1e9 / (double)bench->items;
}

static void
open_cache(struct bench *bench)
{
    struct larder_options options = LARDER_OPTIONS_INIT;
    options.memory_limit =
        bench->items * (KEY_LEN + bench->options->value_len + ITEM_EXTRA) + SPARE;
    enum larder_result result = larder_open(&options, &bench->cache);
    if (result != LARDER_OK) {
        die("larder_open: %s", larder_result_text(result));
    }
}

static struct row *
find_row(enum operation operation, uint64_t items, unsigned threads)
{
    for (unsigned i = 0; i < row_count; i++) {
        if (rows[i].operation == operation && rows[i].items == items &&
            rows[i].threads == threads) {
            return &rows[i];
        }
    }
    if (row_count == ROWS_MAX) {
        die("more than %u rows", ROWS_MAX);
    }
    rows[row_count] = (struct row){ .operation = operation, .items = items, .threads = threads };
    return &rows[row_count++];
}

static void
measure(struct bench *bench, enum operation operation, unsigned threads)
{
    double ns[SLICES];
    run_slices(bench, operation, threads, ns);
    struct row *row = find_row(operation, bench->items, threads);
    if (bench->of_floor) {
        row->floor_ns = median(ns, SLICES);
        return;
    }
    row->ns = median(ns, SLICES);
    row->ns_min = ns[0];
    row->ns_max = ns[SLICES - 1];
}

/** Fills as often as fits the time, at least once; leaves the last one filled. */
static void
measure_fill(struct bench *bench, unsigned threads)
{
    double ns[FILLS_MAX];
    unsigned count = 0;
    double start = now_s();
    do {
        if (count > 0 && bench->of_floor) {
            floor_close(&bench->floor);
        } else if (count > 0) {
            larder_close(&bench->cache);
        }
        if (bench->of_floor) {
            floor_open(&bench->floor, bench->items, bench->options->value_len, false);
        } else {
            open_cache(bench);
        }
        ns[count++] = run_fill(bench, threads);
    } while (count < FILLS_MAX && now_s() - start < bench->options->seconds);
    struct row *row = find_row(SET_NEW, bench->items, threads);
    double middle = median(ns, count);
    if (bench->of_floor) {
        row->floor_ns = middle;
    } else {
        row->ns = middle;
        row->ns_min = ns[0];
        row->ns_max = ns[count - 1];
    }
}

/** Stores new keys until the first are evicted. */
static void
fill_to_the_brim(struct bench *bench)
{
    uint8_t *value = calloc(1, VALUE_LEN_MAX);
    if (value == NULL) {
        die("no memory for a value");
    }
    struct larder_stats stats = { .version = LARDER_STATS_VERSION };
    for (uint64_t stored = 0; stored < 2 * bench->items + (1u << 20) && stats.evictions < 1000;
         stored += CHUNK) {
        struct worker worker = { .bench = bench };
        bench->operation = SET_EVICT;
        library_chunk(&worker, value);
        if (stored % (CHUNK * 16) == 0 && larder_stats(bench->cache, &stats) != LARDER_OK) {
            die("no statistics");
        }
    }
    if (stats.evictions == 0) {
        die("nothing was evicted");
    }
    free(value);
}

static const enum operation timed[] = { GET_HIT, GET_BATCH, GET_MISS, SET_OVER };

static void
bench_floor(struct bench *bench)
{
    bench->of_floor = true;
    const struct options *options = bench->options;
    for (unsigned t = 0; t < options->threads_count; t++) {
        measure_fill(bench, options->threads[t]);
        floor_close(&bench->floor);
    }
    floor_open(&bench->floor, bench->items, options->value_len, true);
    for (unsigned t = 0; t < options->threads_count; t++) {
        for (unsigned i = 0; i < sizeof(timed) / sizeof(timed[0]); i++) {
            measure(bench, timed[i], options->threads[t]);
        }
        measure(bench, SET_EVICT, options->threads[t]);
    }
    floor_close(&bench->floor);
}

static void
bench_library(struct bench *bench)
{
    bench->of_floor = false;
    const struct options *options = bench->options;
    for (unsigned t = 0; t < options->threads_count; t++) {
        measure_fill(bench, options->threads[t]);
        if (t + 1 < options->threads_count) {
            larder_close(&bench->cache);
        }
    }
    for (unsigned t = 0; t < options->threads_count; t++) {
        for (unsigned i = 0; i < sizeof(timed) / sizeof(timed[0]); i++) {
            measure(bench, timed[i], options->threads[t]);
        }
    }
    uint64_t wrong = atomic_load_explicit(&bench->wrong, memory_order_relaxed);
    if (wrong > 0) {
        die("%llu answers were not what they should be", (unsigned long long)wrong);
    }
    fill_to_the_brim(bench);
    for (unsigned t = 0; t < options->threads_count; t++) {
        measure(bench, SET_EVICT, options->threads[t]);
    }
    if (atomic_load_explicit(&bench->wrong, memory_order_relaxed) > 0) {
        die("stores were refused in a full cache");
    }
    larder_close(&bench->cache);
}

/* -- options and output
 * ------------------------------------------------------------------------------ */

static uint64_t
parse_count(const char *text)
{
    char *end = NULL;
    unsigned long long number = strtoull(text, &end, 10);
    if (end == text || number == 0) {
        die("not a count: %s", text);
    }
    if (*end == 'k') {
        number *= 1000;
        end++;
    } else if (*end == 'm') {
        number *= 1000000;
        end++;
    }
    if (*end != '\0' || number > 1000000000000u) {
        die("not a count: %s", text);
    }
    return number;
}

static void
parse_options(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {
        { "full", no_argument, NULL, 'f' },
        { "json", no_argument, NULL, 'j' },
        { "items", required_argument, NULL, 'i' },
        { "threads", required_argument, NULL, 't' },
        { "value", required_argument, NULL, 'v' },
        { "seconds", required_argument, NULL, 's' },
        { NULL, 0, NULL, 0 },
    };
    *options = (struct options){ .value_len = 100, .seconds = 0.25 };
    int name;
    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (name) {
        case 'f':
            options->seconds = 2.0;
            break;
        case 'j':
            options->json = true;
            break;
        case 'i':
            if (options->items_count == LIST_MAX) {
                die("--items: at most %u", LIST_MAX);
            }
            options->items[options->items_count++] = parse_count(optarg);
            break;
        case 't':
            if (options->threads_count == LIST_MAX || parse_count(optarg) > THREADS_MAX) {
                die("--threads: at most %u numbers up to %u", LIST_MAX, THREADS_MAX);
            }
            options->threads[options->threads_count++] = (unsigned)parse_count(optarg);
            break;
        case 'v':
            options->value_len = (size_t)parse_count(optarg);
            if (options->value_len > VALUE_LEN_MAX) {
                die("--value: at most %u", VALUE_LEN_MAX);
            }
            break;
        case 's':
            options->seconds = strtod(optarg, NULL);
            if (!(options->seconds > 0.0) || options->seconds > 3600.0) {
                die("--seconds: above 0, up to 3600");
            }
            break;
        default:
            exit(2);
        }
    }
    if (optind != argc) {
        die("not an option: %s", argv[optind]);
    }
    if (options->items_count == 0) {
        options->items[options->items_count++] = 100000;
        options->items[options->items_count++] = 10000000;
    }
    if (options->threads_count == 0) {
        options->threads[options->threads_count++] = 1;
        options->threads[options->threads_count++] = 2;
    }
}

/** Takes fewer items where the machine has not the memory for so many. */
static uint64_t
items_that_fit(uint64_t items, size_t value_len)
{
    long pages = sysconf(_SC_AVPHYS_PAGES);
    long page_size = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || page_size <= 0) {
        return items;
    }
    uint64_t have = (uint64_t)pages * (uint64_t)page_size / 4 * 3;
    uint64_t fit = items;
    while (fit > 1000 && fit * (KEY_LEN + value_len + ITEM_EXTRA) + SPARE > have) {
        fit /= 2;
    }
    if (fit != items) {
        fprintf(stderr, "%llu items in place of %llu: there is not the memory\n",
                (unsigned long long)fit, (unsigned long long)items);
    }
    return fit;
}

static void
print_table(const struct options *options)
{
    printf(
        "values of %zu bytes; ns per operation and thread, slowest and fastest slice; floor: see the source\n",
        options->value_len);
    for (unsigned i = 0; i < row_count; i++) {
        const struct row *row = &rows[i];
        char count[32];
        if (row->items % 1000000 == 0) {
            snprintf(count, sizeof(count), "%llum", (unsigned long long)row->items / 1000000);
        } else {
            snprintf(count, sizeof(count), "%lluk", (unsigned long long)row->items / 1000);
        }
        printf("%-16s %5s items %2u threads %9.1f ns  (%.1f .. %.1f)  floor %.1f  share %.0f %%\n",
               operation_names[row->operation], count, row->threads, row->ns, row->ns_min,
               row->ns_max, row->floor_ns, 100.0 * row->floor_ns / row->ns);
    }
}

static void
print_json(const struct options *options)
{
    printf("{\"value_len\": %zu, \"rows\": [", options->value_len);
    for (unsigned i = 0; i < row_count; i++) {
        const struct row *row = &rows[i];
        printf(
            "%s\n  {\"operation\": \"%s\", \"items\": %llu, \"threads\": %u, \"ns\": %.2f, \"ns_min\": %.2f, "
            "\"ns_max\": %.2f, \"floor_ns\": %.2f, \"floor_share\": %.3f}",
            i == 0 ? "" : ",", operation_names[row->operation], (unsigned long long)row->items,
            row->threads, row->ns, row->ns_min, row->ns_max, row->floor_ns,
            row->floor_ns / row->ns);
    }
    printf("\n]}\n");
}

int
main(int argc, char **argv)
{
    static struct options options;
    parse_options(&options, argc, argv);
    for (unsigned i = 0; i < options.items_count; i++) {
        static struct bench bench;
        memset(&bench, 0, sizeof(bench));
        bench.options = &options;
        bench.items = items_that_fit(options.items[i], options.value_len);
        bench_floor(&bench);
        bench_library(&bench);
    }
    if (options.json) {
        print_json(&options);
    } else {
        print_table(&options);
    }
    return 0;
}
