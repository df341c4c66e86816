/* What the files of the meta commands share: run_meta.c, run_meta_read.c. */
#ifndef LARDER_SESSION_META_PRIV_H
#define LARDER_SESSION_META_PRIV_H

#include "session/session_priv.h"

/* Bytes in which any meta reply with a value that is copied finds room. */
#define META_VALUE_ROOM (META_HEAD_MAX + CACHE_COPY_MAX + 2 + TX_RESERVE)
_Static_assert(META_VALUE_ROOM <= SESSION_TX_SIZE, "a copied value fits");
_Static_assert(META_HEAD_MAX <= TX_RESERVE && META_NUMBER_MAX <= TX_RESERVE &&
                   META_ME_MAX <= TX_RESERVE,
               "replies without a value fit the reserve");

#define VIVIFY_TRIES_MAX 16u /* of creating a key that others create and delete meanwhile */

static inline int64_t
meta_ttl_left(const struct session_worker *worker, int64_t expires_at)
{
    return expires_at == CACHE_NEVER ? REPLY_TTL_NONE : expires_at - cache_now(worker->cache);
}

/** Writes a head without a value. */
static inline void
meta_put_head(struct session_worker *worker, const struct meta_request *request,
              enum meta_result result, const struct reply_item *item)
{
    uint8_t *at = worker->tx.buf + worker->tx.end;
    worker->tx.end = (uint32_t)(meta_write_head(at, request, result, item) - worker->tx.buf);
}

static inline void
meta_prepare_read(const struct meta_request *request, struct cache_read *read)
{
    read->key = request->key.at;
    read->key_len = (uint32_t)request->key.len;
    read->mode = meta_has(request, 'u') ? CACHE_READ_QUIET : CACHE_READ_HIT;
}

/** When an item expires that N creates: N and T count in the order in which they stand; `told` is
 * what the t flag knows. */
int64_t meta_vivify_expires_at(const struct session_worker *worker,
                               const struct meta_request *request, int64_t *told);
/** The time that the item has left, for the t flag. */
int64_t meta_ttl_of_key(struct session_worker *worker, const struct meta_request *request);
/** mg with a flag that changes something: T, N, R.  The others gather in the batch. */
void meta_run_mg(struct session_worker *worker, const struct meta_request *request);
void meta_run_me(struct session_worker *worker, const struct meta_request *request);

#endif
