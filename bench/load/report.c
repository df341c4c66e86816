/* What a run has found. */
#include "config.h"

#include "bench/load/report.h"

#include <inttypes.h>
#include <string.h>

static const char *const op_names[LOAD_OPS] = {
    [LOAD_GET] = "get",
    [LOAD_SET] = "set",
    [LOAD_DELETE] = "delete",
};

static const char *
protocol_name(enum wire_protocol protocol)
{
    switch (protocol) {
    case WIRE_TEXT:
        return "text";
    case WIRE_META:
        return "meta";
    case WIRE_BINARY:
        return "binary";
    }
    __builtin_unreachable();
}

void
report_add(struct report *report, const struct worker *worker)
{
    struct load_stats *sum = &report->stats;
    const struct load_stats *stats = worker_stats(worker);
    if (stats->from_ns != 0 && (sum->from_ns == 0 || stats->from_ns < sum->from_ns)) {
        sum->from_ns = stats->from_ns;
    }
    if (stats->to_ns > sum->to_ns) {
        sum->to_ns = stats->to_ns;
    }
    sum->hits += stats->hits;
    sum->misses += stats->misses;
    sum->hit_bytes += stats->hit_bytes;
    sum->miss_bytes += stats->miss_bytes;
    sum->set_bytes += stats->set_bytes;
    sum->refused += stats->refused;
    sum->errors += stats->errors;
    sum->unsent += stats->unsent;
    sum->received += stats->received;
    sum->sent += stats->sent;
    for (unsigned i = 0; i < LOAD_OPS; i++) {
        histogram_merge(&sum->latency[i], &stats->latency[i]);
    }
    const struct load_faults *faults = worker_faults(worker);
    report->faults.wrong += faults->wrong;
    report->faults.foreign += faults->foreign;
    report->faults.broken += faults->broken;
    report->faults.lost += faults->lost;
    report->faults.unanswered += faults->unanswered;
    report->faults.unfilled += faults->unfilled;
    if (report->fault_text[0] == '\0') {
        memcpy(report->fault_text, worker_fault_text(worker), FAULT_TEXT_CAP);
    }
    if (report->error_text[0] == '\0') {
        memcpy(report->error_text, worker_error_text(worker), FAULT_TEXT_CAP);
    }
}

static uint64_t
requests_of(const struct report *report)
{
    uint64_t requests = 0;
    for (unsigned i = 0; i < LOAD_OPS; i++) {
        requests += report->stats.latency[i].count;
    }
    return requests;
}

bool
report_failed(const struct report *report)
{
    const struct load_faults *faults = &report->faults;
    return faults->wrong + faults->foreign + faults->broken + faults->lost + faults->unanswered +
                   faults->unfilled >
               0 ||
           requests_of(report) == 0;
}

static double
seconds_of(const struct report *report)
{
    return (double)(report->stats.to_ns - report->stats.from_ns) / 1e9;
}

static double
per_second(const struct report *report, uint64_t count)
{
    double seconds = seconds_of(report);
    return seconds > 0.0 ? (double)count / seconds : 0.0;
}

static double
share(uint64_t part, uint64_t rest)
{
    return part + rest == 0 ? 0.0 : (double)part / (double)(part + rest);
}

/* -- for people -------------------------------------------------------------------------------- */

static void
table_latencies(const struct report *report, FILE *out)
{
    fprintf(out, "%-7s %12s %10s %10s %10s %10s %10s  microseconds%s\n", "", "requests/s", "p50",
            "p90", "p99", "p99.9", "max",
            report->options->rate > 0.0 ? ", from when a request was due" : "");
    for (unsigned i = 0; i < LOAD_OPS; i++) {
        const struct histogram *latency = &report->stats.latency[i];
        if (latency->count == 0) {
            continue;
        }
        fprintf(out, "%-7s %12.0f %10.1f %10.1f %10.1f %10.1f %10.1f\n", op_names[i],
                per_second(report, latency->count), (double)histogram_quantile(latency, 0.5) / 1e3,
                (double)histogram_quantile(latency, 0.9) / 1e3,
                (double)histogram_quantile(latency, 0.99) / 1e3,
                (double)histogram_quantile(latency, 0.999) / 1e3, (double)latency->max / 1e3);
    }
}

static void
table_faults(const struct report *report, FILE *out)
{
    const struct load_stats *stats = &report->stats;
    const struct load_faults *faults = &report->faults;
    fprintf(out,
            "wrong values %" PRIu64 ", of other keys %" PRIu64 "; errors %" PRIu64
            ", refused %" PRIu64 "; broken replies %" PRIu64 ", lost connections %" PRIu64
            ", unanswered %" PRIu64 "\n",
            faults->wrong, faults->foreign, stats->errors, stats->refused, faults->broken,
            faults->lost, faults->unanswered);
    if (stats->errors > 0) {
        fprintf(out, "first error: %s\n", report->error_text);
    }
    if (stats->unsent > 0) {
        fprintf(out,
                "%" PRIu64
                " requests were due and had no free connection: the rate is too high, or "
                "-c too low\n",
                stats->unsent);
    }
    if (faults->unfilled > 0) {
        fprintf(out, "%" PRIu64 " keys were not filled\n", faults->unfilled);
    }
    if (report_failed(report)) {
        fprintf(out, "FAILED: %s\n",
                report->fault_text[0] != '\0' ? report->fault_text : "nothing was answered");
    }
}

