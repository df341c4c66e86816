/* A small number for each thread that calls the library: an index into tables that would else need
 * a lock.
 *
 * This is the one thing that all caches of a process share.  It belongs to the thread, not to a
 * cache, and holds nothing that a cache stores. */
#ifndef LARDER_EMBED_THREAD_SLOT_H
#define LARDER_EMBED_THREAD_SLOT_H

#include <stdbool.h>

#define THREAD_SLOTS     256u         /* threads that have one at the same time */
#define THREAD_SLOT_NONE THREAD_SLOTS /* all are taken */

/** Must have answered true before any thread_slot(); any number of calls.  False: no pthread key
 * left, errno tells. */
bool thread_slot_setup(void);

/** thread_slot() alone uses these two. */
extern _Thread_local unsigned thread_slot_own;
unsigned thread_slot_take(void);

/**
 * The calling thread's slot, 0 .. THREAD_SLOTS - 1, its own until it ends; THREAD_SLOT_NONE when
 * all are taken.
 *
 * What the slot's last owner did happened before what its next owner does.  A thread that got none
 * asks again with each call, and gets one when another thread has ended.
 */
static inline unsigned
thread_slot(void)
{
    unsigned slot = thread_slot_own;
    return __builtin_expect(slot != THREAD_SLOT_NONE, 1) ? slot : thread_slot_take();
}

/** How many are taken now; for tests. */
unsigned thread_slots_taken(void);

#endif
