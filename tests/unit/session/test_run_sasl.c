/* SASL (-S) with Cyrus itself, and the passwords of a file: no configuration is needed. */
#include "config.h"

#include "unit/session/harness.h"

#ifdef HAVE_SASL

#include "admin/credentials.h"
#include "proto/binary.h"
#include "session/sasl.h"

#include <unistd.h>

#define HEAD    24u
#define BODYMAX 70000u

enum {
    OP_GET = 0x00,
    OP_NOOP = 0x0a,
    OP_VERSION = 0x0b,
    OP_STAT = 0x10,
    OP_LIST = 0x20,
    OP_AUTH = 0x21,
    OP_STEP = 0x22,
};

struct sasl_harness {
    struct harness h;
    struct credentials *credentials;
};

static void
sasl_open(struct sasl_harness *s)
{
    char path[] = "/tmp/passwords.XXXXXX";
    char error[SASL_ERROR_CAP];
    static const char text[] = "ann:secret\n";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
    close(fd);
    memset(s, 0, sizeof(*s));
    settings_init(&s->h.settings);
    s->h.settings.protocol = PROTOCOL_BINARY;
    s->h.settings.sasl_enabled = true;
    ck_assert_int_eq(unsetenv("SASL_CONF_PATH"), 0);
    ck_assert_int_eq(credentials_create(path, &s->credentials, error), CREDENTIALS_OK);
    (void)unlink(path);
    ck_assert_int_eq(sasl_service_open(&s->h.settings, s->credentials, &s->h.host.sasl, error),
                     SASL_SERVICE_OK);
    harness_start(&s->h);
}

static void
sasl_close(struct sasl_harness *s)
{
    struct sasl_service *service = s->h.host.sasl;
    harness_close(&s->h);
    sasl_service_close(service);
    credentials_destroy(s->credentials);
}

/** A request without extras; returns its length. */
static size_t
put_request(uint8_t *at, uint8_t opcode, const char *key, const void *value, size_t value_len)
{
    size_t key_len = strlen(key);
    size_t body_len = key_len + value_len;
    memset(at, 0, HEAD);
    at[0] = BINARY_MAGIC;
    at[1] = opcode;
    at[3] = (uint8_t)key_len;
    for (unsigned i = 0; i < 4; i++) {
        at[8 + i] = (uint8_t)(body_len >> (24 - 8 * i));
    }
    at[12] = 0x5a; /* opaque */
    memcpy(at + HEAD, key, key_len);
    if (value_len > 0) {
        memcpy(at + HEAD + key_len, value, value_len);
    }
    return HEAD + body_len;
}

struct answer {
    enum session_next next;
    unsigned status;
    char body[300];
};

/** One request, in pieces of `step` bytes, and its one reply. */
static struct answer
ask_in_steps(struct harness *h, size_t step, uint8_t opcode, const char *key, const void *value,
             size_t value_len)
{
    static uint8_t bytes[BODYMAX + HEAD + 300];
    size_t len = put_request(bytes, opcode, key, value, value_len);
    struct answer answer = { .next = SESSION_READ };
    h->out_len = 0;
    for (size_t at = 0; at < len && answer.next == SESSION_READ; at += step) {
        size_t n = len - at < step ? len - at : step;
        answer.next = harness_feed_bytes(h, h->session, bytes + at, n);
        session_pause(h->session);
    }
    const uint8_t *out = (const uint8_t *)h->out;
    ck_assert_uint_ge(h->out_len, HEAD);
    ck_assert_uint_eq(out[0], 0x81);
    ck_assert_uint_eq(out[1], opcode);
    ck_assert_uint_eq(out[12], 0x5a);
    size_t body_len = (size_t)out[10] << 8 | out[11];
    ck_assert_uint_eq(h->out_len, HEAD + body_len);
    ck_assert_uint_lt(body_len, sizeof(answer.body));
    answer.status = (unsigned)out[6] << 8 | out[7];
    memcpy(answer.body, out + HEAD, body_len);
    return answer;
}

static struct answer
ask(struct harness *h, uint8_t opcode, const char *key, const void *value, size_t value_len)
{
    return ask_in_steps(h, SIZE_MAX / 2, opcode, key, value, value_len);
}

#define PLAIN(text) "PLAIN", (text), sizeof(text) - 1

static void
expect(struct answer got, unsigned status, const char *body)
{
    ck_assert_uint_eq(got.status, status);
    ck_assert_str_eq(got.body, body);
}

