/* The command line.  Source: section 2 of the contract; texts and exit codes as memcached gives
 * them, with the option and the value that it leaves out. */
#include "config.h"

#include "options_priv.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_LIMIT_MIN OPTIONS_MIB           /* bytes; of cache_create() */
#define MEMORY_LIMIT_MAX (UINT64_C(1) << 50)   /* bytes; above is a mistake */
#define ITEM_SIZE_MIN    1024u                 /* bytes */
#define ITEM_SIZE_LIMIT  (1024u * 1024 * 1024) /* bytes */
#define THREADS_MANY     64u                   /* more of them are warned of */

/** A whole number above zero; `what` is memcached's words for the error. */
static bool
take_positive(struct parser *parser, int option, const char *text, const char *what, unsigned max,
              unsigned *out)
{
    int64_t value = 0;
    if (!options_integer(text, INT64_MIN, INT64_MAX, &value) || value <= 0) {
        return options_fail(parser, OPTIONS_EXIT_BAD, "%s must be greater than 0: -%c %s", what,
                            option, text);
    }
    if (value > max) {
        return options_fail(parser, OPTIONS_EXIT_BAD, "%s must be at most %u: -%c %s", what, max,
                            option, text);
    }
    *out = (unsigned)value;
    return true;
}

/* -- options with a value ---------------------------------------------------------------------- */

/** `none` names what 0 leaves out. */
static bool
take_port(struct parser *parser, int option, const char *none, const char *text, int *out)
{
    int64_t port = 0;
    if (!options_integer(text, INT64_MIN, INT64_MAX, &port)) {
        options_warn(parser,
                     "WARNING: -%c %s is no number: taken as 0, no %s; 1 to 65535, or -1 for any"
                     " free one",
                     option, text, none);
        port = 0;
    }
    if (port > 65535 || port < -1) {
        return options_fail(parser, OPTIONS_EXIT_USAGE,
                            "ERROR: Invalid port number %s.\n"
                            "-%c takes 1 to 65535, 0 for none, -1 for any free one",
                            text, option);
    }
    *out = (int)port;
    return true;
}

static bool
take_unix_mask(struct parser *parser, const char *text)
{
    char *end = NULL;
    unsigned long mask = strtoul(text, &end, 8);
    if (*text < '0' || *text > '7' || *end != '\0' || mask > 0777) {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "-a %s: an access mask in octal is right, such as 0755", text);
    }
    parser->settings->unix_mask = (unsigned)mask;
    return true;
}

static bool
take_memory_limit(struct parser *parser, const char *text)
{
    uint64_t bytes = 0;
    if (!options_bytes(text, OPTIONS_MIB, &bytes) || bytes > MEMORY_LIMIT_MAX) {
        return options_fail(
            parser, OPTIONS_EXIT_USAGE,
            "-m %s: a number of megabytes is right, or one with k, m or g behind it", text);
    }
    /* relaxed: no other thread runs yet */
    atomic_store_explicit(&parser->settings->memory_limit, bytes, memory_order_relaxed);
    return true;
}

static bool
take_item_size(struct parser *parser, const char *text)
{
    uint64_t bytes = 0;
    if (!options_bytes(text, 1, &bytes)) {
        return options_fail(parser, OPTIONS_EXIT_USAGE,
                            "Item max size cannot be less than 1024 bytes.\n"
                            "-I %s: a number of bytes is right, or one with k, m or g behind it",
                            text);
    }
    if (bytes < ITEM_SIZE_MIN) {
        return options_fail(parser, OPTIONS_EXIT_USAGE,
                            "Item max size cannot be less than 1024 bytes.\n-I %s", text);
    }
    if (bytes > ITEM_SIZE_LIMIT) {
        return options_fail(parser, OPTIONS_EXIT_USAGE,
                            "Cannot set item size limit higher than a gigabyte.\n-I %s", text);
    }
    parser->settings->item_size_max = (uint32_t)bytes;
    return true;
}

static bool
take_factor(struct parser *parser, const char *text)
{
    double factor = 0;
    if (!options_real(text, &factor) || factor <= 1.0) {
        return options_fail(parser, OPTIONS_EXIT_BAD, "Factor must be greater than 1: -f %s", text);
    }
    parser->settings->growth_factor = factor;
    return true;
}

static bool
take_protocol(struct parser *parser, const char *text)
{
    parser->protocol_given = true;
    if (strcmp(text, "auto") == 0) {
        parser->settings->protocol = PROTOCOL_AUTO;
    } else if (strcmp(text, "ascii") == 0) {
        parser->settings->protocol = PROTOCOL_ASCII;
    } else if (strcmp(text, "binary") == 0) {
        parser->settings->protocol = PROTOCOL_BINARY;
    } else {
        return options_fail(
            parser, OPTIONS_EXIT_USAGE,
            "Invalid value for binding protocol: %s\n -- should be one of auto, binary, or ascii",
            text);
    }
    return true;
}

