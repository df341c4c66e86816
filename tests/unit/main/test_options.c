/* The command line: every option and suboption, its bounds, and what is said about a wrong one. */
#include "config.h"

#include "options.h"

#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 48

/** A command line cut at its blanks; ~ stands for a blank inside a word. */
struct line {
    char text[512];
    char *argv[WORDS_MAX + 1];
    int argc;
};

static void
split(struct line *line, const char *words)
{
    ck_assert_uint_lt(strlen(words) + sizeof("larder "), sizeof(line->text));
    memcpy(line->text, "larder ", 7);
    memcpy(line->text + 7, words, strlen(words) + 1);
    line->argc = 0;
    char *at = line->text;
    while (*at != '\0') {
        ck_assert_int_lt(line->argc, WORDS_MAX);
        line->argv[line->argc++] = at;
        size_t len = strcspn(at, " ");
        for (size_t i = 0; i < len; i++) {
            at[i] = at[i] == '~' ? ' ' : at[i];
        }
        at += len;
        if (*at == ' ') {
            *at++ = '\0';
        }
    }
    line->argv[line->argc] = NULL;
}

static enum options_result
parse(const char *words, struct line *line, struct settings *settings,
      struct options_report *report)
{
    split(line, words);
    return options_parse(line->argc, line->argv, settings, report);
}

/* -- what is refused --------------------------------------------------------------------------- */

