#include "config.h"

#include "admin/auth_file.h"

#include "base/assert.h"

#include <string.h>

void
auth_file_open(struct auth_file_reader *reader, const void *bytes, size_t len)
{
    assert(bytes != NULL || len == 0);
    const uint8_t *at = bytes;
    *reader = (struct auth_file_reader){ .at = at, .end = len > 0 ? at + len : at };
}

enum auth_file_result
auth_file_next(struct auth_file_reader *reader, struct auth_entry *out)
{
    assert(reader->at <= reader->end);
    if (reader->at == reader->end) {
        return AUTH_FILE_END;
    }
    const uint8_t *line = reader->at;
    const uint8_t *lf = memchr(line, '\n', (size_t)(reader->end - line));
    const uint8_t *line_end = lf != NULL ? lf : reader->end;
    if (lf != NULL && line_end > line && line_end[-1] == '\r') {
        line_end--;
    }
    reader->at = lf != NULL ? lf + 1 : reader->end;
    reader->line++;
    size_t len = (size_t)(line_end - line);
    if (len > AUTH_FILE_LINE_MAX) {
        return AUTH_FILE_LINE_TOO_LONG;
    }
    const uint8_t *colon = memchr(line, ':', len);
    if (colon == NULL) {
        return AUTH_FILE_NO_COLON;
    }
    out->user = line;
    out->user_len = (uint8_t)(colon - line);
    out->password = colon + 1;
    out->password_len = (uint8_t)(line_end - colon - 1);
    return AUTH_FILE_ENTRY;
}
