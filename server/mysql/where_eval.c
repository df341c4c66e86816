#include "config.h"

#include "mysql/where.h"

#include "base/assert.h"

#include <stdlib.h>

#define QUOTED_DIGITS_MAX 15u /* a quoted number compares as a double: no more digits are exact */

/* What a condition may come to: a set, since a value may not be known. */
#define MAY_BE_TRUE  1u
#define MAY_BE_FALSE 2u
#define MAY_BE_NULL  4u

/* How a value stands to a literal. */
enum standing {
    STANDS_BELOW,
    STANDS_EQUAL,
    STANDS_ABOVE,
    STANDS_APART, /* not equal */
    STANDS_UNKNOWN,
};

static enum standing
from_sign(int sign)
{
    return sign < 0 ? STANDS_BELOW : sign > 0 ? STANDS_ABOVE : STANDS_EQUAL;
}

/* -- numbers ---------------------------------------------------------------------------------- */

/** A decimal number, cut apart: no zeros in front of the whole, none behind the fraction. */
struct decimal {
    bool is_negative;
    struct bytes whole;
    struct bytes fraction;
};

static struct decimal
cut_decimal(struct bytes text)
{
    struct decimal out = { .is_negative = text.len > 0 && text.at[0] == '-' };
    if (text.len > 0 && (text.at[0] == '-' || text.at[0] == '+')) {
        text.at++;
        text.len--;
    }
    const uint8_t *point = text.len == 0 ? NULL : memchr(text.at, '.', text.len);
    out.whole = (struct bytes){ text.at, point == NULL ? text.len : (size_t)(point - text.at) };
    while (out.whole.len > 0 && out.whole.at[0] == '0') {
        out.whole.at++;
        out.whole.len--;
    }
    if (point != NULL) {
        out.fraction = (struct bytes){ point + 1, text.len - (size_t)(point - text.at) - 1 };
        while (out.fraction.len > 0 && out.fraction.at[out.fraction.len - 1] == '0') {
            out.fraction.len--;
        }
    }
    if (out.whole.len == 0 && out.fraction.len == 0) {
        out.is_negative = false;
    }
    return out;
}

