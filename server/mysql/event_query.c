/* QUERY events: a statement's text, and the settings under which it ran. */
#include "config.h"

#include "mysql/event_priv.h"

#define LOAD_FIXED_LEN 13u /* bytes of EXECUTE_LOAD_QUERY behind those of QUERY */

/* Settings that precede the text, by number, in the order in which the servers write them.  Others
 * stand behind these, and none of them matters here. */
enum setting {
    SETTING_FLAGS = 0,
    SETTING_SQL_MODE = 1,
    SETTING_CATALOG = 6,
    SETTING_AUTO_INCREMENT = 3,
    SETTING_CHARSET = 4,
};

/** Finds the SQL mode and the character set of the text. */
static void
parse_settings(struct bytes settings, struct event_query *query)
{
    struct bytes_cursor cur = bytes_cursor(settings);
    struct bytes catalog;
    uint8_t setting;
    bool goes_on = true;
    while (goes_on && bytes_take_u8(&cur, &setting)) {
        switch (setting) {
        case SETTING_FLAGS:
        case SETTING_AUTO_INCREMENT:
            goes_on = bytes_skip(&cur, 4);
            break;
        case SETTING_SQL_MODE:
            goes_on = bytes_take_u64(&cur, &query->sql_mode);
            break;
        case SETTING_CATALOG:
            goes_on = bytes_take_short_text(&cur, &catalog);
            break;
        case SETTING_CHARSET:
            (void)bytes_take_u16(&cur, &query->collation);
            goes_on = false;
            break;
        default:
            goes_on = false;
            break;
        }
    }
}

/*
 *     offset size
 *          0    4 thread
 *          4    4 seconds that it took
 *          8    1 length of the database's name
 *          9    2 error
 *         11    2 length of the settings
 *         13      (EXECUTE_LOAD_QUERY: 13 more bytes), settings, name, NUL, text
 */
static bool
parse_text(struct bytes body, size_t fixed_more, struct event_query *query)
{
    struct bytes_cursor cur = bytes_cursor(body);
    uint8_t database_len;
    uint16_t settings_len;
    struct bytes settings;
    *query = (struct event_query){ 0 };
    if (!bytes_take_u32(&cur, &query->thread) || !bytes_skip(&cur, 4) ||
        !bytes_take_u8(&cur, &database_len) || !bytes_take_u16(&cur, &query->error) ||
        !bytes_take_u16(&cur, &settings_len) || !bytes_skip(&cur, fixed_more) ||
        !bytes_take(&cur, settings_len, &settings) ||
        !bytes_take(&cur, database_len, &query->database) || !bytes_skip(&cur, 1)) {
        return false;
    }
    parse_settings(settings, query);
    query->text = bytes_rest(&cur);
    return true;
}

bool
event_parse_query(struct bytes body, struct event *out)
{
    if (!parse_text(body, 0, &out->query)) {
        return false;
    }
    out->query.packed = out->type == TYPE_QUERY_COMPRESSED;
    return true;
}

bool
event_parse_load_query(struct bytes body, struct event *out)
{
    return parse_text(body, LOAD_FIXED_LEN, &out->query);
}
