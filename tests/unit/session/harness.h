/* A cache, a worker and what its sessions say, for the tests of session/. */
#ifndef TESTS_UNIT_SESSION_HARNESS_H
#define TESTS_UNIT_SESSION_HARNESS_H

#include "admin/prefix.h"
#include "session/session.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HARNESS_NOW 1700000000 /* unix seconds */
#define HARNESS_OUT (16u * 1024 * 1024)

struct harness {
    struct settings settings;
    struct server_stats stats;
    struct session_host host;
    struct cache *cache;
    struct session_worker *worker;
    struct session *session;
    char *out; /* what the session sent, ended by NUL */
    size_t out_len;
    size_t fed; /* bytes of the last harness_feed() that were received */
};

/** After changes to settings_init()'s settings. */
static inline void
harness_start(struct harness *harness)
{
    struct cache_options options = {
        .memory_limit = atomic_load_explicit(&harness->settings.memory_limit, memory_order_relaxed),
        .item_size_max = harness->settings.item_size_max,
        .cas_disabled = harness->settings.cas_disabled,
        .evictions_disabled = harness->settings.evictions_disabled,
        .track_sizes = harness->settings.track_sizes,
        .hash_seed = 1,
        .now = HARNESS_NOW,
    };
    harness->cache = cache_create(&options);
    ck_assert_ptr_nonnull(harness->cache);
    harness->stats.cache = harness->cache;
    harness->stats.settings = &harness->settings;
    harness->stats.prefixes = prefix_stats_create(':');
    harness->stats.started_at = HARNESS_NOW;
    harness->worker =
        session_worker_create(harness->cache, &harness->settings, &harness->stats, &harness->host);
    ck_assert_ptr_nonnull(harness->worker);
    harness->stats.workers[harness->stats.workers_count++] = session_worker_stats(harness->worker);
    harness->session = session_create(harness->worker);
    harness->out = malloc(HARNESS_OUT);
    harness->out_len = 0;
}

static inline void
harness_open(struct harness *harness)
{
    memset(harness, 0, sizeof(*harness));
    settings_init(&harness->settings);
    harness_start(harness);
}

static inline void
harness_close(struct harness *harness)
{
    session_destroy(harness->session);
    session_worker_destroy(harness->worker);
    prefix_stats_destroy(harness->stats.prefixes);
    cache_check(harness->cache);
    cache_destroy(harness->cache);
    free(harness->out);
}

/** Takes up to `max` bytes of output; returns how many there were. */
static inline size_t
harness_take(struct harness *harness, struct session *session, size_t max)
{
    size_t taken = 0;
    struct iovec iov[SESSION_IOV_MAX];
    unsigned pieces;
    while (taken < max && (pieces = session_tx(session, iov, SESSION_IOV_MAX)) > 0) {
        ck_assert_uint_le(pieces, SESSION_IOV_MAX);
        size_t sent = 0;
        for (unsigned i = 0; i < pieces && taken + sent < max; i++) {
            size_t n = iov[i].iov_len < max - taken - sent ? iov[i].iov_len : max - taken - sent;
            ck_assert_uint_gt(iov[i].iov_len, 0);
            ck_assert_uint_lt(harness->out_len + n, HARNESS_OUT);
            memcpy(harness->out + harness->out_len, iov[i].iov_base, n);
            harness->out_len += n;
            sent += n;
        }
        session_tx_done(session, sent);
        taken += sent;
    }
    harness->out[harness->out_len] = '\0';
    return taken;
}

/** Where the next bytes go; returns the number of pieces. */
static inline unsigned
harness_spaces(struct session *session, size_t buffer_max, struct iovec *iov)
{
    struct session_space space = session_rx_space(session);
    iov[0] = (struct iovec){ space.at, space.len };
    unsigned pieces = space.at != NULL ? 1 : session_rx_item(session, buffer_max, iov);
    ck_assert(pieces >= 1 && pieces <= SESSION_RX_PIECES);
    return pieces;
}

/** Receives bytes; as many as there is space for. */
static inline size_t
harness_receive(struct session *session, const void *bytes, size_t len)
{
    struct iovec iov[SESSION_RX_PIECES];
    unsigned pieces = harness_spaces(session, SESSION_RX_SIZE, iov);
    size_t received = 0;
    for (unsigned i = 0; i < pieces; i++) {
        size_t n = iov[i].iov_len < len - received ? iov[i].iov_len : len - received;
        ck_assert_uint_gt(iov[i].iov_len, 0);
        memcpy(iov[i].iov_base, (const char *)bytes + received, n);
        received += n;
    }
    session_rx_done(session, received);
    return received;
}

