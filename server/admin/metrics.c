#include "config.h"

#include "admin/metrics.h"
#include "admin/metrics_priv.h"

#include "admin/follower.h"
#include "base/assert.h"
#include "engine/stats.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_CAP_FIRST   16384u
#define TEXT_LEN_MAX     (16u * 1024 * 1024) /* bytes; a page is some hundred KB at the very most */
#define LABELS_CAP       1024u               /* bytes, NUL included; what is longer is cut */
#define POSITION_LEN_MAX 64u /* domains or servers of a position; those behind it are left out */
#define VALUE_LEN_MAX    32u /* bytes of a number */
#define UUID_TEXT_LEN    36

/* -- text -------------------------------------------------------------------------------------- */

/** Grows as it is written to. */
struct text {
    char *bytes;
    size_t len;
    size_t cap;
    bool failed; /* no memory; takes nothing any more */
};

static void
text_add(struct text *text, const char *bytes, size_t len)
{
    if (text->failed || len > TEXT_LEN_MAX - text->len) {
        text->failed = true;
        return;
    }
    if (text->len + len > text->cap) {
        size_t cap = text->cap > 0 ? text->cap : TEXT_CAP_FIRST;
        while (cap < text->len + len) {
            cap *= 2;
        }
        char *grown = realloc(text->bytes, cap);
        if (grown == NULL) {
            text->failed = true;
            return;
        }
        text->bytes = grown;
        text->cap = cap;
    }
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
}

