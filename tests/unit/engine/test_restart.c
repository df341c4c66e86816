/* A cache that goes on where another one has stopped: all that an item is comes back, and a file
 * that is not what was saved is refused as it is. */
#include "unit/engine/rig.h"

#include "engine/large.h"
#include "engine/memory_file.h"
#include "engine/restart.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANY 2000u /* items of different sizes */

static char folder[64];
static char path[96];
static char meta_path[112];
static struct cache_start start;
static struct rig rig;

static struct cache_options
options_of(uint64_t memory_limit)
{
    struct cache_options options = rig_options(memory_limit);
    start = (struct cache_start){ .kind = CACHE_START_REFUSED };
    options.memory_file = path;
    options.start = &start;
    return options;
}

static void
set_up(void)
{
    /* Where a file is memory, if there is such a place: a sync costs nothing there. */
    snprintf(folder, sizeof(folder), "%s/larder-test-restart-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/items", folder);
    snprintf(meta_path, sizeof(meta_path), "%s.meta", path);
}

static void
tear_down(void)
{
    (void)unlink(path);
    (void)unlink(meta_path);
    ck_assert_msg(rmdir(folder) == 0, "something else was left in the folder");
}

static void
open_with(const struct cache_options *options)
{
    rig_open(&rig, options);
    cache_check(rig.cache);
}

static void
open_cache(void)
{
    struct cache_options options = options_of(32 * RIG_MB);
    open_with(&options);
}

static void
stop(void)
{
    char text[CACHE_START_TEXT_MAX];
    cache_thread_close(rig.cache, rig.thread);
    ck_assert_msg(cache_save(rig.cache, text), "%s", text);
    ck_assert(strstr(text, path) != NULL);
    cache_check(rig.cache);
    cache_destroy(rig.cache);
    free(rig.buf);
}

static void
open_warm(const struct cache_options *options)
{
    open_with(options);
    ck_assert_msg(start.kind == CACHE_START_WARM, "%d: %s", start.kind, start.text);
    ck_assert_int_ne(access(meta_path, F_OK), 0);
}

static void
restart_at(int64_t now)
{
    struct cache_options options = options_of(32 * RIG_MB);
    options.now = now;
    options.hash_seed = 43;
    stop();
    open_warm(&options);
}

static void
restart(void)
{
    restart_at(RIG_NOW);
}

/** The options must be refused: what the text says, and that nothing has changed. */
static void
must_refuse(const struct cache_options *options, const char *text)
{
    struct cache *cache = cache_create(options);
    ck_assert_ptr_null(cache);
    ck_assert_int_eq(start.kind, CACHE_START_REFUSED);
    ck_assert_msg(strstr(start.text, text) != NULL, "not '%s': %s", text, start.text);
}

static void
must_refuse_plain(const char *text)
{
    struct cache_options options = options_of(32 * RIG_MB);
    must_refuse(&options, text);
}

static void
must_start_clean(const struct cache_options *options, const char *text)
{
    open_with(options);
    ck_assert_int_eq(start.kind, CACHE_START_CLEAN);
    ck_assert_msg(strstr(start.text, text) != NULL, "not '%s': %s", text, start.text);
    ck_assert_uint_eq(rig_stats(&rig)->items, 0);
    ck_assert_int_eq(rig_set(&rig, "new", "value"), CACHE_OK);
    rig_close(&rig);
}

static size_t
value_len_of(unsigned number)
{
    return number % 97 == 0 ? 20000 + number * 100 : (number * 37) % 9000;
}

static void
fill(unsigned count)
{
    char key[32];
    for (unsigned i = 0; i < count; i++) {
        rig_must(rig_set_filled(&rig, rig_key(key, "many", i), value_len_of(i), i) == CACHE_OK);
    }
}

/** How many are there; each of these must be whole. */
static unsigned
count_filled(unsigned count)
{
    char key[32];
    unsigned there = 0;
    for (unsigned i = 0; i < count; i++) {
        if (rig_peek(&rig, rig_key(key, "many", i)).result == CACHE_OK) {
            rig_must(rig_holds_filled(&rig, key, value_len_of(i), i));
            there++;
        }
    }
    return there;
}

/* -- what comes back ----------------------------------------------------------------------------
 */