START_TEST(sasl_plain_opens)
{
    struct sasl_harness s;
    sasl_open(&s);
    struct harness *h = &s.h;
    expect(ask(h, OP_LIST, "", NULL, 0), 0, "PLAIN");
    expect(ask(h, OP_VERSION, "", NULL, 0), 0, SERVER_COMPAT_VERSION);
    expect(ask(h, OP_AUTH, PLAIN("\0ann\0secret")), 0, "Authenticated");
    expect(ask(h, OP_NOOP, "", NULL, 0), 0, "");
    expect(ask(h, OP_GET, "k", NULL, 0), 1, "Not found");
    ck_assert_uint_eq(metric_get(&session_worker_stats(h->worker)->auth_cmds), 1);
    ck_assert_uint_eq(metric_get(&session_worker_stats(h->worker)->auth_errors), 0);
    sasl_close(&s);
}
END_TEST

START_TEST(sasl_refuses_and_lets_try_again)
{
    struct sasl_harness s;
    sasl_open(&s);
    struct harness *h = &s.h;
    expect(ask(h, OP_AUTH, PLAIN("\0ann\0wrong")), 0x20, "Auth failure.");
    expect(ask(h, OP_AUTH, PLAIN("\0eve\0secret")), 0x20, "Auth failure.");
    expect(ask(h, OP_AUTH, PLAIN("eve\0ann\0secret")), 0x20, "Auth failure.");
    expect(ask(h, OP_AUTH, PLAIN("ann")), 0x20, "Auth failure.");
    expect(ask(h, OP_AUTH, "CRAM-MD5", NULL, 0), 0x20, "Auth failure.");
    expect(ask(h, OP_AUTH, "ANONYMOUS", "x", 1), 0x20, "Auth failure.");
    expect(ask(h, OP_STEP, PLAIN("\0ann\0secret")), 0x20, "Auth failure.");
    expect(ask(h, OP_AUTH, "A23456789012345678901234567890123", "x", 1), 4, "Invalid arguments");
    expect(ask(h, OP_AUTH, "A2345678901234567890123456789012", "x", 1), 0x20, "Auth failure.");
    expect(ask(h, OP_AUTH, PLAIN("\0ann\0secret")), 0, "Authenticated");
    ck_assert_uint_eq(metric_get(&session_worker_stats(h->worker)->auth_cmds), 9);
    ck_assert_uint_eq(metric_get(&session_worker_stats(h->worker)->auth_errors), 8);
    sasl_close(&s);
}
END_TEST

START_TEST(sasl_takes_a_second_step_at_every_split)
{
    struct sasl_harness s;
    sasl_open(&s);
    struct harness *h = &s.h;
    for (size_t step = 1; step < 50; step++) {
        session_destroy(h->session);
        h->session = session_create(h->worker);
        expect(ask_in_steps(h, step, OP_AUTH, "PLAIN", NULL, 0), 0x21, "");
        expect(ask_in_steps(h, step, OP_STEP, PLAIN("\0ann\0secret")), 0, "Authenticated");
        expect(ask_in_steps(h, step, OP_GET, "k", NULL, 0), 1, "Not found");
    }
    sasl_close(&s);
}
END_TEST

/* An exchange that is under way ends with its session, or with another one. */
START_TEST(sasl_exchange_is_given_up)
{
    struct sasl_harness s;
    sasl_open(&s);
    struct harness *h = &s.h;
    expect(ask(h, OP_AUTH, "PLAIN", NULL, 0), 0x21, "");
    expect(ask(h, OP_AUTH, PLAIN("\0ann\0secret")), 0, "Authenticated");
    session_destroy(h->session);
    h->session = session_create(h->worker);
    expect(ask(h, OP_AUTH, "PLAIN", NULL, 0), 0x21, "");
    session_destroy(h->session);
    h->session = session_create(h->worker);
    expect(ask(h, OP_AUTH, "PLAIN", NULL, 0), 0x21, "");
    expect(ask(h, OP_GET, "k", NULL, 0), 0x20, "Auth failure.");
    sasl_close(&s); /* the sanitizers would see a leak */
}
END_TEST

static const uint8_t closed_to[] = { 0x00, 0x07, 0x0a, 0x0c, 0x10, 0x18, 0x55 };

START_TEST(sasl_closes_on_anything_else)
{
    struct sasl_harness s;
    sasl_open(&s);
    uint8_t opcode = closed_to[_i];
    const char *key = opcode == 0x00 || opcode == 0x0c ? "k" : "";
    struct answer got = ask(&s.h, opcode, key, NULL, 0);
    ck_assert_uint_eq(got.status, 0x20);
    ck_assert_str_eq(got.body, "Auth failure.");
    ck_assert_int_eq(got.next, SESSION_CLOSE);
    sasl_close(&s);
}
END_TEST

