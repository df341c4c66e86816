#include "config.h"

#include "mysql/template.h"

#include <stdio.h>
#include <strings.h>

#define ERROR_TEXT_MAX 64 /* bytes of a user's text that an error quotes */

struct compiler {
    struct bytes_cursor cur;
    enum template_use use;
    struct pool *pool;
    char *error;
    size_t error_cap;
    uint32_t part_count;
    uint32_t column_count;
    size_t literal_len;
    struct template_part parts[TEMPLATE_PARTS_MAX];
};

/** Bytes for "%.*s". */
static int
shown(struct bytes text)
{
    return (int)(text.len < ERROR_TEXT_MAX ? text.len : ERROR_TEXT_MAX);
}

#define FAIL(compiler, ...) (snprintf((compiler)->error, (compiler)->error_cap, __VA_ARGS__), false)

static bool
fail_memory(struct compiler *compiler)
{
    return FAIL(compiler, "out of memory for the rules");
}

static bool
is_blank(uint8_t byte)
{
    return byte <= ' ' || byte == 0x7f;
}

static bool
has_blank(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (is_blank(text.at[i])) {
            return true;
        }
    }
    return false;
}

/** The bytes up to one of `ends`, or all. */
static struct bytes
take_until(struct bytes_cursor *cur, const char *ends)
{
    struct bytes text = { cur->at, 0 };
    while (cur->at < cur->end && (*cur->at == 0 || strchr(ends, *cur->at) == NULL)) {
        cur->at++;
        text.len++;
    }
    return text;
}

static bool
add_part(struct compiler *compiler, const struct template_part *part)
{
    if (compiler->part_count == TEMPLATE_PARTS_MAX) {
        return FAIL(compiler, "more than %u parts in a template", TEMPLATE_PARTS_MAX);
    }
    compiler->parts[compiler->part_count++] = *part;
    compiler->column_count += part->kind == TEMPLATE_COLUMN;
    return true;
}

/* -- filters ---------------------------------------------------------------------------------- */

static bool
set_null_text(struct compiler *compiler, struct bytes text, struct template_part *part)
{
    char *copy;
    if (compiler->use != TEMPLATE_FOR_VALUE && has_blank(text)) {
        return FAIL(compiler, "a blank or control byte in 'null:%.*s': no key can have one",
                    shown(text), (const char *)text.at);
    }
    for (uint8_t i = 0; i < part->filter_count; i++) {
        if (part->filters[i] == TEMPLATE_NULL) {
            return FAIL(compiler, "null: twice for one column; the first is enough");
        }
    }
    copy = pool_copy(compiler->pool, text.at, text.len);
    if (copy == NULL) {
        return fail_memory(compiler);
    }
    part->null_text = (struct bytes){ (const uint8_t *)copy, text.len };
    return true;
}

static bool
parse_filter(struct compiler *compiler, struct bytes text, struct template_part *part)
{
    static const char *const names[] = {
        [TEMPLATE_HEX] = "hex",       [TEMPLATE_LOWER] = "lower", [TEMPLATE_UPPER] = "upper",
        [TEMPLATE_URLENC] = "urlenc", [TEMPLATE_MD5] = "md5",
    };
    if (part->filter_count == TEMPLATE_FILTERS_MAX) {
        return FAIL(compiler, "more than %u filters for one column", TEMPLATE_FILTERS_MAX);
    }
    uint8_t filter = 0;
    if (text.len >= 5 && memcmp(text.at, "null:", 5) == 0) {
        filter = TEMPLATE_NULL;
        if (!set_null_text(compiler, (struct bytes){ text.at + 5, text.len - 5 }, part)) {
            return false;
        }
    } else {
        while (filter < TEMPLATE_NULL && !bytes_equal(text, names[filter])) {
            filter++;
        }
        if (filter == TEMPLATE_NULL) {
            return FAIL(
                compiler,
                "unknown filter '%.*s'; there are hex, lower, upper, urlenc, md5, null:TEXT",
                shown(text), (const char *)text.at);
        }
    }
#ifndef HAVE_TLS
    if (filter == TEMPLATE_MD5) {
        return FAIL(compiler, "the filter md5 needs a larder that is built with OpenSSL");
    }
#endif
    part->filters[part->filter_count++] = filter;
    return true;
}

/* -- columns ---------------------------------------------------------------------------------- */

static bool
set_name(struct compiler *compiler, struct bytes name, struct template_part *part)
{
    char *copy;
    if (name.len == 0 || name.len > TEMPLATE_NAME_LEN_MAX || has_blank(name)) {
        return FAIL(compiler, "'%.*s' is no name of a column", shown(name), (const char *)name.at);
    }
    copy = pool_copy(compiler->pool, name.at, name.len);
    if (copy == NULL) {
        return fail_memory(compiler);
    }
    part->text = (struct bytes){ (const uint8_t *)copy, name.len };
    return true;
}

