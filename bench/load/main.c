/* larder-load: threads of load, a line of progress, a report. */
#include "config.h"

#include "bench/load/options.h"
#include "bench/load/report.h"
#include "bench/load/value.h"
#include "bench/load/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define SPARE_DESCRIPTORS 64u /* besides the connections */

static struct load load;

static void
stop_on_signal(int number)
{
    (void)number;
    /* relaxed: it guards no data */
    atomic_store_explicit(&load.stop, true, memory_order_relaxed);
}

/** SIGINT and SIGTERM end the run early, with its report; the next one ends the program. */
static void
catch_signals(void)
{
    struct sigaction stop = { .sa_handler = stop_on_signal, .sa_flags = (int)SA_RESETHAND };
    (void)sigaction(SIGINT, &stop, NULL);
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

static bool
allow_descriptors(unsigned connections)
{
    struct rlimit limit;
    rlim_t needed = (rlim_t)connections + SPARE_DESCRIPTORS + 2 * THREADS_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) {
        return true;
    }
    limit.rlim_cur = needed;
    if (needed > limit.rlim_max) {
        limit.rlim_max = needed;
    }
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        fprintf(stderr, "-c %u needs %llu descriptors: raise the limit (ulimit -n), or lower -c\n",
                connections, (unsigned long long)needed);
        return false;
    }
    return true;
}

/* -- progress ---------------------------------------------------------------------------------- */

struct sum {
    uint64_t requests, hits, misses, faults;
    unsigned ready;
    bool running;
};

static void
show_progress(struct worker **workers, unsigned second, struct sum *before)
{
    struct sum sum = { .running = true };
    for (unsigned i = 0; i < load.options->threads; i++) {
        const struct load_shown *shown = worker_shown(workers[i]);
        /* relaxed: numbers for the eye, each for itself */
        sum.requests += atomic_load_explicit(&shown->requests, memory_order_relaxed);
        sum.hits += atomic_load_explicit(&shown->hits, memory_order_relaxed);
        sum.misses += atomic_load_explicit(&shown->misses, memory_order_relaxed);
        sum.faults += atomic_load_explicit(&shown->faults, memory_order_relaxed);
        sum.ready += atomic_load_explicit(&shown->ready, memory_order_relaxed);
        sum.running = sum.running && atomic_load_explicit(&shown->running, memory_order_relaxed);
    }
    const char *phase = sum.running                             ? "run"
                        : sum.ready < load.options->connections ? "connect"
                                                                : "fill";
    fprintf(stderr, "\r%5u s  %-7s %6u connections  %9llu requests/s", second, phase, sum.ready,
            (unsigned long long)(sum.requests - before->requests));
    if (sum.hits + sum.misses > 0) {
        fprintf(stderr, "  hits %6.2f %%",
                100.0 * (double)sum.hits / (double)(sum.hits + sum.misses));
    }
    fprintf(stderr, sum.faults > 0 ? "  FAULTS %llu\033[K" : "\033[K",
            (unsigned long long)sum.faults);
    *before = sum;
}

/** Until all workers have ended; each second a line, on a terminal. */
static void
wait_for_workers(struct worker **workers)
{
    bool progress = !load.options->quiet && isatty(STDERR_FILENO);
    struct sum before = { .requests = 0 };
    unsigned ended = 0;
    for (unsigned second = 1; ended < load.options->threads;) {
        struct pollfd event = { .fd = load.ended_fd, .events = POLLIN };
        int ready = poll(&event, 1, 1000);
        uint64_t count;
        if (ready > 0 && read(load.ended_fd, &count, sizeof(count)) == (ssize_t)sizeof(count)) {
            ended += (unsigned)count;
        } else if (ready == 0 && progress) {
            show_progress(workers, second, &before);
        }
        second += ready == 0;
    }
    if (progress) {
        fputs("\r\033[K", stderr);
    }
}

/* -- the run ----------------------------------------------------------------------------------- */

