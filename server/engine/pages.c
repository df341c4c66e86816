#include "config.h"

#include "engine/pages.h"

#include "base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define RESERVE_MAX ((size_t)4 << 30) /* bytes; shadow memory makes address space dear */
#else
#define RESERVE_MAX ((size_t)32 << 30) /* bytes: 2^32 refs of 8 */
#endif
#define RESERVE_ALIGN ((size_t)2 << 20) /* bytes: a huge page */
#define REF_SHIFT_MIN 3u

/* Small caches have small pages, so that the half-filled pages of many classes do not eat the
 * budget. */
#define PAGE_SHIFT_SMALL  14u
#define PAGE_SHIFT_MIDDLE 15u
#define PAGE_SHIFT_LARGE  16u
#define LIMIT_MIDDLE      ((uint64_t)8 << 20)  /* bytes; from here on 32 KiB */
#define LIMIT_LARGE       ((uint64_t)24 << 20) /* bytes; from here on 64 KiB */
#define UNPUNCHED_SHARE \
    512u /* of the limit: the low part of a file that keeps its blocks, see cool() */
#define LIMIT_HUGE_PAGES ((uint64_t)1 << 30) /* bytes; from here on huge pages are asked for */
#define COOLED_AT_ONCE   32u                 /* pages of one pages_cool_some() */

_Static_assert(1u << PAGE_SHIFT_LARGE == PAGES_PAGE_SIZE_MAX, "no page is larger");

static uint64_t
load(const _Atomic uint64_t *number)
{
    return atomic_load_explicit(
        number, memory_order_relaxed); /* relaxed: a level, exact under the lock only */
}

