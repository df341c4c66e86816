#include "config.h"

#include "mysql/record.h"

#include "base/assert.h"

void
record_flush_prefix(struct record_actor *actor, const void *prefix, uint32_t len)
{
    if (!cache_flush_prefix(actor->cache, prefix, len)) {
        cache_flush(actor->cache, cache_now(actor->cache));
    }
    metric_add(&actor->counts.epoch_bumps, 1);
}

static void
delete_key(struct record_actor *actor, const struct record_op *op, bool counts)
{
    bool was_claimed = false;
    enum cache_result result =
        cache_void(actor->cache, actor->thread, op->bytes, op->key_len, &was_claimed);
    if (result == CACHE_OK) {
        metric_add(&actor->counts.delete_hits, 1);
    }
    if (was_claimed) {
        metric_add(&actor->counts.token_voided, 1);
    }
    if (counts) {
        metric_add(&actor->counts.deletes, 1);
    }
}

static void
mark_stale(struct record_actor *actor, const struct record_op *op, uint32_t ttl_s)
{
    struct cache_invalidation how = {
        .stale = true,
        .set_expiry = ttl_s > 0,
        .expires_at = cache_now(actor->cache) + ttl_s,
        .by_observer = true,
    };
    switch (cache_invalidate(actor->cache, actor->thread, op->bytes, op->key_len, &how)) {
    case CACHE_OK:
        metric_add(&actor->counts.stale_marks, 1);
        return;
    case CACHE_MISS:
        return;
    case CACHE_EXISTS:
    case CACHE_NOT_STORED:
    case CACHE_TOO_LARGE:
    case CACHE_NO_MEMORY:
    case CACHE_NOT_NUMBER:
        delete_key(actor, op, true); /* what cannot be marked goes */
        return;
    }
}

/** Writes through.  False: the key is as it was. */
static bool
store(struct record_actor *actor, const struct record_op *op)
{
    struct cache_store store;
    int64_t expires_at = op->ttl_s > 0 ? cache_now(actor->cache) + op->ttl_s : CACHE_NEVER;
    enum cache_result result = cache_store_begin(actor->cache, actor->thread, op->bytes,
                                                 op->key_len, op->value_len, 0, expires_at, &store);
    if (result != CACHE_OK) {
        return false;
    }
    if (op->value_len > 0) {
        result = cache_store_write(actor->cache, actor->thread, &store, op->bytes + op->key_len,
                                   op->value_len);
        if (result != CACHE_OK) {
            return false;
        }
    }
    store.by_observer = true;
    result = cache_store_commit(actor->cache, actor->thread, &store,
                                op->if_exists ? CACHE_REPLACE : CACHE_SET, 0, NULL);
    if (result == CACHE_OK) {
        metric_add(&actor->counts.sets, 1);
    }
    return result == CACHE_OK || result == CACHE_NOT_STORED;
}

static void
count_rule(struct record_actor *actor, const struct record_op *op)
{
    if (actor->rule_ops != NULL && op->rule != RECORD_NO_RULE) {
        metric_add(&actor->rule_ops[op->rule], 1);
    }
}

void
record_apply_arrival(struct record_actor *actor, const struct record_op *op)
{
    count_rule(actor, op);
    switch ((enum record_kind)op->kind) {
    case RECORD_DELETE:
        if (op->is_downgraded) {
            metric_add(&actor->counts.sets_downgraded, 1);
        }
        delete_key(actor, op, true);
        return;
    case RECORD_STALE:
        mark_stale(actor, op, op->ttl_s);
        return;
    case RECORD_SET:
        /* Whether the key is there must still be known when the value is stored. */
        if (op->if_exists) {
            mark_stale(actor, op, 0);
        } else {
            delete_key(actor, op, true);
        }
        return;
    case RECORD_FLUSH:
        record_flush_prefix(actor, op->bytes, op->key_len);
        return;
    case RECORD_BEGIN:
    case RECORD_END:
    case RECORD_CAUGHT_UP:
        break;
    }
    assert(false && "not an operation");
}

void
record_apply_visible(struct record_actor *actor, const struct record_op *op)
{
    switch ((enum record_kind)op->kind) {
    case RECORD_DELETE:
        delete_key(actor, op, false);
        return;
    case RECORD_STALE:
        mark_stale(actor, op, op->ttl_s);
        return;
    case RECORD_SET:
        if (!store(actor, op)) {
            metric_add(&actor->counts.sets_downgraded, 1);
            delete_key(actor, op, true);
        }
        return;
    case RECORD_FLUSH:
        record_flush_prefix(actor, op->bytes, op->key_len);
        return;
    case RECORD_BEGIN:
    case RECORD_END:
    case RECORD_CAUGHT_UP:
        break;
    }
    assert(false && "not an operation");
}
