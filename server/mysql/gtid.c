#include "config.h"

#include "mysql/gtid.h"

#include <stdlib.h>

#include "base/assert.h"
#include "mysql/gtid_priv.h"

#define ENTRIES_FIRST 16u
#define UUID_LEN      16u
#define FORMAT_TAGGED 1u /* top and lowest byte of the count, in the form with tags */

void
gtid_set_init(struct gtid_set *set)
{
    *set = (struct gtid_set){ .family = GTID_NONE };
}

void
gtid_set_fini(struct gtid_set *set)
{
    free(set->entries);
    gtid_set_init(set);
}

void
gtid_set_clear(struct gtid_set *set)
{
    set->count = 0;
    set->family = GTID_NONE;
}

enum gtid_result
gtid_of_event(const struct event *event, struct gtid *out)
{
    *out = (struct gtid){ .family = GTID_NONE };
    if (event->kind == EVENT_GTID_MARIADB) {
        out->family = GTID_MARIADB;
        out->domain = event->gtid_mariadb.domain;
        out->server = event->gtid_mariadb.server;
        out->number = event->gtid_mariadb.sequence;
        return GTID_DONE;
    }
    if (event->kind != EVENT_GTID || event->gtid.tag.len > EVENT_TAG_LEN_MAX ||
        event->gtid.number == 0 || event->gtid.number >= GTID_NUMBER_MAX) {
        return GTID_BAD;
    }
    out->family = GTID_MYSQL;
    out->number = event->gtid.number;
    memcpy(out->uuid, event->gtid.uuid, UUID_LEN);
    out->tag_len = (uint8_t)event->gtid.tag.len;
    if (out->tag_len > 0) {
        memcpy(out->tag, event->gtid.tag.at, out->tag_len);
    }
    return GTID_DONE;
}

int
gtid_compare_source(const struct gtid *a, const struct gtid *b)
{
    if (a->family == GTID_MARIADB) {
        return a->domain < b->domain ? -1 : a->domain > b->domain;
    }
    int order = memcmp(a->uuid, b->uuid, UUID_LEN);
    if (order != 0) {
        return order;
    }
    size_t common = a->tag_len < b->tag_len ? a->tag_len : b->tag_len;
    order = memcmp(a->tag, b->tag, common);
    return order != 0 ? order : (int)a->tag_len - (int)b->tag_len;
}

