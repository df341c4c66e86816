#include "config.h"

#include "net/metrics_server.h"

#include "base/assert.h"
#include "base/log.h"
#include "net/listener.h"
#include "net/wake.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HEADERS_LEN_MAX 8192 /* bytes of a request's line and headers */
#define BODY_LEN_MAX    1024 /* bytes of a request's body, which nobody reads */
#define BACKLOG         32
#define METHODS_ALL                                                                            \
    (EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | \
     EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

/** A connection: its bufferevent, on which we hold a reference beside evhttp's. */
struct metrics_conn {
    struct bufferevent *stream;
    unsigned opened_s;
};

/** Locking key: the thread's own while it runs, but for `stopping`. */
struct metrics_server {
    struct listener_set sockets;
    struct metrics_source source;
    struct server_stats *stats;
    struct event_base *base;
    struct evhttp *http;
    struct evconnlistener *listeners[LISTENERS_MAX]; /* evhttp's */
    unsigned listeners_len;
    bool accepting;
    struct metrics_conn conns[METRICS_CONNS_MAX];
    unsigned conns_len;
    unsigned now_s; /* since the start */
    struct event tick_event;
    struct event wake_event;
    struct wake wake;
    bool wake_open;
    bool stopping; /* set by the thread itself, when it is woken */
    pthread_t thread;
    bool thread_open;
};

/* -- the address ------------------------------------------------------------------------------- */

bool
metrics_address_parse(const char *text, struct metrics_address *out, char *error, size_t error_cap)
{
    struct listen_spec spec;
    char why[256];
    *out = (struct metrics_address){ .port = 0 };
    if (text[0] == '/') {
        snprintf(out->path, sizeof(out->path), "%s", text);
        return true;
    }
    if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0') {
        unsigned long port = strlen(text) <= 5 ? strtoul(text, NULL, 10) : 0;
        snprintf(out->host, sizeof(out->host), "127.0.0.1");
        out->port = port <= UINT16_MAX ? (unsigned)port : 0;
    } else if (listen_spec_parse(text, PROTOCOL_AUTO, &spec, why, sizeof(why)) == LISTEN_SPEC_OK &&
               spec.port > 0 && !spec.protocol_given && spec.tls == TLS_MODE_DEFAULT &&
               spec.tag[0] == '\0') {
        memcpy(out->host, spec.host, sizeof(out->host));
        out->port = (unsigned)spec.port;
    }
    if (out->port == 0) {
        snprintf(error, error_cap,
                 "-o metrics=%.200s: a port of 127.0.0.1 such as 9150, ADDRESS:PORT, *:PORT for all"
                 " addresses, or the /path of a unix socket is right",
                 text);
        return false;
    }
    return true;
}

/* -- connections ------------------------------------------------------------------------------- */

static void
set_accepting(struct metrics_server *metrics, bool on)
{
    if (metrics->accepting == on) {
        return;
    }
    metrics->accepting = on;
    for (unsigned i = 0; i < metrics->listeners_len; i++) {
        if (on) {
            (void)evconnlistener_enable(metrics->listeners[i]);
        } else {
            (void)evconnlistener_disable(metrics->listeners[i]);
        }
    }
}

/** evhttp tells nobody when a connection ends: it takes its callbacks from the stream, and lets go.
 */
static bool
is_over(struct bufferevent *stream)
{
    bufferevent_data_cb on_read;
    bufferevent_data_cb on_write;
    bufferevent_event_cb on_event;
    bufferevent_getcb(stream, &on_read, &on_write, &on_event, NULL);
    return on_read == NULL && on_write == NULL && on_event == NULL;
}

/** Lets go of connections that are over, and ends those that have lived too long. */
static void
sweep_conns(struct metrics_server *metrics)
{
    for (unsigned i = metrics->conns_len; i-- > 0;) {
        struct metrics_conn *conn = &metrics->conns[i];
        if (is_over(conn->stream)) {
            bufferevent_decref(conn->stream);
            *conn = metrics->conns[--metrics->conns_len];
        } else if (metrics->now_s - conn->opened_s > METRICS_CONN_S) {
            (void)shutdown(bufferevent_getfd(conn->stream), SHUT_RDWR); /* evhttp sees its end */
        }
    }
}

