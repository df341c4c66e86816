/* The text of a configuration file, cut into the words of one line after the other.
 *
 * One line holds what a command line would: options, each with its value.  Words are split at
 * blanks.  '#' begins a comment, wherever it stands.  A backslash makes the next byte of the word
 * an ordinary one, quotes ("..." or '...') all bytes up to the closing quote; in '...' a backslash
 * is ordinary, too.  The syntax of Debian's /etc/memcached.conf, as its wrapper and the shell
 * behind it read it, but for variables and commands, which are none here.
 *
 * Pure: no files, no heap, no errno; the words lie in the text itself, which is rewritten.
 */
#ifndef LARDER_CONFIG_FILE_H
#define LARDER_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_WORDS_MAX 64u /* words of one line */

struct config_cursor {
    char *at;
    char *end;     /* the byte there is the caller's, and writable: it ends the last word */
    unsigned line; /* number of the line that config_next() gave last, from 1 */
};

enum config_result {
    CONFIG_LINE,           /* words of a line */
    CONFIG_END,            /* no line is left */
    CONFIG_BAD_BYTE,       /* NUL: not a text */
    CONFIG_OPEN_QUOTE,     /* a quote that its line does not close */
    CONFIG_OPEN_BACKSLASH, /* a backslash at the end of its line */
    CONFIG_TOO_MANY_WORDS, /* more than CONFIG_WORDS_MAX */
};

struct config_line {
    char *words[CONFIG_WORDS_MAX]; /* NUL-terminated, in the text */
    unsigned count;
};

/**
 * Cuts the next line that holds a word.
 *
 * line   out, on CONFIG_LINE; the words live as long as the text
 * After an error the cursor stays where it is, with the number of the bad line.
 */
__attribute__((warn_unused_result)) enum config_result config_next(struct config_cursor *cursor,
                                                                   struct config_line *line);

/** What is wrong, and what would be right; for the results that are errors. */
const char *config_error(enum config_result result);

#endif
