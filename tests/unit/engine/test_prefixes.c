/* Flushing and bypassing all keys that begin alike. */
#include "unit/engine/rig.h"

#include "engine/prefixes.h"
#include "engine/store.h"

static struct rig rig;
static char key[32];

static void
set_up(void)
{
    struct cache_options options = rig_options(16 * RIG_MB);
    rig_open(&rig, &options);
}

static void
tear_down(void)
{
    rig_close(&rig);
}

static bool
is_there(const char *text)
{
    return rig_peek(&rig, text).result == CACHE_OK;
}

static bool
flush(const char *prefix)
{
    return cache_flush_prefix(rig.cache, prefix, (uint32_t)strlen(prefix));
}

static bool
bypass(const char *prefix, bool on)
{
    return cache_bypass_prefix(rig.cache, prefix, (uint32_t)strlen(prefix), on);
}

static unsigned
notes(void)
{
    return atomic_load_explicit(&rig.cache->prefixes.count, memory_order_relaxed);
}

static uint64_t
high(void)
{
    return atomic_load_explicit(&rig.cache->prefixes.cas_high, memory_order_relaxed);
}

START_TEST(a_flush_takes_the_keys_of_its_prefix_alone)
{
    static const char *const gone[] = { "user:", "user:1", "user:2:x" };
    static const char *const kept[] = { "user", "users:1", "User:1", "x:user:1" };
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(rig_set(&rig, gone[i], "value"), CACHE_OK);
    }
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(rig_set(&rig, kept[i], "value"), CACHE_OK);
    }
    ck_assert(flush("user:"));
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_msg(!is_there(gone[i]), "%s", gone[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_msg(is_there(kept[i]), "%s", kept[i]);
    }
    ck_assert_uint_eq(rig_stats(&rig)->get_flushed, 3);
}
END_TEST

START_TEST(what_is_stored_after_a_flush_lives)
{
    ck_assert_int_eq(rig_set(&rig, "a:1", "old"), CACHE_OK);
    ck_assert(flush("a:"));
    ck_assert_int_eq(rig_set(&rig, "a:1", "new"), CACHE_OK);
    ck_assert(is_there("a:1"));
    rig_settle_long(&rig, 3);
    ck_assert(is_there("a:1"));
    ck_assert(flush("a:"));
    ck_assert(!is_there("a:1"));
}
END_TEST

START_TEST(an_empty_prefix_is_all_keys)
{
    ck_assert_int_eq(rig_set(&rig, "a", "1"), CACHE_OK);
    ck_assert_int_eq(rig_set(&rig, "b", "1"), CACHE_OK);
    ck_assert(flush(""));
    ck_assert(!is_there("a") && !is_there("b"));
}
END_TEST

START_TEST(the_memory_comes_back_and_the_note_goes)
{
    for (unsigned i = 0; i < 20000; i++) {
        ck_assert_int_eq(rig_set_filled(&rig, rig_key(key, "gone", i), 100, i), CACHE_OK);
        rig_must(rig_set_filled(&rig, rig_key(key, "kept", i), 20, i) == CACHE_OK);
    }
    ck_assert(flush("gone:"));
    ck_assert_uint_eq(notes(), 1);
    rig_settle_long(&rig, 4);
    ck_assert_uint_eq(rig_stats(&rig)->items, 20000);
    ck_assert_uint_eq(notes(), 0);
    ck_assert_uint_eq(high(), 0);
    for (unsigned i = 0; i < 20000; i++) {
        rig_must(rig_holds_filled(&rig, rig_key(key, "kept", i), 20, i));
    }
}
END_TEST

