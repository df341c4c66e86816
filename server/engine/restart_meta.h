/* What is known of a cache that has stopped: the file beside its memory file, as bytes.  Pure.
 *
 *     offset        size  meaning
 *     0             8     magic "larder-m"
 *     8             4     version of this format, and of how items lie in the memory file
 *     12            4     0x01020304: the byte order
 *     16            8     length of all of it
 *     24            8     each of RESTART_META_NUMBERS, in their order
 *     ..            4     chunk size of each class
 *     ..            16    each page from page 1 on:
 *                           0   8   check of its chunks; 0 for a page of no class
 *                           8   2   chunks from this one on have never been used
 *                           10  2   first free chunk + 1; 0 for none
 *                           12  1   class; 0 for none
 *                           13  3   0
 *     ..            8     check of all before it
 *
 * The version grows with every change of struct item, struct large, struct piece, or of the meaning
 * of what stands here: there is no reading of older ones.
 */
#ifndef LARDER_ENGINE_RESTART_META_H
#define LARDER_ENGINE_RESTART_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESTART_META_VERSION 1u

/* Each with the highest value that it may have. */
#define RESTART_META_NUMBERS(X)                                                     \
    X(id, UINT64_MAX)        /* of the pages that this belongs to */                \
    X(saved_ns, INT64_MAX)   /* unix nanoseconds */                                 \
    X(clock_base, INT64_MAX) /* unix second of cache second 0 */                    \
    X(now_s, UINT32_MAX - 1) /* cache second of the stop */                         \
    X(cas_size, 8)           /* bytes in each item */                               \
    X(page_shift, 16)        /* a page has 2^page_shift bytes */                    \
    X(ref_shift, 16)         /* a ref counts 2^ref_shift bytes */                   \
    X(classes, 127)                                                                 \
    X(page_count, UINT32_MAX) /* pages from this one on have never been used */     \
    X(items, UINT32_MAX)                                                            \
    X(generation, UINT32_MAX)   /* that all items are of */                         \
    X(flush_at_s, UINT32_MAX)   /* cache second of the flush to come; 0 for none */ \
    X(cas_last, UINT64_MAX)     /* the last id given */                             \
    X(cas_explicit, UINT64_MAX) /* the highest that a client has chosen */

struct restart_page {
    uint64_t check;
    uint16_t fresh;
    uint16_t free_head;
    uint8_t class_id;
};

struct restart_meta {
#define RESTART_META_MEMBER(name, max) uint64_t name;
    RESTART_META_NUMBERS(RESTART_META_MEMBER)
#undef RESTART_META_MEMBER
    /* Borrowed: into the bytes that were parsed, or are being written. */
    uint8_t *chunk_sizes;
    uint8_t *pages;
};

enum restart_meta_result {
    RESTART_META_OK,
    RESTART_META_SHORT,   /* empty, or its end is missing */
    RESTART_META_FOREIGN, /* none of ours */
    RESTART_META_VERSION_DIFFERS,
    RESTART_META_ORDER_DIFFERS, /* of a machine with the other byte order */
    RESTART_META_TORN,          /* its check is wrong, or it is longer than it says */
    RESTART_META_BAD,           /* a number is out of its range */
};

/** Bytes that a meta of so many classes and pages has. */
size_t restart_meta_len(uint64_t classes, uint64_t page_count);
/** Writes the numbers, and sets meta->chunk_sizes and ->pages to where the caller is to write them.
 * `bytes` has restart_meta_len(). */
void restart_meta_begin(struct restart_meta *meta, uint8_t *bytes);
/** All else is in place: writes the check. */
void restart_meta_end(uint8_t *bytes, size_t len);
/** `version`: the file's, from RESTART_META_VERSION_DIFFERS on. */
enum restart_meta_result restart_meta_parse(struct restart_meta *meta, uint8_t *bytes, size_t len,
                                            uint32_t *version) __attribute__((warn_unused_result));

uint32_t restart_meta_chunk_size(const struct restart_meta *meta, unsigned class_id);
void restart_meta_set_chunk_size(struct restart_meta *meta, unsigned class_id, uint32_t size);
/** page: 1 .. page_count - 1 */
struct restart_page restart_meta_page(const struct restart_meta *meta, uint32_t page);
void restart_meta_set_page(struct restart_meta *meta, uint32_t page,
                           const struct restart_page *what);

#endif
