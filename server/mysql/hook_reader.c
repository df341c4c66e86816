/* The reader: connects, reads the log, voids on arrival, and fills the queue. */
#include "config.h"

#include "mysql/hook_priv.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME_CAP 512u

/* -- into the queue ---------------------------------------------------------------------------- */

static bool
sink_begin(void *arg, const struct record_point *point)
{
    struct hook *hook = arg;
    struct record_begin *begin = queue_reserve(hook->queue, sizeof(*begin));
    if (begin == NULL) {
        return false;
    }
    *begin = (struct record_begin){ .kind = RECORD_BEGIN, .point = *point };
    return true;
}

static bool
sink_op(void *arg, const struct record_op *op, const char *reason)
{
    struct hook *hook = arg;
    (void)reason;
    record_apply_arrival(&hook->arrival, op);
    void *place = queue_reserve(hook->queue, record_op_size(op));
    if (place == NULL) {
        return false;
    }
    memcpy(place, op, record_op_size(op));
    metric_add(&hook->queue_keys, 1);
    return true;
}

static void
sink_flush(void *arg)
{
    struct hook *hook = arg;
    queue_publish(hook->queue);
}

static bool
sink_end(void *arg, const struct record_point *point, uint64_t end_offset, const char *file)
{
    struct hook *hook = arg;
    size_t file_len = file != NULL ? strlen(file) : 0;
    struct record_end *end = queue_reserve(hook->queue, sizeof(*end) + file_len);
    if (end == NULL) {
        return false;
    }
    *end = (struct record_end){
        .kind = RECORD_END,
        .has_gtid = point->gtid.family != GTID_NONE,
        .point = *point,
        .end_offset = end_offset,
        .reset_space = hook->op_reset_space,
        .file_len = (uint16_t)file_len,
    };
    if (file_len > 0) {
        memcpy(end->file, file, file_len);
    }
    queue_publish(hook->queue);
    return true;
}

const struct stream_sink hook_sink = {
    .begin = sink_begin,
    .op = sink_op,
    .flush = sink_flush,
    .end = sink_end,
};

static bool
tell_caught_up(struct hook *hook)
{
    struct record_note *note = queue_reserve(hook->queue, sizeof(*note));
    if (note == NULL) {
        return false;
    }
    *note = (struct record_note){ .kind = RECORD_CAUGHT_UP, .space = hook->space };
    queue_publish(hook->queue);
    return true;
}

/* -- connecting -------------------------------------------------------------------------------- */

static void
name_host(const struct rules_host *host, char *out, size_t cap)
{
    if (host->port == 0) {
        snprintf(out, cap, "%s", host->name);
    } else {
        snprintf(out, cap, strchr(host->name, ':') != NULL ? "[%s]:%u" : "%s:%u", host->name,
                 host->port);
    }
}

/** Logs an error once, until another one or success comes. */
static void
say(struct hook *hook, const struct rules_host *host, const char *text)
{
    char name[NAME_CAP];
    if (strcmp(hook->said, text) == 0) {
        return;
    }
    snprintf(hook->said, sizeof(hook->said), "%s", text);
    name_host(host, name, sizeof(name));
    log_line("hook: %s: %s", name, text);
}

/** The position is of no use: begins at what the server has now, and voids everything. */
static void
note_gap(struct hook *hook)
{
    metric_add(&hook->gaps, 1);
    hook->must_void = hook->rules->source.on_gap == RULES_GAP_FLUSH;
    hook->follows_anew = true;
}

static void
host_failed(struct hook *hook)
{
    uint32_t pause_ms = retry_failed(&hook->retry, rng_system());
    hook_acquire(hook);
    if (hook->retry.failed >= hook->retry.host_count) {
        hook->all_tried = true;
        if (hook->state != HOOK_DISCONNECTED && hook->state != HOOK_STOPPED) {
            hook_become(hook, HOOK_DISCONNECTED);
        }
    }
    hook_release(hook);
    if (pause_ms > 0) {
        (void)hook_sleep(hook, pause_ms);
    }
}

/** Whether MySQL changes rows by foreign keys without logging them. */
static bool
has_native_cascades(struct hook *hook)
{
    char text[16];
    if (hook->source.link.is_mariadb) {
        return cascade_is_native(true, NULL);
    }
    enum link_result result = link_query_text(
        &hook->source.link, "SELECT @@global.innodb_native_foreign_keys", text, sizeof(text));
    return cascade_is_native(false, result == LINK_OK ? text : NULL);
}

