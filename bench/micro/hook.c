/* How fast rows become operations on keys: update rows of three columns (id BIGINT, email VARCHAR,
 * status ENUM), through a plan, with and without decoding them from a rows event.
 *
 *     build/release/bench/micro/hook [--rows N] [--json]
 *
 * Each line is one core, the median of SLICES passes. */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "mysql/plan.h"

#define SLICES       7u
#define ROWS_DEFAULT 500000u
#define ROWS_MAX     20000000u
#define COLUMNS      3u
#define ROW_LEN_MAX  128u  /* bytes of both images */
#define ROWS_HELD    1024u /* rows of the event that is walked over again and again */

static _Noreturn void
die(const char *text)
{
    fprintf(stderr, "%s\n", text);
    exit(1);
}

static const struct column columns[COLUMNS] = {
    { .type = COLUMN_LONGLONG,
      .width = 8,
      .is_signed_known = true,
      .name = { (const uint8_t *)"id", 2 } },
    { .type = COLUMN_VARCHAR,
      .prefix = 1,
      .collation = 45,
      .name = { (const uint8_t *)"email", 5 } },
    { .type = COLUMN_ENUM,
      .width = 1,
      .collation = 45,
      .values = { (const uint8_t *)"\2\5draft\4sent", 12 },
      .name = { (const uint8_t *)"status", 6 } },
};

struct case_of {
    const char *name;
    const char *table;
    bool decodes; /* a pass walks over the event, else over one row that lies ready */
};

#define BLOCK(rest) "{ name = \"shop.users\"; " rest " }"
#define ONE_KEY     "rules = ( { on = \"any\"; delete = \"user:{id}\"; } );"
#define TWO_KEYS                                           \
    "rules = ( { on = \"any\"; delete = \"user:{id}\"; }," \
    " { on = \"update(email),delete\"; delete = \"email:{old.email|lower}\"; } );"
#define STORE "rules = ( { on = \"any\"; set = \"user:{id}\"; value = \"json(*)\"; } );"

static const struct case_of cases[] = {
    { "decode, 1 key", BLOCK(ONE_KEY), true },
    { "decode, 2 keys", BLOCK(TWO_KEYS), true },
    { "decode, where, 2 keys", BLOCK("where = \"status != 'draft'\"; " TWO_KEYS), true },
    { "decode, set json(*)", BLOCK(STORE), true },
    { "1 key", BLOCK(ONE_KEY), false },
    { "2 keys", BLOCK(TWO_KEYS), false },
    { "where, 2 keys", BLOCK("where = \"status != 'draft'\"; " TWO_KEYS), false },
};

struct event_bytes {
    uint8_t bytes[ROWS_HELD * ROW_LEN_MAX];
    size_t len;
};

static void
put_image(struct event_bytes *event, uint64_t id, unsigned change)
{
    uint8_t *at = event->bytes + event->len;
    *at++ = 0; /* no NULL */
    for (unsigned i = 0; i < 8; i++) {
        *at++ = (uint8_t)(id >> (8 * i));
    }
    int len =
        snprintf((char *)at + 1, 40, "Customer%llu@example%u.com", (unsigned long long)id, change);
    *at = (uint8_t)len;
    at += 1 + len;
    *at++ = 2;
    event->len = (size_t)(at - event->bytes);
}

static void
count_op(void *arg, const struct plan_op *op)
{
    uint64_t *sum = arg;
    *sum += op->key.len + op->value.len;
}

static uint64_t
run_event(const struct event_bytes *event, const struct plan *plan, struct plan_scratch *scratch)
{
    static const uint8_t all[1] = { 7 };
    struct value before[COLUMNS], after[COLUMNS];
    uint64_t sum = 0;
    struct row_walk walk;
    struct event_rows rows = {
        .op = EVENT_ROWS_UPDATE,
        .column_count = COLUMNS,
        .before = all,
        .after = all,
        .rows = { event->bytes, event->len },
    };
    if (!row_walk_begin(&walk, &rows, columns, COLUMNS, plan_slots(plan))) {
        die("the event does not fit its columns");
    }
    while (row_next(&walk, before, after) == ROW_NEXT) {
        plan_run(plan, rows.op, before, after, scratch, count_op, &sum);
    }
    return sum;
}

