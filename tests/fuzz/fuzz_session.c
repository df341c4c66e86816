/*
 * Conversations: the input is what a client sends.  It is received whole, and once more in pieces,
 * while replies leave in pieces and another session takes the worker's buffers in between: the
 * replies are the same, and the cache is whole.
 *
 * The first byte chooses settings, the second one the pieces.
 */
#include "admin/prefix.h"
#include "engine/stats.h"
#include "proto/limits.h"
#include "session/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NOW       1700000000 /* unix seconds */
#define INPUT_MAX 16384u
#define OUT_CAP   (256u << 10) /* bytes of replies that are compared; what is behind them is not */
#define RUNS_MAX  100000u      /* of a session for one input */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct conversation {
    struct settings settings;
    struct server_stats stats;
    struct session_host host;
    struct session_worker *worker;
    struct session *session;
    struct session *other; /* NULL: nobody else is there */
    uint32_t random;
    unsigned runs;
    uint8_t *out;
    size_t out_len;
};

/** A number below `bound`, the same in each run. */
static size_t
pick(struct conversation *talk, size_t bound)
{
    talk->random = talk->random * 1664525u + 1013904223u;
    return (talk->random >> 8) % bound;
}

static void
talk_open(struct conversation *talk, uint8_t how)
{
    memset(talk, 0, sizeof(*talk));
    settings_init(&talk->settings);
    talk->settings.cas_disabled = (how & 1) != 0;
    talk->settings.evictions_disabled = (how & 2) != 0;
    talk->settings.reqs_per_event = (how & 4) != 0 ? 1 : 20;
    talk->settings.item_size_max = (how & 8) != 0 ? 4096 : 1u << 20;
    struct cache_options options = {
        .memory_limit = 2u << 20,
        .item_size_max = talk->settings.item_size_max,
        .cas_disabled = talk->settings.cas_disabled,
        .evictions_disabled = talk->settings.evictions_disabled,
        .hash_seed = 1,
        .now = NOW,
    };
    talk->stats.cache = cache_create(&options);
    talk->stats.settings = &talk->settings;
    talk->stats.prefixes = prefix_stats_create(':');
    talk->stats.started_at = NOW;
    assert(talk->stats.cache != NULL && talk->stats.prefixes != NULL);
    talk->worker =
        session_worker_create(talk->stats.cache, &talk->settings, &talk->stats, &talk->host);
    assert(talk->worker != NULL);
    talk->stats.workers[talk->stats.workers_count++] = session_worker_stats(talk->worker);
    talk->session = session_create(talk->worker);
    talk->out = malloc(OUT_CAP);
    assert(talk->session != NULL && talk->out != NULL);
}

static void
talk_close(struct conversation *talk)
{
    session_destroy(talk->session);
    if (talk->other != NULL) {
        session_destroy(talk->other);
    }
    cache_check(talk->stats.cache);
    session_worker_destroy(talk->worker);
    prefix_stats_destroy(talk->stats.prefixes);
    cache_destroy(talk->stats.cache);
    free(talk->out);
}

/** Another client's turn: it takes the buffers. */
static void
interrupt(struct conversation *talk)
{
    if (talk->other != NULL && pick(talk, 4) == 0) {
        struct session_space space = session_rx_space(talk->other);
        memcpy(space.at, "x", 1); /* half of a line, and at last of one that is too long */
        session_rx_done(talk->other, 1);
        (void)session_run(talk->other);
        session_tx_drop(talk->other);
    }
}

/** Sends all that is there, in pieces if there is another client. */
static void
take_replies(struct conversation *talk)
{
    struct iovec iov[SESSION_IOV_MAX];
    unsigned pieces;
    while ((pieces = session_tx(talk->session, iov, SESSION_IOV_MAX)) > 0) {
        size_t sent = 0;
        size_t most = talk->other != NULL ? 1 + pick(talk, 5000) : SIZE_MAX;
        for (unsigned i = 0; i < pieces && sent < most; i++) {
            size_t n = iov[i].iov_len < most - sent ? iov[i].iov_len : most - sent;
            size_t kept = n < OUT_CAP - talk->out_len ? n : OUT_CAP - talk->out_len;
            memcpy(talk->out + talk->out_len, iov[i].iov_base, kept);
            talk->out_len += kept;
            sent += n;
        }
        session_tx_done(talk->session, sent);
        interrupt(talk);
    }
}

/** Puts bytes to where the session wants them; returns how many had room. */
static size_t
fill(struct session *session, const uint8_t *bytes, size_t len)
{
    struct session_space space = session_rx_space(session);
    struct iovec iov[SESSION_RX_PIECES] = { { space.at, space.len } };
    unsigned pieces = space.at != NULL ? 1 : session_rx_item(session, SESSION_RX_SIZE, iov);
    size_t filled = 0;
    for (unsigned i = 0; i < pieces && filled < len; i++) {
        size_t n = iov[i].iov_len < len - filled ? iov[i].iov_len : len - filled;
        memcpy(iov[i].iov_base, bytes + filled, n);
        filled += n;
    }
    return filled;
}

/** Receives a piece and runs what is complete; false when the session has closed. */
static bool
receive(struct conversation *talk, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        size_t n = fill(talk->session, bytes, len);
        session_rx_done(talk->session, n);
        bytes += n;
        len -= n;
        enum session_next next;
        do {
            assert(++talk->runs < RUNS_MAX);
            next = session_run(talk->session);
            take_replies(talk);
        } while (next == SESSION_AGAIN || next == SESSION_SEND);
        if (next == SESSION_CLOSE) {
            return false;
        }
        interrupt(talk);
    }
    return true;
}

static void
talk_in_pieces(struct conversation *talk, const uint8_t *data, size_t len, uint8_t pieces)
{
    talk->random = pieces;
    talk->other = session_create(talk->worker);
    assert(talk->other != NULL);
    size_t most = (size_t)1 << (pieces % 8);
    while (len > 0) {
        size_t n = 1 + pick(talk, most);
        n = n < len ? n : len;
        if (!receive(talk, data, n)) {
            return;
        }
        data += n;
        len -= n;
    }
}

/** Whether replies depend on nothing else than the input.  Those of some commands do: figures, and
 * what may not have commands before it in one piece; and so does a line whose end is not seen. */
static bool
is_alike(const uint8_t *data, size_t len)
{
    static const char *const words[] = { "stats", "dump", "watch" };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (memmem(data, len, words[i], strlen(words[i])) != NULL) {
            return false;
        }
    }
    if (len > 0 && data[0] == 0x80 && memchr(data, 0x10, len) != NULL) {
        return false;
    }
    size_t line = 0;
    for (size_t i = 0; i < len; i++) {
        line = data[i] == '\n' ? 0 : line + 1;
        if (line > LINE_LEN_MAX) {
            return false;
        }
    }
    return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2 || len > INPUT_MAX) {
        return 0;
    }
    struct conversation whole;
    struct conversation cut;
    talk_open(&whole, data[0]);
    talk_open(&cut, data[0]);
    (void)receive(&whole, data + 2, len - 2);
    talk_in_pieces(&cut, data + 2, len - 2, data[1]);
    if (is_alike(data + 2, len - 2)) {
        assert(whole.out_len == cut.out_len);
        assert(memcmp(whole.out, cut.out, whole.out_len) == 0);
    }
    talk_close(&whole);
    talk_close(&cut);
    return 0;
}
