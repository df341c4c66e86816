/* Pages on the move: where they go, what happens to items on them, and that no reader ever stands
 * on one. */
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

static enum mover_state
mover_state(void)
{
    return (enum mover_state)atomic_load_explicit(&rig.cache->mover.state,
                                                  memory_order_relaxed); /* one thread */
}

static void
fill(const char *prefix, size_t len, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(rig_set_filled(&rig, rig_key(key, prefix, i), len, i), CACHE_OK);
    }
}

START_TEST(pages_follow_when_the_sizes_shift)
{
    fill("small", 50, 40000);
    uint8_t small = rig_peek(&rig, rig_key(key, "small", 39999)).read.class_id;
    uint32_t before = rig.cache->size_class[small].pages_count;
    ck_assert_uint_gt(before, 50);
    /* As a client does: a key that is not there is stored.  What was evicted just now would often
     * have been a hit. */
    struct rng rng;
    rng_init(&rng, 1);
    for (unsigned i = 0; i < 20000; i++) {
        rig_key(key, "big", rng_below(&rng, 600));
        if (rig_get(&rig, key).result != CACHE_OK) {
            ck_assert_int_eq(rig_set_filled(&rig, key, 2000, i), CACHE_OK);
        }
        if (i % 100 == 0) {
            cache_check(rig.cache);
        }
    }
    ck_assert_int_eq(rig_set_filled(&rig, "big", 2000, 1), CACHE_OK);
    uint8_t big = rig_peek(&rig, "big").read.class_id;
    ck_assert_uint_ne(big, small);
    ck_assert_uint_gt(rig.cache->size_class[big].pages_count, 60);
    ck_assert_uint_lt(rig.cache->size_class[small].pages_count, before * 3 / 4);
    ck_assert_uint_gt(rig_stats(&rig)->pages_moved, 40);
}
END_TEST

START_TEST(pages_follow_also_when_nothing_is_read)
{
    fill("small", 50, 40000);
    uint8_t small = rig_peek(&rig, rig_key(key, "small", 39999)).read.class_id;
    uint32_t before = rig.cache->size_class[small].pages_count;
    ck_assert_uint_gt(before, 50);
    /* New keys alone: no ghost tells anything. */
    fill("big", 2000, 8000);
    uint8_t big = rig_peek(&rig, rig_key(key, "big", 7999)).read.class_id;
    cache_check(rig.cache);
    ck_assert_uint_gt(rig.cache->size_class[big].pages_count, before * 3 / 4);
    ck_assert_uint_ge(rig.cache->size_class[small].pages_count, 1);
    /* Both at the same pace: neither starves, however often they take turns. */
    for (unsigned i = 0; i < 3000; i++) {
        ck_assert_int_eq(rig_set_filled(&rig, rig_key(key, "a", i), 2000, i), CACHE_OK);
        for (unsigned k = 0; k < 20; k++) {
            rig_key(key, "also small", i * 20 + k);
            rig_must(rig_set_filled(&rig, key, 50, i) == CACHE_OK);
        }
    }
    small = rig_peek(&rig, key).read.class_id;
    uint32_t least = before / 4;
    ck_assert_uint_gt(rig.cache->size_class[big].pages_count, least);
    ck_assert_uint_gt(rig.cache->size_class[small].pages_count, least);
}
END_TEST

/** Begins a move of one page of the class to the pool; everything is left to cache_maintain() from
 * there. */
static void
lower_limit_by_a_page(void)
{
    const struct cache_stats *stats = rig_stats(&rig);
    ck_assert(cache_set_memory_limit(rig.cache, stats->memory_used - 1));
}

