/* Reading with the meta commands: mg, me.
 *
 * Consecutive mg lines that only read gather in the worker's meta batch, as gets do in theirs; at
 * most one of the two batches holds anything.  All others run one by one.
 */
#include "config.h"

#include "session/meta_priv.h"

/** What the reply tells of the item that was read; cache_read_more() has been asked. */
static struct reply_item
item_of_read(const struct session_worker *worker, const struct meta_request *request,
             const struct cache_read *read)
{
    int64_t expires_at = read->expires_at;
    if (meta_has(request, 'T') && !request->ttl_before_touch) {
        expires_at = session_expires_at(worker, request->exptime);
    }
    return (struct reply_item){ .cas = read->cas,
                                .ttl_s = meta_ttl_left(worker, expires_at),
                                .idle_s = read->idle_s,
                                .client_flags = read->client_flags,
                                .value_len = read->value_len,
                                .fetched = read->fetched,
                                .key_binary = read->binary_key || meta_has(request, 'b'),
                                .stale = read->stale };
}

/** Finds out who is to make the item anew; asked once for a request, however often the read is
 * tried. */
static void
claim_once(struct session_worker *worker, const struct meta_request *request,
           const struct cache_read *read, enum cache_claim *claim)
{
    bool due = false;
    if (meta_has(request, 'R')) {
        bool touched = meta_has(request, 'T') && !request->recache_before_touch;
        int64_t expires_at =
            touched ? session_expires_at(worker, request->exptime) : read->expires_at;
        due =
            expires_at != CACHE_NEVER && expires_at - cache_now(worker->cache) < request->recache_s;
    }
    if (*claim != CACHE_CLAIM_WON && (due || read->stale || read->claimed)) {
        *claim = cache_claim(worker->cache, read, due);
    }
}

/** The head of a hit's reply, with flags to give back or for an item that has marks. */
static uint8_t *
write_head(struct session_worker *worker, const struct meta_request *request,
           struct cache_read *read, bool value, enum cache_claim *claim, uint8_t *at)
{
    cache_read_more(worker->cache, read);
    claim_once(worker, request, read, claim);
    struct reply_item item = item_of_read(worker, request, read);
    item.won = *claim == CACHE_CLAIM_WON;
    item.sent = *claim == CACHE_CLAIM_TAKEN;
    return meta_write_head(at, request, value ? META_VA : META_HD, &item);
}

/** Reads the item, and writes the reply of a hit at the end of the output.  False when there is
 * none (any more). */
static bool
answer_hit(struct session_worker *worker, const struct meta_request *request,
           struct cache_read *read, enum cache_result found)
{
    enum cache_claim claim = CACHE_CLAIM_NONE;
    struct tx *tx = &worker->tx;
    for (; found == CACHE_OK; found = cache_find(worker->cache, worker->thread, read)) {
        bool known = meta_has(request, 'C') && request->cas == read->cas &&
                     read->cas != 0; /* 0 is no id: -C */
        bool value = meta_has(request, 'v') && !known;
        uint8_t *at = tx->buf + tx->end;
        if (value && request->returns_count == 0 && !read->marked && !meta_has(request, 'R') &&
            claim == CACHE_CLAIM_NONE) {
            at = meta_write_value_head(at, read->value_len);
        } else {
            at = write_head(worker, request, read, value, &claim, at);
        }
        if (value && read->pin == NULL) {
            cache_copy(worker->cache, read, at);
            at += read->value_len;
        }
        if (!cache_hit(worker->cache, worker->thread, read)) {
            continue; /* it changed meanwhile: what was written is void */
        }
        tx->end = (uint32_t)(at - tx->buf);
        if (value && read->pin != NULL) {
            tx_put_long(worker, read->pin, NULL, read->value_len);
            read->pin = NULL;
        }
        if (value) {
            TX_PUT(worker, "\r\n");
        }
        if (read->pin != NULL) {
            cache_unpin(worker->cache, worker->thread, &read->pin);
        }
        return true;
    }
    return false;
}

static void
answer_miss(struct session_worker *worker, const struct meta_request *request)
{
    if (!meta_has(request, 'q')) {
        struct reply_item item = { .key_binary = meta_has(request, 'b') };
        meta_put_head(worker, request, META_EN, &item);
    }
}

/** Looks at the item for ends of our own.  On true the batch's first read tells what it is. */
static bool
peek(struct session_worker *worker, const struct meta_request *request)
{
    struct cache_read *read = &worker->meta.reads[0];
    meta_prepare_read(request, read);
    read->mode = CACHE_READ_PEEK;
    enum cache_result found = cache_find_one(worker->cache, worker->thread, read);
    while (found == CACHE_OK) {
        cache_read_more(worker->cache, read);
        bool hit = cache_hit(worker->cache, worker->thread, read);
        if (read->pin != NULL) {
            cache_unpin(worker->cache, worker->thread, &read->pin);
        }
        if (hit) {
            return true;
        }
        found = cache_find(worker->cache, worker->thread, read);
    }
    return false;
}

int64_t
meta_vivify_expires_at(const struct session_worker *worker, const struct meta_request *request,
                       int64_t *told)
{
    int64_t expires_at = session_expires_at(worker, request->vivify_exptime);
    *told = request->ttl_before_vivify ? CACHE_NEVER : expires_at;
    if (meta_has(request, 'T')) {
        int64_t touched = session_expires_at(worker, request->exptime);
        if (!request->ttl_before_touch &&
            (request->vivify_before_touch || request->ttl_before_vivify)) {
            *told = touched;
        }
        if (request->vivify_before_touch) {
            expires_at = touched;
        }
    }
    return expires_at;
}

