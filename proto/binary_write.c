#include "binary.h"

#include <assert.h>

#define RESPONSE_MAGIC 0x81u

static inline uint8_t *
write_u16(uint8_t *at, uint32_t number)
{
    at[0] = (uint8_t)(number >> 8);
    at[1] = (uint8_t)number;
    return at + 2;
}

static inline uint8_t *
write_u32(uint8_t *at, uint32_t number)
{
    return write_u16(write_u16(at, number >> 16), number);
}

static inline uint8_t *
write_u64(uint8_t *at, uint64_t number)
{
    return write_u32(write_u32(at, (uint32_t)(number >> 32)), (uint32_t)number);
}

static inline uint8_t *
write_span(uint8_t *at, struct span span)
{
    if (span.len > 0) { /* else `at` may be NULL */
        memcpy(at, span.at, span.len);
    }
    return at + span.len;
}

static inline uint8_t *
write_header(uint8_t *at, struct binary_echo echo, enum binary_status status, size_t key_len,
             size_t extras_len, size_t body_len, uint64_t cas)
{
    assert(key_len <= UINT16_MAX && extras_len <= UINT8_MAX && body_len <= UINT32_MAX);
    assert(key_len + extras_len <= body_len);
    at[0] = RESPONSE_MAGIC;
    at[1] = echo.opcode;
    write_u16(at + 2, (uint32_t)key_len);
    at[4] = (uint8_t)extras_len;
    at[5] = 0;
    write_u16(at + 6, (uint32_t)status);
    write_u32(at + 8, (uint32_t)body_len);
    memcpy(at + 12, &echo.opaque, sizeof echo.opaque);
    return write_u64(at + 16, cas);
}

uint8_t *
binary_write_header(uint8_t *at, struct binary_echo echo, enum binary_status status, size_t key_len,
                    size_t extras_len, size_t body_len, uint64_t cas)
{
    return write_header(at, echo, status, key_len, extras_len, body_len, cas);
}

uint8_t *
binary_write_ok(uint8_t *at, struct binary_echo echo, uint64_t cas)
{
    return write_header(at, echo, BINARY_STATUS_OK, 0, 0, 0, cas);
}

uint8_t *
binary_write_value_head(uint8_t *at, struct binary_echo echo, struct span key, uint32_t flags,
                        size_t value_len, uint64_t cas)
{
    assert(key.len <= KEY_LEN_MAX);
    at = write_header(at, echo, BINARY_STATUS_OK, key.len, 4, 4 + key.len + value_len, cas);
    return write_span(write_u32(at, flags), key);
}

uint8_t *
binary_write_number(uint8_t *at, struct binary_echo echo, uint64_t number, uint64_t cas)
{
    return write_u64(write_header(at, echo, BINARY_STATUS_OK, 0, 0, 8, cas), number);
}

uint8_t *
binary_write_text(uint8_t *at, struct binary_echo echo, enum binary_status status, struct span text)
{
    return write_span(write_header(at, echo, status, 0, 0, text.len, 0), text);
}

static struct span
text_of(const char *text)
{
    return (struct span){ (const uint8_t *)text, strlen(text) };
}

/** The default text of a status. */
static struct span
status_text(enum binary_status status)
{
    switch (status) {
    case BINARY_STATUS_OK:
    case BINARY_STATUS_AUTH_CONTINUE:
        return text_of("");
    case BINARY_STATUS_NOT_FOUND:
        return text_of("Not found");
    case BINARY_STATUS_EXISTS:
        return text_of("Data exists for key.");
    case BINARY_STATUS_TOO_LARGE:
        return text_of("Too large.");
    case BINARY_STATUS_INVALID:
        return text_of("Invalid arguments");
    case BINARY_STATUS_NOT_STORED:
        return text_of("Not stored.");
    case BINARY_STATUS_NOT_NUMBER:
        return text_of("Non-numeric server-side value for incr or decr");
    case BINARY_STATUS_AUTH_ERROR:
        return text_of("Auth failure.");
    case BINARY_STATUS_UNKNOWN:
        return text_of("Unknown command");
    case BINARY_STATUS_NO_MEMORY:
        return text_of("Out of memory");
    }
    assert(false && "a status without a text");
    return text_of("");
}

uint8_t *
binary_write_error(uint8_t *at, struct binary_echo echo, enum binary_status status)
{
    struct span text = status_text(status);
    assert(text.len <= BINARY_ERROR_MAX - BINARY_HEADER_LEN);
    return binary_write_text(at, echo, status, text);
}

uint8_t *
binary_write_key_miss(uint8_t *at, struct binary_echo echo, struct span key)
{
    assert(key.len <= KEY_LEN_MAX);
    at = write_header(at, echo, BINARY_STATUS_NOT_FOUND, key.len, 0, key.len, 0);
    return write_span(at, key);
}
