/* Draws of key numbers. */
#include "config.h"

#include "bench/load/keys.h"

#include "bench/load/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXPONENT_MIN 0.01
#define EXPONENT_MAX 10.0
/* Draws that are rejected in a row; each is taken with a probability above one half. */
#define DRAWS_MAX 64u

/* -- zipf -------------------------------------------------------------------------------------- */

/*
 * Rejection-inversion: draws from the area under x ^ -exponent, which is easily inverted, and
 * rejects what lies outside of the steps.  No table, so any number of keys costs the same.
 * Source: Hormann and Derflinger, "Rejection-inversion to generate variates from monotone discrete
 *         distributions", ACM TOMACS 6 (1996).
 */

static double
zipf_weight(const struct keys *keys, double x)
{
    return exp(-keys->exponent * log(x));
}

/** The integral of the weight from 1 to x; the exponent 1 is no exception with expm1() / t. */
static double
zipf_integral(const struct keys *keys, double x)
{
    double log_x = log(x);
    double t = (1.0 - keys->exponent) * log_x;
    return (fabs(t) > 1e-8 ? expm1(t) / t : 1.0 + t / 2.0) * log_x;
}

static double
zipf_inverse(const struct keys *keys, double area)
{
    double t = area * (1.0 - keys->exponent);
    if (t < -1.0) {
        t = -1.0; /* rounding */
    }
    return exp((fabs(t) > 1e-8 ? log1p(t) / t : 1.0 - t / 2.0) * area);
}

static void
zipf_prepare(struct keys *keys)
{
    keys->integral_first = zipf_integral(keys, 1.5) - 1.0;
    keys->integral_last = zipf_integral(keys, (double)keys->count + 0.5);
    keys->sure_distance =
        2.0 - zipf_inverse(keys, zipf_integral(keys, 2.5) - zipf_weight(keys, 2.0));
}

static uint64_t
zipf_draw(const struct keys *keys, uint64_t *random)
{
    double rank = 1.0;
    for (unsigned i = 0; i < DRAWS_MAX; i++) {
        double area = keys->integral_last + random_fraction(random_next(random)) *
                                                (keys->integral_first - keys->integral_last);
        double x = zipf_inverse(keys, area);
        rank = floor(x + 0.5);
        if (rank < 1.0) {
            rank = 1.0;
        } else if (rank > (double)keys->count) {
            rank = (double)keys->count;
        }
        if (rank - x <= keys->sure_distance ||
            area >= zipf_integral(keys, rank + 0.5) - zipf_weight(keys, rank)) {
            break;
        }
    }
    return (uint64_t)rank - 1;
}

/* -- the others -------------------------------------------------------------------------------- */

/** Draws outside of the keys are drawn again. */
static uint64_t
gaussian_draw(const struct keys *keys, uint64_t *random)
{
    for (unsigned i = 0; i < DRAWS_MAX; i++) {
        double radius = sqrt(-2.0 * log(random_fraction(random_next(random))));
        double angle = 2.0 * M_PI * random_fraction(random_next(random));
        double number = (double)keys->count / 2.0 + keys->deviation * radius * cos(angle);
        if (number >= 0.0 && number < (double)keys->count) {
            return (uint64_t)number;
        }
    }
    return keys->count / 2;
}

uint64_t
keys_draw(const struct keys *keys, struct keys_state *state)
{
    switch (keys->kind) {
    case KEYS_UNIFORM:
        return random_below(&state->random, keys->count);
    case KEYS_ZIPF:
        return zipf_draw(keys, &state->random);
    case KEYS_GAUSSIAN:
        return gaussian_draw(keys, &state->random);
    case KEYS_SEQUENTIAL:
        if (state->sequence >= keys->count) {
            state->sequence = 0;
        }
        return state->sequence++;
    }
    __builtin_unreachable();
}

/** The number behind the colon; false unless it is one, from `min` to `max`. */
static bool
parse_parameter(const char *text, double min, double max, double *out)
{
    char *end = NULL;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && *out >= min && *out <= max;
}

bool
keys_parse(struct keys *keys, const char *text, uint64_t count)
{
    *keys = (struct keys){ .kind = KEYS_UNIFORM, .count = count };
    if (strcmp(text, "uniform") == 0) {
        return true;
    }
    if (strcmp(text, "sequential") == 0) {
        keys->kind = KEYS_SEQUENTIAL;
        return true;
    }
    if (strncmp(text, "zipf:", 5) == 0) {
        keys->kind = KEYS_ZIPF;
        if (!parse_parameter(text + 5, EXPONENT_MIN, EXPONENT_MAX, &keys->exponent)) {
            return false;
        }
        zipf_prepare(keys);
        return true;
    }
    if (strncmp(text, "gauss", 5) == 0 && (text[5] == '\0' || text[5] == ':')) {
        keys->kind = KEYS_GAUSSIAN;
        keys->deviation = (double)count / 6.0;
        return text[5] == '\0' || parse_parameter(text + 6, 1.0, (double)count, &keys->deviation);
    }
    return false;
}
