/* Runs *.t files: bytes sent, bytes expected.
 *
 *     runner FILE...                in-process: sessions are driven without a socket.  Each case
 *                                   runs whole, with each split of its input into two receives,
 *                                   byte by byte, and with a reader that takes small pieces.
 *     runner --server PATH FILE...  the same files against the real server, over a unix socket; a
 *                                   server per case
 *     runner --only CASE FILE...    the cases of that name alone; -v names each one
 *
 * A file is lines:
 *
 *     # text             a comment
 *     server OPTIONS     of the server, for the cases that follow; none by default
 *     case NAME          begins a case: a fresh server, one connection
 *     > text             sent, CR LF added          >> text    sent as it stands
 *     < text             expected, CR LF added      << text    expected as it stands
 *     <...               expected: anything, up to what follows
 *     >b OP WORDS        sent, <b expected: a packet of the binary protocol; OP is the opcode in
 *                        hexadecimal, the words any of ext= key= value= (text), opaque= cas=
 *                        (numbers; cas=* expected: any), status=, magic=, and those that make the
 *                        header lie: keylen= extlen= bodylen=
 *     close              the server closes behind what is expected
 *     tick N             the clock goes on by N seconds; over a socket such a case is skipped
 *     nosplit            what happens depends on where receives end: only whole
 *     process, socket    the case runs in-process only, over a socket only
 *
 * In text: \r \n \t \0 \s (space) \\ \xHH; \{N:text} N times the text,
 * which may hold the same; \* expected: a run of bytes without space, CR and LF;
 * \<NAME> the same, kept, and sent again where it stands in a line that is sent.
 *
 * Consecutive lines of one kind belong together.  Bytes sent behind expected ones are sent when
 * those have come.
 */
#include "config.h"

#include "admin/credentials.h"
#include "admin/prefix.h"
#include "base/assert.h"
#include "session/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEPS_MAX   256u
#define NAMES_MAX   8u
#define WORDS_MAX   32u
#define NOW         1700000000   /* unix seconds, in-process */
#define SPLITS_LONG 500000u      /* bytes; inputs so long are split at fewer places still */
#if defined(__SANITIZE_THREAD__) /* slow, and of little use where nothing runs side by side */
#define SPLITS_MAX   256u
#define SPLITS_EDGE  24u
#define BYTEWISE_MAX 4096u
#else
#define SPLITS_MAX   4096u  /* bytes; inputs up to so long are split everywhere */
#define SPLITS_EDGE  96u    /* longer ones at so many places from either end, and some between */
#define BYTEWISE_MAX 20000u /* bytes; longer inputs are not sent byte by byte */
#endif
#define SOCKET_WAIT_MS 20000

/* Bytes beyond 0..255 in the text of a step. */
enum {
    MARK_WORD = 256, /* \*; +1+i: \<name i> */
    MARK_ANY = 300,  /* <... */
    MARK_BYTE = 301, /* any one byte */
};

enum step_kind {
    STEP_SEND,
    STEP_EXPECT,
    STEP_TICK,
    STEP_CLOSE,
};

struct text {
    uint16_t *at; /* bytes and marks */
    size_t len;
    size_t cap;
};

struct wire_step {
    enum step_kind kind;
    struct text text;
    int64_t seconds;
};

struct wire_case {
    const char *file;
    char name[128];
    int line;
    bool nosplit;
    bool process_only;
    bool socket_only;
    bool has_tick;
    bool has_names;
    char names[NAMES_MAX][32];
    unsigned names_count;
    struct wire_step steps[STEPS_MAX];
    unsigned steps_count;
    char options[512];
};

struct bytes {
    uint8_t *at;
    size_t len;
    size_t cap;
};

static struct {
    const char *server;
    const char *only;
    bool verbose;
    unsigned passed;
    unsigned failed;
    unsigned skipped;
} run;

static void
die(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    printf("0 passed, 1 failed\n");
    exit(2);
}

static void *
grow(void *at, size_t *cap, size_t need, size_t size)
{
    while (*cap < need) {
        *cap = *cap > 0 ? *cap * 2 : 64;
    }
    void *grown = realloc(at, *cap * size);
    assert(grown != NULL);
    return grown;
}

static void
bytes_add(struct bytes *bytes, const void *at, size_t len)
{
    if (bytes->cap - bytes->len < len || bytes->at == NULL) {
        bytes->at = grow(bytes->at, &bytes->cap, bytes->len + len, 1);
    }
    if (len > 0) {
        memcpy(bytes->at + bytes->len, at, len);
    }
    bytes->len += len;
}

static void
text_add(struct text *text, uint16_t c)
{
    if (text->len == text->cap) {
        text->at = grow(text->at, &text->cap, text->len + 1, sizeof(text->at[0]));
    }
    text->at[text->len++] = c;
}

