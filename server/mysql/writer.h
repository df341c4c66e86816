/* Text that grows in a caller's buffer, up to its end and no further. */
#ifndef LARDER_MYSQL_WRITER_H
#define LARDER_MYSQL_WRITER_H

#include "base/le.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct writer {
    char *at; /* the caller's */
    size_t cap;
    size_t len;
    bool is_full; /* something did not fit; nothing is written from then on */
};

static inline struct writer
writer(char *at, size_t cap)
{
    return (struct writer){ .at = at, .cap = cap };
}

static inline void
writer_put(struct writer *out, const void *bytes, size_t len)
{
    if (out->is_full || out->cap - out->len < len) {
        out->is_full = true;
        return;
    }
    if (len > 0) {
        memcpy(out->at + out->len, bytes, len);
        out->len += len;
    }
}

static inline void
writer_put_char(struct writer *out, char c)
{
    writer_put(out, &c, 1);
}

static inline void
writer_put_text(struct writer *out, const char *text)
{
    writer_put(out, text, strlen(text));
}

/** A decimal number, with zeros in front up to `digits_min` digits (at most 20). */
static inline void
writer_put_number(struct writer *out, uint64_t number, unsigned digits_min)
{
    char digits[20];
    unsigned used = 0;
    do {
        digits[sizeof(digits) - ++used] = (char)('0' + number % 10);
        number /= 10;
    } while (used < sizeof(digits) && (number > 0 || used < digits_min));
    writer_put(out, digits + sizeof(digits) - used, used);
}

static inline void
writer_put_signed(struct writer *out, int64_t number)
{
    if (number < 0) {
        writer_put_char(out, '-');
    }
    writer_put_number(out, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 1);
}

static inline void
writer_put_hex(struct writer *out, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        writer_put_char(out, "0123456789abcdef"[bytes[i] >> 4]);
        writer_put_char(out, "0123456789abcdef"[bytes[i] & 15]);
    }
}

/** The lowest `len` bytes of a number, the lowest first. */
static inline void
writer_put_le(struct writer *out, uint64_t number, size_t len)
{
    uint8_t bytes[sizeof(number)];
    le_put_u64(bytes, number);
    writer_put(out, bytes, len);
}

/** Text for the inside of a JSON string: UTF-8 stays, quotes and controls are escaped. */
void writer_put_json_text(struct writer *out, const uint8_t *text, size_t len);

void writer_put_base64(struct writer *out, const uint8_t *bytes, size_t len);

/**
 * A number as MySQL and MariaDB print it: the fewest digits that read back as the same DOUBLE, of a
 * FLOAT no more than six; an exponent from 10^15 on and below 10^-15.
 */
void writer_put_real(struct writer *out, double number, bool is_float);

#endif
