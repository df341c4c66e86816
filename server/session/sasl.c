#include "config.h"

#include "session/sasl.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_SASL

#include "base/log.h"

#include <limits.h>
#include <pthread.h>
#include <sasl/sasl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#define SERVICE         "memcached"
#define CONFIG_FILE     SERVICE ".conf"
#define CONFIG_VARIABLE "SASL_CONF_PATH" /* of the environment */

struct sasl_service {
    const struct settings *settings;
    struct credentials *passwords; /* NULL for none */
    char folders[PATH_MAX];        /* of the configuration, split by colons; empty for none */
    sasl_callback_t callbacks[4];
};

struct sasl_exchange {
    sasl_conn_t *conn;
};

/* -- what Cyrus asks of us --------------------------------------------------------------------- */

/* Without these it takes no locks at all. */

static void *
mutex_create(void)
{
    pthread_mutex_t *mutex = malloc(sizeof(*mutex));
    if (mutex != NULL && pthread_mutex_init(mutex, NULL) != 0) {
        free(mutex);
        mutex = NULL;
    }
    return mutex;
}

static int
mutex_acquire(void *mutex)
{
    return pthread_mutex_lock(mutex);
}

static int
mutex_release(void *mutex)
{
    return pthread_mutex_unlock(mutex);
}

static void
mutex_destroy(void *mutex)
{
    if (mutex != NULL) {
        (void)pthread_mutex_destroy(mutex);
        free(mutex);
    }
}

/** -v: errors and warnings, -vv: all but what passwords could stand in.  None of it goes to the
 * system's log. */
static int
on_log(void *context, int level, const char *message)
{
    const struct sasl_service *service = context;
    /* relaxed: one number */
    int verbosity = atomic_load_explicit(&service->settings->verbosity, memory_order_relaxed);
    int shown = verbosity > 1 ? SASL_LOG_DEBUG : verbosity == 1 ? SASL_LOG_WARN : SASL_LOG_NONE;
    _Static_assert(SASL_LOG_TRACE > SASL_LOG_DEBUG && SASL_LOG_PASS > SASL_LOG_DEBUG,
                   "what shows passwords is above");
    if (level != SASL_LOG_NONE && level <= shown && message != NULL) {
        log_line("SASL (severity %d): %s", level, message);
    }
    return SASL_OK;
}

/** Passwords without a configuration: they alone count, and of the mechanisms only the one that
 * sends them can work. */
static int
on_option(void *context, const char *plugin, const char *option, const char **result, unsigned *len)
{
    const struct sasl_service *service = context;
    if (plugin != NULL || service->passwords == NULL || service->folders[0] != '\0') {
        return SASL_FAIL; /* Cyrus looks elsewhere */
    }
    if (strcmp(option, "mech_list") == 0) {
        *result = "PLAIN";
    } else if (strcmp(option, "auxprop_plugin") == 0) {
        *result = "none"; /* no database, such as /etc/sasldb2, is asked behind us */
    } else {
        return SASL_FAIL;
    }
    if (len != NULL) {
        *len = (unsigned)strlen(*result);
    }
    return SASL_OK;
}

static int
on_check_password(sasl_conn_t *conn, void *context, const char *user, const char *password,
                  unsigned password_len, struct propctx *properties)
{
    (void)conn;
    (void)properties;
    struct sasl_service *service = context;
    bool is_right =
        user != NULL && password != NULL &&
        credentials_check(service->passwords, user, strlen(user), password, password_len);
    return is_right ? SASL_OK : SASL_BADAUTH;
}

/* -- the service ------------------------------------------------------------------------------- */

/** What SASL_CONF_PATH says: folders, or the file itself as older versions of Cyrus wanted it. */
static bool
take_config_path(struct sasl_service *service, const char *path)
{
    struct stat is;
    size_t len = strlen(path);
    const char *slash = strrchr(path, '/');
    if (stat(path, &is) == 0 && S_ISREG(is.st_mode)) {
        path = slash != NULL ? path : ".";
        len = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    }
    int written = snprintf(service->folders, sizeof(service->folders), "%.*s", (int)len, path);
    return written >= 0 && (size_t)written < sizeof(service->folders);
}

