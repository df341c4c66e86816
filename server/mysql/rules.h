/*
 * The rules file: which server to follow, and what happens to which keys when a row changes.
 *
 * libconfig's syntax; larder-hook(5) describes it for users.  @include is refused.  What is read
 * does not change any more: any thread may look at it.
 */
#ifndef LARDER_MYSQL_RULES_H
#define LARDER_MYSQL_RULES_H

#include "mysql/bytes.h"
#include "mysql/pool.h"
#include "mysql/template.h"
#include "mysql/where.h"

#define RULES_FILE_LEN_MAX     (1u << 20) /* bytes */
#define RULES_NESTING_MAX      8u         /* brackets within brackets in the file */
#define RULES_HOSTS_MAX        16u
#define RULES_TABLES_MAX       256u
#define RULES_MAX              1024u /* of all tables */
#define RULES_COLUMNS_MAX      64u   /* in update(...) */
#define RULES_PREFIXES_MAX     128u  /* different key prefixes; the cache flushes 256 at once */
#define RULES_PATTERN_LEN_MAX  256u  /* bytes */
#define RULES_PATTERN_PLUS_MAX 8u    /* '+' in a pattern: each may double what it takes */
#define RULES_TEXT_LEN_MAX     4096u /* bytes of a path, a user, a host */
#define RULES_PASSWORD_LEN_MAX 512u  /* bytes */
#define RULES_TTL_MAX_S        315360000u /* ten years */
#define RULES_ERROR_MAX        512u       /* bytes of an error text */
#define RULES_PORT_DEFAULT     3306u

enum rules_tls {
    RULES_TLS_OFF,
    RULES_TLS_REQUIRED,
    RULES_TLS_VERIFY_CA,
    RULES_TLS_VERIFY_IDENTITY,
};

/** When the last invalidation of a transaction is done. */
enum rules_fence {
    RULES_FENCE_VISIBLE, /* once the server shows the transaction to others */
    RULES_FENCE_ARRIVAL, /* as soon as its events are here */
    RULES_FENCE_DELAY,   /* on arrival, and again after fence_delay_ms */
};

/** What becomes of a plain store of a key that was just invalidated. */
enum rules_holdoff {
    RULES_HOLDOFF_SHORTEN,
    RULES_HOLDOFF_REFUSE,
};

enum rules_on_gap {
    RULES_GAP_FLUSH,
    RULES_GAP_KEEP, /* gives the guarantee up */
};

enum rules_on_disconnect {
    RULES_DISCONNECT_BYPASS, /* keys of the rules are a miss, and are not stored */
    RULES_DISCONNECT_KEEP,
    RULES_DISCONNECT_FLUSH,
};

struct rules_host {
    const char *name; /* or the path of a unix socket */
    uint16_t port;    /* 0: a unix socket */
};

/** A compiled pattern, matched against whole names. */
struct rules_pattern;

struct rules_source {
    uint32_t host_count; /* at least 1; tried in order */
    const struct rules_host *hosts;
    const char *user;
    const char *password; /* "" if no password_file is named */
    enum rules_tls tls;
    const char *tls_ca; /* paths; NULL: not given */
    const char *tls_cert;
    const char *tls_key;
    uint32_t heartbeat_ms;
    uint32_t timeout_ms; /* at least twice heartbeat_ms */
    enum rules_fence fence;
    uint32_t fence_delay_ms; /* with RULES_FENCE_DELAY */
    uint32_t holdoff_ms;     /* at least 1000 */
    enum rules_holdoff holdoff_mode;
    enum rules_on_gap on_gap;
    enum rules_on_disconnect on_disconnect;
    uint32_t grace_ms;
    const char *state_file;                 /* NULL: the position is not kept */
    const struct rules_pattern *online_ddl; /* names of tables; NULL: none */
    uint32_t server_id;                     /* 0: to be chosen */
};

/** Which changes a rule is for. */
struct rule_events {
    bool has_insert;
    bool has_update;
    bool has_delete;
    uint32_t column_count; /* of update(col,...); 0: any update */
    const struct bytes *columns;
};

enum rule_action {
    RULE_DELETE,
    RULE_STALE,
    RULE_SET,
};

struct rule {
    uint32_t index; /* 0 .. rule_count - 1, in the file's order */
    unsigned line;  /* of the file */
    enum rule_action action;
    struct rule_events on;
    struct template key;
    struct template value; /* RULE_SET */
    uint32_t ttl_s; /* RULE_STALE: 0 leaves the time to live as it is; RULE_SET: 0 is for ever */
    bool if_exists; /* RULE_SET: only where the key is */
};

/** A block of `tables`.  A table's rows go through all blocks that match it. */
struct rules_table {
    unsigned line;
    struct bytes database; /* named exactly; at == NULL: by the patterns */
    struct bytes table;
    const struct rules_pattern *database_pattern;
    const struct rules_pattern *table_pattern;
    const struct where *where; /* NULL: all rows */
    uint32_t rule_count;       /* at least 1 */
    const struct rule *rules;
};

struct rules {
    struct rules_source source;
    uint32_t table_count; /* at least 1 */
    const struct rules_table *tables;
    uint32_t rule_count;           /* of all tables */
    char warning[RULES_ERROR_MAX]; /* what works and should not stay so; "" if nothing */
    struct pool pool;              /* all of the above */
    struct rules_pattern *patterns;
};

/**
 * Reads a rules file, and the password file that it names.
 *
 * error   out on false: "PATH:LINE: what is wrong, and what would be right"; RULES_ERROR_MAX is
 *         room enough
 *
 * Errors: false, also when larder is built without the hook.
 */
bool rules_load(const char *path, struct rules **out, char *error, size_t error_cap)
    __attribute__((warn_unused_result));

/** The same for a text in memory; `path` is for messages. */
bool rules_parse(const char *path, struct bytes text, struct rules **out, char *error,
                 size_t error_cap) __attribute__((warn_unused_result));

void rules_destroy(struct rules *rules);

/** Whether this block is for the table.  Names as they stand in the log, byte for byte. */
bool rules_table_matches(const struct rules_table *block, struct bytes database,
                         struct bytes table);

/** Whether any block is. */
bool rules_match(const struct rules *rules, struct bytes database, struct bytes table);

/** Whether the name is of a table that a tool for changes without locks uses for its time. */
bool rules_is_online_ddl(const struct rules *rules, struct bytes table);

/** Key prefixes, none of which begins with another one.  Of length 0: all keys. */
struct rules_prefix {
    uint32_t len;
    char text[TEMPLATE_KEY_MAX];
};

struct rules_prefixes {
    uint32_t count;
    struct rules_prefix at[RULES_PREFIXES_MAX];
};

/** What all keys begin with that any rule could name: for epoch bumps, and for the bypass. */
void rules_list_prefixes(const struct rules *rules, struct rules_prefixes *out);

/** The same for one table: {@db} and {@table} are put in.  No prefix: no rule is for it. */
void rules_list_table_prefixes(const struct rules *rules, struct bytes database, struct bytes table,
                               struct rules_prefixes *out);

/** The same for all tables of a database. */
void rules_list_database_prefixes(const struct rules *rules, struct bytes database,
                                  struct rules_prefixes *out);

#endif
