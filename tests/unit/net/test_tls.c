/* Streams of TLS over a pair of sockets, against OpenSSL's own client on the same thread. */
#include "config.h"

#include "net/tls.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef HAVE_TLS

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#define ROUNDS_MAX 1000u /* steps that any exchange is done in */

static char folder[64];
static char cert_path[96];
static char key_path[96];

/** A self-signed certificate and its key, as files. */
static void
write_certificate(long serial)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
    ck_assert(EVP_PKEY_keygen_init(maker) == 1);
    ck_assert(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(maker, NID_X9_62_prime256v1) == 1);
    ck_assert(EVP_PKEY_keygen(maker, &key) == 1);
    EVP_PKEY_CTX_free(maker);

    X509 *cert = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    ck_assert(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                                         (const unsigned char *)"larder", -1, -1, 0) == 1);
    ck_assert(X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1);
    ck_assert(X509_set_pubkey(cert, key) == 1 && X509_sign(cert, key, EVP_sha256()) > 0);

    FILE *file = fopen(cert_path, "w");
    ck_assert(file != NULL && PEM_write_X509(file, cert) == 1 && fclose(file) == 0);
    file = fopen(key_path, "w");
    ck_assert(file != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 &&
              fclose(file) == 0);
    X509_free(cert);
    EVP_PKEY_free(key);
}

/** A server's side, and a client's. */
struct pair {
    struct settings settings;
    struct tls *tls;
    struct tls_stream stream;
    SSL_CTX *context;
    SSL *client;
    int fds[2]; /* the server's, the client's */
};

static void
pair_begin(struct pair *pair)
{
    ck_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds) == 0);
    ck_assert(tls_stream_open(pair->tls, TLS_MODE_DEFAULT, pair->fds[0], &pair->stream));
    pair->client = SSL_new(pair->context);
    ck_assert(pair->client != NULL && SSL_set_fd(pair->client, pair->fds[1]) == 1);
    SSL_set_connect_state(pair->client);
}

static void
pair_open(struct pair *pair)
{
    char error[TLS_ERROR_CAP] = "";
    *pair = (struct pair){ 0 };
    settings_init(&pair->settings);
    pair->settings.ssl_enabled = true;
    pair->settings.ssl_chain_cert = cert_path;
    pair->settings.ssl_key = key_path;
    ck_assert_msg(tls_create(&pair->settings, &pair->tls, error) == TLS_OK, "%s", error);
    pair->context = SSL_CTX_new(TLS_client_method());
    ck_assert(pair->context != NULL);
    pair_begin(pair);
}

static void
pair_end(struct pair *pair)
{
    tls_stream_close(&pair->stream);
    SSL_free(pair->client);
    close(pair->fds[0]);
    close(pair->fds[1]);
}

static void
pair_close(struct pair *pair)
{
    pair_end(pair);
    SSL_CTX_free(pair->context);
    tls_destroy(pair->tls);
}

static void
pair_shake_hands(struct pair *pair)
{
    enum tls_step step = TLS_WANTS_READ;
    bool client_done = false;
    for (unsigned i = 0; i < ROUNDS_MAX && (step != TLS_DONE || !client_done); i++) {
        client_done = client_done || SSL_do_handshake(pair->client) == 1;
        if (step != TLS_DONE) {
            step = tls_handshake(&pair->stream);
            ck_assert(step == TLS_DONE || step == TLS_WANTS_READ);
        }
    }
    ck_assert(step == TLS_DONE && client_done && pair->stream.open && !pair->stream.resumed);
}

static long
pair_serial(const struct pair *pair)
{
    X509 *cert = SSL_get_peer_certificate(pair->client);
    ck_assert(cert != NULL);
    long serial = ASN1_INTEGER_get(X509_get_serialNumber(cert));
    X509_free(cert);
    return serial;
}

static void
setup(void)
{
    snprintf(folder, sizeof(folder),
             "/tmp/larder-test-tls-XX"
             "XX"
             "XX");
    ck_assert(mkdtemp(folder) != NULL);
    snprintf(cert_path, sizeof(cert_path), "%s/cert", folder);
    snprintf(key_path, sizeof(key_path), "%s/key", folder);
    write_certificate(1);
}