/** Where the configuration is. */
static bool
find_config(struct sasl_service *service)
{
    static const char *const folders[] = { "/etc/sasl", "/etc/sasl2" };
    const char *path = getenv(CONFIG_VARIABLE);
    if (path != NULL && *path != '\0') {
        return take_config_path(service, path);
    }
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        char file[64];
        snprintf(file, sizeof(file), "%s/" CONFIG_FILE, folders[i]);
        if (access(file, R_OK) == 0) {
            snprintf(service->folders, sizeof(service->folders), "%s", folders[i]);
            return true;
        }
    }
    return service->passwords != NULL;
}

static void
set_callbacks(struct sasl_service *service)
{
    typedef int callback(void);
    unsigned n = 0;
    service->callbacks[n++] =
        (sasl_callback_t){ SASL_CB_LOG, (callback *)(uintptr_t)on_log, service };
    service->callbacks[n++] =
        (sasl_callback_t){ SASL_CB_GETOPT, (callback *)(uintptr_t)on_option, service };
    if (service->passwords != NULL) {
        service->callbacks[n++] =
            (sasl_callback_t){ SASL_CB_SERVER_USERDB_CHECKPASS,
                               (callback *)(uintptr_t)on_check_password, service };
    }
    assert(n < sizeof(service->callbacks) / sizeof(service->callbacks[0]));
    service->callbacks[n] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
}

enum sasl_result
sasl_service_open(const struct settings *settings, struct credentials *passwords,
                  struct sasl_service **out, char *error)
{
    *out = NULL;
    struct sasl_service *service = calloc(1, sizeof(*service));
    if (service == NULL) {
        snprintf(error, SASL_ERROR_CAP, "Error initializing sasl.\nout of memory");
        return SASL_SERVICE_FAILED;
    }
    service->settings = settings;
    service->passwords = passwords;
    if (!find_config(service)) {
        snprintf(error, SASL_ERROR_CAP,
                 "Failed to locate a config path\nError initializing sasl.\n"
                 "-S needs " CONFIG_FILE " in a folder of " CONFIG_VARIABLE ", in /etc/sasl or"
                 " /etc/sasl2, or a file of user:password lines: MEMCACHED_SASL_PWDB");
        free(service);
        return SASL_SERVICE_FAILED;
    }
    /* Where Cyrus looks; its callback for this leaks what it is given. */
    if (service->folders[0] != '\0' && setenv(CONFIG_VARIABLE, service->folders, 1) != 0) {
        snprintf(error, SASL_ERROR_CAP, "Error initializing sasl.\nout of memory");
        free(service);
        return SASL_SERVICE_FAILED;
    }
    set_callbacks(service);
    sasl_set_mutex(mutex_create, mutex_acquire, mutex_release, mutex_destroy);
    int code = sasl_server_init(service->callbacks, SERVICE);
    if (code != SASL_OK) {
        snprintf(error, SASL_ERROR_CAP, "Error initializing sasl.\n%.300s",
                 sasl_errstring(code, NULL, NULL));
        free(service);
        return SASL_SERVICE_FAILED;
    }
    *out = service;
    return SASL_SERVICE_OK;
}

void
sasl_service_close(struct sasl_service *service)
{
    if (service != NULL) {
        sasl_server_done();
        free(service);
    }
}

void
sasl_service_mechanisms(struct sasl_service *service, char *names)
{
    const char *list = NULL;
    unsigned len = 0;
    struct sasl_exchange *exchange = sasl_exchange_begin(service);
    if (exchange == NULL ||
        sasl_listmech(exchange->conn, NULL, "", " ", "", &list, &len, NULL) != SASL_OK) {
        len = 0;
    }
    if (len >= SASL_MECHS_CAP) {
        len = SASL_MECHS_CAP - 1;
    }
    if (len > 0) {
        memcpy(names, list, len);
    }
    names[len] = '\0';
    if (exchange != NULL) {
        sasl_exchange_end(&exchange);
    }
}

