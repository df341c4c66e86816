/* A C host: values that stay as they are while they are held, whatever becomes of their keys. */
#include "larder.h"

#include "embed/cache.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define LONG_VALUE (300u * 1024) /* bytes; longer than any chunk, so that it comes in pieces */

/* Whether the view's value is this one, told piece by piece from some byte on. */
static int
view_is(struct larder *cache, const struct larder_view *view, const uint8_t *value, size_t len,
        size_t from, size_t max)
{
    struct larder_piece pieces[8];
    size_t at = from;
    size_t count;
    if (view->value_len != len || max > sizeof(pieces) / sizeof(pieces[0])) {
        return 0;
    }
    while ((count = larder_view_pieces(cache, view, at, pieces, max)) > 0) {
        for (size_t i = 0; i < count; i++) {
            if (pieces[i].len == 0 || pieces[i].len > len - at ||
                memcmp(pieces[i].at, value + at, pieces[i].len) != 0) {
                return 0;
            }
            at += pieces[i].len;
        }
    }
    return at == len;
}

static void
pieces_are_iovecs(void)
{
    CHECK(sizeof(struct larder_piece) == sizeof(struct iovec));
    CHECK(offsetof(struct larder_piece, at) == offsetof(struct iovec, iov_base));
    CHECK(offsetof(struct larder_piece, len) == offsetof(struct iovec, iov_len));
}

static void
views_of_all_lengths_are_whole(void)
{
    struct larder *cache = open_cache(32u << 20);
    static const size_t lens[] = { 0, 1, 100, 16000, 16384, 16385, 40000, LONG_VALUE, 1000000 };
    uint8_t *value = malloc(1000000);
    CHECK(value != NULL);
    for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct larder_view view;
        fill(value, lens[i], i);
        CHECK(larder_set(cache, "a", 1, value, lens[i], 0) == LARDER_OK);
        CHECK(larder_get_view(cache, "a", 1, &view) == LARDER_OK);
        CHECK(view.cas != 0 && view.flags == 0);
        CHECK(lens[i] > 16000 || view.value != NULL);
        CHECK(view.value == NULL || memcmp(view.value, value, lens[i]) == 0);
        CHECK(view_is(cache, &view, value, lens[i], 0, 1));
        CHECK(view_is(cache, &view, value, lens[i], 0, 8));
        CHECK(view_is(cache, &view, value, lens[i], lens[i] / 2, 3));
        CHECK(view_is(cache, &view, value, lens[i], lens[i], 3));
        struct larder_piece piece;
        CHECK(larder_view_pieces(cache, &view, lens[i] + 1, &piece, 1) == 0);
        CHECK(larder_view_pieces(cache, &view, 0, &piece, 0) == 0);
        larder_release(cache, &view);
        CHECK(view.value == NULL && view.value_len == 0);
        larder_release(cache, &view); /* an empty one is nothing */
    }
    struct larder_view view;
    CHECK(larder_get_view(cache, "b", 1, &view) == LARDER_MISS);
    CHECK(larder_get_view(cache, "", 0, &view) == LARDER_BAD_KEY);
    CHECK(larder_get_view(cache, "a", 1, NULL) == LARDER_BAD_OPTION);
    free(value);
    larder_close(&cache);
}

/* Replaced, deleted, flushed, and evicted with all that was in the cache. */
static void
what_is_held_stays(void)
{
    struct larder *cache = open_cache(8u << 20);
    uint8_t *value = malloc(LONG_VALUE);
    CHECK(value != NULL);
    struct larder_view views[4];
    for (unsigned i = 0; i < 4; i++) {
        char key[2] = { (char)('a' + i), '\0' };
        size_t len = i % 2 == 0 ? LONG_VALUE : 200;
        fill(value, len, i);
        CHECK(larder_set(cache, key, 1, value, len, 0) == LARDER_OK);
        CHECK(larder_get_view(cache, key, 1, &views[i]) == LARDER_OK);
    }
    CHECK(set(cache, "a", "other") == LARDER_OK);
    CHECK(set(cache, "b", "other") == LARDER_OK);
    CHECK(larder_delete(cache, "c", 1) == LARDER_OK);
    larder_flush(cache);
    fill(value, LONG_VALUE, 99);
    for (unsigned i = 0; i < 60; i++) { /* several times the cache's size */
        CHECK(larder_set(cache, &i, sizeof(i), value, LONG_VALUE, 0) == LARDER_OK);
        (void)larder_maintain(cache);
    }
    uint64_t held = 0;
    CHECK(larder_stat(cache, "views", &held) == LARDER_OK && held == 2);
    for (unsigned i = 0; i < 4; i++) {
        size_t len = i % 2 == 0 ? LONG_VALUE : 200;
        fill(value, len, i);
        CHECK(view_is(cache, &views[i], value, len, 0, 4));
    }
    struct larder *still = cache;
    CHECK(larder_close(&cache) == LARDER_BUSY && cache == still);
    for (unsigned i = 0; i < 4; i++) {
        larder_release(cache, &views[i]);
    }
    CHECK(larder_stat(cache, "views", &held) == LARDER_OK && held == 0);
    free(value);
    CHECK(larder_close(&cache) == LARDER_OK && cache == NULL);
}

