#include "config.h"

#include "mysql/writer.h"

#include <stdio.h>
#include <stdlib.h>

#define DOUBLE_DIGITS_MAX 17 /* always enough to read the same number back */
#define FLOAT_DIGITS      6
#define PLAIN_POINT_MAX \
    15 /* places of the point up to which a number is written without exponent */
#define PLAIN_POINT_MIN (-14)

void
writer_put_json_text(struct writer *out, const uint8_t *text, size_t len)
{
    static const char short_forms[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r',
    };
    size_t plain = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = text[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\') {
            continue;
        }
        writer_put(out, text + plain, i - plain);
        plain = i + 1;
        writer_put_char(out, '\\');
        if (byte >= 0x20) {
            writer_put_char(out, (char)byte);
        } else if (short_forms[byte] != 0) {
            writer_put_char(out, short_forms[byte]);
        } else {
            writer_put_text(out, "u00");
            writer_put_hex(out, &byte, 1);
        }
    }
    if (plain < len) {
        writer_put(out, text + plain, len - plain);
    }
}

void
writer_put_base64(struct writer *out, const uint8_t *bytes, size_t len)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        size_t have = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)bytes[i] << 16;
        bits |= have > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        bits |= have > 2 ? bytes[i + 2] : 0u;
        char four[4] = {
            letters[bits >> 18],
            letters[bits >> 12 & 63],
            have > 1 ? letters[bits >> 6 & 63] : '=',
            have > 2 ? letters[bits & 63] : '=',
        };
        writer_put(out, four, sizeof(four));
    }
}

/** Prints as "d.ddde+xx" with the fewest digits that do. */
static int
print_shortest(double number, bool is_float, char *text, size_t cap)
{
    if (is_float) {
        return snprintf(text, cap, "%.*e", FLOAT_DIGITS - 1, number);
    }
    int len = 0;
    for (int digits = 1; digits <= DOUBLE_DIGITS_MAX; digits++) {
        len = snprintf(text, cap, "%.*e", digits - 1, number);
        if (strtod(text, NULL) == number) {
            break;
        }
    }
    return len;
}

void
writer_put_real(struct writer *out, double number, bool is_float)
{
    char text[40];
    int len = print_shortest(number, is_float, text, sizeof(text));
    char *exponent_at = memchr(text, 'e', (size_t)len);
    if (exponent_at == NULL) { /* infinite, or no number: neither can be stored */
        writer_put(out, text, (size_t)len);
        return;
    }
    int point = (int)strtol(exponent_at + 1, NULL, 10) + 1; /* digits before the point */
    char digits[DOUBLE_DIGITS_MAX + 1];
    int count = 0;
    for (const char *at = text; at < exponent_at && count < DOUBLE_DIGITS_MAX; at++) {
        if (*at >= '0' && *at <= '9') {
            digits[count++] = *at;
        }
    }
    while (count > 1 && digits[count - 1] == '0') {
        count--;
    }
    if (text[0] == '-') {
        writer_put_char(out, '-');
    }
    if (digits[0] == '0') {
        writer_put_char(out, '0');
        return;
    }
    if (point < PLAIN_POINT_MIN || point > PLAIN_POINT_MAX) {
        writer_put(out, digits, 1);
        if (count > 1) {
            writer_put_char(out, '.');
            writer_put(out, digits + 1, (size_t)count - 1);
        }
        writer_put_char(out, 'e');
        writer_put_signed(out, point - 1);
        return;
    }
    if (point <= 0) {
        writer_put_text(out, "0.");
        for (int i = point; i < 0; i++) {
            writer_put_char(out, '0');
        }
        writer_put(out, digits, (size_t)count);
        return;
    }
    for (int i = 0; i < point || i < count; i++) {
        if (i == point) {
            writer_put_char(out, '.');
        }
        writer_put_char(out, i < count ? digits[i] : '0');
    }
}