static bool
parse_column(struct compiler *compiler, struct bytes name, struct template_part *part)
{
    part->kind = TEMPLATE_COLUMN;
    const uint8_t *dot = name.len == 0 ? NULL : memchr(name.at, '.', name.len);
    if (dot != NULL) {
        struct bytes image = { name.at, (size_t)(dot - name.at) };
        if (bytes_equal(image, "old")) {
            part->image = TEMPLATE_OLD;
        } else if (bytes_equal(image, "new")) {
            part->image = TEMPLATE_NEW;
        } else {
            return FAIL(compiler, "'%.*s' in front of a column; there are old. and new.",
                        shown(image), (const char *)image.at);
        }
        if (part->image == TEMPLATE_OLD && compiler->use != TEMPLATE_FOR_KEY) {
            return FAIL(compiler, "{%.*s} in what is stored: only the row after its change is",
                        shown(name), (const char *)name.at);
        }
        if (compiler->use != TEMPLATE_FOR_KEY) {
            part->image =
                TEMPLATE_EITHER; /* what is stored may have to be deleted by a row before */
        }
        name = (struct bytes){ dot + 1, name.len - image.len - 1 };
    }
    return set_name(compiler, name, part);
}

static bool
fail_brace(struct compiler *compiler)
{
    return FAIL(compiler, "'{' without its '}' in a template; a brace itself is written '{{'");
}

/** What stands between braces; the cursor is behind the first. */
static bool
parse_braces(struct compiler *compiler)
{
    struct template_part part = { .kind = TEMPLATE_COLUMN };
    struct bytes name = take_until(&compiler->cur, "|{}");
    if (compiler->cur.at == compiler->cur.end) {
        return fail_brace(compiler);
    }
    if (bytes_equal(name, "@db")) {
        part.kind = TEMPLATE_DATABASE;
    } else if (bytes_equal(name, "@table")) {
        part.kind = TEMPLATE_TABLE;
    } else if (name.len > 0 && name.at[0] == '@') {
        return FAIL(compiler, "unknown {%.*s}; there are {@db} and {@table}", shown(name),
                    (const char *)name.at);
    } else if (!parse_column(compiler, name, &part)) {
        return false;
    }
    while (compiler->cur.at < compiler->cur.end && *compiler->cur.at == '|') {
        compiler->cur.at++;
        struct bytes filter = take_until(&compiler->cur, "|{}");
        if (part.kind != TEMPLATE_COLUMN) {
            return FAIL(compiler, "{@db} and {@table} take no filters");
        }
        if (!parse_filter(compiler, filter, &part)) {
            return false;
        }
    }
    if (compiler->cur.at == compiler->cur.end || *compiler->cur.at != '}') {
        return fail_brace(compiler);
    }
    compiler->cur.at++;
    return add_part(compiler, &part);
}

/* -- texts ------------------------------------------------------------------------------------ */

/** Literal text, with its doubled braces. */
static bool
parse_literal(struct compiler *compiler)
{
    char literal[TEMPLATE_LEN_MAX];
    size_t len = 0;
    struct bytes_cursor *cur = &compiler->cur;
    while (cur->at < cur->end) {
        uint8_t byte = *cur->at;
        if (byte == '{' || byte == '}') {
            bool is_doubled = bytes_left(cur) > 1 && cur->at[1] == byte;
            if (!is_doubled && byte == '{') {
                break;
            }
            if (!is_doubled) {
                return FAIL(compiler,
                            "'}' without its '{' in a template; a brace itself is written '}}'");
            }
            cur->at++;
        }
        if (compiler->use != TEMPLATE_FOR_VALUE && is_blank(byte)) {
            return FAIL(compiler, "a blank or control byte in a key: no key can have one");
        }
        literal[len++] = (char)byte;
        cur->at++;
    }
    compiler->literal_len += len;
    char *copy = pool_copy(compiler->pool, literal, len);
    if (copy == NULL) {
        return fail_memory(compiler);
    }
    struct template_part part = { .kind = TEMPLATE_LITERAL,
                                  .text = { (const uint8_t *)copy, len } };
    return add_part(compiler, &part);
}

static bool
parse_text(struct compiler *compiler)
{
    struct bytes_cursor *cur = &compiler->cur;
    while (cur->at < cur->end) {
        if (cur->at[0] == '{' && (bytes_left(cur) == 1 || cur->at[1] != '{')) {
            cur->at++;
            if (!parse_braces(compiler)) {
                return false;
            }
        } else if (!parse_literal(compiler)) {
            return false;
        }
    }
    return true;
}

