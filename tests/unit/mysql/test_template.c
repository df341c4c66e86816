#include "config.h"

#include "mysql/template.h"

#include "unit/mysql/made.h"

static struct pool pool;
static struct template_scratch scratch;

static void
open_all(void)
{
    pool_init(&pool, 1u << 20);
    template_scratch_init(&scratch);
}

static void
close_all(void)
{
    template_scratch_fini(&scratch);
    pool_fini(&pool);
    guard_free_all();
}

/* -- errors ----------------------------------------------------------------------------------- */

static const struct {
    enum template_use use;
    const char *text;
    const char *error; /* what it must say, at least */
} bad[] = {
    { TEMPLATE_FOR_KEY, "", "an empty key" },
    { TEMPLATE_FOR_VALUE, "", "an empty value" },
    { TEMPLATE_FOR_KEY, "user", "no column in 'user'; a column is written {name}" },
    { TEMPLATE_FOR_KEY, "user:{@db}", "no column" },
    { TEMPLATE_FOR_KEY, "user:{{id}}", "no column" },
    { TEMPLATE_FOR_KEY, "user:{a", "'{' without its '}'" },
    { TEMPLATE_FOR_KEY, "user:{a{b}}", "'{' without its '}'" },
    { TEMPLATE_FOR_KEY, "user:{", "'{' without its '}'" },
    { TEMPLATE_FOR_KEY, "user:{a|", "unknown filter ''" },
    { TEMPLATE_FOR_KEY, "user:a}", "'}' without its '{'" },
    { TEMPLATE_FOR_KEY, "user:{a}}", "'}' without its '{'" },
    { TEMPLATE_FOR_KEY, "user:{}", "'' is no name of a column" },
    { TEMPLATE_FOR_KEY, "user:{a b}", "'a b' is no name of a column" },
    { TEMPLATE_FOR_KEY, "user:{old.}", "'' is no name of a column" },
    { TEMPLATE_FOR_KEY, "user:{now.a}", "'now' in front of a column; there are old. and new." },
    { TEMPLATE_FOR_KEY, "user:{@user}", "unknown {@user}; there are {@db} and {@table}" },
    { TEMPLATE_FOR_KEY, "{@db|hex}:{a}", "take no filters" },
    { TEMPLATE_FOR_KEY, "user:{a|rot13}", "unknown filter 'rot13'; there are hex, lower, upper" },
    { TEMPLATE_FOR_KEY, "user:{a|HEX}", "unknown filter 'HEX'" },
    { TEMPLATE_FOR_KEY, "user:{a|null}", "unknown filter 'null'" },
    { TEMPLATE_FOR_KEY, "user:{a|null: }", "a blank or control byte in 'null: '" },
    { TEMPLATE_FOR_KEY, "user:{a|null:x|null:y}", "null: twice" },
    { TEMPLATE_FOR_KEY, "{a|hex|hex|hex|hex|hex|hex|hex|hex|hex}", "more than 8 filters" },
    { TEMPLATE_FOR_KEY, "user {a}", "a blank or control byte in a key" },
    { TEMPLATE_FOR_KEY, "user\n{a}", "a blank or control byte in a key" },
    { TEMPLATE_FOR_STORE_KEY, "user:{old.a}", "{old.a} in what is stored" },
    { TEMPLATE_FOR_VALUE, "{old.a}", "{old.a} in what is stored" },
    { TEMPLATE_FOR_VALUE, "json()", "'' is no name of a column" },
    { TEMPLATE_FOR_VALUE, "json(a,,b)", "'' is no name of a column" },
    { TEMPLATE_FOR_VALUE, "json(a,*)", "'*' within json()" },
    { TEMPLATE_FOR_VALUE, "json(a,{b})", "'{b}' within json()" },
    { TEMPLATE_FOR_VALUE, "json(a,b,A)", "'A' twice within json()" },
};

START_TEST(what_is_wrong_is_said)
{
    struct template template;
    char error[256] = "";
    ck_assert(!template_compile(made_bytes(bad[_i].text), bad[_i].use, &pool, &template, error,
                                sizeof(error)));
    ck_assert_msg(strstr(error, bad[_i].error) != NULL, "%s: %s", bad[_i].text, error);
}
END_TEST

static bool
compiles(const char *text, char *error)
{
    struct template template;
    return template_compile(made_bytes(text), TEMPLATE_FOR_KEY, &pool, &template, error, 256);
}

