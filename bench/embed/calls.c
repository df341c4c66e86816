/* Makes one call of the library over and over, for bench/count to count what it costs.
 *
 *     build/release/bench/embed/calls CALL NUMBER
 *
 * CALL is larder_get, larder_get_batch, larder_get_view, larder_set or larder_incr; NUMBER the
 * keys that it is asked for.  The cache and the values are as bench/workloads.py has them.
 * Nothing else here makes these calls: the items are stored by larder_store().  Every answer is
 * checked.
 */
#include "bench/embed/key.h"
#include "bench/load/random.h"

#include "larder.h"

#include <stdio.h>
#include <stdlib.h>

#define KEYS       512u
#define VALUE_LEN  100u
#define BATCH      16u
#define NUMBERS_AT KEYS /* numbers of the keys whose values are numbers begin here */

#define ROUNDS \
    20u /* each with a new cache, whose index has a seed of its own: one alone may be lucky */

static struct larder *cache;
static uint64_t chance = 7;

static void
demand(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s does not answer as it should\n", what);
        exit(1);
    }
}

static void
store(uint64_t number, const char *value, size_t value_len)
{
    uint8_t key[KEY_LETTERS];
    key_make(key, number);
    struct larder_store wish = { .version = LARDER_STORE_VERSION,
                                 .key = key,
                                 .key_len = sizeof(key),
                                 .value = value,
                                 .value_len = value_len };
    demand(larder_store(cache, &wish) == LARDER_OK, "larder_store");
}

static void
next_key(uint8_t *key)
{
    key_make(key, random_below(&chance, KEYS));
}

/* -- the calls ------------------------------------------------------------------------------------
 */

static void
call_get(void)
{
    uint8_t key[KEY_LETTERS], value[VALUE_LEN];
    size_t value_len = 0;
    next_key(key);
    demand(larder_get(cache, key, sizeof(key), value, sizeof(value), &value_len) == LARDER_OK &&
               value_len == VALUE_LEN,
           "larder_get");
}

static void
call_get_batch(void)
{
    uint8_t keys[BATCH][KEY_LETTERS], values[BATCH][VALUE_LEN];
    struct larder_get gets[BATCH];
    for (unsigned i = 0; i < BATCH; i++) {
        next_key(keys[i]);
        gets[i] = (struct larder_get){
            .key = keys[i], .key_len = KEY_LETTERS, .buf = values[i], .buf_cap = VALUE_LEN
        };
    }
    larder_get_batch(cache, gets, BATCH);
    for (unsigned i = 0; i < BATCH; i++) {
        demand(gets[i].result == LARDER_OK && gets[i].value_len == VALUE_LEN, "larder_get_batch");
    }
}

static void
call_get_view(void)
{
    uint8_t key[KEY_LETTERS];
    struct larder_view view;
    next_key(key);
    demand(larder_get_view(cache, key, sizeof(key), &view) == LARDER_OK &&
               view.value_len == VALUE_LEN,
           "larder_get_view");
    larder_release(cache, &view);
}

static void
call_set(void)
{
    static const char value[VALUE_LEN];
    uint8_t key[KEY_LETTERS];
    next_key(key);
    demand(larder_set(cache, key, sizeof(key), value, sizeof(value), 0) == LARDER_OK, "larder_set");
}

static void
call_incr(void)
{
    uint8_t key[KEY_LETTERS];
    uint64_t value = 0;
    key_make(key, NUMBERS_AT + random_below(&chance, KEYS));
    demand(larder_incr(cache, key, sizeof(key), 1, &value) == LARDER_OK && value > 1000,
           "larder_incr");
}

static const struct {
    const char *name;
    void (*make)(void);
    unsigned keys; /* of one call */
} calls[] = {
    { "larder_get", call_get, 1 },           { "larder_get_batch", call_get_batch, BATCH },
    { "larder_get_view", call_get_view, 1 }, { "larder_set", call_set, 1 },
    { "larder_incr", call_incr, 1 },
};

int
main(int argc, char **argv)
{
    static const char value[VALUE_LEN];
    unsigned call = 0;
    unsigned long number = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    while (call < sizeof(calls) / sizeof(calls[0]) && number > 0 &&
           strcmp(argv[1], calls[call].name) != 0) {
        call++;
    }
    if (number == 0 || call == sizeof(calls) / sizeof(calls[0])) {
        fprintf(stderr, "usage: %s CALL NUMBER\n", argv[0]);
        return 2;
    }
    unsigned long done = 0;
    for (unsigned round = 1; round <= ROUNDS; round++) {
        demand(larder_open(NULL, &cache) == LARDER_OK, "larder_open");
        for (unsigned i = 0; i < KEYS; i++) {
            store(i, value, sizeof(value));
            store(NUMBERS_AT + i, "1000", 4);
        }
        for (; done < number * round / ROUNDS; done += calls[call].keys) {
            calls[call].make();
        }
        demand(larder_close(&cache) == LARDER_OK, "larder_close");
    }
    return 0;
}
