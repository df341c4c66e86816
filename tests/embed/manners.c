/* A C host: the library leaves alone what is the process's. Nothing is written to the standard
 * streams, no signal is touched, nor the locale; what is closed is gone; and a child of fork() has
 * caches of its own. */
#include "larder.h"

#include "embed/cache.h"
#include "embed/resident.h"

#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONG_VALUE (100u * 1024) /* bytes; longer than any chunk */

/* A bit of everything, the mistakes included. */
static void
do_everything(struct larder *cache)
{
    static uint8_t value[LONG_VALUE];
    struct larder_view view;
    struct larder_item items[LARDER_SCAN_ITEMS];
    uint64_t cursor = 0, number = 0;
    size_t len = 0;
    for (unsigned i = 0; i < 3000; i++) {
        CHECK(larder_set(cache, &i, sizeof(i), value, i % 1000, 0) == LARDER_OK);
    }
    CHECK(larder_set(cache, "long", 4, value, LONG_VALUE, 0) == LARDER_OK);
    CHECK(larder_get_view(cache, "long", 4, &view) == LARDER_OK);
    larder_release(cache, &view);
    CHECK(larder_get(cache, NULL, 0, value, 0, &len) == LARDER_BAD_KEY);
    CHECK(larder_set(cache, "a", 1, NULL, 1, 0) == LARDER_BAD_OPTION);
    CHECK(larder_incr(cache, "long", 4, 1, &number) == LARDER_NOT_NUMBER);
    do {
        CHECK(larder_scan(cache, &cursor, items, LARDER_SCAN_ITEMS, &len) == LARDER_OK);
    } while (cursor != 0);
    larder_flush(cache);
    while (larder_maintain(cache)) {
    }
}

static void
serve_and_fail_to(struct larder *cache)
{
    struct larder_server *server = NULL;
    struct larder_serve_options options = LARDER_SERVE_OPTIONS_INIT;
    struct larder_hook *hook = NULL;
    options.threads = 2;
    CHECK(larder_serve(cache, &options, &server, NULL, 0) == LARDER_OK);
    options.port = larder_server_port(server);
    CHECK(larder_server_port(server) > 0);
    struct larder_server *second = NULL;
    CHECK(larder_serve(cache, &options, &second, NULL, 0) == LARDER_SYSTEM);
    larder_server_stop(&server, 1);
    enum larder_result result =
        larder_hook_mysql(cache, "/no/such/rules", NULL, NULL, &hook, NULL, 0);
    CHECK(result == LARDER_BAD_OPTION || result == LARDER_NOT_BUILT);
    CHECK(larder_load(cache, "/no/such/file", NULL, NULL, 0) == LARDER_SYSTEM);
}

/* -- what is the process's --------------------------------------------------------------------- */

static void
standard_streams_stay_silent(void)
{
    char path[] = "/tmp/larder-manners-XXXXXX";
    int file = mkstemp(path);
    fflush(stdout);
    fflush(stderr);
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    CHECK(file >= 0 && out >= 0 && err >= 0);
    CHECK(dup2(file, STDOUT_FILENO) >= 0 && dup2(file, STDERR_FILENO) >= 0);
    struct larder *cache = open_cache(8u << 20);
    do_everything(cache);
    serve_and_fail_to(cache);
    CHECK(larder_close(&cache) == LARDER_OK);
    fflush(stdout); /* lines of CHECK() count, too */
    struct stat stat_of;
    int known = fstat(file, &stat_of);
    CHECK(dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0);
    CHECK(known == 0 && stat_of.st_size == 0);
    close(out);
    close(err);
    close(file);
    (void)unlink(path);
}

struct process_state {
    sigset_t mask;
    struct sigaction actions[65];
    char locale[256];
    struct rlimit descriptors;
    struct rlimit core;
    mode_t umask_of;
    char folder[4096];
};

static void
read_state(struct process_state *state)
{
    memset(state, 0, sizeof(*state));
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &state->mask) == 0);
    for (int i = 1; i < 65; i++) {
        (void)sigaction(i, NULL, &state->actions[i]);
    }
    snprintf(state->locale, sizeof(state->locale), "%s", setlocale(LC_ALL, NULL));
    CHECK(getrlimit(RLIMIT_NOFILE, &state->descriptors) == 0);
    CHECK(getrlimit(RLIMIT_CORE, &state->core) == 0);
    state->umask_of = umask(0);
    (void)umask(state->umask_of);
    CHECK(getcwd(state->folder, sizeof(state->folder)) != NULL);
}

