#include "config.h"

#include "net/tls.h"

#include "base/assert.h"
#include "base/lock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_TLS

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <unistd.h>

#define TLS_RECORD_MAX 16384u /* bytes; a longer message comes in several records */
#define CIPHERS_CAP    4096u  /* bytes of ssl_ciphers, NUL included */

/** Locking key: (l) `lock`; reload_lock lets one reload happen at a time, so that the files read
 * last are the ones in use; the rest is constant. */
struct tls {
    struct lock reload_lock;
    struct lock lock;
    SSL_CTX *context; /* (l) */
    const struct settings *settings;
    char *chain_cert; /* paths; absolute for a daemon, which leaves the folder it was started in */
    char *key;
    char *ca_cert; /* NULL for none */
};

static _Thread_local char last_error[256];

/* -- what went wrong --------------------------------------------------------------------------- */

/** The first reason that OpenSSL gives; later ones only tell through which of its functions. */
static void
reason_text(char *buf, size_t cap)
{
    unsigned long code = ERR_get_error();
    if (code == 0) {
        snprintf(buf, cap, "no reason given");
    } else {
        ERR_error_string_n(code, buf, cap);
    }
    ERR_clear_error();
}

/** "Error loading the key: FILE : reason", and behind a line end what would be right. */
static enum tls_result
fail(char *error, const char *what, const char *name, const char *hint)
{
    char reason[160];
    reason_text(reason, sizeof(reason));
    snprintf(error, TLS_ERROR_CAP, "%s: %.200s : %s\n%s", what, name, reason, hint);
    return TLS_FAILED;
}

/* -- contexts ---------------------------------------------------------------------------------- */

static int
min_protocol(const struct settings *settings)
{
    static const int versions[] = { TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION };
    assert(settings->ssl_min_version < sizeof(versions) / sizeof(versions[0]));
    return versions[settings->ssl_min_version];
}

/** A key with a pass phrase is an error, not a question on the terminal. */
static int
no_pass_phrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return 0;
}

/** TLS 1.3 suites have names of their own kind, and OpenSSL keeps them in a list of their own.
 * When only such are named, only TLS 1.3 is left. */
static enum tls_result
load_ciphers(SSL_CTX *context, const char *ciphers, char *error)
{
    char older[CIPHERS_CAP] = "";
    char suites[CIPHERS_CAP] = "";
    size_t len = strlen(ciphers);
    bool fits = len < CIPHERS_CAP;
    for (const char *at = ciphers; fits && *at != '\0';) {
        size_t n = strcspn(at, ":");
        char *list = strncmp(at, "TLS_", 4) == 0 ? suites : older;
        size_t used = strlen(list);
        if (used > 0) {
            list[used++] = ':';
        }
        memcpy(list + used, at, n);
        list[used + n] = '\0';
        at += n;
        at += *at == ':' ? 1 : 0;
    }
    if (!fits || (older[0] == '\0' && suites[0] == '\0') ||
        (older[0] != '\0' && SSL_CTX_set_cipher_list(context, older) != 1) ||
        (suites[0] != '\0' && SSL_CTX_set_ciphersuites(context, suites) != 1) ||
        (older[0] == '\0' && SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1)) {
        ERR_clear_error();
        snprintf(error, TLS_ERROR_CAP,
                 "Error setting the provided cipher(s): %.200s\n"
                 "-o ssl_ciphers takes names split by colons, as `openssl ciphers` prints them",
                 ciphers);
        return TLS_FAILED;
    }
    return TLS_OK;
}

static enum tls_result
load_files(const struct tls *tls, SSL_CTX *context, char *error)
{
    int format = tls->settings->ssl_keyformat == SSL_KEY_DER ? SSL_FILETYPE_ASN1 : SSL_FILETYPE_PEM;
    if (SSL_CTX_use_certificate_chain_file(context, tls->chain_cert) != 1) {
        return fail(error, "Error loading the certificate chain", tls->chain_cert,
                    "-o ssl_chain_cert takes a PEM file: the server's certificate, then those that"
                    " vouch for it");
    }
    if (SSL_CTX_use_PrivateKey_file(context, tls->key, format) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
        return fail(error, "Error loading the key", tls->key,
                    "-o ssl_key takes the key of the first certificate in ssl_chain_cert, without a"
                    " pass phrase; ssl_keyformat is PEM or DER");
    }
    if (tls->ca_cert == NULL) {
        return TLS_OK;
    }
    STACK_OF(X509_NAME) *names = NULL;
    if (SSL_CTX_load_verify_locations(context, tls->ca_cert, NULL) != 1 ||
        (names = SSL_load_client_CA_file(tls->ca_cert)) == NULL) {
        return fail(error, "Error loading the CA certificate", tls->ca_cert,
                    "-o ssl_ca_cert takes a PEM file with the certificates that vouch for clients");
    }
    SSL_CTX_set_client_CA_list(context, names); /* and owns it */
    return TLS_OK;
}

