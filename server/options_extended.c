/* The suboptions of -o. */
#include "config.h"

#include "options_priv.h"

#include "net/metrics_server.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define SUBOPTION_NAME_CAP 64u   /* bytes, NUL included; no known name is as long */
#define SLAB_SIZE_MIN      48u   /* bytes; of memcached, as is the next */
#define SLAB_SIZE_STEP     8u    /* bytes between two sizes */
#define SUBOPTION_CAP      4608u /* bytes of a name and its value, NUL included: a path fits */

/* -- suboptions of -o -------------------------------------------------------------------------- */

/** Takes a value, which is NULL where there is no `=`. */
typedef bool suboption_fn(struct parser *parser, const char *value);

enum suboption_kind {
    SUB_ON,       /* sets a bool */
    SUB_OFF,      /* clears one */
    SUB_NOTHING,  /* taken, and means nothing here */
    SUB_UNSIGNED, /* whole number from min to max */
    SUB_KIB,      /* whole number of KiB, kept in bytes */
    SUB_MIB,      /* whole number of MiB, kept in bytes */
    SUB_REAL,     /* number above min, up to max */
    SUB_TEXT,     /* a copy of the value, as long as it is not empty */
    SUB_ADDRESS,  /* the same, of an address of -o metrics */
    SUB_SPECIAL,  /* what its own function says */
    SUB_MISSING,  /* of memcached, not of this build */
};

struct suboption {
    const char *name;
    enum suboption_kind kind;
    size_t field; /* offset in struct settings */
    double min;   /* SUB_REAL: exclusive */
    double max;
    const char *text;   /* memcached's words for a number out of range; what a text is; what is
                         missing */
    suboption_fn *take; /* SUB_SPECIAL */
};

/** The numbers of whose lack memcached speaks otherwise than of "numeric argument". */
static const struct {
    const char *name;
    const char *lacks;
} missing_words[] = {
    { "slab_automove_window", "argument" }, { "lru_crawler_sleep", "value" },
    { "lru_crawler_tocrawl", "value" },     { "hot_lru_pct", "argument" },
    { "warm_lru_pct", "argument" },         { "watcher_logbuf_size", "argument" },
    { "worker_logbuf_size", "argument" },   { "read_buf_mem_limit", "argument" },
};

static bool
fail_missing_number(struct parser *parser, const char *name)
{
    for (size_t i = 0; i < sizeof(missing_words) / sizeof(missing_words[0]); i++) {
        if (strcmp(name, missing_words[i].name) == 0) {
            return options_fail(parser, OPTIONS_EXIT_BAD, "Missing %s %s: -o %s=<number>", name,
                                missing_words[i].lacks, name);
        }
    }
    return options_fail(parser, OPTIONS_EXIT_BAD, "Missing numeric argument for %s: -o %s=<number>",
                        name, name);
}

static void *
field_at(const struct parser *parser, const struct suboption *sub)
{
    return (char *)parser->settings + sub->field;
}

static bool
take_whole(struct parser *parser, const struct suboption *sub, const char *value, uint64_t unit)
{
    if (value == NULL || *value == '\0') {
        return fail_missing_number(parser, sub->name);
    }
    int64_t min = unit == 1 ? (int64_t)sub->min : 0;
    int64_t max = unit == 1 ? (int64_t)sub->max : (int64_t)(UINT32_MAX / unit);
    int64_t number = 0;
    if (!options_integer(value, min, max, &number)) {
        return options_fail(parser, OPTIONS_EXIT_BAD, "%s: -o %s=%s, where %lld to %lld is right",
                            sub->text, sub->name, value, (long long)min, (long long)max);
    }
    *(unsigned *)field_at(parser, sub) = (unsigned)((uint64_t)number * unit);
    return true;
}

