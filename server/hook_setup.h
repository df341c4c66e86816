/* The MySQL hook of a server: from -o mysql_hook to a follower; and the tools --hook-check and
 * --hook-print. */
#ifndef LARDER_HOOK_SETUP_H
#define LARDER_HOOK_SETUP_H

#include "admin/follower.h"
#include "admin/settings.h"
#include "engine/cache.h"

struct hook;
struct rules;

struct hook_setup {
    struct hook *hook; /* NULL: none */
    struct rules *rules;
    struct follower follower;
};

/**
 * Reads the rules and starts the hook.  0, or the exit code after having told the operator why.
 *
 * Before any other thread uses the cache, and before anybody can connect.
 *
 * start   what the cache begins with
 */
__attribute__((warn_unused_result)) int hook_setup_start(struct hook_setup *setup,
                                                         struct cache *cache,
                                                         const struct settings *settings,
                                                         const struct cache_start *start);
void hook_setup_end(struct hook_setup *setup);

/**
 * Whether the command line asks for a tool in place of a server:
 *
 *     larder --hook-check FILE               tries the rules; exit code 1 when there is a problem
 *     larder --hook-print FILE [LOG...]      prints what they would do
 */
bool hook_setup_is_tool(int argc, char *const *argv);
/** Runs it; returns the exit code. */
int hook_setup_run_tool(int argc, char *const *argv);

#endif
