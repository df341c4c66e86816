#include "config.h"

#include "engine/large.h"

#include "base/assert.h"
#include "engine/cache_priv.h"

static struct piece *
piece_at(const struct cache *cache, uint32_t ref)
{
    return (struct piece *)(void *)cache_item(cache, ref);
}

static uint32_t
load_word(const _Atomic uint32_t *word)
{
    return atomic_load_explicit(
        word, memory_order_relaxed); /* relaxed: ordered by the bucket's lock or by a pin */
}

static void
store_word(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed); /* relaxed: as load_word() */
}

/** Bytes of the value that a head holds: always fewer than there are. */
static uint32_t
head_room(const struct cache *cache, uint32_t shape)
{
    return cache->chunk_max - large_offset(shape, cache->cas_size) - (uint32_t)sizeof(struct large);
}

static uint8_t *
head_bytes(const struct cache *cache, struct item *head, uint32_t shape)
{
    return (uint8_t *)(large_of(head, shape, cache->cas_size) + 1);
}

void
large_begin(struct cache *cache, struct cache_store *store, struct item *head, uint32_t shape)
{
    struct large *large = large_of(head, shape, cache->cas_size);
    store_word(&large->value_len, store->value_len);
    store_word(&large->pins, 1);
    store_word(&large->next, 0);
    store->at = head_bytes(cache, head, shape);
    store->room = head_room(cache, shape);
    assert(store->room < store->value_len); /* else it would be a short item */
    store->missing = store->value_len - (uint32_t)store->room;
    store->filling = store->last = 0;
}

/** Where the ref of the piece behind `ref` stands; 0 for the head. */
static _Atomic uint32_t *
link_behind(const struct cache *cache, const struct cache_store *store, uint32_t ref)
{
    if (ref != 0) {
        return &piece_at(cache, ref)->next;
    }
    uint32_t shape =
        shape_make(store->key_len, 0, 0, store->client_flags != 0 ? SHAPE_CLIENT_FLAGS : 0);
    return &large_of(cache_item(cache, store->ref), shape, cache->cas_size)->next;
}

/** The bytes of the value that go to a piece. */
static struct cache_space
space_of(struct piece *piece)
{
    return (struct cache_space){ (uint8_t *)(piece + 1), shape_piece_len(load_word(&piece->shape)) };
}

bool
large_extend(struct cache *cache, struct cache_thread *thread, struct cache_store *store)
{
    assert(store->missing > 0);
    uint32_t room = cache->chunk_max - (uint32_t)sizeof(struct piece);
    uint32_t used = store->missing < room ? store->missing : room;
    uint8_t class_id = cache_class_of(cache, used + (uint32_t)sizeof(struct piece));
    uint32_t ref = slab_alloc_piece(cache, thread, class_id);
    if (ref == 0) {
        return false;
    }
    struct piece *piece = piece_at(cache, ref);
    store_word(&piece->next, 0);
    store_word(&piece->owner, store->ref);
    store_word(&piece->shape, SHAPE_PIECE | used << 8);
    store_word(link_behind(cache, store, store->last), ref);
    store->last = ref;
    store->missing -= used;
    return true;
}

void
large_step(const struct cache *cache, struct cache_store *store)
{
    assert(store->room == 0 && store->filling != store->last);
    store->filling = load_word(link_behind(cache, store, store->filling));
    struct cache_space space = space_of(piece_at(cache, store->filling));
    store->at = space.at;
    store->room = space.len;
}

unsigned
large_spaces(const struct cache *cache, const struct cache_store *store, struct cache_space *spaces,
             unsigned max)
{
    assert(max > 0);
    unsigned count = 0;
    spaces[count++] = (struct cache_space){ store->at, store->room };
    for (uint32_t ref = store->filling; ref != store->last && count < max;) {
        ref = load_word(link_behind(cache, store, ref));
        spaces[count++] = space_of(piece_at(cache, ref));
    }
    return count;
}

void
large_pin(const struct cache *cache, struct item *head, uint32_t shape)
{
    struct large *large = large_of(head, shape, cache->cas_size);
    uint32_t before = atomic_fetch_add_explicit(&large->pins, 1,
                                                memory_order_relaxed); /* relaxed: locked bucket */
    assert(before > 0 && before < UINT32_MAX);
}

