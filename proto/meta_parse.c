/*
 * Command lines of the meta protocol.
 *
 * The line's end is looked for first, so that all rules work on a whole line and stand in one
 * place; that search is cheap beside what it saves.  Then one pass over the words.  Before them
 * stands quick_mg(), which knows the commonest form alone and no errors.
 */
#include "meta.h"

#include "base64.h"

#include <assert.h>

/** A line being parsed. */
struct line {
    const uint8_t *at;    /* behind what has been taken */
    const uint8_t *end;   /* at the CR or LF, which no search for a word's end passes */
    const uint8_t *limit; /* behind the last byte that can be read */
    unsigned words;       /* taken so far, the command among them */
};

/** Letters that may stand in a request, with any command.  Source: contract 1.7. */
static const uint64_t known_flags =
    META_FLAG('b') | META_FLAG('c') | META_FLAG('f') | META_FLAG('h') | META_FLAG('k') |
    META_FLAG('l') | META_FLAG('q') | META_FLAG('s') | META_FLAG('t') | META_FLAG('u') |
    META_FLAG('v') | META_FLAG('x') | META_FLAG('C') | META_FLAG('D') | META_FLAG('E') |
    META_FLAG('F') | META_FLAG('I') | META_FLAG('J') | META_FLAG('L') | META_FLAG('M') |
    META_FLAG('N') | META_FLAG('O') | META_FLAG('P') | META_FLAG('R') | META_FLAG('T');

/** Letters among them of which no token is read and which no reply gives back. */
static const uint64_t bare_flags = META_FLAG('q') | META_FLAG('u') | META_FLAG('v') |
                                   META_FLAG('x') | META_FLAG('I') | META_FLAG('L') |
                                   META_FLAG('P');

/** Letters that a command's full reply gives back. */
static inline uint64_t
returns_of(enum meta_op op)
{
    switch (op) {
    case META_MG:
        return META_FLAG('s') | META_FLAG('t') | META_FLAG('c') | META_FLAG('l') | META_FLAG('f') |
               META_FLAG('h') | META_FLAG('k') | META_FLAG('O');
    case META_MS:
        return META_FLAG('O') | META_FLAG('k') | META_FLAG('c') | META_FLAG('s');
    case META_MD:
        return META_FLAG('O') | META_FLAG('k');
    case META_MA:
        return META_FLAG('t') | META_FLAG('c') | META_FLAG('k') | META_FLAG('O');
    case META_MN:
    case META_ME:
    case META_ERROR:
        break;
    }
    return 0;
}

/** Takes the bytes up to the next space or the line's end. */
static inline struct span
take_bytes(struct line *line)
{
    const uint8_t *at = line->at;
    const uint8_t *behind = parse_quick_token(at, line->limit);
    while (*behind != ' ' && behind != line->end) {
        behind = parse_quick_token(behind + 1, line->limit); /* a control byte: part of the word */
    }
    line->at = behind;
    return (struct span){ at, (size_t)(behind - at) };
}

/** Steps to the next word.  False if there is none. */
static inline bool
next_word(struct line *line)
{
    const uint8_t *at = line->at;
    while (*at == ' ') {
        at++;
    }
    line->at = at;
    if (at == line->end) {
        return false;
    }
    line->words++;
    return true;
}

/** Takes the next word; it is empty at the line's end. */
static inline struct span
take_word(struct line *line)
{
    return next_word(line) ? take_bytes(line) : (struct span){ line->at, 0 };
}

/* -- flags with a token: if it is wrong PARSE_BAD, and the error set in the request -- */

static enum parse_status
wrong(struct meta_request *out, enum request_error error)
{
    out->error = error;
    return PARSE_BAD;
}

static enum parse_status
flag_exptime(struct meta_request *out, struct span token, int64_t *value)
{
    if (parse_word_exptime(token, value) != PARSE_DONE) {
        return wrong(out, REQUEST_ERR_META_TOKEN);
    }
    return PARSE_DONE;
}

static enum parse_status
flag_u64(struct meta_request *out, struct span token, uint64_t *value, enum request_error error)
{
    return parse_word_u64(token, value) == PARSE_DONE ? PARSE_DONE : wrong(out, error);
}

