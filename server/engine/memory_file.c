#include "config.h"

#include "engine/memory_file.h"

#include "base/assert.h"
#include "engine/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC        "larder-p"
#define HEADER_LEN   16u
#define AT_ID        8u
#define META_LEN_MAX ((size_t)1 << 30) /* bytes; 16 for each page of 4 TiB */
#define SUFFIX_MAX   16u               /* bytes of the longest, NUL included */

struct memory_file {
    int fd;
    bool is_new;
    uint64_t id;
    char path[PATH_MAX];
};

void
memory_file_say(char *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(text, CACHE_START_TEXT_MAX, format, args);
    va_end(args);
}

int
memory_file_fd(const struct memory_file *file)
{
    return file->fd;
}

const char *
memory_file_path(const struct memory_file *file)
{
    return file->path;
}

bool
memory_file_is_new(const struct memory_file *file)
{
    return file->is_new;
}

uint64_t
memory_file_id(const struct memory_file *file)
{
    return file->id;
}

uint64_t
memory_file_len(const struct memory_file *file)
{
    struct stat now;
    return fstat(file->fd, &now) == 0 ? (uint64_t)now.st_size : 0;
}

/** The path with a suffix behind it. */
static void
name_beside(const struct memory_file *file, const char *suffix, char name[PATH_MAX + SUFFIX_MAX])
{
    snprintf(name, PATH_MAX + SUFFIX_MAX, "%s%s", file->path, suffix);
}

static bool
read_all(int fd, uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t got = pread(fd, bytes + at, len - at, (off_t)at);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            errno = got == 0 ? ENODATA : errno;
            return false;
        }
        at += (size_t)got;
    }
    return true;
}

static bool
write_all(int fd, const uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t put = pwrite(fd, bytes + at, len - at, (off_t)at);
        if (put < 0 && errno != EINTR) {
            return false;
        }
        at += put > 0 ? (size_t)put : 0;
    }
    return true;
}

static bool
write_header(struct memory_file *file, uint64_t id)
{
    uint8_t header[HEADER_LEN] = MAGIC;
    memcpy(header + AT_ID, &id, sizeof(id));
    file->id = id;
    return write_all(file->fd, header, sizeof(header));
}

/** Brings the folder's entries to the disk; where the file system has no such thing, nothing is
 * lost but safety against a crash of the machine. */