static void
views_have_a_bound(void)
{
    struct larder *cache = open_cache(8u << 20);
    uint8_t *value = malloc(LONG_VALUE);
    struct larder_view *views = malloc((LARDER_VIEWS_MAX + 1) * sizeof(*views));
    CHECK(value != NULL && views != NULL);
    fill(value, LONG_VALUE, 1);
    CHECK(larder_set(cache, "a", 1, value, LONG_VALUE, 0) == LARDER_OK);
    CHECK(set(cache, "short", "1") == LARDER_OK);
    unsigned wrong = 0;
    for (unsigned i = 0; i < LARDER_VIEWS_MAX; i++) {
        wrong += larder_get_view(cache, "a", 1, &views[i]) != LARDER_OK;
    }
    CHECK(wrong == 0);
    CHECK(larder_get_view(cache, "a", 1, &views[LARDER_VIEWS_MAX]) == LARDER_NO_MEMORY);
    CHECK(views[LARDER_VIEWS_MAX].value == NULL && views[LARDER_VIEWS_MAX].value_len == 0);
    CHECK(larder_get_view(cache, "short", 5, &views[LARDER_VIEWS_MAX]) == LARDER_OK);
    larder_release(cache, &views[LARDER_VIEWS_MAX]);
    larder_release(cache, &views[0]);
    CHECK(larder_get_view(cache, "a", 1, &views[0]) == LARDER_OK);
    for (unsigned i = 0; i < LARDER_VIEWS_MAX; i++) {
        larder_release(cache, &views[i]);
    }
    free(views);
    free(value);
    CHECK(larder_close(&cache) == LARDER_OK);
}

/* -- many threads ------------------------------------------------------------------------------ */

#define THREADS  4u
#define ROUNDS   500u
#define LENGTHS  3u
#define VALUE_OF 40000u /* bytes of the longest */

static struct larder *shared;
static _Atomic int torn;

/* Each value is one byte, all over. */
static int
is_one_byte(struct larder *cache, const struct larder_view *view)
{
    struct larder_piece pieces[8];
    size_t at = 0;
    int byte = -1;
    size_t count;
    while ((count = larder_view_pieces(cache, view, at, pieces, 8)) > 0) {
        for (size_t i = 0; i < count; i++) {
            const uint8_t *bytes = pieces[i].at;
            for (size_t j = 0; j < pieces[i].len; j += 97) {
                if (byte >= 0 && bytes[j] != byte) {
                    return 0;
                }
                byte = bytes[j];
            }
            at += pieces[i].len;
        }
    }
    return at == view->value_len;
}

static void *
store_and_view(void *arg)
{
    static const size_t lens[LENGTHS] = { 100, 10000, VALUE_OF };
    uint8_t *value = malloc(VALUE_OF);
    unsigned seed = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < ROUNDS && value != NULL; i++) {
        seed = seed * 1664525u + 1013904223u;
        char key[2] = { (char)('a' + (seed >> 16) % 8), '\0' };
        if (i % 2 == 0) {
            size_t len = lens[(seed >> 24) % LENGTHS];
            memset(value, (int)(seed >> 8 & 0xff), len);
            if (larder_set(shared, key, 1, value, len, 0) != LARDER_OK) {
                torn = 1;
            }
            continue;
        }
        struct larder_view view;
        if (larder_get_view(shared, key, 1, &view) == LARDER_OK) {
            if (!is_one_byte(shared, &view)) {
                torn = 1;
            }
            larder_release(shared, &view);
        }
    }
    free(value);
    return NULL;
}

static void
threads_hold_whole_values(void)
{
    pthread_t threads[THREADS];
    shared = open_cache(16u << 20);
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, store_and_view, (void *)(uintptr_t)(i + 1)) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(torn == 0);
    CHECK(larder_close(&shared) == LARDER_OK);
}

int
main(void)
{
    RUN(pieces_are_iovecs);
    RUN(views_of_all_lengths_are_whole);
    RUN(what_is_held_stays);
    RUN(views_have_a_bound);
    RUN(threads_hold_whole_values);
    return tests_end();
}
