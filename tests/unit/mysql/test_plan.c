#include "config.h"

#include "mysql/plan.h"

#include "unit/mysql/made.h"

#define VALUE_CAP 64u
#define OPS_CAP   1024u

#ifdef HAVE_HOOK
static const bool has_hook = true;
#else
static const bool has_hook = false;
#endif

static struct rules *rules;
static struct plan *plan;
static struct plan_scratch *scratch;
static struct plan_problems problems;
static struct column columns[MADE_COLUMNS];
static char ops[OPS_CAP]; /* what the sink got, as text */

static void
open_all(void)
{
    scratch = plan_scratch_create(VALUE_CAP);
    ck_assert_ptr_nonnull(scratch);
}

static void
close_all(void)
{
    plan_destroy(plan);
    plan = NULL;
    rules_destroy(rules);
    rules = NULL;
    plan_scratch_destroy(scratch);
    guard_free_all();
}

/** Columns a, b, c, ...; `names` has a letter for each, or '-' for one without a name. */
static void
name_columns(const char *names)
{
    memset(columns, 0, sizeof(columns));
    for (size_t i = 0; names[i] != 0; i++) {
        columns[i].type = COLUMN_LONGLONG;
        columns[i].width = 8;
        if (names[i] != '-') {
            columns[i].name = (struct bytes){ (const uint8_t *)names + i, 1 };
        }
    }
}

/** Binds blocks of rules to d.t with columns of these names. */
static void
bind(const char *tables, const char *names)
{
    char text[4096];
    char error[RULES_ERROR_MAX];
    snprintf(text, sizeof(text),
             "source = { hosts = ( \"localhost\" ); user = \"u\"; }; tables = ( %s );", tables);
    ck_assert_msg(rules_parse("f", made_bytes(text), &rules, error, sizeof(error)), "%s", error);
    name_columns(names);
    ck_assert_int_eq(plan_bind(rules, made_bytes("d"), made_bytes("t"), columns, strlen(names),
                               &plan, &problems),
                     PLAN_BOUND);
}

static void
note(void *arg, const struct plan_op *op)
{
    static const char *const names[] = {
        [PLAN_DELETE] = "delete", [PLAN_STALE] = "stale", [PLAN_SET] = "set", [PLAN_WIDEN] = "widen"
    };
    size_t len = strlen(ops);
    ck_assert_ptr_eq(arg, ops);
    len += (size_t)snprintf(ops + len, OPS_CAP - len, "%s%s%s %.*s", len > 0 ? ", " : "",
                            op->is_downgraded ? "downgraded " : "", names[op->kind],
                            (int)op->key.len, (const char *)op->key.at);
    if (op->kind == PLAN_SET) {
        len += (size_t)snprintf(ops + len, OPS_CAP - len, "=%.*s%s", (int)op->value.len,
                                (const char *)op->value.at, op->if_exists ? " if_exists" : "");
    }
    if (op->ttl_s > 0) {
        snprintf(ops + len, OPS_CAP - len, " ttl %u", op->ttl_s);
    }
    ck_assert((op->kind == PLAN_WIDEN || op->is_downgraded) == (op->reason != NULL));
}

/** Runs a change of images over all columns, as a walk would fill their slots. */
static const char *
run(const char *before_text, const char *after_text)
{
    static struct value all[MADE_COLUMNS];
    static struct value before[MADE_COLUMNS], after[MADE_COLUMNS];
    const char *texts[] = { before_text, after_text };
    struct value *images[] = { before, after };
    for (unsigned i = 0; i < 2; i++) {
        if (make_image(texts[i], all) == NULL) {
            images[i] = NULL;
            continue;
        }
        for (size_t k = 0; k < MADE_COLUMNS; k++) {
            if (plan_needs_column(plan, k)) {
                images[i][plan_slots(plan)[k]] = all[k];
            }
        }
    }
    ops[0] = 0;
    plan_run(plan,
             before_text == NULL  ? EVENT_ROWS_WRITE
             : after_text == NULL ? EVENT_ROWS_DELETE
                                  : EVENT_ROWS_UPDATE,
             images[0], images[1], scratch, note, ops);
    return ops;
}

#define ON(events, action) "{ on = \"" events "\"; " action " }"
#define TABLE(list)        "{ name = \"d.t\"; rules = ( " list " ); }"
#define WHERE(condition, list) \
    "{ name = \"d.t\"; where = \"" condition "\"; rules = ( " list " ); }"
