#include "config.h"

#include "engine/page_move.h"

#include "base/assert.h"
#include "engine/cache_priv.h"
#include "engine/large.h"

#include <string.h>

#define CHOICES      8u /* pages looked at for the emptiest */
#define CHUNKS_AHEAD 8u /* whose buckets are fetched in advance */

enum mover_state
page_move_state(const struct mover *mover)
{
    return (enum mover_state)atomic_load_explicit(
        &mover->state, memory_order_relaxed); /* relaxed: a hint, or locked */
}

static void
set_state(struct mover *mover, enum mover_state next)
{
    enum mover_state state = page_move_state(mover);
    assert(next == MOVER_DRAIN ? state != MOVER_DRAIN : state != MOVER_IDLE);
    assert(next == MOVER_DRAIN || (next == MOVER_WAIT) == (mover->leaving_count > 0));
    atomic_store_explicit(&mover->state, (uint32_t)next,
                          memory_order_relaxed); /* relaxed: as page_move_state() */
}

/** Nothing is emptied any more. */
static void
set_state_at_rest(struct mover *mover)
{
    set_state(mover, mover->leaving_count > 0 ? MOVER_WAIT : MOVER_IDLE);
}

bool
page_move_has_room(const struct mover *mover)
{
    return page_move_state(mover) != MOVER_DRAIN && mover->leaving_count < MOVER_LEAVING_MAX;
}

/** Tells the observer of a step of a move. */
static void
tell_move(struct cache *cache, uint8_t from, uint8_t to, enum cache_move_state state)
{
    if (__builtin_expect(cache_is_observed(cache, CACHE_WANTS_MOVES), 0)) {
        struct cache_move move = { .from = from,
                                   .to = to == MOVER_TO_INDEX ? 0 : to,
                                   .state = state };
        cache->options.observer->moved(cache->options.observer->arg, &move);
    }
}

/* -- emptying a page -------------------------------------------------------------------------- */

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

/** From here on the page is emptied.  Class's lock held. */
static void
begin_draining(struct cache *cache, struct size_class *class, uint32_t page, uint8_t to)
{
    struct mover *mover = &cache->mover;
    assert(page_move_has_room(mover));
    slab_begin_draining(cache, class, page);
    mover->page = page;
    mover->chunk = 0;
    mover->from = class->id;
    mover->to = to;
    mover->on_request = false;
    set_state(mover, MOVER_DRAIN);
    tell_move(cache, class->id, to, CACHE_MOVE_BEGINS);
}

