/* A small fast generator for tests, sampling and seeds' expansion.  Not for secrets. */
#ifndef LARDER_BASE_RNG_H
#define LARDER_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state;
};

void rng_init(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);
/** Uniform in 0 .. bound - 1; bound at least 1. */
uint64_t rng_below(struct rng *rng, uint64_t bound);

/** 64 bits from the kernel: for the hash seed.  Aborts where the kernel has none to give. */
uint64_t rng_system(void);

#endif
