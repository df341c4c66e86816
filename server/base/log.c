#include "config.h"

#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOG_LINE_MAX 1024u /* bytes */

static _Thread_local const struct log_sink *own_sink;

void
log_line(const char *format, ...)
{
    char line[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    if (len < 0) {
        return;
    }
    size_t used = (size_t)len < sizeof(line) - 1 ? (size_t)len : sizeof(line) - 2;
    if (own_sink != NULL) {
        line[used] = '\0';
        own_sink->line(own_sink->arg, line);
        return;
    }
    line[used++] = '\n';
    /* One write, so that lines of several threads do not mix.  Nobody is left to tell when stderr
     * is gone. */
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written;
}

const struct log_sink *
log_set_sink(const struct log_sink *sink)
{
    const struct log_sink *before = own_sink;
    own_sink = sink;
    return before;
}

/* What a new thread is to do. */
struct start {
    void *(*run)(void *);
    void *arg;
    const struct log_sink *sink;
};

static void *
thread_main(void *arg)
{
    struct start start = *(struct start *)arg;
    free(arg);
    own_sink = start.sink;
    return start.run(start.arg);
}

int
thread_start(pthread_t *thread, void *(*run)(void *), void *arg)
{
    struct start *start = malloc(sizeof(*start));
    if (start == NULL) {
        return ENOMEM;
    }
    *start = (struct start){ run, arg, own_sink };
    int rc = pthread_create(thread, NULL, thread_main, start);
    if (rc != 0) {
        free(start);
    }
    return rc;
}
