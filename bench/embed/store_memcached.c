/* A server of memcached's text protocol behind a unix socket: one connection per thread, a request
 * and its reply at a time. */
#include "bench/embed/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define RECEIVE_CAP  (128u * 1024) /* bytes; a batch of the longest values fits */
#define SEND_CAP     (64u * 1024)  /* bytes */
#define SET_HEAD_MAX 64u           /* bytes of a set besides its value */

_Static_assert(RECEIVE_CAP > STORE_BATCH * (STORE_VALUE_MAX + STORE_KEY_LEN + 64), "a batch fits");

struct store_client {
    int socket;
    size_t begin, end; /* of what was received and not yet taken */
    size_t send_len;   /* of what is filled and not yet sent */
    uint8_t received[RECEIVE_CAP];
    uint8_t send[SEND_CAP];
};

static struct sockaddr_un server = { .sun_family = AF_UNIX };

void
store_open(uint64_t items, size_t value_len, const char *address)
{
    (void)items;
    (void)value_len;
    if (address == NULL || strlen(address) >= sizeof(server.sun_path)) {
        store_die("the path of a server's socket is missing, or too long");
    }
    memcpy(server.sun_path, address, strlen(address) + 1);
}

struct store_client *
store_client_open(void)
{
    struct store_client *client = malloc(sizeof(*client));
    if (client == NULL) {
        store_die("no memory for a connection");
    }
    client->begin = client->end = client->send_len = 0;
    client->socket = socket(AF_UNIX, SOCK_STREAM, 0);
    if (client->socket < 0 ||
        connect(client->socket, (const struct sockaddr *)&server, sizeof(server)) != 0) {
        store_die("%s: %s", server.sun_path, strerror(errno));
    }
    return client;
}

void
store_client_close(struct store_client *client)
{
    close(client->socket);
    free(client);
}

static void
send_all(struct store_client *client, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(client->socket, bytes, len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent <= 0) {
            store_die("the server takes no more: %s", strerror(errno));
        }
        bytes += sent;
        len -= (size_t)sent;
    }
}

static void
receive_more(struct store_client *client)
{
    if (client->begin > 0) {
        memmove(client->received, client->received + client->begin, client->end - client->begin);
        client->end -= client->begin;
        client->begin = 0;
    }
    if (client->end == RECEIVE_CAP) {
        store_die("a reply is longer than %u bytes", RECEIVE_CAP);
    }
    ssize_t received;
    do {
        received =
            recv(client->socket, client->received + client->end, RECEIVE_CAP - client->end, 0);
    } while (received < 0 && errno == EINTR);
    if (received <= 0) {
        store_die("the server has closed the connection");
    }
    client->end += (size_t)received;
}

/** The next line, ended by a zero byte in place of its line end; good until the next receive. */
static char *
take_line(struct store_client *client)
{
    for (;;) {
        uint8_t *line = client->received + client->begin;
        uint8_t *end = memchr(line, '\n', client->end - client->begin);
        if (end != NULL && end > line && end[-1] == '\r') {
            end[-1] = '\0';
            client->begin += (size_t)(end + 1 - line);
            return (char *)line;
        }
        receive_more(client);
    }
}

/** Takes a data block of `len` bytes. */
static void
take_data(struct store_client *client, void *buf, size_t len)
{
    while (client->end - client->begin < len + 2) {
        receive_more(client);
    }
    memcpy(buf, client->received + client->begin, len);
    client->begin += len + 2;
}

/**
 * Takes a `VALUE` line and its data block; its length, 0 for the reply's end.  The key that the
 * server names is copied to `key`.
 */
