#include "config.h"

#include "admin/prefix.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct seen {
    unsigned count;
    struct prefix_counts last;
    char name[256];
};

static void
see(void *arg, const struct prefix_counts *counts)
{
    struct seen *seen = arg;
    seen->count++;
    seen->last = *counts;
    memcpy(seen->name, counts->prefix, counts->prefix_len);
    seen->name[counts->prefix_len] = '\0';
}

static struct seen
look(struct prefix_stats *prefixes)
{
    struct seen seen = { 0 };
    prefix_stats_visit(prefixes, see, &seen);
    return seen;
}

START_TEST(prefix_counts_keys_with_the_delimiter_alone)
{
    struct prefix_stats *prefixes = prefix_stats_create(':');
    prefix_count_get(prefixes, "user:1", 6, true);
    prefix_count_get(prefixes, "user:2:x", 8, false);
    prefix_count_set(prefixes, "user:", 5);
    prefix_count_delete(prefixes, "user:1", 6);
    prefix_count_get(prefixes, "user", 4, true);
    prefix_count_set(prefixes, "plain", 5);
    prefix_count_delete(prefixes, "", 0);
    struct seen seen = look(prefixes);
    ck_assert_uint_eq(seen.count, 1);
    ck_assert_str_eq(seen.name, "user");
    ck_assert_uint_eq(seen.last.gets, 2);
    ck_assert_uint_eq(seen.last.hits, 1);
    ck_assert_uint_eq(seen.last.sets, 1);
    ck_assert_uint_eq(seen.last.deletes, 1);
    prefix_stats_destroy(prefixes);
}
END_TEST

START_TEST(prefix_may_be_empty)
{
    struct prefix_stats *prefixes = prefix_stats_create('/');
    prefix_count_get(prefixes, "/x", 2, false);
    struct seen seen = look(prefixes);
    ck_assert_uint_eq(seen.count, 1);
    ck_assert_uint_eq(seen.last.prefix_len, 0);
    prefix_stats_destroy(prefixes);
}
END_TEST

START_TEST(prefix_number_is_bounded)
{
    struct prefix_stats *prefixes = prefix_stats_create(':');
    char key[32];
    for (unsigned i = 0; i < PREFIXES_MAX + 1; i++) {
        int len = snprintf(key, sizeof(key), "%u:x", i);
        prefix_count_set(prefixes, key, (size_t)len);
        if (i == PREFIXES_MAX - 1) {
            ck_assert_uint_eq(look(prefixes).count, PREFIXES_MAX);
        }
    }
    ck_assert_uint_eq(look(prefixes).count, PREFIXES_MAX);
    prefix_count_set(prefixes, "0:y", 3); /* those that are there count on */
    prefix_stats_clear(prefixes);
    ck_assert_uint_eq(look(prefixes).count, 0);
    prefix_count_set(prefixes, key, strlen(key));
    ck_assert_uint_eq(look(prefixes).count, 1);
    prefix_stats_destroy(prefixes);
}
END_TEST

START_TEST(prefix_stats_may_be_absent)
{
    prefix_count_get(NULL, "a:b", 3, true);
    prefix_count_set(NULL, "a:b", 3);
    prefix_count_delete(NULL, "a:b", 3);
    prefix_stats_clear(NULL);
    prefix_stats_destroy(NULL);
    ck_assert_uint_eq(look(NULL).count, 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("prefix");
    TCase *tcase = tcase_create("prefix");
    tcase_add_test(tcase, prefix_counts_keys_with_the_delimiter_alone);
    tcase_add_test(tcase, prefix_may_be_empty);
    tcase_add_test(tcase, prefix_number_is_bounded);
    tcase_add_test(tcase, prefix_stats_may_be_absent);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
