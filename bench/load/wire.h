/*
 * The three protocols from the client's side: requests as bytes, and the heads of replies (all but
 * a value's bytes) as a struct.  Pure: no socket, no state.
 *
 *                 text              meta                        binary
 *     one key     get KEY           mg KEY v                    GET
 *     more        get KEY KEY..     mg KEY k q v .. mn          GETKQ .. NOOP
 *     store       set               ms KEY LEN T                SET
 *     delete      delete            md KEY                      DELETE
 */
#ifndef LARDER_BENCH_LOAD_WIRE_H
#define LARDER_BENCH_LOAD_WIRE_H

#include "proto/parse.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_protocol {
    WIRE_TEXT,
    WIRE_META,
    WIRE_BINARY,
};

/* Bytes of a request besides keys and value, per key; and of a reply's head. */
#define WIRE_REQUEST_EXTRA 64u
#define WIRE_HEAD_MAX      512u

enum wire_kind {
    WIRE_VALUE,   /* value_len bytes follow, then wire_tail_len(); `key` where the reply has it */
    WIRE_MISS,    /* no such key */
    WIRE_DONE,    /* stored, deleted */
    WIRE_END,     /* of the replies to one get, see wire_has_end() */
    WIRE_REFUSED, /* not stored */
    WIRE_ERROR,   /* `text` says which */
};

struct wire_head {
    enum wire_kind kind;
    uint32_t value_len;
    struct span key;  /* empty where the reply does not repeat it */
    struct span text; /* of an error */
};

/** Whether WIRE_END concludes a get of `keys` keys; otherwise its one reply does. */
static inline bool
wire_has_end(enum wire_protocol protocol, unsigned keys)
{
    return protocol == WIRE_TEXT || keys > 1;
}

/** Bytes between a value and the next reply: a line end or nothing. */
static inline unsigned
wire_tail_len(enum wire_protocol protocol)
{
    return protocol == WIRE_BINARY ? 0 : 2;
}

/* Writers put bytes at `at` and return the place behind them.  A get is its begin, its keys, its
 * end; `more` means more than one key. */

uint8_t *wire_get_begin(enum wire_protocol protocol, uint8_t *at);
uint8_t *wire_get_key(enum wire_protocol protocol, uint8_t *at, struct span key, bool more);
uint8_t *wire_get_end(enum wire_protocol protocol, uint8_t *at, bool more);
/** Up to the value, which wire_tail_len() bytes follow: wire_set_tail(). */
uint8_t *wire_set_head(enum wire_protocol protocol, uint8_t *at, struct span key,
                       uint32_t value_len, uint32_t ttl);
uint8_t *wire_set_tail(enum wire_protocol protocol, uint8_t *at);
uint8_t *wire_delete(enum wire_protocol protocol, uint8_t *at, struct span key);

/**
 * Parses a reply's head, and steps behind it.
 *
 * PARSE_MORE  it is not whole; nothing moved
 * PARSE_BAD   it is none, or longer than WIRE_HEAD_MAX
 */
enum parse_status wire_parse(enum wire_protocol protocol, struct cursor *cur,
                             struct wire_head *head) PARSE_MUST_CHECK;

#endif
