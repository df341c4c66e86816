/* Commands on an item that is there: delete, incr and decr, touch. */
#include "unit/engine/rig.h"

static struct rig rig;

static void
set_up(void)
{
    struct cache_options options = rig_options(1 * RIG_MB);
    rig_open(&rig, &options);
}

static void
tear_down(void)
{
    rig_close(&rig);
}

static bool
value_is(const char *value)
{
    struct got got = rig_get(&rig, "key");
    return got.result == CACHE_OK && got.read.value_len == strlen(value) &&
           memcmp(rig.buf, value, strlen(value)) == 0;
}

#define U64_MAX "18446744073709551615"

static const struct {
    const char *before;
    bool decrement;
    uint64_t delta;
    enum cache_result result;
    uint64_t value;
    const char *after;
} sums[] = {
    { "0", false, 1, CACHE_OK, 1, "1" },
    { "9", false, 1, CACHE_OK, 10, "10" },
    { "10", true, 1, CACHE_OK, 9, "9 " },
    { "10", true, 11, CACHE_OK, 0, "0 " },
    { "10", true, UINT64_MAX, CACHE_OK, 0, "0 " },
    { "5", false, 0, CACHE_OK, 5, "5" },
    { "007", false, 1, CACHE_OK, 8, "8  " },
    { " 12 ", false, 1, CACHE_OK, 13, "13  " },
    { U64_MAX, false, 1, CACHE_OK, 0, "0                   " },
    { U64_MAX, false, UINT64_MAX, CACHE_OK, UINT64_MAX - 1, "18446744073709551614" },
    { U64_MAX, true, 1, CACHE_OK, UINT64_MAX - 1, "18446744073709551614" },
    { "1", false, UINT64_MAX - 1, CACHE_OK, UINT64_MAX, U64_MAX },
    { "18446744073709551616", false, 1, CACHE_NOT_NUMBER, 0, NULL },
    { "99999999999999999999", false, 1, CACHE_NOT_NUMBER, 0, NULL },
    { "", false, 1, CACHE_NOT_NUMBER, 0, NULL },
    { " ", false, 1, CACHE_NOT_NUMBER, 0, NULL },
    { "-1", false, 1, CACHE_NOT_NUMBER, 0, NULL },
    { "+1", false, 1, CACHE_OK, 2, "2 " },
    { "++1", false, 1, CACHE_NOT_NUMBER, 0, NULL },
    { "+", false, 1, CACHE_NOT_NUMBER, 0, NULL },
    { "\t1\r", false, 1, CACHE_OK, 2, "2  " },
    { "1x", false, 1, CACHE_NOT_NUMBER, 0, NULL },
    { "1 1", false, 1, CACHE_OK, 2, "2  " },
    { "0x1", false, 1, CACHE_NOT_NUMBER, 0, NULL },
};

START_TEST(arith_counts_as_the_protocol_does)
{
    uint64_t before = 0;
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "key", sums[_i].before, strlen(sums[_i].before), 6,
                               RIG_NOW + 9, 0, &before),
                     CACHE_OK);
    uint64_t value = 1;
    uint64_t cas = 0;
    ck_assert_int_eq(cache_arith(rig.cache, rig.thread, "key", 3, sums[_i].decrement,
                                 sums[_i].delta, 0, &value, &cas),
                     sums[_i].result);
    if (sums[_i].result != CACHE_OK) {
        ck_assert(value_is(sums[_i].before));
        ck_assert_uint_eq(rig_get(&rig, "key").read.cas, before);
        return;
    }
    ck_assert_uint_eq(value, sums[_i].value);
    ck_assert(value_is(sums[_i].after));
    struct got got = rig_get(&rig, "key");
    ck_assert_uint_gt(cas, before);
    ck_assert_uint_eq(got.read.cas, cas);
    ck_assert_uint_eq(got.read.client_flags, 6);
    ck_assert_int_eq(got.read.expires_at, RIG_NOW + 9);
    ck_assert_uint_eq(rig_stats(&rig)->items, 1);
}
END_TEST

