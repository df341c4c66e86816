/*
 * A value as text: for keys, and as JSON.
 *
 * As text a value is what a SELECT of it prints, in UTF-8, except that
 *
 *     TIMESTAMP            is in UTC, whatever the time zone of the application's session
 *     BIT                  is a decimal number, as BIT + 0 prints it
 *     FLOAT(M,D)           and DOUBLE(M,D), ZEROFILL: the log does not have these, so without them
 *     BINARY, BLOB,        are the bytes themselves (BINARY with all its NULs)
 *     GEOMETRY, VECTOR
 *
 * As JSON, numbers are JSON numbers, JSON columns are themselves, a VECTOR is an array, other bytes
 * are base64, and everything else is a string of the text.
 */
#ifndef LARDER_MYSQL_RENDER_H
#define LARDER_MYSQL_RENDER_H

#include "mysql/charset.h"
#include "mysql/value.h"
#include "mysql/writer.h"

enum render_result {
    RENDER_DONE,
    RENDER_NULL,   /* NULL has no text (as JSON: null, done) */
    RENDER_ABSENT, /* the image does not have the column */
    RENDER_FULL,   /* the text is longer than the room */
    RENDER_WIDEN,  /* the text cannot be told, for `*reason` */
};

/** Writes the value's text.  `reason`: out, static text, on RENDER_WIDEN. */
enum render_result render_text(const struct value *value, struct charsets *charsets,
                               struct writer *out, const char **reason)
    __attribute__((warn_unused_result));

enum render_result render_json(const struct value *value, struct charsets *charsets,
                               struct writer *out, const char **reason)
    __attribute__((warn_unused_result));

#endif
