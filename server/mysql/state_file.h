/*
 * The position that was applied last, in a file: one line, a check of it behind.
 *
 *     <position> <16 hexadecimal digits: hash of what stands in front of the blank>
 *
 * Written to a file beside it and renamed, without fsync: after a crash of the machine the cache is
 * empty, and a file that is torn or empty then is found out by its check.  A position older than
 * what was applied does no harm, it is applied again; a newer one is never written.
 */
#ifndef LARDER_MYSQL_STATE_FILE_H
#define LARDER_MYSQL_STATE_FILE_H

#include "mysql/position.h"

enum state_file_result {
    STATE_FILE_OK,
    STATE_FILE_NONE,   /* there is no such file */
    STATE_FILE_BROKEN, /* not one of ours, or torn */
    STATE_FILE_FAILED, /* errno tells why */
};

enum state_file_result state_file_read(const char *path, struct position *out)
    __attribute__((warn_unused_result));
/** On errors the file is as it was. */
enum state_file_result state_file_write(const char *path, const struct position *position)
    __attribute__((warn_unused_result));

#endif
