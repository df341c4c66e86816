#include "config.h"

#include "engine/prefixes.h"

#include "base/assert.h"
#include "base/race.h"
#include "engine/cache_priv.h"

#include <stdlib.h>
#include <string.h>

#define OPTIMISTIC_TRIES_MAX 4u                  /* then a reader takes the lock */
#define CAS_EXPLICIT_MAX     ((uint64_t)1 << 62) /* the counter is not moved above */

bool
prefixes_init(struct prefixes *prefixes)
{
    prefixes->at = calloc(CACHE_PREFIXES_MAX, sizeof(*prefixes->at));
    if (prefixes->at == NULL) {
        return false;
    }
    lock_init(&prefixes->lock, LOCK_RANK_PREFIXES);
    return true;
}

void
prefixes_fini(struct prefixes *prefixes)
{
    lock_fini(&prefixes->lock);
    free(prefixes->at);
}

/* -- looking ----------------------------------------------------------------------------------- */

/** What all prefixes that a key begins with come to. */
struct prefix_sum {
    uint64_t cas; /* the highest flushed */
    uint32_t held_s;
    bool bypassed;
};

/** One pass over the notes; nonsense when a change is under way. */
static struct prefix_sum
sum_up(const struct prefixes *prefixes, const uint8_t *key, uint32_t key_len)
{
    struct prefix_sum sum = { 0 };
    /* relaxed: good only if the version says so */
    uint32_t count = atomic_load_explicit(&prefixes->count, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        const struct prefix *prefix = &prefixes->at[i];
        uint8_t len = 0;
        race_copy_out(&len, &prefix->len, sizeof(len));
        RACE_POINT();
        if (len > key_len || (len > 0 && !race_equal(prefix->bytes, key, len))) {
            continue;
        }
        uint64_t cas = 0;
        uint32_t held_s = 0;
        bool bypassed = false;
        race_copy_out(&cas, &prefix->cas, sizeof(cas));
        race_copy_out(&held_s, &prefix->held_s, sizeof(held_s));
        race_copy_out(&bypassed, &prefix->bypassed, sizeof(bypassed));
        sum.cas = cas > sum.cas ? cas : sum.cas;
        sum.held_s = held_s > sum.held_s ? held_s : sum.held_s;
        sum.bypassed = sum.bypassed || bypassed;
    }
    return sum;
}

static struct prefix_sum
look_up(struct prefixes *prefixes, const uint8_t *key, uint32_t key_len)
{
    for (unsigned tries = 0; tries < OPTIMISTIC_TRIES_MAX; tries++) {
        /* acquire: pairs with change_end(). */
        uint32_t before = atomic_load_explicit(&prefixes->version, memory_order_acquire);
        if ((before & 1) != 0) {
            cpu_relax();
            continue;
        }
        struct prefix_sum sum = sum_up(prefixes, key, key_len);
        /* acquire: the loads before stay before; pairs with the fence of change_begin(). */
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&prefixes->version, memory_order_relaxed) == before) {
            return sum;
        }
    }
    lock_acquire(&prefixes->lock);
    struct prefix_sum sum = sum_up(prefixes, key, key_len);
    lock_release(&prefixes->lock);
    return sum;
}

bool
prefixes_cover(struct prefixes *prefixes, uint64_t cas, const uint8_t *key, uint32_t key_len)
{
    return cas <= look_up(prefixes, key, key_len).cas;
}

bool
prefixes_bypass(struct prefixes *prefixes, const uint8_t *key, uint32_t key_len)
{
    return look_up(prefixes, key, key_len).bypassed;
}

uint32_t
prefixes_held_s(struct prefixes *prefixes, const uint8_t *key, uint32_t key_len)
{
    return look_up(prefixes, key, key_len).held_s;
}

/* -- changing ---------------------------------------------------------------------------------- */

/** The lock is held; readers from here on wait, those under way will notice. */
static void
change_begin(struct prefixes *prefixes)
{
    /* relaxed: the fence below */
    uint32_t version = atomic_load_explicit(&prefixes->version, memory_order_relaxed);
    atomic_store_explicit(&prefixes->version, version + 1, memory_order_relaxed);
    /* release: the changes stay behind; pairs with the acquire fence of look_up(). */
    atomic_thread_fence(memory_order_release);
}

static void
change_end(struct prefixes *prefixes)
{
    uint64_t high = 0;
    /* relaxed: the lock is held */
    uint32_t count = atomic_load_explicit(&prefixes->count, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        const struct prefix *prefix = &prefixes->at[i];
        uint64_t cas = prefix->bypassed ? UINT64_MAX : prefix->cas;
        high = cas > high ? cas : high;
    }
    uint32_t version = atomic_load_explicit(&prefixes->version, memory_order_relaxed);
    /* release: pairs with look_up(). */
    atomic_store_explicit(&prefixes->version, version + 1, memory_order_release);
    /* seq_cst: see flush_at_last_id(). */
    atomic_store_explicit(&prefixes->cas_high, high, memory_order_seq_cst);
}

static void
write_note(struct prefixes *prefixes, uint32_t index, const struct prefix *note)
{
    change_begin(prefixes);
    race_copy_in(&prefixes->at[index], note, sizeof(*note));
    /* relaxed: the lock is held */
    if (index == atomic_load_explicit(&prefixes->count, memory_order_relaxed)) {
        atomic_store_explicit(&prefixes->count, index + 1, memory_order_relaxed);
    }
    change_end(prefixes);
}

