/* How fast rows come out of a binary log: a bulk UPDATE with full images of six columns.
 *
 *     build/release/bench/micro/binlog [--rows N] [--json]
 *
 * Each line is one core, the median of SLICES passes over the log in memory. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "mysql/binlog_file.h"
#include "mysql/crc32.h"
#include "mysql/render.h"
#include "mysql/row.h"

#define SLICES         7u
#define ROWS_DEFAULT   500000u
#define ROWS_MAX       20000000u
#define EVENT_ROWS_LEN 8192u /* bytes: the servers begin a new event about there */
#define COLUMNS        6u

struct log {
    uint8_t *bytes;
    size_t len;
    size_t cap;
};

static _Noreturn void
die(const char *text)
{
    fprintf(stderr, "%s\n", text);
    exit(1);
}

static void
put(struct log *log, const void *bytes, size_t len)
{
    if (log->cap - log->len < len) {
        log->cap = 2 * log->cap + len;
        log->bytes = realloc(log->bytes, log->cap);
        if (log->bytes == NULL) {
            die("no memory for the log");
        }
    }
    memcpy(log->bytes + log->len, bytes, len);
    log->len += len;
}

static void
put_number(struct log *log, uint64_t number, size_t len)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(number >> (8 * i));
    }
    put(log, bytes, len);
}

/** Begins an event; returns where. */
static size_t
begin_event(struct log *log, uint8_t type)
{
    size_t start = log->len;
    put_number(log, 1700000000, 4);
    put_number(log, type, 1);
    put_number(log, 11, 4);
    put_number(log, 0, 4);
    put_number(log, 0, 4);
    put_number(log, 0, 2);
    return start;
}

static void
end_event(struct log *log, size_t start, bool checksum)
{
    uint32_t len = (uint32_t)(log->len - start) + (checksum ? EVENT_CHECKSUM_LEN : 0);
    for (unsigned i = 0; i < 4; i++) {
        log->bytes[start + 9 + i] = (uint8_t)(len >> (8 * i));
    }
    if (checksum) {
        put_number(log, crc32_add(0, log->bytes + start, log->len - start), 4);
    }
}

static void
put_format(struct log *log, bool checksum)
{
    static const uint8_t types[42] = { 0 };
    char version[EVENT_VERSION_LEN] = "9.7.4";
    size_t start = begin_event(log, 15);
    put_number(log, 4, 2);
    put(log, version, sizeof(version));
    put_number(log, 0, 4);
    put_number(log, EVENT_HEADER_LEN, 1);
    put(log, types, sizeof(types));
    put_number(log, checksum, 1);
    end_event(log, start, true);
}

/* id BIGINT, name VARCHAR(40), email VARCHAR(60), balance DECIMAL(10,2), seen DATETIME(3), n INT */
static void
put_table_map(struct log *log, bool checksum)
{
    static const uint8_t types[COLUMNS] = { COLUMN_LONGLONG, COLUMN_VARCHAR,  COLUMN_VARCHAR,
                                            COLUMN_DECIMAL,  COLUMN_DATETIME, COLUMN_LONG };
    static const uint8_t metadata[] = { 160, 0, 240, 0, 10, 2, 3 };
    static const uint8_t optional[] = { 1, 1, 0, 2, 1, 45 };
    size_t start = begin_event(log, 19);
    put_number(log, 77, 6);
    put_number(log, 1, 2);
    put(log, "\4shop\0\5users\0", 13);
    put_number(log, COLUMNS, 1);
    put(log, types, sizeof(types));
    put_number(log, sizeof(metadata), 1);
    put(log, metadata, sizeof(metadata));
    put_number(log, 0x3e, 1);
    put(log, optional, sizeof(optional));
    end_event(log, start, checksum);
}

static void
put_image(struct log *log, uint64_t id, unsigned change)
{
    char name[41], email[61];
    int name_len = snprintf(name, sizeof(name), "Customer %llu", (unsigned long long)id);
    int email_len =
        snprintf(email, sizeof(email), "customer%llu@example.com", (unsigned long long)id);
    put_number(log, 0, 1); /* no NULL */
    put_number(log, id, 8);
    put_number(log, (uint64_t)name_len, 1);
    put(log, name, (size_t)name_len);
    put_number(log, (uint64_t)email_len, 1);
    put(log, email, (size_t)email_len);
    put(log, "\x80\0\x30\x39\x32", 5);
    put(log, "\x99\xb2\xba\x64\xc5\x04\xd2", 7);
    put_number(log, change, 4);
}

static struct log
make_log(unsigned rows, bool checksum)
{
    struct log log = { .cap = 1u << 20 };
    log.bytes = malloc(log.cap);
    if (log.bytes == NULL) {
        die("no memory for the log");
    }
    put(&log,
        "\xfe"
        "bin",
        4);
    put_format(&log, checksum);
    put_table_map(&log, checksum);
    for (unsigned row = 0; row < rows;) {
        size_t start = begin_event(&log, 31);
        put_number(&log, 77, 6);
        put_number(&log, 0, 2);
        put_number(&log, 2, 2);
        put_number(&log, COLUMNS, 1);
        put(&log, "\x3f\x3f", 2);
        for (; row < rows && log.len - start < EVENT_ROWS_LEN; row++) {
            put_image(&log, 1000000 + row, 1);
            put_image(&log, 1000000 + row, 2);
        }
        end_event(&log, start, checksum);
    }
    return log;
}

