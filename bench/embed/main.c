/* Fills a store and takes times of it, as bench/library tells it to: commands on the standard
 * input, an answer to each on the standard output.
 *
 *     build/release/bench/embed/X ITEMS VALUE_LEN [SOCKET]
 *
 *     fill                                      filled SECONDS
 *     run OPERATION KEYS THREADS SECONDS        NS OPERATIONS     NS: of one thread, per key
 *     count OPERATION KEYS NUMBER               the same, of so many keys by one thread
 *     memory                                    BYTES             resident, of this process
 *
 * OPERATION is get, batch, set, or key: the making of a key alone, which the others include.  KEYS
 * is uniform or zipf:EXPONENT.  Each value begins with its key's number, and is checked.
 */
#include "bench/embed/store.h"
#include "bench/load/keys.h"
#include "bench/load/random.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 64u
#define CHUNK       256u /* keys between two looks at the clock */
#define DRAWN                                                                           \
    (1u << 22) /* numbers of a thread, by zipf: drawn before, then again from the first \
                */
#define SPREAD   2654435761u /* a prime: the number asked for most has its neighbours elsewhere */
#define LINE_CAP 256u

_Static_assert(CHUNK % STORE_BATCH == 0, "batches are whole");

enum operation { GET, BATCH, SET, KEY, OPERATIONS };
static const char *const operation_names[OPERATIONS] = { "get", "batch", "set", "key" };

/* What does not change while threads run. */
static uint64_t items;
static size_t value_len;
static enum operation operation;
static struct keys keys;
static double seconds;
static uint64_t wanted; /* keys of a thread, where that and not the time is the end; else 0 */
static pthread_barrier_t barrier;

struct worker {
    pthread_t thread;
    uint64_t random;
    uint32_t *drawn; /* drawn_count() numbers; kept for the next run; NULL until one has drawn */
    double drawn_by; /* the exponent */
    uint32_t next_drawn;
    struct store_client *client;
    uint8_t *value;
    uint64_t operations;
    double took_s;
};

void
store_die(const char *format, ...)
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
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void *
allocate(size_t size)
{
    void *memory = malloc(size);
    if (memory == NULL) {
        store_die("no memory");
    }
    return memory;
}

/** Fewer where there are few items. */
static inline uint32_t
drawn_count(void)
{
    return items < DRAWN / 4 ? (uint32_t)items * 4 : DRAWN;
}

static inline uint64_t
next_number(struct worker *worker)
{
    if (keys.kind == KEYS_UNIFORM) {
        return random_below(&worker->random, items);
    }
    uint64_t number = worker->drawn[worker->next_drawn];
    worker->next_drawn = (worker->next_drawn + 1) % drawn_count();
    return number;
}

/** Ends the program unless a value is the number's. */
static inline void
check(const uint8_t *value, size_t len, uint64_t number)
{
    uint64_t seen;
    memcpy(&seen, value, sizeof(seen));
    if (len != value_len || seen != number) {
        store_die("the value of item %llu is lost or wrong", (unsigned long long)number);
    }
}

/* -- one chunk -------------------------------------------------------------------------------- */

static void
chunk_of_gets(struct worker *worker)
{
    uint8_t key[STORE_KEY_LEN];
    for (unsigned i = 0; i < CHUNK; i++) {
        uint64_t number = next_number(worker);
        key_make(key, number);
        check(worker->value, store_get(worker->client, key, worker->value, STORE_VALUE_MAX),
              number);
    }
}

static void
chunk_of_batches(struct worker *worker)
{
    struct store_get gets[STORE_BATCH];
    uint64_t numbers[STORE_BATCH];
    for (unsigned done = 0; done < CHUNK; done += STORE_BATCH) {
        for (unsigned i = 0; i < STORE_BATCH; i++) {
            numbers[i] = next_number(worker);
            key_make(gets[i].key, numbers[i]);
            gets[i].buf = worker->value + i * STORE_VALUE_MAX;
        }
        store_get_batch(worker->client, gets, STORE_BATCH);
        for (unsigned i = 0; i < STORE_BATCH; i++) {
            check(gets[i].buf, gets[i].value_len, numbers[i]);
        }
    }
}

static void
chunk_of_sets(struct worker *worker)
{
    uint8_t key[STORE_KEY_LEN];
    for (unsigned i = 0; i < CHUNK; i++) {
        uint64_t number = next_number(worker);
        key_make(key, number);
        memcpy(worker->value, &number, sizeof(number));
        if (!store_set(worker->client, key, worker->value, value_len)) {
            store_die("item %llu is not stored", (unsigned long long)number);
        }
    }
}

static void
chunk_of_keys(struct worker *worker)
{
    uint8_t key[STORE_KEY_LEN];
    for (unsigned i = 0; i < CHUNK; i++) {
        key_make(key, next_number(worker));
        __asm__ volatile("" : : "r"(key) : "memory"); /* as if somebody looked at it */
    }
}

