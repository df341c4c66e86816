/* What a record does to the cache: on arrival, and when its transaction is visible. */
#include "config.h"

#include "mysql/record.h"

#include "unit/engine/rig.h"

static struct rig rig;
static struct record_actor arrival;
static struct record_actor visible;
static struct metric rule_ops[2];

static void
setup(void)
{
    struct cache_options options = rig_options(8 * RIG_MB);
    struct cache_holdoff_options holdoff = { .cells = 1024, .seconds = 3 };
    rig_open(&rig, &options);
    ck_assert(cache_holdoff_open(rig.cache, &holdoff));
    memset(rule_ops, 0, sizeof(rule_ops));
    arrival = (struct record_actor){ .cache = rig.cache, .thread = rig.thread };
    visible = arrival;
    arrival.rule_ops = rule_ops;
}

static void
teardown(void)
{
    rig_close(&rig);
}

/** A record, good until the next call. */
static struct record_op *
op(enum record_kind kind, const char *key, const char *value)
{
    static uint64_t room[64];
    struct record_op *made = (struct record_op *)room;
    size_t key_len = strlen(key);
    size_t value_len = strlen(value);
    *made = (struct record_op){ .kind = (uint8_t)kind,
                                .key_len = (uint8_t)key_len,
                                .value_len = (uint32_t)value_len,
                                .rule = 1 };
    ck_assert_uint_le(record_op_size(made), sizeof(room));
    memcpy(made->bytes, key, key_len);
    memcpy(made->bytes + key_len, value, value_len);
    return made;
}

static bool
holds(const char *key, const char *value)
{
    struct got got = rig_peek(&rig, key);
    return got.result == CACHE_OK && got.read.value_len == strlen(value) &&
           memcmp(rig.buf, value, strlen(value)) == 0;
}

static bool
misses(const char *key)
{
    return rig_peek(&rig, key).result == CACHE_MISS;
}

#define COUNT(actor, member) metric_get(&(actor).counts.member)

START_TEST(a_delete_is_done_twice_and_counted_once)
{
    ck_assert_int_eq(rig_set(&rig, "k", "old"), CACHE_OK);
    record_apply_arrival(&arrival, op(RECORD_DELETE, "k", ""));
    ck_assert(misses("k"));
    /* A reader that saw the row before it changed. */
    ck_assert_int_eq(rig_set(&rig, "k", "old"), CACHE_OK);
    record_apply_visible(&visible, op(RECORD_DELETE, "k", ""));
    ck_assert(misses("k"));
    ck_assert_uint_eq(COUNT(arrival, deletes) + COUNT(visible, deletes), 1);
    ck_assert_uint_eq(COUNT(arrival, delete_hits), 1);
    ck_assert_uint_eq(COUNT(visible, delete_hits), 1);
    ck_assert_uint_eq(metric_get(&rule_ops[1]), 1);
    ck_assert_uint_eq(metric_get(&rule_ops[0]), 0);
}
END_TEST

START_TEST(of_no_rule_no_rule_is_counted)
{
    struct record_op *one = op(RECORD_DELETE, "k", "");
    one->rule = RECORD_NO_RULE;
    one->is_downgraded = true;
    record_apply_arrival(&arrival, one);
    ck_assert_uint_eq(metric_get(&rule_ops[0]) + metric_get(&rule_ops[1]), 0);
    ck_assert_uint_eq(COUNT(arrival, sets_downgraded), 1);
    ck_assert_uint_eq(COUNT(arrival, delete_hits), 0);
}
END_TEST

START_TEST(a_stale_mark_leaves_the_value)
{
    ck_assert_int_eq(rig_set(&rig, "k", "old"), CACHE_OK);
    struct record_op *one = op(RECORD_STALE, "k", "");
    one->ttl_s = 30;
    record_apply_arrival(&arrival, one);
    struct got got = rig_peek(&rig, "k");
    ck_assert_int_eq(got.result, CACHE_OK);
    ck_assert(got.read.stale);
    ck_assert_int_eq(got.read.expires_at, RIG_NOW + 30);
    record_apply_arrival(&arrival, op(RECORD_STALE, "other", ""));
    ck_assert_uint_eq(COUNT(arrival, stale_marks), 1);
    record_apply_visible(&visible, op(RECORD_STALE, "k", ""));
    ck_assert_uint_eq(COUNT(visible, stale_marks), 1);
}
END_TEST

START_TEST(a_set_is_a_deletion_until_it_is_visible)
{
    ck_assert_int_eq(rig_set(&rig, "k", "old"), CACHE_OK);
    record_apply_arrival(&arrival, op(RECORD_SET, "k", "new"));
    ck_assert(misses("k"));
    record_apply_visible(&visible, op(RECORD_SET, "k", "new"));
    ck_assert(holds("k", "new"));
    record_apply_visible(&visible, op(RECORD_SET, "k", ""));
    ck_assert(holds("k", ""));
    ck_assert_uint_eq(COUNT(visible, sets), 2);
    ck_assert_uint_eq(COUNT(visible, sets_downgraded), 0);
}
END_TEST

