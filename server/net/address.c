#include "config.h"

#include "net/address.h"

#include "base/assert.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

void
address_format(const struct sockaddr *address, socklen_t len, const char *fallback, char *buf,
               size_t cap)
{
    assert(cap > 0);
    char ip[INET6_ADDRSTRLEN];
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        if (inet_ntop(AF_INET, &v4.sin_addr, ip, sizeof(ip)) != NULL) {
            snprintf(buf, cap, "tcp:%s:%u", ip, (unsigned)ntohs(v4.sin_port));
            return;
        }
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        if (inet_ntop(AF_INET6, &v6.sin6_addr, ip, sizeof(ip)) != NULL) {
            snprintf(buf, cap, "tcp6:[%s]:%u", ip, (unsigned)ntohs(v6.sin6_port));
            return;
        }
    } else if (address->sa_family == AF_UNIX) {
        const struct sockaddr_un *local = (const struct sockaddr_un *)(const void *)address;
        size_t head = offsetof(struct sockaddr_un, sun_path);
        size_t path_len = len > head ? strnlen(local->sun_path, len - head) : 0;
        if (path_len == 0) {
            snprintf(buf, cap, "unix:%s", fallback);
        } else {
            snprintf(buf, cap, "unix:%.*s", (int)path_len, local->sun_path);
        }
        return;
    }
    snprintf(buf, cap, "unknown");
}

void
address_format_udp(const struct sockaddr *address, socklen_t len, char *buf, size_t cap)
{
    address_format(address, len, "", buf, cap);
    if (strncmp(buf, "tcp", 3) == 0) {
        memcpy(buf, "udp", 3);
    }
}

unsigned
address_port(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        return ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
    }
    if (address->sa_family == AF_INET6) {
        return ntohs(((const struct sockaddr_in6 *)(const void *)address)->sin6_port);
    }
    return 0;
}

void
address_set_port(struct sockaddr *address, unsigned port)
{
    if (address->sa_family == AF_INET) {
        ((struct sockaddr_in *)(void *)address)->sin_port = htons((uint16_t)port);
    } else if (address->sa_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons((uint16_t)port);
    }
}