START_TEST(everything_of_an_item_comes_back)
{
    uint64_t cas;
    uint64_t last;
    open_cache();
    ck_assert_int_eq(start.kind, CACHE_START_NEW);
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "flags", "v", 1, 0xdeadbeef, CACHE_NEVER, 0, &cas),
                     CACHE_OK);
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "ttl", "v2", 2, 0, RIG_NOW + 100, 0, NULL),
                     CACHE_OK);
    ck_assert_int_eq(rig_set_filled(&rig, "long", 1000000, 5), CACHE_OK);
    ck_assert_int_eq(rig_set(&rig, "stale", "old"), CACHE_OK);
    struct cache_invalidation how = { .stale = true };
    ck_assert_int_eq(cache_invalidate(rig.cache, rig.thread, "stale", 5, &how), CACHE_OK);
    struct cache_store store;
    ck_assert_int_eq(
        cache_store_begin(rig.cache, rig.thread, "b\0 \n", 4, 0, 0, CACHE_NEVER, &store), CACHE_OK);
    store.binary_key = true;
    store.claimed = true;
    store.cas_new = (uint64_t)1 << 40;
    ck_assert_int_eq(cache_store_commit(rig.cache, rig.thread, &store, CACHE_SET, 0, NULL),
                     CACHE_OK);
    ck_assert_int_eq(rig_get(&rig, "flags").result, CACHE_OK);
    ck_assert_int_eq(rig_set(&rig, "last", "x"), CACHE_OK);
    last = rig_peek(&rig, "last").read.cas;
    const void *base = rig.cache->pages.base;

    /* Something else has the address range now. */
    stop();
    struct cache_options other = rig_options(32 * RIG_MB);
    struct cache *blocker = cache_create(&other);
    ck_assert_ptr_nonnull(blocker);
    struct cache_options options = options_of(32 * RIG_MB);
    options.hash_seed = 99;
    open_warm(&options);
    ck_assert_ptr_ne(base, rig.cache->pages.base);
    cache_destroy(blocker);

    ck_assert_uint_eq(start.items, 6);
    struct got got = rig_peek(&rig, "flags");
    ck_assert_int_eq(got.result, CACHE_OK);
    ck_assert_uint_eq(got.read.client_flags, 0xdeadbeef);
    ck_assert_uint_eq(got.read.cas, cas);
    ck_assert(got.read.fetched);
    got = rig_peek(&rig, "ttl");
    ck_assert_int_eq(got.result, CACHE_OK);
    ck_assert(!got.read.fetched);
    ck_assert_int_eq(got.read.expires_at, RIG_NOW + 100);
    ck_assert_mem_eq(rig.buf, "v2", 2);
    ck_assert(rig_holds_filled(&rig, "long", 1000000, 5));
    ck_assert(rig_peek(&rig, "long").pinned);
    ck_assert(rig_peek(&rig, "stale").read.stale);
    got = rig_get_bytes(&rig, "b\0 \n", 4, CACHE_READ_QUIET);
    ck_assert_int_eq(got.result, CACHE_OK);
    ck_assert(got.read.binary_key && got.read.claimed);
    ck_assert_uint_eq(got.read.cas, (uint64_t)1 << 40);
    ck_assert_int_eq(rig_set(&rig, "next", "x"), CACHE_OK);
    ck_assert_uint_gt(rig_peek(&rig, "next").read.cas, last);
    rig_close(&rig);
}
END_TEST

START_TEST(uses_and_queues_come_back)
{
    char key[32];
    open_cache();
    fill(MANY);
    for (unsigned i = 0; i < MANY; i += 3) {
        (void)rig_get(&rig, rig_key(key, "many", i));
    }
    uint64_t uses = 0;
    uint64_t small[CACHE_CLASSES_MAX + 1];
    for (unsigned id = 1; id <= rig.cache->classes; id++) {
        small[id] = rig.cache->size_class[id].queue.length;
    }
    uint32_t access[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        struct cache_read read = { .key = rig_key(key, "many", i),
                                   .key_len = (uint32_t)strlen(key),
                                   .mode = CACHE_READ_QUIET };
        access[i] = cache_find_one(rig.cache, rig.thread, &read) == CACHE_OK ? read.access : 0;
        (void)cache_hit(rig.cache, rig.thread, &read);
        if (read.pin != NULL) {
            cache_unpin(rig.cache, rig.thread, &read.pin);
        }
        uses += (access[i] & ACCESS_USES_MASK) / ACCESS_USE_ONE;
    }
    ck_assert_uint_gt(uses, MANY / 4);
    restart();
    uint64_t noted = 0;
    for (unsigned id = 1; id <= rig.cache->classes; id++) {
        ck_assert_uint_le(rig.cache->size_class[id].queue.length, small[id]);
        noted += rig.cache->size_class[id].queue.length;
    }
    ck_assert_uint_gt(noted, 0);
    for (unsigned i = 0; i < MANY; i++) {
        struct cache_read read = { .key = rig_key(key, "many", i),
                                   .key_len = (uint32_t)strlen(key),
                                   .mode = CACHE_READ_QUIET };
        enum cache_result result = cache_find_one(rig.cache, rig.thread, &read);
        ck_assert_uint_eq(result == CACHE_OK ? read.access : 0, access[i]);
        (void)cache_hit(rig.cache, rig.thread, &read);
        if (read.pin != NULL) {
            cache_unpin(rig.cache, rig.thread, &read.pin);
        }
    }
    rig_close(&rig);
}
END_TEST

