/* Which worker a connection goes to by its NAPI id. */
#include "config.h"

#include "net/napi.h"

#include <check.h>
#include <sys/socket.h>
#include <unistd.h>

START_TEST(napi_gives_each_id_a_worker_of_its_own)
{
    struct napi_table table = { .max = 3 };
    static const struct {
        unsigned id;
        unsigned worker;
    } rows[] = { { 17, 0 }, { 9, 1 }, { 17, 0 }, { 500, 2 }, { 9, 1 }, { 500, 2 } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned worker = 99;
        ck_assert_int_eq(napi_choose(&table, rows[i].id, &worker), NAPI_WORKER);
        ck_assert_uint_eq(worker, rows[i].worker);
    }
}
END_TEST

START_TEST(napi_without_an_id_chooses_none)
{
    struct napi_table table = { .max = 1 };
    unsigned worker = 99;
    ck_assert_int_eq(napi_choose(&table, 0, &worker), NAPI_NONE);
    ck_assert_uint_eq(worker, 99);
    ck_assert_uint_eq(table.len, 0);
}
END_TEST

START_TEST(napi_begins_anew_after_one_id_too_many)
{
    struct napi_table table = { .max = 2 };
    unsigned worker = 99;
    ck_assert_int_eq(napi_choose(&table, 1, &worker), NAPI_WORKER);
    ck_assert_int_eq(napi_choose(&table, 2, &worker), NAPI_WORKER);
    worker = 99;
    ck_assert_int_eq(napi_choose(&table, 3, &worker), NAPI_UNEXPECTED);
    ck_assert_uint_eq(worker, 99);
    ck_assert_int_eq(napi_choose(&table, 3, &worker), NAPI_WORKER);
    ck_assert_uint_eq(worker, 0);
    ck_assert_int_eq(napi_choose(&table, 2, &worker), NAPI_WORKER);
    ck_assert_uint_eq(worker, 1);
}
END_TEST

START_TEST(napi_table_holds_as_many_as_there_may_be_workers)
{
    static struct napi_table table = { .max = NAPI_IDS_MAX };
    unsigned worker = 0;
    for (unsigned i = 0; i < NAPI_IDS_MAX; i++) {
        ck_assert_int_eq(napi_choose(&table, i + 1, &worker), NAPI_WORKER);
        ck_assert_uint_eq(worker, i);
    }
    ck_assert_int_eq(napi_choose(&table, NAPI_IDS_MAX + 1, &worker), NAPI_UNEXPECTED);
}
END_TEST

START_TEST(napi_id_of_a_local_socket_is_none)
{
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    ck_assert_uint_eq(napi_id_of(fds[0]), 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
    ck_assert_uint_eq(napi_id_of(-1), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("napi");
    TCase *tcase = tcase_create("napi");
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, napi_gives_each_id_a_worker_of_its_own);
    tcase_add_test(tcase, napi_without_an_id_chooses_none);
    tcase_add_test(tcase, napi_begins_anew_after_one_id_too_many);
    tcase_add_test(tcase, napi_table_holds_as_many_as_there_may_be_workers);
    tcase_add_test(tcase, napi_id_of_a_local_socket_is_none);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
