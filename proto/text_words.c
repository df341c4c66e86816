/*
 * Command lines of the classic text protocol, the slow way: the line is cut into words, and all
 * rules and all errors are known here.  The hot way stands in text_parse.c.
 */
#include "text_priv.h"

#include <assert.h>
#include <string.h>

/** A whole line in words.  Those behind the command lie in request.args, up to ARGS_MAX. */
struct words {
    struct span command; /* empty if the line begins with a space */
    struct span last;    /* last word of all, past ARGS_MAX too; the command if there is no other */
    const uint8_t *behind; /* the line's end, CR LF not included */
};

/** Takes the bytes up to the next space, and steps behind the spaces that follow them. */
static struct span
take_word(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *space = memchr(*at, ' ', (size_t)(end - *at));
    struct span word = { *at, (size_t)((space != NULL ? space : end) - *at) };
    const uint8_t *next = word.at + word.len;
    while (next < end && *next == ' ') {
        next++;
    }
    *at = next;
    return word;
}

static void
split_line(struct span line, struct words *words, struct request *out)
{
    const uint8_t *at = line.at;
    words->behind = line.at + line.len;
    words->command = take_word(&at, words->behind);
    words->last = words->command;
    out->args_count = 0;
    while (at < words->behind) {
        words->last = take_word(&at, words->behind);
        if (out->args_count < ARGS_MAX) {
            out->args[out->args_count++] = words->last;
        }
    }
}

static void
set_error(struct request *out, enum request_error error)
{
    out->op = REQUEST_ERROR;
    out->error = error;
}

static void
words_get(const struct words *words, struct request *out)
{
    if (out->args_count == 0) {
        set_error(out, REQUEST_ERR_FORMAT);
        return;
    }
    out->keys.at = out->args[0].at;
    out->keys.len = (size_t)(words->behind - out->keys.at);
    out->keys_one = false;
}

/** Without a key the time is not looked at.  Source: contract 1.3, "No key". */
static void
words_gat(const struct words *words, struct request *out)
{
    if (out->args_count < 2) {
        set_error(out, REQUEST_ERR_FORMAT);
        return;
    }
    if (parse_word_exptime(out->args[0], &out->exptime) != PARSE_DONE) {
        set_error(out, REQUEST_ERR_EXPTIME);
        return;
    }
    out->keys.at = out->args[1].at;
    out->keys.len = (size_t)(words->behind - out->keys.at);
    out->keys_one = false;
}

/**
 * key, flags, exptime, bytes, for cas the unique; then "noreply" as the last word, whatever stands
 * between.
 *
 * Up to <bytes> an error is always told, and leaves the data block to be read as commands, for
 * nobody knows how long it is.  From there on "noreply" keeps errors silent, and the block is
 * swallowed.  Source: contract 1.1, "noreply" and "Error routing".
 */
static void
words_store(const struct words *words, struct request *out)
{
    unsigned args_min = out->op == REQUEST_CAS ? 5 : 4;
    if (out->args_count < args_min ||
        parse_word_value_len(out->args[3], &out->value_len) != PARSE_DONE) {
        set_error(out, REQUEST_ERR_FORMAT);
        return;
    }
    out->noreply = span_equals(words->last, "noreply");
    out->key = out->args[0];
    if (out->key.len > KEY_LEN_MAX ||
        parse_word_flags_lax(out->args[1], &out->flags) != PARSE_DONE ||
        parse_word_exptime_lax(out->args[2], &out->exptime) != PARSE_DONE ||
        (out->op == REQUEST_CAS && parse_word_u64(out->args[4], &out->cas) != PARSE_DONE)) {
        set_error(out, REQUEST_ERR_FORMAT);
        out->swallow = (uint64_t)out->value_len + 2;
    }
}

/** Source: contract 0.j.  That the extra word is judged before the key was seen live. */
static void
words_delete(const struct words *words, struct request *out)
{
    if (out->args_count == 0) {
        set_error(out, REQUEST_ERR_FORMAT);
        return;
    }
    out->key = out->args[0];
    out->noreply = out->args_count > 1 && span_equals(words->last, "noreply");
    unsigned extra = out->args_count - 1 - out->noreply;
    if (extra > 1 || (extra == 1 && !span_equals(out->args[1], "0"))) {
        set_error(out, REQUEST_ERR_DELETE);
    } else if (out->key.len > KEY_LEN_MAX) {
        set_error(out, REQUEST_ERR_FORMAT);
    }
}

/** incr, decr and touch.  Source: contract 1.4; extra words are ignored, as seen live. */
static void
words_key_number(const struct words *words, struct request *out)
{
    if (out->args_count < 2) {
        set_error(out, REQUEST_ERR_FORMAT);
        return;
    }
    out->key = out->args[0];
    out->noreply = span_equals(words->last, "noreply");
    if (out->key.len > KEY_LEN_MAX) {
        set_error(out, REQUEST_ERR_FORMAT);
    } else if (out->op == REQUEST_TOUCH) {
        if (parse_word_exptime(out->args[1], &out->exptime) != PARSE_DONE) {
            set_error(out, REQUEST_ERR_EXPTIME);
        }
    } else if (parse_word_u64(out->args[1], &out->delta) != PARSE_DONE) {
        set_error(out, REQUEST_ERR_DELTA);
    }
}

