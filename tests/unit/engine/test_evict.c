/* What goes for room: S3-FIFO, and that something always goes. */
#include "unit/engine/rig.h"

static struct rig rig;
static char key[32];

static void
set_up(void)
{
    struct cache_options options = rig_options(2 * RIG_MB);
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

/** Stores new keys of one size until the class has evicted `evictions` items more. */
static uint64_t
push_out(const char *prefix, uint64_t from, size_t len, uint64_t evictions)
{
    uint64_t until = rig_stats(&rig)->sum.evicted + evictions;
    uint64_t number = from;
    while (rig_stats(&rig)->sum.evicted < until) {
        ck_assert_int_eq(rig_set_filled(&rig, rig_key(key, prefix, number), len, number), CACHE_OK);
        number++;
        ck_assert_uint_lt(number - from, 1000000);
    }
    return number;
}

START_TEST(used_items_stay_when_many_pass_that_are_read_never_again)
{
    for (unsigned i = 0; i < 200; i++) {
        ck_assert_int_eq(rig_set_filled(&rig, rig_key(key, "used", i), 300, i), CACHE_OK);
    }
    uint64_t number = 0;
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned i = 0; i < 200; i++) {
            rig_get(&rig, rig_key(key, "used", i));
        }
        number = push_out("once", number, 300, 500);
        cache_check(rig.cache);
    }
    unsigned stayed = 0;
    for (unsigned i = 0; i < 200; i++) {
        stayed += is_there(rig_key(key, "used", i));
    }
    ck_assert_uint_eq(stayed, 200);
}
END_TEST

START_TEST(a_key_that_comes_back_from_the_ghosts_enters_the_main_queue)
{
    uint64_t number = push_out("a", 0, 300, 100);
    uint64_t back = 0;
    while (is_there(rig_key(key, "a", back))) {
        back++;
    }
    ck_assert_uint_lt(back, number);
    uint64_t ghosts = rig_stats(&rig)->ghost_hits;
    ck_assert_int_eq(rig_set_filled(&rig, rig_key(key, "a", back), 300, back), CACHE_OK);
    ck_assert_uint_eq(rig_stats(&rig)->ghost_hits, ghosts + 1);
    /* It outlives new ones that nobody reads: the small queue goes first. */
    uint8_t class_id = rig_peek(&rig, key).read.class_id;
    push_out("b", 0, 300, rig.cache->size_class[class_id].items / 5);
    ck_assert(is_there(rig_key(key, "a", back)));
    /* And is a ghost's once only. */
    ck_assert_int_eq(rig_delete(&rig, key), CACHE_OK);
    ghosts = rig_stats(&rig)->ghost_hits;
    ck_assert_int_eq(rig_set_filled(&rig, key, 300, back), CACHE_OK);
    ck_assert_uint_eq(rig_stats(&rig)->ghost_hits, ghosts);
}
END_TEST

START_TEST(quiet_reads_save_no_item)
{
    uint64_t number = push_out("n", 0, 300, 100);
    ck_assert_int_eq(rig_set_filled(&rig, "quiet", 300, 1), CACHE_OK);
    ck_assert_int_eq(rig_set_filled(&rig, "used", 300, 2), CACHE_OK);
    rig_peek(&rig, "quiet");
    uint8_t class_id = rig_get(&rig, "used").read.class_id;
    push_out("n", number, 300, rig.cache->size_class[class_id].items / 4);
    ck_assert(!is_there("quiet"));
    ck_assert(is_there("used"));
}
END_TEST

/* A store notes each new item: what is overwritten for ever must not fill the memory with notes. */
START_TEST(overwriting_one_key_does_not_grow_the_small_queue)
{
    for (unsigned i = 0; i < 400000; i++) {
        ck_assert_int_eq(rig_set(&rig, "key", "value"), CACHE_OK);
    }
    uint8_t class_id = rig_peek(&rig, "key").read.class_id;
    struct size_class *class = &rig.cache->size_class[class_id];
    ck_assert_uint_le(class->queue.length, class->per_page);
    ck_assert_uint_le(class->queue.segments, class->per_page / 62 + 2);
    evict_check(rig.cache, class);
}
END_TEST

