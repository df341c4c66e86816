/* Many writers, several watchers, one log: every line comes whole, in order, and none is lost
 * without being counted.
 *
 * All watchers watch all that is written, so that the numbers of the lines which a watcher gets
 * follow each other without a gap, but for what a "skipped" line tells; and so do the numbers of
 * each writer's own events.
 *
 * environment: STRESS_SECONDS (5)
 */
#include "admin/watch.h"
#include "base/clock.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WRITERS     4u /* with a ring of their own */
#define SHARERS     2u /* without */
#define WATCHERS    3u /* the last one is slow */
#define SOURCE_SIZE 4096u
#define WATCH_SIZE  (64u * 1024)
#define BURST       200u
#define LINE_CAP    2048u

static struct watch *watch;
static _Atomic bool stop_writing;
static _Atomic bool stop_draining;
static _Atomic bool stop_reading;
static _Atomic unsigned wakes;

static bool
is_set(_Atomic bool *flag)
{
    return atomic_load_explicit(flag, memory_order_relaxed); /* relaxed: the joins order */
}

static void
set(_Atomic bool *flag)
{
    atomic_store_explicit(flag, true, memory_order_relaxed); /* relaxed: as above */
}

static void
count_wake(void *arg)
{
    (void)arg;
    atomic_fetch_add_explicit(&wakes, 1, memory_order_relaxed); /* relaxed: a figure */
}

/* -- writing ----------------------------------------------------------------------------------- */

struct writer {
    pthread_t thread;
    unsigned number;
    struct watch_source *source; /* NULL: shares */
};

/** Writes an event whose text tells of itself: "<writer>.<count>." and as many x as its length asks
 * for.  Its size says how many there were before. */
static void
write_event(const struct writer *writer, uint32_t count)
{
    char text[WATCH_TEXT_MAX + 1];
    int head = snprintf(text, sizeof(text), "%u.%" PRIu32 ".", writer->number, count);
    size_t len = (size_t)head + count * 7 % (WATCH_TEXT_MAX - (size_t)head);
    memset(text + head, 'x', len - (size_t)head);
    struct watch_event event = { .type = WATCH_ITEM_GET,
                                 .text_len = (uint8_t)len,
                                 .item = { .value_len = (uint32_t)len } };
    if (writer->source != NULL) {
        watch_note(writer->source, &event, text);
    } else {
        watch_note_shared(watch, &event, text);
    }
}

static void *
run_writer(void *arg)
{
    const struct writer *writer = arg;
    for (uint32_t count = 0; !is_set(&stop_writing); count++) {
        write_event(writer, count);
        if (count % BURST == 0) {
            sched_yield();
        }
        if (count % (BURST * 64) == 0) { /* long enough for all rings to run empty */
            struct timespec pause = { .tv_nsec = 3000000 };
            nanosleep(&pause, NULL);
        }
    }
    return NULL;
}

static void *
run_drain(void *arg)
{
    (void)arg;
    while (!is_set(&stop_draining)) {
        if (watch_drain(watch) != WATCH_BUSY) {
            watch_rest(watch);
            sched_yield();
        }
    }
    (void)watch_drain(watch);
    return NULL;
}

/* -- reading ----------------------------------------------------------------------------------- */

struct reader {
    pthread_t thread;
    struct watcher *watcher;
    bool slow;
    uint64_t last;                     /* gid of the last line, or what is to be taken for it */
    int64_t counts[WRITERS + SHARERS]; /* the last of each writer */
    uint64_t lines, skips, skipped, empties;
    char broken[LINE_CAP]; /* the first line that is not as it must be */
};

/** Whether a line is whole, and follows the one before. */
static bool
check_line(struct reader *reader, const char *line)
{
    uint64_t n;
    if (sscanf(line, "skipped=%" SCNu64, &n) == 1) {
        reader->last += n;
        reader->skips++;
        reader->skipped += n;
        return n > 0;
    }
    uint64_t s, us, gid;
    unsigned writer, size;
    uint32_t count;
    int key_at = 0;
    int fields = sscanf(
        line, "ts=%" SCNu64 ".%6" SCNu64 " gid=%" SCNu64 " type=item_get key=%n%u.%" SCNu32 ".", &s,
        &us, &gid, &key_at, &writer, &count);
    if (fields != 5 || gid != reader->last + 1 || writer >= WRITERS + SHARERS) {
        return false;
    }
    reader->last = gid;
    const char *key = line + key_at;
    size_t key_len = strcspn(key, " ");
    const char *fill = strchr(strchr(key, '.') + 1, '.') + 1;
    if (strspn(fill, "x") != key_len - (size_t)(fill - key) ||
        sscanf(key + key_len, " status=not_found clsid=0 cfd=0 size=%u", &size) != 1 ||
        size != key_len) {
        return false;
    }
    bool later = (int64_t)count > reader->counts[writer];
    reader->counts[writer] = count;
    reader->lines++;
    return later;
}

