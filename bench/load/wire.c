/* Requests as bytes. */
#include "config.h"

#include "bench/load/wire.h"

#include "bench/load/wire_priv.h"

#include <string.h>

static uint8_t *
put(uint8_t *at, const void *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

#define PUT(at, text) put(at, text, sizeof(text) - 1)

static uint8_t *
put_number(uint8_t *at, uint32_t number)
{
    uint8_t digits[10];
    unsigned first = sizeof(digits);
    do {
        digits[--first] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return put(at, digits + first, sizeof(digits) - first);
}

static uint8_t *
put_u32(uint8_t *at, uint32_t number)
{
    number = __builtin_bswap32(number);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    number = __builtin_bswap32(number);
#endif
    return put(at, &number, 4);
}

static uint8_t *
put_header(uint8_t *at, enum opcode opcode, size_t extras_len, size_t key_len, size_t value_len)
{
    memset(at, 0, BINARY_HEADER_LEN);
    at[0] = BINARY_MAGIC;
    at[1] = (uint8_t)opcode;
    at[2] = (uint8_t)(key_len >> 8);
    at[3] = (uint8_t)key_len;
    at[4] = (uint8_t)extras_len;
    put_u32(at + 8, (uint32_t)(extras_len + key_len + value_len));
    return at + BINARY_HEADER_LEN;
}

uint8_t *
wire_get_begin(enum wire_protocol protocol, uint8_t *at)
{
    return protocol == WIRE_TEXT ? PUT(at, "get") : at;
}

uint8_t *
wire_get_key(enum wire_protocol protocol, uint8_t *at, struct span key, bool more)
{
    switch (protocol) {
    case WIRE_TEXT:
        *at++ = ' ';
        return put(at, key.at, key.len);
    case WIRE_META:
        at = put(PUT(at, "mg "), key.at, key.len);
        return more ? PUT(at, " k q v\r\n") : PUT(at, " v\r\n");
    case WIRE_BINARY:
        at = put_header(at, more ? OPCODE_GETKQ : OPCODE_GET, 0, key.len, 0);
        return put(at, key.at, key.len);
    }
    __builtin_unreachable();
}

uint8_t *
wire_get_end(enum wire_protocol protocol, uint8_t *at, bool more)
{
    switch (protocol) {
    case WIRE_TEXT:
        return PUT(at, "\r\n");
    case WIRE_META:
        return more ? PUT(at, "mn\r\n") : at;
    case WIRE_BINARY:
        return more ? put_header(at, OPCODE_NOOP, 0, 0, 0) : at;
    }
    __builtin_unreachable();
}

uint8_t *
wire_set_head(enum wire_protocol protocol, uint8_t *at, struct span key, uint32_t value_len,
              uint32_t ttl)
{
    switch (protocol) {
    case WIRE_TEXT:
        at = put(PUT(at, "set "), key.at, key.len);
        at = put_number(PUT(at, " 0 "), ttl);
        *at++ = ' ';
        return PUT(put_number(at, value_len), "\r\n");
    case WIRE_META:
        at = put(PUT(at, "ms "), key.at, key.len);
        *at++ = ' ';
        at = put_number(at, value_len);
        if (ttl != 0) {
            at = put_number(PUT(at, " T"), ttl);
        }
        return PUT(at, "\r\n");
    case WIRE_BINARY:
        at = put_header(at, OPCODE_SET, 8, key.len, value_len);
        at = put_u32(put_u32(at, 0), ttl);
        return put(at, key.at, key.len);
    }
    __builtin_unreachable();
}

uint8_t *
wire_set_tail(enum wire_protocol protocol, uint8_t *at)
{
    return protocol == WIRE_BINARY ? at : PUT(at, "\r\n");
}

uint8_t *
wire_delete(enum wire_protocol protocol, uint8_t *at, struct span key)
{
    switch (protocol) {
    case WIRE_TEXT:
        return PUT(put(PUT(at, "delete "), key.at, key.len), "\r\n");
    case WIRE_META:
        return PUT(put(PUT(at, "md "), key.at, key.len), "\r\n");
    case WIRE_BINARY:
        return put(put_header(at, OPCODE_DELETE, 0, key.len, 0), key.at, key.len);
    }
    __builtin_unreachable();
}
