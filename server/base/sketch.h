/* The most frequent keys of a stream, in memory that does not grow with it: Space-Saving.
 *
 * A fixed number of entries, each a key with a count.  A key that has none takes over the entry
 * with the smallest count, and goes on counting from there; what it took over is its error.  So, of
 * a stream of weight `total` in `cap` entries:
 *
 *     count - error <= true weight <= count     of a key that has an entry
 *     true weight <= sketch_floor()             of one that has none
 *     error, sketch_floor() <= total / cap      hence any key above that has an entry
 *
 * Keys are told apart by their hash alone: 64 bits with a seed that nobody outside knows.
 *
 * Threads: one at a time.
 * Source: Metwally, Agrawal, El Abbadi: Efficient computation of frequent and top-k elements in
 * data streams (2005).
 */
#ifndef LARDER_BASE_SKETCH_H
#define LARDER_BASE_SKETCH_H

#include <stddef.h>
#include <stdint.h>

#define SKETCH_KEY_MAX 250u  /* bytes */
#define SKETCH_CAP_MAX 4096u /* entries */

struct sketch_entry {
    uint64_t hash;
    uint64_t count; /* weight, with `error` in it */
    uint64_t error; /* weight that may be others' */
    uint32_t hits;  /* additions since the key took the entry */
    uint16_t heap_at;
    uint8_t key_len;
    uint8_t key[SKETCH_KEY_MAX];
};

struct sketch;

/** cap   entries, 1 to SKETCH_CAP_MAX.  NULL without memory. */
struct sketch *sketch_create(unsigned cap);
/** May be NULL. */
void sketch_destroy(struct sketch *sketch);
/** As it was created. */
void sketch_clear(struct sketch *sketch);

/** Adds to a key.  key_len   1 to SKETCH_KEY_MAX bytes; weight   not 0. */
void sketch_add(struct sketch *sketch, uint64_t hash, const void *key, size_t key_len,
                uint64_t weight);

/** The weight of all that was added. */
uint64_t sketch_total(const struct sketch *sketch);
/** What a key without an entry may weigh at most; 0 while there are free entries. */
uint64_t sketch_floor(const struct sketch *sketch);
unsigned sketch_count(const struct sketch *sketch);
/** Entry i of sketch_count(), in no order; until the next call that changes the sketch. */
const struct sketch_entry *sketch_at(const struct sketch *sketch, unsigned i);

/** Stops the process when the structure is broken; for tests. */
void sketch_check(const struct sketch *sketch);

#endif
