/* Heads of replies. */
#include "config.h"

#include "bench/load/wire.h"

#include "bench/load/wire_priv.h"

#include <string.h>

/* -- text and meta: lines ---------------------------------------------------------------------- */

static bool
begins(struct span line, const char *text, size_t len)
{
    return line.len >= len && memcmp(line.at, text, len) == 0;
}

#define BEGINS(line, text) begins(line, text, sizeof(text) - 1)

/** Up to the next space or the end; steps behind the space. */
static struct span
take_word(struct span *line)
{
    const uint8_t *space = memchr(line->at, ' ', line->len);
    size_t len = space == NULL ? line->len : (size_t)(space - line->at);
    struct span word = { line->at, len };
    size_t step = space == NULL ? len : len + 1;
    line->at += step;
    line->len -= step;
    return word;
}

/** VALUE KEY FLAGS LEN[ CAS], from the key on. */
static enum parse_status
parse_text_value(struct span line, struct wire_head *head)
{
    head->kind = WIRE_VALUE;
    head->key = take_word(&line);
    (void)take_word(&line);
    struct span len = take_word(&line);
    return head->key.len == 0 ? PARSE_BAD : parse_word_value_len(len, &head->value_len);
}

/** VA LEN FLAG.., from the length on. */
static enum parse_status
parse_meta_value(struct span line, struct wire_head *head)
{
    head->kind = WIRE_VALUE;
    struct span len = take_word(&line);
    while (line.len > 0) {
        struct span flag = take_word(&line);
        if (flag.len > 1 && flag.at[0] == 'k') {
            head->key = (struct span){ flag.at + 1, flag.len - 1 };
        }
    }
    return parse_word_value_len(len, &head->value_len);
}

static const struct line_kind {
    const char *text;
    enum wire_kind kind;
} text_lines[] = {
    { "END", WIRE_END },          { "STORED", WIRE_DONE },     { "NOT_FOUND", WIRE_MISS },
    { "DELETED", WIRE_DONE },     { "EXISTS", WIRE_REFUSED },  { "NOT_STORED", WIRE_REFUSED },
}, meta_lines[] = {
    { "EN", WIRE_MISS },    { "HD", WIRE_DONE },    { "NF", WIRE_MISS },
    { "NS", WIRE_REFUSED }, { "EX", WIRE_REFUSED }, { "MN", WIRE_END },
};

static enum parse_status
parse_plain_line(const struct line_kind *kinds, size_t count, struct span line,
                 struct wire_head *head)
{
    for (size_t i = 0; i < count; i++) {
        if (span_equals(line, kinds[i].text)) {
            head->kind = kinds[i].kind;
            return PARSE_DONE;
        }
    }
    if (span_equals(line, "ERROR") || BEGINS(line, "ERROR ") || BEGINS(line, "CLIENT_ERROR ") ||
        BEGINS(line, "SERVER_ERROR ")) {
        head->kind = WIRE_ERROR;
        head->text = line;
        return PARSE_DONE;
    }
    return PARSE_BAD;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static enum parse_status
parse_line(enum wire_protocol protocol, struct cursor *cur, struct wire_head *head)
{
    size_t have = (size_t)(cur->end - cur->at);
    const uint8_t *feed = memchr(cur->at, '\n', have < WIRE_HEAD_MAX ? have : WIRE_HEAD_MAX);
    if (feed == NULL) {
        return have < WIRE_HEAD_MAX ? PARSE_MORE : PARSE_BAD;
    }
    if (feed == cur->at || feed[-1] != '\r') {
        return PARSE_BAD;
    }
    struct span line = { cur->at, (size_t)(feed - cur->at) - 1 };
    enum parse_status status;
    if (protocol == WIRE_TEXT) {
        status = BEGINS(line, "VALUE ")
                     ? parse_text_value((struct span){ line.at + 6, line.len - 6 }, head)
                     : parse_plain_line(text_lines, COUNT(text_lines), line, head);
    } else {
        status = BEGINS(line, "VA ")
                     ? parse_meta_value((struct span){ line.at + 3, line.len - 3 }, head)
                     : parse_plain_line(meta_lines, COUNT(meta_lines), line, head);
    }
    if (status == PARSE_DONE) {
        cur->at = feed + 1;
    }
    return status;
}

/* -- binary ------------------------------------------------------------------------------------ */

static uint32_t
number_at(const uint8_t *at, unsigned bytes)
{
    uint32_t number = 0;
    for (unsigned i = 0; i < bytes; i++) {
        number = number << 8 | at[i];
    }
    return number;
}

static enum wire_kind
kind_of_status(uint32_t status)
{
    switch (status) {
    case BINARY_STATUS_OK:
        return WIRE_DONE;
    case BINARY_STATUS_NOT_FOUND:
        return WIRE_MISS;
    case BINARY_STATUS_EXISTS:
    case BINARY_STATUS_NOT_STORED:
        return WIRE_REFUSED;
    default: /* any number may come */
        return WIRE_ERROR;
    }
}

static enum parse_status
parse_packet(struct cursor *cur, struct wire_head *head)
{
    size_t have = (size_t)(cur->end - cur->at);
    if (have > 0 && cur->at[0] != BINARY_REPLY_MAGIC) {
        return PARSE_BAD;
    }
    if (have < BINARY_HEADER_LEN) {
        return PARSE_MORE;
    }
    uint8_t opcode = cur->at[1];
    size_t key_len = number_at(cur->at + 2, 2);
    size_t extras_len = cur->at[4];
    size_t body_len = number_at(cur->at + 8, 4);
    if (body_len < key_len + extras_len || body_len > BINARY_BODY_LEN_MAX) {
        return PARSE_BAD;
    }
    head->kind = kind_of_status(number_at(cur->at + 6, 2));
    size_t left = body_len; /* of the body, in the head */
    if (head->kind == WIRE_DONE && (opcode == OPCODE_GET || opcode == OPCODE_GETKQ)) {
        head->kind = WIRE_VALUE;
        left = extras_len + key_len;
        head->value_len = (uint32_t)(body_len - left);
    } else if (head->kind == WIRE_DONE && opcode == OPCODE_NOOP) {
        head->kind = WIRE_END;
    }
    if (BINARY_HEADER_LEN + left > WIRE_HEAD_MAX) {
        return PARSE_BAD;
    }
    if (have < BINARY_HEADER_LEN + left) {
        return PARSE_MORE;
    }
    const uint8_t *body = cur->at + BINARY_HEADER_LEN;
    head->key = (struct span){ body + extras_len, key_len };
    if (head->kind == WIRE_ERROR) {
        head->text = (struct span){ body + extras_len + key_len, left - extras_len - key_len };
    }
    cur->at = body + left;
    return PARSE_DONE;
}

enum parse_status
wire_parse(enum wire_protocol protocol, struct cursor *cur, struct wire_head *head)
{
    *head = (struct wire_head){ .kind = WIRE_ERROR };
    switch (protocol) {
    case WIRE_TEXT:
    case WIRE_META:
        return parse_line(protocol, cur, head);
    case WIRE_BINARY:
        return parse_packet(cur, head);
    }
    __builtin_unreachable();
}
