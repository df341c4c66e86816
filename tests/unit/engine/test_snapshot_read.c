/* Reading a snapshot: what went in comes out, and what is not whole is told. */
#include "unit/engine/snapshot_rig.h"

/* -- what comes back --------------------------------------------------------------------------- */

START_TEST(an_empty_cache_makes_an_empty_snapshot)
{
    must_write();
    ck_assert_uint_eq(figures.items, 0);
    ck_assert_uint_eq(file.len,
                      SNAPSHOT_HEAD + SNAPSHOT_BLOCK_HEAD + SNAPSHOT_DONE + SNAPSHOT_CHECKSUM);
    must_read();
    ck_assert_uint_eq(figures.items, 0);
}
END_TEST

START_TEST(values_of_every_length_come_back)
{
    static const size_t lengths[] = {
        0,     1,     2,     100,    1000,     5000,           16000,
        16384, 16385, 20000, 100000, LONG_LEN, (1u << 20) + 1, LONGER_LEN
    };
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        rig_must(rig_set_filled(&from, rig_key(key, "len", i), lengths[i], i) == CACHE_OK);
    }
    must_write();
    must_read();
    ck_assert_uint_eq(figures.items, sizeof(lengths) / sizeof(lengths[0]));
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        rig_must(rig_holds_filled(&to, rig_key(key, "len", i), lengths[i], i));
    }
}
END_TEST

START_TEST(flags_expiry_and_ids_come_back)
{
    store_flagged("plain", "1", 0, CACHE_NEVER);
    store_flagged("flags", "2", 0xffffffffu, CACHE_NEVER);
    store_flagged("expires", "3", 5, RIG_NOW + 100);
    uint64_t cas = 0;
    ck_assert_int_eq(rig_store(&from, CACHE_SET, "id", "4", 1, 0, CACHE_NEVER, 0, &cas), CACHE_OK);
    must_write();
    must_read();
    ck_assert_uint_eq(peek(&to, "plain").read.client_flags, 0);
    ck_assert_int_eq(peek(&to, "plain").read.expires_at, CACHE_NEVER);
    ck_assert_uint_eq(peek(&to, "flags").read.client_flags, 0xffffffffu);
    ck_assert_uint_eq(peek(&to, "expires").read.client_flags, 5);
    ck_assert_int_eq(peek(&to, "expires").read.expires_at, RIG_NOW + 100);
    ck_assert_uint_eq(peek(&to, "id").read.cas, cas);
}
END_TEST

START_TEST(ids_go_on_above_all_that_were_given)
{
    uint64_t cas = 0;
    for (unsigned i = 0; i < 50; i++) {
        ck_assert_int_eq(rig_store(&from, CACHE_SET, "key", "v", 1, 0, CACHE_NEVER, 0, &cas),
                         CACHE_OK);
    }
    rig_delete(&from, "key"); /* its id was given all the same */
    store_flagged("other", "v", 0, CACHE_NEVER);
    must_write();
    must_read();
    uint64_t next = 0;
    ck_assert_int_eq(rig_store(&to, CACHE_SET, "key", "v", 1, 0, CACHE_NEVER, 0, &next), CACHE_OK);
    ck_assert_uint_gt(next, cas + 1);
}
END_TEST

START_TEST(an_id_that_a_client_chose_comes_back_and_does_not_raise_the_others)
{
    struct cache_store store;
    ck_assert_int_eq(
        cache_store_begin(from.cache, from.thread, "key", 3, 0, 0, CACHE_NEVER, &store), CACHE_OK);
    store.cas_new = UINT64_MAX;
    ck_assert_int_eq(cache_store_commit(from.cache, from.thread, &store, CACHE_SET, 0, NULL),
                     CACHE_OK);
    must_write();
    must_read();
    ck_assert_uint_eq(peek(&to, "key").read.cas, UINT64_MAX);
    uint64_t next = 0;
    ck_assert_int_eq(rig_store(&to, CACHE_SET, "a", "v", 1, 0, CACHE_NEVER, 0, &next), CACHE_OK);
    ck_assert_uint_lt(next, 100);
}
END_TEST

