/* --hook-print: what the rules would do, for each transaction of a log. */
#include "config.h"

#include "mysql/hook_tool.h"

#include "base/assert.h"
#include "base/rng.h"
#include "mysql/binlog_file.h"
#include "mysql/source.h"
#include "mysql/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct print {
    FILE *out;
    const char *file;
};

static bool
print_begin(void *arg, const struct record_point *point)
{
    struct print *print = arg;
    char text[GTID_TEXT_MAX] = "-";
    struct writer out = writer(text, sizeof(text) - 1);
    if (point->gtid.family != GTID_NONE) {
        gtid_write(&point->gtid, &out);
        text[out.len] = '\0';
    }
    fprintf(print->out, "%s:%" PRIu64 " %s\n", print->file, point->offset, text);
    return true;
}

/** Bytes of a key or value as they are; controls and the like as \xNN. */
static void
print_text(FILE *out, const uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < ' ' || text[i] == 0x7f || text[i] == '\\') {
            fprintf(out, "\\x%02x", text[i]);
        } else {
            fputc(text[i], out);
        }
    }
}

static bool
print_op(void *arg, const struct record_op *op, const char *reason)
{
    static const char *const words[] = { [RECORD_DELETE] = "delete",
                                         [RECORD_STALE] = "stale",
                                         [RECORD_SET] = "set",
                                         [RECORD_FLUSH] = "void" };
    struct print *print = arg;
    fprintf(print->out, "    %s ", words[op->kind]);
    print_text(print->out, op->bytes, op->key_len);
    if (op->kind == RECORD_FLUSH) {
        fputc('*', print->out);
    }
    if (op->kind == RECORD_SET) {
        fputc(' ', print->out);
        print_text(print->out, op->bytes + op->key_len, op->value_len);
    }
    if (reason != NULL) {
        fprintf(print->out, "    # %s", reason);
    }
    fputc('\n', print->out);
    return true;
}

static void
print_flush(void *arg)
{
    struct print *print = arg;
    fflush(print->out);
}

static bool
print_end(void *arg, const struct record_point *point, uint64_t end_offset, const char *file)
{
    (void)arg;
    (void)point;
    (void)end_offset;
    (void)file;
    return true;
}

/* -- files ------------------------------------------------------------------------------------- */

static bool
print_events(struct stream *stream, struct bytes bytes, struct print *print)
{
    struct binlog_file file;
    const char *reason = "";
    if (binlog_file_begin(&file, bytes, &reason) != BINLOG_FILE_EVENT) {
        fprintf(print->out, "%s: not a binary log that can be read: %s\n", print->file, reason);
        return false;
    }
    for (size_t at = file.pos; at < bytes.len;) {
        struct bytes rest = { bytes.at + at, bytes.len - at };
        size_t len = rest.len >= EVENT_HEADER_LEN ? bytes_u32(rest.at + 9) : 0;
        if (len < EVENT_HEADER_LEN || len > rest.len) {
            fprintf(print->out, "%s:%zu: the file ends within an event\n", print->file, at);
            return len >= EVENT_HEADER_LEN; /* a log that is being written ends anywhere */
        }
        rest.len = len;
        if (stream_event(stream, rest, 0) != STREAM_ON) {
            fprintf(print->out, "%s:%zu: an event cannot be read\n", print->file, at);
            return false;
        }
        at += len;
    }
    return true;
}

static bool
print_file(struct stream *stream, const char *path, struct print *print)
{
    struct stat status;
    struct position position;
    bool printed = false;
    const char *slash = strrchr(path, '/');
    print->file = slash != NULL ? slash + 1 : path;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        fprintf(print->out, "%s: %s\n", path, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return false;
    }
    void *bytes = status.st_size > 0
                      ? mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
                      : MAP_FAILED;
    (void)close(fd);
    if (bytes == MAP_FAILED) {
        fprintf(print->out, "%s: an empty file, or one that cannot be mapped\n", path);
        return false;
    }
    position_init(&position);
    position_set_file(&position,
                      (struct bytes){ (const uint8_t *)print->file, strlen(print->file) },
                      BINLOG_FILE_MAGIC_LEN);
    stream_begin(stream, 1, NULL, EVENT_CHECKSUM_NONE, &position);
    printed = print_events(stream, (struct bytes){ bytes, (size_t)status.st_size }, print);
    position_fini(&position);
    (void)munmap(bytes, (size_t)status.st_size);
    return printed;
}

/* -- a server ---------------------------------------------------------------------------------- */

static bool
print_server(const struct rules *rules, struct stream *stream, struct print *print)
{
    struct source source;
    enum source_result result = SOURCE_LOST;
    uint32_t host = 0;
    source_init(&source);
    for (; host < rules->source.host_count && result != SOURCE_OK; host++) {
        result = source_open(&source, &rules->source, &rules->source.hosts[host]);
    }
    print->file = source.current.file;
    if (result == SOURCE_OK) {
        stream_begin(stream, 1, &rules->source.hosts[host - 1],
                     (enum event_checksum)source.checksum, &source.current);
        result = source_begin(&source, &rules->source, &source.current,
                              0x60000000u | (uint32_t)(rng_system() & 0x1fffffffu));
    }
    while (result == SOURCE_OK) {
        struct bytes event;
        result = source_next(&source, &event);
        if (result == SOURCE_OK && stream_event(stream, event, 0) != STREAM_ON) {
            snprintf(source.link.error, sizeof(source.link.error), "an event cannot be read");
            break;
        }
    }
    fprintf(print->out, "%s\n", source.link.error);
    source_fini(&source);
    return false;
}

bool
hook_print(const struct rules *rules, char *const *files, int file_count, FILE *out)
{
    struct print print = { .out = out, .file = "" };
    struct stream_sink sink = {
        .arg = &print, .begin = print_begin, .op = print_op, .flush = print_flush, .end = print_end
    };
    struct stream *stream = stream_create(rules, RECORD_VALUE_MAX, &sink);
    if (stream == NULL || !link_library_open()) {
        fputs("out of memory, or built without libmariadb\n", out);
        stream_destroy(stream);
        return false;
    }
    bool printed = true;
    for (int i = 0; i < file_count; i++) {
        printed = print_file(stream, files[i], &print) && printed;
    }
    if (file_count == 0) {
        printed = print_server(rules, stream, &print);
    }
    stream_destroy(stream);
    link_library_close();
    return printed;
}
