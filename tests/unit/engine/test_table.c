/* The index by itself: chains up to their bound, growth, and what it does without room in the
 * budget. */
#include "unit/engine/rig.h"

#define REFS_MAX 300000u
/* Items in a chain of TABLE_CHAIN_MAX buckets: the last has all its slots, the others one for the
 * link. */
#define CHAIN_ITEMS_MAX ((TABLE_CHAIN_MAX - 1) * (BUCKET_SLOTS - 1) + BUCKET_SLOTS)
#define BUCKETS_FIRST   64u /* of a new table */

static struct pages pages;
static struct table table;
static uint64_t hashes[REFS_MAX + 1]; /* by ref */

static uint64_t
hash_of(void *arg, uint32_t ref)
{
    rig_must(arg == hashes);
    rig_must(ref <= REFS_MAX);
    return hashes[ref];
}

static void
set_up(void)
{
    ck_assert(pages_init(&pages, 64 * RIG_MB, false, NULL));
    ck_assert(table_init(&table, &pages, hash_of, hashes));
}

static void
tear_down(void)
{
    table_check(&table);
    table_fini(&table);
    pages_check(&pages);
    pages_fini(&pages);
}

static bool
insert(uint32_t ref, uint64_t hash)
{
    hashes[ref] = hash;
    struct bucket *head = table_lock(&table, hash);
    bucket_change_begin(head);
    bool inserted = table_insert(&table, head, table_tag(hash), ref);
    bucket_change_end(head);
    bucket_unlock(head);
    return inserted;
}

static bool
is_there(uint32_t ref)
{
    struct bucket *head = table_lock(&table, hashes[ref]);
    struct table_place place;
    bool found = table_find_ref(&table, head, ref, &place);
    if (found) {
        rig_must(bucket_ref(place.bucket, place.slot) == ref);
        ck_assert_uint_eq(bucket_tag(place.bucket, place.slot), table_tag(hashes[ref]));
    }
    bucket_unlock(head);
    return found;
}

static void
take_out(uint32_t ref)
{
    struct bucket *head = table_lock(&table, hashes[ref]);
    struct table_place place;
    rig_must(table_find_ref(&table, head, ref, &place));
    bucket_change_begin(head);
    table_remove(&table, &place);
    bucket_change_end(head);
    bucket_unlock(head);
}

START_TEST(a_slot_is_the_same_before_and_after_a_split_or_moves_to_the_new_bucket)
{
    struct rng rng;
    rng_init(&rng, 1);
    for (uint32_t count = BUCKETS_FIRST; count < 5000; count++) {
        uint64_t hash = rng_next(&rng);
        uint32_t before = table_slot_of(hash, count);
        uint32_t after = table_slot_of(hash, count + 1);
        ck_assert_uint_lt(before, count);
        ck_assert(after == before || after == count);
    }
}
END_TEST

START_TEST(a_chain_takes_its_bound_and_not_one_more)
{
    struct rng rng;
    rng_init(&rng, 2);
    for (uint32_t ref = 1; ref <= CHAIN_ITEMS_MAX; ref++) {
        ck_assert(insert(ref, (uint64_t)(ref % 3) << 48));
        ck_assert_uint_eq(table_check(&table), ref);
    }
    ck_assert_uint_eq(table.overflow_used, TABLE_CHAIN_MAX - 1);
    ck_assert(!insert(CHAIN_ITEMS_MAX + 1, 0));
    ck_assert_uint_eq(table_check(&table), CHAIN_ITEMS_MAX);
    ck_assert(insert(CHAIN_ITEMS_MAX + 1, 1)); /* another bucket has room */

    static uint32_t left[CHAIN_ITEMS_MAX];
    for (uint32_t i = 0; i < CHAIN_ITEMS_MAX; i++) {
        left[i] = i + 1;
    }
    for (uint32_t count = CHAIN_ITEMS_MAX; count > 0; count--) {
        uint32_t i = (uint32_t)rng_below(&rng, count);
        ck_assert(is_there(left[i]));
        take_out(left[i]);
        ck_assert(!is_there(left[i]));
        left[i] = left[count - 1];
        ck_assert_uint_eq(table_check(&table), count);
    }
    ck_assert_uint_eq(table.overflow_used, 0);
}
END_TEST

