/* Shared by metrics.c and metrics_names.c: which statistic becomes which metric. */
#ifndef LARDER_ADMIN_METRICS_PRIV_H
#define LARDER_ADMIN_METRICS_PRIV_H

#include "admin/metrics.h"

#define METRICS_ROWS_MAX 192u

enum metrics_form {
    METRICS_NUMBER,   /* as it is */
    METRICS_SWITCH,   /* yes and no as 1 and 0 */
    METRICS_TEXT,     /* 1, with the text in the label that `labels` names */
    METRICS_SET,      /* a sum of metrics.c: stores less those of cas, which count as cas alone */
    METRICS_STATE,    /* 1 for the state that it is, 0 for each other one of `labels` */
    METRICS_POSITION, /* per domain or per server: the highest number of a GTID */
    METRICS_RULE,     /* per rule; `stat` is what its name begins with */
};

enum metrics_type {
    METRICS_COUNTER,
    METRICS_GAUGE,
};

struct metrics_row {
    enum metrics_group group;
    const char *stat;
    const char *metric; /* NULL: more samples of the metric above */
    enum metrics_type type;
    enum metrics_form form;
    const char *labels; /* such as command="get"; see the forms.  NULL for none */
    const char *help;
};

extern const struct metrics_row metrics_rows[];
extern const unsigned metrics_rows_count; /* up to METRICS_ROWS_MAX */

#endif
