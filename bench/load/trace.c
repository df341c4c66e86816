/* Loads traces. */
#include "config.h"

#include "bench/load/trace.h"

#include "bench/load/random.h"
#include "bench/load/value.h"
#include "proto/parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX 5u

/** Room for one element more; doubles.  False without memory. */
static bool
make_room(void **elements, size_t used, size_t more, size_t *cap, size_t size)
{
    if (used + more <= *cap) {
        return true;
    }
    size_t new_cap = *cap == 0 ? 1024 : *cap;
    while (new_cap < used + more) {
        new_cap *= 2;
    }
    void *moved = realloc(*elements, new_cap * size);
    if (moved == NULL) {
        return false;
    }
    *elements = moved;
    *cap = new_cap;
    return true;
}

static bool
no_memory(char *error)
{
    snprintf(error, TRACE_ERROR_CAP, "no memory for the trace: cut it with head or split");
    return false;
}

/* -- objects ----------------------------------------------------------------------------------- */

static uint64_t
hash_word(struct span word)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < word.len; i++) {
        hash = (hash ^ word.at[i]) * 0x100000001b3u;
    }
    return random_mix(hash);
}

/** The place of a word in the index: its object's, or the free one where it belongs. */
static size_t
find_place(const struct trace *trace, struct span word, uint64_t hash)
{
    size_t place = (size_t)hash & (trace->index_cap - 1);
    while (trace->index[place] != 0) {
        const struct trace_object *object = &trace->objects[trace->index[place] - 1];
        if (object->hash == hash && object->word_len == word.len &&
            memcmp(trace->words + object->word_at, word.at, word.len) == 0) {
            break;
        }
        place = (place + 1) & (trace->index_cap - 1);
    }
    return place;
}

/** Keeps half of the index free. */
static bool
grow_index(struct trace *trace)
{
    if (trace->index != NULL && trace->objects_count < trace->index_cap / 2) {
        return true;
    }
    size_t cap = trace->index_cap == 0 ? 1u << 12 : trace->index_cap * 2;
    uint32_t *index = calloc(cap, sizeof(index[0]));
    if (index == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < trace->objects_count; i++) {
        size_t place = (size_t)trace->objects[i].hash & (cap - 1);
        while (index[place] != 0) {
            place = (place + 1) & (cap - 1);
        }
        index[place] = i + 1;
    }
    free(trace->index);
    trace->index = index;
    trace->index_cap = cap;
    return true;
}

static bool
add_object(struct trace *trace, struct span word, uint8_t key_len, uint32_t *out)
{
    if (!grow_index(trace)) {
        return false;
    }
    uint64_t hash = hash_word(word);
    size_t place = find_place(trace, word, hash);
    if (trace->index[place] == 0) {
        size_t cap = trace->objects_cap;
        void *objects = trace->objects, *words = trace->words;
        bool room = make_room(&objects, trace->objects_count, 1, &cap, sizeof(trace->objects[0])) &&
                    make_room(&words, trace->words_len, word.len, &trace->words_cap, 1);
        trace->objects = objects;
        trace->objects_cap = (uint32_t)cap;
        trace->words = words;
        if (!room) {
            return false;
        }
        trace->objects[trace->objects_count] = (struct trace_object){
            .hash = hash,
            .word_at = trace->words_len,
            .word_len = (uint8_t)word.len,
            .key_len = key_len,
        };
        memcpy(trace->words + trace->words_len, word.at, word.len);
        trace->words_len += word.len;
        trace->index[place] = ++trace->objects_count;
    }
    *out = trace->index[place] - 1;
    return true;
}

/* -- lines ------------------------------------------------------------------------------------- */

static unsigned
split(const char *line, size_t len, struct span fields[FIELDS_MAX])
{
    const uint8_t *at = (const uint8_t *)line, *end = at + len;
    unsigned count = 0;
    while (count < FIELDS_MAX) {
        while (at < end && *at <= ' ') {
            at++;
        }
        const uint8_t *first = at;
        while (at<end && * at> ' ') {
            at++;
        }
        if (at == first) {
            break;
        }
        fields[count++] = (struct span){ first, (size_t)(at - first) };
    }
    return count;
}

