/* Base64 as the meta commands use it for keys that are no text. */
#ifndef LARDER_PROTO_BASE64_H
#define LARDER_PROTO_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of text for `len` bytes, padding included. */
#define BASE64_LEN(len) (((len) + 2u) / 3u * 4u)

/** Writes BASE64_LEN(len) bytes and returns the place behind them. */
uint8_t *base64_encode(uint8_t *at, const uint8_t *bytes, size_t len);

/**
 * Decodes a text; returns the bytes written, at least 1, or 0 if it is not base64.
 *
 * out    room for text_len / 4 * 3 bytes; apart from the text
 *
 * As lax as the original, so that both find one item under one odd key: bytes that are no base64
 * are passed over, and what follows a group with padding is not looked at.
 *
 * Errors: 0 when the bytes of the alphabet ('=' is one) are none or no multiple of four, or a
 *         group has more than two '='.
 * Source: seen live; contract 1.7 "b undecodable".
 */
size_t base64_decode(uint8_t *out, const uint8_t *text, size_t text_len);

#endif
