#include "config.h"

#include "admin/watch.h"

#include "base/assert.h"
#include "base/lock.h"
#include "base/metric.h"
#include "base/ring.h"
#include "engine/cache.h"

#include <stdlib.h>
#include <string.h>

#define DRAIN_SLICE 512u /* events given out under one hold of the lock */

/** A writer's ring: struct watch_event and text, one behind the other. */
struct watch_source {
    struct ring events; /* written by its thread, read by watch_drain() */
    struct watch *watch;
    struct watch_source *next; /* (l) of struct watch */
    struct metric written;
    struct metric dropped;
    /* of watch_drain(): the oldest event, if it has been looked at */
    bool peeked;
    struct watch_event first;
};

struct watcher {
    struct ring lines; /* written by watch_drain(), read by the watcher's thread */
    uint32_t classes;
    uint64_t since;    /* events with this number and later are for it */
    uint64_t skipped;  /* (l) lines since the last one that found room */
    _Atomic bool told; /* wake() was called, and watcher_take() has not come to an end since */
    void (*wake)(void *arg);
    void *wake_arg;
};

/** Locking key:  (l) lock  (s) shared_lock  (a) atomic; others constant. */
struct watch {
    _Atomic uint32_t classes; /* (a) written under (l) */
    _Atomic bool resting;     /* (a) the thread of watch_drain() waits */
    _Atomic uint64_t number;  /* (a) of the last event */
    struct watch_options options;
    void (*wake)(void *arg);
    void *wake_arg;
    struct cache_observer observer;
    struct lock lock;
    uint64_t given;                         /* (l) number of the last event that was given out */
    struct watch_source *sources;           /* (l) */
    struct watcher *watchers[WATCHERS_MAX]; /* (l) */
    unsigned watchers_len;                  /* (l) */
    struct metric sent;
    struct metric skipped;
    struct metric written_gone; /* by sources that are closed */
    struct metric dropped_gone;
    struct lock shared_lock;
    struct watch_source shared; /* (s) its writers take turns */
};

/* -- writing ----------------------------------------------------------------------------------- */

void
watch_note(struct watch_source *source, struct watch_event *event, const void *text)
{
    struct watch *watch = source->watch;
    size_t len = sizeof(*event) + event->text_len;
    size_t room = ring_room(&source->events);
    if (room < len) {
        metric_add(&source->dropped, 1);
        return;
    }
    /* relaxed: unique and rising in each ring; the ring orders the rest */
    event->number = atomic_fetch_add_explicit(&watch->number, 1, memory_order_relaxed) + 1;
    event->at_us = watch->options.now_us();
    ring_put(&source->events, 0, event, sizeof(*event));
    ring_put(&source->events, sizeof(*event), text, event->text_len);
    ring_publish(&source->events, len);
    metric_add(&source->written, 1);
    /* relaxed: a hint; the thread that rests wakes by itself, later */
    if (room < source->events.cap / 2 &&
        atomic_load_explicit(&watch->resting, memory_order_relaxed) &&
        atomic_exchange_explicit(&watch->resting, false, memory_order_relaxed)) {
        watch->wake(watch->wake_arg);
    }
}

void
watch_note_shared(struct watch *watch, struct watch_event *event, const void *text)
{
    lock_acquire(&watch->shared_lock);
    watch_note(&watch->shared, event, text);
    lock_release(&watch->shared_lock);
}

static bool
source_init(struct watch *watch, struct watch_source *source)
{
    source->watch = watch;
    return ring_init(&source->events, watch->options.source_size);
}

struct watch_source *
watch_source_open(struct watch *watch)
{
    struct watch_source *source = NULL;
    if (posix_memalign((void **)&source, CACHE_LINE, sizeof(*source)) != 0) {
        return NULL;
    }
    memset(source, 0, sizeof(*source));
    if (!source_init(watch, source)) {
        free(source);
        return NULL;
    }
    lock_acquire(&watch->lock);
    source->next = watch->sources;
    watch->sources = source;
    lock_release(&watch->lock);
    return source;
}

/* -- order ------------------------------------------------------------------------------------- */

/** Looks at the oldest event of a source; false when there is none. */
static bool
source_peek(struct watch_source *source)
{
    if (!source->peeked && ring_filled(&source->events) > 0) {
        ring_get(&source->events, 0, &source->first, sizeof(source->first));
        source->peeked = true;
    }
    return source->peeked;
}