/** What does not come from files. */
static enum tls_result
configure(const struct settings *settings, SSL_CTX *context, char *error)
{
    uint64_t options = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION;
#ifdef SSL_OP_IGNORE_UNEXPECTED_EOF
    options |= SSL_OP_IGNORE_UNEXPECTED_EOF; /* commands have a length: nothing is cut unnoticed */
#endif
#ifdef SSL_OP_ENABLE_KTLS
    if (settings->ssl_kernel_tls) {
        options |= SSL_OP_ENABLE_KTLS; /* has no effect where the kernel cannot */
    }
#endif
    if (settings->ssl_session_cache) {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER);
    } else {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        options |= SSL_OP_NO_TICKET;
        (void)SSL_CTX_set_num_tickets(context, 0);
    }
    SSL_CTX_set_options(context, options);
    /* A stream gives its buffers of 16 KiB back with each turn, but for those that tls_holders_turn() keeps
     * supplied.  Read-ahead saves the system call for a
     * record's head; what it has received is used up before the loop waits, see conn.c. */
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_passwd_cb(context, no_pass_phrase);
    if (settings->ssl_min_version < SSL_MIN_TLS_1_2) {
        SSL_CTX_set_security_level(context, 0); /* else OpenSSL 3 refuses what was asked for */
    }
    if (SSL_CTX_set_min_proto_version(context, min_protocol(settings)) != 1) {
        return fail(error, "Error setting the version", "-o ssl_min_version",
                    "OpenSSL was built without it");
    }
    return settings->ssl_ciphers != NULL ? load_ciphers(context, settings->ssl_ciphers, error)
                                         : TLS_OK;
}

/** A context of the files as they are now; NULL with `error`. */
static SSL_CTX *
context_create(const struct tls *tls, char *error)
{
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL) {
        (void)fail(error, "Error starting TLS", "SSL_CTX_new()", "OpenSSL does not work here");
        return NULL;
    }
    if (configure(tls->settings, context, error) != TLS_OK ||
        load_files(tls, context, error) != TLS_OK) {
        SSL_CTX_free(context);
        return NULL;
    }
    ERR_clear_error();
    return context;
}

/** A copy; absolute for a daemon. */
static char *
path_copy(const struct settings *settings, const char *path)
{
    char here[4096];
    char *copy = NULL;
    if (!settings->daemonize || path[0] == '/' || getcwd(here, sizeof(here)) == NULL) {
        return strdup(path);
    }
    return asprintf(&copy, "%s/%s", here, path) >= 0 ? copy : NULL;
}

enum tls_result
tls_create(const struct settings *settings, struct tls **out, char *error)
{
    *out = NULL;
    assert(settings->ssl_chain_cert != NULL);
    struct tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL) {
        snprintf(error, TLS_ERROR_CAP, "out of memory");
        return TLS_FAILED;
    }
    lock_init(&tls->reload_lock, LOCK_RANK_TLS_RELOAD);
    lock_init(&tls->lock, LOCK_RANK_TLS);
    tls->settings = settings;
    tls->chain_cert = path_copy(settings, settings->ssl_chain_cert);
    /* The key may stand behind the certificates in their file. */
    tls->key = path_copy(settings,
                         settings->ssl_key != NULL ? settings->ssl_key : settings->ssl_chain_cert);
    tls->ca_cert =
        settings->ssl_ca_cert != NULL ? path_copy(settings, settings->ssl_ca_cert) : NULL;
    if (tls->chain_cert == NULL || tls->key == NULL ||
        (settings->ssl_ca_cert != NULL && tls->ca_cert == NULL)) {
        snprintf(error, TLS_ERROR_CAP, "out of memory");
        tls_destroy(tls);
        return TLS_FAILED;
    }
    tls->context = context_create(tls, error);
    if (tls->context == NULL) {
        tls_destroy(tls);
        return TLS_FAILED;
    }
    *out = tls;
    return TLS_OK;
}

void
tls_destroy(struct tls *tls)
{
    if (tls == NULL) {
        return;
    }
    SSL_CTX_free(tls->context);
    lock_fini(&tls->lock);
    lock_fini(&tls->reload_lock);
    free(tls->chain_cert);
    free(tls->key);
    free(tls->ca_cert);
    free(tls);
}

