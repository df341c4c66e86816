/* Words, names and strings of a statement. */
#ifndef LARDER_MYSQL_DDL_TOKEN_H
#define LARDER_MYSQL_DDL_TOKEN_H

#include "mysql/event.h"

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,   /* letters, digits, _, $, and all bytes from 80 on: a keyword, name or number */
    TOKEN_NAME,   /* in backticks, or in double quotes where those are for names */
    TOKEN_STRING, /* with its quotes */
    TOKEN_MARK,   /* one character */
    TOKEN_BROKEN, /* the text ends within quotes or a comment */
};

struct token {
    enum token_kind kind;
    struct bytes text;
};

struct tokens {
    struct bytes_cursor cur;
    uint64_t sql_mode;
    unsigned versioned_open; /* comments that begin with ! and whose end has not come */
};

void tokens_begin(struct tokens *tokens, const struct event_query *query, size_t len_max);
/** Takes the next token, over blanks and comments. */
struct token tokens_next(struct tokens *tokens);
/** Looks at it without taking it. */
struct token tokens_peek(const struct tokens *tokens);

/** Whether the token is this keyword, given in capitals. */
bool token_is(const struct token *token, const char *keyword);
bool token_is_mark(const struct token *token, char mark);

#endif
