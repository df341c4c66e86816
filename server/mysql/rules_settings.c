#include "config.h"

#ifdef HAVE_HOOK

#include "mysql/rules_priv.h"

#include <libconfig.h>
#include <stdio.h>

#define LISTED_MAX 256 /* bytes of a list of names in an error */

static const char *
kind_of(const config_setting_t *setting)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        return "a whole number";
    case CONFIG_TYPE_FLOAT:
        return "a number with a point";
    case CONFIG_TYPE_STRING:
        return "a text";
    case CONFIG_TYPE_BOOL:
        return "true or false";
    case CONFIG_TYPE_GROUP:
        return "a group";
    case CONFIG_TYPE_ARRAY:
    case CONFIG_TYPE_LIST:
        return "a list";
    default:
        return "nothing";
    }
}

static void
list_names(const char *const *names, size_t count, const char *quote, char *out, size_t cap)
{
    struct writer text = writer(out, cap - 1);
    for (size_t i = 0; i < count; i++) {
        writer_put_text(&text, i == 0 ? "" : ", ");
        writer_put_text(&text, quote);
        writer_put_text(&text, names[i]);
        writer_put_text(&text, quote);
    }
    out[text.len] = 0;
}

bool
rules_know(struct rules_reader *reader, const config_setting_t *group, const char *name,
           const char *const *known, size_t known_count)
{
    if (!config_setting_is_group(group)) {
        return rules_fail(reader, config_setting_source_line(group),
                          "%s is %s; it must be a group: { ... }", name, kind_of(group));
    }
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        const char *setting_name = config_setting_name(setting);
        size_t k = 0;
        while (k < known_count && strcmp(setting_name, known[k]) != 0) {
            k++;
        }
        if (k == known_count) {
            char names[LISTED_MAX];
            list_names(known, known_count, "", names, sizeof(names));
            return rules_fail(reader, config_setting_source_line(setting),
                              "unknown setting '%.64s' in %s; there are %s", setting_name, name,
                              names);
        }
    }
    return true;
}

bool
rules_take_text(struct rules_reader *reader, const config_setting_t *group, const char *name,
                const char **out, unsigned *line)
{
    struct bytes copy;
    const config_setting_t *setting = config_setting_get_member(group, name);
    if (setting == NULL) {
        return true;
    }
    *line = config_setting_source_line(setting);
    if (config_setting_type(setting) != CONFIG_TYPE_STRING) {
        return rules_fail(reader, *line, "%s is %s; it must be a text: \"...\"", name,
                          kind_of(setting));
    }
    const char *text = config_setting_get_string(setting);
    size_t len = strlen(text);
    if (len == 0) {
        return rules_fail(reader, *line, "%s is empty", name);
    }
    if (len > RULES_TEXT_LEN_MAX) {
        return rules_fail(reader, *line, "%s has %zu bytes; at most %u are taken", name, len,
                          RULES_TEXT_LEN_MAX);
    }
    if (!rules_copy(reader, text, len, &copy)) {
        return false;
    }
    *out = (const char *)copy.at;
    return true;
}

bool
rules_take_number(struct rules_reader *reader, const config_setting_t *group, const char *name,
                  uint32_t min, uint32_t max, uint32_t *out)
{
    const config_setting_t *setting = config_setting_get_member(group, name);
    if (setting == NULL) {
        return true;
    }
    unsigned line = config_setting_source_line(setting);
    int type = config_setting_type(setting);
    if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
        return rules_fail(reader, line, "%s is %s; it must be a whole number", name,
                          kind_of(setting));
    }
    long long number = config_setting_get_int64(setting);
    if (number < (long long)min || number > (long long)max) {
        return rules_fail(reader, line, "%s is %lld; it must be %u to %u", name, number, min, max);
    }
    *out = (uint32_t)number;
    return true;
}

bool
rules_take_flag(struct rules_reader *reader, const config_setting_t *group, const char *name,
                bool *out)
{
    const config_setting_t *setting = config_setting_get_member(group, name);
    if (setting == NULL) {
        return true;
    }
    if (config_setting_type(setting) != CONFIG_TYPE_BOOL) {
        return rules_fail(reader, config_setting_source_line(setting),
                          "%s is %s; it must be true or false", name, kind_of(setting));
    }
    *out = config_setting_get_bool(setting) != 0;
    return true;
}

bool
rules_take_choice(struct rules_reader *reader, const config_setting_t *group, const char *name,
                  const char *const *choices, size_t choice_count, unsigned *out)
{
    const char *text = NULL;
    unsigned line = 0;
    if (!rules_take_text(reader, group, name, &text, &line)) {
        return false;
    }
    if (text == NULL) {
        return true;
    }
    for (unsigned i = 0; i < choice_count; i++) {
        if (strcmp(text, choices[i]) == 0) {
            *out = i;
            return true;
        }
    }
    char names[LISTED_MAX];
    list_names(choices, choice_count, "\"", names, sizeof(names));
    return rules_fail(reader, line, "%s is \"%.64s\"; it must be one of %s", name, text, names);
}

#endif
