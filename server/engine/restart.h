/* A cache that goes on where another process has stopped: its pages lie in a file.
 *
 * cache_save() sweeps what is dead, so that what is left needs no note of flushes, takes a check of
 * each page, and writes the meta file (memory_file.h).  The next cache_create() looks at every page
 * before it believes anything: checks, the shape of every item against its chunk, chains of long
 * items, lists of free chunks.  All of that is right, or the file is refused; until then not a byte
 * of it is written.
 *
 * Refs are offsets, so the pages may lie at another address.  The index is made anew, with another
 * seed; of the eviction queues the items' marks are enough (SHAPE_SMALL, their uses).  Ghosts,
 * gains and the figures of commands begin empty.
 */
#ifndef LARDER_ENGINE_RESTART_H
#define LARDER_ENGINE_RESTART_H

#include "engine/cache.h"
#include "engine/restart_meta.h"

/** cache_create() with options->memory_file. */
struct cache *restart_create(const struct cache_options *options);

/* -- restart_walk.c ---------------------------------------------------------------------------- */

/** A check of the used part of a page, `len` bytes. */
uint64_t restart_page_check(const uint8_t *bytes, size_t len);

/**
 * Fills a new cache, whose classes are those of the meta, with the items that its pages hold.  On
 * errors the cache can only be destroyed; the pages are as they were.
 *
 * why   CACHE_START_TEXT_MAX bytes
 */
bool restart_fill(struct cache *cache, const struct restart_meta *meta, char *why);

#endif