static const struct {
    const char *words;
    int exit_code;
    const char *
        error; /* part of what is said; the value is looked for as well when it stands in `value` */
    const char *value;
} bad[] = {
    { "-p 70000", 64, "ERROR: Invalid port number 70000.", "70000" },
    { "-p 65536", 64, "ERROR: Invalid port number 65536.", "65536" },
    { "-p -2", 64, "Invalid port number -2", "-2" },
    { "-U 70000", 64, "ERROR: Invalid port number 70000.", "70000" },
    { "-U 65536", 64, "ERROR: Invalid port number 65536.", "65536" },
    { "-U -2", 64, "Invalid port number -2", "-2" },
    { "-a 999", 1, "-a 999", "octal" },
    { "-a 7777", 1, "-a 7777", "octal" },
    { "-m abc", 64, "-m abc", "megabytes" },
    { "-m 12x", 64, "-m 12x", "megabytes" },
    { "-m -5", 64, "-m -5", "megabytes" },
    { "-m 99999999999999999999", 64, "-m 9999", "megabytes" },
    { "-m 0", 64, "Cannot set item size limit higher than 1/2 of memory max.", "-m" },
    { "-m 1", 64, "Cannot set item size limit higher than 1/2 of memory max.", "-m" },
    { "-m 1000k -I 2k -o slab_chunk_max=1", 64, "-m: 1024000 bytes", "1m" },
    { "-c 0", 1, "Maximum connections must be greater than 0", "-c 0" },
    { "-c abc", 1, "Maximum connections must be greater than 0", "-c abc" },
    { "-c 3", 1, "Maxconns setting is too low, use -c to increase.", "-c 3" },
    { "-f 1", 1, "Factor must be greater than 1", "-f 1" },
    { "-f abc", 1, "Factor must be greater than 1", "-f abc" },
    { "-f inf", 1, "Factor must be greater than 1", "-f inf" },
    { "-n 0", 1, "Chunk size must be greater than 0", "-n 0" },
    { "-n -3", 1, "Chunk size must be greater than 0", "-n -3" },
    { "-t 0", 1, "Number of threads must be greater than 0", "-t 0" },
    { "-t x", 1, "Number of threads must be greater than 0", "-t x" },
    { "-t 1001", 1, "Number of threads must be at most 1000", "-t 1001" },
    { "-R 0", 1, "Number of requests per event must be greater than 0", "-R 0" },
    { "-b foo", 1, "-b foo", "number" },
    { "-B foo", 64,
      "Invalid value for binding protocol: foo\n -- should be one of auto, binary, or ascii",
      "foo" },
    { "-I 1000", 64, "Item max size cannot be less than 1024 bytes.", "1000" },
    { "-I 1023", 64, "Item max size cannot be less than 1024 bytes.", "1023" },
    { "-I abc", 64, "Item max size cannot be less than 1024 bytes.", "abc" },
    { "-I 1.5m", 64, "-I 1.5m", "k, m or g" },
    { "-I 2g -m 8000", 64, "Cannot set item size limit higher than a gigabyte.", "2g" },
    { "-I 40m", 64, "Cannot set item size limit higher than 1/2 of memory max.", "-m" },
    { "-I 3000000", 64,
      "-I (item_size_max: 3000000) must be evenly divisible by slab_chunk_max (bytes: 524288)",
      "" },
    { "-I 2k", 64, "slab_chunk_max (bytes: 524288) cannot be larger than -I (item_size_max 2048)",
      "" },
    { "-Y /x -B binary", 64,
      "ERROR: You cannot allow the BINARY protocol while using ascii authentication tokens.",
      "-B ascii" },
    { "-B auto -Y /x", 64,
      "ERROR: You cannot allow the BINARY protocol while using ascii authentication tokens.",
      "-B ascii" },
    { "-l proto[binary]:127.0.0.1 -Y /x", 64, "proto[binary]", "" },
    { "-Y", 1, "larder: option requires an argument -- 'Y'\nIllegal argument \"?\"", "" },
#ifdef HAVE_SASL
    { "-S -B ascii", 64, "ERROR: You cannot allow the ASCII protocol while using SASL.",
      "-B binary" },
    { "-S -B auto", 64, "ERROR: You cannot allow the ASCII protocol while using SASL.",
      "-B binary" },
    { "-S -Y /x", 64, "ERROR: You cannot allow the ASCII protocol while using SASL.", "-Y" },
#else
    { "-S", 64, "no SASL", "libsasl2-dev" },
#endif
#ifdef HAVE_TLS
    { "-Z", 64, "Error loading the certificate chain", "ssl_chain_cert" },
    { "-Z -o ssl_key=/x", 64, "Error loading the certificate chain", "ssl_chain_cert" },
#else
    { "-Z", 64, "no TLS", "-Z" },
#endif
    { "-N 0", 1, "Maximum number of NAPI IDs must be greater than 0", "-N 0" },
    { "-N 8", 64, "Number of napi_ids(8) cannot be greater than number of threads(4)", "" },
    { "-N", 1, "larder: option requires an argument -- 'N'\nIllegal argument \"?\"", "" },
    { "--port", 1, "larder: option '--port' requires an argument\nIllegal argument \"?\"", "" },
    { "-Q", 1, "larder: invalid option -- 'Q'\nIllegal argument \"?\"", "" },
    { "--nosuch", 1, "larder: unrecognized option '--nosuch'\nIllegal argument \"?\"", "" },
    { "-l 127.0.0.1:abc", 71, "Invalid port number: \"abc\"", "127.0.0.1:abc" },
    { "-l 127.0.0.1:", 71, "Invalid port number: \"\"", "" },
    { "-l 127.0.0.1:65536", 71, "Invalid port number: \"65536\"", "" },
    { "-l 127.0.0.1,127.0.0.1:x", 71, "failed to listen on one of interface(s)", "127.0.0.1:x" },
    { "-l ,,", 71, "failed to listen on one of interface(s) ,,", "host[:port]" },
#ifdef HAVE_TLS
    { "-l btls:127.0.0.1", 71, "'btls' option is valid only when SSL is enabled", "-Z" },
    { "-l mtls:127.0.0.1", 71, "'mtls' option is valid only when SSL is enabled", "mtls:127" },
#else
    { "-l btls:127.0.0.1", 64, "no TLS", "btls" },
    { "-l mtls:127.0.0.1", 64, "no TLS", "mtls" },
#endif
    { "-l proto[foo]:127.0.0.1", 71, "Invalid protocol name: \"foo\"", "ascii" },
    { "-l proto[ascii:127.0.0.1", 71, "Invalid protocol spec", "" },
    { "-l proto[proxy]:127.0.0.1", 71, "Server not built with proxy: \"proto[proxy]:127.0.0.1\"",
      "" },
    { "-l tag[]:127.0.0.1", 71, "Listener tags must be between 1 and 8 characters: \"\"", "" },
    { "-l tag[123456789]:127.0.0.1", 71,
      "Listener tags must be between 1 and 8 characters: \"123456789\"", "" },
    { "-o nosuch", 1, "Illegal suboption \"nosuch\"", "" },
    { "-o nosuch=3", 1, "Illegal suboption \"nosuch=3\"", "" },
    { "-o ,", 1, "Illegal suboption \"\"", "" },
    { "-o hashpower", 1, "Missing numeric argument for hashpower", "" },
    { "-o hashpower=5", 1, "Initial hashtable multiplier of 5 is too low", "" },
    { "-o hashpower=11", 1, "too low", "11" },
    { "-o hashpower=33", 1, "Initial hashtable multiplier of 33 is too high", "hash_power_level" },
    { "-o hashpower=abc", 1, "hashpower=abc", "12 to 32" },
    { "-o slab_automove=3", 1, "slab_automove must be between 0 and 2", "3" },
    { "-o slab_automove_ratio", 1, "Missing slab_automove_ratio argument", "" },
    { "-o slab_automove_ratio=0", 1, "slab_automove_ratio must be > 0 and < 1", "=0" },
    { "-o slab_automove_ratio=1.1", 1, "slab_automove_ratio must be > 0 and < 1", "1.1" },
    { "-o slab_automove_window", 1, "slab_automove_window", "" },
    { "-o slab_automove_window=2", 1, "slab_automove_window must be > 2", "3 to 1800" },
    { "-o slab_automove_window=1801", 1, "slab_automove_window", "3 to 1800" },
    { "-o slab_automove_freeratio", 1, "Missing slab_automove_freeratio argument", "" },
    { "-o tail_repair_time", 1, "Missing numeric argument for tail_repair_time", "" },
    { "-o tail_repair_time=9", 1, "Cannot set tail_repair_time to less than 10 seconds", "=9" },
    { "-o evict_for", 1, "objects or bytes is right", "" },
    { "-o evict_for=hits", 1, "-o evict_for=hits: objects or bytes is right", "hits" },
    { "-o hash_algorithm", 1, "Missing hash_algorithm argument", "" },
    { "-o hash_algorithm=foo", 1, "Unknown hash_algorithm option (jenkins, murmur3, xxh3)", "foo" },
    { "-o lru_crawler_sleep", 1, "lru_crawler_sleep", "" },
    { "-o lru_crawler_sleep=1000001", 1, "LRU crawler sleep must be between 0 and 1 second",
      "1000001" },
    { "-o lru_crawler_tocrawl=abc", 1, "lru_crawler_tocrawl takes a numeric 32bit value", "abc" },
    { "-o lru_crawler_tocrawl=4294967296", 1, "lru_crawler_tocrawl takes a numeric 32bit value",
      "" },
    { "-o hot_lru_pct=0", 1, "hot_lru_pct must be > 1 and < 80", "=0" },
    { "-o hot_lru_pct=80", 1, "hot_lru_pct must be > 1 and < 80", "=80" },
    { "-o warm_lru_pct=80", 1, "warm_lru_pct must be > 1 and < 80", "=80" },
    { "-o hot_lru_pct=50,warm_lru_pct=31", 64,
      "hot_lru_pct + warm_lru_pct cannot be more than 80% combined", "31" },
    { "-o hot_max_factor=0", 1, "hot_max_factor must be > 0", "=0" },
    { "-o warm_max_factor=x", 1, "warm_max_factor must be > 0", "=x" },
    { "-o temporary_ttl", 1, "Missing temporary_ttl argument", "" },
    { "-o temporary_ttl=abc", 1, "temporary_ttl=abc", "seconds" },
    { "-o no_lru_maintainer,temporary_ttl=60", 64,
      "temporary_ttl requires lru_maintainer to be enabled", "" },
    { "-o idle_timeout", 1, "Missing numeric argument for idle_timeout", "" },
    { "-o idle_timeout=abc", 1, "idle_timeout", "abc" },
    { "-o idle_timeout=-1", 1, "idle_timeout", "-1" },
    { "-o watcher_logbuf_size", 1, "watcher_logbuf_size", "" },
    { "-o watcher_logbuf_size=abc", 1, "could not parse argument to watcher_logbuf_size", "abc" },
    { "-o worker_logbuf_size=abc", 1, "could not parse argument to worker_logbuf_size", "abc" },
    { "-o slab_sizes", 1, "Missing slab_sizes argument", "" },
    { "-o slab_sizes=100-200-abc", 64, "slab size abc is out of valid range", "" },
    { "-o slab_sizes=1-200", 64, "is out of valid range", "1-200" },
    { "-o slab_sizes=100-90", 64,
      "slab size 90 cannot be lower than or equal to a previous class size", "" },
    { "-o slab_sizes=100-101", 64,
      "slab size 101 must be at least 8 bytes larger than previous class", "" },
    { "-o slab_sizes=100-20000000", 64, "is out of valid range", "20000000" },
    { "-o slab_chunk_max", 1, "Missing slab_chunk_max argument", "" },
    { "-o slab_chunk_max=abc", 1, "could not parse argument to slab_chunk_max", "abc" },
    { "-o slab_chunk_max=0", 64, "slab_chunk_max=0", "1 to 1024" },
    { "-o slab_chunk_max=1025", 64, "slab_chunk_max=1025", "1 to 1024" },
    { "-o slab_chunk_max=3", 64, "evenly", "3072" },
    { "-I 3m -o slab_chunk_max=3", 64, "must divide evenly into 1048576 (slab_page_size)", "3072" },
    { "-o read_buf_mem_limit=abc", 1, "could not parse argument to read_buf_mem_limit", "abc" },
    { "-o read_buf_mem_limit=4096", 1, "could not parse argument to read_buf_mem_limit", "4096" },
#ifndef HAVE_SECCOMP
    { "-o drop_privileges", 1, "Illegal suboption \"drop_privileges\"", "seccomp" },
    { "-o relaxed_privileges", 1, "Illegal suboption \"relaxed_privileges\"", "" },
#endif
#ifdef HAVE_TLS
    { "-o ssl_chain_cert", 1, "Missing ssl_chain_cert argument", "PEM" },
    { "-o ssl_key=", 1, "Missing ssl_key argument", "" },
    { "-o ssl_ca_cert", 1, "Missing ssl_ca_cert argument", "" },
    { "-o ssl_ciphers", 1, "Missing ssl_ciphers argument", "" },
    { "-o ssl_keyformat", 1, "Missing ssl_keyformat argument", "PEM" },
    { "-o ssl_keyformat=P12", 1, "could not parse argument to ssl_keyformat", "P12" },
    { "-o ssl_keyformat=3", 64, "could not parse argument to ssl_keyformat", "=3" },
    { "-o ssl_verify_mode", 1, "Missing ssl_verify_mode argument", "0 (none)" },
    { "-o ssl_verify_mode=x", 1, "could not parse argument to ssl_verify_mode", "=x" },
    { "-o ssl_verify_mode=4", 1, "Invalid ssl_verify_mode. Use help to see valid options.", "=4" },
    { "-o ssl_verify_mode=-1", 1, "Invalid ssl_verify_mode. Use help to see valid options.", "" },
    { "-o ssl_min_version", 1, "Missing ssl_min_version argument", "tlsv1.3" },
    { "-o ssl_min_version=1.2", 1, "could not parse argument to ssl_min_version", "1.2" },
    { "-o ssl_min_version=4", 1, "Invalid ssl_min_version. Use help to see valid options.", "=4" },
    { "-o ssl_wbuf_size", 1, "Missing ssl_wbuf_size argument", "kilobytes" },
    { "-o ssl_wbuf_size=x", 1, "could not parse argument to ssl_wbuf_size", "=x" },
    { "-o ssl_wbuf_size=0", 1, "could not parse argument to ssl_wbuf_size", "1 to 16384" },
    { "-o ssl_wbuf_size=16385", 1, "ssl_wbuf_size", "16385" },
    { "-o ssl_nosuch=1", 1, "Illegal suboption \"ssl_nosuch=1\"", "" },
#else
    { "-o ssl_key=/x", 1, "Illegal suboption \"ssl_key=/x\"", "TLS" },
#endif
    { "-o ext_path=/x:1G", 1, "Illegal suboption \"ext_path=/x:1G\"", "external storage" },
    { "-o proxy_config=/x", 1, "Illegal suboption \"proxy_config=/x\"", "proxy" },
    { "-o sock_cookie_id", 1, "sock_cookie_id", "" },
};

