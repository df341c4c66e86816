/*
 * Where in a server's log we are: by GTIDs where it has them, else by file and offset.
 *
 * As text, in the state file:
 *
 *     mysql gtid <set>            mariadb gtid <set>
 *     mysql file <name>:<offset>
 */
#ifndef LARDER_MYSQL_POSITION_H
#define LARDER_MYSQL_POSITION_H

#include "mysql/gtid.h"

#define POSITION_FILE_CAP 513u       /* bytes of a log file's name, NUL included */
#define POSITION_TEXT_MAX (1u << 20) /* bytes; a set of GTID_ENTRIES_MAX entries takes less */

struct position {
    bool is_known; /* else: start at what the server has now */
    bool by_gtid;
    bool is_mariadb;
    struct gtid_set gtids;
    char file[POSITION_FILE_CAP]; /* "" if not known */
    uint64_t offset;
};

void position_init(struct position *position);
void position_fini(struct position *position);
void position_clear(struct position *position);
/** False without memory; `to` is cleared then. */
bool position_copy(struct position *to, const struct position *from)
    __attribute__((warn_unused_result));

void position_set_file(struct position *position, struct bytes name, uint64_t offset);

/** The number at the end of a log's name, by which logs are in order; 0 if there is none. */
uint64_t position_file_number(const char *name);

/** Whether `position` has come to `target`.  Of two that tell their place differently: no. */
bool position_reaches(const struct position *position, const struct position *target);

void position_write(const struct position *position, struct writer *out);
/** False: no such text; the position is cleared then. */
bool position_parse(struct position *position, struct bytes text)
    __attribute__((warn_unused_result));

#endif
