/* LOGIN of the binary protocol: SASL.
 *
 *     request           answer
 *     list mechanisms   their names
 *     auth, step        "Authenticated", a challenge, or "Auth failure." and another try
 *     version           the version
 *     any other         "Auth failure.", and the connection is closed
 *
 * Cyrus' state of an exchange is made for its first step, and goes with its last: a session that
 * has logged in, or has not begun to, owns none.
 */
#include "config.h"

#include "session/sasl.h"
#include "session/session_priv.h"

#include <stdlib.h>

_Static_assert(BINARY_REQUEST_MAX + SASL_TOKEN_MAX < SESSION_RX_SIZE, "a step is received");

#define SHORT_TEXT_MAX 200u /* bytes that binary_put_text() takes */

void
sasl_drop(struct session *session)
{
    if (session->state == SESSION_LOGIN && session->sasl != NULL) {
        sasl_exchange_end(&session->sasl);
    }
}

/** A body that may be longer than binary_put_text() takes.  False: no memory. */
static bool
put_body(struct session_worker *worker, struct binary_echo echo, enum binary_status status,
         const void *bytes, size_t len)
{
    uint8_t head[BINARY_HEADER_LEN];
    uint8_t *copy = NULL;
    if (len > SHORT_TEXT_MAX) {
        copy = malloc(len);
        if (copy == NULL) {
            return false;
        }
        memcpy(copy, bytes, len);
    }
    binary_write_header(head, echo, status, 0, 0, len, 0);
    tx_put(worker, head, sizeof(head));
    if (copy != NULL) {
        tx_put_long(worker, NULL, copy, len);
    } else if (len > 0) {
        tx_put(worker, bytes, len);
    }
    return true;
}

void
sasl_put_mechanisms(struct session_worker *worker, struct binary_echo echo)
{
    char names[SASL_MECHS_CAP];
    cache_leave(worker->thread); /* Cyrus may look into files */
    sasl_service_mechanisms(worker->host->sasl, names);
    cache_enter(worker->thread);
    if (!put_body(worker, echo, BINARY_STATUS_OK, names, strlen(names))) {
        binary_put_error(worker, echo, BINARY_STATUS_NO_MEMORY);
    }
}

/** The client is in, or out, or gets a challenge. */
static void
put_answer(struct session *session, struct binary_echo echo, enum sasl_answer answer,
           const struct sasl_challenge *challenge)
{
    struct session_worker *worker = session->worker;
    switch (answer) {
    case SASL_ANSWER_WELCOME:
        metric_add(&worker->stats.auth_cmds, 1);
        sasl_drop(session);
        binary_put_text(worker, echo, BINARY_STATUS_OK, "Authenticated");
        session_become(session, SESSION_COMMAND);
        return;
    case SASL_ANSWER_MORE:
        if (put_body(worker, echo, BINARY_STATUS_AUTH_CONTINUE, challenge->at, challenge->len)) {
            return;
        }
        break;
    case SASL_ANSWER_REFUSED:
        break;
    }
    metric_add(&worker->stats.auth_cmds, 1);
    metric_add(&worker->stats.auth_errors, 1);
    sasl_drop(session);
    binary_put_error(worker, echo, BINARY_STATUS_AUTH_ERROR);
}

/** auth begins a new exchange, whatever was before; step goes on with one. */
static enum sasl_answer
take_step(struct session *session, const struct binary_request *request, const uint8_t *token,
          struct sasl_challenge *challenge)
{
    if (request->op == BINARY_SASL_STEP) {
        return session->sasl != NULL
                   ? sasl_exchange_step(session->sasl, token, request->value_len, challenge)
                   : SASL_ANSWER_REFUSED;
    }
    char mech[BINARY_MECH_LEN_MAX + 1];
    memcpy(mech, request->key.at, request->key.len);
    mech[request->key.len] = '\0';
    sasl_drop(session);
    session->sasl = sasl_exchange_begin(session->worker->host->sasl);
    return session->sasl != NULL
               ? sasl_exchange_start(session->sasl, mech, token, request->value_len, challenge)
               : SASL_ANSWER_REFUSED;
}