enum tls_result
tls_reload(struct tls *tls, char *error)
{
    lock_acquire(&tls->reload_lock);
    SSL_CTX *fresh = context_create(tls, error);
    if (fresh != NULL) {
        lock_acquire(&tls->lock);
        SSL_CTX *old = tls->context;
        tls->context = fresh;
        lock_release(&tls->lock);
        SSL_CTX_free(old); /* lives on as long as a stream holds it */
    } else {
        error[strcspn(error, "\n")] = '\0';
    }
    lock_release(&tls->reload_lock);
    return fresh != NULL ? TLS_OK : TLS_FAILED;
}

/* -- streams ----------------------------------------------------------------------------------- */

static int
verify_flags(const struct settings *settings, enum tls_mode mode)
{
    switch (mode) {
    case TLS_MODE_BASIC:
        return SSL_VERIFY_NONE;
    case TLS_MODE_MUTUAL:
        return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    case TLS_MODE_OFF:
    case TLS_MODE_DEFAULT:
        break;
    }
    return (int)settings_ssl_verify_flags(settings);
}
_Static_assert(SSL_VERIFY_PEER == 1 && SSL_VERIFY_FAIL_IF_NO_PEER_CERT == 2 &&
                   SSL_VERIFY_CLIENT_ONCE == 4,
               "as settings_ssl_verify_flags() has them");

bool
tls_stream_open(struct tls *tls, enum tls_mode mode, int fd, struct tls_stream *stream)
{
    assert(mode != TLS_MODE_OFF);
    *stream = (struct tls_stream){ .end = TLS_DONE };
    lock_acquire(&tls->lock);
    SSL_CTX *context = tls->context;
    int rc = SSL_CTX_up_ref(context);
    lock_release(&tls->lock);
    assert(rc == 1);

    stream->ssl = SSL_new(context);
    SSL_CTX_free(context);
    if (stream->ssl == NULL) {
        ERR_clear_error();
        return false;
    }
    /* A session without a client's certificate is not taken up where one is asked for. */
    int flags = verify_flags(tls->settings, mode);
    unsigned char id = (unsigned char)flags;
    SSL_set_verify(stream->ssl, flags, NULL);
    if (SSL_set_session_id_context(stream->ssl, &id, sizeof(id)) != 1 ||
        SSL_set_fd(stream->ssl, fd) != 1) {
        SSL_free(stream->ssl);
        stream->ssl = NULL;
        ERR_clear_error();
        return false;
    }
    SSL_set_accept_state(stream->ssl);
    return true;
}

void
tls_stream_close(struct tls_stream *stream)
{
    if (stream->open && !stream->write_held && !stream->broken) {
        (void)SSL_shutdown(stream->ssl);
    }
    SSL_free(stream->ssl);
    stream->ssl = NULL;
    ERR_clear_error();
}

