/* What the hosts in this folder share: counting checks.  Plain C and C++, nothing of ours but
 * larder.h. */
#ifndef LARDER_TESTS_EMBED_CALLS_H
#define LARDER_TESTS_EMBED_CALLS_H

#include <stdio.h>

static unsigned tests_passed;
static unsigned tests_failed;
static int test_good;

/* Notes a broken expectation; the test goes on. */
#define CHECK(expr)                                           \
    do {                                                      \
        if (!(expr)) {                                        \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #expr); \
            test_good = 0;                                    \
        }                                                     \
    } while (0)

#define RUN(test)                         \
    do {                                  \
        test_good = 1;                    \
        test();                           \
        if (test_good) {                  \
            tests_passed++;               \
        } else {                          \
            tests_failed++;               \
            printf("FAILED %s\n", #test); \
        }                                 \
    } while (0)

/** Prints the line that `make check` counts; the exit status. */
static inline int
tests_end(void)
{
    printf("%u passed, %u failed\n", tests_passed, tests_failed);
    return tests_failed == 0 ? 0 : 1;
}

#endif
