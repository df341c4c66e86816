/* -o snapshot_dir: the folder that `larder snapshot` does not leave. */
#ifndef LARDER_SNAPSHOT_DIR_H
#define LARDER_SNAPSHOT_DIR_H

#include "admin/settings.h"

/**
 * Whether the folder, if there is to be one, can take snapshots: else each of them would fail when
 * it is needed.  0, or the exit code after having told the operator why.
 *
 * Once the process has the user as which it serves.
 */
__attribute__((warn_unused_result)) int snapshot_dir_check(const struct settings *settings);

#endif
