#include "proto/meta.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support/guard.h"
#include "unit/proto/meta_cases.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static uint64_t
flags_of(const char *letters)
{
    uint64_t flags = 0;
    for (; *letters != '\0'; letters++) {
        flags |= META_FLAG(*letters);
    }
    return flags;
}

static void
check_key(const struct meta_request *got, const char *key, const uint8_t *line, size_t line_len)
{
    if (key != NULL) {
        ck_assert_uint_eq(got->key.len, strlen(key));
        ck_assert_mem_eq(got->key.at, key, got->key.len);
    }
    if (meta_has(got, 'b')) {
        ck_assert_ptr_eq(got->key.at, got->key_bytes);
        ck_assert_uint_le(got->key.len, sizeof got->key_bytes);
    } else {
        ck_assert(got->key.at > line && got->key.at + got->key.len < line + line_len);
    }
}

/** The values of flags that are there, and of those that have one anyway. */
static void
check_values(const struct meta_request *got, const struct meta_request *want)
{
    bool ms = want->op == META_MS;
    bool ma = want->op == META_MA;
    if (ms) {
        ck_assert_uint_eq(got->value_len, want->value_len);
    }
    if (ms || ma) {
        ck_assert_int_eq(got->mode, want->mode);
    }
    if (ms || meta_has(got, 'F')) {
        ck_assert_uint_eq(got->client_flags, want->client_flags);
    }
    if (ms || meta_has(got, 'T')) {
        ck_assert_int_eq(got->exptime, want->exptime);
    }
    if (ma || meta_has(got, 'D')) {
        ck_assert_uint_eq(got->delta, want->delta);
    }
    if (ma || meta_has(got, 'J')) {
        ck_assert_uint_eq(got->initial, want->initial);
    }
    if (meta_has(got, 'N')) {
        ck_assert_int_eq(got->vivify_exptime, want->vivify_exptime);
    }
    if (meta_has(got, 'R')) {
        ck_assert_int_eq(got->recache_s, want->recache_s);
    }
    if (meta_has(got, 'C')) {
        ck_assert_uint_eq(got->cas, want->cas);
    }
    if (meta_has(got, 'E')) {
        ck_assert_uint_eq(got->cas_new, want->cas_new);
    }
    if (meta_has(got, 'O')) {
        ck_assert_uint_eq(got->opaque.len, want->opaque.len);
        ck_assert_mem_eq(got->opaque.at, want->opaque.at, want->opaque.len);
    }
    ck_assert_int_eq(got->ttl_before_touch, want->ttl_before_touch);
    ck_assert_int_eq(got->ttl_before_vivify, want->ttl_before_vivify);
    ck_assert_int_eq(got->recache_before_touch, want->recache_before_touch);
    ck_assert_int_eq(got->vivify_before_touch, want->vivify_before_touch);
}

static void
check_request(const struct meta_request *got, const struct meta_case *row, const uint8_t *line)
{
    ck_assert_int_eq(got->op, row->want.op);
    switch (row->want.op) {
    case META_MG:
    case META_MS:
    case META_MD:
    case META_MA:
        check_key(got, row->key, line, row->line_len);
        ck_assert_uint_eq(got->flags, flags_of(row->flags));
        ck_assert_uint_eq(got->returns_count, strlen(row->returns));
        ck_assert_mem_eq(got->returns, row->returns, got->returns_count);
        check_values(got, &row->want);
        break;
    case META_ME:
        check_key(got, row->key, line, row->line_len);
        ck_assert_uint_eq(got->flags, flags_of(row->flags));
        break;
    case META_MN:
        break;
    case META_ERROR:
        ck_assert_int_eq(got->error, row->want.error);
        ck_assert_uint_eq(got->swallow, row->want.swallow);
        break;
    }
}

/** Parses a line that lies before an unreadable page, with other bytes behind it or not. */
static void
check_line(const struct meta_case *row, const char *behind)
{
    size_t len = row->line_len + strlen(behind);
    uint8_t *bytes = guard_room(len);
    memcpy(bytes, row->line, row->line_len);
    memcpy(bytes + row->line_len, behind, strlen(behind));
    struct cursor cur = { bytes, bytes + len };
    struct meta_request got;
    memset(&got, 0x5a, sizeof got);

    ck_assert(meta_is_command(bytes, len));
    ck_assert_int_eq(meta_parse(&cur, &got), PARSE_DONE);
    ck_assert_ptr_eq(cur.at, bytes + row->line_len);
    ck_assert_ptr_eq(cur.end, bytes + len);
    check_request(&got, row, bytes);
}