START_TEST(figures_of_memory_come_back)
{
    struct cache_options options = options_of(32 * RIG_MB);
    options.track_sizes = true;
    open_with(&options);
    fill(MANY);
    char key[32];
    for (unsigned i = 0; i < MANY; i += 7) {
        (void)rig_delete(&rig, rig_key(key, "many", i));
    }
    struct cache_stats before = *rig_stats(&rig);
    stop();
    options = options_of(32 * RIG_MB);
    options.track_sizes = true;
    open_warm(&options);
    const struct cache_stats *after = rig_stats(&rig);
    ck_assert_uint_eq(start.items, before.items);
    ck_assert_uint_eq(after->items, before.items);
    ck_assert_uint_eq(after->memory_limit, before.memory_limit);
    ck_assert_uint_le(after->memory_used, before.memory_used + RIG_SLACK);
    for (unsigned id = 1; id <= before.classes; id++) {
        ck_assert_uint_eq(after->of_class[id].items, before.of_class[id].items);
        ck_assert_uint_eq(after->of_class[id].used_chunks, before.of_class[id].used_chunks);
        ck_assert_uint_eq(after->of_class[id].mem_requested, before.of_class[id].mem_requested);
        ck_assert_uint_eq(after->of_class[id].pages, before.of_class[id].pages);
        ck_assert_uint_eq(after->of_class[id].free_chunks, before.of_class[id].free_chunks);
    }
    ck_assert_ptr_nonnull(rig.cache->sizes);
    rig_close(&rig);
}
END_TEST

/* Rounds of a full cache that evicts, deletes, moves pages and stops. */
START_TEST(a_full_cache_goes_on_and_on)
{
    char key[32];
    struct rng rng;
    rng_init(&rng, 17);
    struct cache_options options = options_of(4 * RIG_MB);
    open_with(&options);
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < 8000; i++) {
            unsigned number = (unsigned)rng_below(&rng, MANY);
            rig_key(key, "many", number);
            if (i % 5 == 0) {
                (void)rig_delete(&rig, key);
            } else {
                rig_must(rig_set_filled(&rig, key, value_len_of(number), number) == CACHE_OK);
            }
            if (i % 50 == 0) {
                (void)cache_maintain(rig.cache, rig.thread);
            }
        }
        unsigned before = count_filled(MANY);
        ck_assert_uint_gt(before, 100);
        stop();
        options = options_of(4 * RIG_MB);
        options.hash_seed = round;
        open_warm(&options);
        ck_assert_uint_eq(count_filled(MANY), before);
        ck_assert_uint_le(rig_stats(&rig)->memory_used, 4 * RIG_MB + RIG_SLACK);
        cache_check(rig.cache);
    }
    rig_close(&rig);
}
END_TEST

START_TEST(an_empty_cache_comes_back_empty)
{
    open_cache();
    restart();
    ck_assert_uint_eq(start.items, 0);
    ck_assert_int_eq(rig_set(&rig, "a", "b"), CACHE_OK);
    restart();
    ck_assert_uint_eq(start.items, 1);
    ck_assert_int_eq(rig_get(&rig, "a").result, CACHE_OK);
    rig_close(&rig);
}
END_TEST

/* -- time, flushes ------------------------------------------------------------------------------
 */

START_TEST(time_goes_on_while_it_is_stopped)
{
    open_cache();
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "short", "v", 1, 0, RIG_NOW + 5, 0, NULL),
                     CACHE_OK);
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "longer", "v", 1, 0, RIG_NOW + 20, 0, NULL),
                     CACHE_OK);
    ck_assert_int_eq(rig_set(&rig, "ever", "v"), CACHE_OK);
    restart_at(RIG_NOW + 10);
    ck_assert_int_eq(cache_now(rig.cache), RIG_NOW + 10);
    ck_assert_int_eq(rig_peek(&rig, "short").result, CACHE_MISS);
    ck_assert_int_eq(rig_peek(&rig, "longer").read.expires_at, RIG_NOW + 20);
    ck_assert_uint_eq(rig_peek(&rig, "ever").read.idle_s, 10);
    cache_set_now(rig.cache, RIG_NOW + 20);
    ck_assert_int_eq(rig_peek(&rig, "longer").result, CACHE_MISS);
    rig_settle(&rig);
    ck_assert_uint_eq(rig_stats(&rig)->items, 1); /* the sweep knows the pages' times */
    rig_close(&rig);
}
END_TEST

START_TEST(a_clock_set_back_gives_no_time)
{
    open_cache();
    ck_assert_int_eq(rig_store(&rig, CACHE_SET, "key", "v", 1, 0, RIG_NOW + 20, 0, NULL), CACHE_OK);
    cache_set_now(rig.cache, RIG_NOW + 10);
    restart_at(RIG_NOW - 5000);
    ck_assert_int_eq(rig_peek(&rig, "key").read.expires_at, RIG_NOW - 5000 + 10);
    cache_set_now(rig.cache, RIG_NOW - 5000 + 10);
    ck_assert_int_eq(rig_peek(&rig, "key").result, CACHE_MISS);
    rig_close(&rig);
}
END_TEST

