/* liblarder, as its hosts call it. */
#include "bench/embed/store.h"

#include "larder.h"

#define ITEM_EXTRA 64u         /* bytes of the limit per item, besides key and value */
#define SPARE      (64u << 20) /* bytes of the limit besides the items */

static struct larder *cache;

void
store_open(uint64_t items, size_t value_len, const char *address)
{
    (void)address;
    struct larder_options options = LARDER_OPTIONS_INIT;
    options.memory_limit = items * (STORE_KEY_LEN + value_len + ITEM_EXTRA) + SPARE;
    enum larder_result result = larder_open(&options, &cache);
    if (result != LARDER_OK) {
        store_die("larder_open: %s", larder_result_text(result));
    }
}

/* Any thread may call: there is nothing to be kept for one. */
struct store_client *
store_client_open(void)
{
    return NULL;
}

void
store_client_close(struct store_client *client)
{
    (void)client;
}

void
store_fill(struct store_client *client, const uint8_t *key, const void *value, size_t value_len)
{
    (void)client;
    enum larder_result result = larder_set(cache, key, STORE_KEY_LEN, value, value_len, 0);
    if (result != LARDER_OK) {
        store_die("larder_set: %s", larder_result_text(result));
    }
}

void
store_fill_end(struct store_client *client)
{
    (void)client;
}

bool
store_set(struct store_client *client, const uint8_t *key, const void *value, size_t value_len)
{
    (void)client;
    return larder_set(cache, key, STORE_KEY_LEN, value, value_len, 0) == LARDER_OK;
}

size_t
store_get(struct store_client *client, const uint8_t *key, void *buf, size_t buf_cap)
{
    (void)client;
    size_t value_len = 0;
    enum larder_result result = larder_get(cache, key, STORE_KEY_LEN, buf, buf_cap, &value_len);
    return result == LARDER_OK ? value_len : 0;
}

void
store_get_batch(struct store_client *client, struct store_get *gets, unsigned count)
{
    (void)client;
    struct larder_get larder_gets[STORE_BATCH];
    for (unsigned i = 0; i < count; i++) {
        larder_gets[i] = (struct larder_get){
            .key = gets[i].key,
            .key_len = STORE_KEY_LEN,
            .buf = gets[i].buf,
            .buf_cap = STORE_VALUE_MAX,
        };
    }
    larder_get_batch(cache, larder_gets, count);
    for (unsigned i = 0; i < count; i++) {
        gets[i].value_len = larder_gets[i].result == LARDER_OK ? larder_gets[i].value_len : 0;
    }
}
