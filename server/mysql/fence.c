#include "config.h"

#include "mysql/fence.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TARGETS_MAX 256u /* GTIDs in one question to MySQL */
#define RETRY_MS    100u /* between two tries to connect */
#define QUESTION_US 1000u
#define SQL_EXTRA   128u

/** The server's end, and where its space begins. */
struct space {
    uint32_t id; /* 0: none yet */
    const struct rules_host *host;
    char identity[SOURCE_IDENTITY_CAP];
    bool is_mariadb;
    struct gtid_set base;      /* MariaDB without the grant to see the log's end */
    uint64_t base_file_number; /* 0: not known */
    uint64_t base_offset;
};

/**
 * Locking key:  (l) lock  (t) the fence's thread  (a) atomic, relaxed: single numbers
 */
struct fence {
    const struct rules_source *settings;
    struct lock lock;
    struct space told;     /* (l) the newest */
    struct space space;    /* (t) the one that the connection is of */
    struct link link;      /* (t) */
    bool is_open;          /* (t) */
    bool base_passed;      /* (t) everything from before this space is visible */
    bool was_lost;         /* (t) it has been said */
    pthread_mutex_t sleep; /* of rank LOCK_RANK_HOOK_SLEEP */
    pthread_cond_t stopped;
    bool is_stopped; /* under `sleep` */

    /* (t) what is waited for */
    struct gtid_set gtids; /* MySQL */
    unsigned gtid_count;
    uint64_t file_number; /* MariaDB: the farthest place */
    uint64_t offset;
    uint64_t delay_until_us; /* 0: none */
    bool needs_base;
    bool is_empty;
    uint64_t begun_us;
    bool is_late; /* has been counted as timed out */

    /* (t) MariaDB: how far the last snapshot saw */
    uint64_t seen_file_number;
    uint64_t seen_offset;
    uint64_t asked_us; /* of the last question */
    unsigned poll_ms;

    struct lock times_lock;
    uint32_t times[FENCE_PASSED_MAX]; /* under times_lock, as the next */
    unsigned times_count;
    struct metric timeouts;
};

struct fence *
fence_create(const struct rules_source *settings)
{
    struct fence *fence = calloc(1, sizeof(*fence));
    if (fence == NULL) {
        return NULL;
    }
    fence->settings = settings;
    lock_init(&fence->lock, LOCK_RANK_HOOK_SPACE);
    lock_init(&fence->times_lock, LOCK_RANK_HOOK_TIMES);
    link_init(&fence->link);
    gtid_set_init(&fence->gtids);
    gtid_set_init(&fence->told.base);
    gtid_set_init(&fence->space.base);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&fence->stopped, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&fence->sleep, NULL);
    return fence;
}

void
fence_destroy(struct fence *fence)
{
    if (fence == NULL) {
        return;
    }
    link_close(&fence->link);
    link_fini(&fence->link);
    gtid_set_fini(&fence->gtids);
    gtid_set_fini(&fence->told.base);
    gtid_set_fini(&fence->space.base);
    (void)pthread_mutex_destroy(&fence->sleep);
    (void)pthread_cond_destroy(&fence->stopped);
    lock_fini(&fence->times_lock);
    lock_fini(&fence->lock);
    free(fence);
}

/** Sleeps; false once stopped. */
static bool
fence_sleep(struct fence *fence, uint64_t us)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + us * 1000;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    lock_note_acquired(LOCK_RANK_HOOK_SLEEP);
    (void)pthread_mutex_lock(&fence->sleep);
    int waited = 0;
    while (!fence->is_stopped && waited == 0 && us > 0) {
        waited = pthread_cond_timedwait(&fence->stopped, &fence->sleep, &until);
    }
    bool stopped = fence->is_stopped;
    lock_note_released(LOCK_RANK_HOOK_SLEEP);
    (void)pthread_mutex_unlock(&fence->sleep);
    return !stopped;
}

void
fence_stop(struct fence *fence)
{
    lock_note_acquired(LOCK_RANK_HOOK_SLEEP);
    (void)pthread_mutex_lock(&fence->sleep);
    fence->is_stopped = true;
    (void)pthread_cond_broadcast(&fence->stopped);
    lock_note_released(LOCK_RANK_HOOK_SLEEP);
    (void)pthread_mutex_unlock(&fence->sleep);
    link_stop(&fence->link);
}

/* -- spaces ------------------------------------------------------------------------------------ */

/** False without memory for the set; it stays empty then. */
static bool
space_copy(struct space *to, const struct space *from)
{
    struct gtid_set base = to->base;
    *to = *from;
    to->base = base;
    gtid_set_clear(&to->base);
    return gtid_set_merge(&to->base, &from->base) == GTID_DONE;
}