static void
source_drop(struct watch_source *source)
{
    ring_drop(&source->events, sizeof(source->first) + source->first.text_len);
    source->peeked = false;
}

/** The source with the event of this number; NULL while nobody has written it. */
static struct watch_source *
find_number(struct watch *watch, uint64_t number)
{
    for (struct watch_source *source = watch->sources; source != NULL; source = source->next) {
        if (source_peek(source) && source->first.number == number) {
            return source;
        }
    }
    return NULL;
}

/* -- giving out -------------------------------------------------------------------------------- */

/** Puts a line behind what a watcher has; false when there is no room. */
static bool
put_line(struct watcher *watcher, const char *line, size_t len)
{
    if (ring_room(&watcher->lines) < len) {
        return false;
    }
    ring_put(&watcher->lines, 0, line, len);
    ring_publish(&watcher->lines, len);
    return true;
}

/** After an overrun a watcher gets lines again when half of its ring is free, and is told before
 * them how many it has missed.  Whether it gets lines. */
static bool
catch_up(struct watcher *watcher)
{
    if (watcher->skipped == 0) {
        return true;
    }
    if (ring_room(&watcher->lines) < watcher->lines.cap / 2) {
        return false;
    }
    char line[WATCH_LINE_MAX];
    bool put = put_line(watcher, line, watch_write_skipped(line, watcher->skipped));
    assert(put); /* a half of the ring has room for more than one line */
    watcher->skipped = 0;
    return true;
}

/** Gives one event to all who asked for its class. */
static void
give_out(struct watch *watch, const struct watch_event *event, const void *text)
{
    char line[WATCH_LINE_MAX];
    size_t len = 0;
    uint32_t class = watch_class_of((enum watch_type)event->type);
    for (unsigned i = 0; i < watch->watchers_len; i++) {
        struct watcher *watcher = watch->watchers[i];
        if ((watcher->classes & class) == 0 || event->number < watcher->since) {
            continue;
        }
        if (len == 0) {
            len = watch_write_line(line, event, text);
        }
        if (catch_up(watcher) && put_line(watcher, line, len)) {
            metric_add(&watch->sent, 1);
        } else {
            watcher->skipped++;
            metric_add(&watch->skipped, 1);
        }
    }
}

/** Tells those who have lines and have not been told. */
static void
wake_watchers(struct watch *watch)
{
    for (unsigned i = 0; i < watch->watchers_len; i++) {
        struct watcher *watcher = watch->watchers[i];
        (void)catch_up(watcher);
        /* acq_rel: pairs with watcher_take().  Either that sees the lines, or this sees that it
         * has come to an end. */
        if (ring_room(&watcher->lines) < watcher->lines.cap &&
            !atomic_exchange_explicit(&watcher->told, true, memory_order_acq_rel)) {
            watcher->wake(watcher->wake_arg);
        }
    }
}

/** A slice, under the lock; whether there may be more. */
static bool
drain_slice(struct watch *watch, bool *any)
{
    unsigned given = 0;
    while (given < DRAIN_SLICE) {
        struct watch_source *source = find_number(watch, watch->given + 1);
        if (source == NULL) {
            break;
        }
        uint8_t text[UINT8_MAX];
        ring_get(&source->events, sizeof(source->first), text, source->first.text_len);
        give_out(watch, &source->first, text);
        source_drop(source);
        watch->given++;
        given++;
    }
    wake_watchers(watch);
    *any = *any || given > 0;
    return given == DRAIN_SLICE;
}

enum watch_work
watch_drain(struct watch *watch)
{
    bool any = false;
    bool more = true;
    bool watched = false;
    /* As much as all rings hold, at most; what comes meanwhile may wait for the next call. */
    /* relaxed: one number */
    uint64_t until = atomic_load_explicit(&watch->number, memory_order_relaxed);
    while (more) {
        lock_acquire(&watch->lock);
        more = drain_slice(watch, &any) && watch->given < until;
        watched = watch->watchers_len > 0;
        lock_release(&watch->lock);
    }
    return any ? WATCH_BUSY : watched ? WATCH_QUIET : WATCH_IDLE;
}

