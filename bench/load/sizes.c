/* Distributions of sizes. */
#include "config.h"

#include "bench/load/sizes.h"

#include "bench/load/random.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- draws ------------------------------------------------------------------------------------- */

/**
 * The inverse of the normal distribution: a rational function in the middle and one for the tails,
 * by Peter Acklam; off by 1.15e-9 of the value at most.
 */
static double
normal_quantile(double p)
{
    static const double a[] = { -3.969683028665376e+01, 2.209460984245205e+02,
                                -2.759285104469687e+02, 1.383577518672690e+02,
                                -3.066479806614716e+01, 2.506628277459239e+00 };
    static const double b[] = { -5.447609879822406e+01, 1.615858368580409e+02,
                                -1.556989798598866e+02, 6.680131188771972e+01,
                                -1.328068155288572e+01 };
    static const double c[] = { -7.784894002430293e-03, -3.223964580411365e-01,
                                -2.400758277161838e+00, -2.549732539343734e+00,
                                4.374664141464968e+00,  2.938163982698783e+00 };
    static const double d[] = { 7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                                3.754408661907416e+00 };
    const double tail = 0.02425;
    if (p >= tail && p <= 1.0 - tail) {
        double q = p - 0.5;
        double r = q * q;
        return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
               (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1.0);
    }
    double q = sqrt(-2.0 * log(p < tail ? p : 1.0 - p));
    double x = (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
               ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1.0);
    return p < tail ? x : -x;
}

