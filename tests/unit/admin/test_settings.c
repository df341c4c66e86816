#include "config.h"

#include "admin/settings.h"

#include <check.h>
#include <stdlib.h>

/** Source: contract 2, the defaults. */
START_TEST(settings_init_gives_the_originals_defaults)
{
    struct settings settings;
    settings_init(&settings);
    ck_assert_int_eq(settings.port, 11211);
    ck_assert_int_eq(settings.udp_port, 0);
    ck_assert_uint_eq(settings.unix_mask, 0700);
    ck_assert_int_eq(settings.backlog, 1024);
    ck_assert_uint_eq(settings.conns_max, 1024);
    ck_assert_uint_eq(settings.threads, 4);
    ck_assert_uint_eq(settings.reqs_per_event, 20);
    ck_assert_uint_eq(atomic_load_explicit(&settings.memory_limit, memory_order_relaxed),
                      64u << 20);
    ck_assert_uint_eq(settings.item_size_max, 1u << 20);
    ck_assert_uint_eq(settings.slab_chunk_max, 512u << 10);
    ck_assert_int_eq(settings.prefix_delimiter, ':');
    ck_assert(settings.maxconns_fast && settings.slab_reassign && settings.lru_crawler &&
              settings.lru_maintainer);
    ck_assert(!settings.shutdown_enabled && !settings.flush_disabled && !settings.dump_disabled);
    ck_assert(!settings.cas_disabled && !settings.evictions_disabled && !settings.track_sizes);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("settings");
    TCase *tcase = tcase_create("settings");
    tcase_add_test(tcase, settings_init_gives_the_originals_defaults);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
