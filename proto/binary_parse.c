#include "binary.h"

#include <assert.h>

/** What the rules of an opcode say of its parts: a bit for an empty one, a bit for any other. */
enum part {
    PART_NONE = 1,
    PART_SOME = 2, /* at least one byte */
    PART_ANY = 3,
};

/** One opcode's rules; an entry that is all zero stands for an unknown opcode. */
struct rule {
    bool known;
    uint8_t op; /* enum binary_op */
    bool quiet;
    uint8_t extras_len; /* bytes */
    bool extras_absent; /* or none */
    uint8_t key;        /* enum part */
    uint8_t value;      /* enum part */
};

#define RULE(name, is_quiet, extras, key_part, value_part)                               \
    {                                                                                    \
        .known = true, .op = BINARY_##name, .quiet = (is_quiet), .extras_len = (extras), \
        .key = PART_##key_part, .value = PART_##value_part,                              \
    }
#define LOUD(name, extras, key, value)  RULE(name, false, extras, key, value)
#define QUIET(name, extras, key, value) RULE(name, true, extras, key, value)
#define FLUSH_RULE(is_quiet)                                                     \
    {                                                                            \
        .known = true, .op = BINARY_FLUSH, .quiet = (is_quiet), .extras_len = 4, \
        .extras_absent = true, .key = PART_NONE, .value = PART_NONE,             \
    }

#define RULES_MAX 0x25u

/* Source: contract 1.9, the table of opcodes. */
static const struct rule rules[RULES_MAX] = {
    [0x00] = LOUD(GET, 0, SOME, NONE),
    [0x01] = LOUD(SET, 8, SOME, ANY),
    [0x02] = LOUD(ADD, 8, SOME, ANY),
    [0x03] = LOUD(REPLACE, 8, SOME, ANY),
    [0x04] = LOUD(DELETE, 0, SOME, NONE),
    [0x05] = LOUD(INCR, 20, SOME, NONE),
    [0x06] = LOUD(DECR, 20, SOME, NONE),
    [0x07] = LOUD(QUIT, 0, NONE, NONE),
    [0x08] = FLUSH_RULE(false),
    [0x09] = QUIET(GET, 0, SOME, NONE),
    [0x0a] = LOUD(NOOP, 0, NONE, NONE),
    [0x0b] = LOUD(VERSION, 0, NONE, NONE),
    [0x0c] = LOUD(GETK, 0, SOME, NONE),
    [0x0d] = QUIET(GETK, 0, SOME, NONE),
    [0x0e] = LOUD(APPEND, 0, SOME, ANY),
    [0x0f] = LOUD(PREPEND, 0, SOME, ANY),
    [0x10] = LOUD(STAT, 0, ANY, NONE),
    [0x11] = QUIET(SET, 8, SOME, ANY),
    [0x12] = QUIET(ADD, 8, SOME, ANY),
    [0x13] = QUIET(REPLACE, 8, SOME, ANY),
    [0x14] = QUIET(DELETE, 0, SOME, NONE),
    [0x15] = QUIET(INCR, 20, SOME, NONE),
    [0x16] = QUIET(DECR, 20, SOME, NONE),
    [0x17] = QUIET(QUIT, 0, NONE, NONE),
    [0x18] = FLUSH_RULE(true),
    [0x19] = QUIET(APPEND, 0, SOME, ANY),
    [0x1a] = QUIET(PREPEND, 0, SOME, ANY),
    [0x1c] = LOUD(TOUCH, 4, SOME, NONE),
    [0x1d] = LOUD(GAT, 4, SOME, NONE),
    [0x1e] = QUIET(GAT, 4, SOME, NONE),
    [0x20] = LOUD(SASL_LIST, 0, NONE, NONE),
    [0x21] = LOUD(SASL_AUTH, 0, SOME, ANY),
    [0x22] = LOUD(SASL_STEP, 0, SOME, ANY),
    [0x23] = LOUD(GATK, 4, SOME, NONE),
    [0x24] = QUIET(GATK, 4, SOME, NONE),
};

