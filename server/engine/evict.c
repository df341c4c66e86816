#include "config.h"

#include "engine/evict.h"

#include "base/assert.h"
#include "engine/cache_priv.h"
#include "engine/large.h"

#include <stdlib.h>
#include <sys/mman.h>

#define SMALL_SHARE 10u /* the small queue holds one in so many of the class's chunks */
#define SMALL_SHARE_MAX \
    8u /* and never more than one in so many: while memory lasts, old ones leave it too */
#define GRADUATES_MAX    4u   /* entries that leave the small queue for one that enters */
#define POPS_MAX         128u /* entries of the small queue in one of an eviction's two looks */
#define HAND_STEPS_MAX   512u /* chunks that the hand passes in one of its two looks */
#define HAND_USED_MAX    48u  /* of these, items in use; then one of them goes all the same */
#define HAND_AHEAD       4u   /* chunks fetched in advance */
#define LEAVING_S        3u   /* an item that expires within so many seconds is left to expire */
#define LEAVING_MAX      16u  /* of these passed over for one eviction, in each queue */
#define EPOCHS_PER_CLASS 40u  /* a class's chunks are evicted once in so many epochs */
#define EPOCHS_KNOWN     36u  /* a ghost younger than that brings its key to the main queue */
#define EPOCHS_NEAR      2u   /* a twentieth */

#define SEGMENT_ENTRIES 62u
#define SEGMENT_SLACK   (64u << 10) /* bytes that queues may take past the budget for a moment */

#define GHOST_SHARE      100u /* of the memory limit */
#define GHOST_EPOCH_MASK 0x1ffu

/* -- the small queue --------------------------------------------------------------------------- */

struct queue_entry {
    uint32_t ref;
    uint32_t hash; /* low half: tells whether the chunk still holds the item that was noted */
};

struct queue_segment {
    struct queue_segment *next;
    struct queue_entry entry[SEGMENT_ENTRIES];
};

static bool
queue_push(struct cache *cache, struct evict_queue *queue, struct queue_entry entry)
{
    if (queue->tail == NULL || queue->tail_at == SEGMENT_ENTRIES) {
        if (!pages_charge(&cache->pages, sizeof(struct queue_segment), SEGMENT_SLACK)) {
            return false;
        }
        struct queue_segment *segment = malloc(sizeof(*segment));
        if (segment == NULL) {
            pages_uncharge(&cache->pages, sizeof(struct queue_segment));
            return false;
        }
        segment->next = NULL;
        if (queue->tail != NULL) {
            queue->tail->next = segment;
        } else {
            queue->head = segment;
            queue->head_at = 0;
        }
        queue->tail = segment;
        queue->tail_at = 0;
        queue->segments++;
    }
    queue->tail->entry[queue->tail_at++] = entry;
    queue->length++;
    return true;
}

static void
queue_drop_head(struct cache *cache, struct evict_queue *queue)
{
    struct queue_segment *segment = queue->head;
    queue->head = segment->next;
    queue->head_at = 0;
    if (queue->head == NULL) {
        queue->tail = NULL;
    }
    free(segment);
    queue->segments--;
    pages_uncharge(&cache->pages, sizeof(struct queue_segment));
}

static bool
queue_pop(struct cache *cache, struct evict_queue *queue, struct queue_entry *entry)
{
    if (queue->length == 0) {
        return false;
    }
    *entry = queue->head->entry[queue->head_at++];
    queue->length--;
    if (queue->head_at == SEGMENT_ENTRIES || queue->length == 0) {
        queue_drop_head(cache, queue);
    }
    return true;
}

void
evict_queue_fini(struct cache *cache, struct size_class *class)
{
    struct queue_entry entry;
    while (queue_pop(cache, &class->queue, &entry)) {
    }
}

