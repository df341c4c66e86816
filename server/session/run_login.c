/* LOGIN: what a session does first when the server asks for a login (-Y, -S).
 *
 * With -Y each line is answered by itself, so that a client that pipelines sees one reply for each
 * command.  A head of a login and its data block are run when both are there: together they are
 * short, and the receive buffer holds them.
 *
 * A protocol that this server has no login for stays outside: its sessions are closed.
 */
#include "config.h"

#include "admin/credentials.h"
#include "proto/login.h"
#include "session/session_priv.h"

_Static_assert(LINE_LEN_MAX + LOGIN_TOKEN_MAX + 2 < SESSION_RX_SIZE / 2, "a login is received");

bool
login_swallow(struct session *session)
{
    struct session_worker *worker = session->worker;
    uint32_t there = worker->rx_end - worker->rx_at;
    uint32_t n = there < session->swallow_left ? there : (uint32_t)session->swallow_left;
    worker->rx_at += n;
    session->swallow_left -= n;
    return session->swallow_left == 0;
}

/** The data block is whole, `token` less the two bytes at its end. */
static void
log_in(struct session *session, struct span token)
{
    struct session_worker *worker = session->worker;
    const uint8_t *line_end = token.at + token.len;
    struct span user;
    struct span password;
    if (line_end[0] != '\r' || line_end[1] != '\n') {
        TX_PUT(worker, "CLIENT_ERROR bad command line termination\r\n");
        return;
    }
    if (login_split(token, &user, &password) != PARSE_DONE) {
        TX_PUT(worker, "CLIENT_ERROR bad authentication token format\r\n");
        return;
    }
    metric_add(&worker->stats.auth_cmds, 1);
    if (!credentials_check(worker->host->credentials, user.at, user.len, password.at,
                           password.len)) {
        metric_add(&worker->stats.auth_errors, 1);
        TX_PUT(worker, "CLIENT_ERROR authentication failure\r\n");
        return;
    }
    TX_PUT(worker, "STORED\r\n");
    session_become(session, SESSION_COMMAND);
}

/** One line, and its data block. */
static enum step
run_line(struct session *session)
{
    struct session_worker *worker = session->worker;
    uint8_t *line = worker->rx + worker->rx_at;
    struct cursor cur = { line, worker->rx + worker->rx_end };
    struct login login;
    if (login_parse(&cur, &login) != PARSE_DONE) {
        return cur.end - cur.at > LINE_LEN_MAX ? STEP_CLOSE : STEP_READ;
    }
    switch (login.line) {
    case LOGIN_SHORT:
        return STEP_CLOSE;
    case LOGIN_OTHER:
        worker->budget--;
        worker->rx_at = (uint32_t)(cur.at - worker->rx);
        TX_PUT(worker, "CLIENT_ERROR unauthenticated\r\n");
        return STEP_ON;
    case LOGIN_HEAD:
        break;
    }
    if (cur.at - line > LINE_LEN_MAX) {
        return STEP_CLOSE;
    }
    if (login.bytes > LOGIN_TOKEN_MAX) {
        worker->budget--;
        worker->rx_at = (uint32_t)(cur.at - worker->rx);
        TX_PUT(worker, "CLIENT_ERROR auth token too long\r\n");
        session->swallow_left = (uint64_t)login.bytes + 2;
        return STEP_ON;
    }
    if ((size_t)(cur.end - cur.at) < (size_t)login.bytes + 2) {
        return STEP_READ;
    }
    worker->budget--;
    uint8_t *token = worker->rx + (cur.at - worker->rx);
    worker->rx_at = (uint32_t)(token - worker->rx) + login.bytes + 2;
    log_in(session, (struct span){ token, login.bytes });
    explicit_bzero(token, login.bytes);
    return STEP_ON;
}

static enum step
run_text(struct session *session)
{
    struct session_worker *worker = session->worker;
    while (session->state == SESSION_LOGIN) {
        if (!login_swallow(session) || worker->rx_at == worker->rx_end) {
            return STEP_READ;
        }
        if (worker->budget == 0) {
            return STEP_AGAIN;
        }
        if (!tx_has_room(&worker->tx)) {
            return STEP_SEND;
        }
        enum step step = run_line(session);
        if (step != STEP_ON) {
            return step;
        }
    }
    return STEP_ON;
}

bool
login_is_asked(const struct session_worker *worker)
{
    return worker->host != NULL &&
           (worker->host->credentials != NULL || worker->host->sasl != NULL);
}

enum step
login_run(struct session *session)
{
    const struct session_host *host = session->worker->host;
    assert(login_is_asked(session->worker));
    if (session->protocol == SESSION_PROTOCOL_BINARY) {
        return host->sasl != NULL ? sasl_run(session) : STEP_CLOSE;
    }
    return host->credentials != NULL ? run_text(session) : STEP_CLOSE;
}
