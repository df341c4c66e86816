/* Memory that is taken in pieces and given back at once. */
#ifndef LARDER_MYSQL_POOL_H
#define LARDER_MYSQL_POOL_H

#include <stddef.h>

struct pool_block;

struct pool {
    struct pool_block *last; /* NULL: nothing taken yet */
    size_t size;             /* bytes of all blocks */
    size_t size_max;
};

void pool_init(struct pool *pool, size_t size_max);
void pool_fini(struct pool *pool);

/** Takes `len` bytes, zeroed, aligned for anything.  NULL without memory, or past size_max. */
void *pool_take(struct pool *pool, size_t len);

/** Takes a copy of the bytes, with a NUL behind them. */
char *pool_copy(struct pool *pool, const void *bytes, size_t len);

#endif
