#include "config.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void
assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expr);
    fflush(stderr);
    abort();
}
