#include "config.h"

#include "base/ring.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

bool
ring_init(struct ring *ring, size_t cap)
{
    assert(cap > 0);
    ring->cap = cap;
    ring->bytes = malloc(cap);
    /* relaxed: no other thread knows the ring */
    atomic_store_explicit(&ring->head, 0, memory_order_relaxed);
    atomic_store_explicit(&ring->tail, 0, memory_order_relaxed);
    return ring->bytes != NULL;
}

void
ring_fini(struct ring *ring)
{
    free(ring->bytes);
    ring->bytes = NULL;
}

void
ring_put(struct ring *ring, size_t at, const void *bytes, size_t len)
{
    /* relaxed: the writer's own */
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    assert(at + len <= ring->cap);
    size_t place = (size_t)((tail + at) % ring->cap);
    size_t part = len < ring->cap - place ? len : ring->cap - place;
    if (len > 0) {
        memcpy(ring->bytes + place, bytes, part);
        memcpy(ring->bytes, (const uint8_t *)bytes + part, len - part);
    }
}

void
ring_get(const struct ring *ring, size_t at, void *dst, size_t len)
{
    /* relaxed: the reader's own */
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    assert(at + len <= ring->cap);
    size_t place = (size_t)((head + at) % ring->cap);
    size_t part = len < ring->cap - place ? len : ring->cap - place;
    if (len > 0) {
        memcpy(dst, ring->bytes + place, part);
        memcpy((uint8_t *)dst + part, ring->bytes, len - part);
    }
}
