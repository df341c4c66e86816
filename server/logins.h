/* Who may log in: what -Y and -S need, from the settings to the server. */
#ifndef LARDER_LOGINS_H
#define LARDER_LOGINS_H

#include "admin/credentials.h"
#include "admin/settings.h"
#include "net/server.h"
#include "session/sasl.h"

struct logins {
    struct credentials *users;     /* -Y; else NULL */
    struct sasl_service *sasl;     /* -S; else NULL */
    struct credentials *passwords; /* MEMCACHED_SASL_PWDB with -S; else NULL */
};

/** Reads the files, and starts SASL.  Returns 0, or the exit code when that fails, which is logged;
 * then nothing is open.
 *
 * settings   borrowed until logins_close()
 */
__attribute__((warn_unused_result)) int logins_open(struct logins *logins,
                                                    const struct settings *settings);

/** What the server is to know.  For server_ask_for_login(). */
struct server_logins logins_of_server(struct logins *logins);

/** When the server is destroyed. */
void logins_close(struct logins *logins);

#endif
