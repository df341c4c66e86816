/*
 * larder snapshot: writes all items to a file of the server's.
 *
 *     larder snapshot <file>     OK when it is whole; BUSY while another is being written;
 *                                SERVER_ERROR <file>: <why not>
 *
 * <file> is an absolute path; with -o snapshot_dir, a name in that folder.
 *
 * A session that waits for it blocks nobody, as in `hook wait`: see run_hook.c.
 */
#include "config.h"

#include "session/session_priv.h"

#include "admin/snapshots.h"

#include <stdlib.h>

#define ERROR_TEXT_MAX (TX_RESERVE / 2) /* bytes of an answer; the rest is cut */

/** Shared with the thread that writes, which fills it and is then done with it. */
struct snapshot_wait {
    struct snapshots *snapshots;
    const struct session_host *host;
    char error[ERROR_TEXT_MAX + 1]; /* empty: it is whole */
    _Atomic bool over;              /* release: pairs with the session's acquire */
};

/** snapshots_tell_fn */
static void
tell(void *arg, const char *error)
{
    struct snapshot_wait *wait = arg;
    const struct session_host *host = wait->host;
    strncat(wait->error, error, ERROR_TEXT_MAX);
    /* release: pairs with snapshot_wait_run(); `wait` may be gone behind it */
    atomic_store_explicit(&wait->over, true, memory_order_release);
    host->hook_wait_wake(host->arg);
}

/** The answer to who need not wait. */
static const char *
answer_of(enum snapshots_answer asked)
{
    switch (asked) {
    case SNAPSHOTS_ASKED:
        return "OK\r\n";
    case SNAPSHOTS_BUSY:
        return "BUSY currently writing a snapshot\r\n";
    case SNAPSHOTS_BAD_PATH:
        return "CLIENT_ERROR a snapshot needs the absolute path of a file\r\n";
    case SNAPSHOTS_BAD_NAME:
        return "CLIENT_ERROR a snapshot needs the name of a file in the folder of -o snapshot_dir\r\n";
    case SNAPSHOTS_NOBODY:
        break;
    }
    return "SERVER_ERROR no snapshot can be written here\r\n";
}

/** Asks, and begins to wait; the answer, or NULL when the session waits. */
static const char *
begin_wait(struct session *session, struct snapshots *snapshots, const struct span *path)
{
    const struct session_host *host = session->worker->host;
    if (host == NULL || host->hook_wait_begun == NULL) {
        return answer_of(SNAPSHOTS_NOBODY);
    }
    if (!host->hook_wait_begun(host->arg)) {
        return "SERVER_ERROR too many wait\r\n";
    }
    struct snapshot_wait *wait = calloc(1, sizeof(*wait));
    if (wait == NULL) {
        return "SERVER_ERROR out of memory\r\n";
    }
    wait->snapshots = snapshots;
    wait->host = host;
    enum snapshots_answer asked = snapshots_ask(snapshots, path->at, path->len, tell, wait);
    if (asked != SNAPSHOTS_ASKED) {
        free(wait);
        return answer_of(asked);
    }
    session_become(session, SESSION_SNAPSHOT_WAIT);
    session->snapshot_wait = wait;
    return NULL;
}

enum step
snapshot_run(struct session *session, const struct request *request, unsigned count)
{
    struct session_worker *worker = session->worker;
    const struct settings *settings = worker->settings;
    struct snapshots *snapshots = worker->server_stats->snapshots;
    const struct span *path = &request->args[1];
    const char *answer;
    /* Who may log in may write where the server may; a stranger may not. */
    if (!settings->shutdown_enabled && settings->auth_file == NULL) {
        answer = "SERVER_ERROR: snapshot not enabled\r\n";
    } else if (count != 2) {
        answer = "CLIENT_ERROR usage: larder snapshot <file>\r\n";
    } else if (snapshots == NULL) {
        answer = answer_of(SNAPSHOTS_NOBODY);
    } else if (request->noreply) {
        answer = answer_of(snapshots_ask(snapshots, path->at, path->len, NULL, NULL));
    } else {
        answer = begin_wait(session, snapshots, path);
    }
    if (answer != NULL && !request->noreply) {
        tx_put(worker, answer, strlen(answer));
    }
    return STEP_ON;
}

static void
end_wait(struct session *session)
{
    struct snapshot_wait *wait = session->snapshot_wait;
    snapshots_forget(wait->snapshots, wait);
    free(wait);
    session->snapshot_wait = NULL;
}

enum step
snapshot_wait_run(struct session *session)
{
    struct session_worker *worker = session->worker;
    struct snapshot_wait *wait = session->snapshot_wait;
    /* acquire: pairs with tell() */
    if (!atomic_load_explicit(&wait->over, memory_order_acquire)) {
        if (rx_has_room(worker)) {
            return STEP_READ;
        }
        end_wait(session);
        return STEP_CLOSE;
    }
    if (!tx_has_room(&worker->tx)) {
        return STEP_SEND;
    }
    if (wait->error[0] == '\0') {
        TX_PUT(worker, "OK\r\n");
    } else {
        TX_PUT(worker, "SERVER_ERROR ");
        tx_put(worker, wait->error, strlen(wait->error));
        TX_PUT(worker, "\r\n");
    }
    end_wait(session);
    session_become(session, SESSION_COMMAND);
    return STEP_ON;
}

void
snapshot_drop(struct session *session)
{
    if (session->state == SESSION_SNAPSHOT_WAIT) {
        end_wait(session);
        session_become(session, SESSION_CLOSED);
    }
}
