#include "config.h"

#include "config_file.h"

#include "base/assert.h"

static bool
is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\v' || byte == '\f';
}

/** Steps over blanks and a comment: to a word, to a line end, or to the end. */
static void
skip_to_word(struct config_cursor *cursor)
{
    while (cursor->at < cursor->end && is_blank(*cursor->at)) {
        cursor->at++;
    }
    if (cursor->at < cursor->end && *cursor->at == '#') {
        while (cursor->at < cursor->end && *cursor->at != '\n') {
            cursor->at++;
        }
    }
}

/**
 * Reads a word at the cursor, and writes it, without its quotes and backslashes, to the same place.
 *
 * out_end   out: where its NUL belongs.  It may be the byte at the cursor, which is to be looked at
 *           before.
 */
static enum config_result
read_word(struct config_cursor *cursor, char **out_end)
{
    char *out = cursor->at;
    char quote = '\0'; /* the one that is open */
    for (; cursor->at < cursor->end; cursor->at++) {
        char byte = *cursor->at;
        if (byte == '\0') {
            return CONFIG_BAD_BYTE;
        }
        if (byte == '\n') {
            break;
        }
        if (byte == '\\' && quote != '\'') {
            char *next = cursor->at + 1;
            if (next == cursor->end || *next == '\n' || *next == '\r') {
                return CONFIG_OPEN_BACKSLASH;
            }
            if (*next == '\0') {
                return CONFIG_BAD_BYTE;
            }
            *out++ = *next;
            cursor->at = next;
        } else if (quote != '\0') {
            if (byte == quote) {
                quote = '\0';
            } else {
                *out++ = byte;
            }
        } else if (byte == '"' || byte == '\'') {
            quote = byte;
        } else if (is_blank(byte) || byte == '#') {
            break;
        } else {
            *out++ = byte;
        }
    }
    *out_end = out;
    return quote == '\0' ? CONFIG_LINE : CONFIG_OPEN_QUOTE;
}

/** The words of the line at the cursor; steps behind its end.  CONFIG_LINE, also without words, or
 * an error. */
static enum config_result
read_line(struct config_cursor *cursor, struct config_line *line)
{
    line->count = 0;
    for (;;) {
        skip_to_word(cursor);
        if (cursor->at == cursor->end) {
            return CONFIG_LINE;
        }
        if (*cursor->at == '\n') {
            cursor->at++;
            return CONFIG_LINE;
        }
        if (line->count == CONFIG_WORDS_MAX) {
            return CONFIG_TOO_MANY_WORDS;
        }
        char *word = cursor->at;
        char *word_end = word;
        enum config_result result = read_word(cursor, &word_end);
        if (result != CONFIG_LINE) {
            return result;
        }
        line->words[line->count++] = word;
        bool ends_line = cursor->at == cursor->end || *cursor->at == '\n';
        bool ends_in_comment = !ends_line && *cursor->at == '#';
        if (ends_in_comment) {
            skip_to_word(cursor);
            ends_line = true;
        }
        if (cursor->at < cursor->end) {
            cursor->at++;
        }
        *word_end = '\0';
        if (ends_line) {
            return CONFIG_LINE;
        }
    }
}

enum config_result
config_next(struct config_cursor *cursor, struct config_line *line)
{
    assert(cursor->at <= cursor->end);
    while (cursor->at < cursor->end) {
        cursor->line++;
        enum config_result result = read_line(cursor, line);
        if (result != CONFIG_LINE || line->count > 0) {
            return result;
        }
    }
    return CONFIG_END;
}

const char *
config_error(enum config_result result)
{
    switch (result) {
    case CONFIG_BAD_BYTE:
        return "a NUL byte: this is no text file";
    case CONFIG_OPEN_QUOTE:
        return "a quote is not closed: one of \" or ' must follow on the same line, or \\ stand before";
    case CONFIG_OPEN_BACKSLASH:
        return "a backslash at the end of the line: it must stand before the byte that it protects";
    case CONFIG_TOO_MANY_WORDS:
        return "more than 64 words: one option per line is right, such as -m 64";
    case CONFIG_LINE:
    case CONFIG_END:
        break;
    }
    return "";
}
