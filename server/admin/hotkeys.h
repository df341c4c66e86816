/* The keys that are asked for most, over the last ten seconds: `stats hotkeys`.
 *
 *     worker's thread -> its source: a sketch of requests and one of bytes for each slice of time
 *     worker's thread -> its source  \
 *     worker's thread -> its source   -> hotkeys_report() puts them together
 *
 * Off until somebody asks, then on until nobody has for HOTKEYS_KEEP_US.  While it is on one run of
 * a session in HOTKEYS_ONE_IN, chosen by chance, has its requests counted: others pay for a
 * countdown.  A run and not a request: so that a batch is asked once, and a request of any command
 * by the same word as that of `watch`.  What was counted stands for HOTKEYS_ONE_IN times as much.
 *
 * A source's thread never waits: it tries its lock, and while a report reads it, some samples are
 * lost.
 */
#ifndef LARDER_ADMIN_HOTKEYS_H
#define LARDER_ADMIN_HOTKEYS_H

#include "admin/stats.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOTKEYS_TOP      32u
#define HOTKEYS_ONE_IN   128u       /* runs of sessions */
#define HOTKEYS_ENTRIES  512u       /* of a sketch: no key with more than a 512th is missed */
#define HOTKEYS_SLICES   3u         /* the last one is being filled: 8 to 12 s in all */
#define HOTKEYS_SLICE_US 4000000u   /* of time */
#define HOTKEYS_KEEP_US  300000000u /* since somebody has asked */

struct hotkeys;
struct hotkeys_source;

struct hotkeys_options {
    uint64_t (*now_us)(void); /* microseconds that never go back */
    uint64_t hash_seed;       /* random: keys come from clients */
    unsigned one_in;          /* HOTKEYS_ONE_IN, less for tests; at least 1 */
};

/** NULL without memory. */
struct hotkeys *hotkeys_create(const struct hotkeys_options *options);
/** All sources have been closed.  May be NULL. */
void hotkeys_destroy(struct hotkeys *hotkeys);

/** Whether requests are counted; to be read relaxed: when exactly a change is seen does not matter.
 * Lives as long as the hotkeys. */
const _Atomic bool *hotkeys_switch(const struct hotkeys *hotkeys);

/* -- counting ---------------------------------------------------------------------------------- */

/** For one thread.  NULL without memory. */
struct hotkeys_source *hotkeys_source_open(struct hotkeys *hotkeys);
/** Takes it, and sets it to NULL. */
void hotkeys_source_close(struct hotkeys *hotkeys, struct hotkeys_source **source);

/** A run whose requests are counted begins.  Returns after how many runs the next one does, at
 * least 1.  Threads: the source's. */
uint32_t hotkeys_begin_run(struct hotkeys_source *source);
/** Counts a request.  sent   bytes of value in its reply.  Threads: the source's. */
void hotkeys_note(struct hotkeys_source *source, const void *key, size_t key_len, uint64_t sent);

/* -- reading: any thread ----------------------------------------------------------------------- */

/** Tells what was counted, and keeps the counting on, or turns it on.  False without memory. */
bool hotkeys_report(struct hotkeys *hotkeys, stat_emit_fn *emit, void *arg);
/** To be called now and then: turns the counting off, and gives its memory back, when nobody has
 * asked for long. */
void hotkeys_tick(struct hotkeys *hotkeys);

#endif
