#include "config.h"

#include "admin/credentials.h"

#include "admin/auth_file.h"
#include "base/assert.h"
#include "base/lock.h"
#include "base/rng.h"
#include "base/siphash.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct digest {
    uint8_t bytes[SIPHASH_DIGEST_LEN];
};

/** Sorted. */
struct digests {
    size_t len;
    struct digest at[];
};

/** Locking key: (l) lock; the rest is constant. */
struct credentials {
    struct lock lock;        /* held for a search or a swap, never while a file is read */
    struct digests *digests; /* (l) */
    uint8_t key[SIPHASH_KEY_LEN];
    const char *name; /* the end of `path`: the file as it was named at the start */
    char path[];      /* absolute */
};

/** The user's length comes first: "ab" with "c" is not "a" with "bc". */
static struct digest
digest_of(const struct credentials *credentials, const void *user, size_t user_len,
          const void *password, size_t password_len)
{
    uint8_t bytes[1 + AUTH_FILE_LINE_MAX];
    assert(user_len + password_len < sizeof(bytes));
    bytes[0] = (uint8_t)user_len;
    memcpy(bytes + 1, user, user_len);
    memcpy(bytes + 1 + user_len, password, password_len);
    struct digest digest;
    siphash128(credentials->key, bytes, 1 + user_len + password_len, digest.bytes);
    explicit_bzero(bytes, sizeof(bytes));
    return digest;
}

static int
digest_compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

/* -- loading ----------------------------------------------------------------------------------- */

struct file {
    uint8_t *bytes; /* owned */
    size_t len;
};

static void
file_free(struct file *file)
{
    if (file->bytes != NULL) {
        explicit_bzero(file->bytes, file->len);
    }
    free(file->bytes);
    file->bytes = NULL;
}

static enum credentials_result
fail_unreadable(const char *verb, const char *path, const char *why, char *error)
{
    snprintf(error, CREDENTIALS_ERROR_CAP, "Could not %s authfile [%.300s] for reading, error %s",
             verb, path, why);
    return CREDENTIALS_UNREADABLE;
}

static enum credentials_result
fail_no_memory(const char *path, char *error)
{
    snprintf(error, CREDENTIALS_ERROR_CAP, "out of memory for the authfile [%.300s]", path);
    return CREDENTIALS_NO_MEMORY;
}

/**
 * The whole file, without a buffer of which a copy would stay behind.
 *
 * again   whether it is read for a second time: then a pipe would stop the server until somebody
 *         writes to it, or bring an empty list
 */
static enum credentials_result
file_read(const struct credentials *credentials, bool again, struct file *out, char *error)
{
    const char *path = credentials->name;
    int fd = open(credentials->path, O_RDONLY | O_CLOEXEC | (again ? O_NONBLOCK : 0));
    if (fd < 0) {
        return fail_unreadable("open", path, strerror(errno), error);
    }
    struct stat is;
    if (again && (fstat(fd, &is) != 0 || !S_ISREG(is.st_mode))) {
        close(fd);
        return fail_unreadable("use", path, "it is no regular file", error);
    }
    enum credentials_result result = CREDENTIALS_OK;
    *out = (struct file){ .bytes = malloc(AUTH_FILE_LEN_MAX + 1) };
    if (out->bytes == NULL) {
        result = fail_no_memory(path, error);
    }
    while (result == CREDENTIALS_OK && out->len <= AUTH_FILE_LEN_MAX) {
        ssize_t got = read(fd, out->bytes + out->len, AUTH_FILE_LEN_MAX + 1 - out->len);
        if (got == 0) {
            break;
        }
        if (got < 0 && errno != EINTR) {
            result = fail_unreadable("use", path, strerror(errno), error);
        }
        out->len += got > 0 ? (size_t)got : 0;
    }
    if (result == CREDENTIALS_OK && out->len > AUTH_FILE_LEN_MAX) {
        snprintf(error, CREDENTIALS_ERROR_CAP, "Authfile [%.300s] has more than %u bytes", path,
                 AUTH_FILE_LEN_MAX);
        result = CREDENTIALS_UNREADABLE;
    }
    close(fd);
    if (result != CREDENTIALS_OK) {
        file_free(out);
    }
    return result;
}

/** Entries of a file, or what is wrong with it. */
static enum credentials_result
file_count(const struct file *file, const char *path, size_t *count, char *error)
{
    struct auth_file_reader reader;
    struct auth_entry entry;
    auth_file_open(&reader, file->bytes, file->len);
    for (*count = 0;; (*count)++) {
        switch (auth_file_next(&reader, &entry)) {
        case AUTH_FILE_ENTRY:
            continue;
        case AUTH_FILE_END:
            return CREDENTIALS_OK;
        case AUTH_FILE_NO_COLON:
            snprintf(error, CREDENTIALS_ERROR_CAP,
                     "Authfile [%.300s] has a malformed entry. Should be 'user:password': line %u",
                     path, reader.line);
            return CREDENTIALS_MALFORMED;
        case AUTH_FILE_LINE_TOO_LONG:
            snprintf(error, CREDENTIALS_ERROR_CAP,
                     "Authfile [%.300s] has a malformed entry. Should be 'user:password'"
                     " of %u bytes at most: line %u",
                     path, AUTH_FILE_LINE_MAX, reader.line);
            return CREDENTIALS_MALFORMED;
        }
    }
}

