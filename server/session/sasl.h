/* SASL: the only door to Cyrus libsasl2.
 *
 * Its state is the process's: at most one service at a time.  Which mechanisms there are, and who
 * may log in, says its configuration: memcached.conf in the folders of SASL_CONF_PATH, else in
 * /etc/sasl or /etc/sasl2.  With a file of passwords (MEMCACHED_SASL_PWDB) those open to PLAIN,
 * too, and no configuration is needed; without one they alone do.
 *
 * A build without libsasl2 (HAVE_SASL is not defined) has sasl_service_open(), which fails, and no
 * exchanges.
 */
#ifndef LARDER_SESSION_SASL_H
#define LARDER_SESSION_SASL_H

#include "admin/credentials.h"
#include "admin/settings.h"

#include <stddef.h>
#include <stdint.h>

struct sasl_service;
struct sasl_exchange;

enum sasl_result {
    SASL_SERVICE_OK,
    SASL_SERVICE_FAILED,
};

#define SASL_ERROR_CAP 512u         /* bytes of a text with what went wrong, NUL included */
#define SASL_TOKEN_MAX (32u * 1024) /* bytes that a client sends in one step */
#define SASL_MECHS_CAP 1024u        /* bytes of all mechanisms' names, NUL included */

/**
 * Starts Cyrus.  Before there are other threads.
 *
 * settings    borrowed until sasl_service_close(): -v says what of Cyrus' messages is shown
 * passwords   NULL, or borrowed until sasl_service_close()
 * out         the caller's to close, on SASL_SERVICE_OK
 * error       out, SASL_ERROR_CAP bytes
 */
__attribute__((warn_unused_result)) enum sasl_result
sasl_service_open(const struct settings *settings, struct credentials *passwords,
                  struct sasl_service **out, char *error);
/** When all exchanges have ended and no other thread is left.  NULL is fine. */
void sasl_service_close(struct sasl_service *service);

/** The names of the mechanisms, split by spaces; empty when Cyrus has none.  Any thread.
 *
 * names   out, SASL_MECHS_CAP bytes
 */
void sasl_service_mechanisms(struct sasl_service *service, char *names);

/** What a step came to. */
enum sasl_answer {
    SASL_ANSWER_WELCOME, /* the client is who it says */
    SASL_ANSWER_MORE,    /* it gets the challenge, and answers it with another step */
    SASL_ANSWER_REFUSED,
};

/** Bytes for the client; borrowed until the exchange's next step or end. */
struct sasl_challenge {
    const char *at;
    size_t len;
};

/** NULL: no memory.  An exchange is one thread's. */
struct sasl_exchange *sasl_exchange_begin(struct sasl_service *service);
/** May wait for files, or for the daemon that knows the passwords.  mech: NUL at its end. */
enum sasl_answer sasl_exchange_start(struct sasl_exchange *exchange, const char *mech,
                                     const void *bytes, size_t len,
                                     struct sasl_challenge *challenge);
/** The same. */
enum sasl_answer sasl_exchange_step(struct sasl_exchange *exchange, const void *bytes, size_t len,
                                    struct sasl_challenge *challenge);
/** Sets it to NULL. */
void sasl_exchange_end(struct sasl_exchange **exchange);

#endif
