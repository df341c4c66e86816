#include "udp.h"

#include <assert.h>

static uint16_t
read_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint8_t *
write_u16(uint8_t *at, uint16_t number)
{
    at[0] = (uint8_t)(number >> 8);
    at[1] = (uint8_t)number;
    return at + 2;
}

enum parse_status
udp_parse_frame(struct cursor *cur, uint16_t *request_id)
{
    assert(cur->at <= cur->end);
    if ((size_t)(cur->end - cur->at) <= UDP_FRAME_LEN || read_u16(cur->at + 4) != 1) {
        return PARSE_BAD;
    }
    *request_id = read_u16(cur->at);
    cur->at += UDP_FRAME_LEN;
    return PARSE_DONE;
}

uint8_t *
udp_write_frame(uint8_t *at, uint16_t request_id, uint16_t sequence, uint16_t total)
{
    assert(sequence < total);
    at = write_u16(at, request_id);
    at = write_u16(at, sequence);
    at = write_u16(at, total);
    return write_u16(at, 0);
}
