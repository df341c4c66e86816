#include "config.h"

#ifdef HAVE_HOOK

#include "mysql/rules_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEARTBEAT_MS_DEFAULT 500u
#define TIMEOUT_MS_DEFAULT   5000u
#define HOLDOFF_MS_DEFAULT   3000u
#define GRACE_MS_DEFAULT     5000u
#define FENCE_DELAY_MS_MAX   60000u
#define HOUR_MS              3600000u
#define HOST_LEN_MAX         255u /* bytes */

static const config_setting_t *
member(const config_setting_t *group, const char *name)
{
    return config_setting_get_member(group, name);
}

/* -- hosts ------------------------------------------------------------------------------------ */

static bool
fail_host(struct rules_reader *reader, unsigned line, const char *text)
{
    return rules_fail(reader, line,
                      "'%.80s' in hosts; right are \"name\", \"name:3306\", \"192.0.2.1:3306\", "
                      "\"[2001:db8::1]:3306\", \"/path/of.sock\"",
                      text);
}

static bool
read_port(const char *text, uint16_t *out)
{
    unsigned port = 0;
    size_t len = strlen(text);
    if (len == 0 || len > 5) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    *out = (uint16_t)port;
    return port >= 1 && port <= UINT16_MAX;
}

static bool
is_host_name(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.at[i] <= ' ' || name.at[i] >= 0x7f || strchr("[]/@,", name.at[i]) != NULL) {
            return false;
        }
    }
    return name.len > 0 && name.len <= HOST_LEN_MAX;
}

static bool
read_host(struct rules_reader *reader, unsigned line, const char *text, struct rules_host *out)
{
    struct bytes name = { (const uint8_t *)text, strlen(text) };
    const char *behind = "";
    out->port = 0;
    if (text[0] == '/') {
        if (name.len > HOST_LEN_MAX) {
            return fail_host(reader, line, text);
        }
    } else {
        if (text[0] == '[') {
            const char *end = strchr(text, ']');
            if (end == NULL) {
                return fail_host(reader, line, text);
            }
            name = (struct bytes){ name.at + 1, (size_t)(end - text) - 1 };
            behind = end + 1;
        } else {
            name.len = strcspn(text, ":");
            behind = text + name.len;
        }
        out->port = RULES_PORT_DEFAULT;
        if (!is_host_name(name) ||
            (*behind != 0 && (*behind != ':' || !read_port(behind + 1, &out->port)))) {
            return fail_host(reader, line, text);
        }
    }
    struct bytes copy;
    if (!rules_copy(reader, name.at, name.len, &copy)) {
        return false;
    }
    out->name = (const char *)copy.at;
    return true;
}

static bool
read_hosts(struct rules_reader *reader, const config_setting_t *group)
{
    const config_setting_t *list = member(group, "hosts");
    if (list == NULL) {
        return rules_fail(reader, config_setting_source_line(group),
                          "hosts is missing in source: hosts = ( \"db1:3306\" );");
    }
    unsigned line = config_setting_source_line(list);
    if (!config_setting_is_list(list) && !config_setting_is_array(list)) {
        return rules_fail(reader, line, "hosts must be a list: ( \"db1:3306\", \"db2:3306\" )");
    }
    int count = config_setting_length(list);
    if (count < 1 || count > (int)RULES_HOSTS_MAX) {
        return rules_fail(reader, line, "%d hosts; it must be 1 to %u", count, RULES_HOSTS_MAX);
    }
    struct rules_host *hosts = rules_take(reader, (size_t)count * sizeof(*hosts));
    if (hosts == NULL) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        const config_setting_t *host = config_setting_get_elem(list, (unsigned)i);
        unsigned host_line = config_setting_source_line(host);
        if (config_setting_type(host) != CONFIG_TYPE_STRING) {
            return rules_fail(reader, host_line, "hosts must be texts: ( \"db1:3306\" )");
        }
        if (!read_host(reader, host_line, config_setting_get_string(host), &hosts[i])) {
            return false;
        }
        for (int k = 0; k < i; k++) {
            if (hosts[k].port == hosts[i].port && strcmp(hosts[k].name, hosts[i].name) == 0) {
                return rules_fail(reader, host_line, "'%.80s' twice in hosts",
                                  config_setting_get_string(host));
            }
        }
    }
    reader->rules->source.hosts = hosts;
    reader->rules->source.host_count = (uint32_t)count;
    return true;
}

/** Whether what is said to the host does not leave this machine. */
static bool
is_local(const struct rules_host *host)
{
    return host->port == 0 || strcmp(host->name, "localhost") == 0 ||
           strcmp(host->name, "::1") == 0 || strncmp(host->name, "127.", 4) == 0;
}

/* -- the password ----------------------------------------------------------------------------- */