void
fence_set_space(struct fence *fence, uint32_t space, const struct rules_host *host,
                const char *identity, const struct position *base)
{
    lock_acquire(&fence->lock);
    struct space *told = &fence->told;
    told->id = space;
    told->host = host;
    snprintf(told->identity, sizeof(told->identity), "%s", identity);
    told->is_mariadb = base->is_mariadb;
    told->base_file_number = position_file_number(base->file);
    told->base_offset = base->offset;
    gtid_set_clear(&told->base);
    if (base->is_mariadb && gtid_set_merge(&told->base, &base->gtids) != GTID_DONE) {
        gtid_set_clear(&told->base);
    }
    lock_release(&fence->lock);
}

/** Takes over the newest space; then the connection is one of an older. */
static void
follow_space(struct fence *fence)
{
    lock_acquire(&fence->lock);
    bool is_new = fence->told.id != fence->space.id;
    if (is_new) {
        (void)space_copy(&fence->space, &fence->told);
    }
    lock_release(&fence->lock);
    if (is_new) {
        link_close(&fence->link);
        fence->is_open = false;
        fence->base_passed = false;
        fence->seen_file_number = 0;
        fence->seen_offset = 0;
        /* What was waited for came before this space. */
        fence->needs_base = fence->needs_base || !fence->is_empty;
        gtid_set_clear(&fence->gtids);
        fence->gtid_count = 0;
        fence->file_number = 0;
        fence->offset = 0;
    }
}

static bool
connect_to_space(struct fence *fence)
{
    if (fence->is_open) {
        return true;
    }
    if (fence->space.id == 0) {
        return false;
    }
    char identity[SOURCE_IDENTITY_CAP] = "";
    enum link_result result = link_open(&fence->link, fence->settings, fence->space.host);
    if (result == LINK_OK) {
        result = link_query_text(&fence->link, source_identity_sql, identity, sizeof(identity));
    }
    if (result == LINK_OK && strcmp(identity, fence->space.identity) != 0) {
        snprintf(fence->link.error, sizeof(fence->link.error),
                 "the address leads to another server (%.100s) than the one that is followed",
                 identity);
        result = LINK_LOST;
    }
    if (result != LINK_OK) {
        if (!fence->was_lost) {
            log_line("hook: fence: %s", fence->link.error);
            fence->was_lost = true;
        }
        link_close(&fence->link);
        return false;
    }
    fence->was_lost = false;
    fence->is_open = true;
    return true;
}

/* -- what to wait for -------------------------------------------------------------------------- */

void
fence_begin(struct fence *fence)
{
    gtid_set_clear(&fence->gtids);
    fence->gtid_count = 0;
    fence->file_number = 0;
    fence->offset = 0;
    fence->delay_until_us = 0;
    fence->needs_base = false;
    fence->is_empty = true;
    fence->begun_us = clock_monotonic_us();
    fence->is_late = false;
    fence->poll_ms = 1;
}

static void
add_delay(struct fence *fence, const struct record_point *point, uint32_t delay_ms)
{
    uint64_t until_us = point->arrived_us + (uint64_t)delay_ms * 1000;
    if (until_us > fence->delay_until_us) {
        fence->delay_until_us = until_us;
    }
}

bool
fence_add(struct fence *fence, const struct record_point *point)
{
    switch (fence->settings->fence) {
    case RULES_FENCE_ARRIVAL:
        return true;
    case RULES_FENCE_DELAY:
        add_delay(fence, point, fence->settings->fence_delay_ms);
        return true;
    case RULES_FENCE_VISIBLE:
        break;
    }
    follow_space(fence);
    if (point->space != fence->space.id) {
        fence->needs_base = true;
    } else if (fence->space.is_mariadb) {
        if (point->file_number > fence->file_number ||
            (point->file_number == fence->file_number && point->offset > fence->offset)) {
            fence->file_number = point->file_number;
            fence->offset = point->offset;
        }
    } else if (point->gtid.family == GTID_MYSQL) {
        if (fence->gtid_count == TARGETS_MAX ||
            gtid_set_add(&fence->gtids, &point->gtid) != GTID_DONE) {
            return false;
        }
        fence->gtid_count++;
    } else {
        add_delay(fence, point, FENCE_DELAY_DEFAULT_MS);
    }
    fence->is_empty = false;
    return true;
}

/* -- waiting ----------------------------------------------------------------------------------- */