/** As texts are ordered: the shorter of two that begin alike comes first. */
static int
compare_bytes(struct bytes a, struct bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.at, b.at, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static enum standing
compare_decimals(struct bytes text, struct bytes literal)
{
    struct decimal a = cut_decimal(text);
    struct decimal b = cut_decimal(literal);
    if (a.is_negative != b.is_negative) {
        return a.is_negative ? STANDS_BELOW : STANDS_ABOVE;
    }
    int order = (a.whole.len > b.whole.len) - (a.whole.len < b.whole.len);
    if (order == 0) {
        order = compare_bytes(a.whole, b.whole);
    }
    if (order == 0) {
        order = compare_bytes(a.fraction, b.fraction);
    }
    return from_sign(a.is_negative ? -order : order);
}

/** The value's text; false if it cannot be told. */
static bool
render(const struct value *value, struct template_scratch *scratch, struct bytes *out)
{
    const char *reason;
    struct writer text = writer(scratch->text[0], TEMPLATE_TEXT_MAX);
    if (render_text(value, &scratch->charsets, &text, &reason) != RENDER_DONE) {
        return false;
    }
    *out = (struct bytes){ (const uint8_t *)text.at, text.len };
    return true;
}

static enum standing
compare_number(const struct value *value, const struct where_literal *literal,
               struct template_scratch *scratch)
{
    struct bytes text;
    if (!literal->is_number || (literal->is_quoted && literal->text.len > QUOTED_DIGITS_MAX)) {
        return STANDS_UNKNOWN;
    }
    if (literal->is_integer && value->kind == VALUE_INT) {
        return from_sign((value->number > literal->integer) - (value->number < literal->integer));
    }
    if (literal->is_integer && value->kind != VALUE_DECIMAL) {
        if (literal->integer < 0) {
            return STANDS_ABOVE;
        }
        uint64_t number = (uint64_t)literal->integer;
        return from_sign((value->unsigned_number > number) - (value->unsigned_number < number));
    }
    return render(value, scratch, &text) ? compare_decimals(text, literal->text) : STANDS_UNKNOWN;
}

static enum standing
compare_real(double real, bool is_float, const struct where_literal *literal)
{
    if (!literal->is_number || real != real) {
        return STANDS_UNKNOWN;
    }
    if (is_float && (float)real == (float)literal->real && real != literal->real) {
        return STANDS_UNKNOWN; /* which precision counts depends on the server */
    }
    return from_sign((real > literal->real) - (real < literal->real));
}

/* -- dates ------------------------------------------------------------------------------------ */

static bool
take_digits(struct bytes_cursor *cur, size_t digits, uint64_t max, uint64_t *out)
{
    uint64_t number = 0;
    if (bytes_left(cur) < digits) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        uint8_t c = cur->at[i];
        if (c < '0' || c > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(c - '0');
    }
    cur->at += digits;
    *out = number;
    return number <= max;
}

/** YYYY-MM-DD[ HH:MM:SS[.f]], as a number that orders as the times do. */
static bool
read_datetime(struct bytes text, uint64_t *out)
{
    struct bytes_cursor cur = bytes_cursor(text);
    uint64_t year, month, day;
    uint64_t hour = 0, minute = 0, second = 0, micro = 0;
    if (!take_digits(&cur, 4, 9999, &year) || !bytes_take_char(&cur, '-') ||
        !take_digits(&cur, 2, 12, &month) || !bytes_take_char(&cur, '-') ||
        !take_digits(&cur, 2, 31, &day)) {
        return false;
    }
    if (bytes_left(&cur) > 0 &&
        (!bytes_take_char(&cur, ' ') || !take_digits(&cur, 2, 23, &hour) ||
         !bytes_take_char(&cur, ':') || !take_digits(&cur, 2, 59, &minute) ||
         !bytes_take_char(&cur, ':') || !take_digits(&cur, 2, 59, &second))) {
        return false;
    }
    if (bytes_left(&cur) > 0) {
        if (!bytes_take_char(&cur, '.') || bytes_left(&cur) > 6 || bytes_left(&cur) == 0) {
            return false;
        }
        size_t digits = bytes_left(&cur);
        if (!take_digits(&cur, digits, 999999, &micro)) {
            return false;
        }
        for (; digits < 6; digits++) {
            micro *= 10;
        }
    }
    *out = ((((year * 13 + month) * 32 + day) * 24 + hour) * 60 + minute) * 60 + second;
    *out = *out * 1000000 + micro;
    return true;
}

static enum standing
compare_datetime(const struct value *value, const struct where_literal *literal,
                 struct template_scratch *scratch)
{
    struct bytes text;
    uint64_t a, b;
    if (!literal->is_quoted || !render(value, scratch, &text) || !read_datetime(text, &a) ||
        !read_datetime(literal->text, &b)) {
        return STANDS_UNKNOWN;
    }
    return from_sign((a > b) - (a < b));
}

/* -- texts ------------------------------------------------------------------------------------ */

/** One letter for all that some collation takes for the same; 0 for what others may ignore. */
static uint8_t
fold(uint8_t c)
{
    if (c < ' ' || c >= 0x7f) {
        return 0;
    }
    if (c >= 'A' && c <= 'Z') {
        c ^= 0x20;
    }
    switch (c) {
    case 'j':
    case 'y':
        return 'i';
    case 'v':
    case 'w':
        return 'u';
    default:
        return c;
    }
}

/** Whether no collation takes these two for equal. */
static bool
are_apart(struct bytes a, struct bytes b)
{
    bool differ = false;
    while (a.len > 0 && a.at[a.len - 1] == ' ') {
        a.len--;
    }
    while (b.len > 0 && b.at[b.len - 1] == ' ') {
        b.len--;
    }
    for (size_t i = 0; i < a.len || i < b.len; i++) {
        uint8_t one = i < a.len ? fold(a.at[i]) : 1;
        uint8_t other = i < b.len ? fold(b.at[i]) : 1;
        if (one == 0 || other == 0) {
            return false;
        }
        differ |= one != other;
    }
    return differ;
}

static enum standing
compare_text(const struct value *value, const struct where_literal *literal,
             struct template_scratch *scratch)
{
    struct bytes text;
    if (!literal->is_quoted || !render(value, scratch, &text)) {
        return STANDS_UNKNOWN;
    }
    bool is_bytes = value->kind == VALUE_BINARY && value->column->meaning == COLUMN_AS_LOGGED;
    int order = compare_bytes(text, literal->text);
    if (order == 0 || is_bytes) {
        return from_sign(order);
    }
    bool is_choice =
        value->kind == VALUE_TEXT || value->kind == VALUE_ENUM ||
        (value->kind == VALUE_SET && memchr(literal->text.at, ',', literal->text.len) == NULL);
    return is_choice && are_apart(text, literal->text) ? STANDS_APART : STANDS_UNKNOWN;
}

/* -- conditions ------------------------------------------------------------------------------- */

static enum standing
compare(const struct value *value, const struct where_literal *literal,
        struct template_scratch *scratch)
{
    switch (value->kind) {
    case VALUE_YEAR:
        /* One and two digits are years of two centuries. */
        if (!literal->is_integer || literal->integer < 100) {
            return STANDS_UNKNOWN;
        }
        return compare_number(value, literal, scratch);
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_BIT:
    case VALUE_DECIMAL:
        return compare_number(value, literal, scratch);
    case VALUE_FLOAT:
        return compare_real((double)value->single, true, literal);
    case VALUE_DOUBLE:
        return compare_real(value->real, false, literal);
    case VALUE_DATE:
    case VALUE_DATETIME:
    case VALUE_TIMESTAMP:
        return compare_datetime(value, literal, scratch);
    case VALUE_ENUM:
    case VALUE_SET:
        if (!literal->is_quoted) {
            return literal->is_integer ? compare_number(value, literal, scratch) : STANDS_UNKNOWN;
        }
        return compare_text(value, literal, scratch);
    case VALUE_TEXT:
    case VALUE_BINARY:
    case VALUE_TIME:
        return compare_text(value, literal, scratch);
    case VALUE_JSON:
    case VALUE_GEOMETRY:
    case VALUE_VECTOR:
    case VALUE_ABSENT:
    case VALUE_NULL:
    case VALUE_UNREADABLE:
        break;
    }
    return STANDS_UNKNOWN;
}

/** What a test comes to if the value stands so. */
static unsigned
judge(enum where_step_kind kind, enum standing standing)
{
    unsigned below = MAY_BE_FALSE;
    unsigned equal = MAY_BE_FALSE;
    unsigned above = MAY_BE_FALSE;
    if (kind == WHERE_NOT_EQUAL || kind == WHERE_LESS || kind == WHERE_LESS_EQUAL) {
        below = MAY_BE_TRUE;
    }
    if (kind == WHERE_EQUAL || kind == WHERE_IN || kind == WHERE_LESS_EQUAL ||
        kind == WHERE_MORE_EQUAL) {
        equal = MAY_BE_TRUE;
    }
    if (kind == WHERE_NOT_EQUAL || kind == WHERE_MORE || kind == WHERE_MORE_EQUAL) {
        above = MAY_BE_TRUE;
    }
    switch (standing) {
    case STANDS_BELOW:
        return below;
    case STANDS_EQUAL:
        return equal;
    case STANDS_ABOVE:
        return above;
    case STANDS_APART:
        return below | above;
    case STANDS_UNKNOWN:
        break;
    }
    return below | equal | above;
}

static unsigned
do_not(unsigned a)
{
    return (a & MAY_BE_NULL) | (a & MAY_BE_TRUE ? MAY_BE_FALSE : 0) |
           (a & MAY_BE_FALSE ? MAY_BE_TRUE : 0);
}

static unsigned
do_and(unsigned a, unsigned b)
{
    unsigned either_null = ((a & MAY_BE_NULL) && (b & (MAY_BE_NULL | MAY_BE_TRUE))) ||
                           ((b & MAY_BE_NULL) && (a & (MAY_BE_NULL | MAY_BE_TRUE)));
    return (a & b & MAY_BE_TRUE) | ((a | b) & MAY_BE_FALSE) | (either_null ? MAY_BE_NULL : 0);
}

static unsigned
do_or(unsigned a, unsigned b)
{
    return do_not(do_and(do_not(a), do_not(b)));
}

static unsigned
do_test(const struct where *where, const struct where_step *step, const struct value *value,
        struct template_scratch *scratch)
{
    enum where_step_kind kind = step->kind;
    if (value == NULL || value->kind == VALUE_UNREADABLE) {
        bool is_there = value != NULL; /* and so is not NULL */
        if (kind == WHERE_IS_NULL) {
            return is_there ? MAY_BE_FALSE : MAY_BE_TRUE | MAY_BE_FALSE;
        }
        return MAY_BE_TRUE | MAY_BE_FALSE | (is_there ? 0 : MAY_BE_NULL);
    }
    if (kind == WHERE_IS_NULL) {
        return value->kind == VALUE_NULL ? MAY_BE_TRUE : MAY_BE_FALSE;
    }
    if (value->kind == VALUE_NULL) {
        return MAY_BE_NULL;
    }
    unsigned any = MAY_BE_FALSE;
    for (unsigned i = 0; i < step->literal_count; i++) {
        any = do_or(any, judge(kind, compare(value, &where->literals[step->literal + i], scratch)));
    }
    return any;
}

enum where_result
where_eval(const struct where *where, const uint16_t *slots, const struct value *before,
           const struct value *after, bool from_after, struct template_scratch *scratch)
{
    unsigned stack[WHERE_STEPS_MAX];
    unsigned depth = 0;
    for (uint32_t i = 0; i < where->step_count; i++) {
        const struct where_step *step = &where->steps[i];
        if (step->kind == WHERE_NOT) {
            assert(depth >= 1);
            stack[depth - 1] = do_not(stack[depth - 1]);
        } else if (step->kind == WHERE_AND || step->kind == WHERE_OR) {
            assert(depth >= 2);
            depth--;
            stack[depth - 1] = step->kind == WHERE_AND ? do_and(stack[depth - 1], stack[depth])
                                                       : do_or(stack[depth - 1], stack[depth]);
        } else {
            const struct value *value =
                template_find_value(before, after, slots[step->column], from_after);
            stack[depth++] = do_test(where, step, value, scratch);
        }
    }
    assert(depth == 1);
    if (stack[0] == MAY_BE_TRUE) {
        return WHERE_YES;
    }
    return stack[0] & MAY_BE_TRUE ? WHERE_UNKNOWN : WHERE_NO;
}