/** The first step whose share reaches the draw. */
static unsigned
find_step(const struct sizes *sizes, double draw)
{
    unsigned low = 0, high = sizes->steps_count - 1;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (sizes->steps[middle].upto < draw) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static double
histogram_size(const struct sizes *sizes, double draw)
{
    unsigned i = find_step(sizes, draw);
    const struct sizes_step *step = &sizes->steps[i];
    double from = i == 0 ? 0.0 : step[-1].upto;
    double smallest = i == 0 ? 1.0 : step[-1].size + 1.0;
    double share = step->upto > from ? (draw - from) / (step->upto - from) : 1.0;
    return floor(smallest + (step->size - smallest + 1.0) * share);
}

static double
draw_size(const struct sizes *sizes, double draw)
{
    switch (sizes->kind) {
    case SIZES_FIXED:
        return sizes->first;
    case SIZES_UNIFORM:
        return floor(sizes->first + (sizes->second - sizes->first + 1.0) * draw);
    case SIZES_MIXTURE:
        return sizes->steps[find_step(sizes, draw)].size;
    case SIZES_LOG_NORMAL:
        return sizes->first * exp(sizes->second * normal_quantile(draw));
    case SIZES_ETC_KEYS:
        return 30.7984 + 8.20449 * (pow(-log(draw), -0.078688) - 1.0) / 0.078688;
    case SIZES_ETC_VALUES:
        return 214.476 * (pow(1.0 - draw, -0.348238) - 1.0) / 0.348238;
    case SIZES_HISTOGRAM:
        return histogram_size(sizes, draw);
    }
    __builtin_unreachable();
}

uint32_t
sizes_draw(const struct sizes *sizes, uint64_t hash)
{
    if (sizes->kind == SIZES_FIXED) {
        return (uint32_t)sizes->first;
    }
    /* Mixed once more: the hash serves for other things as well. */
    double size = draw_size(sizes, random_fraction(random_mix(hash + 0x51ed2701u)));
    if (size <= (double)sizes->min) {
        return sizes->min;
    }
    return size >= (double)sizes->max ? sizes->max : (uint32_t)size;
}

/* -- texts ------------------------------------------------------------------------------------- */

/** A number of 0 or more, up to one of the bytes of `ends`, behind which it steps. */
static bool
take_number(const char **at, const char *ends, double *out)
{
    char *end = NULL;
    if (**at < '0' || **at > '9') {
        return false;
    }
    /* strtod() would take 0x for the beginning of a hexadecimal number. */
    *out = strncmp(*at, "0x", 2) == 0 ? 0.0 : strtod(*at, &end);
    if (end == NULL) {
        end = (char *)(uintptr_t)(*at + 1);
    }
    if (strchr(ends, *end) == NULL) {
        return false;
    }
    *at = *end == '\0' ? end : end + 1;
    return true;
}

static bool
add_step(struct sizes *sizes, double size, double weight)
{
    if (sizes->steps == NULL) {
        sizes->steps = calloc(SIZES_STEPS_MAX, sizeof(sizes->steps[0]));
    }
    if (sizes->steps == NULL || sizes->steps_count == SIZES_STEPS_MAX) {
        return false;
    }
    sizes->steps[sizes->steps_count++] = (struct sizes_step){ .upto = weight, .size = size };
    return true;
}

/** Weights become the sums of those up to here, divided by the sum of all.  False for none. */
static bool
sum_weights(struct sizes *sizes)
{
    double sum = 0.0;
    for (unsigned i = 0; i < sizes->steps_count; i++) {
        sum += sizes->steps[i].upto;
        sizes->steps[i].upto = sum;
    }
    for (unsigned i = 0; i < sizes->steps_count; i++) {
        sizes->steps[i].upto /= sum;
    }
    return sum > 0.0;
}

static bool
parse_mixture(struct sizes *sizes, const char *text)
{
    while (*text != '\0') {
        double size, weight;
        if (!take_number(&text, "x", &size) || !take_number(&text, ",", &weight) ||
            size < (double)sizes->min || size > (double)sizes->max ||
            !add_step(sizes, size, weight)) {
            return false;
        }
    }
    sizes->kind = SIZES_MIXTURE;
    return sum_weights(sizes);
}

static bool
parse_file(struct sizes *sizes, const char *name, char *error)
{
    FILE *file = fopen(name, "re");
    if (file == NULL) {
        snprintf(error, SIZES_ERROR_CAP, "cannot read %s: %s", name, strerror(errno));
        return false;
    }
    char line[128];
    unsigned number = 0;
    double before = -1.0;
    bool good = true;
    while (good && fgets(line, sizeof(line), file) != NULL) {
        number++;
        const char *at = line;
        double size, weight;
        if (*at == '#' || *at == '\n') {
            continue;
        }
        good = take_number(&at, " \t", &size) && take_number(&at, " \t\r\n", &weight) &&
               size > before && add_step(sizes, size, weight);
        before = size;
    }
    fclose(file);
    sizes->kind = SIZES_HISTOGRAM;
    if (!good) {
        snprintf(error, SIZES_ERROR_CAP,
                 "%s:%u: 'size weight' is right here, %u lines at most, "
                 "sizes rising",
                 name, number, SIZES_STEPS_MAX);
    } else if (!sum_weights(sizes)) {
        snprintf(error, SIZES_ERROR_CAP, "%s holds no size with a weight", name);
        good = false;
    }
    return good;
}

static bool
parse_fixed_or_range(struct sizes *sizes, const char *text)
{
    if (!take_number(&text, "-", &sizes->first)) {
        return false;
    }
    sizes->kind = SIZES_FIXED;
    sizes->second = sizes->first;
    if (text[-1] == '-') {
        sizes->kind = SIZES_UNIFORM;
        if (!take_number(&text, "", &sizes->second)) {
            return false;
        }
    }
    return *text == '\0' && sizes->first == floor(sizes->first) &&
           sizes->second == floor(sizes->second) && sizes->first >= (double)sizes->min &&
           sizes->second <= (double)sizes->max && sizes->first <= sizes->second;
}

bool
sizes_parse(struct sizes *sizes, enum sizes_of of, const char *text, uint32_t min, uint32_t max,
            char *error)
{
    *sizes = (struct sizes){ .min = min, .max = max };
    error[0] = '\0';
    bool good;
    if (strcmp(text, "etc") == 0) {
        sizes->kind = of == SIZES_OF_KEYS ? SIZES_ETC_KEYS : SIZES_ETC_VALUES;
        good = true;
    } else if (strncmp(text, "ln:", 3) == 0) {
        const char *at = text + 3;
        sizes->kind = SIZES_LOG_NORMAL;
        good = take_number(&at, ":", &sizes->first) && take_number(&at, "", &sizes->second) &&
               *at == '\0' && sizes->first > 0.0 && sizes->second <= 10.0;
    } else if (text[0] == '@') {
        good = parse_file(sizes, text + 1, error);
    } else if (strchr(text, 'x') != NULL) {
        good = parse_mixture(sizes, text);
    } else {
        good = parse_fixed_or_range(sizes, text);
    }
    if (!good && error[0] == '\0') {
        snprintf(error, SIZES_ERROR_CAP,
                 "a size is N, A-B, NxW,NxW.., ln:MEDIAN:SIGMA, etc or "
                 "@FILE, from %u to %u bytes",
                 min, max);
    }
    if (!good) {
        sizes_fini(sizes);
    }
    return good;
}

void
sizes_fini(struct sizes *sizes)
{
    free(sizes->steps);
    sizes->steps = NULL;
}
