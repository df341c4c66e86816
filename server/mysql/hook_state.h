/*
 * Where the hook stands.
 *
 *     state          means                                       may go to
 *
 *     CONNECTING     looks for a host to follow                  all but STREAMING
 *     CATCHING_UP    reads what happened before it connected     all
 *     STREAMING      all that the server had then is applied     all
 *     DISCONNECTED   no host could be followed                   CONNECTING, PAUSED, STOPPED
 *     PAUSED         by order                                    CONNECTING, STOPPED
 *     STOPPED        for ever                                    -
 */
#ifndef LARDER_MYSQL_HOOK_STATE_H
#define LARDER_MYSQL_HOOK_STATE_H

#include <stdbool.h>

enum hook_state {
    HOOK_CONNECTING,
    HOOK_CATCHING_UP,
    HOOK_STREAMING,
    HOOK_DISCONNECTED,
    HOOK_PAUSED,
    HOOK_STOPPED,
};
#define HOOK_STATES 6u

static inline const char *
hook_state_text(enum hook_state state)
{
    static const char *const names[HOOK_STATES] = { "connecting",   "catching-up", "streaming",
                                                    "disconnected", "paused",      "stopped" };
    return names[state];
}

static inline bool
hook_state_may(enum hook_state from, enum hook_state to)
{
#define WAY(state) (1u << (state))
    static const unsigned char ways[HOOK_STATES] = {
        [HOOK_CONNECTING] = WAY(HOOK_CONNECTING) | WAY(HOOK_CATCHING_UP) | WAY(HOOK_DISCONNECTED) |
                            WAY(HOOK_PAUSED) | WAY(HOOK_STOPPED),
        [HOOK_CATCHING_UP] = WAY(HOOK_STREAMING) | WAY(HOOK_CONNECTING) | WAY(HOOK_DISCONNECTED) |
                             WAY(HOOK_PAUSED) | WAY(HOOK_STOPPED),
        [HOOK_STREAMING] = WAY(HOOK_CATCHING_UP) | WAY(HOOK_CONNECTING) | WAY(HOOK_DISCONNECTED) |
                           WAY(HOOK_PAUSED) | WAY(HOOK_STOPPED),
        [HOOK_DISCONNECTED] = WAY(HOOK_CONNECTING) | WAY(HOOK_PAUSED) | WAY(HOOK_STOPPED),
        [HOOK_PAUSED] = WAY(HOOK_CONNECTING) | WAY(HOOK_STOPPED),
        [HOOK_STOPPED] = 0,
    };
#undef WAY
    return (ways[from] >> to & 1u) != 0;
}

#endif
