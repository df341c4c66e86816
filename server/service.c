#include "config.h"

#include "service.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "options_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_SOCKET    3       /* the protocol's */
#define TEXT_CAP        256u    /* bytes of a datagram */
#define TELL_SECONDS    1       /* that a manager who does not read holds the server up */
#define START_MORE_US   60000000u /* asked for again each second while a snapshot is read */
#define WATCHDOG_MIN_US 2000000 /* the server's tick comes once a second */
#define WATCHDOG_MAX_US INT64_MAX
#define UNKNOWN_NAME    "no name"

/** Whether a variable holds a number that is not ours: then it is meant for another process. */
static bool
is_for_other(const char *variable, bool *bad)
{
    const char *text = getenv(variable);
    int64_t pid = 0;
    if (text == NULL) {
        return true;
    }
    if (!options_integer(text, 1, INT32_MAX, &pid)) {
        log_line("%s=%.100s: the number of a process is right", variable, text);
        *bad = true;
    }
    return pid != getpid();
}

/* -- sockets ----------------------------------------------------------------------------------- */

/** LISTEN_FDNAMES, split at colons.  Names that are missing are no reason not to serve: they stand
 * in messages alone. */
static void
take_names(struct service *service)
{
    const char *text = getenv("LISTEN_FDNAMES");
    for (unsigned i = 0; i < SERVICE_SOCKETS_MAX; i++) {
        service->names[i] = UNKNOWN_NAME;
    }
    service->names_text = text != NULL ? strdup(text) : NULL;
    char *rest = service->names_text;
    for (unsigned i = 0; i < service->sockets_len && rest != NULL; i++) {
        const char *name = strsep(&rest, ":");
        if (*name != '\0') {
            service->names[i] = name;
        }
    }
}

static int
take_sockets(struct service *service)
{
    bool bad = false;
    int64_t count = 0;
    const char *text = getenv("LISTEN_FDS");
    if (text == NULL || is_for_other("LISTEN_PID", &bad)) {
        return bad ? OPTIONS_EXIT_OS : 0;
    }
    if (!options_integer(text, 0, SERVICE_SOCKETS_MAX, &count)) {
        log_line("LISTEN_FDS=%.100s: a number of sockets up to %u is right", text,
                 SERVICE_SOCKETS_MAX);
        return OPTIONS_EXIT_OS;
    }
    service->sockets_len = (unsigned)count;
    take_names(service);
    return 0;
}

int
service_hand_over(struct service *service, struct server *server)
{
    char error[SERVER_ERROR_CAP];
    for (unsigned i = 0; i < service->sockets_len; i++) {
        int fd = FIRST_SOCKET + (int)i;
        if (server_adopt(server, fd, error) != SERVER_OK) {
            log_line("LISTEN_FDS: descriptor %d (%.100s): %s", fd, service->names[i], error);
            return OPTIONS_EXIT_OS;
        }
    }
    return 0;
}

/* -- telling ----------------------------------------------------------------------------------- */

/** The address of NOTIFY_SOCKET; 0 for none that is known here. */
static socklen_t
notify_address(const char *path, struct sockaddr_un *address)
{
    size_t len = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || len < 2 || len >= sizeof(address->sun_path)) {
        return 0;
    }
    *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(address->sun_path, path, len);
    if (path[0] == '@') {
        address->sun_path[0] = '\0'; /* an abstract name: as long as it is, without a NUL behind */
    } else {
        len++;
    }
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

/** Connects at once: later the filters of -o drop_privileges forbid it.  What fails is told, and
 * the server goes on. */
static void
open_notify(struct service *service)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || *path == '\0') {
        return;
    }
    struct sockaddr_un address;
    socklen_t len = notify_address(path, &address);
    if (len == 0) {
        log_line("NOTIFY_SOCKET=%.200s: not told: a path of a unix socket or @NAME is right", path);
        return;
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
        connect(fd, (struct sockaddr *)&address, len) != 0) {
        log_line("NOTIFY_SOCKET=%.200s: not told: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    struct timeval bound = { .tv_sec = TELL_SECONDS, .tv_usec = 0 };
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof(bound));
    service->notify_fd = fd;
}

