/*
 * Command lines of the classic text protocol.
 *
 * A line is read in one of two ways.  The hot way knows the commands that clients send all day, in
 * the form in which they send them: single spaces, plain numbers, nothing left out.  It goes over
 * the line once.  Whatever it does not know it leaves to the slow way
 * (text_words.c), which finds the line's end, cuts the line into words and knows all rules and all
 * errors.  The hot way never decides that a line is wrong, so the rules stand in one place.
 */
#include "text.h"

#include "text_priv.h"

#include <assert.h>
#include <string.h>

/* Four bytes as memcpy loads them into a uint32_t. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define FOUR(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))
#else
#define FOUR(a, b, c, d) ((uint32_t)(d) << 24 | (uint32_t)(c) << 16 | (uint32_t)(b) << 8 | (a))
#endif

/* A number of so many digits fits 63 bits. */
#define HOT_DIGITS_MAX 18u

/* ---- the hot way: each function returns the place behind what it took, or NULL for "not me" ----
 */

/** A key with one space behind it, as nearly all commands begin. */
static inline const uint8_t *
hot_key(const uint8_t *at, const uint8_t *end, struct span *key)
{
    const uint8_t *behind = parse_quick_token(at, end);
    if (behind == NULL || *behind != ' ' || (size_t)(behind - at) - 1 >= KEY_LEN_MAX) {
        return NULL;
    }
    key->at = at;
    key->len = (size_t)(behind - at);
    return behind + 1;
}

/** A number with one space behind it. */
static inline const uint8_t *
hot_number(const uint8_t *at, const uint8_t *end, uint64_t *out)
{
    const uint8_t *behind = parse_quick_number(at, end, HOT_DIGITS_MAX, out);
    return behind != NULL && *behind == ' ' ? behind + 1 : NULL;
}

static inline const uint8_t *
hot_line_end(const uint8_t *at, const uint8_t *end)
{
    if (end - at >= 2 && at[0] == '\r' && at[1] == '\n') {
        return at + 2;
    }
    return at < end && *at == '\n' ? at + 1 : NULL;
}

/** The line end, with a "noreply" before it or not. */
static inline const uint8_t *
hot_end(const uint8_t *at, const uint8_t *end, bool *noreply)
{
    static const char option[] = " noreply";
    const size_t option_len = sizeof option - 1;
    *noreply = false;
    if (at < end && *at == ' ') {
        if ((size_t)(end - at) < option_len || memcmp(at, option, option_len) != 0) {
            return NULL;
        }
        *noreply = true;
        at += option_len;
    }
    return hot_line_end(at, end);
}

/** The keys of the get family up to the line end; one or many, spaces behind them or not. */
static inline const uint8_t *
hot_keys(const uint8_t *at, const uint8_t *end, enum request_op op, struct request *out)
{
    const uint8_t *behind = parse_quick_token(at, end);
    if (behind == NULL || behind == at) {
        return NULL;
    }
    const uint8_t *next;
    bool is_one = *behind != ' ';
    if (!is_one) {
        const uint8_t *lf = memchr(behind, '\n', (size_t)(end - behind));
        if (lf == NULL) {
            return NULL;
        }
        behind = lf - (lf[-1] == '\r');
        next = lf + 1;
    } else {
        next = hot_line_end(behind, end);
    }
    out->op = op;
    out->noreply = false;
    out->keys.at = at;
    out->keys.len = (size_t)(behind - at);
    out->keys_one = is_one && out->keys.len <= KEY_LEN_MAX;
    return next;
}

/** gat and gats: a time, then keys. */
static inline const uint8_t *
hot_gat(const uint8_t *at, const uint8_t *end, enum request_op op, struct request *out)
{
    uint64_t exptime;
    at = hot_number(at, end, &exptime);
    if (at == NULL) {
        return NULL;
    }
    out->exptime = (int64_t)exptime;
    return hot_keys(at, end, op, out);
}

/** <key> <flags> <exptime> <bytes> [<cas>] [noreply] */
static const uint8_t *
hot_store(const uint8_t *at, const uint8_t *end, enum request_op op, struct request *out)
{
    uint64_t flags, exptime, value_len;
    if ((at = hot_key(at, end, &out->key)) == NULL || (at = hot_number(at, end, &flags)) == NULL ||
        (at = hot_number(at, end, &exptime)) == NULL ||
        (at = parse_quick_number(at, end, NUMBER32_LEN_MAX, &value_len)) == NULL ||
        value_len > VALUE_LEN_LIMIT) {
        return NULL;
    }
    if (op == REQUEST_CAS &&
        (*at != ' ' || (at = parse_quick_number(at + 1, end, HOT_DIGITS_MAX, &out->cas)) == NULL)) {
        return NULL;
    }
    out->op = op;
    out->flags = (uint32_t)flags; /* the upper half goes: contract 1.2, "flags" */
    out->exptime = (int64_t)exptime;
    out->value_len = (uint32_t)value_len;
    return hot_end(at, end, &out->noreply);
}

