/* Snapshots in files.
 *
 * One is written beside its name, as PATH.tmp-PID, and takes the name when all of it is on the
 * disk.  While it is written its file is locked (flock), so that one which a crash has left behind
 * is told from one of a process that lives: the next snapshot of that name removes it.  That also
 * serves containers, in which all processes have the same id.
 */
#include "config.h"

#include "engine/snapshot.h"

#include "base/assert.h"
#include "engine/snapshot_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYNC_BYTES     (32u << 20) /* written, after which they go to the disk */
#define FILE_MODE      0600
#define TMP            ".tmp-"
#define TMP_DIGITS_MAX 20u
#define LEFTOVERS_MAX  64u /* removed at once */

/* A file that is written or read; errno as of what failed. */
struct file {
    int fd;
    int error;
    uint64_t unsynced; /* bytes */
};

const char *
snapshot_result_text(enum snapshot_result result)
{
    static const char *const texts[] = {
#define SNAPSHOT_RESULT_TEXT(name, text) [name] = text,
        SNAPSHOT_RESULTS(SNAPSHOT_RESULT_TEXT)
#undef SNAPSHOT_RESULT_TEXT
    };
    assert((size_t)result < sizeof(texts) / sizeof(texts[0]));
    return texts[result];
}

/** "FILE: what", and the system's reason unless `error` is 0. */
static enum snapshot_result
fail(char *text, enum snapshot_result result, const char *path, const char *what, int error)
{
    snprintf(text, SNAPSHOT_ERROR_CAP, "%.300s: %.330s%s%.100s", path, what, error != 0 ? ": " : "",
             error != 0 ? strerror(error) : "");
    return result;
}

/** Whether the path is absolute, names a file and can be shown in a line. */
static bool
path_is_good(const char *path)
{
    size_t len = strnlen(path, SNAPSHOT_PATH_MAX + 1);
    if (len > SNAPSHOT_PATH_MAX || path[0] != '/' || path[len - 1] == '/') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)path[i] < ' ' || path[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* -- streams ----------------------------------------------------------------------------------- */

/** Sends what was written to the disk, and drops it from memory: a snapshot is not read again, and
 * would push what is out. */
static bool
file_sync(struct file *file)
{
    int rc;
    do {
        rc = fdatasync(file->fd);
    } while (rc != 0 && errno == EINTR);
    file->error = rc != 0 ? errno : 0;
    file->unsynced = 0;
#ifdef POSIX_FADV_DONTNEED
    (void)posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);
#endif
    return rc == 0;
}

/** snapshot_sink */
static bool
file_write(void *arg, const void *bytes, size_t len)
{
    struct file *file = arg;
    const uint8_t *at = bytes;
    while (len > 0) {
        ssize_t written = write(file->fd, at, len);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            file->error = written < 0 ? errno : EIO;
            return false;
        }
        at += written;
        len -= (size_t)written;
        file->unsynced += (uint64_t)written;
    }
    return file->unsynced < SYNC_BYTES || file_sync(file);
}

/** snapshot_source */
static bool
file_read(void *arg, void *bytes, size_t len, size_t *got)
{
    struct file *file = arg;
    *got = 0;
    while (*got < len) {
        ssize_t n = read(file->fd, (uint8_t *)bytes + *got, len - *got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            file->error = errno;
            return false;
        }
        if (n == 0) {
            break;
        }
        *got += (size_t)n;
    }
    return true;
}

/* -- the folder -------------------------------------------------------------------------------- */

/** Splits a good path: `folder` gets all before the last slash, or "/"; returns the name. */
static const char *
split(const char *path, char folder[SNAPSHOT_PATH_MAX + 1])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == path ? 1 : (size_t)(slash - path);
    memcpy(folder, path, len);
    folder[len] = '\0';
    return slash + 1;
}