START_TEST(what_was_flushed_stays_so)
{
    open_cache();
    for (unsigned round = 0; round < 20; round++) { /* more than there are generations */
        ck_assert_int_eq(rig_set(&rig, "old", "v"), CACHE_OK);
        ck_assert_int_eq(rig_set(&rig, "p:old", "v"), CACHE_OK);
        cache_flush(rig.cache, RIG_NOW);
        ck_assert_int_eq(rig_set(&rig, "p:old", "v"), CACHE_OK);
        ck_assert(cache_flush_prefix(rig.cache, "p:", 2));
        ck_assert_int_eq(rig_set(&rig, "p:new", "v"), CACHE_OK);
        ck_assert_int_eq(rig_set(&rig, "new", "v"), CACHE_OK);
        restart();
        ck_assert_uint_eq(start.items, 2);
        ck_assert_int_eq(rig_peek(&rig, "old").result, CACHE_MISS);
        ck_assert_int_eq(rig_peek(&rig, "p:old").result, CACHE_MISS);
        ck_assert_int_eq(rig_peek(&rig, "new").result, CACHE_OK);
        ck_assert_int_eq(rig_peek(&rig, "p:new").result, CACHE_OK);
    }
    rig_close(&rig);
}
END_TEST

/* Ids that clients choose may be above the counter: a flush of their prefix must know. */
START_TEST(a_flush_after_the_restart_covers_what_came_before)
{
    struct cache_store store;
    open_cache();
    ck_assert_int_eq(cache_store_begin(rig.cache, rig.thread, "p:a", 3, 0, 0, CACHE_NEVER, &store),
                     CACHE_OK);
    store.cas_new = 1000000;
    ck_assert_int_eq(cache_store_commit(rig.cache, rig.thread, &store, CACHE_SET, 0, NULL),
                     CACHE_OK);
    restart();
    ck_assert_int_eq(rig_peek(&rig, "p:a").result, CACHE_OK);
    ck_assert(cache_flush_prefix(rig.cache, "p:", 2));
    ck_assert_int_eq(rig_peek(&rig, "p:a").result, CACHE_MISS);
    rig_close(&rig);
}
END_TEST

START_TEST(a_flush_to_come_comes)
{
    open_cache();
    ck_assert_int_eq(rig_set(&rig, "key", "v"), CACHE_OK);
    cache_flush(rig.cache, RIG_NOW + 30);
    restart_at(RIG_NOW + 10);
    ck_assert_int_eq(rig_peek(&rig, "key").result, CACHE_OK);
    if (_i == 0) {
        cache_set_now(rig.cache, RIG_NOW + 30);
    } else { /* while it is stopped */
        restart_at(RIG_NOW + 31);
    }
    ck_assert_int_eq(rig_peek(&rig, "key").result, CACHE_MISS);
    ck_assert_int_eq(rig_set(&rig, "key", "v"), CACHE_OK);
    ck_assert_int_eq(rig_peek(&rig, "key").result, CACHE_OK);
    rig_close(&rig);
}
END_TEST

/* -- other options ------------------------------------------------------------------------------
 */

START_TEST(a_larger_limit_takes_all)
{
    struct cache_options options = options_of(4 * RIG_MB);
    open_with(&options);
    fill(MANY);
    unsigned before = count_filled(MANY);
    stop();
    options = options_of(256 * RIG_MB);
    open_warm(&options);
    ck_assert_uint_eq(count_filled(MANY), before);
    fill(MANY);
    ck_assert_uint_eq(count_filled(MANY), MANY);
    rig_close(&rig);
}
END_TEST

START_TEST(a_smaller_limit_is_kept)
{
    struct cache_options options = options_of(64 * RIG_MB);
    open_with(&options);
    for (unsigned i = 0; i < 6; i++) {
        char prefix[2] = { (char)('a' + i), 0 };
        char key[32];
        for (unsigned j = 0; j < MANY; j++) {
            rig_must(rig_set_filled(&rig, rig_key(key, prefix, j), value_len_of(j), j) == CACHE_OK);
        }
    }
    fill(MANY);
    stop();
    options = options_of(25 * RIG_MB);
    open_warm(&options);
    ck_assert_uint_le(rig_stats(&rig)->memory_used, 25 * RIG_MB);
    ck_assert_uint_gt(rig_stats(&rig)->memory_used, 20 * RIG_MB);
    ck_assert_uint_eq(rig_stats(&rig)->items, start.items);
    ck_assert_uint_gt(count_filled(MANY), 0);
    fill(MANY);
    rig_close(&rig);
}
END_TEST

