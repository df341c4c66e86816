#include "config.h"

#include "engine/restart.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/rng.h"
#include "engine/cache_priv.h"
#include "engine/memory_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGES_MIN       4u               /* as for a lowered limit: cache_set_memory_limit() */
#define LIMIT_NONE      (UINT64_MAX / 4) /* while a cache is filled */
#define SHRINK_PER_PAGE 64u /* slices of background work for a page that a lower limit costs */
#define SHRINK_LEAST    1000u

/* -- saving ------------------------------------------------------------------------------------ */

static uint64_t
load(const _Atomic uint64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed); /* relaxed: no other thread */
}

static uint64_t
count_items(const struct cache *cache)
{
    uint64_t items = 0;
    for (unsigned id = 1; id <= cache->classes; id++) {
        items += cache->size_class[id].items;
    }
    return items;
}

/** A number that no earlier one is. */
static uint64_t
new_id(void)
{
    uint64_t id;
    do {
        id = rng_system();
    } while (id == 0);
    return id;
}

static struct restart_meta
describe(struct cache *cache)
{
    return (struct restart_meta){
        .id = new_id(),
        .saved_ns = clock_unix_us() * 1000,
        .clock_base = (uint64_t)cache->clock_base,
        .now_s = cache_now_s(cache),
        .cas_size = cache->cas_size,
        .page_shift = cache->pages.page_shift,
        .ref_shift = cache->pages.ref_shift,
        .classes = cache->classes,
        .page_count = cache->pages.fresh,
        .items = count_items(cache),
        .generation = cache_generation(cache),
        /* relaxed: no other thread */
        .flush_at_s = atomic_load_explicit(&cache->flush_at_s, memory_order_relaxed),
        .cas_last = load(&cache->cas_last),
        .cas_explicit = load(&cache->prefixes.cas_explicit),
    };
}

/** Whether a chunk of the page is being filled, or sent after its item has gone. */
static bool
has_held(const struct cache *cache, const struct size_class *class, uint32_t number)
{
    uint32_t chunks = slab_page_chunks(cache, number);
    for (uint32_t chunk = 0; chunk < chunks; chunk++) {
        if (item_shape(cache_item(cache, slab_chunk_ref(cache, class, number, chunk))) ==
            SHAPE_HELD) {
            return true;
        }
    }
    return false;
}

static bool
describe_pages(const struct cache *cache, struct restart_meta *meta)
{
    for (uint32_t number = 1; number < meta->page_count; number++) {
        const struct page *page = &cache->pages.page[number];
        struct restart_page what = { .class_id = page_class(page) };
        if (what.class_id != 0) {
            const struct size_class *class = &cache->size_class[what.class_id];
            if (has_held(cache, class, number)) {
                return false;
            }
            what.fresh = page->fresh;
            what.free_head = page->free_head;
            what.check =
                restart_page_check(pages_at(&cache->pages, pages_ref(&cache->pages, number, 0)),
                                   (size_t)page->fresh * class->chunk_size);
        }
        restart_meta_set_page(meta, number, &what);
    }
    return true;
}

bool
cache_save(struct cache *cache, char *text)
{
    assert(cache->file != NULL);
    expire_sweep_all(cache);
    pages_cool_all(&cache->pages);
    struct restart_meta meta = describe(cache);
    size_t len = restart_meta_len(meta.classes, meta.page_count);
    uint8_t *bytes = malloc(len);
    if (bytes == NULL) {
        memory_file_say(text, "the cache is not saved: no memory for its description");
        return false;
    }
    restart_meta_begin(&meta, bytes);
    for (unsigned id = 1; id <= cache->classes; id++) {
        restart_meta_set_chunk_size(&meta, id, cache->size_class[id].chunk_size);
    }
    bool saved = describe_pages(cache, &meta);
    if (!saved) {
        memory_file_say(text, "the cache is not saved: an item is still being received or sent");
    } else {
        restart_meta_end(bytes, len);
        saved = memory_file_end(cache->file, meta.id, bytes, len, text);
    }
    free(bytes);
    if (saved) {
        memory_file_say(text, "%.200s: %llu items are kept for the next start",
                        memory_file_path(cache->file), (unsigned long long)meta.items);
    }
    return saved;
}

