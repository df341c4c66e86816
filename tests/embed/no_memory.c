/* A C host whose heap has an end: each allocation of a call fails in turn, alone and with all that
 * follow.  The call is answered with an error, or does without; nothing is lost, nothing is left
 * open, nothing dies.
 *
 * The heap's functions are those of this program, which the libraries find before the C
 * library's. */
#include "larder.h"

#include "embed/cache.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Sanitizers have heaps of their own, and so have other C libraries. */
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define HEAP_IS_OURS 1
#else
#define HEAP_IS_OURS 0
#endif

#define TRIES_MAX   5000 /* allocations of one call */
#define FOREVER     1000000000L
#define LEAK_ROUNDS 3 /* that must each lose something */

/* -- the heap ---------------------------------------------------------------------------------- */

static _Atomic long until_failure; /* allocations that succeed before; below 0: all do */
static _Atomic long failures;      /* how many fail then */
static _Atomic long failed;        /* how many have */
static _Atomic long living;        /* blocks */
static _Thread_local int spared;   /* this thread is in libconfig, which dies without memory */

/* Whether this allocation is to fail. */
static int
fails(void)
{
    if (spared || atomic_load_explicit(&until_failure, memory_order_relaxed) < 0) {
        return 0;
    }
    if (atomic_fetch_sub_explicit(&until_failure, 1, memory_order_relaxed) > 0) {
        return 0;
    }
    if (atomic_fetch_sub_explicit(&failures, 1, memory_order_relaxed) <= 0) {
        return 0;
    }
    atomic_store_explicit(&until_failure, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&failed, 1, memory_order_relaxed);
    errno = ENOMEM;
    return 1;
}

#if HEAP_IS_OURS
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *at, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *at);

#define HEAP_CALL __attribute__((visibility("default"))) /* for all libraries of the process */

static void *
counted(void *at)
{
    if (at != NULL) {
        atomic_fetch_add_explicit(&living, 1, memory_order_relaxed);
    }
    return at;
}

HEAP_CALL void *
malloc(size_t size)
{
    return fails() ? NULL : counted(__libc_malloc(size));
}

HEAP_CALL void *
calloc(size_t count, size_t size)
{
    return fails() ? NULL : counted(__libc_calloc(count, size));
}

HEAP_CALL void *
realloc(void *at, size_t size)
{
    if (at == NULL) {
        return malloc(size);
    }
    if (size == 0) {
        free(at);
        return NULL;
    }
    return fails() ? NULL : __libc_realloc(at, size);
}

HEAP_CALL void *
memalign(size_t alignment, size_t size)
{
    return fails() ? NULL : counted(__libc_memalign(alignment, size));
}

HEAP_CALL void *
aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

HEAP_CALL int
posix_memalign(void **at, size_t alignment, size_t size)
{
    void *got = memalign(alignment, size);
    if (got == NULL) {
        return ENOMEM;
    }
    *at = got;
    return 0;
}

HEAP_CALL void
free(void *at)
{
    if (at != NULL) {
        atomic_fetch_sub_explicit(&living, 1, memory_order_relaxed);
        __libc_free(at);
    }
}
#endif

#if HEAP_IS_OURS
struct config_t;
typedef void init_fn(struct config_t *config);
typedef int read_fn(struct config_t *config, const char *text);

HEAP_CALL void config_init(struct config_t *config);
HEAP_CALL int config_read_string(struct config_t *config, const char *text);

void
config_init(struct config_t *config)
{
    init_fn *real = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "config_init");
    spared++; /* they call each other */
    real(config);
    spared--;
}

int
config_read_string(struct config_t *config, const char *text)
{
    read_fn *real = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "config_read_string");
    spared++; /* they call each other */
    int result = real(config, text);
    spared--;
    return result;
}
#endif

/* -- one call with each allocation failing ----------------------------------------------------- */

/* Does it, and undoes it if that has succeeded; whether its answers were right. */
typedef int step_fn(void);

