#include "mysql/where.h"

#include "unit/mysql/made.h"

static struct pool pool;
static struct template_scratch scratch;

static void
open_all(void)
{
    pool_init(&pool, 4u << 20);
    template_scratch_init(&scratch);
}

static void
close_all(void)
{
    template_scratch_fini(&scratch);
    pool_fini(&pool);
    guard_free_all();
}

static const struct {
    const char *text;
    const char *error; /* what it must say, at least */
} bad[] = {
    { "", "where ends too early: a column is missing" },
    { "a", "where ends too early: one of = != <> < <= > >= IN, NOT IN, IS NULL" },
    { "a =", "where ends too early: a number or a text" },
    { "a = b", "'b' in where, in place of a number or a text in single quotes" },
    { "1 = a", "'1' in where, in place of a column" },
    { "a = \"x\"", "texts stand in single quotes" },
    { "a = 'x", "a text without its closing quote" },
    { "a = 'x\\n'", "only \\' and \\\\ are taken" },
    { "`a = 1", "'`' without its other one" },
    { "`` = 1", "'' is no name of a column" },
    { "a = 1e5", "'1e' in where is no number" },
    { "a = 0x1F", "'0x' in where is no number" },
    { "a = 1.", "'1.' in where is no number" },
    { "a = 1.2.3", "is no number" },
    { "a = -", "'-' in where is no number" },
    { "a = NULL", "write IS NULL" },
    { "a IN (1, NULL)", "write IS NULL" },
    { "a == 1", "'=' in where, in place of a number" },
    { "a LIKE 'x%'", "'LIKE' in where, in place of one of =" },
    { "a IN 1", "'1' in where, in place of the '(' of IN" },
    { "a IN (1", "where ends too early: the ')' of IN" },
    { "a IN ()", "')' in where, in place of a number" },
    { "a IN (1 2)", "'2' in where, in place of the ')' of IN" },
    { "a IS 1", "'1' in where, in place of NULL or NOT NULL" },
    { "a IS NOT 1", "in place of NULL or NOT NULL" },
    { "a = 1 b = 2", "'b' in where, in place of AND or OR" },
    { "a = 1 AND", "where ends too early: a column" },
    { "AND a = 1", "'AND' in where, in place of a column" },
    { "a = 1 AND OR b = 1", "'OR' in where, in place of a column" },
    { "(a = 1", "'(' without its ')'" },
    { "a = 1)", "')' without its '('" },
    { "()", "')' in where, in place of a column" },
    { "NOT", "where ends too early: a column" },
    { "a = 1; DROP TABLE x", "';' in where is nothing that it knows" },
    { "a = 1 \x01", "'?' in where is nothing that it knows" },
};

START_TEST(what_is_wrong_is_said)
{
    struct where where;
    char error[256] = "";
    ck_assert(!where_compile(made_bytes(bad[_i].text), &pool, &where, error, sizeof(error)));
    ck_assert_msg(strstr(error, bad[_i].error) != NULL, "%s: %s", bad[_i].text, error);
}
END_TEST

