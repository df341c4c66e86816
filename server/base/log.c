#include "config.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LOG_LINE_MAX 1024u /* bytes */

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
    line[used++] = '\n';
    /* One write, so that lines of several threads do not mix.  Nobody is left to tell when stderr
     * is gone. */
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written;
}
