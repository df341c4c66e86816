/* --hook-print: what the rules would do, for each transaction of a log. */
#include "config.h"

#include "mysql/hook_tool.h"

#include "base/assert.h"
#include "base/log.h"
#include "mysql/binlog_file.h"
#include "mysql/source.h"
#include "mysql/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct print {
    FILE *out;
    struct stream *stream;
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
    fprintf(print->out, "%s:%" PRIu64 " %s\n", stream_file(print->stream), point->offset, text);
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

/** name   of the file, for what is wrong with it */
static bool
print_events(const struct print *print, const char *name, struct bytes bytes)
{
    struct binlog_file file;
    const char *reason = "";
    if (binlog_file_begin(&file, bytes, &reason) != BINLOG_FILE_EVENT) {
        fprintf(print->out, "%s: no binary log that can be read: %s\n", name, reason);
        return false;
    }
    for (size_t at = file.pos; at < bytes.len;) {
        struct bytes rest = { bytes.at + at, bytes.len - at };
        size_t len = rest.len >= EVENT_HEADER_LEN ? le_get_u32(rest.at + 9) : 0;
        if (len < EVENT_HEADER_LEN || len > rest.len) {
            fprintf(print->out, "%s:%zu: the file ends within an event\n", name, at);
            return len >= EVENT_HEADER_LEN; /* a log that is being written ends anywhere */
        }
        rest.len = len;
        if (stream_event(print->stream, rest, 0) != STREAM_ON) {
            fprintf(print->out, "%s:%zu: an event cannot be read\n", name, at);
            return false;
        }
        at += len;
    }
    return true;
}

static bool
print_file(const struct print *print, const char *path)
{
    struct stat status;
    struct position position;
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
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
    position_set_file(&position, (struct bytes){ (const uint8_t *)name, strlen(name) },
                      BINLOG_FILE_MAGIC_LEN);
    stream_begin(print->stream, 1, NULL, EVENT_CHECKSUM_NONE, &position);
    bool printed = print_events(print, name, (struct bytes){ bytes, (size_t)status.st_size });
    position_fini(&position);
    (void)munmap(bytes, (size_t)status.st_size);
    return printed;
}

/* -- a server ---------------------------------------------------------------------------------- */

/** A thread beside the one that reads, which waits for the signals that end the program. */
struct ender {
    pthread_t thread;
    sigset_t signals;
    sigset_t before; /* the mask to go back to */
    struct link *link;
    _Atomic bool is_asked; /* to end */
};

static void *
ender_main(void *arg)
{
    struct ender *ender = arg;
    int number = 0;
    (void)sigwait(&ender->signals, &number);
    /* release: pairs with ender_close(), which is past the read that this ends. */
    atomic_store_explicit(&ender->is_asked, true, memory_order_release);
    link_stop(ender->link);
    return NULL;
}

static bool
ender_open(struct ender *ender, struct link *link)
{
    ender->link = link;
    atomic_init(&ender->is_asked, false);
    sigemptyset(&ender->signals);
    sigaddset(&ender->signals, SIGINT);
    sigaddset(&ender->signals, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &ender->signals, &ender->before);
    if (thread_start(&ender->thread, ender_main, ender) != 0) {
        (void)pthread_sigmask(SIG_SETMASK, &ender->before, NULL);
        return false;
    }
    return true;
}

/** Whether a signal has come. */
static bool
ender_close(struct ender *ender)
{
    bool is_asked = atomic_load_explicit(&ender->is_asked, memory_order_acquire);
    (void)pthread_kill(ender->thread, SIGTERM); /* it may be waiting still */
    (void)pthread_join(ender->thread, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &ender->before, NULL);
    return is_asked;
}

/** Begins with the first host that answers. */
static enum source_result
open_server(const struct rules_source *settings, struct source *source, struct stream *stream)
{
    enum source_result result = SOURCE_LOST;
    const struct rules_host *host = settings->hosts;
    for (uint32_t i = 0; i < settings->host_count && result != SOURCE_OK; i++) {
        host = &settings->hosts[i];
        result = source_open(source, settings, host);
    }
    if (result != SOURCE_OK) {
        return result;
    }
    stream_begin(stream, 1, host, (enum event_checksum)source->checksum, &source->current);
    return source_begin(source, settings, &source->current, source_choose_server_id());
}

static bool
print_server(const struct print *print, const struct rules *rules)
{
    struct source source;
    struct ender ender;
    source_init(&source);
    if (!ender_open(&ender, &source.link)) {
        fputs("no thread to wait for signals\n", print->out);
        source_fini(&source);
        return false;
    }
    enum source_result result = open_server(&rules->source, &source, print->stream);
    while (result == SOURCE_OK) {
        struct bytes event;
        result = source_next(&source, &event);
        if (result == SOURCE_OK && stream_event(print->stream, event, 0) != STREAM_ON) {
            snprintf(source.link.error, sizeof(source.link.error), "an event cannot be read");
            break;
        }
    }
    bool is_asked = ender_close(&ender);
    if (!is_asked) {
        fprintf(print->out, "%s\n", source.link.error);
    }
    source_fini(&source);
    return is_asked;
}

bool
hook_print(const struct rules *rules, char *const *files, int file_count, FILE *out)
{
    struct print print = { .out = out };
    struct stream_sink sink = {
        .arg = &print, .begin = print_begin, .op = print_op, .flush = print_flush, .end = print_end
    };
    print.stream = stream_create(rules, RECORD_VALUE_MAX, &sink);
    if (print.stream == NULL || !link_library_open()) {
        fputs("out of memory, or built without libmariadb\n", out);
        stream_destroy(print.stream);
        return false;
    }
    bool printed = true;
    for (int i = 0; i < file_count; i++) {
        printed = print_file(&print, files[i]) && printed;
    }
    if (file_count == 0) {
        printed = print_server(&print, rules);
    }
    stream_destroy(print.stream);
    link_library_close();
    return printed;
}
