#include "support/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Lies at the start of each mapping, before the padding and the bytes. */
struct mapping {
    struct mapping *next;
    size_t len; /* bytes, with the unreadable page */
};

static struct mapping *mappings;

static void
die(const char *what)
{
    perror(what);
    abort();
}

uint8_t *
guard_room(size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t used = (sizeof(struct mapping) + len + page - 1) / page * page;
    uint8_t *start =
        mmap(NULL, used + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) {
        die("mmap");
    }
    if (mprotect(start + used, page, PROT_NONE) != 0) {
        die("mprotect");
    }
    struct mapping *mapping = (struct mapping *)start;
    mapping->next = mappings;
    mapping->len = used + page;
    mappings = mapping;
    return memset(start + used - len, 0xa5, len);
}

uint8_t *
guard_copy(const void *bytes, size_t len)
{
    uint8_t *room = guard_room(len);
    if (len > 0) {
        memcpy(room, bytes, len);
    }
    return room;
}

void
guard_free_all(void)
{
    while (mappings != NULL) {
        struct mapping *mapping = mappings;
        mappings = mapping->next;
        if (munmap(mapping, mapping->len) != 0) {
            die("munmap");
        }
    }
}
