/* The service manager that started this process: the sockets that it hands over, and what it wants
 * to be told.  systemd's protocol, which others speak too, without its library.
 *
 *     LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES   sockets are open from descriptor 3 on
 *     NOTIFY_SOCKET                            where lines such as READY=1 go, as a datagram
 *     WATCHDOG_PID, WATCHDOG_USEC              a sign of life is wanted at least as often
 */
#ifndef LARDER_SERVICE_H
#define LARDER_SERVICE_H

#include "net/server.h"

#include <stdbool.h>
#include <stdint.h>

#define SERVICE_SOCKETS_MAX 64u

struct service {
    int notify_fd; /* -1: nobody wants to be told */
    bool watched;
    unsigned sockets_len;
    char *names_text; /* into which the names point */
    const char *names[SERVICE_SOCKETS_MAX];
};

/**
 * Takes what the environment says, and removes it there.  Before any descriptor is opened, and
 * before the process forks or filters its system calls.
 *
 * Returns 0, or the exit code after having told the operator why; then nothing is open.
 */
__attribute__((warn_unused_result)) int service_open(struct service *service);
void service_close(struct service *service);

/** Gives the sockets that were handed over to the server, which checks them.  Between
 * server_create() and server_start().  Returns 0, or the exit code after having told why. */
__attribute__((warn_unused_result)) int service_hand_over(struct service *service,
                                                          struct server *server);

/** It is still reading a snapshot: more time for the start is asked for. */
void service_starting(const struct service *service, uint64_t items);
/** The server serves.  forked: in another process than the one that was started (-d). */
void service_ready(const struct service *service, const struct settings *settings, bool forked);
/** server_event_fn; arg: struct service. */
void service_event(void *arg, enum server_event event);

#endif