bool
page_move_begin(struct cache *cache, uint8_t from, uint8_t to)
{
    struct size_class *class = &cache->size_class[from];
    lock_acquire(&class->lock);
    uint32_t page = choose_page(cache, class);
    if (page != PAGE_NONE) {
        begin_draining(cache, class, page, to);
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
    mover_count(&cache->mover.rescued);
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

/** The page, which is empty now, leaves its class: readers that have entered before now may still
 * be on it.  Class's lock held. */
static void
leave_class(struct cache *cache, struct size_class *class)
{
    struct mover *mover = &cache->mover;
    assert(mover->leaving_count < MOVER_LEAVING_MAX);
    slab_remove_page(cache, class, mover->page);
    gain_note_page_left(class);
    /* seq_cst: pairs with cache_enter(); a reader that this misses saw the page leave the index. */
    uint64_t epoch = atomic_fetch_add_explicit(&cache->epoch, 1, memory_order_seq_cst) + 1;
    cache_fence_readers(cache);
    mover->leaving[mover->leaving_count++] =
        (struct leaving_page){ .epoch = epoch,
                               .page = mover->page,
                               .from = mover->from,
                               .to = mover->to,
                               .on_request = mover->on_request };
    set_state_at_rest(mover);
}

void
page_move_begin_empty(struct cache *cache, struct size_class *class, uint32_t page)
{
    begin_draining(cache, class, page, MOVER_TO_POOL);
    leave_class(cache, class);
}

/** The epoch of the reader that entered first; UINT64_MAX when there is none. */
static uint64_t
oldest_reader(struct cache *cache, const struct cache_thread *but)
{
    uint64_t oldest = UINT64_MAX;
    lock_acquire(&cache->threads_lock);
    for (struct cache_thread *thread = cache->threads; thread != NULL; thread = thread->next) {
        /* acquire: pairs with cache_leave(); what it read and stored is done. */
        uint64_t active = atomic_load_explicit(&thread->active, memory_order_acquire);
        if (thread != but && active != 0 && active < oldest) {
            oldest = active;
        }
    }
    lock_release(&cache->threads_lock);
    return oldest;
}

static void
abandon(struct cache *cache, struct size_class *class)
{
    struct mover *mover = &cache->mover;
    slab_end_draining(cache, class, mover->page);
    mover_count(&mover->abandoned);
    set_state_at_rest(mover);
    tell_move(cache, mover->from, mover->to, CACHE_MOVE_ABANDONED);
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

/** Fetches what emptying a chunk, if the page has it, will look at. */
static void
prefetch_chunk(const struct cache *cache, const struct size_class *class, uint32_t chunk)
{
    if (chunk >= slab_page_chunks(cache, cache->mover.page)) {
        return;
    }
    const struct item *item =
        cache_item(cache, slab_chunk_ref(cache, class, cache->mover.page, chunk));
    uint32_t shape = item_shape(item);
    if (shape_key_len(shape) > 0) {
        uint64_t hash = cache_item_hash(cache, item, shape);
        __builtin_prefetch(table_bucket(&cache->table, hash), 1);
        ghosts_prefetch(&cache->ghosts, hash);
    }
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
        prefetch_chunk(cache, class, mover->chunk + CHUNKS_AHEAD);
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
        leave_class(cache, class);
    }
    lock_release(&class->lock);
}

/** Gives a page, which nobody can be on, to where it was meant to go. */
static void
deliver_one(struct cache *cache, const struct leaving_page *leaving)
{
    struct mover *mover = &cache->mover;
    bool taken = false;
    if (leaving->to == MOVER_TO_INDEX) {
        table_add_credit(&cache->table, pages_give_for_charge(&cache->pages, leaving->page));
        taken = true;
    } else if (leaving->to != MOVER_TO_POOL) {
        struct size_class *class = &cache->size_class[leaving->to];
        lock_acquire(&class->lock);
        taken = slab_add_page(cache, class, leaving->page);
        cache->pages.page[leaving->page].kept = taken && leaving->on_request;
        lock_release(&class->lock);
    }
    if (!taken) {
        pages_give(&cache->pages, leaving->page);
    }
    if (leaving->on_request) {
        atomic_store_explicit(&mover->asked, false, memory_order_relaxed); /* relaxed: a hint */
    }
    mover_count(&mover->moved);
    tell_move(cache, leaving->from, leaving->to, CACHE_MOVE_DONE);
}

void
page_move_deliver(struct cache *cache, const struct cache_thread *thread)
{
    struct mover *mover = &cache->mover;
    if (mover->leaving_count == 0) {
        return;
    }
    uint64_t oldest = oldest_reader(cache, thread);
    unsigned free_of_readers = 0;
    while (free_of_readers < mover->leaving_count &&
           mover->leaving[free_of_readers].epoch <= oldest) {
        deliver_one(cache, &mover->leaving[free_of_readers++]);
    }
    mover->leaving_count -= free_of_readers;
    memmove(mover->leaving, mover->leaving + free_of_readers,
            mover->leaving_count * sizeof(mover->leaving[0]));
    if (page_move_state(mover) == MOVER_WAIT && mover->leaving_count == 0) {
        set_state(mover, MOVER_IDLE);
    }
}

void
page_move_step(struct cache *cache, const struct cache_thread *thread, unsigned chunks)
{
    switch (page_move_state(&cache->mover)) {
    case MOVER_IDLE:
        break;
    case MOVER_DRAIN:
        drain(cache, chunks);
        break;
    case MOVER_WAIT:
        page_move_deliver(cache, thread);
        break;
    }
}
