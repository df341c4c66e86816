/* Windows of lock-free paths.  In LARDER_DEBUG builds RACE_POINT() yields now and then, so that
 * threads meet inside them; elsewhere it is nothing. */
#ifndef LARDER_BASE_RACE_H
#define LARDER_BASE_RACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef LARDER_DEBUG
void race_point(void);
#define RACE_POINT() race_point()
#else
#define RACE_POINT() ((void)0)
#endif

/* Tells the core that this is a spin loop. */
static inline void
cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#define CACHE_LINE 64u /* bytes */

#if defined(__SANITIZE_THREAD__)
#define RACE_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RACE_CHECKED 1
#endif
#endif

/**
 * Copies bytes that another thread may be writing at the same time.  What came is good only if a
 * version that brackets the copy says so (engine/bucket.h).
 *
 * C has no bulk copy that may race, so these are plain copies that the compiler can neither see
 * through nor move: the fences beside the version order them.  Under ThreadSanitizer each byte is a
 * relaxed atomic, and so every other access to the same memory is checked.
 */
static inline void
race_copy_out(void *dst, const void *racy, size_t len)
{
#ifdef RACE_CHECKED
    const uint8_t *from = racy;
    uint8_t *to = dst;
    for (size_t i = 0; i < len; i++) {
        to[i] = __atomic_load_n(from + i, __ATOMIC_RELAXED);
    }
#else
    __asm__ volatile("" ::: "memory");
    memcpy(dst, racy, len);
    __asm__ volatile("" ::: "memory");
#endif
}

/** Writes bytes that another thread may be reading by race_copy_out(). */
static inline void
race_copy_in(void *racy, const void *src, size_t len)
{
#ifdef RACE_CHECKED
    const uint8_t *from = src;
    uint8_t *to = racy;
    for (size_t i = 0; i < len; i++) {
        __atomic_store_n(to + i, from[i], __ATOMIC_RELAXED);
    }
#else
    __asm__ volatile("" ::: "memory");
    memcpy(racy, src, len);
    __asm__ volatile("" ::: "memory");
#endif
}

/** Whether bytes that another thread may be writing equal `len` of ours; as good as
 * race_copy_out(). */
static inline bool
race_equal(const void *racy, const void *ours, size_t len)
{
#ifdef RACE_CHECKED
    const uint8_t *left = racy;
    const uint8_t *right = ours;
    for (size_t i = 0; i < len; i++) {
        if (__atomic_load_n(left + i, __ATOMIC_RELAXED) != right[i]) {
            return false;
        }
    }
    return true;
#else
    __asm__ volatile("" ::: "memory");
    if (len < sizeof(uint64_t)) {
        return memcmp(racy, ours, len) == 0;
    }
    /* Keys are short: eight bytes at a time, the last eight overlapping those before them, cost
     * less than the call. */
    const uint8_t *left = racy;
    const uint8_t *right = ours;
    uint64_t a, b;
    for (size_t i = 0; i < len - sizeof(a); i += sizeof(a)) {
        memcpy(&a, left + i, sizeof(a));
        memcpy(&b, right + i, sizeof(b));
        if (a != b) {
            return false;
        }
    }
    memcpy(&a, left + len - sizeof(a), sizeof(a));
    memcpy(&b, right + len - sizeof(b), sizeof(b));
    return a == b;
#endif
}

#endif