static void
teardown(void)
{
    (void)unlink(cert_path);
    (void)unlink(key_path);
    (void)rmdir(folder);
}

/** tls_receive() into one piece. */
static enum tls_step
receive(struct tls_stream *stream, char *at, size_t len, size_t *got)
{
    struct iovec iov = { at, len };
    return tls_receive(stream, &iov, 1, got);
}

START_TEST(stream_moves_bytes_both_ways)
{
    struct pair pair;
    char buf[64];
    size_t got = 0;
    pair_open(&pair);
    pair_shake_hands(&pair);
    ck_assert(receive(&pair.stream, buf, sizeof(buf), &got) == TLS_WANTS_READ);
    ck_assert(SSL_write(pair.client, "get a\r\n", 7) == 7);
    ck_assert(receive(&pair.stream, buf, sizeof(buf), &got) == TLS_DONE);
    ck_assert(got == 7 && memcmp(buf, "get a\r\n", 7) == 0 && !tls_holds_input(&pair.stream));

    char end[] = "END\r\n";
    struct iovec iov[3] = { { end, 2 }, { end + 2, 1 }, { end + 3, 2 } };
    char joined[16];
    ck_assert(tls_send(&pair.stream, iov, 3, joined, sizeof(joined), &got) == TLS_DONE);
    ck_assert(got == 5 && SSL_read(pair.client, buf, sizeof(buf)) == 5);
    ck_assert(memcmp(buf, "END\r\n", 5) == 0);

    /* no more than the buffer for joining holds */
    ck_assert(tls_send(&pair.stream, iov, 3, joined, 4, &got) == TLS_DONE && got == 4);
    ck_assert(SSL_read(pair.client, buf, sizeof(buf)) == 4 && memcmp(buf, "END\r", 4) == 0);
    pair_close(&pair);
}
END_TEST

START_TEST(stream_tells_of_input_that_it_holds)
{
    struct pair pair;
    char buf[64];
    size_t got = 0;
    pair_open(&pair);
    pair_shake_hands(&pair);
    ck_assert(SSL_write(pair.client, "abcdefgh", 8) == 8 && SSL_write(pair.client, "ij", 2) == 2);
    ck_assert(receive(&pair.stream, buf, 5, &got) == TLS_DONE && got == 5);
    ck_assert(tls_holds_input(&pair.stream)); /* of the first record, and all of the second */
    ck_assert(receive(&pair.stream, buf, 5, &got) == TLS_DONE && got == 5);
    ck_assert(memcmp(buf, "fghij", 5) == 0 && !tls_holds_input(&pair.stream));

    /* A record that has come in part is nothing to be read. */
    int watched[2];
    char record[128];
    ck_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, watched) == 0);
    ck_assert(SSL_set_wfd(pair.client, watched[0]) == 1 && SSL_write(pair.client, "xyz", 3) == 3);
    ssize_t len = read(watched[1], record, sizeof(record));
    ck_assert(len > 5);
    for (ssize_t i = 0; i < len; i++) {
        ck_assert(receive(&pair.stream, buf, sizeof(buf), &got) == TLS_WANTS_READ && got == 0);
        ck_assert(!tls_holds_input(&pair.stream));
        ck_assert(write(pair.fds[1], record + i, 1) == 1);
    }
    ck_assert(receive(&pair.stream, buf, sizeof(buf), &got) == TLS_DONE && got == 3);
    close(watched[0]);
    close(watched[1]);
    pair_close(&pair);
}
END_TEST