/* -- exchanges --------------------------------------------------------------------------------- */

struct sasl_exchange *
sasl_exchange_begin(struct sasl_service *service)
{
    assert(service != NULL);
    struct sasl_exchange *exchange = calloc(1, sizeof(*exchange));
    if (exchange == NULL) {
        return NULL;
    }
    /* No layer of SASL's own over the packets (TLS is that), and nobody without a name. */
    sasl_security_properties_t properties = { .maxbufsize = 0,
                                              .security_flags = SASL_SEC_NOANONYMOUS };
    if (sasl_server_new(SERVICE, NULL, NULL, NULL, NULL, NULL, 0, &exchange->conn) != SASL_OK) {
        free(exchange);
        return NULL;
    }
    if (sasl_setprop(exchange->conn, SASL_SEC_PROPS, &properties) != SASL_OK) {
        sasl_exchange_end(&exchange);
    }
    return exchange;
}

static enum sasl_answer
answer_of(int code, const char *bytes, unsigned len, struct sasl_challenge *challenge)
{
    *challenge = (struct sasl_challenge){ bytes, bytes != NULL ? len : 0 };
    if (code == SASL_OK) {
        return SASL_ANSWER_WELCOME;
    }
    return code == SASL_CONTINUE ? SASL_ANSWER_MORE : SASL_ANSWER_REFUSED;
}

enum sasl_answer
sasl_exchange_start(struct sasl_exchange *exchange, const char *mech, const void *bytes, size_t len,
                    struct sasl_challenge *challenge)
{
    assert(len <= SASL_TOKEN_MAX);
    const char *reply = NULL;
    unsigned reply_len = 0;
    /* Nothing is not an empty first word: with it, most mechanisms let the server speak first. */
    int code = sasl_server_start(exchange->conn, mech, len > 0 ? bytes : NULL, (unsigned)len,
                                 &reply, &reply_len);
    return answer_of(code, reply, reply_len, challenge);
}

enum sasl_answer
sasl_exchange_step(struct sasl_exchange *exchange, const void *bytes, size_t len,
                   struct sasl_challenge *challenge)
{
    assert(len <= SASL_TOKEN_MAX);
    const char *reply = NULL;
    unsigned reply_len = 0;
    int code = sasl_server_step(exchange->conn, bytes, (unsigned)len, &reply, &reply_len);
    return answer_of(code, reply, reply_len, challenge);
}

void
sasl_exchange_end(struct sasl_exchange **exchange)
{
    sasl_dispose(&(*exchange)->conn);
    free(*exchange);
    *exchange = NULL;
}

#else

enum sasl_result
sasl_service_open(const struct settings *settings, struct credentials *passwords,
                  struct sasl_service **out, char *error)
{
    (void)settings;
    (void)passwords;
    *out = NULL;
    snprintf(error, SASL_ERROR_CAP, "-S: this build of larder has no SASL");
    return SASL_SERVICE_FAILED;
}

void
sasl_service_close(struct sasl_service *service)
{
    assert(service == NULL);
}

void
sasl_service_mechanisms(struct sasl_service *service, char *names)
{
    assert(service != NULL);
    names[0] = '\0';
}

struct sasl_exchange *
sasl_exchange_begin(struct sasl_service *service)
{
    assert(service != NULL);
    return NULL;
}

enum sasl_answer
sasl_exchange_start(struct sasl_exchange *exchange, const char *mech, const void *bytes, size_t len,
                    struct sasl_challenge *challenge)
{
    assert(exchange != NULL);
    (void)mech;
    (void)bytes;
    (void)len;
    *challenge = (struct sasl_challenge){ NULL, 0 };
    return SASL_ANSWER_REFUSED;
}

enum sasl_answer
sasl_exchange_step(struct sasl_exchange *exchange, const void *bytes, size_t len,
                   struct sasl_challenge *challenge)
{
    return sasl_exchange_start(exchange, "", bytes, len, challenge);
}

void
sasl_exchange_end(struct sasl_exchange **exchange)
{
    assert(*exchange != NULL);
    *exchange = NULL;
}

#endif
