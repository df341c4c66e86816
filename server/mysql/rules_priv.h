/* What the files that read the rules share; libconfig appears in these alone. */
#ifndef LARDER_MYSQL_RULES_PRIV_H
#define LARDER_MYSQL_RULES_PRIV_H

#include "mysql/rules.h"

struct config_setting_t;

/** Where a rules file is being read to, and where errors go. */
struct rules_reader {
    struct rules *rules;
    const char *path;
    char *error;
    size_t error_cap;
};

/** Writes "PATH:LINE: text"; returns false.  line 0: none. */
bool rules_fail(struct rules_reader *reader, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** Takes from the pool; on NULL the error is written. */
void *rules_take(struct rules_reader *reader, size_t len);
bool rules_copy(struct rules_reader *reader, const void *bytes, size_t len, struct bytes *out);

/**
 * Looks at brackets, strings and comments before libconfig does: what it would recurse over without
 * a bound, and what it includes.
 */
bool rules_scan(struct rules_reader *reader, struct bytes text);

/* Settings of a group.  Each leaves `out` as it is if the setting is not there; false: an error. */

/** `name` is where it stands, for messages: "source", "a rule". */
bool rules_know(struct rules_reader *reader, const struct config_setting_t *group, const char *name,
                const char *const *known, size_t known_count);
bool rules_take_text(struct rules_reader *reader, const struct config_setting_t *group,
                     const char *name, const char **out, unsigned *line);
bool rules_take_number(struct rules_reader *reader, const struct config_setting_t *group,
                       const char *name, uint32_t min, uint32_t max, uint32_t *out);
bool rules_take_flag(struct rules_reader *reader, const struct config_setting_t *group,
                     const char *name, bool *out);
bool rules_take_choice(struct rules_reader *reader, const struct config_setting_t *group,
                       const char *name, const char *const *choices, size_t choice_count,
                       unsigned *out);

/** Compiles a pattern for whole names. */
bool rules_take_pattern(struct rules_reader *reader, unsigned line, const char *name,
                        const char *text, const struct rules_pattern **out);

bool rules_read_source(struct rules_reader *reader, const struct config_setting_t *group);
bool rules_read_tables(struct rules_reader *reader, const struct config_setting_t *list);

bool rules_pattern_matches(const struct rules_pattern *pattern, struct bytes name);

/** False if the rules have more prefixes than fit. */
bool rules_prefixes_fit(const struct rules *rules);

#endif