static void
take_watchdog(struct service *service)
{
    const char *text = getenv("WATCHDOG_USEC");
    int64_t period_us = 0;
    bool bad = false;
    if (text == NULL || (getenv("WATCHDOG_PID") != NULL && is_for_other("WATCHDOG_PID", &bad))) {
        return;
    }
    if (!options_integer(text, 1, WATCHDOG_MAX_US, &period_us)) {
        log_line("WATCHDOG_USEC=%.100s: a number of microseconds is right", text);
        return;
    }
    if (period_us < WATCHDOG_MIN_US) {
        log_line("WATCHDOG_USEC=%.100s: a sign of life is sent each second: at least %d is right",
                 text, WATCHDOG_MIN_US);
    }
    service->watched = true;
}

/** flags: MSG_DONTWAIT, or 0. */
static void
tell(const struct service *service, const char *text, int flags)
{
    if (service->notify_fd < 0) {
        return;
    }
    ssize_t sent;
    do {
        sent = send(service->notify_fd, text, strlen(text), MSG_NOSIGNAL | flags);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && (flags & MSG_DONTWAIT) == 0) {
        log_line("NOTIFY_SOCKET: cannot tell \"%.*s\": %s", (int)strcspn(text, "\n"), text,
                 strerror(errno));
    }
}

void
service_starting(const struct service *service, uint64_t items)
{
    char text[TEXT_CAP];
    snprintf(text, sizeof(text), "EXTEND_TIMEOUT_USEC=%u\nSTATUS=Loading: %" PRIu64 " items",
             START_MORE_US, items);
    tell(service, text, MSG_DONTWAIT);
}

void
service_ready(const struct service *service, const struct settings *settings, bool forked)
{
    char text[TEXT_CAP];
    /* relaxed: no other thread changes it yet */
    uint64_t limit = atomic_load_explicit(&settings->memory_limit, memory_order_relaxed);
    int len =
        snprintf(text, sizeof(text), "READY=1\nSTATUS=Serving: %u workers, %" PRIu64 " megabytes",
                 settings->threads, limit / OPTIONS_MIB);
    assert(len > 0 && (size_t)len < sizeof(text));
    if (forked) {
        (void)snprintf(text + len, sizeof(text) - (size_t)len, "\nMAINPID=%ld", (long)getpid());
    }
    tell(service, text, 0);
}

void
service_event(void *arg, enum server_event event)
{
    const struct service *service = arg;
    char text[TEXT_CAP];
    switch (event) {
    case SERVER_EVENT_RELOADING:
        /* The clock's reading tells this reload from an earlier one. */
        snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_monotonic_us());
        tell(service, text, 0);
        break;
    case SERVER_EVENT_RELOADED:
        tell(service, "READY=1", 0);
        break;
    case SERVER_EVENT_STOPPING:
        tell(service, "STOPPING=1\nSTATUS=Closing connections", 0);
        break;
    case SERVER_EVENT_TICK:
        if (service->watched) {
            tell(service, "WATCHDOG=1", MSG_DONTWAIT);
        }
        break;
    }
}

/* -- both -------------------------------------------------------------------------------------- */

int
service_open(struct service *service)
{
    *service = (struct service){ .notify_fd = -1 };
    int code = take_sockets(service);
    if (code == 0) {
        open_notify(service);
        take_watchdog(service);
    } else {
        service_close(service);
    }
    static const char *const variables[] = { "LISTEN_PID",    "LISTEN_FDS",   "LISTEN_FDNAMES",
                                             "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC" };
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        (void)unsetenv(variables[i]);
    }
    return code;
}

void
service_close(struct service *service)
{
    if (service->notify_fd >= 0) {
        close(service->notify_fd);
        service->notify_fd = -1;
    }
    free(service->names_text);
    service->names_text = NULL;
}