/* -- reading files ----------------------------------------------------------------------------- */

static uint16_t
name_mark(struct wire_case *wire, const char *name, size_t len)
{
    wire->has_names = true;
    for (unsigned i = 0; i < wire->names_count; i++) {
        if (strlen(wire->names[i]) == len && memcmp(wire->names[i], name, len) == 0) {
            return (uint16_t)(MARK_WORD + 1 + i);
        }
    }
    if (wire->names_count == NAMES_MAX || len >= sizeof(wire->names[0])) {
        die(wire->file, wire->line, "too many names, or too long");
    }
    memcpy(wire->names[wire->names_count], name, len);
    wire->names[wire->names_count][len] = '\0';
    return (uint16_t)(MARK_WORD + 1 + wire->names_count++);
}

/** The brace that closes the one before `p`; they may be nested. */
static const char *
brace_close(const char *p, const char *end)
{
    unsigned depth = 1;
    for (; p < end; p++) {
        depth += p[0] == '{' && p[-1] == '\\';
        depth -= p[0] == '}';
        if (depth == 0) {
            return p;
        }
    }
    return NULL;
}

/** One escape or byte; returns the place behind it. */
static const char *
text_take(struct wire_case *wire, struct text *text, const char *p, const char *end, int line)
{
    if (*p != '\\' || end - p < 2) {
        text_add(text, (uint8_t)*p);
        return p + 1;
    }
    static const char plain[] = "r\rn\nt\ts \\\\";
    char c = p[1];
    for (const char *q = plain; *q != '\0'; q += 2) {
        if (*q == c) {
            text_add(text, (uint8_t)q[1]);
            return p + 2;
        }
    }
    if (c == '0') {
        text_add(text, 0);
        return p + 2;
    }
    if (c == 'x' && end - p >= 4) {
        char hex[3] = { p[2], p[3], '\0' };
        text_add(text, (uint16_t)strtoul(hex, NULL, 16));
        return p + 4;
    }
    if (c == '*') {
        text_add(text, MARK_WORD);
        return p + 2;
    }
    if (c == '<') {
        const char *close = memchr(p, '>', (size_t)(end - p));
        if (close != NULL) {
            text_add(text, name_mark(wire, p + 2, (size_t)(close - p - 2)));
            return close + 1;
        }
    }
    if (c == '{') {
        char *colon;
        unsigned long times = strtoul(p + 2, &colon, 10);
        const char *close = brace_close(p + 2, end);
        if (*colon == ':' && close != NULL) {
            for (unsigned long i = 0; i < times; i++) {
                for (const char *q = colon + 1; q < close;) {
                    q = text_take(wire, text, q, close, line);
                }
            }
            return close + 1;
        }
    }
    die(wire->file, line, "bad escape");
    return end;
}

static struct wire_step *
case_step(struct wire_case *wire, enum step_kind kind, bool join)
{
    if (join && wire->steps_count > 0 && wire->steps[wire->steps_count - 1].kind == kind) {
        return &wire->steps[wire->steps_count - 1];
    }
    if (wire->steps_count == STEPS_MAX) {
        die(wire->file, wire->line, "too many steps");
    }
    struct wire_step *step = &wire->steps[wire->steps_count++];
    memset(step, 0, sizeof(*step));
    step->kind = kind;
    return step;
}

/** A number of `size` bytes; big-endian, as all of a header. */
static void
text_number(struct text *text, uint64_t number, unsigned size)
{
    while (size-- > 0) {
        text_add(text, (uint8_t)(number >> (8 * size)));
    }
}

/** The words of a packet. */
enum {
    FIELD_EXT,
    FIELD_KEY,
    FIELD_VALUE, /* texts come first */
    FIELD_OPAQUE,
    FIELD_CAS,
    FIELD_STATUS,
    FIELD_MAGIC,
    FIELD_KEYLEN,
    FIELD_EXTLEN,
    FIELD_BODYLEN,
    FIELDS_COUNT,
};

struct packet {
    const char *field[FIELDS_COUNT]; /* NULL when it is not said */
    size_t field_len[FIELDS_COUNT];
};

static void
packet_word(struct wire_case *wire, struct packet *packet, const char *word, size_t len, int line)
{
    static const char *const names[FIELDS_COUNT] = { "ext",    "key",    "value", "opaque",
                                                     "cas",    "status", "magic", "keylen",
                                                     "extlen", "bodylen" };
    for (unsigned i = 0; i < FIELDS_COUNT; i++) {
        size_t name_len = strlen(names[i]);
        if (len > name_len && memcmp(word, names[i], name_len) == 0 && word[name_len] == '=') {
            packet->field[i] = word + name_len + 1;
            packet->field_len[i] = len - name_len - 1;
            return;
        }
    }
    die(wire->file, line, "no word of a packet");
}

