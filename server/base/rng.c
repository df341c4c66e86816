#include "config.h"

#include "base/rng.h"

#include "base/assert.h"

#include <errno.h>
#include <sys/random.h>

void
rng_init(struct rng *rng, uint64_t seed)
{
    rng->state = seed;
}

/** Source: splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
 */
uint64_t
rng_next(struct rng *rng)
{
    rng->state += 0x9e3779b97f4a7c15u;
    uint64_t z = rng->state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t
rng_below(struct rng *rng, uint64_t bound)
{
    assert(bound > 0);
    return (uint64_t)(((unsigned __int128)rng_next(rng) * bound) >> 64);
}

uint64_t
rng_system(void)
{
    uint64_t value = 0;
    ssize_t got;
    do {
        got = getrandom(&value, sizeof(value), 0);
    } while (got < 0 && errno == EINTR); /* soon after a boot it may wait, and a signal come */
    assert(got == (ssize_t)sizeof(value));
    return value;
}