START_TEST(used_items_move_with_all_that_they_are)
{
    /* Room in the class for what is to move: half of its items go first. */
    for (unsigned i = 0; i < 1500; i++) {
        rig_fill(rig.buf, 900, i);
        ck_assert_int_eq(rig_store(&rig, CACHE_SET, rig_key(key, "n", i), rig.buf, 900, i % 3,
                                   i % 2 ? RIG_NOW + 1000 : 0, 0, NULL),
                         CACHE_OK);
    }
    for (unsigned i = 0; i < 1500; i += 2) {
        ck_assert_int_eq(rig_delete(&rig, rig_key(key, "n", i)), CACHE_OK);
    }
    static struct cache_read before[1500];
    for (unsigned i = 1; i < 1500; i += 2) {
        before[i] = rig_get(&rig, rig_key(key, "n", i)).read;
    }
    for (unsigned pages = 0; pages < 20; pages++) {
        lower_limit_by_a_page();
        rig_settle_long(&rig, 8);
        cache_check(rig.cache);
    }
    ck_assert_uint_gt(rig_stats(&rig)->items_rescued, 50);
    ck_assert_uint_eq(rig_stats(&rig)->sum.evicted, 0);
    for (unsigned i = 1; i < 1500; i += 2) {
        struct got got = rig_peek(&rig, rig_key(key, "n", i));
        ck_assert_int_eq(got.result, CACHE_OK);
        ck_assert_uint_eq(got.read.cas, before[i].cas);
        ck_assert_uint_eq(got.read.client_flags, i % 3);
        ck_assert_int_eq(got.read.expires_at, before[i].expires_at);
        ck_assert(got.read.fetched);
        ck_assert(rig_is_filled(rig.buf, 900, i));
    }
    /* Their times are known where they are now. */
    cache_set_now(rig.cache, RIG_NOW + 1000);
    rig_settle_long(&rig, 50);
    ck_assert_uint_eq(rig_stats(&rig)->items, 0);
}
END_TEST

static size_t
len_of(unsigned number)
{
    return 30000 + number % 2; /* alike, so that their last pieces are of one class */
}

START_TEST(long_items_move_piece_by_piece)
{
    /* Two at a time, so that the pieces of both lie on the same pages; then one of them goes. */
    for (unsigned i = 0; i < 50; i += 2) {
        static uint8_t bytes[2][50000];
        struct cache_store stores[2];
        for (unsigned k = 0; k < 2; k++) {
            rig_fill(bytes[k], len_of(i + k), i + k);
            rig_key(key, "n", i + k);
            ck_assert_int_eq(cache_store_begin(rig.cache, rig.thread, key, (uint32_t)strlen(key),
                                               len_of(i + k), 0, 0, &stores[k]),
                             CACHE_OK);
        }
        size_t at[2] = { 0, 0 };
        while (at[0] < len_of(i) || at[1] < len_of(i + 1)) {
            for (unsigned k = 0; k < 2; k++) {
                size_t rest = len_of(i + k) - at[k];
                size_t part = rest < 4000 ? rest : 4000;
                ck_assert_int_eq(
                    cache_store_write(rig.cache, rig.thread, &stores[k], bytes[k] + at[k], part),
                    CACHE_OK);
                at[k] += part;
            }
        }
        for (unsigned k = 0; k < 2; k++) {
            ck_assert_int_eq(
                cache_store_commit(rig.cache, rig.thread, &stores[k], CACHE_SET, 0, NULL),
                CACHE_OK);
        }
    }
    for (unsigned i = 0; i < 50; i += 2) {
        ck_assert_int_eq(rig_delete(&rig, rig_key(key, "n", i)), CACHE_OK);
    }
    uint64_t cas[50] = { 0 };
    for (unsigned i = 1; i < 50; i += 2) {
        cas[i] = rig_get(&rig, rig_key(key, "n", i)).read.cas;
    }
    for (unsigned pages = 0; pages < 25; pages++) {
        lower_limit_by_a_page();
        rig_settle_long(&rig, 8);
        cache_check(rig.cache);
        for (unsigned i = 1; i < 50; i += 2) {
            struct got got = rig_get(&rig, rig_key(key, "n", i));
            if (got.result == CACHE_OK) {
                ck_assert_uint_eq(got.read.cas, cas[i]);
                ck_assert_uint_eq(got.read.value_len, len_of(i));
                ck_assert(rig_is_filled(rig.buf, got.read.value_len, i));
            }
        }
    }
    ck_assert_uint_gt(rig_stats(&rig)->items_rescued, 5);
    ck_assert_uint_gt(rig_stats(&rig)->items, 10);
}
END_TEST

