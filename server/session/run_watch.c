/* watch: a session that has become a watcher, and what the others' sessions note for it.
 *
 * What is noted here is out of the hot path: session_worker.watching is 0 while nobody watches.
 * A command that changes an item is noted with what stood under its key before, as the original
 * does it; that is looked up apart, so that another thread may come between.
 */
#include "config.h"

#include "session/session_priv.h"

#define WATCH_PULL_MAX (16u * 1024) /* bytes of lines in one run, and what a slow watcher holds */
_Static_assert(WATCH_PULL_MAX + TX_RESERVE <= SESSION_TX_SIZE, "lines find room");
_Static_assert(KEY_LEN_MAX <= WATCH_TEXT_MAX, "an event holds any key");

/* -- the watcher ------------------------------------------------------------------------------- */

/** The classes that the words name; 0 when one of them is unknown. */
static uint32_t
classes_of(const struct request *request)
{
    if (request->args_count == 0) {
        return WATCH_FETCHERS;
    }
    uint32_t classes = 0;
    for (unsigned i = 0; i < request->args_count; i++) {
        uint32_t class = watch_class_named(request->args[i].at, request->args[i].len);
        if (class == 0) {
            return 0;
        }
        classes |= class;
    }
    return classes;
}

/** Turns the session into a watcher; NULL, or the refusal. */
static const char *
become_watcher(struct session *session, uint32_t classes)
{
    struct session_worker *worker = session->worker;
    const struct session_host *host = worker->host;
    if (worker->server_stats->watch == NULL || host == NULL || host->watch_begun == NULL) {
        return "WATCHER_FAILED failed to add log watcher\r\n";
    }
    struct watcher *watcher;
    switch (
        watch_open(worker->server_stats->watch, classes, host->watch_wake, host->arg, &watcher)) {
    case WATCH_OK:
        break;
    case WATCH_TOO_MANY:
        return "WATCHER_TOO_MANY log watcher limit reached\r\n";
    case WATCH_NO_ROOM:
        return "WATCHER_FAILED failed to add log watcher\r\n";
    }
    if (!host->watch_begun(host->arg)) {
        watch_close(worker->server_stats->watch, &watcher);
        return "WATCHER_FAILED failed to add log watcher\r\n";
    }
    session_become(session, SESSION_WATCH);
    session->watcher = watcher;
    return NULL;
}

const char *
watch_begin(struct session *session, const struct request *request)
{
    struct session_worker *worker = session->worker;
    if (worker->settings->watch_disabled) {
        return "CLIENT_ERROR watch commands not allowed\r\n";
    }
    /* The replies of commands before it would stand between its lines. */
    if (worker->budget + 1 < worker->settings->reqs_per_event) {
        return "ERROR cannot pipeline other commands before watch\r\n";
    }
    uint32_t classes = classes_of(request);
    if (classes == 0) {
        return "ERROR\r\n";
    }
    const char *refusal = become_watcher(session, classes);
    return refusal != NULL ? refusal : "OK\r\n";
}

enum step
watch_run(struct session *session)
{
    struct session_worker *worker = session->worker;
    worker->rx_at = worker->rx_end; /* nobody listens to a watcher any more */
    struct tx *tx = &worker->tx;
    if (!tx_has_room(tx) || tx->cap - tx->end < WATCH_PULL_MAX) {
        return STEP_SEND;
    }
    size_t len = watcher_take(session->watcher, tx->buf + tx->end, WATCH_PULL_MAX);
    tx->end += (uint32_t)len;
    return len > 0 ? STEP_SEND : STEP_READ;
}

void
watch_drop(struct session *session)
{
    if (session->state == SESSION_WATCH) {
        watch_close(session->worker->server_stats->watch, &session->watcher);
        session_become(session, SESSION_CLOSED);
    }
}

/* -- what is noted ----------------------------------------------------------------------------- */

/** The descriptor of the connection whose session runs. */
static int
running_fd(const struct session_worker *worker)
{
    const struct session_host *host = worker->host;
    return host != NULL && host->running_fd != NULL ? host->running_fd(host->arg) : -1;
}

static enum watch_status
absent_status(enum cache_absence absence)
{
    switch (absence) {
    case CACHE_NOT_THERE:
        return WATCH_NOT_FOUND;
    case CACHE_EXPIRED:
        return WATCH_EXPIRED;
    case CACHE_FLUSHED:
        return WATCH_FLUSHED;
    }
    return WATCH_NOT_FOUND; /* not reached: the switch lists every value */
}

static void
note_get(struct session_worker *worker, const void *key, size_t key_len, enum watch_status status,
         uint8_t class_id, uint32_t value_len)
{
    if ((worker->watching & WATCH_FETCHERS) != 0) {
        struct watch_event event = { .type = WATCH_ITEM_GET,
                                     .text_len = (uint8_t)key_len,
                                     .class_id = class_id,
                                     .status = (uint8_t)status,
                                     .fd = running_fd(worker),
                                     .item = { .value_len = value_len } };
        watch_note(worker->watch_source, &event, key);
    }
}

void
note_read(struct session_worker *worker, const struct cache_read *read, bool hit)
{
    if (worker->detail) {
        prefix_count_get(worker->server_stats->prefixes, read->key, read->key_len, hit);
    }
    note_fetch(worker, read, hit);
    note_request(worker, read->key, read->key_len, hit ? read->value_len : 0);
}

void
note_fetch(struct session_worker *worker, const struct cache_read *read, bool hit)
{
    if (hit) {
        note_get(worker, read->key, read->key_len, WATCH_FOUND, read->class_id, read->value_len);
    } else {
        note_get(worker, read->key, read->key_len, absent_status(read->absence), 0, 0);
    }
}

