/* The byte budget: what is taken, given back and charged, at the limit and one past it. */
#include "unit/engine/rig.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

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
    ck_assert(pages_init(&pages, LIMIT, false, NULL));
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
    ck_assert(pages_init(&other, sizes[_i].limit, false, NULL));
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
    ck_assert(pages_over_limit(&pages, 0));
    ck_assert(pages_over_limit(&pages, 1));
    ck_assert(!pages_over_limit(&pages, 2));
    ck_assert(!pages_cool_some(&pages));
    ck_assert(!pages_over_limit(&pages, 0));
    pages_check(&pages);
    ck_assert_uint_eq(used(), 6 * page_cost());
    ck_assert_uint_eq(pages_free_count(&pages), 2);
    pages_set_limit(&pages, 3 * page_cost());
    ck_assert(!pages_cool_some(&pages)); /* there are no more free ones */
    ck_assert(pages_over_limit(&pages, 0));
    ck_assert_uint_eq(used(), 4 * page_cost());
    pages_give(&pages, taken[3]);
    ck_assert(!pages_cool_some(&pages));
    ck_assert(!pages_over_limit(&pages, 0));
    pages_check(&pages);
    pages_set_limit(&pages, LIMIT);
    uint64_t count = LIMIT / page_cost() - 3;
    for (uint64_t i = 0; i < count; i++) {
        ck_assert_uint_ne(pages_take(&pages), PAGE_NONE);
    }
    ck_assert_uint_eq(pages_take(&pages), PAGE_NONE);
}
END_TEST

START_TEST(past_the_limit_free_pages_are_for_the_kernel_alone)
{
    uint32_t taken[60];
    for (unsigned i = 0; i < 60; i++) {
        taken[i] = pages_take(&pages);
    }
    for (unsigned i = 10; i < 60; i++) {
        pages_give(&pages, taken[i]);
    }
    pages_set_limit(&pages, 15 * page_cost());
    ck_assert(!pages_may_take(&pages));
    ck_assert_uint_eq(pages_take(&pages), PAGE_NONE);
    ck_assert_uint_eq(pages_free_count(&pages), 50);
    /* Some at a time, so that nobody waits for all of them. */
    unsigned calls = 1;
    while (pages_cool_some(&pages)) {
        calls++;
        pages_check(&pages);
    }
    ck_assert_uint_ge(calls, 2);
    ck_assert_uint_eq(used(), 15 * page_cost());
    ck_assert_uint_eq(pages_free_count(&pages), 5);
    ck_assert(pages_may_take(&pages));
    ck_assert_uint_ne(pages_take(&pages), PAGE_NONE);
    pages_set_limit(&pages, LIMIT);
}
END_TEST

START_TEST(the_slack_is_for_when_no_page_is_free)
{
    uint32_t first = pages_take(&pages);
    uint32_t second = pages_take(&pages);
    pages_give(&pages, first);
    ck_assert(pages_charge(&pages, LIMIT - page_cost(), page_cost()));
    ck_assert_uint_eq(used(), LIMIT); /* the free page went, and not the slack */
    ck_assert(!pages_charge(&pages, page_cost() + 1, page_cost()));
    ck_assert(pages_charge(&pages, page_cost(), page_cost()));
    ck_assert_uint_eq(used(), LIMIT + page_cost());
    pages_uncharge(&pages, LIMIT);
    pages_give(&pages, second);
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
    ck_assert(pages_init(&other, 4 * RIG_MB, true, NULL));
    ck_assert_uint_ne(pages_take(&other), PAGE_NONE);
    pages_check(&other);
    pages_fini(&other);
}
END_TEST