START_TEST(wrong_option_is_named_with_its_value_and_exit_code)
{
    struct line line;
    struct settings settings;
    struct options_report report;
    ck_assert_msg(parse(bad[_i].words, &line, &settings, &report) == OPTIONS_BAD, "taken: %s",
                  bad[_i].words);
    ck_assert_msg(strstr(report.error, bad[_i].error) != NULL, "%s: said \"%s\", not \"%s\"",
                  bad[_i].words, report.error, bad[_i].error);
    ck_assert_msg(bad[_i].value == NULL || strstr(report.error, bad[_i].value) != NULL,
                  "%s: \"%s\" lacks \"%s\"", bad[_i].words, report.error, bad[_i].value);
    ck_assert_int_eq(report.exit_code, bad[_i].exit_code);
    options_free(&settings);
}
END_TEST

/* -- what is taken ----------------------------------------------------------------------------- */

static const char *const good[] = {
    "",
    "-p 0",
    "-p -1",
    "-p 65535",
    "-U 0",
    "-a 0",
    "-a 0777",
    "-b 0",
    "-c 4",
    "-c 2147483647",
    "-t 1000 -c 1000",
    "-I 1k -o slab_chunk_max=1",
    "-I 1024 -o slab_chunk_max=1,no_lru_crawler,no_lru_maintainer",
    "-I 1g -m 2g",
    "-I 1024m -m 2048",
    "-I 32m",
    "-m 2",
    "-m 1 -I 512k",
    "-B binary",
    "-N 4",
    "-D ab",
    "-n 524288",
    "-l *",
    "-l *:0",
    "-l ::1",
    "-l [::1]",
    "-l [::1]:11211",
    "-l notls:127.0.0.1",
    "-l proto[ascii]:tag[12345678]:127.0.0.1:1",
    "-l tag_x_:proto[negotiating]:[::]:1",
    "-l localhost,,;127.0.0.1",
    "-o ~",
    "-o modern,no_modern",
    "-o modern, -o modern",
    "-o hashpower=0 -o hashpower=12 -o hashpower=32",
    "-o slab_automove -o slab_automove= -o slab_automove=2",
    "-o slab_automove_ratio=1,slab_automove_window=3,slab_automove_freeratio=0.01",
    "-o slab_automove_window=1800",
    "-o tail_repair_time=10",
    "-o hash_algorithm=xxh3",
    "-o evict_for=bytes",
    "-o evict_for=objects",
    "-o lru_crawler_sleep=0 -o lru_crawler_sleep=1000000",
    "-o lru_crawler_tocrawl=4294967295",
    "-o hot_lru_pct=1,warm_lru_pct=79",
    "-o hot_max_factor=0.01,warm_max_factor=7",
    "-o temporary_ttl=-1,no_lru_maintainer",
    "-o slab_sizes=100-200-300",
    "-o slab_chunk_max=1024",
    "-o read_buf_mem_limit=0,read_buf_mem_limit=4095",
    "-o no_chunked_items,inline_ascii_resp,no_inline_ascii_resp,no_drop_privileges,no_hashexpand",
    "-o maxconns_fast=3",
#ifdef HAVE_TLS
    "-Z -o ssl_chain_cert=/x",
    "-Z -o ssl_chain_cert=/x,ssl_key=/y -l btls:127.0.0.1:1,mtls:127.0.0.1:2,notls:127.0.0.1:3",
    "-o ssl_chain_cert=/x,ssl_verify_mode=3,ssl_min_version=0,ssl_wbuf_size=16384",
    "-o ssl_keyformat=pem,ssl_keyformat=2,ssl_wbuf_size=1,ssl_session_cache,ssl_kernel_tls",
#endif
    "-o ~idle_timeout=3",
};

