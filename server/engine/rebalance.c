#include "config.h"

#include "engine/rebalance.h"

#include "base/assert.h"
#include "engine/cache_priv.h"
#include "engine/large.h"

#include <sched.h>
#include <time.h>

#define LOOK_SHARE      2u     /* a look at the gains each half page evicted */
#define SLICE_CHUNKS    16u    /* emptied by one store */
#define STEAL_CHUNKS    8192u  /* more than any page has */
#define STEAL_WAITS_MAX 10000u /* times that readers are waited for, before a page is given up */
#define STEAL_YIELDS \
    200u /* of these, as yields; then as pauses: a reader may have to wait for a processor */
#define STEAL_PAUSE_NS   100000 /* so about a second in all */
#define STEAL_TRIES_MAX  64u    /* pages */
#define STEAL_TRIES_EACH 2u     /* of one class before another one is asked */
#define CHOICES          8u     /* pages looked at for the emptiest */
#define GAIN_DECAY       200u   /* a look takes one in so many off each gain */
#define THOUSANDTHS      800u   /* cache_set_mover() as long as nobody calls it */
#define ASKED_TRIES_MAX  16u    /* pages tried for a move on request: some may hold what is sent */
#define PAGES_FEW        20u    /* up to so many pages, the last twentieth is less than one */

void
rebalance_init(struct cache *cache)
{
    lock_init(&cache->mover.lock, LOCK_RANK_MOVER);
    cache_set_mover(cache, CACHE_MOVER_NORMAL, THOUSANDTHS);
}

void
rebalance_fini(struct cache *cache)
{
    lock_fini(&cache->mover.lock);
}

static enum mover_state
state_of(const struct mover *mover)
{
    return (enum mover_state)atomic_load_explicit(
        &mover->state, memory_order_relaxed); /* relaxed: a hint, or locked */
}

static void
set_state(struct mover *mover, enum mover_state next)
{
    enum mover_state state = state_of(mover);
    assert(next == MOVER_IDLE    ? state != MOVER_IDLE
           : next == MOVER_DRAIN ? state == MOVER_IDLE
                                 : state != MOVER_WAIT);
    atomic_store_explicit(&mover->state, (uint32_t)next,
                          memory_order_relaxed); /* relaxed: as state_of() */
}

static void
count(_Atomic uint64_t *figure)
{
    atomic_fetch_add_explicit(figure, 1, memory_order_relaxed); /* relaxed: a figure */
}

/** Tells the observer of a step of the move under way. */
static void
tell_move(struct cache *cache, enum cache_move_state state)
{
    const struct mover *mover = &cache->mover;
    if (__builtin_expect(cache_is_observed(cache, CACHE_WANTS_MOVES), 0)) {
        struct cache_move move = { .from = mover->from,
                                   .to = mover->to == MOVER_TO_INDEX ? 0 : mover->to,
                                   .state = state };
        cache->options.observer->moved(cache->options.observer->arg, &move);
    }
}

/* -- gains ------------------------------------------------------------------------------------- */

static uint64_t
gain_of(const struct size_class *class)
{
    return atomic_load_explicit(&class->gain, memory_order_relaxed); /* relaxed: an estimate */
}

static void
set_gain(struct size_class *class, uint64_t gain)
{
    atomic_store_explicit(&class->gain, gain,
                          memory_order_relaxed); /* relaxed: an estimate; a lost step is none */
}

void
rebalance_note_ghost(struct size_class *class)
{
    uint64_t hit = class->pages_count <= PAGES_FEW
                       ? GAIN_ONE
                       : (uint64_t)GAIN_ONE * PAGES_FEW / class->pages_count;
    set_gain(class, gain_of(class) + hit);
}

static uint32_t
pages_of(struct size_class *class)
{
    lock_acquire(&class->lock);
    uint32_t pages = class->pages_count;
    lock_release(&class->lock);
    return pages;
}

/** The class that loses least by giving a page; 0 when none has more than `keeps`, but for those in
 * `but`. */
static uint8_t
find_donor(struct cache *cache, const struct cache_class_set *but, uint32_t keeps)
{
    uint8_t donor = 0;
    uint64_t least = 0;
    for (unsigned id = 1; id <= cache->classes; id++) {
        struct size_class *class = &cache->size_class[id];
        uint64_t gain = gain_of(class);
        if (!cache_class_set_has(but, id) && (donor == 0 || gain < least) &&
            pages_of(class) > keeps) {
            donor = (uint8_t)id;
            least = gain;
        }
    }
    return donor;
}