START_TEST(a_page_is_not_used_again_while_a_reader_may_stand_on_it)
{
    fill("n", 900, 3000);
    struct cache_thread *reader = cache_thread_open(rig.cache);
    rig_key(key, "n", 2999);
    struct cache_read read = { .key = key,
                               .key_len = (uint32_t)strlen(key),
                               .mode = CACHE_READ_QUIET };
    cache_enter(reader);
    ck_assert_int_eq(cache_find_one(rig.cache, reader, &read), CACHE_OK);
    uint32_t number = pages_page_of(&rig.cache->pages, (uint32_t)read.ref);
    struct page *page = &rig.cache->pages.page[number];
    uint8_t class_id = page->class_id;

    /* Half of the pages are to go: so many get as far as out of their class, and none after them. */
    ck_assert(cache_set_memory_limit(rig.cache, RIG_MB));
    rig_settle_long(&rig, 1000);
    ck_assert_int_eq(mover_state(), MOVER_WAIT);
    const struct mover *mover = &rig.cache->mover;
    ck_assert_uint_eq(mover->leaving_count, MOVER_LEAVING_MAX);
    bool waits = false;
    for (unsigned i = 0; i < MOVER_LEAVING_MAX; i++) {
        ck_assert_uint_eq(rig.cache->pages.page[mover->leaving[i].page].class_id, 0);
        waits = waits || mover->leaving[i].page == number;
    }
    uint64_t moved = rig_stats(&rig)->pages_moved;
    uint64_t used = rig_stats(&rig)->memory_used;
    rig_settle_long(&rig, 1000);
    ck_assert_uint_eq(rig_stats(&rig)->pages_moved, moved);
    ck_assert_uint_eq(rig_stats(&rig)->memory_used, used);
    ck_assert(page->class_id == class_id || waits);

    /* Another section does not help, for it began later; the end of this one does. */
    cache_enter(rig.thread);
    cache_leave(rig.thread);
    rig_settle_long(&rig, 10);
    ck_assert_uint_eq(rig_stats(&rig)->pages_moved, moved);
    cache_leave(reader);
    rig_settle_long(&rig, 1000);
    ck_assert_uint_gt(rig_stats(&rig)->pages_moved, moved);
    ck_assert_uint_le(rig_stats(&rig)->memory_used, RIG_MB);
    cache_thread_close(rig.cache, reader);
}
END_TEST

START_TEST(a_reader_that_came_later_does_not_hold_a_page_up)
{
    fill("n", 900, 3000);
    struct cache_thread *early = cache_thread_open(rig.cache);
    struct cache_thread *late = cache_thread_open(rig.cache);
    cache_enter(early);
    ck_assert(cache_set_memory_limit(rig.cache, RIG_MB));
    rig_settle_long(&rig, 100);
    ck_assert_int_eq(mover_state(), MOVER_WAIT);
    uint64_t moved = rig_stats(&rig)->pages_moved;
    cache_enter(late);
    cache_leave(early);
    for (unsigned i = 0; i < 3 && rig_stats(&rig)->pages_moved == moved; i++) {
        cache_maintain(rig.cache, rig.thread);
    }
    ck_assert_uint_gt(rig_stats(&rig)->pages_moved, moved);
    cache_leave(late);
    rig_settle_long(&rig, 100);
    cache_thread_close(rig.cache, early);
    cache_thread_close(rig.cache, late);
}
END_TEST

START_TEST(a_lower_limit_does_not_wait_for_readers_at_each_page)
{
    fill("n", 900, 3000);
    struct cache_thread *reader = cache_thread_open(rig.cache);
    ck_assert(cache_set_memory_limit(rig.cache, RIG_MB));
    uint32_t pages = (uint32_t)(RIG_MB / pages_page_size(&rig.cache->pages));
    ck_assert_uint_gt(pages, MOVER_LEAVING_MAX);
    /* Each time that there is nothing to do but to wait, the reader leaves and comes back. */
    unsigned waits = 0;
    while (rig_stats(&rig)->memory_used > RIG_MB) {
        cache_enter(reader);
        rig_settle(&rig);
        cache_leave(reader);
        waits++;
        ck_assert_uint_le(waits, pages);
    }
    ck_assert_uint_le(waits, pages / MOVER_LEAVING_MAX + 2);
    cache_thread_close(rig.cache, reader);
}
END_TEST

START_TEST(a_lower_limit_takes_no_more_pages_than_it_must)
{
    fill("n", 900, 3000);
    cache_check(rig.cache);
    uint64_t page_size = pages_page_size(&rig.cache->pages);
    for (unsigned pages = 1; pages < 40; pages += 13) {
        uint64_t limit = rig_stats(&rig)->memory_used - pages * page_size;
        uint64_t moved = rig_stats(&rig)->pages_moved;
        ck_assert(cache_set_memory_limit(rig.cache, limit));
        rig_settle_long(&rig, 50);
        ck_assert_uint_le(rig_stats(&rig)->memory_used, limit);
        ck_assert_uint_gt(rig_stats(&rig)->memory_used, limit - 2 * page_size);
        ck_assert_uint_le(rig_stats(&rig)->pages_moved, moved + pages);
    }
}
END_TEST

