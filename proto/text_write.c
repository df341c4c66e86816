#include "text.h"

#include <assert.h>
#include <string.h>

/** "00" to "99", two bytes each. */
static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";
_Static_assert(sizeof pairs == 200 + 1, "two digits for each number below 100");

/** Decimal digits of a number; 1 for 0. */
static inline unsigned
count_digits(uint64_t number)
{
    static const uint64_t powers[] = {
        0,
        10,
        100,
        1000,
        10000,
        100000,
        1000000,
        10000000,
        100000000,
        1000000000,
        10000000000,
        100000000000,
        1000000000000,
        10000000000000,
        100000000000000,
        1000000000000000,
        10000000000000000,
        100000000000000000,
        1000000000000000000,
        10000000000000000000u,
    };
    /* bits * log10(2), rounded down: the digits, or one fewer */
    unsigned bits = 64u - (unsigned)__builtin_clzll(number | 1);
    unsigned digits = bits * 1233 >> 12;
    return digits + (number >= powers[digits]);
}

static inline uint8_t *
write_pair(uint8_t *at, uint64_t number)
{
    memcpy(at, pairs + 2 * number, 2);
    return at + 2;
}

static inline uint8_t *
write_digit(uint8_t *at, uint64_t number)
{
    *at = (uint8_t)('0' + number);
    return at + 1;
}

/** From the last pair to the first: where that is shows from the count of digits. */
static uint8_t *
write_long_u64(uint8_t *at, uint64_t number)
{
    uint8_t *behind = at + count_digits(number);
    uint8_t *p = behind;
    while (number >= 100) {
        p -= 2;
        write_pair(p, number % 100);
        number /= 100;
    }
    if (number >= 10) {
        write_pair(at, number);
    } else {
        write_digit(at, number);
    }
    return behind;
}

/** Flags and lengths are short, as a rule: up to four digits are written from the front. */
static inline uint8_t *
write_u64(uint8_t *at, uint64_t number)
{
    if (number < 10) {
        return write_digit(at, number);
    }
    if (number < 100) {
        return write_pair(at, number);
    }
    if (number < 10000) {
        uint32_t low = (uint32_t)number;
        uint32_t high = low / 100;
        at = high < 10 ? write_digit(at, high) : write_pair(at, high);
        return write_pair(at, low % 100);
    }
    return write_long_u64(at, number);
}

/** Keys are short: two to four overlapping loads and stores cost less than a call. */
static inline uint8_t *
write_key(uint8_t *at, const void *key, size_t key_len)
{
    uint64_t word;
    if (key_len < sizeof word || key_len > 4 * sizeof word) {
        memcpy(at, key, key_len);
        return at + key_len;
    }
    const uint8_t *from = key;
    for (size_t i = 0; i < key_len - sizeof word; i += sizeof word) {
        memcpy(&word, from + i, sizeof word);
        memcpy(at + i, &word, sizeof word);
    }
    memcpy(&word, from + key_len - sizeof word, sizeof word);
    memcpy(at + key_len - sizeof word, &word, sizeof word);
    return at + key_len;
}

static inline uint8_t *
write_line_end(uint8_t *at)
{
    at[0] = '\r';
    at[1] = '\n';
    return at + 2;
}

/** "VALUE <key> <flags> <bytes>" */
static inline uint8_t *
write_value(uint8_t *at, const void *key, size_t key_len, uint32_t flags, uint64_t value_len)
{
    static const uint8_t head[] = { 'V', 'A', 'L', 'U', 'E', ' ' };
    assert(key_len <= KEY_LEN_MAX);
    assert(value_len <= UINT32_MAX);
    memcpy(at, head, sizeof head);
    at += sizeof head;
    at = write_key(at, key, key_len);
    *at++ = ' ';
    at = write_u64(at, flags);
    *at++ = ' ';
    return write_u64(at, value_len);
}

uint8_t *
text_write_value_head(uint8_t *at, const void *key, size_t key_len, uint32_t flags,
                      uint64_t value_len)
{
    return write_line_end(write_value(at, key, key_len, flags, value_len));
}

uint8_t *
text_write_value_head_cas(uint8_t *at, const void *key, size_t key_len, uint32_t flags,
                          uint64_t value_len, uint64_t cas)
{
    at = write_value(at, key, key_len, flags, value_len);
    *at++ = ' ';
    return write_line_end(write_u64(at, cas));
}

uint8_t *
text_write_number(uint8_t *at, uint64_t number)
{
    return write_line_end(write_u64(at, number));
}

uint8_t *
text_write_u64(uint8_t *at, uint64_t number)
{
    return write_u64(at, number);
}

static struct span
line_of(const char *line, size_t len)
{
    return (struct span){ (const uint8_t *)line, len };
}

#define LINE(text) line_of(text "\r\n", sizeof text "\r\n" - 1)

struct span
text_error_reply(enum request_error error)
{
    switch (error) {
    case REQUEST_ERR_UNKNOWN:
        return LINE("ERROR");
    case REQUEST_ERR_FORMAT:
        return LINE("CLIENT_ERROR bad command line format");
    case REQUEST_ERR_EXPTIME:
        return LINE("CLIENT_ERROR invalid exptime argument");
    case REQUEST_ERR_DELTA:
        return LINE("CLIENT_ERROR invalid numeric delta argument");
    case REQUEST_ERR_DELETE:
        return LINE("CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]");
    case REQUEST_ERR_META_OPTIONS:
        return LINE("CLIENT_ERROR options flags are too long");
    case REQUEST_ERR_META_DUPLICATE:
        return LINE("CLIENT_ERROR duplicate flag");
    case REQUEST_ERR_META_FLAG:
        return LINE("CLIENT_ERROR invalid flag");
    case REQUEST_ERR_META_TOKEN:
        return LINE("CLIENT_ERROR bad token in command line format");
    case REQUEST_ERR_META_DELTA:
        return LINE("CLIENT_ERROR invalid numeric delta value");
    case REQUEST_ERR_META_INITIAL:
        return LINE("CLIENT_ERROR invalid numeric initial value");
    case REQUEST_ERR_META_KEY:
        return LINE("CLIENT_ERROR error decoding key");
    case REQUEST_ERR_META_OPAQUE:
        return LINE("CLIENT_ERROR opaque token too long");
    case REQUEST_ERR_META_MS_MODE:
        return LINE("CLIENT_ERROR invalid mode for ms M token");
    case REQUEST_ERR_META_MA_MODE:
        return LINE("CLIENT_ERROR invalid mode for ma M token");
    case REQUEST_ERR_META_MA:
        return LINE("CLIENT_ERROR invalid or duplicate flag");
    }
    assert(false && "an error without a reply");
    return LINE("ERROR");
}
