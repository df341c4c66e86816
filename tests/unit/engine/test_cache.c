/* The whole cache against a simple map: every command, at random, with the structures checked
 * throughout.
 *
 * A key that the map holds and the cache does not must have been evicted: at the end, the keys lost
 * are counted against the cache's own count of evictions. */
#include "unit/engine/rig.h"

#include <stdlib.h>

#define KEYS_MAX        4000u
#define PINS_MAX        6u
#define OPEN_STORES_MAX 3u
#define NUMBER_FIELD    24u
#define NUMBER_END      64u /* bytes of a value that incr looks at */

/* -- the map
 * ------------------------------------------------------------------------------------------- */

struct entry {
    bool there;
    uint8_t *bytes;
    size_t len;
    uint32_t flags;
    uint64_t cas;
    int64_t expires_at;
};

struct held_pin {
    struct cache_pin *pin;
    uint8_t *bytes;
    size_t len;
};

struct open_store {
    bool open;
    struct cache_store store;
    unsigned key;
    uint8_t *bytes;
    size_t len;
    size_t written;
    uint32_t flags;
    int64_t expires_at;
};

/* One way to run the model. */
struct setting {
    const char *name;
    uint64_t memory_limit;
    uint32_t item_size_max;
    double growth_factor;
    uint32_t chunk_min;
    bool cas_disabled;
    bool evictions_disabled;
    bool roomy;         /* nothing is ever evicted */
    bool limit_changes; /* the memory limit goes down and up */
    unsigned keys;
    size_t value_max; /* of most values */
    size_t value_top; /* of some */
    unsigned steps;
    unsigned check_every;
};

struct model {
    const struct setting *setting;
    struct rig rig;
    struct rng rng;
    struct entry entry[KEYS_MAX];
    struct held_pin pin[PINS_MAX];
    struct open_store open[OPEN_STORES_MAX];
    uint8_t *scratch;
    int64_t now;
    int64_t flush_at; /* 0 for none */
    uint64_t lost;    /* keys that the cache has let go */
    uint64_t refused; /* stores */
    uint64_t cas_last;
    bool limit_lowered; /* and not settled since */
};

static uint64_t
draw(struct model *model, uint64_t bound)
{
    return rng_below(&model->rng, bound);
}

static const char *
key_of(unsigned number)
{
    static char key[CACHE_KEY_MAX + 1];
    int len = snprintf(key, sizeof(key), "k%u:", number);
    /* Of all lengths, up to the longest. */
    unsigned pad = number % 7 == 0 ? number % (CACHE_KEY_MAX - 10) : number % 13;
    memset(key + len, 'x', pad);
    key[(unsigned)len + pad] = '\0';
    if (number % 101 == 100) {
        memset(key + len, 'y', CACHE_KEY_MAX - (unsigned)len);
        key[CACHE_KEY_MAX] = '\0';
    }
    return key;
}

static void
forget(struct entry *entry)
{
    entry->there = false;
    free(entry->bytes);
    entry->bytes = NULL;
    entry->len = 0;
}

static void
remember(struct entry *entry, const uint8_t *bytes, size_t len, uint32_t flags, int64_t expires_at,
         uint64_t cas)
{
    uint8_t *copy = malloc(len + 1);
    ck_assert_ptr_nonnull(copy);
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    free(entry->bytes);
    *entry = (struct entry){ true, copy, len, flags, cas, expires_at };
}

/** Whether the map says that a key is there, at the model's time. */
static bool
is_living(struct model *model, unsigned key)
{
    struct entry *entry = &model->entry[key];
    if (entry->there && entry->expires_at != CACHE_NEVER && entry->expires_at <= model->now) {
        forget(entry);
    }
    return entry->there;
}

/** The cache says that a living key is not there: it must have been evicted. */
static void
lose(struct model *model, unsigned key)
{
    ck_assert_msg(!model->setting->roomy && !model->setting->evictions_disabled, "%s is lost",
                  key_of(key));
    forget(&model->entry[key]);
    model->lost++;
}