START_TEST(overwriting_while_a_store_is_open_does_not_grow_the_small_queue)
{
    struct cache_store open[8];
    for (unsigned i = 0; i < 8; i++) {
        rig_key(key, "open", i);
        ck_assert_int_eq(
            cache_store_begin(rig.cache, rig.thread, key, (uint32_t)strlen(key), 5, 0, 0, &open[i]),
            CACHE_OK);
    }
    for (unsigned i = 0; i < 200000; i++) {
        ck_assert_int_eq(rig_set(&rig, "open:x", "value"), CACHE_OK);
    }
    struct size_class *class = &rig.cache->size_class[open[0].class_id];
    ck_assert_uint_le(class->queue.length, class->per_page);
    for (unsigned i = 0; i < 8; i++) {
        cache_store_abort(rig.cache, rig.thread, &open[i]);
    }
}
END_TEST

START_TEST(the_small_queue_crosses_its_segments)
{
    struct size_class *class = &rig.cache->size_class[1];
    lock_acquire(&class->lock);
    for (unsigned i = 0; i < 4 * class->per_page; i++) {
        if (class->free_chunks == 0) {
            uint32_t page = pages_take(&rig.cache->pages);
            ck_assert_uint_ne(page, PAGE_NONE);
            ck_assert(slab_add_page(rig.cache, class, page));
        }
        uint32_t ref = slab_take_free(rig.cache, class);
        ck_assert(evict_note_new(rig.cache, class, ref, i));
        evict_check(rig.cache, class);
    }
    /* All of them are being filled: each is still noted. */
    ck_assert_uint_eq(class->queue.length, 4 * class->per_page);
    ck_assert_uint_ge(class->queue.segments, class->queue.length / 62);
    for (unsigned p = 0; p < 4; p++) {
        for (unsigned i = 0; i < class->per_page; i++) {
            slab_put_free(rig.cache, class, slab_chunk_ref(rig.cache, class, class->pages[p], i));
        }
    }
    lock_release(&class->lock);
}
END_TEST

/* The hand used to give up after so many chunks: those of one long item in use could be more. */
START_TEST(items_of_thousands_of_chunks_are_evicted_although_they_are_in_use)
{
    struct rig other;
    struct cache_options options = rig_options(16 * RIG_MB);
    options.item_size_max = 8u << 20;
    rig_open(&other, &options);
    for (unsigned i = 0; i < 60; i++) {
        rig_key(key, "long", i);
        ck_assert_int_eq(rig_set_filled(&other, key, 3800000, i), CACHE_OK);
        for (unsigned uses = 0; uses < 4; uses++) {
            ck_assert_int_eq(rig_get(&other, key).result, CACHE_OK);
        }
    }
    cache_check(other.cache);
    rig_close(&other);
}
END_TEST

/* Items that a page move takes with it count as evicted too, long ones among them. */
START_TEST(each_item_that_goes_is_counted_once)
{
    struct rng rng;
    rng_init(&rng, 1);
    uint64_t stored = 0;
    for (unsigned i = 0; i < 6000; i++) {
        size_t len = rng_below(&rng, 4) == 0 ? 20000 + rng_below(&rng, 80000)
                                             : rng_below(&rng, 3000) * (i / 2000);
        ck_assert_int_eq(rig_set_filled(&rig, rig_key(key, "n", i), len, i), CACHE_OK);
        stored++;
        if (i % 100 == 0) {
            cache_maintain(rig.cache, rig.thread);
            const struct cache_stats *stats = rig_stats(&rig);
            ck_assert_uint_eq(stats->items + stats->sum.evicted, stored);
        }
    }
    ck_assert_uint_gt(rig_stats(&rig)->pages_moved, 0);
}
END_TEST

static const uint64_t small_limits[] = { 1, 2, 3, 5, 8 };