static enum parse_status
flag_client_flags(struct meta_request *out, struct span token)
{
    uint64_t value;
    if (parse_word_u64(token, &value) != PARSE_DONE || value > UINT32_MAX) {
        return PARSE_BAD; /* told as take_flags() has set it, unless there is another error */
    }
    out->client_flags = (uint32_t)value;
    return PARSE_DONE;
}

static enum parse_status
flag_binary_key(struct meta_request *out)
{
    assert(out->key.len <= KEY_LEN_MAX);
    size_t len = base64_decode(out->key_bytes, out->key.at, out->key.len);
    if (len == 0) {
        return wrong(out, REQUEST_ERR_META_KEY);
    }
    out->key.at = out->key_bytes;
    out->key.len = len;
    return PARSE_DONE;
}

/** The first byte alone counts; take_mode() judges it when all flags are known. */
static enum parse_status
flag_mode(struct meta_request *out, struct span token)
{
    out->mode = token.len > 0 ? *token.at : 0;
    return PARSE_DONE;
}

/** Reads what stands behind a letter. */
static enum parse_status
take_token(struct meta_request *out, uint8_t letter, struct span token)
{
    switch (letter) {
    case 'b':
        return flag_binary_key(out);
    case 'T':
        out->ttl_before_touch = meta_has(out, 't');
        out->recache_before_touch = meta_has(out, 'R');
        out->vivify_before_touch = meta_has(out, 'N');
        return flag_exptime(out, token, &out->exptime);
    case 'N':
        out->ttl_before_vivify = meta_has(out, 't');
        return flag_exptime(out, token, &out->vivify_exptime);
    case 'R':
        return flag_exptime(out, token, &out->recache_s);
    case 'C':
        return flag_u64(out, token, &out->cas, REQUEST_ERR_META_TOKEN);
    case 'E':
        return flag_u64(out, token, &out->cas_new, REQUEST_ERR_META_TOKEN);
    case 'D':
        return flag_u64(out, token, &out->delta, REQUEST_ERR_META_DELTA);
    case 'J':
        return flag_u64(out, token, &out->initial, REQUEST_ERR_META_INITIAL);
    case 'F':
        return flag_client_flags(out, token);
    case 'M':
        return flag_mode(out, token);
    case 'O':
        out->opaque = token;
        return PARSE_DONE;
    default:
        return PARSE_DONE; /* the token of other letters is not looked at */
    }
}

/* -- errors -- */

/** What is wrong with a letter that is not known, or not new. */
static enum request_error
letter_error(uint8_t letter, const struct meta_request *out)
{
    if (letter >= 127) {
        return REQUEST_ERR_META_DUPLICATE;
    }
    if (letter < 'A' || letter > 'z') {
        return REQUEST_ERR_FORMAT;
    }
    return meta_has(out, (char)letter) ? REQUEST_ERR_META_DUPLICATE : REQUEST_ERR_META_FLAG;
}

static enum request_error
ma_error(enum request_error error)
{
    switch (error) {
    case REQUEST_ERR_FORMAT:
    case REQUEST_ERR_META_DUPLICATE:
    case REQUEST_ERR_META_FLAG:
    case REQUEST_ERR_META_TOKEN:
    case REQUEST_ERR_META_DELTA:
    case REQUEST_ERR_META_INITIAL:
    case REQUEST_ERR_META_KEY:
        return REQUEST_ERR_META_MA;
    case REQUEST_ERR_UNKNOWN:
    case REQUEST_ERR_EXPTIME:
    case REQUEST_ERR_DELTA:
    case REQUEST_ERR_DELETE:
    case REQUEST_ERR_META_OPTIONS:
    case REQUEST_ERR_META_OPAQUE:
    case REQUEST_ERR_META_MS_MODE:
    case REQUEST_ERR_META_MA_MODE:
    case REQUEST_ERR_META_MA:
        break;
    }
    return error;
}

/** For a line whose words are of no interest any more. */
static void
fail(struct meta_request *out, enum request_error error)
{
    out->error = out->op == META_MA ? ma_error(error) : error;
    out->op = META_ERROR;
}

