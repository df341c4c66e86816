/*
 * Values that tell by themselves whose they are, and whether each byte is right.
 *
 *     offset  size  meaning
 *     0       8     hash of the key, in the machine's byte order
 *     8       2     version: any number, another one for each store
 *     10      2     check sum of hash, version and length
 *     12      4     length of the value
 *     16            a pattern, from a place on that key and version choose
 *
 * Values shorter than the header are pattern alone, from a place that the key chooses.
 */
#ifndef LARDER_BENCH_LOAD_VALUE_H
#define LARDER_BENCH_LOAD_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VALUE_HEADER_LEN 16u
#define VALUE_LEN_MAX    (64u << 20) /* bytes */

enum value_verdict {
    VALUE_RIGHT,
    VALUE_FOREIGN, /* whole, but another key's */
    VALUE_WRONG,
};

/** A check of one value, whose bytes come in pieces. */
struct value_check {
    uint64_t hash;  /* of the key that was asked for */
    uint32_t len;   /* as the reply says */
    uint32_t at;    /* bytes checked */
    uint32_t place; /* in the pattern, of the value's first byte */
    enum value_verdict verdict;
    uint8_t header[VALUE_HEADER_LEN];
};

/** Makes the pattern.  Before everything else here, once, in one thread. */
void value_prepare(void);

/** Writes `len` bytes at `at`. */
void value_write(uint8_t *at, uint64_t hash, uint16_t version, uint32_t len);

void value_check_begin(struct value_check *check, uint64_t hash, uint32_t len);
/** The next bytes, not more than are left. */
void value_check_bytes(struct value_check *check, const uint8_t *bytes, size_t len);

#endif