/** json(...), of which the cursor has what stands between the parentheses. */
static bool
parse_json(struct compiler *compiler, enum template_form *form)
{
    if (bytes_equal(bytes_trim(bytes_rest(&compiler->cur)), "*")) {
        *form = TEMPLATE_JSON_ALL;
        return true;
    }
    *form = TEMPLATE_JSON;
    for (;;) {
        struct template_part part = { .kind = TEMPLATE_COLUMN };
        struct bytes name = bytes_trim(take_until(&compiler->cur, ","));
        if (name.len > 0 && memchr("{(*", name.at[0], 3) != NULL) {
            return FAIL(compiler, "'%.*s' within json(): it takes names of columns, or * alone",
                        shown(name), (const char *)name.at);
        }
        if (!set_name(compiler, name, &part)) {
            return false;
        }
        for (uint32_t i = 0; i < compiler->part_count; i++) {
            struct bytes other = compiler->parts[i].text;
            if (other.len == name.len &&
                strncasecmp((const char *)other.at, (const char *)name.at, name.len) == 0) {
                return FAIL(compiler, "'%.*s' twice within json()", shown(name),
                            (const char *)name.at);
            }
        }
        if (!add_part(compiler, &part)) {
            return false;
        }
        if (compiler->cur.at == compiler->cur.end) {
            return true;
        }
        compiler->cur.at++;
    }
}

static bool
is_json(struct bytes text)
{
    return text.len >= 6 && memcmp(text.at, "json(", 5) == 0 && text.at[text.len - 1] == ')';
}

static bool
compile(struct compiler *compiler, struct bytes text, struct template *out)
{
    if (text.len == 0) {
        return FAIL(compiler,
                    compiler->use == TEMPLATE_FOR_VALUE ? "an empty value" : "an empty key");
    }
    if (text.len > TEMPLATE_LEN_MAX) {
        return FAIL(compiler, "a template of %zu bytes; at most %u are taken", text.len,
                    TEMPLATE_LEN_MAX);
    }
    if (compiler->use == TEMPLATE_FOR_VALUE && is_json(text)) {
        compiler->cur = bytes_cursor((struct bytes){ text.at + 5, text.len - 6 });
        if (!parse_json(compiler, &out->form)) {
            return false;
        }
    } else if (!parse_text(compiler)) {
        return false;
    }
    if (compiler->use != TEMPLATE_FOR_VALUE && compiler->literal_len >= TEMPLATE_KEY_MAX) {
        return FAIL(compiler, "%zu bytes of fixed text in a key; all of a key has at most %u",
                    compiler->literal_len, TEMPLATE_KEY_MAX);
    }
    if (compiler->column_count == 0 && out->form != TEMPLATE_JSON_ALL) {
        return FAIL(compiler, "no column in '%.*s'; a column is written {name}", shown(text),
                    (const char *)text.at);
    }
    return true;
}

bool
template_compile(struct bytes text, enum template_use use, struct pool *pool, struct template *out,
                 char *error, size_t error_cap)
{
    struct compiler compiler = {
        .cur = bytes_cursor(text),
        .use = use,
        .pool = pool,
        .error = error,
        .error_cap = error_cap,
    };
    *out = (struct template){ .form = TEMPLATE_TEXT };
    if (!compile(&compiler, text, out)) {
        return false;
    }
    char *source = pool_copy(pool, text.at, text.len);
    struct template_part *parts = pool_take(pool, compiler.part_count * sizeof(*parts));
    if (source == NULL || parts == NULL) {
        return fail_memory(&compiler);
    }
    memcpy(parts, compiler.parts, compiler.part_count * sizeof(*parts));
    out->source = (struct bytes){ (const uint8_t *)source, text.len };
    out->parts = parts;
    out->part_count = compiler.part_count;
    return true;
}

void
template_put_prefix(const struct template *template, struct bytes database, struct bytes table,
                    struct writer *out)
{
    for (uint32_t i = 0; i < template->part_count; i++) {
        const struct template_part *part = &template->parts[i];
        struct bytes text = part->kind == TEMPLATE_LITERAL    ? part->text
                            : part->kind == TEMPLATE_DATABASE ? database
                            : part->kind == TEMPLATE_TABLE    ? table
                                                              : (struct bytes){ NULL, 0 };
        if (text.at == NULL) {
            return;
        }
        /* What is longer than a key stays the prefix that it was: of all keys, if need be. */
        if (out->cap - out->len < text.len) {
            return;
        }
        writer_put(out, text.at, text.len);
    }
}
