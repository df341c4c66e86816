/*
 * A table's rules, bound to its columns: from a row that changed to operations on keys.
 *
 *     plan_bind()              when a table map is new, or its columns are
 *     row_walk_begin(plan_slots())
 *     row_next(before, after)  plan_slot_count() values each
 *     plan_run()               for each row: calls the sink for each operation
 *
 * What a rule does with a row:
 *
 *     delete, stale   if `on` names the change, and `where` is true, or cannot be told, for one of
 *                     the images: the keys of both images
 *     set             if `on` names the change, and `where` is true for the image after it, and that
 *                     image tells the whole value: stores the key of that image; deletes that of the
 *                     image before, if it is another one.  Everything else that may concern the key
 *                     deletes it: no image after, a change that `on` does not name at all, `where` no
 *                     longer true.  Where only the value cannot be told, or does not fit, the delete
 *                     counts as a downgraded set.
 *     update(a,b)     names an update if a or b differs, or may differ, between the images
 *
 * A key that cannot be told widens to the prefix that all keys of the rule have.  So does a rule
 * with a column that the table does not have (or whose name nobody told): it widens at each row.
 */
#ifndef LARDER_MYSQL_PLAN_H
#define LARDER_MYSQL_PLAN_H

#include "mysql/row.h"
#include "mysql/rules.h"

#define PLAN_PROBLEMS_MAX 16u

/** A rule that cannot do what it says. */
struct plan_problem {
    const struct rule *rule; /* the first of the block, if it is the block's `where` */
    char text[256];          /* names the column, and what happens in place of it */
};

struct plan_problems {
    uint32_t count; /* found; the first PLAN_PROBLEMS_MAX are told */
    struct plan_problem at[PLAN_PROBLEMS_MAX];
};

struct plan;

enum plan_bind_result {
    PLAN_BOUND,    /* with or without problems */
    PLAN_NO_RULES, /* no block matches this table: its rows need not be read */
    PLAN_NO_MEMORY,
};

/**
 * Binds the rules of all blocks that match the table.
 *
 * rules      must outlive the plan
 * columns    borrowed for the call; a column without a name is not known to any rule
 * problems   out; may be NULL
 */
enum plan_bind_result plan_bind(const struct rules *rules, struct bytes database,
                                struct bytes table, const struct column *columns,
                                size_t column_count, struct plan **out,
                                struct plan_problems *problems) __attribute__((warn_unused_result));

void plan_destroy(struct plan *plan);

/** For each column of the table where its value goes, or ROW_SKIP: as row_walk_begin() wants it. */
const uint16_t *plan_slots(const struct plan *plan);

/** Values that an image has room for; at most the table's columns, may be 0. */
uint32_t plan_slot_count(const struct plan *plan);

/** Whether some rule of the plan needs the column, by its number in the table: for DDL. */
bool plan_needs_column(const struct plan *plan, size_t column);

/** Key prefixes of the plan's rules: what a change that has no rows to read voids. */
const struct rules_prefixes *plan_prefixes(const struct plan *plan);

enum plan_op_kind {
    PLAN_DELETE,
    PLAN_STALE,
    PLAN_SET,
    PLAN_WIDEN,
};

/** What is borrowed here stays until the sink returns. */
struct plan_op {
    enum plan_op_kind kind;
    const struct rule *rule;
    struct bytes key;   /* 1 .. TEMPLATE_KEY_MAX bytes; WIDEN: a prefix of keys, len 0 for all */
    struct bytes value; /* SET */
    uint32_t ttl_s;     /* STALE, SET: as in struct rule */
    bool if_exists;     /* SET */
    bool is_downgraded; /* DELETE in place of a SET whose value could not be told */
    const char *reason; /* WIDEN, downgraded: why; static text */
};

typedef void plan_sink(void *arg, const struct plan_op *op);

/** Sums over all rows that went through one scratch. */
struct plan_counts {
    uint64_t rows;
    uint64_t rows_matched; /* led to an operation */
    uint64_t keys_null;    /* skipped: a column was NULL */
    uint64_t keys_invalid; /* skipped: too long, a blank or control byte, empty */
    uint64_t widened;
    uint64_t sets_downgraded;
};

/** Room for rendering, and the counts.  One thread at a time; serves any number of plans. */
struct plan_scratch;

/** value_cap: bytes of the longest value to be stored.  NULL without memory. */
struct plan_scratch *plan_scratch_create(size_t value_cap);
void plan_scratch_destroy(struct plan_scratch *scratch);
const struct plan_counts *plan_scratch_counts(const struct plan_scratch *scratch);

/**
 * Tells the sink what a row's change means for keys.  No allocation, save for a character set or a
 * filter that is needed for the first time.
 *
 * before, after   plan_slot_count() values, in slots; NULL where the change has no such image (an
 *                 insert has no `before`, a delete no `after`)
 */
void plan_run(const struct plan *plan, enum event_rows_op op, const struct value *before,
              const struct value *after, struct plan_scratch *scratch, plan_sink *sink, void *arg);

#endif