#define SET(events, value) ON(events, "set = \"k:{a}\"; value = \"" value "\";")

static const struct {
    const char *tables;
    const char *before;
    const char *after;
    const char *ops;
} cases[] = {
    /* delete: both images, once each */
    { TABLE(ON("any", "delete = \"k:{a}\";")), NULL, "1", "delete k:1" },
    { TABLE(ON("any", "delete = \"k:{a}\";")), "1", NULL, "delete k:1" },
    { TABLE(ON("any", "delete = \"k:{a}\";")), "1", "1", "delete k:1" },
    { TABLE(ON("any", "delete = \"k:{a}\";")), "1", "2", "delete k:2, delete k:1" },
    { TABLE(ON("any", "delete = \"k:{a|lower}\";")), "'X'", "'x'", "delete k:x" },
    { TABLE(ON("any", "delete = \"k:{old.a}\";")), "1", "2", "delete k:1" },
    { TABLE(ON("any", "delete = \"k:{old.a}\";")), NULL, "2", "" },
    { TABLE(ON("any", "delete = \"k:{new.a}\";")), "1", "2", "delete k:2" },
    { TABLE(ON("any", "delete = \"k:{new.a}\";")), "1", NULL, "" },
    { TABLE(ON("any", "delete = \"k:{a}:{old.b}\";")), "1|3", "2|4", "delete k:2:3, delete k:1:3" },
    { TABLE(ON("any", "delete = \"{@db}/{@table}/{a}\";")), NULL, "1", "delete d/t/1" },
    { TABLE(ON("any", "stale = \"k:{a}\"; ttl = 30;")), "1", "2",
      "stale k:2 ttl 30, stale k:1 ttl 30" },
    { TABLE(ON("any", "stale = \"k:{a}\";")), NULL, "2", "stale k:2" },
    /* on */
    { TABLE(ON("insert", "delete = \"k:{a}\";")), NULL, "1", "delete k:1" },
    { TABLE(ON("insert", "delete = \"k:{a}\";")), "1", NULL, "" },
    { TABLE(ON("insert,delete", "delete = \"k:{a}\";")), "1", "2", "" },
    { TABLE(ON("delete", "delete = \"k:{a}\";")), "1", NULL, "delete k:1" },
    { TABLE(ON("update(b)", "delete = \"k:{a}\";")), "1|1", "1|2", "delete k:1" },
    { TABLE(ON("update(b)", "delete = \"k:{a}\";")), "1|1", "2|1", "" },
    { TABLE(ON("update(b,c)", "delete = \"k:{a}\";")), "1|1|1", "1|1|2", "delete k:1" },
    { TABLE(ON("update(b)", "delete = \"k:{a}\";")), "1|1", "1|-", "" },           /* MINIMAL */
    { TABLE(ON("update(b)", "delete = \"k:{a}\";")), "1|-", "1|1", "delete k:1" }, /* changed? */
    { TABLE(ON("update(b)", "delete = \"k:{a}\";")), "1|!", "1|!", "delete k:1" },
    { TABLE(ON("update(b)", "delete = \"k:{a}\";")), "1|'x'", "1|'x'", "" },
    { TABLE(ON("update(b)", "delete = \"k:{a}\";")), "1|'x'", "1|'X'", "delete k:1" },
    { TABLE(ON("update(b)", "delete = \"k:{a}\";")), "1|NULL", "1|NULL", "" },
    { TABLE(ON("update(b)", "delete = \"k:{a}\";")), "1|NULL", "1|0", "delete k:1" },
    { TABLE(ON("update(b)", "delete = \"k:{a}\";")), "1|n1.50", "1|n1.50", "" },
    { TABLE(ON("update(b)", "delete = \"k:{a}\";")), "1|n1.50", "1|n1.51", "delete k:1" },
    { TABLE(ON("update(b)", "delete = \"k:{a}\";")), "1|d0.5", "1|d0.5", "" },
    { TABLE(ON("update(b)", "delete = \"k:{a}\";")), "1|t2024-01-01 00:00:00",
      "1|t2024-01-01 00:00:01", "delete k:1" },
    { TABLE(ON("update(z)", "delete = \"k:{a}\";")), "1", "1", "delete k:1" },
    /* keys that are none, and keys that cannot be told */
    { TABLE(ON("any", "delete = \"k:{a}\";")), "NULL", "2", "delete k:2" },
    { TABLE(ON("any", "delete = \"k:{a}\";")), "NULL", "NULL", "" },
    { TABLE(ON("any", "delete = \"k:{b}\";")), "1|1", "1|-", "delete k:1" },
    { TABLE(ON("any", "delete = \"k:{b}\";")), "1|-", "1|2", "delete k:2, widen k:" },
    { TABLE(ON("any", "delete = \"k:{b}\";")), "1|-", "1|-", "widen k:" },
    { TABLE(ON("any", "delete = \"k:{@db}:{b}\";")), "1|!", "1|!", "widen k:d:" },
    { TABLE(ON("any", "delete = \"{b}\";")), NULL, "1|!", "widen " },
    { TABLE(ON("any", "delete = \"k:{z}\";")), NULL, "1", "widen k:" },
    { TABLE(ON("any", "delete = \"{a}\";")), NULL, "''", "" },
    { TABLE(ON("any", "delete = \"k:{a}\";")), NULL, "'x y'", "delete k:x y" }, /* base64, binary */
    /* where */
    { WHERE("b = 1", ON("any", "delete = \"k:{a}\";")), NULL, "1|1", "delete k:1" },
    { WHERE("b = 1", ON("any", "delete = \"k:{a}\";")), NULL, "1|2", "" },
    { WHERE("b = 1", ON("any", "delete = \"k:{a}\";")), NULL, "1|-", "delete k:1" },
    { WHERE("b = 1", ON("any", "delete = \"k:{a}\";")), "1|1", "1|2", "delete k:1" },
    { WHERE("b = 1", ON("any", "delete = \"k:{a}\";")), "1|2", "1|1", "delete k:1" },
    { WHERE("b = 1", ON("any", "delete = \"k:{a}\";")), "1|1", "2|2", "delete k:2, delete k:1" },
    { WHERE("b = 1", ON("any", "delete = \"k:{a}\";")), "1|2", "2|2", "" },
    { WHERE("z = 1", ON("any", "delete = \"k:{a}\";")), NULL, "1", "delete k:1" },
    /* set */
    { TABLE(SET("any", "{b}")), NULL, "1|'x y'", "set k:1=x y" },
    { TABLE(SET("any", "{b}")), "1|1", "1|2", "set k:1=2" },
    { TABLE(SET("any", "{b}")), "1|1", "2|1", "delete k:1, set k:2=1" },
    { TABLE(SET("any", "{b}")), "1|1", NULL, "delete k:1" },
    { TABLE(SET("any", "{b}")), "NULL|1", "2|1", "set k:2=1" },
    { TABLE(SET("any", "{b}")), "1|1", "NULL|1", "delete k:1" },
    { TABLE(SET("insert", "{b}")), "1|1", "1|2",
      "delete k:1" }, /* what is stored no longer holds */
    { TABLE(SET("insert,update", "{b}")), "1|1", NULL, "delete k:1" },
    { TABLE(SET("update(b)", "{b}")), "1|1|1", "1|1|2", "" },
    { TABLE(SET("update(b)", "{b}")), "1|1", "2|1", "delete k:2, delete k:1" },
    { TABLE(SET("update(b)", "{b}")), "1|1", "1|2", "set k:1=2" },
    { TABLE(SET("any", "{b}")), NULL, "1|NULL", "downgraded delete k:1" },
    { TABLE(SET("any", "{b|null:none}")), NULL, "1|NULL", "set k:1=none" },
    { TABLE(SET("any", "{b}")), NULL, "1|-", "downgraded delete k:1" },
    { TABLE(SET("any", "{b}")), "1|1", "1|-", "set k:1=1" },
    { TABLE(SET("any", "{b}")), "1|-", "1|-", "downgraded delete k:1" },
    { TABLE(SET("any", "{b}")), NULL, "1|!", "downgraded delete k:1" },
    { TABLE(SET("any", "{z}")), NULL, "1", "downgraded delete k:1" },
    { TABLE(SET("any", "{b}")), NULL, "'x y'|1", "downgraded delete k:x y" },
    { TABLE(SET("any", "{b}")), NULL, "!|1", "widen k:" },
    { TABLE(SET("any", "{b}")), NULL,
      "1|'0123456789012345678901234567890123456789012345678901234567890123'",
      "set k:1=0123456789012345678901234567890123456789012345678901234567890123" },
    { TABLE(SET("any", "{b}")), NULL,
      "1|'01234567890123456789012345678901234567890123456789012345678901234'",
      "downgraded delete k:1" },
    { TABLE(SET("any", "json(b,A)")), NULL, "1|'x\"'", "set k:1={\"b\":\"x\\\"\",\"A\":1}" },
    { TABLE(SET("any", "json(*)")), NULL, "1|NULL|d0.5", "set k:1={\"a\":1,\"b\":null,\"c\":0.5}" },
    { TABLE(SET("any", "json(a,z)")), NULL, "1", "downgraded delete k:1" },
    { TABLE(SET("any", "json(b)")), NULL,
      "1|'0123456789012345678901234567890123456789012345678901234567890123'",
      "downgraded delete k:1" },
    { TABLE(ON("any", "set = \"k:{new.a}\"; value = \"{b}\"; ttl = 9; if_exists = true;")), "1|1",
      "2|1", "delete k:1, set k:2=1 if_exists ttl 9" },
    /* set with where */
    { WHERE("b = 1", SET("any", "{a}")), NULL, "1|1", "set k:1=1" },
    { WHERE("b = 1", SET("any", "{a}")), NULL, "1|2", "" },
    { WHERE("b = 1", SET("any", "{a}")), NULL, "1|-", "downgraded delete k:1" },
    { WHERE("b = 1", SET("any", "{a}")), "1|1", "1|2", "delete k:1" },
    { WHERE("b = 1", SET("any", "{a}")), "1|2", "1|1", "set k:1=1" },
    { WHERE("b = 1", SET("any", "{a}")), "1|1", NULL, "delete k:1" },
    { WHERE("b = 1", SET("any", "{a}")), "1|2", NULL, "" },
    { WHERE("b = 1", SET("update(c)", "{c}")), "1|1|1", "1|2|1", "delete k:1" },
    /* several rules, several blocks, in the file's order */
    { TABLE(ON("any", "delete = \"x:{a}\";") "," ON("any", "delete = \"y:{b}\";")), NULL, "1|2",
      "delete x:1, delete y:2" },
    { WHERE("a = 2", ON("any", "delete = \"x:{a}\";")) "," TABLE(ON("any", "delete = \"y:{b}\";")),
      NULL, "1|2", "delete y:2" },
    { TABLE(ON("any", "delete = \"x:{a}\";")) ", { match = \".\"; table = \"t|u\"; rules = (" ON(
          "any", "delete = \"y:{a}\";") "); }",
      NULL, "1", "delete x:1, delete y:1" },
};

