#include "dump.h"

#include "base64.h"
#include "text.h"

#include <string.h>

#define PUT(at, text) put((at), (text), sizeof(text) - 1)

static uint8_t *
put(uint8_t *at, const void *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

static uint8_t *
put_i64(uint8_t *at, int64_t number)
{
    if (number < 0) {
        *at++ = '-';
        return text_write_u64(at, (uint64_t)0 - (uint64_t)number);
    }
    return text_write_u64(at, (uint64_t)number);
}

uint8_t *
dump_write_meta(uint8_t *at, const struct dump_item *item)
{
    at = PUT(at, "key=");
    at = put(at, item->key.at, item->key.len);
    at = PUT(at, " exp=");
    at = put_i64(at, item->expires_at == 0 ? -1 : item->expires_at);
    at = PUT(at, " la=");
    at = put_i64(at, item->used_at);
    at = PUT(at, " cas=");
    at = text_write_u64(at, item->cas);
    at = item->fetched ? PUT(at, " fetch=yes cls=") : PUT(at, " fetch=no cls=");
    at = text_write_u64(at, item->class_id);
    at = PUT(at, " size=");
    at = text_write_u64(at, item->size);
    at = PUT(at, " flags=");
    at = text_write_u64(at, item->flags);
    return PUT(at, " \n");
}

uint8_t *
dump_write_mg(uint8_t *at, const struct dump_item *item)
{
    at = PUT(at, "mg ");
    if (!item->binary_key) {
        at = put(at, item->key.at, item->key.len);
        return PUT(at, "\r\n");
    }
    at = base64_encode(at, item->key.at, item->key.len);
    return PUT(at, " b\r\n");
}
