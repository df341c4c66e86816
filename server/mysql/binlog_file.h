/*
 * The events of a binary log or relay log that lies in memory, as read or mapped by the caller.
 *
 *     0xfe "bin", then one event after the other; the first describes the format
 */
#ifndef LARDER_MYSQL_BINLOG_FILE_H
#define LARDER_MYSQL_BINLOG_FILE_H

#include "mysql/event.h"

#define BINLOG_FILE_MAGIC_LEN 4u

struct binlog_file {
    struct bytes file;
    size_t pos; /* of the next event */
    bool is_encrypted;
    struct event_format format;
};

enum binlog_file_result {
    BINLOG_FILE_EVENT,
    BINLOG_FILE_END,
    BINLOG_FILE_CUT,       /* the file ends within an event: it is being written, or was cut off */
    BINLOG_FILE_BAD,       /* for `*reason`; nothing can be read from here on */
    BINLOG_FILE_ENCRYPTED, /* what follows is encrypted */
};

/**
 * Begins with a file.  Does not look at the events yet.
 *
 * Errors: BINLOG_FILE_CUT, BINLOG_FILE_BAD, BINLOG_FILE_ENCRYPTED; otherwise BINLOG_FILE_EVENT.
 */
enum binlog_file_result binlog_file_begin(struct binlog_file *file, struct bytes bytes,
                                          const char **reason) __attribute__((warn_unused_result));

/**
 * Takes the next event.  `*result` is how it was parsed; it is neither EVENT_MORE nor EVENT_BAD
 * when the answer is BINLOG_FILE_EVENT.
 */
enum binlog_file_result binlog_file_next(struct binlog_file *file, struct event *event,
                                         enum event_result *result, const char **reason)
    __attribute__((warn_unused_result));

#endif