/** The index of a prefix's note, or of a new one; CACHE_PREFIXES_MAX when there is no room. */
static uint32_t
note_index(const struct prefixes *prefixes, const void *bytes, uint32_t len)
{
    /* relaxed: the lock is held */
    uint32_t count = atomic_load_explicit(&prefixes->count, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        const struct prefix *prefix = &prefixes->at[i];
        if (prefix->len == len && (len == 0 || memcmp(prefix->bytes, bytes, len) == 0)) {
            return i;
        }
    }
    return count;
}

static struct prefix
note_of(const struct prefixes *prefixes, uint32_t index, const void *bytes, uint32_t len)
{
    /* relaxed: the lock is held */
    if (index < atomic_load_explicit(&prefixes->count, memory_order_relaxed)) {
        return prefixes->at[index];
    }
    struct prefix note = { .len = (uint8_t)len };
    if (len > 0) {
        memcpy(note.bytes, bytes, len);
    }
    return note;
}

/**
 * Makes a prefix void up to the last id given out, that of a client's choice included.
 *
 * First everything is void, then the counter is read.  So who takes an id that is not covered took
 * it after that, and finds `cas_high` set when it looks (store_cas_for_change()): all four
 * accesses are seq_cst.
 */
static void
flush_at_last_id(struct cache *cache, uint32_t index, struct prefix *note)
{
    struct prefixes *prefixes = &cache->prefixes;
    note->cas = UINT64_MAX;
    write_note(prefixes, index, note);
    uint64_t chosen = atomic_load_explicit(&prefixes->cas_explicit, memory_order_seq_cst);
    uint64_t last = atomic_load_explicit(&cache->cas_last, memory_order_seq_cst);
    while (last < chosen && chosen <= CAS_EXPLICIT_MAX &&
           !atomic_compare_exchange_weak_explicit(&cache->cas_last, &last, chosen,
                                                  memory_order_seq_cst, memory_order_seq_cst)) {
    }
    /* An id near the end of the range stays above the counter: then what is stored until the sweep
     * is over is void too. */
    note->cas = last > chosen ? last : chosen;
    note->held_s = cache_now_s(cache);
    /* release: pairs with take_stamp() in expire.c */
    note->stamp = atomic_fetch_add_explicit(&cache->sweep_stamp, 1, memory_order_release) + 1;
    write_note(prefixes, index, note);
}

bool
prefixes_wait_for_sweep(struct prefixes *prefixes)
{
    /* relaxed: a hint; the lock orders */
    if (atomic_load_explicit(&prefixes->count, memory_order_relaxed) < CACHE_PREFIXES_MAX) {
        return false;
    }
    lock_acquire(&prefixes->lock);
    /* relaxed: the lock is held */
    uint32_t count = atomic_load_explicit(&prefixes->count, memory_order_relaxed);
    bool waits = false;
    for (uint32_t i = 0; i < count && count == CACHE_PREFIXES_MAX && !waits; i++) {
        const struct prefix *prefix = &prefixes->at[i];
        waits = prefix->cas != 0 && !prefix->bypassed;
    }
    lock_release(&prefixes->lock);
    return waits;
}

bool
cache_flush_prefix(struct cache *cache, const void *prefix, uint32_t prefix_len)
{
    struct prefixes *prefixes = &cache->prefixes;
    assert(prefix_len <= CACHE_KEY_MAX);
    if (cache->cas_size == 0) {
        return false;
    }
    if (prefixes_wait_for_sweep(prefixes)) {
        expire_sweep_all(cache);
    }
    lock_acquire(&prefixes->lock);
    uint32_t index = note_index(prefixes, prefix, prefix_len);
    bool room = index < CACHE_PREFIXES_MAX;
    if (room) {
        struct prefix note = note_of(prefixes, index, prefix, prefix_len);
        flush_at_last_id(cache, index, &note);
    }
    lock_release(&prefixes->lock);
    return room;
}

bool
cache_bypass_prefix(struct cache *cache, const void *prefix, uint32_t prefix_len, bool bypassed)
{
    struct prefixes *prefixes = &cache->prefixes;
    assert(prefix_len <= CACHE_KEY_MAX);
    lock_acquire(&prefixes->lock);
    uint32_t index = note_index(prefixes, prefix, prefix_len);
    bool room = index < CACHE_PREFIXES_MAX;
    if (room) {
        struct prefix note = note_of(prefixes, index, prefix, prefix_len);
        note.bypassed = bypassed;
        write_note(prefixes, index, &note);
    }
    lock_release(&prefixes->lock);
    return room;
}

void
prefixes_retire(struct prefixes *prefixes, uint32_t stamp, uint32_t held_since_s)
{
    /* relaxed: a hint; the lock orders */
    if (atomic_load_explicit(&prefixes->count, memory_order_relaxed) == 0) {
        return;
    }
    lock_acquire(&prefixes->lock);
    change_begin(prefixes);
    uint32_t count = atomic_load_explicit(&prefixes->count, memory_order_relaxed);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct prefix note = prefixes->at[i];
        if (note.cas != 0 && (int32_t)(stamp - note.stamp) >= 0) {
            note.cas = 0; /* swept */
        }
        if (note.cas != 0 || note.bypassed || note.held_s >= held_since_s) {
            race_copy_in(&prefixes->at[kept++], &note, sizeof(note));
        }
    }
    atomic_store_explicit(&prefixes->count, kept, memory_order_relaxed);
    change_end(prefixes);
    lock_release(&prefixes->lock);
}

void
prefixes_note_explicit(struct prefixes *prefixes, uint64_t cas)
{
    /* seq_cst: see flush_at_last_id(). */
    uint64_t highest = atomic_load_explicit(&prefixes->cas_explicit, memory_order_seq_cst);
    while (highest < cas &&
           !atomic_compare_exchange_weak_explicit(&prefixes->cas_explicit, &highest, cas,
                                                  memory_order_seq_cst, memory_order_seq_cst)) {
    }
}
