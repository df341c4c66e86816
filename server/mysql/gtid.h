/*
 * Sets of global transaction identifiers, of both families.
 *
 *     MySQL      uuid[:tag]:first-last[:first-last...], ...     every number in the set is told
 *     MariaDB    domain-server-sequence, ...                    the last of each domain is told
 *
 * A set holds the one or the other, as its first member says.  Its memory is one array that grows
 * up to GTID_ENTRIES_MAX entries; a set that would need more (a MySQL set with that many gaps) is
 * refused rather than cut.
 */
#ifndef LARDER_MYSQL_GTID_H
#define LARDER_MYSQL_GTID_H

#include "mysql/event.h"
#include "mysql/writer.h"

#define GTID_ENTRIES_MAX 16384u           /* intervals, or domains */
#define GTID_TEXT_MAX    128u             /* bytes of one GTID as text, with its NUL */
#define GTID_NUMBER_MAX  (UINT64_MAX / 2) /* MySQL's last one is one below */

enum gtid_family {
    GTID_NONE, /* the empty set */
    GTID_MYSQL,
    GTID_MARIADB,
};

/** One transaction. */
struct gtid {
    enum gtid_family family;
    uint32_t domain;  /* MariaDB */
    uint32_t server;  /* MariaDB */
    uint64_t number;  /* from 1 on; MariaDB's sequence number */
    uint8_t uuid[16]; /* MySQL, as the next */
    uint8_t tag_len;
    char tag[EVENT_TAG_LEN_MAX]; /* lower case */
};

struct gtid_entry;

struct gtid_set {
    enum gtid_family family;
    struct gtid_entry *entries; /* in rising order, without overlap */
    size_t count;
    size_t cap;
};

enum gtid_result {
    GTID_DONE,
    GTID_BAD,   /* not a GTID, or not a set of them */
    GTID_MIXED, /* of the other family than the set */
    GTID_FULL,  /* more entries than GTID_ENTRIES_MAX */
    GTID_NO_MEMORY,
};

void gtid_set_init(struct gtid_set *set);
void gtid_set_fini(struct gtid_set *set);
void gtid_set_clear(struct gtid_set *set);

/** The GTID of an event of kind EVENT_GTID or EVENT_GTID_MARIADB. */
enum gtid_result gtid_of_event(const struct event *event, struct gtid *out)
    __attribute__((warn_unused_result));

/** Parses one GTID, without an interval. */
enum gtid_result gtid_parse(struct bytes text, struct gtid *out)
    __attribute__((warn_unused_result));
void gtid_write(const struct gtid *gtid, struct writer *out);

/** Parses a set, which may be empty or have blanks and line ends, and adds it to `set`. */
enum gtid_result gtid_set_parse(struct gtid_set *set, struct bytes text)
    __attribute__((warn_unused_result));
/** As the servers print it, without line ends. */
void gtid_set_write(const struct gtid_set *set, struct writer *out);

/** After an error the set is as it was. */
enum gtid_result gtid_set_add(struct gtid_set *set, const struct gtid *gtid)
    __attribute__((warn_unused_result));
/** After an error the set has a part of `other`. */
enum gtid_result gtid_set_merge(struct gtid_set *set, const struct gtid_set *other)
    __attribute__((warn_unused_result));

/** MariaDB: whether the domain has come as far, by whatever server. */
bool gtid_set_contains(const struct gtid_set *set, const struct gtid *gtid);
bool gtid_set_contains_set(const struct gtid_set *set, const struct gtid_set *part);

/** Adds what a PREVIOUS_GTIDS or GTID_LIST event holds. */
enum gtid_result gtid_set_add_event(struct gtid_set *set, const struct event *event)
    __attribute__((warn_unused_result));
/** Adds a MySQL set in the form that PREVIOUS_GTIDS and COM_BINLOG_DUMP_GTID have. */
enum gtid_result gtid_set_decode(struct gtid_set *set, struct bytes bytes)
    __attribute__((warn_unused_result));
/** Writes a MySQL (or empty) set in that form; with tags in that of MySQL 8.3. */
void gtid_set_encode(const struct gtid_set *set, struct writer *out);

#endif
