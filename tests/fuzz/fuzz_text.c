/*
 * Command lines of the classic text protocol.
 *
 * The input is a stream of lines.  Each is parsed where it lies and then again in other guises,
 * which all must say the same: alone in memory of just its length, cut off anywhere (ask for more),
 * without its CR, and with doubled spaces, which lead from the hot way of the parser to the slow.
 */
#include "proto/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CUTS_MAX 80u   /* places of one line at which it is cut off; more only tire the fuzzer */
#define KEYS_MAX 4096u /* keys of one line that are compared */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool
same_bytes(struct span a, struct span b)
{
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

static void
check_inside(struct span span, const uint8_t *line, const uint8_t *lf)
{
    assert(span.at >= line && span.at <= lf && span.len <= (size_t)(lf - span.at));
    assert(memchr(span.at, '\n', span.len) == NULL);
}

static void
check_key(struct span key, const uint8_t *line, const uint8_t *lf)
{
    check_inside(key, line, lf);
    assert(key.len >= 1 && key.len <= KEY_LEN_MAX);
    assert(memchr(key.at, ' ', key.len) == NULL);
}

static void
check_keys(struct span keys, const uint8_t *line, const uint8_t *lf)
{
    struct span key;
    struct span before = keys;
    enum parse_status status;
    check_inside(keys, line, lf);
    assert(keys.len >= 1 && *keys.at != ' ');
    while ((status = text_next_key(&keys, &key)) == PARSE_DONE) {
        check_key(key, line, lf);
        /* The cut is exact: a space or nothing on either side. */
        assert(key.at == before.at || key.at[-1] == ' ');
        assert(keys.at == key.at + key.len && (keys.len == 0 || *keys.at == ' '));
        assert(keys.at + keys.len == before.at + before.len);
    }
    if (status == PARSE_BAD) {
        const uint8_t *at = keys.at;
        while (*at == ' ') {
            at++;
        }
        assert((size_t)(keys.at + keys.len - at) > KEY_LEN_MAX);
        assert(memchr(at, ' ', KEY_LEN_MAX + 1) == NULL);
    }
}

/** What holds for a request however it came about. */
static void
check_request(const struct request *got, const uint8_t *line, const uint8_t *lf)
{
    switch (got->op) {
    case REQUEST_GET:
    case REQUEST_GETS:
    case REQUEST_GAT:
    case REQUEST_GATS:
        assert(!got->noreply);
        check_keys(got->keys, line, lf);
        if (got->keys_one) {
            check_key(got->keys, line, lf);
        }
        break;
    case REQUEST_SET:
    case REQUEST_ADD:
    case REQUEST_REPLACE:
    case REQUEST_APPEND:
    case REQUEST_PREPEND:
    case REQUEST_CAS:
        assert(got->value_len <= VALUE_LEN_LIMIT);
        check_key(got->key, line, lf);
        break;
    case REQUEST_DELETE:
    case REQUEST_INCR:
    case REQUEST_DECR:
    case REQUEST_TOUCH:
        check_key(got->key, line, lf);
        break;
    case REQUEST_FLUSH_ALL:
        break;
    case REQUEST_QUIT:
    case REQUEST_VERSION:
    case REQUEST_STATS:
    case REQUEST_WATCH:
    case REQUEST_HOOK:
        assert(!got->noreply);
        /* fall through */
    case REQUEST_VERBOSITY:
    case REQUEST_CACHE_MEMLIMIT:
    case REQUEST_SHUTDOWN:
    case REQUEST_REFRESH_CERTS:
    case REQUEST_SLABS:
    case REQUEST_LRU:
    case REQUEST_LRU_CRAWLER:
        assert(got->args_count <= ARGS_MAX);
        for (unsigned i = 0; i < got->args_count; i++) {
            check_inside(got->args[i], line, lf);
            assert(got->args[i].len >= 1);
        }
        break;
    case REQUEST_UNKNOWN_HTTP:
        assert(!got->noreply);
        break;
    case REQUEST_ERROR:
        assert(text_error_reply(got->error).len > 2);
        assert(got->swallow <= (uint64_t)VALUE_LEN_LIMIT + 2 && got->swallow != 1);
        assert(got->swallow == 0 || got->error == REQUEST_ERR_FORMAT);
        assert(!(got->noreply && got->error == REQUEST_ERR_UNKNOWN));
        break;
    }
}

static void
check_same_keys(struct span a, struct span b)
{
    for (unsigned i = 0; i < KEYS_MAX; i++) {
        struct span key_a;
        struct span key_b;
        enum parse_status status = text_next_key(&a, &key_a);
        assert(text_next_key(&b, &key_b) == status);
        if (status != PARSE_DONE) {
            break;
        }
        assert(same_bytes(key_a, key_b));
    }
}

static void
check_same(const struct request *a, const struct request *b)
{
    assert(a->op == b->op && a->noreply == b->noreply);
    switch (a->op) {
    case REQUEST_GAT:
    case REQUEST_GATS:
        assert(a->exptime == b->exptime);
        check_same_keys(a->keys, b->keys);
        break;
    case REQUEST_GET:
    case REQUEST_GETS:
        check_same_keys(a->keys, b->keys);
        break;
    case REQUEST_CAS:
        assert(a->cas == b->cas);
        /* fall through */
    case REQUEST_SET:
    case REQUEST_ADD:
    case REQUEST_REPLACE:
    case REQUEST_APPEND:
    case REQUEST_PREPEND:
        assert(a->flags == b->flags && a->exptime == b->exptime && a->value_len == b->value_len);
        assert(same_bytes(a->key, b->key));
        break;
    case REQUEST_INCR:
    case REQUEST_DECR:
        assert(a->delta == b->delta && same_bytes(a->key, b->key));
        break;
    case REQUEST_TOUCH:
        assert(a->exptime == b->exptime && same_bytes(a->key, b->key));
        break;
    case REQUEST_DELETE:
        assert(same_bytes(a->key, b->key));
        break;
    case REQUEST_FLUSH_ALL:
        assert(a->exptime == b->exptime);
        break;
    case REQUEST_QUIT:
    case REQUEST_VERSION:
    case REQUEST_STATS:
    case REQUEST_WATCH:
    case REQUEST_HOOK:
    case REQUEST_VERBOSITY:
    case REQUEST_CACHE_MEMLIMIT:
    case REQUEST_SHUTDOWN:
    case REQUEST_REFRESH_CERTS:
    case REQUEST_SLABS:
    case REQUEST_LRU:
    case REQUEST_LRU_CRAWLER:
        assert(a->args_count == b->args_count);
        for (unsigned i = 0; i < a->args_count; i++) {
            assert(same_bytes(a->args[i], b->args[i]));
        }
        break;
    case REQUEST_UNKNOWN_HTTP:
        break;
    case REQUEST_ERROR:
        assert(a->error == b->error && a->swallow == b->swallow);
        break;
    }
}

/** Parses a whole line that lies in memory of its own; frees that. */
static void
check_guise(uint8_t *line, size_t len, const struct request *want)
{
    struct request got;
    memset(&got, 0xa5, sizeof got);
    struct cursor cur = { line, line + len };
    enum parse_status status = text_parse(&cur, &got);
    assert(status == PARSE_DONE);
    assert(cur.at == line + len);
    check_request(&got, line, line + len - 1);
    check_same(&got, want);
    free(line);
}

static void
check_cut(const uint8_t *line, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert(copy != NULL);
    memcpy(copy, line, len);
    struct request got;
    struct cursor cur = { copy, copy + len };
    enum parse_status status = text_parse(&cur, &got);
    assert(status == PARSE_MORE);
    assert(cur.at == copy && cur.end == copy + len);
    free(copy);
}

static void
check_guises(const uint8_t *line, size_t len, const struct request *want)
{
    uint8_t *alone = malloc(len);
    uint8_t *doubled = malloc(len * 2);
    assert(alone != NULL && doubled != NULL);
    memcpy(alone, line, len);
    size_t doubled_len = 0;
    for (size_t i = 0; i < len; i++) {
        doubled[doubled_len++] = line[i];
        if (line[i] == ' ') {
            doubled[doubled_len++] = ' ';
        }
    }
    check_guise(alone, len, want);
    if (len >= LINE_LEN_MIN) { /* a shorter line would grow out of the rule that it falls under */
        check_guise(doubled, doubled_len, want);
    } else {
        free(doubled);
    }
    if (len > LINE_LEN_MIN && line[len - 2] == '\r' && line[len - 3] != '\r') {
        uint8_t *bare = malloc(len - 1);
        assert(bare != NULL);
        memcpy(bare, line, len - 2);
        bare[len - 2] = '\n';
        check_guise(bare, len - 1, want);
    }
    size_t step = len / CUTS_MAX + 1;
    for (size_t cut = 0; cut < len; cut += step) {
        check_cut(line, cut);
    }
    check_cut(line, len - 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct cursor cur = { data, data + len };
    while (cur.at < cur.end) {
        const uint8_t *line = cur.at;
        const uint8_t *lf = memchr(line, '\n', (size_t)(cur.end - line));
        struct request got;
        memset(&got, 0x5a, sizeof got);
        enum parse_status status = text_parse(&cur, &got);
        assert(cur.end == data + len);
        if (lf == NULL) {
            assert(status == PARSE_MORE && cur.at == line);
            (void)text_line_too_long(line, (size_t)(cur.end - line));
            break;
        }
        assert(status == PARSE_DONE && cur.at == lf + 1);
        check_request(&got, line, lf);
        check_guises(line, (size_t)(lf + 1 - line), &got);
    }
    return 0;
}
