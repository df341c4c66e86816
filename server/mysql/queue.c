#include "config.h"

#include "mysql/queue.h"

#include "base/assert.h"
#include "base/lock.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define RECORD_ALIGN 8u

/** In front of each record.  A length of 0: the ring begins anew. */
struct record_head {
    uint64_t len;
};

/**
 * Counts of bytes since the start; the place in the ring is the count modulo `cap`.
 *
 * Locking key:  (l) mutex  (p) the producer's  (c) the consumer's
 */
struct queue {
    size_t cap;
    uint8_t *ring;          /* [released, published) (c), the rest (p) */
    uint64_t written;       /* (p) */
    uint64_t room_end;      /* (p) what may be written up to, as last seen */
    pthread_mutex_t mutex;  /* of rank LOCK_RANK_HOOK_QUEUE */
    pthread_cond_t changed; /* published, released or stopped; monotonic clock */
    uint64_t published;     /* (l) */
    uint64_t released;      /* (l) */
    bool is_stopped;        /* (l) */
    bool consumer_waits;    /* (l) */
    bool producer_waits;    /* (l) */
};

static void
acquire(struct queue *queue)
{
    lock_note_acquired(LOCK_RANK_HOOK_QUEUE);
    (void)pthread_mutex_lock(&queue->mutex);
}

static void
release(struct queue *queue)
{
    lock_note_released(LOCK_RANK_HOOK_QUEUE);
    (void)pthread_mutex_unlock(&queue->mutex);
}

struct queue *
queue_create(size_t cap)
{
    assert(cap >= 4096 && (cap & (cap - 1)) == 0);
    struct queue *queue = calloc(1, sizeof(*queue));
    if (queue == NULL) {
        return NULL;
    }
    queue->cap = cap;
    queue->room_end = cap;
    queue->ring = aligned_alloc(RECORD_ALIGN, cap);
    if (queue->ring == NULL) {
        free(queue);
        return NULL;
    }
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&queue->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&queue->mutex, NULL);
    return queue;
}

void
queue_destroy(struct queue *queue)
{
    if (queue != NULL) {
        (void)pthread_mutex_destroy(&queue->mutex);
        (void)pthread_cond_destroy(&queue->changed);
        free(queue->ring);
        free(queue);
    }
}

size_t
queue_record_max(const struct queue *queue)
{
    /* Behind the ring's end at worst as much is left empty as the record takes. */
    return queue->cap / 2 - sizeof(struct record_head);
}

static void
publish_locked(struct queue *queue)
{
    if (queue->published != queue->written) {
        queue->published = queue->written;
        if (queue->consumer_waits) {
            (void)pthread_cond_broadcast(&queue->changed);
        }
    }
}

/** Waits until `need` bytes may be written.  False: stopped. */
static bool
wait_for_room(struct queue *queue, uint64_t need)
{
    acquire(queue);
    publish_locked(queue);
    while (!queue->is_stopped && queue->released + queue->cap - queue->written < need) {
        queue->producer_waits = true;
        (void)pthread_cond_wait(&queue->changed, &queue->mutex);
        queue->producer_waits = false;
    }
    queue->room_end = queue->released + queue->cap;
    bool stopped = queue->is_stopped;
    release(queue);
    return !stopped;
}

void *
queue_reserve(struct queue *queue, size_t len)
{
    assert(len > 0 && len <= queue_record_max(queue));
    uint64_t size = sizeof(struct record_head) + ((len + RECORD_ALIGN - 1) & ~(RECORD_ALIGN - 1));
    uint64_t to_end = queue->cap - queue->written % queue->cap;
    uint64_t skipped = size > to_end ? to_end : 0;
    if (queue->room_end - queue->written < skipped + size &&
        !wait_for_room(queue, skipped + size)) {
        return NULL;
    }
    if (skipped > 0) {
        struct record_head *head = (void *)(queue->ring + queue->written % queue->cap);
        head->len = 0;
        queue->written += skipped;
    }
    struct record_head *head = (void *)(queue->ring + queue->written % queue->cap);
    head->len = len;
    queue->written += size;
    return head + 1;
}

void
queue_publish(struct queue *queue)
{
    acquire(queue);
    publish_locked(queue);
    release(queue);
}

enum queue_result
queue_wait(struct queue *queue, uint64_t *seen, unsigned timeout_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    acquire(queue);
    int waited = 0;
    queue->consumer_waits = true;
    while (queue->published == *seen && !queue->is_stopped && waited == 0) {
        waited = pthread_cond_timedwait(&queue->changed, &queue->mutex, &until);
    }
    queue->consumer_waits = false;
    enum queue_result result = queue->published != *seen ? QUEUE_MORE
                               : queue->is_stopped       ? QUEUE_STOPPED
                                                         : QUEUE_TIMEOUT;
    *seen = queue->published;
    release(queue);
    return result;
}

uint64_t
queue_begin(const struct queue *queue)
{
    return queue->released; /* the consumer's own doing */
}

const void *
queue_next(struct queue *queue, uint64_t *at, uint64_t end, size_t *len)
{
    if (*at == end) {
        return NULL;
    }
    const struct record_head *head = (const void *)(queue->ring + *at % queue->cap);
    if (head->len == 0) {
        *at += queue->cap - *at % queue->cap;
        head = (const void *)queue->ring;
        if (*at == end) {
            return NULL;
        }
    }
    *len = head->len;
    *at += sizeof(*head) + ((head->len + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1));
    return head + 1;
}

void
queue_release(struct queue *queue, uint64_t at)
{
    acquire(queue);
    assert(at >= queue->released && at <= queue->published);
    queue->released = at;
    if (queue->producer_waits) {
        (void)pthread_cond_broadcast(&queue->changed);
    }
    release(queue);
}

void
queue_stop(struct queue *queue)
{
    acquire(queue);
    queue->is_stopped = true;
    (void)pthread_cond_broadcast(&queue->changed);
    release(queue);
}

uint64_t
queue_used(struct queue *queue)
{
    acquire(queue);
    uint64_t used = queue->published - queue->released;
    release(queue);
    return used;
}
