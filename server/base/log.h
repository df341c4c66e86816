/* Messages for the operator, one line each: on stderr, or where a host of the library wants them.
 *
 * Where they go is a property of the thread, and threads started by thread_start() take it over
 * from their maker: so several servers of one process can tell different people. */
#ifndef LARDER_BASE_LOG_H
#define LARDER_BASE_LOG_H

#include <pthread.h>

/** Writes one line, whole even when threads write at once.  Adds the line end.  At most 1 KiB;
 * longer is cut. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Takes a line without its end; borrowed for the call. */
struct log_sink {
    void (*line)(void *arg, const char *text);
    void *arg;
};

/** From here on this thread's lines go there; NULL: to stderr.  Borrowed until it is replaced and
 * threads with it have ended.  Returns what was there. */
const struct log_sink *log_set_sink(const struct log_sink *sink);

/** pthread_create(), with this thread's sink.  Returns what that returns, or ENOMEM. */
__attribute__((warn_unused_result)) int thread_start(pthread_t *thread, void *(*run)(void *),
                                                     void *arg);

#endif
