#include "config.h"

#include "mysql/cascade.h"

#include "unit/mysql/logs.h"

#ifdef HAVE_HOOK

/* Tables, by one letter each. */
enum {
    UPDATES = 1,
    DELETES = 2,
};

static struct schema_graph *graph;
static char children[256]; /* letters, as they came */

static void
setup(void)
{
    graph = calloc(1, sizeof(*graph));
    ck_assert_ptr_nonnull(graph);
    graph->is_known = true;
    children[0] = '\0';
}

static void
teardown(void)
{
    schema_graph_clear(graph);
    free(graph);
}

static uint64_t
hash_of(char table)
{
    return schema_name_hash((struct bytes){ (const uint8_t *)"db", 2 },
                            (struct bytes){ (const uint8_t *)&table, 1 });
}

static void
show(const char *tables)
{
    for (; *tables != '\0'; tables++) {
        graph->visible[graph->visible_count++] = hash_of(*tables);
    }
}

static void
add_key(char child, char parent, unsigned acts)
{
    struct schema_foreign_key *key = &graph->keys[graph->count++];
    *key = (struct schema_foreign_key){ .parent = hash_of(parent),
                                        .child = hash_of(child),
                                        .on_update = (acts & UPDATES) != 0,
                                        .on_delete = (acts & DELETES) != 0,
                                        .child_names = calloc(1, 8) };
    ck_assert_ptr_nonnull(key->child_names);
    memcpy(key->child_names, "db", 3);
    key->child_names[3] = child;
}

static void
take_child(void *arg, struct bytes database, struct bytes name)
{
    ck_assert_ptr_null(arg);
    ck_assert(database.len == 2 && memcmp(database.at, "db", 2) == 0 && name.len == 1);
    size_t len = strlen(children);
    ck_assert_uint_lt(len + 1, sizeof(children));
    children[len] = (char)name.at[0];
    children[len + 1] = '\0';
}

/** The tables that a change of rows of `parent` changes; "?" for not known. */
static const char *
children_of(char parent, bool is_delete)
{
    children[0] = '\0';
    return cascade_children(graph, hash_of(parent), is_delete, take_child, NULL) ? children : "?";
}

static bool
reaches(char child, const char *changed)
{
    uint64_t names[8];
    unsigned count = 0;
    for (; changed[count] != '\0'; count++) {
        names[count] = hash_of(changed[count]);
    }
    return cascade_may_reach(graph, hash_of(child), names, count);
}

/** Only a server that says so logs what foreign keys change. */
START_TEST(mysql_before_9_6_does_not_log_what_foreign_keys_change)
{
    ck_assert(cascade_is_native(false, NULL)); /* 5.7, 8.0, 8.4: an unknown variable */
    ck_assert(cascade_is_native(false, "1"));  /* 9.6 that is told to do as before */
    ck_assert(cascade_is_native(false, "ON"));
    ck_assert(cascade_is_native(false, ""));
    ck_assert(!cascade_is_native(false, "0"));
    ck_assert(!cascade_is_native(true, NULL)); /* MariaDB has table maps that tell */
}
END_TEST

START_TEST(children_are_those_whose_key_acts)
{
    show("abcd");
    add_key('b', 'a', DELETES);
    add_key('c', 'a', UPDATES);
    add_key('d', 'c', DELETES); /* whether c's change deletes rows is not known */
    ck_assert_str_eq(children_of('a', true), "b");
    ck_assert_str_eq(children_of('a', false), "cd");
    ck_assert_str_eq(children_of('c', true), "d");
    ck_assert_str_eq(children_of('c', false), "");
    ck_assert_str_eq(children_of('d', true), "");
}
END_TEST

START_TEST(a_table_may_be_its_own_child)
{
    show("ab");
    add_key('a', 'a', DELETES);
    add_key('b', 'a', DELETES);
    add_key('a', 'b', DELETES); /* and a ring ends */
    ck_assert_str_eq(children_of('a', true), "ab");
    ck_assert_str_eq(children_of('b', true), "ab");
    ck_assert(reaches('a', "a"));
    ck_assert(!reaches('a', "x"));
}
END_TEST

START_TEST(what_hangs_on_a_table_that_is_not_shown_may_change_with_any)
{
    show("abc");
    add_key('b', 'h', DELETES); /* h: hidden, perhaps a child of a */
    add_key('c', 'b', DELETES);
    ck_assert_str_eq(children_of('a', true), "bc");
    ck_assert_str_eq(children_of('a', false), "bc");
    ck_assert(reaches('c', "a"));
    ck_assert(reaches('h', "a"));
    ck_assert(!reaches('a', "c"));
}
END_TEST

START_TEST(an_unknown_graph_means_all)
{
    show("ab");
    graph->is_known = false;
    ck_assert_str_eq(children_of('a', true), "?");
    ck_assert(reaches('b', ""));
}
END_TEST

START_TEST(a_child_without_its_name_means_all)
{
    show("ab");
    add_key('b', 'a', DELETES);
    free(graph->keys[0].child_names);
    graph->keys[0].child_names = NULL;
    ck_assert_str_eq(children_of('a', true), "?");
}
END_TEST

START_TEST(chains_longer_than_are_followed_mean_all)
{
    /* '0' is the parent of '1', that one of '2', and so on: 64 tables are followed */
    for (char table = '0'; table < '0' + 65; table++) {
        show((char[]){ table, '\0' });
        add_key((char)(table + 1), table, DELETES | UPDATES);
    }
    show((char[]){ '0' + 65, '\0' });
    ck_assert_str_eq(children_of('0', true), "?");
    ck_assert_uint_eq(strlen(children_of('2', true)), 63);
    ck_assert(reaches('0' + 65, "x"));
    ck_assert(!reaches('0' + 63, "x"));
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("cascade");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, mysql_before_9_6_does_not_log_what_foreign_keys_change);
    tcase_add_test(tcase, children_are_those_whose_key_acts);
    tcase_add_test(tcase, a_table_may_be_its_own_child);
    tcase_add_test(tcase, what_hangs_on_a_table_that_is_not_shown_may_change_with_any);
    tcase_add_test(tcase, an_unknown_graph_means_all);
    tcase_add_test(tcase, a_child_without_its_name_means_all);
    tcase_add_test(tcase, chains_longer_than_are_followed_mean_all);
    Suite *suite = suite_create("mysql/cascade");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#else

int
main(void)
{
    puts("skipped: built without the MySQL hook");
    puts("0 passed, 0 failed, 1 skipped");
    return EXIT_SUCCESS;
}

#endif