START_TEST(nothing_made_of_an_old_value_survives)
{
    uint64_t cas = 0;
    uint64_t value;
    static const char *const keys[] = {
        "a:incr", "a:long", "a:append", "a:cas", "a:touch", "a:mark"
    };
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_int_eq(rig_store(&rig, CACHE_SET, keys[i], "9", 1, 0, CACHE_NEVER, 0, &cas),
                         CACHE_OK);
        ck_assert(flush("a:"));
        switch (i) {
        case 0:
        case 1:
            ck_assert_int_eq(cache_arith(rig.cache, rig.thread, keys[i], 6, false, i == 0 ? 0 : 99,
                                         0, &value, NULL),
                             CACHE_MISS);
            break;
        case 2:
            ck_assert_int_eq(rig_store(&rig, CACHE_APPEND, keys[i], "x", 1, 0, 0, 0, NULL),
                             CACHE_NOT_STORED);
            break;
        case 3:
            ck_assert_int_eq(rig_store(&rig, CACHE_CAS, keys[i], "x", 1, 0, 0, cas, NULL),
                             CACHE_MISS);
            break;
        case 4:
            ck_assert_int_eq(cache_touch(rig.cache, rig.thread, keys[i], 7, CACHE_NEVER),
                             CACHE_MISS);
            break;
        default: {
            struct cache_invalidation how = { .stale = true };
            ck_assert_int_eq(cache_invalidate(rig.cache, rig.thread, keys[i], 6, &how), CACHE_MISS);
        }
        }
        ck_assert(!is_there(keys[i]));
    }
}
END_TEST

START_TEST(an_id_of_a_clients_choice_does_not_outlive_a_flush)
{
    static const uint64_t ids[] = { 5, 1000000, (uint64_t)1 << 60, UINT64_MAX - 1 };
    struct cache_store store;
    ck_assert_int_eq(cache_store_begin(rig.cache, rig.thread, "a:1", 3, 1, 0, CACHE_NEVER, &store),
                     CACHE_OK);
    ck_assert_int_eq(cache_store_write(rig.cache, rig.thread, &store, "1", 1), CACHE_OK);
    store.cas_new = ids[_i];
    ck_assert_int_eq(cache_store_commit(rig.cache, rig.thread, &store, CACHE_SET, 0, NULL),
                     CACHE_OK);
    ck_assert(is_there("a:1"));
    ck_assert(flush("a:"));
    ck_assert(!is_there("a:1"));
    rig_settle_long(&rig, 3);
    ck_assert_uint_eq(rig_stats(&rig)->items, 0);
    ck_assert_int_eq(rig_set(&rig, "a:1", "new"), CACHE_OK);
    ck_assert(is_there("a:1"));
}
END_TEST

START_TEST(many_prefixes_can_be_flushed_and_a_full_list_is_swept_first)
{
    for (unsigned i = 0; i < CACHE_PREFIXES_MAX + 10; i++) {
        rig_key(key, "p", i);
        strcat(key, ":");
        ck_assert_int_eq(rig_set(&rig, key, "value"), CACHE_OK);
        ck_assert(flush(key));
        ck_assert(!is_there(key));
    }
    ck_assert_uint_le(notes(), CACHE_PREFIXES_MAX);
    rig_settle_long(&rig, 3);
    ck_assert_uint_eq(rig_stats(&rig)->items, 0);
    ck_assert_uint_eq(notes(), 0);
}
END_TEST

START_TEST(bypassed_keys_are_neither_read_nor_stored_but_stay)
{
    ck_assert_int_eq(rig_set(&rig, "a:1", "old"), CACHE_OK);
    ck_assert_int_eq(rig_set(&rig, "a:2", "old"), CACHE_OK);
    ck_assert_int_eq(rig_set(&rig, "b:1", "old"), CACHE_OK);
    ck_assert(bypass("a:", true));
    ck_assert(!is_there("a:1") && is_there("b:1"));
    ck_assert_int_eq(rig_set(&rig, "a:2", "new"), CACHE_NOT_STORED);
    ck_assert_int_eq(rig_set(&rig, "b:2", "new"), CACHE_OK);
    rig_settle_long(&rig, 3);
    ck_assert(bypass("a:", false));
    ck_assert(is_there("a:1"));
    ck_assert(!is_there("a:2")); /* a client has tried to replace it */
    ck_assert_int_eq(rig_set(&rig, "a:2", "new"), CACHE_OK);
    rig_settle_long(&rig, 3);
    ck_assert_uint_eq(notes(), 0);
}
END_TEST

