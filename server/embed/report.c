#include "config.h"

#include "embed/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/** log_sink.line() */
static void
pass_on(void *arg, const char *text)
{
    const struct report *report = arg;
    if (report->log != NULL) {
        report->log(report->log_arg, text);
    }
}

void
report_init(struct report *report, larder_log_fn *log, void *log_arg)
{
    *report = (struct report){ .sink = { .line = pass_on, .arg = report },
                               .log = log,
                               .log_arg = log_arg };
}

bool
report_open(struct report_text *text, char *at, size_t cap)
{
    *text = (struct report_text){ at, cap };
    if (cap > 0 && at != NULL) {
        at[0] = '\0';
    }
    return at != NULL || cap == 0;
}

void
report_put(const struct report_text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (text->cap > 0) {
        (void)vsnprintf(text->at, text->cap, format, args);
    }
    va_end(args);
}

void
report_end(const struct report_text *text, enum larder_result result)
{
    int error = errno;
    if (result == LARDER_SYSTEM && text->cap > 0 && text->at[0] == '\0') {
        report_put(text, "%s", strerror(error));
    }
    errno = error;
}
