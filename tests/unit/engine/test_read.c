/* Reading: batches, copies and pins, and what a change in the middle does. */
#include "unit/engine/rig.h"

#include <signal.h>

static struct rig rig;
static char key[32];

static void
set_up(void)
{
    struct cache_options options = rig_options(64 * RIG_MB); /* chunks up to 16 KiB */
    rig_open(&rig, &options);
}

static void
tear_down(void)
{
    rig_close(&rig);
}

static struct cache_read
read_of(const char *text)
{
    return (struct cache_read){ .key = text, .key_len = (uint32_t)strlen(text) };
}

START_TEST(a_batch_of_the_most_reads_finds_each)
{
    static char text[CACHE_BATCH_MAX][32];
    struct cache_read reads[CACHE_BATCH_MAX];
    for (unsigned i = 0; i < CACHE_BATCH_MAX; i++) {
        ck_assert_int_eq(rig_set_filled(&rig, rig_key(text[i], "n", i), i * 700, i), CACHE_OK);
        reads[i] = read_of(text[i]);
    }
    ck_assert_int_eq(rig_delete(&rig, text[5]), CACHE_OK);
    cache_enter(rig.thread);
    cache_prefetch(rig.cache, reads, CACHE_BATCH_MAX);
    for (unsigned i = 0; i < CACHE_BATCH_MAX; i++) {
        enum cache_result result = cache_find(rig.cache, rig.thread, &reads[i]);
        ck_assert_int_eq(result, i == 5 ? CACHE_MISS : CACHE_OK);
        if (result != CACHE_OK) {
            continue;
        }
        ck_assert_uint_eq(reads[i].value_len, i * 700);
        if (reads[i].pin != NULL) {
            rig_copy_pin(&rig, reads[i].pin, i * 700, rig.buf);
        } else {
            cache_copy(rig.cache, &reads[i], rig.buf);
        }
        ck_assert(cache_hit(rig.cache, rig.thread, &reads[i]));
        ck_assert(rig_is_filled(rig.buf, i * 700, i));
        if (reads[i].pin != NULL) {
            cache_unpin(rig.cache, rig.thread, &reads[i].pin);
        }
    }
    cache_leave(rig.thread);
    ck_assert_uint_eq(rig_stats(&rig)->sum.get_hits, CACHE_BATCH_MAX - 1);
    ck_assert_uint_eq(rig_stats(&rig)->get_misses, 1);
}
END_TEST

START_TEST(a_batch_of_one_too_many_is_our_mistake)
{
    static struct cache_read reads[CACHE_BATCH_MAX + 1];
    for (unsigned i = 0; i <= CACHE_BATCH_MAX; i++) {
        reads[i] = read_of("key");
    }
    cache_prefetch(rig.cache, reads, CACHE_BATCH_MAX + 1);
}
END_TEST

START_TEST(keys_are_told_apart_to_their_last_byte)
{
    static char text[CACHE_KEY_MAX + 1];
    for (unsigned len = 1; len <= CACHE_KEY_MAX; len++) {
        text[len - 1] = 'a';
        ck_assert_int_eq(rig_store(&rig, CACHE_SET, text, &len, sizeof(len), 0, 0, 0, NULL),
                         CACHE_OK);
    }
    for (unsigned len = CACHE_KEY_MAX; len >= 1; len--) {
        text[len] = '\0';
        ck_assert_int_eq(rig_get(&rig, text).result, CACHE_OK);
        ck_assert_int_eq(memcmp(rig.buf, &len, sizeof(len)), 0);
        text[len - 1] = 'b';
        ck_assert_int_eq(rig_get(&rig, text).result, CACHE_MISS);
        text[len - 1] = 'a';
    }
}
END_TEST

