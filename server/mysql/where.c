#include "config.h"

#include "mysql/where.h"

#include "base/assert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define SHOWN_MAX       40  /* bytes of a user's text that an error quotes */
#define INTEGER_LEN_MAX 18u /* digits that always fit an int64_t */
#define NUMBER_LEN_MAX  80u /* bytes; a DECIMAL has at most 65 digits */

enum token_kind {
    TOKEN_END,
    TOKEN_WORD, /* a column, or a word of the language */
    TOKEN_NAME, /* in `backquotes`: a column */
    TOKEN_NUMBER,
    TOKEN_TEXT, /* in 'quotes' */
    TOKEN_SIGN, /* ( ) , and comparisons */
};

struct token {
    enum token_kind kind;
    struct bytes text; /* without quotes; TEXT: unescaped */
};

/* What waits on the stack of connectives; the tighter ones have the higher numbers. */
enum waiting {
    WAIT_PARENTHESIS,
    WAIT_OR,
    WAIT_AND,
    WAIT_NOT,
};

struct where_compiler {
    struct bytes_cursor cur;
    struct token token; /* the one to look at */
    struct pool *pool;
    char *error;
    size_t error_cap;
    uint32_t waiting_count;
    uint32_t step_count;
    uint32_t literal_count;
    uint32_t column_count;
    enum waiting waiting[WHERE_DEPTH_MAX];
    struct where_step steps[WHERE_STEPS_MAX];
    struct where_literal literals[WHERE_LITERALS_MAX];
    struct bytes columns[WHERE_COLUMNS_MAX];
};

#define FAIL(compiler, ...) (snprintf((compiler)->error, (compiler)->error_cap, __VA_ARGS__), false)

static int
shown(struct bytes text)
{
    return (int)(text.len < SHOWN_MAX ? text.len : SHOWN_MAX);
}

/** A token that is not what was wanted. */
static bool
fail_token(struct where_compiler *compiler, const char *wanted)
{
    struct bytes text = compiler->token.text;
    if (compiler->token.kind == TOKEN_END) {
        return FAIL(compiler, "where ends too early: %s is missing", wanted);
    }
    return FAIL(compiler, "'%.*s' in where, in place of %s", shown(text), (const char *)text.at,
                wanted);
}

/* -- tokens ----------------------------------------------------------------------------------- */

static bool
is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool
is_word(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
           c == '$' || c >= 0x80;
}

static bool
take_name(struct where_compiler *compiler)
{
    struct bytes_cursor *cur = &compiler->cur;
    const uint8_t *start = ++cur->at;
    while (cur->at < cur->end && *cur->at != '`') {
        cur->at++;
    }
    if (cur->at == cur->end) {
        return FAIL(compiler, "'`' without its other one in where");
    }
    compiler->token = (struct token){ TOKEN_NAME, { start, (size_t)(cur->at - start) } };
    cur->at++;
    return true;
}

/** 'text', unescaped: '' is a quote; a backslash stands before a quote or a backslash alone. */
static bool
take_text(struct where_compiler *compiler)
{
    struct bytes_cursor *cur = &compiler->cur;
    uint8_t text[WHERE_LEN_MAX];
    size_t len = 0;
    for (cur->at++; cur->at < cur->end; cur->at++) {
        uint8_t c = *cur->at;
        bool has_next = bytes_left(cur) > 1;
        if (c == '\'' && !(has_next && cur->at[1] == '\'')) {
            const char *copy = pool_copy(compiler->pool, text, len);
            compiler->token = (struct token){ TOKEN_TEXT, { (const uint8_t *)copy, len } };
            cur->at++;
            return copy != NULL || FAIL(compiler, "out of memory for the rules");
        }
        if (c == '\\' && !(has_next && (cur->at[1] == '\'' || cur->at[1] == '\\'))) {
            return FAIL(compiler, "'\\' in a text of where; only \\' and \\\\ are taken");
        }
        if (c == '\'' || c == '\\') {
            cur->at++;
        }
        text[len++] = *cur->at;
    }
    return FAIL(compiler, "a text without its closing quote in where");
}

/** [+-]digits[.digits]; whatever hangs on it makes it no number. */
static bool
take_number(struct where_compiler *compiler)
{
    struct bytes_cursor *cur = &compiler->cur;
    const uint8_t *start = cur->at;
    size_t points = 0;
    cur->at += *start == '-' || *start == '+';
    while (cur->at < cur->end && (is_word(*cur->at) || *cur->at == '.')) {
        points += *cur->at == '.';
        if ((*cur->at == '.' && points > 1) || (*cur->at != '.' && !is_digit(*cur->at))) {
            break;
        }
        cur->at++;
    }
    struct bytes text = { start, (size_t)(cur->at - start) };
    bool hangs_on = cur->at < cur->end && (is_word(*cur->at) || *cur->at == '.');
    if (hangs_on || !is_digit(cur->at[-1]) || text.len > NUMBER_LEN_MAX) {
        return FAIL(compiler, "'%.*s' in where is no number; 12 and -1.5 are",
                    shown(text) + hangs_on, (const char *)text.at);
    }
    compiler->token = (struct token){ TOKEN_NUMBER, text };
    return true;
}

