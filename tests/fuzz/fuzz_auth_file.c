/*
 * The file of users: entries and line numbers against a second, plain reading of the same bytes;
 * and every prefix of the input is a file, too.
 */
#include "admin/auth_file.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/** The result that the line at `at` must have. */
static enum auth_file_result
expected(const uint8_t *at, const uint8_t *end, size_t *line_len, size_t *colon_at)
{
    if (at == end) {
        return AUTH_FILE_END;
    }
    size_t len = 0;
    while (at + len < end && at[len] != '\n') {
        len++;
    }
    if (at + len < end && len > 0 && at[len - 1] == '\r') {
        len--;
    }
    *line_len = len;
    for (*colon_at = 0; *colon_at < len && at[*colon_at] != ':'; (*colon_at)++) {
    }
    if (len > AUTH_FILE_LINE_MAX) {
        return AUTH_FILE_LINE_TOO_LONG;
    }
    return *colon_at < len ? AUTH_FILE_ENTRY : AUTH_FILE_NO_COLON;
}

static void
check_file(const uint8_t *bytes, size_t len)
{
    struct auth_file_reader reader;
    auth_file_open(&reader, bytes, len);
    for (unsigned line = 1;; line++) {
        const uint8_t *at = reader.at;
        struct auth_entry entry;
        size_t line_len = 0;
        size_t colon_at = 0;
        enum auth_file_result want = expected(at, bytes + len, &line_len, &colon_at);
        enum auth_file_result got = auth_file_next(&reader, &entry);
        assert(got == want);
        assert(reader.at >= at && reader.at <= bytes + len);
        if (got == AUTH_FILE_END) {
            assert(reader.at == bytes + len && reader.line == line - 1);
            return;
        }
        assert(reader.line == line && reader.at > at);
        if (got == AUTH_FILE_ENTRY) {
            assert(entry.user == at && entry.user_len == colon_at);
            assert(entry.password == at + colon_at + 1);
            assert((size_t)entry.user_len + 1 + entry.password_len == line_len);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    size_t step = 1 + len / 64;
    for (size_t prefix = 0; prefix <= len; prefix += step) {
        uint8_t *copy = malloc(prefix > 0 ? prefix : 1); /* its end is the heap's */
        assert(copy != NULL);
        if (prefix > 0) {
            memcpy(copy, data, prefix);
        }
        check_file(copy, prefix);
        free(copy);
    }
    check_file(data, len);
    return 0;
}