START_TEST(a_change_becomes_operations)
{
    bind(cases[_i].tables, "abc");
    run(cases[_i].before, cases[_i].after);
    ck_assert_msg(strcmp(ops, cases[_i].ops) == 0, "%s\n%s -> %s\n%s", cases[_i].tables,
                  cases[_i].before, cases[_i].after, ops);
}
END_TEST

START_TEST(only_needed_columns_have_slots)
{
    bind(WHERE("C = 1", ON("update(e)", "delete = \"k:{B}:{b}\";")), "abcde");
    ck_assert_uint_eq(plan_slot_count(plan), 3);
    ck_assert_uint_eq(plan_slots(plan)[0], ROW_SKIP);
    ck_assert_uint_eq(plan_slots(plan)[3], ROW_SKIP);
    ck_assert(!plan_needs_column(plan, 0) && !plan_needs_column(plan, 3));
    ck_assert(plan_needs_column(plan, 1) && plan_needs_column(plan, 2) &&
              plan_needs_column(plan, 4));
    ck_assert(!plan_needs_column(plan, 5));
    ck_assert_uint_eq(problems.count, 0);
}
END_TEST

START_TEST(what_is_missing_is_said)
{
    bind(WHERE("x = 1", ON("update(y)", "delete = \"k:{z}\";") "," SET("any", "json(a,v)")), "ab");
    ck_assert_uint_eq(problems.count, 4);
    ck_assert_str_eq(problems.at[0].text,
                     "line 1: no column 'x' is known of d.t, which where needs: "
                     "each row counts as one that may be meant");
    ck_assert_ptr_nonnull(
        strstr(problems.at[1].text, "no column 'z' is known of d.t, which a key needs: all keys"));
    ck_assert_ptr_nonnull(
        strstr(problems.at[2].text, "no column 'y' is known of d.t, which update(...) needs"));
    ck_assert_ptr_nonnull(
        strstr(problems.at[3].text, "no column 'v' is known of d.t, which the value needs"));
    ck_assert_ptr_eq(problems.at[3].rule, &rules->tables[0].rules[1]);
}
END_TEST

