#include "proto/text.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/guard.h"
#include "unit/proto/text_cases.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static const struct {
    const struct line_case *cases;
    int count;
} tables[] = {
    { get_cases, COUNT(get_cases) },     { store_cases, COUNT(store_cases) },
    { key_cases, COUNT(key_cases) },     { admin_cases, COUNT(admin_cases) },
    { error_cases, COUNT(error_cases) },
};

static void
check_span(struct span span, const char *text, const struct cursor *inside)
{
    ck_assert_uint_eq(span.len, strlen(text));
    ck_assert_mem_eq(span.at, text, span.len);
    ck_assert(span.at >= inside->at && span.at + span.len <= inside->end);
}

/** Takes one word off the front of a text whose words are parted by single spaces. */
static bool
next_word(const char **text, char *word)
{
    size_t len = strcspn(*text, " ");
    memcpy(word, *text, len);
    word[len] = '\0';
    *text += len + ((*text)[len] == ' ');
    return len > 0;
}

static void
check_keys(struct span keys, const char *list, const struct cursor *inside)
{
    char word[1024];
    struct span key;
    while (next_word(&list, word)) {
        ck_assert_int_eq(text_next_key(&keys, &key), PARSE_DONE);
        check_span(key, word, inside);
    }
    ck_assert_int_eq(text_next_key(&keys, &key), PARSE_MORE);
    ck_assert_int_eq(text_next_key(&keys, &key), PARSE_MORE);
}

static void
check_args(const struct request *got, const char *list, const struct cursor *inside)
{
    char word[1024];
    unsigned count = 0;
    while (next_word(&list, word)) {
        ck_assert_uint_lt(count, got->args_count);
        check_span(got->args[count], word, inside);
        count++;
    }
    ck_assert_uint_eq(got->args_count, count);
}

static void
check_request(const struct request *got, const struct line_case *row, const struct cursor *inside)
{
    const struct request *want = &row->want;
    ck_assert_int_eq(got->op, want->op);
    ck_assert_int_eq(got->noreply, want->noreply);
    switch (want->op) {
    case REQUEST_GAT:
    case REQUEST_GATS:
        ck_assert_int_eq(got->exptime, want->exptime);
        check_keys(got->keys, row->words, inside);
        break;
    case REQUEST_GET:
    case REQUEST_GETS:
        check_keys(got->keys, row->words, inside);
        /* Known for the plain form alone, and never said of anything else. */
        ck_assert(!got->keys_one ||
                  (strchr(row->words, ' ') == NULL && strlen(row->words) <= KEY_LEN_MAX));
        break;
    case REQUEST_CAS:
        ck_assert_uint_eq(got->cas, want->cas);
        /* fall through */
    case REQUEST_SET:
    case REQUEST_ADD:
    case REQUEST_REPLACE:
    case REQUEST_APPEND:
    case REQUEST_PREPEND:
        ck_assert_uint_eq(got->flags, want->flags);
        ck_assert_int_eq(got->exptime, want->exptime);
        ck_assert_uint_eq(got->value_len, want->value_len);
        check_span(got->key, row->words, inside);
        break;
    case REQUEST_DELETE:
        check_span(got->key, row->words, inside);
        break;
    case REQUEST_INCR:
    case REQUEST_DECR:
        ck_assert_uint_eq(got->delta, want->delta);
        check_span(got->key, row->words, inside);
        break;
    case REQUEST_TOUCH:
        ck_assert_int_eq(got->exptime, want->exptime);
        check_span(got->key, row->words, inside);
        break;
    case REQUEST_FLUSH_ALL:
        ck_assert_int_eq(got->exptime, want->exptime);
        break;
    case REQUEST_QUIT:
    case REQUEST_VERSION:
    case REQUEST_STATS:
    case REQUEST_VERBOSITY:
    case REQUEST_CACHE_MEMLIMIT:
    case REQUEST_SHUTDOWN:
    case REQUEST_REFRESH_CERTS:
    case REQUEST_SLABS:
    case REQUEST_LRU:
    case REQUEST_LRU_CRAWLER:
    case REQUEST_WATCH:
    case REQUEST_HOOK:
        check_args(got, row->words, inside);
        break;
    case REQUEST_UNKNOWN_HTTP:
        break;
    case REQUEST_ERROR:
        ck_assert_int_eq(got->error, want->error);
        ck_assert_uint_eq(got->swallow, want->swallow);
        break;
    }
}

/** Parses bytes that lie before an unreadable page, and checks that the line alone was taken. */
static void
check_line(const char *bytes, size_t len, size_t line_len, const struct line_case *row)
{
    const uint8_t *copy = guard_copy(bytes, len);
    struct cursor cur = { copy, copy + len };
    struct cursor inside = { copy, copy + line_len };
    struct request got;
    memset(&got, 0x5a, sizeof got);
    ck_assert_int_eq(text_parse(&cur, &got), PARSE_DONE);
    ck_assert_ptr_eq(cur.at, copy + line_len);
    ck_assert_ptr_eq(cur.end, copy + len);
    check_request(&got, row, &inside);
    guard_free_all();
}

