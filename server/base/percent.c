#include "config.h"

#include "base/percent.h"

#include <stdbool.h>
#include <stdint.h>

/** What stands for itself.  Source: RFC 3986, 2.3. */
static bool
is_unreserved(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

char *
percent_encode(char *at, const void *bytes, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";
    const uint8_t *from = bytes;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = from[i];
        if (is_unreserved(c)) {
            *at++ = (char)c;
            continue;
        }
        *at++ = '%';
        *at++ = digits[c >> 4];
        *at++ = digits[c & 15];
    }
    return at;
}