/** A connection was accepted: makes its stream.  Without room for it evhttp makes one of its own,
 * which its idle time bounds; there may be a backlog of those at most. */
static struct bufferevent *
on_connection(struct event_base *base, void *arg)
{
    struct metrics_server *metrics = arg;
    if (metrics->conns_len == METRICS_CONNS_MAX) {
        return NULL;
    }
    struct bufferevent *stream = bufferevent_socket_new(base, -1, 0);
    if (stream == NULL) {
        return NULL;
    }
    bufferevent_incref(stream);
    metrics->conns[metrics->conns_len++] =
        (struct metrics_conn){ .stream = stream, .opened_s = metrics->now_s };
    if (metrics->conns_len == METRICS_CONNS_MAX) {
        set_accepting(metrics, false);
    }
    return stream;
}

/** Out of descriptors or memory: trying again at once would spin. */
static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
    (void)listener;
    set_accepting(arg, false); /* until the next tick */
}

/* -- requests ---------------------------------------------------------------------------------- */

static void
answer_text(struct evhttp_request *request, int code, const char *reason, const char *text)
{
    struct evbuffer *body = evhttp_request_get_output_buffer(request);
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    (void)evhttp_add_header(headers, "Content-Type", "text/plain; charset=utf-8");
    if (evhttp_request_get_command(request) != EVHTTP_REQ_HEAD) {
        (void)evbuffer_add_printf(body, "%s\n", text);
    }
    evhttp_send_reply(request, code, reason, NULL);
}

static void
free_page(const void *page, size_t len, void *arg)
{
    (void)len;
    (void)arg;
    free((void *)(uintptr_t)page);
}

static void
answer_page(struct metrics_server *metrics, struct evhttp_request *request)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    size_t len = 0;
    char *page = metrics->source.page(metrics->stats, &len);
    if (page == NULL) {
        answer_text(request, HTTP_SERVUNAVAIL, "Service Unavailable", "out of memory");
        return;
    }
    char len_text[24];
    snprintf(len_text, sizeof(len_text), "%zu", len);
    (void)evhttp_add_header(headers, "Content-Type", metrics->source.content_type);
    (void)evhttp_add_header(headers, "Content-Length", len_text);
    if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD ||
        evbuffer_add_reference(evhttp_request_get_output_buffer(request), page, len, free_page,
                               NULL) != 0) {
        free(page);
    }
    evhttp_send_reply(request, HTTP_OK, "OK", NULL);
}

static void
on_request(struct evhttp_request *request, void *arg)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    enum evhttp_cmd_type command = evhttp_request_get_command(request);
    /* One request per connection: nobody holds one of the few places between two scrapes. */
    (void)evhttp_add_header(headers, "Connection", "close");
    if (path == NULL || strcmp(path, "/metrics") != 0) {
        answer_text(request, HTTP_NOTFOUND, "Not Found", "the page is /metrics");
    } else if (command != EVHTTP_REQ_GET && command != EVHTTP_REQ_HEAD) {
        (void)evhttp_add_header(headers, "Allow", "GET, HEAD");
        answer_text(request, HTTP_BADMETHOD, "Method Not Allowed", "GET and HEAD are right");
    } else {
        answer_page(arg, request);
    }
}

/* -- the thread -------------------------------------------------------------------------------- */

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct metrics_server *metrics = arg;
    metrics->now_s++;
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct metrics_server *metrics = arg;
    metrics->stopping = true;
}

static void *
metrics_main(void *arg)
{
    struct metrics_server *metrics = arg;
    if (metrics->source.begin != NULL) {
        metrics->source.begin();
    }
    while (!metrics->stopping) {
        unsigned before_s = metrics->now_s;
        (void)event_base_loop(metrics->base, EVLOOP_ONCE);
        unsigned conns_before = metrics->conns_len;
        sweep_conns(metrics);
        /* After an error of accept() that is with the tick. */
        if (metrics->conns_len < METRICS_CONNS_MAX &&
            (metrics->conns_len < conns_before || metrics->now_s != before_s)) {
            set_accepting(metrics, true);
        }
    }
    return NULL;
}