START_TEST(keys_may_hold_any_byte)
{
    const char one[] = { 'a', 0, 'b' };
    const char two[] = { 'a', 0, 'c' };
    struct cache_store store;
    ck_assert_int_eq(cache_store_begin(rig.cache, rig.thread, one, 3, 0, 0, 0, &store), CACHE_OK);
    ck_assert_uint_eq(store.room, 0);
    ck_assert_int_eq(cache_store_commit(rig.cache, rig.thread, &store, CACHE_SET, 0, NULL),
                     CACHE_OK);
    ck_assert_int_eq(rig_get_bytes(&rig, one, 3, CACHE_READ_HIT).result, CACHE_OK);
    ck_assert_int_eq(rig_get_bytes(&rig, two, 3, CACHE_READ_HIT).result, CACHE_MISS);
}
END_TEST

enum change {
    OVERWRITTEN,
    DELETED,
    COUNTED,
    EVICTED,
};

START_TEST(a_change_between_find_and_hit_is_noticed)
{
    ck_assert_int_eq(rig_set(&rig, "key", "17"), CACHE_OK);
    struct cache_read read = read_of("key");
    cache_enter(rig.thread);
    ck_assert_int_eq(cache_find_one(rig.cache, rig.thread, &read), CACHE_OK);
    uint64_t value;
    switch ((enum change)_i) {
    case OVERWRITTEN:
        ck_assert_int_eq(rig_set(&rig, "key", "18"), CACHE_OK);
        break;
    case DELETED:
        ck_assert_int_eq(rig_delete(&rig, "key"), CACHE_OK);
        break;
    case COUNTED:
        ck_assert_int_eq(cache_arith(rig.cache, rig.thread, "key", 3, false, 1, 0, &value, NULL),
                         CACHE_OK);
        break;
    case EVICTED: {
        struct size_class *class = &rig.cache->size_class[read.class_id];
        lock_acquire(&class->lock);
        ck_assert(evict_item(rig.cache, class, (uint32_t)read.ref));
        lock_release(&class->lock);
        break;
    }
    }
    cache_copy(rig.cache, &read, rig.buf);
    ck_assert(!cache_hit(rig.cache, rig.thread, &read));
    enum cache_result again = cache_find(rig.cache, rig.thread, &read);
    if (_i == DELETED || _i == EVICTED) {
        ck_assert_int_eq(again, CACHE_MISS);
    } else {
        ck_assert_int_eq(again, CACHE_OK);
        cache_copy(rig.cache, &read, rig.buf);
        ck_assert(cache_hit(rig.cache, rig.thread, &read));
        ck_assert_int_eq(memcmp(rig.buf, "18", 2), 0);
    }
    cache_leave(rig.thread);
}
END_TEST

/* After some tries the bucket is locked from find to hit, so that a busy key is read in the end. */
START_TEST(a_read_that_is_overtaken_again_and_again_takes_the_lock)
{
    ck_assert_int_eq(rig_set(&rig, "key", "0"), CACHE_OK);
    struct cache_read read = read_of("key");
    cache_enter(rig.thread);
    cache_prefetch(rig.cache, &read, 1);
    unsigned tries = 0;
    for (;; tries++) {
        ck_assert_int_eq(cache_find(rig.cache, rig.thread, &read), CACHE_OK);
        if (read.locked) {
            break;
        }
        ck_assert_uint_lt(tries, 10);
        ck_assert_int_eq(rig_set(&rig, "key", "1"), CACHE_OK);
        ck_assert(!cache_hit(rig.cache, rig.thread, &read));
    }
    ck_assert_uint_ge(tries, 1);
    cache_copy(rig.cache, &read, rig.buf);
    ck_assert(cache_hit(rig.cache, rig.thread, &read));
    cache_leave(rig.thread);
    ck_assert_int_eq(rig_set(&rig, "key", "2"), CACHE_OK); /* the lock has been let go */
}
END_TEST