static void
sync_folder(const struct memory_file *file)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof(folder), "%s", file->path);
    char *slash = strrchr(folder, '/');
    if (slash != NULL) {
        slash[slash == folder ? 1 : 0] = '\0';
    }
    int fd = open(slash != NULL ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

/* -- opening ----------------------------------------------------------------------------------- */

/** Opens the file; makes it only where no meta of an earlier one stands. */
static bool
open_or_make(struct memory_file *file, char *text)
{
    file->fd = open(file->path, O_RDWR | O_CLOEXEC);
    if (file->fd < 0 && errno == ENOENT) {
        char meta[PATH_MAX + SUFFIX_MAX];
        name_beside(file, ".meta", meta);
        if (access(meta, F_OK) == 0) {
            memory_file_say(
                text,
                "%.200s is there, but the file that it belongs to is not: remove it to start"
                " empty",
                meta);
            return false;
        }
        file->fd = open(file->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    if (file->fd < 0) {
        memory_file_say(text, "failed to open file for mmap: %.200s: %s", file->path,
                        strerror(errno));
        return false;
    }
    return true;
}

/** Looks whether it is one of ours. */
static bool
look_at(struct memory_file *file, char *text)
{
    struct stat now;
    if (fstat(file->fd, &now) != 0 || !S_ISREG(now.st_mode)) {
        memory_file_say(text, "%.200s is no regular file", file->path);
        return false;
    }
    if (now.st_uid != geteuid()) {
        memory_file_say(text, "%.200s belongs to user %u: it must be ours, user %u", file->path,
                        (unsigned)now.st_uid, (unsigned)geteuid());
        return false;
    }
    if (flock(file->fd, LOCK_EX | LOCK_NB) != 0) {
        memory_file_say(text,
                        errno == EWOULDBLOCK ? "%.200s is in use by another process"
                                             : "%.200s cannot be locked",
                        file->path);
        return false;
    }
    uint8_t header[HEADER_LEN];
    file->is_new = now.st_size == 0;
    if (file->is_new) {
        return true;
    }
    if (now.st_size < (off_t)HEADER_LEN || !read_all(file->fd, header, sizeof(header)) ||
        memcmp(header, MAGIC, AT_ID) != 0) {
        memory_file_say(
            text,
            "%.200s is no memory file of larder: it stays as it is; name another file, or remove it",
            file->path);
        return false;
    }
    memcpy(&file->id, header + AT_ID, sizeof(file->id));
    return true;
}

struct memory_file *
memory_file_open(const char *path, char *text)
{
    struct memory_file *file = calloc(1, sizeof(*file));
    if (file == NULL) {
        memory_file_say(text, "out of memory");
        return NULL;
    }
    file->fd = -1;
    int len = snprintf(file->path, sizeof(file->path), "%s", path);
    if (len <= 0 || (size_t)len >= sizeof(file->path)) {
        memory_file_say(text, "the file's name is %s", len == 0 ? "empty" : "too long");
    } else if (open_or_make(file, text) && look_at(file, text)) {
        return file;
    }
    memory_file_close(file);
    return NULL;
}

void
memory_file_close(struct memory_file *file)
{
    if (file != NULL) {
        if (file->fd >= 0) {
            close(file->fd); /* and the lock with it */
        }
        free(file);
    }
}

/* -- the meta file ----------------------------------------------------------------------------- */

enum memory_file_meta
memory_file_read_meta(const struct memory_file *file, uint8_t **bytes, size_t *len, char *text)
{
    char name[PATH_MAX + SUFFIX_MAX];
    *bytes = NULL;
    *len = 0;
    name_beside(file, ".meta", name);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return MEMORY_FILE_NO_META;
    }
    struct stat now;
    enum memory_file_meta result = MEMORY_FILE_META_FAILED;
    if (fd < 0 || fstat(fd, &now) != 0) {
        memory_file_say(text, "%.200s cannot be opened: %s", name, strerror(errno));
    } else if (!S_ISREG(now.st_mode) || (uint64_t)now.st_size > META_LEN_MAX) {
        memory_file_say(
            text, "%.200s is not of larder: it stays as it is; remove it to start empty", name);
    } else {
        *len = (size_t)now.st_size;
        *bytes = malloc(*len + 1);
        if (*bytes != NULL && read_all(fd, *bytes, *len)) {
            result = MEMORY_FILE_META;
        } else {
            memory_file_say(text, "%.200s cannot be read: %s", name, strerror(errno));
            free(*bytes);
            *bytes = NULL;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return result;
}

bool
memory_file_begin(struct memory_file *file, bool empty, char *text)
{
    char name[PATH_MAX + SUFFIX_MAX];
    name_beside(file, ".meta", name);
    if (unlink(name) == 0) {
        sync_folder(file);
    } else if (errno != ENOENT) {
        memory_file_say(text, "%.200s cannot be removed, as it must be before its items change: %s",
                        name, strerror(errno));
        return false;
    }
    if ((empty && ftruncate(file->fd, 0) != 0) || !write_header(file, 0) ||
        fdatasync(file->fd) != 0) {
        memory_file_say(text, "%.200s cannot be written: %s", file->path, strerror(errno));
        return false;
    }
    return true;
}

/** Writes FILE.meta under another name, and gives it its own. */
static bool
write_meta(const struct memory_file *file, const uint8_t *meta, size_t len)
{
    char beside[PATH_MAX + SUFFIX_MAX];
    char name[PATH_MAX + SUFFIX_MAX];
    name_beside(file, ".meta.new", beside);
    name_beside(file, ".meta", name);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    bool written = write_all(fd, meta, len) && fsync(fd) == 0;
    int error = errno;
    written = close(fd) == 0 && written;
    if (written && rename(beside, name) == 0) {
        sync_folder(file);
        return true;
    }
    error = written ? errno : error;
    (void)unlink(beside);
    errno = error;
    return false;
}

/** Whether the path still leads to the file: a description beside another one, or beside none,
 * would keep the next start from beginning. */
static bool
is_in_place(const struct memory_file *file)
{
    struct stat ours;
    struct stat there;
    return fstat(file->fd, &ours) == 0 && stat(file->path, &there) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

bool
memory_file_end(struct memory_file *file, uint64_t id, const uint8_t *meta, size_t len, char *text)
{
    assert(id != 0 && file->id == 0);
    if (!is_in_place(file)) {
        snprintf(text, CACHE_START_TEXT_MAX,
                 "%.200s has been removed or replaced while it was in use: its items are not kept",
                 file->path);
        return false;
    }
    if (!write_header(file, id) || fdatasync(file->fd) != 0) {
        memory_file_say(text, "%.200s cannot be written: %s", file->path, strerror(errno));
        return false;
    }
    if (!write_meta(file, meta, len)) {
        memory_file_say(text, "%.200s.meta cannot be written: %s", file->path, strerror(errno));
        return false;
    }
    return true;
}