static void
check_cas_is_new(struct model *model, uint64_t cas)
{
    if (model->setting->cas_disabled) {
        ck_assert_uint_eq(cas, 0);
    } else {
        ck_assert_uint_gt(cas, model->cas_last);
        model->cas_last = cas;
    }
}

static void
check_refusal(struct model *model, enum cache_result result)
{
    ck_assert_int_eq(result, CACHE_NO_MEMORY);
    ck_assert_msg(model->setting->evictions_disabled,
                  "a store is refused where there is something to evict");
    model->refused++;
}

/* -- commands
 * ------------------------------------------------------------------------------------------ */

static size_t
draw_len(struct model *model)
{
    switch (draw(model, 24)) {
    case 0:
        return 0;
    case 1:
        return draw(model, model->setting->value_top + 1);
    case 2:
        return draw(model, model->setting->value_top / 8 + 1);
    default:
        return draw(model, model->setting->value_max + 1);
    }
}

static int64_t
draw_expiry(struct model *model)
{
    switch (draw(model, 12)) {
    case 0:
        return model->now + 1 + (int64_t)draw(model, 4);
    case 1:
        return model->now + 100 + (int64_t)draw(model, 1000);
    case 2:
        return draw(model, 4) == 0 ? model->now - (int64_t)draw(model, 3) : CACHE_NEVER;
    case 3:
        return draw(model, 4) == 0 ? -1 : CACHE_NEVER;
    default:
        return CACHE_NEVER;
    }
}

static uint32_t
draw_flags(struct model *model)
{
    return draw(model, 3) == 0 ? (uint32_t)rng_next(&model->rng) : 0;
}

static bool
fits(const struct model *model, unsigned key, size_t len, uint32_t flags)
{
    size_t header = 12 + (model->setting->cas_disabled ? 0u : 8u) + (flags != 0 ? 4u : 0u);
    return header + strlen(key_of(key)) + len <= model->setting->item_size_max;
}

/** Checks what a get told against the map; the value is in `bytes`. */
static void
check_read(struct model *model, unsigned key, enum cache_result result,
           const struct cache_read *read, const uint8_t *bytes)
{
    bool living = is_living(model, key);
    struct entry *entry = &model->entry[key];
    if (result == CACHE_MISS) {
        if (living) {
            lose(model, key);
        }
        return;
    }
    ck_assert_int_eq(result, CACHE_OK);
    ck_assert_msg(living, "%s is read, and should be gone", key_of(key));
    ck_assert_uint_eq(read->value_len, entry->len);
    ck_assert_uint_eq(read->client_flags, entry->flags);
    ck_assert_int_eq(read->expires_at, entry->expires_at);
    ck_assert_uint_eq(read->cas, entry->cas);
    ck_assert_int_eq(memcmp(bytes, entry->bytes, entry->len), 0);
}

static void
do_get(struct model *model, unsigned key)
{
    const char *text = key_of(key);
    enum cache_read_mode mode = draw(model, 4) == 0 ? CACHE_READ_QUIET : CACHE_READ_HIT;
    struct got got = rig_get_bytes(&model->rig, text, (uint32_t)strlen(text), mode);
    check_read(model, key, got.result, &got.read, model->rig.buf);
}

/** Whether the cache still has what the map has; leaves no trace. */
static void
peek_one(struct model *model, unsigned key)
{
    const char *text = key_of(key);
    struct got got = rig_get_bytes(&model->rig, text, (uint32_t)strlen(text), CACHE_READ_QUIET);
    check_read(model, key, got.result, &got.read, model->rig.buf);
}