START_TEST(stream_fills_several_pieces)
{
    struct pair pair;
    char buf[64];
    size_t got = 0;
    pair_open(&pair);
    pair_shake_hands(&pair);
    memset(buf, '.', sizeof(buf));
    struct iovec iov[3] = { { buf, 3 }, { buf + 4, 1 }, { buf + 6, 20 } };
    ck_assert(SSL_write(pair.client, "abcdefgh", 8) == 8 && SSL_write(pair.client, "ij", 2) == 2);
    ck_assert(tls_receive(&pair.stream, iov, 3, &got) == TLS_DONE && got == 10);
    ck_assert(memcmp(buf, "abc.d.efghij.", 13) == 0 && !tls_holds_input(&pair.stream));

    /* full to the byte, with more behind it; and with nothing */
    ck_assert(SSL_write(pair.client, "klmnopqr", 8) == 8);
    ck_assert(tls_receive(&pair.stream, iov, 2, &got) == TLS_DONE && got == 4);
    ck_assert(memcmp(buf, "klm.n.efgh", 10) == 0 && tls_holds_input(&pair.stream));
    ck_assert(tls_receive(&pair.stream, iov, 2, &got) == TLS_DONE && got == 4);
    ck_assert(memcmp(buf, "opq.r.efgh", 10) == 0 && !tls_holds_input(&pair.stream));
    ck_assert(SSL_write(pair.client, "stu", 3) == 3);
    ck_assert(tls_receive(&pair.stream, iov, 2, &got) == TLS_DONE && got == 3);
    ck_assert(memcmp(buf, "stu.r.", 6) == 0);
    pair_close(&pair);
}
END_TEST

static bool
holds(const struct tls_stream *stream)
{
    bool holds = (SSL_get_mode(stream->ssl) & SSL_MODE_RELEASE_BUFFERS) == 0;
    ck_assert(holds == (stream->place > 0));
    return holds;
}

START_TEST(busy_streams_hold_their_buffers)
{
    struct pair pair;
    struct tls_holders holders = { 0 };
    struct tls_stream streams[TLS_HOLDERS_MAX + 1];
    struct tls_stream *late = &streams[TLS_HOLDERS_MAX];
    pair_open(&pair);
    for (unsigned i = 0; i <= TLS_HOLDERS_MAX; i++) {
        ck_assert(tls_stream_open(pair.tls, TLS_MODE_DEFAULT, pair.fds[0], &streams[i]));
        streams[i].open = true;
        ck_assert(!holds(&streams[i]));
    }
    for (unsigned i = 0; i < TLS_HOLDERS_MAX; i++) {
        tls_holders_turn(&holders, &streams[i]);
        ck_assert(holds(&streams[i]));
    }
    /* All are in use: one round without a place, while others have turns; then the idle one's. */
    for (unsigned i = 0; i < TLS_HOLDERS_MAX; i++) {
        tls_holders_turn(&holders, late);
        ck_assert(!holds(late));
    }
    for (unsigned i = 0; i < TLS_HOLDERS_MAX; i++) {
        if (i != 5) {
            tls_holders_turn(&holders, &streams[i]);
        }
    }
    for (unsigned i = 0; i < 6; i++) {
        ck_assert(!holds(late) && holds(&streams[5]));
        tls_holders_turn(&holders, late);
    }
    ck_assert(holds(late) && !holds(&streams[5]) && holds(&streams[6]));

    /* A place that was left is taken when the hand comes by. */
    tls_holders_leave(&holders, &streams[6]);
    ck_assert(streams[6].place == 0);
    tls_holders_leave(&holders, &streams[6]);
    tls_holders_turn(&holders, &streams[5]);
    ck_assert(holds(&streams[5]) && holds(&streams[7]));
    for (unsigned i = 0; i <= TLS_HOLDERS_MAX; i++) {
        tls_holders_leave(&holders, &streams[i]);
        streams[i].broken = true; /* nothing is to be said */
        tls_stream_close(&streams[i]);
    }
    for (unsigned i = 0; i < TLS_HOLDERS_MAX; i++) {
        ck_assert(holders.at[i] == NULL);
    }
    pair_close(&pair);
}
END_TEST