static bool
take_real(struct parser *parser, const struct suboption *sub, const char *value)
{
    if (value == NULL || *value == '\0') {
        return options_fail(parser, OPTIONS_EXIT_BAD, "Missing %s argument: -o %s=<number>",
                            sub->name, sub->name);
    }
    double number = 0;
    if (!options_real(value, &number) || number <= sub->min || number > sub->max) {
        return options_fail(parser, OPTIONS_EXIT_BAD, "%s: -o %s=%s", sub->text, sub->name, value);
    }
    *(double *)field_at(parser, sub) = number;
    return true;
}

/** Owned by the settings: options_free(). */
static bool
take_text(struct parser *parser, const struct suboption *sub, const char *value)
{
    const char **field = field_at(parser, sub);
    if (value == NULL || *value == '\0') {
        return options_fail(parser, OPTIONS_EXIT_BAD, "Missing %s argument: -o %s=<%s>", sub->name,
                            sub->name, sub->text);
    }
    char *copy = strdup(value);
    if (copy == NULL) {
        return options_fail(parser, OPTIONS_EXIT_OS, "out of memory");
    }
    free((char *)(uintptr_t)*field);
    *field = copy;
    return true;
}

static bool
take_address(struct parser *parser, const struct suboption *sub, const char *value)
{
    struct metrics_address address;
    char error[METRICS_ERROR_CAP];
    if (value != NULL && *value != '\0' &&
        !metrics_address_parse(value, &address, error, sizeof(error))) {
        return options_fail(parser, OPTIONS_EXIT_BAD, "%s", error);
    }
    return take_text(parser, sub, value);
}

static bool
take_hashpower(struct parser *parser, const char *value)
{
    int64_t power = 0;
    if (value == NULL || *value == '\0') {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "Missing numeric argument for hashpower: -o hashpower=<12 to 32>");
    }
    if (!options_integer(value, 0, INT32_MAX, &power)) {
        return options_fail(parser, OPTIONS_EXIT_BAD, "-o hashpower=%s: 12 to 32 is right", value);
    }
    if (power != 0 && power < 12) {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "Initial hashtable multiplier of %s is too low:"
                            " -o hashpower=%s, where 12 to 32 is right",
                            value, value);
    }
    if (power > 32) {
        return options_fail(
            parser, OPTIONS_EXIT_BAD,
            "Initial hashtable multiplier of %s is too high: -o hashpower=%s, where 12 to 32 is right\n"
            "Choose a value based on \"STAT hash_power_level\" from a running instance",
            value, value);
    }
    parser->settings->hashpower_init = (unsigned)power;
    return true;
}

static bool
take_automove(struct parser *parser, const char *value)
{
    int64_t mode = 1;
    if (value != NULL && *value != '\0' && !options_integer(value, 0, 2, &mode)) {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "slab_automove must be between 0 and 2: -o slab_automove=%s", value);
    }
    settings_set(parser->settings, slab_automove, (int)mode);
    return true;
}

static bool
take_freeratio(struct parser *parser, const char *value)
{
    double ratio = 0;
    if (value == NULL || *value == '\0') {
        return options_fail(
            parser, OPTIONS_EXIT_BAD,
            "Missing slab_automove_freeratio argument: a ratio is right, such as 0.01");
    }
    if (!options_real(value, &ratio) || ratio < 0) {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "could not parse argument to slab_automove_freeratio:"
                            " -o slab_automove_freeratio=%s, where a ratio is right, such as 0.01",
                            value);
    }
    settings_set(parser->settings, slab_automove_freeratio, ratio);
    return true;
}

static bool
take_hash_algorithm(struct parser *parser, const char *value)
{
    static const char *const names[] = { "jenkins", "murmur3", "xxh3" };
    if (value == NULL) {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "Missing hash_algorithm argument: jenkins, murmur3 or xxh3");
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(value, names[i]) == 0) {
            parser->settings->hash_algorithm = names[i];
            return true;
        }
    }
    return options_fail(parser, OPTIONS_EXIT_BAD,
                        "Unknown hash_algorithm option (jenkins, murmur3, xxh3): %s", value);
}

