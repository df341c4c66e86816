/* What a careful host writes by itself: GLib's GHashTable under a mutex.
 *
 * Key and value share one block, and the table is used as a set of these, so that it keeps one
 * pointer per item.  Values are copied out under the lock, since another thread may free them after
 * it; a batch takes the lock once.  It has no limit, no lifetimes and no eviction.
 */
#include "bench/embed/store.h"

#include <glib.h>
#include <string.h>

struct entry {
    char key[STORE_KEY_LEN + 1]; /* first: the table's functions for strings read it */
    uint32_t value_len;
    uint8_t value[];
};

static GHashTable *table;
static GMutex mutex;

void
store_open(uint64_t items, size_t value_len, const char *address)
{
    (void)items;
    (void)value_len;
    (void)address;
    table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

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
    (void)store_set(client, key, value, value_len);
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
    struct entry *entry = g_malloc(sizeof(*entry) + value_len);
    memcpy(entry->key, key, STORE_KEY_LEN);
    entry->key[STORE_KEY_LEN] = '\0';
    entry->value_len = (uint32_t)value_len;
    memcpy(entry->value, value, value_len);
    g_mutex_lock(&mutex);
    (void)g_hash_table_add(table, entry);
    g_mutex_unlock(&mutex);
    return true;
}

/** The caller holds the mutex. */
static size_t
copy_value(const uint8_t *key, void *buf, size_t buf_cap)
{
    char text[STORE_KEY_LEN + 1];
    memcpy(text, key, STORE_KEY_LEN);
    text[STORE_KEY_LEN] = '\0';
    const struct entry *entry = g_hash_table_lookup(table, text);
    if (entry == NULL || entry->value_len > buf_cap) {
        return 0;
    }
    memcpy(buf, entry->value, entry->value_len);
    return entry->value_len;
}

size_t
store_get(struct store_client *client, const uint8_t *key, void *buf, size_t buf_cap)
{
    (void)client;
    g_mutex_lock(&mutex);
    size_t value_len = copy_value(key, buf, buf_cap);
    g_mutex_unlock(&mutex);
    return value_len;
}

void
store_get_batch(struct store_client *client, struct store_get *gets, unsigned count)
{
    (void)client;
    g_mutex_lock(&mutex);
    for (unsigned i = 0; i < count; i++) {
        gets[i].value_len = copy_value(gets[i].key, gets[i].buf, STORE_VALUE_MAX);
    }
    g_mutex_unlock(&mutex);
}
