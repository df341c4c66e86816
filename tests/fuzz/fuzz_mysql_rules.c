/*
 * The rules.  The first byte chooses: a whole file, a key, a value, or a filter.  What compiles is
 * then used on rows: nothing that is rendered is longer than it may be, and every key begins with
 * the prefix that stands for it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "mysql/plan.h"

#define COLUMNS 3u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 loses texts that stand in front of a syntax error. */
const char *
__lsan_default_suppressions(void)
{
    return "leak:libconfig\n";
}

static struct column columns[COLUMNS] = {
    { .type = COLUMN_LONGLONG,
      .width = 8,
      .is_signed_known = true,
      .name = { (const uint8_t *)"a", 1 } },
    { .type = COLUMN_VARCHAR, .prefix = 1, .collation = 45, .name = { (const uint8_t *)"b", 1 } },
    { .type = COLUMN_VARCHAR, .prefix = 1, .collation = 45, .name = { (const uint8_t *)"c", 1 } },
};

/* Values of all columns, by kind: there, NULL, not there, unreadable. */
static void
make_row(unsigned kind, struct value *row)
{
    row[0] = (struct value){ .kind = VALUE_INT, .column = &columns[0], .number = (int)kind - 2 };
    row[1] = (struct value){ .kind = VALUE_TEXT,
                             .column = &columns[1],
                             .bytes = { (const uint8_t *)"Te xt\xc3\xa4", 7 } };
    row[2] = (struct value){ .kind = VALUE_TEXT,
                             .column = &columns[2],
                             .bytes = { (const uint8_t *)"", 0 } };
    if (kind % 4 == 1) {
        row[1].kind = VALUE_NULL;
    } else if (kind % 4 == 2) {
        row[2].kind = VALUE_ABSENT;
    } else if (kind % 4 == 3) {
        row[0].kind = VALUE_UNREADABLE;
        row[0].reason = "unreadable";
    }
}

struct check {
    const struct plan *plan;
    unsigned op_count;
};

static void
check_op(void *arg, const struct plan_op *op)
{
    struct check *check = arg;
    const struct rules_prefixes *prefixes = plan_prefixes(check->plan);
    bool is_covered = false;
    check->op_count++;
    assert(op->key.len <= TEMPLATE_KEY_MAX && (op->key.len > 0 || op->kind == PLAN_WIDEN));
    assert((op->kind == PLAN_WIDEN || op->is_downgraded) == (op->reason != NULL));
    for (uint32_t i = 0; i < prefixes->count; i++) {
        is_covered |= prefixes->at[i].len <= op->key.len &&
                      memcmp(prefixes->at[i].text, op->key.at, prefixes->at[i].len) == 0;
    }
    assert(is_covered);
}

static void
run_plan(const struct rules *rules, struct bytes database, struct bytes table,
         struct plan_scratch *scratch)
{
    struct value before[COLUMNS], after[COLUMNS], in_before[COLUMNS], in_after[COLUMNS];
    struct plan *plan;
    struct plan_problems problems;
    if (plan_bind(rules, database, table, columns, COLUMNS, &plan, &problems) != PLAN_BOUND) {
        return;
    }
    struct check check = { .plan = plan };
    for (unsigned kind = 0; kind < 16; kind++) {
        make_row(kind % 4, before);
        make_row(kind / 4, after);
        for (size_t i = 0; i < COLUMNS; i++) {
            if (plan_needs_column(plan, i)) {
                in_before[plan_slots(plan)[i]] = before[i];
                in_after[plan_slots(plan)[i]] = after[i];
            }
        }
        plan_run(plan, EVENT_ROWS_WRITE, NULL, in_after, scratch, check_op, &check);
        plan_run(plan, EVENT_ROWS_DELETE, in_before, NULL, scratch, check_op, &check);
        plan_run(plan, EVENT_ROWS_UPDATE, in_before, in_after, scratch, check_op, &check);
    }
    plan_destroy(plan);
}