static size_t
take_value(struct store_client *client, uint8_t *key, void *buf, size_t buf_cap)
{
    const char *line = take_line(client);
    if (strcmp(line, "END") == 0) {
        return 0;
    }
    const char *after_key = line + strlen("VALUE ") + STORE_KEY_LEN;
    unsigned long len;
    if (strncmp(line, "VALUE ", 6) != 0 || strlen(line) <= 6 + STORE_KEY_LEN ||
        strncmp(after_key, " 0 ", 3) != 0 || (len = strtoul(after_key + 3, NULL, 10)) == 0 ||
        len > buf_cap) {
        store_die("the server says '%s'", line);
    }
    memcpy(key, line + 6, STORE_KEY_LEN);
    take_data(client, buf, len);
    return len;
}

/** Writes a set and its data block behind what waits to be sent. */
static void
write_set(struct store_client *client, const uint8_t *key, const void *value, size_t value_len,
          const char *noreply)
{
    char *at = (char *)client->send + client->send_len;
    int head = snprintf(at, SEND_CAP - client->send_len, "set %.*s 0 0 %zu%s\r\n",
                        (int)STORE_KEY_LEN, (const char *)key, value_len, noreply);
    if (head < 0 || client->send_len + (size_t)head + value_len + 2 > SEND_CAP) {
        store_die("a value is too long to be sent");
    }
    memcpy(at + head, value, value_len);
    memcpy(at + head + value_len, "\r\n", 2);
    client->send_len += (size_t)head + value_len + 2;
}

static void
send_written(struct store_client *client)
{
    send_all(client, client->send, client->send_len);
    client->send_len = 0;
}

void
store_fill(struct store_client *client, const uint8_t *key, const void *value, size_t value_len)
{
    if (client->send_len + value_len + SET_HEAD_MAX > SEND_CAP) {
        send_written(client);
    }
    write_set(client, key, value, value_len, " noreply");
}

void
store_fill_end(struct store_client *client)
{
    send_written(client);
    send_all(client, (const uint8_t *)"mn\r\n", 4);
    const char *line = take_line(client);
    if (strcmp(line, "MN") != 0) {
        store_die("the server says '%s'", line);
    }
}

bool
store_set(struct store_client *client, const uint8_t *key, const void *value, size_t value_len)
{
    write_set(client, key, value, value_len, "");
    send_written(client);
    return strcmp(take_line(client), "STORED") == 0;
}

size_t
store_get(struct store_client *client, const uint8_t *key, void *buf, size_t buf_cap)
{
    uint8_t *at = client->send;
    memcpy(at, "get ", 4);
    memcpy(at + 4, key, STORE_KEY_LEN);
    memcpy(at + 4 + STORE_KEY_LEN, "\r\n", 2);
    send_all(client, at, 4 + STORE_KEY_LEN + 2);
    uint8_t found[STORE_KEY_LEN];
    size_t value_len = take_value(client, found, buf, buf_cap);
    if (value_len > 0 && strcmp(take_line(client), "END") != 0) {
        store_die("a get's reply does not end");
    }
    return value_len;
}

void
store_get_batch(struct store_client *client, struct store_get *gets, unsigned count)
{
    uint8_t *at = client->send;
    memcpy(at, "get", 3);
    at += 3;
    for (unsigned i = 0; i < count; i++) {
        *at++ = ' ';
        memcpy(at, gets[i].key, STORE_KEY_LEN);
        at += STORE_KEY_LEN;
        gets[i].value_len = 0;
    }
    memcpy(at, "\r\n", 2);
    send_all(client, client->send, (size_t)(at + 2 - client->send));

    /* Found keys come in the order of the request, each as often as it was asked for. */
    uint8_t found[STORE_KEY_LEN];
    for (unsigned i = 0; i < count; i++) {
        size_t value_len = take_value(client, found, gets[i].buf, STORE_VALUE_MAX);
        if (value_len == 0 || memcmp(found, gets[i].key, STORE_KEY_LEN) != 0) {
            store_die("the server has lost an item");
        }
        gets[i].value_len = value_len;
    }
    if (strcmp(take_line(client), "END") != 0) {
        store_die("a get's reply does not end");
    }
}
