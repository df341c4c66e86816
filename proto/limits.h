/* Bounds of the wire formats.  Source: protocol text, sections 1.1 and 1.2 of the contract. */
#ifndef LARDER_PROTO_LIMITS_H
#define LARDER_PROTO_LIMITS_H

#define KEY_LEN_MAX 250u /* bytes */

/* Bytes of a line, its end included; a shorter line is a format error. */
#define LINE_LEN_MIN 4u
/* Bytes buffered without LF before the connection is closed; text_line_too_long() spares gets, */
#define LINE_LEN_MAX 2048u
/* which may have so many spaces before them. */
#define LINE_SPACES_MAX 100u

#define ARGS_MAX         24u         /* words after the command that are looked at */
#define VALUE_LEN_LIMIT  2147483645u /* largest <bytes> that the parser takes */
#define NUMBER32_LEN_MAX 11u         /* characters of a digits-only number of 32 bits */
#define NUMBER64_LEN_MAX 22u         /* and of one of 64 bits; a sign counts */

#define META_WORDS_MAX  20u /* words of a meta command line, command and key among them */
#define META_OPAQUE_MAX 31u /* bytes of an O flag's token */

#define BINARY_BODY_LEN_MAX (1024u * 1024 * 1024) /* bytes behind a binary request's header */
#define BINARY_MECH_LEN_MAX 32u                   /* bytes of a SASL mechanism's name */

#define UDP_DATAGRAM_MAX 1400u /* bytes of a reply datagram, its frame header among them */

#endif
