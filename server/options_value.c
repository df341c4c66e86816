#include "config.h"

#include "options_priv.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** "FILE:LINE: " while lines of --config are taken, else nothing; returns the length. */
static size_t
name_line(const struct parser *parser, char *buf, size_t cap)
{
    if (parser->config_path == NULL || cap == 0) {
        return 0;
    }
    int len = snprintf(buf, cap, "%.300s:%u: ", parser->config_path, parser->config_line);
    return len < 0 ? 0 : (size_t)len < cap ? (size_t)len : cap - 1;
}

bool
options_fail(struct parser *parser, int exit_code, const char *format, ...)
{
    struct options_report *report = parser->report;
    if (report->exit_code == 0) {
        size_t used = name_line(parser, report->error, sizeof(report->error));
        va_list args;
        va_start(args, format);
        (void)vsnprintf(report->error + used, sizeof(report->error) - used, format, args);
        va_end(args);
        report->exit_code = exit_code;
    }
    return false;
}

void
options_warn(struct parser *parser, const char *format, ...)
{
    struct options_report *report = parser->report;
    size_t used = strlen(report->warnings);
    if (used > 0 && used + 1 < sizeof(report->warnings)) {
        report->warnings[used++] = '\n';
        report->warnings[used] = '\0';
    }
    used += name_line(parser, report->warnings + used, sizeof(report->warnings) - used);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(report->warnings + used, sizeof(report->warnings) - used, format, args);
    va_end(args);
}

/* -- numbers ----------------------------------------------------------------------------------- */

bool
options_integer(const char *text, int64_t min, int64_t max, int64_t *out)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < min || value > max) {
        return false;
    }
    *out = value;
    return true;
}

bool
options_real(const char *text, double *out)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value)) {
        return false;
    }
    *out = value;
    return true;
}

bool
options_bytes(const char *text, uint64_t unit, uint64_t *out)
{
    if (*text < '0' || *text > '9') {
        return false;
    }
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0) {
        return false;
    }
    switch (*end) {
    case '\0':
        break;
    case 'k':
    case 'K':
        unit = OPTIONS_KIB;
        end++;
        break;
    case 'm':
    case 'M':
        unit = OPTIONS_MIB;
        end++;
        break;
    case 'g':
    case 'G':
        unit = OPTIONS_KIB * OPTIONS_MIB;
        end++;
        break;
    default:
        return false;
    }
    if (*end != '\0' || value > UINT64_MAX / unit) {
        return false;
    }
    *out = value * unit;
    return true;
}