START_TEST(a_smaller_limit_keeps_the_long_items_that_fit)
{
    /* Their last pieces lie in classes of all sizes, with nothing in these that could be evicted. */
    struct cache_options options = options_of(64 * RIG_MB);
    open_with(&options);
    char key[32];
    uint64_t bytes = 0;
    for (unsigned i = 0; bytes < 55 * RIG_MB; i++) {
        size_t len = 40000 + (size_t)i * 7919 % 100000;
        rig_must(rig_set_filled(&rig, rig_key(key, "long", i), len, i) == CACHE_OK);
        bytes += len;
    }
    ck_assert_uint_eq(rig_stats(&rig)->sum.evicted, 0);
    stop();
    options = options_of(32 * RIG_MB);
    open_warm(&options);
    ck_assert_uint_le(rig_stats(&rig)->memory_used, 32 * RIG_MB);
    ck_assert_uint_gt(rig_stats(&rig)->bytes, 32 * RIG_MB * 85 / 100);
    rig_close(&rig);
}
END_TEST

START_TEST(items_that_fit_no_longer_are_left_out)
{
    open_cache();
    char key[32];
    for (unsigned i = 0; i < 200000; i++) {
        rig_must(rig_set(&rig, rig_key(key, "small", i), "v") == CACHE_OK);
    }
    uint64_t used = rig_stats(&rig)->memory_used;
    ck_assert_uint_gt(used, 8 * RIG_MB);
    stop();
    struct cache_options options = options_of(8 * RIG_MB);
    must_start_clean(&options, "-m) has smaller pages than the file: starting with a clean cache");
}
END_TEST

START_TEST(without_evictions_a_smaller_limit_is_clean)
{
    struct cache_options options = options_of(64 * RIG_MB);
    options.evictions_disabled = true;
    open_with(&options);
    for (unsigned i = 0; i < 40; i++) {
        char key[32];
        rig_must(rig_set_filled(&rig, rig_key(key, "long", i), 1000000, i) == CACHE_OK);
    }
    stop();
    options = options_of(25 * RIG_MB);
    options.evictions_disabled = true;
    must_start_clean(&options, "-M forbids to evict");
}
END_TEST

START_TEST(other_shapes_of_items_are_left_out)
{
    static const uint32_t sizes[] = { 100, 1000, 5000 };
    for (unsigned i = 0; i < 3; i++) {
        struct cache_options options = options_of(32 * RIG_MB);
        open_with(&options);
        fill(100);
        stop();
        options = options_of(32 * RIG_MB);
        switch (i) {
        case 0:
            options.cas_disabled = true;
            must_start_clean(&options, "-C (--disable-cas) has changed");
            break;
        case 1:
            options.growth_factor = 1.5;
            must_start_clean(&options, "(-f, -n, -o slab_sizes) have changed");
            break;
        default:
            options.chunk_sizes = sizes;
            options.chunk_sizes_len = 3;
            must_start_clean(&options, "(-f, -n, -o slab_sizes) have changed");
            break;
        }
        (void)unlink(path);
    }
}
END_TEST

START_TEST(a_cache_without_cas_ids_comes_back)
{
    struct cache_options options = options_of(32 * RIG_MB);
    options.cas_disabled = true;
    open_with(&options);
    fill(MANY);
    stop();
    options = options_of(32 * RIG_MB);
    options.cas_disabled = true;
    open_warm(&options);
    ck_assert_uint_eq(count_filled(MANY), MANY);
    rig_close(&rig);
}
END_TEST

/* -- ends and beginnings ------------------------------------------------------------------------
 */

START_TEST(a_cache_that_was_not_saved_starts_clean)
{
    open_cache();
    fill(100);
    rig_close(&rig);
    struct cache_options options = options_of(32 * RIG_MB);
    must_start_clean(&options, "no metadata save file, starting with a clean cache");
}
END_TEST

/* Its meta is gone as soon as somebody goes on with the items: so it cannot come back later. */
START_TEST(a_warm_start_that_crashes_leaves_nothing_old)
{
    uint8_t meta[65536];
    open_cache();
    fill(100);
    stop();
    int fd = open(meta_path, O_RDONLY);
    ssize_t len = read(fd, meta, sizeof(meta));
    close(fd);
    struct cache_options options = options_of(32 * RIG_MB);
    open_warm(&options);
    rig_close(&rig);
    fd = open(meta_path, O_WRONLY | O_CREAT, 0600); /* as a backup would bring it back */
    ck_assert_int_eq(write(fd, meta, (size_t)len), len);
    close(fd);
    must_refuse_plain("belongs to another state of the file");
}
END_TEST

START_TEST(one_file_serves_one_cache)
{
    open_cache();
    fill(10);
    must_refuse_plain("is in use by another process");
    ck_assert_uint_eq(count_filled(10), 10);
    rig_close(&rig);
}
END_TEST

START_TEST(a_save_waits_for_no_one)
{
    char text[CACHE_START_TEXT_MAX];
    struct cache_store store;
    open_cache();
    ck_assert_int_eq(cache_store_begin(rig.cache, rig.thread, "key", 3, 10, 0, CACHE_NEVER, &store),
                     CACHE_OK);
    ck_assert(!cache_save(rig.cache, text));
    ck_assert(strstr(text, "not saved: an item is still being received") != NULL);
    ck_assert_int_ne(access(meta_path, F_OK), 0);
    cache_store_abort(rig.cache, rig.thread, &store);
    ck_assert(cache_save(rig.cache, text));
    rig_close(&rig);
}
END_TEST

