/* Dumps come in slices: others have their turn between two of them, a client that does not read
 * gets no more, and there is one at a time.  What the lines say is tested by tests/wire/dump.t. */
#include "config.h"

#include "unit/session/harness.h"

#define KEYS        8000u
#define SLICE_MAX   (64u * 1024) /* bytes that one run adds at most */
#define NEW_EACH    20u          /* keys stored between two slices */
#define NEW_KEY_MAX 200000u

static struct harness h;

static void
open_with_keys(void)
{
    memset(&h, 0, sizeof(h));
    settings_init(&h.settings);
    harness_start(&h);
    for (unsigned i = 0; i < KEYS; i++) {
        char text[64];
        sprintf(text, "set key:%u %u 0 1 noreply\r\nx\r\n", i, i);
        ck_assert_int_eq(harness_feed(&h, text), SESSION_READ);
    }
}

/** Runs a dump to its end by hand, with `between` after each run; returns how many there were. */
static unsigned
run_dump(const char *command, void (*between)(void))
{
    h.out_len = 0;
    (void)harness_receive(h.session, command, strlen(command));
    unsigned runs = 0;
    enum session_next next;
    do {
        next = session_run(h.session);
        size_t added = harness_take(&h, h.session, SIZE_MAX);
        ck_assert_uint_le(added, SLICE_MAX);
        ck_assert_uint_lt(runs++, 100000);
        if (between != NULL && next != SESSION_READ) {
            session_pause(h.session);
            between();
        }
    } while (next == SESSION_AGAIN || next == SESSION_SEND);
    ck_assert_int_eq(next, SESSION_READ);
    return runs;
}

/** How often each of the first keys is in a dump's lines; all lines must be of a known form. */
static void
check_keys_once(void)
{
    static uint8_t times[KEYS];
    memset(times, 0, sizeof(times));
    ck_assert_int_eq(strncmp(h.out, "OK\r\n", 4), 0);
    const char *at = h.out + 4;
    while (strncmp(at, "END\r\n", 5) != 0) {
        unsigned number;
        unsigned flags;
        char rest[200];
        if (sscanf(at, "key=key%%3A%u exp=-1 %199[a-z0-9= ]", &number, rest) == 2) {
            ck_assert_uint_lt(number, KEYS);
            ck_assert_ptr_nonnull(strstr(rest, "flags="));
            ck_assert_int_eq(sscanf(strstr(rest, "flags="), "flags=%u", &flags), 1);
            if (flags != number || times[number]++ != 0) {
                ck_abort_msg("key:%u flags %u times %u", number, flags, times[number]);
            }
        } else if (strncmp(at, "key=new%3A", 10) != 0) {
            ck_abort_msg("no line of a dump: %.60s", at);
        }
        at = strchr(at, '\n') + 1;
    }
    ck_assert_str_eq(at, "END\r\n");
    for (unsigned i = 0; i < KEYS; i++) {
        if (times[i] != 1) {
            ck_abort_msg("key:%u is missing", i);
        }
    }
}

START_TEST(a_dump_comes_in_slices)
{
    open_with_keys();
    unsigned runs = run_dump("lru_crawler metadump all\r\n", NULL);
    ck_assert_uint_gt(runs, 20);
    check_keys_once();
    ck_assert_uint_eq(metric_get(&session_worker_stats(h.worker)->conn_yields), 0);
    harness_close(&h);
}
END_TEST

static struct session *other;
static unsigned new_keys;

/** Another client of the same worker stores, changes and deletes. */
static void
others_write(void)
{
    static struct harness *const to = &h;
    size_t before = to->out_len;
    for (unsigned i = 0; i < NEW_EACH && new_keys < NEW_KEY_MAX; i++) {
        char text[128];
        unsigned number = new_keys++;
        unsigned key = number % KEYS;
        int n = sprintf(text, "set new:%u 0 0 1 noreply\r\ny\r\nset key:%u %u 0 1\r\nz\r\n", number,
                        key, key);
        ck_assert_int_eq(harness_feed_bytes(to, other, text, (size_t)n), SESSION_READ);
        ck_assert_str_eq(to->out + before, "STORED\r\n");
        to->out_len = before;
    }
    session_pause(other);
}

START_TEST(others_have_their_turn_between_slices)
{
    open_with_keys();
    other = session_create(h.worker);
    new_keys = 0;
    session_pause(h.session);
    unsigned runs = run_dump("lru_crawler metadump hash\r\n", others_write);
    ck_assert_uint_gt(runs, 20);
    ck_assert_uint_gt(new_keys, 20 * NEW_EACH);
    check_keys_once();
    session_destroy(other);
    harness_close(&h);
}
END_TEST