START_TEST(arith_minds_the_cas_id_and_counts_hits_and_misses)
{
    uint64_t value;
    uint64_t cas = 0;
    ck_assert_int_eq(cache_arith(rig.cache, rig.thread, "key", 3, false, 1, 0, &value, NULL),
                     CACHE_MISS);
    ck_assert_int_eq(cache_arith(rig.cache, rig.thread, "key", 3, true, 1, 0, &value, NULL),
                     CACHE_MISS);
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "key", "1", 1, 0, 0, 0, &cas), CACHE_OK);
    ck_assert_int_eq(cache_arith(rig.cache, rig.thread, "key", 3, false, 1, cas + 1, &value, NULL),
                     CACHE_EXISTS);
    ck_assert_int_eq(cache_arith(rig.cache, rig.thread, "key", 3, false, 1, cas, &value, &cas),
                     CACHE_OK);
    ck_assert_int_eq(cache_arith(rig.cache, rig.thread, "key", 3, true, 1, cas, &value, &cas),
                     CACHE_OK);
    const struct cache_stats *stats = rig_stats(&rig);
    ck_assert_uint_eq(stats->incr_misses, 1);
    ck_assert_uint_eq(stats->decr_misses, 1);
    ck_assert_uint_eq(stats->sum.incr_hits, 1);
    ck_assert_uint_eq(stats->sum.decr_hits, 1);
}
END_TEST

/* A number must end within the first 64 bytes; what comes behind it and a blank does not matter. */
START_TEST(arith_reads_64_bytes_and_takes_no_half_of_a_number)
{
    char field[101];
    memset(field, ' ', 100);
    field[100] = '\0';
    uint64_t value;
    memcpy(field + 60, "123", 3);
    ck_assert_int_eq(rig_set(&rig, "key", field), CACHE_OK);
    ck_assert_int_eq(cache_arith(rig.cache, rig.thread, "key", 3, false, 1, 0, &value, NULL),
                     CACHE_OK);
    ck_assert_uint_eq(value, 124);
    struct got got = rig_get(&rig, "key");
    ck_assert_uint_eq(got.read.value_len, 100);
    ck_assert_int_eq(memcmp(rig.buf, "124 ", 4), 0);
    memcpy(field + 60, "1234", 4);
    ck_assert_int_eq(rig_set(&rig, "key", field), CACHE_OK);
    ck_assert_int_eq(cache_arith(rig.cache, rig.thread, "key", 3, false, 1, 0, &value, NULL),
                     CACHE_NOT_NUMBER);
    field[64] = '\0'; /* now they are the whole value */
    ck_assert_int_eq(rig_set(&rig, "key", field), CACHE_OK);
    ck_assert_int_eq(cache_arith(rig.cache, rig.thread, "key", 3, false, 1, 0, &value, NULL),
                     CACHE_OK);
    ck_assert_uint_eq(value, 1235);
    ck_assert_int_eq(rig_set_filled(&rig, "key", 100000, 1), CACHE_OK);
    ck_assert_int_eq(cache_arith(rig.cache, rig.thread, "key", 3, false, 1, 0, &value, NULL),
                     CACHE_NOT_NUMBER);
}
END_TEST

START_TEST(delete_minds_the_cas_id)
{
    uint64_t cas = 0;
    ck_assert_int_eq(rig_delete(&rig, "key"), CACHE_MISS);
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "key", "1", 1, 0, 0, 0, &cas), CACHE_OK);
    ck_assert_int_eq(cache_delete(rig.cache, rig.thread, "key", 3, cas + 1), CACHE_EXISTS);
    ck_assert(value_is("1"));
    ck_assert_int_eq(cache_delete(rig.cache, rig.thread, "key", 3, cas), CACHE_OK);
    ck_assert_int_eq(rig_delete(&rig, "key"), CACHE_MISS);
    ck_assert_uint_eq(rig_stats(&rig)->sum.delete_hits, 1);
    ck_assert_uint_eq(rig_stats(&rig)->sum.used_chunks, 0);
}
END_TEST

