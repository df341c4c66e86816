/* Writing a snapshot: what stops it, and who else writes meanwhile. */
#include "unit/engine/snapshot_rig.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

/* -- what stops it ----------------------------------------------------------------------------- */

START_TEST(a_full_disk_ends_it)
{
    fill(1500, 1000);
    rig_must(rig_set_filled(&from, "long", LONGER_LEN, 6) == CACHE_OK);
    must_write();
    size_t whole = file.len;
    for (unsigned i = 0; i < 12; i++) {
        memory_fini(&file);
        file.limit = whole * i / 12;
        ck_assert_int_eq(write_to(&from, &file, &figures), SNAPSHOT_CANNOT_WRITE);
        ck_assert_uint_le(figures.bytes, file.limit);
    }
    rig_must(rig_delete(&from, "long") == CACHE_OK); /* nobody holds it any more: rig_close() */
}
END_TEST

/** snapshot_pace_fn */
static bool
pace_times(void *arg, const struct snapshot_figures *so_far)
{
    unsigned *left = arg;
    rig_must(so_far->bytes <= file.len);
    return (*left)-- > 0;
}

START_TEST(who_paces_can_stop_it)
{
    fill(6000, 1000);
    unsigned left = 2;
    struct snapshot_options options = { .pace = pace_times, .pace_arg = &left };
    struct snapshot_sink sink = { .write = memory_write, .arg = &file };
    ck_assert_int_eq(snapshot_write(from.cache, from.thread, &sink, &options, &figures),
                     SNAPSHOT_STOPPED);
    ck_assert_uint_gt(figures.items, 500);
    ck_assert_uint_lt(figures.items, 6000);
    memory_fini(&file);
    must_write();
    left = 2;
    struct snapshot_source source = { .read = memory_read, .arg = &file };
    ck_assert_int_eq(snapshot_read(to.cache, to.thread, &source, &options, &figures, error),
                     SNAPSHOT_STOPPED);
    ck_assert_uint_eq(figures.items, count_whole(6000, 1000));
}
END_TEST

START_TEST(an_almost_empty_index_is_paced_as_well)
{
    fill(30000, 10);
    for (unsigned i = 0; i < 30000; i++) {
        rig_must(rig_delete(&from, rig_key(key, "key", i)) == CACHE_OK);
    }
    unsigned left = 100;
    struct snapshot_options options = { .pace = pace_times, .pace_arg = &left };
    struct snapshot_sink sink = { .write = memory_write, .arg = &file };
    ck_assert_int_eq(snapshot_write(from.cache, from.thread, &sink, &options, &figures),
                     SNAPSHOT_OK);
    ck_assert_uint_lt(left, 98);
}
END_TEST

/* -- while others write ------------------------------------------------------------------------ */

#define STABLE   2000u
#define CHANGING 2000u
#define WRITERS  2u

static atomic_bool stop;

/** A value tells its key and a version; all of its bytes do, so that a torn one shows. */
static size_t
value_of(unsigned number, unsigned version, uint8_t *value)
{
    size_t len = 16 + (number * 37 + version * 101) % 3000;
    len = number % 50 == 0 ? len + 20000 : len; /* long ones */
    uint32_t word[2] = { number, version };
    for (size_t at = 0; at < len; at++) {
        value[at] = ((const uint8_t *)word)[at % sizeof(word)];
    }
    return len;
}

static bool
value_is_of(unsigned number, const uint8_t *value, size_t len)
{
    static _Thread_local uint8_t expected[32768];
    uint32_t word[2];
    memcpy(word, value, sizeof(word));
    return word[0] == number && value_of(number, word[1], expected) == len &&
           memcmp(expected, value, len) == 0;
}

