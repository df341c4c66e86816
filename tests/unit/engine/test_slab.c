/* Size classes, and chunks of pages. */
#include "unit/engine/rig.h"

static struct rig rig;

static void
set_up(void)
{
    struct cache_options options = rig_options(1 * RIG_MB);
    rig_open(&rig, &options);
}

static void
tear_down(void)
{
    rig_close(&rig);
}

static const struct {
    uint64_t limit;
    double factor;
    uint32_t chunk_min;
    bool cas_disabled;
} tables[] = {
    { 1 * RIG_MB, 0, 0, false },       { 64 * RIG_MB, 0, 0, true },
    { 8 * RIG_MB, 1.25, 48, false },   { 64 * RIG_MB, 1.0001, 1, true },
    { 64 * RIG_MB, 100.0, 48, false }, { 1 * RIG_MB, 2, 4000, false },
    { 1 * RIG_MB, 2, 100000, false },  { 64 * RIG_MB, 1.08, 16000, false },
};

START_TEST(every_size_has_the_smallest_class_that_holds_it)
{
    struct rig other;
    struct cache_options options = rig_options(tables[_i].limit);
    options.growth_factor = tables[_i].factor;
    options.chunk_min = tables[_i].chunk_min;
    options.cas_disabled = tables[_i].cas_disabled;
    rig_open(&other, &options);
    const struct cache *cache = other.cache;
    ck_assert_uint_ge(cache->classes, 1);
    ck_assert_uint_le(cache->classes, CACHE_CLASSES_MAX);
    for (unsigned id = 1; id <= cache->classes; id++) {
        const struct size_class *class = &cache->size_class[id];
        ck_assert_uint_eq(class->chunk_size % 8, 0);
        ck_assert_uint_gt(class->chunk_size, id > 1 ? cache->size_class[id - 1].chunk_size : 0);
        ck_assert_uint_eq(class->per_page, pages_page_size(&cache->pages) / class->chunk_size);
        ck_assert_uint_ge(class->per_page, SLAB_CHUNKS_PER_PAGE_MIN);
        ck_assert_int_eq(class->lock.rank,
                         id == cache->classes ? LOCK_RANK_CLASS_LARGEST : LOCK_RANK_CLASS);
    }
    ck_assert_uint_eq(cache->size_class[cache->classes].chunk_size, cache->chunk_max);
    for (uint32_t size = 1; size <= cache->chunk_max; size++) {
        uint8_t id = cache_class_of(cache, size);
        ck_assert_uint_ge(id, 1);
        ck_assert_uint_ge(cache->size_class[id].chunk_size, size);
        ck_assert(id == 1 || cache->size_class[id - 1].chunk_size < size);
    }
    /* What a reader without a lock may take for an item can be longer. */
    for (uint32_t size = cache->chunk_max + 1; size <= ITEM_SHORT_MAX; size++) {
        ck_assert_uint_eq(cache_class_of(cache, size), cache->classes);
    }
    rig_close(&other);
}
END_TEST

START_TEST(sizes_that_are_given_are_the_classes)
{
    static const uint32_t sizes[] = { 100, 200, 208, 1000, 20000, 400000 };
    static const uint32_t chunks[] = { 104, 200, 208, 1000 };
    struct rig other;
    struct cache_options options = rig_options(64 * RIG_MB);
    options.growth_factor = 1.5;
    options.chunk_sizes = sizes;
    options.chunk_sizes_len = sizeof(sizes) / sizeof(sizes[0]);
    rig_open(&other, &options);
    const struct cache *cache = other.cache;
    unsigned count = sizeof(chunks) / sizeof(chunks[0]);
    ck_assert_uint_eq(cache->classes, count + 1);
    for (unsigned i = 0; i < count; i++) {
        ck_assert_uint_eq(cache->size_class[i + 1].chunk_size, chunks[i]);
    }
    ck_assert_uint_eq(cache->size_class[count + 1].chunk_size, cache->chunk_max);
    for (uint32_t size = 1; size <= cache->chunk_max; size++) {
        uint8_t id = cache_class_of(cache, size);
        ck_assert_uint_ge(cache->size_class[id].chunk_size, size);
        ck_assert(id == 1 || cache->size_class[id - 1].chunk_size < size);
    }
    rig_close(&other);
}
END_TEST

START_TEST(the_default_table_loses_little_to_rounding)
{
    const struct cache *cache = rig.cache;
    uint64_t asked = 0;
    uint64_t given = 0;
    for (uint32_t size = 64; size <= cache->chunk_max; size++) {
        asked += size;
        given += cache->size_class[cache_class_of(cache, size)].chunk_size;
    }
    ck_assert_uint_le(given * 100, asked * 110);
}
END_TEST

/** Gives a class a page, its lock held. */
static uint32_t
add_page(struct size_class *class)
{
    uint32_t page = pages_take(&rig.cache->pages);
    ck_assert_uint_ne(page, PAGE_NONE);
    ck_assert(slab_add_page(rig.cache, class, page));
    return page;
}

static void
check(struct size_class *class)
{
    lock_release(&class->lock);
    slab_check(rig.cache);
    lock_acquire(&class->lock);
}

