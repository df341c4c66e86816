#include "config.h"

#include "engine/rebalance.h"

#include "base/assert.h"
#include "engine/cache_priv.h"

#include <sched.h>
#include <time.h>

#define LOOK_SHARE      2u     /* a look at the gains each half page evicted */
#define SLICE_CHUNKS    16u    /* emptied by one store */
#define OLDER           2u     /* turnover of a class, so many times another one's: that is old */
#define LIMIT_SLICES    4u     /* of cache_maintain() at once, while the limit is passed */
#define STEAL_CHUNKS    8192u  /* more than any page has */
#define STEAL_WAITS_MAX 10000u /* times that readers are waited for, before a page is given up */
#define STEAL_YIELDS \
    200u /* of these, as yields; then as pauses: a reader may have to wait for a processor */
#define STEAL_PAUSE_NS   100000 /* so about a second in all */
#define STEAL_TRIES_MAX  64u    /* pages */
#define STEAL_TRIES_EACH 2u     /* of one class before another one is asked */
#define THOUSANDTHS      800u   /* cache_set_mover() as long as nobody calls it */
#define ASKED_TRIES_MAX  16u    /* pages tried for a move on request: some may hold what is sent */

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

/* -- from where -------------------------------------------------------------------------------- */

static uint32_t
pages_of(struct size_class *class)
{
    lock_acquire(&class->lock);
    uint32_t pages = class->pages_count;
    lock_release(&class->lock);
    return pages;
}

/** The last pieces of long items on a page of the class that would find no room on its others: with
 * each of them its item goes.  Class's lock held. */
static uint64_t
homeless_pieces(const struct cache *cache, const struct size_class *class)
{
    if (class->pages_count == 0 || class->id == cache->classes ||
        class->used_chunks <= class->items) {
        return 0;
    }
    uint64_t pieces = (class->used_chunks - class->items) / class->pages_count;
    uint64_t room = class->free_chunks + class->items; /* which can be evicted */
    room -= room / class->pages_count;
    return pieces > room ? pieces - room : 0;
}

/** What a long item is worth, by what the largest class would lose.  Mover's lock held. */
static uint64_t
loss_of_long_item(struct cache *cache)
{
    struct size_class *class = &cache->size_class[cache->classes];
    lock_acquire(&class->lock);
    uint32_t pages = class->pages_count;
    uint64_t items = class->items;
    lock_release(&class->lock);
    return pages > 0 && items > 0 ? gain_loss(class, pages) * pages / items : 0;
}

/** The class that loses least by giving a page, and how much; of those that are alike the one with
 * most pages.  0 when none has more than `keeps`, but for those in `but`.  Mover's lock held. */
static uint8_t
find_least(struct cache *cache, const struct cache_class_set *but, uint32_t keeps, uint64_t *least)
{
    uint8_t donor = 0;
    uint32_t most = 0;
    uint64_t loss_of_one = loss_of_long_item(cache);
    *least = UINT64_MAX;
    for (unsigned id = 1; id <= cache->classes; id++) {
        struct size_class *class = &cache->size_class[id];
        if (cache_class_set_has(but, id)) {
            continue;
        }
        lock_acquire(&class->lock);
        uint32_t pages = class->pages_count;
        uint64_t homeless = homeless_pieces(cache, class);
        lock_release(&class->lock);
        if (pages <= keeps) {
            continue;
        }
        uint64_t loss = gain_loss(class, pages) + homeless * loss_of_one;
        if (loss < *least || (loss == *least && pages > most)) {
            donor = (uint8_t)id;
            *least = loss;
            most = pages;
        }
    }
    return donor;
}

