/* -Y and -S: each guards one protocol, which is then the only one. */
#include "config.h"

#include "options_priv.h"

bool
options_check_logins(struct parser *parser)
{
    struct settings *settings = parser->settings;
    if (settings->auth_file != NULL) {
        if (parser->protocol_given && settings->protocol != PROTOCOL_ASCII) {
            return options_fail(parser, OPTIONS_EXIT_USAGE,
                                "ERROR: You cannot allow the BINARY protocol while using ascii"
                                " authentication tokens.\n-Y needs -B ascii");
        }
        if (settings->sasl_enabled) {
            return options_fail(parser, OPTIONS_EXIT_USAGE,
                                "ERROR: You cannot allow the ASCII protocol while using SASL.\n"
                                "-S and -Y exclude each other");
        }
        if (settings->udp_port != 0) {
            return options_fail(
                parser, OPTIONS_EXIT_USAGE,
                "Cannot use UDP with ascii authentication enabled (-U 0 to disable)");
        }
        settings->protocol = PROTOCOL_ASCII;
    }
    if (settings->sasl_enabled) {
        if (parser->protocol_given && settings->protocol != PROTOCOL_BINARY) {
            return options_fail(parser, OPTIONS_EXIT_USAGE,
                                "ERROR: You cannot allow the ASCII protocol while using SASL.\n"
                                "-S needs -B binary");
        }
        if (settings->udp_port != 0) {
            return options_fail(parser, OPTIONS_EXIT_USAGE,
                                "ERROR: Cannot enable UDP while using binary SASL authentication.\n"
                                "-S needs -U 0");
        }
        settings->protocol = PROTOCOL_BINARY;
    }
    return true;
}
