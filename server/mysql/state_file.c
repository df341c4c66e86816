#include "config.h"

#include "mysql/state_file.h"

#include "base/assert.h"
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK_LEN 16u /* digits */
#define EXTRA_LEN (1 + CHECK_LEN + 1)

static void
put_check(struct writer *out)
{
    uint64_t hash = hash_bytes(out->at, out->len, 0);
    writer_put_char(out, ' ');
    for (unsigned i = 0; i < CHECK_LEN; i++) {
        writer_put_char(out, "0123456789abcdef"[(hash >> (60 - 4 * i)) & 15]);
    }
    writer_put_char(out, '\n');
}

static enum state_file_result
parse(char *text, size_t len, struct position *out)
{
    char check[EXTRA_LEN];
    if (len <= EXTRA_LEN) {
        return STATE_FILE_BROKEN;
    }
    memcpy(check, text + len - EXTRA_LEN, EXTRA_LEN);
    struct writer again = { .at = text, .cap = len, .len = len - EXTRA_LEN };
    put_check(&again);
    if (memcmp(check, text + len - EXTRA_LEN, EXTRA_LEN) != 0 ||
        !position_parse(out, (struct bytes){ (const uint8_t *)text, len - EXTRA_LEN })) {
        return STATE_FILE_BROKEN;
    }
    return STATE_FILE_OK;
}

static bool
read_all(int fd, char *text, size_t cap, size_t *len)
{
    *len = 0;
    while (*len < cap) {
        ssize_t got = read(fd, text + *len, cap - *len);
        if (got == 0) {
            return true;
        }
        if (got < 0 && errno != EINTR) {
            return false;
        }
        *len += got > 0 ? (size_t)got : 0;
    }
    return true;
}

enum state_file_result
state_file_read(const char *path, struct position *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? STATE_FILE_NONE : STATE_FILE_FAILED;
    }
    enum state_file_result result = STATE_FILE_FAILED;
    size_t cap = POSITION_TEXT_MAX + EXTRA_LEN;
    char *text = malloc(cap);
    size_t len;
    if (text != NULL && read_all(fd, text, cap, &len)) {
        result = parse(text, len, out);
    }
    free(text);
    (void)close(fd);
    return result;
}

static bool
write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t put = write(fd, text, len);
        if (put < 0 && errno != EINTR) {
            return false;
        }
        text += put > 0 ? put : 0;
        len -= put > 0 ? (size_t)put : 0;
    }
    return true;
}

enum state_file_result
state_file_write(const char *path, const struct position *position)
{
    char beside[PATH_MAX];
    int n = snprintf(beside, sizeof(beside), "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof(beside)) {
        errno = ENAMETOOLONG;
        return STATE_FILE_FAILED;
    }
    size_t cap = 1024 + position->gtids.count * 2 * GTID_TEXT_MAX;
    char *text = malloc(cap);
    if (text == NULL) {
        return STATE_FILE_FAILED;
    }
    struct writer out = writer(text, cap);
    position_write(position, &out);
    put_check(&out);
    assert(!out.is_full);
    enum state_file_result result = STATE_FILE_FAILED;
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0) {
        bool written = write_all(fd, text, out.len);
        int why = errno;
        if (close(fd) == 0 && written && rename(beside, path) == 0) {
            result = STATE_FILE_OK;
        } else {
            why = written ? errno : why;
            (void)unlink(beside);
            errno = why;
        }
    }
    free(text);
    return result;
}