/** The same, unless the line has more words than any command may: that is told first. */
static void
fail_counted(struct meta_request *out, struct line line, enum request_error error)
{
    while (take_word(&line).len > 0) {
        /* counts */
    }
    fail(out, line.words > META_WORDS_MAX ? REQUEST_ERR_META_OPTIONS : error);
}

/* -- commands -- */

/** Turns the M token's first byte into an enum meta_mode. */
static enum parse_status
take_mode(struct meta_request *out)
{
    if (out->op == META_MS) {
        switch (out->mode) {
        case 'S':
            out->mode = META_MODE_SET;
            return PARSE_DONE;
        case 'E':
            out->mode = META_MODE_ADD;
            return PARSE_DONE;
        case 'A':
            out->mode = META_MODE_APPEND;
            return PARSE_DONE;
        case 'P':
            out->mode = META_MODE_PREPEND;
            return PARSE_DONE;
        case 'R':
            out->mode = META_MODE_REPLACE;
            return PARSE_DONE;
        default:
            return wrong(out, REQUEST_ERR_META_MS_MODE);
        }
    }
    if (out->op == META_MA) {
        switch (out->mode) {
        case 'I':
        case '+':
            out->mode = META_MODE_INCR;
            return PARSE_DONE;
        case 'D':
        case '-':
            out->mode = META_MODE_DECR;
            return PARSE_DONE;
        default:
            return wrong(out, REQUEST_ERR_META_MA_MODE);
        }
    }
    return PARSE_DONE; /* others do not look at it */
}

/** What is told only if all flags are right as such: a wrong mode, then a long opaque; as seen
 * live. */
static enum parse_status
check_tokens(struct meta_request *out)
{
    if (meta_has(out, 'M') && take_mode(out) != PARSE_DONE) {
        return PARSE_BAD;
    }
    if (meta_has(out, 'O') && out->opaque.len > META_OPAQUE_MAX) {
        return wrong(out, REQUEST_ERR_META_OPAQUE);
    }
    return PARSE_DONE;
}

/** All flags of a line. */
static inline void
take_flags(struct meta_request *out, struct line *line)
{
    uint64_t given_back = returns_of(out->op);
    out->error = REQUEST_ERR_FORMAT;
    enum parse_status status = PARSE_DONE;
    while (next_word(line)) {
        uint8_t letter = *line->at++;
        uint64_t bit = (unsigned)letter - 'A' <= 'z' - 'A' ? META_FLAG(letter) : 0;
        bit &= known_flags & ~out->flags;
        struct span token = { line->at, 0 };
        if (*line->at != ' ' && line->at != line->end) {
            token = take_bytes(line);
        }
        if (bit == 0) {
            fail_counted(out, *line, letter_error(letter, out));
            return;
        }
        if ((bit & bare_flags) == 0) {
            if ((bit & given_back) != 0) {
                assert(out->returns_count < META_RETURNS_MAX);
                out->returns[out->returns_count++] = letter;
            }
            if (take_token(out, letter, token) != PARSE_DONE) {
                status = PARSE_BAD;
            }
        }
        out->flags |= bit;
    }
    if ((out->flags & (META_FLAG('M') | META_FLAG('O'))) != 0 && status == PARSE_DONE) {
        status = check_tokens(out);
    }
    if (line->words > META_WORDS_MAX) {
        fail(out, REQUEST_ERR_META_OPTIONS);
    } else if (status != PARSE_DONE) {
        fail(out, out->error);
    }
}

static inline void
no_order(struct meta_request *out)
{
    out->ttl_before_touch = false;
    out->ttl_before_vivify = false;
    out->recache_before_touch = false;
    out->vivify_before_touch = false;
}

/** mg, ms, md and ma behind the command's name. */
static inline void
take_command(struct meta_request *out, struct line *line)
{
    out->returns_count = 0;
    no_order(out);
    if (!next_word(line)) {
        out->op = META_ERROR;
        out->error = REQUEST_ERR_FORMAT;
        return;
    }
    out->key = take_bytes(line);
    if (out->op == META_MS) {
        if (parse_word_value_len(take_word(line), &out->value_len) != PARSE_DONE) {
            fail_counted(out, *line, REQUEST_ERR_FORMAT);
            return;
        }
        out->swallow = (uint64_t)out->value_len + 2; /* if there is an error */
        out->mode = META_MODE_SET;
        out->client_flags = 0;
        out->exptime = 0;
    } else if (out->op == META_MA) {
        out->mode = META_MODE_INCR;
        out->delta = 1;
        out->initial = 0;
    }
    if (out->key.len > KEY_LEN_MAX) {
        fail(out, REQUEST_ERR_FORMAT);
        return;
    }
    take_flags(out, line);
}

