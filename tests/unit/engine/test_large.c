/* Items longer than one chunk. */
#include "unit/engine/rig.h"

#include "engine/large.h"

static struct rig rig;

static void
set_up(void)
{
    struct cache_options options =
        rig_options(8 * RIG_MB - 1); /* pages of 16 KiB: chunks up to 4 KiB */
    options.item_size_max = 4u << 20;
    rig_open(&rig, &options);
}

static void
tear_down(void)
{
    rig_close(&rig);
}

static void
check_empty(void)
{
    cache_check(rig.cache);
    const struct cache_stats *stats = rig_stats(&rig);
    ck_assert_uint_eq(stats->items, 0);
    ck_assert_uint_eq(stats->bytes, 0);
    ck_assert_uint_eq(stats->sum.used_chunks, 0);
}

/** Finds a key and keeps its pin. */
static struct cache_pin *
pin(const char *key)
{
    struct cache_read read = { .key = key, .key_len = (uint32_t)strlen(key) };
    cache_enter(rig.thread);
    ck_assert_int_eq(cache_find_one(rig.cache, rig.thread, &read), CACHE_OK);
    ck_assert(cache_hit(rig.cache, rig.thread, &read));
    cache_leave(rig.thread);
    ck_assert_ptr_nonnull(read.pin);
    return read.pin;
}

START_TEST(lengths_about_every_bound_come_back_whole)
{
    uint32_t chunk_max = rig.cache->chunk_max;
    uint32_t header = 20 + 3;
    const size_t bounds[] = {
        chunk_max - header,   chunk_max - header - 16,       2 * (chunk_max - 16) - header,
        2 * (chunk_max - 16), 3 * (chunk_max - 16) - header, 5 * (chunk_max - 16)
    };
    for (unsigned b = 0; b < sizeof(bounds) / sizeof(bounds[0]); b++) {
        for (size_t len = bounds[b] - 40; len <= bounds[b] + 40; len++) {
            ck_assert_int_eq(rig_set_filled(&rig, "key", len, len), CACHE_OK);
            struct got got = rig_get(&rig, "key");
            ck_assert_int_eq(got.result, CACHE_OK);
            ck_assert_uint_eq(got.read.value_len, len);
            ck_assert_int_eq(got.pinned, len + header > chunk_max);
            ck_assert(rig_is_filled(rig.buf, len, len));
            ck_assert_uint_eq(rig_stats(&rig)->bytes, len + header);
            cache_check(rig.cache);
        }
    }
    ck_assert_int_eq(rig_delete(&rig, "key"), CACHE_OK);
    check_empty();
}
END_TEST

START_TEST(keys_and_client_flags_of_all_lengths_leave_the_value_alone)
{
    char key[CACHE_KEY_MAX + 1] = { 0 };
    for (unsigned len = 1; len <= CACHE_KEY_MAX; len++) {
        key[len - 1] = 'k';
        rig_fill(rig.buf, 9000, len);
        ck_assert_int_eq(rig_store(&rig, CACHE_SET, key, rig.buf, 9000, len % 2, 0, 0, NULL),
                         CACHE_OK);
    }
    for (unsigned len = CACHE_KEY_MAX; len > 0; len--) {
        key[len] = '\0';
        struct got got = rig_peek(&rig, key);
        ck_assert_int_eq(got.result, CACHE_OK);
        ck_assert_uint_eq(got.read.client_flags, len % 2);
        ck_assert(rig_is_filled(rig.buf, 9000, len));
        ck_assert_int_eq(rig_delete(&rig, key), CACHE_OK);
    }
    check_empty();
}
END_TEST

START_TEST(pieces_begin_at_any_byte)
{
    ck_assert_int_eq(rig_set_filled(&rig, "key", 20000, 1), CACHE_OK);
    static uint8_t expected[20000];
    rig_fill(expected, sizeof(expected), 1);
    struct cache_pin *held = pin("key");
    struct cache_piece pieces[16];
    for (size_t from = 0; from < 20000; from += 97) {
        for (unsigned max = 1; max <= 16; max += 5) {
            unsigned count = cache_pin_pieces(rig.cache, held, from, pieces, max);
            ck_assert_uint_ge(count, 1);
            ck_assert_uint_le(count, max);
            size_t at = from;
            for (unsigned i = 0; i < count; i++) {
                ck_assert_int_eq(memcmp(pieces[i].at, expected + at, pieces[i].len), 0);
                at += pieces[i].len;
            }
            ck_assert(at == 20000 || count == max);
        }
    }
    ck_assert_uint_eq(cache_pin_pieces(rig.cache, held, 20000, pieces, 16), 0);
    cache_unpin(rig.cache, rig.thread, &held);
    ck_assert_ptr_null(held);
}
END_TEST

