#include "config.h"

#include "mysql/link.h"

#include "base/assert.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void
link_init(struct link *link)
{
    *link = (struct link){ .fd = -1 };
    lock_init(&link->lock, LOCK_RANK_HOOK_LINK);
}

void
link_fini(struct link *link)
{
    assert(link->mysql == NULL);
    lock_fini(&link->lock);
}

#ifndef HAVE_HOOK

bool
link_library_open(void)
{
    return false;
}

void
link_library_close(void)
{
}

enum link_result
link_open(struct link *link, const struct rules_source *source, const struct rules_host *host)
{
    (void)source;
    (void)host;
    snprintf(link->error, sizeof(link->error), "this larder is built without libmariadb");
    return LINK_LOST;
}

void
link_close(struct link *link)
{
    (void)link;
}

void
link_stop(struct link *link)
{
    (void)link;
}

void
link_break(struct link *link)
{
    (void)link;
}

enum link_result
link_query(struct link *link, const char *sql, link_row_fn *row, void *arg)
{
    (void)link;
    (void)sql;
    (void)row;
    (void)arg;
    return LINK_LOST;
}

bool
link_quote(struct link *link, struct bytes text, char *out, size_t cap)
{
    (void)link;
    (void)text;
    (void)out;
    (void)cap;
    return false;
}

#else

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>

#include "base/assert.h" /* again: mysql.h may include the C library's */

#define CLIENT_ERRORS_END  3000u
#define MARIADB_ERRORS_END 5100u

bool
link_library_open(void)
{
    return mysql_library_init(0, NULL, NULL) == 0;
}

void
link_library_close(void)
{
    mysql_library_end();
}

/** Our own connection settings are not part of any text of libmariadb. */
enum link_result
link_take_error(struct link *link)
{
    MYSQL *mysql = link->mysql;
    link->number = mysql_errno(mysql);
    snprintf(link->error, sizeof(link->error), "%s", mysql_error(mysql));
    if (link->number == CR_NET_PACKET_TOO_LARGE || link->number == ER_NET_PACKET_TOO_LARGE) {
        return LINK_TOO_LONG;
    }
    /* Numbers of the library; all others are the server's. */
    bool is_ours = (link->number >= CR_MIN_ERROR && link->number < CLIENT_ERRORS_END) ||
                   (link->number >= CER_MIN_ERROR && link->number < MARIADB_ERRORS_END);
    return is_ours ? LINK_LOST : LINK_REFUSED;
}

static bool
set_tls(MYSQL *mysql, const struct rules_source *source)
{
    my_bool enforce = source->tls != RULES_TLS_OFF;
    /* Said both ways: what the library does unasked has changed between its versions. */
    bool checks_ca = source->tls == RULES_TLS_VERIFY_CA && source->tls_ca != NULL;
    my_bool verify = !checks_ca && source->tls >= RULES_TLS_VERIFY_CA;
    bool ok = mysql_optionsv(mysql, MYSQL_OPT_SSL_ENFORCE, &enforce) == 0 &&
              mysql_optionsv(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify) == 0;
    if (enforce) {
        if (source->tls_ca != NULL &&
            source->tls >=
                RULES_TLS_VERIFY_CA) { /* alone it has the certificate's issuer looked at */
            ok = ok && mysql_optionsv(mysql, MYSQL_OPT_SSL_CA, source->tls_ca) == 0;
        }
        if (source->tls_cert != NULL) {
            ok = ok && mysql_optionsv(mysql, MYSQL_OPT_SSL_CERT, source->tls_cert) == 0;
        }
        if (source->tls_key != NULL) {
            ok = ok && mysql_optionsv(mysql, MYSQL_OPT_SSL_KEY, source->tls_key) == 0;
        }
    }
    return ok;
}

