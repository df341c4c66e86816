/* Objects by number. */
#include "config.h"

#include "bench/load/workload.h"

#include "bench/load/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned
connection_of(const struct workload *workload, const struct trace_request *request)
{
    uint64_t hash = workload->trace.objects[request->object].hash;
    return (unsigned)(random_mix(hash + 1) % workload->options->connections);
}

/** Gives each connection the requests of its objects. */
static bool
share_out(struct workload *workload)
{
    const struct trace *trace = &workload->trace;
    unsigned connections = workload->options->connections;
    workload->places = calloc(trace->requests_count, sizeof(workload->places[0]));
    workload->first = calloc((size_t)connections + 1, sizeof(workload->first[0]));
    size_t *next = calloc(connections, sizeof(next[0]));
    if (workload->places == NULL || workload->first == NULL || next == NULL) {
        free(next);
        return false;
    }
    for (size_t i = 0; i < trace->requests_count; i++) {
        workload->first[connection_of(workload, &trace->requests[i]) + 1]++;
    }
    for (unsigned i = 0; i < connections; i++) {
        workload->first[i + 1] += workload->first[i];
        next[i] = workload->first[i];
    }
    for (size_t i = 0; i < trace->requests_count; i++) {
        workload->places[next[connection_of(workload, &trace->requests[i])]++] = (uint32_t)i;
    }
    free(next);
    return true;
}

bool
workload_init(struct workload *workload, const struct options *options, char *error)
{
    *workload = (struct workload){ .options = options };
    workload->prefix_len = strlen(options->key_prefix);
    memset(workload->filler, '0', sizeof(workload->filler));
    memcpy(workload->filler, options->key_prefix, workload->prefix_len);
    if (options->trace_name == NULL) {
        return true;
    }
    if (!trace_load(&workload->trace, options->trace_name, error)) {
        return false;
    }
    if (!share_out(workload)) {
        snprintf(error, TRACE_ERROR_CAP, "no memory for the trace");
        workload_fini(workload);
        return false;
    }
    return true;
}

void
workload_fini(struct workload *workload)
{
    trace_fini(&workload->trace);
    free(workload->places);
    free(workload->first);
    workload->places = NULL;
    workload->first = NULL;
}

static void
trace_object(const struct workload *workload, uint64_t number, struct object *object)
{
    const struct options *options = workload->options;
    const struct trace_request *request = &workload->trace.requests[number];
    const struct trace_object *known = &workload->trace.objects[request->object];
    object->hash = known->hash;
    object->ttl = request->ttl != 0 ? request->ttl : options->ttl;
    object->value_len = request->value_len != TRACE_LEN_ABSENT
                            ? request->value_len
                            : sizes_draw(&options->value_sizes, known->hash);
    if (object->value_len > options->value_max) {
        object->value_len = options->value_max;
    }
    object->key_len =
        known->key_len != 0 ? known->key_len : sizes_draw(&options->key_sizes, known->hash);
    if (object->key_len < known->word_len) {
        object->key_len = known->word_len;
    }
    memcpy(object->key, workload->trace.words + known->word_at, known->word_len);
    memset(object->key + known->word_len, '#', object->key_len - known->word_len);
}

void
workload_object(const struct workload *workload, uint64_t number, struct object *object)
{
    if (workload_is_trace(workload)) {
        trace_object(workload, number, object);
        return;
    }
    const struct options *options = workload->options;
    object->hash = random_mix(number + 0x9e3779b97f4a7c15u);
    object->value_len = sizes_draw(&options->value_sizes, object->hash);
    object->ttl = options->ttl;
    object->key_len = sizes_draw(&options->key_sizes, object->hash);
    memcpy(object->key, workload->filler, object->key_len);
    for (uint32_t at = object->key_len; number > 0; number /= 10) {
        object->key[--at] = (uint8_t)('0' + number % 10);
    }
}
