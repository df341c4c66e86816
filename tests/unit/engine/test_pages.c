/* The byte budget: what is taken, given back and charged, at the limit and one past it. */
#include "unit/engine/rig.h"

#define LIMIT (1 * RIG_MB)

static struct pages pages;

static uint64_t
used(void)
{
    return atomic_load_explicit(&pages.used, memory_order_relaxed); /* relaxed: one thread */
}

static uint64_t
page_cost(void)
{
    return pages_page_size(&pages) + sizeof(struct page);
}

static void
set_up(void)
{
    ck_assert(pages_init(&pages, LIMIT, false));
}

static void
tear_down(void)
{
    pages_check(&pages);
    pages_fini(&pages);
}

static const struct {
    uint64_t limit;
    size_t page_size;
} sizes[] = {
    { 1 * RIG_MB, 16384 },      { 8 * RIG_MB - 1, 16384 }, { 8 * RIG_MB, 32768 },
    { 24 * RIG_MB - 1, 32768 }, { 24 * RIG_MB, 65536 },    { 1024 * RIG_MB, 65536 },
};

START_TEST(pages_are_small_where_the_limit_is)
{
    struct pages other;
    ck_assert(pages_init(&other, sizes[_i].limit, false));
    ck_assert_uint_eq(pages_page_size(&other), sizes[_i].page_size);
    ck_assert_uint_ge(pages_limit_max(&other), sizes[_i].limit);
    pages_check(&other);
    pages_fini(&other);
}
END_TEST

START_TEST(pages_take_ends_at_the_limit)
{
    uint64_t count = LIMIT / page_cost();
    for (uint64_t i = 0; i < count; i++) {
        ck_assert(pages_may_take(&pages));
        uint32_t page = pages_take(&pages);
        ck_assert_uint_ne(page, PAGE_NONE);
        memset(pages_at(&pages, pages_ref(&pages, page, 0)), 0x5a, pages_page_size(&pages));
        pages_check(&pages);
    }
    ck_assert(!pages_may_take(&pages));
    ck_assert_uint_eq(pages_take(&pages), PAGE_NONE);
    ck_assert_uint_eq(used(), count * page_cost());
    uint64_t free_pages;
    uint64_t taken;
    pages_count(&pages, &free_pages, &taken);
    ck_assert_uint_eq(free_pages, 0);
    ck_assert_uint_eq(taken, count * pages_page_size(&pages));
}
END_TEST

START_TEST(a_page_given_back_is_taken_again_and_stays_charged)
{
    uint32_t page = pages_take(&pages);
    pages_give(&pages, page);
    pages_check(&pages);
    ck_assert_uint_eq(used(), page_cost());
    ck_assert_uint_eq(pages_take(&pages), page);
    ck_assert_uint_eq(used(), page_cost());
}
END_TEST

START_TEST(a_charge_fits_up_to_the_limit_and_its_slack_and_not_a_byte_further)
{
    ck_assert(!pages_charge(&pages, LIMIT + 1, 0));
    ck_assert_uint_eq(used(), 0);
    ck_assert(pages_charge(&pages, LIMIT, 0));
    ck_assert(!pages_charge(&pages, 1, 0));
    ck_assert(!pages_charge(&pages, 101, 100));
    ck_assert(pages_charge(&pages, 100, 100));
    ck_assert_uint_eq(pages_take(&pages), PAGE_NONE);
    pages_uncharge(&pages, LIMIT + 100);
    ck_assert_uint_eq(used(), 0);
}
END_TEST

START_TEST(a_charge_gives_free_pages_back_to_the_kernel)
{
    uint32_t first = pages_take(&pages);
    uint32_t second = pages_take(&pages);
    uint8_t *bytes = pages_at(&pages, pages_ref(&pages, second, 0));
    memset(bytes, 0x5a, pages_page_size(&pages));
    pages_give(&pages, second);
    ck_assert(pages_charge(&pages, LIMIT - page_cost(), 0));
    pages_check(&pages);
    ck_assert_uint_eq(used(), LIMIT);
    ck_assert_uint_eq(bytes[0], 0); /* still readable: a late reader sees zeros */
    ck_assert_uint_eq(pages_take(&pages), PAGE_NONE);
    pages_uncharge(&pages, LIMIT - page_cost());
    ck_assert_uint_eq(pages_take(&pages), second);
    pages_give(&pages, first);
    pages_give(&pages, second);
}
END_TEST

