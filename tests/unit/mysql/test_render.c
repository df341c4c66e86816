#include "mysql/render.h"

#include "unit/mysql/logs.h"

#define TEXT_MAX 100000u /* bytes of one row's or value's text */

/* Binary values are compared as HEX() shows them. */
static void
text_as_selected(const struct value *value, char *out, size_t cap)
{
    bool is_bytes = value->kind == VALUE_BINARY && value->column->meaning == COLUMN_AS_LOGGED;
    if (!is_bytes && value->kind != VALUE_GEOMETRY) {
        const char *text = text_of(value);
        ck_assert_uint_lt(strlen(text), cap);
        memcpy(out, text, strlen(text) + 1);
        return;
    }
    size_t width = value->column->type == COLUMN_STRING ? value->column->width : value->bytes.len;
    static struct charsets charsets;
    char plain[1024];
    const char *reason;
    struct writer writes = writer(plain, sizeof(plain));
    ck_assert_int_eq(render_text(value, &charsets, &writes, &reason), RENDER_DONE);
    ck_assert_uint_eq(writes.len, width);
    for (size_t i = 0; i < width; i++) {
        snprintf(out + 2 * i, cap - 2 * i, "%02X", (unsigned)(uint8_t)plain[i]);
    }
    out[2 * width] = '\0';
}

/** The next field of a line as the client prints it: the escapes of --batch undone. */
static const char *
take_field(const char *at, char *out)
{
    for (; *at != '\t' && *at != '\n' && *at != '\0'; at++) {
        if (*at == '\\') {
            at++;
            *out++ = *at == 'n' ? '\n' : *at == 't' ? '\t' : *at == '0' ? '\0' : *at;
        } else {
            *out++ = *at;
        }
    }
    *out = '\0';
    return at;
}

static const struct {
    const char *log;
    const char *rows;
    size_t compared; /* columns; those behind are not selected */
} selected[] = {
    { "mariadb/types.bin", "mariadb/types.tsv", 59 },
    { "mysql/types.bin", "mysql/types.tsv", 59 },
    { "mariadb/own_types.bin", "mariadb/own_types.tsv", 5 },
    { "mariadb/old_temporals.bin", "mariadb/old_temporals.tsv", 5 },
    { "mysql/json.bin", "mysql/json.tsv", 3 },
};

/* No log tells which BINARY is what: as the hook will, from INFORMATION_SCHEMA. */
static void
tell_meanings(struct log_walk *walk, const char *log)
{
    if (strcmp(log, "mariadb/own_types.bin") == 0) {
        walk->columns[1].meaning = COLUMN_AS_UUID;
        walk->columns[2].meaning = COLUMN_AS_INET6;
        walk->columns[3].meaning = COLUMN_AS_INET4;
    }
}

START_TEST(values_are_what_select_prints)
{
    static struct value values[LOG_COLUMNS];
    static char got[TEXT_MAX], expected[TEXT_MAX + 1];
    struct bytes rows = read_fixture(selected[_i].rows);
    char *lines = malloc(rows.len + 1);
    memcpy(lines, rows.at, rows.len);
    lines[rows.len] = '\0';
    const char *at = lines;
    size_t row_count = 0;
    struct log_walk walk;
    log_open(&walk, selected[_i].log);
    while (log_next(&walk)) {
        if (walk.event.kind != EVENT_ROWS) {
            continue;
        }
        tell_meanings(&walk, selected[_i].log);
        struct row_walk row;
        ck_assert(row_walk_begin(&row, &walk.event.rows, walk.columns, walk.column_count, NULL));
        enum row_result result;
        while ((result = row_next(&row, NULL, values)) == ROW_NEXT) {
            row_count++;
            for (size_t i = 0; i < selected[_i].compared; i++) {
                at = take_field(at, expected);
                text_as_selected(&values[i], got, sizeof(got));
                ck_assert_msg(strcmp(got, expected) == 0,
                              "row %zu, column %zu: %.200s instead of %.200s", row_count, i + 1,
                              got, expected);
                ck_assert(*at != '\0');
                at++;
            }
        }
        ck_assert_int_eq(result, ROW_END);
    }
    ck_assert_uint_gt(row_count, 0);
    ck_assert_int_eq(*at, '\0');
    free(lines);
}
END_TEST

