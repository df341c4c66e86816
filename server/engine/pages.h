/* The byte budget, and item memory given out as pages.
 *
 * One range of address space is reserved when a cache opens, and stays mapped and readable while it
 * lives: a late reader can see stale bytes, never a fault.  Memory goes back to the kernel with
 * madvise.  The budget counts pages taken, free pages that still hold memory, and what the index
 * and the queues charge.
 *
 * The range may be a file, shared with whoever opens it next (restart.h).  Its blocks are taken as
 * pages are, before anything is written there: a file system without room is one page less, and no
 * SIGBUS.  Pages that lie in the pool without memory are holes.
 *
 * A ref names 8 bytes (or more, in a large region) of the range by a 32-bit number; 0 names
 * nothing, since page 0 is never given out.
 */
#ifndef LARDER_ENGINE_PAGES_H
#define LARDER_ENGINE_PAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/lock.h"
#include "base/race.h"

#define PAGE_NONE           0u          /* no page */
#define PAGES_PAGE_SIZE_MAX (64u << 10) /* bytes */

enum page_state {
    PAGE_FREE,     /* in the pool, or never used */
    PAGE_IN_CLASS, /* cut into chunks */
    PAGE_DRAINING, /* in a class, but on its way out: no chunk of it is given out */
};

/**
 * What is known of one page.
 *
 * Locking key:  (p) pages.lock  (c) lock of the class that the page belongs to  (a) atomic
 */
struct page {
    uint32_t next;            /* (p) the next free page; (c) the next page with free chunks */
    uint32_t prev;            /* (c) the one before */
    uint32_t position;        /* (c) index in the class's list of pages */
    uint16_t free_head;       /* (c) first free chunk + 1; 0 for none */
    uint16_t free_count;      /* (c) chunks free, those never used included */
    uint16_t fresh;           /* (c) chunks from this one on have never been used */
    _Atomic uint8_t class_id; /* (a) 0 for none; written under (c) */
    _Atomic uint8_t state;    /* (a) enum page_state; written under (c) */
    bool cold;                /* (p) free, and without memory */
    uint32_t swept_stamp;     /* (c) what was flushed up to this cache.sweep_stamp is gone */
    bool kept;                /* (c) moved here on request: stays also when it is empty */
    _Atomic uint32_t
        expire_min; /* (a) no item expires before this cache second; UINT32_MAX for none */
};

/** A file that item memory lies in.  Page 0, which is never given out, is the owner's to write. */
struct pages_file {
    int fd;
    /* What the refs in it were made with; 0 and 0 for a file without items. */
    unsigned page_shift;
    unsigned ref_shift;
};

/** Locking key:  (l) lock  (a) atomic  others constant. */
struct pages {
    uint8_t *base;
    int fd;          /* of the file, borrowed; -1 for none */
    size_t reserved; /* bytes */
    unsigned page_shift;
    unsigned ref_shift; /* a ref times 2^ref_shift is a byte offset */
    uint32_t page_max;  /* pages that the range holds */
    struct page *page;  /* of page_max */
    /* From here on what changes as pages are taken, apart from what each read looks at. */
    _Alignas(CACHE_LINE) struct lock lock;
    _Atomic uint64_t limit;         /* (a) bytes */
    _Atomic uint64_t used;          /* (a) bytes, written under (l) */
    uint32_t fresh;                 /* (l) pages from this one on have never been used */
    uint32_t free_head;             /* (l) free pages that hold memory */
    uint32_t cold_head;             /* (l) free pages without */
    _Atomic uint32_t free_count;    /* (a) of the former, written under (l) */
    uint32_t taken;                 /* (l) pages in classes */
    _Atomic bool file_is_full;      /* (a) its file system had no block left: pages_retry_file() */
    _Atomic uint64_t file_refusals; /* (a) times that it had none */
};

/**
 * file   NULL, or where the pages lie; its shifts hold, if it has any
 *
 * Errors: false with errno when no address space is to be had, EFBIG when the file's refs do not
 * reach as far as the limit.
 */
bool pages_init(struct pages *pages, uint64_t limit, bool large_pages,
                const struct pages_file *file);
void pages_fini(struct pages *pages);
/** The shift of the page size that a limit asks for. */
unsigned pages_shift_of(uint64_t limit);

/** A page within the budget, or PAGE_NONE. */
uint32_t pages_take(struct pages *pages);
void pages_give(struct pages *pages, uint32_t page);
/** Whether pages_take() has a chance: a look without the lock, for stores into a full cache. */
bool pages_may_take(struct pages *pages);
/** Gives a page's memory back to the kernel, and leaves its cost charged: returns the bytes. */
uint64_t pages_give_for_charge(struct pages *pages, uint32_t page);

/** Makes a file that had items as long as the limit, sparse: one without is so from the start.  It
 * grows further with the pages behind that.  Errors: false with errno. */
bool pages_lengthen_file(struct pages *pages);
/** The file system may have room again; about once a second. */
void pages_retry_file(struct pages *pages);

/** Pages from `next_fresh` on have never been used.  Before the first pages_take(); then
 * pages_restore_taken() for those in classes, and pages_restore_end(). */
void pages_restore_begin(struct pages *pages, uint32_t next_fresh);
void pages_restore_taken(struct pages *pages);
/** All that belong to no class are free, and without memory. */
void pages_restore_end(struct pages *pages);
/** Gives the memory of all free pages back. */
void pages_cool_all(struct pages *pages);

/** Counts `bytes` of other memory (index, queues) in; false when the budget has no room, and no
 * `slack` past it.  Free pages go before the slack does. */
bool pages_charge(struct pages *pages, uint64_t bytes, uint64_t slack);
void pages_uncharge(struct pages *pages, uint64_t bytes);

/** The largest limit that the range allows, bytes. */
uint64_t pages_limit_max(const struct pages *pages);
void pages_set_limit(struct pages *pages, uint64_t limit);
/** Whether more is used than the limit allows, and will be when `going` pages have been given back to
 * the kernel. */
bool pages_over_limit(const struct pages *pages, uint32_t going);
/** Free pages that hold memory. */
uint32_t pages_free_count(const struct pages *pages);
/** Gives some free pages back to the kernel if the limit wants that; whether it wants more of them.
 * No store waits for it. */
bool pages_cool_some(struct pages *pages);

/** Pages free in the pool with memory, and the bytes of pages in classes. */
void pages_count(struct pages *pages, uint64_t *free_pages, uint64_t *taken_bytes);

void pages_check(struct pages *pages);

/** The class that a page is in.  Whoever holds that class's lock, or has a chunk of the page, can
 * rely on it. */
static inline uint8_t
page_class(const struct page *page)
{
    return atomic_load_explicit(&page->class_id, memory_order_relaxed); /* relaxed: see above */
}

static inline size_t
pages_page_size(const struct pages *pages)
{
    return (size_t)1 << pages->page_shift;
}

static inline uint8_t *
pages_at(const struct pages *pages, uint32_t ref)
{
    return pages->base + ((size_t)ref << pages->ref_shift);
}

static inline uint32_t
pages_page_of(const struct pages *pages, uint32_t ref)
{
    return ref >> (pages->page_shift - pages->ref_shift);
}

/** The ref of byte `offset` of a page. */
static inline uint32_t
pages_ref(const struct pages *pages, uint32_t page, size_t offset)
{
    return (page << (pages->page_shift - pages->ref_shift)) +
           (uint32_t)(offset >> pages->ref_shift);
}

#endif
