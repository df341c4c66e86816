#include "config.h"

#include "mysql/position.h"

#include "base/assert.h"

#include <string.h>

void
position_init(struct position *position)
{
    *position = (struct position){ .is_known = false };
    gtid_set_init(&position->gtids);
}

void
position_fini(struct position *position)
{
    gtid_set_fini(&position->gtids);
}

void
position_clear(struct position *position)
{
    gtid_set_clear(&position->gtids);
    position->is_known = false;
    position->by_gtid = false;
    position->is_mariadb = false;
    position->file[0] = '\0';
    position->offset = 0;
}

bool
position_copy(struct position *to, const struct position *from)
{
    position_clear(to);
    if (gtid_set_merge(&to->gtids, &from->gtids) != GTID_DONE) {
        position_clear(to);
        return false;
    }
    to->is_known = from->is_known;
    to->by_gtid = from->by_gtid;
    to->is_mariadb = from->is_mariadb;
    memcpy(to->file, from->file, sizeof(to->file));
    to->offset = from->offset;
    return true;
}

void
position_set_file(struct position *position, struct bytes name, uint64_t offset)
{
    size_t len = name.len < POSITION_FILE_CAP - 1 ? name.len : POSITION_FILE_CAP - 1;
    if (len > 0) {
        memcpy(position->file, name.at, len);
    }
    position->file[len] = '\0';
    position->offset = offset;
}

uint64_t
position_file_number(const char *name)
{
    const char *dot = strrchr(name, '.');
    uint64_t number = 0;
    if (dot == NULL) {
        return 0;
    }
    for (const char *at = dot + 1; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || number > UINT32_MAX) {
            return 0;
        }
        number = number * 10 + (uint64_t)(*at - '0');
    }
    return number;
}

bool
position_reaches(const struct position *position, const struct position *target)
{
    if (!position->is_known || !target->is_known || position->by_gtid != target->by_gtid) {
        return false;
    }
    if (position->by_gtid) {
        return gtid_set_contains_set(&position->gtids, &target->gtids);
    }
    uint64_t ours = position_file_number(position->file);
    uint64_t theirs = position_file_number(target->file);
    return ours > theirs || (ours == theirs && position->offset >= target->offset);
}

void
position_write(const struct position *position, struct writer *out)
{
    writer_put_text(out, position->is_mariadb ? "mariadb " : "mysql ");
    if (position->by_gtid) {
        writer_put_text(out, "gtid ");
        gtid_set_write(&position->gtids, out);
        return;
    }
    writer_put_text(out, "file ");
    writer_put_text(out, position->file);
    writer_put_char(out, ':');
    writer_put_number(out, position->offset, 1);
}

/** Steps over a word and the blank behind it. */
static bool
take_word(struct bytes *text, const char *word)
{
    size_t len = strlen(word);
    if (text->len < len + 1 || memcmp(text->at, word, len) != 0 || text->at[len] != ' ') {
        return false;
    }
    text->at += len + 1;
    text->len -= len + 1;
    return true;
}

static bool
parse_file(struct position *position, struct bytes text)
{
    size_t colon = text.len;
    while (colon > 0 && text.at[colon - 1] != ':') {
        colon--;
    }
    if (colon < 2 || colon == text.len || text.len - colon > 19 || colon > POSITION_FILE_CAP) {
        return false;
    }
    uint64_t offset = 0;
    for (size_t i = colon; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return false;
        }
        offset = offset * 10 + (uint64_t)(text.at[i] - '0');
    }
    position_set_file(position, (struct bytes){ text.at, colon - 1 }, offset);
    return true;
}

bool
position_parse(struct position *position, struct bytes text)
{
    position_clear(position);
    position->is_mariadb = take_word(&text, "mariadb");
    if (position->is_mariadb || take_word(&text, "mysql")) {
        if (take_word(&text, "gtid")) {
            position->by_gtid = true;
            position->is_known = gtid_set_parse(&position->gtids, text) == GTID_DONE;
        } else if (!position->is_mariadb && take_word(&text, "file")) {
            position->is_known = parse_file(position, text);
        }
    }
    enum gtid_family family = position->is_mariadb ? GTID_MARIADB : GTID_MYSQL;
    if (position->by_gtid && position->gtids.family != GTID_NONE &&
        position->gtids.family != family) {
        position->is_known = false;
    }
    if (!position->is_known) {
        position_clear(position);
        return false;
    }
    return true;
}
