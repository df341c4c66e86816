#include "config.h"

#include "embed/thread_slot.h"

#include "base/assert.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define WORD_BITS 64u
#define WORDS     (THREAD_SLOTS / WORD_BITS)

_Static_assert(THREAD_SLOTS % WORD_BITS == 0, "the bitmap is made of whole words");

/* A bit is set while a living thread has the slot. */
static _Atomic uint64_t taken[WORDS];

_Thread_local unsigned thread_slot_own = THREAD_SLOT_NONE;

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int key_error;

/** The key's destructor: runs in the thread that ends. */
static void
give_back(void *value)
{
    unsigned slot = (unsigned)(uintptr_t)value - 1;
    assert(slot < THREAD_SLOTS);
    thread_slot_own = THREAD_SLOT_NONE;
    uint64_t bit = (uint64_t)1 << (slot % WORD_BITS);
    /* release: pairs with take(); the next owner sees all that was done with the slot. */
    uint64_t before =
        atomic_fetch_and_explicit(&taken[slot / WORD_BITS], ~bit, memory_order_release);
    assert((before & bit) != 0);
}

static void
create_key(void)
{
    key_error = pthread_key_create(&key, give_back);
}

bool
thread_slot_setup(void)
{
    int rc = pthread_once(&key_once, create_key);
    assert(rc == 0);
    if (key_error != 0) {
        errno = key_error;
        return false;
    }
    return true;
}

/* A library that is unloaded leaves no destructor behind that points to where its code was. */
__attribute__((destructor)) static void
delete_key(void)
{
    /* After this once, the key was either made, or never will be. */
    if (thread_slot_setup()) {
        (void)pthread_key_delete(key);
    }
}

/** Takes the lowest free bit: low slots are reused first, so that tables stay short. */
static unsigned
take(void)
{
    for (unsigned i = 0; i < WORDS; i++) {
        /* relaxed: only a guess, the exchange below decides. */
        uint64_t word = atomic_load_explicit(&taken[i], memory_order_relaxed);
        while (~word != 0) {
            unsigned at = (unsigned)__builtin_ctzll(~word);
            /* acquire: pairs with give_back().  A failure means that another thread went ahead. */
            if (atomic_compare_exchange_weak_explicit(&taken[i], &word, word | (uint64_t)1 << at,
                                                      memory_order_acquire, memory_order_relaxed)) {
                return i * WORD_BITS + at;
            }
        }
    }
    return THREAD_SLOT_NONE;
}

/** A thread's first call, and each one of a thread that got none. */
unsigned
thread_slot_take(void)
{
    unsigned slot = take();
    if (slot == THREAD_SLOT_NONE) {
        return THREAD_SLOT_NONE;
    }
    if (pthread_setspecific(key, (void *)(uintptr_t)(slot + 1)) != 0) {
        /* No memory for it: without a destructor the slot would be lost at the thread's end. */
        uint64_t bit = (uint64_t)1 << (slot % WORD_BITS);
        atomic_fetch_and_explicit(&taken[slot / WORD_BITS], ~bit, memory_order_release);
        return THREAD_SLOT_NONE;
    }
    thread_slot_own = slot;
    return slot;
}

unsigned
thread_slots_taken(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < WORDS; i++) {
        count +=
            (unsigned)__builtin_popcountll(atomic_load_explicit(&taken[i], memory_order_relaxed));
    }
    return count;
}
