/*
 * One decoded command.  Keys and words are spans of the caller's receive buffer.
 *
 * `op` and `noreply` are always set, and of the other fields those that stand behind the op below;
 * the rest holds anything, so that a hot command need not clear half a kilobyte.
 */
#ifndef LARDER_PROTO_REQUEST_H
#define LARDER_PROTO_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"

struct span {
    const uint8_t *at;
    size_t len; /* bytes */
};

enum request_op {
    REQUEST_GET,  /* keys */
    REQUEST_GETS, /* keys */
    REQUEST_GAT,  /* exptime, keys */
    REQUEST_GATS, /* exptime, keys */
    REQUEST_SET,  /* key, flags, exptime, value_len, noreply */
    REQUEST_ADD,
    REQUEST_REPLACE,
    REQUEST_APPEND,
    REQUEST_PREPEND,
    REQUEST_CAS,    /* and cas */
    REQUEST_DELETE, /* key, noreply */
    REQUEST_INCR,   /* key, delta, noreply */
    REQUEST_DECR,
    REQUEST_TOUCH,          /* key, exptime, noreply */
    REQUEST_QUIT,           /* args */
    REQUEST_VERSION,        /* args */
    REQUEST_STATS,          /* args */
    REQUEST_FLUSH_ALL,      /* exptime (0 when absent), noreply */
    REQUEST_VERBOSITY,      /* args, noreply */
    REQUEST_CACHE_MEMLIMIT, /* args, noreply */
    REQUEST_SHUTDOWN,       /* args, noreply */
    REQUEST_REFRESH_CERTS,  /* args, noreply */
    REQUEST_SLABS,          /* args, noreply */
    REQUEST_LRU,            /* args, noreply */
    REQUEST_LRU_CRAWLER,    /* args, noreply */
    REQUEST_WATCH,          /* args */
    REQUEST_LARDER,         /* args, noreply */
    REQUEST_HOOK,           /* args */
    REQUEST_UNKNOWN_HTTP,   /* unknown command whose last word begins with "HTTP/": close without
                               reply */
    REQUEST_ERROR,          /* error, noreply, swallow */
};

/** What is wrong with a command line; the reply's text stands in text_write.c. */
enum request_error {
    REQUEST_ERR_UNKNOWN, /* ERROR */
    REQUEST_ERR_FORMAT,  /* CLIENT_ERROR bad command line format */
    REQUEST_ERR_EXPTIME, /* CLIENT_ERROR invalid exptime argument */
    REQUEST_ERR_DELTA,   /* CLIENT_ERROR invalid numeric delta argument */
    REQUEST_ERR_DELETE,  /* CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply] */
    /* of meta commands alone */
    REQUEST_ERR_META_OPTIONS,   /* CLIENT_ERROR options flags are too long */
    REQUEST_ERR_META_DUPLICATE, /* CLIENT_ERROR duplicate flag */
    REQUEST_ERR_META_FLAG,      /* CLIENT_ERROR invalid flag */
    REQUEST_ERR_META_TOKEN,     /* CLIENT_ERROR bad token in command line format */
    REQUEST_ERR_META_DELTA,     /* CLIENT_ERROR invalid numeric delta value */
    REQUEST_ERR_META_INITIAL,   /* CLIENT_ERROR invalid numeric initial value */
    REQUEST_ERR_META_KEY,       /* CLIENT_ERROR error decoding key */
    REQUEST_ERR_META_OPAQUE,    /* CLIENT_ERROR opaque token too long */
    REQUEST_ERR_META_MS_MODE,   /* CLIENT_ERROR invalid mode for ms M token */
    REQUEST_ERR_META_MA_MODE,   /* CLIENT_ERROR invalid mode for ma M token */
    REQUEST_ERR_META_MA,        /* CLIENT_ERROR invalid or duplicate flag */
};

struct request {
    enum request_op op;
    enum request_error error; /* with REQUEST_ERROR */
    bool noreply;
    bool keys_one;      /* get family: `keys` is one key of 1 to KEY_LEN_MAX bytes, for certain */
    uint32_t flags;     /* client flags */
    uint32_t value_len; /* bytes of the data block, its CR LF not counted */
    int64_t exptime;    /* as on the wire: 0, relative, absolute or negative */
    uint64_t cas;
    uint64_t delta;
    uint64_t swallow; /* with REQUEST_ERROR: bytes of data block (CR LF included) to skip after the
                         line */
    struct span key;
    struct span keys; /* get family, from the first key to the line end: text_next_key() walks it */
    /* Admin commands: the words after the command, the first ARGS_MAX of them.  A "noreply" is
     * among them: "verbosity noreply" has one word, and that word is no number. */
    struct span args[ARGS_MAX];
    unsigned args_count;
};

#endif
