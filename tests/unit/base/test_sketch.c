/* The guarantees of Space-Saving, beside exact counts. */
#include "base/sketch.h"

#include "base/hash.h"
#include "base/rng.h"

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 5000u

static void
add(struct sketch *sketch, unsigned key, uint64_t weight)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "k%u", key);
    sketch_add(sketch, hash_bytes(text, (size_t)len, 7), text, (size_t)len, weight);
}

/** The entry of a key, or NULL. */
static const struct sketch_entry *
entry_of(const struct sketch *sketch, unsigned key)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "k%u", key);
    for (unsigned i = 0; i < sketch_count(sketch); i++) {
        const struct sketch_entry *entry = sketch_at(sketch, i);
        if (entry->key_len == len && memcmp(entry->key, text, (size_t)len) == 0) {
            return entry;
        }
    }
    return NULL;
}

START_TEST(few_keys_are_counted_exactly)
{
    struct sketch *sketch = sketch_create(8);
    for (unsigned i = 0; i < 8; i++) {
        for (unsigned n = 0; n <= i; n++) {
            add(sketch, i, 10);
            sketch_check(sketch);
        }
    }
    ck_assert_uint_eq(sketch_count(sketch), 8);
    ck_assert_uint_eq(sketch_total(sketch), 360);
    ck_assert_uint_eq(sketch_floor(sketch), 10);
    for (unsigned i = 0; i < 8; i++) {
        const struct sketch_entry *entry = entry_of(sketch, i);
        ck_assert_ptr_nonnull(entry);
        ck_assert_uint_eq(entry->count, 10 * (i + 1));
        ck_assert_uint_eq(entry->error, 0);
        ck_assert_uint_eq(entry->hits, i + 1);
    }
    sketch_destroy(sketch);
}
END_TEST

START_TEST(a_new_key_takes_the_smallest_ones_place)
{
    struct sketch *sketch = sketch_create(2);
    ck_assert_uint_eq(sketch_floor(sketch), 0);
    add(sketch, 1, 5);
    add(sketch, 2, 3);
    add(sketch, 3, 1);
    sketch_check(sketch);
    ck_assert_ptr_null(entry_of(sketch, 2));
    const struct sketch_entry *entry = entry_of(sketch, 3);
    ck_assert_ptr_nonnull(entry);
    ck_assert_uint_eq(entry->count, 4);
    ck_assert_uint_eq(entry->error, 3);
    ck_assert_uint_eq(entry->hits, 1);
    ck_assert_uint_eq(sketch_floor(sketch), 4);
    ck_assert_uint_eq(sketch_total(sketch), 9);
    sketch_destroy(sketch);
}
END_TEST

START_TEST(one_entry_is_enough_to_count)
{
    struct sketch *sketch = sketch_create(1);
    for (unsigned i = 0; i < 100; i++) {
        add(sketch, i, 1);
        sketch_check(sketch);
    }
    ck_assert_uint_eq(sketch_count(sketch), 1);
    ck_assert_uint_eq(sketch_at(sketch, 0)->count, 100);
    ck_assert_uint_eq(sketch_at(sketch, 0)->error, 99);
    sketch_destroy(sketch);
}
END_TEST

/** A key by rank: each stream has its own law. */
static unsigned
draw(struct rng *rng, int law)
{
    double u = (double)(rng_next(rng) >> 11) / 9007199254740992.0;
    switch (law) {
    case 0: /* about Zipf with exponent 1 */
        return (unsigned)pow(KEYS, u) - 1;
    case 1: /* all alike: nothing is frequent */
        return (unsigned)(u * KEYS);
    default: /* a few hot ones in noise */
        return u < 0.3 ? (unsigned)(u * 100) : (unsigned)rng_below(rng, KEYS);
    }
}

/* By law, with weights of 1 and by chance; the bounds must hold after every thousand additions. */
START_TEST(bounds_hold_for_any_stream)
{
    int law = _i % 3;
    bool weighted = _i >= 3;
    unsigned cap = 64;
    struct sketch *sketch = sketch_create(cap);
    static uint64_t truth[KEYS];
    memset(truth, 0, sizeof(truth));
    struct rng rng;
    rng_init(&rng, (uint64_t)_i + 1);
    uint64_t total = 0;
    unsigned above = 0;
    for (unsigned n = 1; n <= 30000; n++) {
        unsigned key = draw(&rng, law);
        uint64_t weight = weighted ? 1 + rng_below(&rng, 100000) : 1;
        truth[key] += weight;
        total += weight;
        add(sketch, key, weight);
        if (n % 1000 != 0) {
            continue;
        }
        sketch_check(sketch);
        ck_assert_uint_eq(sketch_total(sketch), total);
        ck_assert_uint_le(sketch_floor(sketch), total / cap);
        for (unsigned i = 0; i < KEYS; i++) {
            const struct sketch_entry *entry =
                truth[i] > sketch_floor(sketch) || i % 50 == 0 ? entry_of(sketch, i) : NULL;
            if (entry != NULL) {
                ck_assert_uint_le(truth[i], entry->count);
                ck_assert_uint_ge(truth[i], entry->count - entry->error);
                ck_assert_uint_le(entry->error, total / cap);
            } else {
                ck_assert_uint_le(truth[i], sketch_floor(sketch));
            }
            above += truth[i] > total / cap;
        }
    }
    /* The stream was one in which the promise means something, or, of keys alike, nothing. */
    ck_assert_uint_eq(above == 0, law == 1);
    sketch_destroy(sketch);
}
END_TEST

START_TEST(a_cleared_sketch_is_a_new_one)
{
    struct sketch *sketch = sketch_create(4);
    for (unsigned i = 0; i < 50; i++) {
        add(sketch, i, 3);
    }
    sketch_clear(sketch);
    sketch_check(sketch);
    ck_assert_uint_eq(sketch_count(sketch), 0);
    ck_assert_uint_eq(sketch_total(sketch), 0);
    ck_assert_uint_eq(sketch_floor(sketch), 0);
    add(sketch, 1, 2);
    ck_assert_uint_eq(entry_of(sketch, 1)->count, 2);
    ck_assert_uint_eq(entry_of(sketch, 1)->error, 0);
    sketch_destroy(sketch);
}
END_TEST

START_TEST(keys_are_any_bytes_up_to_the_longest)
{
    struct sketch *sketch = sketch_create(SKETCH_CAP_MAX);
    uint8_t key[SKETCH_KEY_MAX];
    memset(key, 0, sizeof(key));
    sketch_add(sketch, 1, key, 1, 1);
    sketch_add(sketch, 2, key, sizeof(key), UINT32_MAX);
    sketch_add(sketch, 2, key, sizeof(key), UINT32_MAX);
    sketch_check(sketch);
    ck_assert_uint_eq(sketch_count(sketch), 2);
    ck_assert_uint_eq(sketch_at(sketch, 1)->key_len, SKETCH_KEY_MAX);
    ck_assert_uint_eq(sketch_at(sketch, 1)->count, 2 * (uint64_t)UINT32_MAX);
    sketch_destroy(sketch);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sketch");
    TCase *tcase = tcase_create("sketch");
    tcase_add_test(tcase, few_keys_are_counted_exactly);
    tcase_add_test(tcase, a_new_key_takes_the_smallest_ones_place);
    tcase_add_test(tcase, one_entry_is_enough_to_count);
    tcase_add_loop_test(tcase, bounds_hold_for_any_stream, 0, 6);
    tcase_add_test(tcase, a_cleared_sketch_is_a_new_one);
    tcase_add_test(tcase, keys_are_any_bytes_up_to_the_longest);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