START_TEST(a_save_that_cannot_write_says_so)
{
    char text[CACHE_START_TEXT_MAX];
    open_cache();
    fill(10);
    snprintf(text, sizeof(text), "%s.new", meta_path);
    ck_assert_int_eq(mkdir(text, 0700), 0); /* in its way */
    ck_assert(!cache_save(rig.cache, text));
    ck_assert(strstr(text, ".meta cannot be written: ") != NULL);
    ck_assert_int_ne(access(meta_path, F_OK), 0);
    rig_close(&rig);
    snprintf(text, sizeof(text), "%s.new", meta_path);
    ck_assert_int_eq(rmdir(text), 0);
}
END_TEST

/* It told of items that are kept, and the description that it left kept the next start from
 * beginning. */
START_TEST(a_file_that_was_taken_away_keeps_nothing)
{
    char text[CACHE_START_TEXT_MAX];
    for (unsigned replaced = 0; replaced < 2; replaced++) {
        open_cache();
        fill(10);
        ck_assert_int_eq(unlink(path), 0);
        if (replaced != 0) {
            int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
            ck_assert_int_ge(fd, 0);
            close(fd);
        }
        ck_assert(!cache_save(rig.cache, text));
        ck_assert(strstr(text, "has been removed or replaced") != NULL);
        ck_assert_int_ne(access(meta_path, F_OK), 0);
        rig_close(&rig);
        open_cache(); /* as a new one */
        ck_assert_uint_eq(count_filled(10), 0);
        rig_close(&rig);
    }
}
END_TEST

static void
write_file(const char *name, const void *bytes, size_t len)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

START_TEST(files_of_others_are_refused)
{
    struct stat now;
    write_file(path, "#!/bin/sh\necho important\n", 25);
    must_refuse_plain("is no memory file of larder: it stays as it is");
    ck_assert_int_eq(stat(path, &now), 0);
    ck_assert_int_eq(now.st_size, 25);
    write_file(path, "l", 1);
    must_refuse_plain("is no memory file of larder: it stays as it is");
    (void)unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    must_refuse_plain("failed to open file for mmap");
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    must_refuse_plain("is no regular file");
    (void)unlink(path);
    write_file(meta_path, "", 0);
    must_refuse_plain("but the file that it belongs to is not");
    ck_assert_int_ne(access(path, F_OK), 0);
    write_file(path, "", 0);
    must_refuse_plain(".meta is empty or has lost its end");
    write_file(meta_path, "Tmain\nKslab_config 1.25\n", 24);
    must_refuse_plain(".meta was not written by larder");
}
END_TEST

START_TEST(a_path_that_cannot_be_is_refused)
{
    static char longest[8192];
    struct cache_options options = options_of(32 * RIG_MB);
    options.memory_file = "/nonexistent/x";
    must_refuse(&options, "failed to open file for mmap: /nonexistent/x: No such file");
    options.memory_file = "";
    must_refuse(&options, "name is empty");
    memset(longest, 'x', sizeof(longest) - 1);
    options.memory_file = longest;
    must_refuse(&options, "name is too long");
}
END_TEST

/* -- damage -------------------------------------------------------------------------------------
 */

/* A saved cache as bytes: both files. */
struct image {
    uint8_t *data;
    size_t data_len;
    uint8_t *meta;
    size_t meta_len;
};
static struct image image;

static uint8_t *
load_file(const char *name, size_t *len)
{
    struct stat now;
    int fd = open(name, O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &now), 0);
    *len = (size_t)now.st_size;
    uint8_t *bytes = malloc(*len);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_int_eq(read(fd, bytes, *len), (ssize_t)*len);
    close(fd);
    return bytes;
}

/** Saves a small cache with all kinds of chunks. */
static void
make_image(void)
{
    char key[32];
    struct cache_options options = options_of(1 * RIG_MB);
    options.item_size_max = 256 << 10;
    open_with(&options);
    for (unsigned i = 0; i < 200; i++) {
        rig_must(rig_set_filled(&rig, rig_key(key, "many", i), i * 3, i) == CACHE_OK);
    }
    for (unsigned i = 0; i < 4; i++) {
        rig_must(rig_set_filled(&rig, rig_key(key, "long", i), 50000 + i * 777, i) == CACHE_OK);
    }
    for (unsigned i = 0; i < 200; i += 9) {
        (void)rig_delete(&rig, rig_key(key, "many", i));
    }
    stop();
    image.data = load_file(path, &image.data_len);
    image.meta = load_file(meta_path, &image.meta_len);
}

static void
drop_image(void)
{
    free(image.data);
    free(image.meta);
}