START_TEST(text_parse_reads_each_form_of_line)
{
    for (int i = 0; i < tables[_i].count; i++) {
        const struct line_case *row = &tables[_i].cases[i];
        check_line(row->line, row->line_len, row->line_len, row);
    }
}
END_TEST

START_TEST(text_parse_takes_the_first_line_of_several)
{
    static const char *const behind[] = { "\n", "5 6 7\r\n", "xy\r\nset k 0 0 1\r\n",
                                          " noreply\r\n" };
    for (int i = 0; i < tables[_i].count; i++) {
        const struct line_case *row = &tables[_i].cases[i];
        for (size_t b = 0; b < sizeof behind / sizeof behind[0]; b++) {
            char bytes[2048];
            size_t behind_len = strlen(behind[b]);
            memcpy(bytes, row->line, row->line_len);
            memcpy(bytes + row->line_len, behind[b], behind_len);
            check_line(bytes, row->line_len + behind_len, row->line_len, row);
        }
    }
}
END_TEST

START_TEST(text_parse_asks_for_more_at_every_prefix)
{
    for (int i = 0; i < tables[_i].count; i++) {
        const struct line_case *row = &tables[_i].cases[i];
        for (size_t len = 0; len < row->line_len; len++) {
            const uint8_t *copy = guard_copy(row->line, len);
            struct cursor cur = { copy, copy + len };
            struct request got;
            ck_assert_int_eq(text_parse(&cur, &got), PARSE_MORE);
            ck_assert_ptr_eq(cur.at, copy);
            ck_assert_ptr_eq(cur.end, copy + len);
            guard_free_all();
        }
    }
}
END_TEST

/* Doubled spaces lead from the hot way to the slow one, which must say the same. */
START_TEST(text_parse_gives_doubled_spaces_the_same_answer)
{
    for (int i = 0; i < tables[_i].count; i++) {
        const struct line_case *row = &tables[_i].cases[i];
        if (row->line_len < LINE_LEN_MIN) {
            continue; /* would grow beyond the rule that it is a case of */
        }
        char bytes[2048];
        size_t len = 0;
        for (size_t at = 0; at < row->line_len; at++) {
            bytes[len++] = row->line[at];
            if (row->line[at] == ' ') {
                bytes[len++] = ' ';
            }
        }
        check_line(bytes, len, len, row);
    }
}
END_TEST

START_TEST(text_parse_keeps_keys_of_a_long_get_for_the_walk)
{
    static const char line[] = "get a " K251 " b\r\n";
    struct cursor cur = { guard_copy(BYTES(line)), NULL };
    cur.end = cur.at + sizeof line - 1;
    struct request got;
    struct span key;
    ck_assert_int_eq(text_parse(&cur, &got), PARSE_DONE);
    ck_assert_int_eq(got.op, REQUEST_GET);
    ck_assert_int_eq(text_next_key(&got.keys, &key), PARSE_DONE);
    struct span before = got.keys;
    ck_assert_int_eq(text_next_key(&got.keys, &key), PARSE_BAD);
    ck_assert_ptr_eq(got.keys.at, before.at);
    ck_assert_uint_eq(got.keys.len, before.len);
}
END_TEST

static const struct {
    const char *list;
    size_t list_len;
    enum parse_status status;
    size_t key_len;
} key_list_cases[] = {
    { BYTES(""), PARSE_MORE, 0 },
    { BYTES("   "), PARSE_MORE, 0 },
    { BYTES("a"), PARSE_DONE, 1 },
    { BYTES(" a"), PARSE_DONE, 1 },
    { BYTES("a\r"), PARSE_DONE, 2 },
    { BYTES("a\0b c"), PARSE_DONE, 3 },
    { BYTES(K250), PARSE_DONE, 250 },
    { BYTES(K250 " "), PARSE_DONE, 250 },
    { BYTES(K251), PARSE_BAD, 0 },
    { BYTES(K251 " "), PARSE_BAD, 0 },
    { BYTES("  " K251 "k a"), PARSE_BAD, 0 },
};

START_TEST(next_key_takes_keys_up_to_the_longest)
{
    size_t len = key_list_cases[_i].list_len;
    struct span keys = { guard_copy(key_list_cases[_i].list, len), len };
    struct span key = { NULL, 0 };
    ck_assert_int_eq(text_next_key(&keys, &key), key_list_cases[_i].status);
    ck_assert_uint_eq(key.len, key_list_cases[_i].key_len);
}
END_TEST