static unsigned
descriptors(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir != NULL && readdir(dir) != NULL) {
        count++;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

static int
run_with(step_fn *step, long before, long count)
{
    atomic_store_explicit(&failed, 0, memory_order_relaxed);
    atomic_store_explicit(&failures, count, memory_order_relaxed);
    atomic_store_explicit(&until_failure, before, memory_order_relaxed);
    int right = step();
    atomic_store_explicit(&until_failure, -1, memory_order_relaxed);
    return right;
}

/* Blocks that are lost each time it is done so. */
static long
lost_by(step_fn *step, long before, long count)
{
    long least = FOREVER;
    for (unsigned round = 0; round < LEAK_ROUNDS; round++) {
        long at_first = atomic_load_explicit(&living, memory_order_relaxed);
        (void)run_with(step, before, count);
        long lost = atomic_load_explicit(&living, memory_order_relaxed) - at_first;
        least = lost < least ? lost : least;
    }
    return least;
}

static void
each_allocation_fails(const char *name, step_fn *step)
{
    CHECK(step() && step()); /* what is allocated once is there then */
    unsigned open = descriptors();
    for (long count = 1; count > 0; count = count == 1 ? FOREVER : 0) {
        long before = 0;
        for (; before < TRIES_MAX; before++) {
            long at_first = atomic_load_explicit(&living, memory_order_relaxed);
            int right = run_with(step, before, count);
            int through = atomic_load_explicit(&failed, memory_order_relaxed) == 0;
            if (!right) {
                printf("%s: wrong when allocation %ld fails%s\n", name, before,
                       count > 1 ? " with all behind it" : "");
                CHECK(right);
            }
            if (atomic_load_explicit(&living, memory_order_relaxed) > at_first &&
                lost_by(step, before, count) > 0) {
                printf("%s: a leak when allocation %ld fails\n", name, before);
                CHECK(!"a leak");
            }
            if (through) {
                break;
            }
        }
        CHECK(before < TRIES_MAX);
        printf("%s: %ld allocations, each has failed%s\n", name, before,
               count > 1 ? ", with all behind it" : "");
    }
    CHECK(descriptors() == open);
}

/* An answer of a call that had no memory. */
static int
is_of_memory(enum larder_result result)
{
    return result == LARDER_SYSTEM || result == LARDER_NO_MEMORY;
}

/* -- the calls --------------------------------------------------------------------------------- */

static char folder[] = "/tmp/larder-no-memory-XXXXXX";
static char file[64];
static char rules[64];
static char error[LARDER_ERROR_CAP];

static int
step_open(void)
{
    struct larder *cache = NULL;
    struct larder_options options = LARDER_OPTIONS_INIT;
    options.memory_limit = 2u << 20;
    errno = 0;
    enum larder_result result = larder_open(&options, &cache);
    if (result != LARDER_OK) {
        return result == LARDER_SYSTEM && errno == ENOMEM && cache == NULL;
    }
    return larder_close(&cache) == LARDER_OK && cache == NULL;
}

static struct larder *shared_cache;

/* Everything that a thread may call, from its first call on. */
static void *
call_everything(void *arg)
{
    struct larder *cache = shared_cache;
    static char value[40000];
    struct larder_view view;
    struct larder_stats stats = { .version = LARDER_STATS_VERSION };
    struct larder_item items[LARDER_SCAN_ITEMS];
    uint64_t number = 0, cursor = 0;
    size_t len = 0;
    int right = 1;
    for (uint32_t i = 0; i < 200; i++) {
        enum larder_result result = larder_set(cache, &i, sizeof(i), value, i * 190, 0);
        right &= result == LARDER_OK || is_of_memory(result);
    }
    for (uint32_t i = 0; i < 200; i += 50) {
        enum larder_result result = larder_get_view(cache, &i, sizeof(i), &view);
        right &= result == LARDER_OK || result == LARDER_MISS || is_of_memory(result);
        if (result == LARDER_OK) {
            larder_release(cache, &view);
        }
        right &= view.block == NULL;
    }
    enum larder_result result = larder_incr_or_add(cache, "n", 1, 1, 1, 0, &number);
    right &= result == LARDER_OK || is_of_memory(result);
    result = larder_flush_prefix(cache, "none", 4);
    right &= result == LARDER_OK || is_of_memory(result);
    (void)larder_maintain(cache);
    result = larder_stats(cache, &stats);
    right &= result == LARDER_OK || result == LARDER_SYSTEM;
    result = larder_stat(cache, "curr_items", &number);
    right &= result == LARDER_OK || result == LARDER_SYSTEM;
    do {
        right &= larder_scan(cache, &cursor, items, LARDER_SCAN_ITEMS, &len) == LARDER_OK;
    } while (cursor != 0);
    *(int *)arg = right;
    return NULL;
}

static int
step_calls(void)
{
    pthread_t thread;
    int right = 0;
    if (pthread_create(&thread, NULL, call_everything, &right) != 0) {
        return 1; /* the host's own lack of memory */
    }
    return pthread_join(thread, NULL) == 0 && right;
}

/* The result of a call with a text for the operator. */
static int
no_memory_told(enum larder_result result)
{
    int told = result == LARDER_SYSTEM && errno == ENOMEM && error[0] != '\0';
    if (!told) {
        printf("%s; %s: %s\n", larder_result_text(result), strerror(errno), error);
    }
    return told;
}

static int
step_save(void)
{
    uint64_t items = 0;
    enum larder_result result = larder_save(shared_cache, file, &items, error, sizeof(error));
    return result == LARDER_OK ? items > 0 : no_memory_told(result);
}

static int
step_load(void)
{
    uint64_t items = 0;
    larder_flush(shared_cache);
    enum larder_result result = larder_load(shared_cache, file, &items, error, sizeof(error));
    return result == LARDER_OK ? items > 0 : no_memory_told(result);
}

/* A client that asks for something; whatever it gets, it gets it soon. */
static void
ask(int port)
{
    struct sockaddr_in to;
    struct timeval soon = { 5, 0 };
    char answer[64];
    memset(&to, 0, sizeof(to));
    to.sin_family = AF_INET;
    to.sin_port = htons((uint16_t)port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)) == 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0) {
        static const char request[] = "set a 0 0 1\r\n1\r\nget a\r\nstats\r\n";
        (void)!send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL);
        ssize_t got = recv(fd, answer, sizeof(answer), 0);
        CHECK(got >= 0 || errno == ECONNRESET);
    }
    close(fd);
}

