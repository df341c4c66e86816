/* The states of a login (-Y): memory, wiping, budgets, readers that do not read; what each line
 * answers is tested by tests/wire/auth.t. */
#include "config.h"

#include "unit/session/harness.h"

#include "admin/credentials.h"
#include "proto/login.h"

#include <stdatomic.h>
#include <unistd.h>

#define LOGIN  "set x 0 0 10\r\nann secret\r\n"
#define DENIED "CLIENT_ERROR unauthenticated\r\n"

static void
login_open_as(struct harness *h, enum settings_protocol protocol)
{
    char path[] = "/tmp/logins.XXXXXX";
    char error[CREDENTIALS_ERROR_CAP];
    static const char text[] = "ann:secret\n";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
    close(fd);
    memset(h, 0, sizeof(*h));
    settings_init(&h->settings);
    h->settings.protocol = protocol;
    ck_assert_int_eq(credentials_create(path, &h->host.credentials, error), CREDENTIALS_OK);
    (void)unlink(path);
    harness_start(h);
}

static void
login_open(struct harness *h)
{
    login_open_as(h, PROTOCOL_ASCII);
}

static void
login_close(struct harness *h)
{
    struct credentials *credentials = h->host.credentials;
    harness_close(h);
    credentials_destroy(credentials);
}

START_TEST(login_is_each_sessions_own)
{
    struct harness h;
    login_open(&h);
    struct session *other = session_create(h.worker);
    ck_assert_str_eq(harness_ask(&h, LOGIN), "STORED\r\n");
    ck_assert_str_eq(harness_ask(&h, "get k\r\n"), "END\r\n");
    session_pause(h.session);
    h.out_len = 0;
    ck_assert_int_eq(harness_feed_bytes(&h, other, "get k\r\n", 7), SESSION_READ);
    ck_assert_str_eq(h.out, DENIED);
    session_destroy(other);
    login_close(&h);
}
END_TEST

START_TEST(login_survives_a_pause_at_every_byte)
{
    struct harness h;
    login_open(&h);
    for (size_t at = 1; at < sizeof(LOGIN) - 1; at++) {
        struct session *session = session_create(h.worker);
        h.out_len = 0;
        ck_assert_int_eq(harness_feed_bytes(&h, session, LOGIN, at), SESSION_READ);
        ck_assert_uint_eq(h.out_len, 0);
        session_pause(session);
        ck_assert_str_eq(session_state_name(session), "conn_read");
        ck_assert_int_eq(harness_feed_bytes(&h, session, &LOGIN[at], sizeof(LOGIN) - 1 - at),
                         SESSION_READ);
        ck_assert_str_eq(h.out, "STORED\r\n");
        session_destroy(session);
    }
    login_close(&h);
}
END_TEST

/** Whether `text` is anywhere in the receive buffer. */
static bool
buffer_holds(struct session *session, const char *text)
{
    struct session_space space = session_rx_space(session);
    const uint8_t *buf = (const uint8_t *)space.at + space.len - SESSION_RX_SIZE;
    return memmem(buf, SESSION_RX_SIZE, text, strlen(text)) != NULL;
}

START_TEST(login_leaves_no_password_in_the_buffer)
{
    struct harness h;
    login_open(&h);
    ck_assert_str_eq(harness_ask(&h, "set x 0 0 10\r\nann wroong\r\n"),
                     "CLIENT_ERROR authentication failure\r\n");
    ck_assert(!buffer_holds(h.session, "wroong"));
    ck_assert_str_eq(harness_ask(&h, LOGIN), "STORED\r\n");
    ck_assert(!buffer_holds(h.session, "secret"));
    login_close(&h);
}
END_TEST

START_TEST(login_without_a_login_reaches_no_item)
{
    struct harness h;
    login_open(&h);
    struct session *other = session_create(h.worker);
    ck_assert_int_eq(harness_feed_bytes(&h, other, LOGIN, sizeof(LOGIN) - 1), SESSION_READ);
    harness_set(&h, other, "k", 100, 'v');
    session_pause(other);
    ck_assert_str_eq(harness_ask(&h, "get k\r\nset k 0 0 1\r\nv\r\nflush_all\r\ndelete k\r\n"),
                     DENIED "CLIENT_ERROR bad authentication token format\r\n" DENIED DENIED);
    session_pause(h.session);
    h.out_len = 0;
    ck_assert_int_eq(harness_feed_bytes(&h, other, "get k\r\n", 7), SESSION_READ);
    char *value = harness_value("k", 100, 'v');
    ck_assert_str_eq(h.out, value);
    free(value);
    session_destroy(other);
    login_close(&h);
}
END_TEST