START_TEST(right_option_is_taken)
{
    struct line line;
    struct settings settings;
    struct options_report report;
    enum options_result result = parse(good[_i], &line, &settings, &report);
    ck_assert_msg(result == OPTIONS_RUN, "%s: %s", good[_i], report.error);
    ck_assert_str_eq(report.error, "");
    ck_assert_int_eq(report.exit_code, 0);
    options_free(&settings);
}
END_TEST

START_TEST(logins_choose_the_protocol)
{
    struct line line;
    struct settings s;
    struct options_report report;
    ck_assert_int_eq(parse("", &line, &s, &report), OPTIONS_RUN);
    ck_assert(s.auth_file == NULL && !s.sasl_enabled);
    ck_assert(s.memory_file == NULL);
    options_free(&s);
    ck_assert_int_eq(parse("-Y /users", &line, &s, &report), OPTIONS_RUN);
    ck_assert_str_eq(s.auth_file, "/users");
    ck_assert_int_eq(s.protocol, PROTOCOL_ASCII);
    options_free(&s);
    ck_assert_int_eq(parse("-B ascii --auth-file=/users -U 0", &line, &s, &report), OPTIONS_RUN);
    ck_assert_str_eq(s.auth_file, "/users");
    ck_assert_int_eq(s.protocol, PROTOCOL_ASCII);
    options_free(&s);
#ifdef HAVE_SASL
    ck_assert_int_eq(parse("-S", &line, &s, &report), OPTIONS_RUN);
    ck_assert(s.sasl_enabled && s.auth_file == NULL);
    ck_assert_int_eq(s.protocol, PROTOCOL_BINARY);
    options_free(&s);
    ck_assert_int_eq(parse("--enable-sasl -B binary -U 0", &line, &s, &report), OPTIONS_RUN);
    ck_assert(s.sasl_enabled);
    ck_assert_int_eq(s.protocol, PROTOCOL_BINARY);
    options_free(&s);
#endif
}
END_TEST