START_TEST(a_chain_keeps_its_length_when_items_come_and_go)
{
    struct rng rng;
    rng_init(&rng, 3);
    static bool there[200];
    uint32_t count = 0;
    for (unsigned step = 0; step < 20000; step++) {
        uint32_t ref = 1 + (uint32_t)rng_below(&rng, 199);
        if (there[ref]) {
            take_out(ref);
            count--;
        } else {
            ck_assert(insert(ref, (uint64_t)ref << 48));
            count++;
        }
        there[ref] = !there[ref];
        ck_assert_uint_eq(table_check(&table), count);
        uint32_t links = count <= BUCKET_SLOTS
                             ? 0
                             : (count - BUCKET_SLOTS + BUCKET_SLOTS - 2) / (BUCKET_SLOTS - 1);
        ck_assert_uint_ge(table.overflow_used, links);
        ck_assert_uint_le(table.overflow_used, links + 1);
    }
}
END_TEST

START_TEST(a_split_of_the_longest_chain_takes_no_overflow_bucket_more)
{
    /* All into one chain: half of them, some or none belong to the bucket that the split makes. */
    struct rng rng;
    rng_init(&rng, 4);
    for (uint32_t ref = 1; ref <= CHAIN_ITEMS_MAX; ref++) {
        uint64_t high = _i == 0   ? rng_below(&rng, 2)
                        : _i == 1 ? rng_below(&rng, 20) == 0
                        : _i == 2 ? 1
                                  : 0;
        ck_assert(insert(ref, rng_next(&rng) << 32 | high * BUCKETS_FIRST));
    }
    uint32_t before = table.overflow_used;
    table_grow(&table, REFS_MAX);
    ck_assert_uint_gt(table_count(&table), BUCKETS_FIRST);
    ck_assert_uint_eq(table_check(&table), CHAIN_ITEMS_MAX);
    ck_assert_uint_le(table.overflow_used, before);
    for (uint32_t ref = 1; ref <= CHAIN_ITEMS_MAX; ref++) {
        ck_assert(is_there(ref));
    }
}
END_TEST

START_TEST(a_table_grows_a_bucket_at_a_time_and_loses_nothing)
{
    struct rng rng;
    rng_init(&rng, 5);
    for (uint32_t ref = 1; ref <= REFS_MAX; ref++) {
        rig_must(insert(ref, rng_next(&rng)));
        uint32_t before = table_count(&table);
        table_grow(&table, ref);
        rig_must(table_count(&table) - before <= 2);
        if (ref % 30000 == 0 || ref < 1000) {
            ck_assert_uint_eq(table_check(&table), ref);
        }
    }
    ck_assert_uint_ge(table_count(&table), REFS_MAX / BUCKET_SLOTS);
    ck_assert(!table_is_growing(&table, REFS_MAX));
    for (uint32_t ref = 1; ref <= REFS_MAX; ref++) {
        rig_must(is_there(ref));
    }
    for (uint32_t ref = 1; ref <= REFS_MAX; ref++) {
        take_out(ref);
    }
    ck_assert_uint_eq(table_check(&table), 0);
    ck_assert_uint_eq(table.overflow_used, 0);
}
END_TEST

