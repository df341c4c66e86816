/* What a run has found: a table for people, JSON for programs. */
#ifndef LARDER_BENCH_LOAD_REPORT_H
#define LARDER_BENCH_LOAD_REPORT_H

#include "bench/load/worker.h"

#include <stdio.h>

struct report {
    const struct options *options;
    size_t trace_requests; /* 0 without a trace */
    struct load_stats stats;
    struct load_faults faults;
    char fault_text[FAULT_TEXT_CAP];
    char error_text[FAULT_TEXT_CAP];
};

/** Adds a worker that has ended. */
void report_add(struct report *report, const struct worker *worker);

/** Whether the run must not count as good. */
bool report_failed(const struct report *report);

void report_table(const struct report *report, FILE *out);
void report_json(const struct report *report, FILE *out);

#endif
