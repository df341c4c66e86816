#include "config.h"

#include "net/metrics_server.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text;
    const char *path;
    const char *host;
    unsigned port; /* 0: refused, or a path */
} addresses[] = {
    { "9150", "", "127.0.0.1", 9150 },
    { "1", "", "127.0.0.1", 1 },
    { "65535", "", "127.0.0.1", 65535 },
    { "10.0.0.1:9150", "", "10.0.0.1", 9150 },
    { "localhost:9150", "", "localhost", 9150 },
    { "[::1]:9150", "", "::1", 9150 },
    { "*:9150", "", "", 9150 },
    { "/run/larder/metrics", "/run/larder/metrics", "", 0 },
    { "", "", NULL, 0 },
    { "0", "", NULL, 0 },
    { "65536", "", NULL, 0 },
    { "100000000000000000000", "", NULL, 0 },
    { "-1", "", NULL, 0 },
    { "localhost", "", NULL, 0 },
    { "localhost:0", "", NULL, 0 },
    { "localhost:x", "", NULL, 0 },
    { "proto[ascii]:localhost:9150", "", NULL, 0 },
    { "notls:localhost:9150", "", NULL, 0 },
    { "tag[a]:localhost:9150", "", NULL, 0 },
};

START_TEST(metrics_address_parse_takes_ports_addresses_and_paths)
{
    struct metrics_address got;
    char error[METRICS_ERROR_CAP] = "";
    bool taken = metrics_address_parse(addresses[_i].text, &got, error, sizeof(error));
    ck_assert_int_eq(taken, addresses[_i].host != NULL);
    if (taken) {
        ck_assert_str_eq(got.path, addresses[_i].path);
        ck_assert_str_eq(got.host, addresses[_i].host);
        ck_assert_uint_eq(got.port, addresses[_i].port);
    } else {
        ck_assert_ptr_nonnull(strstr(error, "-o metrics="));
        ck_assert_ptr_nonnull(strstr(error, "is right"));
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("metrics_server");
    TCase *tcase = tcase_create("metrics_server");
    tcase_add_loop_test(tcase, metrics_address_parse_takes_ports_addresses_and_paths, 0,
                        sizeof(addresses) / sizeof(addresses[0]));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
