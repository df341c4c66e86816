/* Snapshots of a server: who has asked for one, how far it is, and what the last one came to.  One
 * at a time.  The thread that writes it is net/snapshot_thread.c's.
 *
 *     state     waits for                       may go to
 *     IDLE      snapshots_ask()                 ASKED
 *     ASKED     a thread                        WRITING, IDLE
 *     WRITING   its end                         IDLE
 */
#ifndef LARDER_ADMIN_SNAPSHOTS_H
#define LARDER_ADMIN_SNAPSHOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/stats.h"
#include "engine/snapshot.h"

#define SNAPSHOTS_DIR_MAX (SNAPSHOT_PATH_MAX - 256) /* bytes; a name fits behind it */

struct snapshots;

/**
 * NULL without memory.
 *
 * dir   the folder of all snapshots: an absolute path of up to SNAPSHOTS_DIR_MAX bytes, copied.
 *       NULL: who asks for a snapshot names any folder
 */
struct snapshots *snapshots_create(const char *dir);
void snapshots_destroy(struct snapshots *snapshots);

/* -- who asks: any thread ---------------------------------------------------------------------- */

enum snapshots_answer {
    SNAPSHOTS_ASKED,
    SNAPSHOTS_BUSY,     /* another is being written */
    SNAPSHOTS_BAD_PATH, /* not absolute, too long, or with bytes that are none of a name */
    SNAPSHOTS_BAD_NAME, /* the same where snapshots have their folder: not a plain name in it */
    SNAPSHOTS_NOBODY,   /* there is no thread to write it: the server has not begun, or stops */
};

/**
 * Tells how it has ended; `error` is empty for well, else a line, borrowed for the call.  With
 * LOCK_RANK_SNAPSHOT held: may take a worker's lock, and must not call back.
 */
typedef void snapshots_tell_fn(void *arg, const char *error);

/**
 * name   an absolute path; where snapshots have their folder, a name in it, or the path of one
 * tell   NULL: nobody waits for it
 */
enum snapshots_answer snapshots_ask(struct snapshots *snapshots, const void *name, size_t name_len,
                                    snapshots_tell_fn *tell, void *arg);
/** Who asked does not wait any more: when it returns, the callback has run or will never run.  The
 * snapshot goes on. */
void snapshots_forget(struct snapshots *snapshots, const void *arg);

/** Figures for `stats larder`. */
void snapshots_emit(struct snapshots *snapshots, stat_emit_fn *emit, void *arg);

/* -- who writes -------------------------------------------------------------------------------- */

/** From here on snapshots can be asked for; `wake` is told of it, from any thread.  NULL: no more,
 * and the one that is being written ends soon. */
void snapshots_serve(struct snapshots *snapshots, void (*wake)(void *arg), void *arg);
/** ASKED to WRITING, for who then starts a thread.  False: none is asked for, or it has begun. */
bool snapshots_begin(struct snapshots *snapshots);
/** The file of the one that has begun; good until its end. */
const char *snapshots_path(const struct snapshots *snapshots);
/** How far it is.  False: it is to stop. */
bool snapshots_progress(struct snapshots *snapshots, const struct snapshot_figures *figures);
/** To IDLE.  error: as snapshot_save()'s; ended_at: unix seconds; took_us: microseconds. */
void snapshots_end(struct snapshots *snapshots, enum snapshot_result result,
                   const struct snapshot_figures *figures, const char *error, int64_t ended_at,
                   uint64_t took_us);

/** What was read at the start.  Before other threads run. */
void snapshots_note_load(struct snapshots *snapshots, const char *path,
                         const struct snapshot_figures *figures, uint64_t took_us);

#endif