static bool
take_sign(struct where_compiler *compiler)
{
    static const char *const signs[] = { "!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", "," };
    struct bytes_cursor *cur = &compiler->cur;
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        size_t len = strlen(signs[i]);
        if (bytes_left(cur) >= len && memcmp(cur->at, signs[i], len) == 0) {
            compiler->token = (struct token){ TOKEN_SIGN, { cur->at, len } };
            cur->at += len;
            return true;
        }
    }
    if (*cur->at == '"') {
        return FAIL(compiler, "'\"' in where; texts stand in single quotes");
    }
    return FAIL(compiler, "'%c' in where is nothing that it knows",
                *cur->at >= ' ' && *cur->at < 0x7f ? *cur->at : '?');
}

/** Steps to the next token. */
static bool
next(struct where_compiler *compiler)
{
    struct bytes_cursor *cur = &compiler->cur;
    while (cur->at < cur->end && (*cur->at == ' ' || (*cur->at >= '\t' && *cur->at <= '\r'))) {
        cur->at++;
    }
    if (cur->at == cur->end) {
        compiler->token = (struct token){ TOKEN_END, { cur->at, 0 } };
        return true;
    }
    uint8_t c = *cur->at;
    if (c == '`') {
        return take_name(compiler);
    }
    if (c == '\'') {
        return take_text(compiler);
    }
    if (is_digit(c) || c == '-' || c == '+') {
        return take_number(compiler);
    }
    if (!is_word(c)) {
        return take_sign(compiler);
    }
    const uint8_t *start = cur->at;
    while (cur->at < cur->end && is_word(*cur->at)) {
        cur->at++;
    }
    compiler->token = (struct token){ TOKEN_WORD, { start, (size_t)(cur->at - start) } };
    return true;
}

static bool
at_word(const struct where_compiler *compiler, const char *word)
{
    struct bytes text = compiler->token.text;
    return compiler->token.kind == TOKEN_WORD && text.len == strlen(word) &&
           strncasecmp((const char *)text.at, word, text.len) == 0;
}

static bool
at_sign(const struct where_compiler *compiler, const char *sign)
{
    return compiler->token.kind == TOKEN_SIGN && bytes_equal(compiler->token.text, sign);
}

/* -- steps ------------------------------------------------------------------------------------ */

static bool
add_step(struct where_compiler *compiler, struct where_step step)
{
    if (compiler->step_count == WHERE_STEPS_MAX) {
        return FAIL(compiler, "more than %u tests and connectives in where", WHERE_STEPS_MAX);
    }
    compiler->steps[compiler->step_count++] = step;
    return true;
}

static bool
add_connective(struct where_compiler *compiler, enum waiting waiting)
{
    enum where_step_kind kind = waiting == WAIT_NOT   ? WHERE_NOT
                                : waiting == WAIT_AND ? WHERE_AND
                                                      : WHERE_OR;
    assert(waiting != WAIT_PARENTHESIS);
    return add_step(compiler, (struct where_step){ .kind = (uint8_t)kind });
}

static bool
wait(struct where_compiler *compiler, enum waiting waiting)
{
    if (compiler->waiting_count == WHERE_DEPTH_MAX) {
        return FAIL(compiler, "where is nested deeper than %u", WHERE_DEPTH_MAX);
    }
    compiler->waiting[compiler->waiting_count++] = waiting;
    return true;
}

/** Ends what waits and binds at least as tightly. */
static bool
end_waiting(struct where_compiler *compiler, enum waiting least)
{
    while (compiler->waiting_count > 0 && compiler->waiting[compiler->waiting_count - 1] >= least) {
        if (!add_connective(compiler, compiler->waiting[--compiler->waiting_count])) {
            return false;
        }
    }
    return true;
}

static bool
find_column(struct where_compiler *compiler, uint8_t *out)
{
    struct bytes name = compiler->token.text;
    if (name.len == 0 || name.len > TEMPLATE_NAME_LEN_MAX) {
        return FAIL(compiler, "'%.*s' is no name of a column", shown(name), (const char *)name.at);
    }
    uint32_t i = 0;
    while (i < compiler->column_count && (compiler->columns[i].len != name.len ||
                                          strncasecmp((const char *)compiler->columns[i].at,
                                                      (const char *)name.at, name.len) != 0)) {
        i++;
    }
    if (i == WHERE_COLUMNS_MAX) {
        return FAIL(compiler, "more than %u columns in where", WHERE_COLUMNS_MAX);
    }
    if (i == compiler->column_count) {
        compiler->columns[compiler->column_count++] = name;
    }
    *out = (uint8_t)i;
    return true;
}