/* -- restoring --------------------------------------------------------------------------------- */

enum restored {
    RESTORED,
    RESTORED_NOT, /* all is well, but these options make another cache of it */
    RESTORED_BROKEN,
    RESTORED_FAILED, /* errno */
};

/** Whether the classes are those of the saved pages. */
static bool
has_classes_of(const struct cache *cache, const struct restart_meta *meta)
{
    bool same = cache->classes == meta->classes;
    for (unsigned id = 1; id <= cache->classes && same; id++) {
        same = cache->size_class[id].chunk_size == restart_meta_chunk_size(meta, id);
    }
    return same;
}

static uint64_t
count_pages(const struct restart_meta *meta)
{
    uint64_t pages = 0;
    for (uint32_t number = 1; number < meta->page_count; number++) {
        pages += restart_meta_page(meta, number).class_id != 0;
    }
    return pages;
}

/** Whether the cache can take the saved items in; else why not. */
static bool
can_take(struct cache *cache, const struct restart_meta *meta, char *why)
{
    uint64_t limit = cache->options.memory_limit;
    if (cache->cas_size != meta->cas_size) {
        memory_file_say(why, "-C (--disable-cas) has changed");
        return false;
    }
    if (!has_classes_of(cache, meta)) {
        memory_file_say(why, "the sizes of chunks (-f, -n, -o slab_sizes) have changed");
        return false;
    }
    uint64_t beside = table_bytes(&cache->table) + cache->ghosts.bytes;
    uint64_t page_size = pages_page_size(&cache->pages);
    if (beside + PAGES_MIN * page_size > limit) {
        memory_file_say(why, "%llu bytes (-m) are too few for the index of its items",
                        (unsigned long long)limit);
        return false;
    }
    if (cache->options.evictions_disabled && beside + count_pages(meta) * page_size > limit) {
        memory_file_say(why, "its items do not fit %llu bytes (-m), and -M forbids to evict some",
                        (unsigned long long)limit);
        return false;
    }
    return true;
}

/** Time, ids and flushes go on from where they were.  A clock that has been set back does not count
 * as time that passed. */
static void
take_numbers(struct cache *cache, const struct restart_meta *meta)
{
    int64_t now = cache->options.now;
    int64_t now_s = now - (int64_t)meta->clock_base;
    if (now_s < (int64_t)meta->now_s) {
        now_s = (int64_t)meta->now_s;
    } else if (now_s > (int64_t)UINT32_MAX - 1) {
        now_s = (int64_t)UINT32_MAX - 1;
    }
    cache->clock_base = now - now_s;
    /* relaxed, all: no other thread yet */
    atomic_store_explicit(&cache->now_s, (uint32_t)now_s, memory_order_relaxed);
    atomic_store_explicit(&cache->cas_last, meta->cas_last, memory_order_relaxed);
    atomic_store_explicit(&cache->prefixes.cas_explicit, meta->cas_explicit, memory_order_relaxed);
    uint32_t generation = (uint32_t)meta->generation;
    atomic_store_explicit(&cache->generation, generation, memory_order_relaxed);
    atomic_store_explicit(&cache->generation_swept, generation, memory_order_relaxed);
    atomic_store_explicit(&cache->flush_at_s, (uint32_t)meta->flush_at_s, memory_order_relaxed);
}

/** Items go until a limit that is lower than the one before is kept. */
static void
shrink(struct cache *cache)
{
    struct cache_thread *thread = cache_thread_open(cache);
    uint64_t slices = SHRINK_LEAST + (uint64_t)cache->pages.fresh * SHRINK_PER_PAGE;
    while (thread != NULL && slices-- > 0 && pages_over_limit(&cache->pages, 0)) {
        (void)cache_maintain(cache, thread);
    }
    if (thread != NULL) {
        cache_thread_close(cache, thread);
    }
}

