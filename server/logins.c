#include "config.h"

#include "logins.h"

#include "base/log.h"
#include "options.h"

#include <stdlib.h>

#define PASSWORDS_VARIABLE "MEMCACHED_SASL_PWDB" /* of the environment: names the file */

static int
open_file(const char *path, struct credentials **out)
{
    char error[CREDENTIALS_ERROR_CAP];
    if (credentials_create(path, out, error) != CREDENTIALS_OK) {
        log_line("%s", error);
        return OPTIONS_EXIT_BAD;
    }
    return 0;
}

static int
open_sasl(struct logins *logins, const struct settings *settings)
{
    char error[SASL_ERROR_CAP];
    const char *path = getenv(PASSWORDS_VARIABLE);
    int code = path != NULL && *path != '\0' ? open_file(path, &logins->passwords) : 0;
    if (code == 0 &&
        sasl_service_open(settings, logins->passwords, &logins->sasl, error) != SASL_SERVICE_OK) {
        log_line("%s", error);
        code = OPTIONS_EXIT_BAD;
    }
    return code;
}

int
logins_open(struct logins *logins, const struct settings *settings)
{
    *logins = (struct logins){ NULL, NULL, NULL };
    int code = settings->auth_file != NULL ? open_file(settings->auth_file, &logins->users) : 0;
    if (code == 0 && settings->sasl_enabled) {
        code = open_sasl(logins, settings);
    }
    if (code != 0) {
        logins_close(logins);
    }
    return code;
}

static void
load_file_again(struct credentials *credentials)
{
    char error[CREDENTIALS_ERROR_CAP];
    if (credentials == NULL) {
        return;
    }
    if (credentials_reload(credentials, error) == CREDENTIALS_OK) {
        log_line("SIGHUP: authfile [%s] is loaded again, %zu entries",
                 credentials_name(credentials), credentials_count(credentials));
    } else {
        log_line("SIGHUP: the entries of before stay: %s", error);
    }
}

/** server_logins.load_again */
static void
load_again(void *arg)
{
    struct logins *logins = arg;
    if (logins->users == NULL && logins->passwords == NULL) {
        log_line("SIGHUP: SASL reads its passwords by itself");
    }
    load_file_again(logins->users);
    load_file_again(logins->passwords);
}

struct server_logins
logins_of_server(struct logins *logins)
{
    bool asks = logins->users != NULL || logins->sasl != NULL;
    return (struct server_logins){ .credentials = logins->users,
                                   .sasl = logins->sasl,
                                   .load_again = asks ? load_again : NULL,
                                   .arg = logins };
}

void
logins_close(struct logins *logins)
{
    sasl_service_close(logins->sasl);
    credentials_destroy(logins->passwords);
    credentials_destroy(logins->users);
    *logins = (struct logins){ NULL, NULL, NULL };
}
