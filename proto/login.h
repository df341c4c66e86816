/*
 * Before a login of the text protocol (-Y): a line is the head of one, or anything else.
 *
 *     set <any> <any> <any> <bytes> [<any>...] CR LF
 *     <user> SP <password> CR LF
 *
 * The first space of the data block splits; so a password may hold spaces.
 */
#ifndef LARDER_PROTO_LOGIN_H
#define LARDER_PROTO_LOGIN_H

#include "parse.h"

#define LOGIN_LINE_MIN  6u     /* bytes, line end included: a shorter one closes the connection */
#define LOGIN_TOKEN_MAX 16384u /* bytes of user, space and password */

enum login_line {
    LOGIN_HEAD,  /* the data block of `bytes` bytes and CR LF follow */
    LOGIN_OTHER, /* any other command, or a length that is none */
    LOGIN_SHORT, /* fewer than LOGIN_LINE_MIN bytes */
};

struct login {
    enum login_line line;
    uint32_t bytes; /* of the data block; 0 but for LOGIN_HEAD.  May be above LOGIN_TOKEN_MAX */
};

/**
 * Parses one line, and steps behind its LF.
 *
 * PARSE_DONE  `out` is set
 * PARSE_MORE  no LF yet; nothing moved
 * Never answers PARSE_BAD.
 *
 * Source: contract 1.11; that spaces may come first, and words behind the length, was seen live.
 */
enum parse_status login_parse(struct cursor *cur, struct login *out) PARSE_MUST_CHECK;

/**
 * Splits a data block, which comes without its CR LF.
 *
 * Errors: PARSE_BAD without a space, and for an empty user or password.
 */
enum parse_status login_split(struct span token, struct span *user,
                              struct span *password) PARSE_MUST_CHECK;

#endif