static uint64_t
packet_number(const struct packet *packet, unsigned field, uint64_t otherwise)
{
    const char *text = packet->field[field];
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

/** A line that begins with ">b " or "<b ". */
static void
case_packet(struct wire_case *wire, struct text *text, const char *line, int line_no)
{
    struct packet packet = { 0 };
    char *at;
    unsigned long opcode = strtoul(line + 3, &at, 16);
    for (const char *word = at; *word != '\0';) {
        size_t len = strcspn(word, " ");
        if (len > 0) {
            packet_word(wire, &packet, word, len, line_no);
        }
        word += len + (word[len] == ' ');
    }
    struct text body = { 0 };
    size_t ends[FIELD_VALUE + 1];
    for (unsigned i = 0; i <= FIELD_VALUE; i++) {
        const char *p = packet.field[i];
        const char *end = p + packet.field_len[i];
        while (p < end) {
            p = text_take(wire, &body, p, end, line_no);
        }
        ends[i] = body.len;
    }
    text_number(text, packet_number(&packet, FIELD_MAGIC, line[0] == '>' ? 0x80 : 0x81), 1);
    text_number(text, opcode, 1);
    text_number(text, packet_number(&packet, FIELD_KEYLEN, ends[FIELD_KEY] - ends[FIELD_EXT]), 2);
    text_number(text, packet_number(&packet, FIELD_EXTLEN, ends[FIELD_EXT]), 1);
    text_number(text, 0, 1);
    text_number(text, packet_number(&packet, FIELD_STATUS, 0), 2);
    text_number(text, packet_number(&packet, FIELD_BODYLEN, body.len), 4);
    text_number(text, packet_number(&packet, FIELD_OPAQUE, 0), 4);
    if (packet.field[FIELD_CAS] != NULL && packet.field[FIELD_CAS][0] == '*') {
        for (unsigned i = 0; i < 8; i++) {
            text_add(text, MARK_BYTE);
        }
    } else {
        text_number(text, packet_number(&packet, FIELD_CAS, 0), 8);
    }
    for (size_t i = 0; i < body.len; i++) {
        text_add(text, body.at[i]);
    }
    free(body.at);
}

static void
case_text(struct wire_case *wire, const char *line, int line_no)
{
    enum step_kind kind = line[0] == '>' ? STEP_SEND : STEP_EXPECT;
    struct text *text = &case_step(wire, kind, true)->text;
    if (strcmp(line, "<...") == 0) {
        text_add(text, MARK_ANY);
        return;
    }
    if (line[1] == 'b' && line[2] == ' ') {
        case_packet(wire, text, line, line_no);
        return;
    }
    bool raw = line[1] == line[0];
    const char *p = line + 1 + raw;
    if (*p == ' ') {
        p++;
    }
    const char *end = p + strlen(p);
    while (p < end) {
        p = text_take(wire, text, p, end, line_no);
    }
    if (!raw) {
        text_add(text, '\r');
        text_add(text, '\n');
    }
}

static void case_run(struct wire_case *wire);

static void
case_finish(struct wire_case *wire)
{
    if (wire->name[0] != '\0' && (run.only == NULL || strcmp(run.only, wire->name) == 0)) {
        case_run(wire);
    }
    for (unsigned i = 0; i < wire->steps_count; i++) {
        free(wire->steps[i].text.at);
    }
    wire->steps_count = 0;
    wire->name[0] = '\0';
    wire->nosplit = wire->process_only = wire->socket_only = wire->has_tick = wire->has_names =
        false;
    wire->names_count = 0;
}

static void
case_line(struct wire_case *wire, const char *line, int line_no)
{
    if (strcmp(line, "nosplit") == 0) {
        wire->nosplit = true;
    } else if (strcmp(line, "process") == 0) {
        wire->process_only = true;
    } else if (strcmp(line, "socket") == 0) {
        wire->socket_only = true;
    } else if (strcmp(line, "close") == 0) {
        case_step(wire, STEP_CLOSE, false);
    } else if (strncmp(line, "tick ", 5) == 0) {
        case_step(wire, STEP_TICK, false)->seconds = strtoll(line + 5, NULL, 10);
        wire->has_tick = true;
    } else if (line[0] == '>' || line[0] == '<') {
        case_text(wire, line, line_no);
    } else {
        die(wire->file, line_no, "what is this?");
    }
}

static void
file_run(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        die(path, 0, strerror(errno));
    }
    static struct wire_case wire;
    memset(&wire, 0, sizeof(wire));
    wire.file = path;
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    for (int line_no = 1; (len = getline(&line, &cap, file)) >= 0; line_no++) {
        if (len > 0 && line[len - 1] == '\n') {
            line[--len] = '\0';
        }
        if (line[0] == '#' || line[0] == '\0') {
            continue;
        }
        if (strcmp(line, "server") == 0 || strncmp(line, "server ", 7) == 0) {
            case_finish(&wire);
            snprintf(wire.options, sizeof(wire.options), "%s", line + 6);
        } else if (strncmp(line, "case ", 5) == 0) {
            case_finish(&wire);
            wire.line = line_no;
            snprintf(wire.name, sizeof(wire.name), "%s", line + 5);
        } else {
            case_line(&wire, line, line_no);
        }
    }
    case_finish(&wire);
    free(line);
    fclose(file);
}

