/*
 * The meta commands mg, ms, md, ma, mn and me: command lines to struct meta_request, replies to
 * bytes.
 *
 * A flag is a letter with a token behind it or not.  The parser reads all of them once: into a set
 * of letters, values, and the letters that the reply gives back, in the order of the request.
 */
#ifndef LARDER_PROTO_META_H
#define LARDER_PROTO_META_H

#include "base64.h"
#include "parse.h"
#include "reply.h"
#include "text.h"

enum meta_op {
    META_MG,    /* key, flags, returns; by flag: exptime, vivify_exptime, recache_s, cas, cas_new */
    META_MS,    /* the same, value_len, mode, client_flags; exptime always */
    META_MD,    /* as META_MG */
    META_MA,    /* as META_MG, and mode, delta, initial */
    META_MN,    /* nothing */
    META_ME,    /* key, flags: `b` at most */
    META_ERROR, /* error, swallow */
};

/** The M flag of ms and ma. */
enum meta_mode {
    META_MODE_SET,
    META_MODE_ADD,
    META_MODE_APPEND,
    META_MODE_PREPEND,
    META_MODE_REPLACE,
    META_MODE_INCR,
    META_MODE_DECR,
};

#define META_RETURNS_MAX   8u                      /* s t c l f h k O */
#define META_KEY_BYTES_MAX (KEY_LEN_MAX / 4u * 3u) /* of a key in base64, decoded */

/** The bit of a flag's letter, 'A' to 'z', in meta_request.flags. */
#define META_FLAG(letter) ((uint64_t)1 << ((letter) - 'A'))

/**
 * One decoded meta command.  Set are `op` and what stands behind it above; a value that comes "by
 * flag" only if the request has that flag.
 *
 * Not to be copied: `key` may point to `key_bytes`.  The other spans lie in the receive buffer.
 */
struct meta_request {
    enum meta_op op;
    enum request_error error;
    uint64_t flags;     /* META_FLAG() of each letter given; see meta_has() */
    struct span key;    /* decoded, if there is a `b` */
    struct span opaque; /* O: what stands behind the letter, up to META_OPAQUE_MAX bytes */
    uint8_t returns[META_RETURNS_MAX]; /* letters that a full reply gives back, in request order */
    uint8_t returns_count;
    /* Both are there, in this order: what stands first does not know of the other. */
    bool ttl_before_touch;     /* t, T */
    bool ttl_before_vivify;    /* t, N */
    bool recache_before_touch; /* R, T */
    bool vivify_before_touch;  /* N, T */
    uint8_t mode;              /* enum meta_mode; set or increment if there is no M */
    uint32_t value_len;        /* bytes of the data block, its CR LF not counted */
    uint32_t client_flags;     /* F; else 0 */
    int64_t exptime;           /* T, as on the wire; ms: else 0 */
    int64_t vivify_exptime;    /* N, as on the wire */
    int64_t recache_s;         /* R: seconds */
    uint64_t cas;              /* C: the id that the item must have */
    uint64_t cas_new;          /* E: the id that it gets */
    uint64_t delta;            /* D; else 1 */
    uint64_t initial;          /* J; else 0 */
    uint64_t swallow;          /* bytes of data block (CR LF included) to skip after the line */
    uint8_t key_bytes[META_KEY_BYTES_MAX];
};

/** Whether the request has the flag; a constant letter costs one test. */
static inline bool
meta_has(const struct meta_request *request, char letter)
{
    return (request->flags & META_FLAG(letter)) != 0;
}

/**
 * Whether a line that begins so is for meta_parse(): one of the six names, then a space or CR LF.
 *
 * While that cannot be told yet the line has no LF either, so text_parse() answers PARSE_MORE; and
 * it answers for "mg\n" and the like, which are too short to be lines.
 */
static inline bool
meta_is_command(const uint8_t *bytes, size_t len)
{
    if (len < LINE_LEN_MIN || bytes[0] != 'm') {
        return false;
    }
    switch (bytes[1]) {
    case 'g':
    case 's':
    case 'd':
    case 'a':
    case 'n':
    case 'e':
        return bytes[2] == ' ' || (bytes[2] == '\r' && bytes[3] == '\n');
    default:
        return false;
    }
}

/**
 * Parses one line, and steps behind its line end.
 *
 * PARSE_DONE  `out` holds a command or, with META_ERROR, what is wrong with the line; errors are
 *             told whether the line has a `q` or not
 * PARSE_MORE  no LF yet; nothing moved, `out` does not count
 * Never answers PARSE_BAD.
 *
 * cur   borrowed; meta_is_command() has said yes to its bytes
 *
 * Of several errors in the flags the last is told, that of F if there is no other; but one in a
 * flag's letter (unknown, doubled) ends the search.  So it was seen live.
 *
 * Source: contract 1.7.
 */
enum parse_status meta_parse(struct cursor *cur, struct meta_request *out) PARSE_MUST_CHECK;

enum meta_result {
    META_HD,
    META_VA, /* HD, with the value's length; the value and its CR LF are the caller's */
    META_EN,
    META_NS,
    META_EX,
    META_NF,
};

#define META_KEY_MAX (1u + 1u + BASE64_LEN(KEY_LEN_MAX) + 2u) /* bytes: " k<base64> b" */
/* A head without values of the item: " k", " O", line end. */
#define META_MISS_MAX (2u + META_KEY_MAX + (2u + META_OPAQUE_MAX) + 2u)
/* Any head: "VA <len>", s, t, c, l, f, h, W, X, Z. */
#define META_HEAD_MAX (META_MISS_MAX + 11u + 12u + 22u + 22u + 22u + 12u + 3u + 6u)

/** "VA <len>", for a request without flags to give back: as meta_write_head() of an item without
 * marks. */
uint8_t *meta_write_value_head(uint8_t *at, uint32_t value_len);

/**
 * Writes a head: the result, the flags that it gives back, and Z, X, W where the item has them.
 * META_HEAD_MAX bytes at most; without an item, or if the item does not count, META_MISS_MAX.
 *
 * request   op, flags, returns, key and opaque count.  Whether `q` hides the reply is the caller's
 *           business
 * item      NULL, or what HD and VA tell; to the answers of ms `cas` (0 if nothing was stored) and
 *           `value_len` (the request's, if nothing was stored) count whatever the result.  NULL
 *           gives the flags that need no item: O and k
 *
 * Source: contract 1.7.
 */
uint8_t *meta_write_head(uint8_t *at, const struct meta_request *request, enum meta_result result,
                         const struct reply_item *item);

#define META_NUMBER_MAX (META_HEAD_MAX + TEXT_NUMBER_MAX) /* bytes */
/** The answer of ma with `v`: "VA <len> <flags>\r\n<number>\r\n"; item->value_len does not count.
 */
uint8_t *meta_write_number(uint8_t *at, const struct meta_request *request, uint64_t number,
                           const struct reply_item *item);

#define META_ME_MAX \
    (3u + BASE64_LEN(KEY_LEN_MAX) + 5u + 20u + 4u + 20u + 5u + 20u + 10u + 5u + 10u + 6u + 20u + 2u)
/**
 * The answer of me: "ME <key> exp=<left> la=<idle> cas=<cas> fetch=<yes|no> cls=<id> size=<bytes>".
 *
 * item        ttl_s, idle_s, cas, fetched and key_binary count
 * class_id    of the item's chunk
 * item_size   bytes that the item takes
 */
uint8_t *meta_write_me(uint8_t *at, struct span key, const struct reply_item *item,
                       unsigned class_id, uint64_t item_size);

#endif
