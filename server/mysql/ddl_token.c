#include "config.h"

#include "mysql/ddl_token.h"

void
tokens_begin(struct tokens *tokens, const struct event_query *query, size_t len_max)
{
    struct bytes text = query->text;
    text.len = text.len < len_max ? text.len : len_max;
    *tokens = (struct tokens){ .cur = bytes_cursor(text), .sql_mode = query->sql_mode };
}

static bool
is_word(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '$' || c >= 0x80;
}

static bool
starts_with(const struct bytes_cursor *cur, const char *text)
{
    size_t len = strlen(text);
    return bytes_left(cur) >= len && memcmp(cur->at, text, len) == 0;
}

static void
skip_line(struct bytes_cursor *cur)
{
    const uint8_t *end = memchr(cur->at, '\n', bytes_left(cur));
    cur->at = end == NULL ? cur->end : end + 1;
}

/**
 * The rest of a comment that the server ran: its version, if any, is skipped, and what it holds is
 * taken for text.  (Where a server skips such a comment, it blanks the ! before it logs the text.)
 */
static void
enter_versioned(struct tokens *tokens, size_t opening_len)
{
    tokens->cur.at += opening_len;
    while (tokens->cur.at < tokens->cur.end && *tokens->cur.at >= '0' && *tokens->cur.at <= '9') {
        tokens->cur.at++;
    }
    tokens->versioned_open++;
}

/** Goes over blanks and comments.  False: the text ends within a comment. */
static bool
skip_blanks(struct tokens *tokens)
{
    struct bytes_cursor *cur = &tokens->cur;
    while (cur->at < cur->end) {
        uint8_t c = *cur->at;
        bool is_dashes = starts_with(cur, "--") && (bytes_left(cur) == 2 || cur->at[2] <= ' ');
        if (c <= ' ') {
            cur->at++;
        } else if (c == '#' || is_dashes) {
            skip_line(cur);
        } else if (starts_with(cur, "/*!")) {
            enter_versioned(tokens, 3);
        } else if (starts_with(cur, "/*M!")) {
            enter_versioned(tokens, 4);
        } else if (starts_with(cur, "/*")) {
            const uint8_t *end = memmem(cur->at + 2, bytes_left(cur) - 2, "*/", 2);
            if (end == NULL) {
                cur->at = cur->end;
                return false;
            }
            cur->at = end + 2;
        } else if (tokens->versioned_open > 0 && starts_with(cur, "*/")) {
            tokens->versioned_open--;
            cur->at += 2;
        } else {
            return true;
        }
    }
    return tokens->versioned_open == 0;
}

/** A quote within quotes is doubled; within a string it may also follow a backslash. */
static struct token
take_quoted(struct tokens *tokens, enum token_kind kind)
{
    struct bytes_cursor *cur = &tokens->cur;
    const uint8_t *start = cur->at;
    uint8_t quote = *cur->at++;
    bool has_escapes =
        kind == TOKEN_STRING && (tokens->sql_mode & EVENT_SQL_NO_BACKSLASH_ESCAPES) == 0;
    while (cur->at < cur->end) {
        uint8_t c = *cur->at++;
        if (c == '\\' && has_escapes) {
            cur->at += cur->at < cur->end;
        } else if (c == quote) {
            if (cur->at == cur->end || *cur->at != quote) {
                return (struct token){ kind, { start, (size_t)(cur->at - start) } };
            }
            cur->at++;
        }
    }
    return (struct token){ TOKEN_BROKEN, { cur->end, 0 } };
}

struct token
tokens_next(struct tokens *tokens)
{
    struct bytes_cursor *cur = &tokens->cur;
    if (!skip_blanks(tokens)) {
        return (struct token){ TOKEN_BROKEN, { cur->end, 0 } };
    }
    if (cur->at == cur->end) {
        return (struct token){ TOKEN_END, { cur->end, 0 } };
    }
    const uint8_t *start = cur->at;
    uint8_t c = *start;
    if (c == '`' || (c == '"' && (tokens->sql_mode & EVENT_SQL_ANSI_QUOTES) != 0)) {
        return take_quoted(tokens, TOKEN_NAME);
    }
    if (c == '\'' || c == '"') {
        return take_quoted(tokens, TOKEN_STRING);
    }
    if (!is_word(c)) {
        cur->at++;
        return (struct token){ TOKEN_MARK, { start, 1 } };
    }
    while (cur->at < cur->end && is_word(*cur->at)) {
        cur->at++;
    }
    return (struct token){ TOKEN_WORD, { start, (size_t)(cur->at - start) } };
}

struct token
tokens_peek(const struct tokens *tokens)
{
    struct tokens ahead = *tokens;
    return tokens_next(&ahead);
}

bool
token_is(const struct token *token, const char *keyword)
{
    if (token->kind != TOKEN_WORD || token->text.len != strlen(keyword)) {
        return false;
    }
    for (size_t i = 0; i < token->text.len; i++) {
        uint8_t c = token->text.at[i];
        if ((c >= 'a' && c <= 'z' ? c - 0x20 : c) != (uint8_t)keyword[i]) {
            return false;
        }
    }
    return true;
}

bool
token_is_mark(const struct token *token, char mark)
{
    return token->kind == TOKEN_MARK && token->text.at[0] == (uint8_t)mark;
}
