#include "meta.h"

#include <assert.h>

static inline uint8_t *
write_line_end(uint8_t *at)
{
    at[0] = '\r';
    at[1] = '\n';
    return at + 2;
}

static inline uint8_t *
write_letter(uint8_t *at, char letter)
{
    at[0] = ' ';
    at[1] = (uint8_t)letter;
    return at + 2;
}

static uint8_t *
write_u64_flag(uint8_t *at, char letter, uint64_t number)
{
    return text_write_u64(write_letter(at, letter), number);
}

static uint8_t *
write_ttl(uint8_t *at, int64_t ttl_s)
{
    if (ttl_s < 0) {
        *at++ = '-';
        *at++ = '1';
        return at;
    }
    return text_write_u64(at, (uint64_t)ttl_s);
}

static uint8_t *
write_bytes(uint8_t *at, struct span span)
{
    memcpy(at, span.at, span.len);
    return at + span.len;
}

static uint8_t *
write_key(uint8_t *at, struct span key, bool binary)
{
    assert(key.len <= KEY_LEN_MAX);
    at = write_letter(at, 'k');
    if (!binary) {
        return write_bytes(at, key);
    }
    return write_letter(base64_encode(at, key.at, key.len), 'b');
}

/** One flag that needs no item; the others are passed over. */
static inline uint8_t *
write_miss_flag(uint8_t *at, char letter, const struct meta_request *request, bool key_binary)
{
    if (letter == 'k') {
        return write_key(at, request->key, key_binary);
    }
    if (letter == 'O') {
        assert(request->opaque.len <= META_OPAQUE_MAX);
        return write_bytes(write_letter(at, 'O'), request->opaque);
    }
    return at;
}

static uint8_t *
write_flag(uint8_t *at, char letter, const struct meta_request *request,
           const struct reply_item *item)
{
    switch (letter) {
    case 's':
        return write_u64_flag(at, 's', item->value_len);
    case 't':
        return write_ttl(write_letter(at, 't'), item->ttl_s);
    case 'c':
        return write_u64_flag(at, 'c', item->cas);
    case 'l':
        return write_u64_flag(at, 'l', item->idle_s);
    case 'f':
        return write_u64_flag(at, 'f', item->client_flags);
    case 'h':
        return write_u64_flag(at, 'h', item->fetched);
    default:
        return write_miss_flag(at, letter, request, item->key_binary);
    }
}

/** Source: contract 1.7, "Return flags"; W, X and Z were seen live as `X W` and `Z X`. */
static uint8_t *
write_flags(uint8_t *at, const struct meta_request *request, const struct reply_item *item)
{
    for (unsigned i = 0; i < request->returns_count; i++) {
        at = write_flag(at, (char)request->returns[i], request, item);
    }
    return at;
}

static inline uint8_t *
write_marks(uint8_t *at, const struct reply_item *item)
{
    if (item->sent) {
        at = write_letter(at, 'Z');
    }
    if (item->stale) {
        at = write_letter(at, 'X');
    }
    if (item->won) {
        at = write_letter(at, 'W');
    }
    return at;
}

/** "HD" and its like. */
static inline uint8_t *
write_result(uint8_t *at, enum meta_result result)
{
    static const char names[][2] = {
        [META_HD] = { 'H', 'D' }, [META_VA] = { 'V', 'A' }, [META_EN] = { 'E', 'N' },
        [META_NS] = { 'N', 'S' }, [META_EX] = { 'E', 'X' }, [META_NF] = { 'N', 'F' },
    };
    memcpy(at, names[result], 2);
    return at + 2;
}

uint8_t *
meta_write_value_head(uint8_t *at, uint32_t value_len)
{
    at[0] = 'V';
    at[1] = 'A';
    at[2] = ' ';
    return write_line_end(text_write_u64(at + 3, value_len));
}

uint8_t *
meta_write_head(uint8_t *at, const struct meta_request *request, enum meta_result result,
                const struct reply_item *item)
{
    at = write_result(at, result);
    if (result == META_VA) {
        assert(item != NULL);
        *at++ = ' ';
        at = text_write_u64(at, item->value_len);
    }
    bool found = result == META_HD || result == META_VA;
    if (item != NULL && (found || request->op == META_MS)) {
        at = write_flags(at, request, item);
        if (found && request->op == META_MG) {
            at = write_marks(at, item);
        }
        return write_line_end(at);
    }
    for (unsigned i = 0; i < request->returns_count; i++) {
        at = write_miss_flag(at, (char)request->returns[i], request, meta_has(request, 'b'));
    }
    return write_line_end(at);
}

uint8_t *
meta_write_number(uint8_t *at, const struct meta_request *request, uint64_t number,
                  const struct reply_item *item)
{
    uint8_t digits[TEXT_NUMBER_MAX];
    size_t len = (size_t)(text_write_number(digits, number) - digits);
    struct reply_item with_len = *item;
    with_len.value_len = (uint32_t)len - 2;
    at = meta_write_head(at, request, META_VA, &with_len);
    memcpy(at, digits, len);
    return at + len;
}

/** A piece of text and the number behind it. */
static uint8_t *
write_field(uint8_t *at, const char *name, uint64_t number)
{
    size_t len = strlen(name);
    memcpy(at, name, len);
    return text_write_u64(at + len, number);
}

static uint8_t *
write_text(uint8_t *at, const char *text)
{
    size_t len = strlen(text);
    memcpy(at, text, len);
    return at + len;
}

uint8_t *
meta_write_me(uint8_t *at, struct span key, const struct reply_item *item, unsigned class_id,
              uint64_t item_size)
{
    assert(key.len <= KEY_LEN_MAX);
    at = write_text(at, "ME ");
    at = item->key_binary ? base64_encode(at, key.at, key.len) : write_bytes(at, key);
    at = write_ttl(write_text(at, " exp="), item->ttl_s);
    at = write_field(at, " la=", item->idle_s);
    at = write_field(at, " cas=", item->cas);
    at = write_text(at, item->fetched ? " fetch=yes" : " fetch=no");
    at = write_field(at, " cls=", class_id);
    at = write_field(at, " size=", item_size);
    return write_line_end(at);
}
