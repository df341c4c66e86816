/* One connection: requests out, replies in, each reply matched with its request and checked. */
#include "config.h"

#include "bench/load/worker_priv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- life -------------------------------------------------------------------------------------- */

bool
conn_init(struct conn *conn, struct worker *worker, unsigned number)
{
    const struct options *options = worker->options;
    size_t keys = (size_t)options->pipeline * options->keys_per_get;
    *conn = (struct conn){ .worker = worker, .number = number, .link = { .fd = -1 } };
    conn->fill_next = number;
    if (workload_is_trace(worker->workload)) {
        conn->trace_next = worker->workload->first[number];
    }
    conn->pending = calloc(options->pipeline, sizeof(conn->pending[0]));
    conn->numbers = calloc(keys, sizeof(conn->numbers[0]));
    conn->refills = calloc(options->look_aside ? keys : 1, sizeof(conn->refills[0]));
    return conn->pending != NULL && conn->numbers != NULL && conn->refills != NULL;
}

void
conn_fini(struct conn *conn)
{
    link_close(&conn->link);
    free(conn->pending);
    free(conn->numbers);
    free(conn->refills);
    free(conn->unsent);
}

void
conn_close(struct conn *conn)
{
    struct worker *worker = conn->worker;
    if (conn->state == CONN_READY) {
        worker->ready--;
    }
    worker->faults.unanswered += conn->count;
    worker->in_flight -= conn->count;
    worker->refills -= conn->refill_count;
    conn->count = conn->refill_count = 0;
    conn->state = CONN_CLOSED;
    free(conn->unsent);
    conn->unsent = NULL;
    conn->unsent_len = 0;
    link_close(&conn->link);
}

/** The server has closed it. */
static void
conn_lost(struct conn *conn)
{
    conn->worker->faults.lost++;
    worker_note_fault(conn->worker, "the server closed a connection", NO_DETAIL);
    conn_close(conn);
}

/** A reply makes no sense: nothing that follows would, either. */
static void
conn_broken(struct conn *conn, const char *why, struct span detail)
{
    conn->worker->faults.broken++;
    worker_note_fault(conn->worker, why, detail);
    conn_close(conn);
}

/* -- requests out ------------------------------------------------------------------------------ */

bool
conn_has_room(const struct conn *conn)
{
    return conn->state == CONN_READY && conn->count < conn->worker->options->pipeline &&
           conn->unsent_len == 0;
}

static struct span
key_of(const struct object *object)
{
    return (struct span){ object->key, object->key_len };
}

static uint8_t *
write_set(struct worker *worker, uint8_t *at, const struct object *object)
{
    enum wire_protocol protocol = worker->options->protocol;
    at = wire_set_head(protocol, at, key_of(object), object->value_len, object->ttl);
    value_write(at, object->hash, worker->version++, object->value_len);
    worker->stats.set_bytes += object->value_len;
    return wire_set_tail(protocol, at + object->value_len);
}

static uint8_t *
write_request(struct worker *worker, uint8_t *at, const struct plan *plan)
{
    enum wire_protocol protocol = worker->options->protocol;
    struct object object;
    switch (plan->op) {
    case LOAD_GET:
        at = wire_get_begin(protocol, at);
        for (unsigned i = 0; i < plan->keys; i++) {
            workload_object(worker->workload, plan->numbers[i], &object);
            at = wire_get_key(protocol, at, key_of(&object), plan->keys > 1);
        }
        return wire_get_end(protocol, at, plan->keys > 1);
    case LOAD_SET:
        workload_object(worker->workload, plan->numbers[0], &object);
        return write_set(worker, at, &object);
    case LOAD_DELETE:
        workload_object(worker->workload, plan->numbers[0], &object);
        return wire_delete(protocol, at, key_of(&object));
    case LOAD_OPS:
        break;
    }
    __builtin_unreachable();
}