/** The first entry that ends at or behind the number, of this source or of a later one. */
static size_t
find_entry(const struct gtid_set *set, const struct gtid *gtid, uint64_t number)
{
    size_t low = 0;
    size_t high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct gtid_entry *entry = &set->entries[middle];
        int order = gtid_compare_source(&entry->gtid, gtid);
        if (order < 0 || (order == 0 && entry->last < number)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static enum gtid_result
insert_entry(struct gtid_set *set, size_t at, const struct gtid *first, uint64_t last)
{
    if (set->count == GTID_ENTRIES_MAX) {
        return GTID_FULL;
    }
    if (set->count == set->cap) {
        size_t cap = set->cap == 0 ? ENTRIES_FIRST : 2 * set->cap;
        struct gtid_entry *grown = realloc(set->entries, cap * sizeof(*grown));
        if (grown == NULL) {
            return GTID_NO_MEMORY;
        }
        set->entries = grown;
        set->cap = cap;
    }
    memmove(&set->entries[at + 1], &set->entries[at], (set->count - at) * sizeof(*set->entries));
    set->entries[at] = (struct gtid_entry){ .gtid = *first, .last = last };
    set->count++;
    set->family = first->family;
    return GTID_DONE;
}

/** MariaDB: one entry per domain, which only moves forward. */
static enum gtid_result
add_to_domain(struct gtid_set *set, const struct gtid *gtid)
{
    size_t at = find_entry(set, gtid, 0);
    if (at == set->count || gtid_compare_source(&set->entries[at].gtid, gtid) != 0) {
        return insert_entry(set, at, gtid, gtid->number);
    }
    struct gtid_entry *entry = &set->entries[at];
    if (entry->last < gtid->number) {
        entry->gtid = *gtid;
        entry->last = gtid->number;
    }
    return GTID_DONE;
}

enum gtid_result
gtid_set_add_range(struct gtid_set *set, const struct gtid *first, uint64_t last)
{
    assert(first->family != GTID_NONE);
    if (set->family != GTID_NONE && set->family != first->family) {
        return GTID_MIXED;
    }
    if (first->family == GTID_MARIADB) {
        return add_to_domain(set, first);
    }
    if (first->number == 0 || last < first->number || last >= GTID_NUMBER_MAX) {
        return GTID_BAD;
    }
    /* The first entry that the range touches: one that ends right before it does. */
    size_t at = find_entry(set, first, first->number - 1);
    struct gtid_entry *entry = at < set->count ? &set->entries[at] : NULL;
    if (entry == NULL || gtid_compare_source(&entry->gtid, first) != 0 ||
        entry->gtid.number > last + 1) {
        return insert_entry(set, at, first, last);
    }
    if (first->number < entry->gtid.number) {
        entry->gtid.number = first->number;
    }
    if (last > entry->last) {
        entry->last = last;
    }
    /* It may have grown into those behind it. */
    size_t behind = at + 1;
    while (behind < set->count && gtid_compare_source(&set->entries[behind].gtid, first) == 0 &&
           set->entries[behind].gtid.number <= entry->last + 1) {
        if (set->entries[behind].last > entry->last) {
            entry->last = set->entries[behind].last;
        }
        behind++;
    }
    memmove(&set->entries[at + 1], &set->entries[behind],
            (set->count - behind) * sizeof(*set->entries));
    set->count -= behind - (at + 1);
    return GTID_DONE;
}

enum gtid_result
gtid_set_add(struct gtid_set *set, const struct gtid *gtid)
{
    return gtid_set_add_range(set, gtid, gtid->number);
}

enum gtid_result
gtid_set_merge(struct gtid_set *set, const struct gtid_set *other)
{
    for (size_t i = 0; i < other->count; i++) {
        enum gtid_result result =
            gtid_set_add_range(set, &other->entries[i].gtid, other->entries[i].last);
        if (result != GTID_DONE) {
            return result;
        }
    }
    return GTID_DONE;
}

static bool
contains_range(const struct gtid_set *set, const struct gtid *first, uint64_t last)
{
    if (set->count == 0 || set->family != first->family) {
        return false;
    }
    size_t at = find_entry(set, first, last);
    if (at == set->count || gtid_compare_source(&set->entries[at].gtid, first) != 0) {
        return false;
    }
    return set->family == GTID_MARIADB || set->entries[at].gtid.number <= first->number;
}

bool
gtid_set_contains(const struct gtid_set *set, const struct gtid *gtid)
{
    return contains_range(set, gtid, gtid->number);
}

bool
gtid_set_contains_set(const struct gtid_set *set, const struct gtid_set *part)
{
    for (size_t i = 0; i < part->count; i++) {
        if (!contains_range(set, &part->entries[i].gtid, part->entries[i].last)) {
            return false;
        }
    }
    return true;
}

/* -- binary forms ----------------------------------------------------------------------------- */

static bool
has_tags(const struct gtid_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->entries[i].gtid.tag_len > 0) {
            return true;
        }
    }
    return false;
}

/** The entries from `i` on that are of one source. */
static size_t
count_of_source(const struct gtid_set *set, size_t i)
{
    size_t end = i + 1;
    while (end < set->count &&
           gtid_compare_source(&set->entries[end].gtid, &set->entries[i].gtid) == 0) {
        end++;
    }
    return end - i;
}

/*
 *     offset size
 *          0    8 number of sources; with tags it takes bytes 1 to 6, and bytes 0 and 7 are 1
 *          8      per source:
 *                 16 uuid
 *                  . with tags: twice the tag's length (1), the tag
 *                  8 number of intervals; for each
 *                 16 its first number, and the one behind its last
 */
void
gtid_set_encode(const struct gtid_set *set, struct writer *out)
{
    assert(set->family != GTID_MARIADB);
    bool tagged = has_tags(set);
    uint64_t sources = 0;
    for (size_t i = 0; i < set->count; i += count_of_source(set, i)) {
        sources++;
    }
    writer_put_le(
        out, tagged ? (uint64_t)FORMAT_TAGGED << 56 | sources << 8 | FORMAT_TAGGED : sources, 8);
    for (size_t i = 0; i < set->count;) {
        const struct gtid *gtid = &set->entries[i].gtid;
        size_t intervals = count_of_source(set, i);
        writer_put(out, gtid->uuid, UUID_LEN);
        if (tagged) {
            writer_put_char(out, (char)(gtid->tag_len << 1));
            writer_put(out, gtid->tag, gtid->tag_len);
        }
        writer_put_le(out, intervals, 8);
        for (; intervals > 0; intervals--, i++) {
            writer_put_le(out, set->entries[i].gtid.number, 8);
            writer_put_le(out, set->entries[i].last + 1, 8);
        }
    }
}

