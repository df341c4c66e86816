/* --config FILE: options from a file, before those of the command line. */
#include "config.h"

#include "options_priv.h"

#include "base/assert.h"
#include "config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_SIZE_MAX (256u * 1024) /* bytes of a file */

/** The whole file, with one byte more behind it; NULL after options_fail(). */
static char *
read_file(struct parser *parser, const char *path, size_t *len_out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat about;
    char *text = NULL;
    const char *why = NULL;
    if (fd < 0 || fstat(fd, &about) != 0) {
        why = strerror(errno);
    } else if (S_ISDIR(about.st_mode)) {
        why = "it is a directory";
    } else {
        text = malloc(CONFIG_SIZE_MAX + 1);
        why = text == NULL ? "out of memory" : NULL;
    }
    size_t len = 0;
    while (why == NULL) {
        ssize_t got = read(fd, text + len, CONFIG_SIZE_MAX + 1 - len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            why = strerror(errno);
        } else if (got == 0) {
            break;
        }
        len += got > 0 ? (size_t)got : 0;
        if (len > CONFIG_SIZE_MAX) {
            why = "it is longer than 256 KiB";
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    if (why != NULL) {
        free(text);
        (void)options_fail(parser, OPTIONS_EXIT_BAD, "--config %.300s: cannot be read: %s", path,
                           why);
        return NULL;
    }
    *len_out = len;
    return text;
}

/** Debian's wrapper takes these lines, and hands nothing of them on. */
static bool
is_directive(const char *word)
{
    return strcmp(word, "logfile") == 0;
}

static bool
take_line(struct parser *parser, struct config_line *line)
{
    if (is_directive(line->words[0])) {
        return true;
    }
    if (line->words[0][0] != '-') {
        return options_fail(parser, OPTIONS_EXIT_BAD,
                            "\"%.100s\" is no option: a line begins with one, such as -m 64 or"
                            " --memory-limit=64",
                            line->words[0]);
    }
    /* As main() gets them: the program first, a NULL last. */
    char program[] = "larder";
    char *argv[CONFIG_WORDS_MAX + 2];
    argv[0] = program;
    memcpy(&argv[1], line->words, line->count * sizeof(line->words[0]));
    argv[line->count + 1] = NULL;
    return options_take_words(parser, (int)line->count + 1, argv);
}

bool
options_take_config(struct parser *parser, const char *path)
{
    size_t len = 0;
    char *text = read_file(parser, path, &len);
    if (text == NULL) {
        return false;
    }
    assert(parser->settings->config_text == NULL);
    parser->settings->config_text = text; /* options point into it */
    parser->config_path = path;
    struct config_cursor cursor = { text, text + len, 0 };
    struct config_line line;
    bool taken = true;
    while (taken) {
        enum config_result result = config_next(&cursor, &line);
        parser->config_line = cursor.line;
        if (result == CONFIG_END) {
            break;
        }
        taken = result == CONFIG_LINE
                    ? take_line(parser, &line)
                    : options_fail(parser, OPTIONS_EXIT_BAD, "%s", config_error(result));
    }
    parser->config_path = NULL;
    return taken;
}