/* -- what was kept, what is expected ----------------------------------------------------------- */

/** The words kept under names while a case runs. */
struct kept {
    char words[NAMES_MAX][64];
};

static void
text_render(const struct text *text, const struct kept *kept, struct bytes *out)
{
    if (out->cap - out->len < text->len + 1) {
        out->at = grow(out->at, &out->cap, out->len + text->len + 1, 1);
    }
    for (size_t i = 0; i < text->len; i++) {
        uint16_t c = text->at[i];
        if (c < MARK_WORD && out->len < out->cap) {
            out->at[out->len++] = (uint8_t)c;
        } else if (c < MARK_WORD) {
            uint8_t byte = (uint8_t)c;
            bytes_add(out, &byte, 1);
        } else if (c > MARK_WORD && c < MARK_ANY) {
            const char *word = kept->words[c - MARK_WORD - 1];
            bytes_add(out, word, strlen(word));
        }
    }
}

static bool
in_word(uint8_t c)
{
    return c != ' ' && c != '\r' && c != '\n';
}

/** Whether the bytes are what is expected; with `prefix` also when only their beginning has come.
 */
static bool
text_matches(const struct text *text, const uint8_t *at, size_t len, struct kept *kept, bool prefix)
{
    size_t i = 0;
    size_t n = 0;
    size_t any_i = SIZE_MAX; /* behind the last <... */
    size_t any_n = 0;
    while (i < text->len || n < len) {
        if (n == len && prefix) {
            return true;
        }
        if (i < text->len) {
            uint16_t c = text->at[i];
            if (c == MARK_ANY) {
                any_i = ++i;
                any_n = n;
                continue;
            }
            if (c == MARK_BYTE && n < len) {
                i++;
                n++;
                continue;
            }
            if (c >= MARK_WORD && c < MARK_ANY && n < len && in_word(at[n])) {
                size_t from = n;
                while (n < len && in_word(at[n])) {
                    n++;
                }
                if (c > MARK_WORD) {
                    char *word = kept->words[c - MARK_WORD - 1];
                    size_t word_len = n - from < 63 ? n - from : 63;
                    memcpy(word, at + from, word_len);
                    word[word_len] = '\0';
                }
                i++;
                continue;
            }
            if (c < MARK_WORD && n < len && at[n] == c) {
                i++;
                n++;
                continue;
            }
        }
        if (any_i == SIZE_MAX || any_n >= len) {
            return false;
        }
        i = any_i;
        n = ++any_n;
    }
    return true;
}

static void
print_bytes(const char *what, const uint8_t *at, size_t len)
{
    fprintf(stderr, "    %s (%zu): ", what, len);
    for (size_t i = 0; i < len && i < 1500; i++) {
        if (at[i] == '\r') {
            fprintf(stderr, "\\r");
        } else if (at[i] == '\n') {
            fprintf(stderr, "\\n\n        ");
        } else if (at[i] < ' ' || at[i] > '~') {
            fprintf(stderr, "\\x%02x", at[i]);
        } else {
            fputc(at[i], stderr);
        }
    }
    fprintf(stderr, "%s\n", len > 1500 ? " ..." : "");
}

static bool
complain(const struct wire_case *wire, const char *how, size_t at, const struct text *expected,
         const struct bytes *got, const char *what)
{
    fprintf(stderr, "FAIL %s:%d: %s (%s %zu): %s\n", wire->file, wire->line, wire->name, how, at,
            what);
    if (expected != NULL) {
        struct bytes want = { 0 };
        for (size_t i = 0; i < expected->len; i++) {
            uint16_t c = expected->at[i];
            uint8_t byte = c < MARK_WORD ? (uint8_t)c : c == MARK_ANY ? '~' : '*';
            bytes_add(&want, &byte, 1);
        }
        print_bytes("expected", want.at, want.len);
        free(want.at);
    }
    if (got != NULL) {
        print_bytes("got", got->at, got->len);
    }
    return false;
}

