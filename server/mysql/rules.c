#include "config.h"

#include "mysql/rules.h"

#include "mysql/rules_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_HOOK
#include <libconfig.h>
#endif

#define MEMORY_MAX (64u << 20) /* bytes of all that is read */

struct rules_pattern {
    struct rules_pattern *before;
    regex_t regex;
};

/* -- what the readers share ------------------------------------------------------------------- */

bool
rules_fail(struct rules_reader *reader, unsigned line, const char *format, ...)
{
    char text[RULES_ERROR_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    /* What a user wrote may hold bytes that no terminal should get. */
    for (char *c = text; *c != 0; c++) {
        *c = (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c;
    }
    if (line == 0) {
        snprintf(reader->error, reader->error_cap, "%s: %s", reader->path, text);
    } else {
        snprintf(reader->error, reader->error_cap, "%s:%u: %s", reader->path, line, text);
    }
    return false;
}

void *
rules_take(struct rules_reader *reader, size_t len)
{
    void *at = pool_take(&reader->rules->pool, len);
    if (at == NULL) {
        rules_fail(reader, 0, "out of memory for the rules");
    }
    return at;
}

bool
rules_copy(struct rules_reader *reader, const void *bytes, size_t len, struct bytes *out)
{
    char *copy = rules_take(reader, len + 1);
    if (copy == NULL) {
        return false;
    }
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    *out = (struct bytes){ (const uint8_t *)copy, len };
    return true;
}

/* -- patterns --------------------------------------------------------------------------------- */

bool
rules_take_pattern(struct rules_reader *reader, unsigned line, const char *name, const char *text,
                   const struct rules_pattern **out)
{
    char whole[RULES_PATTERN_LEN_MAX + 8];
    size_t len = strlen(text);
    if (len == 0 || len > RULES_PATTERN_LEN_MAX) {
        return rules_fail(reader, line, "%s: a pattern of %zu bytes; 1 to %u are taken", name, len,
                          RULES_PATTERN_LEN_MAX);
    }
    /* What makes a short pattern take for ever, or all memory: regcomp() copies what is repeated.
     */
    unsigned plus_count = 0;
    for (const char *c = text; *c != 0; c++) {
        if (*c == '{') {
            return rules_fail(
                reader, line,
                "%s: '{' in a pattern; write what repeats several times, or use * + ?", name);
        }
        plus_count += *c == '+';
        if (plus_count > RULES_PATTERN_PLUS_MAX) {
            return rules_fail(reader, line, "%s: more than %u '+' in a pattern", name,
                              RULES_PATTERN_PLUS_MAX);
        }
        if (*c == '\\' && c[1] >= '0' && c[1] <= '9') {
            return rules_fail(reader, line,
                              "%s: '\\%c' in a pattern; back references are not taken", name, c[1]);
        }
        if (*c == '\\' && c[1] != 0) {
            c++;
        }
    }
    struct rules_pattern *pattern = rules_take(reader, sizeof(*pattern));
    if (pattern == NULL) {
        return false;
    }
    snprintf(whole, sizeof(whole), "^(%s)$", text);
    int result = regcomp(&pattern->regex, whole, REG_EXTENDED | REG_NOSUB);
    if (result != 0) {
        char reason[80];
        regerror(result, &pattern->regex, reason, sizeof(reason));
        return rules_fail(reader, line, "%s: '%.80s' is no extended regular expression: %s", name,
                          text, reason);
    }
    pattern->before = reader->rules->patterns;
    reader->rules->patterns = pattern;
    *out = pattern;
    return true;
}

bool
rules_pattern_matches(const struct rules_pattern *pattern, struct bytes name)
{
    char text[TEMPLATE_NAME_LEN_MAX + 1];
    if (name.len == 0 || name.len > TEMPLATE_NAME_LEN_MAX || memchr(name.at, 0, name.len) != NULL) {
        return false;
    }
    memcpy(text, name.at, name.len);
    text[name.len] = 0;
    return regexec(&pattern->regex, text, 0, NULL, 0) == 0;
}

/* -- reading ---------------------------------------------------------------------------------- */

#ifdef HAVE_HOOK

static bool
read_root(struct rules_reader *reader, const config_setting_t *root)
{
    static const char *const known[] = { "source", "tables" };
    if (!rules_know(reader, root, "the file", known, 2)) {
        return false;
    }
    const config_setting_t *source = config_setting_get_member(root, "source");
    const config_setting_t *tables = config_setting_get_member(root, "tables");
    if (source == NULL) {
        return rules_fail(reader, 0,
                          "source is missing: source = { hosts = (...); user = \"...\"; };");
    }
    if (tables == NULL) {
        return rules_fail(
            reader, 0, "tables is missing: tables = ( { name = \"db.table\"; rules = (...); } );");
    }
    return rules_read_source(reader, source) && rules_read_tables(reader, tables);
}

#define LIBCONFIG_MEMORY      (64u * 1024) /* bytes that it needs at least */
#define LIBCONFIG_MEMORY_BYTE 64u          /* for each byte of the file: what `a=1;` comes to */

/** Whether there is the memory that libconfig needs for a text: it does not look whether it gets any,
 * and dies without. */
static bool
has_memory_for(struct bytes text)
{
    void *volatile all = /* else the compiler leaves malloc() out */
        malloc(LIBCONFIG_MEMORY + text.len * LIBCONFIG_MEMORY_BYTE);
    bool has = all != NULL;
    free(all);
    return has;
}

static bool
read_text(struct rules_reader *reader, struct bytes text)
{
    config_t config;
    char *copy = has_memory_for(text) ? malloc(text.len + 1) : NULL;
    if (copy == NULL) {
        return rules_fail(reader, 0, "out of memory for the rules");
    }
    if (text.len > 0) {
        memcpy(copy, text.at, text.len);
    }
    copy[text.len] = 0;
    config_init(&config);
    bool is_read = config_read_string(&config, copy) == CONFIG_TRUE;
    free(copy);
    if (is_read) {
        is_read = read_root(reader, config_root_setting(&config));
    } else {
        const char *reason = config_error_text(&config);
        int line = config_error_line(&config);
        bool is_twice = reason != NULL && strcmp(reason, "duplicate setting name") == 0;
        rules_fail(reader, line > 0 ? (unsigned)line : 0, "%s%s",
                   reason == NULL ? "out of memory for the rules" : reason,
                   reason == NULL ? ""
                   : is_twice     ? "; once in a group is right"
                                  : ", here or above; settings are name = value; with ( ... ) for"
                                    " lists and { ... } for groups");
    }
    config_destroy(&config);
    return is_read;
}

#else

static bool
read_text(struct rules_reader *reader, struct bytes text)
{
    (void)text;
    return rules_fail(reader, 0, "this larder is built without the MySQL hook (--with-mysql)");
}

#endif

bool
rules_parse(const char *path, struct bytes text, struct rules **out, char *error, size_t error_cap)
{
    struct rules_reader reader = {
        .rules = calloc(1, sizeof(struct rules)),
        .path = path,
        .error = error,
        .error_cap = error_cap,
    };
    if (reader.rules == NULL) {
        return rules_fail(&reader, 0, "out of memory for the rules");
    }
    pool_init(&reader.rules->pool, MEMORY_MAX);
    bool is_read = rules_scan(&reader, text) && read_text(&reader, text);
    if (is_read && !rules_prefixes_fit(reader.rules)) {
        is_read = rules_fail(&reader, 0,
                             "more than %u different texts that keys begin with; "
                             "let the keys of several rules begin alike",
                             RULES_PREFIXES_MAX);
    }
    if (!is_read) {
        rules_destroy(reader.rules);
        return false;
    }
    *out = reader.rules;
    return true;
}

/** Reads a whole regular file into `*out`, the caller's to free. */
static bool
read_file(struct rules_reader *reader, struct bytes *out)
{
    struct stat status;
    uint8_t *bytes = NULL;
    size_t len = 0;
    int file = open(reader->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0 || fstat(file, &status) != 0) {
        rules_fail(reader, 0, "cannot be read: %s", strerror(errno));
        goto fail;
    }
    if (!S_ISREG(status.st_mode)) {
        rules_fail(reader, 0, "is no regular file");
        goto fail;
    }
    bytes = malloc(RULES_FILE_LEN_MAX + 1);
    if (bytes == NULL) {
        rules_fail(reader, 0, "out of memory for the rules");
        goto fail;
    }
    while (len <= RULES_FILE_LEN_MAX) {
        ssize_t got = read(file, bytes + len, RULES_FILE_LEN_MAX + 1 - len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            rules_fail(reader, 0, "cannot be read: %s", strerror(errno));
            goto fail;
        }
        if (got == 0) {
            break;
        }
        len += (size_t)got;
    }
    close(file);
    *out = (struct bytes){ bytes, len };
    return true;

fail:
    free(bytes);
    if (file >= 0) {
        close(file);
    }
    return false;
}

bool
rules_load(const char *path, struct rules **out, char *error, size_t error_cap)
{
    struct rules_reader reader = { .path = path, .error = error, .error_cap = error_cap };
    struct bytes text;
    if (!read_file(&reader, &text)) {
        return false;
    }
    bool is_read = rules_parse(path, text, out, error, error_cap);
    free((void *)(uintptr_t)text.at);
    return is_read;
}

void
rules_destroy(struct rules *rules)
{
    if (rules == NULL) {
        return;
    }
    for (struct rules_pattern *pattern = rules->patterns; pattern != NULL;
         pattern = pattern->before) {
        regfree(&pattern->regex);
    }
    if (rules->source.password != NULL) {
        char *password = (char *)(uintptr_t)rules->source.password;
        explicit_bzero(password, strlen(password));
    }
    pool_fini(&rules->pool);
    free(rules);
}

/* -- asking ----------------------------------------------------------------------------------- */

static bool
is_same(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool
rules_table_matches(const struct rules_table *block, struct bytes database, struct bytes table)
{
    if (block->database.at != NULL) {
        return is_same(block->database, database) && is_same(block->table, table);
    }
    return rules_pattern_matches(block->database_pattern, database) &&
           rules_pattern_matches(block->table_pattern, table);
}

bool
rules_match(const struct rules *rules, struct bytes database, struct bytes table)
{
    for (uint32_t i = 0; i < rules->table_count; i++) {
        if (rules_table_matches(&rules->tables[i], database, table)) {
            return true;
        }
    }
    return false;
}

bool
rules_is_online_ddl(const struct rules *rules, struct bytes table)
{
    return rules->source.online_ddl != NULL &&
           rules_pattern_matches(rules->source.online_ddl, table);
}