START_TEST(marks_come_back)
{
    static const char binary[] = "\0\1\2 \r\n\xff";
    struct cache_store store;
    ck_assert_int_eq(cache_store_begin(from.cache, from.thread, binary, sizeof(binary), 0, 0,
                                       CACHE_NEVER, &store),
                     CACHE_OK);
    store.binary_key = true;
    ck_assert_int_eq(cache_store_commit(from.cache, from.thread, &store, CACHE_SET, 0, NULL),
                     CACHE_OK);
    store_flagged("stale", "1", 0, CACHE_NEVER);
    struct cache_invalidation how = { .stale = true };
    ck_assert_int_eq(cache_invalidate(from.cache, from.thread, "stale", 5, &how), CACHE_OK);
    store_flagged("won", "2", 0, CACHE_NEVER);
    struct cache_read read = { .key = "won", .key_len = 3 };
    cache_enter(from.thread);
    ck_assert_int_eq(cache_find_one(from.cache, from.thread, &read), CACHE_OK);
    ck_assert_int_eq(cache_claim(from.cache, &read, true), CACHE_CLAIM_WON);
    ck_assert(cache_hit(from.cache, from.thread, &read));
    cache_leave(from.thread);
    must_write();
    must_read();
    struct got got = rig_get_bytes(&to, binary, sizeof(binary), CACHE_READ_PEEK);
    ck_assert_int_eq(got.result, CACHE_OK);
    ck_assert(got.read.binary_key && !got.read.stale && !got.read.claimed && !got.read.fetched);
    got = peek(&to, "stale");
    ck_assert(got.read.stale && !got.read.binary_key && !got.read.claimed);
    got = peek(&to, "won");
    ck_assert(got.read.claimed && !got.read.stale && got.read.fetched);
}
END_TEST

START_TEST(keys_of_every_byte_and_of_any_length_come_back)
{
    uint8_t longest[CACHE_KEY_MAX];
    for (unsigned i = 0; i < sizeof(longest); i++) {
        longest[i] = (uint8_t)(i + 1);
    }
    for (uint32_t len = 1; len <= CACHE_KEY_MAX; len++) {
        uint64_t cas;
        ck_assert_int_eq(
            cache_set(from.cache, from.thread, longest, len, longest, len, len, CACHE_NEVER, &cas),
            CACHE_OK);
    }
    must_write();
    must_read();
    ck_assert_uint_eq(figures.items, CACHE_KEY_MAX);
    for (uint32_t len = 1; len <= CACHE_KEY_MAX; len++) {
        struct got got = rig_get_bytes(&to, longest, len, CACHE_READ_PEEK);
        rig_must(got.result == CACHE_OK && got.read.value_len == len &&
                 got.read.client_flags == len && memcmp(to.buf, longest, len) == 0);
    }
}
END_TEST

START_TEST(age_and_uses_come_back)
{
    store_flagged("old", "1", 0, CACHE_NEVER);
    cache_set_now(from.cache, RIG_NOW + 1000);
    store_flagged("new", "2", 0, CACHE_NEVER);
    rig_get(&from, "new");
    rig_get(&from, "new");
    cache_set_now(from.cache, RIG_NOW + 1060);
    must_write();
    cache_set_now(to.cache, RIG_NOW + 2000); /* the server was down for a while */
    must_read();
    ck_assert_uint_eq(peek(&to, "old").read.idle_s, 2000);
    ck_assert(!peek(&to, "old").read.fetched);
    struct got got = peek(&to, "new");
    ck_assert_uint_eq(got.read.idle_s, 1000);
    ck_assert(got.read.fetched);
    ck_assert_uint_eq((got.read.access & ACCESS_USES_MASK) / ACCESS_USE_ONE, 2);
}
END_TEST