void
report_table(const struct report *report, FILE *out)
{
    const struct options *options = report->options;
    const struct load_stats *stats = &report->stats;
    fprintf(out, "%s, %u thread%s, %u connection%s, pipeline %u, keys per get %u, %.2f s",
            protocol_name(options->protocol), options->threads, options->threads == 1 ? "" : "s",
            options->connections, options->connections == 1 ? "" : "s", options->pipeline,
            options->keys_per_get, seconds_of(report));
    if (options->rate > 0.0) {
        fprintf(out, ", %.0f requests/s wanted", options->rate);
    }
    fputc('\n', out);
    table_latencies(report, out);
    if (stats->hits + stats->misses > 0) {
        fprintf(out,
                "hit ratio %.3f %% of %" PRIu64 " keys, %.3f %% of their bytes (%" PRIu64
                " misses)\n",
                100.0 * share(stats->hits, stats->misses), stats->hits + stats->misses,
                100.0 * share(stats->hit_bytes, stats->miss_bytes), stats->misses);
    }
    fprintf(out, "received %.1f MB/s, sent %.1f MB/s\n", per_second(report, stats->received) / 1e6,
            per_second(report, stats->sent) / 1e6);
    table_faults(report, out);
}

/* -- for programs ------------------------------------------------------------------------------ */

/** What may not stand in a JSON text becomes a question mark. */
static void
json_text(FILE *out, const char *name, const char *text)
{
    fprintf(out, "  \"%s\": \"", name);
    for (; *text != '\0'; text++) {
        bool plain = *text >= ' ' && *text < 127 && *text != '"' && *text != '\\';
        fputc(plain ? *text : '?', out);
    }
    fputs("\",\n", out);
}

static void
json_count(FILE *out, const char *name, uint64_t count)
{
    fprintf(out, "  \"%s\": %" PRIu64 ",\n", name, count);
}

/** null when there was nothing to divide. */
static void
json_share(FILE *out, const char *name, uint64_t part, uint64_t rest)
{
    if (part + rest == 0) {
        fprintf(out, "  \"%s\": null,\n", name);
    } else {
        fprintf(out, "  \"%s\": %.6f,\n", name, share(part, rest));
    }
}

static void
json_latency(FILE *out, const char *name, const struct histogram *latency)
{
    fprintf(out,
            "  \"%s\": {\"requests\": %" PRIu64 ", \"mean_us\": %.3f, \"p50_us\": %.3f, "
            "\"p90_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, \"max_us\": %.3f},\n",
            name, latency->count, histogram_mean(latency) / 1e3,
            (double)histogram_quantile(latency, 0.5) / 1e3,
            (double)histogram_quantile(latency, 0.9) / 1e3,
            (double)histogram_quantile(latency, 0.99) / 1e3,
            (double)histogram_quantile(latency, 0.999) / 1e3, (double)latency->max / 1e3);
}

void
report_json(const struct report *report, FILE *out)
{
    const struct options *options = report->options;
    const struct load_stats *stats = &report->stats;
    const struct load_faults *faults = &report->faults;
    fputs("{\n", out);
    json_text(out, "protocol", protocol_name(options->protocol));
    json_count(out, "threads", options->threads);
    json_count(out, "connections", options->connections);
    json_count(out, "pipeline", options->pipeline);
    json_count(out, "keys_per_get", options->keys_per_get);
    fprintf(out, "  \"rate_wanted\": %.3f,\n", options->rate);
    json_count(out, "trace_requests", report->trace_requests);
    fprintf(out, "  \"seconds\": %.6f,\n", seconds_of(report));
    json_count(out, "requests", requests_of(report));
    fprintf(out, "  \"requests_per_second\": %.1f,\n", per_second(report, requests_of(report)));
    for (unsigned i = 0; i < LOAD_OPS; i++) {
        json_latency(out, op_names[i], &stats->latency[i]);
    }
    json_count(out, "hits", stats->hits);
    json_count(out, "misses", stats->misses);
    json_share(out, "hit_ratio", stats->hits, stats->misses);
    json_count(out, "hit_bytes", stats->hit_bytes);
    json_count(out, "miss_bytes", stats->miss_bytes);
    json_share(out, "byte_hit_ratio", stats->hit_bytes, stats->miss_bytes);
    json_count(out, "set_bytes", stats->set_bytes);
    json_count(out, "received_bytes", stats->received);
    json_count(out, "sent_bytes", stats->sent);
    json_count(out, "refused", stats->refused);
    json_count(out, "errors", stats->errors);
    json_text(out, "first_error", stats->errors > 0 ? report->error_text : "");
    json_count(out, "unsent", stats->unsent);
    json_count(out, "wrong_values", faults->wrong);
    json_count(out, "foreign_values", faults->foreign);
    json_count(out, "broken_replies", faults->broken);
    json_count(out, "lost_connections", faults->lost);
    json_count(out, "unanswered", faults->unanswered);
    json_count(out, "unfilled_keys", faults->unfilled);
    json_text(out, "first_fault", report->fault_text);
    fprintf(out, "  \"failed\": %s\n}\n", report_failed(report) ? "true" : "false");
}