START_TEST(lengths_are_bounded)
{
    char text[TEMPLATE_LEN_MAX + 2];
    char error[256];

    memset(text, 'x', sizeof(text));
    memcpy(text + TEMPLATE_KEY_MAX - 1, "{a}", 4);
    ck_assert(compiles(text, error));

    memset(text, 'x', sizeof(text));
    memcpy(text + TEMPLATE_KEY_MAX, "{a}", 4);
    ck_assert(!compiles(text, error));
    ck_assert_ptr_nonnull(strstr(error, "250 bytes of fixed text in a key"));

    memset(text, '}', sizeof(text));
    text[TEMPLATE_LEN_MAX + 1] = 0;
    ck_assert(!compiles(text, error));
    ck_assert_ptr_nonnull(strstr(error, "at most 1024"));

    text[0] = 0;
    for (unsigned i = 0; i < TEMPLATE_PARTS_MAX; i++) {
        strncat(text, "{a}", sizeof(text) - 1 - strlen(text));
    }
    ck_assert(compiles(text, error));
    strncat(text, "{a}", sizeof(text) - 1 - strlen(text));
    ck_assert(!compiles(text, error));
    ck_assert_ptr_nonnull(strstr(error, "more than 32 parts"));
}
END_TEST

START_TEST(no_memory_is_no_template)
{
    struct template template;
    struct pool none;
    char error[256];
    pool_init(&none, 0);
    ck_assert(!template_compile(made_bytes("user:{a}"), TEMPLATE_FOR_KEY, &none, &template, error,
                                sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "out of memory"));
}
END_TEST

/* -- rendering -------------------------------------------------------------------------------- */

#define ZEROS_50 "00000000000000000000000000000000000000000000000000"

static const struct {
    const char *text;
    const char *before;
    const char *after;
    bool from_after;
    enum template_result result;
    const char *key;
} rendered[] = {
    { "user:{a}", "1", "2", false, TEMPLATE_DONE, "user:1" },
    { "user:{a}", "1", "2", true, TEMPLATE_DONE, "user:2" },
    { "user:{A}", NULL, "2", true, TEMPLATE_DONE, "user:2" },
    { "{a}{b}:{a}", NULL, "2|'x'", true, TEMPLATE_DONE, "2x:2" },
    { "{{{a}}}", NULL, "2", true, TEMPLATE_DONE, "{2}" },
    { "}}{{{a}", NULL, "2", true, TEMPLATE_DONE, "}{2" },
    { "{@db}.{@table}:{a}", NULL, "2", true, TEMPLATE_DONE, "shop.users:2" },
    { "{old.a}-{new.a}", "1", "2", false, TEMPLATE_DONE, "1-2" },
    { "{old.a}-{new.a}", "1", "2", true, TEMPLATE_DONE, "1-2" },
    { "{old.a}", NULL, "2", true, TEMPLATE_NO_IMAGE, NULL },
    { "{new.a}", "1", NULL, false, TEMPLATE_NO_IMAGE, NULL },
    { "{old.a}-{b}", NULL, "2|3", true, TEMPLATE_NO_IMAGE, NULL },
    { "user:{b}", "1|'x'", "2|-", true, TEMPLATE_DONE, "user:x" }, /* MINIMAL: it did not change */
    { "user:{b}", "1|-", "2|'x'", false, TEMPLATE_WIDEN, "a column that the row's image does not" },
    { "user:{b}", "1|-", "2|-", true, TEMPLATE_WIDEN, "a column that the row's image does not" },
    { "user:{b}", NULL, "2|-", true, TEMPLATE_WIDEN, "a column that the row's image does not" },
    { "user:{b}", NULL, "2|!", true, TEMPLATE_WIDEN, "made unreadable" },
    { "user:{b|hex}", NULL, "2|!", true, TEMPLATE_WIDEN, "made unreadable" },
    { "user:{z}", NULL, "2", true, TEMPLATE_WIDEN, "a column that the table does not have" },
    { "user:{a}", NULL, "NULL", true, TEMPLATE_IS_NULL, NULL },
    { "user:{a|hex}", NULL, "NULL", true, TEMPLATE_IS_NULL, NULL },
    { "user:{a|null:none}", NULL, "NULL", true, TEMPLATE_DONE, "user:none" },
    { "user:{a|null:}", NULL, "NULL", true, TEMPLATE_DONE, "user:" },
    { "user:{a|null:none}", NULL, "7", true, TEMPLATE_DONE, "user:7" },
    { "user:{a|hex|null:no|upper}", NULL, "NULL", true, TEMPLATE_DONE, "user:NO" },
    { "{a|hex}", NULL, "'a\xc3\xa4'", true, TEMPLATE_DONE, "61c3a4" },
    { "{a|lower}", NULL, "'AZ[\xc3\x84'", true, TEMPLATE_DONE, "az[\xc3\x84" },
    { "{a|upper}", NULL, "'az{\xc3\xa4'", true, TEMPLATE_DONE, "AZ{\xc3\xa4" },
    { "{a|urlenc}", NULL, "'a-Z_0.~ /%\xc3\xa4'", true, TEMPLATE_DONE, "a-Z_0.~%20%2F%25%C3%A4" },
#ifdef HAVE_TLS
    { "{a|md5}", NULL, "''", true, TEMPLATE_DONE, "d41d8cd98f00b204e9800998ecf8427e" },
    { "{a|lower|md5}", NULL, "'ABC'", true, TEMPLATE_DONE, "900150983cd24fb0d6963f7d28e17f72" },
    { "{a|md5|md5|upper}", NULL, "''", true, TEMPLATE_DONE, "74BE16979710D4C4E7C6647856088456" },
    /* md5 makes a short key of a long text. */
    { "{a|hex|md5}", NULL, "'" ZEROS_50 ZEROS_50 ZEROS_50 ZEROS_50 ZEROS_50 ZEROS_50 "'", true,
      TEMPLATE_DONE, "f1149e65bcc18e1ab29d5af6dee4fbba" },
#endif
    { "{a}", NULL, "'" ZEROS_50 ZEROS_50 ZEROS_50 ZEROS_50 ZEROS_50 "'", true, TEMPLATE_DONE,
      ZEROS_50 ZEROS_50 ZEROS_50 ZEROS_50 ZEROS_50 },
    { "{a}:", NULL, "'" ZEROS_50 ZEROS_50 ZEROS_50 ZEROS_50 ZEROS_50 "'", true, TEMPLATE_FULL,
      NULL },
    { "{a}:{b}", NULL, "'" ZEROS_50 ZEROS_50 ZEROS_50 ZEROS_50 ZEROS_50 "'|NULL", true,
      TEMPLATE_IS_NULL, NULL },
    { "{a}:{b}", NULL, "'" ZEROS_50 ZEROS_50 ZEROS_50 ZEROS_50 ZEROS_50 "'|-", true, TEMPLATE_WIDEN,
      "a column that the row's image" },
};