void
conn_add(struct conn *conn, int64_t due_ns)
{
    struct worker *worker = conn->worker;
    const struct options *options = worker->options;
    struct plan plan;
    assert(conn_has_room(conn));
    plan_next(conn, &plan);
    uint32_t slot = (conn->head + conn->count) % options->pipeline;
    conn->pending[slot] = (struct pending){ .since_ns = due_ns, .keys = plan.keys, .op = plan.op };
    memcpy(conn->numbers + (size_t)slot * options->keys_per_get, plan.numbers,
           plan.keys * sizeof(plan.numbers[0]));
    conn->count++;
    worker->in_flight++;
    worker->out_len =
        (size_t)(write_request(worker, worker->out + worker->out_len, &plan) - worker->out);
}

void
conn_pump(struct conn *conn, int64_t now_ns)
{
    struct worker *worker = conn->worker;
    while (conn_has_room(conn) && plan_ready(conn)) {
        conn_add(conn, now_ns);
        if (worker->out_len >= OUT_LEN) {
            conn_flush(conn);
        }
    }
    conn_flush(conn);
}

void
conn_refill(struct conn *conn, int64_t now_ns)
{
    struct worker *worker = conn->worker;
    while (conn_has_room(conn) && conn->refill_count > 0 && plan_ready(conn)) {
        conn_add(conn, now_ns);
        if (worker->out_len >= OUT_LEN) {
            conn_flush(conn);
        }
    }
    conn_flush(conn);
}

/** Sends; returns the bytes taken, all or fewer if the socket is full.  The connection may be
 * closed then. */
static size_t
send_bytes(struct conn *conn, const uint8_t *bytes, size_t len)
{
    size_t sent = 0;
    while (sent < len) {
        size_t part = 0;
        switch (link_write(&conn->link, bytes + sent, len - sent, &part)) {
        case LINK_DONE:
            sent += part;
            conn->worker->stats.sent += part;
            break;
        case LINK_WANT_READ:
        case LINK_WANT_WRITE:
            return sent;
        case LINK_CLOSED:
            conn_lost(conn);
            return sent;
        }
    }
    return sent;
}

void
conn_flush(struct conn *conn)
{
    struct worker *worker = conn->worker;
    size_t len = worker->out_len;
    worker->out_len = 0;
    if (len == 0 || conn->state != CONN_READY) {
        return;
    }
    assert(conn->unsent_len == 0);
    size_t sent = send_bytes(conn, worker->out, len);
    if (sent == len || conn->state != CONN_READY) {
        return;
    }
    conn->unsent = malloc(len - sent);
    if (conn->unsent == NULL) {
        conn_broken(conn, "no memory for requests that the server does not take", NO_DETAIL);
        return;
    }
    memcpy(conn->unsent, worker->out + sent, len - sent);
    conn->unsent_at = 0;
    conn->unsent_len = len - sent;
    worker_watch(conn, true);
}

void
conn_resume(struct conn *conn)
{
    if (conn->unsent_len == 0) {
        return;
    }
    size_t sent = send_bytes(conn, conn->unsent + conn->unsent_at, conn->unsent_len);
    if (conn->state != CONN_READY) {
        return;
    }
    conn->unsent_at += sent;
    conn->unsent_len -= sent;
    if (conn->unsent_len == 0) {
        free(conn->unsent);
        conn->unsent = NULL;
        worker_watch(conn, false);
    }
}

/* -- replies in -------------------------------------------------------------------------------- */

static struct pending *
front(struct conn *conn)
{
    return &conn->pending[conn->head];
}

static uint64_t *
front_numbers(struct conn *conn)
{
    return conn->numbers + (size_t)conn->head * conn->worker->options->keys_per_get;
}

/** The request at the front is answered. */
static void
complete(struct conn *conn, int64_t now_ns)
{
    struct worker *worker = conn->worker;
    const struct pending *pending = front(conn);
    int64_t took = now_ns - pending->since_ns;
    if (worker->phase != PHASE_FILL) {
        histogram_add(&worker->stats.latency[pending->op], took > 0 ? (uint64_t)took : 0);
        worker->stats.to_ns = now_ns;
    }
    worker->requests++;
    worker->last_reply_ns = now_ns;
    worker->in_flight--;
    conn->count--;
    conn->head = (conn->head + 1) % worker->options->pipeline;
}

