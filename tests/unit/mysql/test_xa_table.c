#include "mysql/xa_table.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct xa_id
id_of(unsigned number)
{
    struct xa_id id = { .format = 7, .gtrid_len = 4, .bqual_len = 1, .bqual = "b" };
    memcpy(id.gtrid, &number, 4);
    return id;
}

START_TEST(xa_operations_come_back_in_order_by_their_identifier)
{
    struct xa_table table;
    xa_table_init(&table);
    for (unsigned i = 0; i < 10; i++) {
        struct xa_operations operations = { .len = 0 };
        struct xa_id id = id_of(i);
        for (unsigned k = 0; k <= i; k++) {
            char text[40];
            snprintf(text, sizeof(text), "%u of %u%*s", k, i, (int)(k % 7), "");
            xa_add(&table, &operations, text, strlen(text) + 1);
        }
        xa_prepare(&table, &id, &operations);
        ck_assert_ptr_null(operations.bytes);
    }
    for (unsigned i = 10; i-- > 0;) {
        struct xa_operations operations;
        struct xa_id id = id_of(i);
        ck_assert(xa_take(&table, &id, &operations));
        size_t at = 0;
        for (unsigned k = 0; k <= i; k++) {
            unsigned found;
            unsigned of;
            const char *text = xa_next(&operations, &at);
            ck_assert_ptr_nonnull(text);
            ck_assert_int_eq(sscanf(text, "%u of %u", &found, &of), 2);
            ck_assert_uint_eq(found, k);
            ck_assert_uint_eq(of, i);
        }
        ck_assert_ptr_null(xa_next(&operations, &at));
        xa_operations_fini(&operations);
        ck_assert(!xa_take(&table, &id, &operations));
    }
    ck_assert_uint_eq(table.bytes, 0);
    xa_table_fini(&table);
}
END_TEST

START_TEST(xa_identifiers_differ_in_each_part)
{
    struct xa_table table;
    struct xa_operations operations = { .len = 0 };
    struct xa_id id = id_of(1);
    xa_table_init(&table);
    xa_prepare(&table, &id, &operations);
    struct xa_id others[] = { id, id, id, id };
    others[0].format = 8;
    others[1].gtrid[3] = 9;
    others[2].bqual[0] = 'c';
    others[3].bqual_len = 0;
    for (unsigned i = 0; i < 4; i++) {
        ck_assert(!xa_take(&table, &others[i], &operations));
    }
    ck_assert(xa_take(&table, &id, &operations));
    xa_table_fini(&table);
}
END_TEST

START_TEST(xa_table_is_bounded_and_says_what_it_gave_up)
{
    static uint8_t large[1u << 20];
    struct xa_table table;
    struct xa_operations operations = { .len = 0 };
    xa_table_init(&table);
    for (unsigned i = 0; i < XA_BYTES_MAX / sizeof(large); i++) {
        xa_add(&table, &operations, large, sizeof(large));
    }
    ck_assert(operations.is_cut);
    ck_assert_ptr_null(operations.bytes);
    xa_add(&table, &operations, large, 1);
    ck_assert_uint_eq(operations.len, 0);
    struct xa_id id = id_of(0);
    xa_prepare(&table, &id, &operations);
    ck_assert(xa_take(&table, &id, &operations));
    ck_assert(operations.is_cut);
    for (unsigned i = 0; i <= XA_TRANSACTIONS_MAX; i++) {
        operations = (struct xa_operations){ .len = 0 };
        xa_add(&table, &operations, "x", 1);
        id = id_of(i);
        xa_prepare(&table, &id, &operations);
    }
    ck_assert_uint_eq(table.count, XA_TRANSACTIONS_MAX);
    ck_assert(!xa_take(&table, &id, &operations));
    xa_table_fini(&table);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("xa_table");
    tcase_add_test(tcase, xa_operations_come_back_in_order_by_their_identifier);
    tcase_add_test(tcase, xa_identifiers_differ_in_each_part);
    tcase_add_test(tcase, xa_table_is_bounded_and_says_what_it_gave_up);
    Suite *suite = suite_create("mysql/xa_table");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