static void
take_applied(struct hook *hook, const struct position *position)
{
    lock_acquire(&hook->lock_position);
    if (!position_copy(&hook->applied, position)) {
        log_line("hook: out of memory for the position");
    }
    hook->applied_version++;
    lock_release(&hook->lock_position);
}

/** Where to begin: behind what was received, or at what the server has now. */
static bool
choose_position(struct hook *hook)
{
    if (hook->follows_anew) {
        return position_copy(&hook->from, &hook->source.current);
    }
    return stream_received(hook->stream, &hook->from);
}

/** A connection has begun: from here on what it says is of a space of its own. */
static bool
begin_space(struct hook *hook, const struct rules_host *host)
{
    const struct position *current = &hook->source.current;
    hook->space++;
    atomic_store_explicit(&hook->space_now, hook->space,
                          memory_order_relaxed); /* relaxed: one number */
    stream_begin(hook->stream, hook->space, host, (enum event_checksum)hook->source.checksum,
                 hook->follows_anew ? &hook->from : NULL);
    stream_set_native_cascades(hook->stream, has_native_cascades(hook));
    fence_set_space(hook->fence, hook->space, host, hook->source.identity, current);
    if (hook->follows_anew && !hook->must_void) {
        take_applied(hook, &hook->from);
    }
    hook->follows_anew = false;
    if (!hook->must_void) {
        return true;
    }
    lock_acquire(&hook->lock_position);
    hook->reset_space = hook->space;
    bool copied = position_copy(&hook->reset, &hook->from);
    lock_release(&hook->lock_position);
    /* Of an older space: done for good when all that the server has now is visible. */
    struct record_point point = { .space = 0, .arrived_us = clock_monotonic_us() };
    hook->op_reset_space = hook->space;
    bool voided = copied && stream_void_all(hook->stream, &point, "the log has a gap");
    hook->op_reset_space = 0;
    hook->must_void = !voided;
    return voided;
}

static void
now_following(struct hook *hook, const struct rules_host *host)
{
    retry_succeeded(&hook->retry);
    hook->is_followed = true;
    hook->last_host = host;
    hook->said[0] = '\0';
    hook_acquire(hook);
    name_host(host, hook->source_name, sizeof(hook->source_name));
    if (!hook->stopping && !hook->paused) {
        hook_become(hook, HOOK_CATCHING_UP);
    }
    log_line("hook: follows %s (%s)", hook->source_name,
             hook->source.link.is_mariadb ? "MariaDB"
             : hook->source.by_gtid       ? "MySQL"
                                          : "MySQL without GTIDs");
    hook_release(hook);
}

/* -- reading ----------------------------------------------------------------------------------- */

static enum source_result
next_event(struct hook *hook, struct bytes *event)
{
    /* relaxed: for the guard, which looks now and then */
    atomic_store_explicit(&hook->read_since_us, clock_monotonic_us(), memory_order_relaxed);
    enum source_result result = source_next(&hook->source, event);
    atomic_store_explicit(&hook->read_since_us, 0, memory_order_relaxed);
    if (result == SOURCE_OK) {
        atomic_store_explicit(&hook->heard_us, clock_monotonic_us(), memory_order_relaxed);
    }
    return result;
}

/** Reads until the connection ends; why it did. */
static enum source_result
read_log(struct hook *hook, const struct rules_host *host)
{
    bool caught_up = false;
    uint64_t checked = UINT64_MAX;
    for (;;) {
        uint64_t count = metric_get(&stream_counts(hook->stream)->transactions);
        if (hook->is_followed && !caught_up && count != checked) {
            checked = count;
            caught_up = stream_reaches(hook->stream, &hook->source.current);
            if (caught_up && !tell_caught_up(hook)) {
                return SOURCE_LOST;
            }
        }
        struct bytes event;
        enum source_result result = next_event(hook, &event);
        if (result != SOURCE_OK) {
            return result;
        }
        if (!hook->is_followed) { /* the server gives the log out from where it was asked for */
            now_following(hook, host);
        }
        switch (stream_event(hook->stream, event, clock_monotonic_us())) {
        case STREAM_ON:
            break;
        case STREAM_BAD:
            snprintf(hook->source.link.error, sizeof(hook->source.link.error),
                     "an event is broken");
            return SOURCE_GAP;
        case STREAM_STOPPED:
            return SOURCE_LOST;
        }
    }
}

