#include "config.h"

#include "base/race.h"

#ifdef LARDER_DEBUG

#include <sched.h>
#include <stdint.h>

#define RACE_PERIOD 1024u /* one call in so many yields */

void
race_point(void)
{
    static _Thread_local uint32_t state = 0x9e3779b9u;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    if (state % RACE_PERIOD == 0) {
        sched_yield();
    }
}

#else

/* A translation unit must not be empty. */
extern int race_unused;

#endif