void
tls_stream_hold(struct tls_stream *stream, bool hold)
{
    if (hold) {
        (void)SSL_clear_mode(stream->ssl, SSL_MODE_RELEASE_BUFFERS);
        return;
    }
    (void)SSL_set_mode(stream->ssl, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_free_buffers(stream->ssl); /* not what is half received or sent: when that is done */
}

const char *
tls_error(void)
{
    return last_error;
}

/** Before an operation: what others have left on this thread would be taken for its error.
 * ERR_clear_error() alone costs 2,100 instructions also when there is nothing. */
static void
forget_errors(void)
{
    if (__builtin_expect(ERR_peek_error() != 0, 0)) {
        ERR_clear_error();
    }
}

/** What an operation that did not succeed asks for. */
static enum tls_step
step_of(struct tls_stream *stream, int rc)
{
    switch (SSL_get_error(stream->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        stream->end = TLS_END;
        return TLS_END;
    case SSL_ERROR_SYSCALL: /* the socket is broken: no fault in the protocol */
        ERR_clear_error();
        stream->broken = true;
        stream->end = TLS_END;
        return TLS_END;
    default:
        reason_text(last_error, sizeof(last_error));
        stream->broken = true;
        stream->end = TLS_ERROR;
        return TLS_ERROR;
    }
}

enum tls_step
tls_handshake(struct tls_stream *stream)
{
    assert(!stream->open);
    forget_errors();
    int rc = SSL_do_handshake(stream->ssl);
    if (rc == 1) {
        stream->open = true;
        stream->resumed = SSL_session_reused(stream->ssl) == 1;
        return TLS_DONE;
    }
    enum tls_step step = step_of(stream, rc);
    if (step == TLS_END) {
        snprintf(last_error, sizeof(last_error), "closed by the client during the handshake");
        return TLS_ERROR;
    }
    return step;
}

enum tls_step
tls_receive(struct tls_stream *stream, const struct iovec *iov, unsigned pieces, size_t *got)
{
    assert(stream->open && pieces > 0);
    *got = 0;
    if (stream->end != TLS_DONE) {
        return (enum tls_step)stream->end;
    }
    forget_errors();
    size_t used = 0; /* bytes of the piece */
    for (;;) {
        size_t n = 0;
        size_t room = iov->iov_len - used;
        int rc = SSL_read_ex(stream->ssl, (char *)iov->iov_base + used, room, &n);
        if (rc != 1) {
            enum tls_step step = step_of(stream, rc);
            stream->drained = step == TLS_WANTS_READ;
            return *got > 0 ? TLS_DONE : step; /* an end is told next time */
        }
        stream->drained = false;
        *got += n;
        used += n;
        if (n == room) {
            used = 0;
            iov++;
            pieces--;
        }
        /* Behind a full record there is mostly another. */
        if (pieces == 0 || (n < TLS_RECORD_MAX && SSL_has_pending(stream->ssl) == 0)) {
            return TLS_DONE;
        }
    }
}

bool
tls_holds_input(const struct tls_stream *stream)
{
    return stream->end != TLS_DONE || (!stream->drained && SSL_has_pending(stream->ssl) != 0);
}

enum tls_step
tls_send(struct tls_stream *stream, const struct iovec *iov, unsigned pieces, void *buf, size_t cap,
         size_t *sent)
{
    assert(stream->open && pieces > 0 && cap > 0);
    *sent = 0;
    if (stream->broken) {
        return TLS_END;
    }
    const void *at = iov[0].iov_base;
    size_t len = iov[0].iov_len < cap ? iov[0].iov_len : cap;
    if (pieces > 1 && len < cap) {
        char *to = buf;
        len = 0;
        for (unsigned i = 0; i < pieces && len < cap; i++) {
            size_t n = iov[i].iov_len < cap - len ? iov[i].iov_len : cap - len;
            memcpy(to + len, iov[i].iov_base, n);
            len += n;
        }
        at = buf;
    }
    forget_errors();
    int rc = SSL_write_ex(stream->ssl, at, len, sent);
    if (rc == 1) {
        stream->write_held = false;
        return TLS_DONE;
    }
    *sent = 0;
    enum tls_step step = step_of(stream, rc);
    stream->write_held = step == TLS_WANTS_WRITE;
    return step;
}

#else

enum tls_result
tls_create(const struct settings *settings, struct tls **out, char *error)
{
    (void)settings;
    *out = NULL;
    snprintf(error, TLS_ERROR_CAP, "this build of larder has no TLS");
    return TLS_FAILED;
}

/* There is no struct tls, and so no stream: nobody calls these. */

void
tls_destroy(struct tls *tls)
{
    assert(tls == NULL);
}

enum tls_result
tls_reload(struct tls *tls, char *error)
{
    assert(tls != NULL);
    error[0] = '\0';
    return TLS_FAILED;
}

bool
tls_stream_open(struct tls *tls, enum tls_mode mode, int fd, struct tls_stream *stream)
{
    assert(tls != NULL);
    (void)mode;
    (void)fd;
    (void)stream;
    return false;
}

void
tls_stream_close(struct tls_stream *stream)
{
    assert(stream->open);
}

enum tls_step
tls_handshake(struct tls_stream *stream)
{
    assert(stream->open);
    return TLS_ERROR;
}

enum tls_step
tls_receive(struct tls_stream *stream, const struct iovec *iov, unsigned pieces, size_t *got)
{
    assert(stream->open);
    (void)iov;
    (void)pieces;
    *got = 0;
    return TLS_ERROR;
}

bool
tls_holds_input(const struct tls_stream *stream)
{
    assert(stream->open);
    return false;
}

enum tls_step
tls_send(struct tls_stream *stream, const struct iovec *iov, unsigned pieces, void *buf, size_t cap,
         size_t *sent)
{
    assert(stream->open);
    (void)iov;
    (void)pieces;
    (void)buf;
    (void)cap;
    *sent = 0;
    return TLS_ERROR;
}

void
tls_stream_hold(struct tls_stream *stream, bool hold)
{
    assert(stream->open);
    (void)hold;
}

const char *
tls_error(void)
{
    return "";
}

#endif