static void
decay_gains(struct cache *cache)
{
    for (unsigned id = 1; id <= cache->classes; id++) {
        uint64_t gain = gain_of(&cache->size_class[id]);
        set_gain(&cache->size_class[id], gain - gain / GAIN_DECAY);
    }
}

/* -- one move ---------------------------------------------------------------------------------- */

/** A page of the class, rather an empty one, that no move has failed on just now. */
static uint32_t
choose_page(struct cache *cache, struct size_class *class)
{
    uint32_t best = PAGE_NONE;
    uint32_t best_free = 0;
    for (uint32_t i = 0; i < CHOICES && i < class->pages_count; i++) {
        uint32_t page = class->pages[cache->mover.cursor++ % class->pages_count];
        uint32_t unused = cache->pages.page[page].free_count;
        if (best == PAGE_NONE || unused > best_free) {
            best = page;
            best_free = unused;
        }
    }
    return best;
}

/** Begins a move.  Mover's lock held, no class's. */
static bool
begin(struct cache *cache, uint8_t from, uint8_t to)
{
    struct mover *mover = &cache->mover;
    struct size_class *class = &cache->size_class[from];
    lock_acquire(&class->lock);
    uint32_t page = choose_page(cache, class);
    if (page != PAGE_NONE) {
        slab_begin_draining(cache, class, page);
        mover->page = page;
        mover->chunk = 0;
        mover->from = from;
        mover->to = to;
        mover->on_request = false;
        set_state(mover, MOVER_DRAIN);
        tell_move(cache, CACHE_MOVE_BEGINS);
    }
    lock_release(&class->lock);
    return page != PAGE_NONE;
}

/** Copies a visible item of one chunk to another, in the index too.  Its bucket is locked. */
static void
move_item(struct cache *cache, const struct table_place *place, uint32_t from, uint32_t to,
          uint32_t shape)
{
    struct item *source = cache_item(cache, from);
    struct item *target = cache_item(cache, to);
    shape &= ~SHAPE_SMALL; /* its note in the small queue names the old place */
    item_set_access(target, item_access(source));
    item_set_expire_s(target, item_expire_s(source));
    size_t header = sizeof(struct item);
    size_t size = (size_t)cache_item_size(cache, source, shape);
    race_copy_in((uint8_t *)target + header, (const uint8_t *)source + header, size - header);
    bucket_change_begin(place->head);
    item_set_shape(target, shape);
    bucket_set(place->bucket, place->slot, bucket_tag(place->bucket, place->slot), to);
    bucket_change_end(place->head);
}

/** Moves a visible item, or a piece of one, to the chunk `to`; false when it has gone or is pinned.
 */
static bool
rescue(struct cache *cache, uint32_t from, uint32_t to)
{
    struct item *item = cache_item(cache, from);
    uint32_t shape = item_shape(item);
    uint32_t head = from;
    if (shape_key_len(shape) == 0) {
        head = large_owner(cache, from);
        shape = item_shape(cache_item(cache, head));
        if (shape_key_len(shape) == 0) {
            return false;
        }
    }
    uint64_t hash = cache_item_hash(cache, cache_item(cache, head), shape);
    struct bucket *bucket = table_lock(&cache->table, hash);
    struct table_place place;
    bool found = table_find_ref(&cache->table, bucket, head, &place);
    if (found) {
        shape = item_shape(cache_item(cache, head));
        found = !(shape & SHAPE_LARGE) || large_pins(cache, cache_item(cache, head), shape) == 1;
    }
    if (found) {
        if (head != from) {
            large_move_piece(cache, head, from, to);
        } else if (shape & SHAPE_LARGE) {
            bucket_change_begin(bucket);
            large_move_head(cache, from, to, shape & ~SHAPE_SMALL);
            bucket_set(place.bucket, place.slot, bucket_tag(place.bucket, place.slot), to);
            bucket_change_end(bucket);
        } else {
            move_item(cache, &place, from, to, shape);
        }
        expire_note(cache, to, item_expire_s(cache_item(cache, head == from ? to : head)));
    }
    bucket_unlock(bucket);
    return found;
}

/** What an item on a leaving page is worth. */
enum worth {
    WORTH_NOTHING,
    WORTH_ROOM,     /* a chunk that is free */
    WORTH_EVICTION, /* another item's chunk */
};

