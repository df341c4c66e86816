/* Who may log in, as a file says: loaded at the start, and again by SIGHUP.
 *
 * No password is kept.  Each line of the file becomes a digest, keyed with a secret of this
 * process, and so does a login; the digests are sorted, and looked up by halves.  So the time of a
 * check tells nothing about users or passwords: what a digest begins with, and where it would lie
 * among the others, nobody can know without the key, and every login takes the same steps up to
 * there.  It also does not grow with the users, as a comparison with each of them would.
 */
#ifndef LARDER_ADMIN_CREDENTIALS_H
#define LARDER_ADMIN_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>

struct credentials;

enum credentials_result {
    CREDENTIALS_OK,
    CREDENTIALS_UNREADABLE, /* no such file, no right to read it, too long */
    CREDENTIALS_MALFORMED,  /* a line is */
    CREDENTIALS_NO_MEMORY,
};

#define CREDENTIALS_ERROR_CAP 512u /* bytes of a text with what went wrong, NUL included */

/**
 * Loads a file.
 *
 * path    copied, as an absolute path: a daemon's working directory changes
 * out     the caller's to destroy, on CREDENTIALS_OK
 * error   out, CREDENTIALS_ERROR_CAP bytes: names the file and, where a line is bad, its number;
 *         never what stands in it
 */
__attribute__((warn_unused_result)) enum credentials_result
credentials_create(const char *path, struct credentials **out, char *error);

/** Loads the file again.  What was in use stays in use when that fails.  Any thread. */
__attribute__((warn_unused_result)) enum credentials_result
credentials_reload(struct credentials *credentials, char *error);

/** Whether this user has this password.  An empty one of either is always wrong.  Any thread. */
bool credentials_check(struct credentials *credentials, const void *user, size_t user_len,
                       const void *password, size_t password_len);

/** Entries of the file in use.  Any thread. */
size_t credentials_count(struct credentials *credentials);

/** The file, as credentials_create() got it.  Constant. */
const char *credentials_name(const struct credentials *credentials);

/** NULL is fine. */
void credentials_destroy(struct credentials *credentials);

#endif
