/*
 * hook: orders to what follows the source of truth.
 *
 *     hook status                HOOK <state>
 *     hook pause, hook resume    OK
 *     hook wait <gtid> <ms>      OK when that transaction has been applied, TIMEOUT when it has not
 *
 * A session that waits blocks nobody: its worker runs it again when its wait is over.
 */
#include "config.h"

#include "session/session_priv.h"

#include "admin/follower.h"

#include <stdlib.h>

#define WAIT_MS_MAX 3600000u /* an hour */

/** Shared with the follower's thread, which fills `answer` and is then done with it. */
struct hook_wait {
    const struct follower *follower;
    const struct session_host *host;
    uint64_t ticket;
    _Atomic uint8_t answer; /* enum wait_answer; release: pairs with the session's acquire */
};

enum wait_answer {
    ANSWER_NONE,
    ANSWER_REACHED,
    ANSWER_TIMEOUT,
};

/** follower_tell_fn */
static void
tell(void *arg, bool reached)
{
    struct hook_wait *wait = arg;
    const struct session_host *host = wait->host;
    /* release: pairs with hook_wait_run(); `wait` may be gone behind it */
    atomic_store_explicit(&wait->answer, reached ? ANSWER_REACHED : ANSWER_TIMEOUT,
                          memory_order_release);
    host->hook_wait_wake(host->arg);
}

/** Begins to wait; the answer, or NULL when the session waits. */
static const char *
begin_wait(struct session *session, const struct follower *follower, const struct span *name,
           uint32_t timeout_ms)
{
    struct session_worker *worker = session->worker;
    const struct session_host *host = worker->host;
    if (host == NULL || host->hook_wait_begun == NULL) {
        return "SERVER_ERROR nobody can wait here\r\n";
    }
    struct hook_wait *wait = malloc(sizeof(*wait));
    if (wait == NULL) {
        return "SERVER_ERROR out of memory\r\n";
    }
    *wait = (struct hook_wait){ .follower = follower, .host = host };
    switch (follower->wait(follower->arg, (const char *)name->at, name->len, timeout_ms, tell, wait,
                           &wait->ticket)) {
    case FOLLOWER_WAITING:
        if (host->hook_wait_begun(host->arg)) {
            session_become(session, SESSION_HOOK_WAIT);
            session->hook_wait = wait;
            return NULL;
        }
        follower->wait_cancel(follower->arg, wait->ticket);
        free(wait);
        return "SERVER_ERROR too many wait\r\n";
    case FOLLOWER_REACHED:
        free(wait);
        return "OK\r\n";
    case FOLLOWER_BAD:
        free(wait);
        return "CLIENT_ERROR no GTID of the server that is followed\r\n";
    case FOLLOWER_FULL:
        break;
    }
    free(wait);
    return "SERVER_ERROR too many wait\r\n";
}

static void
put_state(struct session_worker *worker, const struct follower *follower)
{
    const char *state = follower->state(follower->arg);
    TX_PUT(worker, "HOOK ");
    tx_put(worker, state, strlen(state));
    TX_PUT(worker, "\r\n");
}

enum step
hook_run(struct session *session, const struct request *request)
{
    struct session_worker *worker = session->worker;
    const struct follower *follower = worker->server_stats->follower;
    unsigned count = args_count(request);
    const struct span *args = request->args;
    const char *answer = "CLIENT_ERROR usage: hook status|pause|resume|wait <gtid> <ms>\r\n";
    uint64_t timeout_ms;
    if (follower == NULL) {
        answer = "CLIENT_ERROR no hook: larder runs without -o mysql_hook\r\n";
    } else if (count == 1 && span_equals(args[0], "status")) {
        put_state(worker, follower);
        return STEP_ON;
    } else if (count == 1 && span_equals(args[0], "pause")) {
        follower->pause(follower->arg);
        answer = "OK\r\n";
    } else if (count == 1 && span_equals(args[0], "resume")) {
        follower->resume(follower->arg);
        answer = "OK\r\n";
    } else if (count == 3 && span_equals(args[0], "wait") &&
               word_number(&args[2], WAIT_MS_MAX, &timeout_ms)) {
        answer = begin_wait(session, follower, &args[1], (uint32_t)timeout_ms);
    }
    if (answer != NULL) {
        tx_put(worker, answer, strlen(answer));
    }
    return STEP_ON;
}

static void
end_wait(struct session *session)
{
    struct hook_wait *wait = session->hook_wait;
    wait->follower->wait_cancel(wait->follower->arg, wait->ticket);
    free(wait);
    session->hook_wait = NULL;
}

enum step
hook_wait_run(struct session *session)
{
    struct session_worker *worker = session->worker;
    /* acquire: pairs with tell() */
    enum wait_answer answer =
        (enum wait_answer)atomic_load_explicit(&session->hook_wait->answer, memory_order_acquire);
    if (answer == ANSWER_NONE) {
        if (rx_has_room(worker)) {
            return STEP_READ;
        }
        end_wait(session);
        return STEP_CLOSE;
    }
    if (!tx_has_room(&worker->tx)) {
        return STEP_SEND;
    }
    end_wait(session);
    session_become(session, SESSION_COMMAND);
    if (answer == ANSWER_REACHED) {
        TX_PUT(worker, "OK\r\n");
    } else {
        TX_PUT(worker, "TIMEOUT\r\n");
    }
    return STEP_ON;
}

void
hook_drop(struct session *session)
{
    if (session->state == SESSION_HOOK_WAIT) {
        end_wait(session);
        session_become(session, SESSION_CLOSED);
    }
}
