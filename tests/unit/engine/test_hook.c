/* What an observer is told (engine/hook.h), and what a look that leaves no trace tells. */
#include "unit/engine/rig.h"

#include "engine/hook.h"

struct told {
    unsigned evicted;
    unsigned expired;
    unsigned flushed;
    unsigned fetched;
    struct cache_evicted last;
    char last_key[CACHE_KEY_MAX + 1];
    unsigned begun;
    unsigned done;
    unsigned abandoned;
    struct cache_move move; /* the last that has begun */
    unsigned sweeps;
    uint64_t examined;
    uint64_t reclaimed;
};

static struct told told;
static struct cache_observer observer;
static struct rig rig;

static void
on_evicted(void *arg, const struct cache_evicted *item)
{
    struct told *to = arg;
    to->evicted++;
    to->fetched += item->fetched;
    to->last = *item;
    memcpy(to->last_key, item->key, item->key_len);
    to->last_key[item->key_len] = '\0';
}

static void
on_died(void *arg, const struct cache_evicted *item, enum cache_absence why)
{
    struct told *to = arg;
    rig_must(why == CACHE_EXPIRED || why == CACHE_FLUSHED);
    to->expired += why == CACHE_EXPIRED;
    to->flushed += why == CACHE_FLUSHED;
    to->last = *item;
    memcpy(to->last_key, item->key, item->key_len);
    to->last_key[item->key_len] = '\0';
}

static void
on_moved(void *arg, const struct cache_move *move)
{
    struct told *to = arg;
    switch (move->state) {
    case CACHE_MOVE_BEGINS:
        to->begun++;
        to->move = *move;
        return;
    case CACHE_MOVE_DONE:
        to->done++;
        break;
    case CACHE_MOVE_ABANDONED:
        to->abandoned++;
        break;
    }
    rig_must(move->from == to->move.from && move->to == to->move.to);
}

static void
on_swept(void *arg, const struct cache_sweep *sweep)
{
    struct told *to = arg;
    to->sweeps++;
    to->examined += sweep->examined;
    to->reclaimed += sweep->reclaimed;
    rig_must(sweep->class_id > 0 && sweep->examined > 0);
}

static void
want(uint32_t wants)
{
    atomic_store_explicit(&observer.wants, wants, memory_order_relaxed); /* relaxed: one thread */
}

static void
set_up(void)
{
    told = (struct told){ 0 };
    observer = (struct cache_observer){
        .arg = &told, .evicted = on_evicted, .died = on_died, .moved = on_moved, .swept = on_swept
    };
    struct cache_options options = rig_options(2 * RIG_MB);
    options.observer = &observer;
    rig_open(&rig, &options);
}

static void
tear_down(void)
{
    rig_close(&rig);
}

static void
store_many(const char *prefix, unsigned count, size_t len, int64_t expires_at)
{
    char key[32];
    rig_fill(rig.buf, len, 1);
    for (unsigned i = 0; i < count; i++) {
        rig_must(rig_store(&rig, CACHE_SET, rig_key(key, prefix, i), rig.buf, len, 7, expires_at, 0,
                           NULL) == CACHE_OK);
    }
}

START_TEST(each_eviction_is_told_while_that_is_wanted)
{
    store_many("a", 10000, 300, CACHE_NEVER);
    uint64_t before = rig_stats(&rig)->sum.evicted;
    ck_assert_uint_gt(before, 0);
    ck_assert_uint_eq(told.evicted, 0);
    want(CACHE_WANTS_EVICTED);
    store_many("b", 10000, 300, RIG_NOW + 50);
    uint64_t after = rig_stats(&rig)->sum.evicted;
    ck_assert_uint_eq(told.evicted, after - before);
    ck_assert_uint_eq(told.fetched, 0);
    ck_assert_int_eq(told.last_key[1], ':');
    ck_assert_uint_eq(told.last.value_len, 300);
    ck_assert_int_eq(told.last.now, RIG_NOW);
    ck_assert_int_eq(told.last.expires_at, told.last_key[0] == 'a' ? CACHE_NEVER : RIG_NOW + 50);
    ck_assert_uint_gt(told.last.class_id, 0);
    ck_assert_int_eq(rig_get(&rig, told.last_key).result, CACHE_MISS);
    ck_assert_uint_eq(told.begun + told.sweeps, 0);
    want(0);
    store_many("c", 1000, 300, CACHE_NEVER);
    ck_assert_uint_eq(told.evicted, after - before);
}
END_TEST

START_TEST(a_long_item_is_told_with_its_whole_length)
{
    want(CACHE_WANTS_EVICTED);
    store_many("a", 100, 100000, CACHE_NEVER);
    ck_assert_uint_eq(told.evicted, rig_stats(&rig)->sum.evicted);
    ck_assert_uint_gt(told.evicted, 50);
    ck_assert_uint_eq(told.last.value_len, 100000);
}
END_TEST

