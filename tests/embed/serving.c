/* A C host that serves its caches: clients over TCP and a unix socket see what the host stores, and
 * the other way round. */
#include "larder.h"

#include "embed/cache.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/larder-serving-XXXXXX";

static const char *
in_folder(const char *name)
{
    static char path[100];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

/* -- a client ---------------------------------------------------------------------------------- */

static int
connect_tcp(int port)
{
    struct sockaddr_in to;
    memset(&to, 0, sizeof(to));
    to.sin_family = AF_INET;
    to.sin_port = htons((uint16_t)port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int
connect_unix(const char *path)
{
    struct sockaddr_un to;
    memset(&to, 0, sizeof(to));
    to.sun_family = AF_UNIX;
    strncpy(to.sun_path, path, sizeof(to.sun_path) - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Whether a command is answered with just that. */
static int
answers(int fd, const char *command, const char *wanted)
{
    char got[256];
    size_t len = 0;
    if (send(fd, command, strlen(command), MSG_NOSIGNAL) != (ssize_t)strlen(command)) {
        return 0;
    }
    while (len < strlen(wanted)) {
        ssize_t more = recv(fd, got + len, sizeof(got) - len, 0);
        if (more <= 0) {
            return 0;
        }
        len += (size_t)more;
    }
    int same = len == strlen(wanted) && memcmp(got, wanted, len) == 0;
    if (!same) {
        printf("wanted %s, got %.*s\n", wanted, (int)len, got);
    }
    return same;
}

/* Whether the other side has closed. */
static int
is_closed(int fd)
{
    char byte;
    return recv(fd, &byte, 1, 0) <= 0;
}

static unsigned
count_in(const char *path)
{
    unsigned count = 0;
    DIR *dir = opendir(path);
    while (dir != NULL && readdir(dir) != NULL) {
        count++;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

/* -- tests ------------------------------------------------------------------------------------- */

static void
host_and_clients_see_one_cache(void)
{
    struct larder *cache = open_cache(16u << 20);
    struct larder_server *server = NULL;
    char error[LARDER_ERROR_CAP];
    CHECK(set(cache, "host", "1") == LARDER_OK);
    CHECK(larder_serve(cache, NULL, &server, error, sizeof(error)) == LARDER_OK);
    CHECK(server != NULL && error[0] == '\0');
    int port = larder_server_port(server);
    CHECK(port > 0 && port < 65536);
    int fd = connect_tcp(port);
    CHECK(fd >= 0);
    CHECK(answers(fd, "get host\r\n", "VALUE host 0 1\r\n1\r\nEND\r\n"));
    CHECK(answers(fd, "set client 7 0 3\r\nabc\r\n", "STORED\r\n"));
    CHECK(has(cache, "client", "abc"));
    struct larder_fetch fetch;
    char value[16];
    memset(&fetch, 0, sizeof(fetch));
    fetch.version = LARDER_FETCH_VERSION;
    fetch.key = "client";
    fetch.key_len = 6;
    fetch.buf = value;
    fetch.buf_cap = sizeof(value);
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK && fetch.flags == 7 && fetch.fetched);
    CHECK(answers(fd, "mg client v\r\n", "VA 3\r\nabc\r\n"));
    CHECK(larder_delete(cache, "client", 6) == LARDER_OK);
    CHECK(answers(fd, "mg client v\r\n", "EN\r\n"));
    CHECK(answers(fd, "shutdown\r\n", "SERVER_ERROR: shutdown not enabled\r\n"));
    larder_flush(cache);
    CHECK(answers(fd, "get host\r\n", "END\r\n"));
    struct larder *still = cache;
    CHECK(larder_close(&cache) == LARDER_BUSY && cache == still);
    larder_server_stop(&server, 0);
    CHECK(server == NULL);
    CHECK(is_closed(fd));
    close(fd);
    CHECK(connect_tcp(port) < 0);
    larder_server_stop(&server, 0);
    larder_server_stop(NULL, 0);
    CHECK(set(cache, "host", "2") == LARDER_OK && has(cache, "host", "2"));
    CHECK(larder_close(&cache) == LARDER_OK);
}

static void
several_servers_and_caches_are_apart(void)
{
    struct larder *caches[2] = { open_cache(8u << 20), open_cache(8u << 20) };
    struct larder_server *servers[3] = { NULL };
    int fds[3];
    struct larder_serve_options options = LARDER_SERVE_OPTIONS_INIT;
    options.threads = 1;
    for (unsigned i = 0; i < 3; i++) {
        CHECK(larder_serve(caches[i / 2], &options, &servers[i], NULL, 0) == LARDER_OK);
        fds[i] = connect_tcp(larder_server_port(servers[i]));
        CHECK(fds[i] >= 0);
    }
    CHECK(answers(fds[0], "set a 0 0 1\r\n1\r\n", "STORED\r\n"));
    CHECK(answers(fds[1], "get a\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n"));
    CHECK(answers(fds[2], "get a\r\n", "END\r\n"));
    larder_server_stop(&servers[0], 1);
    CHECK(answers(fds[1], "get a\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n"));
    CHECK(larder_close(&caches[0]) == LARDER_BUSY);
    larder_server_stop(&servers[1], 1);
    CHECK(larder_close(&caches[0]) == LARDER_OK);
    CHECK(answers(fds[2], "get a\r\n", "END\r\n"));
    larder_server_stop(&servers[2], 0);
    CHECK(larder_close(&caches[1]) == LARDER_OK);
    for (unsigned i = 0; i < 3; i++) {
        CHECK(is_closed(fds[i]));
        close(fds[i]);
    }
}

static void
unix_sockets_serve_alone(void)
{
    struct larder *cache = open_cache(8u << 20);
    struct larder_server *server = NULL;
    struct larder_serve_options options;
    char error[LARDER_ERROR_CAP];
    CHECK(larder_serve_options_init(&options, LARDER_SERVE_OPTIONS_VERSION + 1) ==
          LARDER_BAD_OPTION);
    CHECK(larder_serve_options_init(&options, LARDER_SERVE_OPTIONS_VERSION) == LARDER_OK);
    options.port = -1;
    options.unix_path = in_folder("socket");
    options.unix_mask = 0600;
    options.flush_disabled = 1;
    CHECK(larder_serve(cache, &options, &server, error, sizeof(error)) == LARDER_OK);
    CHECK(larder_server_port(server) == 0);
    struct stat stat_of;
    CHECK(stat(in_folder("socket"), &stat_of) == 0 && (stat_of.st_mode & 0777) == 0600);
    int fd = connect_unix(in_folder("socket"));
    CHECK(fd >= 0);
    CHECK(answers(fd, "set a 0 0 1\r\n1\r\n", "STORED\r\n"));
    CHECK(answers(fd, "flush_all\r\n", "CLIENT_ERROR flush_all not allowed\r\n"));
    CHECK(has(cache, "a", "1"));
    larder_server_stop(&server, 1);
    close(fd);
    CHECK(connect_unix(in_folder("socket")) < 0);
    CHECK(larder_close(&cache) == LARDER_OK);
}

static void
what_cannot_be_served_is_told(void)
{
    struct larder *cache = open_cache(8u << 20);
    struct larder_server *server = NULL;
    const struct larder_serve_options good = LARDER_SERVE_OPTIONS_INIT;
    char error[LARDER_ERROR_CAP];
    struct larder_serve_options options = good;
    options.version = LARDER_SERVE_OPTIONS_VERSION + 1;
    CHECK(larder_serve(cache, &options, &server, error, sizeof(error)) == LARDER_BAD_OPTION);
#define BAD(member, value, word)                                                              \
    options = good;                                                                           \
    options.member = value;                                                                   \
    CHECK(larder_serve(cache, &options, &server, error, sizeof(error)) == LARDER_BAD_OPTION); \
    CHECK(strstr(error, word) != NULL)
    BAD(port, -1, "nobody");
    BAD(port, -2, "port");
    BAD(port, 65536, "port");
    BAD(threads, 0, "threads");
    BAD(threads, LARDER_SERVE_THREADS + 1, "threads");
    BAD(conns_max, 0, "conns_max");
    BAD(unix_mask, 01000, "unix_mask");
    BAD(unix_path, "", "unix_path");
    BAD(tls_key, "key.pem", "tls_cert");
    BAD(tls_ca, "ca.pem", "tls_cert");
    BAD(listen, "", "listen");
    BAD(listen, "btls:127.0.0.1", "tls_cert");
    BAD(listen, "[::1", "listen");
#undef BAD
    CHECK(larder_serve(cache, &good, NULL, error, sizeof(error)) == LARDER_BAD_OPTION);
    CHECK(larder_serve(cache, &good, &server, NULL, 1) == LARDER_BAD_OPTION);

    CHECK(larder_serve(cache, &good, &server, error, sizeof(error)) == LARDER_OK);
    struct larder_server *second = NULL;
    options = good;
    options.port = larder_server_port(server);
    CHECK(larder_serve(cache, &options, &second, error, sizeof(error)) == LARDER_SYSTEM);
    CHECK(errno == EADDRINUSE && strstr(error, "in use") != NULL && second == NULL);
    char port[16];
    snprintf(port, sizeof(port), "%d", options.port);
    CHECK(strstr(error, "127.0.0.1") != NULL && strstr(error, port) != NULL);
    CHECK(larder_serve(cache, &options, &second, error, 5) == LARDER_SYSTEM && strlen(error) == 4);
    larder_server_stop(&server, 0);
    options = good;
    options.port = -1;
    options.unix_path = "/no/such/folder/socket";
    CHECK(larder_serve(cache, &options, &server, error, sizeof(error)) == LARDER_SYSTEM);
    CHECK(strstr(error, "/no/such/folder/socket") != NULL);
    options = good;
    options.tls_cert = "/no/such/cert.pem";
    enum larder_result result = larder_serve(cache, &options, &server, error, sizeof(error));
    CHECK((result == LARDER_SYSTEM && strstr(error, "/no/such/cert.pem") != NULL) ||
          result == LARDER_NOT_BUILT);
    CHECK(server == NULL);
    CHECK(larder_close(&cache) == LARDER_OK); /* nothing is left open */
}

/* A client that sends as fast as it can, until its connection ends. */
struct busy {
    pthread_t thread;
    int fd;
    _Atomic int served; /* it has had an answer */
};

static void *
keep_busy(void *arg)
{
    struct busy *busy = arg;
    static const char commands[] =
        "set a 0 0 5\r\nabcde\r\nget a\r\nincr n 1\r\nmg a v\r\ndelete b\r\n";
    char answers_of[4096];
    while (send(busy->fd, commands, sizeof(commands) - 1, MSG_NOSIGNAL) > 0 &&
           recv(busy->fd, answers_of, sizeof(answers_of), 0) > 0) {
        atomic_store_explicit(&busy->served, 1, memory_order_release);
    }
    atomic_store_explicit(&busy->served, 1, memory_order_release);
    return NULL;
}

/* The host calls, too, and other servers come and go. */
static void
stops_while_everyone_is_busy(void)
{
    struct larder *caches[2] = { open_cache(8u << 20), open_cache(8u << 20) };
    CHECK(set(caches[0], "host", "1") == LARDER_OK && set(caches[1], "host", "1") == LARDER_OK);
    for (unsigned round = 0; round < 6; round++) {
        struct busy clients[8];
        struct larder_server *servers[3] = { NULL };
        struct larder_serve_options options = LARDER_SERVE_OPTIONS_INIT;
        options.threads = 2;
        for (unsigned i = 0; i < 3; i++) { /* two of them of one cache */
            CHECK(larder_serve(caches[i / 2], &options, &servers[i], NULL, 0) == LARDER_OK);
        }
        for (unsigned i = 0; i < 8; i++) {
            clients[i].fd = connect_tcp(larder_server_port(servers[i % 3]));
            clients[i].served = 0;
            CHECK(clients[i].fd >= 0);
            CHECK(pthread_create(&clients[i].thread, NULL, keep_busy, &clients[i]) == 0);
        }
        for (unsigned i = 0; i < 8; i++) {
            while (!atomic_load_explicit(&clients[i].served, memory_order_acquire)) {
                CHECK(set(caches[i % 2], "host", "1") == LARDER_OK);
            }
        }
        for (unsigned i = 0; i < 3; i++) {
            larder_server_stop(&servers[i], (int)((round + i) % 2));
            CHECK(has(caches[i / 2], "host", "1"));
        }
        for (unsigned i = 0; i < 8; i++) {
            CHECK(pthread_join(clients[i].thread, NULL) == 0);
            close(clients[i].fd);
        }
    }
    CHECK(larder_close(&caches[0]) == LARDER_OK && larder_close(&caches[1]) == LARDER_OK);
}

struct lines {
    pthread_mutex_t mutex;
    unsigned count;
    char last[256];
};

static void
note_line(void *arg, const char *line)
{
    struct lines *lines = arg;
    (void)pthread_mutex_lock(&lines->mutex);
    lines->count++;
    snprintf(lines->last, sizeof(lines->last), "%s", line);
    (void)pthread_mutex_unlock(&lines->mutex);
}

static void
the_log_goes_to_the_host(void)
{
    struct larder *cache = open_cache(8u << 20);
    struct larder_server *servers[2] = { NULL };
    struct lines lines[2] = { { .mutex = PTHREAD_MUTEX_INITIALIZER },
                              { .mutex = PTHREAD_MUTEX_INITIALIZER } };
    for (unsigned i = 0; i < 2; i++) {
        struct larder_serve_options options = LARDER_SERVE_OPTIONS_INIT;
        options.threads = 1;
        options.log = note_line;
        options.log_arg = &lines[i];
        CHECK(larder_serve(cache, &options, &servers[i], NULL, 0) == LARDER_OK);
    }
    larder_server_stop(&servers[0], 1);
    CHECK(lines[0].count > 0 && strchr(lines[0].last, '\n') == NULL);
    CHECK(lines[1].count == 0);
    larder_server_stop(&servers[1], 1);
    CHECK(lines[1].count == lines[0].count);
    CHECK(larder_close(&cache) == LARDER_OK);
}

static void
nothing_is_left_behind(void)
{
    struct larder *cache = open_cache(8u << 20);
    struct larder_server *server = NULL;
    struct larder_serve_options options = LARDER_SERVE_OPTIONS_INIT;
    options.threads = 2;
    unsigned descriptors = 0, threads = 0;
    for (unsigned i = 0; i < 20; i++) {
        CHECK(larder_serve(cache, &options, &server, NULL, 0) == LARDER_OK);
        int fd = connect_tcp(larder_server_port(server));
        CHECK(answers(fd, "version\r\nmn\r\n", "VERSION 1.6.45\r\nMN\r\n"));
        larder_server_stop(&server, (int)(i % 2));
        close(fd);
        if (i == 0) {
            descriptors = count_in("/proc/self/fd");
            threads = count_in("/proc/self/task");
        }
    }
    CHECK(count_in("/proc/self/fd") == descriptors);
    CHECK(count_in("/proc/self/task") == threads);
    CHECK(larder_close(&cache) == LARDER_OK);
}

int
main(void)
{
    if (mkdtemp(folder) == NULL) {
        perror("mkdtemp");
        return 1;
    }
    RUN(host_and_clients_see_one_cache);
    RUN(several_servers_and_caches_are_apart);
    RUN(unix_sockets_serve_alone);
    RUN(what_cannot_be_served_is_told);
    RUN(stops_while_everyone_is_busy);
    RUN(the_log_goes_to_the_host);
    RUN(nothing_is_left_behind);
    (void)unlink(in_folder("socket"));
    (void)rmdir(folder);
    return tests_end();
}
