/*
 * Configuration files: the input is one.  It is cut in a piece of heap of its own, so that a byte
 * too far is seen, and the words have to lie in it, in order, without NUL, each with its own end.
 */
#include "config_file.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_line(const struct config_line *line, const char *from, const char *to)
{
    assert(line->count >= 1 && line->count <= CONFIG_WORDS_MAX);
    for (unsigned i = 0; i < line->count; i++) {
        const char *word = line->words[i];
        assert(word >= from && word <= to);
        from = word + strlen(word) + 1;
        assert(from <= to + 1 && strchr(word, '\n') == NULL);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);
    assert(text != NULL);
    memcpy(text, data, len);
    text[len] = 'x'; /* config_next() may write it, and must not read it */
    unsigned lines = 1;
    for (size_t i = 0; i < len; i++) {
        lines += data[i] == '\n';
    }
    struct config_cursor cursor = { text, text + len, 0 };
    struct config_line line;
    for (;;) {
        const char *from = cursor.at;
        unsigned before = cursor.line;
        enum config_result result = config_next(&cursor, &line);
        assert(cursor.at >= from && cursor.at <= cursor.end && cursor.end == text + len);
        assert(cursor.line <= lines);
        if (result == CONFIG_END) {
            assert(cursor.at == cursor.end);
            break;
        }
        assert(cursor.line > before);
        if (result != CONFIG_LINE) {
            assert(config_error(result)[0] != '\0');
            break;
        }
        check_line(&line, from, text + len);
    }
    free(text);
    return 0;
}