START_TEST(a_hit_leaves_its_trace_and_a_quiet_read_none)
{
    ck_assert_int_eq(rig_set(&rig, "key", "v"), CACHE_OK);
    cache_set_now(rig.cache, RIG_NOW + 100);
    struct got got = rig_peek(&rig, "key");
    ck_assert(!got.read.fetched);
    ck_assert_uint_eq(got.read.idle_s, 100);
    got = rig_get(&rig, "key");
    ck_assert(!got.read.fetched); /* what it was before this read */
    ck_assert_uint_eq(got.read.idle_s, 100);
    got = rig_peek(&rig, "key");
    ck_assert(got.read.fetched);
    ck_assert_uint_eq(got.read.idle_s, 0);
    cache_set_now(rig.cache, RIG_NOW + 107);
    ck_assert_uint_eq(rig_peek(&rig, "key").read.idle_s, 7);
}
END_TEST

/* Each mode: whether it is a use of the item, and whether it is counted. */
START_TEST(a_read_counts_as_its_mode_says)
{
    static const struct {
        enum cache_read_mode mode;
        bool use;
        unsigned counted;
    } rows[] = { { CACHE_READ_HIT, true, 1 },
                 { CACHE_READ_QUIET, false, 1 },
                 { CACHE_READ_USE, true, 0 },
                 { CACHE_READ_PEEK, false, 0 } };
    ck_assert_int_eq(rig_set(&rig, "key", "v"), CACHE_OK);
    ck_assert_int_eq(rig_get_bytes(&rig, "key", 3, rows[_i].mode).result, CACHE_OK);
    ck_assert_int_eq(rig_get_bytes(&rig, "none", 4, rows[_i].mode).result, CACHE_MISS);
    ck_assert_uint_eq(rig_stats(&rig)->sum.get_hits, rows[_i].counted);
    ck_assert_uint_eq(rig_stats(&rig)->get_misses, rows[_i].counted);
    ck_assert_int_eq(rig_peek(&rig, "key").read.fetched, rows[_i].use);
}
END_TEST

/** Looks, asks for the claim, and hits. */
static enum cache_claim
claim_of(const char *text, bool due)
{
    struct cache_read read = read_of(text);
    cache_enter(rig.thread);
    ck_assert_int_eq(cache_find_one(rig.cache, rig.thread, &read), CACHE_OK);
    enum cache_claim claim = cache_claim(rig.cache, &read, due);
    ck_assert(cache_hit(rig.cache, rig.thread, &read));
    if (read.pin != NULL) {
        cache_unpin(rig.cache, rig.thread, &read.pin);
    }
    cache_leave(rig.thread);
    return claim;
}

/* A short value, and one that is pinned. */
START_TEST(a_claim_is_won_once_until_the_item_is_stored_again)
{
    size_t len = _i == 0 ? 10 : 100000;
    ck_assert_int_eq(rig_set_filled(&rig, "key", len, 1), CACHE_OK);
    ck_assert_int_eq(claim_of("key", false), CACHE_CLAIM_NONE);
    ck_assert_int_eq(claim_of("key", true), CACHE_CLAIM_WON);
    ck_assert_int_eq(claim_of("key", true), CACHE_CLAIM_TAKEN);
    ck_assert_int_eq(claim_of("key", false), CACHE_CLAIM_TAKEN);
    ck_assert(rig_peek(&rig, "key").read.claimed);
    ck_assert_int_eq(cache_touch(rig.cache, rig.thread, "key", 3, CACHE_NEVER), CACHE_OK);
    ck_assert_int_eq(claim_of("key", true), CACHE_CLAIM_TAKEN);
    ck_assert_int_eq(rig_set_filled(&rig, "key", len, 2), CACHE_OK);
    ck_assert(!rig_peek(&rig, "key").read.claimed);
    ck_assert_int_eq(claim_of("key", true), CACHE_CLAIM_WON);
    ck_assert(rig_holds_filled(&rig, "key", len, 2));
}
END_TEST