/** Creates an empty item for a key that is missing; its first reader wins it.  False when it is
 * there after all. */
static bool
vivify(struct session_worker *worker, const struct meta_request *request, enum cache_result *result)
{
    struct cache_store store;
    uint64_t cas = 0;
    int64_t told;
    int64_t expires_at = meta_vivify_expires_at(worker, request, &told);
    *result = cache_store_begin(worker->cache, worker->thread, request->key.at,
                                (uint32_t)request->key.len, 0, 0, expires_at, &store);
    if (*result == CACHE_OK) {
        store.claimed = true;
        store.fetched = !meta_has(request, 'u');
        store.binary_key = meta_has(request, 'b');
        store.cas_new = meta_has(request, 'E') ? request->cas_new : 0;
        *result = cache_store_commit(worker->cache, worker->thread, &store, CACHE_ADD, 0, &cas);
    }
    if (*result == CACHE_NOT_STORED) {
        return false;
    }
    if (*result == CACHE_OK) {
        struct reply_item item = { .cas = cas,
                                   .ttl_s = meta_ttl_left(worker, told),
                                   .key_binary = meta_has(request, 'b'),
                                   .won = true };
        bool value = meta_has(request, 'v');
        meta_put_head(worker, request, value ? META_VA : META_HD, &item);
        if (value) {
            TX_PUT(worker, "\r\n");
        }
    }
    return true;
}

/** Counts an mg.  read   what it has found, or NULL. */
static void
note_mg(struct session_worker *worker, const struct meta_request *request,
        const struct cache_read *read)
{
    note_request(worker, request->key.at, request->key.len,
                 read != NULL && meta_has(request, 'v') ? read->value_len : 0);
}

void
meta_run_mg(struct session_worker *worker, const struct meta_request *request)
{
    struct cache_read *read = &worker->meta.reads[0];
    bool touch = meta_has(request, 'T');
    metric_add(touch ? &worker->stats.cmd_touch : &worker->stats.cmd_get, 1);
    note_lookup(worker, request->key.at, request->key.len);
    for (unsigned tries = 0; tries < VIVIFY_TRIES_MAX; tries++) {
        meta_prepare_read(request, read);
        if (touch || tries > 0) { /* counts as a touch, or has been counted */
            read->mode = meta_has(request, 'u') ? CACHE_READ_PEEK : CACHE_READ_USE;
        }
        bool hit =
            answer_hit(worker, request, read, cache_find_one(worker->cache, worker->thread, read));
        if (touch) {
            /* Counts the touch's hit or miss, too; whether it is a use the read has settled. */
            enum cache_result touched = cache_touch_as(
                worker->cache, worker->thread, request->key.at, (uint32_t)request->key.len,
                session_expires_at(worker, request->exptime), CACHE_READ_QUIET);
            assert(touched == CACHE_OK || touched == CACHE_MISS);
        }
        if (hit) {
            note_mg(worker, request, read);
            return;
        }
        enum cache_result result;
        if (!meta_has(request, 'N')) {
            break;
        }
        if (vivify(worker, request, &result)) {
            if (result != CACHE_OK) {
                TX_PUT(worker, "SERVER_ERROR out of memory storing object\r\n");
            }
            note_mg(worker, request, NULL);
            return;
        }
    }
    answer_miss(worker, request);
    note_mg(worker, request, NULL);
}

enum step
meta_batch_answer(struct session *session)
{
    struct session_worker *worker = session->worker;
    struct meta_batch *batch = &worker->meta;
    unsigned count = batch->count;
    struct tx *tx = &worker->tx;
    batch->count = 0;
    if (count > 1) {
        cache_prefetch(worker->cache, batch->reads, count);
    }
    for (unsigned i = 0; i < count; i++) {
        struct cache_read *read = &batch->reads[i];
        /* Before the look-up, for what has been found must be read to its end. */
        if (tx->cap - tx->end < META_VALUE_ROOM || !tx_takes_long(tx)) {
            metric_add(&worker->stats.cmd_get, i);
            worker->rx_at = batch->line_at[i];
            return STEP_SEND;
        }
        enum cache_result found = read_find(worker, read, count);
        bool hit = answer_hit(worker, &batch->requests[i], read, found);
        if (!hit) {
            answer_miss(worker, &batch->requests[i]);
        }
        if (__builtin_expect((worker->watching & (WATCH_FETCHERS | NOTE_HOTKEYS)) != 0, 0)) {
            note_fetch(worker, read, hit);
            note_mg(worker, &batch->requests[i], hit ? read : NULL);
        }
    }
    metric_add(&worker->stats.cmd_get, count);
    return STEP_ON;
}

int64_t
meta_ttl_of_key(struct session_worker *worker, const struct meta_request *request)
{
    return peek(worker, request) ? meta_ttl_left(worker, worker->meta.reads[0].expires_at)
                                 : REPLY_TTL_NONE;
}

void
meta_run_me(struct session_worker *worker, const struct meta_request *request)
{
    metric_add(&worker->stats.cmd_meta, 1);
    note_lookup(worker, request->key.at, request->key.len);
    note_request(worker, request->key.at, request->key.len, 0);
    if (!peek(worker, request)) {
        TX_PUT(worker, "EN\r\n");
        return;
    }
    const struct cache_read *read = &worker->meta.reads[0];
    struct reply_item item = item_of_read(worker, request, read);
    uint64_t size = (uint64_t)read->value_at + read->value_len;
    uint8_t *at = worker->tx.buf + worker->tx.end;
    worker->tx.end =
        (uint32_t)(meta_write_me(at, request->key, &item, read->class_id, size) - worker->tx.buf);
}
