/* Many keys at once: all that begin alike are void, or for a while not to be read.
 *
 * A flush of a prefix notes the last CAS id that was given out: an item of the prefix with an id up
 * to it is dead, one stored later lives.  Reading pays for it while some flush is under way alone,
 * and then only for items with such an old id.  The sweep (expire.c) frees the dead; when it has
 * been everywhere, the note goes.
 *
 * Ids that clients choose themselves (meta flag E) may be above the counter.  The highest is known,
 * and a flush moves the counter there first.
 *
 * Which item counts as stored later: one whose id was taken after the flush had read the counter.
 * Whoever gives an item with old contents a new id (incr, append, a CAS store against an old id)
 * takes the id first and then asks whether the old item is void: cache_is_void().
 */
#ifndef LARDER_ENGINE_PREFIXES_H
#define LARDER_ENGINE_PREFIXES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "engine/cache.h"

struct prefix {
    uint64_t cas;    /* items up to this id are void; 0: none is left */
    uint32_t stamp;  /* cache.sweep_stamp of the last flush: when all is swept, `cas` goes */
    uint32_t held_s; /* cache second of the last flush: plain stores are held off from there */
    bool bypassed;
    uint8_t len;
    uint8_t bytes[CACHE_KEY_MAX];
};

/**
 * Locking key:  (l) lock  (a) atomic  (v) written under the lock between two changes of `version`,
 * read without it if `version` is even and the same before and after.
 */
struct prefixes {
    _Atomic uint64_t cas_high;     /* (a) the highest of all prefixes' ids, UINT64_MAX with a bypass
                                      among them; 0 for none */
    _Atomic uint64_t cas_explicit; /* (a) the highest id that a client has chosen */
    _Atomic uint32_t version;      /* (a) odd during a change */
    struct lock lock;
    _Atomic uint32_t count; /* (v) */
    struct prefix *at;      /* (v) CACHE_PREFIXES_MAX of them; constant */
};

/** Errors: false without memory. */
bool prefixes_init(struct prefixes *prefixes);
void prefixes_fini(struct prefixes *prefixes);

/** Whether an item with this id and key is void.  Any thread, without a lock. */
bool prefixes_cover(struct prefixes *prefixes, uint64_t cas, const uint8_t *key, uint32_t key_len);
/** Whether this key is not to be read nor stored. */
bool prefixes_bypass(struct prefixes *prefixes, const uint8_t *key, uint32_t key_len);
/** The last flush that covers the key, cache second; 0 for none that is known still. */
uint32_t prefixes_held_s(struct prefixes *prefixes, const uint8_t *key, uint32_t key_len);
/** All that was flushed up to this stamp is swept: notes not younger go, but for those of flushes
 * since `held_since_s`. */
void prefixes_retire(struct prefixes *prefixes, uint32_t stamp, uint32_t held_since_s);
/** Whether there is no room for another prefix before a sweep has made some. */
bool prefixes_wait_for_sweep(struct prefixes *prefixes);
/** A client gives an item this id. */
void prefixes_note_explicit(struct prefixes *prefixes, uint64_t cas);

#endif
