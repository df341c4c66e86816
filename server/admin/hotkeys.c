#include "config.h"

#include "admin/hotkeys.h"

#include "admin/stats_priv.h"
#include "base/assert.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/percent.h"
#include "base/race.h"
#include "base/rng.h"
#include "base/sketch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum measure {
    MEASURE_REQUESTS,
    MEASURE_BYTES,
    MEASURES,
};

/** What was counted in HOTKEYS_SLICE_US. */
struct slice {
    uint64_t number; /* since the clock's start */
    uint64_t requests;
    uint64_t bytes;
    struct sketch *sketches[MEASURES];
};

/** Locking key:  (l) lock  (t) the source's thread  (h) hotkeys.lock; others constant. */
struct hotkeys_source {
    _Alignas(CACHE_LINE) struct lock lock;
    struct hotkeys *hotkeys;
    struct slice *slices;        /* (l) HOTKEYS_SLICES of them; NULL while nothing is counted */
    uint64_t slice_number;       /* (t) of the run */
    struct rng rng;              /* (t) */
    struct hotkeys_source *next; /* (h) */
};

/** Locking key:  (l) lock  (a) atomic, written under (l); others constant. */
struct hotkeys {
    struct hotkeys_options options;
    _Atomic bool on; /* (a) */
    struct lock lock;
    uint64_t on_since_us;           /* (l) */
    uint64_t asked_at_us;           /* (l) */
    unsigned sources_count;         /* (l) */
    struct hotkeys_source *sources; /* (l) */
};

struct hotkeys *
hotkeys_create(const struct hotkeys_options *options)
{
    assert(options->now_us != NULL && options->one_in >= 1);
    struct hotkeys *hotkeys = calloc(1, sizeof(*hotkeys));
    if (hotkeys != NULL) {
        hotkeys->options = *options;
        lock_init(&hotkeys->lock, LOCK_RANK_HOTKEYS);
    }
    return hotkeys;
}

void
hotkeys_destroy(struct hotkeys *hotkeys)
{
    if (hotkeys != NULL) {
        assert(hotkeys->sources == NULL);
        lock_fini(&hotkeys->lock);
        free(hotkeys);
    }
}

const _Atomic bool *
hotkeys_switch(const struct hotkeys *hotkeys)
{
    return &hotkeys->on;
}

/* -- slices ------------------------------------------------------------------------------------ */

static void
slices_destroy(struct slice *slices)
{
    for (unsigned i = 0; slices != NULL && i < HOTKEYS_SLICES; i++) {
        for (unsigned measure = 0; measure < MEASURES; measure++) {
            sketch_destroy(slices[i].sketches[measure]);
        }
    }
    free(slices);
}

static struct slice *
slices_create(void)
{
    struct slice *slices = calloc(HOTKEYS_SLICES, sizeof(*slices));
    for (unsigned i = 0; slices != NULL && i < HOTKEYS_SLICES; i++) {
        for (unsigned measure = 0; measure < MEASURES; measure++) {
            slices[i].sketches[measure] = sketch_create(HOTKEYS_ENTRIES);
            if (slices[i].sketches[measure] == NULL) {
                slices_destroy(slices);
                return NULL;
            }
        }
    }
    return slices;
}

/** Gives the source these slices, or none, and frees the old ones. */
static void
source_set_slices(struct hotkeys_source *source, struct slice *slices)
{
    lock_acquire(&source->lock);
    struct slice *old = source->slices;
    source->slices = slices;
    lock_release(&source->lock);
    slices_destroy(old);
}

/* -- counting ---------------------------------------------------------------------------------- */

struct hotkeys_source *
hotkeys_source_open(struct hotkeys *hotkeys)
{
    struct hotkeys_source *source = aligned_alloc(CACHE_LINE, sizeof(*source));
    if (source == NULL) {
        return NULL;
    }
    memset(source, 0, sizeof(*source));
    lock_init(&source->lock, LOCK_RANK_HOTKEYS_SOURCE);
    source->hotkeys = hotkeys;
    rng_init(&source->rng, rng_system());
    lock_acquire(&hotkeys->lock);
    /* relaxed: under the lock */
    if (atomic_load_explicit(&hotkeys->on, memory_order_relaxed)) {
        source->slices = slices_create(); /* without memory it counts nothing this time */
    }
    source->next = hotkeys->sources;
    hotkeys->sources = source;
    hotkeys->sources_count++;
    lock_release(&hotkeys->lock);
    return source;
}