START_TEST(sasl_who_logs_in_anew_and_fails_is_out)
{
    struct sasl_harness s;
    sasl_open(&s);
    struct harness *h = &s.h;
    expect(ask(h, OP_AUTH, PLAIN("\0ann\0secret")), 0, "Authenticated");
    expect(ask(h, OP_LIST, "", NULL, 0), 0, "PLAIN");
    expect(ask(h, OP_GET, "k", NULL, 0), 1, "Not found");
    expect(ask_in_steps(h, 5, OP_AUTH, PLAIN("\0ann\0secret")), 0, "Authenticated");
    expect(ask(h, OP_GET, "k", NULL, 0), 1, "Not found");
    expect(ask(h, OP_AUTH, PLAIN("\0ann\0wrong")), 0x20, "Auth failure.");
    expect(ask(h, OP_GET, "k", NULL, 0), 0x20, "Auth failure.");
    sasl_close(&s);
}
END_TEST

START_TEST(sasl_token_at_the_bound_is_looked_at_and_a_longer_one_swallowed)
{
    struct sasl_harness s;
    sasl_open(&s);
    struct harness *h = &s.h;
    char *token = calloc(1, BODYMAX);
    memcpy(token, "\0ann\0", 5);
    memset(token + 5, 'x', BODYMAX - 5);
    expect(ask_in_steps(h, 1000, OP_AUTH, "PLAIN", token, SASL_TOKEN_MAX), 0x20, "Auth failure.");
    expect(ask_in_steps(h, 1000, OP_AUTH, "PLAIN", token, SASL_TOKEN_MAX + 1), 0x20,
           "Auth failure.");
    expect(ask_in_steps(h, 1000, OP_AUTH, "PLAIN", token, BODYMAX - 300), 0x20, "Auth failure.");
    expect(ask(h, OP_AUTH, PLAIN("\0ann\0secret")), 0, "Authenticated");
    free(token);
    sasl_close(&s);
}
END_TEST

START_TEST(sasl_leaves_no_password_in_the_buffer)
{
    struct sasl_harness s;
    sasl_open(&s);
    expect(ask(&s.h, OP_AUTH, PLAIN("\0ann\0secret")), 0, "Authenticated");
    struct session_space space = session_rx_space(s.h.session);
    const uint8_t *buf = (const uint8_t *)space.at + space.len - SESSION_RX_SIZE;
    ck_assert_ptr_null(memmem(buf, SESSION_RX_SIZE, "secret", 6));
    sasl_close(&s);
}
END_TEST

START_TEST(sasl_text_sessions_are_closed)
{
    struct sasl_harness s;
    sasl_open(&s);
    s.h.settings.protocol = PROTOCOL_AUTO;
    ck_assert_int_eq(harness_feed(&s.h, "get k\r\n"), SESSION_CLOSE);
    ck_assert_uint_eq(s.h.out_len, 0);
    sasl_close(&s);
}
END_TEST

START_TEST(sasl_without_configuration_and_passwords_says_what_is_missing)
{
    struct settings settings;
    struct sasl_service *service = NULL;
    char error[SASL_ERROR_CAP];
    if (access("/etc/sasl/memcached.conf", F_OK) == 0 ||
        access("/etc/sasl2/memcached.conf", F_OK) == 0) {
        return; /* this machine has one */
    }
    settings_init(&settings);
    ck_assert_int_eq(unsetenv("SASL_CONF_PATH"), 0);
    ck_assert_int_eq(sasl_service_open(&settings, NULL, &service, error), SASL_SERVICE_FAILED);
    ck_assert_ptr_nonnull(strstr(error, "Error initializing sasl."));
    ck_assert_ptr_nonnull(strstr(error, "SASL_CONF_PATH"));
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("run_sasl");
    tcase_add_test(tcase, sasl_plain_opens);
    tcase_add_test(tcase, sasl_refuses_and_lets_try_again);
    tcase_add_test(tcase, sasl_takes_a_second_step_at_every_split);
    tcase_add_test(tcase, sasl_exchange_is_given_up);
    tcase_add_loop_test(tcase, sasl_closes_on_anything_else, 0, (int)sizeof(closed_to));
    tcase_add_test(tcase, sasl_who_logs_in_anew_and_fails_is_out);
    tcase_add_test(tcase, sasl_token_at_the_bound_is_looked_at_and_a_longer_one_swallowed);
    tcase_add_test(tcase, sasl_leaves_no_password_in_the_buffer);
    tcase_add_test(tcase, sasl_text_sessions_are_closed);
    tcase_add_test(tcase, sasl_without_configuration_and_passwords_says_what_is_missing);

    Suite *suite = suite_create("session/run_sasl");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#else

#include "session/sasl.h"

START_TEST(build_without_sasl_says_so)
{
    struct settings settings;
    struct sasl_service *service = NULL;
    char error[SASL_ERROR_CAP];
    settings_init(&settings);
    ck_assert_int_eq(sasl_service_open(&settings, NULL, &service, error), SASL_SERVICE_FAILED);
    ck_assert_ptr_nonnull(strstr(error, "no SASL"));
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = { build_without_sasl_says_so };
    return harness_main("run_sasl", tests, 1);
}

#endif