START_TEST(a_pinned_value_outlives_whatever_happens_to_its_key)
{
    ck_assert_int_eq(rig_set_filled(&rig, "key", 50000, 1), CACHE_OK);
    struct cache_pin *pins[20];
    for (unsigned i = 0; i < 20; i++) {
        pins[i] = pin("key");
    }
    uint64_t chunks = rig_stats(&rig)->sum.used_chunks;
    switch (_i) {
    case 0:
        ck_assert_int_eq(rig_delete(&rig, "key"), CACHE_OK);
        ck_assert_uint_eq(rig_stats(&rig)->items, 0);
        break;
    case 1:
        ck_assert_int_eq(rig_set(&rig, "key", "short"), CACHE_OK);
        break;
    case 2:
        ck_assert_int_eq(rig_store(&rig, CACHE_APPEND, "key", "more", 4, 0, 0, 0, NULL), CACHE_OK);
        ck_assert_uint_eq(rig_get(&rig, "key").read.value_len, 50004);
        break;
    case 3:
        cache_flush(rig.cache, 0);
        rig_settle_long(&rig, 20);
        break;
    case 4:
        for (unsigned i = 0; i < 3000; i++) {
            char other[32];
            ck_assert_int_eq(rig_set_filled(&rig, rig_key(other, "n", i), 9000, i), CACHE_OK);
        }
        break;
    default:
        ck_assert(cache_set_memory_limit(rig.cache, RIG_MB));
        rig_settle_long(&rig, 500);
        break;
    }
    cache_check(rig.cache);
    for (unsigned i = 0; i < 20; i++) {
        rig_copy_pin(&rig, pins[i], 50000, rig.buf);
        ck_assert(rig_is_filled(rig.buf, 50000, 1));
        cache_unpin(rig.cache, rig.thread, &pins[i]);
        cache_check(rig.cache);
    }
    if (_i == 0) {
        ck_assert_uint_lt(rig_stats(&rig)->sum.used_chunks, chunks);
    }
    cache_flush(rig.cache, 0);
    rig_settle_long(&rig, 100);
    check_empty();
}
END_TEST

START_TEST(an_abort_gives_every_chunk_back_however_far_it_came)
{
    for (size_t written = 0; written <= 20000; written += 500) {
        struct cache_store store;
        ck_assert_int_eq(cache_store_begin(rig.cache, rig.thread, "key", 3, 20000, 7, 0, &store),
                         CACHE_OK);
        rig_fill(rig.buf, 20000, 1);
        ck_assert_int_eq(cache_store_write(rig.cache, rig.thread, &store, rig.buf, written),
                         CACHE_OK);
        cache_check(rig.cache);
        cache_store_abort(rig.cache, rig.thread, &store);
        check_empty();
    }
}
END_TEST

START_TEST(memory_that_ends_in_the_middle_leaves_nothing_behind)
{
    struct rig other;
    struct cache_options options = rig_options(1 * RIG_MB);
    options.evictions_disabled = true;
    rig_open(&other, &options);
    ck_assert_int_eq(rig_set_filled(&other, "first", 600000, 1), CACHE_OK);
    uint64_t chunks = rig_stats(&other)->sum.used_chunks;
    ck_assert_int_eq(rig_set_filled(&other, "second", 600000, 2), CACHE_NO_MEMORY);
    ck_assert_uint_eq(rig_stats(&other)->sum.used_chunks, chunks);
    ck_assert_uint_eq(rig_stats(&other)->items, 1);
    ck_assert_uint_eq(rig_stats(&other)->store_no_memory, 1);
    ck_assert(rig_holds_filled(&other, "first", 600000, 1));
    ck_assert_int_eq(rig_store(&other, CACHE_APPEND, "first", "more", 4, 0, 0, 0, NULL),
                     CACHE_NO_MEMORY);
    ck_assert(rig_holds_filled(&other, "first", 600000, 1));
    ck_assert_uint_eq(rig_stats(&other)->sum.used_chunks, chunks);
    rig_close(&other);
}
END_TEST

/** Bytes in the places that a store lists, of which there are `max` at most. */
static size_t
listed(const struct cache_store *store, unsigned max, struct cache_space *spaces, unsigned *count)
{
    size_t len = 0;
    *count = cache_store_spaces(rig.cache, store, spaces, max);
    ck_assert(*count >= 1 && *count <= max);
    ck_assert(spaces[0].at == store->at && spaces[0].len == store->room);
    for (unsigned i = 0; i < *count; i++) {
        ck_assert_uint_gt(spaces[i].len, 0);
        len += spaces[i].len;
    }
    return len;
}

/** Fills as many bytes as are asked for into the places listed, and tells of all at once. */
static void
fill_listed(struct cache_store *store, const uint8_t *bytes, size_t len)
{
    struct cache_space spaces[16];
    unsigned count;
    ck_assert_uint_ge(listed(store, 16, spaces, &count), len);
    for (size_t i = 0, at = 0; at < len; i++) {
        size_t part = spaces[i].len < len - at ? spaces[i].len : len - at;
        memcpy(spaces[i].at, bytes + at, part);
        at += part;
    }
    ck_assert_int_eq(cache_store_filled(rig.cache, rig.thread, store, len), CACHE_OK);
}

