/* A C host: a cache in a file, and back. */
#include "larder.h"

#include "embed/cache.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS       5000u
#define LONG_VALUE (300u * 1024) /* bytes; longer than any chunk */

static char folder[] = "/tmp/larder-saving-XXXXXX";
static char error[LARDER_ERROR_CAP];

static const char *
in_folder(const char *name)
{
    static char path[200];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void
write_file(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL && fwrite(bytes, 1, len, file) == len);
    CHECK(file != NULL && fclose(file) == 0);
}

static struct larder_fetch
look(struct larder *cache, const char *key)
{
    static char value[64];
    struct larder_fetch fetch;
    memset(&fetch, 0, sizeof(fetch));
    fetch.version = LARDER_FETCH_VERSION;
    fetch.key = key;
    fetch.key_len = strlen(key);
    fetch.buf = value;
    fetch.buf_cap = sizeof(value);
    fetch.quiet = 1;
    CHECK(larder_fetch(cache, &fetch) == LARDER_OK);
    return fetch;
}

static void
items_come_back_as_they_were(void)
{
    struct larder *cache = open_cache(32u << 20);
    uint8_t *value = malloc(LONG_VALUE);
    uint8_t *got = malloc(LONG_VALUE);
    CHECK(value != NULL && got != NULL);
    fill(value, LONG_VALUE, 1);
    for (unsigned i = 0; i < KEYS; i++) {
        CHECK(larder_set(cache, &i, sizeof(i), value, i % 200, 0) == LARDER_OK);
    }
    CHECK(larder_set(cache, "long", 4, value, LONG_VALUE, 0) == LARDER_OK);
    struct larder_store store;
    memset(&store, 0, sizeof(store));
    store.version = LARDER_STORE_VERSION;
    store.key = "special";
    store.key_len = 7;
    store.value = "1";
    store.value_len = 1;
    store.ttl_s = 1000;
    store.flags = 77;
    CHECK(larder_store(cache, &store) == LARDER_OK);
    uint64_t items = 0;
    CHECK(larder_save(cache, in_folder("cache"), &items, error, sizeof(error)) == LARDER_OK);
    CHECK(items == KEYS + 2 && error[0] == '\0');
    CHECK(larder_close(&cache) == LARDER_OK);

    cache = open_cache(64u << 20);
    CHECK(set(cache, "special", "newer") == LARDER_OK);
    CHECK(larder_delete(cache, "special", 7) == LARDER_OK);
    unsigned first = 0;
    CHECK(larder_set(cache, &first, sizeof(first), "newer", 5, 0) == LARDER_OK);
    items = 0;
    CHECK(larder_load(cache, in_folder("cache"), &items, error, sizeof(error)) == LARDER_OK);
    CHECK(items == KEYS + 1);
    unsigned wrong = 0;
    size_t len = 0;
    for (unsigned i = 1; i < KEYS; i++) {
        wrong += larder_get(cache, &i, sizeof(i), got, LONG_VALUE, &len) != LARDER_OK ||
                 len != i % 200 || memcmp(got, value, len) != 0;
    }
    CHECK(wrong == 0);
    CHECK(larder_get(cache, &first, sizeof(first), got, LONG_VALUE, &len) == LARDER_OK && len == 5);
    CHECK(larder_get(cache, "long", 4, got, LONG_VALUE, &len) == LARDER_OK);
    CHECK(len == LONG_VALUE && memcmp(got, value, len) == 0);
    struct larder_fetch special = look(cache, "special");
    CHECK(special.flags == 77 && special.cas == store.cas_new && special.ttl_s > 900);
    CHECK(larder_cas(cache, "special", 7, "2", 1, 0, store.cas_new) == LARDER_OK);
    free(value);
    free(got);
    CHECK(larder_close(&cache) == LARDER_OK);
}

static void
paths_may_be_relative(void)
{
    struct larder *cache = open_cache(8u << 20);
    char before[4096];
    CHECK(getcwd(before, sizeof(before)) != NULL && chdir(folder) == 0);
    CHECK(set(cache, "a", "1") == LARDER_OK);
    CHECK(larder_save(cache, "relative", NULL, NULL, 0) == LARDER_OK);
    CHECK(chdir(before) == 0);
    CHECK(access(in_folder("relative"), R_OK) == 0);
    larder_flush(cache);
    CHECK(larder_load(cache, in_folder("relative"), NULL, NULL, 0) == LARDER_OK);
    CHECK(has(cache, "a", "1"));
    CHECK(larder_close(&cache) == LARDER_OK);
}

static void
what_goes_wrong_is_told(void)
{
    struct larder *cache = open_cache(8u << 20);
    uint64_t items = 7;
    CHECK(set(cache, "a", "1") == LARDER_OK);
    CHECK(larder_save(cache, "", &items, error, sizeof(error)) == LARDER_BAD_OPTION);
    CHECK(larder_save(cache, NULL, &items, error, sizeof(error)) == LARDER_BAD_OPTION);
    CHECK(larder_save(cache, in_folder("cache"), &items, NULL, 1) == LARDER_BAD_OPTION);
    CHECK(larder_load(cache, "", &items, error, sizeof(error)) == LARDER_BAD_OPTION);
    char path[2000];
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    CHECK(larder_save(cache, path, &items, error, sizeof(error)) == LARDER_BAD_OPTION);
    CHECK(error[0] != '\0');
    CHECK(larder_save(cache, "/no/such/folder/x", &items, error, sizeof(error)) == LARDER_SYSTEM);
    CHECK(strstr(error, "/no/such/folder/x") != NULL);
    errno = 0;
    CHECK(larder_load(cache, in_folder("none"), &items, error, sizeof(error)) == LARDER_SYSTEM);
    CHECK(errno == ENOENT && strstr(error, "none") != NULL);

    write_file(in_folder("foreign"), "some text of somebody's", 23);
    CHECK(larder_load(cache, in_folder("foreign"), &items, error, sizeof(error)) ==
          LARDER_BAD_FILE);
    CHECK(larder_save(cache, in_folder("foreign"), &items, error, sizeof(error)) ==
          LARDER_BAD_FILE);
    struct stat stat_of;
    CHECK(stat(in_folder("foreign"), &stat_of) == 0 && stat_of.st_size == 23);

    CHECK(larder_save(cache, in_folder("torn"), NULL, NULL, 0) == LARDER_OK);
    CHECK(stat(in_folder("torn"), &stat_of) == 0);
    CHECK(truncate(in_folder("torn"), stat_of.st_size - 9) == 0);
    CHECK(larder_load(cache, in_folder("torn"), &items, error, sizeof(error)) == LARDER_BAD_FILE);
    CHECK(error[0] != '\0' && has(cache, "a", "1"));
    CHECK(larder_close(&cache) == LARDER_OK);
}

int
main(void)
{
    static const char *const files[] = { "cache", "relative", "foreign", "torn" };
    if (mkdtemp(folder) == NULL) {
        perror("mkdtemp");
        return 1;
    }
    RUN(items_come_back_as_they_were);
    RUN(paths_may_be_relative);
    RUN(what_goes_wrong_is_told);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)unlink(in_folder(files[i]));
    }
    CHECK(rmdir(folder) == 0);
    return tests_end();
}