START_TEST(growth_without_budget_stops_says_so_and_goes_on_with_credit)
{
    struct rng rng;
    rng_init(&rng, 6);
    uint64_t limit =
        atomic_load_explicit(&pages.limit, memory_order_relaxed); /* relaxed: one thread */
    uint64_t rest = limit - atomic_load_explicit(&pages.used, memory_order_relaxed);
    ck_assert(pages_charge(&pages, rest, 0));
    ck_assert(!table_take_starved(&table));
    table_grow(&table, 1000000);
    ck_assert_uint_eq(table_count(&table), BUCKETS_FIRST);
    ck_assert(table_is_growing(&table, 1000000));
    ck_assert(table_is_starved(&table));
    ck_assert(table_take_starved(&table));
    ck_assert(!table_take_starved(&table));
    uint64_t bytes = table_bytes(&table);
    table_add_credit(&table,
                     64 * sizeof(struct bucket) - 1); /* what is charged at once, and a byte less */
    table_grow(&table, 1000000);
    ck_assert_uint_eq(table_count(&table), BUCKETS_FIRST);
    table_add_credit(&table, 1);
    for (unsigned i = 0; i < 100; i++) {
        table_grow(&table, 1000000);
    }
    ck_assert_uint_eq(table_count(&table), 2 * BUCKETS_FIRST);
    ck_assert_uint_eq(table_bytes(&table), bytes + BUCKETS_FIRST * sizeof(struct bucket));
    ck_assert_uint_eq(atomic_load_explicit(&pages.used, memory_order_relaxed),
                      limit); /* relaxed: one thread */
    pages_uncharge(&pages, rest);
}
END_TEST

START_TEST(overflow_buckets_end_at_their_slack)
{
    while (table_count(&table) <
           4 * BUCKETS_FIRST) { /* fewer chains would end at TABLE_CHAIN_MAX first */
        table_grow(&table, REFS_MAX);
    }
    uint64_t limit =
        atomic_load_explicit(&pages.limit, memory_order_relaxed); /* relaxed: one thread */
    uint64_t rest = limit - atomic_load_explicit(&pages.used, memory_order_relaxed);
    ck_assert(pages_charge(&pages, rest, 0));
    uint32_t ref = 0;
    do {
        ref++;
        ck_assert_uint_lt(ref, REFS_MAX);
    } while (insert(ref, ref % (4 * BUCKETS_FIRST)));
    ck_assert(table_take_starved(&table));
    ck_assert_uint_eq(table_check(&table), ref - 1);
    ck_assert_uint_eq(table.overflow_charged, (uint64_t)256 << 10);
    ck_assert_uint_eq(table.overflow_used,
                      table.overflow_charged / sizeof(struct bucket) - 1); /* 0 is not used */
    take_out(1);
    ck_assert(insert(ref + 1, 1));
    ck_assert_uint_eq(table_check(&table), ref - 1);
    pages_uncharge(&pages, rest);
}
END_TEST

START_TEST(an_index_of_a_million_items_is_whole)
{
    struct rig rig;
    struct cache_options options = rig_options(256 * RIG_MB);
    rig_open(&rig, &options);
    char key[32];
    for (unsigned i = 0; i < 1000000; i++) {
        rig_must(rig_set(&rig, rig_key(key, "m", i), "v") == CACHE_OK);
        if ((i & (i - 1)) == 0) {
            cache_check(rig.cache);
        }
    }
    const struct cache_stats *stats = rig_stats(&rig);
    ck_assert_uint_eq(stats->items, 1000000);
    ck_assert_uint_ge(stats->index_buckets, 1000000 / BUCKET_SLOTS);
    ck_assert_uint_le(stats->index_bytes, 1000000 * 12);
    for (unsigned i = 0; i < 1000000; i++) {
        rig_must(rig_peek(&rig, rig_key(key, "m", i)).result == CACHE_OK);
    }
    rig_close(&rig);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("table");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_slot_is_the_same_before_and_after_a_split_or_moves_to_the_new_bucket);
    tcase_add_test(tcase, a_chain_takes_its_bound_and_not_one_more);
    tcase_add_test(tcase, a_chain_keeps_its_length_when_items_come_and_go);
    tcase_add_loop_test(tcase, a_split_of_the_longest_chain_takes_no_overflow_bucket_more, 0, 4);
    tcase_add_test(tcase, a_table_grows_a_bucket_at_a_time_and_loses_nothing);
    tcase_add_test(tcase, growth_without_budget_stops_says_so_and_goes_on_with_credit);
    tcase_add_test(tcase, overflow_buckets_end_at_their_slack);
    tcase_add_test(tcase, an_index_of_a_million_items_is_whole);
    return rig_run("engine/table", tcase);
}