struct snapshot {
    char file[POSITION_FILE_CAP];
    uint64_t offset;
};

/** link_row_fn: SHOW STATUS. */
static void
take_snapshot(void *arg, const struct bytes *values, unsigned count)
{
    struct snapshot *snapshot = arg;
    if (count < 2 || values[0].at == NULL || values[1].at == NULL) {
        return;
    }
    if (bytes_equal(values[0], "Binlog_snapshot_file") ||
        bytes_equal(values[0], "binlog_snapshot_file")) {
        size_t len =
            values[1].len < sizeof(snapshot->file) - 1 ? values[1].len : sizeof(snapshot->file) - 1;
        memcpy(snapshot->file, values[1].at, len);
        snapshot->file[len] = '\0';
    } else if (bytes_equal(values[0], "Binlog_snapshot_position") ||
               bytes_equal(values[0], "binlog_snapshot_position")) {
        snapshot->offset = 0;
        for (size_t i = 0; i < values[1].len; i++) {
            snapshot->offset = snapshot->offset * 10 + (uint64_t)(values[1].at[i] - '0');
        }
    }
}

static bool
seen(const struct fence *fence, uint64_t file_number, uint64_t offset)
{
    return fence->seen_file_number > file_number ||
           (fence->seen_file_number == file_number && fence->seen_offset >= offset);
}

/** Without knowing where the log ended: asks the server which GTIDs the snapshot sees. */
static enum link_result
compare_base_gtids(struct fence *fence, const struct snapshot *snapshot)
{
    char sql[POSITION_FILE_CAP + SQL_EXTRA];
    char text[4096];
    struct gtid_set visible;
    gtid_set_init(&visible);
    snprintf(sql, sizeof(sql), "SELECT BINLOG_GTID_POS('%s', %llu)", snapshot->file,
             (unsigned long long)snapshot->offset);
    enum link_result result = link_query_text(&fence->link, sql, text, sizeof(text));
    if (result == LINK_OK &&
        gtid_set_parse(&visible, (struct bytes){ (const uint8_t *)text, strlen(text) }) ==
            GTID_DONE) {
        fence->base_passed = gtid_set_contains_set(&visible, &fence->space.base);
    }
    gtid_set_fini(&visible);
    return result;
}

static enum link_result
ask_mariadb(struct fence *fence)
{
    struct snapshot snapshot = { .offset = 0 };
    enum link_result result = link_query(&fence->link,
                                         "START TRANSACTION WITH CONSISTENT SNAPSHOT;"
                                         "SHOW STATUS LIKE 'binlog_snapshot_%';COMMIT",
                                         take_snapshot, &snapshot);
    if (result != LINK_OK) {
        return result;
    }
    fence->seen_file_number = position_file_number(snapshot.file);
    fence->seen_offset = snapshot.offset;
    if (!fence->base_passed && fence->space.base_file_number != 0) {
        fence->base_passed = seen(fence, fence->space.base_file_number, fence->space.base_offset);
    } else if (!fence->base_passed && fence->needs_base) {
        return compare_base_gtids(fence, &snapshot);
    }
    return LINK_OK;
}

static bool
is_reached(const struct fence *fence)
{
    return (!fence->needs_base || fence->base_passed) &&
           (fence->file_number == 0 || seen(fence, fence->file_number, fence->offset));
}

static enum fence_result
lost(struct fence *fence)
{
    if (!fence->was_lost) {
        log_line("hook: fence: %s", fence->link.error);
        fence->was_lost = true;
    }
    link_close(&fence->link);
    fence->is_open = false;
    return fence_sleep(fence, RETRY_MS * 1000) ? FENCE_LOST : FENCE_STOPPED;
}

/** No two questions within a millisecond: what arrives meanwhile is part of the next one. */
static bool
pace(struct fence *fence)
{
    uint64_t now_us = clock_monotonic_us();
    uint64_t due_us = fence->asked_us + QUESTION_US;
    if (due_us > now_us && !fence_sleep(fence, due_us - now_us)) {
        return false;
    }
    fence->asked_us = clock_monotonic_us();
    return true;
}

static enum fence_result
wait_mariadb(struct fence *fence)
{
    uint64_t until_us = clock_monotonic_us() + FENCE_SLICE_MS * 1000;
    while (!is_reached(fence)) {
        if (!pace(fence)) {
            return FENCE_STOPPED;
        }
        if (ask_mariadb(fence) != LINK_OK) {
            return lost(fence);
        }
        if (is_reached(fence)) {
            break;
        }
        if (clock_monotonic_us() > until_us) {
            return FENCE_NOT_YET;
        }
        if (!fence_sleep(fence, (uint64_t)(fence->poll_ms - 1) * 1000)) {
            return FENCE_STOPPED;
        }
        fence->poll_ms = fence->poll_ms < FENCE_POLL_MAX_MS ? fence->poll_ms * 2 : fence->poll_ms;
    }
    return FENCE_PASSED;
}

