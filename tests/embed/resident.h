/* How much of a host's memory is resident. */
#ifndef LARDER_TESTS_EMBED_RESIDENT_H
#define LARDER_TESTS_EMBED_RESIDENT_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/** Bytes of this process; a host that cannot tell ends with 1. */
static inline size_t
resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*u %lu", &pages) != 1) {
        printf("/proc/self/statm cannot be read\n");
        exit(1);
    }
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

#endif
