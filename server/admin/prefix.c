#include "config.h"

#include "admin/prefix.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

#define PREFIX_BUCKETS                                                         \
    16384u /* a power of two; chains of four at the most prefixes there can be \
            */

struct prefix {
    struct prefix *next;
    uint64_t hash;
    uint64_t gets;
    uint64_t hits;
    uint64_t sets;
    uint64_t deletes;
    size_t len; /* bytes */
    uint8_t bytes[];
};

/** Locking key: (l) lock; the rest is constant. */
struct prefix_stats {
    struct lock lock;
    char delimiter;
    uint64_t seed;           /* random: prefixes come from clients */
    unsigned count;          /* (l) */
    struct prefix **buckets; /* (l) NULL until the first prefix */
};

struct prefix_stats *
prefix_stats_create(char delimiter)
{
    struct prefix_stats *prefixes = calloc(1, sizeof(*prefixes));
    if (prefixes != NULL) {
        lock_init(&prefixes->lock, LOCK_RANK_PREFIX);
        prefixes->delimiter = delimiter;
        prefixes->seed = rng_system();
    }
    return prefixes;
}

void
prefix_stats_destroy(struct prefix_stats *prefixes)
{
    if (prefixes != NULL) {
        prefix_stats_clear(prefixes);
        lock_fini(&prefixes->lock);
        free(prefixes);
    }
}

void
prefix_stats_clear(struct prefix_stats *prefixes)
{
    if (prefixes == NULL) {
        return;
    }
    lock_acquire(&prefixes->lock);
    struct prefix **buckets = prefixes->buckets;
    prefixes->buckets = NULL;
    prefixes->count = 0;
    lock_release(&prefixes->lock);

    for (size_t i = 0; buckets != NULL && i < PREFIX_BUCKETS; i++) {
        for (struct prefix *prefix = buckets[i]; prefix != NULL;) {
            struct prefix *next = prefix->next;
            free(prefix);
            prefix = next;
        }
    }
    free(buckets);
}

/** Finds or adds; NULL when there is no room or memory for another.  The caller holds the lock. */
static struct prefix *
prefix_of(struct prefix_stats *prefixes, const uint8_t *bytes, size_t len)
{
    if (prefixes->buckets == NULL) {
        prefixes->buckets = calloc(PREFIX_BUCKETS, sizeof(prefixes->buckets[0]));
        if (prefixes->buckets == NULL) {
            return NULL;
        }
    }
    uint64_t hash = hash_bytes(bytes, len, prefixes->seed);
    struct prefix **at = &prefixes->buckets[hash % PREFIX_BUCKETS];
    for (struct prefix *prefix = *at; prefix != NULL; prefix = prefix->next) {
        if (prefix->hash == hash && prefix->len == len && memcmp(prefix->bytes, bytes, len) == 0) {
            return prefix;
        }
    }
    if (prefixes->count >= PREFIXES_MAX) {
        return NULL;
    }
    struct prefix *prefix = calloc(1, sizeof(*prefix) + len);
    if (prefix != NULL) {
        prefix->hash = hash;
        prefix->len = len;
        memcpy(prefix->bytes, bytes, len);
        prefix->next = *at;
        *at = prefix;
        prefixes->count++;
    }
    return prefix;
}

/** The prefix's counters with the lock held, or NULL without it. */
static struct prefix *
prefix_acquire(struct prefix_stats *prefixes, const void *key, size_t key_len)
{
    if (prefixes == NULL) {
        return NULL;
    }
    const uint8_t *end = memchr(key, prefixes->delimiter, key_len);
    if (end == NULL) {
        return NULL;
    }
    lock_acquire(&prefixes->lock);
    struct prefix *prefix = prefix_of(prefixes, key, (size_t)(end - (const uint8_t *)key));
    if (prefix == NULL) {
        lock_release(&prefixes->lock);
    }
    return prefix;
}

void
prefix_count_get(struct prefix_stats *prefixes, const void *key, size_t key_len, bool hit)
{
    struct prefix *prefix = prefix_acquire(prefixes, key, key_len);
    if (prefix != NULL) {
        prefix->gets++;
        prefix->hits += hit;
        lock_release(&prefixes->lock);
    }
}

void
prefix_count_set(struct prefix_stats *prefixes, const void *key, size_t key_len)
{
    struct prefix *prefix = prefix_acquire(prefixes, key, key_len);
    if (prefix != NULL) {
        prefix->sets++;
        lock_release(&prefixes->lock);
    }
}

void
prefix_count_delete(struct prefix_stats *prefixes, const void *key, size_t key_len)
{
    struct prefix *prefix = prefix_acquire(prefixes, key, key_len);
    if (prefix != NULL) {
        prefix->deletes++;
        lock_release(&prefixes->lock);
    }
}

void
prefix_stats_visit(struct prefix_stats *prefixes, prefix_visit_fn *visit, void *arg)
{
    assert(visit != NULL);
    if (prefixes == NULL) {
        return;
    }
    lock_acquire(&prefixes->lock);
    for (size_t i = 0; prefixes->buckets != NULL && i < PREFIX_BUCKETS; i++) {
        for (const struct prefix *prefix = prefixes->buckets[i]; prefix != NULL;
             prefix = prefix->next) {
            struct prefix_counts counts = { prefix->bytes, prefix->len,  prefix->gets,
                                            prefix->hits,  prefix->sets, prefix->deletes };
            visit(arg, &counts);
        }
    }
    lock_release(&prefixes->lock);
}