/** All that is expected between two sends, as one; the place behind it. */
static unsigned
case_expected(const struct wire_case *wire, unsigned at, struct text *out, bool *closes)
{
    *closes = false;
    for (; at < wire->steps_count; at++) {
        const struct wire_step *step = &wire->steps[at];
        if (step->kind == STEP_EXPECT) {
            for (size_t i = 0; i < step->text.len; i++) {
                text_add(out, step->text.at[i]);
            }
        } else if (step->kind == STEP_CLOSE) {
            *closes = true;
        } else {
            break;
        }
    }
    return at;
}

/* -- in-process -------------------------------------------------------------------------------- */

struct process {
    struct settings settings;
    struct server_stats stats;
    struct cache *cache;
    struct session_host host;
    struct session_worker *worker;
    struct session *session;
    struct session *other; /* of the same worker */
    int64_t now;
    bool closed;
    bool pauses;    /* after each run */
    size_t tx_step; /* bytes taken at once; 0 for all */
    struct bytes out;
};

static void
fake_stats_conns(void *arg, stat_emit_fn *emit, void *emit_arg)
{
    (void)arg;
    emit(emit_arg, "3:addr", "unix:/tmp/wire");
    emit(emit_arg, "3:state", "conn_listening");
}

static uint64_t
option_size(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    return *end == 'k'   ? value << 10
           : *end == 'm' ? value << 20
           : *end == 'g' ? value << 30
                         : value;
}

/** The few options that tests need. */
static void
options_take(const struct wire_case *wire, struct settings *settings)
{
    static char line[512]; /* settings point into it */
    snprintf(line, sizeof(line), "%s", wire->options);
    char *rest;
    for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        char c = word[0] == '-' ? word[1] : '\0';
        const char *value = "";
        if (c != '\0' && strchr("mIRDBoY", c) != NULL) {
            value = strtok_r(NULL, " ", &rest);
            if (value == NULL) {
                die(wire->file, wire->line, "an option without its value");
            }
        }
        switch (c) {
        case 'A':
            settings->shutdown_enabled = true;
            break;
        case 'C':
            settings->cas_disabled = true;
            break;
        case 'F':
            settings->flush_disabled = true;
            break;
        case 'M':
            settings->evictions_disabled = true;
            break;
        case 'X':
            settings->dump_disabled = true;
            break;
        case 'm':
            atomic_store_explicit(&settings->memory_limit, option_size(value) << 20,
                                  memory_order_relaxed);
            break;
        case 'I':
            settings->item_size_max = (uint32_t)option_size(value);
            break;
        case 'R':
            settings->reqs_per_event = (unsigned)option_size(value);
            break;
        case 'D':
            settings->prefix_delimiter = value[0];
            atomic_store_explicit(&settings->detail_enabled, true, memory_order_relaxed);
            break;
        case 'B':
            settings->protocol = strcmp(value, "ascii") == 0    ? PROTOCOL_ASCII
                                 : strcmp(value, "binary") == 0 ? PROTOCOL_BINARY
                                                                : PROTOCOL_AUTO;
            break;
        case 'Y':
            settings->auth_file = value;
            settings->protocol = PROTOCOL_ASCII;
            break;
        case 'o':
            settings->track_sizes = strstr(value, "track_sizes") != NULL;
            settings->maxconns_fast = strstr(value, "no_maxconns_fast") == NULL;
            settings->slab_reassign = strstr(value, "no_slab_reassign") == NULL;
            settings_set(settings, lru_crawler, strstr(value, "no_lru_crawler") == NULL);
            settings->lru_maintainer = strstr(value, "no_lru_maintainer") == NULL;
            settings_set(settings, lru_segmented, settings->lru_maintainer);
            settings_set(settings, temp_lru, strstr(value, "temporary_ttl") != NULL);
            settings->idle_timeout_s = strstr(value, "idle_timeout") != NULL ? 100 : 0;
            break;
        default:
            die(wire->file, wire->line, "an option unknown to the runner");
        }
    }
}

static void
process_open(struct process *process, const struct wire_case *wire)
{
    memset(process, 0, sizeof(*process));
    settings_init(&process->settings);
    options_take(wire, &process->settings);
    process->now = NOW;
    struct cache_options options = {
        .memory_limit = atomic_load_explicit(&process->settings.memory_limit, memory_order_relaxed),
        .item_size_max = process->settings.item_size_max,
        .cas_disabled = process->settings.cas_disabled,
        .evictions_disabled = process->settings.evictions_disabled,
        .track_sizes = process->settings.track_sizes,
        .hash_seed = 42,
        .now = process->now,
    };
    process->cache = cache_create(&options);
    assert(process->cache != NULL);
    process->stats.cache = process->cache;
    process->stats.settings = &process->settings;
    process->stats.prefixes = prefix_stats_create(process->settings.prefix_delimiter);
    process->stats.started_at = process->now - 2;
    process->host.stats_conns = fake_stats_conns;
    if (process->settings.auth_file != NULL) {
        char error[CREDENTIALS_ERROR_CAP];
        if (credentials_create(process->settings.auth_file, &process->host.credentials, error) !=
            CREDENTIALS_OK) {
            die(wire->file, wire->line, error);
        }
    }
    process->worker =
        session_worker_create(process->cache, &process->settings, &process->stats, &process->host);
    assert(process->worker != NULL);
    process->stats.workers[process->stats.workers_count++] = session_worker_stats(process->worker);
    process->session = session_create(process->worker);
    process->other = session_create(process->worker);
}