static void *
reserve(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

/** Reserves the range, aligned; less of it where the system allows less, but never under twice the
 * limit.  Half of what is allowed stays for the index, the threads and whoever comes later. */
static bool
reserve_range(struct pages *pages, uint64_t limit)
{
    const size_t most = RESERVE_MAX << (pages->ref_shift - REF_SHIFT_MIN);
    for (size_t want = most; want >= 2 * limit; want /= 2) {
        uint8_t *at = reserve(want + RESERVE_ALIGN);
        if (at != NULL) {
            size_t skip = (RESERVE_ALIGN - (uintptr_t)at % RESERVE_ALIGN) % RESERVE_ALIGN;
            if (skip > 0) {
                munmap(at, skip);
            }
            if (skip < RESERVE_ALIGN) {
                munmap(at + skip + want, RESERVE_ALIGN - skip);
            }
            pages->base = at + skip;
            pages->reserved = want;
            if (want < most && want / 2 >= 2 * limit) {
                pages->reserved = want / 2;
                munmap(pages->base + want / 2, want / 2);
            }
            return true;
        }
    }
    return false;
}

/** Puts the file in the place of the range's anonymous memory. */
static bool
map_file(struct pages *pages)
{
    void *at = mmap(pages->base, pages->reserved, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_FIXED | MAP_NORESERVE, pages->fd, 0);
    return at != MAP_FAILED;
}

bool
pages_lengthen_file(struct pages *pages)
{
    struct stat now;
    off_t wanted = (off_t)load(&pages->limit);
    return fstat(pages->fd, &now) == 0 &&
           (now.st_size >= wanted || ftruncate(pages->fd, wanted) == 0);
}

/** Takes the blocks of a part of the file; false with errno when its file system has none left. */
static bool
take_blocks(struct pages *pages, size_t offset, size_t bytes)
{
    int rc;
    do {
        rc = fallocate(pages->fd, 0, (off_t)offset, (off_t)bytes);
    } while (rc != 0 && errno == EINTR);
    return rc == 0;
}

/** -L: all of the memory now. */
static bool
populate(struct pages *pages, uint64_t limit)
{
    size_t bytes = (size_t)(limit & ~(uint64_t)(RESERVE_ALIGN - 1));
    if (pages->fd >= 0) {
        return take_blocks(pages, 0, bytes);
    }
#ifdef MADV_POPULATE_WRITE
    return madvise(pages->base, bytes, MADV_POPULATE_WRITE) == 0;
#else
    return true;
#endif
}

unsigned
pages_shift_of(uint64_t limit)
{
    return limit < LIMIT_MIDDLE  ? PAGE_SHIFT_SMALL
           : limit < LIMIT_LARGE ? PAGE_SHIFT_MIDDLE
                                 : PAGE_SHIFT_LARGE;
}

/** How far refs of a shift reach, bytes. */
static size_t
reach_of(unsigned ref_shift)
{
    return RESERVE_MAX << (ref_shift - REF_SHIFT_MIN);
}

static bool
choose_shifts(struct pages *pages, uint64_t limit, const struct pages_file *file)
{
    pages->page_shift = pages_shift_of(limit);
    pages->ref_shift = REF_SHIFT_MIN;
    if (file == NULL || file->page_shift == 0) {
        while (reach_of(pages->ref_shift) < 2 * limit) {
            pages->ref_shift++;
        }
        return true;
    }
    pages->page_shift = file->page_shift;
    pages->ref_shift = file->ref_shift;
    return reach_of(pages->ref_shift) >= 2 * limit;
}

bool
pages_init(struct pages *pages, uint64_t limit, bool large_pages, const struct pages_file *file)
{
    *pages = (struct pages){ .fd = file != NULL ? file->fd : -1 };
    if (!choose_shifts(pages, limit, file)) {
        errno = EFBIG;
        return false;
    }
    if (!reserve_range(pages, limit)) {
        return false;
    }
    pages->page_max =
        (uint32_t)((pages->reserved >> pages->page_shift) - 1); /* the last one guards item reads */
    pages->page = reserve(sizeof(struct page) * pages->page_max);
    if (pages->page == NULL || (pages->fd >= 0 && !map_file(pages))) {
        int error = errno;
        if (pages->page != NULL) {
            munmap(pages->page, sizeof(struct page) * pages->page_max);
        }
        munmap(pages->base, pages->reserved);
        errno = error;
        return false;
    }
    lock_init(&pages->lock, LOCK_RANK_PAGES);
    atomic_init(&pages->limit, limit);
    atomic_init(&pages->used, 0);
    pages->fresh = 1; /* page 0 is never given out: ref 0 is none */
#ifdef MADV_DONTDUMP
    madvise(pages->base, pages->reserved,
            MADV_DONTDUMP); /* a core file of the cache's data helps nobody */
#endif
#ifdef MADV_HUGEPAGE
    if (large_pages || limit >= LIMIT_HUGE_PAGES) {
        madvise(pages->base, pages->reserved, MADV_HUGEPAGE);
    }
#endif
    /* A file with items is not changed before they are found good. */
    bool is_new = file == NULL || file->page_shift == 0;
    if ((file != NULL && is_new && !pages_lengthen_file(pages)) ||
        (large_pages && is_new && !populate(pages, limit))) {
        int error = errno;
        pages_fini(pages);
        errno = error;
        return false;
    }
    return true;
}

void
pages_fini(struct pages *pages)
{
    lock_fini(&pages->lock);
    munmap(pages->page, sizeof(struct page) * pages->page_max);
    munmap(pages->base, pages->reserved);
}

/* What one page costs: its bytes and its description. */
static uint64_t
page_cost(const struct pages *pages)
{
    return pages_page_size(pages) + sizeof(struct page);
}

static void
set_used(struct pages *pages, uint64_t used)
{
    atomic_store_explicit(&pages->used, used, memory_order_relaxed); /* relaxed: as load() */
}

static uint32_t
pop(struct pages *pages, uint32_t *head)
{
    uint32_t page = *head;
    *head = pages->page[page].next;
    return page;
}

static void
push(struct pages *pages, uint32_t *head, uint32_t page)
{
    pages->page[page].next = *head;
    *head = page;
}

static void
change_free(struct pages *pages, int change)
{
    uint32_t count = atomic_load_explicit(&pages->free_count,
                                          memory_order_relaxed); /* relaxed: under the lock */
    atomic_store_explicit(&pages->free_count, count + (uint32_t)change,
                          memory_order_relaxed); /* relaxed: as load() */
}

static bool
file_is_full(const struct pages *pages)
{
    return atomic_load_explicit(&pages->file_is_full, memory_order_relaxed); /* relaxed: a hint */
}

bool
pages_over_limit(const struct pages *pages, uint32_t going)
{
    return load(&pages->used) > load(&pages->limit) + going * page_cost(pages);
}

uint32_t
pages_free_count(const struct pages *pages)
{
    return atomic_load_explicit(&pages->free_count, memory_order_relaxed); /* relaxed: a hint */
}

bool
pages_may_take(struct pages *pages)
{
    return (pages_free_count(pages) > 0 && !pages_over_limit(pages, 0)) ||
           (load(&pages->used) + page_cost(pages) <= load(&pages->limit) && !file_is_full(pages));
}

/** A page without memory within the budget, or PAGE_NONE.  Under the lock. */
static uint32_t
take_empty(struct pages *pages)
{
    uint32_t page = PAGE_NONE;
    if (load(&pages->used) + page_cost(pages) > load(&pages->limit) || file_is_full(pages)) {
        return PAGE_NONE;
    }
    if (pages->cold_head != PAGE_NONE) {
        page = pop(pages, &pages->cold_head);
        pages->page[page].cold = false;
    } else if (pages->fresh < pages->page_max) {
        page = pages->fresh++;
    }
    if (page != PAGE_NONE) {
        set_used(pages, load(&pages->used) + page_cost(pages));
    }
    return page;
}

/** A page that was taken is free again, and the kernel has its memory. */
static void
list_cold(struct pages *pages, uint32_t page)
{
    lock_acquire(&pages->lock);
    pages->taken--;
    pages->page[page].cold = true;
    push(pages, &pages->cold_head, page);
    set_used(pages, load(&pages->used) - page_cost(pages));
    lock_release(&pages->lock);
}

/** The file has no blocks for a page that was just taken. */
static void
put_back(struct pages *pages, uint32_t page)
{
    /* relaxed, both: a hint and a figure */
    atomic_store_explicit(&pages->file_is_full, true, memory_order_relaxed);
    atomic_fetch_add_explicit(&pages->file_refusals, 1, memory_order_relaxed);
    list_cold(pages, page);
}

uint32_t
pages_take(struct pages *pages)
{
    uint32_t page = PAGE_NONE;
    bool is_empty = false;
    lock_acquire(&pages->lock);
    if (pages->free_head != PAGE_NONE && !pages_over_limit(pages, 0)) {
        page = pop(pages, &pages->free_head);
        change_free(pages, -1);
    } else {
        page = take_empty(pages);
        is_empty = true;
    }
    if (page != PAGE_NONE) {
        pages->taken++;
    }
    lock_release(&pages->lock);
    /* Outside of the lock: a file system on a disk may take its time. */
    if (is_empty && page != PAGE_NONE && pages->fd >= 0 &&
        !take_blocks(pages, (size_t)page << pages->page_shift, pages_page_size(pages))) {
        put_back(pages, page);
        return PAGE_NONE;
    }
    return page;
}

void
pages_retry_file(struct pages *pages)
{
    if (file_is_full(pages)) {
        atomic_store_explicit(&pages->file_is_full, false,
                              memory_order_relaxed); /* relaxed: a hint */
    }
}

void
pages_give(struct pages *pages, uint32_t page)
{
    assert(page > 0 && page < pages->page_max);
    lock_acquire(&pages->lock);
    assert(pages->taken > 0);
    pages->taken--;
    change_free(pages, 1);
    push(pages, &pages->free_head, page);
    lock_release(&pages->lock);
}

/** Whether a page of a file keeps its blocks.  A reader that meets a bucket in the middle of a
 * change may take the number of an overflow bucket for a ref (find.h), and looks at the low end of
 * the range.  In a hole there, a full tmpfs has no page to show it. */
static bool
keeps_blocks(const struct pages *pages, uint32_t page)
{
    uint64_t reach = load(&pages->limit) / UNPUNCHED_SHARE << (pages->ref_shift - REF_SHIFT_MIN);
    return pages->fd >= 0 && (uint64_t)page << pages->page_shift < reach;
}

/** Gives an unused page's memory back to the kernel. */
static void
give_back(const struct pages *pages, uint32_t page)
{
    if (!keeps_blocks(pages, page)) {
        /* Of a file the blocks go too.  A file system that cannot do that has them still when the
         * page is taken again. */
        madvise(pages->base + ((size_t)page << pages->page_shift), pages_page_size(pages),
                pages->fd >= 0 ? MADV_REMOVE : MADV_DONTNEED);
    }
}

static void
cool(struct pages *pages, uint32_t page)
{
    give_back(pages, page);
    pages->page[page].cold = true;
    push(pages, &pages->cold_head, page);
}

/** The same for one free page; false when there is none. */
static bool
cool_one(struct pages *pages)
{
    if (pages->free_head == PAGE_NONE) {
        return false;
    }
    uint32_t page = pop(pages, &pages->free_head);
    change_free(pages, -1);
    cool(pages, page);
    set_used(pages, load(&pages->used) - page_cost(pages));
    return true;
}

uint64_t
pages_give_for_charge(struct pages *pages, uint32_t page)
{
    lock_acquire(&pages->lock);
    assert(pages->taken > 0);
    pages->taken--;
    cool(pages, page);
    lock_release(&pages->lock);
    return page_cost(pages);
}

bool
pages_charge(struct pages *pages, uint64_t bytes, uint64_t slack)
{
    lock_acquire(&pages->lock);
    while (load(&pages->used) + bytes > load(&pages->limit) && cool_one(pages)) {
    }
    bool fits = load(&pages->used) + bytes <= load(&pages->limit) + slack;
    if (fits) {
        set_used(pages, load(&pages->used) + bytes);
    }
    lock_release(&pages->lock);
    return fits;
}

void
pages_uncharge(struct pages *pages, uint64_t bytes)
{
    lock_acquire(&pages->lock);
    assert(load(&pages->used) >= bytes);
    set_used(pages, load(&pages->used) - bytes);
    lock_release(&pages->lock);
}

uint64_t
pages_limit_max(const struct pages *pages)
{
    return pages->reserved / 8 * 7; /* the description of pages and the index lie elsewhere */
}

void
pages_set_limit(struct pages *pages, uint64_t limit)
{
    atomic_store_explicit(&pages->limit, limit, memory_order_relaxed); /* relaxed: as load() */
}

/** The page of pages_cool_some() that is neither free nor cold; PAGE_NONE when there is no need. */
static uint32_t
take_excess(struct pages *pages)
{
    uint32_t page = PAGE_NONE;
    lock_acquire(&pages->lock);
    if (pages_over_limit(pages, 0) && pages->free_head != PAGE_NONE) {
        page = pop(pages, &pages->free_head);
        change_free(pages, -1);
        pages->taken++;
    }
    lock_release(&pages->lock);
    return page;
}

bool
pages_cool_some(struct pages *pages)
{
    for (unsigned i = 0; i < COOLED_AT_ONCE && pages_over_limit(pages, 0); i++) {
        uint32_t page = take_excess(pages);
        if (page == PAGE_NONE) {
            return false;
        }
        give_back(pages, page); /* without the lock: it takes some microseconds */
        list_cold(pages, page);
    }
    return pages_over_limit(pages, 0) && pages_free_count(pages) > 0;
}

/* -- restoring ----------------------------------------------------------------------------------
 */

void
pages_restore_begin(struct pages *pages, uint32_t next_fresh)
{
    assert(pages->fresh == 1 && pages->taken == 0);
    assert(next_fresh >= 1 && next_fresh <= pages->page_max);
    pages->fresh = next_fresh;
}

void
pages_restore_taken(struct pages *pages)
{
    pages->taken++;
    set_used(pages, load(&pages->used) + page_cost(pages));
}

void
pages_restore_end(struct pages *pages)
{
    for (uint32_t page = pages->fresh; page-- > 1;) {
        if (page_class(&pages->page[page]) == 0) {
            pages->page[page].cold = true;
            push(pages, &pages->cold_head, page);
        }
    }
}

void
pages_cool_all(struct pages *pages)
{
    lock_acquire(&pages->lock);
    while (cool_one(pages)) {
    }
    lock_release(&pages->lock);
}

void
pages_count(struct pages *pages, uint64_t *free_pages, uint64_t *taken_bytes)
{
    lock_acquire(&pages->lock);
    *free_pages = atomic_load_explicit(&pages->free_count,
                                       memory_order_relaxed); /* relaxed: under the lock */
    *taken_bytes = (uint64_t)pages->taken * pages_page_size(pages);
    lock_release(&pages->lock);
}

void
pages_check(struct pages *pages)
{
    lock_acquire(&pages->lock);
    uint32_t free_count = 0;
    for (uint32_t page = pages->free_head; page != PAGE_NONE; page = pages->page[page].next) {
        assert(page < pages->fresh && !pages->page[page].cold);
        assert(page_class(&pages->page[page]) == 0);
        free_count++;
        assert(free_count <= pages->fresh);
    }
    assert(free_count ==
           atomic_load_explicit(&pages->free_count, memory_order_relaxed)); /* relaxed: locked */
    uint32_t cold_count = 0;
    for (uint32_t page = pages->cold_head; page != PAGE_NONE; page = pages->page[page].next) {
        assert(page < pages->fresh && pages->page[page].cold);
        cold_count++;
        assert(cold_count <= pages->fresh);
    }
    assert(free_count + cold_count + pages->taken == pages->fresh - 1);
    assert(load(&pages->used) >= (uint64_t)(free_count + pages->taken) * page_cost(pages));
    lock_release(&pages->lock);
}