static enum worth
worth_of(struct cache *cache, const struct item *item, uint32_t shape)
{
    if (shape_key_len(shape) == 0) {
        return WORTH_EVICTION; /* a piece: its item is judged where its head lies */
    }
    if (cache_is_dead(cache, item, shape, cache_now_s(cache))) {
        return WORTH_NOTHING;
    }
    if ((item_access(item) & ACCESS_USES_MASK) != 0) {
        return WORTH_EVICTION;
    }
    return cache->mover.on_request ? WORTH_ROOM : WORTH_NOTHING;
}

/** What became of a chunk that should be empty. */
enum emptied {
    EMPTIED,
    OWNER_GOES, /* a part of a long item that is now out of the index: the caller frees that */
    STUCK,      /* being filled or sent, or without evictions there is no room for it elsewhere */
};

/** Moves an item or a piece to another chunk of its class; false when there is none, or it has gone
 * or is pinned. */
static bool
move_elsewhere(struct cache *cache, struct size_class *class, uint32_t ref, enum worth worth)
{
    if (worth == WORTH_NOTHING) {
        return false;
    }
    uint32_t to = slab_take_free(cache, class);
    if (to == 0 && worth == WORTH_EVICTION && !cache->options.evictions_disabled &&
        evict_one(cache, class)) {
        to = slab_take_free(cache, class);
    }
    if (to == 0) {
        return false;
    }
    if (item_shape(cache_item(cache, ref)) == SHAPE_FREE) { /* it was the one to be evicted */
        slab_put_free(cache, class, to);
        return true;
    }
    if (!rescue(cache, ref, to)) {
        slab_put_free(cache, class, to);
        return false;
    }
    slab_put_free(cache, class, ref);
    count(&cache->mover.rescued);
    return true;
}

/** Takes the long item that a piece belongs to out of the index; its head, or 0 when it is not
 * there or pinned. */
static uint32_t
unlink_owner(struct cache *cache, uint32_t ref)
{
    uint32_t head = large_owner(cache, ref);
    const struct item *item = cache_item(cache, head);
    uint32_t shape = item_shape(item);
    if (shape_key_len(shape) == 0 || !(shape & SHAPE_LARGE) ||
        large_pins(cache, item, shape) != 1) {
        return 0;
    }
    return cache_unlink(cache, cache_item_hash(cache, item, shape), head) ? head : 0;
}

/** Empties one chunk of the page.  Class's lock held. */
static enum emptied
empty_chunk(struct cache *cache, struct size_class *class, uint32_t ref, uint32_t *owner)
{
    const struct item *item = cache_item(cache, ref);
    uint32_t shape = item_shape(item);
    if (shape == SHAPE_FREE) {
        return EMPTIED;
    }
    if (shape == SHAPE_HELD) {
        return STUCK;
    }
    if (move_elsewhere(cache, class, ref, worth_of(cache, item, shape))) {
        return EMPTIED;
    }
    if (cache->options.evictions_disabled &&
        !cache_is_dead(cache, item, shape, cache_now_s(cache))) {
        return STUCK;
    }
    if (shape_key_len(shape) == 0) {
        *owner = unlink_owner(cache, ref);
        return *owner != 0 ? OWNER_GOES : item_shape(item) == SHAPE_FREE ? EMPTIED : STUCK;
    }
    evict_item(cache, class, ref);
    return item_shape(item) == SHAPE_FREE ? EMPTIED : STUCK;
}

/** Readers that entered before now may still be on the page that has just left its class. */
static void
begin_wait(struct cache *cache)
{
    /* seq_cst: pairs with cache_enter(); a reader that this misses saw the page leave the index. */
    cache->mover.epoch = atomic_fetch_add_explicit(&cache->epoch, 1, memory_order_seq_cst) + 1;
    cache_fence_readers(cache);
    set_state(&cache->mover, MOVER_WAIT);
}

/** Whether no reader can still be on the page. */
static bool
readers_left(struct cache *cache, const struct cache_thread *but)
{
    bool left = true;
    lock_acquire(&cache->threads_lock);
    for (struct cache_thread *thread = cache->threads; thread != NULL; thread = thread->next) {
        /* acquire: pairs with cache_leave(); what it read and stored is done. */
        uint64_t active = atomic_load_explicit(&thread->active, memory_order_acquire);
        if (thread != but && active != 0 && active < cache->mover.epoch) {
            left = false;
            break;
        }
    }
    lock_release(&cache->threads_lock);
    return left;
}

