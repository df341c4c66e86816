/* Limits at both ends: of some MiB, where a page or an index is much, and of terabytes, of which a
 * test has the address space only. */
#include "unit/engine/rig.h"

#include <errno.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define HAS_ADDRESS_SPACE false /* shadow memory takes it */
#else
#define HAS_ADDRESS_SPACE true
#endif

#define RIG_GB ((uint64_t)1 << 30)

static struct rig rig;
static char key[32];

/* -- terabytes --------------------------------------------------------------------------------- */

static const uint64_t huge_limits[] = { 16 * RIG_GB,  256 * RIG_GB,  511 * RIG_GB,  512 * RIG_GB,
                                        513 * RIG_GB, 1024 * RIG_GB, 1536 * RIG_GB, 2048 * RIG_GB };

START_TEST(a_huge_cache_opens_and_serves)
{
    if (!HAS_ADDRESS_SPACE) {
        return;
    }
    struct cache_options options = rig_options(huge_limits[_i]);
    struct cache *probe = cache_create(&options);
    if (probe == NULL) {
        /* A system that promises no more memory than it has.  Anything else would be our mistake:
         * what these limits ask for is two or three times as much address space. */
        ck_assert_int_eq(errno, ENOMEM);
        return;
    }
    cache_destroy(probe);
    rig_open(&rig, &options);
    ck_assert_uint_ge(rig.cache->table.bucket_max, RIG_GB / 1024);
    ck_assert_uint_ge(pages_limit_max(&rig.cache->pages), huge_limits[_i]);
    for (unsigned i = 0; i < 2000; i++) { /* the index grows some times */
        rig_must(rig_set_filled(&rig, rig_key(key, "n", i), 10 + i * 7, i) == CACHE_OK);
    }
    rig_must(rig_set_filled(&rig, "long", (1u << 20) - 1000, 1) == CACHE_OK);
    for (unsigned i = 0; i < 2000; i++) {
        rig_must(rig_holds_filled(&rig, rig_key(key, "n", i), 10 + i * 7, i));
    }
    ck_assert(rig_holds_filled(&rig, "long", (1u << 20) - 1000, 1));
    ck_assert_uint_eq(rig_stats(&rig)->sum.evicted, 0);
    ck_assert_uint_eq(rig_stats(&rig)->memory_limit, huge_limits[_i]);
    rig_close(&rig);
}
END_TEST

/* -- some MiB ---------------------------------------------------------------------------------- */

#define TIMES_FULL 20u /* bytes stored, in limits */

/** The longest value that an item may have. */
static size_t
longest_value(size_t item_size_max)
{
    static uint8_t value[RIG_VALUE_MAX];
    size_t len = item_size_max;
    while (rig_store(&rig, CACHE_SET, "longest", value, len, 0, CACHE_NEVER, 0, NULL) ==
           CACHE_TOO_LARGE) {
        len--;
        rig_must(item_size_max - len < 100);
    }
    return len;
}

static uint64_t
used(void)
{
    return atomic_load_explicit(&rig.cache->pages.used, memory_order_relaxed); /* one thread */
}

/** Any length up to `max`: short ones as often as long ones. */
static size_t
draw_len(struct rng *rng, size_t max)
{
    size_t below = (size_t)2 << rng_below(rng, 22);
    size_t len = rng_below(rng, below < max ? below : max + 1);
    return rng_below(rng, 50) == 0 ? max : len;
}

/* Half of the memory is the longest item that the server allows (-I). */
START_TEST(a_small_cache_keeps_its_limit_and_refuses_nothing)
{
    uint64_t limit = (uint64_t)(_i + 1) * RIG_MB;
    struct cache_options options = rig_options(limit);
    options.item_size_max = limit / 2 < RIG_VALUE_MAX ? (uint32_t)(limit / 2) : RIG_VALUE_MAX;
    rig_open(&rig, &options);
    size_t max = longest_value(options.item_size_max);
    struct rng rng;
    rng_init(&rng, (uint64_t)_i);
    uint64_t stored = 0;
    for (unsigned i = 0; stored < TIMES_FULL * limit; i++) {
        size_t len = draw_len(&rng, max);
        stored += len;
        rig_key(key, "n", rng_below(&rng, 3000));
        rig_must(rig_set_filled(&rig, key, len, i) == CACHE_OK);
        rig_must(rig_holds_filled(&rig, key, len, i));
        rig_must(used() <= limit + RIG_SLACK);
        (void)rig_get(&rig, rig_key(key, "n", rng_below(&rng, 3000)));
        if (i % 16 == 0) {
            cache_maintain(rig.cache, rig.thread);
        }
        if (i % 500 == 0) {
            cache_check(rig.cache);
        }
    }
    ck_assert_uint_gt(rig_stats(&rig)->sum.evicted, 0);
    ck_assert_uint_eq(rig_stats(&rig)->sum.outofmemory, 0);
    rig_settle_long(&rig, 10);
    ck_assert_uint_le(rig_stats(&rig)->memory_used, limit);
    rig_close(&rig);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("limits");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_huge_cache_opens_and_serves, 0,
                        sizeof(huge_limits) / sizeof(huge_limits[0]));
    tcase_add_loop_test(tcase, a_small_cache_keeps_its_limit_and_refuses_nothing, 0, 8);
    return rig_run("engine/limits", tcase);
}
