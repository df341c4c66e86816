#include "config.h"

#include "mysql/charset.h"

#include <assert.h>
#include <iconv.h>

#define PIECE_LEN 256u /* bytes of UTF-8 handed on at once */

/* Where MariaDB 10.2 and later keep the forms that do not pad: this much above the others. */
#define NOPAD_OFFSET 1024u
#define NOPAD_END    2048u

enum set {
    SET_NONE,
    SET_UTF8,
    SET_BINARY,
    SET_ASCII,
    SET_LATIN1,
    SET_UCS2,
    SET_UTF16,
    SET_UTF16LE,
    SET_UTF32,
    /* through iconv */
    SET_LATIN2,
    SET_LATIN5,
    SET_LATIN7,
    SET_CP850,
    SET_CP852,
    SET_CP866,
    SET_CP932,
    SET_CP1250,
    SET_CP1251,
    SET_CP1257,
    SET_KOI8R,
    SET_KOI8U,
    SET_GREEK,
    SET_HEBREW,
    SET_HP8,
    SET_DEC8,
    SET_TIS620,
    SET_MACCE,
    SET_MACROMAN,
    SET_EUCKR,
    SET_EUCJPMS,
    SET_GB2312,
    SET_GBK,
    SET_GB18030,
    SET_SJIS,
    SET_UJIS,
    /* not here */
    SET_BIG5,
    SET_ARMSCII8,
    SET_CP1256,
    SET_GEOSTD8,
    SET_KEYBCS2,
    SET_SWE7,
    SET_COUNT,
};

#define ICONV_FIRST SET_LATIN2
static_assert(SET_UJIS - ICONV_FIRST < (int)CHARSET_ICONV_MAX, "a slot for each");

struct set_names {
    const char *name;
    const char *iconv; /* its name for iconv(3); NULL: unknown there, or too different */
    const char *doubt; /* UTF-8 that iconv makes where the servers make something else */
};

/* Compared byte by byte (and pair by pair) with CONVERT() of MariaDB 10.11, glibc 2.36. */
static const struct set_names set_names[SET_COUNT] = {
    [SET_UTF8] = { "utf8mb4", NULL, NULL },
    [SET_BINARY] = { "binary", NULL, NULL },
    [SET_ASCII] = { "ascii", NULL, NULL },
    [SET_LATIN1] = { "latin1", NULL, NULL },
    [SET_UCS2] = { "ucs2", NULL, NULL },
    [SET_UTF16] = { "utf16", NULL, NULL },
    [SET_UTF16LE] = { "utf16le", NULL, NULL },
    [SET_UTF32] = { "utf32", NULL, NULL },
    [SET_LATIN2] = { "latin2", "ISO-8859-2", NULL },
    [SET_LATIN5] = { "latin5", "ISO-8859-9", NULL },
    [SET_LATIN7] = { "latin7", "ISO-8859-13", NULL },
    [SET_CP850] = { "cp850", "CP850", NULL },
    [SET_CP852] = { "cp852", "CP852", NULL },
    [SET_CP866] = { "cp866", "CP866", "№¤" },
    [SET_CP932] = { "cp932", "CP932", NULL },
    [SET_CP1250] = { "cp1250", "CP1250", NULL },
    [SET_CP1251] = { "cp1251", "CP1251", NULL },
    [SET_CP1257] = { "cp1257", "CP1257", NULL },
    [SET_KOI8R] = { "koi8r", "KOI8-R", NULL },
    [SET_KOI8U] = { "koi8u", "KOI8-U", "∙" },
    [SET_GREEK] = { "greek", "ISO-8859-7", "‘’€₯ͺ" },
    [SET_HEBREW] = { "hebrew", "ISO-8859-8", "¯" },
    [SET_HP8] = { "hp8", "HP-ROMAN8", NULL },
    [SET_DEC8] = { "dec8", "DEC-MCS", NULL },
    [SET_TIS620] = { "tis620", "TIS-620", NULL },
    [SET_MACCE] = { "macce", "MAC-CENTRALEUROPE", NULL },
    [SET_MACROMAN] = { "macroman", "MACINTOSH", "Δ\xee\x80\x9e" },
    [SET_EUCKR] = { "euckr", "UHC", NULL },
    [SET_EUCJPMS] = { "eucjpms", "EUC-JP-MS", NULL },
    [SET_GB2312] = { "gb2312", "EUC-CN", NULL },
    [SET_GBK] = { "gbk", "GBK", NULL },
    [SET_GB18030] = { "gb18030", "GB18030", NULL },
    [SET_SJIS] = { "sjis", "CP932", "＼～∥－￠￡￢" },
    [SET_UJIS] = { "ujis", "EUC-JP", "＼" },
    [SET_BIG5] = { "big5", NULL, NULL },
    [SET_ARMSCII8] = { "armscii8", NULL, NULL },
    [SET_CP1256] = { "cp1256", NULL, NULL },
    [SET_GEOSTD8] = { "geostd8", NULL, NULL },
    [SET_KEYBCS2] = { "keybcs2", NULL, NULL },
    [SET_SWE7] = { "swe7", NULL, NULL },
};

