#include "base64.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The six bits of a letter; 0 for '=', which stands for no bits; -1 for any other byte. */
static inline int
letter_bits(uint8_t letter)
{
    if (letter >= 'A' && letter <= 'Z') {
        return letter - 'A';
    }
    if (letter >= 'a' && letter <= 'z') {
        return letter - 'a' + 26;
    }
    if (letter >= '0' && letter <= '9') {
        return letter - '0' + 52;
    }
    switch (letter) {
    case '+':
        return 62;
    case '/':
        return 63;
    case '=':
        return 0;
    default:
        return -1;
    }
}

uint8_t *
base64_encode(uint8_t *at, const uint8_t *bytes, size_t len)
{
    const uint8_t *end = bytes + len;
    for (; end - bytes >= 3; bytes += 3, at += 4) {
        unsigned group = (unsigned)bytes[0] << 16 | (unsigned)bytes[1] << 8 | bytes[2];
        at[0] = (uint8_t)letters[group >> 18];
        at[1] = (uint8_t)letters[group >> 12 & 63];
        at[2] = (uint8_t)letters[group >> 6 & 63];
        at[3] = (uint8_t)letters[group & 63];
    }
    if (bytes < end) {
        unsigned group = (unsigned)bytes[0] << 16;
        if (end - bytes == 2) {
            group |= (unsigned)bytes[1] << 8;
        }
        at[0] = (uint8_t)letters[group >> 18];
        at[1] = (uint8_t)letters[group >> 12 & 63];
        at[2] = end - bytes == 2 ? (uint8_t)letters[group >> 6 & 63] : '=';
        at[3] = '=';
        at += 4;
    }
    return at;
}

/** Letters of the alphabet, padding among them. */
static size_t
count_letters(const uint8_t *text, size_t text_len)
{
    size_t count = 0;
    for (size_t i = 0; i < text_len; i++) {
        count += letter_bits(text[i]) >= 0;
    }
    return count;
}

size_t
base64_decode(uint8_t *out, const uint8_t *text, size_t text_len)
{
    if (count_letters(text, text_len) % 4 != 0) {
        return 0;
    }
    size_t len = 0;
    uint32_t group = 0;
    unsigned taken = 0;   /* letters of the group */
    unsigned padding = 0; /* those of them that are '=' */
    for (size_t i = 0; i < text_len; i++) {
        int bits = letter_bits(text[i]);
        if (bits < 0) {
            continue;
        }
        group = group << 6 | (uint32_t)bits;
        padding += text[i] == '=';
        taken++;
        if (taken < 4) {
            continue;
        }
        if (padding > 2) {
            return 0;
        }
        out[len] = (uint8_t)(group >> 16);
        out[len + 1] = (uint8_t)(group >> 8);
        out[len + 2] = (uint8_t)group;
        len += 3 - padding;
        if (padding > 0) {
            break;
        }
        taken = 0;
    }
    return len;
}