static enum template_result
render(const struct template *template, const char *before_text, const char *after_text,
       bool from_after, struct writer *out, const char **reason)
{
    static struct value before[MADE_COLUMNS], after[MADE_COLUMNS];
    uint16_t slots[TEMPLATE_PARTS_MAX];
    for (uint32_t i = 0; i < template->part_count; i++) {
        slots[i] = made_slot(template->parts[i].text);
    }
    struct template_row row = {
        .database = made_bytes("shop"),
        .table = made_bytes("users"),
        .slots = slots,
        .before = make_image(before_text, before),
        .after = make_image(after_text, after),
        .from_after = from_after,
    };
    return template_render(template, &row, &scratch, out, reason);
}

START_TEST(a_key_is_rendered)
{
    char error[256] = "";
    char key[TEMPLATE_KEY_MAX];
    const char *reason = "";
    struct template template;
    ck_assert_msg(template_compile(made_bytes(rendered[_i].text), TEMPLATE_FOR_KEY, &pool,
                                   &template, error, sizeof(error)),
                  "%s", error);
    struct writer out = writer(key, sizeof(key));
    enum template_result result = render(&template, rendered[_i].before, rendered[_i].after,
                                         rendered[_i].from_after, &out, &reason);
    ck_assert_msg(result == rendered[_i].result, "%s: %d", rendered[_i].text, (int)result);
    if (result == TEMPLATE_DONE) {
        ck_assert_uint_eq(out.len, strlen(rendered[_i].key));
        ck_assert_mem_eq(key, rendered[_i].key, out.len);
    } else if (result == TEMPLATE_WIDEN) {
        ck_assert_ptr_nonnull(strstr(reason, rendered[_i].key));
    }
}
END_TEST