static uint64_t
run_ready(const struct event_bytes *event, const struct plan *plan, struct plan_scratch *scratch)
{
    static const uint8_t all[1] = { 7 };
    struct value before[COLUMNS], after[COLUMNS];
    uint64_t sum = 0;
    struct row_walk walk;
    struct event_rows rows = {
        .column_count = COLUMNS, .before = all, .after = all, .rows = { event->bytes, event->len }
    };
    if (!row_walk_begin(&walk, &rows, columns, COLUMNS, plan_slots(plan)) ||
        row_next(&walk, before, after) != ROW_NEXT) {
        die("the event does not fit its columns");
    }
    for (unsigned i = 0; i < ROWS_HELD; i++) {
        plan_run(plan, EVENT_ROWS_UPDATE, before, after, scratch, count_op, &sum);
    }
    return sum;
}

static double
seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int
by_size(const void *a, const void *b)
{
    double one = *(const double *)a;
    double other = *(const double *)b;
    return (one > other) - (one < other);
}

static double
measure(const struct case_of *what, const struct event_bytes *event, unsigned rows)
{
    char error[RULES_ERROR_MAX];
    char text[1024];
    struct rules *rules = NULL;
    struct plan *plan = NULL;
    double rates[SLICES];
    snprintf(text, sizeof(text),
             "source = { hosts = ( \"localhost\" ); user = \"u\"; }; tables = ( %s );",
             what->table);
    if (!rules_parse("bench", (struct bytes){ (const uint8_t *)text, strlen(text) }, &rules, error,
                     sizeof(error))) {
        die(error);
    }
    struct plan_scratch *scratch = plan_scratch_create(4096);
    if (scratch == NULL || plan_bind(rules, (struct bytes){ (const uint8_t *)"shop", 4 },
                                     (struct bytes){ (const uint8_t *)"users", 5 }, columns,
                                     COLUMNS, &plan, NULL) != PLAN_BOUND) {
        die("no plan");
    }
    for (unsigned slice = 0; slice < SLICES; slice++) {
        unsigned done = 0;
        double start = seconds();
        for (; done < rows; done += ROWS_HELD) {
            uint64_t sum =
                what->decodes ? run_event(event, plan, scratch) : run_ready(event, plan, scratch);
            if (sum == 0) {
                die("no operations");
            }
        }
        rates[slice] = done / (seconds() - start);
    }
    plan_destroy(plan);
    plan_scratch_destroy(scratch);
    rules_destroy(rules);
    qsort(rates, SLICES, sizeof(rates[0]), by_size);
    return rates[SLICES / 2];
}

int
main(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "rows", required_argument, NULL, 'r' },
        { "json", no_argument, NULL, 'j' },
        { NULL, 0, NULL, 0 },
    };
    static struct event_bytes event;
    unsigned long rows = ROWS_DEFAULT;
    bool json = false;
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (option == 'r') {
            rows = strtoul(optarg, NULL, 10);
        } else if (option == 'j') {
            json = true;
        } else {
            return 2;
        }
    }
    if (rows < 1 || rows > ROWS_MAX) {
        die("--rows must be 1 to 20000000");
    }
#ifndef HAVE_HOOK
    fputs("hook: built without the MySQL hook\n", stderr);
    return 0;
#endif
    for (unsigned i = 0; i < ROWS_HELD; i++) {
        put_image(&event, 1000000 + i, 1);
        put_image(&event, 1000000 + i, 2);
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double rate = measure(&cases[i], &event, (unsigned)rows);
        printf(json ? "{\"name\":\"hook: %s\",\"rows_per_s\":%.0f}\n"
                    : "hook: %-24s %12.0f rows/s\n",
               cases[i].name, rate);
    }
    return 0;
}
