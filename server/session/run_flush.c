/*
 * flush_all and `larder flush_prefix` where so many have not been swept yet that one more would
 * sweep all of the cache in its worker.  The session waits instead, blocks nobody, and runs the
 * command once more when the sweep has come around: see run_hook.c.
 */
#include "config.h"

#include "session/session_priv.h"

bool
flush_must_wait(struct session *session, enum cache_flush_kind kind)
{
    struct session_worker *worker = session->worker;
    const struct session_host *host = worker->host;
    if (!cache_flush_waits(worker->cache, kind) || worker->settings->flush_disabled) {
        return false;
    }
    /* A datagram, and who finds no place among those that wait, is served at once. */
    if (host == NULL || host->hook_wait_begun == NULL || !host->hook_wait_begun(host->arg)) {
        return false;
    }
    /* relaxed: a number; who reads it looks again and again */
    atomic_fetch_add_explicit(&worker->server_stats->flushes_waiting, 1, memory_order_relaxed);
    session_become(session, SESSION_FLUSH_WAIT);
    session->flush_kind = (uint8_t)kind;
    worker->rx_at = worker->command_at; /* the command comes again */
    return true;
}

static void
end_wait(struct session *session)
{
    /* relaxed: as above */
    atomic_fetch_sub_explicit(&session->worker->server_stats->flushes_waiting, 1,
                              memory_order_relaxed);
}

enum step
flush_wait_run(struct session *session)
{
    struct session_worker *worker = session->worker;
    bool waits = cache_flush_waits(worker->cache, (enum cache_flush_kind)session->flush_kind);
    if (waits && rx_has_room(worker)) {
        return STEP_READ;
    }
    end_wait(session);
    if (waits) {
        return STEP_CLOSE;
    }
    session_become(session, SESSION_COMMAND);
    return STEP_ON;
}

void
flush_drop(struct session *session)
{
    if (session->state == SESSION_FLUSH_WAIT) {
        end_wait(session);
        session_become(session, SESSION_CLOSED);
    }
}