static const struct {
    const char *text;
    const char *row; /* columns a, b, c */
    enum where_result result;
} judged[] = {
    { "a = 1", "1", WHERE_YES },
    { "A = 1", "1", WHERE_YES },
    { "`a` = 1", "1", WHERE_YES },
    { "a = 1", "2", WHERE_NO },
    { "a = 1", "-", WHERE_UNKNOWN },
    { "a = 1", "!", WHERE_UNKNOWN },
    { "a = 1", "NULL", WHERE_NO },
    { "NOT a = 1", "NULL", WHERE_NO },
    { "a <> 1", "NULL", WHERE_NO },
    { "z = 1", "1", WHERE_UNKNOWN },
    { "a != 1", "2", WHERE_YES },
    { "a <> 1", "1", WHERE_NO },
    { "a < 1", "0", WHERE_YES },
    { "a < 1", "1", WHERE_NO },
    { "a <= 1", "1", WHERE_YES },
    { "a > -1", "0", WHERE_YES },
    { "a >= +2", "1", WHERE_NO },
    { "a > 1 and a < 3", "2", WHERE_YES },
    { "a = TRUE", "1", WHERE_YES },
    { "a = false", "1", WHERE_NO },
    { "a = '1'", "1", WHERE_YES },
    { "a = 'x'", "1", WHERE_UNKNOWN },
    { "a = -5", "u5", WHERE_NO },
    { "a > 9223372036854775807", "u9223372036854775808", WHERE_YES },
    { "a = 18446744073709551615", "u18446744073709551615", WHERE_YES },
    { "a = 1.0", "1", WHERE_YES },
    { "a < 1.5", "1", WHERE_YES },
    { "a > -1.5", "-1", WHERE_YES },
    { "a = 12.5", "n12.50", WHERE_YES },
    { "a = 012.500", "n12.50", WHERE_YES },
    { "a < 12.51", "n12.50", WHERE_YES },
    { "a > -12.51", "n-12.50", WHERE_YES },
    { "a = -0", "n0.00", WHERE_YES },
    { "a < 100", "n99.99", WHERE_YES },
    { "a = 0.5", "d0.5", WHERE_YES },
    { "a > 0.5", "d0.25", WHERE_NO },
    { "a = 0.5", "f0.5", WHERE_YES },
    { "a = 0.1", "f0.1", WHERE_UNKNOWN },
    { "a < 1", "f0.1", WHERE_YES },
    { "a = 2024", "y2024", WHERE_YES },
    { "a = 24", "y2024", WHERE_UNKNOWN },
    { "a = 'x'", "'x'", WHERE_YES },
    { "a = 'it''s'", "'it's'", WHERE_YES },
    { "a = 'it\\'s \\\\'", "'it's \\'", WHERE_YES },
    { "a = 'draft'", "'sent'", WHERE_NO },
    { "a != 'draft'", "'sent'", WHERE_YES },
    { "a != 'draft'", "'Draft'", WHERE_UNKNOWN },  /* _ci or not? */
    { "a != 'draft'", "'draft '", WHERE_UNKNOWN }, /* PAD or not? */
    { "a = 'draft'",
      "'dr\xc3\xa4"
      "ft'",
      WHERE_UNKNOWN },
    { "a = 'jump'", "'yump'", WHERE_UNKNOWN }, /* Lithuanian */
    { "a = ''", "''", WHERE_YES },
    { "a = ''", "'x'", WHERE_NO },
    { "a < 'x'", "'a'", WHERE_UNKNOWN },
    { "a <= 'x'", "'x'", WHERE_YES },
    { "a = 1", "'1'", WHERE_UNKNOWN },
    { "a = 'x'", "b'x'", WHERE_YES },
    { "a = 'x'", "b'X'", WHERE_NO },
    { "a < 'x'", "b'a'", WHERE_YES },
    { "a = 'draft'", "e1", WHERE_YES },
    { "a = 'draft'", "e2", WHERE_NO },
    { "a = 2", "e2", WHERE_YES },
    { "a >= '2024-12-31'", "t2024-12-31 00:00:00", WHERE_YES },
    { "a < '2024-12-31 00:00:00.5'", "t2024-12-31 00:00:00", WHERE_YES },
    { "a > '2024-12-31 23:59:59'", "t2024-12-31 00:00:00", WHERE_NO },
    { "a > '31.12.2024'", "t2024-12-31 00:00:00", WHERE_UNKNOWN },
    { "a > '2024-13-01'", "t2024-12-31 00:00:00", WHERE_UNKNOWN },
    { "a > 20241231", "t2024-12-31 00:00:00", WHERE_UNKNOWN },
    { "a IN (1, 2, 3)", "3", WHERE_YES },
    { "a IN (1, 2, 3)", "4", WHERE_NO },
    { "a NOT IN (1, 2, 3)", "4", WHERE_YES },
    { "a NOT IN (1, 2, 3)", "NULL", WHERE_NO },
    { "a IN ('x', 'Y')", "'y'", WHERE_UNKNOWN },
    { "a IN ('y', 'Y')", "'y'", WHERE_YES },
    { "a IS NULL", "NULL", WHERE_YES },
    { "a IS NULL", "1", WHERE_NO },
    { "a IS NULL", "!", WHERE_NO },
    { "a IS NULL", "-", WHERE_UNKNOWN },
    { "a IS NOT NULL", "1", WHERE_YES },
    { "a is not null", "NULL", WHERE_NO },
    { "a = 1 OR b = 1", "1|2", WHERE_YES },
    { "a = 1 OR b = 1", "1|-", WHERE_YES },
    { "a = 1 AND b = 1", "2|-", WHERE_NO },
    { "a = 1 AND b = 1", "1|-", WHERE_UNKNOWN },
    { "a = 1 OR b = 1", "NULL|1", WHERE_YES },
    { "NOT (a = 1 OR b = 1)", "NULL|2", WHERE_NO },
    { "NOT (a = 1 AND b = 1)", "NULL|2", WHERE_YES },
    { "NOT a = 1 AND b = 1", "2|1", WHERE_YES },
    { "NOT (a = 1 AND b = 1)", "2|1", WHERE_YES },
    { "a = 1 OR b = 1 AND c = 1", "1|2|2", WHERE_YES },
    { "(a = 1 OR b = 1) AND c = 1", "1|2|2", WHERE_NO },
    { "a = 1 AND b = 1 OR c = 1", "2|2|1", WHERE_YES },
    { "NOT NOT a = 1", "1", WHERE_YES },
    { "NOT a IN (1)", "1", WHERE_NO },
    { "((a=1))", "1", WHERE_YES },
};

static enum where_result
eval(const struct where *where, const char *before_text, const char *after_text, bool from_after)
{
    static struct value before[MADE_COLUMNS], after[MADE_COLUMNS];
    uint16_t slots[WHERE_COLUMNS_MAX];
    for (uint32_t i = 0; i < where->column_count; i++) {
        slots[i] = made_slot(where->columns[i]);
    }
    return where_eval(where, slots, make_image(before_text, before), make_image(after_text, after),
                      from_after, &scratch);
}