START_TEST(columns_without_names_are_not_known)
{
    bind(TABLE(SET("any", "json(*)")), "a-");
    ck_assert_uint_eq(problems.count, 1);
    ck_assert_str_eq(run(NULL, "1|2"), "downgraded delete k:1");
}
END_TEST

START_TEST(invisible_columns_are_not_all)
{
    bind(TABLE(SET("any", "json(*)")), "ab");
    plan_destroy(plan);
    columns[0].is_invisible = true;
    ck_assert_int_eq(plan_bind(rules, made_bytes("d"), made_bytes("t"), columns, 2, &plan, NULL),
                     PLAN_BOUND);
    ck_assert_str_eq(run(NULL, "1|2"), "set k:1={\"b\":2}");
}
END_TEST

START_TEST(a_plan_keeps_nothing_of_its_columns)
{
    bind(TABLE(SET("any", "json(*)")), "ab");
    memset(columns, 0xee, sizeof(columns));
    ck_assert_str_eq(run(NULL, "1|2"), "set k:1={\"a\":1,\"b\":2}");
}
END_TEST

START_TEST(a_table_without_rules_has_no_plan)
{
    struct plan *none;
    bind(TABLE(ON("any", "delete = \"k:{a}\";")), "a");
    ck_assert_int_eq(plan_bind(rules, made_bytes("d"), made_bytes("x"), columns, 1, &none, NULL),
                     PLAN_NO_RULES);
    ck_assert_uint_eq(plan_prefixes(plan)->count, 1);
    ck_assert_mem_eq(plan_prefixes(plan)->at[0].text, "k:", 2);
}
END_TEST