/** Overwrites in place: as fast as a small file can be had. */
static void
put_back(void)
{
    write_file(path, image.data, image.data_len);
    write_file(meta_path, image.meta, image.meta_len);
}

static bool
is_untouched(void)
{
    size_t data_len;
    size_t meta_len;
    uint8_t *data = load_file(path, &data_len);
    uint8_t *meta = load_file(meta_path, &meta_len);
    bool same = data_len == image.data_len && meta_len == image.meta_len &&
                memcmp(data, image.data, data_len) == 0 && memcmp(meta, image.meta, meta_len) == 0;
    free(data);
    free(meta);
    return same;
}

/* A larger limit than the image's: the file does not grow either before it is found good. */
static struct cache_options
image_options(void)
{
    struct cache_options options = options_of(2 * RIG_MB);
    options.item_size_max = 256 << 10;
    return options;
}

/** Starts on what lies there: a cache whose structures are sound, or a refusal that leaves all as
 * it was.  Whether it was refused. */
static bool
start_on_image(void)
{
    put_back();
    struct cache_options options = image_options();
    struct cache *cache = cache_create(&options);
    if (cache == NULL) {
        rig_must(start.kind == CACHE_START_REFUSED && start.text[0] != '\0');
        rig_must(is_untouched());
        return true;
    }
    rig_must(start.kind == CACHE_START_WARM);
    cache_check(cache);
    cache_destroy(cache);
    return false;
}

START_TEST(the_image_itself_is_good)
{
    make_image();
    put_back();
    struct cache_options options = image_options();
    open_warm(&options);
    char key[32];
    for (unsigned i = 0; i < 200; i++) {
        rig_key(key, "many", i);
        rig_must(i % 9 == 0 ? rig_peek(&rig, key).result == CACHE_MISS
                            : rig_holds_filled(&rig, key, i * 3, i));
    }
    for (unsigned i = 0; i < 4; i++) {
        rig_must(rig_holds_filled(&rig, rig_key(key, "long", i), 50000 + i * 777, i));
    }
    rig_close(&rig);
    drop_image();
}
END_TEST

START_TEST(a_file_that_lost_its_end_is_refused)
{
    make_image();
    size_t whole = image.meta_len;
    static const size_t lens[] = { 0, 1, 7, 8, 15, 16, 23, 24, 100 };
    for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]) + 8; i++) {
        size_t lens_len = sizeof(lens) / sizeof(lens[0]);
        image.meta_len = i < lens_len ? lens[i] : whole - (i - lens_len + 1);
        ck_assert(start_on_image());
        ck_assert(strstr(start.text, "has lost its end") != NULL);
    }
    image.meta_len = whole;
    size_t data_len = image.data_len;
    struct restart_meta meta;
    uint32_t version;
    ck_assert_int_eq(restart_meta_parse(&meta, image.meta, image.meta_len, &version),
                     RESTART_META_OK);
    size_t needed = (size_t)meta.page_count << meta.page_shift;
    const size_t shorter[] = { needed - 1, needed / 2, 4096, 16 };
    for (unsigned i = 0; i < 4; i++) {
        image.data_len = shorter[i];
        ck_assert(start_on_image());
        ck_assert_msg(strstr(start.text, "has lost its end") != NULL, "%s", start.text);
    }
    image.data_len = needed; /* what lies behind was never used */
    ck_assert(!start_on_image());
    image.data_len = data_len;
    drop_image();
}
END_TEST

START_TEST(a_changed_byte_is_refused_or_of_no_use)
{
    struct rng rng;
    rng_init(&rng, 4711);
    make_image();
    struct restart_meta meta;
    uint32_t version;
    ck_assert_int_eq(restart_meta_parse(&meta, image.meta, image.meta_len, &version),
                     RESTART_META_OK);
    size_t used = (size_t)meta.page_count << meta.page_shift;
    unsigned refused = 0;
    for (unsigned i = 0; i < 150; i++) {
        bool in_meta = i % 3 == 0;
        uint8_t *byte = in_meta ? image.meta + rng_below(&rng, image.meta_len)
                                : image.data + rng_below(&rng, used);
        uint8_t flip = (uint8_t)(1 + rng_below(&rng, 255));
        *byte ^= flip;
        if (start_on_image()) {
            refused++;
        } else { /* unused room: then all is as it was */
            rig_must(!in_meta);
            struct cache_options options = image_options();
            put_back();
            open_warm(&options);
            char key[32];
            for (unsigned j = 1; j < 200; j += 9) {
                rig_must(rig_holds_filled(&rig, rig_key(key, "many", j), j * 3, j));
            }
            rig_close(&rig);
        }
        *byte ^= flip;
    }
    ck_assert_uint_gt(refused, 50);
    drop_image();
}
END_TEST

