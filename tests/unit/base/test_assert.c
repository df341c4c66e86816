#include "base/assert.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>

START_TEST(assert_passes_what_holds)
{
    int calls = 0;
    assert(++calls == 1);
    ck_assert_int_eq(calls, 1);
}
END_TEST

START_TEST(assert_aborts_on_what_does_not_hold)
{
    int one = 1;
    assert(one == 2);
}
END_TEST

START_TEST(debug_assert_is_run_in_debug_builds_alone)
{
    int calls = 0;
    debug_assert(++calls == 1);
#ifdef LARDER_DEBUG
    ck_assert_int_eq(calls, 1);
#else
    ck_assert_int_eq(calls, 0);
#endif
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("assert");
    tcase_add_test(tcase, assert_passes_what_holds);
    tcase_add_test_raise_signal(tcase, assert_aborts_on_what_does_not_hold, SIGABRT);
    tcase_add_test(tcase, debug_assert_is_run_in_debug_builds_alone);

    Suite *suite = suite_create("base/assert");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
