/*
 * Requests of the binary protocol, and the replies to them.
 *
 * The input is a stream of requests, values included.  Each is parsed where it lies, then alone in
 * memory of just its length without its value, and cut off anywhere: less than a header asks for
 * more, a header alone asks for more or is an error.
 */
#include "proto/binary.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static enum parse_status
parse_copy(const uint8_t *bytes, size_t len, struct binary_request *out)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert(copy != NULL);
    memcpy(copy, bytes, len);
    struct cursor cur = { copy, copy + len };
    memset(out, 0xa5, sizeof *out);
    enum parse_status status = binary_parse(&cur, out);
    assert(cur.end == copy + len);
    assert(status == PARSE_DONE ? cur.at <= cur.end : status == PARSE_MORE && cur.at == copy);
    free(copy);
    return status;
}

static uint32_t
body_len_of(const uint8_t *header)
{
    return (uint32_t)header[8] << 24 | (uint32_t)header[9] << 16 | (uint32_t)header[10] << 8 |
           header[11];
}

/** What holds for a request whose header lies at `header`, and which was taken up to `behind`. */
static void
check_request(const struct binary_request *got, const uint8_t *header, const uint8_t *behind)
{
    size_t taken = (size_t)(behind - header);
    if (got->op == BINARY_CLOSE) {
        assert(header[0] != BINARY_MAGIC && taken == 0);
        return;
    }
    assert(header[0] == BINARY_MAGIC && got->echo.opcode == header[1]);
    assert(memcmp(&got->echo.opaque, header + 12, 4) == 0);
    if (got->op == BINARY_ERROR) {
        assert(got->error == BINARY_STATUS_UNKNOWN || got->error == BINARY_STATUS_INVALID);
        assert(taken == BINARY_HEADER_LEN && got->value_len == 0 && !got->quiet);
        return;
    }
    assert(body_len_of(header) <= BINARY_BODY_LEN_MAX);
    assert(taken - BINARY_HEADER_LEN + got->value_len == body_len_of(header));
    if (got->op == BINARY_UNKNOWN) {
        assert(taken == BINARY_HEADER_LEN && !got->quiet);
        return;
    }
    assert(taken <= BINARY_REQUEST_MAX && got->key.len <= KEY_LEN_MAX);
    assert(got->key.at + got->key.len == behind);
}

static void
check_same(const struct binary_request *a, const struct binary_request *b)
{
    assert(a->op == b->op);
    if (a->op == BINARY_CLOSE) {
        return;
    }
    assert(a->quiet == b->quiet && a->cas == b->cas && a->value_len == b->value_len);
    assert(a->op != BINARY_ERROR || a->error == b->error);
    bool key = a->op != BINARY_ERROR && a->op != BINARY_UNKNOWN;
    assert(!key || (a->key.len == b->key.len && a->exptime == b->exptime));
    bool counts = a->op == BINARY_INCR || a->op == BINARY_DECR;
    assert(!counts || (a->delta == b->delta && a->initial == b->initial));
    bool stores = a->op == BINARY_SET || a->op == BINARY_ADD || a->op == BINARY_REPLACE;
    assert(!stores || a->flags == b->flags);
}

static void
check_cuts(const uint8_t *header, size_t len, const struct binary_request *want)
{
    struct binary_request got;
    assert(parse_copy(header, len, &got) == PARSE_DONE);
    check_same(&got, want);
    for (size_t cut = 0; cut < len; cut++) {
        enum parse_status status = parse_copy(header, cut, &got);
        if (status == PARSE_DONE) { /* a header says all that is wrong */
            assert(cut >= BINARY_HEADER_LEN);
            assert(len == BINARY_HEADER_LEN);
        }
    }
}

static void
check_replies(const struct binary_request *request)
{
    static const enum binary_status statuses[] = {
        BINARY_STATUS_OK,         BINARY_STATUS_NOT_FOUND,  BINARY_STATUS_EXISTS,
        BINARY_STATUS_TOO_LARGE,  BINARY_STATUS_INVALID,    BINARY_STATUS_NOT_STORED,
        BINARY_STATUS_NOT_NUMBER, BINARY_STATUS_AUTH_ERROR, BINARY_STATUS_AUTH_CONTINUE,
        BINARY_STATUS_UNKNOWN,    BINARY_STATUS_NO_MEMORY,
    };
    struct binary_echo echo = request->echo;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        uint8_t room[BINARY_ERROR_MAX];
        uint8_t *behind = binary_write_error(room, echo, statuses[i]);
        assert(behind <= room + sizeof room);
        assert(body_len_of(room) == (size_t)(behind - room) - BINARY_HEADER_LEN);
    }
    if (request->op < BINARY_UNKNOWN) {
        uint8_t room[BINARY_VALUE_HEAD_MAX];
        uint8_t *behind = binary_write_value_head(room, echo, request->key, request->flags,
                                                  request->value_len, request->cas);
        assert(behind <= room + sizeof room);
        assert(body_len_of(room) ==
               (size_t)(behind - room) - BINARY_HEADER_LEN + request->value_len);
        behind = binary_write_key_miss(room, echo, request->key);
        assert(memcmp(behind - request->key.len, request->key.at, request->key.len) == 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct cursor cur = { data, data + len };
    while (cur.at < cur.end) {
        const uint8_t *header = cur.at;
        struct binary_request got;
        memset(&got, 0x5a, sizeof got);
        enum parse_status status = binary_parse(&cur, &got);
        assert(cur.end == data + len);
        if (status != PARSE_DONE) {
            assert(status == PARSE_MORE && cur.at == header);
            assert((size_t)(cur.end - header) < BINARY_REQUEST_MAX);
            break;
        }
        check_request(&got, header, cur.at);
        size_t taken = got.op == BINARY_CLOSE ? BINARY_HEADER_LEN : (size_t)(cur.at - header);
        check_cuts(header, taken, &got);
        if (got.op == BINARY_CLOSE || got.op == BINARY_ERROR) {
            break;
        }
        check_replies(&got);
        if (got.value_len > (size_t)(cur.end - cur.at)) {
            break;
        }
        cur.at += got.value_len;
    }
    return 0;
}
