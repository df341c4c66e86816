#include "mysql/hook_state.h"
#include "mysql/retry.h"
#include "mysql/waiters.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(states_change_along_the_table_alone)
{
    static const char *const ways[HOOK_STATES] = {
        "110111", /* connecting: to itself and all but streaming */
        "101111", "110111", "100011", "100001", "000000",
    };
    for (unsigned from = 0; from < HOOK_STATES; from++) {
        for (unsigned to = 0; to < HOOK_STATES; to++) {
            ck_assert_msg(hook_state_may(from, to) == (ways[from][to] == '1'), "%s -> %s",
                          hook_state_text(from), hook_state_text(to));
        }
    }
}
END_TEST

START_TEST(retry_goes_through_the_hosts_and_waits_longer_after_each_round)
{
    struct retry retry;
    retry_init(&retry, 3);
    uint32_t longest = 0;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 2; i++) {
            ck_assert_uint_eq(retry.host, i);
            ck_assert_uint_eq(retry_failed(&retry, round), 0);
        }
        ck_assert_uint_eq(retry.host, 2);
        uint32_t pause_ms = retry_failed(&retry, UINT64_MAX - round);
        ck_assert_uint_ge(pause_ms, RETRY_FIRST_MS / 2);
        ck_assert_uint_le(pause_ms, RETRY_MAX_MS);
        longest = pause_ms > longest ? pause_ms : longest;
    }
    ck_assert_uint_ge(longest, RETRY_MAX_MS / 2);
    (void)retry_failed(&retry, 0);
    retry_succeeded(&retry);
    ck_assert_uint_eq(retry.host, 1);
    ck_assert_uint_eq(retry.pause_ms, RETRY_FIRST_MS);
}
END_TEST

static void
note(void *arg, bool reached)
{
    *(int *)arg = reached ? 1 : -1;
}

static void
parse(struct gtid_set *set, const char *text)
{
    gtid_set_init(set);
    ck_assert_int_eq(gtid_set_parse(set, (struct bytes){ (const uint8_t *)text, strlen(text) }),
                     GTID_DONE);
}

START_TEST(waiters_are_told_once_what_became_of_their_wait)
{
    struct waiters waiters;
    int told[4] = { 0 };
    uint64_t tickets[4];
    static const char *const targets[] = { "0-1-5", "0-1-6", "0-1-5,1-1-1", "0-1-9" };
    ck_assert(waiters_init(&waiters));
    for (unsigned i = 0; i < 4; i++) {
        struct gtid_set target;
        parse(&target, targets[i]);
        ck_assert_int_eq(waiters_add(&waiters, &target, 100 * (i + 1), note, &told[i], &tickets[i]),
                         WAITERS_WAITING);
    }
    struct gtid_set applied;
    parse(&applied, "0-1-5");
    waiters_reach(&waiters, &applied);
    ck_assert_int_eq(told[0], 1);
    ck_assert_int_eq(told[1] | told[2] | told[3], 0);
    waiters_expire(&waiters, 299);
    ck_assert_int_eq(told[1], -1);
    ck_assert_int_eq(told[2], 0);
    waiters_cancel(&waiters, tickets[2]);
    waiters_cancel(&waiters, tickets[0]);
    waiters_expire(&waiters, 399);
    ck_assert_int_eq(told[2] | told[3], 0);
    gtid_set_fini(&applied);
    waiters_fini(&waiters);
    ck_assert_int_eq(told[2], 0);
    ck_assert_int_eq(told[3], -1);
}
END_TEST

START_TEST(waiters_are_bounded)
{
    struct waiters waiters;
    struct gtid_set target;
    int told = 0;
    uint64_t ticket;
    ck_assert(waiters_init(&waiters));
    for (unsigned i = 0; i < WAITERS_MAX; i++) {
        parse(&target, "0-1-5");
        ck_assert_int_eq(waiters_add(&waiters, &target, 1, note, &told, &ticket), WAITERS_WAITING);
    }
    parse(&target, "0-1-5");
    ck_assert_int_eq(waiters_add(&waiters, &target, 1, note, &told, &ticket), WAITERS_FULL);
    gtid_set_fini(&target);
    waiters_fini(&waiters);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("hook_state");
    tcase_add_test(tcase, states_change_along_the_table_alone);
    tcase_add_test(tcase, retry_goes_through_the_hosts_and_waits_longer_after_each_round);
    tcase_add_test(tcase, waiters_are_told_once_what_became_of_their_wait);
    tcase_add_test(tcase, waiters_are_bounded);
    Suite *suite = suite_create("mysql/hook_state");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
