#include "config.h"

#include "mysql/inflate.h"

#include <stdlib.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#include <zstd_errors.h>
#endif

#include "base/assert.h"

struct inflater {
    uint8_t *room;
    size_t cap;
    size_t start; /* what of the room is unpacked and not given out */
    size_t end;
    bool in_payload;
    uint64_t packing;
    uint64_t plain_left; /* bytes that the payload may still unpack to */
    struct bytes packed; /* what of the payload is not unpacked */
#ifdef HAVE_ZLIB
    z_stream zlib;
#endif
#ifdef HAVE_ZSTD
    ZSTD_DStream *zstd;
#endif
};

struct inflater *
inflater_create(size_t room)
{
    assert(room >= INFLATE_ROOM_MIN);
    struct inflater *inflater = calloc(1, sizeof(*inflater));
    if (inflater == NULL) {
        return NULL;
    }
    inflater->cap = room;
    inflater->room = malloc(room);
    bool is_made = inflater->room != NULL;
#ifdef HAVE_ZLIB
    is_made = is_made && inflateInit(&inflater->zlib) == Z_OK;
#endif
#ifdef HAVE_ZSTD
    inflater->zstd = ZSTD_createDStream();
    is_made = is_made && inflater->zstd != NULL &&
              !ZSTD_isError(ZSTD_DCtx_setParameter(inflater->zstd, ZSTD_d_windowLogMax,
                                                   INFLATE_WINDOW_LOG_MAX));
#endif
    if (!is_made) {
        inflater_destroy(&inflater);
    }
    return inflater;
}

void
inflater_destroy(struct inflater **inflater)
{
    if (*inflater == NULL) {
        return;
    }
#ifdef HAVE_ZLIB
    (void)inflateEnd(&(*inflater)->zlib);
#endif
#ifdef HAVE_ZSTD
    (void)ZSTD_freeDStream((*inflater)->zstd);
#endif
    free((*inflater)->room);
    free(*inflater);
    *inflater = NULL;
}

/* -- single events ---------------------------------------------------------------------------- */

#ifdef HAVE_ZLIB
static enum inflate_result
run_zlib(struct inflater *inflater, struct bytes packed, size_t len, const char **reason)
{
    z_stream *zlib = &inflater->zlib;
    if (inflateReset(zlib) != Z_OK) {
        *reason = "zlib cannot begin";
        return INFLATE_WIDEN;
    }
    zlib->next_in = (Bytef *)(uintptr_t)packed.at;
    zlib->avail_in = (uInt)packed.len;
    zlib->next_out = inflater->room;
    zlib->avail_out = (uInt)len;
    if (inflate(zlib, Z_FINISH) != Z_STREAM_END || zlib->avail_out != 0) {
        *reason = "a compressed event that is broken";
        return INFLATE_BAD;
    }
    return INFLATE_DONE;
}
#else
static enum inflate_result
run_zlib(struct inflater *inflater, struct bytes packed, size_t len, const char **reason)
{
    (void)inflater;
    (void)packed;
    (void)len;
    *reason = "a compressed event, and this build is without zlib";
    return INFLATE_WIDEN;
}
#endif

/** One byte: 1 (bit 7), algorithm (bits 4-6), length of the length; the length, high byte first. */
static enum inflate_result
unpack(struct inflater *inflater, struct bytes *bytes, const char **reason)
{
    struct bytes_cursor cur = bytes_cursor(*bytes);
    uint8_t head;
    struct bytes len_bytes;
    *reason = "a compressed event that is broken";
    if (!bytes_take_u8(&cur, &head) || (head & 0x80) == 0 || (head & 7) < 1 || (head & 7) > 4 ||
        !bytes_take(&cur, head & 7, &len_bytes)) {
        return INFLATE_BAD;
    }
    if ((head & 0x70) != 0) {
        *reason = "an event that is compressed in an unknown way";
        return INFLATE_WIDEN;
    }
    size_t len = (size_t)bytes_number_be(len_bytes.at, len_bytes.len);
    if (len > inflater->cap) {
        *reason = "a compressed event that is longer than the room for it";
        return INFLATE_WIDEN;
    }
    enum inflate_result result = run_zlib(inflater, bytes_rest(&cur), len, reason);
    *bytes = (struct bytes){ inflater->room, len };
    return result;
}

enum inflate_result
inflate_event(struct inflater *inflater, struct event *event, const char **reason)
{
    bool is_query = event->kind == EVENT_QUERY;
    if (is_query ? !event->query.packed : event->kind != EVENT_ROWS || !event->rows.packed) {
        return INFLATE_DONE;
    }
    if (inflater->in_payload) { /* no server packs twice, and there is one room */
        *reason = "a compressed event in a compressed transaction";
        return INFLATE_WIDEN;
    }
    enum inflate_result result =
        unpack(inflater, is_query ? &event->query.text : &event->rows.rows, reason);
    if (result == INFLATE_DONE && is_query) {
        event->query.packed = false;
    } else if (result == INFLATE_DONE) {
        event->rows.packed = false;
    }
    return result;
}

