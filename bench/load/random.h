/* Numbers that look random: one 64-bit state per thread, the same sequence for the same seed. */
#ifndef LARDER_BENCH_LOAD_RANDOM_H
#define LARDER_BENCH_LOAD_RANDOM_H

#include <stdint.h>

/** Spreads a number over 64 bits; one to one.  Source: the finaliser of splitmix64. */
static inline uint64_t
random_mix(uint64_t number)
{
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9u;
    number = (number ^ (number >> 27)) * 0x94d049bb133111ebu;
    return number ^ (number >> 31);
}

/** The next of the sequence. */
static inline uint64_t
random_next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    return random_mix(*state);
}

/** 53 bits of a number as a fraction: above 0, below 1. */
static inline double
random_fraction(uint64_t number)
{
    return ((double)(number >> 11) + 0.5) * 0x1p-53;
}

/** 0 to `bound` - 1, without a division. */
static inline uint64_t
random_below(uint64_t *state, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)random_next(state) * bound) >> 64);
}

#endif