/** Each part of a line asks for more, both here and where the command is chosen. */
static void
check_prefixes(const struct meta_case *row)
{
    for (size_t len = 0; len < row->line_len; len++) {
        const uint8_t *bytes = guard_copy(row->line, len);
        struct cursor cur = { bytes, bytes + len };
        struct meta_request got;
        ck_assert_int_eq(meta_parse(&cur, &got), PARSE_MORE);
        ck_assert_ptr_eq(cur.at, bytes);
        ck_assert_ptr_eq(cur.end, bytes + len);
        struct request text;
        if (!meta_is_command(bytes, len)) {
            ck_assert_int_eq(text_parse(&cur, &text), PARSE_MORE);
        }
    }
}

static void
check_row(const struct meta_case *row)
{
    check_line(row, "");
    check_line(row, "x");
    check_line(row, "mg another v\r\n");
    check_prefixes(row);
}

START_TEST(parse_takes_every_form_of_each_command)
{
    check_row(&good_cases[_i]);
}
END_TEST

START_TEST(parse_tells_each_error_from_the_others)
{
    check_row(&error_cases[_i]);
}
END_TEST

/* Alone, each byte is a flag, a token that is missing, or an error of its kind. */
START_TEST(parse_judges_each_byte_as_a_flag)
{
    uint8_t letter = (uint8_t)_i;
    uint8_t *line = guard_copy("mg Zm9v ?\r\n", 11);
    line[8] = letter;
    struct cursor cur = { line, line + 11 };
    struct meta_request got;
    ck_assert_int_eq(meta_parse(&cur, &got), PARSE_DONE);
    if (letter == ' ' || letter == '\n') {
        ck_assert_int_eq(got.op, META_MG);
        ck_assert_uint_eq(got.flags, 0);
    } else if (letter >= 127) {
        ck_assert_int_eq(got.error, REQUEST_ERR_META_DUPLICATE);
    } else if (letter < 'A' || letter > 'z') {
        ck_assert_int_eq(got.error, REQUEST_ERR_FORMAT);
    } else if (strchr("bcfhklqstuvxILMOP", letter) != NULL) {
        ck_assert_int_eq(got.op, META_MG);
        ck_assert_uint_eq(got.flags, META_FLAG(letter));
    } else if (strchr("CENRT", letter) != NULL) {
        ck_assert_int_eq(got.error, REQUEST_ERR_META_TOKEN);
    } else if (strchr("DJF", letter) != NULL) {
        ck_assert_int_eq(got.op, META_ERROR);
    } else {
        ck_assert_int_eq(got.error, REQUEST_ERR_META_FLAG);
    }
}
END_TEST

static const struct {
    const char *bytes;
    bool is;
} names[] = {
    { "mg k\r\n", true },   { "ms k 2", true },     { "md  \n", true },    { "ma \r\n", true },
    { "mn\r\n", true },     { "me\r\n", true },     { "mg  ", true },      { "mg \n", true },
    { "", false },          { "m", false },         { "mg", false },       { "mg ", false },
    { "mg\r", false },      { "mg\n", false },      { "mg\nxx", false },   { "mg\rx", false },
    { "mgx k", false },     { "mg\tk\r\n", false }, { "mx k\r\n", false }, { "Mg k\r\n", false },
    { "get k\r\n", false }, { " mg k\r\n", false },
};

START_TEST(is_command_knows_whole_names_alone)
{
    size_t len = strlen(names[_i].bytes);
    const uint8_t *bytes = guard_copy(names[_i].bytes, len);
    ck_assert_int_eq(meta_is_command(bytes, len), names[_i].is);
}
END_TEST

static Suite *
meta_parse_suite(void)
{
    Suite *suite = suite_create("meta_parse");
    TCase *tcase = tcase_create("meta_parse");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_loop_test(tcase, parse_takes_every_form_of_each_command, 0, COUNT(good_cases));
    tcase_add_loop_test(tcase, parse_tells_each_error_from_the_others, 0, COUNT(error_cases));
    tcase_add_loop_test(tcase, parse_judges_each_byte_as_a_flag, 0, 256);
    tcase_add_loop_test(tcase, is_command_knows_whole_names_alone, 0, COUNT(names));
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    SRunner *runner = srunner_create(meta_parse_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