void
hotkeys_source_close(struct hotkeys *hotkeys, struct hotkeys_source **source)
{
    struct hotkeys_source *gone = *source;
    *source = NULL;
    lock_acquire(&hotkeys->lock);
    struct hotkeys_source **at = &hotkeys->sources;
    while (*at != gone) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = gone->next;
    hotkeys->sources_count--;
    lock_release(&hotkeys->lock);
    slices_destroy(gone->slices);
    lock_fini(&gone->lock);
    free(gone);
}

uint32_t
hotkeys_begin_run(struct hotkeys_source *source)
{
    const struct hotkeys_options *options = &source->hotkeys->options;
    source->slice_number = options->now_us() / HOTKEYS_SLICE_US;
    /* By chance, one_in on average: no rhythm of the clients' can hide from it. */
    return 1 + (uint32_t)rng_below(&source->rng, 2 * (uint64_t)options->one_in - 1);
}

/** The slice of the run, emptied when it still holds an older one. */
static struct slice *
slice_of_run(struct hotkeys_source *source)
{
    struct slice *slice = &source->slices[source->slice_number % HOTKEYS_SLICES];
    if (slice->number != source->slice_number) {
        slice->number = source->slice_number;
        slice->requests = 0;
        slice->bytes = 0;
        sketch_clear(slice->sketches[MEASURE_REQUESTS]);
        sketch_clear(slice->sketches[MEASURE_BYTES]);
    }
    return slice;
}

void
hotkeys_note(struct hotkeys_source *source, const void *key, size_t key_len, uint64_t sent)
{
    assert(key_len >= 1 && key_len <= SKETCH_KEY_MAX);
    if (!lock_try_acquire(&source->lock)) {
        return;
    }
    if (source->slices != NULL) {
        struct slice *slice = slice_of_run(source);
        uint64_t hash = hash_bytes(key, key_len, source->hotkeys->options.hash_seed);
        sketch_add(slice->sketches[MEASURE_REQUESTS], hash, key, key_len, 1);
        slice->requests++;
        if (sent > 0) {
            sketch_add(slice->sketches[MEASURE_BYTES], hash, key, key_len, sent);
            slice->bytes += sent;
        }
    }
    lock_release(&source->lock);
}

/* -- putting together -------------------------------------------------------------------------- */

/** A key's sums over all sketches. */
struct sum {
    uint64_t hash;
    uint64_t most;  /* weight */
    uint64_t least; /* weight */
    uint64_t hits;
    uint64_t floors; /* of the sketches that have it */
    uint8_t key_len;
    uint8_t key[SKETCH_KEY_MAX];
};

/** All keys of one measure, and what there was besides. */
struct tally {
    struct sum *sums;
    uint32_t *table; /* index of a sum and 1, or 0; open addressing */
    uint32_t table_mask;
    uint32_t count;
    uint32_t cap;
    uint64_t floors; /* of all sketches */
    uint64_t requests;
    uint64_t bytes;
};

static bool
tally_init(struct tally *tally, unsigned sources)
{
    memset(tally, 0, sizeof(*tally));
    tally->cap = sources * HOTKEYS_SLICES * HOTKEYS_ENTRIES;
    uint32_t size = 2;
    while (size < 2 * tally->cap) {
        size *= 2;
    }
    tally->table_mask = size - 1;
    tally->sums = malloc((tally->cap + 1) * sizeof(tally->sums[0]));
    tally->table = calloc(size, sizeof(tally->table[0]));
    return tally->sums != NULL && tally->table != NULL;
}

static void
tally_fini(struct tally *tally)
{
    free(tally->sums);
    free(tally->table);
}