START_TEST(a_stream_that_loses_its_place_goes_on)
{
    struct pair pair;
    char buf[64];
    size_t got = 0;
    pair_open(&pair);
    pair_shake_hands(&pair);
    for (unsigned i = 0; i < 4; i++) {
        tls_stream_hold(&pair.stream, i % 2 == 0);
        ck_assert(SSL_write(pair.client, "abcdefgh", 8) == 8);
        ck_assert(receive(&pair.stream, buf, 3, &got) == TLS_DONE && got == 3);
        tls_stream_hold(&pair.stream, i % 2 != 0); /* in the middle of a record */
        ck_assert(receive(&pair.stream, buf + 3, 9, &got) == TLS_DONE && got == 5);
        ck_assert(memcmp(buf, "abcdefgh", 8) == 0);
        struct iovec iov = { buf, 8 };
        ck_assert(tls_send(&pair.stream, &iov, 1, NULL, 64, &got) == TLS_DONE && got == 8);
        ck_assert(SSL_read(pair.client, buf, sizeof(buf)) == 8);
    }
    pair_close(&pair);
}
END_TEST

START_TEST(stuck_record_leaves_from_another_place)
{
    struct pair pair;
    static char here[16384];
    static char there[16384];
    static char buf[65536];
    pair_open(&pair);
    pair_shake_hands(&pair);
    size_t sent = 0;
    size_t total = 0;
    enum tls_step step = TLS_DONE;
    for (unsigned i = 0; i < ROUNDS_MAX && step == TLS_DONE; i++) {
        memset(here, (int)('a' + i % 26), sizeof(here));
        struct iovec iov = { here, sizeof(here) };
        step = tls_send(&pair.stream, &iov, 1, NULL, sizeof(here), &sent);
        total += sent;
    }
    ck_assert(step == TLS_WANTS_WRITE && pair.stream.write_held && sent == 0);
    memcpy(there, here, sizeof(here));
    memset(here, '?', sizeof(here));

    size_t read_len = 0;
    for (unsigned i = 0; i < ROUNDS_MAX && (step != TLS_DONE || read_len < total); i++) {
        int n = SSL_read(pair.client, buf, sizeof(buf));
        for (int j = 0; j < n; j++, read_len++) {
            ck_assert_int_eq(buf[j], (int)('a' + read_len / sizeof(here) % 26));
        }
        if (step != TLS_DONE) {
            struct iovec iov = { there, sizeof(there) };
            step = tls_send(&pair.stream, &iov, 1, NULL, sizeof(there), &sent);
            total += sent;
        }
    }
    ck_assert(step == TLS_DONE && !pair.stream.write_held && read_len == total);
    pair_close(&pair);
}
END_TEST

START_TEST(ends_are_told_apart)
{
    struct pair pair;
    char buf[64] = "x";
    size_t got = 0;
    struct iovec iov = { buf, 1 };
    pair_open(&pair);

    pair_shake_hands(&pair); /* by TLS's own notice, behind bytes */
    ck_assert(SSL_write(pair.client, "mn\r\n", 4) == 4 && SSL_shutdown(pair.client) == 0);
    ck_assert(receive(&pair.stream, buf, 4, &got) == TLS_DONE && got == 4);
    ck_assert(tls_holds_input(&pair.stream));
    ck_assert(receive(&pair.stream, buf, sizeof(buf), &got) == TLS_END);
    ck_assert(tls_holds_input(&pair.stream));
    ck_assert(receive(&pair.stream, buf, sizeof(buf), &got) == TLS_END);
    ck_assert(tls_send(&pair.stream, &iov, 1, NULL, 1, &got) == TLS_DONE); /* that way is open */
    pair_end(&pair);

    pair_begin(&pair); /* without a notice */
    pair_shake_hands(&pair);
    ck_assert(shutdown(pair.fds[1], SHUT_WR) == 0);
    ck_assert(receive(&pair.stream, buf, sizeof(buf), &got) == TLS_END);
    pair_end(&pair);

    pair_begin(&pair); /* no TLS after the handshake */
    pair_shake_hands(&pair);
    ck_assert(write(pair.fds[1], "get a\r\n", 7) == 7);
    ck_assert(receive(&pair.stream, buf, sizeof(buf), &got) == TLS_ERROR);
    ck_assert(tls_error()[0] != '\0');
    ck_assert(tls_send(&pair.stream, &iov, 1, NULL, 1, &got) == TLS_END && got == 0);
    pair_end(&pair);

    pair_begin(&pair); /* no TLS at all */
    ck_assert(write(pair.fds[1], "version\r\n", 9) == 9);
    ck_assert(tls_handshake(&pair.stream) == TLS_ERROR);
    pair_end(&pair);

    pair_begin(&pair); /* nothing at all */
    ck_assert(tls_handshake(&pair.stream) == TLS_WANTS_READ);
    ck_assert(shutdown(pair.fds[1], SHUT_WR) == 0);
    ck_assert(tls_handshake(&pair.stream) == TLS_ERROR);
    pair_close(&pair);
}
END_TEST

