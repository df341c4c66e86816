/*
 * The frame of datagrams: the input is one request.  What is taken comes back with the reply's
 * frames, as many as the rest of the input would need as a reply.
 */
#include "proto/udp.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_reply(const uint8_t *data, uint16_t request_id, size_t reply_len)
{
    size_t total = udp_count_datagrams(reply_len);
    assert(total >= 1 && (total - 1) * UDP_PAYLOAD_MAX < reply_len);
    assert(total * UDP_PAYLOAD_MAX >= reply_len);
    if (total > UDP_DATAGRAMS_MAX) {
        return;
    }
    for (size_t i = 0; i < total; i++) {
        uint8_t *frame = malloc(UDP_FRAME_LEN);
        assert(frame != NULL);
        uint8_t *behind = udp_write_frame(frame, request_id, (uint16_t)i, (uint16_t)total);
        assert(behind == frame + UDP_FRAME_LEN);
        assert(memcmp(frame, data, 2) == 0);
        assert((unsigned)(frame[2] << 8 | frame[3]) == i);
        assert((unsigned)(frame[4] << 8 | frame[5]) == total);
        assert(frame[6] == 0 && frame[7] == 0);
        free(frame);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct cursor cur = { data, data + len };
    uint16_t request_id = 0;
    enum parse_status status = udp_parse_frame(&cur, &request_id);
    assert(cur.end == data + len);
    if (status != PARSE_DONE) {
        assert(status == PARSE_BAD && cur.at == data);
        assert(len <= UDP_FRAME_LEN || data[4] != 0 || data[5] != 1);
        return 0;
    }
    assert(cur.at == data + UDP_FRAME_LEN && cur.at < cur.end);
    assert((unsigned)(data[0] << 8 | data[1]) == request_id);
    assert(data[4] == 0 && data[5] == 1);
    check_reply(data, request_id, (size_t)(cur.end - cur.at));
    return 0;
}