START_TEST(pages_with_ends_of_long_items_stay_while_those_are_worth_more)
{
    /* Long items that are read, all with a short last piece: these lie alone in their class, where
     * nobody has ever missed anything. */
    for (unsigned i = 0; i < 30; i++) {
        ck_assert_int_eq(rig_set_filled(&rig, rig_key(key, "long", i), 16500, i), CACHE_OK);
    }
    for (unsigned i = 0; i < 30000; i++) {
        ck_assert_int_eq(rig_set_filled(&rig, rig_key(key, "n", i), 300, i), CACHE_OK);
        ck_assert_int_eq(rig_get(&rig, rig_key(key, "long", i % 30)).result, CACHE_OK);
        ck_assert_int_eq(rig_get(&rig, rig_key(key, "n", i)).result, CACHE_OK);
    }
    uint64_t limit = rig_stats(&rig)->memory_used - 10 * pages_page_size(&rig.cache->pages);
    ck_assert(cache_set_memory_limit(rig.cache, limit));
    rig_settle_long(&rig, 50);
    ck_assert_uint_le(rig_stats(&rig)->memory_used, limit);
    for (unsigned i = 0; i < 30; i++) {
        ck_assert(rig_holds_filled(&rig, rig_key(key, "long", i), 16500, i));
    }
}
END_TEST

START_TEST(stores_do_not_take_what_a_lower_limit_frees)
{
    fill("n", 900, 3000);
    ck_assert(cache_set_memory_limit(rig.cache, RIG_MB));
    /* Each store evicts, and so goes on with the move and lets go of what has left. */
    unsigned slices = 0;
    for (unsigned i = 0; rig_stats(&rig)->memory_used > RIG_MB; i++) {
        cache_maintain(rig.cache, rig.thread);
        for (unsigned k = 0; k < 20; k++) {
            ck_assert_int_eq(rig_set_filled(&rig, rig_key(key, "m", i * 20 + k), 900, 1), CACHE_OK);
        }
        slices++;
        ck_assert_uint_le(slices, 2 * RIG_MB / pages_page_size(&rig.cache->pages));
    }
    cache_check(rig.cache);
}
END_TEST

START_TEST(what_is_held_keeps_its_page_and_the_rest_goes)
{
    fill("n", 900, 3000);
    struct cache_store open;
    ck_assert_int_eq(cache_store_begin(rig.cache, rig.thread, "open", 4, 900, 0, 0, &open),
                     CACHE_OK);
    ck_assert_int_eq(rig_set_filled(&rig, "pinned", 30000, 1), CACHE_OK);
    struct cache_read read = { .key = "pinned", .key_len = 6 };
    cache_enter(rig.thread);
    ck_assert_int_eq(cache_find_one(rig.cache, rig.thread, &read), CACHE_OK);
    ck_assert(cache_hit(rig.cache, rig.thread, &read));
    cache_leave(rig.thread);
    ck_assert(cache_set_memory_limit(rig.cache, RIG_MB));
    for (unsigned i = 0; i < 5000 && rig_stats(&rig)->memory_used > RIG_MB; i++) {
        cache_maintain(rig.cache, rig.thread);
    }
    ck_assert_uint_le(rig_stats(&rig)->memory_used, RIG_MB);
    cache_check(rig.cache);
    rig_fill(rig.buf, 900, 7);
    ck_assert_int_eq(cache_store_write(rig.cache, rig.thread, &open, rig.buf, 900), CACHE_OK);
    ck_assert_int_eq(cache_store_commit(rig.cache, rig.thread, &open, CACHE_SET, 0, NULL),
                     CACHE_OK);
    ck_assert(rig_holds_filled(&rig, "open", 900, 7));
    rig_copy_pin(&rig, read.pin, 30000, rig.buf);
    ck_assert(rig_is_filled(rig.buf, 30000, 1));
    cache_unpin(rig.cache, rig.thread, &read.pin);
}
END_TEST