/** Notes what stands under a key, and tells it; CACHE_OK or CACHE_MISS. */
static enum cache_result
note_peeked(struct session_worker *worker, const void *key, size_t key_len,
            struct cache_glimpse *glimpse)
{
    enum cache_result result = cache_peek(worker->cache, key, (uint32_t)key_len, glimpse);
    if (result == CACHE_OK) {
        note_get(worker, key, key_len, WATCH_FOUND, glimpse->class_id, glimpse->value_len);
    } else {
        note_get(worker, key, key_len, absent_status(glimpse->absence), 0, 0);
    }
    return result;
}

void
note_lookup_watched(struct session_worker *worker, const void *key, size_t key_len)
{
    struct cache_glimpse glimpse;
    (void)note_peeked(worker, key, key_len, &glimpse);
}

/* -- stores ------------------------------------------------------------------------------------ */

static uint8_t
command_of(enum cache_store_mode mode)
{
    switch (mode) {
    case CACHE_SET:
        return WATCH_CMD_SET;
    case CACHE_ADD:
        return WATCH_CMD_ADD;
    case CACHE_REPLACE:
        return WATCH_CMD_REPLACE;
    case CACHE_APPEND:
        return WATCH_CMD_APPEND;
    case CACHE_PREPEND:
        return WATCH_CMD_PREPEND;
    case CACHE_CAS:
        return WATCH_CMD_CAS;
    }
    return WATCH_CMD_SET; /* not reached: the switch lists every value */
}

static uint8_t
store_status(enum cache_result result)
{
    switch (result) {
    case CACHE_OK:
        return WATCH_STORED;
    case CACHE_MISS:
        return WATCH_NOT_FOUND;
    case CACHE_EXISTS:
        return WATCH_EXISTS;
    case CACHE_TOO_LARGE:
        return WATCH_TOO_LARGE;
    case CACHE_NO_MEMORY:
        return WATCH_NO_MEMORY;
    case CACHE_NOT_STORED:
    case CACHE_NOT_NUMBER:
        break;
    }
    return WATCH_NOT_STORED;
}

/** What item_store tells as ttl: 0 for never, negative for what is dead already. */
static int64_t
ttl_told(const struct session_worker *worker, int64_t expires_at)
{
    if (expires_at == CACHE_NEVER) {
        return 0;
    }
    int64_t ttl_s = expires_at - cache_now(worker->cache);
    return ttl_s > 0 ? ttl_s : -1;
}

static void
note_store(struct session_worker *worker, const void *key, size_t key_len,
           enum cache_store_mode mode, enum cache_result result, const struct cache_glimpse *item)
{
    if ((worker->watching & WATCH_MUTATIONS) != 0) {
        struct watch_event event = { .type = WATCH_ITEM_STORE,
                                     .text_len = (uint8_t)key_len,
                                     .class_id = item->class_id,
                                     .status = store_status(result),
                                     .fd = running_fd(worker),
                                     .item = { .command = command_of(mode),
                                               .value_len = item->value_len,
                                               .ttl_s = ttl_told(worker, item->expires_at) } };
        watch_note(worker->watch_source, &event, key);
    }
}

void
note_store_refused_watched(struct session_worker *worker, const void *key, size_t key_len,
                           enum cache_store_mode mode, enum cache_result result, uint64_t value_len)
{
    struct cache_glimpse item = { .value_len =
                                      value_len < UINT32_MAX ? (uint32_t)value_len : UINT32_MAX };
    note_store(worker, key, key_len, mode, result, &item);
}

enum cache_result
store_commit_watched(struct session_worker *worker, struct cache_store *store,
                     enum cache_store_mode mode, uint64_t cas, uint64_t *cas_out)
{
    uint8_t key[KEY_LEN_MAX];
    size_t key_len = store->key_len;
    struct cache_glimpse item = { .class_id = store->class_id, .value_len = store->value_len };
    memcpy(key, cache_store_key(worker->cache, store, &item.expires_at), key_len);
    bool joins = mode == CACHE_APPEND || mode == CACHE_PREPEND;
    struct cache_glimpse glimpse;
    (void)note_peeked(worker, key, key_len, &glimpse);
    enum cache_result result =
        cache_store_commit(worker->cache, worker->thread, store, mode, cas, cas_out);
    if (joins && result == CACHE_OK &&
        cache_peek(worker->cache, key, (uint32_t)key_len, &glimpse) == CACHE_OK) {
        item = glimpse; /* the sum, and what it has kept of the old item */
        item.value_len = store->value_len_out;
    }
    note_store(worker, key, key_len, mode, result, &item);
    return result;
}

enum cache_result
delete_watched(struct session_worker *worker, const void *key, size_t key_len, uint64_t cas,
               bool meta)
{
    struct cache_glimpse glimpse;
    (void)note_peeked(worker, key, key_len, &glimpse);
    enum cache_result result =
        cache_delete(worker->cache, worker->thread, key, (uint32_t)key_len, cas);
    if (result == CACHE_OK && (worker->watching & WATCH_DELETIONS) != 0) {
        struct watch_event event = {
            .type = WATCH_DELETED,
            .text_len = (uint8_t)key_len,
            .class_id = glimpse.class_id,
            .fd = running_fd(worker),
            .item = { .command = meta ? WATCH_CMD_MD : WATCH_CMD_DELETE,
                      .value_len = glimpse.value_len },
        };
        watch_note(worker->watch_source, &event, key);
    }
    return result;
}
