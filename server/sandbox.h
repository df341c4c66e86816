/* -o drop_privileges: what a process that serves strangers does not need is taken from it.
 *
 * A filter of system calls (seccomp) for the process, inherited by every thread, takes away:
 * programs, processes, tracing, changing users, and what only loads code into the kernel.  A second
 * one takes new sockets away, also from every thread but those of the MySQL hook, which are started
 * before it and connect to their server again when that was gone.  A third one for each worker, which reads what clients send, leaves a list of calls
 * alone.  A call that is taken away fails with EPERM, one that the workers' list does not know with
 * ENOSYS, as on a kernel that has it not: the C library then does without.
 */
#ifndef LARDER_SANDBOX_H
#define LARDER_SANDBOX_H

#include <stdbool.h>

/** The calling thread, and those that it starts from here on.  false after having told why. */
__attribute__((warn_unused_result)) bool sandbox_process(void);

/** The same, in addition: no new sockets.  After those of the server are bound. */
__attribute__((warn_unused_result)) bool sandbox_sockets(void);

/** The calling thread, in addition.  false after having told why. */
__attribute__((warn_unused_result)) bool sandbox_worker(void);

/** sandbox_worker(), and the end of the process where that fails. */
void sandbox_worker_or_exit(void);
/** The same for a thread that accepts its connections by itself. */
void sandbox_acceptor_or_exit(void);

#endif