/** False unless the field is absent or a number up to `max`. */
static bool
take_number(struct span field, uint32_t max, uint32_t absent, uint32_t *out)
{
    *out = absent;
    if (field.len == 0 || span_equals(field, "-")) {
        return true;
    }
    uint64_t number;
    if (parse_word_u64(field, &number) != PARSE_DONE || number > max) {
        return false;
    }
    *out = (uint32_t)number;
    return true;
}

static bool
take_op(struct span field, uint8_t *out)
{
    if (field.len == 0 || span_equals(field, "-") || span_equals(field, "get")) {
        *out = TRACE_GET;
    } else if (span_equals(field, "set")) {
        *out = TRACE_SET;
    } else if (span_equals(field, "delete") || span_equals(field, "del")) {
        *out = TRACE_DELETE;
    } else {
        return false;
    }
    return true;
}

bool
trace_add_line(struct trace *trace, const char *line, size_t len, char *error)
{
    struct span fields[FIELDS_MAX] = { { NULL, 0 } };
    if (split(line, len, fields) == 0 || fields[0].at[0] == '#') {
        return true;
    }
    uint32_t key_len;
    struct trace_request request;
    if (fields[0].len > KEY_LEN_MAX) {
        snprintf(error, TRACE_ERROR_CAP, "a key of %zu bytes; %u is right at most", fields[0].len,
                 KEY_LEN_MAX);
        return false;
    }
    if (!take_number(fields[1], KEY_LEN_MAX, 0, &key_len) ||
        !take_number(fields[2], VALUE_LEN_MAX, TRACE_LEN_ABSENT, &request.value_len) ||
        !take_number(fields[3], UINT32_MAX, 0, &request.ttl) || !take_op(fields[4], &request.op)) {
        snprintf(
            error, TRACE_ERROR_CAP,
            "'KEY [KEY_LEN [VALUE_LEN [TTL [get|set|delete]]]]' is right, with numbers or '-'");
        return false;
    }
    if (key_len != 0 && key_len < fields[0].len) {
        key_len = (uint32_t)fields[0].len;
    }
    void *requests = trace->requests;
    bool room = make_room(&requests, trace->requests_count, 1, &trace->requests_cap,
                          sizeof(trace->requests[0]));
    trace->requests = requests;
    if (!room || !add_object(trace, fields[0], (uint8_t)key_len, &request.object)) {
        return no_memory(error);
    }
    if (trace->requests_count == TRACE_REQUESTS_MAX) {
        snprintf(error, TRACE_ERROR_CAP, "more than %u requests", TRACE_REQUESTS_MAX);
        return false;
    }
    trace->requests[trace->requests_count++] = request;
    return true;
}

static bool
load_lines(struct trace *trace, const char *name, FILE *file, char *error)
{
    char line[TRACE_LINE_MAX];
    for (uint64_t number = 1; fgets(line, sizeof(line), file) != NULL; number++) {
        size_t len = strlen(line);
        char why[TRACE_ERROR_CAP / 2] = "a line that is too long";
        if ((len == sizeof(line) - 1 && line[len - 1] != '\n') ||
            !trace_add_line(trace, line, len, error)) {
            if (error[0] != '\0') {
                snprintf(why, sizeof(why), "%s", error);
            }
            snprintf(error, TRACE_ERROR_CAP, "%.80s:%llu: %s", name, (unsigned long long)number,
                     why);
            return false;
        }
    }
    if (ferror(file)) {
        snprintf(error, TRACE_ERROR_CAP, "cannot read %s: %s", name, strerror(errno));
        return false;
    }
    if (trace->requests_count == 0) {
        snprintf(error, TRACE_ERROR_CAP, "%s holds no request", name);
        return false;
    }
    return true;
}

bool
trace_load(struct trace *trace, const char *name, char *error)
{
    *trace = (struct trace){ .requests = NULL };
    error[0] = '\0';
    bool is_stdin = strcmp(name, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(name, "re");
    if (file == NULL) {
        snprintf(error, TRACE_ERROR_CAP, "cannot read %s: %s", name, strerror(errno));
        return false;
    }
    bool good = load_lines(trace, name, file, error);
    if (!is_stdin) {
        fclose(file);
    }
    if (good) {
        /* Needed for loading alone. */
        free(trace->index);
        trace->index = NULL;
    } else {
        trace_fini(trace);
    }
    return good;
}

void
trace_fini(struct trace *trace)
{
    free(trace->requests);
    free(trace->objects);
    free(trace->words);
    free(trace->index);
    *trace = (struct trace){ .requests = NULL };
}