static bool
take_evict_for(struct parser *parser, const char *value)
{
    bool bytes = value != NULL && strcmp(value, "bytes") == 0;
    if (!bytes && (value == NULL || strcmp(value, "objects") != 0)) {
        return options_fail(
            parser, OPTIONS_EXIT_BAD,
            "-o evict_for=%s: objects or bytes is right: what as many hits as can be"
            " are counted in",
            value != NULL ? value : "");
    }
    parser->settings->evict_for_bytes = bytes;
    return true;
}

static bool
take_temporary_ttl(struct parser *parser, const char *value)
{
    int64_t ttl = 0;
    if (value == NULL || *value == '\0') {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "Missing temporary_ttl argument: a number of seconds is right");
    }
    if (!options_integer(value, INT32_MIN, INT32_MAX, &ttl)) {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "-o temporary_ttl=%s: a number of seconds is right", value);
    }
    settings_set(parser->settings, temp_lru, ttl >= 0);
    settings_set(parser->settings, temporary_ttl, ttl >= 0 ? (unsigned)ttl : 0);
    parser->temporary_ttl_given = true;
    return true;
}

/** "100-200-300": sizes of chunks. */
static bool
take_slab_sizes(struct parser *parser, const char *value)
{
    if (value == NULL || *value == '\0') {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "Missing slab_sizes argument: sizes are right, such as 100-200-400");
    }
    struct settings *settings = parser->settings;
    settings->slab_sizes_len = 0;
    uint64_t last = 0;
    const char *at = value;
    for (;;) {
        char *end = NULL;
        unsigned long long size = *at >= '0' && *at <= '9' ? strtoull(at, &end, 10) : 0;
        bool whole = end != NULL && (*end == '-' || *end == '\0');
        if (!whole || size < SLAB_SIZE_MIN || size > PAGE_OF_MEMCACHED) {
            return options_fail(parser, OPTIONS_EXIT_USAGE,
                                "slab size %.20s is out of valid range: -o slab_sizes=%s, where"
                                " sizes of %u to %u bytes are right",
                                at, value, SLAB_SIZE_MIN, PAGE_OF_MEMCACHED);
        }
        if (size <= last) {
            return options_fail(
                parser, OPTIONS_EXIT_USAGE,
                "slab size %llu cannot be lower than or equal to a previous class size: -o slab_sizes=%s",
                size, value);
        }
        if (last != 0 && size < last + SLAB_SIZE_STEP) {
            return options_fail(
                parser, OPTIONS_EXIT_USAGE,
                "slab size %llu must be at least %u bytes larger than previous class: -o slab_sizes=%s",
                size, SLAB_SIZE_STEP, value);
        }
        last = size;
        if (settings->slab_sizes_len == SLAB_SIZES_MAX) {
            return options_fail(parser, OPTIONS_EXIT_USAGE,
                                "too many slab sizes: %u is the most: -o slab_sizes=%.60s...",
                                SLAB_SIZES_MAX, value);
        }
        settings->slab_sizes[settings->slab_sizes_len++] = (uint32_t)size;
        if (*end == '\0') {
            return true;
        }
        at = end + 1;
    }
}

static bool
take_slab_chunk_max(struct parser *parser, const char *value)
{
    int64_t kib = 0;
    if (value == NULL || *value == '\0') {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "Missing slab_chunk_max argument: 1 to 1024 kilobytes");
    }
    if (!options_integer(value, INT32_MIN, INT32_MAX, &kib)) {
        return options_fail(
            parser, OPTIONS_EXIT_BAD,
            "could not parse argument to slab_chunk_max: -o slab_chunk_max=%s, where 1 to 1024 is right",
            value);
    }
    if (kib < 1 || kib > 1024) {
        return options_fail(parser, OPTIONS_EXIT_USAGE,
                            "slab_chunk_max=%s: 1 to 1024 kilobytes is right", value);
    }
    parser->settings->slab_chunk_max = (uint32_t)kib * 1024;
    return true;
}

static bool
take_no_slab_automove(struct parser *parser, const char *value)
{
    (void)value;
    settings_set(parser->settings, slab_automove, 0);
    return true;
}