/** Connects, and reads until the connection ends; why it did. */
static enum source_result
connect_and_read(struct hook *hook, const struct rules_host *host)
{
    const struct rules_source *settings = &hook->rules->source;
    enum source_result result = source_open(&hook->source, settings, host);
    if (result != SOURCE_OK) {
        return result;
    }
    /* Without GTIDs a position says nothing on another server. */
    if (!hook->follows_anew && !hook->from.by_gtid && hook->last_host != NULL &&
        hook->last_host != host) {
        note_gap(hook);
    }
    if (!choose_position(hook) || !begin_space(hook, host)) {
        return SOURCE_LOST;
    }
    result = source_begin(&hook->source, settings, &hook->from, hook->server_id);
    return result == SOURCE_OK ? read_log(hook, host) : result;
}

static bool
is_paused(struct hook *hook)
{
    hook_acquire(hook);
    bool paused = hook->paused;
    hook_release(hook);
    return paused;
}

static void
follow(struct hook *hook)
{
    const struct rules_host *host = &hook->rules->source.hosts[hook->retry.host];
    hook->is_followed = false;
    enum source_result result = connect_and_read(hook, host);
    source_close(&hook->source);
    if (hook->is_followed) {
        metric_add(&hook->reconnects, 1);
    }
    if (hook_is_stopping(hook) || (result == SOURCE_LOST && is_paused(hook))) {
        return; /* it was us who ended the connection */
    }
    switch (result) {
    case SOURCE_OK:
    case SOURCE_LOST:
        say(hook, host, hook->source.link.error);
        break;
    case SOURCE_GAP:
    case SOURCE_TOO_LONG:
        say(hook, host, hook->source.link.error);
        log_line("hook: the log cannot be read from where we are: begins at what the server has");
        note_gap(hook);
        break;
    case SOURCE_DUPLICATE:
        metric_add(&hook->duplicates, 1);
        say(hook, host, "another reader has the same server id: takes another one");
        hook->server_id = source_choose_server_id();
        break;
    }
    if (result == SOURCE_LOST && !hook->is_followed) {
        host_failed(hook);
    } else {
        (void)hook_sleep(hook, RETRY_FIRST_MS);
    }
}

/** What was applied before, if that is known; else all that is to come. */
static void
begin_from_state_file(struct hook *hook)
{
    const char *path = hook->rules->source.state_file;
    hook->follows_anew = true;
    if (hook->distrusts_items) {
        log_line("hook: the cache has items of before, and no position that is surely as old:"
                 " begins at what the server has");
        note_gap(hook);
        return;
    }
    if (path == NULL) {
        return;
    }
    switch (state_file_read(path, &hook->from)) {
    case STATE_FILE_OK:
        hook->follows_anew = false;
        stream_begin(hook->stream, 0, NULL, EVENT_CHECKSUM_NONE, &hook->from);
        take_applied(hook, &hook->from);
        return;
    case STATE_FILE_NONE:
        return;
    case STATE_FILE_BROKEN:
        log_line("hook: %s: not a position, or torn: begins at what the server has", path);
        note_gap(hook);
        return;
    case STATE_FILE_FAILED:
        log_line("hook: %s: cannot be read: begins at what the server has", path);
        note_gap(hook);
        return;
    }
}

void *
hook_reader_main(void *arg)
{
    struct hook *hook = arg;
    uint32_t given_id = hook->rules->source.server_id;
    hook->server_id = given_id != 0 ? given_id : source_choose_server_id();
    begin_from_state_file(hook);
    hook_acquire(hook);
    while (!hook->stopping) {
        if (hook->paused) {
            if (hook->state != HOOK_PAUSED) {
                hook_become(hook, HOOK_PAUSED);
            }
            (void)pthread_cond_wait(&hook->changed, &hook->mutex);
            continue;
        }
        hook_become(hook, HOOK_CONNECTING);
        hook_release(hook);
        follow(hook);
        hook_acquire(hook);
    }
    hook_become(hook, HOOK_STOPPED);
    hook_release(hook);
    return NULL;
}
