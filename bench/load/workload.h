/*
 * Objects by number: with a trace a number is the place of a request in it, otherwise a key's.
 * Constant while the load runs; any thread.
 */
#ifndef LARDER_BENCH_LOAD_WORKLOAD_H
#define LARDER_BENCH_LOAD_WORKLOAD_H

#include "bench/load/options.h"
#include "bench/load/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct workload {
    const struct options *options;
    struct trace trace; /* without requests if there is none */
    /* Each connection's part of the trace, in order: places[first[i]] to places[first[i + 1] - 1].
     * An object's requests are all one connection's. */
    uint32_t *places;
    size_t *first;
    size_t prefix_len;
    uint8_t filler[KEY_LEN_MAX]; /* the prefix, then zeros */
};

struct object {
    uint64_t hash;
    uint32_t value_len;
    uint32_t ttl;
    uint32_t key_len;
    uint8_t key[KEY_LEN_MAX];
};

/** Loads the trace if there is one.  False with `error` set, TRACE_ERROR_CAP bytes. */
bool workload_init(struct workload *workload, const struct options *options, char *error);
void workload_fini(struct workload *workload);

void workload_object(const struct workload *workload, uint64_t number, struct object *object);

static inline bool
workload_is_trace(const struct workload *workload)
{
    return workload->trace.requests != NULL;
}

#endif