static void
run_chunk(struct worker *worker)
{
    switch (operation) {
    case GET:
        chunk_of_gets(worker);
        break;
    case BATCH:
        chunk_of_batches(worker);
        break;
    case SET:
        chunk_of_sets(worker);
        break;
    case KEY:
        chunk_of_keys(worker);
        break;
    case OPERATIONS:
        break;
    }
}

/* -- commands --------------------------------------------------------------------------------- */

static void
draw(struct worker *worker)
{
    if (worker->drawn == NULL) {
        worker->drawn = allocate(drawn_count() * sizeof(worker->drawn[0]));
    } else if (worker->drawn_by == keys.exponent) {
        return;
    }
    struct keys_state state = { .random = worker->random };
    for (unsigned i = 0; i < drawn_count(); i++) {
        worker->drawn[i] = (uint32_t)(keys_draw(&keys, &state) * SPREAD % items);
    }
    worker->drawn_by = keys.exponent;
}

static void *
work(void *arg)
{
    struct worker *worker = arg;
    worker->client = store_client_open();
    worker->value = allocate(STORE_BATCH * STORE_VALUE_MAX);
    memset(worker->value, 'v', STORE_BATCH * STORE_VALUE_MAX);
    worker->operations = 0;
    if (keys.kind == KEYS_ZIPF) {
        draw(worker);
    }

    pthread_barrier_wait(&barrier);
    double start = now_s(), end;
    do {
        run_chunk(worker);
        worker->operations += CHUNK;
        end = now_s();
    } while (wanted > 0 ? worker->operations < wanted : end - start < seconds);
    worker->took_s = end - start;

    store_client_close(worker->client);
    free(worker->value);
    return NULL;
}

static void
run(unsigned threads)
{
    static struct worker workers[THREADS_MAX];
    static uint64_t runs;
    if (pthread_barrier_init(&barrier, NULL, threads) != 0) {
        store_die("no barrier");
    }
    for (unsigned i = 0; i < threads; i++) {
        workers[i].random = random_mix(++runs);
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            store_die("no thread");
        }
    }
    double took_s = 0;
    uint64_t operations = 0;
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        took_s += workers[i].took_s;
        operations += workers[i].operations;
    }
    pthread_barrier_destroy(&barrier);
    printf("%.3f %llu\n", took_s * 1e9 / (double)operations, (unsigned long long)operations);
}

static void
fill(void)
{
    struct store_client *client = store_client_open();
    uint8_t key[STORE_KEY_LEN];
    uint8_t *value = allocate(value_len);
    memset(value, 'v', value_len);
    double start = now_s();
    for (uint64_t number = 0; number < items; number++) {
        key_make(key, number);
        memcpy(value, &number, sizeof(number));
        store_fill(client, key, value, value_len);
    }
    store_fill_end(client);
    printf("filled %.3f\n", now_s() - start);
    free(value);
    store_client_close(client);
}

static void
print_memory(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*u %lu", &pages) != 1) {
        store_die("/proc/self/statm cannot be read");
    }
    fclose(file);
    printf("%llu\n", (unsigned long long)pages * (unsigned long long)sysconf(_SC_PAGESIZE));
}

static void
run_as_told(const char *line)
{
    char name[16], distribution[32];
    unsigned threads = 1;
    unsigned long long number = 0;
    bool by_time =
        sscanf(line, "run %15s %31s %u %lf", name, distribution, &threads, &seconds) == 4;
    bool by_number =
        !by_time && sscanf(line, "count %15s %31s %llu", name, distribution, &number) == 3;
    if ((!by_time && !by_number) || threads == 0 || threads > THREADS_MAX ||
        !keys_parse(&keys, distribution, items) ||
        (keys.kind != KEYS_UNIFORM && keys.kind != KEYS_ZIPF)) {
        store_die("not a command: %s", line);
    }
    wanted = number;
    operation = 0;
    while (operation < OPERATIONS && strcmp(name, operation_names[operation]) != 0) {
        operation++;
    }
    if (operation == OPERATIONS) {
        store_die("not an operation: %s", name);
    }
    run(threads);
}

int
main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        store_die("usage: %s ITEMS VALUE_LEN [SOCKET]", argv[0]);
    }
    items = strtoull(argv[1], NULL, 10);
    value_len = strtoul(argv[2], NULL, 10);
    if (items == 0 || items > UINT32_MAX || value_len < sizeof(uint64_t) ||
        value_len > STORE_VALUE_MAX) {
        store_die("items: 1 to 2^32 - 1; bytes of a value: 8 to %u", STORE_VALUE_MAX);
    }
    store_open(items, value_len, argc == 4 ? argv[3] : NULL);
    char line[LINE_CAP];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (strcmp(line, "fill\n") == 0) {
            fill();
        } else if (strcmp(line, "memory\n") == 0) {
            print_memory();
        } else {
            run_as_told(line);
        }
        fflush(stdout);
    }
    return 0;
}