START_TEST(a_bypassed_prefix_can_be_flushed)
{
    ck_assert_int_eq(rig_set(&rig, "a:1", "old"), CACHE_OK);
    ck_assert(bypass("a:", true));
    ck_assert(flush("a:"));
    ck_assert(bypass("a:", false));
    ck_assert(!is_there("a:1"));
}
END_TEST

START_TEST(more_bypasses_than_notes_are_refused)
{
    for (unsigned i = 0; i < CACHE_PREFIXES_MAX; i++) {
        ck_assert(bypass(rig_key(key, "p", i), true));
    }
    ck_assert(!bypass("one more", true));
    ck_assert(!flush("one more"));
    ck_assert(flush("p:7"));
}
END_TEST

START_TEST(without_cas_ids_there_is_no_flush_of_a_prefix)
{
    struct cache_options options = rig_options(16 * RIG_MB);
    options.cas_disabled = true;
    struct rig bare;
    rig_open(&bare, &options);
    ck_assert_int_eq(rig_set(&bare, "a:1", "value"), CACHE_OK);
    ck_assert(!cache_flush_prefix(bare.cache, "a:", 2));
    ck_assert_int_eq(rig_peek(&bare, "a:1").result, CACHE_OK);
    ck_assert(cache_bypass_prefix(bare.cache, "a:", 2, true));
    ck_assert_int_eq(rig_peek(&bare, "a:1").result, CACHE_MISS);
    rig_close(&bare);
}
END_TEST

/* It may be about to publish an item with an id from before the flush, where the round has been. */
START_TEST(a_note_outlives_the_rounds_that_begin_within_a_change)
{
    struct cache_thread *other = cache_thread_open(rig.cache);
    ck_assert_int_eq(rig_set(&rig, "a:1", "value"), CACHE_OK);
    ck_assert(flush("a:"));
    store_change_begin(other);
    expire_sweep_all(rig.cache);
    ck_assert_uint_eq(notes(), 1);
    rig_settle(&rig); /* the round at hand began before the flush */
    cache_set_now(rig.cache, RIG_NOW + 1);
    rig_settle(&rig);
    ck_assert_uint_eq(notes(), 1);
    store_change_end(other);
    ck_assert_uint_eq(rig_stats(&rig)->items, 0);
    expire_sweep_all(rig.cache);
    ck_assert_uint_eq(notes(), 0);
    cache_thread_close(rig.cache, other);
}
END_TEST

/* -- the hold-off ------------------------------------------------------------------------------ */

static void
open_holdoff(bool refuse)
{
    struct cache_holdoff_options options = { .cells = 1024, .seconds = 3, .refuse = refuse };
    ck_assert(cache_holdoff_open(rig.cache, &options));
}

static enum cache_result
void_key(const char *text)
{
    bool was_claimed;
    return cache_void(rig.cache, rig.thread, text, (uint32_t)strlen(text), &was_claimed);
}

/** The seconds that a key has to live; 0 for ever, -1 for not there. */
static int64_t
ttl(const char *text)
{
    struct got got = rig_peek(&rig, text);
    if (got.result != CACHE_OK) {
        return -1;
    }
    return got.read.expires_at == CACHE_NEVER ? 0 : got.read.expires_at - cache_now(rig.cache);
}

START_TEST(a_plain_store_within_the_holdoff_is_short_lived)
{
    open_holdoff(false);
    uint64_t shortened, refused;
    ck_assert_int_eq(rig_set(&rig, "k", "before"), CACHE_OK);
    ck_assert_int_eq(ttl("k"), 0);
    ck_assert_int_eq(void_key("k"), CACHE_OK);
    ck_assert_int_eq(ttl("k"), -1);
    ck_assert_int_eq(rig_set(&rig, "k", "perhaps old"), CACHE_OK);
    ck_assert_int_eq(ttl("k"), 3);
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "k", "x", 1, 0, RIG_NOW + 2, 0, NULL), CACHE_OK);
    ck_assert_int_eq(ttl("k"), 2);
    cache_holdoff_stats(rig.cache, &shortened, &refused);
    ck_assert_uint_eq(shortened, 1);
    ck_assert_uint_eq(refused, 0);
    cache_set_now(rig.cache, RIG_NOW + 3);
    ck_assert_int_eq(rig_set(&rig, "k", "perhaps old"), CACHE_OK);
    ck_assert_int_eq(ttl("k"), 3);
    cache_set_now(rig.cache, RIG_NOW + 4);
    ck_assert_int_eq(rig_set(&rig, "k", "new"), CACHE_OK);
    ck_assert_int_eq(ttl("k"), 0);
}
END_TEST

