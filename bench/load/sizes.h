/*
 * How long a key or value is: a distribution, and a draw by the key's hash, so that an object has
 * one size for the whole run and in the next one, too.
 *
 *     N                fixed
 *     A-B              uniform
 *     NxW,NxW,..       mixture: size N with weight W
 *     ln:MEDIAN:SIGMA  log-normal
 *     etc              the pool ETC of Facebook: keys generalised extreme value, values generalised
 *                      Pareto.  Source: Atikoglu et al., SIGMETRICS 2012
 *     @FILE            a histogram: lines `size weight`, rising, uniform from one size to the next
 */
#ifndef LARDER_BENCH_LOAD_SIZES_H
#define LARDER_BENCH_LOAD_SIZES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIZES_STEPS_MAX 16384u /* of a mixture or a file */
#define SIZES_ERROR_CAP 256u   /* bytes of a text with what is wrong, NUL included */

enum sizes_kind {
    SIZES_FIXED,
    SIZES_UNIFORM,
    SIZES_MIXTURE,
    SIZES_LOG_NORMAL,
    SIZES_ETC_KEYS,
    SIZES_ETC_VALUES,
    SIZES_HISTOGRAM,
};

enum sizes_of {
    SIZES_OF_KEYS,
    SIZES_OF_VALUES,
};

struct sizes_step {
    double upto; /* share of the draws that are this size or an earlier one */
    double size;
};

/** Constant once parsed. */
struct sizes {
    enum sizes_kind kind;
    uint32_t min, max;    /* draws are clamped to these */
    double first, second; /* N; A and B; median and sigma */
    struct sizes_step *steps;
    unsigned steps_count;
};

/**
 * Parses a distribution.
 *
 * min, max   bytes; a fixed size or a bound of a range beyond them is an error, draws of the others
 *            are clamped
 * error      out, SIZES_ERROR_CAP bytes: on false, what is wrong and what would be right
 */
bool sizes_parse(struct sizes *sizes, enum sizes_of of, const char *text, uint32_t min,
                 uint32_t max, char *error);
void sizes_fini(struct sizes *sizes);

uint32_t sizes_draw(const struct sizes *sizes, uint64_t hash);

#endif
