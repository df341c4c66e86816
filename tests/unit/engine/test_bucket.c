/* One line of the index: its word, and the search for tags. */
#include "unit/engine/rig.h"

#include "engine/find.h"

#include <signal.h>

static struct bucket bucket;

static void
set_up(void)
{
    memset(&bucket, 0, sizeof(bucket));
}

START_TEST(a_change_is_seen_and_a_lock_alone_is_not)
{
    uint32_t word = bucket_read_begin(&bucket);
    ck_assert(bucket_read_valid(&bucket, word));
    bucket_lock(&bucket);
    ck_assert(bucket_read_valid(&bucket, word));
    bucket_unlock(&bucket);
    ck_assert(bucket_read_valid(&bucket, word));
    bucket_lock(&bucket);
    ck_assert(bucket_read_valid(&bucket, bucket_read_begin(&bucket))); /* begun under a lock */
    bucket_change_begin(&bucket);
    ck_assert(!bucket_read_valid(&bucket, word));
    bucket_change_end(&bucket);
    ck_assert(!bucket_read_valid(&bucket, word));
    bucket_unlock(&bucket);
    ck_assert(!bucket_read_valid(&bucket, word));
    word = bucket_read_begin(&bucket);
    ck_assert(bucket_read_valid(&bucket, word));
}
END_TEST

START_TEST(the_version_wraps_and_leaves_the_other_bits)
{
    atomic_store_explicit(&bucket.word, UINT32_MAX - BUCKET_LOCKED - BUCKET_CHANGING,
                          memory_order_relaxed);
    uint32_t word = bucket_read_begin(&bucket);
    bucket_lock(&bucket);
    bucket_change_begin(&bucket);
    bucket_change_end(&bucket);
    bucket_unlock(&bucket);
    ck_assert(!bucket_read_valid(&bucket, word));
    ck_assert_uint_eq(bucket_word(&bucket), BUCKET_CHAINED);
}
END_TEST

START_TEST(a_chained_bucket_has_one_slot_less)
{
    ck_assert_uint_eq(bucket_slots(0), BUCKET_SLOTS);
    ck_assert_uint_eq(bucket_slots(BUCKET_CHAINED), BUCKET_SLOTS - 1);
    ck_assert_uint_eq(bucket_slots(BUCKET_LOCKED | BUCKET_CHANGING), BUCKET_SLOTS);
}
END_TEST

START_TEST(tags_are_matched_as_one_by_one)
{
    struct rng rng;
    rng_init(&rng, 1);
    /* Neighbours of the tag, so that borrows and carries between the lanes would show. */
    static const uint16_t offsets[] = { 0, 0, 1, 0xffff, 0x8000, 0x7fff, 0x0100 };
    for (unsigned round = 0; round < 200000; round++) {
        uint16_t tag =
            round % 5 == 0 ? (uint16_t)(round % 3 == 0 ? 0 : 0xffff) : (uint16_t)rng_next(&rng);
        unsigned expected = 0;
        for (unsigned slot = 0; slot < BUCKET_SLOTS; slot++) {
            uint16_t other = (uint16_t)(tag + offsets[rng_below(&rng, 7)]);
            bucket_set(&bucket, slot, other, slot + 1);
            expected |= (unsigned)(other == tag) << slot;
        }
        ck_assert_uint_eq(bucket_match(&bucket, tag), expected);
    }
}
END_TEST

#ifdef LARDER_DEBUG

START_TEST(a_change_without_the_lock_stops_a_debug_build)
{
    bucket_change_begin(&bucket);
}
END_TEST

START_TEST(unlocking_within_a_change_stops_a_debug_build)
{
    bucket_lock(&bucket);
    bucket_change_begin(&bucket);
    bucket_unlock(&bucket);
}
END_TEST

#endif

int
main(void)
{
    TCase *tcase = tcase_create("bucket");
    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, a_change_is_seen_and_a_lock_alone_is_not);
    tcase_add_test(tcase, the_version_wraps_and_leaves_the_other_bits);
    tcase_add_test(tcase, a_chained_bucket_has_one_slot_less);
    tcase_add_test(tcase, tags_are_matched_as_one_by_one);
#ifdef LARDER_DEBUG
    tcase_add_test_raise_signal(tcase, a_change_without_the_lock_stops_a_debug_build, SIGABRT);
    tcase_add_test_raise_signal(tcase, unlocking_within_a_change_stops_a_debug_build, SIGABRT);
#endif
    return rig_run("engine/bucket", tcase);
}
