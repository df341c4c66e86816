/* -o load and -o load_if_there: a server that begins with the items of a snapshot. */
#ifndef LARDER_LOAD_SETUP_H
#define LARDER_LOAD_SETUP_H

#include "admin/settings.h"
#include "admin/snapshots.h"
#include "engine/cache.h"
#include "service.h"

#include <stdbool.h>

/**
 * Reads the file that the settings name, if any.  0, or the exit code after having told the
 * operator why.
 *
 * warm      the cache has come with items, which are newer: the file is not read
 * stopped   out: a signal to stop has come meanwhile; the code is 0
 *
 * Before any other thread uses the cache, with the signals that stop a server held back.
 */
__attribute__((warn_unused_result)) int
load_setup_run(struct cache *cache, const struct settings *settings, bool warm,
               struct snapshots *snapshots, const struct service *service, bool *stopped);

#endif
