/* Values that tell by themselves whose they are. */
#include "config.h"

#include "bench/load/value.h"

#include "bench/load/random.h"

#include <assert.h>
#include <string.h>

/* A prime, so that no shift by whole pages or chunks looks right; small, to stay in the first
 * cache. */
#define PERIOD 4093u

/* Twice, so that each place has PERIOD bytes behind it. */
static uint8_t pattern[2 * PERIOD];

void
value_prepare(void)
{
    uint64_t random = 20;
    for (unsigned i = 0; i < PERIOD; i++) {
        pattern[i] = (uint8_t)random_next(&random);
        pattern[PERIOD + i] = pattern[i];
    }
}

static uint32_t
place_of(uint64_t hash, uint16_t version)
{
    return (uint32_t)(((hash >> 20) ^ (version * 2654435761u)) % PERIOD);
}

static uint16_t
sum_of(uint64_t hash, uint16_t version, uint32_t len)
{
    return (uint16_t)(random_mix(hash + ((uint64_t)version << 32) + len) >> 48);
}

void
value_write(uint8_t *at, uint64_t hash, uint16_t version, uint32_t len)
{
    uint32_t done = 0;
    uint32_t place = place_of(hash, 0);
    if (len >= VALUE_HEADER_LEN) {
        memcpy(at, &hash, 8);
        uint16_t sum = sum_of(hash, version, len);
        memcpy(at + 8, &version, 2);
        memcpy(at + 10, &sum, 2);
        memcpy(at + 12, &len, 4);
        done = VALUE_HEADER_LEN;
        place = place_of(hash, version);
    }
    while (done < len) {
        uint32_t run = len - done < PERIOD ? len - done : PERIOD;
        memcpy(at + done, pattern + (place + done) % PERIOD, run);
        done += run;
    }
}

void
value_check_begin(struct value_check *check, uint64_t hash, uint32_t len)
{
    check->hash = hash;
    check->len = len;
    check->at = 0;
    check->place = place_of(hash, 0);
    check->verdict = VALUE_RIGHT;
}

/** The header is whole: whose value this is, and where in the pattern it goes on. */
static void
judge_header(struct value_check *check)
{
    uint64_t hash;
    uint16_t version, sum;
    uint32_t len;
    memcpy(&hash, check->header, 8);
    memcpy(&version, check->header + 8, 2);
    memcpy(&sum, check->header + 10, 2);
    memcpy(&len, check->header + 12, 4);
    if (len != check->len || sum != sum_of(hash, version, len)) {
        check->verdict = VALUE_WRONG;
    } else if (hash != check->hash) {
        check->verdict = VALUE_FOREIGN;
    }
    check->place = place_of(hash, version);
}

void
value_check_bytes(struct value_check *check, const uint8_t *bytes, size_t len)
{
    assert(len <= check->len - check->at);
    if (check->len >= VALUE_HEADER_LEN && check->at < VALUE_HEADER_LEN) {
        uint32_t missing = VALUE_HEADER_LEN - check->at;
        uint32_t take = len < missing ? (uint32_t)len : missing;
        memcpy(check->header + check->at, bytes, take);
        check->at += take;
        bytes += take;
        len -= take;
        if (check->at < VALUE_HEADER_LEN) {
            return;
        }
        judge_header(check);
    }
    while (len > 0) {
        uint32_t run = len < PERIOD ? (uint32_t)len : PERIOD;
        if (memcmp(bytes, pattern + (check->place + check->at) % PERIOD, run) != 0) {
            check->verdict = VALUE_WRONG;
        }
        check->at += run;
        bytes += run;
        len -= run;
    }
}