START_TEST(what_is_dead_is_a_miss_for_every_change)
{
    uint64_t value;
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "key", "1", 1, 0, RIG_NOW + 1, 0, NULL), CACHE_OK);
    if (_i == 0) {
        cache_set_now(rig.cache, RIG_NOW + 1);
    } else {
        cache_flush(rig.cache, 0);
    }
    ck_assert_int_eq(cache_arith(rig.cache, rig.thread, "key", 3, false, 1, 0, &value, NULL),
                     CACHE_MISS);
    ck_assert_int_eq(cache_touch(rig.cache, rig.thread, "key", 3, CACHE_NEVER), CACHE_MISS);
    ck_assert_int_eq(rig_store(&rig, CACHE_REPLACE, "key", "2", 1, 0, 0, 0, NULL),
                     CACHE_NOT_STORED);
    ck_assert_int_eq(rig_store(&rig, CACHE_APPEND, "key", "2", 1, 0, 0, 0, NULL), CACHE_NOT_STORED);
    ck_assert_int_eq(rig_store(&rig, CACHE_CAS, "key", "2", 1, 0, 0, 1, NULL), CACHE_MISS);
    ck_assert_int_eq(rig_delete(&rig, "key"), CACHE_MISS);
    ck_assert_int_eq(rig_store(&rig, CACHE_ADD, "key", "3", 1, 0, 0, 0, NULL), CACHE_OK);
    ck_assert(value_is("3"));
}
END_TEST

START_TEST(touch_sets_the_expiry_and_keeps_the_rest)
{
    ck_assert_int_eq(cache_touch(rig.cache, rig.thread, "key", 3, CACHE_NEVER), CACHE_MISS);
    uint64_t cas = 0;
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "key", "1", 1, 8, RIG_NOW + 5, 0, &cas), CACHE_OK);
    cache_set_now(rig.cache, RIG_NOW + 3);
    ck_assert_int_eq(cache_touch(rig.cache, rig.thread, "key", 3, RIG_NOW + 10), CACHE_OK);
    struct got got = rig_peek(&rig, "key");
    ck_assert_int_eq(got.read.expires_at, RIG_NOW + 10);
    ck_assert_uint_eq(got.read.idle_s, 0);
    ck_assert_uint_eq(got.read.cas, cas);
    ck_assert_uint_eq(got.read.client_flags, 8);
    cache_set_now(rig.cache, RIG_NOW + 9);
    ck_assert_int_eq(cache_touch(rig.cache, rig.thread, "key", 3, CACHE_NEVER), CACHE_OK);
    cache_set_now(rig.cache, RIG_NOW + 100);
    ck_assert(value_is("1"));
    ck_assert_uint_eq(rig_stats(&rig)->sum.touch_hits, 2);
    ck_assert_uint_eq(rig_stats(&rig)->touch_misses, 1);
}
END_TEST

/* cache.h: a touch counts as a use. */
START_TEST(a_touch_counts_as_a_use)
{
    ck_assert_int_eq(rig_set(&rig, "key", "1"), CACHE_OK);
    struct cache_read read = { .key = "key", .key_len = 3 };
    ck_assert_int_eq(cache_touch(rig.cache, rig.thread, "key", 3, CACHE_NEVER), CACHE_OK);
    cache_enter(rig.thread);
    ck_assert_int_eq(cache_find_one(rig.cache, rig.thread, &read), CACHE_OK);
    ck_assert_uint_eq(read.access & ACCESS_USES_MASK, ACCESS_USE_ONE);
    ck_assert(cache_hit(rig.cache, rig.thread, &read));
    cache_leave(rig.thread);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_int_eq(cache_touch(rig.cache, rig.thread, "key", 3, CACHE_NEVER), CACHE_OK);
    }
    cache_enter(rig.thread);
    ck_assert_int_eq(cache_find_one(rig.cache, rig.thread, &read), CACHE_OK);
    ck_assert_uint_eq(read.access & ACCESS_USES_MASK, ACCESS_USES_MASK); /* three at most */
    ck_assert(cache_hit(rig.cache, rig.thread, &read));
    cache_leave(rig.thread);
}
END_TEST

/* No use: neither the time of the last one nor the mark of being read changes. */
START_TEST(a_quiet_touch_sets_the_expiry_alone)
{
    ck_assert_int_eq(cache_touch_as(rig.cache, rig.thread, "key", 3, CACHE_NEVER, CACHE_READ_QUIET),
                     CACHE_MISS);
    ck_assert_int_eq(rig_set(&rig, "key", "1"), CACHE_OK);
    cache_set_now(rig.cache, RIG_NOW + 30);
    ck_assert_int_eq(
        cache_touch_as(rig.cache, rig.thread, "key", 3, RIG_NOW + 40, CACHE_READ_QUIET), CACHE_OK);
    struct got got = rig_peek(&rig, "key");
    ck_assert_int_eq(got.read.expires_at, RIG_NOW + 40);
    ck_assert_uint_eq(got.read.idle_s, 30);
    ck_assert(!got.read.fetched);
    ck_assert_uint_eq(got.read.access & ACCESS_USES_MASK, 0);
    ck_assert_uint_eq(rig_stats(&rig)->sum.touch_hits, 1);
    ck_assert_uint_eq(rig_stats(&rig)->touch_misses, 1);
}
END_TEST

