#include "parse.h"

/** Decimal digits from one place on. */
struct digits {
    const uint8_t *behind; /* first byte that is no digit, or the end */
    uint64_t value;        /* UINT64_MAX if `over` */
    bool over;             /* the number needs more than 64 bits */
};

static struct digits
read_digits(const uint8_t *at, const uint8_t *end)
{
    struct digits found = { .behind = at, .value = 0, .over = false };
    for (; found.behind < end; found.behind++) {
        unsigned digit = (unsigned)*found.behind - '0';
        if (digit > 9) {
            break;
        }
        if (found.over || __builtin_mul_overflow(found.value, 10u, &found.value) ||
            __builtin_add_overflow(found.value, digit, &found.value)) {
            found.value = UINT64_MAX;
            found.over = true;
        }
    }
    return found;
}

static int64_t
clamp_exptime(struct digits found, bool negative)
{
    if (found.value > INT64_MAX) {
        return negative ? INT64_MIN : INT64_MAX;
    }
    return negative ? -(int64_t)found.value : (int64_t)found.value;
}

/** White space as strtol skips it; a word holds neither space nor LF. */
static bool
is_lax_space(uint8_t byte)
{
    return byte == '\t' || byte == '\v' || byte == '\f' || byte == '\r';
}

bool
span_equals(struct span span, const char *text)
{
    return span.len == strlen(text) && memcmp(span.at, text, span.len) == 0;
}

enum parse_status
parse_word_u64(struct span word, uint64_t *out)
{
    struct digits found = read_digits(word.at, word.at + word.len);
    if (word.len == 0 || word.len > NUMBER64_LEN_MAX || found.over ||
        found.behind != word.at + word.len) {
        return PARSE_BAD;
    }
    *out = found.value;
    return PARSE_DONE;
}

enum parse_status
parse_word_value_len(struct span word, uint32_t *out)
{
    uint64_t value;
    if (word.len > NUMBER32_LEN_MAX || parse_word_u64(word, &value) != PARSE_DONE ||
        value > VALUE_LEN_LIMIT) {
        return PARSE_BAD;
    }
    *out = (uint32_t)value;
    return PARSE_DONE;
}

enum parse_status
parse_word_exptime(struct span word, int64_t *out)
{
    bool negative = word.len > 0 && *word.at == '-';
    struct digits found = read_digits(word.at + negative, word.at + word.len);
    if (word.len <= negative || word.len > NUMBER64_LEN_MAX || found.behind != word.at + word.len) {
        return PARSE_BAD;
    }
    *out = clamp_exptime(found, negative);
    return PARSE_DONE;
}

/** A number with a sign, read as laxly as strtol does. */
static enum parse_status
read_lax(struct span word, struct digits *found, bool *negative)
{
    const uint8_t *p = word.at;
    const uint8_t *end = word.at + word.len;
    while (p < end && is_lax_space(*p)) {
        p++;
    }
    *negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) {
        p++;
    }
    *found = read_digits(p, end);
    if (found->behind == p || (found->behind < end && !is_lax_space(*found->behind))) {
        return PARSE_BAD;
    }
    return PARSE_DONE;
}

enum parse_status
parse_word_exptime_lax(struct span word, int64_t *out)
{
    struct digits found;
    bool negative;
    if (read_lax(word, &found, &negative) != PARSE_DONE) {
        return PARSE_BAD;
    }
    *out = clamp_exptime(found, negative);
    return PARSE_DONE;
}

enum parse_status
parse_word_flags_lax(struct span word, uint32_t *out)
{
    struct digits found;
    bool negative;
    if (read_lax(word, &found, &negative) != PARSE_DONE || found.over) {
        return PARSE_BAD;
    }
    /* strtoul negates modulo 2^64: what then still looks negative is refused, the rest is not. */
    uint64_t value = negative ? 0 - found.value : found.value;
    if (negative && value > INT64_MAX) {
        return PARSE_BAD;
    }
    *out = (uint32_t)value;
    return PARSE_DONE;
}
