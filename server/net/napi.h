/* -N: connections that came in by one receive queue of a network card go to one worker.
 *
 * The kernel names that queue by its NAPI id (SO_INCOMING_NAPI_ID).  A worker whose connections all
 * come from one queue can run on the processor that serves the queue's interrupts.  Ids are given
 * out to workers in the order in which they are seen first, one each.
 */
#ifndef LARDER_NET_NAPI_H
#define LARDER_NET_NAPI_H

#include <stdbool.h>

#define NAPI_IDS_MAX 1024u /* -N is at most the number of workers */

/** Locking key: the main thread's. */
struct napi_table {
    unsigned ids[NAPI_IDS_MAX]; /* of worker 0, 1, ...; 0 where none has been given out */
    unsigned len;               /* ids seen */
    unsigned max;               /* -N */
};

enum napi_result {
    NAPI_WORKER,     /* the worker of this id */
    NAPI_NONE,       /* the system names no id: a unix socket, the loopback, no such hardware */
    NAPI_UNEXPECTED, /* one more id than -N says: all have been forgotten, as queues were set up
                        anew */
};

/**
 * The worker for a connection with this id.
 *
 * id   0 for none
 */
enum napi_result napi_choose(struct napi_table *table, unsigned id, unsigned *worker);

/** The id of a connected socket; 0 for none. */
unsigned napi_id_of(int fd);

#endif
