/*
 * Lines before a login, and the data block behind its head: what is taken lies in the input, no
 * prefix of a line is a line, and a head says what a second, plain reading finds.
 */
#include "proto/limits.h"
#include "proto/login.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_token(struct span token)
{
    struct span user;
    struct span password;
    size_t space = 0;
    while (space < token.len && token.at[space] != ' ') {
        space++;
    }
    bool good = space > 0 && space + 1 < token.len;
    enum parse_status status = login_split(token, &user, &password);
    assert(status == (good ? PARSE_DONE : PARSE_BAD));
    if (good) {
        assert(user.at == token.at && user.len == space);
        assert(password.at == token.at + space + 1 && password.len == token.len - space - 1);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct cursor cur = { data, data + len };
    while (cur.at < cur.end) {
        const uint8_t *line = cur.at;
        struct login login;
        enum parse_status status = login_parse(&cur, &login);
        const uint8_t *lf = memchr(line, '\n', (size_t)(cur.end - line));
        if (lf == NULL) {
            assert(status == PARSE_MORE && cur.at == line);
            return 0;
        }
        assert(status == PARSE_DONE && cur.at == lf + 1);
        size_t line_len = (size_t)(cur.at - line);
        assert((login.line == LOGIN_SHORT) == (line_len < LOGIN_LINE_MIN));
        if (login.line != LOGIN_HEAD) {
            assert(login.bytes == 0);
            continue;
        }
        assert(login.bytes <= VALUE_LEN_LIMIT);
        assert(memmem(line, line_len, "set ", 4) != NULL);
        if (login.bytes <= (size_t)(cur.end - cur.at)) {
            check_token((struct span){ cur.at, login.bytes });
            cur.at += login.bytes;
        }
    }
    return 0;
}
