/* Which TLS streams of a worker hold their buffers between turns.
 *
 * A stream's two buffers are 33 KiB: too much for thousands that are idle, and taken and given back
 * with each turn they cost a lone request a fifth of its instructions.  So some streams hold
 * them.  A hand goes round over the places, one with each turn of a stream without a place: who has
 * had a turn since it came by last keeps its place, so that of more busy streams than there are
 * places some hold their buffers all the time, and not each of them never.
 */
#include "config.h"

#include "base/assert.h"
#include "net/tls.h"

_Static_assert(TLS_HOLDERS_MAX < 256, "tls_stream.place holds a place's number");

/** Places come from 1 on. */
static struct tls_stream **
place_of(struct tls_holders *holders, const struct tls_stream *stream)
{
    assert(stream->place > 0 && holders->at[stream->place - 1] == stream);
    return &holders->at[stream->place - 1];
}

void
tls_holders_leave(struct tls_holders *holders, struct tls_stream *stream)
{
    if (stream->place > 0) {
        *place_of(holders, stream) = NULL;
        stream->place = 0;
    }
}

/** Gives the stream the place under the hand, unless that is in use. */
static void
take_place(struct tls_holders *holders, struct tls_stream *stream)
{
    unsigned hand = holders->hand;
    holders->hand = (hand + 1) % TLS_HOLDERS_MAX;
    struct tls_stream *holder = holders->at[hand];
    if (holder != NULL && holder->used) {
        holder->used = false;
        return;
    }
    if (holder != NULL) {
        tls_holders_leave(holders, holder);
        tls_stream_hold(holder, false);
    }
    holders->at[hand] = stream;
    stream->place = (uint8_t)(hand + 1);
    stream->used = true;
    tls_stream_hold(stream, true);
}

void
tls_holders_turn(struct tls_holders *holders, struct tls_stream *stream)
{
    if (stream->place > 0) {
        stream->used = true;
    } else {
        take_place(holders, stream);
    }
}
