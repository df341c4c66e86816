/*
 * The binary protocol: packet headers to struct binary_request, replies to bytes.
 *
 *     offset  size  request                            response
 *     0       1     magic 0x80                         0x81
 *     1       1     opcode                             the same
 *     2       2     key length                         the same
 *     4       1     extras length                      the same
 *     5       1     data type, ignored                 0
 *     6       2     vbucket, ignored                   status
 *     8       4     body length: extras, key, value    the same
 *     12      4     opaque                             the request's
 *     16      8     CAS id                             the same
 *     24            extras, key, value                 the same
 *
 * Numbers are big-endian.
 */
#ifndef LARDER_PROTO_BINARY_H
#define LARDER_PROTO_BINARY_H

#include "parse.h"

#define BINARY_MAGIC      0x80u
#define BINARY_HEADER_LEN 24u
#define BINARY_EXTRAS_MAX 20u
/* Bytes of a request that must lie in one piece: all but the value. */
#define BINARY_REQUEST_MAX (BINARY_HEADER_LEN + BINARY_EXTRAS_MAX + KEY_LEN_MAX)

/* INCR, DECR: the time that forbids to create the item. */
#define BINARY_NO_CREATE 0xffffffffu

enum binary_op {
    BINARY_GET,
    BINARY_GETK,
    BINARY_SET, /* flags, exptime, value_len */
    BINARY_ADD,
    BINARY_REPLACE,
    BINARY_DELETE,
    BINARY_INCR, /* delta, initial, exptime (or BINARY_NO_CREATE) */
    BINARY_DECR,
    BINARY_QUIT,
    BINARY_FLUSH, /* exptime, 0 when absent */
    BINARY_NOOP,
    BINARY_VERSION,
    BINARY_APPEND, /* value_len */
    BINARY_PREPEND,
    BINARY_STAT,  /* key, which may be empty */
    BINARY_TOUCH, /* exptime */
    BINARY_GAT,
    BINARY_GATK,
    BINARY_SASL_LIST,
    BINARY_SASL_AUTH, /* key: the mechanism; value_len */
    BINARY_SASL_STEP,
    BINARY_UNKNOWN, /* answer BINARY_STATUS_UNKNOWN and skip value_len bytes, the whole body */
    BINARY_ERROR,   /* answer `error`, then close */
    BINARY_CLOSE,   /* wrong magic: close without an answer */
};

enum binary_status {
    BINARY_STATUS_OK = 0x00,
    BINARY_STATUS_NOT_FOUND = 0x01,
    BINARY_STATUS_EXISTS = 0x02,
    BINARY_STATUS_TOO_LARGE = 0x03,
    BINARY_STATUS_INVALID = 0x04,
    BINARY_STATUS_NOT_STORED = 0x05,
    BINARY_STATUS_NOT_NUMBER = 0x06,
    BINARY_STATUS_AUTH_ERROR = 0x20,
    BINARY_STATUS_AUTH_CONTINUE = 0x21,
    BINARY_STATUS_UNKNOWN = 0x81,
    BINARY_STATUS_NO_MEMORY = 0x82,
};

/** What a reply repeats of its request; small, to be kept while a value is received. */
struct binary_echo {
    uint32_t opaque; /* as on the wire: its byte order means nothing to us */
    uint8_t opcode;
};

/**
 * One decoded request.  `op`, `quiet`, `echo`, `cas` and `value_len` are always set (but for
 * BINARY_CLOSE), `key` for all but BINARY_UNKNOWN and BINARY_ERROR, the rest as the op says.
 */
struct binary_request {
    enum binary_op op;
    enum binary_status error; /* with BINARY_ERROR */
    bool quiet;               /* the Q variant: no answer to success, or to a get's miss */
    struct binary_echo echo;
    uint32_t value_len; /* bytes that follow the key; not 0 for ops with a value alone */
    uint32_t flags;     /* client flags */
    uint32_t exptime;   /* 0, relative or absolute */
    uint64_t cas;       /* 0 for none */
    uint64_t delta;
    uint64_t initial;
    struct span key; /* in the receive buffer */
};

/**
 * Parses one request up to its value, and steps behind its key.
 *
 * PARSE_DONE  `out` is set; the cursor stands before value_len bytes of value or, with
 *             BINARY_UNKNOWN, of body.  With BINARY_ERROR it stands behind the header
 * PARSE_MORE  fewer bytes than header, extras and key; nothing moved
 * Never answers PARSE_BAD: a bad header is a request with an error to reply.  It is told as soon as
 * the header is there.
 *
 * The rules, the first that is broken counts:
 *
 *     the magic is BINARY_MAGIC                              close, without an answer
 *     extras and key fit the body                            BINARY_STATUS_UNKNOWN, close
 *     the body is BINARY_BODY_LEN_MAX at most                BINARY_STATUS_INVALID, close
 *     the key is KEY_LEN_MAX at most                         BINARY_STATUS_INVALID, close
 *     the opcode is known                                    BINARY_STATUS_UNKNOWN, go on
 *     extras, key and value are as long as the opcode wants  BINARY_STATUS_INVALID, close
 *
 * SASL ops are parsed whether SASL is on or not, and without a bound on the mechanism
 * (BINARY_MECH_LEN_MAX): both are the caller's.
 *
 * Source: contract 1.9, 0.c.
 */
enum parse_status binary_parse(struct cursor *cur, struct binary_request *out) PARSE_MUST_CHECK;

/* Writers put bytes at `at` and return the place behind them. */

/** The header alone; body_len counts extras, key and value. */
uint8_t *binary_write_header(uint8_t *at, struct binary_echo echo, enum binary_status status,
                             size_t key_len, size_t extras_len, size_t body_len, uint64_t cas);

#define BINARY_OK_MAX BINARY_HEADER_LEN /* bytes */
/** Success without a body: stores, delete, noop, flush, quit. */
uint8_t *binary_write_ok(uint8_t *at, struct binary_echo echo, uint64_t cas);

#define BINARY_VALUE_HEAD_MAX (BINARY_HEADER_LEN + 4u + KEY_LEN_MAX) /* bytes */
/**
 * The hit of a get or gat, up to its value, which is the caller's; and that of a touch, whose value
 * is empty.
 *
 * key   empty unless the op gives it back: GETK and GATK
 */
uint8_t *binary_write_value_head(uint8_t *at, struct binary_echo echo, struct span key,
                                 uint32_t flags, size_t value_len, uint64_t cas);

#define BINARY_NUMBER_MAX (BINARY_HEADER_LEN + 8u) /* bytes */
/** The new number of INCR and DECR. */
uint8_t *binary_write_number(uint8_t *at, struct binary_echo echo, uint64_t number, uint64_t cas);

/** A body of text: VERSION, SASL, errors with a text of their own.  BINARY_HEADER_LEN and the
 * text's bytes. */
uint8_t *binary_write_text(uint8_t *at, struct binary_echo echo, enum binary_status status,
                           struct span text);

#define BINARY_ERROR_MAX (BINARY_HEADER_LEN + 48u) /* bytes */
/** An error with its default text. */
uint8_t *binary_write_error(uint8_t *at, struct binary_echo echo, enum binary_status status);

/** The miss of GETK and GATK: "not found" with the key.  BINARY_HEADER_LEN + KEY_LEN_MAX bytes at
 * most. */
uint8_t *binary_write_key_miss(uint8_t *at, struct binary_echo echo, struct span key);

#endif
