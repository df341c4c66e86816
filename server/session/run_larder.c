/* Commands that memcached does not have: `larder flush_prefix` and `larder scan`; for `larder
 * snapshot` see run_snapshot.c. */
#include "config.h"

#include "session/session_priv.h"

#include "proto/dump.h"

#include <stdlib.h>

#define SCAN_COUNT_DEFAULT 100u
#define SCAN_COUNT_MAX     1000u
#define SCAN_STEPS_MAX     512u         /* places of the index that one command looks at */
#define SCAN_BYTES         (64u * 1024) /* of lines, behind which the command ends */
#define SCAN_REPLY_CAP     (SCAN_BYTES + CACHE_SCAN_ITEMS * DUMP_LINE_MAX + 64)

#define BAD_LINE "CLIENT_ERROR bad command line format\r\n"

/* -- flush_prefix ------------------------------------------------------------------------------ */

/** The answer, or NULL when the session waits. */
static const char *
flush_prefix(struct session *session, const struct request *request, unsigned count)
{
    struct session_worker *worker = session->worker;
    if (count != 2 || request->args[1].len > KEY_LEN_MAX) {
        return BAD_LINE;
    }
    if (flush_must_wait(session, CACHE_FLUSH_PREFIX)) {
        return NULL;
    }
    metric_add(&worker->stats.cmd_flush, 1);
    if (worker->settings->flush_disabled) {
        return "CLIENT_ERROR flush_prefix not allowed\r\n";
    }
    if (worker->settings->cas_disabled) {
        return "SERVER_ERROR flush_prefix needs CAS ids, which -C leaves out\r\n";
    }
    if (!cache_flush_prefix(worker->cache, request->args[1].at, (uint32_t)request->args[1].len)) {
        return "SERVER_ERROR too many prefixes are being flushed\r\n";
    }
    return "OK\r\n";
}

/* -- scan -------------------------------------------------------------------------------------- */

/** A reply in the making. */
struct scan {
    uint8_t *bytes;
    uint8_t *at;
    struct span prefix;
    uint64_t found;
};

/** cache_visit_fn: a line for a key with the prefix. */
static bool
scan_visit(void *arg, const struct cache_item_info *item)
{
    struct scan *scan = arg;
    if (item->key_len >= scan->prefix.len &&
        memcmp(item->key, scan->prefix.at, scan->prefix.len) == 0) {
        struct dump_item line = { .key = { item->key, item->key_len },
                                  .binary_key = item->binary_key };
        assert((size_t)(scan->at - scan->bytes) + DUMP_LINE_MAX <= SCAN_REPLY_CAP);
        scan->at = dump_write_mg(scan->at, &line);
        scan->found++;
    }
    return true;
}

/** Cursor, prefix ("*" for all) and count of a command line; false if they are none. */
static bool
scan_words(const struct request *request, unsigned count, uint64_t *cursor, struct span *prefix,
           uint64_t *wanted)
{
    *prefix = (struct span){ (const uint8_t *)"", 0 };
    *wanted = SCAN_COUNT_DEFAULT;
    if (count < 2 || count > 4 || !word_number(&request->args[1], UINT64_MAX, cursor)) {
        return false;
    }
    if (count > 2 && !span_equals(request->args[2], "*")) {
        *prefix = request->args[2];
    }
    return count < 4 || (word_number(&request->args[3], SCAN_COUNT_MAX, wanted) && *wanted > 0);
}

static enum step
run_scan(struct session *session, const struct request *request, unsigned count)
{
    struct session_worker *worker = session->worker;
    struct scan scan = { 0 };
    struct cache_scan walk = { 0 };
    uint64_t wanted;
    if (worker->settings->dump_disabled) {
        TX_PUT(worker, "CLIENT_ERROR scan not allowed\r\n");
        return STEP_ON;
    }
    if (!scan_words(request, count, &walk.at, &scan.prefix, &wanted)) {
        TX_PUT(worker, BAD_LINE);
        return STEP_ON;
    }
    scan.bytes = scan.at = malloc(SCAN_REPLY_CAP);
    if (scan.bytes == NULL) {
        TX_PUT(worker, "SERVER_ERROR out of memory\r\n");
        return STEP_ON;
    }
    bool more = true;
    cache_enter(worker->thread);
    for (unsigned steps = 0; more && steps < SCAN_STEPS_MAX && scan.found < wanted &&
                             (size_t)(scan.at - scan.bytes) < SCAN_BYTES;
         steps++) {
        more = cache_scan(worker->cache, worker->thread, &walk, scan_visit, &scan, 1);
    }
    cache_leave(worker->thread);
    memcpy(scan.at, "END ", 4);
    scan.at = text_write_number(scan.at + 4, more ? walk.at : 0);
    tx_put_long(worker, NULL, scan.bytes, (uint64_t)(scan.at - scan.bytes));
    return STEP_ON; /* to the end of the turn: so who does not read holds one such reply at most */
}

enum step
larder_run(struct session *session, const struct request *request)
{
    struct session_worker *worker = session->worker;
    unsigned count = args_count(request);
    const char *text = "ERROR\r\n";
    if (count > 0 && span_equals(request->args[0], "scan")) {
        return request->noreply ? STEP_ON : run_scan(session, request, count);
    }
    if (count > 0 && span_equals(request->args[0], "snapshot")) {
        return snapshot_run(session, request, count);
    }
    if (count > 0 && span_equals(request->args[0], "flush_prefix")) {
        text = flush_prefix(session, request, count);
    }
    if (text != NULL && !request->noreply) {
        tx_put(worker, text, strlen(text));
    }
    return STEP_ON;
}