static enum cache_result
invalidate(struct cache_invalidation how)
{
    return cache_invalidate(rig.cache, rig.thread, "key", 3, &how);
}

START_TEST(what_is_invalidated_is_stale_with_its_value)
{
    uint64_t cas = 0;
    ck_assert_int_eq(invalidate((struct cache_invalidation){ .stale = true }), CACHE_MISS);
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "key", "1", 1, 6, RIG_NOW + 50, 0, &cas), CACHE_OK);
    ck_assert_int_eq(invalidate((struct cache_invalidation){ .stale = true, .cas = cas + 1 }),
                     CACHE_EXISTS);
    ck_assert(!rig_peek(&rig, "key").read.stale);
    ck_assert_int_eq(invalidate((struct cache_invalidation){ .stale = true, .cas = cas }),
                     CACHE_OK);
    struct got got = rig_peek(&rig, "key");
    ck_assert(got.read.stale && !got.read.claimed);
    ck_assert_uint_gt(got.read.cas, cas);
    ck_assert_uint_eq(got.read.client_flags, 6);
    ck_assert_int_eq(got.read.expires_at, RIG_NOW + 50);
    ck_assert(value_is("1"));
    struct cache_invalidation how = {
        .stale = true, .cas_new = 99, .set_expiry = true, .expires_at = RIG_NOW + 9
    };
    ck_assert_int_eq(invalidate(how), CACHE_OK);
    got = rig_peek(&rig, "key");
    ck_assert_uint_eq(got.read.cas, 99);
    ck_assert_int_eq(got.read.expires_at, RIG_NOW + 9);
    cache_set_now(rig.cache, RIG_NOW + 9);
    ck_assert_int_eq(invalidate(how), CACHE_MISS);
    ck_assert_uint_eq(rig_stats(&rig)->sum.delete_hits, 2);
    ck_assert_uint_eq(rig_stats(&rig)->delete_misses, 3);
}
END_TEST

/* A stale item is claimed without another reason; the next invalidation begins anew. */
START_TEST(what_is_invalidated_again_is_to_be_claimed_again)
{
    ck_assert_int_eq(rig_set(&rig, "key", "1"), CACHE_OK);
    for (unsigned round = 0; round < 3; round++) {
        ck_assert_int_eq(invalidate((struct cache_invalidation){ .stale = true }), CACHE_OK);
        for (unsigned i = 0; i < 2; i++) {
            struct cache_read read = { .key = "key", .key_len = 3 };
            cache_enter(rig.thread);
            ck_assert_int_eq(cache_find_one(rig.cache, rig.thread, &read), CACHE_OK);
            ck_assert_int_eq(cache_claim(rig.cache, &read, false),
                             i == 0 ? CACHE_CLAIM_WON : CACHE_CLAIM_TAKEN);
            ck_assert(cache_hit(rig.cache, rig.thread, &read));
            cache_leave(rig.thread);
        }
    }
}
END_TEST

