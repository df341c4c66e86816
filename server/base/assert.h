/* Asserts for our own mistakes: on in release builds too.  Input from a client is never asserted.
 */
#ifndef LARDER_BASE_ASSERT_H
#define LARDER_BASE_ASSERT_H

/** Prints the broken invariant and its place, and aborts. */
_Noreturn void assert_failed(const char *expr, const char *file, int line);

/* Asserts too costly for release builds. */
#ifdef LARDER_DEBUG
#define debug_assert(expr) assert(expr)
#else
#define debug_assert(expr) ((void)sizeof(expr))
#endif

#endif

/* Outside of the guard: a system header that includes <assert.h> puts the C library's in its place,
 * which -DNDEBUG removes; whoever includes such a header includes this one again. */
#ifdef assert
#undef assert
#endif
#define assert(expr)                                  \
    do {                                              \
        if (__builtin_expect(!(expr), 0)) {           \
            assert_failed(#expr, __FILE__, __LINE__); \
        }                                             \
    } while (0)
