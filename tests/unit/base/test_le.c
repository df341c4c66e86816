#include "base/le.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support/guard.h"

START_TEST(numbers_are_read_lowest_byte_first)
{
    static const uint8_t bytes[] = { 0xf1, 0xe2, 0xd3, 0xc4, 0xb5, 0xa6, 0x97, 0x88 };
    ck_assert_uint_eq(le_get_u16(guard_copy(bytes, 2)), 0xe2f1);
    ck_assert_uint_eq(le_get_u24(guard_copy(bytes, 3)), 0xd3e2f1);
    ck_assert_uint_eq(le_get_u32(guard_copy(bytes, 4)), 0xc4d3e2f1);
    ck_assert_uint_eq(le_get_u64(guard_copy(bytes, 8)), UINT64_C(0x8897a6b5c4d3e2f1));
}
END_TEST

START_TEST(numbers_are_written_as_they_are_read)
{
    uint8_t bytes[10];
    memset(bytes, 0xee, sizeof(bytes));
    le_put_u32(bytes + 1, 0x80000001u);
    ck_assert_uint_eq(bytes[0], 0xee);
    ck_assert_uint_eq(bytes[1], 0x01);
    ck_assert_uint_eq(bytes[4], 0x80);
    ck_assert_uint_eq(bytes[5], 0xee);
    ck_assert_uint_eq(le_get_u32(bytes + 1), 0x80000001u);
    le_put_u64(bytes + 1, UINT64_C(0xfedcba9876543210));
    ck_assert_uint_eq(bytes[1], 0x10);
    ck_assert_uint_eq(bytes[8], 0xfe);
    ck_assert_uint_eq(bytes[9], 0xee);
    ck_assert_uint_eq(le_get_u64(bytes + 1), UINT64_C(0xfedcba9876543210));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("le");
    TCase *tcase = tcase_create("le");
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, numbers_are_read_lowest_byte_first);
    tcase_add_test(tcase, numbers_are_written_as_they_are_read);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