static bool
take_threads(struct parser *parser, const char *text)
{
    if (!take_positive(parser, 't', text, "Number of threads", OPTIONS_THREADS_MAX,
                       &parser->settings->threads)) {
        return false;
    }
    if (parser->settings->threads > THREADS_MANY) {
        options_warn(parser,
                     "WARNING: Setting a high number of worker threads is not recommended.\n"
                     " Set this value to the number of cores in your machine or less.");
    }
    return true;
}

static bool
take_backlog(struct parser *parser, const char *text)
{
    int64_t backlog = 0;
    if (!options_integer(text, INT32_MIN, INT32_MAX, &backlog)) {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "-b %s: a number of waiting connections is right", text);
    }
    parser->settings->backlog = (int)backlog;
    return true;
}

static bool
take_prefix_delimiter(struct parser *parser, const char *text)
{
    if (*text == '\0') {
        return options_fail(parser, OPTIONS_EXIT_BAD, "-D: one character is right");
    }
    parser->settings->prefix_delimiter = *text;
    /* relaxed: no other thread runs yet */
    atomic_store_explicit(&parser->settings->detail_enabled, true, memory_order_relaxed);
    return true;
}

/* -- the list ---------------------------------------------------------------------------------- */

static const char short_options[] = ":a:Ab:B:c:CdD:e:f:Fhi"
                                    "I:kl:Lm:Mn:N:o:p:P:rR:s:St:u:U:vVWXY:Z";

#define OPTION_CONFIG 256 /* has no letter */

static const struct option long_options[] = {
    { "port", required_argument, NULL, 'p' },
    { "udp-port", required_argument, NULL, 'U' },
    { "unix-socket", required_argument, NULL, 's' },
    { "unix-mask", required_argument, NULL, 'a' },
    { "enable-shutdown", no_argument, NULL, 'A' },
    { "listen", required_argument, NULL, 'l' },
    { "daemon", no_argument, NULL, 'd' },
    { "enable-coredumps", no_argument, NULL, 'r' },
    { "user", required_argument, NULL, 'u' },
    { "memory-limit", required_argument, NULL, 'm' },
    { "disable-evictions", no_argument, NULL, 'M' },
    { "conn-limit", required_argument, NULL, 'c' },
    { "lock-memory", no_argument, NULL, 'k' },
    { "verbose", optional_argument, NULL, 'v' }, /* memcached's looks at no value either */
    { "help", no_argument, NULL, 'h' },
    { "license", no_argument, NULL, 'i' },
    { "version", no_argument, NULL, 'V' },
    { "pidfile", required_argument, NULL, 'P' },
    { "slab-growth-factor", required_argument, NULL, 'f' },
    { "slab-min-size", required_argument, NULL, 'n' },
    { "enable-largepages", no_argument, NULL, 'L' },
    { "delimiter", required_argument, NULL, 'D' },
    { "threads", required_argument, NULL, 't' },
    { "max-reqs-per-event", required_argument, NULL, 'R' },
    { "disable-cas", no_argument, NULL, 'C' },
    { "listen-backlog", required_argument, NULL, 'b' },
    { "protocol", required_argument, NULL, 'B' },
    { "max-item-size", required_argument, NULL, 'I' },
    { "enable-sasl", no_argument, NULL, 'S' },
    { "disable-flush-all", no_argument, NULL, 'F' },
    { "disable-dumping", no_argument, NULL, 'X' },
    { "disable-watch", no_argument, NULL, 'W' },
    { "auth-file", required_argument, NULL, 'Y' },
    { "memory-file", required_argument, NULL, 'e' },
    { "enable-ssl", no_argument, NULL, 'Z' },
    { "napi-ids", required_argument, NULL, 'N' },
    { "napi_ids", required_argument, NULL, 'N' },
    { "extended", required_argument, NULL, 'o' },
    { "config", required_argument, NULL, OPTION_CONFIG },
    { NULL, 0, NULL, 0 },
};

/** memcached's options whose function this build has not. */
static bool
refuse(struct parser *parser, int option)
{
    const char *what =
        option == 'S' ? "-S (--enable-sasl): this build of larder has no SASL, which needs"
                        " libsasl2-dev when it is configured"
                      : "-Z (--enable-ssl): this build of larder has no TLS, which needs"
                        " libssl-dev when it is configured";
    return options_fail(parser, OPTIONS_EXIT_USAGE, "%s", what);
}