/** Whether a quoted text is a plain decimal number. */
static bool
is_decimal(struct bytes text)
{
    size_t i = text.len > 0 && (text.at[0] == '-' || text.at[0] == '+');
    size_t points = 0;
    if (text.len == i || text.len > NUMBER_LEN_MAX || !is_digit(text.at[i]) ||
        !is_digit(text.at[text.len - 1])) {
        return false;
    }
    for (; i < text.len; i++) {
        points += text.at[i] == '.';
        if (text.at[i] != '.' && !is_digit(text.at[i])) {
            return false;
        }
    }
    return points <= 1;
}

static void
read_number(struct where_literal *literal)
{
    char text[NUMBER_LEN_MAX + 1];
    assert(literal->text.len <= NUMBER_LEN_MAX);
    memcpy(text, literal->text.at, literal->text.len);
    text[literal->text.len] = 0;
    literal->is_number = true;
    literal->real = strtod(text, NULL);
    if (memchr(text, '.', literal->text.len) == NULL && literal->text.len <= INTEGER_LEN_MAX) {
        literal->is_integer = true;
        literal->integer = strtoll(text, NULL, 10);
    }
}

static bool
take_literal(struct where_compiler *compiler)
{
    struct where_literal literal = { .text = compiler->token.text };
    switch (compiler->token.kind) {
    case TOKEN_TEXT:
        literal.is_quoted = true;
        if (is_decimal(literal.text)) {
            read_number(&literal);
        }
        break;
    case TOKEN_NUMBER:
        read_number(&literal);
        break;
    case TOKEN_WORD:
        if (at_word(compiler, "TRUE") || at_word(compiler, "FALSE")) {
            literal.text.at = (const uint8_t *)(at_word(compiler, "TRUE") ? "1" : "0");
            literal.text.len = 1;
            read_number(&literal);
            break;
        }
        if (at_word(compiler, "NULL")) {
            return FAIL(compiler, "a comparison with NULL is never true; write IS NULL");
        }
        return fail_token(compiler, "a number or a text in single quotes");
    case TOKEN_END:
    case TOKEN_NAME:
    case TOKEN_SIGN:
        return fail_token(compiler, "a number or a text in single quotes");
    }
    if (compiler->literal_count == WHERE_LITERALS_MAX) {
        return FAIL(compiler, "more than %u numbers and texts in where", WHERE_LITERALS_MAX);
    }
    compiler->literals[compiler->literal_count++] = literal;
    return next(compiler);
}

/* -- conditions ------------------------------------------------------------------------------- */

/** ( literal, ... ) */
static bool
take_list(struct where_compiler *compiler, struct where_step *step)
{
    if (!at_sign(compiler, "(")) {
        return fail_token(compiler, "the '(' of IN");
    }
    do {
        if (!next(compiler) || !take_literal(compiler)) {
            return false;
        }
        step->literal_count++;
    } while (at_sign(compiler, ","));
    if (!at_sign(compiler, ")")) {
        return fail_token(compiler, "the ')' of IN");
    }
    return next(compiler);
}

/** What stands behind a column: the test. */
static bool
take_test(struct where_compiler *compiler, uint8_t column)
{
    static const struct {
        const char *sign;
        enum where_step_kind kind;
    } comparisons[] = {
        { "=", WHERE_EQUAL },       { "!=", WHERE_NOT_EQUAL },  { "<>", WHERE_NOT_EQUAL },
        { "<", WHERE_LESS },        { "<=", WHERE_LESS_EQUAL }, { ">", WHERE_MORE },
        { ">=", WHERE_MORE_EQUAL },
    };
    struct where_step step = { .column = column, .literal = (uint16_t)compiler->literal_count };
    for (size_t i = 0; i < sizeof(comparisons) / sizeof(comparisons[0]); i++) {
        if (at_sign(compiler, comparisons[i].sign)) {
            step.kind = (uint8_t)comparisons[i].kind;
            step.literal_count = 1;
            return next(compiler) && take_literal(compiler) && add_step(compiler, step);
        }
    }
    bool is_is = at_word(compiler, "IS");
    if (is_is && !next(compiler)) {
        return false;
    }
    bool is_not = at_word(compiler, "NOT");
    if (is_not && !next(compiler)) {
        return false;
    }
    if (is_is) {
        step.kind = WHERE_IS_NULL;
        if (!at_word(compiler, "NULL")) {
            return fail_token(compiler, "NULL or NOT NULL");
        }
        if (!next(compiler)) {
            return false;
        }
    } else if (at_word(compiler, "IN")) {
        step.kind = WHERE_IN;
        if (!next(compiler) || !take_list(compiler, &step)) {
            return false;
        }
    } else {
        return fail_token(compiler, "one of = != <> < <= > >= IN, NOT IN, IS NULL, IS NOT NULL");
    }
    return add_step(compiler, step) && (!is_not || add_connective(compiler, WAIT_NOT));
}