static bool
is_tag(const char *tag, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool is_letter = (tag[i] >= 'a' && tag[i] <= 'z') || tag[i] == '_';
        if (!is_letter && (i == 0 || tag[i] < '0' || tag[i] > '9')) {
            return false;
        }
    }
    return true;
}

static enum gtid_result
decode_source(struct gtid_set *set, bool tagged, struct bytes_cursor *cur)
{
    struct gtid gtid = { .family = GTID_MYSQL };
    struct bytes uuid, tag;
    uint64_t tag_len, intervals;
    if (!bytes_take(cur, UUID_LEN, &uuid)) {
        return GTID_BAD;
    }
    memcpy(gtid.uuid, uuid.at, UUID_LEN);
    if (tagged) {
        if (!bytes_take_varint(cur, &tag_len) || tag_len > EVENT_TAG_LEN_MAX ||
            !bytes_take(cur, (size_t)tag_len, &tag) || !is_tag((const char *)tag.at, tag.len)) {
            return GTID_BAD;
        }
        gtid.tag_len = (uint8_t)tag.len;
        memcpy(gtid.tag, tag.at, tag.len);
    }
    if (!bytes_take_u64(cur, &intervals) || intervals > bytes_left(cur) / 16) {
        return GTID_BAD;
    }
    for (; intervals > 0; intervals--) {
        uint64_t behind;
        if (!bytes_take_u64(cur, &gtid.number) || !bytes_take_u64(cur, &behind) || behind == 0) {
            return GTID_BAD;
        }
        enum gtid_result result = gtid_set_add_range(set, &gtid, behind - 1);
        if (result != GTID_DONE) {
            return result;
        }
    }
    return GTID_DONE;
}

enum gtid_result
gtid_set_decode(struct gtid_set *set, struct bytes bytes)
{
    struct bytes_cursor cur = bytes_cursor(bytes);
    uint64_t sources;
    if (!bytes_take_u64(&cur, &sources)) {
        return GTID_BAD;
    }
    bool tagged = sources >> 56 == FORMAT_TAGGED;
    if (tagged) {
        if ((sources & 0xff) != FORMAT_TAGGED) {
            return GTID_BAD;
        }
        sources = sources >> 8 & 0xffffffffffffull;
    }
    for (; sources > 0; sources--) {
        enum gtid_result result = decode_source(set, tagged, &cur);
        if (result != GTID_DONE) {
            return result;
        }
    }
    return bytes_left(&cur) == 0 ? GTID_DONE : GTID_BAD;
}

/** Number (28 bits) and flags (4); then domain (4), server (4) and sequence number (8) each. */
static enum gtid_result
decode_list(struct gtid_set *set, struct bytes bytes)
{
    struct bytes_cursor cur = bytes_cursor(bytes);
    uint32_t count;
    if (!bytes_take_u32(&cur, &count)) {
        return GTID_BAD;
    }
    for (count &= 0xfffffff; count > 0; count--) {
        struct gtid gtid = { .family = GTID_MARIADB };
        if (!bytes_take_u32(&cur, &gtid.domain) || !bytes_take_u32(&cur, &gtid.server) ||
            !bytes_take_u64(&cur, &gtid.number)) {
            return GTID_BAD;
        }
        enum gtid_result result = gtid_set_add(set, &gtid);
        if (result != GTID_DONE) {
            return result;
        }
    }
    return GTID_DONE;
}

enum gtid_result
gtid_set_add_event(struct gtid_set *set, const struct event *event)
{
    switch ((int)event->kind) {
    case EVENT_PREVIOUS_GTIDS:
        return gtid_set_decode(set, event->gtids);
    case EVENT_GTID_LIST:
        return decode_list(set, event->gtids);
    default:
        return GTID_BAD;
    }
}
