/*
 * MySQL's binary JSON, as it stands in tables and logs, to text as MySQL prints it.
 *
 * (MariaDB's JSON is a text in the first place.)
 */
#ifndef LARDER_MYSQL_JSON_H
#define LARDER_MYSQL_JSON_H

#include "mysql/bytes.h"
#include "mysql/writer.h"

#define JSON_DEPTH_MAX 100u /* arrays and objects in one another: MySQL's own bound */

/**
 * Writes a JSON value.  False if it is broken; what does not fit shows in `out`.
 *
 * Source: json_binary.h of MySQL.
 */
bool json_write(struct bytes binary, struct writer *out) __attribute__((warn_unused_result));

#endif
