/* What a set of GTIDs is made of, for gtid.c and gtid_text.c. */
#ifndef LARDER_MYSQL_GTID_PRIV_H
#define LARDER_MYSQL_GTID_PRIV_H

#include "mysql/gtid.h"

/** MySQL: the numbers from gtid.number to `last`.  MariaDB: a domain; `last` is gtid.number. */
struct gtid_entry {
    struct gtid gtid;
    uint64_t last;
};

/** Whether two entries are of one domain, or of one uuid and tag; else which comes first. */
int gtid_compare_source(const struct gtid *a, const struct gtid *b);
enum gtid_result gtid_set_add_range(struct gtid_set *set, const struct gtid *first, uint64_t last)
    __attribute__((warn_unused_result));

#endif