static bool
take_no_lru_maintainer(struct parser *parser, const char *value)
{
    (void)value;
    parser->settings->lru_maintainer = false;
    settings_set(parser->settings, lru_segmented, false);
    return true;
}

static bool
take_no_chunked_items(struct parser *parser, const char *value)
{
    (void)value;
    parser->settings->slab_chunk_max = PAGE_OF_MEMCACHED;
    return true;
}

static bool
take_resp_obj_mem_limit(struct parser *parser, const char *value)
{
    (void)value;
    options_warn(parser, "DEPRECATED: resp_obj_mem_limit no longer used. See read_buf_mem_limit.");
    return true;
}

/** What memcached 1.4 did, as far as it is a setting. */
static bool
take_no_modern(struct parser *parser, const char *value)
{
    (void)value;
    struct settings *settings = parser->settings;
    settings_set(settings, lru_segmented, false);
    settings->lru_maintainer = false;
    settings_set(settings, lru_crawler, false);
    settings->slab_reassign = false;
    settings_set(settings, slab_automove, 0);
    settings->maxconns_fast = false;
    settings->hash_algorithm = "jenkins";
    settings->slab_chunk_max = PAGE_OF_MEMCACHED;
    return true;
}

/* -- the list ---------------------------------------------------------------------------------- */

#define FIELD(name) offsetof(struct settings, name)

