#include "config.h"

#include "mysql/plan.h"

#include "mysql/plan_priv.h"

#include "base/assert.h"

#include <stdlib.h>

struct plan_scratch {
    struct plan_counts counts;
    char keys[2][TEMPLATE_KEY_MAX];
    size_t value_cap;
    char *value;
    struct template_scratch template;
};

/** A row on its way through a plan. */
struct run {
    const struct plan *plan;
    enum event_rows_op op;
    const struct value *before; /* NULL: no such image */
    const struct value *after;
    enum where_result where_before; /* WHERE_NO without the image */
    enum where_result where_after;
    struct plan_scratch *scratch;
    plan_sink *sink;
    void *arg;
    bool has_matched;
};

/** How a key came out. */
enum key_state {
    KEY_NONE, /* there is none: no image, NULL, not possible */
    KEY_THERE,
    KEY_WIDENED, /* the sink has got the prefix */
};

struct plan_scratch *
plan_scratch_create(size_t value_cap)
{
    struct plan_scratch *scratch = calloc(1, sizeof(*scratch));
    if (scratch == NULL) {
        return NULL;
    }
    scratch->value_cap = value_cap;
    scratch->value = malloc(value_cap > 0 ? value_cap : 1);
    if (scratch->value == NULL) {
        free(scratch);
        return NULL;
    }
    template_scratch_init(&scratch->template);
    return scratch;
}

void
plan_scratch_destroy(struct plan_scratch *scratch)
{
    if (scratch != NULL) {
        template_scratch_fini(&scratch->template);
        free(scratch->value);
        free(scratch);
    }
}

const struct plan_counts *
plan_scratch_counts(const struct plan_scratch *scratch)
{
    return &scratch->counts;
}

/* -- changes ---------------------------------------------------------------------------------- */

