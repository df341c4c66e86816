/* One thread of the load, with its connections. */
#ifndef LARDER_BENCH_LOAD_WORKER_H
#define LARDER_BENCH_LOAD_WORKER_H

#include "bench/load/histogram.h"
#include "bench/load/link.h"
#include "bench/load/workload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FAULT_TEXT_CAP 200u /* bytes, NUL included */

enum load_op {
    LOAD_GET,
    LOAD_SET,
    LOAD_DELETE,
    LOAD_OPS,
};

/** What is measured; warm-up is not in it. */
struct load_stats {
    int64_t from_ns, to_ns; /* begin; last reply */
    uint64_t hits, misses;  /* keys */
    uint64_t hit_bytes, miss_bytes, set_bytes;
    uint64_t refused;        /* stores, by a rule: NOT_STORED and the like */
    uint64_t errors;         /* replies that are error texts */
    uint64_t unsent;         /* requests of the rate that were due and had no connection */
    uint64_t received, sent; /* bytes on the sockets */
    struct histogram latency[LOAD_OPS]; /* ns; their counts are those of the requests */
};

/** What makes a run fail; counted from the first connection on. */
struct load_faults {
    uint64_t wrong;      /* values */
    uint64_t foreign;    /* values of another key than asked for */
    uint64_t broken;     /* replies that make no sense; their connection is closed */
    uint64_t lost;       /* connections that the server closed */
    uint64_t unanswered; /* requests */
    uint64_t unfilled;   /* keys that --fill had no time for */
};

/** What the workers of a run share. */
struct load {
    const struct options *options;
    const struct workload *workload;
    const struct link_target *target;
    pthread_barrier_t barrier; /* between phases */
    int ended_fd;              /* an eventfd, which counts workers that have ended */
    _Atomic bool stop;         /* no new requests; set at any time */
    _Atomic bool failed;       /* some worker could not connect */
};

/** What the thread of the progress line reads meanwhile.  All atomic, relaxed: each for itself. */
struct load_shown {
    _Atomic uint64_t requests, hits, misses, faults;
    _Atomic unsigned ready; /* connections */
    _Atomic bool running;   /* past connecting and filling */
};

struct worker;

/** One of options->threads; NULL without memory. */
struct worker *worker_create(struct load *load, unsigned number);
void worker_destroy(struct worker *worker);

/** The whole run; for pthread_create(). */
void *worker_run(void *worker);

const struct load_shown *worker_shown(const struct worker *worker);

/* Once worker_run() has returned: */
const struct load_stats *worker_stats(const struct worker *worker);
const struct load_faults *worker_faults(const struct worker *worker);
/** The first thing that went wrong, or the first error reply; empty for none. */
const char *worker_fault_text(const struct worker *worker);
const char *worker_error_text(const struct worker *worker);

#endif