static struct sum *
tally_sum_of(struct tally *tally, const struct sketch_entry *entry)
{
    uint32_t at = (uint32_t)entry->hash & tally->table_mask;
    for (; tally->table[at] != 0; at = (at + 1) & tally->table_mask) {
        struct sum *sum = &tally->sums[tally->table[at] - 1];
        if (sum->hash == entry->hash) {
            return sum;
        }
    }
    assert(tally->count < tally->cap);
    struct sum *sum = &tally->sums[tally->count++];
    tally->table[at] = tally->count;
    *sum = (struct sum){ .hash = entry->hash, .key_len = entry->key_len };
    memcpy(sum->key, entry->key, entry->key_len);
    return sum;
}

static void
tally_add(struct tally *tally, const struct slice *slice, enum measure measure)
{
    const struct sketch *sketch = slice->sketches[measure];
    uint64_t floor = sketch_floor(sketch);
    tally->floors += floor;
    tally->requests += slice->requests;
    tally->bytes += slice->bytes;
    for (unsigned i = 0; i < sketch_count(sketch); i++) {
        const struct sketch_entry *entry = sketch_at(sketch, i);
        struct sum *sum = tally_sum_of(tally, entry);
        sum->most += entry->count;
        sum->least += entry->count - entry->error;
        sum->hits += entry->hits;
        sum->floors += floor;
    }
}

/** Adds all slices that are not older than `first`, then what a key may have had in sketches that
 * do not know it. */
static void
tally_collect(struct tally *tally, struct hotkeys *hotkeys, uint64_t first, enum measure measure)
{
    for (struct hotkeys_source *source = hotkeys->sources; source != NULL; source = source->next) {
        lock_acquire(&source->lock);
        for (unsigned i = 0; source->slices != NULL && i < HOTKEYS_SLICES; i++) {
            if (source->slices[i].number >= first) {
                tally_add(tally, &source->slices[i], measure);
            }
        }
        lock_release(&source->lock);
    }
    for (uint32_t i = 0; i < tally->count; i++) {
        tally->sums[i].most += tally->floors - tally->sums[i].floors;
    }
}

/** The middle of what it may be. */
static double
sum_estimate(const struct sum *sum)
{
    return ((double)sum->most + (double)sum->least) / 2;
}

/** Finds those with the largest estimates; returns their number. */
static unsigned
tally_top(const struct tally *tally, const struct sum *top[HOTKEYS_TOP])
{
    unsigned count = 0;
    for (uint32_t i = 0; i < tally->count; i++) {
        const struct sum *sum = &tally->sums[i];
        unsigned at = count;
        for (; at > 0 && sum_estimate(top[at - 1]) < sum_estimate(sum); at--) {
            if (at < HOTKEYS_TOP) {
                top[at] = top[at - 1];
            }
        }
        if (at < HOTKEYS_TOP) {
            top[at] = sum;
            count += count < HOTKEYS_TOP;
        }
    }
    return count;
}

/* -- the report -------------------------------------------------------------------------------- */

/** A span of time, and how to get from what was counted to what was, per second. */
struct scale {
    double seconds;
    unsigned one_in;
};

static double
per_second(const struct scale *scale, double counted)
{
    return scale->seconds > 0 ? counted * scale->one_in / scale->seconds : 0;
}

static double
square_root(double x)
{
    double root = x > 1 ? x : 1;
    for (unsigned i = 0; i < 64; i++) { /* Newton's: enough for any double */
        root = (root + x / root) / 2;
    }
    return root;
}

/** What the estimate may be wrong by: half of what the sketches leave open, and two standard
 * deviations of the sampling. */
static double
sum_error(const struct sum *sum, const struct scale *scale)
{
    double open = ((double)sum->most - (double)sum->least) / 2;
    double unseen = 1 - 1.0 / scale->one_in;
    return open + 2 * (double)sum->least * square_root(unseen / (double)sum->hits);
}

static void
put_rate(const struct stats_out *out, const char *name, double rate)
{
    stats_put_format(out, name, "%.0f", rate);
}