START_TEST(the_limit_goes_down_to_its_least_and_up_again)
{
    ck_assert(!cache_set_memory_limit(rig.cache, RIG_MB - 1));
    ck_assert(!cache_set_memory_limit(rig.cache, pages_limit_max(&rig.cache->pages) + 1));
    ck_assert(cache_set_memory_limit(rig.cache, pages_limit_max(&rig.cache->pages)));
    ck_assert(cache_set_memory_limit(rig.cache, 2 * RIG_MB));
    for (unsigned round = 0; round < 3; round++) {
        fill("n", 200 + round * 700, 10000);
        ck_assert(cache_set_memory_limit(rig.cache, RIG_MB));
        rig_settle_long(&rig, 500);
        cache_check(rig.cache);
        ck_assert_uint_le(rig_stats(&rig)->memory_used, RIG_MB);
        fill("m", 100, 2000); /* stores go on */
        ck_assert_uint_le(rig_stats(&rig)->memory_used, RIG_MB + RIG_SLACK);
        ck_assert(cache_set_memory_limit(rig.cache, 3 * RIG_MB));
        fill("l", 300, 12000);
        ck_assert_uint_gt(rig_stats(&rig)->memory_used, 2 * RIG_MB);
        ck_assert_uint_le(rig_stats(&rig)->memory_used, 3 * RIG_MB + RIG_SLACK);
        cache_check(rig.cache);
    }
}
END_TEST

/** The class of items with values of `len` bytes, and its pages. */
static uint8_t
class_of(size_t len)
{
    rig_must(rig_set_filled(&rig, "probe", len, 1) == CACHE_OK);
    return rig_peek(&rig, "probe").read.class_id;
}

static uint32_t
pages_in(uint8_t class_id)
{
    return rig.cache->size_class[class_id].pages_count;
}

START_TEST(a_page_moves_on_request_and_its_items_live)
{
    uint8_t from = class_of(300);
    uint8_t to = class_of(3000);
    fill("n", 300, 2000);
    for (unsigned i = 0; i < 2000; i += 4) { /* room for the items of more than one page */
        rig_must(rig_delete(&rig, rig_key(key, "n", i)) == CACHE_OK);
    }
    uint32_t from_before = pages_in(from);
    uint32_t to_before = pages_in(to);
    ck_assert_int_eq(cache_move_page(rig.cache, from, to), CACHE_MOVE_OK);
    ck_assert(rig_stats(&rig)->page_moving);
    ck_assert_int_eq(cache_move_page(rig.cache, from, to), CACHE_MOVE_BUSY);
    rig_settle_long(&rig, 4);
    ck_assert(!rig_stats(&rig)->page_moving);
    ck_assert_uint_eq(rig_stats(&rig)->pages_moved, 1);
    ck_assert_uint_eq(pages_in(from), from_before - 1);
    ck_assert_uint_eq(pages_in(to), to_before + 1);
    /* None of them has ever been read: the mover itself would have let them go. */
    for (unsigned i = 0; i < 2000; i++) {
        rig_must(rig_holds_filled(&rig, rig_key(key, "n", i), 300, i) == (i % 4 != 0));
    }
    ck_assert_uint_eq(rig_stats(&rig)->sum.evicted, 0);

    uint64_t pool_before = rig_stats(&rig)->pages_free;
    ck_assert_int_eq(cache_move_page(rig.cache, CACHE_MOVE_ANY, CACHE_MOVE_POOL), CACHE_MOVE_OK);
    rig_settle_long(&rig, 4);
    ck_assert_uint_eq(rig_stats(&rig)->pages_moved, 2);
    ck_assert_uint_eq(rig_stats(&rig)->pages_free, pool_before + 1);
    ck_assert_int_eq(cache_move_page(rig.cache, CACHE_MOVE_POOL, to), CACHE_MOVE_OK);
    ck_assert_uint_eq(pages_in(to), to_before + 2);
    ck_assert_uint_eq(rig_stats(&rig)->pages_moved, 3);
}
END_TEST

START_TEST(a_page_moves_on_request_from_a_full_class)
{
    uint8_t to = class_of(3000);
    fill("n", 300, 20000); /* more than there is room for */
    ck_assert_int_eq(rig_set_filled(&rig, "stays", 3000, 1), CACHE_OK);
    uint8_t from = class_of(300);
    uint32_t before = pages_in(to);
    uint64_t moved = rig_stats(&rig)->pages_moved;
    ck_assert_int_eq(cache_move_page(rig.cache, CACHE_MOVE_POOL, to), CACHE_MOVE_NO_SPARE);
    ck_assert_int_eq(cache_move_page(rig.cache, from, to), CACHE_MOVE_OK);
    rig_settle_long(&rig, 4);
    ck_assert_uint_eq(pages_in(to), before + 1);
    ck_assert_uint_eq(rig_stats(&rig)->pages_moved, moved + 1);
}
END_TEST