static void
process_close(struct process *process)
{
    session_destroy(process->session);
    session_destroy(process->other);
    session_worker_destroy(process->worker);
    credentials_destroy(process->host.credentials);
    prefix_stats_destroy(process->stats.prefixes);
    cache_check(process->cache);
    cache_destroy(process->cache);
    free(process->out.at);
}

/** Another client of the worker uses its buffers. */
static void
process_scribble(struct process *process)
{
    struct session_space space = session_rx_space(process->other);
    memcpy(space.at, "version\r\n", 9);
    session_rx_done(process->other, 9);
    enum session_next next = session_run(process->other);
    assert(next == SESSION_READ || process->settings.protocol == PROTOCOL_BINARY);
    struct iovec iov[SESSION_IOV_MAX];
    while (session_tx(process->other, iov, SESSION_IOV_MAX) > 0) {
        session_tx_done(process->other, iov[0].iov_len);
    }
    session_pause(process->other);
}

static void
process_send_out(struct process *process)
{
    struct iovec iov[SESSION_IOV_MAX];
    unsigned pieces;
    while ((pieces = session_tx(process->session, iov, SESSION_IOV_MAX)) > 0) {
        size_t sent = 0;
        for (unsigned i = 0; i < pieces; i++) {
            size_t n = iov[i].iov_len;
            if (process->tx_step > 0 && n > process->tx_step - sent) {
                n = process->tx_step - sent;
            }
            bytes_add(&process->out, iov[i].iov_base, n);
            sent += n;
            if (sent == process->tx_step) {
                break;
            }
        }
        session_tx_done(process->session, sent);
        if (process->tx_step > 0) {
            session_pause(process->session);
            process->tx_step = process->tx_step * 2 + 1; /* else a long reply takes for ever */
        }
    }
    assert(!session_tx_pending(process->session));
}

/** Gives the session bytes, and takes its replies. */
static void
process_feed(struct process *process, const uint8_t *at, size_t len)
{
    while (len > 0 && !process->closed) {
        struct iovec spaces[SESSION_RX_PIECES];
        struct session_space space = session_rx_space(process->session);
        spaces[0] = (struct iovec){ space.at, space.len };
        unsigned pieces =
            space.at != NULL ? 1 : session_rx_item(process->session, SESSION_RX_SIZE, spaces);
        size_t n = 0;
        for (unsigned i = 0; i < pieces; i++) {
            size_t part = spaces[i].iov_len < len - n ? spaces[i].iov_len : len - n;
            memcpy(spaces[i].iov_base, at + n, part);
            n += part;
        }
        session_rx_done(process->session, n);
        at += n;
        len -= n;
        enum session_next next;
        unsigned rounds = 0;
        do {
            next = session_run(process->session);
            assert(next != SESSION_SEND || session_tx_pending(process->session));
            assert(++rounds < 1000000);
            if (process->tx_step > 0 && (rounds & 1) != 0) {
                session_pause(process->session);
            }
            process_send_out(process);
            if (process->pauses) {
                session_pause(process->session);
                process_scribble(process);
            }
        } while (next == SESSION_AGAIN || next == SESSION_SEND);
        process->closed = next == SESSION_CLOSE;
    }
}

enum how {
    HOW_WHOLE,
    HOW_SPLIT, /* at one place */
    HOW_BYTEWISE,
    HOW_SLOW_READER, /* the place is the number of bytes taken first */
};
static const char *const how_names[] = { "whole", "split at", "byte by byte", "slow reader" };

