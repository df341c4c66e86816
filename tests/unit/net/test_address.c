/* Addresses as text, and the elements of -l. */
#include "config.h"

#include "net/address.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

static const struct {
    const char *text;
    enum listen_spec_result result;
    const char *host;
    int port;
    const char *tag;
    enum settings_protocol protocol;
} specs[] = {
    { "127.0.0.1", LISTEN_SPEC_OK, "127.0.0.1", -1, "", PROTOCOL_AUTO },
    { "127.0.0.1:1234", LISTEN_SPEC_OK, "127.0.0.1", 1234, "", PROTOCOL_AUTO },
    { "localhost:0", LISTEN_SPEC_OK, "localhost", 0, "", PROTOCOL_AUTO },
    { "h:65535", LISTEN_SPEC_OK, "h", 65535, "", PROTOCOL_AUTO },
    { "*", LISTEN_SPEC_OK, "", -1, "", PROTOCOL_AUTO },
    { "*:9", LISTEN_SPEC_OK, "", 9, "", PROTOCOL_AUTO },
    { "::1", LISTEN_SPEC_OK, "::1", -1, "", PROTOCOL_AUTO },
    { "[::1]", LISTEN_SPEC_OK, "::1", -1, "", PROTOCOL_AUTO },
    { "[::1]:7", LISTEN_SPEC_OK, "::1", 7, "", PROTOCOL_AUTO },
    { "notls:h", LISTEN_SPEC_OK, "h", -1, "", PROTOCOL_AUTO },
    { "proto[ascii]:h:1", LISTEN_SPEC_OK, "h", 1, "", PROTOCOL_ASCII },
    { "tag[a]:proto[negotiating]:notls:[::]:1", LISTEN_SPEC_OK, "::", 1, "a", PROTOCOL_AUTO },
    { "tag_12345678_:h", LISTEN_SPEC_OK, "h", -1, "12345678", PROTOCOL_AUTO },
    { "", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
    { ":1", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
    { "[]", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
    { "[::1", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
    { "[::1]x", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
    { "[::1]:", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
    { "h:", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
    { "h:-1", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
    { "h:65536", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
    { "h:99999999999999999999", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
    { "notls:", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
    { "proto[", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
    { "proto[]:h", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
    { "proto[ascii]h", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
    { "proto[averylongnamethatfitsnowhere]:h", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
    { "proto[binary]:h", LISTEN_SPEC_OK, "h", -1, "", PROTOCOL_BINARY },
    { "proto[proxy]:h", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
    { "tag[]:h", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
    { "tag[123456789]:h", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
    { "tag[x", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
#ifndef HAVE_TLS
    { "mtls:h", LISTEN_SPEC_NOT_BUILT, NULL, 0, NULL, PROTOCOL_AUTO },
    { "btls:h", LISTEN_SPEC_NOT_BUILT, NULL, 0, NULL, PROTOCOL_AUTO },
#else
    { "mtls:h", LISTEN_SPEC_OK, "h", -1, "", PROTOCOL_AUTO },
    { "mtls:", LISTEN_SPEC_BAD, NULL, 0, NULL, PROTOCOL_AUTO },
#endif
};

static const struct {
    const char *text;
    enum tls_mode tls;
} tls_specs[] = {
    { "h", TLS_MODE_DEFAULT },
    { "notls:h", TLS_MODE_OFF },
#ifdef HAVE_TLS
    { "btls:h", TLS_MODE_BASIC },
    { "mtls:h:1", TLS_MODE_MUTUAL },
    { "tag[a]:mtls:proto[ascii]:[::1]:1", TLS_MODE_MUTUAL },
    { "mtls:notls:h", TLS_MODE_OFF }, /* the last one counts */
#endif
};

START_TEST(listen_element_says_whether_tls_is_spoken)
{
    struct listen_spec spec;
    char error[256] = "";
    ck_assert(listen_spec_parse(tls_specs[_i].text, PROTOCOL_AUTO, &spec, error, sizeof(error)) ==
              LISTEN_SPEC_OK);
    ck_assert_int_eq(spec.tls, tls_specs[_i].tls);
}
END_TEST

START_TEST(listen_element_is_taken_apart)
{
    struct listen_spec spec;
    char error[256] = "";
    enum listen_spec_result result =
        listen_spec_parse(specs[_i].text, PROTOCOL_AUTO, &spec, error, sizeof(error));
    ck_assert_msg(result == specs[_i].result, "%s: %d, %s", specs[_i].text, (int)result, error);
    if (result != LISTEN_SPEC_OK) {
        ck_assert_str_ne(error, "");
        return;
    }
    ck_assert_str_eq(spec.host, specs[_i].host);
    ck_assert_int_eq(spec.port, specs[_i].port);
    ck_assert_str_eq(spec.tag, specs[_i].tag);
    ck_assert_int_eq(spec.protocol, specs[_i].protocol);
}
END_TEST

START_TEST(host_up_to_the_cap_is_taken)
{
    char text[LISTEN_HOST_CAP + 1];
    struct listen_spec spec;
    char error[256];
    memset(text, 'h', sizeof(text));
    text[LISTEN_HOST_CAP - 1] = '\0';
    ck_assert_int_eq(listen_spec_parse(text, PROTOCOL_AUTO, &spec, error, sizeof(error)),
                     LISTEN_SPEC_OK);
    text[LISTEN_HOST_CAP - 1] = 'h';
    text[LISTEN_HOST_CAP] = '\0';
    ck_assert_int_eq(listen_spec_parse(text, PROTOCOL_AUTO, &spec, error, sizeof(error)),
                     LISTEN_SPEC_BAD);
}
END_TEST

START_TEST(addresses_are_written_as_stats_conns_shows_them)
{
    char text[ADDRESS_TEXT_CAP];
    struct sockaddr_in v4 = { .sin_family = AF_INET,
                              .sin_port = htons(1234),
                              .sin_addr.s_addr = htonl(0x7f000001) };
    address_format((struct sockaddr *)&v4, sizeof(v4), "", text, sizeof(text));
    ck_assert_str_eq(text, "tcp:127.0.0.1:1234");
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
                               .sin6_port = htons(5),
                               .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    address_format((struct sockaddr *)&v6, sizeof(v6), "", text, sizeof(text));
    ck_assert_str_eq(text, "tcp6:[::1]:5");
    struct sockaddr_un local = { .sun_family = AF_UNIX, .sun_path = "/tmp/x" };
    address_format((struct sockaddr *)&local, sizeof(local), "", text, sizeof(text));
    ck_assert_str_eq(text, "unix:/tmp/x");
    /* A client's socket has no name. */
    address_format((struct sockaddr *)&local, offsetof(struct sockaddr_un, sun_path), "/the/server",
                   text, sizeof(text));
    ck_assert_str_eq(text, "unix:/the/server");
    /* A path that fills its field has no NUL. */
    memset(local.sun_path, 'p', sizeof(local.sun_path));
    address_format((struct sockaddr *)&local, sizeof(local), "", text, sizeof(text));
    ck_assert_uint_eq(strlen(text), strlen("unix:") + sizeof(local.sun_path));
}
END_TEST

START_TEST(addresses_of_datagrams_are_told_apart)
{
    char text[ADDRESS_TEXT_CAP];
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY) };
    address_set_port((struct sockaddr *)&v4, 65535);
    ck_assert_uint_eq(address_port((struct sockaddr *)&v4), 65535);
    ck_assert(address_is_any((struct sockaddr *)&v4));
    address_format_udp((struct sockaddr *)&v4, sizeof(v4), text, sizeof(text));
    ck_assert_str_eq(text, "udp:0.0.0.0:65535");
    v4.sin_addr.s_addr = htonl(0x7f000001);
    ck_assert(!address_is_any((struct sockaddr *)&v4));
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    address_set_port((struct sockaddr *)&v6, 5);
    ck_assert_uint_eq(address_port((struct sockaddr *)&v6), 5);
    ck_assert(!address_is_any((struct sockaddr *)&v6));
    address_format_udp((struct sockaddr *)&v6, sizeof(v6), text, sizeof(text));
    ck_assert_str_eq(text, "udp6:[::1]:5");
    v6.sin6_addr = (struct in6_addr)IN6ADDR_ANY_INIT;
    ck_assert(address_is_any((struct sockaddr *)&v6));
    struct sockaddr local = { .sa_family = AF_UNIX };
    address_set_port(&local, 5);
    ck_assert_uint_eq(address_port(&local), 0);
    ck_assert(!address_is_any(&local));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("address");
    TCase *tcase = tcase_create("address");
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, listen_element_is_taken_apart, 0,
                        (int)(sizeof(specs) / sizeof(specs[0])));
    tcase_add_loop_test(tcase, listen_element_says_whether_tls_is_spoken, 0,
                        sizeof(tls_specs) / sizeof(tls_specs[0]));
    tcase_add_test(tcase, host_up_to_the_cap_is_taken);
    tcase_add_test(tcase, addresses_are_written_as_stats_conns_shows_them);
    tcase_add_test(tcase, addresses_of_datagrams_are_told_apart);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
