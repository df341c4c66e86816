/*
 * Borrowed bytes, and a bounded cursor over them.
 *
 * A step takes what it is asked for, or answers false and leaves the cursor where it was.  Numbers
 * are little-endian unless the name says otherwise, as nearly all are in a binary log.
 */
#ifndef LARDER_MYSQL_BYTES_H
#define LARDER_MYSQL_BYTES_H

#include "base/le.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** A run of bytes that belongs to someone else. */
struct bytes {
    const uint8_t *at;
    size_t len;
};

struct bytes_cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static inline struct bytes_cursor
bytes_cursor(struct bytes bytes)
{
    /* Nothing may be nowhere, and NULL has no neighbours. */
    return (struct bytes_cursor){ bytes.at, bytes.len == 0 ? bytes.at : bytes.at + bytes.len };
}

static inline size_t
bytes_left(const struct bytes_cursor *cur)
{
    return (size_t)(cur->end - cur->at);
}

/** What the cursor has not gone over yet. */
static inline struct bytes
bytes_rest(const struct bytes_cursor *cur)
{
    return (struct bytes){ cur->at, bytes_left(cur) };
}

/** A number of `len` bytes, 0 to 8. */
static inline uint64_t
bytes_number(const uint8_t *at, size_t len)
{
    uint64_t number = 0;
    for (size_t i = len; i > 0; i--) {
        number = number << 8 | at[i - 1];
    }
    return number;
}

/** The same, the most significant byte first. */
static inline uint64_t
bytes_number_be(const uint8_t *at, size_t len)
{
    uint64_t number = 0;
    for (size_t i = 0; i < len; i++) {
        number = number << 8 | at[i];
    }
    return number;
}

static inline bool
bytes_skip(struct bytes_cursor *cur, size_t len)
{
    if (bytes_left(cur) < len) {
        return false;
    }
    cur->at += len;
    return true;
}

static inline bool
bytes_take(struct bytes_cursor *cur, size_t len, struct bytes *out)
{
    if (bytes_left(cur) < len) {
        return false;
    }
    *out = (struct bytes){ cur->at, len };
    cur->at += len;
    return true;
}

/** Takes a number of `len` bytes, 1 to 8. */
static inline bool
bytes_take_number(struct bytes_cursor *cur, size_t len, uint64_t *out)
{
    if (bytes_left(cur) < len) {
        return false;
    }
    *out = bytes_number(cur->at, len);
    cur->at += len;
    return true;
}

/** Takes a character, if it is the next one. */
static inline bool
bytes_take_char(struct bytes_cursor *cur, char c)
{
    if (cur->at == cur->end || *cur->at != (uint8_t)c) {
        return false;
    }
    cur->at++;
    return true;
}

static inline bool
bytes_take_u8(struct bytes_cursor *cur, uint8_t *out)
{
    if (cur->at == cur->end) {
        return false;
    }
    *out = *cur->at++;
    return true;
}

static inline bool
bytes_take_u16(struct bytes_cursor *cur, uint16_t *out)
{
    if (bytes_left(cur) < 2) {
        return false;
    }
    *out = le_get_u16(cur->at);
    cur->at += 2;
    return true;
}

static inline bool
bytes_take_u32(struct bytes_cursor *cur, uint32_t *out)
{
    if (bytes_left(cur) < 4) {
        return false;
    }
    *out = le_get_u32(cur->at);
    cur->at += 4;
    return true;
}

static inline bool
bytes_take_u64(struct bytes_cursor *cur, uint64_t *out)
{
    if (bytes_left(cur) < 8) {
        return false;
    }
    *out = le_get_u64(cur->at);
    cur->at += 8;
    return true;
}

/**
 * Takes a packed number: one byte up to 250, or 252, 253, 254 and then 2, 3, 8 bytes.  251 (NULL)
 * and 255 are no numbers.
 */
static inline bool
bytes_take_packed(struct bytes_cursor *cur, uint64_t *out)
{
    if (cur->at == cur->end) {
        return false;
    }
    uint8_t first = *cur->at;
    if (first <= 250) {
        *out = first;
        cur->at++;
        return true;
    }
    size_t len = first == 252 ? 2 : first == 253 ? 3 : first == 254 ? 8 : 0;
    if (len == 0 || bytes_left(cur) < 1 + len) {
        return false;
    }
    *out = bytes_number(cur->at + 1, len);
    cur->at += 1 + len;
    return true;
}

/** Takes a packed number, then as many bytes. */
static inline bool
bytes_take_packed_text(struct bytes_cursor *cur, struct bytes *out)
{
    const uint8_t *start = cur->at;
    uint64_t len;
    if (bytes_take_packed(cur, &len) && len <= bytes_left(cur)) {
        return bytes_take(cur, (size_t)len, out);
    }
    cur->at = start;
    return false;
}

/** Takes one byte, then as many bytes as it says. */
static inline bool
bytes_take_short_text(struct bytes_cursor *cur, struct bytes *out)
{
    if (cur->at == cur->end || bytes_left(cur) < 1 + (size_t)*cur->at) {
        return false;
    }
    size_t len = *cur->at++;
    return bytes_take(cur, len, out);
}

/**
 * Takes a number as MySQL's serialization library packs it: as many one bits at the bottom of the
 * first byte as bytes follow, a zero bit, then the number.
 */
static inline bool
bytes_take_varint(struct bytes_cursor *cur, uint64_t *out)
{
    if (cur->at == cur->end) {
        return false;
    }
    size_t more = *cur->at == 0xff ? 8 : (size_t)__builtin_ctz(~(unsigned)*cur->at);
    if (bytes_left(cur) < 1 + more) {
        return false;
    }
    *out = more == 8 ? le_get_u64(cur->at + 1) : bytes_number(cur->at, 1 + more) >> (more + 1);
    cur->at += 1 + more;
    return true;
}

static inline bool
bytes_equal(struct bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && (bytes.len == 0 || memcmp(bytes.at, text, bytes.len) == 0);
}

/** Without the blanks around it. */
static inline struct bytes
bytes_trim(struct bytes text)
{
    while (text.len > 0 && text.at[0] == ' ') {
        text.at++;
        text.len--;
    }
    while (text.len > 0 && text.at[text.len - 1] == ' ') {
        text.len--;
    }
    return text;
}

/** What a hexadecimal digit stands for; -1: it is none. */
static inline int
bytes_hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** Whether bit `i` is set, counted from the lowest of the first byte. */
static inline bool
bytes_bit(const uint8_t *bits, size_t i)
{
    return (bits[i / 8] >> (i % 8) & 1) != 0;
}

/** The bytes that `bits` bits take. */
static inline size_t
bytes_of_bits(size_t bits)
{
    return (bits + 7) / 8;
}

#endif