/* Member by member: what lies between them is anything. */
static int
same_state(const struct process_state *a, const struct process_state *b)
{
    for (int i = 1; i < 65; i++) {
        if (a->actions[i].sa_handler != b->actions[i].sa_handler ||
            a->actions[i].sa_flags != b->actions[i].sa_flags ||
            sigismember(&a->mask, i) != sigismember(&b->mask, i)) {
            printf("signal %d\n", i);
            return 0;
        }
    }
    return strcmp(a->locale, b->locale) == 0 && strcmp(a->folder, b->folder) == 0 &&
           a->descriptors.rlim_cur == b->descriptors.rlim_cur &&
           a->descriptors.rlim_max == b->descriptors.rlim_max &&
           a->core.rlim_cur == b->core.rlim_cur && a->umask_of == b->umask_of;
}

static void
signals_locale_and_limits_stay(void)
{
    static struct process_state before, during, after;
    read_state(&before);
    struct larder *cache = open_cache(8u << 20);
    do_everything(cache);
    struct larder_server *server = NULL;
    CHECK(larder_serve(cache, NULL, &server, NULL, 0) == LARDER_OK);
    read_state(&during);
    larder_server_stop(&server, 1);
    serve_and_fail_to(cache);
    CHECK(larder_close(&cache) == LARDER_OK);
    read_state(&after);
    CHECK(same_state(&before, &during));
    CHECK(same_state(&before, &after));
}

/* A signal that the process gets goes to a thread of the host's, never to one of ours. */
static _Atomic int signals_got;
static pthread_t host_thread;
static _Atomic int in_other_thread;

static void
on_signal(int number)
{
    (void)number;
    signals_got++;
    if (!pthread_equal(pthread_self(), host_thread)) {
        in_other_thread = 1;
    }
}

static void
signals_reach_the_host(void)
{
    struct larder *cache = open_cache(8u << 20);
    struct larder_server *server = NULL;
    struct sigaction action, before;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    host_thread = pthread_self();
    CHECK(larder_serve(cache, NULL, &server, NULL, 0) == LARDER_OK);
    CHECK(sigaction(SIGTERM, &action, &before) == 0);
    for (int i = 0; i < 20; i++) {
        CHECK(kill(getpid(), SIGTERM) == 0);
    }
    CHECK(signals_got > 0 && !in_other_thread);
    CHECK(sigaction(SIGTERM, &before, NULL) == 0);
    larder_server_stop(&server, 0);
    CHECK(larder_close(&cache) == LARDER_OK);
}

/* -- open and close ---------------------------------------------------------------------------- */

static unsigned
rounds_wanted(void)
{
    const char *wanted = getenv("EMBED_ROUNDS");
    return wanted != NULL ? (unsigned)strtoul(wanted, NULL, 10) : 300;
}

/* Sanitizers keep freed memory for a while, and tell of leaks by themselves. */
static int
heap_is_checked(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return 1;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return 1;
#else
    return 0;
#endif
#else
    return 0;
#endif
}

static void
caches_come_and_go(void)
{
    unsigned rounds = rounds_wanted();
    size_t after_some = 0;
    for (unsigned i = 0; i < rounds; i++) {
        struct larder *cache = open_cache((1u + i % 4) << 20);
        uint8_t value[5000];
        fill(value, sizeof(value), i);
        for (unsigned k = 0; k < 20; k++) {
            CHECK(larder_set(cache, &k, sizeof(k), value, sizeof(value), 0) == LARDER_OK);
        }
        struct larder_view view;
        unsigned key = 3;
        CHECK(larder_get_view(cache, &key, sizeof(key), &view) == LARDER_OK);
        larder_release(cache, &view);
        CHECK(larder_close(&cache) == LARDER_OK);
        if (i == rounds / 3) {
            after_some = resident_bytes();
        }
    }
    size_t at_the_end = resident_bytes();
    if (getenv("EMBED_ROUNDS") != NULL) {
        printf("%u caches: %zu KiB after a third, %zu KiB after all\n", rounds, after_some >> 10,
               at_the_end >> 10);
    }
    CHECK(heap_is_checked() || at_the_end < after_some + (1u << 20));
}

static void *
open_and_close(void *arg)
{
    unsigned *wrong = arg;
    for (unsigned i = 0; i < 30; i++) {
        struct larder *cache = NULL;
        char value[4];
        size_t len = 0;
        struct larder_options options = LARDER_OPTIONS_INIT;
        options.memory_limit = 1u << 20;
        *wrong += larder_open(&options, &cache) != LARDER_OK ||
                  larder_set(cache, &i, sizeof(i), "abc", 3, 0) != LARDER_OK ||
                  larder_get(cache, &i, sizeof(i), value, sizeof(value), &len) != LARDER_OK ||
                  len != 3 || larder_close(&cache) != LARDER_OK;
    }
    return NULL;
}