static bool
set_options(MYSQL *mysql, const struct rules_source *source)
{
    /* The library counts in seconds; a heartbeat comes at least twice in that time. */
    unsigned timeout_s = source->timeout_ms / 1000 > 0 ? source->timeout_ms / 1000 : 1;
    unsigned long packet_max = LINK_PACKET_MAX;
    my_bool reconnect = 0;
    unsigned local_files = 0;
    return mysql_optionsv(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &timeout_s) == 0 &&
           mysql_optionsv(mysql, MYSQL_OPT_READ_TIMEOUT, &timeout_s) == 0 &&
           mysql_optionsv(mysql, MYSQL_OPT_WRITE_TIMEOUT, &timeout_s) == 0 &&
           mysql_optionsv(mysql, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet_max) == 0 &&
           mysql_optionsv(mysql, MYSQL_OPT_RECONNECT, &reconnect) == 0 &&
           mysql_optionsv(mysql, MYSQL_OPT_LOCAL_INFILE, &local_files) == 0 &&
           mysql_optionsv(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4") == 0 &&
           mysql_optionsv(mysql, MYSQL_OPT_CONNECT_ATTR_RESET, NULL) == 0 &&
           mysql_optionsv(mysql, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "larder") == 0 &&
           set_tls(mysql, source);
}

/** Lets other threads shut the connection down, unless one has asked for that meanwhile. */
static bool
publish(struct link *link)
{
    lock_acquire(&link->lock);
    bool stopped = link->is_stopped;
    link->fd = stopped ? -1 : (int)mysql_get_socket(link->mysql);
    lock_release(&link->lock);
    return !stopped;
}

/** Whether a stop was asked for. */
static bool
is_stopped(struct link *link)
{
    lock_acquire(&link->lock);
    bool stopped = link->is_stopped;
    lock_release(&link->lock);
    return stopped;
}

enum link_result
link_open(struct link *link, const struct rules_source *source, const struct rules_host *host)
{
    assert(link->mysql == NULL);
    link->number = 0;
    if (is_stopped(link)) {
        return LINK_LOST;
    }
    MYSQL *mysql = mysql_init(NULL);
    if (mysql == NULL || !set_options(mysql, source)) {
        snprintf(link->error, sizeof(link->error), "out of memory, or a TLS option is refused");
        if (mysql != NULL) {
            mysql_close(mysql);
        }
        return LINK_LOST;
    }
    link->mysql = mysql;
    bool is_unix = host->port == 0;
    if (mysql_real_connect(mysql, is_unix ? NULL : host->name, source->user, source->password, NULL,
                           host->port, is_unix ? host->name : NULL,
                           CLIENT_MULTI_STATEMENTS) == NULL) {
        enum link_result result = link_take_error(link);
        link_close(link);
        return result;
    }
    const char *version = mysql_get_server_info(mysql);
    link->is_mariadb = version != NULL && strstr(version, "MariaDB") != NULL;
    link->version = (unsigned)mysql_get_server_version(mysql);
    if (!publish(link)) {
        link_close(link);
        return LINK_LOST;
    }
    return LINK_OK;
}

void
link_close(struct link *link)
{
    lock_acquire(&link->lock);
    link->fd = -1;
    lock_release(&link->lock);
    if (link->mysql != NULL) {
        mysql_close(link->mysql);
        link->mysql = NULL;
    }
}

static void
shut_down(struct link *link, bool stop)
{
    lock_acquire(&link->lock);
    link->is_stopped = link->is_stopped || stop;
    if (link->fd >= 0) {
        (void)shutdown(link->fd, SHUT_RDWR);
    }
    lock_release(&link->lock);
}

void
link_stop(struct link *link)
{
    shut_down(link, true);
}

void
link_break(struct link *link)
{
    shut_down(link, false);
}

static void
give_rows(MYSQL_RES *result, link_row_fn *row, void *arg)
{
    unsigned count = mysql_num_fields(result);
    MYSQL_ROW texts;
    if (count > LINK_COLUMNS_MAX) {
        count = LINK_COLUMNS_MAX;
    }
    while ((texts = mysql_fetch_row(result)) != NULL) {
        const unsigned long *lens = mysql_fetch_lengths(result);
        struct bytes values[LINK_COLUMNS_MAX];
        for (unsigned i = 0; i < count; i++) {
            values[i] = (struct bytes){ (const uint8_t *)texts[i], texts[i] != NULL ? lens[i] : 0 };
        }
        row(arg, values, count);
    }
}

enum link_result
link_query(struct link *link, const char *sql, link_row_fn *row, void *arg)
{
    MYSQL *mysql = link->mysql;
    if (mysql == NULL) {
        return LINK_LOST;
    }
    if (mysql_real_query(mysql, sql, strlen(sql)) != 0) {
        return link_take_error(link);
    }
    for (;;) {
        MYSQL_RES *result = mysql_store_result(mysql);
        if (result != NULL) {
            if (row != NULL) {
                give_rows(result, row, arg);
            }
            mysql_free_result(result);
        } else if (mysql_errno(mysql) != 0) {
            return link_take_error(link);
        }
        int more = mysql_next_result(mysql);
        if (more < 0) {
            return LINK_OK;
        }
        if (more > 0) {
            return link_take_error(link);
        }
    }
}

bool
link_quote(struct link *link, struct bytes text, char *out, size_t cap)
{
    if (cap < 2 * text.len + 3) {
        return false;
    }
    out[0] = '\'';
    unsigned long len = mysql_real_escape_string(link->mysql, out + 1, (const char *)text.at,
                                                 (unsigned long)text.len);
    out[1 + len] = '\'';
    out[2 + len] = '\0';
    return true;
}

#endif

struct one_text {
    char *at;
    size_t cap;
    bool done;
};

/** link_row_fn */
static void
take_text(void *arg, const struct bytes *values, unsigned count)
{
    struct one_text *text = arg;
    if (!text->done && count > 0) {
        size_t len = values[0].len < text->cap - 1 ? values[0].len : text->cap - 1;
        if (len > 0) {
            memcpy(text->at, values[0].at, len);
        }
        text->at[len] = '\0';
        text->done = true;
    }
}

enum link_result
link_query_text(struct link *link, const char *sql, char *out, size_t cap)
{
    struct one_text text = { .at = out, .cap = cap };
    out[0] = '\0';
    return link_query(link, sql, take_text, &text);
}