/* By a read, by a store that needs the room, by the sweep: each once, with the reason. */
START_TEST(each_dead_item_is_told_while_that_is_wanted)
{
    store_many("a", 200, 300, RIG_NOW + 10);
    store_many("b", 10, 100000, RIG_NOW + 10);
    cache_set_now(rig.cache, RIG_NOW + 10);
    ck_assert_int_eq(rig_get(&rig, "a:0").result, CACHE_MISS);
    ck_assert_uint_eq(told.expired, 0);
    want(CACHE_WANTS_DEAD);
    ck_assert_int_eq(rig_get(&rig, "a:1").result, CACHE_MISS);
    ck_assert_uint_eq(told.expired, 1);
    ck_assert_str_eq(told.last_key, "a:1");
    ck_assert_uint_eq(told.last.value_len, 300);
    ck_assert_int_eq(told.last.expires_at, RIG_NOW + 10);
    uint64_t left = rig_stats(&rig)->items;
    rig_settle_long(&rig, 100);
    ck_assert_uint_eq(rig_stats(&rig)->items, 0);
    ck_assert_uint_eq(told.expired, 1 + left);

    store_many("c", 100, 300, CACHE_NEVER);
    rig_must(cache_delete(rig.cache, rig.thread, "c:5", 3, 0) == CACHE_OK);
    cache_flush(rig.cache, 0);
    store_many("c", 10, 300, CACHE_NEVER); /* replaces: c:5 was deleted */
    rig_settle_long(&rig, 100);
    ck_assert_uint_eq(told.flushed, 90);
    ck_assert_uint_eq(told.expired, 1 + left);
    ck_assert_uint_eq(told.evicted, 0);
}
END_TEST

START_TEST(moves_are_told_from_begin_to_end)
{
    store_many("a", 10000, 300, CACHE_NEVER);
    want(CACHE_WANTS_MOVES);
    store_many("b", 500, 3000, CACHE_NEVER);
    rig_settle_long(&rig, 4);
    ck_assert_uint_gt(told.begun, 0);
    ck_assert_uint_gt(told.done, 0);
    ck_assert_uint_eq(told.begun, told.done + told.abandoned);
    ck_assert_uint_gt(told.move.from, 0);
    ck_assert_uint_ne(told.move.from, told.move.to);
    ck_assert_uint_eq(told.evicted + told.sweeps, 0);
}
END_TEST

START_TEST(sweeps_are_told_with_what_they_found)
{
    want(CACHE_WANTS_SWEEPS);
    store_many("a", 1000, 300, RIG_NOW + 5);
    store_many("b", 500, 100, RIG_NOW + 5);
    cache_set_now(rig.cache, RIG_NOW + 6);
    rig_settle_long(&rig, 4);
    ck_assert_uint_ge(told.sweeps, 2); /* two classes */
    ck_assert_uint_eq(told.reclaimed, 1500);
    ck_assert_uint_ge(told.examined, 1500);
}
END_TEST

START_TEST(a_peek_tells_and_leaves_no_trace)
{
    struct cache_glimpse glimpse;
    rig_must(rig_store(&rig, CACHE_SET, "a", "value", 5, 0, RIG_NOW + 5, 0, NULL) == CACHE_OK);
    rig_must(rig_set_filled(&rig, "long", 100000, 1) == CACHE_OK);
    ck_assert_int_eq(cache_peek(rig.cache, "a", 1, &glimpse), CACHE_OK);
    ck_assert_uint_eq(glimpse.value_len, 5);
    ck_assert_int_eq(glimpse.expires_at, RIG_NOW + 5);
    ck_assert_int_eq(cache_peek(rig.cache, "long", 4, &glimpse), CACHE_OK);
    ck_assert_uint_eq(glimpse.value_len, 100000);
    ck_assert_int_eq(glimpse.expires_at, CACHE_NEVER);
    ck_assert_int_eq(cache_peek(rig.cache, "b", 1, &glimpse), CACHE_MISS);
    ck_assert_int_eq(glimpse.absence, CACHE_NOT_THERE);
    cache_set_now(rig.cache, RIG_NOW + 5);
    ck_assert_int_eq(cache_peek(rig.cache, "a", 1, &glimpse), CACHE_MISS);
    ck_assert_int_eq(glimpse.absence, CACHE_EXPIRED);
    cache_flush(rig.cache, RIG_NOW);
    ck_assert_int_eq(cache_peek(rig.cache, "long", 4, &glimpse), CACHE_MISS);
    ck_assert_int_eq(glimpse.absence, CACHE_FLUSHED);
    const struct cache_stats *stats = rig_stats(&rig);
    ck_assert_uint_eq(stats->sum.get_hits + stats->get_misses + stats->get_expired, 0);
    /* A read tells the same, and counts. */
    ck_assert_int_eq(rig_get(&rig, "long").read.absence, CACHE_FLUSHED);
    ck_assert_int_eq(rig_get(&rig, "long").read.absence, CACHE_NOT_THERE);
}
END_TEST

START_TEST(a_store_tells_its_key)
{
    struct cache_store store;
    int64_t expires_at;
    rig_must(cache_store_begin(rig.cache, rig.thread, "key", 3, 2, 9, RIG_NOW + 5, &store) ==
             CACHE_OK);
    const void *key = cache_store_key(rig.cache, &store, &expires_at);
    ck_assert_uint_eq(store.key_len, 3);
    ck_assert_mem_eq(key, "key", 3);
    ck_assert_int_eq(expires_at, RIG_NOW + 5);
    cache_store_abort(rig.cache, rig.thread, &store);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("hook");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, each_eviction_is_told_while_that_is_wanted);
    tcase_add_test(tcase, a_long_item_is_told_with_its_whole_length);
    tcase_add_test(tcase, each_dead_item_is_told_while_that_is_wanted);
    tcase_add_test(tcase, moves_are_told_from_begin_to_end);
    tcase_add_test(tcase, sweeps_are_told_with_what_they_found);
    tcase_add_test(tcase, a_peek_tells_and_leaves_no_trace);
    tcase_add_test(tcase, a_store_tells_its_key);
    return rig_run("engine/hook", tcase);
}