START_TEST(what_has_expired_meanwhile_does_not_come_back)
{
    store_flagged("gone", "1", 0, RIG_NOW + 5);
    store_flagged("later", "2", 0, RIG_NOW + 50);
    store_flagged("at once", "3", 0, RIG_NOW);
    must_write();
    ck_assert_uint_eq(figures.items, 2);
    cache_set_now(to.cache, RIG_NOW + 5);
    must_read();
    ck_assert_uint_eq(figures.items, 1);
    ck_assert_uint_eq(figures.expired, 1);
    ck_assert_int_eq(peek(&to, "gone").result, CACHE_MISS);
    ck_assert_int_eq(peek(&to, "later").result, CACHE_OK);
    cache_set_now(to.cache, RIG_NOW + 50);
    ck_assert_int_eq(peek(&to, "later").result, CACHE_MISS);
}
END_TEST

START_TEST(a_flush_that_is_to_come_comes_for_what_is_read_back)
{
    store_flagged("never", "1", 0, CACHE_NEVER);
    store_flagged("sooner", "2", 0, RIG_NOW + 5);
    cache_flush(from.cache, RIG_NOW + 10);
    must_write();
    must_read();
    ck_assert_int_eq(peek(&to, "never").read.expires_at, RIG_NOW + 10);
    ck_assert_int_eq(peek(&to, "sooner").read.expires_at, RIG_NOW + 5);
}
END_TEST

START_TEST(what_was_flushed_is_not_written)
{
    store_flagged("a:1", "1", 0, CACHE_NEVER);
    store_flagged("b:1", "1", 0, CACHE_NEVER);
    store_flagged("c:1", "1", 0, CACHE_NEVER);
    ck_assert(cache_flush_prefix(from.cache, "a:", 2));
    ck_assert(cache_bypass_prefix(from.cache, "b:", 2, true));
    must_write();
    must_read();
    ck_assert_uint_eq(figures.items, 1);
    ck_assert_int_eq(peek(&to, "c:1").result, CACHE_OK);
}
END_TEST

START_TEST(times_are_told_by_the_systems_clock)
{
    /* The clock was a day late when the cache began, and has been set since. */
    int64_t day = 86400;
    store_flagged("key", "1", 0, RIG_NOW + 100);
    struct snapshot_options options = { .now = RIG_NOW + day };
    struct snapshot_sink sink = { .write = memory_write, .arg = &file };
    ck_assert_int_eq(snapshot_write(from.cache, from.thread, &sink, &options, &figures),
                     SNAPSHOT_OK);
    struct cache_options later = options_of(64 * RIG_MB);
    later.now = RIG_NOW + day + 40;
    reopen(&later);
    must_read();
    ck_assert_int_eq(peek(&to, "key").read.expires_at, RIG_NOW + day + 100);
    ck_assert_uint_eq(peek(&to, "key").read.idle_s, 40);
}
END_TEST

START_TEST(newer_items_stay)
{
    store_flagged("both", "old", 0, CACHE_NEVER);
    store_flagged("one", "old", 0, CACHE_NEVER);
    must_write();
    ck_assert_int_eq(rig_set(&to, "both", "newer"), CACHE_OK);
    must_read();
    ck_assert_uint_eq(figures.items, 1);
    ck_assert_uint_eq(figures.kept, 1);
    ck_assert_uint_eq(peek(&to, "both").read.value_len, 5);
    ck_assert_uint_eq(peek(&to, "one").read.value_len, 3);
}
END_TEST

START_TEST(reading_counts_as_no_command)
{
    store_flagged("a", "1", 0, CACHE_NEVER);
    rig_must(rig_set_filled(&from, "b", 100000, 1) == CACHE_OK);
    must_write();
    must_read();
    ck_assert_uint_eq(rig_stats(&to)->sum.set_cmds, 0);
    const struct cache_stats *written = rig_stats(&from);
    ck_assert_uint_eq(written->sum.get_hits, 0);
    ck_assert_uint_eq(written->get_misses, 0);
}
END_TEST

/* -- another cache ----------------------------------------------------------------------------- */