/** Runs a case once.  Returns the bytes sent, or SIZE_MAX when it failed. */
static size_t
process_run(const struct wire_case *wire, enum how how, size_t place, bool join)
{
    struct process process;
    process_open(&process, wire);
    process.pauses = how == HOW_BYTEWISE || (how == HOW_SPLIT && (place & 1) != 0);
    process.tx_step = how == HOW_SLOW_READER ? place : 0;
    struct kept kept = { 0 };
    size_t total = 0;
    bool good = true;
    struct bytes in = { 0 };
    struct text expected = { 0 };
    for (unsigned i = 0; i < wire->steps_count && good;) {
        bool closes = false;
        in.len = expected.len = process.out.len = 0;
        if (wire->steps[i].kind == STEP_TICK) {
            process.now += wire->steps[i++].seconds;
            cache_set_now(process.cache, process.now);
            continue;
        }
        do {
            if (wire->steps[i].kind == STEP_SEND) {
                text_render(&wire->steps[i++].text, &kept, &in);
            }
            i = case_expected(wire, i, &expected, &closes);
        } while (join && i < wire->steps_count);

        size_t cut =
            how == HOW_SPLIT && place > total && place < total + in.len ? place - total : 0;
        if (how == HOW_BYTEWISE) {
            for (size_t n = 0; n < in.len; n++) {
                process_feed(&process, in.at + n, 1);
            }
        } else {
            process_feed(&process, in.at, cut);
            process_feed(&process, in.at + cut, in.len - cut);
        }
        total += in.len;
        if (!text_matches(&expected, process.out.at, process.out.len, &kept, false)) {
            good = complain(wire, how_names[how], place, &expected, &process.out, "another reply");
        } else if (process.closed != closes) {
            good =
                complain(wire, how_names[how], place, NULL, NULL, closes ? "not closed" : "closed");
        }
    }
    free(in.at);
    free(expected.at);
    process_close(&process);
    return good ? total : SIZE_MAX;
}

static bool
case_run_process(const struct wire_case *wire)
{
    bool join = !wire->has_tick && !wire->has_names;
    size_t total = process_run(wire, HOW_WHOLE, 0, false);
    if (total == SIZE_MAX) {
        return false;
    }
    if (join && process_run(wire, HOW_WHOLE, 1, true) == SIZE_MAX) {
        return false;
    }
    for (size_t step = 1; step < 20; step += 6) {
        if (process_run(wire, HOW_SLOW_READER, step, join) == SIZE_MAX) {
            return false;
        }
    }
    if (wire->nosplit) {
        return true;
    }
    if (total <= BYTEWISE_MAX && process_run(wire, HOW_BYTEWISE, 0, join) == SIZE_MAX) {
        return false;
    }
    for (size_t place = 1; place < total;) {
        if (process_run(wire, HOW_SPLIT, place, join) == SIZE_MAX) {
            return false;
        }
        size_t edge = total > SPLITS_LONG ? SPLITS_EDGE / 8 : SPLITS_EDGE;
        bool each = total <= SPLITS_MAX || place < edge || place + edge > total;
        size_t next = place + (each ? 1 : total / (edge / 3) | 1);
        place = !each && next + edge > total ? total - edge + 1 : next;
    }
    return true;
}

/* -- over a socket ----------------------------------------------------------------------------- */

static char socket_path[64];

static pid_t
server_start(const struct wire_case *wire)
{
    static char line[512];
    static char *words[WORDS_MAX + 8];
    static char path[512];
    unsigned count = 0;
    snprintf(path, sizeof(path), "%s", run.server);
    words[count++] = path;
    static char fixed[][8] = { "-s", "-t", "1", "-u", "root" };
    words[count++] = fixed[0];
    words[count++] = socket_path;
    words[count++] = fixed[1];
    words[count++] = fixed[2];
    if (geteuid() == 0) {
        words[count++] = fixed[3];
        words[count++] = fixed[4];
    }
    snprintf(line, sizeof(line), "%s", wire->options);
    char *rest;
    for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        if (count == WORDS_MAX) {
            die(wire->file, wire->line, "too many options");
        }
        words[count++] = word;
    }
    words[count] = NULL;
    unlink(socket_path);
    pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        execv(run.server, words);
        _exit(127);
    }
    return pid;
}

static int
server_connect(pid_t pid)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    for (int tries = 0; tries < SOCKET_WAIT_MS / 2; tries++) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert(fd >= 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
            return fd;
        }
        close(fd);
        if (waitpid(pid, NULL, WNOHANG) == pid) {
            return -1;
        }
        struct timespec pause = { 0, 2000000 };
        nanosleep(&pause, NULL);
    }
    return -1;
}

/** Sends all of `in`, and reads until what came is what is expected, or cannot become it, or the
 * server closes. */