/* A text of 64 KiB is the longest that filters take: of a longer one md5 cannot tell anything. */
START_TEST(filters_have_bounded_room)
{
    char error[256];
    char key[TEMPLATE_KEY_MAX];
    struct template template;
    struct value values[1];
    const uint16_t slots[] = { 0 };
    char *text = malloc(TEMPLATE_TEXT_MAX + 1);
    memset(text, 'x', TEMPLATE_TEXT_MAX + 1);
    values[0] = (struct value){ .kind = VALUE_TEXT, .column = &made_text };
    struct template_row row = { .slots = slots, .after = values, .from_after = true };
    static const struct {
        const char *text;
        size_t len;
        enum template_result result;
    } cases[] = {
#ifdef HAVE_TLS
        { "{a|md5}", TEMPLATE_TEXT_MAX, TEMPLATE_DONE },
        { "{a|md5}", TEMPLATE_TEXT_MAX + 1, TEMPLATE_WIDEN },
        { "{a|hex|md5}", TEMPLATE_TEXT_MAX / 2, TEMPLATE_DONE },
        { "{a|hex|md5}", TEMPLATE_TEXT_MAX / 2 + 1, TEMPLATE_WIDEN },
#endif
        { "{a|hex}", TEMPLATE_TEXT_MAX + 1, TEMPLATE_FULL },
        { "{a|lower|null:x}", TEMPLATE_TEXT_MAX + 1, TEMPLATE_FULL },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *reason;
        struct writer out = writer(key, sizeof(key));
        ck_assert(template_compile(made_bytes(cases[i].text), TEMPLATE_FOR_KEY, &pool, &template,
                                   error, sizeof(error)));
        values[0].bytes = (struct bytes){ (const uint8_t *)text, cases[i].len };
        enum template_result result = template_render(&template, &row, &scratch, &out, &reason);
        ck_assert_msg(result == cases[i].result, "%s of %zu: %d", cases[i].text, cases[i].len,
                      (int)result);
    }
    free(text);
}
END_TEST

/* -- prefixes --------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    const char *prefix;       /* without names */
    const char *table_prefix; /* with shop.users */
} prefixes[] = {
    { "user:{a}", "user:", "user:" },
    { "{a}:user", "", "" },
    { "{{x}}:{a}:y", "{x}:", "{x}:" },
    { "{@db}:{a}", "", "shop:" },
    { "o:{@db}:{@table}:{a}", "o:", "o:shop:users:" },
    { "o:{new.a}", "o:", "o:" },
};

START_TEST(keys_begin_with_their_prefix)
{
    char error[256];
    char text[TEMPLATE_KEY_MAX];
    struct template template;
    ck_assert(template_compile(made_bytes(prefixes[_i].text), TEMPLATE_FOR_KEY, &pool, &template,
                               error, sizeof(error)));
    struct writer out = writer(text, sizeof(text));
    template_put_prefix(&template, made_bytes(NULL), made_bytes(NULL), &out);
    ck_assert_uint_eq(out.len, strlen(prefixes[_i].prefix));
    ck_assert_mem_eq(text, prefixes[_i].prefix, out.len);
    out = writer(text, sizeof(text));
    template_put_prefix(&template, made_bytes("shop"), made_bytes("users"), &out);
    ck_assert_uint_eq(out.len, strlen(prefixes[_i].table_prefix));
    ck_assert_mem_eq(text, prefixes[_i].table_prefix, out.len);
}
END_TEST

START_TEST(json_names_its_columns)
{
    char error[256];
    struct template template;
    ck_assert(template_compile(made_bytes("json( a, b )"), TEMPLATE_FOR_VALUE, &pool, &template,
                               error, sizeof(error)));
    ck_assert_int_eq(template.form, TEMPLATE_JSON);
    ck_assert_uint_eq(template.part_count, 2);
    ck_assert(bytes_equal(template.parts[0].text, "a") && bytes_equal(template.parts[1].text, "b"));
    ck_assert(template_compile(made_bytes("json(*)"), TEMPLATE_FOR_VALUE, &pool, &template, error,
                               sizeof(error)));
    ck_assert_int_eq(template.form, TEMPLATE_JSON_ALL);
    ck_assert(template_compile(made_bytes("of {new.a}, and {b}"), TEMPLATE_FOR_VALUE, &pool,
                               &template, error, sizeof(error)));
    ck_assert_int_eq(template.form, TEMPLATE_TEXT);
    ck_assert_uint_eq(template.part_count, 4);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("template");
    tcase_add_checked_fixture(tcase, open_all, close_all);
    tcase_add_loop_test(tcase, what_is_wrong_is_said, 0, COUNT(bad));
    tcase_add_test(tcase, lengths_are_bounded);
    tcase_add_test(tcase, no_memory_is_no_template);
    tcase_add_loop_test(tcase, a_key_is_rendered, 0, COUNT(rendered));
    tcase_add_test(tcase, filters_have_bounded_room);
    tcase_add_loop_test(tcase, keys_begin_with_their_prefix, 0, COUNT(prefixes));
    tcase_add_test(tcase, json_names_its_columns);
    Suite *suite = suite_create("mysql/template");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