static int
step_serve(void)
{
    struct larder_server *server = NULL;
    struct larder_serve_options options = LARDER_SERVE_OPTIONS_INIT;
    options.threads = 1;
    enum larder_result result = larder_serve(shared_cache, &options, &server, error, sizeof(error));
    if (result != LARDER_OK) {
        return no_memory_told(result) && server == NULL;
    }
    ask(larder_server_port(server));
    larder_server_stop(&server, 1);
    return server == NULL;
}

static int
step_hook(void)
{
    struct larder *cache = NULL;
    struct larder_hook *hook = NULL;
    struct larder_options options = LARDER_OPTIONS_INIT;
    options.memory_limit = 2u << 20;
    if (larder_open(&options, &cache) != LARDER_OK) {
        return 1; /* step_open()'s */
    }
    enum larder_result result =
        larder_hook_mysql(cache, rules, NULL, NULL, &hook, error, sizeof(error));
    int right = result == LARDER_OK ? hook != NULL : no_memory_told(result) && hook == NULL;
    larder_hook_stop(&hook);
    return larder_close(&cache) == LARDER_OK && right;
}

/* -- tests ------------------------------------------------------------------------------------- */

static void
a_cache_is_opened(void)
{
    each_allocation_fails("open", step_open);
}

static void
threads_call(void)
{
    each_allocation_fails("calls", step_calls);
}

static void
files_are_saved_and_loaded(void)
{
    CHECK(step_calls()); /* has something to save */
    each_allocation_fails("save", step_save);
    CHECK(step_save());
    each_allocation_fails("load", step_load);
}

static void
clients_are_served(void)
{
    each_allocation_fails("serve", step_serve);
}

static void
a_database_is_followed(void)
{
    struct larder_hook *hook = NULL;
    FILE *out = fopen(rules, "w");
    CHECK(out != NULL &&
          fputs("source = { hosts = ( \"127.0.0.1:1\" ); user = \"nobody\"; timeout_ms = 1000; };\n"
                "tables = ( { name = \"shop.users\"; rules = ( { on = \"any\"; delete ="
                " \"user:{id}\"; } ); } );\n",
                out) >= 0);
    CHECK(out != NULL && fclose(out) == 0);
    if (larder_hook_mysql(shared_cache, "/", NULL, NULL, &hook, NULL, 0) != LARDER_NOT_BUILT) {
        each_allocation_fails("hook", step_hook);
    }
}

int
main(int argc, char **argv)
{
    if (!HEAP_IS_OURS) {
        (void)fails;
        printf("skipped: this C library, or a sanitizer, has a heap of its own\n");
        return 77;
    }
    setvbuf(stdout, NULL, _IOLBF, 4096);
    atomic_store_explicit(&until_failure, -1, memory_order_relaxed);
    if (mkdtemp(folder) == NULL) {
        perror("mkdtemp");
        return 1;
    }
    snprintf(file, sizeof(file), "%s/cache", folder);
    snprintf(rules, sizeof(rules), "%s/rules", folder);
    shared_cache = open_cache(8u << 20);
    const char *only = argc > 1 ? argv[1] : "";
#define RUN_IF(test)                   \
    if (strstr(#test, only) != NULL) { \
        RUN(test);                     \
    }
    RUN_IF(a_cache_is_opened);
    RUN_IF(threads_call);
    RUN_IF(files_are_saved_and_loaded);
    RUN_IF(clients_are_served);
    RUN_IF(a_database_is_followed);
    (void)unlink(file);
    (void)unlink(rules);
    (void)rmdir(folder);
    CHECK(larder_close(&shared_cache) == LARDER_OK);
    return tests_end();
}