static inline uint32_t
read_u16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static inline uint32_t
read_u32(const uint8_t *at)
{
    return read_u16(at) << 16 | read_u16(at + 2);
}

static inline uint64_t
read_u64(const uint8_t *at)
{
    return (uint64_t)read_u32(at) << 32 | read_u32(at + 4);
}

static inline bool
part_fits(uint8_t part, uint32_t len)
{
    return (part & (len == 0 ? PART_NONE : PART_SOME)) != 0;
}

static enum parse_status
fail(struct cursor *cur, struct binary_request *out, enum binary_status error)
{
    out->op = BINARY_ERROR;
    out->error = error;
    out->value_len = 0;
    cur->at += BINARY_HEADER_LEN;
    return PARSE_DONE;
}

/** Source: contract 0.c. */
static enum parse_status
skip_unknown(struct cursor *cur, struct binary_request *out, uint32_t body_len)
{
    out->op = BINARY_UNKNOWN;
    out->value_len = body_len;
    cur->at += BINARY_HEADER_LEN;
    return PARSE_DONE;
}

/** Lengths are right, and the extras are there. */
static inline void
read_extras(struct binary_request *out, const uint8_t *at, uint32_t extras_len)
{
    switch (extras_len) {
    case 4:
        out->exptime = read_u32(at);
        break;
    case 8:
        out->flags = read_u32(at);
        out->exptime = read_u32(at + 4);
        break;
    case 20:
        out->delta = read_u64(at);
        out->initial = read_u64(at + 8);
        out->exptime = read_u32(at + 16);
        break;
    default:
        out->exptime = 0; /* a flush without a time */
        break;
    }
}

enum parse_status
binary_parse(struct cursor *cur, struct binary_request *out)
{
    assert(cur->at <= cur->end);
    size_t there = (size_t)(cur->end - cur->at);
    if (there < BINARY_HEADER_LEN) {
        return PARSE_MORE;
    }
    const uint8_t *header = cur->at;
    if (header[0] != BINARY_MAGIC) {
        out->op = BINARY_CLOSE;
        return PARSE_DONE;
    }
    uint32_t key_len = read_u16(header + 2);
    uint32_t extras_len = header[4];
    uint32_t body_len = read_u32(header + 8);
    out->quiet = false;
    out->echo.opcode = header[1];
    memcpy(&out->echo.opaque, header + 12, sizeof out->echo.opaque);
    out->cas = read_u64(header + 16);
    if (key_len + extras_len > body_len) {
        return fail(cur, out, BINARY_STATUS_UNKNOWN);
    }
    if (body_len > BINARY_BODY_LEN_MAX || key_len > KEY_LEN_MAX) {
        return fail(cur, out, BINARY_STATUS_INVALID);
    }
    const struct rule *rule = &rules[header[1] < RULES_MAX ? header[1] : 0];
    if (header[1] >= RULES_MAX || !rule->known) {
        return skip_unknown(cur, out, body_len);
    }
    uint32_t value_len = body_len - key_len - extras_len;
    if ((extras_len != rule->extras_len && !(rule->extras_absent && extras_len == 0)) ||
        !part_fits(rule->key, key_len) || !part_fits(rule->value, value_len)) {
        return fail(cur, out, BINARY_STATUS_INVALID);
    }
    if (there < BINARY_HEADER_LEN + extras_len + key_len) {
        return PARSE_MORE;
    }
    out->op = (enum binary_op)rule->op;
    out->quiet = rule->quiet;
    out->value_len = value_len;
    read_extras(out, header + BINARY_HEADER_LEN, extras_len);
    out->key.at = header + BINARY_HEADER_LEN + extras_len;
    out->key.len = key_len;
    cur->at = out->key.at + key_len;
    return PARSE_DONE;
}
