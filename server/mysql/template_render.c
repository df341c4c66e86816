#include "config.h"

#include "mysql/template.h"

#include "base/assert.h"

#ifdef HAVE_TLS
#include <openssl/evp.h>
#endif

#define MD5_LEN 16u /* bytes */

void
template_scratch_init(struct template_scratch *scratch)
{
    charsets_init(&scratch->charsets);
    scratch->md5 = NULL;
}

void
template_scratch_fini(struct template_scratch *scratch)
{
    charsets_fini(&scratch->charsets);
#ifdef HAVE_TLS
    EVP_MD_CTX_free(scratch->md5);
#endif
    scratch->md5 = NULL;
}

/* -- filters ---------------------------------------------------------------------------------- */

/** False if the library has no MD5 here, as where FIPS rules. */
static bool
put_md5(struct template_scratch *scratch, struct bytes in, struct writer *out)
{
#ifdef HAVE_TLS
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (scratch->md5 == NULL) {
        scratch->md5 = EVP_MD_CTX_new();
    }
    if (scratch->md5 == NULL || EVP_DigestInit_ex(scratch->md5, EVP_md5(), NULL) != 1 ||
        EVP_DigestUpdate(scratch->md5, in.at, in.len) != 1 ||
        EVP_DigestFinal_ex(scratch->md5, digest, &len) != 1 || len != MD5_LEN) {
        return false;
    }
    writer_put_hex(out, digest, len);
    return true;
#else
    (void)scratch;
    (void)in;
    (void)out;
    return false;
#endif
}

static void
put_cased(struct bytes in, char first, char last, struct writer *out)
{
    for (size_t i = 0; i < in.len; i++) {
        char c = (char)in.at[i];
        writer_put_char(out, c >= first && c <= last ? (char)(c ^ 0x20) : c);
    }
}

static void
put_urlenc(struct bytes in, struct writer *out)
{
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = in.at[i];
        bool is_plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                        (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
        if (is_plain) {
            writer_put_char(out, (char)c);
            continue;
        }
        writer_put_char(out, '%');
        writer_put_char(out, "0123456789ABCDEF"[c >> 4]);
        writer_put_char(out, "0123456789ABCDEF"[c & 15]);
    }
}

static bool
put_filtered(struct template_scratch *scratch, enum template_filter filter, struct bytes in,
             struct writer *out)
{
    switch (filter) {
    case TEMPLATE_HEX:
        writer_put_hex(out, in.at, in.len);
        return true;
    case TEMPLATE_LOWER:
        put_cased(in, 'A', 'Z', out);
        return true;
    case TEMPLATE_UPPER:
        put_cased(in, 'a', 'z', out);
        return true;
    case TEMPLATE_URLENC:
        put_urlenc(in, out);
        return true;
    case TEMPLATE_MD5:
        return put_md5(scratch, in, out);
    case TEMPLATE_NULL:
        writer_put(out, in.at, in.len);
        return true;
    }
    return false;
}

/* -- columns ---------------------------------------------------------------------------------- */

static enum template_result
from_render(enum render_result result, const char **reason)
{
    switch (result) {
    case RENDER_DONE:
        return TEMPLATE_DONE;
    case RENDER_NULL:
        return TEMPLATE_IS_NULL;
    case RENDER_FULL:
        return TEMPLATE_FULL;
    case RENDER_ABSENT:
        *reason = "a column that the row's image does not hold (binlog_row_image)";
        return TEMPLATE_WIDEN;
    case RENDER_WIDEN:
        return TEMPLATE_WIDEN;
    }
    return TEMPLATE_WIDEN;
}

/**
 * Runs a column through its filters, from one half of the scratch to the other.  Only md5 makes a
 * short text of a long one: what is too long for the scratch is too long for a key, unless md5
 * stands in its way.
 */
static enum template_result
render_filtered(const struct template_part *part, const struct value *value,
                struct template_scratch *scratch, struct writer *out, const char **reason)
{
    unsigned half = 0;
    struct writer text = writer(scratch->text[0], TEMPLATE_TEXT_MAX);
    enum template_result result =
        from_render(render_text(value, &scratch->charsets, &text, reason), reason);
    for (uint8_t i = 0; i < part->filter_count; i++) {
        enum template_filter filter = part->filters[i];
        struct bytes in = { (const uint8_t *)text.at, text.len };
        if (filter == TEMPLATE_NULL) {
            if (result == TEMPLATE_IS_NULL) {
                in = part->null_text;
                result = TEMPLATE_DONE;
            } else {
                continue;
            }
        }
        if (result == TEMPLATE_FULL && filter == TEMPLATE_MD5) {
            *reason = "a text too long for the filter md5";
            return TEMPLATE_WIDEN;
        }
        if (result != TEMPLATE_DONE) {
            continue;
        }
        half = 1 - half;
        text = writer(scratch->text[half], TEMPLATE_TEXT_MAX);
        if (!put_filtered(scratch, filter, in, &text)) {
            *reason = "no MD5 in this OpenSSL";
            return TEMPLATE_WIDEN;
        }
        if (text.is_full) {
            result = TEMPLATE_FULL;
        }
    }
    if (result == TEMPLATE_DONE) {
        writer_put(out, text.at, text.len);
    }
    return result;
}

static enum template_result
render_column(const struct template_part *part, uint16_t slot, const struct template_row *row,
              struct template_scratch *scratch, struct writer *out, const char **reason)
{
    bool from_after =
        part->image == TEMPLATE_EITHER ? row->from_after : part->image == TEMPLATE_NEW;
    if ((from_after ? row->after : row->before) == NULL) {
        return TEMPLATE_NO_IMAGE;
    }
    const struct value *value = template_find_value(row->before, row->after, slot, from_after);
    if (value == NULL) {
        *reason = slot == TEMPLATE_NO_SLOT
                      ? "a column that the table does not have, or whose name is not told"
                      : "a column that the row's image does not hold (binlog_row_image)";
        return TEMPLATE_WIDEN;
    }
    if (part->filter_count == 0) {
        return from_render(render_text(value, &scratch->charsets, out, reason), reason);
    }
    return render_filtered(part, value, scratch, out, reason);
}

enum template_result
template_render(const struct template *template, const struct template_row *row,
                struct template_scratch *scratch, struct writer *out, const char **reason)
{
    assert(template->form == TEMPLATE_TEXT);
    for (uint32_t i = 0; i < template->part_count; i++) {
        const struct template_part *part = &template->parts[i];
        enum template_result result = TEMPLATE_DONE;
        switch (part->kind) {
        case TEMPLATE_LITERAL:
            writer_put(out, part->text.at, part->text.len);
            break;
        case TEMPLATE_DATABASE:
            writer_put(out, row->database.at, row->database.len);
            break;
        case TEMPLATE_TABLE:
            writer_put(out, row->table.at, row->table.len);
            break;
        case TEMPLATE_COLUMN:
            result = render_column(part, row->slots[i], row, scratch, out, reason);
            break;
        }
        if (result != TEMPLATE_DONE && result != TEMPLATE_FULL) {
            return result;
        }
        /* A later column may still be NULL, or unknown: both weigh more than the length. */
        out->is_full |= result == TEMPLATE_FULL;
    }
    return out->is_full ? TEMPLATE_FULL : TEMPLATE_DONE;
}
