/*
 * Texts in the character sets of MySQL and MariaDB, to UTF-8.
 *
 * Built in: utf8mb3, utf8mb4, ascii, latin1 (which is Windows' cp1252 there, with its five holes as
 * control characters), ucs2, utf16, utf16le, utf32.  The others go through iconv(3).  What iconv
 * does not have, or reads otherwise than the servers do, is answered CHARSET_UNKNOWN: a key in
 * other bytes than the application's would leave a stale value behind.
 */
#ifndef LARDER_MYSQL_CHARSET_H
#define LARDER_MYSQL_CHARSET_H

#include "mysql/bytes.h"

#define CHARSET_ICONV_MAX 32u /* character sets that go through iconv(3) */

/** Opened converters.  One thread at a time. */
struct charsets {
    void *converter[CHARSET_ICONV_MAX]; /* iconv_t; NULL: not opened yet */
};

enum charset_result {
    CHARSET_DONE,
    CHARSET_UNKNOWN, /* no such character set here, or the text has what cannot be converted */
};

/** Takes the next piece of UTF-8. */
typedef void charset_sink(void *context, const uint8_t *text, size_t len);

void charsets_init(struct charsets *charsets);
void charsets_fini(struct charsets *charsets);

/** Hands `text`, whose collation has this number, to `sink` as UTF-8, piece by piece. */
enum charset_result charset_convert(struct charsets *charsets, unsigned collation,
                                    struct bytes text, charset_sink *sink, void *context)
    __attribute__((warn_unused_result));

/** The name of a collation's character set, as the servers call it; NULL if it is not known. */
const char *charset_name(unsigned collation);

#endif
