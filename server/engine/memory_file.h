/* The file that item memory lies in, and the one beside it that says it is whole.
 *
 *     FILE        item pages as they lie in memory (pages.h); at the begin of page 0:
 *                   0   8   magic "larder-p"
 *                   8   8   id: that of the FILE.meta that belongs to these pages; 0 while a cache
 *                           uses them
 *     FILE.meta   restart_meta.h; there only between the stop of a cache and the next start
 *
 * A cache that starts removes FILE.meta and sets the id to 0 before it changes a page; one that
 * stops brings the pages to the disk, then FILE.meta, under its name by a rename.  So a FILE.meta
 * beside FILE with its id says that nothing has happened to the pages since, whatever crashed when.
 *
 * The file is locked while it is open.
 */
#ifndef LARDER_ENGINE_MEMORY_FILE_H
#define LARDER_ENGINE_MEMORY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory_file;

/**
 * Opens FILE, or makes it, empty.  What is neither that nor one of ours is refused, as is one that
 * another process uses or that belongs to another user.
 *
 * text   CACHE_START_TEXT_MAX bytes: why not
 */
struct memory_file *memory_file_open(const char *path, char *text);
/** NULL is taken. */
void memory_file_close(struct memory_file *file);

int memory_file_fd(const struct memory_file *file);
const char *memory_file_path(const struct memory_file *file);
/** Nothing was in it when it was opened. */
bool memory_file_is_new(const struct memory_file *file);
uint64_t memory_file_id(const struct memory_file *file);
/** Bytes, holes included. */
uint64_t memory_file_len(const struct memory_file *file);

enum memory_file_meta {
    MEMORY_FILE_META,
    MEMORY_FILE_NO_META,
    MEMORY_FILE_META_FAILED, /* text says why */
};
/** Reads FILE.meta whole; `*bytes` is the caller's to free. */
enum memory_file_meta memory_file_read_meta(const struct memory_file *file, uint8_t **bytes,
                                            size_t *len, char *text);

/** Writes to `text` (CACHE_START_TEXT_MAX bytes) what has become of a start or a stop, or why not. */
void memory_file_say(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** From here on the pages change.  `empty`: and there are none.  Errors: false, with text. */
bool memory_file_begin(struct memory_file *file, bool empty, char *text);
/** The pages are whole: brings them and their meta, which has the id too, to the disk.  Errors:
 * false, with text; there is no FILE.meta then. */
bool memory_file_end(struct memory_file *file, uint64_t id, const uint8_t *meta, size_t len,
                     char *text);

#endif