/* Both have seen the item unclaimed before either asks. */
START_TEST(of_two_reads_at_once_one_wins_the_claim)
{
    struct cache_read reads[2] = { read_of("key"), read_of("key") };
    ck_assert_int_eq(rig_set(&rig, "key", "v"), CACHE_OK);
    cache_enter(rig.thread);
    cache_prefetch(rig.cache, reads, 2);
    ck_assert_int_eq(cache_find(rig.cache, rig.thread, &reads[0]), CACHE_OK);
    ck_assert_int_eq(cache_find(rig.cache, rig.thread, &reads[1]), CACHE_OK);
    ck_assert_int_eq(cache_claim(rig.cache, &reads[0], true), CACHE_CLAIM_WON);
    ck_assert_int_eq(cache_claim(rig.cache, &reads[1], true), CACHE_CLAIM_TAKEN);
    ck_assert(cache_hit(rig.cache, rig.thread, &reads[0]));
    ck_assert(cache_hit(rig.cache, rig.thread, &reads[1]));
    cache_leave(rig.thread);
}
END_TEST

/* The item that was found has gone: its successor must not be marked. */
START_TEST(a_claim_on_an_item_that_was_replaced_is_void)
{
    struct cache_read read = read_of("key");
    ck_assert_int_eq(rig_set(&rig, "key", "1"), CACHE_OK);
    cache_enter(rig.thread);
    ck_assert_int_eq(cache_find_one(rig.cache, rig.thread, &read), CACHE_OK);
    ck_assert_int_eq(rig_set(&rig, "key", "2"), CACHE_OK);
    ck_assert_int_eq(cache_claim(rig.cache, &read, true), CACHE_CLAIM_NONE);
    ck_assert(!cache_hit(rig.cache, rig.thread, &read));
    cache_leave(rig.thread);
    ck_assert(!rig_peek(&rig, "key").read.claimed);
}
END_TEST

/* A pin keeps what was found readable, though it is not in the index any more. */
START_TEST(a_claim_on_a_pinned_item_that_was_deleted_is_taken)
{
    struct cache_read read = read_of("key");
    ck_assert_int_eq(rig_set_filled(&rig, "key", 100000, 1), CACHE_OK);
    cache_enter(rig.thread);
    ck_assert_int_eq(cache_find_one(rig.cache, rig.thread, &read), CACHE_OK);
    ck_assert_ptr_nonnull(read.pin);
    ck_assert_int_eq(rig_delete(&rig, "key"), CACHE_OK);
    ck_assert_int_eq(cache_claim(rig.cache, &read, true), CACHE_CLAIM_TAKEN);
    ck_assert(cache_hit(rig.cache, rig.thread, &read));
    cache_unpin(rig.cache, rig.thread, &read.pin);
    cache_leave(rig.thread);
}
END_TEST

/* From find to hit it holds the lock that the claim would take. */
START_TEST(a_claim_of_a_read_that_holds_its_bucket_takes_no_lock)
{
    struct cache_read read = read_of("key");
    ck_assert_int_eq(rig_set(&rig, "key", "0"), CACHE_OK);
    cache_enter(rig.thread);
    cache_prefetch(rig.cache, &read, 1);
    for (unsigned tries = 0; tries < 10; tries++) {
        ck_assert_int_eq(cache_find(rig.cache, rig.thread, &read), CACHE_OK);
        if (read.locked) {
            break;
        }
        ck_assert_int_eq(rig_set(&rig, "key", "1"), CACHE_OK);
        ck_assert(!cache_hit(rig.cache, rig.thread, &read));
    }
    ck_assert(read.locked);
    ck_assert_int_eq(cache_claim(rig.cache, &read, true), CACHE_CLAIM_WON);
    ck_assert(cache_hit(rig.cache, rig.thread, &read));
    cache_leave(rig.thread);
    ck_assert_int_eq(claim_of("key", true), CACHE_CLAIM_TAKEN);
}
END_TEST