/** A test, or what may stand in front of one.  Tells whether the test was there. */
static bool
take_operand(struct where_compiler *compiler, bool *is_whole)
{
    uint8_t column;
    *is_whole = false;
    if (at_sign(compiler, "(")) {
        return wait(compiler, WAIT_PARENTHESIS) && next(compiler);
    }
    if (at_word(compiler, "NOT")) {
        return wait(compiler, WAIT_NOT) && next(compiler);
    }
    bool is_column = compiler->token.kind == TOKEN_NAME ||
                     (compiler->token.kind == TOKEN_WORD && !at_word(compiler, "AND") &&
                      !at_word(compiler, "OR") && !at_word(compiler, "IN") &&
                      !at_word(compiler, "IS") && !at_word(compiler, "NULL"));
    if (!is_column) {
        return fail_token(compiler, "a column");
    }
    *is_whole = true;
    return find_column(compiler, &column) && next(compiler) && take_test(compiler, column);
}

/** A connective, or a closing parenthesis.  Tells whether an operand must follow. */
static bool
take_operator(struct where_compiler *compiler, bool *wants_operand)
{
    *wants_operand = true;
    if (at_word(compiler, "OR")) {
        return end_waiting(compiler, WAIT_OR) && wait(compiler, WAIT_OR) && next(compiler);
    }
    if (at_word(compiler, "AND")) {
        return end_waiting(compiler, WAIT_AND) && wait(compiler, WAIT_AND) && next(compiler);
    }
    if (!at_sign(compiler, ")")) {
        return fail_token(compiler, "AND or OR");
    }
    *wants_operand = false;
    if (!end_waiting(compiler, WAIT_OR)) {
        return false;
    }
    if (compiler->waiting_count == 0) {
        return FAIL(compiler, "')' without its '(' in where");
    }
    compiler->waiting_count--;
    return next(compiler);
}

static bool
compile(struct where_compiler *compiler)
{
    bool wants_operand = true;
    if (!next(compiler)) {
        return false;
    }
    while (wants_operand || compiler->token.kind != TOKEN_END) {
        bool is_whole;
        if (!wants_operand) {
            if (!take_operator(compiler, &wants_operand)) {
                return false;
            }
        } else if (!take_operand(compiler, &is_whole)) {
            return false;
        } else {
            wants_operand = !is_whole;
        }
    }
    if (!end_waiting(compiler, WAIT_OR)) {
        return false;
    }
    if (compiler->waiting_count > 0) {
        return FAIL(compiler, "'(' without its ')' in where");
    }
    return true;
}

bool
where_compile(struct bytes text, struct pool *pool, struct where *out, char *error,
              size_t error_cap)
{
    struct where_compiler compiler = { .pool = pool, .error = error, .error_cap = error_cap };
    if (text.len > WHERE_LEN_MAX) {
        return FAIL(&compiler, "where has %zu bytes; at most %u are taken", text.len,
                    WHERE_LEN_MAX);
    }
    const char *source = pool_copy(pool, text.at, text.len);
    if (source == NULL) {
        return FAIL(&compiler, "out of memory for the rules");
    }
    *out = (struct where){ .source = { (const uint8_t *)source, text.len } };
    compiler.cur = bytes_cursor(out->source); /* names and numbers stay there */
    if (!compile(&compiler)) {
        return false;
    }
    size_t steps_len = compiler.step_count * sizeof(*out->steps);
    size_t literals_len = compiler.literal_count * sizeof(*out->literals);
    size_t columns_len = compiler.column_count * sizeof(*out->columns);
    struct where_step *steps = pool_take(pool, steps_len);
    struct where_literal *literals = pool_take(pool, literals_len);
    struct bytes *columns = pool_take(pool, columns_len);
    if (steps == NULL || literals == NULL || columns == NULL) {
        return FAIL(&compiler, "out of memory for the rules");
    }
    memcpy(steps, compiler.steps, steps_len);
    memcpy(literals, compiler.literals, literals_len);
    memcpy(columns, compiler.columns, columns_len);
    out->steps = steps;
    out->step_count = compiler.step_count;
    out->literals = literals;
    out->columns = columns;
    out->column_count = compiler.column_count;
    return true;
}