static void
abandon(struct cache *cache, struct size_class *class)
{
    slab_end_draining(cache, class, cache->mover.page);
    count(&cache->mover.abandoned);
    set_state(&cache->mover, MOVER_IDLE);
    tell_move(cache, CACHE_MOVE_ABANDONED);
}

/** Frees a long item that has been taken out of the index, as an evicted one. */
static void
free_owner(struct cache *cache, uint32_t owner)
{
    struct size_class *largest = &cache->size_class[cache->classes];
    lock_acquire(&largest->lock);
    evict_note_gone(cache, largest, owner);
    lock_release(&largest->lock);
    cache_free_item(cache, owner, 0);
}

/** Empties up to `chunks` chunks. */
static void
drain(struct cache *cache, unsigned chunks)
{
    struct mover *mover = &cache->mover;
    struct size_class *class = &cache->size_class[mover->from];
    lock_acquire(&class->lock);
    uint32_t end = slab_page_chunks(cache, mover->page);
    for (; chunks > 0 && mover->chunk < end; chunks--) {
        uint32_t owner = 0;
        switch (empty_chunk(cache, class, slab_chunk_ref(cache, class, mover->page, mover->chunk),
                            &owner)) {
        case EMPTIED:
            mover->chunk++;
            break;
        case OWNER_GOES: /* its chunks lie in two classes; then this one is looked at again */
            lock_release(&class->lock);
            free_owner(cache, owner);
            lock_acquire(&class->lock);
            break;
        case STUCK:
            abandon(cache, class);
            lock_release(&class->lock);
            return;
        }
    }
    if (mover->chunk == end) {
        slab_remove_page(cache, class, mover->page);
        begin_wait(cache);
    }
    lock_release(&class->lock);
}

/** Gives the page, which nobody can be on, to where it was meant to go. */
static void
deliver(struct cache *cache)
{
    struct mover *mover = &cache->mover;
    bool taken = false;
    if (mover->to == MOVER_TO_INDEX) {
        table_add_credit(&cache->table, pages_give_for_charge(&cache->pages, mover->page));
        taken = true;
    } else if (mover->to != MOVER_TO_POOL) {
        struct size_class *class = &cache->size_class[mover->to];
        lock_acquire(&class->lock);
        taken = slab_add_page(cache, class, mover->page);
        cache->pages.page[mover->page].kept = taken && mover->on_request;
        lock_release(&class->lock);
    }
    if (!taken) {
        pages_give(&cache->pages, mover->page);
    }
    if (mover->on_request) {
        atomic_store_explicit(&mover->asked, false, memory_order_relaxed); /* relaxed: a hint */
    }
    count(&mover->moved);
    set_state(mover, MOVER_IDLE);
    tell_move(cache, CACHE_MOVE_DONE);
}

/** A step of the move under way.  Mover's lock held. */
static void
step(struct cache *cache, const struct cache_thread *thread, unsigned chunks)
{
    switch (state_of(&cache->mover)) {
    case MOVER_IDLE:
        break;
    case MOVER_DRAIN:
        drain(cache, chunks);
        break;
    case MOVER_WAIT:
        if (readers_left(cache, thread)) {
            deliver(cache);
        }
        break;
    }
}

/* -- when -------------------------------------------------------------------------------------- */

void
cache_set_mover(struct cache *cache, enum cache_mover_mode mode, uint32_t thousandths)
{
    /* relaxed, both: settings; when exactly they are seen does not matter */
    atomic_store_explicit(&cache->mover.mode, (uint32_t)mode, memory_order_relaxed);
    atomic_store_explicit(&cache->mover.thousandths, thousandths > 0 ? thousandths : 1,
                          memory_order_relaxed);
}

/** Whether a class's gain is worth another one's loss. */
static bool
pays(const struct mover *mover, uint64_t gain, uint64_t loss)
{
    /* relaxed, both: settings */
    switch ((enum cache_mover_mode)atomic_load_explicit(&mover->mode, memory_order_relaxed)) {
    case CACHE_MOVER_OFF:
        return false;
    case CACHE_MOVER_NORMAL:
        return gain >
               loss * 1000 / atomic_load_explicit(&mover->thousandths, memory_order_relaxed) +
                   GAIN_ONE;
    case CACHE_MOVER_EAGER:
        return gain > loss;
    }
    return false; /* not reached */
}