static bool
start_http(struct metrics_server *metrics)
{
    metrics->http = evhttp_new(metrics->base);
    if (metrics->http == NULL) {
        return false;
    }
    evhttp_set_max_headers_size(metrics->http, HEADERS_LEN_MAX);
    evhttp_set_max_body_size(metrics->http, BODY_LEN_MAX);
    evhttp_set_timeout(metrics->http, METRICS_IDLE_S);
    evhttp_set_allowed_methods(metrics->http, METHODS_ALL); /* on_request() says no */
    evhttp_set_bevcb(metrics->http, on_connection, metrics);
    evhttp_set_gencb(metrics->http, on_request, metrics);
    for (unsigned i = 0; i < metrics->sockets.len; i++) {
        /* The socket stays the set's: not closed with its listener. */
        struct evconnlistener *listener = evconnlistener_new(
            metrics->base, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC, BACKLOG, metrics->sockets.at[i]->fd);
        if (listener == NULL) {
            return false;
        }
        if (evhttp_bind_listener(metrics->http, listener) == NULL) {
            evconnlistener_free(listener);
            return false;
        }
        evconnlistener_set_error_cb(listener, on_accept_error);
        metrics->listeners[metrics->listeners_len++] = listener;
    }
    metrics->accepting = true;
    return true;
}

static bool
start_loop(struct metrics_server *metrics)
{
    struct event_config *config = event_config_new();
    if (config == NULL) {
        return false;
    }
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    metrics->base = event_base_new_with_config(config);
    event_config_free(config);
    struct timeval second = { .tv_sec = 1 };
    return metrics->base != NULL &&
           event_assign(&metrics->wake_event, metrics->base, metrics->wake.read_fd,
                        EV_READ | EV_PERSIST, on_wake, metrics) == 0 &&
           event_add(&metrics->wake_event, NULL) == 0 &&
           event_assign(&metrics->tick_event, metrics->base, -1, EV_PERSIST, on_tick, metrics) ==
               0 &&
           event_add(&metrics->tick_event, &second) == 0 && start_http(metrics);
}

struct metrics_server *
metrics_server_open(const char *address, unsigned unix_mask, char *error, size_t error_cap)
{
    struct metrics_address parsed;
    char why[METRICS_ERROR_CAP / 2];
    if (!metrics_address_parse(address, &parsed, error, error_cap)) {
        return NULL;
    }
    struct metrics_server *metrics = calloc(1, sizeof(*metrics));
    if (metrics == NULL) {
        snprintf(error, error_cap, "out of memory");
        return NULL;
    }
    enum listen_result result =
        parsed.path[0] != '\0'
            ? listener_open_unix(&metrics->sockets, parsed.path, unix_mask, why, sizeof(why))
            : listener_open_tcp(&metrics->sockets, parsed.host, parsed.port, 0, why, sizeof(why));
    if (result != LISTEN_OK) {
        snprintf(error, error_cap, "-o metrics=%.200s: %s", address, why);
        metrics_server_close(metrics);
        return NULL;
    }
    return metrics;
}

bool
metrics_server_start(struct metrics_server *metrics, const struct metrics_source *source,
                     struct server_stats *stats)
{
    assert(source->page != NULL && !metrics->thread_open);
    metrics->source = *source;
    metrics->stats = stats;
    if (!wake_open(&metrics->wake)) {
        return false;
    }
    metrics->wake_open = true;
    errno = ENOMEM;
    if (!start_loop(metrics)) {
        return false;
    }
    int rc = thread_start(&metrics->thread, metrics_main, metrics);
    errno = rc;
    metrics->thread_open = rc == 0;
    return metrics->thread_open;
}

void
metrics_server_stop(struct metrics_server *metrics)
{
    if (metrics->thread_open) {
        wake_post(&metrics->wake);
        int rc = pthread_join(metrics->thread, NULL);
        assert(rc == 0);
        metrics->thread_open = false;
    }
}

void
metrics_server_close(struct metrics_server *metrics)
{
    if (metrics == NULL) {
        return;
    }
    metrics_server_stop(metrics);
    if (metrics->http != NULL) {
        evhttp_free(metrics->http);
    }
    sweep_conns(metrics);
    assert(metrics->conns_len == 0);
    if (metrics->base != NULL) {
        event_base_free(metrics->base);
    }
    if (metrics->wake_open) {
        wake_close(&metrics->wake);
    }
    listener_set_close(&metrics->sockets);
    free(metrics);
}