/** Notes what the command line itself asks to listen on: see options_listen_beside(). */
static void
note_asked(struct parser *parser, int option)
{
    struct settings *settings = parser->settings;
    if (parser->config_path == NULL) {
        settings->tcp_asked = settings->tcp_asked || option == 'p' || option == 'l';
        settings->udp_asked = settings->udp_asked || option == 'U';
        settings->unix_asked = settings->unix_asked || option == 's';
    }
}

#define FIELD(name) offsetof(struct settings, name)

/** Options that set a switch. */
static const struct {
    int option;
    size_t field; /* of struct settings, a bool */
} switches[] = {
    { 'A', FIELD(shutdown_enabled) },   { 'C', FIELD(cas_disabled) },  { 'd', FIELD(daemonize) },
    { 'F', FIELD(flush_disabled) },     { 'k', FIELD(lock_memory) },   { 'L', FIELD(large_pages) },
    { 'M', FIELD(evictions_disabled) }, { 'r', FIELD(coredumps) },
#ifdef HAVE_SASL
    { 'S', FIELD(sasl_enabled) },
#endif
    { 'W', FIELD(watch_disabled) },     { 'X', FIELD(dump_disabled) },
#ifdef HAVE_TLS
    { 'Z', FIELD(ssl_enabled) },
#endif
};

/** Options whose value is a text, which is borrowed. */
static const struct {
    int option;
    size_t field; /* of struct settings, a const char * */
} texts[] = {
    { 'e', FIELD(memory_file) }, { 'P', FIELD(pid_file) },  { 's', FIELD(unix_path) },
    { 'u', FIELD(user) },        { 'Y', FIELD(auth_file) },
};

/** Whether it was one of the two kinds above. */
static bool
take_plain(struct settings *settings, int option, const char *text)
{
    for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
        if (switches[i].option == option) {
            *(bool *)((char *)settings + switches[i].field) = true;
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].option == option) {
            *(const char **)(void *)((char *)settings + texts[i].field) = text;
            return true;
        }
    }
    return false;
}

/** One option; `text` is its value without leading blanks, or empty. */
static bool
take_option(struct parser *parser, int option, const char *text)
{
    struct settings *settings = parser->settings;
    note_asked(parser, option);
    if (take_plain(settings, option, text)) {
        return true;
    }
    switch (option) {
    case 'a':
        return take_unix_mask(parser, text);
    case 'b':
        return take_backlog(parser, text);
    case 'B':
        return take_protocol(parser, text);
    case 'c':
        return take_positive(parser, option, text, "Maximum connections", INT32_MAX,
                             &settings->conns_max);
    case 'D':
        return take_prefix_delimiter(parser, text);
    case 'f':
        return take_factor(parser, text);
    case 'I':
        return take_item_size(parser, text);
    case 'l':
        return options_take_listen(parser, text);
    case 'm':
        return take_memory_limit(parser, text);
    case 'n':
        return take_positive(parser, option, text, "Chunk size", PAGE_OF_MEMCACHED / 2,
                             &settings->chunk_min);
    case 'N':
        return take_positive(parser, option, text, "Maximum number of NAPI IDs", INT32_MAX,
                             &settings->napi_ids);
    case 'o':
        return options_extended(parser, text);
    case 'p':
        parser->port_given = true;
        return take_port(parser, option, "TCP port", text, &settings->port);
    case 'R':
        return take_positive(parser, option, text, "Number of requests per event", INT32_MAX,
                             &settings->reqs_per_event);
    case 't':
        return take_threads(parser, text);
    case 'U':
        return take_port(parser, option, "UDP", text, &settings->udp_port);
    case 'v':
        /* relaxed: no other thread runs yet */
        (void)atomic_fetch_add_explicit(&settings->verbosity, 1, memory_order_relaxed);
        return true;
    default:
        return refuse(parser, option);
    }
}

/* -- all together ------------------------------------------------------------------------------ */

