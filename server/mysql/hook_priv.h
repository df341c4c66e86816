/* What the hook's threads share. */
#ifndef LARDER_MYSQL_HOOK_PRIV_H
#define LARDER_MYSQL_HOOK_PRIV_H

#include "mysql/fence.h"
#include "mysql/hook.h"
#include "mysql/hook_state.h"
#include "mysql/queue.h"
#include "mysql/retry.h"
#include "mysql/state_file.h"
#include "mysql/stream.h"
#include "mysql/waiters.h"

#include <pthread.h>
#include <stdatomic.h>

#define HOOK_QUEUE_CAP     (8u << 20) /* bytes; the longest value must fit twice */
#define HOOK_TICK_MS       50u        /* how often the guard looks */
#define HOOK_SAVE_US       1000000u   /* between two savings of the position */
#define HOOK_LAG_SLOTS     10u        /* seconds over which the largest lag is shown */
#define HOOK_HOLDOFF_CELLS (1u << 18)

_Static_assert(RECORD_VALUE_MAX + 1024 <= HOOK_QUEUE_CAP / 2, "the longest record fits the queue");

/**
 * Locking key:  (m) mutex  (p) lock_position  (r) the reader's  (a) the applier's  (g) the guard's
 *               (x) atomic, relaxed: single values that order nothing  others constant
 */
struct hook {
    const struct rules *rules;
    struct cache *cache;
    struct rules_prefixes prefixes;
    struct queue *queue;
    struct fence *fence;
    struct stream *stream; /* (r), but for what it says of threads */
    struct source source;  /* (r); its link can be broken by any */
    struct waiters waiters;
    struct record_actor arrival; /* (r) */
    struct record_actor visible; /* (a) */
    pthread_t reader;
    pthread_t applier;
    pthread_t guard;
    unsigned threads; /* started: reader, applier, guard */

    pthread_mutex_t mutex; /* of rank LOCK_RANK_HOOK */
    pthread_cond_t changed;
    enum hook_state state;             /* (m) */
    bool stopping;                     /* (m) */
    bool paused;                       /* (m) */
    bool all_tried;                    /* (m) each host has failed, or one is being followed */
    char source_name[RULES_ERROR_MAX]; /* (m) host that is followed; "" */

    struct lock lock_position;
    struct position applied;  /* (p) */
    uint32_t reset_space;     /* (p) whose beginning `reset` is */
    struct position reset;    /* (p) */
    uint64_t applied_version; /* (p) counts changes */

    struct retry retry;                 /* (r) */
    uint32_t space;                     /* (r) */
    uint32_t server_id;                 /* (r) */
    bool must_void;                     /* (r) the log has a gap */
    bool distrusts_items;               /* as hook_options; constant */
    bool follows_anew;                  /* (r) no position: begin at what the server has */
    bool is_followed;                   /* (r) this connection gives the log out */
    const struct rules_host *last_host; /* (r) that gave the log out; NULL: none yet */
    char said[LINK_ERROR_CAP];          /* (r) the last error that was logged */
    uint32_t op_reset_space;            /* (r) for the END of a voiding */
    struct position from;               /* (r) */

    _Atomic uint32_t space_now;     /* (x) = space, for the applier */
    _Atomic uint64_t read_since_us; /* (x) the reader waits for the server since; 0: it does not */
    _Atomic uint64_t heard_us;      /* (x) when the server was heard last */
    _Atomic uint64_t progress_us;   /* (x) when the applier last had nothing to do, or did it */
    _Atomic bool policy_on;         /* (x) without a server for longer than the grace time */
    struct metric lag_us[HOOK_LAG_SLOTS]; /* (a) the largest of a second each */
    struct metric lag_second[HOOK_LAG_SLOTS];
    struct metric gaps;            /* (r) */
    struct metric reconnects;      /* (r) */
    struct metric duplicates;      /* (r) */
    struct metric save_errors;     /* (g) */
    struct metric save_failing;    /* (g) 1 or 0 */
    struct metric queue_keys;      /* added by (r) */
    struct metric queue_keys_done; /* (a) */
};

void hook_acquire(struct hook *hook);
void hook_release(struct hook *hook);
/** With the mutex. */
void hook_become(struct hook *hook, enum hook_state state);
bool hook_is_stopping(struct hook *hook);
/** Sleeps; false once the hook is stopping or its orders have changed. */
bool hook_sleep(struct hook *hook, uint32_t ms);
/** Sleeps for a tick, or until the hook is stopping. */
void hook_tick(struct hook *hook);

void *hook_reader_main(void *arg);
void *hook_applier_main(void *arg);
void *hook_guard_main(void *arg);
extern const struct stream_sink hook_sink;

/** Saves the position if it has changed since `*version`. */
void hook_save(struct hook *hook, uint64_t *version);
/** The largest lag of the last seconds. */
uint64_t hook_lag_us(struct hook *hook);

#endif
