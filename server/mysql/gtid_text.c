/* GTIDs as text. */
#include "config.h"

#include "mysql/gtid_priv.h"

#define UUID_LEN 16u

/* Characters; not a struct bytes_cursor of binary steps. */
static bool
is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
skip_blanks(struct bytes_cursor *cur)
{
    while (cur->at < cur->end && is_blank(*cur->at)) {
        cur->at++;
    }
}

static bool
take_decimal(struct bytes_cursor *cur, uint64_t max, uint64_t *out)
{
    const uint8_t *start = cur->at;
    uint64_t number = 0;
    for (; cur->at < cur->end && *cur->at >= '0' && *cur->at <= '9'; cur->at++) {
        uint64_t digit = *cur->at - (uint64_t)'0';
        if (number > (max - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    *out = number;
    return cur->at > start;
}

/** 32 digits; dashes may stand between pairs of them. */
static bool
take_uuid(struct bytes_cursor *cur, uint8_t *out)
{
    for (size_t i = 0; i < UUID_LEN; i++) {
        if (i > 0) {
            (void)bytes_take_char(cur, '-');
        }
        if (bytes_left(cur) < 2) {
            return false;
        }
        int high = bytes_hex_digit(cur->at[0]);
        int low = bytes_hex_digit(cur->at[1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
        cur->at += 2;
    }
    return true;
}

/** Letters, digits and underscores, no digit first; kept in lower case. */
static bool
take_tag(struct bytes_cursor *cur, struct gtid *out)
{
    out->tag_len = 0;
    for (; cur->at < cur->end; cur->at++) {
        uint8_t c = *cur->at;
        bool is_digit = c >= '0' && c <= '9';
        if (c >= 'A' && c <= 'Z') {
            c |= 0x20;
        }
        if (!(c >= 'a' && c <= 'z') && c != '_' && !(is_digit && out->tag_len > 0)) {
            break;
        }
        if (out->tag_len == EVENT_TAG_LEN_MAX) {
            return false;
        }
        out->tag[out->tag_len++] = (char)c;
    }
    return out->tag_len > 0;
}

static bool
is_digit_next(const struct bytes_cursor *cur)
{
    return cur->at < cur->end && *cur->at >= '0' && *cur->at <= '9';
}

static bool
take_mariadb(struct bytes_cursor *cur, struct gtid *out)
{
    uint64_t domain, server;
    *out = (struct gtid){ .family = GTID_MARIADB };
    if (!take_decimal(cur, UINT32_MAX, &domain) || !bytes_take_char(cur, '-') ||
        !take_decimal(cur, UINT32_MAX, &server) || !bytes_take_char(cur, '-') ||
        !take_decimal(cur, UINT64_MAX, &out->number)) {
        return false;
    }
    out->domain = (uint32_t)domain;
    out->server = (uint32_t)server;
    return true;
}

/** MariaDB's has two dashes and a third number; a UUID's first part has eight digits. */
static bool
is_mariadb(struct bytes_cursor cur)
{
    struct gtid ignored;
    if (!take_mariadb(&cur, &ignored)) {
        return false;
    }
    skip_blanks(&cur);
    return cur.at == cur.end || *cur.at == ',';
}

enum gtid_result
gtid_parse(struct bytes text, struct gtid *out)
{
    struct bytes_cursor cur = bytes_cursor(text);
    if (is_mariadb(cur)) {
        return take_mariadb(&cur, out) && cur.at == cur.end ? GTID_DONE : GTID_BAD;
    }
    *out = (struct gtid){ .family = GTID_MYSQL };
    if (!take_uuid(&cur, out->uuid) || !bytes_take_char(&cur, ':')) {
        return GTID_BAD;
    }
    if (!is_digit_next(&cur) && (!take_tag(&cur, out) || !bytes_take_char(&cur, ':'))) {
        return GTID_BAD;
    }
    bool is_whole = take_decimal(&cur, GTID_NUMBER_MAX - 1, &out->number) && out->number > 0 &&
                    cur.at == cur.end;
    return is_whole ? GTID_DONE : GTID_BAD;
}

/** The intervals and tags behind a UUID. */
static enum gtid_result
parse_intervals(struct gtid_set *set, struct bytes_cursor *cur, struct gtid *gtid)
{
    bool has_interval = false;
    for (;;) {
        skip_blanks(cur);
        if (!bytes_take_char(cur, ':')) {
            return has_interval ? GTID_DONE : GTID_BAD;
        }
        skip_blanks(cur);
        if (!is_digit_next(cur)) {
            if (!take_tag(cur, gtid)) {
                return GTID_BAD;
            }
            has_interval = false;
            continue;
        }
        uint64_t last;
        if (!take_decimal(cur, GTID_NUMBER_MAX - 1, &gtid->number)) {
            return GTID_BAD;
        }
        last = gtid->number;
        if (bytes_take_char(cur, '-') && !take_decimal(cur, GTID_NUMBER_MAX - 1, &last)) {
            return GTID_BAD;
        }
        enum gtid_result result = gtid_set_add_range(set, gtid, last);
        if (result != GTID_DONE) {
            return result;
        }
        has_interval = true;
    }
}

enum gtid_result
gtid_set_parse(struct gtid_set *set, struct bytes text)
{
    struct bytes_cursor cur = bytes_cursor(text);
    skip_blanks(&cur);
    while (cur.at < cur.end) {
        struct gtid gtid;
        enum gtid_result result;
        if (is_mariadb(cur)) {
            result = take_mariadb(&cur, &gtid) ? gtid_set_add(set, &gtid) : GTID_BAD;
        } else {
            gtid = (struct gtid){ .family = GTID_MYSQL };
            result = take_uuid(&cur, gtid.uuid) ? parse_intervals(set, &cur, &gtid) : GTID_BAD;
        }
        if (result != GTID_DONE) {
            return result;
        }
        skip_blanks(&cur);
        if (cur.at < cur.end && !bytes_take_char(&cur, ',')) {
            return GTID_BAD;
        }
        skip_blanks(&cur);
    }
    return GTID_DONE;
}

static void
write_uuid(struct writer *out, const uint8_t *uuid)
{
    writer_put_hex(out, uuid, 4);
    for (size_t i = 4; i < UUID_LEN; i += 2) {
        if (i <= 10) {
            writer_put_char(out, '-');
        }
        writer_put_hex(out, uuid + i, 2);
    }
}

static void
write_mariadb(const struct gtid *gtid, struct writer *out)
{
    writer_put_number(out, gtid->domain, 1);
    writer_put_char(out, '-');
    writer_put_number(out, gtid->server, 1);
    writer_put_char(out, '-');
    writer_put_number(out, gtid->number, 1);
}

static void
write_tag(const struct gtid *gtid, struct writer *out)
{
    if (gtid->tag_len > 0) {
        writer_put_char(out, ':');
        writer_put(out, gtid->tag, gtid->tag_len);
    }
}

void
gtid_write(const struct gtid *gtid, struct writer *out)
{
    switch (gtid->family) {
    case GTID_NONE:
        return;
    case GTID_MARIADB:
        write_mariadb(gtid, out);
        return;
    case GTID_MYSQL:
        write_uuid(out, gtid->uuid);
        write_tag(gtid, out);
        writer_put_char(out, ':');
        writer_put_number(out, gtid->number, 1);
        return;
    }
}

void
gtid_set_write(const struct gtid_set *set, struct writer *out)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct gtid_entry *entry = &set->entries[i];
        const struct gtid *previous = i > 0 ? &set->entries[i - 1].gtid : NULL;
        if (set->family == GTID_MARIADB) {
            if (previous != NULL) {
                writer_put_char(out, ',');
            }
            write_mariadb(&entry->gtid, out);
            continue;
        }
        bool same_uuid =
            previous != NULL && memcmp(previous->uuid, entry->gtid.uuid, UUID_LEN) == 0;
        if (!same_uuid) {
            if (previous != NULL) {
                writer_put_char(out, ',');
            }
            write_uuid(out, entry->gtid.uuid);
        }
        if (!same_uuid || gtid_compare_source(previous, &entry->gtid) != 0) {
            write_tag(&entry->gtid, out);
        }
        writer_put_char(out, ':');
        writer_put_number(out, entry->gtid.number, 1);
        if (entry->last > entry->gtid.number) {
            writer_put_char(out, '-');
            writer_put_number(out, entry->last, 1);
        }
    }
}
