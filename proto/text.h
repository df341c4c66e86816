/* The classic text protocol: command lines to struct request, replies to bytes. */
#ifndef LARDER_PROTO_TEXT_H
#define LARDER_PROTO_TEXT_H

#include "parse.h"

/**
 * Parses one command line, and steps behind its line end.
 *
 * PARSE_DONE  `out` holds a command or, with REQUEST_ERROR, what is wrong with the line
 * PARSE_MORE  no LF yet; nothing moved, `out` holds anything.  The caller decides when a line is
 *             too long: text_line_too_long()
 * Never answers PARSE_BAD: a bad line is a request with an error to reply.
 *
 * cur   borrowed; the spans in `out` point into its bytes, and live as long as those
 * out   the fields set are those that request.h names with the op
 *
 * A key longer than KEY_LEN_MAX is an error here, but for the get family, where text_next_key()
 * finds it.  One pass without a token table for get, gets, gat, gats, set, add, replace, append,
 * prepend, cas, delete, incr, decr and touch in the form that clients send; the same answer,
 * slower, for odd forms (doubled spaces, signs, extra words).
 *
 * Source: contract 1.1 to 1.5.
 */
enum parse_status text_parse(struct cursor *cur, struct request *out) PARSE_MUST_CHECK;

/**
 * Whether a line without LF has grown too long and the connection is to be closed: more than
 * LINE_LEN_MAX bytes, unless (after at most LINE_SPACES_MAX spaces) they begin with "get " or
 * "gets ".
 *
 * Source: contract 1.1, "Line limits".
 */
bool text_line_too_long(const uint8_t *bytes, size_t len);

/**
 * Takes the next key of a get's key list, and cuts it off the list's front.
 *
 * PARSE_DONE  `key` is set, 1 to KEY_LEN_MAX bytes
 * PARSE_MORE  the list has ended
 * PARSE_BAD   the next key is longer than KEY_LEN_MAX; the list stays as it was
 *
 * Inline: it is called once per key.
 */
PARSE_MUST_CHECK static inline enum parse_status
text_next_key(struct span *keys, struct span *key)
{
    const uint8_t *at = keys->at;
    const uint8_t *end = at + keys->len;
    while (at < end && *at == ' ') {
        at++;
    }
    if (at == end) {
        return PARSE_MORE;
    }
    size_t len = (size_t)(end - at);
    const uint8_t *space = parse_quick_token(at, end);
    if (space != NULL && *space != ' ') { /* a control byte is a part of the key */
        space = memchr(space, ' ', (size_t)(end - space));
    }
    if (space != NULL) {
        len = (size_t)(space - at);
    }
    if (len > KEY_LEN_MAX) {
        return PARSE_BAD;
    }
    *key = (struct span){ at, len };
    *keys = (struct span){ at + len, (size_t)(end - at) - len };
    return PARSE_DONE;
}

/* Writers put bytes at `at` and return the place behind them; each says how much room it can need.
 */

#define TEXT_VALUE_HEAD_MAX (6u + KEY_LEN_MAX + 1u + 10u + 1u + 10u + 1u + 20u + 2u) /* bytes */
/** "VALUE <key> <flags> <bytes>\r\n" */
uint8_t *text_write_value_head(uint8_t *at, const void *key, size_t key_len, uint32_t flags,
                               uint64_t value_len);
/** "VALUE <key> <flags> <bytes> <cas>\r\n" */
uint8_t *text_write_value_head_cas(uint8_t *at, const void *key, size_t key_len, uint32_t flags,
                                   uint64_t value_len, uint64_t cas);

#define TEXT_NUMBER_MAX 22u /* bytes */
/** "<number>\r\n" */
uint8_t *text_write_number(uint8_t *at, uint64_t number);
/** Decimal digits without a line end; at most 20 bytes. */
uint8_t *text_write_u64(uint8_t *at, uint64_t number);
/** The whole reply line to a REQUEST_ERROR, CR LF included; static storage. */
struct span text_error_reply(enum request_error error);

#endif