/** The digests of the file as it is now; the caller's to free. */
static enum credentials_result
load(const struct credentials *credentials, bool again, struct digests **out, char *error)
{
    struct file file = { 0 };
    size_t count = 0;
    *out = NULL;
    enum credentials_result result = file_read(credentials, again, &file, error);
    if (result != CREDENTIALS_OK) {
        return result;
    }
    result = file_count(&file, credentials->name, &count, error);
    if (result != CREDENTIALS_OK) {
        file_free(&file);
        return result;
    }
    struct digests *digests = malloc(sizeof(*digests) + count * sizeof(digests->at[0]));
    if (digests == NULL) {
        file_free(&file);
        return fail_no_memory(credentials->name, error);
    }
    struct auth_file_reader reader;
    struct auth_entry entry;
    auth_file_open(&reader, file.bytes, file.len);
    for (digests->len = 0; digests->len < count; digests->len++) {
        enum auth_file_result next = auth_file_next(&reader, &entry);
        assert(next == AUTH_FILE_ENTRY); /* as file_count() saw it */
        digests->at[digests->len] =
            digest_of(credentials, entry.user, entry.user_len, entry.password, entry.password_len);
    }
    file_free(&file);
    qsort(digests->at, digests->len, sizeof(digests->at[0]), digest_compare);
    *out = digests;
    return CREDENTIALS_OK;
}

/* -- for others -------------------------------------------------------------------------------- */

enum credentials_result
credentials_create(const char *path, struct credentials **out, char *error)
{
    *out = NULL;
    /* Not realpath(): a symbolic link is followed each time, to where it leads then. */
    char folder[PATH_MAX] = "";
    if (*path != '/' && getcwd(folder, sizeof(folder)) == NULL) {
        return fail_unreadable("open", path, strerror(errno), error);
    }
    size_t cap = strlen(folder) + strlen(path) + 2;
    struct credentials *credentials = calloc(1, sizeof(*credentials) + cap);
    if (credentials == NULL) {
        return fail_no_memory(path, error);
    }
    snprintf(credentials->path, cap, "%s%s%s", folder, *path != '/' ? "/" : "", path);
    credentials->name = credentials->path + strlen(credentials->path) - strlen(path);
    for (unsigned i = 0; i < SIPHASH_KEY_LEN; i += sizeof(uint64_t)) {
        uint64_t bits = rng_system();
        memcpy(credentials->key + i, &bits, sizeof(bits));
    }
    enum credentials_result result = load(credentials, false, &credentials->digests, error);
    if (result != CREDENTIALS_OK) {
        free(credentials);
        return result;
    }
    lock_init(&credentials->lock, LOCK_RANK_LOGINS);
    *out = credentials;
    return CREDENTIALS_OK;
}

enum credentials_result
credentials_reload(struct credentials *credentials, char *error)
{
    struct digests *fresh = NULL;
    enum credentials_result result = load(credentials, true, &fresh, error);
    if (result == CREDENTIALS_OK) {
        lock_acquire(&credentials->lock);
        struct digests *old = credentials->digests;
        credentials->digests = fresh;
        lock_release(&credentials->lock);
        free(old);
    }
    return result;
}

bool
credentials_check(struct credentials *credentials, const void *user, size_t user_len,
                  const void *password, size_t password_len)
{
    if (user_len == 0 || password_len == 0 || user_len >= AUTH_FILE_LINE_MAX ||
        password_len >= AUTH_FILE_LINE_MAX - user_len) {
        return false; /* no line of a file can say this */
    }
    struct digest digest = digest_of(credentials, user, user_len, password, password_len);
    lock_acquire(&credentials->lock);
    const struct digests *digests = credentials->digests;
    bool found =
        bsearch(&digest, digests->at, digests->len, sizeof(digest), digest_compare) != NULL;
    lock_release(&credentials->lock);
    return found;
}

size_t
credentials_count(struct credentials *credentials)
{
    lock_acquire(&credentials->lock);
    size_t count = credentials->digests->len;
    lock_release(&credentials->lock);
    return count;
}

const char *
credentials_name(const struct credentials *credentials)
{
    return credentials->name;
}

void
credentials_destroy(struct credentials *credentials)
{
    if (credentials != NULL) {
        lock_fini(&credentials->lock);
        free(credentials->digests);
        explicit_bzero(credentials->key, sizeof(credentials->key));
        free(credentials);
    }
}