START_TEST(a_client_that_does_not_read_gets_no_more)
{
    open_with_keys();
    const char *command = "lru_crawler metadump all\r\nversion\r\n";
    (void)harness_receive(h.session, command, strlen(command));
    ck_assert_int_eq(session_run(h.session), SESSION_AGAIN);
    session_pause(h.session); /* what it has not taken is kept aside */
    uint64_t kept = metric_get(&session_worker_stats(h.worker)->response_bytes);
    ck_assert_uint_gt(kept, 0);
    ck_assert_uint_le(kept, SLICE_MAX);
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_int_eq(session_run(h.session), SESSION_SEND);
        session_pause(h.session);
    }
    ck_assert_uint_eq(metric_get(&session_worker_stats(h.worker)->response_bytes), kept);
    /* One that takes a little at a time gets all of it, and then the reply to what it sent behind.
     */
    h.out_len = 0;
    enum session_next next;
    do {
        (void)harness_take(&h, h.session, 1000);
        next = session_run(h.session);
        session_pause(h.session);
    } while (next != SESSION_READ);
    (void)harness_take(&h, h.session, SIZE_MAX);
    char *behind = strstr(h.out, "VERSION");
    ck_assert_ptr_nonnull(behind);
    *behind = '\0';
    h.out_len = (size_t)(behind - h.out);
    check_keys_once();
    harness_close(&h);
}
END_TEST

START_TEST(output_that_waits_in_the_buffer_is_not_overrun)
{
    open_with_keys();
    const char *command = "lru_crawler metadump all\r\n";
    (void)harness_receive(h.session, command, strlen(command));
    enum session_next next;
    unsigned runs = 0;
    do {
        next = session_run(h.session);
        ck_assert_uint_lt(runs++, 1000);
    } while (next == SESSION_AGAIN);
    ck_assert_int_eq(next, SESSION_SEND); /* the buffer is full, and nothing has been taken */
    h.out_len = 0;
    do {
        (void)harness_take(&h, h.session, SIZE_MAX);
        next = session_run(h.session);
    } while (next != SESSION_READ);
    (void)harness_take(&h, h.session, SIZE_MAX);
    check_keys_once();
    harness_close(&h);
}
END_TEST

START_TEST(there_is_one_dump_at_a_time)
{
    open_with_keys();
    const char *command = "lru_crawler metadump all\r\n";
    (void)harness_receive(h.session, command, strlen(command));
    ck_assert_int_eq(session_run(h.session), SESSION_AGAIN);
    session_pause(h.session);

    other = session_create(h.worker);
    h.out_len = 0;
    ck_assert_int_eq(harness_feed_bytes(&h, other, command, strlen(command)), SESSION_READ);
    ck_assert_str_eq(h.out, "BUSY currently processing crawler request\r\n");
    h.out_len = 0;
    ck_assert_int_eq(harness_feed_bytes(&h, other, "lru_crawler crawl all\r\n", 23), SESSION_READ);
    ck_assert_str_eq(h.out, "BUSY currently processing crawler request\r\n");
    session_pause(other);

    /* Its client goes away in the middle: the place is free again. */
    session_destroy(h.session);
    h.session = other;
    (void)run_dump(command, NULL);
    check_keys_once();
    (void)run_dump(command, NULL); /* and after an end as well */
    check_keys_once();
    harness_close(&h);
}
END_TEST

START_TEST(nothing_may_stand_before_a_dump_in_one_receive)
{
    open_with_keys();
    ck_assert_str_eq(harness_ask(&h, "mn\r\nlru_crawler mgdump all\r\n"),
                     "MN\r\nERROR cannot pipeline other commands before mgdump\r\n");
    ck_assert_str_eq(harness_ask(&h, "mn\r\n"), "MN\r\n");
    ck_assert_int_eq(strncmp(harness_ask(&h, "lru_crawler mgdump all\r\n"), "OK\r\nmg key:", 10),
                     0);
    harness_close(&h);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_dump_comes_in_slices,
        others_have_their_turn_between_slices,
        a_client_that_does_not_read_gets_no_more,
        output_that_waits_in_the_buffer_is_not_overrun,
        there_is_one_dump_at_a_time,
        nothing_may_stand_before_a_dump_in_one_receive,
    };
    return harness_main("session/run_dump", tests, sizeof(tests) / sizeof(tests[0]));
}