START_TEST(caches_with_and_without_ids_read_each_other)
{
    fill(1000, 50);
    must_write();
    struct cache_options options = options_of(64 * RIG_MB);
    options.cas_disabled = true;
    reopen(&options);
    must_read();
    ck_assert_uint_eq(count_whole(1000, 50), 1000);
    memory_fini(&file);
    ck_assert_int_eq(write_to(&to, &file, &figures), SNAPSHOT_OK);
    options.cas_disabled = false;
    reopen(&options);
    must_read();
    ck_assert_uint_eq(count_whole(1000, 50), 1000);
    ck_assert_uint_gt(peek(&to, "key:1").read.cas, 0);
}
END_TEST

START_TEST(other_size_classes_read_it)
{
    fill(1000, 700);
    rig_must(rig_set_filled(&from, "long", LONGER_LEN, 5) == CACHE_OK);
    must_write();
    struct cache_options options = options_of(64 * RIG_MB);
    options.growth_factor = 2;
    options.chunk_min = 200;
    reopen(&options);
    must_read();
    ck_assert_uint_eq(count_whole(1000, 700), 1000);
    rig_must(rig_holds_filled(&to, "long", LONGER_LEN, 5));
}
END_TEST

START_TEST(in_less_memory_what_was_used_stays)
{
    fill(20000, 1000);
    for (unsigned i = 0; i < 2000; i++) {
        rig_get(&from, rig_key(key, "key", i * 10));
        rig_get(&from, key);
    }
    must_write();
    struct cache_options options = options_of(8 * RIG_MB);
    reopen(&options);
    must_read();
    unsigned used = 0;
    for (unsigned i = 0; i < 2000; i++) {
        used += peek(&to, rig_key(key, "key", i * 10)).result == CACHE_OK;
    }
    unsigned all = count_whole(20000, 1000);
    ck_assert_uint_gt(all, 5000);
    ck_assert_uint_lt(all, 9000);
    ck_assert_msg(used > 1900, "%u of 2000 used items are left, of %u in all", used, all);
}
END_TEST

START_TEST(without_evictions_the_rest_is_counted)
{
    fill(20000, 1000);
    must_write();
    struct cache_options options = options_of(8 * RIG_MB);
    options.evictions_disabled = true;
    reopen(&options);
    must_read();
    ck_assert_uint_gt(figures.no_room, 10000);
    ck_assert_uint_eq(figures.no_room + figures.items, 20000);
    ck_assert_uint_eq(count_whole(20000, 1000), figures.items);
}
END_TEST

START_TEST(items_above_item_size_max_are_counted)
{
    fill(10, 100);
    rig_must(rig_set_filled(&from, "long", 70000, 5) == CACHE_OK);
    rig_must(rig_set_filled(&from, "longer", LONGER_LEN, 6) == CACHE_OK);
    must_write();
    struct cache_options options = options_of(64 * RIG_MB);
    options.item_size_max = 65536;
    reopen(&options);
    must_read();
    ck_assert_uint_eq(figures.items, 10);
    ck_assert_uint_eq(figures.too_large, 2);
    ck_assert_uint_eq(count_whole(10, 100), 10);
    ck_assert_uint_eq(rig_stats(&to)->store_too_large, 0);
}
END_TEST

/* -- files that are not whole ------------------------------------------------------------------ */

/** A small file with a bit of everything. */
static void
write_small(void)
{
    store_flagged("a", "", 0, CACHE_NEVER);
    store_flagged("key", "some value", 7, RIG_NOW + 100);
    store_flagged("another", "other value", 0, CACHE_NEVER);
    must_write();
    ck_assert_uint_lt(file.len, 300);
}

START_TEST(a_file_cut_off_anywhere_is_refused)
{
    write_small();
    size_t whole = file.len;
    for (file.len = 0; file.len < whole; file.len++) {
        rig_must(read_from(&to, &file, &figures, error) == SNAPSHOT_DAMAGED);
        rig_must(strncmp(error, "cut off at byte ", 16) == 0);
        rig_must((size_t)atoi(error + 16) == file.len);
    }
}
END_TEST