#ifdef HAVE_TLS
START_TEST(tls_options_arrive_in_settings)
{
    struct line line;
    struct settings s;
    struct options_report report;
    ck_assert_int_eq(parse("", &line, &s, &report), OPTIONS_RUN);
    ck_assert(!s.ssl_enabled && s.ssl_chain_cert == NULL && !s.ssl_session_cache);
    ck_assert(s.ssl_keyformat == SSL_KEY_PEM && s.ssl_min_version == 2 && s.ssl_verify_mode == 0);
    ck_assert_uint_eq(s.ssl_wbuf_size, 16384);
    options_free(&s);

    const char *words = "-Z -o ssl_chain_cert=/a,ssl_key=/b,ssl_key=/c,ssl_keyformat=der "
                        "-o ssl_verify_mode=3,ssl_ciphers=X:Y,ssl_wbuf_size=4,ssl_min_version=3 "
                        "-o ssl_session_cache,ssl_kernel_tls";
    ck_assert_int_eq(parse(words, &line, &s, &report), OPTIONS_RUN);
    ck_assert(s.ssl_enabled && s.ssl_session_cache && s.ssl_kernel_tls);
    ck_assert_str_eq(s.ssl_chain_cert, "/a");
    ck_assert_str_eq(s.ssl_key, "/c"); /* the last one counts */
    ck_assert_str_eq(s.ssl_ciphers, "X:Y");
    ck_assert(s.ssl_ca_cert == NULL && s.ssl_keyformat == SSL_KEY_DER);
    ck_assert_uint_eq(s.ssl_verify_mode, 3);
    ck_assert_uint_eq(settings_ssl_verify_flags(&s), 7);
    ck_assert_uint_eq(s.ssl_wbuf_size, 4096);
    ck_assert_uint_eq(s.ssl_min_version, 3);
    ck_assert_msg(strstr(report.warnings, "ssl_ca_cert") != NULL, "%s", report.warnings);
    options_free(&s);
}
END_TEST
#endif

