/* Texts of numbers and times that render.c and json.c share. */
#ifndef LARDER_MYSQL_RENDER_PRIV_H
#define LARDER_MYSQL_RENDER_PRIV_H

#include "mysql/value.h"
#include "mysql/writer.h"

/** A DECIMAL of the column's digits; `at` has column->width bytes. */
void render_decimal(const struct column *column, const uint8_t *at, struct writer *out);

/** A temporal as MySQL keeps it in memory, which is what JSON has; always with six decimals. */
void render_packed_temporal(uint8_t type, int64_t packed, struct writer *out);

#endif
