/* The command line. */
#include "config.h"

#include "bench/load/options.h"

#include "bench/load/value.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum long_only {
    LONG_TLS = 256,
    LONG_TLS_CA,
    LONG_TLS_CERT,
    LONG_ARRIVALS,
    LONG_RAMP,
    LONG_FILL,
    LONG_WARM_UP,
    LONG_TIMEOUT,
    LONG_LOOK_ASIDE,
    LONG_KEY_PREFIX,
    LONG_VALUE_MAX,
    LONG_SEED,
    LONG_NO_VERIFY,
};

static const struct option names[] = {
    { "server", required_argument, NULL, 's' },
    { "protocol", required_argument, NULL, 'P' },
    { "tls", no_argument, NULL, LONG_TLS },
    { "tls-ca", required_argument, NULL, LONG_TLS_CA },
    { "tls-cert", required_argument, NULL, LONG_TLS_CERT },
    { "threads", required_argument, NULL, 't' },
    { "connections", required_argument, NULL, 'c' },
    { "pipeline", required_argument, NULL, 'p' },
    { "rate", required_argument, NULL, 'R' },
    { "arrivals", required_argument, NULL, LONG_ARRIVALS },
    { "ramp", required_argument, NULL, LONG_RAMP },
    { "fill", optional_argument, NULL, LONG_FILL },
    { "warm-up", required_argument, NULL, LONG_WARM_UP },
    { "seconds", required_argument, NULL, 'd' },
    { "timeout", required_argument, NULL, LONG_TIMEOUT },
    { "ratio", required_argument, NULL, 'r' },
    { "keys-per-get", required_argument, NULL, 'k' },
    { "look-aside", no_argument, NULL, LONG_LOOK_ASIDE },
    { "trace", required_argument, NULL, 'f' },
    { "keys", required_argument, NULL, 'n' },
    { "distribution", required_argument, NULL, 'D' },
    { "key-size", required_argument, NULL, 'K' },
    { "key-prefix", required_argument, NULL, LONG_KEY_PREFIX },
    { "value-size", required_argument, NULL, 'v' },
    { "value-max", required_argument, NULL, LONG_VALUE_MAX },
    { "ttl", required_argument, NULL, 'T' },
    { "seed", required_argument, NULL, LONG_SEED },
    { "no-verify", no_argument, NULL, LONG_NO_VERIFY },
    { "json", required_argument, NULL, 'j' },
    { "quiet", no_argument, NULL, 'q' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

/** What can be made only when all options are known. */
struct later {
    const char *ratio, *distribution, *key_size, *value_size, *arrivals;
    uint64_t keys;
};

/** Says what is wrong; always false. */
static bool __attribute__((format(printf, 1, 2))) complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return false;
}

static bool
take_count(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    struct span word = { (const uint8_t *)text, strlen(text) };
    if (parse_word_u64(word, out) != PARSE_DONE || *out < min || *out > max) {
        return complain("%s: a number from %llu to %llu is right, not \"%s\"", name,
                        (unsigned long long)min, (unsigned long long)max, text);
    }
    return true;
}

static bool
take_unsigned(const char *name, const char *text, unsigned min, unsigned max, unsigned *out)
{
    uint64_t count;
    if (!take_count(name, text, min, max, &count)) {
        return false;
    }
    *out = (unsigned)count;
    return true;
}

static bool
take_real(const char *name, const char *text, double min, double max, double *out)
{
    char *end = NULL;
    *out = strtod(text, &end);
    if (end == text || *end != '\0' || !(*out >= min && *out <= max)) {
        return complain("%s: a number from %g to %.15g is right, not \"%s\"", name, min, max, text);
    }
    return true;
}

static bool
take_protocol(const char *text, enum wire_protocol *out)
{
    if (strcmp(text, "text") == 0) {
        *out = WIRE_TEXT;
    } else if (strcmp(text, "meta") == 0) {
        *out = WIRE_META;
    } else if (strcmp(text, "binary") == 0) {
        *out = WIRE_BINARY;
    } else {
        return complain("-P: text, meta or binary is right, not \"%s\"", text);
    }
    return true;
}

static bool
take_ratio(const char *text, double *share)
{
    char *end = NULL;
    double sets = strtod(text, &end), gets = -1.0;
    if (end != text && *end == ':') {
        const char *second = end + 1;
        gets = strtod(second, &end);
        if (end == second || *end != '\0') {
            gets = -1.0;
        }
    }
    if (!(sets >= 0.0 && gets >= 0.0 && sets + gets > 0.0 && sets + gets < 1e9)) {
        return complain("-r: SETS:GETS is right, such as 1:9, not \"%s\"", text);
    }
    *share = sets / (sets + gets);
    return true;
}

static bool
take_key_prefix(const char *text, const char **out)
{
    size_t len = strlen(text);
    bool good = len <= KEY_PREFIX_MAX;
    for (size_t i = 0; i < len; i++) {
        good = good && (uint8_t)text[i] > ' ' && text[i] != 127;
    }
    *out = text;
    return good || complain("--key-prefix: up to %u bytes without spaces are right, not \"%s\"",
                            KEY_PREFIX_MAX, text);
}

/** One option of those that say where and how much. */
static bool
take_load(struct options *options, struct later *later, int name, const char *value)
{
    switch (name) {
    case 's':
        options->address = value;
        return true;
    case 'P':
        return take_protocol(value, &options->protocol);
    case LONG_TLS_CA:
        options->tls_ca = value;
        return true;
    case LONG_TLS_CERT:
        options->tls_cert = value;
        return true;
    case 't':
        return take_unsigned("-t", value, 1, THREADS_MAX, &options->threads);
    case 'c':
        return take_unsigned("-c", value, 1, CONNECTIONS_MAX, &options->connections);
    case 'p':
        return take_unsigned("-p", value, 1, PIPELINE_MAX, &options->pipeline);
    case 'R':
        return take_real("-R", value, 0.1, RATE_MAX, &options->rate);
    case LONG_ARRIVALS:
        later->arrivals = value;
        options->even = strcmp(value, "even") == 0;
        return options->even || strcmp(value, "poisson") == 0 ||
               complain("--arrivals: poisson or even is right, not \"%s\"", value);
    case LONG_RAMP:
        return take_real("--ramp", value, 0.0, SECONDS_MAX, &options->ramp_s);
    case LONG_FILL:
        options->fill_s = 60.0;
        return value == NULL || take_real("--fill", value, 0.001, SECONDS_MAX, &options->fill_s);
    case LONG_WARM_UP:
        return take_real("--warm-up", value, 0.0, SECONDS_MAX, &options->warm_up_s);
    case 'd':
        return take_real("-d", value, 0.001, SECONDS_MAX, &options->seconds);
    case LONG_TIMEOUT:
        return take_real("--timeout", value, 0.01, SECONDS_MAX, &options->timeout_s);
    default: /* of getopt's numbers, the rest is no option that takes a value */
        return false;
    }
}

/** One option of those that say what. */
static bool
take_workload(struct options *options, struct later *later, int name, const char *value)
{
    switch (name) {
    case 'r':
        later->ratio = value;
        return take_ratio(value, &options->set_share);
    case 'k':
        return take_unsigned("-k", value, 1, KEYS_PER_GET_MAX, &options->keys_per_get);
    case 'f':
        options->trace_name = value;
        return true;
    case 'n':
        return take_count("-n", value, 1, KEYS_MAX, &later->keys);
    case 'D':
        later->distribution = value;
        return true;
    case 'K':
        later->key_size = value;
        return true;
    case LONG_KEY_PREFIX:
        return take_key_prefix(value, &options->key_prefix);
    case 'v':
        later->value_size = value;
        return true;
    case LONG_VALUE_MAX:
        return take_unsigned("--value-max", value, 1, VALUE_LEN_MAX, &options->value_max);
    case 'T':
        return take_unsigned("-T", value, 0, INT32_MAX, &options->ttl);
    case LONG_SEED:
        return take_count("--seed", value, 0, UINT64_MAX, &options->seed);
    case 'j':
        options->json_name = value;
        return true;
    default: /* as above */
        return take_load(options, later, name, value);
    }
}

static bool
take_all(struct options *options, struct later *later, int argc, char **argv, bool *help)
{
    int name;
    while ((name = getopt_long(argc, argv, "s:P:t:c:p:R:d:r:k:f:n:D:K:v:T:j:qh", names, NULL)) !=
           -1) {
        switch (name) {
        case 'h':
            *help = true;
            return true;
        case 'q':
            options->quiet = true;
            break;
        case LONG_TLS:
            options->tls = true;
            break;
        case LONG_LOOK_ASIDE:
            options->look_aside = true;
            break;
        case LONG_NO_VERIFY:
            options->verify = false;
            break;
        case '?':
            return false; /* getopt has said why */
        default:
            if (!take_workload(options, later, name, optarg)) {
                return false;
            }
        }
    }
    return optind == argc ||
           complain("\"%s\" is no option; larder-load --help lists them", argv[optind]);
}

/** Distributions, once the number of keys and the longest value are known. */
static bool
make_distributions(struct options *options, const struct later *later)
{
    char error[SIZES_ERROR_CAP];
    if (!keys_parse(&options->keys, later->distribution, later->keys)) {
        return complain("-D: uniform, zipf:EXPONENT (0.01 to 10), gauss, gauss:DEVIATION (in keys) "
                        "or sequential is right, not \"%s\"",
                        later->distribution);
    }
    uint32_t digits = 1;
    for (uint64_t rest = later->keys - 1; rest > 9; rest /= 10) {
        digits++;
    }
    uint32_t shortest = (uint32_t)strlen(options->key_prefix) + digits;
    if (!sizes_parse(&options->key_sizes, SIZES_OF_KEYS, later->key_size, shortest, KEY_LEN_MAX,
                     error)) {
        return complain("-K %s: %s (the prefix and the numbers of %llu keys need %u)",
                        later->key_size, error, (unsigned long long)later->keys, shortest);
    }
    if (!sizes_parse(&options->value_sizes, SIZES_OF_VALUES, later->value_size, 0,
                     options->value_max, error)) {
        return complain("-v %s: %s (--value-max)", later->value_size, error);
    }
    return true;
}

/** Whether they go together. */
static bool
check_all(const struct options *options, const struct later *later)
{
    if (options->threads > options->connections) {
        return complain("-t %u with -c %u: each thread needs a connection", options->threads,
                        options->connections);
    }
    if ((uint64_t)options->connections * options->pipeline * options->keys_per_get >
        KEYS_IN_FLIGHT_MAX) {
        return complain("-c times -p times -k is more than %u keys at a time", KEYS_IN_FLIGHT_MAX);
    }
    if (options->trace_name != NULL &&
        (later->ratio != NULL || options->keys_per_get != 1 || options->fill_s > 0.0)) {
        return complain("-f says itself what is set and got: it takes no -r, -k, --fill");
    }
    if (later->arrivals != NULL && options->rate <= 0.0) {
        return complain("--arrivals is about -R, which is missing");
    }
    if (!options->tls && (options->tls_ca != NULL || options->tls_cert != NULL)) {
        return complain("--tls-ca and --tls-cert are about --tls, which is missing");
    }
#ifndef HAVE_TLS
    if (options->tls) {
        return complain("--tls: this program was built without OpenSSL");
    }
#endif
    return true;
}

enum options_result
options_parse(struct options *options, int argc, char **argv)
{
    *options = (struct options){
        .address = "127.0.0.1:11211",
        .protocol = WIRE_TEXT,
        .threads = 1,
        .connections = 16,
        .pipeline = 1,
        .keys_per_get = 1,
        .seconds = 10.0,
        .timeout_s = 5.0,
        .set_share = 0.1,
        .key_prefix = "key-",
        .value_max = 1000000,
        .verify = true,
        .seed = 1,
    };
    struct later later = {
        .distribution = "uniform", .key_size = "16", .value_size = "100", .keys = 100000
    };
    bool help = false;
    if (!take_all(options, &later, argc, argv, &help)) {
        return OPTIONS_BAD;
    }
    if (help) {
        help_print();
        return OPTIONS_HELP;
    }
    if (options->trace_name != NULL) {
        options->look_aside = true;
    }
    if (options->look_aside && later.ratio == NULL) {
        options->set_share = 0.0;
    }
    if (!check_all(options, &later)) {
        return OPTIONS_USAGE;
    }
    return make_distributions(options, &later) ? OPTIONS_RUN : OPTIONS_BAD;
}

void
options_fini(struct options *options)
{
    sizes_fini(&options->key_sizes);
    sizes_fini(&options->value_sizes);
}
