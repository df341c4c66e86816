/* A C host that follows a database which is not there: everything around the hook but the changes
 * that it brings, which tests/e2e/test_library_hook.py sees to. */
#include "larder.h"

#include "embed/cache.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WAIT_S 20 /* for keys to be bypassed */

static char path[] = "/tmp/larder-hooking-XXXXXX";
static char error[LARDER_ERROR_CAP];

static void
write_rules(const char *text)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0);
    CHECK(file != NULL && fclose(file) == 0);
}

/* A port that nobody listens on: bound for as long as the descriptor is open. */
static int
closed_port(int *fd)
{
    struct sockaddr_in at;
    socklen_t len = sizeof(at);
    memset(&at, 0, sizeof(at));
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(*fd >= 0 && bind(*fd, (struct sockaddr *)&at, sizeof(at)) == 0);
    CHECK(getsockname(*fd, (struct sockaddr *)&at, &len) == 0);
    return ntohs(at.sin_port);
}

static unsigned lines;
static void
count_line(void *arg, const char *line)
{
    (void)arg;
    __atomic_fetch_add(&lines, line[0] != '\0', __ATOMIC_RELAXED);
}

static int built = 1;

static void
rules_must_be_good(void)
{
    struct larder *cache = open_cache(8u << 20);
    struct larder_hook *hook = NULL;
    write_rules("nonsense");
    enum larder_result result =
        larder_hook_mysql(cache, path, NULL, NULL, &hook, error, sizeof(error));
    built = result != LARDER_NOT_BUILT;
    CHECK(result == LARDER_BAD_OPTION || !built);
    CHECK(hook == NULL && error[0] != '\0');
    CHECK(!built || strstr(error, path) != NULL);
    if (built) {
        CHECK(larder_hook_mysql(cache, NULL, NULL, NULL, &hook, NULL, 0) == LARDER_BAD_OPTION);
        CHECK(larder_hook_mysql(cache, path, NULL, NULL, NULL, NULL, 0) == LARDER_BAD_OPTION);
        CHECK(larder_hook_mysql(cache, path, NULL, NULL, &hook, NULL, 1) == LARDER_BAD_OPTION);
    }
    CHECK(larder_close(&cache) == LARDER_OK);
    larder_hook_stop(&hook);
    larder_hook_stop(NULL);
}

static void
without_the_database_its_keys_are_not_cached(void)
{
    struct larder *cache = open_cache(8u << 20);
    struct larder_hook *hook = NULL, *second = NULL;
    char rules[600];
    int fd;
    if (!built) {
        CHECK(larder_close(&cache) == LARDER_OK);
        return;
    }
    snprintf(rules, sizeof(rules),
             "source = { hosts = ( \"127.0.0.1:%d\" ); user = \"nobody\"; timeout_ms = 1000;"
             " grace_ms = 100; on_disconnect = \"bypass\"; };\n"
             "tables = ( { name = \"shop.users\"; rules = ( { on = \"any\"; delete ="
             " \"user:{id}\"; } ); } );\n",
             closed_port(&fd));
    write_rules(rules);
    CHECK(set(cache, "other:1", "1") == LARDER_OK);
    enum larder_result result =
        larder_hook_mysql(cache, path, count_line, NULL, &hook, error, sizeof(error));
    if (result != LARDER_OK) {
        printf("%s\n", error);
    }
    CHECK(result == LARDER_OK && hook != NULL);
    CHECK(larder_hook_state(hook)[0] != '\0' && strcmp(larder_hook_state(hook), "streaming") != 0);
    time_t end = time(NULL) + WAIT_S;
    while ((result = set(cache, "user:1", "1")) == LARDER_OK && time(NULL) < end) {
    }
    CHECK(result == LARDER_REFUSED);
    CHECK(has(cache, "user:1", "<miss>"));
    CHECK(has(cache, "other:1", "1"));
    CHECK(__atomic_load_n(&lines, __ATOMIC_RELAXED) > 0);

    static const char gtid[] = "3e11fa47-71ca-11e1-9e33-c80aa9429562:23";
    CHECK(larder_hook_wait(hook, "no gtid", 10) == LARDER_BAD_OPTION);
    CHECK(larder_hook_wait(hook, NULL, 10) == LARDER_BAD_OPTION);
    CHECK(larder_hook_wait(hook, gtid, 0) == LARDER_TIMEOUT);
    CHECK(larder_hook_wait(hook, gtid, 10) == LARDER_TIMEOUT);

    CHECK(larder_hook_mysql(cache, path, NULL, NULL, &second, error, sizeof(error)) == LARDER_BUSY);
    CHECK(second == NULL);
    CHECK(larder_close(&cache) == LARDER_BUSY);
    larder_hook_stop(&hook);
    CHECK(hook == NULL);
    CHECK(larder_hook_mysql(cache, path, NULL, NULL, &hook, error, sizeof(error)) == LARDER_BUSY);
    CHECK(larder_close(&cache) == LARDER_OK);
    close(fd);

    struct larder_options options = LARDER_OPTIONS_INIT;
    options.cas_disabled = 1;
    cache = open_with(&options);
    CHECK(larder_hook_mysql(cache, path, NULL, NULL, &hook, error, sizeof(error)) ==
          LARDER_BAD_OPTION);
    CHECK(strstr(error, "cas_disabled") != NULL);
    CHECK(larder_close(&cache) == LARDER_OK);
}

int
main(void)
{
    int file = mkstemp(path);
    if (file < 0) {
        perror("mkstemp");
        return 1;
    }
    close(file);
    RUN(rules_must_be_good);
    RUN(without_the_database_its_keys_are_not_cached);
    (void)unlink(path);
    return tests_end();
}