static void
do_get_batch(struct model *model)
{
    static char text[CACHE_BATCH_MAX][CACHE_KEY_MAX + 1];
    unsigned keys[CACHE_BATCH_MAX];
    struct cache_read reads[CACHE_BATCH_MAX];
    memset(reads, 0, sizeof(reads));
    unsigned count = 1 + (unsigned)draw(model, CACHE_BATCH_MAX);
    for (unsigned i = 0; i < count; i++) {
        keys[i] = (unsigned)draw(model, model->setting->keys);
        strcpy(text[i], key_of(keys[i]));
        reads[i].key = text[i];
        reads[i].key_len = (uint32_t)strlen(text[i]);
    }
    struct rig *rig = &model->rig;
    cache_enter(rig->thread);
    cache_prefetch(rig->cache, reads, count);
    for (unsigned i = 0; i < count; i++) {
        enum cache_result result = cache_find(rig->cache, rig->thread, &reads[i]);
        if (result == CACHE_OK) {
            if (reads[i].pin != NULL) {
                rig_copy_pin(rig, reads[i].pin, reads[i].value_len, rig->buf);
            } else {
                cache_copy(rig->cache, &reads[i], rig->buf);
            }
            cache_read_more(rig->cache, &reads[i]);
            ck_assert(cache_hit(rig->cache, rig->thread, &reads[i]));
            if (reads[i].pin != NULL) {
                cache_unpin(rig->cache, rig->thread, &reads[i].pin);
            }
        }
        check_read(model, keys[i], result, &reads[i], rig->buf);
    }
    cache_leave(rig->thread);
}

/** What a commit came to, in the map. */
static void
check_commit(struct model *model, unsigned key, enum cache_store_mode mode,
             enum cache_result result, const uint8_t *bytes, size_t len, uint32_t flags,
             int64_t expires_at, uint64_t cas, uint64_t cas_new)
{
    bool living = is_living(model, key);
    struct entry *entry = &model->entry[key];
    switch (mode) {
    case CACHE_SET:
        ck_assert_int_eq(result, CACHE_OK);
        break;
    case CACHE_ADD:
        if (result == CACHE_NOT_STORED) {
            ck_assert(living);
            return;
        }
        ck_assert_int_eq(result, CACHE_OK);
        if (living) {
            lose(model, key);
        }
        break;
    case CACHE_REPLACE:
    case CACHE_CAS:
        if (result == (mode == CACHE_CAS ? CACHE_MISS : CACHE_NOT_STORED)) {
            if (living) {
                lose(model, key);
            }
            return;
        }
        ck_assert(living);
        if (mode == CACHE_CAS && (model->setting->cas_disabled || cas != entry->cas)) {
            ck_assert_int_eq(result, CACHE_EXISTS);
            return;
        }
        ck_assert_int_eq(result, CACHE_OK);
        break;
    case CACHE_APPEND:
    case CACHE_PREPEND:
        if (result == CACHE_NOT_STORED) {
            if (living) {
                lose(model, key);
            }
            return;
        }
        ck_assert(living);
        if (result == CACHE_EXISTS) {
            ck_assert_uint_ne(cas, 0);
            ck_assert(model->setting->cas_disabled || cas != entry->cas);
            return;
        }
        if (result == CACHE_TOO_LARGE) {
            ck_assert(!fits(model, key, entry->len + len, entry->flags));
            return;
        }
        if (result == CACHE_NO_MEMORY) {
            check_refusal(model, result);
            return;
        }
        ck_assert_int_eq(result, CACHE_OK);
        check_cas_is_new(model, cas_new);
        size_t joined_len = entry->len + len;
        uint8_t *joined = malloc(joined_len + 1);
        ck_assert_ptr_nonnull(joined);
        const uint8_t *first = mode == CACHE_APPEND ? entry->bytes : bytes;
        const uint8_t *second = mode == CACHE_APPEND ? bytes : entry->bytes;
        size_t first_len = mode == CACHE_APPEND ? entry->len : len;
        memcpy(joined, first, first_len);
        memcpy(joined + first_len, second, joined_len - first_len);
        remember(entry, joined, joined_len, entry->flags, entry->expires_at, cas_new);
        free(joined);
        return;
    }
    check_cas_is_new(model, cas_new);
    remember(entry, bytes, len, flags, expires_at, cas_new);
}

static uint64_t
draw_cas(struct model *model, unsigned key, enum cache_store_mode mode)
{
    bool right = draw(model, 4) != 0;
    if (mode == CACHE_CAS) {
        return model->entry[key].cas + (right ? 0 : 1);
    }
    if ((mode == CACHE_APPEND || mode == CACHE_PREPEND) && draw(model, 3) == 0) {
        return model->entry[key].cas + (right ? 0 : 1);
    }
    return 0;
}