START_TEST(memory_taken_ahead_is_filled_in_steps_of_any_length)
{
    static uint8_t expected[30000];
    rig_fill(expected, sizeof(expected), 3);
    for (size_t step = 1; step <= sizeof(expected); step = step * 2 + 1) {
        struct cache_store store;
        struct cache_space spaces[16];
        unsigned count;
        ck_assert_int_eq(
            cache_store_begin(rig.cache, rig.thread, "key", 3, sizeof(expected), 7, 0, &store),
            CACHE_OK);
        ck_assert_uint_lt(listed(&store, 16, spaces, &count), 4096);
        ck_assert_uint_eq(count, 1);
        size_t left = sizeof(expected);
        while (left > 0) {
            size_t len = step < left ? step : left;
            cache_store_reserve(rig.cache, rig.thread, &store, left - len);
            fill_listed(&store, expected + sizeof(expected) - left, len);
            left -= len;
        }
        ck_assert(store.room == 0 && store.missing == 0);
        ck_assert_int_eq(cache_store_commit(rig.cache, rig.thread, &store, CACHE_SET, 0, NULL),
                         CACHE_OK);
        ck_assert(rig_holds_filled(&rig, "key", sizeof(expected), 3));
        cache_check(rig.cache);
    }
}
END_TEST

START_TEST(memory_taken_ahead_comes_back_with_an_abort)
{
    for (uint64_t missing_max = 0; missing_max < 20000; missing_max += 1111) {
        struct cache_store store;
        struct cache_space spaces[16];
        unsigned count;
        ck_assert_int_eq(cache_store_begin(rig.cache, rig.thread, "key", 3, 20000, 7, 0, &store),
                         CACHE_OK);
        cache_store_reserve(rig.cache, rig.thread, &store, missing_max);
        size_t len = listed(&store, 16, spaces, &count);
        ck_assert(len + missing_max >= 20000 && len <= 20000 && len + store.missing == 20000);
        ck_assert_uint_eq(listed(&store, 1, spaces, &count), store.room);
        cache_store_abort(rig.cache, rig.thread, &store);
        check_empty();
    }
}
END_TEST

START_TEST(memory_that_cannot_be_taken_ahead_is_asked_for_again)
{
    struct rig other;
    struct cache_options options = rig_options(1 * RIG_MB);
    options.evictions_disabled = true;
    rig_open(&other, &options);
    ck_assert_int_eq(rig_set_filled(&other, "first", 600000, 1), CACHE_OK);
    uint64_t chunks = rig_stats(&other)->sum.used_chunks;
    struct cache_store store;
    ck_assert_int_eq(cache_store_begin(other.cache, other.thread, "key", 3, 600000, 0, 0, &store),
                     CACHE_OK);
    cache_store_reserve(other.cache, other.thread, &store, 0);
    ck_assert_uint_gt(store.missing, 4096);
    ck_assert_uint_gt(rig_stats(&other)->sum.used_chunks, chunks + 1);
    ck_assert_int_eq(rig_delete(&other, "first"), CACHE_OK);
    cache_store_reserve(other.cache, other.thread, &store, 4096); /* the last is of another class */
    ck_assert_uint_le(store.missing, 4096);
    cache_store_abort(other.cache, other.thread, &store);
    ck_assert_uint_eq(rig_stats(&other)->sum.used_chunks, 0);
    rig_close(&other);
}
END_TEST

START_TEST(bytes_may_be_filled_in_where_they_lie)
{
    struct cache_store store;
    static uint8_t expected[30000];
    rig_fill(expected, sizeof(expected), 3);
    ck_assert_int_eq(cache_store_begin(rig.cache, rig.thread, "key", 3, 30000, 0, 0, &store),
                     CACHE_OK);
    for (size_t at = 0; at < 30000;) {
        size_t part = store.room < 777 ? store.room : 777;
        ck_assert_uint_gt(part, 0);
        memcpy(store.at, expected + at, part);
        ck_assert_int_eq(cache_store_filled(rig.cache, rig.thread, &store, part), CACHE_OK);
        at += part;
    }
    ck_assert_uint_eq(store.room, 0);
    ck_assert_int_eq(cache_store_commit(rig.cache, rig.thread, &store, CACHE_SET, 0, NULL),
                     CACHE_OK);
    ck_assert(rig_holds_filled(&rig, "key", 30000, 3));
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("large");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, lengths_about_every_bound_come_back_whole);
    tcase_add_test(tcase, keys_and_client_flags_of_all_lengths_leave_the_value_alone);
    tcase_add_test(tcase, pieces_begin_at_any_byte);
    tcase_add_loop_test(tcase, a_pinned_value_outlives_whatever_happens_to_its_key, 0, 6);
    tcase_add_test(tcase, an_abort_gives_every_chunk_back_however_far_it_came);
    tcase_add_test(tcase, memory_that_ends_in_the_middle_leaves_nothing_behind);
    tcase_add_test(tcase, memory_taken_ahead_is_filled_in_steps_of_any_length);
    tcase_add_test(tcase, memory_taken_ahead_comes_back_with_an_abort);
    tcase_add_test(tcase, memory_that_cannot_be_taken_ahead_is_asked_for_again);
    tcase_add_test(tcase, bytes_may_be_filled_in_where_they_lie);
    return rig_run("engine/large", tcase);
}