/** Makes the checks of a changed image right again: so only the walk can tell. */
static void
forge(void)
{
    struct restart_meta meta;
    uint32_t version;
    restart_meta_end(image.meta, image.meta_len);
    ck_assert_int_eq(restart_meta_parse(&meta, image.meta, image.meta_len, &version),
                     RESTART_META_OK);
    for (uint32_t number = 1; number < meta.page_count; number++) {
        struct restart_page page = restart_meta_page(&meta, number);
        if (page.class_id != 0 && page.class_id <= meta.classes) {
            size_t len = (size_t)page.fresh * restart_meta_chunk_size(&meta, page.class_id);
            size_t room = (size_t)1 << meta.page_shift;
            page.check = restart_page_check(image.data + ((size_t)number << meta.page_shift),
                                            len < room ? len : room);
            restart_meta_set_page(&meta, number, &page);
        }
    }
    restart_meta_end(image.meta, image.meta_len);
}

/* Whoever makes the checks right may bring other values, but not a cache that does not hold. */
START_TEST(forged_items_never_break_the_cache)
{
    struct rng rng;
    rng_init(&rng, 815 + (uint64_t)_i);
    make_image();
    struct image good = image;
    image.data = malloc(good.data_len);
    image.meta = malloc(good.meta_len);
    ck_assert_ptr_nonnull(image.data);
    ck_assert_ptr_nonnull(image.meta);
    struct restart_meta meta;
    uint32_t version;
    ck_assert_int_eq(restart_meta_parse(&meta, good.meta, good.meta_len, &version),
                     RESTART_META_OK);
    unsigned refused = 0;
    for (unsigned i = 0; i < 150; i++) {
        memcpy(image.data, good.data, good.data_len);
        memcpy(image.meta, good.meta, good.meta_len);
        uint32_t number = (uint32_t)(1 + rng_below(&rng, meta.page_count - 1));
        struct restart_page page = restart_meta_page(&meta, number);
        if (page.class_id == 0 || page.fresh == 0 || i % 10 == 0) {
            /* what is known of the page */
            size_t at = good.meta_len - 8 - (meta.page_count - number) * 16;
            image.meta[at + 8 + rng_below(&rng, 5)] ^= (uint8_t)(1 + rng_below(&rng, 255));
        } else {
            /* the head of a chunk, or what stands behind it */
            size_t size = restart_meta_chunk_size(&meta, page.class_id);
            size_t at = ((size_t)number << meta.page_shift) + rng_below(&rng, page.fresh) * size;
            for (uint64_t n = 1 + rng_below(&rng, 3); n > 0; n--) {
                image.data[at + rng_below(&rng, 48)] ^= (uint8_t)(1u << rng_below(&rng, 8));
            }
        }
        forge();
        refused += start_on_image();
    }
    ck_assert_uint_gt(refused, 20);
    free(image.data);
    free(image.meta);
    image = good;
    drop_image();
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("restart");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, everything_of_an_item_comes_back);
    tcase_add_test(tcase, uses_and_queues_come_back);
    tcase_add_test(tcase, figures_of_memory_come_back);
    tcase_add_test(tcase, a_full_cache_goes_on_and_on);
    tcase_add_test(tcase, an_empty_cache_comes_back_empty);
    tcase_add_test(tcase, time_goes_on_while_it_is_stopped);
    tcase_add_test(tcase, a_clock_set_back_gives_no_time);
    tcase_add_test(tcase, what_was_flushed_stays_so);
    tcase_add_test(tcase, a_flush_after_the_restart_covers_what_came_before);
    tcase_add_loop_test(tcase, a_flush_to_come_comes, 0, 2);
    tcase_add_test(tcase, a_larger_limit_takes_all);
    tcase_add_test(tcase, a_smaller_limit_is_kept);
    tcase_add_test(tcase, a_smaller_limit_keeps_the_long_items_that_fit);
    tcase_add_test(tcase, items_that_fit_no_longer_are_left_out);
    tcase_add_test(tcase, without_evictions_a_smaller_limit_is_clean);
    tcase_add_test(tcase, other_shapes_of_items_are_left_out);
    tcase_add_test(tcase, a_cache_without_cas_ids_comes_back);
    tcase_add_test(tcase, a_cache_that_was_not_saved_starts_clean);
    tcase_add_test(tcase, a_warm_start_that_crashes_leaves_nothing_old);
    tcase_add_test(tcase, one_file_serves_one_cache);
    tcase_add_test(tcase, a_save_waits_for_no_one);
    tcase_add_test(tcase, a_save_that_cannot_write_says_so);
    tcase_add_test(tcase, a_file_that_was_taken_away_keeps_nothing);
    tcase_add_test(tcase, files_of_others_are_refused);
    tcase_add_test(tcase, a_path_that_cannot_be_is_refused);
    tcase_add_test(tcase, the_image_itself_is_good);
    tcase_add_test(tcase, a_file_that_lost_its_end_is_refused);
    tcase_add_test(tcase, a_changed_byte_is_refused_or_of_no_use);
    tcase_add_loop_test(tcase, forged_items_never_break_the_cache, 0, 3);
    return rig_run("restart", tcase);
}