bool
large_unpin(const struct cache *cache, struct item *head, uint32_t shape)
{
    struct large *large = large_of(head, shape, cache->cas_size);
    /* acq_rel: what each holder read is done before the last one frees it. */
    uint32_t before = atomic_fetch_sub_explicit(&large->pins, 1, memory_order_acq_rel);
    assert(before > 0);
    return before == 1;
}

uint32_t
large_owner(const struct cache *cache, uint32_t piece)
{
    return load_word(&piece_at(cache, piece)->owner);
}

uint32_t
large_pins(const struct cache *cache, const struct item *head, uint32_t shape)
{
    return atomic_load_explicit(&large_of(head, shape, cache->cas_size)->pins,
                                memory_order_acquire); /* as unpin */
}

void
large_free(struct cache *cache, uint32_t ref, uint32_t shape, uint8_t held_class)
{
    uint32_t next = load_word(&large_of(cache_item(cache, ref), shape, cache->cas_size)->next);
    while (next != 0) {
        uint32_t piece = next;
        next = load_word(&piece_at(cache, piece)->next);
        slab_free(cache, piece, held_class);
    }
    slab_free(cache, ref, held_class);
}

void
large_move_head(struct cache *cache, uint32_t from, uint32_t to, uint32_t shape)
{
    struct item *source = cache_item(cache, from);
    struct item *target = cache_item(cache, to);
    item_set_access(target, item_access(source));
    item_set_expire_s(target, item_expire_s(source));
    size_t header = sizeof(struct item);
    race_copy_in((uint8_t *)target + header, (const uint8_t *)source + header,
                 cache->chunk_max - header);
    item_set_shape(target, shape);
    for (uint32_t ref = load_word(&large_of(target, shape, cache->cas_size)->next); ref != 0;) {
        struct piece *piece = piece_at(cache, ref);
        store_word(&piece->owner, to);
        ref = load_word(&piece->next);
    }
}

void
large_move_piece(struct cache *cache, uint32_t head, uint32_t from, uint32_t to)
{
    struct item *item = cache_item(cache, head);
    struct piece *source = piece_at(cache, from);
    struct piece *target = piece_at(cache, to);
    uint32_t shape = load_word(&source->shape);
    store_word(&target->next, load_word(&source->next));
    store_word(&target->owner, head);
    race_copy_in(target + 1, source + 1, shape_piece_len(shape));
    store_word(&target->shape, shape);
    _Atomic uint32_t *link = &large_of(item, item_shape(item), cache->cas_size)->next;
    while (load_word(link) != from) {
        assert(load_word(link) != 0);
        link = &piece_at(cache, load_word(link))->next;
    }
    store_word(link, to);
}

unsigned
large_pieces(const struct cache *cache, const struct item *head, uint32_t shape, size_t from,
             struct cache_piece *pieces, unsigned max)
{
    const struct large *large = large_of(head, shape, cache->cas_size);
    const uint8_t *at = (const uint8_t *)(large + 1);
    size_t len = head_room(cache, shape);
    size_t passed = 0;
    uint32_t next = load_word(&large->next);
    unsigned count = 0;
    while (count < max) {
        if (passed + len > from) {
            size_t skip = from > passed ? from - passed : 0;
            pieces[count++] = (struct cache_piece){ at + skip, len - skip };
        }
        passed += len;
        if (next == 0) {
            break;
        }
        const struct piece *piece = piece_at(cache, next);
        at = (const uint8_t *)(piece + 1);
        len = shape_piece_len(load_word(&piece->shape));
        next = load_word(&piece->next);
    }
    return count;
}

uint32_t
large_check(const struct cache *cache, uint32_t ref, uint32_t shape)
{
    const struct large *large = large_of(cache_item(cache, ref), shape, cache->cas_size);
    uint32_t pieces = 0;
    uint64_t bytes = head_room(cache, shape);
    assert(load_word(&large->pins) > 0);
    for (uint32_t next = load_word(&large->next); next != 0;
         next = load_word(&piece_at(cache, next)->next)) {
        const struct piece *piece = piece_at(cache, next);
        assert(load_word(&piece->owner) == ref);
        assert(shape_key_len(load_word(&piece->shape)) == 0 &&
               (load_word(&piece->shape) & SHAPE_PIECE));
        bytes += shape_piece_len(load_word(&piece->shape));
        pieces++;
    }
    assert(bytes == load_word(&large->value_len));
    return pieces;
}