/* -- values that no server gave us ------------------------------------------------------------ */

static struct value
value_of(struct column *column, const void *bytes, size_t len)
{
    struct value value;
    value_decode(column, (struct bytes){ bytes, len }, &value);
    return value;
}

static const struct {
    struct column column;
    struct bytes bytes;
    const char *text;
    const char *json;
} made[] = {
    /* signs that nobody told */
    { { .type = COLUMN_TINY, .width = 1 }, { (const uint8_t *)"\x7f", 1 }, "127", "127" },
    { { .type = COLUMN_TINY, .width = 1 }, { (const uint8_t *)"\x80", 1 }, "widen", "not done" },
    { { .type = COLUMN_TINY, .width = 1, .is_signed_known = true },
      { (const uint8_t *)"\x80", 1 },
      "-128",
      "-128" },
    { { .type = COLUMN_TINY, .width = 1, .is_signed_known = true, .is_unsigned = true },
      { (const uint8_t *)"\x80", 1 },
      "128",
      "128" },
    /* texts */
    { { .type = COLUMN_VARCHAR, .prefix = 1, .collation = 8 },
      { (const uint8_t *)"\x80\x81\xe4", 3 },
      "€\xc2\x81ä",
      "\"€\xc2\x81ä\"" },
    { { .type = COLUMN_VARCHAR, .prefix = 1 }, { (const uint8_t *)"x", 1 }, "widen", "not done" },
    { { .type = COLUMN_VARCHAR, .prefix = 1, .collation = 1 },
      { (const uint8_t *)"x", 1 },
      "widen",
      "not done" },
    { { .type = COLUMN_VARCHAR, .prefix = 1, .collation = 45 },
      { (const uint8_t *)"a\"\\\n\1", 5 },
      "a\"\\\n\1",
      "\"a\\\"\\\\\\n\\u0001\"" },
    /* bytes */
    { { .type = COLUMN_STRING, .prefix = 1, .width = 3, .collation = 63 },
      { (const uint8_t *)"x", 1 },
      "x",
      "\"eAAA\"" },
    { { .type = COLUMN_VARCHAR, .prefix = 1, .width = 3, .collation = 63 },
      { (const uint8_t *)"x", 1 },
      "x",
      "\"eA==\"" },
    /* ENUM and SET */
    { { .type = COLUMN_ENUM,
        .width = 1,
        .collation = 8,
        .values = { (const uint8_t *)"\1\1a", 3 } },
      { (const uint8_t *)"\1", 1 },
      "a",
      "\"a\"" },
    { { .type = COLUMN_ENUM,
        .width = 1,
        .collation = 8,
        .values = { (const uint8_t *)"\1\1a", 3 } },
      { (const uint8_t *)"\0", 1 },
      "",
      "\"\"" },
    { { .type = COLUMN_ENUM,
        .width = 1,
        .collation = 8,
        .values = { (const uint8_t *)"\1\1a", 3 } },
      { (const uint8_t *)"\2", 1 },
      "widen",
      "not done" },
    { { .type = COLUMN_ENUM, .width = 1 }, { (const uint8_t *)"\1", 1 }, "widen", "not done" },
    { { .type = COLUMN_SET,
        .width = 1,
        .collation = 8,
        .values = { (const uint8_t *)"\2\1a\1b", 5 } },
      { (const uint8_t *)"\3", 1 },
      "a,b",
      "\"a,b\"" },
    { { .type = COLUMN_SET,
        .width = 1,
        .collation = 8,
        .values = { (const uint8_t *)"\2\1a\1b", 5 } },
      { (const uint8_t *)"\7", 1 },
      "widen",
      "not done" },
    /* times that are none */
    { { .type = COLUMN_TIMESTAMP, .width = 4 },
      { (const uint8_t *)"\0\0\0\0", 4 },
      "0000-00-00 00:00:00",
      "\"0000-00-00 00:00:00\"" },
    { { .type = COLUMN_TIMESTAMP, .width = 7, .decimals = 6 },
      { (const uint8_t *)"\xff\xff\xff\xff\0\0\1", 7 },
      "2106-02-07 06:28:15.000001",
      "\"2106-02-07 06:28:15.000001\"" },
    { { .type = COLUMN_DATE, .width = 3 },
      { (const uint8_t *)"\0\0\0", 3 },
      "0000-00-00",
      "\"0000-00-00\"" },
    { { .type = COLUMN_YEAR, .width = 1 }, { (const uint8_t *)"\0", 1 }, "0000", "0" },
    { { .type = COLUMN_DATETIME_OLD, .width = 8 },
      { (const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff", 8 },
      "widen",
      "not done" },
    { { .type = COLUMN_VECTOR, .prefix = 4 },
      { (const uint8_t *)"\0\0\x80\x3f\0\0\x20\xc0", 8 },
      "",
      "[1, -2.5]" },
    { { .type = COLUMN_VECTOR, .prefix = 4 }, { (const uint8_t *)"\0\0\x80", 3 }, "", "not done" },
    { { .type = COLUMN_BLOB_COMPRESSED, .prefix = 2 },
      { (const uint8_t *)"", 0 },
      "widen",
      "not done" },
    { { .type = COLUMN_JSON, .prefix = 4 }, { (const uint8_t *)"\x0c\1x", 3 }, "\"x\"", "\"x\"" },
    { { .type = COLUMN_JSON, .prefix = 4 },
      { (const uint8_t *)"\x0c\2x", 3 },
      "widen",
      "not done" },
    /* MariaDB's own types */
    { { .type = COLUMN_STRING, .prefix = 1, .width = 16, .meaning = COLUMN_AS_INET6 },
      { (const uint8_t *)"\0\0\0\0\0\0\0\0\0\0\0\0\1\2\3\4", 16 },
      "::1.2.3.4",
      "\"::1.2.3.4\"" },
    { { .type = COLUMN_STRING, .prefix = 1, .width = 16, .meaning = COLUMN_AS_INET6 },
      { (const uint8_t *)"\0\1\0\0\0\0\0\1\0\0\0\0\0\0\0\1", 16 },
      "1:0:0:1::1",
      "\"1:0:0:1::1\"" },
    { { .type = COLUMN_STRING, .prefix = 1, .width = 16, .meaning = COLUMN_AS_INET6 },
      { (const uint8_t *)"\0\1", 2 },
      "1::",
      "\"1::\"" },
    { { .type = COLUMN_STRING, .prefix = 1, .width = 4, .meaning = COLUMN_AS_INET4 },
      { (const uint8_t *)"\1\2\3\4\5", 5 },
      "widen",
      "not done" },
};

START_TEST(values_that_are_made_up)
{
    struct column column = made[_i].column;
    struct value value = value_of(&column, made[_i].bytes.at, made[_i].bytes.len);
    if (made[_i].text[0] != '\0' || value.kind == VALUE_ENUM) {
        ck_assert_str_eq(text_of(&value), made[_i].text);
    }
    ck_assert_str_eq(json_of(&value), made[_i].json);
}
END_TEST

START_TEST(what_has_no_text_says_so)
{
    struct column column = { .type = COLUMN_LONG };
    struct value value = { .kind = VALUE_NULL, .column = &column };
    ck_assert_str_eq(text_of(&value), "NULL");
    ck_assert_str_eq(json_of(&value), "null");
    value.kind = VALUE_ABSENT;
    ck_assert_str_eq(text_of(&value), "absent");
    ck_assert_str_eq(json_of(&value), "not done");
}
END_TEST

START_TEST(a_text_fits_or_not_to_the_byte)
{
    struct column column = { .type = COLUMN_LONG, .width = 4, .is_signed_known = true };
    struct value value = value_of(&column, "\xff\xff\xff\xff", 4);
    struct charsets charsets;
    const char *reason;
    charsets_init(&charsets);
    struct writer out = writer((char *)guard_room(2), 2);
    ck_assert_int_eq(render_text(&value, &charsets, &out, &reason), RENDER_DONE);
    out = writer((char *)guard_room(1), 1);
    ck_assert_int_eq(render_text(&value, &charsets, &out, &reason), RENDER_FULL);
    charsets_fini(&charsets);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("render");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_loop_test(tcase, values_are_what_select_prints, 0, COUNT(selected));
    tcase_add_loop_test(tcase, values_that_are_made_up, 0, COUNT(made));
    tcase_add_test(tcase, what_has_no_text_says_so);
    tcase_add_test(tcase, a_text_fits_or_not_to_the_byte);
    Suite *suite = suite_create("mysql/render");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