/** A get did not find its key: an application would set it now. */
static void
count_miss(struct conn *conn, uint64_t number)
{
    struct worker *worker = conn->worker;
    const struct options *options = worker->options;
    struct object object;
    workload_object(worker->workload, number, &object);
    worker->stats.misses++;
    worker->stats.miss_bytes += object.value_len;
    if (options->look_aside && worker->phase == PHASE_RUN) {
        uint32_t cap = options->pipeline * options->keys_per_get;
        assert(conn->refill_count < cap);
        conn->refills[(conn->refill_head + conn->refill_count) % cap] = number;
        conn->refill_count++;
        worker->refills++;
    }
}

/** The keys of the front's get before the `upto`th got no reply: they were not found. */
static void
count_misses(struct conn *conn, uint32_t upto)
{
    struct pending *pending = front(conn);
    while (pending->cursor < upto) {
        count_miss(conn, front_numbers(conn)[pending->cursor++]);
    }
}

/**
 * Which of the front's keys a value is of: replies come in the order of the keys.  pending->keys if
 * it is none of those that are left.
 */
static uint32_t
find_key(struct conn *conn, struct span key, struct object *object)
{
    const struct pending *pending = front(conn);
    for (uint32_t i = pending->cursor; i < pending->keys; i++) {
        workload_object(conn->worker->workload, front_numbers(conn)[i], object);
        if (key.len == 0 ||
            (key.len == object->key_len && memcmp(key.at, object->key, key.len) == 0)) {
            return i;
        }
    }
    return pending->keys;
}

/** False if the connection is closed. */
static bool
handle_value(struct conn *conn, const struct wire_head *head)
{
    struct worker *worker = conn->worker;
    struct object object;
    if (front(conn)->op != LOAD_GET) {
        conn_broken(conn, "a value in reply to a store", head->key);
        return false;
    }
    uint32_t found = find_key(conn, head->key, &object);
    if (found == front(conn)->keys) {
        worker->faults.foreign++;
        conn_broken(conn, "a value under a key that was not asked for:", head->key);
        return false;
    }
    count_misses(conn, found);
    front(conn)->cursor = found + 1;
    worker->stats.hits++;
    worker->stats.hit_bytes += head->value_len;
    value_check_begin(&conn->check, object.hash, head->value_len);
    conn->reading = READING_VALUE;
    conn->left = head->value_len;
    return true;
}

/** Whether a reply's kind fits the request at the front. */
static bool
fits(const struct conn *conn, const struct pending *pending, enum wire_kind kind)
{
    bool has_end = wire_has_end(conn->worker->options->protocol, pending->keys);
    switch (kind) {
    case WIRE_VALUE:
    case WIRE_ERROR:
        return true;
    case WIRE_MISS:
        return (pending->op == LOAD_GET && !has_end) || pending->op == LOAD_DELETE;
    case WIRE_END:
        return pending->op == LOAD_GET && has_end;
    case WIRE_DONE:
        return pending->op != LOAD_GET;
    case WIRE_REFUSED:
        return pending->op == LOAD_SET;
    }
    __builtin_unreachable();
}

static void
handle_error(struct conn *conn, const struct wire_head *head, int64_t now_ns)
{
    struct worker *worker = conn->worker;
    worker->stats.errors++;
    if (worker->error_text[0] == '\0') {
        snprintf(worker->error_text, FAULT_TEXT_CAP, "%.*s", (int)head->text.len,
                 (const char *)head->text.at);
    }
    const struct pending *pending = front(conn);
    /* Of a batch of meta or binary gets one has failed; the end is still to come. */
    if (pending->op != LOAD_GET || pending->keys == 1 || worker->options->protocol == WIRE_TEXT) {
        complete(conn, now_ns);
    }
}

/** False if the connection is closed. */
static bool
handle_head(struct conn *conn, const struct wire_head *head, int64_t now_ns)
{
    if (conn->count == 0) {
        conn_broken(conn, "a reply without a request", head->text);
        return false;
    }
    if (!fits(conn, front(conn), head->kind)) {
        conn_broken(conn, "a reply that does not fit its request", NO_DETAIL);
        return false;
    }
    switch (head->kind) {
    case WIRE_VALUE:
        return handle_value(conn, head);
    case WIRE_MISS:
    case WIRE_END:
        if (front(conn)->op == LOAD_GET) {
            count_misses(conn, front(conn)->keys);
        }
        complete(conn, now_ns);
        return true;
    case WIRE_REFUSED:
        conn->worker->stats.refused++;
        complete(conn, now_ns);
        return true;
    case WIRE_DONE:
        complete(conn, now_ns);
        return true;
    case WIRE_ERROR:
        handle_error(conn, head, now_ns);
        return true;
    }
    __builtin_unreachable();
}