/** auth, step.  rx_at stands before the request, `value` is where its value begins. */
static enum step
run_step(struct session *session, const struct binary_request *request, const uint8_t *value)
{
    struct session_worker *worker = session->worker;
    uint32_t value_at = (uint32_t)(value - worker->rx);
    struct sasl_challenge challenge = { NULL, 0 };
    bool is_long = request->value_len > SASL_TOKEN_MAX;
    if (is_long || request->key.len > BINARY_MECH_LEN_MAX) {
        worker->budget--;
        worker->rx_at = value_at;
        session->swallow_left = request->value_len;
        if (is_long) {
            put_answer(session, request->echo, SASL_ANSWER_REFUSED, &challenge);
        } else {
            binary_put_error(worker, request->echo, BINARY_STATUS_INVALID);
        }
        return STEP_ON;
    }
    if (worker->rx_end - value_at < request->value_len) {
        return STEP_READ;
    }
    worker->budget--;
    worker->rx_at = value_at + request->value_len;
    /* It may wait for files or for a daemon. */
    cache_leave(worker->thread);
    enum sasl_answer answer = take_step(session, request, value, &challenge);
    cache_enter(worker->thread);
    explicit_bzero(worker->rx + value_at, request->value_len);
    put_answer(session, request->echo, answer, &challenge);
    return STEP_ON;
}

/** One request; rx_at stands before it, `end` is where it ends less its value. */
static enum step
run_request(struct session *session, const struct binary_request *request, const uint8_t *end)
{
    struct session_worker *worker = session->worker;
    switch (request->op) {
    case BINARY_SASL_AUTH:
    case BINARY_SASL_STEP:
        return run_step(session, request, end);
    case BINARY_SASL_LIST:
        worker->budget--;
        worker->rx_at = (uint32_t)(end - worker->rx);
        sasl_put_mechanisms(worker, request->echo);
        return STEP_ON;
    case BINARY_VERSION:
        worker->budget--;
        worker->rx_at = (uint32_t)(end - worker->rx);
        binary_put_text(worker, request->echo, BINARY_STATUS_OK, SERVER_COMPAT_VERSION);
        return STEP_ON;
    case BINARY_ERROR:
        binary_put_error(worker, request->echo, request->error);
        return STEP_CLOSE;
    case BINARY_CLOSE:
        return STEP_CLOSE;
    case BINARY_GET:
    case BINARY_GETK:
    case BINARY_SET:
    case BINARY_ADD:
    case BINARY_REPLACE:
    case BINARY_DELETE:
    case BINARY_INCR:
    case BINARY_DECR:
    case BINARY_QUIT:
    case BINARY_FLUSH:
    case BINARY_NOOP:
    case BINARY_APPEND:
    case BINARY_PREPEND:
    case BINARY_STAT:
    case BINARY_TOUCH:
    case BINARY_GAT:
    case BINARY_GATK:
    case BINARY_UNKNOWN:
        break;
    }
    binary_put_error(worker, request->echo, BINARY_STATUS_AUTH_ERROR);
    return STEP_CLOSE;
}

enum step
sasl_run(struct session *session)
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
        struct cursor cur = { worker->rx + worker->rx_at, worker->rx + worker->rx_end };
        struct binary_request request;
        if (*cur.at != BINARY_MAGIC) {
            return STEP_CLOSE; /* at once, without waiting for a whole header */
        }
        if (binary_parse(&cur, &request) == PARSE_MORE) {
            return STEP_READ;
        }
        enum step step = run_request(session, &request, cur.at);
        if (step != STEP_ON) {
            return step;
        }
    }
    return STEP_ON;
}
