/* The log of `watch`: who writes events, who reads them as lines.
 *
 *     writers                          hub                                readers
 *     worker's thread -> its ring  \
 *     worker's thread -> its ring   -> watch_drain(), one thread: puts -> a ring of lines for each
 *     all others -> a shared ring  /   them in order, writes lines         watcher -> its
 * connection
 *
 * Nothing waits for anything: an event for which its ring has no room is dropped, a line for which
 * a watcher's has none is skipped, and both are counted.  While nobody watches, writers pay for the
 * look at watch_classes(), and nothing else runs.
 *
 * Order.  An event takes its number when its ring has room for it, so that each number taken is
 * soon to be seen, and each ring's numbers rise.  watch_drain() gives the events out by number; one
 * that is still being written is waited for.
 */
#ifndef LARDER_ADMIN_WATCH_H
#define LARDER_ADMIN_WATCH_H

#include "admin/watch_event.h"
#include "engine/hook.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WATCHERS_MAX 20u /* at once */

struct watch;
struct watch_source;
struct watcher;

struct watch_options {
    size_t source_size;       /* bytes of each writer's ring */
    size_t watcher_size;      /* bytes of each watcher's */
    uint64_t (*now_us)(void); /* unix time, microseconds */
};

/** The least sizes of rings: an event and a line always fit; smaller ones are raised to these. */
#define WATCH_SOURCE_SIZE_MIN  1024u
#define WATCH_WATCHER_SIZE_MIN (4u * WATCH_LINE_MAX)

/** NULL without memory.  Rings take memory as they are written. */
struct watch *watch_create(const struct watch_options *options);
/** All sources and watchers have been closed, and the cache that it observed is gone. */
void watch_destroy(struct watch *watch);

/** For struct cache_options; lives as long as the watch. */
struct cache_observer *watch_observer(struct watch *watch);

/** Called when watch_drain() should be: someone watches now, or a ring fills.  Any thread.  Set
 * before others use the watch; NULL: nobody is called. */
void watch_set_wake(struct watch *watch, void (*wake)(void *arg), void *arg);

/** The classes that somebody watches; to be read relaxed: when exactly a change is seen does not
 * matter.  Lives as long as the watch. */
const _Atomic uint32_t *watch_classes(const struct watch *watch);

/* -- writing ----------------------------------------------------------------------------------- */

/** A writer of one thread.  NULL without memory. */
struct watch_source *watch_source_open(struct watch *watch);
/** What it has written and nobody read yet is lost, but for its count. */
void watch_source_close(struct watch *watch, struct watch_source **source);

/** Writes an event with event->text_len bytes of text; number and time are set here.  The source's
 * thread. */
void watch_note(struct watch_source *source, struct watch_event *event, const void *text);
/** The same from any thread, under a lock. */
void watch_note_shared(struct watch *watch, struct watch_event *event, const void *text);

/* -- reading ----------------------------------------------------------------------------------- */

enum watch_result {
    WATCH_OK,
    WATCH_TOO_MANY,
    WATCH_NO_ROOM, /* no memory */
};

/**
 * A new watcher of these classes.
 *
 * wake   called by the thread of watch_drain() when there are lines after there were none; until
 *        watch_close()
 */
__attribute__((warn_unused_result)) enum watch_result watch_open(struct watch *watch,
                                                                 uint32_t classes,
                                                                 void (*wake)(void *arg), void *arg,
                                                                 struct watcher **out);
void watch_close(struct watch *watch, struct watcher **watcher);
/** Moves up to `cap` bytes of whole lines and parts of lines to `buf`; 0 when there is nothing, and
 * then wake() comes with the next.  One thread. */
size_t watcher_take(struct watcher *watcher, void *buf, size_t cap);

enum watch_work {
    WATCH_IDLE,  /* nobody watches: call again after wake() */
    WATCH_QUIET, /* somebody watches, and nothing had happened */
    WATCH_BUSY,  /* there were events */
};
/** Gives out what has been written until now.  One thread at a time. */
enum watch_work watch_drain(struct watch *watch);
/** Before that thread waits for wake(): only then a ring that fills calls it. */
void watch_rest(struct watch *watch);

/* -- figures ----------------------------------------------------------------------------------- */

struct watch_counters {
    uint64_t written; /* events that found room */
    uint64_t dropped; /* and those that did not */
    uint64_t sent;    /* lines to watchers */
    uint64_t skipped; /* lines for which a watcher had no room */
    uint64_t watchers;
};
/** `watch` may be NULL. */
struct watch_counters watch_count(struct watch *watch);

#endif