/** Whether `entry` is `name`.tmp-<digits>. */
static bool
is_leftover(const char *entry, const char *name)
{
    size_t len = strlen(name);
    if (strncmp(entry, name, len) != 0 || strncmp(entry + len, TMP, sizeof(TMP) - 1) != 0) {
        return false;
    }
    const char *digits = entry + len + sizeof(TMP) - 1;
    size_t count = strspn(digits, "0123456789");
    return count > 0 && count <= TMP_DIGITS_MAX && digits[count] == '\0';
}

/** Whether an open file is a snapshot, or the beginning of one: nothing else is replaced or removed.
 */
static bool
is_ours(int fd)
{
    struct stat stat;
    struct file file = { .fd = fd };
    uint8_t magic[SNAPSHOT_MAGIC_LEN];
    size_t got = 0;
    return fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) &&
           file_read(&file, magic, sizeof(magic), &got) && memcmp(magic, SNAPSHOT_MAGIC, got) == 0;
}

/** Removes what crashes have left of earlier snapshots of this name. */
static void
remove_leftovers(int folder_fd, const char *name)
{
    int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (folder == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    unsigned removed = 0;
    const struct dirent *entry;
    while (removed < LEFTOVERS_MAX && (entry = readdir(folder)) != NULL) {
        if (!is_leftover(entry->d_name, name)) {
            continue;
        }
        int old = openat(folder_fd, entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (old >= 0 && flock(old, LOCK_EX | LOCK_NB) == 0 && is_ours(old)) {
            removed += unlinkat(folder_fd, entry->d_name, 0) == 0;
        }
        if (old >= 0) {
            close(old);
        }
    }
    closedir(folder);
}

/** Whether what is under the name may be replaced: nothing, or a snapshot, or an empty file. */
static enum snapshot_result
check_old(int folder_fd, const char *name, const char *path, char *error)
{
    int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return SNAPSHOT_OK;
    }
    if (fd < 0) {
        return fail(error, SNAPSHOT_CANNOT_WRITE, path, "cannot be replaced", errno);
    }
    bool ours = is_ours(fd);
    close(fd);
    return ours ? SNAPSHOT_OK
                : fail(error, SNAPSHOT_FOREIGN, path,
                       "is there, is not a snapshot of larder, and is not replaced", 0);
}

/** Whether an open file is the one of that name. */
static bool
is_at(int fd, int folder_fd, const char *name)
{
    struct stat ours;
    struct stat there;
    return fstat(fd, &ours) == 0 && fstatat(folder_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/** Writes and locks a new file of that name. */
static enum snapshot_result
create_locked(int folder_fd, const char *name, const char *path, int *fd, char *error)
{
    *fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (*fd < 0) {
        return errno == EEXIST
                   ? fail(error, SNAPSHOT_BUSY, path,
                          "another snapshot of that name is being written, or a file that is none"
                          " has its temporary name",
                          0)
                   : fail(error, SNAPSHOT_CANNOT_WRITE, path, "cannot be written", errno);
    }
    /* A file system without locks has none that others could find free. */
    if (flock(*fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        close(*fd);
        return fail(error, SNAPSHOT_BUSY, path, snapshot_result_text(SNAPSHOT_BUSY), 0);
    }
    return SNAPSHOT_OK;
}

/* -- save and load ----------------------------------------------------------------------------- */

/** Makes what was written last under its temporary name be what is found under its own. */
static enum snapshot_result
take_name(struct file *file, int folder_fd, const char *tmp, const char *name, const char *path,
          char *error)
{
    if (!file_sync(file)) {
        return fail(error, SNAPSHOT_CANNOT_WRITE, path, "cannot be written", file->error);
    }
    if (!is_at(file->fd, folder_fd, tmp)) {
        return fail(error, SNAPSHOT_BUSY, path, "someone has taken its temporary file away", 0);
    }
    if (renameat(folder_fd, tmp, folder_fd, name) != 0) {
        return fail(error, SNAPSHOT_CANNOT_WRITE, path, "cannot be renamed", errno);
    }
    /* Some file systems cannot sync a folder, and say so by EINVAL. */
    if (fsync(folder_fd) != 0 && errno != EINVAL) {
        return fail(error, SNAPSHOT_CANNOT_WRITE, path, "its folder cannot be written", errno);
    }
    return SNAPSHOT_OK;
}

/** Writes the file beside its name, and gives it the name. */
static enum snapshot_result
save_in(int folder_fd, const char *name, const char *path, struct cache *cache,
        struct cache_thread *thread, const struct snapshot_options *options,
        struct snapshot_figures *figures, char *error)
{
    char tmp[SNAPSHOT_PATH_MAX + sizeof(TMP) + TMP_DIGITS_MAX];
    snprintf(tmp, sizeof(tmp), "%s" TMP "%ld", name, (long)getpid());
    enum snapshot_result result = check_old(folder_fd, name, path, error);
    if (result != SNAPSHOT_OK) {
        return result;
    }
    remove_leftovers(folder_fd, name);
    struct file file = { .fd = -1 };
    result = create_locked(folder_fd, tmp, path, &file.fd, error);
    if (result != SNAPSHOT_OK) {
        return result;
    }
    struct snapshot_sink sink = { .write = file_write, .arg = &file };
    result = snapshot_write(cache, thread, &sink, options, figures);
    if (result == SNAPSHOT_OK) {
        result = take_name(&file, folder_fd, tmp, name, path, error);
    } else if (result == SNAPSHOT_CANNOT_WRITE) {
        (void)fail(error, result, path, "cannot be written", file.error);
    } else {
        (void)fail(error, result, path, snapshot_result_text(result), 0);
    }
    if (result != SNAPSHOT_OK && is_at(file.fd, folder_fd, tmp)) {
        (void)unlinkat(folder_fd, tmp, 0);
    }
    close(file.fd);
    return result;
}

enum snapshot_result
snapshot_save(struct cache *cache, struct cache_thread *thread, const char *path,
              const struct snapshot_options *options, struct snapshot_figures *figures, char *error)
{
    *figures = (struct snapshot_figures){ 0 };
    error[0] = '\0';
    if (!path_is_good(path)) {
        return fail(error, SNAPSHOT_BAD_PATH, path, snapshot_result_text(SNAPSHOT_BAD_PATH), 0);
    }
    char folder[SNAPSHOT_PATH_MAX + 1];
    const char *name = split(path, folder);
    int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0) {
        return fail(error, SNAPSHOT_CANNOT_WRITE, path, "its folder cannot be opened", errno);
    }
    enum snapshot_result result =
        save_in(folder_fd, name, path, cache, thread, options, figures, error);
    close(folder_fd);
    return result;
}

enum snapshot_result
snapshot_load(struct cache *cache, struct cache_thread *thread, const char *path,
              const struct snapshot_options *options, struct snapshot_figures *figures, char *error)
{
    *figures = (struct snapshot_figures){ 0 };
    error[0] = '\0';
    if (!path_is_good(path)) {
        return fail(error, SNAPSHOT_BAD_PATH, path, snapshot_result_text(SNAPSHOT_BAD_PATH), 0);
    }
    /* Not to wait for who may write to a pipe of that name. */
    struct file file = { .fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) };
    if (file.fd < 0) {
        enum snapshot_result result = errno == ENOENT ? SNAPSHOT_NO_FILE : SNAPSHOT_CANNOT_READ;
        return fail(error, result, path, "cannot be opened", errno);
    }
#ifdef POSIX_FADV_SEQUENTIAL
    (void)posix_fadvise(file.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
#endif
    char what[SNAPSHOT_ERROR_CAP];
    struct snapshot_source source = { .read = file_read, .arg = &file };
    enum snapshot_result result = snapshot_read(cache, thread, &source, options, figures, what);
    if (result != SNAPSHOT_OK) {
        char text[SNAPSHOT_ERROR_CAP];
        snprintf(text, sizeof(text), "%s%s%.300s", snapshot_result_text(result),
                 what[0] != '\0' ? ": " : "", what);
        (void)fail(error, result, path, text, file.error);
    }
    close(file.fd);
    return result;
}