/** The first line of a file. */
static bool
read_password(struct rules_reader *reader, unsigned line, const char *path)
{
    struct stat status;
    char text[RULES_PASSWORD_LEN_MAX + 2];
    struct bytes copy = { NULL, 0 };
    bool is_read = false;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0 || fstat(file, &status) != 0) {
        rules_fail(reader, line, "password_file %.200s cannot be read: %s", path, strerror(errno));
        goto done;
    }
    if (!S_ISREG(status.st_mode)) {
        rules_fail(reader, line, "password_file %.200s is no regular file", path);
        goto done;
    }
    ssize_t got = read(file, text, sizeof(text) - 1);
    if (got < 0) {
        rules_fail(reader, line, "password_file %.200s cannot be read: %s", path, strerror(errno));
        goto done;
    }
    text[got] = 0;
    size_t len = strcspn(text, "\r\n");
    if (len == 0 || len > RULES_PASSWORD_LEN_MAX) {
        rules_fail(reader, line, "the first line of password_file %.200s must have 1 to %u bytes",
                   path, RULES_PASSWORD_LEN_MAX);
    } else if (rules_copy(reader, text, len, &copy)) {
        reader->rules->source.password = (const char *)copy.at;
        is_read = true;
    }
    explicit_bzero(text, sizeof(text));
    if (is_read && (status.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
        snprintf(reader->rules->warning, sizeof(reader->rules->warning),
                 "%s:%u: password_file %.200s is open to other users; chmod 0600", reader->path,
                 line, path);
    }
done:
    if (file >= 0) {
        close(file);
    }
    return is_read;
}

static bool
read_user(struct rules_reader *reader, const config_setting_t *group)
{
    const char *path = NULL;
    unsigned line = 0;
    struct rules_source *source = &reader->rules->source;
    if (!rules_take_text(reader, group, "user", &source->user, &line) ||
        !rules_take_text(reader, group, "password_file", &path, &line)) {
        return false;
    }
    if (source->user == NULL) {
        return rules_fail(reader, config_setting_source_line(group),
                          "user is missing in source: one with REPLICATION SLAVE");
    }
    if (path != NULL) {
        return read_password(reader, line, path);
    }
    struct bytes none;
    if (!rules_copy(reader, "", 0, &none)) {
        return false;
    }
    source->password = (const char *)none.at;
    return true;
}

/* -- TLS -------------------------------------------------------------------------------------- */

static bool
read_tls(struct rules_reader *reader, const config_setting_t *group)
{
    static const char *const choices[] = { "off", "required", "verify-ca", "verify-identity" };
    struct rules_source *source = &reader->rules->source;
    unsigned tls = RULES_TLS_OFF;
    unsigned line = config_setting_source_line(group);
    unsigned ca_line = 0;
    unsigned cert_line = 0;
    unsigned key_line = 0;
    if (!rules_take_choice(reader, group, "tls", choices, 4, &tls) ||
        !rules_take_text(reader, group, "tls_ca", &source->tls_ca, &ca_line) ||
        !rules_take_text(reader, group, "tls_cert", &source->tls_cert, &cert_line) ||
        !rules_take_text(reader, group, "tls_key", &source->tls_key, &key_line)) {
        return false;
    }
    source->tls = (enum rules_tls)tls;
    for (uint32_t i = 0; i < source->host_count && member(group, "tls") == NULL; i++) {
        if (!is_local(&source->hosts[i])) {
            return rules_fail(reader, line,
                              "tls is missing in source, and %.80s is another machine; "
                              "\"verify-identity\" is safe, \"off\" shows all rows to the network",
                              source->hosts[i].name);
        }
    }
    if (source->tls == RULES_TLS_OFF && ca_line + cert_line + key_line > 0) {
        return rules_fail(reader,
                          ca_line > 0     ? ca_line
                          : cert_line > 0 ? cert_line
                                          : key_line,
                          "a certificate without tls; set tls = \"verify-identity\"");
    }
    if (source->tls == RULES_TLS_REQUIRED && ca_line > 0) {
        return rules_fail(reader, ca_line,
                          "tls_ca is not looked at with tls = \"required\"; "
                          "\"verify-ca\" and \"verify-identity\" check the server's certificate");
    }
    if ((cert_line > 0) != (key_line > 0)) {
        return rules_fail(reader, cert_line > 0 ? cert_line : key_line,
                          "tls_cert and tls_key come together; one is missing");
    }
    return true;
}

/* -- the rest --------------------------------------------------------------------------------- */