void
watch_rest(struct watch *watch)
{
    atomic_store_explicit(&watch->resting, true, memory_order_relaxed); /* relaxed: a hint */
}

/** What a source holds is given out before it goes: its numbers must not be missing. */
void
watch_source_close(struct watch *watch, struct watch_source **source)
{
    struct watch_source *gone = *source;
    *source = NULL;
    bool empty = false;
    while (!empty) {
        (void)watch_drain(watch); /* waits for what others are writing at this moment */
        empty = ring_filled(&gone->events) == 0;
    }
    lock_acquire(&watch->lock);
    struct watch_source **at = &watch->sources;
    while (*at != gone) {
        at = &(*at)->next;
    }
    *at = gone->next;
    metric_add(&watch->written_gone, metric_get(&gone->written));
    metric_add(&watch->dropped_gone, metric_get(&gone->dropped));
    lock_release(&watch->lock);
    ring_fini(&gone->events);
    free(gone);
}

/* -- watchers ---------------------------------------------------------------------------------- */

/** Tells writers what is watched.  The lock is held. */
static void
set_classes(struct watch *watch)
{
    uint32_t classes = 0;
    for (unsigned i = 0; i < watch->watchers_len; i++) {
        classes |= watch->watchers[i]->classes;
    }
    uint32_t wants =
        ((classes & WATCH_EVICTIONS) != 0 ? CACHE_WANTS_EVICTED : 0u) |
        ((classes & WATCH_SYSEVENTS) != 0 ? CACHE_WANTS_MOVES | CACHE_WANTS_SWEEPS : 0u);
    /* relaxed: switches, see their comments */
    atomic_store_explicit(&watch->classes, classes & ~(uint32_t)WATCH_SILENT, memory_order_relaxed);
    atomic_store_explicit(&watch->observer.wants, wants, memory_order_relaxed);
}

enum watch_result
watch_open(struct watch *watch, uint32_t classes, void (*wake)(void *arg), void *arg,
           struct watcher **out)
{
    *out = NULL;
    struct watcher *watcher = NULL;
    if (posix_memalign((void **)&watcher, CACHE_LINE, sizeof(*watcher)) != 0) {
        return WATCH_NO_ROOM;
    }
    memset(watcher, 0, sizeof(*watcher));
    if (!ring_init(&watcher->lines, watch->options.watcher_size)) {
        free(watcher);
        return WATCH_NO_ROOM;
    }
    watcher->classes = classes;
    watcher->wake = wake;
    watcher->wake_arg = arg;
    lock_acquire(&watch->lock);
    bool room = watch->watchers_len < WATCHERS_MAX;
    if (room) {
        /* relaxed: what is written from now on has a later number */
        watcher->since = atomic_load_explicit(&watch->number, memory_order_relaxed) + 1;
        watch->watchers[watch->watchers_len++] = watcher;
        set_classes(watch);
    }
    lock_release(&watch->lock);
    if (!room) {
        ring_fini(&watcher->lines);
        free(watcher);
        return WATCH_TOO_MANY;
    }
    *out = watcher;
    watch->wake(watch->wake_arg);
    return WATCH_OK;
}

void
watch_close(struct watch *watch, struct watcher **watcher)
{
    struct watcher *gone = *watcher;
    *watcher = NULL;
    lock_acquire(&watch->lock);
    unsigned i = 0;
    while (watch->watchers[i] != gone) {
        i++;
        assert(i < watch->watchers_len);
    }
    watch->watchers[i] = watch->watchers[--watch->watchers_len];
    set_classes(watch);
    lock_release(&watch->lock);
    ring_fini(&gone->lines);
    free(gone);
}

size_t
watcher_take(struct watcher *watcher, void *buf, size_t cap)
{
    size_t len = ring_filled(&watcher->lines);
    if (len == 0) {
        /* acq_rel: pairs with wake_watchers() */
        (void)atomic_exchange_explicit(&watcher->told, false, memory_order_acq_rel);
        len = ring_filled(&watcher->lines);
    }
    len = len < cap ? len : cap;
    ring_get(&watcher->lines, 0, buf, len);
    ring_drop(&watcher->lines, len);
    return len;
}

/* -- the engine -------------------------------------------------------------------------------- */

