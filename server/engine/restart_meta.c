#include "config.h"

#include "engine/restart_meta.h"

#include "base/assert.h"
#include "base/hash.h"
#include "engine/stats.h"

#include <string.h>

#define MAGIC          "larder-m"
#define BYTE_ORDER_IS  0x01020304u
#define AT_VERSION     8u
#define AT_BYTE_ORDER  12u
#define AT_LEN         16u
#define AT_NUMBERS     24u
#define PAGE_LEN       16u
#define CHECK_LEN      8u
#define COUNT_ONE(...) +1u
#define NUMBERS        (0u RESTART_META_NUMBERS(COUNT_ONE))
#define AT_CHUNK_SIZES (AT_NUMBERS + NUMBERS * 8u)
#define PAGE_SHIFT_MIN 14u
#define REF_SHIFT_MIN  3u

_Static_assert(CACHE_CLASSES_MAX <= 127, "the range of `classes`");

static uint64_t
get_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint32_t
get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static void
put_u64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

static void
put_u32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof(value));
}

size_t
restart_meta_len(uint64_t classes, uint64_t page_count)
{
    return AT_CHUNK_SIZES + (size_t)classes * 4 + (size_t)(page_count - 1) * PAGE_LEN + CHECK_LEN;
}

static void
set_places(struct restart_meta *meta, uint8_t *bytes)
{
    meta->chunk_sizes = bytes + AT_CHUNK_SIZES;
    meta->pages = meta->chunk_sizes + meta->classes * 4;
}

void
restart_meta_begin(struct restart_meta *meta, uint8_t *bytes)
{
    size_t len = restart_meta_len(meta->classes, meta->page_count);
    memset(bytes, 0, len);
    memcpy(bytes, MAGIC, AT_VERSION);
    put_u32(bytes + AT_VERSION, RESTART_META_VERSION);
    put_u32(bytes + AT_BYTE_ORDER, BYTE_ORDER_IS);
    put_u64(bytes + AT_LEN, len);
    uint8_t *at = bytes + AT_NUMBERS;
#define PUT(name, max)       \
    put_u64(at, meta->name); \
    at += 8;
    RESTART_META_NUMBERS(PUT)
#undef PUT
    set_places(meta, bytes);
}

void
restart_meta_end(uint8_t *bytes, size_t len)
{
    put_u64(bytes + len - CHECK_LEN, hash_bytes(bytes, len - CHECK_LEN, 0));
}

/** Whether all numbers are in their ranges, and fit to one another. */
static bool
is_in_range(const struct restart_meta *meta)
{
#define OUT_OF_RANGE(name, max)                                                         \
    if (meta->name > (uint64_t)(max)) { /* NOLINT: of no use for those without bound */ \
        return false;                                                                   \
    }
    RESTART_META_NUMBERS(OUT_OF_RANGE)
#undef OUT_OF_RANGE
    /* All pages can be named by a ref. */
    return meta->id != 0 && meta->cas_size % 8 == 0 && meta->page_shift >= PAGE_SHIFT_MIN &&
           meta->ref_shift >= REF_SHIFT_MIN && meta->classes > 0 && meta->page_count > 0 &&
           meta->ref_shift < meta->page_shift &&
           meta->page_count <= (uint64_t)1 << (32 - (meta->page_shift - meta->ref_shift));
}

enum restart_meta_result
restart_meta_parse(struct restart_meta *meta, uint8_t *bytes, size_t len, uint32_t *version)
{
    *meta = (struct restart_meta){ 0 };
    *version = 0;
    if (len < AT_VERSION || memcmp(bytes, MAGIC, AT_VERSION) != 0) {
        return memcmp(bytes, MAGIC, len < AT_VERSION ? len : AT_VERSION) == 0
                   ? RESTART_META_SHORT
                   : RESTART_META_FOREIGN;
    }
    if (len < AT_LEN) {
        return RESTART_META_SHORT;
    }
    if (get_u32(bytes + AT_BYTE_ORDER) != BYTE_ORDER_IS) {
        return RESTART_META_ORDER_DIFFERS;
    }
    *version = get_u32(bytes + AT_VERSION);
    if (*version != RESTART_META_VERSION) {
        return RESTART_META_VERSION_DIFFERS;
    }
    if (len < AT_NUMBERS || len < get_u64(bytes + AT_LEN)) {
        return RESTART_META_SHORT;
    }
    if (len < AT_CHUNK_SIZES + CHECK_LEN || len != get_u64(bytes + AT_LEN) ||
        get_u64(bytes + len - CHECK_LEN) != hash_bytes(bytes, len - CHECK_LEN, 0)) {
        return RESTART_META_TORN;
    }
    const uint8_t *at = bytes + AT_NUMBERS;
#define GET(name, max)        \
    meta->name = get_u64(at); \
    at += 8;
    RESTART_META_NUMBERS(GET)
#undef GET
    if (!is_in_range(meta) || len != restart_meta_len(meta->classes, meta->page_count)) {
        return RESTART_META_BAD;
    }
    set_places(meta, bytes);
    return RESTART_META_OK;
}

uint32_t
restart_meta_chunk_size(const struct restart_meta *meta, unsigned class_id)
{
    assert(class_id >= 1 && class_id <= meta->classes);
    return get_u32(meta->chunk_sizes + (class_id - 1) * (size_t)4);
}

void
restart_meta_set_chunk_size(struct restart_meta *meta, unsigned class_id, uint32_t size)
{
    assert(class_id >= 1 && class_id <= meta->classes);
    put_u32(meta->chunk_sizes + (class_id - 1) * (size_t)4, size);
}

struct restart_page
restart_meta_page(const struct restart_meta *meta, uint32_t page)
{
    assert(page >= 1 && page < meta->page_count);
    const uint8_t *at = meta->pages + (size_t)(page - 1) * PAGE_LEN;
    struct restart_page what = { .check = get_u64(at), .class_id = at[12] };
    memcpy(&what.fresh, at + 8, sizeof(what.fresh));
    memcpy(&what.free_head, at + 10, sizeof(what.free_head));
    return what;
}

void
restart_meta_set_page(struct restart_meta *meta, uint32_t page, const struct restart_page *what)
{
    assert(page >= 1 && page < meta->page_count);
    uint8_t *at = meta->pages + (size_t)(page - 1) * PAGE_LEN;
    put_u64(at, what->check);
    memcpy(at + 8, &what->fresh, sizeof(what->fresh));
    memcpy(at + 10, &what->free_head, sizeof(what->free_head));
    at[12] = what->class_id;
}
