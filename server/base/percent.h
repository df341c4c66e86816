/* Keys as one word of printable ASCII, whatever bytes they are of: percent-encoding (RFC
 * 3986, 2.1), which leaves letters, digits and - . _ ~ as they are. */
#ifndef LARDER_BASE_PERCENT_H
#define LARDER_BASE_PERCENT_H

#include <stddef.h>

#define PERCENT_GROWTH 3u /* times the bytes encoded: the most that a text needs */

/** Writes up to PERCENT_GROWTH * len bytes, without a NUL; returns the place behind them. */
char *percent_encode(char *at, const void *bytes, size_t len);

#endif