static bool
check_sizes(struct parser *parser)
{
    const struct settings *settings = parser->settings;
    /* relaxed: no other thread runs yet */
    uint64_t limit = atomic_load_explicit(&settings->memory_limit, memory_order_relaxed);
    uint32_t item_max = settings->item_size_max;
    uint32_t chunk_max = settings->slab_chunk_max;
    if (item_max > limit / 2) {
        return options_fail(parser, OPTIONS_EXIT_USAGE,
                            "Cannot set item size limit higher than 1/2 of memory max.\n"
                            "-I is %u bytes, -m %llu bytes: lower -I or raise -m",
                            item_max, (unsigned long long)limit);
    }
    if (limit < MEMORY_LIMIT_MIN) {
        return options_fail(parser, OPTIONS_EXIT_USAGE,
                            "-m: %llu bytes are too few, 1m is the least",
                            (unsigned long long)limit);
    }
    if (chunk_max > item_max) {
        return options_fail(
            parser, OPTIONS_EXIT_USAGE,
            "slab_chunk_max (bytes: %u) cannot be larger than -I (item_size_max %u)\n"
            "-o slab_chunk_max takes kilobytes: lower it, or raise -I",
            chunk_max, item_max);
    }
    if (item_max % chunk_max != 0) {
        return options_fail(
            parser, OPTIONS_EXIT_USAGE,
            "-I (item_size_max: %u) must be evenly divisible by slab_chunk_max (bytes: %u)",
            item_max, chunk_max);
    }
    if (PAGE_OF_MEMCACHED % chunk_max != 0) {
        return options_fail(
            parser, OPTIONS_EXIT_USAGE,
            "slab_chunk_max (bytes: %u) must divide evenly into %u (slab_page_size)", chunk_max,
            PAGE_OF_MEMCACHED);
    }
    return true;
}

static bool
check_together(struct parser *parser)
{
    struct settings *settings = parser->settings;
    if (settings_get(settings, hot_lru_pct) + settings_get(settings, warm_lru_pct) > 80) {
        return options_fail(
            parser, OPTIONS_EXIT_USAGE,
            "hot_lru_pct + warm_lru_pct cannot be more than 80%% combined: they are %u and %u",
            settings_get(settings, hot_lru_pct), settings_get(settings, warm_lru_pct));
    }
    if (parser->temporary_ttl_given && settings_get(settings, temp_lru) &&
        !settings->lru_maintainer) {
        return options_fail(parser, OPTIONS_EXIT_USAGE,
                            "temporary_ttl requires lru_maintainer to be enabled");
    }
    if (settings->napi_ids > settings->threads) {
        return options_fail(parser, OPTIONS_EXIT_USAGE,
                            "Number of napi_ids(%u) cannot be greater than number of threads(%u)",
                            settings->napi_ids, settings->threads);
    }
    if (settings->conns_max < settings->threads) {
        return options_fail(
            parser, OPTIONS_EXIT_BAD,
            "Maxconns setting is too low, use -c to increase.\n-c %u: at least one for each of the %u threads (-t)",
            settings->conns_max, settings->threads);
    }
    if (settings->unix_path != NULL && settings->listen_count == 0 && !parser->port_given) {
        settings->port = 0;
    } else if (settings->udp_port != 0 && !parser->port_given) {
        settings->port = settings->udp_port;
    }
    if (settings->unix_path != NULL && settings->udp_port != 0) {
        options_warn(parser, "WARNING: no UDP port is opened with a unix socket (-s): -U %d",
                     settings->udp_port);
        settings->udp_port = 0;
    }
    if (settings->ssl_enabled && settings->udp_port != 0) {
        options_warn(parser, "WARNING: UDP is plain, also with -Z: -U %d", settings->udp_port);
    }
    return check_sizes(parser) && options_check_logins(parser) && options_check_listen(parser);
}

/** What getopt_long() did not take; its own words. */
static bool
fail_unknown(struct parser *parser, int found, char **argv)
{
    const char *word = argv[optind - 1];
    bool is_long = strncmp(word, "--", 2) == 0;
    if (found == ':' && is_long) {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "%s: option '%s' requires an argument\nIllegal argument \"?\"", argv[0],
                            word);
    }
    if (found == ':') {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "%s: option requires an argument -- '%c'\nIllegal argument \"?\"",
                            argv[0], optopt);
    }
    if (!is_long) {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "%s: invalid option -- '%c'\nIllegal argument \"?\"", argv[0], optopt);
    }
    size_t name_len = strcspn(word + 2, "=");
    unsigned matches = 0;
    char names[OPTIONS_TEXT_CAP / 2] = "";
    size_t used = 0;
    for (const struct option *option = long_options; option->name != NULL; option++) {
        if (strncmp(option->name, word + 2, name_len) == 0 && used < sizeof(names)) {
            matches++;
            used += (size_t)snprintf(names + used, sizeof(names) - used, " '--%s'", option->name);
        }
    }
    if (matches > 1) {
        return options_fail(
            parser, OPTIONS_EXIT_BAD,
            "%s: option '%.100s' is ambiguous; possibilities:%s\nIllegal argument \"?\"", argv[0],
            word, names);
    }
    if (matches == 1) {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "%s: option%s doesn't allow an argument\nIllegal argument \"?\"",
                            argv[0], names);
    }
    return options_fail(parser, OPTIONS_EXIT_BAD,
                        "%s: unrecognized option '%.200s'\nIllegal argument \"?\"", argv[0], word);
}