/** The item that an entry notes, if it still is in the small queue; NULL when it is not. */
static struct item *
noted_item(const struct cache *cache, const struct size_class *class, struct queue_entry entry,
           uint32_t *shape)
{
    uint32_t page = pages_page_of(&cache->pages, entry.ref);
    if (page_class(&cache->pages.page[page]) != class->id) {
        return NULL; /* the item has gone, and its page too */
    }
    struct item *item = cache_item(cache, entry.ref);
    *shape = item_shape(item);
    if (shape_key_len(*shape) == 0 || !(*shape & SHAPE_SMALL)) {
        return *shape == SHAPE_HELD ? item : NULL;
    }
    return (uint32_t)cache_item_hash(cache, item, *shape) == entry.hash ? item : NULL;
}

/** The oldest entry leaves the small queue while there is memory: its item has lived long enough
 * for the main one. */
static void
graduate_one(struct cache *cache, struct size_class *class)
{
    struct queue_entry entry;
    uint32_t shape;
    if (!queue_pop(cache, &class->queue, &entry)) {
        return;
    }
    struct item *item = noted_item(cache, class, entry, &shape);
    if (item != NULL && shape == SHAPE_HELD) {
        queue_push(cache, &class->queue, entry);
    } else if (item != NULL) {
        item_drop_flags(item, SHAPE_SMALL);
    }
}

bool
evict_note_new(struct cache *cache, struct size_class *class, uint32_t ref, uint64_t hash)
{
    const struct evict_queue *queue = &class->queue;
    uint64_t length_max = (uint64_t) class->pages_count * class->per_page / SMALL_SHARE_MAX;
    /* More than one at a time may go: else entries that stay would make the queue longer and
     * longer. */
    for (unsigned tries = 0; tries < GRADUATES_MAX && queue->length > length_max; tries++) {
        graduate_one(cache, class);
    }
    return queue_push(cache, &class->queue, (struct queue_entry){ ref, (uint32_t)hash });
}

void
evict_note_restored(struct cache *cache, struct size_class *class, uint32_t ref, uint64_t hash)
{
    /* Without memory for the note, evict_main() finds the item. */
    (void)queue_push(cache, &class->queue, (struct queue_entry){ ref, (uint32_t)hash });
}

/* -- ghosts ---------------------------------------------------------------------------------------
 *
 *     entry  bits  meaning
 *            0-15  fingerprint: bits 40-55 of the hash
 *            16-22 class id; never 0
 *            23-31 the class's epoch at the eviction, modulo 512
 */

bool
ghosts_init(struct ghosts *ghosts, struct pages *pages, uint64_t memory_limit)
{
    *ghosts = (struct ghosts){ 0 };
    uint64_t group_bytes = GHOST_GROUP * sizeof(uint32_t);
    uint64_t groups = 1;
    while (groups * 2 * group_bytes <= memory_limit / GHOST_SHARE) {
        groups *= 2;
    }
    uint64_t bytes = groups * group_bytes;
    if (!pages_charge(pages, bytes, 0)) {
        return false;
    }
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        return false;
    }
    ghosts->entry = at;
    ghosts->groups = groups;
    ghosts->bytes = bytes;
    return true;
}

void
ghosts_fini(struct ghosts *ghosts)
{
    munmap(ghosts->entry, ghosts->bytes);
}

static uint32_t
ghost_make(const struct size_class *class, uint64_t hash)
{
    return (uint32_t)(hash >> 40 & 0xffffu) | (uint32_t) class->id << 16 |
           (class->queue.epoch & GHOST_EPOCH_MASK) << 23;
}

static uint32_t
ghost_load(_Atomic uint32_t *entry)
{
    return atomic_load_explicit(
        entry, memory_order_relaxed); /* relaxed: entries are hints, alone in their word */
}

static void
ghost_store(_Atomic uint32_t *entry, uint32_t value)
{
    atomic_store_explicit(entry, value, memory_order_relaxed); /* relaxed: as ghost_load() */
}

static uint32_t
epoch_chunks(const struct size_class *class)
{
    return class->pages_count * class->per_page / EPOCHS_PER_CLASS + 1;
}

uint64_t
evict_turns(const struct size_class *class)
{
    const struct evict_queue *queue = &class->queue;
    _Static_assert(EVICT_TURN == (uint64_t)EPOCHS_PER_CLASS << 16, "an epoch is 2^16");
    return ((uint64_t)queue->epoch << 16) +
           ((uint64_t)queue->epoch_evictions << 16) / epoch_chunks(class);
}