START_TEST(short_options_arrive_in_settings)
{
    struct line line;
    struct settings s;
    struct options_report report;
    const char *words =
        "-p 1234 -s /tmp/sock -a 0750 -A -l 127.0.0.1:5,[::1]:6;notls:localhost -l *:7 -d -r -u nobody "
        "-m 100 -M -c 77 -k -vv -P /tmp/pid -f 1.5 -n 64 -e /tmp/mem";
    ck_assert_int_eq(parse(words, &line, &s, &report), OPTIONS_RUN);
    ck_assert_int_eq(s.port, 1234);
    ck_assert_str_eq(s.unix_path, "/tmp/sock");
    ck_assert_str_eq(s.memory_file, "/tmp/mem");
    ck_assert_uint_eq(s.unix_mask, 0750);
    ck_assert(s.shutdown_enabled && s.daemonize && s.coredumps && s.evictions_disabled &&
              s.lock_memory);
    ck_assert_uint_eq(s.listen_count, 4);
    ck_assert_str_eq(s.listen[0], "127.0.0.1:5");
    ck_assert_str_eq(s.listen[1], "[::1]:6");
    ck_assert_str_eq(s.listen[2], "notls:localhost");
    ck_assert_str_eq(s.listen[3], "*:7");
    ck_assert_str_eq(s.listen_text, "127.0.0.1:5,[::1]:6,notls:localhost,*:7");
    ck_assert_str_eq(s.user, "nobody");
    ck_assert_uint_eq(atomic_load_explicit(&s.memory_limit, memory_order_relaxed),
                      100u * 1024 * 1024);
    ck_assert_uint_eq(s.conns_max, 77);
    ck_assert_int_eq(atomic_load_explicit(&s.verbosity, memory_order_relaxed), 2);
    ck_assert_str_eq(s.pid_file, "/tmp/pid");
    ck_assert_double_eq(s.growth_factor, 1.5);
    ck_assert_uint_eq(s.chunk_min, 64);
    options_free(&s);
    ck_assert_int_eq(
        parse("-L -D # -t 9 -R 7 -C -b 88 -B ascii -I 2m -F -X -W -N 3", &line, &s, &report),
        OPTIONS_RUN);
    ck_assert(s.large_pages && s.cas_disabled && s.flush_disabled && s.dump_disabled &&
              s.watch_disabled);
    ck_assert_int_eq(s.prefix_delimiter, '#');
    ck_assert(atomic_load_explicit(&s.detail_enabled, memory_order_relaxed));
    ck_assert_uint_eq(s.threads, 9);
    ck_assert_uint_eq(s.reqs_per_event, 7);
    ck_assert_int_eq(s.backlog, 88);
    ck_assert_int_eq(s.protocol, PROTOCOL_ASCII);
    ck_assert_uint_eq(s.item_size_max, 2u * 1024 * 1024);
    ck_assert_uint_eq(s.napi_ids, 3);
    options_free(&s);
}
END_TEST

START_TEST(long_options_arrive_in_settings)
{
    struct line line;
    struct settings s;
    struct options_report report;
    const char *words =
        "--port=1234 --unix-socket /tmp/sock --unix-mask=750 --enable-shutdown --listen=127.0.0.1 --daemon "
        "--enable-coredumps --user=nobody --memory-limit=2g --disable-evictions --conn-limit=77 "
        "--lock-memory --verbose --pidfile=/tmp/pid --slab-growth-factor=1.5 --slab-min-size=64";
    ck_assert_int_eq(parse(words, &line, &s, &report), OPTIONS_RUN);
    ck_assert_int_eq(s.port, 1234);
    ck_assert_str_eq(s.unix_path, "/tmp/sock");
    ck_assert_uint_eq(s.unix_mask, 0750);
    ck_assert(s.shutdown_enabled && s.daemonize && s.coredumps && s.evictions_disabled &&
              s.lock_memory);
    ck_assert_uint_eq(s.listen_count, 1);
    ck_assert_uint_eq(atomic_load_explicit(&s.memory_limit, memory_order_relaxed), UINT64_C(2)
                                                                                       << 30);
    ck_assert_uint_eq(s.conns_max, 77);
    ck_assert_int_eq(atomic_load_explicit(&s.verbosity, memory_order_relaxed), 1);
    ck_assert_str_eq(s.pid_file, "/tmp/pid");
    ck_assert_uint_eq(s.chunk_min, 64);
    options_free(&s);
    words =
        "--enable-largepages --delimiter=# --threads=9 --max-reqs-per-event=7 --disable-cas --listen-backlog=88 "
        "--protocol=binary --max-item-size=2m --disable-flush-all --disable-dumping --disable-watch --napi-ids=3 "
        "--udp-port=0 --extended=track_sizes";
    ck_assert_int_eq(parse(words, &line, &s, &report), OPTIONS_RUN);
    ck_assert(s.large_pages && s.cas_disabled && s.flush_disabled && s.dump_disabled &&
              s.watch_disabled);
    ck_assert(s.track_sizes);
    ck_assert_int_eq(s.protocol, PROTOCOL_BINARY);
    ck_assert_uint_eq(s.threads, 9);
    ck_assert_uint_eq(s.napi_ids, 3);
    options_free(&s);
}
END_TEST

