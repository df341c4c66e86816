/* What the files of the command line share: the parser, its complaints, its numbers. */
#ifndef LARDER_OPTIONS_PRIV_H
#define LARDER_OPTIONS_PRIV_H

#include "options.h"

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_KIB       UINT64_C(1024)
#define OPTIONS_MIB       (OPTIONS_KIB * 1024)
#define PAGE_OF_MEMCACHED (1024u * 1024u) /* bytes; what slab_chunk_max must divide */

struct parser {
    struct settings *settings;
    struct options_report *report;
    bool port_given;
    bool protocol_given;
    const char *config_path; /* the file of --config while its lines are taken; else NULL */
    unsigned config_line;    /* the number of the line there */
    bool listen_from_config; /* the addresses so far are the file's: one of the command line
                                replaces them */
    bool temporary_ttl_given;
    enum options_result ends; /* OPTIONS_RUN, or what -h, -V or -i asked for */
};

/** Notes why the command line is refused, and the exit code; the first reason counts.  Names file
 * and line of --config.  Returns false. */
bool options_fail(struct parser *parser, int exit_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** Adds a line to the warnings. */
void options_warn(struct parser *parser, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Each takes the whole text or nothing: false leaves `out` as it was. */

/** A decimal number from min to max, with an optional '-'. */
bool options_integer(const char *text, int64_t min, int64_t max, int64_t *out);
/** A finite number. */
bool options_real(const char *text, double *out);
/** A number in units of `unit` bytes, or with k, m or g behind it. */
bool options_bytes(const char *text, uint64_t unit, uint64_t *out);

/** Takes options from words as main() gets them, of the command line or of a line of a file. false:
 * what the parser notes, refused, or ended by -h, -V or -i. */
bool options_take_words(struct parser *parser, int argc, char **argv);
/** --config: all lines of a file. */
bool options_take_config(struct parser *parser, const char *path);

/** The value of -o: name or name=value, split at commas. */
bool options_extended(struct parser *parser, const char *text);

/** -l: adds the addresses, which are split at , and ; */
bool options_take_listen(struct parser *parser, const char *text);
/** After all options, of which -B is the default of each address. */
bool options_check_listen(struct parser *parser);
void options_free_listen(struct settings *settings);

/** After all options, before the addresses: -Y and -S choose the protocol. */
bool options_check_logins(struct parser *parser);

/** Suboptions; `value` is NULL where there is no `=`. */
bool options_take_ssl_keyformat(struct parser *parser, const char *value);
bool options_take_ssl_wbuf_size(struct parser *parser, const char *value);
bool options_take_ssl_verify_mode(struct parser *parser, const char *value);
bool options_take_ssl_min_version(struct parser *parser, const char *value);
/** After all options.  verifies: whether a listener asks for certificates of clients. */
bool options_check_tls(struct parser *parser, bool verifies);

#endif