/** Counts the eviction of an item of so many chunks, and remembers the key: newest first in its
 * group, the oldest falls out. */
static void
ghost_add(struct cache *cache, struct size_class *class, uint64_t hash, uint32_t item_chunks)
{
    struct evict_queue *queue = &class->queue;
    uint32_t chunks = epoch_chunks(class);
    queue->epoch_evictions += item_chunks;
    queue->epoch += queue->epoch_evictions / chunks;
    queue->epoch_evictions %= chunks;
    _Atomic uint32_t *group = ghosts_group(&cache->ghosts, hash);
    for (unsigned i = GHOST_GROUP - 1; i > 0; i--) {
        ghost_store(&group[i], ghost_load(&group[i - 1]));
    }
    ghost_store(&group[0], ghost_make(class, hash));
}

enum ghost_age
ghosts_take(struct cache *cache, struct size_class *class, uint64_t hash)
{
    if (class->evicted == 0) {
        return GHOST_NONE;
    }
    _Atomic uint32_t *group = ghosts_group(&cache->ghosts, hash);
    uint32_t now = ghost_make(class, hash);
    for (unsigned i = 0; i < GHOST_GROUP; i++) {
        uint32_t entry = ghost_load(&group[i]);
        if (((entry ^ now) & 0x007fffffu) != 0) {
            continue;
        }
        ghost_store(&group[i], 0);
        uint32_t age = ((now >> 23) - (entry >> 23)) & GHOST_EPOCH_MASK;
        if (age > EPOCHS_KNOWN) {
            return GHOST_NONE;
        }
        atomic_fetch_add_explicit(&cache->ghosts.hits, 1,
                                  memory_order_relaxed); /* relaxed: a figure */
        /* A page is the least that can be moved: with few pages it is more than a twentieth. */
        uint32_t page_epochs =
            class->pages_count > 0 ? EPOCHS_PER_CLASS / class->pages_count : EPOCHS_PER_CLASS;
        return age <= (page_epochs > EPOCHS_NEAR ? page_epochs : EPOCHS_NEAR) ? GHOST_NEAR
                                                                              : GHOST_FAR;
    }
    return GHOST_NONE;
}

/* -- evicting ---------------------------------------------------------------------------------- */

/** What an observer is told of an item that goes; its key is copied to `key` (SHAPE_KEY_MAX bytes). */
static struct cache_evicted
describe_gone(const struct cache *cache, const struct item *item, uint32_t shape, uint8_t *key)
{
    uint32_t key_len = shape_key_len(shape);
    uint32_t access = item_access(item);
    race_copy_out(key, item_key(item, shape, cache->cas_size), key_len);
    return (struct cache_evicted){ .key = key,
                                   .key_len = (uint8_t)key_len,
                                   .class_id = cache_item_class(cache, shape),
                                   .fetched = (access & ACCESS_FETCHED) != 0,
                                   .value_len = cache_item_value_len(cache, item, shape),
                                   .idle_s = access_idle_s(access, cache_now_s(cache)),
                                   .expires_at = cache_expires_at(cache, item_expire_s(item)),
                                   .now = cache_now(cache) };
}

/** Tells the observer of an item that goes for room. */
static __attribute__((noinline)) void
tell_evicted(struct cache *cache, const struct item *item, uint32_t shape)
{
    uint8_t key[SHAPE_KEY_MAX];
    struct cache_evicted told = describe_gone(cache, item, shape, key);
    cache->options.observer->evicted(cache->options.observer->arg, &told);
}

void
evict_tell_dead(struct cache *cache, const struct item *item, uint32_t shape)
{
    if (__builtin_expect(!cache_is_observed(cache, CACHE_WANTS_DEAD), 1)) {
        return;
    }
    uint8_t key[SHAPE_KEY_MAX];
    struct cache_evicted told = describe_gone(cache, item, shape, key);
    cache->options.observer->died(cache->options.observer->arg, &told,
                                  cache_absence_of(cache, item, shape));
}