START_TEST(rows_and_keys_are_counted)
{
    static char longest[TEMPLATE_KEY_MAX + 16];
    bind(WHERE("b = 1", ON("any", "delete = \"k:{a}\";") "," ON(
                            "insert", "set = \"s:{c}\"; value = \"{c}\";")),
         "abc");
    const struct plan_counts *counts = plan_scratch_counts(scratch);
    run(NULL, "1|2|3"); /* not meant */
    ck_assert_uint_eq(counts->rows, 1);
    ck_assert_uint_eq(counts->rows_matched, 0);
    run(NULL, "NULL|1|1");
    ck_assert_uint_eq(counts->rows_matched, 1);
    ck_assert_uint_eq(counts->keys_null, 1);
    run(NULL, "!|1|'a b'");
    ck_assert_uint_eq(counts->widened, 1);
    ck_assert_uint_eq(counts->sets_downgraded, 1);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[0] = '\'';
    memcpy(longest + TEMPLATE_KEY_MAX - 1, "'|1|1", 6); /* 248 bytes and "k:" */
    run(NULL, longest);
    ck_assert_uint_eq(counts->keys_invalid, 0);
    memcpy(longest + TEMPLATE_KEY_MAX, "'|1|1", 6);
    longest[TEMPLATE_KEY_MAX - 1] = 'x';
    run(NULL, longest);
    ck_assert_uint_eq(counts->keys_invalid, 1);
    ck_assert_uint_eq(counts->rows, 5);
}
END_TEST

int
main(void)
{
    if (!has_hook) {
        puts("built without the MySQL hook");
        return 77;
    }
    TCase *tcase = tcase_create("plan");
    tcase_add_checked_fixture(tcase, open_all, close_all);
    tcase_add_loop_test(tcase, a_change_becomes_operations, 0, COUNT(cases));
    tcase_add_test(tcase, only_needed_columns_have_slots);
    tcase_add_test(tcase, what_is_missing_is_said);
    tcase_add_test(tcase, columns_without_names_are_not_known);
    tcase_add_test(tcase, invisible_columns_are_not_all);
    tcase_add_test(tcase, a_plan_keeps_nothing_of_its_columns);
    tcase_add_test(tcase, a_table_without_rules_has_no_plan);
    tcase_add_test(tcase, rows_and_keys_are_counted);
    Suite *suite = suite_create("mysql/plan");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
