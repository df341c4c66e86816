/* The index: from a key's hash to the ref of its item.
 *
 * Linear hashing over buckets of one cache line: the table grows by one bucket at a time, by
 * splitting the next in turn, so no store waits for growth.  A bucket that is full goes on in an
 * overflow bucket.
 *
 * The table knows hashes and refs, not items: table_find() calls back to compare keys, and a split
 * asks for the hash of each ref that it may have to move.
 */
#ifndef LARDER_ENGINE_TABLE_H
#define LARDER_ENGINE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/bucket.h"
#include "engine/pages.h"

#define TABLE_CHAIN_MAX 64u /* buckets in one chain; a longer one takes no new item */

/** Hash of the item that a slot names; called with its bucket locked. */
typedef uint64_t table_hash_fn(void *arg, uint32_t ref);

/** Locking key:  (g) grow  (o) overflow  (a) atomic  others constant. */
struct table {
    struct pages *pages;
    struct bucket *bucket;   /* reserved range */
    struct bucket *overflow; /* reserved range; number 0 is not used */
    uint32_t bucket_max;     /* room in the ranges */
    uint32_t overflow_max;
    table_hash_fn *hash;
    void *hash_arg;
    _Atomic uint32_t count; /* (a) buckets in use; written under (g) */
    /* From here on what stores change, apart from what each read looks at. */
    _Alignas(CACHE_LINE) struct lock grow; /* one split at a time */
    uint64_t charged;                      /* (g) bytes of buckets within the budget */
    struct lock overflow_lock;
    uint32_t overflow_free;    /* (o) head of the free ones, chained by ref[0] */
    uint32_t overflow_fresh;   /* (o) from here on never used */
    uint32_t overflow_used;    /* (o) in chains */
    uint64_t overflow_charged; /* (o) bytes within the budget */
    _Atomic bool starved;      /* (a) the budget had no room for a bucket */
    _Atomic uint64_t
        credit; /* (a) bytes charged in advance: a page that was given up for the index */
};

/** A place in a locked chain. */
struct table_place {
    struct bucket *head;   /* the locked one */
    struct bucket *bucket; /* of the chain */
    unsigned slot;
};

/** Errors: false with errno when there is no address space, or no room in the budget. */
bool table_init(struct table *table, struct pages *pages, table_hash_fn *hash, void *hash_arg);
void table_fini(struct table *table);

static inline uint16_t
table_tag(uint64_t hash)
{
    return (uint16_t)(hash >> 48);
}

/** The bucket of a hash in a table of `count` buckets. */
static inline uint32_t
table_slot_of(uint64_t hash, uint32_t count)
{
    unsigned level = 31u - (unsigned)__builtin_clz(count);
    uint32_t wide = (uint32_t)hash & (uint32_t)(((uint64_t)2 << level) - 1);
    return wide < count ? wide : wide & ((1u << level) - 1);
}

/** How many of a hash's low bits lead to its bucket in a table of `count`. */
static inline unsigned
table_width_of(uint64_t hash, uint32_t count)
{
    unsigned level = 31u - (unsigned)__builtin_clz(count);
    uint32_t wide = (uint32_t)hash & (uint32_t)(((uint64_t)2 << level) - 1);
    uint32_t other = wide ^ 1u << level; /* what it was split from, or will be split to */
    return wide < count && other < count ? level + 1 : level;
}

static inline uint32_t
table_count(const struct table *table)
{
    /* acquire: pairs with the split; the bucket that it made is whole. */
    return atomic_load_explicit(&table->count, memory_order_acquire);
}

static inline struct bucket *
table_bucket(const struct table *table, uint64_t hash)
{
    return &table->bucket[table_slot_of(hash, table_count(table))];
}

/** Locks the bucket that a hash belongs to. */
struct bucket *table_lock(struct table *table, uint64_t hash);

/** The next bucket of a chain; NULL at its end, or when a reader without a lock sees nonsense. */
static inline struct bucket *
table_next(const struct table *table, const struct bucket *bucket)
{
    /* acquire: pairs with table_link_overflow(); the overflow bucket is whole. */
    uint32_t word = atomic_load_explicit(&bucket->word, memory_order_acquire);
    if (!(word & BUCKET_CHAINED)) {
        return NULL;
    }
    uint32_t number = bucket_ref(bucket, BUCKET_SLOTS - 1);
    return number < table->overflow_max ? &table->overflow[number] : NULL;
}

/** Finds the slot with exactly this ref in a locked chain. */
bool table_find_ref(const struct table *table, struct bucket *head, uint32_t ref,
                    struct table_place *place);

/** Adds an item to a locked chain.  Within a change.  False when the chain is full and no overflow
 * bucket is to be had. */
bool table_insert(struct table *table, struct bucket *head, uint16_t tag, uint32_t ref);
/** Takes an item out of a locked chain, and closes the hole from the chain's end.  Within a change.
 */
void table_remove(struct table *table, const struct table_place *place);

/** Makes an empty table as large as `items` will want it, whatever the budget.  No other thread
 * uses it yet. */
void table_presize(struct table *table, uint64_t items);
/** Splits one bucket if there are more than `items` warrant.  Bounded; does nothing while another
 * thread splits. */
void table_grow(struct table *table, uint64_t items);
/** Whether growth has stopped for want of budget since the last call. */
bool table_take_starved(struct table *table);

static inline bool
table_is_starved(const struct table *table)
{
    return atomic_load_explicit(&table->starved, memory_order_relaxed); /* relaxed: a hint */
}

/** Hands over bytes of the budget that are charged already. */
void table_add_credit(struct table *table, uint64_t bytes);

uint64_t table_bytes(struct table *table);
bool table_is_growing(struct table *table, uint64_t items);

/** Walks all buckets: chains whole, each ref in the bucket of its hash.  Returns the number of
 * items. */
uint64_t table_check(struct table *table);

#endif
