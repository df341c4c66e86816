/* The sockets that the settings name: bound when the server is created, and listening when it has
 * started. */
#include "config.h"

#include "base/log.h"
#include "net/net_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/** The sockets of one element of -l, or of no -l at all. */
static enum server_result
open_address(struct server *server, const char *element, char *error)
{
    const struct settings *settings = server->settings;
    struct listen_spec spec = { .port = -1,
                                .protocol = settings->protocol,
                                .tls = TLS_MODE_DEFAULT };
    char why[SERVER_ERROR_CAP / 2];
    if (element != NULL &&
        listen_spec_parse(element, settings->protocol, &spec, why, sizeof(why)) != LISTEN_SPEC_OK) {
        snprintf(error, SERVER_ERROR_CAP, "%s\nfailed to listen on one of interface(s) %.200s", why,
                 element);
        return SERVER_CANNOT_LISTEN;
    }
    unsigned port = spec.port >= 0       ? (unsigned)spec.port
                    : settings->port > 0 ? (unsigned)settings->port
                                         : 0;
    unsigned first = server->listeners.len;
    if (listener_open_tcp(&server->listeners, spec.host, port, settings->sock_cookie_id, why,
                          sizeof(why)) == LISTEN_OK) {
        for (unsigned i = first; i < server->listeners.len; i++) {
            server->listeners.at[i]->tls = (uint8_t)(server->tls != NULL ? spec.tls : TLS_MODE_OFF);
            server->listeners.at[i]->protocol = (uint8_t)spec.protocol;
        }
        return SERVER_OK;
    }
    if (element != NULL) {
        char of_port[32] = "";
        if (spec.port < 0 && port > 0) { /* which the address does not name */
            snprintf(of_port, sizeof(of_port), ", TCP port %u", port);
        }
        snprintf(error, SERVER_ERROR_CAP, "%s\nfailed to listen on one of interface(s) %.160s%s",
                 why, element, of_port);
    } else {
        snprintf(error, SERVER_ERROR_CAP, "%s\nfailed to listen on TCP port %u", why, port);
    }
    return SERVER_CANNOT_LISTEN;
}

static enum server_result
open_listeners(struct server *server, char *error)
{
    const struct settings *settings = server->settings;
    char why[SERVER_ERROR_CAP / 2];
    if (settings->unix_path != NULL &&
        listener_open_unix(&server->listeners, settings->unix_path, settings->unix_mask, why,
                           sizeof(why)) != LISTEN_OK) {
        snprintf(error, SERVER_ERROR_CAP, "%s\nfailed to listen on UNIX socket: %.200s", why,
                 settings->unix_path);
        return SERVER_CANNOT_LISTEN;
    }
    for (unsigned i = 0; i < server->listeners.len; i++) {
        server->listeners.at[i]->protocol = (uint8_t)settings->protocol;
    }
    if (settings->port == 0) {
        return SERVER_OK;
    }
    enum server_result result =
        settings->listen_count == 0 ? open_address(server, NULL, error) : SERVER_OK;
    for (unsigned i = 0; i < settings->listen_count && result == SERVER_OK; i++) {
        result = open_address(server, settings->listen[i], error);
    }
    return result;
}

/** The sockets of -U for one element of -l, or for no -l at all. */
static enum server_result
open_udp_address(struct server *server, const char *element, char *error)
{
    const struct settings *settings = server->settings;
    struct listen_spec spec = { .port = -1, .protocol = settings->protocol };
    char why[SERVER_ERROR_CAP / 2] = "";
    unsigned port = settings->udp_port > 0 ? (unsigned)settings->udp_port : 0;
    if (element == NULL ||
        listen_spec_parse(element, settings->protocol, &spec, why, sizeof(why)) == LISTEN_SPEC_OK) {
        struct udp_wish wish = {
            .host = spec.host,
            .port = spec.port >= 0 ? (unsigned)spec.port : port,
            .workers = settings->threads,
            .protocol = (uint8_t)spec.protocol,
            .mark = settings->sock_cookie_id,
        };
        if (udp_bind(&server->udp, &wish, why, sizeof(why))) {
            return SERVER_OK;
        }
    }
    if (element != NULL) {
        snprintf(error, SERVER_ERROR_CAP,
                 "%s\nfailed to listen on one of interface(s) %.200s (UDP, -U)", why, element);
    } else {
        snprintf(error, SERVER_ERROR_CAP, "%s\nfailed to listen on UDP port %u", why, port);
    }
    return SERVER_CANNOT_LISTEN;
}

static enum server_result
open_udp(struct server *server, char *error)
{
    const struct settings *settings = server->settings;
    if (settings->udp_port == 0) {
        return SERVER_OK;
    }
    enum server_result result =
        settings->listen_count == 0 ? open_udp_address(server, NULL, error) : SERVER_OK;
    for (unsigned i = 0; i < settings->listen_count && result == SERVER_OK; i++) {
        result = open_udp_address(server, settings->listen[i], error);
    }
    return result;
}

enum server_result
server_bind(struct server *server, char *error)
{
    enum server_result result = open_listeners(server, error);
    return result == SERVER_OK ? open_udp(server, error) : result;
}

enum server_result
server_listen(struct server *server, char *error)
{
    for (unsigned i = 0; i < server->listeners.len; i++) {
        struct listener *listener = server->listeners.at[i];
        if (!listener_arm(listener, server, server->base, server->settings->backlog)) {
            snprintf(error, SERVER_ERROR_CAP, "listen(): %s\nfailed to listen on %.200s",
                     strerror(errno), listener->text);
            return SERVER_CANNOT_LISTEN;
        }
        if (server_verbosity(server) > 1) {
            log_line("<%d server listening on %s", listener->fd, listener->text);
        }
    }
    for (unsigned i = 0; i < server->udp.len && server_verbosity(server) > 1; i++) {
        log_line("<%d server listening (udp) on %s", server->udp.at[i]->fds[0],
                 server->udp.at[i]->text);
    }
    return SERVER_OK;
}

void
server_ports(const struct server *server, server_port_fn *visit, void *arg)
{
    for (unsigned i = 0; i < server->listeners.len; i++) {
        if (server->listeners.at[i]->port != 0) {
            visit(arg, "TCP", server->listeners.at[i]->family, server->listeners.at[i]->port);
        }
    }
    for (unsigned i = 0; i < server->udp.len; i++) {
        visit(arg, "UDP", server->udp.at[i]->family, server->udp.at[i]->port);
    }
}
