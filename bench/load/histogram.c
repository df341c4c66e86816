/* Latencies in bounded memory. */
#include "config.h"

#include "bench/load/histogram.h"

#include <math.h>

uint64_t
histogram_bucket_top(unsigned bucket)
{
    if (bucket < HISTOGRAM_FINE) {
        return bucket;
    }
    unsigned half = HISTOGRAM_FINE / 2;
    unsigned shift = bucket / half - 1;
    uint64_t leading = bucket - shift * half;
    return ((leading + 1) << shift) - 1;
}

void
histogram_merge(struct histogram *into, const struct histogram *from)
{
    into->count += from->count;
    into->sum += from->sum;
    if (from->max > into->max) {
        into->max = from->max;
    }
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        into->buckets[i] += from->buckets[i];
    }
}

uint64_t
histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)ceil(share * (double)histogram->count);
    if (wanted == 0) {
        wanted = 1;
    }
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= wanted) {
            uint64_t top = histogram_bucket_top(i);
            /* The last bucket has no top. */
            return top < histogram->max && i + 1 < HISTOGRAM_BUCKETS ? top : histogram->max;
        }
    }
    return histogram->max;
}

double
histogram_mean(const struct histogram *histogram)
{
    return histogram->count == 0 ? 0.0 : (double)histogram->sum / (double)histogram->count;
}
