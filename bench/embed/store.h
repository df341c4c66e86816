/* What bench/library compares: maps from keys to values, one program for each.
 *
 * main.c asks, in the same way of all; store_X.c answers.  A store holds every item that it is
 * given: one that loses an item ends the program.
 */
#ifndef LARDER_BENCH_EMBED_STORE_H
#define LARDER_BENCH_EMBED_STORE_H

#include "bench/embed/key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_KEY_LEN   KEY_LETTERS
#define STORE_VALUE_MAX 4096u /* bytes */
#define STORE_BATCH     16u   /* keys of one store_get_batch() */

/** One thread's way to the store. */
struct store_client;

/** One key of store_get_batch(). */
struct store_get {
    uint8_t key[STORE_KEY_LEN];
    uint8_t *buf;     /* of the store's value_len */
    size_t value_len; /* out; 0 for a miss */
};

/**
 * Opens the one store of this program, with room for `items` values of `value_len` bytes.
 *
 * address   of a server's socket; NULL for a store in this process
 */
void store_open(uint64_t items, size_t value_len, const char *address);

struct store_client *store_client_open(void);
void store_client_close(struct store_client *client);

/** Stores a value that nobody asks for yet; as fast as the store takes it. */
void store_fill(struct store_client *client, const uint8_t *key, const void *value,
                size_t value_len);

/** All that was filled is there. */
void store_fill_end(struct store_client *client);

bool store_set(struct store_client *client, const uint8_t *key, const void *value,
               size_t value_len);

/** Copies the value; its length, 0 for a miss. */
size_t store_get(struct store_client *client, const uint8_t *key, void *buf, size_t buf_cap);

void store_get_batch(struct store_client *client, struct store_get *gets, unsigned count);

/** Ends the program with a message. */
_Noreturn void store_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