static void
threads_open_caches_of_their_own(void)
{
    pthread_t threads[8];
    unsigned wrong[8] = { 0 };
    for (unsigned i = 0; i < 8; i++) {
        CHECK(pthread_create(&threads[i], NULL, open_and_close, &wrong[i]) == 0);
    }
    for (unsigned i = 0; i < 8; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK(wrong[i] == 0);
    }
}

/* -- fork -------------------------------------------------------------------------------------- */

static void
a_child_has_a_cache_of_its_own(void)
{
    struct larder *cache = open_cache(4u << 20);
    CHECK(set(cache, "a", "parent's") == LARDER_OK);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        test_good = 1;
        CHECK(has(cache, "a", "parent's"));
        CHECK(set(cache, "a", "child's") == LARDER_OK);
        CHECK(set(cache, "b", "child's") == LARDER_OK);
        char value[3000] = { 0 };
        for (unsigned i = 0; i < 5000; i++) { /* evicts, and moves pages */
            CHECK(larder_set(cache, &i, sizeof(i), value, 10 + i % 2900, 0) == LARDER_OK);
        }
        (void)larder_maintain(cache);
        struct larder_server *server = NULL;
        CHECK(larder_serve(cache, NULL, &server, NULL, 0) == LARDER_OK);
        larder_server_stop(&server, 0);
        CHECK(larder_close(&cache) == LARDER_OK);
        cache = open_cache(4u << 20);
        CHECK(set(cache, "a", "new") == LARDER_OK && has(cache, "a", "new"));
        CHECK(larder_close(&cache) == LARDER_OK);
        fflush(stdout);
        _exit(test_good ? 0 : 1);
    }
    int status = -1;
    CHECK(set(cache, "a", "later") == LARDER_OK);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(has(cache, "a", "later"));
    CHECK(has(cache, "b", "<miss>"));
    CHECK(larder_close(&cache) == LARDER_OK);
}

struct idle {
    struct larder *cache;
    pthread_barrier_t called;
    pthread_barrier_t forked;
};

/* Calls, so that the cache knows this thread, and is out of the library while the process forks. */
static void *
call_and_idle(void *arg)
{
    struct idle *idle = arg;
    uint64_t value = 0;
    for (unsigned i = 0; i < 100; i++) {
        (void)!larder_incr_or_add(idle->cache, "n", 1, 1, 1, 0, &value);
    }
    pthread_barrier_wait(&idle->called);
    pthread_barrier_wait(&idle->forked);
    return NULL;
}

/* Threads that the child has not got, whose counters and slots it has. */
static void
a_child_of_a_host_with_threads_has_a_cache_too(void)
{
    enum { THREADS = 6 };
    static struct idle idle;
    pthread_t threads[THREADS];
    idle.cache = open_cache(2u << 20);
    CHECK(pthread_barrier_init(&idle.called, NULL, THREADS + 1) == 0);
    CHECK(pthread_barrier_init(&idle.forked, NULL, THREADS + 1) == 0);
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, call_and_idle, &idle) == 0);
    }
    pthread_barrier_wait(&idle.called);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        test_good = 1;
        CHECK(has(idle.cache, "n", "600"));
        char value[3000] = { 0 };
        for (unsigned i = 0; i < 5000; i++) { /* evicts, and moves pages away from all readers */
            CHECK(larder_set(idle.cache, &i, sizeof(i), value, 10 + i % 2900, 0) == LARDER_OK);
        }
        (void)larder_maintain(idle.cache);
        struct larder_stats stats = { .version = LARDER_STATS_VERSION };
        CHECK(larder_stats(idle.cache, &stats) == LARDER_OK && stats.stores > 5000);
        CHECK(larder_close(&idle.cache) == LARDER_OK);
        fflush(stdout);
        _exit(test_good ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    pthread_barrier_wait(&idle.forked);
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(has(idle.cache, "n", "600"));
    CHECK(larder_close(&idle.cache) == LARDER_OK);
    CHECK(pthread_barrier_destroy(&idle.called) == 0 && pthread_barrier_destroy(&idle.forked) == 0);
}

int
main(void)
{
    RUN(standard_streams_stay_silent);
    RUN(signals_locale_and_limits_stay);
    RUN(signals_reach_the_host);
    RUN(caches_come_and_go);
    RUN(threads_open_caches_of_their_own);
    RUN(a_child_has_a_cache_of_its_own);
    RUN(a_child_of_a_host_with_threads_has_a_cache_too);
    return tests_end();
}
