#include "config.h"

#include "snapshot_dir.h"

#include "admin/snapshots.h"
#include "base/log.h"
#include "options.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
snapshot_dir_check(const struct settings *settings)
{
    const char *dir = settings->snapshot_dir;
    struct stat stat_of_dir;
    if (dir == NULL) {
        return 0;
    }
    /* A daemon's relative paths would begin elsewhere. */
    if (dir[0] != '/' || strlen(dir) > SNAPSHOTS_DIR_MAX) {
        log_line("-o snapshot_dir=%.300s: an absolute path of up to %u bytes is right", dir,
                 SNAPSHOTS_DIR_MAX);
        return OPTIONS_EXIT_USAGE;
    }
    if (stat(dir, &stat_of_dir) != 0) {
        log_line("-o snapshot_dir=%s: %s", dir, strerror(errno));
        return OPTIONS_EXIT_BAD;
    }
    if (!S_ISDIR(stat_of_dir.st_mode)) {
        log_line("-o snapshot_dir=%s: %s", dir, strerror(ENOTDIR));
        return OPTIONS_EXIT_BAD;
    }
    if (access(dir, R_OK | W_OK | X_OK) != 0) {
        log_line("-o snapshot_dir=%s: the server's user cannot write there: %s", dir,
                 strerror(errno));
        return OPTIONS_EXIT_BAD;
    }
    return 0;
}