/** Changes, deletes and adds keys, until it is told to stop. */
static void *
write_on(void *arg)
{
    const unsigned *own = arg;
    static _Thread_local uint8_t value[32768];
    char name[32];
    struct cache_thread *thread = cache_thread_open(from.cache);
    rig_must(thread != NULL);
    /* relaxed: soon is enough */
    for (unsigned round = 1; !atomic_load_explicit(&stop, memory_order_relaxed); round++) {
        for (unsigned i = *own; i < CHANGING; i += WRITERS) {
            uint64_t cas;
            const char *changing = rig_key(name, "changing", i);
            size_t len = value_of(i, round, value);
            rig_must(cache_set(from.cache, thread, changing, (uint32_t)strlen(changing), value,
                               (uint32_t)len, 0, CACHE_NEVER, &cas) == CACHE_OK);
            const char *passing = rig_key(name, "passing", i);
            if (round % 2 == 0) {
                (void)cache_delete(from.cache, thread, passing, (uint32_t)strlen(passing), 0);
            } else {
                rig_must(cache_set(from.cache, thread, passing, (uint32_t)strlen(passing), value,
                                   (uint32_t)len, 0, CACHE_NEVER, &cas) == CACHE_OK);
            }
        }
    }
    cache_thread_close(from.cache, thread);
    return NULL;
}

START_TEST(while_others_write_each_item_that_stays_is_there_with_a_value_it_had)
{
    static uint8_t value[32768];
    static const unsigned own[WRITERS] = { 0, 1 };
    pthread_t writers[WRITERS];
    for (unsigned i = 0; i < STABLE; i++) {
        size_t len = value_of(i, 1, value);
        rig_must(rig_store(&from, CACHE_SET, rig_key(key, "stable", i), value, len, i, CACHE_NEVER,
                           0, NULL) == CACHE_OK);
        rig_must(rig_store(&from, CACHE_SET, rig_key(key, "changing", i), value, len, 0,
                           CACHE_NEVER, 0, NULL) == CACHE_OK);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        rig_must(pthread_create(&writers[i], NULL, write_on, (void *)&own[i]) == 0);
    }
    struct memory_file files[5] = { 0 };
    for (unsigned i = 0; i < 5; i++) {
        files[i].limit = NO_LIMIT;
        rig_must(write_to(&from, &files[i], &figures) == SNAPSHOT_OK);
        rig_must(figures.items >= STABLE + CHANGING);
    }
    atomic_store_explicit(&stop, true, memory_order_relaxed); /* relaxed: soon is enough */
    for (unsigned i = 0; i < WRITERS; i++) {
        rig_must(pthread_join(writers[i], NULL) == 0);
    }
    unsigned changed = 0;
    for (unsigned round = 0; round < 5; round++) {
        struct cache_options options = options_of(64 * RIG_MB);
        reopen(&options);
        rig_must(read_from(&to, &files[round], &figures, error) == SNAPSHOT_OK);
        rig_must(figures.kept == 0); /* no key is there twice */
        for (unsigned i = 0; i < STABLE; i++) {
            struct got got = peek(&to, rig_key(key, "stable", i));
            rig_must(got.result == CACHE_OK && got.read.client_flags == i);
            rig_must(value_is_of(i, to.buf, got.read.value_len));
            got = peek(&to, rig_key(key, "changing", i));
            rig_must(got.result == CACHE_OK && value_is_of(i, to.buf, got.read.value_len));
            uint32_t version;
            memcpy(&version, to.buf + 4, sizeof(version));
            changed += version > 1;
            got = peek(&to, rig_key(key, "passing", i));
            rig_must(got.result == CACHE_MISS || value_is_of(i, to.buf, got.read.value_len));
        }
        memory_fini(&files[round]);
    }
    ck_assert_uint_gt(changed, 0); /* the threads did meet */
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("snapshot_write");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_full_disk_ends_it);
    tcase_add_test(tcase, who_paces_can_stop_it);
    tcase_add_test(tcase, an_almost_empty_index_is_paced_as_well);
    tcase_add_test(tcase, while_others_write_each_item_that_stays_is_there_with_a_value_it_had);
    return rig_run("engine/snapshot_write", tcase);
}
