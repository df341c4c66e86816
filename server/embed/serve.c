/* Serving a cache from within its host: settings as the server has them, and a thread that runs the
 * server's main loop.  A part of liblarder-serve. */
#include "config.h"

#include "embed/larder_priv.h"
#include "embed/report.h"

#include "admin/prefix.h"
#include "admin/settings.h"
#include "admin/stats.h"
#include "base/assert.h"
#include "net/address.h"
#include "net/server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_MAX 65535

/* All is constant while its threads run, but for what locks itself. */
struct larder_server {
    struct larder *cache;
    struct settings settings; /* its strings are ours */
    struct server_stats stats;
    struct report report;
    struct server *server;
    pthread_t thread; /* runs the main loop */
    int port;
};

enum larder_result
larder_serve_options_init(struct larder_serve_options *options, uint32_t version)
{
    static const struct larder_serve_options defaults = LARDER_SERVE_OPTIONS_INIT;
    if (options == NULL || version != LARDER_SERVE_OPTIONS_VERSION) {
        return LARDER_BAD_OPTION;
    }
    *options = defaults;
    return LARDER_OK;
}

/* -- settings ---------------------------------------------------------------------------------- */

/** What is out of its range; NULL when nothing is. */
static const char *
bad_option(const struct larder_serve_options *options)
{
    if (options->version != LARDER_SERVE_OPTIONS_VERSION) {
        return "version: this library knows LARDER_SERVE_OPTIONS_VERSION 1";
    }
    if (options->port < -1 || options->port > PORT_MAX) {
        return "port: -1 to 65535";
    }
    if (options->port < 0 && options->unix_path == NULL) {
        return "port is -1 and unix_path is NULL: nobody can connect";
    }
    if (options->unix_path != NULL && options->unix_path[0] == '\0') {
        return "unix_path: an empty path; NULL stands for none";
    }
    if (options->unix_mask > 0777) {
        return "unix_mask: an access mask as 0700, at most 0777";
    }
    if (options->threads < 1 || options->threads > LARDER_SERVE_THREADS) {
        return "threads: 1 to 64";
    }
    if (options->conns_max < 1) {
        return "conns_max: at least 1";
    }
    if (options->tls_cert == NULL && (options->tls_key != NULL || options->tls_ca != NULL)) {
        return "tls_key and tls_ca need tls_cert";
    }
    return NULL;
}

/** A copy of a string of the host's, NULL of NULL.  False without heap. */
static bool
copy_text(const char *text, const char **copy)
{
    *copy = text != NULL ? strdup(text) : NULL;
    return text == NULL || *copy != NULL;
}

/** Whether an address is one, and asks for no TLS where there is none. */
static bool
address_good(const struct settings *settings, const char *address, const struct report_text *error)
{
    struct listen_spec spec;
    char why[LARDER_ERROR_CAP / 2];
    if (listen_spec_parse(address, settings->protocol, &spec, why, sizeof(why)) != LISTEN_SPEC_OK) {
        report_put(error, "listen: %s", why);
        return false;
    }
    bool asks = spec.tls == TLS_MODE_BASIC || spec.tls == TLS_MODE_MUTUAL;
    if ((asks && !settings->ssl_enabled) ||
        (spec.tls == TLS_MODE_MUTUAL && settings->ssl_ca_cert == NULL)) {
        report_put(error, "listen: %.300s needs %s", address,
                   settings->ssl_enabled ? "tls_ca" : "tls_cert");
        return false;
    }
    return true;
}

/** Takes the addresses of a list apart. */
static enum larder_result
take_addresses(struct settings *settings, const char *list, const struct report_text *error)
{
    const char *at = list;
    while (*at != '\0') {
        size_t len = strcspn(at, ",");
        if (settings->listen_count == LISTEN_ADDRESSES_MAX) {
            report_put(error, "listen: more than %u addresses", LISTEN_ADDRESSES_MAX);
            return LARDER_BAD_OPTION;
        }
        char *address = strndup(at, len);
        if (address == NULL) {
            return LARDER_SYSTEM;
        }
        settings->listen[settings->listen_count++] = address;
        if (!address_good(settings, address, error)) {
            return LARDER_BAD_OPTION;
        }
        at += len + (at[len] == ',');
    }
    if (settings->listen_count == 0) {
        report_put(error, "listen: an empty list; NULL stands for all addresses");
        return LARDER_BAD_OPTION;
    }
    return LARDER_OK;
}