static enum cache_store_mode
draw_mode(struct model *model)
{
    static const enum cache_store_mode modes[] = {
        CACHE_SET, CACHE_SET,     CACHE_SET, CACHE_SET,    CACHE_SET,
        CACHE_ADD, CACHE_REPLACE, CACHE_CAS, CACHE_APPEND, CACHE_PREPEND,
    };
    return modes[draw(model, sizeof(modes) / sizeof(modes[0]))];
}

static void
do_store(struct model *model, unsigned key)
{
    enum cache_store_mode mode = draw_mode(model);
    size_t len = draw_len(model);
    if ((mode == CACHE_APPEND || mode == CACHE_PREPEND) && draw(model, 4) != 0) {
        len = draw(model, 40);
    }
    uint32_t flags = draw_flags(model);
    int64_t expires_at = draw_expiry(model);
    if (draw(model, 10) == 0) {
        len = (size_t)snprintf((char *)model->scratch, NUMBER_FIELD, "%llu",
                               (unsigned long long)(rng_next(&model->rng) >> draw(model, 64)));
    } else {
        rig_fill(model->scratch, len, rng_next(&model->rng));
    }
    const char *text = key_of(key);
    struct rig *rig = &model->rig;
    struct cache_store store;
    enum cache_result result = cache_store_begin(
        rig->cache, rig->thread, text, (uint32_t)strlen(text), len, flags, expires_at, &store);
    if (result == CACHE_TOO_LARGE) {
        ck_assert(!fits(model, key, len, flags));
        return;
    }
    ck_assert(fits(model, key, len, flags));
    if (result == CACHE_OK) {
        for (size_t at = 0; result == CACHE_OK && at < len;) {
            size_t part = 1 + draw(model, len - at);
            result = cache_store_write(rig->cache, rig->thread, &store, model->scratch + at, part);
            at += part;
        }
    }
    if (result != CACHE_OK) {
        check_refusal(model, result);
        return;
    }
    if (draw(model, 50) == 0) {
        cache_store_abort(rig->cache, rig->thread, &store);
        return;
    }
    uint64_t cas = draw_cas(model, key, mode);
    uint64_t cas_new = 0;
    peek_one(model, key);
    result = cache_store_commit(rig->cache, rig->thread, &store, mode, cas, &cas_new);
    check_commit(model, key, mode, result, model->scratch, len, flags, expires_at, cas, cas_new);
}

static void
do_delete(struct model *model, unsigned key)
{
    bool living = is_living(model, key);
    struct entry *entry = &model->entry[key];
    const char *text = key_of(key);
    uint64_t cas =
        draw(model, 4) == 0 && !model->setting->cas_disabled ? entry->cas + draw(model, 2) : 0;
    enum cache_result result =
        cache_delete(model->rig.cache, model->rig.thread, text, (uint32_t)strlen(text), cas);
    if (result == CACHE_MISS) {
        if (living) {
            lose(model, key);
        }
        return;
    }
    ck_assert(living);
    if (cas != 0 && cas != entry->cas) {
        ck_assert_int_eq(result, CACHE_EXISTS);
        return;
    }
    ck_assert_int_eq(result, CACHE_OK);
    forget(entry);
}

static void
do_touch(struct model *model, unsigned key)
{
    bool living = is_living(model, key);
    const char *text = key_of(key);
    int64_t expires_at = draw_expiry(model);
    enum cache_result result =
        cache_touch(model->rig.cache, model->rig.thread, text, (uint32_t)strlen(text), expires_at);
    if (result == CACHE_MISS) {
        if (living) {
            lose(model, key);
        }
        return;
    }
    ck_assert_int_eq(result, CACHE_OK);
    ck_assert(living);
    model->entry[key].expires_at = expires_at;
}