static void
fuzz_file(struct bytes text, struct plan_scratch *scratch)
{
    char error[RULES_ERROR_MAX];
    struct rules *rules;
    if (!rules_parse("f", text, &rules, error, sizeof(error))) {
        assert(memcmp(error, "f:", 2) == 0 && strlen(error) < sizeof(error));
        return;
    }
    struct rules_prefixes prefixes;
    rules_list_prefixes(rules, &prefixes);
    assert(prefixes.count > 0);
    for (uint32_t i = 0; i < rules->table_count && i < 4; i++) {
        const struct rules_table *block = &rules->tables[i];
        struct bytes name = { (const uint8_t *)"d", 1 };
        run_plan(rules, block->database.at == NULL ? name : block->database,
                 block->database.at == NULL ? name : block->table, scratch);
    }
    rules_destroy(rules);
}

static void
fuzz_template(struct bytes text, enum template_use use, struct template_scratch *scratch)
{
    char error[RULES_ERROR_MAX];
    char room[2][TEMPLATE_KEY_MAX];
    struct pool pool;
    struct template template;
    uint16_t slots[TEMPLATE_PARTS_MAX];
    struct value before[COLUMNS], after[COLUMNS];
    pool_init(&pool, 1u << 20);
    if (template_compile(text, use, &pool, &template, error, sizeof(error)) &&
        template.form == TEMPLATE_TEXT) {
        struct writer prefix = writer(room[0], TEMPLATE_KEY_MAX);
        template_put_prefix(&template, (struct bytes){ NULL, 0 }, (struct bytes){ NULL, 0 },
                            &prefix);
        for (uint32_t i = 0; i < template.part_count; i++) {
            slots[i] = (uint16_t)(i % (COLUMNS + 1));
            slots[i] = slots[i] == COLUMNS ? TEMPLATE_NO_SLOT : slots[i];
        }
        for (unsigned kind = 0; kind < 32; kind++) {
            const char *reason = NULL;
            struct writer out = writer(room[1], TEMPLATE_KEY_MAX);
            make_row(kind % 4, before);
            make_row(kind / 4 % 4, after);
            struct template_row row = { .slots = slots,
                                        .before = kind % 3 == 0 ? NULL : before,
                                        .after = after,
                                        .from_after = kind >= 16 };
            enum template_result result = template_render(&template, &row, scratch, &out, &reason);
            assert((result == TEMPLATE_WIDEN) == (reason != NULL));
            assert(result != TEMPLATE_DONE ||
                   (out.len >= prefix.len && memcmp(out.at, prefix.at, prefix.len) == 0));
        }
    }
    pool_fini(&pool);
}

static void
fuzz_where(struct bytes text, struct template_scratch *scratch)
{
    char error[RULES_ERROR_MAX];
    struct pool pool;
    struct where where;
    uint16_t slots[WHERE_COLUMNS_MAX];
    struct value row[COLUMNS];
    pool_init(&pool, 1u << 20);
    if (where_compile(text, &pool, &where, error, sizeof(error))) {
        for (uint32_t i = 0; i < where.column_count; i++) {
            slots[i] = (uint16_t)(i % COLUMNS);
        }
        for (unsigned kind = 0; kind < 4; kind++) {
            make_row(kind, row);
            enum where_result result = where_eval(&where, slots, NULL, row, true, scratch);
            assert(result == where_eval(&where, slots, row, NULL, false, scratch));
        }
    }
    pool_fini(&pool);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct plan_scratch *plan_scratch;
    static struct template_scratch *scratch;
    if (scratch == NULL) {
        plan_scratch = plan_scratch_create(256);
        scratch = malloc(sizeof(*scratch));
        assert(plan_scratch != NULL && scratch != NULL);
        template_scratch_init(scratch);
    }
    if (len == 0) {
        return 0;
    }
    struct bytes text = { data + 1, len - 1 };
    switch (data[0]) {
    case 'k':
        fuzz_template(text, TEMPLATE_FOR_KEY, scratch);
        break;
    case 'v':
        fuzz_template(text, TEMPLATE_FOR_VALUE, scratch);
        break;
    case 'w':
        fuzz_where(text, scratch);
        break;
    default:
        fuzz_file(text, plan_scratch);
        break;
    }
    return 0;
}