START_TEST(a_row_is_judged)
{
    struct where where;
    char error[256];
    ck_assert_msg(where_compile(made_bytes(judged[_i].text), &pool, &where, error, sizeof(error)),
                  "%s: %s", judged[_i].text, error);
    enum where_result result = eval(&where, NULL, judged[_i].row, true);
    ck_assert_msg(result == judged[_i].result, "%s of %s: %d", judged[_i].text, judged[_i].row,
                  (int)result);
    ck_assert_int_eq(eval(&where, judged[_i].row, NULL, false), result);
}
END_TEST

START_TEST(what_a_change_leaves_out_is_as_before)
{
    struct where where;
    char error[256];
    ck_assert(where_compile(made_bytes("b = 1"), &pool, &where, error, sizeof(error)));
    ck_assert_int_eq(eval(&where, "1|1", "2|-", true), WHERE_YES);
    ck_assert_int_eq(eval(&where, "1|2", "2|-", true), WHERE_NO);
    ck_assert_int_eq(eval(&where, "1|-", "2|1", false), WHERE_UNKNOWN);
    ck_assert_int_eq(eval(&where, "1|-", "2|1", true), WHERE_YES);
}
END_TEST

/** Repeats a piece, with something in front and behind. */
static struct bytes
repeat(const char *front, const char *piece, size_t times, const char *back)
{
    size_t len = strlen(front) + strlen(piece) * times + strlen(back);
    char *text = malloc(len + 1);
    size_t at = (size_t)snprintf(text, len + 1, "%s", front);
    for (size_t i = 0; i < times; i++) {
        at += (size_t)snprintf(text + at, len + 1 - at, "%s", piece);
    }
    snprintf(text + at, len + 1 - at, "%s", back);
    struct bytes out = { guard_copy(text, len), len };
    free(text);
    return out;
}

START_TEST(everything_is_bounded)
{
    struct where where;
    char error[256];
    ck_assert(where_compile(repeat("", "NOT ", WHERE_DEPTH_MAX, "a=1"), &pool, &where, error, 256));
    ck_assert(
        !where_compile(repeat("", "NOT ", WHERE_DEPTH_MAX + 1, "a=1"), &pool, &where, error, 256));
    ck_assert_ptr_nonnull(strstr(error, "nested deeper than 32"));
    ck_assert(!where_compile(repeat("", "(", 4000, ""), &pool, &where, error, 256));
    ck_assert_ptr_nonnull(strstr(error, "nested deeper than 32"));
    /* n tests have n - 1 connectives */
    ck_assert(where_compile(repeat("a=1", " OR a=1", WHERE_STEPS_MAX / 2 - 1, ""), &pool, &where,
                            error, 256));
    ck_assert(!where_compile(repeat("a=1", " OR a=1", WHERE_STEPS_MAX / 2, ""), &pool, &where,
                             error, 256));
    ck_assert_ptr_nonnull(strstr(error, "more than 128 tests"));
    ck_assert(where_compile(repeat("a IN (1", ",1", WHERE_LITERALS_MAX - 1, ")"), &pool, &where,
                            error, 256));
    ck_assert(!where_compile(repeat("a IN (1", ",1", WHERE_LITERALS_MAX, ")"), &pool, &where, error,
                             256));
    ck_assert_ptr_nonnull(strstr(error, "more than 256 numbers"));
    ck_assert(
        where_compile(repeat("a = '", "x", WHERE_LEN_MAX - 6, "'"), &pool, &where, error, 256));
    ck_assert(
        !where_compile(repeat("a = '", "x", WHERE_LEN_MAX - 5, "'"), &pool, &where, error, 256));
    ck_assert_ptr_nonnull(strstr(error, "at most 4096"));
    ck_assert(where_compile(repeat("a = ", "1", 80, ""), &pool, &where, error, 256));
    ck_assert(!where_compile(repeat("a = ", "1", 81, ""), &pool, &where, error, 256));
    ck_assert_ptr_nonnull(strstr(error, "is no number"));

    char text[1024];
    size_t len = 0;
    for (unsigned i = 0; i <= WHERE_COLUMNS_MAX; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%sc%u=1", i > 0 ? " OR " : "", i);
        if (i == WHERE_COLUMNS_MAX - 1) {
            ck_assert(where_compile(made_bytes(text), &pool, &where, error, 256));
            ck_assert_uint_eq(where.column_count, WHERE_COLUMNS_MAX);
        }
    }
    ck_assert(!where_compile(made_bytes(text), &pool, &where, error, 256));
    ck_assert_ptr_nonnull(strstr(error, "more than 32 columns"));
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("where");
    tcase_add_checked_fixture(tcase, open_all, close_all);
    tcase_add_loop_test(tcase, what_is_wrong_is_said, 0, COUNT(bad));
    tcase_add_loop_test(tcase, a_row_is_judged, 0, COUNT(judged));
    tcase_add_test(tcase, what_a_change_leaves_out_is_as_before);
    tcase_add_test(tcase, everything_is_bounded);
    Suite *suite = suite_create("mysql/where");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