START_TEST(reload_is_for_later_streams)
{
    struct pair old;
    char error[TLS_ERROR_CAP] = "";
    char buf[8];
    size_t got = 0;
    pair_open(&old);
    write_certificate(2);
    ck_assert(tls_reload(old.tls, error) == TLS_OK);

    struct pair fresh = old;
    pair_begin(&fresh);
    pair_shake_hands(&fresh);
    ck_assert_int_eq(pair_serial(&fresh), 2);
    pair_end(&fresh);

    ck_assert(unlink(key_path) == 0);
    ck_assert(tls_reload(old.tls, error) == TLS_FAILED);
    ck_assert_msg(strstr(error, "Error loading the key: ") == error, "%s", error);
    ck_assert(strstr(error, key_path) != NULL && strchr(error, '\n') == NULL);
    pair_begin(&fresh);
    pair_shake_hands(&fresh);
    ck_assert_int_eq(pair_serial(&fresh), 2);
    pair_end(&fresh);

    tls_destroy(old.tls); /* the stream has what it needs */
    old.tls = NULL;
    pair_shake_hands(&old);
    ck_assert_int_eq(pair_serial(&old), 1);
    ck_assert(SSL_write(old.client, "x", 1) == 1);
    ck_assert(receive(&old.stream, buf, sizeof(buf), &got) == TLS_DONE && got == 1);
    pair_close(&old);
}
END_TEST

START_TEST(unreadable_files_are_named_with_what_is_right)
{
    struct settings settings;
    struct tls *tls = NULL;
    char error[TLS_ERROR_CAP] = "";
    settings_init(&settings);
    settings.ssl_enabled = true;
    settings.ssl_chain_cert = "/nope/chain";
    ck_assert(tls_create(&settings, &tls, error) == TLS_FAILED && tls == NULL);
    ck_assert_msg(strstr(error, "Error loading the certificate chain: /nope/chain : ") == error &&
                      strstr(error, "\n-o ssl_chain_cert takes a PEM file") != NULL,
                  "%s", error);
    settings.ssl_chain_cert = cert_path; /* and no key in it */
    ck_assert(tls_create(&settings, &tls, error) == TLS_FAILED);
    ck_assert_msg(strstr(error, "Error loading the key: ") == error, "%s", error);
}
END_TEST

#else

START_TEST(build_without_tls_says_so)
{
    struct settings settings;
    struct tls *tls = NULL;
    char error[TLS_ERROR_CAP] = "";
    settings_init(&settings);
    ck_assert(tls_create(&settings, &tls, error) == TLS_FAILED && tls == NULL);
    ck_assert_str_eq(error, "this build of larder has no TLS");
}
END_TEST

#endif

int
main(void)
{
    Suite *suite = suite_create("tls");
    TCase *tcase = tcase_create("tls");
#ifdef HAVE_TLS
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, stream_moves_bytes_both_ways);
    tcase_add_test(tcase, stream_fills_several_pieces);
    tcase_add_test(tcase, busy_streams_hold_their_buffers);
    tcase_add_test(tcase, a_stream_that_loses_its_place_goes_on);
    tcase_add_test(tcase, stream_tells_of_input_that_it_holds);
    tcase_add_test(tcase, stuck_record_leaves_from_another_place);
    tcase_add_test(tcase, ends_are_told_apart);
    tcase_add_test(tcase, reload_is_for_later_streams);
    tcase_add_test(tcase, unreadable_files_are_named_with_what_is_right);
#else
    tcase_add_test(tcase, build_without_tls_says_so);
#endif
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