/** Fills the settings in by what the host wants. */
static enum larder_result
take_options(struct larder_server *server, const struct larder_serve_options *options,
             const struct report_text *error)
{
    struct settings *settings = &server->settings;
    const char *bad = bad_option(options);
    settings_init(settings);
    if (bad != NULL) {
        report_put(error, "%s", bad);
        return LARDER_BAD_OPTION;
    }
    settings->port = options->port == 0 ? -1 : options->port < 0 ? 0 : options->port;
    settings->unix_mask = options->unix_mask;
    settings->threads = options->threads;
    settings->conns_max = options->conns_max;
    settings->idle_timeout_s = options->idle_timeout_s;
    settings->flush_disabled = options->flush_disabled != 0;
    settings->dump_disabled = options->dump_disabled != 0;
    settings->watch_disabled = true; /* the cache has one observer, the host */
    settings->ssl_enabled = options->tls_cert != NULL;
    settings->ssl_verify_mode = options->tls_ca != NULL ? 2 : 0;
    settings->item_size_max = server->cache->item_size_max;
    settings->cas_disabled = server->cache->cas_disabled;
    settings->evictions_disabled = server->cache->evictions_disabled;
    settings_set(settings, memory_limit, settings_get(server->cache, memory_limit));
    if (!copy_text(options->unix_path, &settings->unix_path) ||
        !copy_text(options->tls_cert, &settings->ssl_chain_cert) ||
        !copy_text(options->tls_key, &settings->ssl_key) ||
        !copy_text(options->tls_ca, &settings->ssl_ca_cert) ||
        !copy_text(options->listen, &settings->listen_text)) {
        return LARDER_SYSTEM;
    }
    return options->listen != NULL && options->port >= 0
               ? take_addresses(settings, options->listen, error)
               : LARDER_OK;
}

static void
free_settings(struct settings *settings)
{
    const char *owned[] = { settings->unix_path, settings->ssl_chain_cert, settings->ssl_key,
                            settings->ssl_ca_cert, settings->listen_text };
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) {
        free((char *)(uintptr_t)owned[i]);
    }
    for (unsigned i = 0; i < settings->listen_count; i++) {
        free((char *)(uintptr_t)settings->listen[i]);
    }
}

/* -- from start to stop ------------------------------------------------------------------------ */

/** server_port_fn: keeps the first. */
static void
note_port(void *arg, const char *transport, int family, unsigned port)
{
    (void)transport;
    (void)family;
    struct larder_server *server = arg;
    server->port = server->port == 0 ? (int)port : server->port;
}

static void *
run_loop(void *arg)
{
    struct larder_server *server = arg;
    server_run(server->server);
    return NULL;
}

/** Starts the main loop's thread, which gets no signals. */
static bool
start_loop(struct larder_server *server)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = thread_start(&server->thread, run_loop, server);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = rc;
    return rc == 0;
}

/** What TLS finds wrong with its files, in the words of the host's options: net/ adds lines that
 * name the server's. */
static void
put_tls_error(const struct report_text *error, const char *why)
{
    report_put(error,
               "%.*s\ntls_cert: a PEM file, the certificate first, then those that vouch for it;"
               " tls_key: its key, without a pass phrase; tls_ca: those that vouch for clients",
               (int)strcspn(why, "\n"), why);
}

/** Loads certificates, and binds the sockets.  LARDER_SYSTEM with errno. */
static enum larder_result
open_sockets(struct larder_server *server, const struct report_text *error)
{
    char why[SERVER_ERROR_CAP] = "";
    struct tls *tls = NULL;
    errno = 0;
    if (server->settings.ssl_enabled && tls_create(&server->settings, &tls, why) != TLS_OK) {
        put_tls_error(error, why);
        errno = errno != 0 ? errno : EINVAL; /* none where the files are there, but wrong */
        return LARDER_SYSTEM;
    }
    if (server_create(&server->settings, &tls, &server->server, why) != SERVER_OK) {
        report_put(error, "%s", why);
        return LARDER_SYSTEM;
    }
    return LARDER_OK;
}

