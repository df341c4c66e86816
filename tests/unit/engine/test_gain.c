/* What pages are worth: a class keeps what it is hit on, and bytes can count in place of hits. */
#include "unit/engine/rig.h"

static struct rig rig;
static char key[32];

static void
open_for(enum cache_evict_for evict_for)
{
    struct cache_options options = rig_options(4 * RIG_MB);
    options.evict_for = evict_for;
    rig_open(&rig, &options);
}

static struct size_class *
class_of(size_t len)
{
    rig_must(rig_set_filled(&rig, "probe", len, 1) == CACHE_OK);
    return &rig.cache->size_class[rig_peek(&rig, "probe").read.class_id];
}

/** As a client does: a key that is not there is stored.  Whether it was. */
static bool
look_aside(const char *prefix, uint64_t number, size_t len)
{
    rig_key(key, prefix, number);
    if (rig_get(&rig, key).result == CACHE_OK) {
        return true;
    }
    rig_must(rig_set_filled(&rig, key, len, number) == CACHE_OK);
    return false;
}

static void
set_gain(struct size_class *class, uint64_t more, uint64_t served)
{
    /* relaxed: one thread */
    atomic_store_explicit(&class->gain.more, more, memory_order_relaxed);
    class->gain.served = served;
}

START_TEST(a_loss_lies_between_the_gain_and_the_hits_of_a_page)
{
    open_for(CACHE_EVICT_FOR_OBJECTS);
    struct size_class *class = class_of(100);
    set_gain(class, 0, 1000);
    ck_assert_uint_eq(gain_loss(class, 1), 1000); /* all of them go with the last page */
    ck_assert_uint_eq(gain_loss(class, 2), 250);
    ck_assert_uint_eq(gain_loss(class, 10), 10);
    set_gain(class, 100, 1000);
    ck_assert_uint_eq(gain_loss(class, 1), 1000);
    ck_assert_uint_eq(gain_loss(class, 2), 300);
    ck_assert_uint_eq(gain_loss(class, 10), 100);
    ck_assert_uint_eq(gain_loss(class, 1000), 100); /* never below the gain */
    set_gain(class, 0, 0);
    rig_close(&rig);
}
END_TEST

START_TEST(a_small_class_that_is_hit_keeps_its_page)
{
    open_for(CACHE_EVICT_FOR_OBJECTS);
    unsigned const few = 20;
    for (unsigned i = 0; i < few; i++) {
        look_aside("few", i, 40);
    }
    /* Much more than fits goes through a class of larger items, hit now and then.  The few have
     * never been evicted: no ghost speaks for them. */
    struct rng rng;
    rng_init(&rng, 1);
    unsigned misses = 0;
    for (unsigned i = 0; i < 40000; i++) {
        look_aside("many", rng_below(&rng, 8000), 1000);
        if (i % 20 == 0) {
            misses += !look_aside("few", rng_below(&rng, few), 40);
        }
    }
    ck_assert_uint_gt(rig_stats(&rig)->sum.evicted, 10000);
    ck_assert_uint_le(misses, few); /* at most once: before its hits were looked at */
    rig_close(&rig);
}
END_TEST

START_TEST(a_small_class_that_nobody_asks_gives_its_page)
{
    open_for(CACHE_EVICT_FOR_OBJECTS);
    look_aside("few", 1, 40);
    look_aside("few", 1, 40);
    struct size_class *class = class_of(40);
    struct rng rng;
    rng_init(&rng, 1);
    for (unsigned i = 0; i < 100000 && class->pages_count > 0; i++) {
        look_aside("many", rng_below(&rng, 8000), 1000);
    }
    ck_assert_uint_eq(class->pages_count, 0);
    rig_close(&rig);
}
END_TEST

struct outcome {
    uint64_t hits;
    uint64_t bytes;
    uint32_t large_pages;
};

/** Small and large items, both more than fit, the former asked for a little more often per page. */
static struct outcome
share_out(enum cache_evict_for evict_for)
{
    open_for(evict_for);
    struct outcome outcome = { 0 };
    struct rng rng;
    rng_init(&rng, 7);
    for (unsigned i = 0; i < 120000; i++) {
        /* The nearer to 0, the more often. */
        uint64_t popular = rng_below(&rng, rng_below(&rng, 40000) + 1);
        bool large = i % 6 == 0;
        size_t len = large ? 2000 : 100;
        bool hit = look_aside(large ? "large" : "small", large ? popular / 10 : popular, len);
        if (hit && i > 60000) {
            outcome.hits++;
            outcome.bytes += len;
        }
    }
    outcome.large_pages = class_of(2000)->pages_count;
    rig_close(&rig);
    return outcome;
}

START_TEST(bytes_of_hits_can_count_in_place_of_hits)
{
    struct outcome objects = share_out(CACHE_EVICT_FOR_OBJECTS);
    struct outcome bytes = share_out(CACHE_EVICT_FOR_BYTES);
    ck_assert_uint_gt(objects.hits, bytes.hits);
    ck_assert_uint_gt(bytes.bytes, objects.bytes * 105 / 100);
    ck_assert_uint_gt(bytes.large_pages, objects.large_pages);
}
END_TEST

START_TEST(hits_are_looked_at_for_one_class_after_the_other)
{
    open_for(CACHE_EVICT_FOR_OBJECTS);
    struct size_class *class = class_of(100);
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_int_eq(rig_get(&rig, "probe").result, CACHE_OK);
    }
    for (unsigned look = 0; look < rig.cache->classes; look++) {
        gain_look(rig.cache);
    }
    uint64_t served = class->gain.served;
    ck_assert_uint_gt(served, 0);
    ck_assert_uint_lt(served, 1000 * gain_of_one(rig.cache, class));
    for (unsigned look = 0; look < 20 * rig.cache->classes; look++) {
        gain_look(rig.cache);
    }
    ck_assert_uint_lt(class->gain.served, served / 50); /* long ago */
    rig_close(&rig);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("gain");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_loss_lies_between_the_gain_and_the_hits_of_a_page);
    tcase_add_test(tcase, a_small_class_that_is_hit_keeps_its_page);
    tcase_add_test(tcase, a_small_class_that_nobody_asks_gives_its_page);
    tcase_add_test(tcase, bytes_of_hits_can_count_in_place_of_hits);
    tcase_add_test(tcase, hits_are_looked_at_for_one_class_after_the_other);
    return rig_run("engine/gain", tcase);
}