START_TEST(a_file_with_any_other_byte_is_refused)
{
    static const uint8_t flips[] = { 0x01, 0x80, 0xff };
    write_small();
    size_t done_at = file.len - SNAPSHOT_BLOCK_HEAD - SNAPSHOT_DONE - SNAPSHOT_CHECKSUM;
    for (size_t at = 0; at < file.len; at++) {
        for (unsigned i = 0; i < sizeof(flips); i++) {
            file.bytes[at] ^= flips[i];
            enum snapshot_result result = read_from(&to, &file, &figures, error);
            rig_must(result == (at < SNAPSHOT_MAGIC_LEN ? SNAPSHOT_FOREIGN
                                : at < 12               ? SNAPSHOT_BAD_VERSION
                                                        : SNAPSHOT_DAMAGED));
            rig_must(figures.items == 0 || at >= done_at); /* nothing of a bad block is stored */
            file.bytes[at] ^= flips[i];
        }
    }
    must_read();
}
END_TEST

START_TEST(fields_that_make_no_sense_are_refused)
{
    static const struct {
        size_t at; /* in the file */
        uint8_t value;
    } wrong[] = {
        { 31, 0x80 },                      /* ids above 2^63 */
        { SNAPSHOT_HEAD + 8, 9 },          /* records in the block */
        { SNAPSHOT_HEAD + 16 + 15, 0x80 }, /* expiry below 0 */
        { SNAPSHOT_HEAD + 16 + 23, 0x80 }, /* last use below 0 */
        { SNAPSHOT_HEAD + 16 + 31, 0x7f }, /* value length */
        { SNAPSHOT_HEAD + 16 + 28, 1 },    /* one byte more of it */
        { SNAPSHOT_HEAD + 16 + 32, 0 },    /* key length */
        { SNAPSHOT_HEAD + 16 + 32, 251 },
        { SNAPSHOT_HEAD + 16 + 33, 16 }, /* marks */
        { SNAPSHOT_HEAD + 16 + 34, 4 },  /* uses */
        { SNAPSHOT_HEAD + 16 + 35, 1 },
    };
    store_flagged("key", "", 0, CACHE_NEVER);
    must_write();
    uint8_t good[512];
    rig_must(file.len < sizeof(good));
    memcpy(good, file.bytes, file.len);
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        memcpy(file.bytes, good, file.len);
        file.bytes[wrong[i].at] = wrong[i].value;
        seal(&file);
        enum snapshot_result result = read_from(&to, &file, &figures, error);
        ck_assert_msg(result == SNAPSHOT_DAMAGED && error[0] != '\0', "row %u: %d", i, result);
    }
    memcpy(file.bytes, good, file.len);
    seal(&file);
    must_read();
}
END_TEST

START_TEST(another_version_is_told)
{
    write_small();
    file.bytes[8] = 2;
    seal(&file);
    ck_assert_int_eq(read_from(&to, &file, &figures, error), SNAPSHOT_BAD_VERSION);
    ck_assert_str_eq(error, "version 2 of the format; this larder reads version 1");
}
END_TEST

START_TEST(bytes_behind_the_end_are_refused)
{
    write_small();
    rig_must(memory_write(&file, "x", 1));
    ck_assert_int_eq(read_from(&to, &file, &figures, error), SNAPSHOT_DAMAGED);
    ck_assert_ptr_nonnull(strstr(error, "behind the end"));
}
END_TEST

/** Offset of a block. */
static size_t
block_at(unsigned number)
{
    size_t at = SNAPSHOT_HEAD;
    for (; number > 0; number--) {
        at += SNAPSHOT_BLOCK_HEAD + le_get_u32(file.bytes + at + 4) + SNAPSHOT_CHECKSUM;
        rig_must(at < file.len);
    }
    return at;
}