static void
text_put(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

/* -- samples ----------------------------------------------------------------------------------- */

/** One line of the page, in `lines`; those of a row are chained in the order in which they came. */
struct sample {
    size_t at;
    size_t len;
    size_t next; /* index plus one; 0 is the end */
};

struct chain {
    size_t first; /* index plus one; 0: empty */
    size_t last;
};

/** Of one class; of all in place of class 0. */
struct sets {
    bool known;
    uint64_t sets; /* with those of cas */
    uint64_t cas;
};

struct metrics {
    struct text lines;
    struct sample *samples; /* heap */
    size_t samples_len;
    size_t samples_cap;
    struct chain chains[METRICS_ROWS_MAX];
    struct sets sets[CACHE_CLASSES_MAX + 1];
};

struct metrics *
metrics_create(void)
{
    return calloc(1, sizeof(struct metrics));
}

static void
metrics_destroy(struct metrics *metrics)
{
    free(metrics->samples);
    free(metrics->lines.bytes);
    free(metrics);
}

/** The place of one more sample; NULL without memory. */
static struct sample *
add_sample(struct metrics *metrics)
{
    if (metrics->samples_len == metrics->samples_cap) {
        size_t cap = metrics->samples_cap > 0 ? metrics->samples_cap * 2 : 256;
        struct sample *grown = realloc(metrics->samples, cap * sizeof(*grown));
        if (grown == NULL) {
            metrics->lines.failed = true;
            return NULL;
        }
        metrics->samples = grown;
        metrics->samples_cap = cap;
    }
    return &metrics->samples[metrics->samples_len++];
}

/** The metric that a row belongs to. */
static const char *
metric_of(const struct metrics_row *row)
{
    while (row->metric == NULL) {
        assert(row > metrics_rows);
        row--;
    }
    return row->metric;
}

/** Adds a line.  labels: without the braces; NULL or empty for none. */
static void
put_sample(struct metrics *metrics, const struct metrics_row *row, const char *labels,
           const char *value)
{
    struct text *lines = &metrics->lines;
    struct sample *sample = add_sample(metrics);
    if (sample == NULL) {
        return;
    }
    sample->at = lines->len;
    sample->next = 0;
    text_put(lines, metric_of(row));
    if (labels != NULL && labels[0] != '\0') {
        text_put(lines, "{");
        text_put(lines, labels);
        text_put(lines, "}");
    }
    text_put(lines, " ");
    text_put(lines, value);
    text_put(lines, "\n");
    sample->len = lines->len - sample->at;

    struct chain *chain = &metrics->chains[row - metrics_rows];
    if (chain->first == 0) {
        chain->first = metrics->samples_len;
    } else {
        metrics->samples[chain->last - 1].next = metrics->samples_len;
    }
    chain->last = metrics->samples_len;
}

static void
put_number(struct metrics *metrics, const struct metrics_row *row, const char *labels,
           uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    put_sample(metrics, row, labels, text);
}

/* -- values ------------------------------------------------------------------------------------ */

/** Digits with at most one point and one sign: what a page may have as a value. */
static bool
is_number(const char *value)
{
    const char *at = value + (*value == '-');
    size_t digits = strspn(at, "0123456789");
    at += digits;
    if (*at == '.') {
        size_t behind = strspn(at + 1, "0123456789");
        digits = behind > 0 ? digits : 0;
        at += 1 + behind;
    }
    return digits > 0 && *at == '\0' && strlen(value) <= VALUE_LEN_MAX;
}

/** name="value", with the value's bytes escaped.  Source: the text format, "Comments, help text,
 * and type information". */
static void
write_label(char *buf, size_t cap, const char *name, const char *value, size_t value_len)
{
    int n = snprintf(buf, cap, "%s=\"", name);
    assert(n > 0 && (size_t)n < cap);
    size_t len = (size_t)n;
    for (size_t i = 0; i < value_len && len + 4 < cap; i++) {
        char byte = value[i];
        if (byte == '\\' || byte == '"' || byte == '\n') {
            buf[len++] = '\\';
            byte = byte == '\n' ? 'n' : byte;
        }
        buf[len++] = byte;
    }
    buf[len++] = '"';
    buf[len] = '\0';
}

static void
put_text(struct metrics *metrics, const struct metrics_row *row, const char *value)
{
    char labels[LABELS_CAP];
    if (row->labels == NULL) {
        put_sample(metrics, row, NULL, "1");
    } else if (strcmp(value, "-") != 0) {
        write_label(labels, sizeof(labels), row->labels, value, strlen(value));
        put_sample(metrics, row, labels, "1");
    }
}

static void
put_state(struct metrics *metrics, const struct metrics_row *row, const char *value)
{
    char label[LABELS_CAP];
    const char *at = row->labels;
    while (*at != '\0') {
        size_t len = strcspn(at, " ");
        write_label(label, sizeof(label), "state", at, len);
        put_number(metrics, row, label, strlen(value) == len && strncmp(value, at, len) == 0);
        at += len + strspn(at + len, " ");
    }
}

/** The number behind the last '-' or ':' of a text that ends with digits; 0 without any. */
static uint64_t
last_number(const char *begin, const char *end)
{
    const char *at = end;
    while (at > begin && isdigit((unsigned char)at[-1])) {
        at--;
    }
    return strtoull(at, NULL, 10); /* digits, then what is no digit or the end */
}

/** UUID:1-5:7-9:TAG:1-3 becomes 9 of that server, and 3 of it and that tag; FILE:1234 the offset.
 */
static void
put_servers(struct metrics *metrics, const struct metrics_row *row, const char *begin,
            const char *end)
{
    char label[LABELS_CAP];
    const char *colon = memchr(begin, ':', (size_t)(end - begin));
    assert(colon != NULL);
    bool is_file = colon - begin != UUID_TEXT_LEN;
    write_label(label, sizeof(label), is_file ? "file" : "server", begin, (size_t)(colon - begin));
    size_t server_len = strlen(label);
    while (colon != NULL) {
        const char *part = colon + 1;
        colon = memchr(part, ':', (size_t)(end - part));
        const char *part_end = colon != NULL ? colon : end;
        bool next_is_number = colon != NULL && isdigit((unsigned char)colon[1]);
        if (!isdigit((unsigned char)*part)) {
            label[server_len] = ',';
            write_label(label + server_len + 1, sizeof(label) - server_len - 1, "tag", part,
                        (size_t)(part_end - part));
        } else if (!next_is_number) { /* the last interval, which is the highest */
            put_number(metrics, row, label, last_number(part, part_end));
        }
    }
}

/**
 * A position by its parts, each with its highest number: a label with the number in it would be
 * another time series with each transaction.  0-1-42 becomes 42 of domain 0.
 */
static void
put_position(struct metrics *metrics, const struct metrics_row *row, const char *value)
{
    char label[LABELS_CAP];
    const char *at = value;
    for (unsigned i = 0; i < POSITION_LEN_MAX && *at != '\0'; i++) {
        size_t len = strcspn(at, ",");
        if (memchr(at, ':', len) != NULL) {
            put_servers(metrics, row, at, at + len);
        } else if (len > 0 && strspn(at, "-0123456789") >= len) {
            write_label(label, sizeof(label), "domain", at, strcspn(at, "-"));
            put_number(metrics, row, label, last_number(at, at + len));
        }
        at += len + (at[len] == ',');
    }
}

/** hook_rule_3_line_12_keys */
static void
put_rule(struct metrics *metrics, const struct metrics_row *row, const char *name,
         const char *value)
{
    unsigned rule;
    unsigned line;
    int end = 0;
    char labels[64];
    if (sscanf(name + strlen(row->stat), "%9u_line_%9u_keys%n", &rule, &line, &end) == 2 &&
        end > 0 && name[strlen(row->stat) + (size_t)end] == '\0' && is_number(value)) {
        snprintf(labels, sizeof(labels), "rule=\"%u\",line=\"%u\"", rule, line);
        put_sample(metrics, row, labels, value);
    }
}

/** Stores of a class or of all are told when all of it is known: see put_sets(). */
static void
note_sets(struct metrics *metrics, const char *stat, unsigned class, uint64_t value)
{
    struct sets *sets = &metrics->sets[class];
    if (strcmp(stat, "cmd_set") == 0) {
        sets->known = true;
        sets->sets = value;
    } else if (strncmp(stat, "cas_", 4) == 0) {
        sets->cas += value;
    }
}

static void
write_labels(char *buf, size_t cap, unsigned class, const char *labels)
{
    if (class == 0) {
        snprintf(buf, cap, "%s", labels != NULL ? labels : "");
    } else {
        snprintf(buf, cap, "slab=\"%u\"%s%s", class, labels != NULL ? "," : "",
                 labels != NULL ? labels : "");
    }
}

static void
put_value(struct metrics *metrics, const struct metrics_row *row, unsigned class, const char *name,
          const char *value)
{
    char labels[LABELS_CAP];
    switch (row->form) {
    case METRICS_NUMBER:
        if (is_number(value)) {
            write_labels(labels, sizeof(labels), class, row->labels);
            put_sample(metrics, row, labels, value);
        }
        break;
    case METRICS_SWITCH:
        put_number(metrics, row, row->labels, strcmp(value, "yes") == 0);
        break;
    case METRICS_TEXT:
        put_text(metrics, row, value);
        break;
    case METRICS_SET:
        break; /* put_sets() */
    case METRICS_STATE:
        put_state(metrics, row, value);
        break;
    case METRICS_POSITION:
        put_position(metrics, row, value);
        break;
    case METRICS_RULE:
        put_rule(metrics, row, name, value);
        break;
    }
}

static bool
is_of(const struct metrics_row *row, enum metrics_group group, const char *stat)
{
    if (row->group != group) {
        return false;
    }
    return row->form == METRICS_RULE ? strncmp(stat, row->stat, strlen(row->stat)) == 0
                                     : strcmp(stat, row->stat) == 0;
}

void
metrics_take(struct metrics *metrics, enum metrics_group group, const char *name, const char *value)
{
    unsigned long class = 0;
    const char *stat = name;
    if (group == METRICS_ITEMS && strncmp(stat, "items:", 6) == 0) {
        stat += 6;
    }
    if ((group == METRICS_ITEMS || group == METRICS_SLABS) && isdigit((unsigned char)*stat)) {
        char *end;
        class = strtoul(stat, &end, 10);
        if (*end != ':' || class == 0 || class > CACHE_CLASSES_MAX) {
            return;
        }
        stat = end + 1;
    }
    if ((group == METRICS_GENERAL || group == METRICS_SLABS) && is_number(value)) {
        note_sets(metrics, stat, (unsigned)class, strtoull(value, NULL, 10));
    }
    for (unsigned i = 0; i < metrics_rows_count; i++) {
        if (is_of(&metrics_rows[i], group, stat)) {
            put_value(metrics, &metrics_rows[i], (unsigned)class, stat, value);
        }
    }
}

/* -- the page ---------------------------------------------------------------------------------- */

/** Source: memcached counts a cas with cmd_set too; the exporter takes it off. */
static void
put_sets(struct metrics *metrics)
{
    char labels[LABELS_CAP];
    for (unsigned i = 0; i < metrics_rows_count; i++) {
        const struct metrics_row *row = &metrics_rows[i];
        if (row->form != METRICS_SET) {
            continue;
        }
        unsigned from = row->group == METRICS_GENERAL ? 0 : 1;
        unsigned to = row->group == METRICS_GENERAL ? 0 : CACHE_CLASSES_MAX;
        for (unsigned class = from; class <= to; class ++) {
            const struct sets *sets = &metrics->sets[class];
            if (sets->known) {
                write_labels(labels, sizeof(labels), class, row->labels);
                put_number(metrics, row, labels,
                           sets->sets > sets->cas ? sets->sets - sets->cas : 0);
            }
        }
    }
}

static void
write_head(struct text *page, const struct metrics_row *row)
{
    text_put(page, "# HELP ");
    text_put(page, row->metric);
    text_put(page, " ");
    text_put(page, row->help);
    text_put(page, "\n# TYPE ");
    text_put(page, row->metric);
    text_put(page, row->type == METRICS_COUNTER ? " counter\n" : " gauge\n");
}

static void
write_page(struct text *page, const struct metrics *metrics)
{
    const struct metrics_row *head = NULL;
    for (unsigned i = 0; i < metrics_rows_count && !page->failed; i++) {
        head = metrics_rows[i].metric != NULL ? &metrics_rows[i] : head;
        for (size_t at = metrics->chains[i].first; at != 0; at = metrics->samples[at - 1].next) {
            const struct sample *sample = &metrics->samples[at - 1];
            if (head != NULL) {
                write_head(page, head); /* before the first sample of any of its rows */
                head = NULL;
            }
            text_add(page, metrics->lines.bytes + sample->at, sample->len);
        }
    }
}

char *
metrics_finish(struct metrics **metrics, size_t *len)
{
    struct metrics *done = *metrics;
    struct text page = { .failed = false };
    *metrics = NULL;
    put_sets(done);
    page.failed = done->lines.failed;
    write_page(&page, done);
    metrics_destroy(done);
    if (page.failed) {
        free(page.bytes);
        return NULL;
    }
    *len = page.len;
    return page.bytes != NULL ? page.bytes : calloc(1, 1);
}

struct taker {
    struct metrics *metrics;
    enum metrics_group group;
};

/** stat_emit_fn */
static void
take(void *arg, const char *name, const char *value)
{
    const struct taker *taker = arg;
    metrics_take(taker->metrics, taker->group, name, value);
}

char *
metrics_page(struct server_stats *stats, size_t *len)
{
    static void (*const groups[])(struct server_stats *, stat_emit_fn *, void *) = {
        [METRICS_GENERAL] = stats_general, [METRICS_SETTINGS] = stats_settings,
        [METRICS_ITEMS] = stats_items,     [METRICS_SLABS] = stats_slabs,
        [METRICS_LARDER] = stats_larder,
    };
    struct metrics *metrics = metrics_create();
    if (metrics == NULL) {
        return NULL;
    }
    struct taker taker = { .metrics = metrics };
    for (unsigned i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        taker.group = (enum metrics_group)i;
        groups[i](stats, take, &taker);
    }
    if (stats->follower != NULL) {
        taker.group = METRICS_HOOK;
        stats->follower->stats(stats->follower->arg, take, &taker);
    }
    return metrics_finish(&metrics, len);
}