/** Counts an item that goes: for age if it is dead, else for room; whether it was for room. */
static bool
note_gone(struct cache *cache, struct size_class *class, const struct item *item, uint32_t shape)
{
    uint32_t now_s = cache_now_s(cache);
    uint32_t access = item_access(item);
    if (cache_is_dead(cache, item, shape, now_s)) {
        class->reclaimed++;
        class->expired_unfetched += !(access & ACCESS_FETCHED);
        evict_tell_dead(cache, item, shape);
        return false;
    }
    class->evicted++;
    class->evicted_nonzero += item_expire_s(item) != 0;
    class->evicted_unfetched += !(access & ACCESS_FETCHED);
    class->evicted_active += (access & ACCESS_USES_MASK) > ACCESS_USE_ONE;
    class->evicted_age_s = access_idle_s(access, now_s);
    class->age_s = class->evicted_age_s;
    if (__builtin_expect(cache_is_observed(cache, CACHE_WANTS_EVICTED), 0)) {
        tell_evicted(cache, item, shape);
    }
    return true;
}

void
evict_note_gone(struct cache *cache, struct size_class *class, uint32_t ref)
{
    /* Its key is not remembered: that it goes tells of the page that it lay on, not of a class
     * short of memory.  With a ghost, each page taken from the long items would raise their gain,
     * and soon be fetched back. */
    const struct item *item = cache_item(cache, ref);
    note_gone(cache, class, item, item_shape(item));
}

/** Takes a visible item out and frees it; false when someone else was faster, or it is pinned. */
static bool
evict_hashed(struct cache *cache, struct size_class *class, uint32_t ref, uint32_t shape,
             uint64_t hash)
{
    struct item *item = cache_item(cache, ref);
    if (!cache_unlink(cache, hash, ref)) {
        return false;
    }
    if (note_gone(cache, class, item, shape)) {
        uint32_t chunks = (uint32_t)(cache_item_size(cache, item, shape) / class->chunk_size) + 1;
        ghost_add(cache, class, hash, shape & SHAPE_LARGE ? chunks : 1);
    }
    return cache_free_item(cache, ref, class->id);
}

bool
evict_item(struct cache *cache, struct size_class *class, uint32_t ref)
{
    struct item *item = cache_item(cache, ref);
    uint32_t shape = item_shape(item);
    if (shape_key_len(shape) == 0) {
        return false;
    }
    return evict_hashed(cache, class, ref, shape, cache_item_hash(cache, item, shape));
}

static bool
is_draining(const struct cache *cache, uint32_t ref)
{
    const struct page *page = &cache->pages.page[pages_page_of(&cache->pages, ref)];
    return atomic_load_explicit(&page->state, memory_order_relaxed) ==
           PAGE_DRAINING; /* relaxed: under the lock */
}

/** Whether an item goes by itself so soon that another one had better make room. */
static bool
is_leaving(const struct item *item, uint32_t now_s)
{
    uint32_t expire_s = item_expire_s(item);
    return expire_s > now_s && expire_s - now_s <= LEAVING_S;
}

/** Evicts from the old end of the small queue; items that have been used since they came stay, as
 * main ones, and some that expire soon. */
static bool
evict_small(struct cache *cache, struct size_class *class)
{
    struct queue_entry entry;
    unsigned leaving = 0;
    for (unsigned pops = 0; pops < POPS_MAX && queue_pop(cache, &class->queue, &entry); pops++) {
        uint32_t shape;
        struct item *item = noted_item(cache, class, entry, &shape);
        if (item == NULL) {
            continue;
        }
        if (shape == SHAPE_HELD) {
            /* Still being filled: it stays noted.  At most as many as there are stores under way.
             */
            queue_push(cache, &class->queue, entry);
            continue;
        }
        uint64_t hash = cache_item_hash(cache, item, shape);
        uint32_t access = item_access(item);
        if ((access & ACCESS_USES_MASK) != 0 &&
            !cache_is_dead(cache, item, shape, cache_now_s(cache))) {
            item_set_access(item, access & ~ACCESS_USES_MASK);
            item_drop_flags(item, SHAPE_SMALL);
            continue;
        }
        if (leaving < LEAVING_MAX && is_leaving(item, cache_now_s(cache))) {
            item_drop_flags(item, SHAPE_SMALL);
            leaving++;
            continue;
        }
        bool draining = is_draining(cache, entry.ref);
        if (evict_hashed(cache, class, entry.ref, shape, hash) && !draining) {
            return true;
        }
    }
    return false;
}