START_TEST(bad_blocks_are_named_by_their_offsets)
{
    char expected[128];
    fill(6000, 1000);
    must_write();
    file.bytes[block_at(2) + 5000] ^= 1;
    file.bytes[block_at(4) + 70000] ^= 1;
    snprintf(expected, sizeof(expected), "wrong checksum in the block at byte %zu, %zu",
             block_at(2), block_at(4));
    ck_assert_int_eq(read_from(&to, &file, &figures, error), SNAPSHOT_DAMAGED);
    ck_assert_str_eq(error, expected);
    ck_assert_uint_eq(figures.bad_blocks, 2);
    ck_assert_uint_eq(figures.items, count_whole(6000, 1000));
    ck_assert_uint_lt(figures.items, 6000);
}
END_TEST

START_TEST(blocks_in_another_order_are_refused)
{
    fill(1500, 1000);
    must_write();
    size_t first = block_at(0);
    size_t second = block_at(1);
    memmove(file.bytes + first, file.bytes + second, file.len - second); /* one is missing */
    file.len -= second - first;
    ck_assert_int_eq(read_from(&to, &file, &figures, error), SNAPSHOT_DAMAGED);
    ck_assert_uint_eq(figures.items, 0);
}
END_TEST

START_TEST(a_value_that_is_not_whole_leaves_nothing)
{
    rig_must(rig_set_filled(&from, "long", LONGER_LEN, 6) == CACHE_OK);
    must_write();
    size_t whole = file.len;
    for (unsigned i = 0; i < 3; i++) {
        file.len = block_at(i) + 1;
        ck_assert_int_eq(read_from(&to, &file, &figures, error), SNAPSHOT_DAMAGED);
        file.len = whole;
    }
    ck_assert_uint_eq(rig_stats(&to)->items, 0);
    must_read();
    rig_must(rig_holds_filled(&to, "long", LONGER_LEN, 6));
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("snapshot_read");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, an_empty_cache_makes_an_empty_snapshot);
    tcase_add_test(tcase, values_of_every_length_come_back);
    tcase_add_test(tcase, flags_expiry_and_ids_come_back);
    tcase_add_test(tcase, ids_go_on_above_all_that_were_given);
    tcase_add_test(tcase, an_id_that_a_client_chose_comes_back_and_does_not_raise_the_others);
    tcase_add_test(tcase, marks_come_back);
    tcase_add_test(tcase, keys_of_every_byte_and_of_any_length_come_back);
    tcase_add_test(tcase, age_and_uses_come_back);
    tcase_add_test(tcase, what_has_expired_meanwhile_does_not_come_back);
    tcase_add_test(tcase, a_flush_that_is_to_come_comes_for_what_is_read_back);
    tcase_add_test(tcase, what_was_flushed_is_not_written);
    tcase_add_test(tcase, times_are_told_by_the_systems_clock);
    tcase_add_test(tcase, newer_items_stay);
    tcase_add_test(tcase, reading_counts_as_no_command);
    tcase_add_test(tcase, caches_with_and_without_ids_read_each_other);
    tcase_add_test(tcase, other_size_classes_read_it);
    tcase_add_test(tcase, in_less_memory_what_was_used_stays);
    tcase_add_test(tcase, without_evictions_the_rest_is_counted);
    tcase_add_test(tcase, items_above_item_size_max_are_counted);
    tcase_add_test(tcase, a_file_cut_off_anywhere_is_refused);
    tcase_add_test(tcase, a_file_with_any_other_byte_is_refused);
    tcase_add_test(tcase, fields_that_make_no_sense_are_refused);
    tcase_add_test(tcase, another_version_is_told);
    tcase_add_test(tcase, bytes_behind_the_end_are_refused);
    tcase_add_test(tcase, bad_blocks_are_named_by_their_offsets);
    tcase_add_test(tcase, blocks_in_another_order_are_refused);
    tcase_add_test(tcase, a_value_that_is_not_whole_leaves_nothing);
    return rig_run("engine/snapshot_read", tcase);
}