static void *
run_reader(void *arg)
{
    struct reader *reader = arg;
    char buf[LINE_CAP + 4096];
    size_t have = 0;
    for (;;) {
        bool last_look = is_set(&stop_reading);
        size_t got = watcher_take(reader->watcher, buf + have, reader->slow ? 512 : 4096);
        have += got;
        char *at = buf;
        char *lf;
        while ((lf = memchr(at, '\n', have - (size_t)(at - buf))) != NULL) {
            *lf = '\0';
            if (!check_line(reader, at) && reader->broken[0] == '\0') {
                snprintf(reader->broken, sizeof(reader->broken), "%.1000s (after gid %" PRIu64 ")",
                         at, reader->last);
            }
            at = lf + 1;
        }
        have -= (size_t)(at - buf);
        memmove(buf, at, have);
        if (got == 0) {
            reader->empties++;
            if (last_look) {
                break;
            }
        }
        if (got == 0 || reader->slow) {
            sched_yield();
        }
    }
    if (have > 0 && reader->broken[0] == '\0') {
        snprintf(reader->broken, sizeof(reader->broken), "half a line at the end");
    }
    return NULL;
}

/* -- main -------------------------------------------------------------------------------------- */

static unsigned passed, failed;

static void
check(bool good, const char *what)
{
    if (good) {
        passed++;
    } else {
        failed++;
        printf("not so: %s\n", what);
    }
}

static struct writer writers[WRITERS + SHARERS];
static struct reader readers[WATCHERS];

static void
start(pthread_t *thread, void *(*run)(void *), void *arg)
{
    if (pthread_create(thread, NULL, run, arg) != 0) {
        printf("no thread\n");
        exit(EXIT_FAILURE);
    }
}

static void
report(void)
{
    uint64_t lines = 0, empties = 0;
    for (unsigned i = 0; i < WATCHERS; i++) {
        if (readers[i].broken[0] != '\0') {
            printf("watcher %u: %s\n", i, readers[i].broken);
        }
        check(readers[i].broken[0] == '\0', "every line is whole, and follows the one before");
        check(readers[i].lines > 0, "each watcher got lines");
        lines += readers[i].lines;
        empties += readers[i].empties;
    }
    struct watch_counters count = watch_count(watch);
    uint64_t skipped = readers[0].skipped + readers[1].skipped + readers[2].skipped;
    printf("written %" PRIu64 ", dropped %" PRIu64 ", lines %" PRIu64 ", skipped %" PRIu64 "\n",
           count.written, count.dropped, lines, skipped);
    check(count.sent == lines, "all lines that were sent have come");
    check(count.skipped == skipped, "all that were skipped have been told");
    check(count.written * WATCHERS == lines + skipped,
          "each event went to each watcher, or was skipped for it");
    /* Otherwise the threads did not meet where it matters. */
    check(count.dropped > 0, "rings were full");
    check(empties > 0, "and empty");
    check(readers[WATCHERS - 1].skips > 0, "a slow watcher was overrun");
    check(atomic_load_explicit(&wakes, memory_order_relaxed) > 0,
          "watchers were woken"); /* relaxed: as above */
}

int
main(void)
{
    const char *text = getenv("STRESS_SECONDS");
    uint64_t seconds = text != NULL ? strtoull(text, NULL, 10) : 0;
    struct watch_options options = { SOURCE_SIZE, WATCH_SIZE, clock_unix_us };
    watch = watch_create(&options);
    if (watch == NULL) {
        printf("no memory\n");
        return EXIT_FAILURE;
    }
    for (unsigned i = 0; i < WATCHERS; i++) {
        readers[i].slow = i == WATCHERS - 1;
        memset(readers[i].counts, 0xff, sizeof(readers[i].counts));
        if (watch_open(watch, WATCH_FETCHERS, count_wake, NULL, &readers[i].watcher) != WATCH_OK) {
            printf("no watcher\n");
            return EXIT_FAILURE;
        }
        start(&readers[i].thread, run_reader, &readers[i]);
    }
    pthread_t drain;
    start(&drain, run_drain, NULL);
    for (unsigned i = 0; i < WRITERS + SHARERS; i++) {
        writers[i].number = i;
        writers[i].source = i < WRITERS ? watch_source_open(watch) : NULL;
        start(&writers[i].thread, run_writer, &writers[i]);
    }
    struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
    for (uint64_t end = clock_monotonic_us() + (seconds > 0 ? seconds : 5) * 1000000;
         clock_monotonic_us() < end;) {
        nanosleep(&pause, NULL);
    }
    set(&stop_writing);
    for (unsigned i = 0; i < WRITERS + SHARERS; i++) {
        pthread_join(writers[i].thread, NULL);
    }
    set(&stop_draining);
    pthread_join(drain, NULL);
    set(&stop_reading);
    for (unsigned i = 0; i < WATCHERS; i++) {
        pthread_join(readers[i].thread, NULL);
    }
    (void)watch_drain(watch); /* what the slow one has missed at the end */
    for (unsigned i = 0; i < WATCHERS; i++) {
        (void)run_reader(&readers[i]);
    }
    report();
    for (unsigned i = 0; i < WRITERS; i++) {
        watch_source_close(watch, &writers[i].source);
    }
    for (unsigned i = 0; i < WATCHERS; i++) {
        watch_close(watch, &readers[i].watcher);
    }
    watch_destroy(watch);
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
