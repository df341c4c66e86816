#include "base/rng.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>

#define DRAWS 100000u

/* The first outputs of splitmix64 for the seed 1234567, as published with several implementations
 * of it. */
static const uint64_t published[] = {
    UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),  UINT64_C(9817491932198370423),
    UINT64_C(4593380528125082431), UINT64_C(16408922859458223821),
};

START_TEST(rng_next_gives_the_published_sequence)
{
    struct rng rng;
    rng_init(&rng, 1234567);
    for (unsigned i = 0; i < sizeof(published) / sizeof(published[0]); i++) {
        ck_assert_uint_eq(rng_next(&rng), published[i]);
    }
}
END_TEST

START_TEST(rng_of_one_seed_repeats_itself)
{
    struct rng one, other;
    rng_init(&one, 7);
    rng_init(&other, 7);
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_uint_eq(rng_next(&one), rng_next(&other));
    }
}
END_TEST

static const uint64_t bounds[] = { 1, 2, 3, 10, 1000, UINT64_C(1) << 40, UINT64_MAX };

START_TEST(rng_below_stays_below)
{
    struct rng rng;
    rng_init(&rng, 99);
    for (unsigned i = 0; i < DRAWS; i++) {
        ck_assert_uint_lt(rng_below(&rng, bounds[_i]), bounds[_i]);
    }
}
END_TEST

START_TEST(rng_below_is_even)
{
    struct rng rng;
    rng_init(&rng, 5);
    unsigned seen[10] = { 0 };
    for (unsigned i = 0; i < DRAWS; i++) {
        seen[rng_below(&rng, 10)]++;
    }
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_uint_gt(seen[i], DRAWS / 10 - DRAWS / 100);
        ck_assert_uint_lt(seen[i], DRAWS / 10 + DRAWS / 100);
    }
}
END_TEST

START_TEST(rng_system_differs_from_call_to_call)
{
    uint64_t first = rng_system();
    bool differs = false;
    for (unsigned i = 0; i < 4; i++) {
        differs = differs || rng_system() != first;
    }
    ck_assert(differs);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("rng");
    tcase_add_test(tcase, rng_next_gives_the_published_sequence);
    tcase_add_test(tcase, rng_of_one_seed_repeats_itself);
    tcase_add_loop_test(tcase, rng_below_stays_below, 0, (int)(sizeof(bounds) / sizeof(bounds[0])));
    tcase_add_test(tcase, rng_below_is_even);
    tcase_add_test(tcase, rng_system_differs_from_call_to_call);

    Suite *suite = suite_create("base/rng");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
