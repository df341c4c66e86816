/*
 * Latencies in bounded memory: counts per bucket, each at most 0.8 % wide.
 *
 * Up to HISTOGRAM_FINE each number has a bucket of its own.  From there on each power of two is cut
 * into HISTOGRAM_FINE / 2 buckets of one width.
 */
#ifndef LARDER_BENCH_LOAD_HISTOGRAM_H
#define LARDER_BENCH_LOAD_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_FINE_BITS 8u
#define HISTOGRAM_FINE      (1u << HISTOGRAM_FINE_BITS)
#define HISTOGRAM_BITS_MAX  40u /* what is longer (18 minutes, in ns) counts in the last bucket */
#define HISTOGRAM_BUCKETS \
    (HISTOGRAM_FINE + (HISTOGRAM_BITS_MAX - HISTOGRAM_FINE_BITS) * (HISTOGRAM_FINE / 2))

/** All zero is an empty one. */
struct histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t max; /* exact */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/** The bucket of a number. */
static inline unsigned
histogram_bucket(uint64_t number)
{
    if (number < HISTOGRAM_FINE) {
        return (unsigned)number;
    }
    if (number >> HISTOGRAM_BITS_MAX != 0) {
        return HISTOGRAM_BUCKETS - 1;
    }
    unsigned shift = 64 - (unsigned)__builtin_clzll(number) - HISTOGRAM_FINE_BITS;
    /* The top bit of what is left is always set: it counts the power of two. */
    return shift * (HISTOGRAM_FINE / 2) + (unsigned)(number >> shift);
}

static inline void
histogram_add(struct histogram *histogram, uint64_t number)
{
    histogram->count++;
    histogram->sum += number;
    if (number > histogram->max) {
        histogram->max = number;
    }
    histogram->buckets[histogram_bucket(number)]++;
}

/** The largest number of a bucket. */
uint64_t histogram_bucket_top(unsigned bucket);

void histogram_merge(struct histogram *into, const struct histogram *from);

/**
 * The number that `share` (0 to 1) of all are not above: a bucket's top, and never above the
 * largest.  0 for an empty one.
 */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

double histogram_mean(const struct histogram *histogram);

#endif