/** Bytes of address space that this process has. */
static uint64_t
address_space(void)
{
    unsigned long in_pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%lu", &in_pages), 1);
    fclose(file);
    return (uint64_t)in_pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The range took what was left of ulimit -v, and the index found nothing any more. */
START_TEST(a_narrow_address_space_is_shared_with_the_rest)
{
    for (uint64_t room = 260 * RIG_MB; room <= 1100 * RIG_MB; room += 60 * RIG_MB) {
        struct pages other;
        struct rlimit limit = { .rlim_cur = address_space() + room, .rlim_max = RLIM_INFINITY };
        ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
        ck_assert_msg(pages_init(&other, 32 * RIG_MB, false, NULL), "%u MB",
                      (unsigned)(room / RIG_MB));
        void *rest = mmap(NULL, room / 3, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        ck_assert_msg(rest != MAP_FAILED, "%u MB", (unsigned)(room / RIG_MB));
        ck_assert_int_eq(munmap(rest, room / 3), 0);
        pages_fini(&other);
    }
}
END_TEST

/* -- in a file ---------------------------------------------------------------------------------- */

#define FILE_LIMIT (64 * RIG_MB)

static struct pages filed;
static int file_fd;

static void
file_set_up(void)
{
    char name[] = "/tmp/larder-pages-XXXXXX";
    file_fd = mkstemp(name);
    ck_assert_int_ge(file_fd, 0);
    ck_assert_int_eq(unlink(name), 0);
    struct pages_file file = { .fd = file_fd };
    ck_assert(pages_init(&filed, FILE_LIMIT, false, &file));
}

static void
file_tear_down(void)
{
    pages_check(&filed);
    pages_fini(&filed);
    close(file_fd);
}

static uint64_t
file_blocks(void)
{
    struct stat now;
    ck_assert_int_eq(fstat(file_fd, &now), 0);
    return (uint64_t)now.st_blocks * 512;
}

START_TEST(a_page_of_a_file_is_the_file)
{
    uint8_t byte = 0;
    uint32_t page = pages_take(&filed);
    memset(pages_at(&filed, pages_ref(&filed, page, 0)), 0x5a, pages_page_size(&filed));
    off_t at = (off_t)page << filed.page_shift;
    ck_assert_int_eq(pread(file_fd, &byte, 1, at), 1);
    ck_assert_uint_eq(byte, 0x5a);
    ck_assert_int_eq(pread(file_fd, &byte, 1, at + (off_t)pages_page_size(&filed) - 1), 1);
    ck_assert_uint_eq(byte, 0x5a);
}
END_TEST

START_TEST(pages_of_a_file_take_blocks_and_give_them_back)
{
    enum { PAGES = 200 };
    uint64_t before = file_blocks();
    uint64_t size = pages_page_size(&filed);
    uint32_t page[PAGES];
    for (unsigned i = 0; i < PAGES; i++) {
        page[i] = pages_take(&filed);
        ck_assert_uint_ne(page[i], PAGE_NONE);
        ck_assert_uint_ge(file_blocks(), before + (i + 1) * size); /* before a byte is written */
    }
    for (unsigned i = 0; i < PAGES; i++) {
        memset(pages_at(&filed, pages_ref(&filed, page[i], 0)), 1, size);
        pages_give(&filed, page[i]);
    }
    pages_cool_all(&filed);
    pages_check(&filed);
    ck_assert_uint_eq(atomic_load_explicit(&filed.used, memory_order_relaxed), 0);
    /* The low end is kept, for readers that go astray; it is little. */
    ck_assert_uint_le(file_blocks(), before + FILE_LIMIT / 512 + size);
    /* A hole reads as zeros, and is a page again when it is taken. */
    ck_assert_uint_eq(*pages_at(&filed, pages_ref(&filed, page[PAGES - 1], 0)), 0);
    for (unsigned i = 0; i < PAGES; i++) {
        ck_assert_uint_ne(pages_take(&filed), PAGE_NONE);
    }
    ck_assert_uint_ge(file_blocks(), PAGES * size);
}
END_TEST

START_TEST(a_full_file_system_is_a_page_less)
{
    uint32_t page = pages_take(&filed);
    ck_assert_uint_ne(page, PAGE_NONE);
    uint64_t used = atomic_load_explicit(&filed.used, memory_order_relaxed);
    /* A pipe has no blocks to give. */
    int kept = dup(file_fd);
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(dup2(ends[1], file_fd), file_fd);
    ck_assert(pages_may_take(&filed));
    ck_assert_uint_eq(pages_take(&filed), PAGE_NONE);
    pages_check(&filed);
    ck_assert(!pages_may_take(&filed)); /* not at each store */
    ck_assert_uint_eq(pages_take(&filed), PAGE_NONE);
    ck_assert_uint_eq(atomic_load_explicit(&filed.file_refusals, memory_order_relaxed), 1);
    ck_assert_uint_eq(atomic_load_explicit(&filed.used, memory_order_relaxed), used);
    pages_retry_file(&filed);
    ck_assert(pages_may_take(&filed));
    ck_assert_uint_eq(pages_take(&filed), PAGE_NONE);
    ck_assert_uint_eq(atomic_load_explicit(&filed.file_refusals, memory_order_relaxed), 2);
    /* Pages with memory are there all the same. */
    pages_give(&filed, page);
    ck_assert_uint_eq(pages_take(&filed), page);
    ck_assert_int_eq(dup2(kept, file_fd), file_fd);
    pages_retry_file(&filed);
    ck_assert_uint_ne(pages_take(&filed), PAGE_NONE);
    close(kept);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(refs_of_a_file_keep_their_unit)
{
    struct pages other;
    struct pages_file file = { .fd = file_fd, .page_shift = 15, .ref_shift = 4 };
    ck_assert(pages_init(&other, FILE_LIMIT, false, &file));
    ck_assert_uint_eq(pages_page_size(&other), 32768);
    ck_assert_uint_eq(other.ref_shift, 4);
    pages_fini(&other);
    file.ref_shift = 3;
    ck_assert(!pages_init(&other, (uint64_t)40 << 30, false, &file));
    ck_assert_int_eq(errno, EFBIG);
}
END_TEST

static TCase *
file_case(void)
{
    TCase *tcase = tcase_create("file");
    tcase_add_checked_fixture(tcase, file_set_up, file_tear_down);
    tcase_add_test(tcase, a_page_of_a_file_is_the_file);
    tcase_add_test(tcase, pages_of_a_file_take_blocks_and_give_them_back);
    tcase_add_test(tcase, a_full_file_system_is_a_page_less);
    tcase_add_test(tcase, refs_of_a_file_keep_their_unit);
    return tcase;
}

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
    tcase_add_test(tcase, past_the_limit_free_pages_are_for_the_kernel_alone);
    tcase_add_test(tcase, the_slack_is_for_when_no_page_is_free);
    tcase_add_test(tcase, a_page_given_for_a_charge_leaves_its_cost_charged);
    tcase_add_test(tcase, a_ref_names_its_page_and_byte);
    tcase_add_test(tcase, large_pages_take_their_memory_at_once);
    tcase_add_test(tcase, a_narrow_address_space_is_shared_with_the_rest);
    Suite *suite = suite_create("engine/pages");
    suite_add_tcase(suite, tcase);
    suite_add_tcase(suite, file_case());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
