/* A worker's inside, shared by worker.c, plan.c and conn.c. */
#ifndef LARDER_BENCH_LOAD_WORKER_PRIV_H
#define LARDER_BENCH_LOAD_WORKER_PRIV_H

#include "bench/load/keys.h"
#include "bench/load/value.h"
#include "bench/load/worker.h"

#define IN_LEN  (256u << 10) /* bytes received at a time */
#define OUT_LEN (64u << 10)  /* bytes of requests from which on they are sent */

enum phase {
    PHASE_FILL,
    PHASE_RUN,
    PHASE_DRAIN, /* nothing new */
};

/** Requests that wait for their replies, in order. */
struct pending {
    int64_t since_ns; /* when it was due */
    uint32_t keys;    /* how many; their numbers stand in conn.numbers */
    uint32_t cursor;  /* the first of them that no reply has told about */
    enum load_op op;
};

enum conn_state {
    CONN_CLOSED,
    CONN_CONNECTING,
    CONN_READY,
};

/** What the next byte received belongs to. */
enum reading {
    READING_HEAD,
    READING_VALUE,
    READING_TAIL,
};

struct conn {
    struct worker *worker;
    struct link link;
    enum conn_state state;
    bool wants_write;     /* epoll is asked for writability */
    bool listed;          /* in worker.free */
    unsigned number;      /* of all connections of the run */
    uint64_t fill_next;   /* PHASE_FILL: the next key */
    size_t trace_next;    /* in workload.places */
    uint32_t head, count; /* pending: a ring of options->pipeline */
    struct pending *pending;
    uint64_t *numbers; /* keys_per_get for each of pending */
    /* look-aside: objects to set, a ring of pipeline * keys_per_get.  A get is sent only when it is
     * empty, so that it never holds more than the keys that were asked for at one time. */
    uint64_t *refills;
    uint32_t refill_head, refill_count;
    uint8_t *unsent; /* on the heap; what the socket did not take */
    size_t unsent_at, unsent_len;
    enum reading reading;
    uint32_t left; /* bytes of the value, of its tail */
    struct value_check check;
    uint32_t held_len;
    uint8_t held[WIRE_HEAD_MAX]; /* the beginning of a head */
};

struct worker {
    struct load *load;
    const struct options *options;
    const struct workload *workload;
    unsigned number;
    enum phase phase;
    struct conn *conns;
    unsigned conns_count;
    unsigned ready; /* connections */
    int epoll_fd, timer_fd;
    struct keys_state draws;
    uint16_t version;            /* of the next value */
    uint64_t in_flight, refills; /* requests; sets that look-aside still owes */
    int64_t last_reply_ns;
    /* open loop: connections that could send, a ring of conns_count, and when to */
    struct conn **free;
    unsigned free_head, free_count;
    double due_ns;
    uint8_t *in;  /* WIRE_HEAD_MAX + IN_LEN */
    uint8_t *out; /* OUT_LEN and the longest request */
    size_t out_len;
    struct load_stats stats;
    struct load_faults faults;
    struct load_shown shown;
    uint64_t requests; /* answered */
    char fault_text[FAULT_TEXT_CAP];
    char error_text[FAULT_TEXT_CAP];
};

/* -- plan.c: what is sent next ----------------------------------------------------------------- */

struct plan {
    enum load_op op;
    unsigned keys;
    uint64_t numbers[KEYS_PER_GET_MAX];
};

/** Whether plan_next() has something for this connection. */
bool plan_ready(const struct conn *conn);
/** The next request; plan_ready() must hold. */
void plan_next(struct conn *conn, struct plan *plan);
/** Whether all that this phase has to send is sent; false in phases that end by the clock. */
bool plan_finished(const struct worker *worker);

/* -- conn.c: one connection -------------------------------------------------------------------- */

bool conn_init(struct conn *conn, struct worker *worker, unsigned number);
void conn_fini(struct conn *conn);
/** Whether a request can be added now. */
bool conn_has_room(const struct conn *conn);
/** Adds one request to the worker's buffer, all of which is this connection's. */
void conn_add(struct conn *conn, int64_t due_ns);
/** Closed loop: adds requests while there is room, and sends them. */
void conn_pump(struct conn *conn, int64_t now_ns);
/** Look-aside: sends sets that are owed, while there is room. */
void conn_refill(struct conn *conn, int64_t now_ns);
/** Sends the worker's buffer; what the socket does not take waits in `unsent`. */
void conn_flush(struct conn *conn);
/** Sends what waits. */
void conn_resume(struct conn *conn);
/** Receives and handles what has come. */
void conn_receive(struct conn *conn);
/** Closes it and counts its requests as unanswered. */
void conn_close(struct conn *conn);

/* -- worker.c ---------------------------------------------------------------------------------- */

int64_t worker_now_ns(void);
#define NO_DETAIL ((struct span){ (const uint8_t *)"", 0 })
/** Keeps the first. */
void worker_note_fault(struct worker *worker, const char *text, struct span detail);
/** Tells epoll what the connection waits for. */
void worker_watch(struct conn *conn, bool wants_write);

#endif
