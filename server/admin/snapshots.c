#include "config.h"

#include "admin/snapshots.h"

#include "admin/stats_priv.h"
#include "base/assert.h"
#include "base/lock.h"

#include <stdlib.h>
#include <string.h>

enum snapshots_state {
    SNAPSHOTS_IDLE,
    SNAPSHOTS_WAIT_FOR_THREAD,
    SNAPSHOTS_WRITING,
};

/** Locking key: the lock, but for what is (c) constant while threads run, or (w) while one is WRITING. */
struct snapshots {
    struct lock lock;
    enum snapshots_state state;
    bool stopping;
    void (*wake)(void *arg);
    void *wake_arg;
    snapshots_tell_fn *tell; /* of who waits for it; NULL for nobody */
    void *tell_arg;
    char dir[SNAPSHOTS_DIR_MAX + 2];  /* (c) with a slash at its end; empty: any folder will do */
    char path[SNAPSHOT_PATH_MAX + 1]; /* (w) */
    struct snapshot_figures figures;  /* of the one that is written, or of the last */
    /* the last one */
    char error[SNAPSHOT_ERROR_CAP]; /* empty for none */
    int64_t ended_at;
    uint64_t took_us;
    uint64_t ok_count;
    uint64_t failed_count;
    /* of the start */
    char load_path[SNAPSHOT_PATH_MAX + 1]; /* (c) empty for none */
    struct snapshot_figures load_figures;  /* (c) */
    uint64_t load_us;                      /* (c) */
};

struct snapshots *
snapshots_create(const char *dir)
{
    struct snapshots *snapshots = calloc(1, sizeof(*snapshots));
    if (snapshots == NULL) {
        return NULL;
    }
    lock_init(&snapshots->lock, LOCK_RANK_SNAPSHOT);
    if (dir != NULL) {
        size_t len = strlen(dir);
        assert(dir[0] == '/' && len <= SNAPSHOTS_DIR_MAX);
        while (len > 0 && dir[len - 1] == '/') {
            len--;
        }
        memcpy(snapshots->dir, dir, len);
        snapshots->dir[len] = '/';
    }
    return snapshots;
}

void
snapshots_destroy(struct snapshots *snapshots)
{
    if (snapshots != NULL) {
        assert(snapshots->state != SNAPSHOTS_WRITING);
        lock_fini(&snapshots->lock);
        free(snapshots);
    }
}

/* -- who asks ---------------------------------------------------------------------------------- */