static void
judge_value(struct conn *conn)
{
    struct worker *worker = conn->worker;
    enum value_verdict verdict = worker->options->verify ? conn->check.verdict : VALUE_RIGHT;
    if (verdict == VALUE_RIGHT) {
        return;
    }
    struct object object;
    workload_object(worker->workload, front_numbers(conn)[front(conn)->cursor - 1], &object);
    if (verdict == VALUE_FOREIGN) {
        worker->faults.foreign++;
        worker_note_fault(worker, "another key's value under the key", key_of(&object));
    } else {
        worker->faults.wrong++;
        worker_note_fault(worker, "a wrong value under the key", key_of(&object));
    }
}

/** Bytes of a value or of its line end.  False if the connection is closed. */
static bool
handle_bytes(struct conn *conn, struct cursor *cur, int64_t now_ns)
{
    enum wire_protocol protocol = conn->worker->options->protocol;
    size_t have = (size_t)(cur->end - cur->at);
    size_t take = have < conn->left ? have : conn->left;
    if (conn->reading == READING_VALUE) {
        if (conn->worker->options->verify) {
            value_check_bytes(&conn->check, cur->at, take);
        }
    } else if (memcmp(cur->at, &"\r\n"[2 - conn->left], take) != 0) {
        conn_broken(conn, "a value that does not end where its length says", NO_DETAIL);
        return false;
    }
    cur->at += take;
    conn->left -= (uint32_t)take;
    if (conn->left == 0 && conn->reading == READING_VALUE) {
        conn->reading = READING_TAIL;
        conn->left = wire_tail_len(protocol);
    }
    if (conn->left == 0) {
        conn->reading = READING_HEAD;
        judge_value(conn);
        if (!wire_has_end(protocol, front(conn)->keys)) {
            complete(conn, now_ns);
        }
    }
    return true;
}

/** Handles all of the bytes; keeps a head that is not whole.  False if the connection is closed. */
static bool
handle_received(struct conn *conn, struct cursor *cur, int64_t now_ns)
{
    struct wire_head head;
    /* An empty value of the binary protocol ends without a byte. */
    while (cur->at < cur->end || (conn->reading == READING_VALUE && conn->left == 0)) {
        if (conn->reading != READING_HEAD) {
            if (!handle_bytes(conn, cur, now_ns)) {
                return false;
            }
            continue;
        }
        switch (wire_parse(conn->worker->options->protocol, cur, &head)) {
        case PARSE_DONE:
            if (!handle_head(conn, &head, now_ns)) {
                return false;
            }
            break;
        case PARSE_MORE:
            conn->held_len = (uint32_t)(cur->end - cur->at);
            memcpy(conn->held, cur->at, conn->held_len);
            return true;
        case PARSE_BAD: {
            size_t have = (size_t)(cur->end - cur->at);
            conn_broken(
                conn, "bytes that are no reply:", (struct span){ cur->at, have < 60 ? have : 60 });
            return false;
        }
        }
    }
    return true;
}

void
conn_receive(struct conn *conn)
{
    struct worker *worker = conn->worker;
    bool more = true;
    while (more) {
        size_t len = 0;
        memcpy(worker->in, conn->held, conn->held_len);
        switch (link_read(&conn->link, worker->in + conn->held_len, IN_LEN, &len)) {
        case LINK_DONE:
            break;
        case LINK_WANT_READ:
        case LINK_WANT_WRITE:
            return;
        case LINK_CLOSED:
            conn_lost(conn);
            return;
        }
        worker->stats.received += len;
        struct cursor cur = { worker->in, worker->in + conn->held_len + len };
        conn->held_len = 0;
        if (!handle_received(conn, &cur, worker_now_ns())) {
            return;
        }
        /* TLS may keep bytes that epoll does not tell of. */
        more = len == IN_LEN || conn->link.tls != NULL;
    }
}