/** Begins a move towards `to` if that gains more than it loses. */
static void
consider(struct cache *cache, uint8_t to)
{
    struct cache_class_set but = { 0 };
    cache_class_set_add(&but, to);
    uint8_t donor = find_donor(cache, &but, 0);
    decay_gains(cache);
    if (donor == 0) {
        return;
    }
    if (pays(&cache->mover, gain_of(&cache->size_class[to]), gain_of(&cache->size_class[donor]))) {
        begin(cache, donor, to);
    }
}

void
rebalance_note_evicted(struct cache *cache, struct cache_thread *thread, uint8_t class_id,
                       uint64_t bytes)
{
    struct mover *mover = &cache->mover;
    uint64_t threshold = pages_page_size(&cache->pages) / LOOK_SHARE;
    /* relaxed: a sum of its own */
    uint64_t since = atomic_fetch_add_explicit(&mover->since, bytes, memory_order_relaxed) + bytes;
    bool due = since >= threshold || table_is_starved(&cache->table);
    if ((!due && state_of(mover) == MOVER_IDLE) || !lock_try_acquire(&mover->lock)) {
        return;
    }
    if (state_of(mover) != MOVER_IDLE) {
        step(cache, thread, SLICE_CHUNKS);
    } else if (table_take_starved(&cache->table)) {
        uint8_t donor = find_donor(cache, &(struct cache_class_set){ 0 }, 0);
        if (donor != 0) {
            begin(cache, donor, MOVER_TO_INDEX);
        }
    } else if (since >= threshold) {
        atomic_store_explicit(&mover->since, 0, memory_order_relaxed); /* relaxed: as above */
        consider(cache, class_id);
    }
    lock_release(&mover->lock);
}

/* -- on request
 * ----------------------------------------------------------------------------------------- */

static bool
is_asked(const struct mover *mover)
{
    return atomic_load_explicit(&mover->asked,
                                memory_order_relaxed); /* relaxed: locked, or a hint */
}

static void
set_asked(struct mover *mover, bool asked)
{
    atomic_store_explicit(&mover->asked, asked, memory_order_relaxed); /* relaxed: as is_asked() */
}

/** Begins the move that was asked for; with another page, when one has failed.  Mover's lock held.
 */
static void
begin_asked(struct cache *cache)
{
    struct mover *mover = &cache->mover;
    if (mover->asked_tries == 0 || !begin(cache, mover->asked_from, mover->asked_to)) {
        set_asked(mover, false);
        return;
    }
    mover->asked_tries--;
    mover->on_request = true;
}

/** A page that no class has goes to one. */
static enum cache_move_result
move_from_pool(struct cache *cache, uint8_t to)
{
    struct size_class *class = &cache->size_class[to];
    uint32_t page = pages_may_take(&cache->pages) ? pages_take(&cache->pages) : PAGE_NONE;
    if (page == PAGE_NONE) {
        return CACHE_MOVE_NO_SPARE;
    }
    lock_acquire(&class->lock);
    bool added = slab_add_page(cache, class, page);
    cache->pages.page[page].kept = added;
    lock_release(&class->lock);
    if (!added) {
        pages_give(&cache->pages, page);
        return CACHE_MOVE_NO_SPARE;
    }
    count(&cache->mover.moved);
    return CACHE_MOVE_OK;
}

enum cache_move_result
cache_move_page(struct cache *cache, int from, int to)
{
    struct mover *mover = &cache->mover;
    if (from == to) {
        return CACHE_MOVE_SAME;
    }
    int classes = (int)cache->classes;
    if (from < CACHE_MOVE_ANY || from > classes || to < CACHE_MOVE_POOL || to > classes) {
        return CACHE_MOVE_BAD_CLASS;
    }
    enum cache_move_result result = CACHE_MOVE_OK;
    lock_acquire(&mover->lock);
    if (is_asked(mover)) {
        result = CACHE_MOVE_BUSY;
    } else if (from == CACHE_MOVE_POOL) {
        result = move_from_pool(cache, (uint8_t)to);
    } else if (from == CACHE_MOVE_ANY) {
        struct cache_class_set but = { 0 };
        cache_class_set_add(&but, (unsigned)to);
        from = find_donor(cache, &but, 1);
        result = from == 0 ? CACHE_MOVE_BAD_CLASS : CACHE_MOVE_OK;
    } else if (pages_of(&cache->size_class[from]) < 2) {
        result = CACHE_MOVE_NO_SPARE;
    }
    if (result == CACHE_MOVE_OK && from != CACHE_MOVE_POOL) {
        mover->asked_from = (uint8_t)from;
        mover->asked_to = (uint8_t)to;
        mover->asked_tries = ASKED_TRIES_MAX;
        set_asked(mover, true);
    }
    lock_release(&mover->lock);
    return result;
}

