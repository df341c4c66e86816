/* Lines of dumps, as exact bytes. */
#include "proto/dump.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct dump_item
item_of(const char *key)
{
    return (struct dump_item){
        .key = { (const uint8_t *)key, strlen(key) },
        .class_id = 7,
        .used_at = 1700000000,
        .cas = 12,
        .size = 99,
    };
}

static const char *
line_of(const struct dump_item *item, bool mg)
{
    static uint8_t line[DUMP_LINE_MAX + 1];
    memset(line, '#', sizeof(line));
    uint8_t *end = mg ? dump_write_mg(line, item) : dump_write_meta(line, item);
    ck_assert_uint_le((size_t)(end - line), DUMP_LINE_MAX);
    *end = '\0';
    return (const char *)line;
}

START_TEST(metadump_tells_all_of_an_item)
{
    struct dump_item item = item_of("abc");
    ck_assert_str_eq(line_of(&item, false),
                     "key=abc exp=-1 la=1700000000 cas=12 fetch=no cls=7 size=99 flags=0 \n");
    item.expires_at = 1700000100;
    item.fetched = true;
    item.flags = 4294967295u;
    ck_assert_str_eq(line_of(&item, false), "key=abc exp=1700000100 la=1700000000 cas=12 fetch=yes "
                                            "cls=7 size=99 flags=4294967295 \n");
    item.expires_at = -5; /* before 1970: no clock shows it, and no reader must stumble */
    ck_assert_ptr_nonnull(strstr(line_of(&item, false), " exp=-5 "));
}
END_TEST

START_TEST(metadump_tells_the_key_as_it_was_encoded)
{
    struct dump_item item = item_of("a%20b");
    ck_assert_ptr_nonnull(strstr(line_of(&item, false), "key=a%20b exp"));
    item.binary_key = true; /* the same */
    ck_assert_ptr_nonnull(strstr(line_of(&item, false), "key=a%20b exp"));
}
END_TEST

START_TEST(mgdump_tells_the_key_as_mg_takes_it)
{
    struct dump_item item = item_of("a/b%c");
    ck_assert_str_eq(line_of(&item, true), "mg a/b%c\r\n");
    item.binary_key = true;
    ck_assert_str_eq(line_of(&item, true), "mg YS9iJWM= b\r\n");
}
END_TEST

START_TEST(the_longest_line_fits)
{
    static uint8_t key[3 * KEY_LEN_MAX]; /* encoded, in metadump's line */
    memset(key, '#', sizeof(key));
    struct dump_item item = {
        .key = { key, KEY_LEN_MAX },
        .binary_key = true,
        .fetched = true,
        .class_id = UINT32_MAX,
        .expires_at = INT64_MIN,
        .used_at = INT64_MIN,
        .cas = UINT64_MAX,
        .size = UINT64_MAX,
        .flags = UINT32_MAX,
    };
    (void)line_of(&item, true);
    item.key.len = sizeof(key);
    ck_assert_uint_gt(strlen(line_of(&item, false)), 3 * KEY_LEN_MAX + 100);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("proto/dump_write");
    tcase_add_test(tcase, metadump_tells_all_of_an_item);
    tcase_add_test(tcase, metadump_tells_the_key_as_it_was_encoded);
    tcase_add_test(tcase, mgdump_tells_the_key_as_mg_takes_it);
    tcase_add_test(tcase, the_longest_line_fits);
    Suite *suite = suite_create("proto/dump_write");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