/** incr, decr and touch: <key> <number> [noreply] */
static const uint8_t *
hot_key_number(const uint8_t *at, const uint8_t *end, enum request_op op, struct request *out)
{
    uint64_t number;
    if ((at = hot_key(at, end, &out->key)) == NULL ||
        (at = parse_quick_number(at, end, HOT_DIGITS_MAX, &number)) == NULL) {
        return NULL;
    }
    out->op = op;
    if (op == REQUEST_TOUCH) {
        out->exptime = (int64_t)number;
    } else {
        out->delta = number;
    }
    return hot_end(at, end, &out->noreply);
}

/** <key> [noreply] */
static const uint8_t *
hot_delete(const uint8_t *at, const uint8_t *end, struct request *out)
{
    const uint8_t *behind = parse_quick_token(at, end);
    if (behind == NULL || (size_t)(behind - at) - 1 >= KEY_LEN_MAX) {
        return NULL;
    }
    out->op = REQUEST_DELETE;
    out->key.at = at;
    out->key.len = (size_t)(behind - at);
    return hot_end(behind, end, &out->noreply);
}

/** The rest of a command's name, its space included. */
static inline bool
hot_rest(const uint8_t **at, const uint8_t *end, const char *rest, size_t rest_len)
{
    if ((size_t)(end - *at) < rest_len || memcmp(*at, rest, rest_len) != 0) {
        return false;
    }
    *at += rest_len;
    return true;
}

static inline const uint8_t *
hot_line(const uint8_t *at, const uint8_t *end, struct request *out)
{
    uint32_t name;
    if (end - at < (ptrdiff_t)sizeof name) {
        return NULL;
    }
    memcpy(&name, at, sizeof name);
    at += sizeof name;
    switch (name) {
    case FOUR('g', 'e', 't', ' '):
        return hot_keys(at, end, REQUEST_GET, out);
    case FOUR('g', 'e', 't', 's'):
        return hot_rest(&at, end, " ", 1) ? hot_keys(at, end, REQUEST_GETS, out) : NULL;
    case FOUR('s', 'e', 't', ' '):
        return hot_store(at, end, REQUEST_SET, out);
    case FOUR('a', 'd', 'd', ' '):
        return hot_store(at, end, REQUEST_ADD, out);
    case FOUR('c', 'a', 's', ' '):
        return hot_store(at, end, REQUEST_CAS, out);
    case FOUR('r', 'e', 'p', 'l'):
        return hot_rest(&at, end, "ace ", 4) ? hot_store(at, end, REQUEST_REPLACE, out) : NULL;
    case FOUR('a', 'p', 'p', 'e'):
        return hot_rest(&at, end, "nd ", 3) ? hot_store(at, end, REQUEST_APPEND, out) : NULL;
    case FOUR('p', 'r', 'e', 'p'):
        return hot_rest(&at, end, "end ", 4) ? hot_store(at, end, REQUEST_PREPEND, out) : NULL;
    case FOUR('d', 'e', 'l', 'e'):
        return hot_rest(&at, end, "te ", 3) ? hot_delete(at, end, out) : NULL;
    case FOUR('i', 'n', 'c', 'r'):
        return hot_rest(&at, end, " ", 1) ? hot_key_number(at, end, REQUEST_INCR, out) : NULL;
    case FOUR('d', 'e', 'c', 'r'):
        return hot_rest(&at, end, " ", 1) ? hot_key_number(at, end, REQUEST_DECR, out) : NULL;
    case FOUR('t', 'o', 'u', 'c'):
        return hot_rest(&at, end, "h ", 2) ? hot_key_number(at, end, REQUEST_TOUCH, out) : NULL;
    case FOUR('g', 'a', 't', ' '):
        return hot_gat(at, end, REQUEST_GAT, out);
    case FOUR('g', 'a', 't', 's'):
        return hot_rest(&at, end, " ", 1) ? hot_gat(at, end, REQUEST_GATS, out) : NULL;
    default:
        return NULL;
    }
}

enum parse_status
text_parse(struct cursor *cur, struct request *out)
{
    assert(cur->at <= cur->end);
    const uint8_t *behind = hot_line(cur->at, cur->end, out);
    if (behind == NULL) {
        return text_parse_words(cur, out);
    }
    cur->at = behind;
    return PARSE_DONE;
}

bool
text_line_too_long(const uint8_t *bytes, size_t len)
{
    if (len <= LINE_LEN_MAX) {
        return false;
    }
    size_t spaces = 0;
    while (spaces < LINE_SPACES_MAX && bytes[spaces] == ' ') {
        spaces++;
    }
    const uint8_t *command = bytes + spaces;
    return memcmp(command, "get ", 4) != 0 && memcmp(command, "gets ", 5) != 0;
}
