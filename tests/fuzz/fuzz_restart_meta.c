/*
 * Descriptions of stopped caches: the input is one, as it is and once more with its length and
 * check made right, so that what stands behind them is met.  It lies in a piece of heap of its own,
 * so that a byte too far is seen.
 */
#include "engine/restart_meta.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define AT_LEN  16u
#define LEN_MIN 32u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/** Parses, and reads all that a good one says. */
static void
parse(uint8_t *bytes, size_t len)
{
    struct restart_meta meta;
    uint32_t version;
    if (restart_meta_parse(&meta, bytes, len, &version) != RESTART_META_OK) {
        return;
    }
    assert(version == RESTART_META_VERSION && meta.id != 0);
    assert(meta.page_shift >= 14 && meta.page_shift <= 16 && meta.ref_shift < meta.page_shift);
    assert(len == restart_meta_len(meta.classes, meta.page_count));
    uint64_t sum = 0;
    for (unsigned id = 1; id <= meta.classes; id++) {
        sum += restart_meta_chunk_size(&meta, id);
    }
    for (uint32_t page = 1; page < meta.page_count; page++) {
        struct restart_page what = restart_meta_page(&meta, page);
        sum += what.check + what.fresh + what.free_head + what.class_id;
    }
    *(volatile uint64_t *)&sum = sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t *bytes = malloc(len > 0 ? len : 1);
    assert(bytes != NULL);
    memcpy(bytes, data, len);
    parse(bytes, len);
    if (len >= LEN_MIN) {
        uint64_t told = len;
        memcpy(bytes + AT_LEN, &told, sizeof(told));
        restart_meta_end(bytes, len);
        parse(bytes, len);
    }
    free(bytes);
    return 0;
}
