/* lru_crawler crawl, metadump and mgdump.
 *
 * A dump writes a slice of lines whenever its turn comes and the send buffer has room, so that
 * neither its length nor its client's slowness costs anyone else more than a slice.  Between two
 * slices it is a place in a walk (cache_scan()) and nothing more. */
#include "config.h"

#include "session/session_priv.h"

#include "base/percent.h"
#include "engine/stats.h"
#include "proto/dump.h"

#include <stdlib.h>

#define DUMP_SLICE_STEPS 24u          /* of the walk: some 200 items, about 100 us */
#define DUMP_SLICE_BYTES (24u * 1024) /* of lines, after which a slice ends as well */
#define DUMP_ROOM        (CACHE_SCAN_ITEMS * DUMP_LINE_MAX + TX_RESERVE) /* for one step */
#define CLASS_IDS_MIN    64u /* ids below are always legal: the original has so many classes */
_Static_assert(DUMP_ROOM + DUMP_SLICE_BYTES <= SESSION_TX_SIZE, "a slice fits");

#define NO_CLASSES  "NOTSTARTED no items to crawl\r\n"
#define BAD_CLASS   "BADCLASS invalid class id\r\n"
#define IS_BUSY     "BUSY currently processing crawler request\r\n"
#define IS_DISABLED "CLIENT_ERROR lru crawler disabled\r\n"

struct dump {
    struct cache_scan scan;
    struct cache_class_set classes;
    bool all;    /* whatever the class */
    bool mg;     /* mgdump */
    bool walked; /* END is left to be sent */
};

/* -- which classes ----------------------------------------------------------------------------- */

/** "1,2,3"; NULL, or what is wrong with it. */
static const char *
classes_of(const struct session_worker *worker, const struct span *list,
           struct cache_class_set *classes)
{
    unsigned classes_count = cache_classes(worker->cache);
    struct span left = *list;
    bool any = false;
    *classes = (struct cache_class_set){ { 0 } };
    while (left.len > 0) {
        const uint8_t *comma = memchr(left.at, ',', left.len);
        struct span word = { left.at, comma != NULL ? (size_t)(comma - left.at) : left.len };
        size_t step = word.len + (comma != NULL);
        left = (struct span){ left.at + step, left.len - step };
        if (word.len == 0) {
            continue;
        }
        uint64_t id;
        if (!word_number(&word, CACHE_CLASSES_MAX, &id) || id == 0 ||
            (id >= CLASS_IDS_MIN && id > classes_count)) {
            return BAD_CLASS;
        }
        cache_class_set_add(classes, (unsigned)id);
        any = true;
    }
    return any ? NULL : NO_CLASSES;
}

static struct cache_class_set
all_classes(void)
{
    return (struct cache_class_set){ { UINT64_MAX, UINT64_MAX } };
}

static bool
is_dumping(const struct server_stats *stats)
{
    return atomic_load_explicit(&stats->dumping, memory_order_relaxed); /* relaxed: one flag */
}

/* -- crawl ------------------------------------------------------------------------------------- */

static const char *
crawl(struct session_worker *worker, const struct span *list)
{
    if (!settings_get(worker->settings, lru_crawler)) {
        return IS_DISABLED;
    }
    struct cache_class_set classes = all_classes();
    if (span_equals(*list, "hash")) {
        return "ERROR an unknown error happened\r\n"; /* the original's: only dumps know it */
    }
    if (!span_equals(*list, "all")) {
        const char *error = classes_of(worker, list, &classes);
        if (error != NULL) {
            return error;
        }
    }
    if (is_dumping(worker->server_stats) || !cache_sweep_now(worker->cache, &classes)) {
        return IS_BUSY;
    }
    return "OK\r\n";
}

/* -- dumps ------------------------------------------------------------------------------------- */

/** Whether a command has run in this turn already: its reply would leave together with the dump. */
static bool
is_pipelined(const struct session_worker *worker)
{
    return worker->budget + 1 < worker->settings->reqs_per_event;
}

/** Why no dump may begin, or NULL; then `dump` says which. */
static const char *
dump_refusal(const struct session_worker *worker, const struct span *list, struct dump *dump)
{
    if (!settings_get(worker->settings, lru_crawler)) {
        return IS_DISABLED;
    }
    if (worker->settings->dump_disabled) {
        return dump->mg ? "ERROR key dump not allowed\r\n" : "ERROR metadump not allowed\r\n";
    }
    if (is_pipelined(worker)) {
        return dump->mg ? "ERROR cannot pipeline other commands before mgdump\r\n"
                        : "ERROR cannot pipeline other commands before metadump\r\n";
    }
    dump->all = span_equals(*list, "all") || span_equals(*list, "hash");
    return dump->all ? NULL : classes_of(worker, list, &dump->classes);
}