/** Starts the threads and waits for them; false if one cannot be. */
static bool
run(struct worker **workers)
{
    unsigned threads = load.options->threads, started = 0;
    pthread_t ids[THREADS_MAX];
    if (pthread_barrier_init(&load.barrier, NULL, threads) != 0) {
        return false;
    }
    for (; started < threads; started++) {
        if (pthread_create(&ids[started], NULL, worker_run, workers[started]) != 0) {
            /* The others wait at the barrier for good. */
            fputs("cannot start so many threads (-t)\n", stderr);
            _exit(LOAD_EXIT_OS);
        }
    }
    wait_for_workers(workers);
    for (unsigned i = 0; i < threads; i++) {
        (void)pthread_join(ids[i], NULL);
    }
    pthread_barrier_destroy(&load.barrier);
    return true;
}

/** The report to where it is wanted; the exit code. */
static int
tell(const struct report *report)
{
    const char *name = load.options->json_name;
    int code = report_failed(report) ? LOAD_EXIT_FAILED : 0;
    bool json_alone = name != NULL && strcmp(name, "-") == 0;
    if (!json_alone) {
        report_table(report, stdout);
    }
    if (name == NULL) {
        return code;
    }
    FILE *out = json_alone ? stdout : fopen(name, "we");
    if (out != NULL) {
        report_json(report, out);
    }
    if (out == NULL || ferror(out) || (!json_alone && fclose(out) != 0)) {
        fprintf(stderr, "cannot write %s (-j): %s\n", name, strerror(errno));
        return LOAD_EXIT_OS;
    }
    return code;
}

/** Makes the workers, runs them, reports; the exit code. */
static int
run_and_tell(void)
{
    static struct report report;
    struct worker *workers[THREADS_MAX] = { NULL };
    unsigned threads = load.options->threads;
    int code = LOAD_EXIT_OS;
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = worker_create(&load, i);
        if (workers[i] == NULL) {
            fprintf(stderr, "no memory for the connections: lower -c, -p or --value-max\n");
            goto done;
        }
    }
    if (!run(workers)) {
        goto done;
    }
    report.options = load.options;
    report.trace_requests = load.workload->trace.requests_count;
    for (unsigned i = 0; i < threads; i++) {
        report_add(&report, workers[i]);
    }
    /* relaxed: the workers are joined */
    if (atomic_load_explicit(&load.failed, memory_order_relaxed)) {
        fprintf(stderr, "%s: %s\n", load.options->address, report.fault_text);
        goto done;
    }
    code = tell(&report);
done:
    for (unsigned i = 0; i < threads; i++) {
        worker_destroy(workers[i]);
    }
    return code;
}

int
main(int argc, char **argv)
{
    static struct options options;
    static struct workload workload;
    static struct link_target target;
    char error[TRACE_ERROR_CAP > LINK_ERROR_CAP ? TRACE_ERROR_CAP : LINK_ERROR_CAP];
    switch (options_parse(&options, argc, argv)) {
    case OPTIONS_RUN:
        break;
    case OPTIONS_HELP:
        return 0;
    case OPTIONS_BAD:
        return LOAD_EXIT_BAD;
    case OPTIONS_USAGE:
        return LOAD_EXIT_USAGE;
    }
    int code = LOAD_EXIT_BAD;
    value_prepare();
    if (!workload_init(&workload, &options, error)) {
        fprintf(stderr, "-f: %s\n", error);
        goto done;
    }
    if (!link_target_init(&target, &options, error)) {
        fprintf(stderr, "%s\n", error);
        goto done;
    }
    load.options = &options;
    load.workload = &workload;
    load.target = &target;
    load.ended_fd = eventfd(0, EFD_CLOEXEC);
    catch_signals();
    if (load.ended_fd < 0 || !allow_descriptors(options.connections)) {
        code = LOAD_EXIT_OS;
        goto done;
    }
    code = run_and_tell();
done:
    link_target_fini(&target);
    workload_fini(&workload);
    options_fini(&options);
    return code;
}
