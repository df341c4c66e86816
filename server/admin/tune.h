/* Settings that are the engine's, brought there: at start, and when a command has changed them. */
#ifndef LARDER_ADMIN_TUNE_H
#define LARDER_ADMIN_TUNE_H

#include "admin/settings.h"
#include "engine/cache.h"

/** Any thread. */
void tune_apply(const struct settings *settings, struct cache *cache);

#endif
