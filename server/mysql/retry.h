/* Which host is tried next, and when.  Pure. */
#ifndef LARDER_MYSQL_RETRY_H
#define LARDER_MYSQL_RETRY_H

#include <stdint.h>

#define RETRY_FIRST_MS 50u
#define RETRY_MAX_MS   2000u

struct retry {
    uint32_t host_count;
    uint32_t host;   /* to be tried now */
    uint32_t failed; /* hosts in a row that could not be followed */
    uint32_t pause_ms;
};

static inline void
retry_init(struct retry *retry, uint32_t host_count)
{
    *retry = (struct retry){ .host_count = host_count, .pause_ms = RETRY_FIRST_MS };
}

/** The host serves.  When it is lost it is the first to be tried again. */
static inline void
retry_succeeded(struct retry *retry)
{
    retry->failed = 0;
    retry->pause_ms = RETRY_FIRST_MS;
}

/**
 * The host could not be followed: the next one's turn.  Returns milliseconds to wait before: none
 * while there are hosts that have not been tried, then twice as long after each round.
 *
 * noise   any number, so that many caches do not come at once
 */
static inline uint32_t
retry_failed(struct retry *retry, uint64_t noise)
{
    retry->host = (retry->host + 1) % retry->host_count;
    retry->failed++;
    if (retry->failed % retry->host_count != 0) {
        return 0;
    }
    uint32_t pause_ms = retry->pause_ms / 2 + (uint32_t)(noise % (retry->pause_ms / 2 + 1));
    retry->pause_ms = retry->pause_ms < RETRY_MAX_MS / 2 ? retry->pause_ms * 2 : RETRY_MAX_MS;
    return pause_ms;
}

#endif