/** Receives bytes and runs, sending all output, until the session reads again or closes. */
static inline enum session_next
harness_feed_bytes(struct harness *harness, struct session *session, const void *bytes, size_t len)
{
    enum session_next next = SESSION_READ;
    const char *at = bytes;
    while (len > 0 && next == SESSION_READ) {
        size_t n = harness_receive(session, at, len);
        at += n;
        len -= n;
        do {
            next = session_run(session);
            (void)harness_take(harness, session, SIZE_MAX);
        } while (next == SESSION_AGAIN || next == SESSION_SEND);
    }
    return next;
}

/** Runs a session that was woken until it waits again. */
static inline enum session_next
harness_run_on(struct harness *harness, struct session *session)
{
    enum session_next next;
    do {
        next = session_run(session);
        (void)harness_take(harness, session, SIZE_MAX);
    } while (next == SESSION_AGAIN || next == SESSION_SEND);
    return next;
}

/** The same; what it says. */
static inline const char *
harness_run_again(struct harness *harness, struct session *session)
{
    harness->out_len = 0;
    harness->out[0] = '\0';
    ck_assert_int_eq(harness_run_on(harness, session), SESSION_READ);
    return harness->out;
}

static inline enum session_next
harness_feed(struct harness *harness, const char *text)
{
    return harness_feed_bytes(harness, harness->session, text, strlen(text));
}

/** Sends commands behind one that waits, until there is no more room for them: the session closes. */
static inline void
harness_flood(struct harness *harness)
{
    static const char line[] = "get some_key_that_is_not_there\r\n";
    enum session_next next = SESSION_READ;
    size_t sent = 0;
    while (next == SESSION_READ) {
        ck_assert_uint_lt(sent, 16u * SESSION_RX_SIZE);
        next = harness_feed(harness, line);
        sent += sizeof(line) - 1;
    }
    ck_assert_int_eq(next, SESSION_CLOSE);
    ck_assert_uint_le(sent, SESSION_RX_SIZE + sizeof(line));
}

/** What a conversation answers. */
static inline const char *
harness_ask(struct harness *harness, const char *text)
{
    harness->out_len = 0;
    harness->out[0] = '\0';
    (void)harness_feed(harness, text);
    return harness->out;
}

/** Stores `len` bytes of `fill`. */
static inline void
harness_set(struct harness *harness, struct session *session, const char *key, size_t len,
            char fill)
{
    char head[300];
    int n = snprintf(head, sizeof(head), "set %s 0 0 %zu noreply\r\n", key, len);
    char *bytes = malloc((size_t)n + len + 2);
    memcpy(bytes, head, (size_t)n);
    memset(bytes + n, fill, len);
    memcpy(bytes + n + len, "\r\n", 2);
    enum session_next next = harness_feed_bytes(harness, session, bytes, (size_t)n + len + 2);
    ck_assert_int_eq(next, SESSION_READ);
    free(bytes);
}

/** A cache of 2 MB that does not evict. */
static inline void
harness_open_small(struct harness *harness)
{
    memset(harness, 0, sizeof(*harness));
    settings_init(&harness->settings);
    harness->settings.evictions_disabled = true;
    atomic_store_explicit(&harness->settings.memory_limit, 2u * 1024 * 1024, memory_order_relaxed);
    harness_start(harness);
}

/** Stores until nothing goes in any more, from long values down to none; output is thrown away. */
static inline void
harness_fill(struct harness *harness)
{
    const char *full = "SERVER_ERROR out of memory storing object\r\n";
    char *bytes = malloc(20000);
    size_t len = 16000;
    do {
        len = len * 9 / 10;
        for (unsigned i = 0; i == 0 || strcmp(harness->out, full) != 0; i++) {
            int n = len > 0 ? sprintf(bytes, "ms f%zu.%u %zu\r\n", len, i, len)
                            : sprintf(bytes, "ms %x 0\r\n", i); /* the smallest class, too */
            memset(bytes + n, 'x', len);
            memcpy(bytes + (size_t)n + len, "\r\n", 3);
            (void)harness_ask(harness, bytes);
        }
    } while (len > 0);
    free(bytes);
}

/** "VALUE <key> 0 <len>", the bytes, END. */
static inline char *
harness_value(const char *key, size_t len, char fill)
{
    char *text = malloc(len + 300);
    int n = sprintf(text, "VALUE %s 0 %zu\r\n", key, len);
    memset(text + n, fill, len);
    memcpy(text + (size_t)n + len, "\r\nEND\r\n", 8);
    return text;
}

/** Runs a suite of one case that holds these tests. */
static inline int
harness_main(const char *name, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    for (size_t i = 0; i < count; i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
