/* Messages for the operator, on stderr, one line each. */
#ifndef LARDER_BASE_LOG_H
#define LARDER_BASE_LOG_H

/** Writes one line, whole even when threads write at once.  Adds the line end.  At most 1 KiB;
 * longer is cut. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