/** Whether bytes can be shown in a line. */
static bool
bytes_are_good(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)bytes[i] <= ' ' || bytes[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool
path_is_good(const char *path, size_t len)
{
    return len > 0 && len <= SNAPSHOT_PATH_MAX && path[0] == '/' && path[len - 1] != '/' &&
           bytes_are_good(path, len);
}

/** Whether it names a file of its folder, and so can't lead out of that: no path, no . or .. */
static bool
name_is_good(const char *name, size_t len)
{
    return len > 0 && memchr(name, '/', len) == NULL && !(len == 1 && name[0] == '.') &&
           !(len == 2 && name[0] == '.' && name[1] == '.') && bytes_are_good(name, len);
}

/** Finds the path of the file that is meant; `path` gets SNAPSHOT_PATH_MAX + 1 bytes. */
static enum snapshots_answer
find_path(const struct snapshots *snapshots, const char *name, size_t len, char *path)
{
    size_t dir_len = strlen(snapshots->dir);
    if (dir_len == 0 && !path_is_good(name, len)) {
        return SNAPSHOTS_BAD_PATH;
    }
    if (dir_len > 0) {
        size_t told = len > dir_len && memcmp(name, snapshots->dir, dir_len) == 0 ? dir_len : 0;
        name += told;
        len -= told;
        if (!name_is_good(name, len) || dir_len + len > SNAPSHOT_PATH_MAX) {
            return SNAPSHOTS_BAD_NAME;
        }
        memcpy(path, snapshots->dir, dir_len);
    }
    memcpy(path + dir_len, name, len);
    path[dir_len + len] = '\0';
    return SNAPSHOTS_ASKED;
}

enum snapshots_answer
snapshots_ask(struct snapshots *snapshots, const void *name, size_t name_len,
              snapshots_tell_fn *tell, void *arg)
{
    char path[SNAPSHOT_PATH_MAX + 1];
    enum snapshots_answer answer = find_path(snapshots, name, name_len, path);
    if (answer != SNAPSHOTS_ASKED) {
        return answer;
    }
    lock_acquire(&snapshots->lock);
    if (snapshots->wake == NULL) {
        answer = SNAPSHOTS_NOBODY;
    } else if (snapshots->state != SNAPSHOTS_IDLE) {
        answer = SNAPSHOTS_BUSY;
    } else {
        snapshots->state = SNAPSHOTS_WAIT_FOR_THREAD;
        snapshots->tell = tell;
        snapshots->tell_arg = arg;
        snapshots->figures = (struct snapshot_figures){ 0 };
        memcpy(snapshots->path, path, strlen(path) + 1);
        snapshots->wake(snapshots->wake_arg);
    }
    lock_release(&snapshots->lock);
    return answer;
}

void
snapshots_forget(struct snapshots *snapshots, const void *arg)
{
    lock_acquire(&snapshots->lock);
    if (snapshots->tell != NULL && snapshots->tell_arg == arg) {
        snapshots->tell = NULL;
    }
    lock_release(&snapshots->lock);
}

static void
emit_load(const struct snapshots *snapshots, const struct stats_out *out)
{
    const struct snapshot_figures *figures = &snapshots->load_figures;
    if (snapshots->load_path[0] == '\0') {
        return;
    }
    stats_put(out, "load_file", snapshots->load_path);
    stats_put_u64(out, "load_items", figures->items);
    stats_put_u64(out, "load_bytes", figures->bytes);
    stats_put_u64(out, "load_us", snapshots->load_us);
    stats_put_u64(out, "load_expired", figures->expired);
    stats_put_u64(out, "load_too_large", figures->too_large);
    stats_put_u64(out, "load_no_room", figures->no_room);
}

void
snapshots_emit(struct snapshots *snapshots, stat_emit_fn *emit, void *arg)
{
    struct stats_out out = { emit, arg, "" };
    lock_acquire(&snapshots->lock);
    const char *result = snapshots->ok_count + snapshots->failed_count == 0 ? "none" : "ok";
    stats_put_u64(&out, "snapshot_writing", snapshots->state != SNAPSHOTS_IDLE);
    stats_put_u64(&out, "snapshot_items", snapshots->figures.items);
    stats_put_u64(&out, "snapshot_bytes", snapshots->figures.bytes);
    stats_put_u64(&out, "snapshot_us", snapshots->took_us);
    stats_put_u64(&out, "snapshot_ended_at", (uint64_t)snapshots->ended_at);
    stats_put(&out, "snapshot_result", snapshots->error[0] != '\0' ? snapshots->error : result);
    stats_put_u64(&out, "snapshots_ok", snapshots->ok_count);
    stats_put_u64(&out, "snapshots_failed", snapshots->failed_count);
    if (snapshots->path[0] != '\0') {
        stats_put(&out, "snapshot_file", snapshots->path);
    }
    emit_load(snapshots, &out);
    lock_release(&snapshots->lock);
}

/* -- who writes -------------------------------------------------------------------------------- */

void
snapshots_serve(struct snapshots *snapshots, void (*wake)(void *arg), void *arg)
{
    lock_acquire(&snapshots->lock);
    snapshots->wake = wake;
    snapshots->wake_arg = arg;
    snapshots->stopping = wake == NULL;
    lock_release(&snapshots->lock);
}

bool
snapshots_begin(struct snapshots *snapshots)
{
    lock_acquire(&snapshots->lock);
    bool begins = snapshots->state == SNAPSHOTS_WAIT_FOR_THREAD;
    if (begins) {
        snapshots->state = SNAPSHOTS_WRITING;
    }
    lock_release(&snapshots->lock);
    return begins;
}

const char *
snapshots_path(const struct snapshots *snapshots)
{
    return snapshots->path;
}

bool
snapshots_progress(struct snapshots *snapshots, const struct snapshot_figures *figures)
{
    lock_acquire(&snapshots->lock);
    snapshots->figures = *figures;
    bool go_on = !snapshots->stopping;
    lock_release(&snapshots->lock);
    return go_on;
}

void
snapshots_end(struct snapshots *snapshots, enum snapshot_result result,
              const struct snapshot_figures *figures, const char *error, int64_t ended_at,
              uint64_t took_us)
{
    bool ok = result == SNAPSHOT_OK;
    lock_acquire(&snapshots->lock);
    assert(snapshots->state != SNAPSHOTS_IDLE);
    snapshots->state = SNAPSHOTS_IDLE;
    snapshots->figures = *figures;
    snapshots->error[0] = '\0';
    if (!ok) {
        strncat(snapshots->error, error, sizeof(snapshots->error) - 1);
    }
    snapshots->ended_at = ended_at;
    snapshots->took_us = took_us;
    snapshots->ok_count += ok;
    snapshots->failed_count += !ok;
    if (snapshots->tell != NULL) {
        snapshots->tell(snapshots->tell_arg, snapshots->error);
        snapshots->tell = NULL;
    }
    lock_release(&snapshots->lock);
}

void
snapshots_note_load(struct snapshots *snapshots, const char *path,
                    const struct snapshot_figures *figures, uint64_t took_us)
{
    snapshots->load_path[0] = '\0';
    strncat(snapshots->load_path, path, sizeof(snapshots->load_path) - 1);
    snapshots->load_figures = *figures;
    snapshots->load_us = took_us;
}
