/* The description of a stopped cache: each prefix, each byte changed, each number out of its range.
 */
#include "unit/engine/rig.h"

#include "engine/restart_meta.h"
#include "support/guard.h"

#define CLASSES 3u
#define PAGES   5u

static uint8_t *made;
static size_t made_len;

static struct restart_meta
numbers(void)
{
    return (struct restart_meta){
        .id = 7,
        .saved_ns = 1700000000123456789u,
        .clock_base = RIG_NOW,
        .now_s = 100,
        .cas_size = 8,
        .page_shift = 16,
        .ref_shift = 3,
        .classes = CLASSES,
        .page_count = PAGES,
        .items = 11,
        .generation = 2,
        .flush_at_s = 0,
        .cas_last = 12,
        .cas_explicit = UINT64_MAX,
    };
}

static void
set_up(void)
{
    struct restart_meta meta = numbers();
    made_len = restart_meta_len(CLASSES, PAGES);
    made = malloc(made_len);
    ck_assert_ptr_nonnull(made);
    restart_meta_begin(&meta, made);
    for (unsigned id = 1; id <= CLASSES; id++) {
        restart_meta_set_chunk_size(&meta, id, 24 * id);
    }
    for (uint32_t page = 1; page < PAGES; page++) {
        struct restart_page what = { page * 1000, (uint16_t)(page + 1), (uint16_t)page,
                                     (uint8_t)(page % CLASSES) };
        restart_meta_set_page(&meta, page, &what);
    }
    restart_meta_end(made, made_len);
}

static void
tear_down(void)
{
    free(made);
    guard_free_all();
}

/** What a copy that ends at an unreadable page is parsed as. */
static enum restart_meta_result
parse(const uint8_t *bytes, size_t len, struct restart_meta *meta)
{
    uint32_t version;
    return restart_meta_parse(meta, guard_copy(bytes, len), len, &version);
}

START_TEST(what_was_written_is_read)
{
    struct restart_meta wrote = numbers();
    struct restart_meta meta;
    ck_assert_int_eq(parse(made, made_len, &meta), RESTART_META_OK);
#define SAME(name, max) ck_assert_uint_eq(meta.name, wrote.name);
    RESTART_META_NUMBERS(SAME)
#undef SAME
    for (unsigned id = 1; id <= CLASSES; id++) {
        ck_assert_uint_eq(restart_meta_chunk_size(&meta, id), 24 * id);
    }
    for (uint32_t page = 1; page < PAGES; page++) {
        struct restart_page what = restart_meta_page(&meta, page);
        ck_assert_uint_eq(what.check, page * 1000);
        ck_assert_uint_eq(what.fresh, page + 1);
        ck_assert_uint_eq(what.free_head, page);
        ck_assert_uint_eq(what.class_id, page % CLASSES);
    }
}
END_TEST

START_TEST(every_prefix_is_too_short)
{
    for (size_t len = 0; len < made_len; len++) {
        struct restart_meta meta;
        ck_assert_int_eq(parse(made, len, &meta), RESTART_META_SHORT);
        guard_free_all();
    }
}
END_TEST

START_TEST(a_byte_more_is_damage)
{
    struct restart_meta meta;
    made = realloc(made, made_len + 1);
    ck_assert_ptr_nonnull(made);
    made[made_len] = 0;
    ck_assert_int_eq(parse(made, made_len + 1, &meta), RESTART_META_TORN);
}
END_TEST

START_TEST(no_changed_bit_goes_unseen)
{
    for (size_t at = 0; at < made_len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct restart_meta meta;
            made[at] ^= (uint8_t)(1u << bit);
            rig_must(parse(made, made_len, &meta) != RESTART_META_OK);
            made[at] ^= (uint8_t)(1u << bit);
            guard_free_all();
        }
    }
}
END_TEST

static const struct {
    size_t at;
    uint8_t byte;
    enum restart_meta_result result;
} heads[] = {
    { 0, 'T', RESTART_META_FOREIGN },
    { 7, 'x', RESTART_META_FOREIGN },
    { 8, 0, RESTART_META_VERSION_DIFFERS },
    { 8, 2, RESTART_META_VERSION_DIFFERS },
    { 11, 1, RESTART_META_VERSION_DIFFERS },
    { 12, 1, RESTART_META_ORDER_DIFFERS },
    { 16, 0xff, RESTART_META_SHORT },
    { 23, 0x80, RESTART_META_SHORT },
    { 16, 0, RESTART_META_TORN },
    { 24, 9, RESTART_META_TORN },
};

START_TEST(each_part_of_the_head_is_told_apart)
{
    struct restart_meta meta;
    made[heads[_i].at] = heads[_i].byte;
    ck_assert_int_eq(parse(made, made_len, &meta), heads[_i].result);
}
END_TEST

/* The place of each number. */
enum place {
#define PLACE(name, max) AT_##name,
    RESTART_META_NUMBERS(PLACE)
#undef PLACE
};

static const struct {
    enum place place;
    uint64_t value;
} bad[] = {
    { AT_id, 0 },
    { AT_saved_ns, UINT64_MAX },
    { AT_clock_base, (uint64_t)INT64_MAX + 1 },
    { AT_now_s, UINT32_MAX },
    { AT_cas_size, 9 },
    { AT_cas_size, 4 },
    { AT_page_shift, 13 },
    { AT_page_shift, 17 },
    { AT_page_shift, 64 },
    { AT_ref_shift, 2 },
    { AT_ref_shift, 17 },
    { AT_ref_shift, 16 },
    { AT_items, (uint64_t)UINT32_MAX + 1 },
    { AT_generation, (uint64_t)UINT32_MAX + 1 },
    { AT_flush_at_s, (uint64_t)UINT32_MAX + 1 },
    { AT_classes, 0 },
    { AT_classes, 1 },
    { AT_classes, 4 },
    { AT_classes, 128 },
    { AT_classes, UINT64_MAX },
    { AT_page_count, 0 },
    { AT_page_count, 1 },
    { AT_page_count, 4 },
    { AT_page_count, 6 },
    { AT_page_count, 1u << 20 },
    { AT_page_count, UINT64_MAX },
};

/* The check is right: so only the numbers themselves can tell. */
START_TEST(a_number_out_of_its_range_is_bad)
{
    struct restart_meta meta;
    memcpy(made + 24 + bad[_i].place * (size_t)8, &bad[_i].value, 8);
    restart_meta_end(made, made_len);
    ck_assert_int_eq(parse(made, made_len, &meta), RESTART_META_BAD);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("restart_meta");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, what_was_written_is_read);
    tcase_add_test(tcase, every_prefix_is_too_short);
    tcase_add_test(tcase, a_byte_more_is_damage);
    tcase_add_test(tcase, no_changed_bit_goes_unseen);
    tcase_add_loop_test(tcase, each_part_of_the_head_is_told_apart, 0,
                        (int)(sizeof(heads) / sizeof(heads[0])));
    tcase_add_loop_test(tcase, a_number_out_of_its_range_is_bad, 0,
                        (int)(sizeof(bad) / sizeof(bad[0])));
    return rig_run("restart_meta", tcase);
}
