/*
 * Records of any length from one thread to another, in order, in one ring of fixed size.
 *
 * The producer writes ahead and publishes now and then; when the ring is full it waits: so the
 * server's thread that sends us the log is held back by TCP, and nothing here grows.  The consumer
 * looks at all that is published before it gives any of it back.
 *
 * Threads: one producer, one consumer; queue_stop() and queue_used() any.
 */
#ifndef LARDER_MYSQL_QUEUE_H
#define LARDER_MYSQL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;

/** cap: bytes, a power of two.  NULL without memory. */
struct queue *queue_create(size_t cap);
void queue_destroy(struct queue *queue);

/** The longest record. */
size_t queue_record_max(const struct queue *queue);

/**
 * Room for a record of `len` bytes, aligned to 8; publishes and waits while there is none.
 *
 * Errors: NULL once the queue was stopped.
 */
void *queue_reserve(struct queue *queue, size_t len);
/** Hands all that was reserved to the consumer. */
void queue_publish(struct queue *queue);

/** Waits until there is more than `seen` says, which it sets to the end of what is there. */
enum queue_result {
    QUEUE_MORE,
    QUEUE_TIMEOUT,
    QUEUE_STOPPED,
};
enum queue_result queue_wait(struct queue *queue, uint64_t *seen, unsigned timeout_ms);
/** The next record from `at` on, which moves behind it; NULL at `end`.  Begins at queue_begin(). */
const void *queue_next(struct queue *queue, uint64_t *at, uint64_t end, size_t *len);
uint64_t queue_begin(const struct queue *queue);
/** Gives the producer the room of all records up to `at`. */
void queue_release(struct queue *queue, uint64_t at);

/** Wakes both; what is published stays readable. */
void queue_stop(struct queue *queue);
/** Bytes published and not yet given back. */
uint64_t queue_used(struct queue *queue);

#endif