/** Takes the one place that there is for a dump. */
static bool
take_place(struct session_worker *worker)
{
    struct server_stats *stats = worker->server_stats;
    struct cache_stats cache;
    cache_stats_read(worker->cache, &cache);
    bool free_place = false;
    /* relaxed: one flag, ordered with nothing */
    return !cache.sweeping &&
           atomic_compare_exchange_strong_explicit(&stats->dumping, &free_place, true,
                                                   memory_order_relaxed, memory_order_relaxed);
}

static void
give_place(struct session_worker *worker)
{
    atomic_store_explicit(&worker->server_stats->dumping, false,
                          memory_order_relaxed); /* relaxed: as take_place() */
}

static const char *
dump_begin(struct session *session, bool mg, const struct span *list)
{
    struct session_worker *worker = session->worker;
    struct dump fresh = { .mg = mg };
    const char *error = dump_refusal(worker, list, &fresh);
    if (error != NULL) {
        return error;
    }
    struct dump *dump = malloc(sizeof(*dump));
    if (dump == NULL) {
        return "SERVER_ERROR out of memory\r\n";
    }
    if (!take_place(worker)) {
        free(dump);
        return IS_BUSY;
    }
    *dump = fresh;
    metric_add_shared(&worker->server_stats->dumps, 1);
    session->dump = dump;
    session_become(session, SESSION_DUMP);
    return "OK\r\n";
}

void
dump_drop(struct session *session)
{
    assert(session->state == SESSION_DUMP);
    free(session->dump);
    session->dump = NULL;
    give_place(session->worker);
}

/* What the visits of one slice need. */
struct slice {
    struct session_worker *worker;
    const struct dump *dump;
};

/** cache_visit_fn: a line. */
static bool
put_line(void *arg, const struct cache_item_info *info)
{
    const struct slice *slice = arg;
    const struct dump *dump = slice->dump;
    struct tx *tx = &slice->worker->tx;
    if (!dump->all && !cache_class_set_has(&dump->classes, info->class_id)) {
        return true;
    }
    char encoded[PERCENT_GROWTH * KEY_LEN_MAX];
    struct span key = { info->key, info->key_len };
    if (!dump->mg) {
        key.len = (size_t)(percent_encode(encoded, info->key, info->key_len) - encoded);
        key.at = (const uint8_t *)encoded;
    }
    struct dump_item item = {
        .key = key,
        .binary_key = info->binary_key,
        .fetched = info->fetched,
        .class_id = info->class_id,
        .expires_at = info->expires_at,
        .used_at = info->used_at,
        .cas = info->cas,
        .size = info->item_size,
        .flags = info->client_flags,
    };
    assert(tx->cap - tx->end >= DUMP_LINE_MAX);
    uint8_t *at = tx->buf + tx->end;
    at = dump->mg ? dump_write_mg(at, &item) : dump_write_meta(at, &item);
    tx->end = (uint32_t)(at - tx->buf);
    return true;
}

enum step
dump_run(struct session *session)
{
    struct session_worker *worker = session->worker;
    struct dump *dump = session->dump;
    struct tx *tx = &worker->tx;
    struct slice slice = { worker, dump };
    uint32_t from = tx->end;
    for (unsigned steps = 0; !dump->walked; steps++) {
        if (tx->cap - tx->end < DUMP_ROOM || !tx_has_room(tx)) {
            return STEP_SEND;
        }
        if (steps == DUMP_SLICE_STEPS || tx->end - from >= DUMP_SLICE_BYTES) {
            return STEP_AGAIN;
        }
        dump->walked = !cache_scan(worker->cache, worker->thread, &dump->scan, put_line, &slice, 1);
    }
    if (dump->mg) {
        TX_PUT(worker, "EN\r\n");
    } else {
        TX_PUT(worker, "END\r\n");
    }
    dump_drop(session);
    session_become(session, SESSION_COMMAND);
    return STEP_ON;
}

/* -- lru_crawler ------------------------------------------------------------------------------- */

const char *
crawler_run(struct session *session, const struct request *request)
{
    const struct span *args = request->args;
    unsigned count = args_count(request);
    if (count == 2 && span_equals(args[0], "crawl")) {
        return crawl(session->worker, &args[1]);
    }
    bool mg = count == 2 && span_equals(args[0], "mgdump");
    if (mg || (count == 2 && span_equals(args[0], "metadump"))) {
        /* A dump is nothing but reply. */
        return request->noreply ? "" : dump_begin(session, mg, &args[1]);
    }
    return tune_crawler(session->worker, request);
}