static bool
socket_exchange(int fd, const struct bytes *in, const struct text *expected, bool closes,
                struct kept *kept, struct bytes *out, bool *closed)
{
    size_t sent = 0;
    uint8_t buf[65536];
    *closed = false;
    for (;;) {
        bool whole = sent == in->len && text_matches(expected, out->at, out->len, kept, false);
        if (whole && !closes) {
            return true;
        }
        struct pollfd poll_fd = { .fd = fd,
                                  .events = (short)(POLLIN | (sent < in->len ? POLLOUT : 0)) };
        if (poll(&poll_fd, 1, SOCKET_WAIT_MS) <= 0) {
            return false;
        }
        if ((poll_fd.revents & POLLOUT) != 0) {
            ssize_t n = send(fd, in->at + sent, in->len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n > 0) {
                sent += (size_t)n;
            } else if (n < 0 && errno != EAGAIN) {
                sent = in->len; /* closed, as we shall read */
            }
        }
        if ((poll_fd.revents & (POLLIN | POLLHUP)) != 0) {
            ssize_t n = recv(fd, buf, sizeof(buf), 0);
            if (n <= 0) {
                *closed = true;
                return text_matches(expected, out->at, out->len, kept, false) && closes;
            }
            bytes_add(out, buf, (size_t)n);
            if (!text_matches(expected, out->at, out->len, kept, true)) {
                return false;
            }
        }
    }
}

/** Nothing may follow the last reply: the one to this request must. */
static void
probe_add(const struct wire_case *wire, struct bytes *in, struct text *expected)
{
    static const uint8_t noop[24] = { 0x80, 0x0a };
    static const uint8_t noop_reply[24] = { 0x81, 0x0a };
    bool binary = wire->steps[0].text.len > 0 && wire->steps[0].text.at[0] == 0x80 &&
                  strstr(wire->options, "-B ascii") == NULL && strstr(wire->options, "-Y ") == NULL;
    const uint8_t *reply = binary ? noop_reply : (const uint8_t *)"MN\r\n";
    bytes_add(in, binary ? noop : (const uint8_t *)"mn\r\n", binary ? sizeof(noop) : 4);
    for (size_t i = 0; i < (binary ? sizeof(noop_reply) : 4); i++) {
        text_add(expected, reply[i]);
    }
}

static bool
case_run_socket(const struct wire_case *wire)
{
    pid_t pid = server_start(wire);
    int fd = server_connect(pid);
    if (fd < 0) {
        return complain(wire, "socket", 0, NULL, NULL, "the server does not start");
    }
    struct kept kept = { 0 };
    struct bytes in = { 0 };
    struct bytes out = { 0 };
    struct text expected = { 0 };
    bool good = true;
    bool closed = false;
    for (unsigned i = 0; i < wire->steps_count && good;) {
        bool closes;
        in.len = out.len = expected.len = 0;
        if (wire->steps[i].kind == STEP_SEND) {
            text_render(&wire->steps[i++].text, &kept, &in);
        }
        i = case_expected(wire, i, &expected, &closes);
        if (i == wire->steps_count && !closes) {
            probe_add(wire, &in, &expected);
        }
        bytes_add(&out, "", 0);
        good = socket_exchange(fd, &in, &expected, closes, &kept, &out, &closed);
        if (!good) {
            complain(wire, "socket", 0, &expected, &out,
                     closed ? "closed" : "another reply, or none");
        }
    }
    free(in.at);
    free(out.at);
    free(expected.at);
    close(fd);
    kill(pid, SIGTERM);
    int status = 0;
    if (waitpid(pid, &status, 0) == pid && good &&
        !(WIFEXITED(status) && WEXITSTATUS(status) == 0) &&
        !(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM)) { /* before its handler stood */
        good = complain(wire, "socket", (size_t)status, NULL, NULL, "the server did not end well");
    }
    unlink(socket_path);
    return good;
}

/* -- all --------------------------------------------------------------------------------------- */

static void
case_run(struct wire_case *wire)
{
    if (run.server != NULL ? wire->process_only || wire->has_tick : wire->socket_only) {
        run.skipped++;
        return;
    }
    if (run.verbose) {
        fprintf(stderr, "%s: %s\n", wire->file, wire->name);
    }
    if (run.server != NULL ? case_run_socket(wire) : case_run_process(wire)) {
        run.passed++;
    } else {
        run.failed++;
    }
}

int
main(int argc, char **argv)
{
    const char *files[1024];
    unsigned count = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--server") == 0 && i + 1 < argc) {
            run.server = argv[++i];
        } else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
            run.only = argv[++i];
        } else if (strcmp(argv[i], "-v") == 0) {
            run.verbose = true;
        } else if (count < sizeof(files) / sizeof(files[0])) {
            files[count++] = argv[i];
        }
    }
    snprintf(socket_path, sizeof(socket_path), "/tmp/larder-wire-%ld.sock", (long)getpid());
    for (unsigned i = 0; i < count; i++) {
        file_run(files[i]);
    }
    printf("%u passed, %u failed", run.passed, run.failed);
    if (run.skipped > 0) {
        printf(", %u skipped", run.skipped);
    }
    printf("\n");
    return run.failed > 0 || count == 0 ? 1 : 0;
}