/** "visible", "arrival", "delay:200ms" */
static bool
read_fence(struct rules_reader *reader, const config_setting_t *group)
{
    struct rules_source *source = &reader->rules->source;
    const char *text = "visible";
    unsigned line = 0;
    if (!rules_take_text(reader, group, "fence", &text, &line)) {
        return false;
    }
    if (strcmp(text, "visible") == 0) {
        source->fence = RULES_FENCE_VISIBLE;
        return true;
    }
    if (strcmp(text, "arrival") == 0) {
        source->fence = RULES_FENCE_ARRIVAL;
        return true;
    }
    if (strncmp(text, "delay:", 6) == 0 && text[6] >= '0' && text[6] <= '9') {
        char *end;
        errno = 0;
        unsigned long delay = strtoul(text + 6, &end, 10);
        if (strcmp(end, "ms") == 0 && errno == 0 && delay >= 1 && delay <= FENCE_DELAY_MS_MAX) {
            source->fence = RULES_FENCE_DELAY;
            source->fence_delay_ms = (uint32_t)delay;
            return true;
        }
    }
    return rules_fail(reader, line,
                      "fence is \"%.64s\"; it must be one of \"visible\", \"arrival\", "
                      "\"delay:200ms\" (1 to %u)",
                      text, FENCE_DELAY_MS_MAX);
}

static bool
read_choices(struct rules_reader *reader, const config_setting_t *group)
{
    static const char *const holdoff_modes[] = { "shorten", "refuse" };
    static const char *const gaps[] = { "flush", "keep" };
    static const char *const disconnects[] = { "bypass", "keep", "flush" };
    struct rules_source *source = &reader->rules->source;
    unsigned holdoff_mode = RULES_HOLDOFF_SHORTEN;
    unsigned on_gap = RULES_GAP_FLUSH;
    unsigned on_disconnect = RULES_DISCONNECT_BYPASS;
    if (!rules_take_choice(reader, group, "holdoff_mode", holdoff_modes, 2, &holdoff_mode) ||
        !rules_take_choice(reader, group, "on_gap", gaps, 2, &on_gap) ||
        !rules_take_choice(reader, group, "on_disconnect", disconnects, 3, &on_disconnect)) {
        return false;
    }
    source->holdoff_mode = (enum rules_holdoff)holdoff_mode;
    source->on_gap = (enum rules_on_gap)on_gap;
    source->on_disconnect = (enum rules_on_disconnect)on_disconnect;
    return true;
}

static bool
read_numbers(struct rules_reader *reader, const config_setting_t *group)
{
    struct rules_source *source = &reader->rules->source;
    source->heartbeat_ms = HEARTBEAT_MS_DEFAULT;
    source->timeout_ms = TIMEOUT_MS_DEFAULT;
    source->holdoff_ms = HOLDOFF_MS_DEFAULT;
    source->grace_ms = GRACE_MS_DEFAULT;
    if (!rules_take_number(reader, group, "heartbeat_ms", 10, 60000, &source->heartbeat_ms) ||
        !rules_take_number(reader, group, "timeout_ms", 20, 600000, &source->timeout_ms) ||
        !rules_take_number(reader, group, "holdoff_ms", 1000, HOUR_MS, &source->holdoff_ms) ||
        !rules_take_number(reader, group, "grace_ms", 0, HOUR_MS, &source->grace_ms) ||
        !rules_take_number(reader, group, "server_id", 1, UINT32_MAX, &source->server_id)) {
        return false;
    }
    if (source->timeout_ms < 2 * source->heartbeat_ms) {
        const config_setting_t *setting = member(group, "timeout_ms");
        setting = setting == NULL ? member(group, "heartbeat_ms") : setting;
        return rules_fail(reader, config_setting_source_line(setting),
                          "timeout_ms is %u; it must be at least twice heartbeat_ms, %u",
                          source->timeout_ms, 2 * source->heartbeat_ms);
    }
    return true;
}

bool
rules_read_source(struct rules_reader *reader, const config_setting_t *group)
{
    static const char *const known[] = {
        "hosts",        "user",         "password_file", "tls",        "tls_ca",     "tls_cert",
        "tls_key",      "heartbeat_ms", "timeout_ms",    "fence",      "holdoff_ms", "on_gap",
        "holdoff_mode", "grace_ms",     "on_disconnect", "state_file", "online_ddl", "server_id",
    };
    struct rules_source *source = &reader->rules->source;
    const char *online_ddl = NULL;
    unsigned line = 0;
    if (!rules_know(reader, group, "source", known, sizeof(known) / sizeof(known[0])) ||
        !read_hosts(reader, group) || !read_user(reader, group) || !read_tls(reader, group) ||
        !read_fence(reader, group) || !read_choices(reader, group) ||
        !read_numbers(reader, group) ||
        !rules_take_text(reader, group, "state_file", &source->state_file, &line) ||
        !rules_take_text(reader, group, "online_ddl", &online_ddl, &line)) {
        return false;
    }
    return online_ddl == NULL ||
           rules_take_pattern(reader, line, "online_ddl", online_ddl, &source->online_ddl);
}

#endif
