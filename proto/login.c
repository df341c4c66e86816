#include "login.h"

#include "limits.h"

#define LOGIN_HEAD_WORDS 5u /* set, three of anything, the length */

/** Cuts the next word off the front; empty at the end. */
static struct span
next_word(struct span *words)
{
    const uint8_t *at = words->at;
    const uint8_t *end = at + words->len;
    while (at < end && *at == ' ') {
        at++;
    }
    const uint8_t *word_end = at < end ? memchr(at, ' ', (size_t)(end - at)) : end;
    if (word_end == NULL) {
        word_end = end;
    }
    *words = (struct span){ word_end, (size_t)(end - word_end) };
    return (struct span){ at, (size_t)(word_end - at) };
}

enum parse_status
login_parse(struct cursor *cur, struct login *out)
{
    const uint8_t *line = cur->at;
    const uint8_t *lf = line < cur->end ? memchr(line, '\n', (size_t)(cur->end - line)) : NULL;
    if (lf == NULL) {
        return PARSE_MORE;
    }
    cur->at = lf + 1;
    *out = (struct login){ .line = LOGIN_OTHER };
    if ((size_t)(cur->at - line) < LOGIN_LINE_MIN) {
        out->line = LOGIN_SHORT;
        return PARSE_DONE;
    }
    struct span words = { line, (size_t)(lf - line) };
    if (words.at[words.len - 1] == '\r') {
        words.len--;
    }
    if (!span_equals(next_word(&words), "set")) {
        return PARSE_DONE;
    }
    struct span word = { line, 0 };
    for (unsigned i = 1; i < LOGIN_HEAD_WORDS; i++) {
        word = next_word(&words);
    }
    uint32_t bytes = 0;
    if (parse_word_value_len(word, &bytes) == PARSE_DONE) {
        *out = (struct login){ .line = LOGIN_HEAD, .bytes = bytes };
    }
    return PARSE_DONE;
}

enum parse_status
login_split(struct span token, struct span *user, struct span *password)
{
    const uint8_t *space = token.len > 0 ? memchr(token.at, ' ', token.len) : NULL;
    if (space == NULL || space == token.at || space == token.at + token.len - 1) {
        return PARSE_BAD;
    }
    *user = (struct span){ token.at, (size_t)(space - token.at) };
    *password = (struct span){ space + 1, token.len - user->len - 1 };
    return PARSE_DONE;
}