START_TEST(suboptions_arrive_in_settings)
{
    struct line line;
    struct settings s;
    struct options_report report;
    const char *words =
        "-o no_maxconns_fast,hashpower=20,no_slab_reassign,no_slab_automove,slab_automove_ratio=0.5 "
        "-o slab_automove_window=30,tail_repair_time=11,hash_algorithm=jenkins,no_lru_crawler "
        "-o lru_crawler_sleep=5,lru_crawler_tocrawl=6,hot_lru_pct=10,warm_lru_pct=11 "
        "-o hot_max_factor=0.3,warm_max_factor=3,temporary_ttl=9,idle_timeout=8,track_sizes "
        "-o watcher_logbuf_size=1,worker_logbuf_size=2,read_buf_mem_limit=3,sock_cookie_id=4294967295";
    ck_assert_int_eq(parse(words, &line, &s, &report), OPTIONS_RUN);
    ck_assert(!s.maxconns_fast && !s.slab_reassign && !s.lru_crawler && s.track_sizes &&
              s.temp_lru);
    ck_assert(!s.evict_for_bytes);
    ck_assert_uint_eq(s.hashpower_init, 20);
    ck_assert_int_eq(s.slab_automove, 0);
    ck_assert_double_eq(s.slab_automove_ratio, 0.5);
    ck_assert_uint_eq(s.slab_automove_window, 30);
    ck_assert_uint_eq(s.tail_repair_time, 11);
    ck_assert_str_eq(s.hash_algorithm, "jenkins");
    ck_assert_uint_eq(s.lru_crawler_sleep, 5);
    ck_assert_uint_eq(s.lru_crawler_tocrawl, 6);
    ck_assert_uint_eq(s.hot_lru_pct, 10);
    ck_assert_uint_eq(s.warm_lru_pct, 11);
    ck_assert_double_eq(s.hot_max_factor, 0.3);
    ck_assert_double_eq(s.warm_max_factor, 3);
    ck_assert_uint_eq(s.temporary_ttl, 9);
    ck_assert_uint_eq(s.idle_timeout_s, 8);
    ck_assert_uint_eq(s.watcher_logbuf_size, 1024);
    ck_assert_uint_eq(s.worker_logbuf_size, 2048);
    ck_assert_uint_eq(s.read_buf_mem_limit, 3u * 1024 * 1024);
    ck_assert_uint_eq(s.sock_cookie_id, UINT32_MAX);
    options_free(&s);
    ck_assert_int_eq(parse("-o no_modern", &line, &s, &report), OPTIONS_RUN);
    ck_assert(!s.lru_segmented && !s.lru_maintainer && !s.lru_crawler && !s.slab_reassign &&
              !s.maxconns_fast);
    ck_assert_uint_eq(s.slab_chunk_max, 1024u * 1024);
    options_free(&s);
}
END_TEST

static const struct {
    const char *words;
    int port;
} tcp_cases[] = {
    { "", 11211 },
    { "-s /x", 0 },
    { "-s /x -p 11211", 11211 },
    { "-p 9 -s /x", 9 },
    { "-s /x -l 127.0.0.1", 11211 },
    { "-p abc", 0 },
    { "-U 0", 11211 },
    { "-U 22", 22 },
    { "-U -1", -1 },
    { "-U 22 -U 0", 11211 },
    { "-U 22 -p 33", 33 },
    { "-p 0 -U 22", 0 },
    { "-U abc", 11211 },
    { "-U 22 -s /x", 0 },
};

START_TEST(unix_socket_alone_turns_tcp_off)
{
    struct line line;
    struct settings settings;
    struct options_report report;
    ck_assert_int_eq(parse(tcp_cases[_i].words, &line, &settings, &report), OPTIONS_RUN);
    ck_assert_int_eq(settings.port, tcp_cases[_i].port);
    options_free(&settings);
}
END_TEST

static const struct {
    const char *words;
    int port;
} udp_cases[] = {
    { "", 0 },       { "-U 0", 0 },         { "-U 22", 22 },     { "-U 65535", 65535 },
    { "-U -1", -1 }, { "-U 22 -p 33", 22 }, { "-U abc", 0 },     { "-U 22 -s /x", 0 },
    { "-s /x", 0 },  { "-p 33", 0 },        { "-U 22 -U 0", 0 }, { "-U 22 -s /x -l h -p 1", 0 },
};

START_TEST(udp_is_off_unless_asked_for)
{
    struct line line;
    struct settings settings;
    struct options_report report;
    ck_assert_int_eq(parse(udp_cases[_i].words, &line, &settings, &report), OPTIONS_RUN);
    ck_assert_int_eq(settings.udp_port, udp_cases[_i].port);
    options_free(&settings);
}
END_TEST

START_TEST(blanks_before_a_value_are_left_out)
{
    struct line line;
    struct settings settings;
    struct options_report report;
    ck_assert_int_eq(
        parse("-p ~22 -u ~~root -m ~5 -l ~::1 -o ~idle_timeout=3", &line, &settings, &report),
        OPTIONS_RUN);
    ck_assert_int_eq(settings.port, 22);
    ck_assert_str_eq(settings.user, "root");
    ck_assert_str_eq(settings.listen[0], "::1");
    ck_assert_uint_eq(settings.idle_timeout_s, 3);
    options_free(&settings);
}
END_TEST