START_TEST(a_set_of_what_is_there_alone_keeps_it_until_then)
{
    ck_assert_int_eq(rig_set(&rig, "k", "old"), CACHE_OK);
    for (unsigned i = 0; i < 2; i++) {
        const char *key = i == 0 ? "k" : "absent";
        struct record_op *one = op(RECORD_SET, key, "new");
        one->if_exists = true;
        one->ttl_s = 60;
        record_apply_arrival(&arrival, one);
        ck_assert(i == 0 ? rig_peek(&rig, key).read.stale : misses(key));
        record_apply_visible(&visible, one);
    }
    ck_assert(holds("k", "new"));
    ck_assert(!rig_peek(&rig, "k").read.stale);
    ck_assert_int_eq(rig_peek(&rig, "k").read.expires_at, RIG_NOW + 60);
    ck_assert(misses("absent"));
    ck_assert_uint_eq(COUNT(visible, sets), 1);
}
END_TEST

START_TEST(a_value_longer_than_an_item_becomes_a_deletion)
{
    static uint64_t room[(RIG_MB + 4096) / 8];
    struct record_op *one = (struct record_op *)room;
    *one = (struct record_op){ .kind = RECORD_SET, .key_len = 1, .value_len = RIG_MB + 1 };
    one->bytes[0] = 'k';
    ck_assert_int_eq(rig_set(&rig, "k", "old"), CACHE_OK);
    record_apply_visible(&visible, one);
    ck_assert(misses("k"));
    ck_assert_uint_eq(COUNT(visible, sets_downgraded), 1);
    ck_assert_uint_eq(COUNT(visible, sets), 0);
}
END_TEST

START_TEST(a_flush_voids_its_prefix)
{
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(rig_set(&rig, "a:1", "x"), CACHE_OK);
        ck_assert_int_eq(rig_set(&rig, "b:1", "x"), CACHE_OK);
        if (i == 0) {
            record_apply_arrival(&arrival, op(RECORD_FLUSH, "a:", ""));
        } else {
            record_apply_visible(&visible, op(RECORD_FLUSH, "a:", ""));
        }
        ck_assert(misses("a:1"));
        ck_assert(holds("b:1", "x"));
    }
    ck_assert_uint_eq(COUNT(arrival, epoch_bumps), 1);
    ck_assert_uint_eq(COUNT(visible, epoch_bumps), 1);
}
END_TEST

/** Notes of flushed prefixes are finite, and a flush is not refused. */
START_TEST(more_prefixes_than_are_noted_void_everything)
{
    char prefix[16];
    ck_assert_int_eq(rig_set(&rig, "z", "x"), CACHE_OK);
    for (unsigned i = 0; i < 10000 && holds("z", "x"); i++) {
        snprintf(prefix, sizeof(prefix), "p%u:", i);
        record_flush_prefix(&arrival, prefix, (uint32_t)strlen(prefix));
    }
    ck_assert(misses("z"));
}
END_TEST

START_TEST(a_token_is_void_with_its_key)
{
    struct cache_read read = { .key = "k", .key_len = 1, .mode = CACHE_READ_HIT };
    struct cache_store store;
    cache_enter(rig.thread);
    ck_assert_int_eq(cache_find_one(rig.cache, rig.thread, &read), CACHE_MISS);
    cache_leave(rig.thread);
    ck_assert_int_eq(cache_store_begin(rig.cache, rig.thread, "k", 1, 0, 0, CACHE_NEVER, &store),
                     CACHE_OK);
    store.claimed = true; /* as mg N makes it */
    uint64_t token = 0;
    ck_assert_int_eq(cache_store_commit(rig.cache, rig.thread, &store, CACHE_ADD, 0, &token),
                     CACHE_OK);
    record_apply_arrival(&arrival, op(RECORD_DELETE, "k", ""));
    ck_assert_uint_eq(COUNT(arrival, token_voided), 1);
    ck_assert_int_ne(rig_store(&rig, CACHE_CAS, "k", "old", 3, 0, CACHE_NEVER, token, NULL),
                     CACHE_OK);
    ck_assert(misses("k"));
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("record");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_delete_is_done_twice_and_counted_once);
    tcase_add_test(tcase, of_no_rule_no_rule_is_counted);
    tcase_add_test(tcase, a_stale_mark_leaves_the_value);
    tcase_add_test(tcase, a_set_is_a_deletion_until_it_is_visible);
    tcase_add_test(tcase, a_set_of_what_is_there_alone_keeps_it_until_then);
    tcase_add_test(tcase, a_value_longer_than_an_item_becomes_a_deletion);
    tcase_add_test(tcase, a_flush_voids_its_prefix);
    tcase_add_test(tcase, more_prefixes_than_are_noted_void_everything);
    tcase_add_test(tcase, a_token_is_void_with_its_key);
    Suite *suite = suite_create("mysql/record");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