START_TEST(login_refuses_a_protocol_that_has_none)
{
    struct harness h;
    login_open_as(&h, PROTOCOL_AUTO);
    static const char noop[24] = "\x80\x0a";
    ck_assert_int_eq(harness_feed_bytes(&h, h.session, noop, sizeof(noop)), SESSION_CLOSE);
    ck_assert_uint_eq(h.out_len, 0);
    login_close(&h);
}
END_TEST

START_TEST(login_gives_others_their_turn)
{
    struct harness h;
    login_open(&h);
    h.settings.reqs_per_event = 2;
    (void)harness_receive(h.session, "get a\r\nget b\r\nget c\r\n", 21);
    ck_assert_int_eq(session_run(h.session), SESSION_AGAIN);
    (void)harness_take(&h, h.session, SIZE_MAX);
    ck_assert_str_eq(h.out, DENIED DENIED);
    ck_assert_int_eq(session_run(h.session), SESSION_READ);
    (void)harness_take(&h, h.session, SIZE_MAX);
    ck_assert_str_eq(h.out, DENIED DENIED DENIED);
    login_close(&h);
}
END_TEST

START_TEST(login_waits_for_a_reader)
{
    struct harness h;
    login_open(&h);
    h.settings.reqs_per_event = UINT32_MAX;
    size_t want = 0;
    enum session_next next = SESSION_READ;
    for (unsigned i = 0; i < 10 && next == SESSION_READ; i++) {
        char lines[7 * 1000];
        for (size_t at = 0; at < sizeof(lines); at += 7) {
            memcpy(lines + at, "get k\r\n", 7);
        }
        want += harness_receive(h.session, lines, sizeof(lines)) / 7;
        next = session_run(h.session);
    }
    ck_assert_int_eq(next, SESSION_SEND); /* the send buffer is full */
    while (next == SESSION_SEND) {
        (void)harness_take(&h, h.session, SIZE_MAX);
        next = session_run(h.session);
    }
    (void)harness_take(&h, h.session, SIZE_MAX);
    ck_assert_int_eq(next, SESSION_READ);
    ck_assert_uint_eq(h.out_len, want * (sizeof(DENIED) - 1));
    login_close(&h);
}
END_TEST

/* A line as long as can be and the longest token: there is always space to receive on. */
START_TEST(login_at_its_longest_is_received)
{
    struct harness h;
    login_open(&h);
    size_t head_len = 2048;
    size_t len = head_len + LOGIN_TOKEN_MAX + 2;
    char *bytes = malloc(len);
    memset(bytes, 'x', len);
    memcpy(bytes, "set ", 4);
    memcpy(bytes + head_len - 13, " 0 0 16384 \r\n", 13);
    memcpy(bytes + head_len, "ann ", 4);
    memcpy(bytes + len - 2, "\r\n", 2);
    for (size_t at = 0; at < len; at += 7) {
        size_t n = len - at < 7 ? len - at : 7;
        ck_assert_int_eq(harness_feed_bytes(&h, h.session, bytes + at, n), SESSION_READ);
        session_pause(h.session);
    }
    ck_assert_str_eq(h.out, "CLIENT_ERROR authentication failure\r\n");
    bytes[4] = 'x';
    memmove(bytes + 5, bytes + 4, head_len - 4); /* one byte longer is closed, LF or not */
    ck_assert_int_eq(harness_feed_bytes(&h, h.session, bytes, head_len + 1), SESSION_CLOSE);
    free(bytes);
    login_close(&h);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        login_is_each_sessions_own,
        login_survives_a_pause_at_every_byte,
        login_leaves_no_password_in_the_buffer,
        login_without_a_login_reaches_no_item,
        login_refuses_a_protocol_that_has_none,
        login_gives_others_their_turn,
        login_waits_for_a_reader,
        login_at_its_longest_is_received,
    };
    return harness_main("run_login", tests, sizeof(tests) / sizeof(tests[0]));
}