START_TEST(what_is_pinned_is_what_a_chunk_cannot_hold)
{
    uint32_t largest = rig.cache->chunk_max - 20 - 3;
    ck_assert_uint_le(largest, CACHE_COPY_MAX);
    ck_assert_int_eq(rig_set_filled(&rig, "key", largest, 1), CACHE_OK);
    ck_assert(!rig_get(&rig, "key").pinned);
    ck_assert_int_eq(rig_set_filled(&rig, "key", largest + 1, 1), CACHE_OK);
    struct got got = rig_get(&rig, "key");
    ck_assert(got.pinned);
    ck_assert_uint_eq(got.read.class_id, rig.cache->classes);
    ck_assert_uint_eq(got.read.value_len, largest + 1);
}
END_TEST

START_TEST(a_cache_without_cas_ids_reads_them_as_0)
{
    struct rig other;
    struct cache_options options = rig_options(1 * RIG_MB);
    options.cas_disabled = true;
    rig_open(&other, &options);
    uint64_t cas = 1;
    ck_assert_int_eq(rig_store(&other, CACHE_SET, "key", "value", 5, 9, 0, 0, &cas), CACHE_OK);
    ck_assert_uint_eq(cas, 0);
    struct got got = rig_get(&other, "key");
    ck_assert_uint_eq(got.read.cas, 0);
    ck_assert_uint_eq(got.read.client_flags, 9);
    ck_assert_int_eq(memcmp(other.buf, "value", 5), 0);
    ck_assert_int_eq(rig_store(&other, CACHE_CAS, "key", "x", 1, 0, 0, 0, NULL), CACHE_EXISTS);
    rig_close(&other);
}
END_TEST

START_TEST(reads_of_one_line_of_the_index_do_not_mix)
{
    struct rig other;
    struct cache_options options = rig_options(1 * RIG_MB);
    rig_open(&other, &options);
    for (unsigned i = 0; i < 2000; i++) {
        ck_assert_int_eq(rig_set_filled(&other, rig_key(key, "n", i), 10, i), CACHE_OK);
        for (unsigned k = i > 20 ? i - 20 : 0; k <= i; k++) {
            ck_assert(rig_holds_filled(&other, rig_key(key, "n", k), 10, k));
        }
    }
    rig_close(&other);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("read");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_batch_of_the_most_reads_finds_each);
    tcase_add_test_raise_signal(tcase, a_batch_of_one_too_many_is_our_mistake, SIGABRT);
    tcase_add_test(tcase, keys_are_told_apart_to_their_last_byte);
    tcase_add_test(tcase, keys_may_hold_any_byte);
    tcase_add_loop_test(tcase, a_change_between_find_and_hit_is_noticed, OVERWRITTEN, EVICTED + 1);
    tcase_add_test(tcase, a_read_that_is_overtaken_again_and_again_takes_the_lock);
    tcase_add_test(tcase, a_hit_leaves_its_trace_and_a_quiet_read_none);
    tcase_add_loop_test(tcase, a_read_counts_as_its_mode_says, 0, 4);
    tcase_add_loop_test(tcase, a_claim_is_won_once_until_the_item_is_stored_again, 0, 2);
    tcase_add_test(tcase, of_two_reads_at_once_one_wins_the_claim);
    tcase_add_test(tcase, a_claim_on_an_item_that_was_replaced_is_void);
    tcase_add_test(tcase, a_claim_on_a_pinned_item_that_was_deleted_is_taken);
    tcase_add_test(tcase, a_claim_of_a_read_that_holds_its_bucket_takes_no_lock);
    tcase_add_test(tcase, what_is_pinned_is_what_a_chunk_cannot_hold);
    tcase_add_test(tcase, a_cache_without_cas_ids_reads_them_as_0);
    tcase_add_test(tcase, reads_of_one_line_of_the_index_do_not_mix);
    return rig_run("engine/read", tcase);
}