struct collations {
    uint16_t first;
    uint16_t last;
    uint8_t set; /* enum set */
};

/* In rising order.  Source: INFORMATION_SCHEMA.COLLATIONS of MariaDB 10.11 and MySQL 9.7, which
 * agree wherever both have a number. */
static const struct collations collations[] = {
    { 1, 1, SET_BIG5 },        { 2, 2, SET_LATIN2 },      { 3, 3, SET_DEC8 },
    { 4, 4, SET_CP850 },       { 5, 5, SET_LATIN1 },      { 6, 6, SET_HP8 },
    { 7, 7, SET_KOI8R },       { 8, 8, SET_LATIN1 },      { 9, 9, SET_LATIN2 },
    { 10, 10, SET_SWE7 },      { 11, 11, SET_ASCII },     { 12, 12, SET_UJIS },
    { 13, 13, SET_SJIS },      { 14, 14, SET_CP1251 },    { 15, 15, SET_LATIN1 },
    { 16, 16, SET_HEBREW },    { 18, 18, SET_TIS620 },    { 19, 19, SET_EUCKR },
    { 20, 20, SET_LATIN7 },    { 21, 21, SET_LATIN2 },    { 22, 22, SET_KOI8U },
    { 23, 23, SET_CP1251 },    { 24, 24, SET_GB2312 },    { 25, 25, SET_GREEK },
    { 26, 26, SET_CP1250 },    { 27, 27, SET_LATIN2 },    { 28, 28, SET_GBK },
    { 29, 29, SET_CP1257 },    { 30, 30, SET_LATIN5 },    { 31, 31, SET_LATIN1 },
    { 32, 32, SET_ARMSCII8 },  { 33, 33, SET_UTF8 },      { 34, 34, SET_CP1250 },
    { 35, 35, SET_UCS2 },      { 36, 36, SET_CP866 },     { 37, 37, SET_KEYBCS2 },
    { 38, 38, SET_MACCE },     { 39, 39, SET_MACROMAN },  { 40, 40, SET_CP852 },
    { 41, 42, SET_LATIN7 },    { 43, 43, SET_MACCE },     { 44, 44, SET_CP1250 },
    { 45, 46, SET_UTF8 },      { 47, 49, SET_LATIN1 },    { 50, 52, SET_CP1251 },
    { 53, 53, SET_MACROMAN },  { 54, 55, SET_UTF16 },     { 56, 56, SET_UTF16LE },
    { 57, 57, SET_CP1256 },    { 58, 59, SET_CP1257 },    { 60, 61, SET_UTF32 },
    { 62, 62, SET_UTF16LE },   { 63, 63, SET_BINARY },    { 64, 64, SET_ARMSCII8 },
    { 65, 65, SET_ASCII },     { 66, 66, SET_CP1250 },    { 67, 67, SET_CP1256 },
    { 68, 68, SET_CP866 },     { 69, 69, SET_DEC8 },      { 70, 70, SET_GREEK },
    { 71, 71, SET_HEBREW },    { 72, 72, SET_HP8 },       { 73, 73, SET_KEYBCS2 },
    { 74, 74, SET_KOI8R },     { 75, 75, SET_KOI8U },     { 76, 76, SET_UTF8 },
    { 77, 77, SET_LATIN2 },    { 78, 78, SET_LATIN5 },    { 79, 79, SET_LATIN7 },
    { 80, 80, SET_CP850 },     { 81, 81, SET_CP852 },     { 82, 82, SET_SWE7 },
    { 83, 83, SET_UTF8 },      { 84, 84, SET_BIG5 },      { 85, 85, SET_EUCKR },
    { 86, 86, SET_GB2312 },    { 87, 87, SET_GBK },       { 88, 88, SET_SJIS },
    { 89, 89, SET_TIS620 },    { 90, 90, SET_UCS2 },      { 91, 91, SET_UJIS },
    { 92, 93, SET_GEOSTD8 },   { 94, 94, SET_LATIN1 },    { 95, 96, SET_CP932 },
    { 97, 98, SET_EUCJPMS },   { 99, 99, SET_CP1250 },    { 101, 124, SET_UTF16 },
    { 128, 159, SET_UCS2 },    { 160, 183, SET_UTF32 },   { 192, 247, SET_UTF8 },
    { 248, 250, SET_GB18030 }, { 255, 323, SET_UTF8 },    { 576, 610, SET_UTF8 },
    { 640, 642, SET_UCS2 },    { 672, 674, SET_UTF16 },   { 736, 738, SET_UTF32 },
    { 2048, 2247, SET_UTF8 },  { 2304, 2503, SET_UTF8 },  { 2560, 2759, SET_UCS2 },
    { 2816, 3015, SET_UTF16 }, { 3072, 3271, SET_UTF32 },
};

