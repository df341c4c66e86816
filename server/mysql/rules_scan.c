#include "config.h"

#include "mysql/rules_priv.h"

#define UTF8_BOM "\xef\xbb\xbf"

struct scan {
    struct rules_reader *reader;
    struct bytes_cursor cur;
    unsigned line;
    unsigned depth;
    struct {
        uint8_t closing;
        unsigned line;
    } open[RULES_NESTING_MAX];
};

static bool
at_text(const struct scan *scan, const char *text)
{
    size_t len = strlen(text);
    return bytes_left(&scan->cur) >= len && memcmp(scan->cur.at, text, len) == 0;
}

static void
step(struct scan *scan)
{
    scan->line += *scan->cur.at == '\n';
    scan->cur.at++;
}

/** Steps behind the next `end`, or to the end of all: then false. */
static bool
skip_to(struct scan *scan, const char *end)
{
    while (scan->cur.at < scan->cur.end) {
        if (at_text(scan, end)) {
            for (size_t i = strlen(end); i > 0; i--) {
                step(scan);
            }
            return true;
        }
        step(scan);
    }
    return false;
}

static bool
skip_string(struct scan *scan)
{
    unsigned line = scan->line;
    for (step(scan); scan->cur.at < scan->cur.end; step(scan)) {
        if (*scan->cur.at == '"') {
            step(scan);
            return true;
        }
        if (*scan->cur.at == '\\' && bytes_left(&scan->cur) > 1) {
            step(scan);
        }
    }
    return rules_fail(scan->reader, line, "a text without its closing '\"'");
}

static bool
skip_bracket(struct scan *scan)
{
    uint8_t c = *scan->cur.at;
    uint8_t closing = c == '{' ? '}' : c == '(' ? ')' : c == '[' ? ']' : 0;
    if (closing != 0) {
        if (scan->depth == RULES_NESTING_MAX) {
            return rules_fail(scan->reader, scan->line, "brackets within more than %u others",
                              RULES_NESTING_MAX);
        }
        scan->open[scan->depth].closing = closing;
        scan->open[scan->depth++].line = scan->line;
    } else if (scan->depth == 0) {
        return rules_fail(scan->reader, scan->line, "'%c' closes nothing", c);
    } else if (scan->open[--scan->depth].closing != c) {
        return rules_fail(scan->reader, scan->line, "'%c' in place of the '%c' of line %u", c,
                          scan->open[scan->depth].closing, scan->open[scan->depth].line);
    }
    step(scan);
    return true;
}

bool
rules_scan(struct rules_reader *reader, struct bytes text)
{
    struct scan scan = { .reader = reader, .cur = bytes_cursor(text), .line = 1 };
    if (text.len > RULES_FILE_LEN_MAX) {
        return rules_fail(reader, 0, "is longer than %u bytes", RULES_FILE_LEN_MAX);
    }
    if (at_text(&scan, UTF8_BOM)) {
        return rules_fail(reader, 1, "begins with a byte order mark; save it without one");
    }
    while (scan.cur.at < scan.cur.end) {
        uint8_t c = *scan.cur.at;
        unsigned line = scan.line;
        if (c == 0) {
            return rules_fail(reader, line, "a zero byte: this is no text");
        }
        if (c == '#' || at_text(&scan, "//")) {
            (void)skip_to(&scan, "\n");
        } else if (at_text(&scan, "/*")) {
            scan.cur.at += 2;
            if (!skip_to(&scan, "*/")) {
                return rules_fail(reader, line, "a comment without its closing '*/'");
            }
        } else if (c == '"') {
            if (!skip_string(&scan)) {
                return false;
            }
        } else if (strchr("{}()[]", c) != NULL) {
            if (!skip_bracket(&scan)) {
                return false;
            }
        } else if (c == '@') {
            return rules_fail(reader, line, "@include is not taken: all rules stand in one file");
        } else {
            step(&scan);
        }
    }
    if (scan.depth > 0) {
        return rules_fail(reader, scan.open[scan.depth - 1].line, "a bracket without its '%c'",
                          scan.open[scan.depth - 1].closing);
    }
    return true;
}