/** The ref under the hand, which steps on; 0 past a page's used chunks. */
static uint32_t
hand_step(struct cache *cache, struct size_class *class)
{
    struct evict_queue *queue = &class->queue;
    if (queue->hand_page >= class->pages_count) {
        queue->hand_page = 0;
        queue->hand_chunk = 0;
    }
    uint32_t page = class->pages[queue->hand_page];
    if (queue->hand_chunk >= slab_page_chunks(cache, page)) {
        queue->hand_page++;
        queue->hand_chunk = 0;
        return 0;
    }
    __builtin_prefetch(
        cache_item(cache, slab_chunk_ref(cache, class, page, queue->hand_chunk + HAND_AHEAD)), 1);
    return slab_chunk_ref(cache, class, page, queue->hand_chunk++);
}

/** Evicts the next item of the main queue that has not been used since the hand came by.  `any`:
 * small ones too. */
static bool
evict_main(struct cache *cache, struct size_class *class, bool any)
{
    if (class->pages_count == 0) {
        return false;
    }
    unsigned in_use = 0;
    unsigned leaving = 0;
    for (unsigned steps = 0; steps < HAND_STEPS_MAX; steps++) {
        uint32_t ref = hand_step(cache, class);
        if (ref == 0) {
            continue;
        }
        struct item *item = cache_item(cache, ref);
        uint32_t shape = item_shape(item);
        if (any && class->id == cache->classes && shape_key_len(shape) == 0 &&
            (shape & SHAPE_PIECE)) {
            /* Long items have few heads among many pieces: the hand may not meet one in all its
             * steps. */
            ref = large_owner(cache, ref);
            item = cache_item(cache, ref);
            shape = item_shape(item);
        }
        if (shape_key_len(shape) == 0 || ((shape & SHAPE_SMALL) && !any)) {
            continue;
        }
        uint32_t access = item_access(item);
        class->age_s = access_idle_s(access, cache_now_s(cache));
        if ((access & ACCESS_USES_MASK) != 0 && in_use < HAND_USED_MAX &&
            !cache_is_dead(cache, item, shape, cache_now_s(cache))) {
            item_set_access(item, access - ACCESS_USE_ONE);
            in_use++;
            continue;
        }
        if (leaving < LEAVING_MAX && is_leaving(item, cache_now_s(cache))) {
            leaving++;
            continue;
        }
        bool draining = is_draining(cache, ref);
        if (evict_item(cache, class, ref) && !draining) {
            return true;
        }
    }
    return false;
}

bool
evict_one(struct cache *cache, struct size_class *class)
{
    uint64_t chunks = (uint64_t) class->pages_count * class->per_page;
    if (class->queue.length * SMALL_SHARE > chunks && evict_small(cache, class)) {
        return true;
    }
    if (evict_main(cache, class, false)) {
        return true;
    }
    if (evict_small(cache, class)) {
        return true;
    }
    /* Small items whose note found no memory, or a class so full of items in use that the hand met
     * no other. */
    return evict_main(cache, class, true);
}

/* -- check ------------------------------------------------------------------------------------- */

void
evict_check(struct cache *cache, struct size_class *class)
{
    struct evict_queue *queue = &class->queue;
    uint64_t segments = 0;
    uint64_t entries = 0;
    for (struct queue_segment *segment = queue->head; segment != NULL; segment = segment->next) {
        uint32_t from = segment == queue->head ? queue->head_at : 0;
        uint32_t to = segment == queue->tail ? queue->tail_at : SEGMENT_ENTRIES;
        assert(from <= to && to <= SEGMENT_ENTRIES);
        for (uint32_t i = from; i < to; i++) {
            assert(segment->entry[i].ref != 0);
            assert(pages_page_of(&cache->pages, segment->entry[i].ref) < cache->pages.page_max);
        }
        entries += to - from;
        segments++;
    }
    assert(entries == queue->length && segments == queue->segments);
}