/** Listens and starts the threads; whoever can connect is served. */
static enum larder_result
start(struct larder_server *server, const struct report_text *error)
{
    char why[SERVER_ERROR_CAP] = "";
#ifndef HAVE_TLS
    if (server->settings.ssl_enabled) {
        report_put(error, "tls_cert: this build of larder has no TLS");
        return LARDER_NOT_BUILT;
    }
#endif
    server->stats.prefixes = prefix_stats_create(server->settings.prefix_delimiter);
    if (server->stats.prefixes == NULL) {
        return LARDER_SYSTEM;
    }
    enum larder_result opened = open_sockets(server, error);
    if (opened != LARDER_OK) {
        return opened;
    }
    server->stats.cache = server->cache->cache;
    server->stats.settings = &server->settings;
    server->stats.started_at = clock_unix_s();
    if (server_start(server->server, server->cache->cache, &server->stats, false, why) !=
        SERVER_OK) {
        report_put(error, "%s", why);
        return LARDER_SYSTEM;
    }
    server_ports(server->server, note_port, server);
    return start_loop(server) ? LARDER_OK : LARDER_SYSTEM;
}

/** Frees a server whose loop does not run. */
static void
free_server(struct larder_server *server)
{
    if (server->server != NULL) {
        server_destroy(server->server);
    }
    if (server->stats.prefixes != NULL) {
        prefix_stats_destroy(server->stats.prefixes);
    }
    free_settings(&server->settings);
    free(server);
}

enum larder_result
larder_serve(struct larder *cache, const struct larder_serve_options *options,
             struct larder_server **out, char *error, size_t error_cap)
{
    static const struct larder_serve_options defaults = LARDER_SERVE_OPTIONS_INIT;
    struct report_text text;
    if (!report_open(&text, error, error_cap) || cache == NULL || out == NULL) {
        return LARDER_BAD_OPTION;
    }
    if (!larder_same_build(cache, PACKAGE_VERSION)) {
        report_put(&text, "liblarder is of version %s, liblarder-serve of " PACKAGE_VERSION,
                   cache->build);
        return LARDER_NOT_BUILT;
    }
    if (options == NULL) {
        options = &defaults;
    }
    struct larder_server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        report_end(&text, LARDER_SYSTEM);
        return LARDER_SYSTEM;
    }
    server->cache = cache;
    report_init(&server->report,
                options->version == LARDER_SERVE_OPTIONS_VERSION ? options->log : NULL,
                options->log_arg);
    const struct log_sink *before = log_set_sink(&server->report.sink);
    enum larder_result result = take_options(server, options, &text);
    if (result == LARDER_OK) {
        result = start(server, &text);
    }
    if (result != LARDER_OK) {
        int saved = errno;
        free_server(server);
        errno = saved;
        report_end(&text, result);
    } else {
        /* relaxed: one thread at a time closes the cache */
        atomic_fetch_add_explicit(&cache->users, 1, memory_order_relaxed);
        *out = server;
    }
    (void)log_set_sink(before);
    return result;
}

int
larder_server_port(const struct larder_server *server)
{
    return server != NULL ? server->port : 0;
}

enum larder_result
larder_server_reload_certificates(struct larder_server *server, char *error, size_t error_cap)
{
    struct report_text text;
    if (!report_open(&text, error, error_cap) || server == NULL) {
        return LARDER_BAD_OPTION;
    }
    if (!server->settings.ssl_enabled) {
        report_put(&text, "the server was started without tls_cert");
        return LARDER_BAD_OPTION;
    }
    char why[TLS_ERROR_CAP];
    errno = 0;
    if (server_refresh_certs(server->server, why) != NULL) {
        put_tls_error(&text, why);
        errno = errno != 0 ? errno : EINVAL;
        return LARDER_SYSTEM;
    }
    return LARDER_OK;
}

void
larder_server_stop(struct larder_server **out, int graceful)
{
    if (out == NULL || *out == NULL) {
        return;
    }
    struct larder_server *server = *out;
    struct larder *cache = server->cache;
    const struct log_sink *before = log_set_sink(&server->report.sink);
    server_stop(server->server, graceful != 0);
    int rc = pthread_join(server->thread, NULL);
    assert(rc == 0);
    free_server(server);
    (void)log_set_sink(before);
    *out = NULL;
    /* release: pairs with larder_close() */
    atomic_fetch_sub_explicit(&cache->users, 1, memory_order_release);
}