START_TEST(moves_that_cannot_be_are_refused)
{
    int classes = (int)cache_classes(rig.cache);
    static const int same[] = { -1, 0, 1, 5 };
    for (unsigned i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        ck_assert_int_eq(cache_move_page(rig.cache, same[i], same[i]), CACHE_MOVE_SAME);
    }
    ck_assert_int_eq(cache_move_page(rig.cache, -2, 1), CACHE_MOVE_BAD_CLASS);
    ck_assert_int_eq(cache_move_page(rig.cache, 1, -1), CACHE_MOVE_BAD_CLASS);
    ck_assert_int_eq(cache_move_page(rig.cache, classes + 1, 1), CACHE_MOVE_BAD_CLASS);
    ck_assert_int_eq(cache_move_page(rig.cache, 1, classes + 1), CACHE_MOVE_BAD_CLASS);
    ck_assert_int_eq(cache_move_page(rig.cache, -1, 1), CACHE_MOVE_BAD_CLASS); /* none has any */
    ck_assert_int_eq(cache_move_page(rig.cache, 1, 2), CACHE_MOVE_NO_SPARE);
    uint8_t one = class_of(300);
    ck_assert_uint_eq(pages_in(one), 1);
    ck_assert_int_eq(cache_move_page(rig.cache, one, 2), CACHE_MOVE_NO_SPARE); /* its last */
    ck_assert(!rig_stats(&rig)->page_moving);
    ck_assert_int_eq(cache_move_page(rig.cache, 2, classes), CACHE_MOVE_NO_SPARE);
}
END_TEST

/** Shifts the sizes as pages_follow_when_the_sizes_shift does; returns the pages that the new size
 * has then. */
static uint32_t
shift_sizes(void)
{
    fill("small", 50, 40000);
    struct rng rng;
    rng_init(&rng, 1);
    for (unsigned i = 0; i < 6000; i++) {
        rig_key(key, "big", rng_below(&rng, 600));
        if (rig_get(&rig, key).result != CACHE_OK) {
            ck_assert_int_eq(rig_set_filled(&rig, key, 2000, i), CACHE_OK);
        }
    }
    return pages_in(class_of(2000));
}

START_TEST(a_mover_that_is_off_gives_only_what_must_be)
{
    cache_set_mover(rig.cache, CACHE_MOVER_OFF, 800);
    uint32_t off = shift_sizes();
    ck_assert_uint_ge(off, 1); /* no store was refused */
    ck_assert_uint_le(off, 4);
    rig_close(&rig);
    set_up();
    uint32_t normal = shift_sizes();
    ck_assert_uint_gt(normal, 4 * off);
    rig_close(&rig);
    set_up();
    cache_set_mover(rig.cache, CACHE_MOVER_EAGER, 800);
    ck_assert_uint_ge(shift_sizes(), normal);
    rig_close(&rig);
    set_up();
    cache_set_mover(rig.cache, CACHE_MOVER_NORMAL, 0); /* no gain is enough for the least loss */
    ck_assert_uint_le(shift_sizes(), normal);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("rebalance");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, pages_follow_when_the_sizes_shift);
    tcase_add_test(tcase, pages_follow_also_when_nothing_is_read);
    tcase_add_test(tcase, used_items_move_with_all_that_they_are);
    tcase_add_test(tcase, long_items_move_piece_by_piece);
    tcase_add_test(tcase, a_page_is_not_used_again_while_a_reader_may_stand_on_it);
    tcase_add_test(tcase, a_reader_that_came_later_does_not_hold_a_page_up);
    tcase_add_test(tcase, a_lower_limit_does_not_wait_for_readers_at_each_page);
    tcase_add_test(tcase, a_lower_limit_takes_no_more_pages_than_it_must);
    tcase_add_test(tcase, pages_with_ends_of_long_items_stay_while_those_are_worth_more);
    tcase_add_test(tcase, stores_do_not_take_what_a_lower_limit_frees);
    tcase_add_test(tcase, what_is_held_keeps_its_page_and_the_rest_goes);
    tcase_add_test(tcase, the_limit_goes_down_to_its_least_and_up_again);
    tcase_add_test(tcase, a_page_moves_on_request_and_its_items_live);
    tcase_add_test(tcase, a_page_moves_on_request_from_a_full_class);
    tcase_add_test(tcase, moves_that_cannot_be_are_refused);
    tcase_add_test(tcase, a_mover_that_is_off_gives_only_what_must_be);
    return rig_run("engine/rebalance", tcase);
}