/* -- transactions ----------------------------------------------------------------------------- */

enum inflate_result
inflate_payload(struct inflater *inflater, const struct event_payload *payload, const char **reason)
{
    inflater->start = 0;
    inflater->end = 0;
    inflater->packing = payload->packing;
    inflater->packed = payload->packed;
    inflater->plain_left = payload->plain_len;
    inflater->in_payload = true;
    if (payload->packing == EVENT_PACKED_NOT) {
        return INFLATE_DONE;
    }
    if (payload->packing != EVENT_PACKED_ZSTD) {
        inflater->in_payload = false;
        *reason = "a transaction that is compressed in an unknown way";
        return INFLATE_WIDEN;
    }
#ifdef HAVE_ZSTD
    (void)ZSTD_DCtx_reset(inflater->zstd, ZSTD_reset_session_only);
    return INFLATE_DONE;
#else
    inflater->in_payload = false;
    *reason = "a compressed transaction, and this build is without zstd";
    return INFLATE_WIDEN;
#endif
}

/** Unpacks something more into the room behind `end`. */
static enum inflate_result
unpack_more(struct inflater *inflater, const char **reason)
{
#ifdef HAVE_ZSTD
    ZSTD_inBuffer in = { inflater->packed.at, inflater->packed.len, 0 };
    ZSTD_outBuffer out = { inflater->room, inflater->cap, inflater->end };
    size_t result = ZSTD_decompressStream(inflater->zstd, &out, &in);
    if (ZSTD_isError(result)) {
        bool is_window = ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge;
        *reason = is_window ? "a transaction that is compressed with too large a window"
                            : "a compressed transaction that is broken";
        return is_window ? INFLATE_WIDEN : INFLATE_BAD;
    }
    size_t got = out.pos - inflater->end;
    *reason = "a compressed transaction that is broken";
    if (got > inflater->plain_left || (got == 0 && in.pos == 0)) {
        return INFLATE_BAD;
    }
    inflater->plain_left -= got;
    inflater->end = out.pos;
    inflater->packed.at += in.pos;
    inflater->packed.len -= in.pos;
    return INFLATE_DONE;
#else
    (void)inflater;
    *reason = "a compressed transaction, and this build is without zstd";
    return INFLATE_WIDEN;
#endif
}

/** Makes `len` bytes stand at `start`.  INFLATE_END: there are none at all. */
static enum inflate_result
gather(struct inflater *inflater, size_t len, const char **reason)
{
    if (len > inflater->cap) {
        *reason = "an event in a compressed transaction that is longer than the room for it";
        return INFLATE_WIDEN;
    }
    if (inflater->cap - inflater->start < len) {
        size_t have = inflater->end - inflater->start;
        memmove(inflater->room, inflater->room + inflater->start, have);
        inflater->start = 0;
        inflater->end = have;
    }
    while (inflater->end - inflater->start < len) {
        if (inflater->plain_left == 0) {
            *reason = "a compressed transaction that is broken";
            return inflater->end == inflater->start ? INFLATE_END : INFLATE_BAD;
        }
        enum inflate_result result = unpack_more(inflater, reason);
        if (result != INFLATE_DONE) {
            return result;
        }
    }
    return INFLATE_DONE;
}

static enum inflate_result
next_plain(struct inflater *inflater, struct bytes *event, const char **reason)
{
    struct bytes_cursor cur = bytes_cursor(inflater->packed);
    if (inflater->packed.len == 0) {
        return INFLATE_END;
    }
    uint32_t len = inflater->packed.len < EVENT_HEADER_LEN ? 0 : le_get_u32(cur.at + 9);
    *reason = "a transaction with a broken event";
    if (len < EVENT_HEADER_LEN || !bytes_take(&cur, len, event)) {
        return INFLATE_BAD;
    }
    inflater->packed = bytes_rest(&cur);
    return INFLATE_DONE;
}

static enum inflate_result
next_packed(struct inflater *inflater, struct bytes *event, const char **reason)
{
    enum inflate_result result = gather(inflater, EVENT_HEADER_LEN, reason);
    if (result != INFLATE_DONE) {
        return result;
    }
    size_t len = le_get_u32(inflater->room + inflater->start + 9);
    if (len < EVENT_HEADER_LEN) {
        *reason = "a compressed transaction that is broken";
        return INFLATE_BAD;
    }
    result = gather(inflater, len, reason);
    if (result == INFLATE_DONE) {
        *event = (struct bytes){ inflater->room + inflater->start, len };
        inflater->start += len;
    }
    return result == INFLATE_END ? INFLATE_BAD : result;
}

enum inflate_result
inflate_payload_next(struct inflater *inflater, struct bytes *event, const char **reason)
{
    assert(inflater->in_payload);
    enum inflate_result result = inflater->packing == EVENT_PACKED_NOT
                                     ? next_plain(inflater, event, reason)
                                     : next_packed(inflater, event, reason);
    inflater->in_payload = result == INFLATE_DONE;
    return result;
}
