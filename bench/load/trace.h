/*
 * A trace: requests as they came to some cache, one a line.
 *
 *     KEY [KEY_LEN [VALUE_LEN [TTL [OP]]]]
 *
 *     KEY        any word up to 250 bytes; the same word is the same object
 *     KEY_LEN    bytes on the wire, the word being padded by '#'; an object's first line counts.
 *                '-' or absent: as --key-size says
 *     VALUE_LEN  bytes; '-' or absent: as --value-size says
 *     TTL        seconds; 0, '-' or absent: --ttl
 *     OP         get (the default; a miss is followed by a set), set or delete
 *
 * A line that is empty or begins with '#' counts for nothing.
 */
#ifndef LARDER_BENCH_LOAD_TRACE_H
#define LARDER_BENCH_LOAD_TRACE_H

#include "proto/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_REQUESTS_MAX 200000000u
#define TRACE_LINE_MAX     1024u /* bytes, line end included */
#define TRACE_ERROR_CAP    256u  /* bytes of a text with what is wrong, NUL included */
#define TRACE_LEN_ABSENT   UINT32_MAX

enum trace_op {
    TRACE_GET,
    TRACE_SET,
    TRACE_DELETE,
};

struct trace_request {
    uint32_t object;
    uint32_t value_len; /* or TRACE_LEN_ABSENT */
    uint32_t ttl;       /* 0 for --ttl's */
    uint8_t op;         /* enum trace_op */
};

struct trace_object {
    uint64_t hash;
    uint64_t word_at; /* in words */
    uint8_t word_len;
    uint8_t key_len; /* at least word_len; 0 if absent */
};

/** Constant once loaded. */
struct trace {
    struct trace_request *requests;
    size_t requests_count, requests_cap;
    struct trace_object *objects;
    uint32_t objects_count, objects_cap;
    uint8_t *words;
    size_t words_len, words_cap;
    uint32_t *index; /* object + 1 by hash, 0 for none; a power of two long, half of it used */
    size_t index_cap;
};

/**
 * Loads a file, or the standard input for "-".
 *
 * error   out, TRACE_ERROR_CAP bytes: on false, what is wrong, and in which line
 */
bool trace_load(struct trace *trace, const char *name, char *error);
void trace_fini(struct trace *trace);

/** One line, its end not counted.  False with `error` set when it is no request. */
bool trace_add_line(struct trace *trace, const char *line, size_t len, char *error);

#endif
