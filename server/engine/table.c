#include "config.h"

#include "engine/table.h"

#include "base/assert.h"

#include <sys/mman.h>

#define BUCKETS_MAX    (1u << 31) /* table_slot_of() */
#define LOAD_MAX       9u         /* items per bucket above which the table grows */
#define BUCKETS_MIN    64u        /* buckets of a new table: 4 KiB */
#define CHARGE_BUCKETS 64u        /* buckets charged to the budget at once: 4 KiB */
#define RANGE_SHARE    4u         /* the index may grow to a quarter of the items' range */
#define OVERFLOW_SLACK \
    (256u << 10)      /* bytes that overflow buckets may take past the budget for a moment */
#define GROW_STEPS 2u /* buckets split by one call */

static struct bucket *
reserve_buckets(uint32_t count)
{
    void *at = mmap(NULL, (size_t)count * sizeof(struct bucket), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

bool
table_init(struct table *table, struct pages *pages, table_hash_fn *hash, void *hash_arg)
{
    *table =
        (struct table){ .pages = pages, .hash = hash, .hash_arg = hash_arg, .overflow_fresh = 1 };
    uint64_t buckets = pages->reserved / RANGE_SHARE / sizeof(struct bucket);
    table->bucket_max = buckets < BUCKETS_MAX ? (uint32_t)buckets : BUCKETS_MAX;
    table->overflow_max = table->bucket_max / 2;
    table->charged = BUCKETS_MIN * sizeof(struct bucket);
    if (!pages_charge(pages, table->charged, 0)) {
        return false;
    }
    table->bucket = reserve_buckets(table->bucket_max);
    if (table->bucket == NULL) {
        return false;
    }
    table->overflow = reserve_buckets(table->overflow_max);
    if (table->overflow == NULL) {
        munmap(table->bucket, (size_t)table->bucket_max * sizeof(struct bucket));
        return false;
    }
    lock_init(&table->grow, LOCK_RANK_GROW);
    lock_init(&table->overflow_lock, LOCK_RANK_OVERFLOW);
    atomic_init(&table->count, BUCKETS_MIN);
    return true;
}

void
table_fini(struct table *table)
{
    lock_fini(&table->grow);
    lock_fini(&table->overflow_lock);
    munmap(table->bucket, (size_t)table->bucket_max * sizeof(struct bucket));
    munmap(table->overflow, (size_t)table->overflow_max * sizeof(struct bucket));
}

struct bucket *
table_lock(struct table *table, uint64_t hash)
{
    for (;;) {
        struct bucket *bucket = table_bucket(table, hash);
        bucket_lock(bucket);
        /* A split may have moved the hash on between the look and the lock; it cannot while we hold
         * the lock. */
        if (bucket == table_bucket(table, hash)) {
            return bucket;
        }
        bucket_unlock(bucket);
    }
}

bool
table_find_ref(const struct table *table, struct bucket *head, uint32_t ref,
               struct table_place *place)
{
    for (struct bucket *bucket = head; bucket != NULL; bucket = table_next(table, bucket)) {
        unsigned slots = bucket_slots(bucket_word(bucket));
        for (unsigned slot = 0; slot < slots; slot++) {
            if (bucket_ref(bucket, slot) == ref) {
                *place = (struct table_place){ head, bucket, slot };
                return true;
            }
        }
    }
    return false;
}

/** Charges buckets to the budget: out of what was charged in advance, if there is enough. */
static bool
charge_buckets(struct table *table, uint64_t slack)
{
    uint64_t bytes = CHARGE_BUCKETS * sizeof(struct bucket);
    uint64_t credit =
        atomic_load_explicit(&table->credit, memory_order_relaxed); /* relaxed: a sum of its own */
    while (credit >= bytes) {
        if (atomic_compare_exchange_weak_explicit(&table->credit, &credit, credit - bytes,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return true;
        }
    }
    return pages_charge(table->pages, bytes, slack);
}

void
table_add_credit(struct table *table, uint64_t bytes)
{
    atomic_fetch_add_explicit(&table->credit, bytes,
                              memory_order_relaxed); /* relaxed: as charge_buckets() */
}

/* -- overflow buckets -------------------------------------------------------------------------- */

/** An empty overflow bucket's number; 0 when the budget has no room. */
static uint32_t
overflow_take(struct table *table)
{
    uint32_t number = 0;
    lock_acquire(&table->overflow_lock);
    if (table->overflow_free != 0) {
        number = table->overflow_free;
        table->overflow_free = bucket_ref(&table->overflow[number], 0);
        bucket_set(&table->overflow[number], 0, 0, 0);
    } else if (table->overflow_fresh < table->overflow_max) {
        uint64_t need = (uint64_t)(table->overflow_fresh + 1) * sizeof(struct bucket);
        bool room = need <= table->overflow_charged;
        if (!room && charge_buckets(table, OVERFLOW_SLACK)) {
            table->overflow_charged += CHARGE_BUCKETS * sizeof(struct bucket);
            room = true;
        }
        if (room) {
            number = table->overflow_fresh++;
        }
    }
    if (number != 0) {
        table->overflow_used++;
    }
    lock_release(&table->overflow_lock);
    return number;
}

static void
overflow_give(struct table *table, uint32_t number)
{
    assert(number > 0 && number < table->overflow_max);
    struct bucket *bucket = &table->overflow[number];
    lock_acquire(&table->overflow_lock);
    assert(table->overflow_used > 0);
    table->overflow_used--;
    atomic_store_explicit(&bucket->word, 0,
                          memory_order_relaxed); /* relaxed: no longer in a chain */
    bucket_set(bucket, 0, 0, table->overflow_free);
    table->overflow_free = number;
    lock_release(&table->overflow_lock);
}

/** Sets the chained bit, and keeps the rest of the word. */
static void
set_chained(struct bucket *bucket, bool chained)
{
    uint32_t word = bucket_word(bucket);
    word = chained ? word | BUCKET_CHAINED : word & ~BUCKET_CHAINED;
    /* release: pairs with table_next(). */
    atomic_store_explicit(&bucket->word, word, memory_order_release);
}

/* Overflow buckets that a split holds back for the two chains that it makes. */
struct spares {
    unsigned count;
    uint32_t number[TABLE_CHAIN_MAX];
};

/** As table_insert(); takes an overflow bucket from `spares` first, if there are any. */
static bool
insert_from(struct table *table, struct bucket *head, uint16_t tag, uint32_t ref,
            struct spares *spares)
{
    assert(ref != 0);
    struct bucket *bucket = head;
    for (unsigned length = 1;; length++) {
        unsigned slots = bucket_slots(bucket_word(bucket));
        for (unsigned slot = 0; slot < slots; slot++) {
            if (bucket_ref(bucket, slot) == 0) {
                bucket_set(bucket, slot, tag, ref);
                return true;
            }
        }
        struct bucket *next = table_next(table, bucket);
        if (next == NULL) {
            if (length >= TABLE_CHAIN_MAX) {
                return false;
            }
            break;
        }
        bucket = next;
    }

    uint32_t number = spares != NULL && spares->count > 0 ? spares->number[--spares->count]
                                                          : overflow_take(table);
    if (number == 0) {
        atomic_store_explicit(&table->starved, true, memory_order_relaxed); /* relaxed: a hint */
        return false;
    }
    /* The last slot's item moves on to make room for the chain's link. */
    struct bucket *fresh = &table->overflow[number];
    bucket_set(fresh, 0, bucket_tag(bucket, BUCKET_SLOTS - 1),
               bucket_ref(bucket, BUCKET_SLOTS - 1));
    bucket_set(fresh, 1, tag, ref);
    bucket_set(bucket, BUCKET_SLOTS - 1, 0, number);
    set_chained(bucket, true);
    return true;
}

bool
table_insert(struct table *table, struct bucket *head, uint16_t tag, uint32_t ref)
{
    return insert_from(table, head, tag, ref, NULL);
}

/** Finds the last item of a chain, and the bucket before its bucket (NULL for the head). */
static struct bucket *
chain_end(const struct table *table, struct bucket *head, struct bucket **before, unsigned *slot)
{
    struct bucket *last = NULL;
    struct bucket *before_last = NULL;
    struct bucket *previous = NULL;
    for (struct bucket *bucket = head; bucket != NULL; bucket = table_next(table, bucket)) {
        for (unsigned i = bucket_slots(bucket_word(bucket)); i-- > 0;) {
            if (bucket_ref(bucket, i) != 0) {
                last = bucket;
                before_last = previous;
                *slot = i;
                break;
            }
        }
        previous = bucket;
    }
    *before = before_last;
    return last;
}

void
table_remove(struct table *table, const struct table_place *place)
{
    if (table_next(table, place->head) == NULL) {
        bucket_set(place->bucket, place->slot, 0, 0);
        return;
    }
    /* A chain is kept without holes before its end, so that its length is what its items need. */
    struct bucket *before = NULL;
    unsigned slot = 0;
    struct bucket *last = chain_end(table, place->head, &before, &slot);
    assert(last != NULL);
    bucket_set(place->bucket, place->slot, bucket_tag(last, slot), bucket_ref(last, slot));
    bucket_set(last, slot, 0, 0);
    if (slot == 0 && before != NULL) {
        uint32_t number = bucket_ref(before, BUCKET_SLOTS - 1);
        set_chained(before, false);
        bucket_set(before, BUCKET_SLOTS - 1, 0, 0);
        overflow_give(table, number);
    }
}

/* -- growth ------------------------------------------------------------------------------------ */

/* One chain's items, taken out while it is split. */
struct chain {
    uint32_t count;
    uint16_t tag[TABLE_CHAIN_MAX * BUCKET_SLOTS];
    uint32_t ref[TABLE_CHAIN_MAX * BUCKET_SLOTS];
};

/** Moves all of a locked chain's items to `chain`, and its overflow buckets to `spares`.  Within a
 * change. */
static void
chain_take(struct table *table, struct bucket *head, struct chain *chain, struct spares *spares)
{
    chain->count = 0;
    spares->count = 0;
    for (struct bucket *bucket = head; bucket != NULL;) {
        struct bucket *next = table_next(table, bucket);
        unsigned slots = bucket_slots(bucket_word(bucket));
        for (unsigned slot = 0; slot < slots; slot++) {
            uint32_t ref = bucket_ref(bucket, slot);
            if (ref != 0) {
                chain->tag[chain->count] = bucket_tag(bucket, slot);
                chain->ref[chain->count] = ref;
                chain->count++;
                bucket_set(bucket, slot, 0, 0);
            }
        }
        if (next != NULL) {
            assert(spares->count < TABLE_CHAIN_MAX);
            spares->number[spares->count++] = bucket_ref(bucket, BUCKET_SLOTS - 1);
            set_chained(bucket, false);
            bucket_set(bucket, BUCKET_SLOTS - 1, 0, 0);
        }
        bucket = next;
    }
}

/** Makes bucket number `count`, and moves to it what now belongs there.  Under the grow lock. */
static bool
split_one(struct table *table, uint32_t count)
{
    if (count >= table->bucket_max) {
        return false;
    }
    if ((uint64_t)(count + 1) * sizeof(struct bucket) > table->charged) {
        if (!charge_buckets(table, 0)) {
            atomic_store_explicit(&table->starved, true,
                                  memory_order_relaxed); /* relaxed: a hint */
            return false;
        }
        table->charged += CHARGE_BUCKETS * sizeof(struct bucket);
    }
    uint32_t level = 1u << (31u - (unsigned)__builtin_clz(count));
    struct bucket *old = &table->bucket[count - level];
    struct bucket *new = &table->bucket[count];
    /* The keys are needed for their hashes; fetch them before anyone has to wait. */
    for (unsigned slot = 0; slot < BUCKET_SLOTS; slot++) {
        uint32_t ref = bucket_ref(old, slot);
        if (ref != 0 && !(slot == BUCKET_SLOTS - 1 && (bucket_word(old) & BUCKET_CHAINED))) {
            __builtin_prefetch(pages_at(table->pages, ref));
        }
    }
    struct chain chain;
    struct spares spares;
    bucket_lock(old);
    bucket_lock(new); /* nobody else can see it yet; locked for bucket_change_begin()'s sake */
    bucket_change_begin(old);
    bucket_change_begin(new);
    chain_take(table, old, &chain, &spares);
    for (uint32_t i = 0; i < chain.count; i++) {
        uint64_t hash = table->hash(table->hash_arg, chain.ref[i]);
        struct bucket *to = table_slot_of(hash, count + 1) == count ? new : old;
        bool inserted = insert_from(table, to, chain.tag[i], chain.ref[i], &spares);
        assert(inserted); /* two chains of together n items need no more overflow buckets than one
                             of n */
    }
    /* release: pairs with table_count(). */
    atomic_store_explicit(&table->count, count + 1, memory_order_release);
    bucket_change_end(new);
    bucket_change_end(old);
    bucket_unlock(new);
    bucket_unlock(old);
    while (spares.count > 0) {
        overflow_give(table, spares.number[--spares.count]);
    }
    return true;
}

void
table_grow(struct table *table, uint64_t items)
{
    uint32_t count = table_count(table);
    if (items <= (uint64_t)count * LOAD_MAX || !lock_try_acquire(&table->grow)) {
        return;
    }
    for (unsigned step = 0; step < GROW_STEPS; step++) {
        count = table_count(table);
        if (items <= (uint64_t)count * LOAD_MAX || !split_one(table, count)) {
            break;
        }
    }
    lock_release(&table->grow);
}

void
table_presize(struct table *table, uint64_t items)
{
    assert(table_count(table) == BUCKETS_MIN && table->overflow_used == 0);
    uint64_t want = items / LOAD_MAX + 1;
    want = want < table->bucket_max ? want : table->bucket_max;
    if (want <= BUCKETS_MIN) {
        return;
    }
    uint64_t bytes = want * sizeof(struct bucket);
    uint64_t step = CHARGE_BUCKETS * sizeof(struct bucket);
    bytes = (bytes + step - 1) / step * step;
    bool charged = pages_charge(table->pages, bytes - table->charged, UINT64_MAX / 4);
    assert(charged);
    table->charged = bytes;
    /* relaxed: no other thread */
    atomic_store_explicit(&table->count, (uint32_t)want, memory_order_relaxed);
}

bool
table_take_starved(struct table *table)
{
    bool starved = table_is_starved(table);
    if (starved) {
        atomic_store_explicit(&table->starved, false,
                              memory_order_relaxed); /* relaxed: a lost hint comes again */
    }
    return starved;
}

uint64_t
table_bytes(struct table *table)
{
    lock_acquire(&table->overflow_lock);
    uint64_t bytes = table->overflow_charged + (uint64_t)table_count(table) * sizeof(struct bucket);
    lock_release(&table->overflow_lock);
    return bytes;
}

bool
table_is_growing(struct table *table, uint64_t items)
{
    return items > (uint64_t)table_count(table) * LOAD_MAX;
}

uint64_t
table_check(struct table *table)
{
    uint64_t items = 0;
    uint64_t links = 0;
    uint32_t count = table_count(table);
    for (uint32_t number = 0; number < count; number++) {
        struct bucket *head = &table->bucket[number];
        assert(!(bucket_word(head) & (BUCKET_LOCKED | BUCKET_CHANGING)));
        unsigned length = 0;
        for (struct bucket *bucket = head; bucket != NULL; bucket = table_next(table, bucket)) {
            length++;
            assert(length <= TABLE_CHAIN_MAX);
            unsigned slots = bucket_slots(bucket_word(bucket));
            unsigned used = 0;
            for (unsigned slot = 0; slot < slots; slot++) {
                uint32_t ref = bucket_ref(bucket, slot);
                if (ref == 0) {
                    continue;
                }
                used++;
                uint64_t hash = table->hash(table->hash_arg, ref);
                assert(table_slot_of(hash, count) == number);
                assert(table_tag(hash) == bucket_tag(bucket, slot));
            }
            assert(bucket == head || used > 0);
            items += used;
        }
        links += length - 1;
    }
    lock_acquire(&table->overflow_lock);
    assert(links == table->overflow_used);
    uint32_t unused = 0;
    for (uint32_t number = table->overflow_free; number != 0;
         number = bucket_ref(&table->overflow[number], 0)) {
        unused++;
        assert(unused < table->overflow_fresh);
    }
    assert(links + unused == table->overflow_fresh - 1);
    lock_release(&table->overflow_lock);
    return items;
}