/** me <key> [b]; other words are not looked at, and what is wrong has one text: as seen live. */
static void
take_me(struct meta_request *out, struct line line)
{
    out->key = take_word(&line);
    if (out->key.len == 0 || out->key.len > KEY_LEN_MAX) {
        fail(out, REQUEST_ERR_FORMAT);
        return;
    }
    if (span_equals(take_word(&line), "b")) {
        out->flags = META_FLAG('b');
        if (flag_binary_key(out) != PARSE_DONE) {
            fail(out, REQUEST_ERR_FORMAT);
        }
    }
}

static inline enum meta_op
find_op(uint8_t name)
{
    switch (name) {
    case 'g':
        return META_MG;
    case 's':
        return META_MS;
    case 'd':
        return META_MD;
    case 'a':
        return META_MA;
    case 'e':
        return META_ME;
    default:
        return META_MN;
    }
}

/** Letters that need no more than their bit, for quick_mg(). */
static const uint64_t quick_flags =
    META_FLAG('c') | META_FLAG('f') | META_FLAG('h') | META_FLAG('k') | META_FLAG('l') |
    META_FLAG('q') | META_FLAG('s') | META_FLAG('t') | META_FLAG('u') | META_FLAG('v');

/**
 * An mg as most clients send it, in one pass: single spaces, and letters without tokens.  `at` is
 * behind the command's name.  The place behind the line, or NULL for "not me": what is not known
 * here, errors among it, is left to the rules below.
 */
static inline const uint8_t *
quick_mg(const uint8_t *at, const uint8_t *end, struct meta_request *out)
{
    const uint8_t *behind = parse_quick_token(at, end);
    if (behind == NULL || (size_t)(behind - at) - 1 >= KEY_LEN_MAX) {
        return NULL;
    }
    out->key = (struct span){ at, (size_t)(behind - at) };
    uint64_t flags = 0;
    unsigned returns = 0;
    for (; end - behind >= 4 && behind[0] == ' '; behind += 2) {
        uint8_t letter = behind[1];
        uint64_t bit = (unsigned)letter - 'A' <= 'z' - 'A' ? META_FLAG(letter) : 0;
        bit &= quick_flags & ~flags;
        if (bit == 0) {
            return NULL;
        }
        if ((bit & bare_flags) == 0) {
            out->returns[returns++] = letter;
        }
        flags |= bit;
    }
    if (end - behind < 2 || behind[0] != '\r' || behind[1] != '\n') {
        return NULL;
    }
    out->op = META_MG;
    out->flags = flags;
    out->returns_count = (uint8_t)returns;
    no_order(out);
    return behind + 2;
}

enum parse_status
meta_parse(struct cursor *cur, struct meta_request *out)
{
    if (cur->end - cur->at >= 3 && cur->at[1] == 'g' && cur->at[2] == ' ') {
        const uint8_t *behind = quick_mg(cur->at + 3, cur->end, out);
        if (__builtin_expect(behind != NULL, 1)) {
            cur->at = behind;
            return PARSE_DONE;
        }
    }
    if (cur->at >= cur->end) {
        return PARSE_MORE;
    }
    const uint8_t *lf = memchr(cur->at, '\n', (size_t)(cur->end - cur->at));
    if (lf == NULL) {
        return PARSE_MORE;
    }
    assert(lf - cur->at >= 3); /* meta_is_command() has seen to it */
    struct line line = { cur->at + 2, lf - (lf[-1] == '\r'), cur->end, 1 };
    out->op = find_op(cur->at[1]);
    out->flags = 0;
    out->swallow = 0;
    cur->at = lf + 1;
    if (out->op <= META_MA) {
        take_command(out, &line);
    } else if (out->op == META_ME) {
        take_me(out, line);
    }
    return PARSE_DONE;
}