/** flush_all [delay] [noreply]: a lone "noreply" is the option, the first of two is a bad delay. */
static void
words_flush_all(const struct words *words, struct request *out)
{
    out->exptime = 0;
    out->noreply = out->args_count > 0 && span_equals(words->last, "noreply");
    if (out->args_count > out->noreply &&
        parse_word_exptime_lax(out->args[0], &out->exptime) != PARSE_DONE) {
        set_error(out, REQUEST_ERR_EXPTIME);
    }
}

#define NAME(name, op)                 \
    {                                  \
        (name), sizeof(name) - 1, (op) \
    }

static enum request_op
find_op(struct span command)
{
    static const struct {
        const char *name;
        size_t name_len;
        enum request_op op;
    } commands[] = {
        NAME("get", REQUEST_GET),
        NAME("gets", REQUEST_GETS),
        NAME("gat", REQUEST_GAT),
        NAME("gats", REQUEST_GATS),
        NAME("set", REQUEST_SET),
        NAME("add", REQUEST_ADD),
        NAME("replace", REQUEST_REPLACE),
        NAME("append", REQUEST_APPEND),
        NAME("prepend", REQUEST_PREPEND),
        NAME("cas", REQUEST_CAS),
        NAME("delete", REQUEST_DELETE),
        NAME("incr", REQUEST_INCR),
        NAME("decr", REQUEST_DECR),
        NAME("touch", REQUEST_TOUCH),
        NAME("quit", REQUEST_QUIT),
        NAME("version", REQUEST_VERSION),
        NAME("stats", REQUEST_STATS),
        NAME("flush_all", REQUEST_FLUSH_ALL),
        NAME("verbosity", REQUEST_VERBOSITY),
        NAME("cache_memlimit", REQUEST_CACHE_MEMLIMIT),
        NAME("shutdown", REQUEST_SHUTDOWN),
        NAME("refresh_certs", REQUEST_REFRESH_CERTS),
        NAME("slabs", REQUEST_SLABS),
        NAME("lru", REQUEST_LRU),
        NAME("lru_crawler", REQUEST_LRU_CRAWLER),
        NAME("watch", REQUEST_WATCH),
        NAME("larder", REQUEST_LARDER),
        NAME("hook", REQUEST_HOOK),
    };
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (commands[i].name_len == command.len &&
            memcmp(commands[i].name, command.at, command.len) == 0) {
            return commands[i].op;
        }
    }
    return REQUEST_ERROR;
}

/** Even with "noreply" an unknown command is told so.  Source: contract 0.e and 1.1. */
static void
words_unknown(const struct words *words, struct request *out)
{
    static const char http[] = "HTTP/";
    const size_t http_len = sizeof http - 1;
    if (words->last.len >= http_len && memcmp(words->last.at, http, http_len) == 0) {
        out->op = REQUEST_UNKNOWN_HTTP;
        return;
    }
    set_error(out, REQUEST_ERR_UNKNOWN);
}

static void
words_command(const struct words *words, struct request *out)
{
    switch (out->op) {
    case REQUEST_GET:
    case REQUEST_GETS:
        words_get(words, out);
        break;
    case REQUEST_GAT:
    case REQUEST_GATS:
        words_gat(words, out);
        break;
    case REQUEST_SET:
    case REQUEST_ADD:
    case REQUEST_REPLACE:
    case REQUEST_APPEND:
    case REQUEST_PREPEND:
    case REQUEST_CAS:
        words_store(words, out);
        break;
    case REQUEST_DELETE:
        words_delete(words, out);
        break;
    case REQUEST_INCR:
    case REQUEST_DECR:
    case REQUEST_TOUCH:
        words_key_number(words, out);
        break;
    case REQUEST_FLUSH_ALL:
        words_flush_all(words, out);
        break;
    case REQUEST_VERBOSITY:
    case REQUEST_CACHE_MEMLIMIT:
    case REQUEST_SHUTDOWN:
    case REQUEST_REFRESH_CERTS:
    case REQUEST_SLABS:
    case REQUEST_LRU:
    case REQUEST_LRU_CRAWLER:
    case REQUEST_LARDER:
        out->noreply = out->args_count > 0 && span_equals(words->last, "noreply");
        break;
    case REQUEST_QUIT:
    case REQUEST_VERSION:
    case REQUEST_STATS:
    case REQUEST_WATCH:
    case REQUEST_HOOK:
        break;
    case REQUEST_ERROR:
    case REQUEST_UNKNOWN_HTTP:
        words_unknown(words, out);
        break;
    }
}

enum parse_status
text_parse_words(struct cursor *cur, struct request *out)
{
    assert(cur->at <= cur->end);
    if (cur->at == cur->end) {
        return PARSE_MORE;
    }
    const uint8_t *lf = memchr(cur->at, '\n', (size_t)(cur->end - cur->at));
    if (lf == NULL) {
        return PARSE_MORE;
    }
    struct span line = { cur->at, (size_t)(lf - cur->at) };
    cur->at = lf + 1;
    out->noreply = false;
    out->swallow = 0;
    if (line.len + 1 < LINE_LEN_MIN) {
        set_error(out, REQUEST_ERR_FORMAT);
        return PARSE_DONE;
    }
    if (lf[-1] == '\r') {
        line.len--;
    }
    struct words words;
    split_line(line, &words, out);
    out->op = find_op(words.command);
    words_command(&words, out);
    return PARSE_DONE;
}