/* A short value, and a long one, whose pieces are given back. */
START_TEST(a_tombstone_is_empty_and_keeps_its_id)
{
    uint64_t cas = 0;
    struct cache_invalidation how = { .drop_value = true, .cas = 1 };
    ck_assert_int_eq(invalidate((struct cache_invalidation){ .drop_value = true }), CACHE_MISS);
    rig_fill(rig.buf, 100000, 1);
    ck_assert_int_eq(
        rig_store(&rig, CACHE_SET, "key", rig.buf, _i == 0 ? 10 : 100000, 6, RIG_NOW + 50, 0, &cas),
        CACHE_OK);
    how.cas = cas + 1;
    ck_assert_int_eq(invalidate(how), CACHE_EXISTS);
    ck_assert_uint_gt(rig_peek(&rig, "key").read.value_len, 0);
    how.cas = cas;
    ck_assert_int_eq(invalidate(how), CACHE_OK);
    struct got got = rig_peek(&rig, "key");
    ck_assert_int_eq(got.result, CACHE_OK);
    ck_assert_uint_eq(got.read.value_len, 0);
    ck_assert_uint_eq(got.read.client_flags, 0);
    ck_assert_int_eq(got.read.expires_at, CACHE_NEVER);
    ck_assert_uint_eq(got.read.cas, cas);
    ck_assert(!got.read.stale);
    how.stale = true;
    ck_assert_int_eq(invalidate(how), CACHE_OK);
    ck_assert(rig_peek(&rig, "key").read.stale);
    ck_assert_uint_ne(rig_peek(&rig, "key").read.cas, cas);
    /* Emptied once more: it stays stale. */
    ck_assert_int_eq(invalidate((struct cache_invalidation){ .drop_value = true, .cas_new = 7 }),
                     CACHE_OK);
    ck_assert(rig_peek(&rig, "key").read.stale);
    ck_assert_uint_eq(rig_peek(&rig, "key").read.cas, 7);
    ck_assert_uint_eq(rig_stats(&rig)->sum.used_chunks, 1);
}
END_TEST

/* In place, and as a longer item. */
START_TEST(a_number_gets_the_id_that_is_asked_for)
{
    uint64_t value = 0;
    uint64_t cas = 0;
    ck_assert_int_eq(rig_set(&rig, "key", "8"), CACHE_OK);
    ck_assert_int_eq(
        cache_arith_as(rig.cache, rig.thread, "key", 3, false, 1, 0, 500, &value, &cas), CACHE_OK);
    ck_assert_uint_eq(cas, 500);
    ck_assert(value_is("9"));
    ck_assert_int_eq(
        cache_arith_as(rig.cache, rig.thread, "key", 3, false, 1, 499, 600, &value, &cas),
        CACHE_EXISTS);
    ck_assert_int_eq(
        cache_arith_as(rig.cache, rig.thread, "key", 3, false, 1, 500, 400, &value, &cas),
        CACHE_OK);
    ck_assert_uint_eq(cas, 400);
    ck_assert_uint_eq(value, 10);
    ck_assert(value_is("10"));
    ck_assert_uint_eq(rig_peek(&rig, "key").read.cas, 400);
    ck_assert_int_eq(cache_arith_as(rig.cache, rig.thread, "key", 3, true, 1, 400, 0, &value, &cas),
                     CACHE_OK);
    ck_assert_uint_ne(cas, 400);
    ck_assert_uint_eq(rig_peek(&rig, "key").read.cas, cas);
}
END_TEST

/* Who has won the item has not stored it yet. */
START_TEST(a_number_that_counts_on_in_place_keeps_its_marks)
{
    uint64_t value = 0;
    ck_assert_int_eq(rig_set(&rig, "key", "5"), CACHE_OK);
    ck_assert_int_eq(invalidate((struct cache_invalidation){ .stale = true }), CACHE_OK);
    ck_assert_int_eq(cache_arith(rig.cache, rig.thread, "key", 3, false, 1, 0, &value, NULL),
                     CACHE_OK);
    ck_assert(rig_peek(&rig, "key").read.stale);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("change");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, arith_counts_as_the_protocol_does, 0,
                        sizeof(sums) / sizeof(sums[0]));
    tcase_add_test(tcase, arith_minds_the_cas_id_and_counts_hits_and_misses);
    tcase_add_test(tcase, arith_reads_64_bytes_and_takes_no_half_of_a_number);
    tcase_add_test(tcase, delete_minds_the_cas_id);
    tcase_add_loop_test(tcase, what_is_dead_is_a_miss_for_every_change, 0, 2);
    tcase_add_test(tcase, touch_sets_the_expiry_and_keeps_the_rest);
    tcase_add_test(tcase, a_touch_counts_as_a_use);
    tcase_add_test(tcase, a_quiet_touch_sets_the_expiry_alone);
    tcase_add_test(tcase, what_is_invalidated_is_stale_with_its_value);
    tcase_add_test(tcase, what_is_invalidated_again_is_to_be_claimed_again);
    tcase_add_loop_test(tcase, a_tombstone_is_empty_and_keeps_its_id, 0, 2);
    tcase_add_test(tcase, a_number_gets_the_id_that_is_asked_for);
    tcase_add_test(tcase, a_number_that_counts_on_in_place_keeps_its_marks);
    return rig_run("engine/change", tcase);
}
