/* Clocks of the process.  Nothing below net/ and embed/ reads them: time is passed in. */
#ifndef LARDER_BASE_CLOCK_H
#define LARDER_BASE_CLOCK_H

#include <stdint.h>

/** Unix time in seconds. */
int64_t clock_unix_s(void);
/** Microseconds since an unspecified start; never goes back. */
uint64_t clock_monotonic_us(void);
/** Unix time in microseconds. */
uint64_t clock_unix_us(void);
/** Seconds since an unspecified start, cheap and some milliseconds coarse; never goes back. */
uint32_t clock_coarse_s(void);

#endif
