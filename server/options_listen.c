/* The addresses of -l. */
#include "config.h"

#include "options_priv.h"

#include "base/assert.h"
#include "net/address.h"

#include <stdlib.h>
#include <string.h>

void
options_free_listen(struct settings *settings)
{
    for (unsigned i = 0; i < settings->listen_count; i++) {
        free((char *)(uintptr_t)settings->listen[i]);
        settings->listen[i] = NULL;
    }
    settings->listen_count = 0;
}

bool
options_take_listen(struct parser *parser, const char *text)
{
    struct settings *settings = parser->settings;
    if (parser->listen_from_config && parser->config_path == NULL) {
        options_free_listen(settings);
        parser->listen_from_config = false;
    }
    unsigned before = settings->listen_count;
    const char *at = text;
    while (*at != '\0') {
        size_t len = strcspn(at, ",;");
        if (len > 0) {
            if (settings->listen_count == LISTEN_ADDRESSES_MAX) {
                return options_fail(parser, OPTIONS_EXIT_BAD, "-l %s: more than %u addresses", text,
                                    LISTEN_ADDRESSES_MAX);
            }
            char *element = strndup(at, len);
            if (element == NULL) {
                return options_fail(parser, OPTIONS_EXIT_OS, "out of memory");
            }
            settings->listen[settings->listen_count++] = element;
        }
        at += len;
        at += *at != '\0' ? 1 : 0;
    }
    if (settings->listen_count == before) {
        return options_fail(
            parser, OPTIONS_EXIT_OS,
            "failed to listen on one of interface(s) %s: -l takes host[:port], * for any", text);
    }
    parser->listen_from_config = parser->config_path != NULL;
    return true;
}

/** Whether what else was asked for allows such a listener. */
static bool
check_address(struct parser *parser, const char *text, const struct listen_spec *spec)
{
    const struct settings *settings = parser->settings;
    bool guarded = settings->auth_file != NULL || settings->sasl_enabled;
    if (guarded && spec->protocol != settings->protocol) {
        return options_fail(parser, OPTIONS_EXIT_USAGE,
                            "-l %.300s: with %s only %s can log in: proto[%s] is right", text,
                            settings->sasl_enabled ? "-S" : "-Y",
                            settings->sasl_enabled ? "the binary protocol" : "the text protocol",
                            settings->sasl_enabled ? "binary" : "ascii");
    }
    /* notls: without -Z asks for what is: let it be. */
    if (!settings->ssl_enabled && (spec->tls == TLS_MODE_BASIC || spec->tls == TLS_MODE_MUTUAL)) {
        return options_fail(parser, OPTIONS_EXIT_OS,
                            "'%s' option is valid only when SSL is enabled: add -Z\n"
                            "failed to listen on one of interface(s) %.300s",
                            spec->tls == TLS_MODE_BASIC ? "btls" : "mtls", text);
    }
    return true;
}

/** What `stats settings` shows; `len` bytes with the NUL. */
static bool
join_addresses(struct parser *parser, size_t len)
{
    struct settings *settings = parser->settings;
    char *joined = malloc(len);
    if (joined == NULL) {
        return options_fail(parser, OPTIONS_EXIT_OS, "out of memory");
    }
    char *at = joined;
    for (unsigned i = 0; i < settings->listen_count; i++) {
        if (i > 0) {
            *at++ = ',';
        }
        at = stpcpy(at, settings->listen[i]);
    }
    assert((size_t)(at - joined) < len);
    settings->listen_text = joined;
    return true;
}

bool
options_check_listen(struct parser *parser)
{
    struct settings *settings = parser->settings;
    size_t joined_len = 1;
    bool is_mutual = false;
    for (unsigned i = 0; i < settings->listen_count; i++) {
        struct listen_spec spec;
        char error[OPTIONS_TEXT_CAP / 2];
        switch (listen_spec_parse(settings->listen[i], settings->protocol, &spec, error,
                                  sizeof(error))) {
        case LISTEN_SPEC_OK:
            break;
        case LISTEN_SPEC_BAD:
            return options_fail(parser, OPTIONS_EXIT_OS,
                                "%s\nfailed to listen on one of interface(s) %.300s", error,
                                settings->listen[i]);
        case LISTEN_SPEC_NOT_BUILT:
            return options_fail(parser, OPTIONS_EXIT_USAGE, "%s", error);
        }
        if (!check_address(parser, settings->listen[i], &spec)) {
            return false;
        }
        is_mutual = is_mutual || spec.tls == TLS_MODE_MUTUAL;
        joined_len += strlen(settings->listen[i]) + 1;
    }
    return options_check_tls(parser, is_mutual || settings->ssl_verify_mode > 0) &&
           (settings->listen_count == 0 || join_addresses(parser, joined_len));
}