/* The thread that voids a key of the same cell may have seen the clock's next second first. */
START_TEST(a_cell_that_is_ahead_of_a_threads_clock_holds_off)
{
    open_holdoff(true);
    uint64_t hash = hash_bytes("k", 1, rig.cache->options.hash_seed);
    holdoff_note(&rig.cache->holdoff, hash, cache_now_s(rig.cache) + 1);
    ck_assert_int_eq(rig_set(&rig, "k", "perhaps old"), CACHE_NOT_STORED);
    ck_assert_uint_eq(store_held_expiry(rig.cache, hash, 5, 9), 5);
}
END_TEST

START_TEST(a_life_that_was_cut_is_not_lengthened)
{
    open_holdoff(false);
    uint64_t cas = 0;
    ck_assert_int_eq(void_key("k"), CACHE_MISS);
    cache_set_now(rig.cache, RIG_NOW + 3);
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "k", "old", 3, 0, CACHE_NEVER, 0, &cas), CACHE_OK);
    cache_set_now(rig.cache, RIG_NOW + 5);
    ck_assert_int_eq(ttl("k"), 1);
    ck_assert_int_eq(cache_touch(rig.cache, rig.thread, "k", 1, CACHE_NEVER), CACHE_OK);
    ck_assert_int_eq(ttl("k"), 1);
    ck_assert_int_eq(rig_store(&rig, CACHE_CAS, "k", "older", 5, 0, CACHE_NEVER, cas, &cas),
                     CACHE_OK);
    ck_assert_int_eq(ttl("k"), 1);
    ck_assert_int_eq(rig_store(&rig, CACHE_APPEND, "k", "x", 1, 0, CACHE_NEVER, 0, NULL), CACHE_OK);
    ck_assert_int_eq(ttl("k"), 1);
    cache_set_now(rig.cache, RIG_NOW + 6);
    ck_assert_int_eq(ttl("k"), -1);
}
END_TEST

START_TEST(a_token_is_void_with_its_key_and_good_if_it_is_younger)
{
    open_holdoff(false);
    struct cache_store store;
    uint64_t token = 0;
    bool was_claimed = false;
    for (unsigned round = 0; round < 2; round++) {
        /* what mg N does on a miss */
        ck_assert_int_eq(
            cache_store_begin(rig.cache, rig.thread, "k", 1, 0, 0, RIG_NOW + 30, &store), CACHE_OK);
        store.claimed = true;
        ck_assert_int_eq(cache_store_commit(rig.cache, rig.thread, &store, CACHE_ADD, 0, &token),
                         CACHE_OK);
        ck_assert_int_eq(ttl("k"), 30);
        if (round == 0) {
            ck_assert_int_eq(cache_void(rig.cache, rig.thread, "k", 1, &was_claimed), CACHE_OK);
            ck_assert(was_claimed);
            ck_assert_int_eq(rig_store(&rig, CACHE_CAS, "k", "old", 3, 0, CACHE_NEVER, token, NULL),
                             CACHE_MISS);
        }
    }
    ck_assert_int_eq(rig_store(&rig, CACHE_CAS, "k", "new", 3, 0, CACHE_NEVER, token, NULL),
                     CACHE_OK);
    ck_assert_int_eq(ttl("k"), 0);
}
END_TEST