/** From the first word on, also when it is called again. */
static void
restart_getopt(void)
{
#ifdef __GLIBC__
    optind = 0;
#else
    optind = 1;
#endif
    opterr = 0;
}

/** -d and -h of a file are left out, as Debian's wrapper does: who starts the server says whether
 * it is a daemon. */
static bool
take_in_config(struct parser *parser, int option, const char *text)
{
    switch (option) {
    case 'd':
    case 'h':
        return true;
    case 'i':
    case 'V':
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "-%c belongs on the command line, and into no file", option);
    case OPTION_CONFIG:
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "--config %.200s: a file cannot name another one", text);
    default:
        return take_option(parser, option, text);
    }
}

bool
options_take_words(struct parser *parser, int argc, char **argv)
{
    restart_getopt();
    for (;;) {
        int found = getopt_long(argc, argv, short_options, long_options, NULL);
        const char *text = optarg != NULL ? optarg + strspn(optarg, " \t") : "";
        bool taken = true;
        if (found == -1) {
            break;
        }
        if (found == '?' || found == ':') {
            taken = fail_unknown(parser, found, argv);
        } else if (parser->config_path != NULL) {
            taken = take_in_config(parser, found, text);
        } else {
            switch (found) {
            case 'h':
                parser->ends = OPTIONS_HELP;
                return false;
            case 'V':
                parser->ends = OPTIONS_VERSION;
                return false;
            case 'i':
                parser->ends = OPTIONS_LICENSE;
                return false;
            case OPTION_CONFIG:
                break; /* see find_config() */
            default:
                taken = take_option(parser, found, text);
                break;
            }
        }
        if (!taken) {
            return false;
        }
    }
    for (int i = optind; i < argc; i++) {
        options_warn(parser, "WARNING: \"%.100s\" is no option: left out", argv[i]);
    }
    return true;
}

/** The file of --config, which comes before all other options: they win.  NULL for none.  What is
 * wrong with the others is told in its turn. */
static bool
find_config(struct parser *parser, int argc, char **argv, const char **path)
{
    *path = NULL;
    restart_getopt();
    for (;;) {
        int found = getopt_long(argc, argv, short_options, long_options, NULL);
        if (found == -1 || found == 'h' || found == 'V' || found == 'i') {
            return true;
        }
        if (found != OPTION_CONFIG) {
            continue;
        }
        if (*path != NULL) {
            return options_fail(parser, OPTIONS_EXIT_BAD,
                                "--config is given twice, %.200s and %.200s: one file is right",
                                *path, optarg);
        }
        *path = optarg;
    }
}

enum options_result
options_parse(int argc, char **argv, struct settings *settings, struct options_report *report)
{
    settings_init(settings);
    *report = (struct options_report){ .exit_code = 0 };
    struct parser parser = { .settings = settings, .report = report, .ends = OPTIONS_RUN };
    const char *config = NULL;
    if (!find_config(&parser, argc, argv, &config) ||
        (config != NULL && !options_take_config(&parser, config))) {
        return OPTIONS_BAD;
    }
    if (!options_take_words(&parser, argc, argv)) {
        return parser.ends != OPTIONS_RUN ? parser.ends : OPTIONS_BAD;
    }
    return check_together(&parser) ? OPTIONS_RUN : OPTIONS_BAD;
}

void
options_listen_beside(struct settings *settings, unsigned sockets)
{
    settings->sockets_handed_over = sockets;
    if (sockets == 0) {
        return;
    }
    if (!settings->tcp_asked) {
        settings->port = 0;
    }
    if (!settings->udp_asked) {
        settings->udp_port = 0;
    }
    if (!settings->unix_asked) {
        settings->unix_path = NULL;
    }
}

void
options_free(struct settings *settings)
{
    options_free_listen(settings);
    free((char *)(uintptr_t)settings->listen_text);
    settings->listen_text = NULL;
    free(settings->config_text);
    settings->config_text = NULL;
    const char **const owned[] = { &settings->ssl_chain_cert, &settings->ssl_key,
                                   &settings->ssl_ciphers,    &settings->ssl_ca_cert,
                                   &settings->mysql_hook,     &settings->metrics,
                                   &settings->load_file,      &settings->load_if_there,
                                   &settings->snapshot_dir };
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) {
        free((char *)(uintptr_t)*owned[i]);
        *owned[i] = NULL;
    }
}