/* -- in slices
 * ------------------------------------------------------------------------------------------ */

bool
rebalance_run(struct cache *cache, struct cache_thread *thread, unsigned chunks)
{
    struct mover *mover = &cache->mover;
    if (!lock_try_acquire(&mover->lock)) {
        return false;
    }
    uint32_t state = state_of(mover);
    bool over = pages_over_limit(&cache->pages); /* gives free pages back, too */
    if (state == MOVER_IDLE && over && !cache->options.evictions_disabled) {
        uint8_t donor = find_donor(cache, &(struct cache_class_set){ 0 }, 0);
        if (donor != 0) {
            begin(cache, donor, MOVER_TO_POOL);
        }
    } else if (state == MOVER_IDLE && is_asked(mover)) {
        begin_asked(cache);
    }
    step(cache, thread, chunks);
    bool more = (is_asked(mover) && state_of(mover) == MOVER_IDLE) ||
                state_of(mover) == MOVER_DRAIN ||
                (state_of(mover) == MOVER_IDLE && state != MOVER_IDLE);
    lock_release(&mover->lock);
    return more;
}

bool
rebalance_release_page(struct cache *cache, struct cache_thread *thread, struct size_class *class,
                       uint32_t page)
{
    (void)thread;
    struct mover *mover = &cache->mover;
    if (!lock_try_acquire(&mover->lock)) {
        return false;
    }
    bool idle = state_of(mover) == MOVER_IDLE;
    if (idle) {
        slab_begin_draining(cache, class, page);
        mover->page = page;
        mover->from = class->id;
        mover->to = MOVER_TO_POOL;
        mover->on_request = false;
        set_state(mover, MOVER_DRAIN);
        tell_move(cache, CACHE_MOVE_BEGINS);
        slab_remove_page(cache, class, page);
        begin_wait(cache);
    }
    lock_release(&mover->lock);
    return idle;
}

static void
wait_for_readers(unsigned waits)
{
    if (waits < STEAL_YIELDS) {
        sched_yield();
        return;
    }
    struct timespec pause = { .tv_nsec = STEAL_PAUSE_NS };
    nanosleep(&pause, NULL);
}

bool
rebalance_steal(struct cache *cache, struct cache_thread *thread, uint8_t class_id)
{
    struct mover *mover = &cache->mover;
    /* While we wait for others to leave, others must not wait for us: between two reads nothing of
     * ours is on a page. */
    uint64_t active = cache_step_out(thread);
    lock_acquire(&mover->lock);
    for (unsigned waits = 0; state_of(mover) != MOVER_IDLE && waits < STEAL_WAITS_MAX; waits++) {
        step(cache, thread, STEAL_CHUNKS);
        if (state_of(mover) == MOVER_WAIT) {
            wait_for_readers(waits);
        }
    }
    bool stolen = false;
    struct cache_class_set tried = { 0 };
    cache_class_set_add(&tried, class_id);
    for (unsigned tries = 0; tries < STEAL_TRIES_MAX && !stolen && state_of(mover) == MOVER_IDLE;
         tries++) {
        uint8_t donor = find_donor(cache, &tried, 0);
        if (donor == 0) {
            break;
        }
        if (!begin(cache, donor, class_id)) {
            cache_class_set_add(&tried, donor);
            continue;
        }
        drain(cache, STEAL_CHUNKS);
        if (state_of(mover) == MOVER_IDLE && tries % STEAL_TRIES_EACH == STEAL_TRIES_EACH - 1) {
            cache_class_set_add(&tried, donor); /* its pages hold what is being filled or sent */
        }
        for (unsigned waits = 0; state_of(mover) == MOVER_WAIT && waits < STEAL_WAITS_MAX;
             waits++) {
            step(cache, thread, STEAL_CHUNKS);
            stolen = state_of(mover) == MOVER_IDLE;
            if (!stolen) {
                wait_for_readers(waits);
            }
        }
    }
    if (stolen) {
        /* Before anyone else can begin a move, which would rather take an empty page than any
         * other. */
        lock_acquire(&cache->size_class[class_id].lock);
    }
    lock_release(&mover->lock);
    cache_step_in(thread, active);
    return stolen;
}