static bool
is_blank(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/** Reads a number as incr takes it: blanks, perhaps a plus, digits, then a blank or the value's
 * end. */
static bool
number_in(const struct entry *entry, uint64_t *number)
{
    size_t at = 0;
    size_t end = entry->len < NUMBER_END ? entry->len : NUMBER_END;
    while (at < end && is_blank(entry->bytes[at])) {
        at++;
    }
    at += at < end && entry->bytes[at] == '+';
    size_t first = at;
    unsigned __int128 value = 0;
    while (at < end && entry->bytes[at] >= '0' && entry->bytes[at] <= '9') {
        value = value * 10 + (unsigned)(entry->bytes[at++] - '0');
        if (value > UINT64_MAX) {
            return false;
        }
    }
    *number = (uint64_t)value;
    return at > first &&
           (at == end ? end == entry->len : is_blank(entry->bytes[at]) || entry->bytes[at] == '\0');
}

/** Whether an item is longer than a chunk: such a one is no number, whatever it begins with. */
static bool
is_long(const struct model *model, unsigned key)
{
    const struct entry *entry = &model->entry[key];
    size_t header = 12 + (model->setting->cas_disabled ? 0u : 8u) + (entry->flags != 0 ? 4u : 0u);
    return header + strlen(key_of(key)) + entry->len > model->rig.cache->chunk_max;
}

static void
do_arith(struct model *model, unsigned key)
{
    bool living = is_living(model, key);
    struct entry *entry = &model->entry[key];
    const char *text = key_of(key);
    bool decrement = draw(model, 2) == 0;
    uint64_t delta = rng_next(&model->rng) >> draw(model, 64);
    uint64_t cas = living && !model->setting->cas_disabled && draw(model, 4) == 0
                       ? entry->cas + draw(model, 2)
                       : 0;
    uint64_t value = 0;
    uint64_t cas_new = 0;
    enum cache_result result =
        cache_arith(model->rig.cache, model->rig.thread, text, (uint32_t)strlen(text), decrement,
                    delta, cas, &value, &cas_new);
    if (result == CACHE_MISS) {
        if (living) {
            lose(model, key);
        }
        return;
    }
    ck_assert(living);
    uint64_t number = 0;
    bool is_number = !is_long(model, key) && number_in(entry, &number);
    if (cas != 0 && cas != entry->cas) {
        ck_assert(result == CACHE_EXISTS || (result == CACHE_NOT_NUMBER && !is_number));
        return;
    }
    if (!is_number) {
        ck_assert_int_eq(result, CACHE_NOT_NUMBER);
        return;
    }
    if (result == CACHE_NO_MEMORY) {
        check_refusal(model, result);
        return;
    }
    ck_assert_int_eq(result, CACHE_OK);
    number = !decrement ? number + delta : number > delta ? number - delta : 0;
    ck_assert_uint_eq(value, number);
    check_cas_is_new(model, cas_new);
    char digits[NUMBER_FIELD];
    size_t len = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
    size_t field_len = len > entry->len ? len : entry->len;
    memset(model->scratch, ' ', field_len);
    memcpy(model->scratch, digits, len);
    remember(entry, model->scratch, field_len, entry->flags, entry->expires_at, cas_new);
}

/** Looks which keys the cache has let go, before the map forgets that it held them. */
static void
notice_losses(struct model *model, bool all)
{
    for (unsigned key = 0; key < model->setting->keys; key++) {
        if (is_living(model, key) && (all || model->entry[key].expires_at != CACHE_NEVER)) {
            peek_one(model, key);
        }
    }
}

/* -- what is held
 * -------------------------------------------------------------------------------------- */

static void
release_pin(struct model *model, struct held_pin *held)
{
    rig_copy_pin(&model->rig, held->pin, held->len, model->rig.buf);
    ck_assert_int_eq(memcmp(model->rig.buf, held->bytes, held->len), 0);
    cache_unpin(model->rig.cache, model->rig.thread, &held->pin);
    free(held->bytes);
    *held = (struct held_pin){ 0 };
}

/** Pins a long value and keeps it, or lets go of one that is held. */
static void
do_pin(struct model *model, unsigned key)
{
    struct held_pin *held = &model->pin[draw(model, PINS_MAX)];
    if (held->pin != NULL) {
        release_pin(model, held);
        return;
    }
    const char *text = key_of(key);
    struct cache_read read = { .key = text, .key_len = (uint32_t)strlen(text) };
    struct rig *rig = &model->rig;
    cache_enter(rig->thread);
    enum cache_result result = cache_find_one(rig->cache, rig->thread, &read);
    if (result == CACHE_OK) {
        if (read.pin == NULL) {
            cache_copy(rig->cache, &read, rig->buf);
        } else {
            rig_copy_pin(rig, read.pin, read.value_len, rig->buf);
        }
        cache_read_more(rig->cache, &read);
        ck_assert(cache_hit(rig->cache, rig->thread, &read));
    }
    cache_leave(rig->thread);
    check_read(model, key, result, &read, rig->buf);
    if (result == CACHE_OK && read.pin != NULL) {
        held->pin = read.pin;
        held->len = read.value_len;
        held->bytes = malloc(held->len);
        ck_assert_ptr_nonnull(held->bytes);
        memcpy(held->bytes, rig->buf, held->len);
    }
}

static void
finish_store(struct model *model, struct open_store *open, bool commit)
{
    struct rig *rig = &model->rig;
    open->open = false;
    if (!commit) {
        cache_store_abort(rig->cache, rig->thread, &open->store);
    } else {
        uint64_t cas_new = 0;
        peek_one(model, open->key);
        enum cache_result result =
            cache_store_commit(rig->cache, rig->thread, &open->store, CACHE_SET, 0, &cas_new);
        check_commit(model, open->key, CACHE_SET, result, open->bytes, open->len, open->flags,
                     open->expires_at, 0, cas_new);
    }
    free(open->bytes);
    open->bytes = NULL;
}

/** Begins a store and leaves it open, or goes on with one. */
static void
do_open_store(struct model *model, unsigned key)
{
    struct rig *rig = &model->rig;
    struct open_store *open = &model->open[draw(model, OPEN_STORES_MAX)];
    if (!open->open) {
        *open = (struct open_store){ .key = key,
                                     .len = draw_len(model),
                                     .flags = draw_flags(model),
                                     .expires_at = draw_expiry(model) };
        if (!fits(model, key, open->len, open->flags)) {
            open->len = 100;
        }
        const char *text = key_of(key);
        enum cache_result result =
            cache_store_begin(rig->cache, rig->thread, text, (uint32_t)strlen(text), open->len,
                              open->flags, open->expires_at, &open->store);
        if (result != CACHE_OK) {
            check_refusal(model, result);
            return;
        }
        open->bytes = malloc(open->len + 1);
        ck_assert_ptr_nonnull(open->bytes);
        rig_fill(open->bytes, open->len, rng_next(&model->rng));
        open->open = true;
        return;
    }
    if (open->written == open->len) {
        finish_store(model, open, draw(model, 4) != 0);
        return;
    }
    size_t part = 1 + draw(model, open->len - open->written);
    enum cache_result result =
        cache_store_write(rig->cache, rig->thread, &open->store, open->bytes + open->written, part);
    if (result != CACHE_OK) {
        check_refusal(model, result);
        open->open = false;
        free(open->bytes);
        return;
    }
    open->written += part;
}

/** Gives all pins back, and finishes the open stores. */
static void
let_go(struct model *model)
{
    for (unsigned i = 0; i < PINS_MAX; i++) {
        if (model->pin[i].pin != NULL) {
            release_pin(model, &model->pin[i]);
        }
    }
    for (unsigned i = 0; i < OPEN_STORES_MAX; i++) {
        if (model->open[i].open) {
            finish_store(model, &model->open[i], model->open[i].written == model->open[i].len);
        }
    }
}

/* -- time and limits
 * ----------------------------------------------------------------------------------- */

static void
flush_all(struct model *model)
{
    for (unsigned key = 0; key < model->setting->keys; key++) {
        forget(&model->entry[key]);
    }
}

static void
do_time(struct model *model)
{
    notice_losses(model, model->flush_at != 0);
    model->now += 1 + (int64_t)(draw(model, 20) == 0 ? draw(model, 100) : 0);
    cache_set_now(model->rig.cache, model->now);
    ck_assert_int_eq(cache_now(model->rig.cache), model->now);
    if (model->flush_at != 0 && model->flush_at <= model->now) {
        model->flush_at = 0;
        flush_all(model);
    }
}

static void
do_flush(struct model *model)
{
    int64_t at = model->now + (int64_t)draw(model, 4) - 1;
    notice_losses(model, true);
    cache_flush(model->rig.cache, at);
    if (at <= model->now) {
        model->flush_at = 0;
        flush_all(model);
    } else {
        model->flush_at = at;
    }
}

static void
do_limit(struct model *model)
{
    uint64_t limit = model->setting->memory_limit;
    if (draw(model, 2) == 0) {
        limit = limit / 2 + draw(model, limit / 2 + 1);
    } else {
        limit += draw(model, limit / 4);
    }
    limit = limit < RIG_MB ? RIG_MB : limit;
    ck_assert(cache_set_memory_limit(model->rig.cache, limit));
    model->limit_lowered = true;
    if (draw(model, 2) == 0) {
        let_go(model); /* what is held may not move */
        for (unsigned i = 0; i < RIG_SLICES_MAX && rig_stats(&model->rig)->memory_used > limit;
             i++) {
            cache_maintain(model->rig.cache, model->rig.thread);
        }
        ck_assert_uint_le(rig_stats(&model->rig)->memory_used, limit);
        model->limit_lowered = false;
    }
}

static void
check_all(struct model *model)
{
    cache_check(model->rig.cache);
    const struct cache_stats *stats = rig_stats(&model->rig);
    if (!model->limit_lowered) {
        ck_assert_uint_le(stats->memory_used, stats->memory_limit + RIG_SLACK);
    }
    ck_assert_uint_le(stats->pages_bytes + stats->index_bytes, stats->memory_used);
    /* What the model has not noticed yet it cannot have lost. */
    ck_assert_uint_le(model->lost, stats->sum.evicted);
}

/* -- running
 * ------------------------------------------------------------------------------------------- */

static void
do_one(struct model *model)
{
    unsigned key = (unsigned)draw(model, model->setting->keys);
    if (draw(model, 3) == 0) {
        key = (unsigned)draw(model, key + 1); /* some keys more often than others */
    }
    uint64_t what = draw(model, 1000);
    if (what < 380) {
        do_get(model, key);
    } else if (what < 400) {
        do_get_batch(model);
    } else if (what < 730) {
        do_store(model, key);
    } else if (what < 780) {
        do_delete(model, key);
    } else if (what < 820) {
        do_touch(model, key);
    } else if (what < 880) {
        do_arith(model, key);
    } else if (what < 920) {
        do_pin(model, key);
    } else if (what < 960) {
        do_open_store(model, key);
    } else if (what < 980) {
        do_time(model);
    } else if (what < 996) {
        cache_maintain(model->rig.cache, model->rig.thread);
    } else if (what < 997) {
        if (draw(model, 4) == 0) {
            do_flush(model);
        }
    } else if (model->setting->limit_changes) {
        do_limit(model);
    }
}

/** Every key that the map still holds is there or has been evicted, one by one; then nothing is
 * left over. */
static void
wind_up(struct model *model)
{
    struct rig *rig = &model->rig;
    let_go(model);
    for (unsigned key = 0; key < model->setting->keys; key++) {
        do_get(model, key);
    }
    check_all(model);
    ck_assert_uint_eq(model->lost, rig_stats(rig)->sum.evicted);
    for (unsigned key = 0; key < model->setting->keys; key++) {
        const char *text = key_of(key);
        enum cache_result result =
            cache_delete(rig->cache, rig->thread, text, (uint32_t)strlen(text), 0);
        ck_assert_int_eq(result, is_living(model, key) ? CACHE_OK : CACHE_MISS);
        forget(&model->entry[key]);
    }
    cache_check(rig->cache);
    const struct cache_stats *stats = rig_stats(rig);
    ck_assert_uint_eq(stats->items, 0);
    ck_assert_uint_eq(stats->bytes, 0);
    ck_assert_uint_eq(stats->sum.used_chunks, 0);
}

static void
run_model(const struct setting *setting, uint64_t seed)
{
    static struct model model;
    memset(&model, 0, sizeof(model));
    model.setting = setting;
    model.now = RIG_NOW;
    model.scratch = malloc(RIG_VALUE_MAX);
    ck_assert_ptr_nonnull(model.scratch);
    rng_init(&model.rng, seed);
    struct cache_options options = rig_options(setting->memory_limit);
    options.item_size_max = setting->item_size_max;
    options.growth_factor = setting->growth_factor;
    options.chunk_min = setting->chunk_min;
    options.cas_disabled = setting->cas_disabled;
    options.evictions_disabled = setting->evictions_disabled;
    options.hash_seed = rng_next(&model.rng);
    rig_open(&model.rig, &options);
    for (unsigned step = 0; step < setting->steps; step++) {
        do_one(&model);
        if (step % setting->check_every == 0) {
            check_all(&model);
        }
    }
    wind_up(&model);
    rig_close(&model.rig);
    free(model.scratch);
}

#define KB 1024u

static const struct setting settings[] = {
    { "1 MB", 1 * RIG_MB, 1024 * KB, 0, 0, false, false, false, false, 1500, 2000, 100 * KB, 30000,
      50 },
    { "1 MB, no CAS ids", 1 * RIG_MB, 512 * KB, 0, 0, true, false, false, true, 1500, 700, 50 * KB,
      30000, 50 },
    { "8 MB", 8 * RIG_MB, 1024 * KB, 0, 0, false, false, false, false, 4000, 4000, 100 * KB, 30000,
      500 },
    { "8 MB, limit changes", 8 * RIG_MB, 1024 * KB, 0, 0, true, false, false, true, 4000, 4000,
      100 * KB, 30000, 500 },
    { "64 MB, roomy", 64 * RIG_MB, 128 * KB, 0, 0, false, false, true, false, 2000, 600, 100 * KB,
      30000, 2000 },
    { "64 MB", 64 * RIG_MB, 1024 * KB, 0, 0, false, false, false, true, 4000, 30000, 100 * KB,
      30000, 2000 },
    { "1 MB, -M", 1 * RIG_MB, 1024 * KB, 0, 0, false, true, false, false, 1500, 700, 20 * KB, 30000,
      50 },
    { "8 MB, -M, no CAS ids", 8 * RIG_MB, 64 * KB, 0, 0, true, true, false, false, 4000, 4000,
      60 * KB, 30000, 500 },
    { "2 MB, -f 1.25 -n 48", 2 * RIG_MB, 1024 * KB, 1.25, 48, false, false, false, true, 2000, 2000,
      100 * KB, 30000, 100 },
    { "4 MB, -f 2 -n 500", 4 * RIG_MB, 1024 * KB, 2.0, 500, true, false, false, false, 3000, 3000,
      100 * KB, 30000, 200 },
    { "1 MB, tiny values", 1 * RIG_MB, 1024, 0, 0, true, false, false, false, 4000, 10, 900, 60000,
      100 },
    { "24 MB, -f 1.01", 24 * RIG_MB, 1024 * KB, 1.01, 1, false, false, false, true, 4000, 16000,
      100 * KB, 20000, 1000 },
};
#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

START_TEST(cache_answers_as_a_simple_map_does)
{
    const char *more = getenv("MODEL_SEEDS"); /* for a long run by hand */
    unsigned long seeds = more != NULL ? strtoul(more, NULL, 10) : 1;
    const char *first = getenv("MODEL_FIRST");
    unsigned long from = first != NULL ? strtoul(first, NULL, 10) : 1;
    for (unsigned long seed = from; seed < from + seeds; seed++) {
        if (more != NULL) {
            fprintf(stderr, "%s, seed %lu\n", settings[_i].name, seed);
        }
        run_model(&settings[_i], seed * 1000 + (unsigned)_i);
    }
}
END_TEST

int
main(void)
{
    TCase *tcase = tcase_create("cache");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, cache_answers_as_a_simple_map_does, 0, SETTINGS);
    return rig_run("engine/cache", tcase);
}