/** Makes a cache of the saved pages; *out is NULL unless RESTORED. */
static enum restored
restore(const struct cache_options *options, struct memory_file *file,
        const struct restart_meta *meta, struct cache **out, char *why)
{
    struct pages_file pages = { .fd = memory_file_fd(file),
                                .page_shift = (unsigned)meta->page_shift,
                                .ref_shift = (unsigned)meta->ref_shift };
    *out = NULL;
    if (pages_shift_of(options->memory_limit) < meta->page_shift) {
        memory_file_say(why, "a cache of %llu bytes (-m) has smaller pages than the file",
                        (unsigned long long)options->memory_limit);
        return RESTORED_NOT;
    }
    struct cache *cache = cache_build(options, &pages);
    if (cache == NULL) {
        if (errno != EFBIG) {
            return RESTORED_FAILED;
        }
        memory_file_say(why,
                        "what the file names its items by does not reach as far as %llu bytes (-m)",
                        (unsigned long long)options->memory_limit);
        return RESTORED_NOT;
    }
    pages_set_limit(&cache->pages, LIMIT_NONE);
    table_presize(&cache->table, meta->items);
    enum restored result = RESTORED_NOT;
    if (can_take(cache, meta, why)) {
        result = restart_fill(cache, meta, why) ? RESTORED : RESTORED_BROKEN;
    }
    if (result != RESTORED) {
        cache_destroy(cache);
        return result;
    }
    take_numbers(cache, meta);
    *out = cache;
    return RESTORED;
}

/* -- starting ---------------------------------------------------------------------------------- */

/** What a meta that can't be used is; the text says what to do. */
static void
say_meta(enum restart_meta_result result, uint32_t version, const char *path, char *text)
{
    static const char advice[] = "remove it to start empty";
    switch (result) {
    case RESTART_META_OK:
        break;
    case RESTART_META_SHORT:
        memory_file_say(text, "%.200s.meta is empty or has lost its end: %s", path, advice);
        break;
    case RESTART_META_FOREIGN:
        memory_file_say(text, "%.200s.meta was not written by larder: %s", path, advice);
        break;
    case RESTART_META_VERSION_DIFFERS:
        memory_file_say(
            text, "%.200s.meta was written by another version of larder (format %u, not %u): %s",
            path, version, RESTART_META_VERSION, advice);
        break;
    case RESTART_META_ORDER_DIFFERS:
        memory_file_say(text, "%.200s.meta was written by a machine of another byte order: %s",
                        path, advice);
        break;
    case RESTART_META_TORN:
    case RESTART_META_BAD:
        memory_file_say(text, "%.200s.meta is damaged: %s", path, advice);
        break;
    }
}

/** Whether the pages are those that the meta tells of. */
static bool
belong_together(const struct memory_file *file, const struct restart_meta *meta, char *text)
{
    const char *path = memory_file_path(file);
    if (memory_file_id(file) != meta->id) {
        memory_file_say(
            text, "%.200s.meta belongs to another state of the file: remove it to start empty",
            path);
        return false;
    }
    if (memory_file_len(file) < meta->page_count << meta->page_shift) {
        memory_file_say(text, "%.200s has lost its end: remove %.200s.meta to start empty", path,
                        path);
        return false;
    }
    return true;
}

/** An empty cache in the file. */
static struct cache *
begin_clean(const struct cache_options *options, struct memory_file *file)
{
    struct cache_start *start = options->start;
    struct pages_file pages = { .fd = memory_file_fd(file) };
    if (!memory_file_begin(file, true, start->text)) {
        start->kind = CACHE_START_REFUSED;
        return NULL;
    }
    return cache_build(options, &pages);
}