static enum set
find_set(unsigned collation)
{
    if (collation >= NOPAD_OFFSET && collation < NOPAD_END) {
        collation -= NOPAD_OFFSET;
    }
    for (size_t i = 0; i < sizeof(collations) / sizeof(collations[0]); i++) {
        if (collation <= collations[i].last) {
            return collation >= collations[i].first ? (enum set)collations[i].set : SET_NONE;
        }
    }
    return SET_NONE;
}

const char *
charset_name(unsigned collation)
{
    return set_names[find_set(collation)].name;
}

void
charsets_init(struct charsets *charsets)
{
    *charsets = (struct charsets){ .converter = { NULL } };
}

void
charsets_fini(struct charsets *charsets)
{
    for (size_t i = 0; i < CHARSET_ICONV_MAX; i++) {
        if (charsets->converter[i] != NULL) {
            (void)iconv_close((iconv_t)charsets->converter[i]);
            charsets->converter[i] = NULL;
        }
    }
}

/* UTF-8 that is gathered, to be handed on piece by piece. */
struct gatherer {
    charset_sink *sink;
    void *context;
    size_t len;
    uint8_t piece[PIECE_LEN];
};

static void
hand_on(struct gatherer *to)
{
    if (to->len > 0) {
        to->sink(to->context, to->piece, to->len);
        to->len = 0;
    }
}

static void
put_code_point(struct gatherer *to, uint32_t code)
{
    if (to->len + 4 > PIECE_LEN) {
        hand_on(to);
    }
    uint8_t *at = to->piece + to->len;
    if (code < 0x80) {
        at[0] = (uint8_t)code;
        to->len += 1;
    } else if (code < 0x800) {
        at[0] = (uint8_t)(0xc0 | code >> 6);
        at[1] = (uint8_t)(0x80 | (code & 63));
        to->len += 2;
    } else if (code < 0x10000) {
        at[0] = (uint8_t)(0xe0 | code >> 12);
        at[1] = (uint8_t)(0x80 | (code >> 6 & 63));
        at[2] = (uint8_t)(0x80 | (code & 63));
        to->len += 3;
    } else {
        at[0] = (uint8_t)(0xf0 | code >> 18);
        at[1] = (uint8_t)(0x80 | (code >> 12 & 63));
        at[2] = (uint8_t)(0x80 | (code >> 6 & 63));
        at[3] = (uint8_t)(0x80 | (code & 63));
        to->len += 4;
    }
}

static enum charset_result
convert_latin1(struct gatherer *to, struct bytes text)
{
    /* What cp1252 has in place of the control characters 80 to 9f. */
    static const uint16_t windows[32] = {
        0x20ac, 0x81,   0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
        0x2039, 0x0152, 0x8d,   0x017d, 0x8f,   0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
        0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,   0x017e, 0x0178,
    };
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.at[i];
        put_code_point(to, byte >= 0x80 && byte < 0xa0 ? windows[byte - 0x80] : byte);
    }
    return CHARSET_DONE;
}

