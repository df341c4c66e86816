/* The file of -Y and of MEMCACHED_SASL_PWDB: who may log in.
 *
 *     user:password LF     one per line; the first colon splits.  The last line may lack its LF,
 *                          and a CR before a LF is dropped
 *
 * Neither comments nor blank lines.  A user may have several lines, each password is good then.
 * An empty user or password is taken here, and opens no door: a login has both.
 *
 * Pure: bytes in, entries out.
 */
#ifndef LARDER_ADMIN_AUTH_FILE_H
#define LARDER_ADMIN_AUTH_FILE_H

#include <stddef.h>
#include <stdint.h>

#define AUTH_FILE_LINE_MAX 255u                 /* bytes, without the line end */
#define AUTH_FILE_LEN_MAX  (4u * 1024u * 1024u) /* bytes of a file: the bound of its users */

enum auth_file_result {
    AUTH_FILE_ENTRY,
    AUTH_FILE_END,
    AUTH_FILE_NO_COLON,      /* in line `reader.line` */
    AUTH_FILE_LINE_TOO_LONG, /* the same */
};

struct auth_file_reader {
    const uint8_t *at;
    const uint8_t *end;
    unsigned line; /* number of the line read last, from 1; 0 before the first */
};

/** Borrowed from the file's bytes. */
struct auth_entry {
    const uint8_t *user;
    const uint8_t *password;
    uint8_t user_len;
    uint8_t password_len;
};

void auth_file_open(struct auth_file_reader *reader, const void *bytes, size_t len);

/** The entry of the next line.  After an error it is the line behind the bad one. */
__attribute__((warn_unused_result)) enum auth_file_result
auth_file_next(struct auth_file_reader *reader, struct auth_entry *out);

#endif