static void
put_top(const struct tally *tally, const char *measure, const struct scale *scale,
        stat_emit_fn *emit, void *arg)
{
    const struct sum *top[HOTKEYS_TOP];
    unsigned count = tally_top(tally, top);
    for (unsigned i = 0; i < count; i++) {
        char prefix[32];
        char key[PERCENT_GROWTH * SKETCH_KEY_MAX + 1];
        snprintf(prefix, sizeof(prefix), "%s:%u:", measure, i + 1);
        *percent_encode(key, top[i]->key, top[i]->key_len) = '\0';
        struct stats_out out = { emit, arg, prefix };
        stats_put(&out, "key", key);
        put_rate(&out, "per_s", per_second(scale, sum_estimate(top[i])));
        put_rate(&out, "error", per_second(scale, sum_error(top[i], scale)));
    }
}

/** Turns the counting on; false without memory.  The caller holds the lock. */
static bool
turn_on(struct hotkeys *hotkeys, uint64_t now_us)
{
    for (struct hotkeys_source *source = hotkeys->sources; source != NULL; source = source->next) {
        struct slice *slices = slices_create();
        source_set_slices(source, slices);
        if (slices == NULL) {
            return false; /* those that have slices keep them for the next time */
        }
    }
    hotkeys->on_since_us = now_us;
    /* relaxed: a switch; when exactly it is seen does not matter */
    atomic_store_explicit(&hotkeys->on, true, memory_order_relaxed);
    return true;
}

bool
hotkeys_report(struct hotkeys *hotkeys, stat_emit_fn *emit, void *arg)
{
    struct tally tallies[MEASURES];
    memset(tallies, 0, sizeof(tallies));
    lock_acquire(&hotkeys->lock);
    uint64_t now_us = hotkeys->options.now_us();
    hotkeys->asked_at_us = now_us;
    /* relaxed: under the lock */
    bool told =
        atomic_load_explicit(&hotkeys->on, memory_order_relaxed) || turn_on(hotkeys, now_us);
    uint64_t number = now_us / HOTKEYS_SLICE_US;
    uint64_t first = number >= HOTKEYS_SLICES ? number - HOTKEYS_SLICES + 1 : 0;
    uint64_t begin_us = first * HOTKEYS_SLICE_US;
    if (begin_us < hotkeys->on_since_us) {
        begin_us = hotkeys->on_since_us;
    }
    for (unsigned measure = 0; told && measure < MEASURES; measure++) {
        told = tally_init(&tallies[measure], hotkeys->sources_count);
        if (told) {
            tally_collect(&tallies[measure], hotkeys, first, (enum measure)measure);
        }
    }
    lock_release(&hotkeys->lock);

    if (told) {
        const struct tally *requests = &tallies[MEASURE_REQUESTS];
        struct scale scale = { (double)(now_us - begin_us) / 1e6, hotkeys->options.one_in };
        struct stats_out out = { emit, arg, "" };
        stats_put_format(&out, "seconds", "%.1f", scale.seconds);
        stats_put_u64(&out, "one_in", scale.one_in);
        stats_put_u64(&out, "sampled", requests->requests);
        put_rate(&out, "requests_per_s", per_second(&scale, (double)requests->requests));
        put_rate(&out, "bytes_per_s", per_second(&scale, (double)requests->bytes));
        put_top(requests, "requests", &scale, emit, arg);
        put_top(&tallies[MEASURE_BYTES], "bytes", &scale, emit, arg);
    }
    for (unsigned measure = 0; measure < MEASURES; measure++) {
        tally_fini(&tallies[measure]);
    }
    return told;
}

void
hotkeys_tick(struct hotkeys *hotkeys)
{
    /* relaxed: looked at again under the lock */
    if (!atomic_load_explicit(&hotkeys->on, memory_order_relaxed)) {
        return;
    }
    lock_acquire(&hotkeys->lock);
    if (hotkeys->options.now_us() - hotkeys->asked_at_us > HOTKEYS_KEEP_US) {
        /* relaxed: a switch; a thread that sees it late finds no slices */
        atomic_store_explicit(&hotkeys->on, false, memory_order_relaxed);
        for (struct hotkeys_source *source = hotkeys->sources; source != NULL;
             source = source->next) {
            source_set_slices(source, NULL);
        }
    }
    lock_release(&hotkeys->lock);
}
