/*
 * The rows of a rows event, one after the other, as the table map describes them.
 *
 *     bits of the columns in the image that are NULL; the values of the others
 *
 * An update has two images per row, before and after.  No allocation; a column that nobody asks for
 * is stepped over.
 */
#ifndef LARDER_MYSQL_ROW_H
#define LARDER_MYSQL_ROW_H

#include "mysql/value.h"

/** Walks over rows; the columns and the event's bytes must stay while it does. */
struct row_walk {
    struct bytes_cursor cur;
    const struct column *columns;
    uint32_t column_count;
    const uint8_t *before; /* as in struct event_rows */
    const uint8_t *after;
    uint32_t before_count; /* columns in the image */
    uint32_t after_count;
    uint32_t json_count; /* JSON columns of the table */
    bool partial_json;
    const uint16_t *slots; /* for each column where its value goes; ROW_SKIP: nowhere */
};

#define ROW_SKIP UINT16_MAX

enum row_result {
    ROW_NEXT,
    ROW_END,
    ROW_BAD,
};

/**
 * Begins a walk.  False if event and columns do not belong together.
 *
 * slots    for each column, where among the values its own goes, or ROW_SKIP; NULL: all, in order
 */
bool row_walk_begin(struct row_walk *walk, const struct event_rows *rows,
                    const struct column *columns, size_t column_count, const uint16_t *slots)
    __attribute__((warn_unused_result));

/**
 * Takes the next row.  `before` and `after` are the caller's, with room for every slot; they are
 * written for the images that the event has (an insert has no `before`).  A column that is not in
 * the image is VALUE_ABSENT.
 *
 * An insert whose image holds no column at all (MINIMAL, nothing but defaults) has no bytes: its
 * rows cannot be counted, and ROW_END comes at once.  A JSON column that is only given as a change
 * of the value before is VALUE_UNREADABLE.
 */
enum row_result row_next(struct row_walk *walk, struct value *before, struct value *after)
    __attribute__((warn_unused_result));

#endif
