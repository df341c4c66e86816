/* Saving a cache to a file, and loading it. */
#include "config.h"

#include "embed/larder_priv.h"
#include "embed/report.h"

#include "engine/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Static_assert(SNAPSHOT_ERROR_CAP <= LARDER_ERROR_CAP, "any text fits");

/** The absolute path of a file.  False when it is too long. */
static bool
absolute_path(const char *path, char *absolute)
{
    if (path == NULL || path[0] == '\0') {
        return false;
    }
    size_t used = 0;
    if (path[0] != '/') {
        if (getcwd(absolute, SNAPSHOT_PATH_MAX) == NULL) {
            return false;
        }
        used = strlen(absolute);
        absolute[used++] = '/';
    }
    size_t len = strlen(path);
    if (used + len > SNAPSHOT_PATH_MAX) {
        return false;
    }
    memcpy(absolute + used, path, len + 1);
    return true;
}

static enum larder_result
result_of_snapshot(enum snapshot_result result)
{
    switch (result) {
    case SNAPSHOT_OK:
        return LARDER_OK;
    case SNAPSHOT_BAD_PATH:
        return LARDER_BAD_OPTION;
    case SNAPSHOT_BUSY:
        return LARDER_BUSY;
    case SNAPSHOT_FOREIGN:
    case SNAPSHOT_BAD_VERSION:
    case SNAPSHOT_DAMAGED:
        return LARDER_BAD_FILE;
    case SNAPSHOT_NO_MEMORY:
        errno = ENOMEM;
        break;
    case SNAPSHOT_NO_FILE:
        errno = ENOENT;
        break;
    case SNAPSHOT_STOPPED:
    case SNAPSHOT_CANNOT_READ:
    case SNAPSHOT_CANNOT_WRITE:
        break;
    }
    return LARDER_SYSTEM;
}

/** snapshot_save(), snapshot_load() */
typedef enum snapshot_result file_fn(struct cache *cache, struct cache_thread *thread,
                                     const char *path, const struct snapshot_options *options,
                                     struct snapshot_figures *figures, char *error);

/** Saves or loads by a cache_thread of its own: it may take long, and others may share the
 * caller's. */
static enum larder_result
with_file(struct larder *cache, file_fn *run, const char *path, uint64_t *items, char *error,
          size_t error_cap)
{
    struct report_text text;
    char absolute[SNAPSHOT_PATH_MAX + 1];
    char why[SNAPSHOT_ERROR_CAP] = "";
    if (!report_open(&text, error, error_cap) || cache == NULL) {
        return LARDER_BAD_OPTION;
    }
    if (!absolute_path(path, absolute)) {
        report_put(&text, "the path is empty or too long, or there is no way to this folder");
        return LARDER_BAD_OPTION;
    }
    struct cache_thread *thread = cache_thread_open(cache->cache);
    if (thread == NULL) {
        errno = ENOMEM;
        report_end(&text, LARDER_SYSTEM);
        return LARDER_SYSTEM;
    }
    struct snapshot_options options = { .now = clock_unix_s() };
    struct snapshot_figures figures = { 0 };
    call_tell_time(cache);
    enum snapshot_result result = run(cache->cache, thread, absolute, &options, &figures, why);
    int saved = errno;
    cache_thread_close(cache->cache, thread);
    errno = saved;
    if (items != NULL) {
        *items = figures.items;
    }
    if (result != SNAPSHOT_OK) {
        report_put(&text, "%s", why);
    }
    return result_of_snapshot(result);
}

enum larder_result
larder_save(struct larder *cache, const char *path, uint64_t *items, char *error, size_t error_cap)
{
    return with_file(cache, snapshot_save, path, items, error, error_cap);
}

enum larder_result
larder_load(struct larder *cache, const char *path, uint64_t *items, char *error, size_t error_cap)
{
    return with_file(cache, snapshot_load, path, items, error, error_cap);
}