/** The saved cache, if it can be had; NULL, with start->kind CLEAN for an empty one to come. */
static struct cache *
begin_warm(const struct cache_options *options, struct memory_file *file, uint8_t *bytes,
           size_t len)
{
    struct cache_start *start = options->start;
    struct restart_meta meta;
    uint32_t version;
    char why[CACHE_START_TEXT_MAX] = "";
    const char *path = memory_file_path(file);
    enum restart_meta_result parsed = restart_meta_parse(&meta, bytes, len, &version);
    start->kind = CACHE_START_REFUSED;
    if (parsed != RESTART_META_OK) {
        say_meta(parsed, version, path, start->text);
        return NULL;
    }
    if (!belong_together(file, &meta, start->text)) {
        return NULL;
    }
    struct cache *cache = NULL;
    switch (restore(options, file, &meta, &cache, why)) {
    case RESTORED:
        if (!memory_file_begin(file, false, start->text)) {
            cache_destroy(cache);
            return NULL;
        }
        pages_set_limit(&cache->pages, options->memory_limit);
        if (!pages_lengthen_file(&cache->pages)) {
            memory_file_say(start->text, "%.200s cannot be made longer: %s", path, strerror(errno));
            cache_destroy(cache);
            return NULL;
        }
        start->kind = CACHE_START_WARM;
        start->items = meta.items;
        start->saved_ns = (int64_t)meta.saved_ns;
        return cache;
    case RESTORED_NOT:
        memory_file_say(start->text, "%.200s: %.200s: starting with a clean cache", path, why);
        start->kind = CACHE_START_CLEAN;
        return NULL;
    case RESTORED_BROKEN:
        memory_file_say(start->text,
                        "%.200s is damaged (%.100s): remove %.100s.meta to start empty", path, why,
                        path);
        return NULL;
    case RESTORED_FAILED:
        start->kind = CACHE_START_NEW;
        return NULL;
    }
    return NULL;
}

/** A cache in an open file. */
static struct cache *
create_in(const struct cache_options *options, struct memory_file *file)
{
    struct cache_start *start = options->start;
    uint8_t *bytes = NULL;
    size_t len = 0;
    struct cache *cache = NULL;
    switch (memory_file_read_meta(file, &bytes, &len, start->text)) {
    case MEMORY_FILE_META:
        cache = begin_warm(options, file, bytes, len);
        break;
    case MEMORY_FILE_NO_META:
        if (!memory_file_is_new(file)) {
            start->kind = CACHE_START_CLEAN;
            memory_file_say(
                start->text,
                "%.200s: no metadata save file, starting with a clean cache: it was not stopped by"
                " SIGUSR1",
                memory_file_path(file));
        }
        break;
    case MEMORY_FILE_META_FAILED:
        start->kind = CACHE_START_REFUSED;
        break;
    }
    /* A meta that was good, and could not be used for want of memory, stays. */
    if (cache == NULL && start->kind != CACHE_START_REFUSED &&
        (bytes == NULL || start->kind == CACHE_START_CLEAN)) {
        cache = begin_clean(options, file);
    }
    free(bytes);
    return cache;
}

struct cache *
restart_create(const struct cache_options *options)
{
    struct cache_start *start = options->start;
    assert(start != NULL);
    *start = (struct cache_start){ .kind = CACHE_START_NEW };
    struct memory_file *file = memory_file_open(options->memory_file, start->text);
    if (file == NULL) {
        start->kind = CACHE_START_REFUSED;
        return NULL;
    }
    struct cache *cache = create_in(options, file);
    if (cache == NULL) {
        int error = errno;
        memory_file_close(file);
        errno = error;
        return NULL;
    }
    cache->file = file;
    if (start->kind == CACHE_START_WARM) {
        cache_flush_if_due(cache);
        shrink(cache);
        start->items = count_items(cache);
        memory_file_say(start->text, "%.200s: %llu items are there again", memory_file_path(file),
                        (unsigned long long)start->items);
    }
    return cache;
}