static uint8_t
find_donor(struct cache *cache, const struct cache_class_set *but, uint32_t keeps)
{
    uint64_t least;
    return find_least(cache, but, keeps, &least);
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

static bool
is_mover_off(const struct cache *cache)
{
    /* relaxed: a setting */
    return atomic_load_explicit(&cache->mover.mode, memory_order_relaxed) == CACHE_MOVER_OFF;
}

/** Whether the gain of class `to` is worth another one's loss. */
static bool
pays(const struct cache *cache, const struct size_class *to, uint64_t loss)
{
    const struct mover *mover = &cache->mover;
    uint64_t gain = gain_of(to);
    /* relaxed, both: settings */
    switch ((enum cache_mover_mode)atomic_load_explicit(&mover->mode, memory_order_relaxed)) {
    case CACHE_MOVER_OFF:
        return false;
    case CACHE_MOVER_NORMAL:
        return gain >
               loss * 1000 / atomic_load_explicit(&mover->thousandths, memory_order_relaxed) +
                   gain_of_one(cache, to);
    case CACHE_MOVER_EAGER:
        return gain > loss;
    }
    return false; /* not reached */
}

/** Whether the class, which nobody reads, can do without a page, and no long item's end is on it. */
static bool
can_spare(const struct cache *cache, struct size_class *class)
{
    lock_acquire(&class->lock);
    uint32_t pages = class->pages_count;
    bool needed = pages < 2 || homeless_pieces(cache, class) > 0;
    lock_release(&class->lock);
    return !needed && gain_is_none(cache, class, pages);
}

/** The class with the oldest items, if they are much older than those of `to`, and neither is read;
 * 0 for none.  Its last page stays. */
static uint8_t
find_older(struct cache *cache, struct size_class *to)
{
    uint8_t donor = 0;
    uint64_t turnover = to->gain.turnover / OLDER;
    if (!gain_is_none(cache, to, pages_of(to))) {
        return 0;
    }
    for (unsigned id = 1; id <= cache->classes; id++) {
        struct size_class *class = &cache->size_class[id];
        if (class->gain.turnover < turnover && can_spare(cache, class)) {
            donor = (uint8_t)id;
            turnover = class->gain.turnover;
        }
    }
    return donor;
}

/** Begins a move towards `to` if that gains more than it loses, or what it loses is older. */
static void
consider(struct cache *cache, uint8_t to)
{
    struct size_class *class = &cache->size_class[to];
    struct cache_class_set but = { 0 };
    cache_class_set_add(&but, to);
    uint64_t loss;
    uint8_t donor = find_least(cache, &but, 0, &loss);
    if (donor != 0 && !pays(cache, class, loss)) {
        donor = is_mover_off(cache) ? 0 : find_older(cache, class);
    }
    if (donor != 0) {
        page_move_begin(cache, donor, to);
    }
    gain_look(cache);
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
    if ((!due && page_move_state(mover) == MOVER_IDLE) || !lock_try_acquire(&mover->lock)) {
        return;
    }
    if (page_move_state(mover) != MOVER_IDLE) {
        page_move_step(cache, thread, SLICE_CHUNKS);
    } else if (table_take_starved(&cache->table)) {
        uint8_t donor = find_donor(cache, &(struct cache_class_set){ 0 }, 0);
        if (donor != 0) {
            page_move_begin(cache, donor, MOVER_TO_INDEX);
        }
    } else if (since >= threshold) {
        atomic_store_explicit(&mover->since, 0, memory_order_relaxed); /* relaxed: as above */
        consider(cache, class_id);
    }
    lock_release(&mover->lock);
}

/* -- on request ------------------------------------------------------------------------------- */

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
    if (mover->asked_tries == 0 || !page_move_begin(cache, mover->asked_from, mover->asked_to)) {
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
    mover_count(&cache->mover.moved);
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

/* -- in slices -------------------------------------------------------------------------------- */

/** Whether the limit wants another page, besides those on their way.  Mover's lock held. */
static bool
limit_wants_page(const struct cache *cache)
{
    uint32_t going = cache->mover.leaving_count + pages_free_count(&cache->pages);
    return !cache->options.evictions_disabled && pages_over_limit(&cache->pages, going);
}

/** A class that has more than a page of free chunks, if there is one; else the one that loses least.
 * Only for the limit: of a page that was just given to a class all chunks are free. */
static uint8_t
find_donor_for_limit(struct cache *cache)
{
    for (unsigned id = 1; id <= cache->classes; id++) {
        struct size_class *class = &cache->size_class[id];
        lock_acquire(&class->lock);
        bool has_spare = class->free_chunks > class->per_page;
        lock_release(&class->lock);
        if (has_spare) {
            return (uint8_t)id;
        }
    }
    return find_donor(cache, &(struct cache_class_set){ 0 }, 0);
}

/** Goes on with a move, or begins one.  Whether there is more to do at once: not while all that is
 * left to do is to wait for readers, or for what holds a page.  Mover's lock held. */
static bool
run_slice(struct cache *cache, struct cache_thread *thread, unsigned chunks)
{
    struct mover *mover = &cache->mover;
    if (page_move_has_room(mover) && limit_wants_page(cache)) {
        uint8_t donor = find_donor_for_limit(cache);
        if (donor != 0) {
            page_move_begin(cache, donor, MOVER_TO_POOL);
        }
    } else if (page_move_state(mover) == MOVER_IDLE && is_asked(mover)) {
        begin_asked(cache);
    }
    unsigned leaving = mover->leaving_count;
    if (page_move_state(mover) == MOVER_DRAIN) {
        page_move_step(cache, thread, chunks);
    }
    bool emptied = mover->leaving_count > leaving;
    switch (page_move_state(mover)) {
    case MOVER_DRAIN:
        return true;
    case MOVER_WAIT:
        return emptied && page_move_has_room(mover) && limit_wants_page(cache);
    case MOVER_IDLE:
        return is_asked(mover);
    }
    return false; /* not reached */
}

bool
rebalance_run(struct cache *cache, struct cache_thread *thread, unsigned chunks)
{
    struct mover *mover = &cache->mover;
    if (!lock_try_acquire(&mover->lock)) {
        return false;
    }
    page_move_deliver(cache, thread);
    bool more = pages_cool_some(&cache->pages);
    bool moving = run_slice(cache, thread, chunks);
    /* The class's lock is free between slices, so that no store waits for all of them. */
    for (unsigned i = 1; i < LIMIT_SLICES && moving && pages_over_limit(&cache->pages, 0); i++) {
        moving = run_slice(cache, thread, chunks);
    }
    lock_release(&mover->lock);
    return more || moving;
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
    bool has_room = page_move_has_room(mover);
    if (has_room) {
        page_move_begin_empty(cache, class, page);
    }
    lock_release(&mover->lock);
    return has_room;
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
    for (unsigned waits = 0; page_move_state(mover) != MOVER_IDLE && waits < STEAL_WAITS_MAX;
         waits++) {
        page_move_step(cache, thread, STEAL_CHUNKS);
        if (page_move_state(mover) == MOVER_WAIT) {
            wait_for_readers(waits);
        }
    }
    bool stolen = false;
    struct cache_class_set tried = { 0 };
    cache_class_set_add(&tried, class_id);
    for (unsigned tries = 0;
         tries < STEAL_TRIES_MAX && !stolen && page_move_state(mover) == MOVER_IDLE; tries++) {
        uint8_t donor = find_donor(cache, &tried, 0);
        if (donor == 0) {
            break;
        }
        if (!page_move_begin(cache, donor, class_id)) {
            cache_class_set_add(&tried, donor);
            continue;
        }
        page_move_step(cache, thread, STEAL_CHUNKS);
        if (page_move_state(mover) == MOVER_IDLE &&
            tries % STEAL_TRIES_EACH == STEAL_TRIES_EACH - 1) {
            cache_class_set_add(&tried, donor); /* its pages hold what is being filled or sent */
        }
        for (unsigned waits = 0; page_move_state(mover) == MOVER_WAIT && waits < STEAL_WAITS_MAX;
             waits++) {
            page_move_step(cache, thread, STEAL_CHUNKS);
            stolen = page_move_state(mover) == MOVER_IDLE;
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