START_TEST(doubtful_input_is_taken_with_a_warning)
{
    struct line line;
    struct settings settings;
    struct options_report report;
    ck_assert_int_eq(parse("-p abc -t 65 -o resp_obj_mem_limit=5 stray", &line, &settings, &report),
                     OPTIONS_RUN);
    ck_assert_ptr_nonnull(strstr(report.warnings, "-p abc"));
    ck_assert_ptr_nonnull(
        strstr(report.warnings, "Setting a high number of worker threads is not recommended."));
    ck_assert_ptr_nonnull(
        strstr(report.warnings, "DEPRECATED: resp_obj_mem_limit no longer used."));
    ck_assert_ptr_nonnull(strstr(report.warnings, "stray"));
    options_free(&settings);
}
END_TEST

START_TEST(more_addresses_than_there_is_room_for_are_refused)
{
    struct settings settings;
    struct options_report report;
    char list[LISTEN_ADDRESSES_MAX * 4 + 8] = "";
    for (unsigned i = 0; i < LISTEN_ADDRESSES_MAX; i++) {
        memcpy(list + (size_t)i * 4, "::1,", 4);
    }
    char *argv[] = { (char[]){ "larder" }, (char[]){ "-l" }, list, NULL };
    ck_assert_int_eq(options_parse(3, argv, &settings, &report), OPTIONS_RUN);
    ck_assert_uint_eq(settings.listen_count, LISTEN_ADDRESSES_MAX);
    options_free(&settings);
    memcpy(list + (size_t)LISTEN_ADDRESSES_MAX * 4, "::1", 4);
    ck_assert_int_eq(options_parse(3, argv, &settings, &report), OPTIONS_BAD);
    ck_assert_int_eq(report.exit_code, 1);
    options_free(&settings);
}
END_TEST

START_TEST(help_version_license_end_the_parsing)
{
    struct line line;
    struct settings settings;
    struct options_report report;
    ck_assert_int_eq(parse("-h -Q", &line, &settings, &report), OPTIONS_HELP);
    options_free(&settings);
    ck_assert_int_eq(parse("--help", &line, &settings, &report), OPTIONS_HELP);
    options_free(&settings);
    ck_assert_int_eq(parse("-l ::1 -V", &line, &settings, &report), OPTIONS_VERSION);
    options_free(&settings);
    ck_assert_int_eq(parse("-i", &line, &settings, &report), OPTIONS_LICENSE);
    options_free(&settings);
}
END_TEST

START_TEST(help_names_every_option_and_no_missing_feature)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(out);
    options_print_help(out);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_int_eq(strncmp(text, "memcached 1.6.45\nlarder ", 24), 0);
#ifdef HAVE_SASL
    const char *shorts = "pUsaAldrumMckvhiVPfnLDtRCbBIFXWNoYS";
#else
    const char *shorts = "pUsaAldrumMckvhiVPfnLDtRCbBIFXWNoY";
#endif
    for (const char *at = shorts; *at != '\0'; at++) {
        char wanted[5] = { '\n', '-', *at, '\0' };
        ck_assert_msg(strstr(text, wanted) != NULL, "-%c", *at);
    }
    ck_assert_ptr_null(strstr(text, "proxy_config"));
    ck_assert_ptr_null(strstr(text, "ext_path"));
    ck_assert_ptr_nonnull(strstr(text, "allocator"));
    free(text);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("options");
    TCase *tcase = tcase_create("options");
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, wrong_option_is_named_with_its_value_and_exit_code, 0,
                        (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_loop_test(tcase, right_option_is_taken, 0, (int)(sizeof(good) / sizeof(good[0])));
    tcase_add_test(tcase, logins_choose_the_protocol);
#ifdef HAVE_TLS
    tcase_add_test(tcase, tls_options_arrive_in_settings);
#endif
    tcase_add_test(tcase, short_options_arrive_in_settings);
    tcase_add_test(tcase, long_options_arrive_in_settings);
    tcase_add_test(tcase, suboptions_arrive_in_settings);
    tcase_add_loop_test(tcase, unix_socket_alone_turns_tcp_off, 0,
                        (int)(sizeof(tcp_cases) / sizeof(tcp_cases[0])));
    tcase_add_loop_test(tcase, udp_is_off_unless_asked_for, 0,
                        sizeof(udp_cases) / sizeof(udp_cases[0]));
    tcase_add_test(tcase, blanks_before_a_value_are_left_out);
    tcase_add_test(tcase, doubtful_input_is_taken_with_a_warning);
    tcase_add_test(tcase, more_addresses_than_there_is_room_for_are_refused);
    tcase_add_test(tcase, help_version_license_end_the_parsing);
    tcase_add_test(tcase, help_names_every_option_and_no_missing_feature);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