enum depth {
    WALK,       /* every column stepped over */
    DECODE_TWO, /* two of six */
    DECODE_ALL,
    RENDER_KEY, /* "user:{id}" and the email from both images */
};

struct case_of {
    const char *name;
    bool checksum;
    enum depth depth;
};

static const struct case_of cases[] = {
    { "decode all columns, crc", true, DECODE_ALL },
    { "decode all columns, no crc", false, DECODE_ALL },
    { "decode 2 of 6 columns, crc", true, DECODE_TWO },
    { "decode 2 of 6 columns, no crc", false, DECODE_TWO },
    { "step over, crc", true, WALK },
    { "two texts of each image, crc", true, RENDER_KEY },
};

static uint64_t sum; /* of what was decoded, so that it is */

static void
render_keys(const struct value *values, struct charsets *charsets)
{
    char room[256];
    const char *reason;
    struct writer out = writer(room, sizeof(room));
    writer_put_text(&out, "user:");
    if (render_text(&values[0], charsets, &out, &reason) != RENDER_DONE ||
        render_text(&values[1], charsets, &out, &reason) != RENDER_DONE) {
        die("a value has no text");
    }
    sum += out.len;
}

/** Goes over the log; returns the rows in it. */
static unsigned
pass(const struct log *log, enum depth depth, struct charsets *charsets)
{
    static const uint16_t none[COLUMNS] = { ROW_SKIP, ROW_SKIP, ROW_SKIP,
                                            ROW_SKIP, ROW_SKIP, ROW_SKIP };
    static const uint16_t two[COLUMNS] = { 0, ROW_SKIP, 1, ROW_SKIP, ROW_SKIP, ROW_SKIP };
    const uint16_t *slots = depth == WALK ? none : depth == DECODE_ALL ? NULL : two;
    struct value before[COLUMNS], after[COLUMNS];
    struct column columns[COLUMNS];
    struct binlog_file file;
    struct event event;
    struct row_walk walk;
    enum event_result parsed;
    enum row_result row;
    const char *reason = "";
    unsigned rows = 0;
    enum binlog_file_result result =
        binlog_file_begin(&file, (struct bytes){ log->bytes, log->len }, &reason);
    while (result == BINLOG_FILE_EVENT &&
           (result = binlog_file_next(&file, &event, &parsed, &reason)) == BINLOG_FILE_EVENT) {
        if (event.kind == EVENT_TABLE_MAP &&
            columns_parse(&event.table_map, columns, COLUMNS) != COLUMNS_PARSED) {
            die("the table map is broken");
        }
        if (event.kind != EVENT_ROWS) {
            continue;
        }
        if (!row_walk_begin(&walk, &event.rows, columns, COLUMNS, slots)) {
            die("the rows are of another table");
        }
        while ((row = row_next(&walk, before, after)) == ROW_NEXT) {
            rows++;
            if (depth == RENDER_KEY) {
                render_keys(before, charsets);
                render_keys(after, charsets);
            } else if (depth != WALK) {
                sum += (uint64_t)before[0].number + after[1].bytes.len;
            }
        }
        if (row != ROW_END) {
            die("a row is broken");
        }
    }
    if (result != BINLOG_FILE_END) {
        die(reason);
    }
    return rows;
}

static double
now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static unsigned
parse_rows(const char *text)
{
    char *end;
    unsigned long rows = strtoul(text, &end, 10);
    if (*end != '\0' || rows == 0 || rows > ROWS_MAX) {
        die("--rows: 1 to 20000000");
    }
    return (unsigned)rows;
}

int
main(int argc, char **argv)
{
    static const struct option names[] = {
        { "rows", required_argument, NULL, 'r' },
        { "json", no_argument, NULL, 'j' },
        { "full", no_argument, NULL, 'f' },
        { NULL, 0, NULL, 0 },
    };
    unsigned rows = ROWS_DEFAULT;
    bool json = false;
    int name;
    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (name) {
        case 'r':
            rows = parse_rows(optarg);
            break;
        case 'j':
            json = true;
            break;
        case 'f':
            break; /* what every benchmark here takes; this one is short anyway */
        default:
            return 2;
        }
    }
    struct log with = make_log(rows, true);
    struct log without = make_log(rows, false);
    struct charsets charsets;
    charsets_init(&charsets);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct log *log = cases[i].checksum ? &with : &without;
        double per_s[SLICES];
        for (unsigned slice = 0; slice < SLICES; slice++) {
            double start = now_s();
            if (pass(log, cases[i].depth, &charsets) != rows) {
                die("rows are missing");
            }
            per_s[slice] = rows / (now_s() - start);
        }
        qsort(per_s, SLICES, sizeof(per_s[0]), compare_doubles);
        printf(json ? "{\"binlog\": \"%s\", \"rows_per_s\": %.0f, \"min\": %.0f, \"max\": %.0f}\n"
                    : "binlog %-30s %9.0f rows/s (%.0f .. %.0f)\n",
               cases[i].name, per_s[SLICES / 2], per_s[0], per_s[SLICES - 1]);
    }
    charsets_fini(&charsets);
    free(with.bytes);
    free(without.bytes);
    return sum == 0;
}
