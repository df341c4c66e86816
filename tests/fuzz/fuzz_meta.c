/*
 * Command lines of the meta protocol, and the replies to them.
 *
 * The input is a stream of lines; those that are no meta commands are skipped.  Each line is parsed
 * where it lies and then again in other guises, which all must say the same: alone in memory of
 * just its length, cut off anywhere (ask for more), without its CR, and with doubled spaces.  To
 * what a command asks for all kinds of replies are written into memory of just the room that is
 * promised.
 */
#include "proto/meta.h"

#include <assert.h>
#include <stdlib.h>

#define CUTS_MAX 80u /* places of one line at which it is cut off; more only tire the fuzzer */

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
    assert(memchr(span.at, '\n', span.len) == NULL && memchr(span.at, ' ', span.len) == NULL);
}

static void
check_key(const struct meta_request *got, const uint8_t *line, const uint8_t *lf)
{
    assert(got->key.len >= 1 && got->key.len <= KEY_LEN_MAX);
    if (meta_has(got, 'b')) {
        assert(got->key.at == got->key_bytes && got->key.len <= META_KEY_BYTES_MAX);
    } else {
        check_inside(got->key, line, lf);
    }
}

static void
check_returns(const struct meta_request *got)
{
    assert(got->returns_count <= META_RETURNS_MAX);
    uint64_t seen = 0;
    for (unsigned i = 0; i < got->returns_count; i++) {
        char letter = (char)got->returns[i];
        assert(memchr("stclfhkO", letter, META_RETURNS_MAX) != NULL);
        assert(meta_has(got, letter) && (seen & META_FLAG(letter)) == 0);
        seen |= META_FLAG(letter);
    }
}

/** What holds for a request however it came about. */
static void
check_request(const struct meta_request *got, const uint8_t *line, const uint8_t *lf)
{
    switch (got->op) {
    case META_MS:
        assert(got->value_len <= VALUE_LEN_LIMIT);
        /* fall through */
    case META_MA:
        assert((got->mode >= META_MODE_INCR) == (got->op == META_MA));
        assert(got->mode <= META_MODE_DECR);
        /* fall through */
    case META_MG:
    case META_MD:
        check_key(got, line, lf);
        check_returns(got);
        if (meta_has(got, 'O')) {
            check_inside(got->opaque, line, lf);
            assert(got->opaque.len <= META_OPAQUE_MAX);
        }
        break;
    case META_ME:
        check_key(got, line, lf);
        assert((got->flags & ~META_FLAG('b')) == 0);
        break;
    case META_MN:
        break;
    case META_ERROR:
        assert(text_error_reply(got->error).len > 2);
        assert(got->swallow != 1 && got->swallow <= (uint64_t)VALUE_LEN_LIMIT + 2);
        assert(got->swallow == 0 || line[1] == 's');
        break;
    }
}

static void
check_same_values(const struct meta_request *a, const struct meta_request *b)
{
    bool ms = a->op == META_MS;
    bool ma = a->op == META_MA;
    assert(a->flags == b->flags && same_bytes(a->key, b->key));
    assert(a->returns_count == b->returns_count);
    assert(memcmp(a->returns, b->returns, a->returns_count) == 0);
    assert(a->ttl_before_touch == b->ttl_before_touch);
    assert(a->ttl_before_vivify == b->ttl_before_vivify);
    assert(a->recache_before_touch == b->recache_before_touch);
    assert(a->vivify_before_touch == b->vivify_before_touch);
    assert(!ms || a->value_len == b->value_len);
    assert((!ms && !ma) || a->mode == b->mode);
    assert((!ms && !meta_has(a, 'F')) || a->client_flags == b->client_flags);
    assert((!ms && !meta_has(a, 'T')) || a->exptime == b->exptime);
    assert((!ma && !meta_has(a, 'D')) || a->delta == b->delta);
    assert((!ma && !meta_has(a, 'J')) || a->initial == b->initial);
    assert(!meta_has(a, 'N') || a->vivify_exptime == b->vivify_exptime);
    assert(!meta_has(a, 'R') || a->recache_s == b->recache_s);
    assert(!meta_has(a, 'C') || a->cas == b->cas);
    assert(!meta_has(a, 'E') || a->cas_new == b->cas_new);
    assert(!meta_has(a, 'O') || same_bytes(a->opaque, b->opaque));
}