START_TEST(chunks_are_taken_and_put_back_one_by_one)
{
    struct size_class *class =
        &rig.cache->size_class[1 + (unsigned)_i * (rig.cache->classes - 1) / 4];
    uint32_t *refs = calloc(2 * class->per_page, sizeof(*refs));
    ck_assert_ptr_nonnull(refs);
    lock_acquire(&class->lock);
    ck_assert_uint_eq(slab_take_free(rig.cache, class), 0);
    add_page(class);
    add_page(class);
    for (uint32_t i = 0; i < 2 * class->per_page; i++) {
        refs[i] = slab_take_free(rig.cache, class);
        ck_assert_uint_ne(refs[i], 0);
        ck_assert_uint_eq(item_shape(cache_item(rig.cache, refs[i])), SHAPE_HELD);
        check(class);
    }
    ck_assert_uint_eq(slab_take_free(rig.cache, class), 0);
    struct rng rng;
    rng_init(&rng, 3);
    for (uint32_t left = 2 * class->per_page; left > 0; left--) {
        uint32_t i = (uint32_t)rng_below(&rng, left);
        slab_put_free(rig.cache, class, refs[i]);
        refs[i] = refs[left - 1];
        check(class);
    }
    ck_assert_uint_eq(class->used_chunks, 0);
    ck_assert_uint_eq(class->free_chunks, 2 * class->per_page);
    lock_release(&class->lock);
    free(refs);
}
END_TEST

START_TEST(a_draining_page_gives_no_chunk_and_leaves_when_it_is_empty)
{
    struct size_class *class = &rig.cache->size_class[rig.cache->classes / 2];
    lock_acquire(&class->lock);
    uint32_t page = add_page(class);
    uint32_t held = slab_take_free(rig.cache, class);
    slab_begin_draining(rig.cache, class, page);
    check(class);
    ck_assert_uint_eq(slab_take_free(rig.cache, class), 0);
    uint32_t other = add_page(class);
    ck_assert_uint_eq(pages_page_of(&rig.cache->pages, slab_take_free(rig.cache, class)), other);
    check(class);
    slab_put_free(rig.cache, class, held);
    check(class);
    ck_assert_uint_eq(class->free_chunks, class->per_page - 1);
    slab_end_draining(rig.cache, class, page);
    check(class);
    ck_assert_uint_eq(class->free_chunks, 2 * class->per_page - 1);
    slab_remove_page(rig.cache, class, page);
    ck_assert_uint_eq(class->pages_count, 1);
    pages_give(&rig.cache->pages, page);
    check(class);
    slab_put_free(rig.cache, class, slab_chunk_ref(rig.cache, class, other, 0));
    lock_release(&class->lock);
}
END_TEST

START_TEST(a_full_page_drains_and_comes_back)
{
    struct size_class *class = &rig.cache->size_class[rig.cache->classes];
    lock_acquire(&class->lock);
    uint32_t page = add_page(class);
    for (uint32_t i = 0; i < class->per_page; i++) {
        ck_assert_uint_ne(slab_take_free(rig.cache, class), 0);
    }
    slab_begin_draining(rig.cache, class, page);
    check(class);
    slab_put_free(rig.cache, class, slab_chunk_ref(rig.cache, class, page, 1));
    check(class);
    slab_end_draining(rig.cache, class, page);
    check(class);
    ck_assert_uint_eq(slab_take_free(rig.cache, class), slab_chunk_ref(rig.cache, class, page, 1));
    for (uint32_t i = 0; i < class->per_page; i++) {
        slab_put_free(rig.cache, class, slab_chunk_ref(rig.cache, class, page, i));
    }
    lock_release(&class->lock);
}
END_TEST

START_TEST(without_evictions_an_alloc_ends_with_the_memory)
{
    struct rig other;
    struct cache_options options = rig_options(1 * RIG_MB);
    options.evictions_disabled = true;
    rig_open(&other, &options);
    uint8_t id = (uint8_t)other.cache->classes;
    uint64_t taken = 0;
    while (slab_alloc_piece(other.cache, other.thread, id) != 0) {
        taken++;
        ck_assert_uint_le(taken, 1 * RIG_MB / other.cache->chunk_max);
    }
    ck_assert_uint_eq(other.cache->size_class[id].used_chunks, taken);
    ck_assert_uint_eq(other.cache->size_class[id].free_chunks, 0);
    ck_assert_uint_eq(other.cache->size_class[id].outofmemory, 1);
    rig_close(&other);
}
END_TEST

/* A set in place tells of its new size when its bucket is unlocked: a delete may come before. */
START_TEST(an_item_that_goes_before_its_new_size_is_told_leaves_no_bytes_below_zero)
{
    uint64_t size = 20 + 3 + 50;
    uint8_t id = cache_class_of(rig.cache, (uint32_t)size);
    struct slab_grant grant = slab_alloc(rig.cache, rig.thread, id, 1, size);
    ck_assert_uint_ne(grant.ref, 0);
    ck_assert_uint_eq(rig_stats(&rig)->bytes, size);
    slab_item_gone(rig.cache, id, size + 2, 0);
    slab_free(rig.cache, grant.ref, 0);
    ck_assert_uint_eq(rig_stats(&rig)->bytes, 0);
    slab_item_resized(rig.cache, id, size, size + 2);
    ck_assert_uint_eq(rig_stats(&rig)->bytes, 0);
    ck_assert_uint_eq(rig_stats(&rig)->items, 0);
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("slab");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, every_size_has_the_smallest_class_that_holds_it, 0,
                        sizeof(tables) / sizeof(tables[0]));
    tcase_add_test(tcase, sizes_that_are_given_are_the_classes);
    tcase_add_test(tcase, the_default_table_loses_little_to_rounding);
    tcase_add_loop_test(tcase, chunks_are_taken_and_put_back_one_by_one, 0, 5);
    tcase_add_test(tcase, a_draining_page_gives_no_chunk_and_leaves_when_it_is_empty);
    tcase_add_test(tcase, a_full_page_drains_and_comes_back);
    tcase_add_test(tcase, without_evictions_an_alloc_ends_with_the_memory);
    tcase_add_test(tcase,
                   an_item_that_goes_before_its_new_size_is_told_leaves_no_bytes_below_zero);
    return rig_run("engine/slab", tcase);
}