START_TEST(a_lowered_limit_cools_free_pages_and_says_when_that_is_not_enough)
{
    uint32_t taken[8];
    for (unsigned i = 0; i < 8; i++) {
        taken[i] = pages_take(&pages);
    }
    for (unsigned i = 4; i < 8; i++) {
        pages_give(&pages, taken[i]);
    }
    pages_set_limit(&pages, 6 * page_cost());
    ck_assert(!pages_over_limit(&pages));
    pages_check(&pages);
    ck_assert_uint_eq(used(), 6 * page_cost());
    pages_set_limit(&pages, 3 * page_cost());
    ck_assert(pages_over_limit(&pages));
    ck_assert_uint_eq(used(), 4 * page_cost());
    pages_give(&pages, taken[3]);
    ck_assert(!pages_over_limit(&pages));
    pages_check(&pages);
    pages_set_limit(&pages, LIMIT);
    uint64_t count = LIMIT / page_cost() - 3;
    for (uint64_t i = 0; i < count; i++) {
        ck_assert_uint_ne(pages_take(&pages), PAGE_NONE);
    }
    ck_assert_uint_eq(pages_take(&pages), PAGE_NONE);
}
END_TEST

START_TEST(a_page_given_for_a_charge_leaves_its_cost_charged)
{
    uint32_t page = pages_take(&pages);
    ck_assert_uint_eq(pages_give_for_charge(&pages, page), page_cost());
    ck_assert_uint_eq(used(), page_cost());
    ck_assert_uint_eq(pages_take(&pages), page); /* cold: charged anew */
    ck_assert_uint_eq(used(), 2 * page_cost());
    pages_give(&pages, page);
    pages_uncharge(&pages, page_cost());
}
END_TEST

START_TEST(a_ref_names_its_page_and_byte)
{
    uint32_t page = pages_take(&pages);
    ck_assert_uint_ne(pages_ref(&pages, page, 0), 0);
    size_t last = pages_page_size(&pages) - 8;
    uint32_t ref = pages_ref(&pages, page, last);
    ck_assert_uint_eq(pages_page_of(&pages, ref), page);
    ck_assert_ptr_eq(pages_at(&pages, ref), pages.base + ((size_t)page << pages.page_shift) + last);
    ck_assert_uint_eq(pages_page_of(&pages, ref + 1), page + 1);
}
END_TEST

START_TEST(large_pages_take_their_memory_at_once)
{
    struct pages other;
    ck_assert(pages_init(&other, 4 * RIG_MB, true));
    ck_assert_uint_ne(pages_take(&other), PAGE_NONE);
    pages_check(&other);
    pages_fini(&other);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("pages");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, pages_are_small_where_the_limit_is, 0,
                        sizeof(sizes) / sizeof(sizes[0]));
    tcase_add_test(tcase, pages_take_ends_at_the_limit);
    tcase_add_test(tcase, a_page_given_back_is_taken_again_and_stays_charged);
    tcase_add_test(tcase, a_charge_fits_up_to_the_limit_and_its_slack_and_not_a_byte_further);
    tcase_add_test(tcase, a_charge_gives_free_pages_back_to_the_kernel);
    tcase_add_test(tcase, a_lowered_limit_cools_free_pages_and_says_when_that_is_not_enough);
    tcase_add_test(tcase, a_page_given_for_a_charge_leaves_its_cost_charged);
    tcase_add_test(tcase, a_ref_names_its_page_and_byte);
    tcase_add_test(tcase, large_pages_take_their_memory_at_once);
    return rig_run("engine/pages", tcase);
}