START_TEST(text_parse_reads_a_multiget_of_many_keys)
{
    enum { KEYS = 20000, LEN_MAX = 16 + KEYS * 8 };
    static char line[LEN_MAX];
    size_t len = 4;
    memcpy(line, "get ", 4);
    for (unsigned i = 0; i < KEYS; i++) {
        memcpy(line + len, "key.... ", 8);
        len += 8;
    }
    memcpy(line + len, "\r\n", 2);
    len += 2;

    const uint8_t *copy = guard_copy(line, len);
    struct cursor cur = { copy, copy + len };
    struct request got;
    struct span key;
    ck_assert_int_eq(text_parse(&cur, &got), PARSE_DONE);
    ck_assert_ptr_eq(cur.at, cur.end);
    for (unsigned i = 0; i < KEYS; i++) {
        ck_assert_int_eq(text_next_key(&got.keys, &key), PARSE_DONE);
        ck_assert_uint_eq(key.len, 7);
    }
    ck_assert_int_eq(text_next_key(&got.keys, &key), PARSE_MORE);
}
END_TEST

/* Words at the bound of the list and one past it: the last word still says noreply. */
START_TEST(text_parse_keeps_so_many_words_and_no_more)
{
    char line[256];
    size_t len =
        (size_t)snprintf(line, sizeof line, "verbosity %.*snoreply\r\n", 2 * (_i - 1), X40);
    const uint8_t *copy = guard_copy(line, len);
    struct cursor cur = { copy, copy + len };
    struct request got;
    ck_assert_int_eq(text_parse(&cur, &got), PARSE_DONE);
    ck_assert_int_eq(got.op, REQUEST_VERBOSITY);
    ck_assert(got.noreply);
    ck_assert_uint_eq(got.args_count, (unsigned)_i < ARGS_MAX ? (unsigned)_i : ARGS_MAX);
}
END_TEST

static const struct {
    size_t spaces;
    const char *command;
    size_t len; /* of the whole, filled up with 'k' */
    bool too_long;
} long_cases[] = {
    { 0, "", 0, false },
    { 0, "set ", LINE_LEN_MAX, false },
    { 0, "set ", LINE_LEN_MAX + 1, true },
    { 0, "get ", LINE_LEN_MAX + 1, false },
    { 0, "gets ", LINE_LEN_MAX + 1, false },
    { 0, "get ", 100000, false },
    { 0, "getk", LINE_LEN_MAX + 1, true },
    { 0, "getsk", LINE_LEN_MAX + 1, true },
    { 0, "gat ", LINE_LEN_MAX + 1, true },
    { 0, "GET ", LINE_LEN_MAX + 1, true },
    { LINE_SPACES_MAX, "get ", LINE_LEN_MAX + 1, false },
    { LINE_SPACES_MAX, "gets ", LINE_LEN_MAX + 1, false },
    { LINE_SPACES_MAX + 1, "get ", LINE_LEN_MAX + 1, true },
    { LINE_LEN_MAX + 1, "", LINE_LEN_MAX + 1, true },
};

START_TEST(line_too_long_spares_gets)
{
    static char line[100000];
    size_t spaces = long_cases[_i].spaces;
    size_t len = long_cases[_i].len;
    memset(line, 'k', sizeof line);
    memset(line, ' ', spaces);
    memcpy(line + spaces, long_cases[_i].command, strlen(long_cases[_i].command));
    ck_assert_int_eq(text_line_too_long(guard_copy(line, len), len), long_cases[_i].too_long);
}
END_TEST

static Suite *
text_parse_suite(void)
{
    Suite *suite = suite_create("text_parse");
    TCase *tcase = tcase_create("lines");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_loop_test(tcase, text_parse_reads_each_form_of_line, 0, COUNT(tables));
    tcase_add_loop_test(tcase, text_parse_takes_the_first_line_of_several, 0, COUNT(tables));
    tcase_add_loop_test(tcase, text_parse_asks_for_more_at_every_prefix, 0, COUNT(tables));
    tcase_add_loop_test(tcase, text_parse_gives_doubled_spaces_the_same_answer, 0, COUNT(tables));
    tcase_add_loop_test(tcase, text_parse_keeps_so_many_words_and_no_more, ARGS_MAX - 1,
                        ARGS_MAX + 3);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("keys");
    tcase_add_checked_fixture(tcase, NULL, guard_free_all);
    tcase_add_test(tcase, text_parse_keeps_keys_of_a_long_get_for_the_walk);
    tcase_add_test(tcase, text_parse_reads_a_multiget_of_many_keys);
    tcase_add_loop_test(tcase, next_key_takes_keys_up_to_the_longest, 0, COUNT(key_list_cases));
    tcase_add_loop_test(tcase, line_too_long_spares_gets, 0, COUNT(long_cases));
    suite_add_tcase(suite, tcase);
    return suite;
}

int
main(void)
{
    SRunner *runner = srunner_create(text_parse_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
