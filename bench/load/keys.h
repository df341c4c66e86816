/* Which key comes next: draws of key numbers by a distribution. */
#ifndef LARDER_BENCH_LOAD_KEYS_H
#define LARDER_BENCH_LOAD_KEYS_H

#include <stdbool.h>
#include <stdint.h>

enum keys_kind {
    KEYS_UNIFORM,
    KEYS_ZIPF,       /* number k with a weight of 1 / (k + 1) ^ exponent */
    KEYS_GAUSSIAN,   /* around the middle */
    KEYS_SEQUENTIAL, /* 0, 1, .. and from 0 again */
};

/** Constant once made; the draws' state is the caller's. */
struct keys {
    enum keys_kind kind;
    uint64_t count;
    double exponent;  /* zipf */
    double deviation; /* gaussian, in keys */
    /* zipf: the integral of the weights at the ends, and how far from a number needs no look */
    double integral_first, integral_last, sure_distance;
};

/** What one thread's draws depend on. */
struct keys_state {
    uint64_t random;
    uint64_t sequence; /* the next of KEYS_SEQUENTIAL */
};

/** uniform, zipf:EXPONENT, gauss or gauss:DEVIATION, sequential.  False for anything else. */
bool keys_parse(struct keys *keys, const char *text, uint64_t count);

/** A number from 0 to count - 1. */
uint64_t keys_draw(const struct keys *keys, struct keys_state *state);

#endif
