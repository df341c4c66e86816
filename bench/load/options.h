/* The command line of larder-load, checked. */
#ifndef LARDER_BENCH_LOAD_OPTIONS_H
#define LARDER_BENCH_LOAD_OPTIONS_H

#include "bench/load/keys.h"
#include "bench/load/sizes.h"
#include "bench/load/wire.h"

#include <stdbool.h>
#include <stdint.h>

/* Exit codes, the server's where it has them. */
#define LOAD_EXIT_BAD    1  /* a bad option or value */
#define LOAD_EXIT_FAILED 2  /* the run did not go as it should: a wrong value, a lost connection */
#define LOAD_EXIT_USAGE  64 /* options that do not go together */
#define LOAD_EXIT_OS     71 /* no connection, no memory, no descriptors */

#define THREADS_MAX      64u
#define CONNECTIONS_MAX  65536u
#define PIPELINE_MAX     1024u
#define KEYS_PER_GET_MAX 1024u
#define KEYS_MAX         100000000000u
#define KEY_PREFIX_MAX   64u /* bytes */
#define SECONDS_MAX      86400.0
#define RATE_MAX         100000000.0
/* Keys that may be asked for at one time, over all connections: 8 bytes each, twice. */
#define KEYS_IN_FLIGHT_MAX (1u << 24)

/** Constant once parsed; texts are borrowed from argv. */
struct options {
    const char *address;
    enum wire_protocol protocol;
    bool tls;
    const char *tls_ca, *tls_cert; /* or NULL */
    unsigned threads, connections, pipeline, keys_per_get;
    double rate; /* requests a second, over all; 0: closed loop */
    bool even;   /* the rate's requests come at even distances, not by chance */
    double ramp_s, fill_s, warm_up_s, seconds, timeout_s; /* fill_s 0: no fill */
    double set_share;
    bool look_aside;
    const char *trace_name; /* or NULL */
    const char *key_prefix;
    struct keys keys;
    struct sizes key_sizes, value_sizes;
    uint32_t value_max; /* bytes */
    uint32_t ttl;       /* seconds */
    bool verify;
    uint64_t seed;
    const char *json_name; /* or NULL */
    bool quiet;
};

enum options_result {
    OPTIONS_RUN,
    OPTIONS_HELP, /* printed: exit with 0 */
    OPTIONS_BAD,  /* said on stderr: exit with LOAD_EXIT_BAD */
    OPTIONS_USAGE,
};

enum options_result options_parse(struct options *options, int argc, char **argv);
void options_fini(struct options *options);

/** The text of --help, on stdout. */
void help_print(void);

#endif