static const struct suboption suboptions[] = {
    { "maxconns_fast", SUB_ON, .field = FIELD(maxconns_fast) },
    { "no_maxconns_fast", SUB_OFF, .field = FIELD(maxconns_fast) },
    { "hashpower", SUB_SPECIAL, .take = take_hashpower },
    { "no_hashexpand", .kind = SUB_NOTHING },
    { "slab_reassign", SUB_ON, .field = FIELD(slab_reassign) },
    { "no_slab_reassign", SUB_OFF, .field = FIELD(slab_reassign) },
    { "slab_automove", SUB_SPECIAL, .take = take_automove },
    { "no_slab_automove", SUB_SPECIAL, .take = take_no_slab_automove },
    { "slab_automove_ratio", SUB_REAL, .field = FIELD(slab_automove_ratio), .max = 1,
      .text = "slab_automove_ratio must be > 0 and < 1" },
    { "slab_automove_window", SUB_UNSIGNED, .field = FIELD(slab_automove_window), .min = 3,
      .max = 1800, .text = "slab_automove_window must be > 2" },
    { "slab_automove_freeratio", SUB_SPECIAL, .take = take_freeratio },
    { "tail_repair_time", SUB_UNSIGNED, .field = FIELD(tail_repair_time), .min = 10,
      .max = UINT32_MAX, .text = "Cannot set tail_repair_time to less than 10 seconds" },
    { "hash_algorithm", SUB_SPECIAL, .take = take_hash_algorithm },
    { "lru_crawler", SUB_ON, .field = FIELD(lru_crawler) },
    { "no_lru_crawler", SUB_OFF, .field = FIELD(lru_crawler) },
    { "lru_crawler_sleep", SUB_UNSIGNED, .field = FIELD(lru_crawler_sleep), .max = 1000000,
      .text = "LRU crawler sleep must be between 0 and 1 second" },
    { "lru_crawler_tocrawl", SUB_UNSIGNED, .field = FIELD(lru_crawler_tocrawl), .max = UINT32_MAX,
      .text = "lru_crawler_tocrawl takes a numeric 32bit value" },
    { "lru_maintainer", SUB_ON, .field = FIELD(lru_maintainer) },
    { "no_lru_maintainer", SUB_SPECIAL, .take = take_no_lru_maintainer },
    { "hot_lru_pct", SUB_UNSIGNED, .field = FIELD(hot_lru_pct), .min = 1, .max = 79,
      .text = "hot_lru_pct must be > 1 and < 80" },
    { "warm_lru_pct", SUB_UNSIGNED, .field = FIELD(warm_lru_pct), .min = 1, .max = 79,
      .text = "warm_lru_pct must be > 1 and < 80" },
    { "hot_max_factor", SUB_REAL, .field = FIELD(hot_max_factor), .max = 1e9,
      .text = "hot_max_factor must be > 0" },
    { "warm_max_factor", SUB_REAL, .field = FIELD(warm_max_factor), .max = 1e9,
      .text = "warm_max_factor must be > 0" },
    { "temporary_ttl", SUB_SPECIAL, .take = take_temporary_ttl },
    { "idle_timeout", SUB_UNSIGNED, .field = FIELD(idle_timeout_s), .max = INT32_MAX,
      .text = "idle_timeout takes a number of seconds" },
    { "watcher_logbuf_size", SUB_KIB, .field = FIELD(watcher_logbuf_size),
      .text = "could not parse argument to watcher_logbuf_size" },
    { "worker_logbuf_size", SUB_KIB, .field = FIELD(worker_logbuf_size),
      .text = "could not parse argument to worker_logbuf_size" },
    { "slab_sizes", SUB_SPECIAL, .take = take_slab_sizes },
    { "slab_chunk_max", SUB_SPECIAL, .take = take_slab_chunk_max },
    { "evict_for", SUB_SPECIAL, .take = take_evict_for },
    { "track_sizes", SUB_ON, .field = FIELD(track_sizes) },
    { "read_buf_mem_limit", SUB_MIB, .field = FIELD(read_buf_mem_limit),
      .text = "could not parse argument to read_buf_mem_limit" },
    { "resp_obj_mem_limit", SUB_SPECIAL, .take = take_resp_obj_mem_limit },
    { "no_chunked_items", SUB_SPECIAL, .take = take_no_chunked_items },
    { "modern", .kind = SUB_NOTHING },
    { "no_modern", SUB_SPECIAL, .take = take_no_modern },
    { "inline_ascii_resp", .kind = SUB_NOTHING },
    { "no_inline_ascii_resp", .kind = SUB_NOTHING },
#ifdef HAVE_SECCOMP
    { "drop_privileges", SUB_ON, .field = FIELD(drop_privileges) },
    { "no_drop_privileges", SUB_OFF, .field = FIELD(drop_privileges) },
    { "relaxed_privileges", SUB_ON, .field = FIELD(relaxed_privileges) },
#else
    { "no_drop_privileges", .kind = SUB_NOTHING },
    { "drop_privileges", SUB_MISSING, .text = "seccomp" },
    { "relaxed_privileges", SUB_MISSING, .text = "seccomp" },
#endif
    { "mysql_hook", SUB_TEXT, .field = FIELD(mysql_hook),
      .text = "a file of rules, see larder-hook(5)" },
    { "metrics", SUB_ADDRESS, .field = FIELD(metrics), .text = "address:port" },
    { "load", SUB_TEXT, .field = FIELD(load_file), .text = "absolute path of a snapshot" },
    { "load_if_there", SUB_TEXT, .field = FIELD(load_if_there),
      .text = "absolute path of a snapshot" },
    { "snapshot_dir", SUB_TEXT, .field = FIELD(snapshot_dir), .text = "absolute path of a folder" },
    { "sock_cookie_id", SUB_UNSIGNED, .field = FIELD(sock_cookie_id), .max = UINT32_MAX,
      .text = "sock_cookie_id takes a 32bit number" },
#ifdef HAVE_TLS
    { "ssl_chain_cert", SUB_TEXT, .field = FIELD(ssl_chain_cert), .text = "a PEM file" },
    { "ssl_key", SUB_TEXT, .field = FIELD(ssl_key), .text = "a file" },
    { "ssl_keyformat", SUB_SPECIAL, .take = options_take_ssl_keyformat },
    { "ssl_verify_mode", SUB_SPECIAL, .take = options_take_ssl_verify_mode },
    { "ssl_ciphers", SUB_TEXT, .field = FIELD(ssl_ciphers), .text = "names split by colons" },
    { "ssl_ca_cert", SUB_TEXT, .field = FIELD(ssl_ca_cert), .text = "a PEM file" },
    { "ssl_wbuf_size", SUB_SPECIAL, .take = options_take_ssl_wbuf_size },
    { "ssl_session_cache", SUB_ON, .field = FIELD(ssl_session_cache) },
    { "no_ssl_session_cache", SUB_OFF, .field = FIELD(ssl_session_cache) },
    { "ssl_kernel_tls", SUB_ON, .field = FIELD(ssl_kernel_tls) },
    { "no_ssl_kernel_tls", SUB_OFF, .field = FIELD(ssl_kernel_tls) },
    { "ssl_min_version", SUB_SPECIAL, .take = options_take_ssl_min_version },
#endif
};

