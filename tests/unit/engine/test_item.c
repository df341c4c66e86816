/* How an item lies in memory: every field at its bounds, and none on another's bits. */
#include "unit/engine/rig.h"

static const uint32_t all_flags[] = {
    0, SHAPE_LARGE, SHAPE_CLIENT_FLAGS, SHAPE_STALE, SHAPE_WIN, SHAPE_BINARY_KEY, SHAPE_SMALL,
};
#define FLAGS (sizeof(all_flags) / sizeof(all_flags[0]))

START_TEST(a_shape_gives_back_what_it_was_made_of)
{
    static const uint32_t keys[] = { 1, 2, 127, 128, CACHE_KEY_MAX };
    static const uint32_t values[] = { 0, 1, 255, 8191, ITEM_VALUE_MAX };
    for (unsigned k = 0; k < 5; k++) {
        for (unsigned v = 0; v < 5; v++) {
            for (uint32_t generation = 0; generation < 2 * ITEM_GENERATIONS; generation++) {
                uint32_t shape = shape_make(keys[k], values[v], generation, all_flags[_i]);
                ck_assert_uint_eq(shape_key_len(shape), keys[k]);
                ck_assert_uint_eq(shape_value_len(shape), values[v]);
                ck_assert_uint_eq(shape_generation(shape), generation % ITEM_GENERATIONS);
                for (unsigned f = 1; f < FLAGS; f++) {
                    ck_assert_uint_eq((shape & all_flags[f]) != 0, all_flags[f] == all_flags[_i]);
                }
            }
        }
    }
}
END_TEST

START_TEST(what_is_no_item_has_no_key)
{
    ck_assert_uint_eq(shape_key_len(SHAPE_FREE), 0);
    ck_assert_uint_eq(shape_key_len(SHAPE_HELD), 0);
    ck_assert_uint_eq(shape_key_len(SHAPE_PIECE | 0xffffu << 8), 0);
    ck_assert_uint_ne(SHAPE_HELD, SHAPE_PIECE);
}
END_TEST

START_TEST(an_item_costs_at_most_20_bytes_without_client_flags)
{
    ck_assert_uint_eq(item_key_offset(0, 0), 12);
    ck_assert_uint_eq(item_key_offset(0, 8), 20);
    ck_assert_uint_eq(item_key_offset(SHAPE_CLIENT_FLAGS, 0), 16);
    ck_assert_uint_eq(item_key_offset(SHAPE_CLIENT_FLAGS, 8), 24);
}
END_TEST

START_TEST(the_fields_of_an_item_do_not_touch_each_other)
{
    static uint32_t words[16];
    struct item *item = (struct item *)(void *)words;
    uint32_t shape = shape_make(5, 7, 3, SHAPE_CLIENT_FLAGS);
    item_set_access(item, 0x01020304);
    item_set_shape(item, shape);
    item_set_expire_s(item, 0x05060708);
    item_set_cas(item, UINT64_MAX - 1);
    words[5] = 0x090a0b0c;
    ck_assert_uint_eq(item_access(item), 0x01020304);
    ck_assert_uint_eq(item_shape(item), shape);
    ck_assert_uint_eq(item_expire_s(item), 0x05060708);
    ck_assert_uint_eq(item_cas(item), UINT64_MAX - 1);
    ck_assert_uint_eq(item_client_flags(item, shape, 8), 0x090a0b0c);
    ck_assert_uint_eq(item_client_flags(item, shape & ~SHAPE_CLIENT_FLAGS, 8), 0);
    ck_assert_uint_eq(item_client_flags(item, shape, 0), UINT32_MAX - 1);
    item_add_flags(item, SHAPE_STALE | SHAPE_WIN);
    ck_assert_uint_eq(item_shape(item), shape | SHAPE_STALE | SHAPE_WIN);
    item_drop_flags(item, SHAPE_STALE);
    ck_assert_uint_eq(item_shape(item), shape | SHAPE_WIN);
}
END_TEST

START_TEST(the_access_time_wraps_and_keeps_the_uses)
{
    uint32_t access = access_at(ACCESS_USES_MASK | ACCESS_FETCHED, ACCESS_TIME_MASK);
    ck_assert_uint_eq(access_idle_s(access, ACCESS_TIME_MASK), 0);
    ck_assert_uint_eq(access_idle_s(access, ACCESS_TIME_MASK + 10), 10);
    access = access_at(access, ACCESS_TIME_MASK + 5);
    ck_assert_uint_eq(access, ACCESS_USES_MASK | ACCESS_FETCHED | 4);
    ck_assert_uint_eq(access_idle_s(access, ACCESS_TIME_MASK + 6), 1);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("item");
    tcase_add_loop_test(tcase, a_shape_gives_back_what_it_was_made_of, 0, FLAGS);
    tcase_add_test(tcase, what_is_no_item_has_no_key);
    tcase_add_test(tcase, an_item_costs_at_most_20_bytes_without_client_flags);
    tcase_add_test(tcase, the_fields_of_an_item_do_not_touch_each_other);
    tcase_add_test(tcase, the_access_time_wraps_and_keeps_the_uses);
    return rig_run("engine/item", tcase);
}
