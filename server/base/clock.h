/* Clocks of the process.  Nothing below net/ and embed/ reads them: time is passed in. */
#ifndef LARDER_BASE_CLOCK_H
#define LARDER_BASE_CLOCK_H

#include "base/assert.h"

#include <stdint.h>
#include <time.h>

/** Unix time in seconds. */
int64_t clock_unix_s(void);
/** Microseconds since an unspecified start; never goes back. */
uint64_t clock_monotonic_us(void);
/** Unix time in microseconds. */
uint64_t clock_unix_us(void);
/** Seconds since an unspecified start, cheap and some milliseconds coarse; never goes back.  Inline:
 * every call of the library asks. */
static inline uint32_t
clock_coarse_s(void)
{
#ifdef CLOCK_MONOTONIC_COARSE
    const clockid_t id = CLOCK_MONOTONIC_COARSE;
#else
    const clockid_t id = CLOCK_MONOTONIC;
#endif
    struct timespec ts;
    int rc = clock_gettime(id, &ts);
    assert(rc == 0);
    return (uint32_t)ts.tv_sec;
}

#endif