static void
on_evicted(void *arg, const struct cache_evicted *item)
{
    struct watch_event event = {
        .type = WATCH_EVICTION,
        .text_len = item->key_len,
        .class_id = item->class_id,
        .item = { .fetched = item->fetched,
                  .value_len = item->value_len,
                  .idle_s = item->idle_s,
                  .ttl_s = item->expires_at == CACHE_NEVER ? -1 : item->expires_at - item->now },
    };
    watch_note_shared(arg, &event, item->key);
}

static void
on_moved(void *arg, const struct cache_move *move)
{
    struct watch_event event = { .type = WATCH_SLAB_MOVE,
                                 .class_id = move->from,
                                 .to_class_id = move->to };
    switch (move->state) {
    case CACHE_MOVE_BEGINS:
        event.status = WATCH_MOVE_BEGINS;
        break;
    case CACHE_MOVE_DONE:
        event.status = WATCH_MOVE_DONE;
        break;
    case CACHE_MOVE_ABANDONED:
        event.status = WATCH_MOVE_ABANDONED;
        break;
    }
    watch_note_shared(arg, &event, "");
}

static void
on_swept(void *arg, const struct cache_sweep *sweep)
{
    struct watch_event event = { .type = WATCH_LRU_CRAWLER,
                                 .class_id = sweep->class_id,
                                 .sweep = { .elapsed_s = sweep->elapsed_s,
                                            .examined = sweep->examined,
                                            .reclaimed = sweep->reclaimed } };
    watch_note_shared(arg, &event, "");
}

struct cache_observer *
watch_observer(struct watch *watch)
{
    return &watch->observer;
}

/* -- opening and figures ----------------------------------------------------------------------- */

static void
wake_nobody(void *arg)
{
    (void)arg;
}

struct watch *
watch_create(const struct watch_options *options)
{
    struct watch *watch = NULL;
    if (posix_memalign((void **)&watch, CACHE_LINE, sizeof(*watch)) != 0) {
        return NULL;
    }
    memset(watch, 0, sizeof(*watch));
    watch->options = *options;
    if (watch->options.source_size < WATCH_SOURCE_SIZE_MIN) {
        watch->options.source_size = WATCH_SOURCE_SIZE_MIN;
    }
    if (watch->options.watcher_size < WATCH_WATCHER_SIZE_MIN) {
        watch->options.watcher_size = WATCH_WATCHER_SIZE_MIN;
    }
    if (!source_init(watch, &watch->shared)) {
        free(watch);
        return NULL;
    }
    watch->wake = wake_nobody;
    watch->observer = (struct cache_observer){
        .arg = watch, .evicted = on_evicted, .moved = on_moved, .swept = on_swept
    };
    lock_init(&watch->lock, LOCK_RANK_WATCH);
    lock_init(&watch->shared_lock, LOCK_RANK_OBSERVER);
    watch->sources = &watch->shared;
    return watch;
}

void
watch_destroy(struct watch *watch)
{
    if (watch != NULL) {
        assert(watch->sources == &watch->shared && watch->watchers_len == 0);
        lock_fini(&watch->shared_lock);
        lock_fini(&watch->lock);
        ring_fini(&watch->shared.events);
        free(watch);
    }
}

void
watch_set_wake(struct watch *watch, void (*wake)(void *arg), void *arg)
{
    watch->wake = wake != NULL ? wake : wake_nobody;
    watch->wake_arg = arg;
}

const _Atomic uint32_t *
watch_classes(const struct watch *watch)
{
    return &watch->classes;
}

struct watch_counters
watch_count(struct watch *watch)
{
    if (watch == NULL) {
        return (struct watch_counters){ 0 };
    }
    lock_acquire(&watch->lock);
    struct watch_counters sum = { .written = metric_get(&watch->written_gone),
                                  .dropped = metric_get(&watch->dropped_gone),
                                  .sent = metric_get(&watch->sent),
                                  .skipped = metric_get(&watch->skipped),
                                  .watchers = watch->watchers_len };
    for (const struct watch_source *source = watch->sources; source != NULL;
         source = source->next) {
        sum.written += metric_get(&source->written);
        sum.dropped += metric_get(&source->dropped);
    }
    lock_release(&watch->lock);
    return sum;
}