START_TEST(nothing_is_refused_while_something_can_be_evicted)
{
    struct rig other;
    struct cache_options options = rig_options(small_limits[_i] * RIG_MB);
    rig_open(&other, &options);
    struct rng rng;
    rng_init(&rng, small_limits[_i]);
    for (unsigned i = 0; i < 6000; i++) {
        /* Of all sizes, and now and then half a megabyte; the mix shifts. */
        size_t len = (size_t)rng_below(&rng, UINT64_C(16) << (i / 300 % 12));
        if (rng_below(&rng, 100) == 0) {
            len = (size_t)rng_below(&rng, 512u << 10);
        }
        rig_key(key, "n", rng_below(&rng, 3000));
        ck_assert_int_eq(rig_set_filled(&other, key, len, i), CACHE_OK);
        if (rng_below(&rng, 3) == 0) {
            rig_get(&other, rig_key(key, "n", rng_below(&rng, 3000)));
        }
        const struct cache_stats *stats = rig_stats(&other);
        ck_assert_uint_le(stats->memory_used, stats->memory_limit + RIG_SLACK);
        if (i % 50 == 0) {
            cache_check(other.cache);
        }
    }
    ck_assert_uint_eq(rig_stats(&other)->sum.outofmemory, 0);
    rig_close(&other);
}
END_TEST

START_TEST(a_store_held_open_does_not_keep_others_out)
{
    for (unsigned seed = 0; seed < 20; seed++) {
        struct rig other;
        struct cache_options options = rig_options(1 * RIG_MB);
        options.hash_seed = seed;
        rig_open(&other, &options);
        for (unsigned i = 0; i < 200; i++) {
            ck_assert_int_eq(rig_set_filled(&other, rig_key(key, "f", i), 9000, i), CACHE_OK);
        }
        struct cache_store open;
        ck_assert_int_eq(
            cache_store_begin(other.cache, other.thread, "open", 4, 400000, 0, 0, &open), CACHE_OK);
        uint8_t block[1000] = { 0 };
        for (unsigned i = 0; i < 400; i++) {
            ck_assert_int_eq(
                cache_store_write(other.cache, other.thread, &open, block, sizeof(block)),
                CACHE_OK);
            ck_assert_int_eq(rig_set_filled(&other, rig_key(key, "g", i), 50 + i * 9, i), CACHE_OK);
        }
        cache_check(other.cache);
        ck_assert_int_eq(cache_store_commit(other.cache, other.thread, &open, CACHE_SET, 0, NULL),
                         CACHE_OK);
        rig_close(&other);
    }
}
END_TEST

START_TEST(without_evictions_stores_are_refused_and_all_is_kept)
{
    struct rig other;
    struct cache_options options = rig_options(1 * RIG_MB);
    options.evictions_disabled = true;
    rig_open(&other, &options);
    static bool stored[40000];
    unsigned refused = 0;
    for (unsigned i = 0; i < 40000; i++) {
        enum cache_result result = rig_set_filled(&other, rig_key(key, "n", i), 1 + i % 100, i);
        ck_assert(result == CACHE_OK || result == CACHE_NO_MEMORY);
        stored[i] = result == CACHE_OK;
        refused += !stored[i];
    }
    ck_assert_uint_gt(refused, 0);
    for (unsigned i = 0; i < 40000; i++) {
        ck_assert_int_eq(rig_holds_filled(&other, rig_key(key, "n", i), 1 + i % 100, i), stored[i]);
    }
    const struct cache_stats *stats = rig_stats(&other);
    ck_assert_uint_eq(stats->sum.evicted, 0);
    ck_assert_uint_eq(stats->store_no_memory, refused);
    ck_assert_uint_le(stats->memory_used, stats->memory_limit + RIG_SLACK);
    rig_close(&other);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("evict");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, used_items_stay_when_many_pass_that_are_read_never_again);
    tcase_add_test(tcase, a_key_that_comes_back_from_the_ghosts_enters_the_main_queue);
    tcase_add_test(tcase, quiet_reads_save_no_item);
    tcase_add_test(tcase, overwriting_one_key_does_not_grow_the_small_queue);
    tcase_add_test(tcase, overwriting_while_a_store_is_open_does_not_grow_the_small_queue);
    tcase_add_test(tcase, the_small_queue_crosses_its_segments);
    tcase_add_test(tcase, items_of_thousands_of_chunks_are_evicted_although_they_are_in_use);
    tcase_add_test(tcase, each_item_that_goes_is_counted_once);
    tcase_add_loop_test(tcase, nothing_is_refused_while_something_can_be_evicted, 0,
                        sizeof(small_limits) / sizeof(small_limits[0]));
    tcase_add_test(tcase, a_store_held_open_does_not_keep_others_out);
    tcase_add_test(tcase, without_evictions_stores_are_refused_and_all_is_kept);
    return rig_run("engine/evict", tcase);
}
