/* What a server does to its process before it serves: limits, user, daemon, files that tell of it.
 */
#ifndef LARDER_PROCESS_H
#define LARDER_PROCESS_H

#include "admin/settings.h"
#include "net/server.h"

#include <stdbool.h>

/**
 * Signals that must not end a process that is about to serve: a hangup, until the server's loop
 * takes it, a client that has gone, and a snapshot that is too long for a file.
 */
void process_ignore_signals(void);
/** Keeps the signals waiting that stop a server, for its loop to take: from here on every start
 * ends in an orderly stop. */
void process_hold_stop_signals(void);
/** Whether one of them waits. */
bool process_is_to_stop(void);

/** Each returns 0, or the exit code after having told the operator why. */
__attribute__((warn_unused_result)) int process_allow_coredumps(void);
/** Raises the limit of descriptors, but only where it is too low for -c. */
__attribute__((warn_unused_result)) int process_allow_descriptors(const struct settings *settings);
/** Root becomes the user of -u. */
__attribute__((warn_unused_result)) int process_switch_user(const struct settings *settings);
/** -L: whether the system has large pages to give. */
__attribute__((warn_unused_result)) int process_check_large_pages(void);

/**
 * Goes on in a child without a terminal; the parent waits until the child serves or ends, and ends
 * as it did.
 *
 * ready_fd   out, for process_tell_ready()
 */
__attribute__((warn_unused_result)) int process_daemonize(int *ready_fd);
/** The server serves: lets the daemon's parent end, and leaves the terminal unless `keep_output`.
 */
void process_tell_ready(int ready_fd, bool keep_output);

/**
 * Unmaps the code and constants of the program and its libraries: what only the start needed stays
 * so, what serving needs comes back from the page cache, a few pages at a fault.  Once the server
 * serves.  Where pages are locked (-k) nothing happens.
 */
void process_forget_start(void);

/** Writes the process id; false after having told why.  A server without it goes on. */
__attribute__((warn_unused_result)) bool process_write_pid(const char *path);
/** Removes the file if it still holds our id. */
void process_remove_pid(const char *path);

/** MEMCACHED_PORT_FILENAME: writes the ports of the server's sockets, if the environment asks for
 * it. */
void process_write_ports(const struct server *server);

#endif