START_TEST(plain_stores_can_be_refused)
{
    open_holdoff(true);
    uint64_t shortened, refused;
    ck_assert_int_eq(void_key("k"), CACHE_MISS);
    ck_assert_int_eq(rig_set(&rig, "k", "perhaps old"), CACHE_NOT_STORED);
    ck_assert_int_eq(ttl("k"), -1);
    cache_holdoff_stats(rig.cache, &shortened, &refused);
    ck_assert_uint_eq(refused, 1);
    cache_set_now(rig.cache, RIG_NOW + 4);
    ck_assert_int_eq(rig_set(&rig, "k", "new"), CACHE_OK);
}
END_TEST

START_TEST(a_flush_of_a_prefix_holds_its_keys_off)
{
    open_holdoff(false);
    ck_assert(flush("a:"));
    rig_settle_long(&rig, 3);
    ck_assert_uint_eq(notes(), 1); /* swept, and still held off */
    ck_assert_int_eq(rig_set(&rig, "a:1", "perhaps old"), CACHE_OK);
    ck_assert_int_eq(rig_set(&rig, "b:1", "other"), CACHE_OK);
    ck_assert_int_eq(ttl("a:1"), 3);
    ck_assert_int_eq(ttl("b:1"), 0);
    cache_set_now(rig.cache, RIG_NOW + 8);
    rig_settle_long(&rig, 3);
    ck_assert_uint_eq(notes(), 0);
    ck_assert_int_eq(rig_set(&rig, "a:1", "new"), CACHE_OK);
    ck_assert_int_eq(ttl("a:1"), 0);
}
END_TEST

START_TEST(the_observer_itself_is_not_held_off)
{
    open_holdoff(true);
    ck_assert_int_eq(void_key("k"), CACHE_MISS);
    ck_assert(bypass("k", true));
    struct cache_store store;
    ck_assert_int_eq(cache_store_begin(rig.cache, rig.thread, "k", 1, 3, 0, CACHE_NEVER, &store),
                     CACHE_OK);
    store.by_observer = true;
    ck_assert_int_eq(cache_store_write(rig.cache, rig.thread, &store, "row", 3), CACHE_OK);
    ck_assert_int_eq(cache_store_commit(rig.cache, rig.thread, &store, CACHE_SET, 0, NULL),
                     CACHE_OK);
    ck_assert(bypass("k", false));
    ck_assert_int_eq(ttl("k"), 0);
    const struct cache_stats *stats = rig_stats(&rig);
    ck_assert_uint_eq(stats->delete_misses, 0);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("prefixes");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_flush_takes_the_keys_of_its_prefix_alone);
    tcase_add_test(tcase, what_is_stored_after_a_flush_lives);
    tcase_add_test(tcase, an_empty_prefix_is_all_keys);
    tcase_add_test(tcase, the_memory_comes_back_and_the_note_goes);
    tcase_add_test(tcase, nothing_made_of_an_old_value_survives);
    tcase_add_loop_test(tcase, an_id_of_a_clients_choice_does_not_outlive_a_flush, 0, 4);
    tcase_add_test(tcase, many_prefixes_can_be_flushed_and_a_full_list_is_swept_first);
    tcase_add_test(tcase, bypassed_keys_are_neither_read_nor_stored_but_stay);
    tcase_add_test(tcase, a_bypassed_prefix_can_be_flushed);
    tcase_add_test(tcase, more_bypasses_than_notes_are_refused);
    tcase_add_test(tcase, without_cas_ids_there_is_no_flush_of_a_prefix);
    tcase_add_test(tcase, a_note_outlives_the_rounds_that_begin_within_a_change);
    tcase_add_test(tcase, a_plain_store_within_the_holdoff_is_short_lived);
    tcase_add_test(tcase, a_cell_that_is_ahead_of_a_threads_clock_holds_off);
    tcase_add_test(tcase, a_life_that_was_cut_is_not_lengthened);
    tcase_add_test(tcase, a_token_is_void_with_its_key_and_good_if_it_is_younger);
    tcase_add_test(tcase, plain_stores_can_be_refused);
    tcase_add_test(tcase, a_flush_of_a_prefix_holds_its_keys_off);
    tcase_add_test(tcase, the_observer_itself_is_not_held_off);
    return rig_run("prefixes", tcase);
}
