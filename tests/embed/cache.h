/* Short forms of the library's calls, for hosts in C that test them. */
#ifndef LARDER_TESTS_EMBED_CACHE_H
#define LARDER_TESTS_EMBED_CACHE_H

#include "larder.h"

#include "embed/calls.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline struct larder *
open_with(const struct larder_options *options)
{
    struct larder *cache = NULL;
    enum larder_result result = larder_open(options, &cache);
    if (result != LARDER_OK) {
        printf("larder_open: %s\n", larder_result_text(result));
        exit(1);
    }
    return cache;
}

static inline struct larder *
open_cache(uint64_t memory_limit)
{
    struct larder_options options = LARDER_OPTIONS_INIT;
    options.memory_limit = memory_limit;
    return open_with(&options);
}

static inline enum larder_result
set(struct larder *cache, const char *key, const char *value)
{
    return larder_set(cache, key, strlen(key), value, strlen(value), 0);
}

/* The value under the key as a string; "<miss>" and the like for what is no value. */
static inline const char *
get(struct larder *cache, const char *key)
{
    static char value[1024];
    size_t len = 0;
    enum larder_result result = larder_get(cache, key, strlen(key), value, sizeof(value) - 1, &len);
    if (result == LARDER_MISS) {
        return "<miss>";
    }
    if (result != LARDER_OK) {
        return larder_result_text(result);
    }
    value[len] = '\0';
    return value;
}

static inline int
has(struct larder *cache, const char *key, const char *value)
{
    return strcmp(get(cache, key), value) == 0;
}

static inline void
fill(uint8_t *bytes, size_t len, unsigned seed)
{
    uint32_t state = seed * 2654435761u + 1;
    for (size_t i = 0; i < len; i++) {
        state = state * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(state >> 24);
    }
}

#endif