static enum fence_result
wait_mysql(struct fence *fence)
{
    /* What a server of MySQL tells as executed is visible: so is all from before the space. */
    if (fence->gtid_count == 0) {
        return FENCE_PASSED;
    }
    if (!pace(fence)) {
        return FENCE_STOPPED;
    }
    size_t cap = SQL_EXTRA + (fence->gtids.count + 1) * GTID_TEXT_MAX;
    char *sql = malloc(cap);
    if (sql == NULL) {
        return lost(fence);
    }
    struct writer out = writer(sql, cap - 1);
    writer_put_text(&out, "SELECT WAIT_FOR_EXECUTED_GTID_SET('");
    gtid_set_write(&fence->gtids, &out);
    writer_put_text(&out, "', 0.");
    writer_put_number(&out, FENCE_SLICE_MS, 3);
    writer_put_char(&out, ')');
    assert(!out.is_full);
    sql[out.len] = '\0';
    char answer[16];
    enum link_result result = link_query_text(&fence->link, sql, answer, sizeof(answer));
    free(sql);
    if (result != LINK_OK) {
        return lost(fence);
    }
    return strcmp(answer, "0") == 0 ? FENCE_PASSED : FENCE_NOT_YET;
}

static void
note_time(struct fence *fence)
{
    uint64_t took_us = clock_monotonic_us() - fence->begun_us;
    lock_acquire(&fence->times_lock);
    fence->times[fence->times_count++ % FENCE_PASSED_MAX] =
        took_us < UINT32_MAX ? (uint32_t)took_us : UINT32_MAX;
    lock_release(&fence->times_lock);
}

static void
note_late(struct fence *fence)
{
    uint64_t took_us = clock_monotonic_us() - fence->begun_us;
    if (!fence->is_late && took_us > (uint64_t)fence->settings->timeout_ms * 1000) {
        fence->is_late = true;
        metric_add(&fence->timeouts, 1);
        log_line("hook: a transaction is not visible on the server %llu ms after it arrived",
                 (unsigned long long)(took_us / 1000));
    }
}

static enum fence_result
wait_delay(struct fence *fence)
{
    uint64_t now_us = clock_monotonic_us();
    if (fence->delay_until_us <= now_us) {
        return FENCE_PASSED;
    }
    uint64_t us = fence->delay_until_us - now_us;
    bool is_long = us > FENCE_SLICE_MS * 1000;
    if (!fence_sleep(fence, is_long ? FENCE_SLICE_MS * 1000 : us)) {
        return FENCE_STOPPED;
    }
    return is_long ? FENCE_NOT_YET : FENCE_PASSED;
}

enum fence_result
fence_wait(struct fence *fence)
{
    enum fence_result result = wait_delay(fence);
    if (result != FENCE_PASSED || fence->is_empty) {
        return result;
    }
    follow_space(fence);
    if (fence->space.is_mariadb && !fence->needs_base && is_reached(fence)) {
        note_time(fence);
        return FENCE_PASSED;
    }
    if (!connect_to_space(fence)) {
        note_late(fence);
        return fence_sleep(fence, RETRY_MS * 1000) ? FENCE_LOST : FENCE_STOPPED;
    }
    result = fence->space.is_mariadb ? wait_mariadb(fence) : wait_mysql(fence);
    if (result == FENCE_PASSED) {
        note_time(fence);
    } else {
        note_late(fence);
    }
    return result;
}

/* -- figures ----------------------------------------------------------------------------------- */

static int
by_size(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

void
fence_times(struct fence *fence, uint64_t *p50_us, uint64_t *p99_us)
{
    uint32_t times[FENCE_PASSED_MAX];
    lock_acquire(&fence->times_lock);
    unsigned count = fence->times_count < FENCE_PASSED_MAX ? fence->times_count : FENCE_PASSED_MAX;
    memcpy(times, fence->times, count * sizeof(times[0]));
    lock_release(&fence->times_lock);
    qsort(times, count, sizeof(times[0]), by_size);
    *p50_us = count > 0 ? times[count / 2] : 0;
    *p99_us = count > 0 ? times[count * 99 / 100] : 0;
}

uint64_t
fence_timeouts(const struct fence *fence)
{
    return metric_get(&fence->timeouts);
}
