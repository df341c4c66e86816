/* A program that shares its cache with clients of the memcached protocols.
 *
 *     cc -o serve serve.c $(pkg-config --cflags --libs larder)
 *     ./serve [PORT]            0, the default: a port that the system chooses
 *
 * It keeps what it knows in the cache, where any memcached client reads it, and reads what clients
 * have stored:
 *
 *     $ ./serve 11311
 *     serving 127.0.0.1:11311; each line of input is a key; ends at the end of input
 *     greeting
 *     greeting: no such key
 *
 * and elsewhere
 *
 *     $ printf 'get lines\r\nset greeting 0 0 5\r\nhello\r\nquit\r\n' | nc 127.0.0.1 11311
 *
 * Worth copying:
 *   - The host's own calls go on while clients are served, from any thread.
 *   - larder_get() with a buffer that may be too small: LARDER_TOO_LARGE tells the room needed.
 *   - The server is stopped before the cache is closed.
 */
#include <larder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES_MAX 8u /* a value may grow between two looks at it */

static void
log_line(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "serve: %s\n", line);
}

/**
 * Gets a value of any length into a block of the heap, which the caller frees; NULL with `*result`
 * saying why there is none.
 */
static char *
get_value(struct larder *cache, const char *key, size_t *value_len, enum larder_result *result)
{
    size_t cap = 64;
    char *value = NULL;
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        char *larger = realloc(value, cap);
        if (larger == NULL) {
            *result = LARDER_SYSTEM;
            break;
        }
        value = larger;
        *result = larder_get(cache, key, strlen(key), value, cap, value_len);
        if (*result == LARDER_OK) {
            return value;
        }
        if (*result != LARDER_TOO_LARGE) {
            break;
        }
        cap = *value_len;
    }
    free(value);
    return NULL;
}

/** Tells what is under a key. */
static void
show(struct larder *cache, const char *key)
{
    size_t value_len = 0;
    enum larder_result result = LARDER_OK;
    char *value = get_value(cache, key, &value_len, &result);
    if (value == NULL) {
        printf("%s: %s\n", key, larder_result_text(result));
        return;
    }
    printf("%s = %.*s\n", key, (int)value_len, value);
    free(value);
}

/** Counts the lines that were read, for clients to see. */
static void
count_line(struct larder *cache)
{
    uint64_t lines;
    enum larder_result result = larder_incr(cache, "lines", 5, 1, &lines);
    if (result == LARDER_MISS) { /* evicted, or deleted by a client: it begins anew */
        result = larder_add(cache, "lines", 5, "1", 1, 0);
    }
    if (result != LARDER_OK) {
        fprintf(stderr, "serve: the line is not counted: %s\n", larder_result_text(result));
    }
}

static void
answer_lines(struct larder *cache)
{
    char line[LARDER_KEY_LEN_MAX + 2];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        count_line(cache);
        show(cache, line);
        fflush(stdout);
    }
}

static int
serve(struct larder *cache, int port)
{
    struct larder_serve_options options = LARDER_SERVE_OPTIONS_INIT;
    options.port = port;
    options.threads = 2;
    options.flush_disabled = 1; /* clients are not to empty the host's cache */
    options.log = log_line;

    struct larder_server *server;
    char error[LARDER_ERROR_CAP];
    enum larder_result result = larder_serve(cache, &options, &server, error, sizeof(error));
    if (result != LARDER_OK) {
        fprintf(stderr, "serve: %s: %s\n", larder_result_text(result), error);
        return 1;
    }
    printf("serving 127.0.0.1:%d; each line of input is a key; ends at the end of input\n",
           larder_server_port(server));
    fflush(stdout);
    answer_lines(cache);
    larder_server_stop(&server, 1);

    struct larder_stats stats = { .version = LARDER_STATS_VERSION };
    if (larder_stats(cache, &stats) == LARDER_OK) {
        printf("%llu items, %llu hits, %llu misses\n", (unsigned long long)stats.items,
               (unsigned long long)stats.get_hits, (unsigned long long)stats.get_misses);
    }
    return 0;
}

int
main(int argc, char **argv)
{
    char *end = NULL;
    long port = argc > 1 ? strtol(argv[1], &end, 10) : 0;
    if (argc > 2 || (end != NULL && *end != '\0') || port < 0 || port > 65535) {
        fprintf(stderr, "usage: %s [PORT]\n", argv[0]);
        return 2;
    }
    struct larder_options options = LARDER_OPTIONS_INIT;
    options.memory_limit = 32u << 20;
    struct larder *cache;
    enum larder_result result = larder_open(&options, &cache);
    if (result != LARDER_OK) {
        fprintf(stderr, "serve: %s\n", larder_result_text(result));
        return 1;
    }
    int status = serve(cache, (int)port);
    larder_close(&cache);
    return status;
}
