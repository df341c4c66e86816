/* -Z and the suboptions ssl_* of -o that are more than a text or a switch. */
#include "config.h"

#include "options_priv.h"

#include <string.h>
#include <strings.h>

#define SSL_WBUF_KIB_MAX 16384

#ifdef HAVE_TLS
/** One of a few small numbers; `values` are words for them. */
static bool
take_ssl_number(struct parser *parser, const char *name, const char *value, const char *values,
                int64_t max, int64_t *out)
{
    if (value == NULL || *value == '\0') {
        return options_fail(parser, OPTIONS_EXIT_BAD, "Missing %s argument: -o %s=<%s>", name, name,
                            values);
    }
    if (!options_integer(value, INT32_MIN, INT32_MAX, out)) {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "could not parse argument to %s: -o %s=%s, where %s is right", name,
                            name, value, values);
    }
    if (*out < 0 || *out > max) {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "Invalid %s. Use help to see valid options.\n"
                            "-o %s=%s, where %s is right",
                            name, name, value, values);
    }
    return true;
}

bool
options_take_ssl_keyformat(struct parser *parser, const char *value)
{
    static const char *const words[] = { "PEM", "1", "DER", "2" };
    if (value == NULL || *value == '\0') {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "Missing ssl_keyformat argument: -o ssl_keyformat=<PEM or DER>");
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(value, words[i]) == 0) {
            parser->settings->ssl_keyformat = i < 2 ? SSL_KEY_PEM : SSL_KEY_DER;
            return true;
        }
    }
    int64_t number = 0;
    bool is_number = options_integer(value, INT32_MIN, INT32_MAX, &number);
    return options_fail(parser, is_number ? OPTIONS_EXIT_USAGE : OPTIONS_EXIT_BAD,
                        "could not parse argument to ssl_keyformat: -o ssl_keyformat=%s, where PEM"
                        " (or 1) or DER (or 2) is right",
                        value);
}

/** Kilobytes, kept in bytes. */
bool
options_take_ssl_wbuf_size(struct parser *parser, const char *value)
{
    static const char values[] = "1 to 16384 kilobytes";
    int64_t kib = 0;
    if (!take_ssl_number(parser, "ssl_wbuf_size", value, values, SSL_WBUF_KIB_MAX, &kib)) {
        return false;
    }
    if (kib == 0) {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "could not parse argument to ssl_wbuf_size: -o ssl_wbuf_size=%s, where"
                            " %s is right",
                            value, values);
    }
    parser->settings->ssl_wbuf_size = (uint32_t)kib * 1024;
    return true;
}

bool
options_take_ssl_verify_mode(struct parser *parser, const char *value)
{
    static const char values[] = "0 (none), 1 (request), 2 (require) or 3 (once)";
    int64_t mode = 0;
    bool taken = take_ssl_number(parser, "ssl_verify_mode", value, values, 3, &mode);
    parser->settings->ssl_verify_mode = taken ? (unsigned)mode : 0;
    return taken;
}

bool
options_take_ssl_min_version(struct parser *parser, const char *value)
{
    static const char values[] = "0 (tlsv1.0), 1 (tlsv1.1), 2 (tlsv1.2) or 3 (tlsv1.3)";
    int64_t version = 0;
    bool taken = take_ssl_number(parser, "ssl_min_version", value, values, 3, &version);
    parser->settings->ssl_min_version = taken ? (unsigned)version : SSL_MIN_TLS_1_2;
    return taken;
}
#endif

bool
options_check_tls(struct parser *parser, bool verifies)
{
    const struct settings *settings = parser->settings;
    if (!settings->ssl_enabled) {
        return true;
    }
    if (settings->ssl_chain_cert == NULL) {
        return options_fail(parser, OPTIONS_EXIT_USAGE,
                            "Error loading the certificate chain: -Z needs"
                            " -o ssl_chain_cert=<PEM file>,ssl_key=<file>");
    }
    if (verifies && settings->ssl_ca_cert == NULL) {
        options_warn(parser, "WARNING: no client's certificate can be verified without"
                             " -o ssl_ca_cert=<PEM file>");
    }
    return true;
}