static enum charset_result
convert_utf16(struct gatherer *to, struct bytes text, bool little, bool surrogates)
{
    if (text.len % 2 != 0) {
        return CHARSET_UNKNOWN;
    }
    uint32_t high = 0;
    for (size_t i = 0; i < text.len; i += 2) {
        uint32_t unit =
            little ? le_get_u16(text.at + i) : (uint32_t)bytes_number_be(text.at + i, 2);
        bool is_high = unit >= 0xd800 && unit < 0xdc00;
        bool is_low = unit >= 0xdc00 && unit < 0xe000;
        if ((is_high || is_low) && !surrogates) {
            return CHARSET_UNKNOWN;
        }
        if (is_low != (high != 0)) {
            return CHARSET_UNKNOWN;
        }
        if (is_high) {
            high = unit;
            continue;
        }
        put_code_point(to, is_low ? 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00) : unit);
        high = 0;
    }
    return high == 0 ? CHARSET_DONE : CHARSET_UNKNOWN;
}

static enum charset_result
convert_utf32(struct gatherer *to, struct bytes text)
{
    if (text.len % 4 != 0) {
        return CHARSET_UNKNOWN;
    }
    for (size_t i = 0; i < text.len; i += 4) {
        uint32_t code = (uint32_t)bytes_number_be(text.at + i, 4);
        if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
            return CHARSET_UNKNOWN;
        }
        put_code_point(to, code);
    }
    return CHARSET_DONE;
}

/** Whether one of the characters of `doubt` stands in the text; both are UTF-8. */
static bool
has_any(const uint8_t *text, size_t len, const char *doubt)
{
    for (const char *at = doubt; *at != '\0';) {
        uint8_t first = (uint8_t)*at;
        size_t char_len = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
        if (memmem(text, len, at, char_len) != NULL) {
            return true;
        }
        at += char_len;
    }
    return false;
}

/** Opens the converter of a set at its first use. */
static iconv_t
open_converter(struct charsets *charsets, enum set set)
{
    void **slot = &charsets->converter[set - ICONV_FIRST];
    if (*slot == NULL && set_names[set].iconv != NULL) {
        iconv_t opened = iconv_open("UTF-8", set_names[set].iconv);
        if (opened != (iconv_t)-1) {
            *slot = opened;
        }
    }
    return *slot;
}

static enum charset_result
convert_iconv(struct charsets *charsets, enum set set, struct gatherer *to, struct bytes text)
{
    iconv_t converter = set_names[set].iconv == NULL ? NULL : open_converter(charsets, set);
    if (converter == NULL) {
        return CHARSET_UNKNOWN;
    }
    (void)iconv(converter, NULL, NULL, NULL, NULL);
    char *in = (char *)(uintptr_t)text.at; /* iconv() does not write there */
    size_t in_left = text.len;
    while (in_left > 0) {
        char *out = (char *)to->piece;
        size_t out_left = sizeof(to->piece);
        size_t before = in_left;
        size_t converted = iconv(converter, &in, &in_left, &out, &out_left);
        to->len = sizeof(to->piece) - out_left;
        if ((converted != 0 && converted != (size_t)-1) || in_left == before) {
            return CHARSET_UNKNOWN; /* replaced by something similar; or nothing that it knows */
        }
        if (set_names[set].doubt != NULL && has_any(to->piece, to->len, set_names[set].doubt)) {
            return CHARSET_UNKNOWN;
        }
        hand_on(to);
    }
    return CHARSET_DONE;
}

enum charset_result
charset_convert(struct charsets *charsets, unsigned collation, struct bytes text,
                charset_sink *sink, void *context)
{
    struct gatherer to = { .sink = sink, .context = context };
    enum charset_result result = CHARSET_DONE;
    enum set set = find_set(collation);
    switch ((int)set) {
    case SET_NONE:
        return CHARSET_UNKNOWN;
    case SET_UTF8:
    case SET_BINARY:
    case SET_ASCII:
        if (text.len > 0) {
            sink(context, text.at, text.len);
        }
        return CHARSET_DONE;
    case SET_LATIN1:
        result = convert_latin1(&to, text);
        break;
    case SET_UCS2:
        result = convert_utf16(&to, text, false, false);
        break;
    case SET_UTF16:
        result = convert_utf16(&to, text, false, true);
        break;
    case SET_UTF16LE:
        result = convert_utf16(&to, text, true, true);
        break;
    case SET_UTF32:
        result = convert_utf32(&to, text);
        break;
    default:
        return convert_iconv(charsets, set, &to, text);
    }
    hand_on(&to);
    return result;
}
