/*
 * A cursor over borrowed bytes, and the steps that the text formats are made of.
 *
 * Quick steps go over bytes of which it is not known yet whether they hold a whole line.  They take
 * what is plain and answer NULL for the rest: too few bytes, odd forms and errors alike.  Word
 * functions take one whole word of a line that is complete, and know every form of it.
 */
#ifndef LARDER_PROTO_PARSE_H
#define LARDER_PROTO_PARSE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "request.h"

#define PARSE_MUST_CHECK __attribute__((warn_unused_result))

enum parse_status {
    PARSE_DONE,
    PARSE_MORE, /* the bytes end before the command does; the cursor has not moved */
    PARSE_BAD,
};

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

/**
 * Finds the end of a token: the first byte from `at` on that is a space or a control byte.  NULL if
 * there is none before `end`.
 *
 * Eight bytes at a time.  A control byte need not end the token (TAB and NUL may stand in keys, and
 * a CR ends a line only before a LF): a caller that finds one has to look closer.
 */
static inline const uint8_t *
parse_quick_token(const uint8_t *at, const uint8_t *end)
{
    const uint64_t ones = 0x0101010101010101u;
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
#endif
        /* The lowest mark stands at the first byte up to 0x20.  Those above it can be wrong, as
         * the subtraction borrows from them; so only the first is used. */
        uint64_t marks = (word - ones * 0x21) & ~word & (ones * 0x80);
        if (marks != 0) {
            return at + (unsigned)__builtin_ctzll(marks) / 8;
        }
    }
    for (; at < end; at++) {
        if (*at <= ' ') {
            return at;
        }
    }
    return NULL;
}

/**
 * Takes 1 to `digits_max` (at most 19) decimal digits, and returns the place of the byte behind
 * them.  NULL if there is none before `end`, or the digits are fewer or more.
 */
static inline const uint8_t *
parse_quick_number(const uint8_t *at, const uint8_t *end, size_t digits_max, uint64_t *out)
{
    uint64_t value = 0;
    for (const uint8_t *p = at; p < end; p++) {
        unsigned digit = (unsigned)*p - '0';
        if (digit > 9) {
            *out = value;
            return (size_t)(p - at) - 1 < digits_max ? p : NULL;
        }
        value = value * 10 + digit;
    }
    return NULL;
}

/** Whether the span's bytes are those of `text`. */
bool span_equals(struct span span, const char *text);

/**
 * Parses an unsigned decimal number that fills the word.  Leading zeros are taken, a sign is not.
 *
 * Errors: PARSE_BAD, with `out` as it was, for a byte that is no digit, for no digit at all, for
 *         more than NUMBER64_LEN_MAX digits, and above 2^64 - 1.  So in all word functions.
 * Source: contract 1.1, "Numbers".
 */
enum parse_status parse_word_u64(struct span word, uint64_t *out) PARSE_MUST_CHECK;

/**
 * The length of a data block: as parse_word_u64(), up to VALUE_LEN_LIMIT and NUMBER32_LEN_MAX
 * digits.
 *
 * Source: contract 1.2, "bytes".
 */
enum parse_status parse_word_value_len(struct span word, uint32_t *out) PARSE_MUST_CHECK;

/**
 * An expiry time: digits, after a '-' perhaps, together up to NUMBER64_LEN_MAX bytes.  What does
 * not fit 64 bits is clamped to them.
 *
 * Source: contract 0.g and 1.1, "Numbers".
 */
enum parse_status parse_word_exptime(struct span word, int64_t *out) PARSE_MUST_CHECK;

/**
 * The expiry time of a classic storage command or of flush_all, as lax as strtol: white space and
 * one sign may precede the digits, and white space ends them whatever follows.  Clamped.
 *
 * Source: contract 1.1, "Numbers"; the white space was seen live ("\t5", "5\tx").
 */
enum parse_status parse_word_exptime_lax(struct span word, int64_t *out) PARSE_MUST_CHECK;

/**
 * Client flags of a classic storage command, as lax.  The lower 32 bits count.
 *
 * Errors: PARSE_BAD also for what is still negative as strtoul sees it: "-1", but not "-0".
 * Source: contract 1.1 "Numbers", 1.2 "flags".
 */
enum parse_status parse_word_flags_lax(struct span word, uint32_t *out) PARSE_MUST_CHECK;

#endif
