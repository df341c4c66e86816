/* How a plan lies in memory: bound by plan.c, run by plan_run.c. */
#ifndef LARDER_MYSQL_PLAN_PRIV_H
#define LARDER_MYSQL_PLAN_PRIV_H

#include "mysql/plan.h"

struct plan_rule {
    const struct rule *rule;
    const uint16_t *key_slots;    /* by part of the template */
    const uint16_t *value_slots;  /* by part, or by member of json(...) and json(*) */
    const struct bytes *names;    /* members of the JSON, escaped */
    uint32_t value_count;         /* of the JSON */
    const uint16_t *update_slots; /* by column of update(...) */
    bool is_per_image;            /* the key has {col} */
    struct bytes prefix;          /* what it widens to */
};

struct plan_block {
    const struct where *where;
    const uint16_t *where_slots;
    struct plan_rule *rules;
    uint32_t rule_count;
};

struct plan {
    struct bytes database;
    struct bytes table;
    uint16_t *slots;
    size_t column_count;
    uint32_t slot_count;
    struct plan_block *blocks;
    uint32_t block_count;
    struct pool pool; /* all of the above */
    struct rules_prefixes prefixes;
};

#endif
