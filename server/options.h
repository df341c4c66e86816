/* The command line: memcached's options, checked, into struct settings. */
#ifndef LARDER_OPTIONS_H
#define LARDER_OPTIONS_H

#include "admin/settings.h"

#include <stdio.h>

#define OPTIONS_EXIT_BAD   1  /* a bad value, an unknown option */
#define OPTIONS_EXIT_USAGE 64 /* a bad combination; what this build does not have */
#define OPTIONS_EXIT_USER  67 /* -u names nobody */
#define OPTIONS_EXIT_OS    71 /* cannot listen; limits of the system */
/* The file of -e cannot be used: the status that a shell shows for memcached's abort(). */
#define OPTIONS_EXIT_MEMORY_FILE 134

#define OPTIONS_THREADS_MAX 1000u /* -t: below STATS_WORKERS_MAX and CACHE_THREADS_MAX */

enum options_result {
    OPTIONS_RUN,
    OPTIONS_HELP,    /* -h */
    OPTIONS_VERSION, /* -V */
    OPTIONS_LICENSE, /* -i */
    OPTIONS_BAD,     /* report says what is wrong, and the exit code */
};

#define OPTIONS_TEXT_CAP 1024u /* bytes, NUL included */

struct options_report {
    int exit_code;
    char error[OPTIONS_TEXT_CAP];    /* lines for stderr, without the last line end */
    char warnings[OPTIONS_TEXT_CAP]; /* the same; may come with OPTIONS_RUN; empty for none */
};

/**
 * Takes the command line into `settings`, memcached's defaults first.  Touches nothing but its
 * arguments, and getopt's state; the order of argv may change.
 *
 * settings   out; its strings are parts of argv and, for -l, options_free()'s
 */
__attribute__((warn_unused_result)) enum options_result
options_parse(int argc, char **argv, struct settings *settings, struct options_report *report);
/** Sockets were handed over: they stand in for the default port and for the addresses of the file
 * of --config.  What the command line itself names is opened beside them. */
void options_listen_beside(struct settings *settings, unsigned sockets);
/** Gives back what options_parse() allocated, whatever it returned. */
void options_free(struct settings *settings);

void options_print_help(FILE *out);
void options_print_version(FILE *out);
void options_print_license(FILE *out);

#endif