bool
address_is_any(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        return ((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr ==
               htonl(INADDR_ANY);
    }
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_UNSPECIFIED(
               &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/** Copies `len` bytes and ends them; false when they do not fit. */
static bool
copy_text(char *to, size_t cap, const char *from, size_t len)
{
    if (len >= cap) {
        return false;
    }
    memcpy(to, from, len);
    to[len] = '\0';
    return true;
}

static bool
begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/** "ascii]:" and so on behind "proto["; steps behind the colon. */
static enum listen_spec_result
parse_protocol(const char **at, struct listen_spec *out, char *error, size_t error_cap)
{
    const char *name = *at + strlen("proto[");
    const char *end = strchr(name, ']');
    if (end == NULL || end[1] != ':') {
        snprintf(error, error_cap, "Invalid protocol spec: \"%s\": proto[ascii]:host:port is right",
                 *at);
        return LISTEN_SPEC_BAD;
    }
    char protocol[16];
    if (!copy_text(protocol, sizeof(protocol), name, (size_t)(end - name))) {
        protocol[0] = '\0';
    }
    if (strcmp(protocol, "ascii") == 0) {
        out->protocol = PROTOCOL_ASCII;
    } else if (strcmp(protocol, "binary") == 0) {
        out->protocol = PROTOCOL_BINARY;
    } else if (strcmp(protocol, "negotiating") == 0) {
        out->protocol = PROTOCOL_AUTO;
    } else if (strcmp(protocol, "proxy") == 0) {
        snprintf(error, error_cap,
                 "Server not built with proxy: \"%s\": ascii, binary or negotiating is right", *at);
        return LISTEN_SPEC_BAD;
    } else {
        snprintf(error, error_cap,
                 "Invalid protocol name: \"%.*s\": ascii, binary or negotiating is right",
                 (int)(end - name), name);
        return LISTEN_SPEC_BAD;
    }
    out->protocol_given = true;
    *at = end + 2;
    return LISTEN_SPEC_OK;
}

/** "tag[name]:" or "tag_name_:"; steps behind the colon. */
static enum listen_spec_result
parse_tag(const char **at, struct listen_spec *out, char *error, size_t error_cap)
{
    const char *name = *at + strlen("tag[");
    char close_char = (*at)[3] == '[' ? ']' : '_';
    const char *end = strchr(name, close_char);
    if (end == NULL || end[1] != ':') {
        snprintf(error, error_cap, "Invalid listener tag: \"%s\": tag[name]:host:port is right",
                 *at);
        return LISTEN_SPEC_BAD;
    }
    size_t len = (size_t)(end - name);
    if (len < 1 || !copy_text(out->tag, sizeof(out->tag), name, len)) {
        snprintf(error, error_cap, "Listener tags must be between 1 and 8 characters: \"%.*s\"",
                 (int)len, name);
        return LISTEN_SPEC_BAD;
    }
    *at = end + 2;
    return LISTEN_SPEC_OK;
}

/** Decimal digits up to the end, 0 to 65535. */
static bool
parse_port(const char *text, int *out)
{
    int port = 0;
    if (*text == '\0') {
        return false;
    }
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        port = port * 10 + (*at - '0');
        if (port > 65535) {
            return false;
        }
    }
    *out = port;
    return true;
}

/** host, host:port, [v6], [v6]:port, a bare v6 address, or * for any. */
static enum listen_spec_result
parse_host(const char *text, struct listen_spec *out, char *error, size_t error_cap)
{
    const char *host = text;
    const char *host_end;
    const char *port = NULL;
    if (*text == '[') {
        host = text + 1;
        host_end = strchr(host, ']');
        if (host_end == NULL || (host_end[1] != '\0' && host_end[1] != ':')) {
            snprintf(error, error_cap, "Invalid IPV6 address: \"%s\": [address]:port is right",
                     text);
            return LISTEN_SPEC_BAD;
        }
        port = host_end[1] == ':' ? host_end + 2 : NULL;
    } else {
        const char *colon = strchr(text, ':');
        bool bare_v6 = colon != NULL && strchr(colon + 1, ':') != NULL;
        host_end = colon == NULL || bare_v6 ? text + strlen(text) : colon;
        port = colon == NULL || bare_v6 ? NULL : colon + 1;
    }
    if (port != NULL && !parse_port(port, &out->port)) {
        snprintf(error, error_cap, "Invalid port number: \"%s\": 0 to 65535 is right", port);
        return LISTEN_SPEC_BAD;
    }
    size_t host_len = (size_t)(host_end - host);
    if (host_len == 1 && *host == '*') {
        host_len = 0;
    } else if (host_len == 0) {
        snprintf(error, error_cap, "No address in \"%s\": host:port is right, * is any", text);
        return LISTEN_SPEC_BAD;
    }
    if (!copy_text(out->host, sizeof(out->host), host, host_len)) {
        snprintf(error, error_cap, "Address too long: \"%.64s...\"", text);
        return LISTEN_SPEC_BAD;
    }
    return LISTEN_SPEC_OK;
}

enum listen_spec_result
listen_spec_parse(const char *text, enum settings_protocol protocol_default,
                  struct listen_spec *out, char *error, size_t error_cap)
{
    *out =
        (struct listen_spec){ .port = -1, .protocol = protocol_default, .tls = TLS_MODE_DEFAULT };
    const char *at = text;
    for (;;) {
        enum listen_spec_result result = LISTEN_SPEC_OK;
        if (begins(at, "notls:")) {
            at += strlen("notls:");
            out->tls = TLS_MODE_OFF;
        } else if (begins(at, "btls:") || begins(at, "mtls:")) {
#ifdef HAVE_TLS
            out->tls = *at == 'b' ? TLS_MODE_BASIC : TLS_MODE_MUTUAL;
            at += strlen("btls:");
#else
            snprintf(error, error_cap, "-l %.4s: this build of larder has no TLS", at);
            return LISTEN_SPEC_NOT_BUILT;
#endif
        } else if (begins(at, "proto[")) {
            result = parse_protocol(&at, out, error, error_cap);
        } else if (begins(at, "tag[") || begins(at, "tag_")) {
            result = parse_tag(&at, out, error, error_cap);
        } else {
            return parse_host(at, out, error, error_cap);
        }
        if (result != LISTEN_SPEC_OK) {
            return result;
        }
    }
}
