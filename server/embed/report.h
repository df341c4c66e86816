/* What the library tells its host: error texts into the host's buffer, lines of the log to its
 * function. */
#ifndef LARDER_EMBED_REPORT_H
#define LARDER_EMBED_REPORT_H

#include "larder.h"

#include "base/log.h"

#include <stdbool.h>
#include <stddef.h>

/** Where the lines of a server's or a hook's threads go. */
struct report {
    struct log_sink sink;
    larder_log_fn *log; /* NULL: dropped */
    void *log_arg;
};

/** At its final place: the sink points to it. */
void report_init(struct report *report, larder_log_fn *log, void *log_arg);

/** The host's buffer for an error's text. */
struct report_text {
    char *at;
    size_t cap; /* bytes, NUL included; 0 for none */
};

/** Begins with an empty text.  False for no buffer where there should be one. */
bool report_open(struct report_text *text, char *at, size_t cap);
/** Writes a text, cut to what fits. */
void report_put(const struct report_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** The call is about to answer this: where the system refused and nothing has been put, says what
 * errno says, which stays as it is. */
void report_end(const struct report_text *text, enum larder_result result);

#endif