/** Families of suboptions that come with what this build has not. */
static const struct {
    const char *prefix;
    const char *what;
} missing_families[] = {
#ifndef HAVE_TLS
    { "ssl_", "TLS" },
#endif
    { "ext_", "external storage" },
    { "proxy_", "proxy" },
};

/** whole   the name and its value, as they were given */
static bool
fail_missing(struct parser *parser, const char *whole, const char *what)
{
    return options_fail(parser, OPTIONS_EXIT_BAD,
                        "Illegal suboption \"%s\": this build of larder has no %s", whole, what);
}

static bool
take_by_kind(struct parser *parser, const struct suboption *sub, const char *value,
             const char *whole)
{
    switch (sub->kind) {
    case SUB_ON:
        *(bool *)field_at(parser, sub) = true;
        return true;
    case SUB_OFF:
        *(bool *)field_at(parser, sub) = false;
        return true;
    case SUB_NOTHING:
        return true;
    case SUB_UNSIGNED:
        return take_whole(parser, sub, value, 1);
    case SUB_KIB:
        return take_whole(parser, sub, value, OPTIONS_KIB);
    case SUB_MIB:
        return take_whole(parser, sub, value, OPTIONS_MIB);
    case SUB_REAL:
        return take_real(parser, sub, value);
    case SUB_TEXT:
        return take_text(parser, sub, value);
    case SUB_ADDRESS:
        return take_address(parser, sub, value);
    case SUB_SPECIAL:
        return sub->take(parser, value);
    case SUB_MISSING:
        break;
    }
    return fail_missing(parser, whole, sub->text);
}

static bool
take_suboption(struct parser *parser, const char *name, const char *value, const char *whole)
{
    for (size_t i = 0; i < sizeof(missing_families) / sizeof(missing_families[0]); i++) {
        if (strncmp(name, missing_families[i].prefix, strlen(missing_families[i].prefix)) == 0) {
            return fail_missing(parser, whole, missing_families[i].what);
        }
    }
    for (size_t i = 0; i < sizeof(suboptions) / sizeof(suboptions[0]); i++) {
        if (strcmp(suboptions[i].name, name) == 0) {
            return take_by_kind(parser, &suboptions[i], value, whole);
        }
    }
    return options_fail(parser, OPTIONS_EXIT_BAD,
                        "Illegal suboption \"%s\": larder -h lists those of -o", whole);
}

/** A list of name or name=value, split at commas.  A comma at the end is no element. */
bool
options_extended(struct parser *parser, const char *text)
{
    const char *at = text;
    while (*at != '\0') {
        size_t len = strcspn(at, ",");
        char element[SUBOPTION_CAP];
        if (len >= sizeof(element)) {
            return options_fail(parser, OPTIONS_EXIT_BAD, "Illegal suboption \"%.60s...\"", at);
        }
        memcpy(element, at, len);
        element[len] = '\0';
        char name[SUBOPTION_NAME_CAP] = "";
        const char *equals = strchr(element, '=');
        size_t name_len = equals != NULL ? (size_t)(equals - element) : len;
        if (name_len < sizeof(name)) {
            memcpy(name, element, name_len);
            name[name_len] = '\0';
        }
        if (!take_suboption(parser, name, equals != NULL ? equals + 1 : NULL, element)) {
            return false;
        }
        at += len;
        at += *at == ',' ? 1 : 0;
    }
    return true;
}