static bool
is_same_bytes(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/** Whether two values of one column are known to be the same. */
static bool
is_same_value(const struct value *a, const struct value *b)
{
    if (a->kind != b->kind) {
        return false;
    }
    switch (a->kind) {
    case VALUE_ABSENT:
    case VALUE_UNREADABLE:
        return false;
    case VALUE_NULL:
        return true;
    case VALUE_INT:
        return a->number == b->number;
    case VALUE_UINT:
    case VALUE_YEAR:
    case VALUE_ENUM:
    case VALUE_SET:
    case VALUE_BIT:
        return a->unsigned_number == b->unsigned_number;
    case VALUE_FLOAT:
        return memcmp(&a->single, &b->single, sizeof(a->single)) == 0;
    case VALUE_DOUBLE:
        return memcmp(&a->real, &b->real, sizeof(a->real)) == 0;
    case VALUE_DATE:
    case VALUE_TIME:
    case VALUE_DATETIME:
        return a->time.is_negative == b->time.is_negative && a->time.year == b->time.year &&
               a->time.month == b->time.month && a->time.day == b->time.day &&
               a->time.hour == b->time.hour && a->time.minute == b->time.minute &&
               a->time.second == b->time.second && a->time.micro == b->time.micro;
    case VALUE_TIMESTAMP:
        return a->timestamp.seconds == b->timestamp.seconds &&
               a->timestamp.micro == b->timestamp.micro;
    case VALUE_DECIMAL:
        return memcmp(a->bytes.at, b->bytes.at, a->column->width) == 0;
    case VALUE_TEXT:
    case VALUE_BINARY:
    case VALUE_JSON:
    case VALUE_GEOMETRY:
    case VALUE_VECTOR:
        return is_same_bytes(a->bytes, b->bytes);
    }
    return false;
}

/** Whether a column is known not to have changed; what the later image leaves out has not. */
static bool
is_unchanged(const struct run *run, uint16_t slot)
{
    return slot != TEMPLATE_NO_SLOT && (run->after[slot].kind == VALUE_ABSENT ||
                                        is_same_value(&run->before[slot], &run->after[slot]));
}

enum named {
    NAMED_NOT,
    NAMED_UNTOUCHED, /* update(...) none of whose columns changed */
    NAMED,
};

/** Whether a rule's `on` names this change. */
static enum named
is_named(const struct run *run, const struct plan_rule *rule)
{
    const struct rule_events *on = &rule->rule->on;
    switch (run->op) {
    case EVENT_ROWS_WRITE:
        return on->has_insert ? NAMED : NAMED_NOT;
    case EVENT_ROWS_DELETE:
        return on->has_delete ? NAMED : NAMED_NOT;
    case EVENT_ROWS_UPDATE:
        break;
    }
    if (!on->has_update) {
        return NAMED_NOT;
    }
    if (on->column_count == 0 || run->before == NULL || run->after == NULL) {
        return NAMED;
    }
    for (uint32_t i = 0; i < on->column_count; i++) {
        if (!is_unchanged(run, rule->update_slots[i])) {
            return NAMED;
        }
    }
    return NAMED_UNTOUCHED;
}

/* -- operations ------------------------------------------------------------------------------- */

static void
emit(struct run *run, const struct plan_op *op)
{
    run->has_matched = true;
    run->sink(run->arg, op);
}

static void
emit_widen(struct run *run, const struct plan_rule *rule, const char *reason)
{
    run->scratch->counts.widened++;
    emit(run, &(struct plan_op){
                  .kind = PLAN_WIDEN, .rule = rule->rule, .key = rule->prefix, .reason = reason });
}

static void
emit_key(struct run *run, const struct plan_rule *rule, struct bytes key)
{
    bool is_stale = rule->rule->action == RULE_STALE;
    emit(run, &(struct plan_op){ .kind = is_stale ? PLAN_STALE : PLAN_DELETE,
                                 .rule = rule->rule,
                                 .key = key,
                                 .ttl_s = is_stale ? rule->rule->ttl_s : 0 });
}

/* -- keys ------------------------------------------------------------------------------------- */

/** Renders the key of one image; `which` of the two buffers.  Widens if it cannot be told. */
static enum key_state
make_key(struct run *run, const struct plan_rule *rule, bool from_after, unsigned which,
         struct bytes *out)
{
    const char *reason = NULL;
    struct plan_counts *counts = &run->scratch->counts;
    struct writer text = writer(run->scratch->keys[which], TEMPLATE_KEY_MAX);
    struct template_row row = {
        .database = run->plan->database,
        .table = run->plan->table,
        .slots = rule->key_slots,
        .before = run->before,
        .after = run->after,
        .from_after = from_after,
    };
    switch (template_render(&rule->rule->key, &row, &run->scratch->template, &text, &reason)) {
    case TEMPLATE_DONE:
        break;
    case TEMPLATE_IS_NULL:
        counts->keys_null++;
        return KEY_NONE;
    case TEMPLATE_NO_IMAGE:
        return KEY_NONE;
    case TEMPLATE_FULL:
        counts->keys_invalid++;
        return KEY_NONE;
    case TEMPLATE_WIDEN:
        emit_widen(run, rule, reason);
        return KEY_WIDENED;
    }
    if (text.len == 0) {
        counts->keys_invalid++;
        return KEY_NONE;
    }
    *out = (struct bytes){ (const uint8_t *)text.at, text.len };
    return KEY_THERE;
}

/** Whether the keys of both images are known to be one, without a look at their texts. */
static bool
is_key_unchanged(const struct run *run, const struct plan_rule *rule)
{
    const struct template *key = &rule->rule->key;
    for (uint32_t i = 0; i < key->part_count; i++) {
        const struct template_part *part = &key->parts[i];
        if (part->kind == TEMPLATE_COLUMN && part->image == TEMPLATE_EITHER &&
            !is_unchanged(run, rule->key_slots[i])) {
            return false;
        }
    }
    return true;
}

/**
 * Makes the key of the image before, unless it is that of the image after: `after_key`, if that is
 * there.
 */
static enum key_state
make_other_key(struct run *run, const struct plan_rule *rule, enum key_state after_state,
               struct bytes after_key, struct bytes *out)
{
    if (!rule->is_per_image || run->before == NULL || run->after == NULL ||
        after_state == KEY_WIDENED || is_key_unchanged(run, rule)) {
        return KEY_NONE;
    }
    enum key_state state = make_key(run, rule, false, 1, out);
    if (state == KEY_THERE && after_state == KEY_THERE && is_same_bytes(*out, after_key)) {
        return KEY_NONE;
    }
    return state;
}

/** Deletes, or marks stale, the keys of both images. */
static void
void_keys(struct run *run, const struct plan_rule *rule)
{
    struct bytes key = { NULL, 0 };
    struct bytes other;
    enum key_state state = make_key(run, rule, run->after != NULL, 0, &key);
    if (state == KEY_THERE) {
        emit_key(run, rule, key);
    }
    if (make_other_key(run, rule, state, key, &other) == KEY_THERE) {
        emit_key(run, rule, other);
    }
}

/* -- stores ----------------------------------------------------------------------------------- */

static bool
has_blank(struct bytes key)
{
    for (size_t i = 0; i < key.len; i++) {
        if (key.at[i] <= ' ' || key.at[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

/** False if the value cannot be told, or has no room, for `*reason`. */
static bool
make_json(struct run *run, const struct plan_rule *rule, struct writer *out, const char **reason)
{
    writer_put_char(out, '{');
    for (uint32_t i = 0; i < rule->value_count; i++) {
        const struct value *value =
            template_find_value(run->before, run->after, rule->value_slots[i], true);
        if (value == NULL) {
            *reason = "a column of the value is not in the row's image (binlog_row_image)";
            return false;
        }
        if (i > 0) {
            writer_put_char(out, ',');
        }
        writer_put(out, rule->names[i].at, rule->names[i].len);
        switch (render_json(value, &run->scratch->template.charsets, out, reason)) {
        case RENDER_DONE:
            break;
        case RENDER_FULL:
            *reason = "a value that is longer than an item may be";
            return false;
        case RENDER_NULL:
        case RENDER_ABSENT:
        case RENDER_WIDEN:
            return false;
        }
    }
    writer_put_char(out, '}');
    *reason = "a value that is longer than an item may be";
    return !out->is_full;
}

static bool
make_value(struct run *run, const struct plan_rule *rule, struct bytes *out, const char **reason)
{
    bool is_made = false;
    const struct template *template = &rule->rule->value;
    struct writer text = writer(run->scratch->value, run->scratch->value_cap);
    if (template->form == TEMPLATE_TEXT) {
        struct template_row row = {
            .database = run->plan->database,
            .table = run->plan->table,
            .slots = rule->value_slots,
            .before = run->before,
            .after = run->after,
            .from_after = true,
        };
        switch (template_render(template, &row, &run->scratch->template, &text, reason)) {
        case TEMPLATE_DONE:
            is_made = true;
            break;
        case TEMPLATE_IS_NULL:
            *reason = "a column of the value is NULL (null:TEXT gives it one)";
            break;
        case TEMPLATE_FULL:
            *reason = "a value that is longer than an item may be";
            break;
        case TEMPLATE_NO_IMAGE:
        case TEMPLATE_WIDEN:
            break;
        }
    } else {
        is_made = make_json(run, rule, &text, reason);
    }
    *out = (struct bytes){ (const uint8_t *)text.at, text.len };
    return is_made;
}

/** Stores the row, or deletes its key where that cannot be. */
static void
store(struct run *run, const struct plan_rule *rule)
{
    struct bytes key = { NULL, 0 };
    struct bytes other;
    struct plan_op op = { .kind = PLAN_DELETE, .rule = rule->rule, .is_downgraded = true };
    enum key_state state = make_key(run, rule, true, 0, &key);
    if (make_other_key(run, rule, state, key, &other) == KEY_THERE) {
        emit_key(run, rule, other);
    }
    if (state != KEY_THERE) {
        return;
    }
    op.key = key;
    if (has_blank(key)) {
        op.reason = "a blank or control byte in the key";
    } else if (run->where_after != WHERE_YES) {
        op.reason = "whether the row satisfies where cannot be told";
    } else if (make_value(run, rule, &op.value, &op.reason)) {
        op.kind = PLAN_SET;
        op.ttl_s = rule->rule->ttl_s;
        op.if_exists = rule->rule->if_exists;
        op.is_downgraded = false;
        op.reason = NULL;
    }
    if (op.is_downgraded) {
        op.value = (struct bytes){ NULL, 0 };
        run->scratch->counts.sets_downgraded++;
    }
    emit(run, &op);
}

/* -- rules ------------------------------------------------------------------------------------ */

static void
run_set(struct run *run, const struct plan_rule *rule, enum named named)
{
    if (named == NAMED && run->op != EVENT_ROWS_DELETE && run->where_after != WHERE_NO) {
        store(run, rule);
        return;
    }
    /* An update that the rule leaves alone: what is stored still holds, if the row still counts. */
    if (named == NAMED_UNTOUCHED && run->where_after == WHERE_YES && is_key_unchanged(run, rule)) {
        return;
    }
    void_keys(run, rule);
}

static void
run_rule(struct run *run, const struct plan_rule *rule)
{
    enum named named = is_named(run, rule);
    switch (rule->rule->action) {
    case RULE_DELETE:
    case RULE_STALE:
        if (named == NAMED) {
            void_keys(run, rule);
        }
        return;
    case RULE_SET:
        run_set(run, rule, named);
        return;
    }
}

static void
run_block(struct run *run, const struct plan_block *block)
{
    const struct where *where = block->where;
    run->where_before = run->before == NULL ? WHERE_NO : WHERE_YES;
    run->where_after = run->after == NULL ? WHERE_NO : WHERE_YES;
    if (where != NULL && run->before != NULL) {
        run->where_before = where_eval(where, block->where_slots, run->before, run->after, false,
                                       &run->scratch->template);
    }
    if (where != NULL && run->after != NULL) {
        run->where_after = where_eval(where, block->where_slots, run->before, run->after, true,
                                      &run->scratch->template);
    }
    if (run->where_before == WHERE_NO && run->where_after == WHERE_NO) {
        return;
    }
    for (uint32_t i = 0; i < block->rule_count; i++) {
        run_rule(run, &block->rules[i]);
    }
}

void
plan_run(const struct plan *plan, enum event_rows_op op, const struct value *before,
         const struct value *after, struct plan_scratch *scratch, plan_sink *sink, void *arg)
{
    struct run run = {
        .plan = plan,
        .op = op,
        .before = before,
        .after = after,
        .scratch = scratch,
        .sink = sink,
        .arg = arg,
    };
    scratch->counts.rows++;
    for (uint32_t i = 0; i < plan->block_count; i++) {
        run_block(&run, &plan->blocks[i]);
    }
    scratch->counts.rows_matched += run.has_matched;
}
