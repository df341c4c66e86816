#include "config.h"

#include "mysql/pool.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_LEN 4096u /* bytes; a longer piece has a block of its own */

struct pool_block {
    struct pool_block *before;
    size_t len;
    size_t used;
    alignas(max_align_t) uint8_t bytes[];
};

void
pool_init(struct pool *pool, size_t size_max)
{
    *pool = (struct pool){ .size_max = size_max };
}

void
pool_fini(struct pool *pool)
{
    while (pool->last != NULL) {
        struct pool_block *block = pool->last;
        pool->last = block->before;
        free(block);
    }
    pool->size = 0;
}

void *
pool_take(struct pool *pool, size_t len)
{
    if (len > pool->size_max) {
        return NULL;
    }
    size_t padded = (len + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    struct pool_block *block = pool->last;
    if (block == NULL || block->len - block->used < padded) {
        size_t block_len = padded > BLOCK_LEN ? padded : BLOCK_LEN;
        if (pool->size_max - pool->size < block_len) {
            return NULL;
        }
        block = calloc(1, sizeof(*block) + block_len);
        if (block == NULL) {
            return NULL;
        }
        block->len = block_len;
        block->before = pool->last;
        pool->last = block;
        pool->size += block_len;
    }
    void *at = block->bytes + block->used;
    block->used += padded;
    return at;
}

char *
pool_copy(struct pool *pool, const void *bytes, size_t len)
{
    char *copy = pool_take(pool, len + 1);
    if (copy != NULL && len > 0) {
        memcpy(copy, bytes, len);
    }
    return copy;
}
