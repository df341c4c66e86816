#include "config.h"

#include "mysql/binlog_file.h"

static const uint8_t magic[BINLOG_FILE_MAGIC_LEN] = { 0xfe, 'b', 'i', 'n' };
static const uint8_t magic_encrypted[BINLOG_FILE_MAGIC_LEN] = { 0xfd, 'b', 'i', 'n' };

enum binlog_file_result
binlog_file_begin(struct binlog_file *file, struct bytes bytes, const char **reason)
{
    *file = (struct binlog_file){ .file = bytes };
    event_format_init(&file->format, EVENT_CHECKSUM_NONE);
    if (bytes.len < BINLOG_FILE_MAGIC_LEN) {
        *reason = "the file is shorter than a log's first four bytes";
        return BINLOG_FILE_CUT;
    }
    if (memcmp(bytes.at, magic_encrypted, sizeof(magic)) == 0) {
        *reason = "the log is encrypted";
        return BINLOG_FILE_ENCRYPTED;
    }
    if (memcmp(bytes.at, magic, sizeof(magic)) != 0) {
        *reason = "it does not begin with fe 'bin'";
        return BINLOG_FILE_BAD;
    }
    file->pos = BINLOG_FILE_MAGIC_LEN;
    return BINLOG_FILE_EVENT;
}

enum binlog_file_result
binlog_file_next(struct binlog_file *file, struct event *event, enum event_result *result,
                 const char **reason)
{
    struct bytes rest = { file->file.at + file->pos, file->file.len - file->pos };
    *result = EVENT_MORE;
    if (rest.len == 0) {
        return BINLOG_FILE_END;
    }
    if (file->is_encrypted) {
        *reason = "the rest of the log is encrypted";
        return BINLOG_FILE_ENCRYPTED;
    }
    *result = event_parse(&file->format, rest, event);
    switch (*result) {
    case EVENT_MORE:
        *reason = "the file ends within an event";
        return BINLOG_FILE_CUT;
    case EVENT_BAD:
        *reason = event->reason;
        return BINLOG_FILE_BAD;
    case EVENT_PARSED:
    case EVENT_IGNORABLE:
    case EVENT_WIDEN:
        break;
    }
    if (file->pos == BINLOG_FILE_MAGIC_LEN && event->kind != EVENT_FORMAT) {
        *reason = "the log does not begin with its format: it is of MySQL 4, or cut out of another";
        return BINLOG_FILE_BAD;
    }
    if (event->kind == EVENT_FORMAT) {
        file->format = event->format;
    }
    file->is_encrypted = event->kind == EVENT_ENCRYPTION;
    file->pos += event->len;
    return BINLOG_FILE_EVENT;
}