static void
check_same(const struct meta_request *a, const struct meta_request *b)
{
    assert(a->op == b->op);
    switch (a->op) {
    case META_MG:
    case META_MS:
    case META_MD:
    case META_MA:
        check_same_values(a, b);
        break;
    case META_ME:
        assert(a->flags == b->flags && same_bytes(a->key, b->key));
        break;
    case META_MN:
        break;
    case META_ERROR:
        assert(a->error == b->error && a->swallow == b->swallow);
        break;
    }
}

/** Writes a reply twice: to find its length, and into memory of just that. */
static void
check_head(const struct meta_request *request, enum meta_result result,
           const struct reply_item *item)
{
    uint8_t room[META_HEAD_MAX];
    size_t len = (size_t)(meta_write_head(room, request, result, item) - room);
    assert(len >= 4 && len <= (item != NULL ? META_HEAD_MAX : META_MISS_MAX));
    assert(memchr(room, '\n', len) == room + len - 1 || memchr(room, '\n', len - 1) != NULL);
    assert(room[len - 2] == '\r' && room[len - 1] == '\n');
    uint8_t *exact = malloc(len);
    assert(exact != NULL);
    assert(meta_write_head(exact, request, result, item) == exact + len);
    assert(memcmp(exact, room, len) == 0);
    free(exact);
}

static void
check_replies(const struct meta_request *request)
{
    const struct reply_item item = {
        .cas = UINT64_MAX,
        .ttl_s = (int64_t)request->key.len - 20,
        .idle_s = UINT64_MAX,
        .client_flags = UINT32_MAX,
        .value_len = UINT32_MAX,
        .key_binary = request->key.len % 2 == 0,
        .won = true,
        .sent = true,
        .stale = true,
    };
    for (int result = META_HD; result <= META_NF; result++) {
        check_head(request, (enum meta_result)result, &item);
        if (result != META_VA) {
            check_head(request, (enum meta_result)result, NULL);
        }
    }
    uint8_t room[META_NUMBER_MAX];
    assert(meta_write_number(room, request, UINT64_MAX, &item) <= room + sizeof room);
}

/** Parses a whole line that lies in memory of its own; frees that. */
static void
check_guise(uint8_t *line, size_t len, const struct meta_request *want)
{
    struct meta_request got;
    memset(&got, 0xa5, sizeof got);
    struct cursor cur = { line, line + len };
    enum parse_status status = meta_parse(&cur, &got);
    assert(status == PARSE_DONE && cur.at == line + len);
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
    struct meta_request got;
    struct cursor cur = { copy, copy + len };
    enum parse_status status = meta_parse(&cur, &got);
    assert(status == PARSE_MORE && cur.at == copy && cur.end == copy + len);
    free(copy);
}

static void
check_guises(const uint8_t *line, size_t len, const struct meta_request *want)
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
    check_guise(doubled, doubled_len, want);
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
        struct meta_request got;
        memset(&got, 0x5a, sizeof got);
        if (lf != NULL && !meta_is_command(line, (size_t)(cur.end - line))) {
            cur.at = lf + 1;
            continue;
        }
        enum parse_status status = meta_parse(&cur, &got);
        assert(cur.end == data + len);
        if (lf == NULL) {
            assert(status == PARSE_MORE && cur.at == line);
            break;
        }
        assert(status == PARSE_DONE && cur.at == lf + 1);
        check_request(&got, line, lf);
        check_guises(line, (size_t)(lf + 1 - line), &got);
        if (got.op <= META_MA) {
            check_replies(&got);
        }
    }
    return 0;
}
